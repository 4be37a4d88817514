"""What a configuration may say. docs/configuration.md describes every field; keep the two in step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from router.config.cache import Cache
from router.config.database import DatabaseUrl
from router.config.fields import Count, Name, Real, RedisUrl, Section
from router.config.limits import Limits
from router.config.models import Model
from router.config.policies import Policy
from router.config.telemetry import Records, Telemetry
from router.config.verifiers import EnsembleVerifier, SingleVerifier, Verifier
from router.strategy import Judging


class Server(Section):
    host: Name = "127.0.0.1"
    port: int = Field(default=8080, strict=True, ge=1, le=65535)
    max_body_bytes: Count = 1_000_000
    read_timeout_s: Real = Field(default=30, gt=0)
    max_queued_jobs: Count = 100
    max_concurrent_requests: Count = 1000
    shutdown_grace_s: Real = Field(default=30, ge=0)
    redis_url: RedisUrl = "redis://127.0.0.1:6379/0"
    auth: Literal["none", "keys"] = "none"


class Config(Section):
    """A whole configuration, valid in itself: every name that it mentions exists."""

    models: Mapping[str, Model] = Field(min_length=1)
    verifiers: Mapping[str, Verifier] = Field(min_length=1)
    policies: Mapping[str, Policy] = Field(min_length=1)
    calibration: Name | None = None
    embedding: Name | None = None
    predictor: Name | None = None
    strategies: Name | None = None
    records: Records | None = None
    server: Server = Server()
    cache: Cache = Cache()
    database: DatabaseUrl | None = None
    limits: Limits = Limits()
    telemetry: Telemetry = Telemetry()

    def of_workers(self) -> list[str]:
        """Models that workers run, or search on, by name."""
        searched = {policy.small for policy in self.policies.values()}
        in_process = {name for name, model in self.models.items() if model.engine == "transformers"}
        return sorted(searched | in_process)

    def members(self, verifier: str) -> dict[str, SingleVerifier]:
        """Those whose scores an ensemble weighs; of any other verifier, itself."""
        one = self.verifiers[verifier]
        if not isinstance(one, EnsembleVerifier):
            return {verifier: one}
        return {member: each for name in one.weights for member, each in self.members(name).items()}

    def judging(self, verifier: str) -> Judging:
        """What it can judge; an ensemble, what all of its members can."""
        members = self.members(verifier).values()
        if all(each.scores_steps for each in members):
            return "steps"
        return "votes" if all(each.kind == "majority" for each in members) else "turns"

    def compares_turns(self, verifier: str) -> bool:
        """Whether its scores are relative to the other turns that it judges with them."""
        return any(
            each.kind == "majority" or (each.kind == "judge" and each.mode == "pairwise")
            for each in self.members(verifier).values()
        )
