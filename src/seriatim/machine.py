"""What this machine has to run a model with."""

import os
import shutil
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """How many threads compute where nobody says: what `OMP_NUM_THREADS` says, else one a core."""
    chosen = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # a list is for threads within threads
    return int(chosen) if chosen.isdecimal() and int(chosen) else cores()


def free_memory() -> int:
    """Bytes of memory that can still be had, within the limit of this process's control group."""
    free = _meminfo("MemAvailable")
    try:
        limit, used = (int((_CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        statistics = (_CGROUP / "memory.stat").read_text().split()
    except (OSError, ValueError):  # no control group, or "max"
        return free
    cached = int(statistics[statistics.index("inactive_file") + 1])  # given back as soon as memory is short
    return min(free, max(0, limit - used + cached))


def free_disk(folder: Path) -> int:
    """Bytes free on the disk where `folder` is or would be."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(existing).free


def _meminfo(field: str) -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
