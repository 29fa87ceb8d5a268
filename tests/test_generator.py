"""The generator: rows from scratch, near an example, between two and around known cells; through codes and by cells."""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier

import isthmus as ist
from isthmus.estimators.generator import MOST_COLUMNS
from isthmus.parts.priors.mixture import Mixture

X, Y = ist.data.digits()
QUICK = {"epochs": 12, "code_size": 8, "random_state": 0, "device": "cpu"}


def frame(rows: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(0)
    age = random.integers(18, 66, rows)
    town = np.where(age > 40, "Ulm", np.where(random.random(rows) < 0.1, "Rom", "Bonn"))
    hours = pd.Series(random.integers(0, 5, rows) * 8.0).mask(random.random(rows) < 0.2)
    return pd.DataFrame({"age": age, "town": town, "hours": hours})


@pytest.fixture(scope="module")
def pictures() -> ist.Generator:
    return ist.Generator(prior=ist.Mixture(20), **QUICK).fit(X)


@pytest.fixture(scope="module")
def classed() -> ist.Generator:
    return ist.Generator(prior="normal", **QUICK).fit(X, given=Y)


@pytest.fixture(scope="module")
def table() -> ist.Generator:
    return ist.Generator(epochs=4, random_state=0, device="cpu").fit(frame())


# Through codes


def test_samples_look_like_the_data(pictures: ist.Generator) -> None:
    drawn = pictures.sample(20, random_state=1)
    assert (drawn.shape, drawn.dtype) == ((20, 8, 8), np.uint8)
    assert np.array_equal(drawn, pictures.sample(20, random_state=1))
    assert not np.array_equal(drawn, pictures.sample(20, random_state=2))
    assert pictures.way_ == "codes"
    assert pictures.autoencoder_.prior_part_ == Mixture(20)
    assert len(pictures.drawing_.map.means) > 50
    assert pictures.n_features_in_ == 64


def test_a_class_is_drawn_in_one_call(classed: ist.Generator) -> None:
    teller = KNeighborsClassifier(1).fit(X.reshape(len(X), -1), Y)
    drawn = classed.sample(200, given=3, random_state=0)
    assert (teller.predict(drawn.reshape(200, -1)) == 3).mean() > 0.8
    one_each = classed.sample(200, given=np.arange(200) % 10, random_state=0)
    assert (teller.predict(one_each.reshape(200, -1)) == np.arange(200) % 10).mean() > 0.8
    near = classed.vary(X[:20], 5, 0.9, given=Y[:20], random_state=0)
    assert (teller.predict(near.reshape(100, -1)) == Y[:20].repeat(5)).mean() > 0.8


def test_varied_rows_come_row_after_row(pictures: ist.Generator) -> None:
    rebuilt = pictures.autoencoder_.reconstruct(X[:3])
    still = pictures.vary(X[:3], 2, 1e-6, random_state=0)
    assert still.dtype == np.uint8
    assert np.abs(still.astype(int) - rebuilt.repeat(2, axis=0)).max() <= 1
    # One row may come without its axis, and leads to the same.
    alone = pictures.vary(X[0], 4, 0.5, random_state=3)
    assert np.array_equal(alone, pictures.vary(X[:1], 4, 0.5, random_state=3))
    assert alone.shape == (4, 8, 8)
    assert not np.array_equal(alone[0], alone[1])


def test_a_larger_spread_leads_farther_and_keeps_the_class(pictures: ist.Generator) -> None:
    rows, rebuilt = X[:150], pictures.autoencoder_.reconstruct(X[:150]).astype(float)
    varied = [pictures.vary(rows, 1, spread, random_state=0) for spread in (0.1, 0.4, 0.9)]
    far = [np.abs(some - rebuilt).mean() for some in varied]
    assert far[0] < far[1] < far[2]
    teller = KNeighborsClassifier(3).fit(X.reshape(len(X), -1), Y)
    assert (teller.predict(varied[1].reshape(150, -1)) == Y[:150]).mean() > 0.8


@pytest.mark.parametrize("path", ["straight", "spherical", "density"])
def test_paths_begin_and_end_at_the_rebuilt_rows(pictures: ist.Generator, path: str) -> None:
    found = pictures.interpolate(X[0], X[1], 5, path)
    ends = pictures.autoencoder_.reconstruct(X[:2]).astype(int)
    assert found.shape == (5, 8, 8)
    assert np.abs(found[[0, -1]].astype(int) - ends).max() <= 1


def test_the_straight_path_is_that_of_the_codes(pictures: ist.Generator) -> None:
    ae = pictures.autoencoder_
    a, b = ae.transform(X[:2])
    wanted = ae.inverse_transform((a + (b - a) * np.linspace(0, 1, 4)[:, None]).astype(np.float32))
    assert np.abs(pictures.interpolate(X[:1], X[1:2], 4).astype(int) - wanted).max() <= 1


def test_traversing_moves_one_unit_through_its_range(pictures: ist.Generator) -> None:
    ae = pictures.autoencoder_
    codes = np.repeat(ae.transform(X[:1]), 3, axis=0)
    low, high = np.percentile(ae.transform(X)[:, 2], [2.5, 97.5])
    codes[:, 2] = [low, (low + high) / 2, high]
    wanted = ae.inverse_transform(codes)
    assert np.abs(pictures.traverse(X[0], 2, 3).astype(int) - wanted).max() <= 1


def test_prototypes_and_arithmetic_are_of_mean_codes(pictures: ist.Generator) -> None:
    ae = pictures.autoencoder_
    twos, sevens = X[Y == 2], X[Y == 7]
    middle = ae.inverse_transform(ae.transform(twos).mean(0, keepdims=True))
    assert np.abs(pictures.prototype(twos).astype(int) - middle).max() <= 1
    step = ae.transform(sevens).mean(0) - ae.transform(twos).mean(0)
    wanted = ae.inverse_transform(ae.transform(X[:4]) + np.float32(0.7) * step)
    assert np.abs(pictures.arithmetic(X[:4], twos, sevens, 0.7).astype(int) - wanted).max() <= 1


def test_known_pixels_stay_and_say_what_the_others_are(pictures: ist.Generator) -> None:
    rows, mask = X[:60], np.zeros((8, 8), dtype=bool)
    mask[:, 4:] = True
    filled = pictures.inpaint(rows, mask, random_state=0)
    assert filled.dtype == np.uint8
    assert np.array_equal(filled[:, :, :4], rows[:, :, :4])
    # A draw has the spread of what is not known twice: once its own, once that of the truth.
    error = np.square(filled[:, :, 4:].astype(float) - rows[:, :, 4:]).mean()
    unknown = np.square(pictures.sample(60, random_state=0)[:, :, 4:].astype(float) - rows[:, :, 4:]).mean()
    assert error < 0.6 * unknown


def test_draws_differ_where_little_is_known(pictures: ist.Generator) -> None:
    most, few = np.ones((2, 8, 8), dtype=bool), np.zeros((2, 8, 8), dtype=bool)
    most[:, 3, 3], few[:, 3, 3] = False, True
    drawn = pictures.inpaint(X[:2], most, draws=6, random_state=0)
    assert drawn.shape == (12, 8, 8)
    assert (drawn[:6, 3, 3] == X[0, 3, 3]).all()
    assert (drawn[6:, 3, 3] == X[1, 3, 3]).all()
    told = pictures.inpaint(X[:2], few, draws=6, random_state=0)[:6, 3, 3].astype(float)
    assert told.std() < drawn[:6].astype(float).std(0).mean()


def test_a_fitted_autoencoder_is_drawn_through_and_left_alone() -> None:
    ae = ist.Autoencoder(code_size=4, epochs=2, random_state=0, device="cpu").fit(X[:300])
    with pytest.warns(ist.DataWarning, match="has no prior over its codes, so a mixture of normal distributions is"):
        generator = ist.Generator(ae).fit(X[:300])
    assert ae.prior_ is None
    assert generator.autoencoder_.prior_part_ == Mixture(None)
    assert generator.autoencoder_.composition_ is ae.composition_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named = ist.Generator(ae, prior="normal").fit(X[:300])
    assert named.autoencoder_.prior_part_ == Mixture(1)
    assert named.sample(2, random_state=0).shape == (2, 8, 8)


def test_a_prior_that_was_learnt_is_kept() -> None:
    vae = ist.Autoencoder("vae", code_size=4, epochs=2, random_state=0, device="cpu").fit(X[:300])
    generator = ist.Generator(vae).fit(X[:300])
    assert generator.autoencoder_.prior_ is None
    assert np.array_equal(generator.sample(3, random_state=0), vae.sample(3, random_state=0))
    assert generator.vary(X[0], 2, random_state=0).shape == (2, 8, 8)
    found = generator.log_likelihood(X[:5], 10)
    assert found.mean == vae.log_likelihood(X[:5], 10).mean
    refitted = ist.Generator(vae, prior="mixture").fit(X[:300])
    assert refitted.autoencoder_.prior_part_ == Mixture(None)


@pytest.mark.slow
def test_codes_of_symbols_are_drawn_and_not_walked() -> None:
    generator = ist.Generator("vq_vae", code_size=8, epochs=1, random_state=0, device="cpu").fit(X[:200])
    assert generator.sample(3, random_state=0).shape == (3, 8, 8)
    for walk in (
        lambda: generator.vary(X[0]),
        lambda: generator.interpolate(X[0], X[1]),
        lambda: generator.traverse(X[0], 0),
        lambda: generator.prototype(X[:3]),
        lambda: generator.inpaint(X[0], np.eye(8, dtype=bool)),
    ):
        with pytest.raises(ist.InputError, match="codes are symbols, and between symbols there is no step"):
            walk()


def test_sequences_and_frames_of_numbers_go_through_codes() -> None:
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 10)), columns=[f"p{i}" for i in range(10)])
    generator = ist.Generator("undercomplete", **{**QUICK, "epochs": 2}).fit(rows)
    assert list(generator.vary(rows.iloc[0], 3, random_state=0).columns) == list(rows.columns)
    mask = np.arange(10) < 3
    filled = generator.inpaint(rows.iloc[:4], mask, random_state=0)
    pd.testing.assert_frame_equal(filled.iloc[:, 3:], rows.iloc[:4, 3:])
    assert not filled.iloc[:, :3].equals(rows.iloc[:4, :3])
    waves = [np.sin(np.arange(12.0) / 3 + i) for i in range(30)]
    steps = ist.Generator(ist.recipes.recurrent(hidden=8), code_size=2, epochs=1, device="cpu", random_state=0)
    assert steps.fit(ist.data.sequences(waves)).sample(2, random_state=0).shape == (2, 12)


