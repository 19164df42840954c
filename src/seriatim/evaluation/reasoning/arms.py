"""The ways in which a problem is put to a reader, each within the same budget of generated tokens, but for `verified`,
which may spend as much again on its corrections.

Every arm says where the answer has to stand, and an answer is taken from there and nowhere else: one that is not there
is a format failure, whatever else was written. `verified` begins with `phased`, to the letter, so that what correction
is worth can be told apart from what the first try is worth.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from seriatim.errors import UsageError
from seriatim.evaluation.generation import Reader, generation
from seriatim.evaluation.reasoning.problems import Problem, ReasoningTask, Way
from seriatim.models.generator import Message
from seriatim.reflection.parser import ReflectionParser, escape_tags
from seriatim.reflection.prompts import PROTOCOL
from seriatim.reflection.tags import OPENING, PLAN, TO_OUTPUT
from seriatim.sampling import GREEDY, Sampling

Arm = Literal["plain", "cot", "reflection", "phased", "verified", "self-consistency", "letters"]
ARMS: tuple[Arm, ...] = get_args(Arm)

ABOUT: dict[Arm, str] = {
    "plain": "the answer at once",
    "cot": "step by step, then the answer (chain of thought)",
    "reflection": "the protocol of Reflection-Tuning, whose tags the model writes itself",
    "phased": "the same protocol, whose tags are set for the model, phase by phase",
    "verified": "phased, then reflection on what a real check finds (calculator, docstring's examples), twice at most, "
    "for as many tokens again",
    "self-consistency": "chains of thought drawn until the tokens are spent; the answer that most of them give",
    "letters": "MMLU only: the most probable letter after five worked examples; nothing is generated",
}

# What readers are told; a run records it, so a change of words is a change of version.
PROMPT_VERSION = 1
SYSTEM = "You are a helpful assistant"
_SOLVING = "Step by step:"
_ENDS = ("</thinking>", "<output>")

ROUNDS = 2
LEAST = 64  # tokens: with fewer there is no correction beside the output that follows it
SAMPLED = Sampling(temperature=0.7, top_p=0.95)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a reader came to. `answer` is None where none stands in its place. `first` is the answer before any check;
    `tries` are the answers that were voted on."""

    answer: str | None
    text: str
    first: str | None = None
    reflections: tuple[str, ...] = ()
    tries: tuple[str | None, ...] = ()


@dataclass(slots=True)
class Spending:
    """What the generations of one attempt cost, added up, and whether one of them met its limit of tokens."""

    reader: Reader
    sampling: Sampling = GREEDY
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prefill_s: float = 0.0
    generate_s: float = 0.0
    truncated: bool = False
    cached: bool = True
    generations: int = 0

    def say(
        self,
        messages: Sequence[Message],
        most: int,
        *,
        prefix: str = "",
        stop: Sequence[str] = (),
        sampling: Sampling | None = None,
    ) -> tuple[str, bool]:
        """What the reader says, and whether it ended by itself."""
        said, cached = generation(
            self.reader, messages, most, prefix=prefix, stop=stop, sampling=sampling or self.sampling
        )
        self.prompt_tokens += said["prompt_tokens"] or 0
        self.completion_tokens += said["completion_tokens"] or 0
        self.prefill_s += said["prefill_s"] or 0.0
        self.generate_s += said["generate_s"] or 0.0
        self.truncated = self.truncated or said["truncated"]
        self.cached = self.cached and cached
        self.generations += 1
        return said["prediction"], not said["truncated"]

    def to_dict(self) -> dict[str, Any]:
        """The columns of a row."""
        names = ("prompt_tokens", "completion_tokens", "prefill_s", "generate_s", "truncated", "cached", "generations")
        return {name: getattr(self, name) for name in names}


def attempt(arm: Arm, task: ReasoningTask, problem: Problem, spending: Spending, most: int) -> Attempt:
    """The reader's answer to `problem`, for at most `most` generated tokens (twice as many where it is `verified`),
    which `spending` counts."""
    ways: dict[str, Callable[[], Attempt]] = {
        "plain": lambda: _plain(task, problem, spending, most),
        "cot": lambda: _chain(task, problem, spending, most),
        "reflection": lambda: _reflection(task, problem, spending, most),
        "phased": lambda: _phased(task, problem, spending, most, rounds=0),
        "verified": lambda: _phased(task, problem, spending, most, rounds=ROUNDS),
        "self-consistency": lambda: _voted(task, problem, spending, most),
    }
    return ways[arm]()


def messages(task: ReasoningTask, problem: Problem, way: Way) -> list[Message]:
    """The conversation that puts `problem`. Tags of the protocol in it are made harmless."""
    system = PROTOCOL if way == "in output" else SYSTEM
    return [Message("system", system), Message("user", f"{escape_tags(problem.text)}\n\n{task.asked[way]}")]


