"""How long an answer takes: prefill, decoding in a batch, and waiting for a free place."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt


@dataclass(frozen=True, slots=True)
class DecodeSpeed:
    """One decoding step of ``n`` sequences takes ``fixed_s + n * each_s`` seconds.

    ``fixed_s`` is what a step takes for any batch (reading the weights), ``each_s`` what each sequence adds.
    """

    fixed_s: float
    each_s: float

    def step_s(self, batch: float) -> float:
        return self.fixed_s + batch * self.each_s

    def tokens_per_second(self, batch: float) -> float:
        """Of the whole batch."""
        return batch / self.step_s(batch)


def decode_speed(alone_tokens_per_second: float, batch_tokens_per_second: float, batch: float) -> DecodeSpeed:
    """From two measured throughputs: of one sequence alone, and of ``batch`` sequences together.

    Raises :class:`ValueError` unless the batch has more than one sequence, and its throughput is from that of
    one sequence up to ``batch`` times it.
    """
    alone, together = alone_tokens_per_second, batch_tokens_per_second
    if not (batch > 1 and 0 < alone <= together <= batch * alone):
        raise ValueError(
            f"a batch of more than 1 does from 1 to as many times the {alone} tokens a second of one "
            f"sequence as it has sequences; got {together} of a batch of {batch}"
        )
    each_s = (batch / together - 1 / alone) / (batch - 1)
    return DecodeSpeed(1 / alone - each_s, each_s)


def prefill_s(prompt_tokens: float, prompt_tokens_per_second: float) -> float:
    """Raises :class:`ValueError` unless the throughput is positive."""
    if not prompt_tokens_per_second > 0:
        raise ValueError(f"a throughput is more than 0 tokens a second, not {prompt_tokens_per_second}")
    return prompt_tokens / prompt_tokens_per_second


def decode_s(completion_tokens: float, batch: float, speed: DecodeSpeed) -> float:
    """Decoding sequences of so many tokens each, ``batch`` of them together."""
    return completion_tokens * speed.step_s(batch)


def queue_s(arrivals_per_second: float, service_s: float, servers: int, service_scv: float = 1.0) -> float:
    """Mean wait in M/G/c: Poisson arrivals, ``servers`` places, each busy ``service_s`` seconds a query.

    Allen and Cunneen's approximation with Sakasegawa's exponent (Sakasegawa 1977; Whitt 1993, "Approximations
    for the GI/G/m queue", section 2), at utilisation ``u = arrivals * service / servers``:

        (1 + scv) / 2 * u ** (sqrt(2 (servers + 1)) - 1) / (servers (1 - u)) * service

    Exact for one server (Pollaczek-Khinchine). ``service_scv`` is the squared coefficient of variation of
    the service time: 1 of an exponential one, 0 of a constant one. Of many half-idle servers it says a
    little too much. Infinite where more arrives than can be served.
    Raises :class:`ValueError` for negative numbers, or less than one server.
    """
    if arrivals_per_second < 0 or service_s < 0 or service_scv < 0 or servers < 1:
        raise ValueError("give arrivals, service time and variation of 0 or more, and at least 1 server")
    utilisation = arrivals_per_second * service_s / servers
    if utilisation >= 1:
        return inf
    crowding: float = utilisation ** (sqrt(2 * (servers + 1)) - 1) / (servers * (1 - utilisation))
    return (1 + service_scv) / 2 * crowding * service_s
