"""Text tables as people have them: what is told from their content, what is said about it, and what is refused."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.data.delimited import TextTable, read_csv, read_text
from isthmus.data.dialect import best_separator, decimal_sign
from isthmus.data.leading_zeros import zeros_before
from isthmus.errors import InputError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def table(home: Path, content: str | bytes, encoding: str = "utf-8", name: str = "t.csv") -> TextTable:
    raw = content if isinstance(content, bytes) else content.encode(encoding)
    (home / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return read_text(home / name)


def holds(read: TextTable, **columns: tuple[str, list[object]]) -> None:
    """The columns' types and cells, exactly; None stands for a missing one."""
    assert list(read.frame.columns) == list(columns)
    for name, (dtype, cells) in columns.items():
        column = read.frame[name]
        assert str(column.dtype) == dtype or (dtype == "str" and str(column.dtype) == "object"), name
        assert [None if pd.isna(value) else value for value in column] == cells, name


# Separators, encodings, first lines.


@pytest.mark.parametrize(
    ("separator", "said"),
    [
        (",", ()),
        (";", ("values are separated by semicolons",)),
        ("\t", ("values are separated by tabs",)),
        ("|", ("values are separated by vertical bars",)),
    ],
)
def test_separators(home: Path, separator: str, said: tuple[str, ...]) -> None:
    read = table(home, "a,b\n1,x\n2,y\n".replace(",", separator))
    holds(read, a=("int64", [1, 2]), b=("str", ["x", "y"]))
    assert (read.named, read.said) == (True, said)
    assert read_csv(home / "t.csv")[1] is True


@pytest.mark.parametrize(
    ("lines", "separator"),
    [
        ("Name, first;Age\nDoe, John;12\nRoe, Jane;13\n", ";"),
        ("1,5;2,5\n3,5;4,5\n", ";"),
        ('a;b\n"x,y";1\n"x";2\n', ";"),
        ("id,tags\n1,a;b\n2,c;d\n", ","),
        ("id;x,tags\n1,a\n2,c\n", ","),
        ("a,b\n1,2\n1,2,3\n", ","),
        ("a|b,c\n1,2\n3,4\n", ","),
        ("alone\n1;2\n", ","),
        ("x\ty,z\n1\t2\n", "\t"),
    ],
)
def test_the_separator_is_told_from_whole_lines(lines: str, separator: str) -> None:
    assert best_separator(lines.splitlines(keepends=True), True) == separator


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", ()),
        ("utf-8-sig", ()),
        ("cp1252", ("the text is Windows-1252, not UTF-8",)),
        ("utf-16", ("the text is UTF-16, not UTF-8",)),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_encodings(home: Path, encoding: str, said: tuple[str, ...], name: str) -> None:
    read = table(home, "größe,ort\n1,Köln\n2,Århus\n", encoding, name)
    holds(read, größe=("int64", [1, 2]), ort=("str", ["Köln", "Århus"]))
    assert read.said == said


def test_an_encoding_that_shows_late_only(home: Path) -> None:
    read = table(home, "a,b\n" + "x,1\n" * 100_000 + "é,2\n", "cp1252")
    assert read.frame["a"].iloc[-1] == "é"
    assert read.said == ("the text is Windows-1252, not UTF-8",)
    assert table(home, b"a\nx\n\x81\xe9\n").said == ("the text is Latin-1, not UTF-8",)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("39, Private, 4\n40, State, 5\n41, Private, 6\n", False),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n6.0,3.1,other\n", False),
        ("1,5;2,5\n3,5;4,5\n", False),
        ("1,NaN\n2,3\n", False),
        ("cat\ndog\ncat\n", False),
        ("a,b\nb,d\na,c\n", False),  # one of two words comes again: half is enough
        ("a,b,e\nb,d,d\na,c,c\n", True),
        ("name,2019,2020\nx,1.5,2.5\n", True),
        ("kind,size\nsize,1\nkind,2\n", True),  # above numbers stands a name
        ("colour,shape\nred,round\nblue,flat\n", True),
        (",0,1\nr,5,6\n", True),
    ],
)
def test_whether_the_first_line_is_data(home: Path, content: str, named: bool) -> None:
    read = table(home, content)
    assert read.named is named
    assert ("the first line holds data, not names" in read.said) is not named
    lines = content.count("\n")
    assert len(read.frame) == lines - named


