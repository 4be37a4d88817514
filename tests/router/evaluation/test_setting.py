from __future__ import annotations

import numpy as np
import pytest

from router.errors import OutcomesInvalid
from router.evaluation.setting import prepare
from router.outcome_table import Action
from router.types import Evidence
from tests.router.evaluation.tables import table

THREE = (Action("small", "small", "s"), Action("mid", "large", "m"), Action("big", "large", "b"))
RIGHT = np.tile([0.2, 0.6, 0.9], (40, 1))
PROMPTS = [f"{word} {other}" for word in "abcdefgh" for other in ("one", "two", "three", "four", "five")]
SEEN = Evidence((0.5,), ("1",))


def test_by_default_the_cheapest_is_compared_with_the_most_accurate() -> None:
    setting = prepare(table(RIGHT, actions=THREE, cost_usd=[3.0, 1.0, 9.0], prompts=PROMPTS))

    assert setting.names == ("mid", "big")
    assert setting.unit == "usd"
    assert "small" in setting.notes[0]


def test_without_costs_the_least_accurate_is_and_calls_are_counted() -> None:
    setting = prepare(table(RIGHT, actions=THREE, prompts=PROMPTS))

    assert setting.names == ("small", "big")
    assert setting.unit == "calls"
    assert setting.cost is not None
    assert setting.cost[0].tolist() == [0.0, 1.0]
    assert any("unknown" in note for note in setting.notes)


def test_of_three_without_costs_nothing_is_said_of_money() -> None:
    setting = prepare(table(RIGHT, actions=THREE, prompts=PROMPTS), actions=["mid"])

    assert setting.names == ("small", "big", "mid")
    assert setting.cost is None


def test_questions_without_an_outcome_are_left_out_and_counted() -> None:
    right = RIGHT.copy()
    right[:5, 0] = np.nan

    setting = prepare(table(right, actions=THREE, prompts=PROMPTS))

    assert len(setting.table) == 35
    assert "5 of 40 questions lack an outcome of these actions" in setting.notes


def test_a_cost_that_few_lack_is_taken_from_the_mean() -> None:
    cost = np.tile([1.0, 4.0, 9.0], (40, 1))
    cost[0, 2] = np.nan

    setting = prepare(table(RIGHT, actions=THREE, cost_usd=cost, prompts=PROMPTS))

    assert setting.cost is not None
    assert setting.cost[0].tolist() == [1.0, 9.0]
    assert any("1 questions lack a cost" in note for note in setting.notes)


def test_the_weak_run_that_was_probed_is_paid_before_the_strong_one() -> None:
    """Where the file tells no cost of a probe, it is the run of the small model itself."""
    setting = prepare(
        table(RIGHT, actions=THREE, cost_usd=[1.0, 4.0, 9.0], prompts=PROMPTS, evidence=[SEEN] * 40)
    )

    assert setting.probed_cost is not None
    assert setting.probed_cost[0].tolist() == [1.0, 10.0]


def test_a_probe_whose_cost_is_told_is_paid_beside_what_is_left_of_each_action() -> None:
    setting = prepare(
        table(
            RIGHT,
            actions=THREE,
            cost_usd=[1.0, 4.0, 9.0],
            prompts=PROMPTS,
            evidence=[SEEN] * 39 + [None],
            probe_usd=[2.0] * 40,
            after_probe_usd=[0.0, 4.0, 9.0],
        )
    )

    assert setting.probed_cost is not None
    assert setting.probed_cost[0].tolist() == [2.0, 11.0]
    assert setting.probed_cost[39].tolist() == [1.0, 9.0]
    assert any("no probe" in note for note in setting.notes)


def test_what_cannot_be_compared_is_refused_with_what_there_is() -> None:
    questions = table(RIGHT, actions=THREE, prompts=PROMPTS)

    with pytest.raises(OutcomesInvalid, match="no action 'huge'; there are small, mid, big"):
        prepare(questions, strong="huge")
    with pytest.raises(OutcomesInvalid, match="name two actions"):
        prepare(questions, weak="big", strong="big")
    with pytest.raises(OutcomesInvalid, match="nothing to choose between"):
        prepare(questions.only(["mid"]))
    with pytest.raises(OutcomesInvalid, match="only 7 questions"):
        prepare(questions.take(range(7)))
    with pytest.raises(OutcomesInvalid, match="1 groups"):
        prepare(table(RIGHT, actions=THREE, prompts=["the same question"] * 40, groups=["one"] * 40))


@pytest.mark.parametrize("labelled", [0, 1])
def test_where_fewer_than_two_actions_are_labelled_it_is_said_how_labels_are_added(labelled: int) -> None:
    right = np.full_like(RIGHT, np.nan)
    right[:, :labelled] = 1.0
    told = f"known of {40 * labelled} questions for 'small', 0 questions for 'mid'.*--labels FILE adds"
    with pytest.raises(OutcomesInvalid, match=told):
        prepare(table(right, actions=THREE, prompts=PROMPTS))
