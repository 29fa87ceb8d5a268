"""Every kind x every law. A kind that is added to RECIPES is found here with no edit.

A law takes a `Case` (a kind on a network) and raises where the kind breaks it. Laws about fitted
estimators are in the second table, at the end.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from checks_for_kinds import (
    CORRUPTIONS,
    FEATURES,
    Case,
    cases,
    descend,
    generator,
    gradients,
    same_tensors,
    some_of,
    some_rows,
    training_pass,
)
from sklearn.base import clone

from isthmus import recipes
from isthmus.errors import InputError
from isthmus.papers import Paper
from isthmus.parts.corruptions import GaussianNoise
from isthmus.parts.losses.categories import Bernoulli
from isthmus.parts.schedules import Between
from isthmus.recipes import RECIPES, Kind, Parts
from isthmus.records import Batch, Pass, Seen, from_json, to_json

Law = Callable[[Case], None]


def shapes(case: Case) -> None:
    """Code, output and costs have the shapes that the contract names, for each number of rows."""
    composition = case.build().eval()
    for rows in (1, 5):
        batch = case.batch(rows, dtype=torch.float32)
        trace = composition.trace(batch)
        assert trace.hidden.shape[0] == rows
        assert trace.code.point.shape == (rows, case.code_size)
        assert composition.cost(trace).shape == (rows,)
        assert composition.point_cost(batch).shape == (rows,)
        assert composition.represent(batch).shape == (rows, case.code_size)
        assert composition.rebuild(trace.code.point, trace.context).shape == (rows, FEATURES)
        objective, terms = composition.objective(trace)
        assert objective.shape == ()
        assert {"cost", "loss"} <= terms.keys()
        assert not any(value.requires_grad for value in terms.values())


def gradient(case: Case) -> None:
    """The gradient is that of central finite differences in a random direction, unless a part says why it is not."""
    if case.excused("estimates_gradient"):
        return
    composition = case.build().double()
    batch = case.batch(12)
    descend(composition, batch, 3)  # away from weights that start at exactly 0
    parameters = list(composition.parameters())
    source = generator(1)
    direction = [torch.empty_like(p).normal_(generator=source) for p in parameters]
    found = gradients(composition, batch, training_pass())
    slope = sum(float((g * d).sum()) for g, d in zip(found, direction, strict=True))

    def objective(step: float) -> float:
        with torch.no_grad():
            torch._foreach_add_(parameters, direction, alpha=step)
            value = float(composition.objective(composition.trace(batch, training_pass()))[0])
            torch._foreach_add_(parameters, direction, alpha=-step)
        return value

    step = 1e-6
    numeric = (objective(step) - objective(-step)) / (2 * step)
    assert abs(slope) > 1e-3
    assert numeric == pytest.approx(slope, rel=1e-5, abs=1e-7)


def falling_cost(case: Case) -> None:
    """The objective stays finite and falls."""
    composition = case.build()
    objectives = descend(composition, case.batch(64, dtype=torch.float32), case.steps)
    assert np.isfinite(objectives).all()
    # The best stretch, not the last: a recurrent network with a code of signs falls off its path and finds it again.
    stretches = np.convolve(objectives, np.full(5, 0.2), mode="valid")
    assert stretches.min() < stretches[0] - 0.2


def batch_mates(case: Case) -> None:
    """A row's cost does not depend on the rows beside it; while it trains, batch norm and parts that say so are
    excepted."""
    composition = case.build(corruption=None).double()
    descend(composition, case.batch(), 5)
    whole = case.batch(9)
    coupled = case.network in ("batch norm", "dropout") or case.excused("couples_rows")
    trains = [] if coupled else [Pass(training=True)]
    for pass_ in [Pass(), *trains]:
        cost = composition.cost(composition.trace(whole, pass_)).detach()
        for row in (0, 4, 8):
            by_itself = composition.cost(composition.trace(some_of(whole, [row]), pass_)).detach()
            torch.testing.assert_close(by_itself, cost[row : row + 1], rtol=1e-10, atol=1e-10)


def splitting(case: Case) -> None:
    """Splitting a batch leaves the mean cost as it was: 1e-5 in float32, far less in float64."""
    for dtype, allowed in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        composition = case.build().to(dtype)
        descend(composition, case.batch(dtype=dtype), 5)
        composition.eval()
        batch = case.batch(30, dtype=dtype)
        whole = float(composition.cost(composition.trace(batch)).detach().mean())
        parts = [some_of(batch, slice(*ends)) for ends in ((0, 1), (1, 8), (8, 30))]
        pieces = [composition.cost(composition.trace(part)).detach() for part in parts]
        assert float(torch.cat(pieces).mean()) == pytest.approx(whole, rel=allowed, abs=allowed)


def same_seed(case: Case) -> None:
    """The same seeds give the same bits; other seeds give others."""
    batch = case.batch(16, dtype=torch.float32)

    def run(weights: int, noise: int) -> tuple[list[float], dict[str, torch.Tensor]]:
        composition = case.build(weights)
        return descend(composition, batch, 6, seed=noise), composition.state_dict()

    first, again, other = run(0, 0), run(0, 0), run(1, 0)
    assert first[0] == again[0]
    assert same_tensors(first[1], again[1])
    assert not same_tensors(first[1], other[1])


def global_state(case: Case) -> None:
    """No global generator, thread count or default type is moved or asked."""
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)

    def snapshot() -> tuple[object, ...]:
        numbers = np.random.get_state()  # noqa: NPY002
        settings = (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled())
        return random.getstate(), numbers[1].tobytes(), numbers[2], torch.random.get_rng_state().tolist(), settings

    before = snapshot()
    composition = case.build()
    batch = case.batch(8, dtype=torch.float32)
    descend(composition, batch, 3)
    composition.represent(batch)
    composition.point_cost(batch)
    if hasattr(composition.loss, "sample"):
        composition.loss.sample(composition.trace(batch).out, generator())
    assert snapshot() == before


def quiet_outside_training(case: Case) -> None:
    """Corruption and dropout act in training only, and then by the generator alone."""
    composition = case.build(corruption=CORRUPTIONS["mask"]).double()
    batch = case.batch(16)
    descend(composition, batch, 8)
    first, second = (composition.trace(batch, Pass(generator(seed))) for seed in (0, 1))
    assert first.seen.x is batch.x
    assert first.seen.changed is None
    if first.code.cost is None:  # nothing is drawn: the pass is the same whatever the generator
        assert torch.equal(first.out, second.out)
    assert torch.equal(composition.represent(batch), composition.represent(batch))
    trained = [composition.trace(batch, training_pass(seed)) for seed in (0, 0, 1)]
    assert not torch.equal(trained[0].seen.x, batch.x)
    assert torch.equal(trained[0].out, trained[1].out)
    assert not torch.equal(trained[0].out, trained[2].out)
    assert torch.equal(trained[0].batch.x, batch.x)


def missing_cells(case: Case) -> None:
    """What a missing cell holds reaches neither code, cost nor gradient, whatever the corruption."""
    weight = (torch.rand(16, FEATURES, generator=generator(3)) > 0.3).double()
    weight[0] = 0  # a row without any value
    clean = case.batch(16, weight=weight)
    for corruption in CORRUPTIONS.values():
        started = case.build(corruption=corruption).double()
        descend(started, clean, 3)
        expected: list[torch.Tensor] | None = None
        for garbage in (0.0, 0.7, -1e30, float("inf"), float("nan")):
            batch = replace(clean, x=torch.where(weight > 0, clean.x, torch.full_like(clean.x, garbage)))
            composition = copy.deepcopy(started)  # a training pass may move running figures
            trace = composition.trace(batch, training_pass())
            found = [
                composition.represent(batch),
                composition.point_cost(batch).detach(),
                trace.code.point.detach(),
                composition.cost(trace).detach(),
                *gradients(composition, batch, training_pass()),
            ]
            expected = found if expected is None else expected
            assert all(value.isfinite().all() for value in found), f"{corruption}, missing cells holding {garbage}"
            for value, other in zip(found, expected, strict=True):
                assert torch.equal(value, other), f"{corruption}, missing cells holding {garbage}"


def half_weight(case: Case) -> None:
    """A row's cost counts only the cells it has: with none it is what its code costs, 0 for a plain code."""
    composition = case.build().double().eval()
    batch = case.batch(4, weight=torch.zeros(4, FEATURES, dtype=torch.float64))
    trace = composition.trace(batch)
    assert not composition.losses(trace).any()


