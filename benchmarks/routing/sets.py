"""Every set of published outcomes as an :class:`OutcomeTable`, read in place from the folder of all sets.

What a set does not record is NaN or ``None``: of all sets only the game of 24 has costs. Where only
characters were published, tokens are characters / 3 (where both are, three characters make a token).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.routing import probed
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


def load(folder: Path, name: str, probe: str | None = None) -> OutcomeTable:
    """The set ``name`` of :data:`NAMES`, from the ``folder`` that holds all of them.

    ``probe`` names the action whose candidates are the evidence, where a set records them of several; else
    it is the first (of "math500" the 1B beam of two). Raises :class:`KeyError` if there is no such set, or
    no such action to probe.
    """
    if name in PROBED:
        return PROBED[name](folder, probe)
    if name not in _READERS:
        raise KeyError(f"no set {name!r}; there are {', '.join(NAMES)}")
    if probe is not None:
        raise KeyError(f"{name} does not tell what {probe!r} saw")
    return _READERS[name](folder)


_ROUTELLM = {"mixtral-8x7b": "weak", "gpt-4": "strong"}


def _clean(folder: Path, file: str) -> list[Row]:
    """RouteLLM's questions but those that it found in its training data."""
    return [row for row in rows_of(folder, f"routellm/{file}.jsonl.gz") if not row["contaminated"]]


def _routellm_gsm8k(folder: Path) -> OutcomeTable:
    return table(
        _clean(folder, "gsm8k"),
        tuple(_ROUTELLM),
        lambda row, action: row[_ROUTELLM[action]],
        prompt=lambda row: row["prompt"],
        tokens=lambda row, action: tokens_of([row[f"{_ROUTELLM[action]}_chars"]]),
        small="mixtral-8x7b",
    )


def _routellm_mmlu(folder: Path) -> OutcomeTable:
    return table(
        _clean(folder, "mmlu"),
        tuple(_ROUTELLM),
        lambda row, action: row[_ROUTELLM[action]],
        prompt=lambda row: row["prompt"],
        segment=lambda row: row["subject"],
        small="mixtral-8x7b",
    )


def _routellm_mt_bench(folder: Path) -> OutcomeTable:
    """Routed on the first turn; the quality is the mean score of both turns, of 10."""
    names = {"mixtral-8x7b": "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4": "gpt-4-1106-preview"}
    return table(
        _clean(folder, "mt_bench"),
        tuple(names),
        lambda row, action: float(np.mean(row["scores"][names[action]])) / 10,
        prompt=lambda row: row["turns"][0],
        segment=lambda row: row["category"],
        small="mixtral-8x7b",
    )


def _zeroeval(file: str, prefix: str) -> Callable[[Path], OutcomeTable]:
    def read(folder: Path) -> OutcomeTable:
        rows = [
            {**row, "id": prefix + row["id"].split("#")[-1]}
            for row in rows_of(folder, f"zeroeval/{file}.jsonl.gz")
        ]
        return table(
            rows,
            tuple(rows[0]["correct"]),
            lambda row, action: row["correct"][action],
            prompt=lambda row: row["prompt"],
            tokens=lambda row, action: tokens_of([row["chars"][action]]),
        )

    return read


def _rm8(folder: Path) -> OutcomeTable:
    """One sample, the best of eight by reward; rewards have no fixed scale and go through a sigmoid."""
    return table(
        rows_of(folder, "qwen_math_rm8/rows.jsonl.gz"),
        ("one", "best_of_8"),
        lambda row, action: row["correct"][0 if action == "one" else int(np.argmax(row["rm"]))],
        prompt=lambda row: row["problem"],
        segment=lambda row: row["level"],
        tokens=lambda row, action: tokens_of(row["chars"][:1] if action == "one" else row["chars"]),
        evidence=lambda row: Evidence(
            scores=tuple(float(1 / (1 + np.exp(-reward))) for reward in row["rm"][:1]),
            answers=tuple(row["ans"][:1]),
            completion_tokens=lengths(row["chars"][:1]),
        ),
        small="one",
    )


def _reflexion(folder: Path) -> OutcomeTable:
    """Evidence: whether the first answer passed the tests that the model wrote (it was not revised)."""
    rows = rows_of(folder, "reflexion_revisions/rows.jsonl.gz")
    actions = ("gpt-4|single", "gpt-4|single|rep2", "gpt-4|reflexion5", "gpt-4|reflexion5-ucs")

    def of(row: Row, action: str, name: str) -> float:
        return float(row["runs"][action][name]) if action in row["runs"] else UNKNOWN

    return table(
        rows,
        actions,
        lambda row, action: of(row, action, "correct"),
        prompt=lambda row: row["prompt"],
        segment=lambda row: row["task"],
        tokens=lambda row, action: tokens_of([of(row, action, "chars")]),
        evidence=lambda row: Evidence(
            scores=(float(row["runs"]["gpt-4|reflexion5"]["n_reflections"] == 0),),
            answers=("code",),
            completion_tokens=lengths([row["runs"]["gpt-4|single"]["chars"]]),
        ),
        small="gpt-4|single",
    )


def _game24(folder: Path) -> OutcomeTable:
    """Samples are checked exactly: a hundred of them are right if one is. The first four are the probe."""
    rows = rows_of(folder, "tot_game24/rows.jsonl.gz")

    def one_of_all(action: str) -> bool:
        return action in ("cot100", "io100")

    def run(row: Row, action: str) -> Row:
        found: Row = row["runs"][action.partition("@")[0]]
        return found

    def right(row: Row, action: str) -> float:
        tries = run(row, action)["correct"]
        if action == "tot_b5":
            return float(tries[0])
        return float(np.mean(tries[PROBE_TRIES:]) if one_of_all(action) else max(tries))

    def share(row: Row, action: str, name: str) -> float:
        return float(run(row, action)[name]) / (100 if one_of_all(action) else 1)

    return table(
        rows,
        ("cot100", "io100", "cot100@100", "io100@100", "tot_b5"),
        right,
        prompt=lambda row: row["puzzle"],
        group=lambda row: row["puzzle"],
        tokens=lambda row, action: share(row, action, "completion_tokens"),
        cost_usd=lambda row, action: share(row, action, "cost_usd"),
        evidence=lambda row: checked(row["runs"]["cot100"]["correct"]),
        small="cot100",
    )


_READERS: Mapping[str, Callable[[Path], OutcomeTable]] = {
    "routellm/gsm8k": _routellm_gsm8k,
    "routellm/mmlu": _routellm_mmlu,
    "routellm/mt_bench": _routellm_mt_bench,
    "zeroeval/gsm": _zeroeval("gsm", "gsm8k-test-"),
    "zeroeval/math-l5": _zeroeval("math-l5", "math-l5-"),
    "zeroeval/crux": _zeroeval("crux", "crux-test-"),
    "rm8": _rm8,
    "reflexion": _reflexion,
    "game24": _game24,
}
PROBED: Mapping[str, Callable[[Path, str | None], OutcomeTable]] = {
    "openai": probed.openai,
    "math500": probed.math("math500"),
    "math100_wide": probed.math("math100_wide"),
    "anytime": probed.anytime,
    "self-consistency": probed.self_consistency,
    "minif2f": probed.minif2f,
}
"""Those that may tell what each of several actions saw."""

NAMES = (*_READERS, *PROBED)
