"""From queries to what their ways are worth, several at once: arrays take a batch as fast as one alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import TypeVar

from router.config import Policy
from router.prospects import Guide, Prospect
from router.table import Case, Table, lay_out
from router.weighing import Costs, Weighed, weigh

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What weighing a case came to.

    ``familiarity`` and ``p_right`` are those of :class:`router.types.Plan`.
    """

    table: Table
    weighed: Weighed
    familiarity: float | None
    p_right: float | None


def weigh_together(cases: Sequence[Case]) -> list[Outcome]:
    """In the order of ``cases``, which may be of several policies."""
    found: dict[int, Outcome] = {}
    for places in _alike(cases, lambda case: (id(case.market), case.policy_name)):
        found.update(zip(places, _of_one_policy([cases[place] for place in places]), strict=True))
    return [found[place] for place in range(len(cases))]


def readers_of_unseen(policy: Policy, readers: Collection[str]) -> Collection[str]:
    """Which of the models that can read it may answer a prompt that is like none of those fitted on."""
    if policy.unseen == "probe":
        return readers
    wanted = policy.larges if policy.unseen == "large" else (policy.small,)
    return [name for name in readers if name in wanted] or readers


def _of_one_policy(cases: Sequence[Case]) -> list[Outcome]:
    first = cases[0]
    tables, predicted = first.market.tables[first.policy_name], first.market.guides.get(first.policy_name)
    if predicted is None:
        return [
            Outcome(*each, familiarity=None, p_right=None)
            for each in _weighed(cases, tables, tables.prospect([case.text for case in cases]))
        ]
    forecast = predicted.predictor.forecast([case.text for case in cases])
    strange = predicted.strange(forecast.familiarity, first.policy).tolist()
    found: dict[int, Outcome] = {}
    for rows in _alike(strange, bool):
        those = [cases[row] for row in rows]
        said = forecast if len(rows) == len(cases) else forecast.of(rows)
        unseen = strange[rows[0]]
        weighed = (
            # What is predicted of a prompt that is like none that was fitted on is worth nothing.
            _weighed(those, tables, tables.prospect([case.text for case in those]), unseen=True)
            if unseen
            else _weighed(those, predicted, predicted.of_forecast(said))
        )
        p_right = predicted.p_right(said)
        for place, row in enumerate(rows):
            found[row] = Outcome(
                *weighed[place],
                familiarity=_known(said.familiarity[place]),
                p_right=None if p_right is None else float(p_right[place]),
            )
    return [found[row] for row in range(len(cases))]


def _weighed(
    cases: Sequence[Case], guide: Guide, prospect: Prospect, *, unseen: bool = False
) -> list[tuple[Table, Weighed]]:
    """Of one policy, by one guide."""
    tables: list[Table] = []
    for row, case in enumerate(cases):
        readers = readers_of_unseen(case.policy, case.readers) if unseen else case.readers
        one = prospect.of(slice(row, row + 1))
        tables.append(lay_out(case, guide, one, readers, unseen=unseen))
    found: dict[int, tuple[Table, Weighed]] = {}
    for rows in _alike(tables, lambda table: len(table.prospect.stages)):  # a cap may forbid some the last
        those = [tables[row] for row in rows]
        part = prospect if len(rows) == len(tables) else prospect.of(rows)
        stages = len(those[0].prospect.stages)
        if stages < len(part.stages):
            part = replace(part, stages=part.stages[:stages])
        weighed = weigh(part, Costs.together([table.costs for table in those]), cases[0].objective)
        for place, row in enumerate(rows):
            found[row] = tables[row], weighed.of(slice(place, place + 1))
    return [found[row] for row in range(len(cases))]


def _alike(items: Sequence[T], key: Callable[[T], Hashable]) -> list[list[int]]:
    """The places of those with the same key."""
    found: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        found[key(item)].append(place)
    return list(found.values())


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)
