"""The loop: what stops it, what it restores, what it guards against, and killing it for real."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checks_for_kinds import same_history, same_tensors
from torch import Tensor, nn

from isthmus import storage
from isthmus.composition import Composition, compose
from isthmus.data import ArraySource, Scaling
from isthmus.errors import InputError, TrainingError
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.corruptions import GaussianNoise
from isthmus.parts.losses import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.parts.penalties import L1
from isthmus.parts.schedules import Ramp
from isthmus.progress import Progress
from isthmus.recipes import Parts
from isthmus.records import EVALUATION, Pass, Trace
from isthmus.training import CLIP, Feed, Plan, State, begin, evaluate, settings, step, train

FEATURES = 5


def a_feed(rows: int = 100, held_out: int = 20, noise: float = 0.3, weight: np.ndarray | None = None) -> Feed:
    draw = np.random.default_rng(0)
    x = draw.standard_normal((rows, 2)) @ draw.standard_normal((2, FEATURES)) + noise * draw.standard_normal((rows, 5))
    source = ArraySource(x.astype(np.float32))
    numbers = np.arange(rows)
    return Feed(source, Scaling.fit(source, mode="standard"), numbers[held_out:], numbers[:held_out], weight)


def a_model(seed: int = 0, **more: Any) -> Composition:
    parts = Parts(**{"network": Dense(hidden=(6,), dropout=0.1), "corruption": GaussianNoise(0.2), **more})
    return parts.build(a_feed().source.layout, 2, torch.Generator().manual_seed(seed))


PLAN = Plan(epochs=5, batch_size=16, learning_rate=0.01, seed=3)


class Recorder(Progress):
    """What the loop told of itself; it may stop it at a step."""

    def __init__(self, stop_at: int = 0) -> None:
        self.steps: list[float] = []
        self.figures: list[dict[str, float]] = []
        self.sentence = ""
        self.title = ""
        self.stop_at = stop_at

    def start(self, title: str, epochs: int) -> None:
        self.title = f"{title} {epochs}"

    def step(self, epoch: float) -> None:
        self.steps.append(epoch)
        if len(self.steps) == self.stop_at:
            raise KeyboardInterrupt

    def epoch(self, figures: dict[str, float]) -> None:
        self.figures.append(figures)

    def close(self, sentence: str) -> None:
        self.sentence = sentence


# ---------------------------------------------------------------------- the plan


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    plan = replace(PLAN, epochs=100, learning_rate=2.0, warm_up=0.1)
    assert 0 < plan.rate(0) <= 2.0 * 0.002
    assert plan.rate(5) == pytest.approx(2.0 * 0.501 * (0.5 + 0.5 * math.cos(0.05 * math.pi)))
    assert plan.rate(50) == pytest.approx(1.0)
    assert plan.rate(100) == pytest.approx(0.0, abs=1e-12)
    assert plan.rate(120) == pytest.approx(0.0, abs=1e-12)
    rates = [plan.rate(epoch) for epoch in np.linspace(0, 100, 501)]
    top = int(np.argmax(rates))
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert replace(plan, warm_up=0.0).rate(0) == 2.0


def test_every_step_and_epoch_is_told() -> None:
    told = Recorder()
    state = train(a_model(), a_feed(), PLAN, progress=told, title="a fit")
    assert told.title == "a fit 5"
    np.testing.assert_allclose(told.steps, np.arange(1, 26) / 5)  # 80 rows make 5 batches of 16
    assert [figures["epoch"] for figures in told.figures] == [1, 2, 3, 4, 5]
    assert told.sentence == state.stopped
    assert told.sentence.startswith("finished 5 epochs")
    assert state.history["epoch"] == [0, 1, 2, 3, 4, 5]
    assert math.isnan(state.history["cost"][0])
    assert state.history["valid_cost"][-1] < state.history["valid_cost"][0] - 1
    assert not state.composition.training


def test_the_history_holds_means_over_the_rows() -> None:
    """Batches of unlike sizes count by their rows: with a learning rate of 0 the mean cost is that of all rows."""
    model = a_model(corruption=None, network=Dense(hidden=(6,)), loss=Squared(1.0), penalties=(L1(0.5),))
    feed = a_feed(100, held_out=17)
    batch = next(feed.batches(feed.train, 1000))
    with torch.no_grad():
        total, terms = model.objective(model.trace(batch))
    state = train(model, feed, replace(PLAN, learning_rate=1e-30, epochs=1))
    assert state.history["cost"][1] == pytest.approx(float(terms["cost"]), rel=1e-5)
    assert state.history["L1"][1] == pytest.approx(float(terms["L1"]), rel=1e-5)
    assert float(total) == pytest.approx(float(terms["cost"] + terms["L1"]), rel=1e-6)


def test_training_does_not_depend_on_how_rows_are_held() -> None:
    """Scaled rows in memory, and rows scaled batch by batch, give the same bits."""
    cached, streamed = a_feed(), a_feed()
    streamed.cached = None
    first, second = (train(a_model(), feed, PLAN) for feed in (cached, streamed))
    assert same_tensors(first.composition.state_dict(), second.composition.state_dict())
    assert same_history(first.history, second.history)


def test_row_weights_reach_the_cost() -> None:
    """A row of weight 0 leaves no trace: whatever it holds, the weights learnt are the same."""
    weight = np.ones(100)
    weight[30:40] = 0
    feeds = [a_feed(weight=weight), a_feed(weight=weight)]
    feeds[1].cached[30:40] = 50.0
    models = [a_model(corruption=None, network=Dense(hidden=(6,))) for _ in feeds]
    for model, feed in zip(models, feeds, strict=True):
        train(model, feed, PLAN)
    assert same_tensors(models[0].state_dict(), models[1].state_dict())


# ---------------------------------------------------------------------- what stops it


def test_early_stopping_restores_the_best_state() -> None:
    """Few rows of pure noise: the held-out cost soon rises, and the weights that were best come back."""
    feed = a_feed(24, held_out=8, noise=3.0)
    model = a_model(network=Dense(hidden=(64,)), corruption=None)
    plan = replace(PLAN, epochs=400, learning_rate=0.03, patience=6, batch_size=8)
    state = train(model, feed, plan)
    costs = state.history["valid_cost"]
    best = int(np.argmin(costs))
    assert state.best_epoch == best
    assert state.epoch == best + 6 < 400
    assert costs[-1] > costs[best]
    assert state.stopped == f"stopped after epoch {best + 6}: the held-out cost has not fallen since epoch {best}"
    again = evaluate(model, feed, feed.held_out, 512, plan.seed)
    assert again.cost == pytest.approx(costs[best], abs=1e-5)
    assert model.loss.variance.item() == pytest.approx(again.scale.item(), rel=1e-5)


def test_the_best_state_is_restored_without_early_stopping_too() -> None:
    feed = a_feed(24, held_out=8, noise=3.0)
    model = a_model(network=Dense(hidden=(64,)), corruption=None)
    state = train(model, feed, replace(PLAN, epochs=60, learning_rate=0.03, batch_size=8))
    best = int(np.argmin(state.history["valid_cost"]))
    assert best < 60
    assert state.stopped == f"finished 60 epochs; the best held-out cost was in epoch {best}"
    assert evaluate(model, feed, feed.held_out, 512, 3).cost == pytest.approx(
        min(state.history["valid_cost"]), abs=1e-5
    )


def test_epochs_before_the_schedules_end_do_not_count() -> None:
    """While the noise still grows, a low held-out cost is no achievement: the best epoch is a later one."""
    model = a_model(corruption=GaussianNoise(Ramp(0.0, 6.0, epochs=6)), network=Dense(hidden=(6,)))
    state = train(model, a_feed(), replace(PLAN, epochs=9, learning_rate=0.05, patience=2))
    assert int(np.argmin(state.history["valid_cost"])) < 6
    assert state.best_epoch >= 6


def test_without_held_out_rows_the_last_state_is_kept() -> None:
    feed = a_feed(40, held_out=0)
    state = train(a_model(), feed, replace(PLAN, patience=1))
    assert state.best_epoch == state.epoch == 5
    assert state.stopped == "finished 5 epochs"
    assert np.isnan(state.history["valid_cost"]).all()
    assert state.history["rmse"][-1] < state.history["rmse"][0]


def test_a_target_stops_the_fit() -> None:
    told = Recorder()
    state = train(a_model(), a_feed(), replace(PLAN, epochs=200, target=0.7), progress=told)
    errors = state.history["valid_rmse"]
    assert errors[-1] <= 0.7 < errors[-2]
    assert state.epoch < 200
    assert told.sentence == f"stopped after epoch {state.epoch}: the error of {errors[-1]:.4g} reached the target"


def test_time_runs_out() -> None:
    began = time.monotonic()
    state = train(a_model(), a_feed(), replace(PLAN, epochs=10**6, max_time=0.3))
    assert time.monotonic() - began < 5
    assert "stopped after 0 s (max_time), in epoch" in state.stopped
    assert state.history["seconds"][-1] >= 0.3
    assert len(state.history["epoch"]) >= 2
    assert state.history["valid_cost"][-1] < state.history["valid_cost"][0]


# ---------------------------------------------------------------------- not a number


class Planted(nn.Module):
    """A layer whose output turns into NaN, or is enlarged, at one call."""

    def __init__(self, at: int, factor: float) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, 2)
        self.at, self.factor, self.calls = at, factor, 0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return self.linear(x) * (self.factor if self.calls == self.at else 1.0)


def own_modules(encoder: nn.Module, loss: Any = Squared(1.0)) -> Composition:
    return compose(encoder, Plain(), nn.Linear(2, FEATURES), loss)


def test_not_a_number_is_explained() -> None:
    with pytest.raises(TrainingError) as caught:
        train(own_modules(Planted(7, math.nan)), a_feed(), PLAN)
    message = str(caught.value)
    assert "training stopped at step 7 (epoch 2): the term cost is not a finite number" in message
    assert "encoder.module.linear.weight" in message
    assert "Likely cause: the learning rate is probably too high; try learning_rate a tenth of it" in message


def test_a_penalty_that_is_not_a_number_is_named() -> None:
    model = own_modules(nn.Linear(FEATURES, 2))

    def bad(trace: Trace) -> Tensor:
        return trace.code.z.sum() * math.nan

    bad.weight = 1.0  # type: ignore[attr-defined]
    model.penalties = (bad,)
    with pytest.raises(TrainingError, match=r"step 1 \(epoch 1\): the term function is not a finite number"):
        train(model, a_feed(), PLAN)


def test_an_outlier_is_named_as_the_cause() -> None:
    feed = a_feed()
    feed.cached[50, 2] = 1e30
    with pytest.raises(TrainingError, match=r"Likely cause: a value 1e\+30 standard deviations from the mean"):
        train(own_modules(nn.Linear(FEATURES, 2)), feed, PLAN)


def test_a_batch_that_holds_nan_is_named_as_the_cause() -> None:
    feed = a_feed()
    feed.cached[50, 2] = math.nan
    with pytest.raises(TrainingError, match="Likely cause: the batch itself holds NaN or infinity"):
        train(own_modules(nn.Linear(FEATURES, 2)), feed, PLAN)


def test_a_failed_fit_closes_the_progress() -> None:
    told = Recorder()
    with pytest.raises(TrainingError):
        train(own_modules(Planted(7, math.nan)), a_feed(), PLAN, progress=told)
    assert told.sentence == "interrupted"


# ---------------------------------------------------------------------- gradient clipping


def a_state(model: Composition, rate: float = 0.01) -> State:
    return begin(model.train(), replace(PLAN, learning_rate=rate), a_feed())


def test_a_planted_spike_is_shortened() -> None:
    """At step 20 the gradient is 1e8 times too long: what reaches the optimiser is CLIP times the usual length."""
    lengths: list[float] = []
    for at in (0, 20):
        torch.manual_seed(0)
        model = own_modules(Planted(at, 1e4))
        state = a_state(model)
        feed = a_feed(400, 0)
        for number, batch in enumerate(feed.batches(feed.train, 16)):
            usual = state.usual_norm
            step(state, batch, Pass(state.generator, training=True), 0.001)
            gradients = [p.grad for p in model.parameters()]
            if number + 1 == 20:
                lengths.append(float(torch.nn.utils.get_total_norm(gradients)) / usual)
    assert lengths[0] < CLIP / 2  # without the spike nothing is shortened
    assert lengths[1] == pytest.approx(CLIP, rel=1e-4)


def test_the_first_steps_are_never_shortened() -> None:
    torch.manual_seed(0)
    model = own_modules(Planted(5, 1e4))
    state = a_state(model)
    feed = a_feed(400, 0)
    for number, batch in enumerate(feed.batches(feed.train, 16)):
        usual = state.usual_norm
        step(state, batch, Pass(state.generator, training=True), 0.001)
        if number + 1 == 5:
            length = float(torch.nn.utils.get_total_norm([p.grad for p in model.parameters()]))
            assert length > 100 * usual
            break


# ---------------------------------------------------------------------- generators and threads


class Noisy(nn.Module):
    """A user's module that draws from the global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, 2)
        self.dropout = nn.Dropout(0.4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.dropout(x)) + 0.1 * torch.randn(len(x), 2) * self.training


