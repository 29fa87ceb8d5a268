"""`Compressor` and folders of pictures: every depth and every channel, and a word about what is left out."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image
from test_compressor import QUICK, blobs

import isthmus as ist
from isthmus.data import write_image
from isthmus.data.pictures import read_image
from isthmus.estimators.compressor_folders import pictures_below, pictures_of_any_size, pictures_of_one_size

pytest.importorskip("constriction")

NAMES = ("b.png", "c.png", "a/2.png", "a/deep/er/1.png", "a/deeper.png", "d/1.png")
LOSSY = {"lossy": True, "max_time": 0.2, "random_state": 0}


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def folder_of(path, names, pictures):
    for name, picture in zip(names, pictures, strict=True):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(path / name, picture)
    return path


@pytest.fixture(scope="module")
def model() -> ist.Compressor:
    return ist.Compressor("images", **{**QUICK, "block_rows": 2}).fit(blobs(60))


@pytest.fixture(scope="module")
def lossy() -> ist.Compressor:
    return ist.Compressor(**LOSSY).fit(noise(2, 16, 24, 3))


def test_every_depth_is_read(model, lossy, tmp_path):
    packed = model.pack(folder_of(tmp_path / "in", NAMES, blobs(6)), tmp_path / "x.isz")
    model.unpack(packed, tmp_path / "out")
    for folder, files in ((tmp_path / "in", pictures_below(tmp_path / "in")), (tmp_path / "out", None)):
        found = [file.relative_to(folder).as_posix() for file in files or pictures_below(folder)]
        assert found == ["b.png", "c.png", "a/2.png", "a/deeper.png", "a/deep/er/1.png", "d/1.png"]
    for name, picture in zip(NAMES, blobs(6), strict=True):
        assert (read_image(tmp_path / "out" / name) == picture).all()
    folder_of(tmp_path / "seen", NAMES, noise(6, 16, 24, 3))
    lossy.unpack(lossy.pack(tmp_path / "seen", tmp_path / "y.isz"), tmp_path / "again")
    assert pictures_of_any_size(tmp_path / "again")[1] == pictures_of_any_size(tmp_path / "seen")[1]


def test_a_circle_of_links_ends(tmp_path):
    folder_of(tmp_path / "in", ("a/1.png",), blobs(1))
    (tmp_path / "in" / "a" / "back").symlink_to(tmp_path / "in")
    assert [file.name for file in pictures_below(tmp_path / "in")] == ["1.png"]


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_comes_back(channels, tmp_path):
    pictures = noise(6, 9, 7, channels)
    clear = folder_of(tmp_path / "in", NAMES, pictures)
    model = ist.Compressor("images", **QUICK).fit(clear)
    model.unpack(model.pack(clear, tmp_path / "x.isz"), tmp_path / "out")
    for name, picture in zip(NAMES, pictures, strict=True):
        assert (read_image(tmp_path / "out" / name, "keep") == picture).all()


def test_some_with_transparency_and_some_without_are_refused(tmp_path):
    folder_of(tmp_path, ("a.png", "b.png"), (noise(9, 7, 3), noise(9, 7, 4)))
    with pytest.raises(ist.InputError, match=r"all have transparency, or none: .*b.png' is .*colour with transparency"):
        ist.Compressor(**QUICK).fit(tmp_path)


def test_with_loss_transparency_is_left_out_and_said(lossy, tmp_path):
    pictures = (noise(16, 24, 3), noise(16, 24, 4), noise(16, 24, 4))
    folder_of(tmp_path / "in", ("a.png", "b.png", "c.png"), pictures)
    with pytest.warns(ist.DataWarning, match=r"transparency of 2 pictures is left out: 'b.png', 'c.png'") as caught:
        packed = lossy.pack(tmp_path / "in", tmp_path / "x.isz")
    assert caught[0].filename == __file__
    assert lossy.decompress(packed).shape == (3, 16, 24, 3)
    write_image(tmp_path / "grey.png", noise(5, 4, 2))
    with pytest.warns(ist.DataWarning, match=r"transparency of 1 picture is left out"):
        assert (pictures_of_any_size(tmp_path / "grey.png")[0][0] == noise(5, 4, 2)[:, :, 0]).all()


@pytest.mark.parametrize("read", [pictures_of_one_size, pictures_of_any_size])
def test_other_files_are_told_once(read, tmp_path):
    folder_of(tmp_path, ("a.png", "b/1.png"), blobs(2))
    for unseen in ("Thumbs.db", ".DS_Store", "b/.hidden.png", "desktop.ini"):
        (tmp_path / unseen).write_bytes(b"?")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(tmp_path)[1] == ["a.png", "b/1.png"]
    Image.fromarray(blobs(1)[0]).save(tmp_path / "anim.gif")
    (tmp_path / "b" / "note.txt").write_text("a note")
    with pytest.warns(ist.DataWarning, match=r": 2 files left out, .*: 'anim.gif', 'b/note.txt'$") as caught:
        assert len(read(tmp_path)[0]) == 2
    assert len(caught) == 1


def test_pictures_that_are_replaced_are_told(model, lossy, tmp_path):
    packed = model.pack(folder_of(tmp_path / "in", NAMES, blobs(6)), tmp_path / "x.isz")
    (tmp_path / "out" / "a").mkdir(parents=True)
    write_image(tmp_path / "out" / "a" / "2.png", blobs(1)[0])
    write_image(tmp_path / "out" / "other.png", blobs(1)[0])
    with pytest.warns(ist.DataWarning, match=r"out': 1 picture of the same name replaced: 'a/2.png'") as caught:
        model.unpack(packed, tmp_path / "out")
    assert caught[0].filename == __file__
    assert (read_image(tmp_path / "out" / "a" / "2.png") == blobs(6)[2]).all()
    numbered = model.pack(blobs(2), tmp_path / "y.isz")
    model.unpack(numbered, tmp_path / "numbers")
    with pytest.warns(ist.DataWarning, match=r"2 pictures of the same name replaced: '000000.png', '000001.png'"):
        model.unpack(numbered, tmp_path / "numbers")


def test_shapes_in_errors_are_those_of_the_data(model, tmp_path):
    np.save(tmp_path / "x.npy", blobs(30)[:, :5])
    for X in (blobs(30)[:, :5], tmp_path / "x.npy"):
        with pytest.raises(ist.InputError, match=r"of the shape \(n, 9, 7\), as in the fit; got \(30, 5, 7\)"):
            model.compress(X)


def test_a_single_picture_is_told_how_to_be_given(model, lossy, tmp_path):
    np.save(tmp_path / "x.npy", blobs(1)[0])
    for X in (blobs(1)[0], tmp_path / "x.npy"):
        with pytest.raises(ist.InputError, match=r"got \(9, 7\), a single row of it. Give X\[None\]"):
            model.compress(X)
    for call in (lossy.compress, ist.Compressor(**LOSSY).fit):
        with pytest.raises(ist.InputError, match=r"got \(16, 24, 3\), a single picture. Give X\[None\]"):
            call(noise(16, 24, 3))
    assert lossy.decompress(lossy.compress(noise(16, 24, 3)[None])).shape == (1, 16, 24, 3)


def test_rows_that_are_none_are_told(model):
    packed = model.compress(blobs(8))
    for rows, said in ((slice(100, 200), "100:200"), (slice(8, None), "8:"), (slice(3, 3), "3:3")):
        with pytest.warns(ist.DataWarning, match=f"rows {said} hold none of the 8 rows there are") as caught:
            assert model.decompress(packed, rows=rows).shape == (0, 9, 7)
        assert caught[0].filename == __file__
    assert model.decompress(packed, rows=slice(7, 200)).shape == (1, 9, 7)
