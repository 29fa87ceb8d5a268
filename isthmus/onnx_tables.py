"""Mixed tables as ONNX graphs take them: raw numbers in and out; how cells are coded is written in the file."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.data.coding import Coding
from isthmus.data.form import Form, is_plain, plain_dtype
from isthmus.data.scaling import Scaling
from isthmus.data.table_form import TableForm
from isthmus.data.warps import MOST_KNOTS, Quantiles
from isthmus.records import Batch, Column

FINE = 1e-5
"""Rows are float64 where float32 would lose more than this of a column's scale."""

WHOLE = 2.0**24
"""Up to here float32 holds every whole number."""

MISSING = 0.2
"""The share of missing cells in the rows by which a graph is checked."""


class Pieces(Quantiles):
    """Maps through quantiles whose pieces are sought by operations that a graph holds; they give the same."""

    def _piece(self, values: Tensor, at: Tensor) -> Tensor:
        knots = torch.full((at.shape[0], MOST_KNOTS), torch.inf, dtype=at.dtype)
        knots[:, : at.shape[1]] = at
        every, first = knots.flatten(), MOST_KNOTS * torch.arange(at.shape[0])[:, None]
        place = first + torch.zeros_like(values, dtype=torch.int64)
        step = MOST_KNOTS // 2
        while step:
            place = place + (every[place + step] <= values).long() * step
            step //= 2
        return torch.minimum(place - first, torch.from_numpy(self._last))


