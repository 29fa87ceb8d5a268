"""Figures about arrays, against sums done by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.neighbors import NearestNeighbors

from isthmus import metrics
from isthmus.errors import InputError
from isthmus.judge import Judge

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


def order_kept(far: np.ndarray, near: np.ndarray, k: int) -> float:
    """Trustworthiness by its formula, pair by pair."""
    n, total = len(far), 0
    for row in range(n):
        others = [other for other in range(n) if other != row]
        ranks = {other: place for place, other in enumerate(sorted(others, key=lambda j: far[row, j]), start=1)}
        for other in sorted(others, key=lambda j: near[row, j])[:k]:
            total += max(0, ranks[other] - k)
    return 1 - 2 * total / (n * k * (2 * n - 3 * k - 1))


def test_neighbours_kept_is_the_mean_over_several_numbers_of_neighbours() -> None:
    draw = np.random.default_rng(0)
    x, codes = draw.normal(size=(45, 6)), draw.normal(size=(45, 2))
    codes[:, 0] += x[:, 0]
    apart = [np.linalg.norm(points[:, None] - points, axis=2) for points in (x, codes)]
    trusted = np.mean([order_kept(*apart, k) for k in (10, 20)])
    continuous = np.mean([order_kept(*apart[::-1], k) for k in (10, 20)])
    assert metrics.neighbours_kept(x, codes) == pytest.approx((trusted, continuous))
    assert metrics.neighbours_kept(x, codes, [3]) == pytest.approx((order_kept(*apart, 3), order_kept(*apart[::-1], 3)))
    assert trusted != pytest.approx(continuous, abs=1e-3)
    with pytest.raises(ValueError, match="below half of the 45 rows; got 23"):
        metrics.neighbours_kept(x, codes, [10, 23])


def test_neighbourhoods_reach_as_far_as_rows_go() -> None:
    assert metrics.neighbourhoods(401) == list(range(10, 201, 10))
    assert metrics.neighbourhoods(400)[-1] == 190
    assert metrics.neighbourhoods(21) == [10]
    assert metrics.neighbourhoods(20) == [9]
    assert metrics.neighbourhoods(3) == [1]


def test_distance_order_is_the_rank_correlation_of_all_pairs() -> None:
    draw = np.random.default_rng(0)
    x, codes = draw.integers(0, 4, size=(30, 3)), draw.integers(0, 3, size=(30, 2))  # many distances are equal
    assert metrics.distance_order(x, codes) == pytest.approx(spearmanr(pdist(x), pdist(codes)).statistic)
    line = np.sort(draw.normal(size=20))[:, None]
    assert metrics.distance_order(line, 3 - 5 * line) == pytest.approx(1.0)
    assert np.isnan(metrics.distance_order(x, np.zeros((30, 2))))


@pytest.mark.parametrize("k", [1, 5, 200])
def test_neighbour_accuracy_is_a_vote_of_the_nearest(k: int) -> None:
    draw = np.random.default_rng(k)
    known, new = draw.normal(size=(150, 3)) + 1e4, draw.normal(size=(300, 3)) + 1e4
    labels, wanted = draw.integers(0, 4, 150), draw.integers(0, 4, 300)
    right = 0
    for code, label in zip(new, wanted, strict=True):
        near = labels[np.argsort(np.linalg.norm(known - code, axis=1))[:k]]
        counts = np.bincount(near, minlength=4)
        right += next(one for one in near if counts[one] == counts.max()) == label  # a tie goes to the nearest
    assert metrics.neighbour_accuracy(known, labels, new, wanted, k) == right / 300
    names = np.array(["a", "b", "c", "d"])
    assert metrics.neighbour_accuracy(known, names[labels], new, names[wanted], k) == right / 300


def test_a_label_that_no_known_row_has_is_never_told() -> None:
    known = np.arange(4.0)[:, None]
    assert metrics.neighbour_accuracy(known, np.array(["a"] * 4), known, np.array(["a", "b", "a", "z"])) == 0.5


def normal(mean: list[float], spread: np.ndarray, rows: int = 400) -> np.ndarray:
    """Rows whose mean is exactly ``mean`` and whose covariance is exactly spread spread^T."""
    drawn = np.random.default_rng(rows).normal(size=(rows, len(mean)))
    drawn -= drawn.mean(0)
    drawn = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn, rowvar=False))).T
    return drawn @ spread.T + mean


def test_frechet_distance_is_the_closed_form() -> None:
    eye = np.eye(3)
    x = normal([0, 0, 0], eye)
    assert metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(x, normal([0, 0, 0], eye, 300)) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(x, normal([1, 2, -2], eye, 300)) == pytest.approx(9)
    # Where covariances commute: the squared distance of the standard deviations.
    assert metrics.frechet_distance(x, normal([0, 0, 0], np.diag([2.0, 3.0, 1.0]), 300)) == pytest.approx(1 + 4)
    assert metrics.frechet_distance(x[:, :1], 4 * x[:, :1] + 1) == pytest.approx(9 + 1)


def test_frechet_distance_of_covariances_that_do_not_commute() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 4, 4))
    x, y = normal([0, 0, 0, 0], first), normal([1, 0, 0, 0], second)
    a, b = first @ first.T, second @ second.T
    # The eigenvalues of a b, which is not symmetric, are those of the symmetric form.
    shared = np.sqrt(np.linalg.eigvals(a @ b).real).sum()
    assert metrics.frechet_distance(x, y) == pytest.approx(1 + np.trace(a) + np.trace(b) - 2 * shared)
    assert metrics.frechet_distance(x, y) == pytest.approx(metrics.frechet_distance(y, x))


def test_frechet_distance_of_fewer_rows_than_features() -> None:
    x = np.random.default_rng(0).normal(size=(5, 20))
    assert metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet_distance(x.astype(np.float32), x + 1) == pytest.approx(20, rel=1e-5)


@pytest.mark.parametrize("figure", [metrics.frechet_distance, metrics.energy_coefficient])
def test_sets_that_cannot_be_compared_are_refused_in_words(figure: Any) -> None:
    x, hole = np.zeros((4, 2)), np.zeros((4, 2))
    hole[1, 0] = np.nan
    for y, words in [
        (np.zeros((4, 3)), "must have the same features; got 2 and 3"),
        (hole, "y must be finite numbers; 1 of its 4 rows are not"),
        (np.zeros(4), r"y must be \(rows, features\) with at least . rows; got shape \(4,\)"),
        (np.zeros((0, 2)), r"got shape \(0, 2\)"),
    ]:
        with pytest.raises(InputError, match=words):
            figure(x, y)
    with pytest.raises(InputError, match=r"x must be \(rows, features\) with at least 2 rows; got shape \(1, 2\)"):
        metrics.frechet_distance(x[:1], x)


def test_energy_coefficient_by_hand() -> None:
    x, y = np.array([[0.0], [2.0]]), np.array([[1.0], [5.0]])
    between = (1 + 5 + 1 + 3) / 4
    within = [(0 + 2 + 2 + 0) / 4, (0 + 4 + 4 + 0) / 4]
    assert metrics.energy_coefficient(x, y)[0] == pytest.approx((2 * between - sum(within)) / (2 * between))
    assert metrics.energy_coefficient(x, x)[0] == pytest.approx(0, abs=1e-12)
    assert metrics.energy_coefficient(np.ones((3, 1)), np.ones((4, 1))) == (0, 0)


def test_energy_coefficient_tells_what_is_apart_from_chance() -> None:
    generator = np.random.default_rng(0)
    x, same = generator.normal(size=(2, 400, 5))
    apart, chance = metrics.energy_coefficient(x, same)
    assert apart < chance < 0.01
    shifted, _ = metrics.energy_coefficient(x, same + 1)
    assert shifted == pytest.approx(1 - np.sqrt(2 / 3), abs=0.03)  # |x - y| grows from sqrt(2) to sqrt(3) per column
    wider, chance = metrics.energy_coefficient(x, 2 * same)
    assert chance < 0.03 < wider < 0.06


def test_perplexity() -> None:
    assert metrics.perplexity(np.full(512, 3)) == pytest.approx(512)
    assert metrics.perplexity(np.array([0, 7, 0])) == 1
    assert metrics.perplexity(np.array([3, 1])) == pytest.approx(np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25)))


def test_a_judge_tells_classes_and_is_the_same_for_the_same_seed() -> None:
    images, labels = load_digits().images / 16, load_digits().target
    state = torch.random.get_rng_state()
    judge = Judge.fit(images[:1200], labels[:1200], seed=1, epochs=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (judge.predict(images[1200:]) == labels[1200:]).mean() > 0.9
    again = Judge.fit(images[:1200], labels[:1200], seed=1, epochs=4)
    features = judge.features(images)
    assert features.shape == (1797, 128)
    assert np.array_equal(features, again.features(images))
    assert not np.array_equal(features, Judge.fit(images[:1200], labels[:1200], seed=2, epochs=1).features(images))
    # What the features are for: noisy images are further from the others than other images are.
    near = metrics.frechet_distance(features[:900], features[900:])
    noisy = images[900:] + 0.3 * np.random.default_rng(0).normal(size=images[900:].shape)
    assert metrics.frechet_distance(features[:900], judge.features(noisy)) > 2 * near


def test_a_judge_of_tables_colours_and_names() -> None:
    generator = np.random.default_rng(0)
    table = generator.normal(size=(300, 5)) * [1, 10, 100, 1, 0]  # columns of different units, and a constant one
    names = np.where(table[:, 1] > 0, "warm", "cold")
    judge = Judge.fit(table, names, epochs=20)
    assert (judge.predict(table) == names).mean() > 0.9
    images = generator.random((20, 9, 7, 3))
    assert Judge.fit(images, np.arange(20) % 2, epochs=1).features(images).shape == (20, 128)


def test_what_a_judge_refuses() -> None:
    rows = np.zeros((4, 3))
    for images, labels, words in [
        (rows, [0, 1, 0], r"labels must be one per row, shape \(4,\); got \(3,\)"),
        (rows, [1, 1, 1, 1], "at least two classes; got 1"),
        (np.zeros(4), [0, 1, 0, 1], r"rows must be .* got shape \(4,\)"),
    ]:
        with pytest.raises(InputError, match=words):
            Judge.fit(images, np.array(labels))
    judge = Judge.fit(rows, np.array([0, 1, 0, 1]), epochs=1)
    with pytest.raises(InputError, match=r"shape \(3,\) that the judge was trained on; got \(2,\)"):
        judge.features(rows[:, :2])
