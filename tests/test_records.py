"""Records: frozen, and parts written as JSON and back."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from checks_for_kinds import LAYOUT

import isthmus as ist
from isthmus.records import EVALUATION, PARTS, Batch, Layout, Pass, from_json, part, to_json

EXAMPLES = {
    "Layout": Layout((2, 3), ("height", "width"), (True, False, True, True, True, True)),
    "Plain": ist.Plain("sigmoid"),
    "Mask": ist.Mask(ist.Ramp(0.0, 0.5, epochs=3, shape="cosine")),
    "GaussianNoise": ist.GaussianNoise(0.7),
    "SaltPepper": ist.SaltPepper(0.2),
    "RowSwap": ist.RowSwap(0.3),
    "Squared": ist.Squared(variance=0.5),
    "Absolute": ist.Absolute(),
    "Bernoulli": ist.Bernoulli(),
    "Dense": ist.Dense(hidden=(2.0, 30), activation="relu", norm="batch", dropout=0.1, tied=True, linear_path=True),
    "L1": ist.L1(0.3, layer="encoder.linear.0"),
    "WeightDecay": ist.WeightDecay(ist.Ramp(0.0, 1e-3, 5)),
    "Ramp": ist.Ramp(1.0, 0.0, epochs=2.5),
    "Between": ist.Between(0.1, 2.0, log=True),
    "MaskPatches": ist.MaskPatches(ist.Between(0.2, 0.8), size=7, tell=True, kept_weight=0.5),
    "TopK": ist.TopK(3, activation="identity"),
    "BatchTopK": ist.BatchTopK(0.25, activation="softplus"),
    "JumpReLU": ist.JumpReLU(price=2.0, threshold=0.5, bandwidth=0.1),
    "Zeroed": ist.Zeroed((0, 4), ist.TopK(3)),
    "Categorical": ist.Categorical(7),
    "Cosine": ist.Cosine(concentration=3.0),
    "NegativeBinomial": ist.NegativeBinomial(features=6),
    "ZeroInflatedNegativeBinomial": ist.ZeroInflatedNegativeBinomial(features=6),
    "StudentT": ist.StudentT(df=4.0, scale=0.5),
    "Huber": ist.Huber(threshold=2.0, scale=0.5),
    "GroupedHuber": ist.GroupedHuber(threshold=5.0, scale=0.5),
    "KLSparsity": ist.KLSparsity(0.1, 0.5, layer="encoder.hidden.0", window=50),
    "Saturating": ist.Saturating(0.2, "shrink", layer="encoder.linear.0"),
    "Contractive": ist.Contractive(ist.Ramp(0.0, 1.0, 5), method="projection", projections=7),
    "HigherOrderContractive": ist.HigherOrderContractive(0.3, 0.2, 3, method="exact", projections=5),
    "Greedy": ist.Greedy(ist.Mask(0.25), (ist.L1(0.1),), epochs=7, learning_rate=1e-3),
    "Crop": ist.Crop(7),
    "Together": ist.Together((ist.Flip(), ist.Shift(3))),
    "FramesTogether": ist.FramesTogether(ist.Restoring(8, levels=2)),
    "Boltzmann": ist.Boltzmann(steps=3, epochs=7, learning_rate=1e-3),
}
"""One of every part, no knob at its default where that is possible."""


@pytest.mark.parametrize("name", sorted(PARTS))
def test_every_part_survives_json(name: str) -> None:
    value = EXAMPLES[name] if name in EXAMPLES else PARTS[name]()  # without an example: as it is made by default
    again = from_json(json.loads(json.dumps(to_json(value))))
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_part_is_a_frozen_value(name: str) -> None:
    value = EXAMPLES[name]
    assert dataclasses.replace(value) == value
    assert hash(dataclasses.replace(value)) == hash(value)
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)


def test_plain_values() -> None:
    value = {"a": [1, 2.5, None], "b": {"c": (True, "x")}, "d": np.float64(0.5), "e": np.int64(3)}
    assert to_json(value) == {"a": [1, 2.5, None], "b": {"c": [True, "x"]}, "d": 0.5, "e": 3}
    assert from_json(to_json(value)) == {"a": (1, 2.5, None), "b": {"c": (True, "x")}, "d": 0.5, "e": 3}


def test_only_known_parts_are_built() -> None:
    words = r"unknown part 'os.system'; known: Absolute, AdversarialPrior, Autoregressive, Balance, BatchTopK"
    with pytest.raises(ValueError, match=words):
        from_json({"part": "os.system", "command": "true"})


def test_what_is_no_data_is_refused() -> None:
    with pytest.raises(TypeError, match=r"function .* cannot be written as JSON data"):
        to_json({"rate": lambda epoch: epoch})


def test_a_class_that_only_shares_the_name_is_no_part() -> None:
    class Mask:
        fraction = 0.5

    with pytest.raises(TypeError, match="cannot be written as JSON data"):
        to_json(Mask())


def test_a_part_of_ones_own() -> None:
    @part
    class Half:
        share: float = 0.5

    try:
        assert from_json(to_json(Half(0.25))) == Half(0.25)
    finally:
        del PARTS["Half"]


def test_layout_counts_features() -> None:
    assert Layout((30,), ("column",)).features == 30
    assert Layout((28, 28, 3), ("height", "width", "channel")).features == 2352


def test_a_batch_shows_only_cells_that_are_there() -> None:
    x = torch.tensor([[1.0, float("nan"), 3.0], [float("inf"), 5.0, 6.0]])
    weight = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]])
    batch = Batch(x, Layout((3,), ("column",)), weight)
    assert batch.visible().tolist() == [[1.0, 0.0, 3.0], [0.0, 5.0, 6.0]]
    assert batch.visible(torch.full((2, 3), 7.0)).tolist() == [[7.0, 0.0, 7.0], [0.0, 7.0, 7.0]]
    assert batch.mean_cells == 1.75
    assert len(batch) == 2


def test_a_batch_without_weights_is_shown_whole() -> None:
    batch = Batch(torch.ones(4, 6), LAYOUT)
    assert batch.visible() is batch.x
    assert batch.mean_cells == 6


def test_evaluation_is_the_end_of_every_schedule() -> None:
    assert Pass() == EVALUATION
    assert (EVALUATION.training, EVALUATION.generator, EVALUATION.draws) == (False, None, 1)
    assert ist.Ramp(0.0, 3.0, epochs=100)(EVALUATION.epoch) == 3.0
