"""The command line: what goes in and comes out, what is said, and what happens when a user is mistaken."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import isthmus as ist
from isthmus import cli
from isthmus.assignments import parsed
from isthmus.errors import MissingExtraError
from isthmus.estimators import settings as fitting
from isthmus.recipes import RECIPES
from isthmus.version import VERSION

COLUMNS = ["age", "height", "weight", "blood pressure", "pulse", "income"]
TINY = ["--epochs", "1", "--quiet"]
GROUP_AS_NUMBERS = ["--column", "group=numeric"]
PROGRAM = [sys.executable, "-W", "error", "-m", "isthmus.cli"]


def run(*words: object, code: int = 0):
    """Call the command line in this process; a mistake must end in one line and no traceback."""
    result = CliRunner().invoke(cli.app, [str(word) for word in words], env={"COLUMNS": "80"}, prog_name="isthmus")
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.split("\n") if line.startswith("isthmus: ")]
    assert len(lines) == (1 if code else 0), result.stderr
    if code:
        assert isinstance(result.exception, SystemExit)
        assert result.stderr.endswith(f"{lines[0]}\n")
    return result


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with one table in every format, images, and a model of each."""
    home = tmp_path_factory.mktemp("home")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 2)) @ draw.normal(size=(2, 6)) + 0.2 * draw.normal(size=(60, 6))
    frame = pd.DataFrame(x * [12, 9, 15, 20, 8, 900] + [40, 170, 70, 120, 65, 3000], columns=COLUMNS)
    frame.to_csv(home / "data.csv", index=False)
    frame.to_parquet(home / "data.parquet")
    frame.abs().round().astype(int).to_csv(home / "counts.csv", index=False)
    np.save(home / "data.npy", frame.to_numpy())
    labelled = frame.assign(group=np.where(x[:, 0] > 0, "high", "low"))
    labelled.to_csv(home / "labelled.csv", index=False)
    labelled.to_parquet(home / "labelled.parquet")
    (home / "groups.txt").write_text("\n".join(labelled["group"]) + "\n")
    np.save(home / "groups.npy", (x[:, 0] > 0).astype(int))
    (home / "images").mkdir()
    for i in range(20):
        Image.fromarray(draw.integers(0, 256, size=(5, 4)).astype(np.uint8)).save(home / "images" / f"{i:02d}.png")
    run("fit", home / "data.csv", "-o", home / "csv.safetensors", "--code-size", 2, *TINY)
    run("fit", home / "data.npy", "-o", home / "npy.safetensors", "--code-size", 2, *TINY)
    run("fit", home / "images", "-o", home / "images.safetensors", "--code-size", 3, *TINY)
    return home


# ---------------------------------------------------------------------- help and overview


def test_help_is_quick_and_loads_nothing_heavy():
    program = (
        "import sys, resource; sys.argv = ['isthmus', '--help']\n"
        "from isthmus.cli import main\n"
        "try: main()\n"
        "finally:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    heavy = [m for m in ('torch', 'numpy', 'pandas', 'sklearn', 'matplotlib') if m in sys.modules]\n"
        "    print('\\n', [used.ru_utime + used.ru_stime, heavy], sep='')\n"
    )
    seconds = []
    for _ in range(3):
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        assert "Usage: isthmus" in ran.stdout
        taken, heavy = json.loads(ran.stdout.strip().split("\n")[-1].replace("'", '"'))
        assert heavy == []
        seconds.append(taken)
    assert min(seconds) < 0.5


TASKS = ["denoise", "anomalies", "generate", "search", "recommend", "compress", "features"]
COMMANDS = ["fit", "encode", "reconstruct", "impute", "report", "export", "compare", "info", "methods", "demo"]


def test_help_lists_the_commands():
    said = run("--help").stdout
    assert re.findall(r"^│ (\w+) ", said, flags=re.MULTILINE) == [*COMMANDS, *TASKS]


def test_help_says_what_to_expect():
    flat = " ".join(run("demo", "--help").stdout.split())
    assert "about a minute, less on a quiet machine" in flat
    flat = " ".join(run("export", "--help").stdout.split())
    assert "clipped to the range of their type but not rounded" in flat


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_an_example(command):
    said = run(command, "--help").stdout
    assert f"Usage: isthmus {command}" in said
    assert re.search(rf"^ isthmus {command}", said, flags=re.MULTILINE)


def test_overview_names_three_commands_that_exist():
    said = run().stdout
    commands = re.findall(r"^  isthmus (\w+)", said, flags=re.MULTILINE)
    assert len(commands) == 3
    assert set(commands) <= set(COMMANDS)
    assert max(map(len, said.split("\n"))) <= 80


def test_version():
    assert run("--version").stdout == f"isthmus {VERSION}\n"


def test_methods_lists_every_kind_with_knobs_and_paper():
    said = run("methods").stdout
    flat = " ".join(said.split())
    for name, recipe in RECIPES.items():
        assert re.search(rf"^{name}( |$)", said, flags=re.MULTILINE)
        assert " ".join(recipe.summary.split()) in flat
        assert str(recipe.paper) in flat
        for knob, default in recipe.knobs.items():
            assert f"{knob}={default!r}" in flat
    assert max(map(len, said.split("\n"))) <= 80


# ---------------------------------------------------------------------- fit


def test_fit_says_how_good_it_is_and_what_comes_next(home, tmp_path):
    output = tmp_path / "model.safetensors"
    said = run("fit", home / "data.csv", "-o", output, "--epochs", 2, "--code-size", 2).stdout
    record = ist.load(output).record_
    assert f"held-out error  {record.held_out_error**0.5:.4g} root mean squared" in said
    assert f"PCA's           {record.pca_error**0.5:.4g} with 2 components" in said
    assert re.search(r"^verdict +On held-out rows ", said, flags=re.MULTILINE)
    assert str(output) in said.replace("\n" + " " * 16, " ")
    assert re.findall(r"^  isthmus (\w+)", said, flags=re.MULTILINE) == ["encode", "report", "compare"]


def next_commands(said: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in said.split("\n") if line.startswith("  isthmus ")]


def test_what_comes_next_can_be_copied(home, tmp_path, monkeypatch):
    """With a column and labels left out, a scaling, and names that a shell would split."""
    data = tmp_path / "my data.csv"
    frame = pd.read_csv(home / "labelled.csv").assign(**{"time stamp": [f"t{i}" for i in range(60)]})
    frame.to_csv(data, index=False)
    monkeypatch.chdir(tmp_path)
    left_out = ["--column", "time stamp=ignore"]
    words = [*left_out, "--labels", "group", "--scale", "unit", "--epochs", 1, "--code-size", 2]
    encode, report, compare = next_commands(run("fit", data, "-o", "m.safetensors", *words).stdout)
    assert compare == ["compare", str(data), "--scale", "unit", *left_out, "--labels", "group"]
    assert report == ["report", "m.safetensors", str(data), "-o", "report.html", "--labels", "group"]
    run(*encode)
    assert (tmp_path / "codes.csv").exists()
    run(*compare, "--code-sizes", "1", "--methods", "linear", *TINY)
    (fit,) = next_commands(run("info", data, *left_out, "--column", "group=ignore").stdout)
    assert fit[-4:] == [*left_out, "--column", "group=ignore"]


def test_a_file_written_over_is_told(home, tmp_path):
    model, codes, rebuilt, page = (tmp_path / name for name in ("m.safetensors", "c.csv", "r.npy", "r.html"))
    commands = [
        ["fit", home / "data.csv", "-o", model, "--epochs", 1, "--code-size", 2],
        ["encode", model, home / "data.csv", "-o", codes],
        ["reconstruct", model, home / "data.csv", "-o", rebuilt],
        ["report", model, home / "data.csv", "-o", page],
    ]
    for words in commands:
        assert "replaced" not in run(*words).stdout
        again = " ".join(run(*words).stdout.split())
        assert re.search(
            rf"{re.escape(str(words[words.index('-o') + 1]))}.*\(\d[\d.]* (bytes|kB|MB), replaced\)", again
        )


def test_quiet_says_nothing(home, tmp_path):
    result = run("fit", home / "data.csv", "-o", tmp_path / "m.safetensors", *TINY)
    assert result.output == ""


def test_fit_passes_every_setting_on(home, tmp_path):
    run(
        *("fit", home / "data.csv", "-o", tmp_path / "m.safetensors", "--method", "sparse", "--code-size", 9),
        *("--set", "weight=0.25", "--set", "activation=relu", "--set", "corruption=Mask(0.2)", "--network", "20,10"),
        *("--scale", "unit", "--column", "age=ignore", "--column", "pulse=standard", "--epochs", 3, "--batch-size", 7),
        *("--learning-rate", 0.01, "--validation-fraction", 0.2, "--max-time", 50, "--target", 0.001, "--seed", 4),
        *("--device", "cpu", "--checkpoint", tmp_path / "state", "--checkpoint-every", 5, "--quiet"),
    )
    model = ist.load(tmp_path / "m.safetensors")
    assert model.method == ist.recipes.sparse(weight=0.25, activation="relu")
    assert model.corruption == ist.Mask(0.2)
    assert model.network == ist.Dense(hidden=(20, 10), activation="relu", tied=True)
    wanted = {
        "code_size": 9, "scale": "unit", "columns": {"age": "ignore", "pulse": "standard"}, "epochs": 3,
        "batch_size": 7, "learning_rate": 0.01, "validation_fraction": 0.2, "max_time": 50.0, "target": 0.001,
        "random_state": 4, "device": "cpu", "checkpoint": str(tmp_path / "state"), "checkpoint_every": 5.0,
        "verbose": 0,
    }  # fmt: skip
    assert {name: getattr(model, name) for name in wanted} == wanted
    assert model.form_.names == tuple(COLUMNS[1:])
    assert model.record_.held_out_rows == 12


