"""The denoiser: what it learns, what it keeps of the data's form, and what it refuses."""

from __future__ import annotations

import copy
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import isthmus as ist
from isthmus import metrics
from isthmus.data.sources import ArraySource
from isthmus.errors import DataWarning, InputError, MissingExtraError
from isthmus.estimators.denoiser import Denoiser
from isthmus.estimators.judging import Judged, verdict
from isthmus.estimators.noise import kept_share
from isthmus.estimators.patches import Patches, patch_size
from isthmus.estimators.rivals import Affine, Filter
from isthmus.estimators.signals import Range, signals
from isthmus.parts.augmentations import Flip
from isthmus.parts.corruptions import BlindSpot, GaussianNoise, MaskPatches, SaltPepper
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.restoring import Restoring
from isthmus.records import Batch, Layout, Pass

TINY = Restoring(channels=4, levels=1)
QUICK = {"network": TINY, "epochs": 1, "random_state": 0}


def blobs(n: int = 40, side: int = 16, seed: int = 0) -> np.ndarray:
    """Pictures of one soft blob each, uint8."""
    draw = np.random.default_rng(seed)
    spot = np.arange(side)
    middle, width = draw.uniform(3, side - 3, (2, n, 1)), draw.uniform(2, 5, (n, 1))
    down, across = (np.exp(-((spot - m) ** 2) / width**2) for m in middle)
    return (220 * down[:, :, None] * across[:, None, :] + 20).astype(np.uint8)


def factors(n: int, columns: int) -> np.ndarray:
    """Rows of low rank."""
    draw = np.random.default_rng(0)
    return draw.normal(size=(n, 2)) @ draw.normal(size=(2, columns))


def rmse(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(metrics.squared_differences(x, y).mean()))


@pytest.fixture(scope="module")
def fitted() -> Denoiser:
    model = Denoiser(level=40.0, network=Restoring(channels=8, levels=1), epochs=10, learning_rate=4e-3, random_state=0)
    return model.fit(blobs(200))


def with_tile(model: Denoiser, tile: int) -> Denoiser:
    return copy.copy(model).set_params(tile=tile)


# ---------------------------------------------------------------- what it does


def test_noise_is_taken_away(fitted: Denoiser) -> None:
    clean = blobs(30, seed=1)
    noisy = fitted.corrupt(clean)
    result = fitted.transform(noisy)
    assert result.dtype == np.uint8
    assert result.shape == clean.shape
    assert rmse(result, clean) < 0.55 * rmse(noisy, clean)
    assert fitted.autoencoder_.history_["valid_rmse"][-1] < 0.6 * fitted.autoencoder_.history_["valid_rmse"][0]


def test_the_fit_is_watched_on_noisy_rows(fitted: Denoiser) -> None:
    # The network begins as the identity: on clean rows its error would begin at 0.
    clean = blobs(200)
    noise = rmse(fitted.corrupt(clean), clean) / 255
    assert fitted.autoencoder_.history_["valid_rmse"][0] == pytest.approx(noise, rel=0.05)


def test_made_noise_is_as_asked_for(fitted: Denoiser) -> None:
    flat = np.full((4, 60, 60), 128, dtype=np.uint8)
    noisy = fitted.corrupt(flat)
    assert rmse(noisy, flat) == pytest.approx(40, rel=0.02)
    assert rmse(fitted.corrupt(flat, level=10), flat) == pytest.approx(10, rel=0.02)
    np.testing.assert_array_equal(noisy, fitted.corrupt(flat))
    assert not np.array_equal(noisy, fitted.corrupt(flat, random_state=1))
    assert len(np.unique([rmse(x, y) for x, y in zip(noisy, flat, strict=True)])) == 4


def test_pictures_of_any_size_and_alone(fitted: Denoiser) -> None:
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 255, size, dtype=np.uint8) for size in ((5, 9), (33, 16), (16, 16), (1, 1))]
    results = fitted.transform(pictures)
    assert [result.shape for result in results] == [picture.shape for picture in pictures]
    for picture, result in zip(pictures, results, strict=True):
        np.testing.assert_array_equal(fitted.transform(picture), result)


def test_tiles_leave_no_seam(fitted: Denoiser) -> None:
    picture = np.random.default_rng(0).random((90, 131)).astype(np.float32) * 255
    whole = fitted.transform(picture)
    reach = fitted.autoencoder_.parts_.network.reach
    for tile in (2 * reach + 2, 40):
        assert np.abs(with_tile(fitted, tile).transform(picture) - whole).max() < 1e-5 * 255


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_type_and_units_are_kept(fitted: Denoiser, dtype: str) -> None:
    x = fitted.corrupt(blobs(5)).astype(dtype)
    before = x.copy()
    result, wide = fitted.transform(x), fitted.transform(x.astype(np.float64))
    assert result.dtype == dtype
    np.testing.assert_array_equal(x, before)
    gap = result - (wide.clip(0, 255) if dtype == "uint8" else wide)
    assert np.abs(gap).max() <= (0.51 if dtype == "uint8" else 1e-3)


