"""A fitted `Denoiser` as JSON data and named tensors, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.estimators import files
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.denoiser import Denoiser
from isthmus.estimators.noise import corruption_of
from isthmus.estimators.signals import AXES, Range
from isthmus.records import from_json, to_json


def state_of(model: Denoiser) -> tuple[dict[str, Any], dict[str, Any]]:
    """The denoiser as (JSON data, tensors)."""
    inner, tensors = files.state_of(model.autoencoder_)
    kind, params = model.autoencoder, {**model.get_params(deep=False), "autoencoder": None}
    params["random_state"] = params["random_state"] if isinstance(params["random_state"], (int, np.integer)) else None
    spec = {
        "estimator": "Denoiser",
        "params": to_json(params),
        "kind": None if kind is None or isinstance(kind, Autoencoder) else files.method_spec(kind),
        "brought": isinstance(kind, Autoencoder),
        "autoencoder": inner,
        "axes": list(model.axes_),
        "grid": None if model.grid_ is None else list(model.grid_),
        "channels": model.channels_,
        "clips": model.clips_,
        "kept": model.kept_,
        "names": getattr(model, "feature_names_in_", np.array([])).tolist(),
        "range": {"whole": model.range_.whole, "bounded": model.range_.bounded},
    }
    kept = {f"autoencoder.{name}": value for name, value in tensors.items()}
    return spec, {**kept, "range.low": np.asarray(model.range_.low), "range.span": np.asarray(model.range_.span)}


def restored(spec: dict[str, Any], tensors: dict[str, Any], composition: Any = None, network: Any = None) -> Denoiser:
    """The inverse of `state_of`."""
    inner = {name.removeprefix("autoencoder."): v for name, v in tensors.items() if name.startswith("autoencoder.")}
    fitted = files.restored(spec["autoencoder"], inner, composition, network)
    kind = fitted if spec["brought"] else None if spec["kind"] is None else files.method_from(spec["kind"])
    model = Denoiser(**{**from_json(spec["params"]), "autoencoder": kind})
    model.autoencoder_ = fitted
    model.axes_ = tuple(spec["axes"])
    model.grid_ = None if spec["grid"] is None else tuple(spec["grid"])
    model.channels_ = spec["channels"]
    low, span = (tensors[f"range.{name}"].numpy() for name in ("low", "span"))
    model.range_ = Range(low, span, spec["range"]["whole"], bool(spec["range"]["bounded"]))
    model.clips_ = bool(spec["clips"])
    model.kept_ = float(spec.get("kept", 0.0))
    if spec.get("names"):
        model.feature_names_in_ = np.array(spec["names"], dtype=object)
    model.noise_ = corruption_of(model.noise, model.level, model.range_, model.clips_)
    if model.axes_ == AXES["table"]:
        model.n_features_in_ = model.grid_[0]  # type: ignore[index]
    return model
