"""A predictor's numbers by name, as ``arrays.safetensors`` has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from router.predictor.calibrator import Calibrator
from router.predictor.manifest import Manifest
from router.predictor.predictor import (
    CalibrationSplit,
    EmbeddingPart,
    Features,
    Lengths,
    Predictor,
    TextModel,
)
from router.probing import Probing, StageModel
from router.unseen import Unseen

Arrays = dict[str, NDArray[Any]]

T = TypeVar("T", Lengths, CalibrationSplit, EmbeddingPart)


def to_arrays(predictor: Predictor) -> Arrays:
    """All but the estimators and the manifest."""
    arrays: Arrays = {
        "calibrators.platt": np.array([[each.intercept, each.slope] for each in predictor.calibrators])
    }
    for action, calibrator in enumerate(predictor.calibrators):
        if calibrator.knots is not None:
            arrays[f"calibrators.knots.{action}"] = calibrator.knots
    for name in ("lengths", "embedding", "calibration"):
        part = getattr(predictor, name)
        if part is not None:
            arrays |= {f"{name}.{each.name}": getattr(part, each.name) for each in fields(part)}
    if predictor.unseen is not None:
        arrays |= {f"unseen.{name}": array for name, array in predictor.unseen.arrays().items()}
    for number, stage in enumerate(predictor.probing.stages if predictor.probing else ()):
        for each in fields(stage):
            arrays[f"probing.{number}.{each.name}"] = np.asarray(getattr(stage, each.name))
    if predictor.fitted_to is not None:
        arrays["fitted_to"] = predictor.fitted_to
    return {name: np.array(array, order="C") for name, array in arrays.items()}


def from_arrays(
    arrays: Mapping[str, NDArray[Any]], manifest: Manifest, text: TextModel, features: Features
) -> Predictor:
    """The inverse of :func:`to_arrays`. Raises :class:`KeyError` for an array that is missing."""
    platt = arrays["calibrators.platt"]
    unseen = _under(arrays, "unseen")
    return Predictor(
        actions=tuple(each.action() for each in manifest.actions),
        text=text,
        features=features,
        calibrators=tuple(
            Calibrator(float(intercept), float(slope), arrays.get(f"calibrators.knots.{action}"))
            for action, (intercept, slope) in enumerate(platt)
        ),
        lengths=Lengths(**_under(arrays, "lengths")),
        manifest=manifest,
        embedding=_part(arrays, "embedding", EmbeddingPart),
        unseen=Unseen.from_arrays(unseen) if unseen else None,
        probing=_probing(arrays),
        calibration=_part(arrays, "calibration", CalibrationSplit),
        fitted_to=arrays.get("fitted_to"),
    )


def _part(arrays: Mapping[str, NDArray[Any]], name: str, shape: type[T]) -> T | None:
    found = _under(arrays, name)
    return shape(**found) if found else None


def _probing(arrays: Mapping[str, NDArray[Any]]) -> Probing | None:
    stages: list[StageModel] = []
    while found := _under(arrays, f"probing.{len(stages)}"):
        scalars = {name: array.item() for name, array in found.items() if not array.ndim}
        stages.append(StageModel(**{**found, **scalars}))
    return Probing(tuple(stages)) if stages else None


def _under(arrays: Mapping[str, NDArray[Any]], name: str) -> Arrays:
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
