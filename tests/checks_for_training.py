"""Small rows, small models and a recorder of progress, for the tests of the loop and of its checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.composition import Composition, compose
from isthmus.data import ArraySource, Scaling
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.corruptions import GaussianNoise
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.progress import Progress
from isthmus.recipes import Parts
from isthmus.training import Feed, Plan

FEATURES = 5


def a_feed(rows: int = 100, held_out: int = 20, noise: float = 0.3, weight: np.ndarray | None = None) -> Feed:
    draw = np.random.default_rng(0)
    x = draw.standard_normal((rows, 2)) @ draw.standard_normal((2, FEATURES)) + noise * draw.standard_normal((rows, 5))
    source = ArraySource(x.astype(np.float32))
    numbers = np.arange(rows)
    return Feed(source, Scaling.fit(source, mode="standard"), numbers[held_out:], numbers[:held_out], weight)


def a_model(seed: int = 0, **more: Any) -> Composition:
    parts = Parts(**{"network": Dense(hidden=(6,), dropout=0.1), "corruption": GaussianNoise(0.2), **more})
    return parts.build(a_feed().source.layout, 2, torch.Generator().manual_seed(seed))


PLAN = Plan(epochs=5, batch_size=16, learning_rate=0.01, seed=3)


class Recorder(Progress):
    """What the loop told of itself; it may stop it at a step."""

    def __init__(self, stop_at: int = 0) -> None:
        self.steps: list[float] = []
        self.figures: list[dict[str, float]] = []
        self.sentence = ""
        self.title = ""
        self.stop_at = stop_at

    def start(self, title: str, epochs: int) -> None:
        self.title = f"{title} {epochs}"

    def step(self, epoch: float) -> None:
        self.steps.append(epoch)
        if len(self.steps) == self.stop_at:
            raise KeyboardInterrupt

    def epoch(self, figures: dict[str, float]) -> None:
        self.figures.append(figures)

    def close(self, sentence: str) -> None:
        self.sentence = sentence


def own_modules(encoder: nn.Module, loss: Any = Squared(1.0)) -> Composition:
    return compose(encoder, Plain(), nn.Linear(2, FEATURES), loss)


class Noisy(nn.Module):
    """A user's module that draws from the global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, 2)
        self.dropout = nn.Dropout(0.4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.dropout(x)) + 0.1 * torch.randn(len(x), 2) * self.training


def noisy_model() -> Composition:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return own_modules(Noisy(), Squared())
