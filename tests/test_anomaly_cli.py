"""``isthmus anomalies``: the user's rows come back with a score, a p-value, an alarm and reasons."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_cli import run

import isthmus as ist
from isthmus.commands_anomalies import new_names, said_once
from isthmus.data import write_image
from isthmus.errors import DataWarning
from isthmus.estimators.explaining import explained

ROWS = 400
ADDED = ["anomaly_score", "p_value", "alarm"]


def people(seed: int, rows: int = ROWS) -> pd.DataFrame:
    """A mixed table, with an income that follows from age and city, and a column that counts the rows."""
    draw = np.random.default_rng(seed)
    city = draw.choice(["Ulm", "Bonn, am Rhein", "Jena"], rows)
    age = draw.integers(20, 70, rows)
    income = 1000.0 * age + 500 * draw.normal(size=rows)
    return pd.DataFrame({"member": np.arange(500, 500 + rows), "age": age, "city": city, "income": income.round(2)})


def numbers(seed: int, rows: int = ROWS) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(rows, 2)) @ np.random.default_rng(9).normal(size=(2, 5)) + 0.1 * draw.normal(
        size=(rows, 5)
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables in several formats, and detectors fitted by the command line."""
    home = tmp_path_factory.mktemp("anomalies")
    people(0, 150).to_csv(home / "people.csv", index=False)
    new = people(1, 60)
    new.loc[7, "income"] = 9e6
    new.to_csv(home / "new.csv", index=False)
    new.to_parquet(home / "new.parquet")
    new.to_csv(home / "german.csv", sep=";", decimal=",", index=False)
    np.save(home / "numbers.npy", numbers(2))
    odd = numbers(3, 50)
    odd[4] = [9, -9, 9, -9, 9]
    np.save(home / "odd.npy", odd)
    pd.DataFrame(numbers(2), columns=list("abcde")).to_csv(home / "numbers.csv", index=False)
    quick = ["--alarm-rate", "0.05", "--quiet"]
    run("anomalies", "fit", home / "people.csv", "-o", home / "people.safetensors", "--epochs", 4, *quick)
    run("anomalies", "fit", home / "numbers.npy", "-o", home / "numbers.safetensors", "--epochs", 1, *quick)
    run("anomalies", "fit", home / "numbers.csv", "-o", home / "named.safetensors", "--epochs", 1, *quick)
    return home


def cells(path: Path, sep: str = ",") -> pd.DataFrame:
    return pd.read_csv(path, sep=sep, dtype=str, keep_default_na=False)


def test_help_is_instant() -> None:
    assert "anomalies" in run("--help").stdout
    program = (
        "import sys\nfrom isthmus import cli\n"
        "try:\n    cli.app(['anomalies', 'score', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'pandas'} & set(sys.modules), 'too much is imported'"
    )
    said = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert "--explain" in said.stdout


def test_the_same_seed_gives_the_same_detector(home: Path, tmp_path: Path) -> None:
    words = ["--epochs", 1, "--alarm-rate", 0.05, "--quiet", "--random-state", 0]
    run("anomalies", "fit", home / "numbers.npy", "-o", tmp_path / "d.safetensors", *words)
    first, second = ist.load(home / "numbers.safetensors"), ist.load(tmp_path / "d.safetensors")
    assert first.score_samples(numbers(4)).tolist() == second.score_samples(numbers(4)).tolist()


def test_options_reach_the_detector(home: Path, tmp_path: Path) -> None:
    words = ["--epochs", 1, "--alarm-rate", 0.25, "--no-distance", "--column", "a=ignore", "--seed", 5, "--quiet"]
    run("anomalies", "fit", home / "numbers.csv", "-o", tmp_path / "d.safetensors", *words)
    detector = ist.load(tmp_path / "d.safetensors")
    assert (detector.alarm_rate, detector.distance, detector.random_state) == (0.25, False, 5)
    assert detector.columns == {"a": "ignore"}
    assert detector.n_features_in_ == 4


