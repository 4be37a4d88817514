"""Stop texts, found in texts that arrive in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.engines.stopping import StopTexts

TEXTS = st.text("ab\n", max_size=12)
STOPS = st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=3)


@given(TEXTS, STOPS, STOPS)
def test_piece_by_piece_the_same_stop_is_found_as_at_once(
    text: str, stop: list[str], stop_after: list[str]
) -> None:
    stops = StopTexts(stop, stop_after)
    first = next((end for n in range(len(text) + 1) if (end := stops.find(text[:n], n - 1))), None)
    at_once = stops.find(text)
    assert (first is None) == (at_once is None)
    if first is not None:
        assert stops.find(text[: first.length]) in (None, first)


@given(TEXTS, TEXTS, STOPS)
def test_what_is_settled_is_never_cut_off_later(text: str, more: str, stop: list[str]) -> None:
    stops = StopTexts(stop, [])
    if stops.find(text) is None:
        later = stops.find(text + more)
        assert later is None or stops.settled(text) <= later.length


def test_the_earlier_match_wins_and_a_stop_text_over_a_step_end() -> None:
    assert StopTexts(["c"], ["b"]).find("abc") == (2, "step")
    assert StopTexts(["b"], ["c"]).find("abc") == (1, "stop")
    assert StopTexts(["b"], ["b"]).find("abc") == (1, "stop")


def test_empty_stop_texts_stop_nothing() -> None:
    assert StopTexts([""], [""]).find("abc") is None
    assert StopTexts([], []).settled("abc") == 3
