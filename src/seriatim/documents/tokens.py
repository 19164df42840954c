"""Tokens: the unit in which passages and budgets are measured.

The tokenizer is the one of the static embedder (WordLlama's, that is Llama 2's: 32,000 pieces, byte
fallback), so that a text is tokenised once for its passages and for their vectors. It makes about a quarter more tokens
of English than newer models do, so a budget measured in it is a safe one.
"""

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH = 4096


def wordllama_folder() -> Path:
    """The folder of the installed `wordllama` package, whose data files are used without importing it."""
    spec = importlib.util.find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the package wordllama, which carries the tokenizer, is not installed")
    return Path(spec.submodule_search_locations[0])


@cache
def tokenizer() -> "Tokenizer":
    """The tokenizer, without padding, truncation or special tokens."""
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(wordllama_folder() / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    loaded.no_padding()
    loaded.no_truncation()
    return loaded


def token_ids(texts: Sequence[str]) -> list[list[int]]:
    """The token ids of each text. Runs of white space count as one space: layout is not content."""
    ids: list[list[int]] = []
    for first in range(0, len(texts), _BATCH):
        batch = [" ".join(text.split()) for text in texts[first : first + _BATCH]]
        ids.extend(encoding.ids for encoding in tokenizer().encode_batch_fast(batch, add_special_tokens=False))
    return ids


def count_tokens(text: str) -> int:
    """How many tokens `text` makes."""
    return len(token_ids([text])[0])
