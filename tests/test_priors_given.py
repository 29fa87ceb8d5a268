"""Mixtures whose size is chosen, mixtures that hang on what is given, and pseudo-inputs learned afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

import isthmus as ist
from isthmus.errors import InputError
from isthmus.parts.priors import expectation, vamp_afterwards
from isthmus.parts.priors.expectation import lone_normal, spread_within
from isthmus.parts.priors.fitting import Given, Pace
from isthmus.parts.priors.mixture import Mixture
from isthmus.parts.priors.vamp_afterwards import Posteriors
from isthmus.records import Context, Site, from_json, to_json


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def fitted(codes: Tensor, components: int | None = None, given: Given | None = None) -> Any:
    prior: Any = Mixture(components).build(Site(code_size=codes.shape[1])).double()
    prior.fit(codes, generator(1), given)
    return prior


def told(*values: float, rows: int = 1) -> Context:
    return Context((1,), given=torch.tensor(values, dtype=torch.float64).expand(rows, -1))


def total(prior: Any, context: Callable[[int], Context | None]) -> float:
    """Of the density over a wide square."""
    axis = torch.linspace(-14, 14, 400).double()
    with torch.no_grad():
        density = prior.log_prob(torch.cartesian_prod(axis, axis), context(160_000))
    return float(density.exp().sum() * (axis[1] - axis[0]) ** 2)


# How many components.


@pytest.mark.parametrize(("clusters", "expected"), [(1, 1), (2, 2), (4, 4), (8, 8)])
def test_the_criterion_finds_how_many_there_are(clusters: int, expected: int) -> None:
    corners = 12 * torch.tensor([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]).double()
    codes = torch.cat([corners[place] + normals(150, 3, seed=place) for place in range(clusters)])
    prior = fitted(codes)
    assert len(prior.means) == expected
    assert sorted(prior.log_shares.detach().exp().tolist()) == pytest.approx([1 / clusters] * clusters, abs=1e-3)


def test_the_choice_is_by_some_rows_and_the_fit_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = torch.cat((normals(900, 2), normals(300, 2, seed=1) + 20))
    whole = fitted(codes)
    monkeypatch.setattr(expectation, "ROWS_TO_CHOOSE", 120)
    assert len(whole.means) == len(fitted(codes).means) == 2
    for prior in (whole, fitted(codes)):  # the shares of all rows, which those of a few could not say so well
        assert sorted(prior.log_shares.detach().exp().tolist()) == pytest.approx([0.25, 0.75], abs=1e-4)


ODD: dict[str, Callable[[], Tensor]] = {
    "one row": lambda: torch.tensor([[1.0, 2, 3]]),
    "fewer rows than units": lambda: torch.tensor([[1.0, 2, 3], [2, 2, 2]]),
    "all the same": lambda: torch.ones(40, 3),
    "duplicates": lambda: normals(3, 3).repeat(40, 1),
    "constant unit": lambda: normals(60, 3) * torch.tensor([1.0, 0.0, 1.0]) + 4,
    "zeros": lambda: normals(90, 3).clamp(min=0.3),
}


@pytest.mark.parametrize("rows", ODD)
@pytest.mark.parametrize("labels", [0, 2])
def test_odd_codes_can_be_fitted(rows: str, labels: int) -> None:
    codes = ODD[rows]().double()
    number = torch.arange(len(codes)) % max(1, labels)
    values = torch.cat((torch.eye(max(1, labels))[number].double(), torch.zeros(len(codes), 1).double()), 1)
    given = Given(values, torch.tensor([True] * labels + [False])) if labels else None
    prior = fitted(codes, None, given)
    context = Context((3,), given=values) if labels else None
    drawn = prior.sample(len(codes), 3, generator(1), context)
    assert prior.log_prob(codes, context).isfinite().all()
    reach = (codes - codes.mean(0)).abs().amax(0) + 1
    assert bool(((drawn - codes.mean(0)).abs() < 20 * reach).all())


def test_in_a_bottleneck_the_number_is_ten() -> None:
    assert len(Mixture(None).build(Site(code_size=2)).means) == 10
    assert from_json(to_json(Mixture(None))) == Mixture(None) != Mixture(10)
    for large in (Mixture(10**6), Posteriors(10**6)):
        with pytest.raises(InputError, match="components=1,000,000 of codes of 20 numbers do not fit in memory"):
            large.build(Site(code_size=20))


# What is given: labels.


def classes(rows: int = 500) -> tuple[Tensor, Tensor, Tensor]:
    """Codes (rows, 2) of three labels: two clusters, one wide normal, and a label of three rows."""
    number = torch.where(torch.arange(rows) < 3, 2, torch.arange(rows) % 2)
    side = torch.where(torch.rand(rows, generator=generator(5)) < 0.5, -4.0, 4.0).double()
    first = torch.stack((side, torch.zeros(rows).double()), 1) + 0.5 * normals(rows, 2)
    second = normals(rows, 2, seed=1) @ torch.tensor([[2.0, 1.0], [0.0, 1.0]]).double() + torch.tensor([0.0, 5.0])
    codes = torch.where((number == 0)[:, None], first, second)
    codes[:3] = torch.tensor([[9.0, -9.0], [9.2, -9.1], [8.9, -9.3]]).double()
    return codes, number, torch.eye(3).double()[number]


def test_every_label_has_its_own_mixture() -> None:
    codes, number, values = classes()
    prior = fitted(codes, None, Given(values, torch.ones(3, dtype=torch.bool)))
    assert prior.owner.tolist().count(0) == 1  # the classes are in the order of their columns from the last
    for label in range(3):
        beside = torch.eye(3)[label].tolist()
        drawn = prior.sample(4000, 2, generator(2), told(*beside, rows=4000))
        own = codes[number == label]
        if label < 2:
            torch.testing.assert_close(drawn.mean(0), own.mean(0), rtol=0, atol=0.25)
            torch.testing.assert_close(torch.cov(drawn.T), torch.cov(own.T), rtol=0.1, atol=0.25)
            assert total(prior, lambda n, beside=beside: told(*beside, rows=n)) == pytest.approx(1, abs=2e-3)
        gain = prior.log_prob(own, told(*beside, rows=len(own))) - prior.log_prob(own)
        assert float(gain.detach().mean()) > 0.5
    # Three rows say where they lie; how wide they spread is said by the other labels too.
    drawn = prior.sample(4000, 2, generator(3), told(0, 0, 1, rows=4000))
    torch.testing.assert_close(drawn.mean(0), codes[:3].mean(0), rtol=0, atol=0.1)
    assert float(codes[:3].std(0).max()) < 0.5 < float(drawn.std(0).min())


def test_without_a_label_it_is_the_mixture_of_all() -> None:
    codes, number, values = classes()
    prior = fitted(codes, None, Given(values, torch.ones(3, dtype=torch.bool)))
    z = 4 * normals(50, 2, seed=7)
    with torch.no_grad():
        each = torch.stack([prior.log_prob(z, told(*torch.eye(3)[label].tolist(), rows=50)) for label in range(3)])
        shares = torch.bincount(number).double() / len(number)
        expected = torch.logsumexp(each + shares.log()[:, None], 0)
        torch.testing.assert_close(prior.log_prob(z), expected, rtol=1e-10, atol=1e-10)
    drawn = prior.sample(5000, 2, generator(2))
    torch.testing.assert_close(drawn.mean(0), codes.mean(0), rtol=0, atol=0.2)


def test_labels_that_no_row_had_together_are_given_the_codes_of_all() -> None:
    codes, number, _ = classes()
    values = torch.cat((torch.eye(2)[(number == 1).long()], torch.eye(2)[(number == 1).long()]), 1).double()
    prior = fitted(codes, None, Given(values, torch.ones(4, dtype=torch.bool)))
    z = 4 * normals(50, 2, seed=7)
    torch.testing.assert_close(prior.log_prob(z, told(1, 0, 0, 1, rows=50)), prior.log_prob(z), rtol=1e-10, atol=1e-10)
    assert float((prior.log_prob(z, told(1, 0, 1, 0, rows=50)) - prior.log_prob(z)).detach().abs().min()) > 1e-3


def test_few_rows_lean_on_the_spread_within_groups() -> None:
    rows = normals(7, 2).numpy()
    groups = [np.array([0, 1, 2]), np.array([3, 4, 5, 6])]
    within = spread_within(rows, groups)
    free = [np.cov(rows[group].T) * (len(group) - 1) for group in groups]
    np.testing.assert_allclose(within, sum(free) / 5, rtol=1e-12)
    found = lone_normal(rows[:3], within)
    expected = (free[0] + 3 * within) / 6 + 1e-4 * np.eye(2)
    np.testing.assert_allclose((found.triangles[0] @ found.triangles[0].T).numpy(), expected, rtol=1e-12)
    singles = [np.array([place]) for place in range(7)]
    np.testing.assert_allclose(spread_within(rows, singles), np.cov(rows.T, bias=True), rtol=1e-12)


# What is given: quantities.


def test_one_normal_given_a_quantity_is_that_of_the_textbook() -> None:
    mixing = torch.tensor([[1.0, 0.5, -1.0], [0.0, 1.0, 0.3], [0.0, 0.0, 0.7]]).double()
    joint = normals(400, 3) @ mixing
    y, codes = joint[:, :1], 3 * joint[:, 1:] + 2
    prior = fitted(codes, 1, Given(y, torch.tensor([False])))
    both = torch.cat((y, codes), 1)
    middle, cov = both.mean(0), torch.cov(both.T, correction=0)
    cov = cov + 1e-4 * torch.diag(torch.cat((torch.ones(1).double(), codes.var(0, correction=0))))
    for value in (-1.3, 0.0, 6.0):
        slope = cov[1:, :1] / cov[0, 0]
        mean = middle[1:] + slope[:, 0] * (value - middle[0])
        expected = MultivariateNormal(mean, cov[1:, 1:] - slope @ cov[:1, 1:])
        found = prior.log_prob(codes, told(value, rows=400))
        torch.testing.assert_close(found, expected.log_prob(codes), rtol=1e-8, atol=1e-8)
        drawn = prior.sample(20_000, 2, generator(3), told(value, rows=20_000))
        torch.testing.assert_close(drawn.mean(0), mean, rtol=0, atol=0.1)
        torch.testing.assert_close(torch.cov(drawn.T), expected.covariance_matrix, rtol=0.05, atol=0.1)
    expected = MultivariateNormal(middle[1:], cov[1:, 1:]).log_prob(codes)
    torch.testing.assert_close(prior.log_prob(codes), expected, rtol=1e-8, atol=1e-8)


def bent(rows: int = 1500) -> tuple[Tensor, Tensor]:
    """Quantities (rows, 1), and codes (rows, 2) that do not follow them along a line."""
    y = normals(rows, 1)
    return y, torch.cat((3 * y.abs(), y.sin()), 1) + 0.3 * normals(rows, 2, seed=1)


def test_a_mixture_given_a_quantity_is_joint_over_marginal() -> None:
    y, codes = bent()
    prior = fitted(codes, 6, Given(y, torch.tensor([False])))
    triangles = prior.triangles()[0].detach()
    shares = torch.log_softmax(prior.log_shares.detach(), 0)
    x = (codes[:9] - prior.middle) / prior.spread

    def mixed(rows: Tensor, units: slice) -> Tensor:
        cov = triangles @ triangles.mT
        each = MultivariateNormal(prior.means.detach()[:, units], cov[:, units, units]).log_prob(rows[:, None])
        return torch.logsumexp(each + shares, 1)

    joint = mixed(torch.cat((y[:9], x), 1), slice(0, 3)) - mixed(y[:9], slice(0, 1))
    found = prior.log_prob(codes[:9], Context((2,), given=y[:9]))
    torch.testing.assert_close(found, joint - prior.spread.log().sum(), rtol=1e-8, atol=1e-8)
    for value in (-1.5, 0.4):
        assert total(prior, lambda n, value=value: told(value, rows=n)) == pytest.approx(1, abs=2e-3)
        drawn = prior.sample(4000, 2, generator(2), told(value, rows=4000))
        expected = torch.tensor([3 * abs(value), math.sin(value)]).double()
        torch.testing.assert_close(drawn.mean(0), expected, rtol=0, atol=0.3)
    assert total(prior, lambda n: None) == pytest.approx(1, abs=2e-3)


def test_labels_and_quantities_together() -> None:
    y, codes = bent(800)
    number = torch.arange(800) % 2
    codes = codes + 6.0 * number[:, None]
    values = torch.cat((torch.eye(2).double()[number], y), 1)
    prior = fitted(codes, None, Given(values, torch.tensor([True, True, False])))
    drawn = prior.sample(2000, 2, generator(3), told(0, 1, -1.0, rows=2000))
    torch.testing.assert_close(drawn.mean(0), torch.tensor([9.0, 6 - 0.84]).double(), rtol=0, atol=0.4)
    context = Context((2,), given=values[:5])
    draws = torch.stack((codes[:5], codes[5:10]))
    together = prior.log_prob(draws, context)
    assert together.shape == (2, 5)
    torch.testing.assert_close(together[1], prior.log_prob(draws[1], context))


def test_its_gradient_is_that_of_finite_differences() -> None:
    y, codes = bent(300)
    prior = fitted(codes, 2, Given(y, torch.tensor([False])))
    z = codes[:4].clone().requires_grad_()
    context = Context((2,), given=y[:4])
    assert torch.autograd.gradcheck(lambda z: prior.log_prob(z, context), (z,))
    assert torch.autograd.gradcheck(lambda *w: prior.log_prob(codes[:4], context), tuple(prior.parameters()))


def test_its_state_is_carried_over_whatever_its_length() -> None:
    codes, _, values = classes()
    first = fitted(codes, None, Given(values, torch.ones(3, dtype=torch.bool)))
    plain = fitted(codes)
    second: Any = Mixture(None).build(Site(code_size=2)).double()
    for one, context in ((first, told(1, 0, 0, rows=9)), (plain, None), (first, told(0, 1, 0, rows=9))):
        second.load_state_dict(one.state_dict())
        assert set(second.state_dict()) == set(one.state_dict())
        assert torch.equal(second.log_prob(codes[:9], context), one.log_prob(codes[:9], context))
        assert torch.equal(second.sample(9, 2, generator(), context), one.sample(9, 2, generator(), context))
    second.fit(codes, generator(1))  # nothing given: what was there before leaves no trace
    assert torch.equal(second.log_prob(codes), plain.log_prob(codes))


# In a model.


def table(rows: int = 240) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    label = np.arange(rows) % 3
    middles = 4 * draw.standard_normal((3, 6))
    return middles[label] + draw.standard_normal((rows, 6)), label


@pytest.mark.parametrize("what", ["labels", "quantities", "both"])
def test_models_draw_codes_of_what_is_given(what: str, tmp_path: Path) -> None:
    X, label = table()
    given: Any = {
        "labels": label,
        "quantities": X[:, 0],
        "both": pd.DataFrame({"label": label, "size": X[:, 0]}),
    }[what]
    one: Any = {"labels": 2, "quantities": 1.5, "both": given.iloc[[2] * 50] if what == "both" else None}[what]
    ae = ist.Autoencoder(code_size=2, epochs=5, random_state=0).fit(X, given=given)
    assert ae.fit_prior("mixture", X, given=given).prior_.labelled.tolist() == {
        "labels": [True] * 3, "quantities": [False], "both": [True] * 3 + [False],
    }[what]  # fmt: skip
    rows = ae.sample(50, given=one, random_state=0)
    again = ist.load(ae.save(tmp_path / "model.safetensors"))
    assert np.array_equal(again.sample(50, given=one, random_state=0), rows)
    if what == "labels":
        codes = ae.transform(X, given=given)
        for label_value in range(3):
            context = Context((6,), given=torch.eye(3)[label_value].expand(3000, 3))
            drawn = ae.prior_.sample(3000, 2, generator(1), context)
            own = codes[label == label_value]
            np.testing.assert_allclose(drawn.mean(0), own.mean(0), atol=0.15 * codes.std())
    with pytest.raises(InputError, match="given: this model was fitted on rows with"):
        ae.fit_prior("mixture", X)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vamp_afterwards, "PACE", Pace(steps=60, look=10, rate=1e-2))


def test_pseudo_inputs_are_learned_afterwards(few_steps: None, tmp_path: Path) -> None:
    X, _ = table(1500)
    ae = ist.Autoencoder("vae", code_size=2, epochs=20, random_state=0).fit(X)
    before = {name: value.clone() for name, value in ae.composition_.state_dict().items()}
    own = ae.log_likelihood(X[:200], 20).mean
    ae.composition_.zero_grad()
    ae.fit_prior(ist.Vamp(12), X)
    assert all(torch.equal(value, before[name]) for name, value in ae.composition_.state_dict().items())
    assert all(weights.grad is None for weights in ae.composition_.parameters())
    assert ae.prior_part_ == Posteriors(12)
    assert len(ae.prior_.means) == 12
    assert ae.log_likelihood(X[:200], 20).mean > own + 0.05
    again = ist.load(ae.save(tmp_path / "model.safetensors"))
    assert np.array_equal(again.sample(20, random_state=0), ae.sample(20, random_state=0))
    assert total(ae.prior_.double(), lambda n: None) == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_unmoved_pseudo_inputs_are_the_mean_of_the_rows_posteriors(
    posterior: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vamp_afterwards, "PACE", Pace(steps=0, look=1))
    X, _ = table(24)
    kind = ist.recipes.vae(posterior=posterior)
    ae = ist.Autoencoder(kind, code_size=2, epochs=3, random_state=0).fit(X).fit_prior(ist.Vamp(24), X)
    torch.testing.assert_close(ae.prior_.means.detach(), torch.from_numpy(ae.transform(X)), rtol=1e-4, atol=1e-5)
    z = normals(9, 2).float()
    with torch.no_grad():
        batch = next(ae._batches(ae._source(X)))[2]
        rows = ae.composition_.encode(batch)[1].posterior
        each = torch.stack([rows.log_prob(one.expand(24, 2)) for one in z])
        torch.testing.assert_close(ae.prior_.log_prob(z), torch.logsumexp(each, 1) - math.log(24), rtol=1e-3, atol=1e-3)


def test_moving_pseudo_inputs_makes_codes_likelier(few_steps: None, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = table()
    ae = ist.Autoencoder("vae", code_size=2, epochs=10, random_state=0).fit(X)
    z, found = torch.from_numpy(ae.transform(X)), []
    for pace in (Pace(steps=0, look=1), vamp_afterwards.PACE):
        monkeypatch.setattr(vamp_afterwards, "PACE", pace)
        ae.fit_prior(ist.Vamp(4), X)
        found.append(float(ae.prior_.log_prob(z).mean().detach()))
    assert found[1] > found[0] + 0.05


@pytest.mark.parametrize(
    "kind", ["undercomplete", "vq_vae", "hyperspherical", ist.recipes.vae(posterior="flow")], ids=str
)
def test_other_codes_have_no_pseudo_inputs(kind: Any) -> None:
    X, _ = table(60)
    ae = ist.Autoencoder(kind, code_size=4, epochs=1, random_state=0).fit(X)
    with pytest.raises(InputError, match="Vamp: the codes of this kind are not normal distributions"):
        ae.fit_prior("vamp", X)
