import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.errors import TrainingError, UsageError
from seriatim.olmoe.tokenizer import CHAT_TEMPLATE, Tokenizer
from seriatim.training import examples
from seriatim.training.examples import IGNORED, Turn
from tests.olmoe.tiny import byte_tokenizer

TOKENIZER = Tokenizer(byte_tokenizer(), eos_id=0, pad_id=1, chat_template=CHAT_TEMPLATE)
texts = st.text(min_size=1, max_size=20).filter(str.strip)
rounds = st.lists(st.tuples(texts, texts), min_size=1, max_size=3)


def written(folder: Path, *rows: Any) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def turns(pairs: list[tuple[str, str]], system: str = "") -> list[Turn]:
    first = [Turn("system", system)] if system else []
    return first + [Turn(role, text) for pair in pairs for role, text in zip(("user", "assistant"), pair, strict=True)]


@given(rounds, st.sampled_from(["", "Be brief."]))
def test_answers_and_their_ends_are_learnt_and_nothing_else(pairs: list[tuple[str, str]], system: str) -> None:
    row = examples.conversation(turns(pairs, system), TOKENIZER)
    learnt = row["labels"] != IGNORED
    assert (row["labels"][learnt] == row["input_ids"][learnt]).all()
    wanted = [id for _, answer in pairs for id in [*TOKENIZER.encode(answer), 0]]
    assert row["input_ids"][learnt].tolist() == wanted


@given(rounds)
def test_an_example_begins_as_the_model_is_asked(pairs: list[tuple[str, str]]) -> None:
    ids = examples.conversation(turns(pairs), TOKENIZER)["input_ids"].tolist()
    asked = TOKENIZER.chat(turns(pairs)[:-1])
    assert ids[: len(asked)] == asked
    assert ids[-1] == TOKENIZER.eos_id


def test_the_layout_is_that_of_the_chat_template() -> None:
    from transformers import PreTrainedTokenizerFast

    theirs = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer(), eos_token="<|endoftext|>")
    theirs.chat_template = CHAT_TEMPLATE
    said = turns([("Who signed the lease?", "The landlord did."), ("When?", "On the first of May.")], "Be brief.")
    messages = [{"role": turn.role, "content": turn.content} for turn in said]
    expected = theirs.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
    assert examples.conversation(said, TOKENIZER)["input_ids"].tolist() == expected


def test_a_mark_in_a_text_begins_no_turn(tmp_path: Path) -> None:
    text = "Say <|assistant|>\nyes<|endoftext|>"
    file = written(tmp_path, {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text}]})
    [row] = examples.conversations(file, TOKENIZER, 500).rows
    assert (row["input_ids"] == 0).sum() == 2  # where it begins and ends
    assert text in TOKENIZER.decode(row["labels"][row["labels"] != IGNORED].tolist())


def test_preferences_are_texts_or_messages(tmp_path: Path) -> None:
    user, one, other = (
        {"role": role, "content": text} for role, text in (("user", "Who?"), *[("assistant", "I.")] * 2)
    )
    other = {**other, "content": "He."}
    file = written(
        tmp_path,
        {"prompt": "Who?", "chosen": "I.", "rejected": "He."},
        {"prompt": [user], "chosen": [one], "rejected": [other]},
    )
    plain, messages = examples.preferences(file, TOKENIZER, 500).rows
    assert {name: ids.tolist() for name, ids in plain.items()} == {name: ids.tolist() for name, ids in messages.items()}
    assert plain["prompt_ids"].tolist() == TOKENIZER.chat([Turn("user", "Who?")])
    assert plain["chosen_ids"].tolist() == [*TOKENIZER.encode("I."), 0]


def test_what_is_too_long_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": "a" * n}, {"role": "assistant", "content": "b"}]} for n in (1, 99)
    ]
    found = examples.conversations(written(tmp_path, *rows), TOKENIZER, 60)
    assert (len(found.rows), found.too_long) == (1, 1)
    with pytest.raises(TrainingError, match="no example of at most 5 tokens: 2 are longer"):
        examples.conversations(written(tmp_path, *rows), TOKENIZER, 5)
    with pytest.raises(TrainingError, match=r"holds no example$"):
        examples.conversations(written(tmp_path, ""), TOKENIZER, 60)


ASKED, ANSWERED = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{", "not JSON"),
        ("3", "not a JSON object"),
        ('{"messages": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested too deep"),
        ({"text": "a"}, "'messages' must be a list of messages"),
        ({"messages": []}, "'messages' must be a list of messages"),
        ({"messages": [ASKED]}, "the last message must be the assistant's"),
        ({"messages": [ASKED, {"role": "assistant", "content": None}]}, "a message must be"),
        ({"messages": [{**ASKED, "role": "tool"}, ANSWERED]}, "role is system, user, assistant: not 'tool'"),
        ({"messages": [ASKED, {**ANSWERED, "content": " "}]}, "an answer is empty"),
    ],
)
def test_a_bad_conversation_is_named_by_its_line(tmp_path: Path, row: Any, told: str) -> None:
    file = written(tmp_path, {"messages": [ASKED, ANSWERED]}, "", row)
    with pytest.raises(TrainingError) as caught:
        examples.conversations(file, TOKENIZER, 500)
    assert "rows.jsonl, line 3: " in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"prompt": "a", "chosen": "b"}, "'rejected' must be a list of messages"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "chosen and rejected are the same"),
        ({"prompt": [ASKED, ANSWERED], "chosen": "b", "rejected": "c"}, "the prompt must not end with an answer"),
        ({"prompt": "a", "chosen": [ASKED], "rejected": "c"}, "'chosen' must be a text, or a list of one message"),
    ],
)
def test_a_bad_preference_is_named_by_its_line(tmp_path: Path, row: Any, told: str) -> None:
    with pytest.raises(TrainingError, match=f"rows.jsonl, line 1: {told}"):
        examples.preferences(written(tmp_path, row), TOKENIZER, 500)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.jsonl cannot be read"):
        examples.conversations(tmp_path / "none.jsonl", TOKENIZER, 500)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"input_ids": [1, 2]}, "row 1: needs input_ids, labels"),
        ({"input_ids": [1, 96], "labels": [-100, 96]}, "row 1: input_ids must be ids from 0 to 95"),
        ({"input_ids": [], "labels": []}, "row 1: input_ids must be ids"),
        ({"input_ids": [1, 2], "labels": [2]}, "row 1: as many labels"),
        ({"input_ids": [1, 2], "labels": [-100, 3]}, "row 1: a label is its token's id or -100"),
        ({"input_ids": [1, 2], "labels": [1, -100]}, "some after the first"),
    ],
)
def test_rows_that_are_given_are_checked(row: Any, told: str) -> None:
    good = {"input_ids": [5, 6], "labels": [IGNORED, 6]}
    [made] = examples.given([good], ("input_ids", "labels"), 96)
    assert made["labels"].dtype == np.int32
    with pytest.raises(TrainingError, match="no rows"):
        examples.given([], ("input_ids", "labels"), 96)
    with pytest.raises(TrainingError, match=told):
        examples.given([good, row], ("input_ids", "labels"), 96)
