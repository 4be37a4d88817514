"""Latency: measured throughputs are reproduced, and waits are those of queues whose formula is known."""

from __future__ import annotations

from math import factorial, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.latency import DecodeSpeed, decode_s, decode_speed, prefill_s, queue_s


@given(st.floats(1, 1000), st.floats(1.01, 500), st.floats(0, 1))
def test_both_measured_throughputs_are_reproduced(alone: float, batch: float, gain: float) -> None:
    together = alone * (1 + gain * (batch - 1))
    speed = decode_speed(alone, together, batch)
    assert speed.tokens_per_second(1) == pytest.approx(alone)
    assert speed.tokens_per_second(batch) == pytest.approx(together)
    assert speed.fixed_s >= -1e-12
    assert speed.each_s >= -1e-12


def test_a_step_takes_what_it_takes_and_each_sequence_more() -> None:
    speed = decode_speed(50, 400, 16)
    assert (speed.fixed_s, speed.each_s) == pytest.approx((1 / 50 - 1 / 750, 1 / 750))
    assert decode_s(100, 4, DecodeSpeed(0.01, 0.002)) == pytest.approx(1.8)


def test_a_prompt_takes_its_tokens_over_the_throughput() -> None:
    assert prefill_s(2000, 1000) == 2


@pytest.mark.parametrize("arguments", [(50, 40, 4), (50, 201, 4), (0, 0, 4), (50, 50, 1)])
def test_throughputs_that_no_batch_can_have_are_refused(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="tokens a second of one sequence"):
        decode_speed(*arguments)


def test_a_throughput_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        prefill_s(1, 0)


@given(st.floats(0, 0.98), st.floats(0.01, 10), st.floats(0, 4))
def test_one_server_waits_as_pollaczek_and_khinchine_say(
    utilisation: float, service_s: float, scv: float
) -> None:
    arrivals = utilisation / service_s
    known = arrivals * service_s**2 * (1 + scv) / (2 * (1 - arrivals * service_s))
    assert queue_s(arrivals, service_s, 1, scv) == pytest.approx(known)


@pytest.mark.parametrize("servers", [2, 4, 16])
@pytest.mark.parametrize("utilisation", [0.7, 0.9, 0.97])
def test_many_servers_wait_about_as_erlang_says(servers: int, utilisation: float) -> None:
    load = servers * utilisation
    full = load**servers / factorial(servers) / (1 - utilisation)
    waiting = full / (sum(load**n / factorial(n) for n in range(servers)) + full)
    known = waiting / (servers * (1 - utilisation))
    assert queue_s(load, 1.0, servers) == pytest.approx(known, rel=0.12, abs=0.02)


def test_where_more_arrives_than_can_be_served_the_queue_never_ends() -> None:
    assert queue_s(2.0, 1.0, 2) == inf
    assert queue_s(0.0, 1.0, 2) == 0


def test_a_queue_of_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 server"):
        queue_s(1.0, 1.0, 0)
