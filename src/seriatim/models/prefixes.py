"""The prompts that a model has read, kept so that what the next one has in common with them is not read again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seriatim.olmoe.cache import KVCache

# A cache's room is a multiple of this: a short prompt takes little memory, and a growing text is seldom moved.
_STEP = 512


@dataclass(slots=True, eq=False)
class Prefix:
    """A cache, and the ids of the tokens that it has read."""

    cache: "KVCache"
    ids: list[int] = field(default_factory=list)

    def settle(self) -> None:
        """Make ids and cache agree, after a generation that ended at any moment: both keep what both have."""
        self.cache.truncate(len(self.ids))
        del self.ids[self.cache.length :]


class Prefixes:
    """The last `most` prefixes. A prompt goes on from the one that it shares most with.

    Whoever takes a prefix has it alone until it is given back. One at least stays whole while another prompt is read in
    between: where a prompt would throw away more than half of the prefix that it goes on from, what they share is
    copied, and the prefix used longest ago makes room.
    `new_cache` makes an empty cache for so many tokens of one sequence, at most `capacity`.
    """

    def __init__(self, new_cache: Callable[[int], "KVCache"], capacity: int, *, most: int = 2) -> None:
        self._new_cache, self._capacity, self._most = new_cache, capacity, most
        self._kept: list[Prefix] = []  # the one used last stands last; those in use are not among them

    def take(self, prompt: Sequence[int], tokens: int) -> Prefix:
        """A prefix with what `prompt` shares with it and nothing else, and with room for `tokens` in all.

        It is nobody else's until it is given back. At least one token of the prompt is left to read, for its logits.
        """
        found = max(self._kept, key=lambda kept: shared(kept.ids, prompt), default=None)
        common = min(shared(found.ids, prompt), len(prompt) - 1) if found else 0
        if found and 2 * common >= len(found.ids):
            replaced: Prefix | None = found
        else:
            replaced = self._kept[0] if len(self._kept) == self._most else None
        if replaced:
            self._kept.remove(replaced)
        fits = replaced is not None and replaced.cache.capacity >= tokens
        cache = replaced.cache if replaced and fits else self._new_cache(self._room(tokens))
        if found and cache is not found.cache:
            copy_read(found.cache, cache, common)
        cache.truncate(common)
        return Prefix(cache, list(prompt[:common]))

    def give_back(self, prefix: Prefix) -> None:
        """Keep a prefix that was taken, as far as it has been read, for the next prompts."""
        prefix.settle()
        self._kept = [*self._kept, prefix][-self._most :]

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def _room(self, tokens: int) -> int:
        return min(-(-tokens // _STEP) * _STEP, self._capacity)


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two sequences have in common at their beginning."""
    differs = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differs, min(len(one), len(other)))


def copy_read(source: "KVCache", target: "KVCache", tokens: int) -> None:
    """Put the first `tokens` that `source` has read at the beginning of `target`."""
    target.keys[:, :, :, :tokens] = source.keys[:, :, :, :tokens]
    target.values[:, :, :, :tokens] = source.values[:, :, :, :tokens]
    target.length = tokens
