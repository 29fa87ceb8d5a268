"""Greedy layer-wise pretraining: every layer of a dense network is trained on what the layers below make of the rows.

for layer, from the data to the code: train it alone on its inputs; put its weights into the network;
                                      turn its inputs into those of the next

Bengio et al. 2007, "Greedy layer-wise training of deep networks"; Hinton & Salakhutdinov 2006, "Reducing the
dimensionality of data with neural networks"; Vincent et al. 2010, "Stacked denoising autoencoders". What trains one
layer is the ordinary loop, so progress, early stopping, checkpoints and `resume` are those of any other fit.
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
from isthmus.parts.losses.categories import Bernoulli
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import DenseDecoder, DenseEncoder
from isthmus.parts.pretraining import Boltzmann, Greedy
from isthmus.progress import Progress
from isthmus.recipes import Parts
from isthmus.records import Batch, Layout, Trace
from isthmus.training import Feed

STEPS = 3000
"""Steps each layer is trained for where no number of epochs was asked for, about."""


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

    Parameters
    ----------
    description : `Greedy` or `Boltzmann`.
    resume, identity : as in `training.train`; the checkpoints of layer 1 lie in the folder ``layer-1``, and so on.

    Returns
    -------
    Plan
        ``plan`` with the time that is left. If none is, it has no epochs and no checkpoint: a later fit with
        ``resume=True`` goes on in the layer that was interrupted.

    Raises
    ------
    InputError : these layers cannot be trained one by one, and why.
    """
    stack = stack_of(composition, description)
    began, count = time.monotonic(), len(stack.encoder.linear)
    if plan.checkpoint is not None and not resume:
        for folder in [plan.checkpoint, *(folder_of(plan, place) for place in range(count))]:
            Saver(replace(plan, checkpoint=folder), None).forget()
    place_layer: Any = machine_at if isinstance(description, Boltzmann) else autoencoder_at
    for place in range(count):
        generator = torch.Generator().manual_seed(plan.seed)
        layer, inputs, unfold = place_layer(stack, place, description, feed, generator)
        features, units = inputs.source.layout.features, len(stack.encoder.weight(place))
        state = training.train(
            layer,
            inputs,
            replace(
                plan_of_layers(plan, description, len(feed.train)),
                checkpoint=None if plan.checkpoint is None else folder_of(plan, place),
                max_time=max(plan.max_time - (time.monotonic() - began), 1e-3),
            ),
            progress=progress,
            title=f"layer {place + 1} of {count}: {features} -> {units}",
            resume=resume,
            identity={**(identity or {}), "layer": place + 1},
        )
        with torch.no_grad():
            unfold()
        if OUT_OF_TIME in state.stopped:
            return replace(plan, epochs=0, checkpoint=None)
        if place + 1 < count:
            feed = Encoded(inputs, layer.represent, units)
    return replace(plan, max_time=max(plan.max_time - (time.monotonic() - began), 1e-3))


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
    """A composition whose layers can be trained one by one."""

    encoder: DenseEncoder
    decoder: DenseDecoder
    bottleneck: Any
    loss: Any

    def pair(self, place: int) -> tuple[nn.Module, nn.Module]:
        """The encoder's linear map at ``place``, and the decoder's that undoes it."""
        return self.encoder.linear[place], self.decoder.linear[-1 - place]


def stack_of(composition: Composition, description: Any) -> Stack:
    """The layers, or a refusal in words."""
    encoder, decoder = composition.encoder, composition.decoder
    if not isinstance(description, (Greedy, Boltzmann)):
        raise InputError(f"pretraining must be Greedy(), Boltzmann() or None; got {description!r}")
    if not isinstance(encoder, DenseEncoder) or not isinstance(decoder, DenseDecoder):
        raise InputError(
            "pretraining: only the layers of a Dense network can be trained one by one; this network is of another "
            "kind. Use network=Dense((500, 200)), or leave pretraining out"
        )
    network = encoder.network
    if network.norm is not None or network.linear_path:
        knob = "linear_path=True" if network.linear_path else f"norm={network.norm!r}"
        raise InputError(
            f"pretraining: a layer trained alone has no norm and no linear path beside it; got Dense({knob}). Use "
            "norm=None and linear_path=False, or leave pretraining out"
        )
    if encoder.given_size or decoder.given_size or encoder.told:
        raise InputError(
            "pretraining: layers trained one by one read nothing beside their input, but this network is given "
            "conditions or told the strength of the noise. Leave that or pretraining out"
        )
    if isinstance(description, Boltzmann):
        codes = (Plain("sigmoid"), Plain()) if network.hidden else (Plain("sigmoid"),)
        if (network.activation != "sigmoid" and network.hidden) or composition.bottleneck not in codes:
            raise InputError(
                "pretraining: the units of Boltzmann machines are sigmoid ones, but for a linear code above others. "
                "Use Dense(..., activation='sigmoid') with Plain('sigmoid') or Plain(), or pretraining=Greedy()"
            )
    return Stack(encoder, decoder, composition.bottleneck, composition.loss)


# ---------------------------------------------------------------------- layers that are autoencoders


Placed = tuple[Composition, Feed, Callable[[], None]]
"""A layer to be trained, the feed it is trained on, and what puts its weights into the network afterwards."""


