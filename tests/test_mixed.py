"""Mixed tables as sources: which tables are, what becomes of their cells, and what later tables must look like."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from isthmus.data import ArraySource, Form, ParquetSource, batches, digest, open_source
from isthmus.data.mixed import MixedSource
from isthmus.data.mixed_parquet import MixedParquet, spread_groups
from isthmus.data.table_form import TableForm
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.records import Column

ROWS = 100


def table(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({
        "age": random.integers(18, 90, rows).astype(float),
        "city": random.choice(["Oslo", "Rome"], rows),
        "size": pd.Categorical(random.choice(["S", "M"], rows), ["S", "M", "L"], ordered=True),
        "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 100, rows), "D"),
        "ok": random.random(rows) < 0.5,
    })  # fmt: skip


def gappy(rows: int = ROWS) -> pd.DataFrame:
    frame = table(rows)
    for i, name in enumerate(("age", "city", "size", "day")):
        frame.loc[i : i + 4, name] = None
    return frame


def everything(source: Any) -> np.ndarray:
    return source.read(0, source.rows)


def back(source: Any) -> Any:
    return source.wrapped(everything(source))


def raises(X: Any, *words: str, **knobs: Any) -> None:
    with pytest.raises(InputError) as caught:
        open_source(X, **knobs)
    for word in words:
        assert word in str(caught.value), str(caught.value)


FORM = open_source(table()).form

# Which tables are mixed.


@pytest.mark.parametrize(
    "X",
    [
        np.ones((3, 2)),
        pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}),
        pd.DataFrame({"a": [1.0, 2.0], "b": [True, False], "c": pd.array([1, 2], dtype="Int8")}),
        pd.DataFrame({"a": [1, True]}, dtype=object),
        pl.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}),
    ],
)
def test_complete_tables_of_numbers_are_what_they_were(X: Any) -> None:
    source = open_source(X)
    assert type(source) is ArraySource
    assert (source.layout.columns, source.described(), type(source.form)) == (None, [], Form)


def test_a_missing_cell_makes_a_table_mixed() -> None:
    for X in (
        pd.DataFrame({"a": [1.5, np.nan, 2.5], "b": [1.0, 2.0, 4.0]}),
        pd.DataFrame({"a": pd.array([1.5, None, 2.5], dtype="Float64"), "b": [1.0, 2.0, 4.0]}),
        pd.DataFrame({"a": [1.5, None, 2.5], "b": [1.0, 2.0, 4.0]}, dtype=object),
        pl.DataFrame({"a": [1.5, None, 2.5], "b": [1.0, 2.0, 4.0]}),
        pl.DataFrame({"a": [1.5, np.nan, 2.5], "b": [1.0, 2.0, 4.0]}),
        pa.table({"a": [1.5, None, 2.5], "b": [1.0, 2.0, 4.0]}),
        np.array([[1.5, 1], [np.nan, 2], [2.5, 4]]),
        [[1.5, 1], [None, 2], [2.5, 4]],
    ):
        source = open_source(X)
        assert isinstance(source, MixedSource)
        assert source.layout.columns == (Column(), Column())
        np.testing.assert_array_equal(everything(source), [[1.5, 1], [np.nan, 2], [2.5, 4]])
        np.testing.assert_array_equal(source.weight(np.array([1, 2])), [[0, 1], [1, 1]])  # type: ignore[arg-type]
        np.testing.assert_array_equal(source.weight_of(everything(source)[1:], np.array([1, 2])), [[0, 1], [1, 1]])  # type: ignore[arg-type]


def test_what_the_user_says_may_make_a_table_mixed() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3, 1], "b": [0.5, 1.5, 2.5, 9.0]})
    assert open_source(frame, columns={"b": "standard"}).layout.columns is None
    source = open_source(frame, columns={"a": "category", "b": "log"})
    assert source.layout.columns == (Column("category", 4), Column())
    assert source.per_column == {"b": "log"}
    pd.testing.assert_frame_equal(back(source), frame)
    array = open_source(frame.to_numpy(), columns={0: "category", "1": "quantile"})
    assert (array.layout.columns, array.per_column) == (source.layout.columns, {1: "quantile"})
    np.testing.assert_array_equal(back(array), frame.to_numpy())
    raises(
        scipy.sparse.csr_array(frame), "X is a sparse matrix, whose columns can be 'numeric'", columns={0: "category"}
    )


def test_a_gap_among_numbers_does_not_change_what_is_used(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({
        "step": np.arange(ROWS), "user_id": random.permutation(ROWS), "zip": random.choice([10115, 80331], ROWS),
        "flag": random.integers(0, 2, ROWS), "ok": random.random(ROWS) < 0.5, "x": random.normal(size=ROWS),
    })  # fmt: skip
    gap = frame.assign(x=frame["x"].where(frame.index != 3))
    objects = gap.astype({"user_id": object})
    objects.loc[5, "user_id"] = None
    gap.to_csv(tmp_path / "t.csv", index=False)
    gap.to_parquet(tmp_path / "t.parquet")
    for X in (gap, objects, gap.convert_dtypes(), pl.from_pandas(gap), pa.table(gap), *tmp_path.iterdir()):
        source = open_source(X)
        assert isinstance(source, MixedSource)
        assert source.names == tuple(frame.columns)
        kinds = [column.kind for column in source.layout.columns or ()]
        assert kinds[1:] == ["number", "number", "binary", "binary", "number"]
        assert kinds[0] in ("number", "count")
        np.testing.assert_array_equal(everything(source)[6:], frame.to_numpy(dtype=np.float64)[6:])
    for one in (gap.assign(empty=None), gap.assign(empty=pd.Series([None] * ROWS, dtype="str"))):
        for X in (one, pl.from_pandas(one)):
            with pytest.warns(DataWarning, match=r"Left out: empty \(nothing is known in it"):
                assert open_source(X).names == tuple(frame.columns)
    with pytest.warns(DataWarning, match=r"Left out: user_id \(every value"):
        assert open_source(gap.assign(word=["a", "b"] * (ROWS // 2))).layout.columns is not None


def test_an_ignored_column_says_nothing_about_the_others() -> None:
    frame = table()[["age", "city"]]
    assert type(open_source(frame, columns={"city": "ignore"})) is ArraySource
    assert type(open_source(pl.from_pandas(frame), columns={"city": "ignore"})) is ArraySource
    source = open_source(table(), columns={"size": "ignore"})
    assert (source.names, source.kept) == (("age", "city", "day", "ok"), (0, 1, 3, 4))


# What a mixed source holds.


def test_raw_numbers() -> None:
    frame = gappy()
    source = open_source(frame)
    assert isinstance(source, MixedSource)
    assert (source.names, source.container, source.rows) == (("age", "city", "size", "day", "ok"), "pandas", ROWS)
    assert source.index.equals(frame.index)
    x = everything(source)
    assert x.dtype == np.float32
    assert [column.kind for column in source.layout.columns or ()] == [
        "number", "category", "ordinal", "number", "binary",
    ]  # fmt: skip
    np.testing.assert_array_equal(x[:, 0], frame["age"].to_numpy(np.float32))
    np.testing.assert_array_equal(x[:, 2], np.where(frame["size"].isna(), np.nan, frame["size"].cat.codes))
    seconds = (frame["day"] - pd.Timestamp("1970-01-01")).dt.total_seconds()
    np.testing.assert_array_equal(x[:, 3], seconds.to_numpy(np.float32))
    np.testing.assert_array_equal(x[:, 4], frame["ok"].to_numpy(np.float32))
    np.testing.assert_array_equal(source.weight(np.arange(ROWS)), frame.notna().to_numpy(np.float32))
    np.testing.assert_array_equal(source.take(np.array([7, 3])), x[[7, 3]])
    assert open_source(table()).weight(np.arange(3)) is None


def test_a_matrix_is_float64_where_float32_does_not_hold_a_column() -> None:
    frame = pd.DataFrame({"a": ["x", "y"] * 20, "b": [0.1, 0.25] * 20})
    assert open_source(frame.assign(b=0.25)).dtype == np.float32
    source = open_source(frame)
    assert (source.dtype, source.row_bytes) == (np.float64, 16)
    assert everything(source)[:2].tolist() == [[0.0, 0.1], [1.0, 0.25]]


def test_an_array_with_gaps_is_used_where_it_lies() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    X[3, 1] = np.nan
    source = open_source(X)
    assert np.shares_memory(source.array, X)  # type: ignore[attr-defined]
    assert source.described()[0] == "0: numeric (an array of numbers)"
    assert (back(source).dtype, source.form.wide) == (np.float32, False)
    np.testing.assert_array_equal(back(source), X)
    later = open_source(X[:2], form=source.form)
    assert np.shares_memory(later.array, X)  # type: ignore[attr-defined]
    assert later.weight(np.arange(2)) is None


def test_a_mapped_array_with_gaps_stays_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(300, 4))
    X[5, 2] = np.nan
    np.save(tmp_path / "X.npy", X)
    monkeypatch.setattr("isthmus.data.sources.BLOCK_BYTES", 1024)
    monkeypatch.setattr("isthmus.data.sources.RANDOM_ACCESS_BYTES", 1024)
    monkeypatch.setattr("isthmus.data.mixed.LOOKED_AT", 20)
    source = open_source(tmp_path / "X.npy")
    assert isinstance(source, MixedSource)
    assert (source.mapped, source.random_access, source.blocks[0], source.complete) == (True, False, (0, 32), False)
    np.testing.assert_array_equal(everything(source), X)


def test_described() -> None:
    frame = table().assign(user_id=[f"u{i}" for i in range(ROWS)])
    with pytest.warns(DataWarning):
        source = open_source(frame)
    assert source.described() == [
        "age: numeric (whole numbers)",
        "city: category of 2 levels (text)",
        "size: ordinal, 3 levels from S to L (categories with an order)",
        "day: date, shown in days (dates)",
        "ok: binary, False or True (truth values)",
        "user_id: left out (every value is different, so it names rows rather than describes them)",
    ]


def test_a_text_table_is_described_with_what_was_found_in_it(tmp_path: Path) -> None:
    lines = "".join(f"{i},5;{'ab'[i % 2]}\n" for i in range(30))
    (tmp_path / "t.csv").write_text("x;letter\n" + lines)
    source = open_source(tmp_path / "t.csv")
    assert any("decimal" in said for said in source.said)
    assert source.described() == [*source.said, *source.form.described()]
    assert source.described()[-1] == "letter: category of 2 levels (text)"
    assert everything(source)[:2].tolist() == [[0.5, 0.0], [1.5, 1.0]]


# Columns that are left out.


def test_left_out_columns_are_named_once_and_may_come_or_not() -> None:
    frame = table().assign(user_id=[f"u{i}" for i in range(ROWS)], nothing=None)
    with pytest.warns(DataWarning) as told:
        source = open_source(frame)
    assert [str(one.message) for one in told] == [
        "X: Left out: user_id (every value is different, so it names rows rather than describes them); nothing "
        "(nothing is known in it: every cell is missing). To keep one that has values: columns={'user_id': 'category'}."
    ]
    assert told[0].filename == __file__
    assert (source.names, source.kept) == (("age", "city", "size", "day", "ok"), (0, 1, 2, 3, 4))
    for later in (frame, table(), frame[["user_id", *table().columns]], frame.drop(columns="nothing")):
        np.testing.assert_array_equal(everything(open_source(later, form=source.form)), everything(source))


def test_an_array_without_its_empty_column() -> None:
    X = np.random.default_rng(0).normal(size=(50, 4))
    X[:, 2] = np.nan
    with pytest.warns(DataWarning, match="Left out: 2 "):
        source = open_source(X)
    assert (source.kept, source.layout.features) == ((0, 1, 3), 3)
    for later in (X, X[:, [0, 1, 3]]):
        np.testing.assert_array_equal(everything(open_source(later, form=source.form)), X[:, [0, 1, 3]])
    raises(X[:, :2], "X has 2 features, but Autoencoder is expecting 3 features as input", form=source.form)


def test_a_table_of_which_nothing_is_left() -> None:
    raises(pd.DataFrame({"a": [None, None]}), "X has no column to learn from. Left out: a (nothing is known in it")
    raises(np.full((3, 2), np.nan), "X has no column to learn from", "0 (", "1 (")


# What later tables must look like.


def test_later_rows_are_coded_as_those_of_the_fit() -> None:
    frame = table()
    later = open_source(frame[90:], form=FORM)
    np.testing.assert_array_equal(everything(later), everything(open_source(frame))[90:])
    pd.testing.assert_frame_equal(back(later), frame[90:])
    gaps = open_source(gappy(), form=FORM)
    np.testing.assert_array_equal(gaps.weight(np.arange(ROWS)), gappy().notna().to_numpy(np.float32))
    empty = open_source(frame.assign(city=None, age=None), form=FORM)
    assert np.isnan(everything(empty)[:, :2]).all()


def test_results_take_the_form_of_what_was_given() -> None:
    frame = table()
    made = back(open_source(pl.from_pandas(frame), form=FORM))
    assert made.schema == pl.from_pandas(frame).schema | {"size": made.schema["size"]}
    assert made["city"].to_list() == frame["city"].to_list()
    assert made["size"].to_list() == frame["size"].to_list()
    again = back(open_source(frame, form=open_source(pl.from_pandas(frame)).form))
    pd.testing.assert_frame_equal(again.drop(columns="size"), frame.drop(columns="size"))
    assert again["size"].tolist() == frame["size"].tolist()
    short = frame.assign(age=frame["age"].astype("Int16"), city=frame["city"].astype("string"))
    pd.testing.assert_frame_equal(back(open_source(short, form=FORM)), short)


@pytest.mark.parametrize("dtype", ["Int64", "int64", "int8", "UInt8", "Float32", "int64[pyarrow]"])
def test_numbers_of_another_type_than_in_fit_are_rounded_and_clipped(dtype: str) -> None:
    frame = pd.DataFrame({"i": [*range(8), *range(12), None], "k": list("abc") * 7})
    later = pd.DataFrame({"i": pd.Series([1, 2, 3]).astype(dtype), "k": list("abc")})
    source = open_source(later, form=open_source(frame).form)
    made = source.wrapped(np.array([[1.7, 0.0], [-3.2, 1.0], [300.0, 2.0]]))
    assert str(made["i"].dtype) == dtype
    kept = {"int8": [2, -3, 127], "UInt8": [2, 0, 255], "Float32": [np.float32(1.7), np.float32(-3.2), 300.0]}
    assert made["i"].tolist() == kept.get(dtype, [2, -3, 300])
    few = pl.DataFrame({"i": pl.Series([1, 2, 3], dtype=pl.UInt8), "k": list("abc")})
    here = open_source(few, form=open_source(frame).form).wrapped(np.array([[1.7, 0.0], [-3.2, 1.0], [300.0, 2.0]]))
    assert here["i"].to_list() == [2, 0, 255]
    assert here.schema == few.schema


@pytest.mark.parametrize("kind", ["float64", "float32", "int64", "object"])
def test_masked_cells_of_an_array_are_missing(kind: str) -> None:
    numbers = np.arange(24).reshape(8, 3).astype(kind)
    hidden = numbers.astype(float) % 5 == 0
    X = np.ma.masked_array(numbers, hidden)
    source = open_source(X)
    for one in (source, open_source(X, form=source.form)):
        assert one.layout.columns is not None
        assert np.array_equal(np.isnan(everything(one)), hidden)
        assert np.array_equal(everything(one)[~hidden], numbers[~hidden].astype(float))
    assert everything(source).dtype == ("float32" if kind == "float32" else "float64")


def test_an_array_for_a_model_of_a_frame_and_cells_that_no_array_holds() -> None:
    raises(
        np.ones((3, 5)), "X is an array of numbers, but the fit was to a frame whose column 'city' held text",
        "pandas.DataFrame(X, columns=['age', 'city', 'size', 'day', 'ok'])", form=FORM,
    )  # fmt: skip
    way = "give it as a frame, whose columns may hold anything: pandas.DataFrame(X)"
    raises(table().to_numpy(), "X holds text at row 0, column 1", way)
    raises(table().to_dict("records"), way)
    raises([[1.0, "a"], [2.0, "b"]], way)
    raises(table().to_dict("list"), "Of a dictionary of columns, give a frame: pandas.DataFrame(X)")


def test_columns_that_lost_their_cells_come_back_in_their_own_type() -> None:
    frame = pl.DataFrame({"word": ["a", "b"] * 20, "x": [0.5, 1.5] * 20})
    source = open_source(frame)
    values = everything(source)
    lost = frame.with_columns(pl.lit(float("nan")).alias("word"))
    later = open_source(lost, form=source.form)
    assert np.isnan(everything(later)[:, 0]).all()
    assert later.wrapped(values).equals(frame)
    other = open_source(lost.to_pandas(), form=source.form)
    assert other.wrapped(values)["word"].tolist() == frame["word"].to_list()


def test_levels_that_the_fit_never_met() -> None:
    frame = table().assign(city=["Ulm", "Bonn", *["Rome"] * 97, "Bonn"])
    with pytest.warns(DataWarning) as told:
        later = open_source(frame, form=FORM)
    assert [str(one.message) for one in told] == [
        "X: city: 'Ulm', 'Bonn' (3 cells) were not there in the fit; they are taken as one level of their own."
    ]
    assert told[0].filename == __file__
    assert everything(later)[[0, 1, 99], 1].tolist() == [2.0, 2.0, 2.0]
    assert back(later)["city"].isna().sum() == 3
    with pytest.warns(DataWarning, match=r"'c0', 'c1', 'c2', 'c3', 'c4', \.\.\. \(100 cells\)"):
        open_source(frame.assign(city=[f"c{i}" for i in range(ROWS)]), form=FORM)
    raises(table().assign(size="XXL"), "'size'", "ordinal", "'XXL'", "'S', 'M', 'L'", form=FORM)


DIFFERENT: dict[str, tuple[Callable[[], pd.DataFrame], list[str]]] = {
    "another order": (
        lambda: table()[["city", "age", "size", "day", "ok"]],
        ["must be in the same order", "X = X[['age', 'city', 'size', 'day', 'ok']]"],
    ),
    "a column missing": (lambda: table().drop(columns="ok"), ["yet now missing:\n- ok", "X['ok'] = None"]),
    "a column more": (
        lambda: table().assign(z=1), ["unseen at fit time:\n- z", "Leave the new ones out: X = X[['age', 'city',"],
    ),
    "another name": (lambda: table().rename(columns={"ok": "fine"}), ["unseen", "- fine", "missing", "- ok"]),
    "text for numbers": (
        lambda: table().astype({"age": str}), ["'age'", "text", "X['age'] = pandas.to_numeric(X['age'])"],
    ),
    "numbers for text": (lambda: table().assign(city=1), ["'city'", "numbers", "X['city'] = X['city'].astype(str)"]),
    "numbers for dates": (lambda: table().assign(day=1), ["'day'", "X['day'] = pandas.to_datetime(X['day'])"]),
    "dates with a zone": (
        lambda: table().assign(day=table()["day"].dt.tz_localize("UTC")), ["time zone UTC", "tz_localize"],
    ),
    "infinity": (lambda: table().assign(age=-np.inf), ["contains infinity", "column 'age'", "100 cells"]),
    "no rows": (lambda: table()[:0], ["Found array with 0 sample(s)"]),
    "levels of names": (
        lambda: table().set_axis(pd.MultiIndex.from_product([["a"], table().columns]), axis=1),
        ["column names of 2 levels (a MultiIndex), such as ('a', 'age')", "X.columns = ['_'.join(map(str, levels))"],
    ),
    "a name twice": (lambda: table().set_axis(["a", "a", "b", "c", "d"], axis=1), ["same name: 'a'"]),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_later_tables_that_differ(name: str) -> None:
    make, words = DIFFERENT[name]
    raises(make(), *words, form=FORM)


def test_lines_that_mend_a_wide_table_stay_short() -> None:
    frame = pd.DataFrame(np.ones((3, 20)), columns=[f"c{i}" for i in range(20)]).assign(c3=list("aba"))
    form = open_source(frame).form
    raises(frame.iloc[:, ::-1], "X = X[list(model.feature_names_in_)]", form=form)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files_hold_their_columns_in_any_order(tmp_path: Path, ending: str) -> None:
    frame = gappy().astype({"size": "str"})
    for name, one in (("fit", frame), ("later", frame[["ok", "day", "age", "size", "city"]].assign(more=1.0))):
        path = tmp_path / f"{name}.{ending}"
        one.to_csv(path, index=False) if ending == "csv" else one.to_parquet(path)
    source = open_source(tmp_path / f"fit.{ending}")
    raises(tmp_path / f"later.{ending}", "unseen at fit time:\n- more", form=source.form)
    later = open_source(tmp_path / f"later.{ending}", form=source.form, columns={"more": "ignore"})
    np.testing.assert_array_equal(everything(later), everything(source))
    assert list(back(later).columns) == list(frame.columns)


def test_a_source_must_be_coded_as_the_fit_was() -> None:
    own = open_source(table(seed=1))
    assert open_source(own) is own
    assert open_source(own, form=own.form) is own
    assert open_source(own, form=Form.restore(*own.form.state())) is own
    other = open_source(table().assign(city="Oslo"))
    raises(other, "X came as a source of its own, MixedSource", "Give the table itself", form=FORM)
    raises(open_source(pd.DataFrame({"a": [1.0]})), "own, ArraySource", "fitted on a mixed table", form=FORM)
    numbers = open_source(np.array([[1.0, np.nan], [2.0, 3.0]]))
    assert everything(open_source(open_source(np.ones((3, 2))), form=numbers.form)).tolist() == [[1, 1]] * 3
    plain = open_source(np.ones((3, 5))).form
    raises(own, "fitted on a table of numbers without missing cells", form=plain)
    raises(scipy.sparse.csr_array(np.ones((3, 5))), "give X.toarray()", form=FORM)
    raises(np.ones((3, 5, 1)), "rows of shape (5, 1)", form=FORM)


# Bad input.

BAD: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "several types": (lambda: table().assign(m=["a", 1] * 50), ["column 'm' of X mixes types: str ('a'), int (1)"]),
    "lists": (lambda: table().assign(m=[[1]] * ROWS), ["column 'm' of X holds lists", "{'m': 'ignore'}"]),
    "dates out of range": (
        lambda: table().assign(d=np.datetime64("20000-01-01", "s")), ["'d' of X holds dates out of range", "row 0"],
    ),
    "infinity": (lambda: table().assign(a=np.inf), ["contains infinity: column 'a'", "100 cells"]),
    "infinity beside gaps": (lambda: np.array([[np.nan, 1], [np.inf, 2], [1, 3]]), ["contains infinity: column '0'"]),
    "no rows": (lambda: table()[:0], ["Found array with 0 sample(s) (shape=(0, 5))"]),
    "no rows in polars": (lambda: pl.from_pandas(table()[:0]), ["Found array with 0 sample(s) (shape=(0, 5))"]),
    "a name twice": (lambda: table().set_axis(["a", "a", "b", "c", "d"], axis=1), ["of the same name: 'a'"]),
    "levels of names": (
        lambda: pd.DataFrame(np.ones((1, 2)), columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])),
        ["MultiIndex"],
    ),
    "complex numbers": (lambda: table().assign(z=1j), ["Complex data not supported", "column 'z'"]),
    "periods": (lambda: table().assign(p=pd.Period("2020-01", "M")), ["'p' of X holds periods", "to_timestamp()"]),
    "lazy": (lambda: pl.from_pandas(table()).lazy(), ["call .collect() on it first"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_tables_that_cannot_be_used(name: str) -> None:
    make, words = BAD[name]
    raises(make(), *words)


def test_types_that_do_not_fit() -> None:
    raises(table(), "there is no column 'ctiy'. Did you mean 'city'?", columns={"ctiy": "category"})
    raises(table(), "'city' must be one of", "'circular', 'date'; got 'kategory'", columns={"city": "kategory"})
    raises(table(), "column 'city' of X cannot be 'numeric'", "'Oslo'", columns={"city": "numeric"})


@pytest.mark.slow
def test_two_million_distinct_levels() -> None:
    frame = pd.DataFrame({"u": np.char.add("u", np.arange(2_000_000).astype(str)), "b": 1.0})
    with pytest.warns(DataWarning, match=r"Left out: u \(every value is different"):
        assert open_source(frame).names == ("b",)
    raises(frame, "column 'u' of X cannot be 'category': each of its 2,000,000 values", columns={"u": "category"})


# What is kept in a file.


def test_the_form_of_a_mixed_table_survives_json() -> None:
    frame = gappy().assign(user_id=[f"u{i}" for i in range(ROWS)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        forms = [open_source(frame).form, open_source(pl.from_pandas(frame)).form]
    X = np.random.default_rng(0).normal(size=(9, 3))
    X[0, 0] = np.nan
    for form in [*forms, open_source(X).form]:
        body, tensors = form.state()
        again = Form.restore(json.loads(json.dumps(body)), tensors)
        assert isinstance(again, TableForm)
        assert again == form
        assert again.described() == form.described()
        assert len(json.dumps(body)) < 500  # whatever grows with the columns is in the arrays
    made = again.wrap(X)
    np.testing.assert_array_equal(made, X)


@pytest.mark.parametrize(
    "harm", ["codings", "codings_offsets", "left_out_offsets", "columns", "dtypes", "coding.1.levels"]
)
def test_a_damaged_form_is_refused(harm: str) -> None:
    body, tensors = FORM.state()
    tensors[harm] = tensors[harm][:-1]
    with pytest.raises(FileFormatError):
        Form.restore(body, tensors)


def test_the_digest_tells_levels_apart() -> None:
    frame = table()
    one = digest(open_source(frame))
    assert digest(open_source(frame.copy())) == one
    assert digest(open_source(frame.assign(city=frame["city"].map({"Oslo": "Ulm", "Rome": "Zug"})))) != one


def test_floats_of_the_same_columns() -> None:
    made = FORM.floats.wrap(np.full((2, 5), 0.5))
    assert (made.dtypes == "float64").all()
    assert list(made.columns) == list(table().columns)


# Large files.


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("isthmus.data.mixed_parquet.CODED_BYTES", 0)
    gappy(1000).to_parquet(tmp_path / "t.parquet", row_group_size=300)
    return tmp_path / "t.parquet"


def test_large_files_are_coded_by_row_group(large: Path) -> None:
    source, whole = open_source(large), open_source(gappy(1000))
    assert isinstance(source, MixedParquet)
    assert source.blocks == [(0, 300), (300, 600), (600, 900), (900, 1000)]
    assert (source.layout, source.names) == (whole.layout, whole.names)
    rows = np.array([999, 0, 301, 300, 5])
    np.testing.assert_array_equal(source.take(rows), whole.take(rows))
    np.testing.assert_array_equal(source.weight(rows), whole.weight(rows))
    np.testing.assert_array_equal(source.weight_of(source.take(rows), rows), whole.weight(rows))
    np.testing.assert_array_equal(source.read(250, 350), whole.read(250, 350))
    pd.testing.assert_frame_equal(source.wrapped(source.take(np.arange(1000))), gappy(1000))
    seen = np.concatenate([ids for _, ids in batches(source, None, 64, seed=0)])
    assert sorted(seen.tolist()) == list(range(1000))


def test_large_files_for_a_fitted_model(large: Path, tmp_path: Path) -> None:
    form = open_source(large).form
    frame = gappy(1000)[["ok", "day", "age", "size", "city"]].assign(city="Ulm", more=1)
    frame.to_parquet(tmp_path / "later.parquet", row_group_size=300)
    raises(tmp_path / "later.parquet", "unseen at fit time:\n- more", form=form)
    later = open_source(tmp_path / "later.parquet", form=form, columns={"more": "ignore"})
    assert isinstance(later, MixedParquet)
    with pytest.warns(DataWarning, match=r"city: 'Ulm' \(300 cells\) were not there in the fit") as told:
        x = later.take(np.arange(1000))
    assert len(told) == 1
    assert (x[:, 1] == 2).all()
    assert x[5:, 0].tolist() == gappy(1000)["age"].tolist()[5:]


def test_columns_of_large_files_are_told_by_some_row_groups(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.data.mixed_parquet.MOST_ROWS", 500)
    import pyarrow.parquet as pq

    assert spread_groups(pq.ParquetFile(large).metadata) == [0, 3]
    assert open_source(large).described() == open_source(gappy(1000)).described()


def test_large_files_of_numbers_are_searched_for_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.data.mixed_parquet.WHOLE_BYTES", 0)
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(1000, 3)), columns=list("abc"))
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=300)
    assert type(open_source(tmp_path / "t.parquet")) is ParquetSource
    frame.loc[950, "c"] = np.nan
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=300)
    source = open_source(tmp_path / "t.parquet")
    assert isinstance(source, MixedSource)
    assert source.weight(np.array([950, 951])).tolist() == [[1, 1, 0], [1, 1, 1]]  # type: ignore[union-attr]


def test_parquet_keeps_index_and_numbered_columns(tmp_path: Path) -> None:
    frame = gappy().set_axis(range(5), axis=1).set_axis(pd.Index([f"r{i}" for i in range(ROWS)], name="row"))
    frame.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(back(open_source(tmp_path / "t.parquet")), pd.read_parquet(tmp_path / "t.parquet"))
    odd = gappy().rename(columns={"age": "ci", "ok": "ci.ty"}).set_axis(range(7, 7 + 2 * ROWS, 2))
    odd.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(back(open_source(tmp_path / "t.parquet")), odd)
