"""The named kinds: what each is made of, how knobs are given, and what is refused."""

from __future__ import annotations

import pytest
import torch
from sklearn.base import clone

from isthmus import recipes
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.corruptions import GaussianNoise, Mask
from isthmus.parts.losses.categories import Bernoulli
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.parts.penalties.sparsity import L1
from isthmus.parts.schedules import Ramp
from isthmus.recipes import RECIPES, Kind, Parts
from isthmus.records import Layout


def test_the_first_kinds_are_there() -> None:
    assert {"linear", "undercomplete", "overcomplete", "deep", "denoising", "sparse"} <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_every_kind_is_described(name: str) -> None:
    entry = RECIPES[name]
    assert entry.name == name
    assert entry.summary.endswith((".", ":"))
    assert 1900 < entry.paper.year < 2100
    assert entry.paper.bibtex().startswith(f"@misc{{{entry.paper.key},")
    assert isinstance(Kind(name).parts(), Parts)
    assert getattr(recipes, name)() == Kind(name)
    assert getattr(recipes, name).__doc__ == entry.function.__doc__


def test_linear_is_one_map_each_way() -> None:
    parts = recipes.linear().parts()
    assert parts.network == Dense(hidden=(), activation="identity")
    assert recipes.linear(tied=True).parts().network.tied
    assert (parts.bottleneck, parts.loss, parts.corruption, parts.penalties) == (Plain(), Squared(), None, ())


def test_deep_is_the_paper_network_at_its_size() -> None:
    parts = recipes.deep().parts()
    model = parts.build(Layout((784,), ("column",)), 30, torch.Generator().manual_seed(0))
    assert [layer.out_features for layer in model.encoder.linear] == [1000, 500, 250, 30]
    assert [layer.out_features for layer in model.decoder.linear] == [250, 500, 1000, 784]


def test_denoising_and_sparse_differ_by_a_value() -> None:
    assert recipes.denoising().parts() == Parts(corruption=GaussianNoise(0.5))
    assert recipes.denoising(corruption=Mask(0.3)).parts() == Parts(corruption=Mask(0.3))
    assert recipes.sparse(weight=0.5).parts().penalties == (L1(0.5),)
    assert recipes.overcomplete().parts().penalties == ()


@pytest.mark.parametrize(("kind", "sizes"), [("undercomplete", (1, 2, 32)), ("overcomplete", (6, 16, 2000))])
def test_code_sizes_that_nobody_named(kind: str, sizes: tuple[int, ...]) -> None:
    assert tuple(Kind(kind).parts().code_size(features) for features in (3, 8, 1000)) == sizes


def test_a_kind_shows_what_was_chosen() -> None:
    assert repr(recipes.sparse()) == "sparse()"
    assert repr(recipes.sparse(weight=0.3)) == "sparse()"  # the default, said aloud
    assert repr(recipes.sparse(weight=0.5)) == "sparse(weight=0.5)"
    assert recipes.sparse(weight=0.5) != recipes.sparse()
    assert recipes.sparse() != recipes.overcomplete()
    assert recipes.sparse() != "sparse"


def test_knobs_are_parameters() -> None:
    kind = recipes.sparse(weight=0.5)
    assert kind.get_params() == {"name": "sparse", "weight": 0.5, "activation": "relu"}
    assert kind.set_params(weight=0.25).parts().penalties == (L1(0.25),)
    assert kind.set_params(weight=0.3).parts().penalties == (L1(0.3),)  # back to the default


@pytest.mark.parametrize("corruption", [GaussianNoise(0.5), Mask(Ramp(0.0, 0.5, 3)), None])
def test_a_clone_is_equal(corruption: object) -> None:
    """Also where a knob was given that equals the default, but is not the same object."""
    kind = recipes.denoising(corruption=corruption)
    assert clone(kind) == kind
    assert clone(clone(kind)).parts() == kind.parts()


def test_unknown_kinds_and_knobs_are_named() -> None:
    with pytest.raises(InputError, match=r"method: no kind is called 'sparce'\. Did you mean 'sparse'"):
        Kind("sparce")
    with pytest.raises(InputError, match=r"method: no kind is called 'gan'\. There are: 'linear', 'undercomplete'"):
        Kind("gan")
    with pytest.raises(InputError, match=r"sparse: there is no knob 'wieght'; it has weight, activation"):
        recipes.sparse(wieght=1)


def test_a_loss_may_be_replaced() -> None:
    model = Parts(loss=Bernoulli()).build(Layout((6,), ("column",)), 2, torch.Generator().manual_seed(0))
    assert model.loss == Bernoulli()
    assert not list(model.loss.__dict__)


def test_a_switch_is_true_or_false() -> None:
    with pytest.raises(InputError, match="robust: rows must be True or False; got 'no'"):
        recipes.robust(rows="no")
