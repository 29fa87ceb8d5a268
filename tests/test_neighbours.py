"""Nearest rows: against every distance in float64 and against a tree of SciPy's, in blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from isthmus import neighbours
from isthmus.errors import InputError
from isthmus.neighbours import hide, kth_distances, nearest, nearest_other, row_sets


def points(rows: int, features: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(scale=scale, size=(rows, features))).float()


def plain(x: torch.Tensor, reference: torch.Tensor, own: int | None = None) -> np.ndarray:
    """Every distance, in float64."""
    apart = torch.cdist(x.double(), reference.double(), compute_mode="donot_use_mm_for_euclid_dist").numpy()
    if own is not None:
        apart[np.arange(len(x)), np.arange(len(x)) + own] = np.inf
    return apart.min(axis=1)


@pytest.fixture(params=[(256, 1024), (9, 7), (3, 10), (1, 1), (5, 1000)], ids=str)
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of so many rows and so many reference rows."""
    monkeypatch.setattr(neighbours, "ROWS", request.param[0])
    monkeypatch.setattr(neighbours, "REFERENCE", request.param[1])


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    ("rows", "reference", "features"), [(50, 60, 3), (1, 60, 3), (50, 1, 3), (7, 7, 1), (20, 30, 40)]
)
def test_it_is_the_least_of_all_distances(rows: int, reference: int, features: int) -> None:
    x, known = points(rows, features), points(reference, features, 1)
    found = nearest(x, known)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, plain(x, known), rtol=1e-5)
    np.testing.assert_allclose(found, cKDTree(known.double().numpy()).query(x.double().numpy())[0], rtol=1e-5)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("own", [0, 1, 6, 13, 30])
def test_no_row_is_its_own_neighbour(own: int) -> None:
    known = points(50, 3)
    x = known[own : own + 20]
    np.testing.assert_allclose(nearest(x, known, own=own), plain(x, known, own), rtol=1e-5)
    assert not nearest(x, known).any()


def test_a_twin_is_a_neighbour_of_its_own() -> None:
    known = points(10, 3)
    known[7] = known[2]
    found = nearest(known, known, own=0)
    assert (found == 0).tolist() == [i in (2, 7) for i in range(10)]


def test_rows_are_hidden_only_where_a_block_has_them() -> None:
    near = torch.zeros(4, 3)
    hide(near, torch.tensor([2, -1, 0, 3]))
    expected = torch.zeros(4, 3)
    expected[0, 2] = expected[2, 0] = -torch.inf
    torch.testing.assert_close(near, expected)


def test_own_rows_beyond_one_block_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    known = points(97, 2)
    for size, reference in ((6, 5), (1, 12), (4, 50)):
        monkeypatch.setattr(neighbours, "ROWS", size)
        monkeypatch.setattr(neighbours, "REFERENCE", reference)
        np.testing.assert_allclose(nearest(known, known, own=0), plain(known, known, 0), rtol=1e-5)
        np.testing.assert_allclose(nearest(known[40:], known, own=40), plain(known[40:], known, 40), rtol=1e-5)


@pytest.mark.usefixtures("blocks")
def test_equal_rows_are_at_no_distance_at_all() -> None:
    known = points(40, 5, scale=100.0) + 1000.0
    assert not nearest(known[::3].clone(), known).any()


def test_rows_that_are_nearly_equal_far_from_the_origin() -> None:
    """|x|^2 is about 5e6 and its float32 rounding 0.5, yet the distance, 0.01, is right to its last digits."""
    known = points(200, 5, scale=10.0) + 1000.0
    x = known[:50].clone()
    x[:, 2] += 0.0125
    exact = np.abs((x - known[:50]).double().numpy()).max(1)
    assert (nearest(x, known).numpy() <= exact + 1e-7).all()
    np.testing.assert_allclose(nearest(x, known), plain(x, known), rtol=1e-6)


def test_nothing_is_near_nothing_and_what_is_given_is_left_alone() -> None:
    known = points(5, 3)
    assert nearest(known[:0], known).shape == (0,)
    x, before, kept = points(4, 3, 1), points(4, 3, 1), known.clone()
    nearest(x, known)
    torch.testing.assert_close(x, before, rtol=0, atol=0)
    torch.testing.assert_close(known, kept, rtol=0, atol=0)


def test_a_part_of_the_columns_may_be_a_view() -> None:
    """Halves of a wider table, which are not contiguous."""
    x, known = points(30, 8), points(40, 8, 1)
    np.testing.assert_allclose(nearest(x[:, 3:6], known[:, 3:6]), plain(x[:, 3:6], known[:, 3:6]), rtol=1e-5)


@pytest.mark.usefixtures("blocks")
def test_a_reference_row_is_as_far_off_as_it_was_without_itself() -> None:
    known = torch.cat([points(40, 4), 50 * points(3, 4, 1)])
    known[7] = known[2]  # a twin, which is a neighbour
    fresh = points(9, 4, 2)
    found = nearest_other(torch.cat([known, fresh, known * (1 + 2e-7)]), known)
    np.testing.assert_array_equal(found[:43], nearest(known, known, own=0))
    np.testing.assert_array_equal(found[43:52], nearest(fresh, known))
    np.testing.assert_allclose(found[52:], found[:43], rtol=1e-4, atol=1e-5)
    assert found[2] == found[7] == 0


def test_a_crowd_far_from_the_origin_is_told_apart() -> None:
    """Without a centre taken away, products of 1e8 would tell of no distance below 4."""
    known, x = points(300, 4, scale=0.05) + 5000.0, points(100, 4, 1, scale=0.05) + 5000.0
    np.testing.assert_allclose(nearest(x, known), plain(x, known), rtol=1e-6)
    assert not nearest(known[:50].clone(), known).any()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("k", [1, 2, 5, 20])
@pytest.mark.parametrize("own", [None, 0, 13])
def test_the_kth_distance_is_that_of_all_distances_in_order(k: int, own: int | None) -> None:
    known = points(50, 3).double()
    known[30] = known[2]
    x = points(20, 3, 1).double() if own is None else known[own : own + 20]
    apart = torch.cdist(x, known, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    if own is not None:
        apart[np.arange(20), np.arange(20) + own] = np.inf
    found = kth_distances(x, known, k, own=own)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, np.sort(apart, axis=1)[:, k - 1], rtol=1e-9)


def test_the_first_of_the_kth_is_the_nearest_and_the_last_is_the_farthest() -> None:
    x, known = points(30, 4), points(40, 4, 1)
    torch.testing.assert_close(kth_distances(x, known, 1), nearest(x, known))
    torch.testing.assert_close(kth_distances(x, known, 40), torch.cdist(x, known).amax(1))
    assert not kth_distances(known.repeat(3, 1), known.repeat(3, 1), 2, own=0).any()  # two twins each


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"real": np.zeros((2, 3))}, r"real must be \(rows, features\) with 3 rows or more; got shape \(2, 3\)"),
        ({"real": np.zeros(9)}, r"real must be \(rows, features\) .* got shape \(9,\)"),
        ({"real": np.zeros((9, 0))}, r"got shape \(9, 0\)"),
        ({"real": np.zeros((9, 2)), "drawn": np.full((5, 2), np.nan)}, "drawn must be finite numbers; 5 of its 5 rows"),
        ({"real": np.zeros((9, 2)), "drawn": np.zeros((5, 3))}, "same features; real has 2, drawn 3"),
        ({"real": [[1.0], [2.0, 3.0]]}, "real must be rows of numbers, all of one length"),
        ({"real": [["a"], ["b"], ["c"]]}, "real must be rows of numbers"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(sets: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        row_sets(3, **sets)
