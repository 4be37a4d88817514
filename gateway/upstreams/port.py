"""What every way to reach a large model has in common."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from router.config import Endpoint

Json = dict[str, Any]

PATHS: Final[Mapping[Endpoint, str]] = {
    "chat": "chat/completions",
    "completions": "completions",
    "embeddings": "embeddings",
    "responses": "responses",
}
"""Where the endpoints are, below a server's ``base_url``."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an upstream model: where, under which name and key, and the body as it came.

    ``on_sent`` is called once the request has gone out: from then on it may cost something.
    """

    endpoint: Endpoint
    model: str
    base_url: str | None
    api_key: str | None
    body: Mapping[str, Any]
    connect_s: float
    on_sent: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Said:
    """What a server said: ``raw`` as it came (an event of a stream: whole), and ``data``, its JSON object."""

    raw: bytes
    data: Json


def without_halves(value: Any) -> bytes:
    """A JSON value as text, with "?" for every half of a character.

    JSON can spell one (a lone surrogate), UTF-8 cannot: servers that cut texts in UTF-16 send them.
    """
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


class Refusal(Exception):
    """The server answered with an error. ``message`` is its own; ``status`` is HTTP's."""

    def __init__(
        self,
        message: str,
        status: int,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.status, self.code, self.param, self.retry_after_s = status, code, param, retry_after_s
        super().__init__(message)


class Unreachable(Exception):
    """No connection, or one that broke; or an answer that is not OpenAI's JSON.

    ``unsent``: it is known that the request never went out, though :attr:`Call.on_sent` was called.
    """

    def __init__(self, message: str, *, unsent: bool = False) -> None:
        self.unsent = unsent
        super().__init__(message)


class UpstreamEngine(Protocol):
    """Speaks to one kind of server, in OpenAI's JSON. Raises :class:`Refusal` or :class:`Unreachable`."""

    async def complete(self, call: Call) -> Said:
        """The answer, whole."""
        ...

    def stream(self, call: Call) -> AsyncGenerator[list[Said], None]:
        """The events of a streamed answer, those that came in together at once.

        The last of them has usage where the server counts. Closing the generator closes the connection, so
        that the server stops generating.
        """
        ...

    async def close(self) -> None: ...
