"""How the layers of a network are trained one by one, from the data towards the code, before all are trained as one.

A deep network that starts from random weights may find its lower layers hard to move; started from layers that each
rebuild what lies below them, it does not. `pretraining.py` does the work; these are the ways to ask for it.
"""

from __future__ import annotations

from typing import Any

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.records import part


def check_pace(name: str, epochs: int | None, learning_rate: float | None) -> None:
    if epochs is not None and (not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1):
        raise InputError(f"{name}: epochs must be a whole number >= 1, or None for about 3,000 steps; got {epochs!r}")
    if learning_rate is not None and not (is_real(learning_rate) and learning_rate > 0):
        raise InputError(f"{name}: learning_rate must be > 0, or None for the usual one; got {learning_rate!r}")


@part
class Greedy:
    """Train every layer as a one-layer autoencoder on the outputs of the layers below.

    Plain layers (Bengio et al. 2007, "Greedy layer-wise training of deep networks") with neither corruption nor
    penalty, denoising ones (Vincent et al. 2010, "Stacked denoising autoencoders") with a corruption, sparse ones
    with a penalty; or, in a convolutional network, blocks of convolutions (Masci et al. 2011, "Stacked convolutional
    auto-encoders for hierarchical feature extraction"), and above them the linear maps to a vector code. Layers read
    nothing beside their input: what rows are given is left to the training that follows.

    A recurrent network has no such layers: the state that its decoder begins with is made from the code for all of its
    layers at once, so that what one of them has learnt alone would fit nowhere.

    Parameters
    ----------
    corruption : what is done to every layer's input while that layer is trained, e.g. ``Mask(0.25)``; None = nothing.
        Upper layers of a dense network see no images: one that needs them suits a single layer only, or blocks of
        convolutions, whose output is seen as images are. None is told of it.
    penalties : what is added to every layer's objective, e.g. ``(L1(0.1),)``; ``layer="code"``, the only one there is,
        means its units.
    epochs : times through the rows for each layer; None = about 3,000 steps.
    learning_rate : None = the kind's own.

    Examples
    --------
    >>> Greedy(epochs=20)
    Greedy(epochs=20)
    """

    corruption: Any = None
    penalties: tuple[Any, ...] = ()
    epochs: int | None = None
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        check_pace("Greedy", self.epochs, self.learning_rate)
        if self.corruption is not None and (isinstance(self.corruption, type) or not callable(self.corruption)):
            raise InputError(f"Greedy: corruption must be a part such as Mask(0.25), or None; got {self.corruption!r}")
        several = self.penalties if isinstance(self.penalties, (tuple, list)) else (self.penalties,)
        if any(isinstance(penalty, type) or not hasattr(penalty, "weight") for penalty in several):
            raise InputError(f"Greedy: penalties must be parts such as L1(0.1); got {self.penalties!r}")
        for penalty in several:
            if getattr(penalty, "layer", "code") != "code":
                raise InputError(
                    "Greedy: penalties must have layer='code': every layer is trained alone, and that means its units; "
                    f"got {penalty!r}. Leave layer out, or put this penalty on the whole network: "
                    "Autoencoder(penalties=...)"
                )
        object.__setattr__(self, "penalties", tuple(several))


@part
class Boltzmann:
    """Train every layer of a dense network as a restricted Boltzmann machine, by contrastive divergence.

    Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks". The units of the layers
    must be sigmoid ones, but the code may be linear, as in the paper. The visible units of the lowest machine follow
    from what the decoder can give: Bernoulli for values in [0, 1] (a `Bernoulli` loss, or a sigmoid or bounded output),
    Gaussian of variance 1 for others.

    Parameters
    ----------
    steps : steps of Gibbs sampling after which the machine's own row is compared with the data's, >= 1.
    epochs : times through the rows for each layer; None = about 3,000 steps.
    learning_rate : of the machines.

    Examples
    --------
    >>> Boltzmann(steps=3)
    Boltzmann(steps=3)
    """

    steps: int = 1
    epochs: int | None = None
    learning_rate: float | None = 5e-3

    def __post_init__(self) -> None:
        check_pace("Boltzmann", self.epochs, self.learning_rate)
        if not isinstance(self.steps, int) or isinstance(self.steps, bool) or self.steps < 1:
            raise InputError(f"Boltzmann: steps must be a whole number >= 1; got {self.steps!r}")
