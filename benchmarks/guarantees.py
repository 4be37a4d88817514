"""Is what a policy promises kept? Simulated certificates: how often they are wrong, and what they forgo.

    python -m benchmarks.guarantees
    python -m benchmarks.guarantees --output docs/policies.md     (with its plot, policies-guarantees.png)

Traffic is made up, so that the true accuracy and cost of every rule are known: a small model is right by the
question's difficulty, which the predictor sees dimly; the large one in 0.9. Each draw is a calibration split:
all multipliers are played on it, certified as :mod:`router.tuning` does, and the cheapest certified rule is
taken. It breaks the promise where its *true* accuracy is too low. Beside it, what people do without a
certificate: the cheapest rule whose accuracy on the same questions is high enough.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from router.guarantees import Floats
from router.promise import Promise
from router.tuning import MULTIPLIERS

SMALL_USD, LARGE_USD, LARGE_RIGHT = 0.001, 0.02, 0.9
POPULATION = 200_000
"""So many questions stand for all traffic: the true accuracy of a rule is known to 0.001."""
DELTAS = (0.05, 0.1, 0.2)
SIZES = (200, 500, 1000, 3000)
BEGIN, END = "<!-- python -m benchmarks.guarantees -->", "<!-- end -->"


@dataclass(frozen=True)
class Traffic:
    """Questions: whether small and large model are right, and which rules [G] ask the large one [G, N]."""

    small_right: Floats
    large_right: Floats
    asks_large: Any

    def right(self, questions: Any) -> Floats:
        """Of the rules, then of always the small and always the large model [G + 2, N]."""
        small, large = self.small_right[questions], self.large_right[questions]
        routed = np.where(self.asks_large[:, questions], large, small)
        return np.concatenate([routed, [small, large]])

    def cost_usd(self) -> Floats:
        """The true mean of each [G + 2]."""
        share = np.concatenate([self.asks_large.mean(axis=1), [0.0, 1.0]])
        return SMALL_USD + share * (LARGE_USD - SMALL_USD)


@dataclass(frozen=True)
class Kind:
    name: str
    target: float
    of_large: bool

    def promise(self, right: Floats) -> Promise:
        return Promise(self.target, right[-1] if self.of_large else None)


KINDS = (
    Kind("accuracy of 0.80", 0.8, False),
    Kind("accuracy of 0.88", 0.88, False),
    Kind("0.95 of the large model's", 0.95, True),
    Kind("0.99 of the large model's", 0.99, True),
)


@dataclass(frozen=True)
class Result:
    """Shares of draws; ``forgone`` is the mean cost above that of the cheapest rule that truly keeps it."""

    kind: Kind
    size: int
    delta: float
    broken: float
    naive_broken: float
    certified: float
    forgone: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate what certificates promise.")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--output", type=Path, help="the document whose tables are replaced")
    options = parser.parse_args()
    traffic = _traffic()
    settings = [(kind, size) for kind in KINDS for size in SIZES]
    found = [each for one in track(settings) for each in simulated(traffic, *one, options.draws)]
    text = "\n".join(_table(found, options.draws))
    if options.output is None:
        print(text)
        return
    document = options.output.read_text("utf-8")
    before, rest = document.split(BEGIN, 1)
    options.output.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}", "utf-8")
    _plot(found, options.output.with_name(f"{options.output.stem}-guarantees.png"))


def _traffic() -> Traffic:
    random = np.random.default_rng(0)
    chance = random.beta(0.8, 0.6, POPULATION)
    foreseen = np.clip(chance + random.normal(0, 0.2, POPULATION), 0, 1)
    gain = LARGE_RIGHT - foreseen
    asks_large = np.array([worth * gain > LARGE_USD - SMALL_USD for worth in MULTIPLIERS])
    another = np.append(True, (asks_large[1:] != asks_large[:-1]).any(axis=1))
    return Traffic(
        (random.random(POPULATION) < chance).astype(float),
        (random.random(POPULATION) < LARGE_RIGHT).astype(float),
        asks_large[another],
    )


def simulated(traffic: Traffic, kind: Kind, size: int, draws: int) -> Iterator[Result]:
    """For every delta, on the same draws."""
    everything = traffic.right(slice(None))
    truth, cost = everything.mean(axis=1), traffic.cost_usd()
    bound = kind.target * (truth[-1] if kind.of_large else 1.0)
    kept = truth >= bound
    least_usd = cost[kept].min()
    random = np.random.default_rng(size)
    broken: dict[float, list[bool]] = {delta: [] for delta in DELTAS}
    spent: dict[float, list[float]] = {delta: [] for delta in DELTAS}
    naive = []
    for _ in range(draws):
        right = traffic.right(random.integers(POPULATION, size=size))
        promise = kind.promise(right)
        seen = kind.target * (right[-1].mean() if kind.of_large else 1.0)
        naive.append(not kept[_cheapest(cost, np.flatnonzero(right.mean(axis=1) >= seen))])
        for delta in DELTAS:
            sure = promise.certified(right, len(right) - 2, delta)
            if kind.of_large:
                sure.add(len(right) - 1)
            if sure:
                chosen = _cheapest(cost, sorted(sure))
                broken[delta].append(not kept[chosen])
                spent[delta].append(cost[chosen])
    for delta in DELTAS:
        certified = len(spent[delta])
        yield Result(
            kind,
            size,
            delta,
            sum(broken[delta]) / draws,
            float(np.mean(naive)),
            certified / draws,
            float(np.mean(spent[delta]) - least_usd) if certified else float("nan"),
        )


def _cheapest(cost: Floats, rules: Sequence[int] | Any) -> int:
    """Of none, the first: the safest there is."""
    return min(rules, key=lambda rule: cost[rule], default=0)


def _table(found: Sequence[Result], draws: int) -> Iterator[str]:
    yield (
        f"{draws:,} calibration splits each, of made-up traffic (small model ${SMALL_USD}, large "
        f"${LARGE_USD} a query):"
    )
    yield ""
    yield (
        "| promise | questions | without a certificate: broken in | "
        + " | ".join(f"delta {delta:g}: broken in (certified in; forgone)" for delta in DELTAS)
        + " |"
    )
    yield "|---|---|---|" + "---|" * len(DELTAS)
    for start in range(0, len(found), len(DELTAS)):
        row = found[start : start + len(DELTAS)]
        cells = [f"**{each.broken:.3f}** ({each.certified:.0%}; {_usd(each.forgone)})" for each in row]
        yield (
            f"| {row[0].kind.name} | {row[0].size:,} | {row[0].naive_broken:.2f} | "
            + " | ".join(cells)
            + " |"
        )


def _usd(amount: float) -> str:
    return "none" if np.isnan(amount) else f"${amount:.4f}"


def _plot(found: Sequence[Result], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for kind in KINDS:
        rows = [each for each in found if each.kind == kind]
        left.plot(
            [each.delta for each in rows if each.size == SIZES[-1]],
            [each.broken for each in rows if each.size == SIZES[-1]],
            marker="o",
            label=kind.name,
        )
        middle = [each for each in rows if each.delta == DELTAS[1]]
        right.plot([each.size for each in middle], [each.forgone for each in middle], marker="o")
    left.plot(DELTAS, DELTAS, color="grey", linestyle="--", label="allowed")
    left.set(xlabel="delta", ylabel="share of promises broken", title=f"{SIZES[-1]:,} questions")
    left.legend(fontsize=8)
    right.set(
        xscale="log",
        xlabel="calibration questions",
        ylabel="USD a query above the best rule",
        title=f"what a certificate forgoes, delta {DELTAS[1]:g}",
    )
    right.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    right.minorticks_off()
    figure.tight_layout()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
