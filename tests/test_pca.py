"""Principal components, against a singular value decomposition and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from isthmus import pca as module
from isthmus.pca import largest_angle, principal_components


def rows(n: int = 300, features: int = 12, seed: int = 0) -> torch.Tensor:
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((n, features)) * np.linspace(3, 0.5, features) @ draw.standard_normal((features, features))
    x = x / 10 + 0.3 * draw.standard_normal(features)
    return torch.from_numpy(x.astype(np.float32))


def pieces(x: torch.Tensor, size: int = 70) -> list[torch.Tensor]:
    return list(x.split(size))


def test_components_are_scikit_learns() -> None:
    x = rows()
    ours, theirs = principal_components(pieces(x)), PCA().fit(x.double().numpy())
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=1e-6)
    np.testing.assert_allclose(ours.variances * 300 / 299, theirs.explained_variance_, rtol=1e-4)
    np.testing.assert_allclose(np.abs((ours.components * theirs.components_).sum(1)), 1.0, atol=1e-5)
    np.testing.assert_allclose(ours.components @ ours.components.T, np.eye(12), atol=1e-12)
    assert ours.components.dtype == np.float64


def test_errors_of_every_code_size() -> None:
    train, other = rows(), rows(seed=1)[:100]
    ours, theirs = principal_components(pieces(train)), PCA().fit(train.double().numpy())
    errors = ours.errors(pieces(other, 33))
    assert errors.shape == (13,)
    for size in range(13):
        scores = (other.double().numpy() - theirs.mean_) @ theirs.components_[:size].T
        rebuilt = scores @ theirs.components_[:size] + theirs.mean_
        expected = np.square(rebuilt - other.numpy()).mean()
        assert errors[size] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert (np.diff(errors) <= 1e-9).all()


def test_blocks_do_not_matter() -> None:
    x = rows()
    whole, cut = principal_components([x]), principal_components(pieces(x, 7))
    np.testing.assert_allclose(whole.variances, cut.variances, rtol=1e-5, atol=1e-6)


def test_images_are_flattened() -> None:
    x = rows()
    flat, images = principal_components([x]), principal_components([x.reshape(300, 3, 4)])
    np.testing.assert_array_equal(flat.components, images.components)


def test_fewer_rows_than_features() -> None:
    x = rows(5)
    found = principal_components([x])
    assert found.components.shape == (5, 12)
    assert found.variances[4] == pytest.approx(0, abs=1e-5)  # five rows span four directions
    assert found.errors([x])[4] == pytest.approx(0, abs=1e-5)


def test_one_row() -> None:
    found = principal_components([rows(1)])
    assert found.variances.tolist() == pytest.approx([0.0], abs=1e-5)
    assert found.errors([rows(1)]).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_many_features_use_the_first_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    x = rows(200)
    exact = principal_components([x])
    monkeypatch.setattr(module, "GRAM_FEATURES", 8)
    found = principal_components(pieces(x))
    np.testing.assert_allclose(found.variances, exact.variances, rtol=1e-4)
    assert largest_angle(found.components[:4], exact.components[:4]) < 0.1
    monkeypatch.setattr(module, "SAMPLED_CELLS", 50 * x.shape[1])
    np.testing.assert_allclose(
        principal_components(pieces(x)).variances, principal_components([x[:50]]).variances, rtol=1e-9
    )
    np.testing.assert_allclose(principal_components(pieces(x)).mean, x[:50].double().mean(0), rtol=1e-9)


def test_no_rows() -> None:
    with pytest.raises(ValueError, match="no rows came"):
        principal_components([])


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 0.5, 30.0, 89.9])
def test_largest_angle_of_a_turned_plane(degrees: float) -> None:
    angle = np.radians(degrees)
    first = np.eye(5)[:2]
    second = np.array([[1.0, 0, 0, 0, 0], [0, np.cos(angle), np.sin(angle), 0, 0]])
    assert largest_angle(first, second) == pytest.approx(degrees, abs=1e-7)


def test_largest_angle_asks_for_spaces_not_for_bases() -> None:
    draw = np.random.default_rng(0)
    first = draw.standard_normal((3, 8))
    assert largest_angle(first, draw.standard_normal((3, 3)) @ first) == pytest.approx(0.0, abs=1e-5)
    assert largest_angle(np.eye(4)[:1], np.eye(4)[1:2]) == pytest.approx(90.0)
