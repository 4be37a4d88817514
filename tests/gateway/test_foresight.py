"""What requests of one moment want forecast is forecast at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.foresight import Foresight
from router.forecast import Forecast
from router.remembered import Remembered
from tests.router.test_remembered import Forecasts


def test_requests_of_one_moment_share_a_batch_and_later_ones_have_their_own() -> None:
    inner = Forecasts()

    async def run() -> None:
        foresight = Foresight(Remembered(inner))
        await asyncio.gather(*(foresight.see(text) for text in ("a", "bb", "a")))
        await foresight.see("bb")
        await foresight.see("ccc")

    asyncio.run(run())
    assert inner.asked == [["a", "bb"], ["ccc"]]


def test_one_that_is_cancelled_takes_nothing_from_the_others() -> None:
    remembered = Remembered(Forecasts())

    async def run() -> None:
        foresight = Foresight(remembered)
        first, second = (asyncio.create_task(foresight.see(text)) for text in ("a", "bb"))
        await asyncio.sleep(0)
        first.cancel()
        await second

    asyncio.run(run())
    assert remembered.knows("bb")


def test_all_of_a_batch_hear_why_it_failed_and_the_next_is_made_anew() -> None:
    async def run() -> None:
        foresight = Foresight(Remembered(Broken()))
        failed = await asyncio.gather(foresight.see("a"), foresight.see("bb"), return_exceptions=True)
        assert [str(each) for each in failed] == ["broken", "broken"]
        with pytest.raises(ValueError, match="broken"):
            await foresight.see("a")

    asyncio.run(run())


class Broken(Forecasts):
    def forecast(self, texts: Sequence[str]) -> Forecast:
        raise ValueError("broken")
