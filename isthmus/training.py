"""The loop: plain code that makes a composition's objective small, readable from top to bottom.

while not done: for batch in epoch: state, terms = step(state, batch);  look at the held-out rows
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checkpoints import OUT_OF_TIME, Plan, Saver, State
from isthmus.composition import Composition
from isthmus.data.batches import batches
from isthmus.data.scaling import Scaling
from isthmus.data.sources import Source, stretches
from isthmus.errors import TrainingError
from isthmus.parts.networks.modules import Unaware
from isthmus.progress import Progress
from isthmus.records import Batch, Pass
from isthmus.threads import one_thread

CACHE_BYTES = 256 * 2**20
"""Scaled rows up to this size are kept in memory; above, every batch is scaled on its way."""

START_ROWS = 2048
"""Rows that a bottleneck may set itself up from before the first step."""

SMALL_STEP = 5e7
"""Floating-point operations of one step below which a single thread is faster than several."""


CLIP = 10.0
"""A gradient longer than this many times the usual length is shortened to it."""


class Feed:
    """Scaled batches of a source: what the loop reads.

    Parameters
    ----------
    source, scaling : the rows, and how they are scaled.
    train, held_out : row numbers, sorted.
    at_once : rows that are looked at together where nothing is learnt.
    row_weight : (rows,) weights with mean 1 over the training rows, or None.
    given : (rows, conditions) float32, what each row is given, or None.
    labels : (rows,) int64, the number of each row's class, -1 = not known, or None.
    shown : the noisy twins of the rows, scaled as they are, or None.
    trims : training batches of sequences are cut to the longest among them.
    cells_at_once : cells that are looked at together where nothing is learnt.
    """

    def __init__(
        self,
        source: Source,
        scaling: Scaling,
        train: np.ndarray,
        held_out: np.ndarray,
        row_weight: np.ndarray | None = None,
        device: str = "cpu",
        given: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        shown: Source | None = None,
        trims: bool = False,
        cells_at_once: int = 2**22,
    ) -> None:
        self.source, self.scaling, self.device = source, scaling, device
        self.shown, self.trims = shown, trims
        self.lengths = None if source.lengths is None else torch.from_numpy(source.lengths)
        self.given = None if given is None else torch.from_numpy(given)
        self.labels = None if labels is None else torch.from_numpy(labels)
        self.train, self.held_out = train, held_out
        self.row_weight = None if row_weight is None else torch.from_numpy(row_weight.astype(np.float32))
        # Looked at after every epoch. Without held-out rows some training rows are: for the record, and `target`.
        self.watched = held_out if len(held_out) else train[:: max(1, len(train) // 1000)]
        self.at_once = max(16, min(4096, cells_at_once // source.layout.features))
        self.cached: Tensor | None = None
        self.cached_watched: tuple[Tensor, Tensor | None] | None = None
        self.cached_shown: Tensor | None = None
        if source.random_access and source.rows * source.layout.features * 4 <= CACHE_BYTES:
            self.cached = self.scaled(source)
            self.cached_shown = None if shown is None else self.scaled(shown)

    def scaled(self, source: Source) -> Tensor:
        """All rows of a source."""
        pieces = (source.read(a, b) for a, b in stretches(source.rows, self.at_once))
        return torch.cat([self.scaling.forward(piece) for piece in pieces])

    def batches(
        self, rows: np.ndarray, batch_size: int, seed: int | None = None, epoch: int = 0, skip: int = 0
    ) -> Iterator[Batch]:
        """The rows in batches; in order without a seed, else shuffled by (seed, epoch)."""
        if self.cached is not None:
            random = None if seed is None else np.random.default_rng((seed, epoch))
            order = rows if random is None else random.permutation(rows)
            if random is not None and self.trims and self.source.lengths is not None:
                order = of_like_length(order, self.source.lengths, batch_size, random)
            numbers = torch.from_numpy(order)
            for start in range(skip * batch_size, len(order), batch_size):
                some = numbers[start : start + batch_size]
                x, cells = self.cached.index_select(0, some), as_cells(self.source.weight(some.numpy()))
                yield self.batch(x, cells, some, self.trims and seed is not None)
        else:
            for raw, chosen in batches(self.source, rows, batch_size, seed=seed, epoch=epoch, skip=skip):
                x, cells = self.scaling.forward(raw), as_cells(self.source.weight_of(raw, chosen))
                yield self.batch(x, cells, torch.from_numpy(chosen), self.trims and seed is not None)

    def watched_batches(self) -> Iterator[Batch]:
        """The watched rows in large batches, from memory where they fit: they lie scattered over all the data."""
        fits = len(self.watched) * self.source.layout.features * 4 <= CACHE_BYTES
        if self.cached is not None or not fits:
            yield from self.batches(self.watched, self.at_once)
            return
        if self.cached_watched is None:
            found = list(self.batches(self.watched, self.at_once))
            weights = [batch.weight for batch in found if batch.weight is not None]
            self.cached_watched = torch.cat([batch.x for batch in found]), torch.cat(weights) if weights else None
        x, cells = self.cached_watched
        for start in range(0, len(self.watched), self.at_once):
            some = slice(start, start + self.at_once)
            yield self.batch(x[some], None if cells is None else cells[some], torch.from_numpy(self.watched[some]))

    def batch(self, x: Tensor, cells: Tensor | None, rows: Tensor, trimmed: bool = False) -> Batch:
        """The scaled rows with these numbers, ``cells`` the weights of their cells."""
        row_weight, given, labels, lengths = (
            None if values is None else values[rows]
            for values in (self.row_weight, self.given, self.labels, self.lengths)
        )
        shown = self.twins(rows)
        if trimmed and lengths is not None:
            longest = int(lengths.max())
            x, cells = x[:, :longest], None if cells is None else cells[:, :longest]
            shown = None if shown is None else shown[:, :longest]
        if cells is not None:
            x = x * cells
        there = (cells, row_weight, given, lengths, rows, labels, shown)
        moved = (None if values is None else values.to(self.device) for values in there)
        return Batch(x.to(self.device), self.source.layout, *moved)

    def twins(self, rows: Tensor) -> Tensor | None:
        """What the encoder is shown of these rows in their place."""
        if self.shown is None or self.cached_shown is not None:
            return None if self.cached_shown is None else self.cached_shown.index_select(0, rows)
        return self.scaling.forward(self.shown.take(rows.numpy()))


def as_cells(weight: np.ndarray | None) -> Tensor | None:
    return None if weight is None else torch.from_numpy(weight)


ALIKE = 16
"""Batches whose rows are sorted by length among themselves."""


def of_like_length(order: np.ndarray, lengths: np.ndarray, batch_size: int, random: np.random.Generator) -> np.ndarray:
    """The rows of ``order``, those of a batch of about one length, so that little of it is padding.

    Whole batches are shuffled among themselves afterwards; one that is not full stays the last.
    """
    pieces = []
    for start in range(0, len(order), ALIKE * batch_size):
        some = order[start : start + ALIKE * batch_size]
        pieces.append(some[np.argsort(lengths[some], kind="stable")])
    sorted_rows, whole = np.concatenate(pieces), len(order) // batch_size * batch_size
    shuffled = random.permutation(sorted_rows[:whole].reshape(-1, batch_size)).reshape(-1)
    return np.concatenate([shuffled, sorted_rows[whole:]])


@dataclass(frozen=True)
class Figures:
    """The held-out rows, looked at.

    ``cost`` is the mean cost at the final rates and the best scale of the loss, without penalties; ``scale``
    that best scale; ``error`` the root of the mean squared error per cell, in the units of `Scaling.unit`.
    """

    cost: float
    error: float
    scale: Tensor | None


def step(state: State, batch: Batch, pass_: Pass, learning_rate: float) -> tuple[State, dict[str, Tensor]]:
    """One step downhill: the kernel that every way of training shares."""
    composition, optimiser = state.composition, state.optimiser
    with precision(batch.x.device):
        trace = composition.trace(batch, pass_)
        objective, terms = composition.objective(trace)
    for weights in state.parameters:
        weights.grad = None
    objective.backward()
    shorten(state, objective.detach(), terms, batch)
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    optimiser.step()
    with torch.no_grad():
        composition.after_step(trace, terms)
    state.steps += 1
    return state, terms


def shorten(state: State, objective: Tensor, terms: dict[str, Tensor], batch: Batch) -> None:
    """Clip a gradient that is far longer than usual, and stop where it is no longer a number.

    What is usual is learnt, because costs in nats differ by orders of magnitude between data sets. Measuring the
    gradient takes 4 % of a step, so it is done in the first steps, in every tenth, and after a surprising cost.
    """
    gradients = [weights.grad for weights in state.parameters if weights.grad is not None]
    if objective.device.type != "cpu":
        shorten_there(state, gradients, torch.nn.utils.get_total_norm(gradients))
        return
    value, share = float(objective), 1 / min(state.steps + 1, 50)
    surprise = value - state.usual_cost
    expected = state.steps >= 10 and surprise <= 3 * state.usual_spread
    state.usual_cost += share * surprise
    state.usual_spread += share * (abs(surprise) - state.usual_spread)
    if expected and state.steps % 10:
        return
    length = float(torch.nn.utils.get_total_norm(gradients))
    if not math.isfinite(length):
        raise TrainingError(not_a_number(state, terms, batch))
    usual = float(state.usual_norm) if state.steps >= 10 else math.inf
    if length > CLIP * usual:
        torch._foreach_mul_(gradients, CLIP * usual / length)
        length = CLIP * usual
    state.usual_norm += (length - state.usual_norm) / min(state.steps + 1, 10)


def shorten_there(state: State, gradients: list[Tensor], norm: Tensor) -> None:
    """The same on a device, without waiting for it; that a cost is no number is seen at the end of the epoch."""
    usual = torch.as_tensor(state.usual_norm, device=norm.device, dtype=norm.dtype)
    if state.steps >= 10:
        torch._foreach_mul_(gradients, (CLIP * usual / norm).clamp(max=1.0))
        norm = torch.minimum(norm, CLIP * usual)
    state.usual_norm = usual + (norm - usual) / min(state.steps + 1, 50)


def precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 matrix products on a GPU; float32 elsewhere, where bfloat16 is slow."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()


def evaluate(composition: Composition, feed: Feed, seed: int) -> Figures:
    """Look at the watched rows without learning from them."""
    cost, loss, cells, squares, count = 0.0, 0.0, 0.0, 0.0, 0.0
    generator = torch.Generator(feed.device).manual_seed(seed)
    unit = torch.from_numpy(feed.scaling.unit.astype(np.float32)).to(feed.device).reshape(feed.source.layout.shape)
    composition.eval()
    with torch.no_grad():
        for batch in feed.watched_batches():
            trace = composition.trace(batch, Pass(generator, rows=len(feed.train)))
            losses = composition.losses(trace)
            costs = composition.combined(losses, trace)
            weight = torch.ones_like(costs) if batch.row_weight is None else batch.row_weight
            if trace.code.draws:  # which differ: in place of any of them, the code that stands for the row
                mean = composition.rebuild(trace.code.point, trace.context)
            else:
                mean = composition.loss.mean(trace.out, trace.context)
            row_squares = mean_square(composition.cell_errors(mean, batch.x) * unit.square(), batch.weight)
            losses = composition.over_draws(losses, trace)
            sums = torch.stack([(v * weight).sum(dtype=torch.float64) for v in (costs, losses, row_squares)]).tolist()
            cost, loss, squares = cost + sums[0], loss + sums[1], squares + sums[2]
            mass = float(weight.sum())
            cells += trace.mean_cells * mass
            count += mass
    composition.train()
    count = count or 1.0
    cost, loss, rmse = cost / count, loss / count, math.sqrt(squares / count)
    scale = None
    # At another scale draws would count otherwise, where they do not simply add up: then it stays as it is.
    if hasattr(composition.loss, "best") and not hasattr(composition.bottleneck, "combine"):
        scale, best = composition.loss.best(torch.tensor(loss, dtype=torch.float64), cells / count)
        cost += float(best) - loss
    return Figures(cost, rmse, scale)


def mean_square(squares: Tensor, weight: Tensor | None) -> Tensor:
    """(n,) the mean of the squared errors of a row's cells that are not missing."""
    if weight is None:
        return squares.flatten(1).mean(1)
    return (squares * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1e-12)


