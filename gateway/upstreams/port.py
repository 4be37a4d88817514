"""What every way to reach a large model has in common."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an upstream model: where, under which name and key, and the body as it came.

    ``on_sent`` is called once the request has gone out: from then on it may cost something.
    """

    model: str
    base_url: str | None
    api_key: str | None
    body: Mapping[str, Any]
    on_sent: Callable[[], None]


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
    """No connection, or one that broke; or an answer that is not OpenAI's JSON."""


class UpstreamEngine(Protocol):
    """Speaks to one kind of server, in OpenAI's JSON. Raises :class:`Refusal` or :class:`Unreachable`."""

    async def complete(self, call: Call) -> Json:
        """A chat completion object."""
        ...

    def stream(self, call: Call) -> AsyncGenerator[Json, None]:
        """Chat completion chunks as they arrive, the last of them with usage where the server counts.

        Closing the generator closes the connection, so that the server stops generating.
        """
        ...

    async def close(self) -> None: ...
