"""The prior of symbols: exact probabilities, no look ahead, chains that are learnt, and every kind of discrete code."""

from __future__ import annotations

import copy
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import isthmus as ist
from isthmus.errors import InputError
from isthmus.estimators.priors import alphabet_of, usual_prior
from isthmus.parts.priors import autoregressive
from isthmus.parts.priors.alphabet import Alphabet
from isthmus.parts.priors.autoregressive import Autoregressive
from isthmus.parts.priors.fitting import Given
from isthmus.records import Batch, Context, Pass, Site, from_json, to_json

KINDS: dict[str, Any] = {
    "vq_vae": "vq_vae",
    "residual_vq": ist.recipes.residual_vq(),
    "finite_scalar": ist.recipes.finite_scalar(levels=(5, 3)),
    "binary": "binary",
    "categorical": "categorical",
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


ALPHABETS = {
    "one book": lambda: Alphabet(normals(1, 1, 3, 2)),
    "two books": lambda: Alphabet(normals(1, 2, 2, 2)),
    "kinds of unequal sizes": lambda: Alphabet(normals(2, 1, 3, 1), torch.tensor([[3], [2]])),
}


def prior_of(alphabet: Alphabet, code_size: int, conditions: int = 0, **knobs: int) -> Any:
    """In float64, with weights that are no longer those it starts with."""
    knobs = {"width": 8, "layers": 2, **knobs}
    prior: Any = Autoregressive(**knobs).build(Site(code_size=code_size))
    prior.read(alphabet, conditions)
    with torch.no_grad():
        for number, weights in enumerate(prior.network.parameters()):
            weights += 0.5 * normals(*weights.shape, seed=number)
    return prior


def every_index(alphabet: Alphabet, symbols: int) -> Tensor:
    sizes = alphabet.sizes.flatten()[alphabet.tables(symbols)].tolist()
    return torch.tensor(list(itertools.product(*(range(size) for size in sizes))))


@pytest.mark.parametrize("name", ALPHABETS)
def test_probabilities_sum_to_one_and_are_those_of_the_draws(name: str) -> None:
    alphabet = ALPHABETS[name]()
    size = 4 if alphabet.width == 2 and alphabet.entries.shape[1] == 2 else 4 * alphabet.width
    prior = prior_of(alphabet, size, conditions=2)
    index = every_index(alphabet, alphabet.symbols(size))
    with torch.no_grad():
        for given in (None, torch.tensor([[0.5, -2.0]]).double()):
            beside = None if given is None else given.expand(len(index), 2)
            shares = prior.log_prob_of(index, beside).exp()
            assert float(shares.sum()) == pytest.approx(1, abs=1e-12)
            many = None if given is None else given.expand(20_000, 2)
            drawn = prior.sample(20_000, size, generator(1), Context((size,), given=many))
            if alphabet.entries.shape[1] == 1:
                again = alphabet.indexes(drawn)
                found = (again[:, None] == index[None]).all(2).double().mean(0)
                assert float((found - shares).abs().sum() / 2) < 0.03
            else:  # sums of entries: each is one of those that there are
                assert bool((torch.cdist(drawn, alphabet.points(index)).amin(1) < 1e-6).all())
    assert float((shares.max() / shares.min()).log()) > 1  # it is no uniform one that was looked at


def test_no_symbol_looks_ahead() -> None:
    alphabet = ALPHABETS["one book"]()
    prior = prior_of(alphabet, 12)
    index = torch.randint(3, (5, 6), generator=generator(2))
    before = prior.network(index)
    for place in range(6):
        other = index.clone()
        other[:, place] = (other[:, place] + 1) % 3
        after = prior.network(other)
        assert torch.equal(after[:, : place + 1], before[:, : place + 1])
        assert place == 5 or not torch.equal(after[:, place + 1], before[:, place + 1])


def test_draws_remember_all_that_was_drawn() -> None:
    """One place at a time, with keys and values kept, says what the whole pass says."""
    network = prior_of(ALPHABETS["one book"](), 12, conditions=2).network
    index, given = torch.randint(3, (5, 6), generator=generator(2)), normals(5, 2)
    with torch.no_grad():
        whole = network(index, given)
        x, pasts = network.first(5, given), [None, None]
        for place in range(6):
            for number, layer in enumerate(network.layers):
                x, pasts[number] = layer(x, pasts[number])
            torch.testing.assert_close(network.logits(x, place)[:, 0], whole[:, place], rtol=1e-12, atol=1e-12)
            x = network.seen(index[:, place : place + 1], place) if place < 5 else x


def test_its_gradient_is_that_of_finite_differences() -> None:
    prior = prior_of(ALPHABETS["kinds of unequal sizes"](), 4, conditions=1, width=4, layers=1)
    index, given = torch.tensor([[0, 1, 2, 0], [2, 0, 1, 1]]), normals(2, 1)
    weights = list(prior.network.parameters())

    def found(*values: Tensor) -> Tensor:
        named = dict(zip([name for name, _ in prior.network.named_parameters()], values, strict=True))
        logits = torch.func.functional_call(prior.network, named, (index, given))
        return torch.log_softmax(logits, 2).gather(2, index[:, :, None]).sum((1, 2))

    torch.testing.assert_close(found(*weights), prior.log_prob_of(index, given))
    assert torch.autograd.gradcheck(found, tuple(weights))


def test_it_begins_as_independent_symbols_as_frequent_as_they_are() -> None:
    prior: Any = Autoregressive(8, 1).build(Site(code_size=4))
    prior.read(Alphabet(torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1)))
    codes = torch.tensor([[0.0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1]])
    prior.fit(codes, generator())  # too few rows to learn more from
    ones = (codes.sum(0) + 0.5) / 4
    expected = (codes * ones.log() + (1 - codes) * (1 - ones).log()).sum(1)
    torch.testing.assert_close(prior.log_prob(codes), expected)


