from __future__ import annotations

import json

import numpy as np
import pytest

from router.evaluation.crossval import OutOfFold, cross_validate
from router.evaluation.measures import LENGTH
from router.evaluation.policies import Router, by_length, routed
from router.evaluation.report import Report, report
from router.evaluation.setting import Setting, prepare
from router.outcome_table import Floats
from router.types import Evidence
from tests.router.evaluation.tables import table

COUNT = 300
RANDOM = np.random.default_rng(7)
EASY = RANDOM.random(COUNT)
WORDS = [" ".join(RANDOM.choice(list("abcdefghijklmnop"), 6)) + " x" * int(20 * (1 - each)) for each in EASY]


def setting(
    weak: Floats, strong: Floats, *, costs: tuple[float, float] | None = (1.0, 10.0), probe: bool = False
) -> Setting:
    random = np.random.default_rng(8)
    right = (random.random((COUNT, 2)) < np.stack([weak, strong], axis=1)).astype(float)
    return prepare(
        table(
            right,
            cost_usd=costs,
            prompts=WORDS,
            evidence=[Evidence((0.5,), ("1",))] * COUNT if probe else None,
        ),
        weak="weak",
        strong="strong",
    )


def knowing(name: str, weak: Floats, strong: Floats, *, probes: bool = False) -> Router:
    """A router that predicts the true chances, the same in two fold seeds."""
    right = np.tile(np.stack([weak, strong], axis=1), (2, 1, 1))
    return Router(name, OutOfFold(right, np.zeros_like(right)), probes)


def reported(found: Setting, *routers: Router) -> Report:
    length = Router(LENGTH, cross_validate(found.table, by_length, seeds=[0]))
    return report(found, [length, *routers], resamples=200)


def test_every_policy_is_there_with_its_numbers() -> None:
    questions = setting(EASY, np.full(COUNT, 0.8))
    found = reported(questions, knowing("text", EASY, np.full(COUNT, 0.8)))

    assert [row.name for row in found.rows] == [
        "always weak",
        "always strong",
        "random, half and half",
        LENGTH,
        "text",
        "oracle",
    ]
    weak, strong, mix, _, text, best = [row.measures for row in found.rows]
    right = questions.table.right
    assert weak["accuracy"].value == pytest.approx(right[:, 0].mean())
    assert mix["accuracy"].value == pytest.approx(right.mean())
    assert best["accuracy"].value == pytest.approx(right.max(axis=1).mean())
    assert (strong["cost"].value, mix["cost"].value) == pytest.approx((10.0, 5.5))
    assert strong["wasted"].value == pytest.approx(9 * (right[:, 0] >= right[:, 1]).mean())
    assert text["apgr"].value > 0.6
    assert text["apgr"].low < text["apgr"].value < text["apgr"].high
    assert all(best["accuracy"].value >= row.measures["accuracy"].value for row in found.rows)


def test_where_a_router_is_clearly_more_accurate_the_verdict_is_to_route() -> None:
    """Each model is at home on one half of the questions, and the router knows which."""
    weak, strong = np.where(EASY > 0.5, 0.95, 0.1), np.where(EASY > 0.5, 0.4, 0.9)
    found = reported(setting(weak, strong), knowing("text", weak, strong))

    assert (found.verdict.choice, found.verdict.router) == ("route", "text")
    assert "right more often than always strong" in found.verdict.reason


def test_where_the_best_single_action_wins_the_verdict_says_so() -> None:
    """The strong model is better everywhere, and cheaper too."""
    weak, strong = np.full(COUNT, 0.3), np.full(COUNT, 0.8)
    found = reported(setting(weak, strong, costs=(5.0, 1.0)), knowing("text", weak, strong))

    assert found.verdict.choice == "strong"
    assert found.verdict.reason.startswith("always strong: the best single action wins")


def test_where_money_is_saved_at_equal_accuracy_the_verdict_is_to_route_where_it_counts() -> None:
    """The strong model is never worse, but often no better."""
    weak, strong = np.where(EASY > 0.5, 0.9, 0.1), np.full(COUNT, 0.9)
    found = reported(setting(weak, strong), knowing("text", weak - 0.01, strong))

    assert found.verdict.choice == "route"
    assert "where money counts" in found.verdict.reason


def test_without_prices_saving_is_a_condition() -> None:
    weak, strong = np.where(EASY > 0.5, 0.9, 0.1), np.full(COUNT, 0.9)
    found = reported(setting(weak, strong, costs=None), knowing("text", weak - 0.01, strong))

    assert found.verdict.choice == "strong"
    assert "If weak is cheaper, routing by text saves money" in found.verdict.reason
    assert found.unit == "calls"


def test_a_router_that_guesses_is_not_said_to_save_money() -> None:
    """Its hull is above random mixes all the same: one picks the best of its points."""
    weak, strong = np.full(COUNT, 0.4), np.full(COUNT, 0.7)
    guesses = np.random.default_rng(9).random((2, COUNT))
    found = reported(setting(weak, strong), knowing("text", 0.1 * guesses[0], 0.1 * guesses[1]))

    assert not found.row("text").measures["line_over_mix"].clear
    assert found.verdict.choice == "strong"


def test_a_router_that_probes_pays_the_weak_run_for_every_question() -> None:
    weak, strong = EASY, np.full(COUNT, 0.8)
    questions = setting(weak, strong, probe=True)

    blind, seeing = (routed(questions, knowing("text", weak, strong, probes=each)) for each in (False, True))

    assert blind.cost is not None
    assert seeing.cost is not None
    assert seeing.cost - blind.cost == pytest.approx(np.where(EASY > 0.8, 0.0, 1.0))
    assert blind.wasted is not None
    assert seeing.wasted is not None
    assert seeing.wasted - blind.wasted == pytest.approx(seeing.cost - blind.cost)


def test_trade_offs_lead_from_always_cheap_to_the_most_accurate() -> None:
    weak, strong = EASY, np.full(COUNT, 0.8)
    questions = setting(weak, strong)

    line = routed(questions, knowing("text", weak, strong)).line

    assert line is not None
    cost = line[1].mean(axis=-1)
    assert cost[:, -1] == pytest.approx([1.0, 1.0])
    assert (np.diff(cost, axis=1) <= 1e-9).all()


def test_a_report_is_json() -> None:
    found = reported(setting(EASY, np.full(COUNT, 0.8)), knowing("text", EASY, np.full(COUNT, 0.8)))

    read = json.loads(json.dumps(found.json(), allow_nan=False))

    assert read["verdict"]["choice"] == "route"
    text = next(each for each in read["policies"] if each["name"] == "text")
    assert text["apgr"]["low"] == found.row("text").measures["apgr"].low
    assert {each["router"] for each in read["calibration"]} == {LENGTH, "text"}


def test_where_both_are_right_equally_often_there_is_no_gap_and_the_report_says_so() -> None:
    right = np.full(COUNT, 1.0)
    found = reported(setting(right, right), knowing("text", EASY, right))

    assert any("there is no gap to recover, so APGR and CPT say nothing" in note for note in found.notes)
    text = next(each for each in found.json()["policies"] if each["name"] == "text")
    assert text["apgr"]["value"] is None
    assert text["cpt50"]["value"] is None
