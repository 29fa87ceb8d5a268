"""Tiles cover every place once, begin where the network's grid does, and join without a seam."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from isthmus.errors import InputError
from isthmus.estimators import tiles as module
from isthmus.estimators.tiles import Cut, cleaned, pieces, tiles, together


@pytest.mark.parametrize("stride", [1, 2, 8])
@pytest.mark.parametrize("overlap", [0, 3, 8])
@pytest.mark.parametrize("length", [1, 7, 40, 41, 97])
def test_pieces_keep_every_place_once(length: int, overlap: int, stride: int) -> None:
    cut = Cut(2 * (-(-overlap // stride) * stride) + 2 * stride, overlap, stride)
    kept = np.zeros(length, dtype=int)
    for read, keep, inner in pieces(length, cut):
        kept[keep] += 1
        assert read.start % stride == 0
        assert read.stop == length or read.stop % stride == 0
        assert read.stop - read.start <= cut.size
        assert (read.start + inner.start, read.start + inner.stop) == (keep.start, keep.stop)
        assert keep.start - read.start >= overlap or read.start == 0
        assert read.stop - keep.stop >= overlap or read.stop == length
    assert (kept == 1).all()


def test_windows_of_time_are_whole() -> None:
    found = pieces(7, Cut(5, overlap=2))
    assert [(read.start, read.stop) for read, _, _ in found] == [(0, 5), (1, 6), (2, 7)]
    assert [(kept.start, kept.stop) for _, kept, _ in found] == [(0, 3), (3, 4), (4, 7)]


def test_a_tile_must_be_larger_than_its_overlaps() -> None:
    with pytest.raises(InputError, match=r"tile must be at least 24 here: .* reaches 5 places to each side.* got 20"):
        Cut(20, overlap=5, stride=8)
    assert Cut(24, overlap=5, stride=8).least == 24


@pytest.mark.parametrize("shape", [(150,), (45, 61), (9, 33, 40)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_filter_in_tiles_is_the_filter_of_the_whole(shape: tuple[int, ...], channels: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(2, *shape, *channels))
    size = (1, *[7] * len(shape), *[1] * len(channels))

    def smooth(rows: np.ndarray) -> np.ndarray:
        return scipy.ndimage.uniform_filter(rows, size)

    result = np.empty_like(x)
    cleaned(smooth, x, result, tuple(Cut(13, overlap=3) for _ in shape))
    np.testing.assert_allclose(result, smooth(x), atol=1e-12)
    cleaned(smooth, x, result, tuple(Cut(9, overlap=2) for _ in shape))  # too little: a test that can fail
    assert np.abs(result - smooth(x)).max() > 1e-3


def test_halving_sees_the_same_pairs() -> None:
    x = np.random.default_rng(0).normal(size=(1, 70))

    def coarse(rows: np.ndarray) -> np.ndarray:
        return rows.reshape(len(rows), -1, 2).mean(2).repeat(2, 1)

    result = np.empty_like(x)
    cleaned(coarse, x, result, (Cut(12, overlap=1, stride=2),))
    np.testing.assert_array_equal(result, coarse(x))


def test_wholes_of_many_sizes_are_cut_each_by_itself() -> None:
    wholes = [np.full((5, n), n, dtype=float) for n in (3, 3, 40, 7)]
    results = [np.zeros_like(whole) for whole in wholes]
    shapes = []

    def add(rows: np.ndarray) -> np.ndarray:
        shapes.append(rows.shape)
        return rows + 1

    cleaned(add, wholes, results, (Cut(None), Cut(16, overlap=2)))
    for whole, result in zip(wholes, results, strict=True):
        np.testing.assert_array_equal(result, whole + 1)
    assert shapes[0] == (2, 5, 3)  # two of one size go together
    assert max(shape[2] for shape in shapes) == 16


def test_a_pass_holds_so_many_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACES", 100)
    groups = list(together(np.zeros((50, 5, 5)), (Cut(None), Cut(None))))
    assert {len(group) for group in groups} == {4, 2}
    assert sum(map(len, groups)) == 50
    assert all(len(group) == 1 for group in together(np.zeros((2, 200, 5)), (Cut(None), Cut(None))))


def test_tiles_are_those_of_every_axis() -> None:
    found = tiles((20, 9), (Cut(12, overlap=2), Cut(None)))
    assert [tile.shape for tile in found] == [(12, 9), (12, 9)]
