from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.search.players import ANSWERS, candidate
from workers.protocols import Candidate
from workers.search.selection import select_best_of_n, select_best_of_n_weighted, select_majority

RULES = (select_majority, select_best_of_n, select_best_of_n_weighted)

candidates = st.lists(
    st.builds(
        candidate,
        st.sampled_from(["1", "2", "3", None]),
        st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        st.sampled_from(["stop", "length"]),
    ),
    min_size=1,
    max_size=12,
)


def test_majority_takes_the_most_frequent_answer_whatever_its_scores() -> None:
    result = select_majority([candidate("1", 0.9), candidate("2", 0.1), candidate("2", 0.3)], ANSWERS)
    assert (result.best.answer, result.best.score) == ("2", 0.3)
    assert result.confidence == pytest.approx(2 / 3)


def test_a_tied_vote_goes_to_the_better_scored_answer() -> None:
    assert select_majority([candidate("1", 0.2), candidate("2", 0.3)], ANSWERS).best.answer == "2"


def test_best_of_n_takes_the_best_scored_candidate_even_if_others_agree() -> None:
    result = select_best_of_n([candidate("1", 0.9), candidate("2", 0.6), candidate("2", 0.5)], ANSWERS)
    assert result.best.answer == "1"
    assert result.confidence == pytest.approx(0.9 / 2.0)


def test_weighted_sums_the_scores_of_an_answer() -> None:
    """Snell et al. 2024, Algorithm 2: 0.6 + 0.5 for "2" beats 0.9 for "1"."""
    result = select_best_of_n_weighted(
        [candidate("1", 0.9), candidate("2", 0.5), candidate("2", 0.6)], ANSWERS
    )
    assert (result.best.answer, result.best.score) == ("2", 0.6)
    assert result.confidence == pytest.approx(1.1 / 2.0)


def test_samples_that_lead_nowhere_lower_the_confidence() -> None:
    result = select_majority([candidate("1", 0.5), *[candidate(None, 0.5)] * 3], ANSWERS)
    assert result.best.answer == "1"
    assert result.confidence == 0.25


def test_without_any_answer_the_best_scored_turn_wins() -> None:
    texts = [candidate(None, 0.2), candidate(None, 0.8)]
    assert [rule(texts, ANSWERS).best.score for rule in RULES] == [0.8, 0.8, 0.8]


@pytest.mark.parametrize("rule", RULES)
def test_nothing_to_select_from_is_an_error(rule: object) -> None:
    with pytest.raises(ValueError, match="at least one candidate"):
        rule([], ANSWERS)  # type: ignore[operator]


@pytest.mark.parametrize("rule", RULES)
@given(pool=candidates)
def test_what_is_cut_off_or_has_no_answer_never_beats_a_finished_answer(
    rule: object, pool: list[Candidate]
) -> None:
    best = rule(pool, ANSWERS).best  # type: ignore[operator]
    if any(one.finish_reason == "stop" and one.answer is not None for one in pool):
        assert best.finish_reason == "stop"
        assert best.answer is not None
    elif any(one.finish_reason == "stop" for one in pool):
        assert best.finish_reason == "stop"


@pytest.mark.parametrize("rule", RULES)
@given(pool=candidates)
def test_the_winner_is_a_candidate_and_the_confidence_a_share(rule: object, pool: list[Candidate]) -> None:
    result = rule(pool, ANSWERS)  # type: ignore[operator]
    assert result.best in pool
    assert result.candidates == tuple(pool)
    assert 0.0 <= result.confidence <= 1.0
    assert rule(list(pool), ANSWERS) == result  # type: ignore[operator]


@given(pool=candidates)
def test_weighted_wins_by_the_largest_sum_of_finished_answers(pool: list[Candidate]) -> None:
    sums: dict[str, float] = defaultdict(float)
    for one in pool:
        if one.finish_reason == "stop" and one.answer is not None:
            sums[one.answer] += one.score
    if sums:
        best = select_best_of_n_weighted(pool, ANSWERS).best.answer
        assert best is not None
        assert sums[best] == max(sums.values())
