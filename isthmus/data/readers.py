"""Whatever the user has, as a source of rows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch

from isthmus.data.arrays import as_array
from isthmus.data.clips import video
from isthmus.data.form import Form
from isthmus.data.later import coded_array
from isthmus.data.mixed import has_gaps, learnt_array
from isthmus.data.mixed_frames import asks_for_mixed, frame_source
from isthmus.data.paths import path_source
from isthmus.data.sequences import sequences
from isthmus.data.sources import ArraySource, Source, SparseSource
from isthmus.data.table_form import TableForm
from isthmus.data.tables import check_not_empty, kept_columns, library_of, names_differ
from isthmus.data.tokens import text
from isthmus.errors import InputError
from isthmus.records import Layout


def open_source(
    X: Any,
    *,
    argument: str = "X",
    columns: Mapping[str | int, str] | None = None,
    form: Form | None = None,
    estimator_name: str = "Autoencoder",
) -> Source:
    """Make a source of an array, a frame, a sparse matrix, a tensor, a path, or a source (returned as it is).

    A list of strings is text, and one of arrays of different lengths is of sequences. A table is *mixed* if a cell is
    missing, a column of a frame or file holds anything but numbers, or ``columns`` says what only a mixed table holds:
    then every column is coded (`isthmus.data.coding`), and ``source.described()`` says as what and why. Where all
    columns are of numbers and truth values, a gap changes nothing else: numbers are numbers, whatever they are called.

    Parameters
    ----------
    X : the data. A path may lead to .csv, .tsv (also .gz), .parquet, .npy, .npz, idx (also .gz), or a folder
        of images (PNG, JPEG, TIFF, BMP, WebP).
    argument : what errors call the data.
    columns : for single columns, by name or position, ``"numeric"``, ``"ignore"`` (left out), a scaling mode, or what
        only a mixed table holds: ``"category"``, ``"ordinal"``, ``"binary"``, ``"count"``, ``"heavy"``, ``"circular"``
        or ``"date"``.
    form : what the data of a fitted model looked like: then these must look the same. Frames must have the same
        columns in the same order, files the same columns in any order; nameless arrays the same width.
    estimator_name : what errors call the fitted model.

    Raises
    ------
    InputError
        The data cannot be used; the message says where, why, and what to do.

    Warns
    -----
    DataWarning
        Columns that are left out (identifiers, free text, empty ones); values of a category that the fit never met.

    Examples
    --------
    >>> open_source([[1.0, 2.0], [3.0, 4.0]])
    ArraySource(rows=2, shape=(2,), dtype=float64)
    """
    if columns is not None and not isinstance(columns, Mapping):
        raise InputError(
            "columns must say what single columns are, by name or position, such as {'id': 'ignore'}; "
            f"got {columns!r}"
        )
    if isinstance(X, Source):
        source = X
        if type(X) is ArraySource and X.names is None and len(X.layout.shape) == 1 and isinstance(form, TableForm):
            source = array_source(X.array, argument, columns, form, estimator_name)
    elif isinstance(X, (str, os.PathLike)):
        found = path_source(Path(X).expanduser(), argument, columns, form, estimator_name)
        source = found if isinstance(found, Source) else numbers_source(found, argument, columns, form, estimator_name)
    elif scipy.sparse.issparse(X):
        source = sparse_source(X, argument, columns, form)
    elif is_text(X) and (form is None or form.words is not None):
        told = Form("numpy", None, (), Layout((), ())) if form is None else form
        source = text(X, vocabulary=told.words, level=told.level, argument=argument)
    elif library_of(X) == "polars" or (library_of(X) in ("pandas", "pyarrow") and hasattr(X, "columns")):
        source = frame_source(X, argument, columns, form, estimator_name)
    else:
        source = numbers_source(X, argument, columns, form, estimator_name)
    if columns and not isinstance(X, Source) and source.layout.columns is None:
        source.per_column = dict(columns)
    if form is None:
        return source
    return matched(source, form, estimator_name, by_name=isinstance(X, (str, os.PathLike)))


def is_text(X: Any) -> bool:
    """Whether it is a list, or an array of one axis, of nothing but strings."""
    if isinstance(X, np.ndarray):
        return X.ndim == 1 and X.dtype.kind in "UT" and len(X) > 0
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(isinstance(item, str) for item in X)


def is_ragged(X: Any) -> bool:
    """Whether it is a list of arrays of different lengths; lists in a list are more likely a table with a mistake."""
    if isinstance(X, np.ndarray):
        X = X.tolist() if X.dtype == object and X.ndim == 1 else ()
    if not isinstance(X, (list, tuple)) or not all(isinstance(item, (np.ndarray, torch.Tensor)) for item in X):
        return False
    return all(item.ndim in (1, 2) for item in X) and len({len(item) for item in X}) > 1


def numbers_source(
    X: Any, argument: str, columns: Mapping[Any, str] | None, form: Form | None, estimator_name: str
) -> Source:
    """Arrays and lists: a table or images, or the sequences that a fitted model knows or that lengths give away."""
    known = form is not None and form.layout.sequence
    if columns and (known or is_ragged(X)):
        raise InputError(f"columns apply to tables; {argument} holds sequences")
    if form is not None and known:
        return video(X, argument=argument) if form.layout.axes[0] == "frame" else sequences(X, argument)
    return sequences(X, argument) if is_ragged(X) else array_source(X, argument, columns, form, estimator_name)


def array_source(
    X: Any, argument: str, columns: Mapping[Any, str] | None, form: Form | None, estimator_name: str
) -> ArraySource:
    """An array of two to four axes."""
    array = as_array(X, argument)
    mapped = isinstance(array, np.memmap)
    if array.ndim < 2:
        what = "1D array" if array.ndim == 1 else "a single number"
        raise InputError(
            f"Expected 2D array, got {what} instead: {argument} has shape {array.shape}. "
            f"Reshape your data either using array.reshape(-1, 1) if your data has a single feature "
            f"or array.reshape(1, -1) if it contains a single sample."
        )
    if array.ndim > 4:
        raise InputError(
            f"{argument} has {array.ndim} axes, shape {array.shape}; a table has 2, grey images 3 (rows, height, "
            f"width), colour images 4. Clips of pictures: isthmus.data.video({argument}); anything else: flatten it, "
            f"array.reshape(len(array), -1)."
        )
    check_not_empty(array.shape, argument)
    if array.ndim == 2 and isinstance(form, TableForm):
        return coded_array(array, form, columns, mapped, argument, estimator_name)
    if array.ndim == 2 and form is None and (asks_for_mixed(columns) or has_gaps(array)):
        return learnt_array(array, columns, mapped, argument)
    kept = None
    if columns:
        if array.ndim > 2:
            raise InputError(f"columns apply to tables; {argument} holds images of shape {array.shape[1:]}")
        array, kept = without_ignored(array, columns, form)
    return ArraySource(array, kept=kept, mapped=mapped, argument=argument)


def without_ignored(X: Any, columns: Mapping[Any, str], form: Form | None) -> tuple[Any, tuple[int, ...] | None]:
    """A nameless table without the ignored positions; one that already has a fitted model's width stays."""
    if form is not None and X.shape[1] == form.layout.features:
        return X, None
    kept = kept_columns(columns, None, X.shape[1], strict=form is None)
    return (X, None) if kept.all_of_them else (X[:, list(kept.positions)], kept.positions)


