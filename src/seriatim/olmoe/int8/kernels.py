"""Build `kernels.cpp` where a compiler is present, and call it.

The library is compiled once for this processor and kept in Seriatim's home, under a name that depends on the source,
the compiler and the processor. It shares PyTorch's threads.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from seriatim.home import home
from seriatim.olmoe.cache import KVCache
from seriatim.olmoe.int8.weights import Quantised

_SOURCE = Path(__file__).with_name("kernels.cpp")
_FLAGS = ["-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-shared", "-fPIC"]
_TIMEOUT_S = 120


class Kernels:
    """The operations of a block, in C++. Tensors are float32 and contiguous, one row a token; `y` is written to."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def weight(self, quantised: Quantised) -> Quantised:
        """The form in which the kernels take a weight: as it is."""
        return quantised

    def norm(self, x: Tensor, weight: Tensor, eps: float, y: Tensor) -> None:
        """RMS norm of each row."""
        self._library.norm(_at(x), _at(weight), ctypes.c_float(eps), _long(x.shape[0]), _long(x.shape[1]), _at(y))

    def linear(self, x: Tensor, weight: Quantised, y: Tensor, *, add: bool = False) -> None:
        """`y` = `x` W^T, or `y` += it."""
        self._library.linear(
            _at(x), _long(x.shape[0]), _long(x.shape[1]), _at(weight.panels), _at(weight.scales),
            _long(y.shape[1]), ctypes.c_int(add), _at(y),
        )  # fmt: skip

    def rotate_and_store(
        self,
        qkv: Tensor,
        q_norm: Tensor,
        k_norm: Tensor,
        eps: float,
        clip: float | None,
        rotation: tuple[Tensor, Tensor],
        cache: KVCache,
        layer: int,
    ) -> None:
        """Normalise, clip and rotate queries and keys in `qkv`; write keys and values into the cache."""
        cos, sin = rotation
        _, sequences, _, capacity, head = cache.keys.shape
        self._library.rotate_and_store(
            _at(qkv), _long(sequences), _long(qkv.shape[0] // sequences), _long(q_norm.shape[0]),
            _long(k_norm.shape[0]), _long(head), _at(q_norm), _at(k_norm), ctypes.c_float(eps),
            ctypes.c_float(clip or 0.0), _at(cos), _at(sin), _at(cache.padding), _long(cache.length),
            _long(capacity), _at(cache.keys[layer]), _at(cache.values[layer]),
        )  # fmt: skip

    def attend(self, qkv: Tensor, cache: KVCache, layer: int, y: Tensor) -> None:
        """Attention of each token to those before it and itself;"""
        _, sequences, groups, capacity, head = cache.keys.shape
        self._library.attend(
            _at(qkv), _long(sequences), _long(qkv.shape[0] // sequences), _long(y.shape[1]), _long(groups * head),
            _long(head), _at(cache.padding), _long(cache.length), _long(capacity), _at(cache.keys[layer]),
            _at(cache.values[layer]), _at(y),
        )  # fmt: skip

    def route(self, x: Tensor, weight: Tensor, normalise: bool, indices: Tensor, weights: Tensor) -> None:
        """The best experts of each token, in `indices`, and their `weights`."""
        logits = F.linear(x, weight)
        self._library.choose(
            _at(logits), _long(x.shape[0]), _long(weight.shape[0]), _long(indices.shape[1]),
            ctypes.c_int(normalise), _at(indices), _at(weights),
        )  # fmt: skip

    def experts(
        self, x: Tensor, indices: Tensor, weights: Tensor, gate_up: Quantised, down: Quantised, y: Tensor
    ) -> None:
        """`y` += the weighted sum of each token's experts."""
        count, width = gate_up.scales.shape[0], gate_up.scales.shape[1] // 2
        self._library.experts(
            _at(x), _long(x.shape[0]), _long(x.shape[1]), _at(indices), _at(weights), _long(indices.shape[1]),
            _long(count), _long(width), _at(gate_up.panels), _at(gate_up.scales), _at(down.panels),
            _at(down.scales), _at(y),
        )  # fmt: skip


@cache
def kernels() -> Kernels | None:
    """The compiled kernels, or None where there is no compiler, or the processor lacks AVX2."""
    found = compiler()
    library = built(found) if found and "AVX" in torch.backends.cpu.get_cpu_capability() else None
    return Kernels(ctypes.CDLL(str(library))) if library else None


def compiler() -> str | None:
    """The C++ compiler: `CXX`, or what is installed."""
    return os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")


def built(compiler: str) -> Path | None:
    """The library, compiled first if it is not there yet; None where the compiler refuses."""
    threads = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    command = [compiler, *_FLAGS, str(_SOURCE), *map(str, threads[:1])]
    made_of = [_SOURCE.read_bytes(), repr(command).encode(), _processor().encode()]
    path = home() / "kernels" / f"int8-{hashlib.sha256(b'|'.join(made_of)).hexdigest()[:16]}.so"
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            subprocess.run([*command, "-o", str(made)], check=True, capture_output=True, timeout=_TIMEOUT_S)
            os.replace(made, path)
    except (OSError, subprocess.SubprocessError):
        return None
    return path


def _processor() -> str:
    """What tells one processor from another, as far as code made for it goes."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return torch.backends.cpu.get_cpu_capability()
    return "|".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))


def _at(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


_long = ctypes.c_int64
