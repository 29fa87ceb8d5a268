"""A fitted `Compressor` as JSON data and named tensors, and back; the same in one piece inside a compressed file."""

from __future__ import annotations

import json
import lzma
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from isthmus.coding.lossy import LossyModel
from isthmus.data.packing import pack_text, unpack_text
from isthmus.errors import FileFormatError, InputError
from isthmus.estimators.compressor import Compressor
from isthmus.estimators.compressor_arrays import ArrayForm
from isthmus.estimators.compressor_models import digest_of, model_of
from isthmus.estimators.compressor_pictures import PictureForm
from isthmus.estimators.compressor_tables import TableForm
from isthmus.records import from_json, to_json

SQUEEZE = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 1, "pb": 1}]
"""Of lzma, for whole numbers of 16 bits, which most weights are."""

XZ = b"\xfd7zXZ\x00"
"""What squeezed bytes begin with; as the length of a safetensors file's head it would be far too much."""

MOST = 2**28
"""Bytes of a model in a file at most, so that no file makes a reader take more memory."""


def state_of(model: Compressor) -> tuple[dict[str, Any], dict[str, Any]]:
    """The compressor as (JSON data, tensors)."""
    params = model.get_params(deep=False)
    params["random_state"] = params["random_state"] if isinstance(params["random_state"], (int, np.integer)) else None
    # A dict in pairs, as its keys may be numbers.
    bounds = params["max_error"]
    params["max_error"] = [[k, v] for k, v in bounds.items()] if isinstance(bounds, dict) else bounds
    spec = {
        "estimator": "Compressor",
        "params": to_json(params),
        "form": model.form_.spec(),
        "model": model.model_.spec(),
        "bits": model.bits_per_element_,
        "said": list(model.said_),
    }
    tensors: dict[str, Any] = {f"model.{name}": value for name, value in model.model_.tensors().items()}
    if texts := model.form_.texts():
        tensors["texts.letters"], tensors["texts.offsets"] = pack_text(texts)
    return spec, tensors


def restored(spec: dict[str, Any], tensors: dict[str, Any], composition: Any = None, network: Any = None) -> Compressor:
    """The inverse of `state_of`."""
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    params = from_json(spec["params"])
    if isinstance(params["max_error"], (list, tuple)):
        params["max_error"] = dict(params["max_error"])
    model = Compressor(**params)
    try:
        if spec["form"]["kind"] == "table":
            texts = unpack_text(arrays["texts.letters"], arrays["texts.offsets"])
            model.form_ = TableForm.from_spec(spec["form"], list(texts))
        elif spec["form"]["kind"] == PictureForm.kind:
            model.form_ = PictureForm.from_spec(spec["form"])
        else:
            model.form_ = ArrayForm.from_spec(spec["form"])
    except (InputError, IndexError, ValueError) as error:
        raise FileFormatError(f"the description of the data cannot be used: {error}") from error
    own = {name.removeprefix("model."): value for name, value in arrays.items() if name.startswith("model.")}
    model.model_ = model_of(spec["model"], own)
    if isinstance(model.form_, PictureForm) != isinstance(model.model_, LossyModel):
        raise FileFormatError("the model is not for the data that it describes")
    model.bits_per_element_, model.said_ = float(spec["bits"]), tuple(spec["said"])
    model.digest_ = digest_of(model.form_, model.model_)
    return model


def in_one_piece(model: Compressor) -> bytes:
    """The model as bytes, to lie in a compressed file: as it would be saved, squeezed by lzma."""
    spec, tensors = state_of(model)
    saved = save_tensors(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, {"isthmus": json.dumps(spec)}
    )
    return lzma.compress(saved, filters=SQUEEZE)


def from_one_piece(packed: bytes) -> Compressor:
    """The model of `in_one_piece`; in the first files it is not squeezed."""
    try:
        packed = expanded(packed) if packed.startswith(XZ) else packed
        length = int.from_bytes(packed[:8], "little")
        spec = json.loads(json.loads(packed[8 : 8 + length])["__metadata__"]["isthmus"])
        return restored(spec, dict(load_tensors(packed)))
    except (lzma.LZMAError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"the model in the file cannot be read: {error}") from error


def expanded(squeezed: bytes) -> bytes:
    """What lzma squeezed, up to `MOST` bytes.

    Raises
    ------
    FileFormatError : there is more, or less than all of it.
    """
    reader = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST)
    found = reader.decompress(squeezed, max_length=MOST)
    if not reader.eof or reader.unused_data:
        raise FileFormatError("the model in the file is cut off, or too large")
    return found
