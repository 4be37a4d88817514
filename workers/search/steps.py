"""Steps of a solution: lines, as in Snell et al. 2024 (Algorithm 1, "steps separated by newlines")."""

from __future__ import annotations

import re

STEP_END = "\n"

_STEP = re.compile(r"\s*[^\n]*\n*")


def split_steps(text: str) -> tuple[str, ...]:
    """The steps of a turn, each with the newlines that end it; joined, they are the text.

    Blank lines belong to the step before them, or at the start to the first one.
    """
    return tuple(step for step in _STEP.findall(text) if step)


def first_step(text: str) -> str:
    """The first step of a turn, "" if it has none."""
    return next(iter(split_steps(text)), "")
