"""What a policy may say of what it wants, and every way in which that is wrong, with its line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config import Policy, load_config
from router.errors import ConfigInvalid
from tests.router.examples import YAML, write

LAST = len(YAML.splitlines())


def _policy(folder: Path, *lines: str, predictor: bool = True) -> Policy:
    """A policy with these lines, each on its own below what it shares with the default."""
    text = YAML + "  mine:\n    <<: *default\n" + "".join(f"    {line}\n" for line in lines)
    if predictor:
        text += "predictor: /predictors/one\n"
    return load_config(write(folder, text), {}).policies["mine"]


OWN = "usd_per_right_answer: null"

OBJECTIVES: list[tuple[tuple[str, ...], str]] = [
    ((), "usd_per_right_answer"),
    (("min_accuracy: 0.8",), "usd_per_right_answer"),
    ((OWN, "min_accuracy: 0.8", "confidence: 0.9"), "min_accuracy"),
    ((OWN, "min_share_of_large: 0.95", "confidence: 0.9"), "min_share_of_large"),
    ((OWN, "max_mean_cost_usd: 0.002"), "max_mean_cost_usd"),
    ((OWN, "max_usd_per_day: 50", "expected_queries_per_day: 100_000"), "max_usd_per_day"),
]


@pytest.mark.parametrize(("lines", "objective"), OBJECTIVES, ids=lambda each: "+".join(each[1:] or ["given"]))
def test_a_policy_wants_one_thing(tmp_path: Path, lines: tuple[str, ...], objective: str) -> None:
    policy = _policy(tmp_path, *lines)
    assert policy.objective == objective
    assert policy.is_tuned == (objective != "usd_per_right_answer")


def test_so_much_a_day_is_so_much_a_query(tmp_path: Path) -> None:
    policy = _policy(tmp_path, OWN, "max_usd_per_day: 50", "expected_queries_per_day: 100_000")
    assert policy.mean_cost_usd == Decimal("0.0005")
    assert _policy(tmp_path, OWN, "max_mean_cost_usd: 0.1").mean_cost_usd == Decimal("0.1")
    assert _policy(tmp_path).mean_cost_usd is None


@pytest.mark.parametrize(
    ("written", "larges"), [("big", ("big",)), ("[big, unpriced]", ("big", "unpriced")), ("null", ())]
)
def test_large_is_one_model_or_several_and_the_first_is_the_large_one(
    tmp_path: Path, written: str, larges: tuple[str, ...]
) -> None:
    policy = _policy(tmp_path, f"large: {written}")
    assert policy.larges == larges
    assert policy.large == (larges[0] if larges else None)


@pytest.mark.parametrize(
    ("lines", "stages"),
    [
        ((), (4, 8, 16)),
        (("probe_samples: 12",), (4, 8, 12)),
        (("probe_samples: 3",), (3,)),
        (("probe_samples: 4",), (4,)),
        (("probe_samples: 0",), ()),
        (("probe: never",), ()),
        (("strategy: direct",), ()),
        (("probe_stages: [2, 16]",), (2, 16)),
    ],
    ids=str,
)
def test_a_probe_looks_at_powers_of_two_unless_it_is_told(
    tmp_path: Path, lines: tuple[str, ...], stages: tuple[int, ...]
) -> None:
    assert _policy(tmp_path, *lines).stages == stages


@given(st.integers(1, 300))
def test_stages_rise_to_the_samples_of_the_probe(samples: int) -> None:
    policy = Policy(small="a", verifier="b", usd_per_right_answer=Decimal(1), probe_samples=samples)
    assert list(policy.stages) == sorted(set(policy.stages))
    assert policy.stages[-1] == samples


MISTAKES: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no objective": ((OWN,), -1, ": does not say what it wants; give one of usd_per_right_answer, "
        "min_accuracy, "
        "min_share_of_large, max_mean_cost_usd, max_usd_per_day"),
    "two objectives": (("max_mean_cost_usd: 1",), 1, ".max_mean_cost_usd: is a second objective beside "
        "usd_per_right_answer; keep one (usd_per_right_answer: null takes back what a merge brings in)"),
    "an accuracy for sure and a price": (("min_accuracy: 0.9", "confidence: 0.9"), 1,
        ".min_accuracy: is a second objective beside usd_per_right_answer; keep one "
        "(usd_per_right_answer: null takes back what a merge brings in)"),
    "two accuracies": ((OWN, "min_accuracy: 0.9", "min_share_of_large: 0.9", "confidence: 0.9"), 3,
        ".min_share_of_large: is a second objective beside min_accuracy; keep one "
        "(min_accuracy: null takes back what a merge brings in)"),
    "an accuracy of what": ((OWN, "min_accuracy: 0.9"), 2, ".min_accuracy: needs a confidence (0.9: the "
        "cheapest "
        "way to be right so often on average, certified) or usd_per_right_answer (query by query, and "
        "what counts "
        "where no way is right so often)"),
    "a share without confidence": ((OWN, "min_share_of_large: 0.9"), 2,
        ".min_share_of_large: needs a confidence, for example 0.9"),
    "a share of no model": ((OWN, "min_share_of_large: 0.9", "confidence: 0.9", "large: null"), 2,
        ".min_share_of_large: compares with a large model, and this policy has none; give large"),
    "a share of a forbidden model": ((OWN, "min_share_of_large: 0.9", "confidence: 0.9", "allow: [small]"), 2,
        ".min_share_of_large: compares with the large model, which allow leaves out; add it there"),
    "confidence in nothing": (("confidence: 0.9",), 1,
        ".confidence: certifies min_accuracy or min_share_of_large, not usd_per_right_answer; leave it out"),
    "confidence too low": (("confidence: 0.2",), 1,
        ".confidence: must be greater than or equal to 0.5, not 0.2"),
    "a day of how many": ((OWN, "max_usd_per_day: 5"), 2,
        ".max_usd_per_day: needs expected_queries_per_day too: together they are what a query may cost "
        "on average"),
    "queries for nothing": (("expected_queries_per_day: 5",), 1,
        ".expected_queries_per_day: needs max_usd_per_day too: together they are what a query may cost "
        "on average"),
    "no query a day": (("expected_queries_per_day: 0",), 1,
        ".expected_queries_per_day: must be greater than 0, not 0"),
    "a share above one": (("min_share_of_large: 1.1",), 1,
        ".min_share_of_large: must be less than or equal to 1, not 1.1"),
    "a negative sum": (("max_mean_cost_usd: -1",), 1,
        ".max_mean_cost_usd: must be greater than or equal to 0, not -1"),
    "slower than the deadline": (("max_latency_s: 61",), 1,
        ".max_latency_s: is above deadline_s (60), when every answer has ended"),
    "an unknown large model": (("large: [big, bigg]",), 1,
        ".large: names 'bigg', which is not in models; did you mean 'big'?"),
    "a small model among the large": (("large: [big, tiny]",), 1,
        ".large: is the small model itself ('tiny'); name another, or leave it out"),
    "a large model twice": (("large: [big, big]",), 1, ".large: names 'big' twice; once is enough"),
    "a large model that is no name": (("large: 3",), 1, ".large: must be a list, not 3"),
    "a probe of nothing": (("probe: always", "probe_samples: 0"), 1,
        ".probe: is always, but probe_samples is 0; change one of them"),
    "a probe for one answer": (("probe: always", "strategy: direct"), 1,
        ".probe: is always, but strategy: direct uses one sample; change one of them"),
    "a probe that is sometimes": (("probe: sometimes",), 1,
        ".probe: must be 'auto', 'always' or 'never', not 'sometimes'"),
    "stages that fall": (("probe_stages: [8, 4, 16]",), 1,
        ".probe_stages: must rise and end at probe_samples (16), not [8, 4, 16]"),
    "stages that end early": (("probe_stages: [4, 8]",), 1,
        ".probe_stages: must rise and end at probe_samples (16), not [4, 8]"),
    "no stages": (("probe_stages: []",), 1, ".probe_stages: is empty; give at least one"),
    "a stage of nothing": (("probe_stages: [0, 16]",), 1,
        ".probe_stages.0: must be greater than or equal to 1, not 0"),
    "unseen prompts for no model": (("unseen: large", "large: null"), 1,
        ".unseen: is large, and this policy has no large model; give large, or unseen: small"),
    "unseen prompts without a probe": (("unseen: probe", "probe: never"), 1,
        ".unseen: is probe, and this policy never probes; say large or small"),
    "unseen below more than everything": (("unseen_below: 2",), 1,
        ".unseen_below: must be less than or equal to 1, not 2"),
    "allowed is what is not there": (("allow: [small, unpriced]",), 1,
        ".allow.1: is no way to answer: 'unpriced'; there are small, large, tiny, big (a search is "
        "written like "
        "majority@16)"),
    "allowed is a search of none": (("allow: [majority@0]",), 1,
        ".allow.0: is no way to answer: 'majority@0'; there are small, large, tiny, big (a search is "
        "written like "
        "majority@16)"),
    "allowed is a large model, without one": (("allow: [small, large]", "large: null"), 1,
        ".allow.1: is large, and this policy has no large model; give large"),
    "nothing is allowed": (("allow: []",), 1, ".allow: is empty; give at least one"),
    "a rule for no condition": (("rules:", "  - {when: {}, use: small}"), 2,
        ".rules.0.when: is empty; give at least one of tools, images, min_prompt_tokens, languages, "
        "prefix, pattern, "
        "users"),
    "a rule without a condition": (("rules:", "  - {use: small}"), 2, ".rules.0.when: is missing"),
    "a rule that does nothing": (("rules:", "  - when: {tools: true}"), 2,
        ".rules.0: must give either use (a way to answer) or refuse (a text), found neither"),
    "a rule that does two things": (("rules:", '  - {when: {tools: true}, use: small, refuse: "no"}'), 2,
        ".rules.0: must give either use (a way to answer) or refuse (a text), found both"),
    "a rule to nowhere": (("rules:", "  - {when: {tools: true}, use: small}", "  - when: {images: true}",
        "    use: gpt"), 4, ".rules.1.use: is no way to answer: 'gpt'; there are small, large, tiny, "
        "big, unpriced (a "
        "search is written like majority@16)"),
    "a rule to no large model": (("large: null", "rules:", "  - {when: {tools: true}, use: large}"), 3,
        ".rules.0.use: is large, and this policy has no large model; name a model"),
    "a rule to what is forbidden": (("allow: [small]", "rules:", "  - {when: {tools: true}, use: big}"), 3,
        ".rules.0.use: is 'big', which allow leaves out; add it there"),
    "a condition misspelt": (("rules:", "  - {when: {tool: true}, use: small}"), 2,
        ".rules.0.when.tool: is not a known key; did you mean 'tools'?"),
    "a condition of no truth": (("rules:", "  - {when: {tools: 1}, use: small}"), 2,
        ".rules.0.when.tools: must be a valid boolean, not 1"),
    "a language by its name": (("rules:", "  - {when: {languages: [german]}, use: small}"), 2,
        ".rules.0.when.languages.0: must be a language by its two letters (ISO 639-1), as en or de, not "
        "'german'"),
    "no language": (("rules:", "  - {when: {languages: []}, use: small}"), 2,
        ".rules.0.when.languages: is empty; give at least one"),
    "a pattern that is none": (("rules:", '  - {when: {pattern: "("}, use: small}'), 2,
        ".rules.0.when.pattern: is not a regular expression: missing ), unterminated subpattern at "
        "position 0"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "below", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, lines: tuple[str, ...], below: int, message: str
) -> None:
    """``below`` counts lines from ``<<: *default``."""
    with pytest.raises(ConfigInvalid) as caught:
        _policy(tmp_path, *lines)
    path = tmp_path / "gradus.yaml"
    assert str(caught.value).replace(": policies.mine", "@", 1) == f"{path}:{LAST + 2 + below}@{message}"


@pytest.mark.parametrize("lines", [each for each, _ in OBJECTIVES[2:]], ids=lambda each: each[1])
def test_what_is_tuned_needs_a_predictor_to_be_tuned_on(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(ConfigInvalid, match="is tuned on the calibration questions of a predictor; name one"):
        _policy(tmp_path, *lines, predictor=False)


def test_allow_knows_models_by_either_name(tmp_path: Path) -> None:
    rules: Any = ("rules:", "  - {when: {tools: true}, use: large}")
    assert _policy(tmp_path, "allow: [tiny, big, beam@16]", *rules).rules[0].use == "large"


def test_the_documented_policies_are_valid(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "policies.md").read_text("utf-8")
    policies = document.split("```yaml\n")[1].split("```")[0]
    for ours, theirs in (("qwen-small", "tiny"), ("qwen-prm", "prm"), ("[gpt, claude]", "[big, unpriced]")):
        policies = policies.replace(ours, theirs)
    loaded = load_config(write(tmp_path, YAML[: YAML.index("policies:")] + policies), {}).policies
    assert {name: policy.objective for name, policy in loaded.items()} == {
        "default": "usd_per_right_answer",
        "as-good": "min_share_of_large",
        "accurate": "min_accuracy",
        "frugal": "max_usd_per_day",
    }
