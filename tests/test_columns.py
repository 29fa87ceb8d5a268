"""What columns are taken for, and what is said where the user's word does not fit their cells."""

from __future__ import annotations

import datetime as dt
import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from isthmus.data import marginals
from isthmus.data.coding import Coding
from isthmus.data.columns import MIXED_TYPES, TYPES, Among, LeftOut, arrow_of, check_type, inferred
from isthmus.data.levels import FEW_LEVELS
from isthmus.errors import InputError
from isthmus.records import Column

RANDOM = np.random.default_rng(0)
ROWS = 400
WORDS = [f"word{i}" for i in range(12)]


def look(values: Any, name: str = "x", wanted: str | None = None, dtype: str | None = None) -> Coding | LeftOut:
    if isinstance(values, pd.Series):
        array, dtype = arrow_of(values, name, "df"), str(values.dtype)
    else:
        array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)
    return inferred(name, array, dtype or str(array.type), wanted, "df")


def said(call: Any, *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def hashes(count: int) -> list[str]:
    return [f"{value:032x}" for value in RANDOM.permutation(10 * count)[:count]]


def uuids(count: int) -> list[str]:
    return [f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}" for text in hashes(count)]


CASES: list[tuple[str, Any, str]] = [
    ("age", RANDOM.normal(50, 10, ROWS), "age: numeric (numbers)"),
    ("zip", RANDOM.integers(10_000, 10_030, ROWS), "zip: category of 30 levels (whole numbers without an order, as "
     "the name says)"),
    ("zip", RANDOM.integers(10_000, 10_030, ROWS) + 0.0, "zip: category of 30 levels (whole numbers without an "
     "order, as the name says)"),
    ("group_size", np.repeat([3, 4, 5, 7], 100) * 10, "group_size: numeric (whole numbers)"),
    ("flag", [0, 1, None], "flag: binary, 0 or 1 (whole numbers of two values)"),
    ("two", [5, 9] * 20, "two: binary, 5 or 9 (whole numbers of two values)"),
    ("few", [5, 9], "few: numeric (whole numbers)"),
    ("ok", [True, None, True], "ok: binary, False or True (truth values)"),
    ("sex", ["m", "f", None] * 9, "sex: category of 2 levels (text)"),
    ("money", ["1,200", "$5", "$7"] * 9, "money: category of 3 levels (text, which looks like numbers: convert it)"),
    ("plz", ["02139", "10001"] * 9, "plz: category of 2 levels (text)"),
    ("day", [dt.date(2024, 1, 31)], "day: date, shown in days (dates)"),
    ("day", ["2024-01-31", None], "day: date, shown in days (text written as %Y-%m-%d)"),
    ("at", ["31.01.2024 14:30"], "at: date, shown in minutes (text written as %d.%m.%Y %H:%M)"),
    ("day", ["2024-1-31"] * 3, "day: category of 1 level (text)"),  # it would not come back letter by letter
    ("day", ["2024-02-31"] * 3, "day: category of 1 level (text)"),
    ("day", ["01/02/2024"] * 3, "day: category of 1 level (text)"),  # January or February?
    ("clock", [dt.time(14, 30)], "clock: time of day (times of day)"),
    ("clock", ["14:30", "09:05"], "clock: time of day (text written as %H:%M)"),
    ("wait", [dt.timedelta(hours=2)], "wait: time span (time spans, in seconds)"),
    ("user_id", RANDOM.permutation(ROWS), "user_id: every value is different, so it names rows rather than "
     "describes them"),
    ("CustomerID", RANDOM.permutation(ROWS) + 0.0, "CustomerID: every value is different, so it names rows rather "
     "than describes them"),
    ("id", [*range(97), 5, 6, 7], "id: 97 % of its values are different, so it names rows rather than describes them"),
    ("store_id", RANDOM.integers(0, 7, ROWS), "store_id: category of 7 levels (whole numbers without an order, as "
     "the name says)"),
    ("row", np.arange(3, 103), "row: it counts the rows up by one, so it names rows rather than describes them"),
    ("year", np.arange(1900, 2000), "year: numeric (whole numbers)"),
    ("name", [f"n{i}" for i in range(30)], "name: every value is different, so it names rows rather than describes "
     "them"),
    ("name", [f"n{i}" for i in range(10)], "name: category of 10 levels (text)"),
    ("price", [f"{i},50" for i in range(30)],
     "price: every value is different, so it names rows rather than describes them. They look like numbers kept as "
     "text: convert them"),
    ("key", uuids(50), "key: identifiers (hashes or UUIDs), which name rows rather than describe them"),
    ("digest", hashes(50), "digest: identifiers (hashes or UUIDs), which name rows rather than describe them"),
    ("comment", [f"{'word ' * 16}{i:4d}" for i in range(98)] + [f"{'word ' * 16}   0"] * 2,
     "comment: free text (mean 84 characters, 98 % different)"),
    ("none", [None, None], "none: nothing is known in it: every cell is missing"),
    ("none", [math.nan, None], "none: nothing is known in it: every cell is missing"),
    ("none", pa.nulls(3, pa.dictionary(pa.int8(), pa.string())), "none: nothing is known in it: every cell is missing"),
    ("tail", ["a"] * 50 + [f"b{i}" for i in range(25)],
     "tail: category of 1 level and 25 rare ones taken together (text)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "sentence"), CASES)
def test_columns_are_taken_for_what_they_look_like(name: str, values: Any, sentence: str) -> None:
    if isinstance(values, np.ndarray) or not isinstance(values, pa.Array):
        values = pa.array(values, from_pandas=True)
    assert look(values, name).sentence == sentence


def test_pandas_and_polars_columns_are_told_alike() -> None:
    ordered = pd.Series(pd.Categorical(["S", "L", "S"], categories=["S", "M", "L"], ordered=True))
    found = look(ordered, "size")
    assert isinstance(found, Coding)
    assert (found.sentence, found.column) == (
        "size: ordinal, 3 levels from S to L (categories with an order)",
        Column("ordinal", 3),
    )
    numbers = look(pd.Series([7, 9, 7], dtype="category"), "kind")
    assert isinstance(numbers, Coding)
    assert (numbers.type, numbers.levels, numbers.categories) == ("category", (7, 9), (7, 9))
    enum = pl.Series("size", ["S", "L", "S"], dtype=pl.Enum(["S", "M", "L"]))
    told = look(enum.to_arrow(), "size", dtype=str(enum.dtype))
    assert isinstance(told, Coding)
    assert (told.type, told.levels, told.categories) == ("category", ("S", "L"), ("S", "M", "L"))
    for series in (pd.Series(["a", None, "a"]), pd.Series(["a", None, "a"], dtype=object)):
        assert look(series).sentence == "x: category of 1 level (text)"
    nullable = look(pd.Series([1, None, 5], dtype="Int64"))
    assert isinstance(nullable, Coding)
    assert (nullable.type, nullable.arrow, nullable.dtype) == ("numeric", "int64", "Int64")


@pytest.mark.parametrize(
    ("best", "sentence", "scaling", "column"),
    [
        (("count", "standard"), "x: count (the best)", "auto", Column("count")),
        (("heavy", "standard"), "x: numeric with heavy tails (the best)", "standard", Column("heavy")),
        (("heavy", "log"), "x: numeric with heavy tails (the best)", "log", Column("heavy")),
        (("number", "quantile"), "x: numeric (the best)", "quantile", Column()),
        (("number", "standard"), "x: numeric (whole numbers)", "auto", Column()),
    ],
)
def test_amounts_are_taken_for_what_explains_them_best(
    best: tuple[str, str], sentence: str, scaling: str, column: Column, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = []

    def best_marginal(values: np.ndarray, whole: bool, sample: int) -> marginals.Marginal:
        met.append((values.tolist(), whole))
        return marginals.Marginal(*best, reason="the best")

    monkeypatch.setattr(marginals, "best_marginal", best_marginal)
    found = look([3.0, None, 5.0, 8.0])
    assert isinstance(found, Coding)
    assert met == [([3.0, 5.0, 8.0], True)]
    assert (found.sentence, found.scaling, found.column) == (sentence, scaling, column)


def test_what_is_not_binary_is_told_what_it_may_be() -> None:
    said = "cannot be 'binary': it has "
    for cells, words in (
        (list(range(390)), "Take it for a number: 'numeric'."),
        ([1, 2, 3], "Take it for a category."),
        ([f"n{i}" for i in range(30)], "Leave it out: 'ignore'."),
    ):
        with pytest.raises(InputError) as caught:
            inferred("x", pa.array(cells), "object", "binary")
        assert said in str(caught.value)
        assert str(caught.value).endswith(words)


def test_skewed_numbers_are_scaled_by_their_logarithm_and_counts_are_counts() -> None:
    assert look(np.exp(RANDOM.normal(0, 2, 5_000)), "income").scaling == "log"  # type: ignore[union-attr]
    assert look(RANDOM.negative_binomial(1, 0.1, 5_000), "visits").column == Column("count")  # type: ignore[union-attr]


def test_levels_are_pooled_below_two_and_once_in_200_000_rows() -> None:
    values = np.repeat(np.arange(FEW_LEVELS + 1), [1, *([2] * FEW_LEVELS)])
    found = look(values, "code")
    assert isinstance(found, Coding)
    assert found.levels == tuple(range(1, FEW_LEVELS + 1))
    assert found.column == Column("category", FEW_LEVELS + 1, 1)
    many = np.repeat(np.arange(23), [600_000, *([3] * 11), *([4] * 11)])
    wide = look(many, "code")
    assert isinstance(wide, Coding)
    assert wide.levels == (0, *range(12, 23))  # 600,077 rows: at least 3.0004 times
    assert wide.column.rare == 11


def test_at_most_a_hundred_thousand_levels() -> None:
    found = look(np.repeat(np.arange(150_000), 2), "code")
    assert isinstance(found, Coding)
    assert (len(found.levels), found.column) == (100_000, Column("category", 100_001, 50_000))


WANTED: list[tuple[str, Any, str, str, Column]] = [
    ("log", [1.0, 2.0], "x: numeric (as asked for)", "log", Column()),
    ("numeric", [True, False], "x: numeric (as asked for)", "auto", Column()),
    ("numeric", [0, 1], "x: numeric (as asked for)", "auto", Column()),
    ("numeric", [None, None], "x: numeric (as asked for)", "auto", Column()),
    ("heavy", [0.5, 1], "x: numeric with heavy tails (as asked for)", "auto", Column("heavy")),
    ("count", [0.0, 3.0, None], "x: count (as asked for)", "auto", Column("count")),
    ("binary", ["no", "yes", None], "x: binary, 'no' or 'yes' (as asked for)", "auto", Column("binary")),
    ("binary", [1, 1], "x: binary, 0 or 1 (as asked for)", "auto", Column("binary")),
    ("category", [0.5, 2.5, 0.5], "x: category of 2 levels (as asked for)", "auto", Column("category", 3)),
    ("category", [None], "x: category of 0 levels (as asked for)", "auto", Column("category", 1)),
    ("ordinal", ["b", "a"],
     "x: ordinal, 2 levels from a to b (as asked for, in sorted order: give pandas.Categorical(..., ordered=True) for "
     "another)", "auto", Column("ordinal", 2)),
    ("ordinal", [3, 1, 2], "x: ordinal, 3 levels from 1 to 3 (as asked for, in sorted order)", "auto",
     Column("ordinal", 3)),
    ("circular", [0.0, 0.9], "x: circular, a turn is 1 (as asked for)", "auto", Column("circular")),
    ("circular", [0, 23], "x: circular, a turn is 24 (as asked for)", "auto", Column("circular")),
    ("circular", [-170.0, 175.0], "x: circular, a turn is 360 (as asked for)", "auto", Column("circular")),
    ("date", ["13/02/2024"], "x: date, shown in days (as asked for)", "auto", Column()),
    ("date", ["2024-1-3"], "x: date, shown in days (as asked for)", "auto", Column()),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "values", "sentence", "scaling", "column"), WANTED)
def test_the_user_has_the_last_word(wanted: str, values: Any, sentence: str, scaling: str, column: Column) -> None:
    found = look(values, "x", wanted)
    assert isinstance(found, Coding)
    assert (found.sentence, found.scaling, found.column) == (sentence, scaling, column)


def test_what_is_asked_for_is_left_out_whatever_it_holds() -> None:
    assert look([b"bytes"], "x", "ignore") == LeftOut("x", "left out, as asked for")


REFUSED: list[tuple[str, Any, str]] = [
    ("count", [1, -2, 3], "'count'|cannot be a count: counts are whole numbers from 0 on, and 1 cell is not, for "
     "example -2. "
     "Correct these cells, or fit with columns={'x': 'numeric'}"),
    ("count", ["a"], "cannot be 'count': it holds text (type string), for example 'a'."),
    ("binary", [1, 2, 3], "cannot be 'binary': it has 3 values, not two: 1, 2, 3. Take it for a category."),
    ("binary", ["a"], "cannot be 'binary': it has 1 value, not two: 'a'. Take it for a category."),
    ("numeric", ["$5", "7"], "cannot be 'numeric': it holds text (type string), for example '$5'. It looks like a "
     "number kept as "
     "text: convert it (pandas.to_numeric does)."),
    ("log", ["a", "b"], "cannot be 'log': it holds text (type string), for example 'a'. Take it for a category, or "
     "leave it out."),
    ("heavy", [dt.date(2024, 1, 1)], "cannot be 'heavy': it holds dates (type date32[day]), for example "
     "datetime.date(2024, 1, 1). "
     "Take it for a date."),
    ("category", [dt.time(1)], "cannot be 'category': it holds times of day (type time64[us]), for example "
     "datetime.time(1, 0). "
     "Take it for a date or a circular one."),
    ("category", list(range(30)), "cannot be 'category': each of its 30 values is too rare to be learnt from. Leave "
     "it out."),
    ("ordinal", [dt.date(2024, 1, 1)], "cannot be 'ordinal': it holds dates (type date32[day]), for example "
     "datetime.date(2024, 1, 1). Dates are dates already."),
    ("date", [1_700_000_000], "cannot be 'date': it holds numbers (type int64), for example 1700000000. Say their "
     "unit: "
     "pandas.to_datetime(df['x'], unit='s')."),
    ("date", ["2024-01-31", "soon"], "cannot be 'date': 'soon' in row 1 is not written in a way that is known "
     "(2024-01-31, "
     "2024-01-31 14:30, 31.01.2024, 01/31/2024), or not as the others are. Convert it: "
     "pandas.to_datetime(df['x'], errors='coerce')"),
    ("date", ["01/02/2024"], "cannot be 'date': its cells may be written as %m/%d/%Y or %d/%m/%Y. Say which: "
     "pandas.to_datetime(df['x'], format=...)"),
    ("circular", ["soon"], "cannot be 'circular': 'soon' in row 0 is not written in a way that is known (14:30, "
     "14:30:59), or not "
     "as the others are. Convert it: pandas.to_datetime(df['x'], errors='coerce')"),
    ("circular", [3, 9_000], "cannot be 'circular': its values run from 3 to 9000, which tells no turn. Divide it "
     "by the length of "
     "a turn, so that it lies between 0 and 1."),
    ("circular", [dt.date(2024, 1, 1)], "cannot be 'circular': it holds dates (type date32[day]), for example "
     "datetime.date(2024, 1, 1). Add a column of its times, .dt.time, or of its months or weekdays."),
    ("date", [None], "cannot be 'date': it holds nothing (type null)."),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "values", "message"), REFUSED)
def test_a_word_that_does_not_fit_is_refused(wanted: str, values: Any, message: str) -> None:
    expected = message.rpartition("|")[2]
    assert said(look, values, "x", wanted) == f"column 'x' of df {expected}"


def test_a_dictionary_of_numbers_is_no_number() -> None:
    column = pd.Series([1, 2], dtype="category")
    assert said(look, column, "x", "numeric") == (
        "column 'x' of df cannot be 'numeric': it holds categories (type category), for example 1. "
        "Convert it first (.astype('float64'))."
    )


def test_unknown_words_are_refused_with_the_known_ones() -> None:
    assert said(look, [1], "x", "categry") == (
        f"columns: 'x' must be one of {', '.join(map(repr, TYPES))}; got 'categry'. Did you mean 'category'?"
    )
    assert said(check_type, "x", 3).endswith("; got 3.")
    assert set(MIXED_TYPES) <= set(TYPES)


def test_infinite_cells_are_refused_by_name_whatever_the_column_is() -> None:
    for wanted in (None, "numeric", "category", "binary", "ordinal", "circular", "count", "heavy"):
        message = said(look, [1.0, -math.inf, 0.5], "height", wanted)
        assert message.startswith("Input df contains infinity: column 'height', 1 cell of 3.")
    categories = pd.Series([1.0, math.inf], dtype="category")
    assert said(look, categories, "height").startswith("Input df contains infinity: column 'height'")


def test_dates_out_of_range_are_refused() -> None:
    assert said(look, pa.array([2**60], pa.timestamp("us"))).startswith(
        "column 'x' of df holds dates out of range: 1 cell beyond the years 1 to 9999, the first in row 0"
    )


@pytest.mark.parametrize(
    ("values", "part"),
    [
        (
            pa.array([b"a"]),
            "bytes: decode them to text (.str.decode('utf-8')), or leave the column out (Arrow type binary)",
        ),
        (pa.array([[1, 2]]), "lists: spread them over columns of their own (Arrow type list<"),
        (pa.array([{"a": 1}]), "records (dictionaries): give each field a column of its own (Arrow type struct<"),
    ],
)
def test_cells_that_no_column_can_have_are_refused(values: Any, part: str) -> None:
    message = said(look, values)
    assert message.startswith(f"column 'x' of df holds {part}")
    assert message.endswith("Or leave it out with columns={'x': 'ignore'}.")


def test_dates_as_categories_are_refused() -> None:
    column = pd.Series(pd.to_datetime(["2024-01-31"])).astype("category")
    assert said(look, column) == (
        "column 'x' of df holds categories that are dates: give them as such (.astype('datetime64[ns]') of dates), "
        "or as text (.astype(str).astype('category'))"
    )


LEAVE = "or leave the column out with columns={'x': 'ignore'}."

OBJECTS: list[tuple[list[Any], str]] = [
    ([1, "a", 2.5], "column 'x' of df mixes types: int (1), str ('a'), float (2.5). Make it one type, df['x'] = "
     f"pandas.to_numeric(df['x'], errors='coerce'), or all text: df['x'] = df['x'].map(str), {LEAVE}"),
    ([True, 1], f"column 'x' of df mixes types: bool (True), int (1). Make it one type, df['x'] = "
     f"df['x'].astype('float64'), {LEAVE}"),
    ([dt.date(2024, 1, 1), "a"], "column 'x' of df mixes types: date (datetime.date(2024, 1, 1)), str ('a'). Make "
     "it one type, "
     f"df['x'] = df['x'].map(str), {LEAVE}"),
    ([1j, 2], "Complex data not supported: column 'x' of df has type object. Give real and imaginary parts as "
     "columns of their own."),
    ([2**70, 1], "df: column 'x' holds the whole number 1180591620717411303424, beyond the range of 64 bits. "
     "Give it as a float if it may be rounded; if it is an identifier, leave its column out."),
    (["\ud800"], "column 'x' of df holds text that is no Unicode, for example '\\ud800': read it again with its "
     "encoding, or clean "
     "it (.str.encode('utf-8', 'replace').str.decode('utf-8'))"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "message"), OBJECTS)
def test_objects_that_are_no_column_are_refused_in_words(values: list[Any], message: str) -> None:
    assert said(arrow_of, pd.Series(values, dtype=object), "x", "df") == message


def test_objects_of_one_unusable_type_are_refused_in_words() -> None:
    message = said(arrow_of, pd.Series([object()]), "x", "df")
    assert re.fullmatch(
        r"column 'x' of df holds objects that cannot be used: object \(<object .*\)\. Convert it, .*", message
    )


def test_pandas_types_without_a_twin_are_refused_in_words() -> None:
    periods = pd.Series(pd.period_range("2024-01", periods=2, freq="M"))
    assert said(arrow_of, periods, "x", "df") == (
        "column 'x' of df holds periods (period[M]): turn them into dates, df['x'] = df['x'].dt.to_timestamp()"
    )
    bins = pd.Series(pd.cut([1, 5], 2))
    assert said(arrow_of, bins, "x", "df") == (
        "column 'x' of df holds categories that are intervals: name them as text, "
        "df['x'] = df['x'].cat.rename_categories(str)"
    )
    assert look(pd.Series(bins.cat.rename_categories(str)), "x").sentence.startswith("x: ordinal, 2 levels from (")
    complex_ = said(arrow_of, pd.Series([1j]), "x", "df")
    assert complex_.startswith("Complex data not supported: column 'x' of df has type complex128.")


def test_the_lines_that_mend_do_mend() -> None:
    frame = pd.DataFrame({"x": pd.Series([1, "a", 2.5], dtype=object)})
    frame["x"] = pd.to_numeric(frame["x"], errors="coerce")
    assert arrow_of(frame["x"], "x", "df").to_pylist() == [1.0, None, 2.5]
    mixed = pd.Series([True, 1], dtype=object).astype("float64")
    assert arrow_of(mixed, "x", "df").to_pylist() == [1.0, 1.0]
    assert arrow_of(pd.Series([1, None, "b"], dtype=object).map(str), "x", "df").to_pylist()[0] == "1"


def test_pandas_columns_as_arrow() -> None:
    sparse = pd.Series(pd.arrays.SparseArray([0.0, 1.5]))
    assert arrow_of(sparse, "x", "df").to_pylist() == [0.0, 1.5]
    assert arrow_of(pd.Series([1.5, math.nan]), "x", "df").null_count == 1
    money = arrow_of(pd.Series([Decimal("1.25"), None]), "x", "df")
    assert (money.type, money.to_pylist()) == (pa.decimal128(3, 2), [Decimal("1.25"), None])
    moments = pd.Series(pd.to_datetime(["2024-01-31", None]).tz_localize("Europe/Berlin"))
    assert arrow_of(moments, "x", "df").type.tz == "Europe/Berlin"


def test_two_million_different_values_take_seconds() -> None:
    array = pa.array(np.arange(2_000_000)).cast(pa.string())
    assert look(array, "name") == LeftOut(
        "name",
        "every value is different, so it names rows rather than describes them. They look like numbers kept as text: "
        "convert them",
    )


def test_values_none_of_which_is_frequent_are_left_out() -> None:
    assert look(np.arange(99).repeat(2), "code").sentence.startswith("code: category of 99 levels")
    twice = np.arange(250_000).repeat(2)  # in 500,000 rows a level is seen three times
    assert look(twice, "code") == LeftOut(
        "code", "none of its 250,000 different values is seen often enough to be learnt from"
    )


@pytest.mark.parametrize(("width", "sample"), [(1, 10_000), (300, 10_000), (301, 1_000), (1_000, 1_000), (1_001, 0)])
def test_the_wider_a_table_the_fewer_values_choose_a_likelihood(
    width: int, sample: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def best_marginal(values: np.ndarray, whole: bool, sample: int) -> marginals.Marginal:
        asked.append(sample)
        return marginals.Marginal("number", "standard", "")

    monkeypatch.setattr(marginals, "best_marginal", best_marginal)
    inferred("x", pa.array([1.5, 2.5]), "double", among=Among(width))
    assert asked == [sample]


def test_no_value_at_all_leaves_the_plain_likelihood() -> None:
    incomes = np.exp(np.random.default_rng(0).normal(10, 1, 2_000))
    assert [marginals.best_marginal(incomes, False, few).scaling for few in (1_000, 0)] == ["log", "standard"]


@pytest.mark.parametrize(
    ("name", "values", "type_"),
    [
        ("step", list(range(100)), "numeric"),
        ("user_id", RANDOM.permutation(1_000).tolist(), "numeric"),
        ("zip", [10115, 80331] * 50, "numeric"),
        ("two", [3, 7] * 50, "numeric"),
        ("flag", [0, 1] * 50, "binary"),
        ("truth", [True, False] * 50, "binary"),
    ],
)
def test_among_numbers_alone_a_number_is_a_number(name: str, values: list[int], type_: str) -> None:
    found = inferred(name, pa.array([*values, None]), "", among=Among(2, numbers=True))
    assert isinstance(found, Coding)
    assert found.type == type_ or (found.type, type_) == ("count", "numeric")
    empty = inferred("x", pa.nulls(3, pa.float64()), "", among=Among(2, numbers=True))
    assert isinstance(empty, LeftOut)
