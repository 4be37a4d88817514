"""A product of a configuration file: policies of every kind, models behind servers; it tells what it does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.e2e.collector import Collector, collecting
from tests.e2e.product import Product, free_port, start_product
from tests.workers.engines.openai_server import until

PATIENCE_S = 60.0
"""For processes: machines may be busy."""

CONFIG = """
models:
  small: &small
    engine: transformers
    path: embedded:abacus-small
    context_tokens: 512
    max_tokens: 192
    price: {{usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}}
  remote:   # the model of another gateway
    engine: openai
    base_url: {other}/v1
    upstream_model: abacus-small
    context_tokens: 512
    max_tokens: 192
    price: {{usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}}
  frail:    # the model of a process that tests kill
    engine: openai
    base_url: {frail}/v1
    upstream_model: tiny
    context_tokens: 4096
    max_tokens: 4000

verifiers:
  prm: &prm
    {{kind: prm, path: embedded:abacus-prm, context_tokens: 512, price: {{usd_per_million_tokens: 1}}}}
  strict: {{<<: *prm, aggregation: min}}
  doubted: {{<<: *prm, quality: {{file: {quality}, min_auc: 0.9}}}}
  both: {{kind: ensemble, weights: {{prm: 3, strict: 1}}}}
  votes: {{kind: majority}}

policies:
  default: &default
    {{small: small, verifier: prm, probe_samples: 0, search_samples: 16, usd_per_right_answer: 1}}
  dvts: {{<<: *default, strategy: dvts}}
  window: {{<<: *default, strategy: majority, stopping: {{rule: window, window: 4}}}}
  sqrt: {{<<: *default, strategy: beam, beam_width: sqrt}}
  ensemble: {{<<: *default, strategy: beam, verifier: both}}
  doubted: {{<<: *default, strategy: best_of_n, verifier: doubted}}
  remote: {{<<: *default, small: remote, search_samples: 4}}
  frail: &frail {{<<: *default, small: frail, verifier: votes, strategy: majority, search_samples: 4}}
  hasty: {{<<: *frail, deadline_s: 4}}
  seen: {{<<: *default, probe: always, probe_samples: 4}}
"""
ADMIN_KEY = "an-admin's-key-that-no-log-has"
LARGE_KEY = "a-large-model's-key-that-no-log-has"
TELLING = {
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "GRADUS__TELEMETRY__LOG_FORMAT": "json",
    "GRADUS__TELEMETRY__LOG_LEVEL": "debug",
    "GRADUS_ADMIN_KEY": ADMIN_KEY,
    "OPENAI_API_KEY": LARGE_KEY,
}
"""The environment: everything is traced and logged."""


@dataclass
class Frail:
    """The server of the model "frail"; it can be killed and started again at the same port."""

    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "tests.e2e.model_server", str(self.port)])
        until(self.answers, PATIENCE_S)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/state").is_success
        except httpx.TransportError:
            return False

    def state(self) -> dict[str, int]:
        """How many answers are "running", how many were "given_up" because their client left, and how many
        "pieces" of the last were sent.
        """
        said: dict[str, int] = httpx.get(f"{self.url}/state").json()
        return said

    def wait_until(self, true: Callable[[dict[str, int]], object]) -> None:
        until(lambda: true(self.state()), PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Served:
    """A product of :data:`CONFIG`, the server of its model "frail", and who takes its traces."""

    product: Product
    frail: Frail
    collector: Collector


@contextmanager
def serving_everything(folder: Path, other: Product) -> Iterator[Served]:
    """Start it in an empty folder; ``other`` serves the model "remote"."""
    quality = folder / "quality.json"
    measured = {"version": 1, "verifier": "doubted", "auc": 0.55, "gain_over_majority": 0.0}
    quality.write_text(json.dumps(measured))
    frail = Frail(free_port())
    config = folder / "gradus.yaml"
    config.write_text(CONFIG.format(other=other.url, frail=frail.url, quality=quality))
    with collecting() as collector:
        frail.start()
        try:
            endpoint = f"http://127.0.0.1:{collector.server_port}"
            environment = TELLING | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
            product = start_product(folder, free_port(), environment, config=config)
            yield Served(product, frail, collector)
            product.stop()
        finally:
            frail.kill()
