"""Outcomes as arrays: questions by actions, what predictors are fitted to and policies are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from router.types import Evidence, Route, StrategyName

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Action:
    """A way to answer: ``small``, a search on the small model ("majority@16"), or another model ("gpt")."""

    name: str
    route: Route
    model: str
    strategy: StrategyName = "direct"
    samples: int = 1


@dataclass(frozen=True, slots=True)
class OutcomeTable:
    """N questions by A actions; whatever is unknown is NaN (or ``None``), never 0.

    ``right`` [N, A] is from 0 to 1: right or wrong, a share of runs, or a graded quality. ``cost_usd`` [N, A]
    is of the whole action, ``after_probe_usd`` [N, A] what is still to be paid once the probe is there: both
    are float64, since they are estimates over many questions; nothing is billed by them. ``prompts`` [N] are
    texts as :func:`router.features.conversation.text_of` gives them. Questions of one of ``groups`` [N] (a
    story, a template, a repeated prompt) are never split between folds. ``evidence`` [N] is what a probe of
    the small model saw, ``probe_usd`` [N] what it cost. ``segments`` [N] name the kind of question, for
    reports only. ``notes`` say what was left out when they were read.
    """

    ids: tuple[str, ...]
    prompts: tuple[str, ...]
    groups: tuple[str, ...]
    segments: tuple[str, ...]
    actions: tuple[Action, ...]
    right: Floats
    cost_usd: Floats
    after_probe_usd: Floats
    completion_tokens: Floats
    seconds: Floats
    prompt_tokens: Floats
    probe_usd: Floats
    evidence: tuple[Evidence | None, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, action: str) -> int:
        """Where ``action`` stands. Raises :class:`KeyError` with the names that there are."""
        for index, each in enumerate(self.actions):
            if each.name == action:
                return index
        raise KeyError(f"no action {action!r}; there are {', '.join(each.name for each in self.actions)}")

    def take(self, rows: Sequence[int] | NDArray[np.intp] | NDArray[np.bool_]) -> OutcomeTable:
        """These questions, by index or mask, in this order."""
        chosen = np.arange(len(self))[np.asarray(rows)]
        changes: dict[str, object] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                changes[each.name] = value[chosen]
            elif each.name not in ("actions", "notes"):
                changes[each.name] = tuple(value[row] for row in chosen)
        return replace(self, **changes)  # type: ignore[arg-type]

    def only(self, actions: Sequence[str]) -> OutcomeTable:
        """These actions, in this order."""
        columns = [self.column(name) for name in actions]
        by_action = ("right", "cost_usd", "after_probe_usd", "completion_tokens", "seconds")
        changes = {name: getattr(self, name)[:, columns] for name in by_action}
        return replace(self, actions=tuple(self.actions[column] for column in columns), **changes)
