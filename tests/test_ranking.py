"""Figures of rankings equal a plain reference, whatever the blocks; splits hide what they say."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse

from isthmus.errors import InputError
from isthmus.ranking import Ranking, ranked, top
from isthmus.recommending.splits import held_out_users, hidden_entries, later_entries

USERS, COLUMNS = 90, 60


def drawn(seed: int = 0) -> tuple[np.ndarray, scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """Scores with many ties, what is given and what is to be found; of some users nothing is."""
    random = np.random.default_rng(seed)
    scores = random.integers(0, 12, (USERS, COLUMNS)).astype(np.float32)
    part = random.random((USERS, COLUMNS))
    wanted = (part < 0.1) & (np.arange(USERS) % 7 > 0)[:, None]
    wanted[1] = part[1] < 0.9
    given = (part > 0.9) & ~wanted
    return scores, scipy.sparse.csr_array(given * 1.0), scipy.sparse.csr_array(wanted * 2.0)


def by_rows(scores: np.ndarray, wanted: scipy.sparse.csr_array) -> Callable[[scipy.sparse.csr_array], np.ndarray]:
    """The scores of one block after the other, of users with something to be found."""
    left = scores[np.diff(wanted.indptr) > 0]
    done = [0]

    def of(rows: scipy.sparse.csr_array) -> np.ndarray:
        done[0] += rows.shape[0]
        return left[done[0] - rows.shape[0] : done[0]]

    return of


def slowly(scores: np.ndarray, given: np.ndarray, wanted: np.ndarray, k: int, popular: np.ndarray) -> dict[str, list]:
    """The definitions, word by word."""
    found: dict[str, list] = {name: [] for name in ("recall", "truncated_recall", "ndcg", "novelty", "coverage")}
    listed = set()
    for user in range(len(scores)):
        sought = set(np.flatnonzero(wanted[user]).tolist())
        if not sought:
            continue
        order = sorted(range(scores.shape[1]), key=lambda item: (given[user, item] > 0, -scores[user, item], item))
        first = order[:k]
        listed.update(first)
        hits = [item in sought for item in first]
        gain = sum(hit / np.log2(place + 2) for place, hit in enumerate(hits))
        found["recall"].append(sum(hits) / len(sought))
        found["truncated_recall"].append(sum(hits) / min(k, len(sought)))
        found["ndcg"].append(gain / sum(1 / np.log2(place + 2) for place in range(min(k, len(sought)))))
        found["novelty"].append(np.mean([-np.log2(popular[item] / popular.sum()) for item in first]))
    found["coverage"].append(len(listed) / scores.shape[1])
    return found


@pytest.mark.parametrize("k", [1, 5, 20, 40])
def test_figures_equal_a_plain_reference(k: int) -> None:
    scores, given, wanted = drawn()
    popular = np.random.default_rng(1).integers(1, 50, COLUMNS).astype(float)
    found = ranked(by_rows(scores, wanted), given, wanted, at=[k], popular=popular)
    slow = slowly(scores, given.toarray(), wanted.toarray(), k, popular)
    for name in ("recall", "truncated_recall", "ndcg", "novelty"):
        assert len(found.each[f"{name}@{k}"]) == len(slow[name])
        assert np.abs(found.each[f"{name}@{k}"] - slow[name]).max() < 1e-9
        assert abs(found.mean(f"{name}@{k}") - np.mean(slow[name])) < 1e-9
    assert found.mean(f"coverage@{k}") == slow["coverage"][0]
    assert found.users.tolist() == np.flatnonzero(wanted.toarray().any(1)).tolist()


def test_figures_do_not_depend_on_blocks_nor_on_the_other_k() -> None:
    scores, given, wanted = drawn()
    every = [
        ranked(by_rows(scores, wanted), given, wanted, at=at, rows_at_once=rows)
        for rows, at in ((None, (5, 20)), (1, (20, 5)), (7, (5, 20, 60)), (89, (20, 5)))
    ]
    for other in every[1:]:
        for name in every[0].each:
            assert (other.each[name] == every[0].each[name]).all()
        assert other.whole["coverage@20"] == every[0].whole["coverage@20"]


def test_what_is_seen_is_never_listed() -> None:
    scores, given, wanted = drawn()
    other = scipy.sparse.csr_array((scores > 10) & ~(wanted.toarray() > 0)) * 1.0
    found = ranked(by_rows(scores, wanted), given, wanted, seen=scipy.sparse.csr_array(other), at=[20])
    slow = slowly(scores, other.toarray(), wanted.toarray(), 20, np.ones(COLUMNS))
    assert np.abs(found.each["recall@20"] - slow["recall"]).max() < 1e-9


def test_a_perfect_and_a_useless_ranking() -> None:
    _, given, wanted = drawn()
    best = ranked(by_rows(wanted.toarray(), wanted), given, wanted, at=[3, 100])
    assert best.mean("truncated_recall@3") == best.mean("ndcg@100") == best.mean("recall@100") == 1
    worst = ranked(by_rows(-wanted.toarray(), wanted), given, wanted, at=[3])
    assert worst.mean("ndcg@3") < 0.05


def test_means_and_standard_errors() -> None:
    figures = Ranking(np.arange(4), {"recall@1": np.array([0.0, 1.0, 1.0, 0.0])}, {"coverage@1": 0.5})
    assert figures.mean("recall@1") == 0.5
    assert figures.mean("coverage@1") == 0.5
    assert abs(figures.standard_error("recall@1") - np.sqrt(1 / 3) / 2) < 1e-12
    assert np.isnan(Ranking(np.arange(1), {"a": np.ones(1)}, {}).standard_error("a"))


def test_top_breaks_ties_by_number() -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 5, (200, 30)).astype(np.float32)
    scores[random.random(scores.shape) < 0.3] = -np.inf
    for k in (1, 7, 29, 30):
        assert (top(scores, k) == np.argsort(-scores, axis=1, kind="stable")[:, :k]).all()
    assert top(np.zeros((0, 4)), 2).shape == (0, 2)


def test_what_cannot_be_ranked() -> None:
    scores, given, wanted = drawn()
    with pytest.raises(InputError, match="k must be at most the number of items, 60; got 61"):
        top(scores, 61)
    with pytest.raises(InputError, match="scores hold NaN"):
        top(np.array([[np.nan, 1.0]]), 1)
    with pytest.raises(InputError, match="scores must return"):
        ranked(lambda rows: np.zeros((1, 1)), given, wanted)
    with pytest.raises(InputError, match="no user has anything to be found"):
        ranked(by_rows(scores, wanted), given, scipy.sparse.csr_array(given.shape))
    with pytest.raises(InputError, match="must be of the same users and items"):
        ranked(by_rows(scores, wanted), given[:3], wanted)
    with pytest.raises(InputError, match="at must hold whole numbers >= 1"):
        ranked(by_rows(scores, wanted), given, wanted, at=[0])
    place = wanted.tocoo()
    said = f"item {place.col[0]} of user {place.row[0]} is among what is seen"
    with pytest.raises(InputError, match=re.escape(said)):
        ranked(by_rows(scores, wanted), wanted, wanted)


# ---------------------------------------------------------------------- splits


def taken(seed: int = 0) -> scipy.sparse.csr_array:
    random = np.random.default_rng(seed)
    return scipy.sparse.csr_array(random.random((USERS, COLUMNS)) < np.linspace(0.01, 0.6, USERS)[:, None]) * 1.0


def test_held_out_users_are_those_of_the_protocol() -> None:
    x = taken()
    split = held_out_users(x, seed=7, test=20, validation=10)
    order = np.random.RandomState(7).permutation(USERS)
    items = np.flatnonzero(x[order[30:]].sum(0))
    assert split.items.tolist() == items.tolist()
    assert (split.train != x[order[30:]][:, items]).nnz == 0
    assert split.validation is not None
    for group, users in ((split.test, order[:20]), (split.validation, order[20:30])):
        random = np.random.RandomState(98765)
        assert group.users.tolist() == users.tolist()
        for place, user in enumerate(users):
            known = np.flatnonzero(x[:, items].toarray()[user])
            hidden = []
            if len(known) >= 5:
                hidden = known[random.choice(len(known), int(0.2 * len(known)), replace=False)].tolist()
            assert np.flatnonzero(group.wanted.toarray()[place]).tolist() == sorted(hidden)
            assert np.flatnonzero(group.given.toarray()[place]).tolist() == sorted(set(known.tolist()) - set(hidden))


def test_hidden_entries_are_a_share_of_each_user() -> None:
    x = taken()
    split = hidden_entries(x, np.random.default_rng(3), 0.25)
    sizes = np.diff(x.indptr)
    expected = np.where(sizes >= 5, (0.25 * sizes).astype(int), 0)
    assert split.items.tolist() == list(range(COLUMNS))
    assert split.test.users.tolist() == np.flatnonzero(expected).tolist()
    assert np.diff(split.test.wanted.indptr).tolist() == expected[expected > 0].tolist()
    whole = split.train.copy().tolil()
    whole[split.test.users] = split.test.given + split.test.wanted
    assert (whole.tocsr() != x).nnz == 0
    assert split.test.given.multiply(split.test.wanted).nnz == 0
    again = hidden_entries(x, np.random.default_rng(3), 0.25)
    other = hidden_entries(x, np.random.default_rng(4), 0.25)
    assert (again.test.wanted != split.test.wanted).nnz == 0
    assert (other.test.wanted != split.test.wanted).nnz > 0


def test_later_entries_are_learnt_from_by_nobody() -> None:
    x = taken()
    times = np.random.default_rng(0).permutation(x.nnz).astype(float)
    split = later_entries(x, times, 0.3)
    moment = np.sort(times)[int(np.ceil(0.7 * (x.nnz - 1)))]
    dated = scipy.sparse.csr_array((times + 1, x.indices, x.indptr), shape=x.shape).toarray()
    early = (dated > 0) & (dated - 1 < moment)
    assert split.items.tolist() == np.flatnonzero(early.any(0)).tolist()
    assert ((split.train.toarray() > 0) == early[:, split.items]).all()
    late = ((dated - 1 >= moment) & (dated > 0))[:, split.items]
    judged = np.flatnonzero(early.any(1) & late.any(1))
    assert split.test.users.tolist() == judged.tolist()
    assert ((split.test.wanted.toarray() > 0) == late[judged]).all()
    assert split.validation is None


def test_splits_that_cannot_be() -> None:
    x = taken()
    with pytest.raises(InputError, match=r"must leave users to learn from: there are 90, and 80 \+ 10"):
        held_out_users(x, 0, test=80, validation=10)
    with pytest.raises(InputError, match="seed must be a whole number >= 0; got -1"):
        held_out_users(x, -1, test=8, validation=1)
    for share in (0, 1, 1.5, "a"):
        with pytest.raises(InputError, match="the share to be found must be"):
            hidden_entries(x, np.random.default_rng(0), share)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="times must have one number for each"):
        later_entries(x, np.zeros(3))
    with pytest.raises(InputError, match="come at one moment"):
        later_entries(x, np.zeros(x.nnz))
    assert held_out_users(x, 0, test=8, validation=0).validation is None