def test_spaces_that_follow_every_separator(home: Path) -> None:
    read = table(home, "age, work\n39, Private\n40, State gov\n")
    holds(read, age=("int64", [39, 40]), work=("str", ["Private", "State gov"]))
    assert read.said == ("a space follows every comma, and is no part of a value",)
    # A space after some of them may be part of a value.
    holds(
        table(home, "age,work\n39, Private\n40,State\n"), age=("int64", [39, 40]), work=("str", [" Private", "State"])
    )


# Numbers.


@pytest.mark.parametrize(
    ("content", "cells", "said"),
    [
        (
            "a;b\n1.234,56;x\n-0,5;y\n",
            [1234.56, -0.5],
            "digits are grouped by thousands in 'a' ('1.234,56' is 1234.56)",
        ),
        (
            'a,b\n"1,234.56",x\n-.5,y\n',
            [1234.56, -0.5],
            "digits are grouped by thousands in 'a' ('1,234.56' is 1234.56)",
        ),
        ("a;b\n1 234,56;x\n7,;y\n", [1234.56, 7.0], "digits are grouped by thousands in 'a' ('1 234,56' is 1234.56)"),
        ("a\tb\n1\u202f234,5\tx\n2\ty\n", [1234.5, 2.0], "the decimal sign is a comma"),
        ("a|b\n1'234.5|x\n2|y\n", [1234.5, 2.0], "digits are grouped by thousands in 'a' (\"1'234.5\" is 1234.5)"),
        ("a;b\n1,5e3;x\n+2;y\n", [1500.0, 2.0], "the decimal sign is a comma"),
        ('a,b\n"1,5",x\n"2,25",y\n', [1.5, 2.25], "the decimal sign is a comma"),
        ("a;b\n1.234.567;x\n2.000;y\n", [1234567, 2000], "the decimal sign is a comma"),
    ],
)
def test_decimal_and_thousands_signs(home: Path, content: str, cells: list[float], said: str) -> None:
    read = table(home, content)
    holds(read, a=("int64" if isinstance(cells[0], int) else "float64", cells), b=("str", ["x", "y"]))
    assert said in read.said


def test_an_ambiguous_column_follows_the_others(home: Path) -> None:
    holds(table(home, "a;b\n1.234;1,5\n2.000;2\n"), a=("int64", [1234, 2000]), b=("float64", [1.5, 2.0]))
    holds(table(home, "a;b\n1,234;1.25\n2,000;2\n"), a=("int64", [1234, 2000]), b=("float64", [1.25, 2.0]))
    holds(table(home, "a;b\n1.234;1,5\n0.125;2\n"), a=("float64", [1.234, 0.125]), b=("float64", [1.5, 2.0]))
    late = table(home, "a;b\n" + "1.234;2\n" * 500 + "1.234;1,5\n")
    assert late.frame["a"].tolist() == [1234] * 501
    assert late.frame["b"].iloc[-1] == 1.5
    assert late.said[:2] == ("values are separated by semicolons", "the decimal sign is a comma")


@pytest.mark.parametrize(
    ("content", "dtype", "value", "sign", "other"),
    [
        ('a,b\n"1,234",x\n', "int64", 1234, "thousands", "decimal"),
        ("a;b\n1,234;x\n", "float64", 1.234, "decimal", "thousands"),
        ("a\tb\n1,234\tx\n", "int64", 1234, "thousands", "decimal"),
    ],
)
def test_what_nothing_decides_is_said(
    home: Path, content: str, dtype: str, value: float, sign: str, other: str
) -> None:
    read = table(home, content)
    holds(read, a=(dtype, [value]), b=("str", ["x"]))
    assert read.said[-1] == (
        f"column 'a': the comma in '1,234' is taken for a {sign} sign, though nothing else in the file tells it from a "
        f"{other} sign"
    )


def test_a_doubtful_point_is_a_decimal_sign(home: Path) -> None:
    read = table(home, "a;b\n1.234;7\n")
    holds(read, a=("float64", [1.234]), b=("int64", [7]))
    assert "the point in '1.234' is taken for a decimal sign" in read.said[-1]
    assert table(home, "a,b\n1.234,7\n").said == ()


