"""The loop: what stops it, what it restores, and what it guards against."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from checks_for_kinds import same_history, same_tensors
from checks_for_training import FEATURES, PLAN, Recorder, a_feed, a_model, noisy_model, own_modules
from torch import Tensor, nn

from isthmus import training
from isthmus.composition import Composition
from isthmus.errors import TrainingError
from isthmus.parts.corruptions import GaussianNoise
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.parts.penalties.sparsity import L1
from isthmus.parts.schedules import Ramp
from isthmus.progress import Progress
from isthmus.records import EVALUATION, Pass, Trace
from isthmus.training import CLIP, State, begin, evaluate, settings, step, train

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
    again = evaluate(model, feed, plan.seed)
    assert again.cost == pytest.approx(costs[best], abs=1e-5)
    assert model.loss.variance.item() == pytest.approx(again.scale.item(), rel=1e-5)


def test_the_best_state_is_restored_without_early_stopping_too() -> None:
    feed = a_feed(24, held_out=8, noise=3.0)
    model = a_model(network=Dense(hidden=(64,)), corruption=None)
    state = train(model, feed, replace(PLAN, epochs=60, learning_rate=0.03, batch_size=8))
    best = int(np.argmin(state.history["valid_cost"]))
    assert best < 60
    assert state.stopped == f"finished 60 epochs; the best held-out cost was in epoch {best}"
    assert evaluate(model, feed, 3).cost == pytest.approx(min(state.history["valid_cost"]), abs=1e-5)


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
    first = evaluate(model, feed, 0)
    feed.at_once = 7
    second = evaluate(model, feed, 0)
    assert first.cost == pytest.approx(second.cost, rel=1e-5)
    assert first.error == pytest.approx(second.error, rel=1e-5)
    assert same_tensors(before, model.state_dict())
    batch = next(feed.batches(feed.held_out, 512))
    with torch.no_grad():
        expected = (model.trace(batch, EVALUATION).out - batch.x).square().mean().sqrt()
    assert second.error == pytest.approx(float(expected), rel=1e-5)


def test_the_cost_of_a_part_of_an_epoch_is_that_of_the_rows_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of time within an epoch: the last line of the history stands between two whole ones."""
    feed = a_feed(rows=200)
    plan = replace(PLAN, epochs=3, batch_size=10, max_time=50.0)
    whole = train(a_model(), feed, plan).history
    ticks = iter(range(10**6))
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(ticks)))
    part = train(a_model(), feed, plan).history
    assert 0 < part["epoch"][-1] < 3
    assert part["epoch"][-1] % 1
    assert part["cost"][-1] == pytest.approx(whole["cost"][math.ceil(part["epoch"][-1])], rel=0.2)


def test_a_device_clips_as_the_cpu_does() -> None:
    """What runs on a GPU, where nothing may wait for the gradient's length, here on the CPU's own tensors."""
    state = begin(a_model(), PLAN, a_feed())
    state.steps, state.usual_norm = 10, 2.0
    gradients = [torch.full((3,), 100.0), torch.full((4,), -100.0)]
    training.shorten_there(state, gradients, torch.nn.utils.get_total_norm(gradients))
    assert float(torch.nn.utils.get_total_norm(gradients)) == pytest.approx(CLIP * 2.0, rel=1e-5)
    assert float(state.usual_norm) == pytest.approx(2.0 + (CLIP * 2.0 - 2.0) / 11, rel=1e-5)
    short = [torch.ones(4)]
    training.shorten_there(state, short, torch.nn.utils.get_total_norm(short))
    assert short[0].tolist() == [1.0] * 4
