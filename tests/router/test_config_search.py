"""What a configuration says of searches and verifiers: what is right, and how what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.config import REVISE, load_config
from router.errors import ConfigInvalid
from router.types import Stopping, StrategySpec
from tests.router.examples import YAML, write

VERIFIERS = """\
verifiers:
  orm: {kind: orm, path: /models/orm, context_tokens: 512}
  prm2: {kind: remote, serves: prm, base_url: "http://p", upstream_model: p, tokenizer: t, context_tokens: 9}
  judge: {kind: judge, litellm_model: openai/j, context_tokens: 900}
  tests: {kind: check, check: tests}
  both: {kind: ensemble, weights: {prm: 1, prm2: 0.5}}
  mixed: {kind: ensemble, weights: {prm: 2, orm: 1}}
  poll: {kind: ensemble, weights: {votes: 1}}
"""
MORE = YAML.replace("verifiers:\n", VERIFIERS)


def _changed(tmp_path: Path, changes: str, text: str = MORE) -> Path:
    return write(
        tmp_path, text.replace("  voting: {<<: *default,", f"  voting: {{<<: *default, {changes},", 1)
    )


def _error(file: Path) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        load_config(file, {})
    return str(caught.value).removeprefix(f"{file}:")


@pytest.mark.parametrize(
    ("verifier", "judging"),
    [
        ("prm", "steps"),
        ("prm2", "steps"),
        ("both", "steps"),
        ("mixed", "turns"),
        ("orm", "turns"),
        ("judge", "turns"),
        ("tests", "turns"),
        ("votes", "votes"),
        ("poll", "votes"),
    ],
)
def test_a_verifier_can_judge_what_its_kind_can_and_an_ensemble_what_all_can(
    tmp_path: Path, verifier: str, judging: str
) -> None:
    assert load_config(write(tmp_path, MORE), {}).judging(verifier) == judging


def test_a_policy_s_parameters_are_the_budget_of_its_searches(tmp_path: Path) -> None:
    changes = (
        "beam_width: sqrt, search_samples: 64, max_rounds: 60, lookahead_steps: 3, chain_length: 8, "
        "max_drop: 0.3, stopping: {rule: beta, confidence: 0.9, window: 4}"
    )
    policy = load_config(_changed(tmp_path, changes), {}).policies["voting"]
    assert policy.budget() == StrategySpec("majority", 64, 8, 60, 3, 8, 0.3, Stopping("beta", 0.9, 4))


@pytest.mark.parametrize(
    "changes",
    [
        "strategy: revisions, search_samples: 12",
        "strategy: best_of_n, search_samples: 15",
        "search_samples: 15",  # votes need no width
        "small: server",
    ],
)
def test_what_fits_together_is_taken(tmp_path: Path, changes: str) -> None:
    server = """models:
  server:
    engine: openai
    base_url: http://small/v1
    upstream_model: s
    context_tokens: 512
    max_tokens: 100
