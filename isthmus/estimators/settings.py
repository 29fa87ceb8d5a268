"""Fitting knobs: what the user left open is chosen here, from the size of the data and of the work."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isthmus.checkpoints import Plan
from isthmus.errors import InputError


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
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} must be a whole number >= {least}; got {value!r}")
    return int(value)


def number(name: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = False) -> float:
    fits = isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and low <= value <= high
    if not fits or (open_low and value == low):
        sign = ">" if open_low else ">="
        limit = "" if math.isinf(high) else f" and <= {high:g}"
        raise InputError(f"{name} must be a number {sign} {low:g}{limit}; got {value!r}")
    return float(value)


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


def batch_size_for(rows: int) -> int:
    """Small data needs many steps, large data fast ones: about the rows / 64, from 32 to 256."""
    return int(min(256, max(32, 2 ** round(math.log2(max(rows, 1) / 64))))) if rows > 64 else 32


def epochs_for(rows: int, batch_size: int) -> int:
    """Enough epochs for about 4,000 steps, from 20 to 300; fewer only where one epoch has over 2,000 steps."""
    steps = max(1, math.ceil(rows / batch_size))
    return int(min(300, max(20 if steps <= 2000 else 40_000 // steps, math.ceil(4000 / steps), 1)))


def plan_for(knobs: dict[str, Any], rows: int, held_out: int, seed: int, rate: float) -> Plan:
    """Check an estimator's fitting knobs and fill in those left open; ``rate`` is the kind's learning rate."""
    rows = max(rows, 1)
    batch_size = batch_size_for(rows) if knobs["batch_size"] is None else whole("batch_size", knobs["batch_size"], 1)
    epochs = epochs_for(rows, batch_size) if knobs["epochs"] is None else whole("epochs", knobs["epochs"], 1)
    early = knobs["early_stopping"]
    if early is True:
        patience = max(10, epochs // 5)
    else:
        patience = 0 if early is False or early is None else whole("early_stopping", early, 1)
    if knobs["learning_rate"] is not None:
        rate = number("learning_rate", knobs["learning_rate"], 0, open_low=True)
    folder = knobs["checkpoint"]
    return Plan(
        epochs=epochs,
        batch_size=min(batch_size, rows),
        learning_rate=rate,
        seed=seed,
        patience=patience if held_out else 0,
        target=0.0 if knobs["target"] is None else number("target", knobs["target"], 0),
        max_time=math.inf if knobs["max_time"] is None else number("max_time", knobs["max_time"], 0, open_low=True),
        device=device_of(knobs["device"]),
        checkpoint=None if folder is None else str(Path(folder)),
        checkpoint_every=number("checkpoint_every", knobs["checkpoint_every"], 0),
    )
