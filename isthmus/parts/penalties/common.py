"""Penalties: terms of the objective that need the batch, a layer's activations, or the weights.

A penalty is called with the `Trace` and returns a scalar or (n,); its ``weight`` is a number or a schedule.
"""

from __future__ import annotations

from isthmus.errors import InputError
from isthmus.records import Schedule


def check_weight(name: str, weight: Schedule) -> None:
    if not callable(weight) and not weight >= 0:
        raise InputError(f"{name}: weight must be >= 0; got {weight!r}")
