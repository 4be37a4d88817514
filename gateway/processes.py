"""Child processes that start together, are restarted when they die, and end together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MAX_RESTARTS = 5
RESTART_WINDOW_S = 60.0
PR_SET_PDEATHSIG = 1


class ProcessGaveUp(Exception):
    """A child keeps dying; the message names it and its log."""


def _die_with_parent() -> None:
    """Ask the kernel (Linux) to end this child when its parent is gone, even by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    """One supervised process. It runs in a session of its own, so that Ctrl-C reaches only the supervisor."""

    name: str
    command: Sequence[str]
    log_path: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    deaths_s: list[float] = field(default_factory=list)

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has no threads
            )

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, grace_s: float) -> None:
        """SIGTERM, then SIGKILL to whatever is left of its session."""
        if self.process is None:
            return
        if self.alive:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(grace_s)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def log_tail(self, lines: int = 12) -> str:
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def revive(child: Child, say: Callable[[str], None]) -> None:
    """Start a dead child again; raises :class:`ProcessGaveUp` when it died too often in a minute."""
    assert child.process is not None
    now = time.monotonic()
    child.deaths_s[:] = [died for died in child.deaths_s if now - died < RESTART_WINDOW_S] + [now]
    if len(child.deaths_s) > MAX_RESTARTS:
        raise ProcessGaveUp(
            f"the {child.name} died {len(child.deaths_s)} times within a minute; its log ({child.log_path}) "
            f"ends with:\n{child.log_tail()}"
        )
    say(f"the {child.name} ended with status {child.process.returncode}; starting it again")
    child.start()
