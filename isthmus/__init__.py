"""isthmus: autoencoders for data without labels.

    import isthmus as ist

    ae = ist.Autoencoder(code_size=16).fit(X)
    Z = ae.transform(X)

The public names below are loaded when they are first used, so that ``import isthmus`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isthmus.version import VERSION as __version__

if TYPE_CHECKING:
    from isthmus import data, recipes
    from isthmus.composition import Composition, compose
    from isthmus.diagnostics import Diagnosis, Verdict
    from isthmus.errors import (
        CollapseWarning,
        DataWarning,
        FileFormatError,
        InputError,
        MissingExtraError,
        TrainingError,
    )
    from isthmus.estimators.autoencoder import Autoencoder
    from isthmus.estimators.comparison import compare
    from isthmus.estimators.files import load
    from isthmus.parts.bottlenecks.plain import Plain
    from isthmus.parts.corruptions import GaussianNoise, Mask, RowSwap, SaltPepper
    from isthmus.parts.losses.categories import Bernoulli
    from isthmus.parts.losses.scaled import Absolute, Squared
    from isthmus.parts.networks.dense import Dense
    from isthmus.parts.penalties.sparsity import L1
    from isthmus.parts.penalties.weights import WeightDecay
    from isthmus.parts.schedules import Ramp
    from isthmus.recipes import RECIPES, Kind, Parts
    from isthmus.records import Batch, Code, Context, Layout, Pass, Seen, Trace

HOMES = {
    "isthmus.composition": "Composition compose",
    "isthmus.diagnostics": "Diagnosis Verdict",
    "isthmus.errors": "CollapseWarning DataWarning FileFormatError InputError MissingExtraError TrainingError",
    "isthmus.estimators.autoencoder": "Autoencoder",
    "isthmus.estimators.comparison": "compare",
    "isthmus.estimators.files": "load",
    "isthmus.parts.bottlenecks.plain": "Plain",
    "isthmus.parts.corruptions": "GaussianNoise Mask RowSwap SaltPepper",
    "isthmus.parts.losses.categories": "Bernoulli",
    "isthmus.parts.losses.scaled": "Absolute Squared",
    "isthmus.parts.networks.dense": "Dense",
    "isthmus.parts.penalties.sparsity": "L1",
    "isthmus.parts.penalties.weights": "WeightDecay",
    "isthmus.parts.schedules": "Ramp",
    "isthmus.recipes": "RECIPES Kind Parts",
    "isthmus.records": "Batch Code Context Layout Pass Seen Trace",
}
"""Where each public name lives."""

PUBLIC = {name: home for home, names in HOMES.items() for name in names.split()}
MODULES = ("data", "recipes")

__all__ = [*sorted(PUBLIC), *MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    if name in MODULES:
        return importlib.import_module(f"isthmus.{name}")
    raise AttributeError(f"module 'isthmus' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
