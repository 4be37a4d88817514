"""The helper process of :mod:`workers.answers.bounded`: a request a line in, a reply a line out.

Run as a script, alone: it imports nothing of Gradus, and each library when it is first asked for. At the
limit of a request the kernel kills the process, even inside a multiplication that no signal interrupts.
"""

from __future__ import annotations

import cmath
import importlib
import json
import logging
import os
import re
import resource
import signal
import sys
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_MEMORY_BYTES = 2 << 30
_WALL_LIMITS = 5
"""A request's wall time, in its limits of processor time: the machine may be busy."""


def same_math(one: str, other: str) -> bool:
    """Whether two LaTeX answers mean the same. What cannot be read equals nothing."""
    from math_verify import verify  # type: ignore[import-untyped]

    a, b = _parse(one), _parse(other)
    return any(
        verify(gold, target, timeout_seconds=None, raise_on_error=True) for gold, target in ((a, b), (b, a))
    )


def math_value(answer: str) -> tuple[float, float] | None:
    """Real and imaginary part of a formula, each letter a number of its own; ``None`` where it has no value.

    Numbers, and formulas of letters, have one; sets, points, equations and what cannot be read do not.
    """
    import sympy  # type: ignore[import-untyped]

    formula = next(iter(_parse(answer)), None)
    if not isinstance(formula, sympy.Expr):
        return None
    letters = {
        letter: 0.5 + zlib.crc32(letter.name.lower().encode()) / 2**32 for letter in formula.free_symbols
    }
    value = complex(formula.evalf(15, subs=letters))
    return (value.real, value.imag) if cmath.isfinite(value) else None


@lru_cache(maxsize=256)
def _parse(answer: str) -> Any:
    from math_verify import LatexExtractionConfig, parse

    return parse(
        f"${answer}$",
        [LatexExtractionConfig(boxed_match_priority=-1)],
        fallback_mode="no_fallback",
        extraction_mode="first_match",
        parsing_timeout=None,
        raise_on_error=True,
    )


def check_schema(schema: Any) -> None:
    """Raises what is wrong with a JSON schema (Draft 2020-12). References must stay inside it."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    Draft202012Validator.check_schema(schema)
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise ValueError(
                f"$ref {reference!r} leaves the schema: only references that begin with # are followed"
            )
    _validator(json.dumps(schema)).is_valid({})


def fits_schema(value: Any, schema: Any) -> bool:
    """Whether a JSON value keeps to a schema."""
    return bool(_validator(json.dumps(schema)).is_valid(value))


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator
    from referencing.jsonschema import EMPTY_REGISTRY  # fetches nothing, unlike the default

    return Draft202012Validator(json.loads(schema), registry=EMPTY_REGISTRY)


def _references(schema: Any) -> list[str]:
    found = []
    rest = [schema]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            found += [part[key] for key in ("$ref", "$dynamicRef") if isinstance(part.get(key), str)]
            rest += part.values()
        elif isinstance(part, list):
            rest += part
    return found


def check_pattern(pattern: str) -> None:
    """Raises what is wrong with a regular expression."""
    re.compile(pattern)


def fits_pattern(text: str, pattern: str) -> bool:
    """Whether a regular expression matches the whole text."""
    return re.fullmatch(pattern, text) is not None


QUESTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "same_math": (same_math, "math_verify"),
    "math_value": (math_value, "math_verify"),
    "check_schema": (check_schema, "jsonschema"),
    "fits_schema": (fits_schema, "jsonschema"),
    "check_pattern": (check_pattern, "re"),
    "fits_pattern": (fits_pattern, "re"),
}
"""What may be asked, and the library that it needs: its import counts by the clock alone."""


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not answer for us
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        request = json.loads(line)
        function, library = QUESTIONS[request["question"]]
        try:
            signal.setitimer(signal.ITIMER_REAL, request["wall_s"] or 0)
            importlib.import_module(library)
            _limit(request["limit_s"], request["wall_s"])
            reply = {"answer": function(*request["arguments"])}
        except ImportError as error:
            reply = {"missing": f"{library} is needed to compare answers: {error}"}
        except Exception as error:
            reply = {"refused": f"{type(error).__name__}: {error}"[:2000]}
        _limit(0)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _limit(seconds: float, wall_s: float | None = None) -> None:
    """Be killed after so much processor time, or so much by the clock; 0 calls it off."""
    most_s = seconds * _WALL_LIMITS
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, most_s if wall_s is None else min(most_s, wall_s))


if __name__ == "__main__":
    main()
