"""A causal language model behind an OpenAI-compatible address, its layers computed in 8-bit integers.

For long experiments on a processor with 8-bit dot products (VNNI), where this reads prompts faster than llama.cpp's
portable build: one prompt at a time, greedily, or with --slots many at once. Weights
get a scale an output channel, activations a scale a token; channels that stick out are levelled first, on a text that
is read once (SmoothQuant, arXiv 2211.10438, alpha 0.5). With --slots requests may have stop strings, a temperature,
top_p and a seed; without, they are refused.

    python benchmarks/int8_endpoint.py MODEL.gguf --port 8011 --threads 2
    seriatim eval run … --reader http://127.0.0.1:8011/v1

At the start it prints how far its next-token probabilities are from float32's on another text. Takes what `pip install
'.[dev]'` brings, and for a model of 1.5 billion weights some 14 GB of memory at its start, 5 afterwards.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import anyio
import torch
import torch.nn.functional as F
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from torch import Tensor, nn

from int8_batches import CHUNK, Asked, Batches
from seriatim.training.memory import keep_freed_memory

TEXT = Path(__file__).parents[1] / "examples" / "sennet-water.md"
ALPHA = 0.5
PATIENCE_S = 20.0
STEPPING = Lock()  # the layers share the rows that were quantised last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a GGUF file, or a folder with a Hugging Face checkpoint")
    parser.add_argument("--port", type=int, default=8011)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument(
        "--slots", type=int, default=1, help="so many prompts at once; fastest with one thread a process"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    model, tokenizer = opened(options.model)
    text = tokenizer(TEXT.read_text(encoding="utf-8"), return_tensors="pt")["input_ids"]
    first, second = text[:, :1024], text[:, 1024:2048]
    reference = model(second).logits[0].log_softmax(-1)
    to_int8(model, peaks(model, first))
    keep_freed_memory()  # only now: the float32 layers' memory goes back first
    if options.slots > 1:
        model.lm_head = Int8Linear(model.lm_head, Rows())
        batches = Batches(model, tokenizer, slots=options.slots, context=options.context)
        ours, name = batches.log_probabilities(second[0].tolist()), f"{options.model.stem}-int8-batched"
        made = app(lambda asked: whole(batches, tokenizer, asked), name, options.context)
    else:
        ours, name = model(second).logits[0].log_softmax(-1), f"{options.model.stem}-int8"
        made = app(lambda asked: alone(model, tokenizer, asked), name, options.context)
    divergence = (reference.exp() * (reference - ours)).sum(-1).mean()
    agreement = (reference.argmax(-1) == ours.argmax(-1)).float().mean()
    print(f"beside float32: KL {divergence:.4f} nats a token, same first choice {agreement:.1%}", flush=True)
    uvicorn.run(made, port=options.port, log_level="warning")


def opened(path: Path) -> tuple[Any, Any]:
    """The model in float32, and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, kind = (path, {}) if path.is_dir() else (path.parent, {"gguf_file": path.name})
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **kind)
    return model, AutoTokenizer.from_pretrained(folder, **kind)


def peaks(model: Any, ids: Tensor) -> dict[str, Tensor]:
    """The largest value of each channel that goes into a layer. The first token is left out: its values are a thousand
    times those of the others in some models, and its own scale takes care of them."""
    found: dict[str, Tensor] = {}

    def watch(name: str) -> Any:
        return lambda _layer, inputs: found.__setitem__(name, inputs[0][0, 1:].abs().amax(0))

    layers = [(name, each) for name, each in model.model.named_modules() if isinstance(each, nn.Linear)]
    watching = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers]
    model(ids)
    for each in watching:
        each.remove()
    return found


def to_int8(model: Any, peaks: dict[str, Tensor]) -> None:
    """Replace the layers of every block. What levels their channels goes into the layer or the norm before them."""
    for number, block in enumerate(model.model.layers):
        attention, mlp = block.self_attn, block.mlp
        same = [attention.q_proj, attention.k_proj, attention.v_proj]
        block.input_layernorm.weight.div_(levelled(same, peaks[f"layers.{number}.self_attn.q_proj"]))
        same = [mlp.gate_proj, mlp.up_proj]
        block.post_attention_layernorm.weight.div_(levelled(same, peaks[f"layers.{number}.mlp.gate_proj"]))
        mlp.up_proj.weight.div_(levelled([mlp.down_proj], peaks[f"layers.{number}.mlp.down_proj"])[:, None])
        for part in (attention, mlp):
            products = Rows()
            for name, layer in list(part.named_children()):
                if isinstance(layer, nn.Linear):
                    setattr(part, name, Int8Linear(layer, products))


def levelled(layers: list[Any], peak: Tensor) -> Tensor:
    """Multiply the layers' input channels by what is returned, which their input is to be divided by."""
    weights = torch.stack([layer.weight.abs().amax(0) for layer in layers]).amax(0)
    factor = peak.clamp_min(1e-5) ** ALPHA / weights.clamp_min(1e-5) ** (1 - ALPHA)
    for layer in layers:
        layer.weight.mul_(factor)
    return factor


