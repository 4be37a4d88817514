"""How hard live traffic is: the difficulty mix of the gateway's records (docs/outcomes.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from router.errors import ConfigInvalid, OutcomesInvalid
from router.outcome_files import rows_of
from router.probe import bin_of
from router.types import Bin


class _Sample(BaseModel):
    score: float | None = Field(default=None, ge=0, le=1)


class _Probe(BaseModel):
    samples: list[_Sample]


class _Record(BaseModel):
    p_right: float | None = Field(default=None, ge=0, le=1)
    probe: _Probe | None = None

    def seen(self) -> Bin | None:
        """The bin that its probe saw, as measured outcomes have theirs."""
        scores = [each.score for each in self.probe.samples if each.score is not None] if self.probe else []
        return bin_of(sum(scores) / len(scores)) if scores else None


@dataclass(frozen=True, slots=True)
class RecordedMix:
    """Shares that add up to 1, the easiest bin first; bins without queries are left out.

    ``source`` says in words how they were found.
    """

    shares: Mapping[Bin, Decimal]
    source: str


def read_mix(files: Sequence[Path]) -> RecordedMix:
    """Which share of the recorded queries is in which bin of Algorithm 6.

    A query that was probed is in the bin of its mean score. One that was not is spread as those that were, of
    the same predicted P(right). These are no random part: a probe is taken where it may change what is done,
    near the boundary of a decision. So what is spread is an estimate, and ``source`` tells its share. Where
    none of them was probed, the prediction itself says the bin. A query with neither says nothing and is left
    out; unseen prompts have no prediction that counts.

    Raises :class:`router.errors.ConfigInvalid`, with the line of what is no record.
    """
    recorded: Counter[tuple[Bin | None, Bin | None]] = Counter()
    names = ", ".join(file.name for file in files)
    for file in files:
        try:
            for row, (_, number) in rows_of(file):
                record = _record(row, str(file), number)
                predicted = None if record.p_right is None else bin_of(record.p_right)
                recorded[predicted, record.seen()] += 1
        except OutcomesInvalid as error:
            raise ConfigInvalid(str(error).removeprefix(f"{file}: "), source=str(file)) from error
    found = dict.fromkeys(Bin, Decimal(0))
    counts = {"probed": 0, "spread": 0, "predicted": 0, "left out": 0}
    for predicted in (*Bin, None):
        probed = {each: recorded[predicted, each] for each in Bin}
        seen, unseen = sum(probed.values()), recorded[predicted, None]
        counts["probed"] += seen
        if seen and predicted is not None:
            counts["spread"] += unseen
        elif predicted is not None:
            counts["predicted"] += unseen
            found[predicted] += unseen
        else:
            counts["left out"] += unseen
        # Without a prediction nothing says that those that were probed stand for the others.
        each_stands_for = 1 + Decimal(unseen) / seen if seen and predicted is not None else Decimal(1)
        for each, count in probed.items():
            found[each] += count * each_stands_for
    total = sum(found.values())
    if not total:
        raise ConfigInvalid(
            "says nothing of difficulty: no query was probed, and of none was P(right) predicted; configure "
            "a predictor, or give shares by hand",
            source=names,
        )
    return RecordedMix(
        {each: share / total for each, share in found.items() if share},
        f"{names}: {counts['probed']:,} queries by their probes, {counts['spread']:,} as probed ones of "
        f"like predicted P(right), {counts['predicted']:,} by predicted P(right) alone, "
        f"{counts['left out']:,} left out for want of both{_warning(counts['spread'], total)}",
    )


def _warning(spread: int, total: Decimal) -> str:
    if not spread:
        return ""
    return (
        f"; {spread / total:.0%} of the mix was spread so: an estimate, for those that are probed are no "
        "random part, but near the boundary of a decision"
    )


def _record(row: object, source: str, number: int) -> _Record:
    try:
        return _Record.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise ConfigInvalid(
            f"is no record of the gateway: {first['msg']}", source=source, line=number, path=path
        ) from None
