"""`Autoencoder.impute`: what is filled, with what, and what stays as it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import isthmus as ist

ROWS = 400


def whole_table() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    x = draw.normal(size=ROWS)
    return pd.DataFrame(
        {
            "x": x,
            "twice": 2 * x,
            "sign": pd.Categorical(np.where(x > 0, "up", "down")),
            "age": draw.integers(18, 80, ROWS).astype(float),
            "same": 2.5,
            "gain": np.where(draw.random(ROWS) < 0.9, 0.0, np.exp(draw.normal(7, 1, ROWS))),
        },
        index=pd.RangeIndex(100, 100 + ROWS),
    )


HIDDEN = np.random.default_rng(1).random((ROWS, 6)) < 0.15
GAPPED = whole_table().mask(HIDDEN)


@pytest.fixture(scope="module")
def model() -> ist.Autoencoder:
    with pytest.warns(ist.DataWarning, match="'same'"):
        return ist.Autoencoder(
            "masked", code_size=4, epochs=60, random_state=0, columns={"gain": "quantile"}, batch_size=50
        ).fit(GAPPED)


def test_known_cells_stay_and_all_others_are_filled(model: ist.Autoencoder) -> None:
    filled = model.impute(GAPPED)
    assert not filled.isna().any().any()
    assert (filled.dtypes == GAPPED.dtypes).all()
    assert filled.index.equals(GAPPED.index)
    for place, name in enumerate(GAPPED):
        known = ~HIDDEN[:, place]
        assert filled[name][known].equals(GAPPED[name][known])
    assert model.impute(whole_table()).equals(whole_table())


def test_what_others_tell_is_filled_from_them(model: ist.Autoencoder) -> None:
    filled, truth = model.impute(GAPPED), whole_table()
    one_of_two = HIDDEN[:, 1] & ~HIDDEN[:, 0]
    assert np.abs(filled["twice"] - truth["twice"])[one_of_two].mean() < 0.5 * truth["twice"].abs().mean()
    assert (filled["sign"] == truth["sign"])[HIDDEN[:, 2] & ~HIDDEN[:, 0]].mean() > 0.85


def test_whole_numbers_are_filled_with_whole_ones_and_constants_with_theirs(model: ist.Autoencoder) -> None:
    filled = model.impute(GAPPED)
    assert (filled["age"] % 1 == 0).all()
    assert (filled["same"] == 2.5).all()
    gone = GAPPED.assign(x=np.nan, same=np.nan)  # nothing of these columns is known, but in the fit
    filled = model.impute(gone)
    assert (filled["x"] % 1 != 0).all()
    assert (filled["same"] == 2.5).all()


def test_draws_differ_only_where_cells_were_missing_and_give_a_spike_its_share(model: ist.Autoencoder) -> None:
    tables = model.impute(GAPPED.assign(gain=np.nan), draws=5, random_state=0)
    assert len(tables) == 5
    assert not tables[0]["gain"].equals(tables[1]["gain"])
    assert all(table["x"][~HIDDEN[:, 0]].equals(GAPPED["x"][~HIDDEN[:, 0]]) for table in tables)
    share = np.mean([(table["gain"] == 0).mean() for table in tables])
    assert abs(share - 0.9) < 0.05
    again = model.impute(GAPPED.assign(gain=np.nan), draws=1, random_state=0)
    assert again[0].equals(tables[0])


def test_a_masked_array_and_its_twin_with_gaps_are_filled_alike() -> None:
    draw = np.random.default_rng(0)
    X = draw.normal(size=(200, 3))
    hidden = draw.random(X.shape) < 0.2
    gapped = np.where(hidden, np.nan, X)
    ae = ist.Autoencoder("masked", code_size=2, epochs=2, random_state=0).fit(gapped)
    filled = ae.impute(np.ma.masked_array(X, hidden))
    np.testing.assert_array_equal(filled, ae.impute(gapped))
    np.testing.assert_array_equal(filled[~hidden], X[~hidden])
    assert (filled[hidden] != X[hidden]).all()


def test_a_model_of_complete_rows_fills_nothing() -> None:
    ae = ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(np.random.default_rng(0).normal(size=(50, 4)))
    with pytest.raises(ist.InputError, match="fitted on complete rows of numbers"):
        ae.impute(np.full((2, 4), np.nan))
