"""Augmentations: how training rows are varied before anything else, so that more is learnt of few of them.

The varied row is what is rebuilt, unlike a corruption's, of which the clean row is. A row's values, the weight of its
cells and what the encoder is shown in its place move together. Only the composition, and only in training, calls one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from isthmus.checks import is_whole
from isthmus.errors import InputError
from isthmus.records import Batch, Pass, part, replace


def running_axes(batch: Batch, owner: str) -> tuple[str, ...]:
    """The axes along which rows can be moved."""
    axes = batch.layout.axes
    if axes[0] == "column":
        raise InputError(f"{owner}: rows must be images, series or clips: a table's columns cannot be moved about")
    return axes[: len(batch.layout.grid)]


def ends(batch: Batch) -> list[Tensor]:
    """(n, 1) along every running axis: how many places of each row are its own; all but of shorter sequences."""
    n, device = len(batch), batch.x.device
    found = [torch.full((n, 1), size, device=device) for size in batch.layout.grid]
    if batch.lengths is not None:
        found[0] = batch.lengths[:, None].to(device)
    return found


def places(batch: Batch) -> list[Tensor]:
    """(1, size) along every running axis: the places as they are."""
    return [torch.arange(size, device=batch.x.device)[None] for size in batch.layout.grid]


def drawn(batch: Batch, pass_: Pass) -> Tensor:
    """(n, 1) uniform numbers in [0, 1), one per row."""
    return torch.rand((len(batch), 1), generator=pass_.generator, device=batch.x.device)


def moved(batch: Batch, sources: Sequence[Tensor]) -> Batch:
    """The batch whose place i along an axis shows what was at place ``sources[axis][:, i]``."""
    n, grid, sizes = len(batch), batch.layout.grid, tuple(source.shape[1] for source in sources)
    # Every place by one number, since rows of a matrix are picked out much faster than cells along several axes.
    flat = torch.arange(n, device=batch.x.device).reshape(n, *[1] * len(grid))
    for axis, (source, size) in enumerate(zip(sources, grid, strict=True)):
        flat = flat * size + source.reshape(-1, *[1] * axis, source.shape[1], *[1] * (len(grid) - 1 - axis))
    flat = flat.reshape(-1)

    def picked(values: Tensor) -> Tensor:
        places = values.reshape(n * math.prod(grid), -1).index_select(0, flat)
        return places.reshape(n, *sizes, *values.shape[1 + len(grid) :])

    beside = {"weight": batch.weight, "shown": batch.shown}
    more: dict[str, Any] = {name: None if values is None else picked(values) for name, values in beside.items()}
    return replace(batch, x=picked(batch.x), **more)


@part
class Flip:
    """Turn every row round, along each of some axes, with probability a half.

    Parameters
    ----------
    axes : names of the layout's axes: ``"width"`` (left and right), ``"height"``, ``"step"``, ``"frame"``. Shorter
        sequences are turned round within their own length.

    Examples
    --------
    >>> from isthmus.records import Layout
    >>> batch = Batch(torch.arange(6.0).reshape(2, 3), Layout((3,), ("step",)))
    >>> Flip(("step",))(batch, Pass(torch.Generator().manual_seed(0), training=True)).x
    tensor([[2., 1., 0.],
            [3., 4., 5.]])
    """

    axes: tuple[str, ...] = ("width",)

    def __post_init__(self) -> None:
        axes = (self.axes,) if isinstance(self.axes, str) else self.axes
        if not isinstance(axes, (tuple, list)) or not axes or not all(isinstance(axis, str) for axis in axes):
            raise InputError(f"Flip: axes must be names of axes such as ('width',); got {self.axes!r}")
        object.__setattr__(self, "axes", tuple(axes))

    def __call__(self, batch: Batch, pass_: Pass) -> Batch:
        known, sources, own = running_axes(batch, "Flip"), places(batch), ends(batch)
        for name in self.axes:
            if name not in known:
                raise InputError(f"Flip: rows have no axis {name!r}; they have {', '.join(known)}")
            axis = known.index(name)
            place, end = sources[axis], own[axis]
            turns = (drawn(batch, pass_) < 0.5) & (place < end)
            sources[axis] = torch.where(turns, end - 1 - place, place)
        return moved(batch, sources)


@part
class Shift:
    """Move every row by a few places along each axis; what comes in at the edge repeats the edge.

    Parameters
    ----------
    most : places (pixels, steps, frames) to move by at most, to either side, >= 1: each whole number of them is as
        likely.

    Examples
    --------
    >>> from isthmus.records import Layout
    >>> batch = Batch(torch.arange(10.0).reshape(2, 5), Layout((5,), ("step",)))
    >>> Shift(2)(batch, Pass(torch.Generator().manual_seed(0), training=True)).x
    tensor([[0., 1., 2., 3., 4.],
            [6., 7., 8., 9., 9.]])
    """

    most: int = 2

    def __post_init__(self) -> None:
        if not is_whole(self.most) or self.most < 1:
            raise InputError(f"Shift: most must be a whole number of places >= 1; got {self.most!r}")

    def __call__(self, batch: Batch, pass_: Pass) -> Batch:
        running_axes(batch, "Shift")
        sources = []
        for place, end in zip(places(batch), ends(batch), strict=True):
            step = (drawn(batch, pass_) * (2 * self.most + 1)).long() - self.most
            there = torch.minimum((place + step).clamp_min(0), end - 1)
            sources.append(torch.where(place < end, there, place))
        return moved(batch, sources)


@part
class Crop:
    """Cut a window out of every row, each at a random place. The batch's layout becomes that of the window.

    It is for networks that take rows of any size, as convolutional ones with a code map do: outside training rows are
    whole.

    Parameters
    ----------
    size : places of the window along every axis but the channels, or one number for each axis, >= 1. Of a sequence
        shorter than the window, all is kept.

    Examples
    --------
    >>> from isthmus.records import Layout
    >>> batch = Batch(torch.zeros(2, 5, 6, 3), Layout((5, 6, 3), ("height", "width", "channel")))
    >>> Crop(4)(batch, Pass(torch.Generator().manual_seed(0), training=True)).layout.shape
    (4, 4, 3)
    """

    size: int | tuple[int, ...]

    def __post_init__(self) -> None:
        sizes: Any = (self.size,) if is_whole(self.size) else self.size
        if not isinstance(sizes, (tuple, list)) or not sizes or not all(is_whole(n) and n >= 1 for n in sizes):
            raise InputError(f"Crop: size must be whole numbers >= 1, e.g. 40 or (32, 64); got {self.size!r}")
        object.__setattr__(self, "size", sizes[0] if is_whole(self.size) else tuple(sizes))

    def __call__(self, batch: Batch, pass_: Pass) -> Batch:
        axes, grid = running_axes(batch, "Crop"), batch.layout.grid
        sizes = (self.size,) * len(grid) if isinstance(self.size, int) else self.size
        if len(sizes) != len(grid) or any(size > whole for size, whole in zip(sizes, grid, strict=True)):
            raise InputError(f"Crop: size={self.size!r} does not lie within rows of {axes} {grid}")
        sources = []
        for size, end in zip(sizes, ends(batch), strict=True):
            room = (end - size).clamp_min(0)
            start = (drawn(batch, pass_) * (room + 1)).long()
            sources.append(start + torch.arange(size, device=batch.x.device))
        whole = replace(batch.layout, shape=(*sizes, *batch.layout.shape[len(grid) :]))
        lengths = None if batch.lengths is None else batch.lengths.clamp_max(sizes[0])
        return replace(moved(batch, sources), layout=whole, lengths=lengths)


@part
class Together:
    """Several augmentations, one after the other.

    Parameters
    ----------
    parts : the augmentations, in their order; at least one.

    Examples
    --------
    >>> from isthmus.records import Layout
    >>> vary = Together((Flip(), Crop(2)))
    >>> batch = Batch(torch.zeros(3, 4, 5), Layout((4, 5), ("height", "width")))
    >>> vary(batch, Pass(torch.Generator().manual_seed(0), training=True)).x.shape
    torch.Size([3, 2, 2])
    """

    parts: tuple[Any, ...]

    def __post_init__(self) -> None:
        parts = self.parts if isinstance(self.parts, (tuple, list)) else (self.parts,)
        if not parts or not all(callable(one) and not isinstance(one, type) for one in parts):
            raise InputError(f"augmentation must be parts such as [Flip(), Shift(2)]; got {self.parts!r}")
        object.__setattr__(self, "parts", tuple(parts))

    def __call__(self, batch: Batch, pass_: Pass) -> Batch:
        for one in self.parts:
            batch = one(batch, pass_)
        return batch
