"""What a trained model can do: accuracy with and without reflections, the forced-error probe, and, for comparison, what
inference alone buys.

Every problem is decoded greedily unless a function says otherwise; every response is verified exactly.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean

import torch

from seriatim.errors import ModelError
from seriatim.olmoe.loading import load
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.minidag.arms import MISTAKES, mistake
from seriatim.training.minidag.decoding import CHUNK, decode
from seriatim.training.minidag.padding import buckets, padded
from seriatim.training.minidag.prompts import asked, begun
from seriatim.training.minidag.task import Check, Problem, check, problems
from seriatim.training.minidag.vocabulary import REFLECTION
from seriatim.training.reflection.segments import Example, encode
from seriatim.training.reflection.template import Segment

IN_DISTRIBUTION, BEYOND = (6, 7, 8), (9, 10, 11, 12)
MOST = 400
"""So many tokens are written at most: half as many again as twelve steps take, half of them tried again."""
_STEP = re.compile(r"([a-z])(=)([a-z]?)(.)([-+*])([a-z]?)(.)(=)([a-z])(.)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A response to a problem: what was written, what the verifier says, the tokens it took, and whether it ended by
    itself."""

    text: str
    check: Check
    tokens: int
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Probe:
    """The forced-error probe: how likely a reflection is opened after a wrong step (`by_kind`: of mistake) and after a
    right one, and how often the answer is right although a wrong step was put into the model's mouth. The example is
    a problem, the response's beginning with the wrong step in it, and the response, put right where any was."""

    p_reflect_wrong: float
    p_reflect_right: float
    recovery: float
    by_kind: dict[str, float]
    example: tuple[str, str, str]


def trained_model(folder: Path) -> Olmoe:
    """A checkpoint in float32, ready to be asked."""
    model = load(folder)
    if not isinstance(model, Olmoe):
        raise ModelError(f"{folder} is no float32 checkpoint")
    return model.eval()


def held_out(operations: Sequence[int], count: int, *, modulus: int = 10, seed: int = 0) -> list[Problem]:
    """The first `count` test problems of so many operations each, no two of one structure; with some distractors."""
    rng = random.Random(f"test {seed} {tuple(operations)} {modulus}")
    found = problems(rng, operations, "test", modulus=modulus, definitions=max(operations) + 3)
    return list(islice(found, count))


