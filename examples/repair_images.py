"""Digits with a third of their pixels wiped out, repaired by a denoising autoencoder.

python examples/repair_images.py
"""

import numpy as np

import isthmus as ist

images, _ = ist.data.digits()
train, test = images[:1500], images[1500:]

kind = ist.recipes.denoising(corruption=ist.Mask(0.33))
ae = ist.Autoencoder(kind, code_size=16, random_state=0, verbose=1).fit(train)

wiped = np.random.default_rng(0).random(test.shape) < 0.33
average = train.mean(axis=0).round().astype(test.dtype)  # 0 in scaled units, which is what Mask puts there
damaged = np.where(wiped, average, test)


def error(x: np.ndarray) -> float:
    """Root mean squared error per pixel, in grey levels of 0..16."""
    return float(np.sqrt(np.square(x.astype(float) - test).mean()))


print(f"damaged {error(damaged):.2f}, repaired {error(ae.reconstruct(damaged)):.2f} grey levels off")
