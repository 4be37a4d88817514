"""Servers that speak OpenAI's API: bodies go there as they came, over one pool of connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
from pydantic_core import from_json, to_json

from gateway.upstreams.port import Call, Json, Refusal, Unreachable

CONNECT_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 1000
MAX_ERROR_CHARACTERS = 500
SERVER_ERROR = 500  # the status of an error that arrives inside a stream


class OpenAIServers:
    """One HTTP client for all servers of engine ``openai``. The caller sets the deadline."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=100),
        )

    async def complete(self, call: Call) -> Json:
        try:
            answer = await self._http.send(self._request(call, {**call.body, "model": call.model}))
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        if not answer.is_success:
            raise _refusal(answer)
        return _object(answer.content)

    async def stream(self, call: Call) -> AsyncGenerator[Json, None]:
        options = {**(call.body.get("stream_options") or {}), "include_usage": True}
        body = {**call.body, "model": call.model, "stream": True, "stream_options": options}
        try:
            answer = await self._http.send(self._request(call, body), stream=True)
            try:
                if not answer.is_success:
                    await answer.aread()
                    raise _refusal(answer)
                ended = False
                async for data in _events(answer):
                    if data == b"[DONE]":
                        return
                    chunk = _chunk(data)
                    ended = ended or _ends(chunk)
                    yield chunk
                if not ended:
                    raise Unreachable("its stream broke off, without finish_reason and without [DONE]")
            finally:
                await answer.aclose()
        except httpx.HTTPError as error:
            raise _unreachable(error) from error

    async def close(self) -> None:
        await self._http.aclose()

    def _request(self, call: Call, body: Mapping[str, Any]) -> httpx.Request:
        headers = {"content-type": "application/json"}
        if call.api_key is not None:
            headers["authorization"] = f"Bearer {call.api_key}"
        url = f"{(call.base_url or '').rstrip('/')}/chat/completions"

        async def follow(step: str, _: Mapping[str, Any]) -> None:
            if step.endswith(".send_request_body.complete"):
                call.on_sent()

        extensions = {"trace": follow}
        return self._http.build_request(
            "POST", url, content=to_json(body), headers=headers, extensions=extensions
        )


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


def _ends(chunk: Json) -> bool:
    return any(choice.get("finish_reason") for choice in chunk.get("choices") or ())


def _chunk(data: bytes) -> Json:
    chunk = _object(data)
    if error := chunk.get("error"):
        raise Refusal(_message(error), SERVER_ERROR)
    return chunk


def _object(text: bytes) -> Json:
    try:
        value = from_json(text)
    except ValueError as error:
        raise Unreachable(f"its answer is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unreachable("its answer is not a JSON object")
    return value


def _refusal(answer: httpx.Response) -> Refusal:
    try:
        error = from_json(answer.content)["error"]
    except (ValueError, KeyError, TypeError):
        error = answer.text
    details = error if isinstance(error, dict) else {}
    return Refusal(
        _message(error),
        answer.status_code,
        code=_text(details.get("code")),
        param=_text(details.get("param")),
        retry_after_s=_seconds(answer.headers.get("retry-after")),
    )


def _message(error: object) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "no message")[:MAX_ERROR_CHARACTERS]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(value: str | None) -> float | None:
    try:
        return None if value is None else max(float(value), 0.0)
    except ValueError:  # an HTTP date
        return None


def _unreachable(error: httpx.HTTPError) -> Unreachable:
    return Unreachable(str(error) or type(error).__name__)
