"""``isthmus features``: features of rows without labels, models that start from them, and columns worth keeping."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_cli import run

import isthmus as ist
from isthmus.commands_learnt import column_names, say_selector, say_tuned
from isthmus.data import write_image
from isthmus.estimators.fine_tuning import TunedClassifier, TunedRegressor
from isthmus.records import Layout

QUICK = ["--epochs", 1, "--quiet"]


def flat(text: str) -> str:
    return " ".join(text.split())


def table() -> pd.DataFrame:
    """Six columns that follow two causes, a class and a number that do so too."""
    draw = np.random.default_rng(0)
    causes = draw.normal(size=(80, 2))
    cells = causes @ draw.normal(size=(2, 6)) + 0.1 * draw.normal(size=(80, 6))
    frame = pd.DataFrame(cells, columns=list("abcdef"), index=None)
    return frame.assign(kind=np.where(causes[:, 0] > 0, "high", "low"), size=causes[:, 1].round(3))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in several forms, pictures, and what the command line has made of them."""
    home = tmp_path_factory.mktemp("features")
    frame = table()
    frame.to_csv(home / "data.csv", index=False)
    frame.drop(columns=["kind", "size"]).to_csv(home / "plain.csv", index=False)
    frame.assign(kind=frame["kind"].where(frame.index < 30)).to_csv(home / "few.csv", index=False)
    frame["kind"].to_csv(home / "kinds.csv", index=False)
    (home / "photos").mkdir()
    for place in range(20):
        image = np.random.default_rng(place).integers(0, 60, (6, 6)) + np.where(place % 2, 150, 0)
        write_image(home / "photos" / f"{place:02d}.png", image.astype(np.uint8))
    pd.DataFrame({"kind": ["dark", "light"] * 10}).to_csv(home / "shades.csv", index=False)
    ignored = ["--column", "size=ignore"]
    run("features", "fit", home / "data.csv", "-o", home / "m.safetensors", "--labels", "kind", *ignored, *QUICK)
    run("features", "fit", home / "photos", "-o", home / "p.safetensors", "--code-size", 8, *QUICK)
    tuned = ["--mode", "probe", "--quiet"]
    run("features", "tune", home / "m.safetensors", home / "few.csv", "--labels", "kind", "-o", home / "c.safetensors",
        *tuned)  # fmt: skip
    run("features", "tune", home / "m.safetensors", home / "data.csv", "--labels", "size", "-o", home / "r.safetensors",
        *tuned)  # fmt: skip
    run("features", "select", home / "plain.csv", "-k", 2, "-o", home / "s.safetensors", "--method", "linear", *QUICK)
    return home


def test_help_teaches_and_loads_nothing_heavy() -> None:
    assert "features" in run("--help").stdout
    for verb in ("fit", "transform", "tune", "predict", "select"):
        assert f"isthmus features {verb} " in run("features", verb, "--help").stdout
    program = (
        "import sys\nfrom isthmus import cli\n"
        "try:\n    cli.app(['features', 'tune', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules), 'too much is imported'"
    )
    said = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert "--labels" in said.stdout


# ---------------------------------------------------------------------- features


