"""``isthmus generate``: pictures come as a folder with a sheet, tables as tables, and all as the library draws them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_cli import run

import isthmus as ist
from isthmus import cli_generate, cli_options, commands_drawn, commands_generate
from isthmus.commands_drawn import contact_sheet, number_of
from isthmus.commands_examples import known_values
from isthmus.data import Form, read_image, write_image
from isthmus.data.writers import WRITTEN
from isthmus.estimators import generator as estimator
from isthmus.estimators.generator import Generator
from isthmus.records import Layout

X, Y = (part[:160] for part in ist.data.digits())
X = (X * 15).astype(np.uint8)
QUICK = ["--epochs", 2, "--quiet"]


def people(rows: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(0)
    age = random.integers(18, 66, rows)
    since = pd.Timestamp("2015-01-01") + pd.to_timedelta(random.integers(0, 900, rows), unit="D")
    town = np.where(age > 40, "Ulm", np.where(random.random(rows) < 0.2, "Rom", "Bonn"))
    hours = pd.Series(random.integers(0, 5, rows) * 8.0).mask(random.random(rows) < 0.2)
    return pd.DataFrame({"age": age, "town": town, "hours": hours, "since": since, "member": random.random(rows) < 0.4})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits as pictures and arrays, a table, and generators of them fitted by the command line."""
    home = tmp_path_factory.mktemp("generate")
    (home / "digits").mkdir()
    for place, image in enumerate(X):
        write_image(home / "digits" / f"{place:03d}.png", image)
    (home / "labels.txt").write_text("\n".join(map(str, Y)) + "\n")
    np.save(home / "floats.npy", X / 240.0)
    people().to_csv(home / "people.csv", index=False)
    people(1).to_csv(home / "one.csv", index=False)
    code = ["--code-size", 4, "--prior", "normal", *QUICK]
    run("generate", "fit", home / "digits", "-o", home / "d.safetensors", *code)
    run("generate", "fit", home / "digits", "-o", home / "c.safetensors", "--given", home / "labels.txt", *code)
    run("generate", "fit", home / "people.csv", "-o", home / "p.safetensors", *QUICK)
    run("generate", "fit", home / "floats.npy", "-o", home / "f.safetensors", *code)
    ist.Autoencoder(code_size=4, epochs=2, random_state=0).fit(X).save(home / "plain.safetensors")
    return home


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def flat(text: str) -> str:
    return " ".join(text.split())


# ---------------------------------------------------------------------- help


def test_help_teaches_and_loads_nothing_heavy() -> None:
    assert "generate" in run("--help").stdout
    for verb in ("fit", "sample", "vary", "walk"):
        assert f"isthmus generate {verb} " in run("generate", verb, "--help").stdout
    program = (
        "import sys\nfrom isthmus import cli\n"
        "try:\n    cli.app(['generate', 'vary', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules), 'too much is imported'"
    )
    said = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert "--spread" in said.stdout


def test_what_the_command_line_knows_without_the_library_is_what_it_has() -> None:
    assert cli_generate.PATHS == estimator.PATHS
    assert set(cli_options.TABLES) == set(WRITTEN)


# ---------------------------------------------------------------------- pictures


