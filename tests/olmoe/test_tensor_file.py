"""The writer of safetensors files, read back by the safetensors package."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from seriatim.olmoe.tensor_file import Piece, write_tensors

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.uint8]
shapes = st.lists(st.integers(0, 5), max_size=3).map(tuple)
pieces = st.lists(
    st.builds(Piece, st.text(st.characters(codec="utf-8"), min_size=1), shapes, st.sampled_from(DTYPES)),
    unique_by=lambda piece: piece.name,
    max_size=6,
).filter(lambda pieces: all(piece.name != "__metadata__" for piece in pieces))


@given(pieces=pieces)
def test_what_is_written_is_read_back(pieces, tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "file.safetensors"
    random = torch.Generator().manual_seed(0)
    tensors = [torch.randint(0, 200, piece.shape, generator=random).to(piece.dtype) for piece in pieces]
    assert write_tensors(path, pieces, iter(tensors)) == path.stat().st_size
    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == {piece.name for piece in pieces}
        for piece, tensor in zip(pieces, tensors, strict=True):
            found = file.get_tensor(piece.name)
            assert found.dtype == piece.dtype
            assert torch.equal(found, tensor)


@given(pieces=pieces)
def test_data_is_aligned_and_in_order(pieces, tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "file.safetensors"
    write_tensors(path, pieces, (torch.zeros(piece.shape) for piece in pieces))
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert (8 + length) % 64 == 0
    header = json.loads(data[8 : 8 + length])
    assert [name for name in header if name != "__metadata__"] == [piece.name for piece in pieces]
    ends = [0, *(header[piece.name]["data_offsets"][1] for piece in pieces)]
    assert [header[piece.name]["data_offsets"][0] for piece in pieces] == ends[:-1]
    assert ends[-1] == sum(piece.nbytes for piece in pieces) == len(data) - 8 - length


def test_tensors_are_converted_to_the_type_that_is_announced(tmp_path):
    weights = torch.nn.Parameter(torch.arange(12.0).view(3, 4))
    write_tensors(tmp_path / "file", [Piece("a", (4, 3), torch.bfloat16)], [weights.t()])
    with safe_open(tmp_path / "file", framework="pt") as file:
        assert torch.equal(file.get_tensor("a"), weights.detach().t().bfloat16())


@pytest.mark.parametrize("count", [0, 2])
def test_other_tensors_than_are_announced_are_an_error(tmp_path, count):
    with pytest.raises(ValueError, match="zip"):
        write_tensors(tmp_path / "file", [Piece("a", (1,), torch.float32)], [torch.zeros(1)] * count)
