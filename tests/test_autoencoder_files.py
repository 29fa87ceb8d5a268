"""What is kept of an `Autoencoder` in a file, and compositions of a user's own modules, whose file needs them again."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from checks_for_kinds import same_tensors
from safetensors import safe_open
from torch import Tensor, nn

import isthmus as ist
from isthmus import storage

ROWS, FEATURES = 40, 5
X = np.random.default_rng(0).normal(size=(ROWS, 2)) @ np.random.default_rng(7).normal(size=(2, FEATURES)) * 3 + 10
X += np.random.default_rng(1).normal(size=X.shape)
NAMES = ["age", "height", "größe", "two words", "e" * 300]
FRAME = pd.DataFrame(X, columns=NAMES)


def estimator(method: Any = "undercomplete", **more: Any) -> ist.Autoencoder:
    return ist.Autoencoder(method, **{"code_size": 2, "epochs": 2, "batch_size": 16, "random_state": 0, **more})


@pytest.fixture(scope="module")
def fitted() -> ist.Autoencoder:
    return estimator(network=ist.Dense((8,))).fit(FRAME)


@pytest.fixture
def path(fitted: ist.Autoencoder, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model.safetensors")


# ---------------------------------------------------------------------- there and back


def test_a_loaded_model_knows_names_types_and_how_it_was_fitted(fitted: ist.Autoencoder, path: Path) -> None:
    for given in (path, str(path)):
        loaded = ist.load(given)
        pd.testing.assert_frame_equal(loaded.reconstruct(FRAME), fitted.reconstruct(FRAME))
        assert loaded.feature_names_in_.tolist() == NAMES
        np.testing.assert_equal(loaded.history_, fitted.history_)
        for name, value in vars(fitted.record_).items():
            np.testing.assert_equal(getattr(loaded.record_, name), value)
        assert loaded.scaling_.describe() == fitted.scaling_.describe()
        assert loaded.data_digest_ == fitted.data_digest_
        assert [v.sentence for v in loaded.diagnose(FRAME).verdicts] == [
            v.sentence for v in fitted.diagnose(FRAME).verdicts
        ]
        assert not loaded.composition_.training


@pytest.mark.parametrize(
    "settings",
    [
        {"method": ist.recipes.sparse(weight=ist.Ramp(0.0, 0.5, epochs=1.0)), "code_size": 7},
        {"method": ist.recipes.denoising(corruption=ist.SaltPepper(0.3))},
        {"corruption": ist.Mask(0.2), "penalties": [ist.L1(0.1), ist.WeightDecay(1e-4)], "loss": ist.Absolute()},
        {"network": ist.Dense((9, 2.0), "gelu", norm="layer", dropout=0.1), "bottleneck": ist.Plain("sigmoid")},
        {"loss": ist.Bernoulli(), "columns": {1: "ignore", "3": "unit"}},
        {"method": ist.Parts(network=ist.Dense((6,)), learning_rate=0.01), "random_state": np.int64(4)},
        {"checkpoint_every": 1.5, "max_time": 60.0, "target": 0.0, "early_stopping": 3, "verbose": 0},
    ],
    ids=lambda settings: ", ".join(settings),
)
def test_every_setting_comes_back(settings: dict[str, Any], tmp_path: Path) -> None:
    model = estimator(**settings).fit(X)
    loaded = ist.load(model.save(tmp_path / "model.safetensors"))
    kept, expected = loaded.get_params(deep=False), model.get_params(deep=False)
    if expected["penalties"]:
        expected["penalties"] = tuple(expected["penalties"])
    assert kept == expected
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    again = loaded.fit(X)
    assert same_tensors(again.composition_.state_dict(), model.composition_.state_dict())


def test_polars_columns_and_partial_fits_come_back(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({name: X[:, i] for i, name in enumerate("abcde")})
    model = estimator().partial_fit(frame).partial_fit(frame)
    loaded = ist.load(model.save(tmp_path / "model.safetensors"))
    assert loaded.reconstruct(frame).equals(model.reconstruct(frame))
    assert loaded.history_ == model.history_
    assert loaded.record_ is None
    loaded.partial_fit(frame)
    assert loaded.history_["epoch"] == [1.0, 2.0, 3.0]


def test_any_reader_of_the_format_sees_what_grows_as_tensors(fitted: ist.Autoencoder, path: Path) -> None:
    with safe_open(path, framework="np") as file:
        names = set(file.keys())
        metadata = file.metadata()
        text = file.get_tensor("form.names").tobytes()
        offsets = file.get_tensor("form.names_offsets")
        for name, values in fitted.history_.items():
            np.testing.assert_array_equal(file.get_tensor(f"history.{name}"), values)
        np.testing.assert_array_equal(file.get_tensor("scaling.centre"), fitted.scaling_.centre)
        weights = {name for name in names if name.startswith("composition.")}
        assert weights == {f"composition.{name}" for name in fitted.composition_.state_dict()}
    assert text.decode() == "".join(NAMES)
    assert [text[a:b].decode() for a, b in pairwise(offsets)] == NAMES
    assert set(metadata) == {"isthmus"}
    spec = json.loads(metadata["isthmus"])["spec"]
    assert spec["method"] == {"name": "undercomplete"}
    assert not any(name in json.dumps(spec, ensure_ascii=False) for name in NAMES[1:])


def test_the_spec_does_not_grow_with_columns_rows_or_epochs(tmp_path: Path) -> None:
    def spec_bytes(columns: int, epochs: int) -> int:
        frame = pd.DataFrame(np.random.default_rng(0).normal(size=(30, columns))).add_prefix("a long name ")
        model = estimator(epochs=epochs, network=ist.Dense((4,))).fit(frame)
        return len(json.dumps(storage.metadata(model.save(tmp_path / "model.safetensors"))["spec"]))

    assert abs(spec_bytes(100, 9) - spec_bytes(3, 2)) < 20  # a digit more here and there


# ---------------------------------------------------------------------- files that are no model


def forged(path: Path, **changes: Any) -> Path:
    """The same model with another spec, its digests put right."""
    spec, tensors = storage.read(path)
    storage.write(path, {**spec, **changes}, tensors)
    return path


def newer(path: Path, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as inner:
        inner.setattr(storage, "FORMAT_VERSION", 2)
        forged(path)


def harm(path: Path, how: str, patch: pytest.MonkeyPatch) -> None:
    whole = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(whole[:-100])
    elif how == "altered":
        whole[-5] ^= 1
        path.write_bytes(whole)
    elif how == "foreign":
        path.write_bytes(b"PK\x03\x04" + bytes(100))
    elif how == "newer":
        newer(path, patch)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "another estimator":
        forged(path, estimator="Weaver")
    elif how == "not whole":
        forged(path, form={})
    else:
        forged(path, network={**storage.metadata(path)["spec"]["network"], "hidden": [9]})


HARM = {
    "truncated": "truncated or was altered",
    "altered": "do not match their SHA-256 digest",
    "foreign": "is not an isthmus model: it looks like a ZIP archive",
    "newer": r"was written by a newer isthmus \(format 2\).*pip install --upgrade isthmus",
    "empty": "is empty",
    "another estimator": "holds 'Weaver', not an Autoencoder",
    "not whole": "description of the columns is damaged",
    "weights of another": "weights do not fit its own description",
}


@pytest.mark.parametrize("how", HARM)
def test_a_file_that_is_no_model_is_refused(how: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harm(path, how, monkeypatch)
    with pytest.raises(ist.FileFormatError, match=HARM[how]):
        ist.load(path)


def test_a_path_that_is_no_file(path: Path) -> None:
    with pytest.raises(ist.InputError, match=r"modle.safetensors' does not exist.*holds model.safetensors"):
        ist.load(path.with_name("modle.safetensors"))
    with pytest.raises(ist.InputError, match=r"is a folder\. The folder .* holds model.safetensors"):
        ist.load(path.parent)


# ---------------------------------------------------------------------- modules of one's own


class Noisy(nn.Module):
    """Draws from PyTorch's global generator, as many a module does."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.dropout(x))


