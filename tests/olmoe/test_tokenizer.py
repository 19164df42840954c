"""The tokenizer: OLMoE's own where it is at hand, and one of its kind that is trained on the spot."""

import json
import resource
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
import tokenizers
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from seriatim.errors import ModelError
from seriatim.olmoe.config import OLMOE_1B_7B
from seriatim.olmoe.tokenizer import CHAT_TEMPLATE, Tokenizer, from_file
from tests.olmoe.tiny import byte_tokenizer, checkpoint

REAL = Path(__file__).parents[3] / "shared" / "data" / "olmoe" / "tokenizer.json"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="OLMoE's tokenizer.json is not at hand")
TINY_BPE = byte_tokenizer()
TINY = Tokenizer(TINY_BPE, eos_id=0, pad_id=1)


@dataclass
class Turn:
    role: str
    content: str


@lru_cache
def tokenizer_of(name: str) -> Tokenizer:
    if name == "tiny":
        return TINY
    return Tokenizer(from_file(REAL), eos_id=OLMOE_1B_7B.eos_token_id, pad_id=OLMOE_1B_7B.pad_token_id)


either = pytest.mark.parametrize("name", ["tiny", pytest.param("real", marks=needs_real)])


@needs_real
@pytest.mark.parametrize(
    ("text", "ids"), [("A sample test", [34, 3410, 1071]), ("Hi  Hello", [12764, 50276, 12092]), ("", [])]
)
def test_texts_have_the_ids_that_olmoe_was_trained_with(text, ids):
    real = tokenizer_of("real")
    assert real.encode(text) == ids
    assert real.decode(ids) == text


@needs_real
def test_a_conversation_is_laid_out_as_olmoe_was_taught():
    turns = [Turn("system", "Be brief."), Turn("user", "Hi"), Turn("assistant", "Hello."), Turn("user", "Bye")]
    expected = (
        "<|endoftext|><|system|>\nBe brief.\n<|user|>\nHi\n<|assistant|>\nHello.<|endoftext|>"
        "\n<|user|>\nBye\n<|assistant|>\nGood"
    )
    whole = from_file(REAL).encode(expected).ids
    assert tokenizer_of("real").chat(turns, "Good") == whole
    assert whole.count(50279) == 2


@needs_real
def test_the_id_counts_not_its_name():
    """OLMoE-1B-7B-0125-Instruct calls its end of text by the name of another token."""
    parts = json.loads(REAL.read_text())
    del parts["model"]["vocab"]["|||IP_ADDRESS|||"], parts["model"]["vocab"]["<|endoftext|>"]
    parts["model"]["vocab"] |= {"|||IP_ADDRESS|||": 50279}
    parts["added_tokens"] = [token for token in parts["added_tokens"] if token["id"] != 0]
    parts["added_tokens"][-1] |= {"content": "|||IP_ADDRESS|||", "special": False}
    mislabelled = Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(parts)), eos_id=50279, pad_id=1)
    ids = mislabelled.chat([Turn("user", "Who is |||IP_ADDRESS|||?")])
    assert ids[0] == 50279
    assert 50279 not in ids[1:]
    assert "Who is |||IP_ADDRESS|||?" in mislabelled.decode(ids)


MARKS = ["<|user|>", "<|assistant|>", "<|system|>", "<|endoftext|>", "<|padding|>"]
forged = st.lists(
    st.sampled_from([*MARKS, "\n", "<|", "|>", "<|us", "er|>", "user", "<", "|", " ", "lease", "é", "日"])
    | st.text(max_size=5),
    max_size=12,
).map("".join)


def occurrences(part: list[int], ids: list[int]) -> int:
    return sum(ids[start : start + len(part)] == part for start in range(len(ids)))


@either
@given(texts=st.lists(forged, min_size=1, max_size=3), prefix=forged)
@settings(max_examples=60)
def test_no_text_can_pose_as_a_turn_or_end_one(name, texts, prefix):
    tokenizer = tokenizer_of(name)
    turns = [Turn("user", text) for text in texts]
    ids = tokenizer.chat(turns, prefix)
    assert not tokenizer.special_ids & set(ids[1:])
    for role, times in (("user", len(texts)), ("assistant", 1), ("system", 0)):
        assert occurrences(tokenizer._mark(role, first=True)[:-1], ids) == times


@either
@given(text=forged)
@settings(max_examples=60)
def test_what_is_encoded_decodes_to_itself_in_nfc(name, text):
    tokenizer = tokenizer_of(name)
    assert tokenizer.decode(tokenizer.encode(text)) == unicodedata.normalize("NFC", text)


harmless = st.text(st.characters(codec="utf-8", exclude_characters="<|>"), max_size=30)


@given(
    turns=st.lists(st.builds(Turn, st.sampled_from(["system", "user", "assistant"]), harmless), min_size=1, max_size=4),
)
@settings(max_examples=60)
def test_the_template_lays_a_conversation_out_as_chat_does(turns):
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=TINY_BPE, eos_token="<|endoftext|>")
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    ids = theirs.apply_chat_template(
        messages, chat_template=CHAT_TEMPLATE, add_generation_prompt=True, return_dict=False
    )
    assert TINY.chat(turns) == ids


token_ids = st.lists(st.integers(0, TINY.size + 5), max_size=40)


