"""A fitted predictor: how likely every action is right, and how long answers are, from the prompt alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from router.errors import ArtifactInvalid
from router.forecast import Forecast
from router.outcome_table import Action
from router.predictor.calibrator import Calibrator
from router.predictor.manifest import Manifest
from router.probing import Probing

Floats = NDArray[np.float64]


class TextModel(Protocol):
    """A fitted estimator, by scikit-learn's conventions: ``predict(texts)`` is [N, K] of raw scores."""

    def predict(self, texts: Sequence[str]) -> Any: ...


class Unseen(Protocol):
    """How strange rows [N, F] are: conformal p-values [N]. See :mod:`router.unseen`."""

    def p_values(self, X: Any) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Lengths:
    """Completion tokens of one answer of a model: exp(raw) * ``scale`` (Duan 1983), kept within the bounds.

    ``columns`` [A] say which of the models' lengths [M] an action has, -1 that nobody measured; all others
    are [M].
    """

    columns: NDArray[np.intp]
    scale: Floats
    least: Floats
    most: Floats

    def __call__(self, raw: Floats) -> Floats:
        """[N, A] from raw scores [N, M]."""
        tokens = np.clip(np.exp(np.minimum(raw, 20.0)) * self.scale, self.least, self.most)
        unknown = np.full((len(raw), 1), np.nan)
        return np.concatenate([tokens, unknown], axis=1)[:, self.columns]


@dataclass(frozen=True, slots=True)
class CalibrationSplit:
    """Questions that nothing was fitted to, and what came of them: here policies are tuned and certified.

    N questions, A actions, S stages of the probe. ``forecast_right``, ``forecast_tokens`` are what the
    predictor says; ``right``, ``cost_usd``, ``after_probe_usd``, ``completion_tokens`` [N, A] what came true,
    NaN where unknown. ``groups`` [N] number the groups that are not to be torn apart. ``posterior`` [N, S]
    (log-odds that one sample of the small model is right) is NaN where there was no probe.
    """

    forecast_right: Floats
    forecast_tokens: Floats
    familiarity: Floats
    right: Floats
    cost_usd: Floats
    after_probe_usd: Floats
    completion_tokens: Floats
    prompt_tokens: Floats
    probe_usd: Floats
    posterior: Floats
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.right)


@dataclass(frozen=True, slots=True)
class EmbeddingPart:
    """What embeddings add to the text model's raw scores: ``embeddings @ weights + intercept`` [N, K]."""

    weights: Floats
    intercept: Floats


@dataclass(frozen=True, slots=True)
class Predictor:
    """``text`` gives A raw scores and M log lengths a prompt; ``calibrators`` make the former P(right)."""

    actions: tuple[Action, ...]
    text: TextModel
    calibrators: tuple[Calibrator, ...]
    lengths: Lengths
    manifest: Manifest
    embedding: EmbeddingPart | None = None
    unseen: Unseen | None = None
    probing: Probing | None = None
    calibration: CalibrationSplit | None = None

    def forecast(self, texts: Sequence[str], embeddings: Floats | None = None) -> Forecast:
        """What to expect of N prompts (as :func:`router.features.conversation.text_of` gives them).

        ``embeddings`` [N, D] are those of the model that the manifest names, if it names one. Raises
        :class:`ArtifactInvalid` where they are missing.
        """
        raw = self.raw(texts, embeddings)
        actions = len(self.actions)
        right = [each(raw[:, column]) for column, each in enumerate(self.calibrators)]
        return Forecast(
            actions=self.actions,
            right=np.stack(right, axis=1),
            completion_tokens=self.lengths(raw[:, actions:]),
            familiarity=self.familiarity(texts),
        )

    def raw(self, texts: Sequence[str], embeddings: Floats | None = None) -> Floats:
        """[N, A + M] uncalibrated."""
        raw = np.asarray(self.text.predict(texts), dtype=np.float64)
        if self.embedding is None:
            return raw
        if embeddings is None:
            raise ArtifactInvalid(
                f"the predictor was fitted with embeddings of {self.manifest.embedding}; configure that "
                "model, or fit without embeddings"
            )
        summed: Floats = raw + embeddings @ self.embedding.weights + self.embedding.intercept
        return summed

    def familiarity(self, texts: Sequence[str]) -> Floats:
        """[N]; NaN where nobody fitted what is familiar."""
        if self.unseen is None:
            return np.full(len(texts), np.nan)
        from router.features.lexical import lexical_features

        return self.unseen.p_values(lexical_features(texts))
