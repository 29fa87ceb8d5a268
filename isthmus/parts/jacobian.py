"""Jacobians, one row at a time: of any map of rows, and of the code in what the encoder is shown.

J[j, i] is the derivative of output j of a row in number i of the same row. All functions here follow the caller's
gradient mode: where gradients are recorded the result can be differentiated again, under ``torch.no_grad()`` it is
a plain tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.records import PARTS, Batch, Context, Pass, Seen

RowMap = Callable[[Tensor], Tensor]
"""(n, *shape) -> (n, ...), every row by itself."""

CHUNK = 2**24
"""Numbers of a Jacobian held at once where only its norm is wanted: 64 MiB in float32."""


def pulled(function: RowMap, x: Tensor, directions: Tensor | None = None) -> Tensor:
    """J^T v: how much each number of a row moves the output along a direction, for several directions at once.

    Parameters
    ----------
    function : a map of rows.
    x : (n, *shape), where to differentiate.
    directions : (count, n, outputs); None = every output by itself, which gives the whole Jacobian.

    Returns
    -------
    (n, count, features).
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        out = function(x).flatten(1)
        if directions is None:
            directions = every_output(out)
        if not out.requires_grad:  # levels, which nothing moves a little
            return x.new_zeros(len(x), len(directions), x[0].numel())
        # A row depends on its own input only, so one backward pass serves all rows.
        (found,) = torch.autograd.grad(
            out, x, directions.to(out.dtype), is_grads_batched=True, create_graph=again, materialize_grads=True
        )
    return found.flatten(2).transpose(0, 1)


def every_output(out: Tensor) -> Tensor:
    """(outputs, n, outputs): a unit vector for every output, the same for all rows."""
    rows, outputs = out.shape
    return torch.eye(outputs, dtype=out.dtype, device=out.device)[:, None].expand(-1, rows, -1)


def jacobian(function: RowMap, x: Tensor) -> Tensor:
    """The Jacobian of every row.

    Parameters
    ----------
    function : (n, *shape) -> (n, ...), every row by itself.
    x : (n, *shape).

    Returns
    -------
    (n, outputs, features).

    Examples
    --------
    >>> jacobian(lambda x: x.square(), torch.tensor([[1.0, 3.0]]))
    tensor([[[2., 0.],
             [0., 6.]]], grad_fn=<TransposeBackward0>)
    """
    return pulled(function, x)


