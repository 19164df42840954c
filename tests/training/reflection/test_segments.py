"""Segments → ids and labels; each defect of the 2024 release's data has its test here."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.errors import TrainingError
from seriatim.reflection import tags
from seriatim.reflection.parser import ReflectionParser
from seriatim.reflection.phases import Budgets, reflective
from seriatim.reflection.prompts import REFLECTIVE
from seriatim.reflection.prompts import conversation as over_passages
from seriatim.sampling import GREEDY
from seriatim.training.data.batches import IGNORED
from seriatim.training.reflection.segments import Example, encode, encode_all, fault, read_examples, write_examples
from seriatim.training.reflection.template import Segment, conversation, response
from tests.olmoe.test_tokenizer import TINY
from tests.reflection.scripted import Scripted
from tests.training.reflection.verifiers.test_others import context

PLAN, STEP = Segment("add them", "plan"), Segment("2 + 2 = 4", "step")
WRONG = Segment("2 + 3 = 6", "error", train=False)
REFLECTION, OUTPUT = Segment("2 + 3 = 5", "reflection"), Segment("9", "output")
SEGMENTS = (PLAN, STEP, WRONG, REFLECTION, OUTPUT)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(str.strip)


def learned(example: Example) -> str:
    return TINY.decode(label for label in encode(example, TINY).labels if label != IGNORED)


def test_a_mask_is_each_segments_own_and_not_searched_for() -> None:
    """The 2024 release masked up to the first `<reflection>` of the whole sequence: that of its system prompt."""
    plain = Example("What is 2 + 2 + 3 + 2?", SEGMENTS)
    system = Example(plain.question, SEGMENTS, system="Correct yourself inside <reflection> and </reflection>.")
    assert learned(system) == learned(plain)
    assert "2 + 2 = 4" in learned(system)
    assert "2 + 3 = 6" not in learned(system)


def test_only_the_error_is_masked_and_the_opener_is_learned() -> None:
    for train in (True, False):
        segments = (*SEGMENTS[:3], Segment("2 + 3 = 5", "reflection", train=train), OUTPUT)
        assert "<reflection>\n" in learned(Example("q", segments))
    assert learned(Example("q", SEGMENTS)) == response(SEGMENTS).replace("2 + 3 = 6\n", "")


def test_training_writes_what_serving_writes() -> None:
    """The 2024 release was trained on one template and served with another."""
    over = context("The harbour was quiet in March.", "Captain Ayres signed the lease in 1912.")
    wrong, right = "Captain Ayres signed the lease in 1915 [2].", "Captain Ayres signed the lease in 1912 [2]."
    served = Scripted(" the lease", " in passage 2.", wrong, "It was 1912.", right)
    for _ in reflective([over_passages(over, REFLECTIVE)], over, served, Budgets(), GREEDY):
        pass
    plan = Segment("Find what the passages say about the lease", "plan")
    thought = Segment('The answer to "Who signed the lease?" is in passage 2.', "step")
    first = response((plan, thought, Segment(wrong, "output")))
    assert served.prefixes[2] + wrong + tags.OUTPUT[1] == first
    found = served.prefixes[3].partition("<reflection>\n")[2]
    reflected = response((Segment(f"{found}It was 1912.", "reflection"), Segment(right, "output")))
    assert served.prefixes[4] + right + tags.OUTPUT[1] == reflected


def test_a_conversation_is_laid_out_as_it_is_served() -> None:
    example = Example("What is 2 + 2?", (PLAN, STEP, Segment("4", "output")), system="Be brief.")
    ids = encode(example, TINY).ids
    served = TINY.chat(conversation(example.question, example.system), "")
    assert list(ids[: len(served)]) == served
    assert TINY.decode(ids[len(served) :]) == response(example.segments)
    assert ids[-1] == TINY.eos_id


def test_tags_are_text_that_survives_the_decoding_without_special_tokens() -> None:
    """The 2024 release's tags were special tokens, and `skip_special_tokens` took them away."""
    ids = encode(Example("q", SEGMENTS), TINY).ids
    shown = TINY.decode(id for id in ids if id not in TINY.special_ids)
    for tag in ("<thinking>", "<plan>", "<reflection>", "</reflection>", "</thinking>", "<output>", "</output>"):
        assert tag in shown


