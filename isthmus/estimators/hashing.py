"""Binary codes that are learnt: rows in, bits out, so that rows that are alike have few bits that differ."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from isthmus.composition import Composition
from isthmus.data import Source, SparseSource, open_source
from isthmus.errors import InputError
from isthmus.estimators import files
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.projection import Projection, nearest_rows
from isthmus.estimators.rotation import Rotation
from isthmus.estimators.settings import batch_size_for
from isthmus.index.bits import check_bits, distances, packed
from isthmus.parts.bottlenecks.binary import Binary
from isthmus.parts.bottlenecks.finite_scalar import FiniteScalar
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.linear_decoder import LinearDecoder
from isthmus.parts.penalties.bits import Balance, Independence
from isthmus.recipes import Parts

METHODS = ("auto", "variational", "balanced", "itq")

LEARNT = 30_000
"""Rows that codes are learnt from, at most: every two are compared."""

NEIGHBOURS = 20
"""Rows that a row is to be like, itself apart; at most the root of the number of rows."""

STEPS, PASSES = 1200, 200
"""Steps of a fit where nothing is said of epochs; and epochs at most."""

LENGTHS = (16, 32, 64, 128)
NEARLY = 0.9
"""Half the bits are enough where they find this share of the neighbours that all of them find."""

HELD_OUT = 500
"""Rows that are held out to choose the number of bits by."""


@dataclass(frozen=True, eq=False)
class Hasher:
    """Makes codes of rows: rows -> components -> encoder -> bits.

    Rows are projected to at most 500 principal components, and an autoencoder is shown a row and rebuilds the mean of
    the row and of the 20 rows nearest to it, through a code of bits. What neighbours share is what a row is about; what
    is its own is noise to a search. No label is read.

    Methods
    -------
    variational : units are drawn bits that pay for what they say (`Binary`).
    balanced : units are drawn bits that pay nothing each, but a penalty if they are mostly on or off (`Balance`) or
        repeat others (`Independence`).
    itq : units are real numbers, afterwards rotated to bits (`Rotation`).
    auto : ``variational``, which was best on texts and pictures alike.

    The encoder is linear for sparse rows, and has one layer for others. Mixed tables and sequences have no components:
    there the autoencoder is shown the rows themselves, and rebuilds them. An ``autoencoder`` that is passed is used in
    place of all this, and its code rotated.

    Attributes
    ----------
    bits : of a code, 8 to 1024. width : numbers of a row's code as real numbers.
    method : one of those above, or ``"autoencoder"``.
    projection : what brings rows to components; None = the autoencoder is shown the rows themselves.
    autoencoder : the fitted `Autoencoder`.
    rotation : what turns its codes; None = its units are bits.

    References
    ----------
    Chaidaroon, Ebesu & Fang 2018, Deep semantic text hashing with weak supervision; Mena & Nanculef 2019, A binary
    variational autoencoder for hashing; Gong & Lazebnik 2011.

    Examples
    --------
    >>> import isthmus as ist
    >>> digits = ist.data.digits()[0]
    >>> hasher = Hasher.learn(digits, bits=16, epochs=2)
    >>> codes, floats = hasher(digits)
    >>> codes.shape, str(codes.dtype), floats.shape
    ((1797, 1), 'uint16', (1797, 16))
    """

    bits: int
    method: str
    projection: Projection | None
    autoencoder: Autoencoder
    rotation: Rotation | None

    @classmethod
    def learn(
        cls,
        X: Any,
        bits: int | str = "auto",
        method: str = "auto",
        *,
        autoencoder: Any = None,
        seed: int = 0,
        **knobs: Any,
    ) -> Hasher:
        """Learn from rows: an array, a sparse matrix, a table, or a source.

        Parameters
        ----------
        X : at least 2 rows; codes are learnt from at most 30,000 of them.
        bits : 8 to 1024, or ``"auto"``, see `chosen_bits`.
        method : ``"auto"``, ``"variational"``, ``"balanced"`` or ``"itq"``.
        autoencoder : a fitted `Autoencoder`, or a kind.
        knobs : ``epochs``, ``batch_size``, ``learning_rate``, ``max_time``, ``device``, ``verbose`` of the autoencoder.

        Raises
        ------
        InputError : an argument cannot be used.
        """
        if method not in METHODS:
            raise InputError(f"method must be one of {', '.join(map(repr, METHODS))}; got {method!r}")
        if bits != "auto":
            check_bits(bits)  # type: ignore[arg-type]
        source = open_source(X)
        rows = np.sort(np.random.default_rng(seed).permutation(source.rows)[:LEARNT])
        method = "variational" if method == "auto" else method
        if autoencoder is not None:
            return rotated(autoencoder, source, rows, 64 if bits == "auto" else int(bits), seed, knobs)
        whole = source.layout.columns is not None or source.layout.sequence
        if bits == "auto" and not whole and source.rows >= 100:
            return chosen_bits(source, rows, method, seed, knobs)
        return learnt(source, rows, 64 if bits == "auto" else int(bits), method, seed, knobs)

    @property
    def width(self) -> int:
        return self.bits

    def __call__(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Codes (n, words), see `isthmus.index.bits.packed`, and (n, width) float32 to compare by cosine."""
        floats = self.floats(X)
        return packed(floats > 0), floats

    def floats(self, X: Any) -> np.ndarray:
        """(n, width) float32: bit i of a row's code is 1 where number i is above 0."""
        return self.of_shown(X if self.projection is None else self.projection(X))

    def of_shown(self, shown: Any) -> np.ndarray:
        """The same of what the autoencoder is shown."""
        model = self.autoencoder
        if self.rotation is not None:
            return self.rotation(model.transform(shown))
        # What the bottleneck rounds: half-sure bits are then told from sure ones.
        return model._map(shown, lambda batch: model.composition_.encode(batch)[0].flatten(1), (self.bits,), None)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON data and named arrays."""
        model, arrays = files.state_of(self.autoencoder)
        spec: dict[str, Any] = {"bits": self.bits, "method": self.method, "autoencoder": model, "projection": None}
        tensors = {f"autoencoder.{name}": value for name, value in arrays.items()}
        if self.projection is not None:
            spec["projection"], arrays = self.projection.state()
            tensors |= {f"projection.{name}": value for name, value in arrays.items()}
        if self.rotation is not None:
            tensors |= {"rotation.mean": self.rotation.mean, "rotation.matrix": self.rotation.matrix}
        return spec, tensors

    @classmethod
    def restore(
        cls, spec: Mapping[str, Any], tensors: Mapping[str, Any], composition: Any = None, network: Any = None
    ) -> Hasher:
        """The inverse of `state`; modules of one's own have to be passed again, as to `ist.load`."""

        def group(prefix: str) -> dict[str, torch.Tensor]:
            return {k.removeprefix(prefix): torch.as_tensor(v) for k, v in tensors.items() if k.startswith(prefix)}

        def arrays(prefix: str) -> dict[str, np.ndarray]:
            return {name: value.numpy() for name, value in group(prefix).items()}

        model = files.restored(dict(spec["autoencoder"]), group("autoencoder."), composition, network)
        projection = spec["projection"]
        projection = None if projection is None else Projection.restore(projection, arrays("projection."))
        rotation = Rotation(**found) if (found := arrays("rotation.")) else None
        return cls(spec["bits"], spec["method"], projection, model, rotation)


