"""One model, one `.safetensors` file: a small JSON spec in its header, and named tensors.

Whatever grows with rows, columns or epochs is a tensor. Loading runs no code. The header's
``__metadata__`` holds one entry, ``"isthmus"``, a JSON string:

    {"sha256_header": ..., "sha256_tensors": ..., "format_version": 1, "versions": {...}, "spec": {...}}

``sha256_tensors`` is the digest of every byte after the header. ``sha256_header`` is that of the header
itself, with its own 64 digits written as zeros, and so covers the spec, the versions, the tensors' names,
types and shapes, and the other digest: no byte of the file can change unseen.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from isthmus.errors import FileFormatError, InputError
from isthmus.files import written_whole
from isthmus.version import VERSION

FORMAT_VERSION = 1
"""The newest layout of the file that this version of the library writes and reads."""

LONGEST_HEADER = 100_000_000
"""Bytes; the limit of the safetensors format itself."""

BLANK = "0" * 64
"""What stands in a digest's place while it is computed."""

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
"""The number types a model file may hold: the format's name, and PyTorch's."""

BEGINNINGS = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PAR1", "a Parquet table"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"PK\x03\x04", "a ZIP archive, such as a .npz, a .xlsx or a file of torch.save"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x80\x02", "a pickle, which may hold code"),
    (b"\x80\x03", "a pickle, which may hold code"),
    (b"\x80\x04", "a pickle, which may hold code"),
    (b"\x80\x05", "a pickle, which may hold code"),
)


@dataclass(frozen=True)
class Header:
    """The beginning of a model file, checked against its own digest.

    Attributes
    ----------
    about : the JSON of the ``"isthmus"`` entry.
    tensors : name -> ``{"dtype", "shape", "data_offsets"}``, as the format has them.
    start : where the tensors' bytes begin in the file.
    """

    about: dict[str, Any]
    tensors: dict[str, dict[str, Any]]
    start: int


def write(path: str | os.PathLike[str], spec: Mapping[str, Any], tensors: Mapping[str, Tensor | np.ndarray]) -> None:
    """Write ``spec`` and ``tensors`` as one model file, whole or not at all.

    Parameters
    ----------
    path : the file; its folder must exist. An older file of that name is replaced at the very end.
    spec : JSON data, small (it is held in memory whenever the file is looked at). Tuples become lists.
    tensors : by name; any device, any strides, 0-dimensional and empty ones too. Each is stored in full:
        two tensors that share memory are stored twice.

    Raises
    ------
    InputError
        A tensor cannot be stored (sparse, complex, of objects), or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> write(path, {"code_size": 2}, {"weight": torch.ones(2, 3)})
    >>> spec, tensors = read(path)
    >>> spec, tensors["weight"].shape
    ({'code_size': 2}, torch.Size([2, 3]))
    """
    about = {
        "sha256_header": BLANK,
        "sha256_tensors": BLANK,
        "format_version": FORMAT_VERSION,
        "versions": {"isthmus": VERSION, "torch": str(torch.__version__), "numpy": np.__version__},
        "spec": spec,
    }
    packed = save_tensors(storable(tensors), {"isthmus": json.dumps(about, separators=(",", ":"))})
    start = 8 + int.from_bytes(packed[:8], "little")
    body = memoryview(packed)[start:]
    header = filled(packed[8:start], "sha256_tensors", hashlib.sha256(body).hexdigest())
    header = filled(header, "sha256_header", hashlib.sha256(header).hexdigest())
    with written_whole(path) as beside, open(beside, "wb") as file:
        file.write(packed[:8])
        file.write(header)
        file.write(body)


def filled(header: bytes, name: str, digest: str) -> bytes:
    """``header`` with the digest called ``name`` in the place left blank for it.

    The digests come first in the file, so the first match is theirs whatever the spec holds.
    """
    lead = f'\\"{name}\\":\\"'
    return header.replace(f"{lead}{BLANK}".encode(), f"{lead}{digest}".encode(), 1)


