"""From queries to what their ways are worth, several at once: arrays take a batch as fast as one alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isnan

from router.config import Policy
from router.prospects import Guide, Prospect
from router.table import Case, Table, alike, bounds_of, lay_out
from router.weighing import Weighed, weigh

_Weighed = tuple[Table, Weighed, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What weighing a case came to: it is that ``row`` of a batch.

    ``familiarity`` and ``p_right`` are those of :class:`router.types.Plan`.
    """

    table: Table
    weighed: Weighed
    row: int
    familiarity: float | None
    p_right: float | None

    @property
    def case(self) -> Case:
        return self.table.cases[self.row]


def weigh_together(cases: Sequence[Case]) -> list[Outcome]:
    """In the order of ``cases``, which may be of several policies."""
    found: dict[int, Outcome] = {}
    for places in alike(cases, lambda case: (id(case.market), case.policy_name)):
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
    for rows in alike(strange, bool):
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
) -> list[_Weighed]:
    """Of one policy, by one guide."""
    bounds = []
    for row, case in enumerate(cases):
        readers = readers_of_unseen(case.policy, case.readers) if unseen else case.readers
        bounds.append(bounds_of(case, prospect, row, readers))
    found: dict[int, _Weighed] = {}
    for rows, table in lay_out(cases, guide, prospect, bounds, unseen=unseen):
        weighed = weigh(table.prospect, table.costs, cases[0].objective)
        found.update((row, (table, weighed, place)) for place, row in enumerate(rows))
    return [found[row] for row in range(len(cases))]


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)
