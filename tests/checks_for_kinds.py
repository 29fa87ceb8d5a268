"""The table of kinds and networks that the laws run over, and the rows they are tried on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from isthmus.composition import Composition
from isthmus.errors import InputError
from isthmus.parts.corruptions import GaussianNoise, Mask, RowSwap, SaltPepper
from isthmus.parts.networks.convolutional import Convolutional
from isthmus.parts.networks.recurrent import Recurrent
from isthmus.parts.schedules import Between
from isthmus.recipes import RECIPES, Kind, Parts
from isthmus.records import Batch, Column, Layout, Pass

FEATURES = 6
CODE_SIZE = 3
LAYOUT = Layout((FEATURES,), ("column",))
MIXED = Layout(
    (FEATURES,),
    ("column",),
    (Column(), Column("heavy"), Column("count"), Column("binary"), Column("ordinal", 4), Column("category", 5, 2)),
)
"""A table of mixed columns."""

NETWORKS: dict[str, Any] = {
    "default": {},
    "tied": {"tied": True},
    "layer norm": {"hidden": (8, 5), "norm": "layer"},
    "batch norm": {"hidden": (8, 5), "norm": "batch"},
    "dropout": {"hidden": (8, 5), "dropout": 0.3},
    "linear path": {"hidden": (8, 5), "linear_path": True},
    "convolutional": Convolutional((4, 5)),
    "recurrent": Recurrent(hidden=10, bidirectional=True),
    "mixed table": {},
}
"""What is changed in a kind's own network, or what takes its place; "default" is the network as the recipe names it,
"mixed table" the same on rows of mixed columns, some of whose cells are missing."""

CORRUPTIONS = {
    "none": None,
    "mask": Mask(0.4),
    "noise": GaussianNoise(0.5),
    "salt and pepper": SaltPepper(0.4),
    "row swap": RowSwap(0.4),
    "told noise": GaussianNoise(Between(0.1, 1.0, log=True), tell=True),
    "masked alone": Mask(0.4, kept_weight=0.0),
}

EVERY_NETWORK_BY_DEFAULT = ("undercomplete",)
"""Kinds that meet every network in the default run; the others do in the slow one."""

MIXED_BY_DEFAULT = ("undercomplete", "vae", "top_k")
"""Kinds that meet mixed tables in the default run."""


@dataclass(frozen=True)
class Case:
    """One kind on one network."""

    kind: str
    network: str = "default"

    def __str__(self) -> str:
        return f"{self.kind}-{self.network.replace(' ', '_')}"

    @property
    def exists(self) -> bool:
        """Whether the kind's own network has what is to be changed."""
        changes = NETWORKS[self.network]
        return not isinstance(changes, dict) or all(hasattr(Kind(self.kind).parts().network, name) for name in changes)

    @property
    def parts(self) -> Parts:
        parts = Kind(self.kind).parts()
        changes = NETWORKS[self.network]
        return replace(parts, network=replace(parts.network, **changes) if isinstance(changes, dict) else changes)

    @property
    def layout(self) -> Layout:
        return MIXED if self.network == "mixed table" else LAYOUT

    @property
    def code_size(self) -> int:
        return CODE_SIZE if self.parts.code_share < 1 else 2 * FEATURES

    @property
    def steps(self) -> int:
        """Steps after which a cost has fallen: many where weights are shared between places."""
        return {"convolutional": 400, "recurrent": 800}.get(self.network, 80)

    def excused(self, law: str) -> bool:
        """Whether a part says that its nature breaks the law, and why: ``couples_rows``,
        ``estimates_gradient``, ``draws_noise``."""
        parts = self.parts
        return any(getattr(part, law, "") for part in (parts.bottleneck, parts.loss, *parts.penalties))

    def build(self, seed: int = 0, given_size: int = 0, **changes: Any) -> Composition:
        """A fresh composition in training mode, with some of its parts changed."""
        parts = replace(self.parts, **changes)
        try:
            return parts.build(self.layout, self.code_size, generator(seed), given_size).train()
        except InputError as error:
            if self.network == "default":
                raise
            pytest.skip(f"{self.kind} refuses this network: {error}")

    def batch(self, rows: int = 24, seed: int = 0, dtype: torch.dtype = torch.float64, **more: Any) -> Batch:
        if self.layout is MIXED:
            return mixed_batch(rows, seed, dtype, **more)
        return Batch(some_rows(rows, seed, dtype, unit=self.parts.loss), LAYOUT, **more)


