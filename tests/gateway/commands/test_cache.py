"""`gradus cache` asks a running gateway what its cache did, and has it forget."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import until
from tests.gateway.test_cli import run
from tests.gateway.upstream import UpstreamDouble

ADMIN = "the-admin's-own-key"
ASKED = {
    "model": "remote",
    "temperature": 0,
    "messages": [{"role": "user", "content": "What is 3 + 4?"}],
}


def _ask(url: str) -> str:
    said = httpx.post(f"{url}/v1/chat/completions", json=ASKED, timeout=30)
    assert said.status_code == 200
    return said.headers["x-gradus-cache"]


def _stats(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    assert run(monkeypatch, "cache", "stats", "--url", url, "--json") == 0
    found: dict[str, float] = json.loads(capsys.readouterr().out)
    return found


def test_it_says_how_often_it_helped_and_forgets_what_it_is_told(
    configure: Configure,
    start: Start,
    upstream: UpstreamDouble,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = start(configure(GRADUS__CACHE__MODE="deterministic", GRADUS_ADMIN_KEY=ADMIN))
    monkeypatch.setenv("GRADUS_ADMIN_KEY", ADMIN)
    assert _stats(url, monkeypatch, capsys)["hit_rate"] is None

    assert _ask(url) == "miss"
    until(lambda: _ask(url) == "hit")
    assert run(monkeypatch, "cache", "purge", "--model", "big", "--url", url) == 0
    assert _ask(url) == "hit"
    assert run(monkeypatch, "cache", "purge", "--model", "remote", "--url", url) == 0
    assert _ask(url) == "miss"
    until(lambda: _ask(url) == "hit")
    assert run(monkeypatch, "cache", "purge", "--everything", "--url", url) == 0
    assert "forgotten: everything" in capsys.readouterr().out
    assert _ask(url) == "miss"

    found = _stats(url, monkeypatch, capsys)
    assert found["hits"] >= 3
    assert found["hit_rate"] == found["hits"] / (found["hits"] + found["misses"])
    assert run(monkeypatch, "cache", "stats", "--url", url) == 0
    assert "hit rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give one of --key, --team, --model and --everything"),
        (["--key", "a", "--model", "b"], "give one of"),
        (["--model", "nobody"], "There is no model or verifier 'nobody'"),
        (["--everything", "--admin-key", "another-key-that-is-none"], "401"),
    ],
)
def test_a_mistake_is_one_line(
    configure: Configure,
    start: Start,
    redis_url: str,
    options: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = start(configure(GRADUS_ADMIN_KEY=ADMIN))
    monkeypatch.setenv("GRADUS_ADMIN_KEY", ADMIN)

    assert run(monkeypatch, "cache", "purge", *options, "--url", url) == 2

    complaint = capsys.readouterr().err
    assert said in complaint
    assert len(complaint.strip().splitlines()) == 1