def noisy_model() -> Composition:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return own_modules(Noisy(), Squared())


def test_modules_that_draw_globally_run_in_a_forked_generator() -> None:
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first = train(noisy_model(), a_feed(), PLAN)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.randn(100)  # wherever the user's generator stands
    second = train(noisy_model(), a_feed(), PLAN)
    assert same_tensors(first.composition.state_dict(), second.composition.state_dict())
    third = train(noisy_model(), a_feed(), replace(PLAN, seed=4))
    assert not same_tensors(first.composition.state_dict(), third.composition.state_dict())


@pytest.mark.parametrize("kind", ["ours", "users"])
def test_threads_are_put_back(kind: str) -> None:
    seen: list[int] = []

    class Watcher(Progress):
        def step(self, epoch: float) -> None:
            seen.append(torch.get_num_threads())

    model = a_model() if kind == "ours" else noisy_model()
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        train(model, a_feed(), PLAN, progress=Watcher())
        assert torch.get_num_threads() == 3
        assert set(seen) == {1}  # so small a step is faster on one
        with pytest.raises(KeyboardInterrupt):
            train(a_model(), a_feed(), PLAN, progress=Recorder(stop_at=3))
        assert torch.get_num_threads() == 3
        with settings(a_model(), replace(PLAN, batch_size=10**7)):
            assert torch.get_num_threads() == 3  # a large step takes what there is
    finally:
        torch.set_num_threads(before)


