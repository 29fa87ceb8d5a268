"""Cells become raw numbers and come back as they were, for every type that a column may have."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.data import candidates
from isthmus.data.coding import Coding
from isthmus.data.columns import LeftOut, inferred
from isthmus.data.later import unseen_words
from isthmus.errors import FileFormatError, InputError
from isthmus.records import Column

QUICK = settings(derandomize=True, max_examples=12, deadline=None, database=None)


def cells(values: st.SearchStrategy[Any], least: int = 1) -> st.SearchStrategy[list[Any]]:
    """Columns of some cells, a few of them missing, at least one known."""
    return st.lists(values | st.none(), min_size=least, max_size=12).filter(
        lambda some: any(x is not None for x in some)
    )


def there_and_back(array: Any, wanted: str | None = None, name: str = "x") -> Coding:
    """Check that the cells come back, also in pieces, and after the coding was written and read."""
    coding = inferred(name, array, str(array.type), wanted)
    assert isinstance(coding, Coding), coding
    found = coding.encode(array)
    assert found.values.shape == (len(array),)
    assert found.values.dtype == np.float64
    assert np.array_equal(np.isnan(found.values), array.is_null(nan_is_null=True).to_numpy(zero_copy_only=False))
    body, tensors = coding.state()
    again = Coding.restore(json.loads(json.dumps(body)), tensors)
    assert again == coding
    back = again.decode(found.values)
    assert back.type == array.type
    assert back.equals(array), (array, back)
    pieces = pa.chunked_array([array.slice(0, 1), array.slice(1)])
    np.testing.assert_array_equal(coding.encode(pieces).values, found.values)
    return coding


WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("wanted", ["numeric", "category", "ordinal"])
@given(data=st.data())
@QUICK
def test_whole_numbers_come_back(kind: str, wanted: str, data: st.DataObject) -> None:
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    if wanted == "numeric":
        low, high = max(int(low), -(2**53)), min(int(high), 2**53)  # beyond, a float64 rounds
    values = data.draw(cells(st.integers(int(low), int(high))))
    there_and_back(pa.array(values, pa.type_for_alias(kind)), wanted)


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("wanted", ["numeric", "category", "ordinal", "log", "heavy"])
@given(data=st.data())
@QUICK
def test_floats_come_back(bits: int, wanted: str, data: st.DataObject) -> None:
    values = data.draw(cells(st.floats(allow_nan=False, allow_infinity=False, width=bits).map(lambda x: x + 0.0)))
    if 0.0 in values and wanted in ("category", "ordinal"):
        values = [None if value is None else abs(value) for value in values]  # 0.0 and -0.0 are one level
    there_and_back(pa.array(np.array(values, dtype=f"float{bits}"), from_pandas=True), wanted)


@given(
    values=cells(st.decimals(min_value=-999, max_value=999, places=2)), wanted=st.sampled_from(["numeric", "category"])
)
@QUICK
def test_decimals_come_back(values: list[Any], wanted: str) -> None:
    there_and_back(pa.array(values, pa.decimal128(7, 2)), wanted)


@given(values=cells(st.booleans()), wanted=st.sampled_from([None, "binary", "category", "ordinal", "numeric"]))
@QUICK
def test_truth_values_come_back(values: list[Any], wanted: str | None) -> None:
    there_and_back(pa.array(values, pa.bool_()), wanted)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
@given(values=cells(TEXTS), wanted=st.sampled_from([None, "category", "ordinal"]))
@QUICK
def test_texts_come_back(kind: Any, values: list[Any], wanted: str | None) -> None:
    there_and_back(pa.array(values, kind), wanted)


@pytest.mark.parametrize("ordered", [False, True])
@given(data=st.data())
@QUICK
def test_categories_come_back_with_those_without_a_cell(ordered: bool, data: st.DataObject) -> None:
    kinds = [
        (TEXTS, pa.string()),
        (TEXTS, pa.large_string()),
        (st.integers(-9, 9), pa.int64()),
        (st.booleans(), pa.bool_()),
    ]
    values, kind = data.draw(st.sampled_from(kinds))
    categories = data.draw(st.lists(values, unique=True, min_size=1, max_size=6))
    numbers = data.draw(cells(st.integers(0, len(categories) - 1)))
    array = pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int8()), pa.array(categories, kind), ordered=ordered)
    coding = there_and_back(array)
    if ordered and not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        assert coding.levels == tuple(categories)


ZONES = [None, "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "+02:00"]


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("zone", ZONES)
@given(data=st.data())
@QUICK
def test_dates_come_back_in_their_zone(unit: str, zone: str | None, data: st.DataObject) -> None:
    ticks = {"s": 1, "ms": 10**3, "us": 10**6}[unit]
    step = data.draw(st.sampled_from([1, 60 * ticks, 3_600 * ticks, 86_400 * ticks, 900 * ticks]))
    reach = 6_000_000_000 * ticks // step  # the years 1780 to 2160
    values = data.draw(cells(st.integers(-reach, reach).map(lambda n: n * step)))
    there_and_back(pa.array(values, pa.timestamp(unit, zone)))


@given(values=cells(st.integers(-6 * 10**15, 6 * 10**15)))
@QUICK
def test_nanoseconds_come_back_to_the_microsecond(values: list[Any]) -> None:
    exact = pa.array([None if value is None else value * 1_000 for value in values], pa.timestamp("ns", "UTC"))
    there_and_back(exact)
    finer = pa.array([None if value is None else value * 1_000 + 321 for value in values], pa.timestamp("ns"))
    coding = inferred("x", finer, "datetime64[ns]")
    assert isinstance(coding, Coding)
    back = coding.decode(coding.encode(finer).values).cast(pa.int64()).to_pylist()
    for one, value in zip(back, values, strict=True):
        assert (one is None) if value is None else abs(one - value * 1_000) <= 1_000


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
@given(values=cells(st.dates()))
@QUICK
def test_days_come_back(kind: Any, values: list[Any]) -> None:
    coding = there_and_back(pa.array(values, kind))
    assert (coding.type, coding.resolution) == ("date", "days")


@pytest.mark.parametrize("kind", ["time32[s]", "time32[ms]", "time64[us]", "time64[ns]"])
@given(data=st.data())
@QUICK
def test_times_come_back(kind: str, data: st.DataObject) -> None:
    ticks = {"time32[s]": 1, "time32[ms]": 10**3, "time64[us]": 10**6, "time64[ns]": 10**6}[kind]
    values = data.draw(cells(st.integers(0, 86_400 * ticks - 1)))
    if kind.endswith("[ns]"):
        values = [None if value is None else value * 1_000 for value in values]
    width = pa.int32() if kind.startswith("time32") else pa.int64()
    coding = there_and_back(pa.array(values, width).cast(pa.type_for_alias(kind)))
    assert coding.column == Column("circular")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@given(data=st.data())
@QUICK
def test_spans_come_back(unit: str, data: st.DataObject) -> None:
    step = {"s": 1, "ms": 1, "us": 1, "ns": 1_000}[unit]
    values = data.draw(cells(st.integers(-(10**12), 10**12).map(lambda n: n * step)))
    coding = there_and_back(pa.array(values, pa.duration(unit)), "numeric")
    assert coding.type == "numeric"


FORMATS = [
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%Y %H:%M",
    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ",
]  # fmt: skip


@pytest.mark.parametrize("pattern", FORMATS)
@given(data=st.data())
@QUICK
def test_dates_kept_as_text_come_back_as_text(pattern: str, data: st.DataObject) -> None:
    values = data.draw(cells(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))))
    texts = [None if value is None else value.strftime(pattern) for value in values]
    coding = there_and_back(pa.array(texts))
    assert coding.type == "date"


@given(values=cells(st.times()), pattern=st.sampled_from(["%H:%M", "%H:%M:%S", "%H:%M:%S.%f"]))
@QUICK
def test_times_kept_as_text_come_back_as_text(values: list[Any], pattern: str) -> None:
    texts = [None if value is None else value.strftime(pattern) for value in values]
    assert there_and_back(pa.array(texts)).type == "circular"


@given(
    data=st.data(),
    name=st.sampled_from(["month", "hour", "weekday", "minute"]),
    kind=st.sampled_from(["int64", "double"]),
)
@QUICK
def test_whole_turns_come_back(data: st.DataObject, name: str, kind: str) -> None:
    low, high = {"month": (1, 12), "hour": (0, 23), "weekday": (1, 7), "minute": (0, 59)}[name]
    values = data.draw(cells(st.integers(low, high)))
    there_and_back(pa.array(values, pa.type_for_alias(kind)), "circular", name)


def coding_of(values: Any, wanted: str | None = None, name: str = "x", dtype: str = "", kind: Any = None) -> Coding:
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, kind)
    made = inferred(name, array, dtype or str(array.type), wanted, "df")
    assert isinstance(made, Coding), made
    return made


def test_raw_numbers_are_what_the_contract_says() -> None:
    day = 86_400
    cases: list[tuple[Any, str | None, list[float]]] = [
        ([3, 5, None], "numeric", [3.0, 5.0, math.nan]),
        ([True, False, None], None, [1.0, 0.0, math.nan]),
        (["b", "a", "b", None], None, [0.0, 1.0, 0.0, math.nan]),  # the most frequent first
        (["b", "a", "c"], None, [1.0, 0.0, 2.0]),  # equals in their own order
        (["low", "high"], "ordinal", [1.0, 0.0]),
        ([7, 3, 7], "binary", [1.0, 0.0, 1.0]),
        ([dt.date(1970, 1, 2), None], None, [day, math.nan]),
        ([dt.datetime(1970, 1, 1, 1), dt.datetime(1969, 12, 31)], None, [3_600.0, -day]),
        ([dt.time(6), dt.time(18)], None, [0.25, 0.75]),
        ([dt.timedelta(minutes=2)], None, [120.0]),
        ([0, 90, -90], "circular", [0.5, 0.75, 0.25]),
        ([Decimal("1.25")], "numeric", [1.25]),
    ]
    for values, wanted, raw in cases:
        name = "angle" if wanted == "circular" else "x"
        np.testing.assert_array_equal(coding_of(values, wanted, name).encode(pa.array(values)).values, raw)


def test_dates_with_a_zone_are_seconds_of_utc() -> None:
    array = pa.array([dt.datetime(1970, 1, 1, 1, tzinfo=dt.UTC)], pa.timestamp("us", "Asia/Kathmandu"))
    assert coding_of(array).encode(array).values.tolist() == [3_600.0]


def test_rebuilt_dates_show_what_the_column_showed() -> None:
    day = coding_of([dt.datetime(2024, 1, 31), dt.datetime(2024, 2, 29)])
    assert day.resolution == "days"
    near = day.encode(pa.array([dt.datetime(2024, 2, 1)])).values + np.array([40_000.0])
    assert day.decode(near).to_pylist() == [dt.datetime(2024, 2, 1)]
    berlin = pa.array([dt.datetime(2024, 6, 30, 22)], pa.timestamp("s", "UTC")).cast(pa.timestamp("s", "Europe/Berlin"))
    local = coding_of(berlin)
    assert local.resolution == "days"  # midnight in Berlin
    moved = local.decode(local.encode(berlin).values + 86_400 * 150 + 7_000)
    assert str(moved[0].as_py()) == "2024-11-28 00:00:00+01:00"  # and midnight in winter, an hour later in UTC


def test_an_hour_that_the_clock_shows_twice_comes_back_as_itself() -> None:
    twice = pa.array([1_729_987_200, 1_729_990_800], pa.timestamp("s", "Europe/Berlin"))  # 02:00, and 02:00 again
    assert coding_of(twice).resolution == "hours"
    assert coding_of(twice).decode(coding_of(twice).encode(twice).values).equals(twice)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("timestamp[ns]", "1677-09-21", "2262-04-11"),
        ("timestamp[s]", "0001-01-01", "9999-12-31"),
        ("date32[day]", "0001-01-01", "9999-12-31"),
        ("date64[ms]", "0001-01-01", "9999-12-31"),
    ],
)
def test_dates_are_clipped_to_what_their_type_holds(kind: str, low: str, high: str) -> None:
    coding = coding_of(pa.array([0], pa.int64()).cast(pa.timestamp("s")).cast(pa.type_for_alias(kind)))
    for resolution in ("days", "seconds", "microseconds"):
        one = Coding(**{**vars_of(coding), "resolution": resolution})
        back = one.decode(np.array([-1e300, 1e300])).cast(pa.timestamp("s"), safe=False).cast(pa.string()).to_pylist()
        # The first whole day of nanoseconds begins a day later than they do.
        first = "1677-09-22" if resolution == "days" and kind == "timestamp[ns]" else low
        assert [text[:10] for text in back] == [first, high], (resolution, back)


def vars_of(coding: Coding) -> dict[str, Any]:
    return {key: getattr(coding, key) for key in coding.__dataclass_fields__}


def test_numbers_are_rounded_and_clipped() -> None:
    assert coding_of([1, 200], "numeric", kind=pa.uint8()).decode(np.array([-3.0, 1.6, 1e30, np.nan])).to_pylist() == [
        0, 2, 255, None,
    ]  # fmt: skip
    assert coding_of([1, 2**62], "numeric").decode(np.array([1e300, -1e300])).to_pylist() == [2**63 - 1, -(2**63)]
    money = coding_of([Decimal("1.25")], "numeric", kind=pa.decimal128(5, 2))
    assert money.decode(np.array([1.2549, 1e9, -1e9])).to_pylist() == [
        Decimal("1.25"),
        Decimal("999.99"),
        Decimal("-999.99"),
    ]
    small = coding_of(np.array([1.5], dtype=np.float32), "numeric")
    assert small.decode(np.array([1e300])).to_pylist() == [float(np.finfo(np.float32).max)]
    truth = coding_of([True, False], "numeric")
    assert truth.decode(np.array([0.4, 0.5, 2.0])).to_pylist() == [False, True, True]
    clock = coding_of([dt.time(23, 0), dt.time(1, 0)])
    assert clock.decode(np.array([0.99, 1.01, -0.01])).to_pylist() == [dt.time(0), dt.time(0), dt.time(0)]
    month = coding_of([1, 12], "circular", "month")
    assert month.decode(np.array([-0.01, 0.99, 11 / 12])).to_pylist() == [1, 1, 12]


def test_the_last_level_of_a_category_is_that_of_other_values() -> None:
    coding = coding_of(["a", "b", "a"])
    assert coding.column == Column("category", 3, 0)
    found = coding.encode(pa.array(["b", "z", None, "y", "z"]))
    np.testing.assert_array_equal(found.values, [1.0, 2.0, math.nan, 2.0, 2.0])
    assert (found.unseen, found.count) == (["z", "y"], 3)
    assert coding.decode(np.array([2.0, 9.0, 0.4])).to_pylist() == [None, None, "a"]
    values, unseen, count = coding.encode(pa.array(["z"]).dictionary_encode())
    assert (values.tolist(), unseen, count) == ([2.0], ["z"], 1)


def test_where_rare_values_are_pooled_new_ones_are_told_from_them() -> None:
    coding = coding_of(["common"] * 100 + [f"rare{i}" for i in range(30)], "category")
    assert coding.levels == ("common",)
    assert coding.column == Column("category", 2, 30)
    assert coding.sentence == "x: category of 1 level and 30 rare ones taken together (as asked for)"
    body, tensors = coding.state()
    for one in (coding, Coding.restore(json.loads(json.dumps(body)), tensors)):
        found = one.encode(pa.array(["new", "common", "rare7", None, "newer"]))
        np.testing.assert_array_equal(found.values, [1.0, 0.0, 1.0, math.nan, 1.0])
        assert (found.unseen, found.count) == (["new", "newer"], 2)
        assert not one.forgets
        known = one.encode(pa.array(["rare7", "rare0"]).dictionary_encode())
        assert (known.unseen, known.count) == ([], 0)


def test_rare_values_that_are_too_many_to_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "MOST_RARE", 29)
    coding = coding_of(["common"] * 100 + [f"rare{i}" for i in range(30)], "category")
    assert (coding.rare, coding.forgets) == ((), True)
    found = coding.encode(pa.array(["rare7", "common"]))
    assert (found.values.tolist(), found.unseen, found.count) == ([1.0, 0.0], ["rare7"], 1)
    body, tensors = coding.state()
    assert Coding.restore(body, tensors) == coding
    words = unseen_words("x", found.unseen, found.count, coding.forgets)
    assert words == "x: 'rare7' (1 cell, of which some may be rare values of the fit)"


@pytest.mark.parametrize("wanted", ["category", "binary", "ordinal"])
def test_whole_numbers_and_floats_are_the_same_levels(wanted: str) -> None:
    coding = coding_of([10115, 80331, 10115], wanted, "zip")
    later = coding.encode(pa.array([10115.0, None, 80331.0]))  # as pandas has them once a cell is missing
    np.testing.assert_array_equal(later.values, [0.0, math.nan, 1.0])
    assert coding.encode(pa.array([80331], pa.int32())).values.tolist() == [1.0]
    large = coding_of([2**53, 2**53 + 1], "category")
    assert sorted(large.encode(pa.array([2**53, 2**53 + 1])).values.tolist()) == [0.0, 1.0]


def said(call: Any, *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_value_without_a_place_in_an_order_is_refused_with_those_near() -> None:
    coding = coding_of(["small", "large", "medium"], "ordinal", "size")
    assert said(coding.encode, pa.array(["smal", "smal", "large"]), "df") == (
        "column 'size' of df is ordinal, and 2 cells hold a value that fit never met: 'smal'. Did you mean 'small'? "
        "Correct these cells, or fit with columns={'size': 'category'} (a category has a level for other values; an "
        "order has no place for them)."
    )
    pair = coding_of([1, 2] * 20, None, "two")
    assert said(pair.encode, pa.array([1, 3]), "df") == (
        "column 'two' of df is binary, and 1 cell holds a value that fit never met: 3. There are: 1, 2. "
        "Correct these cells, or fit with columns={'two': 'category'}."
    )


AGAIN = "give its numbers again, or, where they are not known,"

CHANGES: list[tuple[list[Any], Any, str, str]] = [
    ([1, 5, 3], pa.array(["1"]), "numbers", "df['x'] = pandas.to_numeric(df['x'])"),
    ([1, 5, 3], pa.array([dt.date(2024, 1, 1)]), "numbers", f"{AGAIN} df['x'] = None"),
    ([1.5, 5.0], pa.array([dt.time(1)]), "numbers", f"{AGAIN} df['x'] = None"),
    ([1.5, 5.0], pa.array(["2024-01-31", "2024-02-01"]), "numbers", f"{AGAIN} df['x'] = None"),
    (["a", "b"], pa.array([1]), "text", "df['x'] = df['x'].astype(str)"),
    ([dt.date(2024, 1, 1)], pa.array(["2024-01-01"]), "dates", "df['x'] = pandas.to_datetime(df['x'])"),
    ([dt.time(1)], pa.array([3]), "times of day", "df['x'] = pandas.to_datetime(df['x']).dt.time"),
    ([dt.timedelta(1)], pa.array([3]), "time spans", "df['x'] = pandas.to_timedelta(df['x'])"),
    ([True, False], pa.array(["True"]), "truth values", "df['x'] = df['x'].map({'True': True, 'False': False})"),
]


@pytest.mark.parametrize(("fitted", "now", "was", "mend"), CHANGES)
def test_a_changed_type_is_refused_with_the_line_that_mends_it(
    fitted: list[Any], now: Any, was: str, mend: str
) -> None:
    message = said(coding_of(fitted).encode, now, "df")
    assert message.startswith(f"column 'x' of df held {was} in fit (type ")
    assert message.endswith(f". Make it what it was: {mend}")


OFFENDING: list[tuple[list[Any], Any, str, str]] = [
    ([1, 5, 3], ["4", None, "unknown"], "'unknown' in row 2", "pandas.to_numeric(df['x'], errors='coerce')"),
    ([1, 5, 3], ["", "4"], "'' in row 0", "pandas.to_numeric(df['x'], errors='coerce')"),
    ([1, 5, 3], [None, "4", "1e3"], "'4' in row 1", "pandas.to_numeric(df['x'])"),
    (
        [dt.date(2024, 1, 1)], ["2024-01-01", "12024-01-01"], "'12024-01-01' in row 1",
        "pandas.to_datetime(df['x'], errors='coerce')",
    ),
    ([True, False], ["True", "yes"], "'yes' in row 1", "df['x'].map({'True': True, 'False': False})"),
    (["a", "b"], [None, 7], "7 in row 1", "df['x'].astype(str)"),
]  # fmt: skip


@pytest.mark.parametrize(("fitted", "now", "cell", "mend"), OFFENDING)
@pytest.mark.parametrize("dictionary", [False, True])
def test_a_changed_type_is_shown_by_a_cell_that_does_not_fit(
    fitted: list[Any], now: list[Any], cell: str, mend: str, dictionary: bool
) -> None:
    cells = pa.array(now).dictionary_encode() if dictionary else pa.array(now)
    message = said(coding_of(fitted).encode, cells, "df")
    assert f" now, for example {cell} (Arrow type " in message
    assert message.endswith(f"Make it what it was: df['x'] = {mend}")


def test_a_changed_time_zone_is_refused_with_the_line_that_mends_it() -> None:
    moment = dt.datetime(2024, 1, 1, 12)
    naive, aware = pa.array([moment]), pa.array([moment], pa.timestamp("us", "UTC"))
    assert said(coding_of(naive).encode, aware, "df") == (
        "column 'x' of df has the time zone UTC, and had none in fit: df['x'] = df['x'].dt.tz_localize(None)"
    )
    assert said(coding_of(aware).encode, naive, "df") == (
        "column 'x' of df has no time zone, and had UTC in fit: df['x'] = df['x'].dt.tz_localize('UTC')"
    )
    other = aware.cast(pa.timestamp("us", "Europe/Berlin"))  # the same moments
    assert coding_of(aware).encode(other).values.tolist() == coding_of(aware).encode(aware).values.tolist()


def test_columns_that_lost_all_their_cells_are_all_missing() -> None:
    for values in ([1, 5, 3], ["a", "b"], [dt.date(2024, 1, 1)], [dt.time(1)], [True, False]):
        for lost in (pa.nulls(3), pa.array([np.nan, None, np.nan]), pa.nulls(3, pa.string()), pa.nulls(3, pa.date32())):
            assert np.isnan(coding_of(values).encode(lost).values).tolist() == [True] * 3
        assert coding_of(values).encode(pa.nulls(0)).values.shape == (0,)
        assert coding_of(values).encode(pa.array(values).slice(0, 0)).values.shape == (0,)


def test_infinite_cells_are_refused_by_name() -> None:
    for wanted in ("numeric", "category", "circular"):
        coding = coding_of([0.5, 0.0, 0.99], wanted)
        assert said(coding.encode, pa.array([math.inf, 0.5, -math.inf]), "df") == (
            "Input df contains infinity: column 'x', 2 cells of 3. Often a division by zero or a logarithm of zero: "
            "replace these cells (with NaN, say) or drop their rows."
        )


def test_counts_that_are_none_are_refused() -> None:
    coding = coding_of([0, 3, 4], "count")
    assert said(coding.encode, pa.array([1.5, 2.0, -1.0]), "df").startswith(
        "column 'x' of df cannot be a count: counts are whole numbers from 0 on, and 2 cells are not, for example 1.5."
    )


def test_dates_out_of_range_are_refused() -> None:
    coding = coding_of([dt.datetime(2024, 1, 1)])
    message = said(coding.encode, pa.array([0, 2**59], pa.timestamp("us")), "df")
    assert message == (
        "column 'x' of df holds dates out of range: 1 cell beyond the years 1 to 9999, the first in row 1 "
        "(about the year 20237). Correct these cells or make them missing."
    )


def test_dates_written_in_another_way_are_refused() -> None:
    coding = coding_of(["2024-01-31", "2024-02-01"])
    assert said(coding.encode, pa.array(["2024-01-31", "31.01.2024", None]), "df") == (
        "column 'x' of df, row 1: '31.01.2024' is not written as %Y-%m-%d, as the others are (1 such cell). Correct "
        "these cells or make them missing: pandas.to_datetime(..., errors='coerce')"
    )
    assert "'2024-02-31' is not written" in said(coding.encode, pa.array(["2024-02-31"]), "df")


def test_a_damaged_description_is_refused() -> None:
    body, tensors = coding_of(["a", "b"]).state()
    for key in body:
        with pytest.raises(FileFormatError, match="damaged"):
            Coding.restore({name: value for name, value in body.items() if name != key}, tensors)
    with pytest.raises(FileFormatError, match="description of column 'x' is damaged"):
        Coding.restore(body, {})
    with pytest.raises(FileFormatError, match="damaged"):
        Coding.restore({**body, "arrow": "list<item: int8>"}, tensors)
    with pytest.raises(FileFormatError, match="damaged"):
        Coding.restore({**body, "column": ["thing", 3, 0]}, tensors)


def test_a_left_out_column_says_so() -> None:
    assert LeftOut("id", "every value is different").sentence == "id: every value is different"


def test_a_column_of_nothing_stays_one() -> None:
    for wanted in ("numeric", "category", "count"):
        coding = coding_of(pa.nulls(2), wanted)
        assert np.isnan(coding.encode(pa.nulls(2)).values).all()
        assert coding.decode(np.array([0.0, 3.0])).equals(pa.nulls(2))
        assert said(coding.encode, pa.array([1]), "df") == (
            "column 'x' of df held nothing in fit (type null) and holds numbers now, for example 1 in row 0 "
            "(Arrow type int64). Make it what it was: fit again with this df"
        )


def test_plain_cells_and_categories_of_them_are_read_alike() -> None:
    for values in ([1, 5, 3, None], [0.5, 2.0, None], ["2024-01-31", None], ["08:30", None], ["a", "b", None]):
        array = pa.array(values)
        coding = coding_of(array)
        np.testing.assert_array_equal(coding.encode(array.dictionary_encode()).values, coding.encode(array).values)
        pieces = pa.chunked_array([array.slice(0, 1).dictionary_encode(), array.slice(1).dictionary_encode()])
        np.testing.assert_array_equal(coding.encode(pieces).values, coding.encode(array).values)
    declared = pa.array(["a", "b", "a"]).dictionary_encode()
    assert coding_of(declared).encode(pa.array(["b", "a"])).values.tolist() == [1.0, 0.0]


def test_truth_values_and_0_and_1_are_read_alike() -> None:
    assert coding_of([True, False]).encode(pa.array([1, 0, None])).values[:2].tolist() == [1.0, 0.0]
    assert coding_of([0, 1]).encode(pa.array([True, False])).values.tolist() == [1.0, 0.0]
