"""How surprising is each step of a series, seen from the steps before it alone: a linear autoencoder of windows.

A window of the last steps is rebuilt with its newest step hidden. Of all linear autoencoders with hidden cells the best
has a closed form: the conditional mean of the hidden step, whose weights solve one ridge regression for each channel.
The window spans the series' dominant period, so that the newest step is compared with the same hour of the day before.

A step's error, and its value's distance from the middle, are each turned into a tail probability by errors that were
made on steps not learnt from; the smaller of the two counts, and a step's surprise is minus its logarithm, in nats: a
surprise of s has a probability of about exp(-s) in ordinary data, whatever the series' units.

A gap in a window is filled with what was expected there, and the first steps, which have no whole window before them,
are told by the few there are. Both tell less: by how much follows from the weights and the series' second moments, and
the error is divided by it, so that ordinary steps surprise no more often there than elsewhere.

References: linear models of windows are hard to beat, Sarfraz et al., "Quo vadis, unsupervised time series anomaly
detection?", ICML 2024; windows of a period's size, Paparrizos et al., "TSB-UAD", VLDB 2022; exponential tails of
excesses over a high level, Siffer et al., "Anomaly detection in streams with extreme value theory", KDD 2017; shorter
windows by recursion, Durbin, "The fitting of time-series models", 1960.
"""

from isthmus.steps.model import FEWEST, StepModel, fit_steps, surprises
from isthmus.steps.period import LEAST_WINDOW, MOST_WINDOW, dominant_period, window_length
from isthmus.steps.reach import Reach
from isthmus.steps.tails import Tail, newest, recent

__all__ = [
    "FEWEST", "LEAST_WINDOW", "MOST_WINDOW", "Reach", "StepModel", "Tail", "dominant_period", "fit_steps", "newest",
    "recent", "surprises", "window_length",
]  # fmt: skip