@torch.no_grad()
def norms(function: RowMap, x: Tensor) -> Tensor:
    """(n,) Frobenius norms (not squared) of the Jacobian of every row, without ever holding more than `CHUNK` numbers.

    Examples
    --------
    >>> norms(lambda x: x.square(), torch.tensor([[1.5, 2.0]]))
    tensor([5.])
    """
    units = every_output(function(x).flatten(1))
    chunk = max(1, CHUNK // x.numel())
    squares = [pulled(function, x, some).square().flatten(1).sum(1) for some in units.split(chunk)]
    return torch.stack(squares).sum(0).sqrt()


@dataclass(frozen=True)
class CodeMap:
    """The deterministic map from what the encoder is shown to ``code.point``, for the rows of one batch.

    No corruption, no dropout, no draws. Cells that are missing, and columns that hold no numbers, are kept as they
    are, so that their columns of the Jacobian are 0; what is given beside the rows is not differentiated.
    """

    composition: Any
    batch: Batch
    context: Context
    shown: Tensor

    @classmethod
    def of(cls, composition: Any, batch: Batch, seen: Seen | None = None, context: Context | None = None) -> CodeMap:
        """The map around the rows as they are, or as one pass has ``seen`` them in its ``context``."""
        context = composition.context(batch) if context is None else context
        quiet = replace(context, pass_=Pass(epoch=context.pass_.epoch, rows=context.pass_.rows))
        return cls(composition, batch, quiet, composition.view(batch, seen))

    @property
    def free(self) -> Tensor | None:
        """The cells that count, True or False, in a shape that stretches to the rows'; None = all."""
        free = None if self.batch.weight is None else self.batch.weight > 0
        if self.batch.layout.numeric is not None:
            numeric = torch.tensor(self.batch.layout.numeric, device=self.shown.device)
            free = numeric if free is None else free & numeric
        return free

    def hidden(self, x: Tensor) -> Tensor:
        """What the encoder emits."""
        free = self.free
        x = x if free is None else torch.where(free, x, self.shown)
        with at_rest(self.composition.encoder):
            return self.composition.encoder(x, self.context)

    def point(self, hidden: Tensor) -> Tensor:
        """The code that the bottleneck makes of it."""
        with at_rest(self.composition.bottleneck):
            return self.composition.bottleneck(hidden, self.context).point

    def __call__(self, x: Tensor) -> Tensor:
        return self.point(self.hidden(x))

    def squared_weights(self, weight: Tensor) -> Tensor:
        """|W_j|^2 over the cells that count: (1, code), or (n, code) where cells are missing."""
        free = self.free
        if free is None:
            return weight.square().sum(1)[None]
        return free.to(weight.dtype).expand(self.shown.shape).flatten(1) @ weight.square().T

    def slopes(self, hidden: Tensor) -> Tensor:
        """(n, code) f'(a_j), for an elementwise bottleneck."""
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            hidden = hidden if hidden.requires_grad else hidden.detach().requires_grad_()
            (found,) = torch.autograd.grad(self.point(hidden).sum(), hidden, create_graph=again)
        return found


def closed_weight(composition: Any) -> Tensor | None:
    """(code, features) W of an encoder that is one dense layer, before an elementwise bottleneck; else None.

    Then code_j = f(a_j) with a = W x + b, so J[j, i] = f'(a_j) W[j, i] and |J|^2 = sum_j f'(a_j)^2 |W_j|^2: as
    cheap as the code itself.
    """
    # The rooms of one floor do not import each other, so parts are known by their descriptions.
    if type(composition.bottleneck) is not PARTS.get("Plain"):
        return None
    encoder = composition.encoder
    wrapped = getattr(encoder, "module", None)
    if type(wrapped) is nn.Linear:
        return wrapped.weight
    if type(getattr(encoder, "network", None)) is not PARTS.get("Dense") or len(encoder.linear) != 1:
        return None
    weight = encoder.linear[0].weight[:, : encoder.inputs]  # what is read beside x comes after it
    return weight if encoder.path is None else weight + encoder.path.weight


@torch.no_grad()
def frobenius(composition: Any, batch: Batch) -> Tensor:
    """(n,) Frobenius norm (not squared) of the Jacobian of the code in what the encoder is shown, outside training.

    In units of the code per scaled unit of the row: noise of standard deviation s on every cell moves the code by
    about s times this (root of the mean squared distance).
    """
    code = CodeMap.of(composition, batch)
    weight = closed_weight(composition)
    if weight is None:
        return norms(code, code.shown)
    return (code.slopes(code.hidden(code.shown)).square() * code.squared_weights(weight)).sum(1).sqrt()


def rebuilding(composition: Any, batch: Batch) -> RowMap:
    """The map x -> r(x) from rows to the rows rebuilt of them, (n, *shape) -> (n, *shape), outside training."""
    context = composition.context(batch)

    def rebuilt(x: Tensor) -> Tensor:
        with at_rest(composition):
            return composition.rebuild(composition.represent(replace(batch, x=x)), context)

    return rebuilt


@contextmanager
def at_rest(part: Any) -> Iterator[None]:
    """Keep modules of others' making (dropout above all) as they are outside training, while the block runs."""
    busy = [module for module in part.modules() if module.training] if isinstance(part, nn.Module) else []
    for module in busy:
        module.training = False
    try:
        yield
    finally:
        for module in busy:
            module.training = True
