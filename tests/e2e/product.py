"""The whole product, started as a user starts it: by `gradus up`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

READY_TIMEOUT_S = 140.0  # machines may be busy


@dataclass(frozen=True, slots=True)
class Product:
    """A running `gradus up`."""

    url: str
    port: int
    home: Path
    process: subprocess.Popen[str]

    def stop(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def child_pid(self, module: str) -> int:
        """The process id of the child that runs ``python -m <module> ...``."""
        for pid in descendants(self.process.pid):
            if f"-m\0{module}\0" in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        raise AssertionError(f"no {module} among the children of gradus up")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def descendants(pid: int) -> list[int]:
    """All processes below ``pid``."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return children + [grandchild for child in children for grandchild in descendants(child)]


def start_product(
    home: Path, port: int, environment: Mapping[str, str] | None = None, *, config: Path | None = None
) -> Product:
    """Run `gradus up` with an empty home and wait for its welcome."""
    options = [] if config is None else ["--config", str(config)]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "gateway", "up", "--port", str(port), *options],
        env={**os.environ, "HOME": str(home), "GRADUS_HOME": str(home / "state"), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said: list[str] = []
    ready = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if "is ready at" in line:
                ready.set()
        ready.set()

    threading.Thread(target=listen, daemon=True).start()
    ready.wait(READY_TIMEOUT_S)
    if not any("is ready at" in line for line in said):
        process.send_signal(signal.SIGINT)
        process.wait(60)
        pytest.fail("gradus up did not become ready; it said:\n" + "".join(said))
    return Product(f"http://127.0.0.1:{port}", port, home, process)
