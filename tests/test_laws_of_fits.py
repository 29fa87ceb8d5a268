"""The laws that a fitted estimator keeps: every kind x every law, as in test_laws.py."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checks_for_kinds import FEATURES, Case, cases, same_history, same_tensors, some_rows
from sklearn.base import clone

from isthmus.errors import DataWarning, InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.classes import reads_labels
from isthmus.estimators.files import load
from isthmus.progress import Progress
from isthmus.recipes import RECIPES, Kind

Law = Callable[[Case, Path, pytest.MonkeyPatch], None]


def data(case: Case, rows: int = 70, seed: int = 0) -> np.ndarray:
    return some_rows(rows, seed, torch.float32, unit=case.parts.loss).numpy() * 3 + 1


def labels(case: Case, x: np.ndarray) -> np.ndarray | None:
    """Classes of two thirds of the rows, for kinds that learn from them."""
    return 1 - np.arange(len(x)) % 3 if reads_labels(case.parts) else None


def estimator(case: Case, **more: Any) -> Autoencoder:
    """A short fit of this kind on this network."""
    knobs = {"layer_epochs": 3} if "layer_epochs" in RECIPES[case.kind].knobs else {}  # about 3,000 steps by default
    method = Kind(case.kind, **knobs) if case.network == "default" else case.parts
    settings = {"code_size": case.code_size, "epochs": 3, "batch_size": 16, "random_state": 0, **more}
    return Autoencoder(method, **settings)


def same_fit(first: Autoencoder, second: Autoencoder) -> bool:
    return same_history(first.history_, second.history_) and same_tensors(
        first.composition_.state_dict(), second.composition_.state_dict()
    )


def same_seed(case: Case, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Two fits with one seed are bit-identical, and so is a fit of the clone; another seed gives another."""
    x = data(case)
    first, again, other = (estimator(case, random_state=seed).fit(x, labels(case, x)) for seed in (0, 0, 1))
    assert same_fit(first, again)
    assert same_fit(first, clone(first).fit(x, labels(case, x)))
    assert not same_fit(first, other)


