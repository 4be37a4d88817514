"""How long queries take that share machines, and how many machines they keep busy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import ceil

from cost_model.latency import decode_s, prefill_s, queue_s
from cost_model.situation import SECONDS_A_DAY, Situation, Speed, Work


def busy_machines(situation: Situation, model: str, shared: Sequence[tuple[Decimal, Work]]) -> float | None:
    """Of ``model``, all the time, by each work and the share of queries that need it.

    ``None`` where its speed is unknown.
    """
    speed = situation.models[model].speed
    if speed is None:
        return None
    a_query = sum(float(share) * _machine_s(speed, work) for share, work in shared if work.model == model)
    return float(situation.queries_per_day) / SECONDS_A_DAY * a_query


def mean_s(situation: Situation, done: Mapping[str, Sequence[Work]]) -> float | None:
    """What a query takes on average, by the works that are ``done`` one after the other in each bin.

    ``None`` where one of them is unknown; infinite where more arrives than there are machines for.
    """
    total = 0.0
    for each, works in done.items():
        for work in works:
            seconds = _seconds(situation, done, work)
            if seconds is None:
                return None
            total += float(situation.bins[each].share) * seconds
    return total


def _seconds(situation: Situation, done: Mapping[str, Sequence[Work]], work: Work) -> float | None:
    """By the speed of its model where that is known, else as it was measured."""
    speed = situation.models[work.model].speed
    if speed is None:
        return work.seconds
    judging = 0.0
    if work.judged:
        if situation.verifier.tokens_per_second is None:
            return None
        judging = float(work.judged) / situation.verifier.tokens_per_second
    if speed.replicas is None:
        together = min(work.samples, speed.batch)
        rounds = ceil(work.samples / together)
        one = float(work.completion) / work.samples
        reading = prefill_s(float(work.prompt), speed.prompt_tokens_per_second)
        return reading + rounds * decode_s(one, together, speed.decode) + judging
    # A busy machine is as many places as answers fit into its batch, each that many times slower.
    here = [
        (float(situation.bins[each].share), other)
        for each, works in done.items()
        for other in works
        if other.model == work.model
    ]
    places = max(1, speed.batch // max(other.samples for _, other in here))
    asked = sum(share for share, _ in here)
    service_s = places * sum(share * _machine_s(speed, other) for share, other in here) / asked
    arrivals = float(situation.queries_per_day) / SECONDS_A_DAY * asked
    waiting = queue_s(arrivals, service_s, speed.replicas * places)
    return waiting + places * _machine_s(speed, work) + judging


def _machine_s(speed: Speed, work: Work) -> float:
    """Seconds of a whole, busy machine."""
    reading = prefill_s(float(work.prompt), speed.prompt_tokens_per_second)
    return reading + float(work.completion) / speed.decode.tokens_per_second(speed.batch)
