"""``isthmus compress``: data become small files, and small files data again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_cli import run
from test_compressor import blobs, people
from typer.testing import CliRunner

import isthmus as ist
from isthmus.cli import app
from isthmus.commands_lines import size_in_words
from isthmus.data import write_image
from isthmus.estimators.compressor_files import in_one_piece

pytest.importorskip("constriction")

QUICK = ["--max-time", 0.3, "--hidden", 4]


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, an array and pictures, and a model of each."""
    home = tmp_path_factory.mktemp("compress")
    people(200)[["age", "height", "town", "flag"]].to_csv(home / "people.csv", index=False)
    np.save(home / "series.npy", np.cumsum(np.random.default_rng(0).normal(size=2000)))
    (home / "pictures").mkdir()
    for place, picture in enumerate(blobs(30)):
        write_image(home / "pictures" / f"{place:02}.png", picture)
    said = run("compress", "fit", home / "people.csv", "-o", home / "people.safetensors", *QUICK).stdout
    (home / "said.txt").write_text(said)
    run(
        "compress", "fit", home / "series.npy", "-o", home / "series.safetensors", "--max-error", 0.01, "--relative",
        "--block-rows", 500, "--quiet", *QUICK,
    )  # fmt: skip
    run("compress", "fit", home / "pictures", "-o", home / "pictures.safetensors", "-q", *QUICK)
    return home


def test_fit_says_what_it_learnt(home):
    said = flat((home / "said.txt").read_text())
    assert "compressor of a table of 4 columns" in said
    assert "bits a cell of data like those of the fit" in said
    assert "loses nothing" in said
    assert "isthmus compress pack" in said
    assert "data.isz -o unpacked.csv" in said
    assert "learnt in" in said


def test_a_table_and_back(home, tmp_path):
    packed, again = tmp_path / "p.isz", tmp_path / "p.csv"
    said = run("compress", "pack", home / "people.safetensors", home / "people.csv", "-o", packed).stdout
    assert f"{packed}: " in said
    assert "times smaller" in said
    assert "bits a cell; data like those of the fit take" in said
    assert packed.stat().st_size < (home / "people.csv").stat().st_size / 3
    run("compress", "unpack", home / "people.safetensors", packed, "-o", again)
    assert again.read_text() == (home / "people.csv").read_text()
    run("compress", "unpack", home / "people.safetensors", packed, "-o", again, "--rows", "10:20", "-q")
    pd.testing.assert_frame_equal(
        pd.read_csv(again), pd.read_csv(home / "people.csv").iloc[10:20].reset_index(drop=True)
    )


def test_a_series_within_a_part_of_its_range(home, tmp_path):
    x = np.load(home / "series.npy")
    run("compress", "pack", home / "series.safetensors", home / "series.npy", "-o", tmp_path / "s.isz")
    said = run("compress", "unpack", home / "series.safetensors", tmp_path / "s.isz", "-o", tmp_path / "s.npy").stdout
    assert "16 kB" in said
    apart = np.abs(np.load(tmp_path / "s.npy") - x).max()
    assert 0 < apart <= 0.01 * (x.max() - x.min())
    run("compress", "pack", home / "series.safetensors", home / "series.npy", "-o", tmp_path / "t.isz",
        "--max-error", 2, "-q")  # fmt: skip
    run("compress", "unpack", home / "series.safetensors", tmp_path / "t.isz", "-o", tmp_path / "t.npy", "-q")
    assert apart < np.abs(np.load(tmp_path / "t.npy") - x).max() <= 2


def test_pictures_with_their_model_inside(home, tmp_path):
    packed = tmp_path / "p.isz"
    said = run(
        "compress", "pack", home / "pictures.safetensors", home / "pictures", "-o", packed, "--include-model"
    ).stdout
    assert "the model included" in said
    run("compress", "unpack", packed, "-o", tmp_path / "again")
    assert (ist.data.image_folder(tmp_path / "again").images == blobs(30)).all()
    run("compress", "unpack", packed, "-o", tmp_path / "again.npy", "-q")
    assert (np.load(tmp_path / "again.npy") == blobs(30)).all()


def test_judge_and_info(home):
    said = run("compress", "judge", home / "people.safetensors", home / "people.csv").stdout
    assert "Parquet with zstd" in said
    assert "this model" in said
    assert "  with the model" in said
    said = flat(run("info", home / "series.safetensors").stdout)
    assert "compressor of a series, float64" in said
    assert "loses at most" in said


