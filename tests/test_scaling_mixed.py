"""Scaling of mixed tables: what is scaled and what is not, missing cells, bent columns, and what is kept in a file."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch

from isthmus.data import ArraySource, Scaling, open_source
from isthmus.data.decisions import MODES
from isthmus.data.statistics import Statistics, gathered
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.records import Column, Layout

KINDS = (
    Column("number"),
    Column("category", levels=5, rare=1),
    Column("number"),
    Column("heavy"),
    Column("count"),
    Column("circular"),
    Column("binary"),
    Column("number"),
    Column("ordinal", levels=3),
)
NAMES = ("age", "city", "income", "return", "visits", "hour", "member", "rain", "grade")
INCOME, RAIN = 2, 7


class MixedSource(ArraySource):
    """Raw numbers with columns of kinds; NaN = missing."""

    def __init__(self, array: np.ndarray, kinds: tuple[Column, ...] = KINDS, **wishes: str) -> None:
        names = NAMES if kinds is KINDS else tuple(f"c{i}" for i in range(len(kinds)))
        super().__init__(array, names=names)
        self.layout = Layout((len(kinds),), ("column",), kinds)
        self.per_column = wishes


def table(rows: int = 2000, missing: float = 0.2) -> np.ndarray:
    source = np.random.default_rng(5)
    raw = np.column_stack([
        source.normal(40, 12, rows), source.integers(0, 5, rows), np.exp(source.normal(10, 1, rows)),
        source.standard_t(3, rows), source.poisson(2, rows), source.random(rows), source.integers(0, 2, rows),
        np.where(source.random(rows) < 0.7, 0.0, source.gamma(1, 4, rows)), source.integers(0, 3, rows),
    ])  # fmt: skip
    raw[source.random(raw.shape) < missing] = np.nan
    return raw


def fitted(raw: np.ndarray | None = None, mode: str = "auto") -> Scaling:
    return Scaling.fit(MixedSource(table() if raw is None else raw, income="log", rain="quantile"), mode=mode)


def test_only_numbers_are_scaled() -> None:
    scaling = fitted()
    assert scaling.mode == "standard"
    wanted = ["standard", "none", "log", "standard", "none", "none", "none", "quantile", "none"]
    assert [MODES[mode] for mode in scaling.modes] == wanted
    raw = table()
    x = scaling.forward(raw)
    assert x.dtype == torch.float32
    gaps = np.isnan(raw)
    assert (x.numpy()[gaps] == 0).all()
    for column in (1, 4, 5, 6, 8):
        np.testing.assert_array_equal(x[:, column], np.where(gaps[:, column], 0, raw[:, column]).astype(np.float32))
    for column in (0, INCOME, 3, RAIN):
        known = x[~gaps[:, column], column].double()
        assert abs(known.mean().item()) < 1e-6
        assert known.std(correction=0).item() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_array_equal(scaling.unit, 1.0)


def test_a_complete_mixed_table_is_scaled_by_the_same_rules() -> None:
    raw = table(missing=0.0)
    scaling = fitted(raw)
    np.testing.assert_allclose(scaling.centre[[0, 3]], raw[:, [0, 3]].mean(axis=0), rtol=1e-13)
    np.testing.assert_array_equal(scaling.centre[[1, 4, 5, 6, 8]], 0)
    np.testing.assert_array_equal(scaling.scale[[1, 4, 5, 6, 8]], 1)


@pytest.mark.parametrize("mode", ["common", "unit", "none", "log", "quantile"])
def test_a_general_mode_is_for_the_numbers(mode: str) -> None:
    scaling = fitted(mode=mode)
    wanted = [mode, "none", "log", mode, "none", "none", "none", "quantile", "none"]
    assert [MODES[number] for number in scaling.modes] == wanted
    assert scaling.forward(table()).abs().max().item() < 1e6
    levels = Scaling.fit(MixedSource(table()), mode=mode)
    np.testing.assert_array_equal(levels.scale[[1, 4, 5, 6, 8]], 1)


def test_columns_of_one_range_do_not_ask_for_a_common_scale_in_mixed_tables() -> None:
    raw = np.random.default_rng(0).random((300, 10))
    assert Scaling.fit(open_source(raw)).mode == "common"
    kinds = (Column("number"),) * 9 + (Column("circular"),)
    assert Scaling.fit(MixedSource(raw, kinds)).mode == "standard"


def test_what_the_user_says_goes_before_what_was_found_and_types_are_no_scalings() -> None:
    source = MixedSource(table(), income="log", rain="quantile")
    said = {"income": "quantile", "age": "none", "city": "category", "visits": "count", "rain": "numeric", 3: "heavy"}
    modes = [MODES[mode] for mode in Scaling.fit(source, per_column=said).modes]
    assert modes == ["none", "none", "quantile", "standard", "none", "none", "none", "quantile", "none"]
    with pytest.raises(InputError, match="'age' must be one of 'numeric', 'ignore', 'standard'"):
        Scaling.fit(source, per_column={"age": "cube"})


# Statistics of what is known.


@pytest.mark.parametrize("cells", [16, 100, 2**18])
def test_statistics_are_of_known_cells_however_the_rows_are_cut(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.data.statistics.STRETCH_CELLS", cells)
    raw = table(500, missing=0.9)
    raw[:40, 0] = np.nan  # whole stretches without any value
    found = gathered(MixedSource(raw), None)
    np.testing.assert_array_equal(found.known, (~np.isnan(raw)).sum(axis=0))
    np.testing.assert_allclose(found.mean, np.nanmean(raw, axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, np.nanvar(raw, axis=0), rtol=1e-11)
    np.testing.assert_array_equal(found.low, np.nanmin(raw, axis=0))
    np.testing.assert_array_equal(found.high, np.nanmax(raw, axis=0))


def test_merging_columns_known_in_different_rows_is_exact() -> None:
    raw = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 4.0], [8.0, 6.0]])
    found = Statistics.of_known(raw[:2]).merged(Statistics.of_known(raw[2:]))
    assert found.rows == 4
    assert found.known.tolist() == [3, 2]
    assert found.mean.tolist() == [4.0, 5.0]
    assert found.spread.tolist() == [26.0, 2.0]
    assert (found.low.tolist(), found.high.tolist()) == ([1.0, 4.0], [8.0, 6.0])


def test_missing_cells_stay_an_error_where_a_table_is_not_mixed() -> None:
    with pytest.raises(InputError, match=r"contains NaN. Missing cells: column 'income' \(1\)"):
        Scaling.fit(ArraySource(np.where(np.arange(27).reshape(3, 9) == 2, np.nan, 1.0), names=NAMES))


def test_columns_without_a_value_or_with_one_are_told_once() -> None:
    raw = table()
    raw[:, INCOME] = np.nan
    raw[:, 0] = np.where(np.isnan(raw[:, 0]), np.nan, 7.5)
    raw[:, 1] = 2
    with pytest.warns(
        DataWarning, match=r"constant, .*: column 'age', column 'city', column 'income' \(no value\)\. Leave"
    ) as caught:
        scaling = fitted(raw)
    assert len(caught) == 1
    assert (scaling.centre[0], scaling.scale[0], scaling.centre[INCOME], scaling.scale[INCOME]) == (7.5, 1, 0, 1)
    assert scaling.constant.tolist() == [True, True, True] + [False] * 6
    assert MODES[scaling.modes[INCOME]] == "standard"  # nothing bends what has no form
    x = scaling.forward(raw)
    assert x[:, INCOME].tolist() == [0.0] * len(x)
    raw[0, INCOME] = 3.0
    assert scaling.forward(raw)[0, INCOME].item() == 3.0
    assert scaling.log_slope(x)[:, :3].abs().max().item() == 0.0


def test_rows_without_any_value_can_be_scaled() -> None:
    scaling = fitted()
    assert scaling.forward(np.full((2, 9), np.nan)).tolist() == [[0.0] * 9] * 2
    with pytest.warns(DataWarning, match=r"column 'age' \(no value\), column 'city' \(no value\)"):
        Scaling.fit(MixedSource(np.full((5, 9), np.nan)))


def test_repeated_columns_are_looked_for_among_numbers_alone() -> None:
    raw = np.random.default_rng(0).integers(0, 3, (100, 1)).astype(float).repeat(4, axis=1)
    raw[3] = np.nan
    kinds = (Column("category", levels=4), Column("ordinal", levels=3), Column("count"), Column("number"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Scaling.fit(MixedSource(raw, kinds))
    with pytest.warns(DataWarning, match="column 'c3' = column 'c0'"):
        Scaling.fit(MixedSource(raw, (Column("number"), *kinds[1:])))


# Later rows.


@pytest.mark.parametrize("column", range(9))
def test_infinite_cells_of_any_column_are_named(column: int) -> None:
    scaling, raw = fitted(), table()
    for value in (np.inf, -np.inf):
        raw[3, column] = value
        with pytest.raises(InputError, match=rf"contains infinity: column '{NAMES[column]}' \(1\), 1 cell"):
            scaling.forward(raw)
        with pytest.raises(InputError, match=rf"contains infinity: column '{NAMES[column]}' \(1\)"):
            fitted(raw)


@pytest.mark.parametrize("column", [0, INCOME, 3, RAIN])
def test_absurd_cells_of_any_column_are_named(column: int) -> None:
    scaling, raw = fitted(), table()
    raw[3, column] = 1e30
    with pytest.raises(InputError, match=rf"column '{NAMES[column]}' holds 1e\+30, which is \d\S* of its scale away"):
        scaling.forward(raw)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_there_and_back(dtype: type) -> None:
    raw = table().astype(dtype)
    scaling = fitted(raw)
    back = scaling.inverse(scaling.forward(raw))
    assert back.dtype == dtype
    known = ~np.isnan(raw)
    np.testing.assert_allclose(back[known], raw[known], rtol=2e-5, atol=1e-6)
    levels = [1, 4, 6, 8]
    np.testing.assert_array_equal(back[:, levels], np.where(known, raw, 0)[:, levels])
    assert scaling.inverse(scaling.forward(raw), wide=True).dtype == np.float64


def test_what_is_rebuilt_through_quantiles_stays_within_what_was_seen() -> None:
    scaling = fitted()
    x = torch.zeros(3, 9)
    x[:, RAIN] = torch.tensor([-50.0, 1.5, 50.0])
    x[:, INCOME] = torch.tensor([-1e30, 10.0, 1e30])
    back = scaling.inverse(x)
    assert back[0, RAIN] == scaling.low[RAIN] == 0.0
    assert back[2, RAIN] == scaling.high[RAIN]
    assert 0 < back[1, RAIN] < scaling.high[RAIN]
    assert back[1, INCOME] > scaling.high[INCOME]  # a logarithm says what lies beyond
    assert np.isfinite(back).all()
    beyond = np.zeros((2, 9))
    beyond[:, RAIN] = scaling.high[RAIN] + np.array([1.0, 2.0])
    first, second = scaling.forward(beyond)[:, RAIN].tolist()
    assert second > first > 1  # what is read is told apart there too


def test_the_ends_of_the_range_are_those_of_all_rows_even_where_a_sample_misses_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("isthmus.data.statistics.SAMPLE_ROWS", 50)
    raw = table()
    scaling = fitted(raw)
    at = scaling.warps.quantiles.at[0]
    assert (at[0], at[np.isfinite(at)][-1]) == (np.nanmin(raw[:, RAIN]), np.nanmax(raw[:, RAIN]))
    x = scaling.forward(raw)[:, RAIN].double()[torch.from_numpy(~np.isnan(raw[:, RAIN]))]
    assert abs(x.mean().item()) < 0.6
    assert 0.3 < x.std().item() < 3


def test_log_slope_turns_densities_into_the_users_units() -> None:
    scaling, raw = fitted(), table(missing=0.0)
    x = scaling.forward(raw)
    slope = scaling.log_slope(x)
    assert slope.shape == (2000, 9)
    assert slope.dtype == torch.float32
    np.testing.assert_array_equal(slope[:, [1, 4, 5, 6, 8]], 0)
    np.testing.assert_allclose(slope[:, [0, 3]], np.log(scaling.scale[[0, 3]])[None].repeat(2000, 0), rtol=1e-6)
    wide = x.double()
    step = torch.zeros(9, dtype=torch.float64)
    for column in (INCOME, RAIN):
        step.zero_()
        step[column] = 1e-6
        rise = scaling.inverse(wide + step, wide=True) - scaling.inverse(wide - step, wide=True)
        # At a knot (the zeros of rain are one) both sides count in the difference of two points.
        away = raw[:, column] > 0
        close = np.abs(np.log(rise[away, column] / 2e-6) - slope[away, column].numpy()) < 1e-3
        assert close.mean() > 0.95
    with pytest.raises(ValueError, match=r"no one volume: use log_slope"):
        _ = scaling.log_volume
    np.testing.assert_array_equal(scaling.log_scale[scaling.bent], 0.0)


def test_the_density_of_log_normal_values_is_right_in_their_units() -> None:
    raw = np.exp(np.random.default_rng(0).normal(3, 0.5, (20_000, 1)))
    scaling = Scaling.fit(MixedSource(raw, (Column("number"),), c0="log"))
    x = scaling.forward(raw)
    density = -0.5 * (x**2 + np.log(2 * np.pi)) - scaling.log_slope(x)
    exact = -0.5 * (((np.log(raw) - 3) / 0.5) ** 2 + np.log(2 * np.pi)) - np.log(0.5 * raw)
    assert density.mean().item() == pytest.approx(exact.mean(), abs=0.01)


def test_log_slope_of_tables_that_are_not_mixed_is_the_log_of_the_scale() -> None:
    scaling = Scaling.fit(open_source(np.random.default_rng(0).normal(size=(50, 3)) * [1, 2, 3]))
    slope = scaling.log_slope(torch.zeros(4, 3, dtype=torch.float64))
    np.testing.assert_allclose(slope.sum(1), np.full(4, scaling.log_volume), rtol=1e-14)


# What is said and kept.


def test_what_is_said() -> None:
    said = fitted().describe()
    assert said[0].startswith("scaling 'standard': each column is brought to mean 0 and standard deviation 1, because")
    assert (
        "scaling 'log' (a signed logarithm, then mean 0 and standard deviation 1), where held-out values are likelier "
        "so or it was asked for: column 'income'" in said
    )
    assert any(line.startswith("scaling 'quantile' (through the observed quantiles") for line in said)
    assert "5 columns of levels, counts or times of day used as given" in said
    assert len(said) == 4


def test_state_survives_json() -> None:
    scaling = fitted()
    body, tensors = scaling.state()
    again = Scaling.restore(json.loads(json.dumps(body)), tensors, scaling.names)
    raw = table()
    assert torch.equal(again.forward(raw), scaling.forward(raw))
    np.testing.assert_array_equal(again.inverse(again.forward(raw)), scaling.inverse(scaling.forward(raw)))
    assert again.describe() == scaling.describe()
    plain = Scaling.fit(MixedSource(raw))
    again = Scaling.restore(*plain.state())
    assert again.warps is None
    assert again.as_given.tolist() == plain.as_given.tolist()


def test_files_of_tables_that_are_not_mixed_hold_what_they_held() -> None:
    scaling = Scaling.fit(open_source(np.random.default_rng(0).normal(size=(50, 3))))
    assert set(scaling.state()[1]) == {"centre", "scale", "low", "high", "constant", "modes"}
    assert Scaling.restore(*scaling.state()).as_given is None
    assert MODES[:4] == ("standard", "common", "unit", "none")


@pytest.mark.parametrize("name", ["as_given", "log_maps", "knots_at", "knots_to"])
def test_a_damaged_state_is_refused(name: str) -> None:
    body, tensors = fitted().state()
    tensors[name] = tensors[name][:0]
    with pytest.raises(FileFormatError, match="the description of the scaling is damaged"):
        Scaling.restore(body, tensors)
    del tensors[name]
    if name != "as_given":
        with pytest.raises(FileFormatError, match="the description of the scaling is damaged"):
            Scaling.restore(body, tensors)


def test_images_and_series_are_not_bent() -> None:
    words = "'log' and 'quantile' are for the columns of tables"
    images = np.random.default_rng(0).random((5, 4, 4))
    with pytest.raises(InputError, match=words):
        Scaling.fit(open_source(images), mode="log")
    from isthmus.data import sequences

    with pytest.raises(InputError, match=words):
        Scaling.fit(sequences(list(np.random.default_rng(0).normal(size=(4, 6, 2)))), mode="quantile")


def test_tables_that_are_not_mixed_can_be_bent_too() -> None:
    raw = np.exp(np.random.default_rng(0).normal(size=(300, 2)))
    scaling = Scaling.fit(open_source(raw), mode="log")
    np.testing.assert_allclose(scaling.inverse(scaling.forward(raw)), raw, rtol=1e-5)
    with pytest.raises(InputError, match=r"Input X contains NaN"):
        scaling.forward(np.full((1, 2), np.nan))
