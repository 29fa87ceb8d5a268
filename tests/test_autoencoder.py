"""`Autoencoder` as its user meets it: scikit-learn's manners, `partial_fit`, scores, weights, held-out rows, seeds."""

from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from checks_for_kinds import same_tensors
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

import isthmus as ist
from isthmus.data import split

ROWS, FEATURES = 60, 5


def rows(count: int = ROWS, seed: int = 0) -> np.ndarray:
    """Rows near a plane, in units of their own."""
    draw = np.random.default_rng(seed)
    plane = np.random.default_rng(7).normal(size=(2, FEATURES))
    return (draw.normal(size=(count, 2)) @ plane + 0.2 * draw.normal(size=(count, FEATURES))) * 3 + 10


def estimator(method: Any = "undercomplete", **more: Any) -> ist.Autoencoder:
    return ist.Autoencoder(method, **{"code_size": 2, "epochs": 2, "batch_size": 16, "random_state": 0, **more})


def same(first: ist.Autoencoder, second: ist.Autoencoder) -> bool:
    return same_tensors(first.composition_.state_dict(), second.composition_.state_dict())


X = rows()
PLAIN = ist.Dense((8,))


# ---------------------------------------------------------------------- scikit-learn's manners


def test_in_a_pipeline_it_is_a_step_like_any_other() -> None:
    labels = X[:, 0] > X[:, 0].mean()
    pipe = make_pipeline(StandardScaler(), estimator(epochs=10), LogisticRegression()).fit(X, labels)
    scaled = StandardScaler().fit_transform(X)
    codes = estimator(epochs=10).fit(scaled).transform(scaled)
    np.testing.assert_array_equal(pipe[:-1].transform(X), codes)
    np.testing.assert_array_equal(pipe.predict(X), LogisticRegression().fit(codes, labels).predict(codes))
    assert pipe[:-1].get_feature_names_out().tolist() == ["autoencoder0", "autoencoder1"]
    rebuilt = pipe[:-1].inverse_transform(codes)
    np.testing.assert_allclose(rebuilt, pipe[0].inverse_transform(pipe[1].reconstruct(scaled)), rtol=1e-4)


@pytest.mark.parametrize(
    ("method", "grid"),
    [
        ("undercomplete", {"code_size": [1, 3]}),
        (ist.recipes.sparse(), {"method__weight": [0.01, 30.0]}),
        (ist.recipes.denoising(), {"method__corruption": [ist.Mask(0.2), ist.GaussianNoise(3.0)]}),
        ("undercomplete", {"corruption": [None, ist.SaltPepper(0.5)]}),
        ("undercomplete", {"network": ["auto", PLAIN]}),
    ],
    ids=["code size", "a kind's knob", "a kind's part", "a part", "the network"],
)
def test_a_grid_search_tries_sizes_knobs_and_parts(method: Any, grid: dict[str, list[Any]]) -> None:
    before = repr(method)
    found = GridSearchCV(estimator(method), grid, cv=2, error_score="raise").fit(X)
    (name, values), scores = next(iter(grid.items())), found.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    best = values[int(np.argmax(scores))]
    assert found.best_params_ == {name: best}
    assert found.best_estimator_.get_params()[name] == best
    assert repr(method) == before  # the kind that was passed keeps its knobs


def test_codes_come_out_as_the_frame_that_is_asked_for() -> None:
    polars = pytest.importorskip("polars")
    frame = pd.DataFrame(X, columns=list("abcde"), index=np.arange(ROWS) + 100)
    fitted = estimator().fit(frame)
    codes = fitted.transform(frame)
    assert isinstance(codes, np.ndarray)
    made = fitted.set_output(transform="pandas").transform(frame)
    assert list(made.columns) == fitted.get_feature_names_out().tolist() == ["autoencoder0", "autoencoder1"]
    assert list(made.index) == list(frame.index)
    np.testing.assert_array_equal(made.to_numpy(), codes)
    made = fitted.set_output(transform="polars").transform(frame)
    assert isinstance(made, polars.DataFrame)
    np.testing.assert_array_equal(made.to_numpy(), codes)


def test_names_on_one_side_only_are_told() -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    with pytest.warns(UserWarning, match="does not have valid feature names, but Autoencoder was fitted with"):
        codes = estimator().fit(frame).transform(X)
    with pytest.warns(UserWarning, match="has feature names, but Autoencoder was fitted without"):
        np.testing.assert_array_equal(estimator().fit(X).transform(frame), codes)


