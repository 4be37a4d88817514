"""What a provider prices by more than tokens: no price in replies, an estimate on the books."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway.bill import Bill
from gateway.settling import most_likely_usd
from gateway.upstreams.reading import Reading
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
