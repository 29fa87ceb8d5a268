"""A `Compressor` beside other coders: figures by hand, bounds that are checked, and a page that shows it all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from test_cli import run
from test_compressor import blobs, people
from test_lossy_coding import drawn
from test_report import Reader

import isthmus as ist
from isthmus.coding.numbers import numbers_for
from isthmus.data import write_image
from isthmus.errors import InputError
from isthmus.estimators import compressor_judging_pictures, compressor_report_pictures, compressor_rivals
from isthmus.estimators.compressor_blocks import bits_of
from isthmus.estimators.compressor_errors import Piece, lost, lost_of
from isthmus.estimators.compressor_judging import Judged, JudgedRow, bounded_pieces, within_bounds
from isthmus.estimators.compressor_judging_pictures import (
    JudgedPictures,
    JudgedPicturesRow,
    Pictures,
    as_sheet,
    finest,
    psnr,
    within,
)
from isthmus.estimators.compressor_packing import times
from isthmus.estimators.compressor_report import rates
from isthmus.estimators.compressor_report_pictures import at_psnr, ratios_of, rivals_of
from isthmus.estimators.compressor_rivals import as_sheets, from_sheets, of_bytes
from isthmus.estimators.compressor_verdicts import Beside, kept_verdict, model_verdict, rate_verdict, size_verdict

pytest.importorskip("constriction")

QUICK = {"max_time": 0.3, "hidden": (4,), "random_state": 0}

WALK = np.cumsum(np.random.default_rng(0).normal(size=1500))


@pytest.fixture(scope="module")
def series() -> ist.Compressor:
    return ist.Compressor(max_error=0.25, **QUICK).fit(WALK)


@pytest.fixture(scope="module")
def table() -> ist.Compressor:
    frame = people(200)[["age", "height", "town"]].rename(columns={"height": "<height>"})
    return ist.Compressor(max_error={"<height>": 0.5}, **QUICK).fit(frame)


@pytest.fixture(scope="module")
def colour() -> ist.Compressor:
    return ist.Compressor(lossy=True, **QUICK).fit([drawn(16, 24, 3, seed) for seed in range(3)])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer qualities, for time."""
    monkeypatch.setattr(compressor_report_pictures, "RATES", {"JPEG": (5, 60, 95), "WebP": (10, 90), "AVIF": (10, 95)})
    monkeypatch.setattr(compressor_report_pictures, "BESIDE", (8,))


# ---------------------------------------------------------------------- what was lost


@pytest.mark.parametrize("moved", [0.0, 0.1, 0.25, 0.26])
def test_errors_are_those_of_plain_arithmetic(series, moved):
    again = WALK + moved
    found = lost(series.form_, WALK, again)
    assert found.error == np.abs(again - WALK).max()
    assert found.of_bound == pytest.approx(found.error / 0.25)
    assert found.kept == bool((np.abs(again - WALK) <= 0.25).all())


def test_nan_that_is_lost_is_told(series):
    x = np.where(np.arange(len(WALK)) % 7, WALK, np.nan)
    assert lost(series.form_, x, x).kept
    found = lost(series.form_, x, np.nan_to_num(x))
    assert found.error == np.inf
    assert not found.kept
    row = JudgedRow("SZ3", 10, 2.0, 1.0, 1.0, found.error, found.of_bound)
    assert not row.sound


def test_columns_without_a_bound_must_be_equal(table):
    frame = people(50)[["age", "height", "town"]].rename(columns={"height": "<height>"})
    assert lost(table.form_, frame, frame.copy()).kept
    near = frame.assign(**{"<height>": frame["<height>"] + 0.25})
    found = lost(table.form_, frame, near)
    assert found.kept
    assert found.of_bound == pytest.approx(0.5)
    assert not lost(table.form_, frame, near.assign(age=frame["age"] + 1)).kept
    assert not lost(table.form_, frame, near.assign(town="Rom")).kept
    assert not lost(table.form_, frame, near.iloc[:-1]).kept


def test_a_bound_that_is_a_part_of_each_value():
    x = np.array([1.0, -100.0, 0.0, np.inf])
    piece = Piece(None, x, numbers_for(np.geomspace(1, 100, 50) * np.pi, 0.01, "value"))
    found = lost_of(piece, x * np.array([1.005, 1.0, 1.0, 1.0]))
    assert found.of_bound == pytest.approx(0.5)
    assert found.kept
    assert not lost_of(piece, x * np.array([1.0, 1.02, 1.0, 1.0])).kept


# ---------------------------------------------------------------------- rivals


