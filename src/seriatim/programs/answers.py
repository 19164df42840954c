"""The code in an answer, and the program that it makes of a function's beginning."""

import re

FENCE = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*(\w*)[^\n]*\n(.*?)(?:^[ \t]*(?:```|~~~)|\Z)", re.DOTALL | re.MULTILINE)


def blocks(text: str) -> list[str]:
    """The fenced code blocks of Python, or of no language that is named, in `text`; one that is not closed too."""
    return [code for language, code in FENCE.findall(text) if language.lower() in ("", "python", "py", "python3")]


def code_in(text: str, entry_point: str) -> str:
    """The code of an answer: its last block that defines `entry_point`, else its last block, else all of it."""
    found = blocks(text)
    defining = [code for code in found if defines(code, entry_point)]
    return (defining or found or [text])[-1].strip("\n")


def solution(answer: str, prompt: str, entry_point: str) -> str:
    """The program that `answer` makes of `prompt`, which begins the function `entry_point`: the whole function under
    what the prompt has before it (imports, other functions), or the prompt with its body."""
    code = code_in(answer, entry_point)
    if defines(code, entry_point):
        before = re.split(rf"^def {re.escape(entry_point)}\b", prompt, maxsplit=1, flags=re.MULTILINE)[0]
        return f"{before}\n{code}\n"
    body = code if code.startswith((" ", "\t")) else "\n".join(f"    {line}" for line in code.splitlines())
    return f"{prompt.rstrip()}\n{body}\n"


def defines(code: str, name: str) -> bool:
    """Whether `code` defines the function `name`."""
    return bool(re.search(rf"^def {re.escape(name)}\b", code, re.MULTILINE))
