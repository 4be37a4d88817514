"""A gateway process that spends.

    python -m tests.gateway.ledger.spender REDIS_URL FOLDER NAME TASK CAP_USD COUNT

``hold`` asks for so many requests of 1 USD at once, says how many it was granted, and settles them at 0.25
USD when its input ends. ``work`` has so many clients that ask and settle one request after the other until
its input ends, and says what it spent, in picodollars.
"""

from __future__ import annotations

import asyncio
import random
import sys
import uuid
from decimal import Decimal
from pathlib import Path

from cost_model.budget import picodollars, usd
from gateway.accounts import Account, Limits
from gateway.entries import Entry
from gateway.errors import BudgetExceeded, LedgerUnavailable
from gateway.ledger.ledger import Ledger
from gateway.ledger.terms import Reservation
from tests.gateway.ledger.accounts import account
from tests.gateway.ledger.journals import SqliteJournal


def _say(text: object) -> None:
    print(text, flush=True)


def _settle(ledger: Ledger, one: Reservation, billed: Decimal) -> None:
    ledger.settle(one, Entry(one.id, one.at, "answered", billed))


async def _ended() -> None:
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _hold(ledger: Ledger, who: Account, count: int) -> None:
    asked = [ledger.reserve(uuid.uuid4().hex, who, Decimal(1), 0) for _ in range(count)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    granted = [each for each in answers if isinstance(each, Reservation)]
    assert all(isinstance(each, Reservation | BudgetExceeded) for each in answers), answers
    _say(len(granted))
    await _ended()
    for one in granted:
        _settle(ledger, one, Decimal("0.25"))


async def _work(ledger: Ledger, who: Account, count: int) -> None:
    spent = 0
    ended = asyncio.create_task(_ended())

    async def client() -> None:
        nonlocal spent
        while not ended.done():
            try:
                one = await ledger.reserve(uuid.uuid4().hex, who, Decimal("0.01"), 0)
            except (BudgetExceeded, LedgerUnavailable):
                await asyncio.sleep(0.01)
                continue
            await asyncio.sleep(random.random() * 0.02)
            if random.random() < 0.1:
                ledger.cancel(one)
            else:
                billed = random.randint(0, picodollars(Decimal("0.01")))
                _settle(ledger, one, usd(billed))
                spent += billed

    _say("at work")
    await asyncio.gather(*[client() for _ in range(count)])
    _say(spent)


async def main(url: str, folder: Path, name: str, task: str, cap_usd: str, count: int) -> None:
    ledger = Ledger(url, SqliteJournal(folder / "journal.db"), folder / "spool", name, patience_s=60)
    await ledger.start()
    who = account(Limits(usd_total=Decimal(cap_usd), max_concurrent_requests=1000))
    await {"hold": _hold, "work": _work}[task](ledger, who, count)
    await ledger.stop()
    _say("ended")


if __name__ == "__main__":
    _, url, folder, name, task, cap_usd, count = sys.argv
    asyncio.run(main(url, Path(folder), name, task, cap_usd, int(count)))
