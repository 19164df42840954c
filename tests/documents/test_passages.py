"""Passages partition their document, whatever the text."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.document import Document, Passage
from seriatim.documents.passages import PASSAGE_TOKENS, Splitting, cut
from seriatim.documents.sentences import sentence_spans
from seriatim.documents.tokens import count_tokens

SPLITTINGS: tuple[Splitting, ...] = ("sentences", "tokens")
MOBY_DICK = Path(__file__).parents[3] / "shared" / "data" / "books" / "moby-dick.txt"

prose = st.lists(
    st.sampled_from(
        [
            "The whale",
            " rose",
            ". ",
            "? ",
            "! ",
            "Mr. ",
            "e.g. ",
            "3.14",
            "\r\n",
            "\n\n",
            "\t",
            " ",
            "“Aye,” ",
            "他走了。",
            "🐋",
            "é",
        ]
    ),
    max_size=400,
).map("".join)
texts = st.one_of(st.text(max_size=600), prose)


def passages(text: str, splitting: Splitting = "sentences", size: int = PASSAGE_TOKENS) -> tuple[Passage, ...]:
    return cut(Document("d", text, ""), splitting, size).passages


@pytest.mark.parametrize("splitting", SPLITTINGS)
@given(text=texts, size=st.integers(min_value=1, max_value=150))
def test_passages_partition_the_text(splitting: Splitting, text: str, size: int) -> None:
    made = passages(text, splitting, size)
    assert "".join(passage.text for passage in made) == text
    assert all(text[passage.start : passage.end] == passage.text for passage in made)
    assert all(before.end == after.start for before, after in pairwise(made))
    assert [passage.index for passage in made] == list(range(len(made)))
    assert all(passage.text for passage in made)


@given(texts)
def test_a_sentence_aware_passage_has_at_most_128_tokens(text: str) -> None:
    assert all(passage.tokens <= PASSAGE_TOKENS for passage in passages(text))


@given(texts)
def test_sentences_partition_the_text(text: str) -> None:
    spans = sentence_spans(text)
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)


def test_each_passage_carries_the_token_ids_that_it_counts() -> None:
    made = cut(Document("d", "One sentence here. Another one there.\n\nA third." * 40, ""))
    assert [len(ids) for ids in made.token_ids] == [passage.tokens for passage in made.passages]


def test_the_papers_mode_has_exactly_128_tokens() -> None:
    text = "The ship sailed on through the night, and nobody spoke. " * 200
    made = passages(text, "tokens")
    assert {passage.tokens for passage in made[:-1]} == {128}
    assert 0 < made[-1].tokens <= 128


def test_a_passage_ends_where_a_sentence_ends() -> None:
    text = "The ship sailed on through the night, and nobody spoke. " * 200
    assert all(passage.text.endswith("spoke. ") for passage in passages(text))


@pytest.mark.parametrize("words", [["ship"] * 5000, ["the", "foremast", "split", "off", "Cape", "Varn,"] * 900])
def test_a_sentence_without_end_is_divided_between_words_into_full_passages(words: list[str]) -> None:
    made = passages(" ".join(words))
    assert [word for passage in made for word in passage.text.split()] == words
    assert all(passage.tokens > PASSAGE_TOKENS * 3 // 4 for passage in made[:-1])


def test_a_word_without_end_is_divided_too() -> None:
    made = passages("YWxsIG1lbiBhcmUgbW9ydGFs" * 20_000)
    assert all(PASSAGE_TOKENS // 3 < passage.tokens <= PASSAGE_TOKENS for passage in made[:-1])


def test_a_heading_opens_a_passage() -> None:
    text = "Some words of an introduction stand here, to be read. " * 4 + "\n\n## The second part\n\nIt begins here."
    assert passages(text)[-1].text.startswith("## The second part")


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Mr. Starbuck went below. He slept.", ["Mr. Starbuck went below. ", "He slept."]),
        ("It cost 3.50 dollars. Cheap!", ["It cost 3.50 dollars. ", "Cheap!"]),
        ("See J. R. Smith. He knows.", ["See J. R. Smith. ", "He knows."]),
        ("“Stop!” cried he. Nobody did.", ["“Stop!” cried he. ", "Nobody did."]),
        ("It was I. Nobody else.", ["It was I. ", "Nobody else."]),
        ("One line\n\nAnother", ["One line\n\n", "Another"]),
        ("One line\r\n\r\nAnother", ["One line\r\n\r\n", "Another"]),
        ("他走了。她来了。", ["他走了。", "她来了。"]),
    ],
)
def test_where_sentences_end(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


def test_white_space_is_not_content() -> None:
    assert count_tokens("a  ship\r\n\tsails") == count_tokens("a ship sails")


def test_a_page_is_that_of_the_first_character() -> None:
    text = "First page. " * 30 + "Second page. " * 30
    made = cut(Document("d", text, "", page_starts=(0, 360))).passages
    assert [passage.page for passage in made] == [1 if passage.start < 360 else 2 for passage in made]


@pytest.mark.skipif(not MOBY_DICK.exists(), reason="the development data is not here")
@pytest.mark.parametrize("splitting", SPLITTINGS)
def test_a_book_is_covered_without_loss(splitting: Splitting) -> None:
    text = MOBY_DICK.read_bytes().decode("utf-8-sig")
    made = passages(text, splitting)
    assert "".join(passage.text for passage in made) == text
    assert 2_500 < len(made) < 3_500


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["." * 300_000, "a" + " " * 300_000 + "b", "?!" * 150_000 + "x"])
def test_long_runs_take_no_long_time(text: str) -> None:
    assert "".join(text[start:end] for start, end in sentence_spans(text)) == text
