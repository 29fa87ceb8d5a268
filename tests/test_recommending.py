"""What items say of one another: closed forms equal plain solutions, updates equal refits, memory is asked first."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from isthmus.errors import InputError
from isthmus.recommending import gram as grams
from isthmus.recommending import memory, sparse_linear
from isthmus.recommending.gram import gram, mirrored, updated
from isthmus.recommending.linear import check_exact, ease, edlae, item_scores, linear_bytes, reasons
from isthmus.recommending.memory import check_memory, container_leaves, free_bytes, memory_available
from isthmus.recommending.path import strength_path
from isthmus.recommending.popularity import popular_scores, popularity
from isthmus.recommending.sparse_linear import Cells, solved, sparse_bytes, sparse_ease

USERS, COLUMNS = 300, 40


def made(seed: int = 0, users: int = USERS, items: int = COLUMNS, weights: bool = False) -> scipy.sparse.csr_array:
    """Users of three tastes, so that items of one taste say something of one another."""
    random = np.random.default_rng(seed)
    taste = random.integers(0, 3, users)[:, None] == np.arange(items) % 3
    taken = random.random((users, items)) < np.where(taste, 0.35, 0.05)
    return scipy.sparse.csr_array(taken * (random.random((users, items)) * 4 + 1 if weights else 1.0))


def one_by_one(g: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Each column by the ridge regression of its item on all others, in float64."""
    found = np.zeros_like(g)
    for item in range(len(g)):
        others = np.arange(len(g)) != item
        system = g[np.ix_(others, others)] + np.diag(added[others])
        found[others, item] = np.linalg.solve(system, g[others, item])
    return found


# ---------------------------------------------------------------------- the Gram matrix


def test_gram_is_the_product_and_exactly_symmetric(monkeypatch: pytest.MonkeyPatch) -> None:
    x = made(weights=True)
    plain = x.toarray().T @ x.toarray()
    assert np.abs(gram(x) - plain).max() < 1e-9
    monkeypatch.setattr(grams, "CELLS_AT_ONCE", 3 * COLUMNS)
    g = gram(x.astype(np.float32))
    assert g.dtype == np.float64
    assert (g == g.T).all()
    assert np.abs(g - plain).max() < 1e-3
    assert np.abs(gram(x[:100]) + gram(x[100:]) - plain).max() < 1e-9


def test_mirrored_overwrites_the_lower_triangle_in_blocks() -> None:
    square = np.arange(49.0).reshape(7, 7)
    upper = np.triu(square)
    found = mirrored(square, step=3)
    assert found is square
    assert (found == upper + np.triu(upper, 1).T).all()


@pytest.mark.parametrize("weights", [False, True])
def test_an_updated_gram_is_that_of_a_refit(weights: bool) -> None:
    x = made(weights=weights)
    old = scipy.sparse.csr_array(x[:, :35].toarray() * (np.arange(USERS) < 250)[:, None])
    old.data[::7] = 0.5
    g = updated(gram(old), old, x)
    assert g.shape == (COLUMNS, COLUMNS)
    assert (g == g.T).all() or np.abs(g - g.T).max() < 1e-12
    assert np.abs(g - gram(x)).max() < 1e-9
    assert np.abs(ease(g, 20.0) - ease(gram(x), 20.0)).max() < 1e-6


def test_an_update_touches_only_users_that_changed_and_may_take_away() -> None:
    x = made()
    fewer = scipy.sparse.csr_array(x.toarray() * (np.arange(COLUMNS) % 5 > 0))
    assert (updated(gram(x), x[:50], fewer[:50]) == gram(scipy.sparse.vstack([fewer[:50], x[50:]]).tocsr())).all()


def test_updates_of_other_shapes_are_refused() -> None:
    x = made()
    for before, after in ((x[:2], x[:3]), (x[:, :5], x), (x, x[:, :5])):
        with pytest.raises(InputError, match="must hold rows of the same users over the 40 items"):
            updated(gram(x), before, after)


# ---------------------------------------------------------------------- closed forms


def test_ease_is_a_ridge_regression_for_each_item() -> None:
    g = gram(made(weights=True))
    kept = g.copy()
    b = ease(g, 30.0)
    assert (g == kept).all()
    assert b.dtype == np.float32
    assert (np.diag(b) == 0).all()
    assert np.abs(b - one_by_one(g, np.full(COLUMNS, 30.0))).max() < 1e-6
    assert (ease(g, 30.0, overwrite=True) == b).all()


def test_edlae_is_the_expectation_over_dropout() -> None:
    x, dropout, strength = made(), 0.3, 5.0
    g = gram(x)
    b = edlae(g, dropout, strength)
    assert np.abs(b - one_by_one(g, dropout / (1 - dropout) * np.diag(g) + strength)).max() < 1e-6
    # The same from many draws: item 0 is rebuilt from the others, of which some are dropped and the rest scaled up.
    random = np.random.default_rng(0)
    dense, others = x.toarray(), np.arange(COLUMNS) > 0
    system, right, draws = np.zeros((COLUMNS - 1, COLUMNS - 1)), np.zeros(COLUMNS - 1), 400
    for _ in range(draws):
        seen = dense[:, others] * (random.random((USERS, COLUMNS - 1)) >= dropout) / (1 - dropout)
        system += seen.T @ seen / draws
        right += seen.T @ dense[:, 0] / draws
    drawn = np.linalg.solve(system + strength * np.eye(COLUMNS - 1), right)
    assert np.abs(drawn - b[1:, 0]).max() < 0.01
    assert np.abs(b[1:, 0]).max() > 0.1


