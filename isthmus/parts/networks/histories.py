"""Long rows that are nearly all 0, who took which of many items: a network for them, and how items are hidden."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checks import is_whole
from isthmus.errors import InputError
from isthmus.parts.networks.dense import Dense, DenseDecoder, DenseEncoder
from isthmus.parts.schedules import Between, Strength, at, bounds
from isthmus.records import Batch, Context, Layout, Pass, Seen, part


@part
class Histories:
    """A dense encoder whose first layer adds up only the weights of what is there, and a decoder with its own widths.

    Rows are scaled to length 1 before it, as histories are of very different lengths. The first layer takes time that
    grows with the entries that are not 0, and no more with the features; it is the same linear map.

    Parameters
    ----------
    dense : the encoder's layers; also the activation, the norm and the dropout of the decoder's.
    decoder : the widths of the decoder's hidden layers, from the code towards the data; ``()`` makes it one linear
        map, so that every item has a row of its own that codes are compared with.

    References
    ----------
    Liang et al. 2018, "Variational autoencoders for collaborative filtering", whose layers these are.

    Examples
    --------
    >>> network = Histories(Dense((600,), "tanh"))
    >>> encoder, decoder = network.build(Layout((5000,), ("column",)), hidden_size=200, code_size=200, out_size=5000,
    ...                                  generator=torch.Generator().manual_seed(0))
    >>> encoder(torch.zeros(2, 5000), Context((5000,))).shape
    torch.Size([2, 200])
    """

    dense: Dense = Dense((600,), "tanh")
    decoder: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        widths = self.decoder if isinstance(self.decoder, (tuple, list)) else (self.decoder,)
        if not all(is_whole(width) and width > 0 for width in widths):
            raise InputError(f"Histories: decoder must be whole numbers > 0, e.g. (600,), or (); got {self.decoder!r}")
        object.__setattr__(self, "decoder", tuple(widths))
        if self.dense.tied or self.dense.linear_path:
            raise InputError("Histories: dense must be neither tied nor have a linear path: its first layer is sparse")

    def resolve(self, features: int, code_size: int) -> Histories:
        """The same network with every width a number of units."""
        return replace(self, dense=self.dense.resolve(features, code_size))

    def build(
        self,
        layout: Layout,
        hidden_size: int,
        code_size: int,
        out_size: int,
        generator: torch.Generator,
        given_size: int = 0,
    ) -> tuple[HistoryEncoder, DenseDecoder]:
        """Make encoder and decoder, as `Dense.build` does; only the decoder reads what is given."""
        encoder = HistoryEncoder(self.dense, layout.features, hidden_size, generator)
        mirrored = replace(self.dense, hidden=self.decoder[::-1])
        return encoder, DenseDecoder(mirrored, code_size, out_size, generator, given_size)


class SparseLinear(nn.Module):
    """``x W + b`` for rows with few entries; ``weight`` is (features, outputs), a row for each feature."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().T.contiguous())
        self.bias = nn.Parameter(layer.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.nonzero(as_tuple=True)
        # Where each row's entries begin: those of the rows before it, counted.
        starts = torch.bincount(rows, minlength=len(x)).cumsum(0).roll(1)
        starts[:1] = 0
        values = x[rows, columns]
        return F.embedding_bag(columns, self.weight, starts, mode="sum", per_sample_weights=values) + self.bias


class HistoryEncoder(DenseEncoder):
    """``encoder(x, context) -> hidden``: (n, features) -> (n, hidden_size); a row of zeros is left as it is."""

    def __init__(self, network: Dense, features: int, hidden_size: int, generator: torch.Generator) -> None:
        super().__init__(network, features, hidden_size, generator)
        first = self.linear[0]
        assert isinstance(first, nn.Linear)
        self.linear[0] = SparseLinear(first)

    def forward(self, x: Tensor, context: Context) -> Tensor:  # type: ignore[override]  # as DenseEncoder's
        return super().forward(F.normalize(x.flatten(1)), context)


@part
class HideItems:
    """Hide some of a row's items from the encoder, and ask for these alone.

    An item that is hidden counts in the loss as one that is not there; one that is shown leaves it (with `Multinomial`
    it leaves the softmax), so that what is learnt is to rank all items that are not in the history shown.

    Parameters
    ----------
    fraction : share of each row's items, in [0, 1]: a number, a schedule, or a range of which each row draws its own.

    Examples
    --------
    >>> batch = Batch(torch.tensor([[1.0, 1.0, 0.0]]), Layout((3,), ("column",)))
    >>> seen = HideItems(1.0)(batch, Pass(torch.Generator()))
    >>> seen.x.tolist(), seen.weight.tolist()
    ([[0.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]])
    """

    fraction: Strength = Between(0.2, 0.8)

    def __post_init__(self) -> None:
        low, high = bounds(self.fraction)
        if not (low >= 0 and high <= 1):
            raise InputError(f"HideItems: fraction must be in [0, 1]; got {self.fraction!r}")

    def __call__(self, batch: Batch, pass_: Pass) -> Seen:
        x = batch.x
        if isinstance(self.fraction, Between):
            share = self.fraction.draw(len(x), pass_, x)[:, None]
        else:
            share = x.new_full((len(x), 1), at(self.fraction, pass_.epoch))
        drawn = torch.rand(x.shape, generator=pass_.generator, device=x.device, dtype=x.dtype)
        shown = torch.where(drawn < share, torch.zeros_like(x), x)
        return Seen(shown, (x != 0) & (shown == 0), weight=(shown == 0).to(x.dtype))
