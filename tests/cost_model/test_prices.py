"""Prices: exact, never negative, and unknown rather than guessed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.prices import (
    FREE,
    UNKNOWN,
    Price,
    Tier,
    add_usd,
    from_price_map,
    per_machine_hour,
    per_million,
)

money = st.decimals(min_value=0, max_value=10_000, places=6)
tokens = st.integers(0, 10**7)


@given(money, money, tokens, tokens)
def test_a_cost_is_exactly_tokens_times_price(read: Decimal, written: Decimal, p: int, c: int) -> None:
    cost = per_million(read, written).cost_usd(p, c)
    assert cost is not None
    assert cost * 1_000_000 == p * read + c * written
    assert cost >= 0


@given(money, tokens, tokens)
def test_a_missing_price_makes_the_cost_unknown_only_if_it_is_needed(read: Decimal, p: int, c: int) -> None:
    cost = per_million(read, None).cost_usd(p, c)
    assert (cost is None) == (c > 0)


def test_nothing_costs_nothing_even_at_an_unknown_price_and_something_costs_an_unknown_sum() -> None:
    assert UNKNOWN.cost_usd(0, 0) == 0
    assert UNKNOWN.cost_usd(1) is None
    assert FREE.cost_usd(10**9, 10**9) == 0


def test_a_machine_hour_over_its_throughput_is_a_price_a_token() -> None:
    price = per_machine_hour(Decimal("3.60"), Decimal(1000), Decimal(10))
    assert price == Price(Decimal("0.000001"), Decimal("0.0001"))


@given(
    st.decimals(min_value="0.01", max_value=100, places=2),
    st.integers(1, 10**6).map(Decimal),
    st.integers(1, 10**6).map(Decimal),
)
def test_an_hour_of_work_costs_about_the_price_of_an_hour(
    usd_per_hour: Decimal, read: Decimal, written: Decimal
) -> None:
    price = per_machine_hour(usd_per_hour, read, written)
    hour = price.cost_usd(0, int(written * 3600))
    assert hour is not None
    assert abs(hour - usd_per_hour) < Decimal("0.00001")


DISCOUNTED = per_million(Decimal(2), Decimal(8), Decimal("0.5"), Decimal(12))
LONG = replace(DISCOUNTED, tiers=(Tier(1000, per_million(Decimal(4), Decimal(6))),))
unit = st.none() | st.decimals(min_value=0, max_value=100, places=3)
prices = st.builds(
    lambda base, long, longest: replace(base, tiers=(Tier(1000, long), Tier(2000, longest))),
    *[st.builds(per_million, unit, unit, unit, unit, unit)] * 3,
)
counts = st.integers(0, 3000)


def test_many_short_prompts_in_one_count_are_not_one_long_prompt() -> None:
    assert LONG.cost_usd(2000, 10, calls=2) == DISCOUNTED.cost_usd(2000, 10)
    assert LONG.cost_usd(2001, 0, calls=2) == LONG.tiers[0].price.cost_usd(2001, 0)


@given(prices, counts, counts, st.integers(0, 9))
def test_however_many_calls_they_were_tokens_cost_no_more_than_the_most(
    price: Price, read: int, written: int, calls: int
) -> None:
    most, cost = price.most_usd(read, written), price.cost_usd(read, written, calls=calls)
    assert most is None or (cost is not None and cost <= most)


def test_cached_and_reasoning_tokens_have_prices_of_their_own() -> None:
    # 30 prompt tokens of which 10 were cached, 20 completion tokens of which 5 were thinking.
    expected = (20 * Decimal(2) + 10 * Decimal("0.5") + 15 * Decimal(8) + 5 * Decimal(12)) / 1_000_000
    assert DISCOUNTED.cost_usd(30, 20, 10, 5) == expected


@given(money, money, tokens, tokens, tokens, tokens)
def test_without_prices_of_their_own_they_cost_what_prompt_and_completion_cost(
    read: Decimal, written: Decimal, p: int, c: int, cached: int, thought: int
) -> None:
    price = per_million(read, written)
    assert price.cost_usd(p, c, cached, thought) == price.cost_usd(p, c)


def test_no_more_is_cached_than_was_read_and_no_more_was_thinking_than_was_written() -> None:
    assert DISCOUNTED.cost_usd(30, 20, 99, 99) == DISCOUNTED.cost_usd(30, 20, 30, 20)


def test_what_is_written_to_a_cache_has_a_price_of_its_own() -> None:
    price = per_million(Decimal(4), Decimal(20), Decimal("0.4"), None, Decimal(5))
    # 30 prompt tokens: 10 were cached before, 15 are now.
    expected = (5 * Decimal(4) + 10 * Decimal("0.4") + 15 * Decimal(5)) / 1_000_000
    assert price.cost_usd(30, 0, 10, cache_write_tokens=15) == expected
    assert price.cost_usd(30, 0, 10, cache_write_tokens=99) == price.cost_usd(
        30, 0, 10, cache_write_tokens=20
    )
    assert price.most_usd(30) == 30 * Decimal(5) / 1_000_000
    assert DISCOUNTED.cost_usd(30, 0, cache_write_tokens=30) == DISCOUNTED.cost_usd(30)


def test_a_longer_prompt_has_the_prices_of_its_tier_for_every_token() -> None:
    assert LONG.cost_usd(1000, 10) == DISCOUNTED.cost_usd(1000, 10)
    assert LONG.cost_usd(1001, 10, 500, 10) == (1001 * Decimal(4) + 10 * Decimal(6)) / 1_000_000


def test_the_worst_case_takes_the_dearest_tier_and_the_dearest_kind_of_token() -> None:
    assert DISCOUNTED.most_usd(100, 10) == (100 * Decimal(2) + 10 * Decimal(12)) / 1_000_000
    assert LONG.most_usd(1001, 10) == (1001 * Decimal(4) + 10 * Decimal(6)) / 1_000_000
    assert LONG.most_usd(1001, 10_000) == (1001 * Decimal(2) + 10_000 * Decimal(12)) / 1_000_000


@given(prices, counts, counts, counts, counts, counts, counts, counts)
def test_nothing_used_within_the_worst_case_costs_more_than_it(
    price: Price, p: int, c: int, cached: int, kept: int, thought: int, more_read: int, more_written: int
) -> None:
    worst = price.most_usd(p + more_read, c + more_written)
    cost = price.cost_usd(p, c, cached, thought, cache_write_tokens=kept)
    if worst is not None and p and c:
        assert cost is not None
        assert cost <= worst


@given(st.builds(per_million, money, money, money, money), counts, counts, counts, counts)
def test_costs_of_parts_add_up_to_the_cost_of_the_whole(price: Price, p: int, c: int, q: int, d: int) -> None:
    parts = add_usd(price.cost_usd(p, c, p // 2, c // 3), price.cost_usd(q, d, q // 2, d // 3))
    assert parts == price.cost_usd(p + q, c + d, p // 2 + q // 2, c // 3 + d // 3)


DEARER = per_million(Decimal(2), Decimal(6), Decimal("0.2"), Decimal(5), Decimal("2.5"))


def test_a_map_that_lists_nothing_for_writing_to_a_cache_means_nothing_more() -> None:
    """As litellm's does of DeepSeek's models, and of some of Vercel's."""
    entry = {
        "input_cost_per_token": 2e-06,
        "input_cost_per_token_above_200k_tokens": 4e-06,
        "output_cost_per_token": 3e-06,
        "cache_creation_input_token_cost": 0.0,
    }
    price = from_price_map({"m": entry}, "m")
    for prompt_tokens in (1_000, 300_000):
        plain = price.cost_usd(prompt_tokens)
        assert plain
        assert price.cost_usd(prompt_tokens, cache_write_tokens=prompt_tokens) == plain


