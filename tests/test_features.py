"""`FeatureLearner`: layers, importances by hand, files, graphs, and what is refused."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import isthmus as ist
from isthmus.estimators.features import suited
from isthmus.estimators.importances import by_gradient, by_swapping
from isthmus.estimators.layers import Reader, check_layer, encoder_layers, flattened
from isthmus.records import Batch, Layout


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return ist.data.digits()[0][:300]


@pytest.fixture(scope="module")
def learner(digits: np.ndarray) -> ist.FeatureLearner:
    return ist.FeatureLearner(6, autoencoder="undercomplete", epochs=1, random_state=0).fit(digits)


def test_the_features_are_the_code_of_the_autoencoder(learner, digits) -> None:
    codes = learner.transform(digits)
    assert codes.shape == (300, 6)
    assert codes.dtype == np.float32
    np.testing.assert_array_equal(codes, learner.autoencoder_.transform(digits))
    np.testing.assert_allclose(learner.centre_, codes.mean(0, dtype=np.float64), atol=1e-6)
    np.testing.assert_allclose(learner.spread_, codes.std(0, dtype=np.float64), atol=1e-6)
    assert learner.get_feature_names_out().tolist() == [f"featurelearner{i}" for i in range(6)]


def test_every_layer_of_the_encoder_is_what_it_computes(learner, digits) -> None:
    model = learner.autoencoder_
    batch = model._batch(model._source(digits), range(300))
    encoder = model.composition_.encoder
    with torch.no_grad():
        first = encoder.get_submodule("linear.0")(batch.x.flatten(1))
    np.testing.assert_allclose(learner.transform(digits, layer="encoder.linear.0"), first.numpy(), atol=1e-6)
    assert learner.layer_names()[-1] == "code"
    assert not any(n.startswith("decoder") for n in learner.layer_names())
    assert [learner.transform(digits[:2], layer=name).shape[0] for name in learner.layer_names()] == [2] * len(
        learner.layer_names()
    )


def test_another_layer_can_be_the_features(digits) -> None:
    made = ist.FeatureLearner(autoencoder="undercomplete", layer="encoder.hidden.0", epochs=1, random_state=0)
    features = made.fit(digits).transform(digits)
    assert features.shape[1] == len(made.spread_) == len(made.get_feature_names_out())
    np.testing.assert_array_equal(features, made.transform(digits, layer="encoder.hidden.0"))


def test_a_layer_that_does_not_exist_is_refused_before_the_work(digits, monkeypatch) -> None:
    monkeypatch.setattr(ist.Autoencoder, "fit", lambda *_: pytest.fail("it was fitted"))
    with pytest.raises(ist.InputError, match=r"no layer 'encoder.hiden.0'. Did you mean 'encoder.hidden.0'"):
        ist.FeatureLearner(autoencoder="undercomplete", layer="encoder.hiden.0").fit(digits)


@pytest.mark.parametrize("layer", ["decoder.linear.0", "zzz", 3])
def test_only_layers_of_the_encoder_have_features(learner, digits, layer) -> None:
    with pytest.raises(ist.InputError, match=r"layer: the encoder has no layer .* It has 'encoder.linear.0'"):
        learner.transform(digits, layer=layer)


def test_the_weights_are_shared_and_no_hook_stays(learner) -> None:
    composition = learner.autoencoder_.composition_
    reader = Reader(composition, "encoder.hidden.0")
    assert all(a is b for a, b in zip(reader.composition.parameters(), composition.parameters(), strict=True))
    assert not any(module._forward_hooks for module in composition.modules())
    assert check_layer(composition, "code") == encoder_layers(composition)[-1]


def test_threads_may_read_different_layers(learner, digits) -> None:
    names = learner.layer_names()
    alone = {name: learner.transform(digits, layer=name) for name in names}
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def work(name: str) -> None:
        found[name] += [learner.transform(digits, layer=name) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        assert len(found[name]) == 5
        for one in found[name]:
            np.testing.assert_array_equal(one, alone[name])


def test_steps_of_sequences_are_averaged_where_they_are_valid() -> None:
    out = torch.arange(12.0).reshape(2, 3, 2)
    layout = Layout((3, 1), ("step", "channel"))
    batch = Batch(torch.zeros(2, 3, 1), layout, lengths=torch.tensor([1, 3]))
    np.testing.assert_array_equal(flattened(out, batch).numpy(), [[0.0, 1.0], [8.0, 9.0]])
    whole = Batch(torch.zeros(2, 3, 1), layout)
    np.testing.assert_array_equal(flattened(out, whole).numpy(), [[2.0, 3.0], [8.0, 9.0]])
    assert flattened(out, Batch(torch.zeros(2, 3), Layout((3,), ("column",)))).shape == (2, 6)


# ---------------------------------------------------------------------- importances


def test_importances_of_a_linear_encoder_are_those_by_hand() -> None:
    x = np.random.default_rng(0).normal(size=(900, 5)) * [1.0, 2.0, 3.0, 0.5, 1.0]
    model = ist.Autoencoder("linear", code_size=2, epochs=2, random_state=0).fit(x)
    found = ist.FeatureLearner(autoencoder=model).fit(x).feature_importances_
    slopes = model.transform(np.eye(5)) - model.transform(np.zeros((1, 5)))  # (columns, code)
    wanted = np.square(slopes).sum(1) * x.var(0)
    np.testing.assert_allclose(found, wanted / wanted.sum(), rtol=0.05)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()


def test_the_two_ways_agree_where_the_encoder_is_linear() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 3, generator=generator) * torch.tensor([1.0, 2.0, 0.0])
    weights = torch.tensor([[1.0, -1.0], [0.5, 0.5], [3.0, 3.0]])
    batch = Batch(x, Layout((3,), ("column",)))
    slopes = by_gradient(lambda some: some.x @ weights, batch)
    swapped = by_swapping(lambda some: some.x @ weights, batch)
    exact = weights.square().sum(1) * x.var(0, correction=0)
    assert slopes is not None
    np.testing.assert_allclose(slopes.numpy(), exact.numpy(), rtol=0.02)
    np.testing.assert_allclose(swapped.numpy(), exact.numpy(), rtol=0.1)
    assert slopes[2] == swapped[2] == 0
    assert by_gradient(lambda some: some.x.round().long(), batch) is None


def test_a_column_that_never_reaches_the_code_has_no_importance() -> None:
    x = np.random.default_rng(1).normal(size=(200, 4))
    x[:, 2] = 7.0
    with pytest.warns(ist.DataWarning, match="constant"):
        found = ist.FeatureLearner(2, autoencoder="undercomplete", epochs=1, random_state=0).fit(x)
    assert found.feature_importances_[2] == 0
    assert found.feature_importances_.sum() == pytest.approx(1)


def test_a_mixed_table_with_gaps(tmp_path) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"size": random.normal(size=200), "colour": random.choice(list("rgb"), 200)})
    table.loc[::9, "size"] = np.nan
    made = ist.FeatureLearner(2, epochs=2, random_state=0).fit(table)
    assert made.feature_importances_.shape == (2,)
    assert made.feature_importances_.sum() == pytest.approx(1)
    assert made.transform(table).shape == (200, 2)
    assert made.feature_names_in_.tolist() == ["size", "colour"]
    made.save(tmp_path / "table.safetensors")
    np.testing.assert_array_equal(ist.load(tmp_path / "table.safetensors").transform(table), made.transform(table))


# ---------------------------------------------------------------------- the estimator


def test_a_fitted_autoencoder_is_not_trained(digits, tmp_path) -> None:
    model = ist.Autoencoder(code_size=4, epochs=1, random_state=0).fit(digits)
    before = model.composition_.state_dict()
    made = ist.FeatureLearner(autoencoder=model).fit(digits[:50])
    assert made.autoencoder_ is model
    assert all(torch.equal(before[name], values) for name, values in model.composition_.state_dict().items())
    made.save(tmp_path / "brought.safetensors")
    again = ist.load(tmp_path / "brought.safetensors")
    assert again.autoencoder is again.autoencoder_


def test_files_hold_everything(learner, digits, tmp_path) -> None:
    learner.save(tmp_path / "learner.safetensors")
    again = ist.load(tmp_path / "learner.safetensors")
    np.testing.assert_array_equal(again.transform(digits), learner.transform(digits))
    for name in ("feature_importances_", "centre_", "spread_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(learner, name))
    assert again.get_params() == learner.get_params()
    assert again.n_features_in_ == 64


@pytest.mark.parametrize("layer", [pytest.param(None, marks=pytest.mark.slow), "encoder.hidden.0"])
def test_the_encoder_alone_as_a_graph(learner, digits, tmp_path, layer) -> None:
    runtime = pytest.importorskip("onnxruntime")
    learner.export_onnx(tmp_path / "encoder.onnx", layer=layer)
    session = runtime.InferenceSession(tmp_path / "encoder.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": digits[:9].astype(np.float32)})
    np.testing.assert_allclose(found, learner.transform(digits[:9], layer=layer), atol=1e-4)


def test_the_same_seed_gives_the_same_features(digits) -> None:
    one, other = (ist.FeatureLearner(4, epochs=1, random_state=5).fit(digits) for _ in range(2))
    np.testing.assert_array_equal(one.transform(digits), other.transform(digits))
    np.testing.assert_array_equal(one.feature_importances_, other.feature_importances_)


def test_what_is_refused(digits) -> None:
    with pytest.raises(NotFittedError):
        ist.FeatureLearner().transform(digits)
    with pytest.raises(ist.InputError, match="autoencoder must be a fitted Autoencoder, the name of a kind"):
        ist.FeatureLearner(autoencoder=3).fit(digits)
    with pytest.raises(NotFittedError):
        ist.FeatureLearner(autoencoder=ist.Autoencoder()).fit(digits)
    given = ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(digits, given=np.arange(300) % 2)
    with pytest.raises(ist.InputError, match="fitted with given=, which a FeatureLearner has no way to take"):
        ist.FeatureLearner(autoencoder=given).fit(digits)


@pytest.mark.parametrize(
    ("shape", "code_size", "name", "units"),
    [
        ((8, 8), None, "top_k", 512),
        ((60,), None, "top_k", 480),
        ((60,), 16, "denoising", 50),
        ((9,), None, "denoising", 9),
    ],
)
def test_what_is_learnt_where_no_kind_is_named(shape, code_size, name, units) -> None:
    axes = ("column",) if len(shape) == 1 else ("height", "width")
    found = suited(Layout(shape, axes), code_size)
    kind = found["method"]
    assert (kind if isinstance(kind, str) else kind.name) == name
    assert found["code_size"] == units
    rows = np.random.default_rng(0).normal(size=(40, *shape))
    made = ist.FeatureLearner(code_size, epochs=1, random_state=0).fit(rows)
    assert made.transform(rows).shape == (40, code_size or units)
    if name == "top_k":
        active = (made.transform(rows) != 0).sum(1)
        assert active.max() <= max(1, round(0.1 * units))


def test_columns_can_be_selected(learner, digits) -> None:
    chosen = learner.select(5, digits)
    assert chosen.get_support().sum() == 5
    with pytest.raises(ist.InputError):
        learner.select(5, digits[:, :4])


def test_it_can_be_cloned(learner) -> None:
    made = clone(learner)
    assert made.get_params() == learner.get_params()
    assert not hasattr(made, "autoencoder_")


def test_a_selector_says_once_that_a_column_is_constant() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 5)) * [1.0, 20.0, 3.0, 4.0, 0.0]
    with pytest.warns(ist.DataWarning) as caught:
        ist.Selector(2, epochs=1, random_state=0).fit(pd.DataFrame(rows, columns=list("abcde")))
    assert [str(warning.message).count("column 'e'") for warning in caught] == [1]
