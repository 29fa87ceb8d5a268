"""A code that is made of the row's own columns: which ones is learned, by a choice that sharpens as it cools."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checks import is_real, is_whole
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.columns import distinct, foretelling
from isthmus.parts.schedules import at, bounds
from isthmus.records import NOWHERE, Batch, Code, Context, Schedule, Site, Trace, part

PACE = 10.0
"""What a step of the optimiser is worth to the choice: logits must come apart by about log(columns) + 5 before one
column outweighs the noise of all others, which weights that move by a thousandth at a time would take too long for."""

HEAD_START = 10.0
"""By how much the logits of the columns that the choice begins with exceed the others."""

EVEN_COLUMNS = 3000
"""Up to so many columns the choice begins with those that foretell the others linearly."""


@part
class Cooling:
    """A temperature that falls from ``start`` to ``stop`` over ``epochs`` epochs, by the same factor in each.

    Parameters
    ----------
    start, stop : the temperature before and after, > 0.
    epochs : how long the change takes, > 0.

    Examples
    --------
    >>> Cooling(10.0, 0.1, epochs=4)(2.0)
    1.0
    """

    start: float = 2.0
    stop: float = 0.05
    epochs: float = 15.0

    def __post_init__(self) -> None:
        for name in ("start", "stop", "epochs"):
            value = getattr(self, name)
            if not (is_real(value) and 0 < value < math.inf):
                raise InputError(f"Cooling: {name} must be a number > 0; got {value!r}")

    def __call__(self, epoch: float) -> float:
        return self.start * (self.stop / self.start) ** min(max(epoch / self.epochs, 0.0), 1.0)


@part
class Concrete:
    """Let the code be some of the row's own columns, and learn which: those from which the others are best rebuilt.

        z_j = sum over columns i of m_ji x_i,    m_j = softmax((l_j + Gumbel noise) / temperature)

    In training every number of the code is a mixture of columns, which comes down to one of them as the temperature
    falls; the noise is drawn once for a batch. Outside training it is a single column, and no two are the same: of
    numbers that want one column, the surest has it, and the others the best that is left.

    What is chosen among are the columns themselves: `Parts.build` sets the network's encoder aside and puts `Rows` in
    its place, and only the decoder is the network's. Where rows are given something, or a network is told how strong
    the noise is, a linear map of that, which starts at 0, is added to the columns.

    Parameters
    ----------
    temperature : > 0, a number or a schedule. Hot, all columns are tried; cold, only what was chosen is left. From a
        random start the paper's ``Cooling(10.0, 0.01)`` does better than the default.
    start : ``"linear"``: the choice begins with the columns that foretell all others best linearly, found one after the
        other; ``"random"``: with random ones.

    Raises
    ------
    InputError : a parameter is out of its range; the code is to have more numbers than there are columns.

    References
    ----------
    Balin, Abid & Zou 2019, Concrete autoencoders: differentiable feature selection and reconstruction; Farahat, Ghodsi
    & Kamel 2011, An efficient greedy method for unsupervised feature selection (where it begins).

    Examples
    --------
    >>> from isthmus.records import Layout
    >>> choice = Concrete().build(Site(Layout((4,), ("column",)), code_size=2))
    >>> x = torch.tensor([[10.0, 11.0, 12.0, 13.0]])
    >>> bool((choice(x, Context((4,))).z == x[:, choice.chosen]).all())
    True
    """

    temperature: Schedule = Cooling()
    start: str = "linear"

    def __post_init__(self) -> None:
        low, high = bounds(self.temperature)
        if not 0 < low <= high < math.inf:
            raise InputError(f"Concrete: temperature must be > 0, or a schedule; got {self.temperature!r}")
        if self.start not in ("linear", "random"):
            raise InputError(f"Concrete: start must be 'linear' or 'random'; got {self.start!r}")

    def build(self, site: Site = NOWHERE) -> Choice:
        return Choice(self, site)


@part
class Picked:
    """Let the code be the named columns of the row, as they are: how well a choice tells the rest.

    Parameters
    ----------
    columns : their numbers, from 0 on, each once, as many as the code has numbers.

    Raises
    ------
    InputError : a column is no whole number, negative, beyond the row, or named twice.

    Examples
    --------
    >>> Picked((2, 0))(torch.tensor([[10.0, 11.0, 12.0]]), Context((3,))).z
    tensor([[12., 10.]])
    """

    columns: tuple[int, ...] = (0,)

    reads_rows = True

    def __post_init__(self) -> None:
        columns = tuple(self.columns) if isinstance(self.columns, (tuple, list, np.ndarray)) else ()
        if not columns or not all(is_whole(column) and column >= 0 for column in columns):
            raise InputError(f"Picked: columns must be whole numbers >= 0 such as (0, 3); got {self.columns!r}")
        if len(set(columns)) < len(columns):
            raise InputError(f"Picked: every column can be named once; got {self.columns!r}")
        object.__setattr__(self, "columns", tuple(int(column) for column in columns))

    def width(self, code_size: int) -> int:
        """Numbers that the network's encoder would emit, were it not set aside."""
        if code_size != len(self.columns):
            raise InputError(f"Picked: {len(self.columns)} columns make a code of as many numbers; got {code_size}")
        return code_size

    def __call__(self, hidden: Tensor, context: Context) -> Code:
        x = hidden.flatten(1)
        if max(self.columns) >= x.shape[1]:
            raise InputError(f"Picked: there is no column {max(self.columns)} in rows of {x.shape[1]}")
        z = x.index_select(1, torch.tensor(self.columns, device=x.device))
        return Code(z=z, point=z)


