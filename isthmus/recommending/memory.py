"""How much memory is free, and refusing in words what would not fit."""

from __future__ import annotations

import os
from pathlib import Path

from isthmus.errors import InputError

GIB = 2**30


def free_bytes() -> int | None:
    """Bytes that this process may still fill, the limit of its container included; None where nothing tells."""
    found = [memory_available(), container_leaves()]
    known = [size for size in found if size is not None]
    return min(known) if known else None


def memory_available(report: Path = Path("/proc/meminfo")) -> int | None:
    """What the machine has: on Linux what is available, elsewhere all of its memory, or None."""
    try:
        for line in report.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def container_leaves(group: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What the limit of a Linux control group (version 2) leaves; None without one."""
    try:
        most = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
        counts = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    # Cached files are given up when memory is short.
    cached = sum(int(line.split()[1]) for line in counts if line.startswith("inactive_file "))
    return None if most == "max" else max(0, int(most) - used + cached)


def check_memory(needed: int, what: str, instead: str = "", free: int | None = None) -> None:
    """Refuse work before anything is allocated.

    Parameters
    ----------
    needed : bytes at its peak, beside what is held already.
    what : the work, at the beginning of the sentence.
    instead : a sentence on what would fit.
    free : bytes; None = as many as there are.

    Examples
    --------
    >>> check_memory(3 * GIB, "EASE of 15,000 items", "Take fewer.", free=GIB)
    Traceback (most recent call last):
    isthmus.errors.InputError: EASE of 15,000 items needs 3.0 GiB of memory, and 1.0 GiB are free. Take fewer.
    """
    free = free_bytes() if free is None else free
    if free is not None and needed > free:
        raise InputError(
            f"{what} needs {needed / GIB:,.1f} GiB of memory, and {free / GIB:,.1f} GiB are free. {instead}".rstrip()
        )
