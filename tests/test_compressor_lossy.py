"""`Compressor(lossy=True)`: pictures come back as they were decoded when packed, as good or as small as was asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from test_cli import run
from test_lossy_coding import drawn

import isthmus as ist
from isthmus.coding.lossy_training import fit_lossy
from isthmus.data import write_image
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.estimators import compressor_lossy, compressor_pictures
from isthmus.estimators.compressor_judging_pictures import as_sheet, from_sheet

pytest.importorskip("constriction")

STEPS = 120
QUICK = {"lossy": True, "max_time": 3, "hidden": (4,), "random_state": 0}


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Iterator[None]:
    """Let training end after so many steps, however busy the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compressor_lossy, "fit_lossy", partial(fit_lossy, steps=STEPS))
        yield


def grey(count: int, height: int = 40, width: int = 33, seed: int = 0) -> np.ndarray:
    return np.stack([drawn(height, width, 1, seed + place)[..., 0] for place in range(count)])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * float(np.log10(255**2 / max(np.square(a.astype(float) - b).mean(), 1e-9)))


@pytest.fixture(scope="module")
def model() -> ist.Compressor:
    return ist.Compressor(**QUICK).fit(grey(24))


@pytest.fixture(scope="module")
def colour() -> ist.Compressor:
    return ist.Compressor(**QUICK).fit([drawn(30, 20, 3, 0), drawn(24, 40, 3, 1)])


def test_pictures_come_back_small_and_near(model):
    X = grey(3, seed=50)
    packed = model.compress(X)
    again = model.decompress(packed)
    assert again.shape == X.shape
    assert again.dtype == np.uint8
    assert 33 < psnr(X, again) < 50
    assert len(packed) < 0.8 * X.nbytes
    out = model.model_.decoded(model.model_.code(X[2:3, ..., None], 25), 25)[0]
    assert (again[2] == out[:40, :33, 0]).all()
    assert model.said_[0] == "grey pictures of any size, with loss"
    assert 0 < model.bits_per_element_ < 8


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 90), (1, 41, 3), (0, 8, 8), (3, 0, 4), (1, 16, 16)])
def test_every_size_comes_back(model, shape):
    X = np.zeros(shape, np.uint8) if 0 in shape else grey(*shape)
    again = model.decompress(model.compress(X, quality=40))
    assert again.shape == shape
    assert X.size == 0 or psnr(X, again) > 35


def test_pictures_of_own_sizes_are_a_list(model, tmp_path):
    X = [grey(1, *size)[0] for size in ((9, 30), (1, 1), (24, 24))]
    packed = model.compress(X)
    again = model.decompress(packed)
    assert [picture.shape for picture in again] == [(9, 30), (1, 1), (24, 24)]
    assert min(map(psnr, X, again)) > 30
    (only,) = model.decompress(packed, rows=slice(2, 3))
    assert (only == again[2]).all()
    path = model.pack(X, tmp_path / "x.isz")
    assert path.read_bytes() == packed
    with pytest.raises(InputError, match="different sizes go into a folder"):
        model.unpack(path, tmp_path / "x.npy")
    model.unpack(path, tmp_path / "again")
    assert (np.asarray(Image.open(tmp_path / "again" / "000002.png")) == again[2]).all()


def test_colours(colour):
    X = np.stack([drawn(17, 30, 3, 9), drawn(17, 30, 3, 8)])
    again = colour.decompress(colour.compress(X, quality=35))
    assert again.shape == X.shape
    assert psnr(X, again) > 26
    with pytest.raises(InputError, match=r"must have 3 colours along a last axis, as in the fit; they have no axis"):
        colour.compress(X[..., 0])


def test_the_quality_is_kept(model):
    X = grey(1, 24, 17, seed=60)
    sizes = [len(model.compress(X, quality=quality)) for quality in (0, 20, 40, 50)]
    assert sizes == sorted(set(sizes))
    assert psnr(X, model.decompress(model.compress(X, quality=50))) > 50
    assert model.compress(X, quality=25) == model.compress(X)


