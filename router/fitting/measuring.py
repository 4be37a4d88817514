"""How good a predictor is, on questions that it never saw; and what it was fitted to: its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray

from router.evaluation.metrics import brier, reliability
from router.features.evidence import FEATURES
from router.fitting.calibrating import log_loss, shares_as_labels
from router.outcome_table import OutcomeTable
from router.outcomes import SMALL
from router.predictor.manifest import (
    ActionEntry,
    ActionMetrics,
    Data,
    Identities,
    Manifest,
    StageMetrics,
)
from router.predictor.predictor import CalibrationSplit
from router.probing import Probing

Floats = NDArray[np.float64]


def first_manifest(
    table: OutcomeTable,
    train: OutcomeTable,
    method: str,
    seed: int,
    identities: Identities,
    left_out: Mapping[str, str],
) -> Manifest:
    """All but the metrics, and the hashes of files that are not written yet."""
    import sklearn

    told = np.isfinite(table.right).any(axis=1)
    fitted = int(np.isfinite(train.right).any(axis=1).sum())
    small = [action.model for action in table.actions if action.name == SMALL]
    return Manifest(
        version=1,
        created_by={"gradus": _gradus_version(), "scikit-learn": sklearn.__version__},
        data=Data(
            sha256=identities.sha256,
            files=identities.files,
            questions=int(told.sum()),
            groups=len(set(np.asarray(table.groups)[told])),
            fitted=fitted,
            calibration=int(told.sum()) - fitted,
            unlabelled=int((~told).sum()),
            seed=seed,
        ),
        method=method,
        actions=tuple(
            ActionEntry(
                name=each.name,
                route=each.route,
                model=each.model,
                strategy=each.strategy,
                samples=each.samples,
            )
            for each in table.actions
        ),
        left_out=left_out,
        small=small[0] if small else None,
        verifier=identities.verifier,
        weights=identities.weights,
        embedding=identities.embedding,
        evidence_features=FEATURES,
        metrics={},
    )


def with_metrics(
    manifest: Manifest, train: OutcomeTable, calibration: CalibrationSplit, probing: Probing | None
) -> Manifest:
    """The manifest with what the calibration split says of forecasts and posteriors."""
    names = [action.name for action in train.actions]
    rates = np.nanmean(train.right, axis=0)
    metrics = {
        name: _of_action(
            calibration.forecast_right[:, column], calibration.right[:, column], float(rates[column])
        )
        for column, name in enumerate(names)
    }
    probe: tuple[StageMetrics, ...] = ()
    if probing is not None:
        small = names.index(SMALL)
        probe = tuple(
            _of_stage(
                stage.samples,
                calibration.posterior[:, column],
                calibration.forecast_right[:, small],
                calibration.right[:, small],
            )
            for column, stage in enumerate(probing.stages)
            if np.isfinite(calibration.posterior[:, column]).any()
        )
    return manifest.model_copy(update={"metrics": metrics, "probe": probe})


def auc(predicted: Floats, right: Floats) -> float | None:
    """Area under the ROC curve, ``None`` of one class. A share of runs counts as right and wrong in parts."""
    from sklearn.metrics import roc_auc_score

    rows, labels, weights = shares_as_labels(right)
    if labels.min() == labels.max():
        return None
    return float(roc_auc_score(labels, predicted[rows], sample_weight=weights))


def _of_action(predicted: Floats, right: Floats, base_rate: float) -> ActionMetrics:
    known = np.isfinite(right)
    predicted, right = predicted[known], right[known]
    seen = reliability(predicted, right)
    return ActionMetrics(
        questions=len(right),
        base_rate=base_rate,
        right=float(right.mean()),
        auc=auc(predicted, right),
        brier=brier(predicted, right),
        baseline_brier=brier(np.full(len(right), base_rate), right),
        log_loss=log_loss(predicted, right),
        ece=seen.ece(),
        reliability=tuple(
            (float(said), float(came), int(count))
            for said, came, count in zip(seen.predicted, seen.observed, seen.count, strict=True)
        ),
    )


def _of_stage(samples: int, posterior: Floats, prior: Floats, right: Floats) -> StageMetrics:
    known = np.isfinite(right) & np.isfinite(posterior)
    predicted = np.clip(1 / (1 + np.exp(-posterior[known])), 1e-6, 1 - 1e-6)
    return StageMetrics(
        samples=samples,
        questions=int(known.sum()),
        auc=auc(predicted, right[known]),
        brier=brier(predicted, right[known]),
        prior_brier=brier(prior[known], right[known]),
        log_loss=log_loss(predicted, right[known]),
        ece=reliability(predicted, right[known]).ece(),
    )


def _gradus_version() -> str:
    try:
        return version("gradus")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "unknown"
