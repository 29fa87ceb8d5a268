"""Sequences, with lengths and gaps, through the whole of `Autoencoder`."""

from __future__ import annotations

import numpy as np
import pytest

import isthmus as ist
from isthmus.training import of_like_length

NETWORK = ist.Recurrent(hidden=16, bidirectional=True)


def waves(rows: int = 200, seed: int = 0, longest: int = 30) -> list[np.ndarray]:
    """Two channels, in units that differ by a factor of 1,000, of 1 to ``longest`` steps."""
    draw = np.random.default_rng(seed)
    made = []
    for length, phase in zip(draw.integers(1, longest, rows), draw.uniform(0, 6, rows), strict=True):
        t = np.arange(length)
        made.append(np.stack([np.sin(t / 5 + phase), 5000 + 1000 * np.cos(t / 3 + phase)], axis=1))
    return made


@pytest.fixture(scope="module")
def fitted() -> ist.Autoencoder:
    return ist.Autoencoder(
        network=NETWORK, code_size=4, epochs=40, learning_rate=1e-2, batch_size=32, random_state=0
    ).fit(waves())


def test_lists_of_arrays_come_back_as_they_went_in(fitted: ist.Autoencoder) -> None:
    X = waves(20, seed=1)
    back = fitted.reconstruct(X)
    assert [row.shape for row in back] == [row.shape for row in X]
    lost = np.concatenate([b - x for b, x in zip(back, X, strict=True)])
    spread = np.concatenate(X).std(0)
    assert (np.sqrt(np.square(lost).mean(0)) < 0.6 * spread).all()  # both channels, whatever their units


def test_padding_moves_neither_code_nor_score(fitted: ist.Autoencoder) -> None:
    """A short sequence beside a long one, alone, or in a set of others: the same to the last digits of float32."""
    X = waves(9, seed=2)
    together, scores = fitted.transform(X), fitted.score_samples(X)
    for i, row in enumerate(X):
        alone = ist.data.sequences([row])
        np.testing.assert_allclose(fitted.transform(alone)[0], together[i], atol=2e-6)
        np.testing.assert_allclose(fitted.score_samples(alone)[0], scores[i], rtol=1e-4)
    longer = [*X, np.concatenate([X[0]] * 9)]  # longer than any that it was fitted on
    np.testing.assert_allclose(fitted.transform(longer)[: len(X)], together, atol=2e-6)
    assert fitted.reconstruct(longer)[-1].shape == (9 * len(X[0]), 2)


def test_what_a_gap_holds_is_filled_and_counts_for_nothing() -> None:
    X = np.stack([np.sin(np.arange(24) / 4 + phase) for phase in np.linspace(0, 6, 300)])
    holes = np.random.default_rng(0).random(X.shape) < 0.3
    gappy = np.where(holes, np.nan, X)
    ae = ist.Autoencoder(code_size=3, epochs=60, random_state=0).fit(ist.data.sequences(gappy))
    filled = ae.reconstruct(ist.data.sequences(gappy))
    assert filled.shape == X.shape
    assert np.isfinite(filled).all()
    assert np.sqrt(np.square(filled - X)[holes].mean()) < 0.5 * X.std()
    # The score is of the cells that were measured: half of them, and the density has half the dimensions.
    whole, half = X[:5].copy(), X[:5].copy()
    half[:, ::2] = np.nan
    assert np.isfinite(ae.score_samples(ist.data.sequences(half))).all()
    assert not np.allclose(ae.score_samples(ist.data.sequences(whole)), ae.score_samples(ist.data.sequences(half)))


def test_gaps_and_padding_are_scaled_away() -> None:
    """Channels are scaled by what was measured in them, whatever the padding and however many gaps there are."""
    X = waves(50)
    X[0][: len(X[0]) // 2 + 1, 1] = np.nan
    ae = ist.Autoencoder(network=NETWORK, code_size=2, epochs=1, validation_fraction=0.0, random_state=0).fit(X)
    steps = np.concatenate(X)
    np.testing.assert_allclose(ae.scaling_.centre[:2], np.nanmean(steps, axis=0), rtol=0.02)
    np.testing.assert_allclose(ae.scaling_.scale[:2], np.nanstd(steps, axis=0), rtol=0.02)
    assert ae.scaling_.mode == "standard"


def test_scores_are_densities_in_the_users_units(fitted: ist.Autoencoder) -> None:
    """A channel in other units changes a row's score by its valid steps times the logarithm of the factor."""
    X = waves(100)
    scaled = [row * [1.0, 10.0] for row in X]
    how = {"network": NETWORK, "code_size": 2, "epochs": 1, "random_state": 0}
    first, second = (ist.Autoencoder(**how).fit(rows).score_samples(rows) for rows in (X, scaled))
    expected = np.array([len(row) for row in X]) * np.log(10.0)
    np.testing.assert_allclose(first - second, expected, rtol=1e-3, atol=1e-2)


def test_a_saved_model_takes_sequences_of_any_length(fitted: ist.Autoencoder, tmp_path) -> None:
    again = ist.load(fitted.save(tmp_path / "waves.safetensors"))
    X = waves(7, seed=3, longest=50)
    assert np.array_equal(again.transform(X), fitted.transform(X))
    assert fitted.diagnose(X).figures["rmse"] > 0


def test_text_is_rebuilt_letter_by_letter(tmp_path) -> None:
    words = ["ab", "abc", "ba", "bacab", "cab", "a", "c", "abba"] * 30
    ae = ist.Autoencoder("recurrent", code_size=8, epochs=60, learning_rate=1e-2, batch_size=32, random_state=0)
    ae.fit(words)
    assert isinstance(ae.composition_.loss, ist.Categorical)
    assert ae.reconstruct(["abc", "bacab"]) == ["abc", "bacab"]
    again = ist.load(ae.save(tmp_path / "words.safetensors"))
    assert again.reconstruct(["cab"]) == ["cab"]


def test_rows_of_a_batch_are_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 1000)
    order = np.random.default_rng(1).permutation(1000)
    found = of_like_length(order, lengths, 32, np.random.default_rng(2))
    assert sorted(found) == list(range(1000))
    spread = [np.ptp(lengths[found[start : start + 32]]) for start in range(0, 960, 32)]
    assert np.mean(spread) < 15
    starts = lengths[found[:960].reshape(-1, 32)].mean(1)
    assert (np.diff(starts) < 0).any()  # not from short to long: the batches are shuffled


@pytest.mark.parametrize("kind", ["vae", "sparse", "denoising", "top_k"])
def test_kinds_take_sequences_of_several_lengths(kind: str) -> None:
    ae = ist.Autoencoder(kind, network=ist.Recurrent(hidden=8), code_size=4, epochs=2, random_state=0).fit(waves(60))
    assert ae.transform(waves(5)).shape == (5, 4)
    assert np.isfinite(ae.score_samples(waves(5))).all()


def test_a_network_of_one_length_takes_shorter_sequences_padded() -> None:
    """A dense network belongs to the longest sequence of its fit; where a shorter one ends, nothing is counted."""
    ae = ist.Autoencoder(network=ist.Dense((32,)), code_size=3, epochs=3, random_state=0).fit(waves())
    short = [row[:5] for row in waves(20, seed=4) if len(row) >= 5]
    back = ae.reconstruct(short)
    assert back.shape == (len(short), 5, 2)
    longer = [np.zeros((31, 2))]
    with pytest.raises(ist.InputError, match="sequences of at most 29 steps; there is one of 31"):
        ae.transform(longer)
