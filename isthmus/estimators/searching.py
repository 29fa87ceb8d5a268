"""`search_settings`: learning rate, layers, batch size and the kind's own knob of an autoencoder, found by Optuna."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import torch

from isthmus.checkpoints import OUT_OF_TIME
from isthmus.checks import counted
from isthmus.data import Source, split
from isthmus.errors import InputError, MissingExtraError, TrainingError
from isthmus.estimators.anomaly_words import Chosen
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.fitting import rows_at_once
from isthmus.estimators.search_space import Space
from isthmus.estimators.searched import Search, Trial, written
from isthmus.estimators.settings import held_out_share, number, seed_of, whole
from isthmus.parts.schedules import at
from isthmus.records import Pass
from isthmus.threads import load_optimisers

PARTS = 8
"""A single fit takes at most this part of the time of a search, so that some are compared in any case."""

RANDOM = 6
"""Settings drawn at random before those that follow from the figures of others."""


def search_settings(estimator: Autoencoder, X: Any, *, seconds: float | None = 60.0, trials: int | None = None) -> Any:
    """Fit an autoencoder with settings that are searched: those that the user left open.

    Varied are learning rate and batch size, of a dense network the number of layers, their widths and their activation,
    and the number that the kind is known by: beta, a penalty's weight, how much is hidden. All are judged by the
    held-out rows of the fit (``validation_fraction``), by the objective with the kind's usual beta and weights, so that
    the kind remains what it is.

    Parameters
    ----------
    estimator : not changed; what it was given a value for is kept.
    X : as `Autoencoder.fit` takes it.
    seconds : for the search, > 0; the last fit comes on top, and where it is too short for whole fits, so do two by
        which what was found is tried at full length. None = until ``trials`` are done.
    trials : fits at most, >= 2, the first with the usual settings; with it and no limit of time, an int for
        ``random_state`` makes a search repeatable. None = as many as there is time for.

    Returns
    -------
    Autoencoder
        Fitted, with ``search_``, a `Search`.

    Raises
    ------
    MissingExtraError : Optuna is not installed (``isthmus[tune]``).
    InputError : the data or an argument cannot be used, or too few rows to hold some out.

    References
    ----------
    Akiba, Sano, Yanase, Ohta & Koyama 2019, Optuna: a next-generation hyperparameter optimization framework; Bergstra,
    Bardenet, Bengio & Kégl 2011, Algorithms for hyper-parameter optimization.

    Examples
    --------
    >>> import isthmus as ist
    >>> from isthmus.estimators.searching import search_settings
    >>> X = ist.data.digits()[0][:300]
    >>> ae = search_settings(ist.Autoencoder("vae", epochs=2, random_state=0), X, seconds=None, trials=2)
    >>> len(ae.search_.trials), sorted(ae.search_.usual.settings)
    (2, ['activation', 'batch_size', 'hidden', 'learning_rate'])
    """
    if not isinstance(estimator, Autoencoder):
        raise InputError(f"estimator must be an Autoencoder; got {type(estimator).__name__}")
    check_budget(seconds, trials, "seconds", "trials")
    model = Autoencoder(**{**estimator.get_params(deep=False), "random_state": seed_of(estimator.random_state)})
    source = model._opened(X)
    found = searched(model, source, math.inf if seconds is None else seconds, trials)
    fitted = Space.of(model, source).model_with(found.settings).fit(source)
    fitted.search_ = found
    return fitted


def check_budget(seconds: Any, trials: Any, time_name: str, trials_name: str) -> None:
    """Refuse a search without an end, and one without Optuna, before the first fit."""
    if seconds is not None:
        number(time_name, seconds, 0, open_low=True)
    if trials is not None:
        whole(trials_name, trials, 2)
    if trials is None and (seconds is None or math.isinf(seconds)):
        raise InputError(f"{time_name}: say when to stop, {time_name}=60 or {trials_name}=20")
    library()


class Shares:
    """The time of each method, shared by its code sizes: what one leaves over is for the next."""

    def __init__(self, source: Source, seconds: float | None, trials: int | None, sizes: int) -> None:
        self.source, self.seconds, self.trials, self.sizes = source, seconds, trials, sizes
        self.spent: dict[str, list[float]] = {}

    def search(self, model: Autoencoder, method: str) -> Search:
        """Search settings of a model, and set those that were found; ``method`` is what its method is called."""
        spent = self.spent.setdefault(method, [])
        left = math.inf
        if self.seconds is not None:
            left = max(self.seconds - sum(spent), 0.0) / max(1, self.sizes - len(spent))
        found = searched(model, self.source, left, self.trials)
        spent.append(found.seconds)
        model.set_params(**Space.of(model, self.source).model_with(found.settings).get_params(deep=False))
        return found


class Part(Chosen):
    """Some rows of another source, sequences among them."""

    def steps(self, rows: np.ndarray | None = None) -> Source:
        return self.source.steps(self.at if rows is None else self.at[rows])


def searched(model: Autoencoder, source: Source, seconds: float, trials: int | None) -> Search:
    """Fit the model with other settings until the time, or the number of trials, is used up."""
    space, judge = Space.of(model, source), Judge.of(model, source)
    most = min(seconds / PARTS, math.inf if model.max_time is None else model.max_time)
    quiet: dict[str, Any] = {"verbose": 0, "checkpoint": None, "max_time": None if math.isinf(most) else most}
    fits: list[Trial] = []
    epochs = None
    if not space.knobs:
        raise InputError(
            "search: every knob that could be searched has a value already (learning_rate, batch_size, the network and "
            "the kind's own); leave some of them out"
        )
    # What a process imports once, for seconds, is no part of the time; nor is it for the first fit.
    sampler = Sampler(space, seed_of(model.random_state))
    load_optimisers()
    began = time.monotonic()
    try:
        first, done = judge.tried(space, space.settings(space.usual), quiet, must=True)
        if done is not None:
            # Learning rates fall until the last epoch: a fit that is cut in its midst says little of one that ends.
            epochs = quiet["epochs"] = done
            first, _ = judge.tried(space, first.settings, quiet, must=True)
        fits.append(first)
        sampler.tell(None, first.cost)
        while trials is None or len(fits) < trials:
            if time.monotonic() - began + max(one.seconds for one in fits) > seconds:
                break
            drawn = sampler.ask()
            fits.append(judge.tried(space, space.settings(drawn.params), quiet)[0])
            sampler.tell(drawn, fits[-1].cost)
    except KeyboardInterrupt as interrupt:
        best = Search(tuple(fits), judge.count, time.monotonic() - began).settings if fits else {}
        said = f"The best settings so far: {written(best)}." if best else "Nothing better was found so far."
        raise KeyboardInterrupt(said) from interrupt
    search = Search(tuple(fits), judge.count, time.monotonic() - began, epochs)
    if epochs is None or not search.found:
        return search
    more = {**quiet, "epochs": model.epochs, "max_time": model.max_time}
    usual = judge.tried(space, search.usual.settings, more, must=True)[0]
    return replace(search, whole=(usual, judge.tried(space, search.best.settings, more)[0]))


@dataclass(frozen=True)
class Judge:
    """Fits models to rows, and tells what those held out cost."""

    source: Source
    held_out: np.ndarray
    rate: Any
    weights: tuple[Any, ...]

    @classmethod
    def of(cls, model: Autoencoder, source: Source) -> Judge:
        share = held_out_share(model.validation_fraction, source.rows)
        held_out = split(source.rows, share, seed_of(model.random_state))[1]
        if len(held_out) < 2:
            raise InputError(
                f"search: settings are judged by rows held out of the fit, and of {counted(source.rows, 'row')} none "
                "can be (validation_fraction, and at least 20 rows)"
            )
        parts = model._parts(source)
        return cls(source, held_out, parts.rate, tuple(penalty.weight for penalty in parts.penalties))

    @property
    def count(self) -> int:
        return len(self.held_out)

    def tried(
        self, space: Space, settings: dict[str, Any], more: dict[str, Any], must: bool = False
    ) -> tuple[Trial, int | None]:
        """A trial, and the whole epochs there was time for where the fit was cut short.

        ``must``: what goes wrong is the user's to see, as no settings were varied yet.
        """
        began = time.monotonic()
        try:
            model = space.model_with(settings, **more).fit(self.source)
            costs = self.costs(model)
        except (TrainingError, InputError) as error:
            if must:
                raise
            return Trial(settings, math.nan, time.monotonic() - began, failed=str(error)), None
        record = model.record_
        cut = record is not None and OUT_OF_TIME in record.stopped and "epochs" not in more
        done = max(1, record.epochs - 1) if cut and record is not None else None
        return Trial(settings, float(costs.mean()), time.monotonic() - began, costs), done

    def costs(self, model: Autoencoder) -> np.ndarray:
        """(held-out rows,) float64: the objective, with codes and penalties at their usual price, in nats."""
        view = copy.copy(model.composition_)  # its weights are shared, its rate is not
        view.rate = at(self.rate, math.inf)
        generator = torch.Generator(model._device).manual_seed(0)  # the same draws for all
        found, size = [], min(256, rows_at_once(self.source.layout.features))
        with torch.no_grad():
            for start in range(0, len(self.held_out), size):
                batch = model._batch(self.source, self.held_out[start : start + size])
                trace = view.trace(batch, Pass(generator, epoch=math.inf))
                cost = view.cost(trace)
                for penalty, weight in zip(view.penalties, self.weights, strict=True):
                    cost = cost + at(weight, math.inf) * penalty(trace)
                found.append(cost.double().cpu())
        return torch.cat(found).numpy()


# ---------------------------------------------------------------------- Optuna


def library() -> ModuleType:
    """Optuna, imported at the first call."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "tune", "A search of settings") from error
    return optuna


class Sampler:
    """Draws settings: some at random, then where those that cost little lie (tree-structured Parzen estimators)."""

    def __init__(self, space: Space, seed: int) -> None:
        optuna = library()
        self.usual = space.usual
        self.distributions = {
            knob.name: optuna.distributions.CategoricalDistribution(knob.choices)
            if knob.choices
            else optuna.distributions.FloatDistribution(knob.low, knob.high, log=True)
            for knob in space.knobs
        }
        with unsaid(optuna):
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM)
            self.study = optuna.create_study(sampler=sampler)

    def ask(self) -> Any:
        return self.study.ask(self.distributions)

    def tell(self, trial: Any, cost: float) -> None:
        """What a trial cost, NaN = it failed; None stands for the usual settings."""
        optuna = library()
        if trial is None:
            made = optuna.trial.create_trial(params=self.usual, distributions=self.distributions, value=cost)
            self.study.add_trial(made)
        elif math.isfinite(cost):
            self.study.tell(trial, cost)
        else:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)


@contextmanager
def unsaid(optuna: ModuleType) -> Iterator[None]:
    """Optuna says on the terminal that a study was made; how much it says is left as it was."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
