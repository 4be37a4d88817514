"""The file of a deployment question, validated with line numbers: :func:`load_traffic`.

docs/planning.md describes every field; keep the two in step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError, model_validator

from cost_model.latency import decode_speed
from cost_model.prices import Price, from_price_map, per_machine_hour
from cost_model.situation import Bin, Model, Situation, Speed, Verifier, Work
from router.config.fields import Count, ModelPrice, Name, Rate, Section, Usd, VerifierPrice
from router.config.problems import first_problem
from router.config.source import Path as KeyPath
from router.config.source import read_yaml
from router.errors import ConfigInvalid
from router.price_list import price_map
from router.traffic_outcomes import MeasuredTraffic, read_outcomes
from router.traffic_records import RecordedMix, read_mix

Share = Annotated[Rate, Field(le=1)]
Right = Annotated[Usd, Field(le=1)]
Queries = Annotated[Rate, Field(le=10**15)]  # a day; what is computed of more leaves floats
_NEEDS: Final = "queries_per_day, usd_per_right_answer and models"


class GpuPrice(Section):
    """What a token costs by its work: two operations a parameter, at a share of what the GPU can do."""

    usd_per_hour: Usd
    flops_per_second: Rate
    prompt_utilisation: Share
    completion_utilisation: Share

    def price(self, parameters: int) -> Price:
        tokens_per_second = self.flops_per_second / (2 * parameters)
        return per_machine_hour(
            self.usd_per_hour,
            tokens_per_second * self.prompt_utilisation,
            tokens_per_second * self.completion_utilisation,
        )


class SpeedSection(Section):
    """Measured throughputs of one machine: of prompts, of one sequence alone, and of a full batch."""

    prompt_tokens_per_second: Rate
    alone_tokens_per_second: Rate
    batch_tokens_per_second: Rate
    batch: Annotated[int, Field(strict=True, ge=2)]
    replicas: Count | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> SpeedSection:
        self.speed()
        return self

    def speed(self) -> Speed:
        decode = decode_speed(
            float(self.alone_tokens_per_second), float(self.batch_tokens_per_second), self.batch
        )
        return Speed(float(self.prompt_tokens_per_second), decode, self.batch, self.replicas)


class PricedModel(Section):
    price: ModelPrice | None = None
    gpu: GpuPrice | None = None
    litellm_model: Name | None = None
    parameters: Count | None = None
    fixed_usd: Usd = Decimal(0)
    speed: SpeedSection | None = None

    @model_validator(mode="after")
    def _one_price(self) -> PricedModel:
        given = [each for each in ("price", "gpu", "litellm_model") if getattr(self, each) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"must give one of price, gpu and litellm_model; found {found}")
        if self.gpu and self.parameters is None:
            raise ValueError("a price by gpu needs parameters: they say how much work a token is")
        if self.litellm_model is None:
            self.token_price()
        return self

    def token_price(self) -> Price:
        if self.gpu and self.parameters:
            return self.gpu.price(self.parameters)
        if self.price:
            return self.price.price()
        return from_price_map(price_map(), self.litellm_model or "")


class VerifierSection(Section):
    price: VerifierPrice
    parameters: Count | None = None
    tokens_per_second: Rate | None = None


class WaySection(Section):
    """``judged``: the verifier reads every sample."""

    model: Name
    samples: Count = 1
    judged: bool = False


class BinSection(Section):
    share: Share | None = None
    right: Mapping[Name, Right]
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None


class Traffic(Section):
    """A deployment question: with ``ways`` and ``bins`` by hand, or with ``outcomes`` that were measured.

    ``records`` say which share of the queries is in which bin.
    """

    queries_per_day: Queries
    usd_per_right_answer: Usd
    years: Rate = Decimal(1)
    pretraining_tokens: Rate | None = None
    models: Mapping[Name, PricedModel] = Field(min_length=1)
    verifier: VerifierSection | None = None
    outcomes: Name | None = None
    records: Name | Annotated[list[Name], Field(min_length=1)] | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    ways: Mapping[Name, WaySection] | None = None
    bins: Mapping[Name, BinSection] | None = None
    probe: WaySection | None = None
    mixes: Mapping[Name, Mapping[Name, Name]] = {}

    @model_validator(mode="after")
    def _measured_or_by_hand(self) -> Traffic:
        by_hand = ("prompt_tokens", "completion_tokens", "ways", "bins", "probe")
        given = [each for each in by_hand if getattr(self, each) is not None]
        if self.outcomes is not None and given:
            raise ValueError(f"outcomes say what {', '.join(given)} would; leave out one or the other")
        if self.outcomes is None and not {*by_hand} - {"probe"} <= {*given}:
            missing = [each for each in by_hand if each != "probe" and each not in given]
            raise ValueError(f"needs outcomes, or by hand {', '.join(missing)}")
        return self

    def situation(self, measured: MeasuredTraffic | None, recorded: RecordedMix | None) -> Situation:
        """What is to be planned, by hand or as ``measured``; it was checked that the names fit together."""
        models = {
            name: Model(
                each.token_price(),
                each.parameters,
                each.fixed_usd,
                None if each.speed is None else each.speed.speed(),
            )
            for name, each in self.models.items()
        }
        verifier = Verifier()
        if self.verifier:
            speed = self.verifier.tokens_per_second
            verifier = Verifier(
                self.verifier.price.price(),
                self.verifier.parameters,
                None if speed is None else float(speed),
            )
        bins = self._bins() if measured is None else measured.bins
        if recorded is not None:
            bins = {str(name): replace(bins[name], share=share) for name, share in recorded.shares.items()}
        return Situation(self.queries_per_day, self.usd_per_right_answer, models, bins, verifier, self.years)

    def _bins(self) -> dict[str, Bin]:
        return {
            name: Bin(
                each.share or Decimal(0),
                each.right,
                {way: self._work(section, each) for way, section in (self.ways or {}).items()},
                None if self.probe is None else self._work(self.probe, each),
            )
            for name, each in (self.bins or {}).items()
        }

    def _work(self, way: WaySection, each: BinSection) -> Work:
        """Samples of one prompt, which is read once; whoever judges reads it with every sample."""
        prompt = Decimal(each.prompt_tokens or self.prompt_tokens or 0)
        completion = Decimal(each.completion_tokens or self.completion_tokens or 0)
        judged = way.samples * (prompt + completion) if way.judged else Decimal(0)
        return Work(way.model, way.samples, prompt, way.samples * completion, judged)


def load_traffic(file: Path) -> tuple[Traffic, Situation, str]:
    """Read and validate a file, and the outcomes and records that it names (paths from the file's folder).

    The last says where the difficulty mix is from.

    Raises :class:`router.errors.ConfigInvalid` for the first thing that is wrong, with its file and line.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"cannot be read: {error}", source=str(file)) from error
    document = read_yaml(text, str(file), _NEEDS)
    try:
        traffic = Traffic.model_validate(document.values)
    except ValidationError as error:
        raise first_problem(document, error, Traffic) from None
    measured = None if traffic.outcomes is None else read_outcomes(file.parent / traffic.outcomes)
    named = [traffic.records] if isinstance(traffic.records, str) else traffic.records
    recorded = None if named is None else read_mix([file.parent / each for each in named])
    for path, problem in _inconsistencies(traffic, measured, recorded):
        raise document.error(path, problem)
    return traffic, traffic.situation(measured, recorded), _source(file, traffic, measured, recorded)


