"""Greedy layer-wise pretraining: every layer of a network is trained on what the layers below make of the rows.

for layer, from the data to the code: train it alone on its inputs; put its weights into the network;
                                      turn its inputs into those of the next

Bengio et al. 2007, "Greedy layer-wise training of deep networks"; Hinton & Salakhutdinov 2006, "Reducing the
dimensionality of data with neural networks"; Vincent et al. 2010, "Stacked denoising autoencoders"; Masci et al. 2011,
"Stacked convolutional auto-encoders for hierarchical feature extraction". What trains one layer is the ordinary loop,
so progress, early stopping, checkpoints and `resume` are those of any other fit.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from isthmus import training
from isthmus.checkpoints import OUT_OF_TIME, Plan, Saver
from isthmus.composition import Composition
from isthmus.data import Scaling
from isthmus.data.sources import Source
from isthmus.errors import InputError
from isthmus.parts.boltzmann import BoltzmannMachine, Downwards
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.corruptions import BlindSpot, MaskPatches
from isthmus.parts.losses.categories import Bernoulli
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.convolutional import Convolutional, ConvolutionalDecoder, ConvolutionalEncoder
from isthmus.parts.networks.dense import Dense, DenseDecoder, DenseEncoder, Layers
from isthmus.parts.networks.embedded import EmbeddedDecoder, EmbeddedEncoder
from isthmus.parts.networks.grid import times
from isthmus.parts.networks.one_block import OneBlock
from isthmus.parts.pretraining import Boltzmann, Greedy
from isthmus.progress import Progress
from isthmus.recipes import Parts
from isthmus.records import Batch, Layout, Trace
from isthmus.training import Feed

STEPS = 3000
"""Steps each layer is trained for where no number of epochs was asked for, about."""

INSTEAD = "layers that are autoencoders: method='stacked', or pretraining=Greedy()"


def pretrain(
    composition: Composition,
    feed: Feed,
    plan: Plan,
    description: Any,
    *,
    progress: Progress | None = None,
    resume: bool = False,
    identity: dict[str, Any] | None = None,
) -> Plan:
    """Train the layers of ``composition`` (in place) one by one, and return the plan of what is to follow.

    Those of a dense network are its linear maps, those of a convolutional one its blocks, and above them the linear
    maps that lead to a vector code. On a mixed table the lowest layer learns what its levels are turned into, too.

    While they are trained alone, layers read nothing beside their input, neither what rows are ``given`` nor how strong
    the noise is: the weights of what the network reads beside keep their fresh values, for the joint training to learn.

    Parameters
    ----------
    plan : what ``max_time`` leaves is shared evenly between the layers still to come and the joint training (if the
        plan has epochs). A layer whose share is over is left as it is, and the next one goes on.
    description : `Greedy` or `Boltzmann`.
    resume, identity : as in `training.train`; the checkpoints of layer 1 lie in the folder ``layer-1``, and so on.

    Returns
    -------
    Plan
        ``plan`` with the time that is left. If none is, it has no epochs and no checkpoint: a later fit with
        ``resume=True`` goes on in the layer in which the whole time ended.

    Raises
    ------
    InputError : these layers cannot be trained one by one, and why.
    """
    stack = stack_of(composition, description)
    began, count = time.monotonic(), stack.count
    if plan.checkpoint is not None and not resume:
        for folder in [plan.checkpoint, *(folder_of(plan, place) for place in range(count))]:
            Saver(replace(plan, checkpoint=folder), None).forget()
    place_layer: Any = machine_at if isinstance(description, Boltzmann) else autoencoder_at
    pace = plan_of_layers(plan, description, len(feed.train))
    feed = without_given(feed)
    for place in range(count):
        generator = torch.Generator().manual_seed(plan.seed)
        layer, inputs, unfold = place_layer(stack, place, description, feed, generator)
        gives = stack.gives(place, inputs.source.layout)
        left = plan.max_time - (time.monotonic() - began)
        checkpoint = None if plan.checkpoint is None else folder_of(plan, place)
        here = replace(pace, checkpoint=checkpoint, max_time=left / (count - place + (plan.epochs > 0)))
        whose = {**(identity or {}), "layer": place + 1}
        title = f"layer {place + 1} of {count}: {times(inputs.source.layout.shape)} -> {times(gives.shape)}"
        state = training.train(layer, inputs, here, progress=progress, title=title, resume=resume, identity=whose)
        with torch.no_grad():
            unfold()
        left = plan.max_time - (time.monotonic() - began)
        if left <= 0:
            return replace(plan, epochs=0, checkpoint=None)
        if OUT_OF_TIME in state.stopped:
            # Kept as finished: what is trained from here on builds on this layer, which must then not change any more.
            Saver(here, whose).save(state)
        if place + 1 < count:
            feed = Encoded(inputs, layer.represent, gives)
    return replace(plan, max_time=left)


def without_given(feed: Feed) -> Feed:
    """The same rows, given nothing."""
    if feed.given is None:
        return feed
    feed = copy.copy(feed)
    feed.given = None
    return feed


def folder_of(plan: Plan, place: int) -> str:
    return str(Path(plan.checkpoint or "") / f"layer-{place + 1}")


def plan_of_layers(plan: Plan, description: Greedy | Boltzmann, rows: int) -> Plan:
    """The whole plan with the pace of single layers."""
    steps = max(1, math.ceil(rows / plan.batch_size))
    return replace(
        plan,
        epochs=description.epochs or int(min(300, max(10, math.ceil(STEPS / steps)))),
        learning_rate=description.learning_rate or plan.learning_rate,
        target=0.0,
    )


@dataclass(frozen=True)
class Stack:
    """A composition whose layers can be trained one by one: blocks of convolutions, linear maps, or these upon those.

    Attributes
    ----------
    encoder, decoder : the network's own, without what a mixed table is read by before them.
    entry : what reads a mixed table; None where rows are numbers.
    blocks : how many there are.
    up, down : the linear maps of encoder and decoder; None where the code is a map.
    """

    encoder: Any
    decoder: Any
    bottleneck: Any
    loss: Any
    entry: nn.Module | None
    blocks: int
    up: Layers | None
    down: Layers | None

    @property
    def network(self) -> Any:
        return self.encoder.network

    @property
    def count(self) -> int:
        return self.blocks + (0 if self.up is None else len(self.up.linear))

    def gives(self, place: int, layout: Layout) -> Layout:
        """What the layer at ``place`` makes of rows of this layout."""
        if place < self.blocks:
            return OneBlock(self.encoder, self.decoder, place, "identity").gives(layout)
        return flat(len(self.pair(place)[0].get_parameter("weight")))

    def code_size(self, layout: Layout) -> int:
        """What the highest layer, whose input is of this layout, hands to the decoder."""
        return self.gives(self.count - 1, layout).features if self.down is None else self.down.inputs

    def alone(self, place: int, ends: str) -> tuple[OneBlock | Dense, Plain]:
        """The layer at ``place`` as a network, and what makes its output that of the layer."""
        if place < self.blocks:
            return OneBlock(self.encoder, self.decoder, place, ends), Plain()  # a block is activated already
        network = cast(Layers, self.up).network
        return replace(network, hidden=(), dropout=0.0, output_activation=ends), Plain(network.activation)

    def pair(self, place: int) -> tuple[nn.Module, nn.Module]:
        """The encoder's linear map at ``place``, and the decoder's that undoes it."""
        up, down = cast(tuple[Layers, Layers], (self.up, self.down))
        return up.linear[place - self.blocks], down.linear[self.blocks - place - 1]


def flat(features: int) -> Layout:
    return Layout((features,), ("column",))


def stack_of(composition: Composition, description: Any) -> Stack:
    """The layers, or a refusal in words."""
    if not isinstance(description, (Greedy, Boltzmann)):
        raise InputError(f"pretraining must be Greedy(), Boltzmann() or None; got {description!r}")
    encoder, decoder, entry = inner_of(composition)
    if entry is not None and isinstance(description, Boltzmann):
        raise InputError(
            "X: the units of Boltzmann machines (pretraining) are Bernoulli or Gaussian, and a mixed table has levels, "
            f"counts and gaps as well. Use {INSTEAD}"
        )
    parts = encoder, decoder, composition.bottleneck, composition.loss, entry
    came = type(getattr(encoder, "network", getattr(encoder, "module", encoder))).__name__
    if isinstance(encoder, DenseEncoder) and isinstance(decoder, DenseDecoder):
        check_layers(encoder.network, "no norm and no linear path beside them", linear_path=False, norm=None)
        stack = Stack(*parts, 0, encoder, decoder)
    elif isinstance(description, Boltzmann):
        instead = f", or {INSTEAD}" if isinstance(encoder, ConvolutionalEncoder) else ", or another kind"
        raise InputError(
            f"network: Boltzmann machines (pretraining) are fully connected layers; got {came}. Use "
            f"network=Dense((500, 200)){instead}"
        )
    elif isinstance(encoder, ConvolutionalEncoder) and isinstance(decoder, ConvolutionalDecoder):
        check_layers(encoder.network, "no norm and no residual blocks", norm=None, residual=0)
        stack = Stack(*parts, len(encoder.network.channels), encoder.dense, decoder.dense)
    else:
        raise InputError(
            "network: only the layers of a Dense network or the blocks of a Convolutional one can be trained one by "
            f"one (pretraining); got {came}. Use network=Dense((500, 200)) or Convolutional(), or another kind"
        )
    if isinstance(description, Boltzmann):
        check_units(stack)
    elif isinstance(description.corruption, (MaskPatches, BlindSpot)):
        check_patches(stack, description.corruption)
    return stack


def inner_of(composition: Composition) -> tuple[Any, Any, nn.Module | None]:
    """Encoder and decoder, and what reads a mixed table before them."""
    encoder, decoder = composition.encoder, composition.decoder
    if isinstance(encoder, EmbeddedEncoder) and isinstance(decoder, EmbeddedDecoder):
        return encoder.inner, decoder.inner, encoder.entry
    return encoder, decoder, None


def check_layers(network: Dense | Convolutional, have: str, **without: Any) -> None:
    """Refuse what stands between layers or beside them, and so belongs to none."""
    for knob, instead in without.items():
        if (value := getattr(network, knob)) != instead:
            raise InputError(
                f"network: layers trained one by one (pretraining) have {have}; got "
                f"{type(network).__name__}({knob}={value!r}). Use {knob}={instead!r}, or another kind"
            )


def check_patches(stack: Stack, corruption: MaskPatches | BlindSpot) -> None:
    """Refuse a corruption of neighbouring cells where some layer sees units that have no neighbours."""
    if stack.up is None or len(stack.up.linear) == 1:
        return
    fewer = "with no dense layers, Convolutional(dense=())" if stack.blocks else "of one layer, Dense(())"
    raise InputError(
        f"corruption: in pretraining, every layer's input is damaged, but {corruption!r} needs images, and "
        "the layers above the first see the units of the layer below. Use a corruption of single cells such as "
        f"Mask({corruption.fraction!r}), or a network {fewer}"
    )


def check_units(stack: Stack) -> None:
    """Refuse units that no Boltzmann machine has."""
    network, bottleneck = stack.network, stack.bottleneck
    if network.activation != "sigmoid" and network.hidden:
        raise InputError(
            "network: the units of Boltzmann machines (pretraining) are sigmoid ones; got "
            f"Dense(activation={network.activation!r}). Use activation='sigmoid', or {INSTEAD}"
        )
    if bottleneck not in ((Plain("sigmoid"), Plain()) if network.hidden else (Plain("sigmoid"),)):
        raise InputError(
            "bottleneck: the units of Boltzmann machines (pretraining) are sigmoid ones, but for a linear code above "
            f"others; got {type(bottleneck).__name__ if isinstance(bottleneck, nn.Module) else bottleneck}. Use "
            f"Plain('sigmoid'){', Plain()' if network.hidden else ''} or {INSTEAD}"
        )


def put(part: nn.Module, **learnt: Tensor) -> None:
    """Set weights of a layer of the network; those of what it reads beside its input lie behind, and stay."""
    for name, value in learnt.items():
        whole = part.get_parameter(name)
        (whole if value.ndim == 1 else whole[:, : value.shape[1]]).copy_(value)


# ---------------------------------------------------------------------- layers that are autoencoders


Placed = tuple[Composition, Feed, Callable[[], None]]
"""A layer to be trained, the feed it is trained on, and what puts its weights into the network afterwards."""


def autoencoder_at(stack: Stack, place: int, greedy: Greedy, feed: Feed, generator: torch.Generator) -> Placed:
    """The one-layer autoencoder at ``place``: what its decoder gives is what the whole decoder gives at that place.

    The lowest layer has the kind's own loss and output, and the entry of a mixed table. Above it, outputs lie where the
    activation's values do, so the decoder ends in the same activation: with the squared error, or, for sigmoid units,
    whose values lie in [0, 1], with the cross-entropy, whose gradient does not fade where units are nearly 0 or 1.
    """
    network, highest = stack.network, place == stack.count - 1
    corruption = greedy.corruption
    if getattr(corruption, "tell", False):  # a layer alone is told nothing
        corruption = replace(corruption, tell=False)
    loss, ends = copy.deepcopy(stack.loss), network.output_activation
    if place > 0:
        crossed = network.activation == "sigmoid"
        loss, ends = (Bernoulli(), "identity") if crossed else (Squared(), network.activation)
    layout, network_of_one, bottleneck = feed.source.layout, *stack.alone(place, ends)
    layer = Parts(
        network=network_of_one,
        bottleneck=stack.bottleneck if highest else bottleneck,
        loss=loss,
        corruption=corruption,
        penalties=greedy.penalties,
    ).build(layout, stack.code_size(layout) if highest else stack.gives(place, layout).features, generator)
    encoder, decoder, entry = inner_of(layer)
    if decoder.bounded:
        decoder.low.copy_(stack.decoder.low)
        decoder.width.copy_(stack.decoder.width)

    def unfold() -> None:
        if isinstance(network_of_one, OneBlock):
            pairs = network_of_one.pairs(encoder, decoder)
        else:
            pairs = zip(stack.pair(place), (encoder.linear[0], decoder.linear[0]), strict=True)
        for part, learnt in pairs:
            put(part, **dict(learnt.named_parameters()))
        if stack.entry is not None and entry is not None:
            # What the lowest layer was trained with: the vectors of levels, on both sides.
            put(stack.entry, **dict(entry.named_parameters()))
            put(stack.loss, **dict(layer.loss.named_parameters()))

    return layer, feed, unfold


# ---------------------------------------------------------------------- layers that are Boltzmann machines


class BoltzmannLayer(Composition):
    """A machine as a composition: trained by contrastive divergence, looked at by how well it rebuilds its input.

    The difference of two free energies says nothing of how good the machine is, and a good machine may rebuild its rows
    worse than one that knows little: no epoch is better than a later one, and the last is kept.
    """

    def __init__(self, machine: BoltzmannMachine, steps: int) -> None:
        # A variance of 1, as the Gaussian machine has: one that is learnt would follow the contrast.
        loss = Squared(1.0).build() if machine.gaussian else Bernoulli()
        super().__init__(machine, Plain("identity" if machine.linear else "sigmoid"), Downwards(machine), loss)
        self.machine, self.steps = (machine,), steps

    @property
    def warm_epochs(self) -> float:
        return math.inf

    def losses(self, trace: Trace) -> Tensor:
        if not trace.pass_.training:
            return super().losses(trace)
        return self.machine[0].contrast(trace.batch.x.flatten(1), self.steps, trace.pass_.generator)

    def start(self, batch: Batch) -> None:
        machine, x = self.machine[0], batch.x.flatten(1)
        if batch.weight is not None:
            raise InputError(f"X: a Boltzmann machine (pretraining) needs rows without missing cells. Use {INSTEAD}")
        least, most = float(x.min()), float(x.max())
        if not machine.gaussian and (least < -0.01 or most > 1.01):
            raise InputError(
                "network: at this loss and output_activation the lowest machine (pretraining) is made of Bernoulli "
                f"units. Bernoulli units need values in [0, 1], but there are some from {least:.3g} to {most:.3g}. Use "
                "rows within [0, 1] and loss=Bernoulli(), or loss=Squared() and output_activation='identity'"
            )
        machine.start_from(x)


def visible_units(stack: Stack) -> str:
    """What the lowest machine's visible units must be, for its reconstruction to be the whole decoder's."""
    loss, network = stack.loss, stack.network
    if network.output_activation == "bounded" and network.tied:
        raise InputError(
            "tied: machines (pretraining) put at the foot of a bounded output are stretched to its range, so encoder "
            "and decoder cannot share weights. Use tied=False, or loss=Bernoulli()"
        )
    bernoulli, real = isinstance(loss, Bernoulli), loss.support == "real" and loss.width(1) == 1
    ends = ("identity",) if bernoulli else ("sigmoid", "bounded", "identity")
    if not bernoulli and not real:
        raise InputError(
            "loss: the visible units of a Boltzmann machine (pretraining) are Bernoulli or Gaussian; got "
            f"{type(loss).__name__}. Use loss=Bernoulli() or loss=Squared(), or {INSTEAD}"
        )
    if network.output_activation not in ends:
        raise InputError(
            "network: the visible units of a Boltzmann machine (pretraining) are Bernoulli or Gaussian, so with "
            f"{type(loss).__name__} output_activation must be one of {', '.join(ends)}; got "
            f"{network.output_activation!r}. Use one of these, or {INSTEAD}"
        )
    return "gaussian" if real and network.output_activation == "identity" else "bernoulli"


def machine_at(stack: Stack, place: int, boltzmann: Boltzmann, feed: Feed, generator: torch.Generator) -> Placed:
    """The machine at ``place``, unrolled afterwards: W and the hidden biases into the encoder, W^T and the visible
    biases into the decoder."""
    units, features = stack.gives(place, feed.source.layout).features, feed.source.layout.features
    visible = visible_units(stack) if place == 0 else "bernoulli"
    linear = place == stack.count - 1 and stack.bottleneck == Plain()
    machine = BoltzmannMachine(features, units, visible, generator, linear)
    low, width = torch.zeros(features), torch.ones(features)
    if place == 0 and stack.decoder.bounded:
        low, width = stack.decoder.low.to(feed.device), stack.decoder.width.to(feed.device).clamp(min=1e-12)
        feed = Encoded(feed, lambda batch: (batch.x.flatten(1) - low) / width, flat(features))

    def unfold() -> None:
        up, down = stack.pair(place)
        # The machine saw (x - low) / width:  W (x - low) / width + c = (W / width) x + (c - (W / width) low).
        weight = machine.weight.T / width.to(machine.weight.device)
        put(up, weight=weight, bias=machine.hidden_bias - weight @ low.to(weight.device))
        put(down, bias=machine.visible_bias)
        if not stack.network.tied:
            put(down, weight=machine.weight)

    return BoltzmannLayer(machine, boltzmann.steps), feed, unfold


# ---------------------------------------------------------------------- the inputs of the upper layers


class Hidden(Source):
    """Rows that only layers see: as many as there are rows of data."""

    def __init__(self, rows: int, layout: Layout) -> None:
        self.rows, self.layout, self.dtypes = rows, layout, ("float32",)
        self.blocks = [(0, rows)]


class Encoded(Feed):
    """The rows of ``feed`` as ``turn`` makes them: kept in memory where they fit, else made batch by batch.

    Parameters
    ----------
    turn : Batch -> (n, layout.features), the same for a row whatever its batch.
    layout : of the rows then.
    """

    def __init__(self, feed: Feed, turn: Callable[[Batch], Tensor], layout: Layout) -> None:
        vars(self).update(vars(feed))  # the same rows, weights and device
        self.feed, self.turn = feed, turn
        features, rows = layout.features, feed.source.rows
        self.at_once = min(feed.at_once, max(16, 2**22 // features))
        self.source = Hidden(rows, layout)
        nothing, one = np.zeros(features), np.ones(features)
        self.scaling = Scaling(
            "none", nothing, one, nothing, one, nothing > 0, rows, layout.shape, nothing.astype(np.uint8)
        )
        self.cached = self.cached_watched = None
        # Layers read every step of what lies below them, and what rows are shown has gone into it.
        self.lengths = self.shown = self.cached_shown = None
        if rows * features * 4 <= training.CACHE_BYTES:
            parts = [batch.x.cpu() for batch in self.batches(np.arange(rows), self.at_once)]
            self.cached = torch.cat(parts)

    def batches(
        self, rows: np.ndarray, batch_size: int, seed: int | None = None, epoch: int = 0, skip: int = 0
    ) -> Iterator[Batch]:
        if self.cached is not None:
            yield from super().batches(rows, batch_size, seed, epoch, skip)
            return
        for batch in self.feed.batches(rows, batch_size, seed, epoch, skip):
            with torch.no_grad():  # not around the yield: the reader wants its gradients
                x = self.turn(batch).reshape(len(batch), *self.source.layout.shape)
            yield replace(batch, x=x, layout=self.source.layout, weight=None, lengths=None, shown=None)
