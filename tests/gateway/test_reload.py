"""The admin has a running gateway read its configuration again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway import lifecycle
from gateway.app import create_app
from gateway.lifecycle import Process, open_market, running
from gateway.reloading import LOOK_EVERY_S, Reloading
from gateway.settings import Settings, load_settings
from gateway.store import keys
from gateway.store.database import Database
from gateway.store.reloads import count_reload
from gateway.upstreams import Upstreams
from router.config import Config
from router.errors import ConfigInvalid
from router.opening import Opened
from tests.gateway.conftest import CONFIG
from tests.gateway.doubles import serving, until
from tests.gateway.upstream import UpstreamDouble, UpstreamHost

ADMIN = "the-admin-of-these-tests-3b9a"
HELLO = {"model": "remote", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}


class Reloaded:
    """A gateway with its configuration's file, and what is added to that."""

    def __init__(self, url: str, path: Path, written: str, secret: str) -> None:
        self.url, self.path, self.written, self.secret = url, path, written, secret

    def reload(self, more: str) -> httpx.Response:
        self.path.write_text(f"{self.written}{more}")
        return httpx.post(f"{self.url}/v1/gradus/admin/reload", headers={"authorization": f"Bearer {ADMIN}"})

    def ask(self) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.secret}"}
        return httpx.post(f"{self.url}/v1/chat/completions", headers=headers, json=HELLO)


@pytest.fixture(params=["none", "keys"])
def gateway(
    request: pytest.FixtureRequest, tmp_path: Path, redis_url: str, upstream_host: UpstreamHost
) -> Iterator[Reloaded]:
    upstream_host.double = UpstreamDouble()
    path = tmp_path / "gradus.yaml"
    written = CONFIG.format(upstream=upstream_host.url)
    path.write_text(written)
    address = f"sqlite:///{tmp_path}/gradus.db"
    environ = {
        "GRADUS_REDIS_URL": redis_url,
        "GRADUS_DATABASE_URL": address,
        "GRADUS_ADMIN_KEY": ADMIN,
        "GRADUS__SERVER__AUTH": request.param,
        "REMOTE_KEY": "key-1",
        "LITE_KEY": "key-2",
    }
    database = Database(address)
    _, secret = keys.create_key(database, {"name": "ci"})
    database.close()
    with serving(create_app(load_settings(path, environ))) as url:
        yield Reloaded(url, path, written, secret)


def test_limits_of_everybody_change_without_a_restart(gateway: Reloaded) -> None:
    assert gateway.ask().status_code == 200

    assert gateway.reload("limits: {usd_total: 0.000001}").status_code == 200
    refused = gateway.ask()
    assert refused.json()["error"]["code"] == "insufficient_quota", refused.text
    assert "This gateway has $0 left of $0.000001" in refused.text  # what was spent before counts

    assert gateway.reload("limits: {usd_total: 10}").status_code == 200
    assert gateway.ask().status_code == 200
    assert gateway.reload("").status_code == 200
    assert gateway.ask().status_code == 200


def test_a_file_that_is_wrong_or_changes_what_is_fixed_changes_nothing(gateway: Reloaded) -> None:
    for wrong, said in (
        ("limits: {usd_total: -1}", "usd_total"),
        ("limits: {usd_total: 0.000001}\nrecords: {path: elsewhere}", "records cannot be changed"),
    ):
        refused = gateway.reload(wrong)
        assert refused.status_code == 422
        error = refused.json()["error"]
        assert (error["code"], error["type"]) == ("config_invalid", "invalid_request_error")
        assert said in error["message"]
        assert gateway.ask().status_code == 200


def test_gateways_that_share_a_database_follow_a_reload_and_a_wrong_file_of_theirs_changes_nothing(
    tmp_path: Path, redis_url: str
) -> None:
    paths = [tmp_path / name for name in ("asked.yaml", "other.yaml")]
    written = CONFIG.format(upstream="http://127.0.0.1:9")
    for path in paths:
        path.write_text(written)
    database = f"sqlite:///{tmp_path}/gradus.db"
    environ = {"GRADUS_REDIS_URL": redis_url, "GRADUS_DATABASE_URL": database, "GRADUS_ADMIN_KEY": ADMIN}

    def cap(app: FastAPI) -> object:
        return app.state.gateway.config.limits.usd_total

    def reload(url: str, usd: int, other: str) -> None:
        paths[0].write_text(f"{written}limits: {{usd_total: {usd}}}")
        paths[1].write_text(f"{written}limits: {{usd_total: {other}}}")
        answer = httpx.post(f"{url}/v1/gradus/admin/reload", headers={"authorization": f"Bearer {ADMIN}"})
        assert answer.json()["warnings"] == []

    apps = [create_app(load_settings(path, environ)) for path in paths]
    with serving(apps[0]) as url, serving(apps[1]):
        time.sleep(2 * LOOK_EVERY_S)  # both have looked
        reload(url, 1, "1")
        until(lambda: cap(apps[1]) == 1)
        reload(url, 2, "-2")
        time.sleep(2 * LOOK_EVERY_S)
        assert (cap(apps[0]), cap(apps[1])) == (2, 1)
        reload(url, 3, "3")
        until(lambda: cap(apps[1]) == 3)
        served = apps[0].state.gateway
        time.sleep(2 * LOOK_EVERY_S)
        assert apps[0].state.gateway is served, "who was asked does not follow itself"


