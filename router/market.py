"""Everything planning needs to know that does not depend on the query, worked out once.

A :class:`Market` is a configuration with its prices, and for each policy and difficulty bin the
:class:`Outlook`: what to search, and how likely small and large model are to be right.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, Any

from cost_model.estimate import Judge
from cost_model.flops import inference_flops
from cost_model.prices import UNKNOWN, Price, from_price_map
from cost_model.usage import Usage
from router.artifacts import Calibration, weights_sha256
from router.config import (
    CheckVerifier,
    Config,
    EnsembleVerifier,
    JudgeVerifier,
    LiteLLMModel,
    MajorityVerifier,
    Model,
    Policy,
    Verifier,
)
from router.decision import Objective
from router.guides import predicted, tabled
from router.outlooks import Outlook, average_of, outlooks_of
from router.predicted import Forecaster, Predicted
from router.prospects import Tabled
from router.workloads import Counter

if TYPE_CHECKING:
    from router.strategy_table import StrategyTable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Market:
    """A configuration, priced. A policy has an outlook a bin, easiest first, and the average of them.

    ``shortfalls`` says of which verifiers, and why, nobody should trust the scores: searches then vote.
    ``tables`` guide policies by difficulty bin, and ``guides`` those that a predictor was fitted for.
    ``counters`` price what each does with its small model. ``objectives`` say what a right answer is worth to
    each. ``strategies`` are learned tables that tell policies which search suits a bin, in place of
    Algorithm 6.
    """

    config: Config
    model_prices: Mapping[str, Price]
    judges: Mapping[str, Judge]
    calibration: Calibration | None
    shortfalls: Mapping[str, str]
    outlooks: Mapping[str, tuple[Outlook, ...]]
    average: Mapping[str, Outlook]
    tables: Mapping[str, Tabled]
    guides: Mapping[str, Predicted]
    counters: Mapping[str, Counter]
    objectives: Mapping[str, Objective]
    predictor: Forecaster | None
    strategies: Mapping[str, StrategyTable]

    def with_policy(self, name: str, policy: Policy) -> Market:
        """The same with another policy of that name: what one request wants."""
        config = self.config.model_copy(update={"policies": {**self.config.policies, name: policy}})
        learned = self.strategies.get(name)
        outlooks = outlooks_of(config, policy, self.calibration, self.shortfalls, learned)
        average = average_of(config, policy, outlooks, self.shortfalls)
        counter = _counter(config, policy, self.model_prices, self.judges)
        guides = {each: guide for each, guide in self.guides.items() if each != name}
        if name in self.guides:  # where no predictor fits the policy, none fits what a request makes of it
            guide = _guide(config, policy, self.predictor, self.shortfalls, counter)
            if guide is not None:
                guides[name] = guide if (always := self.guides[name].always) is None else guide.only(always)
        return replace(
            self,
            config=config,
            outlooks={**self.outlooks, name: outlooks},
            average={**self.average, name: average},
            tables={**self.tables, name: tabled(policy, outlooks, average, counter)},
            guides=guides,
            counters={**self.counters, name: counter},
        )

    def priced(self, lines: Iterable[Usage]) -> tuple[Usage, ...]:
        """Usage lines with their cost and FLOPs; ``None`` where price or size is unknown."""
        return tuple(self._priced(line) for line in lines)

    def _priced(self, line: Usage) -> Usage:
        if line.purpose == "cache":
            return replace(line, cost_usd=Decimal(0), flops=0.0)
        calls = line.calls
        if line.purpose == "verifier":
            judge = self.judges.get(line.model)
            parameters = None if judge is None else judge.parameters
            price = UNKNOWN if judge is None else judge.price
            calls *= 1 if judge is None else judge.calls  # of a verifier the line counts turns
        else:
            model = self.config.models.get(line.model)
            parameters = None if model is None else model.parameters
            price = self.model_prices.get(line.model, UNKNOWN)
        return replace(
            line,
            cost_usd=price.cost_usd(
                line.prompt_tokens,
                line.completion_tokens,
                line.cached_prompt_tokens,
                line.reasoning_tokens,
                calls=calls,
            ),
            flops=_flops(parameters, line.total_tokens),
        )


def _flops(parameters: int | None, tokens: int) -> float | None:
    if tokens == 0:
        return 0.0
    return None if parameters is None else inference_flops(parameters, tokens)


def open_market(
    config: Config,
    *,
    calibration: Calibration | None = None,
    price_map: Mapping[str, Mapping[str, Any]] | None = None,
    shortfalls: Mapping[str, str] | None = None,
    predictor: Forecaster | None = None,
    strategies: Mapping[str, StrategyTable] | None = None,
) -> Market:
    """Price a configuration.

    ``calibration`` holds for the policies that use its models and verifier, with the weights that it
    measured. ``price_map`` (litellm's form) prices the litellm models that have no price of their own.
    ``shortfalls`` are those of :func:`router.quality.load_shortfalls`. ``predictor`` guides the policies that
    it was fitted for.
    """
    shortfalls, strategies = shortfalls or {}, strategies or {}
    if calibration is not None:
        calibration = _of_these_weights(config, calibration)
    outlooks = {
        name: outlooks_of(config, policy, calibration, shortfalls, strategies.get(name))
        for name, policy in config.policies.items()
    }
    average = {
        name: average_of(config, config.policies[name], each, shortfalls) for name, each in outlooks.items()
    }
    prices = {name: _price(model, price_map or {}) for name, model in config.models.items()}
    judges = {
        name: judge
        for name, verifier in config.verifiers.items()
        if (judge := _judge(verifier, price_map or {})) is not None
    }
    counters = {name: _counter(config, policy, prices, judges) for name, policy in config.policies.items()}
    guides = {
        name: _guide(config, policy, predictor, shortfalls, counters[name])
        for name, policy in config.policies.items()
    }
    return Market(
        config=config,
        model_prices=prices,
        judges=judges,
        calibration=calibration,
        shortfalls=shortfalls,
        outlooks=outlooks,
        average=average,
        tables={
            name: tabled(policy, outlooks[name], average[name], counters[name])
            for name, policy in config.policies.items()
        },
        guides={name: guide for name, guide in guides.items() if guide is not None},
        counters=counters,
        objectives={name: _objective(policy) for name, policy in config.policies.items()},
        predictor=predictor,
        strategies=strategies,
    )


def _counter(
    config: Config, policy: Policy, prices: Mapping[str, Price], judges: Mapping[str, Judge]
) -> Counter:
    small = config.models[policy.small]
    assert not isinstance(small, LiteLLMModel), "the configuration was checked"
    return Counter(
        config.models,
        prices,
        small,
        prices[policy.small],
        tuple(judges[name] for name in config.members(policy.verifier) if name in judges),
        config.compares_turns(policy.verifier),
        small.thinking is not None and small.thinking.steps == "after",
    )


def _guide(
    config: Config,
    policy: Policy,
    predictor: Forecaster | None,
    shortfalls: Mapping[str, str],
    counter: Counter,
) -> Predicted | None:
    return None if predictor is None else predicted(config, policy, predictor, shortfalls, counter)


def _objective(policy: Policy) -> Objective:
    """As the policy says; one that has to be tuned takes the most accurate way until it is."""
    if policy.is_tuned or policy.usd_per_right_answer is None:
        return Objective(inf)
    return Objective(float(policy.usd_per_right_answer), policy.min_accuracy)


def _price(model: Model | JudgeVerifier, price_map: Mapping[str, Mapping[str, Any]]) -> Price:
    """Unknown where litellm sells its deployments for several prices, and no ``price`` says which holds."""
    if model.price is not None or not isinstance(model, LiteLLMModel | JudgeVerifier):
        return model.token_price()
    if isinstance(model, JudgeVerifier):
        return from_price_map(price_map, model.litellm_model)
    first, *others = [from_price_map(price_map, each.model) for each in model.deployed]
    return first if all(each == first for each in others) else UNKNOWN


def _judge(verifier: Verifier, price_map: Mapping[str, Mapping[str, Any]]) -> Judge | None:
    """``None`` for one that reads nothing itself."""
    if isinstance(verifier, EnsembleVerifier | CheckVerifier | MajorityVerifier):
        return None
    if isinstance(verifier, JudgeVerifier):
        # In a ring every turn is in two pairs, each asked both ways round: two calls a turn, of two turns.
        turns = 2 if verifier.mode == "pairwise" else 1
        return Judge(
            _price(verifier, price_map),
            verifier.parameters,
            verifier.context_tokens,
            calls=turns,
            written=verifier.max_tokens,
            shown=turns,
        )
    return Judge(verifier.token_price(), verifier.parameters, verifier.context_tokens)


def _of_these_weights(config: Config, calibration: Calibration) -> Calibration | None:
    """What still holds of a calibration: nothing once the small model or the verifier has other weights."""
    changed = [name for name in calibration.models if _is_changed(config, calibration, name)]
    if not changed:
        return calibration
    log.warning("calibration: measured with other weights of %s; measure it again", ", ".join(changed))
    if calibration.small in changed or calibration.verifier in changed:
        return None
    return calibration.model_copy(update={"large": None})


def _is_changed(config: Config, calibration: Calibration, name: str) -> bool:
    configured = config.verifiers.get(name) if name == calibration.verifier else config.models.get(name)
    path = getattr(configured, "path", None)
    found = None if path is None else weights_sha256(path)
    return found is not None and found != calibration.models[name]
