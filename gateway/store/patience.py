"""Connections to PostgreSQL that do not wait for ever, also where the server was stopped in mid-sentence."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import Any, Final, TypeVar

import psycopg

RV = TypeVar("RV")
_LOOK_EVERY_S: Final = 0.5


class PatientConnection(psycopg.Connection[Any]):
    """Closes itself when an answer takes longer than ``patience_s``; libpq's timeouts see dead hosts only."""

    patience_s: float = math.inf

    def wait(
        self,
        gen: Generator[Any, Any, RV],
        interval: float = _LOOK_EVERY_S,
        timeout: float | None = None,
    ) -> RV:
        more: dict[str, Any] = {} if timeout is None else {"timeout": timeout}  # which older ones do not know
        return super().wait(self._until(gen, time.monotonic() + self.patience_s), interval, **more)

    def _until(self, gen: Generator[Any, Any, RV], give_up_s: float) -> Generator[Any, Any, RV]:
        try:
            wants = next(gen)
            while True:
                ready = yield wants
                if not ready and time.monotonic() > give_up_s:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {self.patience_s:g} s")
                wants = gen.send(ready)
        except StopIteration as end:
            result: RV = end.value
            return result