def parts_of(method: str, network: Any) -> Parts:
    """The autoencoder of a method."""
    if method == "itq":
        return Parts(network, weight_decay=1e-4)
    if method == "balanced":
        penalties = (Balance(1.0, ends=(0, 1)), Independence(0.1, ends=(0, 1)))
        return Parts(network, Binary(), rate=0.0, penalties=penalties, weight_decay=1e-4)
    # A bit pays a tenth of what it says: at full price only those bits are used that rebuild many components.
    return Parts(network, Binary(), rate=0.1, weight_decay=1e-4)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What codes are learnt from, whatever their number of bits: made when it is first asked for, and then kept."""

    source: Source
    rows: np.ndarray
    seed: int

    @cached_property
    def projection(self) -> Projection:
        return Projection.fit(self.source, self.rows, self.seed)

    @cached_property
    def shown(self) -> np.ndarray:
        """(rows, size) float32 components."""
        return self.projection(self.source, self.rows)

    @cached_property
    def target(self) -> np.ndarray:
        """The same, what is rebuilt of them."""
        return mean_of_neighbours(self.shown)


def learnt(
    source: Source,
    rows: np.ndarray,
    bits: int,
    method: str,
    seed: int,
    knobs: Mapping[str, Any],
    lesson: Lesson | None = None,
) -> Hasher:
    """Learn codes of so many bits from some rows; ``lesson`` is theirs, where it was made before."""
    if source.layout.columns is not None or source.layout.sequence:
        size = min(bits, source.layout.numbers) if method == "itq" else bits
        model = fitted(parts_of(method, Dense((2.0, 1.0))), source, rows, size, "auto", seed, knobs)
        return finished(method, None, model, source, rows, bits, seed)
    lesson = lesson or Lesson(source, rows, seed)
    shown = lesson.shown
    hidden = () if isinstance(source, SparseSource) else (500,)
    network = LinearDecoder(Dense(hidden, activation="relu"))
    size = min(bits, shown.shape[1]) if method == "itq" else bits
    model = autoencoder_of(parts_of(method, network), size, network, len(rows), seed, knobs, scale="none")
    return finished(method, lesson.projection, model.fit(lesson.target, shown=shown), source, rows, bits, seed)


def finished(
    method: str,
    projection: Projection | None,
    model: Autoencoder,
    source: Source,
    rows: np.ndarray,
    bits: int,
    seed: int,
) -> Hasher:
    """The hasher, with a rotation where the autoencoder's units are no bits."""
    if makes_bits(model, bits):
        return Hasher(bits, method, projection, model, None)
    shown = source if projection is None else projection(source, rows)
    codes = model.transform(shown)
    codes = codes[rows] if projection is None else codes
    return Hasher(bits, method, projection, model, Rotation.fit(codes, bits, np.random.default_rng(seed)))


