"""Rotary embeddings: their own backward, and that only distances count."""

import torch

from seriatim.olmoe.attention import rotary, rotate


def test_the_gradient_of_a_rotation() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    rotation = tuple(each.double() for each in rotary(torch.arange(5)[None], 4, 100.0))
    assert torch.autograd.gradcheck(lambda given: rotate(given, rotation), (vectors,))  # type: ignore[arg-type]


def test_products_of_rotated_vectors_depend_on_their_distance() -> None:
    query, key = torch.randn(2, 1, 1, 1, 8).unbind()
    products = [
        (rotate(query, rotary(torch.tensor([[7 + far]]), 8, 1e4)) * rotate(key, rotary(torch.tensor([[far]]), 8, 1e4)))
        for far in (0, 5, 90)
    ]
    for each in products[1:]:
        torch.testing.assert_close(each.sum(), products[0].sum(), atol=1e-5, rtol=1e-4)
