"""The figures of the papers that the kinds come from, and ours beside them, section by section.

    python benchmarks/published.py [SECTION ...] [--quick] [--seeds 0 1 2]

`features`: codes of the classical kinds as features for a logistic regression on MNIST (`bench_features.py`).
`rotated`: stacked denoising features of rotated digits for a linear SVM (`bench_rotated_digits.py`).
`likelihood`: variational kinds on static MNIST, nats per image (`bench_likelihood.py`).
`samples`: samples of plain and variational kinds, judged by a classifier's features (`bench_samples.py`).
`disentanglement`: units and the true factors of generated sprites (`bench_disentanglement.py`).
`codebook`: how much of a codebook is used, and at what cost, by how it is begun (`bench_codebook.py`).
`labels`: digits told from a hundred labels (`bench_semi_supervised.py`).
"""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

SECTIONS = {
    "features": "bench_features.py",
    "rotated": "bench_rotated_digits.py",
    "likelihood": "bench_likelihood.py",
    "samples": "bench_samples.py",
    "disentanglement": "bench_disentanglement.py",
    "codebook": "bench_codebook.py",
    "labels": "bench_semi_supervised.py",
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("sections", nargs="*", default=list(SECTIONS), metavar="SECTION")
    arguments.add_argument("--quick", action="store_true", help="fewer rows, units and epochs: minutes, not hours")
    arguments.add_argument("--seeds", nargs="+", type=int)
    chosen = arguments.parse_args()
    seeds = ["--seeds", *map(str, chosen.seeds)] if chosen.seeds else []
    for section in chosen.sections:
        if section not in SECTIONS:
            arguments.error(f"there is no section {section!r}; there are {', '.join(SECTIONS)}")
        script = Path(__file__).parent / SECTIONS[section]
        print(f"== {section} ({script.name})", flush=True)
        sys.argv = [script.name, *(["--quick"] if chosen.quick else []), *seeds]
        runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
