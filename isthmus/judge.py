"""A small classifier whose last hidden features judge generated samples: two sets of rows are as far apart as these."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.errors import InputError

FEATURES = 128
"""Numbers per row that `Judge.features` gives."""
CHANNELS = (32, 64)
"""Of the two convolutions that look at images."""
BATCH, LEARNING_RATE, SMOOTHING = 128, 3e-3, 0.05
"""Rows in a step, the largest step of a schedule that rises and falls once, and what keeps the classes from being told
with ever more certainty, which would stretch the features."""


class Judge:
    """A classifier trained on real rows: `frechet_distance(judge.features(x), judge.features(samples))`.

    Figures by one judge can be compared with each other, not with those by another, or with published ones.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(60, 4))
    >>> judge = Judge.fit(rows, rows[:, 0] > 0, seed=0, epochs=2)
    >>> judge.features(rows).shape, judge.features(rows).dtype
    ((60, 128), dtype('float32'))
    """

    def __init__(self, network: nn.Sequential, shape: tuple[int, ...], shift: Tensor, scale: Tensor, kinds: np.ndarray):
        self.network, self.shape, self.shift, self.scale, self.kinds = network, shape, shift, scale, kinds

    @classmethod
    def fit(cls, images: Any, labels: Any, seed: int = 0, epochs: int = 4) -> Judge:
        """Train on rows with labels.

        Parameters
        ----------
        images : (n, height, width), (n, height, width, channels), or a table (n, columns); about a minute on one core
            for 60,000 images of 28 x 28.
        labels : (n,) at least two classes.
        seed : of first weights and of the rows' order; same seed, same judge.
        epochs : passes over the rows.

        Raises
        ------
        InputError : one label per row is not what came, or there is one class.
        """
        x, labels = as_rows(images), np.asarray(labels)
        if labels.shape != (len(x),):
            raise InputError(f"labels must be one per row, shape ({len(x)},); got {labels.shape}")
        kinds, numbers = np.unique(labels, return_inverse=True)
        if len(kinds) < 2:
            raise InputError(f"labels must be of at least two classes; got {len(kinds)}")
        # One scale for all pixels, but one per column of a table, whose columns have units of their own.
        over = (0,) if x.ndim == 2 else tuple(range(x.ndim))
        shift, scale = x.mean(over), x.std(over, correction=0)
        generator = torch.Generator().manual_seed(seed)
        network = network_for(tuple(x.shape[1:]), len(kinds), generator)
        judge = cls(network, tuple(x.shape[1:]), shift, torch.where(scale > 0, scale, 1.0), kinds)
        judge.train(x, torch.from_numpy(numbers), generator, epochs)
        return judge

    def train(self, x: Tensor, numbers: Tensor, generator: torch.Generator, epochs: int) -> None:
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
        steps, step = epochs * math.ceil(len(x) / BATCH), 0
        for _ in range(epochs):
            for rows in torch.randperm(len(x), generator=generator).split(BATCH):
                for group in optimiser.param_groups:
                    group["lr"] = LEARNING_RATE * math.sin(math.pi * (step + 1) / (steps + 1))
                cost = F.cross_entropy(self.network(self.ready(x[rows])), numbers[rows], label_smoothing=SMOOTHING)
                optimiser.zero_grad()
                cost.backward()
                optimiser.step()
                step += 1

    def ready(self, x: Tensor) -> Tensor:
        """Rows as the network wants them: scaled, an image's channels first."""
        x = (x - self.shift) / self.scale
        return x if x.ndim == 2 else x[:, None] if x.ndim == 3 else x.movedim(-1, 1)

    @torch.no_grad()
    def through(self, rows: Any, layers: nn.Module) -> np.ndarray:
        x = as_rows(rows)
        if tuple(x.shape[1:]) != self.shape:
            raise InputError(
                f"rows must have the shape {self.shape} that the judge was trained on; got {tuple(x.shape[1:])}"
            )
        return torch.cat([layers(self.ready(part)) for part in x.split(1000)]).numpy()

    def features(self, rows: Any) -> np.ndarray:
        """(n, 128) float32: the last hidden layer."""
        return self.through(rows, self.network[:-1])

    def predict(self, rows: Any) -> np.ndarray:
        """(n,) the labels that it takes the rows to have."""
        return self.kinds[self.through(rows, self.network).argmax(axis=1)]


def as_rows(values: Any) -> Tensor:
    """(n, ...) float32."""
    rows = torch.from_numpy(np.asarray(values, dtype=np.float32))
    if rows.ndim not in (2, 3, 4) or not len(rows):
        raise InputError(
            "rows must be (n, columns), (n, height, width) or (n, height, width, channels), at least one; "
            f"got shape {tuple(rows.shape)}"
        )
    return rows


def network_for(shape: tuple[int, ...], classes: int, generator: torch.Generator) -> nn.Sequential:
    """Two strided convolutions for images, or a dense layer for tables; then `FEATURES` numbers, then the classes."""
    if len(shape) == 1:
        layers: list[nn.Module] = [weighted(nn.Linear, generator, shape[0], FEATURES), nn.ReLU()]
        width = FEATURES
    else:
        before, layers = (shape[2] if len(shape) == 3 else 1), []
        for channels in CHANNELS:
            layers += [weighted(nn.Conv2d, generator, before, channels, 3, stride=2, padding=1), nn.ReLU()]
            before = channels
        layers.append(nn.Flatten())
        width = before * math.ceil(shape[0] / 4) * math.ceil(shape[1] / 4)
    layers += [weighted(nn.Linear, generator, width, FEATURES), nn.ReLU()]
    return nn.Sequential(*layers, weighted(nn.Linear, generator, FEATURES, classes))


def weighted(kind: type[nn.Module], generator: torch.Generator, *sizes: int, **more: int) -> nn.Module:
    """A layer with weights of its own generator (He et al. 2015), which leaves the global one alone."""
    layer: Any = nn.utils.skip_init(kind, *sizes, **more)
    with torch.no_grad():
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
        layer.bias.zero_()
    return layer
