"""Phased generation: plan, thinking, draft, check, reflection, output.

Each phase opens its tag for the model and stops at the closing one, so budgets hold on any backend and no phase can
be skipped (specs: Reflection-Tuning's protocol; budget forcing after s1, arXiv 2501.19393). Between draft and output
stands a check of the draft against the passages, and where that finds nothing a review: the model reads the cited
passages alone and says whether they bear the draft out. A reflection names what check and review found, and nothing
else, for models that reconsider without evidence do worse (Huang et al., arXiv 2310.01798).

The passages are read in `looks`, each the messages over more of them than the one before: a draft that doesn't hold,
or says that the passages don't answer, is followed by one over the next look.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Generator as Steps
from dataclasses import dataclass, replace

from seriatim.models.generator import Generator, Message, Usage
from seriatim.reflection import grounding
from seriatim.reflection.events import Event
from seriatim.reflection.grounding import Grounding
from seriatim.reflection.parser import ReflectionParser, merge
from seriatim.reflection.prompts import PLAN_OPENING, plan_closing, review
from seriatim.reflection.tags import TO_OUTPUT
from seriatim.retrieval.context import Context
from seriatim.sampling import Sampling

_READ_ON = "The best passages alone do not answer the question. The others stand beside them now."
_NO_ANSWER = "The answer is still missing."
_MARK = re.compile(r"\[[^\]]*\]")
_REVIEW_TOKENS = 4
_IS_NOT = re.compile(r"\W*(?:not?|in-?correct|wrong|false)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Budgets:
    """The most tokens each phase may take, and the least thinking: a model that stops sooner is told to go on.

    `first_look` is how many tokens of the best passages are read at first; None is what the model reads well at once.
    """

    first_look: int | None = None
    plan: int = 64
    thinking: int = 224
    least_thinking: int = 0
    reflection: int = 96
    output: int = 160
    rounds: int = 2

    @property
    def total(self) -> int:
        """An upper bound of what all phases add to the prompt."""
        return self.plan + self.thinking + (1 + self.rounds) * self.output + self.rounds * (self.reflection + 200) + 64


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer that the model proposed, what the check says of it, and whether the review doubts it."""

    text: str
    grounding: Grounding
    finished: bool
    doubted: bool = False

    @property
    def faults(self) -> int:
        """Claims that no passage bears out, or 1 for an answer that is in doubt or missing; a wrong citation of a right
        claim is no reason to reflect, it is corrected."""
        return sum(not claim.supported for claim in self.grounding.claims) + self.doubted + self.empty

    @property
    def empty(self) -> bool:
        """Whether there is not a word in it."""
        return not re.search(r"\w", _MARK.sub("", self.text))

    @property
    def refused(self) -> bool:
        """Whether it says that the passages do not answer."""
        return grounding.is_refusal(self.text)

    @property
    def feedback(self) -> str:
        """What check and review found, in plain sentences for the model to act on."""
        if self.empty:
            return _NO_ANSWER
        if self.doubted:
            return grounding.doubt(self.text, self.grounding)
        return grounding.feedback(self.grounding) if self.faults else _READ_ON


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the phases came to: the draft with the fewest faults, all that led to it, and how many looks it took."""

    draft: Draft
    looks: int
    usage: Usage
    plan: str = ""
    thinking: str = ""
    reflections: tuple[str, ...] = ()


class _Transcript:
    """The assistant's turn so far: what the next phase continues from."""

    def __init__(self, generator: Generator, sampling: Sampling, messages: Sequence[Message] = ()) -> None:
        self._generator, self._sampling = generator, sampling
        self.usage = Usage()
        self._messages: Sequence[Message] = ()
        self.read(messages)

    def read(self, messages: Sequence[Message]) -> None:
        """Start the turn anew, over `messages`."""
        self._is_new = messages != self._messages
        self._messages = messages
        self.text = ""

    def phase(
        self, opening: str, stop: Sequence[str], most: int, shown: Callable[[str], Iterable[Event]]
    ) -> Steps[Event, None, tuple[str, bool]]:
        """Append `opening` and let the model continue; returns its text, and whether it ended by itself."""
        self.text += opening
        written, ended = "", False
        stream = self._generator.stream(
            self._messages, prefix=self.text, stop=stop, max_tokens=most, sampling=self._sampling
        )
        for piece in stream:
            if piece.reasoning:
                yield Event("thinking", piece.text)
            elif piece.text:
                written += piece.text
                yield from shown(piece.text)
            if piece.finish_reason is not None:
                ended = piece.finish_reason == "stop"
                self._spend(piece.usage, prompt=self._is_new)
        self._is_new = False
        self.text += written
        return written, ended

    def is_doubted(self, draft: Draft, context: Context) -> bool:
        """Whether the model, shown nothing but the passages that `draft` rests on, says that they don't bear it out."""
        cited = sorted({citation.passage for citation in draft.grounding.citations})
        if not cited:
            return False
        messages = review(context.question, draft.text, [context.passages[number - 1] for number in cited])
        pieces = list(self._generator.stream(messages, max_tokens=_REVIEW_TOKENS, sampling=Sampling(temperature=0.0)))
        self._spend(pieces[-1].usage, prompt=False)
        return bool(_IS_NOT.match("".join(piece.text for piece in pieces if not piece.reasoning)))

    def _spend(self, usage: Usage | None, *, prompt: bool) -> None:
        """Add up what is written and the seconds, and the prompt where it is a new one."""
        if usage is not None:
            self.usage = Usage(
                prompt_tokens=self.usage.prompt_tokens + usage.prompt_tokens * prompt,
                completion_tokens=self.usage.completion_tokens + usage.completion_tokens,
                cached_tokens=self.usage.cached_tokens + usage.cached_tokens * prompt,
                prefill_s=self.usage.prefill_s + usage.prefill_s,
                decode_s=self.usage.decode_s + usage.decode_s,
            )


