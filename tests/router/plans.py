"""Plans of the example, for the tests of policies."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from router.config import Config
from router.market import Market, open_market
from router.policy import plan
from router.types import Plan
from tests.router.examples import calibration, config, market, query

WORTH = "GRADUS__POLICIES__DEFAULT__USD_PER_RIGHT_ANSWER"
CAP = "GRADUS__POLICIES__DEFAULT__MAX_COST_USD"


@cache
def example() -> Config:
    """The example configuration, for tests that make hundreds of plans."""
    with TemporaryDirectory() as folder:
        return config(Path(folder))


@cache
def example_market() -> Market:
    return open_market(example())


def example_with(**changes: Any) -> Config:
    policies = example().policies
    default = policies["default"].model_copy(update=changes)
    return example().model_copy(update={"policies": {**policies, "default": default}})


def routes_of(decided: Plan) -> list[str]:
    return [branch.chosen.route for branch in decided.branches]


def planned(folder: Path, policy: str = "default", env: dict[str, str] | None = None, **asked: Any) -> Plan:
    return plan(query(**asked), policy, market(folder, env, calibration=calibration()))
