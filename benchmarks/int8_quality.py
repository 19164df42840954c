"""What int8 costs in quality: a small OLMoE is trained here, then float32 and int8 are compared on text it never saw.

Protocol: the last tenth of each text is held out. A tokenizer (BPE) and a model are trained on the rest, with a fixed
seed. Perplexity is measured over all held-out windows of 256 tokens; its interval is a paired bootstrap over windows of
the ratio int8 / float32. Greedy agreement: both continue the same held-out prompts of 64 tokens by 64 tokens; counted
are the tokens before the first difference, and, teacher-forced, how often both put the same token first. Both forms of
the operations, compiled and in PyTorch alone, are measured. At the end the checkpoint, as Hugging Face and as GGUF
(F32), continues the prompts in transformers and in llama.cpp too, and the texts are compared.

    python benchmarks/int8_quality.py BOOK.txt … --out benchmarks/results/int8_quality.json
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from machine import machine
from seriatim.olmoe import Olmoe, OlmoeConfig, load, save, to_gguf
from seriatim.olmoe.int8.engine import Int8Olmoe
from seriatim.olmoe.int8.files import read
from seriatim.olmoe.int8.kernels import kernels
from seriatim.olmoe.int8.portable import Portable

VOCABULARY, WINDOW, BATCH = 2048, 256, 8
PROMPTS, PROMPT_TOKENS, CONTINUED_TOKENS = 64, 64, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--folder", type=Path, help="keep the trained model here, and take one that is there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.folder:
        _run(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        options.folder = Path(folder)
        _run(options)


def _run(options: argparse.Namespace) -> None:
    texts = [path.read_text(encoding="utf-8-sig") for path in options.texts]
    cuts = [len(text) * 9 // 10 for text in texts]
    tokenizer = _tokenizer([text[:cut] for text, cut in zip(texts, cuts, strict=True)])
    training, held_out = (
        [token for part in parts for token in tokenizer.encode(part).ids]
        for parts in zip(*((text[:cut], text[cut:]) for text, cut in zip(texts, cuts, strict=True)), strict=True)
    )
    checkpoint = options.folder / "checkpoint"
    started = time.perf_counter()
    if not checkpoint.exists():
        save(_trained(torch.tensor(training), options), checkpoint)
        tokenizer.save(str(checkpoint / "tokenizer.json"))
    result = {
        "command": " ".join(["python", *sys.argv]), "machine": machine(),
        "training": {
            "tokens": options.steps * BATCH * WINDOW, "texts": [path.name for path in options.texts],
            "parameters": load(checkpoint).config.total_parameters, "seconds": time.perf_counter() - started,
        },
        **_compared(checkpoint, torch.tensor(held_out), options.seed),
        "same_text": _same_text(checkpoint, options.folder / "model.gguf", held_out),
    }  # fmt: skip
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def _tokenizer(texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<|endoftext|>", "<|padding|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _trained(tokens: torch.Tensor, options: argparse.Namespace) -> Olmoe:
    torch.manual_seed(options.seed)
    config = OlmoeConfig(
        vocab_size=VOCABULARY, hidden_size=192, intermediate_size=96, num_hidden_layers=4, num_attention_heads=6,
        num_key_value_heads=6, num_experts=16, num_experts_per_tok=4, max_position_embeddings=512, eos_token_id=0,
    )  # fmt: skip
    model = Olmoe(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=options.steps, pct_start=0.05)
    for step in range(options.steps):
        starts = torch.randint(len(tokens) - WINDOW - 1, (BATCH,))
        batch = torch.stack([tokens[start : start + WINDOW + 1] for start in starts])
        loss = F.cross_entropy(model(batch[:, :-1]).logits_BTV.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == options.steps - 1:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    return model


def _compared(checkpoint: Path, held_out: torch.Tensor, seed: int) -> dict:
    model = load(checkpoint)
    load(checkpoint, dtype="int8")  # packs it
    forms = {"int8_compiled": kernels(), "int8_pytorch": Portable()}
    windows = held_out[: len(held_out) // (WINDOW + 1) * (WINDOW + 1)].view(-1, WINDOW + 1)
    prompts = windows[:PROMPTS, :PROMPT_TOKENS].tolist()
    losses, first = _losses(model, windows)
    texts = _continued(model, prompts)
    result = {"float32": {"perplexity": float(losses.mean().exp()), "windows": len(windows)}}
    for name, operations in forms.items():
        if operations is None:
            continue
        int8 = _int8(checkpoint, operations)
        other, other_first = _losses(int8, windows)
        others = _continued(int8, prompts)
        kept = [next((n for n, (a, b) in enumerate(zip(*pair, strict=True)) if a != b), CONTINUED_TOKENS)
                for pair in zip(texts, others, strict=True)]  # fmt: skip
        random = np.random.default_rng(seed)
        difference = (other - losses).numpy()
        draws = [difference[random.integers(len(difference), size=len(difference))].mean() for _ in range(10_000)]
        result[name] = {
            "perplexity": float(other.mean().exp()),
            "perplexity_ratio": float(np.exp(difference.mean())),
            "perplexity_ratio_interval": [float(np.exp(np.quantile(draws, q))) for q in (0.025, 0.975)],
            "same_first_token_percent": 100 * float((first == other_first).float().mean()),
            "greedy_tokens_before_a_difference_mean": float(np.mean(kept)),
            "greedy_texts_identical_percent": 100 * float(np.mean([n == CONTINUED_TOKENS for n in kept])),
            "prompts": len(prompts),
        }  # fmt: skip
    return result


def _int8(checkpoint: Path, operations: object) -> Int8Olmoe:
    from seriatim.olmoe.checkpoint import Checkpoint
    from seriatim.olmoe.int8 import packed

    with packed(Checkpoint(checkpoint)) as folder:
        return Int8Olmoe(*read(folder), operations)


def _losses(model, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean loss of each window, and the likeliest token at each place."""
    losses, first = [], []
    for batch in windows.split(16):
        logits = model.logits(batch[:, :-1])
        each = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
        losses.append(each.view(len(batch), -1).mean(1))
        first.append(logits.argmax(-1))
    return torch.cat(losses).double(), torch.cat(first)


