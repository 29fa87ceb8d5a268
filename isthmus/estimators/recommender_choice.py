"""The knobs of a `Recommender` that its user left open, chosen by people that the model has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.checks import check_whole, counted, did_you_mean, is_whole
from isthmus.errors import InputError
from isthmus.estimators.recommender_deep_choice import (
    FIRST,
    GAINS,
    USUAL_EPOCHS,
    check_network,
    choose_deep,
    deep_of,
    why_not,
)
from isthmus.estimators.recommender_kinds import DEEP
from isthmus.estimators.recommender_models import EXACT, INSTEAD, POPULARITY, SPARSE, Knobs, fitted
from isthmus.estimators.settings import number
from isthmus.ranking import ranked
from isthmus.recommending.gram import gram
from isthmus.recommending.linear import check_exact
from isthmus.recommending.popularity import popular_scores, popularity
from isthmus.recommending.splits import FEWEST, Split, held_out_users

METHODS = ("auto", *EXACT, SPARSE, *DEEP, POPULARITY)

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
    """

    knobs: Knobs
    quality: float = math.nan
    rival: float = math.nan
    users: int = 0
    tried: tuple[tuple[float, float, float], ...] = ()
    candidates: tuple[tuple[str, float], ...] = ()

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


def check_settings(
    method: Any, strength: Any, dropout: Any, neighbours: Any, at_least: Any, gain: Any, hidden: Any, **others: Any
) -> None:
    """Refuse the parameters of a `Recommender` before the data are read."""
    if method not in METHODS:
        hint = did_you_mean(method, METHODS)
        raise InputError(f"method must be one of {', '.join(map(repr, METHODS))}; got {method!r}.{hint}")
    if strength != "auto":
        number("strength", strength, 0.0, open_low=True)
    if dropout != "auto":
        number("dropout", dropout, 0.0, 0.999)
        if method in ("ease", POPULARITY) and dropout:
            raise InputError(f"dropout is for 'edlae', 'sparse' and 'auto'; method {method!r} has none")
    check_whole("Recommender", neighbours=neighbours, code_size=others["code_size"], epochs=others["epochs"])
    widths = hidden if isinstance(hidden, (tuple, list, np.ndarray)) else (hidden,)
    if not all(is_whole(width) and width > 0 for width in widths):
        raise InputError(f"hidden must be whole numbers > 0, e.g. (600,) or (600, 600), or (); got {hidden!r}")
    if gain != "auto":
        number("gain", gain, 0.0)
    if others["max_time"] is not None:
        number("max_time", others["max_time"], 0.0, open_low=True)
    if at_least is not None:
        number("at_least", at_least, 0.0, open_low=True)


def learnt_knobs(
    asked: Mapping[str, Any], x: scipy.sparse.csr_array, seed: int, say: Callable[[str], None]
) -> tuple[Knobs, Choice | None, tuple[str, ...]]:
    """The method and its knobs, those that were left open chosen; the choice; and what there is to say of it.

    ``asked`` holds the parameters of a `Recommender`.
    """
    method = asked["method"]
    if method == POPULARITY:
        return Knobs(POPULARITY), None, ()
    if method in DEEP:
        check_network(x.shape[1], asked)
    if method in DEEP and asked["gain"] == 0:
        knobs, choice, told = Knobs("ease"), None, tuple[str, ...]()  # there is no linear path to choose
    else:
        knobs, choice, told = linear_knobs(asked, x, seed, say)
    if method in ("auto", *DEEP):
        knobs, choice, more = with_deep(asked, x, knobs, choice, seed, say)
        told += more
    for sentence in told:
        say(sentence)
    return knobs, choice, told


def linear_knobs(
    asked: Mapping[str, Any], x: scipy.sparse.csr_array, seed: int, say: Callable[[str], None]
) -> tuple[Knobs, Choice | None, tuple[str, ...]]:
    """The same of a linear method, or of the linear path of another."""
    method, told = asked["method"], tuple[str, ...]()
    if method in ("auto", *DEEP):
        method = "edlae"
        try:
            check_exact(x.shape[1], "")
        except InputError as error:
            method, told = SPARSE, (f"{str(error).rstrip('.')}: the sparse method is taken",)
    elif method in EXACT:
        check_exact(x.shape[1], INSTEAD)
    strength, dropout = (None if asked[name] == "auto" else float(asked[name]) for name in ("strength", "dropout"))
    if method != "edlae" and dropout is None:
        dropout = 0.0
    if strength is not None and dropout is not None:
        return named(method, strength, dropout, asked["neighbours"]), None, told
    choice = choose(x, method, strength, dropout, asked["neighbours"], seed, say)
    if not choice.users:
        told += (f"too few users have {FEWEST} items to choose by: taken is {choice.knobs.in_words()}",)
    return choice.knobs, choice, told


