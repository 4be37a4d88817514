"""`gradus train abacus all`: the commands that make every embedded model from nothing, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

ROLLOUT_QUESTIONS = 3_000
"""That abacus-prm learns from."""
QUESTIONS = 4_500
"""That abacus-revision learns from: those, and more."""
VERIFIER_QUESTIONS = 600
"""That the verifier of revisions learns from: others, or it would see what revising was taught on."""

Call = Callable[[Sequence[str]], int]
"""Runs `gradus train` with these arguments; returns the exit code."""


def steps(seed: int, problems: int, processes: int) -> list[str]:
    """Arguments of `gradus train`; $D is the data folder."""
    own, others = f"--data-dir $D --seed {seed}", f"--data-dir $D --seed {seed + 1}"
    language_model = f"abacus lm {own} --processes {processes} --size"
    return [
        f"abacus data {own} --problems {problems}",
        f"{language_model} small",
        f"abacus grow {own}",
        f"{language_model} large",
        f"abacus questions {own} --count {ROLLOUT_QUESTIONS} --output $D/some.jsonl",
        "rollouts abacus-rollouts --questions $D/some.jsonl --output $D/rollouts",
        "prm abacus-prm --data $D/rollouts --output $D/abacus-prm",
        "abacus publish $D/abacus-prm",
        f"abacus questions {own} --count {QUESTIONS} --output $D/questions.jsonl",
        "revision-data abacus-revision-data --questions $D/questions.jsonl --output $D/revision-data",
        "revision abacus-revision --data $D/revision-data --output $D/abacus-revision",
        "abacus publish $D/abacus-revision",
        f"abacus questions {others} --count {VERIFIER_QUESTIONS} --output $D/others.jsonl",
        "rollouts abacus-revision-attempts --questions $D/others.jsonl --output $D/revision-attempts",
        "orm abacus-revision-orm --data $D/revision-attempts --output $D/abacus-revision-orm",
        "abacus publish $D/abacus-revision-orm",
        f"abacus report {own}",
    ]


def make_all(todo: Sequence[str], data_dir: Path, call: Call) -> int:
    """Take the steps in order, to the first that fails; returns its exit code, or 0."""
    for line in todo:
        # Grown once: on a later call the training of the large model has begun, and goes on.
        if line.startswith("abacus grow") and (data_dir / "lm-large" / "checkpoint.pt").exists():
            continue
        if code := call([word.replace("$D", str(data_dir)) for word in line.split()]):
            return code
    return 0
