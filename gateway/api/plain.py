"""Endpoints that take the request and give the response: nothing of FastAPI stands between."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.errors import answer_to

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class PlainRoute(APIRoute):
    """Described in OpenAPI as any other; it has no parameters and no dependencies that would be resolved."""

    def get_route_handler(self) -> Endpoint:
        endpoint: Endpoint = self.endpoint
        return endpoint


class Straight:
    """The ASGI application of one such endpoint: what routes and middlewares of the framework would add to a
    request costs more than the endpoint itself."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await self._endpoint(request)
        except Exception as error:
            response = answer_to(request, error)
        await response(scope, receive, send)