@pytest.mark.parametrize("name", ["lzma", "bz2", "zlib", "zstd"])
def test_coders_of_bytes_give_them_back(name):
    raw = bytes(1000) + b"isthmus"
    pack, unpack = of_bytes(len(raw))[name]
    assert unpack(pack(raw)) == raw
    assert len(pack(raw)) < 100


def test_sheets_hold_pictures_in_their_order():
    X = blobs(5)
    (sheet,) = from_sheets(as_sheets(X, "PNG"))
    assert (np.hstack(X) == sheet[:9, :35]).all()


def test_large_pictures_are_files_of_their_own():
    X = [drawn(64, 64, 1, seed)[..., 0] for seed in range(2)]
    assert len(as_sheets(np.stack(X), "PNG")) == 2
    small = [np.zeros((8, 8), np.uint8)] * 3
    files = Pictures.of([*X, *small]).files
    assert [len(group) for group in files] == [1, 1, 3]
    assert (files[1][0] == X[1]).all()
    every = within("JPEG", files[:2], 10**6)
    assert every is not None
    assert every.bytes == sum(len(as_sheet(group, "JPEG", quality=every.quality, optimize=True)) for group in files[:2])


def rounding(factor: float) -> Any:
    """A coder that rounds to a grid of so many bounds."""

    def made(max_error: float, like: np.ndarray) -> tuple[Any, ...]:
        step = 2 * factor * max_error

        def pack(x: np.ndarray) -> bytes:
            return np.rint(x / step).astype(np.int16).tobytes()

        def unpack(packed: bytes) -> np.ndarray:
            return np.frombuffer(packed[-2 * like.size :], np.int16).reshape(like.shape) * step

        return ((lambda x: bytes(100) + pack(x), unpack), (pack, unpack))

    return made


def test_coders_within_a_bound(series, monkeypatch):
    for package in ("pysz", "zfpy"):
        monkeypatch.setitem(__import__("sys").modules, package, None)
    every = bounded_pieces(series.form_, WALK)
    assert within_bounds(every, WALK.nbytes) == ([], ["SZ3 and ZFP: not compared; pip install pysz zfpy"])
    both = {"near": ("x", rounding(0.9)), "far": ("y", rounding(2.0))}
    monkeypatch.setattr("isthmus.estimators.compressor_judging.BOUNDED", both)
    (near, far), said = within_bounds(every, WALK.nbytes)
    assert said == []
    assert near.bytes == 2 * WALK.size  # the smaller of its two ways
    assert near.error == pytest.approx(0.9 * 0.25, rel=0.01)
    assert near.of_bound == near.error / 0.25
    assert near.sound
    assert not far.sound
    judged = series.judge(WALK)
    assert f"{100 * far.of_bound:.3g} % of the bound" in str(judged)
    assert judged.best.name == "near"


def test_only_floats_that_are_all_bounded_are_for_them(table):
    frame = people(20)[["age", "height", "town"]].rename(columns={"height": "<height>"})
    assert bounded_pieces(table.form_, frame) == []


@pytest.mark.parametrize("name", ["SZ3", "ZFP"])
@pytest.mark.parametrize("shape", [(4000,), (4, 4, 4, 4, 16)])
def test_sz3_and_zfp_keep_the_bound(name, shape):
    package, coders = compressor_rivals.BOUNDED[name]
    pytest.importorskip(package)
    x = np.cumsum(np.random.default_rng(1).normal(size=int(np.prod(shape)))).reshape(shape)
    for pack, unpack in coders(0.01, x):
        again = unpack(pack(x))
        assert again.shape == shape
        assert np.abs(again - x).max() <= 0.01 * (1 + 1e-9)


# ---------------------------------------------------------------------- words


def test_the_model_is_paid_for_where_both_totals_are_equal():
    found = Beside(raw=1000, own=300, best=400, name="lzma", model=500)
    assert found.own / found.raw * found.pays + found.model == pytest.approx(found.best / found.raw * found.pays)
    assert Beside(1000, 400, 400, "lzma", 500).pays == np.inf


@pytest.mark.parametrize(
    ("own", "best", "model", "size", "whole"),
    [
        (300, 400, 50, "good", "good"),
        (300, 400, 500, "good", "note"),
        (399, 400, 1, "note", "note"),
        (500, 400, 1, "bad", "bad"),
    ],
)
def test_verdicts_follow_from_the_figures(own, best, model, size, whole):
    found = Beside(1000, own, best, "lzma", model)
    assert size_verdict(found).level == size
    assert model_verdict(found).level == whole
    assert "lzma" in size_verdict(found).sentence


