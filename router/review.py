"""What a policy of a configuration means, in words, and what is doubtful about it: `gradus policy check`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cost_model.prices import UNKNOWN
from router.config import Policy, Rule
from router.market import Market
from router.rules import covers, unknown_languages
from router.tuning import Tuned
from router.words import usd


@dataclass(frozen=True, slots=True)
class Review:
    """Of one policy. ``tuned`` is ``None`` where no predictor guides it; ``rules`` are told in order."""

    name: str
    wants: str
    ways: str
    rules: tuple[str, ...]
    tuned: Tuned | None
    warnings: tuple[str, ...]


def review(market: Market, name: str, tuned: Tuned | None) -> Review:
    """``tuned`` is what came of tuning it, where a predictor guides it."""
    policy = market.config.policies[name]
    warnings = [*_of_prices(market, policy), *_of_rules(policy), *_of_limits(market, name, policy, tuned)]
    if tuned is not None and tuned.notice is not None:
        warnings.append(tuned.notice)
    return Review(
        name,
        wants(policy),
        _ways(market, name, policy),
        tuple(f"{_title(rule, index)}: {_says(rule)}" for index, rule in enumerate(policy.rules)),
        tuned,
        tuple(warnings),
    )


def wants(policy: Policy) -> str:
    """The objective and the limits in words."""
    limits = []
    if policy.max_cost_usd is not None:
        limits.append(f"no request for more than {usd(policy.max_cost_usd)}")
    if policy.max_latency_s is not None:
        limits.append(f"no way that takes longer than {policy.max_latency_s:g} s")
    return "; ".join([_objective(policy), *limits])


def _objective(policy: Policy) -> str:
    sure = "" if policy.confidence is None else f", with {policy.confidence:.0%} confidence"
    if policy.min_share_of_large is not None:
        return (
            f"the cheapest way to be {policy.min_share_of_large:.0%} as often right as {policy.large}{sure}"
        )
    if policy.mean_cost_usd is not None:
        day = ""
        if policy.max_usd_per_day is not None:
            day = (
                f": {usd(policy.max_usd_per_day)} a day at {policy.expected_queries_per_day:,} queries a day"
                "; above that it spends more: cap it with keys (docs/keys.md)"
            )
        return f"as often right as can be for {usd(policy.mean_cost_usd)} a query{day}"
    if policy.confidence is not None:
        return f"the cheapest way to be right in {policy.min_accuracy:.0%} of all queries{sure}"
    worth = f"the most worth, at {usd(policy.usd_per_right_answer)} a right answer"
    if policy.min_accuracy is None:
        return worth
    return (
        f"for each query the cheapest way that is right in {policy.min_accuracy:.0%}; where none is, {worth}"
    )


def _ways(market: Market, name: str, policy: Policy) -> str:
    """What it may do, by the guide that it has."""
    guide = market.guides.get(name, market.tables[name])
    names = ", ".join(way.name for way in guide.ways)
    if policy.allow is not None:
        names += f" (of these, allowed are {', '.join(policy.allow)})"
    if not policy.stages:
        return f"{names}; never probes"
    stages = ", ".join(str(stage) for stage in policy.stages)
    when = "always probes" if policy.probe == "always" else "probes where it is worth its cost"
    return f"{names}; {when}, at {stages} samples"


def _of_prices(market: Market, policy: Policy) -> Iterator[str]:
    unpriced = [name for name in (policy.small, *policy.larges) if market.model_prices[name] == UNKNOWN]
    members = market.config.members(policy.verifier)
    unpriced += [name for name in members if name in market.judges and market.judges[name].price == UNKNOWN]
    if not unpriced:
        return
    what = "has no known price" if len(unpriced) == 1 else "have no known prices"
    then = "costs are not weighed" if policy.max_cost_usd is None else "under a cap that is not used"
    yield f"{', '.join(unpriced)} {what}: {then}; give a price"


def _of_rules(policy: Policy) -> Iterator[str]:
    for index, rule in enumerate(policy.rules):
        for before, earlier in enumerate(policy.rules[:index]):
            if covers(earlier.when, rule.when):
                yield f"{_title(rule, index)} never matches: {_title(earlier, before)} covers it"
                break
        for language in unknown_languages(rule.when):
            yield f"{_title(rule, index)} names the language {language!r}, which nobody recognises"


def _of_limits(market: Market, name: str, policy: Policy, tuned: Tuned | None) -> Iterator[str]:
    if policy.is_tuned and tuned is None:
        yield (
            "there is nothing to tune it on: until there is a predictor that fits, it takes the most "
            "accurate way, whatever that costs"
        )
    outlooks = market.outlooks[name]
    if tuned is None and policy.min_accuracy is not None:
        most = max(max(each.small.right, each.large.right) for each in outlooks)
        if policy.min_accuracy > most:
            yield f"no way is right in {policy.min_accuracy:.0%}: the most is {most:.0%}, of easy queries"
    models = [market.config.models[each] for each in (policy.small, *policy.larges)]
    if policy.max_latency_s is not None and all(model.latency is None for model in models):
        yield "max_latency_s leaves nothing out: no latency of its models is known"


def _title(rule: Rule, index: int) -> str:
    return f"rule {index + 1}" if rule.name is None else f"rule {index + 1} ({rule.name})"


def _says(rule: Rule) -> str:
    given = {key: value for key, value in rule.when if value is not None}
    when = " and ".join(f"{key} {_shown(value)}" for key, value in given.items())
    return f"{when} -> {rule.use if rule.use is not None else f'refused: {rule.refuse}'}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
