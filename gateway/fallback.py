"""The plan of a second attempt: by the large model, where a worker gave up or could not read the prompt."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from cost_model.prices import add_usd
from router.errors import Refused
from router.market import Market
from router.policy import direct_plan
from router.types import Branch, Plan, Query


def plan_for_gave_up(decided: Plan, branch: Branch) -> Plan:
    """``branch`` alone, as it was priced, of a query whose search gave up."""
    only = replace(branch, difficulty_bin=None, rejected=())
    return replace(decided, small=None, verifier=None, probe_samples=0, branches=(only,))


def plan_for_longer(
    query: Query, policy_name: str, failed: str | None, spent_usd: Decimal | None, market: Market
) -> Plan | None:
    """One answer of the policy's large model; ``None`` if it reads no more than ``failed`` does.

    Planning only estimates how long a prompt is; a worker has the tokenizer. The cap still holds, over
    ``spent_usd`` too, which is what the request has cost already (``None``: unknown).
    """
    models, policy = market.config.models, market.config.policies[policy_name]
    if policy.large is None or failed is None or policy.large == failed:
        return None
    read_tokens, failed_tokens = models[policy.large].context_tokens, models[failed].context_tokens
    if read_tokens is not None and (failed_tokens is None or read_tokens <= failed_tokens):
        return None
    try:
        direct = direct_plan(query, policy.large, market)
    except Refused:
        return None
    chosen = replace(direct.branches[0].chosen, route="large")
    worst_case_usd = add_usd(spent_usd, chosen.worst_case_cost_usd)
    if policy.max_cost_usd is not None and (worst_case_usd is None or worst_case_usd > policy.max_cost_usd):
        return None
    reason = f"{policy.large} answers, because the prompt is longer than {failed} reads"
    branch = replace(direct.branches[0], chosen=chosen, reason=reason)
    return replace(direct, policy=policy_name, branches=(branch,))
