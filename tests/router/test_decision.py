"""The rule behind every decision, against brute force: which way, whether to probe on, and what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.decision import MOST_USD, NOTHING, Objective, Stage, choose, follow, solve

STAGES, LEVELS, ACTIONS = 2, 3, 3
seeds = st.integers(0, 10_000)
objectives = st.builds(
    Objective,
    st.sampled_from([0.0, 0.1, 1.0, 10.0, inf]),
    st.none() | st.floats(0.1, 0.9),
)


def _slow_choice(
    right: Sequence[float], usd: Sequence[float], allowed: Sequence[bool], objective: Objective, hard: bool
) -> int:
    """The rule as its docstring has it, one query at a time."""
    ways = [way for way in range(len(right)) if allowed[way]]
    if not ways:
        return NOTHING
    if any(isnan(usd[way]) for way in ways):
        return max(ways, key=lambda way: right[way]) if hard else ways[0]
    least = objective.min_accuracy
    enough = [] if least is None else [way for way in ways if right[way] >= least]
    if enough:
        return min(enough, key=lambda way: (usd[way], -right[way]))
    worth = min(objective.usd_per_right_answer, MOST_USD)
    return max(ways, key=lambda way: worth * right[way] - usd[way])


@given(seeds, objectives, st.booleans())
def test_choosing_for_many_is_choosing_for_each(seed: int, objective: Objective, priced: bool) -> None:
    random = np.random.default_rng(seed)
    right, usd = random.integers(0, 5, (20, 4)) / 4, random.integers(0, 4, (20, 4)) / 8
    if not priced:
        usd[random.random(usd.shape) < 0.2] = nan
    allowed, hard = random.random((20, 4)) < 0.7, random.random(20) < 0.5
    found = choose(right, usd, allowed, objective, hard)
    rows = zip(right.tolist(), usd.tolist(), allowed.tolist(), hard.tolist(), strict=True)
    slow = [_slow_choice(*row[:3], objective, row[3]) for row in rows]
    assert found.tolist() == slow


def test_of_equal_ways_the_first_is_taken() -> None:
    one = choose(
        np.array([0.5, 0.5]), np.array([1.0, 1.0]), np.array([True, True]), Objective(1), np.array(False)
    )
    assert one == 0


def test_of_ways_that_cost_the_same_and_are_right_enough_the_most_accurate_is_taken() -> None:
    free = np.zeros(3)
    found = choose(np.array([0.6, 0.8, 0.7]), free, np.ones(3, bool), Objective(1, 0.5), np.array(False))
    assert found == 1


def test_what_is_not_allowed_is_neither_taken_nor_missed_where_its_cost_is_unknown() -> None:
    right, usd = np.array([0.9, 0.5, 0.6]), np.array([nan, 0.1, 0.1])
    assert choose(right, usd, np.array([False, True, True]), Objective(1), np.array(True)) == 2


def test_a_right_answer_worth_any_sum_takes_the_most_accurate_way() -> None:
    right, usd = np.array([0.5, 0.5001]), np.array([0.0, 900.0])
    assert choose(right, usd, np.ones(2, bool), Objective(inf), np.array(False)) == 1


def test_arguments_are_broadcast_against_each_other() -> None:
    right = np.array([[0.1, 0.9], [0.9, 0.1]])[:, None]  # 2 queries, 1 level, 2 actions
    usd = np.zeros((1, 3, 2))
    found = choose(right, usd, np.ones(2, bool), Objective(1), np.zeros(3, bool))
    assert found.tolist() == [[1, 1, 1], [0, 0, 0]]


def _instance(seed: int, *, rows: int = 1, consistent: bool = True) -> list[Stage]:
    """Two stages; ``consistent``: P(right) of the first is the mean of what it may lead to."""
    random = np.random.default_rng(seed)
    first = random.dirichlet(np.ones(LEVELS), rows)
    passage = random.dirichlet(np.ones(LEVELS), (1, LEVELS))
    later = random.random((rows, LEVELS, ACTIONS))
    right = passage @ later if consistent else random.random((rows, LEVELS, ACTIONS))
    usd = [random.random((rows, 1, ACTIONS)) * 0.5 for _ in range(STAGES)]
    allowed = np.ones((1, 1, ACTIONS), dtype=np.bool_)
    probe_usd = random.random((STAGES, rows)) * 0.1
    return [
        Stage(first, right, usd[0], allowed, probe_usd[0]),
        Stage(passage, later, usd[1], allowed, probe_usd[1]),
    ]


def _trees() -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Of one query: what to do at each level of the first stage (-1: go on), and of the second."""
    for first in product(range(-1, ACTIONS), repeat=LEVELS):
        for second in product(range(ACTIONS), repeat=LEVELS):
            yield first, second


