"""What came of every way to answer a question: the rows that policies are fitted to, and replayed on.

`gradus train outcomes` writes them, a row a question and action; docs/outcomes.md describes the files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from cost_model.prices import add_usd
from cost_model.usage import Usage, merge
from router.types import FinishReason, StrategyName

SMALL = "small"
"""The action of one answer of the small model."""
LARGE = "large"
"""The action of one answer of the large model."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What one run of an action took. Unknown FLOPs and cost are ``None``, never 0.

    ``prompt_tokens`` and ``completion_tokens`` are those of the models that answer, ``verifier_tokens`` what
    was read and written to judge. ``seconds`` is wall time.
    """

    prompt_tokens: float
    completion_tokens: float
    verifier_tokens: float
    flops: float | None
    cost_usd: Decimal | None
    seconds: float


@dataclass(frozen=True, slots=True)
class ProbeSample:
    """One sample of a probe: what a decision after probing may look at, and whether it was right.

    ``step_scores`` are empty where the verifier scores no steps; ``answer`` is ``None`` without one.
    """

    answer: str | None
    right: bool
    score: float
    step_scores: tuple[float, ...]
    completion_tokens: int
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Probe:
    """The samples that every search starts from, and what drawing and judging them took."""

    samples: tuple[ProbeSample, ...]
    bill: Bill
    usage: tuple[Usage, ...]


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """One question, one action: small, large, or a search on the small model ("majority@16").

    ``right`` is the share of ``runs`` that were right: 1.0 or 0.0 of one run, pass@1 of the small model's
    samples. ``score`` is the verifier's of the chosen answer, of ``small`` the mean over the probe; ``None``
    where nothing was judged. ``agreement`` is the share of the most frequent answer among the candidates, of
    ``small`` those of the probe; ``confidence`` is as in :class:`router.types.Outcome`. ``text`` is the turn
    that was chosen. ``bill`` is of one run, on average, the probe included; ``after_probe_usd`` is what is
    still to be paid once the probe is there. ``usage`` has the lines of all runs, ``small`` the ``probe``.
    """

    id: str
    question: str
    answer: str
    action: str
    model: str
    strategy: StrategyName
    samples: int
    runs: int
    right: float
    score: float | None
    agreement: float | None
    confidence: float | None
    candidates: int
    text: str | None
    bill: Bill
    after_probe_usd: Decimal | None
    usage: tuple[Usage, ...]
    probe: Probe | None = None

    def row(self) -> dict[str, Any]:
        """As JSON: a bill's fields stand beside the others, money is a decimal string."""
        row: dict[str, Any] = _as_json(asdict(self))
        return row


def bill_of(lines: Iterable[Usage], runs: int, seconds: float) -> Bill:
    """The mean of ``runs`` runs that took these priced lines together; ``seconds`` is of one run."""
    lines = merge(lines)
    flops = [line.flops for line in lines]
    known = [each for each in flops if each is not None]
    cost_usd = add_usd(*(line.cost_usd for line in lines))
    answering = [line for line in lines if line.purpose != "verifier"]
    return Bill(
        prompt_tokens=_mean((line.prompt_tokens for line in answering), runs),
        completion_tokens=_mean((line.completion_tokens for line in answering), runs),
        verifier_tokens=_mean((line.total_tokens for line in lines if line.purpose == "verifier"), runs),
        flops=sum(known) / runs if len(known) == len(flops) else None,
        cost_usd=None if cost_usd is None else cost_usd / runs,
        seconds=seconds,
    )


def _mean(counts: Iterable[int], runs: int) -> float:
    total = sum(counts)
    return total if runs == 1 else total / runs


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        flat = {**{key: each for key, each in value.items() if key != "bill"}, **value.get("bill", {})}
        return {key: _as_json(each) for key, each in flat.items()}
    if isinstance(value, tuple | list):
        return [_as_json(each) for each in value]
    return value
