"""Decides: :func:`plan` before anything is spent, :func:`replan` after the probe, by looking the bin up.

Each bin compares what Algorithm 6 would search on the small model with one answer of the large model, by

    usd_per_right_answer * P(right) - expected cost

and takes the better one; a policy with ``min_accuracy`` first takes the cheapest way that is right so often
(as BEST-Route does, 2506.22716). What the probe costs is spent in either case, so it enters no comparison,
but every cost of the plan. A cost that nobody knows cannot be weighed: where a price is missing, the large
model is taken for hard and very hard queries if it is right more often, and the small one for the others.

Where the large model wins in every bin, nothing is probed: there is nothing to decide.

Under a cap (``max_cost_usd``) an alternative whose worst case is unknown or too high is not allowed. If that
leaves nothing in a bin, the probe's samples vote without further search; if even the probe is too expensive,
the large model answers directly, or else the small one; if that is too expensive too, the query is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import NoReturn

from cost_model.prices import add_usd
from router.config import Policy
from router.errors import CannotHonour, CapExceeded, PromptTooLong, UnknownPolicy
from router.market import Expectation, Market, Outlook
from router.pricing import Ask, ask_of, direct_answer, probe_price, search, vote
from router.probe import difficulty_of
from router.reasons import listed, nowhere_to_go, usd, why
from router.types import Alternative, Bin, Branch, Decision, Evidence, Plan, Query

BY_NAME = "direct"
"""``Plan.policy`` of a query that asks for a model by its name."""

_FEMTODOLLAR = Decimal("1e-15")
_UNMEASURED = Expectation(0.5, "assumed", None)


def plan(query: Query, policy_name: str, market: Market, *, prompt_tokens: int | None = None) -> Plan:
    """What to do for ``query`` in every case, and what it will cost.

    ``prompt_tokens`` is the length of the prompt where the caller knows it; else it is estimated.
    Raises :class:`UnknownPolicy`, :class:`CannotHonour`, :class:`PromptTooLong` or :class:`CapExceeded`.
    """
    policy = market.config.policies.get(policy_name)
    if policy is None:
        known = ", ".join(market.config.policies)
        raise UnknownPolicy(f"there is no policy {policy_name!r}; there are {known}")
    ask = ask_of(query, prompt_tokens)
    readers = _readers(market, [name for name in (policy.small, policy.large) if name], ask)
    if query.needs or policy.small not in readers:
        return _only_large(policy_name, market, ask, query.needs)
    large = policy.large if policy.large in readers else None
    if policy.probe_samples:
        probing = _probing(policy_name, market, ask, large)
        if probing is not None and any(branch.chosen.route == "small" for branch in probing.branches):
            return probing
        if probing is not None and large:
            return _without_asking(policy_name, market, ask, large, probing)
    return _without_probe(policy_name, market, ask, large)


def direct_plan(query: Query, model_name: str, market: Market, *, prompt_tokens: int | None = None) -> Plan:
    """One answer of the named model: no routing, no probe, and no cap, which belongs to policies.

    Raises :class:`UnknownPolicy` (there is no such model), :class:`CannotHonour` or :class:`PromptTooLong`.
    """
    model = market.config.models.get(model_name)
    if model is None:
        known = ", ".join(market.config.models)
        raise UnknownPolicy(f"there is no model {model_name!r}; there are {known}")
    if query.needs and model.engine == "transformers":
        raise CannotHonour(
            f"{listed(query.needs)}: {model_name} runs in a worker, where that cannot be honoured; leave it "
            "out, or ask an upstream model",
            query.needs,
        )
    ask = ask_of(query, prompt_tokens)
    if not _readers(market, [model_name], ask):
        _too_long(market, ask, [model_name])
    policies = market.config.policies.items()
    is_small = any(policy.small == model_name for _, policy in policies)
    as_large = [market.average[name].large for name, policy in policies if policy.large == model_name]
    expectation = as_large[0] if as_large else _UNMEASURED
    answer = direct_answer(market, "small" if is_small else "large", model_name, expectation, ask)
    return _one_branch(BY_NAME, Branch(None, answer, (), f"{model_name} was asked for by its name"))


def replan(plan: Plan, evidence: Evidence) -> Decision:
    """The branch for the bin that the evidence falls in. Raises :class:`ValueError` for a plan without."""
    difficulty = difficulty_of(evidence)
    for branch in plan.branches:
        if branch.difficulty_bin == difficulty.bin:
            return Decision(difficulty, branch)
    raise ValueError(f"the plan has no branch for {difficulty.bin} queries: it is one without a probe")


def _probing(policy_name: str, market: Market, ask: Ask, large: str | None) -> Plan | None:
    """Probe, then one branch a bin; ``None`` if the cap does not even allow the probe."""
    policy, outlooks = market.config.policies[policy_name], market.outlooks[policy_name]
    probe = probe_price(market, policy_name, ask)
    if not _allowed(probe.worst_case_usd, policy.max_cost_usd):
        return None
    left_usd = None
    if policy.max_cost_usd is not None and probe.worst_case_usd is not None:
        left_usd = policy.max_cost_usd - probe.worst_case_usd
    branches = []
    for outlook in outlooks:
        ways = [search(market, policy_name, outlook, ask, probes=policy.probe_samples)]
        if large:
            ways.append(direct_answer(market, "large", large, outlook.large, ask))
        spare = vote(market, policy_name, outlook)
        branches.append(_branch(policy_name, policy, outlook, ways, left_usd, spare))
    chosen = [branch.chosen for branch in branches]
    return Plan(
        policy=policy_name,
        small=policy.small,
        verifier=policy.verifier,
        probe_samples=policy.probe_samples,
        branches=tuple(branches),
        probe_cost_usd=probe.expected_usd,
        expected_cost_usd=add_usd(probe.expected_usd, _mean_usd(outlooks, chosen)),
        worst_case_cost_usd=add_usd(probe.worst_case_usd, _max_usd(chosen)),
    )


def _without_probe(policy_name: str, market: Market, ask: Ask, large: str | None) -> Plan:
    """One branch, of a policy that does not probe or whose cap does not allow it."""
    policy, outlook = market.config.policies[policy_name], market.average[policy_name]
    ways = [] if policy.probe_samples else [search(market, policy_name, outlook, ask, probes=0)]
    if large:
        ways.append(direct_answer(market, "large", large, outlook.large, ask))
    spare = direct_answer(market, "small", policy.small, outlook.small, ask)
    cap_usd = policy.max_cost_usd
    if not any(_allowed(way.worst_case_cost_usd, cap_usd) for way in [*ways, spare]):
        _over_cap(policy_name, cap_usd, [*ways, spare])
    branch = _branch(policy_name, policy, outlook, ways, cap_usd, spare)
    return _one_branch(policy_name, branch, policy)


def _without_asking(policy_name: str, market: Market, ask: Ask, large: str, probing: Plan) -> Plan:
    """One branch, of a query whose difficulty changes nothing: a probe would be spent for no decision."""
    answer = direct_answer(market, "large", large, market.average[policy_name].large, ask)
    reason = (
        f"not probed, which saves {usd(probing.probe_cost_usd)}: {large} is better in every bin "
        f"({probing.branches[0].reason})"
    )
    branch = Branch(None, answer, (), reason)
    return _one_branch(policy_name, branch, market.config.policies[policy_name])


def _only_large(policy_name: str, market: Market, ask: Ask, needs: Sequence[str]) -> Plan:
    """One branch, of a query that the small model cannot serve."""
    policy = market.config.policies[policy_name]
    models = [name for name in (policy.small, policy.large) if name]
    if needs and (policy.large is None or market.config.models[policy.large].engine == "transformers"):
        raise CannotHonour(
            f"{listed(needs)}: a search cannot honour that, and policy {policy_name!r} has no upstream "
            "model that could; leave it out, or configure a large model of engine openai or litellm",
            needs,
        )
    if policy.large is None or not _readers(market, [policy.large], ask):
        _too_long(market, ask, models)
    answer = direct_answer(market, "large", policy.large, market.average[policy_name].large, ask)
    if not _allowed(answer.worst_case_cost_usd, policy.max_cost_usd):
        _over_cap(policy_name, policy.max_cost_usd, [answer])
    reason = (
        f"{listed(needs)}: a search cannot honour that, so {policy.large} answers"
        if needs
        else f"the prompt of about {ask.prompt.expected} tokens is longer than {policy.small} reads"
    )
    return _one_branch(policy_name, Branch(None, answer, (), reason), policy)


def _branch(
    policy_name: str,
    policy: Policy,
    outlook: Outlook,
    ways: Sequence[Alternative],
    cap_usd: Decimal | None,
    spare: Alternative,
) -> Branch:
    """The best of ``ways`` that the cap allows; ``spare`` if it allows none of them."""
    allowed = [way for way in ways if _allowed(way.worst_case_cost_usd, cap_usd)]
    chosen = _best(allowed, policy, outlook) if allowed else spare
    rejected = tuple(way for way in ways if way is not chosen)
    cut = len(allowed) < len(ways)
    reason = why(outlook.difficulty_bin, policy, chosen, rejected, cut)
    return Branch(
        outlook.difficulty_bin, chosen, rejected, reason, nowhere_to_go(policy_name, policy, outlook)
    )


def _best(ways: Sequence[Alternative], policy: Policy, outlook: Outlook) -> Alternative:
    """The cheapest way that is right often enough, else the most valuable; of equal ones the first."""
    costs = [way.expected_cost_usd for way in ways]
    if None in costs:
        hard = outlook.difficulty_bin in (Bin.HARD, Bin.VERY_HARD)
        return max(ways, key=_accuracy) if hard else ways[0]
    if policy.min_accuracy is not None:
        enough = [way for way in ways if way.accuracy >= policy.min_accuracy]
        if enough:
            return min(enough, key=_cost_usd)
    worth = policy.usd_per_right_answer
    return max(ways, key=lambda way: worth * Decimal(way.accuracy) - _cost_usd(way))


def _one_branch(policy_name: str, branch: Branch, policy: Policy | None = None) -> Plan:
    return Plan(
        policy=policy_name,
        small=policy.small if policy else None,
        verifier=policy.verifier if policy else None,
        probe_samples=0,
        branches=(branch,),
        probe_cost_usd=Decimal(0),
        expected_cost_usd=branch.chosen.expected_cost_usd,
        worst_case_cost_usd=branch.chosen.worst_case_cost_usd,
    )


def _readers(market: Market, models: Sequence[str], ask: Ask) -> list[str]:
    """Those whose context the prompt seems to fit, with room for an answer; else those that it just may fit.

    Only an estimate: a model that counts exactly refuses what it cannot read.
    """
    contexts = {name: market.config.models[name].context_tokens for name in models}
    for tokens in (ask.prompt.expected, ask.prompt.at_least):
        readers = [name for name, context in contexts.items() if context is None or tokens < context]
        if readers:
            return readers
    return []


def _too_long(market: Market, ask: Ask, models: Iterable[str]) -> NoReturn:
    contexts = {name: market.config.models[name].context_tokens or 0 for name in models}
    longest = max(contexts, key=lambda name: contexts[name])
    raise PromptTooLong(
        f"the prompt has {ask.prompt.at_least} tokens or more, but the longest context is that of {longest}, "
        f"{contexts[longest]} tokens; shorten the prompt",
        prompt_tokens=ask.prompt.at_least,
        context_tokens=contexts[longest],
    )


def _over_cap(policy_name: str, cap_usd: Decimal | None, ways: Sequence[Alternative]) -> NoReturn:
    assert cap_usd is not None, "without a cap everything is allowed"
    known = [way.worst_case_cost_usd for way in ways if way.worst_case_cost_usd is not None]
    least = min(known, default=None)
    names = ", ".join(dict.fromkeys(way.model for way in ways))
    what = (
        f"nobody knows what {names} may cost: give a price and max_tokens"
        if least is None
        else f"the cheapest way to answer may cost {usd(least)}: shorten the prompt or max_tokens"
    )
    raise CapExceeded(
        f"policy {policy_name!r} allows {usd(cap_usd)} a request, but {what}, or raise max_cost_usd",
        worst_case_cost_usd=least,
        max_cost_usd=cap_usd,
    )


def _allowed(worst_case_usd: Decimal | None, cap_usd: Decimal | None) -> bool:
    return cap_usd is None or (worst_case_usd is not None and worst_case_usd <= cap_usd)


def _mean_usd(outlooks: Sequence[Outlook], chosen: Sequence[Alternative]) -> Decimal | None:
    """Expected over the bins; one that no query falls into needs no price."""
    costs = [
        None if way.expected_cost_usd is None else Decimal(outlook.share) * way.expected_cost_usd
        for outlook, way in zip(outlooks, chosen, strict=True)
        if outlook.share > 0
    ]
    total = add_usd(*costs)
    return None if total is None else total.quantize(_FEMTODOLLAR, ROUND_DOWN)


def _max_usd(chosen: Sequence[Alternative]) -> Decimal | None:
    costs = [way.worst_case_cost_usd for way in chosen]
    known = [cost for cost in costs if cost is not None]
    return max(known) if len(known) == len(costs) else None


def _accuracy(way: Alternative) -> float:
    return way.accuracy


def _cost_usd(way: Alternative) -> Decimal:
    assert way.expected_cost_usd is not None, "an unknown cost is not compared"
    return way.expected_cost_usd
