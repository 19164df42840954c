"""Bytes → text, in whatever encoding they are, with every character kept where it stands."""

import codecs
import re
from collections import Counter
from collections.abc import Mapping

from seriatim.documents.extraction import Unreadable

# Longer marks first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# The letters beyond ASCII of each language in the encodings made for it, the commoner encoding first.
_WESTERN = (
    "àâæçéèêëîïôœùûüÿ", "äöüßéè", "áéíóúñüªº", "áâãàçéêíóôõúüªº", "àèéìíîòóùú",
    "åäöæøéüàë", "éëïöüáóèê", "áðéíóúýþæö", "àçèéíïòóúü", "éèêëïçàáöüñô",
)  # fmt: skip
_CENTRAL = (
    "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíľňóôšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž", "äöüß",
)  # fmt: skip
# An encoding, its alphabets, and a handicap: names of several languages may stand in one Western text, but a text that
# suits one language suits it better.
_ALPHABETS = (
    ("cp1252", _WESTERN, 0),
    ("cp1252", ("".join(_WESTERN),), 1),
    ("cp1250", _CENTRAL, 0),
    ("iso8859_2", _CENTRAL, 0),
    ("cp1254", ("çğıöşüâîûi\u0307",), 0),
    ("cp1257", ("ąčęėįšųūž", "āčēģīķļņšūž", "äöõüšž"), 0),
)
# What the writing of East Asia holds most of: kana, or the commonest of its many characters.
_KANA = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30F7), 0x30FC)))
_COMMONEST = {
    "cp932": _KANA,
    "euc_jp": _KANA,
    "gb18030": "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于自之年过发后作用道行"
    "所家成方多经么去法学如同现当没动面起看定天分进好小部其些主心前开因只从想实日者无与长机公此使明性全三"
    "关两高问由很最重并物手",
    "big5": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於自之年過發後作用道行"
    "所家成方多經麼去法學如同現當沒動面起看定天分進好小部其些主心前開因只從想實日者無與長機公此使明性全三"
    "關兩高問由很最重並物手",
    "cp949": "이다는의에을가를고은로하한지기사도어자정인나서리그대시부아해있수라만일보과전들구주었와으게여것장제상",
}
# Of Japanese that has hardly any kana: lists of names, headings of laws and contracts.
_KANJI = "日年一人国第条月本会者名氏住所山田太郎東京都市区町村番号金円額契約書法"
_COMMONEST_KANJI = {"cp932": _KANJI, "euc_jp": _KANJI}
# What other text files hold in practice; leaving out the rest makes the guess quicker and better.
_GUESSED = [
    "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp1257", "cp1250", "iso8859_2", "cp1254", "mac_roman",
    "gb18030", "big5", "cp932", "euc_jp",
]  # fmt: skip
_TEXT_CONTROLS = b"\t\n\v\f\r\b\x1a\x1b"
_CONTROLS = bytes(set(range(32)) - set(_TEXT_CONTROLS))
_SAMPLE_BYTES = 1 << 16
_CAPITAL_INSIDE = re.compile("[а-яё][А-ЯЁ]")
_LETTER_OF_EAST_ASIA = re.compile("[^\x00-\x7f\ufffd\u3000-\u3020\uff00-\uff65]")
_CHINESE_CHARACTER = re.compile("[\u4e00-\u9fff\uf900-\ufaff]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f\ufffd]")
_LETTER = re.compile(r"[^\W\d_]")
# What no text holds but one read in a wrong encoding: signs in a word or in a row, a capital after a small letter,
# control characters.
_SIGN = "[¤¦¨¬¯°±²³´µ¶¸¹º¼½¾£¥ª]"
_MISREAD = re.compile(
    f"(?<=[a-z]{{2}})(?:{_SIGN}|¿)(?=[a-z])|[ªº][a-z]|{_SIGN}(?:[À-ÿ]|{_SIGN}{{2}})|[a-zß-ÿ][À-ÞŠŽŸ]|[\x80-\x9f\ufffd]"
)


def decode(data: bytes) -> str:
    """The text of `data`, as `text_and_guess` finds it. Raises `Unreadable` for data that is not text."""
    return text_and_guess(data)[0]


