"""Who asks: wrk, for whole answers, and a client of our own for streams."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from benchmarks.gateway.contestants import OTHER_CORE, Contestant

QUESTION: Final = "Calculate 93 * 87 * NUMBER - 12."
_numbers = count(int(time.time()) * 1000, 1_000_000_000)
"""No question is asked twice, in no run."""

_LUA: Final = """
local before, after, number = [==[%s]==], [==[%s]==], %d
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
%s
request = function()
  number = number + %d
  return wrk.format(nil, nil, nil, before .. string.format("%%d", number) .. after)
end
done = function(summary, latency, requests)
  local e = summary.errors
  local form = '\\nRESULT {"requests": %%d, "seconds": %%f, "p50_ms": %%f, "p99_ms": %%f, "errors": %%d}\\n'
  io.write(string.format(form,
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one turn. ``cpu_ms`` is the gateway's, a request, all its threads together."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    requests: int
    errors: int


def body(model: str, content: str, **more: Any) -> str:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": content}], **more})


def ask(asked: Contestant, connections: int, seconds: int, *, repeated: bool = False) -> Measured:
    """With wrk, over so many connections. ``repeated``: always the same question, which a cache may know."""
    before, after = body(asked.model, QUESTION).split("NUMBER")
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in asked.headers.items())
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        start = 7 if repeated else next(_numbers)
        script.write(_LUA % (before, after, start, headers, 0 if repeated else 1))
        script.flush()
        cpu_s = asked.cpu_s()
        done = subprocess.run(
            ["taskset", "-c", OTHER_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
             "--timeout", "30s", "-s", script.name, f"{asked.url}/v1/chat/completions"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        cpu_s = asked.cpu_s() - cpu_s
    result = json.loads(done.stdout.partition("RESULT ")[2])
    requests = max(result["requests"], 1)
    return Measured(
        result["requests"] / result["seconds"],
        result["p50_ms"],
        result["p99_ms"],
        cpu_s / requests * 1e3,
        result["requests"],
        result["errors"],
    )


@dataclass(frozen=True, slots=True)
class Streams:
    """``first_ms``: from the request to the first bytes of the body, of each stream."""

    first_ms: Sequence[float]
    seconds: float
    failures: Sequence[str]


async def stream(asked: Contestant, streams: int, at_once: int) -> Streams:
    """Ask for so many streams, so many at once, and read each to its end."""
    began_s = time.perf_counter()
    firsts: list[float] = []
    failures: list[str] = []
    left = iter(range(streams))

    async def work() -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for _ in left:
            try:
                connection = connection or await asyncio.open_connection(*_address(asked))
                firsts.append(await _one(asked, *connection))
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                failures.append(repr(error))
                connection = None
        if connection is not None:
            connection[1].close()

    await asyncio.gather(*(work() for _ in range(at_once)))
    return Streams(firsts, time.perf_counter() - began_s, failures)


def _address(asked: Contestant) -> tuple[str, int]:
    host, _, port = asked.url.removeprefix("http://").partition(":")
    return host, int(port)


async def _one(asked: Contestant, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    """Milliseconds to the first bytes of the body. Raises :class:`ValueError` for what is no whole stream."""
    content = body(asked.model, QUESTION.replace("NUMBER", str(next(_numbers))), stream=True).encode()
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: gateway",
        "content-type: application/json",
        f"content-length: {len(content)}",
        *(f"{name}: {value}" for name, value in asked.headers.items()),
    ]
    began_s = time.perf_counter()
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ValueError(head.decode() + (await reader.read(1000)).decode())
    said = await reader.read(65536)
    first_ms = (time.perf_counter() - began_s) * 1e3
    while not said.endswith(b"\r\n0\r\n\r\n"):
        part = await reader.read(65536)
        if not part:
            raise ValueError("it broke off")
        said = said[-4096:] + part
    if b"[DONE]" not in said or b'"error"' in said:
        raise ValueError(said[-300:].decode())
    return first_ms


def own_core() -> None:
    """This process asks, so it keeps away from the gateway's core."""
    os.sched_setaffinity(0, {int(OTHER_CORE)})


def work_folder() -> Path:
    """A short path: Redis listens on a socket in it."""
    return Path(tempfile.mkdtemp(prefix="gradus-bench-"))