def sparse_source(X: Any, argument: str, columns: Mapping[Any, str] | None, form: Form | None) -> SparseSource:
    if X.dtype.kind == "c":
        raise InputError(f"Complex data not supported: the sparse matrix {argument} has type {X.dtype}")
    if X.dtype.kind not in "biuf":
        raise InputError(f"the sparse matrix {argument} must hold numbers; got type {X.dtype}")
    if X.ndim != 2:
        raise InputError(f"the sparse matrix {argument} must have two axes; got shape {X.shape}. Reshape your data.")
    check_not_empty(X.shape, argument)
    if isinstance(form, TableForm):
        raise InputError(f"{argument} is a sparse matrix, but the fit was to a mixed table: give {argument}.toarray()")
    if asks_for_mixed(columns):
        raise InputError(f"columns: {argument} is a sparse matrix, whose columns can be 'numeric', 'ignore' or scaled")
    kept = None
    if columns:
        X, kept = without_ignored(scipy.sparse.csc_array(X), columns, form)
    return SparseSource(X, kept=kept, argument=argument)


def matched(source: Source, form: Form, estimator_name: str, by_name: bool) -> Source:
    """The source with its columns as the fitted model expects them, or an error that says what differs."""
    if source.layout.columns is not None or (form.layout.columns is not None and source.layout.axes == ("column",)):
        check_codings(source, form, estimator_name)
        return source
    if source.names is not None and form.names is not None and source.names != form.names:
        if not by_name or set(source.names) != set(form.names):
            raise InputError(names_differ(source.names, form.names, None if by_name else source.argument))
        source = Reordered(source, form)
    alike = source.layout.sequence and source.layout.axes == form.layout.axes
    if source.layout.shape == form.layout.shape or (alike and source.layout.shape[1:] == form.layout.shape[1:]):
        return source
    expected, got = form.layout, source.layout
    if len(expected.shape) == 1 and len(got.shape) == 1:
        raise InputError(
            f"X has {got.features} features, but {estimator_name} is expecting {expected.features} features as input."
        )
    shape = ", ".join(map(str, expected.shape))
    advice = f" Reshape your data: array.reshape(-1, {shape})." if got.features == expected.features else ""
    raise InputError(
        f"{source.argument} has rows of shape {got.shape}, but {estimator_name} is expecting {expected.shape}.{advice}"
    )


def check_codings(source: Source, form: Form, estimator_name: str) -> None:
    """A mixed table must be coded as that of the fit was: the same number may stand for another level elsewhere."""
    mine = source.form
    if isinstance(mine, TableForm) and isinstance(form, TableForm) and mine.codings == form.codings:
        return
    fitted = "a mixed table" if form.layout.columns is not None else "a table of numbers without missing cells"
    raise InputError(
        f"{source.argument} came as a source of its own, {type(source).__name__}, but {estimator_name} was fitted on "
        f"{fitted}, whose columns it codes in its own way. Give the table itself (a frame, an array or a path)."
    )


class Reordered(Source):
    """Another source with its columns in the order of a fitted model."""

    def __init__(self, source: Source, form: Form) -> None:
        at = {name: i for i, name in enumerate(source.names or ())}
        self.source = source
        self.names = form.names
        self.order = np.array([at[name] for name in self.names or ()])
        self.rows, self.layout, self.blocks = source.rows, source.layout, source.blocks
        self.container, self.index, self.random_access = source.container, source.index, source.random_access
        self.numbered, self.argument, self.per_column = source.numbered, source.argument, source.per_column
        self.dtypes = source.dtypes if len(source.dtypes) == 1 else tuple(source.dtypes[i] for i in self.order)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.source.take(rows)[:, self.order]

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.source.read(start, stop)[:, self.order]
