"""GGUF files: llama.cpp computes what we do, and what is written is read back."""

import os
import resource
from pathlib import Path

import gguf
import numpy as np
import pytest
import tokenizers
import torch

from seriatim import olmoe
from seriatim.errors import ModelError, UsageError
from seriatim.olmoe.checkpoint import Checkpoint
from seriatim.olmoe.gguf import KINDS, GgufSource, write_gguf
from seriatim.olmoe.names import table
from seriatim.olmoe.tokenizer import Tokenizer
from tests.olmoe.llama import llama
from tests.olmoe.test_tokenizer import TINY, Turn, needs_real, tokenizer_of
from tests.olmoe.tiny import checkpoint

PROMPT = torch.randint(2, 397, (20,), generator=torch.Generator().manual_seed(1)).tolist()
CONFIGS = {
    "as published": {},
    "tied": {"tie_word_embeddings": True},
    "fewer heads": {"num_attention_heads": 2, "num_key_value_heads": 2},
    "other theta and epsilon": {"rope_theta": 500.0, "rms_norm_eps": 1e-3},
    "more experts": {"num_experts": 16, "num_experts_per_tok": 5},
}


@pytest.fixture(scope="module", name="folder")
def folder_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    checkpoint(folder)
    return folder


@pytest.fixture(scope="module", name="file")
def file_fixture(folder):
    file = folder.parent / "model.gguf"
    write_gguf(Checkpoint(folder), file, TINY)
    return file


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS.keys())
def test_llama_cpp_writes_the_same_greedy_text(tmp_path, changes):
    checkpoint(tmp_path / "hf", **changes)
    write_gguf(Checkpoint(tmp_path / "hf"), tmp_path / "model.gguf", TINY)
    [ours] = olmoe.load(tmp_path / "hf").generate([PROMPT], max_tokens=32, stop_ids=[])
    with llama(tmp_path / "model.gguf") as theirs:
        assert theirs.greedy(PROMPT, 32) == ours.token_ids
    assert len(set(ours.token_ids)) > 2


