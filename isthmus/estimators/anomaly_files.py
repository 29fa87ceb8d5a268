"""A fitted `AnomalyDetector` as JSON data and named tensors, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from isthmus.data import Form
from isthmus.estimators import files
from isthmus.estimators.anomalies import AnomalyDetector
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.cascade import Cascade
from isthmus.estimators.oddness_of_cells import Cells
from isthmus.estimators.oddness_of_numbers import Numbers
from isthmus.estimators.oddness_of_steps import Steps
from isthmus.estimators.oddness_of_wholes import Wholes
from isthmus.records import from_json, to_json

WAYS: dict[str, Any] = {"numbers": Numbers, "cells": Cells, "wholes": Wholes, "cascade": Cascade, "steps": Steps}


def state_of(detector: AnomalyDetector) -> tuple[dict[str, Any], dict[str, Any]]:
    """The detector as (JSON data, tensors)."""
    odd, kind = detector.oddness_, detector.autoencoder
    params = {**detector.get_params(deep=False), "autoencoder": None}
    params["random_state"] = params["random_state"] if isinstance(params["random_state"], (int, np.integer)) else None
    params["columns"] = None if not params["columns"] else [[k, v] for k, v in params["columns"].items()]
    form, form_tensors = detector.form_.state()
    own, own_tensors = odd.state()
    inner = [files.state_of(model) for model in odd.models]
    spec = {
        "estimator": "AnomalyDetector",
        "params": to_json(params),
        "kind": None if kind is None or isinstance(kind, Autoencoder) else files.method_spec(kind),
        "brought": isinstance(kind, Autoencoder),
        "way": next(name for name, way in WAYS.items() if isinstance(odd, way)),
        "autoencoders": [one for one, _ in inner],
        "oddness": own,
        "form": form,
        "named": hasattr(detector, "feature_names_in_"),
    }
    tensors: dict[str, Any] = {f"autoencoder{i}.{k}": v for i, (_, its) in enumerate(inner) for k, v in its.items()}
    tensors |= {f"oddness.{k}": v for k, v in own_tensors.items()}
    tensors |= {f"form.{k}": v for k, v in form_tensors.items()}
    tensors["recent"] = detector.recent_
    return spec, tensors


def restored(
    spec: dict[str, Any], tensors: dict[str, Tensor], composition: Any = None, network: Any = None
) -> AnomalyDetector:
    """The inverse of `state_of`."""

    def group(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}

    models = [
        files.restored(one, group(f"autoencoder{i}."), composition, network)
        for i, one in enumerate(spec["autoencoders"])
    ]
    kind = models[0] if spec["brought"] else None if spec["kind"] is None else files.method_from(spec["kind"])
    params = from_json(spec["params"])
    params["columns"] = None if params["columns"] is None else dict(params["columns"])
    detector = AnomalyDetector(**{**params, "autoencoder": kind})
    detector.form_ = form = Form.restore(spec["form"], {name: v.numpy() for name, v in group("form.").items()})
    detector.oddness_ = WAYS[spec["way"]].restore(spec["oddness"], group("oddness."), models, form)
    detector.recent_ = tensors["recent"].numpy().astype(np.float64)
    detector.n_features_in_ = form.layout.features
    if spec["named"]:
        detector.feature_names_in_ = np.asarray(form.names, dtype=object)
    detector._level()
    return detector
