"""Maps of a space of codes: digits, and with --faces the faces of Frey and Olivetti in the folder ISTHMUS_DATA.

python examples/latent_map.py [folder for the pictures] [--faces]
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

import isthmus as ist
from isthmus import plots

folder = Path(next((word for word in sys.argv[1:] if not word.startswith("-")), "."))


def draw(name: str, ae: ist.Autoencoder, X: np.ndarray, y: np.ndarray | None = None) -> None:
    """The four drawings of a model, as files."""
    drawn: dict[str, Any] = {
        "map": plots.latent_map(ae, X, y),
        "grid": plots.decoded_grid(ae, X),
        "holes": plots.holes(ae, X),
        "walks": plots.traversals(ae, X),
    }
    for what, axes in drawn.items():
        path = folder / f"{name}_{what}.png"
        np.ravel(axes)[0].figure.savefig(path, dpi=150)
        print(path)


X, y = ist.data.digits()
draw("digits", ist.Autoencoder("vae", code_size=2, epochs=40, random_state=0).fit(X), X, y)

if "--faces" in sys.argv:  # a few minutes on one core
    data = Path(os.environ["ISTHMUS_DATA"])
    frey = np.load(data / "frey" / "freyfaces.npy")
    network = ist.Dense((256, 128))
    draw("frey", ist.Autoencoder("vae", code_size=2, network=network, epochs=150, random_state=0).fit(frey), frey)
    kind = ist.recipes.beta_vae(beta=4.0)
    draw("frey_units", ist.Autoencoder(kind, code_size=8, network=network, epochs=100, random_state=0).fit(frey), frey)
    faces = np.load(data / "olivetti" / "olivetti_faces.npz")["images"]
    ae = ist.Autoencoder("vae", code_size=16, network=ist.Dense((256,)), epochs=150, random_state=0)
    draw("olivetti", ae.fit(faces), faces)
