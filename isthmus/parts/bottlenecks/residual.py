"""Residual vector quantisation: several books, each of which quantises what those before it left."""

from __future__ import annotations

from isthmus.checks import check_whole
from isthmus.parts.bottlenecks.codebook import Codebook
from isthmus.parts.bottlenecks.discrete import STRAIGHT_THROUGH
from isthmus.parts.bottlenecks.quantised import Quantised
from isthmus.records import NOWHERE, Site, part


@part
class ResidualCodebook:
    """Add up one entry of each of several books: the first is next to the vector, the others to what is left of it.

        r_0 = h,    e_l = the entry of book l nearest to r_l,    r_(l+1) = r_l - e_l,    z = sum of e_l

    With K entries and L levels a symbol says L log(K) nats, and only L K entries are searched and learned, where one
    book would need K^L. One level is a `Codebook`.

    Parameters
    ----------
    levels : books, >= 1.
    codebook : how each of them is. Where it names no width, a symbol has up to 8 numbers, 4 if there is one level.

    Notes
    -----
    Sums of entries that are quantised again may come out otherwise, so a point is decoded as it is, even where no sum
    of entries equals it.

    References
    ----------
    Juang & Gray 1982, Multiple stage vector quantization for speech coding; Zeghidour et al. 2021, SoundStream: an
    end-to-end neural audio codec.

    Examples
    --------
    >>> import torch
    >>> from isthmus.records import Context
    >>> books = ResidualCodebook(3, Codebook(entries=4)).build(Site(code_size=6))
    >>> books(torch.zeros(2, 6), Context(shape=(8,))).index.shape
    torch.Size([2, 3])
    """

    levels: int = 4
    codebook: Codebook = Codebook(entries=256)

    estimates_gradient = STRAIGHT_THROUGH

    def __post_init__(self) -> None:
        check_whole("ResidualCodebook", levels=self.levels)

    def build(self, site: Site = NOWHERE) -> Quantised:
        return Quantised(self.codebook, site, self.levels)
