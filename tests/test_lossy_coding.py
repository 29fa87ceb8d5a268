"""Lossy coding of pictures: sums against Python's own whole numbers, bytes there and back, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from isthmus.coding import lossy, whole_convolution
from isthmus.coding.decoder_training import Decoder, kernel
from isthmus.coding.entropy import Reader, Tally, Writer
from isthmus.coding.lossy import QUALITIES, LossyModel, encoded
from isthmus.coding.lossy_training import fit_lossy
from isthmus.coding.lossy_transform import (
    BLOCK,
    Transform,
    crops,
    fit_transform,
    lapped,
    lines,
    mirror_signs,
    objective,
)
from isthmus.coding.map_context import octaves
from isthmus.coding.whole import made_whole
from isthmus.coding.whole_convolution import Level, WholeDecoder, convolved, gathered, spread
from isthmus.coding.whole_layer import WholeLayer
from isthmus.errors import FileFormatError, InputError


def drawn(height: int, width: int, colours: int, seed: int) -> np.ndarray:
    """A picture of soft and sharp shapes with a little noise: (height, width, colours) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    found = np.full((height, width, colours), 120.0)
    for _ in range(6):
        a, b, c = rng.normal(size=3) / 12
        shade = rng.normal(size=colours) * 30
        wave = np.sin(a * x + b * y + 9 * c)
        found += (np.sign(wave) if rng.random() < 0.5 else wave)[..., None] * shade
    return np.clip(found + rng.normal(size=found.shape) * 2, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def grey() -> LossyModel:
    pictures = [drawn(64, 64, 1, seed)[..., 0] for seed in range(12)]
    return fit_lossy(pictures, seconds=4.0, steps=150, hidden=(16,), filters=(4,), codes=8)


def written(model: LossyModel, pictures: np.ndarray, quality: int) -> bytes:
    writer = Writer()
    model.write(writer, pictures, quality)
    return writer.done()


def read(model: LossyModel, payload: bytes, shape: tuple[int, ...]) -> np.ndarray:
    reader = Reader(payload)
    found = model.read(reader, shape)
    reader.end()
    return found


def test_the_lapped_transform_is_undone_to_the_edges() -> None:
    x = torch.from_numpy(drawn(40, 64, 1, 0)).movedim(-1, 0)[None].float()
    transform = Transform(1)
    code = transform.encode(x)
    assert float((transform.decode(code) + 128 - x).detach().abs().max()) < 1e-3
    # The encoder of files is another piece of code.
    plain = encoded(drawn(40, 64, 1, 0), kernel(transform.analysis))
    assert np.allclose(plain, code[0].permute(1, 2, 0).detach(), atol=1e-3)


def test_its_coding_gain_is_more_than_that_of_the_cosine_transform() -> None:
    analysis, synthesis = lines()
    along = np.arange(3 * BLOCK)
    covariance = 0.95 ** np.abs(np.subtract.outer(along, along))
    variances = np.diag(analysis @ covariance @ analysis.T) * np.square(synthesis).sum(0)
    assert -10 * np.log10(np.prod(variances) ** (1 / BLOCK)) == pytest.approx(9.557, abs=0.001)


def test_three_colours_are_undone() -> None:
    x = torch.from_numpy(drawn(32, 32, 3, 1)).movedim(-1, 0)[None].float()
    transform = Transform(3)
    assert float((transform.decode(transform.encode(x)) + 128 - x).detach().abs().max()) < 1e-3
    assert transform.analysis.shape[0] == lapped(3)[0].shape[0] == 192


def test_the_density_of_a_channel_is_one_over_all_bins() -> None:
    transform, steps = Transform(1), torch.full((1, 64, 1, 1), 3.0)
    with torch.no_grad():
        transform.mix.normal_(generator=torch.Generator().manual_seed(0))
        bins = (torch.arange(-2000, 2001.0) * 3.0).reshape(1, 1, 1, -1).expand(1, 64, 1, -1)
        total = torch.exp(-transform.cost(bins, steps)).sum((0, 2, 3))
    assert torch.allclose(total, torch.ones(64), atol=1e-3)


def test_training_the_transform_lowers_its_objective() -> None:
    pictures = [drawn(64, 64, 1, seed) for seed in range(4)]
    x = crops(pictures, 64, 4, np.random.default_rng(1))()
    nominal = torch.tensor([4.0, 8.0, 16.0, 32.0])

    def judged(steps: int) -> float:
        draw = crops(pictures, 32, 4, np.random.default_rng(0))
        transform = fit_transform(draw, 1, steps=steps, seconds=1000.0, seed=0)
        return float(objective(transform, x, nominal, torch.Generator().manual_seed(0)).detach())

    assert judged(80) < 0.95 * judged(0)


def test_squares_are_gathered_and_spread_again() -> None:
    maps = np.arange(4 * 6 * 3.0).reshape(4, 6, 3)
    assert (spread(gathered(maps, 2), 2) == maps).all()
    assert gathered(maps, 2)[0, 1, :6].tolist() == maps[0, 2:4].ravel().tolist()


def test_windows_beyond_the_edge_are_mirrored_with_their_signs() -> None:
    rng = np.random.default_rng(0)
    maps, weights = rng.normal(size=(3, 4, 2)), rng.normal(size=(18, 5))
    signs = np.array([[1, -1], [-1, 1]])
    ringed = np.pad(maps, ((1, 1), (1, 1), (0, 0)), mode="edge")
    ringed[[0, -1]] *= signs[0]
    ringed[:, [0, -1]] *= signs[1]
    for y, x in itertools.product(range(3), range(4)):
        expected = ringed[y : y + 3, x : x + 3].ravel() @ weights
        assert np.allclose(convolved(maps, weights, 0.0, signs)[y, x], expected)


def whole_decoder(seed: int = 0) -> WholeDecoder:
    rng = np.random.default_rng(seed)
    size = 3
    synthesis = rng.normal(size=(9 * size, 64)) * 0.1
    first, point = made_whole(synthesis, np.zeros(64), np.full(9 * size, 2**20), 6, 15, last=True)
    most = np.tile([2**14] * 4 + [64], 9).astype(float)
    second, point = made_whole(rng.normal(size=(45, 3)) * 0.1, rng.normal(size=3), most, 6, 15, last=False)
    third, _ = made_whole(
        rng.normal(size=(27, 4)) * 0.02, rng.normal(size=4), np.full(27, second.cap), point, 15, last=True
    )
    return WholeDecoder(1, rng.choice([-1, 1], size=(2, size)), first, (second, third))


def python_layer(layer: WholeLayer, maps: np.ndarray, signs: np.ndarray | None = None) -> np.ndarray:
    """The layer over windows of whole numbers of any length, one by one."""
    ringed = np.pad(maps, ((1, 1), (1, 1), (0, 0)), mode="edge").astype(object)
    if signs is not None:
        ringed[[0, -1]] *= signs[0].astype(object)
        ringed[:, [0, -1]] *= signs[1].astype(object)
    found = np.empty((*maps.shape[:2], len(layer.bias)), dtype=object)
    weights = layer.weights.astype(object) * 2 ** layer.exponents.astype(object)[:, None]
    for y, x in itertools.product(*map(range, maps.shape[:2])):
        sums = ringed[y : y + 3, x : x + 3].ravel().dot(weights) + layer.bias.astype(object)
        units = [value >> layer.shift for value in sums]
        found[y, x] = [min(max(unit, 0), layer.cap) if layer.cap else unit for unit in units]
    return found


def test_the_decoder_is_that_of_whole_numbers_of_any_length() -> None:
    decoder, level = whole_decoder(), Level(step=777, number=20)
    code = np.random.default_rng(1).integers(-(2**13), 2**13, size=(3, 2, 3))
    limit = 2**18
    pixels = np.clip(python_layer(decoder.synthesis, code, decoder.signs), -limit, limit)
    pixels = gathered(spread(pixels.astype(np.int64), BLOCK), 2).astype(object)
    ratios = np.clip((pixels * 16) // level.step, -(2**14), 2**14)
    x = np.concatenate([ratios, np.full((*ratios.shape[:2], 1), level.number, dtype=object)], axis=2)
    for layer in decoder.filters:
        x = python_layer(layer, x)
    total = pixels * 64 + np.clip(x, -256, 256) * level.step + 2**13 + 128 * 2**14
    expected = spread(np.clip(total >> 14, 0, 255).astype(np.int64), 2)
    assert (decoder(code, level) == expected).all()
    assert len(np.unique(expected)) > 50


def test_tall_pictures_are_decoded_in_strips_that_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = whole_decoder()
    code = np.random.default_rng(1).integers(-(2**13), 2**13, size=(41, 5, 3))
    expected = decoder(code, Level(900, 10))
    for strip, windows in ((1, 3), (7, 10**6), (1000, 64)):
        monkeypatch.setattr(whole_convolution, "STRIP", strip)
        monkeypatch.setattr(whole_convolution, "WINDOWS", windows)
        assert (decoder(code, Level(900, 10)) == expected).all()


def test_the_whole_decoder_is_near_the_one_that_was_trained() -> None:
    generator = torch.Generator().manual_seed(0)
    decoder = Decoder(Transform(1), (6, 6), generator)
    with torch.no_grad():
        decoder.weights[-1].normal_(0, 0.05, generator=generator)
    code = torch.randint(-4, 5, (1, 64, 4, 5), generator=generator).float() * 8
    expected = decoder(code, torch.tensor([16.0]), torch.tensor([21.0]))[0] + 128
    found = decoder.whole()((code[0].permute(1, 2, 0) * 64).long().numpy(), Level(16 * 64, 21))
    assert np.abs(found[..., 0] - expected[0].clamp(0, 255).detach().numpy()).max() < 0.6


def test_sums_that_could_be_inexact_are_refused() -> None:
    decoder = whole_decoder()
    heavy = WholeLayer(decoder.synthesis.weights, decoder.synthesis.exponents + 40, decoder.synthesis.bias, 62, 0)
    with pytest.raises(InputError, match="sums could reach"):
        WholeDecoder(1, decoder.signs, heavy, ())
    with pytest.raises(InputError, match="signs"):
        WholeDecoder(1, decoder.signs * 2, decoder.synthesis, ())


def test_octaves_are_near_the_logarithm() -> None:
    x = np.arange(2**15 + 1)
    assert np.abs(octaves() - 16 * np.log2(1 + x)).max() < 2.4
    assert (np.diff(octaves()) >= 0).all()


@pytest.mark.parametrize("shape", [(1, 64, 64), (2, 37, 50), (1, 5, 3), (1, 1, 1), (1, 8, 90), (3, 0, 4), (0, 8, 8)])
def test_what_is_read_is_what_was_decoded_for_any_size(grey: LossyModel, shape: tuple[int, ...]) -> None:
    many, height, width = shape
    rows = [drawn(height, width, 1, 50 + number)[..., 0] for number in range(many)]
    pictures = np.array(rows, dtype=np.uint8).reshape(shape)
    found = read(grey, written(grey, pictures, 30), shape)
    assert found.shape == shape
    assert found.dtype == np.uint8
    if pictures.size:
        assert (found == grey.decoded(grey.code(pictures[..., None], 30), 30)[:, :height, :width, 0]).all()
        assert np.abs(found.astype(int) - pictures).max() < 60


def test_small_pictures_are_coded_together_and_large_ones_in_groups(grey: LossyModel) -> None:
    pictures = np.stack([drawn(17, 24, 1, seed)[..., 0] for seed in range(7)])
    payload = written(grey, pictures, 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lossy, "TOGETHER", 3 * 9)
        apart = written(grey, pictures, 30)
        assert (read(grey, apart, pictures.shape) == read(grey, written(grey, pictures, 30), pictures.shape)).all()
    alone = [read(grey, written(grey, picture[None], 30), (1, 17, 24))[0] for picture in pictures]
    found = read(grey, payload, pictures.shape)
    assert found.shape == pictures.shape
    # Alone, a channel that a picture does not use is left out; together, if none of them uses it.
    assert np.square(found.astype(float) - alone).mean() < 1
    assert len(payload) < len(apart) < sum(len(written(grey, picture[None], 30)) for picture in pictures)


@pytest.mark.parametrize("kind", ["noise", "black", "white", "board"])
def test_pictures_unlike_those_learnt_come_back_as_they_were_decoded(grey: LossyModel, kind: str) -> None:
    picture = {
        "noise": np.random.default_rng(0).integers(0, 256, (40, 40)),
        "black": np.zeros((40, 40)),
        "white": np.full((40, 40), 255),
        "board": 255 * (np.indices((40, 40)).sum(0) % 2),
    }[kind].astype(np.uint8)[None]
    for quality in (0, QUALITIES - 1):
        back = read(grey, written(grey, picture, quality), picture.shape)
        assert (back[0] == grey.decoded(grey.code(picture[..., None], quality), quality)[0, :40, :40, 0]).all()
    assert np.square(back.astype(float) - picture).mean() < 6**2


def test_bits_and_error_follow_the_quality(grey: LossyModel) -> None:
    picture = drawn(40, 48, 1, 99)[None, ..., 0]
    bits = [grey.bits(picture, quality) for quality in (5, 20, 35)]
    errors = [grey.psnr(picture, quality) for quality in (5, 20, 35)]
    assert bits[0] < bits[1] < bits[2]
    assert errors[0] < errors[1] < errors[2]
    assert errors[2] > errors[0] + 10
    payload = written(grey, picture, 20)
    assert 0 <= 8 * len(payload) - bits[1] < 150


def test_the_quality_is_found_for_asked_bits_and_for_an_asked_error(grey: LossyModel) -> None:
    picture = drawn(32, 24, 1, 98)[None, ..., 0]
    quality = grey.quality_for(picture, bits_per_pixel=1.0)
    assert grey.bits(picture, quality) <= picture.size < grey.bits(picture, quality + 1)
    quality = grey.quality_for(picture, psnr=33.0)
    assert grey.psnr(picture, quality) >= 33.0 > grey.psnr(picture, quality - 1)
    assert grey.quality_for(picture, psnr=1000.0) == QUALITIES - 1
    assert grey.quality_for(picture, bits_per_pixel=1e-9) == 0


def test_a_price_buys_fewer_bits_at_a_lower_sum(grey: LossyModel) -> None:
    steps = grey.steps[20] / 64
    code = encoded(drawn(64, 64, 1, 97), grey.analysis)[None] / steps

    def judged(price: float) -> tuple[float, float]:
        ints, tally = grey.maps.chosen(code, 20, price), Tally()
        grey.maps.write(tally, ints, 20)
        return float(np.square(ints - code).sum()), tally.ideal_bits

    (error, bits), (more, fewer) = judged(0.0), judged(0.15)
    assert (grey.maps.chosen(code, 20, 0.0) == np.rint(code)).all()
    assert more > error
    assert fewer < bits
    assert more + 0.15 * fewer < error + 0.15 * bits


def test_threads_change_nothing(grey: LossyModel) -> None:
    pictures = drawn(160, 96, 1, 96)[None, ..., 0]
    with threadpool_limits(limits=1):
        payload = written(grey, pictures, 25)
        one = read(grey, payload, pictures.shape)
    with threadpool_limits(limits=2):
        assert (read(grey, payload, pictures.shape) == one).all()


def test_a_model_of_its_arrays_is_the_same(grey: LossyModel) -> None:
    pictures = drawn(40, 40, 1, 95)[None, ..., 0]
    again = LossyModel.from_spec(grey.spec(), grey.tensors())
    payload = written(grey, pictures, 30)
    assert (read(again, payload, pictures.shape) == read(grey, payload, pictures.shape)).all()
    for name in ("steps", "decoder.signs", "decoder.0.weights", "maps.network.limits", "maps.context.related"):
        lacking = {key: value for key, value in grey.tensors().items() if key != name}
        with pytest.raises(FileFormatError):
            LossyModel.from_spec(grey.spec(), lacking)
    other = {**grey.tensors(), "maps.context.related": np.full((64, 8), 63, dtype=np.int16)}
    with pytest.raises(FileFormatError, match="earlier channels"):
        LossyModel.from_spec(grey.spec(), other)


def test_three_colours_there_and_back() -> None:
    model = fit_lossy(
        [drawn(48, 64, 3, seed) for seed in range(3)], seconds=1.0, steps=5, hidden=(8,), filters=(4,), codes=3
    )
    pictures = np.stack([drawn(40, 44, 3, seed) for seed in (70, 71)])
    back = read(model, written(model, pictures, 35), pictures.shape)
    assert (back[1] == model.decoded(model.code(pictures[1:2], 35), 35)[0, :40, :44]).all()
    again = LossyModel.from_spec(model.spec(), model.tensors())
    assert again.colours == 3
    assert mirror_signs(3).shape == (2, 192)
    assert model.psnr(pictures, QUALITIES - 1) > 42
    assert model.psnr(pictures, 35) > 28


@pytest.mark.gpu
def test_what_a_gpu_learnt_codes_on_the_processor() -> None:
    pictures = [drawn(48, 64, 1, seed) for seed in range(4)]
    model = fit_lossy(pictures, seconds=60.0, transform_steps=3, steps=200, hidden=(8,), filters=(4,), device="cuda")
    payload = written(model, pictures[0][None], 30)
    assert model.psnr(pictures[0][None], 30) > 28
    assert (read(model, payload, (1, 48, 64, 1)) == read(model, payload, (1, 48, 64, 1))).all()


def test_what_cannot_be_used_is_refused(grey: LossyModel) -> None:
    picture = drawn(16, 16, 1, 0)[None, ..., 0]
    for bad, match in ((picture.astype(float), "uint8"), (picture[0], "shape"), (drawn(8, 8, 3, 0)[None], "shape")):
        with pytest.raises(InputError, match=match):
            grey.bits(bad, 20)
    for quality in (-1, QUALITIES, 2.5, True):
        with pytest.raises(InputError, match="quality"):
            grey.bits(picture, quality)  # type: ignore[arg-type]
    for asked in ({}, {"psnr": 30.0, "bits_per_pixel": 1.0}, {"psnr": -1.0}):
        with pytest.raises(InputError, match="psnr"):
            grey.quality_for(picture, **asked)
    for pictures, how in (
        ([], {}),
        ([picture[0] / 255], {}),
        ([picture[0]], {"seconds": 0}),
        ([picture[0]], {"hidden": (0,)}),
    ):
        with pytest.raises(InputError):
            fit_lossy(pictures, **how)


def test_a_cut_payload_is_refused(grey: LossyModel) -> None:
    pictures = drawn(64, 64, 1, 94)[None, ..., 0]
    payload = written(grey, pictures, 30)
    with pytest.raises(FileFormatError):
        read(grey, payload[:-9], pictures.shape)
    with pytest.raises(FileFormatError):
        read(grey, payload + bytes(3), pictures.shape)


def test_an_altered_payload_is_refused_or_gives_some_picture(grey: LossyModel) -> None:
    pictures = drawn(16, 24, 1, 93)[None, ..., 0]
    payload = written(grey, pictures, 20)
    for place in range(0, len(payload), max(1, len(payload) // 25)):
        altered = bytearray(payload)
        altered[place] ^= 0x55
        try:
            found = grey.read(Reader(bytes(altered)), pictures.shape)
        except FileFormatError:
            continue
        assert found.shape == pictures.shape
