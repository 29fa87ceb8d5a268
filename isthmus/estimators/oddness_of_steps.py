"""How odd the steps of a series are, each seen from the steps before it alone."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from isthmus.checks import counted
from isthmus.data import ArraySource, Form, Source, open_source
from isthmus.data.tables import library_of
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.steps import FEWEST, StepModel, Tail, fit_steps, surprises

PARTS = ("middle", "scale", "weights", "offset")
"""The arrays of a `StepModel`."""

MOST_STEPS = 50_000
"""The newest steps of a series, which are kept to learn from when it goes on."""


@dataclass
class Steps:
    """How odd steps are: the surprise of the channel that surprises most, in nats (`isthmus.steps`).

    Attributes
    ----------
    model : what is expected of each step, by the window of steps before it.
    past : (steps, channels) the newest steps that were learnt from.
    """

    model: StepModel
    past: np.ndarray

    @property
    def models(self) -> list[Autoencoder]:
        """None: the linear autoencoder of a series is a formula."""
        return []

    @classmethod
    def fit(cls, source: Source) -> tuple[Steps, np.ndarray]:
        """From a series; and how odd its second half is to models of the steps before."""
        x = source.read(0, source.rows)
        if len(x) < 2 * FEWEST:
            raise InputError(f"X has {counted(len(x), 'step')}; a series to learn from must have at least {2 * FEWEST}")
        first = len(x) // 2
        held_out = surprises(x, first)[first:].max(1)
        return cls(fit_steps(x), x[-MOST_STEPS:].copy()), held_out

    def taught(self, source: Source, rows: np.ndarray) -> Steps:
        """The same after the series went on; steps that are none of ``rows`` are gaps to learn from."""
        new = np.full((source.rows, self.past.shape[1]), np.nan)
        new[rows] = source.take(rows)
        past = np.concatenate([self.past, new])[-MOST_STEPS:]
        return replace(self, model=fit_steps(past), past=past)

    def __call__(self, source: Source) -> np.ndarray:
        """(steps,) how odd each step is."""
        x = source.read(0, source.rows)
        return self.model.surprise(x, seen=self.model.mended(x)).max(1)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON data and named tensors."""
        model = self.model
        tensors = {name: getattr(model, name) for name in PARTS} | {"past": self.past}
        for channel, tails in enumerate(model.tails):
            for which, tail in enumerate(tails):
                tensors[f"tail{channel}.{which}"] = np.array([*tail.rungs, tail.level, tail.excess])
        return {}, tensors

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, Tensor], models: list[Autoencoder], form: Form) -> Steps:
        """The inverse of `state`."""
        kept = {name: values.numpy() for name, values in tensors.items()}
        channels = len(kept["middle"])
        tails = tuple((tail_of(kept[f"tail{c}.0"]), tail_of(kept[f"tail{c}.1"])) for c in range(channels))
        if kept["past"].shape[1:] != (channels,) or kept["weights"].shape[1:] != (channels,):
            raise FileFormatError("the description of the series is damaged")
        return cls(StepModel(**{name: kept[name] for name in PARTS}, tails=tails), kept["past"])


def say_channels(table: Any, numbers: Any, columns: Mapping[Any, str]) -> None:
    """Say which columns are no channels, and which had better be none."""
    left_out = [str(name) for name in table.columns if name not in set(numbers.columns) | set(columns)]
    if left_out:
        warnings.warn(f"X: columns without numbers are no channels: {', '.join(left_out)}", DataWarning, stacklevel=5)
    rising = [
        str(name) for name in numbers.columns if len(numbers) > 2 and (np.diff(numbers[name].to_numpy()) > 0).all()
    ]
    if rising:
        warnings.warn(
            f"X: always rising, as times and row numbers do: {', '.join(rising)}. Every later step lies beyond what "
            f"was seen there; leave it out with columns={{'{rising[0]}': 'ignore'}}",
            DataWarning,
            stacklevel=5,
        )


def tail_of(state: np.ndarray) -> Tail:
    """A tail as `Steps.state` wrote it."""
    return Tail(state[:-2], float(state[-2]), float(state[-1]))


def series_source(
    X: Any, names: tuple[str, ...] | None = None, columns: Mapping[Any, str] | None = None
) -> ArraySource:
    """A series as (steps, channels) numbers, NaN where there is a gap.

    Parameters
    ----------
    X : (steps,) or (steps, channels) array, pandas or polars frame or Series, or a path to a table, a row for each
        step. Of frames, columns that hold no numbers (times, words) are left out.
    names : of the channels, where a fit has settled them.
    columns : ``{"time": "ignore"}`` leaves columns of a frame out.
    """
    if any(wanted != "ignore" for wanted in (columns or {}).values()):
        raise InputError(
            f"columns: of a series, columns can only be left out, such as {{'time': 'ignore'}}; got {columns!r}"
        )
    if isinstance(X, (str, os.PathLike)):
        found = open_source(X)
        X = found.wrapped(np.asarray(found.read(0, found.rows)))
    if hasattr(X, "to_frame") and not hasattr(X, "columns"):
        X = X.to_frame()
    index = getattr(X, "index", None) if library_of(X) == "pandas" else None
    own = None
    if hasattr(X, "columns"):
        table = X.to_pandas() if library_of(X) == "polars" else X
        numbers = table.select_dtypes(include="number")
        numbers = numbers[[name for name in numbers.columns if name not in (columns or {})]]
        own = tuple(map(str, numbers.columns)) if names is None else names
        missing = [name for name in own if name not in set(map(str, numbers.columns))]
        if missing or not own:
            raise InputError(
                f"X must hold numbers in the columns {', '.join(own) or '(none does)'}; "
                f"missing: {', '.join(missing) or 'all'}"
            )
        if names is None:
            say_channels(table, numbers, columns or {})
        X = numbers.rename(columns=str)[list(own)].to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        x = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"X must be a series of numbers, (steps,) or (steps, channels); got {type(X).__name__}"
        ) from error
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or not x.shape[1]:
        raise InputError(f"X must be a series, (steps,) or (steps, channels); got the shape {x.shape}")
    if np.isinf(x).any():
        step, channel = np.argwhere(np.isinf(x))[0]
        which = int(channel) if own is None else repr(own[channel])
        raise InputError(f"X holds infinity at step {step}, channel {which}: it must hold numbers, or NaN for gaps")
    return ArraySource(np.ascontiguousarray(x), names=own, index=index, container="numpy")
