import json
from pathlib import Path

import numpy as np
import pytest

from seriatim.errors import DocumentError, ModelError, TrainingError, UsageError
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.data import shards, sources, vocabulary

TEXTS = [
    "The Petrel left Aldmouth on the third of March.",
    "Captain Marr kept the log.",
    "The bees came from Sunder. 🐝",
]


@pytest.fixture
def tokenizer() -> Tokenizer:
    return vocabulary.trained(TEXTS * 5, 300)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    return file


def stream(held: shards.Shards) -> np.ndarray:
    """All ids to train on."""
    return np.concatenate([ids[:] for ids in held.tokens("train")])


def test_documents_stand_one_after_another_each_ended(tmp_path: Path, rows: Path, tokenizer: Tokenizer) -> None:
    held = shards.write([rows], tmp_path / "data", tokenizer)
    ids = stream(held)
    parts = np.split(ids, np.flatnonzero(ids == tokenizer.eos_id) + 1)[:-1]
    assert [tokenizer.decode(part.tolist()) for part in parts] == TEXTS
    assert (held.dtype, held.vocabulary, held.eos_id, held.pad_id) == ("uint16", tokenizer.size, 0, 1)
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert manifest["documents"] == 3
    assert manifest["sources"][0]["file"] == str(rows)
    [ends] = held.ends("train")
    assert [tokenizer.decode(part.tolist()) for part in np.split(ids, ends.astype(int))[:-1]] == TEXTS
    assert shards.opened(tmp_path / "data") == held
    shards.verify(held)


def test_marks_in_a_text_are_text(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "a.txt").write_text("before <|endoftext|> after")
    held = shards.write([tmp_path / "a.txt"], tmp_path / "data", tokenizer)
    ids = stream(held)
    assert (ids == 0).sum() == 1
    assert tokenizer.decode(ids.tolist()) == "before <|endoftext|> after"


def test_what_repeats_itself_is_dropped_and_counted(tmp_path: Path, rows: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "noise.txt").write_text("na " * 400)
    held = shards.write([rows, tmp_path / "noise.txt"], tmp_path / "data", tokenizer)
    assert sum(shard.documents for shard in held.shards) == 3
    assert json.loads((tmp_path / "data" / "manifest.json").read_text())["filter"]["dropped"] == 1
    with pytest.raises(TrainingError, match="no text is left"):
        shards.write([tmp_path / "noise.txt"], tmp_path / "other", tokenizer)
    assert not (tmp_path / "other").exists()


def test_held_out_documents_are_chosen_by_their_content(tmp_path: Path, tokenizer: Tokenizer) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text("".join(json.dumps({"text": f"Entry {n} of the log."}) + "\n" for n in range(200)))
    held = shards.write([file], tmp_path / "a", tokenizer, validation=0.25)
    documents = {shard.split: shard.documents for shard in held.shards}
    assert documents["train"] + documents["validation"] == 200
    assert 30 < documents["validation"] < 70
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))
    again = shards.write([file], tmp_path / "b", tokenizer, validation=0.25)
    assert {shard.split: shard.documents for shard in again.shards} == documents


