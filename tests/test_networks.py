"""The dense network: sizes, mirror, options, and the start at principal components."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from isthmus.composition import compose
from isthmus.errors import InputError
from isthmus.parts.activations import ACTIVATIONS, REACH
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense, DenseDecoder, DenseEncoder, dropped, start_at
from isthmus.pca import principal_components
from isthmus.recipes import Parts
from isthmus.records import Batch, Context, Layout, Pass

LAYOUT = Layout((6,), ("column",))
CONTEXT = Context((6,))


def built(network: Dense, layout: Layout = LAYOUT, code: int = 3, seed: int = 0) -> tuple[DenseEncoder, DenseDecoder]:
    generator = torch.Generator().manual_seed(seed)
    return network.resolve(layout.features, code).build(layout, code, code, layout.features, generator)


def widths(layers: torch.nn.Module) -> list[int]:
    return [layers.linear[0].in_features, *(layer.out_features for layer in layers.linear)]


def test_the_decoder_mirrors_the_encoder() -> None:
    encoder, decoder = built(Dense(hidden=(9, 5)))
    assert widths(encoder) == [6, 9, 5, 3]
    assert widths(decoder) == [3, 5, 9, 6]


@torch.no_grad()
def test_the_briefs_network_is_one_call() -> None:
    """784-2000-500-500-10 with relu, a sigmoid code and a linear output from the mirrored decoder."""
    parts = Parts(network=Dense(hidden=(2000, 500, 500), activation="relu"), bottleneck=Plain("sigmoid"))
    model = parts.build(Layout((28, 28), ("height", "width")), 10, torch.Generator().manual_seed(0))
    assert widths(model.encoder) == [784, 2000, 500, 500, 10]
    assert widths(model.decoder) == [10, 500, 500, 2000, 784]
    batch = Batch(torch.randn(2, 28, 28, generator=torch.Generator().manual_seed(0)), Layout((28, 28), ("h", "w")))
    trace = model.trace(batch)
    assert trace.out.shape == (2, 28, 28)
    assert 0 < float(trace.code.z.min()) < float(trace.code.z.max()) < 1
    assert float(trace.out.min()) < 0 < float(trace.out.max())


def test_widths_as_shares_of_the_features() -> None:
    assert Dense(hidden=(2.0, 1.0)).resolve(100, 10).hidden == (200, 100)
    assert Dense(hidden=(2.0, 1.0)).resolve(6, 2).hidden == (64, 64)  # never very narrow
    assert Dense(hidden=(2.0,)).resolve(3000, 10).hidden == (1000,)  # nor very wide
    assert Dense(hidden=(1.0,)).resolve(100, 80).hidden == (160,)  # nor narrower than twice the code
    assert Dense(hidden=(5, 1.0)).resolve(100, 10).hidden == (5, 100)  # whole numbers stay as they are
    assert Parts(network=Dense(hidden=(1000 / 784, 500 / 784, 250 / 784))).network.resolve(784, 30).hidden == (
        1000,
        500,
        250,
    )


def test_a_pass_by_hand() -> None:
    encoder, decoder = built(Dense(hidden=(5,), activation="tanh", output_activation="sigmoid"))
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    first, second = encoder.linear
    hidden = F.linear(torch.tanh(F.linear(x, first.weight, first.bias)), second.weight, second.bias)
    torch.testing.assert_close(encoder(x, CONTEXT), hidden)
    first, second = decoder.linear
    out = F.linear(torch.tanh(F.linear(hidden, first.weight, first.bias)), second.weight, second.bias)
    torch.testing.assert_close(decoder(hidden, CONTEXT), torch.sigmoid(out))


def test_no_hidden_layer_is_one_linear_map() -> None:
    encoder, decoder = built(Dense(hidden=(), activation="relu"))
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(encoder(x, CONTEXT), F.linear(x, encoder.linear[0].weight, encoder.linear[0].bias))
    assert len(decoder.linear) == 1


def test_tied_weights_are_transposes_and_stay_so() -> None:
    encoder, decoder = built(Dense(hidden=(9, 5), activation="identity", tied=True))
    assert [name for name, _ in decoder.named_parameters()] == ["linear.0.bias", "linear.1.bias", "linear.2.bias"]
    optimiser = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=1e-4)
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        optimiser.zero_grad()
        (decoder(encoder(x, CONTEXT), CONTEXT) - x).square().sum().backward()
        optimiser.step()
    z = torch.eye(3)
    with torch.no_grad():
        product = encoder.linear[2].weight @ encoder.linear[1].weight @ encoder.linear[0].weight
        jacobian = decoder(z, CONTEXT) - decoder(torch.zeros(1, 3), CONTEXT)
    torch.testing.assert_close(jacobian, product, rtol=1e-4, atol=1e-5)


def test_tied_weights_survive_a_copy() -> None:
    encoder, decoder = built(Dense(hidden=(5,), tied=True))
    model = copy.deepcopy(compose(encoder, Plain(), decoder, Squared()))
    assert model.decoder.mirror[0] is model.encoder


def test_tied_needs_sizes_that_match() -> None:
    with pytest.raises(InputError, match=r"tied=True needs .* \(encoder 6 -> 6, decoder 3 -> 6\)\. Use another loss"):
        Dense(hidden=(5,), tied=True).build(LAYOUT, 6, 3, 6, torch.Generator())


def test_several_numbers_per_feature() -> None:
    """A loss may ask for k numbers per feature: the decoder's output then has an axis for them."""
    layout = Layout((2, 3), ("height", "width"))
    _, decoder = Dense(hidden=(5,)).build(layout, 3, 3, 12, torch.Generator().manual_seed(0))
    assert decoder(torch.zeros(4, 3), Context((2, 3))).shape == (4, 2, 2, 3)


