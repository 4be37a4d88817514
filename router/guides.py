"""What guides a policy: a predictor that was fitted for its models, or a table by difficulty bin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from router.config import Config, Policy
from router.outcome_table import Action
from router.outcomes import LARGE, SMALL
from router.outlooks import Expectation, Outlook
from router.predicted import Forecaster, Predicted, guide_stages
from router.prospects import Source, Tabled, Way
from router.strategy import BY_STEPS
from router.tariff import tariff_of
from router.types import StrategyName, StrategySpec
from router.workloads import Counter


def tabled(policy: Policy, outlooks: Sequence[Outlook], average: Outlook, counter: Counter) -> Tabled:
    """From outlooks, easiest bin first: each bin has its search, and every large model."""
    hardest_first = list(reversed(outlooks))
    specs = list(dict.fromkeys([*(each.search for each in hardest_first), average.search]))
    ways = [Way(action_name(spec), "small", policy.small, spec) for spec in specs]
    ways += [Way(name, "large", name, StrategySpec("direct")) for name in policy.larges]
    rows: list[list[Expectation]] = []
    for outlook in hardest_first:
        large = [outlook.large if name == policy.large else outlook.assumed_large for name in policy.larges]
        rows.append([outlook.small] * len(specs) + large)
    right = np.array([[each.right for each in row] for row in rows])
    tokens = np.array([[_or_nan(each.completion_tokens) for each in row] for row in rows])
    sources: tuple[tuple[Source, ...], ...] = tuple(tuple(each.source for each in row) for row in rows)
    shares = np.array([outlook.share for outlook in hardest_first])
    unknown = np.isnan(tokens[shares > 0]).any(axis=0)

    def there(search: StrategySpec) -> list[bool]:
        return [is_allowed(policy, way) and (way.route == "large" or way.spec == search) for way in ways]

    samples = policy.stages[-1] if policy.stages else 0
    return Tabled(
        ways=tuple(ways),
        shares=shares,
        right=right,
        offered=np.array([there(outlook.search) for outlook in hardest_first]),
        completion_tokens=tokens,
        average_right=shares @ right,
        average_offered=np.array(there(average.search)),
        average_completion_tokens=np.where(unknown, np.nan, np.nansum(shares[:, None] * tokens, axis=0)),
        sources=sources,
        samples=samples,
        tariff=tariff_of(counter, ways, [samples] if samples else []),
    )


def predicted(
    config: Config, policy: Policy, predictor: Forecaster, shortfalls: Mapping[str, str], counter: Counter
) -> Predicted | None:
    """``None`` where the predictor does not know every model of the policy."""
    judged = policy.verifier not in shortfalls
    found: list[tuple[int, Way]] = []
    for column, action in enumerate(predictor.actions):
        way = _way(config, policy, action, judged=judged)
        if way is not None:
            found.append((column, way))
    names = [action.name for action in predictor.actions]
    models = {way.model for _, way in found}
    if not {policy.small, *policy.larges} <= models:
        return None
    ways = tuple(way for _, way in found)
    allowed = np.array([is_allowed(policy, way) for way in ways])
    columns = np.array([column for column, _ in found], dtype=np.intp)
    later = allowed & _after_probes(ways, allowed)
    probing = predictor.probing if judged and SMALL in names and later.any() else None
    sizes = () if probing is None else _stages(config, policy, [stage.samples for stage in probing.stages])
    return Predicted(
        predictor,
        ways,
        columns,
        names.index(SMALL) if SMALL in names else None,
        allowed,
        () if probing is None else guide_stages(ways, columns, later, probing, sizes),
        tariff_of(counter, ways, sizes),
    )


def is_allowed(policy: Policy, way: Way) -> bool:
    """By the policy's allow-list: of models, of actions, "small" and "large"."""
    if policy.allow is None:
        return True
    names = {way.name, way.model}
    if way.model == policy.large:
        names.add(LARGE)
    return bool(names & set(policy.allow))


def ways_named(name: str, policy: Policy) -> list[Way]:
    """What a rule names: "small", "large", a model, or a search ("majority@16").

    "large" is the first large model, and where that cannot serve, the next that the policy allows.
    """
    strategy, _, samples = name.partition("@")
    if samples:
        spec = replace(policy.budget(), name=cast(StrategyName, strategy), samples=int(samples))
        return [Way(name, "small", policy.small, spec)]
    if name in (SMALL, policy.small):
        return [Way(SMALL, "small", policy.small, StrategySpec("direct"))]
    return large_ways(policy) if name == LARGE else [_answer_of(name)]


def large_ways(policy: Policy) -> list[Way]:
    """One answer of each large model that the policy allows, the first first."""
    return [way for way in map(_answer_of, policy.larges) if is_allowed(policy, way)]


def expectation_of(way: Way, policy: Policy, outlook: Outlook) -> Expectation:
    """Of a way without a probe, for a query of unknown difficulty: of large models the first is measured."""
    if way.route == "small":
        return outlook.small
    return outlook.large if way.model == policy.large else outlook.assumed_large


def _answer_of(model: str) -> Way:
    return Way(model, "large", model, StrategySpec("direct"))


def action_name(spec: StrategySpec) -> str:
    return SMALL if spec.name == "direct" else f"{spec.name}@{spec.samples}"


def _way(config: Config, policy: Policy, action: Action, *, judged: bool) -> Way | None:
    """The policy's way to do the action; ``None`` where it has none."""
    if action.route == "large":
        known = action.model in policy.larges
        return Way(action.model, "large", action.model, StrategySpec("direct")) if known else None
    if action.model != policy.small:
        return None
    if action.strategy == "direct":
        return Way(SMALL, "small", policy.small, StrategySpec("direct"))
    wanted = policy.strategy in ("auto", action.strategy) and action.samples <= policy.search_samples
    if not wanted or not (judged or action.strategy == "majority"):
        return None
    if action.strategy in BY_STEPS and config.judging(policy.verifier) != "steps":
        return None
    spec = replace(policy.budget(), name=action.strategy, samples=action.samples)
    return Way(action.name, "small", policy.small, spec)


def _after_probes(ways: Sequence[Way], allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """One answer of the small model is no way after a probe: a vote of its samples is free, and better.

    Where no search was fitted, that vote goes by its name.
    """
    votes = any(
        way.route == "small" and way.name != SMALL for way, kept in zip(ways, allowed, strict=True) if kept
    )
    return np.array([way.name != SMALL or not votes for way in ways])


def _stages(config: Config, policy: Policy, fitted: Sequence[int]) -> tuple[int, ...]:
    """The fitted stages that the policy wants; else its last one. Scores that compare samples have one."""
    if not policy.stages:
        return ()
    found = [samples for samples in fitted if samples in policy.stages]
    found = found or [samples for samples in fitted if samples <= policy.stages[-1]][-1:]
    return tuple(found[-1:] if config.compares_turns(policy.verifier) else found)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
