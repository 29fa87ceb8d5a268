"""The search for the knobs of a linear model, and for the weights of what is known beside, by users held out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse

from isthmus.checks import counted
from isthmus.estimators.recommender_given import Beside, Held, held_with, ranked_in, with_newcomers
from isthmus.estimators.recommender_models import SPARSE, Knobs, fitted
from isthmus.ranking import Ranking, ranked
from isthmus.recommending.gram import gram
from isthmus.recommending.popularity import popular_scores, popularity
from isthmus.recommending.splits import FEWEST, Split, held_out_users

STEPS = (1, 1.5, 2, 3, 5, 7)
STRENGTHS = tuple(step * 10.0**power for power in range(-3, 8) for step in STEPS)
"""Round numbers, each about 1.5 times the one before."""

DROPOUTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
USUAL_DROPOUT = 0.3

MOST_USERS, FEWEST_USERS = 1000, 20
"""Users that are held out, at most and at least; where fewer than half of the least can be judged nothing is chosen."""

MOST_ITEMS = 4096
"""The choice is made by the items that are taken most: the best knobs differ little from those of all items, and
the time of the exact method grows with their cube."""

CHOSEN_BY = "ndcg@100"

WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)
USUAL_WEIGHT, LARGE_WEIGHT = 1.0, 10.0
"""Of what is known beside the histories, where a history's item has the weight 1."""


@dataclass(frozen=True)
class Choice:
    """How knobs were chosen.

    Attributes
    ----------
    knobs : the best.
    quality : their NDCG@100 on the users held out; NaN where nothing was chosen.
    rival : that of popularity.
    users : how many users judged.
    tried : (strength, dropout, NDCG@100) of all linear models that were tried, in order.
    candidates : where networks were tried, (name, NDCG@100) of each model that was best of its kind.
    weighed : where something is known beside the histories, (weight of given, of item_given, NDCG@100) of the best
        linear model with each pair of weights that was tried.
    """

    knobs: Knobs
    quality: float = math.nan
    rival: float = math.nan
    users: int = 0
    tried: tuple[tuple[float, float, float], ...] = ()
    candidates: tuple[tuple[str, float], ...] = ()
    weighed: tuple[tuple[float, float, float], ...] = ()

    def in_words(self) -> str:
        if not self.users:
            return f"{self.knobs.in_words()}: not chosen by users"
        # The linear one of the candidates is among those that were tried, unless its knobs were given.
        many = len(self.tried) + max(0, len(self.candidates) - bool(self.tried))
        others = "".join(f"{name} {figure:.4f}; " for name, figure in self.candidates)
        return (
            f"{self.knobs.in_words()}: the best of {many} tried on {counted(self.users, 'held-out user')}, "
            f"NDCG@100 {self.quality:.4f}; {others}popularity {self.rival:.4f}"
        )

    def said_of_weights(self) -> tuple[str, ...]:
        """A sentence on each of the weights that were chosen: what they bring, in NDCG@100."""
        said = []
        for place, name in enumerate(("given", "item_given")):
            if len({one[place] for one in self.weighed}) < 2:
                continue  # it was not open
            best = max(self.weighed, key=lambda one: one[2])
            without = max((one for one in self.weighed if not one[place]), key=lambda one: one[2])
            if best[place]:
                said.append(f"{name}: weight {best[place]:g}, by NDCG@100 {best[2]:.4f}; without it {without[2]:.4f}")
            else:
                said.append(f"{name} does not help the held-out users: its weight is 0")
        return tuple(said)


