"""Do units stand for the causes of the data? Asked where these, the true factors, are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.diagnostics.probe import spaced
from isthmus.disentanglement import Dci, dci, mig, sap
from isthmus.verdicts import Verdict

ROWS, FEWEST = 2_000, 50
"""The most rows that are looked at, and the fewest that tell."""
ENTANGLED, UNTOLD = 0.05, 0.05
"""A gap below 0.05 says that no unit stands for one factor; informativeness below 0.05, that codes tell of none."""


@dataclass(frozen=True)
class Factors:
    """MIG, DCI and SAP of codes; see `isthmus.disentanglement`. NaN where there were too few rows."""

    rows: int
    mig: float = float("nan")
    dci: Dci = Dci(float("nan"), float("nan"), float("nan"))
    sap: float = float("nan")

    @property
    def figures(self) -> dict[str, float]:
        return {
            "mig": self.mig,
            "sap": self.sap,
            **{f"dci_{name}": value for name, value in self.dci._asdict().items()},
        }


def factors_told(codes: np.ndarray, factors: np.ndarray) -> Factors:
    rows = spaced(len(codes), ROWS).numpy()
    if len(rows) < FEWEST:
        return Factors(len(rows))
    codes, factors = codes[rows], np.asarray(factors)[rows]
    return Factors(len(rows), mig(codes, factors), dci(codes, factors), sap(codes, factors))


def disentanglement_verdict(found: Factors) -> Verdict:
    """Never bad but where codes tell nothing of the factors: single units need not stand for single causes."""
    name = "disentanglement"
    if np.isnan(found.mig):
        sentence = f"Cannot be judged from {found.rows} row{'' if found.rows == 1 else 's'}."
        return Verdict(name, "note", sentence, found.mig, "to diagnose with more rows.")
    figures = (
        f"MIG {found.mig:.2f}, SAP {found.sap:.2f}, disentanglement {found.dci.disentanglement:.2f}, completeness "
        f"{found.dci.completeness:.2f}, informativeness {found.dci.informativeness:.2f}"
    )
    if found.dci.informativeness < UNTOLD:
        advice = "a larger code_size, or a kind that rebuilds more."
        return Verdict(name, "bad", f"The codes tell nothing of the factors given ({figures}).", found.mig, advice)
    if found.mig < ENTANGLED:
        sentence = f"No unit stands for one of the factors given alone ({figures})."
        return Verdict(name, "note", sentence, found.mig, "the kind 'beta_vae', or a code_size nearer to the factors'.")
    return Verdict(name, "good", f"Units stand for single factors, 1 being the most ({figures}).", found.mig)