def test_fit_says_how_it_draws_and_what_comes_next(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    said = run("generate", "fit", home / "digits", "-o", path, "--epochs", 1, "--code-size", 3).stdout
    assert "images of 8 x 8 pixels, through codes of 3 numbers; their prior: a mixture of" in flat(said)
    first, last = home / "digits" / "000.png", home / "digits" / "001.png"
    assert f"isthmus generate sample {path} -n 100 -o samples/" in said
    assert f"isthmus generate walk {path} {first} {last} -o walk/" in said


def test_samples_are_those_of_the_library_and_a_sheet_shows_them(home: Path, tmp_path: Path) -> None:
    said = run("generate", "sample", home / "d.safetensors", "-n", 11, "-o", tmp_path / "new" / "s", "--seed", 4)
    out = tmp_path / "new" / "s"
    assert names(out) == ["sample-" + f"{n:02d}.png" for n in range(1, 12)] + ["sheet.png"]
    expected = ist.load(home / "d.safetensors").sample(11, random_state=4)
    np.testing.assert_array_equal([read_image(out / f"sample-{n:02d}.png") for n in range(1, 12)], expected)
    np.testing.assert_array_equal(read_image(out / "sheet.png"), contact_sheet(expected, 4)[0])
    assert said.stdout == f"{out}: 11 images of 8 x 8 pixels from scratch\n{out}/sheet.png: shows them side by side\n"
    assert out.stat().st_mode == (tmp_path / "new").stat().st_mode
    run("generate", "sample", home / "d.safetensors", "-n", 3, "-o", tmp_path / "s.npy", "--seed", 4, "--quiet")
    assert np.load(tmp_path / "s.npy").shape == (3, 8, 8)


def test_without_a_seed_others_are_drawn_every_time(home: Path, tmp_path: Path) -> None:
    made = []
    for name in ("a.npy", "b.npy"):
        run("generate", "sample", home / "d.safetensors", "-n", 2, "-o", tmp_path / name)
        made.append(np.load(tmp_path / name))
    assert not np.array_equal(*made)


def test_variations_stand_beside_their_original(home: Path, tmp_path: Path) -> None:
    five = home / "digits" / "005.png"
    words = ["generate", "vary", home / "d.safetensors", five, "--spread", 0.3, "-n", 2, "--seed", 1]
    said = run(*words, "-o", tmp_path / "v").stdout
    assert f"2 images of 8 x 8 pixels like {str(five)!r}, spread 0.3" in flat(said)
    assert names(tmp_path / "v") == ["005-1.png", "005-2.png", "sheet.png"]
    expected = ist.load(home / "d.safetensors").vary(X[5], 2, 0.3, random_state=1)
    np.testing.assert_array_equal([read_image(tmp_path / "v" / f"005-{n}.png") for n in (1, 2)], expected)
    sheet = contact_sheet(np.concatenate((X[5:6], expected)), 3)[0]
    np.testing.assert_array_equal(read_image(tmp_path / "v" / "sheet.png"), sheet)


def test_a_folder_is_varied_picture_by_picture(home: Path, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    for place in (7, 9):
        write_image(tmp_path / "two" / f"{place}.png", X[place])
    words = ["generate", "vary", home / "d.safetensors", tmp_path / "two", "-n", 3, "--seed", 1, "-o"]
    run(*words, tmp_path / "v")
    assert names(tmp_path / "v") == [*(f"{a}-{n}.png" for a in (7, 9) for n in (1, 2, 3)), "sheet.png"]
    expected = ist.load(home / "d.safetensors").vary(X[[7, 9]], 3, 0.5, random_state=1)
    np.testing.assert_array_equal(read_image(tmp_path / "v" / "9-1.png"), expected[3])
    shown = np.concatenate((X[7:8], expected[:3], X[9:10], expected[3:]))
    np.testing.assert_array_equal(read_image(tmp_path / "v" / "sheet.png"), contact_sheet(shown, 4)[0])
    assert "lies in the folder that is read" in flat(run(*words, tmp_path / "two" / "v", code=2).stderr)


@pytest.mark.parametrize("path", ["straight", "density"])
def test_a_walk_goes_from_one_end_to_the_other(home: Path, tmp_path: Path, path: str) -> None:
    ends = [home / "digits" / f"{place:03d}.png" for place in (2, 6)]
    run("generate", "walk", home / "d.safetensors", *ends, "--steps", 4, "--path", path, "-o", tmp_path / "w")
    assert names(tmp_path / "w") == ["sheet.png", *(f"step-{n}.png" for n in range(1, 5))]
    expected = ist.load(home / "d.safetensors").interpolate(X[2], X[6], 4, path)
    np.testing.assert_array_equal([read_image(tmp_path / "w" / f"step-{n}.png") for n in range(1, 5)], expected)
    sheet = contact_sheet(np.concatenate((X[2:3], expected, X[6:7])), 6)[0]
    np.testing.assert_array_equal(read_image(tmp_path / "w" / "sheet.png"), sheet)
    assert sheet.shape == (64, 6 * 60 + 4)


def test_labels_say_what_is_drawn(home: Path, tmp_path: Path) -> None:
    model, five = ist.load(home / "c.safetensors"), home / "digits" / "005.png"
    words = ["--given", 3, "--seed", 2, "-n", 2]
    run("generate", "sample", home / "c.safetensors", *words, "-o", tmp_path / "s.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), model.sample(2, given=3, random_state=2))
    run("generate", "vary", home / "c.safetensors", five, *words, "-o", tmp_path / "v.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), model.vary(X[5], 2, given=3, random_state=2))
    run("generate", "walk", home / "c.safetensors", five, five, "--steps", 2, "--given", 3, "-o", tmp_path / "w.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "w.npy"), model.interpolate(X[5], X[5], 2, given=3))
    (tmp_path / "its.txt").write_text("3\n4\n")
    np.save(tmp_path / "two.npy", X[:2])
    run("generate", "vary", home / "c.safetensors", tmp_path / "two.npy", "--given", tmp_path / "its.txt", "-n", 1,
        "--seed", 2, "-o", tmp_path / "t.npy")  # fmt: skip
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy"), model.vary(X[:2], 1, given=[3, 4], random_state=2))


def test_arrays_of_floats_are_no_pictures(home: Path, tmp_path: Path) -> None:
    said = run("generate", "sample", home / "f.safetensors", "-o", tmp_path / "s", code=2).stderr
    assert "images of 8 x 8 pixels of float64, which no PNG holds: name a .npy file" in flat(said)
    run("generate", "sample", home / "f.safetensors", "-n", 2, "-o", tmp_path / "s.npy")
    assert np.load(tmp_path / "s.npy").dtype == np.float64


# ---------------------------------------------------------------------- sheets and folders


def test_sheets_show_any_depth_and_as_many_as_fit() -> None:
    deep = np.full((2, 30, 60, 3), 0x1234, dtype=np.uint16)
    sheet, shown = contact_sheet(deep, 5)
    assert (sheet.shape, sheet.dtype, shown) == ((64 + 4, 2 * 124 + 4, 3), np.uint8, 2)
    assert (sheet[4:64, 4:124] == 0x12).all()
    assert (sheet[:4] == 128).all()
    clear = np.zeros((1, 60, 60, 2), dtype=np.uint8)
    assert contact_sheet(clear, 1)[0][0, 0].tolist() == [128, 255]
    sheet, shown = contact_sheet(np.zeros((100, 996, 2000), dtype=np.uint8), 10)
    assert (sheet.shape, shown) == ((5 * 1000 + 4, 2 * 2004 + 4), 10)


def test_nothing_stays_of_an_interrupted_run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["generate", "sample", home / "d.safetensors", "-n", 3]
    run(*words, "-o", tmp_path / "there", "--seed", 1)
    before = {name: (tmp_path / "there" / name).read_bytes() for name in names(tmp_path / "there")}

    def written(path: Path, image: np.ndarray) -> None:
        if path.name == "sample-2.png":
            raise KeyboardInterrupt
        write_image(path, image)

    monkeypatch.setattr(commands_drawn, "write_image", written)
    run(*words, "-o", tmp_path / "new" / "below", code=130)
    assert not (tmp_path / "new").exists()
    run(*words, "-o", tmp_path / "there", "--seed", 2, code=130)
    assert {name: (tmp_path / "there" / name).read_bytes() for name in names(tmp_path / "there")} == before
    assert names(tmp_path) == ["there"]


def test_folders_are_filled_again_but_never_mixed(home: Path, tmp_path: Path) -> None:
    words = ["generate", "sample", home / "d.safetensors", "-o", tmp_path / "s", "-n"]
    run(*words, 3)
    (tmp_path / "s" / "notes.txt").write_text("kept")
    assert "(3 of the same name replaced)" in run(*words, 3).stdout
    assert (tmp_path / "s" / "notes.txt").read_text() == "kept"
    said = run(*words, 2, code=2).stderr
    assert "holds 1 other picture, such as 'sample-3.png'" in flat(said)
    assert names(tmp_path / "s") == ["notes.txt", *(f"sample-{n}.png" for n in (1, 2, 3)), "sheet.png"]
    walk = ["generate", "walk", home / "d.safetensors", "--steps", 2, "-o", tmp_path / "w"]
    run(*walk, home / "digits" / "001.png", home / "digits" / "002.png")
    said = run(*walk, tmp_path / "w" / "step-1.png", tmp_path / "w" / "step-2.png", code=2).stderr
    assert "lies what is read, and would be written over" in flat(said)


# ---------------------------------------------------------------------- tables


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_tables_come_as_tables(home: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"s{ending}"
    said = run("generate", "sample", home / "p.safetensors", "-n", 60, "-o", path, "--seed", 3).stdout
    assert said.startswith(f"{path}: 60 rows of 5 columns from scratch (")
    made = pd.read_csv(path) if ending == ".csv" else pd.read_parquet(path)
    assert list(made) == list(people())
    assert made["age"].between(18, 65).all()
    assert made["age"].dtype.kind == "i"
    assert set(made["town"]) <= {"Ulm", "Rom", "Bonn"}
    assert made["member"].dtype == bool
    expected = ist.load(home / "p.safetensors").sample(60, random_state=3)
    np.testing.assert_array_equal(made["age"], expected["age"])
    if ending == ".csv":
        assert made["since"].str.fullmatch(r"201[5-7]-\d\d-\d\d").all()
        assert "8.0" not in path.read_text()  # whole numbers stay so beside gaps


def test_known_cells_are_kept(home: Path, tmp_path: Path) -> None:
    known = ["town=Rom", "hours=8", "since=2016-03-01", "member=yes"]
    words = [word for one in known for word in ("--known", one)]
    run("generate", "sample", home / "p.safetensors", "-n", 5, "-o", tmp_path / "s.csv", *words)
    made = pd.read_csv(tmp_path / "s.csv")
    for name, value in {"town": "Rom", "hours": 8, "since": "2016-03-01", "member": True}.items():
        assert made[name].tolist() == [value] * 5


def test_known_cells_of_plain_numbers() -> None:
    form = Form("pandas", ("a", "b"), ("float64",), Layout((2,), ("column",)))
    assert known_values(form, ["b=-3", "a=1e3"]) == {"b": -3, "a": 1000.0}


def test_rows_are_varied_one_after_the_other(home: Path, tmp_path: Path) -> None:
    words = ["--spread", 0.4, "-n", 3, "--seed", 5]
    run("generate", "vary", home / "p.safetensors", home / "people.csv", *words, "-o", tmp_path / "v.csv")
    made, own = pd.read_csv(tmp_path / "v.csv"), pd.read_csv(home / "people.csv").loc[np.repeat(np.arange(120), 3)]
    kept = sum((made[name].to_numpy() == own[name].to_numpy()).astype(int) for name in ("age", "town", "since"))
    assert len(made) == 360
    assert (kept >= 1).all()  # of five cells, two are drawn anew
    assert (kept < 3).any()


def test_tables_through_codes(home: Path, tmp_path: Path) -> None:
    model = tmp_path / "t.safetensors"
    given = ["--given", "town", "--given", "age"]
    said = run("generate", "fit", home / "people.csv", "-o", model, "--method", "vae", *given, "--epochs", 1).stdout
    assert "their prior: the kind's own; for rows with given column 'town' (a label, one of 3)" in flat(said)
    values = ["--given", "age=40", "--given", "town=Ulm"]
    run("generate", "sample", model, "-n", 4, "-o", tmp_path / "s.csv", "--seed", 0, *values)
    told = pd.DataFrame({"town": ["Ulm"] * 4, "age": [40] * 4})
    expected = ist.load(model).sample(4, given=told, random_state=0)
    made = pd.read_csv(tmp_path / "s.csv")
    np.testing.assert_array_equal(made["hours"], expected["hours"].round())  # as they were whole in the fit
    assert list(made) == ["hours", "since", "member"]
    run("generate", "vary", model, home / "people.csv", "-n", 1, *given, "-o", tmp_path / "v.csv")
    assert len(pd.read_csv(tmp_path / "v.csv")) == 120
    ends = [home / "one.csv"] * 2
    run("generate", "walk", model, *ends, "--steps", 3, *values, "-o", tmp_path / "w.csv")
    assert len(pd.read_csv(tmp_path / "w.csv")) == 3
    said = run("generate", "sample", model, "-o", tmp_path / "s.csv", "--given", "town=Ulm", code=2).stderr
    assert "--given town=Bonn --given age=" in flat(said)


# ---------------------------------------------------------------------- plain autoencoders


def test_plain_autoencoders_draw_where_they_have_a_prior(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_generate, "ENOUGH", 200)
    plain, drawn = home / "plain.safetensors", tmp_path / "g.safetensors"
    said = run("generate", "sample", plain, "-o", tmp_path / "s", code=2).stderr
    assert f"isthmus generate fit DATA -o generator.safetensors --autoencoder {plain}" in flat(said)
    run("generate", "fit", home / "digits", "-o", drawn, "--autoencoder", plain, "--prior", "normal", "-q")
    generator, autoencoder = ist.load(drawn), ist.load(plain)
    np.testing.assert_array_equal(generator.autoencoder_.transform(X), autoencoder.transform(X))
    autoencoder.fit_prior("normal", X).save(tmp_path / "a.safetensors")
    run("generate", "sample", tmp_path / "a.safetensors", "-n", 2, "--seed", 1, "-o", tmp_path / "s.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), autoencoder.sample(2, random_state=1))
    five = home / "digits" / "005.png"
    run("generate", "vary", tmp_path / "a.safetensors", five, "-n", 2, "--spread", 1e-6, "-o", tmp_path / "v")
    rebuilt = autoencoder.reconstruct(X[5:6])[0].astype(int)
    assert abs(read_image(tmp_path / "v" / "005-1.png").astype(int) - rebuilt).max() <= 1


def test_info_tells_of_generators(home: Path) -> None:
    said = flat(run("info", home / "c.safetensors").stdout)
    assert "generator images of 8 x 8 pixels, through codes of 4 numbers" in said
    assert "for rows with given (a label, one of 10)" in said
    assert "kind undercomplete" in said
    said = flat(run("info", home / "p.safetensors").stdout)
    assert "generator rows of 5 columns, cell by cell: each given those that the row has so far" in said
    assert "town category of 3 levels" in said
    assert "written by isthmus" in said


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sample d -n 0 -o s", "-n must be a whole number >= 1; got 0"),
        ("sample d -n 2 -o s.csv", "which fit no table: name a folder, for PNG files, or a .npy file"),
        ("sample d -n 2 -o s.png", "give a folder for the pictures, such as"),
        ("sample d -n 2 -o labels.txt", "is a file; give another name for a folder"),
        ("sample d -n 2 -o no/s.npy", "its folder does not exist"),
        ("sample d -n 2 -o s --given 3", "this model was fitted without"),
        ("sample d -n 2 -o s --known a=3", "draws rows through codes"),
        ("sample c -n 2 -o s", "say which, as in --given 0"),
        ("sample c -n 2 -o s --given 11", "--given: '11' was given to no row of the fit. Did you mean '1'?"),
        ("sample p -n 2 -o s", "draws rows of 5 columns, a table: name a file that ends in .csv"),
        ("sample p -n 2 -o s.png", "draws rows of 5 columns, a table: name a file that ends in .csv"),
        ("vary p people.csv -o s.JPG", "draws rows of 5 columns, a table: name a file that ends in .csv"),
        ("sample f -n 2 -o s.png", "of float64, which no PNG holds: name a .npy file"),
        ("sample p -n 2 -o s.npy", "column 'town' holds"),
        ("sample p -n 2 -o s.csv --given 3", "drawn cell by cell; sample draws rows around --known NAME=VALUE"),
        ("sample p -n 2 -o s.csv --known town=Rome", "--known: column 'town' is 'Rome', which no row of the fit was."),
        ("sample p -n 2 -o s.csv --known tonw=Rom", "--known: there is no column 'tonw'. Did you mean 'town'?"),
        ("sample p -n 2 -o s.csv --known age=old", "--known: column 'age' must be a number; got 'old'"),
        ("sample p -n 2 -o s.csv --known town", "--known: write NAME=VALUE"),
        ("sample gone -n 2 -o s", "does not exist"),
        ("vary d digits/001.png -o s --spread 0", "--spread must be above 0 and at most 1"),
        ("vary d digits/001.png -o s --spread -1", "--spread must be above 0 and at most 1"),
        ("vary d large.png -o s", "is 9 x 8 (width x height), grey, of 8 bits; the pictures of the fit were 8 x 8"),
        ("vary d gone.png -o s", "there is no file or folder"),
        ("vary d people.csv -o s", "is a table, but the model was fitted on images of 8 x 8 pixels"),
        ("vary p digits/001.png -o s.csv", "is a picture, but the model was fitted on rows of 5 columns"),
        ("vary f digits/001.png -o s.npy", "images of 8 x 8 pixels of float64, as arrays hold them"),
        ("vary p people.csv -o people.csv", "is what is read"),
        ("walk d digits/001.png digits/002.png -o s --steps 1", "--steps must be a whole number >= 2"),
        ("walk d digits/001.png digits/002.png -o s --path bent", "--path must be one of straight, spherical, density"),
        ("walk d digits digits/002.png -o s", "must hold one row to walk from or to; it holds 160"),
        ("walk p people.csv people.csv -o s.csv", "draws its table cell by cell, without codes to walk among"),
        ("fit people.csv -o s.safetensors --prior flow", "--prior: this table is drawn cell by cell"),
        ("fit people.csv -o s.safetensors --code-size 2", "--code-size: this table is drawn cell by cell"),
        ("fit people.csv -o s.safetensors --given town", "--given: this table is drawn cell by cell"),
        ("fit digits -o s.safetensors --prior flwo", "--prior: none is called 'flwo'. Did you mean 'flow'?"),
        ("fit digits -o s.safetensors --method vaee", "--method: no kind is called 'vaee'"),
        ("fit digits -o s.safetensors --autoencoder plain --epochs 2", "leave out --epochs"),
        ("fit digits -o s.safetensors --autoencoder p", "holds a Generator; isthmus fit writes an autoencoder"),
        ("fit digits -o s.npy", "must end in .safetensors"),
    ],
)  # fmt: skip
def test_mistakes(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str) -> None:
    def working(*_: object, **__: object) -> None:
        pytest.fail("the work was begun")

    if "which no row" not in said:  # that is told by the library, before it begins
        for verb in ("fit", "sample", "vary", "interpolate"):
            monkeypatch.setattr(Generator, verb, working)
    write_image(home / "large.png", np.zeros((8, 9), dtype=np.uint8))
    models = {path.stem: path for path in home.glob("*.safetensors")}
    parts = words.split()
    spoken = [models.get(p, p) if place in (1, len(parts) - 1) else p for place, p in enumerate(parts)]
    before = names(home)
    monkeypatch.chdir(home)
    assert said in flat(run("generate", *spoken, code=2).stderr)
    assert names(home) == before


def test_other_models_are_sent_to_their_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_generate, "load", lambda path: ist.AnomalyDetector())
    said = run("generate", "sample", "a.safetensors", "-o", "s.csv", code=2).stderr
    assert "holds an AnomalyDetector, which has its own command: isthmus anomalies score" in flat(said)


@pytest.mark.parametrize("words", ["encode {p} people.csv -o s.csv", "reconstruct {p} people.csv -o s.csv",
                                   "report {p} people.csv -o s.html"])  # fmt: skip
def test_generators_are_sent_to_theirs(home: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.chdir(home)
    said = run(*words.format(p="p.safetensors").split(), code=2).stderr
    assert "holds a Generator, which has its own commands: isthmus generate sample, vary and walk" in flat(said)


def test_rows_are_counted_in_words() -> None:
    form = Form("numpy", None, ("float32",), Layout((5,), ("step",)))
    assert (number_of(1, form), number_of(2, form)) == ("1 sequence of up to 5 steps", "2 sequences of up to 5 steps")
