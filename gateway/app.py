"""The gateway as a web application: its endpoints, and what it says of them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import errors
from gateway.admission import Admission, Doors
from gateway.api import admin, cache, chat, explain, feedback, health, metrics, models, passthrough, usage
from gateway.api.plain import PlainRoute, Straight
from gateway.lifecycle import Process, open_market, running
from gateway.openapi import document
from gateway.settings import Settings
from gateway.telemetry.requests import Observed

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI application. Connections are made when it starts, not here.

    Raises :class:`router.errors.ArtifactInvalid` for an artefact that is wrong, and as
    :meth:`gateway.lifecycle.Process.of`: what can be said in a line is said before a server starts.
    """
    opened = open_market(settings.config)
    process = Process.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(app, process, opened):
            yield

    app = _Gateway(
        title="Gradus",
        version=_version(),
        summary="A difficulty-aware gateway between small and large language models.",
        lifespan=lifespan,
        redoc_url=None,
    )
    modules = (chat, passthrough, models, explain, usage, feedback, admin, cache, health, metrics)
    routers = [module.router for module in modules]
    for router in routers:
        app.include_router(router)
    errors.install(app)
    app.state.doors = Doors()
    app.add_middleware(Admission, doors=app.state.doors)
    app.add_middleware(Observed)
    app.straight = {
        route.path: Observed(Admission(Straight(route.endpoint), app.state.doors))
        for router in routers
        for route in router.routes
        if isinstance(route, PlainRoute)
    }
    app.openapi = lambda: document(app, routers)  # type: ignore[method-assign]
    return app


class _Gateway(FastAPI):
    """``straight``: what is posted to these paths goes to its endpoint past routes and middlewares."""

    straight: Mapping[str, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = None
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self.straight.get(scope["path"])
        if endpoint is None:
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await endpoint(scope, receive, send)


def _version() -> str:
    try:
        return version("gradus")
    except PackageNotFoundError:  # a source tree that is not installed
        return "0"
