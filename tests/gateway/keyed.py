"""A gateway with keys, as far as they are concerned: auth, the admin interface, and an endpoint that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.requests import Request

from gateway import errors
from gateway.api import admin, usage
from gateway.auth import Auth, account_of, check_may_ask
from gateway.store.database import Database
from router.config import load_config
from tests.gateway.doubles import serving

ADMIN = "the-admin's-own-key"


def keyed_app(database: Database, auth: Auth, reloads: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await auth.start()
        yield
        await auth.stop()

    async def reload() -> list[str]:
        reloads.append("now")
        return ["a warning"]

    app = FastAPI(lifespan=lifespan)
    app.state.auth, app.state.database, app.state.reload = auth, database, reload
    app.include_router(admin.router)
    app.include_router(usage.router)
    errors.install(app)

    @app.get("/ask")
    async def ask(request: Request, model: str = "gradus") -> dict[str, Any]:
        account = account_of(request)
        check_may_ask(account, model)
        return {"key": account.key and account.key.name, "scopes": [scope for scope, _ in account.scopes]}

    return app


class Client(httpx.Client):
    """Asks one gateway; ``as_key`` asks with another key."""

    reloads: list[str]
    database: Database

    def as_key(self, secret: str | None, **more: str) -> httpx.Response:
        headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
        return httpx.get(f"{self.base_url}/ask", headers=headers, params=more)


@contextmanager
def keyed_gateway(url: str, environ: Mapping[str, str] | None = None) -> Iterator[Client]:
    """A client of the admin's, for a gateway on the database at ``url``."""
    environ = {"GRADUS__SERVER__AUTH": "keys", "GRADUS_ADMIN_KEY": ADMIN, **(environ or {})}
    database = Database(url)
    auth = Auth(load_config("abacus", environ), environ, database)
    reloads: list[str] = []
    with (
        serving(keyed_app(database, auth, reloads)) as address,
        Client(base_url=address, headers={"authorization": f"Bearer {ADMIN}"}) as client,
    ):
        client.reloads, client.database = reloads, database
        yield client
    database.close()


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/gradus.db"


def error_of(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Its status, code and parameter."""
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]
