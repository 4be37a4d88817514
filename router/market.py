"""Everything planning needs to know that does not depend on the query, worked out once.

A :class:`Market` is a configuration with its prices, and for each policy and difficulty bin the
:class:`Outlook`: what to search, and how likely small and large model are to be right.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from cost_model.estimate import Judge
from cost_model.flops import inference_flops
from cost_model.prices import UNKNOWN, Price, from_price_map
from cost_model.usage import Usage
from router.artifacts import Calibration, MeasuredBin, weights_sha256
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
from router.strategy import search_strategy
from router.types import Bin, StrategySpec

log = logging.getLogger(__name__)

Source = Literal["measured", "assumed"]

ASSUMED_RIGHT: Final[Mapping[Bin, tuple[float, float]]] = {
    Bin.EASY: (0.90, 0.92),
    Bin.MEDIUM: (0.65, 0.80),
    Bin.HARD: (0.35, 0.65),
    Bin.VERY_HARD: (0.10, 0.45),
}
"""P(right) of (search on the small model, one answer of the large one) where nothing was measured.

Rough by intent: the shape of Snell et al. 2024, figures 3 and 9 (search helps in the middle, next to nothing
in the hardest bin, where 14 times the parameters do). Calibrate to replace them.
"""
ASSUMED_COMPLETION_SHARE: Final = 0.5
"""Expected length of a completion as a share of its limit, where nothing was measured."""
ASSUMED_COMPLETION_TOKENS: Final = 400
"""The same where there is no limit either."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of one way to answer in one bin. ``completion_tokens`` is the mean of one completion, if measured."""

    right: float
    source: Source
    completion_tokens: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """One policy in one difficulty bin (``None``: difficulty unknown); ``share`` of queries fall in it."""

    difficulty_bin: Bin | None
    share: float
    search: StrategySpec
    small: Expectation
    large: Expectation


@dataclass(frozen=True, slots=True)
class Market:
    """A configuration, priced. A policy has an outlook a bin, easiest first, and the average of them.

    ``shortfalls`` says of which verifiers, and why, nobody should trust the scores: searches then vote.
    """

    config: Config
    model_prices: Mapping[str, Price]
    judges: Mapping[str, Judge]
    calibration: Calibration | None
    shortfalls: Mapping[str, str]
    outlooks: Mapping[str, tuple[Outlook, ...]]
    average: Mapping[str, Outlook]

    def with_policy(self, name: str, policy: Policy) -> Market:
        """The same with another policy of that name: what one request wants."""
        config = self.config.model_copy(update={"policies": {**self.config.policies, name: policy}})
        outlooks = _outlooks(config, policy, self.calibration, self.shortfalls)
        return replace(
            self,
            config=config,
            outlooks={**self.outlooks, name: outlooks},
            average={**self.average, name: _average(config, policy, outlooks, self.shortfalls)},
        )

    def judges_of(self, verifier: str) -> tuple[Judge, ...]:
        """What judging a turn takes: of an ensemble, a judge for each member that reads."""
        members = self.config.members(verifier)
        return tuple(self.judges[name] for name in members if name in self.judges)

    def priced(self, lines: Iterable[Usage]) -> tuple[Usage, ...]:
        """Usage lines with their cost and FLOPs; ``None`` where price or size is unknown."""
        return tuple(self._priced(line) for line in lines)

    def _priced(self, line: Usage) -> Usage:
        if line.purpose == "verifier":
            judge = self.judges.get(line.model)
            parameters = None if judge is None else judge.parameters
            price = UNKNOWN if judge is None else judge.price
        else:
            model = self.config.models.get(line.model)
            parameters = None if model is None else model.parameters
            price = self.model_prices.get(line.model, UNKNOWN)
        return replace(
            line,
            cost_usd=price.cost_usd(line.prompt_tokens, line.completion_tokens),
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
) -> Market:
    """Price a configuration.

    ``calibration`` holds for the policies that use its models and verifier, with the weights that it
    measured. ``price_map`` (litellm's form) prices the litellm models that have no price of their own.
    ``shortfalls`` are those of :func:`router.quality.load_shortfalls`.
    """
    shortfalls = shortfalls or {}
    if calibration is not None:
        calibration = _of_these_weights(config, calibration)
    outlooks = {
        name: _outlooks(config, policy, calibration, shortfalls) for name, policy in config.policies.items()
    }
    return Market(
        config=config,
        model_prices={name: _price(model, price_map or {}) for name, model in config.models.items()},
        judges={
            name: judge
            for name, verifier in config.verifiers.items()
            if (judge := _judge(verifier, price_map or {})) is not None
        },
        calibration=calibration,
        shortfalls=shortfalls,
        outlooks=outlooks,
        average={
            name: _average(config, config.policies[name], each, shortfalls) for name, each in outlooks.items()
        },
    )


