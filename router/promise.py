"""What a certified policy promises: a mean accuracy, or a share of the large model's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from router.guarantees import Floats, betting, fixed_sequence, hoeffding_bentkus

ROUTING_SHARE = 0.9
"""Single actions are few, and those that are safe are so by far: little of delta certifies them."""

_MOST_UNITS = 1_000_000
_PRECISION = 1e-4


@dataclass(frozen=True, slots=True)
class Promise:
    """Mean accuracy is at least ``target``; where ``large`` [M] is given, ``target`` times its mean."""

    target: float
    large: Floats | None = None

    def p_values(self, right: Floats, delta: float) -> Floats:
        """P-values [G] of "the promise is broken" for what G rules got right [G, M]."""
        if self.large is None:
            return hoeffding_bentkus(1 - right, 1 - self.target)
        return betting(self.target * self.large - right, delta)

    def certified(self, right: Floats, rules: int, delta: float) -> set[int]:
        """Which of G rules [G, M] keep it, all of them together with probability 1 - ``delta``.

        The first ``rules`` are a sequence, safest first, which gets :data:`ROUTING_SHARE` of delta; the
        others, in no order, are tested by Holm's method with the rest (Bonferroni). So any that is certified
        may be chosen.
        """
        routing = ROUTING_SHARE * delta
        last = fixed_sequence(self.p_values(right[:rules], routing), routing)
        alone = delta - routing
        others = rules + np.flatnonzero(holm(self.p_values(right[rules:], alone), alone))
        return {*range(0 if last is None else last + 1), *others.tolist()}

    def kept(self, right: Floats) -> bool:
        """Whether these units [M] keep it, sure or not."""
        return bool(right.mean() >= self.target * (1.0 if self.large is None else self.large.mean()))

    def reach(self, right: Floats, delta: float) -> float:
        """The largest target that one rule with these units [M] could be certified for; 0: none."""

        def holds(target: float) -> bool:
            return bool(replace(self, target=target).p_values(right[None], delta)[0] <= delta)

        return _last(holds, 0.0, 1.0)

    def units_needed(self, right: Floats, delta: float) -> int | None:
        """About how many units like these [M] would certify one rule; ``None``: none, or over a million."""
        count = float(len(right))
        while self.kept(right) and count <= _MOST_UNITS:
            more = int(np.ceil(count))
            large = None if self.large is None else np.resize(self.large, more)
            if replace(self, large=large).p_values(np.resize(right, more)[None], delta)[0] <= delta:
                return more
            count *= 1.1
        return None


def holm(p_values: Floats, delta: float) -> NDArray[np.bool_]:
    """Which of G hypotheses [G] fall, with P(a true one falls) <= delta (Holm 1979); no order is needed."""
    order = np.argsort(p_values, kind="stable")
    passes = p_values[order] <= delta / np.arange(len(order), 0, -1)
    fallen = np.zeros(len(order), dtype=np.bool_)
    fallen[order] = np.logical_and.accumulate(passes)
    return fallen


def _last(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The end of where ``holds`` between ``low``, where it does, and ``high``, by bisection."""
    while high - low > _PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
