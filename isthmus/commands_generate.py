"""What ``isthmus generate`` does: a generator is fitted, and what it draws becomes pictures, tables or arrays."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.assignments import kind_of
from isthmus.checks import did_you_mean
from isthmus.commands_data import OWN, Given, column_of, matching, with_article
from isthmus.commands_drawn import Order, check_form, deliver, pictures_of
from isthmus.commands_examples import example_of, examples, known_values, told
from isthmus.commands_info import all_of, drawn_in_words, say_errors
from isthmus.commands_lines import line, say_next, size_of
from isthmus.commands_tables import opened, say_read_as, say_table
from isthmus.data import Source
from isthmus.data.given import Conditions
from isthmus.data.images import image_files
from isthmus.data.table_form import TableForm
from isthmus.data.writers import WRITTEN
from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.files import load
from isthmus.estimators.generation_of_codes import lacks_prior
from isthmus.estimators.generator import Generator, cell_by_cell
from isthmus.estimators.priors import PRIORS, usual_prior

ENOUGH = 5000
"""Rows that a plain autoencoder draws to learn where its own codes lie, by which walks go."""

WIDEST = 12
"""Pictures in a line of a sheet that shows one example and what is like it, or a walk, at most."""


@dataclass(frozen=True)
class Through:
    """What rows are to be drawn through: a kind, by name, or the file of a fitted autoencoder; and its prior."""

    method: str | None
    prior: str
    autoencoder: str | None

    def made(self) -> Any:
        """The ``autoencoder`` of `Generator`; an error where there is none of this name."""
        if self.prior not in ("auto", *PRIORS):
            raise InputError(f"--prior: none is called {self.prior!r}.{did_you_mean(self.prior, PRIORS)}")
        if self.autoencoder is None:
            return None if self.method is None else kind_of(self.method, (), "auto")["method"]
        model = load(self.autoencoder)
        if not isinstance(model, Autoencoder):
            held = with_article(type(model).__name__)
            raise InputError(f"--autoencoder: {self.autoencoder!r} holds {held}; isthmus fit writes an autoencoder")
        return model


@contextmanager
def by_option(*names: str) -> Iterator[None]:
    """Let errors about an argument name the option of that name."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(names):
            raise InputError(f"--{error}") from error
        raise


# ------------------------------------------------------------------ fit


def fit(
    data: str,
    output: str,
    through: Through,
    settings: dict[str, Any],
    columns: dict[str | int, str],
    given: Given,
) -> None:
    """Fit, save, and say how rows are drawn."""
    kind, prior, loud = through.made(), through.prior, bool(settings["verbose"])
    columns = given.left_out(columns)
    if isinstance(kind, Autoencoder):
        source = matching(kind, data, columns, given.options)
        if prior == "auto" and lacks_prior(kind):
            prior = usual_prior(kind.composition_, kind.code_size_)
    else:
        source = opened(data, columns, lists=loud)
        check_cells(kind, source, through, settings, given)
    if loud and kind is None:
        say_read_as(data, source)
        if isinstance(source.form, TableForm):
            say_table(source.form, all_of(data, columns), source)
            print(flush=True)
    replaced = Path(output).exists()
    generator = Generator(kind, prior=prior, columns=columns or None, **settings)
    with by_option("given", "prior"):
        generator.fit(source, given=given.values(source))
    generator.save(output)
    if loud:
        if generator.way_ == "codes" and generator.form_.words is None:
            say_errors(generator.autoencoder_)
        line("draws", drawn_in_words(generator))
        line("written", f"{output} ({size_of(output, replaced)})")
        say_next(*what_next(generator, data, output))


def check_cells(kind: Any, source: Source, through: Through, settings: dict[str, Any], given: Given) -> None:
    """Refuse what has no meaning for a table that is drawn cell by cell."""
    if kind is not None or not cell_by_cell(source):
        return
    through_codes = "or draw it through codes, with a --method such as undercomplete"
    if given.names:
        raise InputError(
            "--given: this table is drawn cell by cell, so that what rows are given can be a column as all others: "
            f"leave out --given, and draw by it with isthmus generate sample --known NAME=VALUE; {through_codes}"
        )
    for option, asked in (("--prior", through.prior != "auto"), ("--code-size", settings["code_size"] is not None)):
        if asked:
            raise InputError(
                f"{option}: this table is drawn cell by cell, without codes; leave it out, {through_codes}"
            )


def what_next(generator: Generator, data: str, output: str) -> list[list[str]]:
    """Commands that draw."""
    form, conditions = generator.form_, conditions_of(generator)
    told_of = [] if conditions is None else example_of(conditions)
    if pictures_of(form):
        files = image_files(Path(data))[:2] if Path(data).is_dir() else []
        first, last = map(str, files) if len(files) == 2 else ("a.png", "b.png")
        commands = [["sample", output, "-n", "100", "-o", "samples/"], ["vary", output, first, "-o", "varied/"]]
        commands.append(["walk", output, first, last, "-o", "walk/"])
    else:
        ending = Path(data).suffix.lower()
        ending = ending if ending in WRITTEN and len(form.layout.shape) == 1 else ".npy"
        commands = [["sample", output, "-n", "100", "-o", f"samples{ending}"]]
        commands.append(["vary", output, f"rows{ending}", "-o", f"varied{ending}"])
    if conditions is not None:
        commands = commands[:1]  # the others need what their examples are given
    return [["generate", *words, *told_of] for words in commands]


# ------------------------------------------------------------------ what draws


