"""What a predictor's folder says of itself: ``manifest.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from router.outcome_table import Action
from router.types import Route, StrategyName

VERSION = 1

_Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Identities:
    """Whose outcomes they are: the verifier's name, and SHA-256 of weights by name, where known.

    ``files`` and ``sha256`` are those of the data, ``embedding`` names the model of the embeddings.
    """

    verifier: str | None = None
    weights: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    sha256: str = ""
    embedding: str | None = None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ActionEntry(_Part):
    name: str
    route: Route
    model: str
    strategy: StrategyName
    samples: Annotated[int, Field(ge=1)]

    def action(self) -> Action:
        return Action(self.name, self.route, self.model, self.strategy, self.samples)


class ActionMetrics(_Part):
    """Of one action on the calibration split.

    ``base_rate`` is how often it was right where the predictor was fitted, ``baseline_brier`` the error of
    saying that of every prompt, ``right`` how often it was right on the split. ``auc`` is ``None`` where that
    is always or never. ``reliability`` has rows of (mean predicted, share right, questions).
    """

    questions: _Count
    base_rate: float
    right: float
    auc: float | None
    brier: float
    baseline_brier: float
    log_loss: float
    ece: float
    reliability: tuple[tuple[float, float, int], ...]


class StageMetrics(_Part):
    """Of the posterior that one sample of the small model is right, after ``samples`` samples of a probe."""

    samples: int
    questions: _Count
    auc: float | None
    brier: float
    prior_brier: float
    log_loss: float
    ece: float


class Data(_Part):
    """``sha256`` is of the files in the order given; all others count.

    ``questions``, those ``fitted`` and those held out for ``calibration``, are those with an outcome; beside
    them there were ``unlabelled`` ones.
    """

    sha256: str
    files: tuple[str, ...]
    questions: _Count
    groups: _Count
    fitted: _Count
    calibration: _Count
    unlabelled: _Count = 0
    seed: int


class Manifest(_Part):
    """``weights`` are SHA-256 by the name of a model or verifier, ``files`` those of the folder's files.

    ``digest`` is of all else that ``manifest.json`` says (:func:`router.predictor.files.digest_of`);
    ``left_out`` says of actions that outcomes had too little of why they are not among ``actions``.
    """

    version: Literal[1]
    created_by: Mapping[str, str]
    data: Data
    method: str
    actions: tuple[ActionEntry, ...]
    left_out: Mapping[str, str] = {}
    small: str | None
    verifier: str | None
    weights: Mapping[str, str] = {}
    embedding: str | None = None
    evidence_features: tuple[str, ...]
    metrics: Mapping[str, ActionMetrics]
    probe: tuple[StageMetrics, ...] = ()
    files: Mapping[str, str] = {}
    digest: str = ""
