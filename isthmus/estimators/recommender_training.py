"""The training of deep recommenders: sparse rows in, a composition out, watched by what held-out users wanted.

while not done: for rows in epoch: state, terms = step(state, batch);  rank for the held-out users
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from isthmus.checkpoints import Plan, State
from isthmus.composition import Composition
from isthmus.estimators.recommender_deep import batch_of, network_scores
from isthmus.ranking import ranked
from isthmus.recommending.splits import Group
from isthmus.records import Batch, Pass
from isthmus.training import settings, step

BATCH_SIZE = 128
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.3
"""Decoupled, per unit of the learning rate."""

EVERY = 2
"""Epochs from one look at the held-out users to the next."""

PATIENCE = 12
"""Epochs without a better look after which training stops."""

AVERAGED = 0.99
"""Weights are averaged over about the last 100 steps: what is kept is that average, which ranks better than any of
its terms."""


@dataclass
class Progressed:
    """How far a training came.

    Attributes
    ----------
    epoch : of the weights that are kept.
    quality : their NDCG@100 for the held-out users; NaN where there are none.
    scores : (users, items) theirs for what is given of the held-out users; None where there are none.
    out_of_time : whether ``max_time`` ended it.
    """

    epoch: int = 0
    quality: float = math.nan
    scores: np.ndarray | None = None
    out_of_time: bool = False


def plan_of(epochs: int, seed: int, rows: int, max_time: float | None) -> Plan:
    """How to train on so many rows: batches are smaller where there are few, so that there are some steps to make."""
    size = max(8, min(BATCH_SIZE, rows // 16))
    limit = math.inf if max_time is None else max_time
    return Plan(epochs, size, LEARNING_RATE, seed, WEIGHT_DECAY, PATIENCE, max_time=limit)


def trained(
    composition: Composition,
    x: scipy.sparse.csr_array,
    plan: Plan,
    held_out: Group | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    from_epoch: int = 0,
) -> Progressed:
    """Train ``composition`` in place on (users, items) histories.

    Parameters
    ----------
    plan : at a constant learning rate, so that fewer epochs are the beginning of more.
    held_out : by whom the best epoch is found, whose weights are kept; None = all epochs, and the last is kept.
    from_epoch : where schedules stand at the beginning: a training goes on where another ended.
    """
    x = scipy.sparse.csr_array(x[np.diff(x.indptr) > 0], dtype=np.float32)  # an empty history teaches nothing
    generator = torch.Generator().manual_seed(plan.seed)
    turns = turns_of(composition, plan, generator)
    average = {name: weights.detach().clone() for name, weights in composition.named_parameters()}
    found, best, deadline = Progressed(), dict(average), time.monotonic() + plan.max_time
    composition.train()
    with settings(composition, plan):
        for epoch in range(1, plan.epochs + 1):
            for place, turn in enumerate(turns):
                seed = (plan.seed, from_epoch + epoch, place)
                found.out_of_time = not turn.run(x, plan, from_epoch + epoch - 1, seed, average, deadline)
                if found.out_of_time:
                    break
            if held_out is None:
                found.epoch = epoch
            elif epoch % EVERY == 0 or epoch == plan.epochs or found.out_of_time:
                if looked(composition, average, held_out, found, epoch):
                    best = {name: weights.clone() for name, weights in average.items()}
                say(f"epoch {epoch}: NDCG@100 {found.quality:.4f} at best")
            if found.out_of_time or (held_out is not None and epoch - found.epoch >= plan.patience):
                break
    swap(composition, average if held_out is None else best)
    composition.eval()
    return found


@dataclass(frozen=True)
class Turn:
    """A pass over the rows that trains some of the parts. ``noisy``: whether the encoder is shown corrupted rows."""

    state: State
    resting: tuple[torch.nn.Parameter, ...]
    noisy: bool

    def run(
        self,
        x: scipy.sparse.csr_array,
        plan: Plan,
        epoch: int,
        seed: tuple[int, ...],
        average: dict[str, Tensor],
        deadline: float,
    ) -> bool:
        """One time through the rows; False where time ran out. At least one step is made."""
        composition, steps = self.state.composition, max(1, math.ceil(x.shape[0] / plan.batch_size))
        remember(composition)
        for weights in self.resting:
            weights.requires_grad_(False)
        try:
            for number, batch in enumerate(batches(x, plan.batch_size, seed)):
                pass_ = Pass(self.state.generator, epoch + number / steps, training=self.noisy, rows=x.shape[0])
                step(self.state, batch, pass_, plan.learning_rate)
                follow(composition, average, self.state.steps)
                if time.monotonic() > deadline:
                    return False
        finally:
            for weights in self.resting:
                weights.requires_grad_(True)
        return True


def turns_of(composition: Composition, plan: Plan, generator: torch.Generator) -> list[Turn]:
    """All parts together; where a code pays for what the old encoder did not know, the encoder, shown noisy rows, and
    then the decoder, shown whole ones, each with an optimiser of its own."""
    parts: list[list[torch.nn.Parameter]] = [[w for w in composition.parameters() if w.requires_grad]]
    if remembering(composition):
        decoder = list(composition.decoder.parameters())
        kept = {id(weights) for weights in decoder}
        parts = [[weights for weights in parts[0] if id(weights) not in kept], decoder]
    turns = []
    for place, weights in enumerate(parts):
        resting = tuple(one for other in parts if other is not weights for one in other)
        groups = [
            {"params": [one for one in weights if one.ndim > 1], "weight_decay": plan.weight_decay},
            {"params": [one for one in weights if one.ndim < 2], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=plan.learning_rate, fused=True)
        turns.append(Turn(State(composition, optimiser, generator, weights), resting, noisy=place == 0))
    return turns


def remembering(composition: Composition) -> list[torch.nn.Module]:
    return [penalty for penalty in composition.learning_penalties if hasattr(penalty, "remember")]


def remember(composition: Composition) -> None:
    """A new round begins: from now on the encoder as it is now is the old one."""
    for penalty in remembering(composition):
        penalty.remember(composition)  # type: ignore[operator]  # checked where they were found


def batches(x: scipy.sparse.csr_array, size: int, seed: tuple[int, ...]) -> Iterator[Batch]:
    """The rows, shuffled, each batch made dense on its way."""
    order = np.random.default_rng(seed).permutation(x.shape[0])
    for start in range(0, len(order), size):
        yield batch_of(x[order[start : start + size]].toarray())


def follow(composition: Composition, average: dict[str, Tensor], steps: int) -> None:
    """Move the average towards the weights; at the beginning it has few to average over."""
    kept = min(AVERAGED, steps / (steps + 10))
    learning = {name: weights for name, weights in composition.named_parameters() if weights.requires_grad}
    with torch.no_grad():
        torch._foreach_lerp_([average[name] for name in learning], list(learning.values()), 1 - kept)


def swap(composition: Composition, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put other weights in place, and give those that were there."""
    before = {}
    with torch.no_grad():
        for name, now in composition.named_parameters():
            before[name] = now.detach().clone()
            now.copy_(weights[name])
    return before


def looked(
    composition: Composition, average: dict[str, Tensor], held_out: Group, found: Progressed, epoch: int
) -> bool:
    """Rank with the averaged weights; whether that is better than any look before, which is then written down."""
    before = swap(composition, average)
    composition.eval()
    scores = network_scores(composition, held_out.given)
    composition.train()
    swap(composition, before)
    quality = quality_of(scores, held_out)
    if quality <= found.quality:  # NaN at first
        return False
    found.epoch, found.quality, found.scores = epoch, quality, scores
    return True


def quality_of(scores: np.ndarray, group: Group) -> float:
    """NDCG@100 of (users, items) scores that are made already; columns beyond the items do not count."""
    judged, items = np.flatnonzero(np.diff(group.wanted.indptr)), group.wanted.shape[1]
    made, given = scores[judged, :items], group.given[:, :items]
    return ranked(lambda rows: made, given, group.wanted, at=[100], rows_at_once=len(made)).mean("ndcg@100")