# Cell by cell


def test_tables_are_drawn_with_their_types_and_values(table: ist.Generator) -> None:
    drawn, real = table.sample(200, random_state=0), frame()
    assert table.way_ == "cells"
    assert (drawn.dtypes == real.dtypes).all()
    assert set(drawn["town"]) <= set(real["town"])
    assert drawn["age"].between(18, 65).all()
    assert set(drawn["hours"].dropna()) <= {0.0, 8.0, 16.0, 24.0, 32.0}
    assert drawn["hours"].isna().any()
    assert table.feature_names_in_.tolist() == ["age", "town", "hours"]
    pd.testing.assert_frame_equal(drawn, table.sample(200, random_state=0))


@pytest.mark.parametrize("known", [{"town": "Ulm", "age": 50}, pd.DataFrame({"age": [50], "town": ["Ulm"]})])
def test_known_cells_are_held_fixed(table: ist.Generator, known: object) -> None:
    drawn = table.sample(5, known=known, random_state=0)
    assert drawn["town"].tolist() == ["Ulm"] * 5
    assert drawn["age"].tolist() == [50] * 5


def test_known_cells_may_differ_from_row_to_row(table: ist.Generator) -> None:
    drawn = table.sample(3, known={"age": [20, None, 60]}, random_state=0)
    assert drawn["age"].tolist()[::2] == [20, 60]


