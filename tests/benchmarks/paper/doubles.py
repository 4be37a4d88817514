"""A setting without models: a scripted engine that is right more or less often, and a scripted verifier."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

from benchmarks.paper.setting import SIZES, Setting
from router.config import load_config
from router.market import open_market
from workers.engines.scripted import ScriptedEngine
from workers.executor import Model
from workers.protocols import Prompt
from workers.training.questions import Question
from workers.verifiers.scripted import ScriptedVerifier

QUESTIONS = 10
SIZE = replace(
    SIZES["small"],
    name="tiny",
    questions=QUESTIONS,
    difficulty_samples=16,
    budgets=(4, 16),
    repeats=(2, 1),
    coverage_samples=16,
    large_questions=4,
    large_samples=8,
)


class CountingScriptedVerifier(ScriptedVerifier):
    def tokens(self, turn: Prompt) -> int:
        return len(turn.prefix.split())


def answer(prompt: Prompt, index: int, seed: int) -> str:
    """Question i of n is answered rightly, with its own number, with probability i / n."""
    number = int(prompt.messages[0]["content"].split()[-1])
    dice = random.Random(f"{number} {prompt.prefix} {index} {seed}")
    steps = ["so\n"] * (dice.randint(0, 2) if not prompt.prefix else 0)
    right = dice.random() < number / QUESTIONS
    return "".join(steps) + f"The answer is {number if right else 100 + dice.randint(0, 3)}."


def scripted_setting(folder: Path) -> Setting:
    """The preset with scripted models: its large model always answers as the small one does."""
    config = load_config("abacus", {})
    verifier = CountingScriptedVerifier(
        lambda text: [0.5 if "so" in line else 0.9 if "10" in line else 0.6 for line in text.splitlines()],
        name="abacus-prm",
    )
    models = {
        name: Model(ScriptedEngine(answer, model=name), config.models[name])  # type: ignore[arg-type]
        for name in ("abacus-small", "abacus-large")
    }
    return Setting(
        size=SIZE,
        folder=folder,
        config=config,
        market=open_market(config),
        models=models,
        verifiers={"abacus-prm": verifier},
        questions=[Question(str(at), f"Say {at}", str(at)) for at in range(QUESTIONS)],
        progress=Progress(disable=True),
        small="abacus-small",
        large="abacus-large",
        verifier="abacus-prm",
    )
