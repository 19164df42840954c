"""Routing statistics: how a mixture's experts are used (arXiv 2409.02060 §5, equations 5 to 8).

All functions take the experts that tokens chose, as `Router` gives them, and are pure. The paper's released scripts
compute something else for two of them (co-activation of adjacent ranks only; no count of the chosen); these are the
equations.

Shapes: N tokens, K experts a token, E experts, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.router import Router


@contextmanager
def recorded(model: Olmoe) -> Iterator[list[list[Tensor]]]:
    """Record what each layer's router chooses while the block runs: for each layer a list of [N, K], a forward pass
    each."""
    chosen: list[list[Tensor]] = [[] for _ in model.model.layers]
    routers = [module for module in model.modules() if isinstance(module, Router)]
    handles = [
        router.register_forward_hook(lambda _module, _inputs, routing, kept=kept: kept.append(routing.experts_NK))
        for router, kept in zip(routers, chosen, strict=True)
    ]
    try:
        yield chosen
    finally:
        for handle in handles:
            handle.remove()


def load(experts_NK: Tensor, experts: int) -> Tensor:
    """The share of all assignments that each expert gets, [E]; 1/E each when even."""
    counts_E = experts_NK.flatten().bincount(minlength=experts)
    return counts_E.double() / max(1, experts_NK.numel())


def saturation(before_NK: Tensor, after_NK: Tensor) -> float:
    """The mean share of a token's experts at one checkpoint that are still its experts at another, 0 to 1 (eq. 5).

    Both are of the same tokens and layer.
    """
    same_NKK = before_NK[:, :, None] == after_NK[:, None, :]
    return float(same_NKK.any(-1).double().mean())


def coactivation(experts_NK: Tensor, experts: int) -> Tensor:
    """Of the tokens that chose expert i the share that also chose expert j, [E, E] (eq. 6); the diagonal is 0, as is
    the row of an expert that nothing chose."""
    chosen_NE = _chosen(experts_NK, experts)
    together_EE = chosen_NE.T @ chosen_NE
    counts_E = together_EE.diagonal().clone()
    together_EE.fill_diagonal_(0)
    return together_EE / counts_E.clamp(min=1)[:, None]


def domain_specialisation(experts_by_domain: Sequence[Tensor], experts: int, *, first: int | None = None) -> Tensor:
    """Of each domain's tokens the share that chose an expert, [domains, E] (eq. 7).

    `first` counts a token's first so many choices only (the paper's k); an even router gives k/E everywhere.
    """
    return torch.stack([_chosen(each_NK[:, :first], experts).mean(0) for each_NK in experts_by_domain])


def vocabulary_specialisation(
    experts_NK: Tensor, token_ids_N: Tensor, experts: int, *, first: int | None = None, least: int = 1
) -> tuple[Tensor, Tensor]:
    """Of each token id's occurrences the share that chose an expert (eq. 8): ids that occur at least `least` times
    [V'], ascending, and their shares [V', E].

    The ids may be those that were read, those that the model predicts, or those that truly follow.
    """
    ids_V, places_N, counts_V = token_ids_N.unique(return_inverse=True, return_counts=True)
    chosen_NE = _chosen(experts_NK[:, :first], experts)
    sums_VE = torch.zeros(len(ids_V), experts, dtype=chosen_NE.dtype).index_add_(0, places_N, chosen_NE)
    frequent_V = counts_V >= least
    return ids_V[frequent_V], (sums_VE / counts_V[:, None])[frequent_V]


def _chosen(experts_NK: Tensor, experts: int) -> Tensor:
    """1 where a token chose an expert, [N, E]."""
    chosen_NE = torch.zeros(experts_NK.shape[0], experts, dtype=torch.float64)
    return chosen_NE.scatter_(1, experts_NK, 1.0)