def test_known_numbers_of_a_complete_table() -> None:
    rows = np.random.default_rng(0).integers(0, 4, (80, 3))
    generator = ist.Generator(epochs=2, random_state=0, device="cpu").fit(rows)
    assert generator.way_ == "cells"
    drawn = generator.sample(6, known={"1": 2}, random_state=0)
    assert drawn.dtype == rows.dtype
    assert drawn[:, 1].tolist() == [2] * 6
    assert generator.vary(rows[0], 4, 1.0, random_state=0).shape == (4, 3)
    with pytest.raises(ist.InputError, match="known: column '1' must be a finite number; got 'two'"):
        generator.sample(known={"1": "two"})


def test_gaps_are_filled_and_all_else_is_left(table: ist.Generator) -> None:
    rows = frame().head(30)
    filled = table.inpaint(rows, random_state=0)
    assert filled["hours"].notna().all()
    known = rows["hours"].notna()
    pd.testing.assert_frame_equal(filled[known], rows[known])
    pd.testing.assert_frame_equal(filled[["age", "town"]], rows[["age", "town"]])
    twice = table.inpaint(rows, draws=2, random_state=0)
    assert twice.index.tolist() == np.repeat(np.arange(30), 2).tolist()
    masked = table.inpaint(rows, np.array([True, False, False]), random_state=0)
    pd.testing.assert_frame_equal(masked[["town", "hours"]], rows[["town", "hours"]])
    assert masked["age"].dtype == rows["age"].dtype
    assert (masked["age"] != rows["age"]).any()


