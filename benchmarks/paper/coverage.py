"""1. Coverage: how often at least one of k samples is right, and how that grows with k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paper.difficulty import BINS, difficulties
from benchmarks.paper.figures import BIN_COLOURS, Curve, panels
from benchmarks.paper.samples import samples
from benchmarks.paper.setting import Setting
from benchmarks.paper.statistics import Values, mean_interval
from benchmarks.paper.tables import cell, table
from cost_model.scaling import fit_log_linear, fit_power_law, pass_at_k

TITLE = "Coverage"


def run(setting: Setting) -> dict[str, Any]:
    """pass@k of all questions, of each oracle bin and of the large model, with fits."""
    count = setting.size.coverage_samples
    right = [sum(each.right) for each in samples(setting, setting.small, count)]
    bins = np.array(difficulties(setting).oracle)
    everything = _coverage(right, count)
    groups = {"all questions": everything}
    groups |= {
        f"bin {each + 1}": {k: found[bins == each] for k, found in everything.items()} for each in range(BINS)
    }
    few, most = setting.size.large_questions, setting.size.large_samples
    large = [sum(each.right) for each in samples(setting, setting.large, most, few)]
    groups |= {
        f"{setting.small}, {len(large)} questions": {
            k: found[: len(large)] for k, found in everything.items()
        },
        f"{setting.large}, {len(large)} questions": _coverage(large, most),
    }
    return {
        "samples": count,
        "groups": [
            {
                "name": name,
                "questions": len(next(iter(coverage.values()))),
                "points": [{"k": k, **mean_interval(found).json()} for k, found in coverage.items()],
                **fits({k: float(found.mean()) for k, found in coverage.items()}),
            }
            for name, coverage in groups.items()
            if len(next(iter(coverage.values())))
        ],
    }


def fits(coverage: Mapping[int, float]) -> dict[str, Any]:
    """Least squares of the paper's law, ``a + alpha log2 k``, and of an exponentiated power law.

    The latter is ``exp(a k^-b)`` (Brown et al. 2024, section 3.1), fitted as a line through
    ``log(-log pass@k)``; ``None`` where coverage is 0 or 1. ``farthest`` is the k at which the log-linear
    law is farthest off, by ``off``; R^2 of both is that of coverage itself.
    """
    k = np.array(list(coverage), dtype=float)
    found = np.array(list(coverage.values()))
    law, power_law = fit_log_linear(list(coverage), found), fit_power_law(list(coverage), found)
    line = law.start + law.per_doubling * np.log2(k)
    at = int(np.abs(found - line).argmax())
    power = None
    if power_law is not None:
        curve = np.exp(power_law.a * k**power_law.b)
        power = {"a": power_law.a, "b": -power_law.b, "r2": _r2(found, curve)}
    return {
        "log": {**asdict(law), "r2": _r2(found, line)},
        "farthest": {"k": int(k[at]), "off": float(found[at] - line[at])},
        "power": power,
    }


def section(results: Mapping[str, Any]) -> str:
    """What docs/paper.md says about it, above the notes."""
    groups = results["groups"]
    ks = [k for k in (1, 4, 16, 64, 256) if any(point["k"] == k for point in groups[0]["points"])]
    rows = []
    for group in groups:
        points = {point["k"]: point for point in group["points"]}
        power = group["power"]
        rows.append(
            [
                f"{group['name']} ({group['questions']})",
                *(cell(points.get(k)) for k in ks),
                f"{group['log']['per_doubling']:.3f}",
                f"{group['log']['r2']:.3f}",
                f"{group['farthest']['off']:+.3f} at {group['farthest']['k']}",
                "–" if power is None else f"{power['r2']:.3f}",
            ]
        )
    heads = [
        "questions",
        *(f"pass@{k}" for k in ks),
        "gain a doubling",
        "R² log-linear",
        "farthest off",
        "R² power",
    ]
    return (
        f"pass@k by the unbiased estimator 1 - C(n - c, k) / C(n, k) over n = {results['samples']} samples a "
        "question (of the large model fewer), with 95% bootstrap intervals over questions. Fitted by least "
        "squares over powers of two: a + alpha log2 k, and the exponentiated power law exp(a k^-b).\n\n"
        + table(heads, rows)
    )


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """coverage.png: all questions with both fits, and the bins."""
    groups = results["groups"]
    whole = groups[0]
    ks = [point["k"] for point in whole["points"]]
    log, power = whole["log"], whole["power"]
    first = [
        Curve.of("measured", whole["points"], "k", colour="C0"),
        Curve(
            "a + α log k",
            ks,
            [log["start"] + log["per_doubling"] * np.log2(k) for k in ks],
            style="--",
            colour="C1",
        ),
    ]
    if power is not None:
        fitted = [float(np.exp(power["a"] * k ** -power["b"])) for k in ks]
        first.append(Curve("exp(a k^-b)", ks, fitted, style=":", colour="C2"))
    others = groups[1:]
    bins = [
        Curve.of(group["name"], group["points"], "k", colour=BIN_COLOURS[int(group["name"][4:]) - 1])
        for group in others
        if group["name"].startswith("bin")
    ]
    models = [
        Curve.of(group["name"], group["points"], "k", colour=colour)
        for group, colour in zip(others[-2:], ("C0", "C3"), strict=True)
    ]
    panels(
        folder / "coverage.png",
        [
            ("all questions", "k samples", first),
            ("by difficulty (bin 1 is the easiest)", "k samples", bins),
            ("small and large model, same questions", "k samples", models),
        ],
        y="coverage pass@k",
    )


def _coverage(right: Sequence[int], count: int) -> dict[int, Values]:
    ks = [2**power for power in range(count.bit_length()) if 2**power <= count]
    return {k: np.array([pass_at_k(count, each, k) for each in right]) for k in ks}


def _r2(found: Values, fitted: Values) -> float | None:
    spread = float(((found - found.mean()) ** 2).sum())
    return None if spread == 0 else 1.0 - float(((found - fitted) ** 2).sum()) / spread
