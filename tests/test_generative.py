"""Priors fitted afterwards, samples, likelihoods, rate and distortion: what `Autoencoder` does with a prior."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import isthmus as ist
from isthmus.errors import InputError
from isthmus.estimators.priors import PRIORS
from isthmus.likelihood import log_likelihood
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.parts.losses.scaled import Squared
from isthmus.records import Batch, Layout, Site

FACTORS = np.random.default_rng(1).standard_normal((2, 5))


def table(rows: int = 400, seed: int = 0) -> np.ndarray:
    """(rows, 5): two clusters along two factors, and a little noise."""
    draw = np.random.default_rng(seed)
    middle = np.where(draw.random((rows, 1)) < 0.5, -3.0, 3.0)
    return (draw.standard_normal((rows, 2)) + middle) @ FACTORS + 0.1 * draw.standard_normal((rows, 5))


@pytest.fixture(scope="module")
def plain() -> ist.Autoencoder:
    return ist.Autoencoder(code_size=2, epochs=30, random_state=0).fit(table())


@pytest.fixture(scope="module")
def variational() -> ist.Autoencoder:
    return ist.Autoencoder("vae", code_size=2, epochs=30, random_state=0).fit(table())


def exact_linear_model() -> tuple[ist.Composition, np.ndarray, np.ndarray]:
    """x = W z + noise with z from N(0, I): a composition whose posterior is exact, and the mean and covariance of x."""
    weights = torch.tensor([[1.0, 0.5], [0.0, 2.0], [-1.0, 1.0]], dtype=torch.float64)
    variance = 0.25
    precision = torch.eye(2, dtype=torch.float64) + weights.T @ weights / variance
    triangle = torch.linalg.cholesky(torch.linalg.inv(precision))

    class Exact(nn.Module):
        """Emits what `Gaussian("full")` reads: mean, log diagonal and the rest of the triangle."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = x @ weights / variance @ torch.linalg.inv(precision)
            rest = torch.stack([triangle[0, 0].log(), triangle[1, 1].log(), triangle[1, 0]])
            return torch.cat((mean, rest.expand(len(x), 3)), 1)

    decoder = nn.Linear(2, 3, bias=False).double()
    decoder.weight.data = weights
    bottleneck = Gaussian("full").build(Site(code_size=2))
    model = ist.compose(Exact(), bottleneck, decoder, Squared(variance=variance)).double().eval()
    return model, np.zeros(3), (weights @ weights.T + variance * torch.eye(3)).numpy()


@pytest.mark.parametrize("draws", [1, 7])
def test_likelihood_is_exact_where_the_posterior_is(draws: int) -> None:
    model, mean, covariance = exact_linear_model()
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, spread = log_likelihood(
        model, Batch(x, Layout((3,), ("column",))), draws, torch.Generator().manual_seed(1), model.prior
    )
    gap = x.numpy() - mean
    exact = -0.5 * (gap @ np.linalg.inv(covariance) * gap).sum(1) - 0.5 * np.linalg.slogdet(2 * math.pi * covariance)[1]
    np.testing.assert_allclose(found.numpy(), exact, rtol=1e-8)
    if draws > 1:  # all weights are equal
        assert float(spread.max()) < 1e-6


def test_spread_of_a_likelihood_is_that_of_repeated_estimates(variational: ist.Autoencoder) -> None:
    X = table(3, seed=5)
    estimates = [variational.log_likelihood(X, 100, random_state=seed) for seed in range(60)]
    repeated = np.std([one.rows for one in estimates], axis=0)
    stated = np.mean([one.spread for one in estimates], axis=0)
    assert (0.4 * repeated < stated).all()
    assert (stated < 2.5 * repeated).all()


def test_more_draws_are_no_looser_and_both_beat_the_bound(variational: ist.Autoencoder) -> None:
    X = table(200, seed=3)
    one, many = variational.log_likelihood(X, 1), variational.log_likelihood(X, 300)
    parts = variational.rate_distortion(X)
    assert many.mean > one.mean
    assert many.mean > -(parts.rate + parts.distortion).mean()
    assert (parts.rate >= 0).all()
    assert many.rows.shape == many.spread.shape == (200,)
    assert many.standard_error == pytest.approx(many.rows.std(ddof=1) / math.sqrt(200))
    assert repr(many).startswith("Likelihood(")
    assert np.array_equal(many.rows, variational.log_likelihood(X, 300).rows)


def test_likelihood_is_in_the_users_units() -> None:
    X = table(300)
    first = ist.Autoencoder("vae", code_size=2, epochs=3, random_state=0).fit(X)
    second = ist.Autoencoder("vae", code_size=2, epochs=3, random_state=0).fit(10 * X)
    gap = first.log_likelihood(X).mean - second.log_likelihood(10 * X).mean
    assert gap == pytest.approx(5 * math.log(10), abs=0.05)


def test_rate_is_zero_where_codes_cost_nothing(plain: ist.Autoencoder) -> None:
    X = table(50, seed=2)
    parts = plain.rate_distortion(X)
    assert (parts.rate == 0).all()
    np.testing.assert_allclose(parts.distortion, -plain.score_samples(X), rtol=1e-4)


@pytest.mark.parametrize("prior", ["normal", "mixture", "flow", "two_level"])
def test_a_prior_fitted_afterwards_is_sampled_from_and_saved(
    prior: str, plain: ist.Autoencoder, tmp_path: Path
) -> None:
    X = table()
    plain.fit_prior(prior, X, random_state=0)
    rows = plain.sample(1000, random_state=0)
    assert rows.shape == (1000, 5)
    np.testing.assert_allclose(rows.mean(0), X.mean(0), atol=0.35 * X.std())
    # A flow may stretch one draw of a thousand far, which alone would move a covariance.
    np.testing.assert_allclose(np.cov(rows.clip(2 * X.min(0), 2 * X.max(0)).T), np.cov(X.T), atol=0.35 * X.var())
    assert np.array_equal(rows, plain.sample(1000, random_state=0))
    assert not np.array_equal(rows[:5], plain.sample(5))
    again = ist.load(plain.save(tmp_path / "model.safetensors"))
    assert np.array_equal(rows, again.sample(1000, random_state=0))


def test_a_mixture_finds_both_clusters_where_one_normal_cannot(plain: ist.Autoencoder) -> None:
    X = table(1000)
    middle = np.abs(X @ np.linalg.pinv(FACTORS)).min() / 2  # hardly any row of the data lies between the clusters
    shares = []
    for prior in ("normal", "mixture"):
        rows = plain.fit_prior(prior, X).sample(2000, random_state=1)
        factors = (rows @ np.linalg.pinv(FACTORS)).mean(1)
        shares.append(float((np.abs(factors) < 1.0).mean()))
    assert middle >= 0
    assert shares[1] < 0.5 * shares[0]


def test_a_better_prior_raises_the_likelihood_of_a_variational_kind(variational: ist.Autoencoder) -> None:
    X = table(300, seed=4)
    own = ist.Autoencoder("vae", code_size=2, epochs=30, random_state=0).fit(table())
    before = own.log_likelihood(X).mean
    own.fit_prior("mixture", table())
    assert own.log_likelihood(X).mean > before
    own.fit(table()[:100])
    assert own.prior_ is None  # a new fit has other codes


def test_noise_adds_what_the_loss_says(variational: ist.Autoencoder) -> None:
    quiet, loud = (variational.sample(4000, noise=noise, random_state=0) for noise in (False, True))
    variance = float(variational.composition_.loss.variance) * variational.scaling_.scale.reshape(-1) ** 2
    np.testing.assert_allclose((loud - quiet).var(0), variance, rtol=0.1)


def test_samples_come_as_the_data_came() -> None:
    frame = pd.DataFrame(table(200), columns=list("abcde"))
    found = ist.Autoencoder("vae", code_size=2, epochs=2, random_state=0).fit(frame).sample(3, random_state=0)
    assert list(found.columns) == list("abcde")
    assert list(found.index) == [0, 1, 2]


