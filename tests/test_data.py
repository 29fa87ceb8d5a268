"""Arrays, frames and sparse matrices as sources, what comes back, and the sentence for each kind of bad input."""

from __future__ import annotations

import json
import os
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import polars
import pytest
import scipy.sparse
import torch

from isthmus.data import ArraySource, Form, SparseSource, digest, digits, named, open_source, pack_text, unpack_text
from isthmus.data.form import cast
from isthmus.errors import FileFormatError, InputError
from isthmus.records import Column, Layout

TABLE = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def everything(source: object) -> np.ndarray:
    return source.read(0, source.rows)  # type: ignore[attr-defined]


def raises(X: object, *words: str, **options: object) -> None:
    """`open_source` refuses X with one sentence that holds all the words."""
    with pytest.raises(InputError) as caught:
        open_source(X, **options)  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)


# What may be given.


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64", "uint64", "float16", "float32", "float64"])
def test_arrays_keep_their_type_and_are_not_copied(dtype: str) -> None:
    X = TABLE.astype(dtype)
    source = open_source(X)
    assert source.dtypes == (dtype,)
    assert (source.rows, source.layout, source.container) == (2, Layout((3,), ("column",)), "numpy")
    assert np.shares_memory(everything(source), X)
    np.testing.assert_array_equal(source.take(np.array([1, 0])), X[::-1])
    back = source.form.wrap(TABLE)
    assert back.dtype == X.dtype
    np.testing.assert_array_equal(back, X)


def test_images_have_named_axes() -> None:
    assert open_source(np.zeros((2, 4, 5))).layout == Layout((4, 5), ("height", "width"))
    assert open_source(np.zeros((2, 4, 5, 3))).layout == Layout((4, 5, 3), ("height", "width", "channel"))


def test_lists_tensors_and_objects_with_numbers() -> None:
    assert open_source([[1, 2], [3, 4]]).dtypes == ("int64",)
    assert open_source(torch.ones(2, 2, requires_grad=True)).dtypes == ("float32",)
    assert open_source(torch.ones(2, 2, dtype=torch.bfloat16)).dtypes == ("float32",)
    assert open_source(np.array([[1, 2.5], [True, np.float32(4)]], dtype=object)).dtypes == ("float64",)
    assert open_source(np.array([[1, 2], [3, 4]], dtype=object)).dtypes == ("int64",)
    assert np.isnan(everything(open_source([[1.0, None], [2.0, 3.0]]))[0, 1])


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"])
def test_sparse_matrices_of_any_format(format: str) -> None:
    dense = np.array([[0.0, 2.0], [0.0, 0.0], [3.0, 0.0]])
    for made in (scipy.sparse.csr_array(dense), scipy.sparse.csr_matrix(dense)):
        source = open_source(made.asformat(format))
        assert isinstance(source, SparseSource)
        np.testing.assert_array_equal(everything(source), dense)
        np.testing.assert_array_equal(source.take(np.array([2, 0])), dense[[2, 0]])


def test_a_sparse_matrix_with_repeated_entries_is_summed_and_left_as_it_was() -> None:
    given = scipy.sparse.csr_array((np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2])), shape=(1, 3))
    assert everything(open_source(given)).tolist() == [[0.0, 3.0, 0.0]]
    assert given.data.tolist() == [1.0, 2.0]


def test_a_source_is_returned_as_it_is() -> None:
    source = open_source(TABLE)
    assert open_source(source) is source
    assert open_source(source, form=source.form) is source


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "whole": pd.array([1, 2, 3], dtype="Int16"),
            "flag": [True, False, True],
            "maybe": pd.array([True, False, True], dtype="boolean"),
            "half": np.array([0.5, 1.5, 2.5], dtype=np.float16),
            "arrow": pd.array([7, 8, 9], dtype="int64[pyarrow]"),
            "real": [0.1, 0.2, 0.3],
        },
        index=["x", "y", "z"],
    )


def test_pandas_frames_come_back_with_types_names_and_index() -> None:
    source = open_source(frame())
    assert source.dtypes == ("Int16", "bool", "boolean", "float16", "int64[pyarrow]", "float64")
    back = source.form.wrap(everything(source), source.index)
    pd.testing.assert_frame_equal(back, frame())


def test_pandas_labels_that_are_numbers_come_back_as_numbers() -> None:
    given = pd.DataFrame(TABLE, columns=[2019, 2020, 2021])
    source = open_source(given)
    assert source.names == ("2019", "2020", "2021")
    pd.testing.assert_frame_equal(source.form.wrap(TABLE), given)
    assert open_source(given, columns={2020: "ignore"}).names == ("2019", "2021")


