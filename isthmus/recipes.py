"""The named kinds of autoencoder: each is a composition of parts, not a class.

A recipe returns `Parts`: what to build once the data's width is known. Calling a public recipe,
``recipes.denoising(corruption=Mask(0.3))``, gives a `Kind`: its name and knobs, which is what
`Autoencoder` takes, a grid search varies (``method__corruption``) and a model file stores.

To add a kind: write a function here with ``@recipe(paper)``. The command line, the report, the laws and the
table of kinds find it in `RECIPES`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from isthmus import papers
from isthmus.checks import did_you_mean
from isthmus.composition import Composition, compose
from isthmus.errors import InputError
from isthmus.papers import Paper
from isthmus.parts.bottlenecks.binary import Binary
from isthmus.parts.bottlenecks.categorical import GumbelSoftmax
from isthmus.parts.bottlenecks.codebook import Codebook
from isthmus.parts.bottlenecks.concrete import Concrete, Cooling
from isthmus.parts.bottlenecks.finite_scalar import FiniteScalar
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.parts.bottlenecks.importance import ImportanceWeighted
from isthmus.parts.bottlenecks.labelled import Labelled
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.bottlenecks.residual import ResidualCodebook
from isthmus.parts.bottlenecks.sparse import BatchTopK, JumpReLU, TopK
from isthmus.parts.bottlenecks.spherical import Spherical
from isthmus.parts.corruptions import GaussianNoise, Mask, MaskPatches
from isthmus.parts.losses.columns import PerColumn
from isthmus.parts.losses.counts import Multinomial
from isthmus.parts.losses.grouped import GroupedHuber
from isthmus.parts.losses.robust import Huber
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.convolutional import Convolutional
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.embedded import Embedded
from isthmus.parts.networks.recurrent import Recurrent
from isthmus.parts.networks.rows import Rows, check_untied
from isthmus.parts.penalties.adversarial import AdversarialPrior, FactorTC
from isthmus.parts.penalties.contractive import Contractive, HigherOrderContractive
from isthmus.parts.penalties.correlation import TotalCorrelation
from isthmus.parts.penalties.discrepancy import MMD
from isthmus.parts.penalties.smooth_decoder import CodeNorm, SmoothDecoder
from isthmus.parts.penalties.sparsity import L1, KLSparsity, Saturating
from isthmus.parts.pretraining import Boltzmann, Greedy
from isthmus.parts.priors.normal import Normal
from isthmus.parts.priors.two_level import TwoLevel
from isthmus.parts.priors.vamp import Vamp
from isthmus.parts.schedules import Ramp
from isthmus.records import Layout, Schedule, Site, built


@dataclass(frozen=True)
class Parts:
    """What a kind is made of, before sizes are known.

    ``code_share`` is the code size as a share of the features where the user names none, ``learning_rate``
    and ``weight_decay`` (see `Plan`; None = chosen from the number of rows) what suits the kind, ``pretraining``
    what is done layer by layer before all are trained as one.
    """

    network: Any = Dense(hidden=(2.0, 1.0), activation="silu")
    bottleneck: Any = Plain()
    loss: Any = Squared()
    corruption: Any = None
    penalties: tuple[Any, ...] = ()
    augmentation: Any = None
    rate: Schedule = 1.0
    code_share: float = 0.25
    learning_rate: float = 2e-3
    weight_decay: float | None = None
    pretraining: Any = None

    def code_size(self, features: int) -> int:
        """The code size for data of this width: a share of it, at most 32 where that narrows the data."""
        size = max(getattr(self.bottleneck, "least", 1), round(self.code_share * features))
        return size if self.code_share >= 1 else min(size, 32)

    def build(self, layout: Layout, code_size: int, generator: torch.Generator, given_size: int = 0) -> Composition:
        """Make the composition, with fresh weights drawn from ``generator``, for rows given so many numbers each."""
        made = self if layout.columns is None else self.mixed()
        site = Site(layout, code_size, generator)
        parts = {name: built(getattr(made, name), site) for name in ("bottleneck", "loss", "corruption")}
        penalties = tuple(built(penalty, site) for penalty in self.penalties)
        network = made.network.resolve(layout.features, code_size)
        hidden_size, out_size = parts["bottleneck"].width(code_size), parts["loss"].width(layout.features)
        # Named only where something is given or told, so that a network of one's own may do without them.
        embedded = parts["loss"].classes if getattr(parts["loss"], "embedded", False) else 0
        more = {"given_size": given_size, "told": getattr(self.corruption, "tell", False), "categories": embedded}
        more = {name: value for name, value in more.items() if value}
        encoder, decoder = network.build(layout, hidden_size, code_size, out_size, generator, **more)
        if getattr(parts["bottleneck"], "reads_rows", False):  # it chooses among the columns themselves
            check_untied(decoder)
            encoder = Rows(layout, given_size, getattr(self.corruption, "tell", False))
        beside: dict[str, Any] = {"rate": self.rate, "augmentation": self.augmentation}
        return compose(encoder, decoder=decoder, penalties=penalties, **beside, **parts)

    def mixed(self) -> Parts:
        """The same for a mixed table: the network reads levels and gaps too, and every column has its likelihood."""
        network, loss = self.network, self.loss
        if not isinstance(network, Embedded):
            network = Embedded(network)
        if isinstance(loss, PerColumn) or hasattr(loss, "cell_errors"):  # as it was written down, or built already
            return replace(self, network=network)
        ready = loss if hasattr(loss, "support") else built(loss)
        if ready.support != "real" or ready.width(2) != 2 or getattr(ready, "on_sphere", False):
            raise InputError(
                f"loss: {type(loss).__name__} takes every cell of a row for one sort of number; in a mixed table every "
                "column has a likelihood of its own (counts: columns={NAME: 'count'}). Leave loss out, or use one of "
                "real numbers such as ist.Huber(), which the numeric columns then get"
            )
        return replace(self, network=network, loss=PerColumn() if loss == Squared() else PerColumn(numbers=loss))


RECIPES: dict[str, Recipe] = {}
"""Every named kind."""


@dataclass(frozen=True)
class Recipe:
    """A named kind: the function that makes its parts, and the paper it comes from."""

    name: str
    function: Callable[..., Parts]
    paper: Paper

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
            raise InputError(f"method: no kind is called {name!r}.{did_you_mean(name, RECIPES)}")
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
        for knob, value in knobs.items():
            if knob not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise InputError(f"{self.name}: there is no knob {knob!r}; {has}")
            if isinstance(known[knob], bool) and not isinstance(value, bool):
                raise InputError(f"{self.name}: {knob} must be True or False; got {value!r}")
        # By identity: scikit-learn's clone wants the very objects back that it passed, even those equal to a default.
        self.chosen = {**self.chosen, **{k: v for k, v in knobs.items() if v is not known[k] or k in self.chosen}}
        return self

    def __repr__(self) -> str:
        known = RECIPES[self.name].knobs
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.chosen.items() if v != known[k])})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kind) and self.get_params() == other.get_params()

    __hash__ = None  # type: ignore[assignment]  # knobs may change


def recipe(paper: Paper) -> Callable[[Callable[..., Parts]], Callable[..., Kind]]:
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


@recipe(papers.BALDI_1989)
def linear(tied: bool = False) -> Parts:
    """One linear map each way: learns the span of the principal components."""
    return Parts(network=Dense(hidden=(), activation="identity", tied=tied), learning_rate=1e-2, weight_decay=0.0)


@recipe(papers.RUMELHART_1986)
def undercomplete(activation: str = "silu") -> Parts:
    """A code narrower than the data: the plain autoencoder, and the one to start with."""
    return Parts(network=Dense(hidden=(2.0, 1.0), activation=activation))


@recipe(papers.VINCENT_2010)
def overcomplete(activation: str = "relu") -> Parts:
    """A code wider than the data; by itself it may copy its input, so judge it, or add a corruption or penalty."""
    return Parts(network=Dense(hidden=(), activation=activation), bottleneck=Plain(activation), code_share=2.0)


@recipe(papers.HINTON_2006)
def deep(activation: str = "silu", norm: str | None = "layer") -> Parts:
    """The 784-1000-500-250-30 shape, scaled to the data."""
    shape = (1000 / 784, 500 / 784, 250 / 784)
    return Parts(network=Dense(hidden=shape, activation=activation, norm=norm))


@recipe(papers.MASCI_2011)
def convolutional(channels: Any = (32, 64), down: str = "stride", code: str = "vector") -> Parts:
    """Filters that go over images, series or video, so that what is learnt at one place serves all."""
    return Parts(network=Convolutional(channels, down=down, code=code), learning_rate=1e-3)


@recipe(papers.SRIVASTAVA_2015)
def recurrent(hidden: int = 64, cell: str = "lstm", bidirectional: bool = True) -> Parts:
    """Sequences of any length, read step by step into a code and written out again from it."""
    return Parts(network=Recurrent(hidden, cell=cell, bidirectional=bidirectional))


@recipe(papers.VINCENT_2008)
def denoising(corruption: Any = GaussianNoise(0.5)) -> Parts:
    """Rebuilds clean rows from damaged ones."""
    return Parts(corruption=corruption)


@recipe(papers.HE_2022)
def masked(fraction: Any = 0.5, patch: int | None = None, kept_weight: float = 1.0) -> Parts:
    """Rebuilds hidden cells of tables, or with patch=4 hidden squares of images, from those that are left."""
    # The paper's loss is that of hidden cells alone, kept_weight=0; with all of them, hidden cells were rebuilt as well
    # and whole rows far better, on digits and on a table of five factors.
    if patch is None:
        return Parts(corruption=Mask(fraction, kept_weight=kept_weight))
    return Parts(corruption=MaskPatches(fraction, patch, kept_weight=kept_weight))


@recipe(papers.ZHOU_2017)
def robust(rows: bool = False) -> Parts:
    """Sets apart what it cannot rebuild, cells or with rows=True whole rows, so that outliers teach it nothing."""
    return Parts(loss=GroupedHuber() if rows else Huber())


@recipe(papers.OLSHAUSEN_1996)
def sparse(weight: Schedule = 0.3, activation: str = "relu") -> Parts:
    """An overcomplete code of which each row uses few units, by an L1 penalty."""
    # Tied, or the code escapes the penalty by shrinking while the decoder grows; and the variance is fixed, as one that
    # is learned goes to 0 with the error, or to 1 with the code, and takes the penalty's meaning along.
    network, loss = Dense(hidden=(), activation=activation, tied=True), Squared(variance=0.1)
    return Parts(network, Plain(activation), loss, penalties=(L1(weight),), code_share=2.0)


@recipe(papers.NG_2011)
def kl_sparse(target: float = 0.05, weight: Schedule = 20.0) -> Parts:
    """An overcomplete code of sigmoid units, each of which is active in few rows: KL to a target activation."""
    penalties, network = (KLSparsity(target, weight),), Dense(hidden=())
    # Fast, because biases that start at 0 have a long way to go before units are active in one row of twenty.
    return Parts(network, Plain("sigmoid"), penalties=penalties, code_share=2.0, learning_rate=1e-2, weight_decay=0.0)


@recipe(papers.MAKHZANI_2014)
def top_k(k: float = 0.1, activation: str = "relu") -> Parts:
    """An overcomplete code of which each row keeps the k largest activations, a number or a share of the code."""
    return Parts(Dense(hidden=(), tied=True), TopK(k, activation), code_share=2.0, weight_decay=0.0)


@recipe(papers.BUSSMANN_2024)
def batch_top_k(k: float = 0.1) -> Parts:
    """As top_k, with k units per row in the mean over a batch: rich rows use more of them than poor ones."""
    return Parts(Dense(hidden=(), tied=True), BatchTopK(k), code_share=2.0, weight_decay=0.0)


@recipe(papers.RAJAMANOHARAN_2024)
def jump_relu(price: float = 3.0) -> Parts:
    """An overcomplete code whose units are active above a threshold that each learns; active units are paid for."""
    network = Dense(hidden=(), tied=True)
    return Parts(network, JumpReLU(price), code_share=2.0, learning_rate=5e-3, weight_decay=0.0)


@recipe(papers.GOROSHIN_2013)
def saturating(weight: Schedule = 1.0, activation: str = "saturated_linear") -> Parts:
    """An overcomplete code pushed to where its activation is flat, so that small changes of a row change nothing."""
    penalties = (Saturating(weight, activation),)
    return Parts(Dense(hidden=(), tied=True), Plain(activation), penalties=penalties, code_share=2.0, weight_decay=0.0)


@recipe(papers.RIFAI_2011)
def contractive(weight: Schedule = 10.0, activation: str = "sigmoid") -> Parts:
    """A code that changes little where its row does: its Jacobian's squared norm is a penalty."""
    network = Dense(hidden=(), activation=activation)
    return Parts(network=network, bottleneck=Plain(activation), penalties=(Contractive(weight),), code_share=2.0)


