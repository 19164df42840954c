"""What a run would take: the paper's own figures, and what follows from sharing out."""

from pathlib import Path

import pytest

from seriatim.errors import UsageError
from seriatim.training.config import TrainConfig, model_config, read_config
from seriatim.training.plan import HARDWARE, Estimate, estimate, flops_a_token

FILE = Path(__file__).resolve().parents[2] / "configs" / "olmoe-1b-7b.toml"


@pytest.fixture
def config() -> TrainConfig:
    return read_config(FILE)


def takes(config: TrainConfig, processors: int, expert_parallel: int = 1, hardware: str = "h100") -> Estimate:
    model = model_config(config.model, config.data.sequence_length, 0, 0, None)
    return estimate(model, config, processors, HARDWARE[hardware], expert_parallel)


def test_the_published_model_and_what_its_paper_measured(config: TrainConfig) -> None:
    found = takes(config, 256)
    assert (found.parameters, found.active_parameters) == (6_919_161_856, 1_282_017_280)
    # arXiv 2409.02060, appendix: 23,600 tokens/s a GPU on 256 H100, about 10 days.
    assert found.tokens_per_s == pytest.approx(23_600, rel=0.2)
    assert found.days == pytest.approx(10, rel=0.2)
    assert found.memory_bytes < HARDWARE["h100"].memory_bytes


def test_operations_are_six_a_weight_and_attention(config: TrainConfig) -> None:
    model = model_config(config.model, 4096, 0, 0, None)
    head_and_blocks = 1_282_017_280 - 50_304 * 2048
    assert flops_a_token(model, 4096) == pytest.approx(6 * head_and_blocks + 6 * 16 * 4096 * 2048)


def test_more_processors_keep_less_each_and_are_done_sooner(config: TrainConfig) -> None:
    few, many = takes(config, 64), takes(config, 256)
    assert many.state_bytes == pytest.approx(few.state_bytes / 4)
    assert many.days < few.days
    assert takes(config, 256, expert_parallel=8).gathered_bytes < many.gathered_bytes
    assert takes(config, 256, hardware="a100").days > many.days
    assert takes(config, 1).wire_bytes == 0


@pytest.mark.parametrize(("processors", "expert_parallel"), [(3, 1), (4, 3), (1, 2)])
def test_what_cannot_be_shared_out_is_said(config: TrainConfig, processors: int, expert_parallel: int) -> None:
    with pytest.raises(UsageError):
        takes(config, processors, expert_parallel)