def drawer_at(path: str, output: str, given: Sequence[str]) -> Generator | Autoencoder:
    """The generator, or plain autoencoder with a prior, of a file; an error where it cannot draw what is asked for."""
    model = load(path)
    if not isinstance(model, (Generator, Autoencoder)):
        name = type(model).__name__
        raise InputError(f"{path!r} holds {with_article(name)}, which has {OWN[name]}")
    if isinstance(model, Autoencoder) and lacks_prior(model):
        raise InputError(
            f"{path!r} holds an autoencoder without a prior, which would say which codes are frequent. Make a "
            f"generator of it: {making(path)}"
        )
    if model.form_.words is not None:
        raise InputError(f"{path!r}: this model draws texts, which commands cannot; in Python, isthmus.load('MODEL')")
    if given and isinstance(model, Generator) and model.way_ == "cells":
        raise InputError("--given: this table is drawn cell by cell; sample draws rows around --known NAME=VALUE")
    check_form(output, model.form_)
    return model


def making(path: str) -> str:
    """The command that makes a generator of an autoencoder."""
    return shlex.join(["isthmus", "generate", "fit", "DATA", "-o", "generator.safetensors", "--autoencoder", path])


def walker_at(path: str, output: str, given: Sequence[str]) -> Generator:
    """The generator of a file; of a plain autoencoder one that has learnt where codes lie from its own samples."""
    model = drawer_at(path, output, given)
    if isinstance(model, Generator):
        return model
    if model.conditions_ is not None:
        raise InputError(
            f"{path!r} holds an autoencoder, and where its codes lie depends on what rows are given, as those of the "
            f"fit were. Make a generator of it: {making(path)} --given COLUMN|FILE"
        )
    return Generator(model, random_state=0).fit(model.sample(ENOUGH, random_state=0))


def conditions_of(model: Generator | Autoencoder) -> Conditions | None:
    """What rows are given, if they are."""
    inner = model.autoencoder_ if isinstance(model, Generator) else model
    return inner.conditions_


# ------------------------------------------------------------------ draw


def sample(
    model_path: str,
    output: str,
    number: int,
    given: Sequence[str],
    known: Sequence[str],
    seed: int | None,
    quiet: bool,
) -> None:
    """Rows from scratch."""
    model = drawer_at(model_path, output, given)
    beside = told(conditions_of(model), given, number)
    asked: dict[str, Any] = {"given": beside, "random_state": seed}
    if known:
        if not isinstance(model, Generator) or model.way_ != "cells":
            raise InputError(
                "--known: this model draws rows through codes, not cell by cell around known ones; what was given in "
                "its fit may be said by --given"
            )
        asked["known"] = known_values(model.form_, known)
    width = len(str(number))
    names = [f"sample-{place:0{width}d}" for place in range(1, number + 1)]
    order = Order(output, names, (model_path,), math.ceil(math.sqrt(number)), quiet)
    with by_option("given", "known"):
        deliver(order, model.form_, lambda: model.sample(number, **asked), "from scratch")


def vary(
    model_path: str,
    data: str,
    output: str,
    wishes: tuple[float, int, int | None],
    columns: dict[str | int, str],
    given: Sequence[str],
    quiet: bool,
) -> None:
    """Rows like those of ``data``."""
    spread, number, seed = wishes
    generator = walker_at(model_path, output, given)
    form = generator.form_
    files = [text for text in given if Path(text).is_file() or column_of(data, text)[0] is not None]
    beside = Given(data, tuple(files))
    source, stems = examples(generator, data, beside.left_out(columns), beside.options)
    told_of = beside.values(source) if files else told(conditions_of(generator), given, source.rows)
    width, many = len(str(number)), source.rows > 1
    names = [f"{stem}-{place:0{width}d}" for stem in stems for place in range(1, number + 1)]
    order = Order(output, names, (model_path, data), number + 1 if many or number < WIDEST else WIDEST, quiet)

    def beside_original(made: np.ndarray) -> np.ndarray:
        own = source.read(0, source.rows).astype(made.dtype)[:, None]
        lines = np.concatenate((own, made.reshape(source.rows, number, *made.shape[1:])), axis=1)
        return lines.reshape(-1, *made.shape[1:])

    said = f"like {f'{source.rows:,} examples' if many else repr(data)}, spread {spread:g}"
    with by_option("given"):
        drawing = {"given": told_of, "random_state": seed}
        deliver(order, form, lambda: generator.vary(source, number, spread, **drawing), said, beside_original)


def walk(
    model_path: str, start: str, end: str, output: str, steps: int, path: str, given: Sequence[str], quiet: bool
) -> None:
    """Rows between two."""
    generator = walker_at(model_path, output, given)
    if generator.way_ == "cells":
        raise InputError(
            f"{model_path!r} draws its table cell by cell, without codes to walk among: fit one that draws through "
            "codes, isthmus generate fit DATA -o generator.safetensors --method undercomplete; vary does without"
        )
    beside = told(conditions_of(generator), given, 1)
    first, last = (examples(generator, data, {}, {})[0] for data in (start, end))
    for data, source in zip((start, end), (first, last), strict=True):
        if source.rows != 1:
            raise InputError(f"{data!r} must hold one row to walk from or to; it holds {source.rows:,}")
    width = len(str(steps))
    names = [f"step-{place:0{width}d}" for place in range(1, steps + 1)]
    order = Order(output, names, (model_path, start, end), min(steps + 2, WIDEST), quiet)

    def between_originals(made: np.ndarray) -> np.ndarray:
        return np.concatenate([part.astype(made.dtype) for part in (first.read(0, 1), made, last.read(0, 1))])

    with by_option("given"):
        deliver(
            order,
            generator.form_,
            lambda: generator.interpolate(first, last, steps, path, given=beside),
            f"from {start!r} to {end!r}, path {path}",
            between_originals,
        )
