"""What a replay says: of each policy, each single action and the oracle, with intervals and differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from router.evaluation.bootstrap import Interval, of_resamples
from router.replay.deciding import REFUSED
from router.replay.tally import Floats, Tally, What

_COVERS = 0.5
"""A single action that was recorded for fewer of the questions is not compared with."""
LEAST_QUESTIONS = 30
"""Of fewer in a segment a resample is too like another for an interval to be believed."""
_WAY = "way "


@dataclass(frozen=True, slots=True)
class Measure:
    """Right answers and USD a question, over the ``questions`` where right or wrong is known."""

    questions: int
    right: Interval
    cost_usd: Interval


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """One policy. ``came`` is of the questions where what it decided was recorded, ``estimated`` what it
    expected of the others.

    ``over_first`` is against the first policy, ``over_best`` against the best single action, ``to_oracle``
    quality that was lost (of right answers) and money that was wasted: each on the questions where both are
    known. ``ways`` are shares of all questions, as are ``probed``, ``escalated`` (to a large model after a
    probe), ``unseen`` and ``refused`` (which came out as not right, for $0); ``samples`` a question.
    """

    name: str
    questions: int
    came: Measure
    estimated: Measure
    over_first: Measure | None
    over_best: Measure | None
    to_oracle: Measure
    ways: dict[str, float]
    probed: float
    samples: float
    escalated: float
    unseen: float
    refused: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a policy against the first one, in a segment. ``clear``: in right answers, in USD, or in both it is
    no accident, as far as 95% intervals tell."""

    segment: str
    policy: str
    questions: int
    first: Measure
    came: Measure
    over_first: Measure

    @property
    def clear(self) -> bool:
        enough = self.over_first.questions >= LEAST_QUESTIONS
        return enough and any(_clear(each) for each in (self.over_first.right, self.over_first.cost_usd))


@dataclass(frozen=True, slots=True)
class Replay:
    """``actions`` are those that were recorded, ``best`` the one that is right most often. ``differences``
    are by segment, clear ones first, and of them the largest in right answers."""

    questions: int
    policies: tuple[PolicyReport, ...]
    actions: dict[str, Measure]
    best: str | None
    oracle: Measure
    differences: tuple[Difference, ...]

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = _plain(asdict(self))
        for each, difference in zip(found["differences"], self.differences, strict=True):
            each["clear"] = difference.clear
        return found


def report(tally: Tally, names: Sequence[str]) -> Replay:
    """``names`` are those of the policies, in the order in which they were tallied."""
    everything = _everything(tally)
    questions = sum(
        count for (_, policy, what), count in tally.counts.items() if (policy, what) == (0, "questions")
    )
    actions = {str(what[1]): _measure(sums) for what, sums in everything.items() if what[0] == "action"}
    covered = [name for name, each in actions.items() if each.questions >= _COVERS * questions]
    best = max(covered, key=lambda name: actions[name].right.value, default=None)
    return Replay(
        questions,
        tuple(_policy(tally, everything, policy, name, best) for policy, name in enumerate(names)),
        actions,
        best,
        _measure(everything["oracle",]),
        _differences(tally, names),
    )


def _everything(tally: Tally) -> dict[What, Floats]:
    """Over all segments."""
    found: dict[What, Floats] = {}
    for (_, what), sums in tally.sums.items():
        found[what] = found[what] + sums if what in found else sums
    return found


def _policy(
    tally: Tally, everything: dict[What, Floats], policy: int, name: str, best: str | None
) -> PolicyReport:
    counts: dict[str, int] = {}
    for (_, each, what), count in tally.counts.items():
        if each == policy:
            counts[what] = counts.get(what, 0) + count
    questions = counts["questions"]
    ways = {
        what.removeprefix(_WAY): count / questions
        for what, count in counts.items()
        if what.startswith(_WAY) and what != _WAY + REFUSED
    }
    return PolicyReport(
        name,
        questions,
        _measure(everything["policy", policy]),
        _measure(everything["estimated", policy]),
        _measure(everything["over first", policy]) if policy else None,
        None if best is None else _measure(everything["over action", policy, best]),
        _measure(everything["to oracle", policy]),
        dict(sorted(ways.items(), key=lambda way: -way[1])),
        *(counts[what] / questions for what in ("probed", "samples", "escalated", "unseen", "refused")),
    )


def _differences(tally: Tally, names: Sequence[str]) -> tuple[Difference, ...]:
    segments = tally.segments()
    if len(segments) < 2:
        return ()
    found = [
        Difference(
            segment,
            name,
            tally.counts[segment, policy, "questions"],
            _measure(tally.sums[segment, ("policy", 0)]),
            _measure(tally.sums[segment, ("policy", policy)]),
            _measure(tally.sums[segment, ("over first", policy)]),
        )
        for segment in segments
        for policy, name in enumerate(names)
        if policy
    ]
    return tuple(sorted(found, key=_importance))


def _importance(difference: Difference) -> tuple[bool, float]:
    return not difference.clear, -abs(float(np.nan_to_num(difference.over_first.right.value)))


def _measure(sums: Floats) -> Measure:
    """From [4, 1 + R] counts and sums."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.stack([sums[1] / sums[0], sums[3] / sums[2]], axis=1)
    right, cost_usd = of_resamples(means)
    return Measure(int(sums[0, 0]), right, cost_usd)


def _clear(interval: Interval) -> bool:
    return interval.low > 0 or interval.high < 0


def _plain(value: Any) -> Any:
    """Without NaN, which is no JSON."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and np.isnan(value) else value