def test_scores_of_a_text_table_stand_beside_its_own_cells(home: Path, tmp_path: Path) -> None:
    run("anomalies", "score", home / "people.safetensors", home / "new.csv", "-o", tmp_path / "s.csv", "-q")
    made, given = cells(tmp_path / "s.csv"), cells(home / "new.csv")
    assert list(made) == [*given, *ADDED]
    assert made[list(given)].equals(given)
    detector = ist.load(home / "people.safetensors")
    np.testing.assert_allclose(made["anomaly_score"].astype(float), -detector.score_samples(home / "new.csv"), 1e-5)
    np.testing.assert_allclose(made["p_value"].astype(float), detector.p_values(home / "new.csv"), 1e-5)
    alarms = detector.predict(home / "new.csv") == -1
    assert (made["alarm"] == np.where(alarms, "True", "False")).all()
    assert alarms[7]
    assert (alarms == (detector.p_values(home / "new.csv") <= 0.05)).all()


def test_reasons_are_words_and_only_where_a_row_alarms(home: Path, tmp_path: Path) -> None:
    run("anomalies", "score", home / "people.safetensors", home / "new.csv", "-o", tmp_path / "s.csv", "--explain", 2)
    made = cells(tmp_path / "s.csv")
    assert list(made)[-2:] == ["reason_1", "reason_2"] == new_names(2)[-2:]
    assert re.fullmatch(r"income: 9,000,000, expected [\d,.]+", made["reason_1"][7])
    quiet = made["alarm"] == "False"
    others = made.loc[quiet, "reason_1"]
    assert (others != "").sum() <= 2 - (~quiet).sum()  # the second oddest row, marked
    assert ((others == "") | others.str.startswith("no alarm; ")).all()


def test_a_table_with_decimal_commas_keeps_its_ways(home: Path, tmp_path: Path) -> None:
    words = ["-o", tmp_path / "s.csv", "--explain", 1, "-q"]
    run("anomalies", "score", home / "people.safetensors", home / "german.csv", *words)
    made, given = cells(tmp_path / "s.csv", ";"), cells(home / "german.csv", ";")
    assert made[list(given)].equals(given)
    assert made["anomaly_score"].str.fullmatch(r"\d+(,\d+)?").all()
    plain = -ist.load(home / "people.safetensors").score_samples(home / "new.csv")
    np.testing.assert_allclose(made["anomaly_score"].str.replace(",", ".").astype(float), plain, 1e-5)


def test_parquet_keeps_types_and_reasons_are_text(home: Path, tmp_path: Path) -> None:
    words = ["-o", tmp_path / "s.parquet", "--alarm-rate", 0.004, "--explain", 1, "-q"]
    run("anomalies", "score", home / "people.safetensors", home / "new.parquet", *words)
    made, given = pd.read_parquet(tmp_path / "s.parquet"), pd.read_parquet(home / "new.parquet")
    pd.testing.assert_frame_equal(made[list(given)], given)
    assert made[ADDED].dtypes.astype(str).tolist() == ["float64", "float64", "bool"]
    assert pd.api.types.is_string_dtype(made["reason_1"].dtype)
    assert made["reason_1"].notna().sum() == made["alarm"].sum() == 1


