"""Checkpoints: interrupted, refused, forgotten, and processes really killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checks_for_kinds import same_history, same_tensors
from checks_for_training import PLAN, Recorder, a_feed, a_model, noisy_model

from isthmus import storage
from isthmus.errors import InputError, TrainingError
from isthmus.parts.networks.dense import Dense
from isthmus.training import Plan, State, train

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


def test_a_resumed_fit_remembers_its_best_state(tmp_path: Path) -> None:
    """Stopped after the held-out cost began to rise: the best cost, its epoch and its weights are kept."""

    def noise_fit(plan: Plan, **more: Any) -> State:
        model = a_model(network=Dense(hidden=(64,)), corruption=None)
        return train(model, a_feed(24, held_out=8, noise=3.0), plan, **more)

    plan = replace(PLAN, epochs=400, learning_rate=0.03, patience=6, batch_size=8)
    whole = noise_fit(plan)
    kept = replace(plan, checkpoint=str(tmp_path), checkpoint_every=0.0)
    with pytest.raises(KeyboardInterrupt):
        noise_fit(kept, progress=Recorder(stop_at=2 * (whole.best_epoch + 3)))  # two batches make an epoch
    resumed = noise_fit(kept, resume=True)
    assert (resumed.epoch, resumed.best_epoch, resumed.stopped) == (whole.epoch, whole.best_epoch, whole.stopped)
    assert same_tensors(whole.composition.state_dict(), resumed.composition.state_dict())


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
