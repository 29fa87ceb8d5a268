"""A page about what a `Generator` draws, beside real rows."""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.checks import counted
from isthmus.copies import alike, found
from isthmus.estimators.generator_figures import Judged, quality
from isthmus.estimators.generator_judging import judged
from isthmus.estimators.generator_rows import Material, Rows, material_of
from isthmus.estimators.latent import latent_for_page
from isthmus.records import Layout
from isthmus.report import frame, generation
from isthmus.report.figures import as_text, is_image, shown
from isthmus.report.generation import Sheet, Twins
from isthmus.report.generation_columns import Marginal
from isthmus.report.plots import clipped
from isthmus.table_columns import levels, numbers

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from isthmus.estimators.generator import Generator

SHOWN = {"pictures": 48, "lines": 12, "cells": 8}
"""Rows of either sort that are shown."""

NEAREST = {"pictures": 12, "lines": 6, "cells": 6}
"""Drawn rows that are shown beside the training rows that they are nearest to."""

HEADS, COLUMNS, LEVELS, BINS = 15, 12, 8, 30
"""Columns of the rows shown; columns drawn; the levels, and bins of numbers, of each."""

LONGEST = 24
"""Letters of a cell."""

CHANNELS = 3

YEAR = 365.25 * 24 * 3600


def write_report(
    generator: Generator,
    path: str | os.PathLike[str],
    train: Any,
    held_out: Any = None,
    labels: Any = None,
    target: Hashable | None = None,
) -> Path:
    """What `Generator.report` promises."""
    frame.write(path, lambda: generation.render(page_of(generator, train, held_out, labels, target)))
    return Path(path)


def page_of(
    generator: Generator, train: Any, held_out: Any, labels: Any, target: Hashable | None
) -> generation.Generation:
    """What the page tells."""
    material = material_of(generator, train, held_out, labels, 0)
    result = judged(material, target, 0)
    layout, table = generator.form_.layout, material.drawn.shown.columns if material.table else ()
    form = "cells" if material.table else "pictures" if as_pictures(layout) else "lines"
    distances, near = distances_of(material)
    some = [str(name) for name in table][:HEADS]
    beside = material.train if material.held_out is None else material.held_out
    return generation.Generation(
        title="Generator",
        about=f"{way_in_words(generator)}; rows are compared by {result.way}",
        key=[
            *((f"{name} rows", f"{count:,}") for name, count in result.rows.items()),
            ("training rows searched for copies", f"{len(material.searched.numbers):,}"),
        ],
        verdicts=result.verdicts,
        form=form,
        sheets=(
            sheet_of("Drawn", material.drawn, form, layout, material.given),
            sheet_of("Training" if material.held_out is None else "Held out", beside, form, layout, None),
        ),
        ends=(0.0, 1.0) if material.table else ends_of(material.train.shown),
        heads=tuple(some),
        columns_of=len(table),
        quality=quality(result),
        trivially="columns taken apart, each cell a real one"
        if material.table
        else "a mixture of normal distributions of principal components",
        marginals=tuple(marginals_of(result, beside.shown, material.drawn.shown)) if material.table else (),
        distances=distances,
        reach=float("nan") if result.copies is None else result.copies.reach,
        twins=twins_of(material, result, distances[0], near, form, layout),
        latent=latent_of(generator, train, labels),
        details=details(generator),
    )


def way_in_words(generator: Generator) -> str:
    if generator.way_ == "cells":
        return "Drawn cell by cell, each given those that the row has so far"
    size = counted(generator.autoencoder_.code_size_, "number")
    return f"Drawn through codes of {size}, whose frequency a prior tells"


def details(generator: Generator) -> list[tuple[str, str]]:
    """How the generator was made, and the page."""
    chosen = {name: value for name, value in generator.get_params(deep=False).items() if value is not None}
    seed = ("drawn by", "sample(n, random_state=0), as many as there are drawn rows")
    return [("way", generator.way_), seed, *((name, repr(value)) for name, value in chosen.items())]


