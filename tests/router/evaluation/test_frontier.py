from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.evaluation.frontier import hull, money_wasted_usd, oracle, quality_lost

points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=25)

RIGHT = np.array([[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]], float)
COST = np.tile([1.0, 3.0, 10.0], (4, 1))


def test_the_hull_leaves_out_what_a_mix_of_its_neighbours_beats() -> None:
    """By hand: (1, .2) is dominated, (4, .7) costs more for less."""
    found = hull([0, 1, 2, 3, 4], [0.5, 0.2, 0.8, 0.85, 0.7])

    assert found.cost_usd.tolist() == [0, 2, 3]
    assert found.quality.tolist() == [0.5, 0.8, 0.85]
    assert found.at([1, 2.5, 9]) == pytest.approx([0.65, 0.825, 0.85])


def test_the_average_quality_is_the_area_below_the_hull() -> None:
    """By hand, from 0 to 4: 2 * .65 + .825 + .85 = 2.975, over 4."""
    assert hull([0, 2, 3], [0.5, 0.8, 0.85]).aiq(0, 4) == pytest.approx(2.975 / 4)
    assert hull([1, 3], [0.2, 0.6]).aiq(2, 2) == pytest.approx(0.4)


def test_below_the_cheapest_some_questions_go_unanswered() -> None:
    assert hull([2.0, 4.0], [0.5, 0.6]).at([0.0, 1.0]) == pytest.approx([0.0, 0.25])


@given(points)
def test_a_hull_rises_ever_more_slowly_and_nothing_is_above_it(rows: list[tuple[int, int]]) -> None:
    cost, quality = np.array(rows, float).T
    found = hull(cost, quality)
    slopes = np.diff(found.quality) / np.diff(found.cost_usd)

    assert (np.diff(found.cost_usd) > 0).all()
    assert (slopes > 0).all()
    assert (np.diff(slopes) < 0).all()
    assert (found.at(cost) >= quality - 1e-9).all()
    assert set(zip(found.cost_usd, found.quality, strict=True)) <= set(rows)


@given(points, st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_one_more_way_to_answer_never_lowers_the_hull(
    rows: list[tuple[int, int]], another: tuple[int, int]
) -> None:
    before, after = hull(*np.array(rows, float).T), hull(*np.array([*rows, another], float).T)
    low = max(before.cost_usd[0], after.cost_usd[0])

    assert after.aiq(low, 20) >= before.aiq(low, 20) - 1e-9


def test_the_oracle_takes_the_cheapest_of_what_is_right() -> None:
    assert oracle(RIGHT, COST).tolist() == [0, 1, 2, 0]


def test_loss_and_waste_are_told_apart() -> None:
    """Always the middle one: wasteful on the first and the last question, wrong on the third."""
    middle = np.full(4, 1)

    assert quality_lost(RIGHT, middle).tolist() == [0, 0, 1, 0]
    assert money_wasted_usd(RIGHT, COST, middle).tolist() == [2, 0, 2, 2]


@given(
    st.lists(
        st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 3, *[st.integers(1, 9)] * 3, st.integers(0, 2)),
        min_size=1,
        max_size=10,
    )
)
def test_no_policy_is_better_than_the_oracle_which_neither_loses_nor_wastes(
    rows: list[tuple[float, ...]],
) -> None:
    values = np.array(rows, float)
    right, cost, taken = values[:, :3], values[:, 3:6], values[:, 6].astype(int)
    best = oracle(right, cost)

    assert (quality_lost(right, taken) >= 0).all()
    assert (money_wasted_usd(right, cost, taken) >= 0).all()
    assert not quality_lost(right, best).any()
    assert not money_wasted_usd(right, cost, best).any()
