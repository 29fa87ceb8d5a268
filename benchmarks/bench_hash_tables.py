"""Exact search among binary codes: the hash tables of isthmus beside Faiss's flat scan, in one run and threads.

Made codes, from clusters: cluster sizes are log-normal around 60 rows (100 on average, some of thousands), a row is the
centre of its cluster with each bit flipped with probability 15/256 (6 %), and 5 % of the rows are anywhere. The queries
are further rows of the same kind, so they differ from their neighbours twice.

Bars, 1 and 10 million codes: at 64 bits, one query a call, radius 2 and k = 10, faster than Faiss (ratio below 1) with
at least 90 % of the queries answered by the tables; at 128 bits and with 100 queries a call at most 1.1 x its time;
no row lost. With Faiss installed isthmus scans with it; its NumPy core, which needs nothing, is timed apart.

    python benchmarks/bench_hash_tables.py [--rows 1000000 10000000] [--bits 64 128] [--threads 1] [--quick]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from common import row

from isthmus.index.bits import distances, packed
from isthmus.index.search import Search

K, RADIUS = 10, 2
FLIPPED, ANYWHERE = 15, 0.05
"""Bits of 256 that differ from the centre of the cluster, and the share of rows that are in none."""

ROUND = 20
"""Queries that one engine answers in turn before the other does, so that both meet the same machine."""


def made(rows: int, bits: int, seed: int = 0) -> np.ndarray:
    """(rows, words) codes in clusters, in random order."""
    random = np.random.default_rng(seed)
    sizes = np.maximum(random.lognormal(np.log(60), 1, rows // 90).astype(np.int64), 1)
    centres = random.random((len(sizes), bits), dtype=np.float32) < 0.5
    clusters = random.permutation(np.resize(np.repeat(np.arange(len(sizes)), sizes), rows))
    parts = []
    for start in range(0, rows, 1 << 17):
        own = clusters[start : start + (1 << 17)]
        several = centres[own] ^ (random.integers(0, 256, (len(own), bits), np.uint8) < FLIPPED)
        free = random.random(len(own)) < ANYWHERE
        several[free] = random.random((int(free.sum()), bits)) < 0.5
        parts.append(packed(several))
    return np.concatenate(parts)


def in_turn(works: list[Callable[[int], object]], queries: int) -> list[np.ndarray]:
    """Seconds of each work for each query, one query a call."""
    seconds = [np.empty(queries) for _ in works]
    for start in range(0, queries, ROUND):
        for work, each in zip(works, seconds, strict=True):
            for query in range(start, min(start + ROUND, queries)):
                begun = time.perf_counter()
                work(query)
                each[query] = time.perf_counter() - begun
    return seconds


def lost_rows(search: Search, codes: np.ndarray, queries: np.ndarray) -> tuple[int, int, int]:
    """Rows that brute force finds and the search, asked for one query at a time, does not; how many there are; and
    how many of the nearest are not in their place."""
    lost, all_rows, misplaced = 0, 0, 0
    for query in range(len(queries)):
        asked = queries[query : query + 1]
        apart = distances(asked, codes)[0]
        limit = np.partition(apart, K - 1)[K - 1]
        near = np.flatnonzero(apart <= limit)
        near = near[np.argsort(apart[near], kind="stable")][:K]
        inside = np.flatnonzero(apart <= RADIUS)
        found, around = search.nearest(asked, K).rows[0], search.within(asked, RADIUS).rows
        lost += len(np.setdiff1d(near, found)) + len(np.setdiff1d(inside, around))
        misplaced += int((near != found).sum())
        all_rows += K + len(inside)
    return lost, all_rows, misplaced


def compare(rows: int, bits: int, queries: int, threads: int) -> None:
    import faiss

    faiss.omp_set_num_threads(threads)
    every = made(rows + queries, bits)
    codes, asked = every[:rows].copy(), every[rows:].copy()
    octets = asked.view(np.uint8)
    flat = faiss.IndexBinaryFlat(bits)
    flat.add(codes.view(np.uint8))
    print(f"\n{rows:,} codes of {bits} bits, Faiss {faiss.__version__} with {threads} thread(s)")
    hundred = min(queries, 100)
    for engine in ("faiss", "numpy"):
        begun = time.perf_counter()
        search = Search(codes, bits, engine).prepare()
        seconds = time.perf_counter() - begun
        tables = len(search.made.plan.groups) if search.made is not None else 0
        print(
            f"isthmus, {engine} scan: {tables} tables made in {seconds:.1f} s; "
            f"{codes.nbytes / rows:.0f} bytes an item for the codes, {search.bytes / rows:.1f} for the tables"
        )
        row("a call", "asks for", "isthmus ms", "median", "Faiss ms", "median", "ratio", "by tables", "looked at")
        asks: list[tuple[str, Callable[..., object], Callable[..., object]]] = [
            (f"k = {K}", lambda some, s=search: s.nearest(some, K), lambda some: flat.search(some, K)),
            (f"r = {RADIUS}", lambda s_, s=search: s.within(s_, RADIUS), lambda s_: flat.range_search(s_, RADIUS + 1)),
        ]
        for name, ours, theirs in asks:
            ours(asked[:1]), theirs(octets[:1])
            one, other = in_turn(
                [lambda i, f=ours: f(asked[i : i + 1]), lambda i, f=theirs: f(octets[i : i + 1])], queries
            )
            report("1 query", name, one, other, ours(asked))
            repeats = 5 if rows <= 2_000_000 else 2
            turns = [in_turn([lambda _, f=ours: f(asked[:hundred]), lambda _, f=theirs: f(octets[:hundred])], 1)
                     for _ in range(repeats)]  # fmt: skip
            one, other = (np.array([turn[which][0] for turn in turns]) for which in (0, 1))
            report(f"{hundred} queries", name, one, other, ours(asked[:hundred]))
        lost, all_rows, misplaced = lost_rows(search, codes, asked[:hundred])
        print(f"rows lost: {lost} of {all_rows:,} that brute force finds; in another place: {misplaced}", flush=True)


def report(call: str, name: str, ours: np.ndarray, theirs: np.ndarray, answer: object) -> None:
    """A line of the table; the ratio is that of all the time taken."""
    by_tables, scanned = answer.by_tables, answer.scanned  # type: ignore[attr-defined]
    row(
        call, name, *(1000 * float(f(t)) for t in (ours, theirs) for f in (np.mean, np.median)),
        float(ours.sum() / theirs.sum()), f"{100 * by_tables.mean():.0f} %", f"{np.median(scanned):,.0f}",
    )  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    arguments.add_argument("--bits", type=int, nargs="+", default=[64, 128])
    arguments.add_argument("--queries", type=int, default=200)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--quick", action="store_true", help="200,000 codes")
    chosen = arguments.parse_args()
    for rows in [200_000] if chosen.quick else chosen.rows:
        for bits in chosen.bits:
            compare(rows, bits, chosen.queries, chosen.threads)


if __name__ == "__main__":
    main()