@torch.no_grad()
def test_initial_weights_have_the_spread_that_keeps_signals_alive() -> None:
    relu, _ = built(Dense(hidden=(400,), activation="relu"), Layout((300,), ("column",)), code=30)
    tanh, _ = built(Dense(hidden=(400,), activation="tanh"), Layout((300,), ("column",)), code=30)
    assert relu.linear[0].weight.std() == pytest.approx(math.sqrt(2 / 300), rel=0.02)
    assert tanh.linear[0].weight.std() == pytest.approx(math.sqrt(2 / 700), rel=0.02)
    assert relu.linear[0].bias.abs().max() == 0
    assert relu.linear[1].weight.std() == pytest.approx(math.sqrt(2 / 430), rel=0.02)


@torch.no_grad()
def test_a_bounded_output_stays_within_its_range() -> None:
    """Every feature has a range of its own, and its middle is where the layers give 0."""
    _, decoder = built(Dense(hidden=(5,), output_activation="bounded"))
    low, high = np.linspace(-1, 4, 6), np.linspace(0, 14, 6)
    decoder.set_range(low, high)
    for parameter in decoder.parameters():
        parameter.mul_(50)
    out = decoder(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)), CONTEXT).double().numpy()
    assert (out >= low - 1e-5).all()
    assert (out <= high + 1e-5).all()
    np.testing.assert_allclose(out.min(0), low, atol=0.2)
    np.testing.assert_allclose(out.max(0), high, atol=0.2)
    for parameter in decoder.parameters():
        parameter.zero_()
    np.testing.assert_allclose(decoder(torch.zeros(1, 3), CONTEXT)[0], (low + high) / 2, rtol=1e-6)
    assert {"low", "width"} <= set(decoder.state_dict())  # saved with the model


def test_norms() -> None:
    encoder, _ = built(Dense(hidden=(9, 5), norm="layer"))
    assert [type(norm).__name__ for norm in encoder.norm] == ["LayerNorm", "LayerNorm"]
    encoder, decoder = built(Dense(hidden=(9, 5), norm="batch"))
    assert [norm.num_features for norm in (*encoder.norm, *decoder.norm)] == [9, 5, 5, 9]


@torch.no_grad()
def test_batch_norm_takes_one_row() -> None:
    """One row has no spread: it is scaled by the running figures, which it does not move."""
    encoder, _ = built(Dense(hidden=(9,), norm="batch"))
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    training = Context((6,), pass_=Pass(training=True))
    encoder(x, training)
    running = encoder.norm[0].running_mean.clone()
    assert running.abs().max() > 0
    alone = encoder(x[:1], training)
    assert torch.equal(encoder.norm[0].running_mean, running)
    torch.testing.assert_close(alone, encoder(x[:1], CONTEXT))


@torch.no_grad()
def test_batch_norm_follows_the_pass_and_not_the_mode() -> None:
    """Whoever looks at rows outside a training pass moves no running figure, in whichever mode the module is."""
    encoder, _ = built(Dense(hidden=(9,), norm="batch"))
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    encoder.train()(x, CONTEXT)
    assert encoder.norm[0].running_mean.abs().max() == 0
    encoder.eval()(x, Context((6,), pass_=Pass(training=True)))
    hidden = encoder.linear[0](x)
    torch.testing.assert_close(encoder.norm[0].running_mean, 0.1 * hidden.mean(0))
    torch.testing.assert_close(encoder.norm[0].running_var, 0.9 + 0.1 * hidden.var(0))


