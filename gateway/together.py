"""Requests that arrive together are weighed together: a batch costs little more than one alone."""

from __future__ import annotations

import asyncio

from router.table import Case
from router.together import Outcome, weigh_together


class Together:
    """Weighs cases in batches: whatever came in at once. It waits for nobody."""

    def __init__(self) -> None:
        self._cases: list[Case] = []
        self._weighed: asyncio.Future[list[Outcome | Exception]] | None = None

    async def weigh(self, case: Case) -> Outcome:
        """What :func:`router.together.weigh_together` says of it."""
        if self._weighed is None:
            loop = asyncio.get_running_loop()
            self._weighed = loop.create_future()
            loop.call_soon(self._weigh)
        place, weighed = len(self._cases), self._weighed
        self._cases.append(case)
        found = (await asyncio.shield(weighed))[place]  # it is the others' too
        if isinstance(found, Exception):
            raise found
        return found

    def _weigh(self) -> None:
        cases, weighed = self._cases, self._weighed
        self._cases, self._weighed = [], None
        assert weighed is not None
        try:
            weighed.set_result([*weigh_together(cases)])
        except Exception:  # of one of them; the others are not to hear of it
            weighed.set_result([_alone(case) for case in cases])


def _alone(case: Case) -> Outcome | Exception:
    try:
        return weigh_together([case])[0]
    except Exception as error:
        return error
