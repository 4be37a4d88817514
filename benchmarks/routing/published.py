"""Whether the metrics give what others measured with RouteLLM's own code on its outcomes.

    python -m benchmarks.routing.published FOLDER

Random scores and an oracle's (the true gain, ties in random order), each the mean over 20 seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.routing.sets import load
from router.evaluation.metrics import call_curve

SEEDS = 20
PUBLISHED = {
    ("routellm/gsm8k", "random"): (0.497, 0.504, 0.793),
    ("routellm/gsm8k", "oracle"): (1.115, 0.110, 0.176),
    ("routellm/mmlu", "random"): (0.500, 0.501, 0.804),
    ("routellm/mmlu", "oracle"): (1.268, 0.063, 0.100),
}
"""APGR, CPT(50%), CPT(80%)."""
_TOLERANCE = {"random": (0.01, 0.02, 0.01), "oracle": (0.0006, 0.0006, 0.0006)}
"""Random scores of other seeds differ; an oracle's only by how it is rounded."""


def measured(folder: Path, name: str, kind: str) -> tuple[float, float, float]:
    table = load(folder, name)
    weak, strong = table.right.T
    found = []
    for seed in range(SEEDS):
        noise = np.random.default_rng(seed).random(len(table))
        curve = call_curve(noise if kind == "random" else strong - weak + 1e-6 * noise, weak, strong)
        found.append((curve.apgr(), curve.cpt(0.5), curve.cpt(0.8)))
    apgr, half, most = np.mean(found, axis=0).tolist()
    return apgr, half, most


def main() -> int:
    folder = Path(sys.argv[1])
    failed = 0
    for (name, kind), wanted in PUBLISHED.items():
        found = measured(folder, name, kind)
        near = all(
            abs(one - other) <= tolerance
            for one, other, tolerance in zip(found, wanted, _TOLERANCE[kind], strict=True)
        )
        failed += not near
        numbers = ", ".join(
            f"{label} {one:.3f} (published {other:.3f})"
            for label, one, other in zip(("APGR", "CPT50", "CPT80"), found, wanted, strict=True)
        )
        print(f"{name} {kind}: {numbers}{'' if near else ': DIFFERS'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
