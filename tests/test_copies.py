"""Copies are found, and an honest sampler is let pass."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from isthmus.copies import copies, membership
from isthmus.errors import InputError


def rows_of(*sizes: int, features: int = 5, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal(size=(size, features)) for size in sizes]


def test_the_share_and_the_copies_are_those_of_all_distances() -> None:
    drawn, train, held = rows_of(50, 40, 40)
    drawn[7], drawn[9] = train[3] + 1e-4, held[5]
    found = copies(drawn, train, held)
    own, others = (cdist(drawn, rows) for rows in (train, held))
    assert found.share == pytest.approx((own.min(1) < others.min(1)).mean())
    crowds = np.bincount(np.concatenate([own, others], axis=1).argmin(1), minlength=80)
    assert found.error == pytest.approx(np.sqrt(np.square(crowds - 50 / 80).sum() * 80 / 79) / (2 * 50))
    assert found.reach == pytest.approx(cdist(held, train).min(), rel=1e-5)
    assert found.by_chance == pytest.approx(50 / 41)
    assert found.rows[0] == 7
    assert found.twins[0] == 3
    assert 9 not in found.rows


def test_a_memorising_twin_fails() -> None:
    train, held, noise = rows_of(500, 500, 500)
    order = np.random.default_rng(1).integers(500, size=500)
    found = copies(train[order] + 1e-5 * noise, train, held)
    assert found.share == 1.0
    assert found.copied
    assert sorted(found.rows) == list(range(500))
    np.testing.assert_array_equal(found.twins, order[found.rows])
    area, error = membership(train[order] + 1e-5 * noise, train, held)
    assert area > 0.5 + 5 * error


@pytest.mark.parametrize("seed", range(3))
def test_an_honest_sampler_passes(seed: int) -> None:
    """A normal distribution that was fitted to the training rows."""
    train, held = rows_of(500, 500, seed=seed)
    generator = np.random.default_rng(seed + 10)
    drawn = generator.multivariate_normal(train.mean(0), np.cov(train.T), size=500)
    found = copies(drawn, train, held)
    assert abs(found.share - 0.5) < 2 * found.error
    assert not found.copied
    assert len(found.rows) <= 3
    area, error = membership(drawn, train, held)
    assert abs(area - 0.5) < 2 * error


def test_one_copy_among_honest_rows_is_found() -> None:
    drawn, train, held = rows_of(1000, 1200, 1200, features=8)
    drawn[123] = train[77]
    found = copies(drawn, train, held)
    assert found.rows[0] == 123
    assert found.twins[0] == 77
    assert not found.copied
    assert len(found.rows) <= 5


@pytest.mark.parametrize("drawn", [100, 1500], ids=["few", "many"])
def test_the_errors_are_the_spread_of_what_comes_by_chance(drawn: int) -> None:
    """Of many rows drawn beside few known ones, the known rows' own chance is what counts."""
    found = [copies(*rows_of(drawn, 60, 60, features=2, seed=seed)) for seed in range(150)]
    shares, errors = (np.array([getattr(one, name) for one in found]) for name in ("share", "error"))
    spread = shares.std()
    assert abs(shares.mean() - 0.5) < 3 * spread / np.sqrt(150)
    assert 0.85 < np.sqrt(np.square(errors).mean()) / spread < 1.18
    areas, error = zip(*(membership(*rows_of(50, 60, 40, features=2, seed=seed)) for seed in range(150)), strict=True)
    assert 0.85 < error[0] / np.std(areas) < 1.18


def test_what_a_held_out_row_is_as_near_to_is_no_copy() -> None:
    drawn, train, held = rows_of(50, 60, 60)
    step = np.array([1e-3, 0, 0, 0, 0])
    drawn[5], held[2] = train[1] + 2 * step, train[1] + 3 * step
    assert copies(drawn, train, held).reach == pytest.approx(3e-3, rel=1e-2)
    assert 5 not in copies(drawn, train, held).rows
    drawn[5] = train[1] + step
    assert 5 in copies(drawn, train, held).rows


def test_where_equal_rows_are_usual_none_is_a_copy() -> None:
    generator = np.random.default_rng(0)
    drawn, train, held = (generator.integers(0, 3, size=(400, 2)).astype(float) for _ in range(3))
    found = copies(drawn, train, held)
    assert found.reach == 0
    assert not len(found.rows)
    assert found.share == 0.5  # every row is in both: ties
    assert not found.copied


def test_errors_where_ties_are_usual() -> None:
    generator = np.random.default_rng(0)
    found = [copies(*(generator.integers(0, 4, size=(80, 3)).astype(float) for _ in range(3))) for _ in range(150)]
    spread = np.std([one.share for one in found])
    assert 0.8 < np.sqrt(np.mean([one.error**2 for one in found])) / spread < 1.25


def test_sets_of_two_sizes() -> None:
    drawn, train, held = rows_of(300, 900, 200)
    found = copies(drawn, train, held)
    assert abs(found.share - 0.5) < 2 * found.error  # not 0.8: as many of each
    assert found.share == copies(drawn, train, held).share
    assert len({copies(drawn, train, held, seed).share for seed in range(4)}) > 1
    drawn[:300] = train[600:]
    found = copies(drawn, train, held)  # whether they were taken or not
    assert len(found.rows) == 300
    np.testing.assert_array_equal(found.twins, 600 + found.rows)


def test_membership_is_the_area_under_the_curve() -> None:
    drawn, train, held = rows_of(40, 70, 50)
    train[:20] = drawn[:20] + 0.01
    area, error = membership(drawn, train, held)
    near = -np.concatenate([cdist(rows, drawn).min(1) for rows in (train, held)])
    assert area == pytest.approx(roc_auc_score(np.repeat([1, 0], [70, 50]), near))
    assert error == pytest.approx(np.sqrt(121 / (12 * 70 * 50)))
    assert membership(drawn, held, train)[0] == pytest.approx(1 - area)


def test_pictures_and_a_place_far_from_the_origin() -> None:
    drawn, train, held = rows_of(60, 60, 60, features=12)
    first = copies(drawn, train, held)
    moved = copies(*((rows + 1e6).reshape(60, 3, 4) for rows in (drawn, train, held)))
    assert moved.share == first.share
    assert moved.error == first.error


def test_how_it_reads() -> None:
    drawn, train, held = rows_of(50, 60, 60)
    drawn[0] = train[0]
    said = str(copies(drawn, train, held))
    assert said.startswith("nearer to a training row than to any held-out row: 0.")
    assert said.endswith("as good as equal to a training row (by chance up to 0.8)")


@pytest.mark.parametrize("figure", [copies, membership])
def test_what_cannot_be_compared_is_refused(figure) -> None:
    drawn, train, held = rows_of(5, 5, 5)
    with pytest.raises(InputError, match="held_out must be finite numbers; 1 of its 5 rows"):
        figure(drawn, train, np.where(np.eye(5) * np.eye(5)[0] > 0, np.inf, held))
    with pytest.raises(InputError, match=r"train must be .* got shape"):
        figure(drawn, train[:0], held)
    with pytest.raises(InputError, match="same features; drawn has 5, held_out 4"):
        figure(drawn, train, held[:, 1:])
