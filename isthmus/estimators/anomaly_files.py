"""A fitted `AnomalyDetector` as JSON data and named tensors, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from isthmus.alarms import Surprise
from isthmus.data import Form
from isthmus.data.doubled import Doubled
from isthmus.estimators import files
from isthmus.estimators.anomalies import AnomalyDetector
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.oddness import Cells, Wholes
from isthmus.estimators.oddness_of_numbers import Member, Numbers
from isthmus.estimators.oddness_of_steps import Steps
from isthmus.reasons import Conditional
from isthmus.records import from_json, to_json

WAYS: dict[str, type] = {"numbers": Numbers, "cells": Cells, "wholes": Wholes, "steps": Steps}


def state_of(detector: AnomalyDetector) -> tuple[dict[str, Any], dict[str, Any]]:
    """The detector as (JSON data, tensors)."""
    odd, kind = detector.oddness_, detector.autoencoder
    params = {**detector.get_params(deep=False), "autoencoder": None}
    params["random_state"] = params["random_state"] if isinstance(params["random_state"], (int, np.integer)) else None
    params["columns"] = None if not params["columns"] else [[k, v] for k, v in params["columns"].items()]
    form, form_tensors = detector.form_.state()
    inner = [files.state_of(model) for model in odd.models]
    spec = {
        "estimator": "AnomalyDetector",
        "params": to_json(params),
        "kind": None if kind is None or isinstance(kind, Autoencoder) else files.method_spec(kind),
        "brought": isinstance(kind, Autoencoder),
        "way": next(name for name, way in WAYS.items() if isinstance(odd, way)),
        "autoencoders": [one for one, _ in inner],
        "surprises": len(odd.surprises),
        "form": form,
        "named": hasattr(detector, "feature_names_in_"),
    }
    tensors: dict[str, Any] = {f"autoencoder{i}.{k}": v for i, (_, own) in enumerate(inner) for k, v in own.items()}
    tensors |= {f"surprise{i}": one.state() for i, one in enumerate(odd.surprises)}
    tensors |= {f"form.{k}": v for k, v in form_tensors.items()}
    tensors["recent"] = detector.recent_
    if isinstance(odd, Numbers):
        spec["moved"], spec["views"] = odd.moved, []
        for i, member in enumerate(odd.members):
            view, view_tensors = member.view.state()
            spec["views"].append(view)
            tensors |= {f"view{i}.{k}": v for k, v in view_tensors.items()}
            tensors |= {} if member.reference is None else {f"reference{i}": member.reference}
        tensors |= {"reasons.mean": odd.conditional.mean, "reasons.covariance": odd.conditional.covariance}
    if isinstance(odd, Cells):
        spec["new"] = odd.new
        tensors |= {f"far{i}": one.state() for i, one in enumerate(odd.far)}
        tensors |= {f"total{i}": one.state() for i, one in enumerate(odd.totals)}
    if isinstance(odd, Steps):
        tensors |= {f"steps.{k}": v for k, v in odd.state().items()}
    if isinstance(odd, Wholes):
        tensors |= {f"reference{i}": one for i, one in enumerate(odd.references)} | {"usual": odd.usual}
    return spec, tensors


def restored(
    spec: dict[str, Any], tensors: dict[str, Tensor], composition: Any = None, network: Any = None
) -> AnomalyDetector:
    """The inverse of `state_of`."""

    def group(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}

    def arrays(prefix: str) -> dict[str, np.ndarray]:
        return {name: v.numpy() for name, v in group(prefix).items()}

    models = [
        files.restored(one, group(f"autoencoder{i}."), composition, network)
        for i, one in enumerate(spec["autoencoders"])
    ]
    kind = models[0] if spec["brought"] else None if spec["kind"] is None else files.method_from(spec["kind"])
    params = from_json(spec["params"])
    params["columns"] = None if params["columns"] is None else dict(params["columns"])
    detector = AnomalyDetector(**{**params, "autoencoder": kind})
    detector.form_ = form = Form.restore(spec["form"], arrays("form."))
    surprises = [Surprise.restore(tensors[f"surprise{i}"].numpy()) for i in range(spec["surprises"])]
    if spec["way"] == "numbers":
        members = [
            Member(Doubled.restore(body, arrays(f"view{i}."), form.names), model, tensors.get(f"reference{i}"))
            for i, (body, model) in enumerate(zip(spec["views"], models, strict=True))
        ]
        conditional = Conditional.of(tensors["reasons.mean"], tensors["reasons.covariance"])
        detector.oddness_ = Numbers(members, surprises, conditional, spec["moved"])
    elif spec["way"] == "cells":
        far, totals = (
            [Surprise.restore(tensors[f"{name}{i}"].numpy()) for i in range(count)]
            for name, count in (("far", len(surprises)), ("total", 2))
        )
        detector.oddness_ = Cells(models, surprises, far, totals, float(spec["new"]))
    elif spec["way"] == "steps":
        detector.oddness_ = Steps.restore(arrays("steps."))
    else:
        references = [tensors[f"reference{i}"] for i in range(len(models)) if f"reference{i}" in tensors]
        detector.oddness_ = Wholes(models, references, tensors["usual"].numpy(), surprises)
    detector.recent_ = tensors["recent"].numpy().astype(np.float64)
    detector.n_features_in_ = form.layout.features
    if spec["named"]:
        detector.feature_names_in_ = np.asarray(form.names, dtype=object)
    detector._level()
    return detector
