"""What a model with a prior over its codes can do: draw new rows, and say how probable rows are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from isthmus.errors import InputError
from isthmus.estimators.priors import codes_of, drawn, fitted_prior, given_of, prior_part, usual_prior
from isthmus.estimators.settings import seed_of, whole
from isthmus.likelihood import Likelihood, RateDistortion, check_random, log_likelihood, rate_and_distortion
from isthmus.records import Batch

ROWS_FOR_DRAWS = 256
"""Rows that are looked at together where each is decoded many times."""


class GenerativeMixin:
    """The methods of `Autoencoder` that need a prior over the codes, or that fit one."""

    prior_: torch.nn.Module | None
    prior_part_: Any

    def fit_prior(self: Any, prior: Any = "mixture", X: Any = None, *, given: Any = None, random_state: Any = 0) -> Any:
        """Fit a prior to the codes of the rows of ``X``, so that a model of any kind can be sampled from.

        Parameters
        ----------
        prior : ``"mixture"`` (of as many normals as the Bayesian information criterion likes), ``"normal"`` (their
            mean and covariance), ``"flow"`` (invertible layers), ``"two_level"`` (a variational autoencoder of the
            codes); ``"vamp"``, where codes are normal distributions (the posteriors of inputs that it learns);
            ``"autoregressive"``, where codes are symbols, as in ``vq_vae`` (one after the other, by a small
            transformer; minutes). Or one with its knobs, such as ``ist.Mixture(30)``. It takes the place of the
            kind's own, if it has one.
        X : rows, best those of the fit.
        given : as in `transform`. Of a mixture and an autoregressive prior, ``sample(given=...)`` then draws codes as
            rows that were given the same have them; the others leave what is given to the decoder.
        random_state : where the fit's randomness comes from.

        Returns
        -------
        self

        Raises
        ------
        InputError : no such prior, no rows, or codes that it is no prior of (symbols, or numbers).

        References
        ----------
        Ghosh et al. 2020, From variational to deterministic autoencoders; Dai & Wipf 2019, Diagnosing and enhancing
        VAE models (two levels); Tomczak & Welling 2018, VAE with a VampPrior; van den Oord, Vinyals & Kavukcuoglu
        2017, Neural discrete representation learning (a prior of symbols).

        Examples
        --------
        >>> import isthmus as ist
        >>> X = ist.data.digits()[0]
        >>> ae = ist.Autoencoder(code_size=8, epochs=2, random_state=0).fit(X).fit_prior("mixture", X)
        >>> ae.sample(3, random_state=0).shape
        (3, 8, 8)
        """
        check_is_fitted(self, "composition_")
        if X is None:
            raise InputError("fit_prior needs rows whose codes the prior is fitted to: fit_prior('mixture', X)")
        part, seed = prior_part(prior), seed_of(random_state)
        generator = torch.Generator(self._device).manual_seed(seed)
        source = self._source(X)
        told = given_of(self.conditions_, self._given(given, source.rows))
        wanted = torch.randperm(source.rows, generator=torch.Generator().manual_seed(seed))
        wanted = wanted[: getattr(part, "components", None) or 1]
        with torch.no_grad():
            batches = (batch for _, _, batch in self._batches(source, given))
            codes = codes_of(self.composition_, batches, wanted.sort().values, generator)
        found, self.prior_part_ = fitted_prior(part, self.composition_, codes, self.form_.layout, seed, told)
        self.prior_ = found.to(self._device)
        return self

    def sample(self: Any, n: int = 1, *, given: Any = None, noise: bool | None = None, random_state: Any = None) -> Any:
        """``n`` new rows, in the data's units, columns and dtype family: codes drawn from the prior, decoded.

        Parameters
        ----------
        n : rows >= 1.
        given : what each new row is given, for models fitted with it; one label or number stands for all.
        noise : True draws from the distribution around the decoder's output that the loss stands for; False gives
            that distribution's mean, or most probable level. None = True for mixed tables, whose levels would else
            never be the rarer ones, False for all others. Of `Multinomial`, whose totals are not modelled: one event,
            or the shares.
        random_state : the same gives the same rows; None = others every time.

        Raises
        ------
        InputError : the kind has no prior and none was fitted.
        """
        check_is_fitted(self, "composition_")
        n = whole("n", n, 1)
        prior = self._prior()
        if prior is None:
            raise InputError(
                "sample: this kind has no prior over its codes. Fit one to the codes of your rows first: "
                f"ae.fit_prior({usual_prior(self.composition_, self.code_size_)!r}, X)"
            )
        conditions = self._given(given, n)
        generator = torch.Generator(self._device).manual_seed(seed_of(random_state))
        shape = self.form_.layout.shape
        noise = self.form_.layout.columns is not None if noise is None else noise
        with torch.no_grad():
            rows = drawn(self.composition_, prior, n, self.code_size_, shape, conditions, generator, noise)
        form = self.form_
        if hasattr(self.composition_.loss, "total"):  # which nothing says of a new row: shares are told
            form = replace(form, dtypes=("float64",))
        return form.wrap(self.scaling_.inverse(rows), index=None)

    def log_likelihood(self: Any, X: Any, draws: int = 200, *, given: Any = None, random_state: Any = 0) -> Likelihood:
        """How probable the rows of ``X`` are, in nats and in the data's own units, by importance sampling.

        Unlike `score`, it compares variational kinds with each other: it is of the rows themselves, not of a bound.
        Pixels that were scaled continuously have densities, binary pixels (``loss=ist.Bernoulli()``) probabilities.

        Parameters
        ----------
        draws : codes per row, >= 1; the more, the closer from below.
        given : as in `transform`.
        random_state : where the draws come from.

        Returns
        -------
        Likelihood
            ``mean`` and its ``standard_error``, ``rows`` (n,) and the ``spread`` of each.

        Raises
        ------
        InputError : the kind draws no codes.
        """
        check_is_fitted(self, "composition_")
        draws = whole("draws", draws, 1)
        check_random(self.composition_, self._prior())
        generator = torch.Generator(self._device).manual_seed(seed_of(random_state))
        rows, spread = [], []
        for _, _, batch in self._batches(self._source(X), given, ROWS_FOR_DRAWS):
            found, errors = log_likelihood(self.composition_, batch, draws, generator, self._prior())
            rows.append((found - self._volume(batch)).cpu().numpy())
            spread.append(errors.cpu().numpy())
        return Likelihood(np.concatenate(rows), np.concatenate(spread), draws)

    def rate_distortion(self: Any, X: Any, *, given: Any = None, random_state: Any = 0) -> RateDistortion:
        """What the codes of the rows cost (``rate``) and what rebuilding from them loses (``distortion``), (n,) nats.

        Their sum is minus the bound that a variational kind is trained by; of kinds whose codes cost nothing, the
        rate is 0; of codebooks it holds the commitment. The distortion is in the data's own units, as the scores are.
        A prior fitted afterwards changes neither, nor the scores; it changes `sample` and `log_likelihood`.

        References
        ----------
        Alemi et al. 2018, Fixing a broken ELBO.
        """
        check_is_fitted(self, "composition_")
        generator = torch.Generator(self._device).manual_seed(seed_of(random_state))
        rates, distortions = [], []
        for _, _, batch in self._batches(self._source(X), given):
            rate, distortion = rate_and_distortion(self.composition_, batch, generator)
            rates.append(rate.double().cpu().numpy())
            distortions.append((distortion.double() + self._volume(batch)).cpu().numpy())
        return RateDistortion(np.concatenate(rates), np.concatenate(distortions))

    def _prior(self: Any) -> Any:
        """The prior fitted afterwards, or the kind's own, or None."""
        return self.composition_.prior if self.prior_ is None else self.prior_

    def _volume(self: Any, batch: Batch) -> float | torch.Tensor:
        """What the scaling adds to the cost of the rows, so that it is of a density in the data's units."""
        if getattr(self.composition_.loss, "on_sphere", False):
            return 0.0
        scaling = self._scaling_of(batch.layout)
        if scaling.bent.any():  # then every cell has a slope of its own
            slopes = scaling.log_slope(batch.x)
            return (slopes if batch.weight is None else slopes * batch.weight).sum(1)
        if batch.weight is None:
            return scaling.log_volume
        return batch.weight.flatten(1) @ torch.from_numpy(scaling.log_scale).to(batch.weight)
