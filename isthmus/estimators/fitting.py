"""From parts and rows to a trained composition: what `Autoencoder.fit` does between checking and keeping."""

from __future__ import annotations

import copy
import hashlib
import os
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus import training
from isthmus.checkpoints import OUT_OF_TIME, Plan, Saver, State
from isthmus.composition import Composition
from isthmus.data import Scaling, Source
from isthmus.diagnostics import FitRecord
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.classes import reads_labels
from isthmus.estimators.settings import whole
from isthmus.estimators.yardsticks import columns_error, errors_of, margin_spread, scaled_error
from isthmus.parts.augmentations import Together
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.losses.grouped import GroupedHuber
from isthmus.parts.losses.robust import Huber, StudentT
from isthmus.parts.losses.scaled import Absolute, Squared
from isthmus.parts.networks.convolutional import Convolutional, ConvolutionalDecoder
from isthmus.parts.networks.dense import Dense, DenseDecoder, DenseEncoder, start_at
from isthmus.parts.networks.modules import Unaware
from isthmus.parts.networks.recurrent import Recurrent
from isthmus.pca import GRAM_FEATURES, PrincipalComponents, no_components, principal_components
from isthmus.pretraining import pretrain
from isthmus.progress import progress
from isthmus.recipes import Kind, Parts
from isthmus.records import Batch, Layout
from isthmus.training import Feed


@dataclass(frozen=True)
class Fitted:
    """What a fit found: the trained composition, the parts it was built from, and what is known of it."""

    composition: Composition
    parts: Parts | Composition
    history: dict[str, list[float]]
    record: FitRecord


