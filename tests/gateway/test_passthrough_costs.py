"""The most that completions, embeddings and responses may cost: what has no bound has no price."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.passthrough import Passthrough, read
from router.config import load_config
from router.market import open_market
from router.prompts import added_tokens
from tests.gateway.test_passthrough import CONFIG


@pytest.fixture(scope="module")
def passthrough(tmp_path_factory: pytest.TempPathFactory) -> Passthrough:
    path: Path = tmp_path_factory.mktemp("pricing") / "gradus.yaml"
    path.write_text(CONFIG.format(upstream="http://x", redis="redis://x", folder=path.parent))
    nobody: Any = None
    return Passthrough(open_market(load_config(path, {})), nobody, nobody)


READ, WRITTEN = Decimal("0.00001"), Decimal("0.00002")


@pytest.mark.parametrize(
    ("endpoint", "fields", "written"),
    [
        ("completions", {"prompt": "Once"}, 100),
        ("completions", {"prompt": "Once", "max_tokens": 7, "n": 3, "best_of": 5}, 35),
        ("completions", {"prompt": ["Once", "Twice"], "max_tokens": 7}, 14),
        ("completions", {"prompt": [1, 2, 3], "max_tokens": 7}, 7),
        ("responses", {"input": "Once", "max_output_tokens": 9}, 9),
        ("responses", {"input": "Once", "tools": [{"type": "function", "name": "f"}]}, 100),
    ],
)
def test_a_worst_case_is_all_bytes_read_and_all_tokens_written(
    passthrough: Passthrough, endpoint: Any, fields: dict[str, Any], written: int
) -> None:
    raw = json.dumps({"model": "writer", **fields}, separators=(",", ":")).encode()
    added = added_tokens(fields) if endpoint == "responses" else 0  # by the template of a chat
    assert passthrough.worst_case_usd(read(raw, endpoint)) == (len(raw) + added) * READ + written * WRITTEN


def worst_usd(passthrough: Passthrough, endpoint: Any, **body: Any) -> Decimal | None:
    return passthrough.worst_case_usd(read(json.dumps(body).encode(), endpoint))


@pytest.mark.parametrize(
    "fields",
    [
        {"service_tier": "priority"},
        {"n_predict": 9999},
        {"max_tokens": 9999},
        {"best_of": 20},
        {"tools": [{"type": "web_search"}]},
        {"previous_response_id": "resp-1"},
        {"prompt": {"id": "pmpt-1"}},
        {"input": [{"id": "msg_1"}]},
        {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]},
        {"input": [{"type": "computer_call_output", "output": {"type": "x", "file_id": "f"}}]},
        {"instructions": [{"id": "msg_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
    ],
)
def test_nobody_knows_the_worst_case_of_what_has_no_bound(
    passthrough: Passthrough, fields: dict[str, Any]
) -> None:
    assert worst_usd(passthrough, "responses", model="writer", **{"input": "Once", **fields}) is None


def test_a_context_bounds_what_is_read_and_a_fallback_what_is_paid(passthrough: Passthrough) -> None:
    long = {"previous_response_id": "resp-1", "max_output_tokens": 1}
    assert worst_usd(passthrough, "responses", model="bounded", **long) == 50 * READ + WRITTEN
    fields = {"input": "Once", "max_output_tokens": 1}
    assert worst_usd(passthrough, "responses", model="unpriced", **fields) is None
    plain, backed = (
        worst_usd(passthrough, "responses", model=name, **fields) for name in ("writer", "backed")
    )
    assert plain is not None
    assert plain * 10 == backed


def test_embeddings_write_nothing(passthrough: Passthrough) -> None:
    raw = b'{"model":"embedder","input":["a","b"]}'
    assert passthrough.worst_case_usd(read(raw, "embeddings")) == len(raw) * READ


def test_what_is_all_here_is_bounded_by_its_bytes(passthrough: Passthrough) -> None:
    turns = [
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "function_call", "name": "f", "call_id": "1", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "3"},
    ]
    assert worst_usd(passthrough, "responses", model="writer", input=turns) is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"input": [{"image": "https://elsewhere/x.png"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
    ],
)
def test_a_picture_to_embed_has_no_bound(passthrough: Passthrough, fields: dict[str, Any]) -> None:
    assert worst_usd(passthrough, "embeddings", model="embedder", **fields) is None
