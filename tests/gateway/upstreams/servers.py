"""A server in the test's own event loop that answers each request as it is told, faults included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.upstreams import Calls, Question, Said, Upstreams
from router.config import Config
from tests.gateway.upstream import chunk, completion

Script = Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]
DONE = b"data: [DONE]\n\n"
THEIRS = {"engine": "openai", "upstream_model": "theirs"}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def says(answer: Any, status: int = 200, **headers: str) -> Script:
    """A whole response; ``answer`` is JSON, or bytes as they are."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{''.join(lines)}\r\n"

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + body)

    return script


def refuses(status: int, **headers: str) -> Script:
    return says({"error": {"message": "because", "code": "c", "param": "p"}}, status, **headers)


def event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def streams(*parts: bytes, then: Script | None = None) -> Script:
    """A stream in these parts, each sent by itself; ``then`` does what comes instead of its end."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for part in parts:
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
            await asyncio.sleep(0)
        if then is None:
            writer.write(b"0\r\n\r\n")
        else:
            await then(writer)

    return script


async def hangs(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def cuts(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@dataclass
class Server:
    """Plays its scripts, one a request, the last of them again and again."""

    scripts: Sequence[Script]
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                self.paths.append(first.split(" ")[1])
                self.headers.append(headers)
                self.bodies.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
                script = self.scripts[min(len(self.bodies), len(self.scripts)) - 1]
                playing, left = asyncio.create_task(script(writer)), asyncio.create_task(reader.read(1))
                await asyncio.wait({playing, left}, return_when=asyncio.FIRST_COMPLETED)
                if not playing.done():
                    playing.cancel()
                    return
                await playing
                await writer.drain()
                if await self._is_left(left, reader):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self.closed.set()
            writer.close()

    async def _is_left(self, left: asyncio.Task[bytes], reader: asyncio.StreamReader) -> bool:
        byte = await left
        if not byte:
            return True
        reader._buffer[:0] = byte  # type: ignore[attr-defined]  # the next request begins with it
        return False


@asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[Server]:
    server = Server(scripts)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()


class Time:
    """A clock that only sleeping moves; ``waits`` are the sleeps."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)


def config(**models: Mapping[str, Any]) -> Config:
    """These models behind servers, and what else a configuration needs."""
    small = {"engine": "transformers", "path": "x", "context_tokens": 512, "max_tokens": 64}
    policy = {"small": "small", "verifier": "v", "usd_per_right_answer": 1}
    return Config.model_validate(
        {
            "models": {
                "small": small,
                **{
                    name: model if "engine" in model else {**THEIRS, **model}
                    for name, model in models.items()
                },
            },
            "verifiers": {"v": {"kind": "majority"}},
            "policies": {"default": policy},
        }
    )


@asynccontextmanager
async def asking(
    configured: Config, time: Time | None = None, share: float = 1.0, **environ: str
) -> AsyncIterator[Upstreams]:
    time = time or Time()
    upstreams = Upstreams(configured, environ, clock=time, sleep=time.sleep, share=lambda: share)
    try:
        yield upstreams
    finally:
        await upstreams.close()


def question(
    model: str = "big", *, patience_s: float = 60, once: bool = False, endpoint: Any = "chat", **body: Any
) -> Question:
    """Something to ask, with a deadline from now on."""
    deadline_s = asyncio.get_running_loop().time() + patience_s
    body = {"model": model, "messages": [{"role": "user", "content": "3 + 4?"}], **body}
    return Question(model, body, deadline_s, Calls(once=once), endpoint)


class Heard:
    """Everything that a stream says, and who says it."""

    def __init__(self) -> None:
        self.models: list[str] = []
        self.said: list[Said] = []

    def opens(self, model: str) -> None:
        self.models.append(model)

    async def hears(self, said: Sequence[Said]) -> None:
        self.said += said

    @property
    def text(self) -> str:
        deltas = [choice["delta"] for each in self.said for choice in each.data["choices"]]
        return "".join(delta.get("content") or "" for delta in deltas)


ANSWER = completion()
EVENTS = (
    event(chunk({"role": "assistant", "content": ""})),
    event(chunk({"content": "The answer is 7."})),
    event(chunk({}, "stop")),
    event(chunk({}, choices=[], usage=ANSWER["usage"])),
    DONE,
)
