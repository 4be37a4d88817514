"""Requests of one moment are weighed at once, and each comes to what it would alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.together import Together
from router.forecast import Forecast
from router.market import Market
from router.policy import case_of, decide, plan
from router.table import Case
from router.together import Outcome
from router.types import Plan, Query
from tests.router.guided import Oracle, guided

EASY, HARD = "easy", "hard"


class Noting(Oracle):
    """Notes which texts it was asked for at once."""

    def __init__(self) -> None:
        super().__init__((0.5, 0.5, 0.5, 0.5))
        self.by_text = {EASY: (0.97, 0.98, 0.98, 0.98), HARD: (0.02, 0.03, 0.05, 0.97)}
        self.asked: list[list[str]] = []

    def forecast(self, texts: Sequence[str]) -> Forecast:
        self.asked.append([*texts])
        return super().forecast(texts)


def query(text: str) -> Query:
    return Query(({"role": "user", "content": text},))


def case(market: Market, text: str) -> Case:
    found = case_of(query(text), "default", market)
    assert isinstance(found, Case)
    return found


def test_requests_of_one_moment_share_a_batch_and_later_ones_have_their_own() -> None:
    noting = Noting()
    market = guided(noting)

    async def run() -> list[Plan]:
        together = Together()
        found = await asyncio.gather(*(together.weigh(case(market, text)) for text in (EASY, HARD, EASY)))
        found.append(await together.weigh(case(market, HARD)))
        return [decide(each) for each in found]

    planned = asyncio.run(run())
    assert noting.asked == [[EASY, HARD, EASY], [HARD]]
    alone = {text: plan(query(text), "default", market, explained=False) for text in (EASY, HARD)}
    assert planned == [alone[text] for text in (EASY, HARD, EASY, HARD)]
    assert alone[EASY] != alone[HARD]


def test_one_that_is_cancelled_takes_nothing_from_the_others() -> None:
    market = guided(Noting())

    async def run() -> Plan:
        together = Together()
        first, second = (asyncio.create_task(together.weigh(case(market, text))) for text in (EASY, HARD))
        await asyncio.sleep(0)
        first.cancel()
        return decide(await second)

    assert asyncio.run(run()) == plan(query(HARD), "default", market, explained=False)


def test_who_cannot_be_weighed_hears_why_and_the_others_do_not() -> None:
    market = guided(Broken())

    async def run() -> tuple[Plan, str, str]:
        together = Together()
        both = (together.weigh(case(market, text)) for text in (EASY, HARD))
        easy, hard = await asyncio.gather(*both, return_exceptions=True)
        assert isinstance(easy, Outcome)
        with pytest.raises(ValueError, match="broken") as again:
            await together.weigh(case(market, HARD))
        return decide(easy), str(hard), str(again.value)

    easy, first, again = asyncio.run(run())
    assert easy == plan(query(EASY), "default", market, explained=False)
    assert first == again == "broken"


class Broken(Noting):
    def forecast(self, texts: Sequence[str]) -> Forecast:
        if HARD in texts:
            raise ValueError("broken")
        return super().forecast(texts)