def test_fit_is_the_fit_of_the_library(home, tmp_path):
    model = ist.Autoencoder("undercomplete", code_size=2, epochs=1, random_state=0).fit(home / "data.csv")
    np.testing.assert_array_equal(
        ist.load(home / "csv.safetensors").transform(home / "data.csv"), model.transform(home / "data.csv")
    )


def test_resume_goes_on(home, tmp_path):
    words = ["fit", home / "data.csv", "-o", tmp_path / "m.safetensors", "--checkpoint", tmp_path / "state"]
    run(*words, "--epochs", 3, "--max-time", 1e-9, "--quiet")
    assert ist.load(tmp_path / "m.safetensors").record_.epochs == 1
    assert run(*words, "--epochs", 3, "--quiet", "--resume").stderr == ""
    assert ist.load(tmp_path / "m.safetensors").record_.epochs == 3
    other = run("fit", home / "labelled.csv", "--labels", "group", *words[2:], "--epochs", 4, "--resume", code=2)
    assert "belongs to another fit" in other.stderr
    assert "or leave out --resume" in other.stderr


def test_an_unfinished_fit_is_not_lost_silently(home, tmp_path):
    state = tmp_path / "state"
    words = ["fit", home / "data.csv", "-o", tmp_path / "m.safetensors", "--checkpoint", state, "--quiet"]
    assert run(*words, "--epochs", 3, "--max-time", 1e-9).stderr == ""
    note = f"note: {state} holds an unfinished fit; it is started afresh (use --resume to go on)\n"
    assert run(*words, "--epochs", 1).stderr == note
    assert run(*words, "--epochs", 1).stderr == ""  # that one was finished
    (state / "last.safetensors").write_bytes(b"damaged")
    assert run(*words, "--epochs", 1).stderr == ""


def test_notes_are_single_lines(tmp_path):
    frame = pd.DataFrame({"a": np.arange(30.0), "b": 1.0, "c": np.arange(30.0) ** 2})
    frame.to_csv(tmp_path / "data.csv", index=False)
    result = run("fit", tmp_path / "data.csv", "-o", tmp_path / "m.safetensors", *TINY, "--code-size", 4)
    lines = result.stderr.strip().split("\n")
    assert len(lines) == 2
    assert all(line.startswith("note: ") for line in lines)
    assert any("column 'b'" in line and "--column NAME=ignore" in line for line in lines)
    assert any("code_size=4 is wider" in line for line in lines)


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        ("labelled.csv", "group"),
        ("labelled.parquet", "group"),
        ("data.csv", "groups.txt"),
        ("data.npy", "groups.npy"),
    ],
)
def test_labels_are_left_out_and_reach_the_report(home, tmp_path, monkeypatch, data, labels):
    reached = {}

    def write_report(self, path, X, y=None, *, given=None):
        reached["y"] = y
        Path(path).write_text("<html>")

    monkeypatch.setattr(ist.Autoencoder, "report", write_report)
    labels = home / labels if "." in labels else labels
    words = ["--labels", labels, "--report", tmp_path / "r.html", *TINY]
    run("fit", home / data, "-o", tmp_path / "m.safetensors", *words)
    truth = np.load(home / "groups.npy")
    expected = truth if data == "data.npy" else np.where(truth == 1, "high", "low")
    assert list(reached["y"]) == list(expected)
    assert ist.load(tmp_path / "m.safetensors").n_features_in_ == 6
    reached.clear()
    run("report", tmp_path / "m.safetensors", home / data, "-o", tmp_path / "r2.html", "--labels", labels)
    assert list(reached["y"]) == list(expected)


# ---------------------------------------------------------------------- encode and reconstruct


def read(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        return np.load(path)
    return (pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)).to_numpy()


@pytest.mark.parametrize("source", ["data.csv", "data.parquet", "data.npy"])
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npy"])
def test_every_format_in_and_out(home, tmp_path, source, ending):
    model_file = home / ("npy.safetensors" if source == "data.npy" else "csv.safetensors")
    model = ist.load(model_file)
    codes, rebuilt = tmp_path / f"codes{ending}", tmp_path / f"rebuilt{ending}"
    said = run("encode", model_file, home / source, "-o", codes).stdout
    assert said.startswith(f"{codes}: 60 rows of 2 numbers (")
    np.testing.assert_allclose(read(codes), model.transform(home / source), rtol=1e-6)
    run("reconstruct", model_file, home / source, "-o", rebuilt)
    np.testing.assert_allclose(read(rebuilt), np.asarray(model.reconstruct(home / source)), rtol=1e-6)


