"""Learning a `GridModel`: predictors by weighted least squares, then one small network after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from time import monotonic

import numpy as np
import torch

from isthmus.checks import check_whole, is_real, listed
from isthmus.coding.closed_loop import fit_loop
from isthmus.coding.contexts import ResidualContext, ValueContext
from isthmus.coding.entropy import whole
from isthmus.coding.grid import GridModel, extra_limits
from isthmus.coding.grid_samples import Source, fewer
from isthmus.coding.number_kinds import Numbers
from isthmus.coding.passes import Order, plan_of
from isthmus.coding.predictors import predictors, residual_buckets
from isthmus.coding.rounding import OPEN, closed
from isthmus.coding.tokens import Buckets, Values
from isthmus.coding.whole import WholeNetwork, whole_network
from isthmus.errors import InputError
from isthmus.threads import load_optimisers

Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

BATCH, SMALL_BATCH = 2048, 512
"""Elements of a step, where very many are drawn anew, and where they are drawn once."""

ROUND = 2**17
"""Elements that are drawn at a time; where there are no more than twice as many, they are drawn once."""

SAMPLED = 2**21
"""Elements that tell the buckets of values."""

HELD_OUT = 2**15
"""Elements that tell which round was the best."""

FEWEST, A_SECOND = 2**17, 2**20
"""Elements that are learnt from even in a short time, and for each second of it."""

LEFT = 0.5
"""Of the time, at least, for the networks."""

FARTHEST = 2**31
"""Values that mean something by themselves are less than so much apart."""

FEWEST_STEPS = 1200
RATE = 4e-3
DECAY = 1e-3


def fit_grid(
    ints: np.ndarray,
    order: Order,
    *,
    numbers: Sequence[Numbers] = OPEN,
    context: str = "auto",
    position: bool | None = None,
    hidden: Sequence[int] = (64, 64),
    buckets: int = 40,
    epochs: float = 3.0,
    max_time: float = 120.0,
    random_state: int = 0,
) -> GridModel:
    """Learn to code grids of whole numbers that are like these.

    Parameters
    ----------
    ints : shape (n, *grid), int64; rows know nothing of each other.
    order : of the elements: a wave for many small pictures, interlaced for fields and series.
    numbers : what rounds the elements when they are coded, of all or of each channel.
    context : "values", where values mean something by themselves (few of them, or one that is frequent),
        "residuals" for quantities and for what is rounded, "auto" to tell by the data.
    position : whether the place in the grid tells something; the model is then for this shape alone. None = for waves.
    hidden : units of the networks' hidden layers.
    buckets : of values, at most; those of residuals follow from how far they reach.
    epochs : how often each element is seen on average, > 0; small data are seen more often.
    max_time : seconds that training may take, > 0.
    random_state : seed; the same seed and time enough, the same model.

    Returns
    -------
    GridModel

    Raises
    ------
    InputError : an argument cannot be used, or there is no element.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> walks = rng.integers(-2, 3, (8, 200)).cumsum(1)
    >>> model = fit_grid(walks, Order("interlaced", axes=1, neighbours=4), hidden=(8,), epochs=1)
    >>> model.bits(rng.integers(-2, 3, (1, 1000)).cumsum(1)) / 1000 < 3.5
    True
    """
    fixed = order.kind == "wave" if position is None else position
    load_optimisers()
    generator, begin = np.random.default_rng(random_state), monotonic()
    ints = checked(np.asarray(ints), order, context, hidden, epochs, max_time, buckets)
    ints = fewer(ints, generator, fixed, most=int(max(FEWEST, min(max_time, 2.0**32) * A_SECOND)))
    source = Source(ints, plan_of(order, ints.shape[1:]), fixed, generator, numbers)
    read: ValueContext | ResidualContext
    if context == "values" or (context == "auto" and not closed(numbers) and means_values(ints)):
        some = sample(ints, generator)
        read = ValueContext.fit(some, source.neighbours)
        found: Buckets = Values.fit(some, most=buckets)
    else:
        read = fit_loop(source) if closed(numbers) else ResidualContext(predictors(source), source.neighbours)
        found = residual_buckets(source, read)
    networks = []
    total = sum(source.population(number) for number in range(len(order.offsets)))
    done = 0
    for number in range(len(order.offsets)):
        population = source.population(number)
        left = max(max_time - (monotonic() - begin), LEFT * max_time * (total - done) / max(total, 1))
        seconds = left * population / max(total - done, 1)
        networks.append(made(*learnt(source, read, found, number, tuple(hidden), epochs, seconds, random_state)))
        done += population
    return GridModel(order, ints.shape[1:] if fixed else None, read, found, tuple(networks))


def checked(
    ints: np.ndarray,
    order: Order,
    context: str,
    hidden: Sequence[int],
    epochs: float,
    max_time: float,
    buckets: int,
) -> np.ndarray:
    """The data as int64, after a look at all arguments."""
    ints = whole("ints", ints, order.axes + bool(order.channels) + 1).astype(np.int64, copy=False)
    if ints.size == 0:
        raise InputError(f"ints: there must be an element to learn from; got the shape {ints.shape}")
    if context not in ("auto", "values", "residuals"):
        raise InputError(f"context must be one of {listed(['auto', 'values', 'residuals'])}; got {context!r}")
    for width in hidden:
        check_whole("fit_grid", hidden=width)
    check_whole("fit_grid", least=2, buckets=buckets)
    for name, value in {"epochs": epochs, "max_time": max_time}.items():
        if not is_real(value) or not value > 0:
            raise InputError(f"{name} must be a number > 0; got {value!r}")
    if context == "values" and int(ints.max()) - int(ints.min()) >= FARTHEST:
        raise InputError("context: 'values' needs whole numbers less than 2**31 apart; use 'residuals'")
    return ints


def sample(ints: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Some of many elements, with all values that there are where they lie close together."""
    if ints.size <= SAMPLED:
        return ints
    some = generator.choice(ints.ravel(), SAMPLED)
    lowest, highest = int(ints.min()), int(ints.max())
    if highest - lowest >= SAMPLED:
        return np.append(some, [lowest, highest])
    return np.append(some, np.flatnonzero(np.bincount((ints - lowest).ravel())) + lowest)