def own(code: int = 3, encoder: nn.Module | None = None) -> ist.Composition:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(FEATURES, code), nn.Tanh()) if encoder is None else encoder
        return ist.compose(encoder, ist.Plain(), nn.Linear(code, FEATURES), ist.Squared())


def test_the_callers_modules_are_not_changed() -> None:
    composition = own()
    before = {name: value.clone() for name, value in composition.state_dict().items()}
    for verb in ("fit", "partial_fit"):
        model = getattr(estimator(composition, code_size=None), verb)(X)
        assert same_tensors(composition.state_dict(), before)
        assert composition.training
        assert not same_tensors(model.composition_.state_dict(), before)
        assert model.code_size_ == 3
        assert model.transform(X).shape == (ROWS, 3)


def test_a_file_of_ones_own_modules_needs_them_again(tmp_path: Path) -> None:
    model = estimator(own(), code_size=None).fit(X)
    path = model.save(tmp_path / "model.safetensors")
    loaded = ist.load(path, composition=own())
    np.testing.assert_array_equal(loaded.reconstruct(X), model.reconstruct(X))
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    assert loaded.code_size_ == 3
    with pytest.raises(ist.InputError, match=r"pass them again as ist.load\(path, composition=ist.compose"):
        ist.load(path)
    with pytest.raises(ist.InputError, match="composition: these are not the modules that the model was made of"):
        ist.load(path, composition=own(code=4))
    with pytest.raises(ist.InputError, match=r"join your modules with ist\.compose"):
        ist.load(path, composition=nn.Linear(FEATURES, 3))


