"""What large models' servers do wrong: refusals cost nothing, what nobody counted is estimated or held."""

from __future__ import annotations

import pytest

from tests.e2e.money.configured import price
from tests.e2e.money.gateways import Fleet, ask, code_of
from tests.workers.engines.openai_server import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("text", "model", "status"),
    [
        ("status 500: x", "remote", 502),
        ("status 429: x", "remote", 429),
        ("status 400: x", "remote", 400),
        ("answer", "away", 502),
    ],
)
def test_a_server_that_refuses_or_is_not_there_costs_nothing(
    fleet: Fleet, text: str, model: str, status: int, stream: bool
) -> None:
    key = fleet.shared_key
    known = len(fleet.entries(key))
    before = fleet.held(key)

    assert ask(fleet.gateways[0], key, text, model, stream=stream).status_code == status

    until(lambda: fleet.held(key) == before and not fleet.running(key))
    assert len(fleet.entries(key)) == known


@pytest.mark.parametrize(
    ("text", "model", "code"),
    [("broken", "remote", "upstream_failed"), ("silent", "hasty", "upstream_failed")],
)
def test_what_went_out_and_came_to_nothing_is_billed_what_was_reserved_and_not_asked_again(
    fleet: Fleet, text: str, model: str, code: str
) -> None:
    key = fleet.shared_key
    fleet.settles(key, known := len(fleet.entries(key)))
    worst_usd = fleet.worst_usd(key, text, model)

    answer = ask(fleet.gateways[1], key, text, model)

    assert code_of(answer) == code
    assert answer.json()["gradus"]["cost_usd"] is None
    assert len(fleet.upstream.texts) == 1
    fleet.settles(key, known + 1)
    entry = fleet.newest(key)
    assert (entry.status, entry.estimated, entry.billed_usd) == ("failed", True, worst_usd)
    assert entry.error == code


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_server_did_not_count_is_counted_by_a_tokenizer_and_marked(fleet: Fleet, stream: bool) -> None:
    key = fleet.shared_key
    fleet.settles(key, known := len(fleet.entries(key)))

    answer = ask(fleet.gateways[2], key, "no usage: of these words", stream=stream)

    assert answer.status_code == 200
    assert "estimated" in answer.text
    fleet.settles(key, known + 1)
    entry = fleet.newest(key)
    (line,) = fleet.lines(entry)
    assert (entry.status, entry.estimated) == ("answered", True)
    assert line.prompt_tokens > 3
    assert 1 <= line.completion_tokens <= 7
    assert entry.billed_usd == price((line.prompt_tokens, line.completion_tokens))
