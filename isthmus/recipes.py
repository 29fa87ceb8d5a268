"""The named kinds of autoencoder: each is a composition of parts, not a class.

A recipe returns `Parts`: what to build once the data's width is known. Calling a public recipe,
``recipes.denoising(corruption=Mask(0.3))``, gives a `Kind`: its name and knobs, which is what
`Autoencoder` takes, a grid search varies (``method__corruption``) and a model file stores.

To add a kind: write a function here with ``@recipe("paper")``. The command line, the report, the laws and the
table of kinds find it in `RECIPES`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from isthmus.composition import Composition, built, compose
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.corruptions import GaussianNoise
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.parts.penalties.sparsity import L1
from isthmus.records import Layout, Schedule


@dataclass(frozen=True)
class Parts:
    """What a kind is made of, before sizes are known.

    ``code_share`` is the code size as a share of the features where the user names none, ``learning_rate``
    and ``weight_decay`` (see `Plan`; None = chosen from the number of rows) what suits the kind.
    """

    network: Any = Dense(hidden=(2.0, 1.0), activation="silu")
    bottleneck: Any = Plain()
    loss: Any = Squared()
    corruption: Any = None
    penalties: tuple[Any, ...] = ()
    rate: Schedule = 1.0
    code_share: float = 0.25
    learning_rate: float = 2e-3
    weight_decay: float | None = None

    def code_size(self, features: int) -> int:
        """The code size for data of this width: a share of it, at most 32 where that narrows the data."""
        size = max(1, round(self.code_share * features))
        return size if self.code_share >= 1 else min(size, 32)

    def build(self, layout: Layout, code_size: int, generator: torch.Generator) -> Composition:
        """Make the composition, with fresh weights drawn from ``generator``."""
        loss, bottleneck = built(self.loss), built(self.bottleneck)
        network = self.network.resolve(layout.features, code_size)
        hidden_size, out_size = bottleneck.width(code_size), loss.width(layout.features)
        encoder, decoder = network.build(layout, hidden_size, code_size, out_size, generator)
        return compose(
            encoder, bottleneck, decoder, loss, corruption=self.corruption, penalties=self.penalties, rate=self.rate
        )


RECIPES: dict[str, Recipe] = {}
"""Every named kind."""


@dataclass(frozen=True)
class Recipe:
    """A named kind: the function that makes its parts, and the paper it comes from."""

    name: str
    function: Callable[..., Parts]
    paper: str

    @property
    def knobs(self) -> dict[str, Any]:
        """The knobs and their defaults."""
        return {name: p.default for name, p in inspect.signature(self.function).parameters.items()}

    @property
    def summary(self) -> str:
        return (self.function.__doc__ or "").strip().split("\n")[0]


class Kind:
    """A named kind with its knobs: what a call such as ``recipes.sparse(weight=0.5)`` returns.

    Examples
    --------
    >>> kind = Kind("sparse", weight=0.5)
    >>> kind
    sparse(weight=0.5)
    >>> kind.get_params()["weight"]
    0.5
    """

    def __init__(self, name: str = "undercomplete", **knobs: Any) -> None:
        if name not in RECIPES:
            raise InputError(f"method: no kind is called {name!r}; there are {', '.join(sorted(RECIPES))}")
        self.name = name
        self.chosen: dict[str, Any] = {}
        self.set_params(**knobs)

    def parts(self) -> Parts:
        return RECIPES[self.name].function(**self.chosen)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Name and knobs, as scikit-learn's `clone` and grid searches want them."""
        return {"name": self.name, **RECIPES[self.name].knobs, **self.chosen}

    def set_params(self, **knobs: Any) -> Kind:
        self.name = knobs.pop("name", self.name)
        known = RECIPES[self.name].knobs
        for knob in knobs:
            if knob not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise InputError(f"{self.name}: there is no knob {knob!r}; {has}")
        # By identity: scikit-learn's clone wants the very objects back that it passed, even those equal to a default.
        self.chosen = {**self.chosen, **{k: v for k, v in knobs.items() if v is not known[k] or k in self.chosen}}
        return self

    def __repr__(self) -> str:
        known = RECIPES[self.name].knobs
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.chosen.items() if v != known[k])})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kind) and self.get_params() == other.get_params()

    __hash__ = None  # type: ignore[assignment]  # knobs may change


def recipe(paper: str) -> Callable[[Callable[..., Parts]], Callable[..., Kind]]:
    """Register a function as a named kind; calling it then gives the `Kind` with those knobs."""

    def register(function: Callable[..., Parts]) -> Callable[..., Kind]:
        name = function.__name__
        RECIPES[name] = Recipe(name, function, paper)

        def make(**knobs: Any) -> Kind:
            return Kind(name, **knobs)

        make.__name__, make.__qualname__, make.__doc__ = name, name, function.__doc__
        make.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return make

    return register


@recipe("Baldi & Hornik 1989, Neural networks and principal component analysis")
def linear(tied: bool = False) -> Parts:
    """One linear map each way: learns the span of the principal components."""
    return Parts(network=Dense(hidden=(), activation="identity", tied=tied), learning_rate=1e-2, weight_decay=0.0)


@recipe("Rumelhart, Hinton & Williams 1986, Learning internal representations by error propagation")
def undercomplete(activation: str = "silu") -> Parts:
    """A code narrower than the data: the plain autoencoder, and the one to start with."""
    return Parts(network=Dense(hidden=(2.0, 1.0), activation=activation))


@recipe("Vincent et al. 2010, Stacked denoising autoencoders (section 3: why overcomplete codes need a constraint)")
def overcomplete(activation: str = "relu") -> Parts:
    """A code wider than the data; by itself it may copy its input, so judge it, or add a corruption or penalty."""
    return Parts(network=Dense(hidden=(), activation=activation), bottleneck=Plain(activation), code_share=2.0)


@recipe("Hinton & Salakhutdinov 2006, Reducing the dimensionality of data with neural networks")
def deep(activation: str = "silu", norm: str | None = "layer") -> Parts:
    """The 784-1000-500-250-30 shape, scaled to the data."""
    shape = (1000 / 784, 500 / 784, 250 / 784)
    return Parts(network=Dense(hidden=shape, activation=activation, norm=norm))


@recipe("Vincent et al. 2008, Extracting and composing robust features with denoising autoencoders")
def denoising(corruption: Any = GaussianNoise(0.5)) -> Parts:
    """Rebuilds clean rows from damaged ones."""
    return Parts(corruption=corruption)


@recipe("Olshausen & Field 1996, Emergence of simple-cell receptive field properties by learning a sparse code")
def sparse(weight: Schedule = 0.1, activation: str = "relu") -> Parts:
    """An overcomplete code of which each row uses few units, by an L1 penalty."""
    network = Dense(hidden=(), activation=activation)
    return Parts(network=network, bottleneck=Plain(activation), penalties=(L1(weight),), code_share=2.0)
