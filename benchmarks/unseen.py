"""How well unseen kinds of prompts are told apart: AUC, and detection at 1% and 5% promised false alarms.

    python -m benchmarks.unseen DATA

DATA is a folder with `routellm` (GSM8K and MMLU), `zeroeval` (CRUX), `math500_prm_search` and
`reflexion_revisions` (HumanEval and MBPP), each as its README says. One kind is fitted on (60%), calibrated
on (20%) and told from the others by the rest (20%); means over five random splits.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from router.features.text import TextFeatures
from router.unseen import fit_unseen

SPLITS = 5
MOST = 1500
"""Prompts of one unseen kind."""

FILES = {
    "GSM8K": ("routellm/gsm8k.jsonl.gz", "prompt"),
    "MMLU": ("routellm/mmlu.jsonl.gz", "prompt"),
    "CRUX": ("zeroeval/crux.jsonl.gz", "prompt"),
    "MATH-500": ("math500_prm_search/math500.jsonl.gz", "problem"),
    "HumanEval, MBPP": ("reflexion_revisions/rows.jsonl.gz", "prompt"),
}
SCIENCES = (
    "math",
    "algebra",
    "statistics",
    "logic",
    "physics",
    "astronomy",
    "chemistry",
    "computer",
    "machine",
)
"""What the names of subjects full of formulas have."""
WITHOUT_SCIENCES = "MMLU, no sciences"
SCIENCE = "MMLU, sciences"


def read(data: Path) -> dict[str, list[str]]:
    """Distinct prompts by kind, among them MMLU's subjects apart: sciences with formulas, and the others."""
    kinds = {}
    for kind, (path, field) in FILES.items():
        with gzip.open(data / path, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        kinds[kind] = list(dict.fromkeys(row[field] for row in rows))
        if kind == "MMLU":
            is_science = [any(word in row["subject"] for word in SCIENCES) for row in rows]
            for name, wanted in ((WITHOUT_SCIENCES, False), (SCIENCE, True)):
                kinds[name] = [
                    row["prompt"] for row, found in zip(rows, is_science, strict=True) if found is wanted
                ]
    return kinds


def tell_apart(
    usual: Sequence[str], others: dict[str, list[str]], seed: int
) -> tuple[float, dict[str, tuple[float, float, float]]]:
    """False alarms at 1%, and by kind the AUC and what is detected at 1% and 5%."""
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(seed)
    mixed = [usual[i] for i in random.permutation(len(usual))]
    cuts = 6 * len(usual) // 10, 8 * len(usual) // 10
    fitted, calibration, left = mixed[: cuts[0]], mixed[cuts[0] : cuts[1]], mixed[cuts[1] :]
    features = TextFeatures().fit(fitted)
    unseen = fit_unseen(features.transform(fitted), features.transform(calibration))
    scores = unseen.scores(features.transform(left))
    found = {}
    for kind, texts in others.items():
        rows = features.transform([texts[i] for i in random.permutation(len(texts))[:MOST]])
        strange, p_values = unseen.scores(rows), unseen.p_values(rows)
        labels = np.repeat([0, 1], [len(scores), len(strange)])
        auc = float(roc_auc_score(labels, np.concatenate([scores, strange])))
        found[kind] = (auc, float(np.mean(p_values <= 0.01)), float(np.mean(p_values <= 0.05)))
    return float(np.mean(unseen.p_values(features.transform(left)) <= 0.01)), found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    kinds = read(parser.parse_args().data)
    print("| fitted on (prompts) | false alarms at 1% | unseen | AUC | found at 1% | at 5% |")
    print("|---|---|---|---|---|---|")
    for usual in kinds:
        if usual in ("MMLU", SCIENCE):
            continue
        parts = ("MMLU",) if usual == WITHOUT_SCIENCES else (WITHOUT_SCIENCES, SCIENCE)
        others = {kind: texts for kind, texts in kinds.items() if kind not in (usual, *parts)}
        runs = [tell_apart(kinds[usual], others, seed) for seed in range(SPLITS)]
        alarms = np.mean([false_alarms for false_alarms, _ in runs])
        for kind in others:
            auc, at_1, at_5 = np.mean([found[kind] for _, found in runs], axis=0)
            row = (
                f"{usual} ({len(kinds[usual])}) | {alarms:.1%} | {kind} | {auc:.3f} | {at_1:.0%} | {at_5:.0%}"
            )
            print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
