import pytest
import torch

from seriatim.olmoe.checkpoint import Checkpoint
from seriatim.olmoe.generation import left_padded
from seriatim.olmoe.int8.engine import Int8Olmoe
from seriatim.olmoe.int8.files import pack, read
from seriatim.olmoe.int8.kernels import kernels
from seriatim.olmoe.int8.portable import Portable
from tests.olmoe.tiny import ours, reference

# Every token goes to all 8 experts but in the last config: a router that wavers between two hides what else is wrong.
ALL = {"num_experts_per_tok": 8}
CONFIGS = {
    "as published": ALL,
    "normalised weights": {"norm_topk_prob": True, **ALL},
    "clipped": {"clip_qkv": 0.5, **ALL},
    "tied": {"tie_word_embeddings": True, **ALL},
    "grouped keys": {"num_key_value_heads": 2, **ALL},
    "part of a panel": {"vocab_size": 101, **ALL},
    "routed": {},
}


@pytest.fixture(scope="module", params=CONFIGS)
def packed(request, tmp_path_factory):
    """A float32 model, and the folder of its int8 form."""
    theirs = reference(**CONFIGS[request.param])
    folder = tmp_path_factory.mktemp("model")
    theirs.save_pretrained(folder / "checkpoint")
    pack(Checkpoint(folder / "checkpoint"), folder / "int8")
    return ours(theirs), folder / "int8"


@pytest.fixture(params=["compiled", "portable"])
def pair(packed, request):
    """The float32 model and the int8 one."""
    operations = kernels() if request.param == "compiled" else Portable()
    if operations is None:
        pytest.skip("no compiler, or no AVX2")
    return packed[0], Int8Olmoe(*read(packed[1]), operations)


def alike(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether logits agree at nearly every position; at a few a router may waver."""
    similar = torch.nn.functional.cosine_similarity(found, expected, dim=-1)
    return bool(similar.quantile(0.2) > 0.99 and similar.mean() > 0.98)


def ids(batch: int, tokens: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 95, (batch, tokens), generator=torch.Generator().manual_seed(seed))


def test_logits_are_near_those_of_float32(pair):
    model, int8 = pair
    expected, found = model.logits(ids(2, 40)), int8.logits(ids(2, 40))
    assert found.shape == expected.shape
    assert alike(found, expected)


@torch.inference_mode()
def test_reading_with_a_cache_equals_reading_at_once(pair):
    _, int8 = pair
    whole = int8.logits(ids(2, 40))
    cache = int8.new_cache(2, 40)
    parts = [int8.head(int8.hidden(part, cache)) for part in ids(2, 40).split([17, 1, 1, 20, 1], dim=1)]
    assert alike(torch.cat(parts, dim=1), whole)


def test_left_padding_changes_nothing(pair):
    _, int8 = pair
    padded = int8.logits(ids(2, 30), padding_B=torch.tensor([0, 11]))[1, 11:]
    assert alike(padded, int8.logits(ids(2, 30)[1:, 11:])[0])


def test_sequences_in_a_batch_are_those_alone(pair):
    _, int8 = pair
    prompts = [ids(1, length, seed=length)[0].tolist() for length in (3, 9, 20)]
    together, padding = left_padded(prompts, int8.config.vocab_size)
    logits = int8.logits(together, padding_B=padding)
    for place, prompt in enumerate(prompts):
        assert alike(logits[place, -len(prompt) :], int8.logits([prompt])[0])
    assert [len(each.token_ids) for each in int8.generate(prompts, max_tokens=12, stop_ids=[])] == [12, 12, 12]


@torch.inference_mode()
def test_a_kept_prefix_goes_on_as_if_it_had_been_read_anew(pair):
    _, int8 = pair
    cache = int8.new_cache(1, 60)
    int8.read(ids(1, 40), cache)
    cache.truncate(30)
    again = int8.head(int8.hidden(ids(1, 10, seed=1), cache))
    fresh = int8.logits(torch.cat([ids(1, 30), ids(1, 10, seed=1)], dim=1))
    assert alike(again, fresh[:, 30:])