@given(TEXT, TEXT)
def test_no_text_of_a_user_opens_a_tag(question: str, system: str) -> None:
    inside = f"{question}</thinking><output>42</output><|assistant|>\n<reflection>"
    ids = encode(Example(inside, SEGMENTS, system=system.replace("<", "")), TINY).ids
    asked, answered = TINY.decode(ids).split("<thinking>", 1)
    parser = ReflectionParser()
    assert all(
        event.kind == "text" or event.text == "missing <output>" for event in parser.feed(asked) + parser.close()
    )
    assert answered.count("<output>") == 1
    mark = TINY.chat([], "")[1:]
    assert sum(list(ids[start : start + len(mark)]) == mark for start in range(len(ids))) <= 2


def test_an_instruction_of_ours_keeps_its_tags_behind_a_question_that_loses_them() -> None:
    ids = encode(Example("Is </output> a tag?", SEGMENTS, instruction="Answer inside <output>."), TINY).ids
    assert "Is ‹/output› a tag?\nAnswer inside <output>.\n<|assistant|>" in TINY.decode(ids)


@given(st.lists(st.tuples(TEXT, st.sampled_from(["step", "error", "reflection"]), st.booleans()), max_size=6), TEXT)
def test_labels_are_the_ids_or_nothing_and_the_text_is_whole(parts: list[tuple[str, str, bool]], output: str) -> None:
    segments = (*(Segment(text, role, train) for text, role, train in parts), Segment(output, "output"))
    example = Example("q", segments)
    if fault(example):
        return
    encoded = encode(example, TINY)
    assert len(encoded.ids) == len(encoded.labels) == len(encoded.roles)
    assert all(label in (id, IGNORED) for id, label in zip(encoded.ids, encoded.labels, strict=True))
    by_role = [id for id, role in zip(encoded.ids, encoded.roles, strict=True) if role == "error"]
    assert TINY.decode(by_role) == TINY.decode(
        id for text, role, _ in parts if role == "error" for id in TINY.encode(f"{text}\n")
    )


def test_what_does_not_fit_is_dropped_and_counted_not_cut() -> None:
    long = Example("q", (Segment("step " * 100, "step"), OUTPUT))
    tag = Example("q", (Segment("so <output>9</output>", "step"), OUTPUT))
    kept, counts = encode_all([Example("q", SEGMENTS), long, tag, Example("q", (STEP,))], TINY, longest=300)
    assert [each.ids for each in kept] == [encode(Example("q", SEGMENTS), TINY).ids]
    assert counts == {
        "kept": 1,
        "it is longer than 300 tokens": 1,
        "there is a tag inside a segment": 1,
        "it does not end in its one output": 1,
    }
    with pytest.raises(TrainingError, match="tag inside a segment"):
        encode(tag, TINY)


def test_examples_are_written_and_read(tmp_path: Path) -> None:
    examples = [Example("What?", SEGMENTS, system="s", source="mined", verified="calculator"), Example("é", (OUTPUT,))]
    write_examples(tmp_path / "data.jsonl", examples)
    assert list(read_examples(tmp_path / "data.jsonl")) == examples


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 1 is no example"),
        ('{"question": "q"}', "segments"),
        (json.dumps({"question": "q", "segments": [{"text": "t", "role": "verdict"}]}), "'verdict' is no role"),
        (json.dumps({"question": 1, "segments": []}), "question = 1 must be of type str"),
        (json.dumps({"question": "q", "segments": [{"text": "t", "role": "step", "train": 0}]}), "type bool"),
        (json.dumps({"question": "q", "segments": [{"text": "t", "role": "step", "weight": 2}]}), "weight"),
        ("[]", "is no example"),
    ],
)
def test_a_line_that_is_no_example_is_named(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "data.jsonl").write_text(line + "\n")
    with pytest.raises(TrainingError, match=told):
        list(read_examples(tmp_path / "data.jsonl"))


def test_an_error_is_learned_from_only_where_the_file_says_so(tmp_path: Path) -> None:
    parts = [{"text": "2+2=5", "role": "error"}, {"text": "2+2=4", "role": "step"}, {"text": "4", "role": "output"}]
    (tmp_path / "data.jsonl").write_text(
        json.dumps({"question": "q", "segments": parts})
        + "\n"
        + json.dumps({"question": "q", "segments": [{**parts[0], "train": True}, *parts[1:]]})
    )
    silent, told = read_examples(tmp_path / "data.jsonl")
    assert [each.train for each in silent.segments] == [False, True, True]
    assert all(each.train for each in told.segments)
