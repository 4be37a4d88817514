"""Sums over any number of questions in bounded memory, with all that intervals and differences need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from router.evaluation.frontier import oracle
from router.outcome_table import OutcomeTable
from router.replay.deciding import Decided
from router.replay.weights import weights_of

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

MOST_SEGMENTS = 100
OTHERS = "(others)"
"""The segment of all beyond so many: see :func:`_kept`."""

What = tuple[str | int, ...]
"""What is measured, with the number of the policy: ("policy", 0), ("estimated", 0) where that was not
recorded, ("over first", 1), ("over action", 0, "small"), ("to oracle", 0), and without a policy
("action", "small"), ("oracle",)."""
Pair = tuple[Floats, Floats]
"""Right answers and USD [N]; NaN is unknown."""


@dataclass(slots=True)
class Tally:
    """``sums`` [4, 1 + R] by segment and what is measured: how many are known and their sum, of right answers
    and of USD, for all questions and for R resamples. ``counts`` by segment, policy and what was done.
    """

    sums: dict[tuple[str, What], Floats] = field(default_factory=dict)
    counts: Counter[tuple[str, int, str]] = field(default_factory=Counter)

    def add(self, table: OutcomeTable, decided: Sequence[Decided]) -> None:
        """What the policies did with the questions of ``table``, always in the same order."""
        measured = _measured(table, decided)
        columns = np.stack([each for pair in measured.values() for each in _known(pair)])
        weights = weights_of(table.groups)
        for segment, rows in self._by_segment(table.segments):
            found = (columns[:, rows] @ weights[rows]).reshape(len(measured), 4, -1)
            for what, sums in zip(measured, found, strict=True):
                self._add(segment, what, sums)
            for policy, each in enumerate(decided):
                self._count(segment, policy, each, rows)

    def merge(self, other: Tally) -> None:
        for (segment, what), sums in other.sums.items():
            self._add(segment, what, sums)
        self.counts.update(other.counts)
        self._fold(_kept(self.segments()))

    def segments(self) -> list[str]:
        return sorted({segment for segment, _ in self.sums})

    def _add(self, segment: str, what: What, sums: Floats) -> None:
        before = self.sums.get((segment, what))
        self.sums[segment, what] = sums.copy() if before is None else before + sums

    def _fold(self, kept: Sequence[str]) -> None:
        """Take the segments that are not kept together."""
        for name in {*self.segments()} - {*kept, OTHERS}:
            for segment, what in [key for key in self.sums if key[0] == name]:
                self._add(OTHERS, what, self.sums.pop((segment, what)))
            for segment, policy, done in [key for key in self.counts if key[0] == name]:
                self.counts[OTHERS, policy, done] += self.counts.pop((segment, policy, done))

    def _by_segment(self, names: Sequence[str]) -> list[tuple[str, Indices]]:
        kept = _kept([*self.segments(), *names])
        self._fold(kept)
        places = {name: place for place, name in enumerate([*kept, OTHERS])}
        last = len(kept)
        place = np.fromiter((places.get(name, last) for name in names), np.intp, len(names))
        rows = [np.flatnonzero(place == each) for each in range(len(places))]
        return [(name, rows[each]) for name, each in places.items() if len(rows[each])]

    def _count(self, segment: str, policy: int, decided: Decided, rows: Indices) -> None:
        taken = np.bincount(decided.way[rows], minlength=len(decided.names))
        counted = {f"way {name}": count for name, count in zip(decided.names, taken, strict=True) if count}
        samples = decided.samples[rows]
        counted |= {
            "questions": len(rows),
            "recorded": np.isfinite(decided.right[rows]).sum(),
            "probed": (samples > 0).sum(),
            "samples": samples.sum(),
            "escalated": decided.escalated[rows].sum(),
            "unseen": decided.unseen[rows].sum(),
            "refused": decided.refused[rows].sum(),
        }
        for what, count in counted.items():
            self.counts[segment, policy, what] += int(count)


def _kept(names: Iterable[str]) -> list[str]:
    """Of too many segments those with the smallest hashes.

    So nothing is kept in the whole that was not kept in every part of it, however traffic is cut and ordered.
    """
    return sorted({*names} - {OTHERS}, key=_hash)[:MOST_SEGMENTS]


def _hash(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "replace")).digest()


def _measured(table: OutcomeTable, decided: Sequence[Decided]) -> dict[What, Pair]:
    unknown = np.full(len(table), np.nan)
    best = _oracle(table)
    actions = {
        action.name: (table.right[:, column], table.cost_usd[:, column])
        for column, action in enumerate(table.actions)
    }
    found: dict[What, Pair] = {("oracle",): best}
    found |= {("action", name): pair for name, pair in actions.items()}
    for policy, each in enumerate(decided):
        came = (each.right, each.cost_usd)
        found["policy", policy] = came
        found["estimated", policy] = (
            np.where(np.isnan(each.right), each.expected_right, unknown),
            np.where(np.isnan(each.right), each.expected_usd, unknown),
        )
        found["to oracle", policy] = (best[0] - each.right, _wasted(table, each))
        if policy:
            found["over first", policy] = _minus(came, (decided[0].right, decided[0].cost_usd))
        found |= {("over action", policy, name): _minus(came, pair) for name, pair in actions.items()}
    return found


def _oracle(table: OutcomeTable) -> Pair:
    """Where all outcomes are known: the cheapest of the actions that are most right."""
    right, cost_usd = np.full((2, len(table)), np.nan)
    rows = np.flatnonzero(np.isfinite(table.right).all(axis=1))
    if len(rows):
        taken = oracle(table.right[rows], table.cost_usd[rows])
        right[rows], cost_usd[rows] = table.right[rows, taken], table.cost_usd[rows, taken]
    return right, cost_usd


def _wasted(table: OutcomeTable, decided: Decided) -> Floats:
    """Paid beyond the cheapest action that was at least as right; where all outcomes are known.

    A refusal wastes nothing, and saves nothing either: what it lost is quality.
    """
    as_right = table.right >= decided.right[:, None]
    enough = np.where(as_right, table.cost_usd, np.inf).min(axis=1)
    full = np.isfinite(table.right).all(axis=1) & np.isfinite(enough)
    wasted = np.where(decided.refused, 0.0, decided.cost_usd - np.where(full, enough, 0.0))
    return np.where(full, wasted, np.nan)


def _minus(one: Pair, other: Pair) -> Pair:
    return one[0] - other[0], one[1] - other[1]


def _known(pair: Pair) -> list[Floats]:
    found: list[Floats] = []
    for values in pair:
        known = np.isfinite(values)
        found += [known.astype(np.float64), np.where(known, values, 0.0)]
    return found
