"""A database that is slow or away: answers go on, the journal waits on disk and is written afterwards."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from cost_model.budget import picodollars
from tests.e2e.money.configured import price
from tests.e2e.money.gateways import PATIENCE_S, Fleet, ask
from tests.e2e.money.upstream import Upstream
from tests.workers.engines.openai_server import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

ASKED = 30


def test_while_another_process_holds_the_database_answers_go_on_and_the_journal_follows(
    fleet: Fleet, upstream: Upstream
) -> None:
    key = fleet.key(100 * fleet.worst_usd(fleet.key(), "answer"))
    with closing(sqlite3.connect(fleet.folder / "gradus.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for index in range(ASKED):
            assert ask(fleet.gateways[index % 3], key, "answer").status_code == 200
        until(lambda: fleet.held(key) == picodollars(price(upstream.tokens)), PATIENCE_S)
        assert not fleet.entries(key)
        other.execute("ROLLBACK")

    fleet.settles(key, ASKED)
    assert fleet.billed(key) == picodollars(price(upstream.tokens))
