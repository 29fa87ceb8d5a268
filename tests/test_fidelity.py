"""Precision, recall, density and coverage against every distance in float64, and what they are in the mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import binom, hypergeom

from isthmus import neighbours
from isthmus.errors import InputError
from isthmus.fidelity import (
    Fidelity,
    density_coverage,
    expected_coverage,
    fidelity,
    precision_recall,
    two_sample_accuracy,
)
from isthmus.metrics import frechet_distance


def points(rows: int, features: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, features))


def plain(real: np.ndarray, drawn: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """The papers' formulas, of all pairs at once."""
    real_balls, drawn_balls = (np.sort(cdist(rows, rows), axis=1)[:, k] for rows in (real, drawn))
    apart = cdist(real, drawn)
    inside = apart <= real_balls[:, None]
    recall = (apart <= drawn_balls).any(1).mean()
    return inside.any(0).mean(), recall, inside.sum() / k / len(drawn), inside.any(1).mean()


@pytest.mark.parametrize("block", [(256, 1024), (9, 7), (5, 1)], ids=str)
@pytest.mark.parametrize(
    ("rows", "drawn", "features", "k"), [(60, 40, 3, 5), (30, 70, 8, 1), (12, 12, 1, 11), (50, 60, 40, 3)]
)
def test_they_are_the_formulas(
    rows: int, drawn: int, features: int, k: int, block: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "ROWS", block[0])
    monkeypatch.setattr(neighbours, "REFERENCE", block[1])
    real, made = points(rows, features), 0.8 * points(drawn, features, 1) + 0.3
    expected = plain(real, made, k)
    assert expected[2] > 0
    found = (*precision_recall(real, made, k), *density_coverage(real, made, k))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_set_beside_itself_and_one_far_away() -> None:
    real = points(300, 5)
    assert precision_recall(real, real) == (1.0, 1.0)
    assert density_coverage(real, real)[1] == 1.0
    assert density_coverage(real, real)[0] == pytest.approx(1 + 1 / 5)  # k others in each ball, and its own row
    assert precision_recall(real, real + 100) == density_coverage(real, real + 100) == (0.0, 0.0)


def test_rows_that_are_equal_lie_in_balls_without_a_radius() -> None:
    """Ten twins each, far from the origin: the radius is 0, and rounding must not put a twin outside."""
    crowd = np.repeat(points(20, 7) + 1000 / 3, 10, axis=0)
    assert precision_recall(crowd, crowd[::-1]) == (1.0, 1.0)
    assert density_coverage(crowd, crowd[::-1]) == (10 / 5, 1.0)
    assert precision_recall(crowd, crowd + 1e-3) == (0.0, 0.0)


def test_forgetting_costs_recall_and_inventing_costs_precision() -> None:
    left, right = points(400, 2), points(400, 2, 1) + np.array([50, 0])
    both = np.concatenate([left, right])
    precision, recall = precision_recall(both, left[:200])
    assert precision == 1
    assert 0.4 < recall <= 0.5
    precision, recall = precision_recall(left[:200], both)
    assert 0.4 < precision <= 0.5
    assert recall == 1


@pytest.mark.parametrize("bend", [lambda x: x, lambda x: np.sign(x) * np.abs(x) ** 5], ids=["normal", "heavy tails"])
def test_the_means_are_those_of_one_distribution_whichever_it_is(bend) -> None:
    real, drawn, k = 40, 60, 3
    generator = np.random.default_rng(0)
    found = np.array(
        [
            density_coverage(bend(generator.normal(size=(real, 2))), bend(generator.normal(size=(drawn, 2))), k)
            for _ in range(250)
        ]
    )
    errors = found.std(axis=0) / np.sqrt(len(found))
    assert (errors < 0.01).all()
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - [1.0, expected_coverage(real, drawn, k)]), 3 * errors)


def test_expected_coverage_is_a_draw_without_putting_back() -> None:
    """Of the k nearest of 99 + 50 rows, none is drawn."""
    assert expected_coverage(100, 50, 4) == pytest.approx(1 - hypergeom(149, 50, 4).pmf(0))
    assert expected_coverage(10, 10, 9) == pytest.approx(1 - hypergeom(19, 10, 9).pmf(0))


