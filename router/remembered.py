"""Forecasts that were made before: what a predictor says of a prompt depends on the prompt alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from threading import Lock
from typing import Final

from router.forecast import Forecast
from router.market import Market
from router.outcome_table import Action
from router.predicted import Forecaster
from router.predictor.predictor import CalibrationSplit
from router.probing import Probing

MOST: Final = 4096
"""Forecasts that are remembered: about 1 kB each."""


def remembering(market: Market) -> Market:
    """The same market, for a gateway: its predictor makes each forecast once."""
    if market.predictor is None:
        return market
    predictor = Remembered(market.predictor)
    guides = {name: replace(guide, predictor=predictor) for name, guide in market.guides.items()}
    return replace(market, predictor=predictor, guides=guides)


class Remembered:
    """A predictor with a memory for the ``most`` texts that were asked for last, each alone. Thread-safe.

    Several texts at once are an evaluation's: they pass by.
    """

    def __init__(self, predictor: Forecaster, most: int = MOST) -> None:
        self._predictor = predictor
        self._most = most
        self._known: OrderedDict[bytes, Forecast] = OrderedDict()
        self._lock = Lock()
        self.hits = self.misses = 0

    @property
    def actions(self) -> tuple[Action, ...]:
        return self._predictor.actions

    @property
    def probing(self) -> Probing | None:
        return self._predictor.probing

    @property
    def calibration(self) -> CalibrationSplit | None:
        return self._predictor.calibration

    def forecast(self, texts: Sequence[str]) -> Forecast:
        """As :meth:`router.predictor.predictor.Predictor.forecast`."""
        if len(texts) != 1:
            return self._predictor.forecast(texts)
        key = _key(texts[0])
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                self.hits += 1
                return found
            self.misses += 1
        made = self._predictor.forecast(texts)
        self._remember([key], made)
        return made

    def knows(self, text: str) -> bool:
        with self._lock:
            return _key(text) in self._known

    def learn(self, texts: Sequence[str]) -> None:
        """Forecast all of them at once, each to be had alone from then on."""
        fresh = list(dict.fromkeys(texts))
        with self._lock:
            self.misses += len(fresh)
        self._remember([_key(text) for text in fresh], self._predictor.forecast(fresh))

    def _remember(self, keys: Sequence[bytes], made: Forecast) -> None:
        """``made`` has a row a key."""
        for values in (made.right, made.completion_tokens, made.familiarity):
            values.setflags(write=False)  # others will get the same
        with self._lock:
            for row, key in enumerate(keys):
                self._known[key] = made if len(keys) == 1 else made.of(row)
                if len(self._known) > self._most:
                    self._known.popitem(last=False)


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
