"""Memory that training uses again and again, and the system need not take back in between."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees from now on, where the C library is glibc.

    A step makes and drops tensors of many megabytes; by default each is mapped anew, and the system fills it with
    zeros page by page, which can take a quarter of a step on a CPU (benchmarks/training_speed.py).
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.malloc_trim(0)  # what loading a model left over goes back first
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
