"""Few labels: a linear SVM on raw pixels, on PCA and on codes, beside an encoder that is fine-tuned.

A `FeatureLearner` learns from the 60,000 training images without their labels, once for each data set. Every draw
labels other images, as many of each class; a linear SVM (one against one, its strength chosen by cross-validation
within these labels) learns from pixels, from 50 principal components and from codes, each centred and on one scale; and
the encoder is fine-tuned with the same labels (and, of mode semi_supervised, all unlabelled images). "chosen" is the
best of codes and fine-tuning by held-out labels of the draw alone. All are judged on the 10,000 test images; the
settings were chosen on training images.

Published, MNIST with 100 labels: features of a variational autoencoder and a transductive SVM 11.82 (+- 0.25) % (Kingma
et al. 2014).

    python benchmarks/bench_few_labels.py [--quick] [--data mnist fashion-mnist] [--labels 100 600 1000] [--draws 10]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import images, row
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

import isthmus as ist
from isthmus.data.builtin import named

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
EPOCHS = 15
MODES = {"full": "fine-tuned", "semi_supervised": "semi-sup."}


def drawn(digits: np.ndarray, labels: int, draw: int) -> np.ndarray:
    """The row numbers of a draw, as many of each class."""
    order = np.random.default_rng(draw).permutation(len(digits))
    return np.sort(np.concatenate([order[digits[order] == one][: labels // 10] for one in range(10)]))


def scaled(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Centred, and divided by one number, so that the squared length of a training row is 1 in the mean."""
    centre = train.mean(0)
    size = np.sqrt(np.square(train - centre).sum(1).mean())
    return [((one - centre) / size).astype(np.float32) for one in (train, *others)]


def svm(few: np.ndarray, y: np.ndarray, test: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Per cent of the held-out labels, and of the test rows, that a linear SVM gets wrong."""
    gram, folds = few @ few.T, StratifiedKFold(3, shuffle=True, random_state=0)
    wrong = []
    for strength in STRENGTHS:
        missed = 0
        for train, held in folds.split(few, y):
            model = SVC(C=strength, kernel="precomputed").fit(gram[np.ix_(train, train)], y[train])
            missed += int((model.predict(gram[np.ix_(held, train)]) != y[held]).sum())
        wrong.append(100 * missed / len(y))
    best = int(np.argmin(wrong))
    model = SVC(C=STRENGTHS[best], kernel="precomputed").fit(gram, y)
    support = model.support_
    product = np.zeros((len(test), len(few)), dtype=np.float32)
    product[:, support] = test @ few[support].T
    return wrong[best], 100 * float((model.predict(product) != truth).mean())


def learner_for(rows: np.ndarray, seconds: float) -> ist.FeatureLearner:
    """Features learnt without labels."""
    model = ist.Autoencoder(
        ist.recipes.top_k(k=50),
        code_size=1000,
        corruption=ist.Mask(0.3),
        epochs=EPOCHS,
        max_time=seconds,
        random_state=0,
    ).fit(rows)
    return ist.FeatureLearner(autoencoder=model).fit(rows)


def report(found: dict[str, list[float]]) -> None:
    """Means, spreads, and how far each is ahead of PCA in the same draws."""
    rival = np.array(found["PCA-50"])
    for name, wrong in found.items():
        ahead = rival - np.array(wrong)
        error = float(ahead.std(ddof=1) / np.sqrt(len(ahead))) if len(ahead) > 1 else float("nan")
        times = float(ahead.mean() / error) if error else float("nan")
        row(name, float(np.mean(wrong)), float(np.std(wrong)), float(ahead.mean()), error, times)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="10,000 unlabelled images, 3 draws of 100 labels")
    arguments.add_argument("--data", nargs="+", default=["mnist", "fashion-mnist"])
    arguments.add_argument("--labels", nargs="+", type=int)
    arguments.add_argument("--draws", type=int)
    arguments.add_argument("--modes", nargs="+", choices=list(MODES), default=["full"], help="of fine-tuning")
    arguments.add_argument("--seconds", type=float, default=400.0, help="for learning features, at most")
    chosen = arguments.parse_args()
    sizes, draws = chosen.labels or ([100] if chosen.quick else [100, 600, 1000]), chosen.draws
    draws = draws or (3 if chosen.quick else 10)
    for data in chosen.data:
        images(data)
        train, digits, test, truth = named(data)
        rows = train[:10_000] if chosen.quick else train
        digits = digits[: len(rows)].astype(int)
        start = time.perf_counter()
        learner = learner_for(rows, chosen.seconds)
        print(f"\n{data}: features of {len(rows):,} images in {time.perf_counter() - start:.0f} s", flush=True)
        flat, flat_test = (one.reshape(len(one), -1) / np.float32(255) for one in (rows, test))
        pca = PCA(50, random_state=0).fit(flat)
        spaces = {
            "raw pixels": scaled(flat, flat_test),
            "PCA-50": scaled(pca.transform(flat), pca.transform(flat_test)),
            "codes": scaled(learner.transform(rows), learner.transform(test)),
        }
        for labels in sizes:
            ways = [MODES[mode] for mode in chosen.modes]
            found: dict[str, list[float]] = {name: [] for name in (*spaces, *ways, "chosen")}
            seconds = 0.0
            for draw in range(draws):
                some = drawn(digits, labels, draw)
                judged = {}
                for name, (space, space_test) in spaces.items():
                    judged[name], wrong = svm(space[some], digits[some], space_test, truth)
                    found[name].append(wrong)
                start = time.perf_counter()
                for mode, name in zip(chosen.modes, ways, strict=True):
                    others = rows if mode == "semi_supervised" else None
                    tuned = learner.fine_tune(rows[some], digits[some], mode=mode, unlabelled=others, random_state=draw)
                    judged[name] = 100 * (1 - tuned.scores_[mode])
                    found[name].append(100 * float((tuned.predict(test) != truth).mean()))
                seconds += (time.perf_counter() - start) / draws
                better = min(("codes", *ways), key=judged.__getitem__)
                found["chosen"].append(found[better][-1])
                said = ", ".join(f"{name} {wrong[-1]:.2f}" for name, wrong in found.items())
                print(f"  {labels} labels, draw {draw}: {said}", flush=True)
            row(f"{labels} labels", "error %", "spread", "below PCA", "std. error", "times it")
            report(found)
            print(f"fine-tuning: {seconds:.1f} s for each draw", flush=True)


if __name__ == "__main__":
    main()
