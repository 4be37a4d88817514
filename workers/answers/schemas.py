"""JSON schemas (Draft 2020-12) that clients send: checked once, then asked of every candidate.

Schema and value are both somebody else's, and a small schema can take for ever: each question is bounded.
References that leave a schema are refused, so nothing is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workers.answers.allowance import Allowance
from workers.answers.bounded import Refused, TooMuch, ask
from workers.errors import InvalidTask

_LARGEST_SCHEMA = 100_000
_VALIDATION_LIMIT_S = 0.5


def check_schema(schema: Mapping[str, Any], where: str) -> None:
    """Raises :class:`workers.errors.InvalidTask` for what is no JSON schema, or cannot be used here."""
    try:
        size = len(json.dumps(schema))
        if size > _LARGEST_SCHEMA:
            raise InvalidTask(f"{where} has {size} characters, more than {_LARGEST_SCHEMA}")
        ask("check_schema", schema)
    except (TypeError, ValueError, RecursionError, Refused, TooMuch) as error:
        raise InvalidTask(f"{where} is not a JSON schema that can be used: {error}") from None


def fits_schema(value: Any, schema: Mapping[str, Any], allowance: Allowance) -> bool:
    """Whether a value keeps to a checked schema. Not, if that cannot be told in the time there is."""
    try:
        return bool(allowance.ask("fits_schema", value, schema, limit_s=_VALIDATION_LIMIT_S))
    except (Refused, TooMuch):
        return False
