"""The learned field r(x) - x, and what a robust model sets apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import isthmus as ist


def circle(rows: int = 1500, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    angle = draw.uniform(0, 2 * np.pi, rows)
    return np.stack([3 * np.cos(angle), 3 * np.sin(angle)], 1) + noise * draw.standard_normal((rows, 2))


@pytest.fixture(scope="module")
def denoiser() -> ist.Autoencoder:
    noise = ist.GaussianNoise(ist.Between(0.02, 0.3), tell=True)
    return ist.Autoencoder(
        "denoising", corruption=noise, network=ist.Dense((64, 64)), code_size=32, epochs=80, random_state=0
    ).fit(circle())


def test_the_field_is_what_reconstruct_moves(denoiser: ist.Autoencoder) -> None:
    x = circle(50, seed=1)
    np.testing.assert_allclose(ist.vector_field(denoiser, x), denoiser.reconstruct(x) - x, atol=1e-5)


def test_points_off_the_curve_are_pulled_back(denoiser: ist.Autoencoder) -> None:
    x = circle(400, noise=0.0, seed=1)
    for factor in (0.8, 1.2):
        moved = factor * x + ist.vector_field(denoiser, factor * x, level=0.2)
        before, after = abs(factor - 1) * 3, np.abs(np.linalg.norm(moved, axis=1) - 3).mean()
        assert after < 0.5 * before


def test_stronger_noise_is_answered_by_longer_moves() -> None:
    """Of standard normal rows under noise of standard deviation s, the best guess is x / (1 + s^2)."""
    x = np.random.default_rng(0).standard_normal((3000, 2))
    noise = ist.GaussianNoise(ist.Between(0.1, 1.0), tell=True)
    model = ist.Autoencoder(
        "denoising", corruption=noise, network=ist.Dense((32, 32)), code_size=16, epochs=40, random_state=0
    ).fit(x)
    for level in (0.1, 1.0):
        move = ist.vector_field(model, x, level=level)
        slope = (move * x).sum() / (x * x).sum()
        assert slope == pytest.approx(1 / (1 + level**2) - 1, abs=0.07)


def test_a_level_for_a_model_that_is_told_none_is_refused() -> None:
    model = ist.Autoencoder("denoising", epochs=1, random_state=0).fit(circle(50))
    with pytest.raises(ist.InputError, match="level: this model is not told how strong the noise is"):
        ist.vector_field(model, circle(5), level=0.1)


def test_outliers_are_set_apart() -> None:
    draw = np.random.default_rng(0)
    clean = draw.standard_normal((600, 2)) @ draw.standard_normal((2, 8)) + 0.05 * draw.standard_normal((600, 8))
    wild = draw.random(clean.shape) < 0.02
    X = pd.DataFrame(np.where(wild, clean + 8, clean), columns=list("abcdefgh"))
    model = ist.Autoencoder("robust", code_size=2, epochs=100, random_state=0).fit(X)
    found = model.outliers(X)
    assert list(found.columns) == list(X.columns)
    large = found.to_numpy() > 4
    assert large[wild].mean() > 0.9
    assert large[~wild].mean() < 0.02
    np.testing.assert_allclose((X - found).to_numpy()[wild & large], clean[wild & large], atol=3)


def test_outliers_of_whole_numbers_may_be_negative() -> None:
    X = (np.arange(200).reshape(50, 4) % 7).astype(np.uint8)
    model = ist.Autoencoder("robust", code_size=1, epochs=3, random_state=0).fit(X)
    assert model.outliers(X).dtype == np.float64


def test_a_loss_without_outliers_says_which_have_them() -> None:
    model = ist.Autoencoder(epochs=1, random_state=0).fit(circle(50))
    with pytest.raises(ist.InputError, match=r"outliers: this model's loss has no part for outliers; fit Autoencoder"):
        model.outliers(circle(5))
