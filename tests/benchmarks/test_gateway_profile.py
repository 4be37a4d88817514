"""The profile of the gateway: a sample belongs to the innermost part that is told apart."""

from __future__ import annotations

from benchmarks.gateway.profile import LOOP, parts_of

SERVER = "<module> (gateway/__main__.py:3);run (gateway/server.py:40)"
LEDGER, CLIENT = "ledger: reserve, settle, spool", "the upstream: HTTP client (aiohttp)"


def test_samples_are_counted_to_the_innermost_part() -> None:
    lines = [
        f"{SERVER};answer (gateway/service.py:80);settle (gateway/ledger/ledger.py:190) 3",
        f"{SERVER};_post (gateway/upstreams/openai_server.py:85);_request (aiohttp/client.py:558) 2",
        f"{SERVER};send (/env/lib/python3.11/site-packages/aiohttp/client_reqrep.py:1643) 4",
    ]
    assert parts_of(lines) == {LEDGER: 3, CLIENT: 6}


def test_a_library_counts_to_whoever_calls_it() -> None:
    line = f"{SERVER};settle (gateway/ledger/ledger.py:190);encode (msgspec/json.py:7);<lambda> (a; b) 5"
    assert parts_of([line]) == {LEDGER: 5}


def test_what_is_in_no_part_is_the_event_loop() -> None:
    assert parts_of([f"{SERVER};run_until_complete (uvloop/loop.pyx) 7", "select (selectors.py:468) 1"]) == {
        LOOP: 8
    }
