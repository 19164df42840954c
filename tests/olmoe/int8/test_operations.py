"""Each operation of a block, compiled and in PyTorch alone, against the same in plain float32."""

import pytest
import torch
import torch.nn.functional as F

from seriatim.olmoe.attention import rotary, rotate
from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.int8.kernels import kernels
from seriatim.olmoe.int8.portable import Portable
from seriatim.olmoe.int8.weights import Quantised, gate_with_up, quantise, values

# Rows below, at and above what a tile of the kernels holds, for both instruction sets.
ROWS = [1, 2, 3, 4, 5, 11, 12, 13, 31, 97, 200]


@pytest.fixture(params=["compiled", "portable"])
def operations(request):
    if request.param == "portable":
        return Portable()
    compiled = kernels()
    if compiled is None:
        pytest.skip("no compiler, or no AVX2")
    return compiled


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def floats(weight: Quantised) -> torch.Tensor:
    return values(weight) * weight.scales[..., None]


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> bool:
    return bool((found - expected).norm() <= tolerance * expected.norm())


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("inputs", "channels"), [(8, 32), (64, 96), (1032, 64)])
def test_linear(operations, rows, inputs, channels):
    x, weight = draw(rows, inputs), quantise(draw(channels, inputs, seed=1))
    expected = x @ floats(weight).T
    y = torch.full((rows, channels), 7.0)
    operations.linear(x, operations.weight(weight), y)
    assert close(y, expected, 0.02)
    operations.linear(x, operations.weight(weight), y, add=True)
    assert close(y, 2 * expected, 0.02)


def test_rows_are_quantised_apart(operations):
    """A row of large values takes nothing from the precision of its neighbours."""
    x, weight = draw(3, 64), quantise(draw(32, 64, seed=1))
    x[1] *= 1e4
    y = torch.empty(3, 32)
    operations.linear(x, operations.weight(weight), y)
    assert all(close(y[row], x[row] @ floats(weight).T, 0.03) for row in range(3))


def test_a_row_of_zeros_gives_zeros(operations):
    x = torch.zeros(2, 64)
    y = torch.ones(2, 32)
    operations.linear(x, operations.weight(quantise(draw(32, 64))), y)
    assert not y.any()


def test_extreme_values_do_not_overflow():
    """Sums of the largest products stand in 32 bits, and pairs of them are not cut to 16."""
    compiled = kernels()
    if compiled is None:
        pytest.skip("no compiler, or no AVX2")
    x, weight = torch.ones(5, 4096), quantise(torch.ones(32, 4096))
    for sign in (1, -1):
        y = torch.empty(5, 32)
        compiled.linear(sign * x, weight, y)
        assert torch.allclose(y, torch.full_like(y, sign * 4096.0), rtol=1e-6)


def test_compiled_sums_are_exact():
    compiled = kernels()
    if compiled is None:
        pytest.skip("no compiler, or no AVX2")
    random = torch.Generator().manual_seed(0)
    x = torch.randint(-127, 128, (9, 512), generator=random).float()
    x[:, 0] = 127
    matrix = torch.randint(-127, 128, (64, 512), generator=random).float()
    matrix[:, 0] = 127
    y = torch.empty(9, 64)
    compiled.linear(x, quantise(matrix), y)
    assert torch.allclose(y.double(), x.double() @ matrix.double().T, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("rows", [1, 9, 40])
def test_norm(operations, rows):
    x, weight = draw(rows, 64), draw(64, seed=1)
    y = torch.empty_like(x)
    operations.norm(x, weight, 1e-5, y)
    assert torch.allclose(y, F.rms_norm(x, (64,), weight, 1e-5), atol=1e-6)


@pytest.mark.parametrize("rows", [1, 5, 50])
@pytest.mark.parametrize("chosen", [1, 3, 8])
@pytest.mark.parametrize("normalise", [False, True])
def test_route(operations, rows, chosen, normalise):
    x, weight = draw(rows, 64), draw(8, 64, seed=1)
    indices, weights = torch.empty(rows, chosen, dtype=torch.int64), torch.empty(rows, chosen)
    operations.route(x, weight, normalise, indices, weights)
    best, places = (x @ weight.T).softmax(-1).topk(chosen)
    assert torch.equal(indices, places)
    assert torch.allclose(weights, best / best.sum(-1, keepdim=True) if normalise else best, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 40, 300])
