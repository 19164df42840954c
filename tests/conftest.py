"""What every test has: a home of its own. What some ask for: a disk that is soon full, real
models, fetched once for all runs."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from platformdirs import user_cache_path

from seriatim.models.catalog import find
from seriatim.models.download import pull

_SETTINGS = ("SERIATIM_", "HF_", "OPENAI_", "PIP_INDEX_URL")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `SERIATIM_HOME`, and none of the developer's own settings."""
    for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SERIATIM_HOME", str(home))
    return home


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture(scope="session")
def cached_home() -> Path:
    """A `SERIATIM_HOME` that outlives the run and holds fetched models: `SERIATIM_TEST_CACHE`, else a cache folder."""
    asked = os.environ.get("SERIATIM_TEST_CACHE")
    return Path(asked) if asked else user_cache_path("seriatim-tests", appauthor=False)


@pytest.fixture(scope="session")
def reader_path(cached_home: Path) -> Path:
    """The GGUF file of `smollm2-135m`."""
    return _fetched("smollm2-135m", cached_home) / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def embedder_path(cached_home: Path) -> Path:
    """The folder of `minilm`, with `model.onnx` and `tokenizer.json`."""
    return _fetched("minilm", cached_home)


def _fetched(name: str, home: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERIATIM_HOME", str(home))
        return pull(find(name))


# A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, and no clock: a busy machine is no failure.
hypothesis.settings.register_profile("seriatim", derandomize=True, deadline=None)
hypothesis.settings.load_profile("seriatim")
