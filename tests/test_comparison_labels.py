"""`compare` with labels that are few, of one class, not known, or of another length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_cli import run
from test_compare import X

import isthmus as ist
from isthmus.data import split
from isthmus.estimators.code_figures import Jury

NAN = float("nan")


def jury(y) -> Jury:
    train, held_out = split(80, 0.25, 0)
    return Jury.drawn(train, held_out, y, 80, 6, 0)


def test_only_labels_that_a_training_row_has_are_counted() -> None:
    _, held_out = split(80, 0.25, 0)
    y = np.where(np.arange(80) % 2, "a", "b")
    assert jury(y).told == 20
    y[held_out[:3]] = "c"  # of which nothing is known
    found = jury(y)
    assert found.told == 17
    assert not found.tellable[:3].any()
    codes = np.where(y == "a", 1.0, -1.0)[:, None]
    figures = found.figures(X[held_out], codes[held_out].astype(np.float32), codes[found.known].astype(np.float32))
    assert figures.accuracy == 1.0  # those of the third class would be three mistakes


def test_many_numbered_classes_are_told_and_quantities_are_not() -> None:
    assert jury(np.arange(80) % 30).told > 0
    found = jury(np.arange(80) / 3)
    assert found.told == 0
    assert "taken for quantities, which are not told" in found.said


def test_too_few_labels_are_not_gone_by() -> None:
    y = np.array([None] * 80, dtype=object)
    y[:10] = list("abcdefghij")  # fewer labels than classes, or as many: nothing tells them
    table = ist.compare(X, ["linear"], [2], y, epochs=1)
    assert table.told == 0
    assert np.isnan(table.rows[0].figures.accuracy)
    text = " ".join(str(table).split())
    assert "too few labels to judge by: at least 5 held-out rows need one that a training row has, too." in text
    assert "Recommended by the neighbours kept" in text


@pytest.mark.parametrize(
    "y",
    [
        np.where(np.arange(80) < 40, np.arange(80) % 2, -1),
        np.where(np.arange(80) < 40, np.arange(80) % 2, NAN),
        [str(row % 2) if row < 40 else None for row in range(80)],
        [str(row % 2) if row < 40 else "" for row in range(80)],
    ],
)
def test_marks_of_what_is_not_known_are_all_the_same(y) -> None:
    _, held_out = split(80, 0.25, 0)
    assert jury(y).told == (held_out < 40).sum()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(80), "of 80 rows, 80 are labelled: all are 0$"),
        (np.where(np.arange(80) < 40, 1.0, NAN), "of 80 rows, 40 are labelled: all are 1$"),  # no -1, no hint of it
        (np.where(np.arange(80) < 40, 1, -1), "all are 1 .-1 stands for 'not known'"),
        (np.full(80, NAN), "none is labelled"),
        (3, "y must have one label for each of the 80 rows, None, NaN or -1 where it is not known; got 3"),
        (np.arange(90) % 2, "y must have one value for each of the 80 rows; got 90"),
    ],
)
def test_labels_that_are_refused(y, message) -> None:
    with pytest.raises(ist.InputError, match=message):
        ist.compare(X, ["linear"], [2], y, epochs=1)


def test_the_command_names_its_options(tmp_path: Path) -> None:
    pd.DataFrame(X, columns=list("abcdef")).assign(one="x").to_csv(tmp_path / "data.csv", index=False)
    pd.DataFrame({"label": ["a", "b"] * 20}).to_csv(tmp_path / "short.csv", index=False)
    words = ["compare", tmp_path / "data.csv", "--methods", "linear", "--code-sizes", "2", "--quiet"]
    for labels, said in (
        ("one", "--labels: it must label rows of at least two classes"),
        (tmp_path / "short.csv", "must hold one value per row, 80; it holds 40"),
        ("two", "--labels: 'two' is neither a column of"),
    ):
        assert said in " ".join(run(*words, "--labels", labels, code=2).stderr.split())
    words += ["--column", "one=ignore"]
    for option, said in (
        (["--search-time", "-1"], "--search-time must be a number > 0; got -1"),
        (["--search-trials", "1"], "--search-trials must be a whole number >= 2; got 1"),
        (["--epochs", "0"], "--epochs must be a whole number >= 1; got 0"),
    ):
        assert said in " ".join(run(*words, *option, code=2).stderr.split())
