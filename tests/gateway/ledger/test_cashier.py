"""Whatever becomes of requests, what is on the books is what is held, and nothing stays reserved."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, cast

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cost_model.budget import usd
from cost_model.usage import Usage
from gateway.accounts import Account, Key, Limits
from gateway.bill import Bill
from gateway.cache.control import control_of
from gateway.caller import Caller
from gateway.dispatch import LastWords
from gateway.errors import BudgetExceeded, UpstreamFailed
from gateway.settling import Cashier
from router.config import Config
from router.market import Market
from router.types import Failure, Outcome
from tests.gateway.ledger.accounts import eventually
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.journals import SqliteJournal
from tests.gateway.ledger.servers import held, running

NAMES = itertools.count()
CAP = 5000

End = Literal["answers", "fails", "is cancelled"]
Word = int | None | Literal["breaks"]
"""What is heard of a job that was given up: picodollars of usage, nothing, or a fault of ours."""


@dataclass(frozen=True)
class Course:
    """What becomes of one request. Amounts are picodollars; a spent ``None`` has an unknown cost."""

    worst: int
    spent: tuple[int | None, ...]
    end: End
    late: tuple[Word, ...]
    pauses: int

    @property
    def billed(self) -> int | None:
        """``None``: it is on no book."""
        costs = [*self.spent, *(None if isinstance(word, str) else word for word in self.late)]
        if self.end != "answers" and not costs:
            return None
        return self.worst if None in costs else sum(cost for cost in costs if cost is not None)


def amounts(worst: int) -> st.SearchStrategy[int]:
    return st.integers(0, worst // 8)  # eight parts at most: nothing costs more than was reserved


@st.composite
def courses(draw: st.DrawFn) -> Course:
    worst = draw(st.integers(8, 2000))
    end: End = draw(st.sampled_from(["answers", "fails", "is cancelled"]))
    late: st.SearchStrategy[Word] = st.none() | amounts(worst) | st.just("breaks")
    return Course(
        worst,
        tuple(draw(st.lists(amounts(worst) | st.none(), max_size=4))),
        end,
        tuple(draw(st.lists(late, max_size=2))),
        draw(st.integers(0, 3)),
    )


class AsGiven:
    """A market in which every line has its price already."""

    def priced(self, lines: Sequence[Usage]) -> list[Usage]:
        return list(lines)


@dataclass
class Request:
    caller: Caller
    most_usd: Decimal | None
    bill: Bill = field(default_factory=lambda: Bill(cast(Market, AsGiven())))
    began_s: float = 0.0
    given_up: list[LastWords] = field(default_factory=list)
    asked_for: str = "gradus"
    policy: str | None = None
    fees: tuple[str, ...] = ()

    def most_tokens(self, config: Config) -> int:
        return 0


def line(cost: int | None) -> Usage:
    return Usage("candidate", "small", 1, 1, 1, cost_usd=None if cost is None else usd(cost))


async def last_word(word: Word) -> Outcome | None:
    await asyncio.sleep(0)
    if word == "breaks":
        raise RuntimeError("a fault of ours")
    if word is None:
        return None
    return Outcome("j", "failed", usage=(line(word),), failure=Failure("cancelled", "it was"))


async def run(cashier: Cashier, request: Request, course: Course) -> None:
    async with cashier.billing(request):
        for cost in course.spent:
            request.bill.add([line(cost)])
        for _ in range(course.pauses):
            await asyncio.sleep(0)
        request.given_up += [asyncio.create_task(last_word(word)) for word in course.late]
        if course.end == "fails":
            raise UpstreamFailed("it does")
        if course.end == "is cancelled":
            raise asyncio.CancelledError


@given(many=st.lists(courses(), min_size=1, max_size=12))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_sum_of_entries_is_what_is_held_and_nothing_stays_reserved(
    opened: Open, redis_url: str, journal: SqliteJournal, many: list[Course]
) -> None:
    name = f"g{next(NAMES)}"
    account = Account(Key(name, name, name, None, Limits(usd_total=usd(CAP), max_concurrent_requests=99)))
    ids = [f"{name}-{index}" for index in range(len(many))]

    async def all_of_them() -> list[BaseException | None]:
        async with opened(name) as ledger:
            cashier = Cashier(ledger, cast(Config, None))
            requests = [
                Request(Caller(id, account, control_of(())), usd(course.worst))
                for id, course in zip(ids, many, strict=True)
            ]
            runs = [run(cashier, each, course) for each, course in zip(requests, many, strict=True)]
            ended: list[Any] = await asyncio.gather(*runs, return_exceptions=True)
            await cashier.stop()
            await eventually(lambda: not ledger.numbers().untold and not ledger.numbers().unjournaled)
            assert ledger.numbers().open == ledger.numbers().overruns == 0
            return ended

    ended = asyncio.run(all_of_them())
    let_in = {
        id: course
        for id, course, error in zip(ids, many, ended, strict=True)
        if not isinstance(error, BudgetExceeded)
    }
    assert let_in or all(course.worst > CAP for course in many)
    expected = {id: course.billed for id, course in let_in.items() if course.billed is not None}
    found = {id: billed for id, (billed, _) in journal.entries().items() if id in ids}
    with redis.Redis.from_url(redis_url) as client:
        assert held(client).get(f"key:{name}", 0) == sum(found.values()) <= CAP
        assert running(client).get(f"key:{name}", 0) == 0
    assert found == expected


def test_an_estimate_of_ours_takes_nobody_over_what_was_reserved(
    opened: Open, journal: SqliteJournal
) -> None:
    async def estimated() -> None:
        async with opened() as ledger:
            cashier = Cashier(ledger, cast(Config, None))
            account = Account(Key("k", "k", "k", None, Limits(usd_total=usd(CAP))))
            request = Request(Caller("a", account, control_of(())), usd(CAP))
            async with cashier.billing(request):
                request.bill.add([line(2 * CAP)])
                request.bill.is_estimated = True
            await eventually(lambda: not ledger.numbers().unjournaled)

    asyncio.run(estimated())
    assert journal.entries() == {"a": (CAP, "answered")}


def test_who_gives_up_waiting_for_late_settlements_ends_none_of_them(opened: Open) -> None:
    async def given_up() -> None:
        async with opened() as ledger:
            cashier = Cashier(ledger, cast(Config, None))
            account = Account(None, Limits(usd_total=Decimal(1)))
            request = Request(Caller("late", account, control_of(())), usd(5))
            said: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()

            async def last_words() -> Outcome | None:
                return await said

            async def fail() -> None:
                async with cashier.billing(request):
                    request.given_up.append(asyncio.create_task(last_words()))
                    raise UpstreamFailed("it does")

            with pytest.raises(UpstreamFailed):
                await fail()
            stopping = asyncio.create_task(cashier.stop())
            await asyncio.sleep(0)
            stopping.cancel()
            await asyncio.wait([stopping])
            said.set_result(Outcome("j", "failed", usage=(line(3),), failure=Failure("cancelled", "it was")))
            await cashier.stop()
            assert ledger.numbers().open == 0

    asyncio.run(given_up())
