"""The check of answers, on answers over real passages and on any text."""

import re
import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seriatim.documents.document import Passage
from seriatim.documents.sentences import sentence_spans
from seriatim.reflection.grounding import Fact, Grounding, check
from seriatim.retrieval.context import Ranked
from tests.reflection.grounding.drafts import (
    BEYOND_WORDS,
    BY_A_MODEL,
    COFFIN,
    DEVELOPMENT,
    HELD_OUT,
    LAY,
    LEG,
    OWNERS,
    RESCUE,
    Draft,
)
from tests.reflection.grounding.novels import shelf

SHELF = shelf()


def numbered(text: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda key: str(SHELF.numbers[key[1]]), text)


def checked(draft: Draft) -> Grounding:
    return check(numbered(draft.text), draft.question, SHELF.passages)


def failed(grounding: Grounding) -> list[Fact]:
    """What no passage bears out."""
    return [each.fact for each in grounding.unsupported if not each.found_in]


def one_passage(text: str, number: int = 1) -> Ranked:
    return Ranked(Passage("notes.txt", number, 0, len(text), None, text, 1), number, 1.0)


@pytest.mark.parametrize("draft", [*DEVELOPMENT, *HELD_OUT, *BY_A_MODEL], ids=lambda draft: draft.text[:60])
def test_answers(draft: Draft) -> None:
    grounding = checked(draft)
    wrong = [fact.text for fact in failed(grounding)]
    for words in draft.wrong:
        assert any(words in text or text in words for text in wrong), wrong
    if not draft.wrong:
        assert wrong == []
    cited = {citation.passage for citation in grounding.citations}
    assert {SHELF.numbers[key] for key in draft.cites} <= cited


@pytest.mark.parametrize("draft", BEYOND_WORDS, ids=lambda draft: draft.text[:60])
def test_answers_that_take_more_than_words_to_refute(draft: Draft) -> None:
    assert failed(checked(draft)) == []


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_quotes_are_exact(line_break: str) -> None:
    books = shelf(line_break)
    for draft in (*DEVELOPMENT, *HELD_OUT):
        for citation in check(numbered(draft.text), draft.question, books.passages).citations:
            passage = books.passages[citation.passage - 1].passage
            assert passage.start <= citation.start < citation.end <= passage.end
            assert citation.document == passage.document
            assert books.texts[citation.document][citation.start : citation.end] == citation.quote


def test_a_citation_shows_the_sentence_that_matters() -> None:
    draft = Draft(OWNERS, "The other shares are held by annuitants, widows and fatherless children [{owners}].")
    [citation] = checked(draft).citations
    assert citation.quote.startswith("It turned out to be Captain Bildad")
    assert citation.quote.endswith("in the ship.")
    assert citation.supported


MARKDOWN = """The lake in figures. All of them are of 1885:

| Sennet Water | in 1885 |
|---|---|
| Greatest depth, at No. 5. The Gullet | 68 feet |
| Mean depth | 24 feet |
| Area | 31 acres |

The depth was sounded twice.
"""


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize("text", [MARKDOWN, re.sub(r"\|---.*\n", "", re.sub(r"(?m)^\| | \|$", "", MARKDOWN))])
def test_of_a_table_the_row_is_quoted(text: str, line_break: str) -> None:
    passages = [one_passage(text.replace("\n", line_break))]

    def quote(draft: str) -> str:
        [citation] = check(draft, "What are the figures?", passages).citations
        return citation.quote

    assert quote("The greatest depth is 68 feet.") == "Greatest depth, at No. 5. The Gullet | 68 feet"
    assert quote("The mean depth, 24 feet.") == "Mean depth | 24 feet"
    assert quote('It says "Greatest depth at No. 5".') == "Greatest depth, at No. 5. The Gullet | 68 feet"
    assert quote("It was sounded twice.") == "The depth was sounded twice."


def test_a_bar_in_prose_makes_no_table() -> None:
    text = "The chance of rain is written\np(rain | cloud) by those who\nmeasure it. They are few."
    [citation] = check("Rain is written by those who measure it.", "What?", [one_passage(text)]).citations
    assert citation.quote == text.removesuffix(" They are few.")


def test_citations_that_share_words_are_one() -> None:
    text = "The ship had three boats. Her captain was Peleg. Later she sank off Japan. Nobody saw it."
    draft = "Peleg was her captain [1]. Three boats belonged to the ship, and her captain was Peleg [1]. She sank [1]."
    grounding = check(draft, "What happened?", [one_passage(text)])
    assert [citation.quote for citation in grounding.citations] == [
        "The ship had three boats. Her captain was Peleg.",
        "Later she sank off Japan.",
    ]