def chain(rows: int, symbols: int, seed: int) -> tuple[Tensor, float]:
    """Rows of a Markov chain over 4 symbols, and its entropy per row in nats."""
    onward = torch.softmax(2 * normals(4, 4, seed=9), 1)
    index, source = torch.zeros(rows, symbols, dtype=torch.int64), generator(seed)
    share, entropy = torch.full((4,), 0.25).double(), math.log(4)
    index[:, 0] = torch.randint(4, (rows,), generator=source)
    for place in range(1, symbols):
        index[:, place] = torch.multinomial(onward[index[:, place - 1]], 1, generator=source)[:, 0]
        entropy -= float((share[:, None] * onward * onward.log()).sum())
        share = share @ onward
    return index, entropy


def test_a_markov_chain_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """To within 0.02 nats per symbol of what it cannot but cost, on rows that the fit has not seen."""
    monkeypatch.setattr(autoregressive, "MOST_STEPS", 400)
    monkeypatch.setattr(autoregressive, "LEAST_STEPS", 400)
    index, entropy = chain(4000, 6, seed=1)
    fresh, _ = chain(4000, 6, seed=2)
    prior: Any = Autoregressive(32, 1).build(Site(code_size=6))
    prior.read(Alphabet(torch.arange(4.0).reshape(1, 1, 4, 1)))
    prior.fit(index.float(), generator(3))
    with torch.no_grad():
        paid = -prior.log_prob(fresh.float())
        begun = math.log(4) * 6
    assert float(paid.mean()) / 6 == pytest.approx(entropy / 6, abs=0.02)
    assert begun - entropy > 1
    drawn = prior.sample(4000, 6, generator(4)).long()
    pairs = [torch.bincount((4 * some[:, :-1] + some[:, 1:]).flatten(), minlength=16) for some in (drawn, fresh)]
    shares = [some / some.sum() for some in pairs]
    assert float((shares[0] - shares[1]).abs().sum()) / 2 < 0.03


def test_what_is_given_says_which_symbols_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoregressive, "MOST_STEPS", 200)
    monkeypatch.setattr(autoregressive, "LEAST_STEPS", 200)
    label = torch.randint(2, (3000,), generator=generator(1))
    given = torch.nn.functional.one_hot(label, 2).float()
    # Bits that are alike within a row; of label 1, mostly 1.
    first = (torch.rand(3000, generator=generator(2)) < torch.where(label == 1, 0.9, 0.2)).float()
    prior: Any = Autoregressive(16, 1).build(Site(code_size=3))
    prior.read(Alphabet(torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1)))
    prior.fit(first[:, None].expand(-1, 3), generator(3), Given(given, torch.tensor([True, True])))
    for one, share in ((0, 0.2), (1, 0.9)):
        beside = torch.eye(2)[one].expand(2000, 2)
        drawn = prior.sample(2000, 3, generator(4), Context((3,), given=beside))
        assert float(drawn.mean()) == pytest.approx(share, abs=0.05)
        assert float((drawn[:, 0] == drawn[:, 2]).float().mean()) > 0.97
    assert float(prior.sample(2000, 3, generator(5)).mean()) == pytest.approx(float(first.mean()), abs=0.07)
    z = torch.ones(7, 2, 3)
    both = prior.log_prob(z, Context((3,), given=torch.eye(2)))
    assert both.shape == (7, 2)
    assert both[0].exp().tolist() == pytest.approx([0.2, 0.9], abs=0.06)