@pytest.mark.filterwarnings("error")
def test_modules_that_draw_globally_give_the_same_fit_and_move_nothing() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        composition = own(encoder=Noisy())
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    models = []
    for verb in ("fit", "fit", "partial_fit"):
        models.append(getattr(estimator(composition, code_size=None), verb)(X))
        assert torch.equal(torch.random.get_rng_state(), before)
        torch.randn(3)  # wherever the global generator stands
        before = torch.random.get_rng_state()
    assert same_tensors(models[0].composition_.state_dict(), models[1].composition_.state_dict())
    other = estimator(composition, code_size=None, random_state=1).fit(X)
    assert not same_tensors(models[0].composition_.state_dict(), other.composition_.state_dict())
    np.testing.assert_array_equal(models[0].transform(X), models[0].transform(X))


def test_a_fit_of_ones_own_modules_says_that_it_is_not_thread_safe(capsys: pytest.CaptureFixture[str]) -> None:
    estimator(own(), code_size=None, verbose=1).fit(X)
    assert capsys.readouterr().err.count("not thread-safe") == 1
    estimator(own(), code_size=None).fit(X)
    assert capsys.readouterr().err == ""
    estimator(verbose=1).fit(X)
    assert "thread" not in capsys.readouterr().err


class Frozen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


MISFITS = {
    "a module": (lambda: nn.Linear(5, 2), {}, r"join your modules with ist.compose\(encoder"),
    "another width": (
        lambda: ist.compose(nn.Linear(4, 2), ist.Plain(), nn.Linear(2, 4), ist.Squared()), {},
        r"your modules cannot take rows of the shape \(5,\)",
    ),
    "a short output": (
        lambda: ist.compose(nn.Linear(5, 2), ist.Plain(), nn.Linear(2, 4), ist.Squared()), {},
        r"your modules cannot take rows of the shape \(5,\)",
    ),
    "doubles": (lambda: own().double(), {}, r"your modules cannot take rows .*Float and Double"),
    "another code": (own, {"code_size": 5}, "code_size is 5, but your modules make codes of 3 numbers: leave"),
    "a part beside": (own, {"corruption": ist.Mask(0.1)}, "corruption replaces a part of a kind.*ist.compose"),
    "a network beside": (own, {"network": ist.Dense((4,))}, "network replaces a part of a kind.*ist.compose"),
    "nothing to learn": (
        lambda: ist.compose(Frozen(), ist.Plain(), Frozen(), ist.Squared()), {}, "none of your modules has a weight"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISFITS)
def test_modules_that_do_not_fit_are_refused(name: str) -> None:
    make, settings, message = MISFITS[name]
    model = estimator(make(), **{"code_size": None, **settings})
    before = dict(vars(model))
    for verb in ("fit", "partial_fit"):
        with pytest.raises(ist.InputError, match=message):
            getattr(model, verb)(X)
        assert vars(model) == before
