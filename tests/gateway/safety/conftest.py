"""A gateway with keys, a budget and every endpoint, on its own database: what attacks are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gateway.app import create_app
from gateway.settings import Settings, load_settings
from gateway.store import keys
from gateway.store.database import Database
from tests.gateway.doubles import ScriptedWorker, serving, until
from tests.gateway.test_passthrough import COMPLETED, EMBEDDED, PIECES, RESPONSE
from tests.gateway.upstream import UpstreamDouble

ADMIN = "the-admin-of-these-tests-7c1f"
UPSTREAM_KEY = "sk-upstream-5d2e9a"

CONFIG = """
models:
  small: &small
    engine: transformers
    path: nowhere
    context_tokens: 2048
    parameters: 1000
    max_tokens: 100
    honours: [json, tools]
    price: {{usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}}
  remote: &remote
    engine: openai
    base_url: {upstream}/v1
    upstream_model: double
    max_tokens: 100
    api_key_env: REMOTE_KEY
    max_retries: 0
    endpoints: [chat, completions, responses]
    price: {{usd_per_million_prompt_tokens: 10, usd_per_million_completion_tokens: 20}}
  embedder: {{<<: *remote, max_tokens: null, endpoints: [embeddings]}}
verifiers:
  prm: {{kind: prm, path: nowhere, context_tokens: 2048, price: {{usd_per_million_tokens: 0.3}}}}
policies:
  default:
    small: small
    verifier: prm
    large: remote
    probe_samples: 4
    search_samples: 8
    usd_per_right_answer: 0.01
    deadline_s: 60
server: {{auth: keys, max_body_bytes: 20000, redis_url: "{redis}"}}
database: "sqlite:///{folder}/gradus.db"
"""


class Everything(UpstreamDouble):
    """Answers each of OpenAI's endpoints; ``asked`` counts by endpoint what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def answer_any(self, request: Request) -> Response:
        endpoint = request.url.path.removeprefix("/v1/")
        self.asked.append(endpoint)
        if endpoint == "chat/completions":
            return await self.reply(request)
        body = await request.json()
        self.bodies.append(body)
        if body.get("stream") and endpoint == "completions":
            events = [b"data: " + JSONResponse(piece).body + b"\n\n" for piece in PIECES]
            return StreamingResponse(iter([*events, b"data: [DONE]\n\n"]), media_type="text/event-stream")
        if body.get("stream"):
            end = JSONResponse({"type": "response.completed", "response": RESPONSE}).body
            return StreamingResponse(
                iter([b"event: response.completed\ndata: " + end + b"\n\n"]), media_type="text/event-stream"
            )
        answers = {"completions": COMPLETED, "embeddings": EMBEDDED, "responses": RESPONSE}
        return JSONResponse(answers[endpoint])


@dataclass(frozen=True, slots=True)
class Guarded:
    """``key`` has a budget that no test uses up."""

    url: str
    app: FastAPI
    settings: Settings
    upstream: Everything
    worker: ScriptedWorker
    database: Database
    key_id: str
    key: str

    def headers(self, *, admin: bool = False, **more: str) -> dict[str, str]:
        bearer = ADMIN if admin else self.key
        return {"authorization": f"Bearer {bearer}", "content-type": "application/json", **more}


@pytest.fixture(scope="package")
def guarded(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    upstream, theirs, folder = Everything(), FastAPI(), tmp_path_factory.mktemp("guarded")
    own = f"{redis_server}?db=2"  # where no gateway with another database counts
    theirs.add_api_route("/v1/{endpoint:path}", upstream.answer_any, methods=["POST"])
    with serving(theirs) as upstream_url, ScriptedWorker(own) as worker:
        path = folder / "gradus.yaml"
        path.write_text(CONFIG.format(upstream=upstream_url, redis=own, folder=folder))
        environ = {"GRADUS_ADMIN_KEY": ADMIN, "REMOTE_KEY": UPSTREAM_KEY, "GRADUS_HOME": str(folder)}
        database = Database(f"sqlite:///{folder}/gradus.db")
        limits: Any = {"usd_total": 1000}
        settings = load_settings(path, environ)
        app = create_app(settings)
        with serving(app) as url:
            stored, key = keys.create_key(database, {"name": "attacker", "limits": limits})
            headers = {"authorization": f"Bearer {key}"}
            until(lambda: httpx.get(f"{url}/v1/models", headers=headers).is_success)
            yield Guarded(url, app, settings, upstream, worker, database, stored.key.id, key)
        database.close()
