"""What a model writes behind its prompts: log-probabilities, neighbours, ends, and what is refused."""

from itertools import islice

import pytest
import torch

from seriatim.errors import ModelError, UsageError
from seriatim.olmoe import generation
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.generation import Token, check_ids, left_padded
from seriatim.olmoe.int8 import random_model
from seriatim.olmoe.interface import OlmoeModel
from seriatim.sampling import GREEDY, Sampling
from tests.olmoe.tiny import TINY, ours, reference

DRAWN = Sampling(temperature=1.0, top_p=0.95, seed=3)
PROMPTS = [
    torch.randint(2, 95, (length,), generator=torch.Generator().manual_seed(length)).tolist() for length in (9, 2, 15)
]


@pytest.fixture(scope="module")
def float32() -> OlmoeModel:
    return ours(reference())


@pytest.fixture(scope="module", params=["float32", "int8"])
def model(request, float32) -> OlmoeModel:
    return float32 if request.param == "float32" else random_model(OlmoeConfig(**TINY))


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN, Sampling(temperature=0.7, top_k=5, repeat_penalty=1.3)])
def test_log_probabilities_are_those_of_the_models_own_logits(float32, sampling):
    """Untouched by temperature, filters and penalties."""
    [written] = float32.generate(PROMPTS[:1], max_tokens=20, sampling=sampling, stop_ids=[])
    whole = [*PROMPTS[0], *written.token_ids]
    logprobs = float32.logits(torch.tensor([whole]))[0].log_softmax(-1)
    expected = [float(logprobs[place - 1, whole[place]]) for place in range(len(PROMPTS[0]), len(whole))]
    assert written.logprobs == pytest.approx(expected, abs=1e-4)
    assert sum(written.logprobs) == pytest.approx(sum(expected), abs=1e-3)


def test_greedy_takes_the_likeliest_token_each_time(float32):
    [written] = float32.generate(PROMPTS[:1], max_tokens=20, stop_ids=[])
    likeliest = float32.logits(torch.tensor([[*PROMPTS[0], *written.token_ids]]))[0].argmax(-1)
    assert written.token_ids == likeliest[len(PROMPTS[0]) - 1 : -1].tolist()


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN])
def test_neighbours_and_padding_leave_a_sequence_alone(float32, sampling):
    first, *_ = together = float32.generate(PROMPTS, max_tokens=16, sampling=sampling, stop_ids=[])
    [alone] = float32.generate(PROMPTS[:1], max_tokens=16, sampling=sampling, stop_ids=[])
    assert first.token_ids == alone.token_ids
    assert first.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
    others = float32.generate([PROMPTS[0], [7], [8, 9]], max_tokens=16, sampling=sampling, stop_ids=[])
    assert others[0].token_ids == first.token_ids
    assert len({tuple(each.token_ids) for each in together}) == 3


def test_sequences_of_the_same_prompt_are_drawn_apart(float32):
    written = float32.generate([PROMPTS[0]] * 3, max_tokens=16, sampling=DRAWN, stop_ids=[])
    assert len({tuple(each.token_ids) for each in written}) == 3


def test_a_seed_repeats_a_draw(model):
    ones, again, twos = (
        model.generate(PROMPTS, max_tokens=16, sampling=Sampling(temperature=1.0, seed=seed), stop_ids=[])
        for seed in (1, 1, 2)
    )
    assert ones == again
    assert all(one.token_ids != two.token_ids for one, two in zip(ones, twos, strict=True))


def test_a_sequence_ends_with_a_stop_id_and_its_neighbours_go_on(float32):
    whole = float32.generate(PROMPTS, max_tokens=16, sampling=DRAWN, stop_ids=[])
    end = whole[0].token_ids[5]
    cut = float32.generate(PROMPTS, max_tokens=16, sampling=DRAWN, stop_ids=[end])
    for before, after in zip(whole, cut, strict=True):
        ended = end in before.token_ids
        length = before.token_ids.index(end) if ended else 16
        assert after.token_ids == before.token_ids[:length]
        assert after.logprobs == pytest.approx(before.logprobs[:length], abs=1e-5)
        assert after.finish_reason == ("stop" if ended else "length")
    assert [each.finish_reason for each in cut].count("stop") < 3


def test_the_models_end_of_text_ends_it_unless_stop_ids_say_otherwise():
    [whole] = ours(reference()).generate(PROMPTS[:1], max_tokens=8, stop_ids=[])
    end = whole.token_ids[3]
    ending, endless = ours(reference(eos_token_id=end)), ours(reference(eos_token_id=None))
    expected = whole.token_ids[: whole.token_ids.index(end)]
    [written] = ending.generate(PROMPTS[:1], max_tokens=8)
    assert (written.token_ids, written.finish_reason) == (expected, "stop")
    assert [token.id for token in ending.stream(PROMPTS[0], max_tokens=8)] == expected
    assert ending.generate(PROMPTS[:1], max_tokens=8, stop_ids=[]) == [whole]
    assert endless.generate(PROMPTS[:1], max_tokens=8) == [whole]


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN])
def test_a_stream_gives_what_generate_does(model, sampling):
    [written] = model.generate(PROMPTS[:1], max_tokens=16, sampling=sampling, stop_ids=[])
    tokens = list(model.stream(PROMPTS[0], max_tokens=16, sampling=sampling, stop_ids=[]))
    assert [token.id for token in tokens] == written.token_ids
    assert [token.logprob for token in tokens] == written.logprobs
    end = written.token_ids[6]
    ended = list(model.stream(PROMPTS[0], max_tokens=16, sampling=sampling, stop_ids=[end]))
    assert ended == tokens[: written.token_ids.index(end)]


