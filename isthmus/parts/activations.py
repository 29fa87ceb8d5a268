"""Activations by name, and what values each can give."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

SHRINK = 0.5
"""Inputs up to this size become 0 under ``shrink``."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "saturated_linear": F.hardtanh,
    "shrink": partial(F.softshrink, lambd=SHRINK),
}
"""``saturated_linear`` is the input cut off at -1 and 1; ``shrink`` moves it towards 0 by 0.5, and no further."""

IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "leaky_relu": F.leaky_relu_,
    "elu": F.elu_,
    "selu": torch.selu_,
    "silu": partial(F.silu, inplace=True),
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
    "saturated_linear": F.hardtanh_,
}
"""Those that can overwrite their input: where no gradient is wanted, that saves a third of the memory traffic."""

REACH: dict[str, tuple[float, float]] = {
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "saturated_linear": (-1.0, 1.0),
    "elu": (-1.0, math.inf),
    "selu": (-1.7581, math.inf),
    "gelu": (-0.17, math.inf),
    "silu": (-0.2785, math.inf),
}
"""The values an activation can give, for those that cannot give all."""
