"""Find broken cells in a table of sensors, say which they are, and alarm as often as asked for.

python examples/find_anomalies.py
"""

import numpy as np
import pandas as pd

import isthmus as ist

names = ["pressure", "flow", "power", "heat", "speed", "noise"]
draw = np.random.default_rng(0)
mixing = draw.normal(size=(2, len(names)))


def readings(rows):
    """Six sensors that follow two hidden causes."""
    causes = draw.normal(size=(rows, 2))
    return pd.DataFrame(50 + 10 * (causes @ mixing + 0.1 * draw.normal(size=(rows, len(names)))), columns=names)


detector = ist.AnomalyDetector(alarm_rate=0.01, epochs=40, random_state=0).fit(readings(2000))
ordinary = readings(5000)
print(f"{np.mean(detector.predict(ordinary) == -1):.1%} of ordinary rows alarm; 1 % was asked for")

broken = readings(300)
where = draw.integers(0, len(names), len(broken))
values, rows = broken.to_numpy(copy=True), np.arange(len(broken))
values[rows, where] = draw.permutation(values[:, 0])[rows]  # ordinary by itself, but not in such a row
broken = pd.DataFrame(values, columns=names)
found = detector.predict(broken) == -1
print(f"{found.mean():.0%} of rows with one wrong cell alarm")

reasons = detector.explain(broken[found], most=1).set_index("row")
right = np.mean([reasons["column"].get(row) == names[where[row]] for row in np.flatnonzero(found)])
print(f"the wrong cell is named first in {right:.0%} of them, for example:")
for row, reason in reasons.head(3).iterrows():
    print(f"  row {row}: {reason['column']} is {reason['value']:.1f}, expected {reason['expected']:.1f}")
