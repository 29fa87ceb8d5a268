"""Memory: training on a 4 GB `.npy` file with at most 1 GB of anonymous memory (RssAnon of the process).

python benchmarks/bench_memory.py [--gigabytes 4] [--folder DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from common import anonymous_megabytes, watched

import isthmus as ist

COLUMNS = 100


def write(path: Path, gigabytes: float) -> int:
    """Columns driven by five hidden ones, written a piece at a time."""
    rows = int(gigabytes * 2**30 / 4 / COLUMNS)
    random = np.random.default_rng(0)
    mixing = random.normal(size=(5, COLUMNS)).astype(np.float32)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, COLUMNS))
    for start in range(0, rows, 200_000):
        stop = min(start + 200_000, rows)
        hidden = random.standard_normal((stop - start, 5), dtype=np.float32)
        array[start:stop] = hidden @ mixing + 0.1 * random.standard_normal((stop - start, COLUMNS), dtype=np.float32)
    array.flush()
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--gigabytes", type=float, default=4.0)
    arguments.add_argument("--folder", default=None)
    chosen = arguments.parse_args()
    anonymous_megabytes()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "rows.npy"
        rows = write(path, chosen.gigabytes)

        def work() -> tuple[ist.Autoencoder, float, np.ndarray]:
            start = time.perf_counter()
            ae = ist.Autoencoder(code_size=5, epochs=1, batch_size=1000, random_state=0).fit(path)
            return ae, time.perf_counter() - start, ae.transform(path)

        (ae, seconds, codes), peak = watched(work)
        size = path.stat().st_size / 2**30
        print(f"{rows:,} rows x {COLUMNS} columns, {size:.2f} GB: one epoch and held-out rows in {seconds:.0f} s")
        print(
            f"codes {codes.shape}; held-out error {ae.record_.held_out_error:.5f}, PCA {ae.record_.pca_errors[5]:.5f}"
        )
        print(f"peak of anonymous memory {peak:.0f} MB (bar 1024)")


if __name__ == "__main__":
    main()
