"""Rows drawn through codes: a prior says which codes are frequent, and an autoencoder decodes them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.data import Form, Source
from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.code_map import CodeMap
from isthmus.estimators.inpainting import STARTS, painted
from isthmus.estimators.priors import alphabet_of, given_of, usual_prior
from isthmus.estimators.walks import along_density, spherical, straight, varied
from isthmus.records import Context, Site

CELLS_AT_ONCE = 2**22
"""Cells that are decoded together."""

WALKED = (2.5, 97.5)
"""The percentiles of the fit's codes between which a unit is moved."""


@dataclass
class CodesDrawn:
    """Draws rows, and walks among them, through the codes of a fitted autoencoder.

    Attributes
    ----------
    model : the autoencoder, with a prior.
    map : where codes lie, which walks go by, whatever the prior; None where codes are symbols.
    ends : (2, code_size) between which the codes of the fit lie, but for the last twentieth of each unit.
    """

    model: Autoencoder
    map: CodeMap | None
    ends: Tensor

    @classmethod
    def fit(cls, model: Autoencoder, source: Source, prior: Any, given: Any, seed: int) -> CodesDrawn:
        """From a fitted autoencoder, which is not changed, and rows whose codes the prior and the map are fitted to.

        Parameters
        ----------
        prior : as for `Autoencoder.fit_prior`; ``"auto"`` keeps the one that the autoencoder has.
        """
        model = copy.copy(model)
        told: dict[str, Any] = {"given": given, "random_state": seed}
        if not isinstance(prior, str) or prior != "auto":
            model.fit_prior(prior, source, **told)
        elif lacks_prior(model):
            model.fit_prior(usual_prior(model.composition_, model.code_size_), source, **told)
        codes = torch.from_numpy(model.transform(source, given=given))
        ends = torch.from_numpy(np.percentile(codes.numpy(), WALKED, axis=0).astype(np.float32))
        if has_symbols(model):
            return cls(model, None, ends)
        beside = given_of(model.conditions_, model._given(given, source.rows))
        found = CodeMap.of(codes, torch.Generator().manual_seed(seed), beside)
        return cls(model, found.to(model._device), ends)

    def to_walk(self, verb: str) -> CodeMap:
        """The map, or a word on what has none."""
        if self.map is None:
            raise InputError(
                f"{verb}: this autoencoder's codes are symbols, and between symbols there is no step, no line and no "
                "middle. Use a kind whose codes are numbers, such as 'undercomplete' or 'vae'; sample draws from this "
                "one, too"
            )
        return self.map

    # ------------------------------------------------------------------ rows and codes

    def codes(self, source: Source, given: Any) -> Tensor:
        """(rows, code_size)."""
        return torch.from_numpy(self.model.transform(source, given=given)).to(self.model._device)

    def told(self, given: Any, rows: int) -> Tensor | None:
        """(rows, conditions) what rows are given."""
        found = self.model._given(given, rows)
        return None if found is None else found.to(self.model._device)

    @torch.no_grad()
    def rows(self, codes: Tensor, told: Tensor | None) -> Any:
        """The rows that codes (n, code_size) stand for, in the user's form; ``told`` may be of one row, for all."""
        model, made = self.model, []
        layout, composition = model.form_.layout, model.composition_
        if told is not None:
            told = told.expand(len(codes), -1)
        some = max(1, CELLS_AT_ONCE // layout.features)
        for start in range(0, len(codes), some):
            here = slice(start, start + some)
            context = Context(layout.shape, given=None if told is None else told[here])
            made.append(model.scaling_.inverse(composition.rebuild(codes[here], context).cpu()))
        form = model.form_
        if hasattr(composition.loss, "total"):  # which nothing says of a new row: shares are told
            form = replace(form, dtypes=("float64",))
        return form.wrap(self.in_range(np.concatenate(made)), index=None)

    def in_range(self, values: Any) -> Any:
        """Of pictures, numbers in the user's units cut to the range of those of the fit: a pixel has no more light."""
        scaling = self.model.scaling_
        if self.model.form_.layout.axes[:2] != ("height", "width") or not isinstance(values, np.ndarray):
            return values
        return values.clip(scaling.low.min(), scaling.high.max()).astype(values.dtype, copy=False)

    # ------------------------------------------------------------------ walks

    def vary(self, source: Source, n: int, spread: float, given: Any, generator: torch.Generator) -> Any:
        """``n`` rows near each: those of the first, then those of the second, ..."""
        place = self.to_walk("vary")
        codes, told = self.codes(source, given).repeat_interleave(n, 0), self.told(given, source.rows)
        told = None if told is None else told.repeat_interleave(n, 0)
        return self.rows(varied(place, codes, spread, generator, told), told)

    def interpolate(self, first: Source, last: Source, steps: int, path: str, given: Any) -> Any:
        """``steps`` rows from one to another, both included."""
        place, told = self.to_walk("interpolate"), self.told(given, 1)
        a, b = ((self.codes(one, given)[0] - place.middle) / place.spread for one in (first, last))
        if path == "density":
            codes = along_density(place, a, b, steps, told)
        else:
            codes = (spherical if path == "spherical" else straight)(a, b, steps)
        return self.rows(place.middle + place.spread * codes, told)

    def traverse(self, source: Source, unit: int, steps: int, given: Any) -> Any:
        """``steps`` rows whose codes differ in one unit, which goes through what it was in the fit."""
        self.to_walk("traverse")
        codes = self.codes(source, given).repeat(steps, 1)
        low, high = self.ends[:, unit].tolist()
        codes[:, unit] = torch.linspace(low, high, steps, device=codes.device)
        return self.rows(codes, self.told(given, 1))

    def prototype(self, source: Source, given: Any) -> Any:
        """One row, of the mean code."""
        self.to_walk("prototype")
        return self.rows(self.codes(source, given).mean(0, keepdim=True), self.told(given, 1))

    def arithmetic(self, source: Source, minus: Source, plus: Source, strength: float, given: Any) -> Any:
        """The rows, moved by what two groups differ by in the mean."""
        self.to_walk("arithmetic")
        step = self.codes(plus, given).mean(0) - self.codes(minus, given).mean(0)
        return self.rows(self.codes(source, given) + strength * step, self.told(given, source.rows))

    def inpaint(
        self, source: Source, hidden: np.ndarray, draws: int, given: Any, generator: torch.Generator
    ) -> np.ndarray:
        """(rows * draws, *shape) numbers in the user's units: what is not ``hidden`` (rows, *shape) as it is."""
        place, model = self.to_walk("inpaint"), self.model
        conditions, made = model._given(given, source.rows), []
        rows = np.repeat(np.arange(source.rows), draws)
        for some in np.array_split(rows, -(-len(rows) // max(1, CELLS_AT_ONCE // (STARTS * source.layout.features)))):
            batch, gone = model._batch(source, some, conditions), hidden[some]
            known = torch.from_numpy(~gone).to(batch.x)
            batch = replace(batch, weight=known if batch.weight is None else known * batch.weight)
            found = painted(model.composition_, place, batch, generator).cpu()
            values = self.in_range(model._scaling_of(source.layout).inverse(found))
            made.append(np.where(gone, values, source.take(some)))
        return np.concatenate(made)

    # ------------------------------------------------------------------ files

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON data and named tensors, without the model."""
        weights = {} if self.map is None else self.map.state_dict()
        return {"map": self.map is not None}, {"ends": self.ends} | {f"map.{k}": v for k, v in weights.items()}

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, Tensor], models: list[Autoencoder], form: Form) -> Any:
        """The inverse of `state`."""
        found = None
        if body["map"]:
            found = CodeMap(None, Site(code_size=models[0].code_size_)).eval()
            found.load_state_dict({k.removeprefix("map."): v for k, v in tensors.items() if k.startswith("map.")})
        return cls(models[0], found, tensors["ends"])


def has_symbols(model: Autoencoder) -> bool:
    """Whether codes are symbols."""
    return alphabet_of(model.composition_, model.code_size_) is not None


def lacks_prior(model: Autoencoder) -> bool:
    """Whether nothing is known of which codes are frequent: there is no prior, or one that calls all symbols alike."""
    return model.prior_ is None and (model.composition_.prior is None or has_symbols(model))