def test_fit_learns_without_the_labels_and_says_what(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    said = run("features", "fit", home / "data.csv", "-o", out, "--labels", "kind", "--column", "size=ignore",
               "--epochs", 2, "--code-size", 3, "--method", "vae").stdout  # fmt: skip
    learner = ist.load(out)
    assert learner.feature_names_in_.tolist() == list("abcdef")
    assert learner.autoencoder == "vae"
    assert "features        3 numbers per row for 6, layer 'code'" in said
    assert flat("layers " + ", ".join(learner.layer_names())) in flat(said)
    first = int(learner.feature_importances_.argmax())
    assert f"depend most on  {'abcdef'[first]} ({learner.feature_importances_[first]:.1%})" in said
    assert f"isthmus features transform {out} {home / 'data.csv'} -o codes.parquet" in flat(said)
    assert "--labels kind -o classifier.safetensors" in flat(said)


def test_transform_writes_what_python_gives(home: Path, tmp_path: Path) -> None:
    learner, data = ist.load(home / "m.safetensors"), home / "data.csv"
    out = tmp_path / "codes.parquet"
    said = run("features", "transform", home / "m.safetensors", data, "-o", out).stdout
    assert f"{out}: 80 rows of 6 numbers (" in flat(said)
    codes = pd.read_parquet(out)
    assert codes.columns.tolist() == [f"code_{unit}" for unit in range(6)]
    np.testing.assert_array_equal(codes.to_numpy(), learner.transform(table()[list("abcdef")]))
    layer = learner.layer_names()[0]
    run("features", "transform", home / "m.safetensors", data, "-o", tmp_path / "l.csv", "--layer", layer, "--quiet")
    units = pd.read_csv(tmp_path / "l.csv")
    assert units.columns[0] == "unit_0"
    np.testing.assert_allclose(units, learner.transform(table()[list("abcdef")], layer), rtol=1e-4, atol=1e-6)
    run("features", "transform", home / "m.safetensors", data, "-o", tmp_path / "c.npy", "--quiet")
    np.testing.assert_array_equal(np.load(tmp_path / "c.npy"), codes.to_numpy())


def test_pictures_go_by_their_names(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "codes.csv"
    run("features", "transform", home / "p.safetensors", home / "photos", "-o", out, "--quiet")
    codes = pd.read_csv(out)
    assert codes["file"].tolist() == [f"{place:02d}.png" for place in range(20)]
    assert codes.shape == (20, 9)
    model, told = tmp_path / "c.safetensors", tmp_path / "told.csv"
    run("features", "tune", home / "p.safetensors", home / "photos", "--labels", home / "shades.csv", "-o", model,
        "--mode", "probe", "--quiet")  # fmt: skip
    run("features", "predict", model, home / "photos", "-o", told, "--quiet")
    assert pd.read_csv(told)["prediction"].tolist() == ["dark", "light"] * 10
    said = run("info", home / "p.safetensors").stdout
    assert "depend most on  (" in said  # a place in the picture: (height, width)


# ---------------------------------------------------------------------- models


def test_tune_says_how_good_it_is(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.safetensors"
    said = run("features", "tune", home / "m.safetensors", home / "few.csv", "--labels", "kind", "-o", out,
               "--mode", "frozen", "--epochs", 2).stdout  # fmt: skip
    model = ist.load(out)
    assert (type(model), model.mode_, model.classes_.tolist()) == (TunedClassifier, "frozen", ["high", "low"])
    assert "classifier      of 'high', 'low', mode frozen" in said
    assert f"frozen {model.scores_['frozen']:.1%} right, every class counting alike" in flat(said)
    assert f"isthmus features predict {out} new.csv -o told.csv" in flat(said)


def test_predict_writes_classes_and_probabilities(home: Path, tmp_path: Path) -> None:
    model, rows, out = ist.load(home / "c.safetensors"), table()[list("abcdef")], tmp_path / "told.csv"
    said = run("features", "predict", home / "c.safetensors", home / "plain.csv", "-o", out, "--probabilities").stdout
    assert "80 rows of prediction, probability_high, probability_low (" in flat(said)
    told = pd.read_csv(out)
    assert told["prediction"].tolist() == model.predict(rows).tolist()
    shares = told[["probability_high", "probability_low"]].to_numpy()
    np.testing.assert_allclose(shares, model.predict_proba(rows), atol=1e-6)
    # The column of labels may be there still: it is not read.
    run("features", "predict", home / "c.safetensors", home / "data.csv", "-o", tmp_path / "again.parquet", "--quiet")
    again = pd.read_parquet(tmp_path / "again.parquet")
    assert again["prediction"].tolist() == told["prediction"].tolist()
    assert again.columns.tolist() == ["prediction"]
    assert (told["prediction"] == table()["kind"]).mean() > 0.8


def test_numbers_are_told_too(home: Path, tmp_path: Path) -> None:
    assert isinstance(ist.load(home / "r.safetensors"), TunedRegressor)
    out = tmp_path / "told.csv"
    run("features", "predict", home / "r.safetensors", home / "plain.csv", "-o", out, "--quiet")
    assert np.corrcoef(pd.read_csv(out)["prediction"], table()["size"])[0, 1] > 0.8
    error = run("features", "predict", home / "r.safetensors", home / "plain.csv", "-o", out, "--probabilities", code=2)
    assert "--probabilities" in error.stderr
    assert "tells numbers, which have none" in flat(error.stderr)


def test_whole_numbers_are_what_the_task_says(home: Path, tmp_path: Path) -> None:
    table().assign(size=np.arange(80) % 12).to_csv(tmp_path / "data.csv", index=False)
    words = ["features", "tune", home / "m.safetensors", tmp_path / "data.csv", "--labels", "size"]
    words += ["--column", "kind=ignore", "--mode", "probe", "--quiet", "-o", tmp_path / "r.safetensors"]
    assert "note: y: 12 different whole numbers are taken for classes" in flat(run(*words).stderr)
    run(*words, "--task", "numbers", "--max-time", 60)
    assert isinstance(ist.load(tmp_path / "r.safetensors"), TunedRegressor)
    said = flat(run(*words, "--task", "ranks", code=2).stderr)
    assert "--task must be auto, classes or numbers; got 'ranks'" in said


def test_pictures_of_two_depths_are_refused_with_advice_that_goes(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((6, 6), np.uint8))
    write_image(tmp_path / "b.png", np.full((6, 6), 40_000, np.uint16))
    said = flat(run("features", "fit", tmp_path, "-o", tmp_path / "m.safetensors", code=2).stderr)
    assert "images must all have one depth" in said
    assert "skip" not in said


def test_unlabelled_rows_help_on_request(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.safetensors"
    options = ["--labels", "kind", "-o", out, "--mode", "semi_supervised", "--epochs", 1, "--quiet"]
    error = flat(run("features", "tune", home / "m.safetensors", home / "data.csv", *options, code=2).stderr)
    assert "--mode semi_supervised learns from rows without labels too: give them as --unlabelled, or in DATA" in error
    # Its own column of labels is left out of the unlabelled data, too.
    options += ["--unlabelled", home / "data.csv"]
    run("features", "tune", home / "m.safetensors", home / "few.csv", *options)
    assert ist.load(out).mode_ == "semi_supervised"


# ---------------------------------------------------------------------- columns


def test_select_prints_columns_and_their_worth(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.safetensors"
    said = run("features", "select", home / "data.csv", "-k", 2, "-o", out, "--labels", "kind", "--method", "linear",
               "--column", "size=ignore", "--epochs", 2).stdout  # fmt: skip
    selector = ist.load(out)
    assert "selector        2 of 6 columns" in said
    lines = said.split("\n")
    top = next(place for place, line in enumerate(lines) if line.split() == ["column", "worth"])
    for place, column in enumerate(selector.order_.tolist()):
        worth = selector.importances_[selector.columns_.tolist().index(column)]
        assert lines[top + 1 + place].split() == ["abcdef"[column], f"{worth:.4g}"]
    run("features", "transform", out, home / "data.csv", "-o", tmp_path / "two.csv", "--quiet")
    two = pd.read_csv(tmp_path / "two.csv")
    assert two.columns.tolist() == ["abcdef"[place] for place in selector.columns_]
    pd.testing.assert_frame_equal(two, table()[two.columns.tolist()])


def test_columns_of_pictures_are_places() -> None:
    assert column_names(None, Layout((2, 2), ("height", "width")))[2] == "(1, 0)"
    assert column_names(["a"], Layout((1,), ("column",))) == ["a"]


# ---------------------------------------------------------------------- info, and what is refused


def test_info_says_what_files_hold(home: Path) -> None:
    said = run("info", home / "c.safetensors").stdout
    assert said.startswith("classifier      of 'high', 'low', mode probe\nheld-out labels probe ")
    assert "features        6 numbers per row for 6, layer 'code'" in said
    assert "kind            denoising" in said
    assert run("info", home / "m.safetensors").stdout.startswith("features        6 numbers")
    assert run("info", home / "r.safetensors").stdout.startswith("regressor       of 1 number, mode probe")
    assert "of the variance explained" in flat(run("info", home / "r.safetensors").stdout)
    assert run("info", home / "s.safetensors").stdout.startswith("selector        2 of 6 columns")


def test_what_is_said_of_rarer_models(capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 30))
    learner = ist.FeatureLearner(4, epochs=1, random_state=0).fit(x)
    several = learner.fine_tune(x, (x[:, :2] > 0).astype(float), mode="probe")
    say_tuned(several)
    assert "of 2 labels, several at once, mode probe" in capsys.readouterr().out
    with pytest.warns(ist.DataWarning, match="none can be held out"):
        lonely = learner.fine_tune(x[:2], ["a", "b"], mode="probe")
    say_tuned(lonely)
    assert "none could be held out" in capsys.readouterr().out
    say_selector(ist.Selector(25, method="linear", epochs=1, random_state=0).fit(x))
    assert "  and 5 more\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["transform", "m", "data.csv", "-o", "x.csv", "--layer", "encoder.hidden.9"], "--layer: the encoder has no"),
        (["transform", "s", "data.csv", "-o", "x.csv", "--layer", "code"], "has no layers"),
        (["transform", "c", "data.csv", "-o", "x.csv"], "holds a TunedClassifier; isthmus features fit makes"),
        (["predict", "m", "data.csv", "-o", "x.csv"], "holds a FeatureLearner; isthmus features tune makes"),
        (["predict", "c", "data.csv", "-o", "x.npy"], "must end in .csv or .tsv or .parquet or .xlsx"),
        (["tune", "m", "data.csv", "--labels", "kin", "-o", "x.safetensors"], "--labels: 'kin' is neither a column"),
        (["tune", "m", "data.csv", "--labels", "a", "-o", "x.safetensors"], "--labels a leaves out the column 'a'"),
        (["tune", "m", "data.csv", "--labels", "kind", "-o", "x.safetensors", "--mode", "ful"], "--mode must be auto"),
        (["tune", "m", "plain.csv", "--labels", "shades.csv", "-o", "x.safetensors"], "one value per row, 80"),
        (["tune", "m", "plain.csv", "--labels", "one.csv", "-o", "x.safetensors"], "--labels: it must label rows of"),
        (["fit", "data.csv", "-o", "x.safetensors", "--labels", "kinds.csv"], "nothing to leave out"),
        (["fit", "data.csv", "-o", "x.safetensors", "--method", "vea"], "no kind is called 'vea'. Did you mean 'vae'"),
        (["fit", "plain.csv", "-o", "x.safetensors", "--code-size", "0"], "--code-size must be"),
        (["fit", "plain.csv", "-o", "x.safetensors", "--layer", "cod"], "--layer: the encoder has no layer 'cod'"),
        (["select", "plain.csv", "-o", "x.safetensors", "-k", "7"], "-k: there are 6 columns to select from; 7 were"),
        (["select", "plain.csv", "-o", "x.safetensors", "--method", "best"], "--method must be auto, linear, bent"),
    ],
)
def test_one_clear_line_says_what_is_wrong(home: Path, words: list[str], said: str) -> None:
    pd.DataFrame({"kind": ["same"] * 80}).to_csv(home / "one.csv", index=False)
    files = {word: str(home / word) for word in ("data.csv", "plain.csv", "kinds.csv", "shades.csv", "one.csv")}
    files |= {name: str(home / f"{name}.safetensors") for name in "mcs"}
    files |= {f"x.{ending}": str(home / f"x.{ending}") for ending in ("csv", "npy", "safetensors")}
    given = [files.get(word, word) for word in words]
    assert said in flat(run("features", *given, code=2).stderr)
    assert not (home / "x.csv").exists()
    assert not (home / "x.safetensors").exists()


def test_other_commands_say_whose_file_it_is(home: Path, tmp_path: Path) -> None:
    for name, verb in {"m": "transform and tune", "c": "predict", "r": "predict", "s": "transform"}.items():
        error = run("encode", home / f"{name}.safetensors", home / "plain.csv", "-o", tmp_path / "x.csv", code=2).stderr
        assert f"isthmus features {verb}" in flat(error)
