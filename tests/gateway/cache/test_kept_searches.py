"""Searches that are kept: once done they are answered over HTTP without a worker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.gateway.cache.over_http import ASKED, ask, kept, streamed_text
from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import Delivery, ScriptedWorker, easy, failing, search
from tests.gateway.upstream import UpstreamDouble


def test_a_search_is_answered_once(http: httpx.Client, worker: ScriptedWorker, redis_url: str) -> None:
    worker.announce("small", "big")
    worker.script = easy
    first = kept(http, redis_url, model="gradus")
    again = ask(http, model="gradus")
    assert again.headers["x-gradus-cache"] == "hit"
    assert again.json()["choices"] == first.json()["choices"]
    assert (again.json()["gradus"]["strategy"], len(worker.jobs)) == (
        first.json()["gradus"]["strategy"],
        1,
    )
    text, _ = streamed_text(ask(http, model="gradus", stream=True))
    assert text == first.json()["choices"][0]["message"]["content"]


def _broken(delivery: Delivery) -> None:
    end = delivery.end
    delivery.end = lambda outcome: end(replace(outcome, broken_off=True))  # type: ignore[method-assign]
    search(delivery)


@pytest.mark.parametrize("script", [_broken, failing("engine_failed", "no memory")])
def test_a_search_that_was_broken_off_is_done_again(
    http: httpx.Client, worker: ScriptedWorker, script: Any
) -> None:
    worker.announce("small", "big")
    worker.script = script
    ask(http, model="gradus")
    worker.script = easy
    assert ask(http, model="gradus").status_code == 200
    assert len(worker.jobs) == 2


def test_who_answered_in_place_of_workers_that_were_not_there_is_not_asked_for_again(
    http: httpx.Client, upstream: UpstreamDouble, redis_url: str
) -> None:
    stopgap = ask(http, model="gradus/remote")
    assert (stopgap.status_code, stopgap.json()["gradus"]["model"]) == (200, "remote")
    with ScriptedWorker(redis_url) as worker:
        worker.announce("small", "big")
        assert ask(http, model="gradus/remote").json()["gradus"]["model"] == "small"


def test_jobs_say_who_shares_candidates_only_where_that_is_configured(
    configure: Configure, start: Start, worker: ScriptedWorker, http: httpx.Client, redis_url: str
) -> None:
    worker.announce("small", "big")
    ask(http, model="gradus", temperature=1)
    url = start(configure(GRADUS__CACHE__CANDIDATES="true"))
    for fields in ({}, {}, {"gradus": {"cache": False}}):
        httpx.post(f"{url}/v1/chat/completions", json={**ASKED, "model": "gradus", **fields}, timeout=30)
    nobody, first, second, none = [job.cache_scope for job in worker.jobs]
    assert (nobody, none) == (None, None)
    assert first == second is not None
