"""Ill models are called out by name, and their healthy twins are not: the same questions put to real fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import isthmus as ist
from isthmus.diagnostics import Diagnosis, diagnose
from isthmus.diagnostics.probe import Probe
from isthmus.errors import DataWarning
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.losses.scaled import Squared

DIGITS = ist.data.digits()[0].reshape(-1, 64) / 16.0
NETWORK = ist.Dense(hidden=(128, 64), linear_path=False)
ILL = ("memorising", "copying", "balance", "attractors", "lone rows", "numbering", "dead units", "activity")


def judged(model: ist.Autoencoder, rows: np.ndarray) -> Diagnosis:
    return diagnose(model.composition_, model.form_.layout, model.scaling_.forward(rows), model.record_)


def bad(found: Diagnosis) -> set[str]:
    return {verdict.name for verdict in found if verdict.level == "bad"}


def fitted(rows: np.ndarray, **knobs: Any) -> ist.Autoencoder:
    return ist.Autoencoder(**{"network": NETWORK, "random_state": 0, **knobs}).fit(rows)


BY_HEART = {"code_size": 10, "early_stopping": False, "weight_decay": 0.0, "learning_rate": 3e-3}


def test_twenty_images_learnt_by_heart_without_held_out_rows() -> None:
    images = ist.data.digits()[0]
    network = ist.Dense(hidden=(256, 128), linear_path=False)
    model = fitted(images[:20], network=network, code_size=10, epochs=600, weight_decay=0.0, validation_fraction=0.0)
    assert model.record_.train_error < 1e-6
    own = judged(model, images[:20])
    assert {"memorising", "attractors"} <= bad(own)
    assert "its 20 training rows all but exactly" in own["memorising"].sentence
    assert "it holds them as memories" in own["attractors"].sentence
    others = judged(model, images[20:200])
    assert "memorising" in bad(others)
    assert "its 20 training rows by heart, or the rows given are of another kind" in others["memorising"].sentence


def test_twenty_images_learnt_by_heart_with_held_out_rows() -> None:
    model = fitted(DIGITS[:26], epochs=250, **BY_HEART)
    assert model.record_.train_rows == 20
    for rows in (DIGITS[:26], DIGITS[26:200]):
        found = judged(model, rows)
        assert "memorising" in bad(found)
        assert "its 20 training rows by heart" in found["memorising"].sentence


def test_planted_noise_rows_that_are_learnt_by_heart() -> None:
    generator = np.random.default_rng(0)
    rows = generator.permutation(np.concatenate([DIGITS[:200], generator.random((12, 64))]))
    found = judged(fitted(rows, epochs=100, **BY_HEART), rows)
    assert {"memorising", "lone rows"} <= bad(found)
    assert found.figures["lone_rows"] >= 6
    twin = judged(fitted(rows, method="linear", network="auto", code_size=10, epochs=40), rows)
    assert twin.figures["lone_rows"] >= 6
    assert not bad(twin) & set(ILL)


def test_the_healthy_twin_of_the_memorisers() -> None:
    model = fitted(DIGITS[:600], code_size=10, epochs=15)
    for rows in (DIGITS[:600], DIGITS[600:]):
        assert not bad(judged(model, rows)) & set(ILL)


def numbering(rows: np.ndarray, held_out: np.ndarray) -> tuple[Probe, Any]:
    """A code of one unit, and a decoder that joins the rows by straight lines in the order of that unit.

    Through n points goes a hidden layer of n - 1 units: the k-th bends the line at the k-th code.
    """
    x = torch.from_numpy(rows).float()
    encoder, first, last = nn.Linear(64, 1, bias=False), nn.Linear(1, len(x) - 1), nn.Linear(len(x) - 1, 64)
    with torch.no_grad():
        encoder.weight.copy_(torch.randn(1, 64, generator=torch.Generator().manual_seed(0)))
        codes, order = encoder(x)[:, 0].double().sort()
        knots = x[order].double()
        slopes = knots.diff(dim=0) / codes.diff()[:, None]
        first.weight.fill_(1.0)
        first.bias.copy_(-codes[:-1])
        last.weight.copy_(torch.cat([slopes[:1], slopes.diff(dim=0)]).T)
        last.bias.copy_(knots[0])
    decoder = nn.Sequential(first, nn.ReLU(), last)
    model = ist.Autoencoder(
        ist.compose(encoder, Plain(), decoder, Squared(1.0)), scale="none", epochs=1, learning_rate=1e-12,
        validation_fraction=0.0, random_state=0,
    ).fit(rows)  # fmt: skip
    probe = Probe(model.composition_, model.form_.layout, torch.from_numpy(held_out).float())
    return probe, model.record_


def test_a_code_of_one_unit_that_numbers_its_rows() -> None:
    noisy = DIGITS + 0.01 * np.random.default_rng(0).normal(size=DIGITS.shape)  # no column is constant
    rows, others = noisy[:40], noisy[40:140]
    probe, record = numbering(rows, others)
    assert record.train_error < 1e-6
    own = diagnose(probe.composition, probe.layout, torch.from_numpy(rows).float(), record)
    assert "numbering" in bad(own)
    assert own["numbering"].sentence.startswith("The code (1 unit) numbers the rows given rather than describe them")
    assert "memorising" in bad(diagnose(probe.composition, probe.layout, probe.x, record))
    error = float(probe.evaluate()[1].mean())
    known = replace(record, held_out_rows=100, held_out_error=error, mean_error=float(others.var(0).mean()))
    for x in (torch.from_numpy(rows).float(), probe.x):
        assert {"memorising", "numbering"} <= bad(diagnose(probe.composition, probe.layout, x, known))


def test_the_healthy_twin_of_a_code_of_one_unit() -> None:
    generator = np.random.default_rng(0)
    place = generator.random((300, 1))
    bent = np.concatenate([np.cos(6 * place), np.sin(6 * place), place], axis=1) @ generator.normal(size=(3, 12))
    rows = bent + 0.02 * generator.normal(size=bent.shape)
    model = fitted(rows, network=ist.Dense(hidden=(48, 48), linear_path=False), code_size=1, epochs=80)
    found = judged(model, rows)
    assert found.figures["explained_share"] > 0.9
    assert not bad(found) & set(ILL)


def table(n: int = 500) -> np.ndarray:
    """30 columns that 6 hidden causes bend."""
    generator = np.random.default_rng(0)
    return np.tanh(generator.normal(size=(n, 6)) @ generator.normal(size=(6, 30)) / 2) + 0.1 * generator.normal(
        size=(n, 30)
    )


def test_an_overcomplete_net_that_copies_its_input() -> None:
    with pytest.warns(DataWarning, match="code_size=64 is wider than the data's 30 columns"):
        model = fitted(table(), network="auto", code_size=64, epochs=20)
    found = judged(model, table())
    assert {"copying", "balance"} <= bad(found)
    assert found["copying"].sentence.startswith("The code copies its input (64 units for 30 columns)")
    assert found["copying"].advice == "code_size <= 10, or the kind 'sparse' or 'denoising'."


@pytest.mark.parametrize(("method", "code_size"), [("undercomplete", 6), ("linear", 6), ("denoising", 64)])
def test_healthy_twins_of_the_copying_net(method: str, code_size: int) -> None:
    found = judged(fitted(table(), method=method, network="auto", code_size=code_size, epochs=20), table())
    assert not bad(found) & (set(ILL) - {"dead units"})
    assert found["dead units"].level == "good" or code_size == 64


def test_dead_units() -> None:
    rows = DIGITS[:600]
    model = fitted(rows, code_size=16, bottleneck=Plain("relu"), epochs=8)
    assert not bad(judged(model, rows)) & set(ILL)
    last = [layer for layer in model.composition_.encoder.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        last.bias[:9] = -1e4
    found = judged(model, rows)
    assert "dead units" in bad(found)
    assert found["dead units"].sentence.endswith("9 of them are the same for every row.")  # a tenth is on in one row


@pytest.mark.parametrize("method", ["undercomplete", "linear", "sparse", "denoising"])
@pytest.mark.parametrize("n", [40, 250])
def test_no_verdict_cries_wolf_on_small_tables(method: str, n: int) -> None:
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(n, 2)) @ generator.normal(size=(2, 6)) + 0.3 * generator.normal(size=(n, 6))
    found = judged(fitted(rows, method=method, network="auto", epochs=15), rows)
    wide = {"copying"} if method == "sparse" else set()  # more units than columns, hardly penalised: it may be one
    assert not bad(found) & (set(ILL) - wide)


@pytest.mark.parametrize(
    ("ill", "well"),
    [
        (ist.recipes.sparse(weight=300.0), ist.recipes.sparse()),
        (ist.recipes.contractive(weight=1e4), ist.recipes.contractive()),
    ],
)
def test_a_penalty_that_makes_the_code_collapse(ill: ist.Kind, well: ist.Kind) -> None:
    rows = ist.data.digits()[0][:1400]
    found = judged(fitted(rows, method=ill, network="auto", epochs=10), rows)
    assert {"dead units", "underfitting"} <= bad(found)
    assert "128 of 128 code units hardly change what is rebuilt" in found["dead units"].sentence
    assert found["dead units"].advice == "a lower penalty weight, or another learning_rate."
    assert [found[name].level for name in ("copying", "neighbours")] == ["note", "note"]
    twin = judged(fitted(rows, method=well, network="auto", epochs=10), rows)
    assert [twin[name].level for name in ("dead units", "copying", "neighbours", "PCA")] == ["good"] * 4


@pytest.mark.parametrize(("ill", "noise"), [(True, None), (False, 0.02), (False, 0.4)])
def test_a_code_of_one_unit_that_numbers_noise(ill: bool, noise: float | None) -> None:
    generator = np.random.default_rng(0)
    place = generator.random((30, 1))
    bent = np.concatenate([np.cos(6 * place), np.sin(6 * place), place], axis=1) @ generator.normal(size=(3, 10))
    rows = generator.normal(size=(30, 10)) if noise is None else bent + noise * generator.normal(size=bent.shape)
    knobs = {"network": ist.Dense((256, 256), "relu"), "code_size": 1, "validation_fraction": 0, "epochs": 500}
    assert ("numbering" in bad(judged(fitted(rows, **knobs), rows))) == ill