class Choice(nn.Module):
    """The module behind `Concrete`.

    ``chosen`` (code_size,) int64 are the columns that the code is made of, all different.
    """

    chosen: Tensor

    reads_rows = True

    def __init__(self, concrete: Concrete, site: Site) -> None:
        super().__init__()
        if site.layout is None or not site.code_size:
            raise InputError(
                "Concrete: it must know the rows that it chooses from: Concrete().build(Site(layout, code_size))"
            )
        self.concrete = concrete
        # By itself, so that the composition finds when it ends.
        self.temperature = concrete.temperature
        self.shape = (site.code_size, site.layout.features)
        self.width(site.code_size)
        # Flat, because what has two axes is taken for weights, and is shrunk with them: that would undo the choice.
        drawn = torch.empty(math.prod(self.shape)).normal_(0, 0.1 / PACE, generator=site.generator)
        self.choice = nn.Parameter(drawn)
        self.register_buffer("chosen", distinct(self.logits.detach()))

    @property
    def logits(self) -> Tensor:
        """(code_size, columns): how much each number of the code wants each column."""
        return PACE * self.choice.reshape(self.shape)

    def width(self, code_size: int) -> int:
        """Numbers that the network's encoder would emit, were it not set aside."""
        columns = self.shape[1]
        if code_size > columns:
            raise InputError(f"code_size: there are {columns} columns to choose from; {code_size} cannot be chosen")
        return code_size

    def start(self, hidden: Tensor, batch: Batch) -> None:
        """Begin with the columns from which the first rows' others are best foretold by a linear map."""
        x = hidden.flatten(1)
        if self.concrete.start != "linear" or x.shape[1] > EVEN_COLUMNS:
            return
        found = foretelling(x.double().cpu().numpy(), self.shape[0])
        places = torch.from_numpy(np.arange(self.shape[0]) * self.shape[1] + found).to(self.choice.device)
        self.choice[places] += HEAD_START / PACE
        self.settle()

    def forward(self, hidden: Tensor, context: Context) -> Code:
        x, pass_ = hidden.flatten(1), context.pass_
        if pass_.training:
            z = x @ self.mixture(at(self.temperature, pass_.epoch), pass_.generator).T
        else:
            z = x.index_select(1, self.chosen)
        return Code(z=z, point=z)

    def mixture(self, temperature: float, generator: torch.Generator | None) -> Tensor:
        """(code_size, columns): the shares of the columns in each number of the code; they sum to 1."""
        logits = self.logits
        if generator is not None:
            # Minus the logarithm of an exponential draw is Gumbel noise, and has no log(0).
            drawn = torch.empty_like(logits).exponential_(generator=generator)
            logits = logits - drawn.clamp(min=torch.finfo(drawn.dtype).tiny).log()
        return (logits / temperature).softmax(1)

    def certainty(self) -> Tensor:
        """(code_size,) in (0, 1]: how probable the column that was chosen is, number by number."""
        return self.logits.detach().softmax(1).gather(1, self.chosen[:, None])[:, 0]

    def settle(self) -> None:
        """Choose anew, after the logits have moved."""
        self.chosen.copy_(distinct(self.logits))

    def after_step(self, trace: Trace, terms: dict[str, Tensor]) -> None:
        self.settle()
