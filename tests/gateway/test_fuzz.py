"""Thousands of damaged requests: each is answered or refused by name, none breaks, hangs or spends.

GRADUS_FUZZ=10000 says how many; the default is what a test run can wait for.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.gateway.doubles import ScriptedWorker, UpstreamDouble

pytestmark = pytest.mark.timeout(600)

BODIES = int(os.environ.get("GRADUS_FUZZ", "1500"))
AT_ONCE = 8
PATIENCE_S = 60.0
SERVER_ERROR = 500
OK = 200
PATHS = (
    "chat/completions",
    "completions",
    "embeddings",
    "responses",
    "gradus/explain",
    "gradus/feedback",
    "gradus/admin/keys",
)

VALID: dict[str, Any] = {
    "model": "gradus/remote",
    "messages": [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": [{"type": "text", "text": "Calculate 3 + 4."}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function"}]},
        {"role": "tool", "content": "7", "tool_call_id": "c"},
    ],
    "input": "Calculate 3 + 4.",
    "prompt": "Calculate 3 + 4.",
    "stream": False,
    "stream_options": {"include_usage": True},
    "max_tokens": 10,
    "temperature": 0.5,
    "top_p": 0.9,
    "n": 1,
    "stop": ["\n"],
    "seed": 1,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "logit_bias": {"5": 1},
    "metadata": {"a": "b"},
    "gradus": {"strategy": "beam", "budget": 8, "beam_width": 2, "task": {"kind": "math", "key": "7"}},
    "id": "chatcmpl-1",
    "right": True,
    "name": "k",
    "limits": {"usd_per_day": "1"},
}
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    -(2**80),
    1e308,
    "",
    "\x00",
    "\ud800",
    "gradus/" * 50,
    "a" * 5000,
    "́" * 100,
    [],
    {},
    [[[[[]]]]],
    {"": {"": {"": None}}},
    [None],
    {"$ref": "#/nowhere"},
    {"type": ["object", 7], "properties": 3},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something could be changed."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        found += places(each, (*path, key))
    return found


def changed(rng: random.Random, value: Any) -> Any:
    """A copy with one thing replaced, taken out, doubled or nested."""
    value = json.loads(json.dumps(value))
    *way, last = rng.choice(places(value))
    holder = value
    for step in way:
        holder = holder[step]
    what = rng.randrange(4)
    if what == 0:
        holder[last] = rng.choice(ODD)
    elif what == 1:
        del holder[last]
    elif what == 2:
        holder[last] = [holder[last], rng.choice(ODD)]
    else:
        holder[last] = {rng.choice(("type", "content", "name", "ключ", "")): holder[last]}
    return value


def damaged(rng: random.Random) -> bytes:
    """A body that is wrong, or nearly right."""
    body = {**VALID, "model": rng.choice(("gradus/remote", "remote", "small"))}
    for _ in range(rng.randint(1, 4)):
        body = changed(rng, body)
    text = json.dumps(body)
    damages: tuple[Callable[[], bytes], ...] = (
        lambda: text.encode(),
        lambda: text.encode(),
        lambda: text.encode()[: rng.randrange(len(text))],
        lambda: bytes(rng.randrange(256) for _ in range(rng.randrange(200))),
        lambda: text.replace(":", rng.choice((":NaN", ":Infinity", "::", ":1e999", ": -")), 1).encode(),
        lambda: text.encode("utf-16"),
        lambda: b"[" * rng.choice((1, 100, 9000)),
        lambda: b'{"a":' * rng.choice((1, 100, 3000)),
        lambda: text.encode()[:-1] + b"\xff" + text.encode()[-1:],
        lambda: json.dumps(rng.choice(ODD)).encode(),
    )
    return rng.choice(damages)()


def test_damaged_requests_break_nothing_and_spend_nothing(
    url: str, worker: ScriptedWorker, upstream: UpstreamDouble
) -> None:
    rng = random.Random(7)
    requests = [(rng.choice(PATHS), damaged(rng)) for _ in range(BODIES)]
    statuses: Counter[int] = Counter()
    bad: list[tuple[str, bytes, int, str]] = []

    async def ask(http: httpx.AsyncClient, path: str, body: bytes) -> None:
        answer = await http.post(f"/v1/{path}", content=body, headers={"content-type": "application/json"})
        statuses[answer.status_code] += 1
        named = answer.status_code < SERVER_ERROR and (
            answer.is_success or isinstance(answer.json()["error"]["code"], str)
        )
        if not named:
            bad.append((path, body, answer.status_code, answer.text[:200]))

    async def run() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
            for start in range(0, BODIES, AT_ONCE):
                await asyncio.gather(*(ask(http, *each) for each in requests[start : start + AT_ONCE]))

    asyncio.run(run())

    assert bad == []
    assert statuses.total() == BODIES
    assert len(upstream.bodies) + len(worker.jobs) <= statuses[OK]