def test_tables_are_varied_and_judged(table: ist.Generator) -> None:
    rows = frame().head(4)
    varied = table.vary(rows, 5, 0.3, random_state=0)
    assert len(varied) == 20
    changed = sum((varied[name].ne(np.repeat(rows[name].array, 5)) & varied[name].notna()).mean() for name in rows)
    assert changed <= 1  # of three cells one is drawn anew
    assert table.vary(rows.iloc[0], 2, random_state=0).shape == (2, 3)
    assert table.log_likelihood(rows).rows.shape == (4,)


def test_what_a_table_cannot_do_is_said(table: ist.Generator) -> None:
    rows = frame()
    for walk in (
        lambda: table.interpolate(rows.head(1), rows.tail(1)),
        lambda: table.traverse(rows.head(1), 0),
        lambda: table.prototype(rows),
        lambda: table.arithmetic(rows, rows, rows),
    ):
        with pytest.raises(ist.InputError, match="this table is drawn cell by cell, without codes to walk among"):
            walk()
    with pytest.raises(ist.InputError, match="given: this table is drawn cell by cell"):
        ist.Generator().fit(rows, given=rows["age"])
    with pytest.raises(ist.InputError, match="prior: this table is drawn cell by cell, without codes to have a prior"):
        ist.Generator(prior="flow").fit(rows)


def test_wide_tables_of_numbers_go_through_codes() -> None:
    wide = np.random.default_rng(0).normal(size=(60, MOST_COLUMNS + 1))
    generator = ist.Generator(epochs=1, code_size=2, random_state=0, device="cpu")
    assert generator.fit(wide).way_ == "codes"
    assert generator.fit(wide[:, :-1]).way_ == "cells"


# Files, and scikit-learn's manners


def test_files_of_codes(pictures: ist.Generator, tmp_path: Path) -> None:
    again = ist.load(pictures.save(tmp_path / "g.safetensors"))
    assert np.array_equal(again.sample(4, random_state=0), pictures.sample(4, random_state=0))
    assert np.array_equal(again.vary(X[0], 4, random_state=0), pictures.vary(X[0], 4, random_state=0))
    assert np.array_equal(again.traverse(X[0], 1), pictures.traverse(X[0], 1))
    assert again.get_params() == pictures.get_params()


