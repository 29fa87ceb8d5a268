"""Learn features of digits without a label, then teach a classifier with 50 labels, and keep the pixels that matter.

python examples/learn_features.py
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

import isthmus as ist

digits, labels = ist.data.digits()
order = np.random.default_rng(0).permutation(len(digits))
digits, labels = digits[order], labels[order]
known, asked = slice(0, 50), slice(50, None)  # 50 labels; the 1,747 others are used to judge alone

learner = ist.FeatureLearner(epochs=15, random_state=0).fit(digits)
print(f"{learner.transform(digits).shape[1]} features of {digits[0].size} pixels; layers: {learner.layer_names()}")

pixels = digits.reshape(len(digits), -1) / 16
plain = LogisticRegression(max_iter=1000).fit(pixels[known], labels[known])
print(f"50 labels, a linear model of the pixels:   {plain.score(pixels[asked], labels[asked]):.1%} right")
tuned = learner.fine_tune(digits[known], labels[known], mode="probe")  # "auto" tries three more ways, and takes longer
print(f"50 labels, a linear model of the features: {tuned.score(digits[asked], labels[asked]):.1%} right")
print(f"what it guesses itself, from labels it held out: {tuned.scores_['probe']:.0%}")

worth = learner.feature_importances_.reshape(8, 8)
print("share of each pixel in the features, per cent:")
print(np.round(100 * worth).astype(int))

selector = ist.Selector(10, method="linear", epochs=10, random_state=0).fit(digits)
rows, columns = np.unravel_index(selector.order_, (8, 8))
print(
    "ten pixels that tell the others, the most important first:",
    list(zip(rows.tolist(), columns.tolist(), strict=True)),
)
