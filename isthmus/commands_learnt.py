"""What is said of features that were learnt, of what starts from them, of selected columns, of a recommender of a
compressor, and of what one packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import counted, listed
from isthmus.coding.container import opened
from isthmus.commands_lines import line, short, size_in_words
from isthmus.errors import FileFormatError
from isthmus.estimators.compressor import Compressor
from isthmus.estimators.compressor_arrays import ArrayForm
from isthmus.estimators.compressor_files import in_one_piece
from isthmus.estimators.compressor_pictures import PictureForm
from isthmus.estimators.compressor_reading import FIELDS, Packed
from isthmus.estimators.features import FeatureLearner
from isthmus.estimators.fine_tuning import TunedClassifier, TunedRegressor
from isthmus.estimators.recommender import Recommender
from isthmus.estimators.selecting import Selector
from isthmus.records import Layout

MOST = 5
"""Columns of an encoder that are named, and what each is worth."""

SHOWN = 20
"""Selected columns that are named on a line of their own."""

Tuned = TunedClassifier | TunedRegressor


def column_names(names: Any, layout: Layout) -> list[str]:
    """What columns are called: by their names, their numbers, or, of pictures and the like, their places.

    >>> column_names(None, Layout((2,), ("column",))), column_names(None, Layout((1, 2), ("height", "width")))
    (['0', '1'], ['(0, 0)', '(0, 1)'])
    """
    if names is not None:
        return [str(name) for name in names]
    if len(layout.shape) == 1:
        return [str(place) for place in range(layout.features)]
    return [str(tuple(place.tolist())) for place in np.argwhere(np.ones(layout.shape, dtype=bool))]


def say_learner(learner: FeatureLearner) -> None:
    """What the features are, where else they may be taken from, and what they depend on."""
    model = learner.autoencoder_
    width, features = len(learner.spread_), model.form_.layout.features
    line("features", f"{counted(width, 'number')} per row for {features:,}, layer {learner.layer!r}")
    line("layers", ", ".join(learner.layer_names()))
    worth = learner.feature_importances_
    names = column_names(model.form_.names, model.form_.layout)
    first = np.argsort(-worth, kind="stable")[:MOST]
    line("depend most on", ", ".join(f"{short(names[place])} ({worth[place]:.1%})" for place in first))


def say_tuned(model: Tuned) -> None:
    """What is told, how the model was taught, and how well it did on labels that were held out."""
    if isinstance(model, TunedRegressor):
        line("regressor", f"of {counted(len(model.centre_), 'number')}, mode {model.mode_}")
        said = "of the variance explained"
    elif model.several_:
        line("classifier", f"of {counted(len(model.classes_), 'label')}, several at once, mode {model.mode_}")
        said = "right, each label's rows with and without it counting alike"
    else:
        line("classifier", f"of {listed(model.classes_.tolist())}, mode {model.mode_}")
        said = "right, every class counting alike" if model.class_weight else "right"
    scores = {mode: score for mode, score in model.scores_.items() if not np.isnan(score)}
    figures = ", ".join(f"{mode} {score:.1%}" for mode, score in scores.items())
    line("held-out labels", f"{figures} {said}" if scores else "none could be held out: nothing tells how good it is")


def say_selector(selector: Selector) -> None:
    """The columns that were selected, the most important first, and what they are worth."""
    form = selector.autoencoder_.form_
    names = column_names(form.names, form.layout)
    line("selector", f"{len(selector.columns_):,} of {counted(selector.n_features_in_, 'column')}")
    order = selector.order_[:SHOWN].tolist()
    worth = dict(zip(selector.columns_.tolist(), selector.importances_.tolist(), strict=True))
    shown = [short(names[place]) for place in order]
    cells = [("column", "worth"), *((name, f"{worth[place]:.4g}") for name, place in zip(shown, order, strict=True))]
    width = max(len(name) for name, _ in cells)
    for name, figure in cells:
        print(f"  {name.ljust(width)}  {figure:>8}")
    if len(order) < len(selector.columns_):
        print(f"  and {len(selector.columns_) - len(order):,} more")
    line("worth", "how much the mean squared error of all scaled cells rises when this column is shuffled")
    best = min(selector.errors_, key=lambda way: selector.errors_[way])
    errors = ", ".join(f"{way} {error:.4g}" for way, error in selector.errors_.items())
    kept = f"; {best} was kept" if len(selector.errors_) > 1 else ""
    line("held-out error", f"{errors}, the mean square of scaled cells{kept}")


def say_recommender(recommender: Recommender) -> None:
    """What is recommended, by which model, and how its knobs were chosen."""
    found = recommender.interactions_
    users, items = found.matrix.shape
    pairs = counted(found.matrix.nnz, "interaction")
    line("recommender", f"of {counted(items, 'item')}, learnt from {pairs} of {counted(users, 'user')}")
    if recommender.at_least is not None:
        line("learns from", f"weights of at least {recommender.at_least:g}, each as 1")
    choice = recommender.choice_
    line("model", recommender.knobs_.in_words() if choice is None else choice.in_words())
    line("users", f"such as {listed(found.users[:3].tolist(), 3)}; their interactions are in the file")
    line("items", f"such as {listed(found.items[:3].tolist(), 3)}")


def say_compressor(compressor: Compressor, size: int) -> None:
    """What is packed, how well, what may be lost, and what the model takes, whose own file has ``size`` bytes."""
    form = compressor.form_
    line("compressor", f"of {'; '.join(compressor.said_)}")
    if form.kind != "pictures":
        raw = f" (of {8 * np.dtype(form.dtype).itemsize} in memory)" if isinstance(form, ArrayForm) else ""
        kind = "an element" if isinstance(form, ArrayForm) else "a cell"
        line("takes", f"{compressor.bits_per_element_:.3f} bits {kind} of data like those of the fit{raw}")
    line("loses", losses(form))
    inside = size_in_words(len(in_one_piece(compressor)))
    line("the model takes", f"{inside} inside a packed file, squeezed (its own file has {size_in_words(size)})")
    line("model digest", compressor.digest_)


def say_packed(path: str) -> None:
    """What an .isz file holds, and which model it needs; all its bytes are checked, and no block is decoded.

    Raises
    ------
    FileFormatError : it is cut, altered or foreign.
    """
    with opened(Path(path)) as reader:
        about = reader.about
        if set(about) - {"files"} != set(FIELDS):
            raise FileFormatError(f"{path!r} was not packed by a Compressor, or by a newer one")
        packed = Packed.of(reader, Compressor(), repr(path)) if about["included"] is True else None
        sizes = [(block.rows, len(block.payload)) for block in (reader if packed is None else packed.blocks)]
    rows, size = sum(rows for rows, _ in sizes), sum(size for _, size in sizes)
    named = ", with names of files" if "files" in about else ""
    line("packed", f"{counted(rows, 'picture' if named else 'row')}{named}")
    line("in", f"{counted(len(sizes), 'block')} of {size_in_words(size)} together, which can be unpacked by rows")
    form = None if packed is None else packed.form
    if packed is not None:
        line("they are", packed.compressor.said_[0])
    asked = {"quality": form.quality} if isinstance(form, PictureForm) else about["changes"]
    line("loses", asked_in_words(asked) if form is None or isinstance(form, PictureForm) else losses(form))
    line("its model", "inside" if packed else f"not inside: isthmus compress unpack MODEL {path} -o OUT")
    line("model digest", str(about["model"]))
    line("file", f"{path} ({size_in_words(Path(path).stat().st_size)})")


def asked_in_words(changes: dict[str, Any]) -> str:
    """What a header tells of losses, which is where they are not as in the fit.

    >>> asked_in_words({"quality": 18}), asked_in_words({"2": {"numbers": {"max_error": 0.5}}})
    ('what is seen least, quality 18', 'up to 0.5 of a number, a bound for this file')
    >>> asked_in_words({})
    'what its model says, isthmus info MODEL; nothing else was asked for this file'
    """
    if "quality" in changes:
        return f"what is seen least, quality {changes['quality']}"
    parts = [changes, *(each for each in changes.values() if isinstance(each, dict))]
    some = [each.get("numbers") for each in parts]
    every = [one for numbers in some for one in (numbers if isinstance(numbers, list) else [numbers])]
    errors = sorted({float(one["max_error"]) for one in every if isinstance(one, dict) and one.get("max_error")})
    if not errors:
        return "what its model says, isthmus info MODEL; nothing else was asked for this file"
    return f"up to {' or '.join(f'{error:g}' for error in errors)} of a number, a bound for this file"


def losses(form: Any) -> str:
    """What may change, in words."""
    if form.kind == "pictures":
        return f"what is seen least; as much as quality, bits or psnr ask, {form.quality} being the usual quality"
    if form.kind == "table":
        bounds = {str(column.name): column.numbers for column in form.columns if column.numbers is not None}
        lossy = [f"{short(name)} up to {one.max_error:g}" for name, one in bounds.items() if not one.exact]
        return ", ".join(lossy) + "; all else nothing" if lossy else "nothing"
    errors = sorted({one.max_error for one in form.numbers})
    if errors == [0]:
        return "nothing"
    how = " of each value" if form.numbers[0].kind == "relative" else ""
    return f"at most {' or '.join(f'{error:g}' for error in errors)}{how} in an element"
