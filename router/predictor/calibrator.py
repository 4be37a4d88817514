"""From a model's raw scores to probabilities that come true as often as they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

EDGE = 0.002
"""No prompt alone makes an answer surer than this; isotonic regression would say 0 and 1."""


@dataclass(frozen=True, slots=True)
class Calibrator:
    """Of one action: P = expit(``intercept`` + ``slope`` * raw), as Platt 1999 has it.

    With ``knots`` [2, K] (raw scores, rising, and probabilities) by lines between those instead: isotonic
    regression.
    """

    intercept: float
    slope: float
    knots: Floats | None = None

    def __call__(self, raw: Floats) -> Floats:
        """[N] from raw scores [N]."""
        right: Floats = calibrated((self,), raw[:, None])[:, 0]
        return right


def calibrated(calibrators: Sequence[Calibrator], raw: Floats) -> Floats:
    """[N, A] from raw scores [N, A], each action by its own."""
    intercepts, slopes = np.array([(each.intercept, each.slope) for each in calibrators]).T
    right: Floats = np.minimum(np.maximum(expit(intercepts + slopes * raw), EDGE), 1 - EDGE)
    for action, each in enumerate(calibrators):
        if each.knots is not None:  # fitted within the edges
            right[:, action] = np.interp(raw[:, action], each.knots[0], each.knots[1])
    return right