def test_sixteen_bits_beside_eight(fitted: Denoiser) -> None:
    shallow = fitted.corrupt(blobs(1))[0]
    deep = shallow.astype(np.uint16) * 257
    results = fitted.transform([shallow, deep, shallow[:7]])
    assert [result.dtype for result in results] == [np.uint8, np.uint16, np.uint8]
    assert np.abs(results[1] / 257 - results[0]).max() <= 0.51
    assert results[0].std() > 5


def test_save_and_load(fitted: Denoiser, tmp_path: Path) -> None:
    x = fitted.corrupt(blobs(3))
    again = ist.load(fitted.save(tmp_path / "d.safetensors"))
    assert isinstance(again, Denoiser)
    np.testing.assert_array_equal(again.transform(x), fitted.transform(x))
    np.testing.assert_array_equal(again.corrupt(blobs(2)), fitted.corrupt(blobs(2)))
    assert again.get_params() == fitted.get_params()
    assert again.noise_ == fitted.noise_


def test_manners(fitted: Denoiser) -> None:
    model = Denoiser("mask", 0.3, network=TINY, random_state=3)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.transform(blobs(1))
    with pytest.raises(NotFittedError):
        model.save("nowhere.safetensors")
    first, second = (Denoiser(**QUICK).fit(blobs()).transform(blobs(2)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


LARGE = """
import resource
import numpy as np
from isthmus.estimators.denoiser import Denoiser

draw = np.random.default_rng(0)
small = draw.integers(0, 255, (4, 96, 96, 3), dtype=np.uint8)
model = Denoiser(level=25, epochs=1, random_state=0).fit(small)
model.transform(small)
photograph = draw.integers(0, 255, (3000, 4000, 3), dtype=np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert model.transform(photograph).shape == (3000, 4000, 3)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_a_large_photograph_takes_little_memory() -> None:
    found = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    assert float(found.stdout) < 500  # MB; 111 were measured, of which 34 are the result


# ---------------------------------------------------------------- kinds of noise


@pytest.mark.parametrize(
    ("noise", "level", "share"), [("salt_and_pepper", 0.3, 0.3), ("mask", (0.2, 0.4), 0.3), ("blocks", 0.25, 0.25)]
)
def test_noise_of_a_share_of_the_cells(noise: str, level: object, share: float) -> None:
    model = Denoiser(noise, level, **QUICK).fit(blobs())
    flat = np.full((60, 32, 32), 128, dtype=np.uint8)
    noisy = model.corrupt(flat)
    assert (noisy != flat).mean() == pytest.approx(share, abs=0.03)
    assert set(np.unique(noisy)) <= ({0, 128, 255} if noise == "salt_and_pepper" else {0, 128})
    assert model.transform(noisy).shape == noisy.shape


def test_a_corruption_of_ones_own() -> None:
    model = Denoiser(MaskPatches(0.5, size=8), **QUICK).fit(blobs())
    noisy = model.corrupt(np.full((8, 16, 16), 128, dtype=np.uint8))
    assert {len(np.unique(block)) for block in noisy.reshape(8, 2, 8, 2, 8).swapaxes(2, 3).reshape(-1, 64)} == {1}


def test_an_unknown_level_is_drawn_row_by_row() -> None:
    model = Denoiser(clipped=False, **QUICK).fit(blobs() / 255.0)
    flat = np.full((200, 20, 20), 0.5)
    levels = (model.corrupt(flat) - flat).std(axis=(1, 2))
    assert 0.018 < levels.min() < 0.03
    assert 0.5 < levels.max() < 0.65
    assert np.median(levels) == pytest.approx((0.02 * 0.6) ** 0.5, rel=0.4)  # even in the logarithm


def test_whole_numbers_are_clipped_and_floats_are_not() -> None:
    white = np.ones((3, 30, 30))
    pictures = (blobs() - 20.0) / 220
    free, held = (Denoiser(level=0.2, clipped=clipped, **QUICK).fit(pictures) for clipped in (None, True))
    assert free.corrupt(white).max() > 1.2
    assert held.corrupt(white).max() == 1
    assert Denoiser(level=20, **QUICK).fit(blobs()).noise_ == GaussianNoise(20 / 255, clip=(0.0, 1.0))


def test_pairs_learn_what_no_noise_is() -> None:
    clean = blobs(100)
    noisy = np.clip(clean.astype(int) + 40, 0, 255).astype(np.uint8)
    model = Denoiser("pairs", **{**QUICK, "epochs": 12, "learning_rate": 1e-2}).fit(noisy, clean)
    assert rmse(model.transform(noisy), clean) < 0.4 * rmse(noisy, clean)


def test_blind_learns_from_noise_alone() -> None:
    clean = blobs(150) / 255.0
    noisy = clean + np.random.default_rng(0).normal(0, 0.15, clean.shape)
    model = Denoiser("blind", network=Restoring(channels=8, levels=1), epochs=10, learning_rate=5e-3, random_state=0)
    assert rmse(model.fit(noisy).transform(noisy), clean) < 0.8 * 0.15
    assert (
        len(model.autoencoder_.history_["valid_cost"]) == 0 or np.isnan(model.autoencoder_.history_["valid_cost"]).all()
    )


def test_a_short_blind_fit_helps_where_neighbours_foretell_little() -> None:
    clean = ist.data.digits()[0][:600].astype(float)
    noisy = clean + np.random.default_rng(0).normal(0, 3, clean.shape)
    model = Denoiser("blind", epochs=4, random_state=0).fit(noisy)
    alone = copy.copy(model)
    alone.kept_ = 0.0
    assert rmse(alone.transform(noisy), clean) > rmse(noisy, clean)  # which keeping some of each cell mends
    assert rmse(model.transform(noisy), clean) < 0.95 * rmse(noisy, clean)


def test_how_much_of_a_noisy_cell_is_kept() -> None:
    """Of errors that are known: the mean of all is foretold everywhere, and half of each picture is flat."""
    draw = np.random.default_rng(0)
    clean = np.zeros((40, 32, 32))
    clean[:, :, 16:] = draw.normal(0, 2, (40, 32, 16))
    noisy = (clean + draw.normal(0, 1, clean.shape)).astype(np.float32)
    source = ArraySource(noisy)
    source.layout = Layout((32, 32), ("height", "width"))
    share = kept_share(torch.zeros_like, source, 0)
    assert share == pytest.approx(2 / 3, abs=0.06)  # e = (0 + 4) / 2, s = 1
    flat = ArraySource(draw.normal(size=(40, 32, 32)).astype(np.float32))
    flat.layout = source.layout
    assert kept_share(torch.zeros_like, flat, 0) == pytest.approx(0, abs=0.1)


def test_a_blind_spot_is_replaced_by_a_neighbour() -> None:
    grid = np.arange(400, dtype=np.float32).reshape(1, 20, 20).repeat(50, 0)
    batch = Batch(torch.from_numpy(grid), Layout((20, 20), ("height", "width")))
    seen = BlindSpot(0.1, radius=2)(batch, Pass(torch.Generator().manual_seed(0), training=True))
    assert float(seen.changed.float().mean()) == pytest.approx(0.1, abs=0.01)
    torch.testing.assert_close(seen.weight, seen.changed.float())
    row, down, across = np.nonzero(seen.changed.numpy())
    value = seen.x.numpy()[row, down, across].astype(int)
    far = np.abs(np.stack([value // 20 - down, value % 20 - across]))
    assert far.max() == 2
    assert (far.sum(0) > 0).all()
    kept = ~seen.changed
    assert torch.equal(seen.x[kept], batch.x[kept])
    offsets = set(zip((value // 20 - down).tolist(), (value % 20 - across).tolist(), strict=True))
    assert len(offsets) == 24  # every neighbour is taken


def test_blind_spots_take_all_channels_along() -> None:
    x = torch.rand(2, 8, 8, 3, generator=torch.Generator().manual_seed(1))
    seen = BlindSpot(0.2)(
        Batch(x, Layout((8, 8, 3), ("height", "width", "channel"))), Pass(torch.Generator().manual_seed(0))
    )
    assert torch.equal(seen.changed.any(-1), seen.changed.all(-1))
    found = {tuple(pixel) for pixel in x.reshape(-1, 3).tolist()}
    assert {tuple(pixel) for pixel in seen.x.reshape(-1, 3).tolist()} <= found


def test_ends_of_noise() -> None:
    batch = Batch(torch.full((3, 50), 0.5), Layout((50,), ("column",)))
    pass_ = Pass(torch.Generator().manual_seed(0))
    assert set(SaltPepper(1.0, ends=(0.0, 2.0))(batch, pass_).x.unique().tolist()) == {0.0, 2.0}
    noisy = GaussianNoise(5.0, clip=(-1.0, 1.0))(batch, pass_).x
    assert (noisy.min(), noisy.max()) == (-1, 1)
    with pytest.raises(InputError, match=r"GaussianNoise: clip must be \(low, high\).*got \(1.0, 0.0\)"):
        GaussianNoise(0.1, clip=(1.0, 0.0))


# ---------------------------------------------------------------- kinds of data


@pytest.mark.filterwarnings("ignore:the denoiser has learnt nothing")  # from noise nothing can be
def test_colour_and_lists_of_photographs() -> None:
    draw = np.random.default_rng(0)
    photographs = [draw.integers(0, 255, size, dtype=np.uint8) for size in ((40, 50, 3), (33, 70, 3))]
    model = Denoiser(level=20, patch=32, **QUICK).fit(photographs)
    assert model.autoencoder_.form_.layout == Layout((32, 32, 3), ("height", "width", "channel"))
    assert model.autoencoder_.augmentation == Flip(("height", "width"))
    assert [r.shape for r in model.transform(photographs)] == [(40, 50, 3), (33, 70, 3)]
    assert model.transform(photographs[0]).shape == (40, 50, 3)
    with pytest.raises(InputError, match="axes"):
        model.transform(photographs[0][..., 0])
    with pytest.raises(InputError, match="4 channels, but the fit had 3"):
        model.transform(draw.integers(0, 255, (2, 20, 20, 4), dtype=np.uint8))


def test_patches_lie_on_a_grid_that_overlaps() -> None:
    pictures = [np.arange(70 * 64, dtype=np.float64).reshape(70, 64) / 4480, np.zeros((64, 100))]
    given = signals(pictures)
    source = Patches(given, patch_size(given, 64, 0, False), Range(np.array(0.0), np.array(1.0)))
    assert source.rows == 2 + 3
    np.testing.assert_allclose(source.take(np.array([1, 0])), [pictures[0][6:70], pictures[0][:64]], rtol=1e-6)
    assert patch_size(signals(np.zeros((5, 28, 28))), 64, 0, False) is None
    assert patch_size(signals([np.zeros((28, 30)), np.zeros((40, 20))]), 64, 0, False) == (28, 20)


def test_series_long_short_and_many() -> None:
    wave = np.sin(np.arange(600) / 7.0)
    model = Denoiser(level=0.3, data="series", **QUICK).fit(wave)
    assert model.transform(wave).shape == (600,)
    assert [row.shape for row in model.transform([wave[:50], wave[:7]])] == [(50,), (7,)]
    assert model.transform(wave.reshape(3, 200)).shape == (3, 200)
    deep = np.stack([wave, 100 * wave + 5], axis=-1).reshape(4, 150, 2)
    model = Denoiser(level=0.3, data="series", **QUICK).fit(deep)
    noisy = model.corrupt(deep)
    np.testing.assert_allclose((noisy - deep).std(axis=(0, 1)) / deep.std(axis=(0, 1)), 0.3, rtol=0.1)
    assert model.transform(noisy).shape == deep.shape
    assert model.transform(ist.data.sequences([deep[0], deep[1][:20]]))[1].shape == (20, 2)


@pytest.mark.parametrize("form", ["column", "frame", "pandas", "channels", "frame of channels", "windows", "file"])
def test_one_series_in_every_form(form: str, tmp_path: Path) -> None:
    wave = np.sin(np.arange(600) / 7.0)
    both = np.stack([wave, wave**2], axis=1)
    np.save(tmp_path / "s.npy", wave)
    given = {
        "column": wave[:, None],
        "frame": pd.DataFrame({"a": wave}, index=np.arange(600) * 2),
        "pandas": pd.Series(wave, name="a", index=np.arange(600) * 2),
        "channels": both,
        "frame of channels": pd.DataFrame(both, columns=["a", "b"]),
        "windows": ist.data.series(both, window=50, overlap=25),
        "file": tmp_path / "s.npy",
    }[form]
    model = Denoiser(level=0.3, data="series", **QUICK).fit(given)
    assert model.axes_ == (("step", "channel") if form in ("channels", "frame of channels", "windows") else ("step",))
    assert model.grid_ == (600,)
    result = model.transform(given)
    assert np.shape(result) == (both.shape if form == "windows" else (600,) if form == "file" else given.shape)
    values = both if model.channels_ else wave
    np.testing.assert_array_equal(np.asarray(result).reshape(values.shape), model.transform(values))
    if form in ("frame", "pandas", "frame of channels"):
        assert type(result) is type(given)
        assert result.index.equals(given.index)


def test_a_list_is_several_series() -> None:
    wave = np.sin(np.arange(800) / 7.0)
    model = Denoiser(level=0.3, data="series", **QUICK).fit(list(wave.reshape(100, 8)))
    assert (model.axes_, model.grid_) == (("step",), (8,))


def test_frames_with_other_columns_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame(factors(60, 4), columns=list("abcd"))
    model = Denoiser(level=0.5, epochs=3, random_state=0).fit(frame)
    assert model.feature_names_in_.tolist() == list("abcd")
    again = ist.load(model.save(tmp_path / "d.safetensors"))
    for one in (model, again):
        with pytest.raises(InputError, match="must be in the same order"):
            one.transform(frame[list("badc")])
    assert not hasattr(model.fit(frame.to_numpy()), "feature_names_in_")


def test_tables_with_their_columns() -> None:
    draw = np.random.default_rng(0)
    cause = draw.normal(size=(300, 2))
    frame = pd.DataFrame(cause @ draw.normal(size=(2, 6)) * [1, 5, 10, 20, 1, 1], columns=list("abcdef"))
    model = Denoiser(level=0.5, epochs=30, random_state=0).fit(frame)
    noisy = model.corrupt(frame)
    assert list(noisy.columns) == list("abcdef")
    result = model.transform(noisy)
    assert isinstance(result, pd.DataFrame)
    spread = frame.std().to_numpy()
    assert rmse(result / spread, frame / spread) < 0.8 * rmse(noisy / spread, frame / spread)
    with pytest.raises(InputError, match="X has 5 features, but Denoiser is expecting 6"):
        model.transform(np.zeros((3, 5)))


def test_video_is_cleaned_with_its_neighbours() -> None:
    clip = np.stack([np.roll(blobs(1, side=16)[0], t, axis=1) for t in range(9)])
    model = Denoiser(level=30, neighbours=1, **{**QUICK, "epochs": 2}).fit(clip)
    assert model.axes_ == ("frame", "height", "width")
    assert model.autoencoder_.form_.layout.shape == (3, 16, 16)
    noisy = model.corrupt(clip).astype(np.float64)
    result = model.transform(noisy)
    assert result.shape == clip.shape
    # Every frame is the middle of the three around it; the ends are the ends of the outermost three.
    for frame in range(9):
        start = min(max(frame - 1, 0), 6)
        alone = model.transform(noisy[start : start + 3])
        np.testing.assert_allclose(result[frame], alone[frame - start], atol=1e-3)
    other = noisy.copy()
    other[5:] = 0
    np.testing.assert_allclose(model.transform(other)[:4], result[:4], atol=1e-3)
    assert np.abs(model.transform(other)[4] - result[4]).max() > 1e-3
    assert Denoiser(level=30, data="video", **QUICK).fit(clip).axes_ == ("height", "width")
    with pytest.raises(InputError, match="neighbours=5 needs clips of at least 11 frames"):
        Denoiser(neighbours=5, **QUICK).fit(clip)


def test_the_bottleneck_denoiser_knows_its_size() -> None:
    from isthmus.parts.networks.convolutional import Convolutional

    network = Convolutional((8, 4), down="max", activation="relu", code="map")
    model = Denoiser(level=20, network=network, epochs=1, random_state=0).fit(blobs())
    assert model.transform(blobs(3)).shape == (3, 16, 16)
    with pytest.raises(InputError, match="has the size 20 x 16, but this denoiser's network knows 16 x 16 alone"):
        model.transform(np.zeros((20, 16), dtype=np.uint8))
    with pytest.raises(InputError, match="knows one size, and X has 2 sizes"):
        Denoiser(level=20, network=network).fit([blobs(1)[0], blobs(1, side=20)[0]])


def test_dense_networks_and_kinds_and_fitted_autoencoders() -> None:
    x = blobs()
    dense = Denoiser(level=20, network=Dense((32,)), epochs=1, random_state=0).fit(x)
    assert dense.transform(x).shape == x.shape
    assert dense.autoencoder_.code_size_ == 256
    kind = Denoiser(level=20, autoencoder=ist.recipes.vae(beta=0.1), epochs=1, random_state=0).fit(x)
    assert kind.transform(x).shape == x.shape
    ready = ist.Autoencoder(code_size=4, epochs=1, random_state=0).fit(x)
    brought = Denoiser(level=20, autoencoder=ready).fit(x)
    assert brought.autoencoder_ is ready
    np.testing.assert_array_equal(brought.transform(x), ready.reconstruct(x))
    with pytest.raises(InputError, match="autoencoder must be a fitted Autoencoder, the name of a kind"):
        Denoiser(autoencoder=3).fit(x)


@pytest.mark.parametrize("which", ["kind", "fitted"])
def test_what_was_brought_is_kept_in_the_file(which: str, tmp_path: Path) -> None:
    x = blobs()
    ready = ist.recipes.denoising() if which == "kind" else ist.Autoencoder(code_size=4, epochs=1).fit(x)
    model = Denoiser(level=20, autoencoder=ready, epochs=1, random_state=0).fit(x)
    again = ist.load(model.save(tmp_path / "d.safetensors"))
    np.testing.assert_array_equal(again.transform(x), model.transform(x))


# ---------------------------------------------------------------- judging


def test_the_best_affine_map_is_exact() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, 4, 2))
    y = x[:, ::-1] * 3 - 2
    np.testing.assert_allclose(Affine.fit(x, y)(x), y, atol=1e-6)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_best_filter_finds_the_filter(axes: int) -> None:
    import scipy.ndimage

    draw = np.random.default_rng(0)
    x = draw.normal(size=(*[{1: 200, 2: 30, 3: 12}[axes]] * axes, 2))
    kernel = draw.normal(size=(3,) * axes)
    y = scipy.ndimage.correlate(x, kernel[..., None], mode="mirror") + 0.5
    found = Filter.fit([x], [y], axes, 3)
    np.testing.assert_allclose(found.kernel, kernel, atol=1e-6)
    assert found.constant == pytest.approx(0.5)
    np.testing.assert_allclose(found(x), y, atol=1e-6)


def test_judging_beside_rivals(fitted: Denoiser) -> None:
    clean = blobs(20, seed=2)
    noisy = fitted.corrupt(clean, level=40)
    rows = fitted.judge(clean, noisy, ssim=False)
    assert [row.name for row in rows] == ["this denoiser", "nothing", "best linear filter, 7 x 7", "median filter"]
    assert rows[1].pooled == pytest.approx(metrics.psnr(clean, noisy, 255), abs=1e-3)
    assert rows[0].psnr == pytest.approx(
        np.mean([metrics.psnr(x, out, 255) for x, out in zip(clean, fitted.transform(noisy), strict=True)]), abs=1e-3
    )
    assert rows[0].pooled > rows[1].pooled + 4
    assert rows[2].pooled > rows[1].pooled
    assert repr(rows) == repr(fitted.judge(clean, level=40, ssim=False))
    affine = {row.name: row for row in fitted.judge(clean, noisy, train=blobs(600, seed=3), ssim=False)}["best affine"]
    assert affine.pooled > rows[1].pooled


def test_flicker_of_video() -> None:
    clip = np.stack([np.roll(blobs(1)[0], t, axis=1) for t in range(8)])
    model = Denoiser(level=30, neighbours=1, **QUICK).fit(clip)
    noisy = model.corrupt(clip)
    rows = {row.name: row for row in model.judge(clip, noisy, ssim=False)}
    error = (noisy.astype(float) - clip) / 255
    assert rows["nothing"].flicker == pytest.approx(np.abs(np.diff(error, axis=0)).mean(), rel=1e-4)


def test_scikit_image_is_asked_for_by_name(fitted: Denoiser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtraError, match=r"SSIM needs the package 'scikit-image'.*isthmus\[images\]"):
        fitted.judge(blobs(3))


def test_ssim_and_non_local_means_enter_the_table(fitted: Denoiser, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = types.SimpleNamespace(
        metrics=types.SimpleNamespace(structural_similarity=lambda x, y, **knobs: 1 - float(np.abs(x - y).mean())),
        restoration=types.SimpleNamespace(denoise_nl_means=lambda x, **knobs: np.zeros_like(x)),
    )
    monkeypatch.setattr(metrics, "scikit_image", lambda purpose: stand_in)
    monkeypatch.setattr("isthmus.estimators.rivals.scikit_image", lambda purpose: stand_in)
    clean = blobs(4)
    rows = {row.name: row for row in fitted.judge(clean)}
    assert rows["non-local means"].ssim == pytest.approx(1 - clean.mean() / 255, abs=1e-4)
    assert rows["this denoiser"].ssim > rows["nothing"].ssim


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 3)])
def test_non_local_means_keep_the_shape(shape: tuple[int, ...]) -> None:
    pytest.importorskip("skimage")
    draw = np.random.default_rng(0)
    clean = [draw.integers(0, 255, size, dtype=np.uint8) for size in (shape, (12, 8, *shape[2:]))]
    model = Denoiser(level=20, network=TINY, epochs=3, learning_rate=1e-2, random_state=0)
    smooth = np.stack([blobs(20)] * 3, axis=-1) if len(shape) == 3 else blobs(20)
    rows = {row.name: row for row in model.fit(smooth).judge(clean)}
    assert np.isfinite([rows["non-local means"].psnr, rows["non-local means"].ssim]).all()


def test_the_verdict_says_what_to_do() -> None:
    ours, other = Judged("this denoiser", 20.0, 20.0), Judged("nothing", 21.0, 21.0)
    assert "1.00 dB less than" in verdict([ours, other])
    assert verdict([ours, other]).endswith("More epochs or more data may help.")
    assert "More epochs" not in verdict([replace(ours, pooled=22.0), other])


def test_ssim_is_scikit_images() -> None:
    pytest.importorskip("skimage")
    x = np.random.default_rng(0).random((20, 24))
    assert metrics.ssim(x, x, 1.0) == 1
    assert metrics.ssim(x, 1 - x, 1.0) < 0
    assert metrics.ssim(x[:5, :5, None], x[:5, :5, None], 1.0, channels=True) == 1


def test_the_report_stands_alone(fitted: Denoiser, tmp_path: Path) -> None:
    text = fitted.report(tmp_path / "r.html", blobs(10, seed=5), ssim=False).read_text(encoding="utf-8")
    assert text.count('class="pixels') == 18
    for said in ("this denoiser", "median filter", "pooled PSNR", "Restoring(channels=8", "dB above the noisy data"):
        assert said in text
    assert "http" not in text.replace("http://www.w3.org", "")
    assert "SSIM" not in text


def test_the_report_of_series_draws_lines(tmp_path: Path) -> None:
    wave = np.sin(np.arange(600) / 7.0)
    model = Denoiser(level=0.3, data="series", **QUICK).fit(wave)
    text = model.report(tmp_path / "r.html", wave, ssim=False).read_text(encoding="utf-8")
    assert text.count("<svg") == 1
    assert "step" in text


# ---------------------------------------------------------------- mistakes

MISTAKES = {
    "unknown noise": ({"noise": "gausian"}, blobs, "noise must be one of gaussian.*Did you mean 'gaussian'"),
    "noise of no kind": ({"noise": 3}, blobs, "noise must be the name of a noise, or a corruption"),
    "negative level": ({"level": -1}, blobs, "level must be the noise's standard deviation.* > 0.*got -1"),
    "level zero": ({"level": 0}, blobs, "level must be .* > 0"),
    "level turned round": ({"level": (30, 10)}, blobs, r"level must be .*got \(30, 10\)"),
    "share above one": ({"noise": "mask", "level": 1.5}, blobs, "share of the cells, > 0 and <= 0.95.*got 1.5"),
    "level of pairs": ({"noise": "blind", "level": 3}, blobs, "with noise='blind' the noise is as it comes"),
    "pairs alone": ({"noise": "pairs"}, blobs, r"fit\(noisy, clean\)"),
    "constant": ({}, lambda: np.full((9, 8, 8), 7.0), "X holds the value 7 in every cell"),
    "nan": ({}, lambda: np.where(blobs() > 200, np.nan, 1.0), r"X must hold finite numbers; image \d+ holds nan at"),
    "one small image": ({}, lambda: blobs(1), "X is one image of 16 x 16"),
    "no image": ({}, lambda: blobs()[:0], "X is empty"),
    "size zero": ({}, lambda: np.zeros((3, 0, 5)), "X is empty"),
    "too many axes": ({}, lambda: np.zeros((2, 2, 8, 8, 3)), "one image has 2 axes"),
    "text": ({}, lambda: [["a", "b"]], "X must hold numbers"),
    "mixed axes": ({}, lambda: [np.zeros((9, 8)), np.zeros((9, 8, 3))], "arrays with one number of axes"),
    "unknown data": ({"data": "picture"}, blobs, "data must be 'auto', 'images'"),
    "neighbours of images": ({"data": "images", "neighbours": 1}, blobs, "neighbours=1 is for video"),
    "negative neighbours": ({"neighbours": -1}, blobs, "neighbours must be a whole number >= 0"),
    "small patch": ({"patch": 2}, blobs, "patch must be a whole number >= 8"),
    "network": ({"network": "unet"}, blobs, "network must be 'auto' or a network"),
    "clipped": ({"clipped": 3}, blobs, "clipped must be True, False or None"),
    "clipped series": ({"clipped": True, "data": "series"}, lambda: np.sin(np.arange(300.0)), "clipped=True is for"),
    "blind table": ({"noise": "blind", "network": "auto"}, lambda: np.sin(np.arange(150.0)).reshape(50, 3), "BlindSp"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_fitting(name: str) -> None:
    knobs, data, said = MISTAKES[name]
    with pytest.raises(InputError, match=said):
        Denoiser(**{**QUICK, **knobs}).fit(data())


def test_a_second_argument_is_for_pairs() -> None:
    with pytest.raises(InputError, match=r"noise='gaussian' learns from clean data.*noise='pairs'"):
        Denoiser(**QUICK).fit(blobs(), blobs())
    with pytest.raises(InputError, match="noise='blind' learns from noisy data alone"):
        Denoiser("blind", **QUICK).fit(blobs(), blobs())
    with pytest.raises(InputError, match="X has 40 items, y has 39"):
        Denoiser("pairs", **QUICK).fit(blobs(), blobs(39))
    with pytest.raises(InputError, match=r"item 0 of X has the shape \(16, 16\), its twin in y \(18, 18\)"):
        Denoiser("pairs", **QUICK).fit(blobs(), blobs(side=18))


def test_mistakes_in_use(fitted: Denoiser) -> None:
    with pytest.raises(InputError, match="fitted on pictures from 0 to 255: bring them to the same unit"):
        fitted.transform(blobs(2) / 255.0)
    with pytest.raises(InputError, match="image 1 holds nan at"):
        fitted.transform(np.stack([blobs(1)[0] * 1.0, np.full((16, 16), np.nan)]))
    with pytest.raises(InputError, match="axes"):
        fitted.transform(np.zeros(5))
    with pytest.raises(InputError, match="tile must be at least"):
        with_tile(fitted, 4).transform(blobs(1)[0])
    with pytest.raises(InputError, match="level is for noise that is made"):
        fitted.judge(blobs(2), blobs(2), level=3, ssim=False)
    with pytest.raises(InputError, match="noisy data"):
        Denoiser("blind", **QUICK).fit(blobs()).corrupt(blobs())


def test_a_colour_picture_is_no_stack_of_grey_ones(fitted: Denoiser) -> None:
    colour = np.random.default_rng(0).integers(0, 255, (8, 9, 3), dtype=np.uint8)
    for use in (fitted.transform, fitted.corrupt, Denoiser(**QUICK).fit):
        with pytest.raises(InputError, match=r"shape \(8, 9, 3\): that is one colour picture"):
            use(colour)
    narrow = blobs(40)[:, :, 6:9]
    assert Denoiser(**QUICK).fit(narrow[..., None]).transform(narrow[..., None]).shape == (40, 16, 3, 1)
    assert fitted.transform(colour.transpose(2, 0, 1)).shape == (3, 8, 9)


def test_what_came_is_said(fitted: Denoiser) -> None:
    with pytest.raises(InputError, match=r"one image has 2 axes.*X has the shape \(5, 6\)"):
        Denoiser(data="images", **QUICK).fit(np.ones((5, 6)))
    with pytest.raises(InputError, match="X is empty"):
        fitted.transform([])


def test_floats_in_another_unit_are_told_of() -> None:
    digits = ist.data.digits()[0][:100].astype(np.float64)
    model = Denoiser(level=4.0, **QUICK).fit(digits)
    with pytest.warns(DataWarning, match="from 0 to 1 only, .* from 0 to 16: if that is another unit"):
        model.transform(digits / 16)
    model.transform(digits / 4)


def test_whole_number_models_keep_their_ends(fitted: Denoiser) -> None:
    noisy = blobs(5) + np.random.default_rng(0).normal(0, 90, (5, 16, 16))
    assert noisy.min() < -50
    assert noisy.max() > 300
    result = fitted.transform(noisy)
    assert result.min() >= 0
    assert result.max() <= 255


def test_eight_bits_beside_sixteen_in_a_fit() -> None:
    shallow, deep = blobs(40)[:20], blobs(40)[20:].astype(np.uint16) * 257
    mixed = Denoiser(level=20, **QUICK).fit([*shallow, *deep])
    alike = Denoiser(level=20, **QUICK).fit(blobs(40))
    np.testing.assert_array_equal(mixed.transform(blobs(3)), alike.transform(blobs(3)))
    with pytest.raises(InputError, match="pictures of the types float64, uint8"):
        Denoiser(**QUICK).fit([*shallow, blobs(1)[0] / 255.0])


def test_a_tiny_picture_does_not_shrink_the_patches() -> None:
    pictures = [*blobs(20, side=40), blobs(1, side=8)[0]]
    with pytest.warns(DataWarning, match="X: 1 image of 21 left out, smaller than the patches of 32 x 32"):
        model = Denoiser(level=20, patch=32, **QUICK).fit(pictures)
    assert model.autoencoder_.form_.layout.grid == (32, 32)
    assert model.transform(pictures)[-1].shape == (8, 8)


def test_a_fit_that_learnt_nothing_is_told_of() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 16, 16), dtype=np.uint8)
    with pytest.warns(DataWarning, match="the denoiser has learnt nothing.*epochs=.*learning_rate="):
        Denoiser(level=1, **QUICK, learning_rate=1.0).fit(noise)


def test_a_constant_picture_is_cleaned(fitted: Denoiser) -> None:
    result = fitted.transform(np.full((20, 20), 128, dtype=np.uint8))
    assert result.mean() == pytest.approx(128, abs=20)


def test_a_linear_filter_is_found_from_many_small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where places are drawn, some pictures may give none."""
    from isthmus.estimators import rivals

    monkeypatch.setattr(rivals, "PLACES", 100)
    draw = np.random.default_rng(0)
    clean = [draw.normal(size=(3, 3, 1)) for _ in range(400)]
    found = rivals.Filter.fit([2 * x - 1 for x in clean], clean, 2, 1)
    assert found.kernel.item() == pytest.approx(0.5)
    assert found.constant == pytest.approx(0.5)
