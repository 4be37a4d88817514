"""A model's server dies, fails or hangs in mid-search, or the client leaves: real processes all."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.asking import ask, told
from tests.e2e.served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _worker_lives(served: Served) -> Iterator[None]:
    """Whatever a test did to the server, the worker is the same, and answers with both models."""
    worker = served.product.child_pid("workers")
    yield
    assert told(ask(served.product, "Calculate 3 + 4.", model="gradus/dvts"))["model"] == "small"
    assert told(ask(served.product, "different", model="gradus/frail"))["model"] == "frail"
    assert served.product.child_pid("workers") == worker


def test_a_server_killed_in_mid_search_leaves_what_is_complete(served: Served) -> None:
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(ask(served.product, "uneven", model="gradus/frail"))
    )
    thread.start()
    served.frail.wait_until(lambda state: state["running"] == 1 and state["pieces"] > 100)
    served.frail.kill()
    thread.join()
    served.frail.start()

    (answer,) = answers
    assert answer.choices[0].message.content == "The answer is 0."
    assert told(answer)["samples"] == 1
    assert "the search broke off (model frail: its server failed" in told(answer)["notice"]


def test_a_server_that_is_away_is_a_named_error(served: Served) -> None:
    served.frail.kill()
    with pytest.raises(openai.InternalServerError) as failure:
        ask(served.product, "different", model="gradus/frail")
    served.frail.start()

    assert failure.value.code == "engine_failed"
    assert "model frail: its server failed" in failure.value.message


def test_a_server_that_answers_500_in_mid_search_leaves_what_is_complete(served: Served) -> None:
    search = {"stopping": {"rule": "window", "window": 2}}

    answer = ask(served.product, "broken", model="gradus/frail", **search)

    assert answer.choices[0].message.content in ("The answer is 0.", "The answer is 1.")
    assert told(answer)["samples"] == 2
    assert "its server answered 500: the device fell off" in told(answer)["notice"]


def test_a_server_that_hangs_in_mid_search_is_left_at_the_deadline(served: Served) -> None:
    answer = ask(served.product, "uneven", model="gradus/hasty")

    assert answer.choices[0].message.content == "The answer is 0."
    assert "the deadline ended the search: the answer is the best of 1 by then" in told(answer)["notice"]


def test_a_server_that_says_nothing_ends_as_a_named_error_at_the_deadline(served: Served) -> None:
    with pytest.raises(openai.InternalServerError) as failure:
        ask(served.product, "silent", model="gradus/hasty")

    assert (failure.value.status_code, failure.value.code) == (504, "deadline_exceeded")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_client_that_leaves_ends_what_the_server_generates(served: Served, stream: bool) -> None:
    before = served.frail.state()["given_up"]
    client = http.client.HTTPConnection("127.0.0.1", served.product.port)
    body = {
        "model": "gradus/frail",
        "messages": [{"role": "user", "content": "long"}],
        "stream": stream,
    }
    client.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    served.frail.wait_until(lambda state: state["running"] == 1)

    client.close()

    served.frail.wait_until(lambda state: (state["running"], state["given_up"]) == (0, before + 1))
