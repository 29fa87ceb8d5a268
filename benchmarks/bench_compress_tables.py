"""Adult, lossless: bytes of the learnt columns' model and its payload beside Parquet with zstd and lzma.

Numbers are themselves, words their place among those of the training rows (0 = missing), so every cell comes back. Two
protocols: a model of the training rows, stored apart, codes the test rows; and one of all rows is stored with them. The
model's bytes are printed beside, and counted in the ratio to lzma -9e of the same whole numbers, column by column, each
in the fewest bytes that hold it.

    python benchmarks/bench_compress_tables.py [--seed 0] [--rows 5000 0]

``--rows`` adds runs on the first so many of all rows, model included; 0 is all of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import lzma
import time

import numpy as np
import pandas as pd
from common import row
from tables import NUMERIC, adult

from isthmus.coding.columns import ColumnsModel
from isthmus.coding.columns_training import fit_columns, model_bits
from isthmus.coding.entropy import Reader, Writer


def whole(frame: pd.DataFrame, words: dict[str, list[str]]) -> np.ndarray:
    """(rows, columns) int64: numbers as they are, words from 1 on in their order, missing 0."""
    found = [
        frame[name].to_numpy() if name in NUMERIC else pd.Categorical(frame[name], categories=words[name]).codes + 1
        for name in frame.columns
    ]
    return np.stack([np.asarray(column, dtype=np.int64) for column in found], axis=1)


def by_lzma(data: bytes) -> int:
    return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def narrow(ints: np.ndarray) -> bytes:
    return b"".join(column.astype(np.min_scalar_type(int(column.max()))).tobytes() for column in ints.T)


def parquet(frame: pd.DataFrame) -> int:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, compression="zstd", compression_level=19, index=False)
    return buffer.tell()


def coded(model: ColumnsModel, ints: np.ndarray, csv: bytes) -> tuple[int, float, float]:
    """Payload bytes, and MB of CSV a second both ways; the table read is compared with the one written."""
    start = time.perf_counter()
    writer = Writer()
    model.write(writer, ints)
    payload = writer.done()
    written = time.perf_counter()
    back = model.read(Reader(payload), len(ints))
    read = time.perf_counter()
    if not np.array_equal(back, ints):
        raise SystemExit("the table came back altered")
    return len(payload), len(csv) / 1e6 / (written - start), len(csv) / 1e6 / (read - written)


def show(what: str, frame: pd.DataFrame, ints: np.ndarray, models: dict[str, ColumnsModel]) -> None:
    """One row for each rival and model, the first models' bytes counted."""
    csv = frame.to_csv(index=False).encode()
    bar = by_lzma(narrow(ints))
    print(f"\n{what}: {len(ints):,} rows, CSV {len(csv):,} bytes")
    row("coder", "bytes", "model bytes", "bits/row", "ratio", "MB/s in", "MB/s out")
    sizes = {"Parquet zstd": parquet(frame), "lzma CSV": by_lzma(csv), "lzma columns": bar}
    for name, size in sizes.items():
        row(name, size, 0, 8 * size / len(ints), size / bar, "-", "-")
    for name, model in models.items():
        size, fast_in, fast_out = coded(model, ints, csv)
        own = int(model_bits(model) / 8)
        row(name, size, own, 8 * (size + own) / len(ints), (size + own) / bar, fast_in, fast_out)


def learnt(ints: np.ndarray, seed: int) -> dict[str, ColumnsModel]:
    start = time.perf_counter()
    model = fit_columns(ints, random_state=seed)
    hidden = 0 if model.network is None else model.network.hidden
    print(f"\nlearnt from {len(ints):,} rows in {time.perf_counter() - start:.0f} s: {hidden} hidden units")
    return {"tables only": fit_columns(ints, sizes=()), "learnt": model}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--rows", type=int, nargs="*", default=[5000, 0])
    chosen = arguments.parse_args()
    if importlib.util.find_spec("constriction") is None:
        raise SystemExit("skipped: pip install 'isthmus[compression]'")
    train, test = adult()
    words = {name: sorted(train[name].dropna().unique()) for name in train.columns if name not in NUMERIC}
    show("test rows, model of the training rows", test, whole(test, words), learnt(whole(train, words), chosen.seed))
    every = pd.concat([train, test], ignore_index=True)
    for rows in chosen.rows:
        frame = every[: rows or None]
        ints = whole(frame, words)
        show("the rows themselves, model of these", frame, ints, learnt(ints, chosen.seed))


if __name__ == "__main__":
    main()
