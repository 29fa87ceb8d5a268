"""`TunedClassifier` and `TunedRegressor`: models that start from features learnt without labels."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from isthmus import storage
from isthmus.checks import counted, did_you_mean
from isthmus.data import Source
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.features import FeatureLearner
from isthmus.estimators.modes import FEWEST, MODES, Task
from isthmus.estimators.settings import number, seed_of, whole
from isthmus.estimators.targets import Targets, class_targets, number_targets
from isthmus.estimators.tuning import RATES, answers

STEPS, EPOCHS = 200, 10
"""Steps of training at least, and passes over many labels."""

MOST_UNLABELLED = 100_000
"""Unlabelled rows that are drawn from, at most."""


class TunedModel(BaseEstimator):
    """What `TunedClassifier` and `TunedRegressor` share."""

    def fit(self, X: Any, y: Any, *, unlabelled: Any = None) -> Any:
        """Teach with the labelled rows of ``X``.

        Parameters
        ----------
        X : rows like those that the features were learnt from.
        y : their labels; a row whose label is not known counts as unlabelled.
        unlabelled : more rows without labels, for the mode ``"semi_supervised"``; they may hold those of ``X``.

        Returns
        -------
        self

        Raises
        ------
        InputError : the labels or a parameter cannot be used; the estimator then stays as it was.

        Warns
        -----
        DataWarning : so few labels that none, or fewer than 10, can be held out to choose by.
        """
        if not isinstance(self.learner, FeatureLearner):
            raise InputError(f"learner must be a FeatureLearner; got {type(self.learner).__name__}")
        learner = self.learner if hasattr(self.learner, "autoencoder_") else clone(self.learner).fit(X)
        source = learner._source(X)
        targets = self._targets(y, source.rows)
        known = targets.known
        others, other_rows = self._others(learner, source, known, unlabelled)
        modes = self._modes(len(other_rows))
        rows = np.flatnonzero(known)
        task = self._task(learner, source, rows, targets.take(rows), others, other_rows)
        choice = task.chosen(modes)
        if any(math.isnan(score) for score in choice.scores.values()):
            warnings.warn(
                f"y: of {counted(len(rows), 'labelled row')} none can be held out, so nothing tells how good the model "
                "is, or which mode is best. Label at least two rows of each class",
                DataWarning,
                stacklevel=3,
            )
        elif len(modes) > 1 and choice.held_out < FEWEST:
            warnings.warn(
                f"y: of {counted(len(rows), 'labelled row')} {choice.held_out} can be held out, too few to tell which "
                f"mode is best: the simplest, {choice.mode!r}, is taken. Label more rows, or choose with mode=",
                DataWarning,
                stacklevel=3,
            )
        self.learner_, self.network_ = learner, choice.network.eval()
        self.mode_, self.scores_ = choice.mode, choice.scores
        self._remember(targets)
        return self

    def _task(
        self,
        learner: FeatureLearner,
        source: Source,
        rows: np.ndarray,
        targets: Targets,
        others: Source,
        other_rows: np.ndarray,
    ) -> Task:
        """The parameters, checked, and what was left open chosen."""
        labels, share = len(rows), self.validation_fraction
        size = min(128, 2 ** max(3, round(math.log2(labels / 16 + 1)) + 1)) if self.batch_size is None else 0
        size = size or whole("batch_size", self.batch_size, 1)
        passes = EPOCHS if self.epochs is None else whole("epochs", self.epochs, 1)
        steps = passes * max(1, labels // size)
        rate = None if self.learning_rate is None else number("learning_rate", self.learning_rate, 0, open_low=True)
        return Task(
            learner.autoencoder_,
            learner.layer,
            learner.centre_,
            learner.spread_,
            source,
            rows,
            targets,
            others,
            other_rows,
            None if share is None else number("validation_fraction", share, 0, 0.9, open_low=True),
            size,
            max(steps, STEPS) if self.epochs is None else steps,
            {mode: usual if rate is None else rate for mode, usual in RATES.items()},
            seed_of(self.random_state),
            math.inf if self.max_time is None else number("max_time", self.max_time, 0, open_low=True),
            self.verbose,
        )

    def _others(
        self, learner: FeatureLearner, source: Source, known: np.ndarray, unlabelled: Any
    ) -> tuple[Source, np.ndarray]:
        """The unlabelled rows: those given, or those of ``X`` without a label."""
        others = source if unlabelled is None else learner._source(unlabelled, "unlabelled")
        rows = np.flatnonzero(~known) if unlabelled is None else np.arange(others.rows)
        return others, rows[:: max(1, math.ceil(len(rows) / MOST_UNLABELLED))]

    def _modes(self, unlabelled: int) -> tuple[str, ...]:
        """The modes to try."""
        if not isinstance(self.mode, str) or self.mode not in ("auto", *MODES):
            raise InputError(f"mode: there is no {self.mode!r}.{did_you_mean(self.mode, ('auto', *MODES))}")
        if self.mode == "auto":
            return MODES if unlabelled else MODES[:-1]
        if self.mode == "semi_supervised" and not unlabelled:
            raise InputError(
                "mode='semi_supervised' learns from rows without labels too: give them as unlabelled=, or in X, with "
                "None, NaN or -1 (among classes) for their label"
            )
        return (self.mode,)

    def _out(self, X: Any) -> np.ndarray:
        """(n, outputs) float64: what the network says of rows."""
        check_is_fitted(self, "network_")
        source = self.learner_._source(X)
        return answers(self.network_, (batch for _, _, batch in self.learner_.autoencoder_._batches(source, most=4096)))

    def _targets(self, y: Any, rows: int) -> Targets:
        raise NotImplementedError

    def _remember(self, targets: Targets) -> None:
        raise NotImplementedError

    @property
    def n_features_in_(self) -> int:
        if not hasattr(self, "learner_"):
            raise AttributeError("n_features_in_")
        return self.learner_.n_features_in_

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted model as one ``.safetensors`` file: tensors and JSON, never code; `load` reads it."""
        from isthmus.estimators.fine_tuning_files import state_of

        check_is_fitted(self, "network_")
        storage.write(path, *state_of(self))
        return Path(path)

    def __sklearn_clone__(self) -> Any:
        """A new one of the same parameters; features that were learnt are kept, as they are what it starts from."""
        fitted = hasattr(self.learner, "autoencoder_")
        params = {name: clone(value, safe=False) for name, value in self.get_params(deep=False).items()}
        return type(self)(**{**params, "learner": self.learner if fitted else params["learner"]})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.non_deterministic = self.random_state is None
        return tags