def test_missing_nullable_cells_become_nan() -> None:
    given = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": pd.array([True, None], dtype="boolean")})
    np.testing.assert_array_equal(everything(open_source(given)), [[1.0, 1.0], [np.nan, np.nan]])


def test_polars_frames_come_back() -> None:
    given = polars.DataFrame({"a": [1, 2], "b": [True, False], "c": polars.Series([0.5, 1.5], dtype=polars.Float32)})
    source = open_source(given)
    assert source.dtypes == ("int64", "bool", "float32")
    assert source.form.wrap(everything(source)).equals(given)
    holes = polars.DataFrame({"a": [1, None], "b": [None, True]})
    np.testing.assert_array_equal(everything(open_source(holes)), [[1.0, np.nan], [np.nan, 1.0]])


def test_polars_columns_without_numbers_are_named() -> None:
    form = open_source(polars.DataFrame({"city": [1.0]})).form
    raises(polars.DataFrame({"city": ["Oslo"]}), "column 'city' of X holds text", "'Oslo'", form=form)
    raises(polars.DataFrame({"a": [1]}).lazy(), "call .collect()")


def test_batches_of_frames_may_be_written_to_by_torch() -> None:
    given = polars.DataFrame({"a": [1.0, 2.0]})
    assert open_source(given).take(np.array([0])).flags.writeable


def test_ignored_columns_are_left_out_and_stay_out() -> None:
    given = pd.DataFrame({"id": ["k1", "k2"], "a": [1.0, 2.0], "b": [3.0, 4.0]})
    source = open_source(given, columns={"id": "ignore"})
    assert source.names == ("a", "b")
    assert list(source.form.wrap(everything(source)).columns) == ["a", "b"]
    again = open_source(given[["a", "b"]], columns={"id": "ignore"}, form=source.form)
    assert again.names == ("a", "b")
    raises(given, "there is no column 'idd'. Did you mean 'id'?", columns={"idd": "ignore"})
    raises(given, "'a' must be one of 'numeric', 'ignore'", "got 'text'", columns={"a": "text"})
    raises(TABLE, "every column is ignored", columns={0: "ignore", 1: "ignore", 2: "ignore"})
    raises(np.zeros((2, 3, 3)), "columns apply to tables", columns={0: "ignore"})


def test_a_nameless_table_drops_positions_unless_it_already_has_the_models_width() -> None:
    source = open_source(TABLE, columns={1: "ignore"})
    np.testing.assert_array_equal(everything(source), TABLE[:, [0, 2]])
    for X in (TABLE, TABLE[:, [0, 2]], scipy.sparse.csr_array(TABLE)):
        again = open_source(X, columns={1: "ignore"}, form=source.form)
        np.testing.assert_array_equal(everything(again), TABLE[:, [0, 2]])


# Data for a fitted model.


def test_a_fitted_model_wants_the_same_columns() -> None:
    given = pd.DataFrame(TABLE, columns=["a", "b", "c"])
    form = open_source(given).form
    assert open_source(TABLE, form=form).rows == 2
    assert open_source(given, form=form).names == ("a", "b", "c")
    raises(given[["c", "b", "a"]], "Feature names must be in the same order as they were in fit.", form=form)
    raises(given.rename(columns={"c": "d"}), "unseen at fit time:\n- d\n", "yet now missing:\n- c\n", form=form)
    raises(given[["a"]], "match those that were passed during fit.\nFeature names seen at fit time, yet", form=form)


def test_a_fitted_model_wants_the_same_width_and_shape() -> None:
    form = open_source(TABLE).form
    raises(TABLE[:, :1], "X has 1 features, but Autoencoder is expecting 3 features as input", form=form)
    raises(TABLE[:, :1], "but Denoiser is expecting", form=form, estimator_name="Denoiser")
    images = open_source(np.zeros((2, 2, 2))).form
    raises(np.zeros((2, 4)), "rows of shape (4,)", "expecting (2, 2)", "array.reshape(-1, 2, 2)", form=images)


# Bad input.


def test_shapes_that_are_no_table() -> None:
    raises([1.0, 2.0], "Expected 2D array, got 1D array", "Reshape your data")
    raises(pd.Series([1.0, 2.0]), "Reshape your data")
    raises(3.0, "Reshape your data")
    raises(np.zeros((1, 2, 3, 4, 5)), "has 5 axes")
    raises(np.empty((0, 3)), "0 sample(s) (shape=(0, 3)) while a minimum of 1 is required.")
    raises(np.empty((12, 0)), "0 feature(s) (shape=(12, 0)) while a minimum of 1 is required.")
    raises(pd.DataFrame({"a": []}), "0 sample(s) (shape=(0, 1)) while a minimum of 1 is required.")
    raises(pd.DataFrame(index=[1, 2]), "0 feature(s) (shape=(2, 0))")
    raises(scipy.sparse.csr_array((0, 3)), "0 sample(s)")


