"""Verifiers that are programs: a right answer, tests, a schema, a pattern, or a function of yours."""

from __future__ import annotations

from typing import Literal

from workers.answers import Embed
from workers.errors import ModelNotLoadable
from workers.verifiers.checks.base import Check, Judge
from workers.verifiers.checks.judges import by_key, by_pattern, by_schema, by_tests
from workers.verifiers.checks.python import by_function
from workers.verifiers.checks.sandbox import USUAL_LIMITS, Limits, require_sandbox

__all__ = ["Check", "load_check"]

CheckKind = Literal["key", "tests", "json_schema", "pattern", "python"]


def load_check(
    name: str,
    check: CheckKind,
    *,
    entry_point: str | None = None,
    timeout_s: float = USUAL_LIMITS.timeout_s,
    memory_bytes: int = USUAL_LIMITS.memory_bytes,
    embed: Embed | None = None,
) -> Check:
    """The check of a configuration: what it compares with comes with each task.

    ``entry_point`` ("module:function") is for "python", the limits of one program for "tests", ``embed`` for
    the "key" of free text. Raises :class:`workers.errors.ModelNotLoadable` and, for "tests" on a machine that
    cannot isolate programs, :class:`workers.errors.SandboxUnavailable`.
    """
    return Check(name, _judge(name, check, entry_point, Limits(timeout_s, memory_bytes), embed))


def _judge(
    name: str, check: CheckKind, entry_point: str | None, limits: Limits, embed: Embed | None
) -> Judge:
    match check:
        case "key":
            return by_key(embed)
        case "tests":
            require_sandbox()
            return by_tests(limits)
        case "json_schema":
            return by_schema
        case "pattern":
            return by_pattern
        case "python":
            if entry_point is None:
                raise ModelNotLoadable(f'the check {name} needs an entry_point: "module:function"')
            return by_function(entry_point)
