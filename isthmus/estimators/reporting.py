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
from isthmus.data.sources import spread_rows
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.networks.dense import Dense
from isthmus.recipes import RECIPES, Kind
from isthmus.records import Layout
from isthmus.report import figures, page
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
    most = max(50, min(ROWS, 20_000_000 // model.n_features_in_))
    spread = spread_rows(source.rows, most)
    rows = np.union1d(spread, np.argsort(scores, kind="stable")[: figures.ODDEST])
    raw, scaling = source.take(rows), model._scaling_of(source)
    with torch.no_grad():
        codes, rebuilt = [], []
        for start in range(0, len(rows), 1024):
            batch = model._batch(source, rows[start : start + 1024], conditions)
            point = model.composition_.represent(batch)
            codes.append(point.cpu().numpy())
            rebuilt.append(scaling.inverse(model.composition_.rebuild(point, model.composition_.context(batch)).cpu()))
    index = rows if source.index is None else np.asarray(source.index)[rows]
    history = dict(model.history_)
    shared = float(np.ptp(model.scaling_.unit)) == 0
    data = figures.collect(
        title=f"{name_of(model)} autoencoder",
        kind=kind_in_words(model),
        data=data_in_words(source.rows, model.form_.layout),
        layout=model.form_.layout,
        originals=raw,
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
        unit=model.scaling_.scale,
        unit_label=unit_in_words(model),
        scaled_label="standard deviations",
        details=details(model),
        samples=drawn_images(model, conditions),
    )
    page.write(path, data)
    return Path(path)


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
        return ", ".join([f"{name_of(model)}: {model.code_size_:,} numbers by {network!r}", *paid])
    resolved = network.resolve(model.n_features_in_, model.code_size_)
    hidden = [str(width) for width in resolved.hidden]
    sizes = [str(model.n_features_in_), *hidden, str(model.code_size_), *hidden[::-1], str(model.n_features_in_)]
    more = [*([network.activation] if hidden else []), *paid]
    more += ["with a linear path beside the layers"] if network.linear_path else []
    return ", ".join([f"{name_of(model)}: {'-'.join(sizes)}", *more])


def data_in_words(rows: int, layout: Layout) -> str:
    """
    >>> data_in_words(3, Layout((5, 2), ("step", "channel"))), data_in_words(1000, Layout((1,), ("column",)))
    ('3 sequences of 5 steps, 2 channels', '1,000 rows of 1 column')
    """
    grid = layout.grid
    if layout.axes[0] == "column":
        return f"{rows:,} rows of {counted(grid[0], 'column')}"
    if layout.axes[0] == "height":
        return f"{rows:,} images of {' x '.join(map(str, grid))} pixels"
    if layout.axes[0] == "frame":
        return f"{rows:,} clips of {counted(grid[0], 'frame')} of {' x '.join(map(str, grid[1:]))} pixels"
    channels = f", {counted(layout.channels, 'channel')}" if layout.axes[-1] == "channel" else ""
    return f"{rows:,} sequences of {counted(grid[0], 'step')}{channels}"


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
