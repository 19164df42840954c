import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.documents.document import Passage
from seriatim.errors import UsageError
from seriatim.retrieval.budget import LEAST, MOST, ceiling, settled
from seriatim.retrieval.context import Ranked
from seriatim.retrieval.library import Library
from tests.retrieval.conftest import ORCHARD, VOYAGE


def ranked(scores: list[float]) -> list[Ranked]:
    best_first = sorted(scores, reverse=True)
    return [Ranked(Passage("d", i, i, i + 1, None, "x", 100), i + 1, score) for i, score in enumerate(best_first)]


def test_a_number_is_itself() -> None:
    assert settled(700, ranked([1.0])) == ceiling(700) == 700
    assert ceiling("auto") == MOST


def test_passages_that_stand_out_need_few_tokens() -> None:
    assert settled("auto", ranked([1.0] + [0.1] * 90)) == LEAST
    assert settled("auto", ranked([1.0] * 20 + [0.1] * 70)) == 2000
    assert settled("auto", ranked([1.0] * 90)) == MOST
    assert settled("auto", []) == LEAST


@given(st.lists(st.floats(0, 1), max_size=100), st.floats(0.001, 1000))
def test_only_proportions_count(scores: list[float], scale: float) -> None:
    tokens = settled("auto", ranked(scores))
    assert LEAST <= tokens <= MOST
    assert abs(settled("auto", ranked([score * scale for score in scores])) - tokens) <= 100


def test_a_library_takes_auto(tmp_path, folder) -> None:  # type: ignore[no-untyped-def]
    with Library(tmp_path / "library", embedder="static") as library:
        library.add([folder])
        found = library.search("What did a barrel of oil sell for?", tokens="auto", effort="fast")
        assert 0 < found.tokens <= len((VOYAGE + ORCHARD).split()) * 2
        with pytest.raises(UsageError, match="at least 1, or auto, not 'many'"):
            library.search("What?", tokens="many")  # type: ignore[arg-type]
