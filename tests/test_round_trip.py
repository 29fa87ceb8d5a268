"""Mixed tables come back as they were: types, categories, time zones, index, column order, and every known value."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal as assert_polars_equal

from isthmus.data import open_source, write_table
from isthmus.data.delimited import read_csv
from isthmus.errors import DataWarning

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "+05:30")
WORDS = ("Oslo", "Bonn", "né", "a,b", "日本")


def opened(X: Any, **knobs: Any) -> Any:
    """A source; what is said of columns that are left out is no matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return open_source(X, **knobs)


def back(source: Any) -> Any:
    return source.wrapped(source.read(0, source.rows))


# Columns of every type that a table may have: (pandas array, drawn from a seeded generator), some cells missing.


def gaps(random: np.random.Generator, rows: int, share: float) -> np.ndarray:
    return random.random(rows) < share


def numbers(dtype: str) -> Any:
    def make(random: np.random.Generator, rows: int, share: float) -> Any:
        values = random.normal(size=rows) * 100
        return pd.array(np.where(gaps(random, rows, share), np.nan, values), dtype=dtype)

    return make


def whole(dtype: str) -> Any:
    def make(random: np.random.Generator, rows: int, share: float) -> Any:
        values = random.integers(0, 100, rows)
        if dtype.islower() and "[" not in dtype:
            return pd.Series(values).astype(dtype).array
        return pd.array([None if gap else int(v) for v, gap in zip(values, gaps(random, rows, share), strict=True)],
                        dtype=dtype)  # fmt: skip

    return make


def truths(dtype: str) -> Any:
    def make(random: np.random.Generator, rows: int, share: float) -> Any:
        values = random.random(rows) < 0.5
        if dtype == "bool":
            return pd.array(values, dtype="bool")
        return pd.array([None if gap else bool(v) for v, gap in zip(values, gaps(random, rows, share), strict=True)],
                        dtype=dtype)  # fmt: skip

    return make


def words(dtype: Any) -> Any:
    def make(random: np.random.Generator, rows: int, share: float) -> Any:
        values = random.choice(np.array(WORDS, dtype=object), rows)
        return pd.Series(np.where(gaps(random, rows, share), None, values), dtype=dtype).array

    return make


def categories(ordered: bool, values: tuple[Any, ...]) -> Any:
    def make(random: np.random.Generator, rows: int, share: float) -> Any:
        codes = random.integers(0, len(values) - 1, rows)  # the last category has no cell
        return pd.Categorical.from_codes(
            np.where(gaps(random, rows, share), -1, codes), categories=list(values), ordered=ordered
        )

    return make


def moments(dtype: str, step: str) -> Any:
    def make(random: np.random.Generator, rows: int, share: float) -> Any:
        ticks = random.integers(0, 20_000, rows).astype(f"timedelta64[{step}]")
        made = pd.Series(np.datetime64("1999-12-31T22:00", "us") + ticks)
        if dtype.endswith("pyarrow]"):
            made = made.astype("timestamp[us][pyarrow]").astype(dtype)
        elif "," in dtype:
            unit, zone = dtype.removeprefix("datetime64[").removesuffix("]").split(", ")
            made = made.dt.tz_localize("UTC").dt.tz_convert(zone).dt.as_unit(unit)
        else:
            made = made.astype(dtype)
        made[gaps(random, rows, share)] = None
        return made.array

    return make


def days(random: np.random.Generator, rows: int, share: float) -> Any:
    values = [dt.date(2020, 1, 1) + dt.timedelta(days=int(n)) for n in random.integers(0, 900, rows)]
    return pd.Series([None if gap else day for day, gap in zip(values, gaps(random, rows, share), strict=True)],
                     dtype=object).array  # fmt: skip