@pytest.mark.parametrize("asked", [30.0, 37.5])
def test_an_asked_error_is_kept_and_little_more(model, asked):
    X = grey(2, 24, 24, seed=70)
    found = psnr(X, model.decompress(model.compress(X, psnr=asked)))
    assert asked <= found < asked + 1.5


@pytest.mark.parametrize("quality", [8, 30])
def test_asked_bits_are_kept(model, quality):
    X = grey(8, 24, 24, seed=70)
    here, next_up = (model.model_.bits(X, one) / X[..., None].size for one in (quality, quality + 1))
    assert model.compress(X, bits=(here + next_up) / 2) == model.compress(X, quality=quality)


def test_what_cannot_be_reached_is_told(model):
    X = grey(1, 9, 9)
    match = r"psnr=90 dB cannot be reached: these pictures take \d\d\.\d dB at most"
    with pytest.warns(DataWarning, match=match) as told:
        assert model.compress(X, psnr=90) == model.compress(X, quality=50)
    assert told[0].filename == __file__
    with pytest.warns(DataWarning, match="bits=0.0001 cannot be reached"):
        assert model.compress(X, bits=1e-4) == model.compress(X, quality=0)


def test_only_some_of_many_pictures_are_searched(model, monkeypatch):
    monkeypatch.setattr(compressor_lossy, "SEARCHED", 256)
    X = np.concatenate([grey(1, 16, 16), np.random.default_rng(0).integers(0, 256, (1, 16, 16), dtype=np.uint8)])
    assert model.compress(X, psnr=35.0) == model.compress(X, quality=model.model_.quality_for(X[:1], psnr=35.0))


def test_save_and_load_in_a_fresh_process_with_other_threads(model, tmp_path):
    X = grey(2, 30, 50, seed=80)
    model.save(tmp_path / "m.safetensors")
    model.pack(X, tmp_path / "x.isz", quality=30)
    loaded = ist.load(tmp_path / "m.safetensors")
    assert loaded.digest_ == model.digest_
    assert loaded.get_params() == {**model.get_params(), "hidden": loaded.hidden}
    assert loaded.compress(X, quality=30) == (tmp_path / "x.isz").read_bytes()
    code = "import isthmus as ist; ist.load('m.safetensors').unpack('x.isz', 'again.npy')"
    plain = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Nehalem"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **plain}, check=True)
    assert (np.load(tmp_path / "again.npy") == model.decompress(tmp_path / "x.isz")).all()


def test_a_file_that_holds_its_model_needs_no_other(model):
    X = grey(1, 8, 8)
    assert (
        ist.Compressor().decompress(model.compress(X, include_model=True)) == model.decompress(model.compress(X))
    ).all()
    with pytest.raises(FileFormatError, match="was compressed with the model"):
        ist.Compressor(**QUICK).fit(grey(2)).decompress(model.compress(X))


def test_every_altered_byte_is_told(model):
    packed = model.compress(grey(2, 12, 12), quality=20)
    for place in np.linspace(0, len(packed) - 1, 60).astype(int):
        altered = bytearray(packed)
        altered[place] ^= 0x10
        with pytest.raises(FileFormatError):
            model.decompress(bytes(altered))
    for length in (0, 5, 60, len(packed) - 1):
        with pytest.raises(FileFormatError):
            model.decompress(packed[:length])


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.zeros((2, 8, 8)), r"uint8 from 0 to 255; got float64. Convert floats from 0 to 1: \(X \* 255\)"),
        (np.zeros((2, 8, 8), np.uint16), r"got uint16. Convert 16 bits: \(X >> 8\)"),
        (np.zeros((2, 8, 8, 4), np.uint8), "Leave transparency out"),
        (np.zeros((8, 8), np.uint8), r"X must be of the shape \(n, height, width\)"),
        (pd.DataFrame({"a": [1]}), "X is a table, and lossy=True takes pictures"),
        ([], "X has no pictures"),
        ([np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.uint8)], "number 1 3 colours"),
        (np.zeros((0, 8, 8), np.uint8), "no pictures to learn from"),
    ],
)
def test_data_that_cannot_be_used(model, X, said):
    with pytest.raises(InputError, match=said):
        ist.Compressor(**QUICK).fit(X)
    if "learn" not in said:
        with pytest.raises(InputError):
            model.compress(X)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"max_error": 1}, "max_error: a bound for every element is kept where lossy=False"),
        ({"data": "table"}, "lossy=True takes pictures"),
        ({"epochs": 3}, "epochs"),
        ({"lossy": "yes"}, "lossy must be True or False"),
    ],
)
def test_knobs_that_cannot_be_used(knobs, said):
    with pytest.raises(InputError, match=said):
        ist.Compressor(**{**QUICK, **knobs}).fit(grey(1, 8, 8))


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ({"quality": 51}, "quality must be a whole number in 0..50"),
        ({"quality": 20, "bits": 1}, "not two of them"),
        ({"bits": 0}, "bits must be a number > 0"),
        ({"psnr": np.inf}, "psnr must be a number > 0"),
        ({"max_error": 1}, "max_error is for a Compressor with lossy=False"),
    ],
)
def test_asking_for_what_cannot_be(model, loss, said):
    with pytest.raises(InputError, match=said):
        model.compress(grey(1, 8, 8), **loss)


