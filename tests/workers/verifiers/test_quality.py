"""A verifier's quality: the numbers, by hand and by their properties."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.types import Task
from workers.answers import answers_for
from workers.protocols import Candidate
from workers.verifiers.quality import Judged, auc, measure

ANSWERS = answers_for(Task())


def question(*rows: tuple[str, float, bool]) -> Judged:
    """Rows of (answer, score, right)."""
    candidates = tuple(
        Candidate(f"The answer is {answer}.", "stop", answer, score=score) for answer, score, _ in rows
    )
    return Judged(candidates, tuple(right for _, _, right in rows), ANSWERS)


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    scores, right = np.array([0.9, 0.4, 0.5, 0.4]), np.array([True, True, False, False])
    assert auc(scores, right) == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert auc(scores, np.array([True] * 4)) is None
    assert auc(scores, np.array([False] * 4)) is None


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=1, max_size=30))
def test_the_area_counts_pairs_and_does_not_depend_on_order(rows: list[tuple[float, bool]]) -> None:
    def area(of: Sequence[tuple[float, bool]]) -> float | None:
        return auc(np.array([score for score, _ in of]), np.array([right for _, right in of]))

    good = [score for score, right in rows if right]
    bad = [score for score, right in rows if not right]
    pairs = [(above > below) + (above == below) / 2 for above in good for below in bad]
    assert area(rows) == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)
    assert area(rows[::-1]) == area(rows)


def test_ranking_within_questions_is_told_from_ranking_between_them() -> None:
    # The scores say which question is easy, and within each prefer the wrong answer.
    easy = question(("1", 0.8, True), ("2", 0.9, False))
    hard = question(("1", 0.1, True), ("2", 0.2, False))
    plain = question(("1", 0.5, True), ("1", 0.5, True))
    found = measure([easy, hard, plain])
    assert found.within_question_auc == 0
    assert found.auc is not None
    assert found.auc > 0.3
    assert measure([plain]).within_question_auc is None


def test_choosing_is_measured_on_the_same_candidates() -> None:
    outvoted = question(("3", 0.9, True), ("4", 0.2, False), ("4", 0.3, False))
    agreed = question(("5", 0.2, True), ("5", 0.2, True), ("6", 0.9, False))
    found = measure([outvoted, agreed])
    assert (found.majority_right, found.weighted_right, found.best_of_n_right) == (0.5, 0.5, 0.5)
    found = measure([outvoted])
    assert (found.majority_right, found.weighted_right, found.best_of_n_right) == (0, 1, 1)
    assert found.gain_over_majority == 1
    assert found.gain_interval == (1, 1)


def test_votes_know_no_scores() -> None:
    tied = question(("4", 0.1, False), ("3", 0.9, True))
    assert measure([tied]).majority_right == 0
    assert measure([tied]).weighted_right == 1


def test_calibration_compares_scores_with_how_often_they_are_right() -> None:
    sure = question(*[("1", 0.75, True)] * 3, ("2", 0.75, False))
    found = measure([sure])
    assert found.ece == pytest.approx(0)
    assert found.brier == pytest.approx((3 * 0.25**2 + 0.75**2) / 4)
    (one,) = found.reliability
    assert (one.low, one.high, one.outcomes, one.mean_score, one.share_right) == (0.7, 0.8, 4, 0.75, 0.75)
    wrong = measure([question(("1", 1.0, False), ("2", 0.0, True))])
    assert (wrong.ece, wrong.brier) == (1, 1)
    assert [one.low for one in wrong.reliability] == [0, 0.9]


def test_the_interval_holds_the_gain_and_narrows_with_questions() -> None:
    helped = question(("3", 0.9, True), ("4", 0.2, False), ("4", 0.3, False))
    same = question(("3", 0.9, True), ("3", 0.2, True))
    few, many = measure([helped, same] * 5), measure([helped, same] * 50)
    for found in (few, many):
        low, high = found.gain_interval
        assert low <= found.gain_over_majority == 0.5 <= high
    assert many.gain_interval[1] - many.gain_interval[0] < few.gain_interval[1] - few.gain_interval[0]
    assert measure([helped, same] * 5) == few
