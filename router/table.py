"""The queries of one policy with everything priced: what weighing and explaining look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import isnan
from typing import TypeVar

import numpy as np

from cost_model.prices import add_usd
from router.config import Policy
from router.decision import Objective
from router.limits import allowed
from router.market import Market
from router.outlooks import Expectation
from router.pricing import ProbePrice, limited, priced, probe_price
from router.prospects import Guide, Prospect
from router.types import Alternative
from router.weighing import Costs
from router.workloads import Ask

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Case:
    """A query whose ways are to be weighed. ``text`` is what a predictor reads; ``readers`` can read it all.

    ``explained``: somebody asks why, so the plan says what was rejected and for which reason.
    """

    policy_name: str
    market: Market
    ask: Ask
    text: str
    readers: Collection[str]
    explained: bool

    @property
    def policy(self) -> Policy:
        return self.market.config.policies[self.policy_name]

    @property
    def objective(self) -> Objective:
        return self.market.objectives[self.policy_name]


@dataclass(frozen=True, slots=True)
class Table:
    """N queries of one policy: of each row of ``prospect`` its case and costs.

    Stages that a limit forbids are left out of ``prospect``. ``unseen``: there is a predictor, but the
    prompts are like none that it was fitted on, so tables guide.
    """

    cases: Sequence[Case]
    guide: Guide
    prospect: Prospect
    costs: Costs
    unseen: bool
    _known: dict[tuple[int, int, int, float | None], Alternative] = field(default_factory=dict)

    def of(self, rows: slice | Sequence[int]) -> Table:
        """That of some queries alone."""
        cases = self.cases[rows] if isinstance(rows, slice) else [self.cases[row] for row in rows]
        return Table(cases, self.guide, self.prospect.of(rows), self.costs.of(rows), self.unseen)

    def until(self, stages: int) -> Table:
        """The same without the stages after so many."""
        if stages == len(self.prospect.stages):
            return self
        prospect = replace(self.prospect, stages=self.prospect.stages[:stages])
        return replace(self, prospect=prospect, costs=self.costs.until(stages))

    def probe_prices(self, row: int) -> list[ProbePrice]:
        """Of each stage of a probe."""
        return probe_prices(self.cases[row], self.prospect, row)

    def probe_usd(self, row: int) -> Decimal | None:
        """What a probe of every stage is expected to cost."""
        return add_usd(*(price.expected_usd for price in self.probe_prices(row)))

    def offers(self, row: int) -> tuple[Alternative, ...]:
        """What there would be without a probe, whatever a cap allows."""
        return tuple(self.direct(row, way) for way in np.flatnonzero(self.prospect.offered).tolist())

    def direct(self, row: int, way: int) -> Alternative:
        """A way without a probe, priced."""
        return self.alternative(row, way, self.prospect.right.item(row, way), 0, None)

    def alternative(self, row: int, way: int, right: float, level: int, stage: int | None) -> Alternative:
        """A way, priced beyond the probe of a stage; ``None``: without one."""
        probes, tokens = _basis(self.prospect, row, way, level, stage)
        source = self.prospect.sources[level][way]
        found = self._known.get((row, way, probes, tokens))
        if found is not None:
            return replace(found, accuracy=right, accuracy_source=source)
        case, expectation = self.cases[row], Expectation(right, source, tokens)
        found = priced(case.market, case.policy_name, self.prospect.ways[way], expectation, case.ask, probes)
        self._known[row, way, probes, tokens] = found
        return found


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which of the ways [A] models can read and limits allow: without a probe, and ``after`` each stage [A].

    The first stage that a limit forbids is the end of them.
    """

    direct: list[bool]
    after: list[list[bool]]


