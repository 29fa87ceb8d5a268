"""Things that must be equal to other things: exact identities beat recorded numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from checks_for_kinds import CORRUPTIONS, FEATURES, Case, descend, generator, gradients, training_pass
from sklearn.decomposition import PCA
from torch import Tensor, nn

import isthmus as ist
from isthmus.parts.corruptions import GaussianNoise, Mask, RowSwap, SaltPepper
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.parts.penalties.sparsity import L1
from isthmus.parts.penalties.weights import WeightDecay
from isthmus.parts.schedules import Between
from isthmus.pca import largest_angle, principal_components
from isthmus.records import Batch, Pass

CASE = Case("undercomplete")


def learned(**changes: Any) -> tuple[list[Tensor], Tensor]:
    """Gradient and output of a training pass, after three steps of a network with these parts."""
    model = CASE.build(network=Dense(hidden=(7, 5)), **changes).double()
    batch = CASE.batch()
    descend(model, batch, 3)
    return gradients(model, batch, training_pass()), model.trace(batch, training_pass()).out.detach()


def assert_same(first: tuple[list[Tensor], Tensor], second: tuple[list[Tensor], Tensor]) -> None:
    for one, other in zip([*first[0], first[1]], [*second[0], second[1]], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("nothing", [Mask(0), GaussianNoise(0), SaltPepper(0), RowSwap(0)], ids=repr)
def test_a_corruption_of_strength_zero_is_none(nothing: object) -> None:
    assert_same(learned(corruption=nothing), learned(corruption=None))


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "none"])
def test_a_stronger_corruption_is_another_gradient(name: str) -> None:
    weak = CORRUPTIONS[name]
    knob = "std" if isinstance(weak, GaussianNoise) else "fraction"
    strength = getattr(weak, knob)
    twice = Between(2 * strength.low, 2 * strength.high) if isinstance(strength, Between) else 2 * strength
    strong = replace(weak, **{knob: twice})
    none = replace(weak, **{knob: 0.0})  # an encoder that is told the strength has a column more than one that is not
    slopes = [learned(corruption=each)[0] for each in (none, weak, strong)]
    for one, other in ((0, 1), (1, 2)):
        assert any((a - b).abs().max() > 1e-3 for a, b in zip(slopes[one], slopes[other], strict=True))


@pytest.mark.parametrize("penalty", [L1(0.0), WeightDecay(0.0), L1(0.0, layer="encoder.linear.0")], ids=repr)
def test_a_penalty_of_weight_zero_is_none(penalty: object) -> None:
    assert_same(learned(penalties=(penalty,)), learned())


def test_dropout_of_zero_is_none() -> None:
    first, second = (CASE.build(network=Dense(hidden=(7,), dropout=rate)).double() for rate in (0.0, 0.5))
    batch = CASE.batch()
    assert torch.equal(first.trace(batch, training_pass()).out, second.trace(batch, Pass()).out)
    assert not torch.equal(first.trace(batch, training_pass()).out, second.trace(batch, training_pass()).out)


@torch.no_grad()
def test_a_cell_of_weight_zero_is_a_column_taken_away() -> None:
    """A linear kind without its second column, in input, output and weights, costs what the whole one does."""
    whole = Case("linear").build().double()
    batch = CASE.batch(9)
    weight = torch.ones_like(batch.x)
    weight[:, 1] = 0
    masked = replace(batch, weight=weight)
    kept = [0, 2, 3, 4, 5]
    smaller = ist.compose(nn.Linear(5, 3), ist.Plain(), nn.Linear(3, 5), Squared()).double()
    smaller.encoder.module.weight.copy_(whole.encoder.linear[0].weight[:, kept])
    smaller.encoder.module.bias.copy_(whole.encoder.linear[0].bias)
    smaller.decoder.module.weight.copy_(whole.decoder.linear[0].weight[kept])
    smaller.decoder.module.bias.copy_(whole.decoder.linear[0].bias[kept])
    reduced = Batch(batch.x[:, kept], ist.Layout((5,), ("column",)))
    torch.testing.assert_close(whole.represent(masked), smaller.represent(reduced), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(whole.point_cost(masked), smaller.point_cost(reduced), rtol=1e-13, atol=1e-13)


@torch.no_grad()
def test_tied_decoders_have_the_encoders_weights_transposed() -> None:
    model = Case("linear", "tied").build().double()
    weight = model.encoder.linear[0].weight
    x = CASE.batch().x
    expected = (x @ weight.T + model.encoder.linear[0].bias) @ weight + model.decoder.linear[0].bias
    torch.testing.assert_close(model.trace(CASE.batch()).out, expected, rtol=1e-13, atol=1e-13)


def test_a_denoising_kind_without_noise_is_undercomplete() -> None:
    first = Case("denoising").build(corruption=None)
    second = Case("undercomplete").build()
    batch = CASE.batch(dtype=torch.float32)
    assert descend(first, batch, 5) == descend(second, batch, 5)


def test_a_sparse_kind_without_penalty_is_overcomplete() -> None:
    first = ist.Kind("sparse", weight=0.0).parts().build(CASE.batch().layout, 12, generator())
    tied = ist.Dense(hidden=(), activation="relu", tied=True)
    second = Case("overcomplete").build(network=tied, loss=Squared(variance=0.1))
    batch = CASE.batch(dtype=torch.float32)
    assert descend(first, batch, 5) == descend(second, batch, 5)


# ---------------------------------------------------------------------- principal components


def rows_of_known_spectrum(rows: int = 2000, features: int = 20, seed: int = 0) -> np.ndarray:
    """The fourth eigenvalue of their covariance is exactly twice the fifth."""
    draw = np.random.default_rng(seed)
    eigenvalues = np.array([8.0, 6.5, 5.0, 4.0, *np.linspace(2.0, 0.2, features - 4)])
    turned = np.linalg.qr(draw.standard_normal((features, features)))[0]
    centred = draw.standard_normal((rows, features))
    scores = np.linalg.qr(centred - centred.mean(0))[0] * math.sqrt(rows)
    return scores * np.sqrt(eigenvalues) @ turned.T


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 100, "batch_size": 500, "learning_rate": 0.02},
        pytest.param({}, id="as chosen by the library", marks=pytest.mark.slow),
    ],
    ids=str,
)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_linear_kind_learns_the_principal_components(tied: bool, seed: int, settings: dict[str, Any]) -> None:
    """From a random start: the loss of PCA, and its subspace within half a degree."""
    x = rows_of_known_spectrum()
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    assert eigenvalues[3] / eigenvalues[4] == pytest.approx(2.0, rel=1e-9)
    fitted = ist.Autoencoder(
        ist.recipes.linear(tied=tied),
        code_size=4,
        scale="common",
        validation_fraction=0.0,
        random_state=seed,
        **settings,
    ).fit(x)
    found = PCA(4).fit(x)
    best = np.square(found.inverse_transform(found.transform(x)) - x).mean()
    assert np.square(fitted.reconstruct(x) - x).mean() <= 1.001 * best
    assert best == pytest.approx(eigenvalues[4:].mean() * 16 / 20, rel=1e-9)
    (decoder,) = fitted.composition_.decoder.linear
    basis = fitted.composition_.encoder.linear[0].weight if tied else decoder.weight.T
    assert largest_angle(basis.detach().numpy(), found.components_) < 0.5


@pytest.mark.parametrize("hidden", [(), (16,)])
def test_a_linear_path_starts_at_pca(hidden: tuple[int, ...]) -> None:
    """A network that asks for a linear path begins at PCA of its training rows: with steps of no length it is PCA."""
    x = rows_of_known_spectrum(300, 8)
    fitted = ist.Autoencoder(
        network=Dense(hidden=hidden, linear_path=True), code_size=3, scale="common", validation_fraction=0.0,
        epochs=1, learning_rate=1e-12, random_state=0,
    ).fit(x)  # fmt: skip
    found = PCA(3).fit(x)
    np.testing.assert_allclose(fitted.reconstruct(x), found.inverse_transform(found.transform(x)), atol=1e-5)
    assert largest_angle(fitted.composition_.encoder.path.weight.detach().numpy(), found.components_) < 1e-3


def test_the_components_of_scaled_rows_are_those_of_the_rows() -> None:
    x = rows_of_known_spectrum(300, 8)
    ours = principal_components([torch.from_numpy(x.astype(np.float32))])
    assert largest_angle(ours.components[:4], PCA(4).fit(x).components_) < 1e-3
    assert ours.variances[3] / ours.variances[4] == pytest.approx(2.0, rel=1e-4)


# ---------------------------------------------------------------------- scores


@pytest.mark.parametrize("scale", ["standard", "common", "none"])
def test_scores_are_log_densities_in_the_users_units(scale: str) -> None:
    """A linear kind with a learned variance is a normal distribution around the rebuilt row."""
    x = rows_of_known_spectrum(200, FEATURES) * np.array([1, 10, 100, 1, 0.1, 5]) + 3
    fitted = ist.Autoencoder("linear", code_size=3, scale=scale, epochs=2, random_state=0).fit(x)
    spread = math.sqrt(fitted.composition_.loss.variance.item()) * fitted.scaling_.scale
    error = (fitted.reconstruct(x) - x) / spread
    expected = -0.5 * np.square(error).sum(1) - np.log(spread * math.sqrt(2 * math.pi)).sum()
    np.testing.assert_allclose(fitted.score_samples(x), expected, rtol=2e-4, atol=2e-3)


def test_a_larger_unit_moves_every_score_by_the_same_amount() -> None:
    x = rows_of_known_spectrum(200, FEATURES)
    settings = {"code_size": 3, "scale": "standard", "epochs": 2, "random_state": 0}
    first, second = (ist.Autoencoder("linear", **settings).fit(rows) for rows in (x, x * 16))
    np.testing.assert_allclose(
        first.score_samples(x) - second.score_samples(x * 16), FEATURES * math.log(16), rtol=1e-4
    )
    np.testing.assert_allclose(first.transform(x), second.transform(x * 16), rtol=1e-4, atol=1e-5)
