"""What the commands of `cli.py` do: data in, a file or a few plain lines out."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import Any

from isthmus import storage
from isthmus.assignments import listed_numbers
from isthmus.checks import counted
from isthmus.commands_data import Given, autoencoder_at, labels_for, labels_of, matching
from isthmus.commands_info import KINDS, all_of, say_errors
from isthmus.commands_lines import column_options, line, say_next, say_written, size_of
from isthmus.commands_tables import UNTYPED, opened, say_read_as, say_table, whole_rounded
from isthmus.data import Source, write_table
from isthmus.data.table_form import TableForm
from isthmus.errors import FileFormatError, InputError, IsthmusWarning
from isthmus.estimators import comparison
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.recipes import RECIPES

SECOND = "*/last.safetensors"
"""Where a fit that began once more from PCA keeps its state, below the folder of the first."""

NAMED = (
    "methods", "code_sizes", "epochs", "batch_size", "learning_rate", "validation_fraction", "max_time", "search_time",
    "search_trials",
)  # fmt: skip
"""Arguments of `compare` whose options have their names."""


def fit(
    data: str,
    output: str,
    settings: dict[str, Any],
    columns: dict[str | int, str],
    *,
    labels: str | None,
    given: Given,
    report: str | None,
    resume: bool,
    words: list[str],
) -> None:
    """Fit, save, report, and say how it went; ``words`` is the command line, for the hint how to go on."""
    asked = columns
    values, columns = labels_of(data, labels, given.left_out(columns))
    source = opened(data, columns, lists=bool(settings["verbose"]))
    y, beside = labels_for(source, labels, values), given.values(source)
    if not resume:
        warn_of_unfinished(settings["checkpoint"])
    if settings["verbose"]:
        say_read_as(data, source)
        if isinstance(source.form, TableForm):
            say_table(source.form, all_of(data, asked), source)
            print(flush=True)
    written = {path: Path(path).exists() for path in (output, report) if path is not None}
    model = Autoencoder(columns=columns or None, **settings)
    try:
        model.fit(source, y, given=beside, resume=resume)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(how_to_go_on(settings["checkpoint"], words)) from interrupt
    model.save(output)
    if report is not None:
        model.report(report, source, y, given=beside)
    if settings["verbose"]:
        say_fitted(model, source, beside, written)
        labelled = ["--labels", labels] if labels else []
        scaled = ["--scale", settings["scale"]] if settings["scale"] != "auto" else []
        left_out = labelled if values is not None else []
        say_next(
            # The model itself remembers which columns were left out; `compare` begins anew.
            ["encode", output, data, "-o", "codes.csv", *given.words],
            ["info", output] if report else ["report", output, data, "-o", "report.html", *given.words, *labelled],
            ["compare", data, *scaled, *column_options(asked), *left_out],
        )


def warn_of_unfinished(checkpoint: str | None) -> None:
    """Tell of an interrupted fit that is about to be lost."""
    found = [] if checkpoint is None else [Path(checkpoint) / "last.safetensors", *Path(checkpoint).glob(SECOND)]
    for path in found:
        try:
            unfinished = path.exists() and storage.metadata(path)["spec"].get("stopped") == ""
        except FileFormatError:
            continue  # nobody could go on from it
        if unfinished:
            warnings.warn(
                f"{checkpoint} holds an unfinished fit; it is started afresh (use --resume to go on)",
                IsthmusWarning,
                stacklevel=2,
            )


def how_to_go_on(checkpoint: str | None, words: list[str]) -> str:
    """What to tell someone who interrupted a fit."""
    if checkpoint is None:
        return "Nothing was written. With --checkpoint FOLDER a fit can go on where it was interrupted."
    if not any(Path(checkpoint).rglob("last.safetensors")):
        return "No checkpoint had been written yet: see --checkpoint-every."
    again = [*words, *([] if "--resume" in words else ["--resume"])]
    return f"Go on from the last checkpoint with: {shlex.join(['isthmus', *again])}"


def say_fitted(model: Autoencoder, source: Source, given: Any, written: dict[str, bool]) -> None:
    say_errors(model)
    diagnosis = model.diagnose(source, given=given)
    for verdict in diagnosis.verdicts:
        if (verdict.name == "PCA" and not isinstance(model.form_, TableForm)) or verdict.level == "bad":
            advice = f" Try: {verdict.advice}" if verdict.advice else ""
            line("verdict", verdict.sentence + advice)
    line("written", ", ".join(f"{path} ({size_of(path, replaced)})" for path, replaced in written.items()))


def encode(model_path: str, data: str, output: str, columns: dict[str | int, str], given: Given) -> None:
    """The codes of all rows as a file."""
    model = autoencoder_at(model_path)
    source = matching(model, data, given.left_out(columns), given.options)
    replaced = Path(output).exists()
    codes: Any = model.transform(source, given=given.values(source))
    names = [f"code_{unit}" for unit in range(model.code_size_)]
    if source.container == "pandas" and not output.lower().endswith(".npy"):
        import pandas as pd

        codes = pd.DataFrame(codes, columns=names, index=source.index)
    write_table(output, codes, names)
    say_written(output, replaced, source.rows, counted(model.code_size_, "number"))


def reconstruct(model_path: str, data: str, output: str, columns: dict[str | int, str], given: Given) -> None:
    """All rows as the model rebuilds them, as a file."""
    model = autoencoder_at(model_path)
    layout = model.form_.layout
    if len(layout.shape) > 1 and not output.lower().endswith(".npy"):
        raise InputError(f"-o: {KINDS[layout.axes[0]]} are written as .npy, since they fit no table; got {output!r}")
    source = matching(model, data, given.left_out(columns), given.options)
    replaced = Path(output).exists()
    made = model.reconstruct(source, given=given.values(source))
    if output.lower().endswith(UNTYPED) and isinstance(source.form, TableForm) and source.container == "pandas":
        made = whole_rounded(made, source.form)
    write_table(output, made, model.form_.names)
    shape = source.layout.shape
    each = " x ".join(map(str, shape)) if len(shape) > 1 else counted(shape[0], source.layout.axes[0])
    say_written(output, replaced, source.rows, each)


def report(
    model_path: str, data: str, output: str, columns: dict[str | int, str], labels: str | None, given: Given
) -> None:
    """The report of a model about rows."""
    model = autoencoder_at(model_path)
    values, columns = labels_of(data, labels, given.left_out(columns))
    options = given.options | ({} if labels is None else {labels: f"--labels {shlex.quote(labels)}"})
    source = matching(model, data, columns, options)
    y = labels_for(source, labels, values)
    replaced = Path(output).exists()
    model.report(output, source, y, given=given.values(source))
    print(f"{output}: open it in a browser; it needs no network ({size_of(output, replaced)})")


def export(model_path: str, output: str, part: str) -> None:
    """A part of a model as ONNX."""
    replaced = Path(output).exists()
    autoencoder_at(model_path).export_onnx(output, part)
    print(f"{output}: the {part} with its scaling, compared with PyTorch ({size_of(output, replaced)})")


def compare(
    data: str,
    methods: str,
    code_sizes: str | None,
    settings: dict[str, Any],
    columns: dict[str | int, str],
    labels: str | None,
) -> None:
    """The table of `isthmus.compare`."""
    names = [name.strip() for name in methods.split(",") if name.strip()]
    kinds = [name.replace("-", "_") for name in names]
    try:
        comparison.check_names(kinds)
    except InputError as error:
        raise InputError(f"{by_option(str(error))} See: isthmus methods") from error
    sizes = None if code_sizes is None else listed_numbers("--code-sizes", code_sizes)
    values, columns = labels_of(data, labels, columns)
    source = opened(data, columns, lists=False)
    y = labels_for(source, labels, values)
    try:
        print(comparison.compare(source, kinds, sizes, y, **settings))
    except InputError as error:
        raise InputError(by_option(str(error))) from error


def by_option(sentence: str) -> str:
    """An error about an argument of `compare`, beginning with the option.

    >>> by_option("y must label rows"), by_option("code_sizes must hold"), by_option("X holds")
    ('--labels: it must label rows', '--code-sizes must hold', 'X holds')
    """
    if sentence.startswith("y "):
        return f"--labels: it {sentence.removeprefix('y ')}"
    for name in NAMED:
        if sentence.startswith((f"{name} ", f"{name}:")):
            return f"--{name.replace('_', '-')}{sentence.removeprefix(name)}"
    return sentence


def methods() -> None:
    """Every kind: its name, what it is, its knobs and its paper."""
    for name, recipe in RECIPES.items():
        line(name, recipe.summary)
        if recipe.knobs:
            line("", "knobs: " + ", ".join(f"{knob}={default!r}" for knob, default in recipe.knobs.items()))
        line("", str(recipe.paper))
        print()
    print("Use one: isthmus fit DATA -o model.safetensors --method sparse --set weight=0.5")
