"""Snell et al. 2024, section 7: what saved pretraining buys in inference, in FLOPs and in dollars."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.exchange import break_even, break_even_ratio, inference_growth, inference_growth_usd
from cost_model.flops import inference_flops, training_flops


@pytest.mark.parametrize(
    ("r", "growth"), [(0.16, 257.75), (0.79, 63.367089), (22, 15.772727)], ids=["R<<1", "R~1", "R>>1"]
)
def test_the_paper_s_three_loads_with_a_model_14_times_larger(r: float, growth: float) -> None:
    assert inference_growth(14, inference_tokens=r, pretraining_tokens=1) == pytest.approx(growth)


@given(
    st.floats(1, 100),
    st.floats(1e3, 1e15),
    st.floats(1e3, 1e15),
)
def test_at_that_growth_both_models_take_the_same_flops(
    times_larger: float, inference_tokens: float, pretraining_tokens: float
) -> None:
    growth = inference_growth(times_larger, inference_tokens, pretraining_tokens)
    n = 10**9
    small = training_flops(n, pretraining_tokens) + inference_flops(n, growth * inference_tokens)
    large = times_larger * (training_flops(n, pretraining_tokens) + inference_flops(n, inference_tokens))
    assert small == pytest.approx(large)


@pytest.mark.parametrize("arguments", [(0.5, 1, 1), (14, 0, 1), (14, 1, 0)])
def test_what_makes_no_sense_is_refused(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="at least 1 times larger"):
        inference_growth(*arguments)


@given(st.floats(1.5, 100), st.floats(0.01, 100))
def test_at_the_break_even_ratio_inference_may_grow_exactly_so(times_larger: float, r: float) -> None:
    growth = inference_growth(times_larger, r, 1)
    assert break_even_ratio(times_larger, growth) == pytest.approx(r)


def test_a_search_within_the_ratio_of_sizes_is_always_affordable() -> None:
    assert break_even_ratio(10, 10) is None
    assert break_even_ratio(10, 16) == pytest.approx(4.5)


money = st.decimals(min_value="0.0001", max_value=1000, places=4)


@given(money, money, st.integers(1, 10**9), st.decimals(min_value=0, max_value=10**8, places=2))
def test_at_that_growth_both_models_cost_the_same_dollars(
    small: Decimal, large: Decimal, queries: int, saved: Decimal
) -> None:
    growth = inference_growth_usd(small, large, Decimal(queries), saved)
    assert float(growth * small * queries) == pytest.approx(float(saved + large * queries))


def test_with_prices_like_parameters_and_training_like_flops_dollars_grow_as_flops_do() -> None:
    # A dollar a FLOP, N = 1, M = 14, D_pretrain = 100, D_inference = 22.
    saved = Decimal(13 * 6 * 100)
    dollars = inference_growth_usd(Decimal(2), Decimal(28), Decimal(22), saved)
    assert float(dollars) == pytest.approx(inference_growth(14, 22, 100))


@given(money, money, money, money)
def test_at_the_break_even_both_ways_cost_the_same_and_beside_it_they_do_not(
    fixed: Decimal, each: Decimal, other_fixed: Decimal, other_each: Decimal
) -> None:
    queries = break_even(fixed, each, other_fixed, other_each)
    if queries is None:
        assert (fixed - other_fixed) * (each - other_each) >= 0
    else:
        assert queries > 0
        both = (float(fixed + queries * each), float(other_fixed + queries * other_each))
        assert both[0] == pytest.approx(both[1])
        assert (fixed < other_fixed) == (each > other_each)


def test_queries_and_a_price_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="costs something"):
        inference_growth_usd(Decimal(0), Decimal(1), Decimal(1))
    with pytest.raises(ValueError, match="at least 1 times larger"):
        break_even_ratio(0.5, 2)
