"""How good the lists of a `Recommender` are, with popularity and EASE always beside."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse

from isthmus.checks import counted
from isthmus.errors import InputError
from isthmus.estimators.recommender_choice import learnt_knobs
from isthmus.estimators.recommender_data import liked
from isthmus.estimators.recommender_given import held_with, ranked_in, widened
from isthmus.estimators.recommender_models import POPULARITY, Knobs, Model, fitted
from isthmus.estimators.recommender_search import choose
from isthmus.estimators.recommender_told import beside_of
from isthmus.estimators.settings import seed_of
from isthmus.ranking import lengths
from isthmus.recommending.linear import check_exact
from isthmus.recommending.popularity import popularity
from isthmus.recommending.splits import FEWEST, Group, Split, folded, held_out_users, hidden_entries, later_entries

if TYPE_CHECKING:
    from isthmus.estimators.recommender import Recommender

HIDDEN = 0.2
"""The share of a history that is hidden and looked for."""

MOST_USERS = 1000
"""Users that are held out, at most."""

PROTOCOLS = ("users", "items", "time")


@dataclass(frozen=True)
class JudgedRow:
    """One model.

    Attributes
    ----------
    name : ``"popularity"``, ``"EASE"`` or ``"this model"``.
    model : the method and its knobs, in words.
    figures : by name, such as ``"ndcg@100"``, the mean over users; ``"coverage@20"`` is of all lists together.
    errors : by name, the standard error of that mean over users; of the coverage there is none.
    seconds : that fitting took, with the search of its knobs; NaN where it was fitted before.
    """

    name: str
    model: str
    figures: dict[str, float]
    errors: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Judged:
    """Rows of models that were judged by the same users.

    Attributes
    ----------
    rows : popularity, EASE, and the recommender itself, last.
    users : how many were judged.
    said : how, and what is missing.
    """

    rows: tuple[JudgedRow, ...]
    users: int
    said: tuple[str, ...]

    def __str__(self) -> str:
        names = list(self.rows[0].figures)
        first = max(map(len, names)) + 2
        lines = ["".ljust(first) + "".join(row.name.ljust(19) for row in self.rows).rstrip()]
        for name in names:
            cells = [
                f"{row.figures[name]:.4f}" + (f" +- {row.errors[name]:.4f}" if name in row.errors else "")
                for row in self.rows
            ]
            lines.append(name.ljust(first) + "".join(cell.ljust(19) for cell in cells).rstrip())
        told = [f"{row.name}: {row.model.removeprefix(f'{row.name}, ')}" for row in self.rows[1:]]
        return "\n".join([*lines, *told, *self.said])

    def frame(self) -> Any:
        """A pandas frame, a row per model: each figure, and its standard error as ``"ndcg@100 error"``."""
        import pandas as pd

        cells = [row.figures | {f"{name} error": value for name, value in row.errors.items()} for row in self.rows]
        return pd.DataFrame(cells, index=pd.Index([row.name for row in self.rows], name="model"))


def judged(recommender: Recommender, X: Any, given: Any, protocol: str, at: Sequence[int] | int, seed: int) -> Judged:
    """See `Recommender.judge`."""
    check_protocol(protocol)
    if X is not None and protocol != "users":
        raise InputError(
            f"protocol={protocol!r} parts the fit's own interactions, and X comes instead of them: leave one of the "
            f"two out"
        )
    found, at = recommender.interactions_, lengths(at)
    x, kept = liked(found, recommender.at_least)
    said: tuple[str, ...] = ()
    choosing = seed_of(seed)
    if X is not None:
        wide = recommender._group(X, given)
        group = Group(wide.users, wide.given[:, : x.shape[1]], wide.wanted)
        own: tuple[Knobs, Model, float] = (recommender.knobs_, recommender.model_, math.nan)
        how = f"{HIDDEN:.0%} of each history is hidden and looked for"
    else:
        if given is not None:
            raise InputError("given: tell what is known of the users of X; those of the fit were told of already")
        beside = beside_of(recommender.given_, recommender.item_given_)
        split, how = parts_of(x, None if found.times is None else found.times[kept], protocol, seed)
        held = held_with(split, x, beside, strong=protocol == "users")
        x, group, start = held.split.train, held.split.test, time.perf_counter()
        knobs = learnt_knobs(recommender.get_params(), x, choosing, silent, None if beside is None else held.train)[0]
        own = timed(widened(x, held.train, knobs), knobs, start)
        wide = held.wide(knobs).test
    rows = [row_of("popularity", timed(x, Knobs(POPULARITY)), group, x, at)]
    try:
        check_exact(x.shape[1], "")
    except InputError as error:
        said = (f"no row for EASE: {str(error)[0].lower()}{str(error)[1:]}",)
    else:
        start = time.perf_counter()
        rival = choose(x, "ease", None, 0.0, recommender.neighbours, choosing).knobs
        ease = own if rival == own[0] else timed(x, rival, start)
        rows.append(row_of("EASE", ease, group, x, at))
    rows.append(row_of("this model", own, wide, x, at))
    users = int(np.count_nonzero(np.diff(group.wanted.indptr)))
    return Judged(tuple(rows), users, (f"{counted(users, 'user')} judged: {how}", *said))


def silent(sentence: str) -> None:
    """Say nothing."""


def timed(x: scipy.sparse.csr_array, knobs: Knobs, start: float | None = None) -> tuple[Knobs, Model, float]:
    """A model fitted, and the seconds since ``start``."""
    start = time.perf_counter() if start is None else start
    model = fitted(x, knobs)
    return knobs, model, time.perf_counter() - start


def row_of(
    name: str, made: tuple[Knobs, Model, float], group: Group, x: scipy.sparse.csr_array, at: Sequence[int]
) -> JudgedRow:
    """The figures of a model of ``x`` for a group of users."""
    found = ranked_in(made[1].scores, group, at=at, popular=popularity(x))
    names = [f"{figure}@{k}" for k in dict.fromkeys(at) for figure in ("recall", "truncated_recall", "ndcg", "novelty")]
    figures = {one: found.mean(one) for one in (*names, *found.whole)}
    return JudgedRow(name, made[0].in_words(), figures, {one: found.standard_error(one) for one in names}, made[2])


def parts_of(x: scipy.sparse.csr_array, times: np.ndarray | None, protocol: str, seed: int) -> tuple[Split, str]:
    """What is learnt from and who is judged, and how in words."""
    if protocol == "users":
        if x.shape[0] < 2:
            raise InputError("protocol: of a single user none can be held out")
        split = held_out_users(x, seed, min(MOST_USERS, max(1, x.shape[0] // 5)), 0, HIDDEN)
        how = f"nothing was learnt from them; {HIDDEN:.0%} of each one's items are hidden and looked for"
    elif protocol == "items":
        split = hidden_entries(x, np.random.default_rng(seed), HIDDEN)
        how = f"{HIDDEN:.0%} of each one's items were not learnt from, and are looked for"
    else:
        if times is None:
            raise InputError("protocol='time' needs times; fit with time= the column that holds them")
        split = later_entries(x, times, HIDDEN)
        how = f"the latest {HIDDEN:.0%} of all interactions were not learnt from, and are looked for"
    learnt = int(np.count_nonzero(np.diff(split.train.indptr)))
    check_wanted(split.test, f"; {counted(learnt, 'user')} {'was' if learnt == 1 else 'were'} learnt from")
    return split, how


def check_protocol(protocol: str) -> None:
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol must be one of {', '.join(map(repr, PROTOCOLS))}; got {protocol!r}")


def known_group(rows: scipy.sparse.csr_array) -> Group:
    """Histories with a fifth of each hidden."""
    group = folded(rows, np.arange(rows.shape[0]), HIDDEN)
    check_wanted(group)
    return group


def check_wanted(group: Group, more: str = "") -> None:
    if not group.wanted.nnz:
        raise InputError(
            f"there is nobody to judge by: of {counted(group.wanted.shape[0], 'user')} none has anything to be found; "
            f"nothing is hidden of histories with fewer than {FEWEST} items that are known{more}"
        )
