"""The report of a mixed table: its columns in their own words and units, and never the number of a level."""

from __future__ import annotations

import math
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import isthmus as ist
from isthmus.report import columns, table_page

N = 240
TOWNS, SIZES = ("Aarhus", "Bergen", "Cork", "Delft"), ("S", "M", "L")


def frame(rows: int = N) -> pd.DataFrame:
    """A column of every type, with gaps."""
    random = np.random.default_rng(0)
    town = random.integers(0, 4, rows)
    table = pd.DataFrame(
        {
            "height": 170 + 10 * random.normal(size=rows) + 5 * town,
            "town": np.array(TOWNS)[town],
            "member": random.random(rows) < 0.7,
            "size": pd.Categorical(np.array(SIZES)[random.integers(0, 3, rows)], SIZES, ordered=True),
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, rows), unit="D"),
            "opens": [pd.Timestamp(int(60 * s), unit="s").time() for s in random.integers(0, 1440, rows)],
        }
    )
    table.loc[3:20, "town"] = None
    table.loc[10:40, "height"] = np.nan
    return table


@pytest.fixture(scope="module")
def model() -> ist.Autoencoder:
    return ist.Autoencoder("masked", code_size=3, epochs=4, random_state=0).fit(frame())


@pytest.fixture(scope="module")
def page(model: ist.Autoencoder, tmp_path_factory: pytest.TempPathFactory) -> str:
    return model.report(tmp_path_factory.mktemp("page") / "table.html", frame()).read_text(encoding="utf-8")


def found(model: ist.Autoencoder, X: pd.DataFrame) -> tuple[columns.Cells, dict[str, columns.TableColumn]]:
    from isthmus.estimators.reporting import table_cells

    source = model._source(X)
    cells = table_cells(model, source, np.arange(source.rows), None, 100)
    told = columns.told(cells, np.arange(1), np.arange(1), np.zeros(len(X)), ["r"] * len(X), [""] * len(X))
    return cells, {one.name: one for one in told.columns}


def rows_of(page: str, section: str) -> dict[str, list[str]]:
    """The table of a section as text: cells by the head of the row."""
    part = page[page.index(f'<h2 id="{section}">') :]
    body = part[part.index("<tbody>") : part.index("</tbody>")]
    lines = re.findall(r"<tr>(.*?)</tr>", body, re.S)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.S) for line in lines]
    plain = [[unescape(re.sub(r"<[^>]*>", " ", cell)).strip() for cell in line] for line in cells]
    return {line[0].split("  ")[0].split(" ")[0]: line[1:] for line in plain}


def test_levels_are_told_by_how_many_are_right(model: ist.Autoencoder) -> None:
    X = frame()
    _, told = found(model, X)
    rebuilt = model.reconstruct(X)
    known = X["town"].notna()
    right = 100 * (X["town"] == rebuilt["town"])[known].mean()
    usual = X["town"].mode()[0]
    assert told["town"].error == f"{right:.1f} % right"
    assert told["town"].usual == f"{100 * (X['town'] == usual)[known].mean():.1f} % right"
    shares = X["town"].value_counts(normalize=True)
    assert told["town"].usual_beside == f"{usual}; {-(shares * np.log(shares)).sum():.2f} nats"
    assert told["town"].missing == pytest.approx(18 / N)
    assert told["member"].error == f"{100 * (X['member'] == rebuilt['member']).mean():.1f} % right"
    off = (X["size"].cat.codes - rebuilt["size"].cat.codes).abs().mean()
    assert told["size"].beside.startswith(f"{off:.2g} levels off in the mean; ")


def test_numbers_are_told_in_their_own_unit(model: ist.Autoencoder) -> None:
    X = frame()
    _, told = found(model, X)
    errors = (X["height"] - model.reconstruct(X)["height"]).dropna().to_numpy()
    assert told["height"].error == f"off by {np.sqrt(np.square(errors).mean()):.4g}"
    assert told["height"].beside == f"median {np.median(np.abs(errors)):.4g}"
    assert told["height"].usual == f"off by {X['height'].std(ddof=0):.4g}"
    assert told["height"].usual_beside.startswith(f"{X['height'].mean():.4g}; median ")
    assert told["height"].missing == pytest.approx(31 / N)


def test_dates_are_told_in_days_and_times_of_day_in_hours(model: ist.Autoencoder) -> None:
    X = frame()
    cells, told = found(model, X)
    spread = X["joined"].astype("int64").to_numpy() * (1e-6 if X["joined"].dtype == "datetime64[us]" else 1e-9)
    assert told["joined"].usual == f"off by {spread.std() / 86_400:.4g} days"
    assert re.fullmatch(r"20\d\d-\d\d-\d\d; median [\d.]+ days", told["joined"].usual_beside)
    place = [coding.name for coding in cells.codings].index("opens")
    apart = columns.around(cells.observed[:, place] - cells.rebuilt[:, place])
    assert told["opens"].error == f"off by {24 * math.sqrt(np.square(apart).mean()):.4g} hours"
    assert apart.max() <= 0.5


