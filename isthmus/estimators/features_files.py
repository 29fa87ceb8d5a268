"""A fitted `FeatureLearner` as JSON data and named tensors, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from isthmus.estimators import files
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.features import FeatureLearner
from isthmus.recipes import Kind, Parts
from isthmus.records import from_json, to_json

KINDS = (str, Kind, Parts)

FIGURES = {"centre": "centre_", "spread": "spread_", "importances": "feature_importances_"}
"""The arrays of a file, and the attributes that they are."""


def state_of(learner: FeatureLearner) -> tuple[dict[str, Any], dict[str, Any]]:
    """The learner as (JSON data, tensors)."""
    kind, params = learner.autoencoder, learner.get_params(deep=False)
    inner, tensors = files.state_of(learner.autoencoder_)
    params["autoencoder"], params["random_state"] = None, fixed_seed(params["random_state"])
    params["columns"] = None if not params["columns"] else [[name, what] for name, what in params["columns"].items()]
    spec = {
        "estimator": "FeatureLearner",
        "params": to_json(params),
        "brought": isinstance(kind, Autoencoder),
        "kind": files.method_spec(kind) if isinstance(kind, KINDS) else None,
        "autoencoder": inner,
        "named": hasattr(learner, "feature_names_in_"),
    }
    arrays = {name: getattr(learner, attribute) for name, attribute in FIGURES.items()}
    return spec, {**arrays, **{f"autoencoder.{name}": values for name, values in tensors.items()}}


def restored(
    spec: dict[str, Any], tensors: dict[str, Tensor], composition: Any = None, network: Any = None
) -> FeatureLearner:
    """The inverse of `state_of`."""
    model = files.restored(spec["autoencoder"], part_of(tensors, "autoencoder."), composition, network)
    params = from_json(spec["params"])
    kind = model if spec["brought"] else composition if spec["kind"] is None else files.method_from(spec["kind"])
    columns = None if params["columns"] is None else dict(params["columns"])
    made = FeatureLearner(**{**params, "autoencoder": kind, "columns": columns})
    for name, attribute in FIGURES.items():
        setattr(made, attribute, tensors[name].numpy())
    made.autoencoder_, made.n_features_in_ = model, model.n_features_in_
    if spec["named"]:
        made.feature_names_in_ = model.feature_names_in_
    return made


def fixed_seed(random_state: Any) -> int | None:
    """A seed can be kept in a file, a generator cannot."""
    return int(random_state) if isinstance(random_state, (int, np.integer)) else None


def part_of(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors of one part, by their names there."""
    return {name.removeprefix(prefix): values for name, values in tensors.items() if name.startswith(prefix)}
