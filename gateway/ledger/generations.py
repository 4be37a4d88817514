"""How the counters in Redis come to be, and come to be again: from the journal and what every gateway holds.

A generation of counters is valid as long as Redis runs and remembers its name. After a flush, a restart (with
an old snapshot too: the name begins with the run id) or a failover none is. Then the first gateway to notice
begins a new one; all announce what they have reserved, and settled without the journal knowing; one adds the
journal's sums to that. Until then no budget is granted from, and what was settled meanwhile follows after.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from cost_model.budget import MAX_PICODOLLARS, picodollars, windows
from gateway.ledger.channel import Channel
from gateway.ledger.connection import ROOT
from gateway.ledger.journal import Journal, Numbered, Presence, Standing
from gateway.ledger.operations import cancelling
from gateway.ledger.spool import Record, Spool, decode, encode, left_in, scopes_of
from gateway.ledger.terms import Reservation
from gateway.ledger.writer import ALIVE_S, Writer

log = logging.getLogger(__name__)

POLL_S = 0.05
RETRY_S = 0.5
MOST_ANNOUNCED = 5_000  # entries; with more the journal is waited for
LOADED_AT_ONCE = 500
CLOCKS_DIFFER = timedelta(hours=1)
WINDOW_TTL_S = 40 * 24 * 3600

Booked = tuple[int, int, tuple[str, ...], tuple[str, ...]]
"""A settled entry: its number, what was billed, where it counts."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a gateway held when it had settled ``number`` entries; ``at`` is what its clock said (ISO)."""

    number: int
    open: tuple[str, ...]
    unjournaled: tuple[Booked, ...]
    at: str


class Generations:
    """``open`` are the reservations of this process by id."""

    def __init__(
        self,
        journal: Journal,
        writer: Writer,
        spool: Spool,
        executor: Executor,
        open: Mapping[str, Reservation],
        now: Callable[[], datetime],
    ) -> None:
        self.rebuilds = 0
        self._journal, self._writer, self._spool, self._executor = journal, writer, spool, executor
        self._open, self._now = open, now
        self._member = ""
        self._announced = ""

    async def join(self, channel: Channel, unusable: str) -> str:
        """Become part of a generation; raises what redis-py raises."""
        try:
            return await self._join(channel, unusable)
        finally:
            # What was announced to a rebuild that we do not see the end of must be announced anew.
            self._announced = ""
            self._writer.hold = None
            self._writer.wake()

    async def _join(self, channel: Channel, unusable: str) -> str:
        while True:
            new = f"{channel.redis.run_id}.{uuid.uuid4().hex[:12]}"
            step, name = await channel.redis.script(
                "generation", "begin", channel.redis.run_id, unusable, new
            )
            generation: str = name.decode()
            if step == b"rebuild":
                await self._rebuild(channel, generation)
            elif generation in (self._member, self._announced) or await self._is_new(channel, generation):
                if generation == self._member:
                    await self._give_back_unknown(channel)
                self._member = generation
                return generation
            elif await self._writer.beat():
                unusable = generation  # built without us: it does not know what we hold
            else:
                await asyncio.sleep(RETRY_S)

    async def _is_new(self, channel: Channel, generation: str) -> bool:
        if self._member or self._spool.number:
            return False
        return bool(await channel.redis.script("generation", "join", generation, channel.gateway_id))

    async def _rebuild(self, channel: Channel, generation: str) -> None:
        if self._announced != generation and not await self._announce(channel, generation):
            await asyncio.sleep(RETRY_S)
        elif not await self._build(channel, generation):
            await asyncio.sleep(POLL_S)

    async def _announce(self, channel: Channel, generation: str) -> bool:
        if self._writer.backlog > MOST_ANNOUNCED or not await self._writer.beat():
            return False
        number, held = self._spool.number, tuple([each.text for each in self._open.values()])
        channel.overflowed = False
        self._writer.hold = number
        settled = await self._writer.unjournaled()
        booked = tuple([_booked(each) for each in settled])
        text = json.dumps([number, held, booked, self._now().isoformat()])
        if await channel.redis.script("generation", "announce", generation, channel.gateway_id, text):
            self._announced = generation
        return True

    async def _build(self, channel: Channel, generation: str) -> bool:
        """Load the counters if it is our turn and all have announced; whether that was done."""
        me, base = channel.gateway_id, f"{ROOT}:{generation}:"
        if not await channel.redis.script("generation", "lead", generation, me):
            return False
        version = await channel.redis.call("GET", f"{base}version")
        told = await channel.redis.call("HGETALL", f"{base}announced")
        announced = {
            gateway.decode(): Announcement(*json.loads(text))
            for gateway, text in zip(told[::2], told[1::2], strict=True)
        }
        clocks = [self._now(), *(datetime.fromisoformat(each.at) for each in announced.values())]
        since = min(clocks) - CLOCKS_DIFFER
        try:
            standing = await asyncio.get_running_loop().run_in_executor(
                self._executor, partial(self._journal.standing, since)
            )
        except Exception as error:
            log.warning("the ledger's counters need the journal, which cannot be read (%r)", error)
            await asyncio.sleep(RETRY_S)
            return False
        silent = {id: each for id, each in standing.gateways.items() if id not in announced}
        if any(map(self._may_speak, silent.values())):
            return False
        announced |= await self._of_silent(silent)
        for name, fields in hashes(standing, announced, since).items():
            flat = [text for pair in fields.items() for text in pair]
            for start in range(0, len(flat), 2 * LOADED_AT_ONCE):
                some = flat[start : start + 2 * LOADED_AT_ONCE]
                if not await channel.redis.script("generation", "load", generation, me, name, *some):
                    return False
            if name[0].isdigit():  # a day or a month
                await channel.redis.call("EXPIRE", base + name, WINDOW_TTL_S)
        done = await channel.redis.script("generation", "finish", generation, me, (version or b"").decode())
        self.rebuilds += bool(done)
        return bool(done)

    def _may_speak(self, gateway: Presence) -> bool:
        """Whether it may be alive: it beat lately, or could not because the journal was away until now."""
        if gateway.age_s is None:
            return False
        return gateway.age_s < ALIVE_S or self._writer.up_s < ALIVE_S

    async def _of_silent(self, gateways: Mapping[str, Presence]) -> dict[str, Announcement]:
        """What files on this machine say of those that do not speak: they stand still, or died just now."""
        at, loop, found = self._now().isoformat(), asyncio.get_running_loop(), {}
        for id, known in gateways.items():
            try:
                left = await loop.run_in_executor(self._executor, left_in, self._spool.path_of(id))
            except OSError:
                continue  # it is of another machine
            open = tuple([encode(each) for each in left.open])
            booked = tuple([_booked(each.numbered) for each in left.told])
            found[id] = Announcement(max(left.number, known.journaled), open, booked, at)
        return found

    async def _give_back_unknown(self, channel: Channel) -> None:
        """What Redis holds for us and we do not: granted, and the answer lost with the connection."""
        found = await channel.redis.call("HGETALL", f"{ROOT}:{self._member}:open:{channel.gateway_id}")
        asked = channel.asked()
        for id, text in zip(found[::2], found[1::2], strict=True):
            if id.decode() not in self._open and id.decode() not in asked:
                record = decode(text)
                channel.tell(cancelling(record, record.where))


