"""Thousands of damaged requests: each is answered or refused by name; none breaks, hangs, or costs unseen.

GRADUS_FUZZ=10000 says how many; the default is what a test run can wait for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import Counter
from decimal import Decimal

import httpx
import pytest
import redis
from sqlalchemy import select

from cost_model.budget import usd
from gateway.store.models import EntryRow, LineRow
from tests.gateway.doubles import until
from tests.gateway.ledger.servers import held, running
from tests.gateway.safety.conftest import Guarded
from tests.gateway.safety.damage import Sent, damaged

pytestmark = pytest.mark.timeout(1800)

REQUESTS = int(os.environ.get("GRADUS_FUZZ", "500"))
AT_ONCE = 8
PATIENCE_S = 60.0
SERVER_ERROR = 500
# Of the upstream's answers, which say their tokens: 10 and 20 USD a million.
PRICES = {
    "chat/completions": Decimal("0.00025"),
    "completions": Decimal("0.00011"),
    "responses": Decimal("0.00011"),
    "embeddings": Decimal("0.00008"),
}


def test_damaged_requests_break_nothing_and_every_cent_is_on_the_books(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(7)
    known_id = first_answer(guarded)
    requests = [damaged(rng, known_id) for _ in range(REQUESTS)]
    guarded.upstream.asked.clear()
    guarded.worker.jobs.clear()
    before = booked(guarded)
    statuses: Counter[tuple[str, int]] = Counter()
    bad: list[tuple[Sent, int, str]] = []
    answered = 0

    async def ask(http: httpx.AsyncClient, sent: Sent) -> None:
        nonlocal answered
        headers = guarded.headers(admin=sent.admin)
        answer = await http.request(sent.method, f"/v1/{sent.path}", content=sent.body, headers=headers)
        statuses[sent.path.partition("?")[0], answer.status_code] += 1
        answered += sent.spends and answer.is_success
        if not is_named(answer):
            bad.append((sent, answer.status_code, answer.text[-300:]))

    async def run() -> None:
        async with httpx.AsyncClient(base_url=guarded.url, timeout=PATIENCE_S) as http:
            for start in range(0, REQUESTS, AT_ONCE):
                await asyncio.gather(*(ask(http, each) for each in requests[start : start + AT_ONCE]))

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())

    print(sorted(statuses.items()))
    assert bad == []
    assert statuses.total() == REQUESTS
    assert [line.getMessage() for line in caplog.records if line.levelno >= logging.ERROR] == []
    asked = guarded.upstream.asked
    assert len(asked) + len(guarded.worker.jobs) == answered
    assert answered > REQUESTS / 8, "most were refused early, and tried nothing"

    until(lambda: guarded.app.state.gateway.ledger.numbers().open == 0)
    until(lambda: booked(guarded)[0] == before[0] + answered)
    _, of_upstream, total = booked(guarded)
    assert of_upstream - before[1] == sum((PRICES[each] for each in asked), Decimal(0))
    with redis.Redis.from_url(guarded.settings.config.server.redis_url) as client:
        scope = f"key:{guarded.key_id}"
        until(lambda: running(client).get(scope, 0) == 0)
        assert usd(held(client)[scope]) == total


def first_answer(guarded: Guarded) -> str:
    """Its id; by then it is on the books, and so is what other tests asked."""
    before = booked(guarded)[0]
    body = {"model": "remote", "messages": [{"role": "user", "content": "hello"}]}
    answer = httpx.post(f"{guarded.url}/v1/chat/completions", json=body, headers=guarded.headers())
    until(lambda: booked(guarded)[0] > before and guarded.app.state.gateway.ledger.numbers().unjournaled == 0)
    return str(answer.json()["id"])


def is_named(answer: httpx.Response) -> bool:
    """Whether it is an answer, or an error in OpenAI's shape; of a stream, its last words too."""
    if answer.status_code >= SERVER_ERROR:
        return False
    if answer.is_success:
        return '"code":"internal_error"' not in answer.text
    error = answer.json()["error"]
    said = (error["message"], error["type"], error["code"], error["request_id"])
    return all(isinstance(each, str) for each in said) and "param" in error


def booked(guarded: Guarded) -> tuple[int, Decimal, Decimal]:
    """Of the key: how many entries, what the upstream's lines come to, and what all is billed."""
    with guarded.database.read() as session:
        entries = list(session.scalars(select(EntryRow).where(EntryRow.key_id == guarded.key_id)))
        lines = list(session.scalars(select(LineRow).where(LineRow.model.in_(("remote", "embedder")))))
    return (
        len(entries),
        sum((each.billed_usd for each in lines), Decimal(0)),
        sum((each.billed_usd for each in entries), Decimal(0)),
    )