@recipe(papers.RIFAI_2011_HIGHER)
def higher_order_contractive(weight: Schedule = 10.0, curvature: Schedule = 1e3, noise: Schedule = 0.1) -> Parts:
    """As contractive, with a second penalty on how fast the Jacobian itself changes."""
    penalties = (Contractive(weight), HigherOrderContractive(curvature, noise))
    return Parts(network=Dense(hidden=()), bottleneck=Plain("sigmoid"), penalties=penalties, code_share=2.0)


@recipe(papers.VINCENT_2010)
def stacked(
    corruption: Any = Mask(0.25), penalties: Any = (), layer_epochs: int | None = None, tied: bool = False
) -> Parts:
    """Layers trained one by one, each to repair its damaged input, then all as one."""
    network = Dense(hidden=(2.0, 1.0), activation="sigmoid", tied=tied)
    return Parts(network, Plain("sigmoid"), pretraining=Greedy(corruption, penalties, layer_epochs))


@recipe(papers.HINTON_2006)
def deep_belief(steps: int = 1, layer_epochs: int | None = None, tied: bool = False) -> Parts:
    """Layers trained one by one as restricted Boltzmann machines, then all as one."""
    return Parts(
        network=Dense(hidden=(2.0, 1.0), activation="sigmoid", tied=tied),
        bottleneck=Plain("sigmoid"),
        pretraining=Boltzmann(steps, layer_epochs),
        learning_rate=1e-2,
        weight_decay=0.0,
    )