def autoencoder_at(stack: Stack, place: int, greedy: Greedy, feed: Feed, generator: torch.Generator) -> Placed:
    """The one-layer autoencoder at ``place``: what its decoder gives is what the whole decoder gives at that place.

    The lowest layer has the kind's own loss and output. Above it, outputs lie where the activation's values do, so the
    decoder ends in the same activation: with the squared error, or, for sigmoid units, whose values lie in [0, 1],
    with the cross-entropy, whose gradient does not fade where units are nearly 0 or 1.
    """
    network, highest = stack.encoder.network, place == len(stack.encoder.linear) - 1
    loss, ends = copy.deepcopy(stack.loss), network.output_activation
    if place > 0:
        crossed = network.activation == "sigmoid"
        loss, ends = (Bernoulli(), "identity") if crossed else (Squared(), network.activation)
    layer = Parts(
        network=replace(network, hidden=(), dropout=0.0, output_activation=ends),
        bottleneck=stack.bottleneck if highest else Plain(network.activation),
        loss=loss,
        corruption=greedy.corruption,
        penalties=greedy.penalties,
    ).build(feed.source.layout, stack.decoder.inputs if highest else len(stack.encoder.weight(place)), generator)
    alone = Stack(cast(DenseEncoder, layer.encoder), cast(DenseDecoder, layer.decoder), layer.bottleneck, layer.loss)
    if alone.decoder.bounded:
        alone.decoder.low.copy_(stack.decoder.low)
        alone.decoder.width.copy_(stack.decoder.width)

    def unfold() -> None:
        for part, learnt in zip(stack.pair(place), alone.pair(0), strict=True):
            part.load_state_dict(learnt.state_dict())

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
            raise InputError("pretraining: a Boltzmann machine needs rows without missing cells; use Greedy() instead")
        least, most = float(x.min()), float(x.max())
        if not machine.gaussian and (least < -0.01 or most > 1.01):
            raise InputError(
                f"pretraining: Bernoulli units need values in [0, 1], but there are some from {least:.3g} to "
                f"{most:.3g}. Use loss=Bernoulli(), or output_activation='identity' for Gaussian units"
            )
        machine.start_from(x)


def visible_units(stack: Stack) -> str:
    """What the lowest machine's visible units must be, for its reconstruction to be the whole decoder's."""
    loss, network = stack.loss, stack.encoder.network
    if network.output_activation == "bounded" and network.tied:
        raise InputError(
            "pretraining: machines put at the foot of a bounded output are stretched to its range, so encoder and "
            "decoder cannot share weights. Use tied=False, or loss=Bernoulli()"
        )
    if isinstance(loss, Bernoulli) and network.output_activation == "identity":
        return "bernoulli"
    real = loss.support == "real" and loss.width(1) == 1
    if real and network.output_activation in ("sigmoid", "bounded", "identity"):
        return "gaussian" if network.output_activation == "identity" else "bernoulli"
    raise InputError(
        "pretraining: the visible units of a Boltzmann machine are Bernoulli or Gaussian; with this loss or output "
        f"activation ({network.output_activation!r}) they would have to be of another kind. Use Bernoulli() or "
        "Squared(), or pretraining=Greedy()"
    )


def machine_at(stack: Stack, place: int, boltzmann: Boltzmann, feed: Feed, generator: torch.Generator) -> Placed:
    """The machine at ``place``, unrolled afterwards: W and the hidden biases into the encoder, W^T and the visible
    biases into the decoder."""
    units, features = stack.encoder.weight(place).shape
    visible = visible_units(stack) if place == 0 else "bernoulli"
    linear = place == len(stack.encoder.linear) - 1 and stack.bottleneck == Plain()
    machine = BoltzmannMachine(features, units, visible, generator, linear)
    low, width = torch.zeros(features), torch.ones(features)
    if place == 0 and stack.decoder.bounded:
        low, width = stack.decoder.low.to(feed.device), stack.decoder.width.to(feed.device).clamp(min=1e-12)
        feed = Encoded(feed, lambda batch: (batch.x.flatten(1) - low) / width, features)

    def unfold() -> None:
        up, down = stack.pair(place)
        # The machine saw (x - low) / width:  W (x - low) / width + c = (W / width) x + (c - (W / width) low).
        weight = machine.weight.T / width.to(machine.weight.device)
        up.get_parameter("weight").copy_(weight)
        up.get_parameter("bias").copy_(machine.hidden_bias - weight @ low.to(weight.device))
        if not stack.encoder.network.tied:
            down.get_parameter("weight").copy_(machine.weight)
        down.get_parameter("bias").copy_(machine.visible_bias)

    return BoltzmannLayer(machine, boltzmann.steps), feed, unfold


# ---------------------------------------------------------------------- the inputs of the upper layers


class Hidden(Source):
    """Rows that only layers see: as many as there are rows of data, ``features`` numbers each."""

    def __init__(self, rows: int, features: int) -> None:
        self.rows, self.layout, self.dtypes = rows, Layout((features,), ("column",)), ("float32",)
        self.blocks = [(0, rows)]


class Encoded(Feed):
    """The rows of ``feed`` as ``turn`` makes them: kept in memory where they fit, else made batch by batch.

    Parameters
    ----------
    turn : Batch -> (n, features), the same for a row whatever its batch.
    """

    def __init__(self, feed: Feed, turn: Callable[[Batch], Tensor], features: int) -> None:
        vars(self).update(vars(feed))  # the same rows, weights and device
        self.feed, self.turn = feed, turn
        self.at_once = min(feed.at_once, max(16, 2**22 // features))
        rows = feed.source.rows
        self.source = Hidden(rows, features)
        nothing, one = np.zeros(features), np.ones(features)
        self.scaling = Scaling(
            "none", nothing, one, nothing, one, nothing > 0, rows, (features,), nothing.astype(np.uint8)
        )
        self.cached = self.cached_watched = None
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
                x = self.turn(batch)
            yield replace(batch, x=x, layout=self.source.layout, weight=None)