def test_evaluation_needs_no_training() -> None:
    """Looking at rows moves neither weights nor running figures, and twice gives the same."""
    model, feed = a_model(network=Dense(hidden=(6,), norm="batch")), a_feed()
    train(model, feed, PLAN)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = (evaluate(model, feed, feed.held_out, size, 0) for size in (7, 512))
    assert first.cost == pytest.approx(second.cost, rel=1e-5)
    assert first.error == pytest.approx(second.error, rel=1e-5)
    assert same_tensors(before, model.state_dict())
    batch = next(feed.batches(feed.held_out, 512))
    with torch.no_grad():
        expected = (model.trace(batch, EVALUATION).out - batch.x).square().mean().sqrt()
    assert second.error == pytest.approx(float(expected), rel=1e-5)


# ---------------------------------------------------------------------- checkpoints


def stopped_at(step_number: int, folder: Path, plan: Plan = PLAN, model: Any = a_model, **more: Any) -> None:
    """A fit that is interrupted in this step, its state saved after every step before it."""
    plan = replace(plan, checkpoint=str(folder), checkpoint_every=0.0)
    with pytest.raises(KeyboardInterrupt):
        train(model(), a_feed(), plan, progress=Recorder(stop_at=step_number), **more)


@pytest.mark.parametrize("stop", [2, 5, 6, 7, 24, 25])
@pytest.mark.parametrize("model", [a_model, noisy_model])
def test_a_resumed_fit_is_bit_identical(stop: int, model: Any, tmp_path: Path) -> None:
    """At the first step, at the last of an epoch, at the first of the next, and at the end."""
    whole = train(model(), a_feed(), PLAN)
    stopped_at(stop, tmp_path, model=model)
    told = Recorder()
    plan = replace(PLAN, checkpoint=str(tmp_path), checkpoint_every=1e9)
    resumed = train(model(), a_feed(), plan, resume=True, progress=told)
    assert len(told.steps) == 25 - (stop - 1)
    assert same_history(whole.history, resumed.history)
    assert same_tensors(whole.composition.state_dict(), resumed.composition.state_dict())
    assert (whole.best_epoch, whole.stopped) == (resumed.best_epoch, resumed.stopped)


