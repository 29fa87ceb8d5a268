"""Settings that are searched: what is varied, by what it is judged, how long it takes, and what is left as it was."""

from __future__ import annotations

import logging
import math
import sys

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import isthmus as ist
from isthmus.cli import app
from isthmus.data import open_source, split
from isthmus.estimators import comparison, searching
from isthmus.estimators.search_space import Space, hidden_of, own_knob, strength_of
from isthmus.estimators.searched import Search, Trial
from isthmus.estimators.searching import Judge, Part, Shares, search_settings, searched
from isthmus.recipes import RECIPES
from isthmus.records import Pass


def table(rows: int = 80) -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.normal(size=(rows, 2)) @ draw.normal(size=(2, 6)) + 0.3 * draw.normal(size=(rows, 6))


X = table()


def model(method="undercomplete", **more) -> ist.Autoencoder:
    return ist.Autoencoder(method, **{"code_size": 2, "epochs": 1, "random_state": 0, **more})


def space(*args, **more) -> Space:
    return Space.of(model(*args, **more), open_source(X))


# ---------------------------------------------------------------------- what is varied


def test_what_the_user_settled_is_not_varied():
    assert [knob.name for knob in space().knobs] == ["learning_rate", "batch_size", "width", "layers", "activation"]
    assert [knob.name for knob in space("linear").knobs] == ["learning_rate", "batch_size"]
    assert [knob.name for knob in space(learning_rate=0.1, batch_size=8, network=ist.Dense((9,))).knobs] == []
    assert space("denoising").knobs[-1].name == "corruption"
    assert space(ist.recipes.denoising(corruption=ist.Mask(0.2))).knobs[-1].name == "activation"
    assert space("denoising", corruption=ist.Mask(0.2)).knobs[-1].name == "activation"
    with pytest.raises(ist.InputError, match="every knob that could be searched has a value already"):
        searched(model("linear", learning_rate=0.1, batch_size=8), open_source(X), 9.0, 2)


def test_the_knobs_that_kinds_are_known_by():
    found = {name: own_knob(ist.Autoencoder(name)) for name in RECIPES}
    assert {name: (knob.name, knob.usual) for name, knob in found.items() if knob} | {
        "beta_vae": ("beta", 4.0), "sparse": ("weight", 0.3), "denoising": ("corruption", 0.5),
    } == {name: (knob.name, knob.usual) for name, knob in found.items() if knob}  # fmt: skip
    assert found["masked"].high == 0.9  # a share
    assert found["denoising"].high == 2.0
    assert found["top_k"] is None  # how many units are active is for the user to say
    assert found["adversarial"] is None
    assert found["factor_vae"] is None
    assert strength_of(True) is None


def test_the_usual_settings_are_the_model_itself():
    whole = space("beta_vae")
    settings = whole.settings(whole.usual)
    assert settings == {
        "learning_rate": 0.002, "batch_size": 32, "hidden": (64, 64), "activation": "silu", "beta": 4.0,
    }  # fmt: skip
    made, plain = whole.model_with(settings).fit(X), model("beta_vae").fit(X)
    np.testing.assert_array_equal(made.transform(X), plain.transform(X))


def test_settings_are_those_that_are_fitted():
    drawn = {"learning_rate": 0.0012345, "batch_size": 16, "width": 2.0, "layers": 3, "activation": "tanh", "beta": 2.0}
    whole = space("beta_vae")
    settings = whole.settings(drawn)
    assert settings["learning_rate"] == 0.00123
    assert settings["hidden"] == (128, 128, 128)
    made = whole.model_with(settings).fit(X)
    assert made.learning_rate == 0.00123
    assert made.batch_size == 16
    assert made.parts_.network.hidden == (128, 128, 128)
    assert made.parts_.network.activation == "tanh"
    assert made.composition_.rate == 2.0
    assert hidden_of((1500,), 2.0, 1) == (2000,)
    assert hidden_of((10,), 0.5, 1) == (8,)


def test_what_suits_the_data_is_chosen_for_other_layers_too():
    pixels = np.random.default_rng(0).integers(0, 256, size=(60, 4, 4)).astype(np.uint8)
    whole = Space.of(model("denoising"), open_source(pixels))
    made = whole.model_with({**whole.settings(whole.usual), "hidden": (20,)}).fit(pixels)
    assert made.parts_.network.hidden == (20,)
    assert made.parts_.network.output_activation == "bounded"