"""
    load_config(_changed(tmp_path, changes, MORE.replace("models:\n", server, 1)), {})


MISTAKES = {
    "search by steps without a judge of steps": (
        "strategy: beam",
        "50: policies.voting.strategy: beam judges unfinished answers, and the verifier cannot: it scores no "
        "steps; 'votes' is of kind majority",
    ),
    "no such strategy": (
        "strategy: beams",
        "50: policies.voting.strategy: must be 'auto', 'direct', 'majority', 'best_of_n', "
        "'best_of_n_weighted', 'beam', 'lookahead', 'dvts', 'particle', 'backtrack', 'revisions' or "
        "'reflect', not 'beams'",
    ),
    "chains that are not whole": (
        "strategy: revisions, chain_length: 5",
        "50: policies.voting.chain_length: search_samples (16) must be a multiple of chain_length (5), so "
        "that every chain is whole",
    ),
    "tools in every answer": (
        "task: tools",
        "50: policies.voting.task: cannot be tools, which come with a request; leave it out",
    ),
    "width in words": (
        "beam_width: wide",
        "50: policies.voting.beam_width: must be a whole number of at least 1, or 'sqrt', not 'wide'",
    ),
    "window rule without a window": (
        "stopping: {rule: window}",
        "50: policies.voting.stopping: the rule 'window' needs a window: how many samples must agree",
    ),
    "unknown key of stopping": (
        "stopping: {rules: none}",
        "50: policies.voting.stopping.rules: is not a known key; did you mean 'rule'?",
    ),
    "confidence of a coin": (
        "stopping: {rule: beta, confidence: 0.2}",
        "50: policies.voting.stopping.confidence: must be greater than or equal to 0.5, not 0.2",
    ),
}


@pytest.mark.parametrize(("changes", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_in_a_policy_is_named(tmp_path: Path, changes: str, message: str) -> None:
    assert _error(_changed(tmp_path, changes)) == message


OF_VERIFIERS = {
    "unknown member": (
        "weights: {prm: 1, prm2: 0.5}",
        "weights: {prm: 1, prm3: 0.5}",
        "30: verifiers.both.weights.prm3: is not in verifiers; did you mean 'prm'?",
    ),
    "itself": (
        "weights: {prm: 1, prm2: 0.5}",
        "weights: {prm: 1, both: 0.5}",
        "30: verifiers.both.weights.both: names the ensemble itself; weigh other verifiers",
    ),
    "an ensemble of ensembles": (
        "weights: {prm: 1, prm2: 0.5}",
        "weights: {prm: 1, mixed: 0.5}",
        "30: verifiers.both.weights.mixed: is an ensemble too; weigh its members here",
    ),
    "no weight": (
        "weights: {prm: 1, prm2: 0.5}",
        "weights: {prm: 0}",
        "30: verifiers.both.weights.prm: must be greater than 0, not 0",
    ),
    "quality without a minimum": (
        "path: /models/orm,",
        "path: /models/orm, quality: {file: q.json},",
        "26: verifiers.orm.quality: must give min_auc or min_gain_over_majority, or both",
    ),
    "quality without a file": (
        "path: /models/orm,",
        "path: /models/orm, quality: {min_auc: 0.6},",
        "26: verifiers.orm.quality.file: is missing",
    ),
    "function that is none": (
        "check: tests}",
        "check: python, entry_point: my_checks}",
        "29: verifiers.tests.entry_point: must be a function, as 'module:function', not 'my_checks'",
    ),
    "check of nothing": (
        "check: tests}",
        "check: python}",
        "29: verifiers.tests: the check 'python' needs an entry_point, such as 'my_checks:is_right'",
    ),
    "judge that cannot read": (
        "context_tokens: 900}",
        "context_tokens: 500}",
        "28: verifiers.judge: max_tokens (512) leaves nothing of context_tokens (500) to read",
    ),
    "judge priced as a reader": (
        "litellm_model: openai/j,",
        "litellm_model: openai/j, price: {usd_per_million_tokens: 1},",
        "28: verifiers.judge.price.usd_per_million_tokens: is not a known key; did you mean "
        "'usd_per_million_prompt_tokens'?",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "message"), OF_VERIFIERS.values(), ids=list(OF_VERIFIERS))
def test_a_mistake_in_a_verifier_is_named(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    assert right in MORE
    assert _error(write(tmp_path, MORE.replace(right, wrong, 1))) == message


@pytest.mark.parametrize("key", ["context_tokens", "max_tokens"])
def test_a_small_model_behind_a_server_needs_its_limits(tmp_path: Path, key: str) -> None:
    limit = {"context_tokens": "    context_tokens: 4096\n", "max_tokens": "    max_tokens: 100\n"}[key]
    before, server, after = MORE.partition("  big:\n")
    text = before + server + after.replace(limit, "", 1)
    message = _error(_changed(tmp_path, "small: big, large: null", text.replace("large: null}", "}")))
    assert message.endswith(
        f"models.big.{key}: is missing; policy 'voting' searches on this model, within that limit"
    )


def test_a_searched_model_says_how_it_is_asked_to_revise(tmp_path: Path) -> None:
    text = MORE.replace("    max_tokens: 100\n", "    max_tokens: 100\n    revise_prompt: Again.\n", 1)
    assert load_config(write(tmp_path, text), {}).models["tiny"].revise_prompt == "Again."  # type: ignore[union-attr]
    assert load_config(write(tmp_path, MORE), {}).models["tiny"].revise_prompt == REVISE  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (
            "    max_tokens: 100\n    revise_prompt: ''\n",
            "models.tiny.revise_prompt: must not be empty",
        ),
        (
            "    max_tokens: 100\n    revise_prompts: Again.\n",
            "models.tiny.revise_prompts: is not a known key; did you mean 'revise_prompt'?",
        ),
    ],
)
def test_a_mistake_in_how_to_ask_is_named(tmp_path: Path, model: str, problem: str) -> None:
    text = MORE.replace("    max_tokens: 100\n", model, 1)
    assert _error(write(tmp_path, text)) == f"8: {problem}"


@pytest.mark.parametrize(
    ("way", "verifier", "problem"),
    [
        ("beam@7", "prm", "its number of samples (7) must be a multiple of beam_width (4)"),
        ("revisions@6", "prm", "its number of samples (6) must be a multiple of chain_length (4)"),
        ("beam@8", "orm", "beam judges unfinished answers, and the verifier cannot: it scores no steps"),
    ],
)
@pytest.mark.parametrize(
    ("key", "names"),
    [("allow.0", "allow: [{}]"), ("rules.0.use", "rules: [{{when: {{tools: true}}, use: {}}}]")],
)
def test_a_search_that_cannot_be_done_is_no_way_to_answer_either(
    tmp_path: Path, way: str, verifier: str, problem: str, key: str, names: str
) -> None:
    file = tmp_path / "gradus.yaml"
    changes = f"{names.format(way)}, beam_width: 4, chain_length: 4"
    file.write_text(
        MORE.rstrip("\n") + f"\n  odd: {{<<: *default, verifier: {verifier}, strategy: auto, {changes}}}\n"
    )
    assert f"policies.odd.{key}: is {way!r}, which cannot be done: {problem}" in _error(file)
