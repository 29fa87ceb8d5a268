"""Reasons: the closed form against every set tried out, and what must hold of any model."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from isthmus.errors import InputError
from isthmus.reasons import LEAST_VARIANCE, Conditional, OneByOne, never, of_energy, search


def related(columns: int, factors: int = 2, seed: int = 0) -> tuple[Conditional, np.random.Generator]:
    """A normal model of columns that share factors, and a generator."""
    random = np.random.default_rng(seed)
    loadings = random.normal(size=(columns, factors))
    loadings *= np.sqrt(0.7 / np.square(loadings).sum(1, keepdims=True))
    covariance = loadings @ loadings.T + 0.3 * np.eye(columns)
    return Conditional.of(torch.from_numpy(random.normal(size=columns)), torch.from_numpy(covariance)), random


def rows_of(model: Conditional, random: np.random.Generator, rows: int, shifted: int = 0) -> tuple[Tensor, np.ndarray]:
    """Rows drawn by the model, so many cells of each shifted far, and which those are, in rising order."""
    x = random.multivariate_normal(model.mean.numpy(), model.covariance.numpy(), size=rows)
    where = np.sort(random.random(x.shape).argsort(1)[:, :shifted], 1)
    shift = random.uniform(4, 8, where.shape) * random.choice([-1, 1], where.shape)
    np.put_along_axis(x, where, np.take_along_axis(x, where, 1) + shift, 1)
    return torch.from_numpy(x), where


def energy(model: Conditional, row: np.ndarray, out: tuple[int, ...]) -> float:
    """The squared Mahalanobis distance of the cells that are not ``out``, by their own covariance."""
    left = [i for i in range(len(row)) if i not in out]
    apart = (row - model.mean.numpy())[left]
    return float(apart @ np.linalg.solve(model.covariance.numpy()[np.ix_(left, left)], apart)) if left else 0.0


def conditional(model: Conditional, row: np.ndarray, out: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the cells ``out`` given all others."""
    mean, covariance = model.mean.numpy(), model.covariance.numpy()
    chosen, left = list(out), [i for i in range(len(row)) if i not in out]
    share = np.linalg.solve(covariance[np.ix_(left, left)], covariance[np.ix_(left, chosen)]).T
    spread = covariance[np.ix_(chosen, chosen)] - share @ covariance[np.ix_(left, chosen)]
    return mean[chosen] + share @ (row - mean)[left], np.diag(spread)


@pytest.mark.parametrize("named", [(), (2,), (4, 1), (0, 3, 5)])
def test_gains_are_differences_of_distances(named: tuple[int, ...]) -> None:
    model, random = related(6)
    x, _ = rows_of(model, random, 4, 2)
    left = model.marginal(x, torch.ones_like(x, dtype=torch.bool))
    chosen = torch.full((4, 3), -1)
    chosen[:, : len(named)] = torch.tensor(named, dtype=torch.int64)
    found, costs = left.gains(torch.arange(4), chosen), left.costs(torch.arange(4), chosen)
    for i, row in enumerate(x.numpy()):
        rest = energy(model, row, named)
        assert left.energy[i] == pytest.approx(energy(model, row, ()), rel=1e-9)
        for column in set(range(6)) - set(named):
            assert found[i, column] == pytest.approx(rest - energy(model, row, (*named, column)), rel=1e-7, abs=1e-9)
        for slot, column in enumerate(named):
            without = energy(model, row, tuple(c for c in named if c != column))
            assert costs[i, slot] == pytest.approx(without - rest, rel=1e-7, abs=1e-9)


def test_expected_and_drop_are_those_given_the_cells_not_named() -> None:
    model, random = related(7)
    x, _ = rows_of(model, random, 30, 2)
    found = model.reasons(x, most=3, rate=1)
    for row, columns, expected, drop in zip(x.numpy(), *(part.numpy() for part in found), strict=True):
        mean, variance = conditional(model, row, tuple(columns))
        assert expected == pytest.approx(mean, rel=1e-8)
        assert drop == pytest.approx(np.square(row[columns] - mean) / variance, rel=1e-7)
        assert (np.diff(drop) <= 0).all()


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_the_search_finds_the_best_of_all_sets(cells: int) -> None:
    model, random = related(8, seed=cells)
    x, _ = rows_of(model, random, 100, cells)
    named = model.reasons(x, most=cells, rate=1).columns.tolist()
    sets = list(itertools.combinations(range(8), cells))
    least = np.array([min(energy(model, row, out) for out in sets) for row in x.numpy()])
    found = np.array([energy(model, row, tuple(out)) for row, out in zip(x.numpy(), named, strict=True)])
    assert np.isclose(found, least).mean() >= (1.0 if cells == 1 else 0.95)


