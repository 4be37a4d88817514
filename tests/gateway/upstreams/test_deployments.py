"""Balancing: shares by weight, nobody over its limit, nobody asked who should be left alone."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.upstreams.deployments import FAILURES_IN_A_ROW, LONGEST_REST_S, Place, Pool, using
from router.config import Deployed
from tests.gateway.upstreams.servers import Time

COOLDOWN_S = 10.0
WEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def pool_of(*weights: float, most: int | None = None, time: Time | None = None) -> Pool:
    places = [Deployed("m", f"http://{index}", None, weight, most) for index, weight in enumerate(weights)]
    return Pool(places, COOLDOWN_S, time or Time())


def chosen(pool: Pool) -> Place:
    place = pool.choose()
    assert place is not None
    return place


def fail(pool: Pool, place: Place, times: int = FAILURES_IN_A_ROW) -> None:
    for _ in range(times):
        with using(place):
            pool.failed(place)


@given(weights=WEIGHTS)
def test_one_after_another_each_gets_its_share_exactly(weights: list[int]) -> None:
    pool = pool_of(*weights)
    picks = [chosen(pool) for _ in range(2 * sum(weights))]
    assert [picks.count(place) for place in pool.places] == [2 * weight for weight in weights]


@given(weights=WEIGHTS, calls=st.integers(1, 60))
def test_at_once_nobody_has_more_in_flight_for_its_weight_than_one_call_explains(
    weights: list[int], calls: int
) -> None:
    pool = pool_of(*weights)
    with ExitStack() as under_way:
        for _ in range(calls):
            under_way.enter_context(using(chosen(pool)))
        loads = [place.in_flight / place.deployed.weight for place in pool.places]
        assert all(
            (place.in_flight - 1) / place.deployed.weight <= min(loads) + 1e-9
            for place in pool.places
            if place.in_flight
        )


def test_what_takes_no_more_at_once_is_not_asked_not_even_as_a_last_resort() -> None:
    pool = pool_of(1, most=2)
    with using(chosen(pool)), using(chosen(pool)):
        assert pool.choose() is None
        assert pool.choose(whatever=True) is None
    assert pool.choose() is not None


def test_failures_in_a_row_leave_a_deployment_alone_until_one_trial_has_worked() -> None:
    time = Time()
    pool = pool_of(1, 1, time=time)
    bad, good = pool.places

    fail(pool, bad)

    assert {chosen(pool) for _ in range(4)} == {good}
    time.now_s += COOLDOWN_S
    with using(bad):  # the trial
        assert {chosen(pool) for _ in range(4)} == {good}
        pool.worked(bad)
    assert {chosen(pool) for _ in range(4)} == {good, bad}


def test_a_trial_that_fails_leaves_it_alone_again_at_once() -> None:
    time = Time()
    pool = pool_of(1, 1, time=time)
    bad, good = pool.places
    fail(pool, bad)
    time.now_s += COOLDOWN_S
    fail(pool, bad, times=1)
    assert {chosen(pool) for _ in range(4)} == {good}


def test_a_trial_whose_client_left_decides_nothing() -> None:
    time = Time()
    pool = pool_of(1, time=time)
    fail(pool, pool.places[0])
    time.now_s += COOLDOWN_S
    with using(chosen(pool)):
        assert pool.choose() is None
    assert pool.choose() is pool.places[0]


def test_a_success_between_failures_starts_the_count_again() -> None:
    pool = pool_of(1)
    (place,) = pool.places
    fail(pool, place, times=FAILURES_IN_A_ROW - 1)
    pool.worked(place)
    fail(pool, place, times=FAILURES_IN_A_ROW - 1)
    assert pool.choose() is place


@pytest.mark.parametrize(("asked_s", "held_s"), [(7.0, 7.0), (1e6, LONGEST_REST_S)])
def test_a_server_that_asks_for_rest_gets_it_within_reason(asked_s: float, held_s: float) -> None:
    time = Time()
    pool = pool_of(1, time=time)
    pool.rest(pool.places[0], asked_s)
    assert pool.choose() is None
    assert pool.wait_s() == held_s
    assert pool.choose(whatever=True) is pool.places[0]
    time.now_s += held_s
    assert pool.choose() is pool.places[0]


class Balancing(RuleBasedStateMachine):
    """Any sequence of calls, results and waiting, of three deployments."""

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self.pool = pool_of(1, 2, 5, most=3, time=self.time)
        self.under_way: list[tuple[Place, ExitStack]] = []

    @rule()
    def ask(self) -> None:
        place = self.pool.choose()
        if place is None:
            return
        assert not place.is_full
        assert place.resting_until_s <= self.time.now_s
        assert not place.on_trial
        assert place.open_until_s is None or place.open_until_s <= self.time.now_s
        use = ExitStack()
        use.enter_context(using(place))
        self.under_way.append((place, use))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), result=st.sampled_from(["worked", "failed", "rest", "left"]))
    def end(self, data: st.DataObject, result: str) -> None:
        place, use = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        with use:
            if result == "rest":
                self.pool.rest(place, 3)
            elif result != "left":
                getattr(self.pool, result)(place)

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds: float) -> None:
        self.time.now_s += seconds

    @invariant()
    def counts_what_is_under_way(self) -> None:
        for place in self.pool.places:
            assert place.in_flight == sum(each is place for each, _ in self.under_way)

    @invariant()
    def somebody_can_be_asked_when_the_wait_is_over(self) -> None:
        if self.pool.wait_s() == 0:
            before = [place.turn for place in self.pool.places]
            assert self.pool.choose() is not None
            for place, turn in zip(self.pool.places, before, strict=True):
                place.turn = turn

    def teardown(self) -> None:
        """Whatever happened, all of them come back."""
        for _, use in self.under_way:
            use.close()
        self.time.now_s += LONGEST_REST_S + COOLDOWN_S
        assert self.pool.wait_s() == 0


TestBalancing = Balancing.TestCase
