"""Batches: every row once, the same order for the same seed, resumed anywhere, within bounded memory."""

from __future__ import annotations

import importlib
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from isthmus.data import ArraySource, Source, batches, open_source, split

MODULE = importlib.import_module("isthmus.data.batches")  # its name in the package is the function's

X = np.arange(3000.0).reshape(1000, 3)


@pytest.fixture(params=["memory", "sparse", "mapped", "blocks", "parquet"])
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """The same thousand rows from every kind of source; the last two are not cheap to reach at random."""
    monkeypatch.setattr(MODULE, "BUFFER_BLOCKS", 3)
    if request.param == "memory":
        return open_source(X)
    if request.param == "sparse":
        return open_source(scipy.sparse.csr_array(X))
    if request.param == "parquet":
        monkeypatch.setattr("isthmus.data.mixed_parquet.WHOLE_BYTES", 0)
        pd.DataFrame(X, columns=["a", "b", "c"]).to_parquet(tmp_path / "X.parquet", row_group_size=90)
        return open_source(tmp_path / "X.parquet")
    np.save(tmp_path / "X.npy", X)
    if request.param == "blocks":
        monkeypatch.setattr("isthmus.data.sources.BLOCK_BYTES", 24 * 70)
        monkeypatch.setattr("isthmus.data.sources.RANDOM_ACCESS_BYTES", 100)
    return open_source(tmp_path / "X.npy")


def drawn(source: Source, rows: np.ndarray | None, size: int, **options: object) -> list[list[int]]:
    """The row numbers of every batch, after checking that the rows are the ones that the numbers say."""
    made = []
    for raw, ids in batches(source, rows, size, **options):  # type: ignore[arg-type]
        np.testing.assert_array_equal(raw, X[ids])
        assert ids.dtype == np.int64
        made.append(ids.tolist())
    return made


@pytest.mark.parametrize("rows", [None, np.arange(5, 1000, 3)])
@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("size", [1, 32, 999, 5000])
def test_every_row_once_in_full_batches(source: Source, rows: np.ndarray | None, seed: int | None, size: int) -> None:
    wanted = list(range(1000)) if rows is None else rows.tolist()
    made = drawn(source, rows, size, seed=seed)
    flat = [row for batch in made for row in batch]
    assert sorted(flat) == wanted
    assert (flat == wanted) is (seed is None)
    assert {len(batch) for batch in made[:-1]} <= {size}
    assert len(made) == -(-len(wanted) // size)


def test_the_order_follows_from_seed_and_epoch(source: Source) -> None:
    first = drawn(source, None, 64, seed=3, epoch=2)
    assert drawn(source, None, 64, seed=3, epoch=2) == first
    assert drawn(source, None, 64, seed=3, epoch=1) != first
    assert drawn(source, None, 64, seed=2, epoch=2) != first


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("skip", [1, 4, 15, 16, 100])
def test_skipping_continues_where_a_run_stopped(source: Source, seed: int | None, skip: int) -> None:
    whole = drawn(source, np.arange(0, 1000, 2), 32, seed=seed)
    assert drawn(source, np.arange(0, 1000, 2), 32, seed=seed, skip=skip) == whole[skip:]


def test_rows_are_mixed_beyond_their_block(source: Source) -> None:
    first = np.array(drawn(source, None, 200, seed=0)[0])
    assert np.ptp(first) > 200
    assert np.abs(np.diff(first)).mean() > 20


def test_the_global_random_state_stays_where_it_was(source: Source) -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[union-attr]  # noqa: NPY002
    drawn(source, None, 100, seed=0)
    split(100, 0.1, 0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_neighbouring_rows_in_order_are_not_copied() -> None:
    raw, _ = next(batches(open_source(X), None, 10, seed=None))
    assert np.shares_memory(raw, X)


class Counting(ArraySource):
    """Remembers which blocks were read."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__(array)
        self.random_access, self.seen = False, []
        self.blocks = [(start, start + 100) for start in range(0, len(array), 100)]

    def read(self, start: int, stop: int) -> np.ndarray:
        self.seen.append((start, stop))
        return super().read(start, stop)


def test_each_block_is_read_once_and_skipped_ones_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "BUFFER_BLOCKS", 2)
    counting = Counting(X)
    drawn(counting, None, 50, seed=0)
    assert sorted(counting.seen) == counting.blocks
    counting.seen.clear()
    drawn(counting, None, 50, seed=0, skip=16)
    assert len(counting.seen) == 2
    counting.seen.clear()
    drawn(counting, np.arange(250, 350), 50, seed=0)
    assert sorted(counting.seen) == [(200, 300), (300, 400)]


def test_memory_is_bounded_by_the_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "X.npy", np.zeros((40_000, 100)))  # 32 MB
    monkeypatch.setattr(MODULE, "BUFFER_BYTES", 2 * 2**20)
    monkeypatch.setattr("isthmus.data.sources.BLOCK_BYTES", 2**18)
    monkeypatch.setattr("isthmus.data.sources.RANDOM_ACCESS_BYTES", 0)
    source = open_source(tmp_path / "X.npy")
    tracemalloc.start()
    count = sum(len(ids) for _, ids in batches(source, None, 250, seed=0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 40_000
    assert peak < 6 * 2**20


def test_split() -> None:
    for rows, fraction, held in [
        (1000, 0.1, 100),
        (10, 0.01, 1),
        (10, 0.999, 9),
        (9, 0.5, 0),
        (100, 0.0, 0),
        (1, 0.5, 0),
    ]:
        train, held_out = split(rows, fraction, seed=0)
        assert len(held_out) == held
        assert train.dtype == held_out.dtype == np.int64
        np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(rows))
        np.testing.assert_array_equal(train, np.sort(train))
        np.testing.assert_array_equal(held_out, np.sort(held_out))
    assert split(1000, 0.1, 0)[1].tolist() == split(1000, 0.1, 0)[1].tolist()
    assert split(1000, 0.1, 0)[1].tolist() != split(1000, 0.1, 1)[1].tolist()
