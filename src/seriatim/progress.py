"""How what takes long tells how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the thing at hand, how many things, or bytes, are done, and how many there are; 0 where that
is not known. Bytes are told by a number that is `Bytes`."""


class Bytes(int):
    """How many bytes there are, where bytes are counted."""
