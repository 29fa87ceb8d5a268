"""`compare`: the same held-out rows for all, PCA first, and figures that agree with those of single fits."""

from __future__ import annotations

import math
import re
import sys
import time
import types

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from typer.testing import CliRunner

import isthmus as ist
from isthmus import metrics, plots
from isthmus.cli import app
from isthmus.data import split
from isthmus.estimators import comparison, reductions
from isthmus.estimators.code_figures import CodeFigures, Jury
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
    text = " ".join(str(made).split())
    assert text.count("PCA") == 1
    assert "PCA is not here: it needs a number in every cell, and this table has levels" in text


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


# ---------------------------------------------------------------------- what codes keep

GROUPS = np.where(X[:, 0] > np.median(X[:, 0]), "high", "low")
NEEDS = {"epochs": 1, "random_state": 5}


@pytest.fixture(scope="module")
def judged() -> Comparison:
    return ist.compare(X, ["linear", "kernel_pca", "tsne"], (2, 4), GROUPS, **NEEDS)


def test_rows_of_other_methods_stand_in_the_order_that_was_asked_for(judged):
    assert [(row.method, row.code_size) for row in judged.rows] == [
        ("PCA", 2),
        ("PCA", 4),
        ("linear", 2),
        ("linear", 4),
        ("kernel PCA", 2),
        ("kernel PCA", 4),
        ("t-SNE", 2),
    ]
    assert ist.compare(X, ["pca", "linear"], 2, **NEEDS).rows[0].method == "PCA"
    assert [row.method for row in ist.compare(X, "pca", 2).rows] == ["PCA"]


def test_figures_are_those_of_the_codes_of_held_out_rows(judged):
    train, held_out = split(len(X), 0.25, 5)
    scaled = (X - X[train].mean(0)) / X[train].std(0)
    model = ist.Autoencoder("linear", code_size=2, **NEEDS).fit(X)
    pca = PCA(2).fit(scaled[train])
    for place, encode in ((0, lambda rows: pca.transform(scaled[rows])), (2, lambda rows: model.transform(X[rows]))):
        found, codes = judged.rows[place].figures, encode(held_out)
        assert np.abs(found.codes) == pytest.approx(np.abs(codes), abs=1e-4)
        trusted, continuous = metrics.neighbours_kept(scaled[held_out], codes)
        assert (found.trustworthiness, found.continuity) == pytest.approx((trusted, continuous), abs=1e-3)
        assert found.kept == pytest.approx((trusted + continuous) / 2, abs=1e-3)
        assert found.distances == pytest.approx(metrics.distance_order(scaled[held_out], codes), abs=1e-3)
        nearest = KNeighborsClassifier(5).fit(encode(train), GROUPS[train])  # two classes: no ties
        assert found.accuracy == nearest.score(codes, GROUPS[held_out])
        assert found.unseen


def test_kernel_pca_finds_the_way_back_from_its_codes(judged):
    for row, linear in zip(judged.rows[4:6], judged.rows, strict=False):
        assert linear.error < row.error < 0.8  # rows lie near a plane; the columns' means are 1 off
        assert row.ratio == pytest.approx(row.error / linear.error)
        assert 10 < row.rows_per_second < 1e9
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32) + 100
    found = reductions.fitted("kernel_pca", x, 20, 0)
    assert np.square(found.decode(found.encode(x)) - x).mean() < 0.05 * x.var()
    np.testing.assert_allclose(found.encode(x), found.codes)


def test_tsne_is_judged_on_its_own_rows_and_said_to_be(judged):
    row = judged.rows[-1]
    assert not row.figures.unseen
    assert row.figures.codes.shape == (20, 2)
    assert math.isnan(row.error)
    assert math.isnan(row.rows_per_second)
    assert math.isnan(row.figures.accuracy)
    assert 0.5 < row.figures.trustworthiness <= 1
    assert judged.recommended.method != "t-SNE"
    assert judged.best.method != "t-SNE"
    assert "It makes at most 3 numbers per row, not 4." in judged.notes[-1]


def test_labels_do_not_change_what_is_learnt(judged):
    plain = ist.compare(X, ["linear", "kernel_pca"], (2, 4), **NEEDS)
    for row, other in zip(plain.rows, judged.rows, strict=False):
        assert row.error == pytest.approx(other.error, rel=1e-6)
        assert row.figures.trustworthiness == pytest.approx(other.figures.trustworthiness, abs=1e-6)
        assert math.isnan(row.figures.accuracy)
    assert "5-NN" not in str(plain)
    assert "Recommended by the neighbours kept" in str(plain)


