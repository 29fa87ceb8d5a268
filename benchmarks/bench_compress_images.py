"""Lossless files of images like those learnt from, beside general coders and image formats.

Rows: MNIST and Fashion-MNIST as they are (uint8), MNIST binarised (one draw a pixel with p = x / 255, seed fixed), and
generated colour images. Models learn from the training images alone, and code the 10,000 of the test set. Sizes are
those of whole files, header and checks of every block included; the model, which is stored once, is counted beside
them: as it lies, and after lzma. Then a fresh process with two threads and another BLAS kernel decodes the file.

    ISTHMUS_DATA=... python benchmarks/bench_compress_images.py [--data mnist binarised] [--seconds 600] [--seeds 0]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from zlib import crc32

import numpy as np
from common import images
from compress_rivals import Result, Results, hardest, lossless, lossless_images, show
from safetensors.numpy import load_file, save, save_file

from isthmus.coding.container import Block, BlockReader, BlockWriter
from isthmus.coding.entropy import Reader, Writer
from isthmus.coding.grid import GridModel
from isthmus.coding.grid_training import fit_grid
from isthmus.coding.passes import Order

ROWS = 2048
OTHER = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Prescott"}


def binarised(grey: np.ndarray, seed: int) -> np.ndarray:
    """One Bernoulli draw a pixel."""
    return (np.random.default_rng(seed).random(grey.shape) < grey / 255).astype(np.uint8)


def colours(rows: int, seed: int, side: int = 32) -> np.ndarray:
    """Soft shapes on soft grounds, (rows, side, side, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    at, size = rng.random((2, rows, 1, 1)), 0.1 + 0.3 * rng.random((rows, 1, 1))
    inside = 1 / (1 + np.exp(60 * (np.hypot(y - at[0], x - at[1]) - size)))[..., None]
    ground, shape = rng.random((2, rows, 1, 1, 3))
    slope = 0.4 * (rng.normal(size=(rows, 1, 1, 3)) * y[..., None] + rng.normal(size=(rows, 1, 1, 3)) * x[..., None])
    shade = 0.02 * rng.normal(size=(rows, side, side, 1))
    return np.clip(255 * (ground + (shape - ground) * inside + slope + shade), 0, 255).astype(np.uint8)


def sets(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images."""
    if name == "colours":
        return colours(4000, seed), colours(500, seed + 1000)
    train, test = images("mnist" if name == "binarised" else name)
    return (binarised(train, 1), binarised(test, 0)) if name == "binarised" else (train, test)


def coded(model: GridModel, stack: np.ndarray) -> bytes:
    """A whole file."""
    file = io.BytesIO()
    blocks = BlockWriter(file, {"dtype": str(stack.dtype), "shape": list(stack.shape)})
    for start in range(0, len(stack), ROWS):
        rows, writer = stack[start : start + ROWS], Writer()
        model.write(writer, rows.astype(np.int64))
        blocks.add(Block(writer.done(), len(rows), crc32(rows.tobytes())))
    blocks.end()
    return file.getvalue()


def decoded(model: GridModel, payload: bytes) -> np.ndarray:
    """The images of a file."""
    reader, found = BlockReader(io.BytesIO(payload)), []
    for block in reader:
        source = Reader(block.payload)
        rows = model.read(source, (block.rows, *reader.about["shape"][1:])).astype(reader.about["dtype"])
        source.end()
        assert crc32(rows.tobytes()) == block.check
        found.append(rows)
    return np.concatenate(found)


def elsewhere(model: GridModel, payload: bytes, stack: np.ndarray) -> bool:
    """Whether a fresh process with other threads and another BLAS kernel reads the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_file(model.tensors(), folder / "model.safetensors")
        (folder / "spec.json").write_text(json.dumps(model.spec()))
        (folder / "file.isz").write_bytes(payload)
        np.save(folder / "stack.npy", stack)
        command = [sys.executable, __file__, "--check", name]
        return subprocess.run(command, env={**os.environ, **OTHER}, check=False).returncode == 0


def check(folder: Path) -> int:
    """The work of the fresh process: 0 where all is as it was."""
    model = GridModel.from_spec(json.loads((folder / "spec.json").read_text()), load_file(folder / "model.safetensors"))
    return int(not np.array_equal(decoded(model, (folder / "file.isz").read_bytes()), np.load(folder / "stack.npy")))


def compared(name: str, seed: int, options: argparse.Namespace) -> None:
    """One model and its rivals."""
    train, test = sets(name, seed)
    train, test = train[: options.train], test[: options.test]
    channels = 3 if train.ndim == 4 else 0
    order = Order("wave", 2, channels, neighbours=options.neighbours)
    start = time.perf_counter()
    model = fit_grid(
        train.astype(np.int64), order, hidden=options.hidden, max_time=options.seconds, epochs=options.epochs,
        random_state=seed,
    )  # fmt: skip
    fitted = time.perf_counter() - start
    start = time.perf_counter()
    payload = coded(model, test)
    packed = time.perf_counter()
    exact = np.array_equal(decoded(model, payload), test)
    ours = Result(len(payload), packed - start, time.perf_counter() - packed, 0.0 if exact else np.inf)
    results: Results = {"isthmus": ours}
    if seed == options.seeds[0]:
        results |= lossless(np.packbits(test, axis=-1) if name == "binarised" else test)
        results |= {} if name == "binarised" else lossless_images(test)
    whole = save(model.tensors()) + json.dumps(model.spec()).encode()
    print(
        f"\n{name}, seed {seed}: {len(train):,} images learnt from in {fitted:.0f} s, {test.size:,} elements coded; "
        f"the model has {len(whole):,} bytes, {len(hardest(whole)):,} after lzma, and with it an element has "
        f"{8 * (len(payload) + len(whole)) / test.size:.4f} bits; exact here: {exact}, elsewhere: "
        f"{elsewhere(model, payload, test)}"
    )
    show(results, test.size, test.nbytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["mnist", "binarised"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="that training may take")
    parser.add_argument("--epochs", type=float, default=4.0)
    parser.add_argument("--neighbours", type=int, default=40)
    parser.add_argument("--hidden", nargs="+", type=int, default=[64, 64])
    parser.add_argument("--train", type=int, default=60_000)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--check", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.check:
        sys.exit(check(Path(options.check)))
    for name in options.data:
        for seed in options.seeds:
            compared(name, seed, options)


if __name__ == "__main__":
    main()
