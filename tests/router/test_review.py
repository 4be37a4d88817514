"""A policy in words, and what is doubtful about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.config import load_config
from router.market import open_market
from router.review import Review, review
from tests.router.examples import YAML, write


def _review(folder: Path, *lines: str, text: str = YAML) -> Review:
    text += "  mine:\n    <<: *default\n" + "".join(f"    {line}\n" for line in lines)
    config = load_config(write(folder, f"{text}predictor: /predictors/one\n"), {})
    return review(open_market(config), "mine", None)


OWN = "usd_per_right_answer: null"
WORDS: list[tuple[tuple[str, ...], str]] = [
    ((), "the most worth, at $0.05 a right answer"),
    (
        ("min_accuracy: 0.8",),
        "for each query the cheapest way that is right in 80%; where none is, the most worth, at $0.05 a "
        "right answer",
    ),
    (
        (OWN, "min_accuracy: 0.8", "confidence: 0.95"),
        "the cheapest way to be right in 80% of all queries, with 95% confidence",
    ),
    ((OWN, "max_mean_cost_usd: 0.002"), "as often right as can be for $0.002 a query"),
    (
        (OWN, "max_usd_per_day: 50", "expected_queries_per_day: 100_000"),
        "as often right as can be for $0.0005 a query: $50 a day at 100,000 queries a day; above that it "
        "spends more: cap it with keys (docs/keys.md)",
    ),
    (
        ("max_cost_usd: 0.1", "max_latency_s: 5"),
        "the most worth, at $0.05 a right answer; no request for more than $0.1; no way that takes longer "
        "than 5 s",
    ),
]


@pytest.mark.parametrize(
    ("lines", "words"), WORDS, ids=lambda each: None if isinstance(each, tuple) else each
)
def test_what_a_policy_wants_is_said_in_words(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    assert _review(tmp_path, *lines).wants == words


def test_a_policy_without_doubts_has_no_warnings(tmp_path: Path) -> None:
    assert _review(tmp_path).warnings == ()


def test_ways_say_what_may_be_done_and_when_is_probed(tmp_path: Path) -> None:
    assert _review(tmp_path, "probe: always").ways.endswith("big; always probes, at 4, 8, 16 samples")
    assert _review(tmp_path, "probe: never").ways.endswith("big; never probes")
    assert "(of these, allowed are small, big)" in _review(tmp_path, "allow: [small, big]").ways


def test_rules_are_told_in_order(tmp_path: Path) -> None:
    found = _review(
        tmp_path,
        "rules:",
        "  - {when: {tools: true, users: [ann, bob]}, use: large}",
        '  - {name: pinned, when: {prefix: "/no"}, refuse: "not here"}',
    )
    assert found.rules == (
        "rule 1: tools true and users ann, bob -> large",
        "rule 2 (pinned): prefix /no -> refused: not here",
    )


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        (("large: unpriced",), "unpriced has no known price: costs are not weighed; give a price"),
        (
            ("large: unpriced", "max_cost_usd: 1"),
            "unpriced has no known price: under a cap that is not used; give a price",
        ),
        (
            (
                "rules:",
                "  - {when: {tools: true}, use: small}",
                "  - {when: {tools: true, images: true}, use: big}",
            ),
            "rule 2 never matches: rule 1 covers it",
        ),
        (
            ("rules:", "  - {name: odd, when: {languages: [en, xx]}, use: small}"),
            "rule 1 (odd) names the language 'xx', which nobody recognises",
        ),
        (("min_accuracy: 0.95",), "no way is right in 95%: the most is 92%, of easy queries"),
        (("max_latency_s: 5",), "max_latency_s leaves nothing out: no latency of its models is known"),
        (
            (OWN, "max_mean_cost_usd: 0.002"),
            "there is nothing to tune it on: until there is a predictor that fits, it takes the most "
            "accurate way, whatever that costs",
        ),
    ],
    ids=str,
)
def test_what_is_doubtful_is_a_warning(tmp_path: Path, lines: tuple[str, ...], warning: str) -> None:
    assert _review(tmp_path, *lines).warnings == (warning,)
