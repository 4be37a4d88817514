"""Asks a helper process what may take for ever, and lets it die if it does.

Algebra, JSON schemas and regular expressions are small programs, and here models and clients write them:
``9**9**9**9``, a schema that refers to itself twice at every level, ``(a+)+$``. None can be stopped in a
thread. So a helper process does the work, and the kernel ends it at its limit of time or memory.

The helper runs our own code on hostile data: it is a bound on time and memory, not a sandbox (that is
:mod:`workers.verifiers.checks.sandbox`).
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).with_name("bounded_child.py")
_MOST_IDLE = 4

_idle: list[_Helper] = []
_lock = threading.Lock()


class TooMuch(Exception):
    """The helper died of the question: its time or memory was not enough."""


class Refused(Exception):
    """The question has no answer: the library that was asked raised this."""


def ask(question: str, *arguments: Any, limit_s: float = 2.0, wall_s: float | None = None) -> Any:
    """The helper's answer to one of the questions of ``bounded_child``; arguments and answer are JSON.

    ``limit_s`` is processor time; by the clock it is ended after ``wall_s``, or a multiple of ``limit_s``.
    Loading a library counts towards ``wall_s`` alone.
    Raises :class:`TooMuch` and :class:`Refused`, and :class:`ImportError` where a library is not installed.
    """
    request = json.dumps(
        {"question": question, "arguments": arguments, "limit_s": limit_s, "wall_s": wall_s}
    ).encode()
    with _lock:
        helper = _idle.pop() if _idle else None
    helper = helper or _Helper()
    reply = helper.ask(request)
    if reply is None:
        raise TooMuch(f"{question} took more than {limit_s} s, or too much memory")
    with _lock:
        is_kept = len(_idle) < _MOST_IDLE
        if is_kept:
            _idle.append(helper)
    if not is_kept:
        helper.close()
    if "missing" in reply:
        raise ImportError(reply["missing"])
    if "refused" in reply:
        raise Refused(reply["refused"])
    return reply["answer"]


class _Helper:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        )

    def ask(self, request: bytes) -> dict[str, Any] | None:
        """The reply, or ``None`` if the process died of the request."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(request + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            self.close()
            return None
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@atexit.register
def _close_idle() -> None:
    with _lock:
        helpers = tuple(_idle)
        _idle.clear()
    for helper in helpers:
        helper.close()


os.register_at_fork(after_in_child=_idle.clear)
