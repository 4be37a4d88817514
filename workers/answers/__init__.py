"""How final answers are read out of a turn, and which of them mean the same. Imports nothing heavy."""

from __future__ import annotations

from router.types import Task
from workers.answers.allowance import COMPARING_S, RUNNING_S, Allowance
from workers.answers.choice import extract_choice
from workers.answers.code import code_answers
from workers.answers.grouping import GroupedAnswers, Leaders
from workers.answers.json_answers import json_answers
from workers.answers.maths import Algebra, extract_math
from workers.answers.number import extract_number, same_number
from workers.answers.port import Answers
from workers.answers.short import extract_answer
from workers.answers.text import Embed, extract_text, meaning_keys
from workers.answers.tools import ToolAnswers, ToolCall, parse_tool_calls

__all__ = ["Answers", "Embed", "ToolCall", "answers_for", "parse_tool_calls"]


def answers_for(task: Task, embed: Embed | None = None, ends_monotonic_s: float | None = None) -> Answers:
    """How the answers of one query are read and compared; ``embed`` is used for free text.

    What is found is remembered, and comparing is bounded (:mod:`workers.answers.allowance`): by seconds in
    all, and by ``ends_monotonic_s``, the deadline of the query. Then spelling decides.
    Raises :class:`workers.errors.InvalidTask` for a task that lacks what its kind needs, or whose schema is
    none, and :class:`workers.errors.SandboxUnavailable` where code would have to be run and cannot safely.
    """
    allowance = Allowance(RUNNING_S if task.kind == "code" else COMPARING_S, ends_monotonic_s)
    match task.kind:
        case "auto":
            return GroupedAnswers(extract_answer)
        case "math":
            return GroupedAnswers(extract_math, Leaders(Algebra(allowance).same))
        case "number":
            return GroupedAnswers(extract_number, Leaders(same_number))
        case "choice":
            return GroupedAnswers(extract_choice)
        case "text":
            return GroupedAnswers(extract_text, None if embed is None else meaning_keys(embed, allowance))
        case "code":
            return code_answers(task.entry_point, task.cases, allowance)
        case "json":
            return json_answers(task.json_schema, allowance)
        case "tools":
            return ToolAnswers(task.tools, allowance, one_call=task.one_call)
