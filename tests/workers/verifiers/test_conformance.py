"""What every verifier does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.config import JudgeVerifier, RemoteVerifier
from router.config.verifiers import Family
from router.types import Task
from tests.workers.verifiers import tiny_rewards
from tests.workers.verifiers.chat_server import judge_app
from tests.workers.verifiers.conftest import QUESTION, TEXTS, judge
from tests.workers.verifiers.local_server import serving
from tests.workers.verifiers.pooling_server import pooling_app, rows_of
from workers.protocols import Prompt, Scores, Verifier
from workers.verifiers import load_verifier
from workers.verifiers.ensemble import EnsembleVerifier
from workers.verifiers.majority import MajorityVerifier
from workers.verifiers.orm import load_orm
from workers.verifiers.prm import load_prm
from workers.verifiers.scripted import ScriptedVerifier

CONTEXT_TOKENS = tiny_rewards.CONTEXT_TOKENS
FAMILIES: tuple[Family, ...] = ("gradus", "math-shepherd", "rlhflow", "qwen", "skywork")


def scripted(name: str) -> ScriptedVerifier:
    return ScriptedVerifier(lambda text: [1 / (1 + len(line)) for line in text.splitlines()], name=name)


@contextmanager
def made(kind: str, folder: Path) -> Iterator[Verifier]:
    if kind == "scripted":
        yield scripted("judge")
    elif kind == "majority":
        yield MajorityVerifier("judge")
    elif kind == "ensemble":
        yield EnsembleVerifier("judge", [(scripted("one"), 1.0), (MajorityVerifier("other"), 2.0)])
    elif kind == "remote":
        tiny_rewards.make_skywork(folder)
        with serving(pooling_app(rows_of("skywork", folder))) as url:
            configured = RemoteVerifier(
                kind="remote",
                serves="prm",
                base_url=url,
                upstream_model="reward",
                tokenizer=str(folder),
                context_tokens=CONTEXT_TOKENS,
                family="skywork",
            )
            yield load_verifier("judge", configured)
    elif kind in ("pointwise", "pairwise"):
        with serving(judge_app()) as url, pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUDGE_KEY", "secret")
            asked = {"litellm_model": "openai/judge", "base_url": f"{url}/v1", "api_key_env": "JUDGE_KEY"}
            limits = {"context_tokens": 2000, "max_tokens": 100}
            settings = {"kind": "judge", "mode": kind} | asked | limits
            yield load_verifier("judge", JudgeVerifier.model_validate(settings))
    elif kind == "orm":
        tiny_rewards.make_outcome(folder)
        yield load_orm("judge", folder, context_tokens=CONTEXT_TOKENS, device="cpu")
    else:
        (family,) = (each for each in FAMILIES if each == kind)
        tiny_rewards.MAKERS[family](folder)
        context_tokens = tiny_rewards.context_tokens(family)
        yield load_prm("judge", folder, family, context_tokens=context_tokens, device="cpu")


@pytest.fixture(
    scope="module",
    params=["scripted", "majority", "ensemble", "remote", "pointwise", "pairwise", "orm", *FAMILIES],
)
def verifier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    with made(request.param, tmp_path_factory.mktemp(request.param)) as verifier:
        yield verifier
        verifier.close()


def test_texts_are_judged_in_order(verifier: Verifier) -> None:
    forward = judge(verifier, QUESTION, TEXTS)
    backward = judge(verifier, QUESTION, TEXTS[::-1])
    assert [one.score for one in backward.scored][::-1] == pytest.approx(
        [one.score for one in forward.scored]
    )


def test_turns_of_several_conversations_are_told_apart(verifier: Verifier) -> None:
    other = ({"role": "user", "content": "Which one, then?"},)
    turns = [Prompt(QUESTION, TEXTS[0]), Prompt(other, TEXTS[0]), Prompt(QUESTION, TEXTS[1])]
    scores = verifier.score(turns, Task())
    assert len(scores.scored) == 3


def test_scores_are_between_0_and_1(verifier: Verifier) -> None:
    for one in judge(verifier, QUESTION, TEXTS).scored:
        assert 0 <= one.score <= 1
        assert all(0 <= score <= 1 for score in one.step_scores)


def test_a_verifier_of_steps_scores_each_and_another_none(verifier: Verifier) -> None:
    (one,) = judge(verifier, QUESTION, ["a = 1\n\nb = 2\n\nThe answer is 2."]).scored
    if verifier.scores_steps:
        assert len(one.step_scores) >= 3  # some take the blank lines for steps
    else:
        assert one.step_scores == ()


def test_no_texts_no_scores(verifier: Verifier) -> None:
    nothing = judge(verifier, QUESTION, [])
    assert (nothing.scored, nothing.tokens, nothing.completion_tokens) == ((), 0, 0)


def test_an_empty_text_scores_0(verifier: Verifier) -> None:
    (one,) = judge(verifier, QUESTION, [""]).scored
    assert one.score == 0


def test_threads_get_their_own_scores(verifier: Verifier) -> None:
    alone = [judge(verifier, QUESTION, [text] * 2) for text in TEXTS]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: judge(verifier, QUESTION, [text] * 2), TEXTS * 4))
    for scores, expected in zip(together, alone * 4, strict=True):
        assert same(scores, expected)


def same(scores: Scores, expected: Scores) -> bool:
    assert [one.score for one in scores.scored] == pytest.approx(
        [one.score for one in expected.scored], abs=1e-5
    )
    return scores.tokens == expected.tokens


def test_the_verifier_says_who_it_is(verifier: Verifier) -> None:
    assert verifier.name == "judge"
