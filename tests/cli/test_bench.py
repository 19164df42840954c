import json
from pathlib import Path
from typing import Any

import pytest

from seriatim.olmoe.convert import to_gguf
from tests.cli.terminal import seriatim
from tests.models.olmoe_folder import make_checkpoint


@pytest.fixture(autouse=True)
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def measured(*arguments: str) -> Any:
    done = seriatim("model", "bench", *arguments, "--json")
    assert (done.stderr, done.returncode) == ("", 0)
    return json.loads(done.stdout)


def failure(*arguments: str) -> tuple[int, str]:
    done = seriatim("model", "bench", *arguments)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.returncode, done.stderr


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_random_model_is_measured(dtype: str) -> None:
    told = measured("--random", "tiny", "--dtype", dtype, "--prompt", "40", "--generate", "3", "--repeat", "2")

    assert (told["model"], told["dtype"], told["prompt"], told["generate"], told["repeat"]) == ("tiny", dtype, 40, 3, 2)
    for figure in ("prefill_tokens_per_s", "decode_tokens_per_s", "load_s"):
        assert told[figure] > 0
    assert told["peak_rss_bytes"] > 10_000_000


def test_a_checkpoint_and_its_gguf_are_measured(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    to_gguf(folder, tmp_path / "tiny.gguf", "Q8_0")

    native = measured(str(folder), "--prompt", "40", "--generate", "3")
    gguf = measured(str(tmp_path / "tiny.gguf"), "--prompt", "40", "--generate", "3")

    assert (native["model"], native["dtype"]) == ("tiny", "int8")
    assert (gguf["model"], gguf["dtype"], gguf["generate"]) == ("tiny", "Q8_0", 3)
    assert 40 <= gguf["prompt"] < 300
    assert gguf["prefill_tokens_per_s"] > 0


def test_wrong_use_is_told(tmp_path: Path) -> None:
    assert failure()[0] == 2
    assert failure("smollm2-135m", "--random", "tiny")[0] == 2
    assert "olmoe-1b-7b, tiny" in failure("--random", "huge")[1]
    assert "holds 4,096 tokens" in failure("--random", "tiny", "--prompt", "5000")[1]
    assert failure(str(tmp_path / "none.gguf"))[0] == 1
    to_gguf(make_checkpoint(tmp_path / "tiny"), tmp_path / "tiny.gguf")
    assert failure(str(tmp_path / "tiny.gguf"), "--dtype", "int8")[0] == 2