def test_a_classifier_tells_what_differs_and_says_by_what_chance() -> None:
    real = points(300, 3)
    signs = np.repeat([[0.0], [1.0]], 300, axis=0)
    far, chance = two_sample_accuracy(signs[:300], signs[300:])
    assert far == 1.0
    assert chance == pytest.approx(0.5**300, rel=1e-9, abs=0)
    wide, chance = two_sample_accuracy(real, 3 * points(300, 3, 1))
    assert 0.7 < wide < 1
    assert chance == pytest.approx(binom(300, 0.5).sf(round(wide * 300) - 1), rel=1e-9, abs=0)
    assert chance < 1e-9


def test_a_classifier_cannot_tell_what_is_alike() -> None:
    found = np.array([two_sample_accuracy(points(100, 2, 2 * i), points(100, 2, 2 * i + 1), i)[0] for i in range(15)])
    assert abs(found.mean() - 0.5) < 3 * 0.5 / np.sqrt(15 * 100)


def test_the_larger_set_is_cut_so_that_one_half_is_chance() -> None:
    accuracy, chance = two_sample_accuracy(points(1000, 2), points(100, 2, 1))
    assert accuracy * 100 == pytest.approx(round(accuracy * 100))  # 50 + 50 held-out rows
    assert 0.3 < accuracy < 0.7
    assert chance > 0.001


def test_the_seed_decides_and_the_global_one_is_left_alone() -> None:
    real, drawn = points(80, 2), points(80, 2, 1) + 0.5
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = two_sample_accuracy(real, drawn, 3)
    assert first == two_sample_accuracy(real, drawn, 3)
    assert len({two_sample_accuracy(real, drawn, seed)[0] for seed in range(6)}) > 1
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_all_figures_at_once() -> None:
    real, drawn = points(120, 4), points(150, 4, 1) * 1.2
    found = fidelity(real, drawn, random_state=2, k=3)
    assert found == Fidelity(
        frechet_distance(real, drawn),
        *precision_recall(real, drawn, 3),
        *density_coverage(real, drawn, 3),
        *two_sample_accuracy(real, drawn, 2),
    )
    line = str(Fidelity(12.3456, 0.5, 0.25, 1.5, 0.125, 0.75, 0.01234))
    assert line == (
        "Fréchet 12.35 | precision 0.500 | recall 0.250 | density 1.500 | coverage 0.125 | told apart 0.750 (p = 0.012)"
    )


@pytest.mark.parametrize("figure", [fidelity, precision_recall, density_coverage])
def test_what_cannot_be_compared_is_refused(figure) -> None:
    rows = points(10, 2)
    holed = rows.copy()
    holed[3, 1] = np.nan
    for real, drawn, message in [
        (rows[:5], rows, r"real must be \(rows, features\) with 6 rows or more; got shape \(5, 2\)"),
        (rows, rows[:0], r"drawn must be .* got shape \(0, 2\)"),
        (rows, holed, "drawn must be finite numbers; 1 of its 10 rows hold NaN"),
        (rows, rows[:, :1], "real and drawn must have the same features; real has 2, drawn 1"),
    ]:
        with pytest.raises(InputError, match=message):
            figure(real, drawn)
    with pytest.raises(InputError, match="k must be a whole number >= 1; got 0"):
        figure(rows, rows, k=0)


def test_too_few_rows_to_train_and_to_judge() -> None:
    with pytest.raises(InputError, match=r"drawn must be .* with 4 rows or more"):
        two_sample_accuracy(points(9, 2), points(3, 2))


@pytest.mark.slow
def test_ten_thousand_rows_take_seconds_and_no_square_of_memory() -> None:
    """All distances at once would be 800 MB."""
    import resource
    import time

    real, drawn = points(10_000, 128), points(10_000, 128, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    precision_recall(real, drawn)
    assert time.perf_counter() - start < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes
