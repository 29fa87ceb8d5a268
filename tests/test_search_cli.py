"""``isthmus search``: documents, pictures and rows become an index that grows, shrinks, and is searched."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_cli import run

import isthmus as ist
from isthmus import commands_data
from isthmus.commands_folders import holds_text, kind_of
from isthmus.commands_found import cut, frame_of, printable, proof_in_words, say_found, say_how, title_and_snippet
from isthmus.commands_items import by_option
from isthmus.data import write_image, write_table
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.retrieved import Found, Within
from isthmus.estimators.retriever import Retriever

CARS = ["engine", "wheel", "brake", "car", "road", "driver", "motor", "speed", "tyre", "garage"]
SPACE = ["planet", "star", "orbit", "moon", "rocket", "space", "comet", "galaxy", "telescope", "sun"]
QUICK = ["--bits", 16, "--epochs", 1, "--quiet"]


def flat(text: str) -> str:
    return " ".join(text.split())


def document(words: list[str], random: np.random.Generator) -> str:
    return f"{' '.join(random.choice(words, 3)).title()}\n{' '.join(random.choice(words, 24))}"


def picture(place: int) -> np.ndarray:
    """Bright to the left or to the right, and a little noise."""
    random = np.random.default_rng(place)
    side = np.where(np.arange(6) < 3, 200, 20) if place < 10 else np.where(np.arange(6) < 3, 20, 200)
    return np.clip(side + random.normal(0, 12, (6, 6)), 0, 255).astype(np.uint8)


def cells(rows: int = 40) -> pd.DataFrame:
    random = np.random.default_rng(1)
    kind = np.arange(rows) % 2
    frame = pd.DataFrame(random.normal(0, 0.3, (rows, 6)) + 3 * kind[:, None] * [1, -1, 1, -1, 1, -1])
    frame.columns = list("abcdef")
    frame.insert(0, "name", [f"c{place:02d}" for place in range(rows)])
    frame.insert(1, "number", 1000 + np.arange(rows))
    return frame


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents, pictures, a table and an array, and an index of each made by the command line."""
    home = tmp_path_factory.mktemp("search")
    random = np.random.default_rng(0)
    for topic, words in (("cars", CARS), ("space", SPACE)):
        (home / "docs" / topic).mkdir(parents=True)
        for place in range(15):
            (home / "docs" / topic / f"{place:02d}").write_text(document(words, random))
    (home / "more").mkdir()
    (home / "more" / "new").write_text("The moon\nrocket rocket moon planet orbit comet star")
    (home / "photos").mkdir()
    for place in range(20):
        write_image(home / "photos" / f"{place:02d}.png", picture(place))
    cells().to_csv(home / "cells.csv", index=False)
    np.save(home / "cells.npy", cells().drop(columns="name").to_numpy())
    run("search", "fit", home / "docs", "-o", home / "d.safetensors", *QUICK)
    run("search", "fit", home / "photos", "-o", home / "p.safetensors", *QUICK)
    ignored = ["--column", "number=ignore"]
    run("search", "fit", home / "cells.csv", "-o", home / "t.safetensors", "--id", "name", *ignored, *QUICK)
    run("search", "fit", home / "cells.npy", "-o", home / "a.safetensors", "--id", 0, *QUICK)
    return home


def copy_of(home: Path, folder: Path, name: str) -> Path:
    """A retriever that may be changed."""
    path = folder / f"{name}.safetensors"
    ist.load(home / path.name).save(path)
    return path


# ---------------------------------------------------------------------- help


def test_help_teaches_and_loads_nothing_heavy() -> None:
    assert "search" in run("--help").stdout
    for verb in ("fit", "add", "remove", "query"):
        assert f"isthmus search {verb} " in run("search", verb, "--help").stdout
    program = (
        "import sys\nfrom isthmus import cli\n"
        "try:\n    cli.app(['search', 'query', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules), 'too much is imported'"
    )
    said = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert "--radius" in said.stdout


def test_pipes_are_refused_and_texts_may_look_like_tables(home: Path, tmp_path: Path) -> None:
    for words in (["fit", "-", "-o", tmp_path / "m.safetensors"], ["query", home / "d.safetensors", "/dev/stdin"]):
        assert "reading from a pipe is not supported" in flat(run("search", *words, code=2).stderr)
    (tmp_path / "note").write_text("moon 1, sun 2\n3, 4\n")
    assert "rank" in run("search", "query", home / "d.safetensors", tmp_path / "note", "-k", 1).stdout


# ---------------------------------------------------------------------- documents