def test_a_workbook_comes_back_as_a_workbook(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    given = pd.read_csv(home / "new.csv")
    given.to_excel(tmp_path / "new.xlsx", index=False)
    words = ["-o", tmp_path / "s.xlsx", "--explain", 1, "-q"]
    run("anomalies", "score", home / "people.safetensors", tmp_path / "new.xlsx", *words)
    made = pd.read_excel(tmp_path / "s.xlsx")
    assert list(made) == [*given, *ADDED, "reason_1"]
    pd.testing.assert_frame_equal(made[list(given)], given)
    assert made["reason_1"].notna().sum() <= made["alarm"].sum()


def test_a_table_without_names_gets_some(home: Path, tmp_path: Path) -> None:
    pd.DataFrame(numbers(2, 120)).to_csv(tmp_path / "old.csv", index=False, header=False)
    model = tmp_path / "d.safetensors"
    run("anomalies", "fit", tmp_path / "old.csv", "-o", model, "--epochs", 1, "--alarm-rate", 0.1, "-q")
    run("anomalies", "score", model, tmp_path / "old.csv", "-o", tmp_path / "s.csv", "-q")
    assert list(cells(tmp_path / "s.csv")) == ["0", "1", "2", "3", "4", *ADDED]


def test_arrays_give_the_new_columns_alone(home: Path, tmp_path: Path) -> None:
    for name in ("s.csv", "s.npy"):
        run("anomalies", "score", home / "numbers.safetensors", home / "odd.npy", "-o", tmp_path / name, "-q")
    table, array = pd.read_csv(tmp_path / "s.csv"), np.load(tmp_path / "s.npy")
    assert list(table) == ADDED
    np.testing.assert_allclose(array, table.to_numpy(dtype=float), rtol=1e-12)
    assert table["alarm"][4]
    assert table["anomaly_score"].idxmax() == 4


def test_pictures_are_named_by_their_files(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for folder, count in (("old", 40), ("new", 6)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            write_image(tmp_path / folder / f"{i:02}.png", draw.integers(90, 110, (6, 6)).astype("uint8"))
    odd = np.full((6, 6), 100, dtype=np.uint8)
    odd[2, 4] = 255
    write_image(tmp_path / "new" / "03.png", odd)
    model, page = tmp_path / "d.safetensors", tmp_path / "r.html"
    run("anomalies", "fit", tmp_path / "old", "-o", model, "--epochs", 2, "--alarm-rate", 0.1, "-q")
    words = ["--explain", 1, "--report", page]
    said = run("anomalies", "score", model, tmp_path / "new", "-o", tmp_path / "s.csv", *words).stdout
    made = pd.read_csv(tmp_path / "s.csv")
    assert made["file"].tolist() == [f"{i:02}.png" for i in range(6)]
    assert made["reason_1"][3].startswith("height 2, width 4: ")
    assert said.index("03.png") < said.index("height 2, width 4")
    assert "03.png" in page.read_text()
    (tmp_path / "new" / "01.png").write_bytes(b"no picture")
    words = ["anomalies", "score", model, tmp_path / "new", "-o", tmp_path / "t.csv"]
    said = run(*words, code=2).stderr
    assert "'01.png': " in said
    assert "(1 such file of 6). Correct these files; or give --skip-bad" in said
    assert "6, 1 without a score" in run(*words, "--skip-bad").stdout
    again = pd.read_csv(tmp_path / "t.csv")
    assert again.drop(index=1)[ADDED].astype(float).equals(made.drop(index=1)[ADDED].astype(float))
    assert again.loc[1, ADDED].isna().all()


def test_the_summary_names_alarms_and_the_oddest_rows(home: Path, tmp_path: Path) -> None:
    words = ["-o", tmp_path / "s.csv", "--report", tmp_path / "r.html"]
    said = run("anomalies", "score", home / "people.safetensors", home / "new.csv", *words).stdout
    count = int(ist.load(home / "people.safetensors").predict(home / "new.csv").tolist().count(-1))
    assert re.search(rf"^alarms +{count}, [\d.]+ % of the rows; 5 % was asked for$", said, re.MULTILINE)
    first = said.split("The oddest 5 rows:\n")[1].split("\n")[0]
    assert re.match(r"  7 +[\d.]+ nats, p 0\.0066: income: 9,000,000", first)
    assert f"written         {tmp_path}" in said.replace("\n" + " " * 16, " ")
    assert max(map(len, said.split("\n"))) <= max(80, 16 + len(str(tmp_path)) + 30)
    assert (tmp_path / "r.html").read_text().count("<section") == 6  # so few rows say nothing of the columns


def test_drift_is_told(home: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "drifted.npy", numbers(5, 300) + np.array([0, 0, 2.0, 0, 0]))
    model = home / "numbers.safetensors"
    said = run("anomalies", "score", model, tmp_path / "drifted.npy", "-o", tmp_path / "s.csv").stdout
    said = " ".join(said.split())
    assert "the data have drifted" in said
    assert "drifted since the fit: 2." in said
    same = run("anomalies", "score", model, home / "odd.npy", "-o", tmp_path / "s.csv").stdout
    assert "drifted" not in same


def test_fit_says_how_sure_the_level_is_and_what_comes_next(home: Path, tmp_path: Path) -> None:
    words = ["-o", tmp_path / "d.safetensors", "--epochs", 1, "--report", tmp_path / "r.html"]
    result = run("anomalies", "fit", home / "numbers.npy", *words)
    said = " ".join(result.stdout.split())
    assert "5 autoencoders, each fitted to other rows, to 400 rows" in said
    assert "for 1 % of ordinary rows; the level rests on 400 rows that were held out" in said
    assert f"isthmus anomalies score {tmp_path}/d.safetensors new.npy -o scored.csv --explain 3" in said
    assert "400 rows of 5 columns, scored by 5 autoencoders" in (tmp_path / "r.html").read_text()


def test_a_rate_that_the_rows_cannot_tell_is_noted(home: Path, tmp_path: Path) -> None:
    words = ["-o", tmp_path / "s.csv", "--alarm-rate", "0.0001", "-q"]
    result = run("anomalies", "score", home / "numbers.safetensors", home / "odd.npy", *words)
    assert result.stderr.startswith("note: ")
    assert "cannot be resolved by 400 held-out rows" in result.stderr
    assert ist.load(home / "numbers.safetensors").alarm_rate == 0.05


def test_steps_of_a_series_are_judged_by_those_before(tmp_path: Path) -> None:
    steps = np.arange(1200)
    level = 50 + 10 * np.sin(2 * np.pi * steps / 24) + np.random.default_rng(0).normal(size=1200)
    level[1100] = 10.0
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(steps, "h")
    frame = pd.DataFrame({"when": when, "level": level.round(2)})
    frame[:800].to_csv(tmp_path / "old.csv", index=False)
    frame[800:].to_csv(tmp_path / "new.csv", index=False)
    model = tmp_path / "d.safetensors"
    run("anomalies", "fit", tmp_path / "old.csv", "-o", model, "--data", "series", "-q")
    words = ["-o", tmp_path / "s.csv", "--explain", 1, "--report", tmp_path / "r.html"]
    said = run("anomalies", "score", model, tmp_path / "new.csv", *words).stdout
    made = cells(tmp_path / "s.csv")
    assert list(made) == ["when", "level", *ADDED, "reason_1"]
    assert made["anomaly_score"].astype(float).idxmax() == 300
    assert re.fullmatch(r"level: 10, expected [45]\d\.\d+", made["reason_1"][300])
    assert "  300 " in said
    assert "400 steps of 1 channel, each judged by the steps before it" in (tmp_path / "r.html").read_text()
    again = ["anomalies", "fit", tmp_path / "old.csv", "-o", model, "--data", "series", "--column", "level=numeric"]
    assert "columns can only be left out" in run(*again, code=2).stderr


def spoilt(home: Path, folder: Path) -> Path:
    """The new rows, a cell of text in a column of numbers."""
    new = pd.read_csv(home / "new.csv").astype(object)
    new.loc[11, "income"] = "n/k?"
    new.to_csv(folder / "spoilt.csv", index=False)
    return folder / "spoilt.csv"


def test_a_cell_that_cannot_be_read_is_named_with_what_to_do(home: Path, tmp_path: Path) -> None:
    data, out = spoilt(home, tmp_path), tmp_path / "s.csv"
    said = run("anomalies", "score", home / "people.safetensors", data, "-o", out, code=2).stderr
    assert "row 11, column 'income', holds 'n/k?', which is no number (1 such cell in 1 of 60 rows)" in said
    assert "or empty them; or give --skip-bad" in said
    assert not out.exists()
    for name, cell, fault in (("gap.csv", "", "is empty, which"), ("inf.csv", "inf", "holds inf, which is no finite")):
        frame = pd.DataFrame(numbers(3, 50), columns=list("abcde")).astype(object)
        frame.loc[6, "c"] = cell
        frame.to_csv(tmp_path / name, index=False)
        said = run("anomalies", "score", home / "named.safetensors", tmp_path / name, "-o", out, code=2).stderr
        assert f"row 6, column 'c', {fault}" in said
        assert "empty them" not in said  # as this detector takes no gaps


def test_rows_that_cannot_be_read_have_no_score_on_request(home: Path, tmp_path: Path) -> None:
    words = ["--skip-bad", "--explain", 1, "--report", tmp_path / "r.html"]
    data, model = spoilt(home, tmp_path), home / "people.safetensors"
    for name in ("s.csv", "s.parquet"):
        result = run("anomalies", "score", model, data, "-o", tmp_path / name, *words)
        assert "row 11, column 'income', holds 'n/k?'" in result.stderr
        assert "60, 1 without a score" in result.stdout
    run("anomalies", "score", model, home / "new.csv", "-o", tmp_path / "whole.csv", "--explain", 1, "-q")
    made, whole = cells(tmp_path / "s.csv"), cells(tmp_path / "whole.csv")
    added = [*ADDED, "reason_1"]
    assert made.loc[11, ["income", *added]].tolist() == ["n/k?", "", "", "", ""]
    assert made.drop(index=11)[["city", *added]].equals(whole.drop(index=11)[["city", *added]])
    typed = pd.read_parquet(tmp_path / "s.parquet")
    assert typed[ADDED].dtypes.astype(str).tolist() == ["float64", "float64", "boolean"]
    assert typed.loc[11, ADDED].isna().all()
    assert "; 1 row without a score" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize("written", ["%Y-%m-%d", "%d.%m.%Y"])
def test_cells_that_are_no_dates(written: str, tmp_path: Path) -> None:
    table = people(0, 150).drop(columns="member").assign(since=pd.date_range("2020-01-01", periods=150))
    table["since"] = table["since"].dt.strftime(written)
    table.to_csv(tmp_path / "old.csv", index=False)
    table.loc[[9, 12], "since"] = ["gestern", "2020-02-30"]
    table.loc[11, "since"] = None
    table.to_csv(tmp_path / "bad.csv", index=False)
    model, out = tmp_path / "d.safetensors", tmp_path / "s.csv"
    run("anomalies", "fit", tmp_path / "old.csv", "-o", model, "--epochs", 1, "--alarm-rate", 0.05, "-q")
    said = run("anomalies", "score", model, tmp_path / "bad.csv", "-o", out, code=2).stderr
    assert "row 9, column 'since', holds 'gestern', which is no date (2 such cells in 2 of 150 rows)" in said
    assert "give --skip-bad" in said
    run("anomalies", "score", model, tmp_path / "bad.csv", "-o", out, "--skip-bad", "-q")
    made = cells(out)
    assert np.flatnonzero(made["anomaly_score"] == "").tolist() == [9, 12]
    assert made.loc[9, ["since", "p_value", "alarm"]].tolist() == ["gestern", "", ""]


def test_arrays_with_cells_that_are_no_numbers(home: Path, tmp_path: Path) -> None:
    odd = np.load(home / "odd.npy")
    odd[9, 3] = np.inf
    np.save(tmp_path / "bad.npy", odd)
    words = ["anomalies", "score", home / "numbers.safetensors", tmp_path / "bad.npy", "-o", tmp_path / "s.npy"]
    assert "row 9, column 3, holds inf, which is no finite number" in run(*words, code=2).stderr
    run(*words, "--skip-bad")
    made = np.load(tmp_path / "s.npy")
    assert np.isnan(made[9]).all()
    assert np.isfinite(np.delete(made, 9, axis=0)).all()


def test_words_among_the_steps_of_a_series(tmp_path: Path) -> None:
    steps = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 2)).round(2), columns=["level", "flow"])
    steps.to_csv(tmp_path / "old.csv", index=False)
    bad = steps.astype(object)
    bad.loc[33, "flow"] = "offline"
    bad.to_csv(tmp_path / "bad.csv", index=False)
    bad.assign(level="up", flow="down").to_csv(tmp_path / "words.csv", index=False)
    model, out = tmp_path / "d.safetensors", tmp_path / "s.csv"
    fit = ["-o", model, "--data", "series", "-q"]
    said = run("anomalies", "fit", tmp_path / "bad.csv", *fit, code=2).stderr
    assert "row 33, column 'flow', holds 'offline', which is no number" in said
    assert "--column flow=ignore" in said
    said = run("anomalies", "fit", tmp_path / "words.csv", *fit, code=2).stderr
    assert "no column of numbers" in said
    assert "column 'level' holds words, such as 'up' in row 0" in said
    run("anomalies", "fit", tmp_path / "old.csv", *fit, "--alarm-rate", 0.05)
    said = run("anomalies", "score", model, tmp_path / "bad.csv", "-o", out, code=2).stderr
    assert "row 33, column 'flow', holds 'offline'" in said
    run("anomalies", "score", model, tmp_path / "bad.csv", "-o", out, "--skip-bad", "-q")
    made = cells(out)
    assert made.loc[33].tolist() == [str(steps["level"][33]), "offline", "", "", ""]
    assert (made.drop(index=33)[ADDED] != "").all(axis=None)


