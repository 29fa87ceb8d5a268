"""What an `Autoencoder` tells those who draw its space of codes: rows, codes, pictures and walks as plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.checks import is_whole
from isthmus.data.scaling import Scaling
from isthmus.data.sources import Source, spread_rows
from isthmus.diagnostics.plane import Holes, Plane, box_of, holes, no_holes, plane_of, said_by_units, umap_points
from isthmus.diagnostics.probe import Probe
from isthmus.errors import InputError
from isthmus.records import Layout
from isthmus.report import figures, latent_map, plots
from isthmus.report.figures import CodeMap
from isthmus.report.latent_map import LINES, PictureGrid, Thumbnails, Walk
from isthmus.report.latent_page import Latent

ROWS, CELLS = 5_000, 20_000_000
"""The most rows, and the most of their cells, whose codes are drawn."""
AT_ONCE = 2_000_000
"""The most cells that are decoded together."""
PAGE_SIDE, PAGE_ACROSS, PAGE_UNITS = 36, 16, 10
"""On a report's page: the longest side of a small picture in pixels, pictures across a map, units walked along."""
SPREADS = 2.0
"""A grid over principal components reaches two standard deviations of the codes to either side."""
WAYS = ("auto", "own", "pca", "umap")


@dataclass(frozen=True)
class View:
    """Some ``rows`` of a source as a model sees them: their ``codes`` (n, size), and the ``origin``, the place among
    them of the row whose code is nearest to the middle: what it is given, decoded codes are given."""

    probe: Probe
    source: Source
    rows: np.ndarray
    codes: Tensor
    scaling: Scaling
    origin: int

    @property
    def points(self) -> np.ndarray:
        return self.codes.double().cpu().numpy()

    @property
    def pictures(self) -> bool:
        return figures.is_image(self.source.layout)

    @property
    def ends(self) -> tuple[float, float]:
        """What is black and what is white."""
        some = self.source.take(self.rows[spread_rows(len(self.rows), 500)])
        scale = figures.pictures(some, some, np.arange(len(some)), ("",) * len(some))
        return scale.lowest, scale.highest

    @torch.no_grad()
    def decoded(self, codes: np.ndarray) -> Tensor:
        """(m, features): what codes (m, size) are rebuilt as, scaled, in pieces."""
        size, found = max(1, AT_ONCE // self.source.layout.features), []
        for piece in torch.from_numpy(codes).to(self.codes).split(size):
            found.append(self.probe.decoded(piece, torch.full((len(piece),), self.origin)).cpu())
        return torch.cat(found)

    def shades(self, codes: np.ndarray, side: int) -> np.ndarray:
        """(m, height, width[, channels]) uint8: codes as pictures, none of whose sides is longer than ``side``."""
        size, found, ends = max(1, AT_ONCE // self.source.layout.features), [], self.ends
        for start in range(0, len(codes), size):
            rows = self.decoded(codes[start : start + size]).reshape(-1, *self.source.layout.shape)
            found.append(shrunk(plots.pixels(self.scaling.inverse(rows), *ends), side))
        return np.concatenate(found)


def view_of(model: Any, source: Source, conditions: Tensor | None, *, also: int | None = None) -> View:
    """At most `ROWS` rows, spread over all, and the row ``also``."""
    most = max(50, min(ROWS, CELLS // source.layout.features))
    rows = spread_rows(source.rows, most)
    rows = rows if also is None else np.union1d(rows, [also])
    batch = model._batch(source, rows, conditions)
    probe = Probe(
        model.composition_, batch.layout, batch.x, batch.given, batch.lengths, batch.weight, model.form_.names
    )
    codes = probe.codes(probe.x)
    return View(probe, source, rows, codes, model._scaling_of(source.layout), middle_row(codes))


def started_at(view: View, row: int) -> View:
    """The view whose origin is the row of this number, which must be among its rows."""
    return replace(view, origin=int(np.searchsorted(view.rows, row)))


def middle_row(codes: Tensor) -> int:
    return int((codes.double() - codes.double().mean(0)).square().sum(1).argmin())


def is_discrete(view: View) -> bool:
    """Whether codes are symbols, between which there is nothing."""
    few = view.probe.batch(view.probe.x[:1], torch.zeros(1, dtype=torch.long))
    with torch.no_grad():
        return view.probe.composition.encode(few)[1].index is not None


def shrunk(shades: np.ndarray, side: int) -> np.ndarray:
    """Pictures (m, height, width[, channels]) uint8, made smaller where a side is longer than ``side``."""
    height, width = shades.shape[1:3]
    factor = side / max(height, width)
    if factor >= 1:
        return shades
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    planes = torch.from_numpy(shades.reshape(*shades.shape[:3], -1)).permute(0, 3, 1, 2).float()
    small = torch.nn.functional.interpolate(planes, size=size, mode="area").permute(0, 2, 3, 1)
    return small.round().to(torch.uint8).numpy().reshape(len(shades), *size, *shades.shape[3:])


# The map.


def chosen_way(way: Any, size: int) -> str:
    """``"own"``, ``"pca"`` or ``"umap"``, for a code of ``size``."""
    if way not in WAYS:
        raise InputError(f"way must be one of {', '.join(map(repr, WAYS))}; got {way!r}")
    if way == "own" and size > 2:
        raise InputError(f"way='own' is for codes of at most 2 numbers; this model's have {size}. Use way='pca'")
    return ("own" if size <= 2 else "pca") if way == "auto" else way


def map_of(view: View, labels: np.ndarray | None, about: str, way: str = "auto") -> CodeMap:
    """Where the rows' codes lie in two dimensions, coloured by labels (of all rows of the source), if there are any."""
    codes = view.points
    way = chosen_way(way, codes.shape[1])
    if way == "umap":
        points, axes = umap_points(codes), ("UMAP 1 (of the neighbours; no unit)", "UMAP 2")
    elif codes.shape[1] == 1:
        points, axes = figures.two_dimensions(codes)
    else:
        plane = plane_of(codes, own=way == "own")
        points, axes = plane.flat(codes), plane.axes
    if labels is None:
        return CodeMap(points, axes, "", (), np.zeros(0), np.zeros(0), view.source.rows)
    return CodeMap(points, axes, about, *figures.coloured(labels[view.rows]), view.source.rows)


def thumbnails_of(view: View, codes: CodeMap, across: int, side: int) -> Thumbnails:
    """Pictures of some rows, at most ``across`` in a line, so spread over a map that none overlap."""
    height, width = view.source.layout.shape[:2]
    box = box_of(codes.points)
    rows, cells, lines, ends = latent_map.chosen_cells(codes.points, box, across, height / width)
    shades = shrunk(plots.pixels(view.source.take(view.rows[rows]), *view.ends), side)
    frames = latent_map.frame_colours(codes, rows, latent_map.Look())
    return Thumbnails(latent_map.mosaic(shades, cells, across, lines, frames), rows, *ends)


# What lies between codes.


def grid_of(view: View, size: int, side: int) -> PictureGrid:
    """Pictures decoded on a regular grid: of two units from the 1st to the 99th percentile of each, else over the plane
    of the two main directions, in standard deviations from the middle."""
    codes = view.points
    plane = plane_of(codes)
    points = plane.flat(codes)
    if plane.own:
        (left, bottom), (right, top) = np.percentile(points, [1, 99], axis=0)
        spread, axes = np.ones(2), plane.axes
    else:
        left = bottom = -SPREADS
        right = top = SPREADS
        spread, axes = points.std(axis=0), in_spreads(plane)
    across, up = ends_apart(left, right, size), ends_apart(bottom, top, size)
    places = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2) * spread
    shades = view.shades(plane.lift(places), side)
    return PictureGrid(shades.reshape(size, size, *shades.shape[1:]), across, up, axes)


def in_spreads(plane: Plane) -> tuple[str, str]:
    first, second = plane.shares
    unit = "in standard deviations of the codes"
    return f"component 1 ({first:.0%} of the variance), {unit}", f"component 2 ({second:.0%}), {unit}"


def ends_apart(low: float, high: float, size: int) -> np.ndarray:
    """Evenly spaced places, apart even where every code is the same."""
    return np.linspace(low, high, size) if high > low else low + np.linspace(-0.5, 0.5, size)


def holes_of(view: View) -> tuple[Holes, Plane | None]:
    """What lies between codes; the plane is None where there is none to look at."""
    if view.codes.shape[1] < 2:
        return no_holes("a code of one number has no plane"), None
    if view.source.layout.sequence:
        return no_holes("rows that run in time have lengths of their own"), None
    if is_discrete(view):
        return no_holes("codes are symbols, between which there is nothing"), None
    plane = plane_of(view.points)
    return holes(view.probe, view.codes, plane, origin=view.origin), plane


# Walks along units.


def walks_of(
    view: View, *, units: tuple[int, ...] | None, most: int | None, steps: int, side: int, start: np.ndarray | None
) -> tuple[Walk, ...]:
    """Walks along ``units``, or along at most ``most`` of those in use, those that say most first, from the code
    ``start`` (size,), or from that of the row in the middle: from the 2.5th to the 97.5th percentile of each unit."""
    codes, said = view.points, said_by_units(view.probe, view.codes)
    amounts = dict(zip(said.units, said.amount, strict=True))
    chosen = said.units[:most] if units is None else units
    start = codes[view.origin] if start is None else start
    walked = []
    for unit in chosen:
        low, high = np.percentile(codes[:, unit], [2.5, 97.5])
        values = ends_apart(low, high, steps)
        along = np.repeat(start[None], steps, axis=0)
        along[:, unit] = values
        words = in_words(amounts.get(unit), said.measure)
        if view.pictures:
            walked.append(Walk(unit, words, values, view.shades(along, side)))
        else:
            walked.append(Walk(unit, words, values, *moved_columns(view, along)))
    return tuple(walked)


def in_words(amount: float | None, measure: str) -> str:
    """
    >>> in_words(1.234, "nats"), in_words(0.0512, "of the variance"), in_words(None, "nats")
    ('1.2 nats', '5.1 % of the variance', 'not in use')
    """
    if amount is None:
        return "not in use"
    return f"{amount:.2g} nats" if measure == "nats" else f"{100 * amount:.2g} % {measure}"


def moved_columns(view: View, along: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """(steps, k) of the columns that move most, in standard deviations from their means, and their names."""
    layout, x = view.source.layout, view.probe.flat.double().cpu()
    numeric = torch.tensor([is_measured(layout, column) for column in range(layout.features)])
    known = torch.ones_like(x) if view.probe.weight is None else view.probe.weight.flatten(1).cpu().double()
    count = known.sum(0).clamp(min=1)
    mean = (x * known).sum(0) / count
    spread = ((x - mean).square() * known).sum(0).div(count).sqrt()
    moved = (view.decoded(along).double() - mean) / torch.where(spread > 0, spread, 1.0)
    far = (moved.amax(0) - moved.amin(0)).where(numeric & (spread > 0), -1.0)
    order = [int(column) for column in far.argsort(descending=True, stable=True)[:LINES] if far[column] >= 0]
    names = view.probe.names
    return moved[:, order].numpy(), tuple(names[i] if names else f"column {i}" for i in order)


def is_measured(layout: Layout, column: int) -> bool:
    """Whether a column's values lie on a line: not of categories, nor of times of day."""
    return layout.columns is None or layout.columns[column].kind not in ("category", "circular")


def can_walk(view: View) -> str:
    """Why units cannot be walked along, in words; empty where they can."""
    if is_discrete(view):
        return "this model's codes are symbols, between which there are no values to walk along"
    if view.pictures:
        return ""
    layout = view.source.layout
    if layout.axes[0] != "column":
        return "pictures and tables are drawn; this model's rows are neither"
    if not any(is_measured(layout, column) for column in range(layout.features)):
        return "every column is a category or a time of day, which no line can show"
    return ""


def units_asked(units: Any, size: int) -> tuple[int, ...] | None:
    """The numbers of the units to walk along."""
    if units is None:
        return None
    numbers = [units] if is_whole(units) else list(units)
    if not numbers or not all(is_whole(unit) and 0 <= unit < size for unit in numbers):
        raise InputError(f"units must be numbers of code units, 0 to {size - 1}; got {units!r}")
    return tuple(int(unit) for unit in numbers)


def latent_for_page(model: Any, source: Source, conditions: Tensor | None, labels: np.ndarray | None) -> Latent:
    """What a report shows of the space of codes: of each drawing only where it means something."""
    view = view_of(model, source, conditions)
    found, plane = holes_of(view)
    size, thumbnails, codes, grid = view.codes.shape[1], None, None, None
    if view.pictures:
        codes = map_of(view, labels, "label")
        thumbnails = thumbnails_of(view, codes, PAGE_ACROSS, PAGE_SIDE)
        grid = grid_of(view, 11, PAGE_SIDE) if size > 1 and not is_discrete(view) else None
    walks = () if can_walk(view) else walks_of(view, units=None, most=PAGE_UNITS, steps=9, side=PAGE_SIDE, start=None)
    return Latent(
        codes=codes,
        box=None if codes is None else box_of(codes.points),
        thumbnails=thumbnails,
        grid=grid,
        holes=found,
        axes=("", "") if plane is None else plane.axes,
        walks=walks,
        pictures=view.pictures,
        start=str(view.rows[view.origin] if source.index is None else np.asarray(source.index)[view.rows[view.origin]]),
        given=conditions is not None,
    )