@dataclass(frozen=True)
class Job:
    """One fit: everything that is needed for it, decided."""

    name: str
    parts: Parts | Composition
    code_size: int
    feed: Feed
    plan: Plan
    may_fall_back: bool
    resume: bool
    verbose: int
    data_digest: str

    def run(self) -> Fitted:
        """Train; where a plain kind is no better than PCA on the held-out rows, once more from there.

        An autoencoder with a linear path can stand exactly where PCA stands, so the second fit, which starts
        there and keeps the best held-out state, is no worse.
        """
        began = time.monotonic()
        feed, parts = self.feed, self.parts
        if feed.source.layout.columns is not None:
            # Of levels there are no principal components.
            pca, pca_errors = no_components(batch.x for batch in feed.batches(feed.train, feed.at_once)), np.zeros(0)
        else:
            pca, pca_errors = self.linear_rival()
        second = self.second_plan()
        state = self.attempt(parts, self.plan, pca)
        left = self.plan.max_time - (time.monotonic() - began)
        if (
            self.may_fall_back
            and isinstance(parts, Parts)
            and may_start_at_pca(parts)
            and len(feed.held_out)
            and left > 0
        ):
            error = scaled_error(state.composition, feed.watched_batches())
            if self.code_size < len(pca_errors) and error > pca_errors[self.code_size]:
                if self.verbose:
                    print("no better than PCA on held-out rows: once more, starting from PCA", file=sys.stderr)
                network = replace(parts.network, linear_path=True, output_activation="identity")
                linear = replace(parts, network=network)
                again = self.attempt(linear, replace(second, max_time=left), pca)
                if scaled_error(again.composition, feed.watched_batches()) <= error:
                    state, parts = again, linear
        return Fitted(state.composition, parts, state.history, self.record(state, pca, pca_errors))

    def linear_rival(self) -> tuple[PrincipalComponents, np.ndarray]:
        """Principal components of the training rows, and their errors on the watched ones; a warning where these are
        copies of those."""
        feed = self.feed
        marks = Marks(feed)
        every = (marks.seen(batch.x) for batch in feed.batches(feed.train, feed.at_once))
        # Of large rows PCA takes long, and where the code is as wide as they are, it would be exact.
        wide = self.code_size >= feed.source.layout.features > GRAM_FEATURES
        pca = no_components(every) if wide else principal_components(every)
        marks.warn_of_copies()
        return pca, errors_of(pca, feed)

    def second_plan(self) -> Plan:
        """The plan of the fit that starts from PCA: its checkpoints lie in a folder of their own."""
        if self.plan.checkpoint is None:
            return self.plan
        plan = replace(self.plan, checkpoint=str(Path(self.plan.checkpoint) / "linear-path"))
        if not self.resume:
            Saver(plan, None).forget()
        return plan

    def attempt(self, parts: Parts | Composition, plan: Plan, pca: PrincipalComponents) -> State:
        """Build and train once; a linear path begins at PCA."""
        composition = build(parts, self.feed.source.layout, self.code_size, plan.seed, given_size_of(self.feed))
        encoder, decoder = composition.encoder, composition.decoder
        bounded: Any = decoder if getattr(decoder, "bounded", False) else None
        if bounded is not None:
            bounded.set_range(*ends(self.feed))
        if isinstance(decoder, ConvolutionalDecoder):
            decoder.start_at(pca.mean)
        if isinstance(encoder, DenseEncoder) and isinstance(decoder, DenseDecoder):
            paths = encoder.path is not None and decoder.path is not None
            if paths and not decoder.bounded and composition.bottleneck == Plain():
                start_at(encoder, decoder, pca.mean, pca.components, pca.variances)
        check_learnable(composition)
        if self.verbose and any(isinstance(module, Unaware) for module in composition.modules()):
            print("modules of your own: not thread-safe, so fit no others beside this in threads", file=sys.stderr)
        identity = {"data": self.data_digest, "kind": described(parts), "code_size": self.code_size}
        if self.feed.given is not None:
            identity["given"] = hashlib.sha256(self.feed.given.numpy().tobytes()).hexdigest()
        if self.feed.labels is not None:
            identity["labels"] = hashlib.sha256(self.feed.labels.numpy().tobytes()).hexdigest()
        asked = plan
        if isinstance(parts, Parts) and parts.pretraining is not None:
            plan = pretrain(
                composition,
                self.feed,
                plan,
                parts.pretraining,
                progress=progress(self.verbose),
                resume=self.resume,
                identity=identity,
            )
        state = training.train(
            composition,
            self.feed,
            plan,
            progress=progress(self.verbose),
            title=self.name,
            resume=self.resume and plan.checkpoint is not None,
            identity=identity,
        )
        if (plan.epochs, plan.checkpoint) != (asked.epochs, asked.checkpoint):
            state.stopped = f"stopped {OUT_OF_TIME}, while layers were trained one by one"
        return state

    def record(self, state: State, pca: PrincipalComponents, pca_errors: np.ndarray) -> FitRecord:
        feed = self.feed
        step = max(1, len(feed.train) // 5000)
        held_out_error = scaled_error(state.composition, feed.watched_batches())
        return FitRecord(
            code_size=self.code_size or code_size_of(state.composition, feed),
            features=feed.source.layout.features,
            train_rows=len(feed.train),
            held_out_rows=len(feed.held_out),
            train_error=scaled_error(state.composition, feed.batches(feed.train[::step], feed.at_once)),
            held_out_error=held_out_error if len(feed.held_out) else float("nan"),
            mean_error=float(pca_errors[0]) if len(pca_errors) else columns_error(state.composition, feed),
            pca_errors=pca_errors,
            epochs=state.epoch,
            stopped=state.stopped,
            pca_margin_spread=margin_spread(state.composition, pca, self.code_size, feed),
        )


class Marks:
    """A number for every row, equal for equal rows, to find held-out rows that are copies of training rows.

    Measured numbers hardly ever agree in a whole row by chance; truth values and small counts do, so only floats are
    marked.
    """

    MOST = 2_000_000

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        floats = feed.source.dtype.kind == "f"
        self.wanted = floats and len(feed.held_out) > 0 and 0 < len(feed.train) <= self.MOST
        generator = torch.Generator().manual_seed(0)
        self.direction = torch.randn(feed.source.layout.features, generator=generator, dtype=torch.float64)
        self.train: list[np.ndarray] = []

    def mark(self, x: Tensor) -> np.ndarray:
        # Rounded, because the last digits of a sum depend on how many rows are multiplied together.
        return (x.flatten(1).cpu().double() @ self.direction).numpy().round(9)

    def seen(self, x: Tensor) -> Tensor:
        """Mark some training rows on their way."""
        if self.wanted:
            self.train.append(self.mark(x))
        return x

    def warn_of_copies(self) -> None:
        """Held-out rows that were trained on flatter every figure."""
        if not self.wanted:
            return
        held_out = np.concatenate([self.mark(batch.x) for batch in self.feed.watched_batches()])
        train = np.concatenate(self.train)
        share = float(np.isin(held_out, train).mean())
        if share > 0.1 and len(np.unique(train)) < 0.02 * len(train):
            warnings.warn(
                "nearly all rows are the same once they are scaled: probably a value far larger than all others "
                f"({float(np.abs(self.feed.scaling.high).max()):.3g}) flattens the rest. Look for outliers",
                DataWarning,
                stacklevel=2,
            )
        elif share > 0.1:
            warnings.warn(
                f"{100 * share:.0f} % of the held-out rows are exact copies of training rows, so held-out figures "
                "flatter the model. If they are not meant to be there, drop duplicate rows first",
                DataWarning,
                stacklevel=2,
            )


def chosen_parts(method: Any, network: Any, replacements: dict[str, Any]) -> Parts | Composition:
    """The kind's parts with those that the user replaced, or the user's own composition."""
    if isinstance(method, torch.nn.Module):
        if not isinstance(method, Composition):
            raise InputError("method: join your modules with ist.compose(encoder, bottleneck, decoder, loss)")
        given = [name for name, value in replacements.items() if value is not None]
        given += [] if isinstance(network, str) else ["network"]
        if given:
            raise InputError(
                f"{given[0]} replaces a part of a kind; a composition of your own has its parts from ist.compose: "
                f"give {given[0]} there"
            )
        return method
    if not isinstance(method, (str, Kind, Parts)):
        raise InputError(f"method must be the name of a kind, a kind, or a composition; got {method!r}")
    kind = Kind(method) if isinstance(method, str) else method
    parts = kind.parts() if isinstance(kind, Kind) else kind
    replaced = {name: value for name, value in replacements.items() if value is not None}
    if isinstance(replaced.get("augmentation"), (list, tuple)):
        replaced["augmentation"] = Together(tuple(replaced["augmentation"]))
    if "penalties" in replaced:
        replaced["penalties"] = joined(parts.penalties, replaced["penalties"])
    if not isinstance(network, str):
        replaced["network"] = network
    elif network != "auto":
        raise InputError(f"network must be 'auto' or a network such as Dense((64, 32)); got {network!r}")
    parts = replace(parts, **replaced)
    check_parts(parts)
    return parts


def joined(own: tuple[Any, ...], more: Any) -> tuple[Any, ...]:
    """The kind's own penalties and the user's; one on the same layer takes the place of the kind's of its class.

    >>> from isthmus.parts.penalties.sparsity import L1
    >>> joined((L1(0.3),), [L1(0.5), L1(0.1, layer="encoder.hidden.0")])
    (L1(weight=0.5), L1(layer='encoder.hidden.0'))
    """
    new = tuple(more) if isinstance(more, (list, tuple)) else (more,)
    taken = [(type(penalty), getattr(penalty, "layer", "code")) for penalty in new]
    return (*(p for p in own if (type(p), getattr(p, "layer", "code")) not in taken), *new)


EXAMPLES = {
    "network": "Dense((64, 32))",
    "bottleneck": "Plain('sigmoid')",
    "loss": "Squared()",
    "corruption": "Mask(0.2)",
    "penalties": "L1(0.1)",
}


def check_parts(parts: Parts) -> None:
    """Every part keeps its contract, as far as its methods tell."""
    fits = {
        "network": lambda part: hasattr(part, "resolve") and hasattr(part, "build"),
        "bottleneck": lambda part: hasattr(part, "width") or hasattr(part, "build"),
        "loss": lambda part: hasattr(part, "cost") or hasattr(part, "build"),
        "corruption": lambda part: callable(part) and not any(hasattr(part, n) for n in ("width", "cost", "weight")),
        "penalties": lambda part: (callable(part) or hasattr(part, "build")) and hasattr(part, "weight"),
    }
    for name, fit in fits.items():
        value = getattr(parts, name)
        for part in value if name == "penalties" else () if value is None else (value,):
            if isinstance(part, type) or not fit(part):
                raise InputError(f"{name} must be a part such as {EXAMPLES[name]}; got {part!r}")


def chosen_code_size(asked: Any, parts: Parts | Composition, layout: Layout) -> int:
    """Numbers in the code: as asked for, or as network or kind have it; 0 = as many as the user's own modules make."""
    size, features = 0 if asked is None else whole("code_size", asked, 1), layout.numbers
    if not isinstance(parts, Parts):
        return size
    wanted = parts.network.code_size(layout) if hasattr(parts.network, "code_size") else None
    if wanted is not None:
        if size not in (0, wanted):
            raise InputError(
                f"code_size={size}, but the code of {parts.network!r} is a map of {wanted} numbers: leave code_size out"
            )
        return wanted
    held_back = parts.corruption is not None or parts.penalties or parts.bottleneck != Plain()
    if size > features and parts.code_share < 1 and not held_back and not layout.sequence:
        what = "columns" if layout.columns is None else "numbers (of levels, the bits that tell them apart)"
        warnings.warn(
            f"code_size={size} is wider than the data's {features} {what}: nothing forces a kind without a "
            f"penalty or corruption to learn more than copying. Try code_size={parts.code_size(features)}",
            DataWarning,
            stacklevel=3,
        )
    # The classes that a code begins with come on top of what it would else hold.
    return size or parts.code_size(features) + (parts.bottleneck.classes if reads_labels(parts) else 0)


def check_learnable(composition: Composition) -> None:
    if not any(weights.requires_grad for weights in composition.parameters()):
        raise InputError(
            "method: none of your modules has a weight that may change (requires_grad), so nothing is left to fit"
        )


def pixel_ends(scaling: Scaling, dtype: np.dtype) -> tuple[float, float] | None:
    """The fixed ends of data that looks like pixels, in the user's units; None for other data.

    Pixels are columns in one common unit that are bytes or pairs of them, or that run from exactly 0 to exactly 1.
    """
    low, high = float(scaling.low.min()), float(scaling.high.max())
    if scaling.mode not in ("common", "unit"):
        return None
    if dtype in (np.uint8, np.uint16):
        most = float(np.iinfo(dtype).max)
        return (0.0, most) if high > most / 2 else (low, high)
    return (0.0, 1.0) if (low, high) == (0.0, 1.0) else None


def ends(feed: Feed) -> tuple[np.ndarray, np.ndarray]:
    """The range of every column in scaled units: a pixel's fixed ends, else what was seen in training."""
    scaling = feed.scaling
    pixels = pixel_ends(scaling, feed.source.dtype)
    low, high = (scaling.low, scaling.high) if pixels is None else pixels
    return (low - scaling.centre) / scaling.scale, (high - scaling.centre) / scaling.scale


AROUND_THE_OUTPUT = (Squared, Absolute, Huber, GroupedHuber, StudentT)
"""Losses whose mean is the output itself."""


MOST_DENSE = 4096
"""Images of more numbers, and all clips, get a convolutional network: a dense one learns a weight for every pixel."""


def fitting_network(parts: Parts | Composition, source: Source) -> Parts | Composition:
    """The parts with a network of the sort that suits the rows, where the choice was left to us.

    Sequences of several lengths and text get a recurrent network, large images and video a convolutional one.
    """
    if not isinstance(parts, Parts) or not isinstance(parts.network, Dense):
        return parts
    if not parts.network.hidden or parts.network.tied or parts.pretraining is not None:
        return parts
    layout = source.layout
    if source.lengths is not None or getattr(parts.loss, "embedded", False):
        return replace(parts, network=Recurrent(bidirectional=True))
    if "height" in layout.axes and (layout.features > MOST_DENSE or layout.sequence):
        return replace(parts, network=Convolutional())
    return parts


def suited(parts: Parts | Composition, scaling: Scaling, dtype: np.dtype) -> Parts | Composition:
    """The parts with a network whose ends suit the data, where the choice was left to us.

    Pixels get an output that stays within their ends: a sigmoid rebuilds the many that are exactly black or white
    with far less error than a linear map. Plain kinds on tables get a linear path that starts at PCA, which small
    tables are often described by better than by anything that starts at random.
    """
    if not isinstance(parts, Parts) or not getattr(parts.network, "hidden", getattr(parts.network, "channels", ())):
        return parts
    network = parts.network
    if pixel_ends(scaling, dtype) is not None:
        if network.output_activation == "identity" and isinstance(parts.loss, AROUND_THE_OUTPUT):
            network = replace(network, output_activation="bounded")
    elif may_start_at_pca(parts):
        network = replace(network, linear_path=True)
    return replace(parts, network=network)


def may_start_at_pca(parts: Parts) -> bool:
    """Whether the parts may be given a linear path that starts at PCA: plain kinds with layers to go beside."""
    return (
        isinstance(parts.network, Dense)
        and bool(parts.network.hidden)
        and not parts.network.tied
        and not parts.network.linear_path
        and parts.bottleneck == Plain()
        and isinstance(parts.loss, (Squared, Absolute))
        and parts.corruption is None
        and parts.pretraining is None
        and not parts.penalties
    )


def given_size_of(feed: Feed) -> int:
    """Numbers that each row is given."""
    return 0 if feed.given is None else int(feed.given.shape[1])


def build(parts: Parts | Composition, layout: Layout, code_size: int, seed: int, given_size: int = 0) -> Composition:
    """A composition with fresh weights, or a copy of the user's own."""
    if isinstance(parts, Parts):
        check_memory(parts, layout, code_size)
        return parts.build(layout, code_size, torch.Generator().manual_seed(seed), given_size)
    if layout.columns is not None and not hasattr(parts.loss, "cell_errors"):
        raise InputError(
            "method: modules of your own take tables of numbers without gaps; this one has columns of several kinds, "
            "or missing cells. Use a kind by its name, or turn the table into numbers first"
        )
    composition = copy.deepcopy(parts)
    given = torch.zeros(2, given_size) if given_size else None
    batch = Batch(torch.zeros(2, *layout.shape), layout, given=given)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            cost = composition.eval().cost(composition.trace(batch))
            found = int(composition.represent(batch).shape[1])
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"method: your modules cannot take rows of the shape {layout.shape}: {error}") from error
    if cost.shape != (2,):
        raise InputError(f"method: the loss must give one number per row; 2 rows gave the shape {tuple(cost.shape)}")
    if code_size and found != code_size:
        raise InputError(
            f"code_size is {code_size}, but your modules make codes of {found} numbers: leave code_size out"
        )
    return composition


