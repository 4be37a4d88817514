"""Feedback: by who asked, the last word holds; it watches predictions, and becomes labels to fit on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.store import keys
from gateway.store.database import Database
from gateway.store.feedback import Feedback, give, given
from router.outcome_files import read_outcomes
from router.predictor.files import load_predictor
from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import ScriptedWorker, easy, hard, until
from tests.gateway.telemetry.test_metrics import scrape
from tests.gateway.upstream import UpstreamDouble

MESSAGES: Any = [{"role": "user", "content": "What is 3 + 4?"}]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/gradus.db"


@pytest.fixture
def keyed(configure: Configure, start: Start, upstream: UpstreamDouble, database_url: str) -> str:
    """The URL of a gateway that asks for keys, with a database of its own."""
    return start(configure(GRADUS__SERVER__AUTH="keys", GRADUS_DATABASE_URL=database_url))


def ask(url: str, key: str = "none", model: str = "remote") -> str:
    """The id of an answer."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    return client.chat.completions.create(model=model, messages=MESSAGES).id


def say(url: str, key: str = "none", **said: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/gradus/feedback", json=said, headers={"authorization": f"Bearer {key}"})


def make_key(database_url: str, name: str) -> str:
    database = Database(database_url)
    secret = keys.create_key(database, {"name": name})[1]
    database.close()
    return secret


def stored(database_url: str) -> dict[str, float]:
    database = Database(database_url)
    try:
        return {each.request_id: each.score for each in given(database)}
    finally:
        database.close()


def test_the_last_word_of_who_asked_holds(keyed: str, database_url: str) -> None:
    mine, theirs = make_key(database_url, "mine"), make_key(database_url, "theirs")
    until(lambda: httpx.get(f"{keyed}/v1/models", headers={"authorization": f"Bearer {theirs}"}).is_success)
    answer = ask(keyed, mine)

    taken = say(keyed, mine, id=answer, right=False)
    assert taken.json() == {"object": "gradus.feedback", "id": answer, "score": 0.0}
    assert say(keyed, mine, id=answer, score=0.75, comment="nearly").status_code == 200
    refused = say(keyed, theirs, id=answer, right=False)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "answer_not_found")
    assert say(keyed, "nobody", id=answer, right=False).status_code == 401
    assert stored(database_url) == {answer: 0.75}


def test_another_gateway_knows_the_answer_once_it_is_in_the_journal(
    keyed: str, database_url: str, configure: Configure, start: Start
) -> None:
    mine, theirs = make_key(database_url, "mine"), make_key(database_url, "theirs")
    other = start(configure(GRADUS__SERVER__AUTH="keys", GRADUS_DATABASE_URL=database_url))
    until(lambda: httpx.get(f"{keyed}/v1/models", headers={"authorization": f"Bearer {mine}"}).is_success)
    answer = ask(keyed, mine)

    until(lambda: say(other, mine, id=answer, right=True).status_code == 200)
    assert say(other, theirs, id=answer, right=False).status_code == 404
    assert stored(database_url) == {answer: 1.0}


def test_an_answer_is_known_by_the_id_that_its_stream_showed(keyed: str, database_url: str) -> None:
    mine, theirs = make_key(database_url, "mine"), make_key(database_url, "theirs")
    until(lambda: httpx.get(f"{keyed}/v1/models", headers={"authorization": f"Bearer {theirs}"}).is_success)
    answer = httpx.post(
        f"{keyed}/v1/chat/completions",
        json={"model": "remote", "messages": MESSAGES, "stream": True},
        headers={"authorization": f"Bearer {mine}"},
    )
    shown = json.loads(answer.text.removeprefix("data: ").splitlines()[0])["id"]
    ours = answer.headers["x-request-id"]
    assert shown != ours

    until(lambda: say(keyed, mine, id=shown, right=True).status_code == 200)
    assert say(keyed, theirs, id=shown, right=False).status_code == 404
    assert stored(database_url) == {ours: 1.0}


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"right": True}, "id"),
        ({"id": "x"}, "right"),
        ({"id": "x", "right": True, "score": 1}, "right"),
        ({"id": "x", "score": 1.5}, "score"),
        ({"id": "x", "right": "yes"}, "right"),
        ({"id": "x\u0000", "right": True}, "id"),
        ({"id": "x", "right": True, "comment": "\u0000"}, "comment"),
        ({"id": "x", "right": True, "comment": "x" * 2001}, "comment"),
        ({"id": "x", "right": True, "other": 1}, "other"),
    ],
)
def test_what_is_not_feedback_is_refused_by_name(url: str, said: dict[str, Any], param: str) -> None:
    answer = say(url, **said)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_an_unknown_answer_is_refused(url: str) -> None:
    assert say(url, id="chatcmpl-unknown", right=True).status_code == 404