WARM = Ramp(0.0, 1.0, epochs=10)
"""A price of codes that rises over the first epochs: units that cost before they are of use are given up for good. On
small tables it was worth 0.1 to 1.8 nats of likelihood."""


@recipe(papers.KINGMA_2014)
def vae(beta: Schedule = WARM, posterior: str = "diagonal", prior: Any = Normal(), free_bits: float = 0.0) -> Parts:
    """Variational: every row's code is a normal distribution that pays, in nats, for what it says."""
    return Parts(bottleneck=Gaussian(posterior, prior, free_bits), rate=beta)


@recipe(papers.HIGGINS_2017)
def beta_vae(beta: Schedule = 4.0) -> Parts:
    """Variational with a dearer code, beta > 1, so that units part the factors of the data between them."""
    return Parts(bottleneck=Gaussian(), rate=beta)


@recipe(papers.BURDA_2016)
def iwae(draws: int = 5, doubly: bool = False, posterior: str = "diagonal", prior: Any = Normal()) -> Parts:
    """Importance weighted: several codes are drawn for every row, and the best count most."""
    return Parts(bottleneck=ImportanceWeighted(draws, doubly, Gaussian(posterior, prior)))


@recipe(papers.KINGMA_2014_LABELS)
def semi_supervised(weight: float = 10.0, beta: Schedule = 10.0, corruption: Any = Mask(0.5)) -> Parts:
    """Variational with the row's class in its code, learnt from labels of some rows: fit(X, y), y with gaps."""
    # Dear, or the rest of the code takes the class along; masked, or the labelled rows are learnt by heart.
    return Parts(bottleneck=Labelled(weight=weight), corruption=corruption, rate=beta)