def test_experts(operations, rows):
    gate_up, down = draw(6, 128, 32, seed=1), draw(6, 32, 64, seed=2)
    packed = [operations.weight(quantise(gate_with_up(gate_up))), operations.weight(quantise(down))]
    x, base = draw(rows, 32), draw(rows, 32, seed=3)
    indices = draw(rows, 6, seed=4).topk(3).indices
    weights = draw(rows, 3, seed=5).softmax(-1)
    expected = base.clone()
    for row in range(rows):
        for expert, share in zip(indices[row], weights[row], strict=True):
            gate, up = (gate_up[expert] @ x[row]).chunk(2)
            expected[row] += share * (down[expert] @ (F.silu(gate) * up))
    y = base.clone()
    operations.experts(x, indices, weights, *packed, y)
    assert close(y - base, expected - base, 0.04)


@pytest.mark.parametrize("tokens", [1, 2, 7, 8, 9, 31, 32, 33, 100, 150])
@pytest.mark.parametrize("length", [0, 1, 95, 130])
@pytest.mark.parametrize("groups", [4, 2])
@pytest.mark.parametrize("padding", [None, [0, 5], [120, 3]])
def test_attention(operations, tokens, length, groups, padding):
    head, heads, batch = 16, 4, 2
    pad = None if padding is None else torch.tensor(padding)
    cache = KVCache(*(draw(1, batch, groups, 300, head, seed=n).half() for n in (1, 2)), pad, length)
    qkv = draw(batch * tokens, (heads + 2 * groups) * head, seed=3)
    y = torch.full((batch * tokens, heads * head), 7.0)
    operations.attend(qkv, cache, 0, y)
    query = qkv[:, : heads * head].view(batch, tokens, heads, head).transpose(1, 2)
    keys, scores = (kept[0, :, :, : length + tokens].float() for kept in (cache.keys, cache.values))
    expected = F.scaled_dot_product_attention(query, keys, scores, attn_mask=cache.mask(tokens), enable_gqa=True)
    assert torch.allclose(y, expected.transpose(1, 2).reshape(y.shape), atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 3, 20])
@pytest.mark.parametrize("clip", [None, 0.7])
@pytest.mark.parametrize("padding", [None, [0, 4]])
def test_rotate_and_store(operations, tokens, clip, padding):
    head, heads, groups, batch, length = 16, 4, 2, 2, 3
    size, width = heads * head, groups * head
    pad = None if padding is None else torch.tensor(padding)
    cache = KVCache(*(torch.zeros(2, batch, groups, 40, head, dtype=torch.float16) for _ in range(2)), pad, length)
    qkv, q_norm, k_norm = draw(batch * tokens, size + 2 * width), draw(size, seed=1), draw(width, seed=2)
    cos, sin = rotary(cache.positions(tokens), head, 10_000.0)
    q, k, v = qkv.split([size, width, width], dim=1)
    parts = [F.rms_norm(q, (size,), q_norm, 1e-5), F.rms_norm(k, (width,), k_norm, 1e-5), v]
    parts = [part if clip is None else part.clamp(-clip, clip) for part in parts]
    q, k, v = (part.view(batch, tokens, -1, head).transpose(1, 2) for part in parts)
    q, k = rotate(q, (cos, sin)), rotate(k, (cos, sin))
    table = [part[0, 0, :, : head // 2].contiguous() for part in rotary(torch.arange(64)[None], head, 10_000.0)]
    operations.rotate_and_store(qkv, q_norm, k_norm, 1e-5, clip, tuple(table), cache, 1)
    assert torch.allclose(qkv[:, :size].view(batch, tokens, heads, head).transpose(1, 2), q, atol=1e-5)
    for kept, expected in ((cache.keys, k), (cache.values, v)):
        assert torch.allclose(kept[1, :, :, length : length + tokens].float(), expected, atol=2e-3)
        assert not kept[0].any()
        assert not kept[1, :, :, length + tokens :].any()
