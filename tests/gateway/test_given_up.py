"""A job that was given up may still be heard of: what was reserved is for it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import running
from gateway.errors import JobFailed
from router.policy import direct_plan
from tests.router.examples import market, query


def test_under_a_cap_nobody_answers_instead_of_a_job_that_is_still_to_be_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced = market(tmp_path)
    second = direct_plan(query(), "big", priced)
    monkeypatch.setattr(running, "plan_after", lambda *_: second)
    nobody: Any = None
    run: Any = SimpleNamespace(
        planned=SimpleNamespace(policy="default", settled=False, query=query()),
        plan=second,
        bill=SimpleNamespace(lines=()),
        given_up=[object()],
        caller=SimpleNamespace(account=SimpleNamespace(caps_money=True)),
        most_usd=Decimal(1000),
    )
    with pytest.raises(JobFailed, match="it gave up"):
        asyncio.run(running.Runner(priced, nobody, nobody)._fall_back(run, JobFailed("it gave up", code="x")))