def clock(random: np.random.Generator, rows: int, share: float) -> Any:
    values = [dt.time(int(n) // 60, int(n) % 60) for n in random.integers(0, 1440, rows)]
    return pd.Series([None if gap else time for time, gap in zip(values, gaps(random, rows, share), strict=True)],
                     dtype=object).array  # fmt: skip


def spans(random: np.random.Generator, rows: int, share: float) -> Any:
    values = pd.Series(random.integers(0, 5000, rows).astype("timedelta64[s]"))
    values[gaps(random, rows, share)] = None
    return values.array


COLUMNS: dict[str, Any] = {
    "float64": numbers("float64"),
    "float32": numbers("float32"),
    "Float64": numbers("Float64"),
    "double[pyarrow]": numbers("double[pyarrow]"),
    "int64": whole("int64"),
    "uint8": whole("uint8"),
    "Int16": whole("Int16"),
    "UInt32": whole("UInt32"),
    "int32[pyarrow]": whole("int32[pyarrow]"),
    "bool": truths("bool"),
    "boolean": truths("boolean"),
    "bool[pyarrow]": truths("bool[pyarrow]"),
    "str": words("str"),
    "str of Python": words(pd.StringDtype("python", na_value=np.nan)),
    "string": words("string"),
    "string of Python": words(pd.StringDtype("python")),
    "string[pyarrow]": words(pd.ArrowDtype(pa.string())),
    "object": words(object),
    "category": categories(False, (*WORDS, "unused")),
    "ordered category": categories(True, ("S", "M", "L", "XL")),
    "category of numbers": categories(False, (30, 10, 20)),
    "ordered category of numbers": categories(True, (1.5, 0.5, 2.5)),
    "datetime64[ns]": moments("datetime64[ns]", "h"),
    "datetime64[us]": moments("datetime64[us]", "s"),
    "datetime64[s]": moments("datetime64[s]", "D"),
    **{f"datetime64[us, {zone}]": moments(f"datetime64[us, {zone}]", "m") for zone in ZONES[:3]},
    "datetime64[ns, UTC+05:30]": moments("datetime64[ns, UTC+05:30]", "h"),
    "timestamp[ms, UTC]": moments("timestamp[ms, tz=UTC][pyarrow]", "h"),
    "date": days,
    "time": clock,
    "timedelta64": spans,
}

INDEXES = {
    "none": lambda rows: None,
    "range": lambda rows: pd.RangeIndex(5, 5 + 2 * rows, 2, name="at"),
    "text": lambda rows: pd.Index([f"r{i % 7}" for i in range(rows)], name="row"),
    "dates": lambda rows: pd.date_range("2021-03-28", periods=rows, freq="h", tz="Europe/Berlin", name="time"),
    "several levels": lambda rows: pd.MultiIndex.from_arrays([np.arange(rows) % 3, np.arange(rows)], names=["a", "b"]),
}


@st.composite
def frames(draw: Any) -> pd.DataFrame:
    """A frame of one to eight columns of any types, in any order, with any index."""
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=8))
    rows = draw(st.integers(30, 120))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    share = draw(st.sampled_from([0.0, 0.1, 0.5]))
    index = INDEXES[draw(st.sampled_from(sorted(INDEXES)))](rows)
    return pd.DataFrame(
        {f"{kind} {i}": COLUMNS[kind](random, rows, share) for i, kind in enumerate(kinds)}, index=index
    )


