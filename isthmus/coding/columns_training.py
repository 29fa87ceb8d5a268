"""Learning a model of a table's columns: as large as its own bytes and those it saves make worth while.

No code of a row goes first: on Adult's held-out rows, one of 32 that was sent before the columns cost 0.3 bits a row
more than the columns alone, which tell each other all that it tells.
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from isthmus.checks import check_whole, is_real
from isthmus.coding.column_network import CONSTANT, ColumnNetwork
from isthmus.coding.column_tokens import ColumnTokens
from isthmus.coding.columns import ColumnsModel
from isthmus.coding.whole import UNIT
from isthmus.errors import InputError
from isthmus.threads import load_optimisers, one_thread

SIZES = (8, 16, 32, 64)
"""Hidden units that are tried, the fewest first, until more of them no longer pay."""

FINENESS = ((3, 3), (2, 3), (2, 2))
"""Bits after the point of embeddings and of weights that are tried."""

PRICE = 10.0
"""Nats that a weight of size 1 costs: about what its whole number takes in the file."""

BATCH = 256
RATE = 8e-3
FEWEST_STEPS, MOST_STEPS, EPOCHS = 600, 4000, 8
JUDGED, RUNS = 2**15, 16
"""Rows by which models are compared, in so many runs."""


def fit_columns(
    ints: np.ndarray,
    *,
    sizes: tuple[int, ...] = SIZES,
    epochs: float | None = None,
    max_time: float | None = None,
    random_state: int | None = None,
) -> ColumnsModel:
    """Learn a model of a table, no larger than pays for as many rows as there are.

    Parameters
    ----------
    ints : shape (n, C), whole numbers; numbers are best in the order of their size, categories as 0, 1, ...
    sizes : hidden units to try, rising; () = tables only.
    epochs : passes through the rows, for each size; None = 8, within 600 and 4,000 batches of 256 rows.
    max_time : seconds in all, about; then what was learnt so far is taken. None = no limit.
    random_state : seed; None draws one.

    Returns
    -------
    ColumnsModel
        Of tables only and networks of these sizes that whose bytes, with those of these rows by it, are the fewest.

    Raises
    ------
    InputError : no whole numbers with two axes, or a knob that cannot be used.

    Examples
    --------
    >>> letters = np.random.default_rng(0).integers(0, 4, size=(2000, 1))
    >>> model = fit_columns(np.hstack([letters, 3 - letters]), random_state=0)
    >>> model.bits(np.hstack([letters, 3 - letters])) / 2000 < 2.2
    True
    """
    ints = _checked(ints, sizes, epochs, max_time)
    load_optimisers()
    start = time.monotonic()
    columns = tuple(ColumnTokens.fit(ints[:, place]) for place in range(ints.shape[1]))
    generator = torch.Generator().manual_seed(_seed(random_state))
    best = ColumnsModel(columns)
    judged = _judged(ints)
    least = _total(best, judged, len(ints))
    learnable = sum(column.size > 2 for column in columns) > 1 and len(ints) > 1
    for hidden in sizes if learnable else ():
        left = None if max_time is None else max_time - (time.monotonic() - start)
        if left is not None and left <= 0:
            break
        with one_thread():
            # Half of what is left, so that a larger one has its turn.
            net = _train(columns, ints, hidden, epochs, None if left is None else left / 2, generator)
        if not all(bool(parameter.isfinite().all()) for parameter in net.parameters()):
            break
        model, total = _smallest(columns, net, judged, len(ints))
        if total >= least:
            break
        best, least = model, total
    return best


def model_bits(model: ColumnsModel) -> float:
    """What the model's own arrays take, in bits."""
    return 8.0 * sum(tensor.nbytes for tensor in model.tensors().values())


def _total(model: ColumnsModel, judged: np.ndarray, rows: int) -> float:
    """Bits of the model and of so many rows, by those that are judged."""
    return model_bits(model) + (model.bits(judged) * rows / len(judged) if len(judged) else 0.0)