# ---------------------------------------------------------------------- by what it is judged


def test_every_beta_is_judged_at_the_usual_one():
    judge = Judge.of(model("beta_vae"), open_source(X))
    fitted = model(ist.recipes.beta_vae(beta=1.0)).fit(X)
    batch = fitted._batch(fitted._source(X), split(80, 0.25, 0)[1])
    with torch.no_grad():
        trace = fitted.composition_.trace(batch, Pass(torch.Generator().manual_seed(0)))
        loss = fitted.composition_.loss.cost(trace.out, batch.x, None).double()
    expected = loss + 4.0 * trace.code.cost.double()
    np.testing.assert_allclose(judge.costs(fitted), expected.numpy(), rtol=1e-5)
    assert fitted.composition_.rate == 1.0


def test_every_weight_is_judged_at_the_usual_one():
    judge = Judge.of(model("sparse"), open_source(X))
    fitted = model(ist.recipes.sparse(weight=0.1)).fit(X)
    rows = split(80, 0.25, 0)[1]
    codes = fitted.transform(X[rows]).astype(np.float64)
    batch = fitted._batch(fitted._source(X), rows)
    with torch.no_grad():
        plain = fitted.composition_.cost(fitted.composition_.trace(batch)).double().numpy()
    np.testing.assert_allclose(judge.costs(fitted).mean(), plain.mean() + 0.3 * np.abs(codes).sum(1).mean(), rtol=1e-5)


def of(*means: float, spread: float = 1.0) -> Search:
    noise = spread * np.tile([-1.0, 1.0], 50)
    costs = [mean + noise * (place % 2) for place, mean in enumerate(means)]
    trials = [Trial({"learning_rate": place}, float(c.mean()), 1.0, c) for place, c in enumerate(costs)]
    return Search(tuple(trials), 100, 12.4)


def test_only_what_is_better_for_sure_takes_the_place_of_the_usual():
    assert of(5.0, 4.9).settings == {}  # 0.1 less, at a standard error of 0.1
    assert "is not better than the usual settings (5 nats per row) by more than two" in of(5.0, 4.9).sentence
    assert of(5.0, 4.7).settings == {"learning_rate": 1}
    assert of(5.0, 4.7).sentence == (
        "2 fits in 12 s, judged by 100 other rows: learning_rate=1, 4.7 nats per row; as it is usually set 5 nats per "
        "row"
    )
    assert "none better than the usual settings (5 nats per row), which are kept" in of(5.0, 6.0).sentence
    assert "time for the usual settings alone" in of(5.0).sentence
    failed = Search((of(5.0).usual, Trial({"learning_rate": 9}, math.nan, 1.0, failed="no")), 100, 3.0)
    assert failed.best is failed.usual


def test_fits_of_full_length_decide_where_others_were_shortened():
    short = of(5.0, 4.0)
    assert short.found
    worse = Search(short.trials, 100, 3.0, 8, of(2.0, 2.5).trials)
    assert not worse.found
    assert worse.settings == {}
    assert "shortened to 8 epochs" in worse.sentence
    assert "at full length it has 2.5 nats per row, as it is usually set 2, which is not better" in worse.sentence
    better = Search(short.trials, 100, 3.0, 8, of(2.0, 1.5).trials)
    assert better.settings == {"learning_rate": 1}
    assert better.sentence.endswith("at full length it has 1.5 nats per row, as it is usually set 2")


def test_rows_that_the_table_is_about_are_never_seen():
    _, held_out = split(len(X), 0.25, 0)
    other = X.copy()
    other[held_out] = 50.0 + 9 * np.random.default_rng(1).normal(size=(len(held_out), 6))
    one, two = (ist.compare(x, ["linear"], [2], epochs=1, search_trials=3).rows[-1] for x in (X, other))
    assert [trial.cost for trial in one.search.trials] == [trial.cost for trial in two.search.trials]
    assert one.search.rows == 15  # of 60 training rows, a quarter
    assert one.error != two.error


