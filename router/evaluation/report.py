"""What routing is worth on these outcomes: every policy with its numbers and intervals, and a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from router.evaluation.bootstrap import Interval
from router.evaluation.frontier import Hull, hull
from router.evaluation.measures import LENGTH, measure
from router.evaluation.metrics import CallCurve, Floats, Reliability, brier, call_curve, reliability
from router.evaluation.policies import Kind, Played, Router, always, best_possible, random_mix, routed
from router.evaluation.setting import Setting, Unit
from router.evaluation.verdict import Candidate, Verdict, decide


@dataclass(frozen=True, slots=True)
class Row:
    """One policy; its ``measures`` are those of :func:`router.evaluation.measures.measure`."""

    name: str
    kind: Kind
    measures: dict[str, Interval]
    share: dict[str, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far a router's predictions of one action can be believed."""

    router: str
    action: str
    ece: float
    brier: float
    reliability: Reliability


@dataclass(frozen=True, slots=True)
class Report:
    """``unit`` is that of all costs, ``None`` where nothing is known of them.

    For plots: ``curves`` and ``frontiers`` are the routers', of their first fold seed, by name; ``mixes`` is
    the hull of single actions, ``oracle_calls`` shares of strong calls and the best quality for each.
    """

    questions: int
    groups: int
    weak: str
    strong: str
    best_single: str
    unit: Unit | None
    rows: tuple[Row, ...]
    calibration: tuple[Calibration, ...]
    curves: dict[str, CallCurve]
    frontiers: dict[str, Hull]
    mixes: Hull | None
    oracle_calls: tuple[Floats, Floats]
    verdict: Verdict
    notes: tuple[str, ...]

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def json(self) -> dict[str, Any]:
        """For machines: intervals as {value, low, high}, what is unknown ``null`` or missing."""
        return {
            "questions": self.questions,
            "groups": self.groups,
            "weak": self.weak,
            "strong": self.strong,
            "best_single": self.best_single,
            "unit": self.unit,
            "policies": [
                {
                    "name": row.name,
                    "kind": row.kind,
                    "share": row.share,
                    **{name: each.json() for name, each in row.measures.items()},
                }
                for row in self.rows
            ],
            "calibration": [
                {"router": each.router, "action": each.action, "ece": each.ece, "brier": each.brier}
                for each in self.calibration
            ],
            "verdict": asdict(self.verdict),
            "notes": list(self.notes),
        }


def report(setting: Setting, routers: Sequence[Router], *, resamples: int = 1000) -> Report:
    """Everything about ``routers``, of which one should be :data:`LENGTH`, to be compared with."""
    singles = [always(setting, each) for each in range(len(setting.names))]
    mix, best = random_mix(setting), best_possible(setting)
    played = [*singles, mix, *(routed(setting, each) for each in routers), best]
    measures = measure(setting, played, routers, resamples)
    rows = tuple(
        Row(
            each.name,
            each.kind,
            measures[each.name],
            {name: float(share) for name, share in zip(setting.names, each.share, strict=True)},
        )
        for each in played
    )
    return Report(
        questions=len(setting.table),
        groups=len(set(setting.table.groups)),
        weak=setting.names[setting.weak],
        strong=setting.names[setting.strong],
        best_single=setting.names[setting.best_single],
        unit=setting.unit if setting.cost is not None else None,
        rows=rows,
        calibration=tuple(_calibration(setting, routers)),
        curves={each.name: _curve(setting, each) for each in routers},
        frontiers={each.name: _hull(each) for each in played if each.line is not None},
        mixes=_mixes(setting),
        oracle_calls=_oracle_calls(setting),
        verdict=_verdict(setting, rows),
        notes=(*setting.notes, *_gap_notes(setting)),
    )


def _gap_notes(setting: Setting) -> Iterator[str]:
    weak, strong = (float(setting.table.right[:, each].mean()) for each in (setting.weak, setting.strong))
    if weak == strong:
        names = f"{setting.names[setting.weak]} and {setting.names[setting.strong]}"
        yield f"{names} are right equally often: there is no gap to recover, so APGR and CPT say nothing"


def _verdict(setting: Setting, rows: Sequence[Row]) -> Verdict:
    best = setting.names[setting.best_single]
    priced = setting.cost is not None and setting.unit == "usd"
    always_best = rows[setting.best_single].measures["cost"].value if priced else 0.0
    return decide(
        [
            Candidate(
                row.name,
                row.measures["over_best"],
                row.measures.get("line_over_mix"),
                row.measures["apgr"],
                row.measures["cost"].value / always_best if always_best else None,
            )
            for row in rows
            if row.kind == "router" and row.name != LENGTH
        ],
        best,
        priced=priced,
        cheaper=setting.names[setting.weak],
    )


def _curve(setting: Setting, router: Router) -> CallCurve:
    scores = router.predicted.scores(setting.weak, setting.strong)[0]
    right = setting.table.right
    return call_curve(scores, right[:, setting.weak], right[:, setting.strong])


def _oracle_calls(setting: Setting) -> tuple[Floats, Floats]:
    """The strong action is called where it gains most, as long as it gains."""
    right = setting.table.right
    gain = np.sort(right[:, setting.strong] - right[:, setting.weak])[::-1]
    best = np.r_[0.0, np.cumsum(np.maximum(gain, 0.0))] / len(gain)
    return np.linspace(0, 1, len(gain) + 1), right[:, setting.weak].mean() + best


def _mixes(setting: Setting) -> Hull | None:
    if setting.cost is None:
        return None
    return hull(setting.cost.mean(axis=0), setting.table.right.mean(axis=0))


def _hull(played: Played) -> Hull:
    assert played.line is not None
    quality, cost = (each[0].mean(axis=1) for each in played.line)
    return hull(cost, quality)


def _calibration(setting: Setting, routers: Sequence[Router]) -> Iterator[Calibration]:
    for router in routers:
        for column, action in enumerate(setting.names):
            said = router.predicted.right[..., column]
            seen = np.broadcast_to(setting.table.right[:, column], said.shape)
            found = reliability(said, seen)
            yield Calibration(router.name, action, found.ece(), brier(said, seen), found)
