"""The nouns that flow between the parts of a composition.

    batch -> corruption -> encoder -> bottleneck -> decoder -> reconstruction loss

Every record is frozen: a part reads what it is handed and returns a new value. `part` marks the
frozen dataclasses that users write down (`Mask(0.2)`, `Dense(hidden=(64, 32))`), so that they can be
compared, printed and stored as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast, dataclass_transform

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")

PARTS: dict[str, type] = {}
"""Every class marked with `part`, by its name: the only classes a model file may name."""


@dataclass_transform(frozen_default=True)
def part(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen dataclass that may be named in a model file; it is printed as it would be written."""
    made = dataclass(frozen=True, repr=False)(cls)
    cast(Any, made).__repr__ = written
    if made.__name__ in PARTS and PARTS[made.__name__].__qualname__ != made.__qualname__:
        raise TypeError(f"a part called {made.__name__!r} exists already: model files name parts by their class")
    PARTS[made.__name__] = made
    return made


def written(value: Any) -> str:
    """A part as one would write it: what is at its default is left out, what goes by its name alone comes last."""
    chosen = [f for f in fields(value) if getattr(value, f.name) != f.default]
    chosen.sort(key=lambda f: bool(f.kw_only))
    return f"{type(value).__name__}({', '.join(f'{f.name}={getattr(value, f.name)!r}' for f in chosen)})"


def to_json(value: Any) -> Any:
    """A part, a schedule or a plain value as JSON data; the inverse of `from_json`."""
    if isinstance(value, PARTS.get(type(value).__name__, ())):
        body = {f.name: to_json(getattr(value, f.name)) for f in fields(cast(Any, value))}
        return {"part": type(value).__name__, **body}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "item"):  # a NumPy scalar
        return to_json(value.item())
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written as JSON data")


def from_json(value: Any) -> Any:
    """Rebuild what `to_json` wrote. Lists come back as tuples; only names in `PARTS` are built."""
    if isinstance(value, dict):
        body = {key: from_json(item) for key, item in value.items() if key != "part"}
        if "part" not in value:
            return body
        if value["part"] not in PARTS:
            raise ValueError(f"unknown part {value['part']!r}; known: {', '.join(sorted(PARTS))}")
        return PARTS[value["part"]](**body)
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    return value


COLUMN_KINDS = ("number", "heavy", "count", "binary", "ordinal", "category", "circular")


@part
class Column:
    """What one column of a mixed table holds, as the network and the loss meet it.

    Parameters
    ----------
    kind : ``"number"`` (scaled, normal), ``"heavy"`` (scaled, with tails heavier than normal ones), ``"count"`` (whole
        numbers from 0 on, not scaled), ``"binary"`` (0 or 1), ``"ordinal"`` and ``"category"`` (the number of a level,
        0 to levels - 1, with and without an order), ``"circular"`` (a share of a turn, in [0, 1): the time of day).
    levels : of ordinal and category, how many there are, >= 1; 0 for all others.
    rare : of category, how many rare levels the last level stands for; the last level is also that of values that the
        fit never met. 0 = every level is one value.
    """

    kind: str = "number"
    levels: int = 0
    rare: int = 0

    @property
    def numeric(self) -> bool:
        """Whether cells are scaled numbers, to which noise may be added."""
        return self.kind in ("number", "heavy")

    @property
    def numbers(self) -> float:
        """How many numbers a cell is worth, for the size of a code: one, and of levels as many as bits tell them apart.

        >>> Column("number").numbers, Column("category", levels=16).numbers
        (1, 4.0)
        """
        return max(1, math.log2(max(self.levels, 2)))


