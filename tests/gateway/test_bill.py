"""The bill: every line priced exactly, unknown never taken for free, and sums that are sums."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.usage import Purpose, Usage
from gateway.bill import PURPOSES, Bill, decimal_text
from gateway.translate import gradus_object
from gateway.upstreams import Reading
from router.config import load_config
from router.market import Market, open_market
from router.types import Alternative, StrategySpec
from tests.gateway.conftest import CONFIG

PURPOSE = st.sampled_from(["probe", "candidate", "direct", "escalation"])
LINE = st.builds(
    Usage,
    purpose=PURPOSE,
    model=st.sampled_from(["small", "big", "remote"]),
    calls=st.integers(0, 64),
    prompt_tokens=st.integers(0, 10**6),
    completion_tokens=st.integers(0, 10**6),
) | st.builds(Usage, purpose=st.just("verifier"), model=st.just("prm"), prompt_tokens=st.integers(0, 10**6))


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    path: Path = tmp_path_factory.mktemp("bill") / "gradus.yaml"
    path.write_text(CONFIG.format(upstream="http://127.0.0.1:9"))
    return open_market(load_config(path, {}))


@given(lines=st.lists(LINE, max_size=8))
def test_the_account_is_the_sum_of_its_lines(market: Market, lines: list[Usage]) -> None:
    bill = Bill(market)
    bill.add(lines)

    account, usage = bill.account(), bill.usage()
    assert usage["total_tokens"] == sum(line.total_tokens for line in lines)
    assert sum(account["tokens"].values()) == usage["total_tokens"]
    assert Decimal(account["cost_usd"]) == sum(Decimal(line["cost_usd"]) for line in account["lines"])
    assert account["flops"] == sum(line["flops"] for line in account["lines"])
    for line in account["lines"]:
        of_purpose = [
            each for each in lines if each.purpose == line["purpose"] and each.model == line["model"]
        ]
        assert line["prompt_tokens"] == sum(each.prompt_tokens for each in of_purpose)


@given(lines=st.lists(LINE, max_size=4), tokens=st.integers(1, 1000))
def test_one_unknown_price_makes_the_whole_cost_unknown(
    market: Market, lines: list[Usage], tokens: int
) -> None:
    bill = Bill(market)
    bill.add([*lines, Usage("direct", "lite", 1, tokens, 0)])

    assert bill.account()["cost_usd"] is None
    assert bill.account()["flops"] is None


@given(lines=st.lists(LINE, max_size=4))
def test_a_call_that_nobody_counted_makes_the_whole_cost_unknown_and_no_line_of_another_model(
    market: Market, lines: list[Usage]
) -> None:
    bill = Bill(market)
    bill.add(lines)
    broken = Reading("remote", {"prompt": "what?"}, len)
    broken.send()
    bill.add_call("escalation", broken)

    account = bill.account()
    unknown = [(line["purpose"], line["model"]) for line in account["lines"] if line["cost_usd"] is None]
    assert account["cost_usd"] is None
    assert unknown == [("escalation", "remote")]


def test_every_reason_why_a_cost_is_unknown_is_said_beside_other_notices(market: Market) -> None:
    bill = Bill(market)
    paid, broken = Reading("remote", {"prompt": "what?"}, len), Reading("remote", {"prompt": "what?"}, len)
    for call in (paid, broken):
        call.send()
    paid.see({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    bill.add_call("direct", paid, ("service_tier",))
    bill.add_call("direct", broken)
    direct = Alternative("large", "remote", StrategySpec("direct"), 0.5, "assumed", None, None)

    said = gradus_object(
        policy=None,
        chosen=direct,
        decision=None,
        predicted=None,
        samples=1,
        confidence=None,
        account=bill.account(),
        latency_s={},
        notice="a fallback answered",
    )["notice"]
    assert said.startswith("a fallback answered; ")
    assert "never said what that consumed" in said
    assert "service_tier: priced apart" in said


def test_what_was_cached_and_what_was_thought_are_details_beside_a_server_s_own(market: Market) -> None:
    bill = Bill(market)
    bill.add([Usage("probe", "small", 1, 10, 20, 4, 6), Usage("candidate", "small", 1, 10, 20, 5, 7)])

    usage = bill.usage(
        {"completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 2}, "seconds": 3}
    )
    assert usage["prompt_tokens_details"] == {"cached_tokens": 9}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 13, "audio_tokens": 2}
    assert usage["seconds"] == 3
    assert [line["cached_prompt_tokens"] for line in bill.account()["lines"]] == [4, 5]


@pytest.mark.parametrize("name", ["cache_write_tokens", "cache_creation_tokens"])
def test_what_a_provider_wrote_to_its_cache_is_billed_at_its_price(tmp_path: Path, name: str) -> None:
    path = tmp_path / "gradus.yaml"
    path.write_text(CONFIG.format(upstream="http://127.0.0.1:9"))
    remote = "GRADUS__MODELS__REMOTE__PRICE__USD_PER_MILLION_"
    prices = {f"{remote}PROMPT_TOKENS": "4", f"{remote}COMPLETION_TOKENS": "20"}
    bill = Bill(open_market(load_config(path, {**prices, f"{remote}CACHE_WRITE_TOKENS": "5"})))
    call = Reading("remote", {}, len)
    call.send()
    usage = {"prompt_tokens": 2000, "completion_tokens": 1, "prompt_tokens_details": {name: 1500}}
    call.see({"choices": [], "usage": usage})
    bill.add_call("direct", call)

    assert bill.cost_usd == (500 * Decimal(4) + 1500 * Decimal(5) + 20) / 1_000_000


def test_an_empty_bill_is_nothing_and_knows_it(market: Market) -> None:
    account = Bill(market).account()

    assert (account["cost_usd"], account["flops"], account["lines"]) == ("0", 0, [])


def test_every_purpose_has_a_name_in_replies() -> None:
    assert set(PURPOSES) == set(Purpose.__args__) - {"cache"}  # type: ignore[attr-defined]


def test_what_comes_out_of_the_cache_costs_nothing_and_has_its_line(market: Market) -> None:
    bill = Bill(market)
    bill.add([Usage("cache", "a model without a price", calls=8)])
    account = bill.account()
    assert (account["cost_usd"], account["flops"]) == ("0", 0.0)
    assert set(account["tokens"].values()) == {0}
    (line,) = account["lines"]
    assert (line["purpose"], line["calls"], line["cost_usd"]) == ("cache", 8, "0")


@given(amount=st.decimals(min_value=0, max_value=10**6, places=15, allow_nan=False))
def test_amounts_are_plain_digits_of_the_same_value(amount: Decimal) -> None:
    text = decimal_text(amount)

    assert text is not None
    assert Decimal(text) == amount
    assert "e" not in text.lower()
    assert not (("." in text) and text.endswith("0"))


def test_an_unknown_amount_stays_unknown() -> None:
    assert decimal_text(None) is None
