"""Drawings of a space of codes on given axes: a map with pictures, a decoded grid, and walks along units.

What is drawn are plain values, in the user's units; whoever gives the axes chooses the colours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from isthmus.report.figures import CodeMap, shown
from isthmus.report.plots import clipped, colour_bar, colour_steps, dots, value_edges

GROUPS = (
    "#2f74d0", "#dd7311", "#2c9a53", "#d03f4b", "#8a63c2", "#94633f", "#d464a8", "#6f7a87", "#969308", "#14a0b4",
)  # fmt: skip
STEPS = ("#c6d8ee", "#a5c3e6", "#82acdb", "#6095cd", "#417ebc", "#2b66a3", "#1b4c80", "#0c2f55")
FLATTEST, STEEPEST = 0.5, 1.6
"""Height over width of a map: its two axes have one scale, but where the codes lie within a narrow strip."""
LINES = 4
"""The most columns that are drawn for one unit."""


@dataclass(frozen=True)
class Look:
    """Colours: of text, of what stands back, of two lines, of groups and of the steps of a scale."""

    ink: str = "#1c2430"
    faint: str = "#5b6675"
    groups: tuple[str, ...] = GROUPS
    steps: tuple[str, ...] = STEPS


@dataclass(frozen=True)
class Thumbnails:
    """Pictures of ``rows`` (m,) on a map, each in its cell: ``pixels`` (H, W, 4) uint8, which reach over the map's
    width, from ``bottom`` to ``top``."""

    pixels: np.ndarray
    rows: np.ndarray
    bottom: float
    top: float


@dataclass(frozen=True)
class PictureGrid:
    """Pictures decoded at points of a plane: ``shades`` (up, across, height, width[, channels]) uint8, the lowest
    first; ``across`` and ``up`` are the places, ``axes`` says what they are."""

    shades: np.ndarray
    across: np.ndarray
    up: np.ndarray
    axes: tuple[str, str]


@dataclass(frozen=True)
class Walk:
    """Along one unit: ``values`` (steps,) of it, and what they decode to, ``decoded`` (steps, ...): pictures as uint8,
    or of tables ``columns`` by name in standard deviations from their means, those that move most first."""

    unit: int
    said: str
    values: np.ndarray
    decoded: np.ndarray
    columns: tuple[str, ...] = ()


Words = Callable[[str, int], str]


def box_shape(box: tuple[float, float, float, float]) -> float:
    """Height over width of the map of a box (left, right, bottom, top).

    >>> box_shape((0.0, 2.0, 0.0, 2.4)), box_shape((0.0, 10.0, 0.0, 0.1))
    (1.2, 0.5)
    """
    left, right, bottom, top = box
    return float(np.clip((top - bottom) / (right - left), FLATTEST, STEEPEST))


def frame_map(axes: Axes, box: tuple[float, float, float, float], names: tuple[str, str]) -> None:
    left, right, bottom, top = box
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel=names[0], ylabel=names[1], aspect="auto")
    axes.set_box_aspect(box_shape(box))
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_parse_math(False)


# A map, with pictures on it.


def chosen_cells(
    points: np.ndarray, box: tuple[float, float, float, float], across: int, picture_shape: float
) -> tuple[np.ndarray, np.ndarray, int, tuple[float, float]]:
    """Which rows' pictures to show: the nearest to the middle of each cell of a coarse grid, so that none overlap.

    ``picture_shape`` is a picture's height over its width, which cells share.

    Returns
    -------
    rows : (m,) their numbers. cells : (m, 2) column from the left and line from the top. lines : of cells.
    ends : bottom and top of the grid, which may reach beyond the box.
    """
    left, right, bottom, top = box
    width = (right - left) / across
    lines = max(1, int(np.ceil(box_shape(box) * across / picture_shape - 1e-9)))
    height = picture_shape * (top - bottom) / box_shape(box) / across
    middle, half = (top + bottom) / 2, lines * height / 2
    places = np.column_stack([(points[:, 0] - left) / width, (middle + half - points[:, 1]) / height])
    cells = np.floor(places).astype(int).clip(0, [across - 1, lines - 1])
    off = np.square(places - cells - 0.5).sum(axis=1)
    number = cells[:, 1] * across + cells[:, 0]
    order = np.lexsort((off, number))
    rows = order[np.unique(number[order], return_index=True)[1]]
    return rows, cells[rows], lines, (middle - half, middle + half)


def mosaic(shades: np.ndarray, cells: np.ndarray, across: int, lines: int, frames: np.ndarray | None) -> np.ndarray:
    """(lines * h, across * w, 4) uint8: pictures (m, height, width[, channels]) in their cells, clear where there is
    none; ``frames`` (m, 3) uint8 are the colours around them."""
    rgb = as_rgb(shades)
    m, height, width, _ = rgb.shape
    edge = max(1, round(min(height, width) / 14))
    tiles = np.zeros((lines, across, height + 2 * edge + 2, width + 2 * edge + 2, 4), dtype=np.uint8)
    framed = np.zeros((m, height + 2 * edge, width + 2 * edge, 4), dtype=np.uint8)
    if frames is not None:
        framed[..., :3], framed[..., 3] = frames[:, None, None], 255
    framed[:, edge:-edge, edge:-edge, :3] = rgb
    framed[:, edge:-edge, edge:-edge, 3] = 255
    tiles[cells[:, 1], cells[:, 0], 1:-1, 1:-1] = framed
    return tiles.transpose(0, 2, 1, 3, 4).reshape(lines * tiles.shape[2], across * tiles.shape[3], 4)


def as_rgb(shades: np.ndarray) -> np.ndarray:
    """Pictures (m, height, width) or with 1, 3 or 4 channels last, as (m, height, width, 3)."""
    shades = shades[..., None] if shades.ndim == 3 else shades
    return np.repeat(shades[..., :1], 3, axis=3) if shades.shape[3] < 3 else shades[..., :3]


def frame_colours(codes: CodeMap, rows: np.ndarray, look: Look) -> np.ndarray | None:
    """(m, 3) uint8 of the rows' groups or values; None where there are neither."""
    if not codes.groups and not len(codes.values):
        return None
    named = look.groups if codes.groups else look.steps
    place = codes.group[rows] % len(named) if codes.groups else colour_steps(codes.values)[rows]
    return np.array([[round(255 * part) for part in to_rgb(colour)] for colour in named], dtype=np.uint8)[place]


