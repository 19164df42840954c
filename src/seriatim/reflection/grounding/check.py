"""The verifier that an answer passes before it is given: does what it states stand in the passages it cites?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from seriatim.reflection.grounding.claims import Claim, claims_of
from seriatim.reflection.grounding.english import denies
from seriatim.reflection.grounding.evidence import Evidence, Span, Wanted
from seriatim.reflection.grounding.facts import Asked, Checkable, Fact, asked, facts_of
from seriatim.reflection.grounding.refusal import is_refusal, refuses
from seriatim.reflection.grounding.words import words_of
from seriatim.retrieval.context import Ranked

_VERBATIM_WORDS = 4
_MOST_ADDED = 3
# Shares of a claim's weight of content words, set on the drafts in the tests (precision before recall).
_FEW = 2  # so many new words must all stand together
_MANY = 6  # so many may stand anywhere in a passage
_SUPPORT = 0.5
_SUPPORT_IF_CITED = 0.34
_RELATED = 0.15
_RELATED_IF_CITED = 0.3
_AUTOMATIC = 0.5


@dataclass(frozen=True, slots=True)
class Citation:
    """What a claim rests on: `document_text[start:end] == quote`, in passage `passage` (from 1, as the model saw it).

    It is not `supported` where the model cites the passage for a claim that neither it nor any other bears out, or for
    a denial of what the passage does not speak of. `page` is that of the quote in a document with pages, from 1; the
    check, which sees no document, leaves it None.
    """

    passage: int
    document: str
    start: int
    end: int
    quote: str
    supported: bool
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A fact that does not stand in the passages its claim cites.

    `found_in` are the passages that do hold it, about the same matter: the citation is then corrected. Where it is
    empty, nothing supports the fact.
    """

    fact: Fact
    claim: str
    cited: tuple[int, ...]
    found_in: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """A claim with the passages it should cite, and whether all its facts stand in them."""

    claim: Claim
    passages: tuple[int, ...]
    supported: bool


@dataclass(frozen=True, slots=True)
class Grounding:
    """What the check of a draft found."""

    claims: tuple[Checked, ...] = ()
    citations: tuple[Citation, ...] = ()
    unsupported: tuple[Unsupported, ...] = ()


def check(draft: str, question: str, passages: Sequence[Ranked]) -> Grounding:
    """Check every claim of `draft`, an answer to `question` that cites `passages` by their place from 1, as in [2].

    - Quotations must stand word for word; case, punctuation, hyphens and line breaks don't count, and parts
      around an ellipsis must follow each other.
    - Numbers are compared by value: digits, words, ordinals, dates. Small ones in words count only where the question
      asks for a quantity.
    - Names must stand in a cited passage, in any form, or elsewhere where the cited passage says "he" or "I".
    - What the question says itself needs no proof, except a number that is all a claim says, or that the question
      offers as a choice.
    - A claim with none of these is judged by its content words, unless it denies something; one with nothing of its
      own passes.
    - A claim without a citation gets the passages that hold its facts, or speak most of it and of what was asked.
    - Where no claim has a passage to rest on in the end, none of them is supported.

    A refusal to answer is never at fault. It never raises, whatever the text.
    """
    if is_refusal(draft):
        return Grounding(tuple(Checked(claim, (), True) for claim in claims_of(draft)))
    known = asked(question, " ".join(PurePath(p.passage.document).stem for p in passages))
    evidence = Evidence(passages)
    judgements = [_Judgement(claim, known, evidence) for claim in claims_of(draft)]
    verdicts = [judgement.verdict() for judgement in judgements]
    if not any(citations or faults for _, citations, faults in verdicts):
        verdicts = [judgement.groundless() for judgement in judgements]
    citations = _without_overlaps([citation for _, cited, _ in verdicts for citation in cited], evidence)
    unsupported = tuple(fault for _, _, faults in verdicts for fault in faults)
    return Grounding(tuple(checked for checked, _, _ in verdicts), citations, unsupported)


def _without_overlaps(citations: list[Citation], evidence: Evidence) -> tuple[Citation, ...]:
    """`citations`, those that share words joined into one; where only one of two is supported, it stands for both."""
    kept: list[Citation] = []
    for each in sorted(dict.fromkeys(citations), key=lambda citation: not citation.supported):
        shared = [c for c in kept if c.passage == each.passage and c.start < each.end and each.start < c.end]
        if any(c.supported != each.supported for c in shared):
            continue
        start, end = min(c.start for c in [*shared, each]), max(c.end for c in [*shared, each])
        passage = evidence.sources[each.passage - 1].passage
        quote = passage.text[start - passage.start : end - passage.start]
        kept = [c for c in kept if c not in shared] + [replace(each, start=start, end=end, quote=quote)]
    order = list(dict.fromkeys(citation.passage for citation in citations))
    return tuple(sorted(kept, key=lambda citation: (order.index(citation.passage), citation.start)))