def _price(model: Model | JudgeVerifier, price_map: Mapping[str, Mapping[str, Any]]) -> Price:
    if model.price is None and isinstance(model, LiteLLMModel | JudgeVerifier):
        return from_price_map(price_map, model.litellm_model)
    return model.token_price()


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


def _outlooks(
    config: Config, policy: Policy, calibration: Calibration | None, shortfalls: Mapping[str, str]
) -> tuple[Outlook, ...]:
    measured = calibration if calibration is not None and _fits(policy, calibration) else None
    return tuple(_outlook(config, policy, each, measured, shortfalls) for each in Bin)


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


def _fits(policy: Policy, calibration: Calibration) -> bool:
    """Whether the measured search is this policy's, or a smaller one (then it is right at least as often)."""
    same = (policy.small, policy.verifier) == (calibration.small, calibration.verifier)
    return same and policy.search_samples >= calibration.search_samples


def _outlook(
    config: Config,
    policy: Policy,
    difficulty_bin: Bin,
    measured: Calibration | None,
    shortfalls: Mapping[str, str],
) -> Outlook:
    search = _search(config, policy, difficulty_bin, shortfalls)
    seen: MeasuredBin | None = measured.bins.get(difficulty_bin) if measured else None
    small_right, large_right = ASSUMED_RIGHT[difficulty_bin]
    small = Expectation(small_right, "assumed", None)
    large = Expectation(large_right, "assumed", None)
    share = 1 / len(Bin)
    if measured and seen:
        # Measured was weighted best-of-N. It stands for Algorithm 6; of any other search it is a guess.
        stands = search.name == "best_of_n_weighted" or search == _auto(config, policy, difficulty_bin)
        source: Source = "measured" if stands else "assumed"
        small = Expectation(seen.small_right, source, seen.small_completion_tokens)
        if measured.large == policy.large and seen.large_right is not None:
            large = Expectation(seen.large_right, "measured", seen.large_completion_tokens)
    if measured:
        total = sum(each.questions for each in measured.bins.values())
        share = seen.questions / total if seen else 0.0
    return Outlook(difficulty_bin, share, search, small, large)


def _search(
    config: Config, policy: Policy, difficulty_bin: Bin | None, shortfalls: Mapping[str, str]
) -> StrategySpec:
    budget = policy.budget()
    if policy.verifier in shortfalls and policy.strategy != "direct":
        return replace(budget, name="majority")
    if policy.strategy == "auto":
        return _auto(config, policy, difficulty_bin)
    return StrategySpec("direct") if policy.strategy == "direct" else replace(budget, name=policy.strategy)


def _auto(config: Config, policy: Policy, difficulty_bin: Bin | None) -> StrategySpec:
    return search_strategy(difficulty_bin, policy.budget(), config.judging(policy.verifier))


def _average(
    config: Config, policy: Policy, by_bin: tuple[Outlook, ...], shortfalls: Mapping[str, str]
) -> Outlook:
    """What to expect of a query whose difficulty nobody looks at."""
    return Outlook(
        None,
        1.0,
        _search(config, policy, None, shortfalls),
        _mean([(each.share, each.small) for each in by_bin]),
        _mean([(each.share, each.large) for each in by_bin]),
    )


def _mean(weighted: list[tuple[float, Expectation]]) -> Expectation:
    held = [(share, each) for share, each in weighted if share > 0]
    lengths = [share * each.completion_tokens for share, each in held if each.completion_tokens is not None]
    return Expectation(
        right=min(1.0, sum(share * each.right for share, each in held)),
        source="measured" if all(each.source == "measured" for _, each in held) else "assumed",
        completion_tokens=sum(lengths) if len(lengths) == len(held) else None,
    )
