"""5. Searching or pretraining: the small model that searches against one greedy answer of the large one.

Snell et al. 2024, section 7. A model M times larger costs M times as much to train and to run. What the small
one saves it may spend on inference, which may so grow by ``M + 3 (M - 1) / R``, with R the tokens inferred
over those of pretraining (:mod:`cost_model.exchange`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paper import exchange_figures, ratios, search
from benchmarks.paper.difficulty import BINS, difficulties
from benchmarks.paper.grid import Action, Grid, choose_best, fixed, reaching, weightings
from benchmarks.paper.ratios import flops_of
from benchmarks.paper.rows import Row, Way
from benchmarks.paper.rows import search as search_one
from benchmarks.paper.setting import Setting, Sitting
from benchmarks.paper.statistics import Interval, Values, accuracy, by_question, of_weightings
from benchmarks.paper.tables import cell, table
from cost_model.exchange import inference_growth
from cost_model.usage import Usage
from workers.training.errors import TrainingError

TITLE = "Searching or pretraining"
INFERENCE_PER_PRETRAINING = (0.16, 0.79, 22.0)
"""R, as in the paper's section 7."""
_ONE_TURN = ("majority", "direct")
"""Ways that at a budget of one are a turn that nobody judges: what growth is counted from."""
_RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of search, measured: by (way, budget) one number a question, of the first questions."""

    name: str
    budgets: Sequence[int]
    right: Mapping[tuple[str, int], Values]
    flops: Mapping[tuple[str, int], Values]
    usd: Mapping[tuple[str, int], Values]

    @property
    def questions(self) -> int:
        return len(next(iter(self.right.values())))


@dataclass(frozen=True, slots=True)
class Line:
    """The best way by bin at growing budgets: all are (weightings, budgets), FLOPs and USD an answer.

    The first budget is one turn that nobody judges.
    """

    turns: Values
    right: Values
    flops: Values
    usd: Values


def run(setting: Setting) -> dict[str, Any]:
    """Both families against the large model: at equal FLOPs for every R, and at equal dollars."""
    large = _large_rows(setting)
    models = setting.config.models
    small_size, large_size = (
        getattr(models[each], "parameters", None) for each in (setting.small, setting.large)
    )
    if small_size is None or large_size is None:
        raise TrainingError("the configuration does not say how many `parameters` both models have")
    bins = np.array(difficulties(setting).oracle)
    large_right = np.array([float(row.right) for row in large])
    large_usd = np.array([_usd(setting, row, setting.large, setting.verifier) for row in large])
    flops_matched, dollars = [], []
    for family in families(setting):
        for group, members in _groups(bins[: family.questions]):
            weights = weightings(int(members.sum()), _RESAMPLES)
            line = line_of(family, members, bins[: family.questions][members], weights)
            wanted = fixed(large_right[: family.questions][members], weights)
            head = {"family": family.name, "group": group, "questions": int(members.sum())}
            for found in at_equal_flops(line, wanted, large_size / small_size):
                flops_matched.append(head | found)
            price = fixed(large_usd[: family.questions][members], weights)
            dollars.append(head | at_equal_dollars(line, wanted, price))
    return {
        "small": setting.small,
        "large": setting.large,
        "times_larger": large_size / small_size,
        "flops": flops_matched,
        "dollars": dollars,
    }


def families(setting: Setting) -> Iterator[Family]:
    """Searches with a verifier, and revision chains where there is a model for them."""
    rows = search.all_rows(setting)
    yield _family(setting, "search", (1, *setting.size.budgets), rows, setting.small, setting.verifier)
    if ratios.is_there(setting):
        budgets = (1, *ratios.extent_of(setting).budgets)
        yield _family(
            setting, "revisions", budgets, ratios.chain_rows(setting)[0], ratios.MODEL, ratios.VERIFIER
        )


def line_of(family: Family, members: Values, bins: Values, weights: Values) -> Line:
    """The best way of the ``members`` at every budget, chosen by bin on the other half of them."""
    found = []
    for budget in family.budgets:
        keys = [key for key in family.right if key[1] == budget and (budget > 1 or key[0] in _ONE_TURN)]
        actions = [Action(*key) for key in keys]
        right, flops, usd = (
            np.array([values[key] for key in keys])[:, members]
            for values in (family.right, family.flops, family.usd)
        )
        chosen = choose_best(Grid(actions, right, flops), list(bins), weights)
        paid = choose_best(Grid(actions, right, usd), list(bins), weights)
        found.append((np.full(len(weights), float(budget)), chosen.right, chosen.cost, paid.cost))
    return Line(*(np.stack(column, axis=1) for column in zip(*found, strict=True)))


def at_equal_flops(line: Line, wanted: Values, times_larger: float) -> Iterator[dict[str, Any]]:
    """Against the large model's accuracy ``wanted`` (weightings,), for every R and in both units.

    In turns, growth is a number of turns, as the paper counts; in FLOPs, that many times what one turn takes,
    and judging is paid from it.
    """
    for ratio in INFERENCE_PER_PRETRAINING:
        growth = inference_growth(times_larger, ratio, 1.0)
        for unit, spent in (("turns", line.turns), ("flops", line.flops)):
            small, is_beyond = reached(line.right, spent, growth * spent[:, 0])
            yield {
                "inference_per_pretraining": ratio,
                "growth": growth,
                "unit": unit,
                "beyond": is_beyond,
                "turns": float(np.exp(reached(np.log(line.turns), spent, growth * spent[:, 0])[0][0])),
                "small": of_weightings(small).json(),
                "large": of_weightings(wanted).json(),
                "difference": of_weightings(small - wanted).json(),
                "relative": relative(small, wanted).json(),
            }


def at_equal_dollars(line: Line, wanted: Values, large_usd: Values) -> dict[str, Any]:
    """Accuracy for the price of one large answer; and the price at which the small model catches up."""
    small, is_beyond = reached(line.right, line.usd, large_usd)
    needed, catches_up = reaching(line.right, line.usd, wanted)
    return {
        "large_usd": float(large_usd[0]),
        "largest_usd": float(line.usd[0].max()),
        "beyond": is_beyond,
        "small": of_weightings(small).json(),
        "large": of_weightings(wanted).json(),
        "difference": of_weightings(small - wanted).json(),
        "catches_up_usd": float(needed[0]) if catches_up[0] else None,
    }


def reached(values: Values, spent: Values, allowed: Values) -> tuple[Values, bool]:
    """What is reached by spending ``allowed`` (weightings,): between two budgets on a line in log spending.

    ``values`` and ``spent`` are (weightings, budgets). Also whether what is allowed is beyond the largest
    budget (of the first weighting): then that one counts.
    """
    order = np.argsort(spent, axis=1)
    found = [
        np.interp(np.log(most), np.log(cost[by]), value[by])
        for value, cost, by, most in zip(values, spent, order, allowed, strict=True)
    ]
    return np.array(found), bool(allowed[0] > spent[0].max())


def relative(small: Values, large: Values) -> Interval:
    """How much more often the small one is right, as a share of the large one's; unknown where that is 0."""
    known = large > 0
    found = small[known] / large[known] - 1
    if not known[0]:
        return Interval(None, None, None)
    if known.mean() < 0.75:
        return Interval(float(found[0]), None, None)
    return of_weightings(found)


