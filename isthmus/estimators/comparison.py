"""`compare`: several kinds and code sizes on the same held-out rows, with PCA, or the most usual values, first."""

from __future__ import annotations

import math
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.checks import counted
from isthmus.data import Scaling, Source, open_source, split
from isthmus.data.decisions import MODES
from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.settings import held_out_share, seed_of, whole
from isthmus.pca import principal_components
from isthmus.recipes import Kind
from isthmus.records import Batch
from isthmus.training import Feed

PCA = "PCA"
USUAL = "most usual values"
"""What stands in for PCA where a table is mixed."""
TIMED_ROWS = 2048
"""Rows encoded at once while the speed is measured."""


@dataclass(frozen=True)
class ComparisonRow:
    """One fit, judged.

    Attributes
    ----------
    method : the kind, or ``"PCA"``, or ``"most usual values"``.
    code_size : numbers per row in the code; 0 for the most usual values.
    error : root of the mean squared error per cell on the rows that `Comparison` names, in its unit.
    ratio : this error over that of PCA with the same code size (1 for PCA itself, below 1 is better); NaN where
        PCA's is 0, and of mixed tables, of which there is no PCA.
    seconds : how long the fit took.
    rows_per_second : rows encoded in one second, scaling included.
    parameters : numbers learnt.
    """

    method: str
    code_size: int
    error: float
    ratio: float
    seconds: float
    rows_per_second: float
    parameters: int


@dataclass(frozen=True)
class Comparison:
    """Kinds and code sizes side by side; ``print`` it to read it.

    Attributes
    ----------
    rows : the rows of PCA, then those of every method, by code size. Of mixed tables (levels, dates, missing cells) one
        row stands in PCA's place: every cell as its column's most usual value.
    judged_on : the rows that the errors are about, in words.
    unit : what the errors are measured in, in words.
    """

    rows: tuple[ComparisonRow, ...]
    judged_on: str
    unit: str

    @property
    def best(self) -> ComparisonRow:
        """The row with the least error; of equal ones the first, which is PCA's where that is among them."""
        return min(self.rows, key=lambda row: row.error)

    def best_of(self, code_size: int) -> ComparisonRow:
        """The row with the least error of those with this code size."""
        return min((row for row in self.rows if row.code_size == code_size), key=lambda row: row.error)

    def __str__(self) -> str:
        head: tuple[str, ...] = ("kind", "code", "error", "of PCA's", "fit", "rows/s", "parameters", "")
        marked = len({row.code_size for row in self.rows}) < len(self.rows)
        cells = [head]
        for row in self.rows:
            best = marked and row.code_size > 0 and row is self.best_of(row.code_size)
            cells.append(
                (
                    row.method,
                    str(row.code_size),
                    f"{row.error:#.4g}".rstrip("."),
                    "-" if math.isnan(row.ratio) else f"{row.ratio:,.2f}",
                    f"{row.seconds:.1f} s",
                    rate_in_words(row.rows_per_second),
                    f"{row.parameters:,}",
                    f"best with {row.code_size}" if best else "",
                )
            )
        if all(row.method != PCA for row in self.rows):
            place = head.index("of PCA's")
            cells = [line[:place] + line[place + 1 :] for line in cells]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [textwrap.fill(f"Error on {self.judged_on}: {self.unit}.", 79), ""]
        for line in cells:
            texts = [line[0].ljust(widths[0]), *(t.rjust(w) for t, w in zip(line[1:-1], widths[1:-1], strict=True))]
            lines.append("  ".join([*texts, line[-1]]).rstrip())
        return "\n".join([*lines, "", textwrap.fill(self.sentence, 79)])

    @property
    def sentence(self) -> str:
        """Which row is the best, in words."""
        best = self.best
        said = f"The least error: {best.method} with {counted(best.code_size, 'number')} per row"
        if best.method == USUAL:
            return f"The least error: {USUAL}. No autoencoder here learnt anything of the table."
        if best.method == PCA:
            return f"{said}. No autoencoder here is better than PCA of the same size."
        return f"{said}." if math.isnan(best.ratio) else f"{said}, {best.ratio:.2f} of PCA's."


