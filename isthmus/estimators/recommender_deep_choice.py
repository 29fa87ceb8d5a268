"""Whether a deep `Recommender` is better than a linear one, and how long it is to be trained, by held-out users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.checks import counted
from isthmus.errors import InputError
from isthmus.estimators.recommender_kinds import IN_WORDS, DeepKnobs, composition_of
from isthmus.estimators.recommender_models import Knobs, item_weights
from isthmus.estimators.recommender_training import BATCH_SIZE, plan_of, quality_of, trained
from isthmus.recommending.linear import item_scores
from isthmus.recommending.memory import check_memory
from isthmus.recommending.splits import Split

FIRST = ("masked", "rec_vae")
"""The deep kinds that ``method="auto"`` tries."""

FEWEST_FOR_DEEP = 500
"""Users below which ``method="auto"`` tries no network. On 250 of MovieLens-1M a network with the linear path was still
.007 above EDLAE, in NDCG@100; but a fifth of fewer than 500 are not enough to tell such a gain from chance."""

GAINS = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0, 20.0, 30.0)
USUAL_GAIN, USUAL_EPOCHS = 12.0, 40
"""Where too few users can be held out to choose by."""

MOST_SECONDS = 1800.0
"""Predicted seconds of one training above which ``method="auto"`` tries no network, unless ``max_time`` is given."""

COPIES = 7
"""What training holds of every weight, at most: itself, its gradient, two figures of the optimiser, the average, the
best average, and the weight of a while ago; and about as many of every cell of a batch."""

SPEED = 1.5e10
"""Floating-point operations in a second that training makes on one ordinary core."""


@dataclass(frozen=True)
class Candidate:
    """A model that was judged by held-out users: its knobs, its name in words, and its NDCG@100."""

    knobs: Knobs
    name: str
    quality: float


def why_not(x: scipy.sparse.csr_array, asked: Mapping[str, Any]) -> str:
    """Why ``method="auto"`` tries no network on (users, items) ``x``; empty where it does."""
    users, items = int(np.count_nonzero(np.diff(x.indptr))), x.shape[1]
    if users < FEWEST_FOR_DEEP:
        return (
            f"only linear models are tried: of {counted(users, 'user')}, fewer than {FEWEST_FOR_DEEP:,}, too few can "
            "be held out to tell a network's gain from chance; method='masked' trains one all the same"
        )
    try:
        check_network(items, asked)
    except InputError as error:
        return f"only linear models are tried: {str(error)[0].lower()}{str(error)[1:]}"
    # The decoder's last map, forwards and twice backwards, is most of the work.
    seconds = 6.0 * users * items * asked["code_size"] * USUAL_EPOCHS / SPEED
    if seconds > MOST_SECONDS and asked["max_time"] is None:
        return (
            f"only linear models are tried: to train a network on {counted(users, 'user')} x {counted(items, 'item')} "
            f"would take about {seconds / 3600:.1f} h; max_time, or method='masked', has it tried"
        )
    return ""


def check_network(items: int, asked: Mapping[str, Any]) -> None:
    """Refuse, before it is made, a network that would not fit the free memory while it is trained."""
    first = next(iter(np.atleast_1d(asked["hidden"])), 2 * asked["code_size"])
    weights = items * (int(first) + asked["code_size"] + 1)
    needed = 4 * (COPIES * weights + COPIES * BATCH_SIZE * items)
    what = f"Training a network for {counted(items, 'item')}"
    check_memory(needed, what, "A smaller code_size and hidden need less; method='sparse' needs far less.")


def deep_of(asked: Mapping[str, Any], linear: Knobs, seed: int) -> DeepKnobs:
    """What is asked of a deep kind, before anything is chosen."""
    gain = USUAL_GAIN if asked["gain"] == "auto" else float(asked["gain"])
    hidden = tuple(int(width) for width in np.atleast_1d(asked["hidden"]))
    return DeepKnobs(asked["code_size"], hidden, asked["epochs"], gain, linear.method, seed)


def of_method(say: Callable[[str], None], method: str, sentence: str) -> None:
    """Say of which method a sentence is."""
    say(f"{method}, {sentence}")


def choose_deep(
    split: Split,
    methods: tuple[str, ...],
    linear: Knobs,
    deep: DeepKnobs,
    gains: tuple[float, ...] = GAINS,
    max_time: float | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> list[Candidate]:
    """The linear model, and each deep kind alone and with the linear path, as they rank for held-out users.

    Parameters
    ----------
    split : what is learnt from; ``test`` holds the users to choose by.
    linear : the knobs of the linear model, which is the path too.
    deep : the knobs of the kinds; how many of their epochs are best is found here, and the gain of the path.
    gains : those that are tried.
    max_time : seconds for all trainings together.

    Returns
    -------
    list of Candidate
        The best of each; the first is the linear one.
    """
    straight = item_scores(split.test.given, item_weights(split.train, linear, None))
    found = [Candidate(linear, linear.in_words(), quality_of(straight, split.test))]
    for method in methods:
        composition = composition_of(method, split.train.shape[1], deep)
        limit = None if max_time is None else max_time / len(methods)
        plan = plan_of(deep.epochs, deep.seed, split.train.shape[0], limit)
        best = trained(composition, split.train, plan, split.test, partial(of_method, say, method))
        assert best.scores is not None
        tried = {gain: quality_of(best.scores + np.float32(gain) * straight, split.test) for gain in gains}
        gain = max(tried, key=lambda one: tried[one])
        knobs = replace(linear, method=method, deep=replace(deep, epochs=best.epoch, gain=gain))
        if 0.0 in tried:
            found.append(Candidate(knobs, IN_WORDS[method], tried[0.0]))
        if gain:
            found.append(Candidate(knobs, f"{IN_WORDS[method]} with the linear path", tried[gain]))
    for one in found:
        say(f"{one.name}: NDCG@100 {one.quality:.4f}")
    return found
