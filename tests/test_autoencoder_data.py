"""What goes into an `Autoencoder` and comes out of it: every form of data, and what is chosen because of it."""

from __future__ import annotations

import gzip
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from PIL import Image

import isthmus as ist
from isthmus.errors import DataWarning

ROWS, FEATURES = 40, 4
PLAIN = ist.Dense((8,))


def estimator(**more: Any) -> ist.Autoencoder:
    return ist.Autoencoder(**{"code_size": 2, "epochs": 2, "batch_size": 16, "random_state": 0, **more})


def rows(dtype: str = "float64", seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(ROWS, 2)) @ np.random.default_rng(7).normal(size=(2, FEATURES))
    x = (x + 0.1 * draw.normal(size=x.shape)) * 20 + 40
    return x > 40 if dtype == "bool" else np.clip(x, 0, 100).astype(dtype)


FLOATS = ["float16", "float32", "float64"]
WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FRAME = pd.DataFrame(rows(), columns=["age", "height", "körper", "two words"], index=[f"r{i}" for i in range(ROWS)])


# ---------------------------------------------------------------------- arrays


@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE, "bool"])
def test_an_array_comes_back_in_its_own_type(dtype: str) -> None:
    x = rows(dtype)
    fitted = estimator(network=PLAIN).fit(x)
    codes, rebuilt, scores = fitted.transform(x), fitted.reconstruct(x), fitted.score_samples(x)
    assert (codes.dtype, codes.shape) == (np.float32, (ROWS, 2))
    assert (scores.dtype, scores.shape) == (np.float32, (ROWS,))
    assert (rebuilt.dtype, rebuilt.shape) == (x.dtype, x.shape)
    assert type(rebuilt) is np.ndarray
    back = fitted.inverse_transform(codes)
    assert back.dtype == x.dtype
    np.testing.assert_allclose(back.astype(float), rebuilt.astype(float), rtol=1e-3)
    if dtype != "bool":
        exact = estimator(network=PLAIN).fit(x.astype(np.float64)).reconstruct(x.astype(np.float64))
        lowest = np.iinfo(dtype).min if dtype in WHOLE else -np.inf
        np.testing.assert_allclose(rebuilt, np.maximum(exact, lowest), atol=0.51)


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_stop_at_the_ends_of_their_type(dtype: str) -> None:
    """Where the network's answer lies beyond the type's range, the nearest end comes back, not what overflowed."""
    limits = np.iinfo(dtype)
    span = (np.random.default_rng(0).random((ROWS, 1)) * (limits.max // 4)).astype(dtype)
    fitted = estimator(code_size=1).fit(np.hstack([limits.max - span, limits.min + span]))
    ends = fitted.inverse_transform(np.array([[1e6], [-1e6]]))
    assert {(int(high), int(low)) for high, low in ends} <= {
        (a, b) for a in (limits.min, limits.max) for b in (limits.min, limits.max)
    }
    assert len(np.unique(ends)) == 2


def test_lists_tensors_and_sparse_matrices_are_arrays_too() -> None:
    x = np.where(rows() > 45, rows(), 0)
    fitted = estimator().fit(x)
    codes = fitted.transform(x)
    tensor = torch.tensor(x, requires_grad=True)
    for same in (x.tolist(), tensor, np.asfortranarray(x), x.astype(">f8")):
        again = estimator().fit(same)
        np.testing.assert_array_equal(again.transform(same), codes)
        assert type(again.reconstruct(same)) is np.ndarray
    for make in (scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_matrix):
        again = estimator().fit(make(x))
        np.testing.assert_allclose(again.transform(make(x)), codes, rtol=1e-4, atol=1e-4)
        rebuilt = again.reconstruct(make(x))
        assert type(rebuilt) is np.ndarray  # what is rebuilt has no exact zeros to leave out
        np.testing.assert_allclose(rebuilt, fitted.reconstruct(x), rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(fitted.transform(make(x)), codes, rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)], ids=["grey", "colour"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_keep_their_shape(shape: tuple[int, ...], dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, size=(30, *shape)).astype(dtype)
    fitted = estimator().fit(x)
    assert fitted.n_features_in_ == np.prod(shape)
    assert fitted.scaling_.mode == "common"
    for rebuilt in (fitted.reconstruct(x), fitted.inverse_transform(fitted.transform(x))):
        assert (rebuilt.shape, rebuilt.dtype) == (x.shape, x.dtype)
    with pytest.raises(ist.InputError, match=r"rows of shape \(4,\), but Autoencoder is expecting"):
        fitted.transform(rows())


def test_the_users_data_is_never_written_to() -> None:
    for x in (rows(), rows("float32"), rows("uint8")):
        x.flags.writeable = False
        before = x.copy()
        fitted = estimator().fit(x)
        fitted.transform(x), fitted.reconstruct(x), fitted.score(x), fitted.partial_fit(x)
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((2, 3)), r"codes must have the shape \(n, 2\); got \(2, 3\)"),
        (np.zeros(4), r"codes must have the shape \(n, 2\); got \(4,\)"),
        ([[np.nan, 0.0]], "codes hold NaN or infinity"),
        ([[1e300, 0.0]], "codes hold NaN or infinity"),
        ([["a", "b"]], "codes must hold numbers; got an array of text .*'a'"),
        ([[1.0], [2.0, 3.0]], "codes: row 1 has 2 values, row 0 has 1"),
        (None, "codes must be an array.*NoneType"),
    ],
    ids=str,
)
def test_codes_that_stand_for_nothing(codes: Any, message: str) -> None:
    with pytest.raises(ist.InputError, match=message):
        estimator().fit(rows()).inverse_transform(codes)