def test_files_of_a_prior_beside_the_map(tmp_path: Path) -> None:
    generator = ist.Generator("vae", **{**QUICK, "epochs": 1}).fit(X[:300])
    again = ist.load(generator.save(tmp_path / "g.safetensors"))
    assert again.autoencoder == "vae"
    assert np.array_equal(again.vary(X[0], 4, random_state=0), generator.vary(X[0], 4, random_state=0))
    assert np.array_equal(again.sample(4, random_state=0), generator.sample(4, random_state=0))


def test_files_of_cells(table: ist.Generator, tmp_path: Path) -> None:
    again = ist.load(table.save(tmp_path / "g.safetensors"))
    pd.testing.assert_frame_equal(again.sample(9, random_state=0), table.sample(9, random_state=0))
    assert again.feature_names_in_.tolist() == ["age", "town", "hours"]


def test_manners(pictures: ist.Generator) -> None:
    assert clone(pictures).get_params() == pictures.get_params()
    assert ist.Generator().get_params()["prior"] == "auto"
    for use in (
        lambda g: g.sample(),
        lambda g: g.vary(X[0]),
        lambda g: g.prototype(X),
        lambda g: g.inpaint(X),
        lambda g: g.log_likelihood(X),
        lambda g: g.save("x.safetensors"),
        lambda g: g.autoencoder_,
        lambda g: g.way_,
    ):
        with pytest.raises(NotFittedError):
            use(ist.Generator())


def test_a_fit_that_fails_changes_nothing(pictures: ist.Generator) -> None:
    generator = clone(pictures)
    generator.drawing_, generator.form_ = pictures.drawing_, pictures.form_
    with pytest.raises(ist.InputError, match="X has 1 row"):
        generator.fit(X[:1])
    assert generator.drawing_ is pictures.drawing_


# Bad input


@pytest.mark.parametrize(
    ("said", "use"),
    [
        ("n must be a whole number >= 1; got 0", lambda g: g.sample(0)),
        ("known: these rows are drawn through codes", lambda g: g.sample(1, known={"age": 3})),
        ("given: this model was fitted without it", lambda g: g.sample(1, given=3)),
        ("spread must be a number > 0 and <= 1; got 0", lambda g: g.vary(X[0], spread=0)),
        ("spread must be a number > 0 and <= 1; got -0.5", lambda g: g.vary(X[0], spread=-0.5)),
        ("spread must be a number > 0 and <= 1; got 1.5", lambda g: g.vary(X[0], spread=1.5)),
        ("spread must be a number > 0 and <= 1; got nan", lambda g: g.vary(X[0], spread=float("nan"))),
        ("n must be a whole number >= 1; got 0", lambda g: g.vary(X[0], 0)),
        ("steps must be a whole number >= 2; got 1", lambda g: g.interpolate(X[0], X[1], 1)),
        ("a must be one row; got 2", lambda g: g.interpolate(X[:2], X[1])),
        ("path must be one of 'straight', .* mean 'straight'", lambda g: g.interpolate(X[0], X[1], path="strait")),
        (r"X\.shape\[1:\]|shape|size", lambda g: g.interpolate(X[0], X[1, :4])),
        ("unit must be a whole number from 0 to 7, the code has 8; got 8", lambda g: g.traverse(X[0], 8)),
        ("unit must be a whole number from 0 to 7, the code has 8; got -1", lambda g: g.traverse(X[0], -1)),
        ("steps must be a whole number >= 2; got 1", lambda g: g.traverse(X[0], 1, 1)),
        ("strength must be a number", lambda g: g.arithmetic(X[0], X[:2], X[2:4], "much")),
        ("mask is True everywhere in row 0, so that nothing is known", lambda g: g.inpaint(X[0], X[0] >= 0)),
        ("mask is False everywhere, so that nothing is to be filled", lambda g: g.inpaint(X[0], X[0] < 0)),
        ("no cell is missing, so that nothing is to be filled", lambda g: g.inpaint(X[0])),
        (r"mask must have the shape of the rows, \(1, 8, 8\), or of one, \(8, 8\); got \(4, 4\)",
         lambda g: g.inpaint(X[0], np.eye(4, dtype=bool))),
        ("mask must hold truth values, True = to be filled; got float64", lambda g: g.inpaint(X[0], np.eye(8))),
        ("draws must be a whole number >= 1; got 0", lambda g: g.inpaint(X[0], np.eye(8, dtype=bool), 0)),
        ("this kind draws no codes", lambda g: g.log_likelihood(X[:3])),
    ],
)  # fmt: skip
def test_bad_use_is_told(pictures: ist.Generator, said: str, use: object) -> None:
    with pytest.raises(ist.InputError, match=said):
        use(pictures)


