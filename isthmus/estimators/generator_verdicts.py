"""Judgements of a generator in plain words, each with the figure behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import poisson

from isthmus.checks import counted
from isthmus.copies import Copies
from isthmus.estimators.generator_figures import Judged, perfect, values_of
from isthmus.table_fidelity import TableFidelity
from isthmus.verdicts import Verdict, percent

NEARLY, HALF = 0.9, 0.5
"""Of what real rows have, precision and coverage of at least the first are good, below the second bad."""

TOLD = 0.9
"""Rows that a classifier tells from real ones more often than this are not as good as these, whatever else is said."""

NEARER = 1 / 3
"""Of the way from real rows to those of the trivial generator: what is told apart up to here is clearly nearer to the
former."""

MARGINAL = (0.02, 0.05)
"""Total variation beyond that of real rows, in the mean of the columns: up to the first good, above the second bad."""

KEPT = (0.25, 0.6)
"""Errors of associations, as a share of the way from real rows to independent columns, likewise."""

TIED = 0.01
"""Where columns taken apart lose no more than this of their associations, they hardly have any."""

LEARNT = (0.02, 0.05)
"""What a model learnt from drawn rows scores less than one that learnt from real rows, likewise."""

SURE, CERTAIN, MUCH = 2.0, 3.0, 0.6
"""Standard errors above one half that are more than chance, a note; bad above the second number of them, where also the
figure is above the third: of 60 % nearer to training rows, a fifth or more was drawn from these."""

ODD = 0.55
"""Held-out rows that a classifier tells from training rows more often than this, by more than chance, are no random
part of the same data."""

RARE = 0.01
"""What is less probable than this is not put down to chance."""

NAMED = 6
"""Copies that are named, the nearest first."""

NEED = "to keep some rows from fit, and give them as held_out=."

MORE, MORE_OF_CODES = "more epochs, or more rows.", "more epochs, more rows, or another prior ('mixture', 'flow')."


def verdicts_of(judged: Judged) -> tuple[Verdict, ...]:
    """All that apply."""
    found = [likeness(judged), variety(judged), beyond_trivial(judged)]
    if judged.drawn.table is not None:
        real = None if judged.real is None else judged.real.table
        found += [marginals(judged.drawn.table, real), associations(judged)]
        if judged.target is not None:
            found.append(learning(judged.drawn.table, judged.target))
    found += [copied(judged.copies, judged.taken), members(judged.membership)]
    odd = held_out_oddly(judged)
    return tuple(found) if odd is None else (*found[:-2], *map(excused, found[-2:]), odd)


def held_out_oddly(judged: Judged) -> Verdict | None:
    """A note where held-out rows are not from where the training rows are; None where they are."""
    if judged.real is None or judged.real.fidelity.two_sample <= ODD or judged.real.fidelity.p_value > RARE:
        return None
    told = judged.real.fidelity.two_sample
    sentence = (
        f"A classifier tells training rows from held-out ones in {percent(told)} of all cases: these are no random "
        "part of the same data, and whatever is drawn like the former looks like copied."
    )
    return Verdict("held-out rows", "note", sentence, told, "to split all rows at random into those of fit and others.")


def excused(verdict: Verdict) -> Verdict:
    """No more than a note, as held-out rows are of another kind."""
    if verdict.level != "bad":
        return verdict
    sentence = f"{verdict.sentence} As held-out rows are of another kind, that is no proof."
    return replace(verdict, level="note", sentence=sentence)


def graded(value: float, good: float, bad: float) -> str:
    """Up to which value something is good, and above which bad; or down to which, where ``good`` is above ``bad``.

    >>> graded(1, 2, 3), graded(2.5, 2, 3), graded(4, 2, 3), graded(0.95, 0.9, 0.5), graded(0.4, 0.9, 0.5)
    ('good', 'note', 'bad', 'good', 'bad')
    """
    sign = 1 if good <= bad else -1
    return "good" if sign * value <= sign * good else "bad" if sign * value > sign * bad else "note"


def likeness(judged: Judged) -> Verdict:
    """Whether drawn rows lie among real ones."""
    mine, trivial, whole = judged.drawn.fidelity, judged.trivial.fidelity, perfect(judged)
    best = whole["precision"]
    quotient = mine.precision / best if best > 0 else float("nan")
    level = worse(graded(quotient, NEARLY, HALF), told(judged))
    beside, others = "", ""
    if judged.real is not None:
        beside, others = f", and {percent(best)} of real rows", f"training rows in {percent(whole['two_sample'])}, "
    sentence = (
        f"{percent(mine.precision)} of the drawn rows lie among {real_rows(judged)}{beside}; a classifier tells drawn "
        f"rows from real ones in {percent(mine.two_sample)} of all cases ({others}rows of a trivial generator in "
        f"{percent(trivial.two_sample)}; 50 % = not at all)."
    )
    return Verdict("likeness", level, sentence, quotient, "" if level == "good" else more(judged))


def told(judged: Judged) -> str:
    """How bad it is that a classifier tells drawn rows: beside how it tells real ones, and those of a trivial
    generator. What chance may make is no fault."""
    mine, best = judged.drawn.fidelity.two_sample, perfect(judged)["two_sample"]
    trivial = judged.trivial.fidelity.two_sample
    if mine - best <= chance(judged, mine, best):
        return "note" if mine > TOLD else "good"
    if mine >= trivial:
        return "bad"
    return "good" if mine <= TOLD and mine - best <= NEARER * (trivial - best) else "note"


def chance(judged: Judged, *shares: float) -> float:
    """By how much two shares of rows may differ by chance: `SURE` standard errors of the difference."""
    rows, mean = min(judged.rows.values()), float(np.mean(shares))
    return SURE * float(np.sqrt(2 * mean * (1 - mean) / rows))


def worse(*levels: str) -> str:
    """
    >>> worse("good", "note"), worse("bad", "note")
    ('note', 'bad')
    """
    return max(levels, key=("good", "note", "bad").index)


def more(judged: Judged) -> str:
    """What to try; tables, which are drawn cell by cell as a rule, have no prior."""
    return MORE_OF_CODES if judged.drawn.table is None else MORE


def real_rows(judged: Judged) -> str:
    return "held-out rows" if judged.real is not None else "training rows"


def variety(judged: Judged) -> Verdict:
    """Whether drawn rows are of all sorts that there are."""
    mine, whole = judged.drawn.fidelity, perfect(judged)
    best = whole["coverage"]
    quotient = mine.coverage / best if best > 0 else float("nan")
    level = graded(quotient, NEARLY, HALF)
    # All that is crowded may be reached, and nothing beside; or less of it than by no network at all.
    asked = min(judged.trivial.fidelity.recall, whole["recall"])
    narrow = mine.recall < asked - chance(judged, mine.recall, asked)
    if narrow or mine.recall < HALF * whole["recall"]:
        level = worse(level, "note")
    whose = "as many real rows reach" if judged.real is not None else "a perfect generator's would reach"
    sentence = (
        f"Drawn rows reach the neighbourhoods of {percent(mine.coverage)} of the {real_rows(judged)} (coverage), where "
        f"{whose} {percent(best)}; {percent(mine.recall)} of these lie among drawn rows (recall)."
    )
    return Verdict("variety", level, sentence, quotient, "" if level == "good" else more(judged))


def beyond_trivial(judged: Judged) -> Verdict:
    """In how many figures drawn rows are nearer to real ones than those that took no network to draw."""
    best, mine, other = perfect(judged), values_of(judged.drawn), values_of(judged.trivial)
    names = [name for name in mine if name not in ("marginal", "learnt") and np.isfinite(mine[name])]
    won = [abs(mine[name] - best[name]) < abs(other[name] - best[name]) for name in names]
    share = float(np.mean(won))
    trivial = {
        True: "independent columns, each cell a real one, are",
        False: "a mixture of normal distributions of principal components is",
    }[judged.drawn.table is not None]
    sentence = f"In {sum(won)} of {len(won)} figures drawn rows are nearer to what real rows have than {trivial}."
    level = "good" if share > HALF else "note" if any(won) else "bad"
    return Verdict("beside a trivial generator", level, sentence, share, "" if level == "good" else more(judged))


def marginals(mine: TableFidelity, real: TableFidelity | None) -> Verdict:
    """Whether columns one by one are as they were."""
    worst = max(mine.marginals, key=lambda name: mine.marginals[name])
    chance = 0.0 if real is None else real.marginal
    beside = "" if real is None else f", those of training rows by {chance:.4f}"
    sentence = (
        f"Columns one by one differ from the real ones by {mine.marginal:.4f} of total variation in the mean{beside}; "
        f"{worst!r} differs most, by {mine.marginals[worst]:.3f}."
    )
    level = graded(mine.marginal - chance, *MARGINAL)
    return Verdict("marginals", level, sentence, mine.marginal, "" if level == "good" else MORE)


def associations(judged: Judged) -> Verdict:
    """Whether columns hang together as they did."""
    name, best, mine, other = "associations", perfect(judged), values_of(judged.drawn), values_of(judged.trivial)
    mine_off, best_off, other_off = (one["association"] for one in (mine, best, other))
    if not np.isfinite(mine_off):
        return Verdict(name, "note", "Cannot be judged: there is one column.", mine_off)
    sentence = f"Associations of pairs of columns are off by {mine_off:.4f} in the mean"
    if judged.real is not None:
        sentence += f", those of training rows by {best_off:.4f}"
    sentence += f", those of independent columns by {other_off:.4f}."
    if other_off - best_off < TIED:
        return Verdict(name, "good", f"{sentence} There are hardly any to be kept.", mine_off)
    level = graded((mine_off - best_off) / (other_off - best_off), *KEPT)
    return Verdict(name, level, sentence, mine_off, "" if level == "good" else MORE)


def learning(mine: TableFidelity, target: object) -> Verdict:
    """Whether drawn rows teach what real ones do."""
    drawn, real = mine.learnt_from_drawn or 0.0, mine.learnt_from_real or 0.0
    level = graded(real - drawn, *LEARNT)
    sentence = (
        f"A model that learnt {target!r} from drawn rows scores {drawn:.3f} on held-out rows, one that learnt it from "
        f"as many training rows {real:.3f}."
    )
    return Verdict("learning", level, sentence, drawn - real, "" if level == "good" else MORE)


def copied(found: Copies | None, taken: float) -> Verdict:
    """Whether drawn rows are training rows learnt by heart; those that are, by their numbers.

    The share that counts is of a part ``taken`` of the training rows, as many as were held out: where a part c of the
    drawn rows are copies, it is one half + c taken / 2.
    """
    if found is None:
        sentence = "Cannot be judged: it takes rows that the generator did not meet."
        return Verdict("copies", "note", sentence, float("nan"), NEED)
    sentence = (
        f"{percent(found.share)} of the drawn rows are nearer to a training row than to any of as many held-out rows "
        f"(50 % ± {100 * found.error:.1f} where nothing is copied)"
    )
    count, most = len(found.rows), float(poisson.ppf(1 - RARE, found.by_chance))
    if count:
        rows, twins = (", ".join(map(str, some[:NAMED].tolist())) for some in (found.rows, found.twins))
        rest, than = " and others" if count > NAMED else "", "more than" if count > most else "no more than"
        sentence += (
            f"; {counted(count, 'drawn row')} {'is' if count == 1 else 'are'} as good as equal to a training row, "
            f"{than} the {most:.0f} that chance may make: {rows}{rest} to {twins}{rest}"
        )
    level = "bad" if count > most else above_half(found.share, found.error, taken)
    advice = "" if level == "good" else "more rows, or fewer epochs; and not to give such rows away."
    return Verdict("copies", level, f"{sentence}.", found.share, advice)


def above_half(value: float, error: float, most: float = 1.0) -> str:
    """How bad it is that a figure, one half where all is well, is above that; ``most`` is twice what it may be above.

    >>> above_half(0.53, 0.02), above_half(0.55, 0.02), above_half(0.65, 0.02), above_half(0.65, 0.06)
    ('good', 'note', 'bad', 'note')
    """
    above = value - 0.5
    if above <= SURE * error:
        return "good"
    return "bad" if above > CERTAIN * error and above > (MUCH - 0.5) * most else "note"


def members(found: tuple[float, float] | None) -> Verdict:
    """Whether drawn rows tell who was in the training rows."""
    if found is None:
        sentence = "Cannot be judged: it takes rows that the generator did not meet."
        return Verdict("membership", "note", sentence, float("nan"), NEED)
    area, error = found
    sentence = (
        "By how near the nearest drawn row is, training rows are told from held-out ones with an area under the curve "
        f"of {area:.3f} (0.5 ± {error:.3f} where it cannot be told, 1 where it always can)."
    )
    level = above_half(area, error)
    advice = "" if level == "good" else "more rows, or fewer epochs."
    return Verdict("membership", level, sentence, area, advice)
