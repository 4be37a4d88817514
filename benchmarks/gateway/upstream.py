"""A server that answers at once, whatever it is asked: ``python -m benchmarks.gateway.upstream PORT``.

Whole answers are always the same bytes; streams are ``CHUNKS`` events, sent together or, with ``--gap-ms``,
one by one. It reads no more of a request than it must, so that its core is left to whoever asks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any, Final

import uvloop

CHUNKS: Final = 20
USAGE: Final = {"prompt_tokens": 60, "completion_tokens": 20, "total_tokens": 80}
_HEAD: Final = {"id": "chatcmpl-1", "created": 1, "model": "m"}


def _event(choices: list[Any], **more: Any) -> bytes:
    chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **more}
    event = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


_CHOICE: Final = {
    "index": 0,
    "message": {"role": "assistant", "content": "The answer is 42."},
    "finish_reason": "stop",
}
_BODY: Final = json.dumps(
    {**_HEAD, "object": "chat.completion", "choices": [_CHOICE], "usage": USAGE}
).encode()
ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
EVENTS: Final = [
    _event([_choice({"role": "assistant", "content": ""})]),
    *[_event([_choice({"content": " hello"})])] * CHUNKS,
    _event([_choice({}, "stop")]),
    _event([], usage=USAGE),
    b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
]


class Server(asyncio.Protocol):
    """One connection; requests come one after another, with a content-length."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._read = b""
        self._transport: asyncio.Transport
        self._streams: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's

    def connection_lost(self, _: Exception | None) -> None:
        for stream in self._streams:
            stream.cancel()

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(rest) < length:
            return
        self._read = rest[length:]
        if b'"stream":true' not in rest and b'"stream": true' not in rest:
            self._transport.write(ANSWER)
        elif not self._gap_s:
            self._transport.write(STREAM_HEAD + b"".join(EVENTS))
        else:
            stream = asyncio.create_task(self._stream())
            self._streams.add(stream)
            stream.add_done_callback(self._streams.discard)

    async def _stream(self) -> None:
        self._transport.write(STREAM_HEAD)
        for event in EVENTS:
            self._transport.write(event)
            await asyncio.sleep(self._gap_s)


async def _serve(port: int, gap_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(gap_s), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--gap-ms", type=float, default=0.0)
    options = parser.parse_args()
    uvloop.run(_serve(options.port, options.gap_ms / 1000))


if __name__ == "__main__":
    main()
