"""What is decided after a probe: by the plan, and by all that was seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.decision import Objective, choose
from router.features.evidence import FEATURES
from router.policy import plan
from router.probe import p_right_of
from router.replanning import replan
from router.types import Alternative, Branch, Evidence, Plan, ProbeStage, Reading, StrategySpec, Worth
from tests.router.examples import query
from tests.router.guided import SCORE, Oracle, evidence, guided


def _way(model: str, usd: str | None = "0.001") -> Alternative:
    from decimal import Decimal

    cost = None if usd is None else Decimal(usd)
    route = "small" if model == "tiny" else "large"
    return Alternative(route, model, StrategySpec("direct"), 0.5, "predicted", cost, cost)  # type: ignore[arg-type]


def _reading(intercept: float, of_score: float = 0.0) -> Reading:
    weights = [0.0] * len(FEATURES)
    weights[SCORE] = of_score
    return Reading(intercept, tuple(weights))


def _branch(above: float, up_to: float, *ways: Alternative, readings: tuple[Reading, ...] = ()) -> Branch:
    return Branch(None, ways[0], ways[1:], "as planned", None, above, up_to, readings)


def _plan(*stages: ProbeStage, worth: Worth | None = None) -> Plan:
    return Plan("default", "tiny", "prm", stages, None, None, None, worth=worth)


SMALL, LARGE = _way("tiny"), _way("big", "0.002")
TWO = _plan(
    ProbeStage(4, (_branch(0.6, 1.0, SMALL),)),
    ProbeStage(8, (_branch(0.5, 1.0, SMALL), _branch(0.0, 0.5, LARGE))),
)


def test_a_stage_without_a_branch_for_what_was_seen_wants_the_next_one() -> None:
    assert replan(TWO, 0, evidence(4, 0.5)) is None
    decision = replan(TWO, 0, evidence(4, 0.9))
    assert decision is not None
    assert decision.branch.chosen == SMALL


@pytest.mark.parametrize(("score", "model"), [(0.0, "big"), (0.5, "big"), (0.5000001, "tiny"), (1.0, "tiny")])
def test_an_edge_belongs_to_the_branch_below_it_and_0_to_the_lowest(score: float, model: str) -> None:
    decision = replan(TWO, 1, evidence(8, score))
    assert decision is not None
    assert decision.branch.chosen.model == model


def test_what_broke_off_is_all_that_there_will_be_and_the_last_stage_decides() -> None:
    decision = replan(TWO, 0, evidence(3, 0.5))
    assert decision is not None
    assert decision.branch.chosen == LARGE
    assert decision.difficulty is not None
    assert decision.difficulty.samples == 3


def test_a_probe_that_broke_off_is_read_by_its_own_stage() -> None:
    read = _plan(
        ProbeStage(4, (), _reading(-9.0)),
        ProbeStage(8, (_branch(0.5, 1.0, SMALL), _branch(0.0, 0.5, LARGE)), _reading(9.0)),
    )
    decision = replan(read, 0, evidence(3))
    assert decision is not None
    assert decision.branch.chosen == LARGE


def test_a_plan_whose_last_stage_leaves_a_gap_is_a_defect() -> None:
    gap = _plan(ProbeStage(4, (_branch(0.6, 1.0, SMALL),)))
    with pytest.raises(ValueError, match="must cover everything"):
        replan(gap, 0, evidence(4, 0.5))


def test_what_was_seen_may_change_the_choice_and_says_so() -> None:
    readings = (_reading(-2.0), _reading(2.0))
    stage = ProbeStage(4, (_branch(0.0, 1.0, SMALL, LARGE, readings=readings),))
    decision = replan(_plan(stage, worth=Worth(1.0)), 0, evidence(4))
    assert decision is not None
    branch = decision.branch
    assert (branch.chosen.model, [way.model for way in branch.rejected]) == ("big", ["tiny"])
    assert branch.chosen.accuracy == pytest.approx(1 / (1 + np.exp(-2)))
    assert branch.reason.startswith("by what the probe saw: big (one answer), right in 88% (predicted)")
    assert branch.readings == ()


def test_where_a_cost_is_unknown_what_was_planned_is_done() -> None:
    readings = (_reading(-2.0), _reading(2.0))
    stage = ProbeStage(4, (_branch(0.0, 1.0, SMALL, _way("big", None), readings=readings),))
    decision = replan(_plan(stage, worth=Worth(1.0)), 0, evidence(4))
    assert decision is not None
    assert decision.branch.chosen == SMALL


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(-2, 2)), min_size=3, max_size=3),
    st.floats(0.01, 0.99),
    st.sampled_from([0.0001, 0.001, 0.01, 1.0]),
    st.none() | st.floats(0.1, 0.9),
)
def test_with_readings_it_picks_what_the_rule_picks(
    numbers: list[tuple[float, float]], score: float, worth: float, least: float | None
) -> None:
    ways = (SMALL, LARGE, _way("other", "0.0005"))
    readings = tuple(_reading(*each) for each in numbers)
    stage = ProbeStage(4, (_branch(0.0, 1.0, *ways, readings=readings),))
    seen = evidence(4, score)
    decision = replan(_plan(stage, worth=Worth(worth, least)), 0, seen)
    right = np.array([p_right_of(seen, reading) for reading in readings])
    usd = np.array([float(way.expected_cost_usd or 0) for way in ways])
    best = choose(right, usd, np.ones(3, bool), Objective(worth, least), np.array(False))
    assert decision is not None
    assert decision.branch.chosen.model == ways[int(best)].model


def test_what_was_planned_is_kept_by_the_plan_that_is_carried_out() -> None:
    decided = plan(query(), "default", guided(Oracle((0.45, 0.5, 0.55, 0.9)), probe="always"))
    bad = replan(decided, len(decided.stages) - 1, evidence(decided.probe_samples, 0.02))
    good = replan(decided, len(decided.stages) - 1, evidence(decided.probe_samples, 0.98))
    assert bad is not None
    assert good is not None
    assert (bad.branch.chosen.route, good.branch.chosen.route) == ("large", "small")
    assert isinstance(good.evidence, Evidence)
