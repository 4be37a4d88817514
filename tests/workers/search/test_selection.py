from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.search.players import ANSWERS, candidate
from workers.answers import Answers
from workers.protocols import Candidate, SearchResult
from workers.search.selection import (
    select_best_of_n,
    select_best_of_n_weighted,
    select_from_chains,
    select_majority,
)

Rule = Callable[[Sequence[Candidate], Answers], SearchResult]
RULES: tuple[Rule, ...] = (select_majority, select_best_of_n, select_best_of_n_weighted)

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
def test_nothing_to_select_from_is_an_error(rule: Rule) -> None:
    with pytest.raises(ValueError, match="at least one candidate"):
        rule([], ANSWERS)


@pytest.mark.parametrize("rule", RULES)
@given(pool=candidates)
def test_what_is_cut_off_or_has_no_answer_never_beats_a_finished_answer(
    rule: Rule, pool: list[Candidate]
) -> None:
    best = rule(pool, ANSWERS).best
    if any(one.finish_reason == "stop" and one.answer is not None for one in pool):
        assert best.finish_reason == "stop"
        assert best.answer is not None
    elif any(one.finish_reason == "stop" for one in pool):
        assert best.finish_reason == "stop"


@pytest.mark.parametrize("rule", RULES)
@given(pool=candidates)
def test_the_winner_is_a_candidate_and_the_confidence_a_share(rule: Rule, pool: list[Candidate]) -> None:
    result = rule(pool, ANSWERS)
    assert result.best in pool
    assert result.candidates == tuple(pool)
    assert result.confidence is not None
    assert 0.0 <= result.confidence <= 1.0
    assert rule(list(pool), ANSWERS) == result


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


@pytest.mark.parametrize("rule", RULES)
@given(pool=candidates, seed=st.integers(0, 1000))
def test_the_winner_does_not_depend_on_the_order_of_the_candidates(
    rule: Rule, pool: list[Candidate], seed: int
) -> None:
    distinct = [replace(one, text=f"{one.text} {at}") for at, one in enumerate(pool)]
    shuffled = random.Random(seed).sample(distinct, len(distinct))
    here, there = rule(distinct, ANSWERS), rule(shuffled, ANSWERS)
    assert (here.best, here.confidence) == (there.best, there.confidence)


def test_where_nobody_believes_in_anything_votes_decide() -> None:
    """Snell et al. 2024, appendix K: without a verifier the search falls back to the majority."""
    pool = [candidate("1", 0.0), candidate("2", 0.0), candidate("2", 0.0)]
    result = select_best_of_n_weighted(pool, ANSWERS)
    assert result.best.answer == "2"
    assert result.confidence == pytest.approx(2 / 3)


def test_chains_are_judged_within_and_then_against_each_other() -> None:
    """Snell et al. 2024, Algorithm 7. In the first chain "1" wins by 0.4 + 0.3 over 0.6; its best is 0.4.

    In the second "2" wins with 0.5, in the third "1" with 0.2: across the chains "1" has 0.4 + 0.2 > 0.5.
    """
    chains = [
        [candidate("1", 0.4), candidate("2", 0.6), candidate("1", 0.3)],
        [candidate("3", 0.1), candidate("2", 0.5)],
        [candidate("1", 0.2)],
        [],
    ]
    result = select_from_chains(chains, ANSWERS)
    assert result.best == candidate("1", 0.4)
    assert len(result.candidates) == 6
    assert result.confidence == pytest.approx(0.9 / 2.1)


def test_a_flat_vote_over_all_attempts_would_choose_otherwise() -> None:
    chains = [[candidate("1", 0.4), candidate("1", 0.4), candidate("1", 0.4)], [candidate("2", 0.9)]]
    flat = [attempt for chain in chains for attempt in chain]
    assert select_best_of_n_weighted(flat, ANSWERS).best.answer == "1"
    assert select_from_chains(chains, ANSWERS).best.answer == "2"


def test_a_chain_that_never_finished_loses_to_one_that_did() -> None:
    chains = [[candidate("1", 1.0, "length")], [candidate("2", 0.1)]]
    assert select_from_chains(chains, ANSWERS).best.answer == "2"


@given(chains=st.lists(candidates, min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_the_order_of_chains_does_not_matter(chains: list[list[Candidate]], seed: int) -> None:
    marked = [
        [replace(one, text=f"{one.text} {at}.{place}") for place, one in enumerate(chain)]
        for at, chain in enumerate(chains)
    ]
    shuffled = random.Random(seed).sample(marked, len(marked))
    here, there = select_from_chains(marked, ANSWERS), select_from_chains(shuffled, ANSWERS)
    assert (here.best, here.confidence) == (there.best, there.confidence)


def test_of_equal_votes_without_scores_the_likeliest_is_shown() -> None:
    likely = (("7, z", -0.9), ("so 7", -0.1), ("7, y", None))
    said = [replace(candidate("7", 0.0), text=text, mean_logprob=logprob) for text, logprob in likely]
    assert select_majority(said, ANSWERS).best.text == "so 7"
