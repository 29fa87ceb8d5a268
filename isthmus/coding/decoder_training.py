"""Learning the decoder of a `isthmus.coding.lossy.LossyModel` from rounded codes, with the encoder as it is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from threading import Event
from time import monotonic
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.coding.lossy import QUALITIES
from isthmus.coding.lossy_transform import COARSEST, MIDDLE, Draw, Transform, gathered, mirrored, spread
from isthmus.coding.whole import made_whole
from isthmus.coding.whole_convolution import (
    BLOCK,
    CODE_POINT,
    FINE,
    MOST_CODE,
    MOST_LEVEL,
    MOST_RATIO,
    RATIO_POINT,
    WholeDecoder,
)
from isthmus.coding.whole_layer import WholeLayer

HELD_OUT = 6
"""Draws of crops that tell whether training the decoder helped."""

ROUNDED = 0.4
"""What is added before rounding down: codes that are cheap have more zeros than the nearest ones."""

USUAL = (3, 38)
"""Qualities that are learnt from; the others are alike."""

BITS = 15


def nominal_steps() -> np.ndarray:
    """Steps of all qualities, in pixel values."""
    return COARSEST * 2.0 ** (-np.arange(QUALITIES) / 7)


def kernel(weights: Tensor) -> np.ndarray:
    """(out, in, 3, 3) -> (9 * in, out) float64, for windows."""
    return weights.detach().double().cpu().permute(2, 3, 1, 0).reshape(-1, weights.shape[0]).numpy()


class Decoder(nn.Module):
    """The decoder as it is trained: `isthmus.coding.whole_convolution.WholeDecoder` in floats."""

    signs: Tensor

    def __init__(self, transform: Transform, widths: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("signs", transform.signs)
        self.synthesis = nn.Parameter(transform.synthesis.detach().clone())
        cell = transform.colours * FINE**2
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for number, (inputs, outputs) in enumerate(pairwise((cell + 1, *widths, cell) if widths else ())):
            last = number == len(widths)
            scale = 0.0 if last else (2 / (9 * inputs)) ** 0.5
            self.weights.append(nn.Parameter(torch.randn(outputs, inputs, 3, 3, generator=generator) * scale))
            self.biases.append(nn.Parameter(torch.zeros(outputs)))

    def forward(self, code: Tensor, nominal: Tensor, quality: Tensor) -> Tensor:
        """Code (n, size, h, w) in pixel values, both of the others (n,) -> pixels minus `MIDDLE`."""
        pixels = gathered(spread(F.conv2d(mirrored(code, 1, self.signs), self.synthesis), BLOCK), FINE)
        if len(self.weights) == 0:
            return spread(pixels, FINE)
        step = nominal[:, None, None, None]
        told = (quality / MOST_LEVEL)[:, None, None, None].expand(-1, 1, *pixels.shape[2:])
        x = torch.cat([pixels / step, told], dim=1)
        for number, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = F.conv2d(F.pad(x.relu() if number else x, (1, 1, 1, 1), mode="replicate"), weights, bias)
        return spread(pixels + x.clamp(-1, 1) * step, FINE)

    def whole(self) -> WholeDecoder:
        """The same in whole numbers."""
        synthesis = kernel(self.synthesis)
        inputs, outputs = synthesis.shape
        made, _ = made_whole(synthesis, np.zeros(outputs), np.full(inputs, MOST_CODE), CODE_POINT, BITS, last=True)
        cell = outputs // BLOCK**2 * FINE**2
        most, point = np.append(np.full(cell, MOST_RATIO), MOST_LEVEL).astype(np.float64), RATIO_POINT
        layers: list[WholeLayer] = []
        for number, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True), 1):
            last = number == len(self.weights)
            layer, point = made_whole(
                kernel(weights), bias.detach().double().cpu().numpy(), np.tile(most, 9), point, BITS, last=last
            )
            most = np.full(len(bias), layer.cap)
            layers.append(layer)
        return WholeDecoder(outputs // BLOCK**2, self.signs.cpu().numpy().astype(np.int64), made, tuple(layers))


def fit_decoder(
    decoder: Decoder, transform: Transform, draw: Draw, seconds: float, steps: int, seed: int, stop: Event
) -> None:
    """Train a decoder on rounded codes of crops, with the encoder as it is; what does not become better stays."""
    generator, begin = torch.Generator().manual_seed(seed), monotonic()
    groups = [
        {"params": [decoder.synthesis], "lr": 1e-4},
        {"params": [*decoder.weights, *decoder.biases], "lr": 3e-3},
    ]
    optimiser = torch.optim.Adam([group for group in groups if group["params"]], fused=True)
    rates = [group["lr"] for group in optimiser.param_groups]
    held = [rounded(transform, draw(), generator) for _ in range(HELD_OUT)]
    before, start = held_error(decoder, held), {name: value.clone() for name, value in decoder.state_dict().items()}
    step, done = 0, 0.0
    while done < 1 and not stop.is_set():
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, 0.01 + 1.5 * (1 - done))
        optimiser.zero_grad()
        weighted_error(decoder, rounded(transform, draw(), generator)).backward()
        optimiser.step()
        step += 1
        done = max(step / steps, (monotonic() - begin) / seconds)
    if not held_error(decoder, held) < before:
        decoder.load_state_dict(start)


class Rounded(NamedTuple):
    """Crops (n, colours, side, side), their rounded codes in pixel values, nominal steps (n,) and qualities (n,)."""

    x: Tensor
    code: Tensor
    nominal: Tensor
    quality: Tensor


def rounded(transform: Transform, x: Tensor, generator: torch.Generator) -> Rounded:
    """Crops at qualities at random."""
    quality = torch.randint(*USUAL, (len(x),), generator=generator)
    nominal = torch.from_numpy(nominal_steps()).float()[quality].to(x.device)
    with torch.no_grad():
        steps = transform.steps(nominal)[:, :, None, None]
        code = transform.encode(x) / steps
        code = torch.sign(code) * torch.floor(code.abs() + ROUNDED) * steps
    return Rounded(x, code, nominal, quality.float().to(x.device))


def weighted_error(decoder: Decoder, part: Rounded) -> Tensor:
    """The squared error in units of steps, nearly; with squared steps the finest would count for most."""
    out = decoder(part.code, part.nominal, part.quality)
    return ((out - (part.x - MIDDLE)).square().mean((1, 2, 3)) / part.nominal).mean()


def held_error(decoder: Decoder, held: Sequence[Rounded]) -> float:
    """The mean over crops that were not learnt from."""
    with torch.no_grad():
        return float(np.mean([float(weighted_error(decoder, part)) for part in held]))
