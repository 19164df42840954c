from dataclasses import asdict
from pathlib import Path

import pytest

from seriatim.errors import UsageError
from seriatim.training.config import parts_each, read_config

WHOLE = """
[model]
hidden_size = 32
[data]
sources = ["a.txt"]
[schedule]
steps = 10
[optimizer]
learning_rate = 1
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "run.toml"
    file.write_text(text)
    return file


def test_tables_become_settings_and_the_recipe_fills_the_rest(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, WHOLE))
    assert config.model.hidden_size == 32
    assert config.data.sources == ("a.txt",)
    assert asdict(config.optimizer) == {
        "learning_rate": 1.0, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "clip": 1.0,
    }  # fmt: skip
    assert asdict(config.loss) == {"balancing": 0.01, "balancing_form": "trained", "z": 0.001, "z_form": "trained"}
    assert config.folder == tmp_path.resolve()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("hidden_size", "hiden_size", "model.hiden_size is no setting; did you mean model.hidden_size?"),
        ("[optimizer]", "[optimiser]", "optimiser is no setting; did you mean optimizer?"),
        ("steps = 10", "", "schedule.steps is missing"),
        ("steps = 10", "steps = 0", "schedule.steps = 0 must be at least 1"),
        ("steps = 10", "steps = true", "schedule.steps = True must be a whole number"),
        ("steps = 10", 'steps = "10"', "schedule.steps = '10' must be a whole number"),
        ('["a.txt"]', '"a.txt"', "data.sources = 'a.txt' must be a list of strings"),
        ('sources = ["a.txt"]', "", "the data are either"),
        ("[model]\nhidden_size = 32", "model = 3", "model must be a table: [model]"),
        ("[optimizer]", '[loss]\nz_form = "x"\n[optimizer]', "loss.z_form = 'x' must be one of trained, paper"),
        ("[optimizer]", "[run]\naccumulate = 3\n[optimizer]", "must divide run.batch_size = 8"),
        ("[schedule]", "[schedule", "is not TOML"),
        ("steps = 10", "steps = 10\nwarmup_steps = -1", "schedule.warmup_steps = -1 must be at least 0"),
        ("steps = 10", "steps = 10\nanneal_steps = 11", "must not be more together than schedule.steps = 10"),
        ("steps = 10", "steps = 10\nfinal_share = 2", "schedule.final_share = 2.0 must be at least 0 and at most 1"),
        ("learning_rate = 1", "beta1 = 2", "optimizer.beta1 = 2.0 must be at least 0 and less than 1"),
        ("learning_rate = 1", "beta2 = 1", "optimizer.beta2 = 1.0 must be at least 0 and less than 1"),
        ("learning_rate = 1", "learning_rate = nan", "optimizer.learning_rate = nan must be a finite number"),
        ("learning_rate = 1", "weight_decay = -1", "optimizer.weight_decay = -1.0 must be at least 0"),
        ("[optimizer]", "[run]\nvalidate_every = -3\n[optimizer]", "run.validate_every = -3 must be at least 0"),
        ("[optimizer]", "[run]\nseed = -1\n[optimizer]", "run.seed = -1 must be at least 0"),
        ("hidden_size = 32", f"hidden_size = {10**20}", "model.hidden_size = 100000000000000000000 must be at most"),
        ("[optimizer]", "[loss]\nz = -1\n[optimizer]", "loss.z = -1.0 must be at least 0"),
        ('["a.txt"]', '["a.txt"]\nvalidation = 1', "data.validation = 1.0 must be at least 0 and at most 0.5"),
        (
            "[model]",
            '[model]\nstart = "run/last"',
            "model.hidden_size must be left out",
        ),
        ("[model]", '[model]\nrouting = "expert_choice"', "loss.balancing must be 0"),
    ],
)
def test_a_setting_that_is_none_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in WHOLE
    with pytest.raises(UsageError) as caught:
        read_config(written(tmp_path, WHOLE.replace(old, new)))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("accumulate", "processes", "parts"), [(1, 1, 1), (6, 1, 6), (6, 2, 3), (6, 6, 1), (6, 12, 1), (1, 4, 1), (6, 7, 1)]
)
def test_parts_are_shared_out_among_processes(accumulate: int, processes: int, parts: int) -> None:
    assert parts_each(accumulate, processes) == parts


def test_parts_that_cannot_be_shared_evenly_are_refused() -> None:
    with pytest.raises(UsageError, match=r"run\.accumulate = 6 parts .* 4 processes: set it to a multiple of 4"):
        parts_each(6, 4)
