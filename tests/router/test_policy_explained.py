"""Plans that nobody asks the reasons of: the same decisions, and less told of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import CapExceeded
from router.market import Market
from router.policy import plan
from router.types import Alternative, Plan, StrategySpec
from router.words import say
from tests.router.examples import market, query
from tests.router.guided import Oracle, guided

rights = st.lists(st.floats(0.01, 0.99), min_size=4, max_size=4)
policies = st.fixed_dictionaries(
    {"usd_per_right_answer": st.sampled_from(["0.00001", "0.001", "0.01", "1"])},
    optional={
        "probe": st.sampled_from(["always", "never"]),
        "min_accuracy": st.sampled_from([0.5, 0.8, 0.95]),
        "max_cost_usd": st.sampled_from(["0.00005", "0.0005", "0.005"]),
    },
)


def _without_reasons(decided: Plan) -> Plan:
    """What was rejected is left where readings may still choose it."""
    stages = tuple(
        replace(
            stage,
            branches=tuple(
                replace(branch, reason="", rejected=branch.rejected if branch.readings else ())
                for branch in stage.branches
            ),
        )
        for stage in decided.stages
    )
    return replace(decided, stages=stages)


def _is_the_same(there: Market) -> bool:
    try:
        told = plan(query(), "default", there)
    except CapExceeded as refused:
        with pytest.raises(CapExceeded, match="^" + str(refused).replace("$", "\\$")):
            plan(query(), "default", there, explained=False)
        return True
    return plan(query(), "default", there, explained=False) == _without_reasons(told)


@settings(max_examples=200, deadline=None)
@given(rights, st.sampled_from([0.0, 0.5]), policies)
def test_what_is_not_explained_is_decided_alike(
    right: list[float], familiarity: float, policy: dict[str, Any]
) -> None:
    assert _is_the_same(guided(Oracle(right, familiarity=familiarity), **policy))


def test_tables_decide_alike_too(tmp_path: Path) -> None:
    assert _is_the_same(market(tmp_path))


# Prompts that are like none of those that the predictor was fitted on


def _reasons(unseen: str, familiarity: float = 0.002, **policy: Any) -> list[str]:
    there = guided(Oracle((0.5, 0.6, 0.7, 0.9), familiarity=familiarity), unseen=unseen, **policy)
    return [branch.reason for branch in plan(query(), "default", there).branches]


@pytest.mark.parametrize(
    ("unseen", "then"),
    [
        ("probe", "probed, as `unseen: probe` says"),
        ("large", "a large model answers, as `unseen: large` says"),
        ("small", "a small model answers, as `unseen: small` says"),
    ],
)
def test_reasons_begin_with_it_that_a_prompt_is_unseen(unseen: str, then: str) -> None:
    head = "unlike what the predictor was fitted on (familiarity 0.002, at most 0.01 counts as unseen): "
    assert all(each.startswith(f"{head}{then}; ") for each in _reasons(unseen))
    assert not any("unlike" in each for each in _reasons(unseen, familiarity=0.5))


def test_what_unseen_says_is_not_named_where_something_else_decided() -> None:
    (reason,) = _reasons("probe", probe="never")
    assert "nothing forecast of it counts; " in reason


def test_what_was_measured_is_said_to_be_of_other_prompts_where_the_prompt_is_unseen() -> None:
    way = Alternative("small", "tiny", StrategySpec("direct", 1), 0.4, "measured", None, None)
    assert "right in 40% (measured) for" in say(way)
    assert "right in 40% (measured on other prompts) for" in say(way, unseen=True)
    assert "(assumed)" in say(replace(way, accuracy_source="assumed"), unseen=True)


def test_a_plan_that_is_not_explained_has_no_words() -> None:
    (branch,) = plan(query(), "default", guided(Oracle((0.98, 0.98, 0.98, 0.5))), explained=False).branches
    assert (branch.reason, branch.rejected) == ("", ())