def train(
    composition: Composition,
    feed: Feed,
    plan: Plan,
    *,
    progress: Progress | None = None,
    title: str = "training",
    resume: bool = False,
    identity: dict[str, Any] | None = None,
) -> State:
    """Fit ``composition`` (in place) and return the final state; its best weights are restored.

    Parameters
    ----------
    identity : JSON data that says what is being fitted on what; a checkpoint of anything else is refused.

    Raises
    ------
    TrainingError : the cost is no longer a number, or the checkpoint belongs to something else.
    """
    progress = progress or Progress()
    composition.train().to(feed.device)
    with settings(composition, plan):
        state = begin(composition, plan, feed)
        saver = Saver(plan, identity)
        if not (resume and saver.load(state)):
            saver.forget()
            if len(feed.train):
                # More rows than a batch: codebooks are begun from them.
                composition.start(next(feed.batches(feed.train, max(plan.batch_size, START_ROWS), plan.seed)))
            look(state, feed, plan)
        began, deadline = time.monotonic() - state.seconds, time.monotonic() + plan.max_time
        progress.start(title, plan.epochs)
        try:
            while not state.stopped:
                run_epoch(state, feed, plan, saver, progress, began, deadline)
                if state.stopped:
                    break
                state.epoch, state.position = state.epoch + 1, 0
                state.seconds = time.monotonic() - began
                look(state, feed, plan)
                progress.epoch({name: values[-1] for name, values in state.history.items()})
            if state.best:
                composition.load_state_dict(state.best)
            # Out of time: the checkpoint made then goes on from the middle of the epoch, so it is left as it is.
            if OUT_OF_TIME not in state.stopped:
                saver.save(state)
        finally:
            composition.eval()
            progress.close(state.stopped or "interrupted")
    return state