def direct(
    looks: Sequence[Sequence[Message]], context: Context, generator: Generator, budgets: Budgets, sampling: Sampling
) -> Steps[Event, None, Outcome]:
    """One phase a look, no thinking: the answer at once, checked and reviewed but not reflected on."""
    transcript = _Transcript(generator, sampling)
    drafts: list[Draft] = []
    for messages in looks:
        transcript.read(messages)
        yield Event("stage", "draft")
        drafts.append(_upheld((yield from _draft(transcript, context, "", budgets)), drafts, context.question))
        if not drafts[-1].faults and not drafts[-1].refused:
            break
    return Outcome(_best(drafts), len(drafts), transcript.usage)


def reflective(
    looks: Sequence[Sequence[Message]], context: Context, generator: Generator, budgets: Budgets, sampling: Sampling
) -> Steps[Event, None, Outcome]:
    """Plan, think, draft; then, while check or review find faults and rounds are left, reflect, over the next look
    where there is one, and draft again."""
    transcript = _Transcript(generator, sampling, looks[0])
    parser = ReflectionParser()
    yield Event("stage", "plan")
    yield from _tagged(transcript, parser, PLAN_OPENING, ("</plan>", "</thinking>", "<output>"), budgets.plan)
    yield Event("stage", "think")
    yield from _think(transcript, parser, plan_closing(context.question), budgets)
    yield Event("stage", "draft")
    drafts = [(yield from _draft(transcript, context, TO_OUTPUT, budgets))]
    reflections: list[str] = []
    look = 1
    while len(reflections) < budgets.rounds:
        unread = look < len(looks)
        if not drafts[-1].faults and not (drafts[-1].refused and unread):
            break
        yield Event("stage", "reflect")
        look += unread
        transcript.read(looks[look - 1])
        # The thinking that led to the fault is left out: a small model that sees it follows it again. So are the
        # faulty words themselves, where there is more to read: what they missed may stand there.
        transcript.text = "<thinking>" + "".join(f"\n<reflection>\n{each}\n</reflection>" for each in reflections)
        opening = f"\n<reflection>\n{_READ_ON if unread else drafts[-1].feedback}\n"
        yield from merge(parser.leave_inner())
        yield from _tagged(
            transcript, parser, opening, ("</reflection>", "</thinking>", "<output>"), budgets.reflection
        )
        parser.end_code()
        yield from merge(parser.feed("\n</reflection>"))
        transcript.text += "\n</reflection>"
        reflections.append(parser.reflections[-1])
        yield Event("stage", "draft")
        draft = yield from _draft(transcript, context, TO_OUTPUT, budgets)
        drafts.append(_upheld(draft, drafts, context.question))
        if grounding.say_the_same(drafts[-1].text, drafts[-2].text, context.question):
            break  # the model stands by its words: another round would only repeat them
    return Outcome(_best(drafts), look, transcript.usage, parser.plan, parser.thinking, parser.reflections)


def _upheld(draft: Draft, earlier: Sequence[Draft], question: str) -> Draft:
    """`draft` without its doubt if it says what the one before said: two drafts, the second over more passages or told
    of the doubt, weigh more than one review. What the check found stays."""
    same = bool(earlier) and grounding.say_the_same(draft.text, earlier[-1].text, question)
    return replace(draft, doubted=draft.doubted and not same)


def _best(drafts: Sequence[Draft]) -> Draft:
    """The draft with the fewest faults, the latest of equals; to say that nothing answers counts as one, and an empty
    draft is the last resort."""
    return min(reversed(drafts), key=lambda draft: (draft.empty, draft.faults + draft.refused))


def _think(
    transcript: _Transcript, parser: ReflectionParser, opening: str, budgets: Budgets
) -> Steps[Event, None, None]:
    stop = ("</thinking>", "<output>")
    before = transcript.usage.completion_tokens
    spent, least = 0, min(budgets.least_thinking, budgets.thinking)
    while True:
        yield from _tagged(transcript, parser, opening, stop, budgets.thinking - spent)
        last, spent = spent, transcript.usage.completion_tokens - before
        if spent >= least or spent == last:  # a model that adds nothing would add nothing for ever
            return
        opening = "\nWait, "


def _tagged(
    transcript: _Transcript, parser: ReflectionParser, opening: str, stop: Sequence[str], most: int
) -> Steps[Event, None, None]:
    """One phase whose text goes through the parser, opening included."""
    parser.end_code()
    yield from merge(parser.feed(opening))
    yield from transcript.phase(opening, stop, most, lambda text: merge(parser.feed(text)))


def _draft(transcript: _Transcript, context: Context, opening: str, budgets: Budgets) -> Steps[Event, None, Draft]:
    written, finished = yield from transcript.phase(
        opening, ("</output>",), budgets.output, lambda text: [Event("draft", text)]
    )
    yield Event("stage", "check")
    text = _answer_in(written)
    checked = Draft(text, grounding.check(text, context.question, context.passages), finished)
    return replace(checked, doubted=not checked.faults and transcript.is_doubted(checked, context))


def _answer_in(written: str) -> str:
    """The answer in what a model wrote after `<output>`; some start the protocol anew, and then its output counts, and
    thinking without one is no answer."""
    parser = ReflectionParser()
    parser.feed(written)
    parser.close()
    if parser.output or parser.thinking or parser.plan or parser.reflections:
        return parser.output
    return written.strip()