def check(made: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Equal but for what was left out, and for numbers whose last digit float64 does not hold."""
    assert list(made.columns) == [name for name in frame.columns if name in made.columns]
    pd.testing.assert_frame_equal(made, frame[made.columns], check_freq=False, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_every_type_of_column_comes_back(kind: str, share: float) -> None:
    random = np.random.default_rng(0)
    column = COLUMNS[kind](random, 100, share)
    frame = pd.DataFrame({"first": random.normal(size=100), "it": column, "word": random.choice(list("ab"), 100)})
    source = open_source(frame)
    made = back(source)
    assert list(made.columns) == ["first", "it", "word"]
    check(made, frame)
    later = open_source(frame[::-1], form=source.form)
    check(back(later), frame[::-1])
    np.testing.assert_array_equal(later.read(0, 100), source.read(0, 100)[::-1])


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=frames())
def test_pandas_frames_come_back(frame: pd.DataFrame) -> None:
    source = opened(frame)
    check(back(source), frame)
    assert back(source).index is frame.index or back(source).index.equals(frame.index)


# Polars.

POLARS: dict[str, Any] = {
    "Float32": pl.Float32, "Float64": pl.Float64, "Int8": pl.Int8, "UInt64": pl.UInt64, "Boolean": pl.Boolean,
    "String": pl.String, "Categorical": pl.Categorical, "Enum": pl.Enum([*WORDS, "unused"]), "Date": pl.Date,
    "Time": pl.Time, "Datetime": pl.Datetime("us"), "zoned": pl.Datetime("ms", "Europe/Berlin"),
    "Duration": pl.Duration("ms"), "Decimal": pl.Decimal(8, 2),
}  # fmt: skip


def polars_column(kind: str, random: np.random.Generator, rows: int, share: float) -> pl.Series:
    numbers = random.integers(0, 100, rows)
    values: Any = numbers
    if kind in ("String", "Categorical", "Enum"):
        values = [WORDS[n % 5] for n in numbers]
    elif kind == "Boolean":
        values = (numbers % 2).astype(bool)
    elif kind == "Date":
        values = [dt.date(2020, 1, 1) + dt.timedelta(days=int(n)) for n in numbers]
    elif kind == "Time":
        values = [dt.time(int(n) % 24, int(n) % 60) for n in numbers]
    elif kind in ("Datetime", "zoned"):
        values = [dt.datetime(2024, 3, 30) + dt.timedelta(minutes=int(n) * 30) for n in numbers]
        if kind == "zoned":
            values = [value.replace(tzinfo=dt.UTC) for value in values]
    elif kind == "Duration":
        values = [dt.timedelta(seconds=int(n)) for n in numbers]
    elif kind.startswith(("Float", "Decimal")):
        values = numbers + 0.25
    lost = gaps(random, rows, share)
    series = pl.Series([None if gap else v for v, gap in zip(values, lost, strict=True)], strict=False)
    return series.cast(POLARS[kind])


@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kinds=st.lists(st.sampled_from(sorted(POLARS)), min_size=1, max_size=8),
    rows=st.integers(30, 120), seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.1, 0.5]),
)  # fmt: skip
def test_polars_frames_come_back(kinds: list[str], rows: int, seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    frame = pl.DataFrame(
        [polars_column(kind, random, rows, share).alias(f"{kind} {i}") for i, kind in enumerate(kinds)]
    )
    made = back(opened(frame))
    assert isinstance(made, pl.DataFrame)
    assert made.schema == frame.schema
    assert_polars_equal(made, frame, categorical_as_str=True)


# Files.


@settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=frames(), groups=st.sampled_from([7, 50, 1000]))
def test_parquet_files_come_back(tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame, groups: int) -> None:
    path = tmp_path_factory.mktemp("parquet") / "t.parquet"
    frame.to_parquet(path, row_group_size=groups)
    made = back(opened(path))
    check(made, pd.read_parquet(path))
    write_table(path.with_name("again.parquet"), made)
    check(back(opened(path.with_name("again.parquet"))), made)


@pytest.mark.parametrize("writer", ["polars", "arrow"])
def test_parquet_files_of_others_come_back(tmp_path: Path, writer: str) -> None:
    random = np.random.default_rng(0)
    frame = pl.DataFrame([polars_column(kind, random, 60, 0.1).alias(kind) for kind in POLARS])
    if writer == "polars":
        frame.write_parquet(tmp_path / "t.parquet")
    else:
        pa.parquet.write_table(frame.to_arrow(), tmp_path / "t.parquet")
    made = back(opened(tmp_path / "t.parquet"))
    check(made, pd.read_parquet(tmp_path / "t.parquet"))


@settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=frames())
def test_text_tables_come_back(tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    frame.to_csv(path, index=False)
    source = opened(path)
    made = back(source)
    check(made, read_csv(path)[0])
    write_table(path.with_name("again.csv"), made)
    assert list(back(opened(path.with_name("again.csv"), form=source.form)).columns) == list(made.columns)
