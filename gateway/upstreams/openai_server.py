"""Servers that speak OpenAI's API: bodies go there as they came, over connections that are kept open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import from_json, to_json

from gateway.upstreams.connections import Answer, Connections
from gateway.upstreams.port import PATHS, Call, Json, Refusal, Said, Unreachable
from gateway.upstreams.retrying import retry_after_s
from gateway.upstreams.sse import Events, EventTooLong
from gateway.upstreams.ways import way_to

MAX_ERROR_CHARACTERS: Final = 500
SERVER_ERROR: Final = 500  # the status of an error that arrives inside a stream, where it says none
LAST_BYTES_S: Final = 0.25  # a server that said [DONE] has this long to end its response
DONE: Final = b"[DONE]"
_COUNTS_IF_ASKED: Final = ("chat", "completions")
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})


class OpenAIServers:
    """For all servers of engine ``openai``. To be made in the event loop it is used in."""

    def __init__(self) -> None:
        self._http = Connections()

    async def complete(self, call: Call) -> Said:
        answer = await self._post(call, call.body)
        try:
            raw = await answer.read()
        finally:
            answer.leave()
        return Said(raw, _object(raw))

    async def stream(self, call: Call) -> AsyncGenerator[list[Said], None]:
        body = {**call.body, "stream": True}
        if call.endpoint in _COUNTS_IF_ASKED:
            body["stream_options"] = {**(call.body.get("stream_options") or {}), "include_usage": True}
        answer = await self._post(call, body)
        try:
            stream = _Stream()
            async for part in answer.parts():
                said = stream.read(part)
                if said:
                    yield said
                if stream.fault is not None:
                    raise stream.fault
                if stream.done:
                    await _read_to_its_end(answer)  # or the connection could not be used again
                    return
            if said := stream.end():
                yield said
            if stream.fault is not None:
                raise stream.fault
            if not (stream.done or stream.ended):
                raise Unreachable("its stream broke off, without finish_reason and without [DONE]")
        finally:
            answer.leave()

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, call: Call, body: Mapping[str, Any]) -> Answer:
        """An answer that is none of an error; leave it in the end."""
        way = way_to(f"{(call.base_url or '').rstrip('/')}/{PATHS[call.endpoint]}", call.api_key)
        answer = await self._http.ask(
            way, to_json({**body, "model": call.model}), call.connect_s, call.on_sent
        )
        if 200 <= answer.status < 300:
            return answer
        try:  # a redirect too: nobody but the operator says where a key is sent
            raise _refusal(answer, await answer.read())
        finally:
            answer.leave()


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
                chunk = _chunk(data)
                self.ended = self.ended or _ends(chunk)
                said.append(Said(raw, chunk))
        except EventTooLong as error:
            self.fault = Unreachable(str(error))
        except (Refusal, Unreachable) as fault:
            self.fault = fault
        return said

    def end(self) -> list[Said]:
        return self.read(b"\n\n")


async def _read_to_its_end(answer: Answer) -> None:
    if not answer.is_whole:
        with suppress(TimeoutError, Unreachable):
            async with asyncio.timeout(LAST_BYTES_S):
                await answer.read()


def _ends(chunk: Json) -> bool:
    return chunk.get("type") in _ENDS or any(
        choice.get("finish_reason") for choice in chunk.get("choices") or ()
    )


def _chunk(data: bytes) -> Json:
    chunk = _object(data)
    if error := chunk.get("error"):
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and 400 <= code < 600 else SERVER_ERROR
        raise Refusal(_message(error), status)
    return chunk


def _object(text: bytes) -> Json:
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise Unreachable(f"its answer is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unreachable("its answer is not a JSON object")
    choices = value.get("choices")
    if choices and not (isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices)):
        raise Unreachable("the choices of its answer are none")
    return value


def _refusal(answer: Answer, text: bytes) -> Refusal:
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