# ---------------------------------------------------------------------- frames


def test_a_frame_comes_back_with_its_names_and_index() -> None:
    fitted = estimator().fit(FRAME)
    rebuilt = fitted.reconstruct(FRAME)
    assert rebuilt.columns.equals(FRAME.columns)
    assert rebuilt.index.equals(FRAME.index)
    assert fitted.feature_names_in_.tolist() == list(FRAME.columns)
    np.testing.assert_array_equal(rebuilt.to_numpy(), estimator().fit(FRAME.to_numpy()).reconstruct(FRAME.to_numpy()))
    back = fitted.inverse_transform(pd.DataFrame(fitted.transform(FRAME), index=FRAME.index))
    pd.testing.assert_frame_equal(back, rebuilt, rtol=1e-4)
    listed = fitted.inverse_transform(fitted.transform(FRAME).tolist())
    assert isinstance(listed.index, pd.RangeIndex)


def test_types_are_kept_column_by_column() -> None:
    n = np.arange(ROWS)
    frame = pd.DataFrame(
        {
            "int": n,
            "byte": (n % 7 * 40).astype("uint8"),
            "single": (n**0.5).astype("float32"),
            "flag": n % 3 == 0,
            "nullable": pd.array(n * 3 % 11, dtype="Int16"),
            "maybe": pd.array(n % 2 == 0, dtype="boolean"),
            "arrow": pd.array(n / 7, dtype="double[pyarrow]"),
        }
    )
    fitted = estimator().fit(frame)
    for rebuilt in (fitted.reconstruct(frame), fitted.inverse_transform(fitted.transform(frame))):
        assert rebuilt.dtypes.tolist() == frame.dtypes.tolist()
        assert list(rebuilt.columns) == list(frame.columns)


def test_polars_frames_come_back_as_polars_frames() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.from_pandas(FRAME).with_columns(polars.col("age").cast(polars.Int32))
    fitted = estimator().fit(frame)
    for rebuilt in (fitted.reconstruct(frame), fitted.inverse_transform(fitted.transform(frame))):
        assert rebuilt.schema == frame.schema
        assert rebuilt.shape == frame.shape
    assert fitted.feature_names_in_.tolist() == frame.columns
    np.testing.assert_array_equal(fitted.transform(frame.to_pandas()), fitted.transform(frame))


def test_ignored_columns_stay_out_before_and_after_saving(tmp_path: Path) -> None:
    frame = FRAME.assign(name="text")[["name", *FRAME.columns]]
    fitted = estimator(columns={"name": "ignore", "age": "unit"}).fit(frame)
    assert fitted.feature_names_in_.tolist() == list(FRAME.columns)
    assert fitted.n_features_in_ == FEATURES
    for model in (fitted, ist.load(fitted.save(tmp_path / "model.safetensors"))):
        np.testing.assert_array_equal(model.transform(frame), fitted.transform(FRAME))
        assert list(model.reconstruct(frame).columns) == list(FRAME.columns)
        with pytest.raises(ist.InputError, match="yet now missing:\n- age"):
            model.transform(frame.drop(columns="age"))


