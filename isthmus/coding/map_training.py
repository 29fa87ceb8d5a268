"""Learning a `MapModel`: which channels tell of one another, what is expected by least squares, and the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import NamedTuple

import numpy as np
import torch

from isthmus.coding.grid import GridModel
from isthmus.coding.grid_training import fit_grid, logits, started
from isthmus.coding.map_context import (
    INPUTS,
    MAGNITUDES,
    MOST_WEIGHT,
    PHASES,
    POINT,
    RELATED,
    SIGNED,
    Known,
    MapContext,
)
from isthmus.coding.map_model import MapModel, limits, of_phase
from isthmus.coding.passes import Order
from isthmus.coding.tokens import Residuals
from isthmus.coding.whole import WholeNetwork, whole_network

BATCH = 2048
RATE, DECAY = 4e-3, 1e-3

QUIET = 0.15
"""The share of elements with nothing around them that is learnt from, each counted so much more."""

MOST_EXAMPLES = 1_500_000

GATHERING, FIRST_SHARE, LAST_SHARE = 0.25, 0.25, 0.25
"""Of the time: for looking at codes, at most; for the first channels; for the network of the others, at least."""

FEWEST = 4
"""Codes that are looked at, however long it takes."""


class Coded(NamedTuple):
    """One picture's code: whole numbers (h, w, size), and its level."""

    ints: np.ndarray
    level: int


class Examples(NamedTuple):
    """Elements: values (e, `SIGNED`) and sums around them, what they are, (channel, phase, level), and weights."""

    signed: np.ndarray
    sums: np.ndarray
    there: np.ndarray
    told: np.ndarray
    weight: np.ndarray


def fit_maps(
    coded: Sequence[Coded],
    firsts: int,
    *,
    hidden: Sequence[int] = (48, 48),
    seconds: float,
    steps: int = 10**9,
    random_state: int = 0,
    device: str = "cpu",
) -> MapModel:
    """Learn to code codes that are like these.

    Parameters
    ----------
    coded : of pictures of any size, at all levels that will be used.
    firsts : channels that lie before all others, with the means of cells.
    hidden : one or more, units of the network's hidden layers.
    seconds : that its networks may be trained for.
    steps : of the network's optimiser, at most.
    device : of PyTorch, on which the network of all channels but the first is trained.
    """
    generator, begin = np.random.default_rng(random_state), monotonic()
    size = coded[0].ints.shape[2]
    related = related_channels(coded, firsts)
    none = MapContext(
        firsts,
        related,
        np.zeros((size, len(PHASES), MAGNITUDES), dtype=np.int64),
        np.zeros((size, len(PHASES), SIGNED), dtype=np.int64),
    )
    examples = gathered(coded, none, generator, seconds * GATHERING)
    context = expecting(examples, none)
    buckets = Residuals.of(exact=10, reach=2**12)
    first = first_model(coded, firsts, seconds * FIRST_SHARE, random_state)
    left = max(seconds - (monotonic() - begin), seconds * LAST_SHARE)
    network = trained(examples, context, buckets, tuple(hidden), left, steps, random_state, device)
    return MapModel(context, first, buckets, network)


def related_channels(coded: Sequence[Coded], firsts: int) -> np.ndarray:
    """(size, `RELATED`) the earlier channels whose magnitudes go most with each one's."""
    some = np.concatenate([part.ints.reshape(-1, part.ints.shape[2]) for part in coded[:100]])
    size = some.shape[1]
    found = np.full((size, RELATED), size, dtype=np.int64)
    alike = np.corrcoef(np.minimum(np.abs(some), 8).T + 1e-3 * np.random.default_rng(0).random(some.T.shape))
    for channel in range(firsts + 1, size):
        best = firsts + np.argsort(-alike[channel, firsts:channel], kind="stable")[:RELATED]
        found[channel, : len(best)] = best
    return found


def gathered(coded: Sequence[Coded], context: MapContext, generator: np.random.Generator, seconds: float) -> Examples:
    """Elements of all codes, or as many as are enough, or as many as there is time for."""
    elements, begin = sum(part.ints.size for part in coded), monotonic()
    share = min(1.0, MOST_EXAMPLES / (0.5 * elements))
    parts: list[Examples] = []
    for part in coded:
        if len(parts) >= FEWEST and monotonic() - begin > seconds:
            break
        parts.append(examples_of(part, context, generator, share))
    return Examples(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def examples_of(coded: Coded, context: MapContext, generator: np.random.Generator, share: float) -> Examples:
    """Elements of one code: a share of those with something around them, and fewer of the others."""
    size = coded.ints.shape[2]
    known = Known((1, *coded.ints.shape[:2]), context)
    found: list[tuple[np.ndarray, ...]] = []
    for channel in range(size):
        for phase in range(len(PHASES)):
            there = of_phase(coded.ints[None], channel, phase).reshape(-1)
            if channel >= context.firsts and coded.ints[:, :, channel].any():
                signed, sums = known.around(channel, phase)
                loud = np.any(signed[:, : SIGNED - 4] != 0, axis=1)
                kept = generator.random(len(there)) < np.where(loud, share, share * QUIET)
                told = np.tile(np.array([channel, phase, coded.level], dtype=np.int16), (int(kept.sum()), 1))
                weight = np.where(loud[kept], 1.0, 1 / QUIET).astype(np.float32)
                found.append((signed[kept].astype(np.int16), sums[kept].astype(np.int32), there[kept], told, weight))
            known.put(channel, phase, there)
        known.finish(channel)
    if not found:
        nothing = np.zeros((0, SIGNED), np.int16), np.zeros((0, MAGNITUDES - SIGNED), np.int32), np.zeros(0, np.int64)
        return Examples(*nothing, np.zeros((0, 3), np.int16), np.zeros(0, np.float32))
    return Examples(*(np.concatenate(fields) for fields in zip(*found, strict=True)))


def expecting(examples: Examples, context: MapContext) -> MapContext:
    """The context with weights by least squares, each element counted by how little is expected of it."""
    magnitudes, values = context.magnitudes.copy(), context.values.copy()
    place = examples.told[:, 0].astype(np.int64) * len(PHASES) + examples.told[:, 1]
    order = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place, minlength=context.size * len(PHASES)))
    for number, chosen in enumerate(np.split(order, ends[:-1])):
        if len(chosen) < 4 * MAGNITUDES:
            continue
        channel, phase = divmod(number, len(PHASES))
        signed = examples.signed[chosen].astype(np.float64)
        inputs = np.concatenate([np.abs(signed), examples.sums[chosen]], axis=1)
        there = np.clip(examples.there[chosen], -1024, 1024).astype(np.float64)
        weight = examples.weight[chosen] / (0.1 + np.abs(signed[:, : SIGNED - 4]).mean(1)) ** 2
        magnitudes[channel, phase] = solved(inputs, np.abs(there), weight)
        values[channel, phase] = solved(signed, there, weight)
    return MapContext(context.firsts, context.related, magnitudes, values)


