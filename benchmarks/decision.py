"""How long one routing decision takes on one core, by stage: a query's text, its forecast, drift, the plan.

    python -m benchmarks.decision
    python -m benchmarks.decision --predictor FOLDER
    python -m benchmarks.decision --predictor FOLDER --embedding FOLDER

"decision" is :func:`router.policy.plan`, all that the gateway does between a checked request and its plan,
"of 16" the share of one where 16 requests come at once (:func:`router.together.weigh_together`), and
"explained" what it takes to say why as well, as /v1/gradus/explain does. Text and forecast, parts of a
decision, are measured again by themselves. "drift" is what the monitor does besides, "embedding" what a
sentence encoder (an ONNX folder) would add. The configuration (default: the embedded
models) must have the models that the predictor was fitted for; every context is widened, so that long
conversations are weighed too rather than refused. Times are of the processor: what else runs does not count.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gateway.embeddings import load_embedder
from router.config import Config, load_config
from router.drift import DriftMonitor
from router.features.conversation import text_of
from router.market import Market, open_market
from router.policy import case_of, decide, plan
from router.predictor.files import load_predictor
from router.table import Case
from router.together import weigh_together
from router.types import Query

CONTEXT_TOKENS = 131_072
TOGETHER = 16
WANTED_MS = (1.0, 3.0)
"""p50 and p99 of a decision without embeddings."""

_PROBLEM = (
    "Kylar went to the store to buy glasses for his new apartment. One glass costs ${0}, but every second "
    "glass costs only {1}% of the price. Kylar wants to buy {2} glasses. How much does he need to pay?"
)
_PARAGRAPH = (
    "In the {0}th week of the survey the group walked {1} kilometres along the northern shore, counted {2} "
    "nests, repaired two of the observation huts and wrote down what the wind, the tide and the light were "
    "like, since earlier reports had said that all three mattered for how the birds choose where to land. "
)

Messages = tuple[Mapping[str, Any], ...]


def conversation(kind: str, number: int) -> Messages:
    """The ``number``-th conversation of a kind: "short", "problem", "2k tokens" or "30k tokens"."""
    figures = np.random.default_rng(number).integers(2, 99, size=3)
    if kind == "short":
        return (_said("user", f"What is {figures[0]} + {figures[1]} * {figures[2]}?"),)
    if kind == "problem":
        return (_said("user", _PROBLEM.format(*figures)),)
    # A paragraph is taken for some 100 tokens.
    report = "".join(
        _PARAGRAPH.format(week, *figures[:2]) for week in range(20 if kind == "2k tokens" else 300)
    )
    question = f"How many nests were counted in the first {figures[2]} weeks?"
    return (
        _said("system", "You help with field reports."),
        _said("user", f"{report}\nPlease read this first."),
        _said("assistant", "I have read it."),
        _said("user", f"{report[-600:]}\n{question}"),
        _said("assistant", "Of how many sites?"),
        _said("user", "Of all of them."),
    )


def _said(role: str, content: str) -> Mapping[str, Any]:
    return {"role": role, "content": content}


KINDS = ("short", "problem", "2k tokens", "30k tokens")


def stages(market: Market, embedding: Path | None) -> dict[str, Callable[[Messages], object]]:
    """What is timed, by name; each takes a conversation."""
    found: dict[str, Callable[[Messages], object]] = {
        "decision": lambda messages: plan(Query(messages), "default", market, explained=False),
        "explained": lambda messages: plan(Query(messages), "default", market),
        "text": text_of,
    }
    predictor = market.predictor
    if predictor is not None:
        found["forecast"] = lambda messages: predictor.forecast([text_of(messages)])
        random = np.random.default_rng(0)
        monitor = DriftMonitor(720, random.random(720))
        found["drift"] = lambda _: monitor.observe(random.random(), random.random())
    if embedding is not None:
        embed = load_embedder(embedding)
        found["embedding"] = lambda messages: embed([text_of(messages)])
    return found


def together(market: Market, conversations: Sequence[Messages]) -> tuple[float, float]:
    """Milliseconds of the processor a decision, p50 and p99 of batches of :data:`TOGETHER`."""

    def batch(those: Sequence[Messages]) -> None:
        cases = [case_of(Query(messages), "default", market) for messages in those]
        for outcome in weigh_together([case for case in cases if isinstance(case, Case)]):
            decide(outcome)

    times_s = []
    for first in range(0, len(conversations), TOGETHER):
        those = conversations[first : first + TOGETHER]
        begin_s = time.thread_time()
        batch(those)
        times_s.append((time.thread_time() - begin_s) / len(those))
    p50, p99 = np.quantile(times_s, [0.5, 0.99]) * 1e3
    return float(p50), float(p99)


def measure(stage: Callable[[Messages], object], conversations: Sequence[Messages]) -> tuple[float, float]:
    """Milliseconds of the processor, p50 and p99."""
    times_s = []
    for messages in conversations:
        begin_s = time.thread_time()
        stage(messages)
        times_s.append(time.thread_time() - begin_s)
    p50, p99 = np.quantile(times_s, [0.5, 0.99]) * 1e3
    return float(p50), float(p99)


def widened(config: Config) -> Config:
    """The same with contexts that hold every conversation here."""
    models = {
        name: model.model_copy(update={"context_tokens": CONTEXT_TOKENS})
        for name, model in config.models.items()
    }
    return config.model_copy(update={"models": models})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", help="a configuration file or preset (default: the embedded models)")
    parser.add_argument("--predictor", help="a folder that `gradus fit` wrote (default: none)")
    parser.add_argument("--embedding", type=Path, help="a sentence encoder's ONNX folder (default: none)")
    parser.add_argument("--repeats", type=int, default=500, help="conversations a kind (default 500)")
    options = parser.parse_args()

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    predictor = None if options.predictor is None else load_predictor(options.predictor)
    market = open_market(widened(load_config(options.config, {})), predictor=predictor)
    if predictor is not None and "default" not in market.guides:
        parser.error("the default policy has models that the predictor was not fitted for")

    print(f"one core, {options.repeats} conversations a kind, milliseconds: p50 / p99")
    timed = stages(market, options.embedding)
    print(f"{'':>12}" + "".join(f"{name:>18}" for name in (*timed, f"of {TOGETHER}")))
    decisions = []
    for kind in KINDS:
        conversations = [conversation(kind, number) for number in range(options.repeats)]
        for stage in timed.values():  # warm
            measure(stage, conversations[:5])
        row = {name: measure(stage, conversations) for name, stage in timed.items()}
        row["together"] = together(market, conversations)
        decisions.append(row["decision"])
        print(f"{kind:>12}" + "".join(f"{p50:>10.2f} /{p99:>6.2f}" for p50, p99 in row.values()), flush=True)
    worst = np.max(decisions, axis=0)
    print(f"worst decision {worst[0]:.2f} / {worst[1]:.2f} (wanted: at most {WANTED_MS[0]} / {WANTED_MS[1]})")


if __name__ == "__main__":
    main()
