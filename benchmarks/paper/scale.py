"""What the toy scale changes: verifiers of any quality, simulated, on samples of both models.

A simulated verifier tells right from wrong turns of one question with a given AUC: it sees a normal variable
whose mean is higher where a turn is right, and says how likely that makes it (a calibrated probability).
Equal turns get equal scores, as real verifiers give them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from benchmarks.paper.figures import Curve, panels
from benchmarks.paper.grid import fixed, reaching, weightings
from benchmarks.paper.samples import Draws, samples
from benchmarks.paper.setting import Setting
from benchmarks.paper.statistics import Values, of_weightings
from benchmarks.paper.tables import cell, table

TITLE = "How good a verifier must be"
QUALITIES = (0.51, 0.6, 0.7, 0.8, 0.9, 0.97)
"""AUC within a question."""
WEIGHTED, BEST = "best-of-N weighted", "best-of-N"
AT = 16
"""The budget whose accuracy majority is asked to reach: that of the paper's example for search."""
_RESAMPLES = 1000


def run(setting: Setting) -> dict[str, Any]:
    """Best-of-N, weighted or not, and majority at every budget, by verifier quality, for both models."""
    size = setting.size
    found = [
        (setting.small, samples(setting, setting.small, size.coverage_samples)),
        (setting.large, samples(setting, setting.large, size.large_samples, size.large_questions)),
    ]
    return {"models": [_of_model(name, drawn) for name, drawn in found]}


def simulated(draws: Draws, auc: float, share_right: float, seed: int) -> Values:
    """Scores of one question's turns by a verifier of quality ``auc`` (0.5 to below 1), one a turn.

    Two normal variables whose means differ by d are told apart with an AUC of Phi(d / sqrt(2)); the score is
    the posterior of being right after a prior of ``share_right``.
    """
    distance = sqrt(2) * NormalDist().inv_cdf(auc)
    noise = np.random.default_rng(seed).standard_normal(max(draws.texts) + 1)
    seen = noise[draws.texts] + distance * np.array(draws.right, dtype=float)
    prior = log(share_right / (1 - share_right))
    found: Values = 1 / (1 + np.exp(-(distance * seen - distance**2 / 2 + prior)))
    return found


def is_right(answers: Values, right: Values, scores: Values, *, weighted: bool) -> bool:
    """Whether the winner of these turns is right: of equals the first; none without an answer (-1) wins."""
    eligible = np.flatnonzero(answers >= 0)
    if eligible.size == 0:
        return False
    behind = scores[eligible]
    if weighted:
        said = answers[eligible].astype(int)
        # Rounded: sums of equal scores in another order are still equal.
        behind = np.bincount(said, behind).round(9)[said]
    return bool(right[eligible[behind.argmax()]])


def _of_model(name: str, drawn: Sequence[Draws]) -> dict[str, Any]:
    weights = weightings(len(drawn), _RESAMPLES)
    share = min(0.99, max(0.01, float(np.mean([np.mean(each.right) for each in drawn]))))
    majority = by_budget(drawn, [np.ones(len(each.right)) for each in drawn], weighted=True)
    voted = np.stack([fixed(values, weights) for values in majority.values()], axis=1)
    curves, savings = [_told("majority", None, majority, weights)], []
    for auc in QUALITIES:
        scores = [simulated(each, auc, share, seed) for seed, each in enumerate(drawn)]
        for way in (WEIGHTED, BEST):
            curve = by_budget(drawn, scores, weighted=way == WEIGHTED)
            curves.append(_told(way, auc, curve, weights))
            if AT in curve:
                needed, reached = reaching(voted, list(map(float, majority)), fixed(curve[AT], weights))
                saving = of_weightings(needed / AT).json()
                savings.append({"way": way, "auc": auc, "reached": bool(reached[0]), **saving})
    return {"model": name, "questions": len(drawn), "pass_at_1": share, "curves": curves, "savings": savings}


def by_budget(drawn: Sequence[Draws], scores: Sequence[Values], *, weighted: bool) -> dict[int, Values]:
    """By budget the share of disjoint runs of so many samples that are right, one number a question."""
    count = len(drawn[0].right)
    found = {}
    for budget in (2**power for power in range(count.bit_length()) if 2**power <= count):
        parts = [slice(start, start + budget) for start in range(0, min(count, 16 * budget), budget)]
        found[budget] = np.array(
            [
                np.mean([is_right(a[part], r[part], s[part], weighted=weighted) for part in parts])
                for a, r, s in (
                    (np.array(d.answers), np.array(d.right), s) for d, s in zip(drawn, scores, strict=True)
                )
            ]
        )
    return found


def _told(way: str, auc: float | None, curve: Mapping[int, Values], weights: Values) -> dict[str, Any]:
    points = [
        {"budget": budget, **of_weightings(fixed(values, weights)).json()} for budget, values in curve.items()
    ]
    return {"way": way, "auc": auc, "points": points}


def section(results: Mapping[str, Any]) -> str:
    text = (
        "The gold label and noise, on the cached samples: what best-of-N makes of verifiers that tell right "
        "from wrong turns of a question with a given AUC, calibrated, with equal scores for equal turns and "
        "errors that are independent from text to text: real verifiers are neither. "
        f"Saving: how many samples majority needs, by {AT}, to be right as often as {AT} judged ones (≥: it "
        "never is).\n"
    )
    for model in results["models"]:
        rows = []
        for curve in model["curves"]:
            saving = [
                ("" if each["reached"] else "≥ ") + cell(each, 2)
                for each in model["savings"]
                if (each["way"], each["auc"]) == (curve["way"], curve["auc"])
            ]
            points = [cell(each) for each in curve["points"] if each["budget"] in (4, 16, 64, 256)]
            quality = "–" if curve["auc"] is None else f"{curve['auc']:g}"
            rows.append([curve["way"], quality, *points, *(saving or ["–"])])
        budgets = [
            each["budget"] for each in model["curves"][0]["points"] if each["budget"] in (4, 16, 64, 256)
        ]
        heads = ["way", "AUC", *(f"N = {budget}" for budget in budgets), "saving against majority"]
        share = f"pass@1 {model['pass_at_1']:.3f}"
        text += f"\n**{model['model']}** ({model['questions']} questions, {share})\n\n" + table(heads, rows)
    return text


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """verifier-quality.png: accuracy by budget for every quality, a panel a model and way."""
    shown = []
    for model in results["models"]:
        for way in (WEIGHTED, BEST):
            lines = [
                Curve.of(_name(curve), curve["points"], "budget", style="o-" if curve["auc"] else "s--")
                for curve in model["curves"]
                if curve["way"] in (way, "majority")
            ]
            shown.append((f"{model['model']}: {way}", "budget N, turns", lines))
    panels(folder / "verifier-quality.png", shown, y="share right", columns=2)


def _name(curve: Mapping[str, Any]) -> str:
    return "majority" if curve["auc"] is None else f"AUC {curve['auc']:g}"
