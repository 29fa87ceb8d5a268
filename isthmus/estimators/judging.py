"""How good a denoiser is, beside what needs no learning; in figures and as a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isthmus import metrics
from isthmus.checks import counted
from isthmus.estimators import rivals
from isthmus.estimators.signals import AXES, NOUNS, Signals
from isthmus.report import cleaning

if TYPE_CHECKING:
    from isthmus.estimators.denoiser import Denoiser

SIDES = {"series": 15, "images": 7, "video": 5}
"""Side of the best linear filter."""

SHOWN = 6
"""Pictures before and after on a page."""

OURS = "this denoiser"


@dataclass(frozen=True)
class Judged:
    """One way of taking noise away.

    Attributes
    ----------
    name : what was done.
    psnr : decibels, in the mean over pictures (series, clips, rows).
    pooled : decibels, of the mean squared error of all cells; for tables and series with their range as the peak.
    ssim : in the mean over pictures; NaN where it was not asked for, or there are no pictures.
    flicker : of video, the mean absolute change of the error from frame to frame, in shares of the range; else NaN.
    """

    name: str
    psnr: float
    pooled: float
    ssim: float = float("nan")
    flicker: float = float("nan")


Wholes = list[np.ndarray]


def judged(
    model: Denoiser, clean: Signals, noisy: Signals, train: tuple[Signals, Signals] | None, ssim: bool
) -> list[Judged]:
    """The figures of the denoiser and its rivals."""
    if ssim and clean.kind in ("images", "video"):
        metrics.scikit_image("SSIM")  # told now rather than after the work
    scaled, seen = scaled_wholes(model, clean), scaled_wholes(model, noisy)
    ours = scaled_wholes(model, Signals(model._cleaned(noisy, "noisy"), noisy.axes, noisy.give_back))
    tries = {OURS: ours, "nothing": seen}
    others = rival_results(model, clean.kind, scaled, seen, train, ssim)
    if model.range_.bounded:  # as ours are: nobody is blamed for what is brighter than white
        others = {name: [np.clip(whole, 0.0, 1.0) for whole in wholes] for name, wholes in others.items()}
    tries |= others
    peak = 1.0 if model.range_.bounded else max(float(np.ptp(np.concatenate([w.ravel() for w in scaled]))), 1e-12)
    return [figures(name, scaled, results, clean.kind, peak, ssim) for name, results in tries.items()]


def scaled_wholes(model: Denoiser, given: Signals) -> Wholes:
    """Scaled, each with an axis for channels at its end."""
    scales = model._scales(given, "X")
    deep = given.channels is not None
    wholes = (scales[whole.dtype.name].forward(whole) for whole in given.wholes)
    return [whole if deep else whole[..., None] for whole in wholes]


def rival_results(
    model: Denoiser, kind: str, clean: Wholes, noisy: Wholes, train: tuple[Signals, Signals] | None, ssim: bool
) -> dict[str, Wholes]:
    """What others make of the noisy data."""
    pairs = None if train is None else tuple(scaled_wholes(model, part) for part in (train[1], train[0]))
    if kind == "table":
        # Here the axis added for channels is none.
        return {"best affine": affine_results(clean, noisy, pairs) or noisy}
    axes = len(AXES[kind])
    shown, goal = (noisy, clean) if pairs is None else pairs
    found = rivals.Filter.fit(shown, goal, axes, SIDES[kind])
    side = " x ".join([str(SIDES[kind])] * axes)
    results: dict[str, Wholes] = {f"best linear filter, {side}": [found(whole) for whole in noisy]}
    if affine := affine_results(clean, noisy, pairs):
        results = {"best affine": affine, **results}
    medians = [rivals.medians(noisy, axes, side) for side in (3, 5)]
    results["median filter"] = rivals.best_of(medians, clean, squared_error)
    if ssim and kind == "images":
        results["non-local means"] = rivals.non_local_means(noisy, squared_error(noisy, clean) ** 0.5)
    return results


def affine_results(clean: Wholes, noisy: Wholes, pairs: tuple[Wholes, ...] | None) -> Wholes | None:
    """By the best affine map of whole rows; None where rows are too large, of many sizes, or too few to find it."""
    cells = clean[0].size
    alike = len({whole.shape for whole in (*clean, *(pairs[0] if pairs else ()))}) == 1
    if not alike or cells > rivals.WHOLE:
        return None
    if pairs is not None:
        shown, goal = (np.stack(part) for part in pairs)
        return list(rivals.Affine.fit(shown, goal)(np.stack(noisy))) if len(shown) > 2 * cells else None
    return list(rivals.affine_by_halves(np.stack(noisy), np.stack(clean))) if len(clean) > 4 * cells else None


def squared_error(results: Sequence[np.ndarray], clean: Sequence[np.ndarray]) -> float:
    """The mean over all cells."""
    total = sum(float(metrics.squared_differences(x, out).sum()) for x, out in zip(clean, results, strict=True))
    return total / sum(whole.size for whole in clean)


def figures(name: str, clean: Wholes, results: Wholes, kind: str, peak: float, ssim: bool) -> Judged:
    pairs = list(zip(clean, results, strict=True))
    each = [metrics.psnr(x, out, peak) for x, out in pairs]
    error = squared_error(results, clean)
    pooled = float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))
    alike, flicker = float("nan"), float("nan")
    if ssim and kind in ("images", "video"):
        pictures = pairs if kind == "images" else [frames for pair in pairs for frames in zip(*pair, strict=True)]
        alike = float(np.mean([metrics.ssim(x, out, peak, channels=True) for x, out in pictures]))
    if kind == "video":
        flicker = float(np.mean([np.abs(np.diff(out - x, axis=0)).mean() for x, out in pairs]))
    return Judged(name, float(np.mean(each)), pooled, alike, flicker)


def cells_of(row: Judged) -> tuple[str, ...]:
    """A row as texts: what was not measured is left empty.

    >>> cells_of(Judged("nothing", 20.0, 19.5))
    ('nothing', '20.00', '19.50', '', '')
    """
    numbers = ((row.psnr, 2), (row.pooled, 2), (row.ssim, 4), (row.flicker, 4))
    return (row.name, *("" if np.isnan(value) else f"{value:.{digits}f}" for value, digits in numbers))


def heads_and_rows(rows: Sequence[Judged]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A table of those columns in which something was measured."""
    heads = ("what is done", "PSNR, dB", "pooled PSNR, dB", "SSIM", "flicker")
    cells = [cells_of(row) for row in rows]
    kept = [i for i in range(len(heads)) if any(row[i] for row in cells)]
    return tuple(heads[i] for i in kept), [tuple(row[i] for i in kept) for row in cells]


