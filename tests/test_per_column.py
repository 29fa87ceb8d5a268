"""The loss of mixed tables: each kind of column is the likelihood that it says, alone and beside the others."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from isthmus.errors import InputError
from isthmus.parts.losses.blocks import LEAST_VARIANCE
from isthmus.parts.losses.categories import Bernoulli, Categorical
from isthmus.parts.losses.circular import SHARPEST
from isthmus.parts.losses.columns import PerColumn, PerColumnLoss
from isthmus.parts.losses.cosine import Cosine
from isthmus.parts.losses.counts import NegativeBinomial
from isthmus.parts.losses.grouped import GroupedHuber
from isthmus.parts.losses.robust import Huber, StudentT
from isthmus.parts.losses.scaled import Absolute, Squared
from isthmus.records import EVALUATION, Batch, Code, Column, Context, Layout, Seen, Site, Trace, from_json, to_json

MIXED = (
    Column("category", levels=50),
    Column("number"),
    Column("binary"),
    Column("category", levels=3),
    Column("ordinal", levels=5),
    Column("count"),
    Column("number"),
    Column("circular"),
    Column("heavy"),
    Column("category", levels=40),
    Column("ordinal", levels=2),
    Column("category", levels=7),
    Column("category", levels=40),
)
"""Every kind of column but wide categories, in no order."""

WIDTH = 2 + 1 + 1 + 1 + 2 + 2 + 3 + 7 + 40 + 40 + 50


def built(*columns: Column, numbers: Any = None) -> PerColumnLoss:
    return PerColumn(numbers).build(Site(Layout((len(columns),), ("column",), columns))).double()


def cells(columns: tuple[Column, ...], n: int, seed: int = 0) -> Tensor:
    draw = np.random.default_rng(seed)
    made = {
        "number": lambda c: draw.normal(size=n),
        "heavy": lambda c: 3 * draw.standard_t(2, size=n),
        "count": lambda c: draw.poisson(3.0, n),
        "binary": lambda c: draw.integers(0, 2, n),
        "ordinal": lambda c: draw.integers(0, c.levels, n),
        "category": lambda c: draw.integers(0, c.levels, n),
        "circular": lambda c: draw.uniform(size=n),
    }
    return torch.from_numpy(np.stack([made[c.kind](c).astype(float) for c in columns], 1))


def pair(columns: tuple[Column, ...], n: int = 6, seed: int = 0) -> tuple[PerColumnLoss, Tensor, Tensor]:
    """A loss away from where it starts, outputs, and cells."""
    loss = built(*columns)
    source = torch.Generator().manual_seed(seed)
    for parameter in loss.parameters():
        parameter.data.add_(0.3 * torch.empty_like(parameter).normal_(generator=source))
    out = torch.randn(n, loss.width(len(columns)), generator=source, dtype=torch.float64)
    return loss, out, cells(columns, n, seed)


def step(loss: PerColumnLoss, out: Tensor, x: Tensor, draws: int = 0, **more: Tensor) -> None:
    batch = Batch(x, Layout((x.shape[1],), ("column",)), **more)
    context = Context((x.shape[1],))
    loss.after_step(Trace(batch, Seen(x), x, Code(x, x, draws=draws), out, context, EVALUATION, loss), {})


# A table of one kind of column is the loss of that kind.


@pytest.mark.parametrize(
    "numbers", [Squared(variance=0.7), Absolute(0.4), Huber(scale=0.5), StudentT(3.0, 0.5), GroupedHuber(scale=0.8)]
)
def test_numbers_under_another_loss_cost_what_they_cost_under_that_loss(numbers: Any) -> None:
    loss, alone = built(*[Column()] * 4, numbers=numbers), numbers.build().double()
    out, x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = (x > -0.5).double()
    assert loss.width(4) == 4
    for weights in (None, weight, 2 * weight):
        torch.testing.assert_close(loss.cost(out, x, weights), alone.cost(out, x, weights), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(loss.cell_costs(out, x).sum(1), alone.cost(out, x), rtol=1e-12, atol=1e-12)
    assert torch.equal(loss.mean(out), out)
    drawn = [each.sample(out, torch.Generator().manual_seed(1)) for each in (loss, alone)]
    assert torch.equal(*drawn)


def test_numbers_of_one_variance_are_squared_errors() -> None:
    loss = built(*[Column()] * 4)
    out, x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss.blocks[0].variance.fill_(0.75)
    torch.testing.assert_close(loss.cost(out, x), Squared(0.75).build().double().cost(out, x), rtol=1e-12, atol=0)


def test_truth_values_are_bernoullis() -> None:
    loss, out, x = pair((Column("binary"),) * 5)
    torch.testing.assert_close(loss.cost(out, x), Bernoulli().cost(out, x), rtol=1e-12, atol=0)


@pytest.mark.parametrize("levels", [2, 9, 50])  # few, and one by one
def test_categories_of_equal_levels_are_categorical(levels: int) -> None:
    loss, out, x = pair((Column("category", levels=levels),) * 3)
    logits = out.reshape(len(x), 3, levels).transpose(1, 2)
    torch.testing.assert_close(loss.cost(out, x), Categorical(levels).cost(logits, x), rtol=1e-12, atol=0)
    assert loss.width(3) == 3 * levels


def test_counts_are_negative_binomial() -> None:
    loss, out, x = pair((Column("count"),) * 3)
    alone = NegativeBinomial(features=3).build().double()
    alone.load_state_dict(loss.blocks[0].binomial.state_dict())
    torch.testing.assert_close(loss.cost(out, x), alone.cost(out, x), rtol=1e-12, atol=0)
    assert torch.equal(loss.mean(out), alone.mean(out))


def test_one_heavy_column_is_student_t() -> None:
    loss, out, x = pair((Column("heavy"),), 50)
    alone = StudentT().build().double()
    alone.log_df.data.copy_(loss.blocks[0].log_df.data[0])
    for _ in range(3):
        torch.testing.assert_close(loss.cost(out, x), alone.cost(out, x), rtol=1e-12, atol=0)
        step(loss, out, x)
        with torch.no_grad():
            layout = Layout((1,), ("column",))
            trace = Trace(Batch(x, layout), Seen(x), x, Code(x, x), out, Context((1,)), EVALUATION, alone)
            alone.after_step(trace, {})
        assert float(loss.blocks[0].variance) == pytest.approx(float(alone.variance), rel=1e-12)
    drawn = [each.sample(out, torch.Generator().manual_seed(1)) for each in (loss, alone)]
    torch.testing.assert_close(*drawn, rtol=1e-12, atol=1e-12)


# And each is the distribution of that name in SciPy.


def test_costs_are_scipys() -> None:
    columns = (Column(), Column("heavy"), Column("count"), Column("binary"), Column("circular"))
    loss, out, x = pair(columns, 30)
    numbers, heavy, counts = loss.blocks[:3]
    numbers.variance.fill_(0.3)
    heavy.variance.fill_(2.5)
    found = loss.cell_costs(out, x).detach().numpy()
    o, v = out.numpy(), x.numpy()
    df, r = float(heavy.df.detach()), float(counts.binomial.log_inverse_dispersion.detach().exp())
    expected = [
        scipy.stats.norm(o[:, 0], math.sqrt(0.3)).logpdf(v[:, 0]),
        scipy.stats.t(df, o[:, 1], math.sqrt(2.5)).logpdf(v[:, 1]),
        scipy.stats.nbinom(r, r / (r + np.exp(o[:, 2]))).logpmf(v[:, 2]),
        scipy.stats.bernoulli(1 / (1 + np.exp(-o[:, 3]))).logpmf(v[:, 3]),
        # SciPy's density is one per radian, ours one per turn.
        scipy.stats.vonmises(np.hypot(o[:, 4], o[:, 5]), np.arctan2(o[:, 5], o[:, 4])).logpdf(2 * np.pi * v[:, 4])
        + math.log(2 * np.pi),
    ]
    np.testing.assert_allclose(found, -np.stack(expected, 1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [0.0, 1e-3, 30.0, 999.0, 1e6])
def test_times_of_day_are_densities_of_a_turn_at_any_concentration(size: float) -> None:
    loss = built(Column("circular"))
    turns = torch.arange(100_000, dtype=torch.float64)[:, None] / 100_000
    out = torch.tensor([[0.6 * size, -0.8 * size]], dtype=torch.float64).expand(len(turns), 2)
    density = torch.exp(-loss.cost(out, turns))
    assert float(density.mean()) == pytest.approx(1.0, rel=1e-5)
    if size >= SHARPEST:
        shorter = out / size * SHARPEST
        torch.testing.assert_close(loss.cost(out, turns), loss.cost(shorter, turns), rtol=1e-9, atol=1e-9)
    exact = loss.cost(out, turns)
    torch.testing.assert_close(loss.float().cost(out.float(), turns.float()).double(), exact, rtol=1e-4, atol=3e-4)


def test_ordinal_costs_are_differences_of_logistic_functions() -> None:
    columns = (Column("ordinal", levels=5), Column("ordinal", levels=2), Column("ordinal", levels=1))
    loss, out, _ = pair(columns, 4)
    block = loss.blocks[0]
    # The columns lie by their number of levels.
    thresholds = block.thresholds().detach().numpy()
    assert np.isinf(thresholds[0]).all()
    assert np.isfinite(thresholds).sum(1).tolist() == [0, 1, 4]
    assert (np.diff(thresholds[2]) > 0).all()
    for place, column in enumerate((2, 1, 0)):
        levels = columns[column].levels
        ends = np.concatenate([[-np.inf], thresholds[place, : levels - 1], [np.inf]])
        expected = np.diff(scipy.special.expit(ends - out[:, place].numpy()[:, None]), axis=1)
        np.testing.assert_allclose(loss.probabilities(out, column).detach(), expected, rtol=1e-10)
        for level in range(levels):
            x = torch.zeros(4, 3, dtype=torch.float64)
            x[:, column] = level
            found = loss.cell_costs(out, x)[:, column].detach()
            np.testing.assert_allclose(found, -np.log(expected[:, level]), rtol=1e-9, atol=1e-12)


def test_ordinals_of_one_level_cost_nothing() -> None:
    loss = built(*[Column("ordinal", levels=1)] * 2)
    out, x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).double(), torch.zeros(5, 2).double()
    assert (loss.cost(out, x) == 0).all()
    assert (loss.mean(out) == 0).all()
    assert (loss.sample(out, torch.Generator().manual_seed(0)) == 0).all()


def test_ordinal_levels_are_equally_probable_at_first_and_exact_far_away() -> None:
    loss = built(Column("ordinal", levels=6)).float()
    x = torch.arange(6.0)[:, None]
    torch.testing.assert_close(loss.cost(torch.zeros(6, 1), x), torch.full((6,), math.log(6)))
    # P(level 0) at m = 1e4 is exp(t_0 - 1e4): a difference of sigmoids would be 0.
    far = loss.cost(torch.full((6, 1), 1e4), x).detach()
    assert float(far[0]) == pytest.approx(1e4 + math.log(5), rel=1e-6)
    assert float(far[5]) == 0.0
    assert loss.mean(torch.tensor([[-1e4], [1e4]])).tolist() == [[0.0], [5.0]]


# What holds for a table of all kinds.


def test_gradients_are_those_of_finite_differences() -> None:
    loss, out, x = pair(MIXED, 3)
    weight = torch.ones_like(x)
    weight[0, :4] = weight[1, 4:9] = 0
    weight[2] = 2
    learned = list(loss.parameters())
    assert loss.width(len(MIXED)) == WIDTH
    out.requires_grad_()
    assert torch.autograd.gradcheck(lambda out, *_: loss.cost(out, x, weight), (out, *learned))


@pytest.mark.parametrize("kind", ["number", "heavy", "count", "binary", "ordinal", "circular", "category"])
def test_each_kind_by_itself_has_the_gradient_of_finite_differences(kind: str) -> None:
    levels = 4 if kind in ("ordinal", "category") else 0
    loss, out, x = pair((Column(kind, levels=levels),) * 2, 4)
    assert torch.autograd.gradcheck(lambda out, *_: loss.cost(out, x), (out.requires_grad_(), *loss.parameters()))


def test_rows_cost_the_sum_of_their_cells_whatever_the_order_of_the_columns() -> None:
    loss, out, x = pair(MIXED)
    found = loss.cell_costs(out, x)
    torch.testing.assert_close(found.sum(1), loss.cost(out, x), rtol=1e-12, atol=0)
    for column, what in enumerate(MIXED):  # as each would cost in a table of its own
        alone = built(what)
        place = int(loss.place[column])
        sizes = [c.levels if c.kind == "category" else 2 if c.kind == "circular" else 1 for c in MIXED]
        start = sum(sizes[int(i)] for i in loss.order[:place])
        if what.kind in ("number", "binary", "category", "circular"):
            own = out[:, start : start + sizes[column]]
            torch.testing.assert_close(alone.cost(own, x[:, [column]]), found[:, column], rtol=1e-12, atol=1e-12)


def test_missing_cells_reach_neither_value_nor_gradient() -> None:
    loss, out, x = pair(MIXED)
    weight = (torch.rand(x.shape, generator=torch.Generator().manual_seed(4)) > 0.4).double()
    weight[3] = 0
    results = []
    for fill in (0.0, 1.0, math.nan):
        leaf = out.clone().requires_grad_()
        cost = loss.cost(leaf, torch.where(weight > 0, x, fill), weight)
        slopes = torch.autograd.grad(cost.sum(), [leaf, *loss.parameters()])
        results.append([cost.detach(), *slopes])
    for first, second, third in zip(*results, strict=True):
        assert first.isfinite().all()
        assert torch.equal(first, second)
        assert torch.equal(first, third)
    assert results[0][0][3] == 0
    assert (results[0][1][3] == 0).all()
    masked = torch.where(weight > 0, x, math.nan)
    torch.testing.assert_close(loss.cell_costs(out, masked, weight).sum(1), loss.cost(out, masked, weight))
    assert (loss.cell_costs(out, masked, weight)[weight == 0] == 0).all()


def test_weights_count_cells() -> None:
    loss, out, x = pair(MIXED)
    torch.testing.assert_close(loss.cost(out, x, torch.full_like(x, 2.0)), 2 * loss.cost(out, x))


def test_float32_costs_are_those_of_float64_and_stay_finite() -> None:
    loss, out, x = pair(MIXED, 40)
    exact = loss.cost(out, x).detach()
    coarse = loss.float()
    np.testing.assert_allclose(coarse.cost(out.float(), x.float()).detach(), exact, rtol=3e-6)
    assert coarse.cost(out.bfloat16(), x.float()).dtype == torch.float32
    for size in (0.0, 1e-20, 100.0, 1e4):
        for sign in (1.0, -1.0):
            leaf = torch.full((40, WIDTH), sign * size, requires_grad=True)
            cost = coarse.cost(leaf, x.float())
            (slope,) = torch.autograd.grad(cost.sum(), leaf)
            assert cost.isfinite().all()
            assert slope.isfinite().all()


def test_a_table_of_missing_rows_and_none_at_all() -> None:
    loss, out, x = pair(MIXED)
    assert loss.cost(out[:0], x[:0]).shape == (0,)
    assert loss.mean(out[:0]).shape == (0, len(MIXED))


# What the outputs are read as.


def test_means_are_what_the_kinds_say() -> None:
    columns = (Column("binary"), Column("category", levels=3), Column("count"), Column("circular"), Column())
    loss = built(*columns)  # lie as number, count, binary, circular, category
    out = torch.tensor([[0.5, math.log(4), -0.1, 0.0, -2.0, 1.0, 2.0, 9.0], [-1.0, 0, 0.0, 1.0, 0.0, 1.0, 0.0, 9.0]])
    expected = [[0.0, 1.0, 4.0, 0.75, 0.5], [1.0, 0.0, 1.0, 0.0, -1.0]]
    torch.testing.assert_close(loss.mean(out, Context((5,))), torch.tensor(expected))
    several = torch.stack([out, out.flip(0)])  # with an axis for draws of the code
    assert torch.equal(loss.mean(several, Context((5,)))[1], loss.mean(out).flip(0))
    assert loss.mean(out.bfloat16()).dtype == torch.float32  # in which 257 levels can be told apart


def test_the_level_of_other_values_is_neither_rebuilt_nor_drawn_unless_there_is_no_other() -> None:
    columns = (Column("category", levels=1), Column("category", levels=3), Column("category", levels=60))
    loss = built(*columns)
    out = torch.zeros(200, 64, dtype=torch.float64)
    out[:, 3] = out[:, 63] = 20.0
    drawn = loss.sample(out, torch.Generator().manual_seed(0))
    for made in (loss.mean(out), drawn):
        assert (made[:, 0] == 0).all()
        assert (made[:, 1] < 2).all()
        assert (made[:, 2] < 59).all()
    assert set(drawn[:, 1].tolist()) == {0.0, 1.0}
    assert float(loss.probabilities(out, 1)[0, 2]) > 0.99


def test_draws_have_the_distribution_that_is_costed() -> None:
    n = 20_000
    source = torch.Generator().manual_seed(3)
    loss, out, _ = pair(MIXED, 1)
    loss.blocks[0].variance.fill_(0.3)
    drawn = loss.sample(out.expand(n, -1), source)
    assert not drawn.requires_grad
    for column, what in enumerate(MIXED):
        made = drawn[:, column].numpy()
        if what.kind == "number":
            place = int(loss.place[column])
            assert scipy.stats.kstest((made - float(out[0, place])) / math.sqrt(0.3), "norm").pvalue > 1e-3
        elif what.kind == "circular":
            assert made.min() >= 0 < 1 > made.max()
            grid = torch.arange(2000, dtype=torch.float64)[:, None] / 2000
            at = built(what)
            start = sum(loss.outputs[: loss.kinds.index("circular")])
            density = torch.exp(-at.cost(out[:, start : start + 2].expand(2000, 2), grid)).numpy()
            cdf = np.cumsum(density) / density.sum()
            steps = scipy.stats.kstest(made, lambda v, cdf=cdf: np.interp(v, (np.arange(2000) + 0.5) / 2000, cdf))
            assert steps.pvalue > 1e-3
        elif what.kind in ("binary", "ordinal", "category"):
            share = loss.probabilities(out, column)[0].detach().numpy()
            if what.kind == "category":
                share = share[:-1] / share[:-1].sum()
            found = np.bincount(made.astype(int), minlength=len(share))
            assert len(found) == len(share)
            assert scipy.stats.chisquare(found, n * share / share.sum()).pvalue > 1e-3
    again = loss.sample(out.expand(n, -1), torch.Generator().manual_seed(3))
    assert torch.equal(drawn, again)


def test_errors_are_in_the_columns_own_measures() -> None:
    columns = (Column(), Column("count"), Column("binary"), Column("ordinal", levels=5), Column("circular"))
    columns = (*columns, Column("category", levels=9), Column("heavy"), Column("ordinal", levels=1))
    loss = built(*columns)
    rebuilt = torch.tensor([[1.0, math.e - 1, 1.0, 3.0, 0.95, 4.0, 0.0, 0.0], [0.0, 0, 0, 0, 0.5, 0, 0, 0]])
    x = torch.tensor([[3.0, 0.0, 0.0, 1.0, 0.05, 5.0, 3.0, 0.0], [0.0, 0, 0, 4, 0.0, 0, 0, 0]])
    expected = [[4.0, (math.e - 1) ** 2, 1.0, 0.25, 0.04, 1.0, 9.0, 0.0], [0.0, 0, 0, 1.0, 1.0, 0, 0, 0]]
    torch.testing.assert_close(loss.cell_errors(rebuilt, x), torch.tensor(expected))


# Running figures.


def test_each_column_learns_its_own_variance_as_a_running_mean() -> None:
    loss = built(Column(), Column("binary"), Column(), Column(), Column())
    source = torch.Generator().manual_seed(0)
    size = torch.tensor([0.3, 0.0, 1.0, 5.0, 0.0]).double()
    mean = torch.zeros(5, dtype=torch.float64)
    for count in range(1, 4):
        x = size * torch.randn(100, 5, generator=source, dtype=torch.float64)
        x[:, 1] = 1.0
        step(loss, torch.zeros_like(x), x)
        mean += (x.square().mean(0) - mean) / count
    expected = mean[[0, 2, 3, 4]].clamp(min=LEAST_VARIANCE)
    torch.testing.assert_close(loss.blocks[0].variance, expected, rtol=1e-12, atol=0)
    spread = loss.spread()
    assert float(spread[1]) == 0.0
    torch.testing.assert_close(spread[[0, 2, 3, 4]], expected.sqrt())
    assert float(spread[4]) == pytest.approx(math.sqrt(1e-3))


def test_missing_cells_and_weights_enter_the_running_mean_as_often_as_they_count() -> None:
    loss = built(Column(), Column(), Column())
    x = torch.tensor([[2.0, 1.0, math.nan], [4.0, math.nan, math.nan]]).double()
    known = x.isfinite().double()
    row_weight = torch.tensor([3.0, 1.0]).double()
    out = torch.zeros(2, 3, dtype=torch.float64)
    step(loss, out, x, weight=known, row_weight=row_weight)
    # (3 x 4 + 16) / 4; 1; nothing known: as before.
    assert loss.blocks[0].variance.tolist() == pytest.approx([7.0, 1.0, 1.0])
    step(loss, out, torch.full_like(x, 10.0), weight=torch.tensor([[0.0, 1, 0], [0.0, 0, 1]]).double())
    # The second column's step counts 1 cell against 3 before; the first keeps what it has; the third jumps.
    assert loss.blocks[0].variance.tolist() == pytest.approx([7.0, (3 * 1 + 100) / 4, 100.0])


def test_running_means_are_over_draws() -> None:
    loss = built(Column(), Column("heavy"))
    x = torch.zeros(3, 2, dtype=torch.float64)
    out = torch.stack([torch.full_like(x, 1.0), torch.full_like(x, 3.0)])
    step(loss, out, x, draws=2)
    assert float(loss.blocks[0].variance) == pytest.approx(5.0)


def test_a_learned_scale_of_another_loss_follows_its_own_columns_alone() -> None:
    loss, alone = built(Column("binary"), Column(), Column(), numbers=Squared()), Squared().build().double()
    source = torch.Generator().manual_seed(0)
    for _ in range(3):
        out, x = torch.randn(2, 20, 3, generator=source, dtype=torch.float64)
        x[:, 0] = 1.0
        weight = (torch.rand(20, 3, generator=source) > 0.3).double()
        own = [1, 2]
        shown = out[:, :2]  # numbers lie first
        step(loss, out, x, weight=weight)
        batch = Batch(x[:, own], Layout((2,), ("column",)), weight=weight[:, own])
        trace = Trace(batch, Seen(batch.x), x, Code(x, x), shown, Context((2,)), EVALUATION, alone)
        alone.after_step(trace, {"loss": alone.cost(shown, batch.x, batch.weight).mean()})
        assert float(loss.blocks[0].loss.variance) == pytest.approx(float(alone.variance), rel=1e-12)
        torch.testing.assert_close(loss.spread()[own], alone.variance.sqrt().expand(2))


def test_no_column_of_numbers_gains_without_end() -> None:
    """A column that is rebuilt exactly, costed at its least variance, and one of which nothing is known."""
    loss = built(Column(), Column())
    x = torch.tensor([[0.0, 1.0], [0.0, -1.0]]).double()
    for _ in range(200):
        step(loss, torch.zeros_like(x), x)
    costs = loss.cell_costs(torch.zeros_like(x), x).mean(0)
    assert float(costs[0]) == pytest.approx(0.5 * math.log(2 * math.pi * 1e-3))
    assert float(costs[1]) == pytest.approx(0.5 * math.log(2 * math.pi * math.e))


# What is said to a user, and to the rest of the library.


def test_descriptions_survive_json() -> None:
    for part in (PerColumn(), PerColumn(Huber(threshold=2.0))):
        assert from_json(json.loads(json.dumps(to_json(part)))) == part
        assert part.support == "mixed"
    assert repr(PerColumn(Absolute())) == "PerColumn(numbers=Absolute())"


def test_what_cannot_be_is_refused_in_words() -> None:
    with pytest.raises(InputError, match=r"numbers must be a loss of real numbers.*got Bernoulli\(\)"):
        PerColumn(Bernoulli())
    with pytest.raises(InputError, match=r"numbers must be a loss of real numbers.*got 'huber'"):
        PerColumn("huber")
    with pytest.raises(InputError, match=r"one output per number.*got Cosine\(\)"):
        built(Column(), Column(), numbers=Cosine())
    with pytest.raises(InputError, match="PerColumn is the loss of mixed tables"):
        PerColumn().build(Site(Layout((3,), ("column",))))
    loss, out, x = pair(MIXED)
    with pytest.raises(InputError, match=r"the decoder must give the outputs of all columns, \(6, 149\); it gave"):
        loss.cost(out[:, 1:], x)
    with pytest.raises(InputError, match="made for 13 columns; asked for 12"):
        loss.width(12)
    with pytest.raises(InputError, match="column 1 has no levels"):
        loss.probabilities(out, 1)
    with pytest.raises(InputError, match="column must be 0 to 12; got 13"):
        loss.probabilities(out, 13)


def test_state_survives_and_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    loss, out, x = pair(MIXED)
    step(loss, out, x)
    loss.sample(out, torch.Generator().manual_seed(0))
    fresh = built(*MIXED)
    fresh.load_state_dict(loss.state_dict())
    assert torch.equal(fresh.cost(out, x), loss.cost(out, x))
    assert torch.equal(before, torch.random.get_rng_state())
    assert replace(PerColumn(), numbers=Squared()) == PerColumn(Squared())


def test_counts_are_told_in_standard_deviations_and_start_at_their_own_dispersion() -> None:
    draw = np.random.default_rng(0)
    x = torch.from_numpy(draw.negative_binomial(0.5, 0.5 / (0.5 + 4.0), (4000, 1))).double()
    layout = Layout((1,), ("column",), (Column("count"),))
    loss = PerColumn().build(Site(layout)).double()
    block = loss.blocks[0]
    with torch.no_grad():
        block.follow(torch.zeros(1, 4000, 1).double(), x, torch.ones_like(x))
    usual = x.mean().expand(4000, 1)
    torch.testing.assert_close(loss.cell_errors(usual, x).mean(), torch.tensor(1.0).double())
    assert abs(math.exp(block.binomial.log_inverse_dispersion.item()) - 0.5) < 0.1
