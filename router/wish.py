"""What a request may say of its search, over what its policy says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from router.config import Policy
from router.config.policies import StoppingRule
from router.errors import CannotSearch, UnknownPolicy
from router.market import Market
from router.strategy import contradictions
from router.types import Stopping, StrategyName


@dataclass(frozen=True, slots=True)
class Wish:
    """``None`` leaves it to the policy. ``budget`` is the N of a search, in whole turns.

    With a ``strategy`` nothing is probed and nothing escalates: that search is done on the small model.
    """

    strategy: StrategyName | None = None
    budget: int | None = None
    beam_width: int | Literal["sqrt"] | None = None
    lookahead_steps: int | None = None
    chain_length: int | None = None
    max_drop: float | None = None
    stopping: Stopping | None = None
    max_rounds: int | None = None

    def over(self, policy: Policy) -> Policy:
        """The policy as this request wants it. A probe never takes more samples than the budget."""
        changes: dict[str, Any] = {
            name: value
            for name in (
                "strategy",
                "beam_width",
                "max_rounds",
                "lookahead_steps",
                "chain_length",
                "max_drop",
            )
            if (value := getattr(self, name)) is not None
        }
        if self.budget is not None:
            changes["search_samples"] = self.budget
            changes["probe_samples"] = min(policy.probe_samples, self.budget)
        if self.stopping is not None:
            changes["stopping"] = StoppingRule(
                rule=self.stopping.rule, confidence=self.stopping.confidence, window=self.stopping.window
            )
        return policy.model_copy(update=changes)


def grant(market: Market, policy_name: str, wish: Wish | None) -> Market:
    """The market with the policy as the request wants it.

    Raises :class:`router.errors.UnknownPolicy` or :class:`router.errors.CannotSearch`.
    """
    policy = market.config.policies.get(policy_name)
    if policy is None:
        known = ", ".join(market.config.policies)
        raise UnknownPolicy(f"there is no policy {policy_name!r}; there are {known}")
    if wish is None:
        return market
    wanted, judging = wish.over(policy), market.config.judging(policy.verifier)
    for parameter, problem in contradictions(wanted.strategy, wanted.budget(), judging, "budget"):
        raise CannotSearch(problem, parameter if getattr(wish, parameter) is not None else "budget")
    return market.with_policy(policy_name, wanted)
