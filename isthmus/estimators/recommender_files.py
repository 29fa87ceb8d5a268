"""A fitted `Recommender` as JSON data and named tensors, and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.data.interaction_pairs import Columns
from isthmus.data.interactions import Interactions
from isthmus.data.packing import pack_text, unpack_text
from isthmus.errors import FileFormatError
from isthmus.estimators.recommender import Recommender
from isthmus.estimators.recommender_choice import Choice
from isthmus.estimators.recommender_data import liked
from isthmus.estimators.recommender_models import POPULARITY, ItemWeights, Knobs, Popular
from isthmus.recommending.popularity import popularity
from isthmus.records import from_json, to_json

SPARSE_PARTS = ("data", "indices", "indptr")


def state_of(model: Recommender) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recommender as (JSON data, tensors); what grows with users, items or pairs is a tensor."""
    params = model.get_params(deep=False)
    params["random_state"] = params["random_state"] if isinstance(params["random_state"], (int, np.integer)) else None
    found, choice = model.interactions_, model.choice_
    tensors = packed("matrix", found.matrix) | packed_ids("users", found.users) | packed_ids("items", found.items)
    if found.times is not None:
        tensors["times"] = found.times
    if isinstance(model.model_, ItemWeights):
        tensors |= packed("weights", model.model_.weights)
    spec: dict[str, Any] = {
        "estimator": "Recommender",
        "params": to_json(params),
        "knobs": dataclasses.asdict(model.knobs_),
        "duplicates": model.duplicates_,
        "columns": list(model.columns_),
        "said": list(model.said_),
        "choice": None,
    }
    if choice is not None:
        # The figures are NaN where nobody judged, which strict JSON has not.
        spec["choice"] = {"users": choice.users, "knobs": dataclasses.asdict(choice.knobs)}
        tensors["choice.figures"] = np.array([choice.quality, choice.rival])
        tensors["choice.tried"] = np.array(choice.tried, dtype=np.float64).reshape(-1, 3)
    return spec, tensors


def restored(
    spec: dict[str, Any], tensors: dict[str, Any], composition: Any = None, network: Any = None
) -> Recommender:
    """The inverse of `state_of`."""
    arrays = {name: value.numpy() for name, value in tensors.items()}
    model = Recommender(**from_json(spec["params"]))
    users, items = unpacked_ids("users", arrays), unpacked_ids("items", arrays)
    shape = (len(users), len(items))
    matrix = unpacked("matrix", arrays, shape)
    model.interactions_ = Interactions(matrix, users, items, arrays.get("times"))
    model.popular_ = popularity(liked(model.interactions_, model.at_least)[0])
    model.knobs_ = Knobs(**spec["knobs"])
    if model.knobs_.method == POPULARITY:
        model.model_ = Popular(model.popular_)
    else:
        model.model_ = ItemWeights(unpacked("weights", arrays, (len(items), len(items))))
    model.duplicates_, model.columns_ = spec["duplicates"], Columns(*spec["columns"])
    model.said_, model._gram, model.choice_ = tuple(spec["said"]), None, None
    if spec["choice"] is not None:
        quality, rival = arrays["choice.figures"].tolist()
        tried = tuple(map(tuple, arrays["choice.tried"].tolist()))
        model.choice_ = Choice(Knobs(**spec["choice"]["knobs"]), quality, rival, spec["choice"]["users"], tried)
    return model


def packed(name: str, matrix: np.ndarray | scipy.sparse.csr_array) -> dict[str, np.ndarray]:
    """A matrix as tensors: one if it is dense, three if it is sparse."""
    if scipy.sparse.issparse(matrix):
        return {f"{name}.{part}": getattr(matrix, part) for part in SPARSE_PARTS}
    return {name: matrix}


def unpacked(name: str, arrays: dict[str, np.ndarray], shape: tuple[int, int]) -> Any:
    """The matrix of `packed`, refused where its parts do not fit together."""
    if name in arrays:
        if arrays[name].shape != shape:
            raise FileFormatError(f"{name} has the shape {arrays[name].shape}, not {shape}: the file is damaged")
        return arrays[name]
    try:
        made = scipy.sparse.csr_array(tuple(arrays[f"{name}.{part}"] for part in SPARSE_PARTS), shape=shape)
        made.check_format(full_check=True)
    except ValueError as error:
        raise FileFormatError(f"{name} is no sparse matrix: the file is damaged ({error})") from error
    return made


def packed_ids(name: str, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Whole numbers as they are, texts as letters and offsets."""
    if ids.dtype == np.int64:
        return {name: ids}
    letters, offsets = pack_text(ids.tolist())
    return {f"{name}.letters": letters, f"{name}.offsets": offsets}


def unpacked_ids(name: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The ids of `packed_ids`."""
    if name in arrays:
        return arrays[name]
    return np.array(unpack_text(arrays[f"{name}.letters"], arrays[f"{name}.offsets"]), dtype=object)