def tells_one_of_several(model: Any) -> bool:
    return not getattr(model, "several_", False)


class TunedClassifier(ClassifierMixin, TunedModel):
    """A classifier on features that a `FeatureLearner` learnt without labels.

    Parameters
    ----------
    learner : a `FeatureLearner`; one that is not fitted is fitted to the rows of `fit`, labelled or not.
    mode : ``"probe"``, a linear head on features that stay as they are; ``"frozen"``, a head with a hidden layer on
        such features; ``"full"``, a linear head, and the encoder goes on learning with it, at a smaller rate, from
        rows varied and corrupted as they were when it was fitted; ``"semi_supervised"``, the same, and beside it
        unlabelled rows: what is said of a row for sure must be said of it under noise too; ``"auto"``, the one with the
        best held-out score, where equally good ones count by simplicity; the probe where fewer than 10 labels can be
        held out.
    class_weight : ``"balanced"``, every class counts alike, each row as n / (classes * rows of its class); None, every
        row counts alike.
    validation_fraction : the share of the labels that is held out to choose strengths, steps and the mode, in
        (0, 0.9]; None = each label is held out once where there are fewer than 1,000, else a fifth are. In any case
        the model is then taught with all labels, for as many steps as were best.
    epochs, batch_size, learning_rate : of the training of heads and encoders; None = chosen from the number of labels.
    max_time : seconds for teaching and judging, but for linear heads; None = no limit. Modes whose turn does not come
        are not tried.
    random_state : int, NumPy generator or None.
    verbose : 0 = silent; 1 = tell how the modes do.

    Attributes
    ----------
    classes_ : (classes,) the classes, sorted; with several labels at once their numbers.
    mode_ : the mode that was chosen, such as ``"probe"``.
    scores_ : dict, the held-out score of every mode that was tried: the share of right answers, in [0, 1], in which
        with ``class_weight="balanced"`` every class counts alike (balanced accuracy); in `score` every row does. The
        best one is a little too good, as it was chosen by it.

    Notes
    -----
    With y (n, labels) of 0 and 1 a row can have several labels at once; then `predict` gives (n, labels), and
    `predict_proba` (n, labels), the probability of each.

    References
    ----------
    Kumar, Raghunathan, Jones, Ma & Liang 2022, Fine-tuning can distort pretrained features and underperform
    out-of-distribution (a linear head first); Tarvainen & Valpola 2017, Mean teachers are better role models; Sohn et
    al. 2020, FixMatch (what is sure teaches noisy rows).

    Examples
    --------
    >>> import isthmus as ist
    >>> from isthmus.estimators.fine_tuning import TunedClassifier
    >>> X, y = ist.data.digits()
    >>> learner = ist.FeatureLearner(code_size=16, epochs=2, random_state=0).fit(X)
    >>> model = TunedClassifier(learner, mode="probe", random_state=0).fit(X[:200], y[:200])
    >>> model.predict_proba(X[200:]).shape, bool(model.score(X[200:], y[200:]) > 0.5)
    ((1597, 10), True)
    """

    def __init__(
        self,
        learner: Any = None,
        *,
        mode: str = "auto",
        class_weight: str | None = "balanced",
        validation_fraction: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        max_time: float | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.learner = learner
        self.mode = mode
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_time = max_time
        self.random_state = random_state
        self.verbose = verbose

    def _targets(self, y: Any, rows: int) -> Targets:
        return class_targets(y, rows, self.class_weight)

    def _remember(self, targets: Targets) -> None:
        self.classes_, self.several_ = targets.classes, targets.kind == "labels"

    def decision_function(self, X: Any) -> np.ndarray:
        """(n, classes) the log-odds up to a constant of each row; (n,) of the second class where there are two; with
        several labels at once (n, labels) the log-odds of each."""
        out = self._out(X)
        return out[:, 1] - out[:, 0] if not self.several_ and out.shape[1] == 2 else out

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, classes) how probable each class is; with several labels at once each label by itself."""
        out = torch.from_numpy(self._out(X))
        return (out.sigmoid() if self.several_ else out.softmax(1)).numpy()

    @available_if(tells_one_of_several)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """(n, classes) the logarithm of `predict_proba`."""
        return torch.from_numpy(self._out(X)).log_softmax(1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """(n,) the most probable class; with several labels at once (n, labels) of 0 and 1."""
        out = self._out(X)
        return (out > 0).astype(np.int64) if self.several_ else self.classes_[out.argmax(1)]


class TunedRegressor(RegressorMixin, TunedModel):
    """A regressor on features that a `FeatureLearner` learnt without labels.

    Parameters
    ----------
    learner, mode, validation_fraction, epochs, batch_size, learning_rate, max_time, random_state, verbose : as for
        `TunedClassifier`.

    Attributes
    ----------
    mode_ : the mode that was chosen, such as ``"probe"``.
    scores_ : dict, the held-out score of every mode that was tried: the share of the variance that is explained.

    Examples
    --------
    >>> import isthmus as ist
    >>> from isthmus.estimators.fine_tuning import TunedRegressor
    >>> X = ist.data.digits()[0]
    >>> ink = X.mean((1, 2))
    >>> learner = ist.FeatureLearner(code_size=16, epochs=2, random_state=0).fit(X)
    >>> model = TunedRegressor(learner, mode="probe", random_state=0).fit(X[:200], ink[:200])
    >>> model.predict(X[200:]).shape, bool(model.score(X[200:], ink[200:]) > 0)
    ((1597,), True)
    """

    def __init__(
        self,
        learner: Any = None,
        *,
        mode: str = "auto",
        validation_fraction: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        max_time: float | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.learner = learner
        self.mode = mode
        self.validation_fraction = validation_fraction
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_time = max_time
        self.random_state = random_state
        self.verbose = verbose

    def _targets(self, y: Any, rows: int) -> Targets:
        return number_targets(y, rows)

    def _remember(self, targets: Targets) -> None:
        self.centre_, self.spread_, self.flat_ = targets.centre, targets.spread, targets.flat

    def predict(self, X: Any) -> np.ndarray:
        """(n,) or (n, outputs) the expected numbers, in the units of y."""
        out = self._out(X) * self.spread_ + self.centre_
        return out[:, 0] if self.flat_ else out
