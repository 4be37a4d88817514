"""Answers that are programs: equal when they are written alike, or when they do the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from workers.answers.grouping import GroupedAnswers, relabel
from workers.answers.json_text import NotJson, read_json, spell_json
from workers.answers.program import defines, find_program, spell_program
from workers.errors import InvalidTask


def code_answers(entry_point: str | None, cases: Sequence[Sequence[Any]]) -> GroupedAnswers:
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
    return GroupedAnswers(read, _behaviour_classes(entry_point, tuple(map(tuple, cases))))


def _behaviour_classes(
    entry_point: str, cases: tuple[tuple[Any, ...], ...]
) -> Callable[[Sequence[str]], Sequence[int]]:
    """Classes of programs that return equal results, or raise errors of equal types, on all cases.

    A program that does not come to its end on all of them is alone.
    """
    from workers.verifiers.checks.sandbox import USUAL_LIMITS, Trial, require_sandbox, run_all

    require_sandbox()

    def classes(answers: Sequence[str]) -> Sequence[int]:
        distinct = tuple(dict.fromkeys(answers))
        trials = [Trial(source, entry_point=entry_point, cases=cases) for source in distinct]
        behaviours = {
            source: tuple(map(_spell, ran.returned)) if ran.outcome == "finished" else source
            for source, ran in zip(distinct, run_all(trials, USUAL_LIMITS), strict=True)
        }
        return relabel([behaviours[answer] for answer in answers])

    return classes


def _spell(result: str) -> str:
    try:
        return spell_json(read_json(result))
    except NotJson:
        return result
