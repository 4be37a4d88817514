"""What one request's reserve and settle cost: microseconds of processor time, here and in Redis.

    python -m benchmarks.ledger
    python -m benchmarks.ledger --requests 50000 --at-once 1 16 256

Every request has a key and a team, with budgets of the day and in total, and limits a minute. "gateway" is
all threads of this process (reading the spool back for the journal too, but the journal takes nothing),
"loop" the event loop's thread alone, "redis" the server's processor time. "wait" is how long the request is
held up until it may spend. Redis is started for the run; without limits there is none on the way.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import redis
import uvloop

from cost_model.usage import Usage
from gateway.accounts import Account, Key, Limits, Team
from gateway.entries import Entry
from gateway.ledger.journal import Numbered, Presence, Standing
from gateway.ledger.ledger import Ledger
from gateway.redis_server import redis_command

WANTED_US = 100.0
"""Of the gateway's processor, under load."""

_LIMITS = Limits(
    usd_total=Decimal(1_000_000),
    usd_per_day=Decimal(100_000),
    requests_per_minute=10**9,
    tokens_per_minute=10**12,
)
_ACCOUNTS = {
    "limited": Account(Key("k1", "k1", "k1", Team("t1", "t1", _LIMITS), _LIMITS)),
    "unlimited": Account(Key("k2", "k2", "k2")),
}
_USAGE = (Usage("direct", "large", 1, 800, 300, cost_usd=Decimal("0.0041")),)


class NoJournal:
    """Takes everything, and keeps nothing but who is there."""

    def __init__(self) -> None:
        self._gateways: dict[str, int] = {}

    def append(self, gateway_id: str, entries: Sequence[Numbered]) -> None:
        self._gateways[gateway_id] = entries[-1].number

    def standing(self, since: datetime) -> Standing:  # noqa: ARG002
        return Standing({}, {id: Presence(0.0, number) for id, number in self._gateways.items()})

    def beat(self, gateway_id: str) -> None:
        self._gateways.setdefault(gateway_id, 0)

    def forget(self, gateway_id: str) -> None:
        self._gateways.pop(gateway_id, None)


async def _request(ledger: Ledger, account: Account, waits_s: list[float]) -> None:
    began_s = time.perf_counter()
    reservation = await ledger.reserve(uuid.uuid4().hex, account, Decimal("0.02"), 4000)
    waits_s.append(time.perf_counter() - began_s)
    entry = Entry(
        id=reservation.id,
        at=reservation.at,
        status="answered",
        billed_usd=Decimal("0.0041"),
        key_id=reservation.record.key_id,
        team_id=reservation.record.team_id,
        lines=_USAGE,
        asked="gradus",
        policy="default",
        route="direct",
        answered="large",
        seconds=1.2,
    )
    ledger.settle(reservation, entry)


async def _measure(ledger: Ledger, account: Account, requests: int, at_once: int, server: redis.Redis) -> str:
    waits_s: list[float] = []

    async def client() -> None:
        for _ in range(requests // at_once):
            await _request(ledger, account, waits_s)

    server_s, began_s, loop_s = _cpu_s(server), time.process_time(), time.thread_time()
    await asyncio.gather(*[client() for _ in range(at_once)])
    loop_s = time.thread_time() - loop_s
    while ledger.numbers().untold or ledger.numbers().unjournaled:
        await asyncio.sleep(0.01)
    spent_s, server_s = time.process_time() - began_s, _cpu_s(server) - server_s
    each_us = 1e6 / len(waits_s)
    p50_us, p99_us = (statistics.quantiles(waits_s, n=100)[at] * 1e6 for at in (49, 98))
    return (
        f"{at_once:>8} {spent_s * each_us:>9.0f} {loop_s * each_us:>9.0f} {server_s * each_us:>9.0f} "
        f"{p50_us:>12.0f} {p99_us:>12.0f}"
    )


def _cpu_s(server: redis.Redis) -> float:
    found = server.info("cpu")
    assert isinstance(found, dict)
    return float(found["used_cpu_sys"]) + float(found["used_cpu_user"])


async def _run(requests: int, at_once: Sequence[int], folder: Path) -> None:
    url = f"unix://{folder}/r.sock"
    with redis.Redis.from_url(url) as server:
        for name, account in _ACCOUNTS.items():
            ledger = Ledger(url, NoJournal(), folder / "spool", uuid.uuid4().hex)
            await ledger.start()
            while ledger.state != "ready":
                await asyncio.sleep(0.05)
            print(f"\n{name}, {requests} requests; microseconds each")
            print(f"{'at once':>8} {'gateway':>9} {'loop':>9} {'redis':>9} {'wait p50':>12} {'wait p99':>12}")
            for count in at_once:
                print(await _measure(ledger, account, requests, count, server))
            await ledger.stop()
    print(f"\nwanted: at most {WANTED_US:.0f} of the gateway under load")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 16, 256])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gradus-bench-") as name:
        folder = Path(name)
        process = subprocess.Popen(redis_command(folder / "r.sock", folder), stdout=subprocess.DEVNULL)
        try:
            while not (folder / "r.sock").exists():
                time.sleep(0.02)
            uvloop.run(_run(options.requests, options.at_once, folder))
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    main()
