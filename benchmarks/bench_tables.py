"""A million rows of fifty mixed columns: rows per second and memory, from a Parquet file.

The table has 25 numbers (five of them skewed, five whole) and 25 categories of 2 to 1,000 levels, all driven by six
hidden causes; 2 % of the cells are missing. Printed are the rows per second of a training epoch, and the most anonymous
memory (RssAnon) that the process held, file reading included, for

    mixed      the table as it is, `Autoencoder` with a dense network
    numbers    the numeric path of isthmus on a table of as many numbers as the mixed one's decoder emits
    bare       a plain PyTorch loop on numbers: from as many inputs as the embedded table has to as many outputs as its
               decoder emits, the same layers between, squared error, AdamW

The ratio of the first to each of the others is at the end. Every figure is of a process of its own.

    python benchmarks/bench_tables.py [--rows 1000000] [--epochs 1] [--threads 2] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import anonymous_megabytes, row, watched
from torch import nn

import isthmus as ist

NUMBERS, CATEGORIES, CAUSES, BATCH, HIDDEN, CODE = 25, 25, 6, 1000, (256, 128), 16


def levels() -> list[int]:
    """Levels of every categorical column, 2 to 1,000."""
    return np.geomspace(2, 1000, CATEGORIES).round().astype(int).tolist()


def piece(rows: int, random: np.random.Generator) -> Any:
    """Some rows of the table, as Arrow."""
    import pyarrow as pa

    causes = random.standard_normal((rows, CAUSES)).astype(np.float32)
    mixing = np.random.default_rng(7).standard_normal((CAUSES, NUMBERS + CATEGORIES)).astype(np.float32)
    driven = causes @ mixing / np.sqrt(CAUSES) + 0.3 * random.standard_normal((rows, NUMBERS + CATEGORIES))
    columns: dict[str, Any] = {}
    for i in range(NUMBERS):
        values = np.exp(driven[:, i]) if i < 5 else np.rint(20 * driven[:, i]) if i < 10 else driven[:, i]
        gaps = random.random(rows) < 0.02
        columns[f"number {i}"] = pa.array(values, mask=gaps)
    for i, count in enumerate(levels()):
        share = (0.5 + 0.5 * np.tanh(driven[:, NUMBERS + i])) ** 2  # lower levels are the frequent ones
        codes = np.minimum((share * count).astype(np.int32), count - 1)
        gaps = random.random(rows) < 0.02
        words = pa.array([f"level {level:04d}" for level in range(count)])
        columns[f"category {i}"] = pa.DictionaryArray.from_arrays(pa.array(codes, mask=gaps), words).cast(pa.string())
    return pa.table(columns)


def write(path: Path, rows: int) -> None:
    import pyarrow.parquet as parquet

    random, writer = np.random.default_rng(0), None
    for start in range(0, rows, 100_000):
        table = piece(min(100_000, rows - start), random)
        writer = parquet.ParquetWriter(path, table.schema) if writer is None else writer
        writer.write_table(table)
    if writer is not None:
        writer.close()


def fitted(X: Any, epochs: int) -> ist.Autoencoder:
    return ist.Autoencoder(
        network=ist.Dense(HIDDEN), code_size=CODE, epochs=epochs, batch_size=BATCH, validation_fraction=0.0,
        random_state=0,
    ).fit(X)  # fmt: skip


def rate_of(ae: ist.Autoencoder, rows: int) -> float:
    """Rows per second of the fastest epoch; the first value is from before training."""
    return rows / float(np.diff(ae.history_["seconds"]).min())


def mixed(path: str, rows: int, epochs: int) -> dict[str, float]:
    ae, peak = watched(lambda: fitted(path, epochs))
    seconds = ae.history_["seconds"]
    wide = ae.composition_
    inputs, outputs = wide.encoder.entry.width, wide.loss.width(NUMBERS + CATEGORIES)
    return {"rate": rate_of(ae, rows), "memory": peak, "inputs": inputs, "outputs": outputs, "fit": seconds[-1]}


def numbers(outputs: int, rows: int, epochs: int) -> dict[str, float]:
    rows = min(rows, 50_000)  # so many cells are enough to time an epoch
    X = np.random.default_rng(0).standard_normal((rows, outputs), dtype=np.float32)
    ae, peak = watched(lambda: fitted(X, epochs + 1))
    return {"rate": rate_of(ae, rows), "memory": peak}


def bare(inputs: int, outputs: int, rows: int, epochs: int) -> dict[str, float]:
    rows = min(rows, 50_000)
    source = torch.Generator().manual_seed(0)
    x, y = torch.randn(rows, inputs, generator=source), torch.randn(rows, outputs, generator=source)
    sizes = [inputs, *HIDDEN, CODE, *HIDDEN[::-1], outputs]
    layers: list[nn.Module] = []
    for place in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[place], sizes[place + 1]), nn.SiLU()]
    model = nn.Sequential(*[layer for i, layer in enumerate(layers) if i not in (2 * len(HIDDEN) + 1, len(layers) - 1)])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    fastest = float("inf")
    for _ in range(epochs + 1):
        start = time.perf_counter()
        for some in torch.randperm(rows, generator=source).split(BATCH):
            loss = (model(x[some]) - y[some]).square().mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        fastest = min(fastest, time.perf_counter() - start)
    return {"rate": rows / fastest, "memory": anonymous_megabytes()}


def alone(who: str, threads: int, **told: Any) -> dict[str, float]:
    """The figures of one way, from a process of its own."""
    command = [sys.executable, __file__, "--alone", who, "--told", json.dumps(told), "--threads", str(threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--epochs", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--folder", default=None)
    arguments.add_argument("--alone", choices=("mixed", "numbers", "bare"), help=argparse.SUPPRESS)
    arguments.add_argument("--told", default="{}", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.alone:
        print(json.dumps(globals()[chosen.alone](**json.loads(chosen.told))))
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "table.parquet"
        write(path, chosen.rows)
        print(f"{chosen.rows:,} rows, {NUMBERS} numbers and {CATEGORIES} categories, {path.stat().st_size >> 20} MB")
        how = {"rows": chosen.rows, "epochs": chosen.epochs}
        row("who", "rows/s", "memory MB", "inputs", "outputs")
        found = alone("mixed", chosen.threads, path=str(path), **how)
        inputs, outputs = int(found["inputs"]), int(found["outputs"])
        row("mixed", found["rate"], found["memory"], inputs, outputs)
        rivals = {
            "numbers": alone("numbers", chosen.threads, outputs=outputs, **how),
            "bare": alone("bare", chosen.threads, inputs=inputs, outputs=outputs, **how),
        }
        row("numbers", rivals["numbers"]["rate"], rivals["numbers"]["memory"], outputs, outputs)
        row("bare", rivals["bare"]["rate"], rivals["bare"]["memory"], inputs, outputs)
        for name, other in rivals.items():
            row(f"mixed / {name}", found["rate"] / other["rate"])
        row("fit, seconds", found["fit"])


if __name__ == "__main__":
    main()
