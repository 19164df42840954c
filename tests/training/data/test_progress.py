"""What takes long before a model is trained says what it is."""

from pathlib import Path

from seriatim.training.data import shards, vocabulary


def test_the_tokenizer_and_the_hashing_of_sources_are_told(tmp_path: Path) -> None:
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for file in files:
        file.write_text(f"The Petrel left Aldmouth: so says {file.name}.")
    told: list[tuple[str, int, int]] = []
    tokenizer = vocabulary.trained((file.read_text() for file in files), 270, lambda *each: told.append(each))
    assert told == [(f"training the tokenizer, {n} texts read", 0, 0) for n in (1, 2)]
    shards.write(files, tmp_path / "data", tokenizer, progress=lambda *each: told.append(each))
    assert told[-2:] == [("hashing a.txt", 0, 2), ("hashing b.txt", 1, 2)]
