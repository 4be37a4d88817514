"""One pair, all methods: a row of numbers with paired intervals, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.routing import evidence
from benchmarks.routing.baselines import TFIDF, Embeddings, baselines
from benchmarks.routing.pairs import Pair, Transfer, outcomes, setting
from benchmarks.routing.text import candidate, read_embeddings, refined
from benchmarks.routing.transfer import across
from router.evaluation.bootstrap import intervals, of_curves
from router.evaluation.crossval import Method, OutOfFold, cross_validate
from router.evaluation.measures import LENGTH
from router.evaluation.metrics import CallCurve
from router.evaluation.policies import Router, by_length
from router.evaluation.product import halves
from router.evaluation.report import report
from router.evaluation.verdict import Candidate, decide
from router.outcome_table import Floats, OutcomeTable

PRODUCT = "gradus, text"
PROBED = "gradus, text and probe"
LARGE = 5000
"""Questions from which on SVM, MLP and chosen models take too long; the fixed text model stands for all."""

_TEXT_MODEL = "both"
_SLOW = ("SVM", "MLP", "embeddings, SVM")
_PROBED_ALONE = {
    "best score": evidence.by_score,
    "no answer, then score": evidence.by_rule,
    "agreement": evidence.by_agreement,
    "gradus, probe": evidence.by_evidence,
}


def methods(table: OutcomeTable, embeddings: Embeddings | None, mathematics: bool) -> dict[str, Method]:
    """By name; those of text only where there is any, those of evidence only where all were probed."""
    found: dict[str, Method] = {LENGTH: by_length}
    worded = any(map(str.isalpha, "".join(table.prompts)))  # numbers alone, or nothing, are no text
    if worded:
        large = len(table) >= LARGE
        found |= {
            name: method
            for name, method in baselines(embeddings).items()
            if name not in ("random", "length") and not (large and name in _SLOW)
        }
        if len(set(table.segments)) < 2:
            del found["segment mean"]
        found[PRODUCT] = candidate(_TEXT_MODEL)
        if embeddings is not None:
            found["gradus, text and embeddings"] = refined(_TEXT_MODEL, embeddings)
    if all(table.evidence):
        found |= _PROBED_ALONE
        if worded:
            found[PROBED] = evidence.product(_TEXT_MODEL)
        if mathematics:
            found["probe and topics"] = evidence.by_evidence_and_topics
    return found


def pair_row(
    folder: Path,
    pair: Pair,
    embeddings_folder: Path | None,
    seeds: int,
    resamples: int,
    on_method: Callable[[str], None],
) -> dict[str, Any]:
    table = outcomes(folder, pair)
    embeddings = _embeddings(embeddings_folder, pair.set, table)
    predicted: dict[str, OutOfFold] = {}
    for name, method in methods(table, embeddings, pair.set.startswith("math")).items():
        on_method(name)
        found = cross_validate(table, method, seeds=range(seeds))
        predicted[name] = halves(found)[1] if name == PROBED else found
    on_method("resampling")
    return _row(pair.title, pair.set, table, predicted, resamples)


def transfer_row(
    folder: Path, transfer: Transfer, seeds: int, resamples: int, on_method: Callable[[str], None]
) -> dict[str, Any]:
    source, target = (outcomes(folder, each) for each in (transfer.source, transfer.target))
    wanted = baselines(None)
    chosen = {LENGTH: by_length, TFIDF: wanted[TFIDF], PRODUCT: candidate(_TEXT_MODEL)}
    on_method("fitting to the other set")
    predicted = across(source, target, chosen, range(seeds))
    on_method("resampling")
    return _row(transfer.title, "across", target, predicted, resamples)


def _row(
    title: str, name: str, table: OutcomeTable, predicted: Mapping[str, OutOfFold], resamples: int
) -> dict[str, Any]:
    probing = (*_PROBED_ALONE, PROBED, "probe and topics")
    routers = [Router(each, found, probes=each in probing) for each, found in predicted.items()]
    resamples = resamples if len(table) < LARGE else max(200, resamples // 5)
    found = report(setting(table), routers, resamples=resamples)
    row = found.json()
    above = _above(table, predicted, resamples)
    for each in row["policies"]:
        if each["name"] in above:
            each["apgr_over_tfidf"] = above[each["name"]]
    best = found.best_single
    own = [
        Candidate(
            each.name,
            each.measures["over_best"],
            each.measures.get("line_over_mix"),
            each.measures["apgr"],
            None,
        )
        for each in found.rows
        if each.name.startswith("gradus")
    ]
    row |= {
        "verdict": asdict(decide(own, best, priced=found.unit == "usd", cheaper=found.weak)),
        "title": title,
        "set": name,
        "calls": {
            each: [found.curves[each].strong_share.tolist(), found.curves[each].quality.tolist()]
            for each in predicted
        },
        "oracle_calls": [each[:: max(1, len(table) // 100)].tolist() for each in found.oracle_calls],
    }
    return row


def _above(table: OutcomeTable, predicted: Mapping[str, OutOfFold], resamples: int) -> dict[str, Any]:
    """APGR above tf-idf's, paired."""
    if TFIDF not in predicted:
        return {}
    names = [each for each in predicted if each != TFIDF]
    weak, strong = table.right.T
    curves = {
        each: of_curves(found.scores(0, 1), weak, strong, CallCurve.apgr) for each, found in predicted.items()
    }

    def statistics(weights: Floats) -> Sequence[float]:
        base = float(curves[TFIDF](weights))
        return [float(curves[each](weights)) - base for each in names]

    found = intervals(statistics, table.groups, resamples=resamples)
    return {name: each.json() for name, each in zip(names, found, strict=True)}


def _embeddings(folder: Path | None, name: str, table: OutcomeTable) -> Embeddings | None:
    if folder is None or not (folder / f"{name.replace('/', '_')}.npz").is_file():
        return None
    found = read_embeddings(folder, name)
    return found if found is not None and all(each in found for each in table.ids) else None