def test_rows_of_unknown_class_are_not_counted():
    y = GROUPS.astype(object)
    y[::2] = None
    train, held_out = split(len(X), 0.25, 5)
    found = ist.compare(X, ["pca"], 2, y, **NEEDS)
    assert found.jury.told == (held_out % 2 == 1).sum()
    assert found.jury.known.tolist() == [row for row in train if row % 2 == 1]
    assert set(found.jury.labels) == {"high", "low", "not known"}


def test_quantities_colour_pictures_and_have_no_accuracy():
    y = np.linspace(0, 1, len(X))
    y[3:40] = np.nan
    found = ist.compare(X, ["pca"], 2, y, **NEEDS)
    assert found.told == 0
    held_out = split(len(X), 0.25, 5)[1]
    np.testing.assert_array_equal(found.jury.labels, y[held_out])
    points = sum(len(line.get_xdata()) for line in plots.reductions(found)[0].lines)
    assert points == np.isfinite(y[held_out]).sum()


def test_few_rows_tell_no_labels_of_their_own():
    found = ist.compare(X[:9], ["pca"], 1, GROUPS[:9], **NEEDS)
    assert math.isnan(found.rows[0].figures.accuracy)
    assert found.rows[0].figures.trustworthiness > 0.5
    assert math.isnan(ist.compare(X[:4], ["pca"], 1, **NEEDS).rows[0].figures.trustworthiness)


def test_mixed_tables_are_judged_by_the_distances_of_their_cells():
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=60), "b": draw.normal(size=60), "c": list("xyz") * 20})
    frame.loc[5:9, "a"] = None
    found = ist.compare(frame, ["undercomplete"], [2], frame["c"], epochs=5)
    assert found.rows[0].figures.codes is None
    assert 0.5 < found.rows[1].figures.trustworthiness <= 1
    assert 0 <= found.rows[1].figures.accuracy <= 1
    assert str(found).count("most usual values") == 1


def test_at_most_so_many_rows_are_judged():
    train, held_out = np.arange(50_000), np.arange(50_000, 60_000)
    y = np.arange(60_000) % 2
    one, other, third = (Jury.drawn(train, held_out, y, 60_000, width, seed) for width, seed in
                         ((9, 0), (9, 1), (100_000, 0)))  # fmt: skip
    assert (len(one.judged), len(one.known), one.told) == (2_000, 20_000, 2_000)
    assert len(third.judged) == 500
    assert set(one.judged) <= set(held_out)
    assert set(one.known) <= set(train)
    assert set(one.judged) != set(other.judged)
    rows = reductions.rows_of("kernel_pca", train, one.judged, 9, 0)
    assert (len(rows), len(set(rows.tolist()) - set(train.tolist()))) == (3_000, 0)
    assert reductions.notes_on(["kernel_pca"], [2], 50_000, 9) == (
        "kernel PCA was fitted to 3,000 of the 50,000 training rows.",
    )


# ---------------------------------------------------------------------- UMAP, by a stand-in


@pytest.fixture
def umap_module(monkeypatch):
    package = types.ModuleType("umap")
    package.seen, package.encoded = [], []

    class UMAP:
        def __init__(self, **settings):
            package.seen.append(settings)

        def fit(self, x):
            self.embedding_ = self.transform(x)
            return self

        def transform(self, x):
            package.encoded.append(x)
            return np.ascontiguousarray(x[:, :2])

    package.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", package)
    return package


def test_umap_is_fitted_once_by_its_own_settings(umap_module):
    found = ist.compare(X, ["umap"], 2, GROUPS, **NEEDS)
    assert umap_module.seen == [{"n_components": 2, "n_neighbors": 15, "random_state": 5, "n_jobs": 1}]
    train, held_out = split(len(X), 0.25, 5)
    scaled = ((X - X[train].mean(0)) / X[train].std(0))[:, :2]
    row = found.rows[-1]
    np.testing.assert_allclose(row.figures.codes, scaled[held_out], atol=1e-4)
    assert row.figures.accuracy == KNeighborsClassifier(5).fit(scaled[train], GROUPS[train]).score(
        scaled[held_out], GROUPS[held_out]
    )
    assert math.isnan(row.error)
    # It looks up the codes of the rows of its fit: neither speed nor codes may come of encoding these.
    assert {len(x) for x in umap_module.encoded[1:]} == {len(held_out)}
    assert 0 < row.rows_per_second < math.inf
    assert "UMAP rebuilds no rows: it has no error." in str(found)