def text_and_guess(data: bytes) -> tuple[str, str | None]:
    """The text of `data` and, where its encoding had to be guessed, the name that Python has for that one.

    UTF-8, -16 and -32 show themselves (a byte order mark is dropped), and Windows-1252 is what is expected of other
    text; any other encoding from before Unicode is a guess. Line ends stay as they are. The text can be written as
    UTF-8 and holds no NUL: what stands for no character becomes U+FFFD. Raises `Unreadable` for data that is not text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return storable(data[len(mark) :].decode(encoding, "replace")), None
    if b"\0" in data[:_SAMPLE_BYTES] and (text := _utf16_without_mark(data)) is not None:
        return storable(text), None
    if looks_binary(data):
        raise Unreadable("is not text: it holds binary data; Seriatim reads .txt .md .html .pdf .epub .docx")
    try:
        return storable(data.decode("utf-8")), None
    except UnicodeDecodeError:
        if text := _damaged_utf8(data):
            return storable(text), None
    older, certain = _older_encoding(data)
    return storable(data.decode(older, "replace")), None if certain else older


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


def _older_encoding(data: bytes) -> tuple[str, bool]:
    """The likeliest encoding of `data` from before Unicode, and whether it is Windows-1252 beyond doubt."""
    telling = _telling_lines(data)
    if found := _east_asian(telling, _COMMONEST) or _east_asian(telling, _COMMONEST_KANJI):
        return found, False
    if found := _by_alphabet(telling):
        return found, found == "cp1252"
    from charset_normalizer import from_bytes

    # Nearly any bytes are some syllable of Korean or other, but Chinese read as Korean has Chinese characters, too.
    korean = not _CHINESE_CHARACTER.search(telling.decode("cp949", "replace"))
    guesses = list(from_bytes(telling, cp_isolation=[*_GUESSED, "cp949"] if korean else _GUESSED))
    likeliest = [guess.encoding for guess in guesses if guess.chaos <= guesses[0].chaos]
    # Russian in one of its encodings reads as Cyrillic in the other too, but with small and capital letters swapped.
    return min(
        likeliest, key=lambda name: len(_CAPITAL_INSIDE.findall(telling.decode(name, "replace"))), default="cp1252"
    ), False


def _east_asian(data: bytes, commonest: Mapping[str, str]) -> str | None:
    """The encoding in which `data` holds most of what its script is made of; None where that is little in each.

    The statistics of charset-normalizer take Japanese for Korean, whose encoding has a syllable for nearly any bytes.
    """
    shares = {}
    for encoding, characters in commonest.items():
        text = data.decode(encoding, "replace")
        found = Counter(_LETTER_OF_EAST_ASIA.findall(text))
        if found and text.count("\ufffd") * 50 <= found.total():
            shares[encoding] = sum(found[character] for character in characters) / found.total()
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best and shares[best] >= 0.15 else None


def _by_alphabet(data: bytes) -> str | None:
    """The encoding whose letters beyond ASCII, but for one in fifty, suit one European language best.

    Names from several languages in a text of mostly plain letters suit Windows-1252. The statistics of
    charset-normalizer take French, Portuguese and Swedish for Central European.
    """
    fits = []
    for encoding, alphabets, handicap in _ALPHABETS:
        text = data.decode(encoding, "replace")
        found = _letters(text)
        strange = min(_outside(found, alphabet) for alphabet in alphabets) + len(_MISREAD.findall(text))
        # Another script's text, read as Latin letters, has hardly a plain one; a single Western word may have none.
        likely = found.total() * 5 <= len(_LETTER.findall(text)) * 3 or alphabets is _WESTERN
        if likely and strange * 50 <= found.total():
            fits.append((strange + handicap, encoding))
    return min(fits, key=lambda fit: fit[0])[1] if fits else None


def _letters(text: str) -> Counter[str]:
    """How often each letter beyond ASCII stands in `text`, small; signs that look like letters are none."""
    return Counter(c.lower() for c in _BEYOND_ASCII.findall(text) if c.isalpha() and c not in "µªº")


def _outside(letters: Counter[str], alphabet: str) -> int:
    return sum(count for letter, count in letters.items() if letter not in alphabet)


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
