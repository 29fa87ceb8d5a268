"""The knobs of a `Recommender` that its user left open, chosen by people that the model has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.checks import check_whole, counted, did_you_mean, is_whole, listed
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
from isthmus.estimators.recommender_given import Beside
from isthmus.estimators.recommender_kinds import DEEP
from isthmus.estimators.recommender_models import EXACT, INSTEAD, POPULARITY, SPARSE, Knobs
from isthmus.estimators.recommender_search import (
    CHOSEN_BY,
    USUAL_WEIGHT,
    Choice,
    choose,
    held_out,
    named,
    popular_ranking,
)
from isthmus.estimators.settings import number
from isthmus.recommending.linear import check_exact
from isthmus.recommending.splits import FEWEST

METHODS = ("auto", *EXACT, SPARSE, *DEEP, POPULARITY)


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
            raise InputError(
                f"dropout is for 'edlae', 'sparse' and 'auto', and for the linear path of the deep {listed(DEEP)}; "
                f"method {method!r} has none"
            )
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
    for name in ("given_weight", "item_given_weight"):
        if others[name] != "auto":
            number(name, others[name], 0.0)


def learnt_knobs(
    asked: Mapping[str, Any],
    x: scipy.sparse.csr_array,
    seed: int,
    say: Callable[[str], None],
    beside: Beside | None = None,
) -> tuple[Knobs, Choice | None, tuple[str, ...]]:
    """The method and its knobs, those that were left open chosen; the choice; and what there is to say of it.

    ``asked`` holds the parameters of a `Recommender`; ``beside`` is what is known beside (users, items) ``x``.
    """
    method = asked["method"]
    if method == POPULARITY:
        said = "popularity is the same for everyone: given and item_given are not used"
        return Knobs(POPULARITY), None, () if beside is None else (said,)
    if method in DEEP:
        check_network(width_of(x, beside), asked)
    if method in DEEP and asked["gain"] == 0:
        knobs, choice, told = unchosen(Knobs("ease"), asked, beside), None, tuple[str, ...]()  # there is no path
    else:
        knobs, choice, told = linear_knobs(asked, x, seed, say, beside)
    if method in ("auto", *DEEP):
        knobs, choice, more = with_deep(asked, x, knobs, choice, seed, say, beside)
        told += more
    for sentence in told:
        say(sentence)
    return knobs, choice, told


def width_of(x: scipy.sparse.csr_array, beside: Beside | None) -> int:
    """Columns of the matrix that is learnt from, at most."""
    return int(x.shape[1]) + (0 if beside is None else beside.width)


def weights_asked(asked: Mapping[str, Any], beside: Beside | None) -> tuple[float | None, float | None]:
    """The weights of what is known of users and of items: 0 where nothing is, None = to be chosen."""
    known = (None, None) if beside is None else (beside.users, beside.items)
    names = ("given_weight", "item_given_weight")
    first, second = (
        0.0 if one is None else None if asked[name] == "auto" else float(asked[name])
        for name, one in zip(names, known, strict=True)
    )
    return first, second


def unchosen(knobs: Knobs, asked: Mapping[str, Any], beside: Beside | None) -> Knobs:
    """The knobs with the weights that were asked for, or usual ones."""
    first, second = (USUAL_WEIGHT if one is None else one for one in weights_asked(asked, beside))
    return replace(knobs, given=first, item_given=second)


def linear_knobs(
    asked: Mapping[str, Any],
    x: scipy.sparse.csr_array,
    seed: int,
    say: Callable[[str], None],
    beside: Beside | None = None,
) -> tuple[Knobs, Choice | None, tuple[str, ...]]:
    """The same of a linear method, or of the linear path of another."""
    method, told = asked["method"], tuple[str, ...]()
    if method in ("auto", *DEEP):
        method = "edlae"
        try:
            check_exact(width_of(x, beside), "")
        except InputError as error:
            method, told = SPARSE, (f"{str(error).rstrip('.')}: the sparse method is taken",)
    elif method in EXACT:
        check_exact(width_of(x, beside), INSTEAD)
    strength, dropout = (None if asked[name] == "auto" else float(asked[name]) for name in ("strength", "dropout"))
    if method != "edlae" and dropout is None:
        dropout = 0.0
    weights = weights_asked(asked, beside)
    if strength is not None and dropout is not None and None not in weights:
        return unchosen(named(method, strength, dropout, asked["neighbours"]), asked, beside), None, told
    choice = choose(x, method, strength, dropout, asked["neighbours"], seed, say, beside, weights)
    if not choice.users:
        told += (f"too few users have {FEWEST} items to choose by: taken is {choice.knobs.in_words()}",)
    told += choice.said_of_weights()
    if beside is not None and beside.items is not None and not choice.knobs.item_given:
        never = int(np.count_nonzero(np.bincount(x.indices, minlength=x.shape[1]) == 0))
        silent = f"for {counted(never, 'item')} that nobody took nothing speaks; item_given_weight= sets the weight"
        told += (silent,) if never else ()
    return choice.knobs, choice, told


def with_deep(
    asked: Mapping[str, Any],
    x: scipy.sparse.csr_array,
    linear: Knobs,
    choice: Choice | None,
    seed: int,
    say: Callable[[str], None],
    beside: Beside | None = None,
) -> tuple[Knobs, Choice | None, tuple[str, ...]]:
    """What networks add to the linear knobs: the deep method that was asked for, or the best of all."""
    method = asked["method"]
    if method == "auto" and (reason := why_not(x, asked)):
        # That too few users can be held out for anything is said already.
        return linear, choice, () if choice is not None and not choice.users else (reason,)
    deep, held = deep_of(asked, linear, seed), held_out(x, seed, beside)
    if held is None:
        if method == "auto":
            return linear, choice, ("only linear models are tried: too few users can be held out to judge networks",)
        deep = replace(deep, epochs=min(deep.epochs, USUAL_EPOCHS))
        knobs = replace(linear, method=method, deep=deep)
        return knobs, None, (f"too few users have {FEWEST} items to choose by: taken is {knobs.in_words()}",)
    gains = GAINS if asked["gain"] == "auto" else (deep.gain,)
    limit = None if asked["max_time"] is None else asked["max_time"] / 2
    split = held.wide(linear)
    found = choose_deep(split, FIRST if method == "auto" else (method,), linear, deep, gains, limit, say)
    best = max(found if method == "auto" else found[1:], key=lambda one: one.quality)
    tried, weighed = ((), ()) if choice is None else (choice.tried, choice.weighed)
    rival = popular_ranking(held.split)
    shown = found if asked["gain"] == "auto" or method == "auto" or deep.gain else found[1:]
    candidates = tuple((one.name, one.quality) for one in shown)
    made = Choice(best.knobs, best.quality, rival.mean(CHOSEN_BY), len(rival.users), tried, candidates, weighed)
    return best.knobs, made, ()
