"""What the prompt alone says about which model to ask: the product's text models against baselines.

    python -m benchmarks.routing.text DATA [--set routellm/gsm8k] [--seeds 5] [--embeddings FOLDER]
        [--routellm PYTHON] [--llmrouter PYTHON] [--only METHOD ...] [--json FILE]

For every pair: APGR and CPT(50, 80) as RouteLLM computes them, five folds that split no story, the mean over
the seeds, each with its 95% interval; and paired differences to tf-idf ridge and to the length of the prompt.
PYTHON is that of an environment with routellm, or llmrouter-lib: RouteLLM's matrix factorisation, LLMRouter's
perceptron are trained on the embeddings.
FOLDER has one <set, "/" as "_">.npz a set: ``ids`` of its questions, and their ``vectors``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.base import clone

from benchmarks.routing.baselines import TFIDF, Embeddings, baselines, vectors
from benchmarks.routing.sets import load
from router.evaluation.bootstrap import Interval, intervals, of_curves
from router.evaluation.crossval import Method, Predict, cross_validate, folds
from router.evaluation.metrics import CallCurve
from router.fitting import text_models
from router.fitting.embedding_fit import fit_embedding
from router.outcome_table import Floats, OutcomeTable

PAIRS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "routellm/gsm8k": (("mixtral-8x7b", "gpt-4"),),
    "routellm/mmlu": (("mixtral-8x7b", "gpt-4"),),
    "zeroeval/gsm": (
        ("Meta-Llama-3.1-8B-Instruct", "Meta-Llama-3.1-70B-Instruct"),
        ("gemma-2-2b-it", "gpt-4o-2024-08-06"),
    ),
    "zeroeval/math-l5": (
        ("Qwen2.5-7B-Instruct", "Qwen2.5-72B-Instruct"),
        ("Qwen2.5-3B-Instruct", "Qwen2.5-72B-Instruct"),
    ),
    "zeroeval/crux": (("Qwen2.5-7B-Instruct", "Qwen2.5-72B-Instruct"),),
    "math500": (("llama3.2-1b|beam|n2", "llama3.1-8b|beam|n3"),),
}
REFERENCES = (TFIDF, f"{TFIDF}, alpha 1", "length")
VALUES = ("apgr", "cpt50", "cpt80")
_FOLDS = 5


def chosen(train: OutcomeTable, seed: int) -> Predict:
    """The product's text model, chosen inside the training fold."""
    _, model = text_models.choose(train.prompts, train.right, train.groups, seed)
    return lambda test: np.asarray(model.predict(list(test.prompts)))


def candidate(name: str) -> Method:
    def fit(train: OutcomeTable, seed: int) -> Predict:
        model = text_models.candidates(seed)[name].fit(train.prompts, train.right)
        return lambda test: np.asarray(model.predict(list(test.prompts)))

    return fit


def refined(name: str, embeddings: Embeddings) -> Method:
    """A text model, and what embeddings know of its out-of-fold residuals: as `gradus fit` does it."""
    read = vectors(embeddings)

    def fit(train: OutcomeTable, seed: int) -> Predict:
        unfitted = text_models.candidates(seed)[name]
        raw = np.empty_like(train.right)
        for training, test in folds(train.groups, _FOLDS, seed):
            inner = train.take(training)
            fitted = clone(unfitted).fit(inner.prompts, inner.right)
            raw[test] = fitted.predict(train.take(test).prompts)
        part, _ = fit_embedding(read(train), train.right - raw, train.groups, seed)
        model = unfitted.fit(train.prompts, train.right)

        def predict(test: OutcomeTable) -> Floats:
            addition: Floats = read(test) @ part.weights + part.intercept
            return np.asarray(model.predict(list(test.prompts))) + addition

        return predict

    return fit


def methods(
    embeddings: Embeddings | None, routellm: Path | None, llmrouter: Path | None
) -> dict[str, Method]:
    found = baselines(embeddings, routellm, llmrouter)
    found |= {f"gradus {name}": candidate(name) for name in text_models.candidates(0)}
    found["gradus chosen"] = chosen
    if embeddings is not None:
        found["gradus both + embeddings"] = refined("both", embeddings)
    return found


def measure(
    table: OutcomeTable, found: Mapping[str, Method], seeds: int, resamples: int, on_fold: Callable[[], None]
) -> dict[str, dict[str, Interval]]:
    """By method: "apgr", "cpt50", "cpt80", and "above <reference>" for each reference that was run."""
    weak, strong = table.right.T
    scores = {
        name: cross_validate(table, method, seeds=range(seeds), on_fold=on_fold).scores(0, 1)
        for name, method in found.items()
    }
    curves = {name: of_curves(each, weak, strong, _values) for name, each in scores.items()}
    pairs = [(one, other) for one in scores for other in REFERENCES if other in scores and other != one]

    def statistics(weights: Floats) -> list[float]:
        values = {name: curve(weights) for name, curve in curves.items()}
        above = [float(values[one][0] - values[other][0]) for one, other in pairs]
        return [*np.concatenate(list(values.values())).tolist(), *above]

    keys = [(name, value) for name in scores for value in VALUES]
    keys += [(one, f"above {other}") for one, other in pairs]
    found_intervals = intervals(statistics, table.groups, resamples=resamples)
    result: dict[str, dict[str, Interval]] = {name: {} for name in scores}
    for (name, key), interval in zip(keys, found_intervals, strict=True):
        result[name][key] = interval
    return result


def _values(curve: CallCurve) -> list[float]:
    return [curve.apgr(), curve.cpt(0.5), curve.cpt(0.8)]


def read_embeddings(folder: Path | None, name: str) -> Embeddings | None:
    if folder is None:
        return None
    held = np.load(folder / f"{name.replace('/', '_')}.npz")
    return dict(zip(held["ids"].tolist(), held["vectors"].astype(np.float64), strict=True))


def shown(title: str, results: Mapping[str, Mapping[str, Interval]]) -> Table:
    table = Table(title=title)
    columns = [*VALUES, *(f"above {each}" for each in REFERENCES)]
    for column in ("method", *columns):
        table.add_column(column)
    for name, values in sorted(results.items(), key=lambda each: each[1]["apgr"].value):
        cells = [
            f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" if (one := values.get(column)) else ""
            for column in columns
        ]
        table.add_row(name, *cells)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--set", action="append", choices=list(PAIRS), dest="sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--embeddings", type=Path)
    parser.add_argument("--routellm", type=Path, metavar="PYTHON")
    parser.add_argument("--llmrouter", type=Path, metavar="PYTHON")
    parser.add_argument("--only", nargs="+", metavar="METHOD")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    console, written = Console(width=200), {}
    for name in given.sets or PAIRS:
        found = methods(read_embeddings(given.embeddings, name), given.routellm, given.llmrouter)
        found = {each: method for each, method in found.items() if not given.only or each in given.only}
        for pair in PAIRS[name]:
            table = load(given.data, name).only(pair)
            table = table.take(np.flatnonzero(np.isfinite(table.right).all(axis=1)))
            with Progress(console=Console(stderr=True)) as progress:
                task = progress.add_task(f"{name}, {' / '.join(pair)}", total=len(found) * given.seeds * 5)
                results = measure(table, found, given.seeds, given.resamples, partial(progress.advance, task))
            title = f"{name}: {' / '.join(pair)}, {len(table)} questions, {given.seeds} seeds of 5 folds"
            console.print(shown(title, results))
            written[f"{name}: {' / '.join(pair)}"] = {
                method: {key: value.json() for key, value in values.items()}
                for method, values in results.items()
            }
    if given.json:
        given.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
