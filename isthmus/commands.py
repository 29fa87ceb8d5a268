"""What the commands of `cli.py` do: data in, a file or a few plain lines out."""

from __future__ import annotations

import shlex
import shutil
import textwrap
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import storage, verdicts
from isthmus.assignments import kind_of, listed_numbers
from isthmus.checks import counted, did_you_mean, listed
from isthmus.data import Scaling, Source, digest, open_source, read_idx, split, write_table
from isthmus.data.decisions import MODES
from isthmus.data.delimited import read_csv
from isthmus.errors import FileFormatError, InputError, IsthmusWarning
from isthmus.estimators import comparison
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.denoiser import Denoiser, tiles_with
from isthmus.estimators.files import load
from isthmus.estimators.reporting import network_in_words as other_network
from isthmus.estimators.reporting import row_in_words
from isthmus.estimators.settings import plan_for
from isthmus.parts.networks.dense import Dense
from isthmus.recipes import RECIPES, Kind, Parts

INDENT = 16
"""Where the text of a line begins that has a name."""

NAME = 21
"""Characters of a column's name that `info` shows."""

SECOND = "*/last.safetensors"
"""Where a fit that began once more from PCA keeps its state, below the folder of the first."""

KINDS = {"height": "images", "step": "sequences", "frame": "clips"}
"""What rows are called that are no rows of a table, by their first axis."""

SHOWN = 20
"""Columns that `info` lists unless all are asked for."""


def autoencoder_at(path: str) -> Autoencoder:
    """The model of a file that is no task's."""
    model = load(path)
    if not isinstance(model, Autoencoder):
        raise InputError(f"{path!r} holds a {type(model).__name__}, which has its own command: isthmus denoise apply")
    return model


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
    source = open_source(data, argument=data, columns=columns)
    y, beside = labels_for(source, labels, values), given.values(source)
    if not resume:
        warn_of_unfinished(settings["checkpoint"])
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
        if verdict.name == "PCA" or verdict.level == "bad":
            advice = f" Try: {verdict.advice}" if verdict.advice else ""
            line("verdict", verdict.sentence + advice)
    line("written", ", ".join(f"{path} ({size_of(path, replaced)})" for path, replaced in written.items()))


def say_errors(model: Autoencoder) -> None:
    """The error on held-out rows, and PCA's."""
    record = model.record_
    if record is None:
        line("error", "unknown: the model was made by partial_fit, which holds out no rows")
        return
    factor, unit = comparison.error_unit(model.scaling_)
    name = "held-out error" if record.has_held_out else "training error"
    line(name, f"{factor * record.error**0.5:.4g} root mean squared per cell, {unit}")
    components = counted(min(record.code_size, len(record.pca_errors) - 1), "component")
    line("PCA's", f"{factor * record.pca_error**0.5:.4g} with {components}, on the same {record.judged_on}")


def encode(model_path: str, data: str, output: str, columns: dict[str | int, str], given: Given) -> None:
    """The codes of all rows as a file."""
    model = autoencoder_at(model_path)
    source, replaced = matching(model, data, given.left_out(columns)), Path(output).exists()
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
    source, replaced = matching(model, data, given.left_out(columns)), Path(output).exists()
    write_table(output, model.reconstruct(source, given=given.values(source)), model.form_.names)
    shape = source.layout.shape
    each = " x ".join(map(str, shape)) if len(shape) > 1 else counted(shape[0], source.layout.axes[0])
    say_written(output, replaced, source.rows, each)


def report(
    model_path: str, data: str, output: str, columns: dict[str | int, str], labels: str | None, given: Given
) -> None:
    """The report of a model about rows."""
    model = autoencoder_at(model_path)
    values, columns = labels_of(data, labels, given.left_out(columns))
    source = matching(model, data, columns)
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
    kinds = [kind_of(name, [], "auto", "--methods")["method"] for name in names]
    sizes = None if code_sizes is None else listed_numbers("--code-sizes", code_sizes)
    _, columns = labels_of(data, labels, columns)
    source = open_source(data, argument=data, columns=columns)
    print(comparison.compare(source, kinds, sizes, **settings))


def methods() -> None:
    """Every kind: its name, what it is, its knobs and its paper."""
    for name, recipe in RECIPES.items():
        line(name, recipe.summary)
        if recipe.knobs:
            line("", "knobs: " + ", ".join(f"{knob}={default!r}" for knob, default in recipe.knobs.items()))
        line("", str(recipe.paper))
        print()
    print("Use one: isthmus fit DATA -o model.safetensors --method sparse --set weight=0.5")


