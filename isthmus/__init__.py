"""isthmus: autoencoders for data without labels.

    import isthmus as ist

    ae = ist.Autoencoder(code_size=16).fit(X)
    Z = ae.transform(X)

The public names below are loaded when they are first used, so that ``import isthmus`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isthmus.version import VERSION as __version__

if TYPE_CHECKING:
    from isthmus import data, disentanglement, metrics, plots, recipes
    from isthmus.composition import Composition, compose
    from isthmus.diagnostics import Diagnosis, Verdict
    from isthmus.errors import (
        CollapseWarning,
        DataWarning,
        FileFormatError,
        InputError,
        MissingExtraError,
        TrainingError,
    )
    from isthmus.estimators.anomalies import AnomalyDetector
    from isthmus.estimators.autoencoder import Autoencoder
    from isthmus.estimators.citation import citation
    from isthmus.estimators.comparison import compare
    from isthmus.estimators.compressor import Compressor
    from isthmus.estimators.denoiser import Denoiser
    from isthmus.estimators.features import FeatureLearner
    from isthmus.estimators.field import draw_vector_field, vector_field
    from isthmus.estimators.files import load
    from isthmus.estimators.fine_tuning import TunedClassifier, TunedRegressor
    from isthmus.estimators.generator import Generator
    from isthmus.estimators.recommender import Recommender
    from isthmus.estimators.retriever import Retriever
    from isthmus.estimators.searching import search_settings
    from isthmus.estimators.selecting import Selector
    from isthmus.papers import Paper
    from isthmus.parts.augmentations import Crop, Flip, Shift, Together
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
    from isthmus.parts.bottlenecks.zeroed import Zeroed
    from isthmus.parts.corruptions import BlindSpot, GaussianNoise, Mask, MaskPatches, RowSwap, SaltPepper
    from isthmus.parts.losses.categories import Bernoulli, Categorical
    from isthmus.parts.losses.cosine import Cosine
    from isthmus.parts.losses.counts import Multinomial, NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
    from isthmus.parts.losses.grouped import GroupedHuber
    from isthmus.parts.losses.robust import Huber, StudentT
    from isthmus.parts.losses.scaled import Absolute, Squared
    from isthmus.parts.networks.clips import FramesTogether
    from isthmus.parts.networks.convolutional import Convolutional
    from isthmus.parts.networks.dense import Dense
    from isthmus.parts.networks.linear_decoder import LinearDecoder
    from isthmus.parts.networks.modules import Modules
    from isthmus.parts.networks.recurrent import Recurrent
    from isthmus.parts.networks.restoring import Restoring
    from isthmus.parts.penalties.adversarial import AdversarialPrior, FactorTC
    from isthmus.parts.penalties.bits import Balance, Independence
    from isthmus.parts.penalties.contractive import Contractive, HigherOrderContractive
    from isthmus.parts.penalties.correlation import TotalCorrelation
    from isthmus.parts.penalties.discrepancy import MMD
    from isthmus.parts.penalties.smooth_decoder import CodeNorm, SmoothDecoder
    from isthmus.parts.penalties.sparsity import L1, KLSparsity, Saturating
    from isthmus.parts.penalties.weights import WeightDecay
    from isthmus.parts.pretraining import Boltzmann, Greedy
    from isthmus.parts.priors.autoregressive import Autoregressive
    from isthmus.parts.priors.flow import Flow
    from isthmus.parts.priors.mixture import Mixture
    from isthmus.parts.priors.normal import Normal
    from isthmus.parts.priors.two_level import TwoLevel
    from isthmus.parts.priors.vamp import Vamp
    from isthmus.parts.schedules import Between, Ramp
    from isthmus.recipes import RECIPES, Kind, Parts
    from isthmus.records import Batch, Code, Context, Layout, Pass, Seen, Site, Trace

HOMES = {
    "isthmus.composition": "Composition compose",
    "isthmus.diagnostics": "Diagnosis Verdict",
    "isthmus.errors": "CollapseWarning DataWarning FileFormatError InputError MissingExtraError TrainingError",
    "isthmus.estimators.anomalies": "AnomalyDetector",
    "isthmus.estimators.autoencoder": "Autoencoder",
    "isthmus.estimators.citation": "citation",
    "isthmus.estimators.comparison": "compare",
    "isthmus.estimators.compressor": "Compressor",
    "isthmus.estimators.denoiser": "Denoiser",
    "isthmus.estimators.features": "FeatureLearner",
    "isthmus.estimators.field": "draw_vector_field vector_field",
    "isthmus.estimators.files": "load",
    "isthmus.estimators.fine_tuning": "TunedClassifier TunedRegressor",
    "isthmus.estimators.generator": "Generator",
    "isthmus.estimators.recommender": "Recommender",
    "isthmus.estimators.retriever": "Retriever",
    "isthmus.estimators.searching": "search_settings",
    "isthmus.estimators.selecting": "Selector",
    "isthmus.papers": "Paper",
    "isthmus.parts.augmentations": "Crop Flip Shift Together",
    "isthmus.parts.bottlenecks.binary": "Binary",
    "isthmus.parts.bottlenecks.categorical": "GumbelSoftmax",
    "isthmus.parts.bottlenecks.codebook": "Codebook",
    "isthmus.parts.bottlenecks.concrete": "Concrete Cooling",
    "isthmus.parts.bottlenecks.finite_scalar": "FiniteScalar",
    "isthmus.parts.bottlenecks.gaussian": "Gaussian",
    "isthmus.parts.bottlenecks.importance": "ImportanceWeighted",
    "isthmus.parts.bottlenecks.labelled": "Labelled",
    "isthmus.parts.bottlenecks.plain": "Plain",
    "isthmus.parts.bottlenecks.residual": "ResidualCodebook",
    "isthmus.parts.bottlenecks.sparse": "BatchTopK JumpReLU TopK",
    "isthmus.parts.bottlenecks.spherical": "Spherical",
    "isthmus.parts.bottlenecks.zeroed": "Zeroed",
    "isthmus.parts.corruptions": "BlindSpot GaussianNoise Mask MaskPatches RowSwap SaltPepper",
    "isthmus.parts.losses.categories": "Bernoulli Categorical",
    "isthmus.parts.losses.cosine": "Cosine",
    "isthmus.parts.losses.counts": "Multinomial NegativeBinomial Poisson ZeroInflatedNegativeBinomial",
    "isthmus.parts.losses.grouped": "GroupedHuber",
    "isthmus.parts.losses.robust": "Huber StudentT",
    "isthmus.parts.losses.scaled": "Absolute Squared",
    "isthmus.parts.networks.clips": "FramesTogether",
    "isthmus.parts.networks.convolutional": "Convolutional",
    "isthmus.parts.networks.dense": "Dense",
    "isthmus.parts.networks.linear_decoder": "LinearDecoder",
    "isthmus.parts.networks.modules": "Modules",
    "isthmus.parts.networks.recurrent": "Recurrent",
    "isthmus.parts.networks.restoring": "Restoring",
    "isthmus.parts.penalties.adversarial": "AdversarialPrior FactorTC",
    "isthmus.parts.penalties.bits": "Balance Independence",
    "isthmus.parts.penalties.contractive": "Contractive HigherOrderContractive",
    "isthmus.parts.penalties.correlation": "TotalCorrelation",
    "isthmus.parts.penalties.discrepancy": "MMD",
    "isthmus.parts.penalties.smooth_decoder": "CodeNorm SmoothDecoder",
    "isthmus.parts.penalties.sparsity": "L1 KLSparsity Saturating",
    "isthmus.parts.penalties.weights": "WeightDecay",
    "isthmus.parts.pretraining": "Boltzmann Greedy",
    "isthmus.parts.priors.autoregressive": "Autoregressive",
    "isthmus.parts.priors.flow": "Flow",
    "isthmus.parts.priors.mixture": "Mixture",
    "isthmus.parts.priors.normal": "Normal",
    "isthmus.parts.priors.two_level": "TwoLevel",
    "isthmus.parts.priors.vamp": "Vamp",
    "isthmus.parts.schedules": "Between Ramp",
    "isthmus.recipes": "RECIPES Kind Parts",
    "isthmus.records": "Batch Code Context Layout Pass Seen Site Trace",
}
"""Where each public name lives."""

PUBLIC = {name: home for home, names in HOMES.items() for name in names.split()}
MODULES = ("data", "disentanglement", "metrics", "plots", "recipes")

__all__ = [*sorted(PUBLIC), *MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    if name in MODULES:
        return importlib.import_module(f"isthmus.{name}")
    raise AttributeError(f"module 'isthmus' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
