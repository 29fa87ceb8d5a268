"""Binary codes for search beside their rivals: 20 Newsgroups and MNIST, at 16, 32, 64 and 128 bits.

Every method gets the same rows and never a label. Of 20 Newsgroups each message counts once (cross-posts repeat them),
and of its headers the subject alone is kept, because ``Newsgroups:``, ``Path:`` and ``Xref:`` hold the label, and
addresses nearly do. The rows are scikit-learn's TF-IDF of 10,000 words, English stop words left out, logarithms of
counts; the words are those of the database. 2,000 queries are drawn by the seed, all other rows are the database, from
which codes are learnt too.

Rivals: float cosine of these rows; LSH (signs of random projections of the centred rows); PCA-sign; ITQ (Gong &
Lazebnik 2011) of as many principal components as there are bits, by a plain few lines of their own. Precision is the
share of the first 100 with the query's label, of equal distances by their share. Within radius 2: precision over what
is found (queries that find nothing left out), recall, and how many find nothing. Candidates and milliseconds are those
of `isthmus.index.search.Search`, one query a call, 10 neighbours, tables made before.

    ISTHMUS_DATA=... python benchmarks/bench_retrieval.py [--quick] [--data 20newsgroups mnist] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch
from common import images, row
from scipy.sparse.linalg import LinearOperator, svds
from sklearn.feature_extraction.text import TfidfVectorizer

from isthmus.data.builtin import named
from isthmus.estimators.hashing import Hasher
from isthmus.index.bits import packed
from isthmus.index.search import Search

QUERIES, FIRST = 2000, 100


def newsgroups(seed: int, most: int | None) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """Database rows and labels, query rows and labels."""
    archive = Path(os.environ.get("ISTHMUS_DATA", "")) / "20newsgroups" / "20_newsgroup.tar.gz"
    if not archive.exists():
        print("skipped: set ISTHMUS_DATA to a folder that holds 20newsgroups/20_newsgroup.tar.gz")
        sys.exit(0)
    texts, groups = messages(archive)
    y = np.unique(groups, return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(len(texts))
    asked, database = order[:QUERIES], order[QUERIES:][:most]
    words = TfidfVectorizer(max_features=10_000, sublinear_tf=True, stop_words="english", dtype=np.float32)
    X, Q = words.fit_transform([texts[i] for i in database]), words.transform([texts[i] for i in asked])
    full, asks = np.diff(X.indptr) > 0, np.diff(Q.indptr) > 0  # messages of no known word have no direction
    return X[full], y[database][full], Q[asks], y[asked][asks]


def messages(archive: Path) -> tuple[list[str], list[str]]:
    """Texts, subject first, and their groups, every message once."""
    texts, groups, known = [], [], set()
    with tarfile.open(archive) as unpacked:
        for member in unpacked:
            if not member.isfile():
                continue
            head, _, body = unpacked.extractfile(member).read().decode("latin-1").partition("\n\n")  # type: ignore
            name = re.search(r"^Message-ID:(.*)$", head, re.M | re.I)
            marks = {body, name.group(1).strip() if name else body}
            if marks & known:
                continue
            known |= marks
            subject = re.search(r"^Subject:(.*)$", head, re.M | re.I)
            texts.append(f"{subject.group(1) if subject else ''}\n{body}")
            groups.append(Path(member.name).parent.name)
    return texts, groups


def mnist(seed: int, most: int | None) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    images("mnist")  # which skips, in words, where there is none
    train, y_train, test, y_test = named("mnist")
    X, y = np.concatenate([train, test]), np.concatenate([y_train, y_test])
    order = np.random.default_rng(seed).permutation(len(X))
    asked, database = order[:QUERIES], order[QUERIES:][:most]
    return X[database], y[database], X[asked], y[asked]


# ---------------------------------------------------------------------- rivals


def principal(X: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (features,) and components (features, size) of the centred rows, sparse ones never dense."""
    mean = np.asarray(X.mean(0), dtype=np.float32).ravel()
    centred = LinearOperator(
        X.shape,
        matvec=lambda v: X @ v - mean @ v,
        rmatvec=lambda u: X.T @ u - mean * u.sum(),
        matmat=lambda v: X @ v - mean @ v,
        rmatmat=lambda u: X.T @ u - np.outer(mean, u.sum(0)),
        dtype=np.float32,
    )
    _, values, components = svds(centred, k=size, random_state=0)
    return mean, components[np.argsort(-values)].T


