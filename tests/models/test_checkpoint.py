import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seriatim.errors import ModelError
from seriatim.models.checkpoint import inspect
from seriatim.olmoe import int8
from seriatim.olmoe.checkpoint import Checkpoint
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.saving import save
from tests.models.olmoe_folder import make_checkpoint, make_config
from tests.olmoe.conftest import one_thread  # noqa: F401


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


def test_the_parts_are_what_the_model_holds(folder: Path) -> None:
    info = inspect(folder)

    model = Olmoe(Checkpoint(folder).config)
    layers = model.model.layers
    projections = [p for layer in layers for name, p in layer.self_attn.named_parameters() if "_proj" in name]
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert info.parts == {
        "embeddings": 4 * model.model.embed_tokens.weight.numel(),
        "attention": 4 * sum(projection.numel() for projection in projections),
        "router": 4 * sum(layer.mlp.gate.weight.numel() for layer in layers),
        "experts": 4 * sum(p.numel() for layer in layers for p in layer.mlp.experts.parameters()),
        "head": 4 * model.lm_head.weight.numel(),
        "norms": 4 * sum(p.numel() for p in model.parameters() if p.dim() == 1),
    }
    assert (info.layers, info.heads, info.experts, info.experts_used) == (3, 4, 8, 2)


def test_an_int8_folder_is_a_quarter_of_it(folder: Path, tmp_path: Path) -> None:
    int8.pack(Checkpoint(folder), tmp_path / "int8")

    packed, plain = inspect(tmp_path / "int8"), inspect(folder)

    assert (packed.dtype, packed.missing, packed.parameters) == ("int8", (), plain.parameters)
    assert packed.parts["experts"] < 0.35 * plain.parts["experts"]
    assert all(size > 0 for size in packed.parts.values())
    assert set(packed.parts) == set(plain.parts)


def test_missing_shards_are_named(folder: Path, tmp_path: Path) -> None:
    model = Olmoe(Checkpoint(folder).config)
    save(model, tmp_path / "sharded", shard_bytes=100_000, dtype=torch.bfloat16)
    whole = inspect(tmp_path / "sharded")
    gone = sorted((tmp_path / "sharded").glob("*.safetensors"))[1]
    gone.unlink()

    info = inspect(tmp_path / "sharded")

    assert info.missing == (gone.name,)
    assert info.parts == whole.parts
    assert (info.dtype, info.tokenizer) == ("bfloat16", False)


def test_a_folder_without_weights_says_which_are_missing(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())

    info = inspect(make_config(tmp_path / "bare", **config | {"torch_dtype": "bfloat16"}))

    assert info.missing == ("model.safetensors",)
    assert sum(info.parts.values()) == 2 * info.parameters
    assert info.file_bytes == 0


OUTSIDE = "../tiny/model.safetensors"


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "int8.json"])
@pytest.mark.parametrize(
    "names",
    [*map(json.dumps, ([], {}, 3, None, ["x"], {"a": 3}, {"a": ["x"]}, {"a": OUTSIDE}, {OUTSIDE: 1})), "nonsense"],
)
def test_a_damaged_listing_is_told(folder: Path, tmp_path: Path, name: str, names: str) -> None:
    bare = make_config(tmp_path / "bare", **json.loads((folder / "config.json").read_text()))
    shutil.copytree(folder, tmp_path / "tiny")
    (bare / name).write_text(f'{{"weight_map": {names}, "files": {names}}}')

    with pytest.raises(ModelError, match=name.replace(".", r"\.")) as caught:
        inspect(bare)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda whole: whole[:-1], lambda whole: whole[:300], lambda whole: b"version 1"])
def test_a_damaged_file_is_told(folder: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "model.safetensors").write_bytes(damage((folder / "model.safetensors").read_bytes()))

    with pytest.raises(ModelError, match=r"model\.safetensors is damaged or incomplete"):
        inspect(copy)


def test_no_torch_is_needed(folder: Path) -> None:
    probe = (
        "import sys\nsys.modules['torch'] = None\nfrom seriatim.models.checkpoint import inspect\ninspect(sys.argv[1])"
    )
    assert subprocess.run([sys.executable, "-c", probe, str(folder)]).returncode == 0
