"""Answers that are JSON: equal when they hold the same, whatever its order and spacing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.answers.allowance import Allowance
from workers.answers.grouping import GroupedAnswers
from workers.answers.json_text import NotJson, find_json, spell_json
from workers.answers.schemas import check_schema, fits_schema


def json_answers(schema: Mapping[str, Any] | None, allowance: Allowance) -> GroupedAnswers:
    """Canonical JSON; with a ``schema`` what breaks it is no answer.

    Raises :class:`workers.errors.InvalidTask` for a schema that is none.
    """
    if schema is not None:
        check_schema(schema, "the task's json_schema")

    fitting: dict[str, bool] = {}

    def read(text: str) -> str | None:
        try:
            value = find_json(text)
        except NotJson:
            return None
        spelled = spell_json(value)
        if schema is not None and spelled not in fitting:
            fitting[spelled] = fits_schema(value, schema, allowance)
        return spelled if fitting.get(spelled, True) else None

    return GroupedAnswers(read)
