"""How small lossy pictures are and how near to what they were, beside the coders that everyone has."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.coding.lossy import CLOSEST
from isthmus.errors import InputError
from isthmus.estimators.compressor_files import in_one_piece
from isthmus.estimators.compressor_lossy import SEARCHED, opened_pictures

if TYPE_CHECKING:
    from isthmus.estimators.compressor import Compressor

QUALITIES = (15, 25, 35)
"""At which this model is judged."""

RIVALS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "JPEG": ("JPEG", 95, {"optimize": True}),
    "WebP": ("WEBP", 100, {"method": 4}),
    "AVIF": ("AVIF", 100, {}),
}
"""Pillow's name, the highest quality and the options of each."""


@dataclass(frozen=True)
class JudgedPicturesRow:
    """One coder at one quality.

    Attributes
    ----------
    name, quality : such as ``"JPEG"`` and 75; qualities of different coders are no more than their own.
    bytes : of the packed pictures, heads of the file included.
    bits : of a pixel.
    psnr : peak signal-to-noise ratio in dB.
    pack_seconds, unpack_seconds : of both ways.
    """

    name: str
    quality: int
    bytes: int
    bits: float
    psnr: float
    pack_seconds: float
    unpack_seconds: float


@dataclass(frozen=True)
class JudgedPictures:
    """This model at some qualities, each with the rivals at no more bytes.

    Attributes
    ----------
    rows : this model, then the rivals beside it, from few bytes to many.
    pixels : of the pictures.
    model_bytes : what the model takes beside the packed data.
    said : which rivals are missing, and why.
    """

    rows: tuple[JudgedPicturesRow, ...]
    pixels: int
    model_bytes: int
    said: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{'':22}{'quality':>8}{'bytes':>12}{'bits/pixel':>11}{'PSNR, dB':>10}{'s in':>8}{'s out':>8}"]
        for row in self.rows:
            lines.append(
                f"{row.name:22}{row.quality:>8}{row.bytes:>12,}{row.bits:>11.3f}{row.psnr:>10.2f}"
                f"{row.pack_seconds:>8.2f}{row.unpack_seconds:>8.2f}"
            )
        lines.append(f"There are {self.pixels:,} pixels; the model takes {self.model_bytes:,} bytes beside.")
        return "\n".join([*lines, *self.said])


def judged_pictures(compressor: Compressor, X: Any) -> JudgedPictures:
    """The table of `Compressor.judge` where ``lossy=True``."""
    sample: Any = opened_pictures(X).sample()
    sample = [picture for picture in sample if picture.size] if isinstance(sample, list) else sample
    sample = sample[:: max(1, -(-sum(picture.size for picture in sample) // SEARCHED))]
    if not len(sample) or not sample[0].size:
        raise InputError("X has no pictures to judge by")
    one = isinstance(sample, np.ndarray)
    groups: list[np.ndarray] = [sample] if one else [picture[None] for picture in sample]
    pixels = sum(group.shape[0] * group.shape[1] * group.shape[2] for group in groups)
    rows: list[JudgedPicturesRow] = []
    said: dict[Any, str] = {}
    for quality in QUALITIES:
        own = judged_at(
            "this model", quality, groups,
            lambda quality=quality: compressor.compress(sample, quality=quality),  # type: ignore[misc]
            lambda packed: [compressor.decompress(packed)] if one else compressor.decompress(packed),
        )  # fmt: skip
        rows.append(own)
        for name in RIVALS:
            try:
                rival = within(name, groups, own.bytes)
            except (OSError, KeyError, ValueError) as error:  # of a Pillow without that format
                said[name] = f"{name} cannot be written here: {error}"
                continue
            if rival is None:
                said[name, quality] = f"{name} takes more than {own.bytes:,} bytes at its lowest quality"
            else:
                rows.append(rival)
    return JudgedPictures(tuple(rows), pixels, len(in_one_piece(compressor)), tuple(said.values()))


def within(name: str, groups: Sequence[np.ndarray], most: int) -> JudgedPicturesRow | None:
    """A rival at its best quality that takes no more bytes; None if its lowest takes more."""
    kind, highest, options = RIVALS[name]

    def pack(quality: int) -> list[bytes]:
        return [as_sheet(group, kind, quality=quality, **options) for group in groups]

    low, high = 0, highest
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(map(len, pack(middle))) <= most else (low, middle - 1)
    made = judged_at(
        name, low, groups, lambda: pack(low),
        lambda packed: [from_sheet(one, group.shape) for one, group in zip(packed, groups, strict=True)],
    )  # fmt: skip
    return made if made.bytes <= most else None


def judged_at(
    name: str, quality: int, groups: Sequence[np.ndarray], pack: Callable[[], Any], unpack: Callable[[Any], Any]
) -> JudgedPicturesRow:
    """One row."""
    start = time.perf_counter()
    packed = pack()
    middle = time.perf_counter()
    again = unpack(packed)
    end = time.perf_counter()
    size = len(packed) if isinstance(packed, bytes) else sum(map(len, packed))
    pixels = sum(group.shape[0] * group.shape[1] * group.shape[2] for group in groups)
    found = psnr(groups, [np.asarray(one).reshape(group.shape) for one, group in zip(again, groups, strict=True)])
    return JudgedPicturesRow(name, quality, size, 8 * size / max(pixels, 1), found, middle - start, end - middle)


def psnr(groups: Sequence[np.ndarray], again: Sequence[np.ndarray]) -> float:
    """Of the mean squared error over all values, in dB.

    >>> round(psnr([np.zeros((1, 2, 2))], [np.ones((1, 2, 2))]), 2)
    48.13
    """
    errors = sum(float(np.square(a.astype(np.float64) - b).sum()) for a, b in zip(groups, again, strict=True))
    mean = errors / max(1, sum(group.size for group in groups))
    return CLOSEST if mean <= 0 else min(CLOSEST, 10 * float(np.log10(255**2 / mean)))


def as_sheet(group: np.ndarray, kind: str, **options: Any) -> bytes:
    """Pictures side by side on one sheet, about as wide as high, so that each needs no header of its own."""
    from PIL import Image

    many, height, width = group.shape[:3]
    across = max(1, min(many, round((many * height / width) ** 0.5)))
    blank = np.full((-many % across, *group.shape[1:]), 128, dtype=np.uint8)
    tiles = np.concatenate([group, blank]).reshape(-1, across, *group.shape[1:]).swapaxes(1, 2)
    sheet = tiles.reshape(tiles.shape[0] * height, across * width, -1)
    file = io.BytesIO()
    Image.fromarray(sheet[:, :, 0] if sheet.shape[2] == 1 else sheet).save(file, format=kind, **options)
    return file.getvalue()


def from_sheet(packed: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The pictures of `as_sheet` again."""
    from PIL import Image

    many, height, width = shape[:3]
    with Image.open(io.BytesIO(packed)) as image:
        # WebP and AVIF know only colour, in which grey is nearly equal channels.
        sheet = np.asarray(image.convert("RGB" if shape[3:] == (3,) else "L"))
    across = sheet.shape[1] // width
    tiles = sheet.reshape(-1, height, across, width, *sheet.shape[2:]).swapaxes(1, 2)
    return tiles.reshape(-1, height, width, *sheet.shape[2:])[:many].reshape(shape)