def paint_map(
    axes: Axes,
    codes: CodeMap,
    box: tuple[float, float, float, float],
    look: Look = Look(),
    words: Words = clipped,
    thumbnails: Thumbnails | None = None,
) -> None:
    """Codes as points, and pictures of some of them."""
    size = float(np.clip(60 / max(1, len(codes.points)) ** 0.42, 2.0, 6.0))
    frame_map(axes, box, codes.axes)
    if codes.groups or len(codes.values):
        dots(axes, codes, size, words, look.groups, look.steps)
    else:
        axes.plot(
            *codes.points.T, linestyle="none", marker="o", markersize=size, markeredgewidth=0, color=look.steps[4]
        )
    if thumbnails is not None:
        bottom, top = thumbnails.bottom, thumbnails.top
        ends = (box[0], box[1], bottom, top)
        axes.imshow(thumbnails.pixels, extent=ends, aspect="auto", interpolation="none", zorder=3)
        axes.set_ylim(bottom, top)
        axes.set_box_aspect(box_shape(box) * (top - bottom) / (box[3] - box[2]))
    if codes.groups:
        name_colours(axes, codes, size)
    elif len(codes.values):
        colour_bar(axes, value_edges(codes.values), words(codes.about, 50), look.steps, below=0.17)
        axes.child_axes[-1].xaxis.label.set_parse_math(False)
    if not codes.axes[1]:
        axes.set_yticks([])


