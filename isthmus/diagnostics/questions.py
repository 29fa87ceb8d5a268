"""Every question put to a trained composition, one after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from isthmus import verdicts
from isthmus.composition import Composition
from isthmus.diagnostics.attractors import attraction, attractors_verdict
from isthmus.diagnostics.balance import balance_verdict, sensitivity
from isthmus.diagnostics.codes import about_codes
from isthmus.diagnostics.copying import copying_verdict, structureless_shares
from isthmus.diagnostics.lone import lone_rows, lone_verdict
from isthmus.diagnostics.neighbours import neighbours, neighbours_verdict, numbering_verdict
from isthmus.diagnostics.probe import Probe, column_means, mean_cell, sampled
from isthmus.diagnostics.reach import range_verdict, unreachable
from isthmus.diagnostics.restraint import Restraint, restraint
from isthmus.diagnostics.usage import activity_verdict, dead_verdict, unused_units
from isthmus.diagnostics.wording import of_tables
from isthmus.errors import InputError
from isthmus.metrics import activity
from isthmus.records import Layout
from isthmus.verdicts import Diagnosis, FitRecord, Verdict


def diagnose(
    composition: Composition,
    layout: Layout,
    x: Tensor,
    record: FitRecord,
    *,
    given: Tensor | None = None,
    lengths: Tensor | None = None,
    weight: Tensor | None = None,
    labels: np.ndarray | None = None,
    factors: np.ndarray | None = None,
    prior: Any = None,
    unit: np.ndarray | None = None,
    names: tuple[str, ...] | None = None,
    output_reach: tuple[float, float] | None = None,
) -> Diagnosis:
    """Judge a trained composition.

    The first three verdicts judge the fit, by the figures in ``record``, whatever ``x`` is. Where the held-out rows
    also chose the epoch whose weights were kept, their error flatters the fit a little. The other verdicts judge
    the composition on the rows given, ``x``.

    1. **PCA** (the fit): the squared error on held-out rows against that of PCA with the same code size: better
       below 0.98 times, about the same up to 1.02, worse above 1.10 times. Where the difference is less than 2 of
       its standard errors, or is of fewer than 30 held-out rows, the two cannot be told apart: a note. A code as
       wide as the data makes PCA exact, so nothing is compared. Of losses of counts, categories or directions it is
       a note. Of mixed tables it is **usual values**: the error beside that of every cell as its column's most usual
       value, by the same thresholds.
    2. **memorising** (the fit): held-out error above 1.5 times the training error, by more than 1 % of the
       variance: a note, and bad above 3 times, or above 10 times where it still beats PCA on held-out rows. Where
       no rows were held out, the rows given take their place, and fewer training rows than columns must not be
       rebuilt exactly.
    3. **underfitting** (the fit): held-out error above 90 % of that of predicting the mean though PCA gets below
       80 %, or above 1.10 times PCA's (a note, bad by more than 1 % of the variance); not where the training
       error is below half of it, which is memorising.
    4. **these rows**: their error above 1.5 times the held-out error of the fit is a note, above 3 times, by more
       than 1 % of the variance, bad: they differ from the training rows. Fewer than 30 rows get a note at most.
    5. **copying**: rows whose columns were shuffled independently keep every column's values and lose all structure
       between columns. A composition that loses less than 10 % of their variance and rebuilds them with at most 3
       times the error of real rows (or loses less than 5 %) copies its input: its code says nothing about
       structure. Where columns have no structure to begin with, a narrow code loses much of both, and is not
       flagged; one column alone, or a model that loses 95 % of the variance of real rows, is not judged. The error
       on uniform noise in the columns' ranges is given beside it.
    6. **balance**: how much of a small step is passed on, along the data (towards near rows) and across them
       (orthogonal to their main directions). Bad where more than 90 % of both are and it copies. A note where no
       direction stands out, or hardly anything is passed on. Does not apply to counts and categories.
    7. **attractors**: the map from rows to reconstructions, applied 100 times to noise and to middles of two rows.
       Bad where half of these end at single rows given, which are then memories.
    8. **lone rows**: rows that PCA of the others cannot rebuild and that are far from all of them, as planted noise
       is; where a model that does not copy leaves a tenth of that error, this is as bad as **memorising** is.
    9. **numbering**: a code too narrow for the rows' variance (PCA of its size loses half) from which training rows
       are rebuilt all the same, though held-out rows fare worse than with PCA, or near codes belong to rows that
       have nothing in common: it numbers rows. Without held-out rows that speak for it, also a code that loses less
       than 0.6 times what PCA loses, where the mean of rows with near codes loses more than PCA.
    10. **dead units**: code units whose variance over ``x`` is below 1e-4 of the units' mean variance, or that change
        what is rebuilt by less than a thousandth of their fair share of the variance when moved over their own
        spread; bad where half of them are. Units that the bottleneck is told to zero are left out.
    11. **activity** of codes with exact zeros: bad where a quarter of the units is active in no row, or half of the
        units that a row uses are active in every row.
    12. **neighbours**: trustworthiness and continuity of the codes, and with ``labels`` that are categories the
        leave-one-out 1-NN accuracy, beside those of PCA of the same rows and size: a note where the
        mean of the first two is lower by 0.02 and by 2 standard errors.
    13. **output range**: cells of ``x`` that the decoder's output cannot reach; bad above 1 %.
    14. **continuity of decoding**: a step of the code as long as that to the nearest other one changes what is rebuilt
        by more than 2 times the distance between nearest rows: a note, bad above 5 times.

    Of mixed tables (``layout.columns``) errors are those that the loss counts by cell, over the cells that are known,
    and what is said above of the variance holds for the error of the most usual values (the mean of numbers, the most
    frequent level). Distances are those between rows as `points`, without categories of more than 100 levels.
    **Balance** and **attractors** apply where every column holds numbers, on rows without a missing cell.

    And where they apply:

    15. **posterior collapse**, of codes that are drawn: units are alive where the mean of their distribution varies
        over rows by more than 1 % of the prior's variance. Fewer than half alive is bad where the model explains less
        than 80 % of the variance that PCA of the same size explains; otherwise the code is wider than needed, a note.
        So is more than half alive, but with less than 0.2 nats each, where it explains less than half of what PCA
        does: bad where beta or a fixed variance is the likely cause. It stands in for **dead units**.
    16. **codebook use**, of discrete codes: less than half of the entries used, or a perplexity below a tenth of them.
    17. **prior**: a draw of every row's code beside draws from the prior, by the energy coefficient: above 0.02 and
        what comes by chance a note, above 0.1 bad.
    18. **completeness**: the share of samples decoded from the prior that are as near to a row as 95 % of the rebuilt
        rows are: below 80 % a note, below 10 % bad.
    19. **disentanglement**, with ``factors``: MIG, SAP and DCI; bad only where codes tell nothing of them.

    Parameters
    ----------
    composition : trained; neither its weights nor its mode are changed.
    layout : of the rows.
    x : (n, *layout.shape) scaled rows, at least one; at most 5,000 of them are looked at.
    record : the figures of the fit.
    given : (n, conditions) what conditional kinds read.
    lengths : (n,) valid steps of sequences.
    weight : same shape as x, 0 = missing cell.
    labels : (n,) the rows' labels, for the accuracy of the nearest neighbour.
    factors : (n, k) the true causes of the rows, numbers or categories.
    prior : fitted afterwards on codes (``sample(n, code_size, generator)``); None = the composition's own, if any.
    unit : (features,) what one scaled unit of each column is in the reported units; None = 1.
    names : a name per column, for sentences; None = numbers.
    output_reach : the lowest and highest value that the decoder can give, in scaled units; None = all.

    Returns
    -------
    Diagnosis
        Its figures: ``rmse`` (on ``x``, in reported units), ``scaled_rmse`` (on ``x``), ``explained_share``
        (of the variance of ``x``), ``held_out_error``, ``train_error``, ``mean_error``, ``pca_error`` (mean
        squared, scaled), ``pca_ratio``, ``shuffled_share`` and ``noise_share`` (error on structureless rows
        over their variance), ``slope_along``, ``slope_across`` and ``encoder_slope`` (lengths of directional
        derivatives of the reconstruction, and Frobenius norm of the encoder's Jacobian), ``attracted_share`` and
        ``resting_places``, ``lone_rows`` and ``lone_ratio``, ``dead_units``, ``never_active``, ``always_active``,
        ``active_per_row``, ``average_activity``, ``trustworthiness``, ``continuity``, ``accuracy`` and the same of
        PCA (``pca_...``), ``unreachable_share``, ``parameters``, ``decoding_step``. NaN where something could not be
        measured. Where they apply: ``active_units``, ``rate`` and ``distortion`` (nats per row), ``entries_used``,
        ``perplexity``, ``aggregate_apart`` (energy coefficient), ``aggregate_moments`` (squared Fréchet distance per
        unit), ``completeness``, ``sample_distance``, ``mig``, ``sap``, ``dci_disentanglement``, ``dci_completeness``,
        ``dci_informativeness``.

    Raises
    ------
    InputError : ``factors`` has not one row for every row of ``x``.
    """
    if factors is not None and len(factors) != len(x):
        raise InputError(f"factors must have one row per row of the data, {len(x)}; got {len(factors)}")
    rows = sampled(x, layout)
    chosen = rows.to(x.device)
    beside = [None if values is None else values[chosen.to(values.device)] for values in (given, lengths, weight)]
    probe = Probe(composition, layout, x[chosen], beside[0], beside[1], beside[2], names)
    codes, rebuilt = probe.pass_through(probe.x)
    errors, away = probe.errors_of(rebuilt, probe.flat, probe.weight), probe.astray(rebuilt)
    columns, variance = column_means(errors, probe.known).cpu().numpy(), probe.variance
    error, size = mean_cell(errors, probe.known), codes.shape[1]
    lost = verdicts.share(error, variance)
    apart = verdicts.share(float(away.mean()), probe.spread)
    shares, symbols = structureless_shares(probe), probe.symbols()
    held = restraint(composition)
    living = [unit for unit in range(size) if unit not in held.zeroed]
    copying = copying_verdict(error, variance, *shares, size=size, features=layout.features, restrain=held.more)
    slopes, attracted = sensitivity(probe, size), attraction(probe)
    alone = lone_rows(probe, away, size)
    unused, used = (
        unused_units(probe, codes, living, discrete=symbols is not None),
        activity(codes[:, living].cpu().numpy()),
    )
    kept = neighbours(probe, codes.cpu().numpy(), None if labels is None else np.asarray(labels)[rows.numpy()])
    outside = unreachable(probe.x, output_reach)
    about = about_codes(
        probe, codes, record, living=living, lost=lost, held=held, symbols=symbols,
        prior=prior, factors=None if factors is None else np.asarray(factors)[rows.numpy()],
    )  # fmt: skip
    reported = columns if unit is None else columns * np.square(np.asarray(unit, dtype=np.float64).reshape(-1))
    drawn = "active_units" in about.figures
    fit, copies = fit_verdicts(record, probe, error, held, paid=drawn or symbols is not None), copying.level == "bad"
    judged = (
        *fit,
        copying,
        balance_verdict(slopes, copies=copies, learnt=fit[2].level == "good", held=held),
        attractors_verdict(attracted, len(probe.x)),
        lone_verdict(alone, lost, copies=copies, memorises=fit[1].level),
        numbering_verdict(record, kept, apart, told=given is not None),
        dead_verdict(unused, len(living), len(probe.x), used, held=held, drawn=drawn),
        activity_verdict(used, len(probe.x), held=held),
        neighbours_verdict(kept, size, layout.features, lost, loosen=held.less),
        range_verdict(outside, output_reach, names),
        *about.verdicts,
    )
    if layout.columns is not None:
        judged = tuple(of_tables(verdict, probe) for verdict in judged)
    figures = {
        "rmse": math.sqrt(reported.mean()),
        "scaled_rmse": math.sqrt(error),
        "explained_share": 1 - lost,
        "held_out_error": float(record.held_out_error),
        "train_error": float(record.train_error),
        "mean_error": float(record.mean_error),
        "pca_error": record.pca_error,
        "pca_ratio": record.pca_ratio,
        "shuffled_share": shares[0],
        "noise_share": shares[1],
        "slope_along": slopes.along,
        "slope_across": slopes.across,
        "encoder_slope": slopes.encoder,
        "attracted_share": attracted.at_rows,
        "resting_places": float(attracted.ends),
        "lone_rows": float(alone.rows),
        "lone_ratio": alone.quotient,
        "dead_units": float(len(unused.units)),
        "never_active": float(len(used.never)),
        "always_active": float(len(used.always)),
        "active_per_row": used.active_units,
        "average_activity": used.mean,
        **kept.figures,
        "unreachable_share": float(outside.mean()),
        "parameters": float(sum(weights.numel() for weights in composition.parameters())),
        **about.figures,
    }
    return Diagnosis(judged, figures, about.units)


def fit_verdicts(
    record: FitRecord, probe: Probe, error: float, held: Restraint, *, paid: bool = False
) -> tuple[Verdict, ...]:
    """The verdicts on squared errors, which are hints only where the loss makes another figure small, or where the code
    is ``paid`` for: noise is then rightly left out of it, which PCA keeps."""
    mixed = probe.layout.columns is not None
    found = (
        verdicts.usual_verdict(record, bool(probe.unlike_numbers))
        if mixed
        else verdicts.pca_verdict(record, wide=bool(held)),
        verdicts.memorising_verdict(record, error),
        verdicts.underfitting_verdict(record, loosen=held.less),
        verdicts.rows_verdict(record, error, len(probe.x)),
    )
    why = "" if probe.squared else "Its loss makes another figure small"
    if paid and record.error <= verdicts.UNDERFIT_SHARE * record.mean_error:
        why = why or "It makes the cost of its code small as well"
    if not why:
        return found
    return (verdicts.in_words(found[0], why), found[1], verdicts.in_words(found[2], why), found[3])