def begin(composition: Composition, plan: Plan, feed: Feed) -> State:
    """A state before the first step."""
    decayed: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, weights in composition.named_parameters():
        if weights.requires_grad:
            # Biases, norms, linear paths, priors: they say where the data lies, and how large it is; nothing to shrink.
            plain = weights.ndim < 2 or ".path." in name or ".prior." in name
            (others if plain else decayed).append(weights)
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=plan.learning_rate, fused=True)
    return State(composition, optimiser, torch.Generator(feed.device).manual_seed(plan.seed), decayed + others)


def run_epoch(
    state: State, feed: Feed, plan: Plan, saver: Saver, progress: Progress, began: float, deadline: float
) -> None:
    """One time through the training rows, from wherever the state stands."""
    steps = max(1, math.ceil(len(feed.train) / plan.batch_size))
    for batch in feed.batches(feed.train, plan.batch_size, plan.seed, state.epoch, state.position):
        epoch = state.epoch + state.position / steps
        pass_ = Pass(state.generator, epoch, training=True, rows=len(feed.train))
        state, terms = step(state, batch, pass_, plan.rate(state.epoch + (state.position + 0.5) / steps))
        for name, value in terms.items():
            state.sums[name] = state.sums.get(name, 0.0) + value.double() * len(batch)
        state.position += 1
        state.seconds = time.monotonic() - began
        progress.step(state.epoch + state.position / steps)
        if time.monotonic() > deadline:
            saver.save(state)
            state.stopped = f"stopped after {state.seconds:.0f} s {OUT_OF_TIME}, in epoch {state.epoch + 1}"
            finish_partly(state, feed, plan)
            return
        saver.save_now_and_then(state)