@part
class Layout:
    """What each axis of one row is, and what the columns of a mixed table hold.

    Parameters
    ----------
    shape : the shape of one row, e.g. ``(30,)`` for a table, ``(28, 28)`` for a grey image.
    axes : a name per axis: ``("column",)``, ``("height", "width")``, ``("step",)`` or ``("frame", "height", "width")``,
        all but the first perhaps followed by ``"channel"``.
    columns : what each column of a mixed table holds; None = every cell is a number, and none is missing but in
        series. With columns, a network is told which cells are known.
    """

    shape: tuple[int, ...]
    axes: tuple[str, ...]
    columns: tuple[Column, ...] | None = None

    @property
    def numeric(self) -> tuple[bool, ...] | None:
        """Which columns noise may be added to; None = all."""
        if self.columns is None or all(column.numeric for column in self.columns):
            return None
        return tuple(column.numeric for column in self.columns)

    @property
    def features(self) -> int:
        """Numbers in one row."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def numbers(self) -> int:
        """What one row is worth in numbers: `features`, but of a mixed table, some of whose cells are worth more."""
        return self.features if self.columns is None else math.ceil(sum(column.numbers for column in self.columns))

    @property
    def sequence(self) -> bool:
        """Whether rows run in time: then all steps of a row are scaled alike, and rows may differ in their length."""
        return self.axes[0] in ("step", "frame")

    @property
    def channels(self) -> int:
        """Numbers at one place of a row, along whose other axes a convolution runs."""
        return self.shape[-1] if self.axes[-1] == "channel" else 1

    @property
    def grid(self) -> tuple[int, ...]:
        """The shape of a row without its channels."""
        return self.shape[:-1] if self.axes[-1] == "channel" else self.shape


@dataclass(frozen=True)
class Batch:
    """Some rows of the data, scaled.

    Attributes
    ----------
    x : (n, *layout.shape) float.
    layout : what each axis of a row is.
    weight : same shape as x, 0 = missing cell, which reaches neither loss nor encoder; None = all 1.
    row_weight : (n,) weight of each row in the mean over rows; None = all 1.
    given : (n, conditions) what conditional kinds read; None where there is none.
    labels : (n,) int64, the number of each row's class, -1 = not known; None where there are none.
    lengths : (n,) int64, valid steps of each sequence, >= 1; beyond them x and weight are 0. None = all are valid.
    shown : same shape as x, what the encoder sees in place of it: the noisy twin of a clean row; None = x itself.
    rows : (n,) the rows' numbers in the data set, int64; None where unknown.
    """

    x: Tensor
    layout: Layout
    weight: Tensor | None = None
    row_weight: Tensor | None = None
    given: Tensor | None = None
    lengths: Tensor | None = None
    rows: Tensor | None = None
    labels: Tensor | None = None
    shown: Tensor | None = None

    def __len__(self) -> int:
        return int(self.x.shape[0])

    @property
    def mean_cells(self) -> float:
        """Cells per row that are not missing, in the mean."""
        return self.layout.features if self.weight is None else float(self.weight.sum()) / len(self)

    def visible(self, x: Tensor | None = None) -> Tensor:
        """``x`` with missing cells set to 0, the value an encoder may see."""
        x = self.x if x is None else x
        return x if self.weight is None else torch.where(self.weight > 0, x, torch.zeros_like(x))


@dataclass(frozen=True)
class Pass:
    """The circumstances of one pass; randomness comes only from here.

    Attributes
    ----------
    generator : source of all noise, dropout and draws; None = nothing random is asked for.
    epoch : fractional epoch, what schedules read.
    training : corruption and dropout act only if True.
    draws : codes drawn per row by random bottlenecks.
    rows : number of rows in the whole data set, 0 = unknown.
    """

    generator: torch.Generator | None = None
    epoch: float = float("inf")
    training: bool = False
    draws: int = 1
    rows: int = 0


EVALUATION = Pass()
"""Outside training: no noise, every schedule at its final value."""


@dataclass(frozen=True)
class Context:
    """What an encoder or decoder may read beside its input.

    Attributes
    ----------
    shape : the shape of one row of the data, what a decoder must rebuild.
    given, lengths, labels : as in `Batch`.
    teacher : (n, *shape) the true rows, for decoders with ``wants_teacher``, which are shown them while training.
    level : (n,) strength of each row's corruption, for encoders that are told it; None = not told.
    total : (n,) what the loss keeps of each row's size (the number of counts), for its mean; None = unknown.
    known : (n, *shape) bool, of mixed tables, the cells that the encoder may read; None = all.
    pass_ : the circumstances of the pass (dropout reads its generator).
    """

    shape: tuple[int, ...]
    given: Tensor | None = None
    lengths: Tensor | None = None
    teacher: Tensor | None = None
    level: Tensor | None = None
    total: Tensor | None = None
    labels: Tensor | None = None
    known: Tensor | None = None
    pass_: Pass = EVALUATION


@dataclass(frozen=True)
class Site:
    """Where a part that learns is built: what its sizes follow from, and what its first weights are drawn by.

    Attributes
    ----------
    layout : of the rows; None = unknown.
    code_size : numbers in the code; 0 = unknown.
    generator : None = weights are drawn by a generator of the part's own, seeded with 0.
    """

    layout: Layout | None = None
    code_size: int = 0
    generator: torch.Generator | None = None

    @property
    def source(self) -> torch.Generator:
        """What first weights are drawn by."""
        return torch.Generator().manual_seed(0) if self.generator is None else self.generator


NOWHERE = Site()
"""A part that is built by hand, with nothing known of its place."""


def built(part: Any, site: Site = NOWHERE) -> Any:
    """A part that learns comes as a frozen description with ``build(site)``; others are used as they are."""
    return part.build(site) if hasattr(part, "build") and not hasattr(part, "forward") else part


@dataclass(frozen=True)
class Seen:
    """The input as the encoder sees it.

    Attributes
    ----------
    x : the corrupted rows.
    changed : same shape, which cells a corruption changed; None = none.
    level : (n,) how strong the corruption of each row was, where the network is to be told.
    weight : same shape as x, weight of each cell in the loss of this pass; None = all 1.
    hidden : same shape as x, bool: cells that the corruption hides, which a network that is told of missing cells
        takes for missing; None = none.
    """

    x: Tensor
    changed: Tensor | None = None
    level: Tensor | None = None
    weight: Tensor | None = None
    hidden: Tensor | None = None


@dataclass(frozen=True)
class Code:
    """What the bottleneck makes of the encoder's output.

    Attributes
    ----------
    z : (n, *code_shape), or (draws, n, *code_shape): what the decoder reads.
    point : (n, code_size) the deterministic representation that ``transform`` returns, flattened.
    cost : (n,), or (draws, n), nats paid for the code; None = nothing is paid.
    draws : how many codes were drawn per row; 0 = one, without an axis for it.
    index : (n, symbols) int64, the discrete code, where there is one.
    posterior : the distribution that z was drawn from (see `parts.distributions`), where there is one.
    shares : (draws, n) the share of each draw in the row's cost, where they differ; they sum to 1 over the draws.
    """

    z: Tensor
    point: Tensor
    cost: Tensor | None = None
    draws: int = 0
    index: Tensor | None = None
    posterior: Any = None
    shares: Tensor | None = None

    @property
    def smooth(self) -> bool:
        """Whether draws of the code are what a prior is fitted to; of symbols, relaxed or enumerated codes, and those
        that are not drawn, it is the point that stands for the row."""
        return self.index is None and self.shares is None and hasattr(self.posterior, "divergence")


@dataclass(frozen=True)
class Trace:
    """One whole pass; penalties and diagnostics read it, nobody writes it.

    ``activations`` maps the names of layers to their outputs, for the layers that somebody asked for.
    """

    batch: Batch
    seen: Seen
    hidden: Tensor
    code: Code
    out: Tensor
    context: Context
    pass_: Pass
    composition: nn.Module
    activations: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def weight(self) -> Tensor | None:
        """Weight of each cell in the loss: 0 where it is missing, or where the corruption leaves it out of account."""
        if self.batch.weight is None or self.seen.weight is None:
            return self.seen.weight if self.batch.weight is None else self.batch.weight
        return self.batch.weight * self.seen.weight

    @property
    def mean_cells(self) -> float:
        """Cells per row that the loss counts, in the mean."""
        weight = self.weight
        return self.batch.layout.features if weight is None else float(weight.sum()) / len(self.batch)


Schedule = float | Callable[[float], float]
"""A number, or a frozen callable of the fractional epoch; accepted wherever a weight or rate is."""

__all__ = [
    "COLUMN_KINDS",
    "EVALUATION",
    "NOWHERE",
    "PARTS",
    "Batch",
    "Code",
    "Column",
    "Context",
    "Layout",
    "Pass",
    "Schedule",
    "Seen",
    "Site",
    "Trace",
    "built",
    "from_json",
    "part",
    "replace",
    "to_json",
]
