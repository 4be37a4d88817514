"""Traffic as it was measured: the rows of ``outcomes.jsonl`` by probe bin (docs/outcomes.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from cost_model.situation import Bin, Work
from router import types
from router.errors import ConfigInvalid
from router.outcomes import SMALL
from router.probe import bin_of

_DIGITS = Decimal("1e-6")


class _Spent(BaseModel):
    prompt_tokens: float = Field(ge=0)
    completion_tokens: float = Field(ge=0)
    verifier_tokens: float = Field(ge=0)
    seconds: float = Field(ge=0)


class _Sample(BaseModel):
    score: float = Field(ge=0, le=1)


class _Probe(_Spent):
    samples: list[_Sample] = Field(min_length=1)


class _Row(_Spent):
    id: str
    action: str
    model: str
    samples: int = Field(ge=1)
    right: float = Field(ge=0, le=1)
    probe: _Probe | None = None


@dataclass(frozen=True, slots=True)
class MeasuredTraffic:
    """Bins of the questions' probes, the easiest first; those that no question is in are left out.

    ``questions`` counts them by bin. ``judged``: a verifier read something.
    """

    bins: Mapping[str, Bin]
    questions: Mapping[str, int]

    @property
    def ways(self) -> list[str]:
        return list(next(iter(self.bins.values())).work)

    @property
    def models(self) -> list[str]:
        return sorted({work.model for each in self.bins.values() for work in each.work.values()})

    @property
    def judged(self) -> bool:
        works = [work for each in self.bins.values() for work in (*each.work.values(), each.probe)]
        return any(work is not None and work.judged for work in works)


def read_outcomes(file: Path) -> MeasuredTraffic:
    """Of questions that were answered in every way that is in the file, each with its probe.

    Raises :class:`router.errors.ConfigInvalid` with the line of what is wrong.
    """
    by_question: dict[str, dict[str, _Row]] = {}
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = _row(line, str(file), number)
                by_question.setdefault(row.id, {})[row.action] = row
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"cannot be read: {error}", source=str(file)) from error
    if not by_question:
        raise ConfigInvalid("has no outcomes", source=str(file))
    ways = list(dict.fromkeys(action for rows in by_question.values() for action in rows))
    by_bin: dict[types.Bin, list[dict[str, _Row]]] = {each: [] for each in types.Bin}
    for question, rows in by_question.items():
        by_bin[_bin_of(question, rows, ways, str(file))].append(rows)
    there = {str(each): questions for each, questions in by_bin.items() if questions}
    total = Decimal(len(by_question))
    return MeasuredTraffic(
        {
            name: Bin(
                len(questions) / total,
                {way: _mean(rows[way].right for rows in questions) for way in ways},
                {way: _work([rows[way] for rows in questions]) for way in ways},
                _probe([rows[SMALL] for rows in questions]),
            )
            for name, questions in there.items()
        },
        {name: len(questions) for name, questions in there.items()},
    )


def _row(line: str, source: str, number: int) -> _Row:
    try:
        return _Row.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        problem = f"is no row of outcomes: {first['msg']}"
        raise ConfigInvalid(problem, source=source, line=number, path=path) from None


def _bin_of(question: str, rows: Mapping[str, _Row], ways: Iterable[str], source: str) -> types.Bin:
    missing = [way for way in ways if way not in rows]
    if missing:
        raise ConfigInvalid(
            f"question {question!r} has no outcome of {', '.join(missing)}; every question needs every way",
            source=source,
        )
    small = rows.get(SMALL)
    if small is None or small.probe is None:
        raise ConfigInvalid(
            f"question {question!r} has no probe, so nobody knows its bin; measure with a policy that "
            "probes, or give ways and bins by hand",
            source=source,
        )
    scores = [sample.score for sample in small.probe.samples]
    return bin_of(sum(scores) / len(scores))


def _work(rows: list[_Row]) -> Work:
    return _mean_work(rows[0].model, rows[0].samples, rows)


def _probe(rows: list[_Row]) -> Work:
    probes = [row.probe for row in rows if row.probe is not None]
    return _mean_work(rows[0].model, max(len(each.samples) for each in probes), probes)


def _mean_work(model: str, samples: int, spent: list[_Row] | list[_Probe]) -> Work:
    return Work(
        model,
        samples,
        _mean(each.prompt_tokens for each in spent),
        _mean(each.completion_tokens for each in spent),
        _mean(each.verifier_tokens for each in spent),
        sum(each.seconds for each in spent) / len(spent),
    )


def _mean(values: Iterable[float]) -> Decimal:
    found = list(values)
    return Decimal(sum(found) / len(found)).quantize(_DIGITS)
