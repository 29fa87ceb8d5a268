"""The recurrent network: a sequence is read step by step into a code, and written out again from it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checks import check_whole
from isthmus.errors import InputError
from isthmus.parts.activations import ACTIVATIONS
from isthmus.parts.networks.common import Output, given_to, numbers_per_cell, told_level
from isthmus.parts.networks.dense import linear_layer
from isthmus.parts.networks.steps import CELLS, State, last_valid, recurrent_layers, run, turned, valid_steps
from isthmus.records import Context, Layout, part

EMBEDDED = 64
"""Numbers that stand for a category in the network's input, at most."""


@part
class Recurrent:
    """An LSTM or GRU that reads a sequence into its last state, and one that writes it out from the code.

    Rows are sequences along their first axis: (n, steps), (n, steps, channels), or with more axes, all of which are
    channels of a step (the pixels of a frame). The number of steps is never part of the network: it reads sequences
    of any length and writes as many steps as the row has.

    Parameters
    ----------
    hidden : units of every layer and direction, >= 1.
    layers : layers of the encoder and of the decoder, >= 1.
    cell : ``"lstm"`` or ``"gru"``.
    bidirectional : if True the encoder also reads from the last valid step to the first, with weights of its own.
    teacher_forcing : if True the decoder reads, beside the code, the step before the one it writes: in training the
        true one, otherwise its own output. If False it reads the code alone.
    reverse_output : if True the decoder writes from the last valid step to the first, so that it begins with what
        the encoder has read last; the output is handed on in the right order.
    steps_at_once : steps that are read, and written, together, >= 1: with 8 of them a sequence of 256 steps is one
        of 32 for the layers, which makes long ones many times faster, and easier to learn.
    output_activation : applied to the output, in scaled units. ``"bounded"`` is a sigmoid stretched over the range
        of each channel.

    Notes
    -----
    Where ``context.lengths`` is given, a code depends on the valid steps alone, whatever the padding holds and however
    long it is; without lengths every step is valid.

    With ``teacher_forcing`` the decoder feeds on its own output outside training, as it does wherever no teacher comes.
    It does not know the loss: of several numbers per cell it reads the first, of categories the most probable. That is
    the expected step for losses whose first number is the mean, such as `Squared`; for a loss that wants logits
    (`Bernoulli`) what it reads is not what it was shown, and a decoder without a teacher serves better. A strong
    teacher also lets a decoder do without the code.

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory". Cho et al. 2014, "Learning phrase representations using
    RNN encoder-decoder". Sutskever, Vinyals & Le 2014, "Sequence to sequence learning with neural networks".
    Srivastava, Mansimov & Salakhutdinov 2015, "Unsupervised learning of video representations using LSTMs".

    Examples
    --------
    >>> network = Recurrent(hidden=64, bidirectional=True)
    >>> layout = Layout((20, 3), ("step", "channel"))
    >>> encoder, decoder = network.build(layout, hidden_size=8, code_size=8, out_size=60,
    ...                                  generator=torch.Generator().manual_seed(0))
    >>> encoder(torch.zeros(2, 20, 3), Context((20, 3))).shape
    torch.Size([2, 8])
    >>> decoder(torch.zeros(2, 8), Context((35, 3))).shape
    torch.Size([2, 35, 3])
    """

    hidden: int = 64
    layers: int = 1
    cell: str = "lstm"
    bidirectional: bool = False
    teacher_forcing: bool = False
    reverse_output: bool = False
    steps_at_once: int = 1
    output_activation: str = "identity"

    any_length = True

    def __post_init__(self) -> None:
        check_whole("Recurrent", hidden=self.hidden, layers=self.layers, steps_at_once=self.steps_at_once)
        for name, known in (("cell", tuple(CELLS)), ("output_activation", (*ACTIVATIONS, "bounded"))):
            if getattr(self, name) not in known:
                raise InputError(f"Recurrent: {name} must be one of {', '.join(known)}; got {getattr(self, name)!r}")
        for name in ("bidirectional", "teacher_forcing", "reverse_output"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise InputError(f"Recurrent: {name} must be True or False; got {getattr(self, name)!r}")

    def resolve(self, features: int, code_size: int) -> Recurrent:
        """The same network: its sizes do not follow from the data."""
        return self

    def build(
        self,
        layout: Layout,
        hidden_size: int,
        code_size: int,
        out_size: int,
        generator: torch.Generator,
        given_size: int = 0,
        told: bool = False,
        categories: int = 0,
    ) -> tuple[RecurrentEncoder, RecurrentDecoder]:
        """Make encoder and decoder, with fresh weights drawn from ``generator``; the arguments are those of `Dense`.

        ``categories`` > 0: cells are whole numbers below it, which are embedded instead of read as quantities.
        """
        channels, numbers = math.prod(layout.shape[1:]), numbers_per_cell("Recurrent", out_size, layout)
        encoder = RecurrentEncoder(self, channels, hidden_size, generator, given_size, told, categories)
        decoder = RecurrentDecoder(self, channels, code_size, numbers, generator, given_size, categories)
        return encoder, decoder


class Reader(nn.Module):
    """The cells of every step, or of several steps at once, as numbers: themselves, or the embeddings of categories."""

    def __init__(self, network: Recurrent, channels: int, categories: int, generator: torch.Generator) -> None:
        super().__init__()
        self.at_once, self.channels = network.steps_at_once, channels
        self.embedding: nn.Embedding | None = None
        if categories:
            self.embedding = nn.utils.skip_init(nn.Embedding, categories, min(EMBEDDED, categories))
            with torch.no_grad():
                self.embedding.weight.normal_(generator=generator)
        width = 1 if self.embedding is None else self.embedding.embedding_dim
        self.size = self.at_once * channels * width

    def forward(self, x: Tensor) -> Tensor:
        """(n, steps, ...) -> (n, steps / at_once rounded up, size)."""
        x = x.reshape(x.shape[0], x.shape[1], self.channels)
        # Padded by 0 as batches are, so that a last group that is not full is the same in rows of any padding.
        x = F.pad(x, (0, 0, 0, -x.shape[1] % self.at_once))
        x = x.reshape(x.shape[0], x.shape[1] // self.at_once, self.at_once * self.channels)
        return x if self.embedding is None else self.embedding(x.long()).flatten(2)


class RecurrentEncoder(nn.Module):
    """``encoder(x, context) -> hidden``: (n, steps, ...) -> (n, hidden_size)."""

    takes_context = True

    def __init__(
        self,
        network: Recurrent,
        channels: int,
        hidden_size: int,
        generator: torch.Generator,
        given_size: int = 0,
        told: bool = False,
        categories: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.given_size, self.told = network, given_size, told
        self.reader = Reader(network, channels, categories, generator)
        directions = 2 if network.bidirectional else 1
        size = self.reader.size + given_size + told
        self.ahead, self.back = nn.ModuleList(), nn.ModuleList()
        for _ in range(network.layers):
            self.ahead.append(recurrent_layers(network.cell, size, network.hidden, 1, generator))
            if network.bidirectional:
                self.back.append(recurrent_layers(network.cell, size, network.hidden, 1, generator))
            size = directions * network.hidden
        self.head = linear_layer(size, hidden_size, "identity", generator)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        # One direction at a time over padded rows: packed sequences gave the same and took 3 to 6 times as long.
        x, lengths = valid_steps(x, context.lengths)
        ahead = self.reader(x)
        back = self.reader(turned(x, lengths)) if self.network.bidirectional else ahead
        if lengths is not None:
            lengths = (lengths + self.network.steps_at_once - 1) // self.network.steps_at_once
        for beside in self.beside(context):
            more = beside[:, None].expand(-1, ahead.shape[1], -1)
            ahead, back = torch.cat((ahead, more), dim=2), torch.cat((back, more), dim=2)
        for place, layer in enumerate(self.ahead):
            if place and self.network.bidirectional:  # a layer reads what both directions of the one below say
                ahead = torch.cat((ahead, turned(back, lengths)), dim=2)
                back = turned(ahead, lengths)
            ahead = run(layer, ahead)[0]
            back = run(self.back[place], back)[0] if self.network.bidirectional else ahead
        ends = (ahead, back) if self.network.bidirectional else (ahead,)
        return self.head(torch.cat([last_valid(out, lengths) for out in ends], dim=1))

    def beside(self, context: Context) -> tuple[Tensor, ...]:
        """What is read at every step beside x, (n, ...) each."""
        given = given_to(self, context)
        return (told_level(context), *given) if self.told else given


class RecurrentDecoder(Output):
    """``decoder(z, context) -> out``: (n, code_size) -> (n, *shape), or (n, k, *shape) for k numbers per cell.

    The code makes the first state and is read again at every step.
    """

    takes_context = True

    def __init__(
        self,
        network: Recurrent,
        channels: int,
        code_size: int,
        numbers: int,
        generator: torch.Generator,
        given_size: int = 0,
        categories: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.given_size = network, given_size
        self.channels, self.numbers = channels, numbers
        self.wants_teacher = network.teacher_forcing
        self.reader = Reader(network, channels, categories, generator) if self.wants_teacher else None
        size = code_size + given_size
        states = 2 if network.cell == "lstm" else 1
        self.first = linear_layer(size, states * network.layers * network.hidden, "identity", generator)
        more = 0 if self.reader is None else self.reader.size
        self.steps = recurrent_layers(network.cell, size + more, network.hidden, network.layers, generator)
        self.head = linear_layer(network.hidden, numbers * network.steps_at_once * channels, "identity", generator)
        self.begin_output(network.output_activation, channels)

    def forward(self, z: Tensor, context: Context) -> Tensor:
        z = torch.cat((z.flatten(1), *given_to(self, context)), dim=1)
        steps = context.shape[0] if context.lengths is None else int(context.lengths.max())
        if self.reader is None:
            groups = -(-steps // self.network.steps_at_once)
            out = self.written(run(self.steps, z[:, None].expand(-1, groups, -1), self.start(z))[0])
        elif context.teacher is None:
            out = self.alone(self.reader, z, steps)
        else:
            out = self.taught(self.reader, z, context.teacher[:, :steps], context.lengths)
        out = out[:, :steps]
        if self.network.reverse_output:
            out = turned(out, context.lengths)
        # Beyond the longest row there is nothing but padding, which no loss counts.
        return self.shaped(F.pad(out, (0, 0, 0, 0, 0, context.shape[0] - steps)), context.shape)

    def start(self, z: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The state before the first step, (layers, n, hidden) each."""
        states = self.first(z).reshape(z.shape[0], -1, self.network.hidden).transpose(0, 1).contiguous()
        if self.network.cell == "gru":
            return states
        first, second = states.chunk(2)
        return first, second

    def written(self, hidden: Tensor) -> Tensor:
        """(n, groups, hidden) -> (n, groups * steps_at_once, numbers, channels)."""
        steps = hidden.shape[1] * self.network.steps_at_once
        return self.ended(self.head(hidden).reshape(hidden.shape[0], steps, self.numbers, self.channels))

    def taught(self, reader: Reader, z: Tensor, teacher: Tensor, lengths: Tensor | None) -> Tensor:
        """Every step written by a decoder that has been shown the true step before it; 0 before the first."""
        shown = reader(turned(teacher, lengths) if self.network.reverse_output else teacher)
        shown = torch.cat((torch.zeros_like(shown[:, :1]), shown[:, :-1]), dim=1)
        inputs = torch.cat((z[:, None].expand(-1, shown.shape[1], -1), shown), dim=2)
        return self.written(run(self.steps, inputs, self.start(z))[0])

    def alone(self, reader: Reader, z: Tensor, steps: int) -> Tensor:
        """Every step written by a decoder that reads its own output of the step before."""
        state: State = self.start(z)
        outs = []
        shown = z.new_zeros(z.shape[0], 1, reader.size)
        for _ in range(0, steps, self.network.steps_at_once):
            hidden, state = run(self.steps, torch.cat((z[:, None], shown), dim=2), state)
            out = self.written(hidden)
            outs.append(out)
            chosen = out[:, :, 0] if reader.embedding is None else out.argmax(2)
            shown = reader(chosen)
        return torch.cat(outs, dim=1)

    def shaped(self, out: Tensor, shape: tuple[int, ...]) -> Tensor:
        """(n, steps, numbers, channels) -> (n, *shape), or (n, numbers, *shape) where there are several."""
        if self.numbers == 1:
            return out.reshape(out.shape[0], *shape)
        return out.transpose(1, 2).reshape(out.shape[0], self.numbers, *shape)
