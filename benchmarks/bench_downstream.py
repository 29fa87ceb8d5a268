"""What codes save the next model: gradient-boosted trees and an RBF SVM on codes, on PCA's and on raw pixels.

A `FeatureLearner` with a narrow code learns from the training images without their labels; then both models, of
scikit-learn and with the same settings for every input, are taught with their labels, each in a process of its own.
Printed are the accuracy on the 10,000 test images, the processor's seconds of teaching and of telling those, MB of
training rows, and by how many MB the process grew at most while it was taught. The seconds of learning a code, and of
encoding, are paid once for all models and printed above the table; a code that is used once may cost more than it
saves. With OMP_NUM_THREADS=1 seconds of the processor are those of one core, however busy the machine is.

    python benchmarks/bench_downstream.py [--quick] [--data mnist] [--rows 10000] [--code-size 32] [--trees 100]
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from common import anonymous_megabytes, images, row, watched
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.svm import SVC

import isthmus as ist
from isthmus.data.builtin import named

Rows = tuple[np.ndarray, np.ndarray]


def taught(model: Any, train: np.ndarray, y: np.ndarray, test: np.ndarray, truth: np.ndarray) -> tuple[float, ...]:
    """Accuracy in per cent, seconds of teaching and of telling, and by how many MB the process grew."""
    before, start = anonymous_megabytes(), time.process_time()
    _, peak = watched(lambda: model.fit(train, y))
    middle = time.process_time()
    right = float((model.predict(test) == truth).mean())
    return 100 * right, middle - start, time.process_time() - middle, peak - before


def by_pca(train: np.ndarray, test: np.ndarray, size: int) -> Rows:
    pca = PCA(size, random_state=0).fit(train)
    return pca.transform(train).astype(np.float32), pca.transform(test).astype(np.float32)


def by_learner(train: np.ndarray, test: np.ndarray, size: int, epochs: int) -> Rows:
    """Features learnt without labels; says what they cost."""
    start = time.process_time()
    learner = ist.FeatureLearner(size, epochs=epochs, random_state=0).fit(train)
    middle = time.process_time()
    made = learner.transform(train), learner.transform(test)
    encoding = (time.process_time() - middle) / (len(train) + len(test)) * 1e4
    print(f"a code of {size}: learnt in {middle - start:.1f} s, 10,000 rows encoded in {encoding:.2f} s", flush=True)
    return made


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="2,000 rows, 20 rounds of trees")
    arguments.add_argument("--data", nargs="+", default=["mnist"])
    arguments.add_argument("--rows", type=int)
    arguments.add_argument("--code-size", type=int, default=32)
    arguments.add_argument("--epochs", type=int, default=20, help="of learning the code")
    arguments.add_argument("--trees", type=int, help="rounds of boosting, a tree for each class in each")
    chosen = arguments.parse_args()
    rows = chosen.rows or (2_000 if chosen.quick else 10_000)
    rounds = chosen.trees or (20 if chosen.quick else 100)
    models = {
        "trees": HistGradientBoostingClassifier(max_iter=rounds, early_stopping=False, random_state=0),
        "RBF SVM": SVC(C=10.0),
    }
    for data in chosen.data:
        images(data)
        train, y, test, truth = named(data)
        some = np.random.default_rng(0).permutation(len(train))[:rows]
        train, y = train[some], y[some]
        flat, flat_test = (one.reshape(len(one), -1) / np.float32(255) for one in (train, test))
        print(f"\n{data}: {rows:,} labelled rows, {rounds} rounds of boosting", flush=True)
        inputs = {
            "raw pixels": (flat, flat_test),
            f"PCA-{chosen.code_size}": by_pca(flat, flat_test, chosen.code_size),
            "codes": by_learner(train, test, chosen.code_size, chosen.epochs),
        }
        row("model", "input", "accuracy %", "teaching s", "telling s", "rows MB", "grew MB")
        for name, model in models.items():
            for known, (x, x_test) in inputs.items():
                # A process of its own, so that no memory is reused that another model has left.
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    figures = pool.submit(taught, model, x, y, x_test, truth).result()
                right, teaching, telling, grew = figures
                cells = (f"{right:.2f}", f"{teaching:.1f}", f"{telling:.1f}", f"{x.nbytes / 1e6:.1f}", f"{grew:.0f}")
                row(name, known, *cells)


if __name__ == "__main__":
    main()