def test_help_shows_examples():
    for verb in ("fit", "pack", "unpack", "judge"):
        assert f"isthmus compress {verb}" in run("compress", verb, "--help").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", "people.csv", "-o", "m.isz"], "the file must end in .safetensors"),
        (["fit", "people.csv", "-o", "m.safetensors", "--max-error", "much"], "--max-error must be a number such as"),
        (["fit", "people.csv", "-o", "m.safetensors", "--max-error", "-1"], "--max-error must be None or 0"),
        (["fit", "people.csv", "-o", "m.safetensors", "--max-error", "agee=1"], "Did you mean 'age'"),
        (["fit", "people.csv", "-o", "m.safetensors", "--relative"], "--relative needs a --max-error"),
        (["fit", "none.csv", "-o", "m.safetensors"], "there is no file or folder"),
        (["pack", "people.safetensors", "series.npy", "-o", "x.isz"], "'series.npy' must be a pandas frame"),
        (
            ["pack", "people.safetensors", "people.csv", "-o", "x.isz", "--bits", "1"],
            "fitted with --lossy; give --max-",
        ),
        (["pack", "people.safetensors", "people.csv", "-o", "x.zip"], "must end in .isz"),
        (["unpack", "people.safetensors", "people.csv", "-o", "x.csv"], "nothing that isthmus compressed"),
        (["unpack", "people.isz", "-o", "x.csv"], "does not hold its model: isthmus compress unpack"),
        (["unpack", "series.safetensors", "people.isz", "-o", "x.csv"], "was compressed with the model"),
        (["unpack", "people.safetensors", "people.isz", "-o", "x.npy"], "the data are a table"),
        (["unpack", "people.safetensors", "people.isz", "-o", "x.csv", "--rows", "5"], "--rows must be A:B"),
        (["unpack", "a", "b", "c", "-o", "x.csv"], "takes the model and one .isz file"),
    ],
)
def test_mistakes_are_told_in_a_line(home, words, said, monkeypatch):
    monkeypatch.chdir(home)
    if not Path("people.isz").exists():
        run("compress", "pack", "people.safetensors", "people.csv", "-o", "people.isz", "-q")
    assert said in flat(run("compress", *words, code=2).stderr)


def test_info_of_a_packed_file(home, tmp_path):
    packed = tmp_path / "s.isz"
    run("compress", "pack", home / "series.safetensors", home / "series.npy", "-o", packed, "--max-error", 2, "-q")
    said = flat(run("info", packed).stdout)
    assert "packed 2,000 rows in 4 blocks of" in said
    assert "loses up to 2 of a number" in said
    assert "its model not inside" in said
    assert ist.load(home / "series.safetensors").digest_ in said
    run("compress", "pack", home / "pictures.safetensors", home / "pictures", "-o", packed, "--include-model", "-q")
    said = flat(run("info", packed).stdout)
    assert "30 pictures, with names of files" in said
    assert "loses nothing" in said
    assert "its model inside" in said
    packed.write_bytes(packed.read_bytes()[:-9])
    assert "is truncated or was altered" in run("info", packed, code=2).stderr


def test_the_model_has_two_sizes(home):
    found = ist.load(home / "people.safetensors")
    said = flat((home / "said.txt").read_text())
    inside, own = len(in_one_piece(found)), (home / "people.safetensors").stat().st_size
    assert f"{size_in_words(inside)} inside a packed file, squeezed (its own file has {size_in_words(own)})" in said


@pytest.mark.parametrize("group", ["compress", "search"])
def test_a_group_alone_shows_its_help_and_no_more(group):
    found = CliRunner().invoke(app, [group], env={"COLUMNS": "80"}, prog_name="isthmus")
    assert found.exit_code == 2
    assert f"isthmus {group}" in found.stdout
    assert found.stderr == ""


def test_pictures_of_several_sizes_are_sent_to_lossy(tmp_path):
    for size in (4, 5):
        write_image(tmp_path / f"{size}.png", np.zeros((size, size), np.uint8))
    said = flat(run("compress", "fit", tmp_path, "-o", tmp_path / "m.safetensors", code=2).stderr)
    assert "--lossy takes pictures of any sizes" in said
    assert "ist." not in said


def test_other_commands_point_here(home):
    assert "isthmus compress" in flat(run("encode", home / "people.safetensors", home / "people.csv", "-o",
                                          home / "x.csv", code=2).stderr)  # fmt: skip
