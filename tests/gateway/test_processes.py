"""Supervised children: started again when they die, given up on when they keep dying, stopped for good."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.processes import MAX_RESTARTS, Child, ProcessGaveUp, revive


def child_running(code: str, tmp_path: Path) -> Child:
    child = Child("child", [sys.executable, "-c", code], tmp_path / "child.log", {"WORD": "hello"})
    child.start()
    return child


def wait(child: Child) -> None:
    assert child.process is not None
    child.process.wait(20)


def test_a_child_writes_its_log_and_gets_its_environment(tmp_path: Path) -> None:
    child = child_running("import os; print(os.environ['WORD'])", tmp_path)
    wait(child)

    assert child.log_tail() == "hello"
    assert not child.alive


def test_a_dead_child_is_started_again_and_that_is_said(tmp_path: Path) -> None:
    child = child_running("raise SystemExit(3)", tmp_path)
    wait(child)
    first_pid = child.process and child.process.pid
    said: list[str] = []

    revive(child, said.append)
    wait(child)

    assert child.process
    assert child.process.pid != first_pid
    assert said == ["the child ended with status 3; starting it again"]


def test_a_child_that_keeps_dying_is_given_up_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = child_running("raise SystemExit('no such model')", tmp_path)

    for _ in range(MAX_RESTARTS):
        wait(child)
        revive(child, lambda _message: None)

    wait(child)
    with pytest.raises(ProcessGaveUp, match=r"(?s)child\.log.*no such model"):
        revive(child, lambda _message: None)


def test_stopping_also_ends_what_ignores_the_request_to_stop(tmp_path: Path) -> None:
    code = "import signal, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\n"
    child = child_running(code + "signal.pause()", tmp_path)
    while "deaf" not in child.log_tail():
        assert child.alive

    child.stop(grace_s=0.1)

    assert not child.alive