@torch.inference_mode()
def test_llama_cpp_finds_the_same_tokens_as_likely(folder, file):
    best = olmoe.load(folder).logits(torch.tensor([PROMPT]))[0, -1].log_softmax(-1).topk(10)
    expected = dict(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    with llama(file) as theirs:
        assert theirs.logprobs(PROMPT) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0"])
def test_llama_cpp_runs_every_kind(folder, tmp_path, kind):
    write_gguf(Checkpoint(folder), tmp_path / "model.gguf", TINY, kind=kind)
    with llama(tmp_path / "model.gguf") as theirs:
        assert len(theirs.greedy(PROMPT, 8)) == 8


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back(folder, tmp_path, kind):
    source = Checkpoint(folder)
    write_gguf(source, tmp_path / "model.gguf", TINY, kind=kind)
    again = GgufSource(tmp_path / "model.gguf")
    assert again.config == source.config
    for name in table(source.config):
        weights = source.tensor(name)
        exact = kind == "F32" or weights.dim() == 1 or name.endswith("mlp.gate.weight")
        # Half a step of the numbers that the kind has, by the largest of a block of weights.
        error = 0 if exact else {"F16": 2**-11, "Q8_0": 0.5 / 127 + 2**-10, "Q4_0": 0.125 + 2**-10}[kind]
        assert again.dtype(name) == (torch.float32 if exact else torch.float16)
        assert (again.tensor(name).float() - weights).abs().max() <= error * weights.abs().max(), name


def test_quantised_blocks_are_those_of_the_gguf_package(folder, tmp_path):
    """Which are those of ggml, bit by bit."""
    write_gguf(Checkpoint(folder), tmp_path / "model.gguf", TINY, kind="Q4_0")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    weights = Checkpoint(folder).tensor("model.layers.2.mlp.experts.down_proj")
    expected = gguf.quants.quantize(weights.numpy(), gguf.GGMLQuantizationType.Q4_0)
    assert np.array_equal(tensors["blk.2.ffn_down_exps.weight"].data, expected)


@torch.inference_mode()
def test_a_file_can_be_loaded_as_a_model(folder, file):
    ids = torch.tensor([PROMPT])
    assert torch.equal(olmoe.load(file).logits(ids), olmoe.load(folder).logits(ids))


TEXTS = [
    "Who signed the lease?  The landlord\n\n   did, he'd say: it's 1912!\t\r\n",
    "naïve 日本語 🎉 <|user|",
    " leading, trailing ",
    "a" * 40,
]


def test_llama_cpp_splits_texts_as_we_do(file):
    read = GgufSource(file).tokenizer()
    turns = [Turn("system", TEXTS[0]), Turn("user", TEXTS[1]), Turn("assistant", "Yes."), Turn("user", TEXTS[2])]
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    with llama(file) as theirs:
        for text in TEXTS:
            assert theirs.tokenize(text) == TINY.encode(text) == read.encode(text)
        prompt = theirs.post("/apply-template", {"messages": messages})["prompt"]
        assert theirs.tokenize(prompt, special=True) == TINY.chat(turns) == read.chat(turns)


@needs_real
def test_llama_cpp_splits_texts_as_olmoe_does(tmp_path):
    real = tokenizer_of("real")
    checkpoint(tmp_path / "hf", vocab_size=50304, eos_token_id=50279, hidden_size=32, num_hidden_layers=1)
    write_gguf(Checkpoint(tmp_path / "hf"), tmp_path / "model.gguf", real)
    with llama(tmp_path / "model.gguf") as theirs:
        for text in [*TEXTS, "A sample test", "Hi  Hello", "x" + " " * 30 + "y"]:
            assert theirs.tokenize(text) == real.encode(text)


REFUSED = {
    "norm_topk_prob": ({"norm_topk_prob": True}, "F32", "norm_topk_prob"),
    "clip_qkv": ({"clip_qkv": 8.0}, "F32", "clip_qkv"),
    "grouped keys": ({"num_key_value_heads": 2}, "F32", "num_key_value_heads"),
    "row width": ({"intermediate_size": 48}, "Q8_0", "Q8_0 wants intermediate_size = 48 to be a multiple of 32"),
    "small vocabulary": ({"vocab_size": 300}, "F32", "the model a vocabulary of 300"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_llama_cpp_would_compute_otherwise_is_refused(tmp_path, case):
    changes, kind, message = REFUSED[case]
    checkpoint(tmp_path / "hf", **changes)
    with pytest.raises(ModelError, match=message):
        write_gguf(Checkpoint(tmp_path / "hf"), tmp_path / "model.gguf", TINY, kind=kind)
    assert not (tmp_path / "model.gguf").exists()


def test_a_tokenizer_of_another_kind_is_refused(folder, tmp_path):
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}))
    with pytest.raises(ModelError, match="not OLMoE's byte-level BPE"):
        write_gguf(Checkpoint(folder), tmp_path / "model.gguf", Tokenizer(words, eos_id=0))


def test_an_unknown_kind_is_wrong_use(folder, tmp_path):
    with pytest.raises(UsageError, match="not as 'Q2_K'"):
        write_gguf(Checkpoint(folder), tmp_path / "model.gguf", TINY, kind="Q2_K")


def test_weights_beyond_float16_are_not_written_as_infinite(tmp_path):
    model = checkpoint(tmp_path / "hf")
    model.lm_head.weight.data[3, 3] = 1e6
    model.save_pretrained(tmp_path / "hf")
    with pytest.raises(ModelError, match=r"'output\.weight' has weights beyond the range of F16"):
        write_gguf(Checkpoint(tmp_path / "hf"), tmp_path / "model.gguf", TINY, kind="F16")
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_a_file_is_never_written_over(folder, tmp_path):
    (tmp_path / "model.gguf").write_text("mine")
    with pytest.raises(ModelError, match="exists already"):
        write_gguf(Checkpoint(folder), tmp_path / "model.gguf", TINY)
    assert (tmp_path / "model.gguf").read_text() == "mine"


