"""Versioned files that training and measuring leave behind: here the calibration.

``calibration.json`` holds what was measured on the calibration split, by difficulty bin::

    {"version": 1,
     "small": "abacus-small", "verifier": "abacus-prm", "large": "abacus-large",
     "temperature": 0.8, "probe_samples": 16, "search_samples": 16, "questions": 1000,
     "bins": {"easy": {"questions": 400,
                       "small_right": 0.97, "large_right": 0.99,
                       "small_completion_tokens": 61.2, "large_completion_tokens": 60.8},
              "medium": {...}, "hard": {...}, "very_hard": {...}}}

A question's bin is that of its mean probe score (:func:`router.probe.bin_of`). ``small_right`` is the share
that the small model's *search* gets right with ``search_samples`` (by the strategy of :mod:`router.strategy`
for the bin, or by weighted best-of-N in its place where that was not run); ``large_right`` that of one direct
answer of the large model. Completion tokens are means of one completion. What is about the large model may be
``null``; a bin without questions may be left out, or say ``{"questions": 0}``. ``"models": {NAME: SHA-256 of
its model.safetensors}`` may say which weights were measured. Unknown keys are allowed: they are notes for
people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from router.errors import ArtifactInvalid
from router.types import Bin

EMBEDDED = "embedded:"

M = TypeVar("M", bound=BaseModel)

_Share = Annotated[float, Field(ge=0, le=1)]
_Mean = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class MeasuredBin(BaseModel):
    model_config = ConfigDict(frozen=True)
    questions: Annotated[int, Field(ge=1)]
    small_right: _Share
    small_completion_tokens: _Mean
    large_right: _Share | None = None
    large_completion_tokens: _Mean | None = None


def _without_empty(bins: object) -> object:
    if not isinstance(bins, dict):
        return bins
    return {name: each for name, each in bins.items() if not _is_empty(each)}


def _is_empty(measured_bin: object) -> bool:
    return isinstance(measured_bin, dict) and measured_bin.get("questions") == 0


class Calibration(BaseModel):
    model_config = ConfigDict(frozen=True)
    version: Literal[1]
    small: str
    verifier: str
    large: str | None = None
    temperature: float
    probe_samples: Annotated[int, Field(ge=1)]
    search_samples: Annotated[int, Field(ge=1)]
    questions: Annotated[int, Field(ge=1)]
    bins: Annotated[Mapping[Bin, MeasuredBin], BeforeValidator(_without_empty)]
    models: Mapping[str, str] = {}


def load_calibration(reference: str | None) -> Calibration | None:
    """Read a calibration: a file's path, or ``embedded:<file>`` for one that comes with the embedded models.

    ``None`` where nothing is configured, or the file does not exist (yet): accuracies are then assumed.
    Raises :class:`router.errors.ArtifactInvalid` for a file that is there and wrong.
    """
    if reference is None:
        return None
    try:
        return read_artifact(reference, Calibration, "calibration", "gradus train abacus report")
    except FileNotFoundError:
        return None


def missing_calibration(reference: str | None, loaded: Calibration | None) -> str | None:
    """What to tell the operator of a calibration that is configured, but not there (yet)."""
    if reference is None or loaded is not None:
        return None
    return (
        f"calibration: {reference}: no such file, so how often models are right is assumed; measure it with "
        "`gradus train abacus report`, or leave calibration out"
    )


def read_artifact(reference: str, shape: type[M], what: str, command: str) -> M:
    """A file of version 1 of its ``shape``; ``command`` writes it anew.

    Raises :class:`FileNotFoundError`, or :class:`router.errors.ArtifactInvalid` for a file that is wrong.
    """
    try:
        raw = json.loads(artifact_path(reference).read_text("utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ArtifactInvalid(f"{reference}: {what} cannot be read: {error}") from error
    version = raw.get("version") if isinstance(raw, dict) else None
    if version != 1:
        raise ArtifactInvalid(
            f"{reference}: {what} of version {version!r}, but this release reads version 1; measure it again "
            f"with `{command}`"
        )
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactInvalid(f"{reference}: {what}: {where}: {first['msg']}") from error


def weights_sha256(reference: str) -> str | None:
    """Of the weights of an embedded model (``embedded:<folder>``); ``None`` for any other, or without any."""
    if not reference.startswith(EMBEDDED):
        return None
    try:
        return sha256((artifact_path(reference) / "model.safetensors").read_bytes()).hexdigest()
    except OSError:
        return None


def files_sha256(files: Sequence[Path]) -> str:
    """Of their bytes, one behind the other."""
    digest = sha256()
    for file in files:
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def artifact_path(reference: str) -> Traversable:
    """A file or folder by its path, or ``embedded:<name>`` of what comes with the embedded models."""
    # A resource of the package by its name, not an import: the router knows of no worker.
    if reference.startswith(EMBEDDED):
        return resources.files("workers") / "models" / reference.removeprefix(EMBEDDED)
    return Path(reference)
