"""Which two actions of which set are routed between; the weaker one's own candidates are the evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.routing.sets import PROBED, load
from router.evaluation.setting import Setting
from router.outcome_table import OutcomeTable


@dataclass(frozen=True, slots=True)
class Pair:
    """``probe``: the weak run's candidates are looked at before the strong one is called."""

    set: str
    weak: str
    strong: str
    probe: bool = False

    @property
    def title(self) -> str:
        return f"{self.set}: {self.weak} / {self.strong}"

    @property
    def file(self) -> str:
        """A name for its row on disk."""
        return "".join(each if each.isalnum() else "-" for each in f"{self.set}_{self.weak}_{self.strong}")


@dataclass(frozen=True, slots=True)
class Transfer:
    """Fitted to the outcomes of one pair, measured on those of another."""

    source: Pair
    target: Pair

    @property
    def title(self) -> str:
        return f"{self.source.title} -> {self.target.title}"

    @property
    def file(self) -> str:
        return f"{self.source.file}--{self.target.file}"


_GSM8K = Pair("routellm/gsm8k", "mixtral-8x7b", "gpt-4")
_MMLU = Pair("routellm/mmlu", "mixtral-8x7b", "gpt-4")
_GEMMA = Pair("zeroeval/gsm", "gemma-2-2b-it", "gpt-4o-2024-08-06")
_LEVEL_5 = Pair("zeroeval/math-l5", "Qwen2.5-3B-Instruct", "Qwen2.5-72B-Instruct")
_MATH = Pair("math500", "llama3.2-1b|beam|n2", "llama3.1-8b|beam|n3", probe=True)

PAIRS = (
    _MATH,
    Pair("math500", "llama3.2-3b|single|n1", "llama3.1-8b|beam|n3", probe=True),
    Pair("math500", "llama3.2-1b|beam|n2", "llama3.1-8b|beam|n1", probe=True),
    Pair("math500", "llama3.1-8b|single|n1", "llama3.2-3b|beam|n3", probe=True),
    Pair("math500", "llama3.2-3b|beam|n3", "qwen2.5-math-1.5b->7b|spec|n4", probe=True),
    Pair("math100_wide", "llama3.2-3b|beam|n16", "qwen2.5-math-7b|beam|n4", probe=True),
    Pair("openai", "6b_finetuning", "6b_verification", probe=True),
    Pair("openai", "175b_finetuning", "6b_verification", probe=True),
    Pair("openai", "6b_verification", "175b_verification", probe=True),
    Pair("anytime", "main_adapter@96", "main_adapter@160", probe=True),
    Pair("anytime", "main_adapter@160", "main_adapter@320", probe=True),
    Pair("self-consistency", "fixed_4", "fixed_8", probe=True),
    Pair("reflexion", "gpt-4|single", "gpt-4|reflexion5", probe=True),
    Pair("rm8", "one", "best_of_8", probe=True),
    Pair("game24", "cot100", "tot_b5", probe=True),
    Pair("minif2f", "AI-MO_Kimina-Prover-Preview-Distill-7B", "Goedel-LM_Goedel-Prover-SFT", probe=True),
    _GSM8K,
    Pair("routellm/mt_bench", "mixtral-8x7b", "gpt-4"),
    _GEMMA,
    Pair("zeroeval/gsm", "Meta-Llama-3.1-8B-Instruct", "Meta-Llama-3.1-70B-Instruct"),
    Pair("zeroeval/math-l5", "Qwen2.5-7B-Instruct", "Qwen2.5-72B-Instruct"),
    _LEVEL_5,
    Pair("zeroeval/crux", "Qwen2.5-7B-Instruct", "Qwen2.5-72B-Instruct"),
    _MMLU,
)
TRANSFERS = (
    Transfer(_GSM8K, _MMLU),
    Transfer(_GEMMA, _GSM8K),
    Transfer(_LEVEL_5, replace(_MATH, probe=False)),
)


def outcomes(folder: Path, pair: Pair) -> OutcomeTable:
    """The questions with outcomes of both, weak first; the weak action is the small model's."""
    probe = pair.weak if pair.probe and pair.set in PROBED else None
    table = load(folder, pair.set, probe).only((pair.weak, pair.strong))
    if not pair.probe:
        table = replace(table, evidence=(None,) * len(table))
    return table.take(np.flatnonzero(np.isfinite(table.right).all(axis=1)))


def setting(table: OutcomeTable) -> Setting:
    """Weak against strong, in US dollars where they are known, else in calls of the strong action."""
    priced = bool(np.isfinite(table.cost_usd).all())
    cost = table.cost_usd if priced else np.tile([0.0, 1.0], (len(table), 1))
    first = cost[:, :1]
    probed = np.concatenate([first, first + cost[:, 1:]], axis=1) if any(table.evidence) else None
    return Setting(table, 0, 1, "usd" if priced else "calls", cost, probed, ())