def test_small_errors_of_times_are_told_in_minutes() -> None:
    from isthmus.data.coding import Coding
    from isthmus.records import Column

    coding = Coding("at", "circular", "times", "object", Column("circular"), arrow="time64[us]")
    x = (np.array([-10.0, 0.0, 10.0, 20.0]) / 1440) % 1
    error, median, usual, beside = columns.of_numbers(coding, x, (x + 3 / 1440) % 1)
    assert (error, median) == ("off by 3 minutes", "median 3 minutes")
    assert usual.startswith("off by 11.18 minutes")
    assert beside == "00:05:00; median 10 minutes"


def test_columns_are_sorted_by_the_share_that_is_lost(model: ist.Autoencoder) -> None:
    cells, told = found(model, frame())
    lost = [one.lost for one in told.values()]
    assert lost == sorted(lost, reverse=True)
    assert np.allclose(sorted(columns.lost_shares(cells)), sorted(lost))


def test_bars_are_ratios_of_the_figures_beside_them(model: ist.Autoencoder) -> None:
    _, told = found(model, frame())

    def figure(text: str) -> float:
        return float(text.removeprefix("off by ").split(" ")[0])

    for name in ("height", "joined", "opens"):
        assert told[name].lost == pytest.approx(figure(told[name].error) / figure(told[name].usual), rel=2e-3), name
    for name in ("town", "member"):
        wrong, usual = (100 - figure(text) for text in (told[name].error, told[name].usual))
        assert told[name].lost == pytest.approx(wrong / usual, abs=2e-3), name
    off, usual = figure(told["size"].beside), figure(told["size"].usual_beside.split("; ")[1])
    assert told["size"].lost == pytest.approx(off / usual, abs=0.03)


def test_the_share_of_a_bent_column_is_that_of_its_own_unit() -> None:
    from isthmus.data.coding import Coding
    from isthmus.records import Column

    coding = Coding("pay", "numeric", "numbers", "float64", Column(), scaling="log")
    x = np.array([1.0, 10.0, 100.0, 1000.0])
    assert columns.lost_share(coding, x, x + 50) == pytest.approx(50 / x.std())
    assert math.isnan(columns.lost_share(coding, np.full(3, 0.1), np.arange(3.0)))
    assert math.isnan(columns.lost_share(coding, x[:0], x[:0]))


def test_verdicts_that_do_not_apply_are_no_praise(page: str) -> None:
    items = re.findall(r'<li class="(\w+)">(.*?)</li>', page, re.S)
    none = [text for level, text in items if level == "none"]
    assert len(none) == page.count("Does not apply: ") >= 2
    for text in none:
        assert '<span class="level">n/a</span>' in text
        assert "M4 10.5" not in text  # the tick


def test_pca_of_neighbours_says_what_it_sees(page: str) -> None:
    part = page[page.index('<h2 id="neighbours">') :]
    assert "a column of 0 and 1 for each level of a category" in part[: part.index("</section>")]
    assert "PCA of the same size, of scaled numbers and one-hot levels, " in page


def test_the_page_shows_values_and_no_level_numbers(page: str, model: ist.Autoencoder) -> None:
    told = rows_of(page, "rows")
    for name, allowed in (("town", TOWNS), ("size", SIZES), ("member", ("True", "False"))):
        words = {word for cell in told[name] for word in re.split(r"\s*→\s*", cell.strip()) if word}
        assert words <= {*allowed, "missing"}, name
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d(\s*→ 20\d\d-\d\d-\d\d)?", cell) for cell in told["joined"])
    assert all(re.match(r"\d\d:\d\d", cell) for cell in told["opens"])
    odd = page[page.index('<h2 id="odd">') :]
    for name, value in re.findall(r"<b>(town|size|member)</b> is (\w+)", odd):
        assert value in {"town": TOWNS, "size": SIZES, "member": ("True", "False")}[name]
    # Seconds since 1970 would have ten digits.
    assert not re.search(r">1[56]\d{8}|1,[56]\d\d,\d{3},\d{3}", page)


def test_missing_cells_are_marked_and_say_what_fills_them(page: str, model: ist.Autoencoder) -> None:
    told = rows_of(page, "rows")
    gaps = [cell for cell in (*told["town"], *told["height"]) if cell.startswith("missing")]
    assert gaps
    filled = model.impute(frame())
    cells, _ = found(model, frame())
    assert columns.shown_cell(cells, 3, 1) == columns.ShownCell("town", "missing", filled["town"][3], "missing")
    assert cells.errors[3, 1] == 0
    assert 1 not in columns.what_is_odd(cells, 3)