@pytest.mark.parametrize(
    "cell", ["1,2,3", "1.2.3", "01.05.2024", "12,34.5", "0,123,456", "1 2", "12 34", "5%", "0x10", "1_0"]
)
def test_what_only_resembles_a_number_stays_text(home: Path, cell: str) -> None:
    read = table(home, f'a;b\n"{cell}";1,5\n7;2\n')
    holds(read, a=("str", [cell, "7"]), b=("float64", [1.5, 2.0]))


# Zeros before numbers.


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_numbers_with_zeros_before_them_are_codes(home: Path, sign: str, name: str, encoding: str) -> None:
    read = table(home, "zip,n\n10115,1\n,2\n01067,3\n".replace(",", sign), encoding, name)
    holds(read, zip=("str", ["10115", None, "01067"]), n=("int64", [1, 2, 3]))
    assert read.said[-1] == "numbers with zeros before them are codes and stay text in 'zip' ('01067')"


def test_codes_with_marks_of_missing_cells_quotes_and_an_index(home: Path) -> None:
    holds(table(home, "a,b\n?,1\n007,2\n-,3\n"), a=("str", [None, "007", None]), b=("int64", [1, 2, 3]))
    read = table(home, ',a,b\n0,"01067",1\n1,"10115",2\n')
    holds(read, a=("str", ["01067", "10115"]), b=("int64", [1, 2]))
    assert read.frame.index.tolist() == [0, 1]
    nameless = table(home, "01067,2.5\n10115,3.5\n")
    assert (nameless.named, nameless.frame[0].tolist(), nameless.frame[1].tolist()) == (
        False, ["01067", "10115"], [2.5, 3.5],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["0.5", "00.5", "7"], [0.5, 0.5, 7.0]),
        (["0", "10", "200"], [0, 10, 200]),
        (["-01", "12"], [-1, 12]),
        (["007", *map(str, range(200))], [7, *range(200)]),  # one slip of the pen among 201
    ],
)
def test_other_numbers_with_zeros_are_numbers(home: Path, cells: list[str], numbers: list[float]) -> None:
    read = table(home, "a,b\n" + "".join(f"{cell},1\n" for cell in cells))
    assert (read.frame["a"].tolist(), read.said) == (numbers, ())
    assert read.frame["a"].dtype.kind in "if"


def test_codes_are_found_beyond_the_first_lines_and_between_two_pieces(home: Path) -> None:
    late = "".join(f"{10_000 + i}\n" for i in range(90_000)) + "01067"
    assert table(home, "zip\n" + late).frame["zip"].iloc[[0, -1]].tolist() == ["10000", "01067"]
    for cut in range(1, 12):
        whole = "a,b\n1,01067\n"
        assert zeros_before([whole[:cut], whole[cut:]], ",")
    assert not zeros_before(["a,b\n1,0.1067\n", "0,10\n100,0\n0"], ",")


def test_what_is_known_of_a_column_goes_before_its_looks(home: Path) -> None:
    path = home / "t.csv"
    path.write_text("zip,n,day,ok\n10115,07,2024-05-01,True\n?,12,2024-05-02,False\n")
    read = read_text(path, texts={"zip": True, "n": False, "day": True, "ok": True})
    assert read.frame["zip"].tolist()[0] == "10115"
    assert read.frame["zip"].isna().tolist() == [False, True]
    assert read.frame["n"].tolist() == [7, 12]
    assert read.frame["day"].tolist() == ["2024-05-01", "2024-05-02"]
    assert read.frame["ok"].tolist() == ["True", "False"]
    assert read.said == ()


def test_names_of_25_digits_are_not_rounded(home: Path) -> None:
    read = table(home, f"a,b\n{2**80},?\n5,{2**70}\n")
    assert read.frame["a"].tolist()[0] in (2**80, str(2**80))
    assert read.frame["b"].iloc[1] == str(2**70)


