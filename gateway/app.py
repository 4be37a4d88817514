"""Wiring: what a gateway process is made of, and when its parts start and stop."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway import errors
from gateway.api import chat, explain, health, models
from gateway.api.state import GatewayState
from gateway.dispatch import Dispatcher
from gateway.embeddings import load_embedder
from gateway.records import Records
from gateway.schemas import ChatRequest
from gateway.service import Service
from gateway.settings import Settings
from gateway.upstreams import Upstreams
from router.opening import open_configured
from router.rules import warm_up

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI application. Connections are made when it starts, not here.

    Raises :class:`router.errors.ArtifactInvalid` for an artefact that is wrong.
    """
    config = settings.config
    opened = open_configured(config, load_embedder)
    warm_up(config.policies.values())
    for warning in opened.warnings:
        log.warning("%s", warning)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        dispatcher = Dispatcher(config.server.redis_url, uuid.uuid4().hex, lost_after_s=settings.lost_after_s)
        upstreams = Upstreams(config, settings.environ)
        records = Records(config.records)
        records.open()
        await dispatcher.start()
        app.state.gateway = GatewayState(
            config=config,
            service=Service(opened.market, dispatcher, upstreams, opened.drift),
            dispatcher=dispatcher,
            upstreams=upstreams,
            started_unix_s=int(time.time()),
            warnings=opened.warnings,
            records=records,
            drift=opened.drift,
        )
        try:
            yield
        finally:
            await dispatcher.stop()
            await upstreams.close()
            records.close()

    app = FastAPI(
        title="Gradus",
        version=_version(),
        summary="A difficulty-aware gateway between small and large language models.",
        lifespan=lifespan,
        redoc_url=None,
    )
    for module in (chat, models, explain, health):
        app.include_router(module.router)
    errors.install(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The schema, with the request body: its endpoints read it themselves, so FastAPI does not know it."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        request = ChatRequest.model_json_schema(ref_template="#/components/schemas/{model}")
        schema["components"]["schemas"] |= request.pop("$defs", {}) | {"ChatRequest": request}
        app.openapi_schema = schema
    return app.openapi_schema


def _version() -> str:
    try:
        return version("gradus")
    except PackageNotFoundError:  # a source tree that is not installed
        return "0"
