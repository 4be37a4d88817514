"""Who answered in a model's place is said: in the reply, in headers, on the bill, in the notice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.app import create_app
from gateway.settings import load_settings
from tests.gateway.doubles import serving
from tests.gateway.upstream import UpstreamDouble, UpstreamHost

CONFIG = """
models:
  small: {{engine: transformers, path: nowhere, context_tokens: 512, max_tokens: 100}}
  away:
    engine: openai
    base_url: http://127.0.0.1:9/v1
    upstream_model: theirs
    max_tokens: 100
    max_retries: 0
    fallbacks: [there]
    price: {{usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 1}}
  there:
    engine: openai
    base_url: {upstream}/v1
    upstream_model: theirs
    max_tokens: 100
    max_retries: 0
    price: {{usd_per_million_prompt_tokens: 10, usd_per_million_completion_tokens: 20}}
verifiers:
  v: {{kind: majority}}
policies:
  default: {{small: small, verifier: v, usd_per_right_answer: 1}}
server: {{redis_url: "{redis}"}}
database: "sqlite:///{folder}/gradus.db"
"""
MESSAGES: list[Any] = [{"role": "user", "content": "Calculate 3 + 4."}]


@pytest.fixture(scope="module")
def url(
    upstream_host: UpstreamHost, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("fallbacks")
    path = folder / "gradus.yaml"
    path.write_text(CONFIG.format(upstream=upstream_host.url, redis=redis_server, folder=folder))
    with serving(create_app(load_settings(path, {}))) as gateway_url:
        yield gateway_url


@pytest.fixture
def client(url: str, upstream: UpstreamDouble) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=30) as client:
        yield client


def check(gradus: dict[str, Any]) -> None:
    assert gradus["model"] == "there"
    assert "away did not answer" in gradus["notice"]
    assert [(line["model"], line["cost_usd"]) for line in gradus["lines"]] == [("there", "0.00025")]


def test_a_fallback_is_named(client: openai.OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(model="away", messages=MESSAGES)
    assert answer.headers["x-gradus-model"] == "there"
    extra = answer.parse().model_extra
    assert extra is not None
    check(extra["gradus"])


def test_a_fallback_of_a_stream_is_named_before_its_first_chunk(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="away", messages=MESSAGES, stream=True) as stream:
        assert stream.response.headers["x-gradus-model"] == "there"
        chunks = list(stream)
    extra = chunks[-1].model_extra
    assert extra is not None
    check(extra["gradus"])


def test_where_nobody_answers_the_error_is_the_models_own(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    upstream.status, upstream.answer = 500, {"error": {"message": "because"}}
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="away", messages=MESSAGES)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_failed")
    assert "'away'" in caught.value.message
