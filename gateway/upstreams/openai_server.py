"""Servers that speak OpenAI's API: bodies go there as they came, over connections that are kept open.

Over aiohttp (docs/decisions/0013 says why, and what is set for speed).
"""

from __future__ import annotations

import asyncio
import json
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict
from pydantic_core import from_json, to_json
from yarl import URL

from gateway.upstreams.port import PATHS, Call, Json, Refusal, Said, Unreachable, without_halves
from gateway.upstreams.retrying import retry_after_s
from gateway.upstreams.sse import Events, EventTooLong

MAX_ERROR_CHARACTERS: Final = 500
SERVER_ERROR: Final = 500  # the status of an error that arrives under a status of 200, where it says none
LAST_BYTES_S: Final = 0.25  # a server that said [DONE] has this long to end its response
DONE: Final = b"[DONE]"
USER_AGENT: Final = "gradus"
KEPT_S: Final = 4.0
"""So long a connection is kept that nobody uses. Servers (uvicorn, Node) close theirs after 5 s or more, and
of what is sent to one that was just closed nobody knows whether it was read."""
_COUNTS_IF_ASKED: Final = ("chat", "completions")
_HOLD_ANSWERS: Final = frozenset({"choices", "data", "output"})
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})


class OpenAIServers:
    """One HTTP client for all servers of engine ``openai``. To be made in the event loop it is used in."""

    def __init__(self) -> None:
        self._http = aiohttp.ClientSession(
            # How many at once is for deployments and for the gateway to limit.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def complete(self, call: Call) -> Said:
        try:
            answer = await self._post(call, call.body)
            raw = await answer.read()  # which closes the connection, whatever ends it early
        except (aiohttp.ClientError, ConnectionError) as error:
            raise _broken(error, call) from error
        said = _object(raw)
        if said.get("error") and _HOLD_ANSWERS.isdisjoint(said):
            raise _error_under_200(said["error"])
        return Said(raw, said)

    async def stream(self, call: Call) -> AsyncGenerator[list[Said], None]:
        body = {**call.body, "stream": True}
        if call.endpoint in _COUNTS_IF_ASKED:
            body["stream_options"] = {**(call.body.get("stream_options") or {}), "include_usage": True}
        try:
            async with await self._post(call, body) as answer:
                stream = _Stream()
                async for part in answer.content.iter_any():
                    said = stream.read(part)
                    if said:
                        yield said
                    if stream.fault is not None:
                        raise stream.fault
                    if stream.done:
                        await _read_to_its_end(answer)  # or the connection could not be used again
                        return
        except (aiohttp.ClientError, ConnectionError) as error:
            raise _broken(error, call) from error
        if said := stream.end():
            yield said
        if stream.fault is not None:
            raise stream.fault
        if not (stream.done or stream.ended):
            raise Unreachable("its stream broke off, without finish_reason and without [DONE]")

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, call: Call, body: Mapping[str, Any]) -> aiohttp.ClientResponse:
        """The answer, as it begins. Raises :class:`Refusal` for an error."""
        way = _way(call.base_url or "", PATHS[call.endpoint], call.api_key, call.connect_s)
        answer = await self._http.post(
            way.url,
            data=_Body(to_json({**body, "model": call.model}), call.on_sent),
            headers=way.headers,
            allow_redirects=False,  # nobody but the operator says where a key is sent
            timeout=way.timeout,
            proxy=way.proxy,
        )
        if not 200 <= answer.status < 300:
            raise _refusal(answer, await answer.read())
        return answer


class _Body(aiohttp.BytesPayload):
    """Says when it goes out. A trace of aiohttp's would too, for a quarter more of the processor's time."""

    def __init__(self, body: bytes, on_sent: Callable[[], None]) -> None:
        super().__init__(body, content_type="application/json")
        self._on_sent = on_sent

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._on_sent()
        await super().write_with_length(writer, content_length)


