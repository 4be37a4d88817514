"""Events are the same however the bytes were cut on their way."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstreams import sse
from gateway.upstreams.sse import Events, EventTooLong

TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=6)


@given(texts=TEXTS, cuts=st.lists(st.integers(0, 400)), newline=st.sampled_from([b"\n", b"\r\n"]))
def test_every_cut_gives_the_same_events(texts: list[str], cuts: list[int], newline: bytes) -> None:
    sent = [json.dumps(text, ensure_ascii=False).encode() for text in texts]
    stream = b"".join(b": ping" + 2 * newline + b"data: " + data + 2 * newline for data in sent)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    events = Events()

    found = [event for a, b in pairwise(places) for event in events.feed(stream[a:b])]

    assert [data for _, data in [*found, *events.end()]] == sent
    assert [raw for raw, _ in found] == [b"data: " + data + b"\n\n" for data in sent]


def test_other_fields_of_an_event_stay_with_it() -> None:
    raw = b'event: response.created\nid: 4\ndata: {"a":\ndata: 1}\n\n'
    assert Events().feed(raw) == [(raw, b'{"a":\n1}')]


def test_a_byte_order_mark_before_the_first_event_hides_nothing_of_it() -> None:
    events = Events()
    found = [
        event for part in (b"\xef", b"\xbb\xbfdata: 1\n", b"\ndata: 2\n\n") for event in events.feed(part)
    ]
    assert found == [(b"data: 1\n\n", b"1"), (b"data: 2\n\n", b"2")]


def test_the_last_event_may_lack_its_end() -> None:
    events = Events()
    assert events.feed(b"data: 1\n\ndata: 2") == [(b"data: 1\n\n", b"1")]
    assert [data for _, data in events.end()] == [b"2"]


def test_an_event_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    with pytest.raises(EventTooLong):
        Events().feed(b"data: " + 100 * b"x")
