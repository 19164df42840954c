"""The tokenizer of a data set: one that exists, or one trained on its texts."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from seriatim.errors import ModelError, UsageError
from seriatim.olmoe.tokenizer import CHAT_TEMPLATE, Tokenizer, from_file
from seriatim.progress import Progress

END, PADDING = "<|endoftext|>", "<|padding|>"


def trained(texts: Iterable[str], size: int, progress: Progress | None = None) -> Tokenizer:
    """Byte-level BPE of OLMoE's kind (that of GPT-NeoX) with at most `size` ids; 0 ends a text, 1 is padding.

    How many texts are read is told, not of how many. Raises `UsageError` for fewer ids than bytes and marks take.
    """
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if size < len(alphabet) + 2:
        raise UsageError(f"a vocabulary has at least {len(alphabet) + 2} ids, for every byte and two marks: not {size}")
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
    """The tokenizer in the file `path`, or in the folder of a model. Raises `ModelError` where it has no end of text.

    In a file alone the end of text is told by its name, and where there are two by the larger id, as OLMoE's is.
    """
    if path.is_dir():
        return Tokenizer.from_folder(path)
    tokenizer = from_file(path)
    ids = {token.content: id for id, token in tokenizer.get_added_tokens_decoder().items()}
    if END not in ids:
        raise ModelError(f"{path} has no token {END}, which ends a text: give the tokenizer of an OLMoE model")
    return Tokenizer(tokenizer, eos_id=ids[END], pad_id=ids.get(PADDING), chat_template=CHAT_TEMPLATE)