# ---------------------------------------------------------------------- info


def info(path: str, columns: dict[str | int, str], every: bool) -> None:
    """What a model is; or what would be decided about data."""
    if Path(path).suffix.lower() == ".safetensors":
        info_of_model(path, every)
    else:
        info_of_data(path, columns, every)


def info_of_model(path: str, every: bool) -> None:
    about = storage.metadata(path)
    model = load(path)
    if isinstance(model, Denoiser):
        tiled = model.grid_ is None or tiles_with(model.autoencoder_.parts_.network)
        line("denoiser", f"of {'-'.join(model.axes_)} data, noise {model.noise!r}, level {model.level!r}")
        line("takes", "any size" if tiled else f"the size {' x '.join(map(str, model.grid_ or ()))}")
        model = model.autoencoder_
    line("kind", kind_in_words(model.method))
    replaced = [name for name in ("bottleneck", "loss", "corruption", "penalties") if getattr(model, name) is not None]
    if replaced:
        line("its own parts", ", ".join(f"{name}={getattr(model, name)!r}" for name in replaced))
    features = model.form_.layout.features
    line("network", network_in_words(model.parts_, features, model.code_size_))
    weights = sum(weight.numel() for weight in model.composition_.parameters())
    line("sizes", f"{counted(model.code_size_, 'number')} per row for {features:,}; {weights:,} parameters")
    if model.classes_ is not None:
        line("classes", f"{listed(model.classes_.tolist())}; the first {len(model.classes_)} numbers of a code are how "
             "probable they are")  # fmt: skip
    if model.prior_part_ is not None:
        line("prior", f"{model.prior_part_!r}, fitted to the codes afterwards")
    record = model.record_
    if record is not None:
        line("rows", f"{record.train_rows:,} trained on, {record.held_out_rows:,} held out")
        line("training", record.stopped)
    if model.form_.words is None:  # squared differences of tokens' numbers mean nothing
        say_errors(model)
    if record is not None and model.form_.words is None:
        line("verdict", verdicts.pca_verdict(record).sentence)
    say_columns(model.form_, model.scaling_, every)
    line("written by", ", ".join(f"{name} {version}" for name, version in about["versions"].items()))
    line("data digest", str(getattr(model, "data_digest_", None) or "unknown"))
    line("file digest", about["sha256_tensors"])
    line("file", f"{path} ({size_in_words(about['bytes'])}, format {about['format_version']})")


def info_of_data(path: str, columns: dict[str | int, str], every: bool) -> None:
    source = open_source(path, argument=path, columns=columns)
    train, held_out = split(source.rows, 0.1, 0)
    line("data", f"{path}: {counted(source.rows, 'row')}, {source.dtype}")
    scaling = Scaling.fit(source, train)
    say_columns(source.form, scaling, every)
    parts = Kind().parts()
    plan = plan_for(Autoencoder().get_params(deep=False), len(train), len(held_out), 0, parts)
    features = source.layout.features
    size = parts.code_size(features)
    line("code", f"{counted(size, 'number')} per row for {features:,}, unless --code-size says otherwise")
    line("network", network_in_words(parts, features, size))
    line("training", f"{len(train):,} rows, {len(held_out):,} held out; batches of {plan.batch_size}, at most "
         f"{plan.epochs} epochs")  # fmt: skip
    line("data digest", digest(source))
    say_next(["fit", path, "-o", "model.safetensors", "--report", "report.html", *column_options(columns)])


def kind_in_words(method: Any) -> str:
    if isinstance(method, Parts):
        return "parts joined by hand"
    kind = method if isinstance(method, Kind) else Kind(str(method))
    knobs = ", ".join(f"{knob}={value!r}" for knob, value in kind.get_params().items() if knob != "name")
    return f"{kind.name}{f' with {knobs}' if knobs else ''}. {RECIPES[kind.name].summary}"


def network_in_words(parts: Any, features: int, code_size: int) -> str:
    if not isinstance(parts, Parts):
        return "modules of your own"
    network = parts.network.resolve(features, code_size)
    if not isinstance(network, Dense):
        return other_network(network)
    sizes = "-".join(map(str, (features, *network.hidden, code_size)))
    extra = [f"activation {network.activation}"] if network.hidden else []
    extra += [f"{network.norm} normalisation"] if network.norm else []
    extra += [f"dropout {network.dropout:g}"] if network.dropout else []
    extra += ["tied weights"] if network.tied else []
    extra += ["and a linear path beside it that began at PCA"] if network.linear_path else []
    return ", ".join([f"dense {sizes} and its mirror image", *extra])


