"""Images of every depth and format, video and sound: what is read, written and refused."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.io import wavfile

import isthmus as ist
from isthmus.data import Windows, frames, image_folder, read_image, read_images_of_any_size, sound, video, write_image
from isthmus.data.pictures import FORMATS, HELD

RANDOM = np.random.default_rng(0)


def refused(call: Any, *words: str) -> None:
    with pytest.raises(ist.InputError) as caught:
        call()
    for word in words:
        assert word in str(caught.value), str(caught.value)


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


# Single pictures.

LOSSLESS = [
    (ending, deep, channels)
    for ending in (".png", ".tif", ".tiff", ".bmp", ".webp")
    for deep in (0, 1)
    for channels in HELD[FORMATS[ending]][deep]
    if (ending, channels) != (".webp", 1)
]


@pytest.mark.parametrize(("ending", "deep", "channels"), LOSSLESS)
def test_what_is_written_is_read_again(ending: str, deep: int, channels: int, tmp_path: Path) -> None:
    image = noise(5, 7, channels, dtype=(np.uint8, np.uint16)[deep])
    read = read_image(write_image(tmp_path / f"a{ending}", image), alpha="keep")
    assert read.dtype == image.dtype
    np.testing.assert_array_equal(read.reshape(5, 7, channels), image)
    assert [file.name for file in tmp_path.iterdir()] == [f"a{ending}"]
    kept = channels - (channels + 1) % 2
    np.testing.assert_array_equal(read_image(tmp_path / f"a{ending}").reshape(5, 7, kept), image[:, :, :kept])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("ending", "deep", "channels"),
    [
        (".png", 0, 1),
        (".png", 0, 3),
        (".png", 1, 3),
        (".png", 1, 1),
        (".webp", 0, 4),
        (".tif", 0, 1),
        (".tif", 0, 3),
        (".tif", 1, 1),
    ],
)
def test_pictures_stand_upright(ending: str, deep: int, channels: int, orientation: int, tmp_path: Path) -> None:
    image = noise(5, 7, channels, dtype=(np.uint8, np.uint16)[deep])
    lying = write_image(tmp_path / f"a{ending}", image)
    exif = Image.Exif()
    exif[274] = orientation
    if deep and channels > 1:  # Pillow has no such pictures: the notes go before the pixels, as a chunk of the file
        whole, body = lying.read_bytes(), b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        lying.write_bytes(whole[:33] + chunk + whole[33:])
    else:
        with Image.open(lying) as opened:
            opened.load()
            opened.save(lying, exif=exif, **({"lossless": True, "exact": True} if ending == ".webp" else {}))
    mirrored = image[:, ::-1]
    expected = {
        1: image, 2: mirrored, 3: np.rot90(image, 2), 4: image[::-1], 5: np.rot90(mirrored), 6: np.rot90(image, -1),
        7: np.rot90(mirrored, -1), 8: np.rot90(image),
    }[orientation]  # fmt: skip
    found = read_image(lying, alpha="keep")
    np.testing.assert_array_equal(found.reshape(*found.shape[:2], channels), expected)


def test_photographs_stand_as_pillow_has_them(tmp_path: Path) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(noise(16, 24, 3)).save(tmp_path / "a.jpg", exif=exif)
        with Image.open(tmp_path / "a.jpg") as opened:
            np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), np.asarray(ImageOps.exif_transpose(opened)))


def test_damaged_notes_do_not_hide_a_picture(tmp_path: Path) -> None:
    image = noise(5, 7, 3)
    for notes in (b"", b"Exif\0\0", b"Exif\0\0nothing at all", b"nothing", b"MM\0*"):
        Image.fromarray(image).save(tmp_path / "a.png", exif=notes)
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def test_jpeg_is_close(tmp_path: Path) -> None:
    image = np.full((16, 16, 3), 90, dtype=np.uint8)
    assert np.abs(read_image(write_image(tmp_path / "a.jpg", image)).astype(int) - image).max() <= 2


def test_pictures_that_cannot_be_written(tmp_path: Path) -> None:
    deep = noise(2, 2, dtype=np.uint16)
    refused(lambda: write_image(tmp_path / "a.jpg", deep), "JPEG holds no picture of 1 channel of 16 bits", ".png")
    refused(lambda: write_image(tmp_path / "a.gif", deep), "must end in one of .png")
    refused(lambda: write_image(tmp_path / "a.png", deep / 2.0), "float64", "astype('uint8')")
    refused(lambda: write_image(tmp_path / "a.png", noise(2, 2, 5)), "5 channels")
    refused(lambda: write_image(tmp_path / "a.png", np.zeros((0, 2), dtype=np.uint8)), "(0, 2)")
    refused(lambda: write_image(tmp_path / "no" / "a.png", deep), "its folder does not exist")
    assert not list(tmp_path.iterdir())


def test_modes_that_pillow_knows(tmp_path: Path) -> None:
    for mode, shape in [("1", (3, 4)), ("P", (3, 4, 3)), ("CMYK", (3, 4, 3)), ("LA", (3, 4)), ("I", (3, 4))]:
        Image.new(mode, (4, 3)).save(tmp_path / "a.tif")
        assert read_image(tmp_path / "a.tif").shape == shape, mode
    clear = Image.new("P", (4, 3))
    clear.save(tmp_path / "clear.png", transparency=bytes([0, 255]))
    assert read_image(tmp_path / "clear.png").shape == (3, 4, 3)
    assert read_image(tmp_path / "clear.png", alpha="keep")[:, :, 3].max() == 0
    Image.new("F", (4, 3)).save(tmp_path / "f.tif")
    refused(lambda: read_image(tmp_path / "f.tif"), "f.tif", "mode 'F'", "8 or 16 bits")
    Image.fromarray(np.full((2, 2), 70_000, dtype=np.int32)).save(tmp_path / "i.tif")
    refused(lambda: read_image(tmp_path / "i.tif"), "mode 'I'")


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def test_an_image_without_pixels_is_refused(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 0, 3, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\0\0")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    refused(lambda: read_image(tmp_path / "a.png"), "a.png")
    refused(lambda: ist.data.open_source(np.zeros((2, 0, 3))), "0 feature(s)")


# Folders.


def test_folders_of_classes(tmp_path: Path) -> None:
    for name in ("dog/b.png", "cat/a.png", "cat/c.TIF"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / name, np.full((4, 5), len(name), dtype=np.uint16))
    read = image_folder(tmp_path)
    assert read.files == ("cat/a.png", "cat/c.TIF", "dog/b.png")
    assert read.labels.tolist() == ["cat", "cat", "dog"]
    assert read.classes == ("cat", "dog")
    assert (read.images.shape, read.images.dtype, read.rows) == ((3, 4, 5), np.uint16, 3)
    assert image_folder(tmp_path / "cat").labels is None


def test_size_and_mode(tmp_path: Path) -> None:
    image = noise(20, 30, 3)
    write_image(tmp_path / "a.png", image)
    write_image(tmp_path / "b.png", image[:, :, 0])
    refused(lambda: image_folder(tmp_path), "a.png' is 30 x 20", "colour", "b.png' is 30 x 20", "grey", "mode=")
    grey = image_folder(tmp_path, mode="grey").images
    np.testing.assert_array_equal(grey[0], np.asarray(Image.fromarray(image).convert("L")))
    colour = image_folder(tmp_path, mode="colour").images
    np.testing.assert_array_equal(colour[1], np.repeat(image[:, :, :1], 3, axis=2))
    deep = np.full((20, 30), 40_000, dtype=np.uint16)
    deep[:, :5] = deep[:, 25:] = 0  # what juts out of the square
    (tmp_path / "deep").mkdir()
    write_image(tmp_path / "deep" / "a.png", deep)
    fitted = image_folder(tmp_path / "deep", size=10).images
    assert (fitted.shape, fitted.dtype) == ((1, 10, 10), np.uint16)
    assert np.median(fitted) == 40_000
    for size in (0, 2.5, (1, 2, 3), "big"):
        refused(lambda size=size: image_folder(tmp_path, size=size), "size must be a whole number")
    refused(lambda: image_folder(tmp_path, mode="sepia"), "mode must be")
    refused(lambda: image_folder(tmp_path, alpha="maybe"), "alpha must be")


def test_files_that_are_no_such_images_are_named_or_left_out(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / f"{name}.png", noise(4, 5))
    write_image(tmp_path / "d.png", noise(9, 9))
    (tmp_path / "e.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    refused(lambda: image_folder(tmp_path), "d.png' is 9 x 9")
    with pytest.warns(ist.DataWarning, match=r"2 images left out: .*'e.png' \(cannot be read.*'d.png' \(it is 9 x 9"):
        read = image_folder(tmp_path, skip=True)
    assert read.files == ("a.png", "b.png", "c.png")
    assert [name for name, _ in read.skipped] == ["d.png", "e.png"]
    with pytest.warns(ist.DataWarning, match="1 image left out: 'e.png'"):
        images, files = read_images_of_any_size(tmp_path, skip=True)
    assert [image.shape for image in images] == [(4, 5)] * 3 + [(9, 9)]
    assert files == ["a.png", "b.png", "c.png", "d.png"]
    refused(lambda: read_images_of_any_size(tmp_path), "e.png", "cannot be read")
    for name in "abcd":
        (tmp_path / f"{name}.png").unlink()
    refused(lambda: image_folder(tmp_path, skip=True), "not one of its 1 image can be read")
    refused(lambda: image_folder(tmp_path / "none"), "there is no folder")
    assert read_images_of_any_size(write_image(tmp_path / "one.png", noise(2, 3)))[1] == ["one.png"]


def test_a_folder_of_deep_images_is_fitted_and_rebuilt(tmp_path: Path) -> None:
    X = noise(30, 6, 6, dtype=np.uint16)
    for i, image in enumerate(X):
        write_image(tmp_path / f"{i:02}.tif", image)
    model = ist.Autoencoder(code_size=4, epochs=1, random_state=0).fit(tmp_path)
    rebuilt = model.reconstruct(X)
    assert (rebuilt.shape, rebuilt.dtype) == (X.shape, np.uint16)
    np.testing.assert_array_equal(model.transform(tmp_path), model.transform(X))


# Video.


def test_clips_keep_their_frames_together() -> None:
    X = noise(6, 5, 4, 3)
    source = video(X)
    assert source.layout.axes == ("frame", "height", "width")
    assert source.steps().layout.axes == ("height", "width")
    np.testing.assert_array_equal(source.wrapped(source.read(0, 6)), X)
    colour = video(noise(2, 5, 4, 3, 3))
    assert colour.layout.axes == ("frame", "height", "width", "channel")
    ragged = video([X[0], X[1][:2]])
    assert ragged.lengths.tolist() == [5, 2]
    assert [len(clip) for clip in ragged.wrapped(ragged.read(0, 2))] == [5, 2]


def test_a_long_clip_in_windows() -> None:
    clip = noise(11, 4, 3)
    windows = video(clip, window=4, overlap=2)
    assert isinstance(windows, Windows)
    assert windows.starts.tolist() == [0, 2, 4, 6, 7]
    np.testing.assert_array_equal(windows.wrapped(windows.read(0, 5)), clip)
    model = ist.Autoencoder(code_size=2, network=ist.Dense(), epochs=1, random_state=0).fit(windows)
    assert (model.reconstruct(windows).shape, model.reconstruct(windows).dtype) == (clip.shape, np.uint8)
    assert model.transform(clip[None, :4]).shape == (1, 2)


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for n in (10, 9, 1):
        write_image(tmp_path / f"f{n}.png", np.full((2, 2), n, dtype=np.uint8))
    assert frames(tmp_path)[:, 0, 0].tolist() == [1, 9, 10]
    assert frames(tmp_path, mode="colour").shape == (3, 2, 2, 3)
    (tmp_path / "more").mkdir()
    write_image(tmp_path / "more" / "a.png", noise(2, 2))
    refused(lambda: frames(tmp_path), "the folder of one clip")


def test_video_that_is_none() -> None:
    refused(lambda: video(np.zeros((3, 4, 5))), "(n, frames, height, width)", "with window=")
    refused(lambda: video(np.zeros((3, 4)), window=2), "must be (frames, height, width)")
    refused(lambda: video(np.zeros((3, 0, 5, 5))), "none of them 0")
    refused(lambda: video(np.zeros((3, 4, 5, 5)), overlap=1), "give window=")
    refused(lambda: video([np.zeros((3, 4, 5)), np.zeros((0, 4, 5))]), "length 0")


# Sound.


@pytest.mark.parametrize(
    ("dtype", "full"), [(np.uint8, 128), (np.int16, 2**15), (np.int32, 2**31), (np.float32, 1), (np.float64, 1)]
)
@pytest.mark.parametrize("channels", [(), (2,)])
def test_waves_of_every_type(dtype: Any, full: float, channels: tuple[int, ...], tmp_path: Path) -> None:
    wave = RANDOM.uniform(-1, 1, (1001, *channels))
    kept = wave if np.dtype(dtype).kind == "f" else np.rint(wave * (full - 1)) + (128 if dtype is np.uint8 else 0)
    wavfile.write(tmp_path / "a.wav", 8000, kept.astype(dtype))
    source = sound(tmp_path / "a.wav", window=64, overlap=32)
    assert (source.rate, source.files, source.layout.shape) == (8000, ("a.wav",), (64, *channels))
    made = source.wrapped(source.read(0, source.rows))
    assert (made.shape, made.dtype) == (wave.shape, np.float32)
    assert np.abs(made - wave).max() < (2.0 / full if 1 < full < 2**20 else 1e-6)  # float32 has 24 bits


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for name, part in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


PCM = struct.pack("<HHIIHH", 1, 1, 8000, 24000, 3, 24)


def test_24_bits_and_foreign_chunks(tmp_path: Path) -> None:
    numbers = np.array([0, 2**22, -(2**22), 2**23 - 1, -(2**23)])
    data = b"".join(int(n).to_bytes(3, "little", signed=True) for n in numbers)
    (tmp_path / "a.wav").write_bytes(riff((b"junk", b"odd"), (b"fmt ", PCM), (b"note", b"hi"), (b"data", data)))
    source = sound(tmp_path / "a.wav", window=None)
    np.testing.assert_allclose(source.read(0, 1)[0], numbers / 2**23, atol=1e-7)


def test_a_folder_of_recordings(tmp_path: Path) -> None:
    for name, length in (("b", 100), ("a", 30)):
        wavfile.write(tmp_path / f"{name}.wav", 100, RANDOM.uniform(-1, 1, length).astype(np.float32))
    source = sound(tmp_path, window=40)
    assert source.files == ("a.wav", "b.wav")
    assert source.lengths.tolist() == [30, 40, 40, 40]
    assert [len(wave) for wave in source.wrapped(source.read(0, 4))] == [30, 100]
    wavfile.write(tmp_path / "c.wav", 200, np.zeros(5, dtype=np.int16))
    refused(lambda: sound(tmp_path), "must be alike", "'a.wav' has 100", "'c.wav' 200")


def test_recordings_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    whole = riff((b"fmt ", PCM), (b"data", bytes(30)))
    compressed = riff((b"fmt ", struct.pack("<HHIIHH", 2, 1, 8000, 8000, 1, 4)), (b"data", bytes(8)))
    for content, word in [
        (whole[:-5], "ends after 25 of 30 bytes of data"),
        (whole[:20], "ends after 0 of 16 bytes of fmt"),
        (b"", "not as a WAV file does"),
        (b"RIFX" + whole[4:], "not as a WAV file does"),
        (riff((b"fmt ", PCM)), "has no samples"),
        (riff((b"fmt ", PCM[:6]), (b"data", bytes(6))), "cannot be read as WAV"),
        (compressed, "cannot be read as WAV"),
        (riff((b"fmt ", PCM), (b"data", b"")), "a.wav"),
    ]:
        path.write_bytes(content)
        refused(lambda: sound(path), "a.wav", word)
    path.unlink()
    refused(lambda: sound(tmp_path), "has no WAV files: it holds nothing")
    refused(lambda: sound(path), "there is no file")


@pytest.mark.skipif("ISTHMUS_DATA" not in os.environ, reason="ISTHMUS_DATA names no folder with photographs")
def test_real_photographs(tmp_path: Path) -> None:
    folder = Path(os.environ["ISTHMUS_DATA"])
    images, files = read_images_of_any_size(folder / "bsd68")
    assert len(images) == len(files) == 68
    assert {image.shape for image in images} == {(321, 481), (481, 321)}
    small = image_folder(folder / "kodak24", size=(20, 30), mode="grey")
    assert (small.images.shape, small.labels) == ((24, 20, 30), None)
    refused(lambda: image_folder(folder / "bsd68"), "must all have one size", "481 x 321", "321 x 481")
