"""The report on scored rows: verdicts that follow from the figures, reasons in words, and columns that have drifted."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from scipy.stats import betabinom

import isthmus as ist
from isthmus.alarms import HeldOut
from isthmus.data import open_source
from isthmus.errors import InputError
from isthmus.estimators import anomaly_verdicts as verdicts
from isthmus.estimators.anomaly_drift import moved_columns
from isthmus.estimators.anomaly_report import told_of, write_page, write_report
from isthmus.estimators.anomaly_words import Chosen, Reason, Scored, of_cells, of_places, reasons_of

HELD_OUT = HeldOut.of(np.arange(1.0, 1000.0))
"""999 rows: the p-value of a score s is (1000 - s) / 1000 for whole s."""


def scored(odd: np.ndarray, rate: float = 0.01) -> Scored:
    return Scored(odd, HELD_OUT.p_values(odd), odd > HELD_OUT.threshold(rate))


def usual(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1000, rows)


def frame(seed: int, rows: int = 400) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    kind = draw.choice(["<a>", "b", "c"], rows, p=[0.5, 0.3, 0.2])
    size = draw.normal(10.0, 1.0, rows) + 5.0 * (kind == "b")
    return pd.DataFrame({"kind": kind, "size & <weight>": size, "other": draw.normal(size=rows)})


@pytest.fixture(scope="module")
def mixed() -> ist.AnomalyDetector:
    return ist.AnomalyDetector(0.05, epochs=8, random_state=0).fit(frame(0))


@pytest.fixture(scope="module")
def plain() -> ist.AnomalyDetector:
    X = np.random.default_rng(0).normal(size=(400, 4)) * [1, 1, 1, 0] + [0, 0, 0, 7.0]
    return ist.AnomalyDetector(0.05, epochs=2, random_state=0).fit(X)


# ---------------------------------------------------------------------- verdicts


def test_a_rate_is_resolved_by_two_rows_in_the_mean() -> None:
    good = verdicts.resolved_verdict(HeldOut.of(np.arange(200.0)), 0.01)
    bad = verdicts.resolved_verdict(HeldOut.of(np.arange(199.0)), 0.01)
    assert (good.level, bad.level) == ("good", "bad")
    assert "a rate of 1 % takes 200" in good.sentence
    assert "as 0.5 % of ordinary rows do" in bad.sentence
    assert "a rate of 1 % or more" in bad.advice


def test_as_many_alarms_as_chance_makes_are_good() -> None:
    chance = betabinom(2000, 10, 990)  # nine of 999 held-out rows are above the level
    low, high = (int(end) for end in chance.ppf([0.005, 0.995]))
    level = HELD_OUT.threshold(0.01)
    for alarms, expected in ((low, "good"), (high, "good"), (high + 1, "note")):
        odd = np.concatenate([usual(2000 - alarms) * 0.98, np.full(alarms, 2000.0)])
        verdict = verdicts.alarms_verdict(scored(odd), HELD_OUT, 0.01, level)
        assert verdict.level == expected
        assert verdict.figure == alarms / 2000
        assert f"of ordinary rows makes {low:,} to {high:,}" in verdict.sentence
    assert "single rows that are odd" in verdict.sentence


def test_many_alarms_among_rows_that_all_look_odder_are_drift() -> None:
    odd = 1000 * (usual(2000) / 1000) ** 0.4
    level = HELD_OUT.threshold(0.01)
    verdict = verdicts.alarms_verdict(scored(odd), HELD_OUT, 0.01, level)
    assert verdict.level == "bad"
    assert "the data have drifted" in verdict.sentence
    assert verdicts.bulk_verdict(scored(odd), HELD_OUT, 0.01).level == "bad"


def test_so_many_alarms_that_they_are_no_exceptions() -> None:
    level = HELD_OUT.threshold(0.01)
    levels = []
    for share in (0.15, 0.25):
        odd = np.where(np.arange(2000) < 2000 * share, 2000.0, 0.98 * usual(2000))
        verdict = verdicts.alarms_verdict(scored(odd), HELD_OUT, 0.01, level)
        levels.append(verdict.level)
    assert levels == ["note", "bad"]
    assert "so many are no exceptions" in verdict.sentence


def test_rows_that_look_too_ordinary_are_told() -> None:
    found = scored(600 * usual(500) / 1000)
    assert verdicts.alarms_verdict(found, HELD_OUT, 0.05, HELD_OUT.threshold(0.05)).level == "note"
    verdict = verdicts.bulk_verdict(found, HELD_OUT, 0.01)
    assert verdict.level == "note"
    assert verdict.figure == pytest.approx(float(found.p_values.mean()) - 0.005, rel=1e-12)
    assert "say nothing about new ones" in verdict.sentence


def test_the_usual_rows_pass_every_verdict() -> None:
    passed = 0
    for seed in range(50):
        found = scored(usual(600, seed))
        judged = [
            verdicts.alarms_verdict(found, HELD_OUT, 0.01, HELD_OUT.threshold(0.01)),
            verdicts.bulk_verdict(found, HELD_OUT, 0.01),
            verdicts.order_verdict(found),
        ]
        passed += all(one is not None and one.level == "good" for one in judged)
    assert passed >= 47


def test_a_stretch_that_stands_out_is_named() -> None:
    odd = usual(1000)
    odd[300:400] = 0.5 * odd[300:400] + 500
    verdict = verdicts.order_verdict(scored(odd))
    assert verdict is not None
    assert verdict.level == "note"
    assert "rows 300 to 399" in verdict.sentence
    assert verdict.figure == pytest.approx(0.75, abs=0.05)
    assert verdicts.order_verdict(scored(odd[:199])) is None


def test_a_handful_of_rows_tells_no_drift() -> None:
    level = HELD_OUT.threshold(0.01)
    few = scored(np.full(verdicts.TELLING - 1, 2000.0))
    verdict = verdicts.alarms_verdict(few, HELD_OUT, 0.01, level)
    assert (verdict.level, verdict.advice) == ("note", "")
    assert "So few rows do not tell rows that are odd from data that have drifted" in verdict.sentence
    assert verdicts.bulk_verdict(few, HELD_OUT, 0.01) is None
    enough = scored(np.full(verdicts.TELLING, 2000.0))
    assert verdicts.alarms_verdict(enough, HELD_OUT, 0.01, level).level == "bad"
    assert verdicts.bulk_verdict(enough, HELD_OUT, 0.01).level == "bad"


def test_a_single_odd_row_moves_no_column(plain: ist.AnomalyDetector) -> None:
    odd = np.array([[30.0, 0.0, 0.0, 8.0]])
    assert moved(plain, odd) == {}
    X = np.random.default_rng(1).normal(size=(100, 4)) * [1, 1, 1, 0] + [0, 5.0, 0, 7.0]  # which all alarm
    X[:9, 3] = 8.0
    assert not moved(plain, X)["3"]
    X[:10, 3] = 8.0
    assert moved(plain, X)["3"]


def test_rows_without_a_score_count_nowhere(plain: ist.AnomalyDetector, tmp_path: Path) -> None:
    X = np.random.default_rng(1).normal(size=(60, 4)) * [1, 1, 1, 0] + [0, 0, 0, 7.0]
    source = plain._source(X)
    without = np.arange(60) % 3 == 0
    found, whole = Scored.by(plain, source, without), Scored.by(plain, source)
    assert np.isnan(found.p_values[without]).all()
    assert not found.alarms[without].any()
    np.testing.assert_array_equal(found.p_values[~without], whole.p_values[~without])
    assert not without[found.oddest(60)].any()
    assert len(found.oddest(60)) == 40
    rest = Scored.by(plain, plain._source(X[~without]))
    assert verdicts.verdicts_of(plain, found, []) == verdicts.verdicts_of(plain, rest, [])
    told = told_of(plain, source, found)
    page = write_page(plain, tmp_path / "r.html", source, found, [], told).read_text()
    assert "; 20 rows without a score" in page
    nothing = Scored.by(plain, source, np.ones(60, dtype=bool))
    assert [one.name for one in verdicts.verdicts_of(plain, nothing, [])] == ["resolution"]
    with pytest.raises(InputError, match="no row has a score"):
        write_page(plain, tmp_path / "n.html", source, nothing, [], told)


def test_reasons_are_told_of_alarms_and_of_the_oddest_where_few_alarm() -> None:
    found = Scored(np.arange(10.0), np.ones(10), np.arange(10) > 7)
    assert found.to_explain().tolist() == [9, 8, 7]
    assert found.to_explain(least=1).tolist() == [9, 8]
    assert found.to_explain(most=1, least=1).tolist() == [9]


def test_rows_without_a_score_keep_their_numbers(plain: ist.AnomalyDetector, tmp_path: Path) -> None:
    odd = usual(1000)
    odd[300:400] = 0.5 * odd[300:400] + 500
    with_gaps = np.insert(odd, 200, np.full(500, np.nan))
    verdict = verdicts.order_verdict(scored(with_gaps))
    assert verdict is not None
    assert "rows 800 to 899" in verdict.sentence
    assert verdict.figure == verdicts.order_verdict(scored(odd)).figure
    assert verdict in verdicts.verdicts_of(plain, scored(with_gaps), [])
    assert verdicts.order_verdict(scored(np.insert(odd[:199], 0, np.full(500, np.nan)))) is None

    X = np.random.default_rng(1).normal(size=(60, 4)) * [1, 1, 1, 0] + [0, 0, 0, 7.0]
    source = plain._source(X)
    found = Scored.by(plain, source, np.arange(60) < 40)
    page = write_page(plain, tmp_path / "r.html", source, found, [], told_of(plain, source, found)).read_text()
    assert "60, 40 without a score" in page
    drawn: list[np.ndarray] = []

    def noted(axes: object, *values: object, **how: object) -> object:
        drawn.append(np.asarray(values[0]))
        return real(axes, *values, **how)

    real = Axes.plot
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Axes, "plot", noted)
        write_page(plain, tmp_path / "r.html", source, found, [], told_of(plain, source, found))
    dots, loud, line = drawn[-3:]  # along the rows
    assert sorted([*dots, *loud]) == list(range(40, 60))
    assert line.tolist() == [49.5]


# ---------------------------------------------------------------------- words


def test_reasons_read_as_sentences() -> None:
    assert str(Reason("city", "Ulm", "Jena")) == "city: Ulm, expected Jena"
    assert str(Reason("city", "Ulm", "Ulm")) == "city: Ulm, rare in such a row"
    assert str(Reason("step 3", "12 times the usual error")) == "step 3: 12 times the usual error"


@pytest.mark.parametrize(
    ("value", "expected", "said"),
    [
        (1013.42, 1013.61, "1013.42, expected 1013.61"),
        (101325.6, 101325.2, "101,325.6, expected 101,325.2"),
        (1013.0, 1013.612, "1013, expected 1013.61"),
        (101326, 101325, "101,326, expected 101,325"),
        (90000.0, 11.2345, "90,000, expected 11.23"),
        (1.5e12, 1.500004e12, "1.5e+12, expected 1.500004e+12"),
        (0.0, 1e-7 / 3, "0, expected 3.333e-08"),
        (9999.996, 10000.004, "9999.996, expected 10,000.004"),
        (np.uint8(3), np.uint8(250), "3, expected 250"),
    ],
)
def test_as_many_digits_are_told_as_tell_two_numbers_apart(value: object, expected: object, said: str) -> None:
    lines = pd.DataFrame({"row": [0], "column": ["p"], "drop": [9.0]})
    lines["value"], lines["expected"] = ([cell] for cell in (value, expected))
    lines = lines.astype({"value": object, "expected": object})
    ((reason,),) = of_cells(lines, open_source(np.zeros((1, 2))), 3.0)
    assert str(reason) == f"p: {said}"


def test_reasons_of_rows_are_theirs_and_in_their_own_words(mixed: ist.AnomalyDetector) -> None:
    new = frame(1, 30).set_index(pd.Index(range(100, 130)))
    new.loc[112, "size & <weight>"] = 90000.0
    source = open_source(new, form=mixed.form_)
    (reasons, none) = reasons_of(mixed, source, np.array([12, 3]), 2)
    assert reasons[0].column == "size & <weight>"
    assert reasons[0].value == "90,000"
    assert 8 < float(reasons[0].expected) < 17
    assert all(reason.column != "size & <weight>" for reason in none)


def test_places_of_a_picture_lie_apart() -> None:
    heat = np.full((1, 16, 16), 0.1)
    heat[0, 4, 4], heat[0, 4, 6], heat[0, 12, 1] = 30.0, 20.0, 10.4
    (found,) = of_places(heat, open_source(heat), 3)
    assert [str(one) for one in found] == [
        "height 4, width 4: 30 times the usual error",
        "height 12, width 1: 10 times the usual error",
    ]


def test_chosen_rows_are_those_of_the_source() -> None:
    source = open_source(frame(0, 20))
    some = Chosen(source, np.array([3, 1]))
    np.testing.assert_array_equal(some.read(0, 2), source.take(np.array([3, 1])))
    assert some.form is source.form
    assert len(some) == 2


# ---------------------------------------------------------------------- columns


def moved(detector: ist.AnomalyDetector, X: object) -> dict[str, bool]:
    source = detector._source(X)
    return {one.column: one.drifted for one in moved_columns(detector, source, Scored.by(detector, source))}


def test_a_column_of_numbers_that_moves_is_found(plain: ist.AnomalyDetector) -> None:
    X = np.random.default_rng(1).normal(size=(500, 4)) * [1, 1, 1, 0] + [0, 0, 0, 7.0]
    assert moved(plain, X) == dict.fromkeys("0123", False)
    X[:20, 0] = 30.0  # rows that alarm, and are no drift
    X[-1, 3] = 8.0
    assert moved(plain, X) == dict.fromkeys("0123", False)
    X[:, 1] += 2.0
    X[:, 2] *= 3.0
    found = moved(plain, X)
    assert found["1"]
    assert found["2"]
    X[:, 3] = 8.0
    assert moved(plain, X)["3"]


def test_where_a_column_was_and_is_is_told_in_its_own_unit(plain: ist.AnomalyDetector) -> None:
    X = np.random.default_rng(1).normal(size=(2000, 4)) * [1, 1, 1, 0] + [0, 2.0, 0, 7.0]
    source = plain._source(X)
    first = moved_columns(plain, source, Scored.by(plain, source))[0]
    assert first.column == "1"
    then, now = ([float(end) for end in text.removeprefix("mostly ").split(" to ")] for text in (first.then, first.now))
    np.testing.assert_allclose(then, [-1, 1], atol=0.15)
    np.testing.assert_allclose(now, [1, 3], atol=0.3)
    assert re.match(r"\d\.\d\d standard deviations up, spread times", first.how)


def test_a_level_that_no_longer_fits_its_row_is_drift(mixed: ist.AnomalyDetector) -> None:
    assert moved(mixed, frame(2)) == {"kind": False, "size & <weight>": False, "other": False}
    new = frame(2)
    new["kind"] = new["kind"].sample(frac=1.0, random_state=0).to_numpy()
    assert moved(mixed, new)["kind"]


# ---------------------------------------------------------------------- the page


def test_the_page_stands_alone_and_escapes_what_it_is_given(mixed: ist.AnomalyDetector, tmp_path: Path) -> None:
    new = frame(3, 250)
    new.loc[5, "size & <weight>"] = 90000.0
    page = write_report(mixed, tmp_path / "r.html", new).read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "size &amp; &lt;weight&gt;" in page
    assert "<weight>" not in page
    assert "<a>" not in page
    assert not re.search(r"<script|<link|url\((?!#)|https?://(?!www\.w3\.org)", page)
    assert page.index("Verdicts") < page.index("The oddest rows") < page.index("Asked for and seen")
    for title in ("Scores", "Along the rows", "Columns then and now", "How it was made"):
        assert f">{title}</h2>" in page
    first = re.search(r"<tbody>\n<tr>(.*?)</tr>", page, re.DOTALL)
    assert first is not None
    assert re.match(r'<th scope="row">5<span class="alarm">alarm</span></th>', first[1])
    assert "is 90,000, expected" in first[1]


def test_pictures_are_shown_with_heat_maps(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    X = draw.integers(90, 110, (30, 6, 6)).astype(np.uint8)
    detector = ist.AnomalyDetector(0.1, epochs=1, random_state=0).fit(X)
    page = write_report(detector, tmp_path / "r.html", X[:7]).read_text()
    assert page.count('class="pixels') == 14
    assert "Columns then and now" not in page


def test_a_page_that_cannot_be_written_leaves_nothing(plain: ist.AnomalyDetector, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its folder does not exist"):
        write_report(plain, tmp_path / "no" / "r.html", np.full((3, 4), 7.0))
    assert not list(tmp_path.iterdir())


def test_one_row_and_rows_all_alike_make_a_page(plain: ist.AnomalyDetector, tmp_path: Path) -> None:
    for rows in (1, 30):
        page = write_report(plain, tmp_path / "r.html", np.full((rows, 4), 7.0)).read_text()
        assert "nan" not in re.sub(r"<[^>]*>", "", page).lower().split("how it was made")[0]
