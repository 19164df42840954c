"""Checkpoints: what transformers saves we read, what we save it reads, and what is damaged says so."""

import copy
import json
import os
import resource
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from seriatim import olmoe
from seriatim.errors import ModelError, UsageError
from seriatim.olmoe import int8
from seriatim.olmoe.checkpoint import Checkpoint, load_float32
from seriatim.olmoe.saving import write_checkpoint
from tests.olmoe.tiny import ours, reference

PUBLISHED = os.environ.get("SERIATIM_OLMOE")  # read here, since no test sees the developer's own settings

IDS = torch.randint(0, 96, (2, 24), generator=torch.Generator().manual_seed(0))


def saved(folder: Path, *, fused: bool = False, shards: bool = False, dtype=torch.float32, **changes):
    """transformers' model in `folder`; what it returns has weights that the stored type holds exactly."""
    model = reference(**changes)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype).float()
    # A copy: its rotary frequencies lose digits together with its weights.
    stored = copy.deepcopy(model).to(dtype)
    stored.save_pretrained(folder, save_original_format=not fused, max_shard_size="150KB" if shards else "1GB")
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("shards", [False, True], ids=["one file", "shards"])
@pytest.mark.parametrize("fused", [False, True], ids=["each expert", "fused"])
@torch.inference_mode()
def test_what_transformers_saves_gives_its_logits(tmp_path, fused, shards, dtype):
    theirs = saved(tmp_path, fused=fused, shards=shards, dtype=dtype)
    checkpoint = Checkpoint(tmp_path)
    assert (len(checkpoint.files) > 1) == shards
    assert {checkpoint.dtype(name) for name in theirs.state_dict()} == {dtype}
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(checkpoint.tensor(name).float(), tensor), name
    assert (olmoe.load(tmp_path).logits(IDS) - theirs(IDS).logits).abs().max() < 1e-5


@pytest.mark.parametrize("stored_head", [False, True])
@torch.inference_mode()
def test_a_tied_head_is_the_embedding_whether_it_is_stored_or_not(tmp_path, stored_head):
    theirs = saved(tmp_path, tie_word_embeddings=True)
    if stored_head:
        edit(tmp_path, lambda tensors: tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()})
    checkpoint = Checkpoint(tmp_path)
    assert torch.equal(checkpoint.tensor("lm_head.weight"), theirs.lm_head.weight)
    model = load_float32(checkpoint)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert (model.logits(IDS) - theirs(IDS).logits).abs().max() < 1e-5


@pytest.mark.parametrize("shard_bytes", [1 << 30, 100_000], ids=["one file", "shards"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@torch.inference_mode()
def test_what_is_saved_gives_the_same_logits_in_transformers(tmp_path, shard_bytes, tied, dtype):
    model = ours(reference(tie_word_embeddings=tied))
    olmoe.save(model, tmp_path / "saved", dtype=dtype, shard_bytes=shard_bytes)
    assert transformers.AutoConfig.from_pretrained(tmp_path / "saved").dtype == dtype
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32)
    again = olmoe.load(tmp_path / "saved")
    assert again.config == model.config
    assert (again.logits(IDS) - theirs(IDS).logits).abs().max() < 1e-5
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor.to(dtype).float()), name
    index = tmp_path / "saved" / "model.safetensors.index.json"
    assert index.exists() == (shard_bytes < 1 << 30)


def test_tokenizer_files_go_along(tmp_path):
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "tokenizer.json").write_text("{}")
    olmoe.save(ours(reference()), tmp_path / "saved", tokenizer=tmp_path / "from")
    assert (tmp_path / "saved" / "tokenizer.json").read_text() == "{}"


def test_a_loaded_model_can_be_trained(tmp_path):
    saved(tmp_path)
    model = olmoe.load(tmp_path)
    model(IDS).logits_BTV.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def edit(folder: Path, change, file: str = "model.safetensors") -> None:
    save_file(change(load_file(folder / file)), folder / file)


