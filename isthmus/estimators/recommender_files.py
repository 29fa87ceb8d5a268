"""A fitted `Recommender` as JSON data and named tensors, and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse
import torch

from isthmus.data.interaction_pairs import Columns
from isthmus.data.interactions import Interactions
from isthmus.data.packing import pack_text, unpack_text
from isthmus.data.side_information import Properties
from isthmus.errors import FileFormatError
from isthmus.estimators.recommender import Recommender
from isthmus.estimators.recommender_data import liked
from isthmus.estimators.recommender_deep import DeepWeights, weights_of
from isthmus.estimators.recommender_kinds import composition_of
from isthmus.estimators.recommender_models import POPULARITY, ItemWeights, Knobs, Popular, knobs_from
from isthmus.estimators.recommender_search import Choice
from isthmus.estimators.recommender_told import Told
from isthmus.recommending.popularity import popularity
from isthmus.records import from_json, to_json

SPARSE_PARTS = ("data", "indices", "indptr")


def state_of(model: Recommender) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recommender as (JSON data, tensors); what grows with users, items or pairs is a tensor."""
    params = model.get_params(deep=False)
    params["random_state"] = params["random_state"] if isinstance(params["random_state"], (int, np.integer)) else None
    found, choice = model.interactions_, model.choice_
    tensors: dict[str, Any] = (
        packed("matrix", found.matrix) | packed_ids("users", found.users) | packed_ids("items", found.items)
    )
    if found.times is not None:
        tensors["times"] = found.times
    made = model.model_
    if isinstance(made, (ItemWeights, DeepWeights)) and made.weights is not None:
        tensors |= packed("weights", made.weights)
    if isinstance(made, DeepWeights):
        tensors |= {f"network.{name}": weights.detach() for name, weights in weights_of(made.composition).items()}
    told = {"given": model.given_, "item_given": model.item_given_}
    spec: dict[str, Any] = {
        "estimator": "Recommender",
        "params": to_json(params),
        "knobs": dataclasses.asdict(model.knobs_),
        "epochs": made.epochs if isinstance(made, DeepWeights) else None,
        "duplicates": model.duplicates_,
        "columns": list(model.columns_),
        "said": list(model.said_),
        "choice": None,
    } | {name: packed_told(name, one, tensors) for name, one in told.items()}
    if choice is not None:
        # The figures are NaN where nobody judged, which strict JSON has not.
        names = [name for name, _ in choice.candidates]
        spec["choice"] = {"users": choice.users, "knobs": dataclasses.asdict(choice.knobs), "candidates": names}
        tensors["choice.candidates"] = np.array([figure for _, figure in choice.candidates], dtype=np.float64)
        tensors["choice.figures"] = np.array([choice.quality, choice.rival])
        tensors["choice.weighed"] = np.array(choice.weighed, dtype=np.float64).reshape(-1, 3)
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
    model.knobs_ = knobs_from(spec["knobs"])
    model.given_ = unpacked_told("given", spec, arrays, len(users))
    model.item_given_ = unpacked_told("item_given", spec, arrays, len(items))
    wide = len(items) + model._properties()
    if model.knobs_.method == POPULARITY:
        model.model_ = Popular(model.popular_)
    elif model.knobs_.deep is not None:
        model.model_ = network_from(model.knobs_, spec["epochs"], arrays, tensors, wide)
    else:
        model.model_ = ItemWeights(unpacked("weights", arrays, (wide, wide)))
    model.duplicates_, model.columns_ = spec["duplicates"], Columns(*spec["columns"])
    model.said_, model._gram, model.choice_ = tuple(spec["said"]), None, None
    if spec["choice"] is not None:
        quality, rival = arrays["choice.figures"].tolist()
        tried = tuple(map(tuple, arrays["choice.tried"].tolist()))
        names = spec["choice"].get("candidates", ())  # files of the first version have none
        candidates = tuple(zip(names, arrays["choice.candidates"].tolist(), strict=True)) if names else ()
        knobs = knobs_from(spec["choice"]["knobs"])
        weighed = tuple(map(tuple, arrays.get("choice.weighed", np.zeros((0, 3))).tolist()))
        model.choice_ = Choice(knobs, quality, rival, spec["choice"]["users"], tried, candidates, weighed)
    return model


def network_from(
    knobs: Knobs, epochs: int, arrays: dict[str, np.ndarray], tensors: dict[str, Any], items: int
) -> DeepWeights:
    """A deep model with the weights of the file, refused where they do not fit its knobs."""
    assert knobs.deep is not None
    composition = composition_of(knobs.method, items, knobs.deep)
    try:
        with torch.no_grad():
            for name, learnt in weights_of(composition).items():
                learnt.copy_(tensors[f"network.{name}"])
    except (KeyError, RuntimeError) as error:
        raise FileFormatError(f"the file's weights do not fit its own description: {error}") from error
    weights = unpacked("weights", arrays, (items, items)) if knobs.deep.gain else None
    return DeepWeights(composition.eval(), weights, knobs.deep.gain, epochs)


def packed_told(name: str, told: Told | None, tensors: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What a model was told of users or items, as JSON data; its arrays are put among the tensors."""
    if told is None:
        return None
    body, arrays = told.properties.state()
    tensors |= packed(f"{name}.matrix", told.matrix) | {f"{name}.{key}": value for key, value in arrays.items()}
    return body


def unpacked_told(name: str, spec: dict[str, Any], arrays: dict[str, np.ndarray], rows: int) -> Told | None:
    """The inverse of `packed_told`."""
    body = spec.get(name)  # files of earlier versions have none
    if body is None:
        return None
    own = {key.removeprefix(f"{name}."): value for key, value in arrays.items() if key.startswith(f"{name}.")}
    try:
        found = Properties.restore(body, own)
    except KeyError as error:
        raise FileFormatError(f"{name} is not whole: the file is damaged ({error})") from error
    return Told(found, unpacked("matrix", own, (rows, len(found.names))))


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
