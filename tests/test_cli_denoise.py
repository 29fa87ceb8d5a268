"""``isthmus denoise``: folders of pictures in, pictures of the same names, formats and depths out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from isthmus import cli
from isthmus.data import read_image, write_image
from isthmus.estimators.denoiser import Denoiser
from isthmus.estimators.files import load
from isthmus.parts.networks.restoring import Restoring

QUICK = ["--epochs", "1", "--quiet"]


def run(*words: object, code: int = 0):
    result = CliRunner().invoke(cli.app, [str(word) for word in words], env={"COLUMNS": "80"}, prog_name="isthmus")
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    assert len([line for line in result.stderr.split("\n") if line.startswith("isthmus: ")]) == bool(code)
    return result


def picture(seed: int, shape: tuple[int, ...] = (20, 24), dtype: str = "uint8") -> np.ndarray:
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (3, 3, *[0] * (len(shape) - 2)))
    share = (smooth - smooth.min()) / np.ptp(smooth)
    return (share * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clean pictures, noisy ones of many forms, and a denoiser."""
    home = tmp_path_factory.mktemp("home")
    (home / "clean").mkdir()
    (home / "noisy" / "below").mkdir(parents=True)
    for i in range(12):
        write_image(home / "clean" / f"{i}.png", picture(i))
    forms = {
        "grey.png": picture(20),
        "deep.png": picture(21, dtype="uint16"),
        "colour.png": picture(22, (9, 30, 3)),
        "clear.png": picture(23, (17, 8, 4)),
        "photo.jpg": picture(24, (33, 21, 3)),
        "below/scan.tif": picture(25, dtype="uint16"),
    }
    for name, image in forms.items():
        write_image(home / "noisy" / name, image)
    network = Restoring(channels=4, levels=1)
    model = Denoiser(level=60, network=network, epochs=5, learning_rate=1e-2, random_state=0)
    model.fit(np.stack([picture(i) for i in range(12)])).save(home / "d.safetensors")
    return home


def test_fit_writes_a_denoiser(home: Path, tmp_path: Path) -> None:
    run("denoise", "fit", home / "clean", "-o", tmp_path / "d.safetensors", "--level", "10,30", *QUICK)
    model = load(tmp_path / "d.safetensors")
    assert isinstance(model, Denoiser)
    assert model.level == (10.0, 30.0)
    assert model.transform(picture(0)).shape == (20, 24)


def test_fit_says_what_comes_next(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    said = run("denoise", "fit", home / "clean", "-o", path, "--level", "20", "--epochs", "1").stdout
    assert "rows or patches" in said
    assert f"isthmus denoise apply {path} noisy/ -o cleaned/" in said


def test_fit_to_pairs_goes_by_names(home: Path, tmp_path: Path) -> None:
    (tmp_path / "noisy").mkdir()
    for i in reversed(range(12)):
        write_image(tmp_path / "noisy" / f"{i}.tif", 255 - picture(i))
    found = {}

    def remember(self: Denoiser, X: object, y: object) -> None:
        found.update(shown=X, clean=y)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Denoiser, "fit", remember)
        run("denoise", "fit", home / "clean", "--noisy", tmp_path / "noisy", "-o", tmp_path / "d.safetensors", code=130)
    for shown, clean in zip(found["shown"], found["clean"], strict=True):
        np.testing.assert_array_equal(shown, 255 - clean)
    (tmp_path / "noisy" / "3.tif").unlink()
    said = run(
        "denoise", "fit", home / "clean", "--noisy", tmp_path / "noisy", "-o", tmp_path / "d.safetensors", code=2
    )
    assert "has no twin of '3.png'" in said.stderr


