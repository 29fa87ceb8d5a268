"""A table of people with words, numbers and gaps: what the columns are taken for, and the gaps filled.

python examples/fill_a_table.py [folder for the files]
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import isthmus as ist

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
draw, rows = np.random.default_rng(0), 2000
school = draw.integers(0, 4, rows)
people = pd.DataFrame(
    {
        "school": pd.Categorical.from_codes(school, ["none", "middle", "high", "university"], ordered=True),
        "work": np.where(draw.random(rows) < 0.25 * school, "office", draw.choice(["field", "shop", "road"], rows)),
        "age": draw.integers(18, 80, rows),
        "income": np.exp(9.5 + 0.4 * school + 0.3 * draw.normal(size=rows)).round(),
        "married": draw.random(rows) < 0.5,
    }
)
whole = people.copy()
hidden = draw.random(rows) < 0.2
people.loc[hidden, "income"] = np.nan

ae = ist.Autoencoder("masked", code_size=4, random_state=0, epochs=30, verbose=1).fit(people)
filled = ae.impute(people)
error = (np.log(filled["income"]) - np.log(whole["income"]))[hidden].std()
usual = (np.log(people["income"].mean()) - np.log(whole["income"]))[hidden].std()
print(f"income filled with an error of {100 * error:.0f} %, where the mean is off by {100 * usual:.0f} %")

several = pd.concat([table["income"][hidden] for table in ae.impute(people, draws=10, random_state=0)], axis=1)
print(f"ten draws of a missing income differ by {100 * np.log(several).std(axis=1).mean():.0f} % in the mean")
ae.report(folder / "people.html", people)
