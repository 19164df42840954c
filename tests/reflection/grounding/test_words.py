import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.reflection.grounding.words import fold, say_the_same, words_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Call me Ishmael.", "CALL ME\r\nISHMAEL"),
        ("sea-chest", "sea chest"),
        ("con-\ntinue", "continue"),
        ("con\u00adtinue", "continue"),
        ("_Devil-Dam_, **bold**", "Devil-dam bold"),
        ("“don’t”", '"don\'t"'),
        ("cafe\u0301 naïve ﬁne", "café naive fine"),
        ("‹output›", "<output>"),
        ("a — b", "a--b"),
    ],
)
def test_what_models_change_makes_no_difference(one: str, other: str) -> None:
    assert words_of(one).squashed == words_of(other).squashed


def test_find_sees_whole_words_only() -> None:
    words = words_of("The therapist sat. The rapist? The sea-chest.")
    assert words.find("rapist") == (4, 5)
    assert words.find("seachest") == (6, 8)
    assert words.find("seaches") is None
    assert words.find("the", first=1) == (3, 4)
    assert words.find("") is None
    assert words_of("").find("a") is None


def test_scripts_without_spaces_are_words_by_character() -> None:
    words = words_of("鲸鱼很大 and 思考")
    assert words.find("鱼很") == (1, 3)
    assert words.folded[4] == "and"


@given(st.text(max_size=80))
def test_words_stand_where_they_say(text: str) -> None:
    words = words_of(text)
    for word, start, end in zip(words.folded, words.starts, words.ends, strict=True):
        assert fold(text[start:end]) == word
    assert list(words.starts) == sorted(words.starts)
    assert words.edges[-1] == len(words.squashed)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Mrs Ruth Cawdle [8].", "Mrs Ruth Cawdle of Crookhowe was chosen to take the chair.", True),
        ("It is 9 feet wide.", "It is 11 feet wide.", False),
        ("Yes.", "Yes, it was.", True),
        ("Yes.", "No.", False),
        ("The chair.", "Mr Hasp.", False),
        ("[2]", "[3]", True),
        ("The tenant pays for the roof.", "The tenant does not pay for the roof.", False),
        ("He pays.", "He doesn't pay.", False),
        ("Before 1887.", "After 1887.", False),
        ("It was not Mr Grey.", "It was never Mr Grey.", True),
    ],
)
def test_answers_are_the_same_when_they_add_the_same(one: str, other: str, same: bool) -> None:
    question = "Who was chosen to take the chair after Mr Hasp, and how wide was it?"
    assert say_the_same(one, other, question) == say_the_same(other, one, question) == same
