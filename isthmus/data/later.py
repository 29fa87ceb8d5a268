"""Later tables, coded as the mixed table of a fit was: their columns found, their new values named."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from isthmus.checks import counted
from isthmus.data.arrays import short
from isthmus.data.arrow import WORDS, family
from isthmus.data.changed import all_missing, changed_type
from isthmus.data.coding import Coding
from isthmus.data.mixed import Matrix, MixedSource, Table, array_table, some_of, wanted_types
from isthmus.data.table_form import TableForm
from isthmus.data.tables import names_differ
from isthmus.errors import DataWarning, InputError


def coded(
    table: Table, form: TableForm, columns: Mapping[Any, str] | None, argument: str, estimator_name: str, by_name: bool
) -> MixedSource:
    """A source of later rows, coded as those of the fit were; one warning names values that the fit never met."""
    places = matching(table, form, columns, argument, estimator_name, by_name)
    matrix = Matrix(table.rows, len(places))
    strange, dtypes = [], []
    for coding, place in zip(form.codings, places, strict=True):
        array, dtype = table.column(place)
        if not table.named and form.names is not None:
            check_frame_not_needed(coding, array, form.names, argument)
        values, examples, cells = coding.encode(array, argument)
        matrix.add(values)
        dtypes.append(dtype if family(array.type) == coding.family else kept_dtype(coding, dtype, values, table, form))
        strange += [unseen_words(coding.name, examples, cells, coding.forgets)] if cells else []
    if strange:
        warnings.warn(unseen_sentence(strange, argument), DataWarning, stacklevel=4)
    here = replace(
        form, container=table.container, names=form.names if table.named else None, dtypes=tuple(dtypes),
        numbered=table.numbered,
    )  # fmt: skip
    return MixedSource(
        matrix.whole(), here, complete=not matrix.gaps, index=table.index, kept=some_of(places, table),
        argument=argument,
    )  # fmt: skip


def check_frame_not_needed(coding: Coding, array: Any, names: Sequence[str], argument: str) -> None:
    """Refuse an array of numbers where a column of the fit's frame held something else: no array can hold both."""
    if family(array.type) == coding.family or all_missing(array) or not changed_type(coding, array, argument):
        return
    few = list(names) if len(names) <= 8 else "list(model.feature_names_in_)"
    raise InputError(
        f"{argument} is an array of numbers, but the fit was to a frame whose column {coding.name!r} held "
        f"{WORDS[coding.family]} (type {coding.dtype}). Give such a frame: pandas.DataFrame({argument}, "
        f"columns={few}), with that column as it was"
    )


def kept_dtype(coding: Coding, dtype: str, values: np.ndarray, table: Table, form: TableForm) -> str:
    """The type in which a column of another family comes back: that of the fit, if its cells are all missing."""
    if not np.isnan(values).all():
        return dtype
    return coding.dtype if table.container == form.container else "object"


def coded_array(
    array: np.ndarray, form: TableForm, columns: Mapping[Any, str] | None, mapped: bool, argument: str,
    estimator_name: str,
) -> MixedSource:  # fmt: skip
    """A source of a later array, used where it lies if every column is one of plain numbers."""
    table = array_table(array)
    as_it_is = array.dtype.kind == "f" and all(one.type in ("numeric", "heavy") for one in form.codings)
    if not as_it_is or len(table.names) != len(form.codings) or any(one.family != "number" for one in form.codings):
        return coded(table, form, columns, argument, estimator_name, by_name=False)
    dtype = array.dtype.newbyteorder("=").name
    here = replace(form, container="numpy", names=None, dtypes=(dtype,) * len(form.codings), numbered=False)
    return MixedSource(array, here, mapped=mapped, argument=argument)


def unseen_words(name: str, examples: Sequence[Any], cells: int, doubtful: bool = False) -> str:
    """Which values of a column are new; ``doubtful`` = some may be rare ones of the fit, which are not all kept.

    >>> unseen_words("city", ["Ulm", "Bonn"], 5)
    "city: 'Ulm', 'Bonn' (5 cells)"
    """
    more = ", ..." if len(examples) == 5 else ""
    doubt = ", of which some may be rare values of the fit" if doubtful else ""
    return f"{name}: {', '.join(short(one) for one in examples)}{more} ({counted(cells, 'cell')}{doubt})"


def unseen_sentence(strange: Sequence[str], argument: str) -> str:
    """What becomes of values that the fit never met, in all columns together."""
    more = f"; and in {len(strange) - 8} more columns" if len(strange) > 8 else ""
    they = "were not there in the fit; they are taken as one level of their own"
    return f"{argument}: {'; '.join(strange[:8])}{more} {they}."


def matching(
    table: Table, form: TableForm, columns: Mapping[Any, str] | None, argument: str, estimator_name: str, by_name: bool
) -> tuple[int, ...]:
    """Where in a later table the columns of the fit are, or an error that says what differs.

    Columns that the fit left out, and those that are ignored now, may be there or not. Frames must hold the others in
    the order of the fit, files in any.
    """
    wanted = wanted_types(columns, table, strict=False)
    unused = {one.name for one in form.left_out}
    places = [i for i in range(len(table.names)) if wanted.get(i) != "ignore"]
    if not table.named or form.names is None:
        if len(places) != len(form.codings) and len(places) == len(form.codings) + len(unused):
            places = [i for i in places if table.names[i] not in unused]
        elif len(table.names) == len(form.codings):
            places = list(range(len(table.names)))
        if len(places) != len(form.codings):
            raise InputError(
                f"X has {len(places)} features, but {estimator_name} is expecting {len(form.codings)} features as "
                f"input."
            )
        return tuple(places)
    places = [i for i in places if table.names[i] not in unused]
    names = tuple(table.names[i] for i in places)
    if names != form.names and not (by_name and set(names) == set(form.names)):
        raise InputError(names_differ(names, form.names, None if by_name else argument, gaps=True))
    at = dict(zip(names, places, strict=True))
    return tuple(at[name] for name in form.names)