def write_report(
    model: Denoiser,
    path: str | os.PathLike[str],
    clean: Signals,
    noisy: Signals,
    train: tuple[Signals, Signals] | None,
    ssim: bool,
) -> Path:
    """The page that `Denoiser.report` promises."""
    rows = judged(model, clean, noisy, train, ssim)
    number = min(SHOWN, len(clean.wholes))
    chosen = np.unique(np.linspace(0, len(clean.wholes) - 1, number).astype(int)).tolist()
    parts = {"noisy": noisy, "clean": clean}
    some = {name: Signals([part.wholes[i] for i in chosen], part.axes, part.give_back) for name, part in parts.items()}
    some["cleaned"] = Signals(model._cleaned(some["noisy"], "noisy"), noisy.axes, noisy.give_back)
    strips = [scaled_wholes(model, some[name]) for name in ("noisy", "cleaned", "clean")]
    noun = NOUNS[clean.kind]
    judged_on = f"{len(clean.wholes):,} series" if noun == "series" else counted(len(clean.wholes), noun)
    heads, cells = heads_and_rows(rows)
    affine = "pairs of their own" if train is not None else "the judged data themselves"
    cleaning.write(
        path,
        cleaning.Cleaned(
            title=f"Denoiser of {clean.kind}",
            about=f"noise {model.noise!r}, judged on {judged_on}",
            heads=heads,
            rows=cells,
            best=verdict(rows),
            fitted=f"The linear rivals were fitted to {affine}; of median filters of 3 and 5 the better one is shown.",
            kind=clean.kind,
            names=[f"{noun} {i}" for i in chosen],
            noisy=strips[0],
            cleaned=strips[1],
            clean=strips[2],
            details=details(model),
        ),
    )
    return Path(path)


def verdict(rows: Sequence[Judged]) -> str:
    """One sentence: how far ahead of the best of the others."""
    ours, best = rows[0], max(rows[1:], key=lambda row: row.pooled)
    gain = ours.pooled - best.pooled
    word = "more" if gain >= 0 else "less"
    beside = "leaving the noise as it is" if best.name == "nothing" else f"the best of the others, {best.name}"
    noise = f"{ours.pooled - rows[1].pooled:.2f} dB above the noisy data"
    advice = "" if gain >= 0 else " More epochs or more data may help."
    return f"{ours.pooled:.2f} dB, {abs(gain):.2f} dB {word} than {beside}, and {noise}.{advice}"


def details(model: Denoiser) -> list[tuple[str, str]]:
    chosen = {name: value for name, value in model.get_params(deep=False).items() if value is not None}
    record = model.autoencoder_.record_
    facts = {"network": repr(getattr(model.autoencoder_.parts_, "network", "modules of your own"))}
    if record is not None:
        facts["trained on"] = f"{record.train_rows:,} rows, {record.held_out_rows:,} held out"
        facts["training"] = record.stopped
    return [*facts.items(), *((name, repr(value)) for name, value in chosen.items())]
