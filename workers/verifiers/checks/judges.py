"""What decides: each function gives 1 to the turns that are right and 0 to the others.

All raise :class:`workers.errors.CannotJudge` for a task that lacks what they compare with.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from router.types import Task, TaskKind
from workers.answers import Embed, answers_for
from workers.answers.bounded import Refused, TooMuch, ask
from workers.answers.program import find_program
from workers.answers.short import stated_answer
from workers.errors import CannotJudge, InvalidTask
from workers.protocols import Prompt
from workers.verifiers.checks.base import Judge
from workers.verifiers.checks.sandbox import Limits, Trial, run_all


def by_key(embed: Embed | None) -> Judge:
    """Whether the answer is equivalent to the task's ``key``, by the rules of the task's kind."""

    def judge(turns: Sequence[Prompt], task: Task) -> Sequence[float]:
        if task.key is None:
            raise CannotJudge('this task has no "key": the right answer to compare with')
        answers = answers_for(task, embed)
        key = answers.extract(_as_answer(task.key, task.kind))
        if key is None:
            raise CannotJudge(f'the key {task.key[:100]!r} has no answer of the kind "{task.kind}"')
        said = [answers.extract(turn.prefix) for turn in turns]
        # One by one: among many answers the key could be taken for another's equal.
        right = {one: len(set(answers.classes([key, one]))) == 1 for one in said if one is not None}
        return [float(one is not None and right[one]) for one in said]

    return judge


def _as_answer(key: str, kind: TaskKind) -> str:
    """A key is an answer already: where texts are searched for answers, it is marked as one."""
    is_bare = kind in ("auto", "math") and stated_answer(key) is None
    return rf"\boxed{{{key}}}" if is_bare else key


def by_tests(limits: Limits) -> Judge:
    """Whether the program in the turn passes all of the task's ``tests``, in a sandbox."""

    def judge(turns: Sequence[Prompt], task: Task) -> Sequence[float]:
        if task.tests is None:
            raise CannotJudge('this task has no "tests": Python source that fails by raising')
        if not _tests_something(task.tests, task.entry_point):
            raise CannotJudge(
                'the task\'s "tests" would pass whatever the program does: they need statements, functions '
                'named test..., or a function check(candidate) and an "entry_point"'
            )
        sources = [find_program(turn.prefix) for turn in turns]
        distinct = list(dict.fromkeys(source for source in sources if source is not None))
        trials = [Trial(source, task.tests, task.entry_point) for source in distinct]
        passed = {
            source: ran.outcome == "finished"
            for source, ran in zip(distinct, run_all(trials, limits), strict=True)
        }
        return [float(source is not None and passed[source]) for source in sources]

    return judge


def _tests_something(tests: str, entry_point: str | None) -> bool:
    try:
        statements = ast.parse(tests).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise CannotJudge(f'the task\'s "tests" are not Python: {error}') from None
    return any(_is_a_test(one, entry_point) for one in statements)


def _is_a_test(statement: ast.stmt, entry_point: str | None) -> bool:
    if isinstance(statement, ast.FunctionDef):
        return statement.name.startswith("test") or (statement.name == "check" and entry_point is not None)
    if isinstance(statement, ast.AsyncFunctionDef | ast.ClassDef):
        return False
    return any(isinstance(node, ast.Assert | ast.Raise | ast.Call) for node in ast.walk(statement))


def by_schema(turns: Sequence[Prompt], task: Task) -> Sequence[float]:
    """Whether the turn holds JSON that keeps to the task's ``json_schema``."""
    if task.json_schema is None:
        raise CannotJudge('this task has no "json_schema"')
    answers = answers_for(replace(task, kind="json"))
    return [float(answers.extract(turn.prefix) is not None) for turn in turns]


def by_pattern(turns: Sequence[Prompt], task: Task) -> Sequence[float]:
    """Whether the marked answer, or a turn that marks none, matches the task's ``pattern`` as a whole.

    Space around it does not count. A match that takes too long to find is none.
    """
    if task.pattern is None:
        raise CannotJudge('this task has no "pattern": a regular expression')
    try:
        ask("check_pattern", task.pattern)
    except (Refused, TooMuch) as error:
        raise InvalidTask(f"the task's pattern is no regular expression: {error}") from None
    return [float(_matches(turn.prefix, task.pattern)) for turn in turns]


def _matches(text: str, pattern: str) -> bool:
    stated = stated_answer(text)
    try:
        return bool(ask("fits_pattern", (text if stated is None else stated).strip(), pattern, limit_s=1.0))
    except (Refused, TooMuch):
        return False
