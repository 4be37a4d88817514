"""`gradus up`: a private Redis, one worker and the gateway on this machine, until Ctrl-C.

The processes and the code path are those of a cluster, only smaller; this module starts, watches and stops
them and does nothing else.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx

from gateway.processes import Child, ProcessGaveUp, revive
from gateway.redis_server import redis_command
from router.config import Server

READY_TIMEOUT_S = 180.0
WATCH_INTERVAL_S = 0.25
STOP_GRACE_S = 15.0
"""Beyond what the gateway gives to running requests."""


class CannotStart(Exception):
    """The gateway cannot listen, or has no folder to write to; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where one instance keeps its things. The socket is elsewhere: its path may have 107 bytes at most."""

    state_dir: Path
    socket: Path

    @property
    def logs_dir(self) -> Path:
        return self.state_dir / "logs"

    @property
    def redis_dir(self) -> Path:
        return self.state_dir / "redis"


def check_port(host: str, port: int) -> None:
    """Raise :class:`CannotStart` unless the gateway could listen on ``host:port``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
            raise CannotStart(
                f"{host}:{port} is already in use; is Gradus running there? Choose another port: "
                "`make up PORT=...` or `gradus up --port ...`"
            ) from error


def state_home() -> Path:
    """``$GRADUS_HOME``, else the XDG state folder."""
    chosen = os.environ.get("GRADUS_HOME")
    if chosen:
        return Path(chosen)
    xdg = os.environ.get("XDG_STATE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".local" / "state") / "gradus"


def up(config: str, host: str, port: int, server: Server, say: Callable[[str], None]) -> None:
    """Run everything until SIGINT or SIGTERM, then stop every process that was started.

    ``server`` is the configuration's; ``host`` and ``port`` hold in place of its own.

    Raises :class:`CannotStart`, :class:`gateway.redis_server.RedisMissing`, or :class:`ProcessGaveUp` when a
    part cannot be started or keeps dying.
    """
    check_port(host, port)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    socket_dir = Path(tempfile.mkdtemp(prefix="gradus-"))
    places = Places(state_dir=state_home() / str(port), socket=socket_dir / "redis.sock")
    stopping = threading.Event()
    handlers = {number: signal.signal(number, _stopper(stopping)) for number in _STOP_SIGNALS}
    children: list[Child] = []
    try:
        children = _children(config, host, port, places)
        _start(children, url, stopping, say)
        if not stopping.is_set():
            say(welcome(url, places.logs_dir, needs_key=server.auth == "keys"))
        _watch(children, stopping, say)
    finally:
        # The gateway first, so that it can drain; Redis last, so that the others can say goodbye.
        for child in reversed(children):
            child.stop(server.shutdown_grace_s + STOP_GRACE_S)
        shutil.rmtree(socket_dir, ignore_errors=True)
        for number, handler in handlers.items():
            signal.signal(number, handler)


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stopper(stopping: threading.Event) -> Callable[[int, FrameType | None], None]:
    return lambda _number, _frame: stopping.set()


def _children(config: str, host: str, port: int, places: Places) -> list[Child]:
    """Redis, worker, gateway: in the order in which they start."""
    try:
        for folder in (places.logs_dir, places.redis_dir):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(
            f"cannot write to {places.state_dir} ({error.strerror}); set GRADUS_HOME"
        ) from error
    redis_url = f"unix://{places.socket}"
    environment = {
        "GRADUS_CONFIG": config,
        "GRADUS_REDIS_URL": redis_url,
        "GRADUS__SERVER__REDIS_URL": redis_url,  # which would win, if the user's environment had one
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    # -P: a file named router.py or workers.py in the current folder is not ours.
    python = [sys.executable, "-P", "-m"]
    commands = {
        "redis": redis_command(places.socket, places.redis_dir),
        "worker": [*python, "workers", "worker"],
        "gateway": [*python, "gateway", "serve", "--host", host, "--port", str(port)],
    }
    children = []
    for name, command in commands.items():
        log_path = places.logs_dir / f"{name}.log"
        log_path.unlink(missing_ok=True)
        children.append(Child(name, command, log_path, environment))
    return children


def _start(children: list[Child], url: str, stopping: threading.Event, say: Callable[[str], None]) -> None:
    """Start all and wait until the gateway says that everything is ready."""
    say("starting Redis, one worker with the models, and the gateway ...")
    for child in children:
        child.start()
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    reasons = "nothing answered"
    while not stopping.wait(WATCH_INTERVAL_S):
        for child in children:
            if not child.alive:
                raise ProcessGaveUp(
                    f"the {child.name} did not start; its log ({child.log_path}) ends with:\n"
                    f"{child.log_tail()}"
                )
        with suppress(httpx.HTTPError):
            answer = httpx.get(f"{url}/readyz", timeout=2.0, trust_env=False)  # no proxy to ourselves
            if answer.status_code == httpx.codes.OK:
                return
            reasons = answer.text
        if time.monotonic() > deadline_s:
            raise ProcessGaveUp(f"not ready after {READY_TIMEOUT_S:.0f} s: {reasons}")


def _watch(children: list[Child], stopping: threading.Event, say: Callable[[str], None]) -> None:
    while not stopping.wait(WATCH_INTERVAL_S):
        for child in children:
            if not child.alive:
                revive(child, say)


def welcome(url: str, logs_dir: Path, *, needs_key: bool) -> str:
    """What to try first."""
    keys = "with a key: `gradus keys create NAME`" if needs_key else "any key"
    header = ' -H "authorization: Bearer $GRADUS_API_KEY"' if needs_key else ""
    return f"""
Gradus is ready at {url}/v1 (any OpenAI client, {keys}). Try:

  curl {url}/v1/chat/completions -H 'content-type: application/json'{header} \\
    -d '{{"model": "gradus", "messages": [{{"role": "user", "content": "Calculate ( 7 + 5 ) * 3."}}]}}'

  gradus ask --url {url} "Calculate ( 7 + 5 ) * 3."

Logs: {logs_dir}   Ctrl-C stops everything."""
