"""`Compressor` and frames: what rows are called comes back, and frames of polars and Arrow as such."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

import isthmus as ist
from isthmus.estimators import compressor_frames, compressor_stream
from isthmus.estimators.compressor_index import RowNames

pytest.importorskip("constriction")

ROWS = 120
QUICK = {"max_time": 0.2, "hidden": (), "random_state": 0, "block_rows": 100}


def plain(rows: int = ROWS) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    return pd.DataFrame({"a": draw.integers(0, 9, rows), "b": draw.choice(["x", "y"], rows)})


@pytest.fixture(scope="module")
def table() -> ist.Compressor:
    return ist.Compressor(**QUICK).fit(plain())


# ---------------------------------------------------------------------- what rows are called


def indices() -> dict[str, pd.Index]:
    draw = np.random.default_rng(1)
    return {
        "spaced": pd.RangeIndex(5, 5 - 3 * ROWS, -3, name="k"),
        "named": pd.RangeIndex(ROWS, name="row"),
        "shuffled": pd.Index(draw.permutation(ROWS)),
        "days": pd.date_range("2020", periods=ROWS, freq="D", name="day"),
        "zoned": pd.date_range("2020-03-28", periods=ROWS, freq="h", tz="Europe/Berlin"),
        "spans": pd.timedelta_range("1s", periods=ROWS, freq="s"),
        "months": pd.period_range("2020", periods=ROWS, freq="M"),
        "several": pd.MultiIndex.from_arrays(
            [draw.integers(0, 3, ROWS), draw.choice(["q", "r"], ROWS), pd.period_range("2020", periods=ROWS, freq="D")],
            names=["i", None, 7],
        ),
        "ids": pd.Index([f"id{place}" for place in range(ROWS)], name="id"),
        "words": pd.Index(["a", "b"] * (ROWS // 2)),
        "objects": pd.Index([None, "a"] * (ROWS // 2), dtype=object),
        "classes": pd.CategoricalIndex(draw.choice(["q", "r"], ROWS), ["r", "s", "q"], ordered=True),
        "floats": pd.Index([1.5, np.nan] * (ROWS // 2)),
        "masked": pd.Index(pd.array([1, None] * (ROWS // 2), dtype="Int16")),
    }


@pytest.mark.parametrize("name", indices())
def test_every_index_comes_back_whole_and_in_part(name, table, tmp_path):
    frame = plain().set_index(indices()[name])
    packed = table.compress(frame)
    pd.testing.assert_frame_equal(table.decompress(packed), frame)
    part = table.decompress(packed, rows=slice(45, 110))
    pd.testing.assert_frame_equal(part, frame.iloc[45:110], check_freq=False)
    pd.testing.assert_frame_equal(table.decompress(table.compress(frame[:0])), frame[:0], check_freq=False)
    if name in ("shuffled", "days", "ids"):
        table.unpack(table.pack(frame, tmp_path / "x.isz"), tmp_path / "x.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), frame, check_freq=False)


def test_rows_that_are_counted_cost_nothing_and_evenly_spaced_ones_a_line(table):
    frame, spaced = plain(), plain().set_index(pd.RangeIndex(7, 7 + 2 * ROWS, 2))
    packed = table.compress(frame)
    assert b"index" not in packed
    pd.testing.assert_frame_equal(table.decompress(packed, rows=slice(60, 70)), frame.iloc[60:70])
    assert len(table.compress(spaced)) < len(packed) + 100


def test_an_index_that_no_column_could_hold_is_refused_with_a_way_out(table):
    for index in (pd.interval_range(0, ROWS), pd.Index([(place, "b") for place in range(ROWS)], tupleize_cols=False)):
        with pytest.raises(ist.InputError, match=r"X\.reset_index\(drop=True\)"):
            table.compress(plain().set_index(index))


def test_a_description_of_an_index_that_cannot_be_is_told():
    sound = RowNames(("n",), 3, 2).spec()
    for wrong in ({"step": 0}, {"names": ["n", "n"]}, {"start": "a"}, {"freq": 3}):
        with pytest.raises(ist.FileFormatError, match="contradicts itself"):
            RowNames.from_spec({**sound, **wrong})


def test_an_index_goes_from_text_to_text(tmp_path, monkeypatch):
    frame = plain().set_index(pd.date_range("2020", periods=ROWS, freq="D", name="day"))
    unnamed = plain().set_index(pd.Index(np.random.default_rng(0).permutation(ROWS)))
    unnamed.to_csv(tmp_path / "a.csv")
    model = ist.Compressor(**QUICK).fit(tmp_path / "a.csv")
    for at_once in (2**26, 500):
        monkeypatch.setattr(compressor_stream, "TEXT_AT_ONCE", at_once)
        model.unpack(model.pack(tmp_path / "a.csv", tmp_path / "a.isz"), tmp_path / "b.csv")
        assert (tmp_path / "b.csv").read_text() == (tmp_path / "a.csv").read_text()
    model.unpack(model.pack(frame, tmp_path / "a.isz"), tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text() == frame.reset_index().to_csv(index=False)


def test_parquet_with_spaced_rows_and_whole_numbers_with_gaps(tmp_path):
    frame = plain().set_index(pd.RangeIndex(10, 10 + 2 * ROWS, 2))
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=30)
    model = ist.Compressor(**QUICK).fit(tmp_path / "a.parquet")
    packed = model.pack(tmp_path / "a.parquet", tmp_path / "a.isz")
    pd.testing.assert_frame_equal(model.decompress(packed), frame)
    # Beyond 2**53 a float holds no whole numbers, and one is missing in the last part only.
    numbers = pa.table({"a": pa.array([*range(2**60, 2**60 + 99), None]), "b": pa.array([True] * 99 + [None])})
    pyarrow.parquet.write_table(numbers, tmp_path / "b.parquet", row_group_size=30)
    model = ist.Compressor(**QUICK).fit(tmp_path / "b.parquet")
    model.unpack(model.pack(tmp_path / "b.parquet", tmp_path / "b.isz"), tmp_path / "c.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "c.parquet").equals(numbers)


# ---------------------------------------------------------------------- polars and Arrow


def arrow() -> pa.Table:
    """Every type of column, and gaps beside NaN."""
    day = datetime.date(2020, 2, 29)
    cells = {
        "whole": pa.array([2**62 + 1, None, -3], pa.int64()),
        "small": pa.array([255, None, 3], pa.uint8()),
        "float": pa.array([float("nan"), None, -0.0], pa.float64()),
        "half": pa.array(np.array([1, 2, 3], dtype=np.float16)),
        "truth": pa.array([True, None, False]),
        "text": pa.array(["ü", None, ""], pa.string()),
        "large": pa.array(["ü", None, ""], pa.large_string()),
        "class": pa.array(["x", None, "y"]).dictionary_encode(),
        "day": pa.array([day, None, datetime.date(1, 1, 1)]),
        "moment": pa.array([datetime.datetime(2020, 1, 1, 2), None, None], pa.timestamp("ms", "Europe/Berlin")),
        "hour": pa.array([datetime.time(1, 2, 3), None, datetime.time(4)], pa.time64("ns")),
        "second": pa.array([datetime.time(1, 2, 3), None, datetime.time(4)], pa.time32("s")),
        "span": pa.array([datetime.timedelta(1), None, None], pa.duration("us")),
        "price": pa.array([Decimal("1.20"), None, Decimal("-3.21")], pa.decimal128(9, 2)),
        "nothing": pa.nulls(3),
    }
    return pa.table({name: pa.concat_arrays([column] * (ROWS // 3)) for name, column in cells.items()})


def test_an_arrow_table_comes_back_as_one():
    table = arrow()
    model = ist.Compressor(**QUICK).fit(table)
    packed = model.compress(table, include_model=True)
    back = ist.Compressor().decompress(packed)
    assert back.schema == table.schema
    # Arrow takes a NaN for unlike itself.
    assert back.drop_columns("float").equals(table.drop_columns("float"))
    assert str(back["float"].to_pylist()) == str(table["float"].to_pylist())
    assert model.decompress(packed, rows=slice(90, 110))["whole"].to_pylist() == table["whole"].to_pylist()[90:110]
    batch = table.to_batches()[0]
    assert model.decompress(model.compress(batch))["text"].to_pylist() == batch["text"].to_pylist()


def test_a_polars_frame_comes_back_as_one():
    polars = pytest.importorskip("polars")
    table = polars.from_arrow(arrow().drop_columns("half")).with_columns(
        polars.Series("enum", ["x", None, "y"] * (ROWS // 3), dtype=polars.Enum(["y", "q", "x"]))
    )
    model = ist.Compressor(**QUICK).fit(table)
    for frame in (table, table[:1], table[:0]):
        back = model.decompress(model.compress(frame))
        assert back.schema == frame.schema
        assert back.equals(frame)
    assert model.decompress(model.compress(table), rows=slice(90, 110)).equals(table[90:110])


def test_a_bound_holds_for_columns_of_polars_and_times_stay_exact():
    polars = pytest.importorskip("polars")
    draw = np.random.default_rng(0)
    table = polars.DataFrame({"x": draw.normal(size=ROWS), "at": [datetime.time(9, 0, s % 60) for s in range(ROWS)]})
    model = ist.Compressor(max_error=0.5, **QUICK).fit(table)
    back = model.decompress(model.compress(table))
    assert 0.1 < np.abs(back["x"].to_numpy() - table["x"].to_numpy()).max() <= 0.5
    assert back["at"].equals(table["at"])


def test_a_model_of_pandas_takes_polars(table):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": plain()["a"].to_numpy(), "b": plain()["b"].tolist()})
    assert table.decompress(table.compress(frame)).equals(frame)
    with_gaps = frame.with_columns(a=polars.Series([3, *[None] * (ROWS - 1)], dtype=polars.Int64))
    assert table.decompress(table.compress(with_gaps)).equals(with_gaps)


def test_polars_to_files(table, tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.from_arrow(arrow().select(["whole", "text", "day", "hour", "price"]))
    model = ist.Compressor(**QUICK).fit(frame)
    packed = model.pack(frame, tmp_path / "x.isz")
    assert polars.read_parquet(model.unpack(packed, tmp_path / "x.parquet")).equals(frame)
    text = Path(model.unpack(packed, tmp_path / "x.csv")).read_text()
    assert text.splitlines()[:3] == [
        "whole,text,day,hour,price", "4611686018427387905,ü,2020-02-29,01:02:03,1.20", ",,,,",
    ]  # fmt: skip


def test_without_polars_a_pandas_frame_and_a_warning(table, monkeypatch):
    polars = pytest.importorskip("polars")
    packed = table.compress(polars.DataFrame({"a": plain()["a"].to_numpy(), "b": plain()["b"].tolist()}))
    monkeypatch.setattr(compressor_frames.importlib.util, "find_spec", lambda name: None)
    with pytest.warns(ist.DataWarning, match="polars is not installed"):
        back = table.decompress(packed)
    assert back["a"].tolist() == plain()["a"].tolist()


def test_tables_that_cannot_be_used():
    for X, said in (
        (pa.table({"a": pa.array([[1], [2]])}), "column 'a' is of the type list<item: int64>"),
        (pa.table({"a": pa.array(np.array([1], dtype=np.float16), mask=np.array([True]))}), "with missing cells"),
        (pa.Table.from_arrays([pa.array([1])] * 2, names=["a", "a"]), "several columns of the same name"),
    ):
        with pytest.raises(ist.InputError, match=said):
            ist.Compressor(**QUICK).fit(X)
    polars = pytest.importorskip("polars")
    with pytest.raises(ist.InputError, match="collect"):
        ist.Compressor(**QUICK).fit(polars.DataFrame({"a": [1]}).lazy())


def test_types_that_cannot_be_are_told():
    told = compressor_frames.told("polars", pa.schema({"a": pa.int8()}))
    for wrong in (
        {**told, "schema": "AAAA"},
        {**told, "library": "os"},
        {"library": "polars"},
        compressor_frames.told("polars", pa.schema({"a": pa.list_(pa.int8())})),
    ):
        with pytest.raises(ist.FileFormatError, match="types of a table"):
            compressor_frames.schema_of(wrong)


# ---------------------------------------------------------------------- other types than in the fit


def test_texts_that_no_file_could_hold_come_back(tmp_path):
    frame = pd.DataFrame(
        {
            "few": pd.Series(["\ud800", "b"] * 100, dtype=object),
            "many": pd.Series([f"id{place}\udc80" for place in range(200)], dtype=object),
        }
    )
    model = ist.Compressor(**QUICK).fit(frame)
    pd.testing.assert_frame_equal(model.decompress(model.compress(frame)), frame)
    packed = model.compress(frame, include_model=True)
    pd.testing.assert_frame_equal(ist.Compressor().decompress(packed), frame)
    again = ist.load(model.save(tmp_path / "model.safetensors"))
    pd.testing.assert_frame_equal(again.decompress(model.compress(frame)), frame)
    classes = pd.CategoricalDtype(pd.Index(["\ud800", "b"], dtype=object))
    with pytest.raises(ist.InputError, match="column 'class' has the category"):
        ist.Compressor(**QUICK).fit(pd.DataFrame({"class": pd.Categorical.from_codes([0, 1] * 9, dtype=classes)}))


def test_an_object_column_of_texts_stays_one(table):
    frame = pd.DataFrame({"a": pd.Series(["x", "y"] * 60, dtype=object)})
    model = ist.Compressor(**QUICK).fit(frame)
    assert model.decompress(model.compress(frame))["a"].dtype == object


@pytest.fixture(scope="module")
def columns() -> ist.Compressor:
    draw = np.random.default_rng(0)
    whole, real = draw.integers(0, 99, ROWS), draw.normal(size=ROWS).round(2)
    frame = pd.DataFrame({"w": whole, "b": whole % 2 == 0, "r": real, "g": pd.array(whole, dtype="Int16")})
    return ist.Compressor(max_error={"r": 1.5}, **QUICK).fit(frame)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("w", np.array([1.0, np.nan, 0.5, -0.0, np.inf, 2.0**60, 3.0])),
        ("w", np.array([1, 2, 200, 0, 0, 0, 255], dtype=np.uint8)),
        ("w", np.array([0, 2**64 - 1, 2**63, 1, 1, 1, 1], dtype=np.uint64)),
        ("w", pd.array([1, None, 2**62, -1, None, 0, 0], dtype="Int64")),
        ("b", pd.array([True, None, False, None, None, True, True], dtype="boolean")),
        ("g", np.array([1, 2, 3, 4, 5, 6, 7], dtype=np.int16)),
        ("g", np.array([1, np.nan, 3, -0.0, 5, 6.5, 7e9])),
        ("g", pd.array([1, None, 2**40, 0, 0, None, 1], dtype="Int64")),
    ],
)
def test_numbers_of_another_type_than_in_the_fit_come_back_as_they_are(name, cells, columns):
    frame = pd.DataFrame({"w": [1] * 7, "b": [True] * 7, "r": [0.5] * 7, "g": pd.array([1] * 7, dtype="Int16")})
    frame[name] = cells
    back = columns.decompress(columns.compress(frame))
    pd.testing.assert_frame_equal(back.drop(columns="r"), frame.drop(columns="r"))
    zeros = [np.signbit(one[name].to_numpy(dtype=float, na_value=np.nan)[3]) for one in (back, frame)]
    assert zeros[0] == zeros[1]


def test_whole_numbers_in_a_bounded_column_of_real_ones_keep_the_bound(columns):
    frame = pd.DataFrame({"w": [1] * 50, "b": [True] * 50, "r": range(-25, 25), "g": pd.array([1] * 50, dtype="Int16")})
    back = columns.decompress(columns.compress(frame))["r"]
    assert back.dtype == np.int64
    assert (back - frame["r"]).abs().max() in (0, 1)


HEAD = "i,s,b,d\n"


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> ist.Compressor:
    path = tmp_path_factory.mktemp("texts") / "fit.csv"
    path.write_text(HEAD + "".join(f"{k % 7},{'xy'[k % 2]},{k % 3 == 0},2020-01-{k % 28 + 1:02}\n" for k in range(90)))
    return ist.Compressor(**QUICK).fit(path)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("1,007,True,2020-01-01\n,12,,\n9007199254740993,,False,2020-01-02\n", None),
        ("1,True,True,2020-01-01\n2,False,True,2020-01-02\n", None),
        ("1,2020-01-01,True,2020-01-01\n2,2020-01-02,True,2020-01-02\n", None),
        ("?,1.50,True,2020-01-01\n2,1e3,True,2020-01-02\n", ",1.50,True,2020-01-01\n2,1e3,True,2020-01-02\n"),
        (",1,,\n,2,,\n", None),
        ("", None),
        ("1,2,True,2020-01-01\n3,ü,True,2020-01-02\n", None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_text_table_is_read_in_the_types_of_the_fit(lines, expected, encoding, texts, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(HEAD + lines, encoding=encoding)
    packed = texts.pack(path, tmp_path / "x.isz")
    assert texts.unpack(packed, tmp_path / "y.csv").read_text(encoding="utf-8") == HEAD + (expected or lines)


def test_a_text_table_of_another_kind_is_told_in_words(texts, tmp_path):
    path = tmp_path / "x.csv"
    for line, said in (
        ("w,x,True,2020-01-01\n", "column 'i' must hold whole numbers, as in the fit; got texts"),
        ("1,x,yes,2020-01-01\n", "column 'b' must hold truth values, as in the fit; got texts"),
        ("1,x,True,once\n", "column 'd' held dates in the fit"),
    ):
        path.write_text(HEAD + line)
        with pytest.raises(ist.InputError, match=said):
            texts.pack(path, tmp_path / "x.isz")
    path.write_text("i,s,b,e\n")
    with pytest.raises(ist.InputError, match="but no rows"):
        texts.pack(path, tmp_path / "x.isz")