def edit_json(folder: Path, change, file: str = "config.json") -> None:
    (folder / file).write_text(json.dumps(change(json.loads((folder / file).read_text()))))


def cut(path: Path, size: int) -> None:
    os.truncate(path, path.stat().st_size - size)


UP = "model.layers.1.mlp.experts.3.up_proj.weight"
DAMAGED = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), "config.json cannot be read"),
    "another architecture": (
        lambda f: edit_json(f, lambda c: c | {"model_type": "olmo2", "architectures": ["Olmo2ForCausalLM"]}),
        "Olmo2ForCausalLM",
    ),
    "OLMo-core's model": (
        lambda f: (f / "config.json").write_text(json.dumps({"model": {"d_model": 2048, "block": {"name": "moe"}}})),
        "only OlmoeForCausalLM",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "neither model.safetensors nor"),
    "pickles": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "pickles only, which can run code",
    ),
    "int8": (
        lambda f: (f / "model.safetensors").rename(f / "ends.safetensors") and (f / "int8.json").write_text("{}"),
        "holds a model in int8",
    ),
    "cut short": (lambda f: cut(f / "model.safetensors", 100), "model.safetensors is damaged or incomplete"),
    "cut in its header": (
        lambda f: os.truncate(f / "model.safetensors", 300),
        "model.safetensors is damaged or incomplete",
    ),
    "empty": (lambda f: os.truncate(f / "model.safetensors", 0), "model.safetensors is damaged or incomplete"),
    "another format": (
        lambda f: (f / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
        "model.safetensors is damaged or incomplete",
    ),
    "a missing tensor": (lambda f: edit(f, lambda t: {n: t[n] for n in t if n != UP}), f"lacks tensor '{UP}'"),
    "an unexpected tensor": (
        lambda f: edit(f, lambda t: t | {"blocks.0.attention.w_q.weight": t[UP].clone()}),
        "holds tensor 'blocks.0.attention.w_q.weight'",
    ),
    "a layer too many": (lambda f: edit_json(f, lambda c: c | {"num_hidden_layers": 2}), "tensors, among them"),
    "another shape": (
        lambda f: edit(f, lambda t: t | {UP: t[UP][:-1].clone()}),
        rf"'{UP}' in .* has the shape \[31, 64\], and by config.json it is \[32, 64\]",
    ),
    "another width": (lambda f: edit_json(f, lambda c: c | {"vocab_size": 100}), "'model.embed_tokens.weight' in"),
    "quantised": (lambda f: edit(f, lambda t: t | {UP: t[UP].to(torch.int8)}), f"'{UP}' in .* is stored as I8"),
    "two types in one layer": (
        lambda f: edit(f, lambda t: t | {UP: t[UP].half()}),
        f"'{UP}' in .* is stored in another type",
    ),
    "a head that is not tied": (
        lambda f: edit_json(f, lambda c: c | {"tie_word_embeddings": True}),
        "ties 'lm_head.weight' to the embedding, and the stored two differ",
    ),
}


@pytest.fixture(scope="module", name="whole")
def whole_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    saved(folder)
    return folder


@pytest.fixture(scope="module", name="sharded")
def sharded_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    saved(folder, shards=True)
    return folder


