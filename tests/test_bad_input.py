"""Data and files that cannot be used: what a user is told, by the library and by the command line, and what stays."""

from __future__ import annotations

import errno
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from PIL import Image
from typer.testing import CliRunner

import isthmus as ist
from isthmus import cli, storage
from isthmus.errors import DataWarning

ROWS = 30
X = np.random.default_rng(0).normal(size=(ROWS, 3)) @ np.array([[3.0, 1, 2], [0, 4, 1], [0, 0, 2]]) + 10
FRAME = pd.DataFrame(X, columns=["age", "height", "weight"])


def estimator(**more: Any) -> ist.Autoencoder:
    return ist.Autoencoder(**{"code_size": 1, "epochs": 2, "batch_size": 16, "random_state": 0, **more})


def planted(value: Any, row: int = 4, column: str = "height", dtype: Any = None) -> pd.DataFrame:
    """The good table with one bad cell."""
    frame = FRAME.copy() if dtype is None else FRAME.astype(dtype)
    frame.loc[row, column] = value
    return frame


def files(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, with its content."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def isthmus(*words: object, code: int = 0) -> str:
    """What a command says, in one line of plain words where it fails."""
    result = CliRunner().invoke(cli.app, [str(word) for word in words], env={"COLUMNS": "80"}, prog_name="isthmus")
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    if code:
        assert len([line for line in result.stderr.split("\n") if line.startswith("isthmus: ")]) == 1, result.stderr
    return result.stderr if code else result.output


@pytest.fixture(scope="module")
def fitted() -> ist.Autoencoder:
    return estimator().fit(FRAME)


@pytest.fixture
def model_path(fitted: ist.Autoencoder, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model.safetensors")


def refused(model: ist.Autoencoder, verb: str, x: Any, words: list[str]) -> None:
    """An `InputError` with these words, and the estimator is as it was before."""
    before = dict(vars(model))
    with pytest.raises(ist.InputError) as caught:
        getattr(model, verb)(x)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


# ---------------------------------------------------------------------- tables

TABLES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "NaN in a sparse matrix": (lambda: scipy.sparse.csr_matrix(planted(np.nan)), ["contains NaN", "column 1 (1)"]),
    "infinity": (lambda: planted(-np.inf), ["contains infinity", "column 'height' (1)", "division by zero"]),
    "1e300": (lambda: planted(1e300), ["column 'height'", "1e+300", "take its logarithm, or leave it out"]),
    "text": (lambda: planted("tall", dtype=object), ["column 'height'", "text", "'tall'", "{'height': 'ignore'}"]),
    "numbers as text": (lambda: FRAME.astype(str), ["no column to learn from", "age (", "numbers kept as text"]),
    "nothing but empty columns": (lambda: FRAME * np.nan, ["no column to learn from", "every cell is missing"]),
    "objects": (lambda: planted(object(), dtype=object).to_numpy(), ["row 4, column 1", "not 'object'"]),
    "complex numbers": (lambda: X.astype(complex), ["Complex data not supported", "columns of their own"]),
    "whole numbers beyond 64 bits": (
        lambda: [[2**70, 1, 2], [3, 4, 5]], ["row 0, column 0", "beyond the range of 64 bits", "as a float"],
    ),
    "no rows": (lambda: FRAME[:0], ["Found array with 0 sample(s) (shape=(0, 3))", "no rows"]),
    "no columns": (lambda: np.zeros((5, 0)), ["Found array with 0 feature(s) (shape=(5, 0))", "no columns"]),
    "one axis": (lambda: X[:, 0], ["1D array", "(30,)", "reshape(-1, 1)"]),
    "five axes": (lambda: np.zeros((2, 2, 2, 2, 2)), ["has 5 axes", "isthmus.data.video(X)", "flatten it"]),
    "rows of several lengths": (lambda: [[1, 2], [3]], ["row 1 has 1 value, row 0 has 2"]),
    "columns of one name": (lambda: FRAME.set_axis(["a", "a", "b"], axis=1), ["same name: 'a'", "its own name"]),
    "nothing": (lambda: None, ["X must be an array, a data frame, a sparse matrix or a path", "NoneType"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("verb", ["fit", "partial_fit"])
def test_data_that_cannot_be_learnt_from(name: str, verb: str) -> None:
    make, words = TABLES[name]
    refused(estimator(), verb, make(), words)


@pytest.mark.parametrize(
    "verb", ["transform", "reconstruct", "score_samples", "score", "diagnose", "partial_fit", "fit"]
)
@pytest.mark.parametrize("name", ["infinity", "text", "no rows"])
def test_a_fitted_model_outlives_bad_data(name: str, verb: str, fitted: ist.Autoencoder) -> None:
    codes = fitted.transform(FRAME)
    refused(fitted, verb, TABLES[name][0](), TABLES[name][1][:1])
    np.testing.assert_array_equal(fitted.transform(FRAME), codes)


@pytest.mark.parametrize("verb", ["transform", "reconstruct", "score_samples", "score", "diagnose", "partial_fit"])
def test_a_model_of_complete_rows_refuses_missing_cells(verb: str, fitted: ist.Autoencoder) -> None:
    codes = fitted.transform(FRAME)
    refused(fitted, verb, planted(np.nan), ["contains NaN", "column 'height' (1)", "1 of 30 rows"])
    np.testing.assert_array_equal(fitted.transform(FRAME), codes)


def test_a_fit_that_breaks_down_leaves_the_earlier_one() -> None:
    model = estimator().fit(FRAME)
    codes, before = model.transform(FRAME), dict(vars(model))
    with pytest.raises(ist.TrainingError, match="Likely cause: the learning rate is probably too high"):
        model.set_params(learning_rate=1e30).fit(FRAME[["age", "height"]])
    model.set_params(learning_rate=None)
    assert vars(model) == before
    np.testing.assert_array_equal(model.transform(FRAME), codes)


@pytest.mark.parametrize("verb", ["transform", "reconstruct", "score_samples", "diagnose", "partial_fit"])
def test_rows_unlike_those_of_the_fit(verb: str, fitted: ist.Autoencoder) -> None:
    nameless = estimator().fit(X)
    refused(nameless, verb, X[:, :2], ["X has 2 features, but Autoencoder is expecting 3 features as input"])
    refused(nameless, verb, X.reshape(-1, 3, 1), ["rows of shape (3, 1)", "expecting (3,)", "array.reshape(-1, 3)"])
    refused(fitted, verb, FRAME.rename(columns={"age": "years"}), ["unseen at fit time:\n- years", "missing:\n- age"])
    refused(fitted, verb, FRAME.assign(more=1.0), ["unseen at fit time:\n- more", "X = X[['age', 'height'"])
    huge = ["column 'height' holds 1e+30", "too large to calculate with", "fill value"]
    refused(fitted, verb, planted(1e30), huge)
    refused(fitted, verb, planted(1e30).astype("float32"), huge)


SUSPECT: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a constant column": (FRAME.assign(height=5), {}, "X: constant, .*: column 'height'. .*'ignore'"),
    "a repeated column": (FRAME.assign(copy=FRAME["age"]), {}, r"repeat another .*: column 'copy' = column 'age'"),
    "one row": (FRAME[:1], {}, "X: there is one row to learn from, so every column is constant.*Give more rows"),
    "a wide code": (FRAME, {"code_size": 5}, r"code_size=5 is wider than the data's 3 columns.*Try code_size=1"),
}


@pytest.mark.parametrize("name", SUSPECT)
def test_data_that_is_only_suspect_is_used_with_a_warning(name: str) -> None:
    frame, settings, message = SUSPECT[name]
    for verb in ("fit", "partial_fit"):
        with pytest.warns(DataWarning, match=message) as told:
            model = getattr(estimator(**settings), verb)(frame)
        assert len(told) == 1
        assert np.isfinite(model.transform(frame)).all()
        assert np.isfinite(model.reconstruct(frame).to_numpy(dtype=float)).all()


# ---------------------------------------------------------------------- settings

SETTINGS: list[tuple[dict[str, Any], list[str]]] = [
    ({"code_size": 0}, ["code_size must be a whole number >= 1; got 0"]),
    ({"code_size": 2.5}, ["code_size must be a whole number >= 1; got 2.5"]),
    ({"epochs": 0}, ["epochs must be a whole number >= 1; got 0"]),
    ({"batch_size": True}, ["batch_size must be a whole number >= 1; got True"]),
    ({"learning_rate": 0}, ["learning_rate must be a number > 0; got 0"]),
    ({"learning_rate": np.nan}, ["learning_rate must be a number > 0; got nan"]),
    ({"validation_fraction": 1.0}, ["validation_fraction must be a number >= 0 and <= 0.9; got 1.0"]),
    ({"early_stopping": -1}, ["early_stopping must be a whole number >= 1; got -1"]),
    ({"max_time": 0}, ["max_time must be a number > 0; got 0"]),
    ({"target": "low"}, ["target must be a number >= 0; got 'low'"]),
    ({"device": "abacus"}, ["device must be 'auto', 'cpu' or 'cuda'; got 'abacus'"]),
    ({"random_state": "x"}, ["random_state must be None, a whole number or a NumPy generator; got 'x'"]),
    ({"random_state": -1}, ["random_state must be in 0..2**32 - 1; got -1"]),
    ({"scale": "minmax"}, ["must be 'auto' or one of", "'unit'", "got 'minmax'"]),
    ({"columns": ["age"]}, ["columns must say", "{'id': 'ignore'}", "got ['age']"]),
    ({"columns": {"agee": "ignore"}}, ["columns: there is no column 'agee'", "Did you mean 'age'?"]),
    ({"columns": {"age": "text"}}, ["columns: 'age' must be one of 'numeric', 'ignore'", "got 'text'"]),
    ({"columns": dict.fromkeys(FRAME, "ignore")}, ["every column is ignored"]),
    ({"method": "denoisin"}, ["method: no kind is called 'denoisin'", "denoising"]),
    ({"method": 3}, ["method must be the name of a kind, a kind, or a composition; got 3"]),
    ({"network": "deep"}, ["network must be 'auto' or a network such as Dense((64, 32)); got 'deep'"]),
    ({"network": (64, 32)}, ["network must be a part such as Dense((64, 32)); got (64, 32)"]),
    ({"network": ist.Dense}, ["network must be a part such as Dense((64, 32)); got <class"]),
    ({"bottleneck": "plain"}, ["bottleneck must be a part such as Plain('sigmoid'); got 'plain'"]),
    ({"loss": ist.Squared}, ["loss must be a part such as Squared(); got <class"]),
    ({"corruption": ist.TopK(2)}, ["corruption must be a part such as Mask(0.2); got TopK(k=2)"]),
    ({"penalties": ist.L1(0.1, layer=3)}, ["penalties: layer must be the name of a layer, or 'code'; got 3"]),
    ({"bottleneck": ist.Zeroed((0, 1)), "code_size": 2}, ["Zeroed: some of the 2 units must be left"]),
    ({"corruption": 0.2}, ["corruption must be a part such as Mask(0.2); got 0.2"]),
    ({"method": ist.recipes.denoising(corruption="mask")}, ["corruption must be a part such as Mask(0.2); got 'mask'"]),
    ({"penalties": 0.1}, ["penalties must be a part such as L1(0.1); got 0.1"]),
    ({"penalties": [ist.L1(0.1, layer="nowhere")]}, ["penalties: no layer is called 'nowhere'", "'code' and"]),
    ({"penalties": [ist.L1(0.1, layer="encoder.hiden.0")]}, ["Did you mean 'encoder.hidden.0'?"]),
    ({"bottleneck": ist.TopK(5), "code_size": 2}, ["TopK: k=5 is larger than the code of 2 units; use k <= 2"]),
    ({"bottleneck": ist.Zeroed((7,)), "code_size": 2}, ["Zeroed: there is no unit 7 in a code of 2"]),
    ({"penalties": ist.KLSparsity(0.1), "bottleneck": ist.Plain("tanh")}, ["KLSparsity", "'tanh'", "sigmoid"]),
    ({"network": ist.Dense((8,), norm="batch"), "penalties": ist.Contractive()}, ["Contractive", "batch norm"]),
    ({"corruption": ist.MaskPatches(0.3)}, ["MaskPatches: rows must be images", "Use Mask for tables"]),
    ({"loss": ist.Poisson()}, ["X: counts must be whole numbers >= 0: column 'age', row", "loss=Squared()"]),
    ({"loss": ist.Categorical(3)}, ["X: categories must be whole numbers from 0 to 2"]),
    ({"method": "stacked", "network": ist.Dense((8,), norm="layer")}, ["pretraining", "norm='layer'"]),
    ({"checkpoint": 3}, ["checkpoint must be the path of a folder, or None; got 3"]),
    ({"checkpoint_every": -1}, ["checkpoint_every must be a number >= 0; got -1"]),
]


PARTS: list[tuple[Callable[[], Any], str]] = [
    (lambda: ist.KLSparsity(target=1.0), r"KLSparsity: target must be .*\(0, 1\).*; got 1.0"),
    (lambda: ist.KLSparsity(target=0.0), r"KLSparsity: target must be .*\(0, 1\).*; got 0.0"),
    (lambda: ist.TopK(0), r"TopK: k must be .*; got 0"),
    (lambda: ist.TopK(1.5), r"TopK: k must be .*; got 1.5"),
    (lambda: ist.Mask(1.0), r"Mask: fraction must be below 1: a mask of everything"),
    (lambda: ist.Contractive(-1.0), r"Contractive: weight must be >= 0 and finite; got -1.0"),
    (lambda: ist.Contractive(float("nan")), r"Contractive: weight must be >= 0 and finite; got nan"),
    (lambda: ist.L1("much"), r"L1: weight must be >= 0 and finite; got 'much'"),
    (lambda: ist.GaussianNoise("loud"), r"GaussianNoise: std must be .*; got 'loud'"),
    (lambda: ist.Mask("half"), r"Mask: fraction must be .*; got 'half'"),
    (lambda: ist.Between("a", "b"), r"Between: low and high must be .*; got 'a' and 'b'"),
    (lambda: ist.Huber(-1.0), r"Huber: threshold must be .*> 0.*; got -1.0"),
    (lambda: ist.Categorical(1), r"Categorical: classes must be .*; got 1"),
    (lambda: ist.Greedy(corruption=0.2), r"Greedy: corruption must be a part such as Mask\(0.25\)"),
    (lambda: ist.Boltzmann(steps=0), r"Boltzmann: steps must be a whole number >= 1; got 0"),
    (lambda: ist.Zeroed((-1,)), r"Zeroed: .*-1"),
    (lambda: ist.Squared("one"), r"Squared: variance must be .*; got 'one'"),
    (lambda: ist.Cosine("one"), r"Cosine: concentration must be .*; got 'one'"),
    (lambda: ist.Dense((8,), dropout="x"), r"Dense: dropout must be .*; got 'x'"),
    (lambda: ist.KLSparsity("x"), r"KLSparsity: target must be .*; got 'x'"),
    (lambda: ist.JumpReLU("x"), r"JumpReLU: price must be .*; got 'x'"),
    (lambda: ist.StudentT("x"), r"StudentT: df must be .*; got 'x'"),
    (lambda: ist.Huber("x"), r"Huber: threshold must be .*; got 'x'"),
    (lambda: ist.TopK("x"), r"TopK: k must be .*; got 'x'"),
    (lambda: ist.Categorical("x"), r"Categorical: classes must be .*; got 'x'"),
    (lambda: ist.Contractive(projections="x"), r"Contractive: projections must be .*; got 'x'"),
    (lambda: ist.Greedy(epochs="x"), r"Greedy: epochs must be .*; got 'x'"),
    (lambda: ist.Greedy(learning_rate="x"), r"Greedy: learning_rate must be .*; got 'x'"),
    (lambda: ist.Mask(0.2, tell="no"), r"Mask: tell must be True or False; got 'no'"),
    (lambda: ist.L1(float("inf")), r"L1: weight must be >= 0 and finite; got inf"),
    (lambda: ist.GaussianNoise(float("inf")), r"GaussianNoise: std must be >= 0 and finite; got inf"),
    (lambda: ist.Ramp("x", 1, 2), r"Ramp: start and stop must be .*; got 'x'"),
]


@pytest.mark.parametrize(("make", "message"), PARTS, ids=[message[:30] for _, message in PARTS])
def test_parts_that_mean_nothing(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ist.InputError, match=message):
        make()


@pytest.mark.parametrize(("settings", "words"), SETTINGS, ids=str)
def test_settings_that_mean_nothing(settings: dict[str, Any], words: list[str]) -> None:
    refused(estimator(**settings), "fit", FRAME, words)


def test_a_checkpoint_folder_is_refused_before_the_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = tmp_path / "file"
    taken.write_text("mine")
    refused(estimator(checkpoint=taken), "fit", FRAME, ["checkpoint must be a folder", "file' is a file"])
    refused(estimator(checkpoint=taken / "run"), "fit", FRAME, ["checkpoint: cannot write", "is a file, not a folder"])
    refuse_to_write(monkeypatch)
    refused(
        estimator(checkpoint=tmp_path / "run"), "fit", FRAME, ["checkpoint: ", "you may not write there", "another"]
    )
    assert files(tmp_path) == {"file": b"mine"}


# ---------------------------------------------------------------------- files that are read


def broken_png(folder: Path) -> Path:
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint8)).save(folder / name)
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:200])
    return folder