def test_the_table_says_what_was_found(monkeypatch):
    monkeypatch.setattr(searching, "PARTS", 1)
    found = ist.compare(X, ["linear", "kernel_pca"], [1, 2], epochs=2, search_trials=4)
    rows = [row for row in found.rows if row.method == "linear"]
    assert [len(row.search.trials) for row in rows] == [4, 4]
    assert all(row.search is None and row.settings == {} for row in found.rows if row.method != "linear")
    assert "Settings of linear with 1 number per row: 4 fits in" in " ".join(str(found).split())
    alone = ist.Autoencoder("linear", code_size=2, epochs=2, random_state=0, **rows[1].settings).fit(X)
    assert rows[1].settings  # the usual rate is far too small for two epochs
    assert rows[1].error == math.sqrt(alone.record_.held_out_error)


def test_mixed_tables_and_sequences_can_be_searched():
    frame = pd.DataFrame({"a": np.arange(60.0) % 7 + 0.5, "b": list("xyz") * 20})
    row = ist.compare(frame, ["undercomplete"], 2, epochs=1, search_trials=2).rows[-1]
    assert len(row.search.trials) == 2
    series = ist.data.sequences(np.random.default_rng(0).normal(size=(50, 8)))
    part = Part(series, np.arange(40))
    assert len(searched(model(), part, math.inf, 2).trials) == 2


# ---------------------------------------------------------------------- how long, and how often


def test_a_number_of_fits_makes_it_repeatable():
    one, two = (search_settings(model("denoising"), X, seconds=None, trials=3) for _ in range(2))
    assert one.search_.trials[1].settings != one.search_.trials[2].settings
    assert [t.settings for t in one.search_.trials] == [t.settings for t in two.search_.trials]
    assert [t.cost for t in one.search_.trials] == [t.cost for t in two.search_.trials]
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    assert one.search_.epochs is None


class Clock:
    """Time that only fits take."""

    def __init__(self, monkeypatch, each: float) -> None:
        self.now, self.each, self.limits = 0.0, each, []
        monkeypatch.setattr(searching.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(Judge, "tried", self.tried)

    def tried(self, space, settings, more, must=False):
        self.now += self.each
        self.limits.append(more["max_time"])
        return Trial(settings, 1.0, self.each, np.ones(9)), None


def test_no_fit_begins_that_the_time_is_too_short_for(monkeypatch):
    clock = Clock(monkeypatch, 3.0)
    found = searched(model(), open_source(X), 16.0, None)
    assert len(found.trials) == 5
    assert found.seconds == 15.0
    assert clock.limits == [2.0] * 5  # an eighth of the time
    assert len(searched(model(max_time=1.0), open_source(X), 16.0, 2).trials) == 2
    assert clock.limits[-1] == 1.0


def test_code_sizes_share_the_time_of_their_method(monkeypatch):
    clock = Clock(monkeypatch, 4.0)
    shares = Shares(open_source(X), 30.0, None, 3)
    spent = [shares.search(model(), "undercomplete").seconds for _ in range(3)]
    assert spent == [8.0, 8.0, 12.0]  # 10 of 30, 11 of 22, all of 14
    assert clock.limits[::3][0] == 10.0 / 8
    assert shares.search(model("deep"), "deep").seconds == 8.0


def test_fits_that_are_cut_are_shortened_instead():
    found = searched(model(epochs=600, early_stopping=False, max_time=0.3), open_source(X), 3.0, 3)
    assert 1 <= found.epochs < 600
    assert found.seconds < 30
    assert f"each shortened to {found.epochs:,} epoch" in found.sentence


def test_an_interrupt_says_what_was_best(monkeypatch):
    fits, estimator = [], model("linear", epochs=5)
    fit = ist.Autoencoder.fit

    def interrupted(self, *args, **more):
        fits.append(self)
        if len(fits) == 4:
            raise KeyboardInterrupt
        return fit(self, *args, **more)

    monkeypatch.setattr(ist.Autoencoder, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"^The best settings so far: learning_rate=.*batch_size=.*\.$"):
        search_settings(estimator, X, seconds=None, trials=9)
    assert not hasattr(estimator, "composition_")
    assert estimator.learning_rate is None


def test_a_fit_that_fails_is_no_end(monkeypatch):
    fit = ist.Autoencoder.fit

    def failing(self, *args, **more):
        if self.learning_rate not in (None, 0.01):
            raise ist.TrainingError("the cost is no longer a number")
        return fit(self, *args, **more)

    monkeypatch.setattr(ist.Autoencoder, "fit", failing)
    found = search_settings(model("linear"), X, seconds=None, trials=3).search_
    assert [trial.failed for trial in found.trials] == ["", *["the cost is no longer a number"] * 2]
    assert found.settings == {}
    monkeypatch.setattr(ist.Autoencoder, "fit", lambda *_, **__: pytest.fail("never reached"))
    with pytest.raises(ist.InputError, match="epochs must be"):
        search_settings(model("linear", epochs=-1), X, trials=3)


# ---------------------------------------------------------------------- what is left as it was


def test_nothing_global_is_moved_and_nothing_said(capfd):
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # noqa: NPY002
    optuna.logging.set_verbosity(optuna.logging.INFO)
    handlers = list(logging.getLogger().handlers)
    search_settings(model("linear"), X, seconds=None, trials=2)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert logging.getLogger().handlers == handlers
    assert capfd.readouterr() == ("", "")


def test_what_was_found_is_saved(tmp_path):
    made = search_settings(model("vae", epochs=3), X, seconds=None, trials=4)
    assert made.search_.found
    made.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(ist.load(tmp_path / "m.safetensors").transform(X), made.transform(X))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"search_time": 0}, "search_time must be a number > 0; got 0"),
        ({"search_time": "long"}, "search_time must be a number > 0; got 'long'"),
        ({"search_trials": 1}, "search_trials must be a whole number >= 2; got 1"),
        ({"search_time": math.inf}, "search_time: say when to stop, search_time=60 or search_trials=20"),
    ],
)
def test_what_is_refused(more, message, monkeypatch):
    monkeypatch.setattr(comparison, "fitted_row", lambda *_: pytest.fail("a fit began"))
    with pytest.raises(ist.InputError, match=message):
        ist.compare(X, ["linear"], **more)


