"""Tables of numbers seen twice, by size and by rank."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import ndtri

from isthmus.data import doubled
from isthmus.data.doubled import FARTHEST, REACH, Doubled
from isthmus.data.sources import ArraySource
from isthmus.errors import FileFormatError, InputError


def table(rows: int = 500, seed: int = 0) -> np.ndarray:
    """A normal column, a constant one, a skewed one, and one of whole numbers."""
    random = np.random.default_rng(seed)
    columns = (
        random.normal(5, 3, rows),
        np.full(rows, 7.5),
        np.exp(random.normal(size=rows) * 2),
        random.poisson(3, rows),
    )
    return np.stack(columns, 1)


def view_of(array: np.ndarray, names: tuple[str, ...] | None = None) -> Doubled:
    return Doubled.fit(ArraySource(array, names=names), np.arange(len(array)))


def test_sizes_are_standard_deviations_and_ranks_normal_scores() -> None:
    array = table()
    view = view_of(array)
    assert view.columns.tolist() == [0, 2, 3]  # a constant column is left out
    assert view.width == 6
    seen = view.forward(array)
    assert seen.dtype == torch.float32
    assert seen.shape == (500, 6)
    varying = array[:, [0, 2, 3]]
    np.testing.assert_allclose(seen[:, :3], (varying - varying.mean(0)) / varying.std(0), rtol=1e-4, atol=1e-5)
    for column in (0, 2):  # by rank, a column of any shape is the same
        scores = ndtri((varying[:, 0 if column == 0 else 1].argsort().argsort() + 0.5) / 500)
        assert np.corrcoef(seen[:, 3 + column // 2], scores)[0, 1] > 0.99
    np.testing.assert_allclose(seen[:, 3:].double().mean(0), 0, atol=0.02)
    np.testing.assert_allclose(seen[:, 3:].double().std(0), 1, atol=0.05)


def test_ranks_do_not_know_the_units_and_sizes_only_their_scale() -> None:
    array = table()
    bent = array.copy()
    bent[:, 0] = 1e6 * bent[:, 0] - 3e7
    first, second = view_of(array).forward(array), view_of(bent).forward(bent)
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_what_is_seen_of_a_row_does_not_depend_on_others() -> None:
    array = table()
    view = view_of(array)
    every = view.forward(array)
    np.testing.assert_array_equal(torch.cat([view.forward(array[i : i + 1]) for i in range(50)]), every[:50])


@pytest.mark.parametrize("huge", [1e5, 1e30, 1e300, -1e300])
def test_huge_cells_are_far_away_and_no_more(huge: float) -> None:
    view = view_of(table())
    row = table(1)
    row[0, 0] = huge
    seen = view.forward(row)[0]
    assert seen.abs().max() <= FARTHEST
    assert seen[0] == np.sign(huge) * FARTHEST
    assert seen[3] == np.sign(huge) * REACH
    row[0, :] = huge
    assert view.forward(row).abs().max() == FARTHEST


def test_a_constant_column_that_moves() -> None:
    array = table()
    view = view_of(array)
    rows = array[:5].copy()
    assert not view.moved(rows).any()
    rows[1, 1], rows[2, 1], rows[3, 1], rows[4, 0] = 8.0, np.float32(7.5), 1e300, 1e300
    assert np.argwhere(view.moved(rows)).tolist() == [[1, 1], [3, 1]]
    assert view.forward(rows).shape == (5, 6)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e-20, 1e20])
def test_float32_and_float64_of_one_number_are_one(value: float) -> None:
    array = np.stack([np.full(20, value), np.arange(20.0)], 1)
    rows = array[:3].copy()
    rows[0, 0] = np.float32(value)
    rows[1, 0] = value * 1.001 + (1e-30 if value == 0 else 0)
    assert view_of(array).moved(rows)[:, 0].tolist() == [False, True, False]


def test_a_table_of_constant_columns_alone() -> None:
    array = np.tile([1.0, 2.0], (9, 1))
    view = view_of(array)
    assert view.width == 2
    assert view.columns.tolist() == [0]
    assert view.scaling.constant.all()
    torch.testing.assert_close(view.forward(np.array([[1.0, 2.0], [5.0, 2.0]])), torch.zeros(2, 2))
    assert view.moved(np.array([[1.0, 2.0], [5.0, 2.0]])).tolist() == [[False, False], [True, False]]
    body, tensors = view.state()
    again = Doubled.restore(body, tensors, None)
    assert again.width == 2
    assert again.moved(np.array([[5.0, 2.0]])).tolist() == [[True, False]]


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
@pytest.mark.parametrize("column", [1, 2])
def test_what_is_no_number_is_named_by_its_column(bad: float, word: str, column: int) -> None:
    """In a constant column too, which is not in the view."""
    view = view_of(table(), names=("size", "zone", "price", "rooms"))
    rows = table(3)
    rows[1, column] = bad
    with pytest.raises(InputError, match=f"Input train contains {word}.*column '{('size', 'zone', 'price')[column]}'"):
        view.forward(rows, "train")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_fit_to_what_is_no_number_is_refused(bad: float) -> None:
    array = table()
    array[3, 2] = bad
    with pytest.raises(InputError, match=r"Input X contains .*column 'price'"):
        view_of(array, names=("size", "zone", "price", "rooms"))


def test_no_warning_of_constant_columns_which_are_watched() -> None:
    view_of(table())  # warnings are errors


def test_a_table_of_whole_numbers_or_truth_values() -> None:
    random = np.random.default_rng(0)
    for array in (random.integers(0, 200, (60, 3)).astype(np.uint8), random.random((60, 3)) > 0.5):
        view = view_of(array)
        assert view.forward(array).isfinite().all()
        assert not view.moved(array).any()


def test_few_rows_of_many_tell_the_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubled, "CELLS", 400)
    array = table(1000)
    assert view_of(array).scaling.rows == 100
    np.testing.assert_allclose(view_of(array).scaling.centre[0], array[:, 0].mean(), atol=1.0)


def test_it_comes_back_from_its_state() -> None:
    array = table()
    view = view_of(array, names=("size", "zone", "price", "rooms"))
    body, tensors = view.state()
    again = Doubled.restore(body, {name: value.copy() for name, value in tensors.items()}, view.scaling.names)
    rows = np.concatenate([array, 100 * array])
    torch.testing.assert_close(again.forward(rows), view.forward(rows), rtol=0, atol=0)
    np.testing.assert_array_equal(again.moved(rows), view.moved(rows))
    tensors["at"] = tensors["at"][:1]
    with pytest.raises(FileFormatError, match="damaged"):
        Doubled.restore(body, tensors, None)


def test_it_comes_back_from_a_file(tmp_path: Path) -> None:
    import isthmus as ist

    array = table(60)
    detector = ist.AnomalyDetector(0.1, epochs=1, random_state=0).fit(array)
    detector.save(tmp_path / "detector.safetensors")
    again = ist.load(tmp_path / "detector.safetensors")
    torch.testing.assert_close(
        again.oddness_.view.forward(array), detector.oddness_.view.forward(array), rtol=0, atol=0
    )