def with_deep(
    asked: Mapping[str, Any],
    x: scipy.sparse.csr_array,
    linear: Knobs,
    choice: Choice | None,
    seed: int,
    say: Callable[[str], None],
) -> tuple[Knobs, Choice | None, tuple[str, ...]]:
    """What networks add to the linear knobs: the deep method that was asked for, or the best of all."""
    method = asked["method"]
    if method == "auto" and (reason := why_not(x, asked)):
        # That too few users can be held out for anything is said already.
        return linear, choice, () if choice is not None and not choice.users else (reason,)
    deep, split = deep_of(asked, linear, seed), split_of(x, seed)
    if split is None:
        if method == "auto":
            return linear, choice, ("only linear models are tried: too few users can be held out to judge networks",)
        deep = replace(deep, epochs=min(deep.epochs, USUAL_EPOCHS))
        knobs = replace(linear, method=method, deep=deep)
        return knobs, None, (f"too few users have {FEWEST} items to choose by: taken is {knobs.in_words()}",)
    gains = GAINS if asked["gain"] == "auto" else (deep.gain,)
    limit = None if asked["max_time"] is None else asked["max_time"] / 2
    found = choose_deep(split, FIRST if method == "auto" else (method,), linear, deep, gains, limit, say)
    best = max(found if method == "auto" else found[1:], key=lambda one: one.quality)
    tried = () if choice is None else choice.tried
    popular = popularity(split.train)
    rival = ranked(lambda rows: popular_scores(rows, popular), split.test.given, split.test.wanted, at=[100])
    shown = found if asked["gain"] == "auto" or method == "auto" or deep.gain else found[1:]
    candidates = tuple((one.name, one.quality) for one in shown)
    made = Choice(best.knobs, best.quality, rival.mean(CHOSEN_BY), len(rival.users), tried, candidates)
    return best.knobs, made, ()


def choose(
    x: scipy.sparse.csr_array,
    method: str,
    strength: float | None,
    dropout: float | None,
    neighbours: int,
    seed: int,
    say: Callable[[str], None] = lambda sentence: None,
) -> Choice:
    """The strength and dropout that rank best for held-out users.

    Parameters
    ----------
    x : (users, items) csr.
    method : ``"ease"``, ``"edlae"`` or ``"sparse"``.
    strength, dropout : what is given stays; None = to be chosen. Without dropout EDLAE is EASE.
    seed : who is held out.

    Returns
    -------
    Choice
        Where too few users have enough items, the usual knobs: a strength as large as items are taken on average.
    """
    start = usual_strength(x)
    free_strength, free_dropout = strength is None, dropout is None and method == "edlae"
    strengths = STRENGTHS if strength is None else (strength,)
    dropouts = DROPOUTS if free_dropout else (0.0 if dropout is None else dropout,)
    first = [
        int(np.argmin(np.abs(np.log(strengths) - math.log(start)))) if free_strength else 0,
        dropouts.index(USUAL_DROPOUT) if free_dropout else 0,
    ]
    split = split_of(x, seed) if free_strength or free_dropout else None
    if split is None:
        # With dropout, which is for many users, nothing is known here either: EASE.
        return Choice(named(method, strengths[first[0]], 0.0 if free_dropout else dropouts[0], neighbours))
    g = None if method == SPARSE else gram(split.train)
    tried: dict[tuple[int, ...], float] = {}

    def quality(at: tuple[int, ...]) -> float:
        if at not in tried:
            model = fitted(split.train, Knobs(method, strengths[at[0]], dropouts[at[1]], neighbours), g)
            tried[at] = ranked(model.scores, split.test.given, split.test.wanted, at=[100]).mean(CHOSEN_BY)
            say(f"strength {strengths[at[0]]:g}, dropout {dropouts[at[1]]:g}: NDCG@100 {tried[at]:.4f}")
        return tried[at]

    best = climbed(quality, first, (len(strengths), len(dropouts)))
    popular = popularity(split.train)
    rival = ranked(lambda rows: popular_scores(rows, popular), split.test.given, split.test.wanted, at=[100])
    return Choice(
        named(method, strengths[best[0]], dropouts[best[1]], neighbours),
        tried[best],
        rival.mean(CHOSEN_BY),
        len(rival.users),
        tuple((strengths[i], dropouts[j], figure) for (i, j), figure in tried.items()),
    )


def named(method: str, strength: float, dropout: float, neighbours: int) -> Knobs:
    """The knobs; EDLAE without dropout by its own name, EASE."""
    return Knobs("ease" if method == "edlae" and not dropout else method, strength, dropout, neighbours)


def usual_strength(x: scipy.sparse.csr_array) -> float:
    """The mean of G's diagonal over the items that were taken."""
    taken = np.count_nonzero(np.bincount(x.indices, minlength=x.shape[1]))
    squares = float((x.data.astype(np.float64) ** 2).sum())
    return float(np.clip(squares / max(int(taken), 1), STRENGTHS[0], STRENGTHS[-1]))


def split_of(x: scipy.sparse.csr_array, seed: int) -> Split | None:
    """Users to choose by, over the items that are taken most; None where too few have enough."""
    if x.shape[1] > MOST_ITEMS:
        most = np.argsort(-np.bincount(x.indices, minlength=x.shape[1]), kind="stable")[:MOST_ITEMS]
        x = x[:, np.sort(most)]
        x.sort_indices()
    users = x.shape[0]
    held_out = min(MOST_USERS, max(FEWEST_USERS, users // 5))
    if users < 3 * FEWEST_USERS or np.count_nonzero(np.diff(x.indptr) >= FEWEST) < FEWEST_USERS:
        return None
    split = held_out_users(x, seed, test=held_out, validation=0)
    if split.train.nnz == 0 or np.count_nonzero(np.diff(split.test.wanted.indptr)) < FEWEST_USERS // 2:
        return None
    return split


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