def some_rows(rows: int, seed: int = 0, dtype: torch.dtype = torch.float64, unit: Any = None) -> Tensor:
    """(rows, FEATURES): three factors and a little noise; within [0, 1] for a loss that asks for it."""
    draw = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((CODE_SIZE, FEATURES))
    x = draw.standard_normal((rows, CODE_SIZE)) @ mixing / np.sqrt(CODE_SIZE)
    x = torch.from_numpy(x + 0.1 * draw.standard_normal((rows, FEATURES)))
    support = getattr(unit, "support", "real")
    if support == "unit":
        x = torch.sigmoid(x)
    elif support == "count":
        x = (2 * x).exp().round()
    return x.to(dtype)


def mixed_batch(rows: int, seed: int = 0, dtype: torch.dtype = torch.float64, **more: Any) -> Batch:
    """The same factors behind columns of every kind; one cell in ten is missing, unless a weight is named."""
    z = some_rows(rows, seed)
    edges = torch.tensor([-0.8, 0.0, 0.8], dtype=torch.float64)
    heavy, count, level = z[:, 1].sinh(), z[:, 2].exp().round(), torch.bucketize(z[:, 4].contiguous(), edges)
    category = (2 * z[:, 5]).round().long() % 4  # the last level, that of other values, never comes
    x = torch.stack([z[:, 0], heavy, count, (z[:, 3] > 0).double(), level.double(), category.double()], dim=1)
    more.setdefault("weight", (torch.rand(x.shape, generator=generator(seed + 1)) > 0.1).to(dtype))
    return Batch(x.to(dtype), MIXED, **more)


def some_of(batch: Batch, rows: Any) -> Batch:
    """Some rows of a batch, with their missing cells."""
    return replace(batch, x=batch.x[rows], weight=None if batch.weight is None else batch.weight[rows])


def with_random_weights(parts: Parts) -> Composition:
    """A composition in float64 with every weight random, those that start at 0 included."""
    model = parts.build(LAYOUT, CODE_SIZE, generator()).double().train()
    source = generator(1)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(torch.empty_like(weights).normal_(0, 0.3, generator=source))
    return model


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def training_pass(seed: int = 0, epoch: float = float("inf")) -> Pass:
    return Pass(generator(seed), epoch=epoch, training=True)


def cases(mixed: bool = False) -> list[Any]:
    """Every kind on every network, or on mixed tables too; what is not run by default is marked slow."""

    def parameter(case: Case) -> Any:
        default = case.network == "default" or case.kind in EVERY_NETWORK_BY_DEFAULT
        default = default or (case.layout is MIXED and case.kind in MIXED_BY_DEFAULT)
        return pytest.param(case, id=str(case), marks=() if default else pytest.mark.slow)

    every = [Case(kind, network) for kind in RECIPES for network in NETWORKS]
    return [parameter(case) for case in every if case.exists and (mixed or case.layout is not MIXED)]


def descend(composition: Composition, batch: Batch, steps: int, rate: float = 0.01, seed: int = 0) -> list[float]:
    """Follow the gradient with Adam, and give the objective before every step."""
    optimiser = torch.optim.Adam(composition.parameters(), lr=rate)
    source, objectives = generator(seed), []
    for _ in range(steps):
        trace = composition.trace(batch, Pass(source, training=True))
        objective, terms = composition.objective(trace)
        optimiser.zero_grad()
        objective.backward()
        optimiser.step()
        with torch.no_grad():
            composition.after_step(trace, terms)
        # Where a judge plays against the encoder, its term rises as it learns: then the cost says how the fit goes.
        contest = any(hasattr(penalty, "adversary") for penalty in composition.penalties)
        objectives.append(float(terms["cost"] if contest else objective.detach()))
    return objectives


def gradients(composition: Composition, batch: Batch, pass_: Pass) -> list[Tensor]:
    """The gradient of the objective in every parameter (0 where one plays no part)."""
    objective, _ = composition.objective(composition.trace(batch, pass_))
    parameters = list(composition.parameters())
    found = torch.autograd.grad(objective, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def same_tensors(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two dictionaries hold the same names with the same bits (NaN equals NaN)."""
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype
        and torch.equal(first[name].nan_to_num(nan=1.2345e9), second[name].nan_to_num(nan=1.2345e9))
        for name in first
    )


def same_history(first: dict[str, list[float]], second: dict[str, list[float]]) -> bool:
    """Whether two histories hold the same numbers bit for bit, wall-clock time aside."""
    names = first.keys() - {"seconds"}
    return names == second.keys() - {"seconds"} and all(
        np.array_equal(first[name], second[name], equal_nan=True) for name in names
    )
