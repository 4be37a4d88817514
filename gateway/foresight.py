"""Forecasts of requests that arrive together are made together: a batch costs little more than one alone."""

from __future__ import annotations

import asyncio

from router.remembered import Remembered


class Foresight:
    """Makes what a predictor says of a prompt known to its memory, before a request is planned."""

    def __init__(self, predictor: Remembered) -> None:
        self._predictor = predictor
        self._texts: list[str] = []
        self._made: asyncio.Future[None] | None = None

    async def see(self, text: str) -> None:
        """Returns when the forecast is known. It waits for nobody: a batch is what came in at once."""
        if self._predictor.knows(text):
            return
        if self._made is None:
            loop = asyncio.get_running_loop()
            self._made = loop.create_future()
            loop.call_soon(self._make)
        self._texts.append(text)
        await asyncio.shield(self._made)  # it is the others' too

    def _make(self) -> None:
        texts, made = self._texts, self._made
        self._texts, self._made = [], None
        assert made is not None
        try:
            self._predictor.learn(texts)
        except Exception as error:
            made.set_exception(error)
        else:
            made.set_result(None)