def test_broken_cells_come_first() -> None:
    model, random = related(20, factors=5)
    for cells in (1, 2, 3):
        x, where = rows_of(model, random, 500, cells)
        named = model.reasons(x, most=5).columns.numpy()
        assert (np.sort(named[:, :cells], 1) == where).all(1).mean() >= 0.95


def test_a_broken_cell_is_named_and_not_those_that_it_spoils() -> None:
    # Column 0 is what the others measure: broken, it makes each of them look off by itself.
    covariance = torch.full((5, 5), 0.9).double() + 0.1 * torch.eye(5)
    x = torch.zeros(5, 5) + torch.diag(torch.full((5,), 3.0))
    found = Conditional.of(torch.zeros(5), covariance).reasons(x, most=4)
    assert found.columns.tolist() == [[i, -1, -1, -1] for i in range(5)]
    assert found.expected[:, 0].tolist() == pytest.approx([0.0] * 5)
    assert found.expected[:, 1:].isnan().all()
    assert (found.drop[:, 1:] == 0).all()


def test_columns_that_share_nothing_are_ordered_by_their_own_distance() -> None:
    model = Conditional.of(torch.tensor([1.0, 0.0, 0.0, -1.0]), torch.diag(torch.tensor([1.0, 4.0, 0.25, 1.0])))
    found = model.reasons(torch.tensor([[6.0, -8.0, 5.0, -1.0]]), most=4)
    assert found.columns.tolist() == [[2, 0, 1, -1]]
    assert found.drop.tolist() == [pytest.approx([100.0, 25.0, 16.0, 0.0])]
    assert found.expected[0, :3].tolist() == pytest.approx([0.0, 1.0, 0.0])
    assert model.distances(torch.tensor([[6.0, -8.0, 5.0, -1.0]])).tolist() == pytest.approx([141.0])


def test_missing_cells_are_as_if_the_columns_were_not_there() -> None:
    model, random = related(8)
    x, _ = rows_of(model, random, 50, 2)
    left = [0, 2, 3, 6, 7]
    gone = [1, 4, 5]
    part = Conditional.of(model.mean[left], model.covariance[left][:, left])
    short = part.reasons(x[:, left], most=3)
    nan, weight = x.clone(), torch.ones_like(x)
    nan[:, gone] = torch.nan
    weight[:, gone] = 0
    names = torch.tensor([*left, -1])[short.columns]
    for found in (model.reasons(nan, most=3), model.reasons(x, most=3, weight=weight)):
        assert found.columns.equal(names)
        torch.testing.assert_close(found.expected, short.expected, equal_nan=True)
        torch.testing.assert_close(found.drop, short.drop)
    torch.testing.assert_close(model.distances(nan), part.distances(x[:, left]))


def test_complete_rows_and_rows_with_gaps_are_taken_together_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    model, random = related(6)
    x, _ = rows_of(model, random, 40, 1)
    x[::3, 2] = torch.nan
    x[5] = torch.nan
    whole = model.reasons(x, most=2)
    monkeypatch.setattr("isthmus.reasons.NUMBERS", 100)
    for i, found in enumerate(zip(*model.reasons(x, most=2), strict=True)):
        one = model.reasons(x[i : i + 1], most=2)
        for part, alone, every in zip(found, one, whole, strict=True):
            torch.testing.assert_close(part, alone[0], equal_nan=True)
            torch.testing.assert_close(part, every[i], equal_nan=True)
    assert whole.columns[5].tolist() == [-1, -1]
    assert model.reasons(x[:0], most=2).columns.shape == (0, 2)


