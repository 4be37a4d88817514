"""A class that no predictor needs, at module level, as skops wants it."""

from __future__ import annotations


class Stranger:
    def __init__(self) -> None:
        self.loaded = True
