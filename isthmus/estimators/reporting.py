"""What an `Autoencoder` tells its report: rows in the user's units, codes, costs and settings."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from isthmus.checks import counted
from isthmus.data.sources import Source, spread_rows
from isthmus.diagnostics.points import usual_values
from isthmus.diagnostics.probe import column_means
from isthmus.errors import InputError
from isthmus.estimators.fitting import rows_at_once
from isthmus.estimators.imputing import expected, unscaled
from isthmus.estimators.latent import latent_for_page
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.networks.convolutional import Convolutional
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.recurrent import Recurrent
from isthmus.recipes import RECIPES, Kind
from isthmus.records import Layout
from isthmus.report import figures, page
from isthmus.report.columns import Cells
from isthmus.version import VERSION

if TYPE_CHECKING:
    from isthmus.estimators.autoencoder import Autoencoder

ROWS = 5_000
"""Rows that a report looks at closely; the oddest of all rows are always among them."""


def write_report(model: Autoencoder, path: str | os.PathLike[str], X: Any, y: Any = None, given: Any = None) -> Path:
    """Write the page that `Autoencoder.report` promises."""
    record = model.record_
    if record is None:
        raise InputError("report needs a model made by fit: partial_fit keeps no held-out rows to judge by")
    source = model._source(X)
    diagnosis = model.diagnose(source, y, given=given)  # which refuses labels that are not one per row
    labels = None if y is None else np.asarray(y)
    scores = model.score_samples(source, given=given)
    conditions = model._given(given, source.rows)
    layout, scaling = source.layout, model._scaling_of(source.layout)
    most = max(50, min(ROWS, 20_000_000 // layout.features))
    spread = spread_rows(source.rows, most)
    rows = np.union1d(spread, np.argsort(scores, kind="stable")[: figures.ODDEST])
    at_once = min(1024, rows_at_once(layout.features))
    with torch.no_grad():
        codes, rebuilt = [], []
        for start in range(0, len(rows), at_once):
            batch = model._batch(source, rows[start : start + at_once], conditions)
            point = model.composition_.represent(batch)
            codes.append(point.cpu().numpy())
            rebuilt.append(scaling.inverse(model.composition_.rebuild(point, model.composition_.context(batch)).cpu()))
        table = None if layout.columns is None else table_cells(model, source, rows, conditions, at_once)
    index = rows if source.index is None else np.asarray(source.index)[rows]
    history = dict(model.history_)
    vocabulary = model.form_.words
    shared = float(np.ptp(model.scaling_.unit)) == 0
    data = figures.collect(
        title=f"{name_of(model)} autoencoder",
        kind=kind_in_words(model),
        data=data_in_words(source.rows, layout, source.lengths, texts=vocabulary is not None),
        layout=layout,
        originals=source.take(rows),
        reconstructions=np.concatenate(rebuilt),
        codes=np.concatenate(codes),
        diagnosis=diagnosis,
        record=record,
        warm_epochs=model.composition_.warm_epochs,
        chosen=chosen_in_words(len(spread), source.rows),
        history={
            **history,
            "valid_rmse": np.asarray(history["valid_rmse"]) / (model.scaling_.unit[0] if shared else 1),
        },
        costs=-scores[rows],
        y=None if labels is None else labels[rows],
        names=model.form_.names,
        row_names=index,
        unit=scaling.scale,
        unit_label=unit_in_words(model),
        scaled_label="standard deviations",
        details=details(model),
        samples=drawn_images(model, conditions),
        lengths=None if source.lengths is None else source.lengths[rows],
        weight=source.weight(rows),
        vocabulary=vocabulary,
        between=" " if model.form_.level == "word" else "",
        table=table,
        latent=latent_for_page(model, source, conditions, labels),
    )
    page.write(path, data)
    return Path(path)


@torch.no_grad()
def table_cells(model: Autoencoder, source: Source, rows: np.ndarray, conditions: Any, at_once: int) -> Cells:
    """Some rows of a mixed table and what the model makes of them, cell by cell; gaps are filled as by `impute`."""
    composition, blocks = model.composition_, []
    for start in range(0, len(rows), at_once):
        batch = model._batch(source, rows[start : start + at_once], conditions)
        context = composition.context(batch)
        out = composition.decode_point(composition.represent(batch), context)
        mean, known = composition.loss.mean(out, context), torch.ones_like(batch.x)
        values = unscaled(model.scaling_, mean)
        if batch.weight is not None:
            known = batch.weight
            gaps = known.cpu().numpy() == 0
            values[gaps] = expected(model, batch)[gaps]
        errors = composition.cell_errors(mean, batch.x) * known
        nats = composition.loss.cell_costs(out, batch.visible(), known)
        blocks.append((batch.x, known, errors, nats, torch.from_numpy(values)))
    x, known, errors, nats, rebuilt = (torch.cat(parts) for parts in zip(*blocks, strict=True))
    usual = usual_values([(x, known)], source.layout.columns or ()).to(x)
    form: Any = model.form_
    return Cells(
        codings=form.codings,
        observed=np.asarray(source.take(rows), dtype=np.float64),
        rebuilt=rebuilt.numpy(),
        errors=errors.double().cpu().numpy(),
        usual=column_means(composition.cell_errors(usual.expand_as(x), x) * known, known).cpu().numpy(),
        nats=nats.double().cpu().numpy(),
        left_out=tuple(f"{one.name}: {one.reason}" for one in form.left_out),
    )


def drawn_images(model: Autoencoder, conditions: Any) -> np.ndarray | None:
    """Images of codes drawn from the prior, where there are images and a prior, and nothing has to be given."""
    if not figures.is_image(model.form_.layout) or model._prior() is None or conditions is not None:
        return None
    return np.asarray(model.sample(figures.PICTURES, random_state=0))


def name_of(model: Autoencoder) -> str:
    method = model.method
    return method if isinstance(method, str) else method.name if isinstance(method, Kind) else "your own"


def kind_in_words(model: Autoencoder) -> str:
    """E.g. ``undercomplete: 64-128-64-8-64-128-64, gelu``."""
    network = getattr(model.parts_, "network", None)
    if network is None:
        return "a composition of your own modules"
    paid = [] if model.parts_.bottleneck == Plain() else [f"code by {model.parts_.bottleneck!r}"]
    if not isinstance(network, Dense):
        words = network_in_words(network)
        return ", ".join([f"{name_of(model)}: {counted(model.code_size_, 'number')} by {words}", *paid])
    composition: Any = model.composition_
    first, last = model.n_features_in_, model.n_features_in_
    if model.form_.layout.columns is not None:  # columns become several numbers each, and outputs say odds of levels
        first, last = composition.encoder.entry.width, composition.loss.width(last)
    resolved = network.resolve(first, model.code_size_)
    hidden = [str(width) for width in resolved.hidden]
    before = [] if getattr(composition.bottleneck, "reads_rows", False) else hidden  # its code is some of the columns
    sizes = [str(first), *before, str(model.code_size_), *hidden[::-1], str(last)]
    more = [*([network.activation] if hidden else []), *paid]
    more += ["with a linear path beside the layers"] if network.linear_path else []
    columns = "" if model.form_.layout.columns is None else f"{counted(model.n_features_in_, 'column')} as "
    return ", ".join([f"{name_of(model)}: {columns}{'-'.join(sizes)}", *more])


def network_in_words(network: Any) -> str:
    """A network that is not dense, as a person says it.

    >>> network_in_words(Recurrent(hidden=32, bidirectional=True))
    'a recurrent network (lstm, 32 units, read both ways)'
    >>> network_in_words(Convolutional((16, 32), code="map"))
    'a convolutional network (16-32 channels, kernel 3, silu, its last map is the code)'
    """
    if isinstance(network, Recurrent):
        said = [network.cell, counted(network.hidden, "unit")]
        said += [f"{network.layers} layers"] if network.layers > 1 else []
        said += ["read both ways"] if network.bidirectional else []
        said += ["written backwards"] if network.reverse_output else []
        said += ["teacher forcing"] if network.teacher_forcing else []
        said += [f"{network.steps_at_once} steps at once"] if network.steps_at_once > 1 else []
        return f"a recurrent network ({', '.join(said)})"
    if isinstance(network, Convolutional):
        said = [f"{'-'.join(map(str, network.channels))} channels", f"kernel {network.kernel}", network.activation]
        said += [f"{network.norm} normalisation"] if network.norm else []
        said += [f"{counted(network.residual, 'residual block')} at each size"] if network.residual else []
        said += [f"then dense {'-'.join(map(str, network.dense))}"] if network.dense else []
        said += ["its last map is the code"] if network.code == "map" else []
        return f"a convolutional network ({', '.join(said)})"
    return repr(network)


def data_in_words(rows: int, layout: Layout, lengths: np.ndarray | None = None, *, texts: bool = False) -> str:
    """
    >>> data_in_words(3, Layout((5, 2), ("step", "channel"))), data_in_words(1000, Layout((1,), ("column",)))
    ('3 sequences of 5 steps, 2 channels', '1,000 rows of 1 column')
    >>> data_in_words(2, Layout((5,), ("step",)), np.array([3, 5]), texts=True)
    '2 texts of 3 to 5 tokens'
    """
    return f"{rows:,} {row_in_words(layout, lengths, texts=texts)}"


def row_in_words(layout: Layout, lengths: np.ndarray | None = None, *, texts: bool = False, most: bool = False) -> str:
    """What rows are, in the plural; ``most`` says that sequences may be shorter.

    >>> row_in_words(Layout((5,), ("step",)), most=True), row_in_words(Layout((8, 8), ("height", "width")))
    ('sequences of up to 5 steps', 'images of 8 x 8 pixels')
    """
    grid = layout.grid
    first = f"{lengths.min():,} to " if lengths is not None and lengths.min() < grid[0] else "up to " if most else ""
    channels = f", {counted(layout.channels, 'channel')}" if layout.axes[-1] == "channel" else ""
    if layout.axes[0] == "column":
        return f"rows of {counted(grid[0], 'column')}"
    if layout.axes[0] == "height":
        return f"images of {' x '.join(map(str, grid))} pixels"
    if layout.axes[0] == "frame":
        return f"clips of {first}{counted(grid[0], 'frame')} of {' x '.join(map(str, grid[1:]))} pixels{channels}"
    if texts:
        return f"texts of {first}{counted(grid[0], 'token')}"
    return f"sequences of {first}{counted(grid[0], 'step')}{channels}"


def chosen_in_words(sampled: int, rows: int) -> str:
    """
    >>> chosen_in_words(5000, 10000), chosen_in_words(300, 300)
    ('a sample of 5,000 of 10,000 and the oddest', '300')
    """
    return f"{rows:,}" if sampled == rows else f"a sample of {sampled:,} of {rows:,} and the oddest"


def unit_in_words(model: Autoencoder) -> str:
    if model.scaling_.mode == "standard":
        return ""
    return "grey levels" if "height" in model.form_.layout.axes else "units of the data"


def details(model: Autoencoder) -> dict[str, Any]:
    """Where the model comes from: versions, settings, scaling."""
    settings = {k: shown(v) for k, v in model.get_params(deep=False).items() if v is not None and k != "method"}
    facts = {
        "kind": kind_in_words(model),
        "paper": str(RECIPES[name_of(model)].paper) if name_of(model) in RECIPES else None,
    }
    versions = {
        "isthmus": VERSION,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    return {
        **{k: v for k, v in facts.items() if v},
        "scaling": lines(model.scaling_.describe(model.form_.names)),
        "settings": settings,
        "data digest (SHA-256)": getattr(model, "data_digest_", None) or "unknown",
        "versions": versions,
    }


def lines(texts: Iterable[str]) -> str:
    return "; ".join(list(texts)[:12])


def shown(value: Any) -> Any:
    return value if isinstance(value, (int, float, str, bool)) else repr(value)
