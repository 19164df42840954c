"""Bytes → text, in whatever encoding they are, with every character kept where it stands."""

import codecs
import re

from seriatim.documents.extraction import Unreadable

# Longer marks first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What text files hold in practice; leaving out the rest makes the guess quicker and better.
_GUESSED = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
    "koi8_r", "iso8859_2", "mac_roman", "cp932", "euc_jp", "gb18030", "big5", "cp949",
]  # fmt: skip
# The letters beyond ASCII of each language that Windows-1252 (and Latin-1) was made for, and the signs of all.
_WESTERN_LETTERS = tuple(
    frozenset(letters + letters.upper())
    for letters in (
        "àâæçéèêëîïôœùûüÿ", "äöüßéè", "áéíóúñüªº", "áâãàçéêíóôõúüªº", "àèéìíîòóùú",
        "åäöæøéüà", "éëïöüáóèê", "áðéíóúýþæö", "àçèéíïòóúü", "éèêëïçàáöüñô",
    )
)  # fmt: skip
_WESTERN_SIGNS = frozenset("“”‘’‚„–—…•€£§©®°«»·¿¡´™†‡½¼¾×\xa0\xad")
_TEXT_CONTROLS = b"\t\n\v\f\r\b\x1a\x1b"
_CONTROLS = bytes(set(range(32)) - set(_TEXT_CONTROLS))
_SAMPLE_BYTES = 1 << 16
_CAPITAL_INSIDE = re.compile("[а-яё][А-ЯЁ]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f\ufffd]")


def decode(data: bytes) -> str:
    """The text of `data`: UTF-8 or -16 or -32 (a byte order mark is dropped), else the likeliest older encoding.

    Line ends stay as they are. The text can be written as UTF-8 and holds no NUL: what stands for no character
    becomes U+FFFD. Raises `Unreadable` for data that is not text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return storable(data[len(mark) :].decode(encoding, "replace"))
    if b"\0" in data[:_SAMPLE_BYTES] and (text := _utf16_without_mark(data)) is not None:
        return storable(text)
    if looks_binary(data):
        raise Unreadable("is not text: it holds binary data; Seriatim reads .txt .md .html .pdf .epub .docx")
    try:
        return storable(data.decode("utf-8"))
    except UnicodeDecodeError:
        return storable(_damaged_utf8(data) or _older_encoding(data))


def looks_binary(data: bytes) -> bool:
    """Whether `data` holds more control bytes than any text does (one in fifty)."""
    return (len(data) - len(data.translate(None, _CONTROLS))) * 50 > len(data)


def storable(text: str) -> str:
    """`text` with U+FFFD for each NUL and each lone surrogate, which neither SQLite nor UTF-8 can hold."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        # By way of UTF-16 two halves of a pair that stand together become their character.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _utf16_without_mark(data: bytes) -> str | None:
    """The text, when NULs at every other byte show that it is UTF-16 without a byte order mark."""
    sample = data[: _SAMPLE_BYTES & ~1]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    # Text of any script has spaces and line ends, whose high byte is 0; the low byte of a character seldom is.
    if max(even, odd) * 50 < len(sample) or min(even, odd) * 10 > max(even, odd):
        return None
    try:
        text = data.decode("utf-16-le" if odd > even else "utf-16-be")
    except UnicodeDecodeError:
        return None
    return None if looks_binary(text[:_SAMPLE_BYTES].encode()) else text


def _damaged_utf8(data: bytes) -> str | None:
    """The text, when but a few bytes keep `data` from being UTF-8."""
    text = data.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    return text if damaged * 10 < len(_BEYOND_ASCII.findall(text)) else None


def _older_encoding(data: bytes) -> str:
    """The text in the likeliest encoding from before Unicode."""
    telling = _telling_lines(data)
    if _is_western(telling.decode("cp1252", "replace")):
        return data.decode("cp1252", "replace")
    from charset_normalizer import from_bytes

    guesses = list(from_bytes(telling, cp_isolation=_GUESSED))
    likeliest = [guess.encoding for guess in guesses if guess.chaos <= guesses[0].chaos]
    # Russian in one of its encodings reads as Cyrillic in the other too, but with small and capital letters swapped.
    encoding = min(
        likeliest, key=lambda name: len(_CAPITAL_INSIDE.findall(telling.decode(name, "replace"))), default="cp1252"
    )
    return data.decode(encoding, "replace")


def _is_western(text: str) -> bool:
    """Whether the characters of `text` beyond ASCII, but for one in fifty, suit one Western European language.

    The statistics of charset-normalizer take French, Portuguese and Swedish for Central European.
    """
    found = [c for c in _BEYOND_ASCII.findall(text) if c not in _WESTERN_SIGNS]
    strangest = min(sum(letter not in letters for letter in found) for letters in _WESTERN_LETTERS)
    return (strangest + text.count("\ufffd")) * 50 <= len(found)


def _telling_lines(data: bytes) -> bytes:
    """The first lines of `data` with bytes beyond ASCII: they alone tell one encoding from another."""
    telling, size = [], 0
    for line in data.splitlines(keepends=True):
        if not line.isascii():
            telling.append(line[:_SAMPLE_BYTES])
            size += len(line)
            if size > _SAMPLE_BYTES:
                break
    return b"".join(telling)
