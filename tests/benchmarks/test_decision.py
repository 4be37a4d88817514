"""The benchmark of decisions runs on what is shipped; what it says of time is not tested."""

from __future__ import annotations

from benchmarks.decision import KINDS, conversation, measure, stages, widened
from router.config import load_config
from router.features.conversation import text_of
from router.market import open_market
from router.types import Query
from router.workloads import ask_of


def test_conversations_are_as_long_as_they_are_called() -> None:
    tokens = [ask_of(Query(conversation(kind, 3)), None).prompt.expected for kind in KINDS]
    assert tokens[0] < 30 < tokens[1] < 200
    assert 1500 < tokens[2] < 3000
    assert 25_000 < tokens[3] < 35_000


def test_no_two_conversations_of_a_kind_are_the_same() -> None:
    assert all(text_of(conversation(kind, 1)) != text_of(conversation(kind, 2)) for kind in KINDS)


def test_every_stage_takes_every_conversation() -> None:
    timed = stages(open_market(widened(load_config(None, {}))), None)
    assert list(timed) == ["decision", "explained", "text"]
    for kind in KINDS:
        for stage in timed.values():
            p50, p99 = measure(stage, [conversation(kind, 1)])
            assert 0 <= p50 <= p99
