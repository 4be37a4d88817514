"""The gateways that are compared, each a process of its own on one core, all before the same upstream."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from gateway.redis_server import redis_command

GATEWAY_CORE: Final = "0"
OTHER_CORE: Final = "1"
"""For the upstream, Redis and whoever asks."""
START_S: Final = 120.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")

_GRADUS: Final = """
models:
  abacus-small:
    engine: transformers
    path: embedded:abacus-small
    context_tokens: 512
    parameters: 951_424
    max_tokens: 192
    price: {usd_per_hour: 0.10, prompt_tokens_per_second: 20_000, completion_tokens_per_second: 5_500}
  abacus-large:
    engine: openai
    base_url: URL
    upstream_model: m
    context_tokens: 512
    max_tokens: 192
    price: {usd_per_million_prompt_tokens: 2.50, usd_per_million_completion_tokens: 10}
verifiers:
  abacus-prm:
    kind: prm
    path: embedded:abacus-prm
    context_tokens: 512
    parameters: 951_553
    price: {usd_per_hour: 0.10, tokens_per_second: 15_000}
predictor: embedded:abacus-predictor
policies:
  default:
    small: abacus-small
    verifier: abacus-prm
    large: abacus-large
    strategy: best_of_n_weighted
    min_accuracy: 0.75
    usd_per_right_answer: 0.02
cache: {mode: all}
server: {auth: keys, max_concurrent_requests: 5000}
"""
"""Key, ledger, prediction, policy, cache and journal are on. What is asked is hard for the small model, so
that the large one answers: the upstream."""

_LITELLM: Final = """
model_list:
  - model_name: m
    litellm_params: {model: openai/m, api_base: URL, api_key: none}
"""
_MASTER_KEY: Final = "sk-0123456789abcdef0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A gateway that is up. ``session`` is its processes'; 0 for none."""

    name: str
    url: str
    model: str
    session: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    def cpu_s(self) -> float:
        """What its processes have used of processors so far."""
        return sum((int(each[11]) + int(each[12])) / _TICKS for each in self._stats())

    def rss_mib(self) -> float:
        return sum(int(each[21]) for each in self._stats()) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def _stats(self) -> Iterator[list[str]]:
        """/proc/PID/stat of each, from the third field (its state) on."""
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                found = path.read_text().rpartition(")")[2].split()
                if self.session and int(found[3]) == self.session:
                    yield found


@dataclass(frozen=True, slots=True)
class Peers:
    """Where others are installed; ``None``: left out."""

    litellm: Path | None = None
    """Its command."""
    portkey: Path | None = None
    """Its ``build/start-server.js``."""


class Stage:
    """Starts what is compared, and ends it all. Files go to ``folder``; ports from ``port`` on are used."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self._port = folder, port
        self._stack = ExitStack()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def upstream(self, gap_ms: float = 0.0) -> Contestant:
        """What all of them ask, asked directly."""
        port = self._next()
        command = [
            sys.executable, "-m", "benchmarks.gateway.upstream", str(port), "--gap-ms", str(gap_ms),
        ]  # fmt: skip
        session = self._run("upstream", command, OTHER_CORE)
        return self._up(Contestant("upstream", f"http://127.0.0.1:{port}", "m", session))

    def bare(self, upstream: Contestant) -> Contestant:
        port = self._next()
        session = self._run(
            "bare", [sys.executable, "-m", "benchmarks.gateway.bare", str(port), f"{upstream.url}/v1"]
        )
        return self._up(Contestant("starlette + aiohttp", f"http://127.0.0.1:{port}", "m", session))

    def bare_granian(self, upstream: Contestant, command: Path) -> Contestant:
        """The same application in another server."""
        port = self._next()
        session = self._run(
            "granian",
            [str(command), "--interface", "asgi", "--port", str(port), "--workers", "1",
             "--runtime-threads", "1", "--loop", "uvloop", "--no-access-log", "--factory",
             "benchmarks.gateway.bare:configured"],
            environ={"UPSTREAM": f"{upstream.url}/v1"},
        )  # fmt: skip
        return self._up(Contestant("the same in granian", f"http://127.0.0.1:{port}", "m", session))

    def gradus(self, upstream: Contestant) -> Contestant:
        """With a Redis of its own, and a key that has a budget."""
        port, home = self._next(), self.folder / "gradus"
        home.mkdir()
        redis = home / "redis.sock"
        self._run("redis", redis_command(redis, home), OTHER_CORE)
        config = home / "gradus.yaml"
        config.write_text(_GRADUS.replace("URL", f"{upstream.url}/v1"))
        environ = {
            "GRADUS_CONFIG": str(config),
            "GRADUS_HOME": str(home),
            "GRADUS_REDIS_URL": f"unix://{redis}",
            "OMP_NUM_THREADS": "1",
        }
        gradus = [sys.executable, "-m", "gateway"]
        made = subprocess.run(
            [*gradus, "keys", "create", "bench", "--usd-total", "1000000", "--json"],
            env={**os.environ, **environ}, capture_output=True, check=True,
        )  # fmt: skip
        session = self._run("gradus", [*gradus, "serve", "--port", str(port)], environ=environ)
        headers = {"authorization": f"Bearer {json.loads(made.stdout)['secret']}"}
        return self._up(Contestant("Gradus", f"http://127.0.0.1:{port}", "gradus", session, headers))

    def litellm(self, upstream: Contestant, command: Path) -> Contestant:
        port = self._next()
        config = self.folder / "litellm.yaml"
        config.write_text(_LITELLM.replace("URL", f"{upstream.url}/v1"))
        session = self._run(
            "litellm",
            [str(command), "--config", str(config), "--port", str(port), "--num_workers", "1"],
            environ={
                "LITELLM_LOG": "ERROR",
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_MASTER_KEY": _MASTER_KEY,  # it does not start without
            },
        )
        headers = {"authorization": f"Bearer {_MASTER_KEY}"}
        return self._up(Contestant("litellm proxy", f"http://127.0.0.1:{port}", "m", session, headers))

    def portkey(self, upstream: Contestant, script: Path) -> Contestant:
        port = self._next()
        session = self._run(
            "portkey",
            ["node", str(script), f"--port={port}", "--headless"],
            environ={"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
        )
        headers = {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"{upstream.url}/v1",
            "authorization": "Bearer none",
        }
        return self._up(Contestant("Portkey gateway", f"http://127.0.0.1:{port}", "m", session, headers))

    def _next(self) -> int:
        self._port += 1
        return self._port

    def _run(
        self, name: str, command: Sequence[str], core: str = GATEWAY_CORE, environ: Mapping[str, str] = {}
    ) -> int:
        log = self._stack.enter_context((self.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            ["taskset", "-c", core, *command],
            stdout=log, stderr=log, env={**os.environ, **environ}, start_new_session=True,
        )  # fmt: skip
        self._stack.enter_context(_ended(process))
        return process.pid

    def _up(self, contestant: Contestant) -> Contestant:
        """Once it answers a chat."""
        give_up_s = time.monotonic() + START_S
        body = {"model": contestant.model, "messages": [{"role": "user", "content": "Calculate 9 * 8 * 97."}]}
        said = "nothing"
        while time.monotonic() < give_up_s:
            try:
                answer = httpx.post(
                    f"{contestant.url}/v1/chat/completions", json=body, headers=contestant.headers
                )
                if answer.status_code == httpx.codes.OK:
                    return contestant
                said = answer.text
            except httpx.HTTPError as error:
                said = repr(error)
            time.sleep(0.2)
        raise TimeoutError(f"{contestant.name} does not answer: {said}; its log is in {self.folder}")


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
