"""What a denoiser is given: pictures, series, clips or a table, as arrays of one kind, and results in the same form."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import did_you_mean
from isthmus.data import Source, open_source
from isthmus.data.arrays import as_array
from isthmus.data.form import cast, plain_dtype
from isthmus.data.paths import path_source
from isthmus.data.tables import library_of
from isthmus.data.windows import Windows
from isthmus.errors import DataWarning, InputError

AXES = {
    "images": ("height", "width"),
    "series": ("step",),
    "video": ("frame", "height", "width"),
    "table": ("column",),
}
"""The kinds of data, and the axes of one whole of each, to which a channel may be added."""

NOUNS = {"images": "image", "series": "series", "video": "clip", "table": "row"}

MOST_CHANNELS = 4
"""A last axis no longer than this may hold the channels of colour."""

CHANNELS = 8
"""An array of two axes is one series of channels where it has no more columns, and as many times more rows."""


@dataclass(frozen=True)
class Signals:
    """Wholes of one kind.

    Attributes
    ----------
    wholes : arrays (*axes[, channel]), or one array of them where all have one size.
    axes : of one whole.
    give_back : results, shaped as ``wholes``, in the form that the user gave.
    names : of the columns of a table, where it has some.
    """

    wholes: Any
    axes: tuple[str, ...]
    give_back: Callable[[Any], Any]
    names: tuple[str, ...] | None = None

    @property
    def kind(self) -> str:
        return next(name for name, axes in AXES.items() if self.axes[: len(axes)] == axes)

    @property
    def grids(self) -> set[tuple[int, ...]]:
        """The sizes that there are, without channels."""
        running = len(AXES[self.kind])
        if isinstance(self.wholes, np.ndarray):
            return {self.wholes.shape[1 : 1 + running]}
        return {whole.shape[:running] for whole in self.wholes}

    @property
    def channels(self) -> int | None:
        """None where there is no axis for them."""
        return self.wholes[0].shape[-1] if self.axes[-1] == "channel" else None

    @property
    def dtype(self) -> np.dtype:
        if isinstance(self.wholes, np.ndarray):
            return self.wholes.dtype
        return np.result_type(*{whole.dtype for whole in self.wholes})

    def empty(self, dtype: np.dtype | None = None) -> Any:
        """Room for results; each of the type of its whole unless another is asked for."""
        if isinstance(self.wholes, np.ndarray):
            return np.empty(self.wholes.shape, self.wholes.dtype if dtype is None else dtype)
        return [np.empty(whole.shape, whole.dtype if dtype is None else dtype) for whole in self.wholes]


def signals(X: Any, kind: str = "auto", argument: str = "X", like: tuple[str, ...] | None = None) -> Signals:
    """Take in what the user gave.

    Parameters
    ----------
    X : an array, a frame, a list of arrays of different sizes, a source, or the path of an array's file.
    kind : ``"images"``, ``"series"``, ``"video"``, ``"table"``, or ``"auto"``: as the number of axes has it.
    argument : what errors call it.
    like : the axes of the data that a model was fitted on; then one whole may come alone.

    Notes
    -----
    A frame or a file with columns is one series, every column a channel. So is an array of two axes with at most
    `CHANNELS` columns and more than `CHANNELS` times as many rows, unless the fit had no channels; any other holds a
    series in every row. One column is a series without an axis for channels.

    Raises
    ------
    InputError
        The data are of another kind, hold no numbers, NaN or infinity, or differ where they must be alike.

    Examples
    --------
    >>> signals(np.zeros((2, 8, 8))).axes, signals(np.zeros((2, 8, 8)), "series").axes
    (('height', 'width'), ('step', 'channel'))
    """
    if kind != "auto" and kind not in AXES:
        raise InputError(f"data must be 'auto', 'images', 'series', 'video' or 'table'; got {kind!r}."
                         f"{did_you_mean(kind, AXES)}")  # fmt: skip
    if isinstance(X, (str, os.PathLike)):
        X = path_source(Path(X).expanduser(), argument, None)
    if isinstance(X, Windows):
        return of_windows(X, kind, argument, like)
    framed = library_of(X) in ("pandas", "polars")
    steps = kind == "series" if like is None else like[0] == "step"
    if framed and not hasattr(X, "columns") and (steps or kind == "auto"):
        return of_column(X, argument, like)
    if isinstance(X, Source) or framed:
        source = open_source(X, argument=argument)
        if steps and source.layout.axes == ("column",) and source.container != "numpy":
            return one_series(source.read(0, source.rows), source.wrapped, argument, like)
        return of_source(source, kind, argument, like)
    if isinstance(X, (list, tuple)) and not len(X):
        raise InputError(f"{argument} is empty: there must be at least one {NOUNS.get(kind, 'row')}")
    if isinstance(X, (list, tuple)) and any(np.ndim(part) > 0 for part in X[:1]) and uneven(X):
        wholes: Any = [as_array(part, f"{argument}[{i}]") for i, part in enumerate(X)]
        ndim, many = {whole.ndim for whole in wholes}, True
        if len(ndim) > 1:
            raise InputError(f"{argument} must hold arrays with one number of axes; got some of {sorted(ndim)} axes")
        axes = axes_of(ndim.pop(), kind, argument, like, f"{argument}[0] has the shape {wholes[0].shape}")
        if axes[-1] == "channel" and len({whole.shape[-1] for whole in wholes}) > 1:
            found = ", ".join(map(str, sorted({whole.shape[-1] for whole in wholes})))
            raise InputError(f"{argument} must hold arrays with one number of channels; got {found}")
    else:
        wholes = as_array(X, argument)
        kind = "series" if kind == "auto" and wholes.ndim == 1 else kind
        if steps and wholes.ndim == 2 and not isinstance(X, (list, tuple)) and is_one_series(wholes.shape, like):
            return one_series(wholes, lambda results: results, argument, like)
        said, many = f"{argument} has the shape {wholes.shape}", several(wholes, kind, like)
        wholes = wholes if many else wholes[None]
        axes = axes_of(wholes.ndim - 1, kind, argument, like, said)
    return checked(Signals(wholes, axes, (lambda results: results) if many else (lambda results: results[0])), argument)


def is_one_series(shape: tuple[int, ...], like: tuple[str, ...] | None) -> bool:
    """Whether an array of two axes is one series, with its channels in columns.

    >>> is_one_series((5000, 3), None), is_one_series((20, 300), None), is_one_series((5000, 3), ("step",))
    (True, False, False)
    """
    steps, channels = shape
    if like is not None:
        return channels == 1 < steps and len(like) == 1
    return channels == 1 < steps or (channels <= CHANNELS and steps > CHANNELS * channels)


def one_series(
    values: np.ndarray, wrapped: Callable[[Any], Any], argument: str, like: tuple[str, ...] | None
) -> Signals:
    """(steps, channels) as one series; ``wrapped`` gives such results their form."""
    steps, channels = values.shape
    if like is not None and len(like) == 1 and channels > 1:
        raise InputError(f"{argument} is one series of {channels} channels, but the series of the fit had none")
    if channels > 1 or (like is not None and len(like) == 2):
        return checked(Signals(values[None], (*AXES["series"], "channel"), lambda out: wrapped(out[0])), argument)
    back = lambda out: wrapped(np.asarray(out[0])[:, None])  # noqa: E731
    return checked(Signals(values.reshape(1, steps), AXES["series"], back), argument)


def of_column(X: Any, argument: str, like: tuple[str, ...] | None) -> Signals:
    """A pandas or polars series: one series, which comes back as such."""
    kept = {"index": X.index, "name": X.name} if library_of(X) == "pandas" else {"name": X.name}

    def wrapped(out: Any) -> Any:
        column = np.ascontiguousarray(out[:, 0])
        return type(X)(column, **kept) if library_of(X) == "pandas" else type(X)(values=column, **kept)

    return one_series(as_array(X.to_numpy(), argument)[:, None], wrapped, argument, like)


def of_windows(source: Windows, kind: str, argument: str, like: tuple[str, ...] | None) -> Signals:
    """The series that windows were cut from, whole."""
    if source.present is not None:
        raise missing(argument)
    pieces = np.split(source.values, source.ends[:-1])
    said = f"{argument} holds windows of series of the shape {pieces[0].shape}"
    axes = axes_of(pieces[0].ndim, kind if kind != "auto" or like else "series", argument, like, said)

    def back(results: Any) -> Any:
        results = list(results)
        if source.labels is not None:
            import pandas as pd

            labelled = zip(results, source.labels, strict=True)
            results = [pd.DataFrame(out.reshape(len(out), -1), index=i, columns=names) for out, (i, names) in labelled]
        return results if source.many else results[0]

    return checked(Signals(pieces, axes, back), argument)


def missing(argument: str) -> InputError:
    return InputError(f"{argument}: cells are missing, and a Denoiser needs all of them; "
                      "Autoencoder.reconstruct fills gaps")  # fmt: skip


def check_not_colour(X: Any, given: Signals, argument: str, width: int | None = None) -> None:
    """Refuse one colour picture that would be read as many grey ones, each of the width of its channels.

    ``width``: of the pictures of the fit, where all had one.
    """
    shape = np.shape(given.wholes) if isinstance(given.wholes, np.ndarray) else ()
    if given.axes != AXES["images"] or len(shape) != 3 or np.ndim(X) != 3 or shape[2] == width:
        return
    if shape[2] in (3, 4) and min(shape[:2]) > MOST_CHANNELS:
        raise InputError(
            f"{argument} has the shape {shape}: that is one colour picture, or {shape[0]} grey ones {shape[2]} pixels "
            f"wide. For a denoiser of colour pictures fit to several, (n, height, width, {shape[2]}); one of grey "
            "pictures cleans the channels as pictures of their own, X.transpose(2, 0, 1). Narrow grey pictures take "
            "X[..., None]"
        )


def uneven(X: Sequence[Any]) -> bool:
    """Whether the parts of a list differ in size or type, so that they make no one array."""
    found = {(np.shape(part), str(part.dtype)) if hasattr(part, "__array__") else ((len(part),), "") for part in X}
    return len(found) > 1


def several(array: np.ndarray, kind: str, like: tuple[str, ...] | None) -> bool:
    """Whether an array holds several wholes, or is one."""
    if like is not None:
        return array.ndim != len(like)
    if kind == "video":
        return array.ndim > 4 or (array.ndim == 4 and array.shape[-1] > MOST_CHANNELS)
    return array.ndim > 1


def axes_of(ndim: int, kind: str, argument: str, like: tuple[str, ...] | None, said: str) -> tuple[str, ...]:
    """The names of the axes of one whole; ``said``: what came, in words."""
    if like is not None:
        if ndim != len(like):
            raise InputError(
                f"{argument} must be like the data of the fit, whose axes were ({', '.join(like)}), alone or several "
                f"of them in front; {said}"
            )
        return like
    if kind == "auto":
        kind = {1: "table", 2: "images", 3: "images"}.get(ndim, "images")
    axes = AXES[kind]
    if ndim == len(axes):
        return axes
    if ndim == len(axes) + 1 and kind != "table":
        return (*axes, "channel")
    deep = "" if kind == "table" else f" or {len(axes) + 1} with channels"
    raise InputError(
        f"{argument}: one {NOUNS[kind]} has {len(axes)} axes ({', '.join(axes)}){deep}, and several have one more in "
        f"front; {said}"
    )


def of_source(source: Source, kind: str, argument: str, like: tuple[str, ...] | None) -> Signals:
    """A frame, or rows that were read by `isthmus.data`."""
    if source.layout.columns is not None:
        raise InputError(
            f"{argument}: a Denoiser takes tables of numbers without gaps; this one has columns of other kinds, or "
            "missing cells. Autoencoder('masked').fit(table).impute(table) fills these"
        )
    values = source.read(0, source.rows)
    axes = source.layout.axes
    if kind != "auto" or like is not None:
        axes = axes_of(values.ndim - 1, kind, argument, like, f"{argument} has the shape {values.shape}")
    lengths = source.lengths
    if lengths is not None:
        parts: Any = [row[:length] for row, length in zip(values, lengths.tolist(), strict=True)]
        return checked(Signals(parts, axes, lambda results: results), argument)
    if source.weight(np.arange(source.rows)) is not None:
        raise missing(argument)
    if source.container == "numpy":
        return checked(Signals(values, axes, lambda results: results, source.names), argument)
    return checked(Signals(values, axes, lambda results: source.wrapped(np.asarray(results)), source.names), argument)


def checked(given: Signals, argument: str) -> Signals:
    """The same, once it is certain that there are numbers in it and nothing but numbers."""
    noun = NOUNS[given.kind]
    if not len(given.wholes) or any(0 in whole.shape for whole in given.wholes):
        raise InputError(f"{argument} is empty: there must be at least one {noun}, and none of size 0")
    stacked = isinstance(given.wholes, np.ndarray)
    for number, whole in [(0, given.wholes)] if stacked else enumerate(given.wholes):
        if whole.dtype.kind == "f" and not np.isfinite(whole.sum(dtype=np.float64)):
            where = np.argwhere(~np.isfinite(whole))
            if len(where):
                number, *spot = where[0].tolist() if stacked else [number, *where[0].tolist()]
                raise InputError(
                    f"{argument} must hold finite numbers; {noun} {number} holds {whole[tuple(where[0])]} at "
                    f"{tuple(spot)}, and there are {len(where):,} such in all: fill them in first"
                )
    return given


UNLIKE = 8
"""Floats that span so many times less than the data of the fit are probably in another unit."""


@dataclass(frozen=True)
class Range:
    """How cells are scaled: ``scaled = (x - low) / span``.

    Pictures have one scale for all cells, so that they may be of any size: black is 0 and white is 1. Of series every
    channel, and of tables every column, has mean 0 and standard deviation 1.

    Attributes
    ----------
    low, span : () or (channels,) float64.
    whole : the type of whole numbers whose full range [0, 1] is, by name, or None: then data of another such type
        have a range of their own.
    bounded : cells of pictures lie within [0, 1].
    """

    low: np.ndarray
    span: np.ndarray
    whole: str | None = None
    bounded: bool = True

    @classmethod
    def of(cls, given: Signals, argument: str) -> Range:
        """The scale that suits the data of a fit; of pictures of 8 bits beside 16, that of 8."""
        wholes, dtype = given.wholes, given.dtype
        if given.kind in ("series", "table"):
            deep = given.kind == "table" or given.channels is not None
            cells = np.concatenate([np.asarray(w, np.float64).reshape(-1, w.shape[-1] if deep else 1) for w in wholes])
            spread = cells.std(axis=0)
            if not (spread > 0).any():
                raise constant(argument, cells.flat[0])
            mean, spread = cells.mean(axis=0), np.where(spread > 0, spread, 1.0)
            return cls(mean if deep else mean[0], spread if deep else spread[0], bounded=False)
        low, high = extent(wholes)
        if low == high:
            raise constant(argument, low)
        types = sorted({whole.dtype.name for whole in wholes})
        full = [full_range(np.dtype(name)) is not None for name in types]
        if len(types) > 1 and any(full):
            if not all(full):
                raise InputError(f"{argument} holds pictures of the types {', '.join(types)}, whose cells may differ "
                                 "in unit: bring them to one type")  # fmt: skip
            return cls(np.array(0.0), np.array(255.0), "uint8")  # each is scaled by its own type
        top = full_range(dtype)
        if top is not None and high > top / 2:
            return cls(np.array(0.0), np.array(top), dtype.name)
        if dtype.kind == "f" and low >= 0 and 0.5 < high <= 1:
            low, high = 0.0, 1.0
        return cls(np.array(low), np.array(high - low))

    def suited(self, given: Signals, argument: str) -> Range:
        """The same for the data of a use: refused where they are in another unit."""
        if self.whole is not None and full_range(given.dtype) is not None:
            return self.of_type(given.dtype)
        if not self.bounded:
            return self
        low, high = extent(given.wholes)
        small = self.whole is not None and high <= 1.5 and low >= -0.5 and given.dtype.kind == "f"
        far = max(self.low - low, high - self.low - self.span) > 5 * self.span
        if small or far:
            raise InputError(
                f"{argument} holds values from {low:.4g} to {high:.4g}, but the denoiser was fitted on pictures from "
                f"{float(self.low):.4g} to {float(self.low + self.span):.4g}: bring them to the same unit"
            )
        if given.dtype.kind == "f" and 0 < UNLIKE * (high - low) < self.span:
            warnings.warn(
                f"{argument} holds values from {low:.4g} to {high:.4g} only, and the denoiser was fitted on pictures "
                f"from {float(self.low):.4g} to {float(self.low + self.span):.4g}: if that is another unit, bring them "
                "to the same",
                DataWarning,
                stacklevel=2,
            )
        return self

    def of_type(self, dtype: np.dtype) -> Range:
        """The same for cells of a type: whole numbers of 8 and of 16 bits have black and white of their own."""
        top = full_range(dtype)
        if self.whole is None or top is None:
            return self
        return Range(np.array(0.0), np.array(top), dtype.name)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """float32, scaled."""
        return ((x - self.low) / self.span).astype(np.float32)

    def inverse(self, x: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """In the user's units and type: whole numbers are rounded and clipped to what the type holds."""
        return cast(np.asarray(x, np.float64) * self.span + self.low, plain_dtype(dtype.name))


def extent(wholes: Sequence[np.ndarray] | np.ndarray) -> tuple[float, float]:
    """The least and the greatest value of all."""
    parts = [wholes] if isinstance(wholes, np.ndarray) else wholes
    return min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)


def full_range(dtype: np.dtype) -> float | None:
    """The largest value of the types that pictures come in.

    >>> full_range(np.dtype("uint16")), full_range(np.dtype("float32"))
    (65535.0, None)
    """
    return float(np.iinfo(dtype).max) if dtype in (np.uint8, np.uint16) else None


def constant(argument: str, value: float) -> InputError:
    return InputError(f"{argument} holds the value {value:g} in every cell: there is nothing to tell from noise")