PRICE_MAP: dict[str, dict[str, Any]] = {
    "gpt-4o-mini": {
        "litellm_provider": "openai",
        "input_cost_per_token": 1.5e-07,
        "output_cost_per_token": 6e-07,
        "search_context_cost_per_query": {"search_context_size_low": 0.03},
    },
    "azure/gpt-4o": {"input_cost_per_token": 2.75e-06, "output_cost_per_token": 1.1e-05},
    "gemini": {
        "litellm_provider": "vertex_ai-language-models",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 1e-06,
    },
    "thinker": {
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 4e-06,
        "cache_read_input_token_cost": 1e-07,
        "output_cost_per_reasoning_token": 5e-06,
        "input_cost_per_token_above_200k_tokens": 2e-06,
        "input_cost_per_token_above_200k_tokens_batches": 9e-06,
        "output_cost_per_token_above_200k_tokens": 6e-06,
        "cache_read_input_token_cost_above_200k_tokens": 2e-07,
        "cache_creation_input_token_cost": 1.25e-06,
        "cache_creation_input_token_cost_above_1hr": 2e-06,
        "cache_creation_input_token_cost_above_200k_tokens": 2.5e-06,
    },
    "xai/long": {
        "litellm_provider": "xai",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 4e-06,
        "input_cost_per_token_above_128k_tokens": 2e-06,
    },
    "dashscope/ranges": {
        "tiered_pricing": [
            {"range": [32000.0, 64000.0], "input_cost_per_token": 3e-06, "output_cost_per_token": 9e-06},
            {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 5e-06},
        ],
    },
    "searcher": {"tiered_pricing": [{"input_cost_per_query": 0.01, "max_results_range": [0, 25]}]},
    "embedder": {"input_cost_per_token": 1e-07},
    "free": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0, "search_context_cost_per_query": {}},
    "painter": {"input_cost_per_token": 0, "output_cost_per_token": 0, "output_cost_per_image": 0.04},
    "drawer": {"mode": "image_generation", "input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06},
    "asker": {"input_cost_per_token": 1e-07, "output_cost_per_token": 1e-07, "input_cost_per_request": 0.005},
    "perplexity/sonar": {
        "litellm_provider": "perplexity",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 1e-06,
        "search_context_cost_per_query": {"search_context_size_low": 0.005},
    },
}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-mini", Price(Decimal("0.00000015"), Decimal("0.0000006"))),
        ("openai/gpt-4o-mini", Price(Decimal("0.00000015"), Decimal("0.0000006"))),
        ("azure/gpt-4o", Price(Decimal("0.00000275"), Decimal("0.000011"))),
        (
            "thinker",
            replace(
                per_million(Decimal(1), Decimal(4), Decimal("0.1"), Decimal(5), Decimal("1.25")),
                tiers=(Tier(200_000, DEARER),),
            ),
        ),
        (
            "xai/long",
            replace(
                per_million(Decimal(1), Decimal(4)),
                tiers=(Tier(127_999, per_million(Decimal(2), Decimal(4))),),
            ),
        ),
        (
            "dashscope/ranges",
            replace(
                per_million(Decimal(1), Decimal(5)),
                tiers=(Tier(32_000, per_million(Decimal(3), Decimal(9))),),
            ),
        ),
        ("searcher", UNKNOWN),
        ("embedder", Price(Decimal("0.0000001"), None)),
        ("nobody/knows", UNKNOWN),
        ("groq/gpt-4o-mini", UNKNOWN),
        ("ollama/gpt-4o-mini", UNKNOWN),
        ("nobody", UNKNOWN),
        ("vertex_ai/gemini", Price(Decimal("0.000001"), Decimal("0.000001"))),
        ("free", FREE),
        ("painter", UNKNOWN),
        ("drawer", UNKNOWN),
        ("asker", UNKNOWN),
        ("perplexity/sonar", UNKNOWN),
    ],
)
def test_a_price_map_is_read_by_name_and_digit_by_digit(model: str, expected: Price) -> None:
    assert from_price_map(PRICE_MAP, model) == expected


@pytest.mark.parametrize("usd", ["-0.01", "NaN", "Infinity"])
def test_a_price_that_is_no_sum_of_money_is_refused(usd: str) -> None:
    with pytest.raises(ValueError, match="a price is a finite number of USD"):
        Price(Decimal(usd), None)


def test_numbers_that_make_no_price_are_told_in_words() -> None:
    with pytest.raises(ValueError, match="no price that can be reckoned with"):
        per_machine_hour(Decimal("1e30"), Decimal("0.001"), Decimal(1))
    with pytest.raises(ValueError, match="below 1,000,000"):
        per_million(Decimal("1e13"), None)
    with pytest.raises(ValueError, match="a number of USD, not 'cheap'"):
        from_price_map({"m": {"input_cost_per_token": "cheap"}}, "m")


def test_negative_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="counted from 0 up"):
        FREE.cost_usd(-1)


def test_tiers_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="ascending"):
        replace(FREE, tiers=(Tier(2, FREE), Tier(1, FREE)))
