"""Examples as their tokens, for people: what is learned from, and what is only read."""

from collections.abc import Sequence
from itertools import groupby
from typing import Literal

from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.data.batches import IGNORED
from seriatim.training.reflection.segments import Encoded

Kind = Literal["asked", "masked", "learned", "tag"]


def runs(encoded: Encoded, tokenizer: Tokenizer) -> list[tuple[Kind, str]]:
    """The text of an example in stretches of one kind: `asked` before the response, `masked` and `learned` segments,
    and the template's own tags, which are learned."""
    first = next((place for place, label in enumerate(encoded.labels) if label != IGNORED), len(encoded.ids))
    kinds: list[Kind] = [
        "asked" if place < first else "masked" if label == IGNORED else "tag" if role is None else "learned"
        for place, (label, role) in enumerate(zip(encoded.labels, encoded.roles, strict=True))
    ]
    grouped = groupby(zip(kinds, encoded.ids, strict=True), key=lambda pair: pair[0])
    return [(kind, tokenizer.decode(id for _, id in pairs)) for kind, pairs in grouped]


def counts(encoded: Sequence[Encoded]) -> dict[str, int]:
    """How many examples and tokens there are, and of these how many are learned from."""
    return {
        "examples": len(encoded),
        "tokens": sum(len(each.ids) for each in encoded),
        "learned_tokens": sum(label != IGNORED for each in encoded for label in each.labels),
    }
