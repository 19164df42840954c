"""The head's cross-entropy in parts against PyTorch's on all logits at once."""

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from seriatim.olmoe import cross_entropy as module
from seriatim.olmoe.cross_entropy import cross_entropy


@pytest.mark.parametrize("logits", [1, 70, 1 << 22])
def test_values_and_gradients_are_those_of_all_logits_at_once(logits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ON_CPU", logits)
    torch.manual_seed(0)
    hidden, weight = torch.randn(23, 8, requires_grad=True), torch.randn(30, 8, requires_grad=True)
    labels = torch.randint(30, (23,))
    labels[[0, 5, 6, 22]] = -100
    ours = cross_entropy(hidden, weight, labels)
    theirs = F.cross_entropy(hidden @ weight.t(), labels)
    torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        assert cross_entropy(hidden, weight, labels) == ours
    gradients = [torch.autograd.grad(3 * each, [hidden, weight]) for each in (ours, theirs)]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_a_gpu_is_given_thousands_of_rows_at_a_time_and_a_cpu_what_its_cache_holds() -> None:
    with FakeTensorMode():
        on_cpu, on_gpu = (torch.empty(50_304, 2048, device=device) for device in ("cpu", "cuda"))
    assert 4 * 50_304 * module._at_a_time(on_cpu) <= 16 << 20
    assert 2048 <= module._at_a_time(on_gpu) < 4096


def test_large_logits_do_not_overflow() -> None:
    loss = cross_entropy(torch.tensor([[1000.0]]), torch.tensor([[1.0], [-1.0]]), torch.tensor([1]))
    assert loss == 2000


def test_nothing_to_learn_from_is_no_number_and_moves_nothing() -> None:
    hidden, weight = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    loss = cross_entropy(hidden, weight, torch.full((3,), -100))
    assert loss.isnan()
    (loss.nan_to_num() * 0).backward()
    for each in (hidden, weight):
        assert each.grad is not None
        assert not each.grad.any()


def test_under_autocast_products_are_computed_in_its_type() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(64, 16, requires_grad=True), torch.randn(40, 16, requires_grad=True)
    labels = torch.randint(40, (64,))
    with torch.autocast("cpu", torch.bfloat16):
        ours = cross_entropy(hidden, weight, labels)
        theirs = F.cross_entropy(F.linear(hidden, weight).float(), labels)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    gradients = [torch.autograd.grad(each, [hidden, weight]) for each in (ours, theirs)]
    for a, b in zip(*gradients, strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, atol=2e-3, rtol=2e-2)