def test_how_many_are_named() -> None:
    model, random = related(10, factors=3)
    plain, _ = rows_of(model, random, 4000)
    odd, _ = rows_of(model, random, 200, 2)
    assert ((model.reasons(odd, most=4, rate=0).columns >= 0).sum(1) == 1).all()
    assert ((model.reasons(odd, most=4, rate=1).columns >= 0).sum(1) == 4).all()
    assert (model.reasons(odd, most=20, rate=1).columns.sort(1).values[:, 10:] == torch.arange(10)).all()
    # One is taken out already, so that fewer rows than the rate have one more that is odd.
    assert 0 < ((model.reasons(plain, most=4, rate=0.05).columns >= 0).sum(1) > 1).double().mean() < 0.05


ENERGIES = {
    (): 100, (0,): 50, (1,): 60, (2,): 60, (3,): 60, (0, 1): 40, (0, 2): 45, (0, 3): 45, (1, 2): 45, (1, 3): 45,
    (2, 3): 1, (0, 1, 2): 20, (0, 1, 3): 21, (0, 2, 3): 0.6, (1, 2, 3): 0.5, (0, 1, 2, 3): 0,
}  # fmt: skip


def by_table(energies: dict[tuple[int, ...], float], known: Tensor) -> OneByOne:
    def energy(rows: Tensor, hidden: Tensor) -> Tensor:
        assert len(rows)
        return torch.tensor([energies[tuple(row.nonzero()[:, 0].tolist())] for row in hidden], dtype=torch.float64)

    return OneByOne(of_energy(energy), known, 4)


def below_5(rest: Tensor, cells: Tensor, best: Tensor) -> Tensor:
    assert (rest + 1e-9 >= 0).all()
    return rest < 5


def test_cells_are_exchanged_and_needless_ones_put_back() -> None:
    # 0 is the best alone, 0 and 1 are the best two that one exchange reaches, and 2 and 3 say it all.
    known, start = torch.ones(1, 4, dtype=torch.bool), torch.tensor([100.0])
    model = by_table(ENERGIES, known)
    assert search(model, known, 2, start, never)[0].tolist() == [[0, 1]]
    named, drop = search(model, known, 3, start, never)
    assert sorted(named.tolist()[0]) == [1, 2, 3]
    assert drop.tolist() == [[44.5, 44.5, 0.5]]
    # Of the last three the needless one is 1; where 1 is exchanged, the one that came first.
    for energies in (ENERGIES, {**ENERGIES, (1, 2, 3): 30}):
        named, drop = search(by_table(energies, known), known, 3, start, below_5)
        assert sorted(named.tolist()[0]) == [-1, 2, 3]
        assert drop.tolist() == [[59, 59, 0]]
    known = torch.tensor([[True, False, True, True]])
    assert sorted(search(by_table(ENERGIES, known), known, 4, start, never)[0].tolist()[0]) == [-1, 0, 2, 3]


@pytest.mark.parametrize(("most", "shortlist", "least"), [(2, 7, 1.0), (3, 7, 1.0), (2, 4, 0.9)])
def test_a_search_that_tries_cells_one_by_one_names_the_same(most: int, shortlist: int, least: float) -> None:
    model, random = related(7, seed=3)
    x, _ = rows_of(model, random, 40, 2)
    known = torch.ones(x.shape, dtype=torch.bool)

    def saves(rows: Tensor, hidden: Tensor, column: Tensor) -> Tensor:
        found = []
        for row, out, cell in zip(x[rows].numpy(), hidden.numpy(), column.tolist(), strict=True):
            assert not out[cell]
            chosen = (cell, *np.flatnonzero(out))
            mean, variance = conditional(model, row, chosen)
            found.append((row[cell] - mean[0]) ** 2 / variance[0])
        return torch.tensor(found)

    def paid(rows: Tensor, hidden: Tensor) -> Tensor:
        pairs = zip(x[rows].numpy(), hidden.numpy(), strict=True)
        return torch.tensor([energy(model, row, tuple(np.flatnonzero(out))) for row, out in pairs])

    found = model.reasons(x, most=most, rate=1)
    for way in (saves, of_energy(paid)):
        named, drop = search(OneByOne(way, known, shortlist), known, most, model.distances(x), never)
        same = (named == found.columns).all(1)
        assert same.double().mean() >= least
        torch.testing.assert_close(drop[same], found.drop[same], rtol=1e-5, atol=1e-5)


