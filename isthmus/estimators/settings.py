"""Fitting knobs: what the user left open is chosen here, from the size of the data and of the work."""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isthmus.checkpoints import Plan
from isthmus.checks import is_whole
from isthmus.data import Source
from isthmus.data.arrays import short
from isthmus.errors import InputError
from isthmus.files import cannot_write
from isthmus.recipes import Parts


def seed_of(random_state: Any) -> int:
    """A seed from what scikit-learn calls a random state; the global generator is never touched."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        if not 0 <= random_state < 2**32:
            raise InputError(f"random_state must be in 0..2**32 - 1; got {random_state}")
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    raise InputError(f"random_state must be None, a whole number or a NumPy generator; got {random_state!r}")


def whole(name: str, value: Any, least: int) -> int:
    if not is_whole(value) or value < least:
        raise InputError(f"{name} must be a whole number >= {least}; got {value!r}")
    return int(value)


def number(name: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = False) -> float:
    fits = isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and low <= value <= high
    if not fits or (open_low and value == low):
        sign = ">" if open_low else ">="
        limit = "" if math.isinf(high) else f" and <= {high:g}"
        raise InputError(f"{name} must be a number {sign} {low:g}{limit}; got {value!r}")
    return float(value)


def row_weights(sample_weight: Any, rows: int) -> np.ndarray:
    """(rows,) float64 of what the user gave."""
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"sample_weight must be numbers, one per row; got {short(sample_weight)}") from error
    if weight.ndim == 0:
        weight = np.full(rows, float(weight))
    if weight.shape != (rows,):
        raise InputError(f"sample_weight must have the shape ({rows},), one per row; got {weight.shape}")
    bad = np.flatnonzero(~np.isfinite(weight) | (weight < 0))
    if len(bad):
        raise InputError(f"sample_weight must be finite and >= 0; row {bad[0]} has {weight[bad[0]]:g}")
    return weight


def name_features(estimator: Any, names: Sequence[str] | None) -> None:
    """Set ``feature_names_in_``, or take it away where columns have no names, as scikit-learn has it."""
    if names is not None:
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_


def names_of(source: Source) -> tuple[str, ...] | None:
    """The names of columns as scikit-learn counts them: numbers of a frame's columns are none."""
    return None if source.numbered else source.names


def warn_of_names(estimator: Any, X: Any, source: Source) -> None:
    """Names on one side only, in scikit-learn's words: then columns are matched by position. Of files nothing is said,
    whose columns always have names."""
    if isinstance(X, (str, os.PathLike, Source)):
        return
    named, fitted_with_names = names_of(source) is not None, hasattr(estimator, "feature_names_in_")
    estimator_name = type(estimator).__name__
    if named and not fitted_with_names:
        warnings.warn(
            f"X has feature names, but {estimator_name} was fitted without feature names", UserWarning, stacklevel=5
        )
    if fitted_with_names and not named:
        warnings.warn(
            f"X does not have valid feature names, but {estimator_name} was fitted with feature names",
            UserWarning,
            stacklevel=5,
        )


def device_of(device: str) -> str:
    """``"auto"`` is a CUDA device where there is one, else the CPU."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device must be 'auto', 'cpu' or 'cuda'; got {device!r}") from error
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device must be 'auto', 'cpu' or 'cuda'; got {device!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} was asked for, but PyTorch sees no CUDA device here; use device='auto'")
    return device


def check_folder(path: str) -> None:
    """Make the folder of the checkpoints, or refuse it before the fit rather than in the midst of it."""
    if os.path.isfile(path):
        raise InputError(f"checkpoint must be a folder; {path!r} is a file")
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"checkpoint: {cannot_write(Path(path), error)}") from error


def batch_size_for(rows: int) -> int:
    """Small data needs many steps, large data fast ones: about the rows / 64, from 32 to 256."""
    return int(min(256, max(32, 2 ** round(math.log2(max(rows, 1) / 64))))) if rows > 64 else 32


def epochs_for(rows: int, batch_size: int) -> int:
    """Enough epochs for about 4,000 steps, from 20 to 300; fewer only where one epoch has over 2,000 steps."""
    steps = max(1, math.ceil(rows / batch_size))
    return int(min(300, max(20 if steps <= 2000 else 40_000 // steps, math.ceil(4000 / steps), 1)))


def held_out_share(validation_fraction: Any, rows: int) -> float:
    """A tenth where nothing is asked for, but at least 100 rows as long as those are at most a quarter: a handful
    of rows can neither choose an epoch nor judge a fit."""
    if validation_fraction is None:
        return max(0.1, min(100 / max(rows, 1), 0.25))
    return number("validation_fraction", validation_fraction, 0, 0.9)


def weight_decay_for(rows: int) -> float:
    """The fewer the rows, the more they are learnt by heart: 0.3 up to 4,400 rows, then falling with their root.

    Found on held-out rows: 0.25 to 0.5 was best for 1,000 to 1,400 rows, about 0.1 for 54,000 of MNIST.
    """
    return min(0.3, 20.0 / math.sqrt(rows))


def plan_for(knobs: dict[str, Any], rows: int, held_out: int, seed: int, parts: Any) -> Plan:
    """Check an estimator's fitting knobs and fill in those left open.

    ``parts`` knows the learning rate and the weight decay that suit the kind; a user's own composition gets the
    usual rate and no decay.
    """
    rows = max(rows, 1)
    batch_size = batch_size_for(rows) if knobs["batch_size"] is None else whole("batch_size", knobs["batch_size"], 1)
    least = 0 if getattr(parts, "pretraining", None) is not None else 1  # none: the layers are not trained as one
    epochs = epochs_for(rows, batch_size) if knobs["epochs"] is None else whole("epochs", knobs["epochs"], least)
    early = knobs["early_stopping"]
    if early is True:
        patience = max(10, epochs // 5)
    else:
        patience = 0 if early is False or early is None else whole("early_stopping", early, 1)
    rate, decay = Parts.learning_rate, 0.0
    if isinstance(parts, Parts):
        rate, decay = parts.learning_rate, weight_decay_for(rows) if parts.weight_decay is None else parts.weight_decay
    if knobs["learning_rate"] is not None:
        rate = number("learning_rate", knobs["learning_rate"], 0, open_low=True)
    if knobs["weight_decay"] is not None:
        decay = number("weight_decay", knobs["weight_decay"], 0)
    folder = knobs["checkpoint"]
    if folder is not None and not isinstance(folder, (str, os.PathLike)):
        raise InputError(f"checkpoint must be the path of a folder, or None; got {folder!r}")
    return Plan(
        epochs=epochs,
        batch_size=min(batch_size, rows),
        learning_rate=rate,
        weight_decay=decay,
        seed=seed,
        patience=patience if held_out else 0,
        target=0.0 if knobs["target"] is None else number("target", knobs["target"], 0),
        max_time=math.inf if knobs["max_time"] is None else number("max_time", knobs["max_time"], 0, open_low=True),
        device=device_of(knobs["device"]),
        checkpoint=None if folder is None else str(Path(folder)),
        checkpoint_every=number("checkpoint_every", knobs["checkpoint_every"], 0),
    )
