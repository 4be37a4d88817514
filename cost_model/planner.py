"""The deployment question: one model for everybody, a search on a small one, or each for whom it suits.

A :class:`~cost_model.situation.Situation` is the traffic with its difficulty bins, the models with their
prices, and the ways to answer. Each :class:`Option` is a way for every bin: what it costs a year, how often
it is right, how long it takes. :mod:`cost_model.crossings` says where their order changes.

Where the bins need a probe to be told apart, an option that treats them differently pays it. A search on the
probe's model begins with its samples, so they are not paid twice; whoever goes elsewhere has paid them for
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from cost_model.flops import inference_flops
from cost_model.prices import add_usd
from cost_model.response_times import busy_machines, mean_s
from cost_model.situation import DAYS_A_YEAR, Bin, Situation, Work


@dataclass(frozen=True, slots=True)
class Option:
    """One answer to the question. Costs are a query, unless their name says a year.

    ``choice`` is the way for each bin, ``by_bin`` (USD, P(right)) of a query in it. ``fixed_usd`` is paid
    once, of which ``fixed_usd_per_year`` is this year's part. ``usd_by_model`` are parts of
    ``usd_per_query``, the rest is the verifier's. ``busy_machines`` says of each model of known speed how
    many machines work all the time. ``seconds`` is the mean; infinite where machines are too few.
    """

    name: str
    choice: Mapping[str, str]
    by_bin: Mapping[str, tuple[Decimal, Decimal]]
    usd_per_query: Decimal
    usd_by_model: Mapping[str, Decimal]
    fixed_usd: Decimal
    fixed_usd_per_year: Decimal
    usd_per_year: Decimal
    right: Decimal
    value_usd_per_year: Decimal
    seconds: float | None
    flops_per_year: float | None
    busy_machines: Mapping[str, float]


def options(situation: Situation, mixes: Mapping[str, Mapping[str, str]]) -> list[Option]:
    """Every way for all, the best way for each bin, and the ``mixes``: by name, a way for each bin."""
    alike = [
        option(situation, f"{way} for all", dict.fromkeys(situation.bins, way)) for way in situation.ways
    ]
    best = option(situation, "best per bin", best_per_bin(situation))
    return [*alike, best, *(option(situation, name, choice) for name, choice in mixes.items())]


def is_mix(option: Option) -> bool:
    """Whether it answers some bins otherwise than others."""
    return len(set(option.choice.values())) > 1


def best_per_bin(situation: Situation) -> dict[str, str]:
    """For each bin the way with the most value: USD a right answer times P(right), less what it costs.

    The probe counts; what is paid once does not. Of equal ways the first.
    """

    def value(each: Bin, way: str) -> Decimal:
        usd = sum(_usd(situation, work) for work in _works(each, way, probed=True))
        return situation.usd_per_right_answer * each.right[way] - usd

    return {name: max(situation.ways, key=partial(value, each)) for name, each in situation.bins.items()}


def option(situation: Situation, name: str, choice: Mapping[str, str]) -> Option:
    """What becomes of the situation with this way for each bin.

    Raises :class:`ValueError` where a price that is needed is unknown.
    """
    probed = len(set(choice.values())) > 1
    done = {each: list(_works(situation.bins[each], way, probed)) for each, way in choice.items()}
    shared = [(situation.bins[each].share, work) for each, works in done.items() for work in works]
    by_bin = {
        each: (
            sum((_usd(situation, work) for work in works), Decimal(0)),
            situation.bins[each].right[choice[each]],
        )
        for each, works in done.items()
    }
    usd = sum((situation.bins[each].share * cost for each, (cost, _) in by_bin.items()), Decimal(0))
    right = sum((situation.bins[each].share * found for each, (_, found) in by_bin.items()), Decimal(0))
    used = list(dict.fromkeys(work.model for _, work in shared))
    fixed = sum((situation.models[each].fixed_usd for each in used), Decimal(0))
    queries = situation.queries_per_day * DAYS_A_YEAR
    usd_per_year = usd * queries + fixed / situation.years
    flops = [_flops(situation, work) for _, work in shared]
    known = [float(share) * each for (share, _), each in zip(shared, flops, strict=True) if each is not None]
    return Option(
        name,
        choice,
        by_bin,
        usd,
        {each: _usd_of(situation, each, shared) for each in used},
        fixed,
        fixed / situation.years,
        usd_per_year,
        right,
        situation.usd_per_right_answer * right * queries - usd_per_year,
        mean_s(situation, done),
        sum(known) * float(queries) if len(known) == len(flops) else None,
        {each: busy for each in used if (busy := busy_machines(situation, each, shared)) is not None},
    )


def _works(each: Bin, way: str, probed: bool) -> Iterator[Work]:
    work = each.work[way]
    if not probed or each.probe is None:
        yield work
    elif work.model == each.probe.model:
        yield work.joined(each.probe)
    else:
        yield each.probe
        yield work


def _usd(situation: Situation, work: Work) -> Decimal:
    cost = add_usd(
        situation.models[work.model].price.cost_usd(work.prompt, work.completion),
        situation.verifier.price.cost_usd(work.judged),
    )
    if cost is None:
        raise ValueError(f"nobody knows what {work.model}, or judging it, costs")
    return cost


def _usd_of(situation: Situation, model: str, shared: Sequence[tuple[Decimal, Work]]) -> Decimal:
    price = situation.models[model].price
    costs = [
        share * (price.cost_usd(work.prompt, work.completion) or Decimal(0))
        for share, work in shared
        if work.model == model
    ]
    return sum(costs, Decimal(0))


def _flops(situation: Situation, work: Work) -> float | None:
    parameters, judging = situation.models[work.model].parameters, situation.verifier.parameters
    if parameters is None or (work.judged and judging is None):
        return None
    answering = inference_flops(parameters, float(work.prompt + work.completion))
    return answering + inference_flops(judging or 0, float(work.judged))