def test_a_finished_fit_is_only_read_again(tmp_path: Path) -> None:
    plan = replace(PLAN, checkpoint=str(tmp_path))
    first, told = train(a_model(), a_feed(), plan), Recorder()
    again = train(a_model(seed=1), a_feed(), plan, resume=True, progress=told)
    assert told.steps == []
    assert again.stopped == first.stopped
    assert same_tensors(first.composition.state_dict(), again.composition.state_dict())
    assert same_history(first.history, again.history)


def test_a_fit_that_ran_out_of_time_goes_on(tmp_path: Path) -> None:
    """Stopped by max_time in the middle of an epoch, then given more: as if it had never stopped."""
    plan = replace(PLAN, epochs=40, checkpoint=str(tmp_path))
    whole = train(a_model(), a_feed(), replace(plan, checkpoint=None))
    short = train(a_model(), a_feed(), replace(plan, max_time=0.02))
    assert "max_time" in short.stopped
    resumed = train(a_model(), a_feed(), plan, resume=True)
    assert resumed.stopped == whole.stopped
    assert same_history(whole.history, resumed.history)
    assert same_tensors(whole.composition.state_dict(), resumed.composition.state_dict())


def test_without_a_checkpoint_yet_it_starts_afresh(tmp_path: Path) -> None:
    plan = replace(PLAN, checkpoint=str(tmp_path / "deep" / "folder"))
    first, second = train(a_model(), a_feed(), PLAN), train(a_model(), a_feed(), plan, resume=True)
    assert same_tensors(first.composition.state_dict(), second.composition.state_dict())
    assert [path.name for path in (tmp_path / "deep" / "folder").iterdir()] == ["last.safetensors"]


