"""Choosing columns: the concrete bottleneck, and `Selector`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from checks_for_kinds import LAYOUT, MIXED, Case, descend, generator, mixed_batch, some_rows, training_pass
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import isthmus as ist
from isthmus import recipes
from isthmus.errors import InputError
from isthmus.estimators.column_choices import chosen_columns
from isthmus.estimators.reporting import kind_in_words
from isthmus.estimators.selecting import Selector, selected
from isthmus.parts.bottlenecks.columns import broken_lines, distinct, foretelling
from isthmus.parts.bottlenecks.concrete import Concrete, Cooling, Picked
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.rows import Rows
from isthmus.recipes import Parts
from isthmus.records import Batch, Column, Context, Layout, Pass, Site, from_json, to_json

FAST = {"epochs": 25, "batch_size": 64, "learning_rate": 5e-3, "network": Dense((32,)), "random_state": 0}


def three_factors(rows: int = 600, seed: int = 0) -> np.ndarray:
    """(rows, 9): columns 1, 4 and 7 are free; each has a copy in half its size and one with noise."""
    draw = np.random.default_rng(seed)
    free = draw.standard_normal((rows, 3))
    noisy = free + 0.8 * draw.standard_normal((rows, 3))
    return np.stack([0.5 * free, free, noisy], axis=2).reshape(rows, 9)[:, [2, 1, 0, 5, 4, 3, 8, 7, 6]]


def groups(columns: np.ndarray) -> set[int]:
    """The factors that columns which tell their factor stand for."""
    return {int(column) // 3 for column in columns if column % 3}


# ---------------------------------------------------------------------- choosing without repetition


def test_the_surest_has_what_several_want() -> None:
    wishes = torch.tensor([[5.0, 4.0, 0.0, 0.0], [9.0, 0.0, 1.0, 0.0], [7.0, 6.5, 0.0, 0.0]])
    assert distinct(wishes).tolist() == [1, 0, 2] or len(set(distinct(wishes).tolist())) == 3
    assert distinct(wishes)[1] == 0
    assert distinct(torch.eye(3)).tolist() == [0, 1, 2]
    assert sorted(distinct(torch.zeros(4, 4)).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (30, 30), (20, 400)])
def test_no_column_is_chosen_twice(shape: tuple[int, int]) -> None:
    wishes = torch.randn(shape, generator=generator()) + 5 * torch.randn(1, shape[1], generator=generator(1))
    found = distinct(wishes)
    assert len(set(found.tolist())) == shape[0]
    assert torch.equal(found, distinct(wishes))


@pytest.mark.parametrize("bends", [0, 2])
def test_each_column_is_the_one_that_least_squares_would_take(bends: int) -> None:
    x = np.random.default_rng(0).standard_normal((200, 7)) @ np.random.default_rng(1).standard_normal((7, 7))
    x -= x.mean(0)

    def error(columns: list[int]) -> float:
        known = broken_lines(x, bends)[:, columns].reshape(len(x), -1)
        known -= known.mean(0)
        return float(np.square(x - known @ np.linalg.lstsq(known, x, rcond=None)[0]).sum())

    found = foretelling(x, 4, bends).tolist()
    for place in range(4):
        errors = {c: error([*found[:place], c]) for c in range(7) if c not in found[:place]}
        assert found[place] == min(errors, key=lambda column: errors[column])


@pytest.mark.parametrize("bends", [0, 2])
def test_the_choice_goes_on_where_nothing_is_left_to_tell(bends: int) -> None:
    x = np.zeros((20, 5))
    x[:, 3] = np.arange(20)
    found = foretelling(x, 4, bends)
    assert found[0] == 3
    assert len(set(found.tolist())) == 4


# ---------------------------------------------------------------------- the bottleneck


def choice(temperature: object = 1.0, code_size: int = 2, features: int = 5, start: str = "linear") -> torch.nn.Module:
    site = Site(Layout((features,), ("column",)), code_size, generator())
    return Concrete(temperature, start).build(site).double()


def test_the_mixture_is_the_formula() -> None:
    module = choice(0.7)
    noise = torch.empty(2, 5, dtype=torch.float64).exponential_(generator=generator(3))
    expected = torch.softmax((module.logits - noise.log()) / 0.7, dim=1)
    assert torch.equal(module.mixture(0.7, generator(3)), expected)
    torch.testing.assert_close(expected.sum(1), torch.ones(2, dtype=torch.float64))
    x = torch.randn(4, 5, dtype=torch.float64, generator=generator(1))
    code = module(x, Context((5,), pass_=training_pass(3)))
    assert torch.equal(code.z, x @ expected.T)
    assert code.cost is None


def test_the_noise_makes_every_column_as_likely_as_its_logit_says() -> None:
    """The largest of logits plus Gumbel noise is drawn from their softmax (the Gumbel-max trick)."""
    module = choice(1e-3, code_size=1)
    module.choice.data = torch.tensor([0.0, 0.1, 0.2, -0.1, 0.05], dtype=torch.float64)
    source = generator()
    shares = torch.stack([module.mixture(1e-3, source)[0] for _ in range(2000)]).detach().mean(0)
    torch.testing.assert_close(shares, module.logits[0].softmax(0).detach(), atol=0.04, rtol=0)


def test_outside_training_the_code_is_columns() -> None:
    composition = Case("concrete").build().double().eval()
    batch = Case("concrete").batch(6)
    chosen = composition.bottleneck.chosen
    assert torch.equal(composition.represent(batch), batch.x[:, chosen])
    cold = composition.bottleneck.mixture(1e-6, None)
    wanted = composition.bottleneck.logits.argmax(1)
    torch.testing.assert_close(cold, torch.eye(6, dtype=torch.float64)[wanted])


def test_the_choice_follows_every_step() -> None:
    composition, batch = Case("concrete").build(), Case("concrete").batch(32, dtype=torch.float32)
    descend(composition, batch, 20)
    bottleneck = composition.bottleneck
    assert torch.equal(bottleneck.chosen, distinct(bottleneck.logits))
    assert ((bottleneck.certainty() > 0) & (bottleneck.certainty() <= 1)).all()


def test_the_choice_is_not_shrunk_with_the_weights() -> None:
    """Weight decay is for what has two axes (`training.begin`)."""
    assert choice().choice.ndim == 1


def test_it_begins_with_what_foretells_the_rest() -> None:
    x = torch.from_numpy(three_factors())
    batch = Batch(x, Layout((9,), ("column",)))
    started = choice(code_size=3, features=9)
    with torch.no_grad():
        started.start(x, batch)
    assert started.chosen.tolist() == foretelling(x.numpy(), 3).tolist()
    random = choice(code_size=3, features=9, start="random")
    before = random.logits.clone()
    random.start(x, batch)
    assert torch.equal(random.logits, before)


def test_the_temperature_falls_by_the_same_factor() -> None:
    cooling = Cooling(10.0, 0.01, epochs=3)
    assert [cooling(epoch) for epoch in (0, 1, 2, 3, 9)] == pytest.approx([10, 1, 0.1, 0.01, 0.01])
    assert from_json(to_json(cooling)) == cooling
    assert Case("concrete").build().warm_epochs == Cooling().epochs


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, "hot", True])
def test_bad_temperatures_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="Cooling: start must be a number > 0"):
        Cooling(start=value)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Concrete: temperature must be > 0"):
        Concrete(temperature=value)  # type: ignore[arg-type]


def test_what_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(InputError, match="start must be 'linear' or 'random'"):
        Concrete(start="greedy")
    with pytest.raises(InputError, match="there are 6 columns to choose from; 7 cannot be chosen"):
        recipes.concrete().parts().build(LAYOUT, 7, generator())
    with pytest.raises(InputError, match="must know the rows"):
        Concrete().build()
    with pytest.raises(InputError, match="no decoder can be tied"):
        replace(recipes.concrete().parts(), network=Dense((), tied=True)).build(LAYOUT, 3, generator())
    parts = replace(recipes.concrete().parts(), penalties=(ist.L1(0.1, layer="encoder.linear.0"),))
    with pytest.raises(InputError, match="no layer is called 'encoder"):
        parts.build(LAYOUT, 3, generator())


def test_any_network_is_a_decoder() -> None:
    layout = Layout((6, 6), ("height", "width"))
    parts = replace(recipes.concrete().parts(), network=ist.Convolutional((4, 8)))
    model = parts.build(layout, 5, generator()).eval()
    x = torch.rand(3, 6, 6, generator=generator(1))
    code = model.represent(Batch(x, layout))
    assert torch.equal(code, x.flatten(1)[:, model.bottleneck.chosen])
    assert model.rebuild(code, Context((6, 6))).shape == (3, 6, 6)


def test_picked_columns_are_the_code() -> None:
    parts = Parts(bottleneck=Picked((4, 0)))
    assert from_json(to_json(parts.bottleneck)) == parts.bottleneck
    model = parts.build(LAYOUT, 2, generator()).double()
    x = some_rows(5)
    assert torch.equal(model.represent(Batch(x, LAYOUT)), x[:, [4, 0]])
    for columns, message in (((), "whole numbers >= 0"), ((-1,), "whole numbers >= 0"), ((1, 1), "named once")):
        with pytest.raises(InputError, match=message):
            Picked(columns)
    with pytest.raises(InputError, match="2 columns make a code of as many numbers; got 3"):
        parts.build(LAYOUT, 3, generator())
    with pytest.raises(InputError, match="no column 7 in rows of 6"):
        Parts(bottleneck=Picked((7,))).build(LAYOUT, 1, generator()).represent(Batch(x, LAYOUT))


# ---------------------------------------------------------------------- mixed tables, and what is read beside rows


def test_every_column_of_a_mixed_table_is_one_number() -> None:
    rows, batch = Rows(MIXED).double(), mixed_batch(20, weight=torch.ones(20, 6, dtype=torch.float64))
    read = rows(batch.x, Context((6,)))
    assert read.shape == (20, 6)
    torch.testing.assert_close(read[:, 0], batch.x[:, 0])
    torch.testing.assert_close(read[:, 1], batch.x[:, 1].asinh())
    torch.testing.assert_close(read[:, 2], batch.x[:, 2].log1p())
    torch.testing.assert_close(read[:, 3], 2 * batch.x[:, 3] - 1)
    torch.testing.assert_close(read[:, 4], batch.x[:, 4] * 2 / 3 - 1)
    levels = rows.entry.vectors[0].weight.sum(1).detach()
    torch.testing.assert_close(read[:, 5].detach(), levels[batch.x[:, 5].long()])
    assert len(levels.unique()) == 5


def test_a_column_moves_its_own_number_alone() -> None:
    columns = (Column("category", 40), Column("circular"), Column("category", 3), Column("count"), Column("heavy"))
    rows = Rows(Layout((5,), ("column",), columns))
    x = torch.tensor([[3.0, 0.2, 1.0, 4.0, -2.0]])
    for column in range(5):
        other = x.clone()
        other[0, column] += 0.5 if column == 1 else 1
        moved = (rows(other, Context((5,))) != rows(x, Context((5,))))[0]
        assert moved.nonzero().flatten().tolist() == [column]


def test_a_missing_cell_is_a_number_of_its_column() -> None:
    rows = Rows(MIXED)
    with torch.no_grad():
        rows.entry.gain.copy_(torch.arange(1.0, 7.0))
    known = torch.zeros(2, 6, dtype=torch.bool)
    read = rows(torch.full((2, 6), math.nan), Context((6,), known=known))
    assert read.tolist() == [[1, 2, 3, 4, 5, 6]] * 2


def test_what_rows_are_given_is_added_to_them() -> None:
    rows = Rows(LAYOUT, given_size=2).double()
    x, given = some_rows(4), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert torch.equal(rows(x, Context((6,), given=given)), x)
    with torch.no_grad():
        rows.beside.copy_(torch.arange(12.0).reshape(2, 6))
    assert torch.equal(rows(x, Context((6,), given=given)), x + given @ rows.beside)


# ---------------------------------------------------------------------- the kind


def test_the_kind_finds_the_factors() -> None:
    ae = ist.Autoencoder(recipes.concrete(temperature=Cooling(epochs=20)), code_size=3, **FAST).fit(three_factors())
    assert groups(chosen_columns(ae)) == {0, 1, 2}
    with pytest.raises(InputError, match="only a concrete autoencoder chooses columns"):
        chosen_columns(ist.Autoencoder(epochs=1, random_state=0).fit(three_factors()))


def test_the_kind_finds_them_from_a_random_start() -> None:
    """What the linear start brings is left out: noise, temperature and gradient do it alone."""
    bottleneck = Concrete(Cooling(10.0, 0.01, epochs=45), start="random")
    ae = ist.Autoencoder("concrete", bottleneck=bottleneck, code_size=3, **{**FAST, "epochs": 60}).fit(three_factors())
    assert groups(chosen_columns(ae)) == {0, 1, 2}
    # Scaled, a factor's column and its copy are the same: how its share falls to the two is arbitrary.
    shares = ae.composition_.bottleneck.logits.detach().softmax(1).reshape(3, 3, 3)[:, :, 1:].sum(2)
    assert float(shares.amax(1).min()) > 0.9


def test_what_is_not_linear_is_found() -> None:
    """The even powers foretell one another linearly, but not the sign of the first, which tells them all."""
    t = np.random.default_rng(0).uniform(-2, 2, 400)
    X = np.stack([t, abs(t), t**2, t**4], axis=1)
    selector = Selector(1, **FAST).fit(X)
    assert selector.columns_.tolist() == [0]
    assert selector.errors_["bent"] < 0.5 * selector.errors_["linear"]


def test_the_kind_is_saved(tmp_path) -> None:
    X = three_factors()
    ae = ist.Autoencoder("concrete", code_size=3, epochs=2, random_state=0).fit(X)
    ae.save(tmp_path / "kind.safetensors")
    again = ist.load(tmp_path / "kind.safetensors")
    assert np.array_equal(chosen_columns(again), chosen_columns(ae))
    assert np.array_equal(again.reconstruct(X), ae.reconstruct(X))


# ---------------------------------------------------------------------- Selector


@pytest.fixture(scope="module")
def fitted() -> Selector:
    return Selector(3, **FAST).fit(three_factors())


def test_it_selects_and_rebuilds(fitted: Selector) -> None:
    X = three_factors(200, seed=1)
    assert groups(fitted.columns_) == {0, 1, 2}
    Z = fitted.transform(X)
    assert np.array_equal(Z, X[:, fitted.columns_])
    rebuilt = fitted.inverse_transform(Z)
    assert rebuilt.shape == X.shape
    np.testing.assert_allclose(rebuilt[:, fitted.columns_], Z, rtol=1e-6)
    assert np.square(rebuilt - X)[:, [1, 4, 7]].mean() < 0.1
    own = fitted.autoencoder_.reconstruct(X)
    others = ~fitted.get_support()
    np.testing.assert_allclose(rebuilt[:, others], own[:, others], atol=1e-5)


def test_it_speaks_as_scikit_learn_does(fitted: Selector) -> None:
    assert fitted.get_support().sum() == 3
    assert np.array_equal(fitted.get_support(indices=True), fitted.columns_)
    assert fitted.names_.tolist() == [f"x{column}" for column in fitted.columns_]
    assert sorted(fitted.order_.tolist()) == fitted.columns_.tolist()
    worth = dict(zip(fitted.columns_.tolist(), fitted.importances_.tolist(), strict=True))
    assert [worth[column] for column in fitted.order_] == sorted(worth.values(), reverse=True)
    assert (fitted.importances_ > 0).all()
    assert list(fitted.errors_) == ["linear", "bent", "concrete"]
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copied.transform(three_factors())
    X, y = three_factors(), (three_factors()[:, 1] > 0).astype(int)
    pipeline = make_pipeline(Selector(3, **{**FAST, "epochs": 3}), KNeighborsClassifier()).fit(X, y)
    assert pipeline.score(X, y) > 0.8


def test_the_same_seed_selects_the_same(fitted: Selector) -> None:
    knobs = {k: v for k, v in FAST.items() if k != "random_state"} | {"epochs": 3}
    first, again = (selected(three_factors(), 3, seed=0, **knobs) for _ in range(2))
    assert np.array_equal(again.columns_, first.columns_)
    assert np.array_equal(again.importances_, first.importances_)
    assert again.errors_ == first.errors_
    assert again.get_params() == {**fitted.get_params(), "epochs": 3}


def test_frames_come_back_as_frames() -> None:
    X = pd.DataFrame(three_factors(), columns=list("abcdefghi"), index=np.arange(600) + 7)
    X["label"] = "text"
    selector = Selector(2, columns={"b": "ignore", "label": "ignore"}, **{**FAST, "epochs": 2}).fit(X)
    assert "b" not in selector.names_
    Z = selector.transform(X)
    pd.testing.assert_frame_equal(Z, X[list(selector.names_)])
    rebuilt = selector.inverse_transform(Z)
    assert list(rebuilt.columns) == list("acdefghi")
    assert rebuilt.index.equals(X.index)
    pd.testing.assert_frame_equal(rebuilt[list(selector.names_)], Z, check_exact=False, rtol=1e-6)


def test_arrays_with_ignored_columns_sparse_rows_and_images() -> None:
    X = three_factors()
    fast = {**FAST, "epochs": 2, "method": "linear"}
    selector = Selector(2, columns={1: "ignore", 4: "ignore"}, **fast).fit(X)
    places = np.setdiff1d(np.arange(9), [1, 4])[selector.columns_]
    assert np.array_equal(selector.transform(X), X[:, places])
    sparse = scipy.sparse.csr_matrix(np.where(X > 0, X, 0))
    selector = Selector(2, **fast).fit(sparse)
    assert np.array_equal(selector.transform(sparse).toarray(), sparse.toarray()[:, selector.columns_])
    images = ist.data.digits()[0][:300]
    selector = Selector(4, **fast).fit(images)
    Z = selector.transform(images)
    assert np.array_equal(Z, images.reshape(300, 64)[:, selector.columns_])
    assert Z.dtype == images.dtype
    rebuilt = selector.inverse_transform(Z)
    assert rebuilt.shape == images.shape
    assert np.array_equal(rebuilt.reshape(300, 64)[:, selector.columns_], Z)


def test_a_mixed_table_with_gaps() -> None:
    draw = np.random.default_rng(0)
    group = draw.integers(3, size=200)
    X = pd.DataFrame(
        {
            "town": np.array(["Ulm", "Bonn", "Trier"])[group],
            "height": 10.0 * group + 0.1 * draw.standard_normal(200),
            "noise": draw.standard_normal(200),
            "member": group == 1,
        }
    )
    X.loc[::9, "height"] = np.nan
    selector = Selector(2, **{**FAST, "epochs": 30, "batch_size": 32}).fit(X)
    assert set(selector.errors_) == {"concrete", "concrete from random"}
    assert "noise" in selector.names_
    Z = selector.transform(X)
    pd.testing.assert_frame_equal(Z, X[list(selector.names_)])
    rebuilt = selector.inverse_transform(Z)
    assert list(rebuilt.columns) == list(X.columns)
    pd.testing.assert_frame_equal(rebuilt[list(selector.names_)], Z)
    told = "town" if "town" not in selector.names_ else "member"
    assert (rebuilt[told] == X[told])[Z.notna().all(axis=1)].mean() > 0.9


def test_an_array_with_gaps() -> None:
    X = np.where(three_factors(200) > 1.5, np.nan, three_factors(200))
    selector = Selector(3, **{**FAST, "epochs": 2}).fit(X)
    Z = selector.transform(X)
    assert np.array_equal(Z, X[:, selector.columns_], equal_nan=True)
    rebuilt = selector.inverse_transform(Z)
    assert np.array_equal(rebuilt[:, selector.columns_], Z, equal_nan=True)
    assert np.isfinite(rebuilt[:, ~selector.get_support()]).all()


def test_polars_frames_come_back_as_polars_frames() -> None:
    polars = pytest.importorskip("polars")
    draw = np.random.default_rng(0)
    X = polars.DataFrame({"a": ["x", "y"] * 50, "b": draw.standard_normal(100), "c": [None, 2.0, 3.5, 1.0] * 25})
    for table in (X, X.select("b", "c").fill_null(0.0)):
        selector = Selector(1, **{**FAST, "epochs": 2}).fit(table)
        Z = selector.transform(table)
        assert Z.equals(table.select(list(selector.names_)))
        rebuilt = selector.inverse_transform(Z)
        assert rebuilt.columns == table.columns
        assert rebuilt.select(Z.columns).equals(Z)


def test_a_file_is_read(tmp_path) -> None:
    path, X = tmp_path / "rows.csv", pd.DataFrame(three_factors(60), columns=list("abcdefghi"))
    X.to_csv(path, index=False)
    selector = Selector(2, **{**FAST, "epochs": 2, "method": "linear"}).fit(path)
    pd.testing.assert_frame_equal(pd.DataFrame(selector.transform(path)), X[list(selector.names_)])


def test_all_columns_may_be_selected() -> None:
    selector = Selector(9, **{**FAST, "epochs": 2}).fit(three_factors())
    assert selector.columns_.tolist() == list(range(9))


def test_it_is_saved(fitted: Selector, tmp_path) -> None:
    fitted.save(tmp_path / "selector.safetensors")
    again, X = ist.load(tmp_path / "selector.safetensors"), three_factors(50, seed=2)
    Z = again.transform(X)
    assert np.array_equal(Z, fitted.transform(X))
    assert np.array_equal(again.inverse_transform(Z), fitted.inverse_transform(Z))
    assert np.array_equal(again.order_, fitted.order_)
    assert again.errors_ == fitted.errors_


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"k": 0}, "k must be a whole number >= 1; got 0"),
        ({"k": 2.5}, "k must be a whole number >= 1; got 2.5"),
        ({"k": 10}, "k: there are 9 columns to select from; 10 were asked for"),
        ({"method": "greedy"}, "method must be 'auto', 'linear', 'bent' or 'concrete'; got 'greedy'"),
        ({"epochs": 0}, "epochs must be a whole number >= 1"),
    ],
)
def test_bad_knobs(knobs: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Selector(**{"k": 3, **knobs}).fit(three_factors())


def test_bad_rows(fitted: Selector) -> None:
    gaps = np.where(three_factors() > 2, np.nan, three_factors())
    with pytest.raises(InputError, match="'bent' goes with at most 1,000 columns of numbers without gaps"):
        Selector(2, method="bent").fit(gaps)
    with pytest.raises(InputError, match="'linear' goes with at most 3,000 columns"):
        Selector(2, method="linear").fit(np.zeros((5, 3001)))
    with pytest.raises(InputError, match="sequences and video"):
        Selector(2).fit(ist.data.sequences([np.zeros((4, 2)), np.ones((3, 2))]))
    with pytest.raises(InputError, match=r"X must hold the 3 selected columns, shape \(n, 3\)"):
        fitted.inverse_transform(np.zeros((2, 4)))
    with pytest.raises(InputError, match="must be finite"):
        fitted.inverse_transform(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="9"):
        fitted.transform(np.zeros((2, 4)))


def test_passes_draw_what_they_are_told_to() -> None:
    """Without a generator there is no noise, in training too."""
    module = choice(0.5)
    x = torch.randn(3, 5, dtype=torch.float64, generator=generator(1))
    code = module(x, Context((5,), pass_=Pass(training=True)))
    assert torch.equal(code.z, x @ (module.logits / 0.5).softmax(1).T)


def test_a_report_says_that_there_is_no_encoder() -> None:
    X = np.random.default_rng(0).normal(size=(60, 8))
    model = ist.Autoencoder("concrete", code_size=2, network=ist.Dense((5,)), epochs=1, random_state=0).fit(X)
    assert "8-2-5-8" in kind_in_words(model)