def test_columns_and_index_are_kept(home, tmp_path):
    frame = pd.read_csv(home / "data.csv").set_index(pd.Index([f"person {i}" for i in range(60)]))
    frame.to_csv(tmp_path / "named.csv")
    run("reconstruct", home / "csv.safetensors", tmp_path / "named.csv", "-o", tmp_path / "r.csv")
    rebuilt = pd.read_csv(tmp_path / "r.csv", index_col=0)
    assert list(rebuilt.columns) == COLUMNS
    assert list(rebuilt.index) == list(frame.index)
    run("encode", home / "csv.safetensors", tmp_path / "named.csv", "-o", tmp_path / "c.parquet")
    codes = pd.read_parquet(tmp_path / "c.parquet")
    assert list(codes.columns) == ["code_0", "code_1"]
    assert list(codes.index) == list(frame.index)


def test_columns_that_came_since_may_be_left_out(home, tmp_path):
    words = ["encode", home / "csv.safetensors", home / "labelled.csv", "-o", tmp_path / "c.npy"]
    said = run(*words, code=2).stderr
    assert "--column group=ignore" in said
    run(*words, "--column", "group=ignore")
    np.testing.assert_array_equal(
        np.load(tmp_path / "c.npy"), ist.load(home / "csv.safetensors").transform(home / "data.csv")
    )


def test_images_in_and_out(home, tmp_path):
    model = ist.load(home / "images.safetensors")
    run("reconstruct", home / "images.safetensors", home / "images", "-o", tmp_path / "r.npy")
    rebuilt = np.load(tmp_path / "r.npy")
    assert rebuilt.dtype == np.uint8
    np.testing.assert_array_equal(rebuilt, model.reconstruct(home / "images"))
    run("encode", home / "images.safetensors", home / "images", "-o", tmp_path / "c.csv")
    np.testing.assert_allclose(read(tmp_path / "c.csv"), model.transform(home / "images"), rtol=1e-6)
    said = run("reconstruct", home / "images.safetensors", home / "images", "-o", tmp_path / "r.csv", code=2).stderr
    assert "images are written as .npy" in said


def test_truth_values_beside_numbers_become_plain_numbers_in_npy(tmp_path):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=30), "yes": draw.random(30) > 0.5, "c": draw.normal(size=30)})
    frame.to_parquet(tmp_path / "data.parquet")
    run("fit", tmp_path / "data.parquet", "-o", tmp_path / "m.safetensors", *TINY)
    run("reconstruct", tmp_path / "m.safetensors", tmp_path / "data.parquet", "-o", tmp_path / "r.npy")
    rebuilt = np.load(tmp_path / "r.npy")
    assert rebuilt.dtype == np.float64
    assert set(rebuilt[:, 1]) <= {0.0, 1.0}


# ---------------------------------------------------------------------- report, export, info, compare


def test_report_is_a_page(home, tmp_path):
    said = run("report", home / "csv.safetensors", home / "data.csv", "-o", tmp_path / "r.html").stdout
    assert said.startswith(str(tmp_path / "r.html"))
    page = (tmp_path / "r.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html")
    assert "blood pressure" in page


