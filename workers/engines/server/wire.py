"""HTTP to one server: one thread and one pool of connections for all jobs.

Answers are always streamed. Only so can a stop text end a sequence here, an end be told at once, and a
cancellation be heard by the server: the connection closes, and it stops generating.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from pydantic_core import from_json, to_json

Json = Mapping[str, Any]
T = TypeVar("T")

_MAX_CONNECTIONS = 1000
_MAX_ERROR_CHARACTERS = 500
_BUSY = (429, 503)


class Refused(Exception):
    """The server answered with an error; ``retry_after_s`` is when it wants to be asked again."""

    def __init__(self, status: int, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class Broken(Exception):
    """The server could not be reached, fell silent, broke off or answered nonsense."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may take: to accept a connection, for a small answer, to begin a stream, to go on.

    ``busy_s`` is how long in all a request waits for a server that says when to come again.
    """

    connect_s: float = 5.0
    small_answer_s: float = 10.0
    first_event_s: float = 300.0
    next_event_s: float = 60.0
    busy_s: float = 60.0


USUAL = Patience()

OnEvent = Callable[[Json | Refused | Broken | None], None]
"""Hears, in the wire's thread, every chunk of a stream, then why it failed, or ``None`` at its end."""


class Wire:
    """Requests to the server at ``base_url``, which ends in "/v1". Thread-safe."""

    def __init__(self, base_url: str, api_key: str | None, patience: Patience = USUAL) -> None:
        self.base_url = base_url.rstrip("/")
        self._patience = patience
        headers = {"content-type": "application/json"}
        if api_key is not None:
            headers["authorization"] = f"Bearer {api_key}"
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=patience.connect_s),
            limits=httpx.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=100),
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server wire", daemon=True)
        self._thread.start()

    def stream(self, path: str, body: Json, on_event: OnEvent) -> Future[None]:
        """Ask, and tell ``on_event`` what comes. Cancelling the future closes the connection."""
        return self._start(self._stream(path, body, on_event))

    def ask(self, path: str, body: Json | None = None) -> Json:
        """A plain JSON answer; GET without a ``body``. A path that begins with "/" is not below "/v1".

        Raises :class:`Refused` or :class:`Broken`.
        """
        return self._start(self._ask(path, body)).result()

    def close(self) -> None:
        """End all requests and the thread."""
        if self._thread.is_alive():
            self._start(self._end()).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if not self._thread.is_alive():
            work.close()
            raise Broken("the engine is closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._http.aclose()

    async def _stream(self, path: str, body: Json, on_event: OnEvent) -> None:
        try:
            await self._read(path, to_json(body), on_event)
        except asyncio.CancelledError:
            on_event(Broken("the engine was closed"))
            raise
        except Exception as error:  # whatever it is, somebody waits for it
            on_event(error if isinstance(error, Refused | Broken) else Broken(repr(error)))
        else:
            on_event(None)

    async def _read(self, path: str, body: bytes, on_event: OnEvent) -> None:
        """One streamed answer; asked for again once if no byte came, and while the server says "later"."""
        patience, left_s, is_second = self._patience, self._patience.busy_s, False
        while True:
            begun = False
            try:
                async with asyncio.timeout(patience.first_event_s) as silence:
                    async with self._http.stream("POST", self._url(path), content=body) as answer:
                        if not answer.is_success:
                            raise _refusal(answer, await answer.aread())
                        async with aclosing(_events(answer)) as events:
                            async for data in events:
                                if data == b"[DONE]":
                                    return
                                begun = True
                                on_event(_chunk(data))
                                silence.reschedule(asyncio.get_running_loop().time() + patience.next_event_s)
                        return
            except TimeoutError:
                limit_s = patience.next_event_s if begun else patience.first_event_s
                raise Broken(f"it said nothing for {limit_s:g} s") from None
            except httpx.HTTPError as error:
                if begun or is_second:
                    raise _broken(error) from error
                is_second = True
            except Refused as refusal:
                wait_s = refusal.retry_after_s
                if refusal.status not in _BUSY or wait_s is None or wait_s > left_s:
                    raise
                left_s -= max(wait_s, 0.1)
                await asyncio.sleep(wait_s)

    async def _ask(self, path: str, body: Json | None) -> Json:
        try:
            async with asyncio.timeout(self._patience.small_answer_s):
                if body is None:
                    answer = await self._http.get(self._url(path))
                else:
                    answer = await self._http.post(self._url(path), content=to_json(body))
        except TimeoutError:
            raise Broken(f"it said nothing for {self._patience.small_answer_s:g} s") from None
        except httpx.HTTPError as error:
            raise _broken(error) from error
        if not answer.is_success:
            raise _refusal(answer, answer.content)
        return _object(answer.content)

    def _url(self, path: str) -> str:
        if path.startswith("/"):
            return self.base_url.removesuffix("/v1") + path
        return f"{self.base_url}/{path}"


async def _events(answer: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The data of each server-sent event. Only a newline ends a line: JSON may hold other separators."""
    rest = b""
    async for part in answer.aiter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[len(b"data:") :].strip()
    if rest.startswith(b"data:"):  # the last line may lack its end
        yield rest[len(b"data:") :].strip()


def _chunk(data: bytes) -> Json:
    chunk = _object(data)
    if chunk.get("error"):
        raise Broken(f"it broke off its answer: {_message(chunk)}")
    return chunk


def _object(text: bytes) -> Json:
    try:
        value = from_json(text)
    except ValueError as error:
        raise Broken(f"its answer is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Broken("its answer is not a JSON object")
    return value


def _refusal(answer: httpx.Response, content: bytes) -> Refused:
    try:
        message = _message(from_json(content))
    except ValueError:
        message = content.decode(errors="replace")
    retry_after = answer.headers.get("retry-after")
    try:
        wait_s = None if retry_after is None else max(float(retry_after), 0.0)
    except ValueError:  # an HTTP date
        wait_s = 1.0
    return Refused(answer.status_code, (message or "no message")[:_MAX_ERROR_CHARACTERS], wait_s)


def _message(answer: object) -> str:
    """What an error says: OpenAI's ``error.message``, FastAPI's ``detail``, or all of it."""
    found = answer
    for key in ("error", "detail", "message"):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    return found if isinstance(found, str) else to_json(found).decode()


def _broken(error: httpx.HTTPError) -> Broken:
    return Broken(str(error) or type(error).__name__)
