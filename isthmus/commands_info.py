"""What ``isthmus info`` says of a model, or of data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from isthmus import storage, verdicts
from isthmus.checks import counted, listed
from isthmus.commands_learnt import say_compressor, say_learner, say_packed, say_recommender, say_selector, say_tuned
from isthmus.commands_lines import column_options, line, say_next, short, size_in_words
from isthmus.commands_tables import entry_width, opened, say_read_as, say_scales, say_table, table_in_words
from isthmus.data import Form, Scaling, digest, split
from isthmus.data.decisions import MODES
from isthmus.data.table_form import TableForm
from isthmus.estimators import comparison
from isthmus.estimators.anomalies import AnomalyDetector
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.compressor import Compressor
from isthmus.estimators.denoiser import Denoiser, tiles_with
from isthmus.estimators.features import FeatureLearner
from isthmus.estimators.files import load
from isthmus.estimators.fine_tuning import TunedClassifier, TunedRegressor
from isthmus.estimators.generator import Generator
from isthmus.estimators.recommender import Recommender
from isthmus.estimators.reporting import network_in_words as other_network
from isthmus.estimators.reporting import row_in_words
from isthmus.estimators.retriever import Retriever
from isthmus.estimators.retriever_files import index_of
from isthmus.estimators.selecting import Selector
from isthmus.estimators.settings import plan_for
from isthmus.parts.networks.dense import Dense
from isthmus.parts.priors.mixture import MixtureOfNormals
from isthmus.recipes import RECIPES, Kind, Parts

KINDS = {"height": "images", "step": "sequences", "frame": "clips"}
"""What rows are called that are no rows of a table, by their first axis."""

SHOWN = 20
"""Columns of numbers that are listed unless all are asked for."""


def info(path: str, columns: dict[str | int, str], every: bool) -> None:
    """What a model is, or what was packed; or what would be decided about data."""
    if Path(path).suffix.lower() == ".safetensors":
        info_of_model(path, every)
    elif Path(path).suffix.lower() == ".isz":
        say_packed(path)
    else:
        info_of_data(path, columns, every)


def all_of(path: str, columns: dict[str | int, str] | None = None) -> str:
    """The command that lists all columns."""
    return shlex.join(["isthmus", "info", path, *column_options(columns or {}), "--all"])


def info_of_model(path: str, every: bool) -> None:
    about = storage.metadata(path)
    model = load(path)
    if isinstance(model, Denoiser):
        tiled = model.grid_ is None or tiles_with(model.autoencoder_.parts_.network)
        line("denoiser", f"of {'-'.join(model.axes_)} data, noise {model.noise!r}, level {model.level!r}")
        line("takes", "any size" if tiled else f"the size {' x '.join(map(str, model.grid_ or ()))}")
        model = model.autoencoder_
    if isinstance(model, AnomalyDetector):
        say_detector(model)
        say_file(path, about)
        return
    if isinstance(model, Retriever):
        say_retriever(model, path)
        say_file(path, about)
        return
    if isinstance(model, Compressor):
        say_compressor(model, about["bytes"])
        say_file(path, about)
        return
    if isinstance(model, Selector):
        say_selector(model)
        say_file(path, about)
        return
    if isinstance(model, (TunedClassifier, TunedRegressor)):
        say_tuned(model)
        model = model.learner_
    if isinstance(model, FeatureLearner):
        say_learner(model)
        model = model.autoencoder_
    if isinstance(model, Recommender):
        say_recommender(model)
        say_file(path, about)
        return
    if isinstance(model, Generator):
        line("generator", drawn_in_words(model))
        if model.way_ == "cells":
            say_cells(model, None if every else all_of(path))
            say_file(path, about)
            return
        model = model.autoencoder_
    line("kind", kind_in_words(model.method))
    replaced = [name for name in ("bottleneck", "loss", "corruption", "penalties") if getattr(model, name) is not None]
    if replaced:
        line("its own parts", ", ".join(f"{name}={getattr(model, name)!r}" for name in replaced))
    features = model.form_.layout.features
    line("network", network_in_words(model.parts_, entry_width(model.form_.layout), model.code_size_))
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
    if record is not None and model.form_.words is None and not isinstance(model.form_, TableForm):
        line("verdict", verdicts.pca_verdict(record).sentence)
    if isinstance(model.form_, TableForm):
        say_table(model.form_, None if every else all_of(path), option="")
    say_columns(model.form_, model.scaling_, every)
    line("data digest", str(getattr(model, "data_digest_", None) or "unknown"))
    say_file(path, about)


def say_file(path: str, about: dict[str, Any]) -> None:
    """What wrote a model's file, and how large it is."""
    line("written by", ", ".join(f"{name} {version}" for name, version in about["versions"].items()))
    line("file digest", about["sha256_tensors"])
    line("file", f"{path} ({size_in_words(about['bytes'])}, format {about['format_version']})")