def compare(
    X: Any,
    methods: Sequence[Any] = ("undercomplete", "linear"),
    code_sizes: Sequence[int] | None = None,
    *,
    random_state: Any = 0,
    max_time: float | None = None,
    verbose: int = 0,
    **knobs: Any,
) -> Comparison:
    """Fit every method with every code size, and judge all of them and PCA on the same held-out rows.

    Mixed tables (levels, dates, missing cells) get a row "most usual values" in PCA's place, which rebuilds every cell
    as its column's mean or most frequent level.

    Parameters
    ----------
    X : data as `Autoencoder.fit` takes it.
    methods : kinds, by name or with their knobs, as `Autoencoder` takes them.
    code_sizes : whole numbers >= 1; None = three sizes up to a quarter of the columns, at most 32.
    random_state : as for `Autoencoder`; it also draws the held-out rows, so that they are the same for all.
    max_time : seconds for each single fit; None = no limit.
    verbose : 0 = silent; 1 = tell how every fit goes.
    **knobs : further parameters of `Autoencoder`, the same for every fit, e.g. ``epochs=20``.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        The data, a method or a knob cannot be used, or two methods need the data scaled differently.

    Examples
    --------
    >>> import isthmus as ist
    >>> X = ist.data.digits()[0]
    >>> table = ist.compare(X, ["linear"], [2, 4], epochs=1)
    >>> [(row.method, row.code_size) for row in table.rows]
    [('PCA', 2), ('PCA', 4), ('linear', 2), ('linear', 4)]
    """
    methods = (methods,) if isinstance(methods, str) else tuple(methods)
    if not methods:
        raise InputError("methods must name at least one kind, e.g. methods=('undercomplete',)")
    columns, mode = knobs.pop("columns", None), knobs.get("scale", "auto")
    seed = seed_of(random_state)
    source = open_source(X, columns=columns)
    sizes = sizes_for(source.layout.numbers) if code_sizes is None else checked_sizes(code_sizes)
    fits = [
        Autoencoder(method, code_size=size, random_state=seed, max_time=max_time, verbose=verbose, **knobs)
        for method in methods
        for size in sizes
    ]
    support = common_support(fits)
    share = held_out_share(fits[0].validation_fraction, source.rows)
    train, held_out = split(source.rows, share, seed)
    classes = getattr(fits[0]._parts().loss, "classes", None)
    if source.layout.columns is not None:  # levels have no principal components
        rows, one_unit, unit = [], 1.0, "where 1 is a column's standard deviation, or a wrong level"
    else:
        scaling = Scaling.fit(source, train, mode=mode, support=support, per_column=source.per_column, classes=classes)
        one_unit, unit = error_unit(scaling)
        rows = pca_rows(source, scaling, train, held_out, sizes, one_unit)
    pca = {row.code_size: row.error for row in rows}
    # A process's first optimiser imports much of PyTorch, for seconds that are not the first fit's.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    for done, model in enumerate(fits):
        if verbose:
            where = f"fit {done + 1} of {len(fits)}"
            print(f"{where}: {named(model.method)}, code size {model.code_size}", file=sys.stderr, flush=True)
        rows.append(fitted_row(model, source, pca, one_unit))
    if source.layout.columns is not None:
        rows.insert(0, usual_row(fits[0]))
    words = f"{counted(len(held_out), 'held-out row')}" if len(held_out) else "the training rows (none were held out)"
    return Comparison(tuple(rows), words, f"root mean squared per cell, {unit}")


def named(method: Any) -> str:
    return method if isinstance(method, str) else repr(method) if isinstance(method, Kind) else "your own"


