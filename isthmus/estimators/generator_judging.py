"""A generator is judged: what it draws beside real rows that it never met, and beside a trivial generator."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isthmus.checks import did_you_mean
from isthmus.copies import copies, membership
from isthmus.errors import InputError
from isthmus.estimators.generator_figures import NEIGHBOURS, Figures, Judged
from isthmus.estimators.generator_rows import Material, Rows, material_of
from isthmus.estimators.generator_verdicts import verdicts_of
from isthmus.estimators.settings import seed_of
from isthmus.fidelity import Fidelity, ready, shares, told_apart
from isthmus.metrics import frechet_distance
from isthmus.table_fidelity import table_fidelity

if TYPE_CHECKING:
    from isthmus.estimators.generator import Generator


def judge(
    generator: Generator,
    train: Any,
    held_out: Any,
    labels: Any = None,
    target: Hashable | None = None,
    random_state: Any = 0,
) -> Judged:
    """What `Generator.judge` promises."""
    return judged(material_of(generator, train, held_out, labels, random_state), target, random_state)


def judged(material: Material, target: Hashable | None, random_state: Any = 0) -> Judged:
    """The figures of all rows, and what they say."""
    check_target(material, target)
    seed, held_out = seed_of(random_state), material.held_out
    beside = material.train if held_out is None else held_out
    sets = [material.drawn, material.trivial, *([material.train] if held_out is not None else [])]
    drawn, trivial, *real = (figures_of(material, beside, rows, target, seed) for rows in sets)
    counts = {"drawn": len(material.drawn.numbers), "training": len(material.train.numbers)}
    found, taken, told = None, 1.0, None
    if held_out is not None:
        counts["held-out"] = len(held_out.numbers)
        found = copies(material.drawn.place, material.searched.place, held_out.place, seed)
        found = replace(found, twins=material.searched.numbers[found.twins])
        taken = min(1.0, len(held_out.numbers) / len(material.searched.numbers))
        told = membership(material.drawn.place, material.train.place, held_out.place)
    bare = Judged(
        way=material.way,
        drawn=drawn,
        trivial=trivial,
        real=real[0] if real else None,
        trivially=material.trivially,
        rows=counts,
        copies=found,
        taken=taken,
        membership=told,
        target=target,
    )
    return replace(bare, verdicts=verdicts_of(bare))


def check_target(material: Material, target: Hashable | None) -> None:
    if target is None:
        return
    if not material.table:
        raise InputError("target is a column of a table; these rows are none: leave it out")
    if material.held_out is None:
        raise InputError("target needs rows to test what was learnt on: keep some from fit, and give them as held_out=")
    names = material.train.shown.columns
    if target not in names:
        raise InputError(f"target must be a column; got {target!r}.{did_you_mean(target, names)}")


def figures_of(material: Material, beside: Rows, rows: Rows, target: Hashable | None, seed: int) -> Figures:
    """Of some rows beside real ones."""
    first, second = ready(beside.space, rows.space, NEIGHBOURS)
    table = None
    if material.table:
        learning = {"real_train": material.train.shown, "target": target} if target is not None else {}
        table = table_fidelity(beside.shown, rows.shown, **learning, random_state=seed)
        apart = table.two_sample, table.p_value
    else:
        apart = told_apart(first.numpy(), second.numpy(), seed)
    distance = frechet_distance(first.numpy(), second.numpy())
    return Figures(Fidelity(distance, *shares(first, second, NEIGHBOURS), *apart), table)