def means_values(ints: np.ndarray) -> bool:
    """Whether values mean something by themselves: there are few, or one of them is frequent and none is far."""
    reach = int(ints.max()) - int(ints.min())
    if reach >= FARTHEST:
        return False
    some = ints.ravel()[:: max(1, ints.size // 2**20)]
    seen, counts = np.unique(some, return_counts=True)
    frequent = counts.max() >= 0.2 * len(some)
    return bool(len(seen) <= 32 or (frequent and reach < 2**12))


def learnt(
    source: Source,
    context: ValueContext | ResidualContext,
    buckets: Buckets,
    number: int,
    hidden: tuple[int, ...],
    epochs: float,
    seconds: float,
    seed: int,
) -> tuple[list[torch.Tensor], np.ndarray, np.ndarray]:
    """Weights and biases of one network, the largest absolute value of its features, and the scale it reads them at."""
    end, population = monotonic() + seconds, source.population(number)
    fixed = () if source.where is not None else None
    pairs = zip(context.limits(number), extra_limits(source.plan.order, fixed), strict=True)
    largest, scale = (np.concatenate(pair) for pair in pairs)

    def draw(count: int) -> Tensors:
        found = source.examples(context, buckets, number, count)
        features = torch.from_numpy(found.features).mul_(torch.from_numpy(scale.astype(np.float32)))
        return features, torch.from_numpy(found.buckets), torch.from_numpy(found.weights)

    generator = torch.Generator().manual_seed(seed + number)
    layers = started((len(largest), *hidden, buckets.size), generator)
    if not population:
        return layers, largest, scale
    few = population <= 2 * ROUND
    held, pool = split(draw(population), generator) if few else (draw(HELD_OUT), None)
    start_at_frequencies(layers[-1], held)
    rounds = max(1, round(epochs * population / (population if few else ROUND)))
    optimiser = torch.optim.AdamW(layers, lr=RATE, weight_decay=DECAY, fused=True)
    with torch.no_grad():
        best = float(cost(layers, held))  # of how frequent each bucket is: a short training must not end above it
    kept, turn = [layer.detach().clone() for layer in layers], 0
    while turn < rounds and (monotonic() < end or turn == 0):
        every = draw(ROUND) if pool is None else pool
        batches = torch.randperm(len(every[1]), generator=generator).split(SMALL_BATCH if few else BATCH)
        rounds = max(rounds, FEWEST_STEPS // len(batches))
        for number_of_batch, batch in enumerate(batches):
            done = (turn + number_of_batch / len(batches)) / rounds
            # The clock has a say only where time runs out before the rounds do.
            left = min(1 - done, (end - monotonic()) / max(0.8 * seconds, 1e-9))
            optimiser.param_groups[0]["lr"] = RATE * max(left, 0.003)
            optimiser.zero_grad()
            cost(layers, [part[batch] for part in every]).backward()
            optimiser.step()
            if monotonic() > end:
                break
        turn += 1
        with torch.no_grad():
            now = float(cost(layers, held))
        if now < best:
            best, kept = now, [layer.detach().clone() for layer in layers]
    return kept, largest, scale


def made(layers: Sequence[torch.Tensor], largest: np.ndarray, scale: np.ndarray) -> WholeNetwork:
    """The network in whole numbers."""
    numbers = [layer.detach().double().numpy() for layer in layers]
    return whole_network(list(zip(numbers[::2], numbers[1::2], strict=True)), largest, scale)


def started(widths: tuple[int, ...], generator: torch.Generator) -> list[torch.Tensor]:
    """Weights and biases of a dense network, to be trained."""
    layers = []
    for inputs, outputs in pairwise(widths):
        weights = torch.randn(inputs, outputs, generator=generator) * (2 / inputs) ** 0.5
        layers += [weights.requires_grad_(), torch.zeros(outputs, requires_grad=True)]
    with torch.no_grad():
        layers[-2] *= 0.1
    return layers


def split(every: Tensors, generator: torch.Generator) -> tuple[Tensors, Tensors]:
    """An eighth of the examples and the rest; of a single one, both."""
    mixed = torch.randperm(len(every[1]), generator=generator)
    held = mixed[: max(1, len(mixed) // 8)]
    rest = mixed[len(held) :] if len(mixed) > 1 else mixed
    first, second = (tuple(part[chosen] for part in every) for chosen in (held, rest))
    return (first[0], first[1], first[2]), (second[0], second[1], second[2])


def cost(layers: Sequence[torch.Tensor], examples: Sequence[torch.Tensor]) -> torch.Tensor:
    """Nats per element, the mean by weight."""
    features, buckets, weights = examples
    each = torch.nn.functional.cross_entropy(logits(layers, features), buckets, reduction="none")
    return (each * weights).sum() / weights.sum()


def start_at_frequencies(bias: torch.Tensor, examples: Tensors) -> None:
    """Let the network begin with how frequent each bucket is, whatever the neighbours."""
    counts = torch.bincount(examples[1], examples[2], minlength=len(bias)).float() + 0.1
    with torch.no_grad():
        bias.copy_((counts / counts.sum()).log())


def logits(layers: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The float network: dense layers with rectified units between."""
    for number in range(0, len(layers), 2):
        x = torch.addmm(layers[number + 1], x if number == 0 else x.relu(), layers[number])
    return x
