"""Waiting for what knows nothing of deadlines, and no longer than the job may."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from workers.engines.stopping import is_over
from workers.errors import EngineFailed
from workers.protocols import Cancellation

_POLL_S = 0.1
"""How late a cancellation is noticed."""

T = TypeVar("T")


def wait_for(call: Callable[[], T], cancellation: Cancellation, what: str) -> T:
    """What ``call`` returns or raises; it is left alone when the job is cancelled or its deadline passes.

    A verifier's server may hang, and the programs that it tests may all be slow: it then ends by its own
    limits, but nobody waits, and what it consumes is on no bill. Raises :class:`workers.errors.EngineFailed`.
    """
    done: Future[T] = Future()
    Thread(target=_settle, args=(done, call), name=what, daemon=True).start()
    while True:
        try:
            return done.result(timeout=_POLL_S)
        except TimeoutError:
            if done.done():  # it raised that itself, or has just come to its end
                return done.result()
            if is_over(cancellation):
                raise EngineFailed(
                    f"{what} had not come to its end by the deadline; what it consumes is not on the bill"
                ) from None


def _settle(done: Future[T], call: Callable[[], T]) -> None:
    try:
        done.set_result(call())
    except BaseException as error:  # or whoever waits would wait for ever
        done.set_exception(error)
