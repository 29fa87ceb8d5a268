"""Scaling: what is decided from the data, exact figures, the way there and back, and messages."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from isthmus.data import ArraySource, Scaling, open_source
from isthmus.data.decisions import MODES
from isthmus.errors import DataWarning, FileFormatError, InputError

MIXED = np.array([[1.0, 100.0, 0.0], [2.0, 300.0, 5.0], [4.0, 200.0, 1.0], [5.0, 600.0, 2.0]])


def normal(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def test_standard_columns_get_mean_0_and_variance_1() -> None:
    scaling = Scaling.fit(open_source(MIXED))
    assert scaling.mode == "standard"
    np.testing.assert_allclose(scaling.centre, MIXED.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(scaling.scale, MIXED.std(axis=0), rtol=1e-14)
    x = scaling.forward(MIXED)
    assert x.dtype == torch.float32
    np.testing.assert_allclose(x.double().mean(0), 0.0, atol=1e-7)
    np.testing.assert_allclose(x.double().var(0, correction=0), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(scaling.unit, 1.0)
    np.testing.assert_array_equal(scaling.low, [1, 100, 0])
    np.testing.assert_array_equal(scaling.high, [5, 600, 5])


def test_common_is_one_scale_the_root_of_the_mean_variance_of_varying_columns() -> None:
    X = np.concatenate([MIXED, np.full((4, 1), 7.0)], axis=1)
    scaling = Scaling.fit(ArraySource(X, names=None), mode="common")
    np.testing.assert_allclose(scaling.scale, np.sqrt(MIXED.var(axis=0).mean()))
    np.testing.assert_allclose(scaling.centre, X.mean(axis=0))
    np.testing.assert_array_equal(scaling.unit, scaling.scale)
    assert scaling.log_volume == pytest.approx(3 * np.log(scaling.scale[0]))  # the constant column has no volume


def test_unit_spans_each_columns_own_range_or_the_shared_one() -> None:
    own = Scaling.fit(open_source(MIXED), support="unit")
    assert own.mode == "unit"
    np.testing.assert_array_equal(own.centre, [1, 100, 0])
    np.testing.assert_array_equal(own.scale, [4, 500, 5])
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    together = Scaling.fit(open_source(images), support="unit")
    assert set(together.centre) == {0.0}
    assert set(together.scale) == {31.0}
    bright = images + np.uint8(200)
    assert set(Scaling.fit(open_source(bright), support="unit").scale) == {255.0}
    x = together.forward(images)
    assert (x.min().item(), x.max().item()) == (0.0, 1.0)


def test_none_leaves_values_alone() -> None:
    scaling = Scaling.fit(open_source(MIXED), mode="none")
    np.testing.assert_array_equal(scaling.forward(MIXED), MIXED.astype(np.float32))
    assert scaling.log_volume == 0.0


def test_forward_never_shares_memory_with_the_users_data() -> None:
    X = MIXED.astype(np.float32)
    Scaling.fit(open_source(X), mode="none").forward(X).add_(1.0)
    np.testing.assert_array_equal(X, MIXED.astype(np.float32))


@pytest.mark.parametrize(
    ("X", "mode"),
    [
        (np.zeros((3, 4, 4), dtype=np.uint8) + np.arange(4, dtype=np.uint8), "common"),
        (np.random.default_rng(0).uniform(size=(500, 8)), "common"),
        (np.random.default_rng(0).uniform(size=(500, 7)), "standard"),
        (np.random.default_rng(0).uniform(size=(500, 8)) * np.arange(1, 9), "standard"),
    ],
)
def test_auto(X: np.ndarray, mode: str) -> None:
    assert Scaling.fit(open_source(X)).mode == mode


def test_columns_may_have_modes_of_their_own() -> None:
    frame = pd.DataFrame(MIXED, columns=["a", "b", "c"])
    source = open_source(frame, columns={"a": "none", "b": "unit", "c": "numeric"})
    scaling = Scaling.fit(source)
    assert [MODES[i] for i in scaling.modes] == ["none", "unit", "standard"]
    np.testing.assert_allclose(scaling.centre, [0, 100, 2])
    np.testing.assert_allclose(scaling.scale, [1, 500, MIXED[:, 2].std()])
    np.testing.assert_allclose(scaling.unit, [1, 500, 1])
    assert "scaling 'unit', as asked for: column 'b'" in scaling.describe()


def test_positions_count_as_in_the_users_table_even_where_columns_are_ignored() -> None:
    source = open_source(MIXED, columns={0: "ignore", 2: "none"})
    assert source.layout.shape == (2,)
    assert [MODES[i] for i in Scaling.fit(source).modes] == ["standard", "none"]


def test_an_unknown_column_or_mode_is_named() -> None:
    source = open_source(pd.DataFrame(MIXED, columns=["age", "b", "c"]))
    with pytest.raises(InputError, match=r"there is no column 'agee'. Did you mean 'age'"):
        Scaling.fit(source, per_column={"agee": "none"})
    with pytest.raises(InputError, match=r"'age' must be one of 'numeric', 'ignore', 'standard'.*got 'cube'"):
        Scaling.fit(source, per_column={"age": "cube"})
    with pytest.raises(InputError, match=r"scale must be 'auto' or one of .*got 'cube'"):
        Scaling.fit(source, mode="cube")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64, bool])
def test_one_pass_by_stretches_equals_the_whole(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    X = (normal(1000, 5) * 40 + 100).clip(0, 255).astype(dtype)
    monkeypatch.setattr("isthmus.data.statistics.STRETCH_CELLS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # as truth values, columns are constant
        scaling = Scaling.fit(open_source(X), mode="standard")
    wide = X.astype(np.float64)
    np.testing.assert_allclose(scaling.centre, wide.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(scaling.scale, np.where(wide.std(axis=0) > 0, wide.std(axis=0), 1), rtol=1e-12)


def test_only_the_rows_asked_for_are_looked_at() -> None:
    X = normal(100, 3)
    rows = np.arange(0, 100, 3)
    scaling = Scaling.fit(open_source(X), rows)
    np.testing.assert_allclose(scaling.centre, X[rows].mean(axis=0), atol=1e-15)
    assert scaling.rows == len(rows)


def test_sparse_rows_have_the_statistics_of_their_dense_form() -> None:
    dense = np.where(normal(200, 6) > 1, normal(200, 6, seed=1), 0.0)
    sparse = Scaling.fit(open_source(scipy.sparse.csr_array(dense)))
    np.testing.assert_array_equal(sparse.centre, Scaling.fit(open_source(dense)).centre)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_there_and_back(mode: str, dtype: type) -> None:
    X = (normal(50, 4) * 30 + 120).astype(dtype)
    scaling = Scaling.fit(open_source(X), mode=mode)
    back = scaling.inverse(scaling.forward(X))
    assert back.dtype == (np.float64 if dtype in (np.int32, np.float64) else np.float32)
    np.testing.assert_allclose(back, X, rtol=2e-6)


def test_columns_far_from_zero_keep_their_digits() -> None:
    far = normal(2000, 3) + 1e7
    far32 = (normal(2000, 3) + 1e5).astype(np.float32)
    for X in (far, far32):
        scaling = Scaling.fit(open_source(X))
        exact = (X.astype(np.float64) - scaling.centre) / scaling.scale
        np.testing.assert_allclose(scaling.forward(X), exact, atol=1e-6)
        np.testing.assert_allclose(scaling.inverse(scaling.forward(X), wide=True), X, atol=1e-6)


def test_columns_of_any_size_reach_the_network_alike() -> None:
    sizes = 10.0 ** np.arange(-6, 7)
    X = normal(1000, 13) * sizes
    scaling = Scaling.fit(open_source(X))
    np.testing.assert_allclose(scaling.scale / sizes, 1.0, atol=0.1)
    np.testing.assert_allclose(scaling.forward(X).double().std(0, correction=0), 1.0, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_read_only_reversed_and_foreign_byte_orders_work_without_warnings(dtype: type) -> None:
    X = (normal(20, 3) * 30 + 120).astype(dtype)
    scaling = Scaling.fit(open_source(X))
    expected = scaling.forward(X)
    locked = X.copy()
    locked.flags.writeable = False
    np.testing.assert_array_equal(scaling.forward(locked), expected)
    np.testing.assert_array_equal(scaling.forward(X[::-1]), expected.flip(0))
    np.testing.assert_array_equal(scaling.forward(X.astype(X.dtype.newbyteorder(">"))), expected)
    np.testing.assert_array_equal(scaling.forward(np.asfortranarray(X)), expected)


def test_log_volume_turns_densities_into_the_users_units() -> None:
    X = normal(5000, 2) * [3.0, 0.2]
    scaling = Scaling.fit(open_source(X))
    assert scaling.log_volume == pytest.approx(np.log(X.std(axis=0)).sum(), rel=1e-12)


# What the data's owner is told.


def test_constant_columns_are_named_in_one_warning_and_scaled_by_1() -> None:
    frame = pd.DataFrame(
        {"a": [1.0, 2.0, 4.0], "still": [0.3] * 3, "noise": [1e9, 1e9 + 1e-6, 1e9 + 2e-6], "b": [3, 1, 2]}
    )
    with pytest.warns(DataWarning, match=r"constant.*column 'still', column 'noise'.*ignore") as caught:
        scaling = Scaling.fit(open_source(frame))
    assert len(caught) == 1
    np.testing.assert_array_equal(scaling.constant, [False, True, True, False])
    np.testing.assert_array_equal(scaling.scale[1:3], 1.0)
    assert scaling.forward(frame.to_numpy())[:, 1].tolist() == [0.0, 0.0, 0.0]
    assert "2 columns constant: column 'still', column 'noise'" in scaling.describe()


def test_float32_rounding_noise_is_constant_but_large_whole_numbers_are_not() -> None:
    noise = np.array([[1.0], [np.nextafter(np.float32(1), np.float32(2))]], dtype=np.float32)
    with pytest.warns(DataWarning):
        assert Scaling.fit(open_source(noise)).constant.tolist() == [True]
    assert not Scaling.fit(open_source(np.array([[10**15], [10**15 + 2]]))).constant.any()


def test_duplicate_columns_are_named() -> None:
    X = normal(300, 4)
    frame = pd.DataFrame(np.column_stack([X, X[:, 1]]), columns=["a", "b", "c", "d", "b again"])
    with pytest.warns(DataWarning, match="column 'b again' = column 'b'") as caught:
        Scaling.fit(open_source(frame))
    assert len(caught) == 1


def test_columns_with_equal_statistics_but_other_values_are_no_duplicates() -> None:
    X = np.array([[0, 1], [1, 0], [0, 1], [1, 0]])
    Scaling.fit(open_source(X))  # warnings are errors here


def test_pixels_that_never_change_are_no_warning() -> None:
    images = np.zeros((10, 4, 4), dtype=np.uint8)
    images[:, 1, 1] = np.arange(10)
    images[:, 2, 2] = np.arange(10)
    assert Scaling.fit(open_source(images)).constant.sum() == 14


def test_missing_cells_are_counted_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.data.statistics.STRETCH_CELLS", 16)
    X = normal(100, 3)
    X[[5, 50, 99], 1] = np.nan
    X[5, 2] = np.nan
    X[7, 0] = np.inf  # missing cells are told first
    with pytest.raises(InputError) as caught:
        Scaling.fit(ArraySource(X, names=("a", "b", "c")))  # a frame with gaps is a mixed table
    assert str(caught.value).startswith(
        "Input X contains NaN. Missing cells: column 'b' (3), column 'c' (1); 4 cells in 3 of 100 rows. Tables and "
    )


def test_a_column_without_any_value_is_named() -> None:
    with pytest.raises(InputError, match="Without any value: column 'gone'"):
        Scaling.fit(ArraySource(np.array([[1.0, np.nan], [2.0, np.nan]]), names=("a", "gone")))


def test_infinite_cells_are_counted() -> None:
    X = normal(10, 3)
    X[3, 1] = -np.inf
    with pytest.raises(InputError, match=r"Input X contains infinity: column 1 \(1\), 1 cell in 10 rows"):
        Scaling.fit(open_source(X))


def test_huge_values_name_their_column() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, -3e300, 2.0]})
    with pytest.raises(InputError, match=r"column 'b' holds values as large as 3e\+300"):
        Scaling.fit(open_source(frame))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bad_cells_in_later_data_are_named(dtype: type) -> None:
    scaling = Scaling.fit(open_source(pd.DataFrame(MIXED, columns=["a", "b", "c"]).astype(dtype)))
    for value, words in [
        (np.nan, r"contains NaN. Missing cells: column 'b' \(1\); 1 cell in 1 of 4 rows"),
        (np.inf, r"contains infinity: column 'b' \(1\)"),
        (-1e30, r"column 'b' holds -1e\+30, which is .* \(100 to 600\): too large"),
    ]:
        bad = MIXED.astype(dtype)
        bad[2, 1] = value
        with pytest.raises(InputError, match=words):
            scaling.forward(bad)


def test_values_just_within_the_limit_pass() -> None:
    scaling = Scaling.fit(open_source(MIXED), mode="none")
    rows = np.full((100, 3), 9e14)
    assert scaling.forward(rows).shape == (100, 3)
    with pytest.raises(InputError, match="too large"):
        scaling.forward(rows * 2)


def test_images_name_the_pixel() -> None:
    images = normal(5, 16).reshape(5, 4, 4)
    scaling = Scaling.fit(open_source(images))
    images[2, 3, 1] = np.nan
    with pytest.raises(InputError, match=r"pixel \(3, 1\) \(1\)"):
        scaling.forward(images)


def test_state_survives_json() -> None:
    scaling = Scaling.fit(open_source(pd.DataFrame(MIXED, columns=["a", "b", "c"]), columns={"a": "unit"}))
    body, tensors = scaling.state()
    again = Scaling.restore(json.loads(json.dumps(body)), tensors, scaling.names)
    assert again.describe() == scaling.describe()
    assert (again.mode, again.rows, again.shape, again.wide) == ("standard", 4, (3,), True)
    assert torch.equal(again.forward(MIXED), scaling.forward(MIXED))
    np.testing.assert_array_equal(again.unit, scaling.unit)


@pytest.mark.parametrize("harm", ["missing", "short", "zero", "mode"])
def test_a_damaged_state_is_refused(harm: str) -> None:
    body, tensors = Scaling.fit(open_source(MIXED)).state()
    if harm == "missing":
        del tensors["scale"]
    elif harm == "short":
        tensors["centre"] = tensors["centre"][:-1]
    elif harm == "zero":
        tensors["scale"] = tensors["scale"] * 0
    else:
        tensors["modes"] = tensors["modes"] + 9
    with pytest.raises(FileFormatError, match="the description of the scaling is damaged"):
        Scaling.restore(body, tensors)


def test_one_row_and_one_column_can_be_scaled() -> None:
    one = Scaling.fit(open_source([[3.0, 4.0]]))
    assert one.forward(np.array([[3.0, 5.0]])).tolist() == [[0.0, 1.0]]
    column = Scaling.fit(open_source([[1.0], [3.0]]))
    assert column.forward(np.array([[5.0]])).tolist() == [[3.0]]


# Counts and categories.

COUNTS = np.array([[0, 3, 7], [2, 0, 1], [1, 1, 0], [5, 2, 9]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_counts_are_never_scaled(dtype: type) -> None:
    scaling = Scaling.fit(open_source(COUNTS.astype(dtype)), support="count")
    assert scaling.mode == "none"
    assert "the loss is one of counts, which mean what they are" in scaling.describe()[0]
    x = scaling.forward(COUNTS.astype(dtype))
    assert x.dtype == torch.float32
    np.testing.assert_array_equal(x, COUNTS)
    assert scaling.log_volume == 0.0
    assert Scaling.fit(open_source(COUNTS), mode="none", support="count").mode == "none"


def test_categories_are_never_scaled() -> None:
    scaling = Scaling.fit(open_source(COUNTS), support="category", classes=10)
    assert scaling.mode == "none"
    assert "the loss is one of categories" in scaling.describe()[0]
    np.testing.assert_array_equal(scaling.forward(COUNTS), COUNTS)


@pytest.mark.parametrize("value", [-2.0, 1.5])
@pytest.mark.parametrize("support", ["count", "category"])
def test_what_is_no_count_or_category_is_named_in_fit_and_later(value: float, support: str) -> None:
    frame = pd.DataFrame(COUNTS.astype(np.float64), columns=["a", "b", "c"])
    scaling = Scaling.fit(open_source(frame), support=support, classes=10 if support == "category" else None)
    frame.loc[3, "a"] = value
    wanted = {"count": "counts must be whole numbers >= 0", "category": "categories must be whole numbers from 0 to 9"}
    words = wanted[support] + rf".*: column 'a', row 3 holds {value:g}\..*loss=Squared\(\) for other numbers"
    classes = 10 if support == "category" else None
    for rows in (None, np.array([0, 1])):  # held-out rows too: training would meet them later
        with pytest.raises(InputError, match=words):
            Scaling.fit(open_source(frame), rows, support=support, classes=classes)
    with pytest.raises(InputError, match=words):
        scaling.forward(frame.to_numpy())
    with pytest.raises(InputError, match="column 'a', row 1003 holds"):
        scaling.forward(frame.to_numpy(), first_row=1000)


def test_a_strange_cell_far_down_is_named_by_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.data.statistics.STRETCH_CELLS", 16)
    X = np.arange(300).reshape(100, 3)
    X[70, 2] = -1
    with pytest.raises(InputError, match="column 2, row 70 holds -1"):
        Scaling.fit(open_source(X), support="count")


def test_a_category_beyond_the_last_is_named() -> None:
    words = r"from 0 to 8 \(classes=9\): column 2, row 3 holds 9\. Number .* give a larger classes="
    with pytest.raises(InputError, match=words):
        Scaling.fit(open_source(COUNTS), support="category", classes=9)
    scaling = Scaling.fit(open_source(COUNTS), support="category", classes=10)
    with pytest.raises(InputError, match="row 0 holds 10"):
        scaling.forward(COUNTS + np.array([0, 7, 0]))


@pytest.mark.parametrize("mode", ["standard", "common", "unit"])
def test_scaling_counts_is_refused(mode: str) -> None:
    with pytest.raises(InputError, match=f"scale: a loss of counts needs them as they are; got '{mode}'"):
        Scaling.fit(open_source(COUNTS), mode=mode, support="count")
    with pytest.raises(InputError, match=f"columns: 1: a loss of counts needs them as they are; got '{mode}'"):
        Scaling.fit(open_source(COUNTS), per_column={1: mode}, support="count")
    assert Scaling.fit(open_source(COUNTS), per_column={1: "numeric", 0: "none"}, support="count").mode == "none"


def test_what_the_loss_takes_survives_json_and_files_of_older_versions_are_read() -> None:
    body, tensors = Scaling.fit(open_source(COUNTS), support="category", classes=10).state()
    again = Scaling.restore(json.loads(json.dumps(body)), tensors)
    assert (again.support, again.classes) == ("category", 10)
    with pytest.raises(InputError, match="categories must be whole numbers from 0 to 9"):
        again.forward(COUNTS * 2)
    older = {name: value for name, value in body.items() if name not in ("support", "classes")}
    assert (Scaling.restore(older, tensors).support, Scaling.restore(older, tensors).classes) == ("real", 0)
