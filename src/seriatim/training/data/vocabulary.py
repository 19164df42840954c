"""The tokenizer of a data set: one that exists, or one trained on its texts."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from seriatim.errors import ModelError, UsageError
from seriatim.olmoe.tokenizer import CHAT_TEMPLATE, TOKENIZER_FILE, Tokenizer, from_file
from seriatim.progress import Progress

MOST = 1 << 24
"""Ids of a vocabulary that is trained; room for them is taken beforehand."""
END, PADDING = "<|endoftext|>", "<|padding|>"


def trained(texts: Iterable[str], size: int, progress: Progress | None = None) -> Tokenizer:
    """Byte-level BPE of OLMoE's kind (that of GPT-NeoX) with at most `size` ids; 0 ends a text, 1 is padding.

    How many texts are read is told, not of how many. Raises `UsageError` for fewer ids than bytes and marks take, and
    for more than `MOST`.
    """
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if size < len(alphabet) + 2:
        raise UsageError(f"a vocabulary has at least {len(alphabet) + 2} ids, for every byte and two marks: not {size}")
    if size > MOST:
        raise UsageError(f"a vocabulary has at most {MOST} ids: not {size}")
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[END, PADDING], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_counted(texts, progress) if progress else texts, trainer)
    return Tokenizer(tokenizer, eos_id=0, pad_id=1, chat_template=CHAT_TEMPLATE)


def _counted(texts: Iterable[str], progress: Progress) -> Iterator[str]:
    for number, text in enumerate(texts, start=1):
        progress(f"training the tokenizer, {number:,} texts read", 0, 0)
        yield text


def existing(path: Path) -> Tokenizer:
    """The tokenizer in the file `path`, or in the folder of a model or of token shards. Raises `ModelError` where
    there is none, or it has no end of text.

    In a file alone the end of text is told by its name, and where there are two by the larger id, as OLMoE's is.
    """
    if (path / "config.json").exists():
        return Tokenizer.from_folder(path)
    path = path / TOKENIZER_FILE if path.is_dir() else path
    if not path.is_file():
        raise ModelError(f"{path} is not there: name a tokenizer.json, or a folder with one")
    tokenizer = from_file(path)
    ids = {token.content: id for id, token in tokenizer.get_added_tokens_decoder().items()}
    if END not in ids:
        raise ModelError(f"{path} has no token {END}, which ends a text: give the tokenizer of an OLMoE model")
    return Tokenizer(tokenizer, eos_id=ids[END], pad_id=ids.get(PADDING), chat_template=CHAT_TEMPLATE)
