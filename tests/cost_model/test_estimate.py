"""Estimates: the worst case is a bound, and what is unknown stays unknown."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.estimate import Size, Tokens, Workload, beam, direct, parallel
from cost_model.prices import FREE, UNKNOWN, Price

SIZE = Size(
    prompt=50, prompt_at_most=120, completion=80, completion_at_most=192, context=512, verifier_context=512
)
sizes = st.builds(
    lambda prompt, more, completion, longer, verifier: Size(
        prompt=prompt,
        prompt_at_most=prompt + more,
        completion=min(completion, longer),
        completion_at_most=longer,
        context=prompt + more + longer,
        verifier_context=verifier * (prompt + more + longer),
    ),
    st.integers(1, 300),
    st.integers(0, 300),
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(0, 1),
)
widths = st.sampled_from([(4, 4), (8, 2), (16, 4), (64, 4), (16, 16), (3, 1)])
money = st.decimals(min_value=0, max_value=1, places=9)
prices = st.builds(Price, money, money)


def _every(size: Size, samples: int, width: int, probes: int) -> list[Workload]:
    return [
        direct(size),
        direct(size, 3),
        parallel(samples, size),
        parallel(samples - probes, size),
        beam(samples, width, 40, probes, size),
    ]


@given(sizes, widths, st.integers(0, 64), prices, prices)
def test_the_worst_case_is_never_below_what_is_expected(
    size: Size, budget: tuple[int, int], probes: int, model: Price, verifier: Price
) -> None:
    for workload in _every(size, *budget, probes):
        assert workload.worst is not None
        expected = workload.expected.cost_usd(model, verifier)
        worst = workload.worst.cost_usd(model, verifier)
        assert expected is not None
        assert worst is not None
        assert 0 <= expected <= worst


def _play_beam(samples: int, width: int, rounds: int, probes: int, size: Size, rng: random.Random) -> Tokens:
    """Count a beam search in which every beam lives as long, and every step is as long, as it may be."""
    assert size.prompt_at_most is not None
    assert size.completion_at_most is not None
    survivors, prompt, completion, verified = max(1, samples // width), 0, 0, 0
    left = samples * size.completion_at_most
    for done in range(rounds):
        grown = max(0, samples - probes) if done == 0 else samples
        lengths = [0] if done == 0 else rng.choices(range(1, size.completion_at_most + 1), k=survivors)
        if grown:
            prompt += sum(size.prompt_at_most + length for length in lengths)
        for _ in range(grown):
            step = min(left, rng.randint(1, size.completion_at_most))
            left -= step
            completion += step
            verified += min(size.verifier_context, size.prompt_at_most + max(lengths) + step)
    return Tokens(prompt, completion, verified)


@given(sizes, widths, st.integers(0, 20), st.integers(1, 40), st.randoms(use_true_random=False))
def test_no_beam_search_exceeds_its_worst_case(
    size: Size, budget: tuple[int, int], probes: int, rounds: int, rng: random.Random
) -> None:
    played = _play_beam(*budget, rounds, probes, size, rng)
    worst = beam(*budget, 40, probes, size).worst
    assert worst is not None
    assert played == played.at_most(worst)


def test_samples_of_one_batch_share_the_reading_of_their_prompt() -> None:
    assert parallel(16, SIZE).expected == Tokens(prompt=50, completion=16 * 80, verifier=16 * (50 + 80))


def test_a_search_that_its_probe_already_did_costs_nothing() -> None:
    nothing = parallel(0, SIZE)
    assert (nothing.expected, nothing.worst, nothing.token_cap) == (Tokens(), Tokens(), 0)
    assert parallel(-4, SIZE) == nothing


def test_beam_search_may_generate_as_much_as_n_whole_samples_and_no_more() -> None:
    workload = beam(16, 4, 40, 0, SIZE)
    assert workload.worst is not None
    assert workload.token_cap == workload.worst.completion == 16 * 192


def test_beam_search_is_expected_to_read_each_surviving_turn_once_a_round() -> None:
    # 80 tokens are 5 steps of 16; the probe's first steps are round 1; 4 rounds of 16, from 4 turns each.
    turns = [50 + 16 * done for done in (1, 2, 3, 4)]
    expected = beam(16, 4, 40, 16, SIZE).expected
    assert expected == Tokens(4 * sum(turns), 16 * 16 * 4, 16 * sum(turn + 16 for turn in turns))


def test_a_verifier_that_reads_nothing_costs_nothing() -> None:
    expected = parallel(16, replace(SIZE, verifier_context=0)).expected
    assert expected.verifier == 0
    assert expected.cost_usd(FREE, UNKNOWN) == 0


@pytest.mark.parametrize(
    "size",
    [replace(SIZE, prompt_at_most=None), replace(SIZE, completion_at_most=None)],
    ids=["read", "write"],
)
def test_where_nothing_bounds_a_length_the_worst_case_is_unknown(size: Size) -> None:
    assert [way.worst for way in (direct(size), parallel(4, size), beam(4, 4, 40, 0, size))] == [None] * 3


def test_flops_are_two_a_parameter_and_token_of_model_and_verifier() -> None:
    assert Tokens(100, 50, 30).flops(1000, 10) == 2 * 1000 * 150 + 2 * 10 * 30


def test_flops_are_unknown_where_a_size_that_is_needed_is() -> None:
    assert Tokens(1, 0, 0).flops(None, None) is None
    assert Tokens(0, 0, 1).flops(1000, None) is None
    assert Tokens(1, 0, 0).flops(1000, None) == 2000.0


def test_a_cost_is_unknown_as_soon_as_the_verifier_s_price_is() -> None:
    price = Price(Decimal(1), Decimal(1))
    assert Tokens(1, 1, 1).cost_usd(price, UNKNOWN) is None
    assert Tokens(1, 1, 0).cost_usd(price, UNKNOWN) == 2
