"""Vector quantisation: a code of symbols, each an entry of a book that is learned."""

from __future__ import annotations

import math

from isthmus.checks import is_real, is_whole
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.discrete import STRAIGHT_THROUGH
from isthmus.parts.bottlenecks.quantised import Quantised
from isthmus.records import NOWHERE, Site, part

STARTS = ("data", "random")


@part
class Codebook:
    """Cut the code into symbols of ``width`` numbers, and replace each by the nearest entry of one book.

        cost = symbols log(entries) + commitment |h - e|^2 / s^2 nats

    The first term is what symbols cost that are written down as they are; the second keeps the encoder near the
    entries it chose, whose mean square is s^2, so that it means the same whatever the code's scale. The entries follow
    the vectors they are chosen for as running means; the decoder's gradient is handed on to the encoder as it is.

    Parameters
    ----------
    entries : in the book, >= 2.
    width : numbers to a symbol, which divides the code's size; None (default): the largest divisor up to 4. Wide
        symbols are few, and say little.
    commitment : >= 0, in nats per s^2; digits and pixels come out much the same from 1 to 10.
    decay : of the running means, in [0, 1).
    start : ``"data"`` (k-means of the first rows' codes) or ``"random"`` (normal numbers, to compare with: of wide
        symbols, most of a book is then never used unless it is revived).
    revive : an entry that is used less than this many times the fair share, 1 / entries, is put onto a code drawn at
        random; in [0, 1), 0 = never.

    Raises
    ------
    InputError : a number is out of its range, or the width does not divide the code.

    References
    ----------
    van den Oord, Vinyals & Kavukcuoglu 2017, Neural discrete representation learning; see `Book`.

    Examples
    --------
    >>> import torch
    >>> from isthmus.records import Context
    >>> code = Codebook(entries=4).build(Site(code_size=6))(torch.zeros(3, 6), Context(shape=(8,)))
    >>> code.z.shape, code.index.shape
    (torch.Size([3, 6]), torch.Size([3, 2]))
    """

    entries: int = 512
    width: int | None = None
    commitment: float = 4.0
    decay: float = 0.95
    start: str = "data"
    revive: float = 0.1

    estimates_gradient = STRAIGHT_THROUGH

    def __post_init__(self) -> None:
        for name, least in (("entries", 2), ("width", 1)):
            value = getattr(self, name)
            if not (is_whole(value) and value >= least) and (name, value) != ("width", None):
                raise InputError(f"Codebook: {name} must be a whole number >= {least}; got {value!r}")
        for name, most in (("commitment", math.inf), ("decay", 1), ("revive", 1)):
            value = getattr(self, name)
            if not (is_real(value) and 0 <= value < most):
                raise InputError(f"Codebook: {name} must be >= 0 and below {most}; got {value!r}")
        if self.start not in STARTS:
            raise InputError(f"Codebook: start must be one of {', '.join(STARTS)}; got {self.start!r}")

    def build(self, site: Site = NOWHERE) -> Quantised:
        return Quantised(self, site)
