"""What every reader of a published set is made of."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.evaluation.groups import groups_of
from router.outcome_table import Action, OutcomeTable
from router.types import Evidence

Row = Mapping[str, Any]
Floats = NDArray[np.float64]

_CHARACTERS_PER_TOKEN = 3.0
UNKNOWN = float("nan")
PROBE_TRIES = 4
"""Where an exact check tells right from wrong, a probe is so many tries; the other tries are the outcome."""


def rows_of(folder: Path, file: str) -> list[Row]:
    with gzip.open(folder / file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _unknown(row: Row, action: str) -> float:  # noqa: ARG001 - the shape that readers pass.
    return UNKNOWN


def table(
    rows: Sequence[Row],
    actions: Sequence[str],
    right: Callable[[Row, str], float],
    *,
    prompt: Callable[[Row], str],
    segment: Callable[[Row], str] = lambda _: "",
    group: Callable[[Row], str] | None = None,
    tokens: Callable[[Row, str], float] = _unknown,
    cost_usd: Callable[[Row, str], float] = _unknown,
    seconds: Callable[[Row, str], float] = _unknown,
    evidence: Callable[[Row], Evidence | None] = lambda _: None,
    small: str | None = None,
) -> OutcomeTable:
    prompts = tuple(prompt(row) for row in rows)
    unknown = np.full(len(rows), UNKNOWN)

    def grid(value: Callable[[Row, str], float]) -> Floats:
        return np.array([[value(row, action) for action in actions] for row in rows], dtype=np.float64)

    costs = grid(cost_usd)
    return OutcomeTable(
        ids=tuple(str(row["id"]) for row in rows),
        prompts=prompts,
        groups=groups_of(prompts) if group is None else tuple(group(row) for row in rows),
        segments=tuple(segment(row) for row in rows),
        actions=tuple(Action(name, "small" if name == small else "large", name) for name in actions),
        right=grid(right),
        cost_usd=costs,
        after_probe_usd=np.full_like(costs, UNKNOWN),
        completion_tokens=grid(tokens),
        seconds=grid(seconds),
        prompt_tokens=unknown,
        probe_usd=unknown,
        evidence=tuple(evidence(row) for row in rows),
    )


def tokens_of(counts: Sequence[float]) -> float:
    """Of answers of so many characters, together."""
    return sum(counts) / _CHARACTERS_PER_TOKEN


def lengths(counts: Sequence[float]) -> tuple[int, ...]:
    """The same one by one, in whole tokens."""
    return tuple(round(count / _CHARACTERS_PER_TOKEN) for count in counts)


def checked(tries: Sequence[int]) -> Evidence:
    """A probe whose samples an exact check judged: right ones agree, wrong ones have no answer."""
    first = tries[:PROBE_TRIES]
    return Evidence(
        scores=tuple(map(float, first)), answers=tuple("right" if each else None for each in first)
    )