def storable(tensors: Mapping[str, Tensor | np.ndarray]) -> dict[str, Tensor]:
    """The same tensors on the CPU, dense, contiguous, and none in the memory of another."""
    kept: dict[str, Tensor] = {}
    memories: set[int] = set()
    for name, value in tensors.items():
        if name == "__metadata__":
            raise InputError("tensors: the name '__metadata__' is taken by the file format; choose another")
        tensor = plain(name, value).contiguous()
        # The serialiser refuses tensors that share memory, as tied weights and slices do.
        memory = tensor.untyped_storage().data_ptr()
        kept[name] = tensor.clone() if memory in memories else tensor
        memories.add(memory)
    return kept


def plain(name: str, value: Tensor | np.ndarray) -> Tensor:
    """``value`` as a dense tensor on the CPU, of a type in `DTYPES`."""
    if isinstance(value, (np.ndarray, np.generic)):
        dtype = value.dtype.newbyteorder("=")
        if dtype.name not in DTYPES.values():
            raise InputError(f"tensor {name!r} is an array of {value.dtype}, which a model file cannot hold")
        # PyTorch takes neither read-only nor negatively strided arrays without a warning or an error.
        usable = value.flags.writeable and value.flags.c_contiguous and value.dtype == dtype
        return torch.from_numpy(value if usable else np.array(value, dtype=dtype, order="C"))
    dtype_name = str(value.dtype).removeprefix("torch.")
    if value.layout != torch.strided or value.is_meta or dtype_name not in DTYPES.values():
        raise InputError(
            f"tensor {name!r} cannot be stored: it is {dtype_name}, {value.layout}, on {value.device}; "
            f"give a dense one with values, of {', '.join(DTYPES.values())}"
        )
    return value.detach().cpu().resolve_neg()


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what `write` wrote, after checking every byte against the digests; no code is run.

    Parameters
    ----------
    path : a model file.

    Returns
    -------
    spec : dict
        The JSON data.
    tensors : dict of str to Tensor
        On the CPU.

    Raises
    ------
    InputError
        There is no such file, or it cannot be opened.
    FileFormatError
        The file is empty, truncated, altered, not of isthmus, or newer than this version.
    """
    with opened(path) as file:
        data = file.read()
    header = checked_header(path, data, len(data))
    if hashlib.sha256(memoryview(data)[header.start :]).hexdigest() != header.about["sha256_tensors"]:
        raise altered(path, "its tensors do not match their SHA-256 digest")
    try:
        tensors = load_tensors(data)
    except SafetensorError as error:
        raise altered(path, f"safetensors says: {error}") from error
    return header.about["spec"], tensors


def metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a model file says of itself, without reading its tensors (whose digest is not checked).

    Returns
    -------
    dict
        ``format_version``, ``versions`` of the libraries that wrote it, ``spec``, ``sha256_tensors``,
        ``sha256_header``, ``bytes`` (size of the file), and ``tensors``: name -> ``{"dtype", "shape"}``.

    Raises
    ------
    InputError, FileFormatError
        As for `read`.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        beginning = file.read(8)
        header = checked_header(path, beginning + file.read(header_length(beginning, size)), size)
    shapes = {name: {"dtype": DTYPES[t["dtype"]], "shape": tuple(t["shape"])} for name, t in header.tensors.items()}
    return {**header.about, "bytes": size, "tensors": shapes}


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """The file, open for reading, or an `InputError` that helps to find the right one."""
    path = Path(path)
    # os.path answers False where Path raises: a folder one may not enter, a name too long.
    if os.path.isdir(path):
        raise InputError(f"model file: {str(path)!r} is a folder. {models_in(path)}")
    if not os.path.exists(path):
        raise InputError(f"model file: {str(path)!r} does not exist. {models_in(path.parent)}")
    if not os.path.isfile(path):
        raise InputError(f"model file: {str(path)!r} is not a regular file")
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"model file: cannot read {str(path)!r}: {error.strerror}") from error


def models_in(folder: Path) -> str:
    """A hint: the model files that a folder does hold."""
    if not os.path.isdir(folder):
        return f"Its folder {str(folder)!r} does not exist either."
    names = sorted(found.name for found in folder.glob("*.safetensors"))
    if not names:
        return f"The folder {str(folder)!r} holds no .safetensors file."
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"The folder {str(folder)!r} holds {', '.join(names[:5])}{more}."


def header_length(beginning: bytes, size: int) -> int:
    """How many bytes after the first 8 are worth reading to judge the header: never more than there are."""
    length = int.from_bytes(beginning, "little")
    # A file of another kind claims an absurd length here; its first bytes are enough to name it.
    return length if length <= min(size, LONGEST_HEADER) else 4096


def checked_header(path: str | os.PathLike[str], data: bytes, size: int) -> Header:
    """The header at the beginning of ``data``, of a file of ``size`` bytes, or the error that explains it."""
    if size == 0:
        raise FileFormatError(f"{str(path)!r} is empty (0 bytes). Copy or save the model again")
    if size < 10:
        raise altered(path, f"it has only {size} bytes")
    start = 8 + int.from_bytes(data[:8], "little")
    if data[8:9] != b"{" or start - 8 > LONGEST_HEADER:
        raise FileFormatError(f"{str(path)!r} is not an isthmus model: {looks_like(data)}")
    if start > size:
        raise altered(path, f"it has {size} bytes, but says that its header alone has {start}")
    try:
        tensors = json.loads(data[8:start])
        about = json.loads(own_entry(path, tensors))
        needed = check_shape(path, about, tensors)
    except FileFormatError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise altered(path, "its header cannot be read") from error
    if start + needed != size:
        raise altered(path, f"it has {size} bytes where {start + needed} belong")
    blanked = data[8:start].replace(about["sha256_header"].encode(), BLANK.encode(), 1)
    if hashlib.sha256(blanked).hexdigest() != about["sha256_header"]:
        raise altered(path, "its header does not match its SHA-256 digest")
    return Header(about, tensors, start)


def own_entry(path: str | os.PathLike[str], tensors: dict[str, Any]) -> str:
    """Take ``__metadata__`` out of the parsed header and return our entry in it."""
    entries = tensors.pop("__metadata__", None) or {}
    if "isthmus" not in entries:
        names = ", ".join(sorted(tensors)[:3]) or "none"
        raise FileFormatError(
            f"{str(path)!r} is a safetensors file, but not an isthmus model: its metadata has no 'isthmus' entry. "
            f"It holds {len(tensors)} tensors ({names}{', ...' if len(tensors) > 3 else ''})"
        )
    return entries["isthmus"]


def check_shape(path: str | os.PathLike[str], about: dict[str, Any], tensors: dict[str, Any]) -> int:
    """Refuse a newer format and a header of another shape than ours; the number of bytes that must follow."""
    version = about["format_version"]
    if type(version) is not int or version < 1:
        raise altered(path, f"its format version is {version!r}")
    if version > FORMAT_VERSION:
        raise FileFormatError(
            f"{str(path)!r} was written by a newer isthmus (format {version}); this version reads up to "
            f"{FORMAT_VERSION}: pip install --upgrade isthmus"
        )
    for name in ("sha256_header", "sha256_tensors"):
        if not re.fullmatch("[0-9a-f]{64}", about[name]):
            raise altered(path, f"its {name} is no digest")
    if type(about["spec"]) is not dict:
        raise altered(path, "its spec is not a JSON object")
    for name, tensor in tensors.items():
        if tensor["dtype"] not in DTYPES:
            raise altered(path, f"its tensor {name!r} is of the unknown type {tensor['dtype']!r}")
        if not all(type(number) is int for number in (*tensor["shape"], *tensor["data_offsets"])):
            raise altered(path, f"its tensor {name!r} has no valid shape or place")
    return max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)


def altered(path: str | os.PathLike[str], why: str) -> FileFormatError:
    return FileFormatError(f"{str(path)!r} is truncated or was altered: {why}. Copy or save the model again")


def looks_like(data: bytes) -> str:
    """What the beginning of a file that is no safetensors file tells of it."""
    for beginning, kind in BEGINNINGS:
        if data.startswith(beginning):
            return f"it looks like {kind}"
    # Protocol buffers of ONNX begin with field 1 (the format version, a small number), then field 2 or 7.
    if data[:1] == b"\x08" and data[2:3] in (b"\x12", b"\x3a"):
        return "it looks like an ONNX file, which only other programs run; load the model it was exported from"
    if data[:4096].isascii() and not any(byte < 9 for byte in data[:4096]):
        return f"it looks like text, beginning {data[:30].decode('ascii')!r}"
    return "it does not begin as a safetensors file does, or it was truncated or altered"