def test_key_figures_and_sentences_speak_of_usual_values(page: str) -> None:
    assert re.search(r"<dt>held-out error</dt><dd>\d+ % of the usual values&#x27; \(numbers squared\)</dd>", page)
    assert "RMSE" not in page.split('<h2 id="details">')[0]
    assert "<b>Usual values</b>" in page
    assert page.count("<script") == 0
    assert "http" not in re.sub(r"https?://www\.w3\.org\S*", "", page.split('<h2 id="details">')[0])


def test_a_wide_category_and_rare_levels_are_told_in_words(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    number = random.integers(0, 2000, 4000)
    X = pd.DataFrame({"street": [f"Way {i}" for i in number], "number": number + random.normal(size=4000)})
    model = ist.Autoencoder("undercomplete", code_size=1, epochs=1, random_state=0, columns={"street": "category"}).fit(
        X
    )
    diagnosis = model.diagnose(X.head(400))
    assert diagnosis["neighbours"].sentence.endswith(" Without 'street', of more than 100 levels.")
    new = X.head(60).copy()
    page = model.report(tmp_path / "wide.html", new).read_text(encoding="utf-8")
    words = {word for cell in rows_of(page, "rows")["street"] for word in re.split(r"\s*→\s*", cell) if word}
    assert all(word.startswith("Way ") or word == columns.OTHER for word in words)


def test_one_row_and_a_constant_column(tmp_path: Path) -> None:
    X = frame(80)
    X["where"] = "here"
    with pytest.warns(ist.errors.DataWarning, match="constant"):
        model = ist.Autoencoder("undercomplete", code_size=2, epochs=1, random_state=0).fit(X)
    page = model.report(tmp_path / "one.html", X.head(1)).read_text(encoding="utf-8")
    assert "never varies" in page
    _, told = found(model, X)
    assert (told["where"].error, told["where"].usual) == ("100 % right", "100 % right")
    assert math.isnan(told["where"].lost)
    assert [*told][-1] == "where"


def test_words_of_the_user_stay_words(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    nasty = '<script>alert("x")</script>'
    X = pd.DataFrame({nasty: np.array([nasty, "b&b"])[random.integers(0, 2, 60)], "n": random.normal(size=60)})
    model = ist.Autoencoder("undercomplete", code_size=1, epochs=1, random_state=0).fit(X)
    page = model.report(tmp_path / "nasty.html", X).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "b&amp;b" in page


def test_figures_of_a_bar() -> None:
    assert 'style="width:100%"' in table_page.bar(1.7)
    assert "bar over" in table_page.bar(1.7)
    assert table_page.bar(0.25).endswith("25 %")
    assert table_page.bar(math.nan) == "never varies"


def test_columns_left_out_are_named(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    X = pd.DataFrame(
        {"user_id": [f"u{i:05d}" for i in range(200)], "n": random.normal(size=200), "k": list("ab") * 100}
    )
    with pytest.warns(ist.errors.DataWarning, match="user_id"):
        model = ist.Autoencoder("undercomplete", code_size=1, epochs=1, random_state=0).fit(X)
    page: Any = model.report(tmp_path / "left.html", X).read_text(encoding="utf-8")
    assert "1 column is not used. user_id: " in page


def test_labels_time_zones_and_spans(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    when = pd.date_range("2024-01-01", periods=90, freq="37min", tz="Europe/Berlin")
    lasts = pd.to_timedelta(random.integers(60, 9000, 90), unit="s")
    X = pd.DataFrame(
        {"when": when, "lasts": lasts, "visits": random.poisson(3, 90)}, index=[f"id{i}" for i in range(90)]
    )
    model = ist.Autoencoder("undercomplete", code_size=1, epochs=1, random_state=0).fit(X)
    page = model.report(tmp_path / "dates.html", X, y=np.array(["l", "m"])[np.arange(90) % 2]).read_text("utf-8")
    told = rows_of(page, "rows")
    assert all(re.fullmatch(r"2024-01-0\d \d\d:\d\d\s*→ 2024-01-0\d \d\d:\d\d", cell) for cell in told["when"])
    assert told["when"][0].startswith("2024-01-01 00:00")
    assert all(re.match(r"[\d.]+ (hours|minutes|seconds)", cell) for cell in told["lasts"])
    assert "row id0" in page
    odd = rows_of(page, "odd")
    assert {line[0] for line in odd.values()} <= {"l", "m"}
    above = [float(line[1]) for line in odd.values()]
    assert above == sorted(above, reverse=True)
    scores = -model.score_samples(X)
    assert above[0] == pytest.approx(scores.max() - scores.mean(), rel=0.01)
