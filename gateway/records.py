"""Records of what was answered, a JSON line a request: what `gradus fit` and `gradus replay` learn from.

The rows are those of docs/outcomes.md (one a question). Nobody knows yet what was right: that is joined by
the request's id (`gradus fit --labels`).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, TextIO

from pydantic_core import to_json

from cost_model.prices import add_usd
from cost_model.usage import Usage
from gateway.bill import decimal_text
from gateway.replies import Done
from router.guides import action_name
from router.types import Alternative, Evidence

log = logging.getLogger(__name__)


class Records:
    """Appends to a file. ``None`` records nothing."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._file: TextIO | None = None

    def open(self) -> None:
        """Raises :class:`OSError` where the file cannot be written."""
        if self._path is not None:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  (closed below)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, request_id: str, done: Done | None) -> None:
        """A full disk loses a record, not an answer."""
        if self._file is None or done is None:
            return
        try:
            self._file.write(to_json(record(request_id, done)).decode() + "\n")
        except OSError as error:
            log.warning("%s: a record was lost: %s", self._path, error)


def record(request_id: str, done: Done) -> dict[str, Any]:
    """One answered request: what was done, what it took, and what the probe saw."""
    plan, chosen = done.planned.plan, done.branch.chosen
    lines = [line for line in done.lines if chosen.route == "small" or not _is_probe(line)]
    action = {
        "model": chosen.model,
        "strategy": chosen.strategy.name,
        "samples": chosen.strategy.samples,
        "right": None,
        "cost_usd": decimal_text(add_usd(*(line.cost_usd for line in lines))),
        "completion_tokens": sum(line.completion_tokens for line in lines if line.purpose != "verifier"),
        "seconds": done.seconds,
    }
    row: dict[str, Any] = {
        "id": request_id,
        "messages": done.planned.query.messages,
        "segment": done.planned.policy,
        "actions": {_name(chosen): action},
        "p_right": plan.p_right,
        "familiarity": plan.familiarity,
    }
    evidence = None if done.decision is None else done.decision.evidence
    if evidence is not None:
        probe = [line.cost_usd for line in done.lines if _is_probe(line)]
        row["probe"] = {"samples": _samples(evidence), "cost_usd": decimal_text(add_usd(*probe))}
    return row


def _name(chosen: Alternative) -> str:
    return chosen.model if chosen.route == "large" else action_name(chosen.strategy)


def _is_probe(line: Usage) -> bool:
    """Of a request that went to a large model everything that was judged was the probe."""
    return line.purpose in ("probe", "verifier")


def _samples(evidence: Evidence) -> list[dict[str, Any]]:
    """As docs/outcomes.md has them; what is unknown is left out."""
    optional = {
        "step_scores": evidence.step_scores,
        "completion_tokens": evidence.completion_tokens,
        "finish_reason": evidence.finish_reasons,
    }
    return [
        {
            "answer": answer,
            "score": score,
            **{name: values[index] for name, values in optional.items() if len(values) > index},
        }
        for index, (answer, score) in enumerate(zip(evidence.answers, evidence.scores, strict=True))
    ]