def mixed_images(folder: Path) -> Path:
    folder.mkdir()
    for i, size in enumerate([(5, 4), (5, 5)]):
        Image.fromarray(np.zeros(size, dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


def text(content: str) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.with_suffix(".csv").write_text(content)
        return path.with_suffix(".csv")

    return write


def array(x: Any) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        np.save(path.with_suffix(".npy"), x)
        return path.with_suffix(".npy")

    return write


FILES: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "an empty file": (text(""), ["bad.csv' is empty"]),
    "names without rows": (text("a,b\n"), ["bad.csv' has a line of 2 column names, but no rows"]),
    "a broken row": (
        text("a,b\n1,2\n1,2,3\n4,5\n"),
        ["bad.csv': line 3 has 3 values where 2 are expected", "separator"],
    ),
    "infinity": (text("a,b\n1,2\ninf,3\n4,5\n"), ["contains infinity: column 'a' (1)", "replace these cells"]),
    "a huge number": (text("a,b\n1,2\n1e300,3\n4,5\n"), ["column 'a'", "1e+300", "leave it out"]),
    "a number beyond 64 bits": (text(f"a,b\n{2**70},2\n3,4\n"), ["column 'a'", "beyond the range of 64 bits"]),
    "an array of infinity": (array(np.where(X > 14, np.inf, X)), ["contains infinity", "column 1"]),
    "an array of one axis": (array(X[:, 0]), ["1D array", "reshape(-1, 1)"]),
    "a cut off image": (broken_png, ["b.png' cannot be read as an image", "cut off or damaged"]),
    "images of two sizes": (mixed_images, ["images must all have one size", "0.png' is 4 x 5", "1.png' is 5 x 5"]),
    "nothing": (lambda path: path.with_suffix(".csv"), ["there is no file or folder", "bad.csv'"]),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_learnt_from(name: str, tmp_path: Path) -> None:
    """Refused in the same words by the library and by the command line, which writes no model."""
    make, words = FILES[name]
    path = make(tmp_path / "bad")
    before = files(tmp_path)
    for verb in ("fit", "partial_fit"):
        refused(estimator(), verb, path, words)
    said = isthmus("fit", path, "-o", tmp_path / "model.safetensors", "--epochs", 1, "--quiet", code=2)
    for word in words:
        assert word in " ".join(said.split()).replace("columns={", "columns={"), said
    assert files(tmp_path) == before


def test_suspect_files_are_used_with_a_note(tmp_path: Path) -> None:
    for name, (frame, settings, _) in SUSPECT.items():
        frame.to_csv(tmp_path / "x.csv", index=False)
        size = settings.get("code_size", 1)
        words = ["--code-size", size, "--epochs", 1, "--seed", 0]
        said = isthmus("fit", tmp_path / "x.csv", "-o", tmp_path / "model.safetensors", *words)
        note = {"a constant column": "column 'height'", "a repeated column": "'copy' = column 'age'",
                "one row": "there is one row to learn from", "a wide code": "code_size=5 is wider"}[name]  # fmt: skip
        assert note in " ".join(said.split()), said
        assert ist.load(tmp_path / "model.safetensors").code_size_ == size


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (planted(1e30), ["column 'height' holds 1e+30", "too large to calculate with"]),
        (planted(np.inf), ["contains infinity: column 'height' (1)"]),
        (planted(np.nan), ["column 'height' (1)", "SimpleImputer"]),
        (FRAME[["age", "height"]], ["Missing columns: weight."]),
    ],
    ids=["huge", "infinity", "NaN", "narrow"],
)
def test_commands_refuse_rows_unlike_those_of_the_fit(frame: Any, words: list[str], model_path: Path) -> None:
    data = model_path.with_name("x.parquet")
    frame.to_parquet(data)
    before = files(model_path.parent)
    for command, ending in (("encode", ".csv"), ("reconstruct", ".npy"), ("report", ".html")):
        said = isthmus(command, model_path, data, "-o", model_path.with_name(f"out{ending}"), code=2)
        for word in words:
            assert word in " ".join(said.split()), said
    assert files(model_path.parent) == before