def itq(Z: np.ndarray, rounds: int = 50) -> np.ndarray:
    """The rotation of Gong & Lazebnik's published code."""
    bits = Z.shape[1]
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((bits, bits)))[0]
    for _ in range(rounds):
        left, _, right = np.linalg.svd(np.where(Z @ turned > 0, 1.0, -1.0).T @ Z)
        turned = (left @ right).T
    return turned


# ---------------------------------------------------------------------- figures


def hamming(codes: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(queries, rows) distances of bits given as truth values."""
    signs, theirs = (np.where(some, 1.0, -1.0).astype(np.float32) for some in (codes, asked))
    return np.rint((codes.shape[1] - theirs @ signs.T) / 2).astype(np.int64)


def figures(codes: np.ndarray, y: np.ndarray, asked: np.ndarray, y_asked: np.ndarray) -> dict[str, float]:
    """Precision of the first 100; precision, recall and empty answers within radius 2."""
    bits, first, near, recall, empty = codes.shape[1], [], [], [], []
    for start in range(0, len(asked), 200):
        same = y == y_asked[start : start + 200, None]
        apart = hamming(codes, asked[start : start + 200])
        place = (apart + np.arange(len(apart))[:, None] * (bits + 1)).ravel()
        cells = len(apart) * (bits + 1)
        there = np.bincount(place, minlength=cells).reshape(len(apart), -1)
        right = np.bincount(place, weights=same.ravel(), minlength=cells).reshape(len(apart), -1)
        taken = np.clip(FIRST - (there.cumsum(1) - there), 0, there)
        first.append((right * taken / np.maximum(there, 1)).sum(1) / FIRST)
        found, hits = there[:, :3].sum(1), right[:, :3].sum(1)
        near.append((hits / np.maximum(found, 1))[found > 0])
        recall.append(hits / same.sum(1))
        empty.append(found == 0)
    within = np.concatenate(near)
    return {
        "p@100": float(np.concatenate(first).mean()),
        "p r2": float(within.mean()) if len(within) else float("nan"),
        "rec r2": float(np.concatenate(recall).mean()),
        "empty": float(np.concatenate(empty).mean()),
    }


def cost(codes: np.ndarray, asked: np.ndarray, engine: str) -> dict[str, float]:
    """Candidates and milliseconds of one query a call."""
    search = Search(packed(codes), codes.shape[1], engine=engine).prepare()
    queries, looked_at = packed(asked[:200]), 0
    search.nearest(queries[:1], 10)
    began = time.perf_counter()
    for place in range(len(queries)):
        looked_at += int(search.nearest(queries[place : place + 1], 10).scanned[0])
    return {"scanned": looked_at / len(queries), "ms": 1000 * (time.perf_counter() - began) / len(queries)}


def cosine(X: Any, y: np.ndarray, Q: Any, y_asked: np.ndarray) -> float:
    """Precision of the first 100 by float cosine."""
    X, Q = unit(X), unit(Q)
    found = []
    for start in range(0, Q.shape[0], 200):
        likeness = Q[start : start + 200] @ X.T
        likeness = likeness.toarray() if scipy.sparse.issparse(likeness) else likeness
        top = np.argpartition(-likeness, FIRST, axis=1)[:, :FIRST]
        found.append((y[top] == y_asked[start : start + 200, None]).mean())
    return float(np.mean(found))


def unit(X: Any) -> Any:
    if scipy.sparse.issparse(X):
        return X  # TF-IDF has length 1
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)


# ---------------------------------------------------------------------- the table


def codes_of(methods: list[str], X: Any, Q: Any, flat: Any, asked: Any, bits: int, seed: int) -> Any:
    """(name, seconds to learn, codes, codes of the queries) of every rival and method."""
    began = time.perf_counter()
    mean, components = principal(flat, bits)
    Z, ZQ = (np.asarray(some @ components - mean @ components) for some in (flat, asked))
    took = time.perf_counter() - began
    yield "PCA-sign", took, Z > 0, ZQ > 0
    turned = itq(Z)
    yield "ITQ", time.perf_counter() - began, Z @ turned > 0, ZQ @ turned > 0
    planes = np.random.default_rng(seed).standard_normal((flat.shape[1], bits)).astype(np.float32)
    yield "LSH", 0.0, *(some @ planes - mean @ planes > 0 for some in (flat, asked))
    for method in methods:
        began = time.perf_counter()
        hasher = Hasher.learn(X, bits, method, seed=seed)
        took = time.perf_counter() - began
        yield method, took, hasher.floats(X) > 0, hasher.floats(Q) > 0


COLUMNS = ("p@100", "p r2", "rec r2", "empty", "scanned", "ms")


def bench(name: str, seeds: list[int], lengths: list[int], most: int | None, others: bool, engine: str) -> bool:
    """The table of one data set; whether "auto" is above ITQ in the mean of the seeds at every length."""
    means: dict[tuple[int, str], list[float]] = {}
    row("data", "seed", "bits", "codes", *COLUMNS, "v ITQ", "learn s")
    for seed in seeds:
        X, y, Q, y_asked = {"20newsgroups": newsgroups, "mnist": mnist}[name](seed, most)
        flat, asked = (
            some if scipy.sparse.issparse(some) else some.reshape(len(some), -1).astype(np.float32) for some in (X, Q)
        )
        by_floats = cosine(flat, y, asked, y_asked)
        row(name, seed, "float", "cosine", by_floats)
        methods = ["auto", *(["balanced", "itq"] if others and seed == seeds[0] else [])]
        for bits in lengths:
            for method, took, codes, theirs in codes_of(methods, X, Q, flat, asked, bits, seed):
                found = figures(codes, y, theirs, y_asked) | cost(codes, theirs, engine)
                means.setdefault((bits, method), []).append(found["p@100"])
                delta = found["p@100"] - means[bits, "ITQ"][-1] if (bits, "ITQ") in means else float("nan")
                row(name, seed, bits, method, *(found[column] for column in COLUMNS), delta, took)
    above = True
    print(
        f"\n{name}: precision of the first {FIRST}, mean of {len(seeds)} seeds (least of the seeds' leads in brackets)"
    )
    for bits in lengths:
        ours, rival = np.array(means[bits, "auto"]), np.array(means[bits, "ITQ"])
        above &= bool(ours.mean() > rival.mean())
        verdict = "above" if ours.mean() > rival.mean() else "LOST"
        row(bits, "auto", float(ours.mean()), "ITQ", float(rival.mean()), "ratio", float(ours.mean() / rival.mean()))
        print(f"    {verdict}: by {ours.mean() - rival.mean():+.4f} ({(ours - rival).min():+.4f})", flush=True)
    return above


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, 32 bits, 4,000 rows")
    parser.add_argument("--data", nargs="+", default=["20newsgroups", "mnist"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--bits", nargs="+", type=int, default=[16, 32, 64, 128])
    parser.add_argument("--auto-only", action="store_true", help="leave out the two other methods")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engine", default="auto", choices=["auto", "numpy", "faiss"])
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    seeds, lengths = ([chosen.seeds[0]], [32]) if chosen.quick else (chosen.seeds, chosen.bits)
    most = 4000 if chosen.quick else None
    kept = [bench(name, seeds, lengths, most, not chosen.auto_only, chosen.engine) for name in chosen.data]
    print("above ITQ everywhere" if all(kept) else "NOT above ITQ everywhere")


if __name__ == "__main__":
    main()
