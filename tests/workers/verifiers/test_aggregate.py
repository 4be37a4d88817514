"""From step scores to one score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.verifiers.aggregate import AGGREGATIONS, Aggregation, aggregate


@pytest.mark.parametrize(("how", "score"), [("last", 0.5), ("min", 0.2), ("prod", 0.08), ("mean", 0.5)])
def test_steps_become_one_score(how: Aggregation, score: float) -> None:
    assert aggregate([0.8, 0.2, 0.5], how) == pytest.approx(score)


@given(st.lists(st.floats(0, 1), max_size=20), st.sampled_from(sorted(AGGREGATIONS)))
def test_a_score_stays_between_0_and_1_and_is_0_without_steps(scores: list[float], how: Aggregation) -> None:
    assert 0 <= aggregate(scores, how) <= 1
    assert scores or aggregate(scores, how) == 0
