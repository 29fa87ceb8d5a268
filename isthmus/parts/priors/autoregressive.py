"""Discrete codes, symbol by symbol: a small transformer says how probable each is after those before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checks import check_whole
from isthmus.errors import InputError
from isthmus.parts.priors.alphabet import Alphabet
from isthmus.parts.priors.causal import Causal
from isthmus.parts.priors.fitting import Given, Pace, check_size, checked, climbed, told
from isthmus.records import NOWHERE, Context, Site, part

ROWS, RATE, LONGEST = 64, 2e-3, 1.0
"""Rows in a step, the rate of Adam, and the longest gradient of a step."""

SYMBOLS, LEAST_STEPS, MOST_STEPS = 3_000_000, 400, 3000
"""Symbols that a fit looks at, and the steps that this comes to at least and at most: four minutes on one core for
codes of 49 symbols, less for shorter ones."""

HELD_OUT, LOOKS = 512, 20
"""Rows at most that say when to stop, and how often they are asked."""

UNTOLD = 0.1
"""The share of rows which a fit is not told what they are given, so that draws may do without it."""

AT_ONCE = 2**24
"""Numbers of logits held at once outside of a fit."""


@part
class Autoregressive:
    """The symbols of a discrete code come one after the other, each as those before it say.

        log p(index) = sum over i of log p(index_i | index_1, .., index_(i - 1))

    Maps are read row by row. It begins as symbols that are independent of each other, each as frequent at its place as
    among the rows of the fit, and is then taught by Adam, a tenth of the rows held out and the weights that served
    those best kept. For kinds whose codes are symbols: ``vq_vae``, ``residual_vq``, ``finite_scalar``, ``binary``,
    ``categorical``; it is fitted afterwards.

    Parameters
    ----------
    width : numbers that stand for a symbol within, >= 1.
    layers : >= 1 layers of attention.

    Notes
    -----
    Probabilities are exact, in nats per code. What rows are given is read before the first symbol. One fit looks at
    about three million symbols, four minutes on one core for 20,000 maps of 49 symbols of 512 entries.

    References
    ----------
    van den Oord, Vinyals & Kavukcuoglu 2017, Neural discrete representation learning (a prior of the symbols, fitted
    afterwards); Vaswani et al. 2017, Attention is all you need; Esser, Rombach & Ommer 2021, Taming transformers for
    high-resolution image synthesis.

    Examples
    --------
    >>> prior = Autoregressive(width=8, layers=1).build(Site(code_size=3))
    >>> prior.read(Alphabet(torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1)))
    >>> prior.log_prob(torch.zeros(1, 3)).exp().item(), prior.sample(4, 3, torch.Generator()).shape
    (0.125, torch.Size([4, 3]))
    """

    width: int = 128
    layers: int = 2

    def __post_init__(self) -> None:
        check_whole("Autoregressive", width=self.width, layers=self.layers)

    def build(self, site: Site = NOWHERE) -> SymbolBySymbol:
        return SymbolBySymbol(self, site)


class SymbolBySymbol(nn.Module):
    """The module behind `Autoregressive`; ``read(alphabet)`` tells it what it is a prior of, before all else."""

    reads_given = True

    def __init__(self, part: Autoregressive, site: Site) -> None:
        super().__init__()
        if site.code_size < 1:
            raise InputError("Autoregressive: it is fitted afterwards: ae.fit_prior('autoregressive', X)")
        self.part, self.size = part, site.code_size
        self.seed = int(torch.randint(2**62, (1,), generator=site.source, device=site.source.device))
        self.alphabet: Any = None
        self.network: Any = None

    def read(self, alphabet: Alphabet, conditions: int = 0) -> None:
        """Take codes made of an alphabet, of rows that are given so many ``conditions``."""
        source = torch.Generator().manual_seed(self.seed)
        self.alphabet = alphabet
        self.network = Causal(self.part.width, self.part.layers, alphabet, self.size, conditions, source)
        self.network.to(alphabet.entries)

    def ready(self) -> Causal:
        if self.network is None:
            raise InputError(
                "Autoregressive: it is a prior of codes that are symbols, such as those of 'vq_vae', and is fitted "
                "afterwards, ae.fit_prior('autoregressive', X); of other codes use 'mixture'"
            )
        return self.network

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """(..., size) -> (...,) nats, of the symbols that the codes are nearest to."""
        self.ready()
        check_size(z.shape[-1], self.size)
        given = None if context is None else told(context.given, z)
        index = self.alphabet.indexes(z.reshape(-1, self.size))
        return self.log_prob_of(index, given).reshape(z.shape[:-1]).to(z.dtype)

    def log_prob_of(self, index: Tensor, given: Tensor | None = None) -> Tensor:
        """(n, symbols) int64 -> (n,) nats, of rows that are ``given`` (n, conditions)."""
        network, found = self.ready(), []
        for some in torch.arange(len(index), device=index.device).split(self.rows_at_once(index.shape[1])):
            beside = None if given is None else given[some]
            found.append(network.log_prob(index[some], beside).sum(1))
        return torch.cat(found)

    def rows_at_once(self, symbols: int) -> int:
        return max(1, AT_ONCE // (symbols * max(self.alphabet.most, 8 * self.part.width)))

    def sample(self, n: int, code_size: int, generator: torch.Generator, context: Context | None = None) -> Tensor:
        """(n, code_size), each made of entries of the alphabet."""
        network = self.ready()
        check_size(code_size, self.size)
        given, rows = None if context is None else context.given, []
        with torch.no_grad():
            for some in torch.arange(n).split(self.rows_at_once(network.symbols)):
                beside = None if given is None else given[some.to(given.device)]
                rows.append(self.alphabet.points(network.drawn(len(some), beside, generator)))
        return torch.cat(rows)

    def fit(self, codes: Tensor, generator: torch.Generator, given: Given | None = None) -> None:
        """Fit, in place, to codes (n, size) made of the alphabet.

        Raises
        ------
        InputError : no alphabet was read, no rows, NaN, or a size that is not the prior's.
        """
        self.ready()
        self.fit_symbols(self.alphabet.indexes(checked(codes, self.size).to(self.alphabet.entries)), generator, given)

    def fit_symbols(self, index: Tensor, generator: torch.Generator, given: Given | None = None) -> None:
        """The same, to symbols (n, symbols) int64: of sums of entries, codes alone need not tell which they were."""
        values = None if given is None else given.values.to(self.alphabet.entries)
        self.read(self.alphabet, 0 if values is None else values.shape[1])
        network = self.ready()
        index = index.to(self.alphabet.entries.device)
        if index.ndim != 2 or not len(index) or index.shape[1] != network.symbols:
            raise InputError(f"codes: must be (n, {network.symbols}) symbols of one row or more; got {index.shape}")
        network.begin(index)

        def density(rows: Tensor, source: torch.Generator) -> Tensor:
            some = index[rows]
            if values is None:
                return network.log_prob(some).sum(1)
            untold = torch.rand(len(rows), generator=source, device=rows.device) < UNTOLD
            return network.log_prob(some, values[rows], untold).sum(1)

        steps = min(MOST_STEPS, max(LEAST_STEPS, SYMBOLS // (ROWS * network.symbols)))
        pace = Pace(steps, steps // LOOKS, ROWS, RATE, LONGEST, HELD_OUT)
        climbed(list(network.parameters()), density, len(index), generator, pace)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        # The alphabet, and how many conditions there are, is known by the fit, and so by its state alone.
        entries = state_dict.get(f"{prefix}alphabet.entries")
        if entries is not None:
            conditions = state_dict.get(f"{prefix}network.given")
            alphabet = Alphabet(entries, state_dict[f"{prefix}alphabet.sizes"])
            self.read(alphabet, 0 if conditions is None else conditions.shape[1])
        super()._load_from_state_dict(state_dict, prefix, *rest)
