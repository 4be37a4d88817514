"""The gateway as a web application: its endpoints, and what it says of them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway import errors
from gateway.admission import Admission, Doors
from gateway.api import admin, cache, chat, explain, feedback, health, metrics, models, passthrough, usage
from gateway.api.admin_schemas import KeyChange, KeyCreate, TeamChange, TeamCreate
from gateway.api.feedback import FeedbackRequest
from gateway.lifecycle import open_market, running
from gateway.schemas import ChatRequest
from gateway.settings import Settings
from gateway.telemetry.requests import Observed

log = logging.getLogger(__name__)

BODIES: Final = (ChatRequest, FeedbackRequest, KeyCreate, KeyChange, TeamCreate, TeamChange)


def create_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI application. Connections are made when it starts, not here.

    Raises :class:`router.errors.ArtifactInvalid` for an artefact that is wrong.
    """
    opened = open_market(settings.config)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(app, settings, opened):
            yield

    app = FastAPI(
        title="Gradus",
        version=_version(),
        summary="A difficulty-aware gateway between small and large language models.",
        lifespan=lifespan,
        redoc_url=None,
    )
    for module in (chat, passthrough, models, explain, usage, feedback, admin, cache, health, metrics):
        app.include_router(module.router)
    errors.install(app)
    app.state.doors = Doors()
    app.add_middleware(Admission, doors=app.state.doors)
    app.add_middleware(Observed)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The schema, with the request bodies: endpoints read them themselves, so FastAPI does not know them."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        for body in BODIES:
            described = body.model_json_schema(ref_template="#/components/schemas/{model}")
            schema["components"]["schemas"] |= described.pop("$defs", {}) | {body.__name__: described}
        app.openapi_schema = schema
    return app.openapi_schema


def _version() -> str:
    try:
        return version("gradus")
    except PackageNotFoundError:  # a source tree that is not installed
        return "0"
