"""How small lossy pictures are and how near to what they were, beside the coders that everyone has."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.coding.lossy import CLOSEST
from isthmus.errors import InputError
from isthmus.estimators.compressor_files import in_one_piece
from isthmus.estimators.compressor_judging import CANNOT, OWN, speeds
from isthmus.estimators.compressor_lossy import opened_pictures
from isthmus.estimators.compressor_rivals import alone, size_of, told_of_files

if TYPE_CHECKING:
    from isthmus.estimators.compressor import Compressor

QUALITIES = (15, 25, 35)
"""At which this model is judged."""

MOST = 2**20
"""Values of pixels that are judged, at most: every coder packs them many times over."""


@dataclass(frozen=True)
class Rival:
    """How Pillow writes a format: its name there, the highest quality, options, and those that keep the resolution of
    colours, which is what fine qualities need."""

    kind: str
    highest: int
    options: dict[str, Any]
    fine: dict[str, Any] | None = None

    def ways(self, groups: Sequence[np.ndarray]) -> list[dict[str, Any]]:
        """The options to try for such pictures."""
        coloured = self.fine is not None and groups[0].shape[3:] == (3,)
        return [self.options, {**self.options, **self.fine}] if coloured and self.fine else [self.options]


RIVALS = {
    "JPEG": Rival("JPEG", 95, {"optimize": True}, {"subsampling": "4:4:4"}),
    "WebP": Rival("WEBP", 100, {"method": 4}),
    "AVIF": Rival("AVIF", 100, {}, {"subsampling": "4:4:4"}),
}


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
    raw_bytes : of the pictures: one for each value of each pixel.
    model_bytes : what the model takes inside a packed file, where it is squeezed; its own file is larger.
    said : how rivals get the pictures, and which are missing, and why.
    """

    rows: tuple[JudgedPicturesRow, ...]
    pixels: int
    raw_bytes: int
    model_bytes: int
    said: tuple[str, ...] = ()

    def __str__(self) -> str:
        heads = f"{'':18}{'quality':>8}{'bytes':>12}{'ratio':>8}{'bits/pixel':>11}{'PSNR, dB':>10}"
        lines = [f"{heads}{'MB/s in':>10}{'MB/s out':>10}"]
        for row in self.rows:
            there, back = speeds(row, self.raw_bytes)
            lines.append(
                f"{row.name:18}{row.quality:>8}{row.bytes:>12,}{self.ratio(row.bytes):>8.2f}{row.bits:>11.3f}"
                f"{row.psnr:>10.2f}{there:>10.2f}{back:>10.2f}"
            )
            if row.name == OWN:
                whole = row.bytes + self.model_bytes
                bits = 8 * whole / max(self.pixels, 1)
                lines.append(f"{'  with the model':26}{whole:>12,}{self.ratio(whole):>8.2f}{bits:>11.3f}")
        pixels = f"There are {self.pixels:,} pixels of {self.raw_bytes:,} bytes"
        lines.append(f"{pixels}; the model takes {self.model_bytes:,} inside a packed file, once.")
        return "\n".join([*lines, *self.said])

    def ratio(self, size: int) -> float:
        """The bytes of the pictures over these."""
        return self.raw_bytes / max(size, 1)


def judged_pictures(compressor: Compressor, X: Any) -> JudgedPictures:
    """The table of `Compressor.judge` where ``lossy=True``."""
    return judged_on(compressor, Pictures.of(X))


def judged_on(compressor: Compressor, pictures: Pictures) -> JudgedPictures:
    """The table of some pictures."""
    rows: list[JudgedPicturesRow] = []
    said: dict[Any, str] = {"files": told_of_files(RIVALS, [group[0] for group in pictures.groups])}
    for quality in QUALITIES:
        own = own_at(compressor, quality, pictures)
        rows.append(own)
        for name in RIVALS:
            try:
                rival = within(name, pictures.files, own.bytes)
            except CANNOT as error:  # of a Pillow without that format
                said[name] = f"{name} cannot be written here: {error}"
                continue
            if rival is None:
                said[name, quality] = f"{name} takes more than {own.bytes:,} bytes at its lowest quality"
            else:
                rows.append(rival)
    sizes = pictures.pixels, pictures.raw_bytes, len(in_one_piece(compressor))
    return JudgedPictures(tuple(rows), *sizes, tuple(said.values()))


