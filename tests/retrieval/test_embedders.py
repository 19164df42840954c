"""Embedders by name; the real one against its own fp32 form."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from seriatim.errors import ModelError, UsageError
from seriatim.retrieval.embedders import EndpointEmbedder, open_embedder, reads_words, unit
from seriatim.retrieval.onnx_embedder import OnnxEmbedder, quantized

TEXTS = [
    "The coffin became a life-buoy.",
    "Queequeg's chest was caulked and hung from the stern, in place of the lost life-buoy. " * 4,
    "Interest accrues daily at the base rate.",
]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'nomic' is no embedder; take static, .*minilm.*\.gguf, or a URL"):
        open_embedder("nomic")


def test_a_zero_vector_stays_zero() -> None:
    assert unit(np.array([[0, 0], [3, 4]], dtype=np.float32)) == pytest.approx(np.array([[0, 0], [0.6, 0.8]]))


def test_a_broken_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot be loaded"):
        OnnxEmbedder("minilm", tmp_path)


@pytest.mark.model
def test_int8_vectors_stay_near_the_published_model(embedder_path: Path, tmp_path: Path) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        shutil.copy(embedder_path / name, tmp_path)
    shutil.copy(tmp_path / "model.onnx", tmp_path / "model.int8.onnx")  # the published model takes the int8 one's place
    published = OnnxEmbedder("minilm", tmp_path).embed_passages(TEXTS)
    vectors = OnnxEmbedder("minilm", embedder_path).embed_passages(TEXTS)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert (vectors * published).sum(axis=1).min() > 0.97
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


@pytest.mark.model
def test_no_texts_give_no_vectors(embedder_path: Path) -> None:
    assert len(OnnxEmbedder("minilm", embedder_path).embed_passages([])) == 0


@pytest.mark.model
def test_a_token_counts_as_much_as_it_is_rare(embedder_path: Path) -> None:
    embedder = OnnxEmbedder("minilm", embedder_path)
    text = "The harbour master wrote of the walrus."
    rarity = embedder.rarity([text] + ["The harbour master wrote of the berth."] * 9)
    common, walrus = embedder.embed_passages(["harbour master", "walrus"])
    plain, weighted = embedder.embed_passages([text])[0], embedder.embed_passages([text], [rarity])[0]
    assert weighted @ weighted == pytest.approx(1, abs=1e-5)
    assert weighted @ walrus - weighted @ common > plain @ walrus - plain @ common
    assert embedder.embed_passages([text], [np.ones_like(rarity)])[0] == pytest.approx(plain, abs=1e-5)


@pytest.mark.model
def test_a_question_is_read_word_by_word(embedder_path: Path) -> None:
    found = OnnxEmbedder("minilm", embedder_path).embed_words("Did Ishmael  see\nthe Pequod?")
    words = [word for word, _ in found]
    assert list(dict.fromkeys(words)) == ["Did", "Ishmael", "see", "the", "Pequod", "?"]
    assert np.linalg.norm([vector for _, vector in found], axis=1) == pytest.approx(np.ones(len(found)), abs=1e-5)


@pytest.mark.model
def test_only_some_embedders_read_words(embedder_path: Path) -> None:
    assert reads_words(OnnxEmbedder("minilm", embedder_path))
    assert not reads_words(OnnxEmbedder("bge-small-en-v1.5", embedder_path))  # its first token stands for the text
    assert not reads_words(EndpointEmbedder("http://localhost:8080/v1#m"))


@pytest.mark.model
def test_a_model_is_quantised_once(embedder_path: Path, tmp_path: Path) -> None:
    shutil.copy(embedder_path / "model.onnx", tmp_path)
    made = quantized(tmp_path / "model.onnx")
    stamp = made.stat().st_mtime_ns
    assert quantized(tmp_path / "model.onnx").stat().st_mtime_ns == stamp
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.int8.onnx", "model.onnx"]