def json_round_trip(case: Case) -> None:
    """Every part is JSON data and comes back equal, and so does the kind with its knobs."""
    parts = case.parts
    body = {f.name: to_json(getattr(parts, f.name)) for f in fields(parts)}
    assert Parts(**from_json(json.loads(json.dumps(body)))) == parts
    kind = Kind(case.kind)
    knobs = json.loads(json.dumps(to_json(kind.get_params())))
    again = Kind(**from_json(knobs))
    assert again == kind
    assert again.parts() == kind.parts()


def cloning(case: Case) -> None:
    """scikit-learn's clone gives an equal kind that shares nothing that can change."""
    kind = Kind(case.kind)
    copied = clone(kind)
    assert copied == kind
    assert copied is not kind
    assert copied.parts() == kind.parts()
    chosen = Kind(case.kind, **RECIPES[case.kind].knobs)
    assert chosen == kind
    assert clone(chosen) == kind


def state_dict(case: Case) -> None:
    """The weights in another build of the same parts give the same codes and costs."""
    first, second = case.build(0), case.build(1)
    batch = case.batch(7, dtype=torch.float32)
    descend(first, batch, 4)
    second.load_state_dict(first.state_dict())
    first.eval(), second.eval()
    assert torch.equal(first.represent(batch), second.represent(batch))
    assert torch.equal(first.point_cost(batch), second.point_cost(batch))


def one_row(case: Case) -> None:
    """One row, and fewer rows than a batch, can be trained on and used."""
    for rows in (1, 3):
        composition = case.build()
        batch = case.batch(rows, dtype=torch.float32)
        assert np.isfinite(descend(composition, batch, 3)).all()
        composition.eval()
        assert composition.represent(batch).isfinite().all()
        assert composition.point_cost(batch).isfinite().all()


