"""Dense embedders by name: the second stage of retrieval.

A name is a model of the catalogue ("minilm", "bge-small-en-v1.5"), the path of a GGUF embedding model, or the address
of an OpenAI-compatible endpoint with its model ("http://localhost:8080/v1#bge-large"). "static" means no second stage.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from seriatim.errors import UsageError
from seriatim.models.transport import is_address
from seriatim.progress import Progress

DEFAULT = "minilm"


class Embedder(Protocol):
    """Turns texts into unit vectors whose dot product is their similarity."""

    @property
    def name(self) -> str:
        """What the library remembers; vectors of different names never mix."""

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of passages, [len(texts), dimension]."""

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """The vector of a question, [dimension]."""


class WordEmbedder(Embedder, Protocol):
    """One that sees a text word by word: it can let rare words count more, and compare each word of a question."""

    reads_words: bool

    def rarity(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """How rare each token of the vocabulary is among `texts`, [vocabulary]: its idf."""

    def embed_passages(
        self, texts: Sequence[str], weights: Sequence[NDArray[np.float32]] | None = None
    ) -> NDArray[np.float32]:
        """The vectors of passages, [len(texts), dimension], in each of which a token counts as much as its `weights`
        say, [vocabulary] for each text."""

    def embed_words(self, text: str) -> list[tuple[str, NDArray[np.float32]]]:
        """The words of a question as it has them, and the vector of each in its place, [dimension]; a word of several
        tokens comes once for each."""


def reads_words(embedder: Embedder) -> TypeGuard[WordEmbedder]:
    return getattr(embedder, "reads_words", False)


def open_embedder(name: str, *, progress: Progress | None = None) -> Embedder:
    """The embedder called `name`, fetched first if it is a named model that is not here yet.

    Raises `UsageError` for an unknown name and `ModelError` where the model cannot be fetched or loaded.
    """
    name = checked(name)
    if "://" in name:
        return EndpointEmbedder(name)
    if name.endswith(".gguf"):
        return GgufEmbedder(Path(name))
    from seriatim.models.catalog import MODELS
    from seriatim.models.download import pull
    from seriatim.retrieval.onnx_embedder import OnnxEmbedder

    return OnnxEmbedder(name, pull(MODELS[name], progress=progress))


def checked(name: str | Path) -> str:
    """`name` as a library remembers it, a path in full; nothing is fetched. Raises `UsageError` for what names none."""
    if not isinstance(name, str | Path):
        raise UsageError(f"an embedder is named by a str or a Path, not by {name!r}")
    name = str(name)
    if name == "static":
        return name
    if "://" in name:
        if not is_address(name):
            raise UsageError(f"{name!r} is not an address; give one like http://localhost:8000/v1#MODEL")
        return name
    if name.endswith(".gguf"):
        path = Path(os.path.expanduser(name)).absolute()
        if not path.is_file():
            raise UsageError(f"there is no embedding model {path}; give the path of a .gguf file")
        return str(path)
    from seriatim.models.catalog import MODELS

    known = [model.name for model in MODELS.values() if model.kind == "embedder"]
    if name not in known:
        raise UsageError(f"{name!r} is no embedder; take static, {', '.join(known)}, a path ending in .gguf, or a URL")
    return name


class GgufEmbedder:
    """Any GGUF embedding model, by llama.cpp."""

    def __init__(self, path: Path) -> None:
        from seriatim.models.llamacpp import LlamaCppEmbedder

        self.name = str(path)
        self._model = LlamaCppEmbedder(path)

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return unit(self._model.embed(list(texts)))

    def embed_question(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.embed_passages([text])[0]
        return vector


class EndpointEmbedder:
    """Any OpenAI-compatible `/v1/embeddings`; the model's name follows the address after "#"."""

    def __init__(self, address: str) -> None:
        self.name = address
        base_url, _, model = address.partition("#")
        self._base_url, self._model = base_url, model or None

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        from seriatim.models.endpoint import embed_texts

        return unit(embed_texts(self._base_url, self._model, texts))

    def embed_question(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.embed_passages([text])[0]
        return vector


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row scaled to length 1; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return scaled
