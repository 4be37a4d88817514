"""Every request has an id: in its response's header, in errors, log lines, spans and the journal."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import HttpError, to_http
from gateway.telemetry.metrics import responded
from router.logs import REQUEST_ID
from router.tracing import is_on, span

log = logging.getLogger(__name__)

_PREFIXES: Final = {
    "/v1/chat/completions": "chatcmpl",
    "/v1/completions": "cmpl",
    "/v1/embeddings": "embd",
    "/v1/responses": "resp",
}
_HEADER: Final = b"x-request-id"
_THEIRS: Final = (b"x-client-request-id", b"x-request-id")
_TRACE: Final = (b"traceparent", b"tracestate")
_LOOKED_AT: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_LONGEST: Final = 128
_ID_BYTES: Final = 16
_IDS_AT_ONCE: Final = 256
_FAILED: Final = 500
_UNKNOWN: Final = "other"
_REFUSED: Final = "refused"


class Observed:
    """Middleware that names, counts and traces requests. A client's own id is an attribute of the span."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, status = scope["path"], _FAILED
        state = scope.setdefault("state", {})
        request_id = _name(state, path)
        REQUEST_ID.set(request_id)

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", ())
                if _HEADER not in dict(headers):
                    message = {**message, "headers": [*headers, (_HEADER, request_id.encode())]}
            await send(message)

        try:
            if is_on() and path not in _LOOKED_AT:  # these come every few seconds, from machines
                await self._traced(scope, receive, named)
            else:
                await self._app(scope, receive, named)
        finally:
            code = state.get("error_code", "" if status < _FAILED else "internal_error")
            endpoint = path if path in _PREFIXES else _endpoint(scope)
            if not state.get(_REFUSED):
                responded(endpoint, status, code)
                log.debug("%s %s: %d %s", scope["method"], endpoint, status, code)

    async def _traced(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = dict(scope["headers"])
        theirs = next((sent[name] for name in _THEIRS if name in sent), b"")
        with span(
            "request",
            {name.decode(): sent[name].decode("latin-1") for name in _TRACE if name in sent},
            **{
                "http.request.method": scope["method"],
                "url.path": scope["path"],
                "gradus.request_id": scope["state"]["request_id"],
                "gradus.client_request_id": theirs[:_LONGEST].decode("latin-1") or None,
            },
        ):
            await self._app(scope, receive, send)


def refused(error: Exception, scope: Mapping[str, Any] | None) -> HttpError:
    """The answer to what never became a whole request: it is named, counted and logged here, and only here.

    ``scope`` is the request's if the application was given it, which waits for the rest.
    """
    path = "" if scope is None else scope["path"]
    state = {} if scope is None else scope["state"]
    state[_REFUSED] = True
    token = REQUEST_ID.set(_name(state, path))
    try:
        answer = to_http(error)
        code = answer.body["error"]["code"]
        responded(path if path in _PREFIXES else _UNKNOWN, answer.status, code)
        log.info("no whole request came: %d %s", answer.status, code)
    finally:
        REQUEST_ID.reset(token)
    return answer


def request_id_of(request: Request) -> str:
    """By which a request is known; of a chat, its completion's id too."""
    known: str = request.scope["state"]["request_id"]
    return known


def _name(state: MutableMapping[str, Any], path: str) -> str:
    """The id of the request that has this ``state``: a new one, unless it has been named."""
    name: str | None = state.get("request_id")
    if name is None:
        name = state["request_id"] = f"{_PREFIXES.get(path, 'req')}-{_unguessable()}"
    return name


_drawn: Final[list[str]] = []


def _unguessable() -> str:
    """32 hexadecimal digits. The system is asked for those of many ids: each time takes as long."""
    if not _drawn:
        digits = os.urandom(_ID_BYTES * _IDS_AT_ONCE).hex()
        _drawn.extend(digits[at : at + 2 * _ID_BYTES] for at in range(0, len(digits), 2 * _ID_BYTES))
    return _drawn.pop()


def _endpoint(scope: Scope) -> str:
    """The route that was found, as it is written in the code: paths that do not exist are all one."""
    route: Any = scope.get("route")
    path: str = getattr(route, "path", _UNKNOWN)
    return path
