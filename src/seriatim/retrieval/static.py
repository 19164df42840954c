"""Static vectors: a passage is the mean of its tokens' vectors (WordLlama, 256 dimensions). No network, no
inference."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from seriatim.documents.tokens import token_ids, wordllama_folder

NAME = "wordllama-256"
DIMENSION = 256
_BATCH_TOKENS = 65_536


@cache
def _table() -> NDArray[np.float32]:
    """The vector of every token, [32000, 256]."""
    from safetensors.numpy import load_file

    weights = load_file(wordllama_folder() / "weights" / "l2_supercat_256.safetensors")
    return weights["embedding.weight"].astype(np.float32)


def embed_ids(ids: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
    """The unit vectors of texts given as token ids, [len(ids), 256]; a text without tokens gets the zero vector."""
    vectors = np.zeros((len(ids), DIMENSION), dtype=np.float32)
    lengths = np.array([len(text) for text in ids], dtype=np.int64)
    ends = np.cumsum(lengths)
    first = 0
    while first < len(ids):
        read = ends[first] - lengths[first]
        last = max(first + 1, int(np.searchsorted(ends, read + _BATCH_TOKENS, side="right")))
        batch = [first + int(i) for i in np.flatnonzero(lengths[first:last])]
        if batch:
            starts = np.cumsum([0, *lengths[batch][:-1]])
            vectors[batch] = np.add.reduceat(_table()[np.concatenate([ids[i] for i in batch])], starts, axis=0)
        first = last
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, norms, out=vectors, where=norms > 0)
    return vectors


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """The unit vectors of `texts`, [len(texts), 256]."""
    return embed_ids([np.array(ids, dtype=np.int32) for ids in token_ids(texts)])