def one_pass(state: State, feed: Feed, plan: Plan, number: int) -> dict[str, float]:
    """One time through the rows at a constant learning rate; gives the means of the objective's terms."""
    sums: dict[str, float] = {}
    with settings(state.composition, plan):
        for batch in feed.batches(feed.train, plan.batch_size, plan.seed, number):
            pass_ = Pass(state.generator, float(number), training=True, rows=len(feed.train))
            _, terms = step(state, batch, pass_, plan.learning_rate)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch) / len(feed.train)
    return sums


def finish_partly(state: State, feed: Feed, plan: Plan) -> None:
    """Time ran out within an epoch: look once more, so that the steps since the last look count."""
    reason = state.stopped
    state.epoch += 1
    look(state, feed, plan)
    state.stopped = reason


def look(state: State, feed: Feed, plan: Plan) -> None:
    """Write a line of history, keep the best weights, and decide whether to go on."""
    figures = evaluate(state.composition, feed, plan.seed)
    # Out of time within an epoch: only the rows seen since the last look stand in the sums.
    seen = min(state.position * plan.batch_size, len(feed.train)) if state.position else len(feed.train)
    epoch = state.epoch + seen / len(feed.train) if state.position else float(state.epoch)
    nan = math.nan
    line = {
        "epoch": epoch,
        "cost": nan,
        **{name: float(value) / seen for name, value in state.sums.items()},
        "valid_cost": figures.cost if len(feed.held_out) else nan,
        "valid_rmse": figures.error if len(feed.held_out) else nan,
        "rmse": nan if len(feed.held_out) else figures.error,
        "learning_rate": plan.rate(epoch),
        "seconds": state.seconds,
    }
    if not all(math.isfinite(float(value)) for value in state.sums.values()):
        raise TrainingError(f"the cost is no longer a finite number after epoch {state.epoch}: lower learning_rate")
    past = len(next(iter(state.history.values()), []))
    for name in {**line, **state.history}:
        state.history.setdefault(name, [nan] * past).append(line.get(name, nan))
    sums, state.sums = state.sums, {}
    # What is compared is the held-out cost and the epoch's penalties: without them, the early states of a strongly
    # penalised kind, which rebuild better and are not yet what was asked for, would win. An epoch before the
    # schedules' end, or without penalties to compare by, counts for nothing. Adversaries play a game in which a small
    # term is no merit: they are left out.
    terms = state.composition.penalty_terms.items()
    penalties = sum(line[name] for name, penalty in terms if name in sums and not hasattr(penalty, "adversary"))
    compared = figures.cost + penalties
    ready = state.epoch >= state.composition.warm_epochs and (bool(sums) or not state.composition.penalties)
    # Nor does the cost say how well classes are told, which goes on improving after it: the last state is kept.
    classes = getattr(state.composition.bottleneck, "reads_labels", False)
    better = compared < state.best_cost or not len(feed.held_out) or classes
    if not ready or better or not state.best:
        state.best_cost = compared if ready else math.inf
        state.best_epoch = state.epoch
        state.best = {name: value.detach().clone() for name, value in state.composition.state_dict().items()}
        if figures.scale is not None and "loss.variance" in state.best:
            state.best["loss.variance"] = figures.scale.to(state.best["loss.variance"])
    if plan.target and figures.error <= plan.target:
        state.stopped = f"stopped after epoch {state.epoch}: the error of {figures.error:.4g} reached the target"
    elif plan.patience and ready and state.epoch - state.best_epoch >= plan.patience:
        state.stopped = (
            f"stopped after epoch {state.epoch}: the held-out cost has not fallen since epoch {state.best_epoch}"
        )
    elif state.epoch >= plan.epochs:
        state.stopped = f"finished {state.epoch} epoch{'s' if state.epoch != 1 else ''}" + (
            f"; the best held-out cost was in epoch {state.best_epoch}" if state.best_epoch != state.epoch else ""
        )


