"""From checkpoint to GGUF and back: the same model, in the same words."""

import pytest
import torch
import transformers

from seriatim import olmoe
from seriatim.errors import ModelError
from seriatim.olmoe.checkpoint import Checkpoint
from seriatim.olmoe.tokenizer import CHAT_TEMPLATE, Tokenizer
from tests.olmoe.test_tokenizer import Turn
from tests.olmoe.tiny import checkpoint

IDS = torch.randint(2, 397, (2, 24), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@torch.inference_mode()
def test_a_model_comes_back_from_gguf_as_it_was(tmp_path, tied):
    theirs = checkpoint(tmp_path / "hf", tie_word_embeddings=tied)
    olmoe.to_gguf(tmp_path / "hf", tmp_path / "model.gguf", "F32")
    olmoe.to_hf(tmp_path / "model.gguf", tmp_path / "back")
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "back")
    assert back.dtype == torch.float32
    assert (back(IDS).logits - theirs(IDS).logits).abs().max() < 1e-5
    assert torch.equal(olmoe.load(tmp_path / "back").logits(IDS), olmoe.load(tmp_path / "hf").logits(IDS))


def test_its_tokenizer_comes_back_too(tmp_path):
    checkpoint(tmp_path / "hf")
    olmoe.to_gguf(tmp_path / "hf", tmp_path / "model.gguf", "Q8_0")
    olmoe.to_hf(tmp_path / "model.gguf", tmp_path / "back")
    before, after = Tokenizer.from_folder(tmp_path / "hf"), Tokenizer.from_folder(tmp_path / "back")
    turns = [Turn("system", "Who    signed?"), Turn("user", "it's <|endoftext|> 1912  naïve\n\n")]
    assert after.chat(turns, "The") == before.chat(turns, "The")
    assert after.chat_template == CHAT_TEMPLATE
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    assert theirs.eos_token_id == 0
    assert theirs.encode("Who    signed?") == before.encode("Who    signed?")
    messages = [{"role": "user", "content": "Who signed?"}]
    ids = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert ids == before.chat([Turn("user", "Who signed?")])


def test_quantised_weights_become_float16_unless_asked_otherwise(tmp_path):
    checkpoint(tmp_path / "hf")
    olmoe.to_gguf(tmp_path / "hf", tmp_path / "model.gguf", "Q8_0")
    olmoe.to_hf(tmp_path / "model.gguf", tmp_path / "mixed")
    olmoe.to_hf(tmp_path / "model.gguf", tmp_path / "bf16", dtype=torch.bfloat16)
    mixed, bf16 = Checkpoint(tmp_path / "mixed"), Checkpoint(tmp_path / "bf16")
    assert mixed.dtype("lm_head.weight") == torch.float16
    assert mixed.dtype("model.norm.weight") == torch.float32
    assert bf16.dtype("lm_head.weight") == bf16.dtype("model.norm.weight") == torch.bfloat16


def test_progress_counts_what_is_written(tmp_path):
    checkpoint(tmp_path / "hf")
    steps: list[tuple[int, int]] = []
    olmoe.to_gguf(tmp_path / "hf", tmp_path / "model.gguf", progress=lambda done, all: steps.append((done, all)))
    assert [done for done, _ in steps] == list(range(1, steps[-1][1] + 1))


def test_a_folder_without_a_tokenizer_makes_no_gguf(tmp_path):
    checkpoint(tmp_path / "hf", tokenizer=False)
    with pytest.raises(ModelError, match=r"lacks tokenizer\.json"):
        olmoe.to_gguf(tmp_path / "hf", tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()
