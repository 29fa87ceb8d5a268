"""A fitted `Retriever` as a model file and, beside it, its index: a folder that grows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from isthmus import storage
from isthmus.data.words import Words
from isthmus.errors import InputError
from isthmus.estimators import files
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.hashing import Hasher
from isthmus.estimators.retriever import Retriever
from isthmus.files import written_whole
from isthmus.index.folder import Folder
from isthmus.index.store import Store
from isthmus.records import from_json, to_json


def index_of(path: Path) -> Path:
    """The folder of the index that belongs to a model file."""
    return path.with_name(f"{path.name.removesuffix('.safetensors')}.index")


def save(retriever: Retriever, path: Path) -> Folder:
    """Write the model and its index, or neither; what was removed is left out."""
    spec, tensors = state_of(retriever)
    store = retriever.store_
    if isinstance(store, Folder) and store.path.exists():
        store.refresh()  # so that what others have added meanwhile is not left behind
    with written_whole(path) as beside:  # it takes its name when the index has taken its own
        storage.write(beside, spec, tensors)
        return Folder.write_from(store, index_of(path), spec["digest"])


def state_of(retriever: Retriever) -> tuple[dict[str, Any], dict[str, Any]]:
    """The retriever without its index, as (JSON data, tensors)."""
    params, kind = retriever.get_params(deep=False), retriever.autoencoder
    seed, columns = params["random_state"], params["columns"]
    params |= {
        "autoencoder": None,
        "random_state": seed if isinstance(seed, (int, np.integer)) else None,
        "columns": None if not columns else [[name, what] for name, what in columns.items()],
    }
    hasher, tensors = retriever.hasher_.state()
    kept = {f"hasher.{name}": value for name, value in tensors.items()}
    words: dict[str, Any] | None = None
    if retriever.words_ is not None:
        words, tensors = retriever.words_.state()
        kept |= {f"words.{name}": value for name, value in tensors.items()}
    spec = {
        "estimator": "Retriever",
        "params": to_json(params),
        "kind": None if kind is None or isinstance(kind, Autoencoder) else files.method_spec(kind),
        "brought": isinstance(kind, Autoencoder),
        "hasher": hasher,
        "words": words,
        "features": retriever.n_features_in_,
        "digest": digest_of({"hasher": hasher, "words": words}, kept),
    }
    return spec, kept


def digest_of(spec: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """What tells one way of making codes from another: an index holds the codes of one alone."""
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        numbers = np.ascontiguousarray(value.detach().cpu().numpy() if isinstance(value, Tensor) else value)
        digest.update(f"{name} {numbers.dtype} {numbers.shape}".encode())
        digest.update(numbers.tobytes())
    return digest.hexdigest()


def restored(
    spec: dict[str, Any], tensors: dict[str, Tensor], composition: Any = None, network: Any = None
) -> Retriever:
    """The inverse of `state_of`, with an empty index."""

    def group(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    hasher = Hasher.restore(spec["hasher"], group("hasher."), composition, network)
    params = from_json(spec["params"])
    kind = hasher.autoencoder if spec["brought"] else None if spec["kind"] is None else files.method_from(spec["kind"])
    columns = None if params["columns"] is None else dict(params["columns"])
    made = Retriever(**{**params, "autoencoder": kind, "columns": columns})
    made.hasher_, made.bits_ = hasher, hasher.bits
    made.words_ = None
    if spec["words"] is not None:
        made.words_ = Words.restore(spec["words"], {name: value.numpy() for name, value in group("words.").items()})
    made.n_features_in_ = spec["features"]
    made.store_ = Store(hasher.bits, hasher.width if made.rerank else 0)
    made.digest_ = spec["digest"]
    return made


def attached(retriever: Retriever, path: Path) -> Retriever:
    """The retriever with the index that lies beside its model file."""
    folder = index_of(path)
    if not folder.exists():
        raise InputError(
            f"{str(folder)!r}, the index of {str(path)!r}, is not there: put it beside the model again. One that "
            "is lost has to be made anew, with fit"
        )
    retriever.store_ = Folder.open(folder, model=retriever.digest_)
    return retriever
