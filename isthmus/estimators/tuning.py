"""A head on an encoder, taught with labels: alone, or together with the encoder, or with unlabelled rows too."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.data import Source
from isthmus.errors import TrainingError
from isthmus.estimators.layers import Reader
from isthmus.estimators.probing import Linear
from isthmus.estimators.targets import Targets
from isthmus.parts.corruptions import Mask
from isthmus.parts.networks.dense import Activation, linear_layer
from isthmus.records import Batch, Pass

HIDDEN = 128
"""Units of the head's hidden layer, where the encoder stays as it is."""

NOISE = 0.3
"""Standard deviation of the noise on standardised features, where the encoder stays as it is."""

RATES = {"frozen": 2e-3, "full": 1e-3, "semi_supervised": 1e-3}
"""Learning rates of the head."""

SLOWER = 0.3
"""The learning rate of the encoder, as a share of the head's: it has learnt something already."""

SURE, RAMP = 0.3, 0.3
"""How far the probability of a class must lie from chance towards 1 to teach with it (0.9 was worse on MNIST: heads of
few labels are seldom so sure); the share of the steps after which what is taught so counts in full."""

UNLABELLED = 4
"""Unlabelled rows in a step, for each labelled one."""


class Tuned(nn.Module):
    """Rows -> features -> centred, and on one scale -> head -> (n, outputs)."""

    centre: Tensor
    spread: Tensor

    def __init__(self, reader: Reader, centre: np.ndarray, spread: np.ndarray, head: nn.Module) -> None:
        super().__init__()
        self.reader, self.head = reader, head
        self.register_buffer("centre", torch.from_numpy(centre).float())
        # One scale for all: how large features are beside each other is what the encoder found. Their squared length
        # is then 1 in the mean, whatever their number.
        self.register_buffer("spread", torch.tensor(float(np.sqrt(np.square(spread).sum())) or 1.0))

    def features(self, batch: Batch, *pass_: Pass) -> Tensor:
        return (self.reader(batch, *pass_) - self.centre) / self.spread

    def forward(self, batch: Batch, *pass_: Pass) -> Tensor:
        return self.head(self.features(batch, *pass_))


def linear_head(found: Linear) -> nn.Linear:
    """A linear layer with these weights."""
    outputs, width = found.weights.shape
    head = nn.utils.skip_init(nn.Linear, width, outputs)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(found.weights))
        head.bias.copy_(torch.from_numpy(found.bias))
    return head


def deep_head(width: int, outputs: int, seed: int) -> nn.Sequential:
    """A hidden layer and a linear one, with fresh weights."""
    generator = torch.Generator().manual_seed(seed)
    first, last = linear_layer(width, HIDDEN, "silu", generator), linear_layer(HIDDEN, outputs, "identity", generator)
    with torch.no_grad():
        first.weight.mul_(width**0.5)  # what comes in has the length 1, not numbers of size 1
        last.weight.mul_(0.1)
    return nn.Sequential(first, Activation("silu"), last)


