"""When a vote has seen enough: pure rules over how many samples stand behind the first and the second answer.

Agreement is by class of answers, as the task compares them. A turn without an answer agrees with nothing.
"""

from __future__ import annotations

from collections.abc import Sequence


def cannot_lose(first: float, second: float, to_come: float) -> bool:
    """Whether the leader stays ahead even if all weight that is ``to_come`` goes to the runner-up."""
    return first > second + to_come


def stays_ahead(first: int, second: int) -> float:
    """P(the leader of an endless vote is the leader of this one), by its two most frequent answers.

    The posterior P(p > 1/2) of p ~ Beta(first + 1, second + 1), as in Adaptive-Consistency (Aggarwal et al.
    2023, section 3.2); for whole numbers it is a sum of binomial coefficients, and exact. ``second`` is at
    most ``first``; each coefficient is made of the one before it.
    """
    tosses = first + second + 1
    ways = above = 1  # for no heads at all; by symmetry the leader's rest is what the second can toss
    for heads in range(1, second + 1):
        ways = ways * (tosses - heads + 1) // heads
        above += ways
    return ((1 << tosses) - above) / (1 << tosses)


def agrees(window: Sequence[int | None]) -> bool:
    """Whether all samples of a window have an answer, and the same (ESC, Li et al. 2024)."""
    return None not in window and len(set(window)) == 1


def whole_windows(samples: int, window: int) -> list[slice]:
    """The windows that ``samples`` so far have filled."""
    return [slice(start, start + window) for start in range(0, samples - window + 1, window)]