def test_feedback_becomes_labels_of_records(
    configure: Configure, start: Start, worker: ScriptedWorker, database_url: str, tmp_path: Path
) -> None:
    records, labels = tmp_path / "records.jsonl", tmp_path / "labels.csv"
    gateway = {"GRADUS_DATABASE_URL": database_url, "GRADUS__RECORDS": str(records)}
    url = start(configure(**gateway))
    right, wrong, unsaid = (ask(url, model="gradus") for _ in range(3))
    assert say(url, id=right, right=True).status_code == 200
    assert say(url, id=wrong, score=0.25).status_code == 200

    told = CliRunner().invoke(
        app,
        ["feedback", "export", "--for", str(records), "--output", str(labels)],
        env={"GRADUS_DATABASE_URL": database_url},
        catch_exceptions=False,
    )
    assert told.stdout.startswith("wrote 2 labels to")
    assert labels.read_text() == f"id,right\n{right},1\n{wrong},0.25\n"
    read = read_outcomes([records], labels)
    by_id = dict(zip(read.ids, read.right[:, 0], strict=True))
    assert (by_id[right], by_id[wrong]) == (1.0, 0.25)
    assert by_id[unsaid] != by_id[unsaid]  # NaN: nobody said


def test_a_predictor_is_fitted_to_what_users_said(
    configure: Configure, start: Start, worker: ScriptedWorker, database_url: str, tmp_path: Path
) -> None:
    """Of two records that a gateway wrote, under other names and with other prompts, to have enough."""
    records, labels, predictor = (tmp_path / name for name in ("records.jsonl", "labels.csv", "predictor"))
    url = start(configure(GRADUS_DATABASE_URL=database_url, GRADUS__RECORDS=str(records)))
    for script in (easy, hard):  # one is answered by the small model, one by the large
        worker.script = script
        ask(url, model="gradus")
    rows = [json.loads(line) for line in records.read_text("utf-8").splitlines()]
    database = Database(database_url)
    with records.open("w", encoding="utf-8") as file:
        for number in range(400):
            route, is_hard = number % 2, number // 2 % 2
            words = f"prove integral number {number}" if is_hard else f"add two apples number {number}"
            copy = {**rows[route], "id": str(number), "messages": [{"role": "user", "content": words}]}
            file.write(json.dumps(copy) + "\n")
            right = float(bool(route) if is_hard else number % 16 > 1)
            give(database, Feedback(str(number), datetime.now(UTC), None, right))
    database.close()
    runner, env = CliRunner(), {"GRADUS_DATABASE_URL": database_url}
    export = ["feedback", "export", "--for", str(records), "--output", str(labels)]
    fit = ["fit", str(records), "--labels", str(labels), "--output", str(predictor), "--method", "words"]

    for command in (export, fit):
        assert runner.invoke(app, command, env=env, catch_exceptions=False).exit_code == 0
    fitted = load_predictor(str(predictor))
    forecast = fitted.forecast(["add two apples", "prove integral"])
    (small,) = [at for at, action in enumerate(fitted.actions) if action.model == "small"]
    assert forecast.right[0, small] > 0.6 > 0.4 > forecast.right[1, small]


def test_answers_that_were_not_recorded_are_left_out_and_counted(
    configure: Configure, start: Start, upstream: UpstreamDouble, database_url: str, tmp_path: Path
) -> None:
    url = start(configure(GRADUS_DATABASE_URL=database_url))
    say(url, id=ask(url), right=True)
    records, labels = tmp_path / "records.jsonl", tmp_path / "labels.csv"
    records.write_text(json.dumps({"id": "another"}) + "\n")
    options = ["feedback", "export", "--output", str(labels)]
    runner, env = CliRunner(), {"GRADUS_DATABASE_URL": database_url}

    assert "wrote 1 label to" in runner.invoke(app, options, env=env).stdout
    told = runner.invoke(app, [*options, "--for", str(records)], env=env).stdout
    assert "wrote 0 labels" in told
    assert "1 of answers that are not in the records" in told


def test_feedback_is_counted_by_what_it_says(
    url: str, client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    before = scrape(url)
    answer = client.chat.completions.create(model="remote", messages=MESSAGES).id
    for score in (0, 0.5, 1):
        assert say(url, id=answer, score=score).status_code == 200
    after = scrape(url)

    for right in ("false", "partly", "true"):
        assert after("gradus_feedback_total", right=right) == before("gradus_feedback_total", right=right) + 1