def solved(inputs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Whole weights of weighted least squares, in units of 2**-`POINT`."""
    weighted = inputs * weight[:, None]
    gram = weighted.T @ inputs
    gram += np.diag(0.01 * np.diag(gram) + 1e-3 * np.trace(gram) / len(gram) + 1e-9)
    found = np.linalg.solve(gram, weighted.T @ target) * 2**POINT
    return np.rint(found * min(1.0, 0.99 * MOST_WEIGHT / max(np.abs(found).sum(), 1.0))).astype(np.int64)


def first_model(coded: Sequence[Coded], firsts: int, seconds: float, seed: int) -> GridModel:
    """The model of the first channels, from codes of one size: those of the most frequent one."""
    shapes = [part.ints.shape[:2] for part in coded]
    most = max(set(shapes), key=shapes.count)
    some = np.stack([part.ints[:, :, :firsts] for part in coded if part.ints.shape[:2] == most])
    order = Order("interlaced", axes=2, channels=firsts if firsts > 1 else 0, neighbours=16)
    ints = some if firsts > 1 else some[..., 0]
    return fit_grid(ints, order, context="residuals", hidden=(32, 32), max_time=seconds, random_state=seed)


def trained(
    examples: Examples,
    context: MapContext,
    buckets: Residuals,
    hidden: tuple[int, ...],
    seconds: float,
    steps: int,
    seed: int,
    device: str,
) -> WholeNetwork:
    """The network, in whole numbers."""
    largest, scale = limits(context.size)
    features = all_features(examples, context).to(device)
    symbols = torch.from_numpy(buckets.split(examples.there)[0]).to(device)
    told = torch.from_numpy(examples.told[:, :2].astype(np.int64)).to(device)
    told[:, 0] += INPUTS
    told[:, 1] += INPUTS + context.size
    weight = torch.from_numpy(examples.weight).to(device)
    sizes = torch.from_numpy(scale[:INPUTS]).float().to(device)
    generator = torch.Generator().manual_seed(seed)
    layers = started((len(largest), *hidden, buckets.size), generator)
    layers = [layer.detach().to(device).requires_grad_() for layer in layers]
    with torch.no_grad():
        layers[0][INPUTS:] *= 0.1
    optimiser = torch.optim.AdamW(layers, lr=RATE, weight_decay=DECAY, fused=True)
    begin, step, done = monotonic(), 0, 0.0
    batches: Iterator[torch.Tensor] = iter(())
    while done < 1:
        if (batch := next(batches, None)) is None:
            batches = iter(torch.randperm(len(symbols), generator=generator).to(device).split(BATCH))
            continue
        optimiser.param_groups[0]["lr"] = RATE * max(1 - done, 0.003)
        optimiser.zero_grad()
        x = features[batch].float() * sizes
        units = x @ layers[0][:INPUTS] + layers[0][told[batch]].sum(1) + layers[1]
        out = logits(layers[2:], units.relu())
        cost = torch.nn.functional.cross_entropy(out, symbols[batch], reduction="none")
        (cost * weight[batch]).mean().backward()
        optimiser.step()
        step += 1
        done = max(step / steps, (monotonic() - begin) / seconds)
    pairs = [
        (w.detach().double().cpu().numpy(), b.detach().double().cpu().numpy())
        for w, b in zip(layers[::2], layers[1::2], strict=True)
    ]
    return whole_network(pairs, largest, scale)


def all_features(examples: Examples, context: MapContext) -> torch.Tensor:
    """(e, `INPUTS`) int16."""
    found = np.empty((len(examples.there), INPUTS), dtype=np.int16)
    place = examples.told[:, 0].astype(np.int64) * len(PHASES) + examples.told[:, 1]
    order = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place, minlength=context.size * len(PHASES)))
    for number, chosen in enumerate(np.split(order, ends[:-1])):
        if len(chosen):
            channel, phase = divmod(number, len(PHASES))
            signed, sums = examples.signed[chosen].astype(np.int64), examples.sums[chosen]
            found[chosen] = context.read(signed, sums, channel, phase, 0)
            found[chosen, -1] = examples.told[chosen, 2]
    return torch.from_numpy(found)