def say_columns(form: Any, scaling: Scaling, every: bool) -> None:
    """What each column is and how it is scaled and why; pixels are all alike."""
    for number, sentence in enumerate(scaling.describe(form.names)):
        line("scaling" if number == 0 else "", sentence.removeprefix("scaling "))
    shape = form.layout.shape
    if form.words is not None:
        line("rows are", row_in_words(form.layout, texts=True, most=True))
        line("vocabulary", f"{counted(len(form.words), form.level)}, the first of which stands for all others")
        return
    if form.layout.sequence:
        line("rows are", f"{row_in_words(form.layout, most=True)}, {form.dtypes[0]}")
        return
    if len(shape) > 1:
        line("rows are", f"{KINDS[form.layout.axes[0]]} of {' x '.join(map(str, shape))}, {form.dtypes[0]}")
        return
    names = form.names or [str(i) for i in range(len(scaling.centre))]
    dtypes = form.dtypes if len(form.dtypes) > 1 else form.dtypes * len(names)
    shown = len(names) if every else min(len(names), SHOWN)
    cells = [("column", "type", "lowest", "highest", "centre", "scale", "scaling")]
    for i in range(shown):
        figures = (f"{values[i]:.4g}" for values in (scaling.low, scaling.high, scaling.centre, scaling.scale))
        mode = MODES[scaling.modes[i]] + (", constant" if scaling.constant[i] else "")
        cells.append((short(str(names[i])), dtypes[i], *figures, mode))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        left = [text.ljust(width) for text, width in zip(row[:2], widths[:2], strict=True)]
        right = [text.rjust(width) for text, width in zip(row[2:6], widths[2:6], strict=True)]
        print("  " + "  ".join([*left, *right, row[6]]))
    if shown < len(names):
        print(f"  and {len(names) - shown:,} more: --all shows them")


# ---------------------------------------------------------------------- data and labels


def matching(model: Autoencoder, data: str, columns: dict[str | int, str]) -> Source:
    """The data as the model expects it; ``columns`` may leave out columns that came since."""
    if model.form_.words is not None:
        raise InputError(
            f"{data!r}: this model reads texts, which commands cannot; in Python, give isthmus.load('MODEL') a list of "
            "strings"
        )
    return open_source(data, argument=data, columns={**(model.columns or {}), **columns}, form=model.form_)


def labels_of(
    data: str, labels: str | None, columns: dict[str | int, str], option: str = "--labels"
) -> tuple[np.ndarray | None, dict[str | int, str]]:
    """The labels that are a column of the data, and ``columns`` with that column left out."""
    if labels is None:
        return None, columns
    values, names = column_of(data, labels)
    if values is not None:
        return values, {**columns, labels: "ignore"}
    if not Path(labels).is_file():
        hint = did_you_mean(labels, names) if names else ""
        raise InputError(f"{option}: {labels!r} is neither a column of {data!r} nor a file.{hint}")
    return None, columns


def labels_for(
    source: Source, labels: str | None, values: np.ndarray | None, option: str = "--labels"
) -> np.ndarray | None:
    """One label per row: those of a column, or those in a file."""
    if labels is None:
        return None
    y = labels_in(Path(labels), source.rows, option) if values is None else values
    if y.shape != (source.rows,):
        got = f"{len(y):,}" if y.ndim == 1 else f"an array of shape {y.shape}"
        raise InputError(f"{option}: {labels!r} must hold one value per row, {source.rows:,}; it holds {got}")
    return y


@dataclass(frozen=True)
class Given:
    """What ``--given`` names: columns of the data, which are then left out of it, or files."""

    data: str
    names: tuple[str, ...]

    @cached_property
    def found(self) -> dict[str, tuple[np.ndarray | None, dict[str | int, str]]]:
        """What `labels_of` says of each name; read once, since the data may be large."""
        return {name: labels_of(self.data, name, {}, "--given") for name in self.names}

    def left_out(self, columns: dict[str | int, str]) -> dict[str | int, str]:
        """``columns`` with those of the data left out that are given."""
        for _, ignored in self.found.values():
            columns = {**columns, **ignored}
        return columns

    def values(self, source: Source) -> Any:
        """One value per row, or a frame of them where several are named; None where none is."""
        found = {name: labels_for(source, name, values, "--given") for name, (values, _) in self.found.items()}
        if len(found) < 2:
            return next(iter(found.values()), None)
        import pandas as pd

        return pd.DataFrame(found)

    @property
    def words(self) -> list[str]:
        """The options again, for a command to copy."""
        return [word for name in self.names for word in ("--given", name)]


