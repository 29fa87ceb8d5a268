"""The loss of mixed tables: a likelihood for each column, after what the column holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.parts.losses.blocks import LEAST_VARIANCE, Binary, Block, Counted, Heavy, Numbers, Spread
from isthmus.parts.losses.circular import Circular
from isthmus.parts.losses.common import follow, known, row_sums
from isthmus.parts.losses.ordered import Ordinals
from isthmus.parts.losses.scaled import AbsoluteLoss
from isthmus.parts.losses.softmax import FEW, Categories, FewCategories
from isthmus.parts.losses.wide import WIDE, WideCategories
from isthmus.records import NOWHERE, Column, Context, Layout, Seen, Site, Trace, part


@part
class PerColumn:
    """A likelihood for each column of a mixed table, after its kind; the cost of a row is the sum over its cells.

    number : normal, a variance for each column, the running mean of its squared error.
    heavy : Student's t, a scale and degrees of freedom for each column.
    count : negative binomial, a dispersion for each column; the output is the logarithm of the mean.
    binary : Bernoulli; the output is a logit.
    ordinal : cumulative logits; one output per column, thresholds are learned.
    category : softmax; an output per level, up to 1,000 levels. Beyond, 32 outputs, of whose products with a learned
        vector per level the softmax is made: exact, but while training, when 1,000 levels stand for all.
    circular : von Mises; two outputs per column.

    Parameters
    ----------
    numbers : a loss for the number columns in place of normal distributions: one of real numbers, such as
        ``Absolute()``, ``Huber()`` or ``Squared(variance=1.0)``, with one scale for all of them; None (default) =
        normal.

    Notes
    -----
    What keeps columns in balance is that all are paid in nats, without weights. A category costs at most about the
    logarithm of its levels (6.9 nats for 1,000), whatever its width. A number costs 1/2 log(2 pi e v): 1.4 nats where
    nothing is known of it, and never below -2.5, as v stays above 0.001; so one column that is rebuilt exactly, whose
    likelihood has no bound, cannot take the code for itself. The greatest concentration of a circular column is 1,000.

    The last level of a category stands for all values that have no level of their own: it is costed, but neither
    rebuilt nor drawn. Missing cells cost nothing, and no gradient comes from them.

    References
    ----------
    Nazabal et al. 2020, "Handling incomplete heterogeneous data using VAEs".

    Examples
    --------
    >>> columns = (Column("number"), Column("category", levels=5), Column("binary"))
    >>> loss = PerColumn().build(Site(Layout((3,), ("column",), columns)))
    >>> loss.width(3)
    7
    >>> x = torch.tensor([[0.0, 4.0, 1.0]])
    >>> loss.cell_costs(torch.zeros(1, 7), x).exp()  # sqrt(2 pi), 5 levels, 2 values
    tensor([[2.5066, 5.0000, 2.0000]])
    >>> loss.mean(torch.zeros(1, 7))
    tensor([[0., 0., 1.]])
    """

    numbers: Any = None

    support = "mixed"

    def __post_init__(self) -> None:
        loss = self.numbers
        if loss is None:
            return
        if not (hasattr(loss, "build") or hasattr(loss, "cost")) or getattr(loss, "support", "real") != "real":
            raise InputError(
                f"PerColumn: numbers must be a loss of real numbers, such as Absolute() or Huber(), or None for a "
                f"normal distribution of each column; got {loss!r}"
            )

    def build(self, site: Site = NOWHERE) -> PerColumnLoss:
        if site.layout is None or site.layout.columns is None:
            raise InputError(
                "PerColumn is the loss of mixed tables: build it at a site whose layout says what the columns hold "
                "(records.Column); for tables of numbers use Squared()"
            )
        return PerColumnLoss(site.layout.columns, self.numbers, site)


class AllNumbers(Block):
    """The number columns under one loss, which may look at a row as a whole."""

    def __init__(self, columns: tuple[Column, ...], numbers: Any, site: Site) -> None:
        super().__init__(columns)
        self.layout = Layout((self.count,), ("column",))
        self.loss = numbers.build(replace(site, layout=self.layout)) if hasattr(numbers, "build") else numbers
        if self.loss.width(2) != 2 or getattr(self.loss, "on_sphere", False):
            raise InputError(
                f"PerColumn: numbers must be a loss with one output per number, and of their size; got {numbers!r}. "
                f"Absolute(), Huber(), StudentT() and Squared() are"
            )

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        """(n,) nats."""
        return self.loss.cost(out, x, weight)

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        """Each cell as a row of its own, and a share each in what its row costs beside that, if it is one whole."""
        alone = self.loss.cost(out.reshape(-1, 1), x.reshape(-1, 1)).reshape(x.shape)
        return alone + ((self.cost(out, x, None) - alone.sum(1)) / self.count)[:, None]

    def mean(self, out: Tensor) -> Tensor:
        return self.loss.mean(out)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return self.loss.sample(out, generator)

    def spread(self) -> Tensor:
        scale = self.loss.variance * math.sqrt(2) if isinstance(self.loss, AbsoluteLoss) else self.loss.variance.sqrt()
        return scale.expand(self.count)

    def after_step(self, trace: Trace, weight: Tensor | None, x: Tensor) -> None:
        """What the loss would be told, were these columns the whole table."""
        if not hasattr(self.loss, "after_step"):
            return
        batch = replace(trace.batch, x=x, layout=self.layout, weight=weight, shown=None)
        outs = trace.out if trace.code.draws else trace.out[None]
        costs = torch.stack([self.cost(out, x, weight) for out in outs]).mean(0)
        if batch.row_weight is not None:
            costs = costs * batch.row_weight
        self.loss.after_step(replace(trace, batch=batch, seen=Seen(x)), {"loss": costs.mean()})


def kind_of(column: Column) -> str:
    """The name of the block that a column belongs to."""
    if column.kind != "category":
        return column.kind
    return "wide" if column.levels > WIDE else "few" if column.levels <= FEW else "category"


BLOCKS: dict[str, type[Block]] = {
    "number": Numbers,
    "heavy": Heavy,
    "count": Counted,
    "binary": Binary,
    "ordinal": Ordinals,
    "circular": Circular,
    "few": FewCategories,
    "category": Categories,
    "wide": WideCategories,
}
"""What costs the columns of each kind, in the order in which their outputs lie side by side."""


class PerColumnLoss(nn.Module):
    """The module behind `PerColumn`: ``blocks`` of columns of one kind, ``order``, the columns as they lie there, and
    ``place``, where each column is found."""

    support = "mixed"
    blocks: Any  # modules of type Block
    order: Tensor
    place: Tensor
    unseen: Tensor
    steps: Tensor

    def __init__(self, columns: tuple[Column, ...], numbers: Any, site: Site) -> None:
        super().__init__()
        ranks = {name: rank for rank, name in enumerate(BLOCKS)}
        order = sorted(range(len(columns)), key=lambda i: (ranks[kind_of(columns[i])], columns[i].levels))
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_buffer("place", torch.argsort(self.order), persistent=False)
        self.kinds = [name for name in BLOCKS if any(kind_of(column) == name for column in columns)]
        self.blocks = nn.ModuleList()
        for name in self.kinds:
            own = tuple(columns[i] for i in order if kind_of(columns[i]) == name)
            if name == "number" and numbers is not None:
                self.blocks.append(AllNumbers(own, numbers, site))
            else:
                self.blocks.append(WideCategories(own, site.source) if name == "wide" else BLOCKS[name](own))
        # Of numbers that a corruption hid: running sums of squared errors, and of cells.
        self.located = sum(block.count for block in self.blocks if isinstance(block, Spread))
        self.register_buffer("unseen", torch.zeros(2, self.located))
        self.register_buffer("steps", torch.tensor(0.0))
        self.counts = [block.count for block in self.blocks]
        self.outputs = [block.outputs for block in self.blocks]

    def width(self, features: int) -> int:
        if features != sum(self.counts):
            raise InputError(f"PerColumn: made for {sum(self.counts)} columns; asked for {features}")
        return sum(self.outputs)

    def split(self, out: Tensor, x: Tensor) -> list[tuple[Any, Tensor, Tensor]]:
        """The blocks, each with its outputs and its cells."""
        if out.shape != (len(x), sum(self.outputs)):
            wanted = (len(x), sum(self.outputs))
            raise InputError(f"the decoder must give the outputs of all columns, {wanted}; it gave {tuple(out.shape)}")
        # One split for all: each slice by itself would cost a gradient as wide as the whole.
        outs, cells = out.to(x.dtype).split(self.outputs, 1), x[:, self.order].split(self.counts, 1)
        return list(zip(self.blocks, outs, cells, strict=True))

    def cost(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) nats."""
        parts, whole, first = self.split(out, known(x, weight)), x.new_zeros(len(x)), 0
        weight = None if weight is None else weight[:, self.order]
        if isinstance(self.blocks[0], AllNumbers):  # whose cost need not be a sum over cells
            block, own, cells = parts.pop(0)
            first = block.count
            whole = block.cost(own, cells, None if weight is None else weight[:, :first])
        if not parts:
            return whole
        nats = torch.cat([block.nats(own, cells) for block, own, cells in parts], 1)
        return whole + row_sums(nats, None if weight is None else weight[:, first:])

    def cell_costs(self, out: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n, columns) nats of every cell; 0 for those of weight 0."""
        nats = torch.cat([block.nats(own, cells) for block, own, cells in self.split(out, known(x, weight))], 1)
        return known(nats[:, self.place], weight)

    def cell_errors(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        """(n, columns) how far every cell of a reconstruction is off, within 0 and 1 but for numbers and counts.

        numbers : the squared difference, in scaled units; counts : in standard deviations of the column.
        binary, category : 1 where it is another; ordinal : the squared difference of levels / (levels - 1).
        circular : the squared distance, in half turns.
        """
        parts = (values[:, self.order].split(self.counts, 1) for values in (rebuilt, x))
        errors = [block.errors(*pair) for block, *pair in zip(self.blocks, *parts, strict=True)]
        return torch.cat(errors, 1)[:, self.place]

    def mean(self, out: Tensor, context: Context | None = None) -> Tensor:
        """(..., columns): the location of numbers, the mean of counts, the most probable level, the direction."""
        return self.joined(out, "mean")

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        """(..., columns) a draw of every cell, the cells of a row independent given the output."""
        return self.joined(out.detach(), "sample", generator)

    def joined(self, out: Tensor, what: str, *more: Any) -> Tensor:
        """(..., columns) of what each block makes of its outputs; in float32 at least, as levels are numbers."""
        flat = out.reshape(-1, out.shape[-1]).to(torch.promote_types(out.dtype, torch.float32))
        pairs = zip(self.blocks, flat.split(self.outputs, 1), strict=True)
        made = [getattr(block, what)(own, *more) for block, own in pairs]
        return torch.cat(made, 1)[:, self.place].reshape(*out.shape[:-1], len(self.order))

    def probabilities(self, out: Tensor, column: int) -> Tensor:
        """(n, levels) of a binary, ordinal or category column; the last level of a category is that of other values."""
        if not 0 <= column < len(self.order):
            raise InputError(f"probabilities: column must be 0 to {len(self.order) - 1}; got {column}")
        place, which = int(self.place[column]), 0
        while place >= self.counts[which]:
            place, which = place - self.counts[which], which + 1
        if self.kinds[which] in ("number", "heavy", "count", "circular"):
            raise InputError(f"probabilities: column {column} has no levels; it is of kind {self.kinds[which]!r}")
        return self.blocks[which].shares(out.split(self.outputs, 1)[which], place)

    def spread(self, unseen: bool = False) -> Tensor:
        """(columns,) the standard deviation of numbers around the output, in scaled units; of heavy columns the scale
        of Student's distribution, which need not have one; 0 for all others.

        ``unseen``: of cells that the encoder is not shown, as a corruption that hides cells teaches it; where none
        does, nothing is known of them, and they are as far off as the column is wide, 1.
        """
        own = torch.cat([block.spread().to(self.place.device) for block in self.blocks])
        if unseen:
            squares, cells = self.unseen
            start = sum(block.count for block in self.blocks if isinstance(block, AllNumbers))
            found = (squares / cells.clamp(min=1e-30)).clamp(min=LEAST_VARIANCE).sqrt()
            own[start : start + self.located] = torch.where(cells > 1e-30, found, 1.0)
        return own[self.place]

    @torch.no_grad()
    def after_step(self, trace: Trace, terms: dict[str, Tensor]) -> None:
        """Let every block follow its running figures."""
        x, weight, row_weight = trace.batch.visible(), trace.weight, trace.batch.row_weight
        x = known(x, weight)
        mass = torch.ones_like(x) if weight is None else weight.to(x.dtype)
        if row_weight is not None:
            mass = mass * row_weight[:, None]
        outs = trace.out.to(x.dtype).split(self.outputs, -1)
        cells, masses = (values[:, self.order].split(self.counts, 1) for values in (x, mass))
        if trace.seen.hidden is not None and self.located:
            self.follow_unseen(outs, cells, mass * trace.seen.hidden)
        for block, own, cell, each in zip(self.blocks, outs, cells, masses, strict=True):
            if isinstance(block, AllNumbers):
                of_block = None if weight is None else weight[:, self.order[: block.count]]
                block.after_step(replace(trace, out=own), of_block, cell)
            else:
                block.follow(own if trace.code.draws else own[None], cell, each)

    def follow_unseen(self, outs: Sequence[Tensor], cells: Sequence[Tensor], mass: Tensor) -> None:
        """The errors of numbers in cells that were hidden; ``mass`` (n, columns), how often each counts."""
        masses = mass[:, self.order].split(self.counts, 1)
        found = []
        for block, own, cell, each in zip(self.blocks, outs, cells, masses, strict=True):
            if isinstance(block, Spread):
                squares = (own - cell).square()
                squares = squares.mean(0) if own.ndim > cell.ndim else squares
                found.append(torch.stack([(squares * each).sum(0), each.sum(0)]))
        follow(self.unseen, self.steps, torch.cat(found, 1))
