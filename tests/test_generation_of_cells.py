"""Rows of tables drawn cell by cell: what they keep of the table and of known cells; how probable rows are; files."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer

from isthmus.data import ArraySource, open_source
from isthmus.data.binned import Binned
from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.generation_of_cells import FEW_PASSES, LONGER, CellsDrawn, knobs


def table(rows: int) -> pd.DataFrame:
    """A sum of two dice, which is missing where the first is 6, and a size that follows from the sum."""
    random = np.random.default_rng(0)
    first, second = random.integers(1, 7, (2, rows))
    total = pd.Series(first + second, dtype="Int64").mask(first == 6)
    size = pd.Categorical(np.where(first + second > 7, "large", "small"))
    return pd.DataFrame({"first": first, "second": second, "total": total, "size": size})


def making(**changes):
    return lambda **usual: Autoencoder(**(usual | {"random_state": 0} | changes))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def dice() -> tuple[pd.DataFrame, CellsDrawn]:
    """Learnt in a number of passes that is not looked for first."""
    frame = table(2000)
    source = open_source(frame)
    binned = Binned.fit(source)
    model = making(epochs=50)(**knobs(source.rows)).fit(binned.source(source))
    return frame, CellsDrawn(model, binned)


@pytest.fixture(scope="module")
def drawn(dice) -> pd.DataFrame:
    return open_source(dice[0]).form.wrap(dice[1].draw(2000, seeded()))


def test_columns_come_back_with_their_types_and_values(dice, drawn):
    assert (drawn.dtypes == dice[0].dtypes).all()
    assert set(drawn["first"]) == set(range(1, 7))
    assert set(drawn["size"]) == {"large", "small"}


def test_columns_are_distributed_as_those_of_the_fit(dice, drawn):
    for name in drawn:
        shares, own = (frame[name].value_counts(normalize=True, dropna=False) for frame in (dice[0], drawn))
        assert shares.subtract(own, fill_value=0).abs().sum() / 2 < 0.06


def test_columns_hang_together(drawn):
    right = (drawn["first"] + drawn["second"] == drawn["total"])[drawn["total"].notna()]
    assert right.mean() > 0.9  # of independent columns 1 in 9
    large = drawn["first"] + drawn["second"] > 7
    assert (large == (drawn["size"] == "large")).mean() > 0.9


def test_cells_are_missing_where_they_were(drawn):
    assert drawn["total"].isna()[drawn["first"] == 6].mean() > 0.95
    assert drawn["total"].isna()[drawn["first"] < 6].mean() < 0.05


def test_known_cells_stay_and_the_others_follow_from_them(dice):
    raw = open_source(dice[0]).form.wrap
    known = np.full((500, 4), np.nan)
    known[:, 0] = 5
    made = raw(dice[1].draw(500, seeded(), known))
    assert (made["first"] == 5).all()
    assert made["total"].notna().mean() > 0.9
    assert made["total"].dropna().between(6, 11).mean() > 0.95
    assert set(made["second"]) == set(range(1, 7))


def test_a_known_number_beyond_the_fit_is_kept_as_it_is(dice):
    known = np.full((3, 4), np.nan)
    known[:, 0] = 99.5
    assert dice[1].draw(3, seeded(), known)[:, 0].tolist() == [99.5] * 3


def test_inpainting_changes_hidden_cells_alone_and_keeps_gaps_elsewhere(dice):
    raw = open_source(dice[0]).read(0, 300).astype(float)
    hidden = np.zeros(raw.shape, dtype=bool)
    hidden[:, 3] = True
    made = dice[1].redrawn(raw, hidden, seeded())
    assert np.array_equal(made[:, :3], raw[:, :3], equal_nan=True)
    assert (made[:, 3] == raw[:, 3]).mean() > 0.9


@pytest.mark.parametrize(("share", "most"), [(0.01, 1), (0.5, 2), (1.0, 4)])
def test_vary_draws_that_share_of_the_cells_of_each_row_anew(dice, share, most, monkeypatch):
    raw, asked = open_source(dice[0]).read(0, 300).astype(float), []

    def noted(self, raw, hidden, generator):
        asked.append(hidden)
        return redrawn(self, raw, hidden, generator)

    redrawn = CellsDrawn.redrawn
    monkeypatch.setattr(CellsDrawn, "redrawn", noted)
    made, hidden = dice[1].vary(raw, share, seeded())
    assert (asked[0].sum(1) == most).all()
    np.testing.assert_array_equal(hidden, asked[0])
    assert asked[0].any(0).all()
    changed = (made != raw) & ~(np.isnan(made) & np.isnan(raw))
    assert changed.any()
    assert not (changed & ~asked[0]).any()


def test_the_same_generator_gives_the_same_rows_and_another_gives_others(dice):
    first, again, other = (dice[1].draw(50, seeded(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again, equal_nan=True)
    assert not np.array_equal(first, other, equal_nan=True)


def test_nothing_is_drawn_of_no_rows(dice):
    assert dice[1].draw(0, seeded()).shape == (0, 4)


def test_the_probabilities_of_all_rows_there_can_be_sum_to_one(dice):
    counts = [one.count + 1 for one in dice[1].binned.columns]
    every = torch.tensor(list(itertools.product(*map(range, counts))), dtype=torch.float32)
    total = dice[1].log_shares(every, seeded()).exp().sum()
    assert abs(float(total) - 1) < 1e-4


def test_log_likelihood_tells_rows_that_hang_together_from_rows_that_do_not(dice):
    frame = dice[0].head(300)
    broken = frame.assign(size=frame["size"].cat.rename_categories({"large": "small", "small": "large"}))
    form = open_source(dice[0]).form
    found, worse = (dice[1].log_likelihood(open_source(f, form=form), seeded()) for f in (frame, broken))
    assert found.draws == 4
    assert found.rows.shape == found.spread.shape == (300,)
    assert abs(found.mean - np.log(1 / 36)) < 0.25  # all else follows from the two dice
    assert worse.mean < found.mean - 2


def test_one_order_has_no_spread(dice):
    found = dice[1].log_likelihood(open_source(dice[0].head(3), form=open_source(dice[0]).form), seeded(), orders=1)
    assert np.isnan(found.spread).all()


def test_a_file_gives_the_same_rows(dice):
    body, tensors = dice[1].state()
    tensors = {name: torch.as_tensor(values) for name, values in tensors.items()}
    again = CellsDrawn.restore(body, tensors, [copy.deepcopy(dice[1].model)], open_source(dice[0]).form)
    assert np.array_equal(again.draw(20, seeded()), dice[1].draw(20, seeded()), equal_nan=True)


def test_the_global_generator_is_left_alone(dice):
    state = torch.random.get_rng_state()
    dice[1].draw(5, seeded())
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_small_table_is_gone_over_as_often_as_rows_held_out_tell():
    noise = ArraySource(np.random.default_rng(0).normal(size=(100, 4)))
    made = CellsDrawn.fit(noise, making())
    assert made.model.epochs < FEW_PASSES / 4  # nothing to be learnt but the columns' own distributions
    assert made.model.epochs % LONGER == 0
    assert made.model.record_.held_out_rows == 0


def test_no_longer_than_the_user_says():
    rows = ArraySource(np.random.default_rng(0).normal(size=(60, 3)))
    assert CellsDrawn.fit(rows, making(epochs=1)).model.epochs == 1
    assert knobs(60)["epochs"] == FEW_PASSES


def test_rows_of_weight_zero_are_not_learnt_from():
    rows = ArraySource(np.repeat([[0.0, 0.0], [1.0, 1.0]], 50, axis=0))
    made = CellsDrawn.fit(rows, making(epochs=20, learning_rate=0.01), sample_weight=np.repeat([1.0, 0.0], 50))
    assert (made.draw(200, seeded()) == 0).mean() > 0.95


@pytest.mark.parametrize("rows", [2, 3, 7])
def test_a_handful_of_rows_is_enough(rows):
    frame = pd.DataFrame({"a": np.arange(rows) + 0.5, "b": ["x", "y", "y", None, "x", "x", "y"][:rows]})
    source = open_source(frame)
    made = source.form.wrap(CellsDrawn.fit(source, making(epochs=2)).draw(20, seeded()))
    assert made["a"].between(0.5, rows).all()
    assert set(made["b"].dropna()) <= {"x", "y"}


def test_one_row_is_refused():
    with pytest.raises(InputError, match="X: rows are drawn from what many have in common; got 1 row, give at least 2"):
        CellsDrawn.fit(ArraySource(np.ones((1, 3))), making())


def test_any_sort_of_column_goes_through():
    random, n = np.random.default_rng(0), 120
    frame = pd.DataFrame(
        {
            "size": random.normal(10, 3, n).round(1),
            "day": pd.to_datetime("2020-01-01") + pd.to_timedelta(random.integers(0, 99, n), unit="D"),
            "yes": random.random(n) < 0.3,
            "kind": pd.Categorical(random.choice(["a", "b"], n), categories=["b", "a", "c"]),
            "same": 7,
            "count": pd.array(np.where(random.random(n) < 0.2, None, random.poisson(2, n)), dtype="Int64"),
            "hour": pd.to_datetime(random.integers(0, 86_400, n), unit="s").time,
        },
        index=np.arange(n) + 5,
    )
    source = open_source(frame)
    made = source.form.wrap(CellsDrawn.fit(source, making(epochs=4)).draw(300, seeded()))
    assert (made.dtypes == frame.dtypes).all()
    for name in ("size", "day", "count", "hour"):
        assert frame[name].min() <= made[name].dropna().min()
        assert made[name].dropna().max() <= frame[name].max()
    assert (made["size"] == made["size"].round(1)).all()
    assert (made["same"] == 7).all()
    assert set(made["kind"]) == {"a", "b"}
    assert made["count"].isna().any()


@pytest.mark.slow
def test_a_small_table_of_many_numbers_keeps_most_of_its_correlations_and_is_no_copy():
    X, answer = load_breast_cancer(return_X_y=True)
    rows = np.column_stack([X, answer])
    made = CellsDrawn.fit(ArraySource(rows), making()).draw(569, seeded())
    real, own = np.corrcoef(rows.T), np.corrcoef(made.T)
    assert np.abs(real - own).mean() < 0.4 * np.abs(real).mean()  # of independent columns 0.92
    assert (made.min(0) >= rows.min(0)).all()
    assert (made.max(0) <= rows.max(0)).all()
    assert not (made[:, None] == rows).all(2).any()
