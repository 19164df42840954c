import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.reflection.grounding import is_refusal


@pytest.mark.parametrize(
    "text",
    [
        "The passages do not answer this question.",
        "The passages do not answer this question [3].",
        "The passages do not mention Ahab's age.",
        "The passages don’t say how old he is.",
        "The provided passages do not contain any information about his wife.",
        "The passages provided do not explicitly state the price.",
        "None of the passages mention a wife.",
        "Based on the passages, it is not possible to determine his age.",
        "The answer cannot be determined from the passages.",
        "There is no information about his wife in the passages.",
        "There is no mention of it.",
        "His age is not mentioned in the given text.",
        "His age is not stated.",
        "Her salary is not given.",
        "The price isn't provided.",
        "Not mentioned.",
        "Not found in the passages.",
        "I don't know.",
        "I'm sorry, but I don't know.",
        "I could not find the answer in the passages.",
        "I am unable to answer the question.",
        "I don't have enough information to answer.",
        "Unanswerable.",
        "No information is given on this.",
        "The text does not specify this. More context would be needed.",
        "Unfortunately, the document does not provide this detail.",
    ],
)
def test_refusals(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ahab.",
        "No.",
        "No, he does not.",
        "Ahab gave no answer.",
        "There was no answer from the captain.",
        "They do not have boats.",
        "The treasure was not found in the cave.",
        "Starbuck does not know why.",
        'He says "I do not know" [4].',
        "The passages say that Ahab did not give the order.",
        "The passages do not state his age, but he says that he is fifty-eight [4].",
        "Ahab is fifty-eight [4]. The passages do not mention his birthplace.",
        "The passages do not name the ship. The captain is 58 years old [4].",
        "We could not find the whale.",
        "Permission was not given.",
        "The letter was not answered.",
        "The prisoner was not named.",
        "It is impossible to tell one whale from another.",
    ],
)
def test_answers(text: str) -> None:
    assert not is_refusal(text)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    is_refusal(text)
