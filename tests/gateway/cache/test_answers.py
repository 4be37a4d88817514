"""Answers in a real Redis: what is looked up, what is kept, and who shares it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.accounts import Account
from gateway.cache.answers import AnswerCache
from gateway.errors import BadRequest, GatewayError, NotCached
from tests.gateway.cache.asking import (
    BODY,
    account,
    ask,
    reply,
    run,
    settled,
    soon,
    ticket,
    twice,
)


def test_the_second_of_two_equal_requests_is_answered_by_the_first(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        assert await ask(cache, ticket(cache), "7") == ("miss", "7")
        await settled(cache)
        with await cache.visit(ticket(cache), soon()) as visit:
            assert visit.entry is not None
            assert visit.entry.text == "7"
            assert visit.headers == {"x-gradus-cache": "hit", "age": "0"}
        counted = cache.counters
        assert (counted.hits, counted.misses, counted.kept, counted.lost) == (1, 1, 1, 0)
        assert counted.bytes_kept == counted.bytes_read > 0

    run(redis_url, test)


def test_a_request_that_wants_no_certain_answer_is_passed_by(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        warm = {**BODY, "temperature": 0.7}
        assert await twice(cache, ticket(cache, warm)) == ("bypass", "8")
        wanted = ticket(cache, warm, options={"cache": True})
        assert await twice(cache, wanted) == ("hit", "7")
        assert cache.counters.bypasses == 2

    run(redis_url, test)


def test_all_means_all_but_who_does_not_want_it(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        warm = {**BODY, "temperature": 0.7}
        assert await twice(cache, ticket(cache, warm)) == ("hit", "7")
        assert await ask(cache, ticket(cache, warm, options={"cache": False}), "9") == ("bypass", "9")
        live = {**BODY, "web_search_options": {}}
        assert await twice(cache, ticket(cache, live)) == ("bypass", "8")

    run(redis_url, test, mode="all")


def test_where_there_is_no_cache_who_asks_for_it_is_told(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        assert ticket(cache).key == ""
        with pytest.raises(BadRequest, match=r"configure cache\.mode") as caught:
            ticket(cache, options={"cache": True})
        assert caught.value.param == "gradus.cache"

    run(redis_url, test, mode="off")


def test_tenants_share_nothing_and_those_of_one_team_share_if_it_says_so(redis_url: str) -> None:
    ada, bob = account("ada", "t"), account("bob", "t")

    async def apart(cache: AnswerCache) -> None:
        assert await twice(cache, ticket(cache, who=ada), ticket(cache, who=bob)) == ("miss", "8")

    async def together(cache: AnswerCache) -> None:
        assert await twice(cache, ticket(cache, who=ada), ticket(cache, who=bob)) == ("hit", "7")
        stranger = account("eve", "u")
        assert await ask(cache, ticket(cache, who=stranger), "9") == ("miss", "9")

    run(redis_url, apart)
    run(redis_url, together, scope="team")


@pytest.mark.parametrize(
    ("text", "answer"),
    [("7", {"finish_reason": "length"}), ("", {}), ("7", {"confidence": 0.2})],
)
def test_what_is_no_whole_answer_is_not_kept(redis_url: str, text: str, answer: dict[str, Any]) -> None:
    async def test(cache: AnswerCache) -> None:
        assert await ask(cache, ticket(cache), text, **answer) == ("miss", text)
        await settled(cache)
        assert await ask(cache, ticket(cache), "8") == ("miss", "8")
        assert cache.counters.refused == 1

    run(redis_url, test)


def test_an_error_is_not_kept(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        async def broken() -> None:
            with await cache.visit(ticket(cache), soon()) as visit:
                visit.keep(reply())
                raise GatewayError("it broke after all")

        with pytest.raises(GatewayError):
            await broken()
        await settled(cache)
        assert await ask(cache, ticket(cache), "8") == ("miss", "8")

    run(redis_url, test)


def test_the_cache_control_of_a_request_is_honoured(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        assert await ask(cache, ticket(cache, header="no-store"), "6") == ("bypass", "6")
        with pytest.raises(NotCached):
            await ask(cache, ticket(cache, header="only-if-cached"))
        await twice(cache, ticket(cache))
        undecided = {**BODY, "temperature": 1}
        for body, header in ((undecided, ""), (BODY, "no-store"), (BODY, "no-cache"), (BODY, "max-age=0")):
            with pytest.raises(NotCached):  # whatever the cache cannot give, nobody else is asked for
                await ask(cache, ticket(cache, body, header=f"{header},only-if-cached"))
        assert await ask(cache, ticket(cache, header="only-if-cached")) == ("hit", "7")
        assert await ask(cache, ticket(cache, header="max-age=60")) == ("hit", "7")
        assert await ask(cache, ticket(cache, header="no-cache"), "9") == ("miss", "9")
        await settled(cache)
        assert await ask(cache, ticket(cache)) == ("hit", "9")  # the new one took its place

    run(redis_url, test)


def test_an_answer_that_is_too_old_for_one_is_answered_anew(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(cache: AnswerCache) -> None:
        await ask(cache, ticket(cache), "7")
        await settled(cache)
        now_s = time.time()
        monkeypatch.setattr("gateway.cache.answers.time.time", lambda: now_s + 100)
        with await cache.visit(ticket(cache), soon()) as visit:
            assert visit.headers["age"] == "100"
        assert await ask(cache, ticket(cache, header="max-age=60"), "8") == ("miss", "8")
        await settled(cache)
        assert await ask(cache, ticket(cache, header="max-age=60")) == ("hit", "8")

    run(redis_url, test)


def test_candidates_are_shared_only_where_that_is_configured(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        of = ticket(cache, who=Account(None))
        with await cache.visit(of, soon()) as visit:
            assert await cache.candidate_scope(of, visit) is None

    run(redis_url, test)
