"""`gradus up` starts everything, says so, and leaves nothing behind."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.product import READY_TIMEOUT_S, Product, descendants, free_port, start_product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SEARCH = {"strategy": "best_of_n", "budget": 64}


def test_a_second_up_on_the_same_port_says_so_and_starts_nothing(product: Product) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "gateway", "up", "--port", str(product.port)],
        env={**os.environ, "GRADUS_HOME": str(product.home / "other")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert again.returncode == 2
    assert f"127.0.0.1:{product.port} is already in use" in again.stderr
    assert "--port" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1
    assert not (product.home / "other").exists()


def test_among_files_of_our_names_it_starts_ours_and_ctrl_c_in_mid_search_stops_every_process_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("router.py", "gateway.py", "workers.py"):
        (tmp_path / name).write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nor is a proxy asked for our own address
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    running = start_product(tmp_path, free_port(), {"GRADUS__SERVER__SHUTDOWN_GRACE_S": "0"})
    started = descendants(running.process.pid)
    assert len(started) >= 3

    with _searching(running):
        assert running.stop() == 0
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
    assert bystander.poll() is None
    bystander.communicate(b"\n", timeout=10)


def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    running = start_product(tmp_path, free_port())
    started = descendants(running.process.pid)

    running.process.kill()
    running.process.wait(10)

    for pid in started:
        _wait_until_gone(pid)


@contextmanager
def _searching(product: Product) -> Iterator[None]:
    """A search that has begun, and takes long."""
    question = {"role": "user", "content": "Calculate ( 874 * 693 - 58 * 977 ) * 86 + 45 * 9876."}
    body = {"model": "gradus", "messages": [question], "stream": True, "gradus": SEARCH}
    url = f"{product.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, timeout=READY_TIMEOUT_S, trust_env=False) as answer:
        assert next(answer.iter_lines())
        yield


def _wait_until_gone(pid: int) -> None:
    """Returns when the process is gone; the test's own timeout is the bound."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([descriptor], [], [])
    os.close(descriptor)