def test_fit_says_what_it_learnt_and_what_comes_next(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    said = run("search", "fit", home / "docs", "-o", path, "--bits", 16, "--epochs", 1).stdout
    assert "learnt from     30 documents" in said
    assert "16 bits" in said
    assert f"isthmus search query {path} 'what you look for'" in said
    assert (tmp_path / "d.index").is_dir()
    again = ["search", "fit", home / "docs", "-o", path, "--bits", 16, "--epochs", 1]
    run("search", "add", path, home / "more")
    before = path.read_bytes()
    said = flat(run(*again, code=2).stderr)
    assert f"{str(tmp_path / 'd.index')!r} is an index of 31 items, which would be gone" in said
    assert f"isthmus search add {path} DATA puts more in; --replace puts the new index in its place" in said
    assert path.read_bytes() == before
    assert len(ist.load(path)) == 31
    assert ", replaced an index of 31 items)" in flat(run(*again, "--replace").stdout)
    retriever = ist.load(path)
    assert len(retriever) == 30
    retriever.remove(retriever.ids_)
    assert ", replaced an index of 0 items)" in flat(run(*again).stdout)
    with open(tmp_path / "d.index" / "log", "r+b") as log:
        log.truncate(log.seek(0, 2) // 2)
    said = flat(run(*again, code=2).stderr)
    assert "-o: " in said
    assert "--replace puts the new index in its place" in said
    assert ", replaced a damaged index)" in flat(run(*again, "--replace").stdout)
    assert len(ist.load(path)) == 30


def test_the_bits_that_are_tried_are_told(home: Path, tmp_path: Path) -> None:
    texts = [document(CARS if place % 2 else SPACE, np.random.default_rng(place)) for place in range(120)]
    (tmp_path / "many.txt").write_text("\n".join(text.replace("\n", " ") for text in texts))
    said = run("search", "fit", tmp_path / "many.txt", "-o", tmp_path / "m.safetensors", "--epochs", 1)
    assert "16 bits:\n" in said.stderr
    assert "\nautoencoder\nfinished 1 epoch\n" in said.stderr
    assert "your composition" not in said.stderr
    taken = next(text for text in said.stderr.split("\n") if "bits are taken: " in text)
    assert f"codes           {taken.split()[0]} bits" in said.stdout


def test_a_text_finds_documents_by_title_and_snippet(home: Path) -> None:
    said = run("search", "query", home / "d.safetensors", "a rocket to the moon and a planet", "-k", 4).stdout
    found = ist.load(home / "d.safetensors").query("a rocket to the moon and a planet", k=4)
    lines = said.split("\n")
    assert lines[0].split() == ["rank", "bits", "id", "title"]
    for place in range(4):
        first, second = lines[1 + 2 * place : 3 + 2 * place]
        title, _, snippet = found.items[0, place].partition("\n")
        words = [str(place + 1), str(found.distances[0, place]), found.ids[0, place], *title.split()]
        assert first.split() == words
        assert snippet.startswith(second.strip().removesuffix("..."))
        assert second.index(second.strip()) == first.index(found.ids[0, place])
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in said
    assert "exact           yes: it is proven that no item is nearer\ncompared        30 of 30 codes" in said
    assert "ms, coding included" in said


def test_documents_find_documents(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.csv"
    said = run("search", "query", home / "d.safetensors", home / "docs", "-k", 3, "-o", out).stdout
    assert f"{out}: 90 rows (" in said
    assert "rank" not in said
    table = pd.read_csv(out)
    assert list(table) == ["query", "rank", "id", "distance", "title"]
    first = table[table["rank"] == 1]
    assert (first["distance"] == 0).all()
    same_topic = table["query"].str.split("/").str[0] == table["id"].str.split("/").str[0]
    assert same_topic.mean() > 0.8
    retriever = ist.load(home / "d.safetensors")
    assert (
        table["id"].tolist()
        == retriever.query([file_text(home, name) for name in first["query"]], k=3).ids.ravel().tolist()
    )
    one = run("search", "query", home / "d.safetensors", home / "docs" / "cars" / "03", "-k", 1).stdout
    assert one.split("\n")[1].split()[1:3] == ["0", "cars/03"]


def file_text(home: Path, name: str) -> str:
    return (home / "docs" / name).read_text()


def test_several_queries_are_told_apart_and_the_rest_is_counted(home: Path) -> None:
    said = run("search", "query", home / "d.safetensors", home / "docs", "-k", 1).stdout
    assert "\ncars/01\nrank  bits  id" in said
    assert "and answers to 10 more: -o TABLE.csv writes them all" in said
    assert "30 of 30 codes a query" in said


def test_what_is_added_is_found_and_what_is_removed_is_not(home: Path, tmp_path: Path) -> None:
    path = copy_of(home, tmp_path, "d")
    index = tmp_path / "d.index"
    assert run("search", "add", path, home / "more").stdout == f"{index}: 1 document added; 31 items in all\n"
    text = (home / "more" / "new").read_text()
    assert ist.load(path).query(text, k=31).ids[0].tolist().count("new") == 1
    said = run("search", "add", path, home / "more", code=2).stderr
    assert "ids that are in the index already: 'new'" in flat(said)
    said = run("search", "remove", path, "new", "old", code=2).stderr
    assert "not in the index, which holds 31 ids: 'old'" in flat(said)
    assert len(ist.load(path)) == 31
    (tmp_path / "gone.txt").write_text("cars/00\n\ncars/01\r\n")
    said = run("search", "remove", path, "new", "--from", tmp_path / "gone.txt").stdout
    assert said == f"{index}: 3 items removed; 28 left\n"
    assert not {"new", "cars/00", "cars/01"} & set(ist.load(path).ids_)
    assert run("search", "remove", path, "cars/02", "-q").stdout == ""


def test_only_items_of_a_list_are_found(home: Path, tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("cars/03\ncars/04\nspace/00\n")
    words = ["search", "query", home / "d.safetensors", "moon and sun", "--where", tmp_path / "some.txt"]
    run(*words, "-k", 3, "-o", tmp_path / "f.csv")
    assert sorted(pd.read_csv(tmp_path / "f.csv")["id"]) == ["cars/03", "cars/04", "space/00"]
    said = run(*words).stdout
    assert said.count("cars/03") == said.count("cars/04") == said.count("space/00") == 1
    assert "\n   3 " in said
    assert "compared        30 of 30 codes (3 may be found), one after the other\n" in said
    assert "-k 4 is more than there are: 3 items in" in flat(run(*words, "-k", 4, code=2).stderr)


def test_as_many_as_there_are_where_nothing_is_said(home: Path, tmp_path: Path) -> None:
    path = copy_of(home, tmp_path, "d")
    retriever = ist.load(path)
    retriever.remove(retriever.ids_[:24])
    said = run("search", "query", path, "moon and sun").stdout
    assert "\n   6 " in said
    assert "\n   7 " not in said
    assert "compared        30 of 30 codes (6 items, 24 removed), one after the other\n" in said
    assert "-k 7 is more than there are: 6 items" in flat(run("search", "query", path, "moon", "-k", 7, code=2).stderr)
    (tmp_path / "some.txt").write_text("\n".join(retriever.ids_[:2]))
    said = run("search", "query", path, "moon and sun", "--where", tmp_path / "some.txt").stdout
    assert "of 30 codes (6 items, 24 removed, 2 may be found)," in flat(said)


def test_a_radius_finds_all_that_are_so_near(home: Path, tmp_path: Path) -> None:
    words = ["search", "query", home / "d.safetensors", home / "docs" / "space" / "07", "--radius"]
    said = run(*words, 0).stdout
    assert "space/07" in said
    assert "exact           yes: these are all that are so near" in said
    run(*words, 16, "-o", tmp_path / "f.parquet")
    table = pd.read_parquet(tmp_path / "f.parquet")
    assert sorted(table["id"]) == sorted(ist.load(home / "d.safetensors").ids_)
    assert table["distance"].is_monotonic_increasing
    assert table["rank"].tolist() == list(range(1, 31))
    said = run(*words, 16).stdout
    assert "\n  10 " in said
    assert "\nand 20 more: -o TABLE.csv writes them all\n" in said
    said = run(*words, 16, "-k", 12).stdout
    assert "\n  12 " in said
    assert "\nand 18 more are so near\n" in said
    assert "exact           yes: these are the 12 nearest of all that are so near" in said
    assert "exact           yes: these are all that are so near" in run(*words, 16, "-k", 99).stdout
    run(*words, 16, "-k", 3, "-o", tmp_path / "g.parquet")
    assert pd.read_parquet(tmp_path / "g.parquet")["id"].tolist() == table["id"].tolist()[:3]


def test_texts_of_other_kinds_of_files(home: Path, tmp_path: Path) -> None:
    names = sorted(file.relative_to(home / "docs").as_posix() for file in (home / "docs").rglob("*") if file.is_file())
    texts = [file_text(home, name) for name in names]
    with tarfile.open(tmp_path / "docs.tar.gz", "w:gz") as archive:
        archive.add(home / "docs", "docs")
    (tmp_path / "docs.txt").write_text("\n".join(text.replace("\n", " ") for text in texts) + "\n")
    (tmp_path / "docs.jsonl").write_text("\n".join(json.dumps({"text": text, "n": 1}) for text in texts))
    pd.DataFrame({"sku": range(100, 130), "review": texts, "by": ["me"] * 30}).to_csv(
        tmp_path / "docs.csv", index=False
    )
    for ending, first, more in [
        ("tar.gz", "docs/cars/00", []),
        ("txt", "docs.txt:1", []),
        ("jsonl", "docs.jsonl:1", []),
        ("csv", "100", ["--text", "review", "--id", "sku"]),
    ]:
        words = ["search", "fit", tmp_path / f"docs.{ending}", "-o", tmp_path / "m.safetensors", "--replace"]
        run(*words, *more, *QUICK)
        retriever = ist.load(tmp_path / "m.safetensors")
        assert (len(retriever), retriever.ids_[0]) == (30, first)
        assert retriever.query(texts[0], k=1).distances.item() == 0
    said = run("search", "query", tmp_path / "m.safetensors", tmp_path / "docs.csv", "--text", "review", "-k", 1).stdout
    assert "docs.csv:1\nrank" in said


def test_documents_that_are_none_are_named_or_left_out(home: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for place in range(4):
        (tmp_path / "docs" / f"{place}").write_text(document(CARS, np.random.default_rng(place)))
    (tmp_path / "docs" / "empty").write_text(" \n")
    words = ["search", "fit", tmp_path / "docs", "-o", tmp_path / "m.safetensors", *QUICK]
    assert "'empty' (it is empty). --skip leaves such out" in flat(run(*words, code=2).stderr)
    assert "left out: 'empty'" in flat(run(*words, "--skip").stderr)
    assert len(ist.load(tmp_path / "m.safetensors")) == 4
    query = ["search", "query", tmp_path / "m.safetensors", tmp_path / "docs", "-k", 1]
    assert "'empty' (it is empty). --skip leaves such out" in flat(run(*query, code=2).stderr)
    said = run(*query, "--skip")
    assert "left out: 'empty'" in flat(said.stderr)
    assert "\n3\nrank" in said.stdout


def test_a_column_called_id_names_the_records(home: Path, tmp_path: Path) -> None:
    texts = [document(CARS, np.random.default_rng(place)) for place in range(4)]
    records = [json.dumps({"id": f"r{place}", "text": text}) for place, text in enumerate(texts)]
    (tmp_path / "l.jsonl").write_text("\n".join(records[:3]))
    words = ["--bits", 16, "--epochs", 1]
    said = run("search", "fit", tmp_path / "l.jsonl", "-o", tmp_path / "m.safetensors", *words).stdout
    assert "the ids are from column 'id'" in said
    assert ist.load(tmp_path / "m.safetensors").ids_.tolist() == ["r0", "r1", "r2"]
    (tmp_path / "more.jsonl").write_text(records[3])
    said = run("search", "add", tmp_path / "m.safetensors", tmp_path / "more.jsonl").stdout
    assert "the ids are from column 'id'\n" in said
    assert "1 document added; 4 items in all" in said
    assert ist.load(tmp_path / "m.safetensors").ids_[-1] == "r3"


# ---------------------------------------------------------------------- texts and pictures in one folder


def both(folder: Path) -> Path:
    """Three texts, three pictures, and a file that is neither."""
    folder.mkdir()
    for place in range(3):
        (folder / f"{place}.md").write_text(document(CARS, np.random.default_rng(place)))
        write_image(folder / f"{place}.png", picture(place))
    (folder / "small.db").write_bytes(b"a\0b")
    return folder


def test_of_a_folder_of_both_it_must_be_said_which_are_meant(home: Path, tmp_path: Path) -> None:
    folder = both(tmp_path / "both")
    out = tmp_path / "m.safetensors"
    held = f"{str(folder)!r} holds 3 texts and 3 pictures: say which are meant, "
    words = ["search", "fit", folder, "-o", out, "--bits", 16, "--epochs", 1]
    said = flat(run(*words, code=2).stderr)
    assert held + "--as texts or --as pictures; the others are then passed over" in said
    assert not out.exists()
    said = run(*words, "--as", "pictures")
    assert "of it only the pictures are read; 4 files passed over: '.db', '.md'" in flat(said.stderr)
    assert f"isthmus search add {out} more/ --as pictures" in said.stdout
    assert ist.load(out).ids_.tolist() == ["0.png", "1.png", "2.png"]
    (folder / "small.db").unlink()
    said = run(*words, "--as", "texts", "--replace")
    assert "of it only the texts are read; 3 files passed over: '.png'" in flat(said.stderr)
    assert ist.load(out).ids_.tolist() == ["0.md", "1.md", "2.md"]


def test_what_is_meant_is_said_to_an_index_too(home: Path, tmp_path: Path) -> None:
    folder = both(tmp_path / "both")
    (folder / "small.db").unlink()
    held = f"{str(folder)!r} holds 3 texts and 3 pictures: say which are meant, "
    for name, kind, names, other in [("d", "texts", "0.md", "pictures"), ("p", "pictures", "0.png", "texts")]:
        path = copy_of(home, tmp_path, name)
        before = len(ist.load(path))
        for verb in ("add", "query"):
            words = ["search", verb, path, folder]
            assert f"{held}--as {kind}; the others are then passed over" in flat(run(*words, code=2).stderr)
            assert f"--as {other}: the fit was to " in flat(run(*words, "--as", other, code=2).stderr)
            said = run(*words, "--as", kind)
            assert f"of it only the {kind} are read; 3 files passed over: " in flat(said.stderr)
            assert (f"\n{names}\n" in f"\n{said.stdout}") == (verb == "query")
        assert len(ist.load(path)) == before + 3


def test_files_that_are_neither_are_passed_over_among_pictures(tmp_path: Path) -> None:
    folder = both(tmp_path / "both")
    for file in folder.glob("*.md"):
        file.unlink()
    (folder / ".notes").write_text("hidden")
    with pytest.warns(DataWarning, match=r"only the pictures are read; 1 file passed over: '\.db'$"):
        assert kind_of(folder, None) == "pictures"
    with pytest.raises(InputError, match=r"^--as texts: .* holds none$"):
        kind_of(folder, "texts")
    assert not holds_text(folder / "small.db")
    assert kind_of(Path(__file__).parent, None) == "texts"


# ---------------------------------------------------------------------- pictures


def test_a_picture_finds_pictures(home: Path, tmp_path: Path) -> None:
    said = run("search", "query", home / "p.safetensors", home / "photos" / "13.png", "-k", 5).stdout
    lines = said.split("\n")
    assert lines[0].split() == ["rank", "bits", "id"]
    assert [line.split()[2] for line in lines[1:6]] == ist.load(home / "p.safetensors").query(
        picture(13)[None], k=5
    ).ids[0].tolist()  # fmt: skip
    assert all(int(line.split()[2][:2]) >= 10 for line in lines[1:6])
    run("search", "query", home / "p.safetensors", home / "photos", "-k", 1, "-o", tmp_path / "f.xlsx")
    table = pd.read_excel(tmp_path / "f.xlsx")
    assert list(table) == ["query", "rank", "id", "distance"]
    assert (table["distance"] == 0).all()
    np.save(tmp_path / "one.npy", picture(13))
    again = run("search", "query", home / "p.safetensors", tmp_path / "one.npy", "-k", 5).stdout
    assert again.split("\n")[:6] == lines[:6]


def test_pictures_are_added_and_odd_ones_refused_or_left_out(home: Path, tmp_path: Path) -> None:
    path = copy_of(home, tmp_path, "p")
    (tmp_path / "new").mkdir()
    write_image(tmp_path / "new" / "new.png", picture(50))
    write_image(tmp_path / "new" / "wide.png", np.zeros((6, 9), dtype=np.uint8))
    said = run("search", "add", path, tmp_path / "new", code=2).stderr
    assert "is 9 x 6 (width x height), grey, of 8 bits; the pictures of the fit were 6 x 6" in flat(said)
    added = run("search", "add", path, tmp_path / "new", "--skip")
    assert "1 image of 6 x 6 pixels added; 21 items in all" in flat(added.stdout)
    assert "1 image left out: 'wide.png'" in flat(added.stderr)
    write_image(tmp_path / "last.png", picture(51))
    run("search", "add", path, tmp_path / "last.png")
    assert ist.load(path).ids_[-2:].tolist() == ["new.png", "last.png"]


# ---------------------------------------------------------------------- rows


def test_rows_are_called_by_a_column_that_is_not_learnt(home: Path, tmp_path: Path) -> None:
    retriever = ist.load(home / "t.safetensors")
    assert retriever.n_features_in_ == 6
    assert retriever.ids_.tolist() == [f"c{place:02d}" for place in range(40)]
    run("search", "query", home / "t.safetensors", home / "cells.csv", "-k", 1, "-o", tmp_path / "f.csv")
    table = pd.read_csv(tmp_path / "f.csv")
    assert table["query"].tolist() == list(range(40))
    assert (table["distance"] == 0).all()
    cells().drop(columns=["name", "number"]).iloc[:2].to_csv(tmp_path / "two.csv", index=False)
    said = run("search", "query", home / "t.safetensors", tmp_path / "two.csv", "-k", 2).stdout
    assert said.startswith("0\nrank  bits  id\n")
    path = copy_of(home, tmp_path, "t")
    later = cells(2).assign(name=["x", "y"])
    later.to_csv(tmp_path / "later.csv", index=False)
    assert "2 rows of 6 columns added; 42 items in all" in run(
        "search", "add", path, tmp_path / "later.csv", "--id", "name"
    ).stdout  # fmt: skip
    assert ist.load(path).ids_[-2:].tolist() == ["x", "y"]
    numbers = ["search", "add", path, tmp_path / "later.csv"]
    assert "--id: the ids of this index are texts" in flat(run(*numbers, code=2).stderr)
    (tmp_path / "ids.txt").write_text("7\n8\n")
    run(*numbers, "--id", tmp_path / "ids.txt")
    assert ist.load(path).ids_[-2:].tolist() == ["7", "8"]


def test_rows_of_an_array_are_called_by_a_column_or_numbered(home: Path, tmp_path: Path) -> None:
    path = copy_of(home, tmp_path, "a")
    assert ist.load(path).ids_.tolist() == list(range(1000, 1040))
    assert ist.load(path).n_features_in_ == 6
    said = run("search", "add", path, home / "cells.npy").stdout
    assert "40 rows of 6 columns added, ids 1040 to 1079; 80 items in all" in said
    assert "2 items removed; 78 left" in run("search", "remove", path, 1000, 1079).stdout
    (tmp_path / "ids.txt").write_text("-1\n-2\n")
    np.save(tmp_path / "two.npy", np.load(home / "cells.npy")[:2, 1:])
    run("search", "add", path, tmp_path / "two.npy", "--id", tmp_path / "ids.txt")
    assert "2 items removed; 78 left" in run("search", "remove", path, "--", -1, -2).stdout
    assert "search remove cells.safetensors -- -1 -2" in run("search", "remove", "--help").stdout
    assert "the ids of this index are whole numbers; got 'a'" in flat(run("search", "remove", path, "a", code=2).stderr)
    row = np.load(home / "cells.npy")[3, 1:]
    np.save(tmp_path / "row.npy", row)
    said = run("search", "query", path, tmp_path / "row.npy", "-k", 1).stdout
    assert said.split("\n")[1].split() == ["1", "0", str(ist.load(path).query(row[None], k=1).ids.item())]


def test_the_cosine_orders_what_is_nearest(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    run(
        "search", "fit", home / "cells.csv", "-o", path, "--id", "name", "--column", "number=ignore", "--rerank", *QUICK
    )
    said = run("search", "query", path, home / "cells.csv", "-k", 2, "-o", tmp_path / "f.csv").stdout
    assert "by bits; of the nearest, the cosine tells the order" in flat(said)
    table = pd.read_csv(tmp_path / "f.csv")
    assert list(table) == ["query", "rank", "id", "distance", "similarity"]
    first = table[table["rank"] == 1]
    np.testing.assert_allclose(first["similarity"], 1, atol=1e-3)
    cells().iloc[:1].to_csv(tmp_path / "one.csv", index=False)
    said = run("search", "query", path, tmp_path / "one.csv", "-k", 1).stdout
    assert said.split("\n")[0].split() == ["rank", "bits", "cosine", "id"]
    assert said.split("\n")[1].split() == ["1", "0", "1.000", "c00"]


# ---------------------------------------------------------------------- info


def test_info_says_what_an_index_holds(home: Path) -> None:
    said = flat(run("info", home / "d.safetensors").stdout)
    assert "retriever of texts, by 20 words" in said
    assert "codes 16 bits, method" in said
    assert "items 30; their ids are strings, such as 'cars/00', 'cars/01', 'cars/02'" in said
    assert f"index {home / 'd.index'} (" in said
    assert "retriever of images of 6 x 6 pixels" in flat(run("info", home / "p.safetensors").stdout)


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("query d moon -k 31", "-k 31 is more than there are: 30 items"),
        ("query d moon -k 0", "-k must be a whole number >= 1; got 0"),
        ("query d moon --radius 17", "--radius must be a whole number from 0 to 16, the bits of a code; got 17"),
        ("query d moon --radius -1", "--radius must be a whole number from 0 to 16, the bits of a code; got -1"),
        ("query d moon --radius 2 -k 0", "-k must be a whole number >= 1; got 0"),
        ("query d moon --radius 2 --seconds 1", "leave out --seconds"),
        ("query d moon --seconds 0", "--seconds must be a number above 0; got 0"),
        ("query d moon and sun", "give one query: of several files their folder; a text in quotes, 'moon and sun'"),
        ("query d moon --text a", "--text: there is no table 'moon'"),
        ("query d moon --as texts", "--as: there is no folder 'moon'; leave it out"),
        ("query d docs/cars/03 --as texts", "--as says which files of a folder are meant; 'docs/cars/03' is none"),
        ("query d docs --as words", "--as must be texts or pictures; got 'words'"),
        ("query d photos", "'photos' holds pictures, but the fit was to texts"),
        ("query p docs", "'docs' has no PNG or JPEG images"),
        ("query t docs --as texts", "--as texts: the fit was to rows of 6 columns; leave it out"),
        ("query d moon -o f.npy", "-o: the file must end in .csv or .tsv or .parquet or .xlsx"),
        ("query d moon --where gone", "'gone': No such file"),
        ("query d moon --where blank", "--where: 'blank' holds no id"),
        ("query d moon -k 1 --where ids", "not in the index, which holds 30 ids: 'x', 'y'"),
        ("query d xylophone", "none of the words of the text is among the 20 that were learnt. Try other words"),
        ("query d docs -o docs.npy", "must end in"),
        ("query p moon", "there is no file or folder 'moon'."),
        ("query p large.png", "is 9 x 8 (width x height), grey, of 8 bits; the pictures of the fit were 6 x 6"),
        ("query p cells.csv", "is a table, but the fit was to images of 6 x 6 pixels"),
        ("query p photos --text a", "--text: the fit was to images of 6 x 6 pixels, not to texts"),
        ("query t photos/01.png", "is a picture, but the model was fitted on rows of 6 columns"),
        ("query t one.csv", "Missing columns: c, d, e, f"),
        ("query a narrow.npy", "X has 2 features, but Retriever is expecting 6 features"),
        ("query gone moon", "gone"),
        ("query lost moon", "lost.index', the index of"),
        ("add lost docs", "lost.index', the index of"),
        ("query void moon", "holds no item: put some in with isthmus search add"),
        ("add d gone", "there is no file or folder 'gone'"),
        ("add d docs --id a", "--id: 'docs' holds documents, whose ids are their paths"),
        ("add p photos --id a", "--id: 'photos' holds pictures, whose ids are their paths"),
        ("add t cells.csv --id nmae", "--id: 'nmae' is neither a column of 'cells.csv' nor a file."),
        ("add t cells.csv --id a", "--id a leaves out the column 'a', but the model reads it"),
        ("add t twice.csv --id name", "--id: 'name' must call every row by another id; it holds 'u' twice"),
        ("add t empty.csv --id name", "--id: 'name' has no id for 1 row, such as 1"),
        ("add a texts.npy --id cells.csv", "--id: 'cells.csv' must hold one column"),
        ("remove d", "say what to remove: ID..., or --from FILE"),
        ("remove d moon sun", "not in the index, which holds 30 ids: 'moon', 'sun'"),
        ("fit docs -o docs/m.safetensors", "lies in the folder that is read"),
        ("fit docs -o m.safetensors --bits 4", "--bits must be auto or a whole number from 8 to 1024; got '4'"),
        ("fit docs -o m.safetensors --bits many", "--bits must be auto or a whole number from 8 to 1024"),
        ("fit docs -o m.safetensors --method best", "--method"),
        ("fit docs -o m.safetensors --column a=log", "--column is for tables whose columns are learnt from"),
        ("fit docs -o m.safetensors --text a", "--text names the column of a table that holds texts"),
        ("fit cells.csv -o m.safetensors --text nmae", "--text 'cells.csv' has no column 'nmae'. Did you mean 'name'"),
        ("fit docs -o d.safetensors", "'d.index' is an index of 30 items, which would be gone"),
        ("fit docs --as pictures -o m.safetensors", "'docs' has no PNG or JPEG images"),
        ("fit photos --as texts -o m.safetensors", "--as texts: 'photos' holds none"),
        ("fit cells.csv --as texts -o m.safetensors", "--as says which files of a folder are meant"),
        ("fit docs/cars/03 -o m.safetensors", "'docs/cars/03' is a single document; give the folder that holds"),
        ("fit photos/01.png -o m.safetensors", "is a single image; give the folder that holds the images"),
        ("fit docs -o m.npy", "must end in .safetensors"),
        ("fit docs -o taken.safetensors", "the index would be 'taken.index', and what has that name is none"),
        ("fit gone -o m.safetensors", "there is no file or folder 'gone'"),
    ],
)  # fmt: skip
def test_mistakes(home: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str) -> None:
    make_bad(home)
    models = {path.stem: path.name for path in home.glob("*.safetensors")}
    parts = words.split()
    spoken = [models.get(part, part) if place == 1 else part for place, part in enumerate(parts)]
    before = sorted(home.rglob("*"))
    monkeypatch.chdir(home)
    assert said in flat(run("search", *spoken, code=2).stderr)
    assert sorted(home.rglob("*")) == before


def make_bad(home: Path) -> None:
    """Files that are wrong in some way."""
    if (home / "taken.index").exists():
        return
    (home / "taken.index").mkdir()
    write_image(home / "large.png", np.zeros((8, 9), dtype=np.uint8))
    (home / "blank").write_text("\n \n")
    (home / "ids").write_text("x\ny\ncars/01\n")
    np.save(home / "narrow.npy", np.zeros((2, 3)))
    np.save(home / "texts.npy", np.zeros((2, 6)))
    cells(2)[["a", "b"]].to_csv(home / "one.csv", index=False)
    cells(2).assign(name="u").to_csv(home / "twice.csv", index=False)
    cells(2).assign(name=["u", None]).to_csv(home / "empty.csv", index=False)
    retriever = ist.load(home / "d.safetensors")
    retriever.save(home / "lost.safetensors")
    for file in (home / "lost.index").iterdir():
        file.unlink()
    (home / "lost.index").rmdir()
    retriever = ist.load(home / "d.safetensors")
    retriever.save(home / "void.safetensors")
    retriever.remove(retriever.ids_)


def test_other_models_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_data, "load", lambda path: ist.Autoencoder())
    said = run("search", "query", "m.safetensors", "moon", code=2).stderr
    assert "'m.safetensors' holds an Autoencoder; isthmus search fit makes a Retriever" in flat(said)


def test_nothing_is_learnt_where_ids_come_twice(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retriever, "fit", lambda *_, **__: pytest.fail("the work was begun"))
    cells(4).assign(name=["u", "v", "u", "v"]).to_csv(tmp_path / "t.csv", index=False)
    words = ["search", "fit", tmp_path / "t.csv", "-o", tmp_path / "m.safetensors", "--id", "name"]
    assert "it holds 'u', 'v' twice" in flat(run(*words, code=2).stderr)


def test_a_missing_file_is_noted_and_searched_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    said = run("search", "query", "d.safetensors", "moon.txt", "-k", 1)
    assert "note: there is no file 'moon.txt': it is searched for as a text" in said.stderr
    assert run("search", "query", "d.safetensors", "moon " * 200, "-k", 1).stderr == ""
    assert "the text to search for is empty" in flat(run("search", "query", "d.safetensors", " ", code=2).stderr)


@pytest.mark.parametrize(
    "words", ["encode {d} more -o s.csv", "denoise apply {d} more -o s", "generate sample {d} -o s.csv"]
)
def test_retrievers_are_sent_to_their_commands(home: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.chdir(home)
    assert "holds a Retriever" in flat(run(*words.format(d="d.safetensors").split(), code=2).stderr)


# ---------------------------------------------------------------------- words


def found_of(exact: list[bool], recall: list[float]) -> Found:
    many = len(exact)
    ids, distances = np.full((many, 2), 7), np.full((many, 2), 3)
    return Found(ids, distances, np.array(exact), np.array(recall), np.array(exact), np.full(many, 25))


def test_what_is_not_proven_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    sure = "at least 60% of each answer is proven to be among the nearest"
    assert proof_in_words(found_of([False], [0.6])) == f"no: the time was over; {sure}"
    some = found_of([True, False, False], [1, 0.8, 0.6])
    assert proof_in_words(some) == f"for 1 of 3 queries: the time was over; {sure}"
    say_how(some, None, "1,000 codes", 0.006)
    said = capsys.readouterr().out
    assert "compared        25 of 1,000 codes a query, by hash tables for 1 of 3 queries\n" in said
    assert "took            6.0 ms, 2.00 ms a query, coding included\n" in said


def test_a_query_that_found_nothing_in_time(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ids = np.array([[7, 8], [None, None], [9, None]], dtype=object)
    distances = np.array([[0, 3], [-1, -1], [2, -1]])
    exact, likely = np.array([True, False, False]), np.array([[1, 0.5], [-np.inf, -np.inf], [0.75, -np.inf]])
    kept = np.array([["one", "two"], [None, None], ["three", None]], dtype=object)
    found = Found(ids, distances, exact, np.array([1.0, 0, 0.5]), exact, np.full(3, 25), likely, kept)
    say_found(found, ["a", "b", "c"])
    said = capsys.readouterr().out
    assert "\n\nb\nnothing was found in time\n\nc\n" in said
    assert said.endswith("and 1 more were not found in time\n")
    assert "None" not in said
    assert "-1" not in said
    table = frame_of(found, ["a", "b", "c"])
    assert table["query"].tolist() == ["a", "a", "c"]
    assert table["rank"].tolist() == [1, 2, 1]
    assert table["id"].tolist() == [7, 8, 9]
    assert table["id"].dtype == np.int64
    assert table["distance"].tolist() == [0, 3, 2]
    assert table["similarity"].tolist() == [1, 0.5, 0.75]
    assert table["title"].tolist() == ["one", "two", "three"]
    late = "for 1 of 3 queries: the time was over, for 1 with nothing found; at least 50% of each answer is proven"
    assert proof_in_words(found).startswith(late)


def late(recall: list[float], distances: list[list[int]]) -> str:
    """What is said of queries whose time was over."""
    many = len(recall)
    none = np.zeros(many, dtype=bool)
    return proof_in_words(
        Found(np.zeros((many, 2)), np.array(distances), none, np.array(recall), none, np.zeros(many, dtype=int))
    )


def test_nothing_is_not_called_proven() -> None:
    assert late([0], [[-1, -1]]) == "no: the time was over and nothing found"
    assert late([0, 0], [[-1, -1], [-1, -1]]) == "for 0 of 2 queries: the time was over and nothing found"
    assert late([0], [[3, 4]]) == "no: the time was over; none of it is proven to be among the nearest"
    told = "for 0 of 2 queries: the time was over; not every answer has a part that is proven to be among the nearest"
    assert late([0, 0.5], [[3, 4], [1, 2]]) == told


def test_a_table_may_hold_no_answer(tmp_path: Path) -> None:
    none = np.zeros(1, dtype=bool)
    ids = np.array([[None, None]], dtype=object)
    frame = frame_of(Found(ids, np.full((1, 2), -1), none, np.zeros(1), none, np.zeros(1, dtype=int)), ["q"])
    assert frame.shape == (0, 4)
    for name in ("f.csv", "f.parquet", "f.xlsx"):
        write_table(tmp_path / name, frame)
    assert (tmp_path / "f.csv").read_text() == "query,rank,id,distance\n"


def test_titles_stand_below_long_ids(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    ids = np.array([["a/very/long/path/of/a/document"]], dtype=object)
    kept = np.array([["Wide 日本\nIts\x1b[31m snippet"]], dtype=object)
    nothing = np.zeros(1, dtype=int)
    say_found(Found(ids, np.array([[2]]), nothing, nothing, nothing, nothing, None, kept), ["q"])
    assert capsys.readouterr().out.split("\n") == [
        "rank  bits  id",
        f"   1     2  {ids.item()}",
        "            Wide 日本",
        "            Its [31m snippet",
        "",
    ]


def test_a_radius_shows_the_first_of_many(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = np.zeros(2, dtype=int)
    within = Within([np.arange(60), np.arange(0)], [np.zeros(60, int), np.zeros(0, int)], nothing, nothing)
    say_found(within, ["a", "b"])
    said = capsys.readouterr().out
    assert "and 50 more: -o TABLE.csv writes them all\n\nb\nnothing is so near\n" in said
    assert len(frame_of(within, ["a", "b"])) == 60
    say_found(within, ["a", "b"], 20)
    assert "and 40 more are so near\n\nb\nnothing is so near\n" in capsys.readouterr().out
    assert len(frame_of(within, ["a", "b"], 20)) == 20


def test_texts_are_cut_to_the_terminal() -> None:
    assert cut("日本日本", 7) == "日本..."
    assert title_and_snippet(None) == ("", "")
    assert title_and_snippet("A long …\nA long title") == ("A long title", "")
    assert printable("a\u202eb\udcff") == "a b"


def test_arguments_are_called_as_options() -> None:
    with pytest.raises(InputError, match=r"^--text 'a\.csv' has no column 'b'$"), by_option():
        raise InputError("text_column: 'a.csv' has no column 'b'")
    with pytest.raises(InputError, match=r"^Say which is meant: --text 'b'$"), by_option():
        raise InputError("Say which is meant: text_column='b'")
    with pytest.raises(InputError, match=r"^--method must be$"), by_option():
        raise InputError("method must be")
