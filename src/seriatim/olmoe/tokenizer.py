"""OLMoE's tokenizer, and the layout of a conversation that its Instruct models were taught.

Byte-level BPE as of GPT-NeoX: texts are brought to NFC, and no token begins a text. The marks of a conversation's turns
(`<|user|>`) are ordinary tokens, so a text that contains one would be obeyed as a turn of its own: texts are encoded so
that no such mark, and no special token, can come out of them.
"""

import codecs
import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors

from seriatim.errors import ModelError
from seriatim.olmoe.config import OlmoeConfig

TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, TEMPLATE_FILE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
ROLES = ("system", "user", "assistant")
CHAT_TEMPLATE = (
    r"{% set marks = {'system': '<|system|>\n', 'user': '<|user|>\n', 'assistant': '<|assistant|>\n'} %}"
    r"{{ eos_token }}"
    r"{% for message in messages %}"
    r"{{ marks[message['role']] + message['content'] }}"
    r"{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    r"{% if not loop.last %}{{ '\n' }}{% endif %}"
    r"{% endfor %}"
    r"{% if add_generation_prompt %}{{ '\n<|assistant|>\n' }}{% endif %}"
)
"""The layout of `Tokenizer.chat` as a Jinja template, for files that carry one. The first token is the last, too."""


