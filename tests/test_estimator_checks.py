"""scikit-learn's own checks of an estimator."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import isthmus as ist

EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "batches are drawn by row",
    "check_sample_weight_equivalence_on_sparse_data": "batches are drawn by row",
}


@pytest.mark.filterwarnings("ignore::isthmus.errors.DataWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [ist.Autoencoder(epochs=2, random_state=0), ist.FeatureLearner(epochs=2, random_state=0)],
    expected_failed_checks=lambda estimator: EXPECTED if isinstance(estimator, ist.Autoencoder) else {},
)
def test_scikit_learn(estimator, check):
    check(estimator)