def test_an_old_checkpoint_does_not_stand_for_a_new_fit(tmp_path: Path) -> None:
    """A new fit into the folder of an old one, killed before its first checkpoint, starts afresh when resumed."""
    train(a_model(), a_feed(), replace(PLAN, checkpoint=str(tmp_path)))
    other = replace(PLAN, seed=8, checkpoint=str(tmp_path), checkpoint_every=1e9)
    with pytest.raises(KeyboardInterrupt):
        train(a_model(), a_feed(), other, progress=Recorder(stop_at=3))
    resumed = train(a_model(), a_feed(), other, resume=True)
    whole = train(a_model(), a_feed(), replace(other, checkpoint=None))
    assert same_tensors(whole.composition.state_dict(), resumed.composition.state_dict())


@pytest.mark.parametrize(
    ("plan", "identity", "message"),
    [
        (replace(PLAN, learning_rate=0.5), {"data": "a"}, r"learning_rate: 0.01 there, 0.5 now"),
        (replace(PLAN, seed=9), {"data": "a"}, r"seed: 3 there, 9 now"),
        (PLAN, {"data": "b"}, r"data: 'a' there, 'b' now"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(
    plan: Plan, identity: dict[str, str], message: str, tmp_path: Path
) -> None:
    stopped_at(4, tmp_path, identity={"data": "a"})
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(TrainingError, match=rf"belongs to another fit \({message}\). Use the same data and settings"):
        train(a_model(), a_feed(), replace(plan, checkpoint=str(tmp_path)), resume=True, identity=identity)
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_time_limits_may_differ(tmp_path: Path) -> None:
    stopped_at(4, tmp_path)
    plan = replace(PLAN, checkpoint=str(tmp_path), max_time=1e6, checkpoint_every=5.0)
    assert train(a_model(), a_feed(), plan, resume=True).epoch == 5


def test_resuming_needs_a_folder() -> None:
    with pytest.raises((TrainingError, InputError), match="resume=True needs checkpoint=, the folder"):
        train(a_model(), a_feed(), PLAN, resume=True)


def test_a_checkpoint_is_a_model_file_that_holds_no_code(tmp_path: Path) -> None:
    stopped_at(4, tmp_path)
    spec, tensors = storage.read(tmp_path / "last.safetensors")
    assert spec["identity"]["plan"]["batch_size"] == 16
    assert {"generator", "model.encoder.linear.0.weight", "history.valid_cost"} <= tensors.keys()


# ---------------------------------------------------------------------- really killed

SCRIPT = """
import json, os, random, signal, sys, time
from pathlib import Path
import numpy as np
import torch
import torch._dynamo  # what the first step would import, so that children begin at once
from isthmus import storage
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.parts.corruptions import Mask
from isthmus.parts.networks.dense import Dense

root = Path(sys.argv[1])
last = root / "run" / "last.safetensors"


def fit(folder, result, resume):
    draw = np.random.default_rng(0)
    x = draw.standard_normal((64, 3)) @ draw.standard_normal((3, 6)) + 0.3 * draw.standard_normal((64, 6))
    network = Dense(hidden=(8,), dropout=0.1)
    made = Autoencoder(
        code_size=2, network=network, corruption=Mask(0.2), epochs=200, batch_size=16, random_state=0, device="cpu",
        early_stopping=False, checkpoint=folder, checkpoint_every=0.01,
    )
    made.fit(x, resume=resume).save(result)


def child(*arguments):
    number = os.fork()
    if number == 0:
        try:
            fit(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    return number


def ended(number):
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def written():
    return last.stat().st_mtime_ns if last.exists() else 0


report = {"whole": ended(child(None, root / "whole.safetensors", False)), "killed": 0, "steps": []}
moments = random.Random(0)
for attempt in range(9):
    before, patience = written(), time.monotonic() + 10
    run = child(root / "run", root / "model.safetensors", True)
    while attempt and written() == before and time.monotonic() < patience:
        time.sleep(0.001)
    time.sleep(moments.uniform(0, 0.06) if attempt else 0)
    os.kill(run, signal.SIGKILL)
    status = ended(run)
    if status == 0:
        break
    report["killed"] += status == -signal.SIGKILL
    report["steps"].append(int(float.fromhex(storage.read(last)[0]["steps"])) if last.exists() else 0)
else:
    status = ended(child(root / "run", root / "model.safetensors", True))
print(json.dumps({**report, "resumed": status}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, so that each need not import everything")
def test_killed_again_and_again_it_ends_as_if_never_killed(tmp_path: Path) -> None:
    """SIGKILL at random moments, the first before any checkpoint; then the same bits as without."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert (report["whole"], report["resumed"]) == (0, 0), run.stderr
    assert report["killed"] >= 5
    steps = report["steps"]
    assert steps[0] == 0, "the first was killed before its first checkpoint"
    assert steps == sorted(steps)
    assert len(set(steps)) >= 5, "each made some headway"
    (whole_spec, whole), (spec, resumed) = (
        storage.read(tmp_path / name) for name in ("whole.safetensors", "model.safetensors")
    )
    for tensors in (whole, resumed):
        assert len(tensors.pop("history.seconds")) == 201
    assert same_tensors(whole, resumed)
    for each in (whole_spec, spec):
        each["params"]["checkpoint"] = None
    assert spec == whole_spec
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["last.safetensors"]
