"""Answers that mean the same share a label; what most kinds of answers need to become a vote."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import fsum

LONGEST_TEXT = 100_000
"""Characters of a turn that are read for its answer: the last ones, where answers stand."""

Classes = Callable[[Sequence[str]], Sequence[int]]


def relabel(keys: Sequence[Hashable]) -> tuple[int, ...]:
    """Labels that count up in order of first appearance; equal keys have equal labels."""
    labels: dict[Hashable, int] = {}
    return tuple(labels.setdefault(key, len(labels)) for key in keys)


def by_leader(answers: Sequence[str], same: Callable[[str, str], bool]) -> tuple[int, ...]:
    """Classes of a relation that need not be transitive.

    Distinct answers are looked at in a fixed order, the shortest first; each joins the first class whose
    first member it equals, else founds one. So the classes do not depend on the order of ``answers``.
    ``same`` is called with (first member, answer).
    """
    leader_of: dict[str, str] = {}
    leaders: list[str] = []
    for answer in sorted(set(answers), key=lambda one: (len(one), one)):
        leader = next((leader for leader in leaders if same(leader, answer)), None)
        if leader is None:
            leaders.append(answer)
        leader_of[answer] = answer if leader is None else leader
    return relabel([leader_of[answer] for answer in answers])


def class_support(labels: Sequence[int], weights: Sequence[float]) -> tuple[float, ...]:
    """For each answer the sum of the weights of its class."""
    members: dict[int, list[float]] = {}
    for label, weight in zip(labels, weights, strict=True):
        members.setdefault(label, []).append(weight)
    totals = {label: fsum(own) for label, own in members.items()}
    return tuple(totals[label] for label in labels)


@dataclass(frozen=True, slots=True)
class GroupedAnswers:
    """Answers read by ``read`` and put into classes by ``group``; a class stands together in a vote."""

    read: Callable[[str], str | None]
    group: Classes = relabel

    def extract(self, text: str) -> str | None:
        return self.read(text[-LONGEST_TEXT:])

    def classes(self, answers: Sequence[str]) -> Sequence[int]:
        return self.group(answers)

    def support(self, answers: Sequence[str], weights: Sequence[float]) -> Sequence[float]:
        return class_support(self.classes(answers), weights)
