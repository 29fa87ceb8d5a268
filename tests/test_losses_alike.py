"""What every loss must do, whatever its distribution: one table of losses, and rows each can take."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.parts.losses.categories import Bernoulli, Categorical
from isthmus.parts.losses.cosine import Cosine
from isthmus.parts.losses.counts import Multinomial, NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
from isthmus.parts.losses.grouped import GroupedHuber
from isthmus.parts.losses.robust import Huber, StudentT
from isthmus.parts.losses.scaled import Absolute, Squared
from isthmus.records import Context, Layout, Site, from_json, to_json

SHAPE = (2, 3)
LAYOUT = Layout(SHAPE, ("height", "width"))


def real(draw: np.random.Generator, n: int) -> np.ndarray:
    return 2 * draw.standard_normal((n, *SHAPE))


def counts(draw: np.random.Generator, n: int) -> np.ndarray:
    return draw.poisson(2.0, (n, *SHAPE)).astype(float)


@dataclass(frozen=True)
class Case:
    part: Any
    rows: Callable[[np.random.Generator, int], np.ndarray]
    support: str
    numbers: int = 0

    def made(self) -> Any:
        part = self.part.build(Site(LAYOUT)) if hasattr(self.part, "build") else self.part
        if not isinstance(part, nn.Module):
            return part
        for parameter in part.double().parameters():
            parameter.data.add_(0.3 * torch.arange(parameter.numel()).double().reshape(parameter.shape))
        return part

    def pair(self, n: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
        draw = np.random.default_rng(seed)
        shape = (n, *([self.numbers] if self.numbers else []), *SHAPE)
        return torch.from_numpy(draw.standard_normal(shape)), torch.from_numpy(self.rows(draw, n))


CASES = {
    "squared": Case(Squared(0.7), real, "real"),
    "absolute": Case(Absolute(0.7), real, "real"),
    "bernoulli": Case(Bernoulli(), lambda draw, n: draw.integers(0, 2, (n, *SHAPE)).astype(float), "unit"),
    "categorical": Case(
        Categorical(4), lambda draw, n: draw.integers(0, 4, (n, *SHAPE)).astype(float), "category", numbers=4
    ),
    "poisson": Case(Poisson(), counts, "count"),
    "negative binomial": Case(NegativeBinomial(), counts, "count"),
    "zero inflated": Case(ZeroInflatedNegativeBinomial(), counts, "count", numbers=2),
    "multinomial": Case(Multinomial(), counts, "count"),
    "student": Case(StudentT(), real, "real"),
    "student 3": Case(StudentT(df=3.0, scale=0.5), real, "real"),
    "huber": Case(Huber(), real, "real"),
    "grouped": Case(GroupedHuber(), real, "real"),
    "cosine": Case(Cosine(), real, "real"),
    "cosine 5": Case(Cosine(5.0), real, "real"),
}

every = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
# A learned concentration goes by the number of columns, so that rows of other sizes cannot be compared.
of_any_size = [pytest.param(case, id=name) for name, case in CASES.items() if name != "cosine"]


@every
def test_a_row_costs_a_number_that_does_not_depend_on_its_mates(case: Case) -> None:
    loss, (out, x) = case.made(), case.pair(7)
    cost = loss.cost(out, x)
    assert cost.shape == (7,)
    assert cost.isfinite().all()
    for row in (0, 6):
        torch.testing.assert_close(
            loss.cost(out[row : row + 1], x[row : row + 1]), cost[row : row + 1], rtol=1e-12, atol=0
        )


@every
def test_a_missing_cell_reaches_neither_value_nor_gradient(case: Case) -> None:
    loss, (out, x) = case.made(), case.pair()
    weight = torch.ones_like(x)
    weight[:, 0, 1] = weight[2, 1, 2] = 0
    weight[4] = 0  # a row without any cell
    learned = list(loss.parameters()) if isinstance(loss, nn.Module) else []
    results = []
    for fill in (0.0, 1.0, math.nan):
        filled = torch.where(weight > 0, x, torch.full_like(x, fill))
        leaf = out.clone().requires_grad_()
        cost = loss.cost(leaf, filled, weight)
        results.append([cost.detach(), *torch.autograd.grad(cost.sum(), [leaf, *learned])])
        assert all(value.isfinite().all() for value in results[-1])
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            assert torch.equal(first, second)
    slope = results[0][1] if case.numbers else results[0][1][:, None]
    hidden = (weight == 0)[:, None].expand_as(slope)
    assert (slope[hidden] == 0).all()
    assert float(results[0][0][4]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("case", of_any_size)
def test_without_a_column_the_rows_cost_what_they_cost_where_it_is_missing(case: Case) -> None:
    loss, (out, x) = case.made(), case.pair()
    if hasattr(loss, "log_inverse_dispersion"):
        loss.log_inverse_dispersion.data.fill_(0.4)  # one for all, so that the columns that are left keep theirs
    weight = torch.ones_like(x)
    weight[:, :, 1] = 0
    narrow = case.made()
    if hasattr(loss, "log_inverse_dispersion"):
        narrow.log_inverse_dispersion = nn.Parameter(torch.full((4,), 0.4, dtype=torch.float64))
    keep = [0, 2]
    found, expected = loss.cost(out, x, weight), narrow.cost(out[..., keep], x[..., keep])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(loss.cost(out, x, torch.ones_like(x)), loss.cost(out, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", of_any_size)
def test_a_cell_of_weight_2_stands_there_twice(case: Case) -> None:
    """Doubling all weights doubles the cost of a loss that is a sum over cells."""
    loss, (out, x) = case.made(), case.pair()
    twice = loss.cost(out, x, torch.full_like(x, 2.0))
    if type(loss).__name__ in ("GroupedHuberLoss", "CosineLoss"):  # rows as wholes: the row with each cell repeated
        expected = loss.cost(torch.cat([out, out], 2), torch.cat([x, x], 2))
    else:
        expected = 2 * loss.cost(out, x)
    torch.testing.assert_close(twice, expected, rtol=1e-10, atol=1e-10)


@every
def test_the_gradient_is_that_of_finite_differences(case: Case) -> None:
    loss, (out, x) = case.made(), case.pair()
    weight = torch.rand(x.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64).round() + 0.5
    learned = list(loss.parameters()) if isinstance(loss, nn.Module) else []
    leaves = [out.clone().requires_grad_(), *learned]
    found = torch.autograd.grad(loss.cost(leaves[0], x, weight).sum(), leaves)
    source = torch.Generator().manual_seed(1)
    for leaf, slope in zip(leaves, found, strict=True):
        direction = torch.empty_like(leaf).normal_(generator=source)
        costs = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                leaf.add_(step * direction)
                costs.append(float(loss.cost(leaves[0], x, weight).sum()))
                leaf.sub_(step * direction)
        numeric = (costs[0] - costs[1]) / 2e-5
        assert abs(numeric) > 1e-3
        assert float((slope * direction).sum()) == pytest.approx(numeric, rel=1e-6)


@every
def test_outputs_of_another_shape_are_refused(case: Case) -> None:
    loss, (out, x) = case.made(), case.pair()
    for wrong in (out[..., :1], out[:1], out[:, None], out.flatten(1)):
        with pytest.raises(InputError, match=r"the decoder must give .*; it gave"):
            loss.cost(wrong, x)


@every
def test_mean_and_draws_look_like_rows(case: Case) -> None:
    loss, (out, x) = case.made(), case.pair()
    context = Context(SHAPE)
    mean = loss.mean(out, context)
    assert mean.shape == x.shape
    assert torch.equal(mean, loss.mean(out))
    several = torch.stack([out, out + 1])  # with an axis for draws of the code
    torch.testing.assert_close(loss.mean(several, context), torch.stack([mean, loss.mean(out + 1, context)]))
    made = loss.float() if isinstance(loss, nn.Module) else loss
    drawn = made.sample(out.float(), torch.Generator().manual_seed(0))
    assert drawn.shape == x.shape
    assert drawn.dtype == torch.float32
    assert not drawn.requires_grad
    assert torch.equal(drawn, made.sample(out.float(), torch.Generator().manual_seed(0)))
    assert not torch.equal(drawn, made.sample(out.float(), torch.Generator().manual_seed(1)))
    assert made.cost(out.float(), drawn).isfinite().all()  # a draw is a row the loss can take
    assert loss.width(6) == 6 * max(case.numbers, 1)


@every
def test_drawing_and_costing_leave_the_global_generator_alone(case: Case) -> None:
    loss, (out, x) = case.made(), case.pair()
    before = torch.random.get_rng_state()
    loss.sample(out, torch.Generator().manual_seed(0))
    loss.cost(out, x)
    assert torch.equal(before, torch.random.get_rng_state())


@every
def test_descriptions_survive_json_and_say_what_they_support(case: Case) -> None:
    assert from_json(json.loads(json.dumps(to_json(case.part)))) == case.part
    assert case.made().support == case.support
    assert getattr(case.part, "support", "real") == case.support  # asked before anything is built


@every
def test_coarse_outputs_are_costed_in_the_type_of_the_rows(case: Case) -> None:
    """A GPU hands over bfloat16: the sums are made in float32."""
    loss, (out, x) = case.made(), case.pair()
    out = out.bfloat16()
    assert loss.cost(out, x).dtype == torch.float64
    torch.testing.assert_close(loss.cost(out, x), loss.cost(out.double(), x), rtol=1e-12, atol=0)


@every
def test_float32_costs_are_those_of_float64(case: Case) -> None:
    loss, (out, x) = case.made(), case.pair(50)
    exact = loss.cost(out.float().double(), x.float().double()).detach()
    coarse = (loss.float() if isinstance(loss, nn.Module) else loss).cost(out.float(), x.float()).detach()
    assert coarse.dtype == torch.float32
    np.testing.assert_allclose(coarse, exact, rtol=3e-6, atol=3e-6)


@every
def test_wild_outputs_stay_finite_in_float32(case: Case) -> None:
    made = case.made()
    loss = made.float() if isinstance(made, nn.Module) else made
    out, x = case.pair()
    for size in (0.0, 1e-20, 100.0, 1e4):
        for sign in (1.0, -1.0):
            leaf = (sign * size * torch.ones_like(out)).float().requires_grad_()
            cost = loss.cost(leaf, x.float())
            (slope,) = torch.autograd.grad(cost.sum(), leaf)
            assert cost.isfinite().all()
            assert slope.isfinite().all()
            assert slope.square().isfinite().all()  # what Adam keeps
            assert loss.mean(leaf).isfinite().all()
