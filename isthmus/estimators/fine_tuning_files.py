"""A fitted `TunedClassifier` or `TunedRegressor` as JSON data and named tensors, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from isthmus.data.classes import class_tensors, classes_from
from isthmus.errors import FileFormatError
from isthmus.estimators import features_files
from isthmus.estimators.features_files import fixed_seed, part_of
from isthmus.estimators.fine_tuning import TunedClassifier, TunedRegressor
from isthmus.estimators.layers import Reader
from isthmus.estimators.probing import Linear
from isthmus.estimators.tuning import Tuned, deep_head, linear_head, own_encoder
from isthmus.records import from_json, to_json


def state_of(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model as (JSON data, tensors); the features' weights twice where fine-tuning has changed them."""
    learner, tensors = features_files.state_of(model.learner_)
    kept = {f"learner.{name}": values for name, values in tensors.items()}
    params = {name: value for name, value in model.get_params(deep=False).items() if name != "learner"}
    params["random_state"] = fixed_seed(params["random_state"])
    spec = {
        "estimator": type(model).__name__,
        "params": to_json(params),
        "learner": learner,
        "mode": model.mode_,
        "scores": {mode: str(score) for mode, score in model.scores_.items()},
    }
    kept |= {f"head.{name}": values for name, values in model.network_.head.state_dict().items()}
    if model.mode_ in ("full", "semi_supervised"):
        encoder = model.network_.reader.composition.state_dict()
        kept |= {f"tuned.{name}": values for name, values in encoder.items()}
    if isinstance(model, TunedClassifier):
        spec["several"] = model.several_
        return spec, kept | {f"classes.{name}": values for name, values in class_tensors(model.classes_).items()}
    spec["flat"] = model.flat_
    return spec, kept | {"target.centre": model.centre_, "target.spread": model.spread_}


def restored(spec: dict[str, Any], tensors: dict[str, Tensor], composition: Any = None, network: Any = None) -> Any:
    """The inverse of `state_of`."""
    learner = features_files.restored(spec["learner"], part_of(tensors, "learner."), composition, network)
    kinds = {"TunedClassifier": TunedClassifier, "TunedRegressor": TunedRegressor}
    made: Any = kinds[spec["estimator"]](learner, **from_json(spec["params"]))
    made.learner_, made.mode_ = learner, spec["mode"]
    made.scores_ = {mode: float(score) for mode, score in spec["scores"].items()}
    if isinstance(made, TunedClassifier):
        found = {name: values.numpy() for name, values in part_of(tensors, "classes.").items()}
        made.classes_, made.several_ = classes_from(found), bool(spec["several"])
    else:
        made.centre_, made.spread_ = tensors["target.centre"].numpy(), tensors["target.spread"].numpy()
        made.flat_ = bool(spec["flat"])
    head = head_of(part_of(tensors, "head."), len(learner.spread_))
    network = Tuned(Reader(learner.autoencoder_.composition_, learner.layer), learner.centre_, learner.spread_, head)
    if tuned := part_of(tensors, "tuned."):
        network = own_encoder(network)
        network.reader.composition.load_state_dict(tuned)
    made.network_ = network.to(learner.autoencoder_._device).eval()
    return made


def head_of(tensors: dict[str, Tensor], width: int) -> nn.Module:
    """A linear head, or one with a hidden layer, with these weights."""
    head: nn.Module
    if "weight" in tensors:
        outputs = len(tensors["bias"])
        head = linear_head(Linear(np.zeros((outputs, width)), np.zeros(outputs)))
    else:
        head = deep_head(width, len(tensors["2.bias"]), seed=0)
    try:
        head.load_state_dict(tensors)
    except RuntimeError as error:
        raise FileFormatError(f"the file's weights do not fit its own description: {error}") from error
    return head
