from pathlib import Path

import pytest

from seriatim.errors import UsageError
from seriatim.training.config import read_settings
from seriatim.training.tune_config import DpoConfig, SftConfig

WHOLE = """
[model]
start = "olmoe"
[data]
train = "rows.jsonl"
[run]
batch_size = 8
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "tune.toml"
    file.write_text(text)
    return file


def test_the_papers_recipes_fill_what_is_left_out(tmp_path: Path) -> None:
    sft = read_settings(written(tmp_path, WHOLE), SftConfig)
    assert (sft.run.learning_rate, sft.run.epochs, sft.run.warmup_share, sft.run.weight_decay) == (2e-5, 2.0, 0.03, 0.0)
    assert (sft.run.batch_size, sft.run.balancing, sft.lora, sft.data.max_length) == (8, 0.0, None, 4096)
    assert sft.folder == tmp_path.resolve()
    dpo = read_settings(written(tmp_path, WHOLE.replace("batch_size = 8", "")), DpoConfig)
    assert (dpo.run.learning_rate, dpo.run.epochs, dpo.run.batch_size, dpo.run.beta) == (5e-7, 3.0, 32, 0.1)


def test_a_table_turns_low_rank_changes_on(tmp_path: Path) -> None:
    lora = read_settings(written(tmp_path, WHOLE + "[lora]\nrank = 4"), SftConfig).lora
    assert lora is not None
    assert (lora.rank, lora.alpha, lora.attention) == (4, 32, False)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("start", "strat", "model.strat is no setting; did you mean model.start?"),
        ("[run]", "[lora]\nrnak = 3\n[run]", "lora.rnak is no setting; did you mean lora.rank?"),
        ("[run]", "[lora]\nrank = 0\n[run]", "lora.rank = 0 must be at least 1"),
        ("[data]", "lora = 3\n[data]", "is no setting"),
        ("batch_size = 8", "beta = 0.2", "run.beta is no setting"),
        ("batch_size = 8", "batch_size = 8\naccumulate = 3", "run.accumulate = 3 must divide run.batch_size = 8"),
        ("batch_size = 8", f"batch_size = {10**20}", "run.batch_size = 100000000000000000000 must be at most"),
        ("batch_size = 8", "epochs = 1e300", "run.epochs = 1e+300 must be at least 0 and at most 10000"),
        ("batch_size = 8", "warmup_share = 1", "run.warmup_share = 1.0 must be less than 1"),
        ("batch_size = 8", "validate_every = 5", "held-out loss takes both"),
        ('start = "olmoe"', "", "model.start is missing"),
    ],
)
def test_a_setting_that_is_none_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in WHOLE
    with pytest.raises(UsageError) as caught:
        read_settings(written(tmp_path, WHOLE.replace(old, new, 1)), SftConfig)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
