"""What ``isthmus search`` does: items become an index of codes, which grows, shrinks and is searched."""

from __future__ import annotations

import os
import re
import shlex
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from isthmus.checks import counted
from isthmus.commands_data import model_at
from isthmus.commands_found import frame_of, say_found, say_how
from isthmus.commands_info import all_of, codes_in_words, index_in_words
from isthmus.commands_items import Asked, Items, by_option, items_like, items_to_learn, whole_numbers
from isthmus.commands_lines import line, say_next, size_of
from isthmus.commands_tables import say_table
from isthmus.data import Source, write_table
from isthmus.data.messages import decoded
from isthmus.data.table_form import TableForm
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.estimators.retrieved import Found, Within
from isthmus.estimators.retriever import Retriever
from isthmus.estimators.retriever_files import index_of
from isthmus.index import about
from isthmus.index.folder import Folder
from isthmus.index.incoming import WHOLE

FILE = re.compile(r"\S+\.(txt|csv|tsv|jsonl?|parquet|xlsx|npy|npz|gz|zip|png|jpe?g|tiff?|bmp|webp)", re.IGNORECASE)
"""What is more likely the name of a missing file than a text."""

NEAREST = 10
"""How many are found where nothing is said of it, if there are so many."""


@dataclass(frozen=True)
class Search:
    """What is to be found: the k nearest, or those within a radius; among which items; in how many seconds."""

    k: int | None = None
    radius: int | None = None
    where: str | None = None
    seconds: float | None = None


def retriever_at(path: str) -> Retriever:
    """The retriever of a file, with the index beside it."""
    return cast(Retriever, model_at(path, (Retriever,), "isthmus search fit makes a Retriever"))


# ------------------------------------------------------------------ the index


def fit(data: str, output: str, settings: dict[str, Any], asked: Asked, replace: bool) -> None:
    """Learn, fill the index, save both, and say how searches go."""
    if Path(data).is_dir() and Path(output).resolve().is_relative_to(Path(data).resolve()):
        raise InputError(f"-o: {output!r} lies in the folder that is read, and would be read next time; choose another")
    index = index_of(Path(output))
    existed, replaced = Path(output).exists(), check_index(output, index, replace)
    loud = bool(settings["verbose"])
    items = items_to_learn(data, asked, loud)
    if loud:
        say_items(data, items, asked)
    retriever = Retriever(columns=items.columns or None, **settings)
    with by_option():
        retriever.fit(items.rows, ids=items.ids, items=items.kept)
    retriever.save(output)
    if loud:
        line("learnt from", items.in_words())
        line("codes", codes_in_words(retriever))
        beside = f"{index} ({index_in_words(index)}{replaced})"
        line("written", f"{output} ({size_of(output, existed)}), {beside}")
        say_next(*what_next(data, output, items, asked))


def check_index(output: str, index: Path, replace: bool) -> str:
    """Whether an index lies there that will be replaced, in words; one with items only if that is wanted."""
    if not os.path.lexists(index):
        return ""
    if not (index / about.NAME).exists():
        raise InputError(f"-o: the index would be {str(index)!r}, and what has that name is none; choose another name")
    try:
        held = len(Folder.open(index))
    except FileFormatError as error:
        if not replace:
            raise InputError(f"-o: {error}. --replace puts the new index in its place") from error
        return ", replaced a damaged index"
    if held and not replace:
        raise InputError(
            f"-o: {str(index)!r} is an index of {counted(held, 'item')}, which would be gone: isthmus search add "
            f"{shlex.quote(output)} DATA puts more in; --replace puts the new index in its place"
        )
    return f", replaced an index of {counted(held, 'item')}"


def say_read(items: Items) -> None:
    """What was found out about the file."""
    for number, sentence in enumerate(items.said):
        line("" if number else "read as", sentence)


def say_items(data: str, items: Items, asked: Asked) -> None:
    """What was found out about the data of a fit."""
    say_read(items)
    form = items.rows.form if isinstance(items.rows, Source) else None
    if isinstance(form, TableForm):
        say_table(form, all_of(data, asked.columns), items.rows)
        print(flush=True)


def what_next(data: str, output: str, items: Items, asked: Asked) -> list[list[str]]:
    """A command that searches, and one that adds."""
    ending = Path(data).suffix.lower()
    if not isinstance(items.rows, Source):
        query, more = ["what you look for"], "more/" if Path(data).is_dir() else f"more{ending}"
    elif Path(data).is_dir():
        query, more = [str(Path(data) / items.names[0])], "more/"
    else:
        query, more = [f"new{ending}", "-o", "found.csv"], f"new{ending}"
    again = {"--text": asked.text, "--id": None if Path(asked.ids or "").is_file() else asked.ids, "--as": asked.kind}
    told = [word for option, name in again.items() if name is not None for word in (option, name)]
    return [["search", "query", output, *query], ["search", "add", output, more, *told]]


