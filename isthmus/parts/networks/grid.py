"""What convolutions along one, two or three axes share: sizes, filters, halving and enlarging, blocks.

Maps are (n, channels, *sizes), as PyTorch has them; rows of the data are (n, *sizes) or (n, *sizes, channels).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.parts.networks.dense import Activation, BatchNorm, draw_weights
from isthmus.records import Layout, Pass

if TYPE_CHECKING:
    from isthmus.parts.networks.convolutional import Convolutional

CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
LARGEST = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MEANS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}

Sizes = tuple[int, ...]


def checked_grid(layout: Layout) -> Sizes:
    """The lengths of the axes that convolutions run along, or a refusal in words."""
    if not 1 <= len(layout.grid) <= 3:
        raise InputError(
            "network: convolutions run along one, two or three axes (beside channels); the rows have "
            f"{len(layout.grid)}: {', '.join(layout.axes)}. Use network=ist.Dense()"
        )
    if 0 in layout.shape:
        axis = layout.axes[layout.shape.index(0)]
        raise InputError(f"X: a network needs rows of at least one number; their shape is {layout.shape}, no {axis}")
    return layout.grid


def halved(sizes: Sizes, times: int = 1) -> Sizes:
    """The sizes of a map whose axes were halved so many times, rounded up each time.

    >>> halved((28, 7, 1), 2)
    (7, 2, 1)
    """
    return tuple(-(-size // 2**times) for size in sizes)


def window(x: Tensor) -> list[int]:
    """What is pooled into one cell of the next map: 2 cells along each axis that has them."""
    return [min(2, size) for size in x.shape[2:]]


def times(sizes: Sizes) -> str:
    """Sizes as they are said: ``28 x 28``."""
    return " x ".join(map(str, sizes))


def filters(
    axes: int,
    inputs: int,
    outputs: int,
    kernel: int,
    activation: str,
    generator: torch.Generator,
    stride: int = 1,
    padding: Sizes | None = None,
) -> nn.Module:
    """A convolution with fresh weights: He's for rectifier-like activations, Glorot's for others; biases 0.

    Its sizes stay as they are at stride 1, unless ``padding`` per axis is not the usual kernel // 2.
    """
    around = (kernel // 2,) * axes if padding is None else padding
    layer = nn.utils.skip_init(CONVOLUTIONS[axes], inputs, outputs, kernel, stride=stride, padding=around)
    draw_weights(layer, activation, generator)
    # Drawn first: in another order in memory, the same generator would give other weights.
    return layer.to(memory_format=FORMATS[axes]) if axes in FORMATS else layer


def enlarged(x: Tensor, sizes: Sizes) -> Tensor:
    """Every cell of a map repeated along each axis; one whose final size is 1 stays as it is."""
    return F.interpolate(x, scale_factor=[1.0 if size == 1 else 2.0 for size in sizes], mode="nearest")


def fitted(x: Tensor, sizes: Sizes) -> Tensor:
    """A map of just these sizes: surplus is cut at the end of an axis, and what is lacking there is 0."""
    surplus = [size - there for there, size in zip(x.shape[2:], sizes, strict=True)]
    if not any(surplus):
        return x
    # F.pad begins with the last axis; a negative number of cells is cut.
    return F.pad(x, [cells for more in reversed(surplus) for cells in (0, more)])


class GroupNorm(nn.GroupNorm):
    """Group norm in plain steps: PyTorch's own (2.13) cannot be differentiated twice for many directions at once, as
    the penalty on a code's Jacobian is."""

    def forward(self, x: Tensor) -> Tensor:
        groups = x.unflatten(1, (self.num_groups, -1))
        variance, mean = torch.var_mean(groups, dim=list(range(2, groups.ndim)), correction=0, keepdim=True)
        scaled = ((groups - mean) * torch.rsqrt(variance + self.eps)).flatten(1, 2)
        weight, bias = (values.reshape(-1, *[1] * (x.ndim - 2)) for values in (self.weight, self.bias))
        return torch.addcmul(bias, scaled, weight)


