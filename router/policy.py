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

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

from cost_model.prices import add_usd
from router.config import Policy
from router.errors import CannotHonour, UnknownPolicy
from router.limits import allowed, over_cap, readers_of, too_long, unmet_needs
from router.market import Expectation, Market, Outlook
from router.pricing import Ask, ask_of, direct_answer, probe_price, search, vote
from router.probe import difficulty_of, range_of
from router.reasons import in_doubt, listed, nowhere_to_go, say, usd, why
from router.types import Alternative, Bin, Branch, Decision, Evidence, Plan, ProbeStage, Query
from router.wish import Wish, grant

BY_NAME = "direct"
"""``Plan.policy`` of a query that asks for a model by its name."""

_FEMTODOLLAR = Decimal("1e-15")
_UNMEASURED = Expectation(0.5, "assumed", None)


def plan(
    query: Query,
    policy_name: str,
    market: Market,
    *,
    prompt_tokens: int | None = None,
    wish: Wish | None = None,
) -> Plan:
    """What to do for ``query`` in every case, and what it will cost.

    ``prompt_tokens`` is the length of the prompt where the caller knows it; else it is estimated. ``wish`` is
    what the request itself says of its search.
    Raises :class:`UnknownPolicy`, :class:`CannotHonour`, :class:`CannotSearch`, :class:`PromptTooLong` or
    :class:`CapExceeded`.
    """
    market = grant(market, policy_name, wish)
    policy = market.config.policies[policy_name]
    ask = ask_of(query, prompt_tokens)
    readers = readers_of(market, [name for name in (policy.small, policy.large) if name], ask)
    needs = unmet_needs(query, market.config.models[policy.small])
    if needs or policy.small not in readers:
        return _only_large(query, policy_name, market, ask, needs)
    large = policy.large if policy.large in readers else None
    if _probes(policy):
        probing = _probing(policy_name, market, ask, large)
        if probing is not None and any(branch.chosen.route == "small" for branch in probing.branches):
            return probing
        if probing is not None and large:
            return _without_asking(policy_name, market, ask, large, probing)
    return _without_probe(policy_name, market, ask, large)


def search_plan(
    query: Query, policy_name: str, market: Market, wish: Wish, *, prompt_tokens: int | None = None
) -> Plan:
    """The search that a request names, on the policy's small model: no probe, and no large model.

    Where it names none, that of the policy for a query of unknown difficulty. Raises what :func:`plan` does.
    """
    market = grant(market, policy_name, wish)
    policy, outlook = market.config.policies[policy_name], market.average[policy_name]
    ask = ask_of(query, prompt_tokens)
    small, is_direct = market.config.models[policy.small], outlook.search.name == "direct"
    needs = unmet_needs(query, small)
    if needs and (not is_direct or small.engine == "transformers"):  # a server answers directly as it can
        raise CannotHonour(
            f"{listed(needs)}: {policy.small} cannot be searched for that; leave it out", needs
        )
    if not readers_of(market, [policy.small], ask):
        too_long(market, ask, [policy.small])
    if is_direct:
        way = direct_answer(market, "small", policy.small, outlook.small, ask)
    else:
        way = search(market, policy_name, outlook, ask, probes=0)
    if not allowed(way.worst_case_cost_usd, policy.max_cost_usd):
        over_cap(policy_name, policy.max_cost_usd, [way])
    branch = Branch(None, way, (), f"asked for: {say(way)}", in_doubt(market, policy, way))
    return _one_branch(policy_name, branch, policy)


def direct_plan(query: Query, model_name: str, market: Market, *, prompt_tokens: int | None = None) -> Plan:
    """One answer of the named model: no routing, no probe, and no cap, which belongs to policies.

    Raises :class:`UnknownPolicy` (there is no such model), :class:`CannotHonour` or :class:`PromptTooLong`.
    """
    model = market.config.models.get(model_name)
    if model is None:
        known = ", ".join(market.config.models)
        raise UnknownPolicy(f"there is no model {model_name!r}; there are {known}")
    needs = unmet_needs(query, model)
    if needs and model.engine == "transformers":
        raise CannotHonour(
            f"{listed(needs)}: {model_name} runs in a worker, where that cannot be honoured; leave it "
            "out, or ask an upstream model",
            needs,
        )
    ask = ask_of(query, prompt_tokens)
    if not readers_of(market, [model_name], ask):
        too_long(market, ask, [model_name])
    policies = market.config.policies.items()
    is_small = any(policy.small == model_name for _, policy in policies)
    as_large = [market.average[name].large for name, policy in policies if policy.large == model_name]
    expectation = as_large[0] if as_large else _UNMEASURED
    answer = direct_answer(market, "small" if is_small else "large", model_name, expectation, ask)
    return _one_branch(BY_NAME, Branch(None, answer, (), f"{model_name} was asked for by its name"))


def replan(plan: Plan, stage: int, evidence: Evidence) -> Decision | None:
    """The branch that the evidence of a stage leads to; ``None``: the next stage is wanted.

    What broke off before it had the stage's samples is all that there will be: the last stage's then.
    """
    found = plan.stages[stage]
    last = stage == len(plan.stages) - 1 or len(evidence.scores) < found.samples
    if last:
        found = replace(plan.stages[-1], reading=found.reading)
    difficulty = difficulty_of(evidence, found.reading)
    for branch in found.branches:
        if branch.above < difficulty.p_right <= branch.up_to or difficulty.p_right == branch.above == 0:
            return Decision(difficulty, branch, evidence)
    if last:
        raise ValueError(
            f"the plan has no branch for {difficulty.p_right}: its last stage must cover everything"
        )
    return None


