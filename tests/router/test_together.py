"""Queries that are weighed together come to what each would come to alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import CapExceeded
from router.market import Market
from router.policy import case_of, decide, plan
from router.table import Case
from router.together import weigh_together
from router.types import Plan, Query, Sampling
from tests.router.examples import market as tabled
from tests.router.guided import Oracle, guided

rights = st.lists(st.floats(0.01, 0.99), min_size=4, max_size=4)
queries = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 90)), min_size=1, max_size=6)
policies = st.fixed_dictionaries(
    {"usd_per_right_answer": st.sampled_from(["0.00001", "0.001", "0.01", "1"])},
    optional={
        "probe": st.sampled_from(["always", "never"]),
        "unseen": st.sampled_from(["probe", "large", "small"]),
        "min_accuracy": st.sampled_from([0.5, 0.8, 0.95]),
        "max_cost_usd": st.sampled_from(["0.00005", "0.0005", "0.005"]),
        "max_latency_s": st.sampled_from([0.5, 2.0, 10.0]),
    },
)


class Varied(Oracle):
    """Every third prompt is like none that it was fitted on."""

    def forecast(self, texts: Any) -> Any:
        made = super().forecast(texts)
        made.familiarity[:] = [0.0 if "2" in text or "5" in text else 0.5 for text in texts]
        return made


def _query(kind: int, max_tokens: int) -> Query:
    return Query(
        ({"role": "user", "content": f"question {kind} " + "long " * kind * 40},), Sampling(max_tokens)
    )


def told(plans: Iterable[Plan | str]) -> list[str]:
    """All of them, to nine digits: sums of a batch may be added up in another order."""
    return [
        re.sub(r"\d+\.\d+(e-?\d+)?", lambda found: f"{float(found[0]):.9g}", repr(each)) for each in plans
    ]


def _alone(query: Query, market: Market) -> Plan | str:
    try:
        return plan(query, "default", market, explained=False)
    except CapExceeded as error:
        return str(error)


def _together(those: list[Query], market: Market) -> list[Plan | str]:
    cases = [case_of(query, "default", market) for query in those]
    weighed = iter(weigh_together([each for each in cases if isinstance(each, Case)]))
    found: list[Plan | str] = []
    for each in cases:
        try:
            found.append(decide(next(weighed)) if isinstance(each, Case) else each)
        except CapExceeded as error:
            found.append(str(error))
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(rights, min_size=6, max_size=6), queries, policies, st.booleans())
def test_a_predictor_says_the_same_of_each(
    right: list[list[float]], asked: list[tuple[int, int]], policy: dict[str, Any], latency: bool
) -> None:
    those = [_query(*each) for each in asked]
    by_text: dict[str, Sequence[float]] = {
        str(each.messages[0]["content"]): right[kind] for each, (kind, _) in zip(those, asked, strict=True)
    }
    market = guided(Varied(right[0], by_text=by_text), latency=latency, **policy)
    assert told(_together(those, market)) == told(_alone(each, market) for each in those)


def test_tables_do_too(tmp_path: Path) -> None:
    market = tabled(tmp_path)
    those = [_query(kind, 50) for kind in range(5)]
    assert told(_together(those, market)) == told(_alone(each, market) for each in those)


def test_each_is_weighed_by_its_own_policy() -> None:
    cheap, dear = (
        guided(Oracle((0.5, 0.6, 0.7, 0.9)), usd_per_right_answer=worth) for worth in ("0.00001", "10")
    )
    cases = [case_of(_query(0, 50), "default", market) for market in (cheap, dear, cheap)]
    found = [decide(each) for each in weigh_together([each for each in cases if isinstance(each, Case)])]
    assert found == [
        plan(_query(0, 50), "default", market, explained=False) for market in (cheap, dear, cheap)
    ]
    assert found[0] != found[1]


def test_what_is_known_to_fit_nothing_is_refused_by_itself() -> None:
    market = guided(Oracle((0.5, 0.6, 0.7, 0.9)), max_cost_usd="0.00001")
    cases = [case_of(_query(0, 50), "default", market) for _ in range(2)]
    for outcome in weigh_together([each for each in cases if isinstance(each, Case)]):
        with pytest.raises(CapExceeded):
            decide(outcome)
