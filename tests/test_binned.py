"""Columns as levels and back: what bins hold, what is drawn from them, what grids, gaps and nameless levels become."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from isthmus.data import ArraySource, open_source
from isthmus.data.binned import KNOTS, MOST, Binned, Bins, Grid, bins_for, first_of_bins, quantiles
from isthmus.errors import FileFormatError

RNG = np.random.default_rng(0)
EVEN = (np.arange(1000) + 0.5) / 1000


def drawn(bins: Bins, level: int) -> np.ndarray:
    """A thousand values of a level, at even shares."""
    return bins.values(np.full(1000, level), EVEN)


def test_a_value_that_many_rows_share_is_a_level_of_its_own_and_comes_back_exactly():
    values = np.concatenate([np.full(900, 0.0), RNG.lognormal(8, 1, 100)])
    bins = Bins.of(values)
    zero = bins.levels(np.zeros(1))[0]
    assert bins.ends[zero].tolist() == [0.0, 0.0]
    assert set(drawn(bins, zero)) == {0.0}
    assert len(bins.ends) > 10  # the others are told apart, although all zeros are in one


def test_bins_hold_about_as_many_rows_each_and_never_overlap():
    values = RNG.normal(size=20_000)
    bins = Bins.of(values)
    counts = np.bincount(bins.levels(values))
    assert len(counts) == MOST == bins_for(20_000)
    assert counts.min() >= 0.99 * 20_000 / MOST
    assert counts.max() <= 1.01 * 20_000 / MOST
    assert (bins.ends[1:, 0] > bins.ends[:-1, 1]).all()


def test_drawing_from_all_bins_gives_the_distribution_back_and_never_leaves_the_range():
    values = RNG.gamma(2.0, 3.0, 20_000)
    bins = Bins.of(values)
    again = bins.values(bins.levels(values), RNG.random(20_000))
    assert again.min() >= values.min()
    assert again.max() <= values.max()
    assert ks_2samp(again, values).statistic < 0.005
    assert (bins.levels(again) == bins.levels(values)).all()


@pytest.mark.parametrize(
    ("values", "grid"),
    [
        (np.array([1.0, 2.0, 5.0]), Grid(1, 1, 0)),
        (np.array([100.0, 150.0, 300.0]), Grid(100, 50, 0)),
        (np.array([0.1, 0.3, 0.7]), Grid(1, 2, 1)),
        (np.array([86_400.0, 172_800.0, 864_000.0]), Grid(86_400, 86_400, 0)),
        (np.array([0.1, np.pi]), Grid()),
        (np.array([1e300, 2e300]), Grid()),
        (np.array([5.0]), Grid()),
        (np.empty(0), Grid()),
    ],
)
def test_what_values_are_rounded_to(values, grid):
    assert Grid.of(values) == grid


def test_drawn_numbers_are_rounded_as_the_data_are_to_the_very_same_floats():
    values = np.round(RNG.normal(20, 5, 5000), 1)
    bins = Bins.of(values)
    some = bins.values(RNG.integers(0, len(bins.ends), 5000), RNG.random(5000))
    assert (some == np.round(some, 1)).all()
    fours = np.arange(0, 4000, 4, dtype=float)
    bins = Bins.of(fours)
    some = bins.values(RNG.integers(0, len(bins.ends), 5000), RNG.random(5000))
    assert (some % 4 == 0).all()


def test_short_floats_are_known_to_be_rounded():
    tenths = np.round(RNG.normal(size=(500, 1)), 1).astype(np.float32)
    assert Binned.fit(ArraySource(tenths)).columns[0].grid.decimals == 1
    assert Binned.fit(ArraySource(RNG.normal(size=(500, 1)).astype(np.float32))).columns[0].grid == Grid()


def test_whole_numbers_in_a_bin_keep_their_shares():
    values = np.repeat(np.arange(40.0), 50)
    bins = Bins.of(values, most=4)
    found, counts = np.unique(drawn(bins, 1), return_counts=True)
    assert found.tolist() == list(np.arange(10.0, 20.0))
    assert np.abs(counts - 100).max() <= 2  # the first and the last as often as those between


def test_knots_are_the_quantiles_of_values_spread_over_what_rounds_to_them():
    # 1 in three cells and 2 in one: the quantile function of U(0.5, 1.5) with weight 3/4, U(1.5, 2.5) with 1/4.
    shares = np.linspace(0, 1, KNOTS + 1)
    expected = np.where(shares <= 0.75, 0.5 + shares / 0.75, 1.5 + (shares - 0.75) / 0.25)
    assert np.allclose(quantiles(np.array([1.0, 2.0]), np.array([3, 1]), 0.5), expected)


def test_few_values_are_levels_each_whatever_their_shares():
    assert first_of_bins(np.array([1000, 1, 1]), most=8).tolist() == [0, 1, 2]


@pytest.mark.parametrize("near", [1.0, 1e308, 5e-324])
def test_neighbouring_floats_are_told_apart(near):
    values = np.array([near, np.nextafter(near, np.inf)])
    bins = Bins.of(values)
    assert bins.levels(values).tolist() == [0, 1]
    assert bins.values(np.array([0, 1]), np.full(2, 0.9)).tolist() == values.tolist()


def test_gaps_are_the_last_level_and_come_back_as_gaps():
    bins = Bins.of(np.array([1.0, np.nan, 2.0]))
    assert bins.count == 3
    assert bins.levels(np.array([np.nan, 2.0])).tolist() == [2, 1]
    assert np.isnan(bins.values(np.array([2]), np.zeros(1))).all()


def test_what_the_fit_never_met_has_the_level_that_is_never_drawn():
    whole = Bins.of(np.array([1.0, 2.0]))
    assert whole.levels(np.array([np.nan]))[0] == whole.count == 2
    frame = pd.DataFrame({"town": ["a"] * 30 + ["b"] * 30 + [f"once {i}" for i in range(30)]})
    source = open_source(frame)
    binned = Binned.fit(source)
    levels = binned.levels(source.read(0, 90))[:, 0]
    assert binned.columns[0].count == 2
    assert levels[:60].tolist() == [0.0] * 30 + [1.0] * 30
    assert (levels[60:] == 2).all()
    assert binned.form.layout.columns[0].levels == 3


def test_a_column_without_any_value_has_gaps_only():
    bins = Bins.of(np.full(5, np.nan))
    assert bins.count == 1
    assert bins.levels(np.full(2, np.nan)).tolist() == [0, 0]
    assert np.isnan(bins.values(np.zeros(2, dtype=int), np.zeros(2))).all()


def test_a_constant_column_stays_constant():
    bins = Bins.of(np.full(5, 7.5))
    assert bins.count == 1
    assert drawn(bins, 0).tolist() == [7.5] * 1000


def test_categories_of_a_thousand_levels_stay_apart_and_more_are_pooled_by_how_rare_they_are():
    frame = pd.DataFrame({"few": np.repeat([f"t{i}" for i in range(900)], 6)})
    assert Binned.fit(open_source(frame)).columns[0].count == 900
    frame = pd.DataFrame({"many": np.repeat([f"t{i}" for i in range(3000)], 2).tolist() + ["often"] * 500})
    bins = Binned.fit(open_source(frame)).columns[0]
    assert bins.count <= 1000
    assert bins.ends[0].tolist() == [0.0, 0.0]  # the most frequent one alone
    assert (bins.values(np.full(100, bins.count - 1), RNG.random(100)) % 1 == 0).all()


def test_values_go_back_to_the_users_own_columns():
    days = pd.date_range("2020-01-01", periods=50).repeat(4)
    frame = pd.DataFrame({"day": days, "yes": np.arange(200) % 2 == 0, "n": np.arange(200) % 7})
    source = open_source(frame)
    binned = Binned.fit(source)
    made = source.form.wrap(binned.values(binned.levels(source.read(0, 200)), RNG.random((200, 3))))
    assert (made.dtypes == frame.dtypes).all()
    pd.testing.assert_frame_equal(made[["yes", "n"]], frame[["yes", "n"]])
    assert (made["day"] == made["day"].dt.normalize()).all()
    assert (made["day"] - frame["day"]).abs().max() <= pd.Timedelta(days=8)


def test_the_table_of_levels_is_one_of_categories_without_gaps():
    source = open_source(pd.DataFrame({"a": [1.5, None, 2.5] * 20, "b": ["x", "y", None] * 20}))
    binned = Binned.fit(source)
    table = binned.source(source)
    assert table.complete
    assert table.derived
    assert [(one.kind, one.levels) for one in table.layout.columns] == [("category", 4), ("category", 4)]
    assert np.array_equal(table.read(0, 60), binned.levels(source.read(0, 60)))


def test_a_file_gives_the_same_columns_back():
    frame = pd.DataFrame({"a": RNG.normal(size=300).round(2), "b": RNG.integers(0, 3, 300).astype(str), "c": np.nan})
    frame.loc[::3, "a"] = np.nan
    source = open_source(frame, columns={"c": "numeric"})
    binned = Binned.fit(source)
    again = Binned.restore(binned.state())
    raw, shares = source.read(0, 300), RNG.random((300, source.layout.features))
    levels = binned.levels(raw)
    assert np.array_equal(again.levels(raw), levels)
    assert np.array_equal(again.values(levels, shares), binned.values(levels, shares), equal_nan=True)
    assert [one.known for one in again.columns] == [one.known for one in binned.columns]


@pytest.mark.parametrize("name", ["knots", "ends", "counts", "grids", "known"])
def test_a_damaged_file_is_refused(name):
    state = Binned.fit(ArraySource(RNG.normal(size=(100, 2)))).state()
    with pytest.raises(FileFormatError, match="levels is damaged"):
        Binned.restore(state | {name: state[name][:-1]})