# ---------------------------------------------------------------------- files and sources


def written(folder: Path, name: str) -> Path:
    """The rows of `FRAME` in a file of this kind."""
    path = folder / name
    table = FRAME.reset_index(drop=True)
    if name.endswith(".csv"):
        table.to_csv(path, index=False)
    elif name.endswith(".parquet"):
        table.to_parquet(path)
    elif name.endswith(".npy"):
        np.save(path, table.to_numpy())
    else:
        np.savez(path, X=table.to_numpy(), other=np.zeros(3))
    return path


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.npy", "x.npz"])
@pytest.mark.parametrize("kind", [Path, str])
def test_a_table_in_a_file_is_the_table(name: str, kind: type, tmp_path: Path) -> None:
    path = kind(written(tmp_path, name))
    fitted = estimator().fit(path)
    in_memory = estimator().fit(FRAME.to_numpy())
    np.testing.assert_allclose(fitted.transform(path), in_memory.transform(FRAME.to_numpy()), rtol=1e-4, atol=1e-5)
    rebuilt = fitted.reconstruct(path)
    np.testing.assert_allclose(rebuilt, in_memory.reconstruct(FRAME.to_numpy()), rtol=1e-4)
    if name.endswith(("csv", "parquet")):
        assert list(rebuilt.columns) == fitted.feature_names_in_.tolist() == list(FRAME.columns)
        np.testing.assert_array_equal(fitted.transform(FRAME), fitted.transform(path))
        codes = fitted.set_output(transform="pandas").transform(path)
        assert list(codes.columns) == ["autoencoder0", "autoencoder1"]
    else:
        assert type(rebuilt) is np.ndarray
    source = ist.data.open_source(path)
    np.testing.assert_array_equal(estimator().fit(source).transform(source), fitted.transform(path))
    np.testing.assert_allclose(fitted.score_samples(source), fitted.score_samples(path))


@pytest.mark.parametrize("name", ["pictures-idx3-ubyte.gz", "png", "jpg", "mixed"])
def test_images_in_files_are_images(name: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, size=(20, 8, 6)).astype(np.uint8)
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(struct.pack(">BBBBIII", 0, 0, 8, 3, *x.shape) + x.tobytes()))
    else:
        path.mkdir()
        for i, image in enumerate(x):
            ending = {"mixed": ("png", "jpg")[i % 2]}.get(name, name)
            Image.fromarray(image).save(path / f"{i:02d}.{ending}", quality=100)
    fitted = estimator().fit(path)
    rebuilt = fitted.reconstruct(path)
    assert (rebuilt.shape, rebuilt.dtype) == (x.shape, np.uint8)
    if name.endswith(("gz", "png")):
        np.testing.assert_array_equal(fitted.transform(path), estimator().fit(x).transform(x))


def test_what_was_fitted_on_one_form_takes_the_others(tmp_path: Path) -> None:
    fitted = estimator().fit(FRAME)
    codes = fitted.transform(FRAME)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for same in (written(tmp_path, "x.csv"), written(tmp_path, "x.npy"), ist.data.open_source(FRAME)):
            np.testing.assert_allclose(fitted.transform(same), codes, rtol=1e-5, atol=1e-6)
    shuffled = FRAME[FRAME.columns[::-1]]
    shuffled.to_csv(tmp_path / "shuffled.csv", index=False)
    np.testing.assert_allclose(fitted.transform(tmp_path / "shuffled.csv"), codes, rtol=1e-5, atol=1e-6)
    with pytest.raises(ist.InputError, match="must be in the same order as they were in fit"):
        fitted.transform(shuffled)


# ---------------------------------------------------------------------- unusual sizes


@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (7, 3), (30, 1)], ids=str)
def test_the_smallest_data(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if len(x) == 1 else "error", DataWarning)  # one row makes columns constant
        fitted = estimator(code_size=None, batch_size=64).fit(x)
    assert fitted.code_size_ == 1
    assert fitted.record_.held_out_rows == (8 if shape == (30, 1) else 0)
    assert np.isfinite(fitted.score_samples(x)).all()
    assert fitted.reconstruct(x).shape == shape
    assert fitted.reconstruct(x[:1]).shape == (1, shape[1])


