"""What killed gateways left behind: what they settled is told, what they had open is billed as lost."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from pathlib import Path

from cost_model.budget import picodollars
from gateway.ledger.channel import Channel
from gateway.ledger.journal import Journal, Numbered
from gateway.ledger.operations import Tell, settling
from gateway.ledger.spool import DeadSpool, Left, Record, Settled, dead_spools, lost

log = logging.getLogger(__name__)

SWEEP_S = 3.0
POLL_S = 0.1
MOST_AT_ONCE = 500
LOST = "its gateway died before it could tell what this came to"


class Sweeper:
    """Looks for spools whose process is gone, again and again. What fails is tried again as a whole."""

    def __init__(self, journal: Journal, folder: Path, channel: Channel, executor: Executor) -> None:
        self.lost = 0
        self._journal, self._folder = journal, folder
        self._channel, self._executor = channel, executor

    async def run(self) -> None:
        async with asyncio.TaskGroup() as sweeps:
            while True:
                try:
                    for spool in dead_spools(self._folder):
                        sweeps.create_task(self._sweep(spool))
                except OSError as error:
                    log.error("%s cannot be looked through: %s", self._folder, error)
                await asyncio.sleep(SWEEP_S)

    async def _sweep(self, spool: DeadSpool) -> None:
        swept = False
        try:
            left = await asyncio.get_running_loop().run_in_executor(self._executor, self._to_journal, spool)
            await self._to_redis(spool.gateway_id, left)
            swept = True
        except Exception as error:
            log.warning("%s is left for later: %r", spool.path, error)
        finally:
            spool.close(delete=swept)

    def _to_journal(self, spool: DeadSpool) -> Left:
        """Bill what is open, and write down all; what there is to tell then."""
        told, open, number = spool.read()
        died = [
            Settled(Numbered(number + 1 + i, lost(each, LOST)), each.reserved or 0)
            for i, each in enumerate(open)
        ]
        for each in died:
            log.warning("%s died; request %s is billed what was reserved", spool.path, each.numbered.entry.id)
        spool.append(died)
        self.lost += len(died)
        told += died
        for start in range(0, len(told), MOST_AT_ONCE):
            some = [each.numbered for each in told[start : start + MOST_AT_ONCE]]
            self._journal.append(spool.gateway_id, some)
        self._journal.forget(spool.gateway_id)
        return Left(told, [], number + len(died))

    async def _to_redis(self, gateway_id: str, left: Left) -> None:
        ops = [_telling(each) for each in left.told]
        if not await self._channel.tell_for(gateway_id, ops, left.number):
            generation = self._channel.generation
            while self._channel.generation == generation:  # until all is counted anew, from the journal
                await asyncio.sleep(POLL_S)


def _telling(settled: Settled) -> Tell:
    number, entry = settled.numbered.number, settled.numbered.entry
    record = Record(entry.id, entry.at.isoformat(), settled.reserved, entry.key_id, entry.team_id)
    billed = picodollars(entry.billed_usd)
    return Tell(settling(number, record, record.where, billed, billed - settled.reserved), number)
