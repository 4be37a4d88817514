"""A policy's multiplier is found on calibration questions, and what it promises is kept or not promised."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from router.config import Policy
from router.errors import CannotTune
from router.guarantees import Floats
from router.promise import Promise, holm
from router.trials import Play
from router.tuning import MULTIPLIERS, Tuned, tune

SMALL_USD, LARGE_USD = 0.001, 0.02


class Traffic:
    """Questions that a small model gets right by their difficulty, a large one in 0.9; both are foreseen.

    ``skill`` 0 means that nothing is: every question looks the same.
    """

    def __init__(
        self, questions: int, *, skill: float = 1.0, large_right: float = 0.9, seed: int = 5
    ) -> None:
        random = np.random.default_rng(seed)
        chance = np.clip(random.beta(0.6, 0.4, questions), 0.02, 0.98)
        self.foreseen = skill * chance + (1 - skill) * chance.mean()
        self.large_foreseen = large_right
        self.small_right = (random.random(questions) < chance).astype(float)
        self.large_right = (random.random(questions) < large_right).astype(float)
        self.groups: list[Any] = [str(each) for each in range(questions)]

    def play(self, usd_per_right_answer: float) -> Play:
        gain = usd_per_right_answer * (self.large_foreseen - self.foreseen)
        large = gain > LARGE_USD - SMALL_USD
        return (
            np.where(large, self.large_right, self.small_right),
            np.where(large, LARGE_USD, SMALL_USD),
        )

    @property
    def singles(self) -> dict[str, Play]:
        return {
            "small": (self.small_right, np.full(len(self.groups), SMALL_USD)),
            "big": (self.large_right, np.full(len(self.groups), LARGE_USD)),
        }

    def tuned(self, **wants: Any) -> Tuned:
        return tune(_policy(**wants), self.play, self.singles, self.groups)


def _policy(**wants: Any) -> Policy:
    return Policy.model_validate({"small": "tiny", "verifier": "prm", "large": "big", **wants})


def test_the_cheapest_rule_that_is_certified_for_an_accuracy_is_taken() -> None:
    tuned = Traffic(3000).tuned(min_accuracy=0.8, confidence=0.9)
    assert tuned.chosen.certified
    assert tuned.chosen.always is None
    assert 0.8 < tuned.accuracy.low < tuned.accuracy.value < 0.84
    assert SMALL_USD < tuned.cost_usd.value < 0.5 * LARGE_USD
    assert tuned.notice is None
    assert tuned.chosen.cost_usd == min(trial.cost_usd for trial in tuned.trials if trial.certified)


def test_a_share_of_the_large_model_is_certified_against_it_question_by_question() -> None:
    tuned = Traffic(3000).tuned(min_share_of_large=0.95, confidence=0.9)
    assert tuned.chosen.certified
    assert tuned.chosen.always is None
    assert tuned.accuracy.value > 0.95 * 0.9 - 0.01
    assert tuned.cost_usd.value < 0.7 * LARGE_USD


def test_more_confidence_costs_more() -> None:
    traffic = Traffic(2000)
    costs = [
        traffic.tuned(min_accuracy=0.8, confidence=confidence).cost_usd.value
        for confidence in (0.5, 0.9, 0.9999)
    ]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


def test_a_large_model_is_as_right_as_itself_however_few_questions_there_are() -> None:
    tuned = Traffic(20).tuned(min_share_of_large=0.98, confidence=0.95)
    assert tuned.chosen.always == "big"
    assert tuned.chosen.certified
    assert tuned.notice is not None
    assert "20 calibration questions are too few" in tuned.notice


def test_what_too_few_questions_can_not_certify_says_how_many_would_and_what_can_be() -> None:
    tuned = Traffic(60).tuned(min_accuracy=0.88, confidence=0.95)
    assert not tuned.chosen.certified
    assert tuned.notice is not None
    assert tuned.notice.startswith("an accuracy of 88.0% with 95% confidence cannot be certified: 60 ")
    assert "would do" in tuned.notice
    assert "could be" in tuned.notice


def test_where_nothing_is_certified_routing_has_to_beat_the_best_single_way_clearly() -> None:
    guessed = Traffic(60).tuned(min_accuracy=0.99, confidence=0.9)
    routed = [trial.accuracy for trial in guessed.trials if trial.always is None]
    assert guessed.chosen.always == "big"
    assert max(routed) > guessed.chosen.accuracy, "by an accident of 60 questions"
    assert guessed.notice is not None
    assert "no routing is clearly better: it beats always big by" in guessed.notice

    foreseen = Traffic(3000, large_right=0.7).tuned(min_accuracy=0.99, confidence=0.9)
    assert foreseen.chosen.always is None
    assert "it beats always big by" in foreseen.reason


def test_what_no_way_reaches_is_not_promised_and_more_questions_would_not_help() -> None:
    tuned = Traffic(1000).tuned(min_accuracy=0.99, confidence=0.9)
    assert not tuned.chosen.certified
    assert tuned.notice is not None
    assert "the most accurate way is right in" in tuned.notice
    assert "would do" not in tuned.notice


@pytest.mark.parametrize("budget", [0.003, 0.006, 0.012])
def test_so_much_a_query_buys_the_most_accurate_rule_for_it(budget: float) -> None:
    tuned = Traffic(3000).tuned(max_mean_cost_usd=budget)
    affordable = [trial for trial in tuned.trials if trial.cost_usd <= budget]
    assert tuned.chosen in affordable
    assert tuned.chosen.accuracy == max(trial.accuracy for trial in affordable)


def test_so_much_a_day_is_spread_over_its_queries() -> None:
    traffic = Traffic(1000)
    by_day = traffic.tuned(max_usd_per_day=600, expected_queries_per_day=100_000)
    assert by_day == traffic.tuned(max_mean_cost_usd="0.006")


def test_less_than_the_cheapest_way_costs_is_said_to_buy_nothing() -> None:
    tuned = Traffic(200).tuned(max_mean_cost_usd=0.0001)
    assert tuned.chosen.cost_usd == pytest.approx(SMALL_USD)
    assert tuned.notice == "$0.0001 a query buys nothing: the cheapest way costs $0.0010"


def test_a_given_multiplier_is_kept_where_routing_pays() -> None:
    tuned = Traffic(3000).tuned(usd_per_right_answer="0.05")
    assert tuned.chosen.usd_per_right_answer == 0.05
    assert tuned.chosen.always is None
    assert "it beats always" in tuned.reason


@pytest.mark.parametrize(
    "wants",
    [
        {"usd_per_right_answer": "1"},
        {"max_mean_cost_usd": "0.03"},
        {"min_share_of_large": 0.95, "confidence": 0.9},
    ],
    ids=lambda wants: next(iter(wants)),
)
def test_where_nothing_is_foreseen_the_policy_is_the_best_single_model_and_says_so(wants: Any) -> None:
    tuned = Traffic(2000, skill=0.0).tuned(**wants)
    assert tuned.chosen.always == "big"
    assert tuned.chosen.usd_per_right_answer is None
    assert tuned.notice is not None


def test_a_small_model_that_is_best_is_the_policy_too() -> None:
    tuned = Traffic(2000, large_right=0.4).tuned(usd_per_right_answer="0.01")
    assert tuned.chosen.always == "small"
    assert str(tuned.chosen) == "always small"


def test_an_accuracy_query_by_query_is_left_as_it_is() -> None:
    tuned = Traffic(500, skill=0.0).tuned(usd_per_right_answer="0.05", min_accuracy=0.75)
    assert tuned.chosen.usd_per_right_answer == 0.05


def test_repeating_questions_makes_nothing_surer() -> None:
    once, repeated = Traffic(300), Traffic(300)
    for name in ("foreseen", "small_right", "large_right"):
        setattr(repeated, name, np.repeat(getattr(repeated, name), 10))
    repeated.groups = [each for each in repeated.groups for _ in range(10)]
    wants: dict[str, Any] = {"min_accuracy": 0.8, "confidence": 0.9}
    assert [each.certified for each in repeated.tuned(**wants).trials] == [
        each.certified for each in once.tuned(**wants).trials
    ]
    assert repeated.tuned(**wants).units == 300


def test_questions_without_an_outcome_are_left_out() -> None:
    traffic = Traffic(500)
    traffic.large_right[:100] = np.nan
    assert traffic.tuned(max_mean_cost_usd=0.01).units == 400


@pytest.mark.parametrize("unknown", ["small", "big"])
@pytest.mark.parametrize("wants", [{"min_accuracy": 0.98}, {"min_share_of_large": 0.98}], ids=str)
def test_what_is_unknown_counts_against_a_promise(wants: dict[str, Any], unknown: str) -> None:
    """Of 5,000 questions the small model gets 97.8% right; of the others nearly half are not recorded."""
    right = {"small": np.arange(5000) >= 110, "big": np.ones(5000)}
    plays = {name: (each.astype(float), np.full(5000, SMALL_USD)) for name, each in right.items()}
    plays[unknown][0][:45] = np.nan
    tuned = tune(_policy(confidence=0.9, **wants), lambda _: plays["small"], plays, np.arange(5000))
    assert tuned.units == 4955
    assert tuned.accuracy.value > 0.98
    assert {each.always for each in tuned.trials if each.certified} <= {"big"}


def test_a_way_that_nobody_can_price_is_named() -> None:
    traffic = Traffic(50)
    singles = traffic.singles | {"gpt": (traffic.large_right, np.full(50, np.nan))}
    with pytest.raises(CannotTune, match="nobody knows what gpt costs; give a price"):
        tune(_policy(max_mean_cost_usd=Decimal(1)), traffic.play, singles, traffic.groups)


def test_no_question_with_all_outcomes_is_said() -> None:
    traffic = Traffic(50)
    traffic.large_right[:25] = np.nan
    traffic.small_right[25:] = np.nan
    with pytest.raises(CannotTune, match="no calibration question has an outcome of every way"):
        traffic.tuned(max_mean_cost_usd=1)


def test_the_grid_of_multipliers_falls_by_equal_factors() -> None:
    factors = np.divide(MULTIPLIERS[:-1], MULTIPLIERS[1:])
    assert np.ptp(factors) < 1e-9
    assert factors[0] > 1


def _violations(right: Floats, target: float, questions: int) -> float:
    """How often one that breaks the promise is certified, of rules [G] with these accuracies."""
    random = np.random.default_rng(3)
    promise, found = Promise(target), 0
    for _ in range(1000):
        draws = (random.random((len(right), questions)) < right[:, None]).astype(float)
        found += any(right[each] < target for each in promise.certified(draws, len(right) // 2, 0.1))
    return found / 1000


def test_sequence_and_single_actions_together_break_the_promise_no_more_often_than_promised() -> None:
    """Half of the rules are a sequence, half single actions; of both some are just below the promise."""
    right = np.array([0.83, 0.81, 0.795, 0.79, 0.78, 0.799, 0.798, 0.84, 0.79, 0.7])
    assert _violations(right, 0.8, 250) <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 1000)


def test_holms_method_is_stricter_than_each_test_and_looser_than_bonferroni() -> None:
    p_values = np.array([0.03, 0.001, 0.2, 0.02])
    assert holm(p_values, 0.1).tolist() == [True, True, False, True]
    assert holm(p_values, 0.05).tolist() == [False, True, False, False]
    assert holm(np.array([]), 0.1).tolist() == []


def test_a_single_action_that_is_worth_more_than_an_accuracy_query_by_query_is_named() -> None:
    traffic = Traffic(2000, large_right=0.4)
    careless = tune(
        _policy(usd_per_right_answer="0.001", min_accuracy=0.75),
        lambda _: traffic.singles["big"],
        traffic.singles,
        traffic.groups,
    )
    assert careless.chosen.always is None
    assert careless.notice is not None
    assert careless.notice.startswith("always small is worth more at $0.001 a right answer, by 0.019 [")


def test_a_doubt_about_the_questions_keeps_everything_from_being_certified() -> None:
    traffic = Traffic(3000)
    for wants in ({"min_accuracy": 0.8}, {"min_share_of_large": 0.95}):
        policy = _policy(confidence=0.9, **wants)
        tuned = tune(policy, traffic.play, traffic.singles, traffic.groups, doubt="these were seen before")
        assert not any(trial.certified for trial in tuned.trials)
        assert tuned.notice is not None
        assert "is not certified: these were seen before" in tuned.notice


def test_always_probing_says_that_it_has_no_effect_where_one_way_is_taken() -> None:
    tuned = Traffic(2000, skill=0.0).tuned(usd_per_right_answer="1", probe="always")
    assert tuned.chosen.always == "big"
    assert tuned.notice is not None
    assert tuned.notice.endswith("probe: always has no effect, since one way is always taken")