def test_ragged_lists_name_the_row() -> None:
    raises([[1, 2], [3, 4], [5]], "row 2 has 1 value, row 0 has 2")


@pytest.mark.parametrize("X", [None, b"abc", {"a": [1]}])
def test_things_that_are_no_data(X: object) -> None:
    raises(X, "must be an array, a data frame, a sparse matrix or a path", type(X).__name__)


def test_complex_numbers() -> None:
    raises(np.ones((2, 2), dtype=complex), "Complex data not supported")
    raises(pd.DataFrame({"a": [1j]}), "Complex data not supported", "column 'a'")
    raises(scipy.sparse.csr_array(np.ones((2, 2), dtype=complex)), "Complex data not supported")


def test_objects_that_are_no_numbers() -> None:
    raises(np.array([[1.0, "tall"]], dtype=object), "text at row 0, column 1: 'tall'")
    raises(np.array([["a", "b"]]), "array of text", "'a'")
    raises(np.array([["2020-01-01"]], dtype="M8[D]"), "array of dates")
    raises(np.zeros(2, dtype=[("a", float)]).reshape(1, 2), "array of records")
    with pytest.raises(TypeError, match=r"argument must be .* string.* number, not 'dict'"):
        open_source(np.array([[1.0, {"foo": "bar"}]], dtype=object))
    with pytest.raises(InputError, match="float"):
        open_source([[{}]])


def test_whole_numbers_beyond_64_bits() -> None:
    raises([[1, 2**70]], "row 0, column 1 holds the whole number 1180591620717411303424, beyond the range of 64 bits")
    raises([[10**400, 1]], "beyond the range of 64 bits")
    raises(pd.DataFrame({"id": [2**70, 1]}), "column 'id', row 0 holds the whole number")
    assert open_source([[2**63, 1]]).rows == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["Oslo", "Rome"], ["holds text", "'Oslo'", "Encode it as numbers", "columns={'bad': 'ignore'}"]),
        (["1,234", "5,678"], ["'1,234'", "thousands separators"]),
        (["1.5", "2.5"], ["number kept as text", "pandas.to_numeric"]),
        (["1.5", "n/a?"], ["'n/a?'"]),
        (pd.Categorical(["a", "b"]), ["holds categories", "Encode it as numbers"]),
        (pd.Categorical([1, 2]), ["holds categories"]),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), ["holds dates", "2020", "a day of the week"]),
        (pd.to_timedelta([1, 2]), ["holds time spans", "seconds"]),
        ([[1], [2]], ["every cell of X must be a number", "column 'bad', row 0 holds [1]"]),
        (pd.Series([None, None], dtype=object), ["it is empty"]),
    ],
)
def test_columns_without_numbers_where_the_model_wants_numbers(values: object, words: list[str]) -> None:
    form = open_source(pd.DataFrame({"good": [1.0, 2.0], "bad": [1.0, 2.0]})).form
    bad = pd.DataFrame({"good": [1.0, 2.0], "bad": values})
    raises(bad, "column 'bad'", *words, form=form)


def test_columns_of_decimal_fractions_are_refused_in_words() -> None:
    form = open_source(pd.DataFrame({"price": [1.5]})).form
    raises(pd.DataFrame({"price": [Decimal("1.5")]}), "column 'price', row 0 holds Decimal('1.5')", form=form)


def test_duplicate_names() -> None:
    raises(pd.DataFrame(TABLE, columns=["a", "b", "a"]), "several columns of the same name: 'a'")


def test_tensors_that_cannot_be_read() -> None:
    raises(torch.ones(2, 2).to_sparse(), "sparse tensor", "to_dense()")
    raises(torch.ones(2, 2, device="meta"), "lies on meta", "X.cpu()")


# What comes back.


def test_whole_numbers_are_clipped_to_their_type() -> None:
    huge = np.array([-np.inf, -1e30, -1.5, 0.5, 1.5, 1e30, np.inf])
    for name in ("int8", "uint8", "int32", "uint32", "int64", "uint64"):
        limits = np.iinfo(name)
        back = cast(huge, np.dtype(name))
        assert back.dtype == name
        assert back.tolist() == [limits.min, limits.min, max(limits.min, -2), 0, 2, limits.max, limits.max]
    assert cast(np.array([70000.0, -1e9]), np.dtype("float16")).tolist() == [65504.0, -65504.0]
    assert cast(np.array([0.49, 0.5]), np.dtype(bool)).tolist() == [False, True]
    assert cast(np.float32([16777217]), np.dtype("float64")).dtype == np.float64