def test_export_writes_onnx(home, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    run("export", home / "npy.safetensors", "-o", tmp_path / "encoder.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx", providers=["CPUExecutionProvider"])
    rows = np.load(home / "data.npy").astype(np.float32)
    (codes,) = session.run(None, {"x": rows})
    np.testing.assert_allclose(codes, ist.load(home / "npy.safetensors").transform(rows), rtol=1e-3, atol=1e-4)
    assert "part must be one of" in run(
        "export", home / "npy.safetensors", "-o", tmp_path / "x.onnx", "--part", "lid", code=2
    ).stderr  # fmt: skip


def test_info_of_a_model(home):
    said = run("info", home / "csv.safetensors").stdout
    model, flat = ist.load(home / "csv.safetensors"), " ".join(said.split())
    record = model.record_
    knobs = ", ".join(f"{knob}={default!r}" for knob, default in RECIPES["undercomplete"].knobs.items())
    network = model.parts_.network.resolve(6, 2)
    for words in (
        f"kind undercomplete with {knobs}. {RECIPES['undercomplete'].summary}",
        f"dense 6-{'-'.join(map(str, network.hidden))}-2 and its mirror image, activation {network.activation}",
        "2 numbers per row for 6;",
        f"{record.train_rows} trained on, {record.held_out_rows} held out",
        "training finished 1 epoch",
        f"held-out error {record.held_out_error**0.5:.4g} root mean squared",
        f"PCA's {record.pca_error**0.5:.4g} with 2 components",
        "scaling 'standard': each column is brought to mean 0 and standard deviation 1, because",
        f"isthmus {VERSION}",
        model.data_digest_,
    ):
        assert words in flat, words
    frame = pd.read_csv(home / "data.csv")
    line = re.search(r"^  blood pressure +float64 (.*) standard$", said, flags=re.MULTILINE)
    centre, scale = model.scaling_.centre[3], model.scaling_.scale[3]
    assert line.group(1).split()[2:] == [f"{centre:.4g}", f"{scale:.4g}"]
    assert float(line.group(1).split()[0]) >= frame["blood pressure"].min() * 0.999
    assert max(map(len, said.split("\n"))) <= 80


def test_info_of_models_that_no_command_makes(home, tmp_path):
    rows = np.load(home / "data.npy")
    by_hand = ist.Autoencoder(ist.Parts(), loss=ist.Absolute(), epochs=1, random_state=0).fit(rows)
    by_hand.save(tmp_path / "hand.safetensors")
    said = " ".join(run("info", tmp_path / "hand.safetensors").stdout.split())
    assert said.startswith("kind parts joined by hand its own parts loss=Absolute() network dense 6-")
    ist.Autoencoder(random_state=0).partial_fit(rows).save(tmp_path / "part.safetensors")
    said = " ".join(run("info", tmp_path / "part.safetensors").stdout.split())
    assert "error unknown: the model was made by partial_fit" in said
    assert "data digest unknown" in said


def test_info_of_data_says_what_would_be_decided(home):
    said = run("info", home / "data.csv").stdout
    flat = " ".join(said.split())
    assert "60 rows, float64" in flat
    assert "54 rows, 6 held out; batches of 32" in flat
    assert re.search(r"dense 6-[\d-]+-2 and its mirror image", flat)
    assert "blood pressure" in said
    assert "images of 5 x 4, uint8" in run("info", home / "images").stdout


def test_info_shows_all_columns_when_asked(tmp_path):
    np.save(tmp_path / "wide.npy", np.random.default_rng(0).normal(size=(30, 25)) * np.logspace(0, 3, 25))
    said = run("info", tmp_path / "wide.npy").stdout
    assert "and 5 more: --all shows them" in said
    assert len(re.findall("float64 .* standard$", said, flags=re.MULTILINE)) == 20
    said = run("info", tmp_path / "wide.npy", "--all").stdout
    assert "--all" not in said
    assert len(re.findall("float64 .* standard$", said, flags=re.MULTILINE)) == 25


def test_compare_prints_pca_first(home):
    words = ["--methods", "linear,undercomplete", "--code-sizes", "1,2", "--labels", "group", *TINY]
    said = run("compare", home / "labelled.csv", *words).stdout
    kinds = re.findall(r"^(\w+) +([12]) +[\d.]+ +[\d.]+ +[\d.]+ s", said, flags=re.MULTILINE)
    names = ["PCA", "linear", "undercomplete"]
    assert kinds == [(name, size) for name in names for size in "12"]
    assert "The least error: " in said


# ---------------------------------------------------------------------- mistakes


MISTAKES = [
    (["fit", "{home}/nothing.csv", "-o", "{out}/m.safetensors"], "there is no file or folder"),
    (["encode", "{home}/csv.safetensors", "{home}/labelled.csv", "-o", "{out}/c.csv"], "--column group=ignore"),
    (["fit", "{bad}/broken.csv", "-o", "{out}/m.safetensors"], "line 3 has 3 values where 2 are expected"),
    (["fit", "{bad}/empty.csv", "-o", "{out}/m.safetensors"], "is empty"),
    (["fit", "{bad}/gaps.csv", "-o", "{out}/m.safetensors", "--column", "b=date"], "column 'b' of"),
    (["fit", "{bad}/mixed", "-o", "{out}/m.safetensors"], "images must all have one size"),
    (["fit", "{bad}/notes.docx", "-o", "{out}/m.safetensors"], "no kind of file that can be read"),
    (["fit", "{home}/data.csv"], "Missing option '-o'"),
    (["fit"], "Missing argument 'DATA'"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.pkl"], "-o: the file must end in .safetensors; got"),
    (["fit", "{home}/data.csv", "-o", "{out}/no/m.safetensors"], "its folder does not exist"),
    (["fit", "{home}/data.csv", "-o", "{home}/data.csv/m.safetensors"], "a part of the path is a file"),
    (["fit", "{home}/data.csv", "-o", "{bad}/folder.safetensors"], "that path is a folder"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--report", "{out}/r.pdf"], "--report: the file must end"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--report", "{out}/no/r.html"], "folder does not exist"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--method", "undercompleet"], "'undercomplete'"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--set", "beta=4"], "has no knob 'beta'"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--set", "activation"], "write KNOB=VALUE"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--set", "activation=3"], "it must be a word; got 3"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--set", "activation=gellu"], "must be one of identity"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--set", "corruption=0.3"], "one of BlindSpot, Gaussian"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--set", "corruption=Plain()"], "one of BlindSpot"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--set", "corruption=Mask(2)"], "fraction must be in"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--network", "ten,two"], "hidden must be whole numbers"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--column", "age"], "--column: write NAME=TYPE"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--column", "agee=ignore"], "Did you mean 'age'?"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--column", "age=text"], "'text' is no type. It must"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--labels", "grupp"], "neither a column"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--labels", "{bad}/two.txt"], "one value per row, 60"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--epochs", "0"], "epochs must be a whole number >= 1"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--epochs", "ten"], "Invalid value for '--epochs'"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--device", "abacus"], "device must be"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--scale", "huge"], "must be 'auto' or one of"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--resume"], "--checkpoint FOLDER"),
    (["fit", "{home}/data.csv", "-o", "{out}/m.safetensors", "--checkpoint", "{home}/data.csv"], "--checkpoint: "),
    (["encode", "{bad}/corrupt.safetensors", "{home}/data.csv", "-o", "{out}/c.csv"], "truncated or was altered"),
    (["encode", "{home}/data.csv", "{home}/data.csv", "-o", "{out}/c.csv"], "is not an isthmus model"),
    (["encode", "{bad}/none.safetensors", "{home}/data.csv", "-o", "{out}/c.csv"], "does not exist"),
    (["encode", "{home}/csv.safetensors", "{home}/data.csv", "-o", "{out}/c.xls"], "must end in .csv or .tsv"),
    (["encode", "{home}/csv.safetensors", "{home}/data.csv", "-o", "{home}/data.csv"], "is what is read"),
    (
        ["encode", "{home}/csv.safetensors", "{bad}/narrow.csv", "-o", "{out}/c.csv"],
        "Missing columns: blood pressure, income, pulse, weight.",
    ),
    (["encode", "{home}/csv.safetensors", "{bad}/other.csv", "-o", "{out}/c.csv"], "New columns: bmi, extra. Missing"),
    (["fit", "-", "-o", "{out}/m.safetensors"], "'-': reading from a pipe is not supported"),
    (["fit", "/dev/stdin", "-o", "{out}/m.safetensors"], "write them to a file first"),
    (["info", "{bad}/pipe"], "reading from a pipe is not supported"),
    (["fit", "{bad}/iris.data", "-o", "{out}/m.safetensors"], "the ending '.data' does not say"),
    (["info", "{bad}/named.txt"], "rename it to 'named.csv'"),
    (["info", "{bad}/bare"], "a name without an ending does not say"),
    (["fit", "{bad}/all.npz", "-o", "{out}/m.safetensors"], 'Save the one that is meant: python -c "import numpy; '),
    (["encode", "{home}/npy.safetensors", "{home}/images", "-o", "{out}/c.csv"], "expecting (6,)"),
    (["info", "{bad}/corrupt.safetensors"], "truncated or was altered"),
    (["info", "{home}/nothing.npy"], "there is no file or folder"),
    (["compare", "{home}/data.csv", "--methods", "linear,circular"], "no kind is called 'circular'"),
    (["compare", "{home}/data.csv", "--code-sizes", "two"], "--code-sizes: write whole numbers"),
    (["compare", "{home}/data.csv", "--methods", ","], "methods must name at least one kind"),
    (["demo", "--folder", "{home}/data.csv"], "--folder: "),
    (["fitt"], "No such command 'fitt'. Did you mean 'fit'? See: isthmus --help"),
    (["fit", "--speed", "9"], "No such option: --speed"),
]


