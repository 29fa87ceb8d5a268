"""Mixed tables on the command line: what is said of their columns, gaps that are filled, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_cli import TINY, run

import isthmus as ist
from isthmus.data import write_table
from isthmus.data.column_words import column_lines, columns_for_python
from isthmus.data.text_cells import text_cells

ROWS = 80
CITIES = ["Ulm", "Bonn, am Rhein", "Jena"]


def people() -> pd.DataFrame:
    """A table of every kind of column, with gaps in most, one column of names of rows, and one without a value."""
    draw = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "member": np.arange(500, 500 + ROWS),
            "age": draw.integers(18, 90, ROWS).astype(float),
            "city": draw.choice(CITIES, ROWS),
            "paid": np.round(draw.normal(50, 9, ROWS), 2),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, ROWS), "D"),
            "active": draw.choice(["yes", "no"], ROWS),
            "zip": draw.choice(["01067", "10115", "80331"], ROWS),
            "note": np.full(ROWS, np.nan),
        }
    )
    for place, name in enumerate(["age", "city", "paid", "since", "active", "zip"]):
        frame.loc[place :: 9 + place, name] = None
    return frame


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("tables")
    people().to_csv(home / "people.csv", index=False)
    # As a spreadsheet of a country with decimal commas saves it.
    german = people().astype({"age": "Int64"})
    german.to_csv(home / "german.csv", sep=";", decimal=",", index=False, encoding="cp1252")
    people().drop(columns="zip").to_parquet(home / "people.parquet")
    run("fit", home / "people.csv", "-o", home / "m.safetensors", "--method", "masked", "--code-size", 2, *TINY)
    run("fit", home / "german.csv", "-o", home / "german.safetensors", "--code-size", 2, *TINY)
    run("fit", home / "people.parquet", "-o", home / "p.safetensors", "--code-size", 2, *TINY)
    return home


def cells(path: Path, sep: str = ",") -> pd.DataFrame:
    return pd.read_csv(path, sep=sep, dtype=str, keep_default_na=False)


# ---------------------------------------------------------------------- what is said of columns


LISTED = """\
  column  taken for             missing  because
  age     numeric               11 %     whole numbers
  city    category of 3 levels  10 %     text
