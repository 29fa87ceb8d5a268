"""Penalties: terms of the objective that need the batch, a layer's activations, or the weights.

A penalty is called with the `Trace` and returns a scalar or (n,); its ``weight`` is a number or a schedule.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.records import Schedule, Trace


def check_weight(name: str, weight: Schedule) -> None:
    if not callable(weight) and not (is_real(weight) and 0 <= weight < math.inf):
        raise InputError(f"{name}: weight must be >= 0 and finite; got {weight!r}")


def units_of(layer: str, trace: Trace) -> Tensor:
    """(n, units): the code's deterministic representation, or the output of a named layer."""
    return trace.code.point if layer == "code" else trace.activations[layer].flatten(1)


class Remembering(nn.Module):
    """Base of penalties that keep figures per unit, whose number is known at the first batch only.

    Buffers start empty; a saved one of any size can be loaded.
    """

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            if prefix + name in state_dict:
                setattr(self, name, buffer.new_empty(state_dict[prefix + name].shape))
        super()._load_from_state_dict(state_dict, prefix, *others)
