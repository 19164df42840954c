import json
import os

import pytest
import torch
from safetensors import safe_open

from seriatim.errors import ModelError
from seriatim.olmoe import int8
from seriatim.olmoe.checkpoint import Checkpoint
from seriatim.olmoe.int8.files import packed_from, read
from tests.olmoe.tiny import reference


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("SERIATIM_HOME", str(tmp_path / "home"))
    reference().save_pretrained(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def packed_folders(tmp_path):
    return sorted(path for path in (tmp_path / "home" / "int8").iterdir() if path.is_dir())


def test_a_checkpoint_is_packed_once(checkpoint, tmp_path):
    calls = []
    first = int8.load(checkpoint, progress=lambda *done: calls.append(done))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    second = int8.load(checkpoint, progress=lambda *done: calls.append(done))
    assert len(calls) == 3
    ids = torch.arange(20)[None]
    assert torch.equal(first.logits(ids), second.logits(ids))
    assert len(packed_folders(tmp_path)) == 1


def test_a_changed_checkpoint_is_packed_anew(checkpoint, tmp_path):
    ids = torch.arange(20)[None]
    before = int8.load(checkpoint).logits(ids)
    reference(seed=1).save_pretrained(checkpoint)
    after = int8.load(checkpoint).logits(ids)
    assert not torch.allclose(before, after, atol=1e-2)
    assert len(packed_folders(tmp_path)) == 1


def test_a_packed_folder_stands_alone(checkpoint, tmp_path):
    (checkpoint / "tokenizer.json").write_text("{}")
    int8.pack(Checkpoint(checkpoint), tmp_path / "packed")
    expected = int8.load(checkpoint).logits(torch.arange(20)[None])
    for file in checkpoint.iterdir():
        file.unlink()
    assert (tmp_path / "packed" / "tokenizer.json").read_text() == "{}"
    assert torch.equal(int8.load(tmp_path / "packed").logits(torch.arange(20)[None]), expected)


def test_tensors_are_aligned_and_readable_by_safetensors(checkpoint, tmp_path):
    int8.pack(Checkpoint(checkpoint), tmp_path / "packed")
    for file in (tmp_path / "packed").glob("*.safetensors"):
        header = int.from_bytes(file.read_bytes()[:8], "little")
        assert (8 + header) % 64 == 0
        with safe_open(file, "pt") as tensors:
            assert list(tensors.keys())
    _, ends, layers = read(tmp_path / "packed")
    assert all(layer.gate_up.panels.data_ptr() % 64 == 0 for layer in layers)
    assert ends.head.panels.dtype == torch.uint8


@pytest.mark.parametrize("cut", ["ends.safetensors", "layer-01.safetensors"])
def test_a_file_that_is_cut_short_is_named(checkpoint, tmp_path, cut):
    int8.pack(Checkpoint(checkpoint), tmp_path / "packed")
    os.truncate(tmp_path / "packed" / cut, 1000)
    with pytest.raises(ModelError, match=f"{cut} is cut short or was changed: pack the model again"):
        int8.load(tmp_path / "packed")


def test_a_damaged_header_is_named(checkpoint, tmp_path):
    int8.pack(Checkpoint(checkpoint), tmp_path / "packed")
    file = tmp_path / "packed" / "layer-02.safetensors"
    file.write_bytes(b"\xff" * 64 + file.read_bytes()[64:])
    with pytest.raises(ModelError, match=r"layer-02\.safetensors is damaged"):
        int8.load(tmp_path / "packed")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_key_value_heads", 2),
        ("vocab_size", 100_000),
        ("num_experts", 4),
        ("intermediate_size", 64),
        ("hidden_size", 128),
        ("num_hidden_layers", 2),
    ],
)
def test_a_config_of_another_model_is_refused(checkpoint, tmp_path, name, value):
    """The kernels take shapes on trust: a wrong one would read and write beyond the tensors."""
    int8.pack(Checkpoint(checkpoint), tmp_path / "packed")
    config = json.loads((tmp_path / "packed" / "config.json").read_text())
    (tmp_path / "packed" / "config.json").write_text(json.dumps({**config, name: value}))
    if name == "num_hidden_layers":
        assert len(int8.load(tmp_path / "packed")._layers) == 2
        return
    with pytest.raises(ModelError, match=r"does not hold '.*' as its config\.json calls for"):
        int8.load(tmp_path / "packed")


def test_a_checkpoint_that_changes_while_it_is_packed_is_not_trusted(checkpoint, tmp_path):
    def change(done, total):
        if done == 2:
            os.utime(checkpoint / "config.json", (1, 1))

    with pytest.raises(ModelError, match="changed while it was packed"):
        int8.load(checkpoint, progress=change)
    assert not packed_folders(tmp_path)


def test_what_a_killed_packing_left_is_removed(checkpoint, tmp_path):
    int8.load(checkpoint)
    [folder] = packed_folders(tmp_path)
    (folder.parent / f".{folder.name}-left").mkdir()
    os.truncate(folder / "layer-00.safetensors", 10)
    int8.load(checkpoint)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_another_format_is_refused(checkpoint, tmp_path):
    int8.pack(Checkpoint(checkpoint), tmp_path / "packed")
    manifest = json.loads((tmp_path / "packed" / "int8.json").read_text())
    (tmp_path / "packed" / "int8.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(ModelError, match="another version"):
        int8.load(tmp_path / "packed")


def test_a_damaged_copy_in_the_home_is_made_anew(checkpoint, tmp_path):
    expected = int8.load(checkpoint).logits(torch.arange(20)[None])
    [folder] = packed_folders(tmp_path)
    os.truncate(folder / "layer-00.safetensors", 10)
    assert packed_from(folder) is None
    assert torch.equal(int8.load(checkpoint).logits(torch.arange(20)[None]), expected)


def test_an_interrupted_packing_leaves_nothing(checkpoint, tmp_path):
    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        int8.load(checkpoint, progress=interrupt)
    assert not packed_folders(tmp_path)


def test_an_existing_folder_is_not_written_over(checkpoint, tmp_path):
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "mine").write_text("kept")
    with pytest.raises(ModelError, match="exists already"):
        int8.pack(Checkpoint(checkpoint), tmp_path / "packed")
    assert (tmp_path / "packed" / "mine").read_text() == "kept"


def test_sizes_that_do_not_fit_are_refused_before_anything_is_written(tmp_path):
    reference(intermediate_size=24).save_pretrained(tmp_path / "checkpoint")
    with pytest.raises(ModelError, match="intermediate_size to be a multiple of 32"):
        int8.pack(Checkpoint(tmp_path / "checkpoint"), tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
