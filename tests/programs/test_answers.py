"""The code in an answer is found, and makes a program of what it goes on from."""

from hypothesis import given
from hypothesis import strategies as st

from seriatim.programs.answers import blocks, code_in, solution

PROMPT = 'import math\n\n\ndef half(n):\n    return n // 2\n\n\ndef double(n: int) -> int:\n    """Twice n."""\n'
RIGHT = "def double(n):\n    return half(4 * n)"


def fenced(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```"


def test_the_code_of_an_answer_is_found() -> None:
    assert code_in(fenced(RIGHT), "double") == RIGHT
    assert code_in(RIGHT, "double") == RIGHT
    assert code_in(f"Here it is:\n{fenced(RIGHT)}\nUse it so:\n{fenced('double(2)')}", "double") == RIGHT
    assert code_in(f"{fenced('x = 1', 'js')}\n{fenced(RIGHT, '')}", "double") == RIGHT
    assert code_in(f"```python\n{RIGHT}", "double") == RIGHT
    assert blocks("no code") == []


def test_a_body_goes_on_from_the_prompt_and_a_function_replaces_it() -> None:
    assert solution("    return 2 * n", PROMPT, "double").endswith('"""\n    return 2 * n\n')
    assert solution("return 2 * n", PROMPT, "double").endswith('"""\n    return 2 * n\n')
    whole = solution(fenced(RIGHT), PROMPT, "double")
    assert whole.startswith("import math\n\n\ndef half(n):")
    assert whole.count("def double") == 1


@given(st.text(alphabet="`~python\n def()x", max_size=60))
def test_any_answer_gives_a_program(text: str) -> None:
    assert solution(text, PROMPT, "double").startswith("import math")