def test_a_supported_citation_stands_for_a_doubtful_one_of_the_same_words() -> None:
    draft = "The captain was Krasnov [1]. The captain was Peleg [1]."
    grounding = check(draft, "Who was the captain?", [one_passage("Her captain was Peleg.")])
    assert [claim.supported for claim in grounding.claims] == [False, True]
    assert [(citation.quote, citation.supported) for citation in grounding.citations] == [
        ("Her captain was Peleg.", True)
    ]


def test_a_wrong_citation_is_corrected() -> None:
    [fault] = checked(Draft(LAY, "Peleg offers the 300th lay [{pipe}].")).unsupported
    assert (fault.fact.kind, fault.fact.text) == ("number", "300th")
    assert fault.cited == (SHELF.numbers["pipe"],)
    assert fault.found_in == (SHELF.numbers["three_hundredth"],)


def test_a_citation_out_of_range_is_a_fault() -> None:
    grounding = checked(Draft(LEG, "Ahab lost it off Japan [99]."))
    [fault] = grounding.unsupported
    assert (fault.fact.kind, fault.fact.text, fault.found_in) == ("citation", "99", (SHELF.numbers["japan"],))
    assert [citation.passage for citation in grounding.citations] == [SHELF.numbers["japan"]]


def test_what_nothing_supports_keeps_its_citation_unsupported() -> None:
    grounding = checked(Draft(COFFIN, "A dining table [{rig}]."))
    [citation] = grounding.citations
    assert (citation.passage, citation.supported) == (SHELF.numbers["rig"], False)


def test_a_name_may_stand_for_a_pronoun() -> None:
    texts = ["Call me Ishmael.", "On the second day, a sail drew near, nearer, and picked me up at last."]
    passages = [one_passage(text, number) for number, text in enumerate(["Ishmael and Ahab met.", *texts], 1)]
    grounding = check("Ishmael is picked up by a sail on the second day [3].", "What happens?", passages)
    assert grounding.unsupported == ()
    assert [citation.passage for citation in grounding.citations] == [3]


def test_what_a_passage_says_in_another_form_of_the_verb_cites_it() -> None:
    texts = ["Renfield was sick. He has eaten his birds; he just took and ate them raw!", "Renfield was quiet."]
    passages = [one_passage(text, number) for number, text in enumerate(texts, 1)]
    grounding = check("He eats his birds.", "What does Renfield eat?", passages)
    assert [(citation.passage, citation.supported) for citation in grounding.citations] == [(1, True)]


def test_an_answer_that_rests_on_no_passage_is_not_supported() -> None:
    grounding = check("Yes, it does.", "Does it rain in Lima?", [one_passage("The ship had three boats.")])
    assert [claim.supported for claim in grounding.claims] == [False]
    assert [fact.kind for fact in failed(grounding)] == ["claim"]


@pytest.mark.parametrize(
    ("question", "answer", "passage"),
    [
        ("When must Acme deliver?", "Acme must deliver within 30 days [1].", "The Supplier shall deliver in 30 days."),
        ("What does Ishmael pay for the bed?", "Ishmael pays two dollars [1].", "I paid two dollars for the bed."),
        ("What is the capital of France?", "The capital of France is Paris [1].", "The French capital, Paris, is old."),
        ("How much did Britain pay?", "Britain paid 3,000 pounds [1].", "The British paid 3,000 pounds."),
        ("What did Bob lose?", "Bob lost 500 crowns [1].", "Robert lost 500 crowns."),
        ("Wie hoch ist die Miete?", "Die Miete beträgt 500 Euro [1].", "Der Mietzins beträgt 500 Euro."),
    ],
)
def test_a_name_from_the_question_may_be_another_in_the_passage(question: str, answer: str, passage: str) -> None:
    grounding = check(answer, question, [one_passage(passage)])
    assert [claim.supported for claim in grounding.claims] == [True]


@pytest.mark.parametrize("answer", ["No.", "No, he did not."])
def test_a_bare_denial_cites_nothing_and_is_no_fault(answer: str) -> None:
    passages = [one_passage("Starbuck stood at the rail."), one_passage("Starbuck was a Quaker by descent.", 2)]
    grounding = check(answer, "Was Starbuck a Quaker?", passages)
    assert grounding.citations == ()
    assert grounding.unsupported == ()


def test_a_denial_that_cites_what_does_not_speak_of_it_is_not_borne_out_by_it() -> None:
    passages = [one_passage("Starbuck stood at the rail."), one_passage("Starbuck was a Quaker by descent.", 2)]
    question = "Did Starbuck marry a dancer in Paris?"
    grounding = check("No, Starbuck did not marry a dancer in Paris [1].", question, passages)
    assert [citation.supported for citation in grounding.citations] == [False]
    grounding = check("No, Starbuck is not a Quaker by descent [2].", "Is Starbuck a Quaker?", passages)
    assert [citation.supported for citation in grounding.citations] == [True]


