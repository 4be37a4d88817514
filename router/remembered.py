"""Forecasts that were made before: what a predictor says of a prompt depends on the prompt alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import replace
from hashlib import blake2b
from threading import Lock
from typing import Final

from router.forecast import Forecast, joined
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
    """A predictor with a memory for the ``most`` texts that were asked for last. Thread-safe."""

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
        """As :meth:`router.predictor.predictor.Predictor.forecast`: what is not known, all at once."""
        keys = [_key(text) for text in texts]
        fresh = dict(zip(keys, texts, strict=True))  # a text once
        found: dict[bytes, Forecast] = {}
        with self._lock:
            for key in list(fresh):
                if key in self._known:
                    self._known.move_to_end(key)
                    found[key] = self._known[key]
                    del fresh[key]
            self.hits += len(keys) - len(fresh)
            self.misses += len(fresh)
        if fresh:
            made = self._predictor.forecast([*fresh.values()])
            found.update(self._learnt(fresh, made))
            if len(fresh) == len(keys):  # all were new: a row each, in their order
                return made
        return joined([found[key] for key in keys])

    def _learnt(self, keys: Collection[bytes], made: Forecast) -> dict[bytes, Forecast]:
        """``made`` has a row a key."""
        each = dict(zip(keys, made.apart(), strict=True))
        for one in (made, *each.values()):
            for values in (one.right, one.completion_tokens, one.familiarity):
                values.setflags(write=False)  # others will get the same
        with self._lock:
            self._known.update(each)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return each


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
