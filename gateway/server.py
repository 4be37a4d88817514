"""One gateway process: uvicorn around the application."""

from __future__ import annotations

import gc
import resource
import socket
import sys
from contextlib import suppress
from types import FrameType
from typing import Final

import uvicorn

from gateway.admission import Doors
from gateway.app import create_app
from gateway.http_bounds import bounded_http
from gateway.settings import Settings
from router.logs import log_to_stderr
from router.tracing import turn_on

KEEP_ALIVE_S: Final = 30
BACKLOG: Final = 2048
CUT_S: Final = 1
"""What has not ended by the end of the grace is cut off, and has this long to say so."""
NEW_OBJECTS: Final = 20_000
"""After so many the collector looks for cycles: in requests that are under way it finds none."""
NOT_STARTED: Final = 3  # uvicorn's exit code for it


def run(settings: Settings) -> None:
    """Serve on the configured host and port until SIGINT or SIGTERM.

    Then /readyz says so at once, new requests are sent elsewhere, and those that run have
    ``server.shutdown_grace_s`` to end. Logs go to stderr. Exits with code 3 if the port is taken.

    Raises as :func:`gateway.app.create_app`.
    """
    configured, telemetry = settings.config.server, settings.config.telemetry
    log_to_stderr("gradus-gateway", telemetry)
    turn_on("gradus-gateway", settings.environ)
    _may_open_many_files()
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=configured.host,
        port=configured.port,
        log_config=None,  # uvicorn logs as we do
        log_level=telemetry.log_level,
        access_log=False,  # a line a request costs more than routing does
        server_header=False,
        proxy_headers=False,  # nothing here asks who a client is but by its key
        http=bounded_http(configured.read_timeout_s),
        ws="none",
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=CUT_S,
    )
    server = _Server(config, app.state.doors, configured.shutdown_grace_s)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(NOT_STARTED)


def _may_open_many_files() -> None:
    """Every stream needs two: the 1,024 that a process may open as most systems start it are soon used up."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # where the system lets nobody
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Server(uvicorn.Server):
    """Goes on listening while it drains: a load balancer hears "stopping", clients where to ask again."""

    def __init__(self, config: uvicorn.Config, doors: Doors, grace_s: float) -> None:
        super().__init__(config)
        self._doors, self._grace_s = doors, grace_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there by now stays: to look through it took 0.2 s at a stretch, a fifth of the time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(NEW_OBJECTS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._doors.stopping = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._doors.emptied(self._grace_s, lambda: self.force_exit)
        self._doors.cut_off()
        await super().shutdown(sockets)
