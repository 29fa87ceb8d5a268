"""A fitted `Generator` as JSON data and named tensors, and back."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

import numpy as np
from torch import Tensor

from isthmus.data import Form
from isthmus.estimators import files
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.generation_of_cells import CellsDrawn
from isthmus.estimators.generation_of_codes import CodesDrawn
from isthmus.estimators.generator import Generator
from isthmus.recipes import Kind, Parts
from isthmus.records import from_json, to_json

KINDS = (str, Kind, Parts)

WAYS: dict[str, Any] = {"codes": CodesDrawn, "cells": CellsDrawn}


def state_of(generator: Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    """The generator as (JSON data, tensors)."""
    kind, params = generator.autoencoder, generator.get_params(deep=False)
    seed, columns, prior = params["random_state"], params["columns"], params["prior"]
    params |= {
        "autoencoder": None,
        "prior": prior if isinstance(prior, str) or is_dataclass(prior) else "auto",
        "random_state": seed if isinstance(seed, (int, np.integer)) else None,
        "columns": None if not columns else [[name, what] for name, what in columns.items()],
    }
    spec, parts = {"estimator": "Generator", "params": to_json(params), "way": generator.way_}, {}
    spec["brought"] = isinstance(kind, Autoencoder)
    spec["kind"] = None if kind is None or not isinstance(kind, KINDS) else files.method_spec(kind)
    spec["autoencoder"], parts["autoencoder"] = files.state_of(generator.autoencoder_)
    spec["drawing"], parts["drawing"] = generator.drawing_.state()
    spec["form"], parts["form"] = generator.form_.state()
    spec["named"] = hasattr(generator, "feature_names_in_")
    return spec, {f"{part}.{name}": value for part, its in parts.items() for name, value in its.items()}


def restored(
    spec: dict[str, Any], tensors: dict[str, Tensor], composition: Any = None, network: Any = None
) -> Generator:
    """The inverse of `state_of`."""
    parts: dict[str, dict[str, Tensor]] = {"autoencoder": {}, "drawing": {}, "form": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    model = files.restored(spec["autoencoder"], parts["autoencoder"], composition, network)
    form = Form.restore(spec["form"], {name: value.numpy() for name, value in parts["form"].items()})
    params = from_json(spec["params"])
    kind = model if spec["brought"] else composition if spec["kind"] is None else files.method_from(spec["kind"])
    columns = None if params["columns"] is None else dict(params["columns"])
    made = Generator(**{**params, "autoencoder": kind, "columns": columns})
    made.drawing_ = WAYS[spec["way"]].restore(spec["drawing"], parts["drawing"], [model], form)
    made.form_, made.n_features_in_ = form, form.layout.features
    if spec["named"]:
        made.feature_names_in_ = np.asarray(form.names, dtype=object)
    return made
