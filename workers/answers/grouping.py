"""Answers that mean the same share a label; what most kinds of answers need to become a vote."""

from __future__ import annotations

import threading
from bisect import bisect
from collections.abc import Callable, Hashable, Mapping, Sequence
from math import fsum

LONGEST_TEXT = 100_000
"""Characters of a turn that are read for its answer: the last ones, where answers stand."""

Read = Callable[[str], str | None]
Same = Callable[[str, str], bool]
Keys = Callable[[Sequence[str]], Mapping[str, Hashable]]
"""For distinct answers (and perhaps for others) a key each: equal keys are one class."""


def relabel(keys: Sequence[Hashable]) -> tuple[int, ...]:
    """Labels that count up in order of first appearance; equal keys have equal labels."""
    labels: dict[Hashable, int] = {}
    return tuple(labels.setdefault(key, len(labels)) for key in keys)


def class_support(labels: Sequence[int], weights: Sequence[float]) -> tuple[float, ...]:
    """For each answer the sum of the weights of its class."""
    members: dict[int, list[float]] = {}
    for label, weight in zip(labels, weights, strict=True):
        members.setdefault(label, []).append(weight)
    totals = {label: fsum(own) for label, own in members.items()}
    return tuple(totals[label] for label in labels)


def once_a_text(read: Read) -> Read:
    """``read`` of the end of a turn, asked once for each text."""
    known: dict[str, str | None] = {}

    def extract(text: str) -> str | None:
        end = text[-LONGEST_TEXT:]
        if end not in known:
            known[end] = read(end)
        return known[end]

    return extract


class Leaders:
    """Classes of a relation that need not be transitive: the key of an answer is its class's first member.

    Distinct answers are looked at in a fixed order, the shortest first; each joins the first class whose
    first member it equals, else founds one. So the classes do not depend on the order of ``answers``.
    ``same`` is called with (first member, answer). A vote asks again after every sample: what has come to
    the answers of the last call is compared with the first members only.
    """

    def __init__(self, same: Same) -> None:
        self._same = same
        self._leader_of: dict[str, str] = {}
        self._leaders: list[str] = []

    def __call__(self, answers: Sequence[str]) -> Mapping[str, str]:
        if not self._leader_of.keys() <= set(answers):
            self._forget()
        for answer in sorted(set(answers) - self._leader_of.keys(), key=_place):
            self._add(answer)
        return self._leader_of

    def _add(self, answer: str) -> None:
        at = bisect(self._leaders, _place(answer), key=_place)
        for leader in self._leaders[:at]:
            if self._same(leader, answer):
                self._leader_of[answer] = leader
                return
        if any(self._same(answer, later) for later in self._leaders[at:]):
            self._start_over(answer)
            return
        later_ones = set(self._leaders[at:])
        for one, leader in self._leader_of.items():
            if leader in later_ones and one != leader and self._same(answer, one):
                self._leader_of[one] = answer
        self._leaders.insert(at, answer)
        self._leader_of[answer] = answer

    def _start_over(self, answer: str) -> None:
        """A class has lost its first member to ``answer``: its others may belong anywhere."""
        everything = [*self._leader_of, answer]
        self._forget()
        for one in sorted(everything, key=_place):
            self._add(one)

    def _forget(self) -> None:
        self._leader_of.clear()
        self._leaders.clear()


def _place(answer: str) -> tuple[int, str]:
    return (len(answer), answer)


class GroupedAnswers:
    """Answers read by ``read``; those with equal ``keys`` stand together in a vote, by default equal ones.

    For one query: what was read is remembered. ``keys`` is called by one thread at a time.
    """

    def __init__(self, read: Read, keys: Keys | None = None) -> None:
        self.is_exact = keys is None
        self.extract = once_a_text(read)
        self._keys = keys
        self._lock = threading.Lock()

    def classes(self, answers: Sequence[str]) -> Sequence[int]:
        if self._keys is None:
            return relabel(answers)
        with self._lock:
            keys = self._keys(tuple(dict.fromkeys(answers)))
            return relabel([keys[answer] for answer in answers])

    def support(self, answers: Sequence[str], weights: Sequence[float]) -> Sequence[float]:
        return class_support(self.classes(answers), weights)