def test_a_stream_gives_each_token_before_the_next_is_computed(float32, monkeypatch):
    lengths: list[int] = []
    read = type(float32).read

    def counted(model, token_ids_BT, cache):
        lengths.append(token_ids_BT.shape[1])
        return read(model, token_ids_BT, cache)

    monkeypatch.setattr(type(float32), "read", counted)
    tokens = float32.stream(PROMPTS[0], max_tokens=3, stop_ids=[])
    assert lengths == []
    assert isinstance(next(tokens), Token)
    assert lengths == [9]
    next(tokens)
    assert lengths == [9, 1]
    assert len(list(tokens)) == 1
    assert lengths == [9, 1, 1]  # what follows the last token is never computed


def test_two_streams_leave_each_other_alone(float32):
    apart = [list(float32.stream(prompt, max_tokens=12, sampling=DRAWN, stop_ids=[])) for prompt in PROMPTS[:2]]
    both = [float32.stream(prompt, max_tokens=12, sampling=DRAWN, stop_ids=[]) for prompt in PROMPTS[:2]]
    assert [list(tokens) for tokens in zip(*zip(*both, strict=True), strict=True)] == apart


def test_steps_go_on_until_the_cache_is_full(float32):
    cache = float32.new_cache(1, len(PROMPTS[0]) + 4)
    recent = [list(PROMPTS[0])]
    logits = float32.read(torch.tensor(PROMPTS[:1]), cache)
    steps = generation.stream(float32, logits, cache, recent, GREEDY)
    written = [token.id for (token,) in islice(steps, 5)]  # the last needs no room: nobody has read it
    [expected] = float32.generate(PROMPTS[:1], max_tokens=5, stop_ids=[])
    assert written == expected.token_ids
    assert recent == [[*PROMPTS[0], *written]]
    with pytest.raises(ModelError, match="no room for 1 more"):
        next(steps)


@pytest.mark.parametrize(
    ("prompts", "max_tokens", "error", "message"),
    [
        ([[5, 6]], -3, UsageError, "max_tokens is -3: it must be 0 or more"),
        ([[5, 6]], 255, ModelError, "257 tokens exceed the model's context of 256"),
        ([[5] * 257], 0, ModelError, "257 tokens exceed the model's context of 256"),
        ([[]], 4, ModelError, "a prompt needs at least one token"),
        ([[5, 96]], 4, ModelError, "token id 96 is not in the model's vocabulary of 96"),
        ([[-1, 5]], 4, ModelError, "token id -1 is not in the model's vocabulary of 96"),
    ],
)
def test_what_cannot_be_continued_is_refused_at_once(model, prompts, max_tokens, error, message):
    with pytest.raises(error, match=message):
        model.generate(prompts, max_tokens=max_tokens)
    with pytest.raises(error, match=message):
        model.stream(prompts[0], max_tokens=max_tokens)


def test_no_tokens_and_a_full_context_are_no_errors(model):
    [nothing] = model.generate([[5, 6]], max_tokens=0)
    assert (nothing.token_ids, nothing.logprobs, nothing.finish_reason) == ([], [], "length")
    assert list(model.stream([5, 6], max_tokens=0)) == []
    [written] = model.generate([[5, 6]], max_tokens=254, stop_ids=[])
    assert len(written.token_ids) == 254


def test_prompts_are_padded_on_the_left():
    token_ids, padding = left_padded([[5, 6, 7], [8]], 10)
    assert token_ids[0].tolist() == [5, 6, 7]
    assert token_ids[1, 2:].tolist() == [8]
    assert padding is not None
    assert padding.tolist() == [0, 2]
    token_ids, padding = left_padded([[5, 6], [7, 8]], 10)
    assert token_ids.tolist() == [[5, 6], [7, 8]]
    assert padding is None


@pytest.mark.parametrize("prompts", [[], [[]], [[1], []]])
def test_an_empty_prompt_is_refused(prompts):
    with pytest.raises(ModelError, match="at least one token"):
        left_padded(prompts, 10)


def test_ids_are_in_the_vocabulary():
    check_ids(torch.tensor([[0, 9]]), 10)
    for id in (-1, 10):
        with pytest.raises(ModelError, match=f"token id {id} is not in the model's vocabulary of 10"):
            check_ids(torch.tensor([[3, id]]), 10)


def test_prompts_may_be_a_tensor_and_must_be_several() -> None:
    model = ours(reference())
    prompts = [[5, 6, 7], [8, 9, 10]]
    assert model.generate(torch.tensor(prompts), max_tokens=4) == model.generate(prompts, max_tokens=4)
    with pytest.raises(UsageError, match="prompts is a list of prompts"):
        model.generate([5, 6, 7], max_tokens=4)  # type: ignore[list-item]