def _probing(policy_name: str, market: Market, ask: Ask, large: str | None) -> Plan | None:
    """Probe, then one branch a bin; ``None`` if the cap does not even allow the probe."""
    policy, outlooks = market.config.policies[policy_name], market.outlooks[policy_name]
    probe = probe_price(market, policy_name, ask)
    if not allowed(probe.worst_case_usd, policy.max_cost_usd):
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
        branches.append(_branch(policy_name, market, outlook, ways, left_usd, spare))
    chosen = [branch.chosen for branch in branches]
    return Plan(
        policy=policy_name,
        small=policy.small,
        verifier=policy.verifier,
        stages=(ProbeStage(policy.probe_samples, tuple(branches)),),
        probe_cost_usd=probe.expected_usd,
        expected_cost_usd=add_usd(probe.expected_usd, _mean_usd(outlooks, chosen)),
        worst_case_cost_usd=add_usd(probe.worst_case_usd, _max_usd(chosen)),
    )


def _without_probe(policy_name: str, market: Market, ask: Ask, large: str | None) -> Plan:
    """One branch, of a policy that does not probe or whose cap does not allow it."""
    policy, outlook = market.config.policies[policy_name], market.average[policy_name]
    ways = [] if _probes(policy) else [search(market, policy_name, outlook, ask, probes=0)]
    if large:
        ways.append(direct_answer(market, "large", large, outlook.large, ask))
    spare = direct_answer(market, "small", policy.small, outlook.small, ask)
    cap_usd = policy.max_cost_usd
    if not any(allowed(way.worst_case_cost_usd, cap_usd) for way in [*ways, spare]):
        over_cap(policy_name, cap_usd, [*ways, spare])
    branch = _branch(policy_name, market, outlook, ways, cap_usd, spare)
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


def _only_large(query: Query, policy_name: str, market: Market, ask: Ask, needs: Sequence[str]) -> Plan:
    """One branch, of a query that the small model cannot serve."""
    policy = market.config.policies[policy_name]
    models = [name for name in (policy.small, policy.large) if name]
    large = None if policy.large is None else market.config.models[policy.large]
    in_worker = large is not None and large.engine == "transformers"
    if needs and (large is None or (in_worker and unmet_needs(query, large))):
        raise CannotHonour(
            f"{listed(needs)}: a search cannot honour that, and policy {policy_name!r} has no upstream "
            "model that could; leave it out, or configure a large model of engine openai or litellm",
            needs,
        )
    if policy.large is None or not readers_of(market, [policy.large], ask):
        too_long(market, ask, models)
    answer = direct_answer(market, "large", policy.large, market.average[policy_name].large, ask)
    if not allowed(answer.worst_case_cost_usd, policy.max_cost_usd):
        over_cap(policy_name, policy.max_cost_usd, [answer])
    reason = (
        f"{listed(needs)}: a search cannot honour that, so {policy.large} answers"
        if needs
        else f"the prompt of about {ask.prompt.expected} tokens is longer than {policy.small} reads"
    )
    return _one_branch(policy_name, Branch(None, answer, (), reason), policy)


def _branch(
    policy_name: str,
    market: Market,
    outlook: Outlook,
    ways: Sequence[Alternative],
    cap_usd: Decimal | None,
    spare: Alternative,
) -> Branch:
    """The best of ``ways`` that the cap allows; ``spare`` if it allows none of them."""
    policy = market.config.policies[policy_name]
    affordable = [way for way in ways if allowed(way.worst_case_cost_usd, cap_usd)]
    chosen = _best(affordable, policy, outlook) if affordable else spare
    rejected = tuple(way for way in ways if way is not chosen)
    cut = len(affordable) < len(ways)
    reason = why(outlook.difficulty_bin, policy, chosen, rejected, cut)
    notices = (nowhere_to_go(policy_name, policy, outlook), in_doubt(market, policy, chosen))
    notice = "; ".join(each for each in notices if each)
    above, up_to = (0.0, 1.0) if outlook.difficulty_bin is None else range_of(outlook.difficulty_bin)
    return Branch(outlook.difficulty_bin, chosen, rejected, reason, notice or None, above, up_to)


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
        stages=(ProbeStage(0, (branch,)),),
        probe_cost_usd=Decimal(0),
        expected_cost_usd=branch.chosen.expected_cost_usd,
        worst_case_cost_usd=branch.chosen.worst_case_cost_usd,
    )


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


def _probes(policy: Policy) -> bool:
    """Not where one unjudged answer is all that it may lead to: N samples would be paid for, and one used."""
    return policy.probe_samples > 0 and policy.strategy != "direct"


def _accuracy(way: Alternative) -> float:
    return way.accuracy


def _cost_usd(way: Alternative) -> Decimal:
    assert way.expected_cost_usd is not None, "an unknown cost is not compared"
    return way.expected_cost_usd
