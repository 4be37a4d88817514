"""How often the cache helped. Plain numbers, counted by one event loop, read by whoever shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cost_model.usage import Usage

Status = Literal["hit", "shared", "miss", "bypass"]
"""``shared``: waited for an equal request that ran already. ``bypass``: nothing was looked up or is kept."""


@dataclass(slots=True)
class Counters:
    """Since the process started. ``refused`` answers were not to be kept (:mod:`gateway.cache.entries`),
    ``lost`` ones too large, or Redis did not take them. ``redis_failures`` count as bypasses too."""

    hits: int = 0
    shared: int = 0
    misses: int = 0
    bypasses: int = 0
    kept: int = 0
    refused: int = 0
    lost: int = 0
    bytes_kept: int = 0
    bytes_read: int = 0
    redis_failures: int = 0
    candidates_reused: int = 0

    def reused(self, lines: Iterable[Usage]) -> None:
        """Note the candidates of earlier requests among what a search was paid for."""
        self.candidates_reused += sum(line.calls for line in lines if line.purpose == "cache")

    def saw(self, status: Status) -> None:
        self.hits += status == "hit"
        self.shared += status == "shared"
        self.misses += status == "miss"
        self.bypasses += status == "bypass"

    def put(self, size: int, *, kept: bool) -> None:
        self.kept += kept
        self.lost += not kept
        self.bytes_kept += size if kept else 0