def separator_of(path: str) -> str | None:
    """A text table's separator if its name tells it; None = a comma, or what the first line shows."""
    return "\t" if path.lower().removesuffix(".gz").endswith(".tsv") else None


def is_text_table(path: str) -> bool:
    return path.lower().removesuffix(".gz").endswith((".csv", ".tsv"))


def column_of(data: str, name: str) -> tuple[np.ndarray | None, list[str]]:
    """A table's column, whatever it holds (None if there is none of that name), and the names there are."""
    if is_text_table(data) and Path(data).is_file():
        frame, named = read_csv(Path(data), separator_of(data))
        names = [str(column) for column in frame.columns] if named else []
        return (frame[name].to_numpy() if name in names else None), names
    if data.lower().endswith(".parquet") and Path(data).is_file():
        import pyarrow
        import pyarrow.parquet

        try:
            names = list(pyarrow.parquet.read_schema(data).names)
            table = pyarrow.parquet.read_table(data, columns=[name]) if name in names else None
        except pyarrow.ArrowException as error:
            raise InputError(f"{data!r} cannot be read as Parquet: {error}. Is it cut off or damaged?") from error
        return (None if table is None else table.column(name).to_pandas().to_numpy()), names
    return None, []


def labels_in(path: Path, rows: int, option: str) -> np.ndarray:
    """The labels in a file: one column of text or numbers, with or without a name, a .npy array, or an idx file."""
    name = path.name.lower()
    if name.endswith(".npy"):
        try:
            return np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InputError(f"{option}: {str(path)!r} is not a whole .npy file of labels: {error}") from error
    if "ubyte" in name or name.endswith((".idx", ".idx.gz")):
        return read_idx(path)
    if is_text_table(name) or name.endswith(".txt"):
        frame, named = read_csv(path, separator_of(name))
        if frame.shape[1] != 1:
            raise InputError(f"{option}: {str(path)!r} must hold one column; it holds {frame.shape[1]}")
        values = frame.iloc[:, 0].to_numpy()
        # Labels that are words begin like a file whose column has a name: their number tells the two apart.
        first = [frame.columns[0]] if named and len(values) == rows - 1 else []
        return np.array([*first, *values], dtype=object) if first else values
    raise InputError(f"{option}: {str(path)!r} must be a .csv, .tsv, .txt, .npy or idx file with one label per row")


# ---------------------------------------------------------------------- lines on the terminal


def line(name: str, text: str) -> None:
    """One named fact, wrapped to the width of the terminal."""
    width = max(40, min(shutil.get_terminal_size().columns, 100))
    lines = textwrap.wrap(text, width - INDENT, break_long_words=False, break_on_hyphens=False) or [""]
    if len(name) < INDENT:
        print(name.ljust(INDENT) + lines.pop(0))
    else:
        print(name)
    for rest in lines:
        print(" " * INDENT + rest)


def short(name: str) -> str:
    return name if len(name) <= NAME else f"{name[: NAME - 3]}..."


def say_next(*commands: list[str]) -> None:
    """Commands to copy, each given as its words after ``isthmus``."""
    print("\nNext:")
    for words in commands:
        print(f"  {shlex.join(['isthmus', *words])}")


def column_options(columns: dict[str | int, str]) -> list[str]:
    """``--column NAME=TYPE`` for each column, as words.

    >>> column_options({"id": "ignore"})
    ['--column', 'id=ignore']
    """
    return [word for name, wanted in columns.items() for word in ("--column", f"{name}={wanted}")]


def say_written(output: str, replaced: bool, rows: int, each: str) -> None:
    print(f"{output}: {counted(rows, 'row')} of {each} ({size_of(output, replaced)})")


def size_of(path: str, replaced: bool) -> str:
    """A written file's size, and whether it took the place of another."""
    return size_in_words(Path(path).stat().st_size) + (", replaced" if replaced else "")


def size_in_words(size: int) -> str:
    """
    >>> size_in_words(900), size_in_words(45_600), size_in_words(3_200_000)
    ('900 bytes', '46 kB', '3.2 MB')
    """
    if size < 1000:
        return counted(size, "byte")
    return f"{size / 1e3:.0f} kB" if size < 999_500 else f"{size / 1e6:.1f} MB"