class _Judgement:
    """One claim before the evidence."""

    def __init__(self, claim: Claim, known: Asked, evidence: Evidence) -> None:
        self.claim, self.evidence = claim, evidence
        self.cited = tuple(n for n in claim.cited if 1 <= n <= len(evidence.sources))
        self.outside = tuple(n for n in claim.cited if not 1 <= n <= len(evidence.sources))
        words = words_of(claim.text)
        self.vocabulary = known.vocabulary.union(words.folded)
        self.plain = claim.plain
        self.refuses = refuses(claim.text)
        self.denies = denies(claim.text, words.folded)
        self.about = evidence.wanted(words.folded)
        self.new = self.about.without(frozenset(evidence.stems_of(known.vocabulary)))
        self.context = evidence.wanted([*words.folded, *known.words.folded])
        self.verbatim = evidence.verbatim(words.squashed) if len(words.folded) >= _VERBATIM_WORDS else {}
        facts = [] if self.refuses else facts_of(claim, known, evidence.proper)
        self.facts = [fact for fact in facts if not fact.counted or self._is_miscounted(fact)]
        self.places = {fact: frozenset(evidence.places(fact)) | self.verbatim.keys() for fact in self.facts}
        self.names = {fact: at for fact, at in self.places.items() if at and fact.fact.kind == "name"}
        self.referents = {fact for fact in self.facts if self._is_referent(fact)}

    def verdict(self) -> tuple[Checked, list[Citation], list[Unsupported]]:
        if self.refuses:
            return Checked(self.claim, (), True), [], []
        faults = self._faults_of_facts() if self.facts else self._faults_of_words()
        passages = self._passages(faults)
        supported = all(fault.found_in for fault in faults)
        citations = [self._citation(number, supported and self._may_rest_on(number)) for number in passages]
        return Checked(self.claim, passages, supported), citations, faults + self._faults_of_citations(passages)

    def groundless(self) -> tuple[Checked, list[Citation], list[Unsupported]]:
        """The verdict in an answer that rests on no passage at all."""
        says = bool(self.plain) and not self.refuses and not self.denies
        return Checked(self.claim, (), not says), [], [self._fault_of_claim(())] if says else []

    def _faults_of_facts(self) -> list[Unsupported]:
        faults = []
        for fact in self.facts:
            places = self.places[fact]
            if fact in self.referents or places.intersection(self.cited):
                continue
            related = tuple(n for n in sorted(places) if self._is_related(n, fact))
            if self.cited or not related:
                faults.append(Unsupported(fact.fact, self.plain, self.cited, related))
        return faults

    def _is_miscounted(self, fact: Checkable) -> bool:
        return any(self.evidence.counts_otherwise(number, fact) for number in self.cited)

    def _is_referent(self, fact: Checkable) -> bool:
        """Whether a name, said elsewhere, may stand for the "he" or "I" of a cited passage that bears out the rest.

        It may where the sentences that do hold a pronoun and no name that the claim does not.
        """
        if fact.fact.kind != "name" or not self.places[fact]:
            return False
        rest = self.new.without(frozenset(self.evidence.stems_of(fact.words)))
        return bool(rest.weights) and any(
            share >= _SUPPORT and self.evidence.speaks_of_someone(number, window, self.vocabulary)
            for number in self.cited
            for window, share in [self.evidence.best_window(number, rest)]
        )

    def _is_related(self, number: int, fact: Checkable) -> bool:
        """Whether a passage that holds `fact` is about what the claim says beside it, and so may be cited for it.

        To take the place of one that the model cites, it must be more so: hold the other names, and share more words.
        """
        name = fact.fact.kind == "name"
        if number in self.cited or number in self.verbatim or fact.fact.kind == "quotation":
            return True
        taken = frozenset(self.evidence.stems_of(words_of(fact.fact.text).folded))
        stems = self.evidence.sources[number - 1].stems
        if not self.cited:
            beside = self.about.without(taken)
            return name or beside.share(stems) >= _RELATED
        if name and any(self.evidence.are_near(number, cited) for cited in self.cited):
            return True
        if any(number not in places for other, places in self.names.items() if other != fact):
            return False
        share = self.context.without(taken).share(stems)
        return share > 0 if name else share >= _RELATED_IF_CITED

    def _faults_of_words(self) -> list[Unsupported]:
        if not self.new.weights or self.denies or self.verbatim:
            return []
        supporting = self._supporting()
        if any(self._says(n) for n in self.cited) or (not self.cited and supporting):
            return []
        return [self._fault_of_claim(tuple(supporting[:_MOST_ADDED]))]

    def _fault_of_claim(self, found_in: tuple[int, ...]) -> Unsupported:
        fact = Fact("claim", self.plain, self.claim.start, self.claim.end)
        return Unsupported(fact, self.plain, self.cited, found_in)

    def _supporting(self) -> list[int]:
        """The passages that say what is new in the claim, the best first."""
        supporting = [n for n in self._likeliest(self.new) if self._says(n)]
        if self.cited or len(self.new.weights) <= _FEW:
            supporting = [n for n in supporting if self._is_asked_of(n)]
        return supporting

    def _says(self, number: int) -> bool:
        """Whether the new content words of the claim, or most of many, stand together in a passage."""
        needed = _SUPPORT_IF_CITED if number in self.cited else _SUPPORT
        if len(self.new.weights) <= _FEW:
            needed = 1.0
        if len(self.new.weights) >= _MANY:
            share = self.new.share(self.evidence.sources[number - 1].stems)
        else:
            share = self._share(number, self.new)
        return share >= needed - 1e-9

    def _is_asked_of(self, number: int) -> bool:
        """Whether a passage has anything of the question and the claim beside what is new."""
        beside = self.context.without(frozenset(self.new.weights))
        return beside.share(self.evidence.sources[number - 1].stems) > 0

    def _may_rest_on(self, number: int) -> bool:
        """Whether a passage speaks of what a denial denies: to name the same person is not enough."""
        checked = not self.denies or self.facts or number in self.verbatim
        return bool(checked) or self._share(number, self.context) >= _RELATED_IF_CITED

    def _likeliest(self, wanted: Wanted, most: int = 6) -> list[int]:
        """The passages that hold most of the weight of `wanted`, the best first."""
        shares = [(wanted.share(source.stems), n) for n, source in enumerate(self.evidence.sources, 1)]
        return [n for share, n in sorted(shares, key=lambda pair: (-pair[0], pair[1]))[:most] if share > 0]

    def _passages(self, faults: list[Unsupported]) -> tuple[int, ...]:
        """The passages that the claim should cite: those cited that bear on it, and the best one for each fact left."""
        kept = [n for n in self.cited if self._bears(n)]
        if self.verbatim and not self.verbatim.keys() & set(kept):
            kept = []
        met = self.referents | {fact for fact in self.facts if self.places[fact].intersection(kept)}
        left = [fact for fact in self.facts if fact not in met]
        added: list[int] = []
        while left and len(added) < _MOST_ADDED:
            chosen = self._best_place(left)
            if chosen is None:
                break
            added.append(chosen)
            left = [fact for fact in left if chosen not in self.places[fact]]
        if not self.facts and not kept:
            added = self._automatic(faults)
        return tuple(kept + added) or self.cited

    def _bears(self, number: int) -> bool:
        if self.facts:
            return any(number in self.places[fact] for fact in self.facts)
        return not self.new.weights or self.denies or number in self.verbatim or self._says(number)

    def _best_place(self, facts: list[Checkable]) -> int | None:
        """The passage that holds most of `facts` and speaks most of the claim."""
        candidates = Counter(n for fact in facts for n in self.places[fact] if self._is_related(n, fact))
        sources = self.evidence.sources
        return max(
            candidates,
            key=lambda n: (n in self.verbatim, candidates[n], self.context.share(sources[n - 1].stems), -n),
            default=None,
        )

    def _automatic(self, faults: list[Unsupported]) -> list[int]:
        """The passage for a claim without facts: the one that says it, else one that speaks enough of it."""
        if not self.plain:
            return []
        if self.verbatim:
            return [max(self.verbatim, key=lambda n: (self.context.share(self.evidence.sources[n - 1].stems), -n))]
        if faults:
            return list(faults[0].found_in[:1])
        if self.new.weights and not self.denies:
            speaking = self._supporting()
        elif self.about.weights:
            speaking = [n for n in self._likeliest(self.context) if self._share(n, self.about) >= _AUTOMATIC]
            speaking = [n for n in speaking if self._may_rest_on(n)]
        elif self.denies:
            return []  # what a bare "no" denies may stand nowhere
        else:  # a bare "yes" says all that was asked, in whatever words the passage has it
            speaking = [n for n in self._likeliest(self.context) if self._share(n, self.context) > 0]
        return [max(speaking, key=lambda n: (self._share(n, self.context), -n))] if speaking else []

    def _share(self, number: int, wanted: Wanted) -> float:
        """How much of `wanted` stands together in a passage."""
        return self.evidence.best_window(number, wanted)[1]

    def _faults_of_citations(self, passages: tuple[int, ...]) -> list[Unsupported]:
        end = self.claim.marks[-1].end if self.claim.marks else self.claim.end
        start = self.claim.marks[0].start if self.claim.marks else self.claim.start
        return [
            Unsupported(Fact("citation", str(n), start, end), self.plain, self.cited, passages) for n in self.outside
        ]

    def _citation(self, number: int, supported: bool) -> Citation:
        passage = self.evidence.sources[number - 1].passage
        start, end = self._quoted(number)
        return Citation(
            number,
            passage.document,
            passage.start + start,
            passage.start + end,
            passage.text[start:end],
            supported,
        )

    def _quoted(self, number: int) -> Span:
        """The sentences of a passage that best support the claim."""
        if number in self.verbatim:
            return self.evidence.covering(number, self.verbatim[number])
        here = [fact for fact in self.facts if number in self.places[fact]]
        spans = [s for fact in here if fact.fact.kind == "quotation" for s in self.evidence.spans(number, fact)]
        if spans:
            return self.evidence.covering(number, (min(a for a, _ in spans), max(b for _, b in spans)))
        return self.evidence.best_quote(number, self.context, here)
