"""`compare`: the same held-out rows for all, PCA first, and figures that agree with those of single fits."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

import isthmus as ist
from isthmus.data import split
from isthmus.estimators import comparison
from isthmus.estimators.comparison import Comparison, ComparisonRow


def table(rows: int = 80, seed: int = 0) -> np.ndarray:
    """Rows near a plane in six dimensions, with columns of very different units."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 2)) @ draw.normal(size=(2, 6)) + 0.3 * draw.normal(size=(rows, 6))
    return x * [1, 10, 100, 1e-3, 5, 2] + [0, 3, 1000, 0, -7, 1]


X = table()


@pytest.fixture(scope="module")
def made() -> Comparison:
    return ist.compare(X, ["linear", ist.recipes.denoising(corruption=ist.Mask(0.1))], (3, 1), epochs=2, random_state=5)


def test_order_and_labels(made):
    assert [(row.method, row.code_size) for row in made.rows] == [
        ("PCA", 1),
        ("PCA", 3),
        ("linear", 1),
        ("linear", 3),
        ("denoising(corruption=Mask(fraction=0.1))", 1),
        ("denoising(corruption=Mask(fraction=0.1))", 3),
    ]
    assert made.judged_on == "20 held-out rows"
    assert made.unit == "root mean squared per cell, where 1 is each column's standard deviation"


def test_pca_is_that_of_scikit_learn_on_the_same_rows(made):
    train, held_out = split(len(X), 0.25, 5)
    scaled = (X - X[train].mean(0)) / X[train].std(0)
    for row in made.rows[:2]:
        pca = PCA(row.code_size).fit(scaled[train])
        rebuilt = pca.inverse_transform(pca.transform(scaled[held_out]))
        assert row.error == pytest.approx(math.sqrt(((rebuilt - scaled[held_out]) ** 2).mean()), rel=1e-4)
        assert row.ratio == 1.0
        assert row.parameters == (row.code_size + 1) * 6


def test_a_row_is_what_a_single_fit_gives(made):
    alone = ist.Autoencoder("linear", code_size=3, epochs=2, random_state=5).fit(X)
    row = made.rows[3]
    assert row.error == math.sqrt(alone.record_.held_out_error)
    assert alone.record_.pca_error == pytest.approx(made.rows[1].error ** 2, rel=1e-6)
    assert row.ratio == pytest.approx(row.error / made.rows[1].error)
    assert row.parameters == 6 * 3 + 3 + 3 * 6 + 6


def test_seconds_and_speed_are_measured(made):
    began = time.perf_counter()
    ist.Autoencoder("linear", code_size=3, epochs=2, random_state=5).fit(X)
    alone = time.perf_counter() - began
    for row in made.rows:
        assert 0 < row.seconds < 30 * alone + 0.5
        assert 1e3 < row.rows_per_second < 1e10


def test_errors_of_data_in_one_unit_are_in_that_unit():
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, size=(40, 4, 4)).astype(np.uint8)
    made = ist.compare(images, ["linear"], [2], epochs=1)
    model = ist.Autoencoder("linear", code_size=2, epochs=1, random_state=0).fit(images)
    assert made.unit == "root mean squared per cell, in the data's own units"
    assert made.rows[1].error == pytest.approx(model.scaling_.scale[0] * math.sqrt(model.record_.held_out_error))
    assert 40 < made.rows[0].error < 110  # the spread of uniform bytes is 74


def test_a_single_method_and_size_may_be_given_plainly():
    assert [row.method for row in ist.compare(X, "linear", 2, epochs=1).rows] == ["PCA", "linear"]


def test_default_sizes_follow_the_width():
    made = ist.compare(X, ["linear"], epochs=1)
    assert [row.code_size for row in made.rows] == [1, 2, 1, 2]


