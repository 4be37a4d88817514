"""Server-sent events in OpenAI's form: chunks, progress as comments, errors, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json

from gateway.errors import HttpError
from gateway.upstreams.port import Said

DONE: Final = b"data: [DONE]\n\n"
KEEP_ALIVE: Final = b": keep-alive\n\n"
KEEP_ALIVE_S: Final = 10.0
"""A comment is sent after so long a silence: proxies close connections that say nothing."""
MOST_WAITING: Final = 64
"""Events that a slow client is behind before no more are read for it."""
LAG_S: Final = 1.0
"""A client that is behind for so long no longer holds up those that wait for the same answer."""
OPEN_AFTER_S: Final = 1.0
"""The response begins after so long at the latest: what waits for the first byte would give up."""
_FIELDS: Final = frozenset({"id", "object", "created", "model"})


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


class Outbox:
    """Events on their way to one client."""

    def __init__(self, *, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self._keep_alive_s = keep_alive_s
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._taken = asyncio.Event()
        self._ended = False
        self.on_lag: Callable[[], None] | None = None
        self.known: Mapping[str, str] = {}
        self.opened: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()

    def open(self, headers: Mapping[str, str]) -> None:
        """The request is under way: the response may begin, with what is known already in its headers."""
        if not self.opened.done():
            self.opened.set_result(headers)

    def open_soon(self) -> None:
        """Begin after :data:`OPEN_AFTER_S` whatever happens, with what is ``known`` and something to read."""

        def late() -> None:
            if not self.opened.done():
                self.open(self.known)
                self._put(KEEP_ALIVE)

        asyncio.get_running_loop().call_later(OPEN_AFTER_S, late)

    def fail(self, error: HttpError) -> None:
        """An error after the response began: the last event, in the shape that OpenAI's clients raise.

        Not after the end: the answer is whole then, and its client only slow to read it.
        """
        if not self._ended:
            self._put(event_of(error.body))
            self._end()

    async def events(self) -> AsyncGenerator[bytes, None]:
        """What is to be sent: events, those together that came while the client was busy with others."""
        ended = False
        while not ended:
            try:
                async with asyncio.timeout(self._keep_alive_s):
                    ready = [await self._queue.get()]
            except TimeoutError:
                yield KEEP_ALIVE
                continue
            while not self._queue.empty():
                ready.append(self._queue.get_nowait())
            self._taken.set()
            ended = ready[-1] is None
            if events := b"".join(filter(None, ready)):
                yield events

    def _put(self, events: bytes) -> None:
        self._queue.put_nowait(events)

    def _end(self) -> None:
        self._ended = True
        self._queue.put_nowait(None)

    async def _client_keeps_up(self) -> None:
        if self._queue.qsize() <= MOST_WAITING:
            return
        late = None
        if self.on_lag is not None:
            late = asyncio.get_running_loop().call_later(LAG_S, self.on_lag)
        try:
            while self._queue.qsize() > MOST_WAITING:
                self._taken.clear()
                await self._taken.wait()
        finally:
            if late is not None:
                late.cancel()


class RawFeed(Outbox):
    """The events of a server as they came, but for usage that the client did not ask for.

    ``says_done``: the stream ends with ``[DONE]``, as all do but those of responses.
    """

    def __init__(self, headers: Mapping[str, str], *, include_usage: bool, says_done: bool) -> None:
        super().__init__()
        self.known, self._include_usage, self._says_done = headers, include_usage, says_done
        self.upstream_id: str | None = None

    def opens(self, model: str) -> None:
        self.open({**self.known, "x-gradus-model": model})

    async def hears(self, said: Sequence[Said]) -> None:
        if self.upstream_id is None:
            first = said[0].data
            response = first.get("response")
            self.upstream_id = first.get("id") or (response.get("id") if isinstance(response, dict) else None)
        if events := b"".join(each.raw for each in said if self._include_usage or not _is_usage(each.data)):
            self._put(events)
        await self._client_keeps_up()

    def finish(self) -> None:
        if self._says_done:
            self._put(DONE)
        self._end()


class Feed(Outbox):
    """Turns what happens to one request into the events of its stream.

    The chunk that ends the answer is held back until :meth:`finish`: when the client wants no usage chunk,
    the ``gradus`` object rides on it. Chunks of a server go through as they came, and what is said after them
    takes on their id; unless something was said before them: then they take on ours, so that all have one.
    """

    def __init__(self, envelope: Envelope, include_usage: bool, *, progress_events: bool = False) -> None:
        super().__init__()
        self._envelope = envelope
        self._include_usage = include_usage
        self._progress_events = progress_events
        self._said_role = False
        self._said_text = False
        self._is_theirs: bool | None = None
        self._unnamed = False
        self._held: Said | None = None

    def progress(self, stage: str, done: int, total: int) -> None:
        """A comment, which clients skip; an event of its own name for who asked for that."""
        self._say_role()
        if self._progress_events:
            data = event_of({"stage": stage, "done": done, "total": total})
            self._put(b"event: gradus.progress\n" + data)
        else:
            self._put(f": gradus {stage} {done}/{total}\n\n".encode())

    def text(self, text: str) -> None:
        self._say_role()
        self._said_text = True
        self._say(self._envelope.chunk([_choice({"content": text})]))

    async def chunks(self, said: Sequence[Said]) -> None:
        """Chunks of a server, those that came in at once. Returns when the client keeps up."""
        ready = [raw for each in said for raw in self._passed_on(each)]
        if ready:
            self._put(b"".join(ready))
        await self._client_keeps_up()

    def _passed_on(self, said: Said) -> Iterator[bytes]:
        """What can go out, once this chunk is here: itself, unless it may be the last."""
        if _is_usage(said.data):
            return  # it is in the bill
        chunk = self._ours(said)
        self._said_text = self._said_role = True
        if self._held is not None:
            yield self._held.raw
            self._held = None
        if any(choice.get("finish_reason") for choice in chunk.data["choices"]):
            self._held = chunk
        else:
            yield chunk.raw

    def _ours(self, said: Said) -> Said:
        """The chunk as it came, if it is one that any client of OpenAI's understands; else made one."""
        theirs = said.data
        if self._is_theirs is None:
            self._is_theirs = self._unnamed = not self._said_role
        if self._unnamed:
            ours = self._envelope
            self._envelope = Envelope(
                theirs.get("id") or ours.id,
                theirs.get("created") or ours.created,
                theirs.get("model") or ours.model,
            )
            self._unnamed = not theirs.get("id")  # Azure's first chunk, about the prompt, has an empty one
        choices = theirs.get("choices")
        is_plain = isinstance(choices, list) and not theirs.get("usage") and theirs.keys() >= _FIELDS
        if self._is_theirs and is_plain:
            return said
        rest = {name: value for name, value in theirs.items() if name != "usage"}
        kept = [choice if self._is_theirs else _without_role(choice) for choice in choices or ()]
        chunk = {**rest, **self._envelope.chunk(kept)}
        return Said(event_of(chunk), chunk)

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
        last = self._held.data if self._held else self._envelope.chunk([_choice({}, finish_reason)])
        if self._include_usage:
            self._put(self._held.raw if self._held else event_of(last))
            last = self._envelope.chunk([], usage=usage)
        self._say({**last, "gradus": gradus})
        self._put(DONE)
        self._end()

    def start(self) -> None:
        """The role, at once: what a person sees as "it is writing"."""
        self._say_role()

    def _say_role(self) -> None:
        if not self._said_role:
            self._said_role = True
            self._say(self._envelope.chunk([_choice({"role": "assistant", "content": ""})]))

    def _say(self, data: Mapping[str, Any]) -> None:
        self._put(event_of(data))


def event_of(data: Mapping[str, Any]) -> bytes:
    """The event whose data is this JSON."""
    return b"data: " + to_json(data) + b"\n\n"


def _is_usage(chunk: Mapping[str, Any]) -> bool:
    """Whether it is the chunk that says nothing but usage."""
    return not chunk.get("choices") and "choices" in chunk and bool(chunk.get("usage"))


def _without_role(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """It was said already, by us."""
    delta = {name: value for name, value in (choice.get("delta") or {}).items() if name != "role"}
    return {**choice, "delta": delta}


def _choice(delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
