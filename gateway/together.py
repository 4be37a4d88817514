"""Requests that arrive together are weighed together: a batch costs little more than one alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from router.table import Case
from router.together import Outcome, weigh_together


class Together:
    """Weighs cases in batches: whatever came in at once. It waits for nobody."""

    def __init__(self) -> None:
        self._cases: list[Case] = []
        self._waiting: list[asyncio.Future[Outcome]] = []

    async def weigh(self, case: Case) -> Outcome:
        """What :func:`router.together.weigh_together` says of it."""
        loop = asyncio.get_running_loop()
        if not self._cases:
            loop.call_soon(self._weigh)
        weighed: asyncio.Future[Outcome] = loop.create_future()
        self._cases.append(case)
        self._waiting.append(weighed)
        return await weighed

    def _weigh(self) -> None:
        cases, waiting = self._cases, self._waiting
        self._cases, self._waiting = [], []
        found: Sequence[Outcome | Exception]
        try:
            found = weigh_together(cases)
        except Exception:  # of one of them; the others are not to hear of it
            found = [_alone(case) for case in cases]
        for weighed, each in zip(waiting, found, strict=True):
            if weighed.done():
                continue  # its client is gone
            if isinstance(each, Exception):
                weighed.set_exception(each)
            else:
                weighed.set_result(each)


def _alone(case: Case) -> Outcome | Exception:
    try:
        return weigh_together([case])[0]
    except Exception as error:
        return error