def latent_of(generator: Generator, train: Any, labels: Any) -> Any:
    """The space of codes, where rows are drawn through them."""
    if generator.way_ == "cells":
        return None
    model = generator.autoencoder_
    source = generator._source(train, "train")
    given = None if model.conditions_ is None else model._given(labels, source.rows)
    groups = None if labels is None or np.ndim(labels) != 1 else np.asarray(labels)
    return latent_for_page(model, source, given, groups)


# ---------------------------------------------------------------------- rows


def as_pictures(layout: Layout) -> bool:
    return is_image(layout) or layout.axes[0] == "frame"


def drawable(rows: np.ndarray, form: str, layout: Layout) -> np.ndarray:
    """Pictures, of clips their middle frames; or lines (n, channels, steps)."""
    if form == "pictures":
        return rows[:, rows.shape[1] // 2] if layout.axes[0] == "frame" else rows
    whole = rows.reshape(len(rows), rows.shape[1], -1)
    return whole.swapaxes(1, 2)[:, :CHANNELS]


def ends_of(rows: np.ndarray) -> tuple[float, float]:
    return float(np.nanmin(rows)), float(np.nanmax(rows))


def sheet_of(title: str, rows: Rows, form: str, layout: Layout, given: np.ndarray | None) -> Sheet:
    """The first rows; by class, where they were given one."""
    count = SHOWN[form]
    if form == "cells":
        frame = rows.shown.iloc[:count, :HEADS]
        return Sheet(title, tuple(map(str, rows.numbers[:count])), cells=texts_of(frame))
    place, words = np.arange(min(count, len(rows.shown))), [""] * count
    if given is not None and given.ndim == 1:
        place = place[np.argsort(given[place], kind="stable")]
        words = [clipped(as_text(label), 12) for label in given[place]]
    return Sheet(title, tuple(words[: len(place)]), drawable(rows.shown[place], form, layout))


def texts_of(frame: DataFrame) -> tuple[tuple[str, ...], ...]:
    """The cells as texts; a missing one is empty."""
    columns = [[in_cell(value) for value in frame.iloc[:, place].tolist()] for place in range(frame.shape[1])]
    return tuple(zip(*columns, strict=True))


def in_cell(value: Any) -> str:
    """
    >>> in_cell(3.14159), in_cell(7), in_cell(None), in_cell(float("nan")), in_cell("a town by the sea, and far off")
    ('3.142', '7', '', '', 'a town by the sea, and …')
    """
    from pandas import isna

    if isna(value):
        return ""
    text = shown(value, 4) if isinstance(value, float) else str(value).removesuffix(" 00:00:00")
    return clipped(text, LONGEST)


# ---------------------------------------------------------------------- copies


def distances_of(material: Material) -> tuple[tuple[np.ndarray, np.ndarray | None], np.ndarray]:
    """Of drawn and of held-out rows to their nearest training rows; and the places of those of drawn rows."""
    others = {} if material.held_out is None else {"held_out": material.held_out.place}
    mine, train, *rest = alike(drawn=material.drawn.place, train=material.searched.place, **others)
    distances, near = found(mine, train)
    return (distances.numpy(), found(rest[0], train)[0].numpy() if rest else None), near.numpy()


def twins_of(
    material: Material, result: Judged, distances: np.ndarray, near: np.ndarray, form: str, layout: Layout
) -> tuple[Twins, ...]:
    """Copies, the nearest first, then the drawn rows that are nearest to training rows."""
    copies = np.zeros(0, dtype=int) if result.copies is None else result.copies.rows
    copied = np.zeros(len(distances), dtype=bool)
    copied[copies] = True
    order = np.lexsort((distances, ~copied))[: NEAREST[form]]
    pairs = []
    for rows, places in ((material.drawn, order), (material.searched, near[order])):
        if material.table:
            pairs.append(texts_of(rows.shown.iloc[places, :HEADS]))
        else:
            pairs.append(tuple(drawable(rows.shown[places], form, layout)))
    return tuple(
        Twins(str(row), str(material.searched.numbers[near[row]]), float(distances[row]), bool(copied[row]), both)
        for row, both in zip(order.tolist(), zip(*pairs, strict=True), strict=True)
    )


# ---------------------------------------------------------------------- columns


def marginals_of(result: Judged, real: DataFrame, drawn: DataFrame) -> list[Marginal]:
    """The columns that differ most, drawn as bars or steps."""
    if result.drawn.table is None:
        return []
    mine = result.drawn.table.marginals
    other = {} if result.real is None or result.real.table is None else result.real.table.marginals
    worst = sorted(mine, key=lambda name: -mine[name])[:COLUMNS]
    made = []
    for name in worst:
        said = f"{mine[name]:.3f}" + (f", of real rows {other[name]:.3f}" if other else "")
        columns = [frame[name] for frame in (real, drawn)]
        gaps = [float(column.isna().mean()) for column in columns]
        cells = numbers(columns)
        if cells is None or few_values(cells):
            made.append(of_levels(str(name), said, columns))
            continue
        if any(gaps):
            said += f"; missing {gaps[0]:.1%}, drawn {gaps[1]:.1%}"
        made.append(of_numbers(str(name), said, as_years(columns[0], cells)))
    return made


def few_values(cells: list[np.ndarray]) -> bool:
    """Whether numbers are few enough to have bars of their own."""
    return len(np.unique(cells[0][~np.isnan(cells[0])])) <= LEVELS


def of_levels(name: str, said: str, columns: list[Series]) -> Marginal:
    """The most frequent levels of the real rows, and all others as one."""
    cells, size = levels(columns)
    counts = [np.bincount(some, minlength=size) / len(some) for some in cells]
    order = np.argsort(-counts[0], kind="stable")
    order = order[(counts[0] + counts[1])[order] > 0]
    few = LEVELS + 1 if len(order) == LEVELS + 1 else LEVELS
    kept, rest = order[:few], order[few:]
    words = {0: "missing"}
    for column, some in zip(columns, cells, strict=True):
        words |= {
            int(number): in_cell(column.iloc[int(np.argmax(some == number))]) for number in kept if number in some
        }
    words[0] = "missing"
    named = [words[int(number)] for number in kept]
    shares = [share[kept] for share in counts]
    if len(rest):
        named.append(f"{len(rest):,} others")
        shares = [np.append(share, whole[rest].sum()) for share, whole in zip(shares, counts, strict=True)]
    return Marginal(name, said, shares[0], shares[1], tuple(named))


def as_years(column: Series, cells: list[np.ndarray]) -> list[np.ndarray]:
    """Dates, which come as seconds since the first, as years of our era; other numbers as they are."""
    from pandas.api import types

    if not types.is_datetime64_any_dtype(column):
        return cells
    first = column.min()
    start = first.year + (first.day_of_year - 1) / 365.25
    return [start + some / YEAR for some in cells]


def of_numbers(name: str, said: str, cells: list[np.ndarray]) -> Marginal:
    """Bins of one width, but for the outermost, which hold what lies beyond."""
    known = [some[~np.isnan(some)] for some in cells]
    low, high = (float(end) for end in np.quantile(known[0], [0.005, 0.995]))
    if bool((known[0] == np.round(known[0])).all()):  # as many whole numbers in each
        step = max(1.0, np.ceil((high - low + 1) / BINS))
        edges = np.arange(np.floor(low), high + 1 + step, step) - 0.5
    else:
        edges = np.linspace(low, high if high > low else low + max(abs(low), 1.0) * 1e-3, BINS + 1)
    shares = [
        np.histogram(some.clip(edges[0], edges[-1]), bins=edges)[0] / len(every)
        for some, every in zip(known, cells, strict=True)
    ]
    return Marginal(name, said, shares[0], shares[1], edges=edges)