# ---------------------------------------------------------------------- files that are written


def refuse_to_write(patch: pytest.MonkeyPatch) -> None:
    """As in a folder that may not be written; whoever may do everything, as in a container, is never refused."""

    def refuse(path: Any = None, *_: Any, dir: Any = None, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path or dir))

    patch.setattr("isthmus.files.open", refuse, raising=False)
    patch.setattr(tempfile, "TemporaryFile", refuse)


def fill_the_disk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(storage, "open", lambda path, mode: io.FileIO("/dev/full", mode), raising=False)


NO_ROOM = pytest.param(
    fill_the_disk, "the disk is full. Free some space",
    marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full"),
    id="full disk",
)  # fmt: skip
NO_RIGHT = pytest.param(refuse_to_write, "you may not write there. Choose another path", id="unwritable folder")


@pytest.mark.parametrize(("hinder", "message"), [NO_ROOM, NO_RIGHT])
def test_a_model_that_cannot_be_written_leaves_the_old_file(
    hinder: Callable[[pytest.MonkeyPatch], None], message: str, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FRAME.to_csv(model_path.with_name("x.csv"), index=False)
    before = files(model_path.parent)
    hinder(monkeypatch)
    model = estimator(random_state=1).fit(FRAME)
    for path in (model_path, model_path.with_name("new.safetensors")):
        with pytest.raises(ist.InputError, match=f"cannot write '{path}': {message}.*Nothing was written"):
            model.save(path)
        said = isthmus("fit", model_path.with_name("x.csv"), "-o", path, "--epochs", 1, "--quiet", code=2)
        assert message in " ".join(said.split())
    assert files(model_path.parent) == before
    assert np.isfinite(model.transform(FRAME)).all()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs a device")
def test_a_device_is_never_replaced_by_a_file(fitted: ist.Autoencoder, tmp_path: Path) -> None:
    link = tmp_path / "model.safetensors"
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe")
        link.symlink_to(tmp_path / "pipe")
    with pytest.raises(ist.InputError, match="that path is a device, not a file. Choose another path"):  # noqa: RUF043
        fitted.save(link)
    assert (tmp_path / "pipe").is_fifo()


def test_a_corrupt_model_file(model_path: Path) -> None:
    FRAME.to_csv(model_path.with_name("x.csv"), index=False)
    whole = model_path.read_bytes()
    spec = json.dumps({"a": 1}).encode()
    for content, words in (
        (whole[:-1], "is truncated or was altered"),
        (whole[:-9] + b"123456789", "do not match their SHA-256 digest"),
        (b"age,height\n1,2\n", "is not an isthmus model: it looks like text"),
        (len(spec).to_bytes(8, "little") + spec, "is a safetensors file, but not an isthmus model"),
        (b"", "is empty (0 bytes)"),
    ):
        model_path.write_bytes(content)
        before = files(model_path.parent)
        with pytest.raises(ist.FileFormatError) as caught:
            ist.load(model_path)
        assert words in str(caught.value)
        assert str(model_path) in str(caught.value)
        said = isthmus("encode", model_path, model_path.with_name("x.csv"), "-o", model_path.with_name("z.npy"), code=2)
        assert words in " ".join(said.split())
        assert files(model_path.parent) == before
