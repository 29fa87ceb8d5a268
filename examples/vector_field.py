"""A noisy spiral, and the field that a denoising autoencoder learns: it pulls noisy points back to the curve.

python examples/vector_field.py [folder for the picture]
"""

import sys
from pathlib import Path

import numpy as np

import isthmus as ist

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
draw = np.random.default_rng(0)
turn = np.sqrt(draw.uniform(0.03, 1, 4000)) * 3 * np.pi  # evenly along the curve, more or less
spiral = np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=1) + 0.15 * draw.standard_normal((4000, 2))

# Each row draws its own amount of noise, and the network is told how much: one model for weak and for strong noise.
noise = ist.GaussianNoise(ist.Between(0.02, 0.3, log=True), tell=True)
ae = ist.Autoencoder(
    "denoising", corruption=noise, network=ist.Dense((128, 128)), code_size=64, epochs=60, random_state=0, verbose=1
).fit(spiral)

noisy = spiral + 0.8 * draw.standard_normal(spiral.shape)
moves = ist.vector_field(ae, noisy, level=0.2)


def distance(points: np.ndarray) -> float:
    """Root mean squared distance to the nearest point of the clean curve."""
    angle = np.linspace(0, 3 * np.pi, 2000)
    curve = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1)
    return float(np.sqrt((((points[:1000, None] - curve) ** 2).sum(-1)).min(1).mean()))


print(f"distance to the curve: noisy {distance(noisy):.2f}, pulled back {distance(noisy + moves):.2f}")
picture = ist.draw_vector_field(ae, spiral, folder / "field.png", noise=0.15, level=0.15)
print(picture)
