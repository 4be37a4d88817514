"""What `gradus bench search` compares."""

from __future__ import annotations

import pytest

from workers.bench.search import WAYS
from workers.search import STRATEGIES


def test_every_strategy_is_measured_and_one_direct_answer_is_the_baseline() -> None:
    assert {way.name for way in WAYS} == set(STRATEGIES)
    assert WAYS[0].name == "direct"
    assert len({way.label for way in WAYS}) == len(WAYS)


@pytest.mark.parametrize("budget", [1, 2, 4, 6, 16])
def test_every_budget_can_be_split_as_each_way_splits_it(budget: int) -> None:
    for way in WAYS:
        spec = way.spec(budget)
        assert (spec.name, spec.samples) == (way.name, budget)
        assert budget % spec.beam_width == 0