class Turn(Protocol):
    """A turn of a conversation."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...


class Tokenizer:
    """Texts to token ids and back. `eos_id` ends a text, and begins a conversation.

    `chat_template` is the Jinja template that the model's files carry; those of base models carry none.
    """

    def __init__(
        self,
        tokenizer: tokenizers.Tokenizer,
        *,
        eos_id: int | None,
        pad_id: int | None = None,
        chat_template: str | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self.eos_id, self.pad_id, self.chat_template = eos_id, pad_id, chat_template
        added = tokenizer.get_added_tokens_decoder()
        self.special_ids = {id for id, token in added.items() if token.special}
        self.special_ids |= {id for id in (eos_id, pad_id) if id is not None}
        # An id counts, not what it is called: OLMoE-1B-7B-0125-Instruct calls its end of text `|||IP_ADDRESS|||`.
        special = [added[id].content for id in sorted(self.special_ids & added.keys())]
        marks = [*special, *(f"<|{role}|>" for role in ROLES)]
        self._marks = re.compile(f"(?=({'|'.join(map(re.escape, sorted(marks, key=len, reverse=True)))}))")

    @classmethod
    def from_folder(cls, path: str | Path) -> "Tokenizer":
        """The tokenizer in a model's folder.

        Raises `ModelError` where its files are missing or damaged, or another model's than the folder's config.
        """
        folder = Path(path)
        config = OlmoeConfig.from_file(folder / "config.json")
        tokenizer = cls(
            from_file(folder / TOKENIZER_FILE),
            eos_id=config.eos_token_id,
            pad_id=config.pad_token_id,
            chat_template=_chat_template(folder),
        )
        tokenizer.check_fits(config)
        return tokenizer

    @property
    def size(self) -> int:
        """One more than the largest id; a model may have room for more."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def check_fits(self, config: OlmoeConfig) -> None:
        """Raises `ModelError` where there are ids that a model of `config` has no place for."""
        if self.size > config.vocab_size:
            raise ModelError(
                f"the tokenizer has ids up to {self.size - 1}, and the model a vocabulary of {config.vocab_size}: it "
                "is another model's"
            )

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, taken as ordinary text: none that ends a text or begins a turn comes out of it."""
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate, as of a broken file name, is no text
        normalizer = self._tokenizer.normalizer
        text = normalizer.normalize_str(text) if normalizer else text
        # A mark is cut behind the first letter of its word, where no token of the mark as a whole ends.
        cuts = {match.start() + min(3, len(match[1]) // 2) for match in self._marks.finditer(text)}
        pieces = [text[start:end] for start, end in pairwise(sorted({0, len(text)} | cuts))]
        return [id for piece in pieces for id in self._tokenizer.encode(piece, add_special_tokens=False).ids]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each of `texts`, as `encode` gives them, on all cores."""
        plain = [text.encode("utf-8", "replace").decode() for text in texts]
        normalizer = self._tokenizer.normalizer
        normal = [normalizer.normalize_str(text) if normalizer else text for text in plain]
        encodings = self._tokenizer.encode_batch_fast(normal, add_special_tokens=False)  # without offsets
        return [
            self.encode(text) if self._marks.search(text) else encoding.ids
            for text, encoding in zip(normal, encodings, strict=True)
        ]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`. Special ones, and ids of no token, have none; what is no UTF-8 becomes U+FFFD."""
        return b"".join(map(self.bytes_of, ids)).decode("utf-8", "replace")

    def bytes_of(self, id: int) -> bytes:
        """The piece of UTF-8 that a token stands for."""
        token = None if id in self.special_ids else self._tokenizer.id_to_token(id)
        return b"" if token is None else _bytes(token)

    def stream(self) -> "TextStream":
        """What turns ids into text one by one."""
        return TextStream(self)

    def chat(self, messages: Sequence[Turn], prefix: str = "") -> list[int]:
        """The ids of a conversation, and the beginning of the assistant's next turn, which goes on with `prefix`.

        Raises `ModelError` for a role other than system, user and assistant, and where the model's own template lays a
        conversation out in another way than OLMoE's models do.
        """
        if self.eos_id is None:
            raise ModelError("the model's config has no eos_token_id, with which OLMoE's conversations begin")
        if self.chat_template and any(f"<|{role}|>" not in self.chat_template for role in ("user", "assistant")):
            raise ModelError(
                "the model's chat template is not that of OLMoE's models: convert it to GGUF, and run that"
            )
        ids = [self.eos_id]
        for number, message in enumerate(messages):
            if message.role not in ROLES:
                raise ModelError(f"a turn of a conversation is {', '.join(ROLES)}: not {message.role!r}")
            ids += self._mark(message.role, first=number == 0) + self.encode(message.content)
            if message.role == "assistant":
                ids.append(self.eos_id)
        return ids + self._mark("assistant", first=not messages) + self.encode(prefix)

    def _mark(self, role: str, *, first: bool) -> list[int]:
        return self._tokenizer.encode(f"{'' if first else chr(10)}<|{role}|>\n", add_special_tokens=False).ids

    def parts(self) -> dict[str, Any]:
        """All of the tokenizer as `tokenizer.json` holds it."""
        parts: dict[str, Any] = json.loads(self._tokenizer.to_str())
        return parts

    def write(self, folder: Path) -> None:
        """Write the files that transformers reads a tokenizer from. Raises `OSError` where the disk is full."""
        (folder / TOKENIZER_FILE).write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")
        settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        for name, id in (("bos_token", self.eos_id), ("eos_token", self.eos_id), ("pad_token", self.pad_id)):
            token = None if id is None else self._tokenizer.id_to_token(id)
            if token is not None:
                settings[name] = token
        if self.chat_template:
            settings["chat_template"] = self.chat_template
        text = json.dumps(settings, indent=2, ensure_ascii=False)
        (folder / TOKENIZER_CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


class TextStream:
    """Text out of ids that come one at a time: a character is given when its last byte is in."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, id: int) -> str:
        """The text that is complete with this token."""
        return self._decoder.decode(self._tokenizer.bytes_of(id))

    def close(self) -> str:
        """What is left of a character that was never finished, as U+FFFD."""
        return self._decoder.decode(b"", final=True)


def from_file(path: Path) -> tokenizers.Tokenizer:
    """The tokenizer in a `tokenizer.json`, which cuts no text short and fills none up, whatever the file asks for.

    Raises `ModelError` where it is missing or damaged.
    """
    if not path.is_file():
        raise ModelError(f"{path.parent} lacks {path.name}: fetch that file")
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` raises no narrower one
        raise ModelError(f"{path} is damaged ({error}): fetch it again") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def rebuilt(
    tokens: Sequence[str], merges: Sequence[tuple[str, str]], *, special: Iterable[int], added: Iterable[int]
) -> tokenizers.Tokenizer:
    """The tokenizer with these tokens in the order of their ids, of which some are `special`, and some `added` ones
    that a text is searched for before it is split."""
    tokenizer = tokenizers.Tokenizer(models.BPE({token: id for id, token in enumerate(tokens)}, list(merges)))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(tokens[id], special=True, normalized=False) for id in special])
    tokenizer.add_tokens([AddedToken(tokens[id], normalized=True) for id in added])
    return tokenizer


def _chat_template(folder: Path) -> str | None:
    path = folder / TEMPLATE_FILE if (folder / TEMPLATE_FILE).is_file() else folder / TOKENIZER_CONFIG_FILE
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        template = text if path.name == TEMPLATE_FILE else json.loads(text).get("chat_template")
        if isinstance(template, list):  # several, by name
            template = {each["name"]: each["template"] for each in template}.get("default")
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise ModelError(f"{path} is damaged ({error}): fetch it again") from error
    return template if isinstance(template, str) else None


@lru_cache(maxsize=1 << 17)
def _bytes(token: str) -> bytes:
    """What a token stands for. Added tokens may hold characters that are no byte's: those stand for themselves."""
    alphabet = _alphabet()
    try:
        return bytes(alphabet[character] for character in token)
    except KeyError:
        return token.encode()


@lru_cache(maxsize=1)
def _alphabet() -> dict[str, int]:
    """The byte of each character of byte-level BPE: printable Latin-1 stands for itself, other bytes begin at 256.

    Source: https://github.com/openai/gpt-2/blob/master/src/encoder.py (`bytes_to_unicode`).
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
