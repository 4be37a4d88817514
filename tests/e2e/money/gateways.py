"""Gateway processes that share a Redis, a database and a folder of spools, and what is on their books."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from sqlalchemy import select

from cost_model.budget import picodollars
from gateway.store.database import Database
from gateway.store.models import EntryRow, LineRow
from tests.e2e.money.configured import CONFIG
from tests.e2e.money.upstream import Upstream
from tests.e2e.product import free_port
from tests.gateway.ledger.servers import OwnRedis, held, running
from tests.workers.engines.openai_server import until

PATIENCE_S = 30.0
"""For processes: machines may be busy."""
ADMIN = "the-admin-of-the-tests"


@cache
def http() -> httpx.Client:
    """One for all: to make one takes longer than to ask."""
    return httpx.Client(verify=False, limits=httpx.Limits(max_keepalive_connections=0), timeout=PATIENCE_S)


@dataclass
class Gateway:
    """One ``gradus serve``."""

    port: int
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, **more: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gateway", "serve", "--port", str(self.port)],
                env={**os.environ, **self.environment, **more},
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        until(lambda: self.is_up, PATIENCE_S)

    @property
    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return http().get(f"{self.url}/healthz").is_success
        except httpx.TransportError:
            return False

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.ended()

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE_S)

    def ready(self) -> httpx.Response:
        return http().get(f"{self.url}/readyz")

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {ADMIN}"}
        answer = http().request(method, f"{self.url}/v1/gradus/admin/{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()


@dataclass(frozen=True, slots=True)
class MadeKey:
    id: str
    secret: str

    @property
    def scope(self) -> str:
        return f"key:{self.id}"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}


@dataclass
class Fleet:
    """``gateways`` on one machine."""

    folder: Path
    redis: OwnRedis
    upstream: Upstream
    count: int
    gateways: list[Gateway] = field(default_factory=list)

    def start(self, **more: str) -> None:
        config = self.folder / "gradus.yaml"
        config.write_text(CONFIG.format(upstream=self.upstream.url))
        environment = {
            "GRADUS_CONFIG": str(config),
            "GRADUS_HOME": str(self.folder),
            "GRADUS_REDIS_URL": self.redis.url,
            "GRADUS_ADMIN_KEY": ADMIN,
            "PYTHONUNBUFFERED": "1",
            **more,
        }
        self.database = Database(f"sqlite:///{self.folder}/gradus.db")
        for index in range(self.count):
            gateway = Gateway(free_port(), environment, self.folder / f"gateway-{index}.log")
            gateway.start()
            self.gateways.append(gateway)
        for gateway in self.gateways:
            gateway.wait()

    def stop(self) -> None:
        for gateway in self.gateways:
            if gateway.runs:
                gateway.kill()
        self.database.close()

    def key(self, usd_total: Decimal | None = None, **fields: Any) -> MadeKey:
        """A new key that all gateways know of."""
        limits = {} if usd_total is None else {"usd_total": str(usd_total)}
        body = {"name": os.urandom(4).hex(), "limits": limits, **fields}
        made = self.gateways[0].admin("POST", "keys", body)
        key = MadeKey(made["id"], made["secret"])
        for gateway in self.gateways:
            if gateway.runs:
                until(lambda url=gateway.url: _knows(url, key), PATIENCE_S)  # type: ignore[misc]
        return key

    def all_up(self) -> None:
        """Start again what a test stopped."""
        stopped = [each for each in self.gateways if not each.runs]
        for gateway in stopped:
            gateway.start()
        for gateway in stopped:
            gateway.wait()

    def entries(self, key: MadeKey) -> list[EntryRow]:
        with self.database.read() as session:
            return list(session.scalars(select(EntryRow).where(EntryRow.key_id == key.id)))

    @cached_property
    def shared_key(self) -> MadeKey:
        """Of tests that need no cap of their own: it has one, and it is far."""
        return self.key(Decimal(100))

    def newest(self, key: MadeKey) -> EntryRow:
        return max(self.entries(key), key=lambda each: each.at)

    def lines(self, entry: EntryRow) -> list[LineRow]:
        with self.database.read() as session:
            return list(session.scalars(select(LineRow).where(LineRow.entry_id == entry.id)))

    def billed(self, key: MadeKey) -> int:
        """Picodollars in the journal."""
        return sum(picodollars(each.billed_usd) for each in self.entries(key))

    def held(self, key: MadeKey) -> int:
        """Picodollars spent and reserved, as the counters have it."""
        return held(self.redis.client).get(key.scope, 0)

    def running(self, key: MadeKey) -> int:
        return running(self.redis.client).get(key.scope, 0)

    def settles(self, key: MadeKey, entries: int) -> None:
        """Wait until so many entries are in the journal, nothing is reserved, and Redis says the same."""
        until(lambda: len(self.entries(key)) >= entries, PATIENCE_S)
        until(lambda: self.held(key) == self.billed(key) and self.running(key) == 0, PATIENCE_S)
        assert len(self.entries(key)) == entries

    def worst_usd(self, key: MadeKey, text: str, model: str = "remote", **more: Any) -> Decimal:
        answer = http().post(
            f"{self.gateways[0].url}/v1/gradus/explain",
            json=body_of(text, model, **more),
            headers=key.headers,
        )
        return Decimal(answer.json()["plan"]["worst_case_cost_usd"])


def body_of(text: str, model: str = "remote", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def ask(gateway: Gateway, key: MadeKey, text: str, model: str = "remote", **more: Any) -> httpx.Response:
    return http().post(
        f"{gateway.url}/v1/chat/completions",
        json=body_of(text, model, **more),
        headers=key.headers,
    )


Answered = tuple[int, dict[str, Any]]


async def ask_all(
    session: aiohttp.ClientSession, gateways: Sequence[Gateway], key: MadeKey, texts: Sequence[str]
) -> list[asyncio.Task[Answered]]:
    """All at once, spread over the gateways."""

    async def one(gateway: Gateway, text: str) -> Answered:
        url = f"{gateway.url}/v1/chat/completions"
        async with session.post(url, json=body_of(text), headers=key.headers) as answer:
            return answer.status, await answer.json()

    return [
        asyncio.create_task(one(gateways[index % len(gateways)], text)) for index, text in enumerate(texts)
    ]


def browser() -> aiohttp.ClientSession:
    """A client with as many connections as it needs."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=2 * PATIENCE_S)
    )


def code_of(answer: httpx.Response) -> str:
    code: str = answer.json()["error"]["code"]
    return code


def _knows(url: str, key: MadeKey) -> bool:
    return http().get(f"{url}/v1/models", headers=key.headers).is_success
