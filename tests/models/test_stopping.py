from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.models.stopping import StopText


def shown(pieces: Sequence[str], stop: Sequence[str]) -> tuple[str, bool]:
    stopping = StopText(stop)
    text = ""
    for piece in pieces:
        text += stopping.feed(piece)
        if stopping.stopped:
            break
    return text + stopping.close(), stopping.stopped


@pytest.mark.parametrize(
    ("pieces", "stop", "expected"),
    [
        (["no stop", " at all"], [], ("no stop at all", False)),
        (["no stop", " at all"], [""], ("no stop at all", False)),
        (["the end</out", "put> and on"], ["</output>"], ("the end", True)),
        (["the end</out", "come>"], ["</output>"], ("the end</outcome>", False)),
        (["the end</out"], ["</output>"], ("the end</out", False)),
        (["aab"], ["ab"], ("a", True)),
        (["abcd"], ["abcd", "bc"], ("a", True)),
        (["abcd"], ["cd", "abcd"], ("", True)),
        (["</plan>"], ["</plan>"], ("", True)),
    ],
)
def test_text_ends_before_the_first_stop_string(pieces: list[str], stop: list[str], expected: tuple[str, bool]) -> None:
    assert shown(pieces, stop) == expected


def test_only_what_may_begin_a_stop_string_is_held_back() -> None:
    stopping = StopText(["</output>", "\n\n"])

    assert [stopping.feed(piece) for piece in ("a <", "b", " </ou", "t\n", "c")] == ["a ", "<b", " ", "</out", "\nc"]


@given(
    text=st.text("ab<", max_size=24),
    stop=st.lists(st.text("ab<", max_size=5), max_size=3),
    cuts=st.lists(st.integers(0, 24), max_size=6),
)
def test_every_split_gives_the_same(text: str, stop: list[str], cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(borders)]

    whole, stopped = shown([text], stop)

    assert shown(pieces, stop) == (whole, stopped)
    assert text.startswith(whole)
    assert not any(each in whole for each in stop if each)
    assert stopped == any(each in text for each in stop if each)