@torch.no_grad()
def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    x = torch.ones(1000, 20)
    pass_ = Pass(torch.Generator().manual_seed(0), training=True)
    thinned = dropped(x, 0.3, pass_)
    assert (thinned == 0).double().mean() == pytest.approx(0.3, abs=0.01)
    assert thinned.mean() == pytest.approx(1.0, abs=0.02)
    assert dropped(x, 0.3, Pass()) is x
    assert dropped(x, 0.0, pass_) is x


@pytest.mark.parametrize("hidden", [(), (9, 5)])
def test_a_linear_path_starts_at_principal_components(hidden: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    x = torch.from_numpy(draw.standard_normal((500, 6)) @ draw.standard_normal((6, 6)) + draw.standard_normal(6))
    pca = principal_components([x])
    encoder, decoder = built(Dense(hidden=hidden, linear_path=True))
    start_at(encoder, decoder, pca.mean, pca.components, pca.variances)
    with torch.no_grad():
        code = encoder(x.float(), CONTEXT)
        out = decoder(code, CONTEXT)
    kept = torch.from_numpy(pca.components[:3])
    expected = (x - torch.from_numpy(pca.mean)) @ kept.T @ kept + torch.from_numpy(pca.mean)
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.cov(code.T, correction=0), torch.eye(3), rtol=0, atol=1e-4)


def test_a_linear_path_of_more_codes_than_components() -> None:
    """Two rows have one component: the other codes stay 0 and the rows are rebuilt."""
    x = torch.tensor([[1.0, 2, 3, 4, 5, 6], [2.0, 0, 3, 1, 5, 9]])
    pca = principal_components([x])
    encoder, decoder = built(Dense(hidden=(9,), linear_path=True))
    start_at(encoder, decoder, pca.mean, pca.components, pca.variances)
    with torch.no_grad():
        torch.testing.assert_close(decoder(encoder(x, CONTEXT), CONTEXT), x, rtol=0, atol=1e-4)


def test_a_network_without_a_linear_path_cannot_start_there() -> None:
    encoder, decoder = built(Dense(hidden=(5,)))
    with pytest.raises(InputError, match=r"no linear path; make it with Dense\(linear_path=True\)"):
        start_at(encoder, decoder, np.zeros(6), np.eye(6), np.ones(6))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hidden": (0,)}, r"hidden must be whole numbers > 0, .*; got \(0,\)"),
        ({"hidden": "64"}, r"hidden must be whole numbers > 0, .*; got '64'"),
        ({"hidden": (True,)}, r"hidden must be whole numbers > 0"),
        ({"activation": "relo"}, r"activation must be one of identity, relu, .*; got 'relo'"),
        ({"output_activation": None}, r"output_activation must be one of .*; got None"),
        ({"norm": "group"}, r"norm must be 'layer', 'batch' or None; got 'group'"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\); got 1.0"),
        ({"dropout": math.nan}, r"dropout must be in \[0, 1\); got nan"),
    ],
    ids=str,
)
def test_what_a_network_cannot_be(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match="Dense: " + message):
        Dense(**wrong)


def test_a_single_width_and_lists_become_tuples() -> None:
    assert Dense(hidden=[5, 3]) == Dense(hidden=(5, 3))
    assert Dense(hidden=5) == Dense(hidden=(5,))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_stay_within_their_reach(name: str) -> None:
    values = ACTIVATIONS[name](torch.linspace(-30, 30, 60001, dtype=torch.float64))
    low, high = REACH.get(name, (-math.inf, math.inf))
    assert low <= float(values.min())
    assert float(values.max()) <= high
    if math.isfinite(low):
        assert float(values.min()) == pytest.approx(low, abs=1e-3)


@pytest.mark.parametrize("name", ["identity", "sigmoid", "tanh", "relu"])
def test_plain_bottleneck(name: str) -> None:
    hidden = torch.linspace(-2, 2, 6).reshape(2, 3)
    code = Plain(name)(hidden, Pass())
    assert torch.equal(code.z, ACTIVATIONS[name](hidden))
    assert torch.equal(code.point, code.z)
    assert code.cost is None
    assert code.index is None
    assert Plain(name).width(7) == 7


def test_plain_bottleneck_refuses_an_unknown_activation() -> None:
    with pytest.raises(InputError, match=r"Plain: activation must be one of identity, .*; got 'sigmoyd'"):
        Plain("sigmoyd")
