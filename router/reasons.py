"""Decisions in words, with their numbers: for people who ask why."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from router.config import Policy
from router.market import Market, Outlook
from router.types import Alternative, Bin


def why(
    difficulty_bin: Bin | None,
    policy: Policy,
    chosen: Alternative,
    rejected: Sequence[Alternative],
    cut: bool,
) -> str:
    """Why ``chosen`` was taken and not ``rejected``; ``cut`` if the cap had a say in it."""
    reason = f"{_words(difficulty_bin)}: {say(chosen)}"
    if rejected:
        reason += f"; rather than {' or '.join(map(say, rejected))}"
        if policy.min_accuracy is not None and chosen.accuracy >= policy.min_accuracy:
            reason += f"; {policy.min_accuracy:.0%} is enough"
        else:
            reason += f"; a right answer is worth {usd(policy.usd_per_right_answer)}"
    else:
        reason += "; there is no other way"
    return reason + (f"; the cap is {usd(policy.max_cost_usd)}" if cut else "")


def nowhere_to_go(policy_name: str, policy: Policy, outlook: Outlook) -> str | None:
    """What the client of a hard query is told where there is no large model."""
    if policy.large is not None or outlook.difficulty_bin not in (Bin.HARD, Bin.VERY_HARD):
        return None
    return (
        f"this query looks {_words(outlook.difficulty_bin)} for {policy.small}, and had nowhere to go: "
        f"policy {policy_name!r} has no large model (GRADUS_LARGE_MODEL names one)"
    )


def in_doubt(market: Market, policy: Policy, chosen: Alternative) -> str | None:
    """What the client is told of a vote that stands in for trust in the verifier."""
    return market.shortfalls.get(policy.verifier) if chosen.strategy.name == "majority" else None


def listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def usd(amount: Decimal | None) -> str:
    """For people: two significant digits, never in scientific notation."""
    return "an unknown sum" if amount is None else f"${Decimal(f'{amount:.2g}'):f}"


def say(way: Alternative) -> str:
    """A way to answer, how often it is right, and what for."""
    spec = way.strategy
    how = "one answer" if spec.name == "direct" else f"{spec.name} of {spec.samples}"
    cost = usd(way.expected_cost_usd)
    return f"{way.model} ({how}), right in {way.accuracy:.0%} ({way.accuracy_source}) for {cost}"


def _words(difficulty_bin: Bin | None) -> str:
    return "any difficulty" if difficulty_bin is None else difficulty_bin.replace("_", " ")
