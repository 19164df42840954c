import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.tokens import count_tokens
from seriatim.retrieval.content import PIECE_TOKENS, content, pieces


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<Tr> <Td> August 6 , 2017 </Td> </Tr>", "August 6 , 2017"),
        ('a <a href="x.html">b</a> c<br/>', "a b c"),
        ("if a < b and c > d", "if a < b and c > d"),
        ("x <3 y", "x <3 y"),
        ("no  tags\nat all", "no  tags\nat all"),
        ("<b></b>", ""),
    ],
)
def test_tags_say_nothing(text: str, expected: str) -> None:
    assert content(text) == expected


@given(st.text(alphabet="ab .!?<>/\n", max_size=200))
def test_pieces_are_the_content_in_small(text: str) -> None:
    assert pieces(text)
    assert all(count_tokens(piece) <= PIECE_TOKENS for piece in pieces(text))


def test_pieces_are_the_passage_in_small_and_the_last_is_filled_up() -> None:
    here = "The ship left at dawn. " * 20 + "She was never seen again. "
    following = "A bottle came ashore in May. " * 20
    assert "".join(pieces(here)) == here
    found = pieces(here, following)
    assert "".join(found).startswith(here)
    assert "A bottle came ashore" in found[-1]
    assert not any("A bottle" in piece for piece in found[:-1])
