"""A Redis of a test's own, to kill and to start again, with or without what it once saved."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import redis

from gateway.redis_server import redis_command
from tests.gateway.ledger.accounts import GIVE_UP_S

_ROOT = "gradus:ledger"


class OwnRedis:
    def __init__(self) -> None:
        self.folder = Path(
            tempfile.mkdtemp(prefix="gradus-test-")
        )  # short: socket paths end at 107 characters
        self.url = f"unix://{self.folder}/r.sock"
        self.client = redis.Redis.from_url(self.url)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = redis_command(self.folder / "r.sock", self.folder)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def close(self) -> None:
        self.kill()
        self.client.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False


def until(true: Callable[[], object]) -> None:
    """Wait for what other processes do; fails after a while."""
    give_up_s = time.monotonic() + GIVE_UP_S
    while not true():
        assert time.monotonic() < give_up_s, "it did not happen"
        time.sleep(0.01)


def held(client: redis.Redis, window: str = "total") -> Mapping[str, int]:
    """Picodollars by scope, as the valid generation of counters has them."""
    generation = client.get(f"{_ROOT}:generation")
    if not isinstance(generation, bytes):
        return {}
    found: Any = client.hgetall(f"{_ROOT}:{generation.decode()}:{window}")
    return {scope.decode(): int(amount) for scope, amount in found.items()}


def running(client: redis.Redis) -> Mapping[str, int]:
    return held(client, "running")
