"""Redis that is away, comes late or restarts: searches say so or wait; what needs no queue answers."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import redis

from gateway import event_reader
from gateway.app import create_app
from gateway.redis_server import redis_command
from router import wire
from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import Delivery, ScriptedWorker, serving, until
from tests.gateway.upstream import UpstreamDouble

MESSAGES: list[Any] = [{"role": "user", "content": "Calculate 3 + 4."}]


def ask(client: openai.OpenAI, model: str = "gradus", **options: Any) -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES, **options)


def refused(client: openai.OpenAI, **options: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, **options)
    return caught.value


@dataclass
class OwnRedis:
    """A Redis to start and to kill."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/r.sock"

    def start(self) -> None:
        command = redis_command(self.folder / "r.sock", self.folder)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    own = OwnRedis(Path(tempfile.mkdtemp(prefix="gradus-test-")))  # short: socket paths end at 107 characters
    yield own
    own.kill()
    shutil.rmtree(own.folder, ignore_errors=True)


def test_redis_may_be_away_come_late_and_restart(
    own_redis: OwnRedis, configure: Configure, start: Start
) -> None:
    url = start(configure(GRADUS_REDIS_URL=own_redis.url))
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=30) as client:
        # It is away: searches say so, models with a server answer.
        error = refused(client)
        assert (error.status_code, error.code) == (503, "queue_unavailable")
        assert "Redis" in error.message
        assert float(error.response.headers["retry-after"]) > 0
        assert refused(client, stream=True).code == "queue_unavailable"
        assert ask(client, "remote").choices[0].message.content
        ready = httpx.get(f"{url}/readyz")  # for some of it
        assert ready.status_code == 200
        assert "Redis is away" in ready.json()["warnings"][0]
        assert httpx.get(f"{url}/healthz").status_code == 200

        for _ in range(2):  # it comes late, and restarts
            own_redis.start()
            with ScriptedWorker(own_redis.url):
                assert ask(client).choices[0].message.content
            own_redis.kill()
            assert refused(client).code == "queue_unavailable"


def test_a_redis_that_answers_and_takes_nothing_is_said_as_one_that_is_away(
    own_redis: OwnRedis,
    configure: Configure,
    start: Start,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADUS_HOME", str(tmp_path))  # no gateway died there
    own_redis.start()
    url = start(configure(GRADUS_REDIS_URL=own_redis.url))
    ready, back = "the ledger is ready", "Redis answers again"

    def said(text: str) -> int:
        """How often this gateway logged it: those of other tests, in threads of their own, are heard too."""
        ours = [each.thread for each in caplog.records if "read only replica" in each.getMessage()]
        return sum(text in each.getMessage() for each in caplog.records if each.thread in ours)

    with redis.Redis.from_url(own_redis.url) as there, httpx.Client(base_url=url) as http:
        until(lambda: "counted anew" not in http.get("/readyz").text)
        there.replicaof("127.0.0.1", "1")
        until(lambda: "takes nothing" in "".join(http.get("/readyz").json()["warnings"]))
        assert http.get("/readyz").status_code == 200  # models behind servers answer
        assert (said(ready), said(back)) == (1, 0)
        there.replicaof("NO", "ONE")
        until(lambda: said(ready) > 1)
        until(lambda: "Redis" not in http.get("/readyz").text)
        until(lambda: said(back))

    assert (said(ready), said(back)) == (2, 1)


def test_without_redis_a_large_model_behind_a_server_answers_what_would_be_searched(
    own_redis: OwnRedis, configure: Configure, start: Start, upstream: UpstreamDouble
) -> None:
    url = start(configure(GRADUS_REDIS_URL=own_redis.url))
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=30) as client:
        gradus = ask(client, "gradus/remote").model_extra["gradus"]
        streamed = list(ask(client, "gradus/remote", stream=True))

    assert (gradus["route"], gradus["model"]) == ("large", "remote")
    assert "Redis" in gradus["notice"]
    assert "".join(each.choices[0].delta.content or "" for each in streamed) == "The answer is 7."


def test_an_entry_that_nobody_can_read_leaves_the_next_ones_readable(
    client: openai.OpenAI, worker: ScriptedWorker, redis_url: str
) -> None:
    ask(client)
    with redis.Redis.from_url(redis_url) as stray:
        stray.xadd(worker.jobs[0].reply_to, {"job": b"\xff"})

    assert ask(client).choices[0].message.content


def test_a_worker_of_another_version_fails_its_request_at_once(
    client: openai.OpenAI, worker: ScriptedWorker, redis_url: str
) -> None:
    def newer(delivery: Delivery) -> None:
        with redis.Redis.from_url(redis_url) as there:
            event = {"v": "99", "job": delivery.job.id, "type": "outcome", "data": "{}"}
            there.xadd(delivery.job.reply_to, event)

    worker.script = newer

    assert refused(client).code == "wire_invalid"


def test_a_gateway_that_stopped_reading_is_not_ready_and_says_so(
    configure: Configure, redis_url: str
) -> None:
    app = create_app(configure())
    with serving(app) as url, ScriptedWorker(redis_url) as worker:
        worker.announce("small", "big", "longer")
        assert httpx.get(f"{url}/readyz").status_code == 200
        reader = app.state.gateway.dispatcher._reader._task
        reader.get_loop().call_soon_threadsafe(reader.cancel)
        until(reader.done)
        answer = httpx.get(f"{url}/readyz")

    assert answer.status_code == 503
    assert "no longer reads" in answer.json()["reasons"][0]


def test_a_redis_that_cannot_trim_by_id_is_not_taken_for_a_lost_one(
    own_redis: OwnRedis,
    configure: Configure,
    start: Start,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADUS_HOME", str(tmp_path))  # no gateway died there
    own_redis.start()
    with redis.Redis.from_url(own_redis.url) as server:
        server.acl_setuser("default", enabled=True, nopass=True, commands=["-xtrim"])
    url = start(configure(GRADUS_REDIS_URL=own_redis.url))

    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=30) as client,
        ScriptedWorker(own_redis.url) as worker,
    ):
        for _ in range(2):
            assert ask(client).choices[0].message.content

    said = [record.getMessage() for record in caplog.records if record.name == "gateway.event_reader"]
    assert len(worker.jobs) == 2
    assert len(said) == 1
    assert "Redis 6.2" in said[0]


@pytest.mark.parametrize("how", ["restarted", "flushed"])
def test_a_job_that_waited_in_a_redis_that_lost_everything_is_sent_again(
    how: str, own_redis: OwnRedis, configure: Configure, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_reader, "BLOCK_S", 0.2)
    own_redis.start()
    url = start(configure(GRADUS_REDIS_URL=own_redis.url))
    answers: list[Any] = []
    ScriptedWorker(own_redis.url).announce("small")  # a live one, which takes nothing
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=30) as client,
        redis.Redis.from_url(own_redis.url) as queue,
    ):
        asking = threading.Thread(target=lambda: answers.append(ask(client)))
        asking.start()
        until(lambda: queue.llen(wire.QUEUE))  # sent, and nobody takes it
        if how == "flushed":
            queue.flushall()
        else:
            own_redis.kill()
            own_redis.start()
        with ScriptedWorker(own_redis.url):
            asking.join(20)

    assert answers[0].choices[0].message.content
