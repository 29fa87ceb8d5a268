"""Sequences step by step: recurrent layers, and what is done with rows that are padded at their ends."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}

State = Tensor | tuple[Tensor, Tensor] | None
"""(layers, n, hidden): the hidden state, beside that of the cells for an LSTM; None = all 0."""


def recurrent_layers(cell: str, inputs: int, hidden: int, layers: int, generator: torch.Generator) -> nn.LSTM | nn.GRU:
    """Layers of one direction; weights uniform within 1 / sqrt(hidden), as PyTorch has them."""
    # Empty by way of "meta": skip_init does not take these modules, and their own first draw is from the global state.
    made = CELLS[cell](inputs, hidden, layers, batch_first=True, device="meta").to_empty(device="cpu")
    bound = 1 / math.sqrt(hidden)
    with torch.no_grad():
        for weights in made.parameters():
            weights.uniform_(-bound, bound, generator=generator)
    return made


def run(layers: nn.Module, x: Tensor, state: State = None) -> tuple[Tensor, State]:
    """(n, steps, units) -> (n, steps, hidden), and the last state.

    On a GPU the fused kernels can be differentiated neither outside training mode nor twice: where a penalty wants
    the Jacobian of a part at rest, every step is made by itself.
    """
    if x.is_cuda and torch.is_grad_enabled() and not layers.training:
        return by_steps(cast(nn.RNNBase, layers), x, state)
    return layers(x, state)


def by_steps(layers: nn.RNNBase, x: Tensor, state: State = None) -> tuple[Tensor, State]:
    """What the layers themselves give, by operations that can be differentiated any number of times."""
    zero = x.new_zeros(layers.num_layers, x.shape[0], layers.hidden_size)
    hidden, cells = state if isinstance(state, tuple) else (zero if state is None else state, zero)
    last = []
    for weights, h, c in zip(layers.all_weights, hidden, cells, strict=True):
        into, onward, bias_into, bias_onward = cast(list[Tensor], weights)
        outs = []
        for step in F.linear(x, into, bias_into).unbind(1):
            h, c = one_step(step, F.linear(h, onward, bias_onward), h, c)
            outs.append(h)
        x = torch.stack(outs, dim=1)
        last.append((h, c))
    hidden, cells = (torch.stack(parts) for parts in zip(*last, strict=True))
    return x, (hidden, cells) if isinstance(layers, nn.LSTM) else hidden


def one_step(step: Tensor, onward: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The next state of an LSTM (four gates) or a GRU (three, and no cells)."""
    if step.shape[1] == 4 * h.shape[1]:
        entry, forget, new, leave = (step + onward).chunk(4, 1)
        c = torch.sigmoid(forget) * c + torch.sigmoid(entry) * torch.tanh(new)
        return torch.sigmoid(leave) * torch.tanh(c), c
    reset, update = torch.sigmoid((step + onward)[:, : 2 * h.shape[1]]).chunk(2, 1)
    new = torch.tanh(step.chunk(3, 1)[2] + reset * onward.chunk(3, 1)[2])
    return (1 - update) * new + update * h, c


def turned(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(n, steps, ...) with the valid steps of every row in reverse order and the padding where it was.

    >>> turned(torch.tensor([[1, 2, 3, 0]]), torch.tensor([3]))
    tensor([[3, 2, 1, 0]])
    """
    if lengths is None:
        return x.flip(1)
    step = torch.arange(x.shape[1], device=x.device)
    back = lengths[:, None] - 1 - step
    place = torch.where(back >= 0, back, step)
    return x.gather(1, place.reshape(*place.shape, *[1] * (x.ndim - 2)).expand_as(x))


def valid_steps(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Rows without the steps that are padding in all of them, and 0 in the padding that is left.

    After the valid steps nothing is read, but a state made of infinite padding would have a gradient that is no number.
    """
    if lengths is None:
        return x, None
    x = x[:, : int(lengths.max())]
    valid = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
    return torch.where(valid.reshape(*valid.shape, *[1] * (x.ndim - 2)), x, torch.zeros_like(x)), lengths


def last_valid(out: Tensor, lengths: Tensor | None) -> Tensor:
    """(n, steps, units) -> (n, units) at the last valid step."""
    if lengths is None:
        return out[:, -1]
    return out.gather(1, (lengths - 1)[:, None, None].expand(-1, 1, out.shape[2])).squeeze(1)