class Rows:
    """The rows that were quantised last: layers with the same input share them."""

    def __init__(self) -> None:
        self.source: Tensor | None = None

    def of(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """8-bit rows [N, D] and their scales [N, 1]."""
        if self.source is not vectors:
            rows = vectors.flatten(0, -2)
            self.scales = torch.maximum(rows.amax(1), -rows.amin(1)).clamp_min_(1e-8).div_(127)[:, None]
            self.rows = (rows * self.scales.reciprocal()).round_().to(torch.int8)
            self.source = vectors
        return self.rows, self.scales


class Int8Linear(nn.Module):
    """`nn.Linear` with 8-bit weights and inputs."""

    def __init__(self, layer: nn.Linear, rows: Rows) -> None:
        super().__init__()
        self.scales = layer.weight.abs().amax(1) / 127
        self.weight = (layer.weight / self.scales[:, None]).round_().to(torch.int8).t()
        self.bias, self.rows = layer.bias, rows

    def forward(self, vectors: Tensor) -> Tensor:
        rows, scales = self.rows.of(vectors)
        products = torch.mul(torch._int_mm(rows, self.weight), scales).mul_(self.scales)
        if self.bias is not None:
            products += self.bias
        return products.view(*vectors.shape[:-1], -1)


def app(answer: Callable[[dict[str, Any]], Iterator[str]], name: str, context: int) -> FastAPI:
    """The address; `answer` gives the events of a request."""
    made = FastAPI()

    @made.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model", "max_model_len": context}]}

    @made.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 256  # a thread waits for each answer
        try:
            return StreamingResponse(answer(await request.json()), media_type="text/event-stream")
        except ValueError as error:
            return JSONResponse({"error": {"message": str(error)}}, 400)

    return made


def prompt(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    """The ids of a conversation; a last message of the assistant is gone on with."""
    begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    turns = messages[:-1] if begun else messages
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False) + begun
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def whole(batches: Batches, tokenizer: Any, request: dict[str, Any]) -> Iterator[str]:
    """The answer in one piece. Raises `ValueError` for a request that cannot be answered."""
    stops = request.get("stop") or []
    asked = Asked(
        prompt(tokenizer, request["messages"]),
        request.get("max_tokens", 512),
        [stops] if isinstance(stops, str) else stops,
        request.get("temperature", 0.0),
        request.get("top_p", 1.0),
        request.get("seed") or 0,
    )
    batches.ask(asked)
    return waited(batches, asked)


def waited(batches: Batches, asked: Asked) -> Iterator[str]:
    try:
        while not asked.ended.wait(PATIENCE_S):
            yield ": not yet\n\n"  # or the client would take the silence for an end
    finally:
        asked.gone = True
    yield event({"choices": [{"index": 0, "delta": {"content": batches.text(asked)}}]})
    yield from ending(asked.finish, len(asked.ids), len(asked.written))


def alone(model: Any, tokenizer: Any, request: dict[str, Any]) -> Iterator[str]:
    """The likeliest answer, token by token. Raises `ValueError` for a request that asks for more."""
    if request.get("stop") or request.get("temperature"):
        raise ValueError(
            "this server was started for one prompt at a time and writes greedily; start it with --slots 8"
        )
    return events(model, tokenizer, request)


def events(model: Any, tokenizer: Any, request: dict[str, Any]) -> Iterator[str]:
    """The answer token by token, then the reason why it ended, and the tokens."""
    ids, most = prompt(tokenizer, request["messages"]), request.get("max_tokens", 512)
    written: list[int] = []
    finish = "length"
    shown = ""
    for token in greedy(model, ids):
        if token in ends(model):
            finish = "stop"
            break
        written.append(token)
        text = tokenizer.decode(written)
        if not text.endswith("\ufffd"):
            yield event({"choices": [{"index": 0, "delta": {"content": text[len(shown) :]}}]})
            shown = text
        if len(written) == most:
            break
    yield from ending(finish, len(ids), len(written))


def ending(finish: str, read: int, written: int) -> Iterator[str]:
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    yield event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": usage})
    yield "data: [DONE]\n\n"


def event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps({'created': int(time.time()), **value})}\n\n"


def ends(model: Any) -> list[int]:
    stated = model.generation_config.eos_token_id
    return stated if isinstance(stated, list) else [stated]


def greedy(model: Any, ids: list[int]) -> Iterator[int]:
    """The likeliest tokens, without end."""
    cache = None
    rest = torch.tensor([ids])
    while True:
        for part in rest.split(CHUNK, dim=1):
            token, cache = step(model, part, cache)
        yield token
        rest = torch.tensor([[token]])


@torch.inference_mode()  # each step for itself: the server's threads take turns
def step(model: Any, ids: Tensor, cache: Any) -> tuple[int, Any]:
    """The likeliest token after `ids`, and the cache with them."""
    with STEPPING:
        out = model.model(ids, past_key_values=cache, use_cache=True)
        return int(F.linear(out.last_hidden_state[0, -1], model.lm_head.weight).argmax()), out.past_key_values


if __name__ == "__main__":
    main()
