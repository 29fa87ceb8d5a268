"""The diagnosis of mixed tables: errors and distances are those of cells, never of the numbers of levels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import isthmus as ist
from isthmus.composition import Composition, compose
from isthmus.diagnostics import FitRecord, diagnose
from isthmus.diagnostics.attractors import attraction
from isthmus.diagnostics.balance import sensitivity
from isthmus.diagnostics.copying import structureless_shares
from isthmus.diagnostics.points import owners, points, usual_values
from isthmus.diagnostics.probe import Probe, shuffled
from isthmus.diagnostics.wording import OF_POINTS
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.losses.columns import PerColumn
from isthmus.records import Column, Layout, Site
from isthmus.verdicts import usual_verdict

TABLE = (Column(), Column("binary"), Column("category", 4))
LAYOUT = Layout((3,), ("column",), TABLE)
NAMES = ("height", "member", "town")
RECORD = FitRecord(3, 3, 400, 100, 0.3, 0.32, 0.6, np.zeros(0), 10, "finished 10 epochs")


class Odds(nn.Module):
    """What the loss wants of a row that is its own code: the number, and odds of e^40 for its levels."""

    def __init__(self, blind: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.blind = blind

    def forward(self, z: Tensor) -> Tensor:
        z = z * 0 if self.blind else z
        member = 40 * (2 * z[:, 1:2].clamp(0, 1).round() - 1)
        town = 40 * nn.functional.one_hot(z[:, 2].round().long().clamp(0, 3), 4)
        return torch.cat([z[:, :1], member, town.to(z)], 1)


def copies(blind: bool = False) -> Composition:
    return compose(nn.Identity(), Plain(), Odds(blind), PerColumn().build(Site(LAYOUT))).eval()


def rows(n: int = 300) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    towns = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), n, True, generator=generator)
    members = (torch.rand(n, generator=generator) < 0.3).float()
    return torch.stack([torch.randn(n, generator=generator), members, towns.float()], 1)


def gaps(n: int = 300) -> Tensor:
    return (torch.rand(n, 3, generator=torch.Generator().manual_seed(1)) < 0.8).float()


def test_distances_between_points_are_the_errors_of_cells() -> None:
    columns = (
        Column(), Column("heavy"), Column("count"), Column("binary"), Column("ordinal", 5), Column("category", 7),
        Column("circular"),
    )  # fmt: skip
    loss = PerColumn().build(Site(Layout((7,), ("column",), columns)))
    random = np.random.default_rng(0)
    cells = [random.normal(size=60), random.normal(size=60), random.poisson(9, 60), random.integers(0, 2, 60),
             random.integers(0, 5, 60), random.integers(0, 7, 60), random.integers(0, 2, 60) / 2 + 0.3]  # fmt: skip
    x = torch.tensor(np.stack(cells, 1), dtype=torch.float32)
    placed = points(x, columns)
    assert placed.shape == (60, 14) == (60, len(owners(columns)))
    squared = (placed[:30] - placed[30:]).square().sum(1)
    assert torch.allclose(squared, loss.cell_errors(x[:30], x[30:]).sum(1), atol=1e-4)


def test_another_numbering_of_levels_changes_no_distance() -> None:
    x = rows()
    other = torch.stack([x[:, 0], x[:, 1], torch.tensor([2.0, 0.0, 3.0, 1.0])[x[:, 2].long()]], 1)
    first, second = (torch.pdist(points(one, TABLE)) for one in (x, other))
    assert torch.allclose(first, second, atol=1e-5)


def test_missing_cells_lie_in_the_middle_and_wide_categories_are_left_out() -> None:
    x, known = rows(), gaps()
    probe = Probe(copies(), LAYOUT, x * known, weight=known, names=NAMES)
    assert probe.points.shape == (300, 6)
    assert torch.all(probe.points[known[:, 0] == 0, 0] == 0)
    assert torch.all(probe.points[known[:, 2] == 0, 2:] == 0)
    assert torch.allclose(probe.points.mean(0), torch.zeros(6), atol=1e-5)
    wide = (Column("category", 101), Column("category", 100))
    assert owners(wide) == [1] * 100
    assert points(torch.zeros(2, 1), wide[:1]).tolist() == [[0.0], [0.0]]


def test_counts_weigh_no_more_than_numbers() -> None:
    layout = Layout((2,), ("column",), (Column(), Column("count")))
    x = torch.stack([torch.randn(200, generator=torch.Generator().manual_seed(0)), 10.0 ** (torch.arange(200) % 6)], 1)
    placed = Probe(copies(), layout, x).points
    assert placed.var(0, correction=0)[1] == pytest.approx(1.0, rel=1e-5)


def test_the_most_usual_values() -> None:
    x, known = rows(), gaps()
    usual = usual_values([(x[:100] * known[:100], known[:100]), (x[100:] * known[100:], known[100:])], TABLE)
    values = np.where(known.numpy() > 0, x.numpy(), np.nan)
    assert usual[0] == pytest.approx(np.nanmean(values[:, 0]), abs=1e-5)
    assert usual[1:].tolist() == [0.0, 0.0]
    probe = Probe(copies(), LAYOUT, x * known, weight=known)
    squares = np.nansum(np.square(values[:, 0] - np.nanmean(values[:, 0])))
    wrong = np.nansum(values[:, 1] != 0) - np.isnan(values[:, 1]).sum()
    wrong += np.nansum(values[:, 2] != 0) - np.isnan(values[:, 2]).sum()
    assert probe.variance == pytest.approx((squares + wrong) / known.sum().item(), rel=1e-4)


def test_a_copy_copies_and_a_blind_model_loses_what_usual_values_lose() -> None:
    x, known = rows(), gaps()
    copying = diagnose(copies(), LAYOUT, x, RECORD, names=NAMES)
    assert copying["copying"].level == "bad"
    assert "of real rows it loses 0 % of what the most usual values lose, of rows" in copying["copying"].sentence
    assert copying.figures["explained_share"] == 1
    assert copying.figures["shuffled_share"] == 0
    blind = diagnose(copies(blind=True), LAYOUT, x * known, RECORD, weight=known, names=NAMES)
    # 0 in every column is about the mean of the number, and the most frequent level of the others.
    assert blind.figures["explained_share"] == pytest.approx(0, abs=0.02)
    assert blind["copying"].level == "note"
    values = np.where(known.numpy() > 0, x.numpy(), np.nan)
    errors = np.nansum(np.stack([values[:, 0] ** 2, values[:, 1] > 0, values[:, 2] > 0]))
    means = [np.nanmean(values[:, 0] ** 2), values[known[:, 1] > 0, 1].mean(), (values[known[:, 2] > 0, 2] > 0).mean()]
    assert blind.figures["scaled_rmse"] ** 2 == pytest.approx(errors / known.sum().item(), rel=1e-4)
    assert blind.figures["rmse"] ** 2 == pytest.approx(np.mean(means), rel=1e-4)


def test_a_missing_cell_stays_missing_where_it_is_shuffled_to() -> None:
    x, known = rows(), gaps()
    poisoned = torch.where(known > 0, x, torch.full_like(x, 3.0))  # what lies in a missing cell must not matter
    shares = [structureless_shares(Probe(copies(), LAYOUT, one * known, weight=known)) for one in (x, poisoned)]
    assert shares[0] == shares[1]
    assert shares[0][0] == 0
    assert torch.equal(shuffled(known).sum(0), known.sum(0))


def test_what_does_not_apply_is_said_by_the_names_of_columns() -> None:
    found = diagnose(copies(), LAYOUT, rows(), RECORD, names=NAMES)
    between = "Does not apply: 'member', 'town' hold levels, counts or times of day, between which there"
    assert found["attractors"].sentence == f"{between} is nothing."
    assert found["balance"].sentence == f"{between} are no small steps."
    for verdict in (one for one in found if one.name not in OF_POINTS):
        assert not any(word in verdict.sentence for word in ("the variance", "squared error", "nan")), verdict


def test_errors_beside_those_of_the_most_usual_values() -> None:
    good = usual_verdict(RECORD, levels=True)
    assert good.level == "good"
    assert good.figure == pytest.approx(0.32 / 0.6)
    assert good.sentence == (
        "On held-out rows its error (numbers squared) is 47 % smaller than that of every cell as its column's most "
        "usual value (the mean of numbers, the most frequent of levels); PCA rebuilds no levels."
    )
    assert usual_verdict(replace(RECORD, held_out_error=0.6), levels=True).level == "note"
    assert usual_verdict(replace(RECORD, held_out_error=0.7), levels=False).level == "bad"
    assert "its column's mean; PCA" in usual_verdict(replace(RECORD, held_out_error=0.7), levels=False).sentence
    few = usual_verdict(replace(RECORD, held_out_rows=20), levels=True)
    assert (few.level, "so few rows cannot tell" in few.sentence) == ("note", True)
    assert usual_verdict(replace(RECORD, mean_error=0.0), levels=True).sentence.startswith("Cannot be judged")
    hint = diagnose(copies(blind=True), LAYOUT, rows(), replace(RECORD, held_out_error=0.7))["usual values"]
    assert (hint.level, hint.sentence.endswith("no more than a hint.")) == ("note", True)


def numbers_with_gaps(share: float) -> tuple[ist.Autoencoder, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 2)) @ random.normal(size=(2, 5)) + 0.1 * random.normal(size=(300, 5))
    x[random.random(x.shape) < share] = np.nan
    return ist.Autoencoder("undercomplete", code_size=2, epochs=3, random_state=0).fit(x), x


def test_numbers_with_gaps_are_judged_on_the_cells_that_are_known() -> None:
    model, x = numbers_with_gaps(0.05)
    found = model.diagnose(x)
    rebuilt = model.reconstruct(x)
    deviations = np.nanstd(x[:, :], axis=0)
    errors = np.square((rebuilt - x) / model.scaling_.scale)
    assert found.figures["scaled_rmse"] ** 2 == pytest.approx(np.nanmean(errors), rel=1e-3)
    variances = np.square(deviations / model.scaling_.scale)
    counts = np.isfinite(x).sum(axis=0)
    share = np.nansum(errors) / (variances * counts).sum()
    assert found.figures["explained_share"] == pytest.approx(1 - share, abs=1e-3)
    for name in ("balance", "attractors"):
        assert not found[name].sentence.startswith("Does not apply")
    assert math.isfinite(found.figures["slope_along"])
    assert "PCA knows no missing cells" in found["usual values"].sentence


def test_rows_of_which_none_is_complete() -> None:
    model, x = numbers_with_gaps(0.02)
    x[:, 0] = np.nan
    source = model._source(x)
    batch = model._batch(source, range(300))
    probe = Probe(model.composition_, batch.layout, batch.x, weight=batch.weight)
    assert attraction(probe).why == sensitivity(probe, 2).why == "every row has a missing cell"


def frame(n: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(0)
    kind = random.integers(0, 3, n)
    return pd.DataFrame(
        {"size": random.normal(size=n) + kind, "kind": np.array(list("abc"))[kind], "flag": random.random(n) < 0.4}
    )


def test_a_constant_category_and_one_row() -> None:
    table = frame()
    table["where"] = "here"
    with pytest.warns(ist.errors.DataWarning, match="constant"):
        model = ist.Autoencoder("masked", code_size=2, epochs=2, random_state=0).fit(table)
    found = model.diagnose(table)
    assert 0 < found.figures["explained_share"] <= 1
    assert math.isfinite(found.figures["shuffled_share"])
    one: Any = model.diagnose(table.head(1))
    assert one["copying"].sentence == "Cannot be judged: the rows given do not vary."
    assert one["neighbours"].sentence == "Cannot be judged from 1 rows."
    assert one.to_dict()["figures"]["rmse"] is not None


def test_every_cell_missing_is_judged_without_a_failure() -> None:
    model = ist.Autoencoder("masked", code_size=2, epochs=2, random_state=0).fit(frame())
    empty = frame(30)
    empty["size"], empty["kind"] = np.nan, None
    empty["flag"] = pd.array([None] * 30, dtype="boolean")
    found = model.diagnose(empty)
    assert found.figures["scaled_rmse"] == 0
    assert found["copying"].sentence == "Cannot be judged: the rows given do not vary."


def test_samples_and_steps_of_codes_of_mixed_tables_are_judged() -> None:
    model = ist.Autoencoder("vae", code_size=2, epochs=3, random_state=0).fit(frame(300))
    found = model.diagnose(frame(300))
    assert math.isfinite(found.figures["decoding_step"])
    assert 0 <= found.figures["completeness"] <= 1
    assert not found["completeness"].sentence.startswith("Does not apply")


def test_where_every_category_is_wide_there_are_no_distances() -> None:
    names = [f"way {i}" for i in np.random.default_rng(0).integers(0, 150, 600)]
    kinds, knobs = {"street": "category"}, {"code_size": 1, "epochs": 1, "random_state": 0}
    table = pd.DataFrame({"street": names, "other": names[::-1]})
    model = ist.Autoencoder("undercomplete", columns={**kinds, "other": "category"}, **knobs)
    found = model.fit(table).diagnose(table)
    for name in ("neighbours", "lone rows", "numbering", "continuity of decoding"):
        assert found[name].sentence == "Does not apply: every column is a category of more than 100 levels."
    table["other"] = np.arange(600) % 7 + 0.5
    found = ist.Autoencoder("undercomplete", columns=kinds, **knobs).fit(table).diagnose(table)
    assert found["neighbours"].sentence.endswith(" Without 'street', of more than 100 levels.")
