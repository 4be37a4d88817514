"""What to expect of a policy by difficulty bin: as it was measured, else by rough assumption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from router.artifacts import Calibration, MeasuredBin
from router.config import Config, Policy
from router.probe import range_of
from router.prospects import Source
from router.strategy import search_strategy
from router.types import Bin, StrategySpec

if TYPE_CHECKING:
    from router.strategy_table import StrategyTable

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


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of one way to answer in one bin. ``completion_tokens`` is the mean of one completion, if measured."""

    right: float
    source: Source
    completion_tokens: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """One policy in one difficulty bin (``None``: difficulty unknown); ``share`` of queries fall in it.

    ``large`` is the policy's first large model, ``assumed_large`` any other.
    """

    difficulty_bin: Bin | None
    share: float
    search: StrategySpec
    small: Expectation
    large: Expectation
    assumed_large: Expectation


def outlooks_of(
    config: Config,
    policy: Policy,
    calibration: Calibration | None,
    shortfalls: Mapping[str, str],
    learned: StrategyTable | None = None,
) -> tuple[Outlook, ...]:
    measured = calibration if calibration is not None and _fits(policy, calibration) else None
    return tuple(_outlook(config, policy, each, measured, shortfalls, learned) for each in Bin)


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
    learned: StrategyTable | None,
) -> Outlook:
    search = _search(config, policy, difficulty_bin, shortfalls, learned)
    seen: MeasuredBin | None = measured.bins.get(difficulty_bin) if measured else None
    small_right, large_right = ASSUMED_RIGHT[difficulty_bin]
    small = Expectation(small_right, "assumed", None)
    large = assumed = Expectation(large_right, "assumed", None)
    share = 1 / len(Bin)
    if measured and seen:
        # Measured was weighted best-of-N. It stands for Algorithm 6; of any other search it is a guess.
        stands = search.name == "best_of_n_weighted" or search == _algorithm_6(config, policy, difficulty_bin)
        source: Source = "measured" if stands else "assumed"
        small = Expectation(seen.small_right, source, seen.small_completion_tokens)
        if measured.large == policy.large and seen.large_right is not None:
            large = Expectation(seen.large_right, "measured", seen.large_completion_tokens)
    if measured:
        total = sum(each.questions for each in measured.bins.values())
        share = seen.questions / total if seen else 0.0
    return Outlook(difficulty_bin, share, search, small, large, assumed)


def _search(
    config: Config,
    policy: Policy,
    difficulty_bin: Bin | None,
    shortfalls: Mapping[str, str],
    learned: StrategyTable | None = None,
) -> StrategySpec:
    budget = policy.budget()
    if policy.verifier in shortfalls and policy.strategy != "direct":
        return replace(budget, name="majority")
    if policy.strategy == "auto" and learned is not None and difficulty_bin is not None:
        above, up_to = range_of(difficulty_bin)
        return replace(budget, name=learned.best(learned.bin_of((above + up_to) / 2), budget.samples))
    if policy.strategy == "auto":
        return _algorithm_6(config, policy, difficulty_bin)
    return StrategySpec("direct") if policy.strategy == "direct" else replace(budget, name=policy.strategy)


def _algorithm_6(config: Config, policy: Policy, difficulty_bin: Bin | None) -> StrategySpec:
    return search_strategy(difficulty_bin, policy.budget(), config.judging(policy.verifier))


def average_of(
    config: Config, policy: Policy, by_bin: tuple[Outlook, ...], shortfalls: Mapping[str, str]
) -> Outlook:
    """What to expect of a query whose difficulty nobody looks at."""
    return Outlook(
        None,
        1.0,
        _search(config, policy, None, shortfalls),
        _mean([(each.share, each.small) for each in by_bin]),
        _mean([(each.share, each.large) for each in by_bin]),
        _mean([(each.share, each.assumed_large) for each in by_bin]),
    )


def _mean(weighted: list[tuple[float, Expectation]]) -> Expectation:
    held = [(share, each) for share, each in weighted if share > 0]
    lengths = [share * each.completion_tokens for share, each in held if each.completion_tokens is not None]
    return Expectation(
        right=min(1.0, sum(share * each.right for share, each in held)),
        source="measured" if all(each.source == "measured" for _, each in held) else "assumed",
        completion_tokens=sum(lengths) if len(lengths) == len(held) else None,
    )