def test_what_else_is_refused(monkeypatch):
    with pytest.raises(ist.InputError, match="seconds: say when to stop"):
        search_settings(model(), X, seconds=None)
    with pytest.raises(ist.InputError, match="estimator must be an Autoencoder; got FeatureLearner"):
        search_settings(ist.FeatureLearner(), X)
    with pytest.raises(ist.InputError, match="of 9 rows none can be"):
        search_settings(model(), X[:9], trials=2)
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr(comparison, "fitted_row", lambda *_: pytest.fail("a fit began"))
    with pytest.raises(ist.MissingExtraError, match=r"pip install 'isthmus\[tune\]'"):
        ist.compare(X, ["linear"], search_time=5)


def test_the_command_searches(tmp_path):
    pd.DataFrame(X, columns=list("abcdef")).to_csv(tmp_path / "data.csv", index=False)
    words = ["--methods", "linear", "--code-sizes", "2", "--epochs", "1", "--quiet"]
    done = CliRunner().invoke(app, ["compare", str(tmp_path / "data.csv"), *words, "--search-trials", "3"])
    assert done.exit_code == 0, done.output
    assert "Settings of linear with 2 numbers per row: 3 fits in" in " ".join(done.stdout.split())
    done = CliRunner().invoke(app, ["compare", str(tmp_path / "data.csv"), *words, "--search-time", "0"])
    assert done.exit_code == 2
    assert "--search-time must be a number > 0; got 0" in " ".join(done.stderr.split())


def test_the_command_says_what_was_best_when_interrupted(tmp_path, monkeypatch):
    pd.DataFrame(X, columns=list("abcdef")).to_csv(tmp_path / "data.csv", index=False)
    costs = iter([5.0, 4.0])

    def tried(self, space, settings, more, must=False):
        cost = next(costs, None)
        if cost is None:
            raise KeyboardInterrupt
        return Trial({"learning_rate": cost}, cost, 1.0, np.full(9, cost)), None

    monkeypatch.setattr(Judge, "tried", tried)
    words = ["compare", str(tmp_path / "data.csv"), "--methods", "linear", "--code-sizes", "2", "--search-time", "60"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 130
    assert "interrupted. The best settings so far: learning_rate=4.0." in done.stderr
