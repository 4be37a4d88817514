"""Where the order of two options changes: the volume, price and difficulty mix at which they are equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from cost_model.exchange import break_even, break_even_ratio, inference_growth
from cost_model.planner import Option, is_mix
from cost_model.situation import DAYS_A_YEAR, Situation


@dataclass(frozen=True, slots=True)
class VolumeCrossing:
    """Below so many queries a day ``below`` costs less a year, above it ``above`` does."""

    below: str
    above: str
    queries_per_day: Decimal


def volumes(options: Sequence[Option]) -> list[VolumeCrossing]:
    """Of every two options, by volume; costs only, whatever their accuracy."""
    found = []
    for one, other in combinations(options, 2):
        queries = break_even(
            one.fixed_usd_per_year, one.usd_per_query, other.fixed_usd_per_year, other.usd_per_query
        )
        if queries is not None:
            below, above = (one, other) if one.usd_per_query > other.usd_per_query else (other, one)
            found.append(VolumeCrossing(below.name, above.name, queries / DAYS_A_YEAR))
    return sorted(found, key=lambda each: each.queries_per_day)


@dataclass(frozen=True, slots=True)
class WorthCrossing:
    """Where a mix of ways is worth as much as one way for all.

    ``usd_per_right_answer``: if a right answer is worth so much. ``price_factor``: at so many times what
    tokens of ``model`` cost, which the other option uses. ``share``: with so many of the queries in the
    easiest bin, ``bin``, the others in proportion. ``None`` where there is no such worth or price (0 or more)
    or share (between 0 and 1): nothing changes their order.
    """

    mix: str
    other: str
    usd_per_right_answer: Decimal | None
    model: str
    price_factor: Decimal | None
    bin: str
    share: Decimal | None


def worths(situation: Situation, options: Sequence[Option]) -> Iterator[WorthCrossing]:
    """Of every option that treats bins differently with every one that does not; choices stay as they are."""
    for mix in options:
        for other in options:
            if is_mix(mix) and not is_mix(other):
                easiest = next(iter(situation.bins))
                way = next(iter(other.choice.values()))
                model = situation.bins[easiest].work[way].model
                yield WorthCrossing(
                    mix.name,
                    other.name,
                    worth(situation, mix, other),
                    model,
                    price_factor(situation, mix, other, model),
                    easiest,
                    share(situation, mix, other, easiest),
                )


def worth(situation: Situation, one: Option, other: Option) -> Decimal | None:
    """USD a right answer at which what one costs more is what it is right more often."""
    if one.right == other.right:
        return None
    dearer = (one.usd_per_year - other.usd_per_year) / _queries(situation)
    found = dearer / (one.right - other.right)
    return found if found >= 0 else None


def price_factor(situation: Situation, one: Option, other: Option, model: str) -> Decimal | None:
    """How many times dearer tokens of ``model`` would have to be for both to be worth the same."""
    at_stake = one.usd_by_model.get(model, Decimal(0)) - other.usd_by_model.get(model, Decimal(0))
    if at_stake == 0:
        return None
    ahead = (one.value_usd_per_year - other.value_usd_per_year) / _queries(situation)
    factor = 1 + ahead / at_stake
    return factor if factor >= 0 else None


def share(situation: Situation, one: Option, other: Option, name: str) -> Decimal | None:
    """The share of queries in the bin ``name`` at which both are worth the same."""
    inside = situation.bins[name].share
    if inside == 1:
        return None
    ahead = {each: _value(situation, one, each) - _value(situation, other, each) for each in situation.bins}
    outside = sum(
        (each.share * ahead[at] for at, each in situation.bins.items() if at != name), Decimal(0)
    ) / (1 - inside)
    if ahead[name] == outside:
        return None
    fixed = (one.fixed_usd_per_year - other.fixed_usd_per_year) / _queries(situation)
    found = (fixed - outside) / (ahead[name] - outside)
    return found if 0 < found < 1 else None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Snell et al. 2024, section 7, for this traffic. ``ratio`` is R, ``growth`` what a search takes.

    At equal FLOPs, pretraining included, the small model's inference may grow ``allowed`` times; ``growth``
    is allowed up to the R of ``break_even_ratio`` (``None``: always).
    """

    small: str
    large: str
    times_larger: float
    ratio: float
    allowed: float
    growth: float
    break_even_ratio: float | None


def exchange(situation: Situation, pretraining_tokens: float) -> Exchange | None:
    """The smallest model against the largest, its largest search against one of its answers.

    ``None`` without two models of known and different sizes, one answer of the small one, and a search on it.
    """
    sizes = {name: each.parameters for name, each in situation.models.items() if each.parameters}
    if len(set(sizes.values())) < 2:
        return None
    small, large = min(sizes, key=lambda name: sizes[name]), max(sizes, key=lambda name: sizes[name])
    works = next(iter(situation.bins.values())).work
    on_small = sorted((work.samples, way) for way, work in works.items() if work.model == small)
    if not on_small or on_small[0][0] != 1 or on_small[-1][0] == 1:
        return None
    one, search = (_tokens(situation, way) for way in (on_small[0][1], on_small[-1][1]))
    ratio = one * float(_queries(situation) * situation.years) / pretraining_tokens
    times_larger = sizes[large] / sizes[small]
    return Exchange(
        small,
        large,
        times_larger,
        ratio,
        inference_growth(times_larger, ratio, 1.0),
        search / one,
        break_even_ratio(times_larger, search / one),
    )


def _tokens(situation: Situation, way: str) -> float:
    """Read and generated by the model that answers, a query."""
    each = situation.bins.values()
    return sum(float(at.share * (at.work[way].prompt + at.work[way].completion)) for at in each)


def _value(situation: Situation, option: Option, name: str) -> Decimal:
    usd, right = option.by_bin[name]
    return situation.usd_per_right_answer * right - usd


def _queries(situation: Situation) -> Decimal:
    """A year."""
    return situation.queries_per_day * DAYS_A_YEAR
