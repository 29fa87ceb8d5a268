"""What a `Generator` is judged by: drawn rows, real ones and those of a trivial generator, as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import hypergeom

from isthmus.checks import counted
from isthmus.data import Source
from isthmus.data.tables import library_of
from isthmus.errors import InputError
from isthmus.estimators.generator import cell_by_cell
from isthmus.estimators.settings import seed_of
from isthmus.judge import Judge
from isthmus.parts.priors.expectation import fitted_normals
from isthmus.pca import PrincipalComponents, principal_components
from isthmus.table_columns import levels, vectors

if TYPE_CHECKING:
    from pandas import DataFrame

    from isthmus.estimators.generator import Generator

ROWS, CELLS = 5_000, 20_000_000
"""Rows, and cells of them, that are drawn, and compared, of every sort at most."""

LEAST = 12
"""Rows of every sort at least: as neighbours, and halves of a two-sample test, take."""

SEARCHED_ROWS, SEARCHED_CELLS = 50_000, 40_000_000
"""Training rows, and cells of them, among which copies are looked for at most."""

SHARED, UNLIKELY = 0.05, 1e-3
"""Of held-out rows no more, beyond what is usual, are to equal training rows; by chance no rarer than the second."""

COMPONENTS, MOST_NORMALS = 50, 128
"""Principal components of pictures and other arrays, and normal distributions in their space, at most."""

MOST_CLASSES = 100
"""Labels of more kinds than this are no classes that a classifier is trained to tell."""

LOOKED_AT, EPOCHS = 40_000, (4, 40)
"""Rows that the classifier looks at in all its epochs, about, and the fewest and most of these."""


@dataclass(frozen=True)
class Rows:
    """Rows of one sort: ``shown`` is a frame, of tables, or an array (n, *shape) in the user's units; ``space``
    (n, width) is where likeness is measured, ``place`` where copies are; ``numbers`` are those of the user's rows."""

    shown: Any
    space: np.ndarray
    place: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True)
class Material:
    """All rows that a judgement takes.

    Attributes
    ----------
    drawn, train, trivial : as many of each.
    held_out : None where there are none.
    searched : training rows, those of ``train`` first, among which copies are looked for.
    table : whether columns are told of one by one.
    way, trivially : what rows are compared by, and what the trivial generator is, in words.
    given : what the drawn rows were given; None where nothing.
    """

    drawn: Rows
    train: Rows
    trivial: Rows
    held_out: Rows | None
    searched: Rows
    table: bool
    way: str
    trivially: str
    given: np.ndarray | None