def row_weights(case: Case) -> None:
    """A row of weight 2 counts as the row twice, and one of weight 0 not at all."""
    changes = {"penalties": ()} if case.excused("draws_noise") else {}  # the row twice would draw twice
    composition = case.build(corruption=None, **changes).double().eval()
    batch = case.batch(4)
    weighted = replace(batch, row_weight=torch.tensor([2.0, 1.0, 1.0, 0.0], dtype=torch.float64))
    listed = some_of(batch, [0, 0, 1, 2])
    first, second = (gradients(composition, one, Pass()) for one in (weighted, listed))
    for value, other in zip(first, second, strict=True):
        torch.testing.assert_close(value, other, rtol=1e-10, atol=1e-12)


def given(case: Case) -> None:
    """What the rows are given reaches both code and output, and a pass without it is refused."""
    composition = case.build(given_size=2).double()
    conditions = torch.eye(2, dtype=torch.float64)[torch.arange(16) % 2]
    batch = case.batch(16, given=conditions)
    descend(composition, batch, 3)
    composition.eval()
    other = replace(batch, given=conditions.flip(1))
    first, second = composition.trace(batch), composition.trace(other)
    assert not torch.equal(first.hidden, second.hidden)
    point = first.code.point.detach()
    assert not torch.equal(composition.rebuild(point, first.context), composition.rebuild(point, second.context))
    with pytest.raises(InputError, match="given: this network reads 2 given numbers per row; none came"):
        composition.represent(case.batch(3))


def told(case: Case) -> None:
    """An encoder that is told how strong the noise is heeds it, and is told the least strength outside training."""
    composition = case.build(corruption=GaussianNoise(Between(0.1, 1.0), tell=True)).double()
    batch = case.batch(8)
    descend(composition, batch, 3)
    composition.eval()
    quiet, loud = (
        composition.context(batch, seen=Seen(batch.x, level=torch.full((8,), level, dtype=torch.float64)))
        for level in (0.1, 1.0)
    )
    assert torch.equal(composition.encode(batch, quiet)[0], composition.encode(batch)[0])
    assert not torch.equal(composition.encode(batch, loud)[0], composition.encode(batch, quiet)[0])


LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        shapes, gradient, falling_cost, batch_mates, splitting, same_seed, global_state, quiet_outside_training,
        missing_cells, half_weight, json_round_trip, cloning, state_dict, one_row, row_weights, given, told,
    )
}  # fmt: skip


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("case", cases(mixed=True))
def test_law(case: Case, law: str) -> None:
    LAWS[law](case)


@pytest.mark.parametrize("kind", [kind for kind in RECIPES if Case(kind, "dropout").exists])
def test_dropout_acts_in_training_only(kind: str) -> None:
    composition = Case(kind, "dropout").build(corruption=None).double()
    batch = Case(kind).batch(16)
    first, second = (composition.trace(batch, training_pass(seed)).out for seed in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(composition.trace(batch).out, composition.trace(batch).out)


@pytest.mark.gpu
@pytest.mark.parametrize("case", cases(mixed=True))
def test_moving_device(case: Case) -> None:
    """A composition on the GPU gives the codes and costs that it gives on the CPU."""
    composition = case.build().double()
    batch = case.batch()
    descend(composition, batch, 4)
    composition.eval()
    here = composition.represent(batch), composition.point_cost(batch)
    moved = replace(batch, x=batch.x.cuda(), weight=None if batch.weight is None else batch.weight.cuda())
    composition.cuda()
    there = composition.represent(moved), composition.point_cost(moved)
    for value, other in zip(here, there, strict=True):
        torch.testing.assert_close(value, other.cpu(), rtol=1e-9, atol=1e-9)


def test_a_new_kind_is_picked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe that is registered meets every law with no edit here."""
    monkeypatch.setattr(recipes, "RECIPES", RECIPES)
    monkeypatch.setitem(RECIPES, "squeezed", None)
    del RECIPES["squeezed"]

    @recipes.recipe(Paper("No Body", 2000, "A test", "nowhere"))
    def squeezed(shape: float = 2.0) -> Parts:
        """A kind that only this test knows."""
        return Parts(network=recipes.Dense(hidden=(shape,)), bottleneck=recipes.Plain("tanh"))

    try:
        found = [parameter.values[0] for parameter in cases()]
        assert Case("squeezed") in found
        assert squeezed(shape=1.0).parts().network.hidden == (1.0,)
        for law in (shapes, gradient, json_round_trip, cloning):
            law(Case("squeezed"))
    finally:
        RECIPES.pop("squeezed", None)


def test_rows_of_the_laws_suit_the_loss() -> None:
    """The laws' own rows: in [0, 1] for a loss that says so, and the same for the same seed."""
    assert torch.equal(some_rows(5), some_rows(5))
    unit = some_rows(50, unit=Bernoulli())
    assert 0 < float(unit.min()) < float(unit.max()) < 1
    assert float(some_rows(50).min()) < 0
    assert len(Batch(unit, Case("linear").batch().layout)) == 50