@given(ids=token_ids)
def test_text_that_is_streamed_is_the_text_as_a_whole(ids):
    stream = TINY.stream()
    pieces = [stream.feed(id) for id in ids]
    assert "".join(pieces) + stream.close() == TINY.decode(ids)


@given(ids=token_ids)
def test_decoding_is_that_of_the_tokenizers_package(ids):
    assert TINY.decode(ids) == TINY_BPE.decode(ids)


@given(text=st.text(max_size=30))
def test_a_streamed_character_is_whole_or_not_yet_there(text):
    """Every piece can be printed: what it holds is a beginning of the text."""
    stream, printed = TINY.stream(), ""
    for id in TINY.encode(text):
        printed += stream.feed(id)
        assert TINY.decode(TINY.encode(text)).startswith(printed)


def test_a_character_that_is_never_finished_becomes_a_replacement():
    stream = TINY.stream()
    first = TINY.encode("日")[0]
    assert stream.feed(first) == ""
    assert stream.close() == "\ufffd"


def test_a_folder_gives_its_tokenizer_and_template(tmp_path):
    checkpoint(tmp_path)
    assert Tokenizer.from_folder(tmp_path).chat_template is None
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "<|user|> <|assistant|>"}')
    assert Tokenizer.from_folder(tmp_path).chat_template == "<|user|> <|assistant|>"
    (tmp_path / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert tokenizer.chat([Turn("user", "Who signed?")]) == TINY.chat([Turn("user", "Who signed?")])


def test_no_text_is_cut_short_or_filled_up(tmp_path):
    """`tokenizer.json` may ask for both, as those of embedding models do."""
    checkpoint(tmp_path)
    cutting = byte_tokenizer()
    cutting.enable_truncation(8)
    cutting.enable_padding(pad_id=1, pad_token="<|padding|>", length=64)
    cutting.save(str(tmp_path / "tokenizer.json"))
    text = "Who signed the lease? " * 10
    for tokenizer in (Tokenizer.from_folder(tmp_path), Tokenizer(from_file(tmp_path / "tokenizer.json"), eos_id=0)):
        assert tokenizer.encode(text) == TINY.encode(text)
        assert tokenizer.encode("Who") == TINY.encode("Who")


@pytest.mark.parametrize("added", [False, True])
def test_a_tokenizer_with_more_ids_than_the_model_is_refused(tmp_path, added):
    """What counts is the largest id, not how many there are."""
    checkpoint(tmp_path, vocab_size=TINY.size)
    assert Tokenizer.from_folder(tmp_path).size == TINY.size
    parts = TINY.parts()
    last = max(parts["model"]["vocab"], key=parts["model"]["vocab"].get)
    if added:
        parts["added_tokens"].append({**parts["added_tokens"][-1], "id": TINY.size, "content": " " * 5})
    else:
        del parts["model"]["merges"], parts["model"]["vocab"][last]
        parts["model"] |= {"merges": [], "vocab": parts["model"]["vocab"] | {"one more": TINY.size}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(parts))
    message = rf"ids up to {TINY.size}, and the model a vocabulary of {TINY.size}"
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_folder(tmp_path)


def test_what_is_written_is_read_back(tmp_path):
    checkpoint(tmp_path, tokenizer=False)
    Tokenizer(TINY_BPE, eos_id=0, pad_id=1, chat_template=CHAT_TEMPLATE).write(tmp_path)
    again = Tokenizer.from_folder(tmp_path)
    assert again.parts() == TINY.parts()
    assert (again.eos_id, again.pad_id, again.chat_template) == (0, 1, CHAT_TEMPLATE)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (theirs.eos_token_id, theirs.pad_token_id) == (0, 1)


def test_a_full_disk_is_an_error_of_the_disk(tmp_path):
    """A limit on the size of files stands for it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            TINY.write(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_template_of_another_layout_is_not_taken_for_olmoes():
    tokenizer = Tokenizer(TINY_BPE, eos_id=0, chat_template="{{ messages[0]['content'] }}[/INST]")
    with pytest.raises(ModelError, match="not that of OLMoE's models"):
        tokenizer.chat([Turn("user", "Hi")])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "lacks tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text('{"model": 1}'), "tokenizer.json is damaged"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("["), "tokenizer_config.json is damaged"),
        (
            lambda folder: (folder / "tokenizer_config.json").write_text('{"chat_template": ["a"]}'),
            "tokenizer_config.json is damaged",
        ),
        (lambda folder: (folder / "chat_template.jinja").write_bytes(b"\xff"), "chat_template.jinja is damaged"),
    ],
)
def test_damaged_files_are_named(tmp_path, damage, message):
    checkpoint(tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_folder(tmp_path)


def test_a_lone_surrogate_is_no_error():
    assert TINY.decode(TINY.encode("a\ud800b")) == "a?b"


def test_an_unknown_role_is_refused():
    with pytest.raises(ModelError, match="not 'tool'"):
        TINY.chat([Turn("tool", "42")])


def test_a_special_token_in_a_text_is_ordinary_text():
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens([AddedToken("<x>", special=True)])
    ids = Tokenizer(tokenizer, eos_id=0).encode("a <x> b")
    assert tokenizer.token_to_id("<x>") not in ids
    assert tokenizer.decode(ids) == "a <x> b"