def say_detector(detector: AnomalyDetector) -> None:
    """What is judged, by how many autoencoders, and how well the rate of alarms is known."""
    of = detector.form_.names or range(detector.n_features_in_)
    rows, models = len(detector.held_out_), len(detector.autoencoders_)
    line("detector", f"of anomalies, alarm rate {detector.alarm_rate:g}, told by {counted(rows, 'held-out row')}")
    what = "steps of a series" if detector.data == "series" else "rows"
    by = counted(models, "autoencoder") if models else f"a linear autoencoder of the {detector.window_} steps before"
    line("judges", f"{what} of {counted(len(of), 'column')}, by {by}")
    if models:
        inner = detector.autoencoders_[0]
        width = entry_width(inner.form_.layout)
        line("network", network_in_words(inner.parts_, width, inner.code_size_))
    if isinstance(detector.form_, TableForm):
        say_table(detector.form_, None, option="")


def say_retriever(retriever: Retriever, path: str) -> None:
    """What is found, by which codes, and what the index beside the model holds."""
    folder, store = index_of(Path(path)), retriever.store_
    texts = None if retriever.words_ is None else f"texts, by {counted(len(retriever.words_.vocabulary), 'word')}"
    line("retriever", f"of {texts or row_in_words(form_of(retriever).layout, most=True)}")
    line("codes", codes_in_words(retriever))
    some = listed(store.ids[:3].tolist(), 3)
    line("items", f"{len(retriever):,}; their ids are {store.kind}, such as {some}" if len(retriever) else "none")
    if folder.is_dir():
        line("index", f"{folder} ({index_in_words(folder)})")


def form_of(retriever: Retriever) -> Form:
    """What the rows of a fit looked like."""
    hasher = retriever.hasher_
    return hasher.autoencoder.form_ if hasher.projection is None else hasher.projection.form


def codes_in_words(retriever: Retriever) -> str:
    """How long codes are, how they were learnt, and what stands beside them."""
    beside = f"; beside them {counted(retriever.store_.floats, 'real number')} to order by" if retriever.rerank else ""
    return f"{retriever.bits_} bits, method {retriever.hasher_.method!r}{beside}"


def index_in_words(folder: Path) -> str:
    """How large the folder of an index is."""
    return size_in_words(sum(file.stat().st_size for file in folder.iterdir()))


def drawn_in_words(generator: Generator) -> str:
    """What a generator draws, and how."""
    what = row_in_words(generator.form_.layout, most=True, texts=generator.form_.words is not None)
    if generator.way_ == "cells":
        return f"{what}, cell by cell: each given those that the row has so far"
    model = generator.autoencoder_
    told = "" if model.conditions_ is None else f"; for rows with {model.conditions_.in_words()}"
    prior = "the kind's own" if model.prior_part_ is None else repr(model.prior_part_)
    if isinstance(model.prior_, MixtureOfNormals):
        prior = f"a mixture of {counted(len(model.prior_.means), 'normal distribution')}"
    return f"{what}, through codes of {counted(model.code_size_, 'number')}; their prior: {prior}{told}"


def say_cells(generator: Generator, more: str | None) -> None:
    """The columns of a table that is drawn cell by cell."""
    form, inner = generator.form_, generator.autoencoder_
    weights = sum(weight.numel() for weight in inner.composition_.parameters())
    line("learnt by", f"an autoencoder of {weights:,} parameters, which tells hidden cells from the others")
    if inner.record_ is not None:
        line("training", inner.record_.stopped)
    if isinstance(form, TableForm):
        say_table(form, more, option="")
    elif form.names is not None:
        line("columns", listed(form.names))


def info_of_data(path: str, columns: dict[str | int, str], every: bool) -> None:
    source = opened(path, columns)
    train, held_out = split(source.rows, 0.1, 0)
    line("data", f"{path}: {table_in_words(source)}")
    say_read_as(path, source, always=True)
    if isinstance(source.form, TableForm):
        say_table(source.form, None if every else all_of(path, columns), source)
    scaling = Scaling.fit(source, train)
    say_columns(source.form, scaling, every)
    parts = Kind().parts()
    plan = plan_for(Autoencoder().get_params(deep=False), len(train), len(held_out), 0, parts)
    features = source.layout.features
    size = parts.code_size(features)
    line("code", f"{counted(size, 'number')} per row for {features:,}, unless --code-size says otherwise")
    line("network", network_in_words(parts, entry_width(source.layout), size))
    line("training", f"{len(train):,} rows, {len(held_out):,} held out; batches of {plan.batch_size}, at most "
         f"{plan.epochs} epochs")  # fmt: skip
    line("data digest", digest(source))
    say_next(["fit", path, "-o", "model.safetensors", "--report", "report.html", *column_options(columns)])


def say_errors(model: Autoencoder) -> None:
    """The error on held-out rows, and PCA's."""
    record = model.record_
    if record is None:
        line("error", "unknown: the model was made by partial_fit, which holds out no rows")
        return
    if isinstance(model.form_, TableForm):
        name = "held-out error" if record.has_held_out else "training error"
        share = f"{record.error / record.mean_error:.3g}" if record.mean_error > 0 else f"{record.error:.4g}"
        line(name, f"{share} of that of the columns' usual values (the mean of numbers, the most frequent level)")
        return
    factor, unit = comparison.error_unit(model.scaling_)
    name = "held-out error" if record.has_held_out else "training error"
    line(name, f"{factor * record.error**0.5:.4g} root mean squared per cell, {unit}")
    components = counted(min(record.code_size, len(record.pca_errors) - 1), "component")
    line("PCA's", f"{factor * record.pca_error**0.5:.4g} with {components}, on the same {record.judged_on}")


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
    if isinstance(form, TableForm):
        say_scales(form, scaling, every)
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
