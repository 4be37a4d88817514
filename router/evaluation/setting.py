"""What is compared on which questions: actions, their quality and cost, and what had to be left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from router.errors import OutcomesInvalid
from router.evaluation.groups import by_story
from router.outcome_table import Floats, OutcomeTable

Unit = Literal["usd", "calls"]

_LEAST_QUESTIONS = 20
_LEAST_GROUPS = 10
_KNOWN_COSTS = 0.5
"""Share of questions whose cost must be known, for the mean to stand for the others."""


@dataclass(frozen=True, slots=True)
class Setting:
    """N questions by A actions, all qualities known.

    ``cost`` [N, A] is in ``unit``: US dollars, or calls of the dearer action of two where nobody knows what
    they cost; ``None`` where more than two are compared without. ``probed_cost`` [N, A] is the same if the
    probe is paid first, ``None`` where no question has one. ``weak`` and ``strong`` are columns. ``notes``
    say what was left out, and why.
    """

    table: OutcomeTable
    weak: int
    strong: int
    unit: Unit
    cost: Floats | None
    probed_cost: Floats | None
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(action.name for action in self.table.actions)

    @property
    def best_single(self) -> int:
        """The most accurate action; of equal ones the cheapest."""
        accuracy = np.round(self.table.right.mean(axis=0), 12)
        cost = np.zeros(len(accuracy)) if self.cost is None else self.cost.mean(axis=0)
        return int(np.lexsort((cost, -accuracy))[0])


def prepare(
    table: OutcomeTable,
    *,
    weak: str | None = None,
    strong: str | None = None,
    actions: Sequence[str] = (),
) -> Setting:
    """What can be compared of ``table``.

    By default the cheapest action against the most accurate one; where costs are unknown, the least accurate
    against the most. ``actions`` are those to choose between, if more than these two. Raises
    :class:`OutcomesInvalid` where there is too little to compare.
    """
    if len(table.actions) < 2:
        raise OutcomesInvalid(
            f"only the action {table.actions[0].name!r} was recorded: nothing to choose between"
        )
    weak_name, strong_name = _pair(table, weak, strong)
    others = [name for name in actions if name not in (weak_name, strong_name)]
    chosen = table.only([_known(table, name) for name in (weak_name, strong_name, *others)])
    notes = list(table.notes)
    unused = [action.name for action in table.actions if action not in chosen.actions]
    if unused:
        notes.append(f"not compared, for want of --actions: {_listed(unused)}")
    known = np.flatnonzero(np.isfinite(chosen.right).all(axis=1))
    if len(known) < _LEAST_QUESTIONS:
        raise OutcomesInvalid(
            f"only {len(known)} questions have an outcome of each of "
            f"{_listed([action.name for action in chosen.actions])}; at least {_LEAST_QUESTIONS} are wanted"
        )
    if len(known) < len(table):
        notes.append(f"{len(table) - len(known)} of {len(table)} questions lack an outcome of these actions")
    chosen = chosen.take(known)
    chosen = by_story(chosen)
    if len(set(chosen.groups)) < _LEAST_GROUPS:
        raise OutcomesInvalid(
            f"the questions are of {len(set(chosen.groups))} groups, which cannot be told apart by folds; "
            f"at least {_LEAST_GROUPS} groups are wanted"
        )
    cost, unit, cost_notes = _costs(chosen)
    probed = None if cost is None else _probed(table.take(known), chosen, cost, unit)
    return Setting(chosen, 0, 1, unit, cost, probed, (*notes, *cost_notes, *_evidence_notes(chosen)))


def _pair(table: OutcomeTable, weak: str | None, strong: str | None) -> tuple[str, str]:
    names = [action.name for action in table.actions]
    accuracy = _column_means(table.right)
    cost = _column_means(table.cost_usd)
    if np.isfinite(accuracy).sum() < 2:
        counts = np.isfinite(table.right).sum(axis=0)
        told = [f"{count} questions for {name!r}" for count, name in zip(counts, names, strict=True)]
        raise OutcomesInvalid(
            f"right or wrong is known of {_listed(told)}; to compare takes two actions of which it is known: "
            "--labels FILE adds what people said later"
        )
    strong = _known(table, strong) if strong else names[int(np.nanargmax(_but(names, weak, accuracy)))]
    if weak is None:
        order = np.where(np.isfinite(cost).all(), cost, accuracy)
        weak = names[int(np.nanargmin(_but(names, strong, order)))]
    if _known(table, weak) == strong:
        raise OutcomesInvalid(f"--weak and --strong are both {weak!r}; name two actions")
    return weak, strong


def _but(names: Sequence[str], name: str | None, values: Floats) -> Floats:
    return np.where([each == name for each in names], np.nan, values)


def _known(table: OutcomeTable, name: str) -> str:
    try:
        table.column(name)
    except KeyError as error:
        raise OutcomesInvalid(str(error.args[0])) from error
    return name


def _column_means(values: Floats) -> Floats:
    known = np.isfinite(values)
    total: Floats = np.where(known, values, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _costs(table: OutcomeTable) -> tuple[Floats | None, Unit, Iterator[str]]:
    """[N, A] costs, the unit they are in, and what to say of those that are not known."""
    known = np.isfinite(table.cost_usd)
    share = known.mean(axis=0)
    if (share >= _KNOWN_COSTS).all():
        filled = np.where(known, table.cost_usd, _column_means(table.cost_usd))
        missing = int((~known).any(axis=1).sum())
        said = [f"{missing} questions lack a cost; the action's mean stands for it"] if missing else []
        return filled, "usd", iter(said)
    unpriced = [action.name for action, each in zip(table.actions, share, strict=True) if each < _KNOWN_COSTS]
    said = [f"costs are unknown of {_listed(unpriced)}"]
    if len(table.actions) > 2:
        return None, "calls", iter([said[0] + ": nothing is said of money"])
    calls = np.tile([0.0, 1.0], (len(table), 1))
    return calls, "calls", iter([f"{said[0]}: counted instead are calls of {table.actions[1].name}"])


def _probed(whole: OutcomeTable, table: OutcomeTable, cost: Floats, unit: Unit) -> Floats | None:
    """[N, A] what an action costs if the probe is paid first.

    Where the file does not tell, the probe is the run of the first action of the small model, and whatever
    else is called then is paid on top of it.
    """
    seen = np.array([each is not None for each in table.evidence])
    if not seen.any():
        return None
    small = next((at for at, action in enumerate(whole.actions) if action.route == "small"), None)
    name = None if small is None else whole.actions[small].name
    is_probe = np.array([action.name == name for action in table.actions])
    first = np.zeros(len(table)) if unit == "calls" or small is None else whole.cost_usd[:, small]
    on_top = np.where(is_probe, 0.0, cost) + np.where(np.isfinite(first), first, 0.0)[:, None]
    told = table.probe_usd[:, None] + table.after_probe_usd if unit == "usd" else np.full(cost.shape, np.nan)
    probed = np.where(np.isfinite(told), told, on_top)
    return np.where(seen[:, None], probed, cost)


def _evidence_notes(table: OutcomeTable) -> Iterator[str]:
    seen = sum(each is not None for each in table.evidence)
    if 0 < seen < len(table):
        yield f"{len(table) - seen} of {len(table)} questions have no probe: decided by their text alone"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
