"""The dense (fully connected) network: the encoder and its mirror image, the decoder."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.parts.activations import ACTIVATIONS, IN_PLACE
from isthmus.parts.networks.common import Output, given_to, told_level
from isthmus.records import Context, Layout, Pass, part

NORMS = (None, "layer", "batch")


@part
class Dense:
    """Fully connected encoder, and a decoder that mirrors it.

    Parameters
    ----------
    hidden : the widths of the encoder's hidden layers, from the data towards the code; the decoder has
        them in reverse order. ``()`` makes both a single linear map. A float is a multiple of the number
        of features: ``(2.0, 1.0)`` on 30 columns is ``(60, 30)``; such widths stay within 64 and 1000, are
        never below twice the code, and shrink where a layer would have over 50 million weights.
    activation : after every hidden layer: one of ``identity, relu, leaky_relu, elu, selu, gelu, silu,
        softplus, tanh, sigmoid``.
    norm : ``"layer"``, ``"batch"`` or None, before every activation. With ``"batch"`` a row's cost depends
        on the other rows of its batch while training.
    dropout : share of hidden units set to 0 in training, in [0, 1).
    tied : if True the decoder's weights are the encoder's, transposed (biases are its own).
    linear_path : if True, encoder and decoder are the sum of the layers and of a plain linear map beside
        them, which starts as the principal components of the training rows while the layers start at 0:
        training then begins at PCA and can only leave it for something better.
    output_activation : applied to the decoder's output, in scaled units. ``"bounded"`` is a sigmoid stretched
        over the range of each column: what suits pixels, and any data with fixed ends.

    Examples
    --------
    >>> network = Dense(hidden=(500, 100), activation="relu")
    >>> encoder, decoder = network.build(Layout((784,), ("column",)), hidden_size=10, code_size=10,
    ...                                  out_size=784, generator=torch.Generator().manual_seed(0))
    >>> encoder(torch.zeros(2, 784), Context((784,))).shape
    torch.Size([2, 10])
    >>> decoder(torch.zeros(2, 10), Context((784,))).shape
    torch.Size([2, 784])
    """

    hidden: tuple[int | float, ...] = ()
    activation: str = "silu"
    norm: str | None = None
    dropout: float = 0.0
    tied: bool = False
    linear_path: bool = False
    output_activation: str = "identity"

    def __post_init__(self) -> None:
        hidden = self.hidden if isinstance(self.hidden, (tuple, list)) else (self.hidden,)
        if not all(isinstance(width, (int, float)) and not isinstance(width, bool) and width > 0 for width in hidden):
            raise InputError(
                "Dense: hidden must be whole numbers > 0, e.g. (500, 100), or floats for multiples of the number of "
                f"features, e.g. (2.0, 1.0); got {self.hidden!r}"
            )
        object.__setattr__(self, "hidden", tuple(hidden))
        for name, more in (("activation", ()), ("output_activation", ("bounded",))):
            known = (*ACTIVATIONS, *more)
            if getattr(self, name) not in known:
                raise InputError(f"Dense: {name} must be one of {', '.join(known)}; got {getattr(self, name)!r}")
        if self.norm not in NORMS:
            raise InputError(f"Dense: norm must be 'layer', 'batch' or None; got {self.norm!r}")
        if not (is_real(self.dropout) and 0 <= self.dropout < 1):
            raise InputError(f"Dense: dropout must be in [0, 1); got {self.dropout!r}")

    def resolve(self, features: int, code_size: int) -> Dense:
        """The same network with every width a number of units."""

        def units(width: int | float) -> int:
            if isinstance(width, int):
                return width
            most = max(16, min(1000, 50_000_000 // features))
            return max(min(max(round(width * features), 64), most), min(2 * code_size, 4000))

        return replace(self, hidden=tuple(units(width) for width in self.hidden))

    def weights(self, features: int, code_size: int) -> int:
        """About how many numbers encoder and decoder learn together."""
        sizes = [features, *map(int, self.resolve(features, code_size).hidden), code_size]
        return 2 * sum(inputs * outputs for inputs, outputs in itertools.pairwise(sizes))

    def build(
        self,
        layout: Layout,
        hidden_size: int,
        code_size: int,
        out_size: int,
        generator: torch.Generator,
        given_size: int = 0,
        told: bool = False,
    ) -> tuple[DenseEncoder, DenseDecoder]:
        """Make encoder and decoder, with fresh weights drawn from ``generator``.

        ``hidden_size`` is what the bottleneck wants from the encoder, ``code_size`` what it hands to the
        decoder, ``out_size`` the numbers per row that the loss wants. Both read ``given_size`` numbers more,
        from ``context.given``; an encoder that is ``told`` reads ``context.level`` too.
        """
        if self.tied and (hidden_size != code_size or out_size != layout.features):
            raise InputError(
                "Dense: tied=True needs a bottleneck and a loss that keep their sizes "
                f"(encoder {layout.features} -> {hidden_size}, decoder {code_size} -> {out_size}). Use another loss or "
                "bottleneck, or a network that is not tied: network=ist.Dense(hidden=())"
            )
        encoder = DenseEncoder(self, layout.features, hidden_size, generator, given_size, told)
        decoder = DenseDecoder(self, code_size, out_size, generator, given_size, encoder if self.tied else None)
        return encoder, decoder


def draw_weights(layer: nn.Module, activation: str, generator: torch.Generator) -> None:
    """Initial weights of a linear map or a convolution: He's for rectifier-like activations, Glorot's for the others;
    biases 0."""
    weight = layer.get_parameter("weight")
    fan_in, fan_out = weight[0].numel(), weight.numel() // weight.shape[1]
    if activation in ("relu", "leaky_relu", "gelu", "silu", "elu", "softplus"):
        bound = math.sqrt(6.0 / fan_in)
    else:
        bound = math.sqrt(6.0 / (fan_in + fan_out))
    with torch.no_grad():
        weight.uniform_(-bound, bound, generator=generator)
        layer.get_parameter("bias").zero_()


def linear_layer(inputs: int, outputs: int, activation: str, generator: torch.Generator) -> nn.Linear:
    """A linear map with fresh weights, for an activation that follows it."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    draw_weights(layer, activation, generator)
    return layer