def sizes_for(features: int) -> list[int]:
    """Three code sizes worth trying.

    >>> sizes_for(784), sizes_for(30), sizes_for(4)
    ([8, 16, 32], [2, 4, 8], [1])
    """
    largest = min(32, max(1, round(features / 4)))
    return sorted({max(1, largest // 4), max(1, largest // 2), largest})


def checked_sizes(code_sizes: Sequence[int]) -> list[int]:
    given = [code_sizes] if isinstance(code_sizes, (int, np.integer)) else list(code_sizes)
    if not given:
        raise InputError("code_sizes must hold at least one whole number, e.g. code_sizes=(2, 8)")
    return sorted({whole("code_sizes", size, 1) for size in given})


def common_support(fits: list[Autoencoder]) -> str:
    """The range of data that the methods' losses need, which has to be the same for all."""
    needs = {}
    for model in fits:
        loss = model._parts().loss
        needs[named(model.method)] = getattr(loss, "support", "real")
    if len(set(needs.values())) > 1:
        said = ", ".join(f"{name} {'values in [0, 1]' if need == 'unit' else 'any'}" for name, need in needs.items())
        raise InputError(
            f"compare: these kinds need the data scaled differently ({said}), so that their errors cannot be put "
            "side by side; compare them in two calls"
        )
    return next(iter(needs.values()))


def pca_rows(
    source: Source, scaling: Scaling, train: np.ndarray, held_out: np.ndarray, sizes: list[int], one_unit: float
) -> list[ComparisonRow]:
    """PCA with every code size, fitted on the same training rows and judged on the same held-out rows."""
    began = time.perf_counter()
    feed = Feed(source, scaling, train, held_out)
    pca = principal_components(batch.x for batch in feed.batches(train, feed.at_once))
    seconds = time.perf_counter() - began
    judged = held_out if len(held_out) else train
    errors = pca.errors(batch.x for batch in feed.batches(judged, feed.at_once))
    raw = source.take(train[:TIMED_ROWS])
    mean = torch.from_numpy(pca.mean.astype(np.float32))
    rows = []
    for size in sizes:
        used = min(size, len(pca.components))
        basis = torch.from_numpy(pca.components[:used].T.astype(np.float32)).contiguous()

        def encode(x: Tensor, basis: Tensor = basis) -> Tensor:
            return (x.flatten(1) - mean) @ basis

        error = float(np.sqrt(errors[min(size, len(errors) - 1)]) * one_unit)
        ratio = 1.0 if error > 0 else float("nan")
        parameters = (used + 1) * source.layout.features
        rows.append(ComparisonRow(PCA, size, error, ratio, seconds, speed(encode, scaling, raw), parameters))
    return rows


def fitted_row(model: Autoencoder, source: Source, pca: dict[int, float], one_unit: float) -> ComparisonRow:
    """Fit one model and judge it."""
    began = time.perf_counter()
    model.fit(source)
    seconds = time.perf_counter() - began
    composition, device = model.composition_, model._device
    raw = source.take(np.arange(min(TIMED_ROWS, source.rows)))

    def encode(x: Tensor) -> Tensor:
        return composition.represent(Batch(x.to(device), source.layout)).cpu()

    size = int(model.code_size or 0)
    record = model.record_
    assert record is not None  # fit leaves one
    error = math.sqrt(record.error) * one_unit
    ratio = error / pca[size] if pca.get(size, 0.0) > 0 else float("nan")
    parameters = sum(weights.numel() for weights in composition.parameters())
    return ComparisonRow(
        named(model.method), size, error, ratio, seconds, speed(encode, model.scaling_, raw), parameters
    )


def usual_row(model: Autoencoder) -> ComparisonRow:
    """Every cell of a mixed table as the most usual value of its column, without a code."""
    record = model.record_
    assert record is not None  # fit leaves one
    return ComparisonRow(USUAL, 0, math.sqrt(record.mean_error), float("nan"), 0.0, math.inf, 0)


def speed(encode: Callable[[Tensor], Tensor], scaling: Scaling, raw: np.ndarray) -> float:
    """Rows per second through scaling and ``encode``: the fastest of several goes, since others slow some down."""
    fastest, began = math.inf, time.perf_counter()
    with torch.no_grad():
        while fastest == math.inf or time.perf_counter() - began < 0.05:
            start = time.perf_counter()
            encode(scaling.forward(raw))
            fastest = min(fastest, time.perf_counter() - start)
    return len(raw) / max(fastest, 1e-9)


def rate_in_words(rate: float) -> str:
    """Two digits are all that a measured speed is good for.

    >>> rate_in_words(12345.6), rate_in_words(17_363_013), rate_in_words(950)
    ('12 k', '17 M', '950')
    """
    if rate == math.inf:
        return "-"
    if rate < 999.5:
        return f"{rate:.0f}"
    size, letter = (rate / 1e3, "k") if rate < 999_500 else (rate / 1e6, "M")
    return f"{size:.1f} {letter}" if size < 9.95 else f"{size:.0f} {letter}"


def error_unit(scaling: Scaling) -> tuple[float, str]:
    """What errors are told in: a factor for the root of a mean squared error per scaled cell, and the unit in words.

    Where one scale serves all columns this is the data's own unit. Columns with scales of their own have no unit in
    common but their standard deviation.
    """
    if (scaling.modes == MODES.index("standard")).all():
        return 1.0, "where 1 is each column's standard deviation"
    if np.ptp(scaling.unit) == 0:
        return float(scaling.unit[0]), "in the data's own units"
    return 1.0, "in scaled units"
