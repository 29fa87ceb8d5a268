"""A fitted `Autoencoder` as JSON data and named tensors, and back."""

from __future__ import annotations

import dataclasses
import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from isthmus import storage
from isthmus.composition import Composition
from isthmus.data import Form, Scaling
from isthmus.data.classes import class_tensors, classes_from
from isthmus.data.given import Conditions
from isthmus.diagnostics import FitRecord
from isthmus.errors import FileFormatError, InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.fitting import build
from isthmus.parts.networks.modules import Modules
from isthmus.recipes import Kind, Parts
from isthmus.records import Site, built, from_json, to_json
from isthmus.version import VERSION

HOMES = {
    "Autoencoder": "isthmus.estimators.files",
    "Denoiser": "isthmus.estimators.denoiser_files",
    "AnomalyDetector": "isthmus.estimators.anomaly_files",
    "Generator": "isthmus.estimators.generator_files",
    "Retriever": "isthmus.estimators.retriever_files",
    "Compressor": "isthmus.estimators.compressor_files",
    "Recommender": "isthmus.estimators.recommender_files",
    "Selector": "isthmus.estimators.selecting_files",
    "FeatureLearner": "isthmus.estimators.features_files",
    "TunedClassifier": "isthmus.estimators.fine_tuning_files",
    "TunedRegressor": "isthmus.estimators.fine_tuning_files",
}
"""The module of every estimator that a file may hold; ``restored(spec, tensors, composition, network)`` makes it."""


