"""A reward model behind a server scores as the same model here; what goes wrong is named."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI, Response
from transformers import AutoTokenizer

from router.config import RemoteVerifier
from router.config.verifiers import Family
from tests.workers.engines import tiny
from tests.workers.verifiers import tiny_rewards
from tests.workers.verifiers.conftest import QUESTION, TEXTS, judge
from tests.workers.verifiers.local_server import serving
from tests.workers.verifiers.pooling_server import classify_app, pooling_app, rows_of
from workers.errors import EngineFailed, ModelNotLoadable
from workers.protocols import Scored, Scores
from workers.verifiers import load_verifier
from workers.verifiers.orm import load_orm
from workers.verifiers.prm import load_prm

TURNS = [*TEXTS, "one\n\ntwo\n\nthree", "Wärme ☕\n\né", "", "far too long " * 80]


@pytest.fixture(scope="module", params=sorted(tiny_rewards.MAKERS))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Family, Path]:
    return request.param, tiny_rewards.MAKERS[request.param](tmp_path_factory.mktemp(request.param))


CONTEXT_TOKENS = tiny_rewards.CONTEXT_TOKENS


def remote(url: str, folder: Path, **more: Any) -> RemoteVerifier:
    settings: dict[str, Any] = {"serves": "prm", "upstream_model": "reward", "context_tokens": CONTEXT_TOKENS}
    return RemoteVerifier(kind="remote", base_url=url, tokenizer=str(folder), **(settings | more))


def test_a_served_prm_scores_as_the_same_one_here(made: tuple[Family, Path]) -> None:
    family, folder = made
    context_tokens = tiny_rewards.context_tokens(family)
    here = load_prm("judge", folder, family, context_tokens=context_tokens, device="cpu")
    expected = judge(here, QUESTION, TURNS)
    here.close()
    received: list[Any] = []
    with serving(pooling_app(rows_of(family, folder), received=received)) as url:
        there = load_verifier(
            "judge", remote(f"{url}/v1", folder, family=family, context_tokens=context_tokens)
        )
        found = judge(there, QUESTION, TURNS)
        there.close()
    assert there.scores_steps
    assert found.tokens == expected.tokens > 0
    for one, same in zip(found.scored, expected.scored, strict=True):
        assert one.step_scores == pytest.approx(same.step_scores, abs=1e-5)
        assert one.score == pytest.approx(same.score, abs=1e-5)
    assert received[0]["model"] == "reward"
    assert received[0]["task"] == "token_classify"


@pytest.mark.parametrize(("family", "tag"), [("qwen", "<extra_0>"), ("math-shepherd", "ки")])
def test_a_server_that_returns_the_steps_alone_is_understood(
    tmp_path: Path, family: Family, tag: str
) -> None:
    folder = tiny_rewards.MAKERS[family](tmp_path)
    step_tag = AutoTokenizer.from_pretrained(folder).encode(tag, add_special_tokens=False)[0]
    turns = ["one\n\ntwo\n\nthree", "x"]
    here = load_prm("judge", folder, family, context_tokens=CONTEXT_TOKENS, device="cpu")
    expected = judge(here, QUESTION, turns)
    here.close()
    with serving(pooling_app(rows_of(family, folder), step_tag=step_tag)) as url:
        there = load_verifier("judge", remote(url, folder, family=family))
        found = judge(there, QUESTION, turns)
        there.close()
    assert [one.score for one in found.scored] == pytest.approx(
        [one.score for one in expected.scored], abs=1e-5
    )


def test_a_served_orm_scores_as_the_same_one_here(tmp_path: Path) -> None:
    folder = tiny_rewards.make_outcome(tmp_path)
    here = load_orm("judge", folder, context_tokens=CONTEXT_TOKENS, device="cpu")
    expected = judge(here, QUESTION, TURNS)
    here.close()
    with serving(classify_app(rows_of("orm", folder))) as url:
        there = load_verifier("judge", remote(url, folder, serves="orm", reads_history=True))
        found = judge(there, QUESTION, TURNS)
        there.close()
    assert there.reads_history
    assert not there.scores_steps
    assert [one.score for one in found.scored] == pytest.approx(
        [one.score for one in expected.scored], abs=1e-5
    )
    assert found.tokens == expected.tokens


def answering(content: Any, *, status: int = 200) -> FastAPI:
    app = FastAPI()

    @app.post("/pooling")
    @app.post("/classify")
    async def answer() -> Response:
        return Response(json.dumps(content), status_code=status, media_type="application/json")

    return app


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        ({"error": {"message": "no such model"}}, 404, "404.*no such model"),
        ({"detail": "crashed"}, 500, "500.*crashed"),
        ({"hello": "world"}, 200, "nonsense"),
        ({"data": []}, 200, "0 of 1 readings"),
        (
            {"data": [{"index": 0, "data": [[0.1, 0.9]]}]},
            200,
            r"1 rows for \d+ tokens, of which 2 end a step",
        ),
        ({"data": [{"index": 0, "data": []}]}, 200, r"0 rows .* step_tag_id"),
        ({"data": [{"index": 0, "data": [0.1, 0.9]}]}, 200, r"no rows: '\[0.1, 0.9\]'"),
        ({"data": [{"index": 0}]}, 200, "no rows: 'None'"),
        ({"data": [{"index": 0, "data": [[0.1], [0.9]]}]}, 200, "1 numbers a token; its family has 2"),
        ({"data": [{"index": 0, "data": [[0.1] * 32] * 2}]}, 200, "32 numbers a token; its family has 2"),
        ({"data": [{"index": 0, "data": [[-3.1, 0.9], [2.0, 1.0]]}]}, 200, "no probability.*problem_type"),
    ],
)
def test_what_a_server_gets_wrong_is_named(tmp_path: Path, content: Any, status: int, says: str) -> None:
    folder = tiny_rewards.make_qwen(tmp_path)
    with serving(answering(content, status=status)) as url:
        verifier = load_verifier("judge", remote(url, folder, family="qwen"))
        with pytest.raises(EngineFailed, match=rf"verifier judge.*{says}"):
            judge(verifier, QUESTION, ["one\n\ntwo"])
        verifier.close()
        with pytest.raises(EngineFailed, match="closed"):
            judge(verifier, QUESTION, ["one"])


def test_a_classifier_of_two_classes_is_no_orm(tmp_path: Path) -> None:
    folder = tiny_rewards.make_outcome(tmp_path)
    with serving(answering({"data": [{"index": 0, "probs": [0.2, 0.8]}]})) as url:
        verifier = load_verifier("judge", remote(url, folder, serves="orm"))
        with pytest.raises(EngineFailed, match="2 classes"):
            judge(verifier, QUESTION, ["one"])
        verifier.close()


def test_a_broken_connection_is_tried_once_more_and_then_named(tmp_path: Path) -> None:
    folder = tiny_rewards.make_qwen(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))
    hung_up = []

    def hang_up() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            hung_up.append(connection.recv(65536))
            connection.close()

    threading.Thread(target=hang_up, daemon=True).start()
    verifier = load_verifier(
        "judge", remote(f"http://127.0.0.1:{listener.getsockname()[1]}", folder, family="qwen")
    )
    with pytest.raises(EngineFailed, match="cannot be reached"):
        judge(verifier, QUESTION, ["one"])
    assert len(hung_up) == 2
    verifier.close()
    listener.close()


def test_the_key_is_sent_and_a_missing_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_rewards.make_qwen(tmp_path)
    monkeypatch.setenv("REWARD_KEY", "secret")
    with pytest.raises(ModelNotLoadable, match="OTHER_KEY is not set"):
        load_verifier("judge", remote("http://127.0.0.1:1", folder, family="qwen", api_key_env="OTHER_KEY"))
    app = FastAPI()

    @app.middleware("http")
    async def wants_a_key(request: Any, proceed: Any) -> Any:
        if request.headers.get("authorization") != "Bearer secret":
            return Response("who are you?", status_code=401)
        return await proceed(request)

    app.mount("/", pooling_app(rows_of("qwen", folder)))
    with serving(app) as url:
        keyed = load_verifier("judge", remote(url, folder, family="qwen", api_key_env="REWARD_KEY"))
        assert judge(keyed, QUESTION, ["one"]).scored[0].score > 0
        keyed.close()
        unknown = load_verifier("judge", remote(url, folder, family="qwen"))
        with pytest.raises(EngineFailed, match=r"401.*who are you"):
            judge(unknown, QUESTION, ["one"])
        unknown.close()


def test_a_served_prm_needs_its_family(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoadable, match="family: is missing"):
        load_verifier("judge", remote("http://127.0.0.1:1", tiny_rewards.make_qwen(tmp_path)))


def test_a_question_that_spells_out_the_tag_moves_no_step_of_a_server_that_returns_tags(
    tmp_path: Path,
) -> None:
    folder = tiny_rewards.make_qwen(tmp_path)
    tag = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("<extra_0>")
    question = ({"role": "user", "content": "What is <extra_0> for?<extra_0>"},)
    here = load_prm("judge", folder, "qwen", context_tokens=CONTEXT_TOKENS, device="cpu")
    expected = judge(here, question, ["one\n\ntwo", ""])
    here.close()
    with serving(pooling_app(rows_of("qwen", folder), step_tag=tag)) as url:
        there = load_verifier("judge", remote(url, folder, family="qwen"))
        found = judge(there, question, ["one\n\ntwo", ""])
        there.close()
    assert found.scored[0].step_scores == pytest.approx(expected.scored[0].step_scores, abs=1e-5)
    assert len(found.scored[0].step_scores) == 2
    assert found.scored[1] == Scored((), 0.0)


def test_a_softmax_of_several_labels_is_not_taken_for_their_sigmoids(tmp_path: Path) -> None:
    folder = tiny.make_reward_model(tmp_path, activation="sigmoid", labels=2)
    with serving(pooling_app(lambda ids: torch.tensor([[0.2, 0.8]]).expand(len(ids), 2))) as url:
        there = load_verifier("judge", remote(url, folder, family="gradus"))
        with pytest.raises(EngineFailed, match="2 numbers a token; its family has 1"):
            judge(there, QUESTION, ["one"])
        there.close()


@pytest.mark.parametrize("serves", ["prm", "orm"])
def test_what_a_server_read_before_it_failed_is_told(tmp_path: Path, serves: str) -> None:
    """Requests hold 64 turns: the second one fails."""
    family = "gradus" if serves == "prm" else "orm"
    folder = tiny.make_reward_model(tmp_path) if serves == "prm" else tiny_rewards.make_outcome(tmp_path)
    answered: list[int] = []
    app = FastAPI()

    @app.middleware("http")
    async def fails_later(request: Any, proceed: Any) -> Any:
        if answered:
            return Response("out of memory", status_code=500)
        body = json.loads(await request.body())
        answered.extend(map(len, body["input"]))
        return await proceed(request)

    rows = rows_of(family, folder)
    app.mount("/", pooling_app(rows) if serves == "prm" else classify_app(rows))
    with serving(app) as url:
        more = {"family": "gradus"} if serves == "prm" else {}
        there = load_verifier("judge", remote(url, folder, serves=serves, **more))
        with pytest.raises(EngineFailed, match="out of memory") as failure:
            judge(there, QUESTION, [f"one {place}" for place in range(70)])
        there.close()
    assert len(answered) == 64
    assert failure.value.consumed == Scores((), tokens=sum(answered))


def test_the_label_of_a_softmax_is_read(tmp_path: Path) -> None:
    folder = tiny.make_reward_model(tmp_path, activation="softmax", labels=2)
    with serving(pooling_app(lambda ids: torch.tensor([[0.2, 0.8]]).expand(len(ids), 2))) as url:
        there = load_verifier("judge", remote(url, folder, family="gradus"))
        assert judge(there, QUESTION, ["one"]).scored[0].score == pytest.approx(0.8)
        there.close()
