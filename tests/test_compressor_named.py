"""`Compressor` and the names of pictures' files: they come back, and none leads out of the folder."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from test_compressor import QUICK, blobs

import isthmus as ist
from isthmus.coding.container import BlockReader, BlockWriter
from isthmus.data import write_image
from isthmus.data.images import image_folder
from isthmus.data.pictures import read_image
from isthmus.estimators import compressor_named
from isthmus.estimators.compressor_levels import packed_texts
from isthmus.estimators.compressor_named import Folder, apart, borne, packed_files, unpacked_files

pytest.importorskip("constriction")

NAMES = ("9.png", "b c.png", "cats/é.png", "dogs/1.bmp", "dogs/1.png")


@pytest.fixture(scope="module")
def pictures() -> ist.Compressor:
    return ist.Compressor("images", **{**QUICK, "block_rows": 2}).fit(blobs(60))


def folder_of(path, names=NAMES):
    """A folder of pictures of these names."""
    for place, (name, picture) in enumerate(zip(names, blobs(len(names)), strict=True)):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(path / name, picture if place else np.minimum(picture, 200))
    return path


def names_below(path):
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def test_names_come_back_whole_and_in_part(pictures, tmp_path):
    packed = pictures.pack(folder_of(tmp_path / "in"), tmp_path / "x.isz")
    pictures.unpack(packed, tmp_path / "out")
    assert names_below(tmp_path / "out") == sorted(NAMES)
    for name in NAMES:
        assert (read_image(tmp_path / "out" / name) == read_image(tmp_path / "in" / name)).all()
    pictures.unpack(packed, tmp_path / "some", rows=slice(1, 4))
    assert names_below(tmp_path / "some") == sorted(image_folder(tmp_path / "in").files[1:4])
    assert np.array_equal(pictures.decompress(packed), image_folder(tmp_path / "in").images)


def test_pictures_of_any_size_keep_their_names_with_loss(tmp_path):
    draw = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number, size in enumerate((24, 33)):
        write_image(tmp_path / "in" / f"n{number}.jpg", draw.integers(0, 255, (size, 24), dtype=np.uint8))
    model = ist.Compressor(lossy=True, max_time=0.2, random_state=0).fit(tmp_path / "in")
    model.unpack(model.pack(tmp_path / "in", tmp_path / "x.isz"), tmp_path / "out")
    # A JPEG would lose once more.
    assert names_below(tmp_path / "out") == ["n0.png", "n1.png"]
    assert read_image(tmp_path / "out" / "n1.png").shape == (33, 24)


def test_arrays_have_no_names(pictures, tmp_path):
    pictures.unpack(pictures.pack(blobs(3), tmp_path / "x.isz"), tmp_path / "out")
    assert names_below(tmp_path / "out") == ["000000.png", "000001.png", "000002.png"]


def test_endings_that_lose_become_png_and_stay_apart(tmp_path):
    write = Folder(tmp_path / "out", ("a.jpg", "a.png", "b.webp", "c.tif")).add
    write(blobs(4))
    assert names_below(tmp_path / "out") == ["a.jpg.png", "a.png", "b.png", "c.tif"]
    assert (read_image(tmp_path / "out" / "a.jpg.png") == blobs(4)[0]).all()


@pytest.mark.parametrize(
    "name",
    ["../a.png", "a/../../b.png", "/a.png", "c:a.png", "a\\b.png", "a//b.png", "./a.png", "", "a\0.png", "a\n.png",
     "..", "con.png", "a./b.png", "a" * 300 + ".png", "dir/"],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(name, pictures, tmp_path):
    text = base64.b64encode(packed_texts(["a.png", name])).decode()
    with pytest.raises(ist.FileFormatError, match="may lead out of the folder"):
        unpacked_files(text, "x")
    packed = tmp_path / "x.isz"
    with open(pictures.pack(blobs(2), tmp_path / "sound.isz"), "rb") as sound, open(packed, "wb") as file:
        reader = BlockReader(sound)
        writer = BlockWriter(file, {**reader.about, "files": text})
        for block in reader:
            writer.add(block)
        writer.end()
    with pytest.raises(ist.FileFormatError, match="may lead out of the folder"):
        pictures.unpack(packed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_odd_letters_are_changed_and_names_stay_apart():
    names = ["what?.png", "what_.png", "a\\b.png", "con.png", "né.png", "x \udcff.png"]
    assert unpacked_files(packed_files(names), "x") == (
        "what_.png", "what_-2.png", "a_b.png", "_con.png", "né.png", "x _.png",
    )  # fmt: skip
    assert apart(["a.png", "a.png", "a-2.png"]) == ["a.png", "a-3.png", "a-2.png"]
    assert all(borne(borne(name)) == borne(name) for name in names)


def test_two_of_one_name_and_too_few_names_are_told(pictures, tmp_path):
    with pytest.raises(ist.FileFormatError, match="one name"):
        unpacked_files(base64.b64encode(packed_texts(["a.png", "a.png"])).decode(), "x")
    with pytest.raises(ist.FileFormatError, match="names of its pictures cannot be read"):
        unpacked_files("no base64!", "x")
    with pytest.raises(ist.FileFormatError, match="more pictures than the 1 names"):
        Folder(tmp_path, ("a.png",)).add(blobs(2))


def test_a_link_in_the_folder_is_not_followed_out_of_it(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ist.InputError, match="leads out of the folder"):
        Folder(tmp_path / "out", ("sub/a.png",)).add(blobs(1))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_too_many_names_for_a_header_are_told_and_left_out(monkeypatch):
    monkeypatch.setattr(compressor_named, "ROOM", 1000)
    draw = np.random.default_rng(0)
    with pytest.warns(ist.DataWarning, match=r"names of 90 pictures take more room"):
        assert packed_files([f"{draw.bytes(16).hex()}.png" for _ in range(90)]) is None