def test_spaces_follow_the_separators_of_the_data_whatever_the_names_do(home: Path) -> None:
    data = "u, 1, ?\nv, 2, b\n?, 3, b\n"
    for names in ("kind,n,word\n", "kind, n, word\n"):
        read = table(home, names + data)
        assert list(read.frame.columns) == ["kind", "n", "word"]
        assert [list(read.frame[name].fillna("gap")) for name in ("kind", "n", "word")] == [
            ["u", "v", "gap"], [1, 2, 3], ["gap", "b", "b"]
        ]  # fmt: skip
    read = table(home, "kind, n\nu,1\nv,2\n")
    assert list(read.frame["kind"]) == ["u", "v"]


@pytest.mark.parametrize("title", ["|1x3 Cross validator", "people of 2024", "17"])
def test_a_title_above_the_table_is_the_odd_line(home: Path, title: str) -> None:
    with pytest.raises(InputError) as caught:
        table(home, title + "\n" + "25, Private, 226802, <=50K.\n" * 3)
    assert "line 1 has 1 value, and most lines have 4." in str(caught.value)


def test_decimal_sign_needs_a_proof() -> None:
    assert decimal_sign([["1.5"], ["2,5"]]) == ","
    assert decimal_sign([["1,234"], ["x,5"], []]) == ""


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.floats(-1e9, 1e9).map(lambda x: round(x, 2)), min_size=2, max_size=20),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["ordinary", "comma", "grouped"]),
)
def test_numbers_come_back_from_every_dialect(home: Path, values: list[float], separator: str, way: str) -> None:
    texts = [f"{x:,.2f}" if way == "grouped" else f"{x:.2f}" for x in values]
    if way != "ordinary":
        texts = [text.translate(str.maketrans(",.", ".,")) for text in texts]
    frame = pd.DataFrame({"x": texts, "word": "w"})
    read = table(home, frame.to_csv(index=False, sep=separator))
    np.testing.assert_array_equal(read.frame["x"], [float(f"{x:.2f}") for x in values])


def test_a_table_of_plain_numbers_is_read_as_pandas_reads_it(home: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 3)) * 10.0 ** rng.integers(-300, 300, (300, 3)), columns=list("abc"))
    text = frame.assign(n=range(300), flag=True).to_csv(index=False)
    read = table(home, text)
    pd.testing.assert_frame_equal(read.frame, pd.read_csv(io.StringIO(text), low_memory=False), check_exact=True)
    assert read.said == ()


# Missing cells.


@pytest.mark.parametrize("mark", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "-", " ? "])
def test_marks_of_missing_cells_among_numbers(home: Path, mark: str) -> None:
    read = table(home, f"a,b\n1,x\n{mark},y\n2.5,z\n")
    holds(read, a=("float64", [1.0, None, 2.5]), b=("str", ["x", "y", "z"]))
    assert read.said == ()


def test_marks_of_missing_cells_among_words(home: Path) -> None:
    read = table(home, "a,b\nx,1\nNA,2\nN/A,3\nNaN,4\nnull,5\n,6\nNone,7\n-,8\n")
    holds(read, a=("str", ["x", None, None, None, None, None, "None", "-"]), b=("int64", list(range(1, 9))))


def test_question_marks_among_words(home: Path) -> None:
    read = table(home, "39, Private, ?\n40, ?, Peru\n41, Private, Peru\n")
    assert read.frame.isna().sum().tolist() == [0, 1, 1]
    assert read.said[-1] == "'?' is taken for a missing cell in 1, 2 (2 cells)"
    read = table(home, "sign,word\n?,x\n!,?\n")
    holds(read, sign=("str", ["?", "!"]), word=("str", ["x", "?"]))
    assert read.said == ("'?' stays a value in 'sign', 'word', because '!' is one too",)


# Dates.