def test_samples_of_conditional_models_are_given_their_labels() -> None:
    X = table(400)
    side = np.where(X @ np.linalg.pinv(FACTORS)[:, 0] > 0, "right", "left")
    ae = ist.Autoencoder("vae", code_size=2, epochs=40, random_state=0).fit(X, given=side)
    middles = [ae.sample(200, given=label, random_state=0).mean(0) for label in ("left", "right")]
    for label, middle in zip(("left", "right"), middles, strict=True):
        own, other = X[side == label].mean(0), X[side != label].mean(0)
        assert np.linalg.norm(middle - own) < np.linalg.norm(middle - other)
    with pytest.raises(InputError, match=r"'up', which no row of the fit was given"):
        ae.sample(2, given="up")
    with pytest.raises(InputError, match="given: this model was fitted on rows with"):
        ae.sample(2)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda ae, X: ae.sample(0), "n must be a whole number >= 1; got 0"),
        (lambda ae, X: ae.sample(3), r"no prior over its codes.*ae.fit_prior\('mixture', X\)"),
        (lambda ae, X: ae.log_likelihood(X), "log_likelihood: this kind draws no codes"),
        (lambda ae, X: ae.fit_prior("mixture"), "fit_prior needs rows"),
        (lambda ae, X: ae.fit_prior("mixtur", X), r"none is called 'mixtur'. Did you mean 'mixture'"),
        (lambda ae, X: ae.fit_prior(ist.Mixture(0), X), "components"),
        (lambda ae, X: ae.fit_prior(ist.Vamp(5), X), "Vamp: the codes of this kind are not normal .* use 'mixture'"),
        (lambda ae, X: ae.fit_prior(3, X), f"prior must be one of {', '.join(PRIORS)}, or a prior such as"),
        (lambda ae, X: ae.fit_prior(X, "normal"), r"got ndarray. Rows come second: fit_prior\('mixture', X\)"),
        (lambda ae, X: ae.fit_prior(ist.Mixture, X), "got <class"),
        (lambda ae, X: ae.fit_prior(ist.Mixture(10**9), X), "do not fit in memory; use at most 50,000,000"),
    ],
)
def test_bad_input_is_put_into_words(work: object, message: str) -> None:
    X = table(60)
    ae = ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(X)
    with pytest.raises(InputError, match=message):
        work(ae, X)  # type: ignore[operator]


@pytest.mark.parametrize("draws", [0, -1, 2.5, True])
def test_draws_are_whole_numbers(draws: object, variational: ist.Autoencoder) -> None:
    with pytest.raises(InputError, match="draws must be a whole number >= 1"):
        variational.log_likelihood(table(5), draws)  # type: ignore[arg-type]


@pytest.mark.parametrize("beta", [-1.0, float("nan"), float("inf"), ist.Ramp(-0.5, 1.0, epochs=3)])
def test_a_negative_beta_is_refused(beta: object) -> None:
    with pytest.raises(InputError, match=r"rate \(beta\): .* >= 0"):
        ist.Autoencoder(ist.recipes.vae(beta=beta), epochs=1).fit(table(60))


def test_a_report_shows_samples_and_what_units_say(tmp_path: Path) -> None:
    X = ist.data.digits()[0][:300]
    settings = {"code_size": 4, "epochs": 2, "random_state": 0}
    drawn = ist.Autoencoder("vae", **settings).fit(X)
    text = drawn.report(tmp_path / "drawn.html", X).read_text()
    assert "Drawn from the prior" in text
    assert text.count('alt="sample ') == 12
    assert "What the 4 units of the code say" in text
    plain = ist.Autoencoder(**settings).fit(X)
    text = plain.report(tmp_path / "plain.html", X).read_text()
    assert "Drawn from the prior" not in text
    assert "What units say" not in text
    plain.fit_prior("normal", X)
    assert "Drawn from the prior" in plain.report(tmp_path / "fitted.html", X).read_text()


def test_true_factors_reach_the_diagnosis() -> None:
    X = table(300)
    factors = X @ np.linalg.pinv(FACTORS)
    ae = ist.Autoencoder("vae", code_size=2, epochs=20, random_state=0).fit(X)
    found = ae.diagnose(X, factors=factors)
    assert 0 <= found.figures["mig"] <= 1
    assert found["disentanglement"].sentence
    with pytest.raises(InputError, match="factors must have one row for each of the 300 rows; got 299"):
        ae.diagnose(X, factors=factors[1:])


@pytest.mark.parametrize(
    "kind", ["vae", "iwae", ist.recipes.iwae(doubly=True), "hyperspherical", "binary", "vq_vae"], ids=str
)
def test_the_state_that_is_kept_has_learnt(kind: object) -> None:
    """The held-out cost before the first step is of the same kind as those after it, so that no fit ends there."""
    ae = ist.Autoencoder(kind, code_size=4, epochs=15, random_state=0).fit(table())
    costs = ae.history_["valid_cost"]
    assert min(costs) < costs[0] - 0.5
    assert ae.diagnose(table())["underfitting"].level != "bad" or kind in ("binary", "hyperspherical", "vq_vae")
    assert ae.record_.held_out_error < ae.record_.mean_error


def test_partial_fit_drops_a_prior_of_codes_as_they_were() -> None:
    X = table(200)
    ae = ist.Autoencoder(code_size=2, epochs=2, random_state=0).fit(X).fit_prior("normal", X)
    assert ae.prior_ is not None
    assert ae.partial_fit(X).prior_ is None
