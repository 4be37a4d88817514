"""The text of docs/abacus.md from the numbers of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from router.types import Bin

_QUINTILES = ("easiest", "2", "3", "4", "hardest")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return "\n".join([_row(*header), _row(*["---"] * len(header)), *(_row(*row) for row in rows)])


def wanted(numbers: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Each aim of the models: what was wanted, what came out, and whether it is met."""
    small, large = numbers["small"], numbers["large"]
    easiest, hardest = small["pass_1_by_quintile"][0], small["pass_1_by_quintile"][4]
    coverage = small["pass_16"] - small["pass_1"]
    gap = large["pass_1"] - small["pass_1"]
    gain = numbers["weighted_16"] - numbers["majority_16"]
    error = numbers["weighted_minus_majority_se"]
    said = {True: "yes", False: "**no**"}
    selects = "yes, but within two standard errors of none" if 0 < gain < 2 * error else said[gain > 0]
    return [
        ("small pass@1, easiest quintile", "≥ 0.85", _percent(easiest), said[easiest >= 0.85]),
        ("small pass@1, hardest quintile", "≤ 0.15", _percent(hardest), said[hardest <= 0.15]),
        ("small pass@16 − pass@1, overall", "≥ 0.20", _percent(coverage), said[coverage >= 0.2]),
        ("large − small, pass@1 overall", "≥ 0.20", _percent(gap), said[gap >= 0.2]),
        ("weighted best-of-16 − majority of 16", "> 0", f"{gain:+.3f} (s.e. {error:.3f})", selects),
    ]


def render(numbers: dict[str, Any], plot: str) -> str:
    small, large, steps = numbers["small"], numbers["large"], numbers["steps"]
    calibration, prm = numbers["calibration"], numbers["prm_training"]
    settings, data = numbers["settings"], numbers["data"]["settings"]
    parameters, training = numbers["parameters"], numbers["training"]

    def quintile_row(label: str, overall: float, values: Sequence[float]) -> list[str]:
        return [label, _percent(overall), *(_percent(value) for value in values)]

    accuracy = _table(
        ["", "overall", *_QUINTILES],
        [
            quintile_row("abacus-small pass@1", small["pass_1"], small["pass_1_by_quintile"]),
            quintile_row(
                "abacus-small majority of 16", numbers["majority_16"], numbers["majority_16_by_quintile"]
            ),
            quintile_row(
                "abacus-small weighted best-of-16", numbers["weighted_16"], numbers["weighted_16_by_quintile"]
            ),
            quintile_row("abacus-small pass@16", small["pass_16"], small["pass_16_by_quintile"]),
            quintile_row("abacus-large pass@1", large["pass_1"], large["pass_1_by_quintile"]),
            quintile_row("abacus-large pass@16", large["pass_16"], large["pass_16_by_quintile"]),
        ],
    )
    aims = _table(
        ["aim", "wanted", "came out", "met"],
        wanted(numbers),
    )
    models = _table(
        ["model", "parameters", "tokens seen", "steps"],
        [
            *(
                [
                    f"abacus-{size}",
                    f"{parameters[size]:,}",
                    f"{training[size]['tokens']:,}",
                    f"{training[size]['steps']:,}",
                ]
                for size in ("small", "large")
            ),
            [
                "abacus-prm",
                f"{parameters['prm']:,}",
                f"{prm.get('solutions', 0):,} distinct solutions of {prm.get('questions', 0):,} questions",
                f"best epoch {prm.get('best_epoch', '–')}",
            ],
        ],
    )
    bins = _table(
        [
            "bin",
            "questions",
            "small pass@1",
            "small majority of 16",
            "small weighted best-of-16",
            "large pass@1",
        ],
        [
            [
                name,
                one["questions"],
                *(
                    _percent(one.get(key))
                    for key in ("small_pass_1", "small_majority_right", "small_right", "large_right")
                ),
            ]
            for name in Bin  # easiest first
            if (one := calibration["bins"].get(name))
        ],
    )
    families = _table(
        ["family", "questions", "small pass@1", "large pass@1"],
        [
            [name, one["questions"], _percent(one["small"]), _percent(one["large"])]
            for name, one in numbers["families"].items()
        ],
    )
    aggregations = _table(
        ["aggregation over steps", "weighted best-of-16", "AUC of the final answer"],
        [
            [name, _percent(one["weighted_best_of_16"]), _percent(one["auc"])]
            for name, one in prm.get("table", {}).items()
        ],
    )
    commands = "\n".join(
        [
            "pip install 'gradus[train]'",
            f"gradus train abacus data --problems {data['problems']} --seed {data['seed']}",
            f"gradus train abacus lm --size small --steps {training['small']['steps']}",
            "gradus train abacus grow",
            f"gradus train abacus lm --size large --steps {training['large']['steps']}",
            f"gradus train rollouts --questions {prm.get('rollout_questions', '–')}",
            "gradus train prm",
            f"gradus train abacus report --questions {numbers['questions']}",
        ]
    )
    ratio = parameters["large"] / parameters["small"]
    tokens = numbers["completion_tokens"]
    return f"""# Abacus: what the embedded models can do

Written by `gradus train abacus report`; do not edit. Everything is measured on the exported float16 folders
in `workers/models/`, on {numbers["questions"]} held-out problems of the test split, sampled at temperature
{numbers["temperature"]}, which is also the temperature of their `generation_config.json`.

![Accuracy by difficulty quintile]({plot})

## Wanted, and what came out

{aims}

## Models

{models}

The large model has {ratio:.1f} times the parameters of the small one (embeddings included, tied). It is grown
from the trained small model (function-preserving, Net2Net) and then trained on: its tokens come on top of
those the small one had seen, and are the same examples in the same order. So both know the same problems, and
no others: {training["small"]["tokens"]:,} tokens (prompts included) of the {numbers["data"]["tokens"]:,} that
were generated for training. The loss is on the solutions only.

The reward model is the small one's layers, held fixed, under three new layers. These first learn the
probability that the small model gave to a solution so far, then the soft labels of Algorithm 1.

## Accuracy by difficulty

{accuracy}

Quintiles are of the small model's pass@1 over {settings["small_samples"] // 2} samples; its numbers in the
table come from {settings["small_samples"] // 2} *other* samples of the same questions, so that the ranking
does not flatter them. pass@k is the unbiased estimator 1 − C(n − c, k) / C(n, k). Majority and weighted
best-of-16 are averaged over the groups of 16 among those samples. The large model has
{settings["large_samples"]} samples a question. The unweighted best of 16 gets {_percent(numbers["best_16"])}.

By family:

{families}

## The process reward model

Right against wrong final answers, over all samples: AUC {_percent(numbers["answer_auc"])} (aggregation
`{numbers["aggregation"]}`). Per step, against fresh rollouts of {settings["rollout_questions"]} test problems
({steps["steps"]:,} steps before the answer line; positive is a rollout share of at least one half): AUC
{_percent(steps["auc"])}, correlation with the soft label {_percent(steps["correlation"])}.

The aggregation was chosen on the validation split:

{aggregations}

## Calibration

For the router, on {calibration["questions"]} problems of the calibration split
(`workers/models/calibration.json`): the bins of Algorithm 6 on the mean verifier score of 16 probes, and what
each way of answering gets right there.

{bins}

A completion has {tokens["small"]:.1f} tokens in the mean from the small model, {tokens["large"]:.1f} from the
large one.

## Reproduce

```
{commands}
```

`gradus train abacus all` runs them in order. Each goes on where it was killed.
"""