def _plain(task: ReasoningTask, problem: Problem, spending: Spending, most: int) -> Attempt:
    text, ended = spending.say(messages(task, problem, "at once"), most)
    return Attempt(text if ended and text.strip() else None, text)


def _chain(
    task: ReasoningTask, problem: Problem, spending: Spending, most: int, sampling: Sampling | None = None
) -> Attempt:
    text, ended = spending.say(messages(task, problem, "step by step"), most, sampling=sampling)
    return Attempt(task.final(text, problem) if ended else None, text)


def _reflection(task: ReasoningTask, problem: Problem, spending: Spending, most: int) -> Attempt:
    text, _ = spending.say(messages(task, problem, "in output"), most, prefix=OPENING)
    return _parsed(OPENING + text)


def _voted(task: ReasoningTask, problem: Problem, spending: Spending, most: int) -> Attempt:
    """Chains until `most` tokens are spent, the last one cut where they are; the first one is whole, for a piece of a
    chain has no answer. The first of equals wins. Raises `UsageError` for a reader that does not count its tokens."""
    tries: list[Attempt] = []
    while not tries or spending.completion_tokens < most:
        before = spending.completion_tokens
        seed = spending.sampling.seed + len(tries)
        left = min(task.tokens, most - before) if tries else task.tokens
        tries.append(_chain(task, problem, spending, left, replace(SAMPLED, seed=seed)))
        if spending.completion_tokens == before and tries[-1].text.strip():
            raise UsageError(
                f"{spending.reader.generator.name} does not say how many tokens it writes, so self-consistency cannot "
                "know when they are spent; ask it in another arm"
            )
        if spending.completion_tokens == before:  # it has nothing to say
            break
    votes = [None if each.answer is None else task.vote(each.answer, problem) for each in tries]
    counted = Counter(vote for vote in votes if vote is not None)
    # Every vote is None where no answer says anything; then the first answer that stands in its place is taken.
    winner = counted.most_common(1)[0][0] if counted else None
    chosen = [t for t, vote in zip(tries, votes, strict=True) if vote == winner and t.answer is not None]
    answers = tuple(each.answer for each in tries)
    return replace(chosen[0], tries=answers) if chosen else Attempt(None, tries[0].text, tries=answers)


def _phased(task: ReasoningTask, problem: Problem, spending: Spending, most: int, *, rounds: int) -> Attempt:
    """Plan, thinking, output, for `most` tokens; then, as long as the check finds a fault and of as many again some are
    left, what it found as a reflection right behind the step at fault, the thinking taken up from there, and a new
    output."""
    asked = messages(task, problem, "in output")
    reserve = min(task.output_tokens, most // 2)
    # A small model that has made its plan takes it for the whole of its thinking, and answers without having solved.
    opening = OPENING + PLAN[0]
    plan, _ = spending.say(asked, (most - reserve) // 4, prefix=opening, stop=("</plan>", *_ENDS))
    planned = f"{PLAN[0]}{plan.strip()}{PLAN[1]}{_SOLVING}"
    left = max(1, most - spending.completion_tokens - reserve)
    said, _ = spending.say(asked, left, prefix=OPENING + planned, stop=_ENDS)
    thinking = planned + said
    made = _output(asked, spending, thinking, reserve)
    first, checked = made.answer, len(planned)  # what the check has seen once, mistakes included, stays in the text
    for _ in range(rounds):
        fault = task.check(thinking[checked:], made.answer or "", problem) if task.check else None
        left = 2 * most - spending.completion_tokens - reserve
        if fault is None or left < LEAST:
            break
        opening = f"{thinking[:checked]}{fault.kept}\n<reflection>\n{fault.found}"
        said, _ = spending.say(asked, left // 4, prefix=f"{OPENING}{opening}\n", stop=("</reflection>", *_ENDS))
        opening = f"{opening}\n{said.strip()}".rstrip() + "\n</reflection>\n"
        left = 2 * most - spending.completion_tokens - reserve
        went_on, _ = spending.say(asked, max(1, left // 2), prefix=OPENING + opening, stop=_ENDS)
        thinking, checked = opening + went_on, len(opening)
        made = _output(asked, spending, thinking, reserve)
    return replace(made, first=first)


def _output(asked: list[Message], spending: Spending, thinking: str, most: int) -> Attempt:
    """What the reader gives out after `thinking`; a thinking that was cut off is closed for it."""
    transcript = OPENING + thinking.rstrip() + TO_OUTPUT
    said, ended = spending.say(asked, most, prefix=transcript, stop=("</output>",))
    return _parsed(transcript + said + ("\n</output>" if ended else ""))


def _parsed(transcript: str) -> Attempt:
    """The answer in a transcript by the strict parser: what is not in a closed `<output>` is none."""
    parser = ReflectionParser()
    parser.feed(transcript)
    parser.close()
    closed = "unclosed <output>" not in parser.faults
    return Attempt((parser.output or None) if closed else None, transcript, reflections=parser.reflections)