@dataclass(frozen=True)
class Pictures:
    """Some pictures from all over those that were given, as they are packed, and as ``groups`` of one size."""

    given: Any
    groups: list[np.ndarray]

    @classmethod
    def of(cls, X: Any) -> Pictures:
        """Those of an array, a list, a file or a folder, or the error that there are none."""
        sample: Any = opened_pictures(X).sample()
        sample = [picture for picture in sample if picture.size] if isinstance(sample, list) else sample
        sample = sample[:: max(1, -(-sum(picture.size for picture in sample) // MOST))]
        if not len(sample) or not sample[0].size:
            raise InputError("X has no pictures to judge by")
        one = isinstance(sample, np.ndarray)
        return cls(sample, [sample] if one else [picture[None] for picture in sample])

    @cached_property
    def files(self) -> list[np.ndarray]:
        """As other coders get them: each (1, height, width[, colours]) by itself; small ones of a size together."""
        every = [picture for group in self.groups for picture in group]
        small: dict[tuple[int, ...], list[np.ndarray]] = {}
        for picture in every:
            if not alone(picture):
                small.setdefault(picture.shape, []).append(picture)
        return [picture[None] for picture in every if alone(picture)] + [np.stack(some) for some in small.values()]

    @property
    def pixels(self) -> int:
        return sum(group.shape[0] * group.shape[1] * group.shape[2] for group in self.groups)

    @property
    def raw_bytes(self) -> int:
        return sum(group.size for group in self.groups)


def own_at(compressor: Compressor, quality: int, pictures: Pictures) -> JudgedPicturesRow:
    """This model at a quality."""
    one = isinstance(pictures.given, np.ndarray)
    return judged_at(
        OWN, quality, pictures.groups,
        lambda: compressor.compress(pictures.given, quality=quality),
        lambda packed: [compressor.decompress(packed)] if one else compressor.decompress(packed),
    )  # fmt: skip


def rivals_at(name: str, quality: int, groups: Sequence[np.ndarray]) -> list[JudgedPicturesRow]:
    """A rival at a quality, in all ways that there are."""
    return [rival_at(name, quality, groups, options) for options in RIVALS[name].ways(groups)]


def rival_at(name: str, quality: int, groups: Sequence[np.ndarray], options: dict[str, Any]) -> JudgedPicturesRow:
    """A rival at a quality, in one way."""
    return judged_at(
        name, quality, groups,
        lambda: [as_sheet(group, RIVALS[name].kind, quality=quality, **options) for group in groups],
        lambda packed: [from_sheet(one, group.shape) for one, group in zip(packed, groups, strict=True)],
    )  # fmt: skip


def within(name: str, groups: Sequence[np.ndarray], most: int) -> JudgedPicturesRow | None:
    """A rival at its best quality that takes no more bytes; None if its lowest takes more."""
    found = [finest(name, groups, most, options) for options in RIVALS[name].ways(groups)]
    return max((row for row in found if row.bytes <= most), key=lambda row: row.psnr, default=None)


def finest(name: str, groups: Sequence[np.ndarray], most: int, options: dict[str, Any]) -> JudgedPicturesRow:
    """A rival, in one way, at its highest quality that takes no more bytes, or at its lowest."""

    def fits(quality: int) -> bool:
        sheets = (as_sheet(group, RIVALS[name].kind, quality=quality, **options) for group in groups)
        return sum(map(len, sheets)) <= most

    low, high = 0, RIVALS[name].highest
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return rival_at(name, low, groups, options)


def judged_at(
    name: str, quality: int, groups: Sequence[np.ndarray], pack: Callable[[], Any], unpack: Callable[[Any], Any]
) -> JudgedPicturesRow:
    """One row."""
    start = time.perf_counter()
    packed = pack()
    middle = time.perf_counter()
    again = unpack(packed)
    end = time.perf_counter()
    size = size_of(packed)
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
