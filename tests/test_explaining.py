"""Reasons: where pictures are odd, and that a cell which is hardly odd is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import uniform_filter
from sklearn.datasets import load_digits

import isthmus as ist
from isthmus.data import open_source
from isthmus.estimators import explaining
from isthmus.estimators.anomaly_words import Scored, Told, reasons_of
from isthmus.estimators.explaining import NEGLIGIBLE, heat, telling, usual_errors
from isthmus.reasons import Conditional, Reasons

SIDE = 3
"""Of the planted squares, in pixels."""


@pytest.fixture(scope="module")
def of_digits() -> ist.AnomalyDetector:
    return ist.AnomalyDetector(epochs=12, random_state=0).fit(load_digits().images[:1100] / 16)


def planted(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits that no fit has seen, with light and dark swapped in a square; and (n, 8, 8) bool, where it lies."""
    draw = np.random.default_rng(seed)
    digits = load_digits().images[1100:1400] / 16
    top, left = draw.integers(0, 8 - SIDE + 1, (2, len(digits), 1, 1))
    down, right = np.arange(8)[:, None], np.arange(8)
    inside = (down >= top) & (down < top + SIDE) & (right >= left) & (right < left + SIDE)
    return np.where(inside, 1 - digits, digits), inside


def share_found(hot: np.ndarray, inside: np.ndarray) -> float:
    """Of how many pictures the hottest place, as large as a square, has its middle in the square."""
    hot = uniform_filter(hot, (0, SIDE, SIDE), mode="constant").reshape(len(hot), -1)
    return float(inside.reshape(len(hot), -1)[np.arange(len(hot)), hot.argmax(1)].mean())


def test_a_planted_square_is_the_hottest_place(of_digits: ist.AnomalyDetector) -> None:
    X, inside = planted(0)
    found = share_found(of_digits.explain(X), inside)
    # The same over the usual error of every place alone, which is next to nothing at the border.
    usual = of_digits.oddness_.usual.reshape(8, 8)
    raw = of_digits.explain(X) * usual_errors(of_digits.oddness_, open_source(X)).reshape(8, 8)
    alone = share_found(raw / np.maximum(usual, 1e-3 * usual.mean()), inside)
    assert found >= 0.9
    assert found > alone + 0.05


def test_no_place_counts_for_more_than_the_mean_one(of_digits: ist.AnomalyDetector) -> None:
    X, _ = planted(1)
    usual = of_digits.oddness_.usual
    divided = usual_errors(of_digits.oddness_, open_source(X))
    np.testing.assert_allclose(divided, np.maximum(usual, usual.mean()), rtol=1e-9)
    assert (divided > usual).any()
    assert (divided == usual).any()
    assert heat(of_digits.oddness_, open_source(X)).shape == X.shape