def add(model_path: str, data: str, asked: Asked, quiet: bool) -> None:
    """More items in the index."""
    retriever = retriever_at(model_path)
    items = items_like(retriever, data, asked)
    with by_option():
        retriever.add(items.rows, ids=items.ids, items=items.kept)
    if quiet:
        return
    say_read(items)
    numbered = ""
    if items.ids is None:
        first, last = retriever.ids_[[-len(items), -1]]
        numbered = f", ids {first} to {last}" if len(items) > 1 else f", id {first}"
    index = index_of(Path(model_path))
    print(f"{index}: {items.in_words()} added{numbered}; {counted(len(retriever), 'item')} in all")


def remove(model_path: str, ids: Sequence[str], file: str | None, quiet: bool) -> None:
    """Fewer items in the index."""
    retriever = retriever_at(model_path)
    wanted = given_ids(retriever, [*ids, *([] if file is None else lines_of(file, "--from"))], "ID")
    before = len(retriever)
    retriever.remove(wanted)
    if not quiet:
        index, after = index_of(Path(model_path)), len(retriever)
        print(f"{index}: {counted(before - after, 'item')} removed; {after:,} left")


def lines_of(file: str, option: str) -> list[str]:
    """The lines of a file that are not blank."""
    found = [text.strip() for text in decoded(Path(file).read_bytes())[0].split("\n")]
    found = [text for text in found if text]
    if not found:
        raise InputError(f"{option}: {file!r} holds no id; write one on each line")
    return found


def given_ids(retriever: Retriever, texts: list[str], option: str) -> Sequence[Any]:
    """Ids as the index has them."""
    return whole_numbers(texts, option) if retriever.store_.kind == WHOLE else texts


# ------------------------------------------------------------------ searching


def query(model_path: str, data: str, asked: Asked, wish: Search, output: str | None) -> None:
    """Find, and show or write what was found."""
    retriever = retriever_at(model_path)
    if not len(retriever):
        index = str(index_of(Path(model_path)))
        raise InputError(f"{index!r} holds no item: put some in with isthmus search add {model_path} DATA")
    items = queries(retriever, data, asked)
    where = None if wish.where is None else given_ids(retriever, lines_of(wish.where, "--where"), "--where")
    most = len(retriever) if where is None else len(set(where))
    check_wish(retriever, wish, most)
    begun = time.perf_counter()
    found: Found | Within
    with by_option():
        if wish.radius is None:
            found = retriever.query(items.rows, wish.k or min(NEAREST, most), where=where, time_budget=wish.seconds)
        else:
            found = retriever.radius(items.rows, wish.radius, where=where)
    took = time.perf_counter() - begun
    if output is None:
        say_found(found, items.names, wish.k)
        print()
    say_how(found, wish.k, codes_of(retriever, None if where is None else most), took)
    if output is not None:
        existed, frame = Path(output).exists(), frame_of(found, items.names, wish.k)
        write_table(output, frame)
        print(f"{output}: {counted(len(frame), 'row')} ({size_of(output, existed)})")


def queries(retriever: Retriever, data: str, asked: Asked) -> Items:
    """What to search by: what lies at a path; where nothing does, the text itself."""
    if os.path.exists(os.path.expanduser(data)) or retriever.words_ is None:
        return items_like(retriever, data, asked, adding=False)
    if not data.strip():
        raise InputError("the text to search for is empty")
    for option, given, what in (("--text", asked.text, "table"), ("--as", asked.kind, "folder")):
        if given is not None:
            raise InputError(f"{option}: there is no {what} {data!r}; leave it out to search for these words")
    if " " not in data and FILE.fullmatch(data):
        warnings.warn(f"there is no file {data!r}: it is searched for as a text", DataWarning, stacklevel=2)
    return Items([data], [data])


def codes_of(retriever: Retriever, allowed: int | None) -> str:
    """The codes that searches go through, and how many of them are of items that may be found.

    Removed items keep their codes until the index is saved anew.
    """
    held, rows = len(retriever), retriever.store_.rows
    told = [f"{counted(held, 'item')}"] if held < rows else []
    told += [f"{rows - held:,} removed"] if held < rows else []
    told += [] if allowed is None else [f"{allowed:,} may be found"]
    return counted(rows, "code") + (f" ({', '.join(told)})" if told else "")


def check_wish(retriever: Retriever, wish: Search, most: int) -> None:
    """Refuse more answers than there are items, and a radius that no two codes are apart."""
    if wish.radius is None and wish.k is not None and wish.k > most:
        among = "" if wish.where is None else f" in {wish.where!r}"
        raise InputError(f"-k {wish.k:,} is more than there are: {counted(most, 'item')}{among}")
    if wish.radius is not None and not 0 <= wish.radius <= retriever.bits_:
        raise InputError(
            f"--radius must be a whole number from 0 to {retriever.bits_}, the bits of a code; got {wish.radius}"
        )