def test_a_reload_that_was_told_after_a_gateway_read_its_file_and_before_it_looked_is_followed(
    settings: Settings,
) -> None:
    path = Path(str(settings.source))
    app = create_app(settings)
    path.write_text(f"{path.read_text()}limits: {{usd_total: 2}}")
    database = Database(settings.environ["GRADUS_DATABASE_URL"])
    count_reload(database)
    database.close()

    with serving(app):
        until(lambda: app.state.gateway.config.limits.usd_total == 2)


@pytest.mark.parametrize("meanwhile", [1, 2])
def test_a_reload_elsewhere_that_comes_while_one_here_is_under_way_is_followed(
    tmp_path: Path, meanwhile: int
) -> None:
    database = Database(f"sqlite:///{tmp_path}/gradus.db")

    async def run() -> None:
        reads, followed = 0, asyncio.Event()

        async def read() -> list[str]:
            nonlocal reads
            reads += 1
            if reads == meanwhile:
                count_reload(database)  # for a file that is newer than the one that was read here
            if reads == 3:
                followed.set()
            return []

        reloading = Reloading(database, read)
        reloading.start()
        await reloading.reload()
        await reloading.reload()
        async with asyncio.timeout(30):
            await followed.wait()
        await asyncio.sleep(2 * LOOK_EVERY_S)
        await reloading.stop()
        assert reads == 3, "once is enough"

    asyncio.run(run())


def test_a_reload_while_the_database_is_away_says_that_nobody_else_was_told() -> None:
    async def read() -> list[str]:
        return ["a warning"]

    database = Database("postgresql://nobody@127.0.0.1:9/none")
    first, second = asyncio.run(Reloading(database, read).reload())
    assert first == "a warning"
    assert "other gateways were not told to reload" in second


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("GRADUS_HOME", str(tmp_path))
    path = tmp_path / "gradus.yaml"
    path.write_text(CONFIG.format(upstream="http://127.0.0.1:9"))
    environ = {"GRADUS_REDIS_URL": redis_url, "GRADUS_DATABASE_URL": f"sqlite:///{tmp_path}/gradus.db"}
    return load_settings(path, environ)


def _renewing() -> int:
    """How many caches run: each has one such task."""
    return sum(task.get_name() == "gradus-leases" and not task.done() for task in asyncio.all_tasks())


def test_of_reloads_at_once_the_file_read_last_is_served_and_nothing_is_left(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(str(settings.source))
    written = path.read_text()

    def slow_if_old(config: Config) -> Opened:
        if config.limits.usd_total == 1:
            time.sleep(0.2)
        return open_market(config)

    monkeypatch.setattr(lifecycle, "open_market", slow_if_old)

    async def reloaded() -> None:
        app = FastAPI()
        async with running(app, Process.of(settings), open_market(settings.config)):
            reloads = []
            for usd in (1, 2):
                path.write_text(f"{written}limits: {{usd_total: {usd}}}")
                reloads.append(asyncio.create_task(app.state.reload()))
                await asyncio.sleep(0.1)  # it has read the file, or waits for its turn
            reloads += [asyncio.create_task(app.state.reload()) for _ in range(3)]
            await asyncio.gather(*reloads)
            assert app.state.gateway.config.limits.usd_total == 2
        await asyncio.sleep(0)
        assert _renewing() == 0

    asyncio.run(reloaded())


@pytest.mark.parametrize("part", ["AnswerCache.start", "Service"])
def test_a_start_that_fails_half_way_leaves_nothing_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    closed: list[object] = []

    class Watched(Upstreams):
        async def close(self) -> None:
            closed.append(self)
            await super().close()

    def fails(*_: object) -> Any:
        raise ConfigInvalid("is wrong", source="gradus.yaml")

    monkeypatch.setattr(lifecycle, "Upstreams", Watched)
    monkeypatch.setattr(f"gateway.lifecycle.{part}", fails)

    async def started() -> None:
        process = Process.of(settings)
        with pytest.raises(ConfigInvalid):
            await process.serve(settings.config, open_market(settings.config))
        await asyncio.sleep(0)
        assert (len(closed), _renewing()) == (1, 0)

    asyncio.run(started())
