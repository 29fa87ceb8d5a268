"""What the page about a lossy `Compressor` tells: rates against PSNR beside JPEG, WebP and AVIF, and how they look."""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.checks import counted
from isthmus.estimators.compressor_judging import CANNOT, OWN, speeds
from isthmus.estimators.compressor_judging_pictures import (
    RIVALS,
    JudgedPictures,
    JudgedPicturesRow,
    Pictures,
    as_sheet,
    finest,
    from_sheet,
    judged_on,
    own_at,
    psnr,
    rivals_at,
)
from isthmus.estimators.compressor_report import details_of
from isthmus.estimators.compressor_verdicts import Beside, model_verdict, rate_verdict, size_verdict, speed_verdict
from isthmus.report import compression
from isthmus.report.compression import Look
from isthmus.report.compression_plots import Bar, Curves, in_bytes
from isthmus.report.figures import shown
from isthmus.verdicts import Verdict

if TYPE_CHECKING:
    from isthmus.estimators.compressor import Compressor

BESIDE = (8, 42)
"""Qualities of this model's curve beside those that it is judged at."""

RATES = {
    "JPEG": (5, 10, 20, 35, 55, 75, 88, 95),
    "WebP": (1, 10, 30, 50, 70, 82, 90, 96),
    "AVIF": (10, 20, 35, 50, 62, 74, 84, 92),
}
"""Qualities of the rivals' curves."""

LOOKS = (15, 25)
"""Qualities at which pictures are shown, one for each picture."""

CROP = (240, 320)
"""Height and width at most of the part of a picture that is shown."""

HEADS = ("coder", "quality", "bytes", "ratio", "with the model", "bits a pixel", "PSNR, dB", "MB/s in", "MB/s out")

Rows = list[JudgedPicturesRow]


def page_of_pictures(compressor: Compressor, X: Any) -> tuple[JudgedPictures, compression.Compression]:
    """The figures, and what the page tells of pictures that lose what is seen least."""
    pictures = Pictures.of(X)
    result = judged_on(compressor, pictures)
    lines = curves_of(compressor, pictures, result)
    usual: int = compressor.form_.quality  # type: ignore[union-attr]
    own = next(row for row in result.rows if row.name == OWN and row.quality == usual)
    beside = at_psnr(lines, own.psnr)
    rivals = rivals_of(result, lines, own)
    total = sum(map(len, pictures.groups))
    return result, compression.Compression(
        title="Compression with loss",
        about=f"A model of {compressor.said_[0]}, judged on {counted(total, 'picture')} of {result.pixels:,} pixels",
        key=[
            (f"at the quality {usual}", f"{in_bytes(own.bytes)} of {in_bytes(result.raw_bytes)}"),
            ("takes", f"{shown(own.bits)} bits a pixel"),
            ("comes back at", f"{own.psnr:.1f} dB (PSNR)"),
            ("may be lost", "what is seen least"),
        ],
        verdicts=verdicts_of(result, lines, own, rivals),
        heads=HEADS,
        lines=[line_of(row, result) for row in result.rows],
        said=result.said,
        sizes=(
            bar_of(own, own.bytes, result),
            *(bar_of(rivals[name], size, result) for name, size in beside.items()),
        ),
        sizes_said=(
            f"Bytes at the PSNR that this model reaches at the quality {usual}, {own.psnr:.1f} dB: of other coders as "
            "their curves tell, without those that do not reach it. The model is stored once for all pictures."
        ),
        speeds=tuple(bar_of(row, row.bytes, result) for row in (own, *rivals.values())),
        curves=drawn(lines),
        curves_title="Rate and distortion",
        curves_said=(
            "The further up and to the left, the better: each point is all pictures at one quality, in bits a pixel of "
            "whole files (of small pictures on sheets, of the sheets) and the peak signal-to-noise ratio of the mean "
            "squared error."
        ),
        looks=tuple(looks_of(compressor, some_pictures(pictures))),
        bounds=[],
        details=details_of(compressor, result.model_bytes),
    )


def curves_of(compressor: Compressor, pictures: Pictures, result: JudgedPictures) -> dict[str, Rows]:
    """All coders' points, from few bits to many."""
    lines: dict[str, Rows] = {OWN: [own_at(compressor, quality, pictures) for quality in BESIDE]}
    for name, qualities in RATES.items():
        try:
            lines[name] = [row for quality in qualities for row in rivals_at(name, quality, pictures.files)]
        except CANNOT:  # which the table says already
            continue
    for row in result.rows:
        lines[row.name].append(row)
    return {name: sorted(rows, key=lambda row: (row.bits, row.psnr)) for name, rows in lines.items()}


def drawn(lines: dict[str, Rows]) -> Curves:
    """The picture of the curves, no further than this model's goes."""
    most = 1.1 * max(row.bits for row in lines[OWN])
    points = {
        name: (np.array([row.bits for row in rows]), np.array([row.psnr for row in rows]))
        for name, every in lines.items()
        if (rows := [row for row in rising(every) if row.bits <= most])
    }
    own = ", ".join(f"{row.psnr:.1f} dB at {shown(row.bits)}" for row in lines[OWN])
    return Curves(points, "bits a pixel", "PSNR, dB", f"PSNR against bits a pixel: {OWN} has {own}")


def at_psnr(lines: dict[str, Rows], psnr: float) -> dict[str, float]:
    """The bytes of each rival that reaches a PSNR, as its curve tells, the smallest first."""
    found = {}
    for name in lines.keys() - {OWN}:
        quiets, sizes = curve_of(lines[name])
        if quiets[0] <= psnr <= quiets[-1]:
            found[name] = float(np.exp(np.interp(psnr, quiets, sizes)))
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