def test_places_that_are_hardly_worse_than_usual_are_no_reasons(
    of_digits: ist.AnomalyDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, _ = planted(2)
    source = open_source(X[:2])
    hot = np.full((2, 8, 8), 0.9 * NEGLIGIBLE, dtype=np.float32)
    hot[1, 4, 5] = 2 * NEGLIGIBLE
    monkeypatch.setattr("isthmus.estimators.anomaly_words.explained", lambda *_: hot)
    none, one = reasons_of(of_digits, source, np.arange(2), 3)
    assert none == ()
    assert [str(reason) for reason in one] == ["height 4, width 5: 7.7 times the usual error"]


def test_pictures_are_explained_once(of_digits: ist.AnomalyDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = planted(3)
    source = open_source(X)
    scored = Scored.by(of_digits, source)
    rows, drawn, calls = scored.oddest(3), scored.oddest(5), []

    def counted(detector, some, most, X=None):
        calls.append(some.rows)
        return explaining.explained(detector, some, most, X)

    monkeypatch.setattr("isthmus.estimators.anomaly_words.explained", counted)
    told = Told.of(of_digits, source, rows, 2, drawn, None)
    assert calls == [5]
    assert list(told.reasons) == sorted(rows.tolist())
    assert sorted(told.heat) == sorted(drawn.tolist())
    np.testing.assert_allclose(told.heat[int(drawn[4])], of_digits.explain(X[drawn[4:5]])[0], rtol=1e-3, atol=1e-5)


def test_names_that_tell_nothing_given_the_others_are_put_back() -> None:
    # Independent columns: what is expected of each is 0, and a cell's drop is its square, whatever else is named.
    model = Conditional.of(torch.zeros(4), torch.eye(4))
    x = torch.tensor([[5.0, 1.9, -2.1, 0.0], [1.0, 0.5, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]])
    given = Reasons(
        torch.tensor([[0, 2, 1], [0, 1, -1], [0, -1, -1]]),
        torch.zeros(3, 3, dtype=torch.float64),
        torch.tensor([[25.0, 4.41, 3.61], [1.0, 0.25, 0.0], [9.0, 0.0, 0.0]], dtype=torch.float64),
    )
    found = telling(model, x, given)
    assert found.columns.tolist() == [[0, 2, -1], [0, -1, -1], [0, -1, -1]]
    torch.testing.assert_close(found.drop[0, :2], torch.tensor([25.0, 4.41], dtype=torch.float64), rtol=1e-5, atol=0)
    assert found.expected[0, :2].tolist() == [0.0, 0.0]
    assert torch.isnan(found.expected[0, 2])
    assert given.columns[0].tolist() == [0, 2, 1]


def test_what_is_expected_follows_from_the_cells_that_are_no_longer_named() -> None:
    # Copies of one figure: the first is broken, the second is not, and tells what the first should be.
    model = Conditional.of(torch.zeros(2), torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
    x = torch.tensor([[6.0, 1.0]])
    given = Reasons(torch.tensor([[0, 1]]), torch.zeros(1, 2).double(), torch.tensor([[36.0, 1.0]]).double())
    found = telling(model, x, given)
    assert found.columns.tolist() == [[0, -1]]
    np.testing.assert_allclose(found.expected[0, 0], 0.8)
    np.testing.assert_allclose(found.drop[0, 0], (6.0 - 0.8) ** 2 / (1 - 0.64))


def test_a_row_of_many_columns_that_are_a_little_off_is_odd_as_a_whole() -> None:
    draw = np.random.default_rng(0)
    X = pd.DataFrame(draw.normal(size=(300, 12))).rename(columns=str)
    detector = ist.AnomalyDetector(0.05, epochs=1, random_state=0).fit(X)
    # No cell is odd, and yet there are too many that are 1.7 standard deviations off.
    row = pd.DataFrame(np.where(draw.random((20, 12)) < 0.5, 1.7, -1.7), columns=X.columns)
    found = detector.explain(row)
    assert (found["rank"] == 1).sum() == 20  # Python explains what it is given, by the oddest cell at least
    assert (found.loc[found["rank"] > 1, "drop"] > NEGLIGIBLE).all()
    assert len(found) < 40
    told = reasons_of(detector, detector._source(row), np.arange(20), 3)
    assert sum(reasons == () for reasons in told) > 10


def test_a_cell_that_is_as_expected_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    X = pd.DataFrame({"note": draw.choice(["ok", "wet"], 200), "size": draw.normal(size=200)})
    detector = ist.AnomalyDetector(0.05, epochs=1, random_state=0).fit(X)
    new = pd.DataFrame({"note": ["ok", "wet", "ok"], "size": [7.0, 0.5, 0.25]}, index=["a", "b", "c"])
    raw = np.asarray(detector._source(new).read(0, 3), dtype=np.float64)
    columns = torch.tensor([[0, 1], [0, 1], [0, -1]])
    expected = torch.tensor([[raw[0, 0], 1.0], [raw[0, 0], 0.5], [raw[0, 0], torch.nan]], dtype=torch.float64)
    made = Reasons(columns, expected, torch.tensor([[9.0, 8.0], [7.0, 6.0], [5.0, torch.nan]]))
    monkeypatch.setattr(explaining, "of_cells", lambda *_: made)
    found = detector.explain(new)
    assert found[["row", "rank", "column", "value", "expected", "drop"]].to_numpy().tolist() == [
        ["a", 1, "size", 7.0, 1.0, 8.0],
        ["b", 1, "note", "wet", "ok", 7.0],
    ]
    assert reasons_of(detector, detector._source(new), np.arange(3), 3, new)[2] == ()


def test_channels_that_surprise_little_are_no_reasons() -> None:
    draw = np.random.default_rng(0)
    steps = pd.DataFrame(draw.normal(size=(800, 4)), columns=list("abcd"))
    detector = ist.AnomalyDetector(0.05, data="series").fit(steps)
    later = pd.DataFrame(draw.normal(size=(60, 4)), columns=list("abcd"))
    later.loc[50, ["b", "d"]] = [9.0, -12.0]
    found = detector.explain(later, most=4)
    assert found.groupby("row").size().reindex(range(60)).min() == 1
    assert set(found.loc[found["row"] == 50, "column"]) == {"b", "d"}
    assert (found.loc[found["rank"] > 1, "drop"] > explaining.ORDINARY).all()


def test_a_cascade_is_explained_by_the_stage_that_finds_a_row_least_odd() -> None:
    X = load_digits().images[:300] / 16
    detector = ist.AnomalyDetector(0.1, cascade=2, epochs=1, random_state=0).fit(X)
    source = open_source(X[:40])
    found, keepers = detector.explain(X[:40]), detector.oddness_.keepers(source)
    for number, stage in enumerate(detector.oddness_.stages):
        rows = keepers == number
        assert rows.any()
        np.testing.assert_allclose(found[rows], heat(stage, source)[rows], rtol=1e-4)