def test_frames_paths_and_ignored_columns(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(label="x")
    frame.to_csv(tmp_path / "data.csv", index=False)
    settings = {"columns": {"label": "ignore"}, "epochs": 1, "random_state": 5}
    errors = [
        [row.error for row in ist.compare(data, ["linear"], [1], **settings).rows]
        for data in (frame, tmp_path / "data.csv")
    ]
    plain = [row.error for row in ist.compare(X, ["linear"], [1], epochs=1, random_state=5).rows]
    assert errors[0] == plain
    assert errors[1] == pytest.approx(plain, rel=1e-5)


def test_few_rows_are_judged_on_themselves():
    made = ist.compare(X[:9], ["linear"], [1], epochs=1)
    assert made.judged_on == "the training rows (none were held out)"
    model = ist.Autoencoder("linear", code_size=1, epochs=1, random_state=0).fit(X[:9])
    assert made.rows[1].error == math.sqrt(model.record_.train_error)


def test_a_code_as_wide_as_the_data_leaves_pca_no_error():
    with pytest.warns(ist.DataWarning, match="wider than the data"):
        made = ist.compare(X, ["undercomplete"], [7], epochs=1)
    assert made.rows[0].error < 1e-3
    assert made.best.error < 1e-3


# ---------------------------------------------------------------------- as text


def by_hand(*errors: float) -> Comparison:
    methods = ["PCA", "PCA", "linear", "linear"]
    rows = [
        ComparisonRow(method, size, error, error / errors[place % 2], 1.25, 12345.6, 1000)
        for place, (method, size, error) in enumerate(zip(methods, [2, 4, 2, 4], errors, strict=True))
    ]
    return Comparison(tuple(rows), "8 held-out rows", "in apples")


def test_text_of_a_table():
    assert str(by_hand(2.0, 1.0, 2.5, 0.75)).split("\n") == [
        "Error on 8 held-out rows: in apples.",
        "",
        "kind    code   error  of PCA's    fit  rows/s  parameters",
        "PCA        2   2.000      1.00  1.2 s    12 k       1,000  best with 2",
        "PCA        4   1.000      1.00  1.2 s    12 k       1,000",
        "linear     2   2.500      1.25  1.2 s    12 k       1,000",
        "linear     4  0.7500      0.75  1.2 s    12 k       1,000  best with 4",
        "",
        "The least error: linear with 4 numbers per row, 0.75 of PCA's.",
    ]


def test_text_of_a_mixed_table_has_no_column_of_pca():
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=60), "b": draw.normal(size=60), "c": list("xyz") * 20})
    made = ist.compare(frame, ["undercomplete"], [1], epochs=1)
    assert [row.method for row in made.rows] == ["most usual values", "undercomplete"]
    lines = str(made).split("\n")
    head = next(place for place, line in enumerate(lines) if line.startswith("kind"))
    assert lines[head].split() == ["kind", "code", "error", "fit", "rows/s", "parameters"]
    assert lines[head + 1].split()[3:] == ["0", f"{made.rows[0].error:#.4g}", "0.0", "s", "-", "0"]
    assert "PCA" not in str(made)


def test_text_says_when_pca_is_best():
    said = str(by_hand(2.0, 1.0, 2.0, 1.0))
    assert said.endswith(
        "\nThe least error: PCA with 4 numbers per row. No autoencoder here is better than\nPCA of the same size."
    )
    assert said.count("best with") == 2
    assert all("best with" in line for line in said.split("\n")[3:5])


def test_text_fits_a_terminal():
    narrow = ist.compare(X, ["undercomplete"], [2], epochs=1)
    assert max(map(len, str(narrow).split("\n"))) <= 80


# ---------------------------------------------------------------------- bad input, before the first fit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": []}, "methods must name at least one kind"),
        ({"methods": ["linear", "circular"]}, "no kind is called 'circular'"),
        ({"code_sizes": []}, "code_sizes must hold at least one"),
        ({"code_sizes": [2, 0]}, "code_sizes must be a whole number >= 1; got 0"),
        ({"code_sizes": [1.5]}, "code_sizes must be a whole number >= 1; got 1.5"),
        ({"validation_fraction": 2}, "validation_fraction must be"),
        ({"methods": ["linear", ist.Parts(loss=ist.Bernoulli())]}, "need the data scaled differently"),
    ],
)
def test_bad_arguments(arguments, message, monkeypatch):
    monkeypatch.setattr(comparison, "fitted_row", lambda *_: pytest.fail("a fit began"))
    with pytest.raises(ist.InputError, match=message):
        ist.compare(X, **arguments)


def test_progress_is_told_on_the_error_stream_only(capsys):
    ist.compare(X, ["linear"], [1, 2], epochs=1, verbose=1)
    said = capsys.readouterr()
    assert "fit 2 of 2: linear, code size 2" in said.err
    assert said.out == ""
    ist.compare(X, ["linear"], [1], epochs=1)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == ""
