"""Figures about arrays, against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest

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
