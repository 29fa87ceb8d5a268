"""The plain bottleneck: the code is the encoder's output, squashed if wanted."""

from __future__ import annotations

from torch import Tensor

from isthmus.errors import InputError
from isthmus.parts.activations import ACTIVATIONS
from isthmus.records import Code, Context, part


@part
class Plain:
    """Hand the encoder's output to the decoder; nothing is paid for the code.

    Parameters
    ----------
    activation : what squashes the code: ``"identity"`` (any number), ``"sigmoid"`` (0..1), ``"tanh"`` (-1..1),
        ``"relu"`` (>= 0), or another name that `Dense` knows.

    Examples
    --------
    >>> import torch
    >>> Plain("sigmoid")(torch.zeros(1, 2), Context(shape=(4,))).z
    tensor([[0.5000, 0.5000]])
    """

    activation: str = "identity"

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise InputError(f"Plain: activation must be one of {', '.join(ACTIVATIONS)}; got {self.activation!r}")

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit for a code of ``code_size``."""
        return code_size

    def __call__(self, hidden: Tensor, context: Context) -> Code:
        z = ACTIVATIONS[self.activation](hidden)
        return Code(z=z, point=z.flatten(1))
