"""Each public family scores as its model card says, batched with others, and in the odd cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from router.config.verifiers import Family
from router.types import Task
from tests.workers.verifiers import tiny_rewards
from tests.workers.verifiers.cards import CARDS
from tests.workers.verifiers.conftest import judge
from workers.errors import ContextOverflow, ModelNotLoadable
from workers.protocols import Prompt, Scored, Scores
from workers.verifiers.model import ModelVerifier
from workers.verifiers.prm import PlaceModel, load_prm
from workers.verifiers.reading import Reading

QUESTION = "How many - 3 + 4 ?"
SEPARATORS: dict[Family, str] = {"math-shepherd": "\n", "skywork": "\n", "rlhflow": "\n\n", "qwen": "\n\n"}
SOLUTIONS = [
    ["one", "two two", "The answer is 3."],
    ["The answer is 4."],
    ["a + b - c", "d"] * 6 + ["The answer is 3."],
    ["Wärme: 東京 → ☕", "né e\u0301 žluťoučký 🫖!"],
    ["- a list", "+ of signs", "x"],
]


@dataclass(frozen=True)
class Loaded:
    family: Family
    folder: Path
    verifier: ModelVerifier

    def card(self, steps: Sequence[str], question: str = QUESTION) -> list[float]:
        return CARDS[self.family](self.folder, question, steps)

    def score(self, *texts: str, question: str = QUESTION) -> Scores:
        return judge(self.verifier, ({"role": "user", "content": question},), texts)


@pytest.fixture(scope="module", params=sorted(CARDS))
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    family = request.param
    folder = tiny_rewards.MAKERS[family](tmp_path_factory.mktemp(family))
    context = tiny_rewards.CONTEXT_TOKENS
    verifier = load_prm("judge", folder, family, context_tokens=context, aggregation="last", device="cpu")
    yield Loaded(family, folder, verifier)
    verifier.close()


def test_a_batch_scores_as_the_card_does_text_by_text(loaded: Loaded) -> None:
    separator = SEPARATORS[loaded.family]
    scores = loaded.score(*(separator.join(steps) for steps in SOLUTIONS))
    for one, steps in zip(scores.scored, SOLUTIONS, strict=True):
        assert one.step_scores == pytest.approx(loaded.card(steps), abs=1e-5)
        assert len(one.step_scores) == len(steps)
        assert one.score == one.step_scores[-1]
    assert len({round(score, 3) for one in scores.scored for score in one.step_scores}) > 10


def test_many_turns_of_a_long_conversation_read_it_once_and_score_as_the_card_says(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "How many - 3 + 4 ? " * 6
    texts = [[str(number), "The answer is 3."] for number in range(10)]
    read: list[int] = []
    whole = PlaceModel.__call__

    def counted(self: PlaceModel, readings: Sequence[Reading]) -> list[tuple[float, ...]]:
        with monkeypatch.context() as patch:
            forward = self.body.forward

            def spy(*, input_ids: torch.Tensor, **others: Any) -> Any:
                read.append(input_ids.numel())
                return forward(input_ids=input_ids, **others)

            patch.setattr(self.body, "forward", spy)
            return whole(self, readings)

    monkeypatch.setattr(PlaceModel, "__call__", counted)
    scores = loaded.score(*(SEPARATORS[loaded.family].join(steps) for steps in texts), question=question)
    for one, steps in zip(scores.scored, texts, strict=True):
        assert one.step_scores == pytest.approx(loaded.card(steps, question), abs=1e-5)
    assert sum(read) < scores.tokens / 2


def test_a_final_separator_changes_nothing(loaded: Loaded) -> None:
    text = SEPARATORS[loaded.family].join(SOLUTIONS[0])
    plain, ended, spaced = loaded.score(text, text + "\n", text + "\n\n ").scored
    assert ended.step_scores == pytest.approx(plain.step_scores, abs=1e-5)
    assert spaced.step_scores == pytest.approx(plain.step_scores, abs=1e-5)


def test_empty_steps_are_what_the_family_s_code_makes_of_them(loaded: Loaded) -> None:
    (one,) = loaded.score("a\n\n\n  \nb").scored
    # Skywork's prepare_input scores the newline of each; the others never see them.
    steps = ["a", "", "", "  ", "b"] if loaded.family == "skywork" else ["a", "b"]
    assert one.step_scores == pytest.approx(loaded.card(steps), abs=1e-5)
    assert len(one.step_scores) == len(steps)


@pytest.mark.parametrize("text", ["", "\n", " \n\n \n"])
def test_a_turn_without_a_step_scores_0_unread(loaded: Loaded, text: str) -> None:
    assert loaded.score(text) == Scores((Scored((), 0.0),), 0)


def test_a_step_scores_the_same_before_and_after_the_next_is_written(loaded: Loaded) -> None:
    separator = SEPARATORS[loaded.family]
    before, after = loaded.score(f"one{separator}", f"one{separator}two{separator}").scored
    assert after.step_scores[:1] == pytest.approx(before.step_scores, abs=1e-5)


def test_a_turn_over_the_context_scores_0_unread_beside_one_that_fits(loaded: Loaded) -> None:
    scores = loaded.score("fine", "far too long " * 80)
    assert scores.scored[1] == Scored((), 0.0)
    alone = loaded.score("fine")
    assert scores.scored[0].score == pytest.approx(alone.scored[0].score, abs=1e-5)
    assert scores.tokens == alone.tokens > 0


def test_a_conversation_over_the_context_is_refused_with_both_numbers(loaded: Loaded) -> None:
    with pytest.raises(ContextOverflow, match=rf"\d+ tokens.*{tiny_rewards.CONTEXT_TOKENS}"):
        loaded.score("fine", question="far too long " * 80)


def test_tags_in_a_question_or_a_turn_make_no_step(loaded: Loaded) -> None:
    separator = SEPARATORS[loaded.family]
    tags = "a ки <extra_0> + - ки"
    (one,) = loaded.score(f"x {tags} y{separator}z", question=tags).scored
    assert len(one.step_scores) == 2


def test_what_the_system_says_is_not_shown_and_earlier_turns_are(loaded: Loaded) -> None:
    user, again = {"role": "user", "content": "One?"}, {"role": "user", "content": "Two?"}
    said = {"role": "assistant", "content": "1"}
    system = {"role": "system", "content": "Be brief."}
    texts = ["one\n\ntwo"]
    plain = judge(loaded.verifier, (user,), texts)
    assert judge(loaded.verifier, (system, user), texts) == plain
    assert judge(loaded.verifier, (user, said, again), texts) != plain


def test_no_more_can_be_asked_for_than_the_model_reads(loaded: Loaded) -> None:
    with pytest.raises(ModelNotLoadable, match=r"context_tokens: 4096; the model reads 1800"):
        load_prm("judge", loaded.folder, loaded.family, context_tokens=4096, device="cpu")


def test_equal_turns_are_read_once(loaded: Loaded) -> None:
    once, thrice = loaded.score("one\ntwo"), loaded.score(*["one\ntwo"] * 3)
    assert thrice == Scores(once.scored * 3, once.tokens)


def test_steps_are_aggregated_as_the_family_is_known_to_want(loaded: Loaded) -> None:
    (one,) = loaded.score(SEPARATORS[loaded.family].join(SOLUTIONS[0])).scored
    verifier = load_prm(
        "judge", loaded.folder, loaded.family, context_tokens=tiny_rewards.CONTEXT_TOKENS, device="cpu"
    )
    turn = Prompt(({"role": "user", "content": QUESTION},), SEPARATORS[loaded.family].join(SOLUTIONS[0]))
    (scored,) = verifier.score([turn], Task()).scored
    product = one.step_scores[0] * one.step_scores[1] * one.step_scores[2]
    expected = {
        "math-shepherd": min(one.step_scores),
        "skywork": sum(one.step_scores) / 3,
        "rlhflow": product,
        "qwen": product,
    }[loaded.family]
    assert scored.score == pytest.approx(expected, abs=1e-5)
    verifier.close()


@pytest.mark.parametrize(
    ("family", "made"),
    [("qwen", "skywork"), ("skywork", "qwen"), ("math-shepherd", "qwen"), ("qwen", "rlhflow")],
)
def test_a_folder_of_another_family_is_refused(tmp_path: Path, family: Family, made: Family) -> None:
    with pytest.raises(ModelNotLoadable, match="is its family right"):
        load_prm(
            "judge",
            tiny_rewards.MAKERS[made](tmp_path),
            family,
            context_tokens=tiny_rewards.CONTEXT_TOKENS,
            device="cpu",
        )
