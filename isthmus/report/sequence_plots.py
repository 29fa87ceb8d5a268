"""Drawings of rows that run in time: a series beside its reconstruction, and the error along the steps."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from isthmus.report.figures import Units, shown
from isthmus.report.plots import FAINT, FIRST, SECOND, drawing, whole_numbers
from isthmus.report.sequences import Run

DRAWN = 500
"""The most points of a line: what bounds the size of the file."""


def series(run: Run, channels: tuple[int, ...], of_channels: int, label: str) -> str:
    """A panel per channel with two lines: as it is, broken at gaps, and as rebuilt, dashed."""
    with drawing(0.55 + 0.95 * max(len(channels), 1.35), 4.3, len(channels)) as sheet:
        for place, (axes, channel) in enumerate(zip(sheet.panels, channels, strict=True)):
            draw_line(axes, run.observed[:, place], FIRST, "-")
            draw_line(axes, run.rebuilt[:, place], SECOND, (0, (4, 1.5)))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
            if of_channels > 1:
                axes.set_title(f"channel {channel}", loc="left", fontsize=9, color=FAINT, pad=2)
            axes.tick_params(labelbottom=place == len(channels) - 1, labelsize=9)
        last = sheet.panels[-1]
        last.xaxis.set_major_locator(whole_numbers())
        last.set_xlabel("step", fontsize=9)
        return sheet.svg(label)


def draw_line(axes: Axes, values: np.ndarray, colour: str, style: str | tuple[int, tuple[float, float]]) -> None:
    """Values over their steps; one that has gaps on both sides, which no line would show, is a point."""
    steps = drawn_steps(values)
    values = values[steps]
    axes.plot(steps, values, color=colour, linestyle=style, linewidth=1.6)
    there = np.concatenate([[False], np.isfinite(values), [False]])
    alone = there[1:-1] & ~there[:-2] & ~there[2:]
    if alone.any():
        axes.plot(steps[alone], values[alone], color=colour, linestyle="none", marker="o", markersize=3)


def drawn_steps(values: np.ndarray) -> np.ndarray:
    """The steps that are drawn of (steps,): all, or of every stretch the lowest and the highest, so that no peak is
    lost; of a stretch that is a gap, its first.

    >>> drawn_steps(np.array([0.0, 1.0, 5.0]))
    array([0, 1, 2])
    """
    if len(values) <= DRAWN:
        return np.arange(len(values))
    kept: list[int] = []
    for stretch in np.array_split(np.arange(len(values)), DRAWN // 2):
        piece = values[stretch]
        if np.isfinite(piece).any():
            kept += sorted({int(stretch[np.nanargmin(piece)]), int(stretch[np.nanargmax(piece)])})
        else:
            kept.append(int(stretch[0]))
    return np.array(kept)


def step_errors(errors: np.ndarray, units: Units, of: str) -> str:
    """The error of every step, one line."""
    with drawing(2.9) as sheet:
        axes = sheet.axes
        draw_line(axes, errors, FIRST, "-")
        axes.set_ylim(bottom=0)
        axes.set(xlabel=of, ylabel=f"RMSE ({sheet.text(units.name, 30)})" if units.squared else units.name)
        axes.xaxis.set_major_locator(whole_numbers())
        finite = errors[np.isfinite(errors)]
        ends = f": from {shown(float(finite.min()))} to {shown(float(finite.max()))}" if len(finite) else ""
        return sheet.svg(f"Error by {of} ({units.name}){ends}")
