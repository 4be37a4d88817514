"""What a provider prices by more than tokens: no price in replies, an estimate on the books."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from gateway.bill import Bill
from gateway.settling import most_likely_usd
from gateway.upstreams.reading import Reading
from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import ScriptedWorker
from tests.gateway.upstream import UpstreamDouble
from tests.router.examples import market


def call() -> Reading:
    made = Reading("big", {"messages": [{"content": "hello"}]}, len)
    made.send()
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000}
    made.see({"choices": [{"message": {"content": "hi"}}], "usage": usage})
    made.whole = True
    return made


def test_a_call_with_a_fee_is_billed_the_price_of_its_tokens_where_nothing_was_reserved(
    tmp_path: Path,
) -> None:
    plain, dear = Bill(market(tmp_path)), Bill(market(tmp_path))
    plain.add_call("direct", call())
    dear.add_call("direct", call(), ("service_tier",))
    nothing: Any = SimpleNamespace(reserved_usd=None)
    run: Any = SimpleNamespace(bill=dear)

    assert dear.cost_usd is None
    assert most_likely_usd(None, nothing, run) == plain.cost_usd
    assert plain.cost_usd


def test_an_answer_that_was_thought_over_unseen_is_billed_no_less_than_was_heard_of_it(
    tmp_path: Path,
) -> None:
    plain, thought = Bill(market(tmp_path)), Bill(market(tmp_path))
    for bill, thinks in ((plain, False), (thought, True)):
        made = Reading("big", {"messages": [{"content": "hello"}]}, len, thinks=thinks)
        made.send()
        made.see({"choices": [{"message": {"content": "hi"}}]})
        made.whole = True
        bill.add_call("direct", made)
    nothing: Any = SimpleNamespace(reserved_usd=None)
    reserved: Any = SimpleNamespace(reserved_usd=Decimal(7))
    run: Any = SimpleNamespace(bill=thought)

    assert plain.cost_usd
    assert thought.cost_usd is None
    assert most_likely_usd(None, nothing, run) == plain.cost_usd
    assert most_likely_usd(None, reserved, run) == 7


@pytest.mark.parametrize(
    ("limits", "model", "code"),
    [
        ({}, "gradus/longer-capped", "cost_cap_exceeded"),
        ({"GRADUS__LIMITS__USD_TOTAL": "5"}, "remote", "cost_unknown"),
        ({"GRADUS__LIMITS__USD_TOTAL": "5"}, "gradus/remote", "cost_unknown"),
    ],
)
def test_who_is_refused_for_a_fee_hears_which_field_it_was(
    configure: Configure, start: Start, worker: ScriptedWorker, limits: dict[str, str], model: str, code: str
) -> None:
    url = start(configure(**limits))
    asked = {"model": model, "logprobs": True, "messages": [{"role": "user", "content": "hello"}]}

    answer = httpx.post(f"{url}/v1/chat/completions", json={**asked, "service_tier": "flex"})

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (402, code, "service_tier")
    assert "with service_tier: leave that out" in error["message"]


def test_what_is_passed_through_is_refused_for_its_fee_by_name(
    configure: Configure, start: Start, upstream: UpstreamDouble
) -> None:
    url = start(
        configure(GRADUS__LIMITS__USD_TOTAL="5", GRADUS__MODELS__REMOTE__ENDPOINTS='["chat", "responses"]')
    )
    asked = {"model": "remote", "input": "hello", "tools": [{"type": "web_search"}]}

    error = httpx.post(f"{url}/v1/responses", json=asked).json()["error"]

    assert (error["code"], error["param"]) == ("cost_unknown", "tools")