def _groups(bins: Values) -> Iterator[tuple[str, Values]]:
    yield "all questions", np.ones(len(bins), dtype=bool)
    for each in range(BINS):
        if (bins == each).sum() > 1:
            yield f"bin {each + 1}", bins == each


def _large_rows(setting: Setting) -> list[Row]:
    """One greedy answer of the large model to every question."""

    def answer(sitting: Sitting) -> dict[str, Any]:
        player, judge = sitting.model(setting.large), sitting.judge(setting.verifier)
        return asdict(search_one(sitting, Way("direct", "direct"), 1, player, judge)[0])

    return [Row(**row) for row in setting.each("large-greedy", {}, [setting.large], answer)]


def _family(
    setting: Setting, name: str, budgets: Sequence[int], rows: Sequence[Row], model: str, verifier: str
) -> Family:
    usd = by_question(rows, lambda row: _usd(setting, row, model, verifier))
    return Family(name, budgets, accuracy(rows), by_question(rows, flops_of), usd)


def _usd(setting: Setting, row: Row, model: str, verifier: str) -> float:
    """Raises :class:`workers.training.errors.TrainingError` where a price is unknown."""
    lines = [
        Usage("candidate", model, 1, row.prompt_tokens, row.completion_tokens),
        Usage("verifier", verifier, 1, row.verifier_tokens),
    ]
    costs = [line.cost_usd for line in setting.market.priced(line for line in lines if line.total_tokens)]
    if None in costs:
        raise TrainingError("the configuration does not say what model and verifier cost")
    return float(sum(cost for cost in costs if cost is not None))


