"""The section of docs/abacus.md on revisions."""

from __future__ import annotations

from typing import Any

from workers.training.abacus.revising import WEIGHTED
from workers.training.abacus.tables import interval, number, table

_SHOWN = (1, 2, 3, 4, 6, 8, 12, 16)


def revisions(found: dict[str, Any], settings: dict[str, Any], plots: str) -> str:
    """``found`` holds the fields of :class:`workers.training.abacus.revising.Revising`."""
    places = [place for place in _SHOWN if place <= len(found["along"])]
    values = [found["along"][place - 1]["value"] for place in places]
    return f"""## Revisions

abacus-revision corrects its own answers (Snell et al. 2024, Algorithm 4), and abacus-revision-orm
judges an attempt with the earlier ones before it. On {settings["revision_questions"]} of the test
problems abacus-revision made {settings["chains"]} chains of {settings["chain_length"]} attempts each,
and independent first attempts.

![pass@1 along a chain, and what a budget buys]({plots}/revisions.png)

| attempt | {" | ".join(map(str, places))} |
| --- |{" --- |" * len(places)}
| right | {" | ".join(map(number, values))} |

In parallel, one attempt of abacus-revision is right with {interval(found["first_attempts"])}, one of
abacus-small with {interval(found["small"])}; the last of a chain with {interval(found["along"][-1])}.

The next revision breaks {interval(found["broken"])} of the right answers again (the paper: about 0.38),
and mends {interval(found["mended"])} of the wrong ones. So the answer is chosen within the chain, not
taken from its end.

At least one right:

{_any_of(found["any_of"])}

What a budget of attempts gets right, chosen by majority, by the sum of scores (best-of-N weighted), or
within each chain and then across chains (Algorithm 7). The last column is the difference to
abacus-small with abacus-prm on the same questions.

{_chosen(found["chosen"])}

How well verifiers tell right from wrong (AUC):

{_rankings(found)}"""


def _any_of(found: dict[Any, Any]) -> str:
    rows = [[k, *map(interval, shares)] for k, shares in found.items()]
    return table(
        ["of", "a chain of abacus-revision", "abacus-revision in parallel", "abacus-small in parallel"], rows
    )


def _chosen(found: list[dict[str, Any]]) -> str:
    rows = [
        [
            one["budget"],
            one["way"],
            interval(one["right"]),
            "–" if one["way"] == WEIGHTED else interval(one["gain"], signed=True),
        ]
        for one in found
    ]
    return table(["attempts", "way", "right", "difference"], rows)


def _rankings(found: dict[str, Any]) -> str:
    of = (
        ("abacus-revision-orm, attempts of chains", "chains"),
        ("abacus-revision-orm, first attempts", "first"),
        ("abacus-prm, samples of abacus-small", "prm"),
    )
    rows = [
        [label, number(found[key]["auc"]), number(found[key]["within_question_auc"])] for label, key in of
    ]
    return table(["verifier", "over all", "within a question"], rows)
