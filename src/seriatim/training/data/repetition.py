"""OLMoE's filter of documents that repeat themselves."""

import numpy as np
from numpy.typing import NDArray

LONGEST, TIMES = 13, 32


def repeats(tokens: NDArray[np.int64], *, longest: int = LONGEST, times: int = TIMES) -> bool:
    """Whether an n-gram of 1 to `longest` tokens stands at least `times` times in a row.

    The data card of OLMoE-mix-0924: all documents are removed that have a sequence of 32 or more repeated n-grams,
    where an n-gram is any span of 1 to 13 tokens. A sequence of them is one directly after another, as OLMo's training
    code looks for periodic sequences.
    """
    for period in range(1, min(longest, len(tokens) // times) + 1):
        same = np.concatenate(([False], tokens[period:] == tokens[:-period], [False]))
        edges = np.flatnonzero(np.diff(same.astype(np.int8)))
        if len(edges) and (edges[1::2] - edges[::2]).max() >= (times - 1) * period:
            return True
    return False
