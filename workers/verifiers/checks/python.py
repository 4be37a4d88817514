"""A check that the user wrote: a Python function, imported by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from router.types import Task
from workers.errors import CannotJudge, ModelNotLoadable
from workers.protocols import Prompt
from workers.verifiers.checks.base import Judge

Function = Callable[[Sequence[Mapping[str, Any]], str, Task], float]
"""Called with the conversation, the assistant's turn and the task; returns 0 (wrong) to 1 (right)."""


def by_function(entry_point: str) -> Judge:
    """What ``module:function`` says. It is the user's own code: it runs in the worker, without a sandbox.

    Raises :class:`workers.errors.ModelNotLoadable` here, and :class:`workers.errors.CannotJudge` when the
    function raises or returns no number from 0 to 1: a broken check is no wrong answer.
    """
    function = _load(entry_point)

    def judge(turns: Sequence[Prompt], task: Task) -> Sequence[float]:
        return [_ask(function, entry_point, turn, task) for turn in turns]

    return judge


def _load(entry_point: str) -> Function:
    module, colon, name = entry_point.partition(":")
    if not (module and colon and name):
        raise ModelNotLoadable(f'{entry_point!r} names no function: write "module:function"')
    try:
        function = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a module raises when it is imported
        raise ModelNotLoadable(
            f"the check {entry_point} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not callable(function):
        raise ModelNotLoadable(f"the check {entry_point} is a {type(function).__name__}, not a function")
    checked: Function = function
    return checked


def _ask(function: Function, entry_point: str, turn: Prompt, task: Task) -> float:
    try:
        score = float(function(turn.messages, turn.prefix, task))
    except Exception as error:
        raise CannotJudge(f"the check {entry_point} raised {type(error).__name__}: {error}") from error
    if not 0.0 <= score <= 1.0:
        raise CannotJudge(f"the check {entry_point} returned {score}; a score is from 0 to 1")
    return score
