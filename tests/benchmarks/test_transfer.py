from __future__ import annotations

import numpy as np

from benchmarks.routing.transfer import across
from router.evaluation.crossval import Predict
from router.outcome_table import OutcomeTable
from tests.router.tables import table


def test_no_question_is_predicted_by_what_was_fitted_to_it() -> None:
    both = table(40).only(("small", "grand"))

    def remembers(train: OutcomeTable, seed: int) -> Predict:
        fitted = set(train.prompts)
        return lambda test: np.array([[0.0, float(each in fitted)] for each in test.prompts])

    found = across(both, both, {"remembers": remembers}, range(2))["remembers"]
    assert found.right.shape == (2, 40, 2)
    assert found.right[..., 1].max() == 0
    assert found.training_mean[..., 1].min() == 1
