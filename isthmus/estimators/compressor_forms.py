"""How data like those of a fit become whole numbers: learnt, and said in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.checks import check_whole, counted
from isthmus.errors import InputError
from isthmus.estimators.compressor_arrays import ArrayForm, array_numbers
from isthmus.estimators.compressor_columns import learnt_column
from isthmus.estimators.compressor_data import Bounds, columns_of, is_frame, kind_of_data, plain_names
from isthmus.estimators.compressor_pictures import PictureForm
from isthmus.estimators.compressor_tables import TableForm
from isthmus.estimators.settings import number

HELD_OUT, MOST_HELD_OUT, FEWEST_ROWS = 0.1, 1000, 50
"""The share of independent rows that the rate of the fit is measured on, the most of them, and how many it takes."""

STRETCH = 50
"""Of them, at most, that follow one another."""

JUDGED, PARTS = 2**19, 8
"""Elements of a series or a field, at most, that the rate of the fit is measured on, and in so many stretches."""

Form = ArrayForm | TableForm | PictureForm


def learnt_form(X: Any, wanted: str, bounds: Bounds) -> ArrayForm | TableForm:
    """How data like these become whole numbers."""
    kind = kind_of_data(X, wanted)
    if len(X) == 0 or 0 in X.shape:
        raise InputError(f"X has nothing to learn from: its shape is {X.shape}")
    if kind == "series" and is_frame(X):
        raise InputError("data='series' takes arrays; X is a frame: give X.to_numpy(), or leave data='auto'")
    if kind != "table":
        return ArrayForm(kind, X.dtype.str, tuple(X.shape[1:]), array_numbers(X, kind, bounds))
    if not is_frame(X) and X.ndim == 1:
        raise InputError("data='table' takes 2 axes, rows and columns; give X[:, None]")
    names = plain_names(X) if is_frame(X) else list(range(X.shape[1]))
    bounds.check_names(names)
    pairs = zip(names, columns_of(X), strict=True)
    columns = tuple(learnt_column(name, cells, **bounds.of(name), named=bounds.by_name) for name, cells in pairs)
    return TableForm(
        columns,
        is_frame(X),
        objects=is_frame(X) and isinstance(X.columns.dtype, np.dtype) and X.columns.dtype.kind == "O",
    )


def checked_settings(settings: dict[str, Any]) -> Bounds:
    """Refuse parameters that cannot be used; what may be lost."""
    if settings["lossy"] not in (True, False):
        raise InputError(f"lossy must be True or False; got {settings['lossy']!r}")
    if settings["block_rows"] is not None:
        check_whole("Compressor", block_rows=settings["block_rows"])
    for name in ("epochs", "max_time"):
        if settings[name] is not None:
            number(name, settings[name], 0, open_low=True)
    hidden = settings["hidden"]
    if hidden is not None:
        try:
            check_whole("Compressor", **{f"hidden[{place}]": width for place, width in enumerate(hidden)})
        except TypeError as error:
            raise InputError(f"hidden must be whole numbers such as (32, 32); got {hidden!r}") from error
    return Bounds(settings["max_error"], settings["relative"])


def held_apart(sample: Any, form: Form, seed: int) -> tuple[Any, Any]:
    """What is learnt from, and what the rate is measured on: other rows where rows are independent and enough."""
    if form.kind not in ("images", "table"):
        return sample, stretches(sample)
    if len(sample) < FEWEST_ROWS:
        return sample, sample
    # In stretches, as a table's rows may rise from one to the next.
    step = max(1, int(len(sample) / min(MOST_HELD_OUT, HELD_OUT * len(sample))))
    many = min(STRETCH, len(sample) // (2 * step))
    place = (np.arange(len(sample)) + np.random.default_rng(seed).integers(step * many)) % (step * many)
    held = place < many
    return sample[~held], sample[held]


def stretches(X: np.ndarray) -> np.ndarray:
    """All of a series or a field, or a few stretches of rows all over it, some `JUDGED` elements in all."""
    rows = max(1, JUDGED * len(X) // max(X.size, 1) // PARTS)
    if X.size <= JUDGED or PARTS * rows >= len(X):
        return X
    starts = np.linspace(0, len(X) - rows, PARTS).astype(int)
    return np.concatenate([X[start : start + rows] for start in starts])


def in_words(form: Form) -> str:
    """
    >>> from isthmus.estimators.compressor_arrays import ArrayForm
    >>> in_words(ArrayForm("images", "|u1", (28, 28), ()))
    'images of 28 x 28, uint8'
    """
    if form.kind == "table":
        return f"a table of {counted(len(form.columns), 'column')}"  # type: ignore[union-attr]
    shape = " x ".join(map(str, form.shape))  # type: ignore[union-attr]
    dtype = np.dtype(form.dtype).name  # type: ignore[union-attr]
    if form.kind == "images":
        return f"images of {shape}, {dtype}"
    if form.kind == "series":
        return f"a series, {dtype}" if not shape else f"a series of {shape} channels, {dtype}"
    return f"a field of {len(form.shape) + 1} axes, {dtype}"  # type: ignore[union-attr]
