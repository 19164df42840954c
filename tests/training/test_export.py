import json
from pathlib import Path

import pytest
import torch

from seriatim import olmoe
from seriatim.errors import ModelError, TrainingError
from seriatim.olmoe.tokenizer import CHAT_TEMPLATE, Tokenizer
from seriatim.training.export import export
from tests.olmoe.conftest import one_thread  # noqa: F401
from tests.olmoe.tiny import checkpoint, reference


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What pretraining leaves."""
    checkpoint(tmp_path / "run" / "checkpoints" / "step-0000002", num_hidden_layers=1)
    (tmp_path / "run" / "last").symlink_to("checkpoints/step-0000002")
    (tmp_path / "run" / "last" / "optimizer.safetensors").write_bytes(b"state")
    return tmp_path / "run"


def tuned(folder: Path, seed: int) -> Path:
    """What tuning all weights leaves: a balancing loss turned off in the config is of the run, not of the model."""
    checkpoint(folder / "start", num_hidden_layers=1)
    newest = folder / "tuned" / "checkpoints" / "checkpoint-10"
    model = reference(seed, num_hidden_layers=1, vocab_size=400, eos_token_id=0, router_aux_loss_coef=0.0)
    model.save_pretrained(newest)
    (newest / "trainer_state.json").write_text("{}")
    state = {"format": 1, "kind": "sft", "start": str(folder / "start"), "lora": None}
    (folder / "tuned" / "tune.json").write_text(json.dumps(state))
    return folder / "tuned"


def test_a_pretrained_model_is_exported_without_the_training_state(run: Path, tmp_path: Path) -> None:
    written = export(run, tmp_path / "model", gguf=True)
    assert written == [tmp_path / "model", tmp_path / "model.gguf"]
    assert sorted(path.name for path in written[0].iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    one, other = (olmoe.load(path).state_dict() for path in (run / "last", written[0]))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_tuned_model_has_its_starts_config_and_a_chat_template(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="tuning needs TRL: pip install '.[tune]'")
    run = tuned(tmp_path, seed=5)
    export(run, tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["router_aux_loss_coef"] == 0.01
    assert Tokenizer.from_folder(tmp_path / "start").chat_template is None
    assert Tokenizer.from_folder(tmp_path / "model").chat_template == CHAT_TEMPLATE
    one = olmoe.load(run / "checkpoints" / "checkpoint-10").state_dict()
    assert all(torch.equal(one[name], tensor) for name, tensor in olmoe.load(tmp_path / "model").state_dict().items())


def test_a_template_that_is_there_stays(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="tuning needs TRL: pip install '.[tune]'")
    run = tuned(tmp_path, seed=5)
    own = CHAT_TEMPLATE + "{# of its own #}"
    (tmp_path / "start" / "chat_template.jinja").write_text(own)
    export(run, tmp_path / "model")
    assert Tokenizer.from_folder(tmp_path / "model").chat_template == own


def test_nothing_is_written_over_or_made_of_nothing(run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"mine")
    with pytest.raises(TrainingError, match=r"model\.gguf exists already"):
        export(run, tmp_path / "model", gguf=True)
    assert not (tmp_path / "model").exists()
    with pytest.raises(TrainingError, match="nowhere holds no checkpoint"):
        export(tmp_path / "nowhere", tmp_path / "model")
    (run / "last").unlink()
    with pytest.raises(TrainingError, match="holds no checkpoint"):
        export(run, tmp_path / "model")


def test_where_no_gguf_file_can_be_made_no_folder_is_left(run: Path, tmp_path: Path) -> None:
    config = run / "last" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"clip_qkv": 8.0}))
    with pytest.raises(ModelError, match="clip_qkv"):
        export(run, tmp_path / "model", gguf=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert export(run, tmp_path / "model") == [tmp_path / "model"]


def test_a_run_that_has_kept_nothing_yet(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="tuning needs TRL: pip install '.[tune]'")
    run = tuned(tmp_path, seed=5)
    (run / "checkpoints" / "checkpoint-10" / "trainer_state.json").unlink()
    with pytest.raises(TrainingError, match="has no checkpoint yet"):
        export(run, tmp_path / "model")