def refuses(folder: Path, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Checkpoint(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_checkpoint_says_what_is_wrong_with_it(whole, tmp_path, case):
    folder = Path(shutil.copytree(whole, tmp_path / "copy"))
    damage, message = DAMAGED[case]
    damage(folder)
    refuses(folder, message)


INDEX = "model.safetensors.index.json"
FIRST = r"model-00001-of-\d+\.safetensors"


def first(folder: Path) -> Path:
    return min(folder.glob("model-*.safetensors"))


def move(folder: Path, file: str) -> None:
    """Say in the index that `file` holds a tensor."""
    edit_json(folder, lambda index: index | {"weight_map": index["weight_map"] | {UP: file}}, INDEX)


def move_elsewhere(folder: Path) -> None:
    files = json.loads((folder / INDEX).read_text())["weight_map"]
    move(folder, next(file for file in files.values() if file != files[UP]))


DAMAGED_SHARDS = {
    "a missing shard": (lambda f: first(f).unlink(), f"lacks {FIRST}"),
    "a shard cut short": (lambda f: cut(first(f), 1), f"{FIRST} is damaged or incomplete"),
    "a path out of the folder": (lambda f: move(f, f"../copy/{first(f).name}"), "only safetensors files beside it"),
    "an absolute path": (lambda f: move(f, str(first(f))), "only safetensors files beside it"),
    "a pickle": (lambda f: move(f, "model.bin"), "only safetensors files beside it"),
    "a tensor in another file": (move_elsewhere, f"'{UP}' is not in .*model-.*, where {INDEX} has it"),
    "an index without a map": (lambda f: (f / INDEX).write_text("{}"), "holds no weight_map"),
    "an index that is no JSON": (lambda f: (f / INDEX).write_text("{"), "holds no weight_map"),
    "an index of no strings": (lambda f: (f / INDEX).write_text('{"weight_map": {"a": 1}}'), "does not name files"),
    "a tensor twice": (
        lambda f: [
            edit(f, lambda t: t | {"lm_head.weight": torch.ones(1)}, file.name)
            for file in f.glob("model-*")
            if file.suffix == ".safetensors"
        ],
        "tensor 'lm_head.weight' is in .* and in",
    ),
}


@pytest.mark.parametrize("case", DAMAGED_SHARDS)
def test_damaged_shards_say_what_is_wrong_with_them(sharded, tmp_path, case):
    folder = Path(shutil.copytree(sharded, tmp_path / "copy"))
    damage, message = DAMAGED_SHARDS[case]
    damage(folder)
    refuses(folder, message)


def test_what_is_no_folder_is_refused(tmp_path):
    refuses(tmp_path / "nothing", "is no folder")


def test_an_unknown_dtype_is_wrong_use(whole):
    with pytest.raises(UsageError, match="float32 or int8"):
        olmoe.load(whole, dtype="int3")


def test_an_int8_model_is_no_checkpoint_any_more(tmp_path):
    with pytest.raises(ModelError, match="only a float32 model can be saved"):
        olmoe.save(int8.random_model(ours(reference()).config), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_saving_never_writes_over_files(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="exists already"):
        olmoe.save(ours(reference()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_save_that_fails_leaves_nothing_behind(whole, tmp_path):
    """A limit on the size of files stands for a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(ModelError, match="cannot be written: File too large"):
            write_checkpoint(Checkpoint(whole), tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_fails_leaves_nothing_behind(whole, tmp_path):
    folder = Path(shutil.copytree(whole, tmp_path / "source"))
    checkpoint = Checkpoint(folder)
    cut(folder / "model.safetensors", 100)
    with pytest.raises(ModelError, match="damaged or incomplete"):
        write_checkpoint(checkpoint, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.skipif(not PUBLISHED, reason="SERIATIM_OLMOE names no folder with OLMoE-1B-7B-0924")
@torch.inference_mode()
def test_the_real_weights_give_the_published_logits():
    """Targets of transformers' own tests for allenai/OLMoE-1B-7B-0924."""
    logits = olmoe.load(PUBLISHED).logits(torch.tensor([[1, 306, 4658, 278, 6593, 310, 2834, 338]]))
    means = torch.tensor([-1.3814, -3.4450, -2.2990, -1.9542, -2.4387, -2.7941, -2.9312, -2.8309])
    assert (logits[0].mean(-1) - means).abs().max() < 1e-2
    assert (logits[0, 0, :5] - torch.tensor([-2.3874, -2.4076, -2.4995, 4.2278, 1.4004])).abs().max() < 1e-2