def test_form_survives_json() -> None:
    for form in (
        open_source(frame()).form,
        open_source(np.zeros((2, 4, 5, 3), dtype=np.uint8)).form,
        open_source(pd.DataFrame(TABLE)).form,
        Form("polars", ("é", ""), ("int8", "bool"), Layout((2,), ("column",), (Column(), Column("ordinal", 3)))),
    ):
        body, tensors = form.state()
        assert Form.restore(json.loads(json.dumps(body)), tensors) == form
        assert len(json.dumps(body)) < 300  # whatever grows with the columns is in the arrays


@pytest.mark.parametrize("harm", ["dtypes", "names", "container", "names_offsets", "shape"])
def test_a_damaged_form_is_refused(harm: str) -> None:
    body, tensors = open_source(frame()).form.state()
    if harm == "container":
        body[harm] = "spreadsheet"
    elif harm == "shape":
        body[harm] = [7]
    elif harm == "dtypes":
        body[harm] = ["object"] * len(body[harm])
    else:
        tensors[harm] = tensors[harm][:-1]
    with pytest.raises(FileFormatError, match=r"damaged|names 6 columns"):
        Form.restore(body, tensors)


def test_text_is_packed_and_unpacked() -> None:
    words = ("", "age", "größe", "\udc80", "日本")
    assert unpack_text(*pack_text(words)) == words
    assert unpack_text(*pack_text(())) == ()
    letters, offsets = pack_text(["ab", "c"])
    with pytest.raises(FileFormatError, match="do not fit"):
        unpack_text(letters, offsets[:-1])
    with pytest.raises(FileFormatError, match="backwards"):
        unpack_text(letters, np.array([0, 3, 2, 3]))
    with pytest.raises(FileFormatError, match="not UTF-8"):
        unpack_text(np.array([255], dtype=np.uint8), np.array([0, 1]))


def test_wide_says_whether_float32_is_too_small() -> None:
    for name, wide in [("uint8", False), ("int16", False), ("bool", False), ("float16", False), ("float32", False),
                       ("int32", True), ("Int64", True), ("float64", True)]:  # fmt: skip
        assert Form("numpy", None, (name,), Layout((1,), ("column",))).wide is wide


# The digest and the built-in sets.


def test_the_digest_changes_with_every_part_of_the_data() -> None:
    X = np.random.default_rng(0).normal(size=(3000, 2))
    other = X.copy()
    other[-1, 0] += 1e-9
    one = digest(open_source(X))
    assert re.fullmatch("[0-9a-f]{64}", one)
    assert digest(open_source(X.copy())) == one
    named_columns = pd.DataFrame(X, columns=["a", "b"])
    marks = [one, *(digest(open_source(Y)) for Y in (other, X[:-1], X.astype(np.float32), named_columns, X[:, :1]))]
    assert len(set(marks)) == len(marks)


def test_digits() -> None:
    images, labels = digits()
    assert (images.shape, images.dtype, images.max(), labels.shape) == ((1797, 8, 8), np.uint8, 16, (1797,))
    assert ArraySource(images).layout.axes == ("height", "width")


@pytest.mark.skipif("ISTHMUS_DATA" not in os.environ, reason="ISTHMUS_DATA names no folder with MNIST")
def test_mnist() -> None:
    train, labels, test, test_labels = named("mnist")
    assert (train.shape, labels.shape, test.shape, test_labels.shape) == (
        (60000, 28, 28),
        (60000,),
        (10000, 28, 28),
        (10000,),
    )
    assert (train.dtype, train.max(), np.bincount(labels).min()) == (np.uint8, 255, 5421)


def test_named_sets_say_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    with pytest.raises(InputError, match="no data set 'mnits'. Did you mean 'mnist'"):  # noqa: RUF043
        named("mnits")
    monkeypatch.delenv("ISTHMUS_DATA", raising=False)
    with pytest.raises(InputError, match="ISTHMUS_DATA is not set"):
        named("mnist")
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path))
    with pytest.raises(InputError, match="there is no folder .*mnist"):  # noqa: RUF043
        named("mnist")
    (tmp_path / "mnist").mkdir()  # type: ignore[operator]
    with pytest.raises(InputError, match="lacks the file train-images-idx3-ubyte"):
        named("mnist")
