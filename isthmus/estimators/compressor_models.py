"""Which model foretells which data, how it is learnt, and how it is named."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from isthmus.coding.columns import ColumnsModel
from isthmus.coding.columns_training import SIZES, fit_columns
from isthmus.coding.grid import GridModel
from isthmus.coding.grid_training import fit_grid
from isthmus.coding.lossy import LossyModel
from isthmus.errors import FileFormatError
from isthmus.estimators.compressor_arrays import ArrayForm, order_of
from isthmus.estimators.compressor_blocks import Model
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_tables import TableForm

NETWORK, SMALL_NETWORK, FEW = (64, 64), (32, 32), 2**22
"""Hidden units of the networks that foretell a grid, and of so few elements, which would not pay for larger ones."""

TINY = ((2**15, (4,)), (2**17, (8,)))
"""Fewer elements than so many have such ones: larger ones would save some percent and take twice as much themselves."""

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
        numbers=form.numbers,
        hidden=network_for(ints.size) if hidden is None else tuple(hidden),
        epochs=3.0 if epochs is None else epochs,
        max_time=SECONDS if max_time is None else max_time,
        random_state=seed,
    )


def network_for(size: int) -> tuple[int, ...]:
    """Hidden units for so many elements.

    >>> network_for(4000), network_for(10**6), network_for(10**7)
    ((4,), (32, 32), (64, 64))
    """
    usual = SMALL_NETWORK if size < FEW else NETWORK
    return next((hidden for most, hidden in TINY if size < most), usual)


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
