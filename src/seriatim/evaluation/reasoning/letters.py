"""MMLU as base models are judged: the letter that is most probable after five worked examples."""

import re
from collections.abc import Sequence
from typing import Any

from seriatim.errors import UsageError
from seriatim.evaluation import cache
from seriatim.evaluation.choices import LETTERS
from seriatim.evaluation.generation import Reader
from seriatim.evaluation.reasoning.mmlu import SHOTS
from seriatim.evaluation.reasoning.problems import Problem
from seriatim.models.generator import Generator, Scorer


def check_scorer(generator: Generator) -> None:
    """Raise `UsageError` for a reader that does not tell probabilities."""
    if not isinstance(generator, Scorer):
        raise UsageError(
            f"{generator.name} does not tell how probable a letter is: the arm letters needs a GGUF file or an OLMoE "
            "checkpoint on this machine; ask it in another arm"
        )


def check_shots(problems: Sequence[Problem]) -> None:
    """Raise `UsageError` for problems without worked examples: after fewer than five it is another measurement."""
    lacking = sum(len(re.findall("^Answer: [A-D]$", each.shots, re.MULTILINE)) < SHOTS for each in problems)
    if lacking:
        raise UsageError(
            f"{lacking} of the {len(problems)} questions have fewer than {SHOTS} worked examples of their subject: the "
            'arm letters needs the rows of split "dev" in the data too'
        )


def most_probable(problem: Problem, reader: Reader) -> tuple[str, dict[str, Any]]:
    """The most probable of the letters after "Answer:", the first of equals, and the columns that a row has of it.

    The conversation's template is left out, for models that know none. The reader is a `Scorer`. Raises `ModelError`.
    """
    text = f"{problem.shots}{problem.text}\nAnswer:"
    key = cache.key_of({"reader": reader.identity, "text": text, "continuations": LETTERS})
    kept = cache.kept(key)
    told = kept or {"logprobs": _logprobs(reader.generator, text)}
    if not kept:
        cache.keep(key, told)
    letter = max(LETTERS, key=lambda each: told["logprobs"][LETTERS.index(each)])
    columns = {
        "logprobs": told["logprobs"], "cached": kept is not None,
        "prompt_tokens": reader.generator.count_tokens(text), "completion_tokens": 0, "prefill_s": 0.0,
        "generate_s": 0.0,
    }  # fmt: skip
    return letter, columns


def _logprobs(generator: Generator, text: str) -> list[float]:
    assert isinstance(generator, Scorer)
    return generator.next_token_logprobs(text, [f" {letter}" for letter in LETTERS])
