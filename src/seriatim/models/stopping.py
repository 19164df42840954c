"""Stop strings in a stream of text: found across the borders of its pieces, and never let through."""

from collections.abc import Sequence


class StopText:
    """Lets text through up to the first stop string, and holds back only what one may begin with.

    The stop string that is complete first counts, and of those the longest: every split of a text into pieces gives the
    same. Once `stopped`, the text is over.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = [text for text in stop if text]
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """What may be shown now that `text` has come."""
        self._held += text
        found = [(self._held.index(each) + len(each), -len(each)) for each in self._stop if each in self._held]
        if found:
            self.stopped = True
            end, less = min(found)
            return self._release(end + less)
        return self._release(len(self._held) - self._begun())

    def close(self) -> str:
        """What was held back, for a text that ended before a stop string did."""
        return "" if self.stopped else self._release(len(self._held))

    def _begun(self) -> int:
        """How many of the last characters are the beginning of a stop string."""
        longest = min(len(self._held), max((len(each) for each in self._stop), default=1) - 1)
        tails = (self._held[-length:] for length in range(longest, 0, -1))
        return next((len(tail) for tail in tails if any(each.startswith(tail) for each in self._stop)), 0)

    def _release(self, length: int) -> str:
        shown, self._held = self._held[:length], self._held[length:]
        return shown