def rows_of(rows: int = 300) -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.standard_normal((rows, 3)) @ draw.standard_normal((3, 6)) + 0.1 * draw.standard_normal((rows, 6))


@pytest.mark.parametrize("kind", KINDS)
def test_every_discrete_kind_is_drawn_from_and_saved(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoregressive, "LEAST_STEPS", 20)
    monkeypatch.setattr(autoregressive, "MOST_STEPS", 20)
    X = rows_of()
    ae = ist.Autoencoder(KINDS[kind], code_size=8, epochs=2, random_state=0).fit(X)
    alphabet = alphabet_of(ae.composition_, 8)
    assert alphabet is not None
    assert usual_prior(ae.composition_, 8) == "autoregressive"
    batch = Batch(torch.from_numpy(X[:50]).float(), ae.form_.layout)
    with torch.no_grad():
        code = ae.composition_.encode(batch, ae.composition_.context(batch, Pass(generator())))[1]
    assert torch.equal(alphabet.points(code.index), code.point)
    if kind != "residual_vq":
        assert torch.equal(alphabet.indexes(code.point), code.index)
    before = torch.random.get_rng_state()
    ae.fit_prior(Autoregressive(16, 1), X)
    assert torch.equal(torch.random.get_rng_state(), before)
    rows = ae.sample(30, random_state=0)
    assert rows.shape == (30, 6)
    codes = ae.prior_.sample(40, 8, generator(1))
    assert torch.equal(ae.composition_.z_of(codes), codes)  # draws are made of the entries themselves
    again = ist.load(ae.save(tmp_path / "model.safetensors"))
    assert np.array_equal(again.sample(30, random_state=0), rows)
    with torch.no_grad():
        assert torch.equal(again.prior_.log_prob(codes), ae.prior_.log_prob(codes))
    assert again.prior_part_ == Autoregressive(16, 1)
    assert np.array_equal(copy.deepcopy(ae).sample(30, random_state=0), rows)


def test_numbers_without_gaps_are_no_prior_of_symbols_and_the_other_way_round() -> None:
    X = rows_of(60)
    symbols = ist.Autoencoder("vq_vae", code_size=4, epochs=1, random_state=0).fit(X)
    with pytest.raises(InputError, match=r"the codes of this kind are symbols.*fit_prior\('autoregressive', X\)"):
        symbols.fit_prior("mixture", X)
    with pytest.raises(InputError, match=r"no prior over its codes.*ae.fit_prior\('autoregressive', X\)"):
        symbols.sample(3)
    numbers = ist.Autoencoder(code_size=4, epochs=1, random_state=0).fit(X)
    with pytest.raises(InputError, match="is for codes that are symbols; this kind's are not: use 'mixture'"):
        numbers.fit_prior("autoregressive", X)
    assert usual_prior(numbers.composition_, 4) == "mixture"


def test_bad_use_is_put_into_words() -> None:
    for knobs in ({"width": 0}, {"layers": 0}, {"layers": 1.5}):
        with pytest.raises(InputError, match=r"Autoregressive: .* must be a whole number >= 1"):
            Autoregressive(**knobs)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"fitted afterwards: ae.fit_prior\('autoregressive', X\)"):
        Autoregressive().build()
    unread = Autoregressive(8, 1).build(Site(code_size=4))
    for use in (
        lambda: unread.log_prob(torch.zeros(1, 4)),
        lambda: unread.sample(1, 4, generator()),
        lambda: unread.fit(torch.zeros(30, 4), generator()),
    ):
        with pytest.raises(InputError, match="a prior of codes that are symbols"):
            use()
    prior = prior_of(ALPHABETS["one book"](), 4)
    broken = torch.zeros(5, 4)
    broken[2, 1] = math.nan
    with pytest.raises(InputError, match="codes: 1 of 5 rows hold NaN"):
        prior.fit(broken, generator())
    for use in (lambda: prior.log_prob(torch.zeros(2, 6)), lambda: prior.sample(2, 6, generator())):
        with pytest.raises(InputError, match="wrong size: it is one of codes of 4 numbers; these have 6"):
            use()
    with pytest.raises(InputError, match=r"must be \(n, 2\) symbols of one row or more"):
        prior.fit_symbols(torch.zeros(3, 5, dtype=torch.int64), generator())
    with pytest.raises(InputError, match="of 5 numbers are not made of symbols of 2 numbers"):
        ALPHABETS["one book"]().symbols(5)
    assert from_json(to_json(Autoregressive(16))) == Autoregressive(16)
