"""What searches cost: bounds that no execution exceeds, and expectations below them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.estimate import Size, Tokens
from cost_model.searches import Search, workload
from router.types import StrategyName
from tests.cost_model.sizes import SIZE, sizes

STRATEGIES = get_args(StrategyName)
searches = st.builds(
    Search,
    st.integers(1, 64),
    st.integers(0, 64),
    st.integers(1, 16),
    st.integers(1, 40),
    st.integers(1, 3),
    st.integers(1, 8),
    st.none() | st.integers(2, 16),
    st.booleans(),
    st.booleans(),
)


@given(st.sampled_from(STRATEGIES), searches, sizes)
def test_the_worst_case_is_never_below_what_is_expected(strategy: str, search: Search, size: Size) -> None:
    load = workload(strategy, search, size)
    assert load.worst is not None
    assert load.expected == load.expected.at_most(load.worst)
    assert load.token_cap == load.worst.completion


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_where_nothing_bounds_a_length_the_worst_case_is_unknown(strategy: str) -> None:
    for unknown in (replace(SIZE, prompt_at_most=None), replace(SIZE, completion_at_most=None)):
        assert workload(strategy, Search(16), unknown).worst is None


@pytest.mark.parametrize(
    "strategy", ["direct", "majority", "best_of_n", "best_of_n_weighted", "revisions", "reflect"]
)
def test_a_search_that_its_probe_already_did_costs_nothing(strategy: str) -> None:
    load = workload(strategy, Search(16, probes=16), SIZE)
    assert (load.expected, load.worst, load.token_cap) == (Tokens(), Tokens(), 0)


def test_a_vote_is_judged_by_nobody() -> None:
    load = workload("majority", Search(16), SIZE)
    assert load.worst is not None
    assert load.worst.judged == load.expected.judged == 0


def test_where_scores_compare_turns_those_of_the_probe_are_judged_again() -> None:
    for strategy in ("best_of_n", "best_of_n_weighted", "revisions", "reflect"):
        for probes, judged in ((4, 16), (16, 0)):
            load = workload(strategy, Search(16, probes, judged_together=True), SIZE)
            assert load.worst is not None
            assert load.worst.judged == load.expected.judged == judged
            assert load.expected.judged_tokens == judged * (50 + 80)


def test_every_window_reads_the_prompt_again() -> None:
    load = workload("best_of_n", Search(16, probes=2, window=4), SIZE)
    assert load.worst is not None
    assert load.worst.prompt == (4 + 1) * 120


def test_a_search_by_steps_may_generate_as_much_as_n_whole_samples_and_no_more() -> None:
    for strategy in ("beam", "dvts", "particle", "backtrack"):
        assert workload(strategy, Search(16), SIZE).token_cap == 16 * 192


def test_lookahead_generates_k_and_one_times_as_much() -> None:
    assert workload("lookahead", Search(16, lookahead_steps=3), SIZE).token_cap == 16 * 4 * 192


def test_a_reflection_is_written_twice() -> None:
    assert workload("reflect", Search(16, probes=4), SIZE).token_cap == 2 * 12 * 192


def test_beam_search_is_expected_to_read_each_surviving_turn_once_a_round() -> None:
    # 80 tokens are 5 steps of 16; the probe's first steps are round 1; 4 rounds of 16, from 4 turns each.
    turns = [50 + 16 * done for done in (1, 2, 3, 4)]
    expected = workload("beam", Search(16, probes=16), SIZE).expected
    assert expected == Tokens(4 * sum(turns), 16 * 16 * 4, 16 * 4, 16 * sum(turn + 16 for turn in turns))


def test_particles_may_all_be_different_turns() -> None:
    beams, particles = (workload(name, Search(16, 16), SIZE).worst for name in ("beam", "particle"))
    assert beams is not None
    assert particles is not None
    assert particles.prompt == 4 * beams.prompt


def test_thinking_before_the_first_step_may_take_five_prompts() -> None:
    one, five = (workload("beam", Search(16, 4, thinks_first=t), SIZE).worst for t in (False, True))
    assert one is not None
    assert five is not None
    assert five.prompt - one.prompt == 4 * 12 * 512


def _play_beam(search: Search, size: Size, rng: random.Random) -> Tokens:
    """Count a beam search in which every beam lives as long, and every step is as long, as it may be."""
    assert size.prompt_at_most is not None
    assert size.completion_at_most is not None
    prompt = completion = judged = 0
    left = search.samples * size.completion_at_most
    for done in range(search.max_rounds):
        grown = search.fresh if done == 0 else search.samples
        lengths = [0] if done == 0 else rng.choices(range(1, size.completion_at_most + 1), k=search.kept)
        if grown:
            prompt += sum(size.prompt_at_most + length for length in lengths)
        for _ in range(grown):
            step = min(left, rng.randint(1, size.completion_at_most))
            left -= step
            completion += step
            judged += 1
    return Tokens(prompt, completion, judged)


@settings(deadline=None)
@given(sizes, searches, st.randoms(use_true_random=False))
def test_no_beam_search_exceeds_its_worst_case(size: Size, search: Search, rng: random.Random) -> None:
    played = _play_beam(search, size, rng)
    worst = workload("beam", search, size).worst
    assert worst is not None
    assert played == played.at_most(worst)