def not_a_number(state: State, terms: dict[str, Tensor], batch: Batch) -> str:
    """What to say when the gradient is no longer a number: which term, which layer, and why, probably."""
    bad_terms = [name for name, value in terms.items() if not math.isfinite(float(value))]
    layers = [n for n, p in state.composition.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    weights = [name for name, p in state.composition.named_parameters() if not p.isfinite().all()]
    largest = float(batch.x.abs().max())
    if not math.isfinite(largest):
        cause = "the batch itself holds NaN or infinity"
    elif largest > 1e4:
        cause = f"a value {largest:.3g} standard deviations from the mean; look for outliers or try scale='standard'"
    elif weights:
        cause = f"the weights of {weights[0]} were already lost; the learning rate is probably too high"
    else:
        cause = "the learning rate is probably too high; try learning_rate a tenth of it"
    return (
        f"training stopped at step {state.steps + 1} (epoch {state.epoch + 1}): "
        f"{'the term ' + bad_terms[0] if bad_terms else 'the gradient'} is not a finite number, "
        f"first in the gradient of {layers[0] if layers else 'no layer'}. Likely cause: {cause}."
    )


@contextlib.contextmanager
def settings(composition: Composition, plan: Plan) -> Iterator[None]:
    """Threads chosen for the size of the work, and a forked global generator for users' modules.

    Both are as before afterwards.
    """
    weights = sum(p.numel() for p in composition.parameters())
    # Of convolutions and recurrent layers every weight works many times per row.
    often = any(isinstance(module, (nn.modules.conv._ConvNd, nn.RNNBase)) for module in composition.modules())
    small = 6.0 * weights * plan.batch_size < SMALL_STEP and not often
    foreign = any(isinstance(module, Unaware) for module in composition.modules())
    with contextlib.ExitStack() as stack:
        if foreign:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.manual_seed(plan.seed)
        if small:
            stack.enter_context(one_thread())
        yield