def rising(rows: Rows) -> Rows:
    """A coder's points from few bytes to many, without those that take more bytes for no higher PSNR."""
    kept: Rows = []
    for row in sorted(rows, key=lambda row: (row.bytes, -row.psnr)):
        if not kept or row.psnr > kept[-1].psnr:
            kept.append(row)
    return kept


def curve_of(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """(PSNR, logarithm of the bytes), both rising."""
    kept = rising(rows)
    return np.array([row.psnr for row in kept]), np.log([row.bytes for row in kept])


def ratios_of(lines: dict[str, Rows]) -> dict[str, float]:
    """The sizes of this model's files over each rival's at the same PSNR, in the mean of the logarithm over what both
    curves reach (Bjontegaard 2001, by straight lines)."""
    own, found = curve_of(lines[OWN]), {}
    for name in [name for name in lines if name != OWN]:
        other = curve_of(lines[name])
        low, high = max(own[0][0], other[0][0]), min(own[0][-1], other[0][-1])
        if low < high:
            grid = np.linspace(low, high, 64)
            found[name] = float(np.exp((np.interp(grid, *own) - np.interp(grid, *other)).mean()))
    return found


def nearest(rows: Rows, psnr: float) -> JudgedPicturesRow:
    """The point of a curve that is nearest to a PSNR."""
    return min(rows, key=lambda row: abs(row.psnr - psnr))


def rivals_of(result: JudgedPictures, lines: dict[str, Rows], own: JudgedPicturesRow) -> dict[str, JudgedPicturesRow]:
    """Each rival's row beside one of this model in the table; if it has none, the nearest of its curve in PSNR."""
    found = {name: nearest(rows, own.psnr) for name, rows in lines.items() if name != OWN}
    after = result.rows[result.rows.index(own) + 1 :]
    return found | {row.name: row for row in takewhile(lambda row: row.name != OWN, after)}


def verdicts_of(
    result: JudgedPictures, lines: dict[str, Rows], own: JudgedPicturesRow, rivals: dict[str, JudgedPicturesRow]
) -> tuple[Verdict, ...]:
    """What is to be said of it."""
    ratios = ratios_of(lines)
    found = [rate_verdict(ratios)] if ratios else []
    beside = at_psnr(lines, own.psnr)
    if not beside:
        return tuple(found)
    name, best = next(iter(beside.items()))
    compared = Beside(result.raw_bytes, own.bytes, best, name, result.model_bytes)
    size = size_verdict(compared, f"At the quality {own.quality}, {own.psnr:.1f} dB, the pictures")
    return (
        *found,
        size,
        model_verdict(compared),
        speed_verdict(speeds(own, result.raw_bytes), speeds(rivals[name], result.raw_bytes), name),
    )


def line_of(row: JudgedPicturesRow, result: JudgedPictures) -> tuple[str, ...]:
    """One coder in the table of the page."""
    whole = f"{row.bytes + result.model_bytes:,}" if row.name == OWN else ""
    both = map(shown, speeds(row, result.raw_bytes))
    figures = (f"{row.quality}", f"{row.bytes:,}", f"{result.ratio(row.bytes):.1f}", whole)
    return (row.name, *figures, f"{row.bits:.3f}", f"{row.psnr:.2f}", *both)


def bar_of(row: JudgedPicturesRow, size: float, result: JudgedPictures) -> Bar:
    own = row.name == OWN
    return Bar(row.name, size, speeds(row, result.raw_bytes), result.model_bytes if own else 0, own)


# ---------------------------------------------------------------------- pictures


def some_pictures(pictures: Pictures) -> list[np.ndarray]:
    """One for each quality that is shown, from all over them."""
    every = [picture for group in pictures.groups for picture in group]
    return [every[place * len(every) // len(LOOKS)] for place in range(len(LOOKS))]


def looks_of(compressor: Compressor, some: list[np.ndarray]) -> list[tuple[Look, ...]]:
    """Each picture at its quality: as it was, as this model gives it back, and JPEG at no more bytes."""
    found = []
    for quality, picture in zip(LOOKS, some, strict=True):
        group = picture[None]
        packed = compressor.compress(group, quality=quality)
        again = compressor.decompress(packed)
        row = [
            Look("original", in_bytes(picture.size), cropped(picture)),
            Look(f"{OWN}, quality {quality}", said_of(len(packed), group, again), cropped(again[0])),
        ]
        with suppress(*CANNOT):
            sheet, name = jpeg(group, len(packed))
            again = from_sheet(sheet, group.shape)
            row.append(Look(name, said_of(len(sheet), group, again), cropped(again[0])))
        found.append(tuple(row))
    return found


def said_of(size: int, group: np.ndarray, again: np.ndarray) -> str:
    return f"{in_bytes(size)}, {psnr([group], [again]):.1f} dB"


def jpeg(group: np.ndarray, most: int) -> tuple[bytes, str]:
    """JPEG at no more bytes where it can, and what it is called."""
    tried = []
    for options in RIVALS["JPEG"].ways([group]):
        row = finest("JPEG", [group], most, options)
        tried.append((row.bytes > most, -row.psnr, row.quality, options))
    beyond, _, quality, options = min(tried, key=lambda one: one[:3])
    said = ", its lowest" if beyond else ""
    return as_sheet(group, "JPEG", quality=quality, **options), f"JPEG, quality {quality}{said}"


def cropped(picture: np.ndarray) -> np.ndarray:
    """The middle of a picture.

    >>> cropped(np.zeros((500, 100))).shape
    (240, 100)
    """
    down, right = (max(0, (size - most) // 2) for size, most in zip(picture.shape[:2], CROP, strict=True))
    return picture[down : down + CROP[0], right : right + CROP[1]]