def section(results: Mapping[str, Any]) -> str:
    """What docs/paper.md says about it, above the notes."""
    small, large = results["small"], results["large"]
    matched = [
        [
            each["family"],
            f"{each['inference_per_pretraining']:g}",
            {"turns": "turns", "flops": "FLOPs, judging counted"}[each["unit"]],
            f"{each['group']} ({each['questions']})",
            f"{each['turns']:.0f}" + (" (largest)" if each["beyond"] else ""),
            cell(each["small"]),
            cell(each["large"]),
            cell(each["difference"]),
            percent(each["relative"]),
        ]
        for each in results["flops"]
    ]
    dollars = [
        [
            each["family"],
            f"{each['group']} ({each['questions']})",
            f"{each['large_usd']:.2e}",
            f"{each['largest_usd']:.2e}" if each["beyond"] else f"{each['large_usd']:.2e}",
            cell(each["difference"]),
            "never" if each["catches_up_usd"] is None else f"{each['catches_up_usd']:.2e}",
        ]
        for each in results["dollars"]
    ]
    growths = {each["inference_per_pretraining"]: each["growth"] for each in results["flops"]}
    told = ", ".join(f"{growth:.0f} times at R = {ratio:g}" for ratio, growth in growths.items())
    return (
        f"{large} has {results['times_larger']:.1f} times the parameters of {small} and answers once, "
        f"greedily. At equal FLOPs, pretraining included, the inference of {small} may grow {told} (R: "
        "tokens inferred over tokens of pretraining). In turns, that is the budget N; in FLOPs, that many "
        "times the FLOPs of one turn, from which judging is paid too. The way is the best one of the bin, "
        "chosen on one half and measured on the other; between budgets accuracy is read off a line in log "
        "spending. (largest): more is allowed than the largest budget measured, which counts then.\n\n"
        + table(
            ["family", "R", "counted in", "questions", "N", small, large, "difference", "relative"], matched
        )
        + f"\nIn dollars, at the configured prices: what one answer of {large} costs, what of that is spent, "
        "the difference in accuracy for it, and the price of an answer at which the small model catches "
        "up.\n\n"
        + table(
            ["family", "questions", f"{large}, USD", "spent, USD", "difference", "catches up at"], dollars
        )
    )


def percent(interval: Mapping[str, Any]) -> str:
    if interval["value"] is None:
        return "–"
    shown = [f"{each:+.0%}" for each in interval.values() if each is not None]
    return shown[0] if len(shown) == 1 else f"{shown[0]} [{shown[1]}, {shown[2]}]"


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """exchange.png: how much more or less often the small model is right, by bin and R."""
    exchange_figures.draw(results, folder / "exchange.png")
