import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.reflection.grounding.claims import claims_of, quotations

MARKED = st.lists(
    st.sampled_from(
        ["[1]", "[2, 3]", "[4-6]", "【7】", "(passage 8)", "[99]", "[0]", "Ahab dies. ", "- ", "1. ", "\n", "\n\n"]
    )
    | st.sampled_from(['"', "“", "”", "'", "‘", "’", "Passage 3 says so. ", "e.g. ", "3.14 ", "`a[1]` ", "**", "\r\n"])
    | st.text(max_size=5),
    max_size=20,
).map("".join)


def split(draft: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(claim.plain, claim.cited) for claim in claims_of(draft)]


@pytest.mark.parametrize(
    ("draft", "claims"),
    [
        ("It sinks [3].", [("It sinks.", (3,))]),
        ("It sinks. [3]", [("It sinks.", (3,))]),
        ("It sinks.[3]He swims [4].", [("It sinks.", (3,)), ("He swims.", (4,))]),
        (
            "Mr. J. R. Smith has 3.14 ft. of rope, e.g. hemp. He left.",
            [("Mr. J. R. Smith has 3.14 ft. of rope, e.g. hemp.", ()), ("He left.", ())],
        ),
        ('He said "Stop. Go on." and left [2].', [('He said "Stop. Go on." and left.', (2,))]),
        (
            "1. First [1]\n2. Second. It has two. [2]\n- third",
            [("First", (1,)), ("Second.", ()), ("It has two.", (2,)), ("third", ())],
        ),
        ("[1] Ahab is old.\n[2] Ishmael is young.", [("Ahab is old.", (1,)), ("Ishmael is young.", (2,))]),
        ("Ahab is old.\n[1]", [("Ahab is old.", (1,))]),
        ("Passage 3 says that it sinks.", [("Passage says that it sinks.", (3,))]),
        ("a line\nthat wraps [1].", [("a line that wraps.", (1,))]),
        ("[3]", [("", (3,))]),
        ("", [("", ())]),
    ],
)
def test_claims(draft: str, claims: list[tuple[str, tuple[int, ...]]]) -> None:
    assert split(draft) == claims


@pytest.mark.parametrize(
    ("mark", "numbers"),
    [
        ("[2]", (2,)),
        ("[1, 3]", (1, 3)),
        ("[1][2]", (1, 2)),
        ("[1], [2]", (1, 2)),
        ("[1-3]", (1, 2, 3)),
        ("[1–3]", (1, 2, 3)),
        ("[1, 3-5; 7]", (1, 3, 4, 5, 7)),
        ("[5-3]", (5, 3)),
        ("[1-400]", (1, 400)),
        ("[passage 2]", (2,)),
        ("[Passages 2 and 4]", (2, 4)),
        ("[passage 2, passage 4]", (2, 4)),
        ("[Source: 2]", (2,)),
        ("(passage 2)", (2,)),
        ("【2】", (2,)),
        ("【2†source】", (2,)),
        ("[^2]", (2,)),
        ("[[2]]", (2,)),
        ("[0]", (0,)),
    ],
)
def test_shapes_of_marks(mark: str, numbers: tuple[int, ...]) -> None:
    [claim] = claims_of(f"It sinks {mark}.")
    assert claim.cited == numbers
    assert claim.plain == "It sinks."


@pytest.mark.parametrize("text", ["It sank (2).", "It sank [1851].", "It sank [sic].", "Use `a[1]`.", "It sank [2.5]."])
def test_no_marks(text: str) -> None:
    assert [claim.cited for claim in claims_of(text)] == [()]


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('He said "call me" twice.', ["call me"]),
        ("“Aye,” he said, “aye.”", ["Aye,", "aye."]),
        ("The sailors' boats and the captains' chairs", []),
        ("It's 'a captain's chair', isn't it?", ["a captain's chair"]),
        ("‘it’s the captain’s chair’", ["it’s the captain’s chair"]),
        ("«Nantucket» and „Nantucket“", ["Nantucket", "Nantucket"]),
        ('6" long and 7" wide', []),
        ("“he said ‘no’ to me”", ["he said ‘no’ to me"]),
    ],
)
def test_quotations(text: str, quoted: list[str]) -> None:
    assert [text[start:end] for start, end in quotations(text)] == quoted


@given(MARKED)
def test_claims_stand_where_they_say(draft: str) -> None:
    end = 0
    for claim in claims_of(draft):
        assert end <= claim.start <= claim.end <= len(draft)
        end = claim.end
        assert len(claim.text) == claim.end - claim.start
        differing = {i for i in range(claim.start, claim.end) if claim.text[i - claim.start] != draft[i]}
        assert all(claim.text[i - claim.start] == " " for i in differing)
        for mark in claim.marks:
            assert mark.numbers
            assert 0 <= mark.start < mark.end <= len(draft)


@given(MARKED)
def test_no_word_of_a_draft_is_lost(draft: str) -> None:
    claims = claims_of(draft)
    outside = set(range(len(draft)))
    for claim in claims:
        outside -= set(range(claim.start, claim.end))
        outside -= {i for mark in claim.marks for i in range(mark.start, mark.end)}
    left = "".join(draft[i] if i in outside else " " for i in range(len(draft)))
    # Only the numbers and letters of list items stand in no claim.
    assert all(sum(map(str.isalnum, word)) <= 2 for word in left.split())