def test_iso_dates_are_dates_and_are_written_as_they_were(home: Path) -> None:
    text = (
        "day,moment,zoned,gap\n2024-05-01,2024-05-01 12:30:00,2024-05-01 12:30:00+02:00,\n"
        "1850-12-31,2024-05-02 00:00:01,2024-05-02 00:00:00+02:00,2024-02-29\n"
    )
    read = table(home, text)
    assert [column.dtype.kind for _, column in read.frame.items()] == ["M"] * 4
    assert read.frame["zoned"].dt.tz.utcoffset(None).total_seconds() == 7200
    assert read.frame["gap"].isna().tolist() == [True, False]
    assert read.frame.to_csv(index=False) == text
    assert read.said == ()


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["01/05/2024", "02/05/2024"], "'01/05/2024' is none"),
        (["05/31/24", "05/01/24"], "'05/31/24' is none"),
        (["2024-05-01", "2024/05/02"], "'2024/05/02' is none"),
        (["2024-02-30", "2024-02-28"], "'2024-02-30' is none"),
        (["2024-05-01T10:00Z", "2024-05-01T10:00"], "some of its dates have a time zone and others have none"),
    ],
)
def test_other_dates_stay_text_and_that_is_said(home: Path, cells: list[str], words: str) -> None:
    read = table(home, "day,n\n" + "".join(f"{cell},1\n" for cell in cells))
    holds(read, day=("str", cells), n=("int64", [1, 1]))
    (said,) = read.said
    assert said.startswith("column 'day' stays text")
    assert words in said


def test_nothing_is_said_of_text_that_will_be_taken_for_dates(home: Path) -> None:
    content = "day,n\n01.05.2024,1\n31.05.2024,1\n"
    read = table(home, content)
    holds(read, day=("str", ["01.05.2024", "31.05.2024"]), n=("int64", [1, 1]))
    assert read.said == ()
    (said,) = read_text(home / "t.csv", texts={"day": False}).said  # it held dates in the fit
    assert said.startswith("column 'day' stays text")


def test_words_and_late_words_are_no_dates(home: Path) -> None:
    assert table(home, "day\n2024-05-01\nsoon\n").said == ()
    late = table(home, "day\n" + "2024-05-01\n" * 2_000 + "soon\n")
    assert late.frame["day"].iloc[-1] == "soon"
    assert "'soon' is none" in late.said[0]


def test_dates_of_several_zones_are_kept_in_utc(home: Path) -> None:
    read = table(home, "at\n2024-05-01T12:30+02:00\n2024-12-01T12:30+01:00\n")
    assert read.frame["at"].tolist() == [pd.Timestamp("2024-05-01 10:30Z"), pd.Timestamp("2024-12-01 11:30Z")]
    assert read.said == ("column 'at': its dates have several time zones and are kept in UTC",)


# What is refused.


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a,b\n", "has a line of 2 column names, but no rows"),
        ("a,b,a\n1,2,3\n", "several columns of the same name: 'a'"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 values where 2 are expected"),
        ("a,b\n1,2\n\n3\n", "line 4 has 1 value where 2 are expected"),
        ('a,b\n1,"x\ny"\n2\n', "line 4 has 1 value where 2 are expected"),
        ("a;b\n" + "1;x\n" * 700 + "2\n", "line 702 has 1 value where 2 are expected"),
        ('a,b\n1,"2\n3,4\n', "a quotation mark that opens in line 2 is never closed"),
        ("a,b\n1,2\n\0\0\0", "line 3 holds NUL bytes"),
        ("a,b\n1,2\n".encode("utf-16-le"), "is it UTF-16 without its mark"),
        ("ä,b\nö,ü\n".encode() + b"\xff,1\n", "is UTF-8 text in which bytes are damaged (line 3)"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "UTF-16, as its beginning says, text in which bytes are damaged"),
    ],
)
def test_broken_files(home: Path, content: str | bytes, words: str, name: str) -> None:
    with pytest.raises(InputError) as caught:
        table(home, content, name=name)
    assert words in str(caught.value)
    assert name in str(caught.value)


def test_damage_beyond_the_first_lines(home: Path) -> None:
    with pytest.raises(InputError, match="line 100002 holds NUL bytes"):
        table(home, b"a\n" + b"1\n" * 100_000 + b"1\x005\n")
    packed = gzip.compress("".join(f"{i},{i * 7919 % 1009}\n" for i in range(50_000)).encode())
    (home / "t.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match="cut off or damaged"):
        read_text(home / "t.csv.gz")


def test_missing_last_cells_are_no_broken_lines(home: Path) -> None:
    read = table(home, 'a;b\nx;\n"y\nz";2\n')
    holds(read, a=("str", ["x", "y\nz"]), b=("float64", [None, 2.0]))