def test_a_bare_yes_cites_the_passage_in_whatever_words() -> None:
    passages = [one_passage("The roof is new."), one_passage("The tenant may sublet the room with permission.", 2)]
    grounding = check("Yes.", "May a tenant let a room to another?", passages)
    assert [(citation.passage, citation.supported) for citation in grounding.citations] == [(2, True)]


def test_small_numbers_are_wrong_only_where_the_passage_counts_otherwise() -> None:
    passages = [one_passage("The ship had three boats and a captain. On the second day she sank.")]
    assert check("The ship had three boats [1].", "Describe the ship.", passages).unsupported == ()
    assert failed(check("The ship had four boats [1].", "Describe the ship.", passages))
    assert check("The two, ship and captain, had boats [1].", "Describe the ship.", passages).unsupported == ()


def test_refusals_have_neither_faults_nor_citations() -> None:
    for text in ("The passages do not answer this question [3].", "The passages do not mention Sherlock Holmes."):
        grounding = check(text, RESCUE, SHELF.passages)
        assert (grounding.citations, grounding.unsupported) == ((), ())


@pytest.mark.parametrize("text", ["Yes.", "No.", "Yes, it does.", "No, he does not.", "That is correct.", ""])
def test_nothing_checkable_is_no_fault(text: str) -> None:
    assert check(text, "Is Starbuck a Quaker?", SHELF.passages).unsupported == ()


def test_without_passages() -> None:
    grounding = check("It sank in 1851 [1].", "When did it sink?", [])
    assert {fact.kind for fact in failed(grounding)} == {"number", "citation"}
    assert grounding.citations == ()


def test_escaped_tags_in_a_quotation() -> None:
    passages = [one_passage("Write the <output> tag at the end of it.")]
    grounding = check('It says "Write the ‹output› tag at the end" [1].', "What does it say?", passages)
    assert grounding.unsupported == ()


PIECES = 'Ahab whale whales 1851 twelve 12.5% “Call me” the of not [1] [2,9] [77] Nantucket, 3 May boats. - 1. ‘ ’ " …'
WORDS = st.sampled_from([*re.split(" ", PIECES), "\n", "\r\n", "\n\n", "\n| 12 | whale |"])
TEXTS = st.text(max_size=120) | st.lists(WORDS, max_size=30).map(" ".join)


@settings(max_examples=200)
@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=4))
def test_any_text(draft: str, question: str, texts: list[str]) -> None:
    passages = [
        Ranked(Passage("a.txt", index, 10 * index, 10 * index + len(text), None, text, 1), index, 0.0)
        for index, text in enumerate(texts)
    ]
    grounding = check(draft, question, passages)
    for citation in grounding.citations:
        passage = passages[citation.passage - 1].passage
        assert passage.start <= citation.start <= citation.end <= passage.end
        assert passage.text[citation.start - passage.start : citation.end - passage.start] == citation.quote
    for one, other in combinations(grounding.citations, 2):
        assert one.passage != other.passage or one.end <= other.start
    for fault in grounding.unsupported:
        assert 0 <= fault.fact.start <= fault.fact.end <= len(draft)
        assert all(1 <= number <= len(passages) for number in (*fault.cited, *fault.found_in))
    assert check(draft, question, passages) == grounding


SENTENCES = [
    (number, sentence)
    for number, ranked in enumerate(SHELF.passages, start=1)
    for start, end in sentence_spans(ranked.passage.text)
    if len((sentence := ranked.passage.text[start:end].strip()).split()) >= 5
]


@given(st.sampled_from(SENTENCES))
def test_a_sentence_of_a_passage_is_supported_and_cited(sentence: tuple[int, str]) -> None:
    number, text = sentence
    grounding = check(text, "What happens?", SHELF.passages)
    assert grounding.unsupported == ()
    assert number in {citation.passage for citation in grounding.citations}
    assert all(citation.supported for citation in grounding.citations)


@given(st.sampled_from(SENTENCES), st.integers(0, 99), st.integers(10_000, 10**9), st.booleans())
def test_a_number_from_nowhere_is_always_at_fault(sentence: tuple[int, str], at: int, number: int, cited: bool) -> None:
    words = sentence[1].split()
    words.insert(1 + at % len(words), str(number))
    text = " ".join(words) + (f" [{sentence[0]}]" if cited else "")
    wrong = failed(check(text, "What happens?", SHELF.passages))
    assert any(str(number) in fact.text for fact in wrong)


@pytest.mark.parametrize(
    "piece",
    ["[1] ", '"', "'a ", "May 3 ", "A ", "\n- ", "1 ", "It is not said. ", "It is 85 feet long, says Peleg [1]. "],
)
def test_time_is_linear_in_the_answer(piece: str) -> None:
    started = time.process_time()
    check(piece * (16_000 // len(piece)), "How long is it?", SHELF.passages[:3])
    assert time.process_time() - started < 3