def choose(
    x: scipy.sparse.csr_array,
    method: str,
    strength: float | None,
    dropout: float | None,
    neighbours: int,
    seed: int,
    say: Callable[[str], None] = lambda sentence: None,
    beside: Beside | None = None,
    weights: tuple[float | None, float | None] = (0.0, 0.0),
) -> Choice:
    """The strength and dropout that rank best for held-out users, and the weights of what is known beside.

    Parameters
    ----------
    x : (users, items) csr.
    method : ``"ease"``, ``"edlae"`` or ``"sparse"``.
    strength, dropout : what is given stays; None = to be chosen. Without dropout EDLAE is EASE.
    seed : who is held out.
    beside, weights : what is known of users and items, and its weights; None = to be chosen.

    Returns
    -------
    Choice
        Where too few users have enough items, the usual knobs: a strength as large as items are taken on average.
    """
    free_strength, free_dropout = strength is None, dropout is None and method == "edlae"
    strengths = STRENGTHS if strength is None else (strength,)
    dropouts = DROPOUTS if free_dropout else (0.0 if dropout is None else dropout,)
    first = [
        nearest(strengths, usual_strength(x)) if free_strength else 0,
        dropouts.index(USUAL_DROPOUT) if free_dropout else 0,
        *(WEIGHTS.index(USUAL_WEIGHT) if weight is None else 0 for weight in weights),
    ]
    axes = (strengths, dropouts, *(WEIGHTS if weight is None else (weight,) for weight in weights))
    held = held_out(x, seed, beside) if any(len(axis) > 1 for axis in axes) else None
    if held is None:
        # With dropout, which is for many users, nothing is known here either: EASE.
        knobs = named(method, strengths[first[0]], 0.0 if free_dropout else dropouts[0], neighbours)
        usual = (USUAL_WEIGHT if weight is None else weight for weight in weights)
        return Choice(replace(knobs, given=next(usual), item_given=next(usual)))
    tried: dict[tuple[int, ...], float] = {}
    made: dict[tuple[int, ...], tuple[Split, np.ndarray | None]] = {}

    def knobs_at(at: tuple[int, ...]) -> Knobs:
        _, dropout, weight, of_items = (axis[place] for axis, place in zip(axes, at, strict=True))
        place = at[0]
        if free_strength and of_items:
            # The rows of properties raise G's diagonal, and the strength that suits it rises with them.
            raised = usual_strength(x, beside, of_items)
            place = min(max(place + nearest(strengths, raised) - first[0], 0), len(strengths) - 1)
        return Knobs(method, strengths[place], dropout, neighbours, given=weight, item_given=of_items)

    def quality(at: tuple[int, ...]) -> float:
        if at not in tried:
            knobs = knobs_at(at)
            if at[2:] not in made:
                made.clear()  # a Gram matrix is large
                split = held.wide(knobs)
                made[at[2:]] = split, None if method == SPARSE else gram(split.train)
            split, g = made[at[2:]]
            tried[at] = ranked_in(fitted(split.train, knobs, g).scores, split.test, at=[100]).mean(CHOSEN_BY)
            say(f"{knobs_in_words(knobs)}: NDCG@100 {tried[at]:.4f}")
        return tried[at]

    starts = [first]
    if weights[1] is None:
        # A large weight goes with another strength and other weights of users: few single steps lead there.
        starts.append([*first[:3], WEIGHTS.index(LARGE_WEIGHT)])
    found = max((climbed(quality, start, [len(axis) for axis in axes]) for start in starts), key=quality)
    for place in (2, 3):
        # What brings nothing is left out.
        without = (*found[:place], 0, *found[place + 1 :])
        found = without if quality(without) >= quality(found) else found
    best = knobs_at(found)
    rival = popular_ranking(held.split)
    every = [(knobs_at(at), figure) for at, figure in tried.items()]
    weighed: dict[tuple[float, float], float] = {}
    for knobs, figure in every:
        pair = (knobs.given, knobs.item_given)
        weighed[pair] = max(figure, weighed.get(pair, figure))
    return Choice(
        replace(named(method, best.strength, best.dropout, neighbours), given=best.given, item_given=best.item_given),
        tried[found],
        rival.mean(CHOSEN_BY),
        len(rival.users),
        tuple((knobs.strength, knobs.dropout, figure) for knobs, figure in every),
        weighed=() if beside is None else tuple((*pair, figure) for pair, figure in weighed.items()),
    )