def state_of(model: Autoencoder) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model as (JSON data, tensors); whatever grows with columns or epochs is a tensor."""
    own = isinstance(model.parts_, Composition)
    params = {name: value for name, value in model.get_params(deep=False).items() if name != "method"}
    modules = isinstance(getattr(model.parts_, "network", None), Modules)  # which a file cannot hold
    params["network"] = "auto" if modules else params["network"]
    params["random_state"] = params["random_state"] if isinstance(params["random_state"], (int, np.integer)) else None
    params["checkpoint"] = None if params["checkpoint"] is None else os.fspath(params["checkpoint"])
    params["columns"] = None if not params["columns"] else [[k, v] for k, v in params["columns"].items()]
    form, form_tensors = model.form_.state()
    scaling, scaling_tensors = model.scaling_.state()
    tensors: dict[str, Any] = {f"composition.{k}": v for k, v in model.composition_.state_dict().items()}
    tensors |= {f"form.{k}": v for k, v in form_tensors.items()}
    tensors |= {f"scaling.{k}": v for k, v in scaling_tensors.items()}
    conditions = None
    if model.conditions_ is not None:
        conditions, condition_tensors = model.conditions_.state()
        tensors |= {f"given.{k}": v for k, v in condition_tensors.items()}
    if model.classes_ is not None:
        tensors |= {f"classes.{k}": v for k, v in class_tensors(model.classes_).items()}
    if model.prior_ is not None:
        tensors |= {f"prior.{k}": v for k, v in model.prior_.state_dict().items()}
    tensors |= {f"history.{k}": np.asarray(v, dtype=np.float64) for k, v in model.history_.items()}
    record = None
    if model.record_ is not None:
        record = {f.name: getattr(model.record_, f.name) for f in dataclasses.fields(model.record_)}
        tensors["record.pca_errors"] = np.asarray(record.pop("pca_errors"), dtype=np.float64)
        # As text where it is no number: strict JSON has neither NaN nor infinity.
        record = {k: str(v) if isinstance(v, float) and not np.isfinite(v) else v for k, v in record.items()}
    spec = {
        "estimator": "Autoencoder",
        "isthmus": VERSION,
        "method": None if own else method_spec(model.method),
        "own_modules": own,
        "params": to_json(params),
        "network": to_json(model.parts_.network) if isinstance(model.parts_, Parts) and not modules else None,
        "own_network": modules,
        "code_size": model.code_size_,
        "named": hasattr(model, "feature_names_in_"),
        "form": form,
        "scaling": scaling,
        "given": conditions,
        "labelled_share": model.parts_.bottleneck.share if model.classes_ is not None else None,
        "prior": to_json(model.prior_part_),
        "record": record,
        "data": model.data_digest_,
    }
    return spec, tensors


def restored(
    spec: dict[str, Any], tensors: dict[str, Tensor], composition: Composition | None, network: Any = None
) -> Autoencoder:
    """The inverse of `state_of`."""

    def group(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v.numpy() for k, v in tensors.items() if k.startswith(prefix)}

    def weights(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    params = from_json(spec["params"])
    params["columns"] = None if params["columns"] is None else dict(params["columns"])
    if spec["own_modules"] and composition is None:
        raise InputError(
            "this model was made of modules of your own, which a file cannot hold: pass them again as "
            "ist.load(path, composition=ist.compose(encoder, bottleneck, decoder, loss))"
        )
    if spec.get("own_network") and network is None:
        raise InputError(
            "this model's network was made of modules of your own, which a file cannot hold: pass it again as "
            "ist.load(path, network=ist.Modules(...))"
        )
    params["network"] = params["network"] if network is None else network
    model = Autoencoder(composition if spec["own_modules"] else method_from(spec["method"]), **params)
    model.form_ = Form.restore(spec["form"], group("form."))
    model.scaling_ = Scaling.restore(spec["scaling"], group("scaling."), names=model.form_.names)
    given = spec.get("given")  # files of the first version have no such entry
    model.conditions_ = None if given is None else Conditions.restore(given, group("given."))
    model.n_features_in_ = model.form_.layout.features
    if spec["named"]:
        model.feature_names_in_ = np.asarray(model.form_.names, dtype=object)
    model.code_size_ = spec["code_size"]
    parts = model._parts()
    if isinstance(parts, Parts):
        own = network if spec.get("own_network") else from_json(spec["network"])
        parts = dataclasses.replace(parts, network=own)
    model.classes_ = classes_from(found) if (found := group("classes.")) else None
    if isinstance(parts, Parts) and model.classes_ is not None:
        told = {"classes": len(model.classes_), "share": spec["labelled_share"]}
        parts = dataclasses.replace(parts, bottleneck=dataclasses.replace(parts.bottleneck, **told))
    model.parts_ = parts
    size = 0 if spec["own_modules"] else model.code_size_  # the weights tell whether the modules are the same
    model.composition_ = build(
        parts, model.form_.layout, size, seed=0, given_size=0 if model.conditions_ is None else model.conditions_.size
    ).eval()
    try:
        model.composition_.load_state_dict(weights("composition."))
    except RuntimeError as error:
        if spec["own_modules"] or spec.get("own_network"):
            which = "composition" if spec["own_modules"] else "network"
            raise InputError(f"{which}: these are not the modules that the model was made of: {error}") from error
        raise FileFormatError(f"the file's weights do not fit its own description: {error}") from error
    model.prior_, model.prior_part_ = None, from_json(spec.get("prior"))
    if model.prior_part_ is not None:
        model.prior_ = built(model.prior_part_, Site(model.form_.layout, model.code_size_)).eval()
        model.prior_.load_state_dict(weights("prior."))
    model.history_ = {name: values.tolist() for name, values in group("history.").items()}
    model.record_, model.partial_ = None, None
    if spec["record"] is not None:
        figures: dict[str, Any] = {
            k: float(v) if isinstance(v, str) and k != "stopped" else v for k, v in spec["record"].items()
        }
        model.record_ = FitRecord(**figures, pca_errors=tensors["record.pca_errors"].numpy())
    model.data_digest_ = spec["data"]
    return model


def load(path: str | os.PathLike[str], composition: Composition | None = None, network: Modules | None = None) -> Any:
    """Load what an estimator's ``save`` wrote: an `Autoencoder`, or a task such as `Generator`. No code is ever run.

    Parameters
    ----------
    path : the ``.safetensors`` file.
    composition : for a model of your own modules: the same modules again, as `compose` joins them.
    network : for a kind with modules of your own as its network: the same again.

    Raises
    ------
    FileFormatError : the file is truncated, altered, foreign or newer. InputError : it is not there.
    """
    spec, tensors = storage.read(path)
    home = HOMES.get(str(spec.get("estimator")))
    if home is None:
        known = " or a ".join(HOMES)
        raise FileFormatError(f"{path} holds {spec.get('estimator', 'something else')!r}, not an {known}")
    module = importlib.import_module(home)
    try:
        made = module.restored(spec, tensors, composition, network)
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is not a whole model: {error!r} is missing or of the wrong type") from error
    return module.attached(made, Path(path)) if hasattr(module, "attached") else made


def method_spec(method: Any) -> dict[str, Any]:
    if isinstance(method, Parts):
        return {"parts": {f.name: to_json(getattr(method, f.name)) for f in dataclasses.fields(method)}}
    if isinstance(method, str):
        return {"name": method}
    return {"kind": method.name, "knobs": to_json(method.chosen)}


def method_from(spec: dict[str, Any]) -> Any:
    if "parts" in spec:
        return Parts(**from_json(spec["parts"]))
    return spec["name"] if "name" in spec else Kind(spec["kind"], **from_json(spec["knobs"]))
