"""Sums with resamples: the same however traffic is cut, and as wide as intervals should be."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from router.outcome_table import OutcomeTable
from router.replay.deciding import REFUSED, Decided
from router.replay.report import LEAST_QUESTIONS, report
from router.replay.tally import MOST_SEGMENTS, OTHERS, Tally
from router.replay.weights import RESAMPLES, weights_of
from tests.router.tables import table


def _decided(outcomes: OutcomeTable, action: str) -> Decided:
    """Always one action."""
    column, count = outcomes.column(action), len(outcomes)
    names = (*(each.name for each in outcomes.actions), REFUSED)
    unknown = np.full(count, np.nan)
    never = np.zeros(count, dtype=np.bool_)
    return Decided(
        names,
        np.full(count, column),
        np.zeros(count, dtype=np.intp),
        never,
        never,
        outcomes.right[:, column],
        outcomes.cost_usd[:, column],
        unknown,
        unknown,
    )


def _tally(outcomes: OutcomeTable, *actions: str) -> Tally:
    tally = Tally()
    tally.add(outcomes, [_decided(outcomes, action) for action in actions])
    return tally


def test_a_resample_draws_each_group_once_on_average_as_poisson_does() -> None:
    weights = weights_of([str(number) for number in range(5000)])
    assert weights.shape == (5000, 1 + RESAMPLES)
    assert (weights[:, 0] == 1).all()
    drawn = weights[:, 1:]
    np.testing.assert_allclose([drawn.mean(), drawn.var()], [1, 1], atol=0.02)
    # Neither questions nor resamples have anything to do with each other.
    assert abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]) < 0.01


def test_questions_of_one_group_are_drawn_together() -> None:
    weights = weights_of(["a", "b", "a"])
    np.testing.assert_array_equal(weights[0], weights[2])
    assert (weights[0] != weights[1]).any()


@given(st.integers(1, 239), st.booleans())
def test_chunks_and_their_order_change_nothing(cut: int, turned: bool) -> None:
    outcomes = table()
    whole = _tally(outcomes, "grand", "small")
    parts = [_tally(outcomes.take(range(cut)), "grand", "small")]
    parts.append(_tally(outcomes.take(range(cut, len(outcomes))), "grand", "small"))
    merged, other = reversed(parts) if turned else parts
    merged.merge(other)
    assert merged.counts == whole.counts
    for key, sums in whole.sums.items():
        np.testing.assert_allclose(merged.sums[key], sums, rtol=1e-9)


def test_intervals_are_as_wide_as_the_standard_error_says() -> None:
    outcomes = table(1000)
    (policy,) = report(_tally(outcomes, "grand"), ["grand"]).policies
    right = outcomes.right[:, 2]
    assert policy.came.right.value == right.mean()
    half_width = (policy.came.right.high - policy.came.right.low) / 2
    np.testing.assert_allclose(half_width, 1.96 * right.std() / np.sqrt(1000), rtol=0.2)


def test_a_policy_differs_from_itself_by_nothing_at_all() -> None:
    found = report(_tally(table(), "grand", "grand"), ["one", "two"])
    over = found.policies[1].over_first
    assert over is not None
    for interval in (over.right, over.cost_usd):
        assert (interval.value, interval.low, interval.high) == (0, 0, 0)


def test_differences_are_paired() -> None:
    """Of two that are right on nearly the same questions they are much surer than the two by themselves."""
    outcomes = table(1000)
    found = report(_tally(outcomes, "small", "majority@8"), ["small", "votes"])
    small, votes = found.policies
    assert votes.over_first is not None
    alone = votes.came.right.high - votes.came.right.low
    paired = votes.over_first.right.high - votes.over_first.right.low
    assert paired < 0.6 * alone
    np.testing.assert_allclose(
        votes.over_first.right.value, votes.came.right.value - small.came.right.value, atol=1e-12
    )


def test_losses_are_against_the_cheapest_of_the_most_right() -> None:
    outcomes = table()
    found = report(_tally(outcomes, "grand"), ["grand"])
    best = outcomes.right.max(axis=1)
    np.testing.assert_allclose(found.oracle.right.value, best.mean())
    (policy,) = found.policies
    np.testing.assert_allclose(policy.to_oracle.right.value, (best - outcomes.right[:, 2]).mean())
    as_right = outcomes.right >= outcomes.right[:, [2]]
    cheapest = np.where(as_right, outcomes.cost_usd, np.inf).min(axis=1)
    np.testing.assert_allclose(policy.to_oracle.cost_usd.value, (1e-4 - cheapest).mean())
    assert found.best == "grand"


def test_what_was_not_recorded_is_counted_apart_and_estimated() -> None:
    outcomes = table()
    one = _decided(outcomes, "grand")
    right = np.where(np.arange(len(outcomes)) < 60, np.nan, one.right)
    tally = Tally()
    tally.add(
        outcomes, [replace(one, right=right, cost_usd=right, expected_right=np.full(len(outcomes), 0.25))]
    )
    (policy,) = report(tally, ["one"]).policies
    assert (policy.questions, policy.came.questions, policy.estimated.questions) == (240, 180, 60)
    assert policy.came.right.value == right[60:].mean()
    assert policy.estimated.right.value == 0.25


def test_segments_where_policies_differ_clearly_come_first() -> None:
    outcomes = table(400)
    number = np.arange(400)
    names = np.where(number < 3, "tiny", np.where(number % 2 == 0, "easy", "hard"))
    found = report(_tally(replace(outcomes, segments=tuple(names.tolist())), "small", "grand"), ["a", "b"])
    assert [each.segment for each in found.differences][:2] == ["hard", "easy"]
    assert [each.clear for each in found.differences] == [True, True, False]
    assert found.differences[-1].questions < LEAST_QUESTIONS
    assert sum(each.questions for each in found.differences) == found.questions == 400


def test_more_segments_than_fit_are_taken_together() -> None:
    outcomes = table(400)
    named = replace(outcomes, segments=tuple(f"kind {row}" for row in range(400)))
    tally = Tally()
    for start in (0, 200):
        part = named.take(range(start, start + 200))
        tally.add(part, [_decided(part, "grand")])
    segments = tally.segments()
    assert len(segments) == MOST_SEGMENTS + 1
    assert tally.counts[OTHERS, 0, "questions"] == 400 - MOST_SEGMENTS


@given(st.integers(1, 399), st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_of_too_many_segments_the_same_are_told_however_traffic_is_cut(cut: int, random: Random) -> None:
    outcomes = table(400)
    order = list(range(400))
    random.shuffle(order)
    named = replace(outcomes, segments=tuple(f"kind {row % 150}" for row in range(400)))
    parts = [named.take(order[:cut]), named.take(order[cut:])]
    tallies = [_tally(each, "grand", "small") for each in parts]
    tallies[0].merge(tallies[1])
    chunked = Tally()
    for part in parts:
        chunked.add(part, [_decided(part, "grand"), _decided(part, "small")])
    whole = _tally(named, "grand", "small")
    for each in (tallies[0], chunked):
        assert each.counts == whole.counts
        assert each.segments() == whole.segments()
        for key, sums in whole.sums.items():
            np.testing.assert_allclose(each.sums[key], sums, rtol=1e-9, atol=1e-12)


def test_who_refuses_is_not_right_and_pays_nothing_on_all_questions() -> None:
    """Or refusing what is hard would make a policy look good on the rest."""
    outcomes = table(200)
    answered = _decided(outcomes, "grand")
    hard = np.arange(200) < 50
    refusing = replace(
        answered,
        way=np.where(hard, answered.names.index(REFUSED), answered.way),
        right=np.where(hard, 0, answered.right),
        cost_usd=np.where(hard, 0, answered.cost_usd),
    )
    tally = Tally()
    tally.add(outcomes, [answered, refusing])
    _, policy = report(tally, ["all", "refusing"]).policies
    assert policy.refused == 0.25
    assert set(policy.ways) == {"grand"}
    assert policy.came.questions == 200
    assert policy.came.right.value == outcomes.right[50:, outcomes.column("grand")].sum() / 200
    wasted = report(tally, ["all", "refusing"]).policies[0].to_oracle
    assert 0 <= policy.to_oracle.cost_usd.value <= wasted.cost_usd.value
    assert policy.to_oracle.right.value > wasted.right.value