def test_many_shards_read_as_one_stream(
    tmp_path: Path, rows: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stream(shards.write([rows], tmp_path / "one", tokenizer))
    monkeypatch.setattr(shards, "SHARD_TOKENS", 20)
    held = shards.write([rows], tmp_path / "many", tokenizer)
    assert len(held.tokens("train")) > 1
    assert (stream(held) == whole).all()
    for ids, ends in zip(held.tokens("train"), held.ends("train"), strict=True):
        assert ends.tolist() == (np.flatnonzero(ids[:] == held.eos_id) + 1).tolist()


def test_lost_and_changed_files_are_named(tmp_path: Path, rows: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(TrainingError, match="holds no token shards"):
        shards.opened(tmp_path)
    held = shards.write([rows], tmp_path / "data", tokenizer)
    file = tmp_path / "data" / "train-00000.bin"
    data = file.read_bytes()
    file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    shards.opened(tmp_path / "data")
    with pytest.raises(TrainingError, match=r"train-00000\.bin is not as it was written"):
        shards.verify(held)
    shards.verify(held, rank=1, ranks=2)  # the other process reads the other files
    with pytest.raises(TrainingError, match=r"train-00000\.bin is not as it was written"):
        shards.verify(held, rank=0, ranks=2)
    file.write_bytes(data[:-2])
    with pytest.raises(TrainingError, match="is not as it was written"):
        shards.opened(tmp_path / "data")
    file.unlink()
    with pytest.raises(TrainingError, match=r"train-00000\.bin is gone"):
        shards.opened(tmp_path / "data")
    file.write_bytes(data)
    (tmp_path / "data" / "train-00000.ends").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"train-00000\.ends is not as it was written"):
        shards.opened(tmp_path / "data")
    (tmp_path / "data" / "tokenizer.json").write_text('{"a":')
    with pytest.raises(TrainingError, match=r"tokenizer\.json is not as it was written"):
        shards.opened(tmp_path / "data")
    (tmp_path / "data" / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"tokenizer\.json cannot be read"):
        shards.opened(tmp_path / "data")
    for manifest in ("[]", json.dumps({"format": shards.FORMAT, "shards": [{"name": "train"}]})):
        (tmp_path / "data" / "manifest.json").write_text(manifest)
        with pytest.raises(TrainingError, match=r"manifest\.json is not as it was written"):
            shards.opened(tmp_path / "data")


def test_a_file_that_changes_while_it_is_in_use_is_named(tmp_path: Path, rows: Path, tokenizer: Tokenizer) -> None:
    held = shards.write([rows], tmp_path / "data", tokenizer)
    [ids] = held.tokens("train")
    whole = ids[:]
    assert (ids[3:9] == whole[3:9]).all()
    assert len(ids) == len(whole)
    file = tmp_path / "data" / "train-00000.bin"
    np.append(whole[:-1], np.uint16(300)).tofile(file)
    assert (ids[:-1] == whole[:-1]).all()
    with pytest.raises(TrainingError, match=r"train-00000\.bin is not as it was written"):  # no id of 300
        ids[:]
    file.write_bytes(whole[:5].tobytes()[:-1])  # cut short within an id
    assert (ids[:4] == whole[:4]).all()
    with pytest.raises(TrainingError, match=r"train-00000\.bin is not as it was written"):
        ids[2:6]
    file.unlink()
    for read in (lambda: ids[:4], lambda: shards.verify(held)):
        with pytest.raises(TrainingError, match=r"train-00000\.bin cannot be read \(No such file or directory\)"):
            read()


def test_what_cannot_be_read_is_left_out_and_named_where_that_is_asked(
    tmp_path: Path, rows: Path, tokenizer: Tokenizer
) -> None:
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    rows.write_text(rows.read_text() + '{"text": 3}\n' + json.dumps({"text": "The last."}))
    files = [rows, tmp_path / "empty.txt", tmp_path / "bad.parquet"]
    held = shards.write(files, tmp_path / "data", tokenizer, skip=True)
    ids = stream(held)
    assert tokenizer.decode(ids.tolist()) == "".join([*TEXTS, "The last."])
    assert len(held.unreadable) == 3
    assert all(any(file.name in reason for reason in held.unreadable) for file in files)
    for alone in files:
        with pytest.raises((TrainingError, DocumentError), match=alone.name):
            shards.write([alone], tmp_path / "none", tokenizer)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("line", "told"), [("{", "line 2: not JSON"), ('{"body": "x"}', "line 2: no text in 'text'")])
def test_a_row_that_is_none_is_named(tmp_path: Path, rows: Path, tokenizer: Tokenizer, line: str, told: str) -> None:
    rows.write_text(rows.read_text().splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(TrainingError, match=told):
        shards.write([rows], tmp_path / "data", tokenizer)
    assert not (tmp_path / "data").exists()


def test_parquet_columns(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"body": [*TEXTS, None]})
    parquet.write_table(table, tmp_path / "groups.parquet", row_group_size=2)
    assert len(sources.parts(tmp_path / "groups.parquet")) == 2
    assert list(sources.texts(tmp_path / "groups.parquet", "body", skip=True)) == TEXTS
    with pytest.raises(TrainingError, match="row 4: no text in 'body'"):
        list(sources.texts(tmp_path / "groups.parquet", "body"))

    parquet.write_table(pyarrow.table({"body": TEXTS}), tmp_path / "a.parquet")
    assert list(sources.texts(tmp_path / "a.parquet", "body")) == TEXTS
    with pytest.raises(TrainingError, match="no column text: name one of body"):
        list(sources.texts(tmp_path / "a.parquet"))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(TrainingError, match="no Parquet file"):
        list(sources.texts(tmp_path / "b.parquet"))


def test_sources_are_files_folders_and_rows(tmp_path: Path, rows: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_text("# Text")
    assert sources.files([tmp_path]) == [rows.resolve(), (tmp_path / "sub" / "a.md").resolve()]
    with pytest.raises(UsageError, match="nowhere"):
        sources.files([tmp_path / "nowhere"])
    (tmp_path / "sub" / "empty.txt").write_text("")
    with pytest.raises(DocumentError):
        list(sources.texts(tmp_path / "sub" / "empty.txt"))


def test_a_tokenizer_is_trained_alike_every_time_and_found_again(tmp_path: Path, tokenizer: Tokenizer) -> None:
    assert vocabulary.trained(TEXTS * 5, 300).parts() == tokenizer.parts()
    tokenizer.write(tmp_path)
    again = vocabulary.existing(tmp_path / "tokenizer.json")
    assert (again.eos_id, again.pad_id, again.encode(TEXTS[2])) == (0, 1, tokenizer.encode(TEXTS[2]))
    assert vocabulary.existing(tmp_path).parts() == again.parts()
    with pytest.raises(ModelError, match="nothere is not there: name a tokenizer"):
        vocabulary.existing(Path("nothere"))
    assert tokenizer.encode_all([*TEXTS, "a <|user|> b"]) == [
        tokenizer.encode(text) for text in [*TEXTS, "a <|user|> b"]
    ]
    with pytest.raises(UsageError, match="at least 258 ids"):
        vocabulary.trained(TEXTS, 100)
    with pytest.raises(UsageError, match="at most 16777216 ids"):
        vocabulary.trained(TEXTS, 10**20)
