"""Requests that are right, and what can be wrong with them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

TURNS = [
    {"role": "system", "content": "You help."},
    {"role": "user", "content": [{"type": "text", "text": "Calculate 3 + 4."}]},
]
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
    },
}
SCHEMA = {"name": "a", "schema": {"type": "object", "properties": {"x": {"type": "integer"}}}, "strict": True}
CHATS: tuple[dict[str, Any], ...] = (
    {"model": "gradus", "messages": TURNS, "max_tokens": 10, "temperature": 0.5, "stop": ["\n"], "seed": 1},
    {
        "model": "gradus",
        "messages": TURNS,
        "gradus": {
            "strategy": "beam",
            "budget": 8,
            "beam_width": 2,
            "max_rounds": 5,
            "task": {"kind": "math"},
        },
    },
    {
        "model": "gradus/default",
        "messages": TURNS,
        "gradus": {"budget": 4, "stopping": {"rule": "window", "window": 2, "confidence": 0.9}},
        "response_format": {"type": "json_schema", "json_schema": SCHEMA},
    },
    {
        "model": "remote",
        "messages": [
            *TURNS,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "content": "7", "tool_call_id": "c"},
        ],
        "tools": [TOOL],
        "tool_choice": "auto",
        "n": 2,
        "top_p": 0.9,
        "logit_bias": {"5": 1},
        "metadata": {"a": "b"},
    },
    {
        "model": "gradus",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/x.png"}}],
            }
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "reasoning_effort": "low",
    },
    {"model": "gradus", "messages": TURNS, "tools": [TOOL], "tool_choice": "required", "stream": True},
)
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    2**63,
    -(2**80),
    1e308,
    "",
    "\x00",
    "\ud800",
    "gradus/" * 50,
    "a" * 5000,
    "\u0301" * 100,
    "http://127.0.0.1:9/",
    [],
    {},
    [[[[[]]]]],
    {"": {"": {"": None}}},
    [None],
    {"$ref": "#/nowhere"},
    {"$ref": "http://127.0.0.1:9/schema"},
    {"type": ["object", 7], "properties": 3},
)


@dataclass(frozen=True, slots=True)
class Sent:
    """``spends``: an answer of this endpoint costs something."""

    method: str
    path: str
    body: bytes = b""
    admin: bool = False
    spends: bool = False


def right(rng: random.Random, known_id: str) -> tuple[str, Mapping[str, Any]]:
    """A path and a body that it takes. ``known_id`` is an answer's."""
    chat = rng.choice(CHATS)
    choices: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("chat/completions", chat),
        ("chat/completions", chat),
        ("chat/completions", chat),
        ("gradus/explain", chat),
        (
            "completions",
            {"model": "remote", "prompt": ["3 +", "4 ="], "max_tokens": 5, "n": 1, "stream": False},
        ),
        ("completions", {"model": "remote", "prompt": "3 +", "stream": True}),
        ("embeddings", {"model": "embedder", "input": ["a", "b"], "dimensions": 2}),
        ("responses", {"model": "remote", "input": TURNS, "max_output_tokens": 5, "tools": [TOOL]}),
        ("responses", {"model": "remote", "input": "3 + 4", "stream": True, "metadata": {"a": "b"}}),
        ("gradus/feedback", {"id": known_id, "score": 0.5, "comment": "half of it"}),
        (
            "gradus/admin/keys",
            {
                "name": "k",
                "limits": {"usd_per_day": "1", "requests_per_minute": 3},
                "models": ["remote"],
                "tags": {"a": "b"},
                "expires_at": "2027-06-30T00:00:00Z",
                "without_redis": "lease",
                "lease_usd": "1",
            },
        ),
        (
            "gradus/admin/teams",
            {"name": f"t{rng.random()}", "limits": {"usd_total": "1", "tokens_per_minute": 9}},
        ),
        (
            "gradus/usage",
            {"group_by": "day,model", "from": "2026-11-01", "to": "2026-11-30", "format": "json"},
        ),
    )
    return rng.choice(choices)


def damaged(rng: random.Random, known_id: str) -> Sent:
    """One request in three is only nearly wrong: a field or two; a few are no JSON, a few are right."""
    path, body = right(rng, known_id)
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        body = _changed(rng, body)
    admin = path.startswith("gradus/admin/")
    if path == "gradus/usage":
        words = {
            name: json.dumps(value) if not isinstance(value, str) else value for name, value in body.items()
        }
        return Sent("GET", f"{path}?{urlencode(words, errors='replace')}", admin=rng.random() < 0.5)
    spends = not path.startswith("gradus/")
    return Sent("POST", path, _written(rng, body), admin, spends)


def _written(rng: random.Random, body: Mapping[str, Any]) -> bytes:
    text = json.dumps(body)
    damages: tuple[Callable[[], bytes], ...] = (
        lambda: text.encode()[: rng.randrange(len(text))],
        lambda: bytes(rng.randrange(256) for _ in range(rng.randrange(200))),
        lambda: text.replace(":", rng.choice((":NaN", ":Infinity", "::", ":1e999", ": -")), 1).encode(),
        lambda: text.encode("utf-16"),
        lambda: b"[" * rng.choice((1, 100, 9000)),
        lambda: b'{"a":' * rng.choice((1, 100, 3000)),
        lambda: text.encode()[:-1] + b"\xff" + text.encode()[-1:],
        lambda: json.dumps(rng.choice(ODD)).encode(),
        lambda: text.replace("}", ', "model": 3}', 1).encode(),  # a name twice
        lambda: text.replace("1", "9" * 5000, 1).encode(),
    )
    return rng.choice(damages)() if rng.random() < 0.15 else text.encode()


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something could be changed."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        found += _places(each, (*path, key))
    return found


def _changed(rng: random.Random, value: Any) -> Any:
    """A copy with one thing replaced, taken out, doubled, nested or added."""
    value = json.loads(json.dumps(value))
    places = _places(value)
    if not places:
        return value
    *way, last = rng.choice(places)
    holder = value
    for step in way:
        holder = holder[step]
    what = rng.randrange(5)
    if what == 0:
        holder[last] = rng.choice(ODD)
    elif what == 1:
        del holder[last]
    elif what == 2:
        holder[last] = [holder[last], rng.choice(ODD)]
    elif what == 3:
        holder[last] = {rng.choice(("type", "content", "name", "ключ", "")): holder[last]}
    else:
        value[rng.choice(("ключ", "service_tier", "background", "audio", "functions", "gradus"))] = (
            rng.choice(ODD)
        )
    return value
