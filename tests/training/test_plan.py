"""What a run would take: the paper's own figures, and what follows from sharing out."""

from pathlib import Path

import pytest
import torch

from seriatim.errors import UsageError
from seriatim.olmoe import experts, grouped
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.model import Olmoe
from seriatim.training.config import (
    DataSettings,
    LossSettings,
    ModelSettings,
    ScheduleSettings,
    TrainConfig,
    model_config,
    read_config,
)
from seriatim.training.losses import step_losses
from seriatim.training.plan import HARDWARE, Estimate, estimate, flops_a_token, kept_a_token

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
    assert takes(config, 256, expert_parallel=8).copies_bytes < many.copies_bytes
    assert takes(config, 256, hardware="a100").days > many.days
    assert takes(config, 1).wire_bytes == 0


def test_experts_that_every_processor_shares_in_one_group_are_not_gathered(config: TrainConfig) -> None:
    shared = 16 * 64 * 3 * 2048 * 1024
    rest = 6_919_161_856 - shared
    gathered = rest * 7 / 8
    rows = 128 * 4096 * 8 * 16 * 7 / 8
    assert takes(config, 8, expert_parallel=8).wire_bytes == pytest.approx((2 + 2 + 4) * gathered + 4 * rows * 2048 * 2)
    apart = takes(config, 16, expert_parallel=8).wire_bytes - takes(config, 16, expert_parallel=16).wire_bytes
    fewer_rows = 64 * 4096 * 8 * 16 * (15 / 16 - 7 / 8)
    assert apart == pytest.approx(8 * shared / 8 * (1 - 8 / 16) - 4 * fewer_rows * 2048 * 2)


@pytest.mark.parametrize(("key_value_heads", "tied"), [(4, False), (2, True)])
def test_what_is_kept_for_the_backward_pass_is_what_pytorch_keeps(
    key_value_heads: int, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU in bfloat16: by one grouped product. The weights' copies are told by their sizes, which no tensor of
    90 tokens has."""
    model = OlmoeConfig(
        vocab_size=200, hidden_size=256, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=key_value_heads, num_experts=16, num_experts_per_tok=4, max_position_embeddings=45,
        tie_word_embeddings=tied,
    )  # fmt: skip
    monkeypatch.setattr(
        experts,
        "grouped_swiglu",
        lambda rows, weights, gate_up, down, counts: grouped._on_gpu(
            rows.bfloat16(), weights, gate_up.bfloat16(), down.bfloat16(), counts
        ),
    )
    made = Olmoe(model)
    here = {each.untyped_storage().data_ptr() for each in made.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in here:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.randint(200, (2, 45))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        _losses = step_losses(made, ids, ids, LossSettings())
    sizes = {each.numel() for each in made.parameters() if each.dim() > 1}
    copies = sum(2 * each.numel() for each in kept.values() if each.numel() in sizes)
    activations = sum(each.untyped_storage().nbytes() for each in kept.values() if each.numel() not in sizes)
    assert activations / 90 == pytest.approx(kept_a_token(model, 2), rel=0.03)
    one = TrainConfig(
        model=ModelSettings(), data=DataSettings(shards="x", sequence_length=45), schedule=ScheduleSettings(steps=1)
    )
    assert estimate(model, one, 1, HARDWARE["h100"]).copies_bytes == pytest.approx(copies, rel=0.01)


@pytest.mark.parametrize(("processors", "expert_parallel"), [(3, 1), (4, 3), (1, 2)])
def test_what_cannot_be_shared_out_is_said(config: TrainConfig, processors: int, expert_parallel: int) -> None:
    with pytest.raises(UsageError):
        takes(config, processors, expert_parallel)
