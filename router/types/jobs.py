"""What travels to a worker and comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cost_model.usage import Usage
from router.types.plans import Decision, Plan
from router.types.queries import FinishReason, Query


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work for a worker. ``reply_to`` is the Redis stream its events go to.

    ``deadline_unix_s`` is absolute. ``escalated`` marks the second job of a query whose search gave up:
    its tokens then count as escalation. ``cache_scope`` stands for those who share
    candidates, as the gateway says; ``None``: none are kept, and none are used again.
    """

    id: str
    reply_to: str
    query: Query
    plan: Plan
    deadline_unix_s: float
    stream: bool = False
    escalated: bool = False
    cache_scope: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no answer: a stable ``code`` the gateway maps to HTTP, and a message for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. Exactly one of: an answer, an escalation, a failure.

    ``text`` is the answer (empty otherwise), ``tool_calls`` the calls that it makes (OpenAI's objects).
    ``samples`` counts complete candidates the answer was chosen from. ``stages_s`` is wall time by stage
    ("queue", "probe", "search"). ``usage`` is never dropped: failed and escalated jobs carry what they spent.
    ``notice`` tells the client what it would not expect ("the deadline came first: chosen from 5 of 16").
    ``broken_off``: a failure, the deadline or the token cap ended the search before it was done.
    """

    job_id: str
    status: Literal["answered", "escalate", "failed"]
    decision: Decision | None = None
    text: str = ""
    finish_reason: FinishReason = "stop"
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    samples: int = 0
    confidence: float | None = None
    usage: tuple[Usage, ...] = ()
    stages_s: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    notice: str | None = None
    broken_off: bool = False
