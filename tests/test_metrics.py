"""Figures about arrays, against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.neighbors import NearestNeighbors

from isthmus import metrics

X = np.array([[1.0, -1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0]])
OUT = np.array([[1.0, 1.0, 2.0, 3.0], [2.0, 0.0, 0.0, 2.0]])


def test_row_errors_are_means_over_the_cells_of_a_row() -> None:
    assert metrics.row_errors(X, OUT).tolist() == [1.0, 2.0]
    assert metrics.row_errors(X.reshape(2, 2, 2), OUT.reshape(2, 2, 2)).tolist() == [1.0, 2.0]


def test_column_errors_are_means_over_rows() -> None:
    assert metrics.column_errors(X, OUT).tolist() == [2.0, 2.0, 0.0, 2.0]
    assert metrics.column_errors(X.reshape(2, 2, 2), OUT.reshape(2, 2, 2)).shape == (2, 2)


def test_pixels_do_not_wrap_around() -> None:
    black, white = np.zeros((1, 2), np.uint8), np.full((1, 2), 255, np.uint8)
    assert metrics.row_errors(black, white).tolist() == [255.0**2]
    assert metrics.psnr(black, white, peak=255) == 0.0


def test_psnr() -> None:
    assert metrics.psnr(np.zeros(10), np.full(10, 0.01), peak=1.0) == pytest.approx(40.0)
    assert metrics.psnr(X, X, peak=1.0) == float("inf")


def test_explained_share_is_1_for_the_data_0_for_their_mean_and_nan_for_constants() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[:, 2] = 0.1
    assert metrics.explained_share(x, x)[:2].tolist() == [1.0, 1.0]
    of_mean = metrics.explained_share(x, np.broadcast_to(x.mean(0), x.shape))
    np.testing.assert_allclose(of_mean[:2], 0.0, atol=1e-12)
    assert np.isnan(of_mean[2])
    assert metrics.explained_share(x, -x)[0] < 0


@pytest.mark.parametrize(("n", "k"), [(30, 1), (60, 5), (61, 30), (300, 10)])
def test_trustworthiness_is_that_of_scikit_learn(n: int, k: int) -> None:
    generator = np.random.default_rng(n)
    x = generator.normal(size=(n, 7)) + 100.0
    codes = x[:, :2] + 0.5 * generator.normal(size=(n, 2))
    k = min(k, (n - 1) // 2)
    assert metrics.trustworthiness(x, codes, k) == pytest.approx(sklearn_trustworthiness(x, codes, n_neighbors=k))
    assert metrics.continuity(x, codes, k) == pytest.approx(sklearn_trustworthiness(codes, x, n_neighbors=k))


def test_neighbours_that_are_kept_or_lost() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    assert metrics.trustworthiness(x, -2 * x + 7) == metrics.continuity(x, -2 * x + 7) == 1.0
    drawn = np.random.default_rng(1).normal(size=(200, 3))
    assert metrics.trustworthiness(x, drawn) == pytest.approx(0.5, abs=0.05)
    for k in (0, 100):
        with pytest.raises(ValueError, match=f"neighbours must be at least 1 and below half of the 200 rows; got {k}"):
            metrics.trustworthiness(x, drawn, k)


def test_nearest_accuracy_leaves_the_row_itself_out() -> None:
    generator = np.random.default_rng(0)
    codes, labels = generator.normal(size=(80, 2)), generator.integers(0, 3, 80)
    nearest = NearestNeighbors(n_neighbors=1).fit(codes).kneighbors(return_distance=False)[:, 0]
    assert metrics.nearest_accuracy(codes, labels) == (labels[nearest] == labels).mean()


def test_activity_counts_units_that_are_not_zero() -> None:
    codes = np.array([[0, 1, -2, 0], [0, 3, 0, 0], [0, 5, 0, 1]])
    found = metrics.activity(codes)
    np.testing.assert_allclose(found.shares, [0, 1, 1 / 3, 1 / 3])
    assert (found.never.tolist(), found.always.tolist(), found.sparse) == ([0], [1], True)
    assert (found.mean, found.active_units) == (1.0, pytest.approx(5 / 3))
    assert not metrics.activity(codes[:, :2]).sparse  # one unit never used, one always: no sparse code


def test_the_order_kept_is_the_mean_of_that_of_its_rows() -> None:
    generator = np.random.default_rng(0)
    x, codes = generator.normal(size=(40, 5)), generator.normal(size=(40, 2))
    rows = metrics.kept_order(metrics.distances(x), metrics.distances(codes), 6)
    assert rows.shape == (40,)
    assert rows.mean() == pytest.approx(metrics.trustworthiness(x, codes, 6))
    by_hand = np.argsort(np.argsort(np.linalg.norm(x - x[3], axis=1)))[
        np.argsort(np.linalg.norm(codes - codes[3], axis=1))[1:7]
    ]
    assert rows[3] == pytest.approx(1 - 2 / (6 * (80 - 18 - 1)) * np.maximum(0, by_hand - 6).sum())
