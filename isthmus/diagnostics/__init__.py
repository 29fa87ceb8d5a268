"""How good is a trained composition? One file per question, put together in `questions`.

Each file measures something on a `Probe` (the composition and the rows it is judged on), and says in a `Verdict` what
it means; thresholds are constants at its top. Verdicts that need only the figures of the fit are in `verdicts`.
"""

from isthmus.diagnostics.questions import diagnose
from isthmus.verdicts import Diagnosis, FitRecord, Verdict

__all__ = ["Diagnosis", "FitRecord", "Verdict", "diagnose"]
