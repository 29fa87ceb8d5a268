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
from isthmus.data.measured import has_dates, time_column
from isthmus.data.table_form import TableForm
from isthmus.data.tables import library_of
from isthmus.data.timeline import Pace, as_index, paced
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.steps import FEWEST, MOST_WINDOW, StepModel, Tail, fit_steps, surprises

PARTS = ("middle", "scale", "weights", "offset", "products")
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
    pace : the time from step to step, None where it is not known.
    end : the time of the last of them, a number or text that says a date; None where it is not known.
    """

    model: StepModel
    past: np.ndarray
    pace: Pace | None = None
    end: Any = None

    @property
    def models(self) -> list[Autoencoder]:
        """None: the linear autoencoder of a series is a formula."""
        return []

    @classmethod
    def fit(cls, source: Source) -> tuple[Steps, np.ndarray]:
        """From a series; and how odd its second half is to models of the steps before."""
        if source.rows < 2 * FEWEST:
            raise InputError(
                f"X has {counted(source.rows, 'step')}; a series to learn from must have at least {2 * FEWEST}"
            )
        x, _ = on_grid(source)
        first = len(x) // 2
        held_out = surprises(x, first).max(1)[first:][~np.isnan(x[first:]).all(1)]
        made = cls(fit_steps(x), x[-MOST_STEPS:].copy())
        if isinstance(source, SeriesSource) and source.ends and source.pace:
            made.pace, made.end = source.pace, source.ends[1]
        return made, held_out

    @property
    def window(self) -> int:
        """The steps that each is judged by; the first ones of a series are judged by the fewer there are."""
        return len(self.model.weights)

    def taught(self, source: Source, rows: np.ndarray) -> Steps:
        """The same after the series went on; steps that are none of ``rows`` are gaps to learn from."""
        x, places = on_grid(source)
        new = np.full_like(x, np.nan)
        new[places[rows]] = x[places[rows]]
        past = np.concatenate([self.past, self._hole(self._missing(source) or 0), new])[-MOST_STEPS:]
        ends = source.ends if isinstance(source, SeriesSource) else None
        return replace(self, model=fit_steps(past), past=past, end=ends and ends[1])

    def __call__(self, source: Source) -> np.ndarray:
        """(rows,) how odd each step is; NaN where nothing is known of it."""
        before = self._before(source)
        steps = len(on_grid(source)[0])
        if not len(before) and steps < self.window:
            warnings.warn(
                f"{source.argument}: {counted(steps, 'step')}, fewer than the window of {self.window} that each is "
                "judged by: all are judged by the few before them, which tells less. Give them with steps from before",
                DataWarning,
                stacklevel=3,
            )
        return self._judged(source, before)[0].max(1)

    def going_on(self, source: Source) -> np.ndarray:
        """The same of rows that go on where those left off that were learnt from: these are the steps before."""
        if isinstance(source, SeriesSource) and source.ends and not later(source.ends[0], self.end):
            raise InputError(
                f"{source.argument}: begins at {source.ends[0]}, but the steps that were learnt from went on until "
                f"{self.end}: give rows from after that, each once"
            )
        return self._judged(source, self._learnt(self._missing(source) or 0))[0].max(1)

    def judged(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        """(rows, channels) how odd each channel of each step is, NaN where nothing is known of the step; and what was
        expected there, in the series' units."""
        return self._judged(source, self._before(source))

    def _judged(self, source: Source, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, places = on_grid(source)
        x, places = np.concatenate([before, x]), places + len(before)
        odd, expected = self.model.judged(x)
        odd[np.isnan(x).all(1)] = np.nan
        return odd[places], expected[places]

    def _before(self, source: Source) -> np.ndarray:
        """(steps, channels) what came before a series whose times say that it goes on where those left off that were
        learnt from; else nothing."""
        missing = self._missing(source)
        return self._learnt(missing) if missing is not None and missing < self.window else self._hole(0)

    def _learnt(self, missing: int) -> np.ndarray:
        return np.concatenate([self.past[-2 * self.window :], self._hole(missing)])

    def _hole(self, steps: int) -> np.ndarray:
        return np.full((steps, self.past.shape[1]), np.nan)

    def _missing(self, source: Source) -> int | None:
        """Steps between the last that was learnt from and the first of a source, None where that is not known."""
        ends = source.ends if isinstance(source, SeriesSource) else None
        if not ends or self.pace is None or self.end is None or not later(ends[0], self.end):
            return None
        places, _, irregular = paced([self.end, ends[0]], self.pace, MOST_WINDOW)
        return None if irregular else int(places[-1]) - 1

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON data and named tensors."""
        model = self.model
        tensors = {name: getattr(model, name) for name in PARTS} | {"past": self.past}
        for channel, tails in enumerate(model.tails):
            for which, tail in enumerate(tails):
                tensors[f"tail{channel}.{which}"] = np.array([*tail.rungs, tail.level, tail.excess])
        return {"pace": self.pace and list(self.pace), "end": self.end}, tensors

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, Tensor], models: list[Autoencoder], form: Form) -> Steps:
        """The inverse of `state`."""
        kept = {name: values.numpy() for name, values in tensors.items()}
        channels = len(kept["middle"])
        tails = tuple((tail_of(kept[f"tail{c}.0"]), tail_of(kept[f"tail{c}.1"])) for c in range(channels))
        window = len(kept["weights"])
        shapes = {"past": kept["past"].shape[:1], "weights": (window,), "products": (window + 1,)}
        if any(kept[name].shape != (*shape, channels) for name, shape in shapes.items()):
            raise FileFormatError("the description of the series is damaged")
        pace = body["pace"] and Pace(*body["pace"])
        return cls(StepModel(**{name: kept[name] for name in PARTS}, tails=tails), kept["past"], pace, body["end"])


class SeriesSource(ArraySource):
    """A series, a row for each step that was given.

    Attributes
    ----------
    places : (rows,) where in time each row lies, in steps from the first on.
    pace : the time from step to step, None where it is not known.
    ends : the times of the first and of the last row, numbers or text; None where they are not known.
    """

    places: np.ndarray
    pace: Pace | None = None
    ends: tuple[Any, Any] | None = None


def later(time: Any, end: Any) -> bool:
    """Whether a time, as `SeriesSource` keeps it, comes after another; where that is not known, yes."""
    if isinstance(time, str) and isinstance(end, str):
        import pandas as pd

        time, end = pd.Timestamp(time), pd.Timestamp(end)
        return (time.tz is None) != (end.tz is None) or time > end
    return type(time) is not type(end) or time > end


def plain(time: Any) -> Any:
    """A time as a number, or as text that says a date."""
    return time.isoformat() if hasattr(time, "isoformat") else float(time)


def on_grid(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """(steps, channels) a series at regular steps, NaN where there is a gap or was no row; and (rows,) where in it each
    row lies."""
    x = np.asarray(source.read(0, source.rows), dtype=np.float64)
    places = source.places if isinstance(source, SeriesSource) else np.arange(len(x))
    if not len(x) or places[-1] + 1 == len(x):
        return x, places
    grid = np.full((places[-1] + 1, x.shape[1]), np.nan)
    grid[places] = x
    return grid, places


def frame_at(path: str | os.PathLike[str]) -> Any:
    """What lies at a path, with the dates of text tables, which may be written in many ways, as dates."""
    found = open_source(path)
    raw = np.asarray(found.read(0, found.rows))
    X = found.wrapped(raw)
    for place, coding in enumerate(found.form.codings if isinstance(found.form, TableForm) else ()):
        if coding.type == "date" and library_of(X) == "pandas" and not hasattr(X.iloc[:, place], "dt"):
            import pandas as pd

            X[X.columns[place]] = pd.to_datetime(raw[:, place], unit="s").round("us")
    return X


def times_of(table: Any, columns: Mapping[Any, str]) -> tuple[Any, Any]:
    """The times of a pandas frame's rows, in its index or its one column of dates, and the column's name; None, None
    where there are none."""
    if has_dates(table.index):
        return table.index, None
    name = time_column(table, [one for one in table.columns if one in columns])
    return (None, None) if name is None else (table[name], name)


def placed(
    times: Any, name: Any, known: bool, pace: Pace | None
) -> tuple[np.ndarray, Pace | None, tuple[Any, Any] | None]:
    """Where in time rows lie, the step, and the first and last time; where the times are irregular, that is said, and
    rows are counted."""
    called = "the index" if name is None else str(name)
    # Whatever lies behind a gap of a whole window is judged as a new series: how long the gap is does not matter.
    places, found, irregular = paced(times, pace, MOST_WINDOW, "X", called)
    if irregular and (pace is not None or not known):  # of irregular ones in the fit, that has said so
        without = "X.reset_index(drop=True)" if name is None else f"columns={{{name!r}: 'ignore'}}"
        usual = "the step of the fit" if known else "their median"
        warnings.warn(
            f"X: the steps of {called} are no whole multiples of {usual}: {irregular}. Rows are counted as steps, and "
            f"gaps between them go unseen; bring them onto a regular grid (frame.resample), or say that they are steps "
            f"by {without}",
            DataWarning,
            stacklevel=5,
        )
    stamps = as_index(times, "X", called)
    return (places, None, None) if irregular else (places, found, (plain(stamps[0]), plain(stamps[-1])))


def say_channels(table: Any, numbers: Any, columns: Mapping[Any, str], time: Any) -> None:
    """Say which columns are no channels, and which had better be none."""
    used = {*numbers.columns, *columns, *(() if time is None else (time,))}
    left_out = [str(name) for name in table.columns if name not in used]
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
    X: Any,
    names: tuple[str, ...] | None = None,
    columns: Mapping[Any, str] | None = None,
    pace: Pace | None = None,
) -> SeriesSource:
    """A series as (rows, channels) numbers, NaN where there is a gap, and where in time the rows lie.

    Parameters
    ----------
    X : (steps,) or (steps, channels) array, pandas or polars frame or Series, or a path to a table, a row for each
        step. Of frames, columns that hold no numbers are left out; the index, or the one column, that holds dates
        says when the steps were.
    names : of the channels, where a fit has settled them.
    pace : the time from step to step, where a fit has settled it.
    columns : ``{"time": "ignore"}`` leaves columns of a frame out.
    """
    if any(wanted != "ignore" for wanted in (columns or {}).values()):
        raise InputError(
            f"columns: of a series, columns can only be left out, such as {{'time': 'ignore'}}; got {columns!r}"
        )
    if isinstance(X, (str, os.PathLike)):
        X = frame_at(X)
    if hasattr(X, "to_frame") and not hasattr(X, "columns"):
        X = X.to_frame()
    index = getattr(X, "index", None) if library_of(X) == "pandas" else None
    own, places, ends = None, None, None
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
        times, time = times_of(table, columns or {})
        if times is not None and len(table):
            places, pace, ends = placed(times, time, names is not None, pace)
        if names is None:
            say_channels(table, numbers, columns or {}, time)
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
    made = SeriesSource(np.ascontiguousarray(x), names=own, index=index, container="numpy")
    made.places, made.pace, made.ends = np.arange(len(x)) if places is None else places, pace, ends
    return made
