"""A real gateway on a real port, with a real Redis; scripted are only the worker and the upstream server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import openai
import pytest

from gateway.app import create_app
from gateway.settings import Settings, load_settings
from tests.gateway.doubles import ScriptedWorker, serving
from tests.gateway.upstream import UpstreamDouble, UpstreamHost

LOST_AFTER_S = 0.6  # the patience of these gateways with a silent worker

CONFIG = """
models:
  small:
    engine: transformers
    path: nowhere
    context_tokens: 512
    parameters: 1000
    max_tokens: 100
    price: {{usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}}
  big:
    engine: transformers
    path: nowhere
    context_tokens: 512
    parameters: 14000
    max_tokens: 100
    price: {{usd_per_million_prompt_tokens: 10, usd_per_million_completion_tokens: 20}}
  longer:
    engine: transformers
    path: nowhere
    context_tokens: 1024
    parameters: 14000
    max_tokens: 100
    price: {{usd_per_million_prompt_tokens: 10, usd_per_million_completion_tokens: 20}}
  remote:
    engine: openai
    base_url: {upstream}/v1
    upstream_model: double
    parameters: 1000000
    max_tokens: 100
    api_key_env: REMOTE_KEY
    max_retries: 0
    price: {{usd_per_million_prompt_tokens: 10, usd_per_million_completion_tokens: 20}}
  lite:
    engine: litellm
    litellm_model: openai/double
    base_url: {upstream}/v1
    api_key_env: LITE_KEY
    max_retries: 0
verifiers:
  prm:
    kind: prm
    path: nowhere
    context_tokens: 512
    parameters: 500
    price: {{usd_per_million_tokens: 0.3}}
policies:
  default: &default
    small: small
    verifier: prm
    large: big
    probe_samples: 4
    search_samples: 8
    usd_per_right_answer: 0.01
    deadline_s: 60
  remote: {{<<: *default, large: remote}}
  lite: {{<<: *default, large: lite}}
  alone: {{small: small, verifier: prm, probe_samples: 4, search_samples: 8, usd_per_right_answer: 0.01}}
  hasty: {{<<: *default, large: remote, deadline_s: 1}}
  patient: {{<<: *default, overflow: wait, deadline_s: 1}}
  longer: {{<<: *default, large: longer}}
  longer-capped: {{<<: *default, large: remote, max_cost_usd: 0.0015}}
  capped: {{<<: *default, max_cost_usd: 0.000001}}
server:
  max_body_bytes: 20000
"""


@pytest.fixture(scope="package")
def upstream_host() -> Iterator[UpstreamHost]:
    host = UpstreamHost()
    with serving(host.app()) as url:
        host.url = url
        yield host


@pytest.fixture
def upstream(upstream_host: UpstreamHost) -> UpstreamDouble:
    """The server of the large models "remote" and "lite", new for each test."""
    upstream_host.double = UpstreamDouble()
    return upstream_host.double


@pytest.fixture
def worker(redis_url: str) -> Iterator[ScriptedWorker]:
    with ScriptedWorker(redis_url) as scripted:
        yield scripted


Configure = Callable[..., Settings]
Start = Callable[[Settings], str]


@pytest.fixture(scope="package")
def configure(
    tmp_path_factory: pytest.TempPathFactory, upstream_host: UpstreamHost, redis_server: str
) -> Configure:
    """Settings of the test configuration; keyword arguments are environment variables."""
    path = tmp_path_factory.mktemp("gateway") / "gradus.yaml"
    path.write_text(CONFIG.format(upstream=upstream_host.url))

    def settings(**environ: str) -> Settings:
        known = {"GRADUS_REDIS_URL": redis_server, "REMOTE_KEY": "key-1", "LITE_KEY": "key-2"}
        loaded = load_settings(path, {**known, **environ})
        return Settings(loaded.config, loaded.environ, lost_after_s=LOST_AFTER_S)

    return settings


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts gateways; gives their URL."""
    with ExitStack() as running:
        yield lambda settings: running.enter_context(serving(create_app(settings)))


@pytest.fixture(scope="package")
def shared_gateway(configure: Configure) -> Iterator[str]:
    with serving(create_app(configure())) as url:
        yield url


@pytest.fixture
def url(shared_gateway: str, upstream: UpstreamDouble, redis_url: str) -> str:
    """The URL of a gateway that all tests share, with an empty Redis and a new upstream server."""
    return shared_gateway


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=30) as client:
        yield client
