"""Lossy coding of photographs: the 24 Kodak crops made grey, beside JPEG, WebP and AVIF on the same crops.

Learnt from the 400 grey photographs of bsd-train400. The rate is that of whole files, headers included, each decoded
again from its bytes; the model is apart, its bytes are printed. PSNR and bits per pixel are means over pictures;
"BD-rate" is the mean difference of the rate at equal PSNR over the range that both curves share, by cubic polynomials
of the logarithm of the rate (Bjontegaard 2001): below 0, ours takes fewer bits.

``--model`` keeps what was learnt in a file, or takes it from there. ``--full`` is the recipe for a day of a larger
machine; colour photographs to learn from are not here: not run.

    python benchmarks/bench_compress_photographs.py [--minutes 30] [--hidden 64 64]
        [--model FILE] [--pictures 24] [--full]
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_photographs import photographs
from common import row
from PIL import Image, features
from safetensors import safe_open
from safetensors.numpy import save_file

from isthmus.coding.container import Block, BlockReader, packed
from isthmus.coding.entropy import Reader, Writer
from isthmus.coding.lossy import LossyModel
from isthmus.coding.lossy_training import fit_lossy

FULL: dict[str, Any] = {
    "transform_steps": 300_000,
    "hidden": (128, 128),
    "filters": (64, 64, 64, 64),
    "codes": 4000,
    "seconds": 24 * 3600.0,
    "device": "cuda" if torch.cuda.is_available() else "cpu",
}

QUALITIES = (7, 11, 15, 20, 25)

RIVALS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "JPEG": ((10, 20, 30, 50, 75, 90), {"optimize": True}),
    "WEBP": ((1, 20, 40, 60, 75, 90), {"method": 6}),
    "AVIF": ((20, 35, 45, 55, 65, 75), {"speed": 4, "subsampling": "4:0:0"}),
}

Curve = list[tuple[float, float]]
"""(bits per pixel, PSNR), means over pictures."""


def grey(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).convert("L"))


def psnr(x: np.ndarray, y: np.ndarray) -> float:
    return 10 * float(np.log10(255**2 / np.mean((x.astype(np.float64) - y) ** 2)))


def ours(model: LossyModel, quality: int) -> tuple[Callable[[np.ndarray], bytes], Callable[[bytes], np.ndarray]]:
    def pack(picture: np.ndarray) -> bytes:
        writer = Writer()
        model.write(writer, picture[None], quality)
        return packed({"shape": list(picture.shape)}, [Block(writer.done(), 1)])

    def unpack(payload: bytes) -> np.ndarray:
        blocks = BlockReader(io.BytesIO(payload))
        (block,) = blocks
        reader = Reader(block.payload)
        picture = model.read(reader, (1, *blocks.about["shape"]))[0]
        reader.end()
        return picture

    return pack, unpack


def theirs(kind: str, quality: int) -> tuple[Callable[[np.ndarray], bytes], Callable[[bytes], np.ndarray]]:
    def pack(picture: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, kind, quality=quality, **RIVALS[kind][1])
        return file.getvalue()

    return pack, lambda payload: np.asarray(Image.open(io.BytesIO(payload)).convert("L"))


def point(
    name: str,
    quality: int,
    pictures: list[np.ndarray],
    pack: Callable[[np.ndarray], bytes],
    unpack: Callable[[bytes], np.ndarray],
) -> tuple[float, float]:
    rates, quiets, packing, unpacking = [], [], 0.0, 0.0
    for picture in pictures:
        start = time.perf_counter()
        payload = pack(picture)
        middle = time.perf_counter()
        back = unpack(payload)
        packing, unpacking = packing + middle - start, unpacking + time.perf_counter() - middle
        rates.append(8 * len(payload) / picture.size)
        quiets.append(psnr(picture, back))
    megabytes = sum(picture.size for picture in pictures) / 1e6
    found = float(np.mean(rates)), float(np.mean(quiets))
    row(name, quality, *found, megabytes / packing, megabytes / unpacking)
    return found


def bd_rate(curve: Curve, other: Curve) -> float:
    """Mean difference of the first curve's rate from the other's at equal PSNR, in percent."""
    low = max(min(quiet for _, quiet in part) for part in (curve, other))
    high = min(max(quiet for _, quiet in part) for part in (curve, other))
    if high <= low:
        return float("nan")
    areas = []
    for part in (curve, other):
        rates, quiets = np.array(part).T
        fitted = np.polynomial.Polynomial.fit(quiets, np.log(rates), min(3, len(part) - 1)).integ()
        areas.append(fitted(high) - fitted(low))
    return 100 * float(np.expm1((areas[0] - areas[1]) / (high - low)))


def learnt(chosen: argparse.Namespace) -> LossyModel:
    """What ``--model`` holds, or what training gives."""
    if chosen.model and chosen.model.exists():
        with safe_open(chosen.model, "numpy") as file:
            return LossyModel.from_spec(
                json.loads(file.metadata()["spec"]),
                {name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118
            )
    start = time.perf_counter()
    how = FULL if chosen.full else {"seconds": 60 * chosen.minutes, "hidden": tuple(chosen.hidden)}
    model = fit_lossy(photographs("bsd-train400"), **how)
    print(f"learnt in {time.perf_counter() - start:.0f} s", flush=True)
    if chosen.model:
        save_file(model.tensors(), chosen.model, {"spec": json.dumps(model.spec())})
    return model


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=30.0)
    arguments.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
    arguments.add_argument("--model", type=Path)
    arguments.add_argument("--pictures", type=int, default=24)
    arguments.add_argument("--full", action="store_true")
    chosen = arguments.parse_args()
    test = [grey(picture) for picture in photographs("kodak24")]
    test = test[:: max(1, len(test) // chosen.pictures)][: chosen.pictures]
    model = learnt(chosen)
    size = sum(array.nbytes for array in model.tensors().values())
    print(f"{len(test)} pictures; the model has {size:,} bytes", flush=True)
    row("coder", "quality", "bits/pixel", "PSNR, dB", "MB/s pack", "MB/s unpack")
    curve = [point("isthmus", quality, test, *ours(model, quality)) for quality in QUALITIES]
    for kind, (qualities, _) in RIVALS.items():
        if kind != "JPEG" and not features.check(kind.lower()):
            row(kind, "not run: this Pillow was built without it")
            continue
        other = [point(kind, quality, test, *theirs(kind, quality)) for quality in qualities]
        row("BD-rate", f"{bd_rate(curve, other):+.1f} %", f"of isthmus against {kind}")
    row("colour", "not run: there are no colour photographs to learn from")


if __name__ == "__main__":
    main()
