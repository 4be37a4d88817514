"""How final answers are read out of a turn, and which of them mean the same. Imports nothing heavy."""

from __future__ import annotations

from router.types import Task
from workers.answers.choice import extract_choice
from workers.answers.code import code_answers
from workers.answers.grouping import GroupedAnswers
from workers.answers.json_answers import json_answers
from workers.answers.maths import extract_math, math_classes
from workers.answers.number import extract_number, number_classes
from workers.answers.port import Answers
from workers.answers.short import extract_answer
from workers.answers.text import Embed, extract_text, meaning_classes
from workers.answers.tools import ToolAnswers, ToolCall, parse_tool_calls

__all__ = ["Answers", "Embed", "ToolCall", "answers_for", "parse_tool_calls"]


def answers_for(task: Task, embed: Embed | None = None) -> Answers:
    """How the answers of a task are read and compared; ``embed`` is used for free text.

    Raises :class:`workers.errors.InvalidTask` for a task that lacks what its kind needs, or whose schema is
    none, and :class:`workers.errors.SandboxUnavailable` where code would have to be run and cannot safely.
    """
    match task.kind:
        case "auto":
            return GroupedAnswers(extract_answer)
        case "math":
            return GroupedAnswers(extract_math, math_classes)
        case "number":
            return GroupedAnswers(extract_number, number_classes)
        case "choice":
            return GroupedAnswers(extract_choice)
        case "text":
            return (
                GroupedAnswers(extract_text)
                if embed is None
                else GroupedAnswers(extract_text, meaning_classes(embed))
            )
        case "code":
            return code_answers(task.entry_point, task.cases)
        case "json":
            return json_answers(task.json_schema)
        case "tools":
            return ToolAnswers(task.tools)
