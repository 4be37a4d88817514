"""Records of what was answered, a JSON line a request: what `gradus fit` and `gradus replay` learn from.

The rows are those of docs/outcomes.md (one a question). Nobody knows yet what was right: that is joined by
the request's id (`gradus fit --labels`).
"""

from __future__ import annotations

import fcntl
import logging
import os
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json, to_json

from cost_model.prices import add_usd
from cost_model.usage import Usage
from gateway.bill import decimal_text
from gateway.replies import Done
from gateway.telemetry.metrics import record_lost
from router.config.telemetry import Recording
from router.guides import action_name
from router.types import Alternative, Evidence, Plan

log = logging.getLogger(__name__)

_FIRST_LINE_BYTES: Final = 1_000_000
_ONE_ANSWER: Final = ("direct", "escalation")


class Records:
    """Appends to a file; ``None`` records nothing. Processes may share it: a record is one write at its end.

    A file that is full (``max_bytes``), or of another day where records are kept for so many days, gets the
    time into its name, and a new one is begun.
    """

    def __init__(self, config: Recording | None) -> None:
        self._config = config
        self._file: int | None = None
        self._path = Path() if config is None else Path(config.path)
        self._since = datetime.min.replace(tzinfo=UTC)

    def open(self) -> None:
        """Raises :class:`OSError` where the file cannot be written."""
        if self._config is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_RDWR, 0o640)
        self._since = _first_at(self._file)
        self._forget()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def write(self, request_id: str, done: Done | None) -> None:
        """A full disk loses a record, not an answer."""
        if self._config is None or done is None:
            return
        now = datetime.now(UTC)
        row = {"id": request_id, "at": now, **record(done)}
        line = to_json(redacted(row, self._config.prompts)) + b"\n"
        try:
            self._turn_over(self._config, len(line), now)
            assert self._file is not None, "opened"
            _append(self._file, line)
        except OSError as error:
            record_lost()
            log.warning("%s: a record was lost: %s", self._path, error)

    def _turn_over(self, config: Recording, more_bytes: int, now: datetime) -> None:
        """Begin a new file where this one is full or old, or where another process has begun one."""
        if config.max_bytes is None and config.retention_days is None:
            return
        if self._file is None or not self._is_current():
            self._again()
        assert self._file is not None, "opened"
        size = os.fstat(self._file).st_size
        full = config.max_bytes is not None and size + more_bytes > config.max_bytes
        old = config.retention_days is not None and self._since.date() < now.date()
        if not size or not (full or old):
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)  # of several processes one renames it
        if self._is_current():
            stamp = f"{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}"
            self._path.rename(self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}"))
        self._again()

    def _again(self) -> None:
        self.close()
        self.open()

    def _is_current(self) -> bool:
        assert self._file is not None, "opened"
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._file))

    def _forget(self) -> None:
        """Delete files whose last record is older than records are kept."""
        if self._config is None or self._config.retention_days is None:
            return
        until = datetime.now(UTC) - timedelta(days=self._config.retention_days)
        for path in self._path.parent.glob(f"{self._path.stem}-*Z-*{self._path.suffix}"):
            try:
                if path.stat().st_mtime < until.timestamp():
                    path.unlink()
            except FileNotFoundError:
                pass  # another process was faster


def _append(file: int, line: bytes) -> None:
    """All of it or nothing: a torn line would spoil the next. Raises :class:`OSError`."""
    written = os.write(file, line)
    if written == len(line):
        return
    end = os.lseek(file, 0, os.SEEK_CUR)
    if os.fstat(file).st_size == end:  # else another process wrote behind it
        os.ftruncate(file, end - written)
    raise OSError("the disk took only a part of it")


def redacted(row: dict[str, Any], prompts: str) -> dict[str, Any]:
    """Without texts, unless they are to be kept in ``full``.

    "hashed" keeps a digest of the messages, which tells equal prompts, and whether a prompt is one that
    somebody has. Of a probe's answers only which are equal is left: "1", "2" and so on.
    """
    if prompts == "full":
        return row
    row = dict(row)
    messages = row.pop("messages")
    if prompts == "hashed":
        row["group"] = sha256(to_json(messages)).hexdigest()
    if "probe" in row:
        names: dict[str, str] = {}
        samples = [
            {**each, "answer": each["answer"] and names.setdefault(each["answer"], str(len(names) + 1))}
            for each in row["probe"]["samples"]
        ]
        row["probe"] = {**row["probe"], "samples": samples}
    return row


def record(done: Done) -> dict[str, Any]:
    """One answered request: what was done, what it took, and what the probe saw.

    What candidates of an earlier request were reused for (``cached``) took less than it does: how much it
    takes is then unknown, to whoever fits or replays.
    """
    plan, chosen = done.planned.plan, done.branch.chosen
    lines = [line for line in done.lines if chosen.route == "small" or not _is_probe(line)]
    cached = sum(line.calls for line in done.lines if line.purpose == "cache")
    action: dict[str, Any] = {
        "model": chosen.model,
        "strategy": chosen.strategy.name,
        "samples": chosen.strategy.samples,
        "right": None,
    }
    if cached and chosen.route == "small":
        action |= {"cost_usd": None, "completion_tokens": None, "seconds": None}
    else:
        action |= {
            "cost_usd": decimal_text(add_usd(*(line.cost_usd for line in lines))),
            "completion_tokens": sum(line.completion_tokens for line in lines if line.purpose != "verifier"),
            "seconds": None if cached else done.seconds,
        }
    row: dict[str, Any] = {
        "messages": done.planned.query.messages,
        "segment": done.planned.policy,
        "actions": {_name(chosen): action},
        "p_right": None if _is_unseen(plan) else plan.p_right,
        "familiarity": plan.familiarity,
    }
    if cached:
        row["cached"] = cached
    # Searches may read their prompt several times; a direct answer does once.
    if read := max((line.prompt_tokens for line in lines if line.purpose in _ONE_ANSWER), default=0):
        row["prompt_tokens"] = read
    evidence = None if done.decision is None else done.decision.evidence
    if evidence is not None:
        probe = [line.cost_usd for line in done.lines if _is_probe(line)]
        probe_usd = None if cached else decimal_text(add_usd(*probe))
        row["probe"] = {"samples": _samples(evidence), "cost_usd": probe_usd}
    return row


def _is_unseen(plan: Plan) -> bool:
    """What was predicted of a prompt like none that was fitted on is worth nothing: it was not decided by."""
    branches = [branch for stage in plan.stages for branch in stage.branches]
    return all(branch.chosen.accuracy_source != "predicted" for branch in branches)


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


def _first_at(file: int) -> datetime:
    """When the first record of an open file was written; of a file that does not say: now."""
    first = os.pread(file, _FIRST_LINE_BYTES, 0).partition(b"\n")[0]
    try:
        return datetime.fromisoformat(from_json(first)["at"])
    except (ValueError, TypeError, KeyError):
        return datetime.now(UTC)
