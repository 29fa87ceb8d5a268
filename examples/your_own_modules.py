"""Any encoder and decoder of your own: here two small PyTorch networks, fitted, saved and loaded."""

import tempfile
from pathlib import Path

import numpy as np
from torch import nn

import isthmus as ist

images, _ = ist.data.digits()
table = images.reshape(len(images), 64)


def modules() -> ist.Composition:
    encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 6))
    decoder = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 64))
    return ist.compose(encoder, ist.Plain("tanh"), decoder, ist.Squared(), penalties=[ist.WeightDecay(1e-4)])


ae = ist.Autoencoder(modules(), epochs=20, random_state=0).fit(table)
print(ae.diagnose(table))

with tempfile.TemporaryDirectory() as folder:
    path = ae.save(Path(folder) / "own.safetensors")
    again = ist.load(path, composition=modules())  # a file never holds code, so the modules come from you
    assert np.array_equal(ae.transform(table), again.transform(table))