@pytest.fixture(scope="module")
def bad(home, tmp_path_factory) -> Path:
    bad = tmp_path_factory.mktemp("bad")
    (bad / "broken.csv").write_text("a,b\n1,2\n1,2,3\n4,5\n")
    (bad / "empty.csv").write_text("")
    (bad / "gaps.csv").write_text("a,b\n" + "1,2\n3,4\n" * 6 + "5,\n")
    (bad / "narrow.csv").write_text("age,height\n1,2\n3,4\n")
    (bad / "other.csv").write_text(",".join(["bmi", "extra", *COLUMNS[1:]]) + "\n" + "1,2,3,4,5,6,7\n" * 3)
    (bad / "iris.data").write_text("5.1,3.5,1.4\n4.9,3.0,1.4\n")
    (bad / "named.txt").write_text("a b\n1 2\n3 4\n")
    (bad / "bare").write_text("1;2\n3;4\n")
    os.mkfifo(bad / "pipe")
    np.savez(bad / "all.npz", left=np.zeros((4, 2)), right=np.ones((4, 2)))
    (bad / "notes.docx").write_text("words")
    (bad / "two.txt").write_text("a\nb\n")
    (bad / "folder.safetensors").mkdir()
    (bad / "mixed").mkdir()
    for i, size in enumerate([(5, 4), (5, 5)]):
        Image.fromarray(np.zeros(size, dtype=np.uint8)).save(bad / "mixed" / f"{i}.png")
    whole = (home / "csv.safetensors").read_bytes()
    (bad / "corrupt.safetensors").write_bytes(whole[: len(whole) // 2])
    return bad


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=lambda value: value if isinstance(value, str) else "")
def test_mistakes(home, bad, tmp_path, words, message):
    result = run(*(word.format(home=home, bad=bad, out=tmp_path) for word in words), code=2)
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_that_takes_an_array_out_works(bad, tmp_path):
    said = run("info", bad / "all.npz", code=2).stderr
    command = said[said.index("python -c ") + len("python ") :].strip()
    subprocess.run([sys.executable, *shlex.split(command)], cwd=tmp_path, check=True, timeout=60)
    np.testing.assert_array_equal(np.load(tmp_path / "data.npy"), np.zeros((4, 2)))


def test_an_output_is_refused_before_anything_is_fitted(home, tmp_path, monkeypatch):
    monkeypatch.setattr(ist.Autoencoder, "fit", lambda *_, **__: pytest.fail("a fit began"))

    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    said = run("fit", home / "data.csv", "-o", tmp_path / "m.safetensors", code=2).stderr
    assert "the file system can only be read" in said


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ist.TrainingError("the cost is\nnot a number"), 1, "isthmus: the cost is not a number\n"),
        (MissingExtraError("onnx", "onnx", "ONNX export"), 1, "pip install 'isthmus[onnx]'"),
        (FileNotFoundError(errno.ENOENT, "No such file", "gone.csv"), 2, "isthmus: 'gone.csv': No such file\n"),
        (OSError(errno.EIO, "Input/output error", "disk.csv"), 1, "isthmus: 'disk.csv': Input/output error\n"),
        (MemoryError(), 1, "not enough memory"),
        (KeyboardInterrupt(), 130, "isthmus: interrupted. Nothing was written. With --checkpoint FOLDER"),
    ],
)
def test_exit_codes(home, tmp_path, monkeypatch, error, code, message):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ist.Autoencoder, "fit", fail)
    assert message in run("fit", home / "data.csv", "-o", tmp_path / "m.safetensors", code=code).stderr


