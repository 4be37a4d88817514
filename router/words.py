"""Sums, lists and ways to answer in words, for people. Imports types only: workers and clients speak too."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from router.types import Alternative


def listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def usd(amount: Decimal | None, digits: int = 2) -> str:
    """For people: so many significant digits, never in scientific notation."""
    return "an unknown sum" if amount is None else f"${Decimal(f'{amount:.{digits}g}'):f}"


def say(way: Alternative, *, unseen: bool = False) -> str:
    """A way to answer, how often it is right, and what for; ``unseen``: the prompt is like none of before."""
    spec = way.strategy
    how = "one answer" if spec.name == "direct" else f"{spec.name} of {spec.samples}"
    cost = usd(way.expected_cost_usd)
    wait = "" if way.expected_latency_s is None else f" in {way.expected_latency_s:.2g} s"
    source = (
        "measured on other prompts" if unseen and way.accuracy_source == "measured" else way.accuracy_source
    )
    return f"{way.model} ({how}), right in {way.accuracy:.0%} ({source}) for {cost}{wait}"
