"""HTTP/1.1 as the gateway reads it: heads of bounded size, and no client that may take for ever to ask.

uvicorn bounds neither with httptools, and waits for the rest of a request as long as a client likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.errors import BadRequest
from gateway.telemetry.requests import refused

MAX_HEAD_BYTES: Final = 65_536
MAX_HEADERS: Final = 128


def bounded_http(read_timeout_s: float) -> type[asyncio.Protocol]:
    """What uvicorn makes of each connection. ``read_timeout_s``: for a whole request, its body too."""

    class Bounded(_BoundedHttp):
        patience_s = read_timeout_s

    return Bounded


class _BoundedHttp(HttpToolsProtocol):
    patience_s: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._is_whole = False
        self._head_bytes = 0
        self._part_bytes = 0
        self._refusal: BadRequest | None = None
        self._asking: Mapping[str, Any] | None = None
        """The scope of the request whose body is being read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._part_bytes = len(data)
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse(_large_head())
        # What comes of a request has to end; so has what comes between two, which uvicorn waits on for ever.
        if self._timer is None and (not self._is_whole or self.cycle is None or self.cycle.response_complete):
            self._wait()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._is_whole, self._head_bytes = True, False, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.headers) > MAX_HEADERS or (
            self._head_bytes + self._part_bytes > MAX_HEAD_BYTES
            and sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > MAX_HEAD_BYTES
        ):
            self._refusal = _large_head()
            raise self._refusal  # the parser stops, and send_400_response is called
        super().on_headers_complete()
        self._asking = self.scope

    def on_message_complete(self) -> None:
        self._is_whole, self._asking = True, None
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """In OpenAI's shape, as every error."""
        self._refuse(
            self._refusal or BadRequest("This is not a valid HTTP/1.1 request.", code="invalid_http")
        )

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.patience_s, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if self.transport.is_closing():
            return
        answered = self.cycle is not None and self.cycle.response_started
        if self._is_whole or answered or not (self._in_head or self.cycle):
            self.transport.close()
            return
        if not self._in_head:  # who reads the body hears that nothing more comes of it
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._refuse(
            BadRequest(
                f"The request did not come to its end within {self.patience_s:g} seconds "
                "(server.read_timeout_s); send it again.",
                code="request_timeout",
            )
        )

    def _refuse(self, error: BadRequest) -> None:
        answer = refused(error, self._asking)
        response = answer.response()
        head = [STATUS_LINE[answer.status]]
        head += [
            name + b": " + value + b"\r\n" for name, value in response.raw_headers if name != b"connection"
        ]
        self.transport.write(b"".join([*head, b"connection: close\r\n\r\n", response.body]))
        self.transport.close()


def _large_head() -> BadRequest:
    return BadRequest(
        f"The head of the request is larger than {MAX_HEAD_BYTES} bytes, or has more than {MAX_HEADERS} "
        "headers; send less.",
        code="head_too_large",
    )