def hashes(
    standing: Standing, announced: Mapping[str, Announcement], since: datetime
) -> dict[str, dict[str, str]]:
    """Every hash of a generation, by name: counters, running requests, open reservations, numbers."""
    held: defaultdict[tuple[str, str], int] = defaultdict(int, standing.spent)
    running: defaultdict[str, int] = defaultdict(int)
    numbers = {gateway: each.journaled for gateway, each in standing.gateways.items()}
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for gateway, said in announced.items():
        known = standing.gateways.get(gateway)
        if known is None or known.journaled > said.number:
            continue  # it ended since, and who found its spool told the journal more than it could announce
        numbers[gateway] = said.number
        for number, billed, scopes, names in said.unjournaled:
            if number > known.journaled:
                _add(held, billed, scopes, names)
        for text in said.open:
            record: Record = decode(text)
            found[f"open:{gateway}"][record.id] = text
            scopes, names = record.where
            _add(held, record.reserved or 0, scopes, names)
            for scope in scopes:
                running[scope] += 1
    found["numbers"] = {gateway: str(number) for gateway, number in numbers.items()}
    found["numbers"]["since"] = windows(since)[-1]  # what is earlier was not counted (batch.lua)
    found["running"] = {scope: str(count) for scope, count in running.items()}
    for (scope, name), amount in held.items():
        found[name][scope] = str(amount) if amount <= MAX_PICODOLLARS else "full"  # as batch.lua says it
        found["numbers"][f"window:{name}"] = "1"  # so that its loss is noticed (batch.lua)
    return {name: fields for name, fields in found.items() if fields}


def _booked(numbered: Numbered) -> Booked:
    entry = numbered.entry
    billed, scopes = picodollars(entry.billed_usd), scopes_of(entry.key_id, entry.team_id)
    return numbered.number, billed, scopes, windows(entry.at)


def _add(
    held: defaultdict[tuple[str, str], int], amount: int, scopes: tuple[str, ...], names: tuple[str, ...]
) -> None:
    for name in names:
        for scope in scopes:
            held[scope, name] += amount


def clock() -> datetime:
    return datetime.now(UTC)
