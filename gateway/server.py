"""One gateway process: uvicorn around the application."""

from __future__ import annotations

import uvicorn

from gateway.app import create_app
from gateway.settings import Settings

SHUTDOWN_GRACE_S = 5
KEEP_ALIVE_S = 30
BACKLOG = 2048


def run(settings: Settings) -> None:
    """Serve on the configured host and port until SIGINT or SIGTERM; running requests get seconds to end.

    Logs go to stderr. Raises :class:`router.errors.ArtifactInvalid`; exits with code 3 if the port is taken.
    """
    server = settings.config.server
    uvicorn.run(
        create_app(settings),
        host=server.host,
        port=server.port,
        log_level="info",
        access_log=False,  # a line a request costs more than routing does
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )
