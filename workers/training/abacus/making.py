"""`gradus train abacus all`: the commands that make every embedded model from nothing, in order."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.training import files

QUESTIONS = 5_000
"""That abacus-prm and abacus-revision learn from."""
VERIFIER_QUESTIONS = 1_500
"""That the verifier of revisions learns from: others, or it would see what revising was taught on."""

Call = Callable[[Sequence[str]], int]
"""Runs `gradus train` with these arguments; returns the exit code."""


@dataclass(frozen=True, slots=True)
class Step:
    """Arguments of `gradus train`; then the folder ``makes`` of the data folder joins the models."""

    line: str
    makes: str | None = None

    def arguments(self, data_dir: Path) -> list[str]:
        return [word.replace("$D", str(data_dir)) for word in self.line.split()]


def steps(seed: int, problems: int, processes: int) -> list[Step]:
    """All of them; in their lines, $D is the data folder."""
    own = f"--data-dir $D --seed {seed}"
    language_model = f"abacus lm {own} --processes {processes} --size"
    other = f"--data-dir $D --seed {seed + 1}"
    return [
        Step(f"abacus data {own} --problems {problems}"),
        Step(f"{language_model} small"),
        Step(f"abacus grow {own}"),
        Step(f"{language_model} large"),
        Step(f"abacus questions {own} --count {QUESTIONS} --output $D/questions.jsonl"),
        Step("rollouts abacus-rollouts --questions $D/questions.jsonl --output $D/rollouts"),
        _trained("prm", "abacus-prm", "rollouts"),
        Step("revision-data abacus-revision-data --questions $D/questions.jsonl --output $D/revision-data"),
        _trained("revision", "abacus-revision", "revision-data"),
        Step(f"abacus questions {other} --count {VERIFIER_QUESTIONS} --output $D/others.jsonl"),
        Step("rollouts abacus-revision-attempts --questions $D/others.jsonl --output $D/revision-attempts"),
        _trained("orm", "abacus-revision-orm", "revision-attempts"),
        Step(f"abacus report {own}"),
    ]


def commands(seed: int, problems: int) -> list[str]:
    """The same for a shell."""
    found = []
    for each in steps(seed, problems, processes=2):
        found.append(f"gradus train {each.line}")
        if each.makes:
            found.append(f"cp $D/{each.makes}/* workers/models/{each.makes}/")
    return found


def make_all(todo: Sequence[Step], data_dir: Path, models_dir: Path, call: Call) -> int:
    """Take the steps in order, to the first that fails; returns its exit code, or 0."""
    for each in todo:
        # Grown once: on a later call the training of the large model has begun, and goes on.
        if each.line.startswith("abacus grow") and (data_dir / "lm-large" / "checkpoint.pt").exists():
            continue
        if code := call(each.arguments(data_dir)):
            return code
        if each.makes:
            files.replace_folder(models_dir / each.makes, _copy(data_dir / each.makes))
    return 0


def _trained(command: str, name: str, data: str) -> Step:
    return Step(f"{command} {name} --data $D/{data} --output $D/{name}", makes=name)


def _copy(source: Path) -> Callable[[Path], object]:
    return lambda target: shutil.copytree(source, target, dirs_exist_ok=True)
