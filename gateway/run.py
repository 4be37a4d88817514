"""One request on its way, and what was said to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gateway.bill import Bill
from gateway.cache.streaming import Collector
from gateway.caller import Caller
from gateway.dispatch import LastWords
from gateway.fallback import Instead
from gateway.planning import Planned, most_tokens
from gateway.replies import Listener
from gateway.translate import Asked
from router.config import Config
from router.fees import fees_of
from router.types import Decision, Plan


@dataclass(slots=True)
class Given:
    """A request that the cache answered: nothing is planned for it, and it costs nothing."""

    asked: Asked
    caller: Caller
    policy: str | None
    bill: Bill
    began_s: float
    given_up: list[LastWords] = field(default_factory=list)

    @property
    def asked_for(self) -> str:
        return self.asked.model

    @property
    def most_usd(self) -> Decimal | None:
        return Decimal(0)

    @property
    def fees(self) -> tuple[str, ...]:
        return ()

    def most_tokens(self, config: Config) -> int:  # noqa: ARG002 - every Billed has it
        return 0


@dataclass(slots=True)
class Run:
    """One request on its way. ``deadline_s`` is on the event loop's clock; ``stages_s`` fills up.

    ``cache_scope`` is :attr:`router.types.Job.cache_scope`.
    """

    asked: Asked
    caller: Caller
    planned: Planned
    deadline_s: float
    bill: Bill
    listener: Listener | None
    began_s: float
    stages_s: dict[str, float] = field(default_factory=dict)
    decision: Decision | None = None
    cache_scope: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    instead: Instead | None = None
    collector: Collector | None = None
    """Puts a server's stream together, where it may be kept."""
    given_up: list[LastWords] = field(default_factory=list)
    """What is still to be heard of jobs that were given up: it is on the bill all the same."""

    @property
    def plan(self) -> Plan:
        return self.planned.plan

    @property
    def asked_for(self) -> str:
        return self.asked.model

    @property
    def policy(self) -> str | None:
        return self.planned.policy

    @property
    def most_usd(self) -> Decimal | None:
        return self.plan.worst_case_cost_usd

    @property
    def fees(self) -> tuple[str, ...]:
        return fees_of(self.planned.query)

    def most_tokens(self, config: Config) -> int:
        return most_tokens(self.planned, config)

    def open(self, headers: Mapping[str, str]) -> None:
        """Tell who listens that the answer is under way."""
        if self.listener is not None:
            self.listener.open({**self.headers, **headers})

    def took(self, stages_s: Mapping[str, float]) -> None:
        for stage, seconds in stages_s.items():
            self.stages_s[stage] = self.stages_s.get(stage, 0.0) + seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker or a server said; ``upstream`` and ``reported`` (usage) are a server's own objects.

    ``server`` is the model that answered, if a server did: the chosen one, or a fallback; ``upstream_id`` is
    its name for the answer, ``completion`` the whole of it if that is known, of a stream too.
    ``broken_off``: the search ended before it was done. ``stopgap``: somebody else answered, because who
    should have was not there.
    """

    text: str = ""
    finish_reason: str = "stop"
    tool_calls: Sequence[Mapping[str, Any]] = ()
    samples: int = 1
    confidence: float | None = None
    notice: str | None = None
    upstream: Mapping[str, Any] | None = None
    reported: Mapping[str, Any] = field(default_factory=dict)
    estimated: bool = False
    server: str | None = None
    upstream_id: str | None = None
    completion: Mapping[str, Any] | None = None
    broken_off: bool = False
    stopgap: bool = False
