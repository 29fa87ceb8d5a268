"""Generators are judged: figures by hand, copies found and honest rows let pass, and a page that shows it all."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from test_report import Reader

import isthmus as ist
from isthmus.copies import Copies
from isthmus.errors import InputError
from isthmus.estimators import generator_report, generator_rows
from isthmus.estimators import generator_verdicts as verdicts
from isthmus.estimators.generator_figures import Figures, Judged, quality
from isthmus.estimators.generator_report import in_cell, of_levels, of_numbers
from isthmus.estimators.generator_rows import by_mixture, material_of, shuffled
from isthmus.fidelity import Fidelity, fidelity
from isthmus.pca import principal_components
from isthmus.table_fidelity import TableFidelity, table_fidelity

X, Y = ist.data.digits()
ORDER = np.random.default_rng(0).permutation(len(X))
TRAIN, HELD, LABELS = X[ORDER[:300]], X[ORDER[300:540]], Y[ORDER[:300]]


def people(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(18, 66, rows)
    town = np.where(age > 40, "<Ulm>", np.where(random.random(rows) < 0.1, "Rom", "Bonn"))
    hours = pd.Series(age / 2 + random.normal(size=rows)).mask(random.random(rows) < 0.2)
    seen = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, rows), unit="D")
    return pd.DataFrame({"age": age, "town": town, "hours & more": hours, "seen": seen})


class Drawing:
    """A generator whose rows come from elsewhere."""

    def __init__(self, generator: ist.Generator, rows: Any) -> None:
        self.generator, self.rows = generator, rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.generator, name)

    def sample(self, n: int, *, given: Any = None, random_state: Any = None) -> Any:
        place = np.random.default_rng(random_state).integers(len(self.rows), size=n)
        if isinstance(self.rows, pd.DataFrame):
            return self.rows.iloc[place].reset_index(drop=True)
        noise = np.random.default_rng(1).normal(size=(n, *self.rows.shape[1:]))
        return (self.rows[place] + 1e-3 * noise).astype(np.float32)

    judge, report = ist.Generator.judge, ist.Generator.report


@pytest.fixture(scope="module")
def pictures() -> ist.Generator:
    return ist.Generator(epochs=5, code_size=8, random_state=0, device="cpu").fit(TRAIN)


@pytest.fixture(scope="module")
def table() -> ist.Generator:
    return ist.Generator(epochs=3, random_state=0, device="cpu").fit(people(240, 0))


@pytest.fixture(scope="module")
def of_pictures(pictures: ist.Generator) -> Judged:
    return pictures.judge(TRAIN, HELD)


@pytest.fixture(scope="module")
def of_table(table: ist.Generator) -> Judged:
    return table.judge(people(240, 0), people(180, 1), target="town")


# ---------------------------------------------------------------------- figures


def test_figures_of_pictures_are_those_of_their_principal_components(
    of_pictures: Judged, pictures: ist.Generator
) -> None:
    flat = TRAIN.reshape(300, -1).astype(float)
    _, _, basis = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    space = [rows.reshape(len(rows), -1) @ basis[:50].T for rows in (HELD, pictures.sample(300, random_state=0), TRAIN)]
    mine, best = fidelity(space[0], space[1]), fidelity(space[0], space[2])
    for name in ("distance", "precision", "recall", "density", "coverage"):
        assert getattr(of_pictures.drawn.fidelity, name) == pytest.approx(getattr(mine, name), rel=1e-3)
        assert getattr(of_pictures.real.fidelity, name) == pytest.approx(getattr(best, name), rel=1e-3)
    assert of_pictures.rows == {"drawn": 300, "training": 300, "held-out": 240}
    assert of_pictures.way == "their first 50 principal components"
    assert of_pictures.drawn.table is None
    assert of_pictures.taken == 0.8


def test_figures_of_tables_are_those_of_the_frames(of_table: Judged, table: ist.Generator) -> None:
    train, held, drawn = people(240, 0), people(180, 1), table.sample(240, random_state=0)
    expected = table_fidelity(held, drawn, train, "town")
    assert of_table.drawn.table.marginals == expected.marginals
    assert of_table.drawn.table.association == expected.association
    # Training rows come in an order of their own, which trees feel.
    assert of_table.drawn.table.learnt_from_real == pytest.approx(expected.learnt_from_real, abs=0.02)
    assert of_table.real.table.learnt_from_drawn == of_table.real.table.learnt_from_real
    assert of_table.real.table.marginals == table_fidelity(held, train).marginals
    assert of_table.drawn.fidelity.two_sample == of_table.drawn.table.two_sample


def test_the_same_seed_judges_the_same(of_table: Judged, table: ist.Generator) -> None:
    train, held = people(240, 0), people(180, 1)
    again = table.judge(train, held)
    assert again.drawn.fidelity == of_table.drawn.fidelity
    assert again.trivial.fidelity == of_table.trivial.fidelity
    first, same, other = (material_of(table, train, None, None, seed).trivial.shown for seed in (0, 0, 1))
    assert first.equals(same)
    assert not first.equals(other)


def test_independent_columns_keep_their_cells_and_nothing_else() -> None:
    train = people(240, 0)
    made = shuffled(train, np.random.default_rng(0))
    assert (made.dtypes == train.dtypes).all()
    for name in train:
        assert sorted(made[name].dropna()) == sorted(train[name].dropna())
        assert not made[name].equals(train[name])
    assert abs(made["age"].corr(made["hours & more"])) < 0.2 < train["age"].corr(train["hours & more"])


def test_the_mixture_has_the_means_and_the_spread_of_the_pictures() -> None:
    import torch

    train = X[:500].astype(np.float32)
    pca = principal_components([torch.from_numpy(train)])
    made = by_mixture(pca, train, 0, np.random.default_rng(0))
    assert made.shape == train.shape
    assert made.min() >= train.min()
    assert made.max() <= train.max()
    assert np.abs(made.mean(0) - train.mean(0)).max() < 1.5
    assert made.std() == pytest.approx(train.std(), rel=0.1)


def test_it_prints_a_table_with_both_references(of_table: Judged, of_pictures: Judged) -> None:
    text = str(of_table)
    assert text.startswith("240 drawn, 240 training, 180 held-out rows, compared by their columns")
    assert re.search(r"drawn rows +real rows +independent columns\n", text)
    assert f"{of_table.drawn.fidelity.precision:.3f}" in text
    assert re.search(r"'town' learnt from them +0\.\d{3} +0\.\d{3} +0\.\d{3}\n", text)
    assert all(f"{one.name}: {one.sentence}" in text for one in of_table.verdicts)
    heads, lines = quality(of_pictures)
    assert heads == ("", "drawn rows", "real rows", "mixture in PCA space")
    assert [line[0] for line in lines] == [
        "Fréchet distance", "precision", "recall", "density", "coverage", "told apart",
    ]  # fmt: skip
    with pytest.raises(KeyError, match="Did you mean 'copies'"):
        of_table["copis"]


# ---------------------------------------------------------------------- copies


def test_a_memorising_twin_is_flagged_and_an_honest_one_is_not(pictures: ist.Generator) -> None:
    """The one has drawn the training rows again, with noise, the other rows that nobody met."""
    forger = Drawing(pictures, TRAIN).judge(TRAIN, HELD)
    assert forger["copies"].level == forger["membership"].level == "bad"
    assert len(forger.copies.rows) == 300
    place = np.random.default_rng(0).integers(300, size=300)
    np.testing.assert_array_equal(forger.copies.twins, place[forger.copies.rows])
    nearest = forger.copies.rows[:6].tolist()
    assert f"{', '.join(map(str, nearest))} and others to {', '.join(str(place[row]) for row in nearest)}" in str(
        forger
    )
    honest = Drawing(pictures, X[ORDER[540:]]).judge(TRAIN, HELD)
    assert honest["copies"].level == honest["membership"].level == "good"
    assert honest["likeness"].level == honest["variety"].level == "good"


def test_a_table_learnt_by_heart_is_flagged(table: ist.Generator, of_table: Judged) -> None:
    train, held = people(240, 0), people(180, 1)
    forger = Drawing(table, train).judge(train, held)
    assert forger["copies"].level == forger["membership"].level == "bad"
    assert forger["likeness"].level == forger["variety"].level == "good"  # which is why copies are looked for
    assert of_table["copies"].level == "good"
    assert of_table["membership"].level == "good"


def test_few_copies_among_many_rows_are_named(pictures: ist.Generator) -> None:
    rows = X[ORDER[540:]].astype(np.float32)
    rows[:40] = TRAIN[:40]
    found = Drawing(pictures, rows).judge(TRAIN, HELD)
    assert found["copies"].level == "bad"
    assert set(found.copies.twins[:20]) <= set(range(40))
    assert not found.copies.copied  # the share alone tells nothing


def test_training_rows_beyond_those_compared_are_searched(
    pictures: ist.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator_rows, "ROWS", 75)
    forger = Drawing(pictures, TRAIN).judge(TRAIN, HELD)
    assert forger.rows == {"drawn": 75, "training": 75, "held-out": 75}
    assert len(forger.copies.rows) == 75
    assert forger.taken == 0.25
    monkeypatch.setattr(generator_rows, "SEARCHED_ROWS", 75)
    assert 5 < len(Drawing(pictures, TRAIN).judge(TRAIN, HELD).copies.rows) < 40


# ---------------------------------------------------------------------- verdicts


def judged(
    drawn: dict[str, float] | None = None,
    table: tuple[float, float] | None = None,
    real_table: tuple[float, float] = (0.02, 0.01),
    **changes: Any,
) -> Judged:
    real = Fidelity(1.0, 0.95, 0.9, 1.0, 0.97, 0.5, 0.5)
    trivial = Fidelity(9.0, 0.5, 0.4, 0.3, 0.4, 0.95, 0.0)

    def of(found: Fidelity, pair: tuple[float, float]) -> Figures:
        if table is None:
            return Figures(found)
        return Figures(found, TableFidelity({"a": pair[0], "b": pair[0]}, pair[1], found.two_sample, 0.5, 0.8, 0.81))

    return Judged(
        way="", drawn=of(replace(real, **(drawn or {})), table or (0, 0)), trivial=of(trivial, (0.02, 0.2)),
        real=of(real, real_table), trivially="", rows={"drawn": 100, "training": 100}, copies=None, taken=1.0,
        membership=None, target=None, **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("drawn", "level"),
    [
        ({}, "good"),
        ({"precision": 0.86}, "good"),
        ({"precision": 0.85}, "note"),
        ({"precision": 0.47}, "bad"),
        ({"two_sample": 0.91}, "note"),
        ({"two_sample": 0.64}, "good"),  # 14 % of 100 rows may be chance, or a third of the way to the trivial 95 %
        ({"two_sample": 0.66}, "note"),
        ({"two_sample": 0.95}, "bad"),
    ],
)
def test_likeness(drawn: dict[str, float], level: str) -> None:
    verdict = verdicts.likeness(judged(drawn))
    assert verdict.level == level
    assert bool(verdict.advice) == (level != "good")
    assert "and 95 % of real rows" in verdict.sentence


@pytest.mark.parametrize(("coverage", "level"), [(0.9, "good"), (0.8, "note"), (0.4, "bad")])
def test_variety(coverage: float, level: str) -> None:
    verdict = verdicts.variety(judged({"coverage": coverage}))
    assert verdict.level == level
    if level == "good":
        assert verdicts.variety(judged({"coverage": coverage, "recall": 0.4})).level == "note"
    assert verdict.figure == pytest.approx(coverage / 0.97)


def test_real_rows_and_trivial_ones_are_what_likeness_is_graded_beside() -> None:
    found = judged({"two_sample": 0.756})
    real = replace(found.real.fidelity, two_sample=0.54)
    trivial = replace(found.trivial.fidelity, two_sample=0.734)
    found = replace(found, real=Figures(real), trivial=Figures(trivial), rows={"drawn": 300, "training": 300})
    verdict = verdicts.likeness(found)
    assert verdict.level == "bad"
    assert "in 76 % of all cases (training rows in 54 %, rows of a trivial generator in 73 %; 50 %" in verdict.sentence
    for told, level in ((0.73, "note"), (0.63, "note"), (0.61, "good")):
        assert verdicts.told(replace(found, drawn=Figures(replace(real, two_sample=told)))) == level
    many = {"drawn": 5000, "training": 5000}
    for told, level in ((0.61, "note"), (0.60, "good")):
        assert verdicts.told(replace(found, drawn=Figures(replace(real, two_sample=told)), rows=many)) == level


@pytest.mark.parametrize(("recall", "level"), [(0.5, "note"), (0.7, "good"), (0.8, "good")])
def test_variety_below_that_of_a_trivial_generator_is_no_better_than_a_note(recall: float, level: str) -> None:
    found = judged({"recall": recall})
    wide = Figures(replace(found.trivial.fidelity, recall=0.8))
    assert verdicts.variety(found).level == "good"
    assert verdicts.variety(replace(found, trivial=wide)).level == level


def test_beside_a_trivial_generator() -> None:
    assert verdicts.beyond_trivial(judged()).sentence.startswith("In 6 of 6 figures")
    worse = {"distance": 20.0, "precision": 0.1, "recall": 0.1, "density": 0.1, "coverage": 0.1}
    assert verdicts.beyond_trivial(judged(worse)).level == "note"
    assert verdicts.beyond_trivial(judged({**worse, "two_sample": 1.0})).level == "bad"
    # As an error of associations as small as that of real rows.
    assert verdicts.beyond_trivial(judged(table=(0.02, 0.01))).sentence.startswith("In 7 of 7 figures")


@pytest.mark.parametrize(("value", "level"), [(0.04, "good"), (0.06, "note"), (0.08, "bad")])
def test_marginals_count_beyond_those_of_real_rows(value: float, level: str) -> None:
    found = judged(table=(value, 0.0))
    assert verdicts.marginals(found.drawn.table, found.real.table).level == level


@pytest.mark.parametrize(("value", "level"), [(0.05, "good"), (0.1, "note"), (0.15, "bad")])
def test_associations_lie_between_real_rows_and_independent_columns(value: float, level: str) -> None:
    assert verdicts.associations(judged(table=(0.0, value))).level == level
    assert verdicts.associations(judged(table=(0.0, value), real_table=(0.0, 0.195))).level == "good"


@pytest.mark.parametrize(("score", "level"), [(0.80, "good"), (0.77, "note"), (0.75, "bad")])
def test_learning(score: float, level: str) -> None:
    found = TableFidelity({"a": 0.0}, 0.0, 0.5, 0.5, score, 0.81)
    assert verdicts.learning(found, "a").level == level


def test_a_share_is_judged_by_what_it_could_be() -> None:
    none = np.zeros(0, dtype=int)
    found = Copies(0.55, 0.01, none, none, 0.0, 1.0)
    assert verdicts.copied(found, 1.0).level == "note"
    assert verdicts.copied(found, 0.2).level == "bad"  # half of the drawn rows are copies
    assert verdicts.copied(replace(found, share=0.515), 0.2).level == "good"
    some = replace(found, share=0.5, rows=np.arange(4), twins=np.arange(4) + 7)
    assert verdicts.copied(some, 1.0).level == "good"
    assert "no more than the 4 that chance may make: 0, 1, 2, 3 to 7, 8, 9, 10" in verdicts.copied(some, 1.0).sentence
    assert verdicts.copied(replace(some, by_chance=0.5), 1.0).level == "bad"


def test_held_out_rows_of_another_kind_prove_nothing() -> None:
    none = np.zeros(0, dtype=int)
    fine = replace(judged(), copies=Copies(0.9, 0.01, none, none, 0.0, 1.0), membership=(0.9, 0.01))
    assert [one.level for one in verdicts.verdicts_of(fine)[-2:]] == ["bad", "bad"]
    odd = replace(fine, real=Figures(replace(fine.real.fidelity, two_sample=0.6, p_value=1e-4)))
    *_, copied, members, told = verdicts.verdicts_of(odd)
    assert (copied.level, members.level, told.level) == ("note", "note", "note")
    assert told.name == "held-out rows"
    assert "at random" in told.advice
    assert copied.sentence.endswith("that is no proof.")
    by_chance = replace(fine, real=Figures(replace(fine.real.fidelity, two_sample=0.6, p_value=0.02)))
    assert len(verdicts.verdicts_of(by_chance)) == len(verdicts.verdicts_of(fine))


def test_without_held_out_rows_copies_cannot_be_judged(table: ist.Generator) -> None:
    found = table.judge(people(240, 0), None)
    assert found.real is None
    assert found.copies is None
    assert found.membership is None
    for name in ("copies", "membership"):
        assert found[name].level == "note"
        assert "give them as held_out=" in found[name].advice
    assert quality(found)[0] == ("", "drawn rows", "independent columns")
    assert "a perfect generator's would reach 97 %" in found["variety"].sentence


# ---------------------------------------------------------------------- what is given


@pytest.mark.slow
def test_labels_are_what_rows_are_drawn_and_compared_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator_rows, "LOOKED_AT", 1)
    generator = ist.Generator(epochs=1, code_size=4, random_state=0, device="cpu").fit(TRAIN, given=LABELS)
    with pytest.raises(InputError, match=r"fitted with given=.*as labels="):
        generator.judge(TRAIN, HELD)
    found = generator.judge(TRAIN, HELD, labels=LABELS)
    assert "128 features of a classifier" in found.way
    with pytest.raises(InputError, match=r"labels must be one per row of train, shape \(300,\); got \(3,\)"):
        generator.judge(TRAIN, HELD, labels=[1, 2, 3])


@pytest.mark.slow
def test_arrays_and_polars_frames_are_tables_too(table: ist.Generator) -> None:
    polars = pytest.importorskip("polars")
    train, held = people(240, 0), people(180, 1)
    numbers = [frame[["age", "hours & more"]].fillna(0).to_numpy() for frame in (train, held)]
    found = ist.Generator(epochs=1, random_state=0, device="cpu").fit(numbers[0]).judge(*numbers, target=1)
    assert set(found.drawn.table.marginals) == {0, 1}
    frames = [polars.from_pandas(frame) for frame in (train, held)]
    found = ist.Generator(epochs=1, random_state=0, device="cpu").fit(frames[0]).judge(*frames)
    assert set(found.drawn.table.marginals) == set(train.columns)


def test_what_cannot_be_judged_is_refused(table: ist.Generator, pictures: ist.Generator) -> None:
    train, held = people(240, 0), people(180, 1)
    with pytest.raises(NotFittedError):
        ist.Generator().judge(train, held)
    with pytest.raises(InputError, match=r"target must be a column; got 'twon'. Did you mean 'town'"):
        table.judge(train, held, target="twon")
    with pytest.raises(InputError, match="target needs rows to test"):
        table.judge(train, None, target="town")
    with pytest.raises(InputError, match="target is a column of a table"):
        pictures.judge(TRAIN, HELD, target=1)
    with pytest.raises(InputError, match="held_out has 3 rows: give 12 or more"):
        table.judge(train, held[:3])
    with pytest.raises(InputError, match="train has 5 rows: give 12 or more"):
        table.judge(train[:5], held)
    with pytest.raises(InputError, match="held_out has 1 row: give 12 or more"):
        table.judge(train, held[:1])


def test_held_out_rows_that_were_met_are_refused(table: ist.Generator, pictures: ist.Generator) -> None:
    train, held = people(240, 0), people(180, 1)
    with pytest.raises(InputError, match=r"held_out: 240 of its 240 rows are rows of train.*keep some rows from fit"):
        table.judge(train, train)
    mixed = pd.concat([held[:120], train[:24]], ignore_index=True)
    with pytest.raises(InputError, match="held_out: 24 of its 144 rows are rows of train"):
        table.judge(train, mixed)
    with pytest.raises(InputError, match="held_out: 300 of its 300 rows"):
        pictures.judge(TRAIN, TRAIN)
    generator_rows.check_kept(train, pd.concat([held, train[:9]], ignore_index=True), 240)  # 5 % are let pass
    # Where rows are often equal, it is no sign: of 4 x 5 levels all are met.
    few = [pd.DataFrame(np.random.default_rng(seed).integers((4, 5), size=(200, 2))) for seed in (0, 1)]
    generator_rows.check_kept(*few, 200)
    # Of a tenth of the training rows no more than a tenth of them can be met.
    part = pd.DataFrame({"a": np.arange(500.0)})
    known = pd.DataFrame({"a": np.append(np.arange(490.0, 500), np.arange(600.0, 900))})
    generator_rows.check_kept(part, known, 500)
    with pytest.raises(InputError, match="held_out: 10 of its 310 rows"):
        generator_rows.check_kept(part, known, 5000)


# ---------------------------------------------------------------------- the page


def test_the_page_of_nullable_columns(tmp_path: Path) -> None:
    def nullable(rows: int, seed: int) -> pd.DataFrame:
        frame = people(rows, seed)[["age", "town"]].astype({"age": "Int64", "town": "string"})
        return frame.mask(np.random.default_rng(seed).random(frame.shape) < 0.2)

    train, held = nullable(120, 0), nullable(100, 1)
    assert train["age"].isna().any()
    generator = ist.Generator(epochs=1, random_state=0, device="cpu").fit(train)
    text = generator.report(tmp_path / "table.html", train, held).read_text(encoding="utf-8")
    assert "&lt;Ulm&gt;" in text
    assert "&lt;NA&gt;" not in text
    assert [in_cell(value) for value in (pd.NA, pd.NaT, None, float("nan"), 7)] == ["", "", "", "", "7"]


def test_a_path_that_cannot_be_written_is_refused_before_the_work(
    table: ist.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator_report, "material_of", lambda *_: pytest.fail("worked first"))
    with pytest.raises(InputError, match="cannot write"):
        table.report(tmp_path / "nowhere" / "table.html", people(240, 0))


def test_the_page_of_pictures(pictures: ist.Generator, tmp_path: Path) -> None:
    path = pictures.report(tmp_path / "digits.html", TRAIN, HELD)
    text = path.read_text(encoding="utf-8")
    reader = Reader(text)
    assert reader.headings[:5] == ["verdicts", "drawn", "quality", "privacy", "twins"]
    assert {"pictures-on-map", "details"} <= set(reader.headings)
    assert len(reader.all("img")) == 2 * 48 + 2 * 12
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+|DOCTYPE[^>]*", "", text)
    assert "<script" not in text
    assert len(text) < 900_000


def test_the_page_of_a_table_learnt_by_heart(table: ist.Generator, tmp_path: Path) -> None:
    train, held = people(240, 0), people(180, 1)
    path = Drawing(table, train).report(tmp_path / "table.html", train, held)
    text = path.read_text(encoding="utf-8")
    reader = Reader(text)
    assert reader.headings == ["verdicts", "drawn", "quality", "privacy", "columns", "twins", "details"]
    assert "&lt;Ulm&gt;" in text
    assert "<Ulm>" not in text
    assert "hours &amp; more" in text
    assert text.count('<span class="copy found">a copy</span>') == 6
    assert len([svg for svg in reader.all("svg") if svg.get("role") == "img"]) == 1 + 4
    assert "2 problems found." in reader.texts


def test_the_page_without_held_out_rows_asks_for_them(table: ist.Generator, tmp_path: Path) -> None:
    text = table.report(tmp_path / "table.html", people(240, 0)).read_text(encoding="utf-8")
    assert text.count("give them as held_out=") == 4
    assert "real rows</th>" not in text


@pytest.mark.slow
def test_the_page_of_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator_report, "latent_of", lambda *_: None)
    monkeypatch.setitem(generator_report.SHOWN, "lines", 3)
    random = np.random.default_rng(0)
    waves = np.sin(np.arange(120) / 9 + random.uniform(0, 6, (80, 1))).astype(np.float32)
    generator = ist.Generator(epochs=2, code_size=3, random_state=0, device="cpu").fit(waves[:60])
    reader = Reader(generator.report(tmp_path / "waves.html", waves[:60], waves[60:]).read_text(encoding="utf-8"))
    named = [svg["aria-label"] for svg in reader.all("svg") if svg.get("role") == "img"]
    assert sum(name.startswith(("Drawn", "Held out")) for name in named) == 6
    assert sum(name.startswith("drawn row") for name in named) == 6


def test_columns_of_the_page() -> None:
    columns = [pd.Series(list("aaaabbbc") + [None] * 2), pd.Series(list("abbbbbbddd"))]
    found = of_levels("x", "", columns)
    assert found.names == ("a", "b", "missing", "c", "d")
    np.testing.assert_allclose(found.real, [0.4, 0.3, 0.2, 0.1, 0.0])
    np.testing.assert_allclose(found.drawn, [0.1, 0.6, 0.0, 0.0, 0.3])
    many = pd.Series([f"level {i}" for i in range(12)])
    assert of_levels("x", "", [many, many]).names[-1] == "4 others"
    numbers = of_numbers("x", "", [np.array([1.0, 2, 2, 3, np.nan]), np.array([1.0, 9, 9, 2, 2])])
    np.testing.assert_allclose(numbers.edges, [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(numbers.real, [0.2, 0.4, 0.2])
    np.testing.assert_allclose(numbers.drawn, [0.2, 0.4, 0.4])  # what lies beyond is in the last
    assert in_cell(pd.Timestamp("2020-02-03")) == "2020-02-03"
