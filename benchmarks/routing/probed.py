"""Sets that tell what a weaker run saw of its own candidates: what a router may know after a probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.routing.rows import (
    PROBE_TRIES,
    UNKNOWN,
    Row,
    checked,
    lengths,
    rows_of,
    table,
    tokens_of,
)
from router.outcome_table import OutcomeTable
from router.types import Evidence


def _known(actions: Sequence[str], probe: str | None) -> str:
    """The probed action: ``probe``, or the first."""
    if probe not in (None, *actions):
        raise KeyError(
            f"nothing is known of the candidates of {probe!r}; of these it is: {', '.join(actions)}"
        )
    return probe or actions[0]


def openai(folder: Path, probe: str | None) -> OutcomeTable:
    """The evidence of a system is the one solution it chose; no score of it was published."""
    actions = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    seen = _known(actions, probe)
    return table(
        rows_of(folder, "gsm8k_openai_verifiers/rows.jsonl.gz"),
        actions,
        lambda row, action: row[action]["correct"],
        prompt=lambda row: row["question"],
        tokens=lambda row, action: tokens_of([row[action]["chars"]]),
        evidence=lambda row: Evidence(
            scores=(), answers=(row[seen]["answer"],), completion_tokens=lengths([row[seen]["chars"]])
        ),
        small=seen,
    )


_USUAL = "llama3.2-1b|beam|n2"


def math(file: str) -> Callable[[Path, str | None], OutcomeTable]:
    """Runs of search guided by a process reward model: the answer with the highest score is the action's."""

    def read(folder: Path, probe: str | None) -> OutcomeTable:
        rows = rows_of(folder, f"math500_prm_search/{file}.jsonl.gz")
        actions = tuple(rows[0]["runs"])
        seen = _known(actions, probe or (_USUAL if _USUAL in actions else None))

        def right(row: Row, action: str) -> float:
            run = row["runs"][action]
            return float(run["correct"][run["picked"]])

        def tokens(row: Row, action: str) -> float:
            run = row["runs"][action]
            return float(sum(run["tokens"])) if "tokens" in run else tokens_of(run["chars"])

        def evidence(row: Row) -> Evidence:
            run = row["runs"][seen]
            return Evidence(
                scores=tuple(run["prm"]),
                answers=tuple(run["ans"]),
                step_scores=tuple(tuple(steps) for steps in run["step_scores"]),
                completion_tokens=tuple(run["tokens"]) if "tokens" in run else lengths(run["chars"]),
            )

        return table(
            rows,
            actions,
            right,
            prompt=lambda row: row["problem"],
            segment=lambda row: row["subject"],
            tokens=tokens,
            seconds=lambda row, action: row["runs"][action].get("runtime_s", UNKNOWN),
            evidence=evidence,
            small=seen,
        )

    return read


_BUDGETS = (96, 160, 224, 320)


def anytime(folder: Path, probe: str | None) -> OutcomeTable:
    """Attempts at growing budgets; evidence: those up to the probed one, by stated confidence."""
    rows = rows_of(folder, "gsm8k_anytime_qwen1.5b/rows.jsonl.gz")
    place = {f"{run}@{budget}": (run, at) for run in rows[0]["runs"] for at, budget in enumerate(_BUDGETS)}
    seen = _known(tuple(place), probe)

    def evidence(row: Row) -> Evidence | None:
        run, at = place[seen]
        attempts = {name: row["runs"][run][name][: at + 1] for name in ("conf", "answer", "chars")}
        if None in attempts["conf"]:
            return None
        return Evidence(
            scores=tuple(attempts["conf"]),
            answers=tuple(attempts["answer"]),
            completion_tokens=lengths(attempts["chars"]),
        )

    def of(row: Row, action: str, name: str) -> float:
        run, at = place[action]
        return float(row["runs"][run][name][at])

    return table(
        rows,
        tuple(place),
        lambda row, action: of(row, action, "correct"),
        prompt=lambda row: row["question"],
        tokens=lambda row, action: tokens_of([of(row, action, "chars")]),
        evidence=evidence,
        small=seen,
    )


def self_consistency(folder: Path, probe: str | None) -> OutcomeTable:
    """Votes of 1, 4 and 8 samples; votes that lost count as different answers."""
    rows = rows_of(folder, "gsm8k_selfconsistency_gpt41mini/rows.jsonl.gz")
    actions = ("fixed_1", "fixed_4", "fixed_8", "adaptive")
    seen = _known(actions, probe)

    def evidence(row: Row) -> Evidence:
        run = row["runs"][seen]
        votes = round(run["vote_share"] * run["n_samples"])
        lost = tuple(f"another answer {index}" for index in range(run["n_samples"] - votes))
        return Evidence(
            scores=(),
            answers=(run["answer"],) * votes + lost,
            completion_tokens=(round(run["tokens"] / run["n_samples"]),) * run["n_samples"],
        )

    return table(
        rows,
        actions,
        lambda row, action: row["runs"][action]["correct"],
        prompt=lambda row: row["question"],
        tokens=lambda row, action: row["runs"][action]["tokens"],
        seconds=lambda row, action: row["runs"][action]["elapsed_ms"] / 1000,
        evidence=evidence,
        small=seen,
    )


def minif2f(folder: Path, probe: str | None) -> OutcomeTable:
    """No text. Tries are checked by Lean: the first four of the probed prover are the probe."""
    rows = rows_of(folder, "minif2f_provers24/rows.jsonl.gz")
    actions = tuple(rows[0]["correct"])
    seen = _known(actions, probe)
    return table(
        rows,
        actions,
        lambda row, action: float(np.mean(row["correct"][action][PROBE_TRIES:])),
        prompt=lambda _: "",
        group=lambda row: str(row["id"]),
        evidence=lambda row: checked(row["correct"][seen]),
        small=seen,
    )
