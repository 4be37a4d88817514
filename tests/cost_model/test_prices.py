"""Prices: exact, never negative, and unknown rather than guessed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.prices import FREE, UNKNOWN, Price, from_price_map, per_machine_hour, per_million

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
    "embedder": {"input_cost_per_token": 1e-07},
    "free": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0, "search_context_cost_per_query": {}},
    "painter": {"input_cost_per_token": 0, "output_cost_per_token": 0, "output_cost_per_image": 0.04},
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
        ("embedder", Price(Decimal("0.0000001"), None)),
        ("nobody/knows", UNKNOWN),
        ("groq/gpt-4o-mini", UNKNOWN),
        ("ollama/gpt-4o-mini", UNKNOWN),
        ("nobody", UNKNOWN),
        ("vertex_ai/gemini", Price(Decimal("0.000001"), Decimal("0.000001"))),
        ("free", FREE),
        ("painter", UNKNOWN),
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


def test_negative_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="counted from 0 up"):
        FREE.cost_usd(-1)
