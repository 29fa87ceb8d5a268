"""A fitted `Selector` as JSON data and named tensors, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.estimators import files
from isthmus.estimators.selecting import Selector
from isthmus.records import from_json, to_json

ARRAYS = ("columns_", "importances_")


def state_of(model: Selector) -> tuple[dict[str, Any], dict[str, Any]]:
    """The selector as (JSON data, tensors)."""
    inner, tensors = files.state_of(model.autoencoder_)
    params = model.get_params(deep=False)
    params["random_state"] = params["random_state"] if isinstance(params["random_state"], (int, np.integer)) else None
    params["columns"] = None if not params["columns"] else [[key, value] for key, value in params["columns"].items()]
    spec = {"estimator": "Selector", "params": to_json(params), "autoencoder": inner, "errors": model.errors_}
    kept = {f"autoencoder.{name}": value for name, value in tensors.items()}
    kept |= {name: getattr(model, name) for name in ARRAYS}
    if model.kept_ is not None:
        kept["kept_"] = np.asarray(model.kept_, dtype=np.int64)
    return spec, kept


def restored(spec: dict[str, Any], tensors: dict[str, Any], composition: Any = None, network: Any = None) -> Selector:
    """The inverse of `state_of`."""
    params = from_json(spec["params"])
    params["columns"] = None if params["columns"] is None else dict(params["columns"])
    model = Selector(**params)
    inner = {name.removeprefix("autoencoder."): v for name, v in tensors.items() if name.startswith("autoencoder.")}
    model.autoencoder_ = files.restored(spec["autoencoder"], inner, composition, network)
    for name in ARRAYS:
        setattr(model, name, tensors[name].numpy())
    model.kept_ = tuple(tensors["kept_"].tolist()) if "kept_" in tensors else None
    model.errors_ = dict(spec["errors"])
    model.n_features_in_ = model.autoencoder_.n_features_in_
    if hasattr(model.autoencoder_, "feature_names_in_"):
        model.feature_names_in_ = model.autoencoder_.feature_names_in_
    return model
