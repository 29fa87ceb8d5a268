"""Recommendation on MovieLens-1M (rating >= 3): popularity, linear and deep models, by two protocols, and their cost.

Held-out users: the split of each seed; the knobs of EDLAE and of the path (dropout and strength) are chosen on its
validation users and judged on its test users. The split as shipped (7:1:2, in the order of the files): the knobs are
chosen on the validation file, then the model is fitted anew to train and validation.

--deep: networks too, each alone and with its linear path, which is the chosen EDLAE; epochs and gain are chosen on the
same validation users (of the split as shipped, on 1,500 of them), and so is which model of all is taken.

Bars: EASE with strength 800 within .005 of the listed figures, by both protocols; the chosen model above EASE rerun.
--evaluation: ranking all items for 6,000 users, scoring included, no slower than fitting EASE, and the same figures
whatever the block. --updates: the Gram matrix, updated with new users and items, gives the weights of a refit to 1e-6.
--simulated: 200,000 items of a power law, at most 8 GB for the sparse model; the exact one refuses.

    python benchmarks/bench_recommend.py [--seeds 98765 1 2] [--deep [KIND ...]] [--threads 1] [--no-shipped]
        [--evaluation] [--updates] [--simulated] [--items 200000]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse
import torch
from common import best_of, row, watched

from isthmus.errors import InputError
from isthmus.estimators.recommender_deep import DeepWeights
from isthmus.estimators.recommender_deep_choice import FIRST, Candidate, choose_deep
from isthmus.estimators.recommender_kinds import DEEP, IN_WORDS, DeepKnobs
from isthmus.estimators.recommender_models import Knobs, Model, fitted
from isthmus.ranking import Ranking, ranked
from isthmus.recommending.gram import gram, updated
from isthmus.recommending.linear import check_exact, ease, edlae, item_scores
from isthmus.recommending.path import strength_path
from isthmus.recommending.popularity import popular_scores, popularity
from isthmus.recommending.sparse_linear import sparse_ease
from isthmus.recommending.splits import Group, Split, folded, held_out_users

SHOWN = ("ndcg@100", "truncated_recall@20", "truncated_recall@50", "coverage@20", "novelty@20")
SHIPPED = ("recall@10", "ndcg@10", "coverage@10", "novelty@10")
LISTED = {98765: 0.4570, 1: 0.4561, 2: 0.4722, "shipped": 0.3892, "refit": 0.4004}
"""EASE: NDCG@100 of the held-out users by seed, NDCG@10 of the split as shipped."""

DROPOUTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
ADDED = (50, 100, 200, 400, 600, 800, 1200)
STRENGTHS = (100, 200, 300, 400, 500, 650, 800, 1000, 1300, 1600)


def movielens() -> list[scipy.sparse.csr_array]:
    """The train, validation and test matrix, users by items."""
    folder = Path(os.environ.get("ISTHMUS_DATA", "")) / "movielens-1m-implicit"
    if not os.environ.get("ISTHMUS_DATA") or not folder.exists():
        print("skipped: set ISTHMUS_DATA to a folder that holds movielens-1m-implicit")
        sys.exit(0)
    pairs = []
    for name in ("train", "valid", "test"):
        lines = [np.array(line.split(), dtype=np.int64) for line in (folder / f"{name}.txt").read_text().splitlines()]
        users = np.concatenate([np.full(len(line) - 1, line[0]) for line in lines])
        pairs.append((users, np.concatenate([line[1:] for line in lines])))
    shape = tuple(max(int(part[axis].max()) for part in pairs) + 1 for axis in (0, 1))
    return [scipy.sparse.csr_array((np.ones(len(part[0])), part), shape=shape) for part in pairs]


def judged(weights: np.ndarray | scipy.sparse.csr_array, group: Group, train: scipy.sparse.csr_array) -> Ranking:
    return ranked(
        lambda rows: item_scores(rows, weights),
        group.given,
        group.wanted,
        at=(10, 20, 50, 100),
        popular=popularity(train),
    )


def shown(name: str, figures: Ranking, names: tuple[str, ...], seconds: float = 0.0, megabytes: float = 0.0) -> None:
    error = figures.standard_error(names[0])
    row(name, *(figures.mean(figure) for figure in names), error, f"{seconds:.1f} s", f"{megabytes:,.0f} MB")


def chosen(g: np.ndarray, group: Group, train: scipy.sparse.csr_array, figure: str) -> tuple[float, int]:
    """The dropout and strength that are best on validation users, one after the other until neither moves."""
    tried: dict[tuple[float, int], float] = {}

    def quality(dropout: float, strength: int) -> float:
        key = (dropout, strength)
        if key not in tried:
            tried[key] = judged(edlae(g, dropout, strength), group, train).mean(figure)
        return tried[key]

    best, before = (0.3, 400), None
    while best != before:
        before = best
        best = max(((dropout, best[1]) for dropout in DROPOUTS), key=lambda key: quality(*key))
        best = max(((best[0], strength) for strength in ADDED), key=lambda key: quality(*key))
    return best


def both(
    name: str,
    split: Split,
    figures: tuple[str, ...],
    listed: float,
    refit: Split | None = None,
    kinds: tuple[str, ...] = (),
) -> None:
    """Popularity, EASE, EDLAE and networks, in one split; where ``refit`` is given, the last figures are its."""
    row(name, *figures, "error", "fit", "peak")
    last = refit or split
    popular = popularity(last.train)
    shown("popularity", ranked(lambda rows: popular_scores(rows, popular), last.test.given, last.test.wanted,
                               popular=popular), figures)  # fmt: skip
    start = time.perf_counter()
    weights, peak = watched(lambda: ease(gram(last.train), 800.0, overwrite=True))
    seconds = time.perf_counter() - start
    found = judged(weights, last.test, last.train)
    shown("EASE 800", found, figures, seconds, peak)
    quality = next(one for one in figures if one.startswith("ndcg"))
    near = abs(found.mean(quality) - listed)
    print(f"  listed {listed:.4f}, apart {near:.4f}: {'within .005' if near <= 0.005 else 'MISSED'}")
    assert split.validation is not None
    g = gram(split.train)
    start = time.perf_counter()
    dropout, strength = chosen(g, split.validation, split.train, quality)
    search = time.perf_counter() - start
    start = time.perf_counter()
    weights, peak = watched(lambda: edlae(gram(last.train), dropout, strength, overwrite=True))
    seconds = time.perf_counter() - start
    better = judged(weights, last.test, last.train)
    shown(f"EDLAE {dropout:g}+{strength}", better, figures, seconds, peak)
    gain = better.mean(quality) - found.mean(quality)
    print(f"  chosen on validation users in {search:.0f} s; {gain:+.4f} above EASE 800: {'yes' if gain > 0 else 'NO'}")
    if kinds:
        linear = Knobs("edlae", float(strength), dropout)
        deep(split, last, linear, kinds, figures, {"EASE": found.mean(quality), "EDLAE": better.mean(quality)})


def deep(
    split: Split, last: Split, linear: Knobs, kinds: tuple[str, ...], figures: tuple[str, ...], rivals: dict[str, float]
) -> None:
    """Networks, chosen on the validation users of ``split``, fitted to ``last`` and judged there."""
    assert split.validation is not None
    some = np.arange(min(1500, len(split.validation.users)))
    watching = Group(*(part[some] for part in vars(split.validation).values()))
    candidates: list[Candidate] = []
    for kind in kinds:
        start = time.perf_counter()
        found = choose_deep(Split(split.train, split.items, None, watching), (kind,), linear, DeepKnobs())
        search, start = time.perf_counter() - start, time.perf_counter()
        knobs = found[-1].knobs
        model, peak = watched(lambda knobs=knobs: fitted(last.train, knobs))
        assert isinstance(model, DeepWeights)
        assert knobs.deep is not None
        seconds = time.perf_counter() - start
        shown(IN_WORDS[kind], of_model(DeepWeights(model.composition), last), figures, seconds, peak)
        both_ways = of_model(model, last)
        shown(f"{kind} + {knobs.deep.gain:g} EDLAE", both_ways, figures, seconds, peak)
        gains = ", ".join(
            f"{both_ways.mean(figures[quality_at(figures)]) - rivals[one]:+.4f} above {one}" for one in rivals
        )
        print(
            f"  chosen on validation users in {search:.0f} s: {', '.join(f'{c.name} {c.quality:.4f}' for c in found)}"
        )
        print(f"  {knobs.deep.epochs} epochs; with the path {gains}")
        candidates += found
    best = max(candidates, key=lambda one: one.quality)
    print(f"  the best on validation users: {best.name}, {best.quality:.4f}")


def quality_at(figures: tuple[str, ...]) -> int:
    """Which of the figures is the NDCG."""
    return next(place for place, one in enumerate(figures) if one.startswith("ndcg"))


def of_model(model: Model, split: Split) -> Ranking:
    return ranked(
        model.scores, split.test.given, split.test.wanted, at=(10, 20, 50, 100), popular=popularity(split.train)
    )


def path_of(split: Split) -> None:
    """The path of strengths beside EASE anew for each, on the validation users."""
    g, group = gram(split.train), split.validation
    assert group is not None
    start = time.process_time()
    path = strength_path(g)
    decomposed = time.process_time() - start
    start = time.process_time()
    turned = path.turned(group.given)
    made = {strength: path.scores(turned, strength) for strength in STRENGTHS}
    scored = time.process_time() - start
    start = time.process_time()
    anew = item_scores(group.given, ease(g, STRENGTHS[0]))
    single = time.process_time() - start
    unseen = ~group.given.astype(bool).toarray()
    apart = float(np.abs(made[STRENGTHS[0]] - anew)[unseen].max())
    figures = {
        strength: ranked(lambda rows, s=strength: path.scores(path.turned(rows), s), group.given, group.wanted)
        for strength in STRENGTHS[::3]
    }
    print("path, NDCG@100 of validation users:", {s: round(f.mean("ndcg@100"), 4) for s, f in figures.items()})
    print(
        f"  decomposition {decomposed:.1f} s of work, {len(STRENGTHS)} strengths {scored:.1f} s; EASE anew and scores "
        f"{single:.1f} s each: ratio {(decomposed + scored) / (single * len(STRENGTHS)):.2f}; scores apart {apart:.1e}"
    )


def evaluation(x: scipy.sparse.csr_array) -> None:
    """The time of ranking all items for all users beside that of fitting EASE, in turns."""
    group = folded(x, np.arange(x.shape[0]), 0.2)
    weights = ease(gram(x), 800.0)

    def rank(block: int | None = None) -> Ranking:
        return ranked(lambda rows: item_scores(rows, weights), group.given, group.wanted, rows_at_once=block)

    fit = best_of(3, lambda: ease(gram(x), 800.0, overwrite=True))
    judge = best_of(3, rank)
    one, other = rank(), rank(37)
    apart = max(float(np.abs(one.each[name] - other.each[name]).max()) for name in one.each)
    sizes = f"{x.shape[0]:,} x {x.shape[1]:,}"
    print(f"evaluation of {sizes}: {judge:.2f} s, EASE {fit:.2f} s, ratio {judge / fit:.2f}")
    print(f"  blocks of 37 users: figures apart {apart:.1e}")


def updates(x: scipy.sparse.csr_array) -> None:
    """New users, further items of known users and new items: the updated Gram matrix beside one made anew."""
    first_users = scipy.sparse.diags_array((np.arange(x.shape[0]) < 5000).astype(float))
    old = scipy.sparse.csr_array(first_users @ x[:, :3500])
    start = time.perf_counter()
    g = gram(old)
    first = time.perf_counter() - start
    touched = np.union1d(np.flatnonzero(np.diff(x[:, 3500:].indptr)), np.arange(5000, x.shape[0]))
    start = time.perf_counter()
    g = updated(g, old[touched], x[touched])
    second = time.perf_counter() - start
    whole = gram(x)
    apart = float(np.abs(ease(g, 800.0) - ease(whole, 800.0)).max())
    print(
        f"updates: {len(touched):,} users and {x.shape[1] - 3500} items are new or changed; weights apart {apart:.1e} "
        f"({'equal' if apart <= 1e-6 else 'MISSED'}); Gram anew {first:.1f} s, update {second:.1f} s"
    )


def simulated_matrix(items: int, users: int, seed: int = 0) -> scipy.sparse.csr_array:
    """Users who each like a few of many groups of items; within a group, items are taken by a power law."""
    random = np.random.default_rng(seed)
    groups = max(2, items // 500)
    size = items // groups
    liked = random.zipf(1.3, (users, 3)) % groups
    sizes = np.minimum(random.lognormal(3.0, 0.8, users).astype(np.int64) + 2, 400)
    rows = np.repeat(np.arange(users), sizes)
    group = liked[rows, random.integers(0, 3, len(rows))]
    within = np.minimum((random.pareto(0.7, len(rows)) * 4).astype(np.int64), 10 * size) % size
    numbers = random.permutation(items)[group * size + within]
    made = scipy.sparse.csr_array((np.ones(len(rows)), (rows, numbers)), shape=(users, items))
    made.data[:] = 1
    return made


def simulated(items: int) -> None:
    """The sparse model of many items: its time and memory, and its recall beside the exact model of a part of them."""
    x = simulated_matrix(items, users=items)
    taken = np.flatnonzero(np.bincount(x.indices, minlength=items))
    print(f"simulated: {x.shape[0]:,} users, {items:,} items ({len(taken):,} taken), {x.nnz:,} interactions")
    try:
        check_exact(items)
        print("  the exact model fits here")
    except InputError as error:
        print(f"  exact: {error}")
    split = held_out_users(x, 0, test=1000, validation=0)
    start = time.perf_counter()
    weights, peak = watched(lambda: sparse_ease(split.train, 20.0))
    seconds = time.perf_counter() - start
    print(f"  sparse: {weights.nnz:,} weights; 8 GB: {'fits' if peak < 8000 else 'MISSED'}")
    shown("  sparse", judged(weights, split.test, split.train), SHOWN, seconds, peak)
    popular = popularity(split.train)
    shown("  popularity", ranked(lambda rows: popular_scores(rows, popular), split.test.given, split.test.wanted,
                                 popular=popular), SHOWN)  # fmt: skip
    subset = np.sort(np.argsort(-popularity(x), kind="stable")[: min(4000, items)])
    part = held_out_users(x[:, subset], 0, test=1000, validation=1000)
    for name, fit in (
        ("exact", lambda strength: ease(gram(part.train), strength)),
        ("sparse", lambda strength: sparse_ease(part.train, strength, head=1000)),
    ):
        assert part.validation is not None
        fitted = {strength: fit(strength) for strength in (20.0, 100.0, 500.0)}
        best = max(fitted, key=lambda s: judged(fitted[s], part.validation, part.train).mean("ndcg@100"))
        shown(f"  4,000: {name} {best:g}", judged(fitted[best], part.test, part.train), SHOWN)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[98765, 1, 2])
    parser.add_argument("--evaluation", action="store_true")
    parser.add_argument("--updates", action="store_true")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--deep", nargs="*", choices=tuple(DEEP), help="kinds; none named: those that auto tries")
    parser.add_argument("--threads", type=int, help="of networks; OMP_NUM_THREADS says it of linear algebra")
    parser.add_argument("--no-shipped", action="store_true", help="leave the split as shipped out")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    kinds = () if asked.deep is None else tuple(asked.deep) or FIRST
    if asked.simulated:
        simulated(asked.items)
        return
    train, validation, test = movielens()
    x = scipy.sparse.csr_array(train + validation + test)
    if asked.evaluation:
        evaluation(x)
    if asked.updates:
        updates(x)
    if asked.evaluation or asked.updates:
        return
    for place, seed in enumerate(asked.seeds):
        split = held_out_users(x, seed)
        both(f"seed {seed}", split, SHOWN, LISTED.get(seed, float("nan")), kinds=kinds)
        if not place and not kinds:
            path_of(split)
    if asked.no_shipped:
        return
    everyone, items = np.arange(x.shape[0]), np.arange(x.shape[1])
    shipped = Split(train, items, Group(everyone, train, validation), Group(everyone, train, test))
    known = scipy.sparse.csr_array(train + validation)
    refit = Split(known, items, None, Group(everyone, known, test))
    row("as shipped", *SHIPPED, "error", "fit", "peak")
    # As it was listed: the histories are those of train, though what is in validation is known not to be wanted.
    weights, popular = ease(gram(train), 800.0), popularity(train)
    found = ranked(lambda rows: item_scores(rows, weights), train, test, seen=known, popular=popular)
    shown(
        "popularity",
        ranked(lambda rows: popular_scores(rows, popular), train, test, seen=known, popular=popular),
        SHIPPED,
    )
    shown("EASE 800", found, SHIPPED)
    apart = abs(found.mean("ndcg@10") - LISTED["shipped"])
    print(f"  listed {LISTED['shipped']:.4f}, apart {apart:.4f}: {'within .005' if apart <= 0.005 else 'MISSED'}")
    both("refit", shipped, SHIPPED, LISTED["refit"], refit, kinds)


if __name__ == "__main__":
    main()