@pytest.mark.parametrize("debug", [["--debug"], []])
def test_debug_shows_where(home, tmp_path, monkeypatch, debug):
    monkeypatch.setenv("ISTHMUS_DEBUG", "" if debug else "1")
    result = CliRunner().invoke(cli.app, ["info", str(home / "nothing.csv"), *debug])
    assert isinstance(result.exception, ist.InputError)
    monkeypatch.setenv("ISTHMUS_DEBUG", "0")
    assert isinstance(CliRunner().invoke(cli.app, ["info", str(home / "nothing.csv")]).exception, SystemExit)


# ---------------------------------------------------------------------- values behind --set


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("-0.5", -0.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("None", None),
        ("relu", "relu"),
        ("'relu'", "relu"),
        ("leaky-relu", "leaky-relu"),
        ("(2, 3)", (2, 3)),
        ("Mask", ist.Mask()),
        ("Mask(fraction=0.2)", ist.Mask(0.2)),
        ("Mask(Ramp(0, 0.5, epochs=3))", ist.Mask(ist.Ramp(0, 0.5, 3))),
        ("[L1(0.1), WeightDecay(1e-4)]", (ist.L1(0.1), ist.WeightDecay(1e-4))),
    ],
)
def test_values(text, value):
    got = parsed("--set", text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os').system('true')", "cannot be read"),
        ("exec('1')", "there is no part 'exec'"),
        ("Mask(__import__('os'))", "there is no part '__import__'"),
        ("Mask(0.2).fraction()", "cannot be read"),
        ("Mask(*[0.2])", "cannot be read"),
        ("Mask(**{'fraction': 0.2})", "cannot be read"),
        ("Mask(lambda: 0)", "cannot be read"),
        ("Mask([x for x in (1,)])", "cannot be read"),
        ("Mask(0.2", "cannot be read"),
        ("Mask(speed=3)", "Mask takes fraction"),
        ("Masc(0.2)", "Did you mean 'Mask'"),
        ("9" * 2000, "is too long"),
        ("(" * 500 + ")" * 500, "cannot be read"),
    ],
)
def test_values_that_are_refused(text, message):
    with pytest.raises(ist.InputError, match=re.escape(message)):
        parsed("--set", text)


# ---------------------------------------------------------------------- processes


