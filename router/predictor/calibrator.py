"""From a model's raw scores to probabilities that come true as often as they say."""

from __future__ import annotations

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
        right: Floats
        if self.knots is not None:  # fitted within the edges
            right = np.interp(raw, self.knots[0], self.knots[1])
        else:
            right = np.minimum(np.maximum(expit(self.intercept + self.slope * raw), EDGE), 1 - EDGE)
        return right