@pytest.mark.parametrize(
    ("said", "use"),
    [
        ("row 0 is '11', which no row of the fit was given", lambda g: g.sample(2, given=11)),
        ("this model was fitted on rows with given", lambda g: g.sample(2)),
        ("this model was fitted on rows with given", lambda g: g.vary(X[0])),
    ],
)
def test_unknown_labels_are_told(classed: ist.Generator, said: str, use: object) -> None:
    with pytest.raises(ist.InputError, match=said):
        use(classed)


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("known: column 'town' is 'Ulmm', which no row of the fit was. Did you mean 'Ulm'", {"town": "Ulmm"}),
        ("known: there is no column 'twon'. Did you mean 'town'", {"twon": "Ulm"}),
        ("known must be a dict of columns and values, or a frame; got 3", 3),
        ("known: column 'age' has 3 values; give one, or one for each of the 2 rows", {"age": [1, 2, 3]}),
        ("known holds every cell", {"age": 30, "town": "Ulm", "hours": 8.0}),
        ("age", {"age": "old"}),
    ],
)
def test_unknown_cells_are_told(table: ist.Generator, said: str, known: object) -> None:
    with pytest.raises(ist.InputError, match=said):
        table.sample(2, known=known)


@pytest.mark.parametrize(
    ("said", "knobs"),
    [
        ("autoencoder: a Linear alone has no decoder to draw rows with", {"autoencoder": torch.nn.Linear(64, 4)}),
        ("autoencoder must be a fitted Autoencoder, the name of a kind, or a kind; got int", {"autoencoder": 3}),
        ("prior: none is called 'mixtur'. Did you mean 'mixture'", {"prior": "mixtur"}),
        ("vea", {"autoencoder": "vea"}),
    ],
)
def test_bad_knobs_are_told_before_the_fit(said: str, knobs: dict[str, object]) -> None:
    with pytest.raises(ist.InputError, match=said):
        ist.Generator(**knobs).fit(X[:50])


def test_an_autoencoder_must_be_fitted_and_of_these_rows() -> None:
    with pytest.raises(NotFittedError):
        ist.Generator(ist.Autoencoder()).fit(X)
    ae = ist.Autoencoder(code_size=2, epochs=1, random_state=0, device="cpu").fit(X[:60])
    with pytest.raises(ist.InputError):
        ist.Generator(ae).fit(X[:60, :4])
    with pytest.raises(ist.InputError, match="given: this model was fitted without it"):
        ist.Generator(ae, prior="mixture").fit(X[:60], given=Y[:60])


def test_every_row_needs_a_known_cell(table: ist.Generator) -> None:
    empty = frame().head(3).astype({"age": "float64"})
    empty.loc[1] = [np.nan, None, np.nan]
    with pytest.raises(ist.InputError, match="every cell is missing in row 1"):
        table.inpaint(empty)


# What a first user met


def test_infinite_cells_are_refused_at_the_fit() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 4))
    rows[250, 1] = np.inf
    with pytest.raises(ist.errors.InputError, match=r"contains infinity: column 1 \(1\), 1 cell in"):
        ist.Generator(epochs=1, random_state=0).fit(rows)


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("'age' holds whole numbers; got 30.5", {"age": 30.5}),
        ("'age' is of type int64, from -9223372036854775808 to", {"age": 1e30}),
        ("'age' has no value; leave it out", {"age": None}),
        ("'hours' has no value; leave it out", {"hours": float("nan")}),
    ],
)
def test_known_cells_are_what_was_asked_for_or_refused(table: ist.Generator, said: str, known: dict) -> None:
    with pytest.raises(ist.errors.InputError, match=said):
        table.sample(2, known=known)