def name_colours(axes: Axes, codes: CodeMap, size: float) -> None:
    """Which colour is which group, beside the map."""
    legend = axes.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, frameon=False, title=clipped(codes.about, 24),
        markerscale=6 / size, handletextpad=0.2, ncols=1 + len(codes.groups) // 16,
    )  # fmt: skip
    for text in (*legend.get_texts(), legend.get_title()):
        text.set_parse_math(False)


# A grid of decoded pictures.


def sheet_of(shades: np.ndarray) -> np.ndarray:
    """(lines * (h + 1), across * (w + 1), 4) uint8 of pictures (lines, across, height, width[, channels]), the first
    line on top, with a clear pixel between."""
    lines, across = shades.shape[:2]
    rgb = as_rgb(shades.reshape(-1, *shades.shape[2:]))
    height, width = rgb.shape[1:3]
    tiles = np.zeros((lines, across, height + 1, width + 1, 4), dtype=np.uint8)
    tiles[:, :, :-1, :-1, :3] = rgb.reshape(lines, across, height, width, 3)
    tiles[:, :, :-1, :-1, 3] = 255
    return tiles.transpose(0, 2, 1, 3, 4).reshape(lines * (height + 1), across * (width + 1), 4)


def paint_grid(axes: Axes, grid: PictureGrid) -> None:
    """The pictures at their places; the axes' ticks are those of the codes."""
    ends = []
    for places in (grid.across, grid.up):
        half = (places[-1] - places[0]) / (2 * (len(places) - 1))
        ends += [places[0] - half, places[-1] + half]
    sheet = sheet_of(grid.shades[::-1])
    axes.imshow(sheet, extent=tuple(ends), aspect="auto", interpolation="none")
    axes.set_box_aspect(sheet.shape[0] / sheet.shape[1])
    axes.set(xlabel=grid.axes[0], ylabel=grid.axes[1])
    bare(axes)


def bare(axes: Axes) -> None:
    axes.grid(False)
    axes.spines[:].set_visible(False)


# Walks along units.


def paint_picture_walks(axes: Axes, walks: tuple[Walk, ...]) -> None:
    """A line of pictures for each unit, the one that says most on top."""
    sheet = sheet_of(np.stack([walk.decoded for walk in walks]))
    steps = len(walks[0].values)
    axes.imshow(sheet, extent=(0, steps, len(walks), 0), aspect="auto", interpolation="none")
    axes.set_box_aspect(sheet.shape[0] / sheet.shape[1])
    axes.set_yticks(np.arange(len(walks)) + 0.5, [f"unit {walk.unit}: {walk.said}" for walk in walks])
    axes.set_xticks([0.5, steps / 2, steps - 0.5], ["2.5 %", "middle", "97.5 %"])
    axes.set_xlabel("value of the unit: the range of 95 % of the rows")
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(
        np.arange(len(walks)) + 0.5, [minus(f"{shown(w.values[0])} to {shown(w.values[-1])}") for w in walks]
    )
    for part in (axes, beside):
        part.tick_params(length=0)
        part.spines[:].set_visible(False)
    axes.grid(False)


def minus(text: str) -> str:
    """With minus signs in place of hyphens, as the axes' own numbers have."""
    return text.replace("-", "\N{MINUS SIGN}")


def paint_table_walk(axes: Axes, walk: Walk, look: Look = Look(), words: Words = clipped) -> None:
    """The columns that move most as one unit goes through its values."""
    for number, name in enumerate(walk.columns):
        axes.plot(
            walk.values, walk.decoded[:, number], color=look.groups[number], linewidth=2,
            linestyle=("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))[number % 4], label=words(name, 20),
        )  # fmt: skip
    axes.axhline(0, color=look.faint, linewidth=0.8, zorder=0)
    axes.set_title(f"unit {walk.unit}: {walk.said}", loc="left")
    axes.set(xlabel="value of the unit", ylabel="standard deviations")
    axes.spines[["top", "right"]].set_visible(False)
    options: dict[str, Any] = {"frameon": False, "fontsize": "small", "handlelength": 2.6}
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **options)
    for text in legend.get_texts():
        text.set_parse_math(False)
