"""Each loss against a computation of its own kind: loops over tokens, and transformers' own function."""

import math

import pytest
import torch
from transformers.models.olmoe.modeling_olmoe import load_balancing_loss_func

from seriatim.olmoe.losses import balancing_loss, load, z_loss

LAYERS, TOKENS, EXPERTS, K = 3, 40, 8, 2


@pytest.fixture
def router_logits() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [(3 * torch.randn(TOKENS, EXPERTS)).requires_grad_() for _ in range(LAYERS)]


def per_layer(router_logits: list[torch.Tensor]) -> float:
    """Equation 3 by hand: N_E Σ_i f_i P_i, f_i the share of tokens that chose expert i; the mean of the layers."""
    losses = []
    for logits in router_logits:
        total = 0.0
        for expert in range(EXPERTS):
            chose = sum(expert in sorted(range(EXPERTS), key=lambda e: -row[e])[:K] for row in logits.tolist())
            probability = sum(math.exp(row[expert]) / sum(map(math.exp, row)) for row in logits.tolist()) / TOKENS
            total += chose / TOKENS * probability
        losses.append(EXPERTS * total)
    return sum(losses) / len(losses)


def test_the_papers_form(router_logits: list[torch.Tensor]) -> None:
    loss = balancing_loss(router_logits=router_logits, experts_per_token=K, form="paper")
    assert loss.item() == pytest.approx(per_layer(router_logits), rel=1e-5)


def test_the_trained_form_is_that_a_choice(router_logits: list[torch.Tensor]) -> None:
    loss = balancing_loss(router_logits=router_logits, experts_per_token=K, form="trained")
    assert loss.item() == pytest.approx(per_layer(router_logits) / K, rel=1e-5)


def test_transformers_form(router_logits: list[torch.Tensor]) -> None:
    ours = balancing_loss(router_logits=router_logits, experts_per_token=K, form="transformers")
    theirs = load_balancing_loss_func(tuple(router_logits), EXPERTS, K)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    gradients = [torch.autograd.grad(loss, router_logits, retain_graph=True) for loss in (ours, theirs)]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("form", "value"), [("trained", 1), ("paper", K), ("transformers", K)])
def test_an_even_load_costs_what_the_form_says(form: str, value: float) -> None:
    even = torch.full((EXPERTS, EXPERTS), -20.0)
    for token in range(EXPERTS):  # token t chooses experts t and t + 1, with equal weight
        even[token, [token, (token + 1) % EXPERTS]] = 0.0
    loss = balancing_loss(router_logits=[even, even], experts_per_token=K, form=form)
    assert loss.item() == pytest.approx(value, rel=1e-5)


def test_layers_that_lean_opposite_ways_cancel_in_transformers_form_alone() -> None:
    left = torch.zeros(16, 4)
    left[:, :2] = 5.0
    pair = [left, left.flip(1)]
    losses = {
        form: balancing_loss(router_logits=pair, experts_per_token=2, form=form).item()
        for form in ("trained", "transformers")
    }
    assert losses["trained"] > 1.9
    assert losses["transformers"] / 2 == pytest.approx(1, rel=1e-3)


def test_the_gradient_flows_through_the_probabilities_alone(router_logits: list[torch.Tensor]) -> None:
    loss = balancing_loss(router_logits=router_logits[:1], experts_per_token=K, form="trained")
    [gradient] = torch.autograd.grad(loss, router_logits[:1])
    share = load(router_logits[0], K).float() / (TOKENS * K)
    probabilities = router_logits[0].softmax(-1)
    by_hand = EXPERTS / TOKENS * probabilities * (share - (probabilities * share).sum(-1, keepdim=True))
    torch.testing.assert_close(gradient, by_hand)


@pytest.mark.parametrize(("form", "divisor"), [("paper", 1), ("trained", K)])
def test_the_z_loss(router_logits: list[torch.Tensor], form: str, divisor: int) -> None:
    by_hand = [math.log(sum(map(math.exp, row))) ** 2 for logits in router_logits for row in logits.tolist()]
    loss = z_loss(router_logits=router_logits, experts_per_token=K, form=form)
    assert loss.item() == pytest.approx(sum(by_hand) / len(by_hand) / divisor, rel=1e-5)


def test_the_z_loss_of_huge_logits_is_a_number() -> None:
    assert math.isfinite(z_loss(router_logits=[torch.full((2, 4), 1e4)], experts_per_token=1, form="paper").item())


def test_the_load_counts_every_choice(router_logits: list[torch.Tensor]) -> None:
    assert load(router_logits[0], K).sum() == TOKENS * K
