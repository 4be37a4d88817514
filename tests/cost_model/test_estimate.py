"""Estimates: the worst case is a bound, and what is unknown stays unknown."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.estimate import Judge, Size, Tokens, direct, parallel
from cost_model.prices import FREE, UNKNOWN, Price, Tier
from tests.cost_model.sizes import SIZE, sizes

money = st.decimals(min_value=0, max_value=1, places=9)
prices = st.builds(Price, money, money)
judges = st.builds(Judge, prices, st.just(10), st.integers(1, 900), st.integers(1, 2), st.integers(0, 99))


@given(sizes, st.integers(1, 64), prices, st.lists(judges, max_size=2))
def test_the_worst_case_is_never_below_what_is_expected(
    size: Size, samples: int, model: Price, verifiers: list[Judge]
) -> None:
    for workload in (direct(size), direct(size, 3), parallel(samples, size)):
        assert workload.worst is not None
        expected = workload.expected.cost_usd(model, verifiers)
        worst = workload.worst.cost_usd(model, verifiers)
        assert expected is not None
        assert worst is not None
        assert 0 <= expected <= worst


def test_samples_of_one_batch_share_the_reading_of_their_prompt() -> None:
    assert parallel(16, SIZE).expected == Tokens(50, 16 * 80, judged=16, judged_tokens=16 * (50 + 80))


def test_a_search_that_its_probe_already_did_costs_nothing() -> None:
    nothing = parallel(0, SIZE)
    assert (nothing.expected, nothing.worst, nothing.token_cap) == (Tokens(), Tokens(), 0)
    assert parallel(-4, SIZE) == nothing


PRICE = Price(Decimal(1), Decimal(1))
PRM = Judge(PRICE, 10, context=512)


def test_turns_that_are_judged_one_by_one_have_the_price_of_short_prompts() -> None:
    tiered = Price(Decimal(1), Decimal(1), tiers=(Tier(200, Price(Decimal(2), Decimal(2))),))
    judge = Judge(tiered, 10, context=512)
    assert Tokens(judged=4, judged_tokens=4 * 130).cost_usd(FREE, [judge]) == 4 * 130
    assert Tokens(judged=4, judged_tokens=4 * 300).cost_usd(FREE, [judge]) == 2 * 4 * 300
    assert Tokens(judged=4, judged_tokens=4 * 130).most_usd(FREE, [judge]) == 2 * 4 * 130


def test_who_judges_reads_every_turn_but_no_more_of_it_than_fits() -> None:
    assert Tokens(judged=4, judged_tokens=4 * 130).cost_usd(FREE, [PRM]) == 4 * 130
    assert Tokens(judged=4, judged_tokens=4 * 900).cost_usd(FREE, [PRM]) == 4 * 512
    assert Tokens(judged=4, judged_tokens=None).cost_usd(FREE, [PRM]) == 4 * 512


def test_a_model_that_is_asked_twice_a_turn_reads_and_writes_twice() -> None:
    asked = Judge(Price(Decimal(1), Decimal(10)), None, context=512, calls=2, written=20)
    assert Tokens(judged=3, judged_tokens=300).cost_usd(FREE, [asked]) == 2 * 300 + 10 * 2 * 3 * 20


def test_a_model_that_compares_reads_two_turns_a_call_within_its_context() -> None:
    asked = Judge(PRICE, None, context=150, calls=2, shown=2)
    assert Tokens(judged=3, judged_tokens=120).cost_usd(FREE, [asked]) == 2 * 2 * 120
    assert Tokens(judged=3, judged_tokens=300).cost_usd(FREE, [asked]) == 2 * 3 * 150


def test_all_members_of_an_ensemble_read_and_each_is_paid() -> None:
    short = replace(PRM, price=Price(Decimal(3), None), context=100)
    assert Tokens(judged=2, judged_tokens=260).cost_usd(FREE, [PRM, short]) == 260 + 3 * 200


def test_a_turn_that_nobody_judges_costs_nothing_more() -> None:
    assert Tokens(judged=16, judged_tokens=2000).cost_usd(FREE) == 0
    assert parallel(16, SIZE, judged=0).expected == Tokens(50, 16 * 80)


@pytest.mark.parametrize(
    "size",
    [replace(SIZE, prompt_at_most=None), replace(SIZE, completion_at_most=None)],
    ids=["read", "write"],
)
def test_where_nothing_bounds_a_length_the_worst_case_is_unknown(size: Size) -> None:
    assert [way.worst for way in (direct(size), parallel(4, size))] == [None] * 2


def test_flops_are_two_a_parameter_and_token_of_model_and_verifier() -> None:
    assert Tokens(100, 50, 1, 30).flops(1000, [PRM]) == 2 * 1000 * 150 + 2 * 10 * 30


def test_flops_are_unknown_where_a_size_that_is_needed_is() -> None:
    unsized = replace(PRM, parameters=None)
    assert Tokens(1, 0).flops(None) is None
    assert Tokens(0, 0, 1, 1).flops(1000, [unsized]) is None
    assert Tokens(1, 0).flops(1000, [unsized]) == 2000.0


def test_a_cost_is_unknown_as_soon_as_the_verifier_s_price_is() -> None:
    unpriced = replace(PRM, price=UNKNOWN)
    assert Tokens(1, 1, 1, 1).cost_usd(PRICE, [unpriced]) is None
    assert Tokens(1, 1).cost_usd(PRICE, [unpriced]) == 2


def test_the_most_that_tokens_cost_counts_all_of_them_as_the_dearest_kind() -> None:
    model = Price(Decimal(1), Decimal(2), Decimal("0.1"), Decimal(5))
    asked = Judge(Price(Decimal(1), Decimal(3), None, Decimal(4)), None, context=512, written=20)
    assert Tokens(10, 10, 2, 100).most_usd(model, [asked]) == 10 + 5 * 10 + 100 + 4 * 2 * 20
    assert Tokens(1).most_usd(UNKNOWN) is None
