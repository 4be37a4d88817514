"""Server-sent events in OpenAI's form: chunks, progress as comments, errors, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.errors import HttpError

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a completion and all its chunks have in common; ``model`` is the name the client asked for."""

    id: str
    created: int
    model: str

    def completion(self, **fields: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            **fields,
        }

    def chunk(self, choices: Sequence[Mapping[str, Any]], **fields: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            **fields,
        }


class Feed:
    """Turns what happens to one request into the events of its stream.

    The chunk that ends the answer is held back until :meth:`finish`: when the client wants no usage chunk,
    the ``gradus`` object rides on it.
    """

    def __init__(self, envelope: Envelope, include_usage: bool) -> None:
        self._envelope = envelope
        self._include_usage = include_usage
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._said_role = False
        self._said_text = False
        self._held: dict[str, Any] | None = None
        self.opened: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()

    def open(self, headers: Mapping[str, str]) -> None:
        """The request is under way: the response may begin, with what is known already in its headers."""
        if not self.opened.done():
            self.opened.set_result(headers)

    def progress(self, stage: str, done: int, total: int) -> None:
        self._say_role()
        self._queue.put_nowait(f": gradus {stage} {done}/{total}\n\n".encode())

    def text(self, text: str) -> None:
        self._say_role()
        self._said_text = True
        self._say(self._envelope.chunk([_choice({"content": text})]))

    def chunk(self, foreign: Mapping[str, Any]) -> None:
        """A chunk of another server: under this completion's id and name, with all its other fields."""
        choices = [self._without_second_role(choice) for choice in foreign.get("choices") or ()]
        if not choices and foreign.get("usage"):
            return  # it is in the bill
        self._said_text = self._said_role = True
        rest = {name: value for name, value in foreign.items() if name != "usage"}
        chunk = {**rest, **self._envelope.chunk(choices)}
        if self._held is not None:
            self._say(self._held)
            self._held = None
        if any(choice.get("finish_reason") for choice in choices):
            self._held = chunk
        else:
            self._say(chunk)

    def finish(
        self,
        text: str,
        finish_reason: str,
        usage: Mapping[str, Any],
        gradus: Mapping[str, Any],
        tool_calls: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """The end; ``text`` is the whole answer, said here unless it was streamed."""
        self._say_role()
        if tool_calls:
            calls = [{"index": index, **call} for index, call in enumerate(tool_calls)]
            self._say(self._envelope.chunk([_choice({"tool_calls": calls})]))
        if not self._said_text:
            for line in text.splitlines(keepends=True):
                self.text(line)
        last = self._held or self._envelope.chunk([_choice({}, finish_reason)])
        if self._include_usage:
            self._say(last)
            last = self._envelope.chunk([], usage=usage)
        self._say({**last, "gradus": gradus})
        self._queue.put_nowait(DONE)
        self._queue.put_nowait(None)

    def fail(self, error: HttpError) -> None:
        """An error after the response began: the last event, in the shape that OpenAI's clients raise."""
        self._say(error.body)
        self._queue.put_nowait(None)

    async def events(self) -> AsyncGenerator[bytes, None]:
        while (event := await self._queue.get()) is not None:
            yield event

    def start(self) -> None:
        """The role, at once: what a person sees as "it is writing"."""
        self._say_role()

    def _say_role(self) -> None:
        if not self._said_role:
            self._said_role = True
            self._say(self._envelope.chunk([_choice({"role": "assistant", "content": ""})]))

    def _without_second_role(self, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        delta = choice.get("delta") or {}
        if self._said_role and "role" in delta:
            return {**choice, "delta": {name: value for name, value in delta.items() if name != "role"}}
        return choice

    def _say(self, data: Mapping[str, Any]) -> None:
        self._queue.put_nowait(b"data: " + to_json(data) + b"\n\n")


def _choice(delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


class EventStream(StreamingResponse):
    """Sends the feed of a running request, and ends that request when its client goes away."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, work: asyncio.Task[None], headers: Mapping[str, str]) -> None:
        super().__init__(
            feed.events(), headers={"cache-control": "no-cache", "x-accel-buffering": "no", **headers}
        )
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._work.cancel()
