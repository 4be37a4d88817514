"""Decides before anything is spent; :func:`router.replanning.replan` looks up what that says of a probe.

Every way to answer that the policy has (one answer of the small model, searches on it, one answer of a large
model) is weighed by

    usd_per_right_answer * P(right) - expected cost

and the best one is taken; a policy with ``min_accuracy`` first takes the cheapest way that is right so often
(as BEST-Route does, 2506.22716). P(right) is what a predictor says of this prompt, and after a probe of this
prompt and what was seen; without a predictor it is measured or assumed by difficulty bin, and only a probe
tells the bin. A cost that nobody knows cannot be weighed: where a price is missing, the most accurate way is
taken for hard queries, and the small model for the others.

A probe is taken where what it may change is worth more than it costs (:mod:`router.decision`), and in stages,
so that it ends as soon as nothing is left to decide. Tables know no query from another: with them it is taken
unless every bin ends in a large model.

Under a cap (``max_cost_usd``) an alternative whose worst case is unknown or too high is not allowed. If that
leaves nothing after a probe, its samples vote without further search; if even the probe is too expensive, the
best way without one is taken, or else one answer of the small model; if that is too expensive too, the query
is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from cost_model.prices import add_usd
from router.branches import branch_of, direct_branch, probing_stages, worst_usd
from router.config import Policy, Rule
from router.decision import MOST_USD, NOTHING
from router.errors import CannotHonour, RefusedByRule, UnknownPolicy
from router.features.conversation import text_of
from router.guides import expectation_of, large_ways, ways_named
from router.limits import allowed, over_cap, readers_of, too_long, unmet_needs
from router.market import Market
from router.outlooks import Expectation
from router.pricing import direct_answer, priced, search
from router.prospects import Way
from router.reasons import in_doubt, told_as_unseen
from router.rules import first_rule
from router.table import Case
from router.together import Outcome, weigh_together
from router.types import Alternative, Branch, Plan, ProbeStage, Query, Worth
from router.wish import Wish, grant
from router.words import listed, say, usd
from router.workloads import Ask, ask_of

BY_NAME = "direct"
"""``Plan.policy`` of a query that asks for a model by its name."""

_UNMEASURED = Expectation(0.5, "assumed", None)


def plan(
    query: Query,
    policy_name: str,
    market: Market,
    *,
    prompt_tokens: int | None = None,
    wish: Wish | None = None,
    explained: bool = True,
) -> Plan:
    """What to do for ``query`` in every case, and what it will cost.

    ``prompt_tokens`` is the length of the prompt where the caller knows it; else it is estimated. ``wish`` is
    what the request itself says of its search. Not ``explained``, what is decided is the same, but what was
    weighed has no reason, and no ways that were rejected but those that a probe may yet choose: telling them
    takes as long as deciding, and of most plans nobody reads it.
    Raises :class:`UnknownPolicy`, :class:`CannotHonour`, :class:`CannotSearch`, :class:`RefusedByRule`,
    :class:`PromptTooLong` or :class:`CapExceeded`.
    """
    found = case_of(query, policy_name, market, prompt_tokens=prompt_tokens, wish=wish, explained=explained)
    return found if isinstance(found, Plan) else decide(weigh_together([found])[0])


def case_of(
    query: Query,
    policy_name: str,
    market: Market,
    *,
    prompt_tokens: int | None = None,
    wish: Wish | None = None,
    explained: bool = False,
) -> Case | Plan:
    """What is to be weighed, and then decided (:func:`decide`); a plan where nothing is left to weigh.

    Arguments are those of :func:`plan`, and so are errors.
    """
    market = grant(market, policy_name, wish)
    policy = market.config.policies[policy_name]
    ask = ask_of(query, prompt_tokens)
    rule = first_rule(query, policy, ask.prompt.expected)
    if rule is not None:
        return _ruled(query, policy_name, market, ask, rule)
    readers = readers_of(market, [policy.small, *policy.larges], ask)
    needs = unmet_needs(query, market.config.models[policy.small])
    if needs or policy.small not in readers:
        return _only_large(query, policy_name, market, ask, needs)
    return Case(policy_name, market, ask, text_of(query.messages), readers, explained)


def decide(outcome: Outcome) -> Plan:
    """What weighing came to, as a plan. Raises :class:`CapExceeded`."""
    decided, case = _decided(outcome), outcome.case
    return told_as_unseen(decided, case.policy) if outcome.table.unseen and case.explained else decided


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
        way = search(market, policy_name, outlook.search, outlook.small, ask, probes=0)
    if not allowed(way.worst_case_cost_usd, policy.max_cost_usd):
        over_cap(policy_name, policy.max_cost_usd, [way], ask.fees)
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


def _decided(outcome: Outcome) -> Plan:
    table, row, tree = outcome.table, outcome.row, outcome.weighed.tree
    case, policy = outcome.case, outcome.case.policy
    if tree is None:
        return _unprobed(outcome)
    must_probe = policy.probe == "always" or (table.unseen and policy.unseen == "probe")
    saved = f"not probed, which saves {usd(table.probe_usd(row))}" if case.explained else None
    if table.guide.predicts and not (must_probe or outcome.weighed.probes[row]):
        return _unprobed(outcome, saved)
    prices, alone = table.probe_prices(row), slice(row, row + 1)
    stages, probe_usd, rest_usd = probing_stages(table.of(alone), tree.of(alone), prices)
    last = stages[-1].branches
    if not (table.guide.predicts or must_probe or any(each.chosen.route == "small" for each in last)):
        # A table knows no query from another: a probe is for nothing only where nothing depends on it.
        better = f"{last[0].chosen.model} is better in every bin ({last[0].reason})"
        return _unprobed(outcome, saved and f"{saved}: {better}")
    return Plan(
        policy=case.policy_name,
        small=policy.small,
        verifier=policy.verifier,
        stages=stages,
        probe_cost_usd=probe_usd,
        expected_cost_usd=add_usd(probe_usd, rest_usd),
        worst_case_cost_usd=worst_usd(stages, prices),
        familiarity=outcome.familiarity,
        p_right=outcome.p_right,
        worth=Worth(min(case.objective.usd_per_right_answer, MOST_USD), case.objective.min_accuracy),
    )


def _unprobed(outcome: Outcome, saved: str | None = None) -> Plan:
    """One branch: the best way without a probe, else one answer of the small model, else a refusal."""
    table, row, case = outcome.table, outcome.row, outcome.case
    policy, way = case.policy, outcome.weighed.direct.item(row)
    if way != NOTHING:
        branch = direct_branch(table, row, way)
    else:
        outlook = case.market.average[case.policy_name]
        spare = direct_answer(case.market, "small", policy.small, outlook.small, case.ask)
        if not allowed(spare.worst_case_cost_usd, policy.max_cost_usd):
            over_cap(case.policy_name, policy.max_cost_usd, [*table.offers(row), spare], case.ask.fees)
        offers = table.offers(row) if case.explained else ()
        branch = branch_of(case, spare, offers, cut=True, unseen=table.unseen)
    if saved is not None:
        branch = replace(branch, reason=f"{saved}; {branch.reason}")
    return _one_branch(case.policy_name, branch, policy, outcome)


def _ruled(query: Query, policy_name: str, market: Market, ask: Ask, rule: Rule) -> Plan:
    """One branch: what the rule says, whatever a predictor would."""
    policy = market.config.policies[policy_name]
    name = f"rule {rule.name!r}" if rule.name else "a rule"
    if rule.use is None:
        raise RefusedByRule(f"{name} of policy {policy_name!r} refuses this request: {rule.refuse}")
    ways = ways_named(rule.use, policy)
    able = [way for way in ways if _honours(query, market, way)]
    if not able:
        needs = unmet_needs(query, market.config.models[ways[0].model])
        raise CannotHonour(
            f"{listed(needs)}: {ways[0].model} cannot honour that, and {name} sends this there", needs
        )
    chosen = _first_to_serve(policy_name, market, ask, able, [way.model for way in able])
    reason = f"{name} says so: {say(chosen)}{_in_place_of(ways[0], chosen)}"
    return _one_branch(policy_name, Branch(None, chosen, (), reason), policy)


def _only_large(query: Query, policy_name: str, market: Market, ask: Ask, needs: Sequence[str]) -> Plan:
    """One branch, of a query that the small model cannot serve."""
    policy = market.config.policies[policy_name]
    ways = large_ways(policy)
    able = [way for way in ways if _honours(query, market, way)]
    if ways and not able:
        needs = needs or unmet_needs(query, market.config.models[ways[0].model])
    if needs and not able:
        has = "has" if policy.allow is None else "allows"
        raise CannotHonour(
            f"{listed(needs)}: a search cannot honour that, and policy {policy_name!r} {has} no upstream "
            "model that could; leave it out, or configure a large model of engine openai or litellm",
            needs,
        )
    answer = _first_to_serve(policy_name, market, ask, able, [policy.small, *(way.model for way in able)])
    reason = (
        f"{listed(needs)}: a search cannot honour that, so {answer.model} answers"
        if needs
        else f"the prompt of about {ask.prompt.expected} tokens is longer than {policy.small} reads"
    )
    branch = Branch(None, answer, (), reason + _in_place_of(ways[0], answer))
    return _one_branch(policy_name, branch, policy)


def _honours(query: Query, market: Market, way: Way) -> bool:
    """What an upstream model is asked it gets as it is; searches and workers honour what is known of them."""
    model = market.config.models[way.model]
    is_passed_on = way.spec.name == "direct" and model.engine != "transformers"
    return is_passed_on or not unmet_needs(query, model)


def _first_to_serve(
    policy_name: str, market: Market, ask: Ask, ways: Sequence[Way], models: Sequence[str]
) -> Alternative:
    """The first of ``ways`` that reads the prompt and keeps to the cap; ``models`` might have read it."""
    policy, average = market.config.policies[policy_name], market.average[policy_name]
    readers = readers_of(market, [way.model for way in ways], ask)
    if not readers:
        too_long(market, ask, models)
    offers = [
        priced(market, policy_name, way, expectation_of(way, policy, average), ask, probes=0)
        for way in ways
        if way.model in readers
    ]
    kept = [offer for offer in offers if allowed(offer.worst_case_cost_usd, policy.max_cost_usd)]
    if not kept:
        over_cap(policy_name, policy.max_cost_usd, offers, ask.fees)
    return kept[0]


def _in_place_of(first: Way, chosen: Alternative) -> str:
    return "" if chosen.model == first.model else f", in place of {first.model}, which cannot serve this"


def _one_branch(
    policy_name: str, branch: Branch, policy: Policy | None = None, outcome: Outcome | None = None
) -> Plan:
    return Plan(
        policy=policy_name,
        small=policy.small if policy else None,
        verifier=policy.verifier if policy else None,
        stages=(ProbeStage(0, (branch,)),),
        probe_cost_usd=Decimal(0),
        expected_cost_usd=branch.chosen.expected_cost_usd,
        worst_case_cost_usd=branch.chosen.worst_case_cost_usd,
        familiarity=outcome.familiarity if outcome else None,
        p_right=outcome.p_right if outcome else None,
    )