def test_without_umap_nothing_is_fitted(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    monkeypatch.setattr(comparison, "pca_rows", lambda *_: pytest.fail("a fit began"))
    with pytest.raises(ist.MissingExtraError, match=r"The method 'umap' needs .* pip install 'isthmus\[umap\]'"):
        ist.compare(X, ["linear", "umap"], 2)


# ---------------------------------------------------------------------- what is recommended


def codes_by_hand(told: int, *worth: tuple[str, int, float]) -> Comparison:
    y = np.arange(2 * told) % 2 if told else None
    jury = Jury(np.arange(told or 50), np.arange(told, 2 * told), y, y)
    rows = []
    for method, size, value in worth:
        figures = CodeFigures(value, value, 0.5, value if told else math.nan, method != "t-SNE", np.zeros((9, size)))
        rows.append(ComparisonRow(method, size, 1.0, 1.0, 1.0, 1.0, 1, figures))
    return Comparison(tuple(rows), "8 held-out rows", "in apples", (), jury)


@pytest.mark.parametrize(
    ("told", "worth", "row", "words"),
    [
        (0, [("PCA", 2, 0.9), ("vae", 2, 0.95), ("t-SNE", 2, 0.99)], 1, "neighbours kept .*; PCA of .* 0.900.$"),
        (0, [("PCA", 2, 0.9), ("vae", 2, 0.904)], 0, "The best, vae with 2 .* 0.904, .* 0.005 more: fewer knobs"),
        (0, [("PCA", 2, 0.9), ("PCA", 8, 0.97), ("vae", 4, 0.966), ("vae", 8, 0.968)], 2, "has 0.970,.* fewer numbers"),
        (100, [("PCA", 2, 0.7), ("vae", 2, 0.75), ("vae", 8, 0.8)], 1, "the labels .* than two standard errors more"),
        (10_000, [("PCA", 2, 0.7), ("vae", 2, 0.75), ("vae", 8, 0.8)], 2, "8 numbers per row, 0.800.$"),
    ],
)  # fmt: skip
def test_the_fewest_numbers_that_are_as_good_as_the_best_are_recommended(told, worth, row, words):
    found = codes_by_hand(told, *worth)
    assert found.recommended is found.rows[row]
    assert re.search(words, found.recommendation)
    assert f": {worth[row][0]} with {worth[row][1]} numbers per row, {worth[row][2]:.3f}" in found.recommendation
    lines = str(found).split("\n\n")[-2].split("\n")[1:]
    assert [line.endswith("recommended") for line in lines] == [place == row for place in range(len(worth))]


def test_text_of_what_codes_keep():
    found = codes_by_hand(100, ("PCA", 2, 0.7), ("t-SNE", 2, 0.75))
    lines = str(found).split("\n\n")[-2].split("\n")
    assert lines == [
        "kind   code  trustworthy  continuous  distances   5-NN",
        "PCA       2        0.700       0.700      0.500  0.700  recommended",
        "t-SNE     2        0.750       0.750      0.500  0.750  own rows",
    ]
    said = " ".join(str(found).split("\n\n")[-3].split())
    assert "5-NN: the share of 100 labels that the codes of 100 training rows tell." in said
    assert "by 10, 20 .. 40 neighbours" in said


def test_nothing_is_recommended_where_nothing_was_judged():
    assert by_hand(2.0, 1.0, 2.5, 0.75).recommended is None
    assert by_hand(2.0, 1.0, 2.5, 0.75).recommendation == ""


def test_codes_no_better_than_the_commonest_class_are_judged_by_neighbours():
    found = codes_by_hand(100, ("PCA", 2, 0.58), ("vae", 2, 0.56))  # of two classes of one size
    assert found.jury.commonest == 0.5
    assert "The commonest class alone is right of 0.500." in " ".join(str(found).split())
    assert found.recommendation.startswith("No code tells the labels better than the commonest class alone")
    assert "Recommended by the neighbours kept" in found.recommendation
    assert codes_by_hand(100, ("PCA", 2, 0.65)).recommendation.startswith("Recommended by the labels that codes tell")


# ---------------------------------------------------------------------- a picture for each method


def test_pictures_are_the_codes_of_two_numbers(judged):
    panels = plots.reductions(judged)
    titles = [panel.get_title(loc="left") for panel in panels]
    assert titles == ["PCA, 2 numbers", "linear, 2 numbers", "kernel PCA, 2 numbers", "t-SNE, 2 numbers"]
    for panel, row in zip(panels, judged.rows[::2], strict=True):
        drawn = np.concatenate([np.column_stack(line.get_data()) for line in panel.lines])
        np.testing.assert_allclose(*(each[np.lexsort(each.T)] for each in (drawn, row.figures.codes)), rtol=1e-6)
    assert [panel.get_legend() is None for panel in panels] == [True, True, True, False]
    assert {text.get_text() for text in panels[-1].get_legend().get_texts()} == {"high", "low"}


def test_wider_codes_are_drawn_on_their_main_plane():
    found = ist.compare(X, ["linear"], (1, 4), **NEEDS)
    panels = plots.reductions(found)
    assert [panel.get_title(loc="left") for panel in panels] == ["PCA, 4 numbers", "linear, 4 numbers"]
    assert panels[0].get_xlabel().startswith("component 1 (")
    assert plots.reductions(ist.compare(X, ["linear"], 1, **NEEDS))[0].get_xlabel() == "code unit 0"
    with pytest.raises(ist.InputError, match="axes must be 2 matplotlib axes; got 1"):
        plots.reductions(found, axes=panels[:1])
    with pytest.raises(ist.InputError, match="holds no codes"):
        plots.reductions(by_hand(2.0, 1.0, 2.5, 0.75))


# ---------------------------------------------------------------------- bad input, before the first fit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": []}, "methods must name at least one kind"),
        ({"methods": ["kernelpca"]}, "methods: no kind is called 'kernelpca'. Did you mean 'kernel_pca'?"),
        ({"methods": ["?"]}, "There are: 'pca', 'kernel_pca', 'umap', 'tsne', "),
        ({"methods": ["linear", "circular"]}, "no kind is called 'circular'"),
        ({"code_sizes": []}, "code_sizes must hold at least one"),
        ({"code_sizes": [2, 0]}, "code_sizes must be a whole number >= 1; got 0"),
        ({"code_sizes": [1.5]}, "code_sizes must be a whole number >= 1; got 1.5"),
        ({"validation_fraction": 2}, "validation_fraction must be"),
        ({"methods": ["linear", ist.Parts(loss=ist.Bernoulli())]}, "need the data scaled differently"),
        ({"y": ["a"]}, "y must have one value for each of the 80 rows; got 1"),
        ({"y": ["a"] * 80}, "y must label rows of at least two classes"),
        ({"y": np.zeros((80, 2))}, r"y must have one label per row, shape \(80,\); got \(80, 2\)"),
        ({"methods": ["tsne"], "code_sizes": [4]}, "'tsne' makes at most 3 numbers per row; give code_sizes a 2"),
        ({"methods": ["kernel_pca"], "code_sizes": [19]}, "needs at least 21 rows to learn from.* got 20"),
    ],
)
def test_bad_arguments(arguments, message, monkeypatch):
    monkeypatch.setattr(comparison, "fitted_row", lambda *_: pytest.fail("a fit began"))
    with pytest.raises(ist.InputError, match=message):
        ist.compare(X, **arguments)


