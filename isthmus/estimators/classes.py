"""What a model that was fitted with labels of some rows can do: tell the class of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from isthmus.composition import Composition
from isthmus.data.classes import classes_of, numbered
from isthmus.recipes import Parts


def reads_labels(parts: Parts | Composition) -> bool:
    """Whether the parts learn from labels of rows."""
    return bool(getattr(parts.bottleneck, "reads_labels", False))


def with_classes(parts: Any, y: Any, rows: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """The parts made for the classes in y, these classes, and (rows,) the number of each row's, -1 = not known."""
    classes = classes_of(y, rows)
    numbers = numbered(classes, y, rows)
    share = float((numbers >= 0).mean())
    return replace(parts, bottleneck=replace(parts.bottleneck, classes=len(classes), share=share)), classes, numbers


def tells_classes(model: Any) -> bool:
    return getattr(model, "classes_", None) is not None


class ClassesMixin:
    """The methods of `Autoencoder` for kinds that learn from labels of some rows."""

    @available_if(tells_classes)
    def predict(self: Any, X: Any, *, given: Any = None) -> np.ndarray:
        """(n,) the most probable class of every row, for kinds that were fitted with labels ('semi_supervised')."""
        return self.classes_[self.predict_proba(X, given=given).argmax(axis=1)]

    @available_if(tells_classes)
    def predict_proba(self: Any, X: Any, *, given: Any = None) -> np.ndarray:
        """(n, classes) how probable each of ``classes_`` is for every row; the first numbers of its code."""
        check_is_fitted(self, "composition_")
        return self.transform(X, given=given)[:, : len(self.classes_)]
