"""A trained composition with the rows it is judged on, and the questions that can be put to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from isthmus.composition import Composition
from isthmus.diagnostics.points import owners, points, usual_values
from isthmus.records import Batch, Layout, Pass, Trace

ROWS = 5_000
"""The most rows that are looked at."""
CELLS = 8_000_000
"""The most cells that are looked at: what bounds the memory for large images."""
BATCH_CELLS = 1_000_000
"""Cells in one pass."""
DRAWN_ROWS = 1_000
"""The most rows whose codes are drawn: as many draws each as the bottleneck makes."""


@dataclass(frozen=True)
class Probe:
    """The composition, and the rows ``x`` (n, *layout.shape) with their conditions ``given`` (n, conditions); of
    sequences their ``lengths`` (n,), the ``weight`` of their cells, 0 where they are missing, and ``names`` of columns.
    """

    composition: Composition
    layout: Layout
    x: Tensor
    given: Tensor | None = None
    lengths: Tensor | None = None
    weight: Tensor | None = None
    names: tuple[str, ...] | None = None

    @property
    def flat(self) -> Tensor:
        """(n, features): the rows."""
        return self.x.flatten(1)

    @property
    def known(self) -> Tensor | None:
        """(n, features) of a mixed table: 0 where a cell is missing, and counts in no mean; None = all count."""
        return None if self.layout.columns is None else self.weight

    @cached_property
    def points(self) -> Tensor:
        """(n, dimensions): the rows as points, whose squared distances are sums of errors by cell; the rows themselves
        where these are numbers. Missing cells lie in the middle of all others."""
        return self.placed(self.flat, self.known)

    def placed(self, rows: Tensor, known: Tensor | None = None) -> Tensor:
        """(m, dimensions): other rows (m, features) as points among the own ones."""
        if self.layout.columns is None:
            return rows
        middle, stretch = (values.to(rows) for values in self.frame)
        return ((points(rows, self.layout.columns, known) - middle) / stretch).nan_to_num(0.0)

    @cached_property
    def frame(self) -> tuple[Tensor, Tensor]:
        """(dimensions,) of the own rows as points: the middle of known cells, and what dimensions are divided by.

        Counts are brought to variance 1, which scaled numbers have: else one column of them would be all that
        distances tell of.
        """
        columns = self.layout.columns or ()
        own = points(self.flat, columns, self.known).double()
        middle = own.nanmean(0).nan_to_num(0.0)
        spread = (own - middle).square().nanmean(0).sqrt().nan_to_num(0.0)
        counts = torch.tensor([columns[i].kind == "count" for i in owners(columns)] or [False], device=own.device)
        return middle, torch.where(counts & (spread > 0), spread, 1.0)

    @property
    def dimensions(self) -> float:
        """Dimensions of the points per column that they show."""
        shown = len(set(owners(self.layout.columns))) if self.layout.columns else self.points.shape[1]
        return self.points.shape[1] / max(1, shown)

    @property
    def spread(self) -> float:
        """The variance of the rows as points, per column that they show."""
        return float(self.points.double().var(0, correction=0).mean()) * self.dimensions

    def astray(self, rebuilt: Tensor) -> Tensor:
        """(n,) float64: the squared distance, per column, from each row to what it is rebuilt as, (n, features)."""
        if self.layout.columns is None:
            return self.errors_of(rebuilt, self.flat, self.weight).double().mean(1)
        squares = (self.placed(rebuilt, self.known).to(self.points) - self.points).double().square()
        return squares.mean(1) * self.dimensions

    @property
    def complete(self) -> Probe:
        """The rows of a mixed table without a missing cell; all rows of other data."""
        if self.known is None or bool((self.known > 0).all()):
            return self
        whole = (self.known > 0).all(1)
        given, lengths, weight = (
            None if values is None else values[whole] for values in (self.given, self.lengths, self.weight)
        )
        return replace(self, x=self.x[whole], given=given, lengths=lengths, weight=weight)

    def variances(self, rows: Tensor, known: Tensor | None = None) -> Tensor:
        """(features,) float64 of rows (m, features): the variance of every column.

        Of a mixed table, whose levels have none, it is the mean error where every cell is rebuilt as its column's most
        usual value, in place of the mean.
        """
        if self.layout.columns is None:
            return rows.double().var(0, correction=0)
        usual = usual_values([(rows, known)], self.layout.columns).to(rows)
        return column_means(self.errors_of(usual.expand_as(rows), rows, known), known)

    def mean_variance(self, rows: Tensor, known: Tensor | None = None) -> float:
        """`variances` in the mean over columns; over known cells where some are missing."""
        found = self.variances(rows, known)
        if known is None:
            return float(found.mean())
        counts = known.double().sum(0).to(found.device)
        return float((found * counts).sum() / counts.sum().clamp(min=1))

    @cached_property
    def variance(self) -> float:
        """Of the rows, in the mean over columns."""
        return self.mean_variance(self.flat, self.known)

    @property
    def unlike_numbers(self) -> str:
        """Which columns hold no numbers, so that nothing lies between two values, in words; empty where all do."""
        numeric = self.layout.numeric
        if numeric is None or all(numeric):
            return "some columns are categories" if self.composition.loss.support == "category" else ""
        others = [self.name(i) for i, number in enumerate(numeric) if not number]
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        verb = "holds" if len(others) == 1 else "hold"
        return f"{', '.join(others[:3])}{more} {verb} levels, counts or times of day"

    def name(self, column: int) -> str:
        """What a sentence calls a column."""
        return repr(self.names[column]) if self.names is not None else f"column {column}"

    @property
    def squared(self) -> bool:
        """Whether the squared error is, more or less, what the loss makes small: not of counts, categories and
        directions."""
        loss, columns = self.composition.loss, self.layout.columns
        if columns is not None:
            return all(column.kind == "number" for column in columns)
        return loss.support in ("real", "unit") and not getattr(loss, "on_sphere", False)

    def batch(self, rows: Tensor, own: Tensor, known: Tensor | None = None) -> Batch:
        """Rows (m, *), where the composition's weights are, with what the own rows ``own`` (m,) are given.

        ``known`` (m, *) is 0 in their missing cells; None = those of the own rows.
        """
        bring = home(self.composition, self.x)
        own = own.to(self.x.device)
        given, lengths, weight = (
            None if values is None else values[own] for values in (self.given, self.lengths, self.weight)
        )
        weight = weight if known is None else known
        return Batch(
            bring(rows.reshape(-1, *self.layout.shape)),
            self.layout,
            None if weight is None else bring(weight),
            given=None if given is None else bring(given),
            lengths=lengths,
        )

    @torch.no_grad()
    def pass_through(
        self, rows: Tensor, origin: Tensor | None = None, known: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The codes (m, code_size) and reconstructions (m, features) of other rows (m, *).

        ``origin`` (m,) are the numbers of the own rows whose conditions the others get; None = 0, 1, ..., m - 1.
        ``known`` (m, *) is 0 in their missing cells; None = those of the own rows.
        """
        codes, rebuilt = [], []
        origin = torch.arange(len(rows)) if origin is None else origin
        for start, part in batches(rows, self.layout):
            places = slice(start, start + len(part))
            batch = self.batch(part, origin[places] % len(self.x), None if known is None else known[places])
            codes.append(self.composition.represent(batch))
            rebuilt.append(self.composition.rebuild(codes[-1], self.composition.context(batch)).flatten(1))
        return torch.cat(codes), torch.cat(rebuilt)

    @torch.no_grad()
    def symbols(self) -> Tensor | None:
        """(n, symbols) int64: the discrete codes of the own rows; None where codes are not discrete."""
        found = []
        for start, part in batches(self.x, self.layout):
            index = self.composition.encode(self.batch(part, torch.arange(start, start + len(part))))[1].index
            if index is None:
                return None
            found.append(index)
        return torch.cat(found)

    @torch.no_grad()
    def decoded(self, codes: Tensor, origin: Tensor) -> Tensor:
        """(m, features): what is rebuilt of codes (m, code_size), with the conditions of own rows ``origin`` (m,)."""
        batch = self.batch(self.x[origin.to(self.x.device)], origin)
        return self.composition.rebuild(codes, self.composition.context(batch)).flatten(1)

    @torch.no_grad()
    def drawn(self, most: int = DRAWN_ROWS) -> Iterator[Trace]:
        """Passes of at most ``most`` of the own rows in which random codes are drawn, the same ones each time."""
        rows = spaced(len(self.x), most)
        generator = torch.Generator(home(self.composition, self.x)(self.x[:1]).device).manual_seed(0)
        for start, part in batches(self.x[rows.to(self.x.device)], self.layout, BATCH_CELLS // 8):
            yield self.composition.trace(self.batch(part, rows[start : start + len(part)]), Pass(generator))

    def codes(self, rows: Tensor, origin: Tensor | None = None) -> Tensor:
        return self.pass_through(rows, origin)[0]

    def rebuilt(self, rows: Tensor, origin: Tensor | None = None) -> Tensor:
        return self.pass_through(rows, origin)[1]

    def evaluate(self, rows: Tensor | None = None, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The codes, and the errors (m, features), of the own rows or of as many others: squared differences, but in
        columns of a mixed table that hold no numbers. ``known`` (m, *) is 0 in missing cells, whose errors are 0."""
        rows = self.x if rows is None else rows
        known = self.weight[: len(rows)] if known is None and self.weight is not None else known
        codes, rebuilt = self.pass_through(rows, known=known)
        return codes, self.errors_of(rebuilt, rows.flatten(1), known)

    def errors_of(self, rebuilt: Tensor, rows: Tensor, known: Tensor | None = None) -> Tensor:
        """(m, features): how far every cell is off; 0 in missing ones."""
        errors = self.composition.cell_errors(rebuilt, rows.to(rebuilt))
        return errors if known is None else errors * known.flatten(1).to(errors)


def column_means(errors: Tensor, known: Tensor | None) -> Tensor:
    """(features,) float64: the mean over the cells that are known; 0 where a column has none."""
    if known is None:
        return errors.double().mean(0)
    return errors.double().sum(0) / known.double().sum(0).to(errors.device).clamp(min=1)


def mean_cell(errors: Tensor, known: Tensor | None) -> float:
    """The mean over all cells that are known."""
    if known is None:
        return float(errors.double().mean(0).mean())
    return float(errors.double().sum() / known.double().sum().clamp(min=1))


def sampled(x: Tensor, layout: Layout) -> Tensor:
    """The numbers of at most `ROWS` rows and `CELLS` cells of ``x``, drawn with a fixed seed, in their order."""
    width = layout.features if layout.columns is None else max(layout.features, len(owners(layout.columns)))
    most = max(1, min(ROWS, CELLS // width))
    if len(x) <= most:
        return torch.arange(len(x))
    return torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:most].sort().values


def spaced(n: int, most: int) -> Tensor:
    """At most ``most`` of the numbers 0 .. n - 1, evenly spaced."""
    return torch.linspace(0, n - 1, min(n, most)).round().long().unique()


def batches(x: Tensor, layout: Layout, cells: int = BATCH_CELLS) -> Iterator[tuple[int, Tensor]]:
    """Stretches of rows, each with the number of its first."""
    size = max(1, cells // layout.features)
    for start in range(0, len(x), size):
        yield start, x[start : start + size]


def home(composition: Composition, x: Tensor) -> Callable[[Tensor], Tensor]:
    """A function that brings rows to where the composition's weights are."""
    weights = next((p for p in composition.parameters() if p.is_floating_point()), x)
    return lambda rows: rows.to(device=weights.device, dtype=weights.dtype)


def shuffled(flat: Tensor) -> Tensor:
    """Rows (n, features) with their columns shuffled independently, in the same way for all arrays of one shape."""
    order = torch.rand(flat.shape, generator=torch.Generator().manual_seed(0)).argsort(0)
    return flat.gather(0, order.to(flat.device))


def structureless(flat: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Rows (n, features) as `shuffled` makes them, and uniform noise in the columns' ranges.

    Columns that hold no numbers have no values between two, so that their noise is shuffled too. The generator is the
    function's own: neither the global state nor the result of a later call depends on this one.
    """
    mixed, low, high = shuffled(flat), flat.amin(0), flat.amax(0)
    generator = torch.Generator().manual_seed(0)
    torch.rand(flat.shape, generator=generator)
    noise = low + (high - low) * torch.rand(flat.shape, generator=generator).to(flat)
    if layout.numeric is not None:
        noise = torch.where(torch.tensor(layout.numeric, device=flat.device), noise, mixed)
    return mixed, noise