def _source(
    file: Path, traffic: Traffic, measured: MeasuredTraffic | None, recorded: RecordedMix | None
) -> str:
    if recorded is not None:
        return recorded.source
    if measured is not None:
        return f"{traffic.outcomes}: {sum(measured.questions.values()):,} questions by their probes"
    return f"{file.name}: shares as given"


def _inconsistencies(
    traffic: Traffic, measured: MeasuredTraffic | None, recorded: RecordedMix | None
) -> Iterator[tuple[KeyPath, str]]:
    for key in ("ways", "bins"):
        if getattr(traffic, key) == {}:
            yield (key,), "is empty; give at least one"
    known = ", ".join(traffic.models)
    for name, model in traffic.models.items():
        price = model.token_price()
        if price.usd_per_prompt_token is None or price.usd_per_completion_token is None:
            yield (
                ("models", name, "litellm_model"),
                f"litellm knows no price of tokens of {model.litellm_model!r}; give a price",
            )
    if measured is not None:
        for used in measured.models:
            if used not in traffic.models:
                yield ("models",), f"the outcomes are of {used!r} too; it needs a price, as {known} have"
        if measured.judged and traffic.verifier is None:
            yield ("outcomes",), "the outcomes were judged; say what the verifier costs"
    else:
        yield from _by_hand(traffic)
    ways = list(traffic.ways or {}) if measured is None else measured.ways
    bins = list(traffic.bins or {}) if measured is None else list(measured.bins)
    if recorded is not None:
        for unknown in [each for each in recorded.shares if each not in bins]:
            yield (
                ("records",),
                f"have queries that are {unknown}, and there is no such bin",
            )
        bins = [str(each) for each in recorded.shares]
    for name, mix in traffic.mixes.items():
        yield from _names(("mixes", name), mix, bins, "a way for each bin")
        for each, way in mix.items():
            if way not in ways:
                yield ("mixes", name, each), f"there is no way {way!r}; there are {', '.join(ways)}"


def _by_hand(traffic: Traffic) -> Iterator[tuple[KeyPath, str]]:
    ways, bins = traffic.ways or {}, traffic.bins or {}
    at: list[tuple[KeyPath, WaySection]] = [(("ways", name), way) for name, way in ways.items()]
    if traffic.probe:
        at.append((("probe",), traffic.probe))
    for path, way in at:
        if way.model not in traffic.models:
            known = ", ".join(traffic.models)
            yield (*path, "model"), f"there is no model {way.model!r}; there are {known}"
        if way.judged and traffic.verifier is None:
            yield (*path, "judged"), "needs a verifier; say what it costs"
    for name, each in bins.items():
        if traffic.records is not None and each.share is not None:
            yield ("bins", name, "share"), "is what records say; leave out one or the other"
        if traffic.records is None and each.share is None:
            yield ("bins", name), "has no share; give it, or records"
    total = sum(each.share or 0 for each in bins.values())
    if traffic.records is None and total != 1:
        yield ("bins",), f"the shares add up to {total}, not 1"
    for name, each in bins.items():
        yield from _names(("bins", name, "right"), each.right, list(ways), "how often each way is right")


def _names(
    path: KeyPath, given: Mapping[str, Any], wanted: list[str], what: str
) -> Iterator[tuple[KeyPath, str]]:
    for each in given:
        if each not in wanted:
            yield (*path, each), f"is not a known key; known here are {', '.join(wanted)}"
    for each in wanted:
        if each not in given:
            yield path, f"must say {what}; {each!r} is missing"
