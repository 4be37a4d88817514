"""The text of docs/abacus.md from the numbers of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from router.types import Bin
from workers.training.abacus.making import steps
from workers.training.abacus.markdown_revisions import revisions
from workers.training.abacus.tables import interval, number, table, wrapped

_ACCURACY = (
    ("small_pass_1", "abacus-small pass@1"),
    ("small_majority_16", "abacus-small majority of 16"),
    ("small_weighted_16", "abacus-small weighted best-of-16"),
    ("small_pass_16", "abacus-small pass@16"),
    ("large_pass_1", "abacus-large pass@1"),
    ("large_pass_16", "abacus-large pass@16"),
)
_CALIBRATED = ("small_pass_1", "small_majority_right", "small_right", "large_right")


def wanted(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Each aim of the models: what was wanted, what came out, and whether it is met."""
    accuracy = found["accuracy"]
    small, large = accuracy["small_pass_1"], accuracy["large_pass_1"]
    easiest, hardest = small["by_quintile"][0], small["by_quintile"][-1]
    covered = accuracy["small_pass_16"]["overall"] - small["overall"]
    gap = large["overall"] - small["overall"]
    gain = found["weighted_minus_majority"]
    said = {True: "yes", False: "**no**"}
    selects = "yes, but none is within the interval" if gain["low"] <= 0 < gain["value"] else None
    return [
        ("small pass@1, easiest quintile", "≥ 0.85", number(easiest), said[easiest >= 0.85]),
        ("small pass@1, hardest quintile", "≤ 0.15", number(hardest), said[hardest <= 0.15]),
        ("small pass@16 − pass@1, overall", "≥ 0.20", number(covered), said[covered >= 0.2]),
        ("large − small, pass@1 overall", "≥ 0.20", number(gap), said[gap >= 0.2]),
        (
            "weighted best-of-16 − majority of 16",
            "> 0",
            interval(gain, signed=True),
            selects or said[gain["value"] > 0],
        ),
    ]


def render(found: dict[str, Any], plots: str) -> str:
    """The whole report; ``plots`` is the folder beside it that holds the plots."""
    prm, steps, settings = found["prm"], found["steps"], found["settings"]
    calibration, parameters, training = found["calibration"], found["parameters"], found["training"]
    half = settings["small_samples"] // 2
    text = f"""# Abacus: what the embedded models can do

Written by `gradus train abacus report`; do not edit. Everything is measured on the folders in
`workers/models/`, run and judged as a worker runs and judges them, on {found["questions"]} held-out
problems of the test split, sampled at temperature {found["temperature"]}. Numbers in brackets are 95%
bootstrap intervals over questions.

![Accuracy by difficulty quintile]({plots}/accuracy.png)

## Wanted, and what came out

{table(["aim", "wanted", "came out", "met"], wanted(found))}

## Models

{_models(parameters, training)}

abacus-large has {parameters["abacus-large"] / parameters["abacus-small"]:.1f} times the parameters of
abacus-small (embeddings included, tied). It is grown from the trained abacus-small
(function-preserving, Net2Net) and then trained on: its tokens come on top of those the small one had
seen, and are the same examples in the same order. So both know the same problems, and no others:
{training["small"]["tokens"]:,} tokens (prompts included) of the {found["data"]["tokens"]:,} that were
generated for training. The loss is on the solutions only.

The other models are made from these by the recipes that any model can be put through
([docs/training.md](training.md)), on problems of the train split that no language model had seen. What
each was trained on, and its losses, are in the README.md of its folder.

## Accuracy by difficulty

{_accuracy(found["accuracy"])}

Quintiles are of the small model's pass@1 over {half} samples; its numbers in the table come from {half}
*other* samples of the same questions, so that the ranking does not flatter them. pass@k is the unbiased
estimator 1 − C(n − c, k) / C(n, k). Majority and weighted best-of-16 are averaged over the groups of 16
among those samples. The large model has {settings["large_samples"]} samples a question. The unweighted
best of 16 gets {number(found["best_16"])}.

By family:

{_families(found["families"])}

## The process reward model

Right against wrong answers: AUC {number(prm["auc"])} over all samples,
{number(prm["within_question_auc"])} within a question, which is what a search chooses by. Per step,
against fresh rollouts of {settings["rollout_questions"]} test problems ({steps["steps"]:,} steps before
the answer line; positive is a rollout share of at least one half): AUC {number(steps["auc"])},
correlation with the soft label {number(steps["correlation"])}.

How the scores of the steps become one, on {found["questions"]} problems of the validation split:

{_aggregations(found["aggregations"])}

{revisions(found["revising"], settings, plots)}

## Calibration

For the router, on {calibration["questions"]} problems of the calibration split
(`workers/models/calibration.json`): the bins of Algorithm 6 on the mean verifier score of 16 probes,
and what each way of answering gets right there.

{_bins(calibration["bins"])}

## Reproduce

```
pip install 'gradus[train]'
D=~/.cache/gradus/abacus
{_commands(found)}
```

`gradus train abacus all` runs these in order. Each goes on where it was killed.
"""
    return wrapped(text)


_BASES = {
    "abacus-revision": "abacus-small",
    "abacus-prm": "abacus-small",
    "abacus-revision-orm": "abacus-revision",
}


def _models(parameters: dict[str, int], training: dict[str, Any]) -> str:
    trained = {f"abacus-{size}": one for size, one in training.items()}
    rows = []
    for name, count in parameters.items():
        card = f"[card](../workers/models/{name}/README.md)"
        one = trained.get(name)
        on = f"{one['tokens']:,} tokens in {one['steps']:,} steps" if one else _BASES[name]
        rows.append([name, f"{count:,}", on, card])
    return table(["model", "parameters", "trained on, or from", ""], rows)


def _accuracy(accuracy: dict[str, Any]) -> str:
    rows = [
        [label, number(accuracy[key]["overall"]), *map(number, accuracy[key]["by_quintile"])]
        for key, label in _ACCURACY
    ]
    return table(["", "overall", "easiest", "2", "3", "4", "hardest"], rows)


def _families(families: dict[str, Any]) -> str:
    rows = [
        [name, one["questions"], number(one["small"]), number(one["large"])] for name, one in families.items()
    ]
    return table(["family", "questions", "small pass@1", "large pass@1"], rows)


def _aggregations(found: dict[str, Any]) -> str:
    keys = ("weighted_best_of_16", "auc", "within_question_auc")
    rows = [[name, *(number(one[key]) for key in keys)] for name, one in found.items()]
    return table(["aggregation", "weighted best-of-16", "AUC", "AUC within a question"], rows)


def _bins(bins: dict[str, Any]) -> str:
    rows: list[Sequence[object]] = [
        [name, one["questions"], *(number(one.get(key)) for key in _CALIBRATED)]
        for name in Bin  # easiest first
        if (one := bins.get(name))
    ]
    header = ["bin", "questions", "small pass@1", "small majority of 16", "small weighted best-of-16"]
    return table([*header, "large pass@1"], rows)


def _commands(found: dict[str, Any]) -> str:
    made = found["data"]["settings"]
    return "\n".join(f"gradus train {line}" for line in steps(made["seed"], made["problems"], processes=2))