"""


def test_fit_lists_the_columns_once_with_reasons(home, tmp_path):
    result = run("fit", home / "people.csv", "-o", tmp_path / "m.safetensors", "--epochs", 1, "--code-size", 2)
    assert result.stdout.startswith("read as         ")
    assert "\n                ('01067')\n" + LISTED in result.stdout
    assert "  left out:\n  member  it counts the rows up by one" in result.stdout
    assert re.search(r"^  note +nothing is known in it: every cell is missing$", result.stdout, flags=re.MULTILINE)
    assert "  to change one: --column member=category\n" in result.stdout
    assert result.output.count("counts the rows up by one") == 1
    assert "of that of the columns' usual values" in " ".join(result.stdout.split())
    assert "nan" not in result.stdout


def test_a_quiet_fit_notes_what_is_left_out(home, tmp_path):
    result = run("fit", home / "people.csv", "-o", tmp_path / "m.safetensors", *TINY, "--code-size", 2)
    assert result.stdout == ""
    (note,) = result.stderr.strip().split("\n")
    assert note.startswith("note: ")
    assert "member (it counts the rows" in note
    assert "--column member=category" in note


def test_info_says_the_same_of_data_and_model(home):
    of_data, of_model = run("info", home / "people.csv").stdout, run("info", home / "m.safetensors").stdout
    assert LISTED in of_data
    assert "read as         numbers with zeros before them" in of_data
    form = ist.load(home / "m.safetensors").form_
    assert "\n".join(column_lines(form, width=80)) in of_model
    assert "to change one" not in of_model
    assert re.search(r"^  since +2020-\d\d-\d\d +2022-\d\d-\d\d  standard$", of_data, flags=re.MULTILINE)
    assert max(map(len, of_data.split("\nNext:")[0].split("\n"))) <= 80


def test_a_column_that_an_option_leaves_out_though_the_model_reads_it(home, tmp_path):
    model, data = home / "m.safetensors", home / "people.csv"
    for words, option in (
        (["report", model, data, "-o", tmp_path / "r.html", "--labels", "city"], "--labels city"),
        (["encode", model, data, "-o", tmp_path / "c.csv", "--column", "city=ignore"], "--column city=ignore"),
        (["encode", model, data, "-o", tmp_path / "c.csv", "--given", "city"], "--given city"),
    ):
        said = " ".join(run(*words, code=2).stderr.split())
        assert said.startswith(f"isthmus: {option} leaves out the column 'city', but the model reads it")
        assert f"fit again with {option}" in said
        assert "Missing columns" not in said


def test_whole_numbers_with_gaps_are_rebuilt_as_whole_numbers(home, tmp_path):
    run("reconstruct", home / "m.safetensors", home / "people.csv", "-o", tmp_path / "r.csv")
    made = cells(tmp_path / "r.csv")
    assert made["age"].str.fullmatch("[0-9]+").all()
    assert made["paid"].str.contains(".", regex=False).all()


def test_a_parquet_file_of_whole_numbers_for_a_model_of_text(home, tmp_path):
    later = people().astype({"age": "Int64"})
    later.to_parquet(tmp_path / "later.parquet")
    run("impute", home / "m.safetensors", tmp_path / "later.parquet", "-o", tmp_path / "full.parquet")
    full = pd.read_parquet(tmp_path / "full.parquet")
    assert str(full["age"].dtype) == "Int64"
    assert full["age"].notna().all()
    known = later["age"].notna()
    assert (full["age"][known] == later["age"][known]).all()


def test_info_says_how_a_file_is_written(home):
    said = run("info", home / "german.csv").stdout
    assert "read as         values are separated by semicolons\n" in said
    assert "the decimal sign is a comma\n" in said


def test_a_column_is_what_the_user_says(home, tmp_path):
    options = ["--column", "age=category", "--column", "member=numeric", "--column", "paid=ignore"]
    said = run("info", home / "people.csv", *options).stdout
    assert re.search(r"^  age +category of \d+ levels.* as asked for$", said, flags=re.MULTILINE)
    assert re.search(r"^  member +numeric +as asked for$", said, flags=re.MULTILINE)
    assert not re.search(r"^  paid", said, flags=re.MULTILINE)
    run("fit", home / "people.csv", "-o", tmp_path / "m.safetensors", *options, *TINY)
    types = {one.name: one.type for one in ist.load(tmp_path / "m.safetensors").form_.codings}
    assert (types["age"], types["member"]) == ("category", "numeric")
    assert "paid" not in types


def test_many_columns_are_cut(tmp_path):
    draw = np.random.default_rng(0)
    wide = pd.DataFrame({f"answer_{i}": draw.choice(["a", "b", "c"], 40) for i in range(60)})
    wide.to_csv(tmp_path / "wide.csv", index=False)
    said = run("info", tmp_path / "wide.csv").stdout
    assert len(re.findall(r"^  answer_\d+ ", said, flags=re.MULTILINE)) == 50
    assert f"  and 10 more: isthmus info {tmp_path / 'wide.csv'} --all\n" in said
    every = run("info", tmp_path / "wide.csv", "--all").stdout
    assert len(re.findall(r"^  answer_\d+ ", every, flags=re.MULTILINE)) == 60
    assert "more:" not in every


def test_long_reasons_go_on_below_themselves():
    frame = pd.DataFrame({"x" * 40: ["a", "b"] * 20, "time\nof": pd.to_timedelta(range(40), "h")})
    lines = column_lines(ist.data.open_source(frame).form, width=70)
    assert max(map(len, lines)) <= 70
    assert lines[1].startswith(f"  {'x' * 18}...  category of 2 levels  text")
    assert lines[2].startswith("  time of ")


def test_python_is_told_in_its_own_words():
    said = columns_for_python(ist.data.open_source(people()[["age", "city"]]).form)
    assert said.endswith("\n  to change one: columns={'age': 'category'}")


# ---------------------------------------------------------------------- gaps filled


def test_impute_fills_gaps_and_leaves_the_rest(home, tmp_path):
    result = run("impute", home / "m.safetensors", home / "people.csv", "-o", tmp_path / "full.csv")
    before, after = cells(home / "people.csv"), cells(tmp_path / "full.csv")
    known = before != ""
    assert (before == after)[known].equals(before.notna()[known])
    filled = after.drop(columns="note")
    assert not (filled == "").any(axis=None)
    assert set(filled["city"]) <= set(CITIES)
    assert set(filled["zip"]) == {"01067", "10115", "80331"}
    assert filled["age"].str.fullmatch(r"\d+\.0").all()
    assert filled["paid"].str.fullmatch(r"\d+(\.\d{1,2})?").all()
    assert filled["since"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()
    gaps = int((before.drop(columns="note") == "").to_numpy().sum())
    assert f"filled          {gaps} cells in 6 columns" in result.stdout
    assert re.search(r"^  age +9  11 % of its cells$", result.stdout, flags=re.MULTILINE)
    assert f"still missing   in columns that the model does not read: note ({ROWS})" in result.stdout


def test_impute_writes_as_the_file_is_written(home, tmp_path):
    run("impute", home / "german.safetensors", home / "german.csv", "-o", tmp_path / "voll.csv")
    before, after = cells(home / "german.csv", ";"), cells(tmp_path / "voll.csv", ";")
    assert (before == after)[before != ""].equals(before.notna()[before != ""])
    assert after["paid"].str.fullmatch(r"\d+(,\d{1,2})?").all()
    assert after["age"].str.fullmatch(r"\d+").all()
    assert "the decimal sign is a comma\n" in run("info", tmp_path / "voll.csv").stdout


def test_draws_differ_in_filled_cells_only(home, tmp_path):
    words = ["impute", home / "m.safetensors", home / "people.csv", "-o"]
    said = run(*words, tmp_path / "full.csv", "--draws", 2, "--seed", 4).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full-1.csv", "full-2.csv"]
    assert re.search(r"full-2\.csv\s+\(", said)
    one, two = cells(tmp_path / "full-1.csv"), cells(tmp_path / "full-2.csv")
    known = cells(home / "people.csv") != ""
    assert (one == two)[known].equals(known.where(known))
    assert (one != two).any(axis=None)
    run(*words, tmp_path / "again.csv", "--draws", 2, "--seed", 4)
    assert (tmp_path / "again-2.csv").read_bytes() == (tmp_path / "full-2.csv").read_bytes()


def test_impute_keeps_the_types_of_parquet(home, tmp_path):
    run("impute", home / "p.safetensors", home / "people.parquet", "-o", tmp_path / "full.parquet")
    before, after = pd.read_parquet(home / "people.parquet"), pd.read_parquet(tmp_path / "full.parquet")
    assert before.dtypes.equals(after.dtypes)
    pd.testing.assert_frame_equal(after.where(before.notna()), before)
    assert after.drop(columns="note").notna().all(axis=None)
    run("impute", home / "p.safetensors", home / "people.parquet", "-o", tmp_path / "full.xlsx")
    sheet = pd.read_excel(tmp_path / "full.xlsx")
    assert sheet["age"].dtype == "int64" or (sheet["age"] % 1 == 0).all()
    assert list(sheet.columns) == list(before.columns)


def test_given_columns_are_not_filled_but_kept(home, tmp_path):
    model = tmp_path / "m.safetensors"
    frame = people().dropna(subset=["city"])
    frame.to_csv(tmp_path / "data.csv", index=False)
    given = ["--given", "city"]
    run("fit", tmp_path / "data.csv", "-o", model, *TINY, *given, "--labels", "active")
    assert not {"city", "active"} & set(ist.load(model).form_.names)
    run("impute", model, tmp_path / "data.csv", "-o", tmp_path / "full.csv", *given)
    made = cells(tmp_path / "full.csv")
    assert made["city"].tolist() == frame["city"].tolist()
    assert (made["active"] == "").sum() == frame["active"].isna().sum()
    run("encode", model, tmp_path / "data.csv", "-o", tmp_path / "codes.xlsx", *given)
    assert len(pd.read_excel(tmp_path / "codes.xlsx")) == len(frame)


def test_reconstruct_gives_the_columns_back(home, tmp_path):
    run("reconstruct", home / "m.safetensors", home / "people.csv", "-o", tmp_path / "r.csv")
    made = pd.read_csv(tmp_path / "r.csv")
    assert list(made.columns) == ["age", "city", "paid", "since", "active", "zip"]
    assert made.notna().all(axis=None)
    assert set(made["city"]) <= set(CITIES)
    assert made["since"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()


# ---------------------------------------------------------------------- results as files


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".xlsx"])
def test_results_keep_dates_and_gaps(tmp_path, ending):
    zoned = pd.to_datetime(["2024-07-01 12:00", None]).tz_localize("Europe/Berlin")
    frame = pd.DataFrame({"day": pd.to_datetime(["2024-05-01", None]), "at": zoned, "word": ["=1+1", None]})
    frame["count"] = [1, 2]
    path = tmp_path / f"made{ending}"
    write_table(path, frame)
    if ending == ".xlsx":
        read = pd.read_excel(path)
        assert read["day"][0] == pd.Timestamp("2024-05-01")
        read["day"] = read["day"].astype(str).replace("NaT", None)
    else:
        text = path.read_text()
        assert text.split("\n")[0].replace("\t", ",") == "day,at,word,count"
        read = pd.read_csv(path, sep="\t" if ending == ".tsv" else ",")
    assert read.iloc[0].tolist() == ["2024-05-01", "2024-07-01 12:00:00+02:00", "=1+1", 1]
    assert read.iloc[1].isna().tolist() == [True, True, True, False]


def test_a_table_too_large_for_a_sheet(tmp_path):
    with pytest.raises(ist.InputError, match=r"16,384 columns; this table has 1 and 16,385\. Write \.csv or \.parquet"):
        write_table(tmp_path / "wide.xlsx", np.zeros((1, 16_385)))
    assert not list(tmp_path.iterdir())


def test_letters_that_an_encoding_lacks(tmp_path):
    """A level of the fit may be one that this file's encoding cannot write: then it is UTF-8, with its mark."""
    path = tmp_path / "old.csv"
    path.write_bytes("a;b\nß;1\n;2\n".encode("cp1252"))
    held = text_cells(path)
    assert held.dialect.encoding == "cp1252"
    read = pd.DataFrame({"a": ["ß", None], "b": [1, 2]})
    held.filled(read, pd.DataFrame({"a": ["ß", "Łódź"], "b": [1, 2]})).write(str(tmp_path / "new.csv"))
    assert (tmp_path / "new.csv").read_text(encoding="utf-8-sig") == "a;b\nß;1\nŁódź;2\n"


