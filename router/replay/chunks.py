"""Some recorded questions, with what several policies want to know of them worked out once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from router.features.evidence import FEATURES, Prefixes
from router.forecast import Forecast
from router.outcome_table import Action, OutcomeTable
from router.outcomes import LARGE, SMALL
from router.predicted import Forecaster
from router.prompts import prompt_size
from router.prospects import Way
from router.types import Query

Floats = NDArray[np.float64]


class Chunk:
    """N questions. ``prompt_tokens`` [N] are guessed from the text where nobody counted them."""

    def __init__(self, table: OutcomeTable) -> None:
        self.table = table
        self.prompt_tokens = _prompt_tokens(table)
        self._sizes = np.array([0 if seen is None else len(seen.answers) for seen in table.evidence])
        self._probes: Prefixes | None = None
        self._forecasts: dict[str, Forecast] = {}
        self._features: dict[int, Floats] = {}

    def __len__(self) -> int:
        return len(self.table)

    def query(self, row: int) -> Query:
        """As far as its text tells."""
        return query_of(self.table.prompts[row])

    def forecast(self, name: str, predictor: Forecaster) -> Forecast:
        """By the predictor of that name; a prompt that comes again is read once."""
        if name not in self._forecasts:
            places: dict[str, int] = {}
            place = [places.setdefault(prompt, len(places)) for prompt in self.table.prompts]
            found = predictor.forecast(list(places))
            self._forecasts[name] = found.of(np.array(place))
        return self._forecasts[name]

    def features(self, samples: int) -> Floats:
        """[N, F] of the first samples of each probe; NaN where there are not so many."""
        if samples not in self._features:
            probed = self._sizes > 0
            found = np.full((len(self), len(FEATURES)), np.nan)
            if probed.any():
                seen = [each for each in self.table.evidence if each is not None and each.answers]
                self._probes = self._probes or Prefixes(seen)
                found[probed] = self._probes.features(samples)
            self._features[samples] = found
        return self._features[samples]

    def probe_samples(self) -> Floats:
        """[N] how many samples the probe took; NaN without one."""
        return np.where(self._sizes > 0, self._sizes, np.nan)

    def columns(self, ways: Sequence[Way]) -> list[int]:
        """Where the outcomes of each way stand; -1 where nobody recorded any."""
        return [_column(self.table.actions, way) for way in ways]


def query_of(text: str) -> Query:
    return Query(({"role": "user", "content": text},))


def _prompt_tokens(table: OutcomeTable) -> Floats:
    found = table.prompt_tokens.copy()
    for row in np.flatnonzero(np.isnan(found)):
        found[row] = prompt_size(query_of(table.prompts[row])).expected
    return found


def _column(actions: Sequence[Action], way: Way) -> int:
    """Of the action that is the way. Where outcomes name no model, the policy's is meant."""
    for column, action in enumerate(actions):
        if action.route != way.route:
            continue
        if way.route == "large":
            if action.model == way.model or action.model == LARGE:
                return column
        elif action.model in (SMALL, way.model) and _does(action) == (way.spec.name, way.spec.samples):
            return column
    return -1


def _does(action: Action) -> tuple[str, int]:
    return action.strategy, action.samples