def check_memory(parts: Parts, layout: Layout, code_size: int) -> None:
    """Refuse a network that this machine cannot train, before its memory is asked for."""
    if not isinstance(parts.network, Dense):
        return
    # A table's levels are entered as vectors, a few times wider than what they are worth.
    weights = parts.network.weights(layout.numbers if layout.columns is None else 4 * layout.numbers, code_size)
    # Weights, gradient, the optimiser's two means and the best state: five numbers of four bytes per weight.
    need, have = 20 * weights, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if need > 0.8 * have:
        raise InputError(
            f"network: {layout.features:,} columns make a network of {weights:,} weights, which needs about "
            f"{need / 2**30:.0f} GB to train; this machine has {have / 2**30:.0f} GB. Give it smaller layers, such as "
            "network=Dense((64,)), or smaller rows (images: resize or crop them)"
        )


def described(parts: Parts | Composition) -> str:
    """What tells one fit's parts from another's."""
    if isinstance(parts, Parts):
        return repr(parts)
    return repr({name: tuple(value.shape) for name, value in parts.state_dict().items()})


def code_size_of(composition: Composition, feed: Feed) -> int:
    with torch.no_grad():
        return int(composition.represent(next(feed.batches(feed.train[:1], 1))).shape[1])


def slides(parts: Parts | Composition) -> bool:
    """Whether the network's weights are the same at every place of a row."""
    return getattr(getattr(parts, "network", None), "slides", False)


def any_length(parts: Parts | Composition) -> bool:
    """Whether the network takes sequences of any length, so that a batch may end with its longest."""
    return getattr(getattr(parts, "network", None), "any_length", False)


def rows_at_once(features: int, slides: bool = False) -> int:
    """Rows per pass when nothing is learnt: enough to be fast, few enough to stay in the cache, where maps of many
    filters take far more room than the rows."""
    return int(min(8192, max(16, 2 ** (17 if slides else 19) // features)))