class TableUnits(nn.Module):
    """The way between the raw numbers of a mixed table, or of one with bent scales, and scaled rows.

    It calculates in float64, whatever the rows come in: seconds since 1970 and steep pieces of bent scales need it,
    and it is little beside the network.

    Parameters
    ----------
    scaling, form : of the fit.
    lowest, highest : per column, the least and the greatest number that its type holds.
    """

    least: Tensor
    most: Tensor
    lowest: Tensor
    highest: Tensor
    centre: Tensor
    scale: Tensor
    log_scale: Tensor
    order: Tensor
    log: Tensor
    quantile: Tensor

    def __init__(self, scaling: Scaling, form: Form, lowest: np.ndarray, highest: np.ndarray) -> None:
        super().__init__()
        self.layout = form.layout
        self.columns = form.layout.columns or (Column(),) * form.layout.features
        self.dtype = torch.float64 if needs_float64(scaling, form) else torch.float32
        self.warps = scaling.warps
        bent: dict[str, Any] = {"log": np.array([], int), "quantile": np.array([], int)}
        if self.warps is not None:
            quantiles = self.warps.quantiles
            knots = {own.name: getattr(quantiles, own.name) for own in fields(quantiles)}
            self.warps = replace(self.warps, quantiles=Pieces(**knots))
            bent = {"log": self.warps.log, "quantile": self.warps.quantile}
        order = np.arange(scaling.features)
        places = np.concatenate([*bent.values()])
        order[places] = scaling.features + np.arange(len(places))
        ends = [span(column) for column in self.columns]
        numbers = np.array([column.numeric or column.kind == "count" for column in self.columns])
        lowest, highest = np.where(numbers, lowest, -np.inf), np.where(numbers, highest, np.inf)
        # A map through quantiles says nothing beyond the observed range.
        lowest[bent["quantile"]], highest[bent["quantile"]] = (
            end[bent["quantile"]] for end in (scaling.low, scaling.high)
        )
        buffers = {
            "least": [low for low, _ in ends], "most": [high for _, high in ends], "lowest": lowest,
            "highest": highest, "centre": scaling.centre, "scale": scaling.scale, "log_scale": scaling.log_scale,
        }  # fmt: skip
        for name, values in buffers.items():
            self.register_buffer(name, torch.tensor(np.asarray(values, dtype=np.float64)))
        for name, values in {"order": order, **bent}.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.int64))

    def batch(self, x: Tensor, given: Tensor | None) -> Batch:
        """Scaled rows. A cell that is NaN, infinite, or no level or count of its column, is missing."""
        x = x.double()
        if self.layout.columns is None:
            return Batch(self.scaled(x).float(), self.layout, given=given)
        known = (x >= self.least) & (x <= self.most)  # NaN is neither
        scaled = self.scaled(torch.where(known, x, torch.zeros_like(x)))
        x = torch.where(known, scaled, torch.zeros_like(scaled)).float()
        return Batch(x, self.layout, weight=known.float(), given=given)

    def scaled(self, raw: Tensor) -> Tensor:
        """(n, columns) float64."""
        raw = raw.double()
        return self.joined((raw - self.centre) / self.scale, raw, "forward")

    def rebuilt(self, x: Tensor) -> Tensor:
        """(n, columns) raw numbers of scaled rows, within what the columns hold."""
        raw = self.joined(x.double() * self.scale + self.centre, x.double(), "inverse")
        return torch.minimum(torch.maximum(raw, self.lowest), self.highest).to(self.dtype)

    def volume(self, batch: Batch) -> Tensor:
        """(n,) what is taken from a log density of scaled rows to make it one in the user's units."""
        x = batch.x.double()
        slopes = self.joined(torch.zeros_like(x) + self.log_scale, x, "log_slope")
        return (slopes if batch.weight is None else slopes * batch.weight).sum(1)

    def joined(self, plain: Tensor, values: Tensor, what: str) -> Tensor:
        """``plain``, with what the maps of bent columns make of ``values`` in their place."""
        if self.warps is None:
            return plain
        made = [plain]
        for map_, places in ((self.warps.logarithms, self.log), (self.warps.quantiles, self.quantile)):
            if places.numel():
                made.append(getattr(map_, what)(values.index_select(1, places)))
        return torch.cat(made, 1).index_select(1, self.order)

    def compared(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Raw numbers as they are compared, and one unit: scaled, as a bent column has no one unit of its own; of
        turns the sine and cosine of an eighth, so that next to 1 there is 0."""
        scaled = self.scaled(values)
        turns = torch.tensor([column.kind == "circular" for column in self.columns])
        angle = 2 * torch.pi * torch.where(turns, scaled, torch.zeros_like(scaled))
        plain = torch.where(turns, torch.zeros_like(scaled), scaled)
        return torch.cat([plain, angle.sin(), angle.cos()], 1), torch.ones(())

    def rows(self, n: int) -> Tensor:
        """(n, columns) random rows, some of whose cells are missing."""
        draw = np.random.default_rng(0)
        rows = self.rebuilt(torch.from_numpy(draw.standard_normal((n, len(self.columns))))).numpy().copy()
        for i, column in enumerate(self.columns):
            if column.kind == "count":
                rows[:, i] = draw.poisson(3.0, n)
            elif column.kind == "circular":
                rows[:, i] = draw.uniform(size=n)
            elif not column.numeric:
                rows[:, i] = draw.integers(0, 2 if column.kind == "binary" else column.levels, n)
        if self.layout.columns is not None:
            rows[draw.uniform(size=rows.shape) < MISSING] = np.nan
        return torch.from_numpy(rows)


def span(column: Column) -> tuple[float, float]:
    """The least and the greatest raw number that a column may hold; finite.

    >>> span(Column("category", 3)), span(Column("binary")), span(Column("count"))[0]
    ((0, 2), (0, 1), 0)
    """
    most = float(np.finfo(np.float64).max)
    if column.kind in ("binary", "ordinal", "category"):
        return 0, max(column.levels - 1, 1 if column.kind == "binary" else 0)
    return (0, most) if column.kind == "count" else (-most, most)


def needs_float64(scaling: Scaling, form: Form) -> bool:
    """Whether rows must be float64: there are dates, or float32 would lose more than `FINE` of a column's scale."""
    largest = np.maximum(np.abs(scaling.low), np.abs(scaling.high))
    lost = largest / scaling.scale
    dtypes = form.dtypes if len(form.dtypes) > 1 else form.dtypes * scaling.features
    plain = [plain_dtype(name) if is_plain(name) else None for name in dtypes]
    for i, column in enumerate(form.layout.columns or ()):
        if not column.numeric and column.kind != "count":
            lost[i] = 0
    if scaling.warps is not None:
        for i, (_, spread, _, deviation) in zip(scaling.warps.log, scaling.warps.logarithms.maps, strict=True):
            lost[i] = largest[i] / (spread * deviation)  # the map is steepest at its centre
        quantiles = scaling.warps.quantiles
        for i, at, to in zip(scaling.warps.quantile, quantiles.at, quantiles.to, strict=True):
            at, to = at[np.isfinite(at)], to[np.isfinite(at)]
            lost[i] = (np.maximum(np.abs(at[1:]), np.abs(at[:-1])) * np.diff(to) / np.diff(at)).max()
    exact = [
        dtype is not None and (np.can_cast(dtype, np.float32) or (dtype.kind in "iu" and most <= WHOLE))
        for dtype, most in zip(plain, largest, strict=True)
    ]
    dates = isinstance(form, TableForm) and any(coding.type == "date" for coding in form.codings)
    return dates or bool((lost * 2.0**-24 > FINE)[~np.array(exact)].any())


# How a row is coded, for whoever has the file and not this library.


def columns_note(form: TableForm) -> str:
    """JSON: a list with an object for each number of a row, in order.

    - ``name``, ``type``, and ``how`` in words the number is made;
    - ``levels`` of a binary, ordinal or category column, whose places, from 0, are the numbers; ``other``, the number
      of all values that are not among the levels of a category;
    - ``unit`` of dates, times and spans; ``format``, how those kept as text are written;
    - ``period`` and ``origin`` of a circular column: (value - origin) / period, less whole turns.
    """
    return json.dumps([column_note(coding) for coding in form.codings], ensure_ascii=False, default=str)


def column_note(coding: Coding) -> dict[str, Any]:
    """What is said of one column.

    >>> size = Coding("size", "category", "", "object", Column("category", 3), ("S", "L"), arrow="string")
    >>> column_note(size)["levels"], column_note(size)["other"]
    (['S', 'L'], 2)
    """
    note: dict[str, Any] = {"name": coding.name, "type": coding.type, "how": how(coding), "missing": "NaN"}
    if coding.type in ("binary", "ordinal", "category"):
        note["levels"] = list(coding.levels)
    if coding.type == "category":
        note["other"] = len(coding.levels)
    if coding.family not in ("number", "truth") and "levels" not in note:
        note["unit"] = "seconds"
    if coding.format is not None:
        note["format"] = coding.format[0]
    if coding.type == "circular":
        by_clock = coding.family != "number"
        note |= {"period": 86_400.0, "origin": 0.0} if by_clock else {"period": coding.period, "origin": coding.origin}
    return note


def how(coding: Coding) -> str:
    """How a cell becomes a number."""
    if coding.type == "category":
        return f"the place of the value in levels, counted from 0; {len(coding.levels)} for any other value"
    if coding.type in ("binary", "ordinal"):
        return "the place of the value in levels, counted from 0; no other value has a number"
    if coding.type == "date":
        zoned = getattr(coding.cells, "tz", None) is not None
        return "seconds since 1970-01-01 00:00:00 " + ("UTC" if zoned else "by the clock that they are told by")
    if coding.type == "circular":
        value = "number" if coding.family == "number" else "seconds since midnight"
        return f"({value} - origin) / period, without whole turns: from 0 to 1, 1 itself left out"
    if coding.family == "span":
        return "seconds"
    return "1 for true, 0 for false" if coding.family == "truth" else "the number as it is"