# ---------------------------------------------------------------------- what is chosen from the data


def test_where_pca_is_better_the_fit_starts_there_once_more(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(200, 20))
    fitted = estimator(code_size=5, epochs=3).fit(noise)
    assert fitted.parts_.network.linear_path
    assert fitted.record_.held_out_error <= 1.001 * fitted.record_.pca_error
    loaded = ist.load(fitted.save(tmp_path / "model.safetensors"))
    assert loaded.parts_.network.linear_path
    np.testing.assert_array_equal(loaded.reconstruct(noise), fitted.reconstruct(noise))
    own = estimator(code_size=5, epochs=3, network=PLAIN).fit(noise)
    assert not own.parts_.network.linear_path
    assert own.record_.held_out_error > fitted.record_.held_out_error


def pictures(dtype: str) -> np.ndarray:
    draw = np.random.default_rng(0).integers(0, 256, size=(40, 6, 6))
    draw[0, 0, :2] = 0, 255
    return draw.astype(np.uint8) if dtype == "uint8" else (draw / 255).astype(dtype)


@pytest.mark.parametrize(("dtype", "highest"), [("uint8", 255), ("float32", 1)])
def test_the_output_for_pixels_stays_within_their_ends(dtype: str, highest: int, tmp_path: Path) -> None:
    fitted = estimator(code_size=3, validation_fraction=0).fit(pictures(dtype))
    assert fitted.parts_.network.output_activation == "bounded"
    far = torch.tensor([[1e4, -1e4, 1e4], [-1e4, 1e4, 1e4]])
    for model in (fitted, ist.load(fitted.save(tmp_path / "model.safetensors"))):
        with torch.no_grad():
            out = model.composition_.rebuild(
                far, model.composition_.context(model._batch(model._source(pictures(dtype)), range(2)))
            )
        values = model.scaling_.inverse(out)  # before they are made bytes, which clips anything
        assert values.min() == pytest.approx(0, abs=1e-4 * highest)
        assert values.max() == pytest.approx(highest, rel=1e-4)


def test_other_data_has_no_ends() -> None:
    for x in (rows(), np.random.default_rng(0).normal(size=(40, 20))):
        assert estimator(validation_fraction=0).fit(x).parts_.network.output_activation == "identity"
    assert estimator(network=PLAIN).fit(pictures("uint8")).parts_.network == PLAIN


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_onnx_keeps_the_ends(dtype: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    fitted = estimator(code_size=3, validation_fraction=0).fit(pictures(dtype))
    fitted.export_onnx(tmp_path / "decoder.onnx", "decoder")
    session = onnxruntime.InferenceSession(tmp_path / "decoder.onnx", providers=["CPUExecutionProvider"])
    far = np.array([[1e4, -1e4, 1e4], [-1e4, 1e4, 1e4]], dtype=np.float32)
    (out,) = session.run(None, {session.get_inputs()[0].name: far})
    expected = fitted.inverse_transform(far).astype(np.float64)
    np.testing.assert_allclose(out, expected, atol=0.51 if dtype == "uint8" else 1e-4)
    assert out.min() >= -1e-3
    assert out.max() <= (255 if dtype == "uint8" else 1) * (1 + 1e-5)


def test_copies_of_training_rows_among_the_held_out_are_named() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 6))
    with pytest.warns(DataWarning, match="held-out rows are exact copies of training rows"):
        ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(np.tile(rows, (20, 1)))


def test_a_network_that_cannot_fit_this_machine_is_refused_before_training() -> None:
    image = np.zeros((10, 1000, 1000, 3), dtype=np.uint8)
    image[::2] = 255
    with pytest.raises(ist.InputError, match=r"network: 3,000,000 columns .* GB to train; this machine has .*smaller"):
        ist.Autoencoder(network=ist.Dense((4000,)), epochs=1, random_state=0).fit(image)


def test_wide_images_get_narrower_layers_by_themselves() -> None:
    assert ist.Dense((2.0, 1.0)).resolve(750_000, 8).hidden == (66, 66)
    assert ist.Dense((2.0, 1.0)).resolve(784, 8).hidden == (1000, 784)
