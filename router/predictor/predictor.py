"""A fitted predictor: how likely every action is right, and how long answers are, from the prompt alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from router.errors import ArtifactInvalid
from router.features.rows import TextRows
from router.forecast import Forecast
from router.outcome_table import Action
from router.predictor.calibrator import Calibrator, calibrated
from router.predictor.manifest import Manifest
from router.probing import Probing
from router.unseen import Unseen

Floats = NDArray[np.float64]


Embed = Callable[[Sequence[str]], NDArray[Any]]
"""From N texts to their embeddings [N, D]."""


class TextModel(Protocol):
    """A fitted estimator, by scikit-learn's conventions: ``predict(texts)`` is [N, K] of raw scores."""

    def predict(self, texts: Sequence[str]) -> Any: ...


class Features(Protocol):
    """:class:`router.features.text.TextFeatures`, fitted."""

    def transform(self, texts: Sequence[str]) -> TextRows: ...


class RowModel(TextModel, Protocol):
    """A text model that takes the rows that its ``features_`` made of the texts: they are made once."""

    features_: Features

    def predict_rows(self, rows: TextRows, texts: Sequence[str]) -> Any: ...


def _reads_rows(text: TextModel, features: Features) -> TypeGuard[RowModel]:
    return hasattr(text, "predict_rows") and getattr(text, "features_", None) is features


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
        tokens = np.exp(np.minimum(raw, 20.0)) * self.scale
        tokens = np.minimum(np.maximum(tokens, self.least), self.most)
        unknown = np.full((len(raw), 1), np.nan)
        return np.concatenate([tokens, unknown], axis=1).take(self.columns, axis=1)


@dataclass(frozen=True, slots=True)
class CalibrationSplit:
    """Questions that nothing was fitted to, and what came of them: here policies are tuned and certified.

    N questions, A actions, S stages of the probe. ``forecast_right``, ``forecast_tokens`` are what the
    predictor says; ``right``, ``cost_usd``, ``after_probe_usd``, ``completion_tokens`` [N, A] what came true,
    NaN where unknown. ``groups`` [N] number the groups that are not to be torn apart. ``posterior`` [N, S]
    (log-odds that one sample of the small model is right), ``mean_score`` [N, S] (of the verifier, over the
    samples so far) and ``seen_right`` [N, S, A] (P(right) of the actions, by all that was seen) are NaN where
    there was no probe.
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
    mean_score: Floats
    seen_right: Floats
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
    """``text`` gives A raw scores and M log lengths a prompt; ``calibrators`` make the former P(right).

    ``embed`` gives the embeddings [N, D] of the model that the manifest names; it is not in the folder.
    ``fitted_to`` are fingerprints of the prompts (:func:`router.predictor.identity.fingerprints`), ``None``
    of one that kept none.
    """

    actions: tuple[Action, ...]
    text: TextModel
    features: Features
    calibrators: tuple[Calibrator, ...]
    lengths: Lengths
    manifest: Manifest
    embedding: EmbeddingPart | None = None
    unseen: Unseen | None = None
    probing: Probing | None = None
    calibration: CalibrationSplit | None = None
    embed: Embed | None = None
    fitted_to: NDArray[np.uint64] | None = None

    def forecast(self, texts: Sequence[str]) -> Forecast:
        """What to expect of N prompts (as :func:`router.features.conversation.text_of` gives them), N >= 1.

        Raises :class:`ArtifactInvalid` for a predictor that was fitted with embeddings and has no ``embed``.
        """
        rows = self.features.transform(texts)
        raw = self._raw(texts, rows)
        actions = len(self.actions)
        return Forecast(
            actions=self.actions,
            right=calibrated(self.calibrators, raw[:, :actions]),
            completion_tokens=self.lengths(raw[:, actions:]),
            familiarity=np.full(len(texts), np.nan) if self.unseen is None else self.unseen.p_values(rows),
        )

    def _raw(self, texts: Sequence[str], rows: TextRows) -> Floats:
        """[N, A + M] uncalibrated."""
        text = self.text
        if _reads_rows(text, self.features):
            raw = np.asarray(text.predict_rows(rows, texts), dtype=np.float64)
        else:
            raw = np.asarray(text.predict(texts), dtype=np.float64)
        if self.embedding is None:
            return raw
        if self.embed is None:
            raise ArtifactInvalid(
                f"the predictor was fitted with embeddings of {self.manifest.embedding}; configure that "
                "model, or fit without embeddings"
            )
        summed: Floats = raw + self.embed(texts) @ self.embedding.weights + self.embedding.intercept
        return summed
