"""What was predicted of the latest answers, and whose they are: for feedback that comes soon after."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from gateway.caller import Caller
from gateway.replies import Done

MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Prediction:
    """``p_right`` is what a predictor said of this answer; ``None``: none did. ``key_id`` is who asked."""

    key_id: str | None
    p_right: float | None


class Predictions:
    """Of the predictor that this process works with now; the oldest are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Prediction] = OrderedDict()

    def remember(self, caller: Caller, done: Done | None) -> None:
        chosen = None if done is None else done.branch.chosen
        predicted = chosen is not None and chosen.accuracy_source == "predicted"
        key = caller.account.key
        self._known[caller.request_id] = Prediction(
            None if key is None else key.id, chosen.accuracy if chosen and predicted else None
        )
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def of(self, request_id: str) -> Prediction | None:
        return self._known.get(request_id)

    def told(self, request_id: str) -> None:
        """What is said again of an answer is not counted twice."""
        known = self._known.get(request_id)
        if known is not None:
            self._known[request_id] = Prediction(known.key_id, None)
