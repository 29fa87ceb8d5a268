"""Judgements of a compressor in plain words: is it worth its bytes and its time, and did it keep what it promised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isthmus.checks import counted
from isthmus.estimators.compressor_packing import SLACK, WORSE
from isthmus.report.compression_plots import in_bytes
from isthmus.report.figures import shown
from isthmus.verdicts import Verdict

ALIKE = 0.02
"""Sizes that differ by less are about the same."""

SLOWER = 3.0
"""So many times slower than the best of the other coders is worth telling."""


@dataclass(frozen=True)
class Beside:
    """What is compared: the data's bytes, what this model and the ``best`` other coder make of them, the model's."""

    raw: int
    own: float
    best: float
    name: str
    model: int

    @property
    def pays(self) -> float:
        """Bytes of such data after which the model is paid for; infinity where it never is."""
        return self.raw * self.model / (self.best - self.own) if self.own < self.best else float("inf")


def less(own: float, other: float) -> str:
    """
    >>> less(80, 100), less(110, 100), less(99, 100), less(500, 100)
    ('20 % less than', '10 % more than', 'about as much as', '5 times as much as')
    """
    if abs(own / other - 1) < ALIKE:
        return "about as much as"
    if own < other:
        return f"{100 * (1 - own / other):.0f} % less than"
    return f"{100 * (own / other - 1):.0f} % more than" if own < 2 * other else f"{shown(own / other)} times as much as"


def size_verdict(found: Beside, data: str = "The packed data") -> Verdict:
    """The packed bytes beside the best other coder's."""
    ratio = found.own / found.best
    said = (
        f"{data} take {in_bytes(found.own)} of {in_bytes(found.raw)}, {less(found.own, found.best)} "
        f"{found.name}, the best of the other coders ({in_bytes(found.best)})."
    )
    if ratio < 1 - ALIKE:
        return Verdict("size", "good", said, ratio)
    advice = f"{found.name} for such data, or a fit with more of them and more time (max_time)."
    return Verdict("size", "note" if ratio < 1 + ALIKE else "bad", said, ratio, advice)


def model_verdict(found: Beside) -> Verdict:
    """Whether the model's own bytes are paid for."""
    whole, name = found.own + found.model, "worth its model"
    if np.isinf(found.pays):
        said = (
            f"The model's {in_bytes(found.model)} are never paid for: what it packs is no smaller than {found.name}'s."
        )
        return Verdict(name, "bad", said, found.pays)
    said = (
        f"With the model's {in_bytes(found.model)} (squeezed, as inside a packed file) all is {in_bytes(whole)}, "
        f"{less(whole, found.best)} {found.name}. The model is paid for after {in_bytes(found.pays)} of such data; "
        f"these are {in_bytes(found.raw)}."
    )
    if whole < (1 - ALIKE) * found.best:
        return Verdict(name, "good", said, found.pays)
    return Verdict(name, "note", said, found.pays, "the model for many data of this kind; it is stored once for all.")


def kept_verdict(kept: bool, of_bound: float) -> Verdict:
    """Whether what came back is as promised."""
    if np.isnan(of_bound):
        said = "Every element came back to the bit." if kept else "What came back is not what was packed."
        return Verdict("nothing lost", "good" if kept else "bad", said, 0.0)
    if kept:
        said = (
            f"The bound was kept: yes. The largest change of an element is {np.ceil(1000 * of_bound) / 10:g} % of it; "
            "NaN, infinity and what has no bound came back as they were."
        )
        return Verdict("bound", "good", said, of_bound)
    return Verdict("bound", "bad", f"The bound was not kept: an element changed by {shown(of_bound)} of it.", of_bound)


def speed_verdict(own: tuple[float, float], best: tuple[float, float], name: str) -> Verdict:
    """MB a second of both ways (packing, unpacking), beside those of the best other coder."""
    slower = max(there / mine for there, mine in zip(best, own, strict=True))
    said = (
        f"It packs {shown(own[0])} MB and unpacks {shown(own[1])} MB a second; {name} {shown(best[0])} and "
        f"{shown(best[1])}."
    )
    if slower <= SLOWER:
        return Verdict("speed", "good", said, slower)
    seconds = f"A GB would take {minutes(1000 / own[0])} to pack and {minutes(1000 / own[1])} to unpack."
    return Verdict("speed", "note", f"{said} {seconds}", slower)


def minutes(seconds: float) -> str:
    """
    >>> minutes(20), minutes(600), minutes(7200)
    ('20 seconds', '10 minutes', '2 hours')
    """
    for unit, name in ((3600, "hour"), (60, "minute")):
        if seconds >= 1.5 * unit:
            return counted(round(seconds / unit), name)
    return counted(max(1, round(seconds)), "second")


def alike_verdict(bits: float, size: int, fitted: float, unit: str) -> Verdict:
    """Whether ``size`` elements that took ``bits`` are like those of the fit, which take ``fitted`` each."""
    now = bits / max(size, 1)
    said = f"They take {shown(now)} bits {unit}, data like those of the fit {shown(fitted)}."
    if bits <= WORSE * fitted * size + SLACK:
        return Verdict("these data", "good", said, now)
    return Verdict("these data", "note", f"{said} They are unlike those of the fit.", now, "a fit with such data.")


def rate_verdict(ratios: Mapping[str, float]) -> Verdict:
    """Sizes beside each rival's at the same PSNR, in the mean over what the curves of both reach."""
    said = [f"{less(ratio, 1)} {name}" for name, ratio in ratios.items()]
    told = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    sentence = f"At the same PSNR its files take {told}, in the mean over what both reach."
    level = "good" if max(ratios.values()) < 1 + ALIKE else "note" if min(ratios.values()) < 1 else "bad"
    advice = "" if level == "good" else "a fit with more pictures of the kind and more time (max_time)."
    return Verdict("rate and distortion", level, sentence, max(ratios.values()), advice)
