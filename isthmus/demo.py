"""`isthmus demo`: fit, judge and use an autoencoder on handwritten digits; nothing is downloaded."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CODE_SIZE = 8
SEED = 0
NOISE = 1.0
"""Standard deviation of the damage, where 1 is the spread of the pixels themselves."""
ODDEST = 5
DRAWN = 2

SHADES, PLAIN_SHADES = " ░▒▓█", " .:*#"
"""From paper to ink; the second where the terminal's encoding lacks the first."""


def run(folder: str) -> None:
    """Fit two models on the digits, tell what they can do, and write a model and a report into ``folder``."""
    began = time.monotonic()
    heading("1,797 handwritten digits of 8 x 8 pixels, from scikit-learn")
    print("Nothing is downloaded; this takes about a minute, less on a quiet machine.")
    # Only now what takes seconds to import, so that there is something to read meanwhile.
    import numpy as np

    from isthmus import metrics, recipes, verdicts
    from isthmus.data import digits, split
    from isthmus.estimators.autoencoder import Autoencoder
    from isthmus.estimators.settings import held_out_share
    from isthmus.parts.corruptions import GaussianNoise

    images, labels = digits()
    model_path, report_path = Path(folder) / "model.safetensors", Path(folder) / "report.html"

    heading(f"1. Fit: 64 pixels through a code of {CODE_SIZE} numbers and back")
    model = Autoencoder("undercomplete", code_size=CODE_SIZE, random_state=SEED, verbose=1).fit(images)
    record, grey = model.record_, float(model.scaling_.unit[0])
    assert record is not None  # fit leaves one
    error, pca_error = grey * record.error**0.5, grey * record.pca_error**0.5
    print(f"{record.held_out_rows} digits were held out. Rebuilt from {CODE_SIZE} numbers each, their pixels (0 to 16)")
    print("are off by, root mean squared:")
    print(f"  the autoencoder   {error:.2f} grey levels")
    print(f"  PCA, same size    {pca_error:.2f} grey levels")

    heading("2. The oddest digits: those that such a code describes least")
    scores = model.score_samples(images)
    order = np.argsort(scores, kind="stable")[:ODDEST]
    rebuilt = model.reconstruct(images)
    errors = np.sqrt(metrics.row_errors(images, rebuilt))
    print(f"The usual digit is off by {np.median(errors):.2f} grey levels. These are:")
    for row in order:
        print(f"  row {row:4d}, labelled {labels[row]}   {errors[row]:.2f}")
    pictures = []
    for row in order[:DRAWN]:
        pictures += [(f"row {row}, a {labels[row]}", images[row]), ("as rebuilt", rebuilt[row])]
    draw(pictures)

    heading("3. Repair: a denoising autoencoder of the same size")
    train, held_out = split(len(images), held_out_share(model.validation_fraction, len(images)), SEED)
    kind = recipes.denoising(corruption=GaussianNoise(NOISE))
    repairer = Autoencoder(kind, code_size=CODE_SIZE, random_state=SEED, verbose=1).fit(images[train])
    clean = images[held_out].astype(np.float64)
    damaged = clean + np.random.default_rng(SEED).normal(0.0, NOISE * grey, clean.shape)
    repaired, smoothed = repairer.reconstruct(damaged), model.reconstruct(damaged)
    print(f"{len(clean)} digits that it has never seen, under noise as strong as the picture:")
    before = figures(clean, damaged)
    after = figures(clean, repaired)
    print(f"  damaged                        {before}")
    print(f"  repaired by the model of 1.    {figures(clean, smoothed)}")
    print(f"  repaired by denoising          {after}")
    # Neither the best of them nor the worst: the one in the middle.
    shown = int(np.argsort(metrics.row_errors(clean, repaired), kind="stable")[len(clean) // 2])
    draw(
        [
            (f"row {held_out[shown]}, a {labels[held_out[shown]]}", clean[shown]),
            ("damaged", damaged[shown]),
            ("by the model of 1.", smoothed[shown]),
            ("by denoising", repaired[shown]),
        ]
    )

    heading("4. Files")
    model.save(model_path)
    model.report(report_path, images, labels)
    width = len(str(model_path))
    print(f"  {model_path}   the model of 1.")
    print(f"  {str(report_path).ljust(width)}   open it in a browser: curves, pictures, verdicts")

    heading(f"In short, after {time.monotonic() - began:.0f} s")
    print(f"  error on held-out digits   {error:.2f} grey levels, PCA of the same size {pca_error:.2f}")
    print(f"  repair of damaged digits   {before}")
    print(f"                          -> {after}")
    print(textwrap.fill(verdicts.pca_verdict(record).sentence, 78, initial_indent="  ", subsequent_indent="  "))
    print("\nNext, on your own data (.csv, .parquet, .npy, or a folder of images):")
    print("  isthmus info DATA")
    print("  isthmus fit DATA -o model.safetensors --report report.html")
    print("  isthmus compare DATA")


def heading(text: str) -> None:
    """A line that is bold on a terminal."""
    import typer

    typer.echo()
    typer.secho(text, bold=True)


def figures(clean: np.ndarray, other: np.ndarray) -> str:
    """How far pictures are from the clean ones, in two units."""
    from isthmus import metrics

    error = float(metrics.row_errors(clean, other).mean() ** 0.5)
    return f"{error:.2f} grey levels off (PSNR {metrics.psnr(clean, other, peak=16):.1f} dB)"


def draw(pictures: list[tuple[str, np.ndarray]]) -> None:
    """Small pictures of values 0 to 16 side by side, two characters for each pixel, a title above each."""
    shades = SHADES
    try:
        SHADES.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        shades = PLAIN_SHADES
    print()
    print("  " + "".join(title.ljust(20) for title, _ in pictures).rstrip())
    for line in range(8):
        text = "  "
        for _, picture in pictures:
            levels = (picture[line].clip(0, 16) / 16 * (len(shades) - 1)).round().astype(int)
            text += "".join(2 * shades[level] for level in levels) + "    "
        print(text.rstrip())