@recipe(papers.TOMCZAK_2018)
def vamp(components: int = 100, beta: Schedule = WARM) -> Parts:
    """Variational with a learned prior: the mean of the codes of inputs that it learns."""
    return Parts(bottleneck=Gaussian(prior=Vamp(components)), rate=beta)


@recipe(papers.SONDERBY_2016)
def hierarchical(top: int = 8, beta: Schedule = WARM) -> Parts:
    """Variational with codes of two levels: a smaller code says where the larger one lies."""
    return Parts(bottleneck=Gaussian(prior=TwoLevel(top)), rate=beta)


@recipe(papers.DAVIDSON_2018)
def hyperspherical(beta: Schedule = WARM) -> Parts:
    """Variational with codes on a sphere, where no place is more probable than another."""
    return Parts(bottleneck=Spherical(), rate=beta)


@recipe(papers.ZHAO_2019)
def info_vae(beta: Schedule = 0.1, weight: Schedule = 30.0) -> Parts:
    """Variational with a cheaper code, which all rows together hold to the prior instead, by kernels."""
    return Parts(bottleneck=Gaussian(), rate=beta, penalties=(MMD(weight),))


@recipe(papers.CHEN_2018)
def beta_tc_vae(beta: float = 4.0) -> Parts:
    """Variational, and only what units say of one another is made dearer, so that each finds a factor of its own."""
    return Parts(bottleneck=Gaussian(), penalties=(TotalCorrelation(beta - 1.0),))


