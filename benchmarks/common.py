"""What the benchmark scripts share: data by name, units, and a row of a printed table."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from isthmus.data.builtin import named

T = TypeVar("T")


def images(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(60000, 28, 28) and (10000, 28, 28) uint8 images of ``mnist`` or ``fashion-mnist``, or a skip with its reason."""
    if not os.environ.get("ISTHMUS_DATA") or not (Path(os.environ["ISTHMUS_DATA"]) / name).exists():
        print(f"skipped: set ISTHMUS_DATA to a folder that holds {name}")
        sys.exit(0)
    train, _, test, _ = named(name)
    return train, test


def sse(x: np.ndarray, out: np.ndarray) -> float:
    """Squared error summed over pixels in [0, 1], mean over images. ``x`` is in 0..255, ``out`` too."""
    difference = (np.asarray(out, dtype=np.float32) - np.asarray(x, dtype=np.float32)) / 255
    return float(np.square(difference, dtype=np.float64).sum() / len(x))


def best_of(times: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs: the one least disturbed by the machine."""
    fastest = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def anonymous_megabytes() -> float:
    """Anonymous memory (RssAnon) of this process: what it holds of its own, without the files that it maps."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise SystemExit("skipped: this system does not tell RssAnon")


def watched(work: Callable[[], T]) -> tuple[T, float]:
    """What the work returns, and the most anonymous memory in MB meanwhile."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak[0] = max(peak[0], anonymous_megabytes())
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return work(), peak[0]
    finally:
        done.set()
        watcher.join()


def draw_strips(path: str, strips: dict[str, np.ndarray], many: int = 20) -> None:
    """A line of the first samples for each row of the table."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(many * 0.5 + 2, len(strips) * 0.52), layout="constrained")
    for axes, (name, some) in zip(figure.subplots(len(strips), squeeze=False)[:, 0], strips.items(), strict=True):
        axes.imshow(np.concatenate(list(some[:many]), axis=1), cmap="gray_r", vmin=0, vmax=255)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=120, bbox_inches="tight")


def row(*cells: object) -> None:
    """One line of a table, flushed, so that a killed run shows how far it came."""
    print("  ".join(f"{c:>12.4f}" if isinstance(c, float) else f"{c!s:>12}" for c in cells), flush=True)