def cloning(case: Case, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """clone and get_params give the settings back, the kind among them."""
    first = estimator(case)
    second = clone(first)
    assert second.get_params(deep=False) == first.get_params(deep=False)
    assert second.method is not first.method or case.network != "default"
    knobs = list(RECIPES[case.kind].knobs)
    if knobs and case.network == "default":
        name, value = knobs[0], RECIPES[case.kind].knobs[knobs[0]]
        assert first.get_params()[f"method__{name}"] == value
        assert first.set_params(**{f"method__{name}": value}).method == second.method


def global_state(case: Case, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """No global generator, thread count or default is moved by fitting, using, saving and loading."""
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)

    def snapshot() -> tuple[object, ...]:
        numbers = np.random.get_state()  # noqa: NPY002
        settings = (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled())
        return random.getstate(), numbers[1].tobytes(), numbers[2], torch.random.get_rng_state().tolist(), settings

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before, x = snapshot(), data(case)
        fitted = estimator(case, epochs=1).fit(x, labels(case, x))
        fitted.transform(x), fitted.reconstruct(x), fitted.score(x)
        load(fitted.save(folder / "model.safetensors")).transform(x)
        fitted.partial_fit(x, labels(case, x))
        assert snapshot() == before
    finally:
        torch.set_num_threads(threads)


def save_and_load(case: Case, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A loaded model gives the same bits, has the same settings and history, and can be saved again."""
    x = data(case)
    fitted = estimator(case).fit(x, labels(case, x))
    loaded = load(fitted.save(folder / "model.safetensors"))
    assert loaded.get_params(deep=False) == fitted.get_params(deep=False)
    assert same_fit(fitted, loaded)
    for verb in ("transform", "reconstruct", "score_samples"):
        np.testing.assert_array_equal(getattr(fitted, verb)(x), getattr(loaded, verb)(x))
    codes = fitted.transform(x)
    np.testing.assert_array_equal(fitted.inverse_transform(codes), loaded.inverse_transform(codes))
    assert loaded.code_size_ == fitted.code_size_
    again = load(loaded.save(folder / "again.safetensors"))
    np.testing.assert_array_equal(again.transform(x), fitted.transform(x))


def using(case: Case, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Codes and scores are float32, deterministic, and do not depend on the rows beside."""
    x = data(case)
    fitted = estimator(case).fit(x, labels(case, x))
    codes, scores, rebuilt = fitted.transform(x), fitted.score_samples(x), fitted.reconstruct(x)
    assert (codes.shape, codes.dtype) == ((70, case.code_size), np.float32)
    assert (scores.shape, scores.dtype) == ((70,), np.float32)
    assert (rebuilt.shape, rebuilt.dtype) == ((70, FEATURES), x.dtype)
    np.testing.assert_array_equal(fitted.transform(x), codes)
    np.testing.assert_array_equal(fitted.score_samples(x), scores)
    if not hasattr(fitted.composition_.loss, "total"):  # a row's total is not in its code
        np.testing.assert_allclose(fitted.inverse_transform(codes), rebuilt, rtol=1e-5, atol=1e-5)
    for row in (0, 33):
        np.testing.assert_allclose(fitted.transform(x[row : row + 1]), codes[row : row + 1], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(fitted.score_samples(x[row : row + 1]), scores[row : row + 1], rtol=1e-4, atol=1e-4)
    assert fitted.score(x) == pytest.approx(scores.mean(), rel=1e-5)


def resume(case: Case, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A fit that is stopped again and again, and resumed each time, ends as one that never was."""

    left = 0

    def stops_soon(progress: Progress, epoch: float) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    x = data(case)
    whole = estimator(case).fit(x, labels(case, x))
    stops = 0
    with patch.context() as inner:
        inner.setattr(Progress, "step", stops_soon)
        while True:
            left = 4
            piece = estimator(case, checkpoint=folder / "run", checkpoint_every=0.0)
            try:
                piece.fit(x, labels(case, x), resume=True)
                break
            except KeyboardInterrupt:
                stops += 1
                assert stops < 50, "no headway is made"
    assert stops >= 2
    assert same_fit(whole, piece)
    np.testing.assert_array_equal(whole.transform(x), piece.transform(x))


def few_rows(case: Case, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """One row, fewer rows than a batch, and a last batch of a single row can be fitted and used."""
    for rows in (2 if reads_labels(case.parts) else 1, 3, 17):  # two classes need two rows
        x = data(case, rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # one row makes every column constant
            fitted = estimator(case, epochs=2, validation_fraction=0.0).fit(x, labels(case, x))
        assert fitted.transform(x).shape == (rows, case.code_size)
        assert np.isfinite(fitted.transform(x)).all()
        assert np.isfinite(fitted.reconstruct(x)).all()
        assert np.isfinite(fitted.score_samples(x)).all()


@contextmanager
def refusals(case: Case) -> Iterator[None]:
    """Skip what a kind refuses in words: layers cannot be tied around every bottleneck, nor trained one by one in every
    network."""
    try:
        yield
    except InputError as error:
        if case.network == "default" or not str(error).startswith(("network: ", "Dense: tied=True")):
            raise
        pytest.skip(f"{case.kind} refuses this network: {error}")


LAWS: dict[str, Law] = {
    law.__name__: law for law in (same_seed, cloning, global_state, save_and_load, using, resume, few_rows)
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("case", cases())
def test_law(case: Case, law: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusals(case):
        LAWS[law](case, tmp_path, monkeypatch)


def onnx_cases() -> list[Any]:
    """By default the first kind of each bottleneck, and of each network."""
    met: set[type] = set()

    def parameter(case: Case) -> Any:
        pair = {type(case.parts.bottleneck), type(case.parts.network)}
        default = not pair <= met
        met.update(pair)
        return pytest.param(case, id=str(case), marks=() if default else pytest.mark.slow)

    return [parameter(each.values[0]) for each in cases()]


@pytest.mark.parametrize("part", ["encoder", "decoder", "reconstruct", "score"])
@pytest.mark.parametrize("case", onnx_cases())
def test_onnx_is_equal(case: Case, part: str, tmp_path: Path) -> None:
    """ONNX Runtime gives what the estimator gives, in the user's units and for any number of rows."""
    onnxruntime = pytest.importorskip("onnxruntime")
    x = data(case)
    with refusals(case):
        fitted = estimator(case).fit(x, labels(case, x))
    fitted.export_onnx(tmp_path / "part.onnx", part)
    session = onnxruntime.InferenceSession(tmp_path / "part.onnx", providers=["CPUExecutionProvider"])
    verbs = {
        "encoder": fitted.transform,
        "decoder": fitted.inverse_transform,
        "reconstruct": fitted.reconstruct,
        "score": fitted.score_samples,
    }
    given = fitted.transform(x) if part == "decoder" else x
    for rows in (given, given[:1]):
        (got,) = session.run(None, {session.get_inputs()[0].name: rows})
        np.testing.assert_allclose(got, verbs[part](rows), rtol=1e-4, atol=1e-4)