def test_a_full_disk_leaves_nothing_behind(folder, tmp_path):
    """A limit on the size of files stands for it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(ModelError, match="cannot be written"):
            write_gguf(Checkpoint(folder), tmp_path / "model.gguf", TINY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def copied(file: Path, folder: Path) -> Path:
    copy = folder / "copy.gguf"
    copy.write_bytes(file.read_bytes())
    return copy


@pytest.mark.parametrize("left", [0, 3, 20, 200, 3_000, 10_000, 50_000])
def test_a_file_that_is_cut_short_says_so(file, tmp_path, left):
    copy = copied(file, tmp_path)
    os.truncate(copy, left)
    with pytest.raises(ModelError, match=r"damaged or incomplete|cannot be read") as caught:
        GgufSource(copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"GGUF\x03", b"GGML\x03", "is no GGUF file"),
        (b"\x05\x00\x00\x00\x00\x00\x00\x00olmoe", b"\x05\x00\x00\x00\x00\x00\x00\x00olmo2", "architecture olmo2"),
        (b"blk.1.ffn_up_exps", b"blk.1.ffn_up_shex", "lacks the tensor 'blk.1.ffn_up_exps.weight'"),
        (b"olmoe.block_count", b"olmoe.block_couns", "does not state olmoe.block_count"),
    ],
)
def test_a_file_of_another_model_says_so(file, tmp_path, old, new, message):
    copy = copied(file, tmp_path)
    data = copy.read_bytes()
    assert old in data
    copy.write_bytes(data.replace(old, new, 1))
    with pytest.raises(ModelError, match=message):
        GgufSource(copy)


def merge_of(file: Path) -> bytes:
    """The first merge, as it stands in the file."""
    first = gguf.GGUFReader(file).fields["tokenizer.ggml.merges"].contents()[0].encode()
    return len(first).to_bytes(8, "little") + first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data, merge: data.replace(merge, merge[:-1] + b"\x01"), "it merges .* into no token"),
        (lambda data, merge: data.replace(merge, merge.replace(b" ", b"_")), "of another kind"),
        (lambda data, merge: data.replace(b"ggml.merges", b"ggml.merged"), "lacks tokenizer.ggml.merges"),
        (lambda data, merge: data.replace(b"ggml.token_type", b"ggml.token_typo"), "lacks tokenizer.ggml.token_type"),
        # An array (9) of whole numbers (5) becomes one of floats (6).
        (
            lambda data, merge: data.replace(b"token_type\x09\0\0\0\x05", b"token_type\x09\0\0\0\x06"),
            "token_type is no list of int",
        ),
    ],
    ids=["unknown tokens", "no pair", "no merges", "no types", "no numbers"],
)
def test_a_damaged_tokenizer_says_so(file, tmp_path, change, message):
    copy = copied(file, tmp_path)
    before = copy.read_bytes()
    copy.write_bytes(change(before, merge_of(file)))
    assert len(before) == copy.stat().st_size
    assert before != copy.read_bytes()
    with pytest.raises(ModelError, match=message) as caught:
        GgufSource(copy).tokenizer()
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_no_utf_8_says_so(file, tmp_path):
    copy = copied(file, tmp_path)
    copy.write_bytes(copy.read_bytes().replace(b"<|padding|>", b"<|padd\xffng|>"))
    with pytest.raises(ModelError, match="damaged or incomplete"):
        GgufSource(copy)


def test_an_end_of_text_beyond_the_vocabulary_says_so(file, tmp_path):
    copy = copied(file, tmp_path)
    data = copy.read_bytes()
    value = data.index(b"tokenizer.ggml.eos_token_id") + len(b"tokenizer.ggml.eos_token_id") + 4
    copy.write_bytes(data[:value] + (400).to_bytes(4, "little") + data[value + 4 :])
    with pytest.raises(ModelError, match="eos_token_id = 400: it must be in the vocabulary"):
        GgufSource(copy)


@pytest.mark.parametrize("damage", [lambda path: os.truncate(path, path.stat().st_size - 5000), Path.unlink])
def test_a_file_that_changes_while_it_is_read_says_so(folder, file, tmp_path, damage):
    copy = copied(file, tmp_path)
    source = GgufSource(copy)
    damage(copy)
    with pytest.raises(ModelError, match=r"copy\.gguf (ends in the tensor|cannot be read)"):
        write_gguf(source, tmp_path / "again.gguf", TINY)
    assert not (tmp_path / "again.gguf").exists()


def test_an_array_longer_than_the_file_is_not_believed(file, tmp_path):
    copy = copied(file, tmp_path)
    data = copy.read_bytes()
    key = data.index(b"tokenizer.ggml.token_type") + len(b"tokenizer.ggml.token_type") + 8
    copy.write_bytes(data[:key] + (1 << 60).to_bytes(8, "little") + data[key + 8 :])
    with pytest.raises(ModelError, match="damaged or incomplete"):
        GgufSource(copy)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.gguf cannot be read: No such file"):
        GgufSource(tmp_path / "nothing.gguf")