def test_a_mistake_in_a_process_of_its_own(home, tmp_path):
    ran = subprocess.run(
        [*PROGRAM, "fit", str(home / "labelled.csv"), "-o", str(tmp_path / "m.safetensors"), *GROUP_AS_NUMBERS],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert re.fullmatch(r"isthmus: column 'group' of .* holds text.*\n", ran.stderr)


def test_a_reader_that_leaves_early_is_no_error():
    program = f"{' '.join(PROGRAM)} methods | true; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stderr == ""
    assert ran.returncode in (0, 1)


def test_ctrl_c_says_how_to_go_on(home, tmp_path):
    state = tmp_path / "state"
    words = ["fit", str(home / "data.csv"), "-o", str(tmp_path / "m.safetensors"), "--checkpoint", str(state)]
    words += ["--epochs", "100000", "--checkpoint-every", "0", "--validation-fraction", "0"]
    process = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (state / "last.safetensors").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert out == ""
    assert "Traceback" not in said
    last = said.strip().split("\n")[-1]
    assert last.startswith("isthmus: interrupted. Go on from the last checkpoint with: isthmus fit ")
    assert last.endswith(" --resume")
    assert not (tmp_path / "m.safetensors").exists()
    run(*last.split(" isthmus ", 1)[1].split(), "--max-time", "1e-9", "--quiet")
    assert ist.load(tmp_path / "m.safetensors").history_["epoch"]


# ---------------------------------------------------------------------- demo


def test_demo_in_short(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "epochs_for", lambda rows, batch_size: 2)
    said = run("demo", "--folder", tmp_path / "demo").stdout
    assert ist.load(tmp_path / "demo" / "model.safetensors").code_size_ == 8
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
    assert len(re.findall(r"^  row +\d+, labelled \d   \d\.\d\d$", said, flags=re.MULTILINE)) == 5
    assert "by denoising" in said
    assert "█" in said
    lines = said.replace(str(tmp_path), "").split("\n")
    assert max(map(len, lines)) <= 80
    commands = re.findall(r"^  isthmus (\w+)", said, flags=re.MULTILINE)
    assert commands == ["info", "fit", "compare"]
    assert said.rstrip().endswith("isthmus compare DATA")


def test_pictures_in_a_terminal_without_blocks(monkeypatch, capsys):
    from isthmus import demo

    class Ascii:
        encoding = "ascii"

        def write(self, text: str) -> int:
            text.encode("ascii")
            self.text = getattr(self, "text", "") + text
            return len(text)

    stream = Ascii()
    monkeypatch.setattr(sys, "stdout", stream)
    demo.draw([("a", np.arange(64).reshape(8, 8) / 63 * 16), ("b", np.full((8, 8), 99.0))])
    lines = stream.text.split("\n")
    assert lines[1] == "  a" + " " * 19 + "b"
    assert lines[2] == " " * 22 + "#" * 16
    assert lines[6] == "  " + ":" * 16 + "    " + "#" * 16
    assert lines[9] == "  " + "#" * 16 + "    " + "#" * 16


@pytest.mark.slow
def test_demo_is_quick_and_small(tmp_path):
    program = (
        "import resource, sys; sys.argv = ['isthmus', 'demo']\n"
        "from isthmus.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert time.monotonic() - began < 60
    assert int(ran.stdout.split()[-1]) < 1_000_000
    found = re.search(r"error on held-out digits +(\S+) grey levels, PCA of the same size (\S+)", ran.stdout)
    assert float(found.group(1)) < 0.8 * float(found.group(2))
    before, after = re.findall(r"(\S+) grey levels off \(PSNR", ran.stdout)[-2:]
    assert float(after) < 0.6 * float(before)


@pytest.mark.parametrize("method", RECIPES)
def test_every_kind_is_fitted_by_its_name(home, tmp_path, method):
    short = ["--set", "layer-epochs=1"] if "layer_epochs" in RECIPES[method].knobs else []
    labels = ["--labels", home / "groups.txt"] if method == "semi_supervised" else []
    data = home / ("counts.csv" if getattr(ist.Kind(method).parts().loss, "support", "") == "count" else "data.csv")
    words = ["--method", method.replace("_", "-"), *short, *labels, *TINY, "--given", "age"]
    run("fit", data, "-o", tmp_path / "m.safetensors", *words)
    assert method in run("info", tmp_path / "m.safetensors").stdout
    run("encode", tmp_path / "m.safetensors", data, "-o", tmp_path / "codes.csv", "--given", "age")
    model = ist.load(tmp_path / "m.safetensors")
    assert model.n_features_in_ == 5
    assert model.conditions_ is not None


def test_info_tells_classes(home, tmp_path):
    model = tmp_path / "m.safetensors"
    words = ["--method", "semi-supervised", "--labels", home / "groups.txt", *TINY]
    run("fit", home / "data.csv", "-o", model, *words)
    told = run("info", model).stdout
    assert "'high', 'low'; the first 2 numbers of a code are how probable they are" in " ".join(told.split())


def test_given_is_needed_and_named_by_its_option(home, tmp_path):
    model = tmp_path / "m.safetensors"
    run("fit", home / "labelled.csv", "-o", model, *TINY, "--given", "group", "--report", tmp_path / "r.html")
    forgotten = run("encode", model, home / "data.csv", "-o", tmp_path / "codes.csv", code=2)
    assert "fitted on rows with given (a label, one of 2); give the same for these rows with --given COLUMN|FILE" in (
        " ".join(forgotten.stderr.split())
    )
    run("reconstruct", model, home / "data.csv", "-o", tmp_path / "back.csv", "--given", home / "groups.txt")
    unknown = run("encode", model, home / "data.csv", "-o", tmp_path / "codes.csv", "--given", "grop", code=2)
    assert "--given: 'grop' is neither a column" in " ".join(unknown.stderr.split())


def test_info_tells_of_a_denoiser(tmp_path):
    X = ist.data.digits()[0][:200]
    path = ist.Denoiser(level=4.0, epochs=3, random_state=0).fit(X).save(tmp_path / "d.safetensors")
    said = " ".join(run("info", path).stdout.split())
    assert "of height-width data, noise 'gaussian', level 4.0" in said
    assert "any size" in said