def makes_bits(model: Autoencoder, bits: int) -> bool:
    """Whether every unit of the code is a bit of its own, on where what the encoder emits is above 0."""
    bottleneck = model.composition_.bottleneck
    return model.code_size_ == bits and (bottleneck == Binary() or bottleneck == FiniteScalar(2))


def rotated(
    autoencoder: Any, source: Source, rows: np.ndarray, bits: int, seed: int, knobs: Mapping[str, Any]
) -> Hasher:
    """The hasher of an autoencoder that was passed, fitted or not."""
    model = autoencoder
    if not hasattr(model, "composition_"):
        if isinstance(model, Autoencoder):
            model = copy.deepcopy(model).fit(source)
        else:
            size = None if isinstance(model, Composition) else bits
            model = Autoencoder(model, code_size=size, random_state=seed, **knobs).fit(source)
    return finished("autoencoder", None, model, source, rows, bits, seed)


def autoencoder_of(
    parts: Parts, size: int, network: Any, rows: int, seed: int, knobs: Mapping[str, Any], scale: str = "auto"
) -> Autoencoder:
    """An autoencoder with a plan that suits hashing: no rows are held out, as none could tell when codes are best."""
    chosen = {name: value for name, value in knobs.items() if value is not None}
    batch_size = chosen.get("batch_size", batch_size_for(rows))
    steps = -(-rows // batch_size) if isinstance(batch_size, int) and batch_size >= 1 else 1
    plan = {"epochs": max(1, min(PASSES, -(-STEPS // steps))), "validation_fraction": 0.0, "early_stopping": False}
    return Autoencoder(parts, code_size=size, network=network, scale=scale, random_state=seed, **{**plan, **chosen})


def fitted(
    parts: Parts, source: Source, rows: np.ndarray, size: int, network: Any, seed: int, knobs: Mapping[str, Any]
) -> Autoencoder:
    """An autoencoder of the rows themselves, those not to be learnt from with weight 0."""
    weight = None
    if len(rows) < source.rows:
        weight = np.zeros(source.rows)
        weight[rows] = 1.0
    return autoencoder_of(parts, size, network, len(rows), seed, knobs).fit(source, sample_weight=weight)


def mean_of_neighbours(rows: np.ndarray) -> np.ndarray:
    """(n, d) float32: the mean of every row and of the rows nearest to it."""
    k = min(NEIGHBOURS, int(np.sqrt(len(rows))), len(rows) - 1)
    known = torch.from_numpy(rows)
    # The first components tell neighbours as well as all of them, in a quarter of the time.
    first = known[:, : min(128, known.shape[1])].contiguous()
    total = known.clone()
    for column in nearest_rows(first, first, k, own=True).T:
        total += known[column]
    return (total / (k + 1)).numpy()


def chosen_bits(source: Source, rows: np.ndarray, method: str, seed: int, knobs: Mapping[str, Any]) -> Hasher:
    """The hasher with the fewest of 16, 32, 64 and 128 bits that find nearly as much as twice as many bits do.

    Rows held out of the learning are looked for among the others. Found is what share of the 20 nearest by real
    numbers, the components, is among the 20 nearest by bits, ties at the last place by their share; 0.9 of what
    twice as many bits find is nearly as much. No label is read, so this tells how well codes stand for the rows, not
    for what somebody wants to find.
    """
    order = np.random.default_rng(seed + 1).permutation(rows)
    held_out = min(HELD_OUT, len(order) // 5)
    asked, learnt_from = np.sort(order[:held_out]), np.sort(order[held_out:])
    before: tuple[Hasher, float] | None = None
    lesson = Lesson(source, learnt_from, seed)
    for bits in LENGTHS:
        tell(knobs, f"{bits} bits:")
        hasher = learnt(source, learnt_from, bits, method, seed, knobs, lesson)
        share = share_found(hasher, source, asked, learnt_from)
        tell(knobs, f"{bits} bits find {share:.0%} of the nearest rows")
        if before is not None and before[1] >= NEARLY * share:
            tell(knobs, f"{before[0].bits} bits are taken: they find at least {NEARLY:.0%} of what {bits} bits find")
            return before[0]
        before = hasher, share
    assert before is not None
    tell(knobs, f"{before[0].bits} bits are taken: they are the most that are tried")
    return before[0]


def tell(knobs: Mapping[str, Any], sentence: str) -> None:
    """Say how the choice goes to those who want to hear how the fits go."""
    if knobs.get("verbose"):
        print(sentence, file=sys.stderr, flush=True)


def share_found(hasher: Hasher, source: Source, asked: np.ndarray, among: np.ndarray) -> float:
    """What share of the nearest rows by components is among the nearest by bits, in the mean; ties by their share."""
    assert hasher.projection is not None
    shown, others = hasher.projection(source, asked), hasher.projection(source, among)
    k = min(NEIGHBOURS, len(among))
    near = nearest_rows(torch.from_numpy(shown), torch.from_numpy(others), k).numpy()
    codes, all_codes = (packed(hasher.of_shown(rows) > 0) for rows in (shown, others))
    found = 0.0
    for code, theirs in zip(codes, near, strict=True):
        apart = distances(code[None], all_codes)[0]
        last = np.partition(apart, k - 1)[k - 1]
        closer, level = apart < last, apart == last
        found += closer[theirs].sum() + level[theirs].sum() * (k - closer.sum()) / level.sum()
    return float(found / (k * len(asked)))
