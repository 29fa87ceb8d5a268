"""A trained composition with the rows it is judged on, and the questions that can be put to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.composition import Composition
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
    sequences their ``lengths`` (n,), and the ``weight`` of their cells, 0 where they are missing."""

    composition: Composition
    layout: Layout
    x: Tensor
    given: Tensor | None = None
    lengths: Tensor | None = None
    weight: Tensor | None = None

    @property
    def flat(self) -> Tensor:
        """(n, features): the rows."""
        return self.x.flatten(1)

    @property
    def variance(self) -> float:
        """Of the rows, in the mean over columns."""
        return float(self.flat.double().var(0, correction=0).mean())

    @property
    def all_numbers(self) -> bool:
        """Whether every cell is a number, so that there are values between two values."""
        numeric = self.layout.numeric is None or all(self.layout.numeric)
        return numeric and self.composition.loss.support != "category"

    @property
    def squared(self) -> bool:
        """Whether the squared error is, more or less, what the loss makes small: not of counts, categories and
        directions."""
        loss = self.composition.loss
        return loss.support in ("real", "unit") and not getattr(loss, "on_sphere", False)

    def batch(self, rows: Tensor, own: Tensor) -> Batch:
        """Rows (m, *), where the composition's weights are, with what the own rows ``own`` (m,) are given."""
        bring = home(self.composition, self.x)
        own = own.to(self.x.device)
        given, lengths, weight = (
            None if values is None else values[own] for values in (self.given, self.lengths, self.weight)
        )
        return Batch(
            bring(rows.reshape(-1, *self.layout.shape)),
            self.layout,
            None if weight is None else bring(weight),
            given=None if given is None else bring(given),
            lengths=lengths,
        )

    @torch.no_grad()
    def pass_through(self, rows: Tensor, origin: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The codes (m, code_size) and reconstructions (m, features) of other rows (m, *).

        ``origin`` (m,) are the numbers of the own rows whose conditions the others get; None = 0, 1, ..., m - 1.
        """
        codes, rebuilt = [], []
        origin = torch.arange(len(rows)) if origin is None else origin
        for start, part in batches(rows, self.layout):
            batch = self.batch(part, origin[start : start + len(part)] % len(self.x))
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

    def evaluate(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The codes, and the squared errors (m, features), of the own rows or of as many others."""
        rows = self.x if rows is None else rows
        codes, rebuilt = self.pass_through(rows)
        errors = (rebuilt - rows.flatten(1).to(rebuilt)).square()
        return codes, errors if self.weight is None else errors * self.weight[: len(rows)].flatten(1).to(errors)


def sampled(x: Tensor, layout: Layout) -> Tensor:
    """The numbers of at most `ROWS` rows and `CELLS` cells of ``x``, drawn with a fixed seed, in their order."""
    most = max(1, min(ROWS, CELLS // layout.features))
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


def structureless(flat: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Rows (n, features) with their columns shuffled independently, and uniform noise in the columns' ranges.

    Columns of categories have no values between two, so that their noise is shuffled too. The generator is the
    function's own: neither the global state nor the result of a later call depends on this one.
    """
    generator = torch.Generator().manual_seed(0)
    order = torch.rand(flat.shape, generator=generator).argsort(0).to(flat.device)
    shuffled = flat.gather(0, order)
    low, high = flat.amin(0), flat.amax(0)
    noise = low + (high - low) * torch.rand(flat.shape, generator=generator).to(flat)
    if layout.numeric is not None:
        noise = torch.where(torch.tensor(layout.numeric, device=flat.device), noise, shuffled)
    return shuffled, noise
