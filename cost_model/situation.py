"""What a deployment question is about: traffic by difficulty, models, and the work of answering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from cost_model.latency import DecodeSpeed
from cost_model.prices import FREE, Price

DAYS_A_YEAR: Final = 365
SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one machine that runs a model. ``batch`` is how many sequences it decodes together when busy.

    ``replicas`` is how many such machines there are; ``None``: as many as it takes, nobody waits.
    """

    prompt_tokens_per_second: float
    decode: DecodeSpeed
    batch: int
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """``fixed_usd`` is paid once before it answers anything (training). ``parameters``: the active ones."""

    price: Price
    parameters: int | None = None
    fixed_usd: Decimal = Decimal(0)
    speed: Speed | None = None


@dataclass(frozen=True, slots=True)
class Verifier:
    price: Price = FREE
    parameters: int | None = 0
    tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What answering one query takes on average. ``judged`` tokens are the verifier's, read and written.

    ``completion`` is of all ``samples`` together. ``seconds`` were measured; ``None`` is unknown.
    """

    model: str
    samples: int
    prompt: Decimal
    completion: Decimal
    judged: Decimal = Decimal(0)
    seconds: float | None = None

    def joined(self, other: Work) -> Work:
        """Both on one model, the samples of one being the first of the other."""
        known = [each for each in (self.seconds, other.seconds) if each is not None]
        return Work(
            self.model,
            max(self.samples, other.samples),
            max(self.prompt, other.prompt),
            max(self.completion, other.completion),
            max(self.judged, other.judged),
            max(known, default=None),
        )


@dataclass(frozen=True, slots=True)
class Bin:
    """A share of the queries. For each way, how often it is ``right`` and what ``work`` it takes.

    ``probe`` is the work of finding out that a query is in this bin; ``None`` where that is free.
    """

    share: Decimal
    right: Mapping[str, Decimal]
    work: Mapping[str, Work]
    probe: Work | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """Bins are in order, the easiest first. ``years`` is how long what is paid once has to last."""

    queries_per_day: Decimal
    usd_per_right_answer: Decimal
    models: Mapping[str, Model]
    bins: Mapping[str, Bin]
    verifier: Verifier = field(default_factory=Verifier)
    years: Decimal = Decimal(1)

    @property
    def ways(self) -> tuple[str, ...]:
        return tuple(next(iter(self.bins.values())).work)