VERBS = {
    "transform": (X,), "reconstruct": (X,), "inverse_transform": (X[:, :2],), "score_samples": (X,), "score": (X,),
    "diagnose": (X,), "report": ("report.html", X), "save": ("model.safetensors",), "export_onnx": ("model.onnx",),
    "get_feature_names_out": (),
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_works_before_fit(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFittedError, match="Autoencoder instance is not fitted yet"):
        getattr(estimator(), verb)(*VERBS[verb])
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- threads, workers, pickles


def test_threads_may_share_a_fitted_model() -> None:
    fitted, many = estimator("deep", code_size=3).fit(X), rows(3000)
    expected = fitted.transform(many), fitted.score_samples(many)
    work = [joblib.delayed(lambda: (fitted.transform(many), fitted.score_samples(many)))() for _ in range(8)]
    for codes, scores in joblib.Parallel(4, backend="threading")(work):
        np.testing.assert_array_equal(codes, expected[0])
        np.testing.assert_array_equal(scores, expected[1])


def test_only_a_fit_in_the_main_thread_chooses_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    set_for: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", set_for.append)
    inside = joblib.Parallel(2, backend="threading")(joblib.delayed(estimator().fit)(X) for _ in range(2))
    assert set_for == []
    alone = estimator().fit(X)
    assert set_for[:2] == [1, 4]
    for fitted in inside:
        np.testing.assert_allclose(fitted.transform(X), alone.transform(X), rtol=1e-4, atol=1e-4)


def fit_and_watch(x: np.ndarray) -> tuple[list[int], np.ndarray]:
    """What a worker process does: fit, and note the calls that choose threads."""
    set_for: list[int] = []
    before, get = torch.set_num_threads, torch.get_num_threads
    torch.set_num_threads, torch.get_num_threads = set_for.append, lambda: 4
    try:
        return set_for, estimator().fit(x).transform(x)
    finally:
        torch.set_num_threads, torch.get_num_threads = before, get


def test_a_worker_process_keeps_its_threads() -> None:
    ((set_for, codes),) = joblib.Parallel(2, backend="loky")([joblib.delayed(fit_and_watch)(X)])
    assert set_for == []
    assert fit_and_watch(X)[0][:2] == [1, 4]
    np.testing.assert_allclose(codes, estimator().fit(X).transform(X), rtol=1e-4, atol=1e-4)


def test_a_fitted_model_is_pickled(tmp_path: Path) -> None:
    fitted = estimator("sparse").fit(X)
    joblib.dump(fitted, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(loaded.history_["cost"], fitted.history_["cost"])


# ---------------------------------------------------------------------- partial_fit


def test_a_pickled_model_goes_on_where_it_stopped() -> None:
    first = estimator("denoising", network=ist.Dense((8,), dropout=0.2)).partial_fit(X).partial_fit(X)
    second = pickle.loads(pickle.dumps(first))
    without = copy.deepcopy(first)
    without.partial_ = None  # what would happen if the optimiser were forgotten
    drawn = copy.deepcopy(first)
    drawn.partial_["generator"] = torch.Generator().manual_seed(9).get_state()
    assert same(first.partial_fit(X), second.partial_fit(X))
    assert not same(first, without.partial_fit(X))
    assert not same(first, drawn.partial_fit(X))


def test_several_passes_improve_and_leave_a_line_each() -> None:
    fitted = estimator(learning_rate=0.01)
    first = fitted.partial_fit(X).score(X)
    for _ in range(19):
        fitted.partial_fit(X)
    assert fitted.history_["epoch"] == [float(n) for n in range(1, 21)]
    assert fitted.history_["cost"][-1] < fitted.history_["cost"][0] - 1
    assert fitted.score(X) > first + 1
    assert fitted.transform(X).shape == (ROWS, 2)


def test_a_pass_holds_nothing_out() -> None:
    """The knobs about held-out rows change nothing, and one pass is one step per batch over all rows."""
    first, second = estimator().partial_fit(X), estimator(validation_fraction=0.5, early_stopping=1).partial_fit(X)
    assert same(first, second)
    assert first.partial_["steps"] == math.ceil(ROWS / 16)
    assert first.record_ is None


def test_the_scaling_is_fixed_by_the_first_call_or_a_fit() -> None:
    for fitted in (estimator().partial_fit(X), estimator().fit(X)):
        scaling, record, before = fitted.scaling_, fitted.record_, copy.deepcopy(fitted.composition_.state_dict())
        fitted.partial_fit(X * 2 + 50)
        assert fitted.scaling_ is scaling
        assert fitted.record_ is record
        assert np.diff(fitted.history_["epoch"]).tolist() == [1.0] * (len(fitted.history_["epoch"]) - 1)
        np.testing.assert_allclose(scaling.centre, X[: scaling.rows].mean(0), rtol=0.2)
        assert not same_tensors(before, fitted.composition_.state_dict())


def test_a_pass_that_fails_changes_nothing() -> None:
    fitted = estimator(network=ist.Dense((8,), dropout=0.5)).partial_fit(X)
    codes, history = fitted.transform(X), copy.deepcopy(fitted.history_)
    gap = X.copy()
    gap[-1, 3] = np.nan
    with pytest.raises(ist.InputError, match="X has 4 features, but Autoencoder is expecting 5"):
        fitted.partial_fit(X[:, :4])
    with pytest.raises(ist.InputError, match=r"column 3 \(1\)"):
        fitted.partial_fit(gap)
    with pytest.raises(ist.TrainingError, match="learning rate is probably too high"):
        fitted.set_params(learning_rate=1e30, batch_size=4).partial_fit(X)
    np.testing.assert_array_equal(fitted.transform(X), codes)
    assert fitted.history_ == history
    fresh = estimator(epochs=2)
    before = dict(vars(fresh))
    gap[-1, 3] = np.inf
    with pytest.raises(ist.InputError, match="infinity"):
        fresh.partial_fit(gap)
    assert vars(fresh) == before


def test_without_held_out_rows_nothing_is_judged(tmp_path: Path) -> None:
    fitted = estimator().partial_fit(X)
    for judge in (lambda: fitted.diagnose(X), lambda: fitted.report(tmp_path / "report.html", X)):
        with pytest.raises(ist.InputError, match="made by fit: partial_fit keeps no held-out rows"):
            judge()
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- scores


@pytest.mark.parametrize("scale", ["standard", "common", "unit"])
@pytest.mark.parametrize("loss", [ist.Squared(), ist.Absolute()], ids=["squared", "absolute"])
def test_scores_are_densities_in_the_users_units(scale: str, loss: Any) -> None:
    """Units a thousand times smaller make every density 1000**features times smaller, and nothing else."""
    settings = {"scale": scale, "loss": loss, "validation_fraction": 0}
    metres, millimetres = estimator(**settings).fit(X), estimator(**settings).fit(X * 1000)
    shift = FEATURES * math.log(1000)
    np.testing.assert_allclose(millimetres.score_samples(X * 1000), metres.score_samples(X) - shift, atol=1e-3)
    assert metres.score(X) == pytest.approx(metres.score_samples(X).astype(np.float64).mean(), rel=1e-6)


class Constant(nn.Module):
    """A decoder that does not look at its code: then a row's cost is that of one fixed density."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(features))

    def forward(self, z: Tensor) -> Tensor:
        return self.value.expand(len(z), -1)


@pytest.mark.parametrize("loss", [ist.Squared(), ist.Absolute()], ids=["squared", "absolute"])
@pytest.mark.parametrize("units", [(50.0,), (50.0, 0.01)], ids=["one column", "two columns"])
def test_where_the_code_says_nothing_the_density_sums_to_one(units: tuple[float, ...], loss: Any) -> None:
    """A score is a density given the row's own code; it is one of the row itself where the decoder ignores codes."""
    size, unit = len(units), np.array(units)
    model = ist.compose(nn.Linear(size, 1), ist.Plain(), Constant(size), loss)
    fitted = estimator(model, code_size=None).fit(np.random.default_rng(0).normal(size=(300, size)) * unit + unit)
    axis, step = np.linspace(-15, 15, 601, retstep=True)
    grid = np.stack(np.meshgrid(*[axis] * size), axis=-1).reshape(-1, size) * unit + unit
    total = np.exp(fitted.score_samples(grid).astype(np.float64)).sum() * np.prod(step * unit)
    assert total == pytest.approx(1, abs=2e-3)


# ---------------------------------------------------------------------- weights


WEIGHT = np.where(np.arange(ROWS) % 3 == 0, 0.0, 1.0 + np.arange(ROWS) % 2)


def test_rows_of_weight_zero_do_not_matter() -> None:
    kept, changed = WEIGHT > 0, X.copy()
    changed[~kept] *= 1000
    for verb in ("fit", "partial_fit"):
        settings = {"validation_fraction": 0, "batch_size": 8}
        weighted = getattr(estimator(**settings), verb)(X, sample_weight=WEIGHT)
        assert same(weighted, getattr(estimator(**settings), verb)(changed, sample_weight=WEIGHT))
        assert same(weighted, getattr(estimator(**settings), verb)(X[kept], sample_weight=WEIGHT[kept]))
        assert same(weighted, getattr(estimator(**settings), verb)(X, sample_weight=WEIGHT * 2))
        assert not same(weighted, getattr(estimator(**settings), verb)(X[kept]))


def test_weights_enter_the_mean_exactly() -> None:
    """In one batch of all rows the first cost is the weighted mean of the rows' costs, whatever their weights."""

    def first_cost(weight: np.ndarray) -> float:
        settings = {
            "validation_fraction": 0,
            "batch_size": ROWS,
            "epochs": 1,
            "scale": "none",
            "network": PLAIN,
            "loss": ist.Squared(1.0),
        }
        return estimator(**settings).fit(X, sample_weight=weight).history_["cost"][1]

    odd = (X[:, 0] > np.median(X[:, 0])).astype(float)
    parts = first_cost(odd), first_cost(1 - odd)
    assert abs(parts[0] - parts[1]) > 0.1
    assert first_cost(odd * 3 + (1 - odd)) == pytest.approx((3 * parts[0] + parts[1]) / 4, rel=1e-5)
    assert first_cost(np.full(ROWS, 7.0)) == pytest.approx(sum(parts) / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(ROWS - 1), r"sample_weight must have the shape \(60,\), one per row; got \(59,\)"),
        (np.ones((ROWS, 1)), r"sample_weight must have the shape \(60,\), one per row; got \(60, 1\)"),
        (np.r_[np.ones(ROWS - 1), -1], "sample_weight must be finite and >= 0; row 59 has -1"),
        (np.r_[np.nan, np.ones(ROWS - 1)], "sample_weight must be finite and >= 0; row 0 has nan"),
        (np.r_[np.inf, np.ones(ROWS - 1)], "sample_weight must be finite and >= 0; row 0 has inf"),
        (np.zeros(ROWS), "sample_weight: every .*row has weight zero"),
        (["heavy"] * ROWS, r"sample_weight must be numbers, one per row; got \['heavy'"),
    ],
)
@pytest.mark.parametrize("verb", ["fit", "partial_fit"])
def test_weights_that_weigh_nothing(weight: Any, message: str, verb: str) -> None:
    model = estimator()
    before = dict(vars(model))
    with pytest.raises(ist.InputError, match=message):
        getattr(model, verb)(X, sample_weight=weight)
    assert vars(model) == before