def test_known_numbers_beyond_the_fit_are_warned_of(table: ist.Generator) -> None:
    with pytest.warns(ist.errors.DataWarning, match="known: numbers of 'age' lie beyond all that the fit saw"):
        assert table.sample(2, known={"age": 500}, random_state=0)["age"].tolist() == [500, 500]


def test_varied_rows_keep_levels_that_the_fit_never_saw(table: ist.Generator) -> None:
    row = pd.DataFrame({"age": [30], "town": ["Mars"], "hours": [8.0]}, index=[7])
    with pytest.warns(ist.errors.DataWarning, match="of their own"):
        near = table.vary(row, 30, 0.3, random_state=0)
    assert near.index.tolist() == list(range(30))
    assert list(near.columns) == list(row.columns)
    kept = near["town"] == "Mars"
    assert 0 < kept.sum() < 30  # one cell of three is drawn anew
    assert not near["town"].isna().any()


def test_drawn_pictures_stay_within_the_light_of_the_fit() -> None:
    generator = ist.Generator(epochs=2, code_size=8, prior="normal", random_state=0).fit(X[:200].astype(np.float32))
    raw = generator.autoencoder_.sample(50, random_state=0)
    assert raw.max() > 16
    drawn = generator.sample(50, random_state=0)
    np.testing.assert_array_equal(drawn, raw.clip(0, 16))
    assert drawn.dtype == raw.dtype
    assert generator.vary(X[:5], 10, 1.0, random_state=0).max() <= 16


def test_missing_pixels_are_filled(pictures: ist.Generator) -> None:
    picture = X[0].astype(np.float64)
    picture[4:] = np.nan
    filled = pictures.inpaint(picture, draws=2, random_state=0)
    assert filled.shape == (2, 8, 8)
    np.testing.assert_array_equal(filled[:, :4], np.stack([X[0][:4]] * 2))
    assert np.isfinite(filled).all()
    half = np.zeros((8, 8), dtype=bool)
    half[4:] = True
    np.testing.assert_array_equal(filled, pictures.inpaint(picture, half, draws=2, random_state=0))
    half[7] = False
    with pytest.raises(ist.errors.InputError, match="contains NaN"):
        pictures.inpaint(picture, half)


def test_missing_pixels_beside_a_mask_are_told(pictures: ist.Generator) -> None:
    two = X[:2].astype(np.float64)
    two[1, 4:] = np.nan
    for mask in (np.ones((4, 4), dtype=bool), np.ones((3, 8, 8), dtype=bool)):
        said = f"mask must have the shape of the rows, (2, 8, 8), or of one, (8, 8); got {mask.shape}"
        with pytest.raises(ist.InputError, match=re.escape(said)):
            pictures.inpaint(two, mask)
    with pytest.raises(ist.InputError, match="mask must hold truth values"):
        pictures.inpaint(two, np.eye(8))
    half = np.zeros((8, 8), dtype=bool)
    half[4:] = True
    half[7, 2:4] = False
    said = (
        r"Input x contains NaN. Missing cells: pixel \(7, 2\) \(1\), pixel \(7, 3\) \(1\); 2 cells in 1 of 2 rows. "
        ".* Or let mask be True there, so that they are filled."
    )
    with pytest.raises(ist.InputError, match=said):
        pictures.inpaint(two, half, draws=3)


def test_a_mask_of_pixels_covers_the_missing_ones_of_all_colours() -> None:
    colours = np.stack([X[:200], 16 - X[:200], X[:200] // 2], axis=-1).astype(np.float32)
    generator = ist.Generator(prior="normal", **QUICK | {"epochs": 1}).fit(colours)
    rows, mask = colours[:2].copy(), np.zeros((8, 8), dtype=bool)
    mask[5:] = True
    rows[:, mask, 1] = np.nan
    filled = generator.inpaint(rows, mask, random_state=0)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[:, ~mask], colours[:2][:, ~mask])