def dropped(x: Tensor, rate: float, pass_: Pass) -> Tensor:
    """``x`` with a share ``rate`` of its cells set to 0 and the others enlarged, in training only."""
    if rate == 0 or not pass_.training:
        return x
    kept = torch.rand(x.shape, generator=pass_.generator, device=x.device, dtype=x.dtype) >= rate
    return x * kept / (1 - rate)


class Activation(nn.Module):
    """An activation as a layer of its own, so that penalties can ask for its output by name.

    Where no gradient is wanted it overwrites its input, which only the layer before has made and nobody keeps.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return ACTIVATIONS[self.name](x)
        return IN_PLACE.get(self.name, ACTIVATIONS[self.name])(x)


class Layers(nn.Module):
    """Linear maps with norm, activation and dropout between them; nothing after the last.

    The first map reads ``more`` numbers per row beside its input: what is given, and how strong the noise is.
    """

    takes_context = True
    linear: nn.ModuleList
    norm: nn.ModuleList
    hidden: nn.ModuleList
    mirror: tuple[Layers, ...]
    path: nn.Linear | None

    def __init__(
        self, network: Dense, sizes: list[int], generator: torch.Generator, more: int = 0, mirror: Layers | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.inputs = sizes[0]
        self.linear = nn.ModuleList()
        self.norm = nn.ModuleList()
        self.hidden = nn.ModuleList(Activation(network.activation) for _ in sizes[2:])
        # In a tuple, so that the encoder's layers are not registered (and saved) a second time.
        self.mirror = (mirror,) if mirror is not None else ()
        last = len(sizes) - 2
        for place, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            beside = more if place == 0 else 0
            if mirror is None:
                activation = network.activation if place < last else "identity"
                self.linear.append(linear_layer(inputs + beside, outputs, activation, generator))
            else:
                self.linear.append(Own(outputs, beside))
            if place < last and network.norm == "layer":
                self.norm.append(nn.LayerNorm(outputs))
            elif place < last and network.norm == "batch":
                self.norm.append(BatchNorm(outputs))
        self.path = None
        if network.linear_path and mirror is None:
            self.path = nn.Linear(sizes[0], sizes[-1], bias=False, device="meta").to_empty(device="cpu")
            with torch.no_grad():
                self.path.weight.zero_()

    def weight(self, place: int) -> Tensor:
        return self.linear[place].get_parameter("weight")

    def layers(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """The linear maps in turn; a tied one borrows the transposed weight of its mirror image."""
        for mirror in self.mirror:
            for place, layer in enumerate(self.linear):
                image = mirror.weight(-1 - place)
                yield partial(layer, weight=image[:, : mirror.inputs].T if place == len(self.linear) - 1 else image.T)
            return
        yield from self.linear

    def forward(self, x: Tensor, context: Context, beside: tuple[Tensor, ...] = ()) -> Tensor:
        whole, dropout = x, self.network.dropout
        if beside:
            x = torch.cat((x, *beside), dim=1)
        layers, norms = self.layers(), iter(self.norm)
        # The activations come first, because zip asks them first: the last linear map is left for the end.
        for activation, layer in zip(self.hidden, layers, strict=False):
            x = layer(x)
            norm = next(norms, None)
            if norm is not None:
                x = norm(x, context.pass_) if isinstance(norm, BatchNorm) else norm(x)
            x = activation(x)
            if dropout:
                x = dropped(x, dropout, context.pass_)
        x = next(layers)(x)
        if self.path is not None:
            x = x + self.path(whole)
        for mirror in self.mirror:
            if mirror.path is not None:
                x = x + whole @ mirror.path.weight
        return x


class Own(nn.Module):
    """The part of a tied layer that is its own: the bias, and the weights of what is read ``beside`` its input."""

    def __init__(self, size: int, beside: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(size))
        self.beside = nn.Parameter(torch.zeros(size, beside)) if beside else None

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        whole = weight if self.beside is None else torch.cat((weight, self.beside), dim=1)
        return F.linear(x, whole, self.bias)


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that learns its running figures in training passes only; a row alone, which has no spread, is
    scaled by them even then."""

    def forward(self, x: Tensor, pass_: Pass) -> Tensor:  # type: ignore[override]  # it reads the pass
        learns = pass_.training and len(x) > 1
        figures = (self.running_mean, self.running_var, self.weight, self.bias)
        return F.batch_norm(x, *figures, training=learns, momentum=self.momentum or 0.1, eps=self.eps)