def bounds_of(case: Case, prospect: Prospect, row: int, readers: Collection[str]) -> Bounds:
    """Of a row of the prospect. Models that are no ``readers`` cannot read the prompt.

    A speed that nobody knows is held against no model.
    """
    policy = case.policy
    readable = [way.model in readers for way in prospect.ways]
    if policy.max_cost_usd is None and policy.max_latency_s is None:
        return Bounds(readable, [readable] * len(prospect.stages))

    known: dict[tuple[int, int, float | None], tuple[Decimal | None, float | None]] = {}

    def within(stage: int | None, spent_usd: Decimal | None, spent_s: float) -> list[bool]:
        """Which ways a limit leaves."""
        found = readable.copy()
        for place, way in enumerate(prospect.ways):
            if found[place]:
                probes, tokens = _basis(prospect, row, place, 0, stage)
                key = (place, probes, tokens)
                if key not in known:
                    known[key] = limited(case.market, case.policy_name, way, tokens, case.ask, probes)
                usd, seconds = known[key]
                is_late = seconds is not None and _too_slow(policy, spent_s + seconds)
                found[place] = allowed(add_usd(spent_usd, usd), policy.max_cost_usd) and not is_late
        return found

    bounds = Bounds(within(None, Decimal(0), 0.0), [])
    spent_usd: Decimal | None = Decimal(0)
    spent_s = 0.0
    for stage, price in enumerate(probe_prices(case, prospect, row)):
        spent_usd, spent_s = add_usd(spent_usd, price.worst_case_usd), spent_s + price.expected_s
        if not allowed(spent_usd, policy.max_cost_usd) or _too_slow(policy, spent_s):
            break
        bounds.after.append(within(stage, spent_usd, spent_s))
    return bounds


def lay_out(
    cases: Sequence[Case], guide: Guide, prospect: Prospect, bounds: Sequence[Bounds], *, unseen: bool = False
) -> list[tuple[list[int], Table]]:
    """Price the prospect of N queries: tables, each with its rows of them.

    There is one table unless limits forbid some of the queries more stages than others.
    """
    direct_usd, probe_usd, after_usd = guide.tariff.expected_usd([case.ask for case in cases], prospect)
    none, stages = [False] * len(prospect.ways), len(prospect.stages)
    affordable = np.array(
        [[each.direct, *each.after, *[none] * (stages - len(each.after))] for each in bounds]
    )
    affordable_after = tuple([affordable[:, stage, None] for stage in range(1, stages + 1)])
    costs = Costs(direct_usd, after_usd, probe_usd, affordable[:, 0], affordable_after)
    whole = Table(cases, guide, prospect, costs, unseen)
    return [
        (rows, (whole if len(rows) == len(cases) else whole.of(rows)).until(len(bounds[rows[0]].after)))
        for rows in alike(bounds, lambda each: len(each.after))
    ]


def probe_prices(case: Case, prospect: Prospect, row: int) -> list[ProbePrice]:
    """Of each stage of a probe of a row's query."""
    small = next((way for way, found in enumerate(prospect.ways) if found.route == "small"), None)
    mean = None if small is None else prospect.completion_tokens.item(row, small)
    tokens = None if mean is None or isnan(mean) else mean
    sizes = [stage.samples for stage in prospect.stages]
    return [
        probe_price(case.market, case.policy_name, tokens, case.ask, size - before)
        for before, size in zip([0, *sizes], sizes, strict=False)
    ]


def alike(items: Sequence[T], key: Callable[[T], Hashable]) -> list[list[int]]:
    """The places of those with the same key."""
    found: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        found[key(item)].append(place)
    return list(found.values())


def _basis(prospect: Prospect, row: int, way: int, level: int, stage: int | None) -> tuple[int, float | None]:
    """How many samples are there, and how long one answer of a way is expected to be."""
    if stage is None:
        probes, mean = 0, prospect.completion_tokens.item(row, way)
    else:
        there = prospect.stages[stage]
        lengths = there.completion_tokens
        probes, mean = there.samples, lengths.item(row, min(level, lengths.shape[1] - 1), way)
    return probes if prospect.ways[way].route == "small" else 0, None if isnan(mean) else mean


def _too_slow(policy: Policy, expected_s: float) -> bool:
    return policy.max_latency_s is not None and expected_s > policy.max_latency_s
