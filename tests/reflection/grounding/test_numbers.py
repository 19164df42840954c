from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.reflection.grounding.numbers import numbers_in
from seriatim.reflection.grounding.words import words_of


def supports(passage: str, draft: str) -> bool:
    values = {value for number in numbers_in(words_of(passage)) for value in number.gives}
    needs = [alternatives for number in numbers_in(words_of(draft)) for alternatives in number.needs]
    assert needs, "no number in the draft"
    return all(not alternatives.isdisjoint(values) for alternatives in needs)


@pytest.mark.parametrize(
    ("passage", "draft"),
    [
        ("in 1851", "1,851"),
        ("in 1.851", "1851"),
        ("42,000 francs", "42 000 francs"),
        ("42 000 francs", "42,000 francs"),
        ("42’000 francs", "42000 francs"),
        ("€1.85 million", "1,850,000 euros"),
        ("1,234,567.89", "1.234.567,89"),
        ("12.5%", "12.50 percent"),
        ("0,5 litres", "0.5 l"),
        ("three hundred and sixty-five days", "365 days"),
        ("365 days", "three hundred sixty-five days"),
        ("the seven hundred and seventy-seventh lay", "the 777th lay"),
        ("two-and-twenty pieces", "22 pieces"),
        ("eighteen fifty-one", "1851"),
        ("nineteen hundred", "1900"),
        ("two dozen", "24"),
        ("four thousand two hundred and six", "4206"),
        ("ninety  feet", "90 feet"),
        ("2 million", "two million"),
        ("1½ miles", "1.5 miles"),
        ("CHAPTER XLII", "Chapter 42"),
        ("Chapter 42", "chapter XLII"),
        ("Louis XIV", "14"),
        ("in 1853", "the 1850s"),
        ("the 1850s", "the 1850s"),
        ("1850-1852", "1852"),
        ("at 8:35 P.M.", "8.35"),
        ("Section 3.2.1", "3.2.1"),
        ("42k users", "42,000 users"),
        ("left on 1st May", "May 1"),
        ("left on 1st May", "the first of May"),
        ("2020-09-14", "14 September 2020"),
        ("14.9.2020", "September 14th, 2020"),
        ("12/25/08", "25 December 2008"),
        ("on the 3rd of May", "3 May"),
        ("٣٦٥ days", "365"),
    ],
)
def test_one_value_in_many_forms(passage: str, draft: str) -> None:
    assert supports(passage, draft)


@pytest.mark.parametrize(
    ("passage", "draft"),
    [
        ("1851", "1852"),
        ("42,000", "42"),
        ("1.5 million", "1,500"),
        ("eighty-five", "eighty-six"),
        ("eighty-five", "85,000"),
        ("3 May and 4 June", "4 May"),
        ("2020-09-14", "15 September 2020"),
        ("at 8:35, or 6:46", "6:35"),
        ("the 1850s", "1853"),
        ("H2O and B12", "2"),
        ("3.2.1", "3.2"),
    ],
)
def test_other_values(passage: str, draft: str) -> None:
    assert not supports(passage, draft)


def test_places_and_casual_numbers() -> None:
    text = "Two men saw twenty-five whales on 3 May, a hundred in all."
    found = [(text[n.start : n.end], n.casual) for n in numbers_in(words_of(text))]
    assert found == [("Two", True), ("twenty-five", False), ("3 May", False), ("hundred", True)]


@pytest.mark.parametrize("text", ["May I march in? The May family.", "COVID19, GPT-4o's H2O", "MIX CIVIL I"])
def test_no_number_where_none_is_stated(text: str) -> None:
    assert [n for n in numbers_in(words_of(text)) if n.needs and text[n.start].isalpha()] == []


@given(st.integers(0, 10**12))
def test_grouping_changes_no_integer(value: int) -> None:
    assert supports(str(value), f"{value:,}")
    assert supports(f"{value:,}", f"{value:,}".replace(",", " "))


@given(st.decimals(0, 10**6, places=2))
def test_decimals_compare_by_value(value: Decimal) -> None:
    assert supports(f"about {value} units", f"{value.normalize():f}")


@given(st.text("0123456789.,:/- '½kmthndMXIVs٣²", max_size=60) | st.text(max_size=60))
def test_any_text(text: str) -> None:
    for number in numbers_in(words_of(text)):
        assert 0 <= number.start < number.end <= len(text)


def test_endless_digits() -> None:
    assert numbers_in(words_of("9" * 100_000 + " million"))
