"""Bent scales: there and back, slopes, atoms, and what fits what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from isthmus.data.warps import MOST_KNOTS, STATE, WARPED, Quantiles, Warps, bent, fit_logarithm, fit_quantiles
from isthmus.errors import FileFormatError


def drawn(name: str, size: int = 5000) -> np.ndarray:
    source = np.random.default_rng(3)
    return {
        "log-normal": lambda: np.exp(2 * source.normal(size=size)),
        "zeros": lambda: np.where(source.random(size) < 0.9, 0.0, np.exp(source.normal(5, 1, size))),
        "both sides": lambda: source.standard_t(2, size),
        "negative": lambda: -np.exp(source.normal(size=size)) - 10,
        "whole": lambda: source.geometric(0.05, size).astype(float),
        "two values": lambda: source.integers(0, 2, size).astype(float),
        "far away": lambda: 1e9 + source.gamma(0.5, 1e3, size),
    }[name]()


NAMES = ("log-normal", "zeros", "both sides", "negative", "whole", "two values", "far away")


def fitted(mode: str, values: np.ndarray) -> Warps:
    return Warps.fit({0: (mode, values)})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", WARPED)
def test_every_number_comes_back_and_the_scaled_ones_have_mean_0_and_deviation_1(mode: str, name: str) -> None:
    values = drawn(name)
    warps = fitted(mode, values)
    scaled = warps.forward(values[:, None])
    assert abs(scaled.mean().item()) < 1e-9
    assert scaled.std(correction=0).item() == pytest.approx(1.0, abs=1e-9)
    width = np.ptp(values)
    every = np.concatenate(
        [values, values.max() + width * np.array([0.1, 3]), values.min() - width * np.array([0.1, 3])]
    )
    back = warps.inverse(warps.forward(every[:, None]))[:, 0].numpy()
    np.testing.assert_allclose(back, every, rtol=1e-10, atol=1e-12 * width)
    half = warps.inverse(warps.forward(every[:, None]).float())[:, 0].numpy()
    np.testing.assert_allclose(half, every, rtol=3e-5, atol=1e-6 * width)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", WARPED)
def test_the_maps_climb_without_end(mode: str, name: str) -> None:
    values = drawn(name)
    width = np.ptp(values)
    steps = np.linspace(values.min() - width, values.max() + width, 20_001)
    assert (np.diff(fitted(mode, values).forward(steps[:, None])[:, 0].numpy()) > 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", WARPED)
def test_log_slope_is_the_slope_of_the_way_back(mode: str, name: str) -> None:
    warps = fitted(mode, drawn(name))
    scaled = torch.linspace(-2.5, 2.5, 1001, dtype=torch.float64)[:, None]
    step = 1e-7
    measured = (warps.inverse(scaled + step) - warps.inverse(scaled - step)) / (2 * step)
    slope, steep = warps.log_slope(scaled), measured > 0  # else on an atom's stretch, all of which is one value
    off = (measured[steep].log() - slope[steep]).abs() > 1e-5 + 1e-16 * 1e9 / step / measured[steep]
    # Only where a step crosses a knot or the bend of the logarithm at its centre do both differ.
    assert off.double().mean().item() < 0.01
    assert slope.isfinite().all()


def test_scores_drawn_at_random_give_an_atom_as_often_as_it_was_seen() -> None:
    draw = np.random.default_rng(0)
    values = np.where(draw.random(20_000) < 0.9, 0.0, np.exp(draw.normal(7, 1, 20_000)))
    warps = fitted("quantile", values)
    scores = torch.special.ndtri((torch.arange(20_000, dtype=torch.float64)[:, None] + 0.5) / 20_000)
    back = warps.inverse(scores * warps.quantiles.unit[0]).clamp(min=0)
    assert abs((back == 0).double().mean().item() - 0.9) < 0.01
    assert abs(back.mean().item() / values.mean() - 1) < 0.05
    gap = np.linspace(0.01, values[values > 0].min(), 50)[:, None]  # between the atom and the least of the others
    torch.testing.assert_close(warps.inverse(warps.forward(gap)), torch.from_numpy(gap))


def test_a_logarithm_by_hand() -> None:
    values = drawn("both sides")
    centre, spread, mean, deviation = fit_logarithm(values)
    u = (values - centre) / spread
    expected = (np.sign(u) * np.log1p(np.abs(u)) - mean) / deviation
    warps = fitted("log", values)
    np.testing.assert_allclose(warps.forward(values[:, None])[:, 0], expected, rtol=1e-11)
    slope = warps.log_slope(torch.from_numpy(expected)[:, None])[:, 0]
    np.testing.assert_allclose(slope, np.log(deviation * (spread + np.abs(values - centre))), rtol=1e-11)


def test_the_centre_of_a_logarithm_is_0_for_amounts_and_an_end_for_what_leans_on_one() -> None:
    assert fit_logarithm(drawn("log-normal"))[0] == 0.0
    assert fit_logarithm(drawn("zeros"))[0] == 0.0
    shifted = 1000.0 + drawn("log-normal")
    assert fit_logarithm(shifted)[0] == shifted.min()
    assert fit_logarithm(-shifted)[0] == -shifted.min()


def test_a_logarithm_makes_log_normal_values_nearly_normal() -> None:
    values = drawn("log-normal", 20_000)
    scaled = fitted("log", values).forward(values[:, None])[:, 0]
    assert abs((scaled**3).mean().item()) < 0.1
    assert abs((scaled**4).mean().item() - 3) < 0.2


@pytest.mark.parametrize("factor", [1e-9, 1e9])
@pytest.mark.parametrize("mode", WARPED)
def test_the_unit_of_the_data_does_not_matter(mode: str, factor: float) -> None:
    values = drawn("zeros")
    one, other = fitted(mode, values), fitted(mode, values * factor)
    np.testing.assert_allclose(one.forward(values[:, None]), other.forward(values[:, None] * factor), atol=1e-9)


def test_an_atom_has_one_score_the_mean_of_its_own() -> None:
    values = np.concatenate([np.zeros(900), np.arange(1.0, 101.0)])
    at, to, *_ = fit_quantiles(values)
    assert at[0] == 0.0
    assert at[1] == 1.0

    def density(share: np.ndarray) -> np.ndarray:
        return np.where(share < 1, np.exp(-0.5 * ndtri(np.minimum(share, 1 - 1e-16)) ** 2) / np.sqrt(2 * np.pi), 0.0)

    # The mean of a normal variable within the share of the zeros, and within that of each of the others.
    tops, bottoms = np.where(at > 0, 0.9 + at / 1000, 0.9), np.where(at > 0, 0.9 + (at - 1) / 1000, 0.0)
    knots = (np.where(bottoms > 0, density(np.maximum(bottoms, 1e-9)), 0.0) - density(tops)) / (tops - bottoms)
    reached = np.interp(values, at, knots)
    np.testing.assert_allclose(to[:2], (knots[:2] - reached.mean()) / reached.std(), rtol=1e-9)
    assert abs(reached.mean()) < 1e-2


def test_quantiles_make_any_values_normal() -> None:
    source = np.random.default_rng(0)
    values = np.where(source.random(20_000) < 0.5, source.normal(-9, 1, 20_000), np.exp(source.normal(3, 1, 20_000)))
    scaled = np.sort(fitted("quantile", values).forward(values[:, None])[:, 0].numpy())
    wanted = ndtri((np.arange(20_000) + 0.5) / 20_000)
    np.testing.assert_allclose(scaled[20:-20], wanted[20:-20], atol=0.05)


@pytest.mark.parametrize("size", [2, 3, 10, 1000, 100_000])
@pytest.mark.parametrize("name", NAMES)
def test_there_are_never_more_knots_than_agreed(name: str, size: int) -> None:
    values = np.append(drawn(name, size), 12345.678)
    at, to, *_ = fit_quantiles(values)
    assert 2 <= len(at) <= MOST_KNOTS
    assert (np.diff(at) > 0).all()
    assert (np.diff(to) > 0).all()
    assert (at[0], at[-1]) == (values.min(), values.max())


def test_values_that_are_almost_equal_make_no_upright_piece() -> None:
    values = np.concatenate([np.zeros(50), np.full(30, 1e-12), np.arange(1.0, 21.0)])
    at, to, *_ = fit_quantiles(values)
    assert 1e-12 not in at
    assert (np.diff(to) / np.diff(at)).max() < 100


def test_infinity_missing_and_absurd_values() -> None:
    cells = np.array([[np.nan], [np.inf], [-np.inf], [1e40], [-1e40]])
    log = fitted("log", drawn("log-normal")).forward(cells)[:, 0].tolist()
    assert np.isnan(log[0])
    assert log[1:] == [np.inf, -np.inf, np.inf, -np.inf]
    quantile = fitted("quantile", drawn("log-normal")).forward(cells)[:, 0].tolist()
    assert np.isnan(quantile[0])
    assert quantile[1:3] == [np.inf, -np.inf]
    assert quantile[3] > 1e30
    back = fitted("log", drawn("log-normal")).inverse(torch.tensor([[1e30], [-1e30]], dtype=torch.float64))
    assert torch.isfinite(back).all()


def test_columns_of_both_kinds_lie_where_they_belong() -> None:
    columns = {5: ("log", drawn("zeros")), 2: ("quantile", drawn("whole")), 0: ("log", drawn("log-normal"))}
    warps = Warps.fit(columns)
    assert warps.log.tolist() == [0, 5]
    assert warps.columns.tolist() == [0, 5, 2]
    raw = np.random.default_rng(1).exponential(size=(30, 7))
    made = warps.forward(raw)
    for place, column in enumerate(warps.columns.tolist()):
        alone = fitted(*columns[column])
        np.testing.assert_array_equal(made[:, place], alone.forward(raw[:, [column]])[:, 0])
    scaled = torch.zeros(30, 7, dtype=torch.float64)
    scaled[:, warps.columns] = made
    np.testing.assert_allclose(warps.inverse(scaled), raw[:, warps.columns], rtol=1e-12)
    assert warps.log_slope(scaled).shape == (30, 3)


def test_state_gives_equal_maps_and_damage_is_refused() -> None:
    warps = Warps.fit({1: ("log", drawn("zeros")), 3: ("quantile", drawn("whole")), 4: ("quantile", np.arange(3.0))})
    kept = warps.state()
    assert set(kept) == set(STATE)
    again = Warps.restore(warps.log, warps.quantile, kept)
    raw = np.random.default_rng(1).exponential(size=(30, 5))
    np.testing.assert_array_equal(again.forward(raw), warps.forward(raw))
    for name, harm in (
        ("log_maps", lambda array: array[:, :3]),
        ("log_maps", lambda array: -array),
        ("log_maps", lambda array: array * np.nan),
        ("knots_at", lambda array: array[:1]),
        ("knots_at", lambda array: -array),
        ("knots_to", lambda array: array[:, ::-1]),
        ("knots_to", lambda array: array * np.nan),
        ("knots_to", lambda array: array[:, :1]),
    ):
        with pytest.raises(FileFormatError, match="the description of the scaling is damaged"):
            Warps.restore(warps.log, warps.quantile, {**kept, name: harm(kept[name])})
    with pytest.raises(FileFormatError, match="damaged"):
        Warps.restore(warps.log, warps.quantile, {})


@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(st.one_of(st.floats(-1e6, 1e6), st.integers(-3, 3).map(float)), min_size=2, max_size=60),
    mode=st.sampled_from(WARPED),
)
def test_whatever_the_values_they_come_back(values: list[float], mode: str) -> None:
    raw = np.array(values)
    width = np.ptp(raw)
    if width <= 1e-6 * np.abs(raw).max():
        return  # constant, which nothing bends
    assume(width > 1e-290)  # else the slope is beyond what a number can hold
    warps = fitted(mode, raw)
    scaled = warps.forward(raw[:, None])
    assert torch.isfinite(scaled).all()
    np.testing.assert_allclose(warps.inverse(scaled)[:, 0], raw, atol=1e-7 * width)
    assert torch.isfinite(warps.log_slope(scaled)).all()
    order = np.argsort(raw, kind="stable")
    assert (np.diff(scaled[order, 0].numpy()) >= -1e-12).all()


def test_knots_are_exact() -> None:
    *points, unit = fit_quantiles(drawn("whole"))
    column = Quantiles(*(own[None] for own in points), np.array([unit]))
    at = torch.from_numpy(column.at.T.copy())
    np.testing.assert_array_equal(column.forward(at)[:-1], column.to.T[:-1])


def test_bent_is_odd() -> None:
    np.testing.assert_array_equal(bent(np.array([-1.0, 0.0, 1.0])), [-np.log(2), 0, np.log(2)])