class DenseEncoder(Layers):
    """``encoder(x, context) -> hidden``: (n, *shape) -> (n, hidden_size)."""

    def __init__(
        self,
        network: Dense,
        features: int,
        hidden_size: int,
        generator: torch.Generator,
        given_size: int = 0,
        told: bool = False,
    ) -> None:
        super().__init__(network, [features, *map(int, network.hidden), hidden_size], generator, given_size + told)
        self.given_size, self.told = given_size, told

    def forward(self, x: Tensor, context: Context) -> Tensor:  # type: ignore[override]  # it finds what is beside
        beside = given_to(self, context)
        if self.told:
            beside = (told_level(context), *beside)
        return super().forward(x.flatten(1), context, beside)


class DenseDecoder(Layers, Output):
    """``decoder(z, context) -> out``: (n, code_size) -> (n, *shape), or (n, k, *shape) for k numbers per feature."""

    def __init__(
        self,
        network: Dense,
        code_size: int,
        out_size: int,
        generator: torch.Generator,
        given_size: int = 0,
        mirror: Layers | None = None,
    ) -> None:
        sizes = [code_size, *map(int, reversed(network.hidden)), out_size]
        super().__init__(network, sizes, generator, given_size, mirror)
        self.given_size = given_size
        self.begin_output(network.output_activation, out_size)

    def forward(self, z: Tensor, context: Context) -> Tensor:  # type: ignore[override]  # it finds what is beside
        out = self.ended(super().forward(z.flatten(1), context, given_to(self, context)))
        features = math.prod(context.shape)
        if out.shape[1] == features:
            return out.reshape(out.shape[0], *context.shape)
        return out.reshape(out.shape[0], -1, *context.shape)


def start_at(
    encoder: DenseEncoder, decoder: DenseDecoder, mean: np.ndarray, components: np.ndarray, variances: np.ndarray
) -> None:
    """Set a pair with a linear path to principal components: it then rebuilds exactly as PCA does.

    Parameters
    ----------
    mean : (features,). components : (>= code_size, features), orthonormal rows. variances : along each.

    The codes are whitened (variance 1 each), so that the layers beside the path see inputs of ordinary size.
    """
    if encoder.path is None or decoder.path is None:
        raise InputError("start_at: the network has no linear path; make it with Dense(linear_path=True)")
    size = len(encoder.path.weight)
    kept = torch.from_numpy(np.ascontiguousarray(components[:size])).float()
    spread = torch.from_numpy(np.sqrt(np.maximum(variances[:size], 1e-12))).float()
    middle = torch.from_numpy(mean).float()
    with torch.no_grad():
        for layers in (encoder, decoder):
            layers.weight(-1).zero_()
        encoder.path.weight.zero_()[: len(kept)] = kept / spread[:, None]
        encoder.linear[-1].get_parameter("bias").zero_()[: len(kept)] = -(kept @ middle) / spread
        decoder.path.weight.zero_()[:, : len(kept)] = kept.T * spread
        decoder.linear[-1].get_parameter("bias").copy_(middle)
