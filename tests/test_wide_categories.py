"""Categories of thousands of levels: sampled while training, exact in pieces outside."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.parts.losses.columns import PerColumn, PerColumnLoss
from isthmus.parts.losses.wide import BYTES, SAMPLED, SIZE, SampledSoftmax, coprime, pieces
from isthmus.records import EVALUATION, Batch, Code, Column, Context, Layout, Seen, Site, Trace

LEVELS = 60


def softmax(samples: int = SAMPLED, levels: int = LEVELS) -> SampledSoftmax:
    source = torch.Generator().manual_seed(0)
    head = SampledSoftmax(levels, source, size=4, samples=samples).double()
    head.bias.data.normal_(generator=source)
    return head


def rows(n: int = 5, levels: int = LEVELS) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=source).double(), torch.randint(levels, (n,), generator=source)


def exact(head: SampledSoftmax, out: Tensor, level: Tensor) -> Tensor:
    return F.cross_entropy(out @ head.vectors.T + head.bias, level, reduction="none")


def table(*levels: int) -> PerColumnLoss:
    columns = (Column(), *(Column("category", levels=number) for number in levels))
    return PerColumn().build(Site(Layout((len(columns),), ("column",), columns)))


def step(loss: PerColumnLoss, out: Tensor, x: Tensor) -> None:
    layout, context = Layout((x.shape[1],), ("column",)), Context((x.shape[1],))
    loss.after_step(Trace(Batch(x, layout), Seen(x), x, Code(x, x), out.detach(), context, EVALUATION, loss), {})


def test_outside_training_the_cost_is_the_softmaxs(monkeypatch: pytest.MonkeyPatch) -> None:
    head, (out, level) = softmax(7), rows()
    head.eval()
    expected = exact(head, out, level)
    torch.testing.assert_close(head.nats(out, level), expected, rtol=1e-12, atol=0)
    head.train()
    with torch.no_grad():
        torch.testing.assert_close(head.nats(out, level), expected, rtol=1e-12, atol=0)
    monkeypatch.setattr("isthmus.parts.losses.wide.BYTES", 5 * 8 * 13)  # 13 levels at a time
    head.eval()
    found = head.nats(out, level)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    slopes = [torch.autograd.grad(cost.sum(), list(head.parameters())) for cost in (found, expected)]
    for first, second in zip(*slopes, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-12)


def test_a_sample_of_all_levels_is_exact() -> None:
    head, (out, level) = softmax(LEVELS), rows()
    torch.testing.assert_close(head.nats(out, level), exact(head, out, level), rtol=1e-12, atol=0)


def test_the_sampled_sum_is_exact_in_the_mean_over_a_cycle_of_steps() -> None:
    head, (out, level) = softmax(7), rows()
    true = (out * head.vectors[level]).sum(1) + head.bias[level]
    total, logs, met = torch.zeros(5).double(), torch.zeros(5).double(), torch.zeros(LEVELS)
    for _ in range(LEVELS):
        cost = head.nats(out, level).detach()
        total += torch.exp(cost + true.detach()) / LEVELS
        logs += cost / LEVELS
        met[head.sampled()] += 1
        head.steps += 1
    torch.testing.assert_close(total, (exact(head, out, level) + true).exp().detach(), rtol=1e-12, atol=0)
    assert (logs < exact(head, out, level)).all()
    assert (met == 7).all()


def test_more_samples_come_closer() -> None:
    out, level = rows(200)
    distance = []
    for samples in (5, 15, 30, 45, 60):
        head = softmax(samples)
        distance.append(float((head.nats(out, level) - exact(head, out, level)).square().mean().detach()))
    assert distance == sorted(distance, reverse=True)
    assert distance[0] > 0.05
    assert distance[-1] < 1e-20


def test_samples_are_all_different_and_move_on() -> None:
    head = softmax(7)
    first = head.sampled()
    assert len(first.unique()) == 7
    head.steps += 1
    assert head.sampled().tolist() != first.tolist()
    for levels in (1001, 1024, 30_030, 99_991, 100_000):
        assert math.gcd(coprime(levels), levels) == 1
        assert coprime(levels) == pytest.approx(0.618 * levels, rel=0.02)


def test_gradients_are_those_of_finite_differences_sampled_or_not() -> None:
    head, (out, level) = softmax(7), rows()
    level[0] = head.sampled()[0]  # the true level is in the sample already: it must not count twice
    out.requires_grad_()
    for trains in (True, False):
        head.train(trains)
        assert torch.autograd.gradcheck(lambda out, *_: head.nats(out, level), (out, head.vectors, head.bias))
    head.train()
    rest = [int(j) for j in head.sampled() if int(j) != int(level[0])]
    logits = (out[0] @ head.vectors.T + head.bias).detach()
    total = logits[level[0]].exp() + LEVELS / 7 * logits[rest].exp().sum()
    assert float(head.nats(out, level)[0].detach()) == pytest.approx(float(total.log() - logits[level[0]]), rel=1e-12)


def test_pieces_keep_within_their_bytes() -> None:
    for count, levels, itemsize in ((1, 100_000, 4), (1000, 100_000, 4), (65_536, 100_000, 4), (8192, 5000, 8)):
        runs = list(pieces(count, levels, itemsize))
        assert max(run.stop - run.start for run in runs) * count * itemsize <= BYTES <= 64 * 2**20
        assert [i for run in runs for i in (run.start, run.stop)][1:-1:2] == [run.start for run in runs[1:]]
        assert (runs[0].start, runs[-1].stop) == (0, levels)
    assert len(list(pieces(0, 10, 4))) == 1


def test_the_most_probable_level_and_draws_do_not_depend_on_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    head, (out, _) = softmax().requires_grad_(False), rows(30_000)
    head.bias.data[-1] = 50.0  # the level of other values: most probable by far
    expected = (out @ head.vectors.T + head.bias)[:, :-1].argmax(1)
    assert torch.equal(head.best(out), expected)
    monkeypatch.setattr("isthmus.parts.losses.wide.BYTES", 30_000 * 8 * 13)
    assert torch.equal(head.best(out), expected)
    out = out[:1].expand(30_000, 4)
    drawn = head.best(out, torch.Generator().manual_seed(0))
    share = torch.softmax((out[0] @ head.vectors.T + head.bias)[:-1], 0)
    found = torch.bincount(drawn, minlength=LEVELS - 1) / 30_000
    assert len(found) == LEVELS - 1
    assert float((found - share).abs().max()) < 0.01
    assert float(((found - share).square() / share).sum()) * 30_000 < 120  # chi squared of 58 degrees of freedom


def test_columns_of_1001_levels_are_wide_and_those_of_1000_are_not() -> None:
    assert table(1000).width(2) == 1 + 1000
    assert table(1001, 7, 5000).width(4) == 1 + 7 + 2 * SIZE
    loss = table(1001)
    x = torch.tensor([[0.0, 1000.0], [0.0, 3.0]])
    out = torch.randn(2, 33, generator=torch.Generator().manual_seed(0))
    own = out[:, 1:] @ loss.blocks[1].heads[0].vectors.T
    loss.eval()
    found = loss.cell_costs(out, x)
    torch.testing.assert_close(found[:, 1], F.cross_entropy(own, x[:, 1].long(), reduction="none"))
    torch.testing.assert_close(loss.probabilities(out, 1), torch.softmax(own, 1))
    assert loss.mean(out)[:, 1].tolist() == own[:, :-1].argmax(1).tolist()
    assert loss.sample(out, torch.Generator().manual_seed(0)).shape == (2, 2)
    assert loss.cell_errors(x, x.flip(0)).tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_missing_cells_of_wide_columns_give_no_gradient() -> None:
    loss = table(1500)
    out = torch.randn(3, 33, generator=torch.Generator().manual_seed(0)).requires_grad_()
    x = torch.tensor([[0.0, 7.0], [0.0, math.nan], [0.0, 9.0]])
    for trains in (True, False):
        cost = loss.train(trains).cost(out, x, x.isfinite().float())
        slope, table_slope = torch.autograd.grad(cost.sum(), [out, loss.blocks[1].heads[0].vectors])
        assert cost.isfinite().all()
        assert table_slope.isfinite().all()
        assert (slope[1, 1:] == 0).all()
        assert (slope[0, 1:] != 0).all()


def test_a_row_costs_the_same_alone_and_a_resumed_fit_meets_the_same_samples() -> None:
    loss = table(1500)
    out = torch.randn(4, 33, generator=torch.Generator().manual_seed(0))
    x = torch.tensor([[0.0, 7.0], [1.0, 8.0], [0.0, 9.0], [0.0, 1499.0]])
    first = loss.cost(out, x).detach()
    torch.testing.assert_close(loss.cost(out[1:2], x[1:2]).detach(), first[1:2])
    step(loss, out, x)
    again = table(1500)
    again.load_state_dict(loss.state_dict())
    assert torch.equal(again.cost(out, x), loss.cost(out, x))
    assert not torch.equal(loss.cost(out, x).detach(), first)


def test_too_many_probabilities_are_refused_in_words() -> None:
    loss = table(100_000)
    with pytest.raises(InputError, match="1,000 rows of 100,000 levels do not fit; ask for at most 671 rows"):
        loss.probabilities(torch.zeros(1000, 33), 1)


def test_a_column_of_20_000_levels_is_learnt() -> None:
    """Rows of 40 kinds, each with its own 50 of 20,000 levels: at first 9.9 nats, and the exact cost falls."""
    source = torch.Generator().manual_seed(0)
    loss = table(20_000)
    shelves = torch.randperm(19_999, generator=source)[: 40 * 50].reshape(40, 50)
    outputs = torch.nn.Parameter(0.1 * torch.randn(40, 33, generator=source))
    optimiser = torch.optim.Adam([outputs, *loss.parameters()], lr=0.02)

    def some(n: int) -> tuple[Tensor, Tensor]:
        kind = torch.randint(40, (n,), generator=source)
        level = shelves[kind, torch.randint(50, (n,), generator=source)]
        return kind, torch.stack([torch.zeros(n), level.float()], 1)

    for _ in range(60):
        kind, x = some(500)
        cost = loss.cost(outputs[kind], x)
        optimiser.zero_grad()
        cost.mean().backward()
        optimiser.step()
        step(loss, outputs[kind], x)
    loss.eval()
    kind, x = some(2000)
    with torch.no_grad():
        nats = loss.cell_costs(outputs[kind], x)[:, 1].mean()
        guessed = loss.mean(outputs[kind])[:, 1].long()
    assert float(nats) < 7.0
    assert (shelves[kind] == guessed[:, None]).any(1).float().mean() > 0.95
