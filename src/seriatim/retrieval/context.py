"""What retrieval hands on: passages in the order the reader sees them."""

from dataclasses import dataclass

from seriatim.documents.document import Passage


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passage with its relevance to a question: `rank` 1 is the most relevant."""

    passage: Passage
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Context:
    """The passages chosen for a question, in the order the reader sees them, and their tokens in all."""

    question: str
    passages: tuple[Ranked, ...]
    tokens: int

    def to_dict(self) -> dict[str, object]:
        """The `search --json` contract."""
        return {
            "question": self.question,
            "passages": [passage_dict(each) for each in self.passages],
            "tokens": self.tokens,
        }


def passage_dict(ranked: Ranked) -> dict[str, object]:
    """A passage as every `--json` gives it."""
    passage = ranked.passage
    return {
        "document": passage.document,
        "index": passage.index,
        "start": passage.start,
        "end": passage.end,
        "page": passage.page,
        "rank": ranked.rank,
        "score": ranked.score,
        "text": passage.text,
    }
