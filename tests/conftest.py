"""What every test folder shares: a real Redis server, private to the test run."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from gateway.redis_server import find_redis_server

_START_TIMEOUT_S = 60.0

# Tests run side by side: threads that wait for one another by turning cost half of the time. Read by whatever
# computes here, in its processes too, before it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No example is held to a clock: a busy machine would fail what is right.
settings.register_profile("gradus", deadline=None)
settings.load_profile("gradus")


_TOGETHER = ("tests/e2e/money/", "tests/e2e/")
"""Folders whose tests share running products: they run in one process of pytest-xdist."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start processes come first: they take longest, and no worker is to wait for the last one."""
    starting = {item.path for item in items for _ in item.iter_markers("process")}
    starting |= {item.path for item in items for _ in item.iter_markers("e2e")}
    items.sort(key=lambda item: item.path not in starting)


def pytest_collection_finish() -> None:
    """What was imported stays: to look through all of it for garbage takes half a second each time."""
    gc.freeze()


class _TogetherScheduling(LoadFileScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return next((each for each in _TOGETHER if file.startswith(each)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """A file at a time, in their order, or all of those that belong together."""
    config.option.loadscopereorder = False
    return _TogetherScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is written to the state folder of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADUS_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """One redis-server process for the whole run, on a Unix socket; its redis-py URL."""
    folder = Path(tempfile.mkdtemp(prefix="gradus-test-"))  # short: socket paths end at 107 characters
    socket = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([find_redis_server(), *options], stdout=subprocess.DEVNULL)
    url = f"unix://{socket}"
    try:
        _wait_until_it_answers(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=_START_TIMEOUT_S)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL (redis-py's form) of an empty Redis."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _START_TIMEOUT_S
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if process.poll() is not None or time.monotonic() > give_up:
                    raise
                time.sleep(0.02)
