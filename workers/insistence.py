"""Trying again while Redis is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import redis

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0

T = TypeVar("T")


def insist(attempt: Callable[[], T], give_up_unix_s: float) -> T:
    """What ``attempt`` returns, tried with growing pauses until it does not fail for Redis.

    An attempt that failed may have had its effect all the same. Raises the last :class:`redis.RedisError`
    once it is too late for another attempt.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return attempt()
        except redis.RedisError:
            if time.time() + pause_s > give_up_unix_s:
                raise
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
