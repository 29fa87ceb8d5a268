"""Thirty measurements of cells, reduced to five numbers each; the oddest rows; one HTML report.

python examples/reduce_a_table.py [folder for the files]
"""

import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer

import isthmus as ist

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
table = load_breast_cancer(as_frame=True)

ae = ist.Autoencoder(code_size=5, random_state=0, verbose=1).fit(table.data)
codes = ae.set_output(transform="pandas").transform(table.data)
print(codes.head())

scores = ae.score_samples(table.data)
for row in scores.argsort()[:3]:
    print(f"row {row} is odd: log density {scores[row]:.0f}, where {scores.mean():.0f} is usual")

print(ae.diagnose(table.data))
ae.report(folder / "report.html", table.data, table.target_names[table.target])
ae.save(folder / "cells.safetensors")