# ---------------------------------------------------------------------- held-out rows, stopping, seeds


def test_held_out_rows() -> None:
    for count, share, held_out in ((60, 0.2, 12), (60, 0.0, 0), (9, 0.5, 0), (10, 0.1, 1)):
        fitted = estimator(validation_fraction=share).fit(rows(count))
        assert (fitted.record_.train_rows, fitted.record_.held_out_rows) == (count - held_out, held_out)
        assert np.isnan(fitted.history_["valid_cost"]).all() == (held_out == 0)


def test_early_stopping_keeps_the_state_of_the_least_held_out_cost() -> None:
    few = rows(40)
    knobs = {"network": ist.Dense((64, 64)), "learning_rate": 0.02, "epochs": 300, "early_stopping": 4, "code_size": 4}
    fitted = estimator(validation_fraction=0.3, **knobs).fit(few)
    held_out = few[split(40, 0.3, 0)[1]]
    costs = fitted.history_["valid_cost"]
    assert len(costs) < 300
    assert "has not fallen" in fitted.record_.stopped
    assert costs[-1] > min(costs)
    assert -fitted.score(held_out) - fitted.scaling_.log_volume == pytest.approx(min(costs), rel=1e-4)


def test_what_else_stops_a_fit() -> None:
    assert estimator(epochs=7, early_stopping=False, network=PLAIN).fit(X).history_["epoch"] == [*map(float, range(8))]
    reached = estimator(epochs=50, target=1e6).fit(X)
    assert reached.history_["epoch"][-1] < 50
    assert "reached the target" in reached.record_.stopped
    late = estimator(epochs=10_000, max_time=1e-6).fit(X)
    assert "(max_time)" in late.record_.stopped
    assert late.transform(X).shape == (ROWS, 2)


def test_random_states() -> None:
    for make in (lambda: 3, lambda: np.random.RandomState(3), lambda: np.random.default_rng(3)):
        assert same(estimator(random_state=make()).fit(X), estimator(random_state=make()).fit(X))
    for drawn_from in (np.random.default_rng(3), None):  # every fit draws anew
        assert not same(estimator(random_state=drawn_from).fit(X), estimator(random_state=drawn_from).fit(X))


def test_without_a_seed_a_resumed_fit_takes_that_of_its_checkpoint(tmp_path: Path) -> None:
    settings = {"random_state": None, "checkpoint": tmp_path / "run", "network": PLAIN}
    first = estimator(**settings).fit(X)
    assert same(first, estimator(**settings).fit(X, resume=True))
    assert not same(first, estimator(**settings).fit(X))


def test_a_grid_varies_the_knobs_of_a_kind_by_name() -> None:
    model = ist.Autoencoder("top_k").set_params(method__k=3, code_size=8)
    assert model.method == ist.recipes.top_k(k=3)
    assert clone(model).get_params()["method__k"] == 3
    with pytest.raises(ist.InputError, match="top_k: there is no knob 'kk'"):
        ist.Autoencoder("top_k").set_params(method__kk=3)