def test_a_broken_bound_is_told():
    assert "was kept: yes. The largest change of an element is 99.8 % of it" in kept_verdict(True, 0.9971).sentence
    assert kept_verdict(False, 1.01).level == "bad"
    assert kept_verdict(False, float("nan")).level == "bad"


def test_the_table_counts_the_model():
    judged = Judged((JudgedRow("this model", 100, 10.0, 1.0, 1.0), JudgedRow("lzma", 120, 8.3, 1.0, 1.0)), 1000, 50)
    lines = str(judged).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["this", "lzma", "with"]
    assert lines[3].split() == ["with", "the", "model", "150", "6.67"]
    assert judged.best.name == "lzma"


def curve(name: str, factor: float, psnrs: range) -> list[JudgedPicturesRow]:
    """Bytes that double every 6 dB."""
    return [JudgedPicturesRow(name, at, int(factor * 2 ** (at / 6) * 1e4), 1.0, at, 1.0, 1.0) for at in psnrs]


def test_rates_at_the_same_psnr():
    lines = {
        "this model": curve("this model", 1.0, range(24, 43, 3)),
        "JPEG": curve("JPEG", 2.0, range(20, 33, 4)),
        "AVIF": curve("AVIF", 0.8, range(30, 51, 5)),
        "WebP": curve("WebP", 1.0, range(50, 60, 3)),
    }
    found = ratios_of(lines)
    assert found == {"JPEG": pytest.approx(0.5, rel=1e-4), "AVIF": pytest.approx(1.25, rel=1e-4)}
    sizes = at_psnr(lines, 31.0)
    assert list(sizes) == ["AVIF", "JPEG"]
    assert sizes["JPEG"] == pytest.approx(2e4 * 2 ** (31 / 6), rel=1e-4)
    said = rate_verdict(found)
    assert said.level == "note"
    assert "50 % less than JPEG and 25 % more than AVIF" in said.sentence


def test_speeds_are_those_of_the_table():
    rows = [
        JudgedPicturesRow(name, at, 9, 1.0, 30.0 + at, at, at) for at in (15, 25) for name in ("this model", "JPEG")
    ]
    result = JudgedPictures(tuple(rows), 8, 8, 8)
    lines = {
        "this model": rows[::2],
        "JPEG": curve("JPEG", 1.0, range(50, 60)),
        "AVIF": curve("AVIF", 1.0, range(50, 60)),
    }
    found = rivals_of(result, lines, rows[0])
    assert found["JPEG"] is rows[1]
    assert found["AVIF"].psnr == 50


def test_colour_rivals_may_keep_the_resolution_of_colours():
    picture = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    picture[0, ::2, :, 0], picture[0, 1::2, :, 2] = 255, 255
    best = within("JPEG", [picture], 10**6)
    plain = finest("JPEG", [picture], 10**6, {"optimize": True})
    assert best is not None
    assert best.psnr > plain.psnr + 3
    assert within("JPEG", [picture], 10) is None


# ---------------------------------------------------------------------- the page


def read(path: Path) -> tuple[str, Reader]:
    """A page that needs nothing else."""
    text = path.read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org", "")
    return text, Reader(text)


def test_a_page_about_a_series_within_a_bound(series, tmp_path):
    text, page = read(series.report(WALK, tmp_path / "series.html"))
    assert page.headings == ["verdicts", "sizes", "curves", "coders", "speeds", "details"]
    assert "The bound was kept: yes" in text
    assert "up to 0.25 of an element" in text
    assert "The model is paid for" in text or "never paid for" in text


def test_rates_against_the_bound(series):
    x, y = rates(series, WALK, "an element").lines["this model"]
    assert x.tolist() == [0.25, 1.0, 4.0]
    assert y[1] == bits_of(series.form_, series.model_, WALK) / len(WALK)
    assert y[0] > y[1] + 1 > y[2] + 1.5  # with a quarter of the bound two bits more, if all is learnt


def test_a_page_about_a_table_names_its_bounds(table, tmp_path):
    frame = people(60, seed=1)[["age", "height", "town"]].rename(columns={"height": "<height>"})
    text, page = read(table.report(frame, tmp_path / "table.html"))
    assert page.headings[-2:] == ["bounds", "details"]
    assert "&lt;height&gt;" in text
    assert "<height>" not in text
    assert "up to a bound, in 1 of 3 columns" in text
    assert "Parquet with zstd" in text


def test_a_page_about_pictures_that_lose_nothing(tmp_path):
    compressor = ist.Compressor(**QUICK).fit(blobs(60))
    text, page = read(compressor.report(blobs(20, seed=1), tmp_path / "pictures.html"))
    assert page.headings == ["verdicts", "coders", "sizes", "speeds", "details"]
    assert "Every element came back to the bit." in text
    assert "20 images" in text


