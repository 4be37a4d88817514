"""The vocabulary every room shares: frozen values that travel between gateway and workers."""

from __future__ import annotations

from router.types.jobs import Failure, Job, Outcome
from router.types.plans import (
    Alternative,
    Branch,
    Decision,
    Difficulty,
    Evidence,
    Plan,
    ProbeStage,
    Reading,
    Worth,
)
from router.types.queries import (
    Bin,
    FinishReason,
    Query,
    Route,
    Sampling,
    Stopping,
    StoppingRule,
    StrategyName,
    StrategySpec,
    Task,
    TaskKind,
)

__all__ = [
    "Alternative",
    "Bin",
    "Branch",
    "Decision",
    "Difficulty",
    "Evidence",
    "Failure",
    "FinishReason",
    "Job",
    "Outcome",
    "Plan",
    "ProbeStage",
    "Query",
    "Reading",
    "Route",
    "Sampling",
    "Stopping",
    "StoppingRule",
    "StrategyName",
    "StrategySpec",
    "Task",
    "TaskKind",
    "Worth",
]
