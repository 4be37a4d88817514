"""The admin has a running gateway read its configuration again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import load_settings
from gateway.store import keys
from gateway.store.database import Database
from tests.gateway.conftest import CONFIG
from tests.gateway.doubles import serving
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
        assert said in gateway.reload(wrong).json()["error"]["message"]
        assert gateway.ask().status_code == 200
