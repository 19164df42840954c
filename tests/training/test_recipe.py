"""Steps of a run against gradients and an AdamW written out by hand. The losses of a run would not tell: AdamW and the
clip hide a gradient that is too large by a factor."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seriatim.olmoe.losses import balancing_loss, z_loss
from seriatim.olmoe.model import Olmoe
from seriatim.training import loop
from seriatim.training.beginning import new_model
from seriatim.training.config import (
    LossSettings,
    ModelSettings,
    OptimizerSettings,
    Recipe,
    RunSettings,
    ScheduleSettings,
)
from seriatim.training.data.batches import IGNORED, Batch
from seriatim.training.metrics import read_metrics
from seriatim.training.minidag.vocabulary import TOKENS, tokenizer
from tests.olmoe.conftest import one_thread  # noqa: F401
from tests.training.test_loop import weights

K, LEARNED = 2, (1, 7, 0, 3)
"""Experts a token, and how many tokens are learned from in each sequence of a batch."""


@dataclass(frozen=True)
class Given:
    """A batch of random ids for each step."""

    tokenizer: Path
    sequence_length: int = 8
    vocabulary: int = len(TOKENS)
    eos_id: int = 0
    pad_id: int | None = None
    digest: str = ""
    held_out: tuple[Batch, ...] = ()

    def batch(self, step: int) -> Batch:
        ids = np.random.default_rng(step).integers(self.vocabulary, size=(len(LEARNED), self.sequence_length + 1))
        learned = np.arange(self.sequence_length) < np.array(LEARNED)[:, None]
        return Batch(ids[:, :-1], np.where(learned, ids[:, 1:], IGNORED))


@pytest.fixture
def data(tmp_path: Path) -> Given:
    (tmp_path / "tokenizer").mkdir()
    tokenizer().write(tmp_path / "tokenizer")
    return Given(tmp_path / "tokenizer")


CONFIG = Recipe(
    model=ModelSettings(
        hidden_size=16, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2, num_experts=4,
        num_experts_per_tok=K, initializer_range=0.3,
    ),
    schedule=ScheduleSettings(steps=3, final_share=1.0),
    run=RunSettings(batch_size=len(LEARNED)),
)  # fmt: skip


def tensors(batch: Batch) -> tuple[Tensor, Tensor]:
    ids, labels = (torch.from_numpy(each).long() for each in batch)
    return ids, labels


def loss_by_hand(model: Olmoe, batch: Batch, settings: LossSettings, parts: int) -> Tensor:
    """The mean over the learned tokens of the whole batch, and the auxiliary losses, which are of each part."""
    ids, labels = tensors(batch)
    total = F.cross_entropy(model(ids).logits_BTV.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    for part in ids.chunk(parts):
        routed = {"router_logits": model(part).router_logits, "experts_per_token": K}
        total += settings.balancing * balancing_loss(**routed, form=settings.balancing_form) / parts
        total += settings.z * z_loss(**routed, form=settings.z_form) / parts
    return total


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_every_learned_token_counts_alike_in_the_gradient_whatever_the_parts(
    data: Given, tmp_path: Path, accumulate: int
) -> None:
    """Parts with 8 and 3 tokens to learn, or 1, 7, 0 and 3."""
    config = replace(CONFIG, run=replace(CONFIG.run, accumulate=accumulate), loss=LossSettings(balancing=0.5, z=0.1))
    loop.train(config, data, tmp_path / "run", steps=1)
    model = new_model(config, data)
    loss_by_hand(model, data.batch(0), config.loss, accumulate).backward()
    norm = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None]).norm()
    [row] = read_metrics(tmp_path / "run")
    assert row["gradient_norm"] == pytest.approx(float(norm), rel=1e-5)
    ids, labels = tensors(data.batch(0))
    entropy = F.cross_entropy(new_model(config, data)(ids).logits_BTV.flatten(0, 1), labels.flatten())
    assert row["loss"] == pytest.approx(entropy.item(), rel=1e-5)
    assert row["learned_tokens"] == sum(LEARNED)


def test_three_steps_are_those_of_adamw_with_decay_on_everything(data: Given, tmp_path: Path) -> None:
    """Settings that are not the recipe's, so that each is seen: the clip is at work, epsilon is as large as gradients
    are, and the weights of norms decay as all others do."""
    settings = OptimizerSettings(learning_rate=1e-2, beta1=0.7, beta2=0.8, eps=1e-2, weight_decay=0.5, clip=0.3)
    config = replace(CONFIG, optimizer=settings, run=replace(CONFIG.run, accumulate=2))
    loop.train(config, data, tmp_path / "run")
    assert min(row["gradient_norm"] for row in read_metrics(tmp_path / "run")) > 2 * settings.clip

    model = new_model(config, data)
    named = dict(model.named_parameters())
    first, second = ({name: torch.zeros_like(each) for name, each in named.items()} for _ in range(2))
    for step in range(3):
        loss = loss_by_hand(model, data.batch(step), config.loss, 2)
        gradients = dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))
        norm = torch.cat([each.flatten() for each in gradients.values()]).norm()
        with torch.no_grad():
            for name, weight in named.items():
                gradient = gradients[name] * settings.clip / norm
                first[name] = settings.beta1 * first[name] + (1 - settings.beta1) * gradient
                second[name] = settings.beta2 * second[name] + (1 - settings.beta2) * gradient**2
                mean = first[name] / (1 - settings.beta1 ** (step + 1))
                spread = (second[name] / (1 - settings.beta2 ** (step + 1))).sqrt()
                weight *= 1 - settings.learning_rate * settings.weight_decay
                weight -= settings.learning_rate * mean / (spread + settings.eps)
    trained = weights(tmp_path / "run")
    for name, weight in named.items():
        torch.testing.assert_close(trained[name], weight.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("balancing_form", ["trained", "paper", "transformers"])
@pytest.mark.parametrize("z_form", ["trained", "paper"])
def test_the_form_of_a_loss_that_is_asked_for_is_the_one_that_is_told(
    data: Given, tmp_path: Path, balancing_form: str, z_form: str
) -> None:
    asked = LossSettings(balancing=0.5, balancing_form=balancing_form, z=0.1, z_form=z_form)  # type: ignore[arg-type]
    config = replace(CONFIG, loss=asked)
    loop.train(config, data, tmp_path / "run", steps=1)
    [row] = read_metrics(tmp_path / "run")
    router_logits = new_model(config, data)(tensors(data.batch(0))[0]).router_logits
    forms = {
        form: 0.5 * balancing_loss(router_logits=router_logits, experts_per_token=K, form=form).item()
        for form in ("trained", "paper", "transformers")
    }  # type: ignore[misc]
    assert row["balancing_loss"] == pytest.approx(forms[balancing_form], rel=1e-5)
    assert len({round(each, 3) for each in forms.values()}) == 3
    squares = torch.stack(router_logits).logsumexp(-1).square().mean().item()
    assert row["z_loss"] == pytest.approx(0.1 * squares / (K if z_form == "trained" else 1), rel=1e-5)
