"""Can the decoder's output reach the data? An output of 0 to 1 rebuilds no standardised column."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from isthmus.verdicts import Verdict, percent

UNREACHABLE_SHARE = 0.01
"""The share of cells outside the output's range above which the verdict is bad."""


def unreachable(x: Tensor, reach: tuple[float, float] | None) -> np.ndarray:
    """(features,): the share of each column's cells that the output cannot reach."""
    flat = x.flatten(1)
    if reach is None:
        return np.zeros(flat.shape[1])
    slack = 1e-6 * max([1.0, *(abs(end) for end in reach if math.isfinite(end))])
    outside = (flat < reach[0] - slack) | (flat > reach[1] + slack)
    return outside.double().mean(0).cpu().numpy()


def range_verdict(outside: np.ndarray, reach: tuple[float, float] | None, names: tuple[str, ...] | None) -> Verdict:
    """An output that cannot reach the data: ``outside`` is the share of each column's cells out of reach."""
    name, share = "output range", float(outside.mean())
    if reach is None or share == 0:
        return Verdict(name, "good", "The decoder's output can reach every value in these rows.", 0.0)
    worst = int(outside.argmax())
    column = repr(names[worst]) if names is not None else f"number {worst}"
    sentence = (
        f"The decoder's output lies between {reach[0]:.4g} and {reach[1]:.4g} (scaled), and {percent(share)} of the "
        f"cells do not; most of all those of column {column} ({percent(float(outside[worst]))})."
    )
    level = "bad" if share > UNREACHABLE_SHARE else "note"
    return Verdict(name, level, sentence, share, "the output_activation 'identity', or a scaling into that range.")