def knobs_in_words(knobs: Knobs) -> str:
    """What is tried, for those who watch."""
    weights = {"given": knobs.given, "item_given": knobs.item_given}
    told = "".join(f", {name} {weight:g}" for name, weight in weights.items() if weight)
    return f"strength {knobs.strength:g}, dropout {knobs.dropout:g}{told}"


def popular_ranking(split: Split) -> Ranking:
    """How popularity does on the same users."""
    popular = popularity(split.train)
    return ranked(lambda rows: popular_scores(rows, popular), split.test.given, split.test.wanted, at=[100])


def named(method: str, strength: float, dropout: float, neighbours: int) -> Knobs:
    """The knobs; EDLAE without dropout by its own name, EASE."""
    return Knobs("ease" if method == "edlae" and not dropout else method, strength, dropout, neighbours)


def nearest(strengths: Sequence[float], strength: float) -> int:
    """The place of the strength that is nearest by ratio."""
    return int(np.argmin(np.abs(np.log(strengths) - math.log(strength))))


def usual_strength(x: scipy.sparse.csr_array, beside: Beside | None = None, item_given: float = 0.0) -> float:
    """The mean of G's diagonal over the items that were taken, with the properties of items at this weight."""
    taken = np.count_nonzero(np.bincount(x.indices, minlength=x.shape[1]))
    squares = float((x.data.astype(np.float64) ** 2).sum())
    if beside is not None and beside.items is not None:
        squares += item_given**2 * beside.items.nnz
    return float(np.clip(squares / max(int(taken), 1), STRENGTHS[0], STRENGTHS[-1]))


def held_out(x: scipy.sparse.csr_array, seed: int, beside: Beside | None = None) -> Held | None:
    """Users to choose by, with what is known; where new users and new items are to be served, such are among them."""
    split = split_of(x, seed)
    if split is None or beside is None:
        return None if split is None else Held(split, Beside(), Beside())
    new = np.count_nonzero(np.bincount(x.indices, minlength=x.shape[1]) == 0) / x.shape[1]
    return with_newcomers(held_with(split, x, beside), new, seed)


def split_of(x: scipy.sparse.csr_array, seed: int) -> Split | None:
    """Users to choose by, over the items that are taken most; None where too few have enough."""
    some = np.arange(x.shape[1])
    if x.shape[1] > MOST_ITEMS:
        most = np.argsort(-np.bincount(x.indices, minlength=x.shape[1]), kind="stable")[:MOST_ITEMS]
        some = np.sort(most)
        x = x[:, some]
        x.sort_indices()
    users = x.shape[0]
    held_out = min(MOST_USERS, max(FEWEST_USERS, users // 5))
    if users < 3 * FEWEST_USERS or np.count_nonzero(np.diff(x.indptr) >= FEWEST) < FEWEST_USERS:
        return None
    split = held_out_users(x, seed, test=held_out, validation=0)
    if split.train.nnz == 0 or np.count_nonzero(np.diff(split.test.wanted.indptr)) < FEWEST_USERS // 2:
        return None
    return replace(split, items=some[split.items])


def climbed(
    quality: Callable[[tuple[int, ...]], float],
    first: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int] = (2, 1),
) -> tuple[int, ...]:
    """The place on a grid from which no step along an axis leads higher: long steps first, then short ones.

    >>> climbed(lambda at: -abs(at[0] - 7) - abs(at[1] - 1), (0, 4), (9, 5))
    (7, 1)
    """
    best = tuple(first)
    for stride in strides:
        moved = True
        while moved:
            moved = False
            for axis, size in enumerate(sizes):
                for step in (stride, -stride):
                    while True:
                        place = best[axis] + step
                        following = (*best[:axis], place, *best[axis + 1 :])
                        if not 0 <= place < size or quality(following) <= quality(best):
                            break
                        best, moved = following, True
    quality(best)
    return best
