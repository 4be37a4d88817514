"""The scripted setting with a model that revises like it answers, and a verifier that reads chains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.paper import ratios
from benchmarks.paper.setting import Setting
from router.market import open_market
from tests.benchmarks.paper.doubles import CountingScriptedVerifier, answer, scripted_setting
from workers.engines.scripted import ScriptedEngine
from workers.executor import Model
from workers.protocols import Prompt

REVISE = "Again, please."


def revising_setting(folder: Path) -> Setting:
    plain = scripted_setting(folder)
    own = plain.models[plain.small].config.model_copy(update={"revise_prompt": REVISE})
    config = plain.config.model_copy(
        update={
            "models": {**plain.config.models, ratios.MODEL: own},
            "verifiers": {**plain.config.verifiers, ratios.VERIFIER: plain.config.verifiers[plain.verifier]},
        }
    )
    judge = CountingScriptedVerifier(_believe, name=ratios.VERIFIER, scores_steps=False, reads_history=True)
    return replace(
        plain,
        config=config,
        market=open_market(config),
        models={**plain.models, ratios.MODEL: Model(ScriptedEngine(_revise, model=ratios.MODEL), own)},
        verifiers={**plain.verifiers, ratios.VERIFIER: judge},
    )


def _revise(prompt: Prompt, index: int, seed: int) -> str:
    question = Prompt(prompt.messages[:1], prompt.prefix)
    return answer(question, index, seed + len(prompt.messages))


def _believe(text: str) -> list[float]:
    return [0.9 if "10" in line else 0.6 for line in text.splitlines()]