def material_of(generator: Generator, train: Any, held_out: Any, labels: Any, random_state: Any) -> Material:
    """Draw rows, as many as `ROWS` and the training rows allow, and put all side by side."""
    random = np.random.default_rng(seed_of(random_state))
    source = generator._source(train, "train")
    if source.rows < LEAST:
        raise InputError(f"train has {counted(source.rows, 'row')}: give {LEAST} or more to compare with")
    most = min(max(50, min(ROWS, CELLS // source.layout.features)), source.rows)
    labels = checked_labels(generator, labels, source.rows)
    searched = random.permutation(source.rows)[
        : max(most, min(SEARCHED_ROWS, SEARCHED_CELLS // source.layout.features))
    ]
    real = [(train, source, searched)]
    if held_out is not None:
        other = generator._source(held_out, "held_out")
        if other.rows < LEAST:
            raise InputError(f"held_out has {counted(other.rows, 'row')}: give {LEAST} or more to compare with")
        real.append((held_out, other, random.permutation(other.rows)[:most]))
    table, columns = cell_by_cell(source), generator.form_.labels
    known = [frame_of(X, one, rows, columns) if table else numbers_of(one, rows) for X, one, rows in real]
    if len(known) > 1:
        check_kept(known[0], known[1], source.rows)
    given = None if generator.autoencoder_.conditions_ is None or generator.way_ == "cells" else labels[searched[:most]]
    made = generator.sample(most, given=given, random_state=random_state)
    if table:
        drawn = made if is_pandas(made) else frame_of(made, generator._source(made, "drawn"), np.arange(most), columns)
        return of_tables(drawn, known, [numbers for *_, numbers in real], random)
    arrays = [numbers_of(generator._source(made, "drawn"), np.arange(most)), *known]
    return of_arrays(arrays, [numbers for *_, numbers in real], most, labels, given, random)


def check_kept(train: Any, held_out: Any, rows: int) -> None:
    """Refuse held-out rows that the generator met: all that is said of copies would be one half.

    Where rows are often equal, held-out rows equal training rows as often as these equal each other; by more than
    chance, more of them are no accident. ``train`` is a part of all its ``rows``: of what was met, such a part is seen.
    """
    first, second = as_bytes(train, held_out)
    _, number, counts = np.unique(np.concatenate([first, second]), return_inverse=True, return_counts=True)
    own = np.bincount(number[: len(first)], minlength=len(counts))
    twins, met = int(own[own > 1].sum()), int((own[number[len(first) :]] > 0).sum())
    beyond = met / len(second) - twins / len(first)
    by_chance = hypergeom.sf(met - 1, len(first) + len(second), met + twins, len(second))
    if beyond > SHARED * len(first) / rows and by_chance < UNLIKELY:
        raise InputError(
            f"held_out: {met:,} of its {len(second):,} rows {'is a row' if met == 1 else 'are rows'} of train, so that "
            "copies cannot be told: keep some rows from fit, and give these alone"
        )


def as_bytes(*sets: Any) -> list[np.ndarray]:
    """(n,) of every set of rows, frames or arrays: equal where rows are equal."""
    if isinstance(sets[0], np.ndarray):
        steps = max(rows.shape[1] for rows in sets)
        flat = [as_long(rows, steps).reshape(len(rows), -1) + np.float32(0) for rows in sets]  # -0.0 becomes 0.0
    else:
        columns = [levels([frame[name] for frame in sets])[0] for name in sets[0].columns]
        flat = [np.stack(column, axis=1) for column in zip(*columns, strict=True)]
    return [np.ascontiguousarray(rows).view(f"V{rows.itemsize * rows.shape[1]}")[:, 0] for rows in flat]


def checked_labels(generator: Generator, labels: Any, rows: int) -> np.ndarray | None:
    """One label per training row; they are needed where drawn rows have to be given something."""
    if labels is None:
        if generator.way_ == "codes" and generator.autoencoder_.conditions_ is not None:
            raise InputError(
                "labels: this generator was fitted with given=, so that rows can only be drawn with it. Pass what the "
                "training rows were given as labels="
            )
        return None
    found = np.asarray(labels)
    if found.ndim not in (1, 2) or len(found) != rows:
        raise InputError(f"labels must be one per row of train, shape ({rows},); got {found.shape}")
    return found


def numbers_of(source: Source, rows: np.ndarray) -> np.ndarray:
    """(n, *shape) float32; what is missing, or beyond a sequence's end, is NaN."""
    found = np.asarray(source.take(rows), dtype=np.float32)
    weight = source.weight(rows)
    return found if weight is None else np.where(weight > 0, found, np.float32("nan"))


# ---------------------------------------------------------------------- tables


def of_tables(drawn: Any, frames: list[DataFrame], numbers: list[np.ndarray], random: np.random.Generator) -> Material:
    """Frames, whose vectors are compared; the trivial generator shuffles every column by itself."""
    most, every = len(drawn), np.arange(len(drawn))
    train = frames[0].iloc[:most]
    trivial = shuffled(train, random)
    spread = vectors(train, drawn, trivial, *frames)
    return Material(
        drawn=Rows(drawn, spread[0], spread[0], every),
        train=Rows(train, spread[2][:most], spread[2][:most], numbers[0][:most]),
        trivial=Rows(trivial, spread[1], spread[1], every),
        held_out=Rows(frames[1], spread[3], spread[3], numbers[1]) if len(frames) > 1 else None,
        searched=Rows(frames[0], spread[2], spread[2], numbers[0]),
        table=True,
        way="their columns: numbers by their places among the training rows', levels by whether they are the same",
        trivially="independent columns",
        given=None,
    )


def frame_of(X: Any, source: Source, rows: np.ndarray, labels: Any) -> DataFrame:
    """Some rows as a pandas frame, with the columns of the fit; polars and arrays become one by way of the form, which
    knows what their numbers stand for."""
    if is_pandas(X):
        kept = X if labels is None else X[labels]
        return kept.iloc[rows].reset_index(drop=True)
    values = source.take(rows)
    if source.form.container == "polars":
        return source.form.wrap(values).to_pandas()
    return source.form.wrap(values, container="pandas")


def is_pandas(X: Any) -> bool:
    return library_of(X) == "pandas" and hasattr(X, "columns")


def shuffled(frame: DataFrame, random: np.random.Generator) -> DataFrame:
    """The frame with the cells of every column in an order of its own."""
    made = frame.copy()
    for name in frame.columns:
        made[name] = frame[name].array.take(random.permutation(len(frame)))
    return made


# ---------------------------------------------------------------------- arrays


def of_arrays(
    arrays: list[np.ndarray],
    numbers: list[np.ndarray],
    most: int,
    labels: np.ndarray | None,
    given: np.ndarray | None,
    random: np.random.Generator,
) -> Material:
    """Drawn, training and perhaps held-out rows (n, *shape), compared by a classifier's features, or by principal
    components; the trivial generator is a mixture of normal distributions of the latter."""
    arrays = [as_long(rows, arrays[1].shape[1]) for rows in arrays]
    known = ~np.isnan(arrays[1])
    usual = np.where(known, arrays[1], 0).sum(0, dtype=np.float64) / np.maximum(known.sum(0), 1)
    filled = [np.where(np.isnan(rows), usual.astype(np.float32), rows) for rows in arrays]
    train, seed = filled[1][:most], int(random.integers(2**31))
    pca = principal_components([torch.from_numpy(train)])
    trivial = by_mixture(pca, train, seed, random)
    classes = None if labels is None else labels[numbers[0][:most]]
    if classes is not None and is_classes(classes):
        rows = judged_as(train)
        epochs = int(np.clip(LOOKED_AT // len(rows), *EPOCHS))
        judge = Judge.fit(rows, classes, seed, epochs)
        way = f"{len(judge.features(rows[:1])[0])} features of a classifier that was trained to tell the labels"

        def space(found: np.ndarray) -> np.ndarray:
            return judge.features(judged_as(found))
    else:
        count = min(COMPONENTS, len(pca.components))
        way = f"their first {count} principal components" if count > 1 else "their first principal component"

        def space(found: np.ndarray) -> np.ndarray:
            return scores(pca, found)

    def rows_of(shown: np.ndarray, whole: np.ndarray, of: np.ndarray, compared: bool = True) -> Rows:
        return Rows(shown, space(whole) if compared else whole[:0], whole.reshape(len(whole), -1), of)

    every = np.arange(most)
    return Material(
        drawn=rows_of(arrays[0], filled[0], every),
        train=rows_of(arrays[1][:most], train, numbers[0][:most]),
        trivial=rows_of(trivial, trivial, every),
        held_out=rows_of(arrays[2], filled[2], numbers[1]) if len(arrays) > 2 else None,
        searched=rows_of(arrays[1], filled[1], numbers[0], compared=False),
        table=False,
        way=way,
        trivially="mixture in PCA space",
        given=given,
    )


def as_long(rows: np.ndarray, steps: int) -> np.ndarray:
    """(n, steps, ...) of sequences whose longest has another length; what lies beyond their ends is NaN."""
    lacking = [(0, max(0, steps - rows.shape[1])) if axis == 1 else (0, 0) for axis in range(rows.ndim)]
    return np.pad(rows[:, :steps], lacking, constant_values=np.nan)


def is_classes(labels: np.ndarray) -> bool:
    """Whether a classifier can be trained to tell them."""
    return labels.ndim == 1 and 2 <= len(np.unique(labels)) <= min(MOST_CLASSES, len(labels) // 2)


def judged_as(rows: np.ndarray) -> np.ndarray:
    """Rows as the classifier takes them: pictures, or flat ones."""
    return rows if rows.ndim == 3 or (rows.ndim == 4 and rows.shape[-1] <= 4) else rows.reshape(len(rows), -1)


def scores(pca: PrincipalComponents, rows: np.ndarray) -> np.ndarray:
    """(n, COMPONENTS at most) of rows (n, *shape)."""
    return (rows.reshape(len(rows), -1).astype(np.float64) - pca.mean) @ pca.components[:COMPONENTS].T


def by_mixture(pca: PrincipalComponents, train: np.ndarray, seed: int, random: np.random.Generator) -> np.ndarray:
    """As many rows, drawn from a mixture of normal distributions of the principal components, of as many as the
    Bayesian information criterion likes; within the range of the training rows."""
    codes = scores(pca, train)
    unit = max(float(codes.std()), 1e-12)
    found = fitted_normals(codes / unit, None, MOST_NORMALS, seed)
    chosen = random.choice(len(found.means), size=len(train), p=np.exp(found.log_shares.numpy()))
    made = found.means[chosen].numpy()
    for number, triangle in enumerate(found.triangles.numpy()):
        place = np.flatnonzero(chosen == number)
        made[place] += random.normal(size=(len(place), codes.shape[1])) @ triangle.T
    rows = pca.mean + unit * made @ pca.components[:COMPONENTS]
    return rows.clip(train.min(), train.max()).astype(np.float32).reshape(train.shape)
