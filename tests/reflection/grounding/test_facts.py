import pytest

from seriatim.reflection.grounding.claims import claims_of
from seriatim.reflection.grounding.facts import asked, facts_of

PROPER = frozenset({"ahab", "starbuck", "pequod"})


def found(text: str, question: str = "What happens?", names: str = "") -> list[tuple[str, str]]:
    known = asked(question, names)
    facts = [fact for claim in claims_of(text) for fact in facts_of(claim, known, PROPER) if not fact.counted]
    for each in facts:
        assert text[each.fact.start : each.fact.end] == each.fact.text
    return [(each.fact.kind, each.fact.text) for each in facts]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("The captain met Arthur Holmwood in New Bedford.", [("name", "Arthur Holmwood"), ("name", "New Bedford")]),
        ("The captain met Mr. J. R. Smith's wife.", [("name", "Smith")]),
        ("He rounded the Cape of Good Hope.", [("name", "Cape of Good Hope")]),
        ("Revenge drives the captain.", []),
        ("Ahab is the captain.", [("name", "Ahab")]),
        ("However, Captain Ahab is old.", [("name", "Ahab")]),
        ("**Main Theme:** Whaling.", []),
        ("I think that I am.", []),
        ("They met Starbuck and Stubb.", [("name", "Starbuck"), ("name", "Stubb")]),
        ("It was in 1851, on 3 May.", [("number", "1851"), ("number", "3 May")]),
        ("Two men, one boat, the first day.", []),
        ('He said "call me" and "no".', [("quotation", "call me")]),
        ('The chapter "The Whiteness of the Whale" says so.', [("name", "Whiteness of the Whale")]),
        (
            "He called it “a _wicked_ book … spotless as the lamb”.",
            [("quotation", "a _wicked_ book … spotless as the lamb")],
        ),
    ],
)
def test_facts(text: str, facts: list[tuple[str, str]]) -> None:
    assert found(text) == facts


def test_what_the_question_says_needs_no_proof() -> None:
    assert found("Moby Dick is a whale.", "Who is Moby Dick?") == []
    assert found("They met Moby Dick.", names="moby-dick") == []
    assert found('"Call me Ishmael" opens the book.', 'Who says "Call me Ishmael"?') == []
    assert found("In 1851 the Pequod sank.", "What did Melville do in 1851?") == [("name", "Pequod")]


def test_a_number_of_the_question_that_is_the_answer_does() -> None:
    assert found("1851.", "Was it 1851?") == [("number", "1851")]
    assert found("It sank in 1851.", "Did it sink in 1851 or in 1852?") == [("number", "1851")]


def test_small_numbers_count_where_a_quantity_is_asked() -> None:
    assert found("There are three boats.", "How many boats are there?") == [("number", "three")]
    assert found("One.", "How many boats are there?") == [("number", "One")]
    assert found("One of the boats on the ship is broken and sinks.", "How many boats are there?") == []