@pytest.mark.parametrize("method", ["pca", "kernel_pca", "umap", "tsne"])
def test_other_methods_refuse_mixed_tables(method):
    frame = pd.DataFrame({"a": np.arange(40.0) % 7 + 0.5, "b": list("xy") * 20})
    with pytest.raises(ist.InputError, match=f"{method!r} needs a number in every cell; this table has levels"):
        ist.compare(frame, ["undercomplete", method], 2, epochs=1)


def test_progress_is_told_on_the_error_stream_only(capsys):
    ist.compare(X, ["linear"], [1, 2], epochs=1, verbose=1)
    said = capsys.readouterr()
    assert "fit 2 of 2: linear, code size 2" in said.err
    assert said.out == ""
    ist.compare(X, ["linear"], [1], epochs=1)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == ""


# ---------------------------------------------------------------------- on the command line


def test_the_command_judges_by_a_column_of_labels(tmp_path):
    pd.DataFrame(X, columns=list("abcdef")).assign(group=GROUPS).to_csv(tmp_path / "data.csv", index=False)
    words = ["--methods", "linear,kernel_pca,pca", "--code-sizes", "2", "--epochs", "1", "--seed", "5", "--quiet"]
    done = CliRunner().invoke(app, ["compare", str(tmp_path / "data.csv"), *words, "--labels", "group"])
    assert done.exit_code == 0, done.output
    names = re.findall(r"^(PCA|linear|kernel PCA) +2 ", done.stdout, flags=re.MULTILINE)
    assert names == ["PCA", "linear", "kernel PCA"] * 2
    made = ist.compare(X, ["kernel_pca"], 2, GROUPS, **NEEDS).rows[1].figures
    assert f"{made.trustworthiness:.3f}" in done.stdout
    assert f"{made.accuracy:.3f}" in done.stdout
    assert "Recommended by the labels that codes tell: " in done.stdout