@dataclass(frozen=True, slots=True)
class _Way:
    """What goes with every request to a place; ``proxy`` is in between."""

    url: URL
    headers: CIMultiDict[str]
    proxy: str | None
    timeout: aiohttp.ClientTimeout


@lru_cache(maxsize=1024)
def _way(base_url: str, path: str, api_key: str | None, connect_s: float) -> _Way:
    """Through the proxy that the environment (HTTPS_PROXY, NO_PROXY, ...) names."""
    headers = CIMultiDict({"accept": "*/*", "accept-encoding": "identity", "user-agent": USER_AGENT})
    try:
        url = URL(f"{base_url.rstrip('/')}/{path}")
    except ValueError as error:
        raise Unreachable(f"its URL is none: {error}") from error
    if api_key is not None:
        if not api_key.isprintable():
            raise Unreachable("its API key holds a line break, or what else no header may hold")
        url = url.with_user(None)  # there is one authorization
        headers["authorization"] = f"Bearer {api_key}"
    proxy = None if proxy_bypass(url.host or "") else getproxies().get(url.scheme)
    proxy = f"http://{proxy}" if proxy and "://" not in proxy else proxy
    return _Way(url, headers, proxy, aiohttp.ClientTimeout(total=None, connect=connect_s))


def _broken(error: Exception, call: Call) -> Unreachable:
    """No connection, or one that broke."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Unreachable(f"no connection within {call.connect_s:g} s")
    return Unreachable(str(error) or type(error).__name__)


class _Stream:
    """Reads a stream as it comes. ``ended``: the answer is whole; ``done``: and the server said so."""

    def __init__(self) -> None:
        self.ended = self.done = False
        self.fault: Exception | None = None
        self._events = Events()

    def read(self, part: bytes) -> list[Said]:
        """What came before ``fault``, if there is one."""
        said: list[Said] = []
        try:
            for raw, data in self._events.feed(part):
                if data == DONE:
                    self.done = True
                    break
                chunk = _object(data)
                if error := chunk.get("error"):
                    raise _error_under_200(error)
                self.ended = self.ended or _ends(chunk)
                said.append(Said(raw, chunk))
        except EventTooLong as error:
            self.fault = Unreachable(str(error))
        except (Refusal, Unreachable) as fault:
            self.fault = fault
        return said

    def end(self) -> list[Said]:
        return self.read(b"\n\n")


async def _read_to_its_end(answer: aiohttp.ClientResponse) -> None:
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(LAST_BYTES_S):
            await answer.content.read()


def _ends(chunk: Json) -> bool:
    for choice in chunk.get("choices") or ():
        if choice.get("finish_reason"):
            return True
    return chunk.get("type") in _ENDS


def _error_under_200(error: object) -> Refusal:
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else SERVER_ERROR
    return Refusal(_message(error), status)


def _object(text: bytes) -> Json:
    try:
        value = from_json(text.removeprefix(BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        try:
            value = from_json(without_halves(json.loads(text)), allow_inf_nan=False)
        except (ValueError, RecursionError):
            raise Unreachable(f"its answer is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unreachable("its answer is not a JSON object")
    choices = value.get("choices")
    if choices and not (isinstance(choices, list) and set(map(type, choices)) == {dict}):
        raise Unreachable("the choices of its answer are none")
    return value


def _refusal(answer: aiohttp.ClientResponse, text: bytes) -> Refusal:
    try:
        error = from_json(text)["error"]
    except (ValueError, KeyError, TypeError):
        error = text.decode("utf-8", "replace")
    details = error if isinstance(error, dict) else {}
    return Refusal(
        _message(error),
        answer.status,
        code=_text(details.get("code")),
        param=_text(details.get("param")),
        retry_after_s=retry_after_s(answer.headers, datetime.now(UTC)),
    )


def _message(error: object) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "no message")[:MAX_ERROR_CHARACTERS]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