def solve(
    model: Olmoe,
    tokenizer: Tokenizer,
    tests: Sequence[Problem],
    *,
    reflect: bool = True,
    prefixes: Sequence[str] | None = None,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[Outcome]:
    """Responses to `tests`, which go on from `prefixes` where those are given; with `reflect` False none can be opened.

    The tokens that are counted are those that the model wrote.
    """
    given = list(prefixes) if prefixes is not None else [""] * len(tests)
    prompts = [asked(problem, tokenizer, prefix) for problem, prefix in zip(tests, given, strict=True)]
    banned = () if reflect else (REFLECTION,)
    written = decode(model, prompts, most=MOST, banned=banned, temperature=temperature, seed=seed)
    outcomes = []
    for problem, prefix, each in zip(tests, given, written, strict=True):
        text = prefix + tokenizer.decode(each.ids)
        outcomes.append(Outcome(text, check(problem, text), len(each.ids), each.ended))
    return outcomes


def accuracy(outcomes: Sequence[Outcome]) -> float:
    """The share of right answers, in percent."""
    return 100 * fmean(each.check.correct for each in outcomes)


def failures(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """How many responses never ended (`truncated`), and how many ended without an answer in its place
    (`format_failures`), in percent."""
    return {
        "truncated": 100 * fmean(not each.ended for each in outcomes),
        "format_failures": 100 * fmean(each.ended and not each.check.answered for each in outcomes),
    }


def changes(banned: Sequence[Outcome], allowed: Sequence[Outcome]) -> dict[str, float]:
    """What reflections change, in percent of the problems: wrong to right, right to wrong."""
    pairs = [(one.check.correct, other.check.correct) for one, other in zip(banned, allowed, strict=True)]
    return {
        "i_to_c": 100 * fmean(not before and after for before, after in pairs),
        "c_to_i": 100 * fmean(before and not after for before, after in pairs),
    }


def probe(
    model: Olmoe, tokenizer: Tokenizer, tests: Sequence[Problem], kinds: Sequence[str] = MISTAKES, *, seed: int = 0
) -> Probe:
    """Put a wrong step of one of the `kinds` at a place that the seed draws, behind right ones, and see what the model
    does next."""
    rng = random.Random(f"probe {seed}")
    wrong, right, kept, made_of = [], [], [], []
    for problem in tests:
        place = rng.randrange(len(problem.order))
        made = mistake(problem, problem.order[:place], problem.order[place], rng, kinds)
        if made is None:
            continue
        kind, line = made
        before = [*problem.steps[:place]]
        wrong.append(begun(problem, [*before, line]))
        right.append(begun(problem, [*before, problem.steps[place]]))
        kept.append(problem)
        made_of.append(kind)
    after_wrong, after_right = (
        reflection_chances(model, [asked(problem, tokenizer, each) for problem, each in zip(kept, given, strict=True)])
        for given in (wrong, right)
    )
    by_kind = {
        kind: fmean(chance for chance, each in zip(after_wrong, made_of, strict=True) if each == kind)
        for kind in sorted(set(made_of))
    }
    recovered = solve(model, tokenizer, kept, prefixes=wrong)
    best = max(range(len(kept)), key=lambda n: (recovered[n].check.correct, recovered[n].check.repaired))
    example = (kept[best].prompt, wrong[best], recovered[best].text)
    return Probe(fmean(after_wrong), fmean(after_right), accuracy(recovered), by_kind, example)


@torch.inference_mode()
def reflection_chances(model: Olmoe, prompts: Sequence[Sequence[int]]) -> list[float]:
    """How likely the model is to open a reflection after each prompt."""
    chances = [0.0] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    for start in range(0, len(order), CHUNK):
        places = order[start : start + CHUNK]
        longest = len(prompts[places[-1]])
        rows = torch.tensor([[*prompts[place], *[1] * (longest - len(prompts[place]))] for place in places])
        logits_BTV = model(rows).logits_BTV
        for row, place in enumerate(places):
            chances[place] = float(logits_BTV[row, len(prompts[place]) - 1].softmax(-1)[REFLECTION])
    return chances


def self_consistency(
    model: Olmoe,
    tokenizer: Tokenizer,
    tests: Sequence[Problem],
    samples: Sequence[int],
    *,
    temperature: float = 0.7,
    seed: int = 0,
) -> list[tuple[float, float]]:
    """For each number of `samples` the accuracy of the answer that most of so many responses give, in percent, and the
    tokens a problem took."""
    votes: list[Counter[str]] = [Counter() for _ in tests]
    tokens = 0
    found: dict[int, tuple[float, float]] = {}
    for number in range(1, max(samples) + 1):
        drawn = solve(model, tokenizer, tests, temperature=temperature, seed=seed + number)
        for counter, each in zip(votes, drawn, strict=True):
            tokens += each.tokens
            if each.check.answered:
                counter[each.check.answered] += 1
        right = [bool(votes[n]) and votes[n].most_common(1)[0][0] == problem.answer for n, problem in enumerate(tests)]
        found[number] = 100 * fmean(right), tokens / len(tests)
    return [found[number] for number in samples]


def without_reflections(
    model: Olmoe, tokenizer: Tokenizer, tests: Sequence[Problem], allowed: Sequence[Outcome]
) -> list[Outcome]:
    """Responses with reflections banned. One that was `allowed` some and wrote none would come out the same."""
    again = [place for place, each in enumerate(allowed) if "<reflection>" in each.text]
    drawn = solve(model, tokenizer, [tests[place] for place in again], reflect=False)
    outcomes = list(allowed)
    for place, each in zip(again, drawn, strict=True):
        outcomes[place] = each
    return outcomes


def verifier_guided(
    model: Olmoe, tokenizer: Tokenizer, tests: Sequence[Problem], rounds: int, *, temperature: float = 0.7
) -> tuple[float, float]:
    """An upper bound: the verifier cuts a response before its first wrong step, and the model draws again from there,
    up to `rounds` times. The accuracy in percent, and the tokens a problem took."""
    outcomes = solve(model, tokenizer, tests, reflect=False)
    tokens = sum(each.tokens for each in outcomes)
    for number in range(rounds):
        again = [place for place, each in enumerate(outcomes) if not each.check.sound]
        if not again:
            break
        prefixes = [_before_wrong(outcomes[place]) for place in again]
        drawn = solve(
            model, tokenizer, [tests[place] for place in again], reflect=False, prefixes=prefixes,
            temperature=temperature, seed=number,
        )  # fmt: skip
        tokens += sum(each.tokens for each in drawn)
        for place, each in zip(again, drawn, strict=True):
            outcomes[place] = each
    return accuracy(outcomes), tokens / len(tests)


def forced_reflection(model: Olmoe, tokenizer: Tokenizer, tests: Sequence[Problem], given: Sequence[Outcome]) -> float:
    """The accuracy in percent where a reflection is opened for the model at the end of its thinking ("Wait")."""
    prefixes = [each.text.partition("</thinking>")[0] + "<reflection>\n" for each in given]
    return accuracy(solve(model, tokenizer, tests, prefixes=prefixes))


def _before_wrong(outcome: Outcome) -> str:
    """A response up to the first wrong step; one without a plan, or with no wrong step, begins anew."""
    head, found, steps = outcome.text.partition("</plan>\n")
    wrong = outcome.check.first_wrong
    if not found or wrong is None:
        return ""
    return head + found + "".join(steps.splitlines(keepends=True)[:wrong])


@torch.inference_mode()
def token_classes(model: Olmoe, tokenizer: Tokenizer, tests: Sequence[Problem]) -> dict[str, float]:
    """How often the likeliest token is the right one, given all that is right before it, in percent, by what kind of
    token it is: plan, next variable, definition, operand (a value that is looked up), result, output."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    encoded, kinds = [], {}
    for problem in tests:
        steps = [Segment(line, "step") for line in problem.steps]
        parts = (Segment(problem.plan, "plan"), *steps, Segment(problem.answer, "output"))
        each = encode(Example(problem.prompt, parts), tokenizer)
        encoded.append(each)
        kinds[id(each)] = _kinds(problem, each.roles)
    for batch in buckets(encoded, 1 << 14):
        ids = padded(batch)
        best_BT = model(torch.from_numpy(ids.ids_BT)).logits_BTV.argmax(-1)
        for row, each in enumerate(batch):
            for place, kind in enumerate(kinds[id(each)][1:]):
                if kind:
                    total[kind] += 1
                    right[kind] += int(best_BT[row, place]) == each.ids[place + 1]
    return {kind: 100 * right[kind] / total[kind] for kind in sorted(total)}


def _kinds(problem: Problem, roles: Sequence[str | None]) -> list[str]:
    steps = iter([kind for line in problem.steps for kind in [*_step_kinds(line), ""]])
    return [next(steps) if role == "step" else role or "" for role in roles]


def _step_kinds(line: str) -> list[str]:
    """The kind of each character of a step."""
    found = _STEP.fullmatch(line)
    if found is None:
        raise ValueError(f"{line!r} is no step")
    left = ["definition", "operand"] if found[3] else ["definition"]
    right = ["definition", "operand"] if found[6] else ["definition"]
    return ["next", "", *left, "definition", *right, "", "", "result"]
