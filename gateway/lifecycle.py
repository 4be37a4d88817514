"""What a gateway process is made of, when its parts start and stop, and how a configuration is read anew."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.api.state import GatewayState
from gateway.auth import Auth, limits_of_everybody
from gateway.cache.answers import AnswerCache
from gateway.dispatch import Dispatcher
from gateway.embeddings import load_embedder
from gateway.ledger.ledger import Ledger
from gateway.passthrough import Passthrough
from gateway.records import Records
from gateway.reloading import Reloading
from gateway.running import Runner
from gateway.service import Service
from gateway.settings import Settings
from gateway.settling import Cashier
from gateway.store.database import Database
from gateway.store.journal import StoredJournal
from gateway.store.opening import open_database
from gateway.up import state_home
from gateway.upstreams import Upstreams
from router.config import Config
from router.errors import ConfigInvalid
from router.opening import Opened, open_configured
from router.remembered import remembering
from router.rules import warm_up

log = logging.getLogger(__name__)

FIXED = ("redis_url", "host", "port", "auth", "read_timeout_s", "shutdown_grace_s")
"""Of the section ``server``: what a running process cannot change."""


def open_market(config: Config) -> Opened:
    """What the configuration's files say, checked. Raises :class:`router.errors.ArtifactInvalid`."""
    opened = open_configured(config, load_embedder)
    warm_up(config.policies.values())
    for warning in opened.warnings:
        log.warning("%s", warning)
    return opened


def _check_options(redis_url: str) -> None:
    """Whether redis-py has the options behind its "?". Raises :class:`ConfigInvalid`."""
    try:
        pool: Any = Redis.from_url(redis_url).connection_pool
        pool.make_connection()  # which is not opened
    except (TypeError, ValueError, RedisError) as error:
        said = str(error).removeprefix("AbstractConnection.__init__() ")
        raise ConfigInvalid(said, source="server.redis_url") from error


@dataclass(slots=True)
class Process:
    """The parts that live as long as the process, between :meth:`start` and :meth:`stop`."""

    settings: Settings
    database: Database
    auth: Auth
    dispatcher: Dispatcher
    ledger: Ledger
    records: Records

    @classmethod
    def of(cls, settings: Settings) -> Process:
        """Connects to nothing.

        Raises :class:`ConfigInvalid`, :class:`gateway.store.errors.DatabaseInvalid`,
        :class:`gateway.up.CannotStart`, or :class:`OSError` where records cannot be written.
        """
        config, gateway_id = settings.config, uuid.uuid4().hex
        _check_options(config.server.redis_url)
        database = open_database(config.database)
        records = Records(config.records)
        records.open()
        return cls(
            settings,
            database,
            Auth(config, settings.environ, database),
            Dispatcher(config.server.redis_url, gateway_id, lost_after_s=settings.lost_after_s),
            Ledger(config.server.redis_url, StoredJournal(database), state_home() / "spool", gateway_id),
            records,
        )

    async def start(self) -> None:
        await self.auth.start()
        await self.dispatcher.start()
        await self.ledger.start()

    async def stop(self) -> None:
        await self.dispatcher.stop()
        await self.ledger.stop()
        await self.auth.stop()
        self.records.close()
        self.database.close()

    async def serve(self, config: Config, opened: Opened) -> GatewayState:
        """What answers requests as this configuration says. If it fails, nothing is left open."""
        async with AsyncExitStack() as half_way:
            upstreams = Upstreams(config, self.settings.environ)
            half_way.push_async_callback(upstreams.close)
            cache = AnswerCache(config)
            await cache.start()
            half_way.push_async_callback(cache.stop)
            cashier = Cashier(self.ledger, config)
            runner = Runner(opened.market, self.dispatcher, upstreams)
            state = GatewayState(
                config=config,
                service=Service(remembering(opened.market), runner, cashier, cache, opened.drift),
                passthrough=Passthrough(opened.market, upstreams, cashier),
                dispatcher=self.dispatcher,
                upstreams=upstreams,
                cache=cache,
                cashier=cashier,
                ledger=self.ledger,
                started_unix_s=int(time.time()),
                warnings=opened.warnings,
                records=self.records,
                drift=opened.drift,
            )
            half_way.pop_all()  # from here on GatewayState.close does it
        return state


@asynccontextmanager
async def running(app: FastAPI, process: Process, opened: Opened) -> AsyncIterator[None]:
    """The application, between its start and its end. ``app.state.reload`` reads the configuration anew."""
    settings = process.settings
    await process.start()
    app.state.gateway = await process.serve(settings.config, opened)
    app.state.auth, app.state.database = process.auth, process.database
    retired: set[asyncio.Task[None]] = set()

    async def read() -> list[str]:
        """Serve what the configuration says now; requests that are under way end as they began."""
        config = await asyncio.to_thread(settings.read_again)
        _refuse_fixed(settings.config, config)
        fresh = await asyncio.to_thread(open_market, config)
        state = await process.serve(config, fresh)
        task = asyncio.create_task(_retire(app.state.gateway))
        retired.add(task)
        task.add_done_callback(retired.discard)
        app.state.gateway = state
        await process.auth.limit_everybody(limits_of_everybody(config))
        return list(fresh.warnings)

    reloading = Reloading(process.database, read)
    reloading.start()
    app.state.reload = reloading.reload
    try:
        yield
    finally:
        await reloading.stop()
        for task in retired:
            task.cancel()
        await asyncio.gather(*retired, return_exceptions=True)
        await app.state.gateway.close()
        await process.stop()


async def _retire(old: GatewayState) -> None:
    """Close what served the configuration before, once its last request has met its deadline."""
    try:
        await asyncio.sleep(max(policy.deadline_s for policy in old.config.policies.values()))
    finally:
        await old.close()


def _refuse_fixed(now: Config, then: Config) -> None:
    changed = [f"server.{name}" for name in FIXED if _of(now, name) != _of(then, name)]
    fixed = ("database", "records")
    changed += [name for name in fixed if getattr(now, name) != getattr(then, name)]
    if changed:
        raise ConfigInvalid(
            f"{', '.join(changed)} cannot be changed while the gateway runs; start it again", source="reload"
        )


def _of(config: Config, name: str) -> Any:
    return getattr(config.server, name)