def test_apply_keeps_names_formats_and_depths(home: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (home / "noisy").rglob("*.*")}
    said = run("denoise", "apply", home / "d.safetensors", home / "noisy", "-o", tmp_path / "out")
    assert "6 images cleaned" in said.stdout
    model = load(home / "d.safetensors")
    names = {path.relative_to(home / "noisy").as_posix() for path in before}
    assert {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")} == names
    for name in names:
        noisy, cleaned = (read_image(folder / name, "keep") for folder in (home / "noisy", tmp_path / "out"))
        assert (noisy.shape, noisy.dtype) == (cleaned.shape, cleaned.dtype)
        assert not np.array_equal(noisy, cleaned)
    np.testing.assert_array_equal(
        read_image(tmp_path / "out" / "below/scan.tif"), model.transform(read_image(home / "noisy" / "below/scan.tif"))
    )
    clear = [read_image(folder / "clear.png", "keep") for folder in (home / "noisy", tmp_path / "out")]
    np.testing.assert_array_equal(clear[0][..., 3], clear[1][..., 3])  # transparency is no noise
    assert {path: path.read_bytes() for path in (home / "noisy").rglob("*.*")} == before


def test_colour_denoisers_take_grey(tmp_path: Path) -> None:
    model = Denoiser(level=20, network=Restoring(channels=4, levels=1), epochs=1, random_state=0)
    model.fit(np.stack([picture(i, (20, 20, 3)) for i in range(6)])).save(tmp_path / "d.safetensors")
    write_image(tmp_path / "grey.png", picture(1))
    run("denoise", "apply", tmp_path / "d.safetensors", tmp_path / "grey.png", "-o", tmp_path / "out.png")
    assert read_image(tmp_path / "out.png").shape == (20, 24)


def test_bad_files_are_named_and_skipped_on_request(home: Path, tmp_path: Path) -> None:
    (tmp_path / "noisy").mkdir()
    write_image(tmp_path / "noisy" / "good.png", picture(1))
    (tmp_path / "noisy" / "bad.png").write_bytes(b"\x89PNG nonsense")
    call = ["denoise", "apply", home / "d.safetensors", tmp_path / "noisy", "-o", tmp_path / "out"]
    assert "bad.png" in run(*call, code=2).stderr
    assert not (tmp_path / "out").exists()  # nothing is begun that cannot be ended
    said = run(*call, "--skip")
    assert "1 image left out: 'bad.png'" in " ".join(said.stderr.split())
    assert "1 image cleaned" in said.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


def test_what_is_read_is_never_written_over(home: Path, tmp_path: Path) -> None:
    call = ["denoise", "apply", home / "d.safetensors"]
    assert "is the folder that is read" in run(*call, home / "noisy", "-o", home / "noisy" / ".", code=2).stderr
    grey = home / "noisy" / "grey.png"
    assert "is what is read" in run(*call, grey, "-o", grey, code=2).stderr
    assert "must end in .png" in run(*call, grey, "-o", tmp_path / "x.npy", code=2).stderr


def test_results_never_become_what_is_read(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "in").mkdir(parents=True)
    write_image(folder / "in" / "a.png", picture(1))
    (folder / "notes.gif").write_bytes(b"GIF")
    call = ["denoise", "apply", home / "d.safetensors", folder, "-o"]
    assert "lies in the folder that is read" in " ".join(run(*call, folder / "out", code=2).stderr.split())
    assert "would be written in the folder that is read" in " ".join(run(*call, tmp_path, code=2).stderr.split())
    said = run(*call, tmp_path / "out")
    assert "1 file passed over, of kinds that are not read: '.gif'" in " ".join(said.stderr.split())
    assert "replaced" not in said.stdout
    assert "1 image cleaned (1 of the same name replaced)" in run(*call, tmp_path / "out").stdout


@pytest.mark.parametrize("ending", [".npy", ".csv"])
def test_one_series_in_a_file(ending: str, tmp_path: Path) -> None:
    wave = np.sin(np.arange(500) / 7.0)
    path, model = tmp_path / f"s{ending}", tmp_path / "d.safetensors"
    np.save(path, wave) if ending == ".npy" else pd.DataFrame({"a": wave}).to_csv(path, index=False)
    run("denoise", "fit", path, "--data", "series", "--level", "0.3", "-o", model, *QUICK)
    assert load(model).grid_ == (500,)
    assert load(model).axes_ == ("step",)
    run("denoise", "apply", model, path, "-o", tmp_path / f"out{ending}")
    out = np.load(tmp_path / "out.npy") if ending == ".npy" else pd.read_csv(tmp_path / "out.csv")["a"].to_numpy()
    np.testing.assert_allclose(out, load(model).transform(wave), rtol=1e-6, atol=1e-6)


def test_tables_keep_their_columns(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(60, 2)) @ draw.normal(size=(2, 3)), columns=list("abc"))
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame[list("bac")].to_csv(tmp_path / "other.csv", index=False)
    model = tmp_path / "d.safetensors"
    run("denoise", "fit", tmp_path / "t.csv", "-o", model, *QUICK)
    said = run("denoise", "apply", model, tmp_path / "other.csv", "-o", tmp_path / "o.csv", code=2).stderr
    assert "must be in the same order" in " ".join(said.split())
    run("denoise", "apply", model, tmp_path / "t.csv", "-o", tmp_path / "o.csv")
    assert list(pd.read_csv(tmp_path / "o.csv").columns) == list("abc")


def test_the_title_says_what_is_fitted(home: Path, tmp_path: Path) -> None:
    said = run("denoise", "fit", home / "clean", "-o", tmp_path / "d.safetensors", "--epochs", "1")
    assert said.stderr.startswith("denoiser")


def test_arrays_go_in_and_out(home: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.stack([picture(i) for i in range(3)]))
    run("denoise", "apply", home / "d.safetensors", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    cleaned = np.load(tmp_path / "y.npy")
    assert (cleaned.shape, cleaned.dtype) == ((3, 20, 24), np.uint8)
    run("denoise", "fit", tmp_path / "x.npy", "--noise", "blind", "-o", tmp_path / "d.safetensors", *QUICK)
    assert load(tmp_path / "d.safetensors").noise == "blind"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--level", "much"], "--level must be a number, or LOW,HIGH"),
        (["--level", "-3"], "level must be"),
        (["--noise", "fog"], "noise must be one of"),
        (["--noisy", "there", "--noise", "mask"], "--noisy brings the noise along"),
        (["--data", "sound"], "data must be"),
    ],
)
def test_mistakes(home: Path, tmp_path: Path, words: list[str], said: str) -> None:
    assert (
        said in run("denoise", "fit", home / "clean", "-o", tmp_path / "d.safetensors", *words, *QUICK, code=2).stderr
    )


def test_only_denoisers_denoise(home: Path, tmp_path: Path) -> None:
    import isthmus as ist

    ist.Autoencoder(code_size=2, epochs=1).fit(np.stack([picture(i) for i in range(12)])).save(
        tmp_path / "a.safetensors"
    )
    said = run("denoise", "apply", tmp_path / "a.safetensors", home / "noisy", "-o", tmp_path / "out", code=2)
    assert "holds an Autoencoder, not a Denoiser" in said.stderr


def test_help_tells_of_both() -> None:
    said = run("denoise", "--help").stdout
    assert "fit" in said
    assert "apply" in said
    assert "denoise" in run("--help").stdout