def test_without_dropout_edlae_is_ease() -> None:
    g = gram(made())
    assert (edlae(g, 0.0, 12.0) == ease(g, 12.0)).all()


def test_an_item_that_nobody_took_says_and_is_said_nothing() -> None:
    x = made()
    x = scipy.sparse.csr_array(scipy.sparse.hstack([x, scipy.sparse.csr_array((USERS, 1))]))
    b = ease(gram(x), 10.0)
    assert (b[-1] == 0).all()
    assert (b[:, -1] == 0).all()
    with pytest.raises(InputError, match="cannot be inverted"):
        edlae(gram(x), 0.5)


@pytest.mark.parametrize("strength", [0, -1.0, np.inf, np.nan, "800", True])
def test_strengths_that_are_none(strength: object) -> None:
    with pytest.raises(InputError, match="strength must be a number above 0; got"):
        ease(np.eye(2), strength)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="strength must be a number above 0; got"):
        sparse_ease(made(), strength)  # type: ignore[arg-type]


@pytest.mark.parametrize("dropout", [1, -0.1, np.nan, None])
def test_dropouts_that_are_none(dropout: object) -> None:
    with pytest.raises(InputError, match="dropout must be a number of at least 0 and below 1; got"):
        edlae(np.eye(2), dropout, 1.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="dropout must be a number of at least 0 and below 1; got"):
        sparse_ease(made(), 1.0, dropout=dropout)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="strength must be a number >= 0; got"):
        edlae(np.eye(2), 0.5, -1)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_path_gives_the_same_weights_and_scores(dropout: float) -> None:
    x = made(weights=True)
    g, histories = gram(x), made(1, 20)
    path = strength_path(g, dropout)
    turned = path.turned(histories)
    unseen = histories.toarray() == 0
    for strength in (1.0, 30.0, 900.0):
        b = edlae(g, dropout, strength)
        assert np.abs(path.weights(strength) - b).max() < 1e-6
        assert np.abs(path.scores(turned, strength) - item_scores(histories, b))[unseen].max() < 1e-5
    assert (np.diff(path.values) >= 0).all()
    with pytest.raises(InputError, match="large enough to invert G; got -1"):
        path.weights(-1e9)
    with pytest.raises(InputError, match="large enough to invert G; got nan"):
        path.weights(float("nan"))


# ---------------------------------------------------------------------- scores and reasons


@pytest.mark.parametrize("sparse", [False, True])
def test_scores_are_sums_of_their_reasons(sparse: bool) -> None:
    x = made(weights=True)
    weights = sparse_ease(x, 20.0, neighbours=7) if sparse else ease(gram(x), 20.0)
    histories = made(3, 9, weights=True)
    scores = item_scores(histories, weights)
    assert scores.dtype == np.float32
    assert scores.shape == (9, COLUMNS)
    for user in range(9):
        taken, shares = reasons(histories[[user]], 5, weights)
        assert sorted(taken.tolist()) == sorted(histories[[user]].indices.tolist())
        assert (np.diff(shares) <= 0).all()
        assert abs(shares.sum() - scores[user, 5]) < 1e-5
    assert (item_scores(scipy.sparse.csr_array((1, COLUMNS)), weights) == 0).all()


def test_the_score_of_a_row_does_not_depend_on_its_neighbours() -> None:
    weights, histories = ease(gram(made()), 20.0), made(3)
    whole = item_scores(histories, weights)
    parts = [item_scores(histories[start : start + 7], weights) for start in range(0, USERS, 7)]
    assert (np.concatenate(parts) == whole).all()


def test_popularity_is_the_same_for_everyone() -> None:
    x = made(weights=True)
    popular = popularity(x)
    assert np.abs(popular - x.toarray().sum(0)).max() < 1e-9
    assert (popular_scores(x[:3], popular) == popular).all()
    assert popular_scores(x[:3], popular).shape == (3, COLUMNS)


# ---------------------------------------------------------------------- few neighbours


@pytest.mark.parametrize("head", [0, 10, 1000])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_with_all_neighbours_the_sparse_model_is_the_exact_one(head: int, dropout: float) -> None:
    x = made(users=2000, weights=True)
    assert (gram(x) > 0).all()
    found = sparse_ease(x, 30.0, head=head, dropout=dropout)
    assert found.dtype == np.float32
    assert np.abs(found.toarray() - edlae(gram(x), dropout, 30.0)).max() < 1e-6


def test_the_neighbours_are_the_nearest_by_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_linear, "CELLS_AT_ONCE", 100)
    x = made(weights=True)
    g = gram(x)
    found = sparse_ease(x, 30.0, neighbours=6, head=15, kept=COLUMNS)
    lengths = np.sqrt(np.diag(g))
    cosine = g / lengths[:, None] / lengths
    np.fill_diagonal(cosine, -1)
    for item in range(COLUMNS):
        near = np.sort(np.argsort(-cosine[item], kind="stable")[:6])
        assert np.flatnonzero(found[:, [item]].toarray()[:, 0]).tolist() == near.tolist()
        b = np.linalg.solve(g[np.ix_(near, near)] + 30.0 * np.eye(6), g[near, item])
        assert np.abs(found.toarray()[near, item] - b).max() < 1e-6
    assert (np.diff(found.indptr) >= 0).all()
    assert found.has_sorted_indices


def test_cells_are_known_where_either_item_keeps_them() -> None:
    g = scipy.sparse.csr_array(np.array([[0, 2.0, 0, 0], [0, 0, 0, 0], [0, 5.0, 0, 0], [0, 0, 0, 0]]))
    x = scipy.sparse.csr_array(np.array([[0, 1.0, 0, 1.0], [0, 2.0, 0, 1.0]]))
    cells = Cells(g, np.array([1, 3]), x)
    found = cells.among(np.array([0, 1, 2, 3]))
    np.fill_diagonal(found, 0)
    assert found.tolist() == [[0, 2, 0, 0], [2, 0, 5, 3], [0, 5, 0, 0], [0, 3, 0, 0]]
    assert cells.among(np.array([2])).shape == (1, 1)


def test_systems_that_lost_cells_are_drawn_to_their_diagonal() -> None:
    system = np.array([[0.0, 4.0], [4.0, 0.0]])
    found = solved(system.copy(), np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    assert np.allclose(found, 1 / 1.5)  # 4 is halved three times before the matrix is positive definite
    assert solved(np.zeros((0, 0)), np.zeros(0), np.zeros(0)).tolist() == []


def test_items_without_neighbours_have_no_weights() -> None:
    x = scipy.sparse.csr_array(np.array([[1.0, 1.0, 0, 0], [1.0, 1.0, 0, 0], [0, 0, 1.0, 0]]))
    found = sparse_ease(x, 1.0).toarray()
    assert (found[:2, :2] != 0).sum() == 2
    assert (found[2:] == 0).all()
    assert (found[:, 2:] == 0).all()


def test_cutting_cells_costs_little_where_the_head_is_whole() -> None:
    x = made(users=2000, items=120)
    exact, cut = sparse_ease(x, 30.0, neighbours=20, head=120), sparse_ease(x, 30.0, neighbours=20, head=60, kept=40)
    assert np.abs(exact - cut).max() < 0.15
    assert np.corrcoef(exact.toarray().ravel(), cut.toarray().ravel())[0, 1] > 0.97


def test_knobs_of_the_sparse_model() -> None:
    with pytest.raises(InputError, match="kept must be a whole number >= 100; got 50"):
        sparse_ease(made(), 1.0, kept=50)
    with pytest.raises(InputError, match="neighbours must be a whole number >= 1; got 0"):
        sparse_ease(made(), 1.0, neighbours=0)


# ---------------------------------------------------------------------- memory


def test_what_does_not_fit_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 8 * memory.GIB)
    with pytest.raises(InputError, match=re.escape("The exact model of 200,000 items")) as caught:
        check_exact(200_000)
    assert re.search(
        r"needs 7\d\d\.\d GiB of memory, and 8.0 GiB are free. The sparse method, which keeps", str(caught.value)
    )
    with pytest.raises(InputError, match="The Gram matrix of 100,000 items needs 7"):
        gram(scipy.sparse.csr_array((2, 100_000)))
    with pytest.raises(InputError, match=r"The sparse model of 9,000,000 items .* Try kept=250\."):
        sparse_ease(scipy.sparse.csr_array((2, 9_000_000)), 1.0)
    assert sparse_bytes(200_000) < 8 * memory.GIB
    assert linear_bytes(30_000) + grams.gram_bytes(30_000) < 24 * memory.GIB
    for one in (lambda: ease(np.eye(3), 1.0), lambda: strength_path(np.eye(3))):
        monkeypatch.setattr(memory, "free_bytes", lambda: 10)
        with pytest.raises(InputError, match=r"3 items needs 0\.0 GiB"):
            one()
    monkeypatch.setattr(memory, "free_bytes", lambda: None)
    check_memory(2**80, "Anything")


def test_free_memory_is_read_from_the_system(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    5 kB\n")
    assert memory_available(tmp_path / "meminfo") == 5 * 1024
    assert memory_available(tmp_path / "none") is not None
    assert container_leaves(tmp_path) is None
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 50\n")
    (tmp_path / "memory.max").write_text("1000\n")
    assert container_leaves(tmp_path) == 350
    (tmp_path / "memory.max").write_text("max\n")
    assert container_leaves(tmp_path) is None
    found = free_bytes()
    assert found is None or found > 0
