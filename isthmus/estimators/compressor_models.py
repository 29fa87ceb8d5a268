"""Which model foretells which data, how it is learnt, and how it is named."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import numpy as np

from isthmus.coding.columns import ColumnsModel
from isthmus.coding.columns_training import SIZES, fit_columns
from isthmus.coding.grid import GridModel
from isthmus.coding.grid_training import fit_grid
from isthmus.coding.lossy import LossyModel
from isthmus.coding.passes import Order
from isthmus.errors import FileFormatError, InputError
from isthmus.estimators.compressor_arrays import ArrayForm
from isthmus.estimators.compressor_blocks import Model
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_tables import TableForm

WAVE = 4096
"""Pictures of at most so many elements are gone through line by line, larger ones from coarse to fine."""

CHANNELS, COLOURS = 8, 4
"""So many elements at most along a last axis are channels, of series and of what has more axes."""

MOST_AXES = 4

NETWORK = (64, 64)
"""Hidden units of the networks that foretell a grid."""

SECONDS = 120.0
"""That a fit of a grid may take if nothing is said."""


def fitted_model(
    form: ArrayForm | TableForm, ints: np.ndarray, hidden: Any, epochs: float | None, max_time: float | None, seed: int
) -> Model:
    """A model of whole numbers, as `isthmus.estimators.compressor_blocks.for_model` gives them.

    Parameters
    ----------
    hidden : of grids the units of the hidden layers, of tables the numbers of them that are tried; None = as usual.
    epochs, max_time : None = as usual.
    """
    if isinstance(form, TableForm):
        sizes = SIZES if hidden is None else tuple(hidden)
        return fit_columns(ints, sizes=sizes, epochs=epochs, max_time=max_time, random_state=seed)
    return fit_grid(
        ints,
        order_of(form),
        hidden=NETWORK if hidden is None else tuple(hidden),
        epochs=3.0 if epochs is None else epochs,
        max_time=SECONDS if max_time is None else max_time,
        random_state=seed,
    )


def order_of(form: ArrayForm) -> Order:
    """In which order the elements of an array are coded."""
    axes, last = len(form.shape) + (form.kind != "images"), form.shape[-1] if form.shape else 0
    most = CHANNELS if form.kind == "series" else COLOURS
    fewest = 1 if form.kind == "series" else 2
    channels = last if axes > fewest and last <= most else 0
    axes -= bool(channels)
    if axes > MOST_AXES:
        raise InputError(
            f"X: neighbours along {axes} axes are too many, {MOST_AXES} can be used; reshape X to fewer axes"
        )
    small = form.kind == "images" and math.prod(form.shape) <= WAVE
    return Order("wave" if small else "interlaced", axes=axes, channels=channels)


def model_of(spec: dict[str, Any], tensors: dict[str, np.ndarray]) -> Model:
    """The model of its JSON and its arrays."""
    if "maps" in spec:
        return LossyModel.from_spec(spec, tensors)
    if "order" in spec:
        return GridModel.from_spec(spec, tensors)
    return ColumnsModel.from_tensors(tensors, spec)


def digest_of(form: Form, model: Model) -> str:
    """The SHA-256 of all that decoding depends on, in 64 hexadecimal digits."""
    about = {"form": form.spec(), "texts": form.texts(), "model": model.spec()}
    found = hashlib.sha256(json.dumps(about, sort_keys=True, separators=(",", ":")).encode("ascii"))
    for name, array in sorted(model.tensors().items()):
        plain = np.ascontiguousarray(array)
        told = f"{name} {plain.dtype.newbyteorder('<').str} {plain.shape} "
        found.update(told.encode("ascii") + plain.astype(plain.dtype.newbyteorder("<"), copy=False).tobytes())
    return found.hexdigest()


def check_digest(header: dict[str, Any], digest: str, name: str) -> None:
    """Refuse to decode with another model than the one that packed."""
    packed_with = header.get("model")
    if packed_with != digest:
        raise FileFormatError(
            f"{name} was compressed with the model {str(packed_with)[:12]}, and this one is {digest[:12]}: give the "
            "model that it was packed with"
        )