@recipe(papers.KIM_2018)
def factor_vae(weight: Schedule = 3.0) -> Parts:
    """As beta_tc_vae, by a judge that learns to tell codes from codes with their units shuffled."""
    return Parts(bottleneck=Gaussian(), penalties=(FactorTC(weight),))


@recipe(papers.TOLSTIKHIN_2018)
def wae(weight: Schedule = 30.0, kernel: str = "imq") -> Parts:
    """A plain code that all rows together hold to a normal distribution, by kernels: it can be sampled from."""
    return Parts(penalties=(MMD(weight, kernel),))


@recipe(papers.MAKHZANI_2016)
def adversarial(weight: Schedule = 2.0) -> Parts:
    """A plain code that a judge must not be able to tell from a normal distribution's draws."""
    return Parts(penalties=(AdversarialPrior(weight),))


@recipe(papers.GHOSH_2020)
def rae(weight: Schedule = 1.0, smooth: Schedule = 0.0) -> Parts:
    """A plain code kept small, and with smooth > 0 a smooth decoder: for a prior that is fitted afterwards."""
    return Parts(penalties=(CodeNorm(weight), *((SmoothDecoder(smooth),) if smooth else ())))


@recipe(papers.OORD_2017)
def vq_vae(entries: int = 512, width: int | None = None, commitment: float = 4.0) -> Parts:
    """A code of symbols, each the nearest entry of a book that is learned."""
    return Parts(bottleneck=Codebook(entries, width, commitment))


@recipe(papers.ZEGHIDOUR_2021)
def residual_vq(levels: int = 4, entries: int = 256, width: int | None = None) -> Parts:
    """As vq_vae, with several books, each of which says what those before it left."""
    return Parts(bottleneck=ResidualCodebook(levels, Codebook(entries, width)))


@recipe(papers.MENTZER_2024)
def finite_scalar(levels: Any = 8) -> Parts:
    """A code whose units are rounded to a few levels: discrete, with no book to learn."""
    return Parts(bottleneck=FiniteScalar(levels))


@recipe(papers.MENA_2019)
def binary(beta: Schedule = 1.0) -> Parts:
    """A code of bits, for search by Hamming distance."""
    return Parts(bottleneck=Binary(), rate=beta)


@recipe(papers.JANG_2017)
def categorical(
    classes: int | None = None, temperature: Schedule = Ramp(1.0, 0.5, epochs=10), beta: Schedule = 1.0
) -> Parts:
    """A code of groups of units, in each of which one is on: classes that nobody named."""
    return Parts(bottleneck=GumbelSoftmax(classes, temperature), rate=beta, code_share=1.0)


@recipe(papers.LIANG_2018)
def multinomial_vae(beta: Schedule = Ramp(0.0, 0.2, epochs=10), dropped: float = 0.5) -> Parts:
    """Variational for rows of counts, such as what a user bought: half of it is hidden, and the rest foretells it."""
    return Parts(bottleneck=Gaussian(), loss=Multinomial(), corruption=Mask(dropped), rate=beta)


@recipe(papers.BALIN_2019)
def concrete(temperature: Schedule = Cooling()) -> Parts:
    """A code that is some of the row's own columns: those from which the others are best rebuilt."""
    return Parts(network=Dense(hidden=(0.5,)), bottleneck=Concrete(temperature))
