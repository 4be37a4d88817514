"""Answers that are programs: equal when they are written alike, or when they do the same."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from workers.answers.allowance import Allowance
from workers.answers.grouping import GroupedAnswers, Keys
from workers.answers.json_text import NotJson, read_json, spell_json
from workers.answers.program import defines, find_program, spell_program
from workers.errors import InvalidTask


def code_answers(
    entry_point: str | None, cases: Sequence[Sequence[Any]], allowance: Allowance
) -> GroupedAnswers:
    """Programs in canonical form; with ``cases`` those that give equal results are one class.

    Where an ``entry_point`` is asked for, a program that does not define it is no answer. With cases, every
    distinct program is run: raises :class:`workers.errors.SandboxUnavailable` where that is not safe, and
    :class:`workers.errors.InvalidTask` for cases of no function.
    """

    def read(text: str) -> str | None:
        source = find_program(text)
        if source is None or (entry_point is not None and not defines(source, entry_point)):
            return None
        return spell_program(source)

    if not cases:
        return GroupedAnswers(read)
    if entry_point is None:
        raise InvalidTask('cases need an "entry_point": the name of the function to call with them')
    return GroupedAnswers(read, _behaviours(entry_point, tuple(map(tuple, cases)), allowance))


def _behaviours(entry_point: str, cases: tuple[tuple[Any, ...], ...], allowance: Allowance) -> Keys:
    """Classes of programs that return equal results, or raise errors of equal types, on all cases.

    Each program is run once. One that does not come to its end on all of them, or for which no time is
    left, is alone.
    """
    from workers.verifiers.checks.sandbox import USUAL_LIMITS, Trial, require_sandbox, run_all

    require_sandbox()
    known: dict[str, Hashable] = {}
    at_once = len(os.sched_getaffinity(0))  # so many run side by side, or their time would add up

    def keys(answers: Sequence[str]) -> Mapping[str, Hashable]:
        new = [source for source in answers if source not in known]
        while new and (left_s := allowance.left_s) > 0:
            some, new = new[:at_once], new[at_once:]
            limits = replace(USUAL_LIMITS, timeout_s=min(USUAL_LIMITS.timeout_s, left_s))
            trials = [Trial(source, entry_point=entry_point, cases=cases) for source in some]
            with allowance.spending():
                done = run_all(trials, limits)
            for source, ran in zip(some, done, strict=True):
                known[source] = tuple(map(_spell, ran.returned)) if ran.outcome == "finished" else source
        return {source: known.get(source, source) for source in answers}

    return keys


def _spell(result: str) -> str:
    try:
        return spell_json(read_json(result))
    except NotJson:
        return result
