"""The picture of a learned field in two dimensions: the data, where every point of a grid is moved, and noisy points
on their way back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from isthmus.files import written_whole


@dataclass(frozen=True)
class Field:
    """What is drawn: plain values, in the data's units.

    Attributes
    ----------
    points : (n, 2) the data.
    grid, moves : (m, 2) points of a grid, and r(x) - x there.
    noisy, pulled : (k, 2) noisy points, and where the model puts them.
    names : of the two columns.
    """

    points: np.ndarray
    grid: np.ndarray
    moves: np.ndarray
    noisy: np.ndarray
    pulled: np.ndarray
    names: tuple[str, str]


def paint(axes: Axes, field: Field, data: str, arrow: str, back: str) -> None:
    """Draw the field in these colours. Arrows longer than the gaps of the grid would hide each other: they are cut."""
    gap = float(np.linalg.norm(np.ptp(field.grid, axis=0))) / np.sqrt(2 * len(field.grid))
    length = np.linalg.norm(field.moves, axis=1, keepdims=True)
    arrows = field.moves * np.minimum(1, 1.4 * gap / np.maximum(length, 1e-12))
    places = ((values[:, 0], values[:, 1]) for values in (field.points, field.grid, arrows, field.noisy, field.pulled))
    points, grid, moves, noisy, pulled = places
    axes.scatter(points[0], points[1], s=6, color=data, linewidths=0, alpha=0.6, zorder=1)
    axes.quiver(
        grid[0], grid[1], moves[0], moves[1],
        color=arrow, angles="xy", scale_units="xy", scale=1, width=0.0022, zorder=2,
    )  # fmt: skip
    axes.plot(np.stack((noisy[0], pulled[0])), np.stack((noisy[1], pulled[1])), color=back, linewidth=1.2, zorder=3)
    axes.scatter(noisy[0], noisy[1], s=16, facecolors="none", edgecolors=back, linewidths=1, zorder=4)
    axes.scatter(pulled[0], pulled[1], s=12, color=back, linewidths=0, zorder=4)
    axes.set(xlabel=field.names[0], ylabel=field.names[1], aspect="equal")


def save(field: Field, path: str | Path, title: str) -> Path:
    """The picture as a file; its ending says which kind: .png, .svg or .pdf."""
    with matplotlib.rc_context(dict(matplotlib.rcParamsDefault) | {"svg.fonttype": "none", "backend": "agg"}):
        figure = Figure(figsize=(7, 7), layout="constrained", dpi=150)
        axes = figure.add_subplot()
        paint(axes, field, data="#9aa5b1", arrow="#3b6ea5", back="#c8553d")
        axes.set_title(title, loc="left", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        with written_whole(path) as beside:
            figure.savefig(beside, format=Path(path).suffix[1:].lower())
    return Path(path)
