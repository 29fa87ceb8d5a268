"""What ``isthmus recommend`` does: interactions become a model, which makes lists for anyone and is judged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from isthmus.checks import counted
from isthmus.commands_data import model_at
from isthmus.commands_found import printable
from isthmus.commands_info import say_recommender
from isthmus.commands_lines import line, say_next, size_of
from isthmus.data import write_table
from isthmus.errors import InputError
from isthmus.estimators.recommended import Recommended
from isthmus.estimators.recommender import Recommender

SHOWN = 20
"""Users whose lists are shown on the terminal."""


@dataclass(frozen=True)
class Lists:
    """What is wanted: the length of the lists (None = the usual), how many reasons of each item, and whether what was
    seen is left out."""

    k: int | None
    reasons: int
    exclude_seen: bool


@contextmanager
def by_option(data: str) -> Iterator[None]:
    """Let errors about arguments name the options and the file."""
    try:
        yield
    except InputError as error:
        names = "user|item|weight|time|duplicates|strength|dropout|neighbours|max_time|(?:item_)?given(?:_weight)?"
        names = rf"^({names})(?=:| must| has| says)"
        sentence = re.sub(names, lambda found: f"--{found[1].replace('_', '-')}", str(error))
        sentence = re.sub(r"\b(user|item|time|method|strength)='([^']*)'", r"--\1 '\2'", sentence)
        sentence = re.sub(r"^k must", "-k must", sentence)
        sentence = sentence.replace("at_least=", "--at-least ").replace("with time= the", "with --time, the")
        sentence = sentence.replace("with given= what", "with --given, what")
        sentence = sentence.replace("protocol='time'", "--by time").replace("protocol must", "--by must")
        raise InputError(re.sub(r"\b(X|histories)\b(?= has| holds|:)", repr(data), sentence)) from error


def recommender_at(path: str) -> Recommender:
    """The recommender of a file."""
    return cast(Recommender, model_at(path, (Recommender,), "isthmus recommend fit makes a Recommender"))


def fit(data: str, output: str, settings: dict[str, Any], columns: dict[str, Any], told: dict[str, str | None]) -> None:
    """Learn, save, and say what was learnt."""
    existed = Path(output).exists()
    with by_option(data):
        recommender = Recommender(**settings).fit(data, **told, **columns)
    recommender.save(output)
    if not settings["verbose"]:
        return
    print()
    say_recommender(recommender)
    line("written", f"{output} ({size_of(output, existed)})")
    some = str(recommender.interactions_.items[int(np.argmax(recommender.popular_))])
    k = str(min(10, len(recommender.popular_)))
    say_next(
        ["recommend", "for", output, data, "-k", k, "--explain", "2", "-o", "lists.csv"],
        ["recommend", "similar", output, *(["--"] if some.startswith("-") else []), some],
        ["recommend", "judge", output],
    )


def for_each(
    model_path: str, data: str | None, given: str | None, columns: dict[str, Any], wish: Lists, output: str | None
) -> None:
    """Lists for every user of a table, shown or written; without histories, for those that something is known of."""
    recommender = recommender_at(model_path)
    knobs = columns | {"exclude_seen": wish.exclude_seen, "reasons": wish.reasons}
    with by_option(data or given or model_path):
        found = recommender.recommend(data, wish.k, given, **knobs)
    if output is None:
        say_lists(found)
        return
    existed, frame = Path(output).exists(), found.frame()
    write_table(output, frame)
    print(f"{output}: {counted(len(frame), 'row')} for {counted(len(found), 'user')} ({size_of(output, existed)})")


def say_lists(found: Recommended) -> None:
    """The lists of the first users, a line for each item."""
    for place, user in enumerate(found.users[:SHOWN].tolist()):
        print(f"{chr(10) if place else ''}{printable(str(user))}")
        for rank, item in enumerate(found.items[place].tolist()):
            if item is None:
                break
            why = "" if found.reasons is None else in_words(found.reasons[place][rank])
            score = f"{found.scores[place, rank]:.3f}"
            print(f"{rank + 1:4}  {score}  {printable(str(item))}{why and f'  ({why})'}")
    if len(found) > SHOWN:
        print(f"\nand lists for {len(found) - SHOWN:,} more: -o TABLE.csv writes them all")


def in_words(reasons: Sequence[tuple[Any, float]]) -> str:
    """
    >>> in_words([("Heat", 0.2), ("Alien", 0.1)]), in_words([])
    ('because of Heat, Alien', '')
    """
    return f"because of {', '.join(printable(str(item)) for item, _ in reasons)}" if reasons else ""


def similar(model_path: str, items: Sequence[str], k: int | None, output: str | None) -> None:
    """What is like some items, shown or written."""
    recommender = recommender_at(model_path)
    with by_option(model_path):
        found = recommender.similar_items(items, k)
    if output is None:
        for place, item in enumerate(found.of.tolist()):
            print(f"{chr(10) if place else ''}{printable(str(item))}")
            for rank, (near, how) in enumerate(zip(found.items[place], found.similarities[place], strict=True), 1):
                print(f"{rank:4}  {how:.3f}  {printable(str(near))}")
        return
    import pandas as pd

    existed = Path(output).exists()
    columns = {
        "item": np.repeat(found.of, found.items.shape[1]),
        "rank": np.tile(np.arange(1, found.items.shape[1] + 1), len(found)),
        "similar": found.items.ravel(),
        "similarity": found.similarities.ravel(),
    }
    write_table(output, pd.DataFrame(columns))
    print(f"{output}: {counted(len(columns['item']), 'row')} ({size_of(output, existed)})")


def judge(model_path: str, data: str | None, given: str | None, protocol: str, seed: int) -> None:
    """How good the lists are, beside popularity and EASE."""
    recommender = recommender_at(model_path)
    with by_option(data or model_path):
        print(recommender.judge(data, given, protocol=protocol, at=(20, 100), seed=seed))