def test_a_value_that_the_fit_never_met_is_shown_as_it_stands(home: Path, tmp_path: Path) -> None:
    new = people(1, 60)
    new.loc[7, "city"] = "Castrop-Rauxel"
    for name in ("new.csv", "new.parquet"):
        new.to_csv(tmp_path / name, index=False) if name.endswith("csv") else new.to_parquet(tmp_path / name)
        words = ["-o", tmp_path / "s.csv", "--explain", 2, "--report", tmp_path / "r.html"]
        said = run("anomalies", "score", home / "people.safetensors", tmp_path / name, *words).stdout
        made = cells(tmp_path / "s.csv")
        assert made["reason_1"][7].startswith("city: Castrop-Rauxel, expected ")
        assert "Castrop-Rauxel" in said
        assert "is Castrop-Rauxel, expected" in (tmp_path / "r.html").read_text()


def test_the_oddest_rows_are_explained_once_and_marked_where_none_alarms(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(detector, source, most, X=None):
        calls.append(source.rows)
        return explained(detector, source, most, X)

    monkeypatch.setattr("isthmus.estimators.anomaly_words.explained", counted)
    words = ["-o", tmp_path / "s.csv", "--explain", 2, "--report", tmp_path / "r.html", "--alarm-rate", 0.005]
    people(1, 60).to_csv(tmp_path / "usual.csv", index=False)
    said = run("anomalies", "score", home / "people.safetensors", tmp_path / "usual.csv", *words).stdout
    made = cells(tmp_path / "s.csv")
    assert not (made["alarm"] == "True").any()
    assert calls == [2]
    oddest = made["anomaly_score"].astype(float).sort_values(ascending=False).index
    assert (made.loc[oddest[2:], ["reason_1", "reason_2"]] == "").all(axis=None)
    told = made.loc[oddest[:2], "reason_1"]
    assert ((told == "") | told.str.startswith("no alarm; ")).all()
    assert said.count("no alarm") == 5
    assert (tmp_path / "r.html").read_text().count("no alarm</span>") == 20


def test_notes_that_differ_in_numbers_alone_are_said_once() -> None:
    def noisy() -> None:
        with said_once():
            for place in range(5):
                warnings.warn(f"{place + 3} rows of {80 - place} are few", DataWarning, stacklevel=1)
            warnings.warn("3 columns are many", DataWarning, stacklevel=1)

    with pytest.warns(DataWarning) as caught:
        noisy()
    assert [str(one.message) for one in caught] == ["3 rows of 80 are few", "3 columns are many"]


@pytest.mark.parametrize("kind", ["mixed", "numbers", "series"])
def test_columns_that_a_score_wrote_are_not_learnt_from(kind: str, tmp_path: Path) -> None:
    table = people(0, 150).drop(columns="member") if kind == "mixed" else pd.DataFrame(numbers(2, 300)).add_prefix("c")
    table.to_csv(tmp_path / "t.csv", index=False)
    words = ["--alarm-rate", 0.05, *(["--data", "series"] if kind == "series" else ["--epochs", 1])]
    model, again, scored = (tmp_path / name for name in ("d.safetensors", "e.safetensors", "s.csv"))
    run("anomalies", "fit", tmp_path / "t.csv", "-o", model, *words)
    run("anomalies", "score", model, tmp_path / "t.csv", "-o", scored, "--explain", 1)
    said = run("anomalies", "fit", scored, "-o", again, *words).stderr
    told = "'anomaly_score', 'p_value'"
    assert " ".join(said.split()).count(told) == 1
    assert "are left out of the fit" in " ".join(said.split())
    assert ist.load(again).feature_names_in_.tolist() == list(table)
    run("anomalies", "score", again, tmp_path / "t.csv", "-o", tmp_path / "u.csv", "-q")
    own = table[table.columns[:1]].rename(columns=lambda name: "p_value").assign(other=np.arange(len(table)) % 7)
    own.to_csv(tmp_path / "own.csv", index=False)
    assert "left out" not in run("anomalies", "fit", tmp_path / "own.csv", "-o", again, *words).stderr


def test_mistakes_are_told_in_one_line(home: Path, tmp_path: Path) -> None:
    model, data, out = home / "people.safetensors", home / "new.csv", tmp_path / "s.csv"
    run("fit", home / "numbers.npy", "-o", tmp_path / "ae.safetensors", "--epochs", 1, "--quiet")
    scored = people(1, 5).assign(p_value=0.5)
    scored.to_csv(tmp_path / "scored.csv", index=False)
    for words, told in (
        (["fit", data, "-o", out], "the file must end in .safetensors"),
        (
            ["fit", data, "-o", tmp_path / "d.safetensors", "--alarm-rate", 1],
            "--alarm-rate must be above 0 and below 1",
        ),
        (["fit", data, "-o", tmp_path / "d.safetensors", "--data", "text"], "--data must be auto or series"),
        (["fit", data, "-o", tmp_path / "d.safetensors", "--report", "r.pdf"], "--report: the file must end in .html"),
        (["score", model, data, "-o", data], "is what is read"),
        (["score", model, data, "-o", out, "--alarm-rate", 0], "--alarm-rate must be above 0"),
        (["score", model, data, "-o", out, "--explain", -1], "--explain must be a whole number >= 0; got -1"),
        (["score", model, data, "-o", tmp_path / "s.npy", "--explain", 1], "reasons are words"),
        (["score", model, data, "-o", tmp_path / "s.npy"], "in 'city'; write .csv, .tsv, .xlsx or .parquet"),
        (["score", tmp_path / "ae.safetensors", data, "-o", out], "isthmus anomalies fit makes a detector"),
        (["score", model, home / "odd.npy", "-o", out], ""),
        (["score", model, tmp_path / "no.csv", "-o", out], "there is no file"),
        (["score", model, tmp_path / "scored.csv", "-o", out, "--column", "p_value=ignore"], "'p_value' already"),
    ):
        assert told in run("anomalies", *words, code=2).stderr, words
    assert not out.exists()
    assert not (tmp_path / "s.npy").exists()
