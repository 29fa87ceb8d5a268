"""What to cite for a model."""

from __future__ import annotations

from typing import Any

from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.recipes import RECIPES, Kind
from isthmus.version import VERSION

LIBRARY = """\
@software{isthmus,
  title = {isthmus: autoencoders for data without labels},
  version = {VERSION},
}"""


class Citation(str):
    """Entries for a bibliography; shown line by line where Python would show it as one quoted line."""

    def __repr__(self) -> str:
        return str(self)


def citation(model: Any) -> Citation:
    """The paper that a model's kind comes from, and this library, as BibTeX.

    Parameters
    ----------
    model : an `Autoencoder`, fitted or not, a kind such as ``recipes.contractive()``, or a kind's name.

    Examples
    --------
    >>> citation("contractive")
    @misc{rifai2011contractive,
      author = {Salah Rifai and Pascal Vincent and Xavier Muller and Xavier Glorot and Yoshua Bengio},
      title = {{Contractive auto-encoders: explicit invariance during feature extraction}},
      howpublished = {ICML},
      year = {2011},
    }
    ...
    """
    method = model.method if isinstance(model, Autoencoder) else model
    kind = Kind(method) if isinstance(method, str) else method
    library = LIBRARY.replace("VERSION", VERSION)
    if not isinstance(kind, Kind):
        if not isinstance(model, Autoencoder):
            raise InputError(f"citation: model must be an Autoencoder, a kind or the name of one; got {model!r}")
        return Citation(library)  # a composition of one's own comes from no paper that we know of
    return Citation(f"{RECIPES[kind.name].paper.bibtex()}\n\n{library}")