def norm_of(name: str | None, channels: int) -> nn.Module | None:
    """A fresh norm for maps of so many channels."""
    if name == "batch":
        return BatchNorm(channels)
    if name == "group":
        # At least four channels to a group: on maps of a single cell, a channel by itself would always be 0.
        groups = [count for count in range(1, 9) if channels % count == 0 and channels // count >= 4]
        return GroupNorm(max(groups, default=1), channels)
    return None


def normed(norm: nn.Module | None, x: Tensor, pass_: Pass) -> Tensor:
    if norm is None:
        return x
    return norm(x, pass_) if isinstance(norm, BatchNorm) else norm(x)


class Residual(nn.Module):
    """Two convolutions whose output is added to their input; it starts at 0, so that they first do nothing.

    As in He et al. 2016, "Identity mappings in deep residual networks", but that maps come to it activated.
    """

    def __init__(
        self, axes: int, channels: int, kernel: int, activation: str, norm: str | None, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.first, self.second = (filters(axes, channels, channels, kernel, activation, generator) for _ in range(2))
        nn.init.zeros_(self.second.get_parameter("weight"))
        self.norm = norm_of(norm, channels)
        self.hidden = Activation(activation)

    def forward(self, x: Tensor, pass_: Pass) -> Tensor:
        return x + self.second(self.hidden(normed(self.norm, self.first(x), pass_)))


def with_channels(x: Tensor, beside: tuple[Tensor, ...]) -> Tensor:
    """A map with further channels, (n, numbers) each, that are the same in all its cells."""
    if not beside:
        return x
    more = (values.reshape(*values.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:]) for values in beside)
    return torch.cat((x, *more), dim=1)


class Blocks(nn.Module):
    """Convolutions, each with its norm, its activation and its residual blocks; ``hidden`` holds the activations."""

    takes_context = True
    shrinks = False

    def __init__(self, network: Convolutional, layout: Layout, given_size: int) -> None:
        super().__init__()
        self.network, self.given_size = network, given_size
        self.sizes, self.channels, self.axes = layout.grid, layout.channels, len(layout.grid)
        self.convolution = nn.ModuleList()
        self.norm = nn.ModuleList()
        self.hidden = nn.ModuleList(Activation(network.activation) for _ in network.channels)
        self.residual = nn.ModuleList()

    def add(
        self, inputs: int, outputs: int, generator: torch.Generator, stride: int = 1, padding: Sizes | None = None
    ) -> None:
        """Another block; residual blocks come with the smaller of its sizes: its output's, if it is an encoder's."""
        kernel, activation, norm = self.network.kernel, self.network.activation, self.network.norm
        self.convolution.append(filters(self.axes, inputs, outputs, kernel, activation, generator, stride, padding))
        if (made := norm_of(norm, outputs)) is not None:
            self.norm.append(made)
        channels = outputs if self.shrinks else inputs
        blocks = (
            Residual(self.axes, channels, kernel, activation, norm, generator) for _ in range(self.network.residual)
        )
        self.residual.append(nn.ModuleList(blocks))

    def convolved(self, place: int, x: Tensor, pass_: Pass) -> Tensor:
        """What the activation at ``place`` is to see."""
        norm = self.norm[place] if len(self.norm) else None
        return normed(norm, self.convolution[place](x), pass_)

    def refined(self, place: int, x: Tensor, pass_: Pass) -> Tensor:
        """A map after the residual blocks at ``place``."""
        for block in self.residual[place]:  # type: ignore[attr-defined]  # a list of blocks
            x = block(x, pass_)
        return x

    def sizes_of(self, shape: tuple[int, ...]) -> Sizes:
        """The sizes of rows of this shape; a vector code knows only those that the network was built for."""
        sizes = tuple(shape[: self.axes])
        if self.network.code == "vector" and sizes != self.sizes:
            raise InputError(
                f"X: a network with a vector code takes rows of one size, {times(self.sizes)}; got {times(sizes)}. For "
                "rows of any size use Convolutional(code='map')"
            )
        return sizes
