"""Figures about a drawn table beside a real one: its columns one by one, by pairs, for a classifier that tells the two
apart, and for a model that learns from it.

Tables are data frames with the same columns: numbers, whole numbers, dates, truth values and levels (text), with
missing cells in any of them. What a column is follows from the real one. Of every figure, that of real rows beside
other real rows is what a perfect generator would have: it is not 0.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from isthmus.checks import did_you_mean
from isthmus.errors import InputError
from isthmus.fidelity import told_apart
from isthmus.table_columns import LEVELS, codes, encoded, folded, levels, numbers, tables

if TYPE_CHECKING:
    from pandas import DataFrame, Series

FEW = 10
"""Whole numbers are classes to be told, and not numbers to be near to, where they have no more values than this."""


@dataclass(frozen=True)
class TableFidelity:
    """How alike a drawn table is to a real one.

    Attributes
    ----------
    marginals : total variation of each column, in 0..1, 0 = equal shares in all bins and levels.
    association : mean absolute difference of the associations of pairs of columns, in 0..1; NaN where there are no two.
    two_sample : accuracy by which a classifier tells the two apart, in 0..1, 0.5 = not at all.
    p_value : of an accuracy as high as that, were there no difference.
    learnt_from_drawn, learnt_from_real : what models trained on drawn and on real rows score on other real rows, by
        `train_on_synthetic`; None where there was no target.
    """

    marginals: dict[Hashable, float]
    association: float
    two_sample: float
    p_value: float
    learnt_from_drawn: float | None = None
    learnt_from_real: float | None = None

    @property
    def marginal(self) -> float:
        """The mean total variation of the columns."""
        return float(np.mean(list(self.marginals.values())))

    def __str__(self) -> str:
        line = (
            f"marginals {self.marginal:.4f} | associations {self.association:.4f} | "
            f"told apart {self.two_sample:.3f} (p = {self.p_value:.2g})"
        )
        if self.learnt_from_drawn is None:
            return line
        return f"{line} | learnt from drawn {self.learnt_from_drawn:.3f}, from real {self.learnt_from_real:.3f}"


def table_fidelity(
    real_test: DataFrame,
    drawn: DataFrame,
    real_train: DataFrame | None = None,
    target: Hashable | None = None,
    random_state: int = 0,
) -> TableFidelity:
    """All figures of this file at once; see there for what each means.

    Parameters
    ----------
    real_test : (n, columns) rows that the generator was not fitted to.
    drawn : (m, columns); better as many.
    real_train, target : rows that it was fitted to, and the column that a model is to tell from the others; both or
        neither.

    Raises
    ------
    InputError : columns that differ, no rows, infinity, an unknown target.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"age": np.arange(400) % 50, "old": np.arange(400) % 50 > 40})
    >>> found = table_fidelity(rows[:200], rows[200:], rows[:200], "old")
    >>> found.marginals, found.learnt_from_drawn
    ({'age': 0.0, 'old': 0.0}, 1.0)
    """
    if (real_train is None) != (target is None):
        raise InputError("real_train and target go together: give both, or neither")
    real_test, drawn = tables(real_test=real_test, drawn=drawn)
    (real_rows, drawn_rows), categories = encoded([real_test, drawn])
    learnt: tuple[float, ...] = ()
    if real_train is not None:
        learnt = train_on_synthetic(drawn, real_train, real_test, target, random_state)
    association = associations(real_test, drawn) if real_test.shape[1] > 1 else float("nan")
    apart = told_apart(real_rows, drawn_rows, random_state, categories)
    return TableFidelity(marginals(real_test, drawn), association, *apart, *learnt)


def marginals(real: DataFrame, drawn: DataFrame) -> dict[Hashable, float]:
    """The total variation of each column: half the sum of what the shares of its bins or levels differ by, in 0..1.

    Numbers and dates fall into `BINS` bins with as many real rows each, beside which a value that a bin's worth of rows
    has stands alone, and equal bounds are one; missing cells are a level of their own.

    Notes
    -----
    Chance alone makes a column in b even bins differ by about 0.4 sqrt(b (1 / n + 1 / m)): 0.02 where 20 bins and
    16,000 rows are compared with as many.

    Examples
    --------
    >>> import pandas as pd
    >>> real = pd.DataFrame({"town": ["a", "a", "b", None], "rooms": [1, 1, 2, 3]})
    >>> marginals(real, pd.DataFrame({"town": ["a", "b", "b", "c"], "rooms": [3, 1, 2, 1]}))
    {'town': 0.5, 'rooms': 0.0}
    """
    real, drawn = tables(real=real, drawn=drawn)
    found = {}
    for name in real.columns:
        (first, second), size = codes([real[name], drawn[name]])
        counts = (np.bincount(some, minlength=size) / len(some) for some in (first, second))
        found[name] = float(np.abs(np.subtract(*counts)).sum() / 2)
    return found


def associations(real: DataFrame, drawn: DataFrame) -> float:
    """The mean over pairs of columns of |V of the real ones - V of the drawn ones|, in 0..1.

    V is Cramér's, corrected for its bias: 0 where two columns have nothing to do with each other, 1 where each follows
    from the other. All columns are taken as levels, so that one figure does for all pairs: numbers in the bins of
    `marginals`, a missing cell as one more, and the `LEVELS` most frequent ones of text. It sees bends that a
    correlation does not, and not in which order bins lie. A column with one level has V = 0.

    References
    ----------
    Bergsma 2013, A bias-correction for Cramér's V and Tschuprow's T.

    Examples
    --------
    >>> import pandas as pd
    >>> real = pd.DataFrame({"a": np.arange(100) % 2, "b": np.arange(100) % 2 == 0})
    >>> associations(real, real), round(associations(real, real.assign(b=np.arange(100) < 50)), 3)
    (0.0, 1.0)
    """
    real, drawn = tables(real=real, drawn=drawn)
    if real.shape[1] < 2:
        raise InputError("associations are those of pairs of columns: real and drawn must have two columns or more")
    columns = [folded(*codes([real[name], drawn[name]]), LEVELS) for name in real.columns]
    apart = []
    for (first, rows), (second, across) in combinations(columns, 2):
        pairs = zip(first, second, strict=True)
        pair = [np.bincount(a * across + b, minlength=rows * across).reshape(rows, across) for a, b in pairs]
        apart.append(abs(cramers_v(pair[0]) - cramers_v(pair[1])))
    return float(np.mean(apart))


def cramers_v(counts: np.ndarray) -> float:
    """Cramér's V of a table of counts, corrected for its bias, in 0..1.

        V^2 = max(0, chi^2 / n - (r - 1)(c - 1) / (n - 1)) / (min(r~, c~) - 1),  r~ = r - (r - 1)^2 / (n - 1)

    >>> cramers_v(np.array([[5, 0], [0, 5]])), cramers_v(np.array([[5, 5], [5, 5]]))
    (1.0, 0.0)
    """
    counts = counts[counts.any(1)][:, counts.any(0)].astype(np.float64)
    n = counts.sum()
    if min(counts.shape) < 2 or n < 3:
        return 0.0
    # chi^2 / n = sum of n_ij^2 / (n_i n_j), less 1
    spread = (np.square(counts) / counts.sum(1, keepdims=True) / counts.sum(0)).sum() - 1
    steps = np.array(counts.shape) - 1
    levels = steps - np.square(steps) / (n - 1)
    phi = max(0.0, spread - np.prod(steps) / (n - 1))
    return float(min(1.0, np.sqrt(phi / levels.min()))) if levels.min() > 0 else 0.0


def train_on_synthetic(
    drawn: DataFrame, real_train: DataFrame, real_test: DataFrame, target: Hashable, random_state: int = 0
) -> tuple[float, float]:
    """What a model that was trained on drawn rows, and one on real rows, score on real rows that neither has seen.

    The models are gradient-boosted trees with their usual settings, which tell the target from all other columns: the
    share of rows they get right, or R^2 for numbers and dates. Whole numbers with no more than `FEW` values are told as
    classes. Rows whose target is missing are left out.

    Returns
    -------
    (float, float)
        The scores of what was learnt from drawn and from real rows. R^2 may be below 0.

    References
    ----------
    Esteban, Hyland & Rätsch 2017, Real-valued (medical) time series generation with recurrent conditional GANs.

    Examples
    --------
    >>> import pandas as pd
    >>> real = pd.DataFrame({"a": np.arange(200) % 10, "b": np.where(np.arange(200) % 10 < 5, "low", "high")})
    >>> train_on_synthetic(real.assign(b="low"), real[:100], real[100:], "b")
    (0.5, 1.0)
    """
    frames = tables(real_test=real_test, drawn=drawn, real_train=real_train)
    if target not in frames[0].columns:
        raise InputError(f"target must be a column; got {target!r}.{did_you_mean(target, frames[0].columns)}")
    if frames[0].shape[1] < 2:
        raise InputError(f"target {target!r} is the only column: there is nothing to tell it from")
    answers, classes = answers_of([frame[target] for frame in frames])
    features, categories = encoded([frame.drop(columns=[target]) for frame in frames])
    known = [~np.isnan(values) for values in answers]
    for name, kept in zip(("real_test", "drawn", "real_train"), known, strict=True):
        if not kept.any():
            raise InputError(f"{name}: the target {target!r} is missing in every row")
    test, *others = [(rows[kept], some[kept]) for rows, some, kept in zip(features, answers, known, strict=True)]
    scores = [learnt(*train, *test, classes, categories, random_state) for train in others]
    return scores[0], scores[1]


def answers_of(columns: list[Series]) -> tuple[list[np.ndarray], bool]:
    """The target as numbers, NaN where it is missing, and whether these are the numbers of classes."""
    values = numbers(columns)
    if values is not None:
        known = np.unique(values[-1][~np.isnan(values[-1])])
        if len(known) > FEW or (known != np.round(known)).any():
            return values, False
    found, _ = levels(columns)
    return [np.where(some == 0, np.nan, some) for some in found], True


def learnt(
    rows: np.ndarray,
    answers: np.ndarray,
    test: np.ndarray,
    truth: np.ndarray,
    classes: bool,
    categories: list[bool],
    random_state: int,
) -> float:
    """The share that trees get right, or R^2."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.metrics import r2_score

    if classes and len(np.unique(answers)) == 1:  # trees refuse to learn what is always so
        return float((truth == answers[0]).mean())
    # Without stopping early, which would have to find every class among rows that it holds out.
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    trees = kind(early_stopping=False, categorical_features=categories, random_state=random_state).fit(rows, answers)
    guess = trees.predict(test)
    return float((guess == truth).mean()) if classes else float(r2_score(truth, guess))