def _continued(model, prompts: list[list[int]]) -> list[list[int]]:
    return [each.token_ids for each in model.generate(prompts, max_tokens=CONTINUED_TOKENS, stop_ids=[])]


def _same_text(checkpoint: Path, gguf: Path, held_out: list[int]) -> dict:
    """Greedy continuations of one checkpoint by three programs: how many of 16 prompts go on alike, token by token."""
    import transformers

    from seriatim.models.llamacpp import LlamaCpp

    prompts = [held_out[start : start + PROMPT_TOKENS] for start in range(0, 16 * PROMPT_TOKENS, PROMPT_TOKENS)]
    ours = [load(checkpoint).generate([prompt], max_tokens=CONTINUED_TOKENS, stop_ids=[])[0] for prompt in prompts]
    theirs = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    theirs.generation_config.eos_token_id = None
    options = {"max_new_tokens": CONTINUED_TOKENS, "do_sample": False}
    same = {"transformers": 0, "llama.cpp": 0, "prompts": len(prompts), "tokens_each": CONTINUED_TOKENS}
    if not gguf.exists():
        to_gguf(checkpoint, gguf, "F32")
    llama = LlamaCpp(gguf)
    for prompt, own in zip(prompts, ours, strict=True):
        ids = torch.tensor([prompt])
        text = theirs.generate(ids, attention_mask=torch.ones_like(ids), **options)[0, len(prompt) :].tolist()
        same["transformers"] += text == own.token_ids
        request = {"prompt": prompt, "n_predict": CONTINUED_TOKENS, "temperature": 0, "ignore_eos": True,
                   "return_tokens": True, "stream": True}  # fmt: skip
        tokens = [token for event in llama._server.events("/completion", request) for token in event["tokens"]]
        same["llama.cpp"] += tokens[:CONTINUED_TOKENS] == own.token_ids
    llama.close()
    return same


if __name__ == "__main__":
    main()
