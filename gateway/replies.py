"""What a request gets: heard of while it runs, and said in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cost_model.usage import Usage
from gateway.planning import Planned
from gateway.upstreams.port import Said
from router.types import Branch, Decision


class Listener(Protocol):
    """Who wants to hear of a request while it runs: the feed of a stream.

    ``on_lag`` is called once the client is behind for a while. ``known`` are the headers of a response that
    begins before :meth:`open` was called.
    """

    on_lag: Callable[[], None] | None
    known: Mapping[str, str]

    def open(self, headers: Mapping[str, str]) -> None: ...
    def start(self) -> None: ...
    def progress(self, stage: str, done: int, total: int) -> None: ...
    def text(self, text: str) -> None: ...
    async def chunks(self, said: Sequence[Said]) -> None: ...


@dataclass(frozen=True, slots=True)
class Done:
    """How an answer came about: the branch that was followed, and the priced lines of the bill."""

    planned: Planned
    branch: Branch
    decision: Decision | None
    lines: tuple[Usage, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. ``upstream`` is the whole completion of a server that answered without streaming.

    ``headers`` go with it; ``done`` is what led there, for the records.
    """

    text: str
    finish_reason: str
    usage: Mapping[str, Any]
    gradus: Mapping[str, Any]
    tool_calls: Sequence[Mapping[str, Any]] = ()
    upstream: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    done: Done | None = None