def test_shrinkage_is_that_of_ledoit_and_wolf() -> None:
    model, random = related(12, factors=3)
    x = rows_of(model, random, 40)[0]
    centred = (x - x.mean(0)) / x.std(0, correction=0)
    shrunk, share = ledoit_wolf(centred.numpy(), assume_centered=True)
    spread = np.sqrt(np.diag(Conditional.fitted(x).covariance))
    assert share > 0.05
    assert Conditional.fitted(x).covariance.numpy() / np.outer(spread, spread) == pytest.approx(shrunk, abs=1e-9)


def test_few_rows_copies_and_constants_stay_bounded() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(6, 12, generator=random)
    x[:, 3] = x[:, 2]
    x[:, 5] = 7.0
    model = Conditional.fitted(x)
    assert model.precision.isfinite().all()
    assert model.covariance[5, 5] == pytest.approx(LEAST_VARIANCE)
    many = torch.randn(2000, 4, generator=random)
    many[:, 3], many[:, 1] = many[:, 2], 7.0
    model, row = Conditional.fitted(many), torch.tensor([[0.0, 7.01, 0.0, 0.01]])
    assert model.distances(row).item() < 1
    moved = model.reasons(torch.tensor([[0.0, 9.0, 0.0, 0.0]]), most=3)
    assert moved.columns.tolist() == [[1, -1, -1]]
    assert moved.expected[0, 0].item() == pytest.approx(7.0)
    assert moved.drop[0, 0].item() == pytest.approx(4 / LEAST_VARIANCE)
    assert Conditional.fitted(torch.zeros(3, 2)).distances(torch.zeros(1, 2)).item() == 0


def test_gaps_in_the_training_rows_are_filled_by_what_is_known() -> None:
    model, random = related(8)
    x, _ = rows_of(model, random, 4000)
    gappy = torch.where(torch.from_numpy(random.random(x.shape) < 0.3), torch.nan, x)
    found, whole = Conditional.fitted(gappy), Conditional.fitted(x)
    assert (found.covariance - whole.covariance).abs().max() < 0.06
    assert (found.mean - whole.mean).abs().max() < 0.03
    weighed = Conditional.fitted(torch.where(gappy.isnan(), 1e6, gappy), (~gappy.isnan()).float())
    torch.testing.assert_close(weighed.covariance, found.covariance)
    # A gap that counts as the mean would take three tenths off every covariance twice.
    assert found.covariance[0, 1].abs() > 0.9 * whole.covariance[0, 1].abs()


def test_trimming_leaves_odd_rows_out() -> None:
    model, random = related(8)
    x, _ = rows_of(model, random, 2000)
    odd = rows_of(model, random, 100)[0]
    odd[:, :2] += 30
    both = torch.cat([x, odd])
    clean = Conditional.fitted(x)
    assert (Conditional.fitted(both).covariance - clean.covariance).abs().max() > 30
    assert (Conditional.fitted(both, trim=0.05).covariance - clean.covariance).abs().max() < 0.1
    # Nothing odd among them: the rows that lie farthest are left out all the same, and made up for.
    assert (Conditional.fitted(x, trim=0.2).covariance - clean.covariance).abs().max() < 0.12


def test_what_cannot_be_done_is_said() -> None:
    model = Conditional.of(torch.zeros(3), torch.eye(3))
    with pytest.raises(InputError, match=r"a covariance takes two rows or more; got 1 row$"):
        Conditional.fitted(torch.zeros(1, 3))
    with pytest.raises(InputError, match=r"trim: the share of rows that may be odd must be in \[0, 0.5\); got 0.5"):
        Conditional.fitted(torch.zeros(9, 3), trim=0.5)
    with pytest.raises(InputError, match=r"rate is a share of ordinary rows, in \[0, 1\]; got 2"):
        model.reasons(torch.zeros(1, 3), rate=2)
    with pytest.raises(InputError, match=r"most must be a whole number >= 1; got 0"):
        model.reasons(torch.zeros(1, 3), most=0)
    with pytest.raises(InputError, match=r"x: must be rows of 3 columns, a tensor \(n, 3\); got shape \(1, 4\)"):
        model.distances(torch.zeros(1, 4))
    with pytest.raises(InputError, match=r"weight: must have the shape of x, \(1, 3\); got \(3,\)"):
        model.distances(torch.zeros(1, 3), torch.ones(3))