@dataclass(frozen=True)
class Course:
    """How a head is taught.

    Attributes
    ----------
    model : the fitted `Autoencoder` that makes batches of a source.
    mode : ``"frozen"``, ``"full"`` or ``"semi_supervised"``.
    source, rows, targets : labelled rows, their numbers sorted, and their labels.
    features : (rows, width) float32, the standardised features of these rows.
    others, other_rows : unlabelled rows, for ``"semi_supervised"``.
    batch_size, steps, rate, seed : of the training.
    """

    model: Any
    mode: str
    source: Source
    rows: np.ndarray
    targets: Targets
    features: Tensor
    others: Source
    other_rows: np.ndarray
    batch_size: int
    steps: int
    rate: float
    seed: int

    def run(
        self,
        network: Tuned,
        looks: int = 0,
        look: Callable[[Tuned], None] | None = None,
        until: float = math.inf,
    ) -> Tuned:
        """Teach ``network`` (in place); what is returned has the running mean of its weights.

        ``look`` is shown that mean before the first step, and then ``looks`` times at equal distances. No step begins
        after ``until``, a reading of `time.monotonic`.
        """
        mean = copy.deepcopy(network)
        if look is not None:
            look(mean)
        generator = torch.Generator(self.model._device).manual_seed(self.seed)
        weights: list[Tensor] = [*network.head.parameters()]
        groups: list[dict[str, Any]] = [{"params": [*weights], "lr": self.rate, "weight_decay": 1e-2}]
        if self.mode != "frozen":
            encoder = [w for w in network.reader.composition.encoder.parameters() if w.requires_grad]
            groups.append({"params": encoder, "lr": self.rate * SLOWER, "weight_decay": 1e-2})
            weights += encoder
        means, names = dict(mean.named_parameters()), {id(w): name for name, w in network.named_parameters()}
        kept: list[Tensor] = [means[names[id(w)]] for w in weights]
        optimiser = torch.optim.AdamW(groups, fused=True)
        batches, others = self.batches(self.rows, self.batch_size, 0), self.unlabelled()
        every = [max(1, round(self.steps * (i + 1) / looks)) for i in range(looks)]
        for step in range(1, self.steps + 1):
            if time.monotonic() > until:
                break
            cost = self.cost(network, mean, next(batches), others, Pass(generator, training=True), step)
            optimiser.zero_grad()
            cost.backward()
            if not torch.isfinite(cost):
                raise TrainingError(f"fine_tune: the cost is no longer a number in step {step}; lower learning_rate")
            optimiser.step()
            with torch.no_grad():
                torch._foreach_lerp_(kept, weights, max(1 / step, 1 / 50))
            if look is not None:
                for _ in range(every.count(step)):
                    look(mean)
        return mean

    def cost(
        self, network: Tuned, mean: Tuned, some: np.ndarray, others: Iterator[np.ndarray], pass_: Pass, step: int
    ) -> Tensor:
        """Of one step."""
        places = np.searchsorted(self.rows, some)
        values, weight = self.targets.take(places).tensors(self.model._device)
        if self.mode == "frozen":
            seen = self.features[places].to(values.device)
            noise = torch.randn(seen.shape, generator=pass_.generator, device=seen.device)
            return self.targets.cost(network.head(seen + NOISE * noise / seen.shape[1] ** 0.5), values, weight)
        cost = self.targets.cost(network(self.model._batch(self.source, some), pass_), values, weight)
        if self.mode == "semi_supervised":
            ramp = min(1.0, step / (RAMP * self.steps))
            cost = cost + ramp * self.agreement(network, mean, self.model._batch(self.others, next(others)), pass_)
        return cost

    def agreement(self, network: Tuned, mean: Tuned, batch: Batch, pass_: Pass) -> Tensor:
        """What is said of noisy rows costs as much as it differs from what is said of the rows as they are, by the
        running mean of the weights, where that is sure."""
        with torch.no_grad():
            told = mean(batch)
        out = network(batch, pass_)
        if self.targets.kind == "numbers":
            return 0.5 * (out - told).square().mean()
        chance = 1 / max(2, self.targets.outputs) if self.targets.kind == "classes" else 0.5
        least = chance + SURE * (1 - chance)
        if self.targets.kind == "labels":
            share = told.sigmoid()
            sure = (torch.maximum(share, 1 - share) >= least).to(out.dtype)
            return (F.binary_cross_entropy_with_logits(out, share.round(), reduction="none") * sure).mean()
        share, best = told.softmax(1).max(1)
        return (F.cross_entropy(out, best, reduction="none") * (share >= least)).mean()

    def batches(self, rows: np.ndarray, size: int, salt: int) -> Iterator[np.ndarray]:
        """Row numbers, anew shuffled in every pass, without end."""
        random = np.random.default_rng((self.seed, salt))
        size = min(size, len(rows))
        while True:
            order = random.permutation(rows)
            for start in range(0, len(order) - size + 1, size):
                yield np.sort(order[start : start + size])

    def unlabelled(self) -> Iterator[np.ndarray]:
        return self.batches(self.other_rows, self.batch_size * UNLABELLED, 1) if len(self.other_rows) else iter(())


def own_encoder(network: Tuned) -> Tuned:
    """A copy that may be taught: its weights are its own, and noise is made in training."""
    made = copy.deepcopy(network)
    if made.reader.composition.corruption is None:
        made.reader.composition.corruption = Mask(0.2)
    return made


def answers(network: Tuned, batches: Iterator[Batch]) -> np.ndarray:
    """(n, outputs) float64."""
    with torch.no_grad():
        return torch.cat([network(batch).double().cpu() for batch in batches]).numpy()
