"""The plan of a second attempt: by the large model, where a worker gave up, cannot do it, or is not there."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from cost_model.prices import add_usd
from gateway.errors import NoWorker, QueueFull, QueueUnavailable
from router.config import TransformersModel
from router.errors import PromptTooLong, Refused
from router.market import Market
from router.policy import direct_plan
from router.types import Branch, Plan, ProbeStage, Query

SCHEMA_NOT_MET = "schema_not_met"
"""A worker's failure: no candidate keeps to the JSON schema or the tools of the request."""
OVERFLOWS = (NoWorker, QueueFull, QueueUnavailable)
"""Why no worker takes a job."""
_OVERFLOW_CODES = {each.code for each in OVERFLOWS}


class Instead(Exception):
    """A worker did nothing, and the large model is to answer: by ``plan``, for which nothing is reserved yet.

    ``absent``: no worker took it, though one could.
    """

    def __init__(self, plan: Plan, *, absent: bool) -> None:
        self.plan, self.absent = plan, absent
        super().__init__("another model answers")


def plan_for_gave_up(decided: Plan, branch: Branch) -> Plan:
    """``branch`` alone, as it was priced, of a query whose search gave up."""
    only = replace(branch, difficulty_bin=None, rejected=(), above=0.0, up_to=1.0)
    return replace(decided, small=None, verifier=None, stages=(ProbeStage(0, (only,)),))


def plan_after(
    code: str,
    query: Query,
    policy_name: str,
    failed: str | None,
    spent_usd: Decimal | None,
    market: Market,
) -> Plan | None:
    """One answer of the policy's large model, after a failure of that ``code``.

    ``None`` where it could do no better than ``failed``: a prompt may be longer than planning estimated (a
    worker has the tokenizer), and a small model may not keep to a schema. The cap still holds, over
    ``spent_usd`` too, which is what the request has cost already (``None``: unknown).
    """
    policy = market.config.policies[policy_name]
    large = policy.large
    if large is None or failed is None or large == failed:
        return None
    if code in _OVERFLOW_CODES:
        if policy.overflow != "large" or isinstance(market.config.models[large], TransformersModel):
            return None
        return _by_large("no worker could take the query", query, policy_name, spent_usd, market)
    if code == PromptTooLong.code and _reads_more(large, failed, market):
        return _by_large(f"the prompt is longer than {failed} reads", query, policy_name, spent_usd, market)
    if code == SCHEMA_NOT_MET:
        return _by_large(f"{failed} did not keep to the schema", query, policy_name, spent_usd, market)
    return None


def _reads_more(large: str, failed: str, market: Market) -> bool:
    read_tokens = market.config.models[large].context_tokens
    failed_tokens = market.config.models[failed].context_tokens
    return read_tokens is None or (failed_tokens is not None and read_tokens > failed_tokens)


def _by_large(
    because: str, query: Query, policy_name: str, spent_usd: Decimal | None, market: Market
) -> Plan | None:
    policy = market.config.policies[policy_name]
    assert policy.large is not None
    try:
        direct = direct_plan(query, policy.large, market)
    except Refused:
        return None
    chosen = replace(direct.branches[0].chosen, route="large")
    worst_case_usd = add_usd(spent_usd, chosen.worst_case_cost_usd)
    if policy.max_cost_usd is not None and (worst_case_usd is None or worst_case_usd > policy.max_cost_usd):
        return None
    branch = replace(direct.branches[0], chosen=chosen, reason=f"{policy.large} answers, because {because}")
    return replace(direct, policy=policy_name, stages=(ProbeStage(0, (branch,)),))
