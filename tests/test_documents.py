"""Documents are read from wherever they lie, and what cannot be used is named."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isthmus.data.documents import documents
from isthmus.data.messages import decoded, folded, is_binary, mail_fields, message, subject
from isthmus.errors import DataWarning, InputError

MAIL = "Path: a!b\nFrom: me@here.org\nSubject: Re: the\n moon\nXref: secret\n\nIt is\n> far.\n"


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


# ---------------------------------------------------------------------- one document


def test_of_a_mail_subject_and_body_count() -> None:
    made = message(MAIL)
    assert made.text == "Re: the moon\n\nIt is\n> far.\n"
    assert made[1:] == ("Re: the moon", "It is > far.", True)


def test_a_mail_without_a_subject_has_its_first_line_as_title() -> None:
    assert message("From: a@b.c\nDate: today\n\nHello\nyou")[1:] == ("Hello", "you", True)


def test_a_mailbox_line_stands_before_the_headers() -> None:
    assert message("From me@here Mon Apr 5\nFrom: me@here\nSubject: sun\n\nhot").text == "sun\n\nhot"


@pytest.mark.parametrize(
    "text", ["Note: remember this\nDate: soon", "Hello:\n\nyou", "From: me, with love", ": odd\n\nx"]
)
def test_other_texts_keep_their_first_lines(text: str) -> None:
    assert mail_fields(text) == ({}, text)
    assert message(text).text == text


def test_a_text_of_one_line_is_title_and_snippet() -> None:
    assert message("  one line\n") == ("  one line\n", "one line", "one line", False)


def test_long_titles_and_snippets_are_cut_between_words() -> None:
    made = message("word " * 1000 + "\n" + "x" * 1000)
    assert len(made.title) <= 120
    assert made.title.endswith("word …")
    assert made.snippet == "x" * 159 + "…"
    assert len(folded("a " * 500, 160)) <= 160


def test_encoded_subjects() -> None:
    assert subject("=?iso-8859-1?Q?Gr=FC=DFe?=") == "Grüße"
    assert subject("2 =? 3") == "2 =? 3"
    assert subject("=?utf¡8?q?moon?=") == "=?utf¡8?q?moon?="
    assert subject("=?no-such?q?moon?=") == "=?no-such?q?moon?="


def test_what_no_file_can_hold_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, {"a.jsonl": '{"title": "\\udc00", "text": "half \\ud83c pair \\ud83c\\udf19"}'})
    found = documents(tmp_path / "a.jsonl")
    assert (found.titles, found.texts) == (("?",), ("?\n\nhalf ? pair 🌙",))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\xef\xbb\xbfab", ("ab", "utf-8-sig")),
        ("né".encode("utf-16"), ("né", "utf-16")),
        (b"caf\xe9 \x93ok\x94", ("café “ok”", "cp1252")),
        (b"caf\xe9 \x81", ("café \x81", "latin-1")),
        ("ééé".encode() + b"\xff", ("ééé�", "utf-8")),
        ("�".encode(), ("�", "utf-8")),
        (b"\xff\xfea\x00b", ("a�", "utf-16")),
        (b"a\r\nb\rc\n", ("a\nb\nc\n", "utf-8")),
    ],
)
def test_encodings(raw: bytes, expected: tuple[str, str]) -> None:
    assert decoded(raw) == expected


def test_no_byte_is_refused() -> None:
    every = bytes(range(256))
    assert len(decoded(every)[0]) == 256
    assert is_binary(every)
    assert not is_binary("é".encode("utf-16"))


def test_control_codes_are_of_no_text() -> None:
    assert is_binary(np.random.default_rng(0).integers(1, 256, 300, dtype=np.uint8).tobytes())
    assert is_binary(bytes([1, 2]) + 64 * b"\xe9")
    assert not is_binary(bytes([1, 2]) + 65 * b"\xe9")  # 2 of 67 are fewer than 3 in a hundred
    assert not is_binary(b"\x01\xe9")
    assert not is_binary("\x02 \x02 é \x02 \x03".encode())
    assert not is_binary(b"N\bNA\bA\a\t\v\f\r\n\x1a")
    japanese = "日本 and 日本".encode("iso-2022-jp")
    assert not is_binary(japanese)
    assert not is_binary("안녕하세요 hello 여러분".encode("iso2022_kr"))
    for text, encodings in [
        ("日本", ("shift_jis", "euc_jp", "gb18030", "big5")),
        ("луна", ("koi8_r", "cp1251", "cp866")),
        ("é", ("cp437",)),
    ]:
        assert not any(is_binary(20 * text.encode(encoding)) for encoding in encodings)


# ---------------------------------------------------------------------- folders and archives


def test_a_folder_below_and_below(tmp_path: Path) -> None:
    write(tmp_path, {"b/2": MAIL, "b/10": b"caf\xe9", "a.txt": "one\ntwo", ".hidden": "x", ".git/x": "x", "b/.no": ""})
    found = documents(tmp_path)
    assert found.ids == ("a.txt", "b/10", "b/2")
    assert found.texts == ("one\ntwo", "café", "Re: the moon\n\nIt is\n> far.\n")
    assert found.titles == ("one", "café", "Re: the moon")
    assert found.said == (
        "1 document with mail headers, of which only the subject counts",
        "1 document not UTF-8 and read as Windows-1252",
    )
    assert len(found) == 3
    assert repr(found) == "Documents(3: 'a.txt', 'b/10', 'b/2')"


def test_what_cannot_be_used_is_named_or_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"good": "text", "empty": b"", "blank": " \n\t", "picture.png": b"\x89PNG\0\0"})
    with pytest.raises(InputError) as told:
        documents(tmp_path)
    assert str(told.value) == (
        f"{str(tmp_path)!r}: 3 documents of 4 cannot be used: 'blank' (it is empty), 'empty' (it is empty), "
        f"'picture.png' (it is no text but binary). skip=True leaves such out."
    )
    with pytest.warns(DataWarning, match="3 documents of 4 left out: 'blank'") as warned:
        found = documents(tmp_path, skip=True)
    assert warned[0].filename == __file__
    assert found.ids == ("good",)


def test_files_with_some_endings_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {"good": "text", "b/a.PNG": b"\0", "png": "text too", "x.jpg": b"\0"})
    assert documents(tmp_path, without=(".png", ".jpg")).ids == ("good", "png")
    with pytest.raises(InputError, match=r"1 document of 3 cannot be used: 'x.jpg' \(it is no text but binary\)"):
        documents(tmp_path, without=(".png",))


def test_nothing_that_can_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no documents"):
        documents(tmp_path)
    write(tmp_path, {"empty": b""})
    with pytest.raises(InputError, match=r"'empty' \(it is empty\)\.$"):
        documents(tmp_path, skip=True)
    with pytest.raises(InputError, match=r"there is no file or folder .*Did you mean 'empty'"):
        documents(tmp_path / "empt")


def test_a_pipe_and_a_circle_of_links_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {"good": "text"})
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path)
    assert documents(tmp_path).ids == ("good",)


def test_a_document_that_is_too_large_is_never_read(tmp_path: Path) -> None:
    for name in ("good", "disk"):
        (tmp_path / name).write_text("text")
    os.truncate(tmp_path / "disk", 65 * 2**20)
    with pytest.raises(InputError, match=r"'disk' \(it has 65 MiB, and a document at most 64\)"):
        documents(tmp_path)
    with pytest.raises(InputError, match="65 MiB"):
        documents(tmp_path / "disk")


def test_folders_that_may_not_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"good": "text", "shut/a": "text"})
    scan = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("shut"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(InputError, match=r"1 document of 2 cannot be used: 'shut' \(it cannot be read: Permission"):
        documents(tmp_path)


FILES = {"./top/b": MAIL, "top/a": "one", "__MACOSX/top/a": "x", "top/._a": "x", "../out": "two"}


def pack(path: Path, files: dict[str, str]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for name, content in files.items():
                made.writestr(name, content)
        return path
    packing = "" if path.suffix == ".tar" else path.suffix[1:]
    with tarfile.open(path, f"w:{packing}") as made:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            made.addfile(about, io.BytesIO(content.encode()))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
def test_archives(tmp_path: Path, name: str) -> None:
    found = documents(pack(tmp_path / name, FILES))
    assert found.ids == ("../out", "top/a", "top/b")
    assert found.texts == ("two", "one", "Re: the moon\n\nIt is\n> far.\n")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_links_and_folders_in_archives_are_passed_over_and_the_later_of_two_files_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as made:
        for name, kind in (("folder", tarfile.DIRTYPE), ("link", tarfile.SYMTYPE)):
            about = tarfile.TarInfo(name)
            about.type, about.linkname = kind, "folder"
            made.addfile(about)
        for content in (b"old", b"new"):
            about = tarfile.TarInfo("file")
            about.size = 3
            made.addfile(about, io.BytesIO(content))
    assert (documents(path).ids, documents(path).texts) == (("file",), ("new",))


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
def test_an_archive_that_is_cut_off_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    files = {f"file{i}": f"{i} " * 100 for i in range(5)}
    whole = pack(tmp_path / name, files).read_bytes()
    assert len(documents(tmp_path / name)) == 5
    # Of a plain tar the last kilobytes are empty blocks, of which one is enough.
    end = len(whole) if name != "a.tar" else 5 * 1024 + 511
    for size in range(0, end, max(1, end // 150)):
        (tmp_path / name).write_bytes(whole[:size])
        with pytest.raises(InputError, match="Is it cut off or damaged"):
            documents(tmp_path / name)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_an_archive_with_a_damaged_head_in_the_middle_is_refused(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "a.tar", {f"file{i}": "text" for i in range(5)})
    raw = bytearray(path.read_bytes())
    raw[2048 + 150] ^= 1  # in the checksum of the third head
    (tmp_path / name).write_bytes(raw if name == "a.tar" else gzip.compress(raw))
    with pytest.raises(InputError, match="its end is missing"):
        documents(tmp_path / name)


def test_a_locked_archive_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"secret": "x"})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # the flag in the list at the end, which is what is read
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"'secret' .it is locked by a password"):
        documents(path)


# ---------------------------------------------------------------------- single files and tables


def test_lines(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "first\r\n\r\n caf\u00e9 \r\n", "b.txt.gz": gzip.compress(b"one\n")})
    found = documents(tmp_path / "a.txt")
    assert found.ids == ("a.txt:1", "a.txt:3")
    assert found.texts == ("first", " café ")
    assert documents(tmp_path / "b.txt.gz").texts == ("one",)


def test_any_other_text_file_is_one_document(tmp_path: Path) -> None:
    write(tmp_path, {"59497": MAIL, "readme.md": "# Title\n\nbody"})
    assert documents(tmp_path / "59497").titles == ("Re: the moon",)
    assert documents(tmp_path / "readme.md").ids == ("readme.md",)


ROWS = {
    "number": [7, 8],
    "title": ["Moon", "Sun"],
    "text": ["It is\nfar, 'far'", 'It is "hot"; very'],
    "lang": ["en", "de"],
}


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl", "csv.gz"])
def test_tables(tmp_path: Path, ending: str) -> None:
    path, frame = tmp_path / f"a.{ending}", pd.DataFrame(ROWS)
    if ending == "parquet":
        frame.to_parquet(path)
    elif ending == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    found = documents(path)
    assert found.texts == ("Moon\n\nIt is\nfar, 'far'", 'Sun\n\nIt is "hot"; very')
    assert found.titles == ("Moon", "Sun")
    assert found.snippets == ("It is far, 'far'", 'It is "hot"; very')
    assert found.ids == (f"a.{ending}:1", f"a.{ending}:2")
    assert found.said[0] == "the texts are from column 'text', their titles from column 'title'"
    assert documents(path, id_column="number").ids == ("7", "8")
    assert documents(path, text_column="lang", id_column="text").texts == ("Moon\n\nen", "Sun\n\nde")


def table(tmp_path: Path, **columns: list[object]) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text(
        "\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True))
    )
    return path


def test_the_only_column_of_text_is_taken(tmp_path: Path) -> None:
    assert documents(table(tmp_path, a=[1, 2], review=["x", "y"])).texts == ("x", "y")
    assert documents(table(tmp_path, key=["k1", "k2"], review=["x", "y"]), id_column="key").texts == ("x", "y")
    assert documents(table(tmp_path, other=["k1", "k2"], Body=["x", "y"])).texts == ("x", "y")


def test_a_table_whose_text_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"several columns of text.*'a', 'b'\. Say which is meant: text_column='a'"):
        documents(table(tmp_path, a=["x"], b=["y"], c=[1]))
    with pytest.raises(InputError, match="has no column of text; it has 'a'"):
        documents(table(tmp_path, a=[1, 2]))
    with pytest.raises(InputError, match=r"text_column: .* has no column 'tex'. Did you mean 'text'"):
        documents(table(tmp_path, text=["x"]), text_column="tex")
    with pytest.raises(InputError, match=r"column 'a' of .* holds no text"):
        documents(table(tmp_path, text=["x"], a=[1]), text_column="a")


def test_a_column_called_id_names_the_rows_where_it_can(tmp_path: Path) -> None:
    found = documents(table(tmp_path, ID=["k1", "k2"], review=["x", "y"]))
    assert (found.ids, found.texts) == (("k1", "k2"), ("x", "y"))
    assert found.said == ("the texts are from column 'review'", "the ids are from column 'ID'")
    assert documents(table(tmp_path, id=[7, 3], text=["x", "y"])).ids == ("7", "3")
    assert documents(table(tmp_path, id=[7, 3], key=["a", "b"], text=["x", "y"]), id_column="key").ids == ("a", "b")
    for cells, reason in [
        (["u", "u"], "holds ids twice: 'u'"),
        ([1, None], "1 row (number 2) of"),
        ([0.5, 1.5], "must hold texts or whole numbers; it holds 0.5"),
    ]:
        found = documents(table(tmp_path, id=cells, text=["x", "y"]))
        assert found.ids == ("a.jsonl:1", "a.jsonl:2")
        assert found.said[1].startswith("the rows are numbered, as column 'id' cannot name them: ")
        assert reason in found.said[1]
    found = documents(table(tmp_path, id=["one", "two"], text=["x", "y"]), text_column="id")
    assert (found.texts, found.ids) == (("one", "two"), ("a.jsonl:1", "a.jsonl:2"))
    assert documents(table(tmp_path, id=[1, 2], Id=[1, 2], text=["x", "y"])).ids == ("a.jsonl:1", "a.jsonl:2")


def test_ids_that_do_not_tell_rows_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds ids twice: 'u'"):
        documents(table(tmp_path, text=["x", "y"], key=["u", "u"]), id_column="key")
    with pytest.raises(InputError, match=r"1 row \(number 2\) .* without an id in column 'key'"):
        documents(table(tmp_path, text=["x", "y"], key=["u", None]), id_column="key")
    with pytest.raises(InputError, match=r"must hold texts or whole numbers; it holds 0.5"):
        documents(table(tmp_path, text=["x", "y"], key=[0.5, 1.5]), id_column="key")


def test_empty_cells_are_named(tmp_path: Path) -> None:
    path = table(tmp_path, text=["x", None, " "])
    with pytest.raises(InputError, match=r"'a.jsonl:2' \(it is empty\), 'a.jsonl:3' \(it is empty\)"):
        documents(path)
    with pytest.warns(DataWarning, match="2 documents of 3 left out"):
        assert documents(path, skip=True).ids == ("a.jsonl:1",)


def test_lines_that_are_not_json(tmp_path: Path) -> None:
    write(tmp_path, {"a.jsonl": '"one"\n\n"two"\n', "b.jsonl": '{"text": "x"}\n{"text":', "c.jsonl": "[1]"})
    assert documents(tmp_path / "a.jsonl").texts == ("one", "two")
    with pytest.raises(InputError, match="line 2 is not JSON"):
        documents(tmp_path / "b.jsonl")
    with pytest.raises(InputError, match="line 1 is no JSON object"):
        documents(tmp_path / "c.jsonl")


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    pd.DataFrame(ROWS).to_parquet(tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[:-20])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        documents(tmp_path / "a.parquet")


def test_columns_are_of_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"text_column='a' names a column of a table, but .* is none"):
        documents(tmp_path, text_column="a")
    with pytest.raises(InputError, match="id_column='a'"):
        documents(write(tmp_path, {"a.txt": "x"}) / "a.txt", id_column="a")


def test_real_messages(data_folder: Path, tmp_path: Path) -> None:
    archive = data_folder / "20newsgroups" / "20_newsgroup.tar.gz"
    if not archive.exists():
        pytest.skip("needs the 20 Newsgroups archive")
    few = {}
    with tarfile.open(archive, "r|*") as opened:
        for member in opened:
            if member.isfile():
                few[member.name] = opened.extractfile(member).read()
            if len(few) == 50:
                break
    found = documents(write(tmp_path, few))
    assert found.ids == tuple(sorted(few))
    assert found.said[0].startswith("50 documents with mail headers")
    for text, title, snippet in zip(found.texts, found.titles, found.snippets, strict=True):
        assert title
        assert snippet
        assert text.startswith(title[:20])
        assert "Newsgroups:" not in text
        assert "cantaloupe" not in text