def _value(stages: Sequence[Stage], tree: tuple[tuple[int, ...], tuple[int, ...]], worth: float) -> float:
    one, two = stages
    leaves = [worth * two.right[0, level, way] - two.cost_usd[0, 0, way] for level, way in enumerate(tree[1])]
    value = -one.probe_usd[0]
    for level, way in enumerate(tree[0]):
        if way < 0:
            gained = float(two.arrive[0, level] @ leaves) - two.probe_usd[0]
        else:
            gained = worth * one.right[0, level, way] - one.cost_usd[0, 0, way]
        value += one.arrive[0, level] * gained
    return float(value)


@settings(max_examples=15, deadline=None)
@given(seeds, st.sampled_from([0.2, 1.0, 5.0]), st.booleans())
def test_backward_induction_finds_the_best_of_all_trees(seed: int, worth: float, consistent: bool) -> None:
    stages = _instance(seed, consistent=consistent)
    tree = solve(stages, Objective(worth), np.zeros(LEVELS, bool))
    best = max(_value(stages, each, worth) for each in _trees())
    assert tree.value[0] == pytest.approx(best)
    assert tree.value[0] == pytest.approx(worth * tree.right[0] - tree.cost_usd[0])


@given(seeds, st.sampled_from([0.0, 0.1, 1.0, 10.0]))
def test_a_probe_never_goes_on_where_all_that_it_may_lead_to_ends_in_the_same_way(
    seed: int, worth: float
) -> None:
    stages = _instance(seed, rows=5)
    # What is left to be paid falls by no more than what the stage costs: its samples are the search's.
    again = stages[0].cost_usd - stages[1].probe_usd[:, None, None] * np.random.default_rng(seed).random(
        (5, 1, 3)
    )
    stages[1] = Stage(
        stages[1].arrive, stages[1].right, np.maximum(again, 0), stages[1].allowed, stages[1].probe_usd
    )
    tree = solve(stages, Objective(worth), np.zeros(LEVELS, bool))
    for query in range(5):
        if len(set(tree.action[1, query])) == 1:
            assert not tree.goes_on[0, query].any()


@given(seeds, st.sampled_from([0.2, 1.0, 5.0]))
def test_going_on_is_never_worth_less_than_stopping_at_the_first_stage(seed: int, worth: float) -> None:
    stages = _instance(seed, rows=4, consistent=False)
    both, first = (
        solve(some, Objective(worth), np.zeros(LEVELS, bool)).value for some in (stages, stages[:1])
    )
    assert (both >= first - 1e-12).all()


@given(seeds, st.floats(0, 0.2))
def test_dearer_probes_never_probe_more(seed: int, more_usd: float) -> None:
    stages = _instance(seed, rows=4)
    cheap = solve(stages, Objective(1), np.zeros(LEVELS, bool))
    last = stages[1]
    stages[1] = Stage(last.arrive, last.right, last.cost_usd, last.allowed, last.probe_usd + more_usd)
    dear = solve(stages, Objective(1), np.zeros(LEVELS, bool))
    assert not (dear.goes_on & ~cheap.goes_on).any()


@given(seeds)
def test_nothing_goes_on_where_costs_are_unknown(seed: int) -> None:
    stages = _instance(seed)
    stages[1].cost_usd[..., 0] = nan
    assert not solve(stages, Objective(1), np.zeros(LEVELS, bool)).goes_on.any()


def test_where_nothing_is_allowed_nothing_is_worth_anything() -> None:
    (stage, _) = _instance(3)
    nothing = Stage(stage.arrive, stage.right, stage.cost_usd, np.zeros_like(stage.allowed), np.zeros(1))
    tree = solve([nothing], Objective(1), np.zeros(LEVELS, bool))
    assert (tree.action == NOTHING).all()
    assert tree.value[0] == 0


def test_what_is_followed_comes_to_what_was_expected() -> None:
    stages = _instance(11)
    stages[1] = Stage(stages[1].arrive, stages[1].right, stages[1].cost_usd, stages[1].allowed, np.zeros(1))
    tree = solve(stages, Objective(5), np.zeros(LEVELS, bool))
    assert tree.goes_on.any()
    random, count = np.random.default_rng(0), 40_000
    first = random.choice(LEVELS, count, p=stages[0].arrive[0])
    second = (random.random((count, 1)) > np.cumsum(stages[1].arrive[0], axis=1)[first]).sum(axis=1)
    levels = np.stack([first, np.minimum(second, LEVELS - 1)], axis=1)
    many = replace(
        tree, action=np.repeat(tree.action, count, axis=1), goes_on=np.repeat(tree.goes_on, count, axis=1)
    )
    stage, action = follow(many, levels)
    rows = levels[np.arange(count), stage]
    right = np.where(stage == 0, stages[0].right[0, rows, action], stages[1].right[0, rows, action])
    cost = np.where(stage == 0, stages[0].cost_usd[0, 0, action], stages[1].cost_usd[0, 0, action])
    assert right.mean() == pytest.approx(tree.right[0], abs=0.01)
    assert cost.mean() + stages[0].probe_usd[0] == pytest.approx(tree.cost_usd[0], abs=0.01)
    assert set(stage[first == np.flatnonzero(tree.goes_on[0, 0])[0]]) == {1}