def test_a_page_about_colour_pictures_with_loss(colour, tmp_path, short):
    X = [drawn(16, 16, 3, 50), drawn(8, 24, 3, 51)]
    text, page = read(colour.report(X, tmp_path / "colour.html"))
    assert page.headings == ["verdicts", "sizes", "curves", "looks", "coders", "speeds", "details"]
    assert len(page.all("img")) == 6
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    for name in ("JPEG", "WebP", "AVIF", "this model, quality 15", "dB (PSNR)"):
        assert name in text


def test_pictures_judged_are_from_all_over_them(monkeypatch):
    monkeypatch.setattr(compressor_judging_pictures, "MOST", 4 * 16)
    X = np.arange(16, dtype=np.uint8)[:, None, None] + np.zeros((1, 4, 4), np.uint8)
    assert Pictures.of(X).given[:, 0, 0].tolist() == [0, 4, 8, 12]


def test_a_path_that_cannot_be_written_is_refused_first(series, tmp_path, monkeypatch):
    monkeypatch.setattr(type(series), "compress", lambda *_: pytest.fail("worked first"))
    with pytest.raises(InputError, match="its folder does not exist"):
        series.report(WALK, tmp_path / "none" / "page.html")
    with pytest.raises(NotFittedError):
        ist.Compressor().report(WALK, tmp_path / "page.html")


# ---------------------------------------------------------------------- the command line


def test_pack_tells_quality_and_psnr(colour, tmp_path):
    X = [drawn(16, 16, 3, 50), drawn(8, 24, 3, 51)]
    (tmp_path / "photos").mkdir()
    for place, picture in enumerate(X):
        write_image(tmp_path / "photos" / f"{place}.png", picture)
    file, packed = colour.save(tmp_path / "m.safetensors"), tmp_path / "x.isz"
    said = run("compress", "pack", file, tmp_path / "photos", "-o", packed, "--quality", 18).stdout
    reached = psnr([picture[None] for picture in X], [picture[None] for picture in colour.decompress(packed)])
    assert float(said.split("quality 18: ")[1].split()[0]) < 8 * packed.stat().st_size / (16 * 16 + 8 * 24)
    assert f"PSNR {reached:.1f} dB" in said
    assert "of 1 kB of pixels" in said


def test_judge_writes_a_report(series, tmp_path):
    np.save(tmp_path / "x.npy", WALK)
    file = series.save(tmp_path / "m.safetensors")
    said = run("compress", "judge", file, tmp_path / "x.npy", "--report", tmp_path / "page.html").stdout
    assert "with the model" in said
    assert "page.html: " in said
    assert "curves" in read(tmp_path / "page.html")[1].headings
    wrong = run("compress", "judge", file, tmp_path / "x.npy", "--report", tmp_path / "page.pdf", code=2)
    assert "must end in .html" in " ".join(wrong.stderr.split())


def test_unlike_pictures_are_told(colour):
    noise = np.random.default_rng(0).integers(0, 256, (1, 48, 48, 3)).astype(np.uint8)
    model = replace_verbose(colour)
    model.bits_per_element_ = 0.5
    with pytest.warns(ist.DataWarning, match=r"at the quality 25, and those of the fit 1\.50 at the quality 25"):
        model.compress(noise)
    assert times(100, 150) == "1.5 times larger"


def test_verbose_tells_what_was_packed(colour, capsys):
    loud = replace_verbose(colour)
    loud.compress([drawn(16, 16, 3, 50)], psnr=20)
    said = capsys.readouterr().out
    assert said.startswith("quality ")
    assert "bits a pixel, PSNR " in said


def replace_verbose(compressor: ist.Compressor) -> ist.Compressor:
    """The same, which tells."""
    loud = ist.Compressor(lossy=True, verbose=1)
    loud.__dict__ |= {name: value for name, value in compressor.__dict__.items() if name.endswith("_")}
    return loud


def test_a_file_is_judged_in_the_types_of_the_fit(tmp_path):
    lines = [f"{number % 7},w{number % 5}" for number in range(200)]
    model = ist.Compressor(max_time=0.3, hidden=(4,), random_state=0)
    (tmp_path / "fit.csv").write_text("\n".join(["number,word", *lines, ""]))
    other = "\n".join(["number,word", ",001", *(line.replace("w", "00") for line in lines), ""])
    (tmp_path / "other.csv").write_text(other)
    assert model.fit(tmp_path / "fit.csv").judge(tmp_path / "other.csv").raw_bytes == len(other)