# ---------------------------------------------------------------------- bad input


def changed(**columns: object) -> pd.DataFrame:
    return people().assign(**columns)


STRANGE = {
    "types": (changed(age="old"), "column 'age' of {path} held numbers in fit"),
    "mixed types": (changed(age=[*range(ROWS - 1), "unknown"]), "column 'age' of {path} held numbers in fit"),
    "extra": (changed(height=1.0), "New columns: height. Leave the new ones out, for example with --column height=ign"),
    "missing": (people().drop(columns="city"), "Missing columns: city."),
    "infinite": (changed(paid=[np.inf, *range(1, ROWS)]), "column 'paid', 1 cell of 80"),
    "year": (changed(since=["12024-01-01"] * ROWS), "column 'since' of {path} held dates in fit"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_rows_that_are_not_like_those_of_the_fit(home, tmp_path, name):
    frame, message = STRANGE[name]
    path = tmp_path / "new.csv"
    frame.to_csv(path, index=False)
    said = run("encode", home / "m.safetensors", path, "-o", tmp_path / "codes.csv", code=2).stderr
    assert message.format(path=path) in said
    assert "pandas" not in said
    assert "Arrow" not in said
    assert not (tmp_path / "codes.csv").exists()


def test_order_and_empty_rows_do_not_matter(home, tmp_path):
    frame = people()
    frame.loc[0] = None
    frame[frame.columns[::-1]].to_csv(tmp_path / "new.csv", index=False)
    assert run("encode", home / "m.safetensors", tmp_path / "new.csv", "-o", tmp_path / "codes.npy").stderr == ""
    assert np.isfinite(np.load(tmp_path / "codes.npy")).all()


def test_unseen_levels_are_noted_once(home, tmp_path):
    changed(city=["Kiel"] * 7 + ["Ulm"] * (ROWS - 7)).to_csv(tmp_path / "new.csv", index=False)
    result = run("encode", home / "m.safetensors", tmp_path / "new.csv", "-o", tmp_path / "codes.csv")
    (note,) = result.stderr.strip().split("\n")
    assert note.startswith("note: ")
    assert "city: 'Kiel' (7 cells)" in note


MISTAKES = [
    ("a,b,a\n1,x,2\n", [], "several columns of the same name: 'a'"),
    ("a,b,c\n", [], "3 column names, but no rows"),
    ("a,b\n1,x\n3\n5,z\n", [], "line 3 has 1 value where 2 are expected"),
    ("a,b\n1,x\n3,y,4\n", [], "line 3 has 3 values where 2 are expected"),
    ("a,b\n,\n,\n", [], "has no column to learn from"),
    ("age,b\n1,x\n2,y\n", ["age=catgory"], "--column age=catgory: 'catgory' is no type. Did you mean 'category'?"),
    ("age,b\n1,x\n2,y\n", ["agge=category"], "--column: there is no column 'agge'. Did you mean 'age'?"),
    ("age,b\n1,x\n2,y\n", ["b=log"], "column 'b' of"),
    ("age,b\n1,x\n2,y\n", ["age=date"], "Write dates as 2024-05-31"),
    ("age,b\n1,x\n2,y\n", ["age"], "--column: write NAME=TYPE"),
    ("age,b\n1,x\ninf,y\n", [], "contains infinity: column 'age'"),
]


@pytest.mark.parametrize(("text", "options", "message"), MISTAKES)
@pytest.mark.parametrize("command", ["fit", "info"])
def test_mistakes(tmp_path, command, text, options, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    words = [word for option in options for word in ("--column", option)]
    words += ["-o", tmp_path / "m.safetensors", *TINY] if command == "fit" else []
    said = run(command, path, *words, code=2).stderr
    assert message in said
    assert "pandas" not in said


def test_two_million_levels_are_no_category(tmp_path):
    frame = pd.DataFrame({"hash": pd.Series(np.arange(2_000_000)).astype(str) + "x", "size": 1.5})
    frame.loc[::3, "size"] = 2.5
    frame.to_parquet(tmp_path / "long.parquet")
    said = run("info", tmp_path / "long.parquet").stdout
    assert re.search(r"^  hash +every value is different", said, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--draws", "0"], "--draws must be a whole number >= 1; got 0"),
        (["-o", "x.pdf"], "-o: the file must end in .csv"),
        (["-o", "{home}/people.csv"], "is what is read"),
        (["-o", "{out}/full.npy"], "a .npy file holds numbers only"),
    ],
)
def test_impute_refuses(home, tmp_path, words, message):
    words = [word.format(home=home, out=tmp_path) for word in words]
    output = [] if "-o" in words else ["-o", tmp_path / "full.csv"]
    said = run("impute", home / "m.safetensors", home / "people.csv", *output, *words, code=2).stderr
    assert message in said
    assert not list(tmp_path.iterdir())


def test_impute_wants_a_model_that_knows_gaps(tmp_path):
    np.save(tmp_path / "whole.npy", np.random.default_rng(0).normal(size=(30, 3)))
    run("fit", tmp_path / "whole.npy", "-o", tmp_path / "m.safetensors", *TINY)
    words = ["impute", tmp_path / "m.safetensors", tmp_path / "whole.npy", "-o", tmp_path / "full.npy"]
    assert "such as --column NAME=log" in run(*words, code=2).stderr