def test_without_loss_no_quality_is_asked(tmp_path):
    exact = ist.Compressor(max_time=0.2, hidden=(4,), random_state=0).fit(grey(4, 8, 8))
    with pytest.raises(InputError, match=r"are for Compressor\(lossy=True\)"):
        exact.compress(grey(4, 8, 8), quality=20)


def test_judge_beside_lossy_coders(model):
    X = grey(2, 16, 24, seed=90)
    judged = model.judge(X)
    own = {row.quality: row for row in judged.rows if row.name == "this model"}
    assert sorted(own) == [15, 25, 35]
    assert own[25].bytes == len(model.compress(X, quality=25))
    assert own[25].psnr == pytest.approx(psnr(X, model.decompress(model.compress(X, quality=25))))
    jpeg = [row for row in judged.rows if row.name == "JPEG"]
    assert jpeg
    assert all(min(row.bytes for row in own.values()) * 0.3 < row.bytes <= own[35].bytes for row in jpeg)
    assert "PSNR" in str(judged)


@pytest.mark.parametrize("shape", [(5, 8, 16), (3, 16, 8, 3), (1, 8, 8, 1)])
def test_sheets_hold_all_pictures(shape):
    X = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert (from_sheet(as_sheet(X, "PNG"), shape) == X).all()


def test_pictures_too_large_for_any_reader_are_refused(model, monkeypatch):
    packed = model.compress(grey(1, 16, 16))
    monkeypatch.setattr(compressor_pictures, "MOST_PIXELS", 255)
    with pytest.raises(InputError, match="at most; got 256"):
        model.compress(grey(1, 16, 16))
    with pytest.raises(FileFormatError, match="claims 1 pictures of 16 x 16"):
        model.decompress(packed)


def test_clone_keeps_what_was_said(model):
    assert clone(model).lossy is True


def test_the_command_line(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    for place, size in enumerate([(16, 24), (24, 16), (16, 16)]):
        write_image(tmp_path / "photos" / f"{place}.png", grey(1, *size, seed=place)[0])
    file = tmp_path / "m.safetensors"
    said = run("compress", "fit", tmp_path / "photos", "-o", file, "--lossy", "--max-time", 0.3, "--hidden", 4).stdout
    assert "grey pictures of any size, with loss" in " ".join(said.split())
    for asked in (["--quality", 20], ["--psnr", 34], ["--bits", 2.5]):
        run("compress", "pack", file, tmp_path / "photos", "-o", tmp_path / "x.isz", "-q", *asked)
    run("compress", "unpack", file, tmp_path / "x.isz", "-o", tmp_path / "back", "-q")
    with Image.open(tmp_path / "back" / "1.png") as image:
        assert image.size == (16, 24)
    run("compress", "pack", file, tmp_path / "photos" / "0.png", "-o", tmp_path / "y.isz", "-q")
    assert "JPEG" in run("compress", "judge", file, tmp_path / "photos" / "0.png").stdout
    bad = run("compress", "fit", tmp_path / "photos", "-o", file, "--lossy", "--max-error", 1, code=2)
    assert "--lossy takes quality" in " ".join((bad.stderr or bad.output).split())