def _judged(ints: np.ndarray) -> np.ndarray:
    """Rows that models are compared by, in runs of neighbours, as columns may be of differences."""
    if len(ints) <= JUDGED:
        return ints
    starts = np.linspace(0, len(ints) - JUDGED // RUNS, RUNS).astype(np.int64)
    return np.concatenate([ints[start : start + JUDGED // RUNS] for start in starts])


def _checked(ints: Any, sizes: Any, epochs: Any, max_time: Any) -> np.ndarray:
    ints = np.asarray(ints)
    if ints.ndim != 2 or ints.dtype.kind not in "iu":
        raise InputError(f"ints must be whole numbers of shape (rows, columns); got {ints.dtype} of {ints.shape}")
    check_whole("fit_columns", **{f"sizes[{place}]": size for place, size in enumerate(sizes)})
    for name, value in (("epochs", epochs), ("max_time", max_time)):
        if value is not None and not (is_real(value) and value > 0):
            raise InputError(f"fit_columns: {name} must be None or a number above 0; got {value!r}")
    return ints


def _seed(random_state: int | None) -> int:
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    check_whole("fit_columns", least=0, random_state=random_state)
    return int(random_state)


class _Network(nn.Module):
    """The float network, its heads side by side and filled up to the widest.

    The symbols of escapes are not learnt: they have a constant, and neither weights nor an embedding.
    """

    known: torch.Tensor
    fixed: torch.Tensor
    first: torch.Tensor

    def __init__(self, columns: tuple[ColumnTokens, ...], hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [column.size for column in columns]
        widest = max(sizes)
        self.sizes = sizes
        known = torch.arange(widest) < torch.tensor(sizes)[:, None] - 1
        constants = torch.full((len(sizes), widest), -1e9)
        for place, column in enumerate(columns):
            table = torch.as_tensor(column.table, dtype=torch.float32)
            constants[place, : len(table)] = torch.log(table / table.sum())
        self.register_buffer("known", known)
        self.register_buffer("fixed", torch.where(known, 0.0, constants))
        self.register_buffer("first", torch.arange(len(sizes)) * widest)
        self.constants = nn.Parameter(torch.where(known, constants, 0.0))
        self.embeddings = nn.Parameter(
            0.2 * torch.randn(len(sizes) * widest, hidden, generator=generator) * known.reshape(-1, 1)
        )
        self.bias = nn.Parameter(0.1 * torch.randn(len(sizes), hidden, generator=generator))
        self.weights = nn.Parameter(
            0.5 / math.sqrt(hidden) * torch.randn(len(sizes), hidden, widest, generator=generator) * known[:, None]
        )
        for parameter, learnt in (
            (self.constants, known),
            (self.embeddings, known.reshape(-1, 1)),
            (self.weights, known[:, None]),
        ):
            parameter.register_hook(partial(torch.mul, learnt))

    def forward(self, symbols: torch.Tensor) -> torch.Tensor:
        """Nats of rows (n, C), summed over the columns, mean over the rows."""
        embedded = self.embeddings[(symbols + self.first).T]
        units = torch.relu(torch.cumsum(embedded, 0) - embedded + self.bias[:, None])
        logits = torch.baddbmm((self.constants + self.fixed)[:, None], units, self.weights)
        own = logits.gather(2, symbols.T[:, :, None])[:, :, 0]
        return (torch.logsumexp(logits, 2) - own).mean(1).sum()

    def price(self) -> torch.Tensor:
        """The sum of the weights' absolute values: it grows with their bytes."""
        return self.embeddings.abs().sum() + self.weights.abs().sum()


def _train(
    columns: tuple[ColumnTokens, ...],
    ints: np.ndarray,
    hidden: int,
    epochs: float | None,
    seconds: float | None,
    generator: torch.Generator,
) -> _Network:
    """A network of so many hidden units by all rows, in at most so many seconds."""
    symbols = torch.as_tensor(np.stack([column.cut(ints[:, j])[0] for j, column in enumerate(columns)], axis=1))
    net = _Network(columns, hidden, generator)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE, fused=True)
    steps = math.ceil((epochs or EPOCHS) * len(ints) / BATCH)
    if epochs is None:
        steps = min(max(steps, FEWEST_STEPS), MOST_STEPS)
    start = time.monotonic()
    for step in range(steps):
        done = step / steps
        if seconds is not None:
            done = max(done, (time.monotonic() - start) / seconds)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, 10 * done + 0.04) * 0.5 * (1 + math.cos(math.pi * done))
        batch = symbols[torch.randint(len(symbols), (BATCH,), generator=generator)]
        loss = net(batch) + PRICE / len(symbols) * net.price()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def _smallest(
    columns: tuple[ColumnTokens, ...], net: _Network, judged: np.ndarray, rows: int
) -> tuple[ColumnsModel, float]:
    """The network in whole numbers: as coarse, and with as few heads, as costs least."""
    found = []
    for fineness in FINENESS:
        model = ColumnsModel(columns, _whole(net, fineness, np.array([column.size > 2 for column in columns])))
        found.append((_total(model, judged, rows), fineness))
    _, fineness = min(found)
    heads = _paying(columns, net, fineness, judged, rows)
    model = ColumnsModel(columns, _whole(net, fineness, heads)) if heads.any() else ColumnsModel(columns)
    return model, _total(model, judged, rows)


def _paying(
    columns: tuple[ColumnTokens, ...], net: _Network, fineness: tuple[int, int], judged: np.ndarray, rows: int
) -> np.ndarray:
    """(C,) bool: columns of which a head saves more than it takes."""
    can = np.array([column.size > 2 for column in columns])
    network = _whole(net, fineness, can)
    saved = ColumnsModel(columns).bits_of_columns(judged) - ColumnsModel(columns, network).bits_of_columns(judged)
    # About what `small_arrays` needs.
    each = (1 + 2 * np.log2(1 + np.abs(network.weights))).sum(1)
    taken = np.bincount(np.repeat(np.arange(len(columns)), np.where(can, net.sizes, 0)), each, len(columns))
    return can & (saved * rows / max(len(judged), 1) > taken)


def _whole(net: _Network, fineness: tuple[int, int], heads: np.ndarray) -> ColumnNetwork:
    """The network in whole numbers, rounded at so many bits after the point."""
    point, after = fineness

    def rounded(values: torch.Tensor, scale: float) -> np.ndarray:
        return np.rint(values.detach().double().numpy() * scale).astype(np.int64)

    widest, hidden = net.known.shape[1], net.bias.shape[1]
    embeddings = rounded(net.embeddings, 2.0**point).reshape(-1, widest, hidden)
    weights = rounded(net.weights, 2.0**after).transpose(0, 2, 1)
    constants = rounded(net.constants + net.fixed, 1 / (UNIT * CONSTANT))
    sizes = list(enumerate(net.sizes))
    own = [(place, size) for place, size in sizes if heads[place]]
    return ColumnNetwork(
        heads=heads,
        embeddings=np.concatenate([embeddings[place, :size] for place, size in sizes]),
        bias=rounded(net.bias, 2.0**point),
        weights=np.concatenate([np.empty((0, hidden), np.int64), *(weights[place, :size] for place, size in own)]),
        constants=np.concatenate([np.empty(0, np.int64), *(constants[place, :size] for place, size in own)]),
        scale=int(1 / UNIT) >> (point + after),
    )
