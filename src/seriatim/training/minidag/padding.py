"""Examples of unlike length as batches.

Shapes: B sequences, T tokens.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seriatim.training.data.batches import IGNORED, Batch
from seriatim.training.reflection.segments import Encoded


def buckets(encoded: Sequence[Encoded], most: int) -> list[list[Encoded]]:
    """Examples of like length together, as many as give at most `most` tokens with their padding."""
    batches: list[list[Encoded]] = [[]]
    for each in sorted(encoded, key=lambda each: len(each.ids)):
        if (len(batches[-1]) + 1) * len(each.ids) > most:
            batches.append([])
        batches[-1].append(each)
    return batches


def padded(examples: Sequence[Encoded], pad_id: int = 1) -> Batch:
    """Examples as a batch, filled up on the right with `pad_id`, which nothing is learned from."""
    longest = max(len(each.ids) for each in examples) - 1
    ids_BT: NDArray[np.int64] = np.full((len(examples), longest), pad_id, dtype=np.int64)
    labels_BT = np.full_like(ids_BT, IGNORED)
    for row, each in enumerate(examples):
        ids_BT[row, : len(each.ids) - 1] = each.ids[:-1]
        labels_BT[row, : len(each.ids) - 1] = each.labels[1:]
    return Batch(ids_BT, labels_BT)
