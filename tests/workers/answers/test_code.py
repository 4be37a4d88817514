"""Programs: one when they differ only in form, or when they do the same."""

from __future__ import annotations

import pytest

from router.types import Task
from workers.answers import answers_for
from workers.answers.program import spell_program
from workers.errors import InvalidTask

CODE = answers_for(Task("code"))

ONE = '''
import math

def area(radius: float, scale=1) -> float:
    """The area of a circle."""
    squared: float = radius ** 2  # as always
    def grow(by):
        nonlocal squared
        squared *= by
    grow(scale)
    return sum(x for x in [squared * math.pi])
'''
OTHER = """import math


def area(r, scale=1):
    s = r**2

    def bigger(factor):
        nonlocal s
        s *= factor

    bigger(scale)
    return sum(y for y in [s * math.pi])
"""


def test_form_does_not_matter() -> None:
    assert CODE.extract(ONE) == CODE.extract(f"Look:\n```python\n{OTHER}```\nDone.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(a, b):\n return a - b", "def f(a, b):\n return b - a"),
        ("def f(a):\n return sum(a)", "def f(a):\n sum = len\n return sum(a)"),
        ("def f(a):\n return g(a)", "def f(a):\n return h(a)"),
        ("def f():\n import os\n return os", "def f():\n import re\n return re"),
        ("class A:\n x: int", "class A:\n y: int"),
        ("f = lambda x: x", "f = lambda x: -x"),
        ("def f(x):\n return g(x=x)", "def f(y):\n return g(y=y)"),
    ],
)
def test_what_may_matter_is_kept(one: str, other: str) -> None:
    assert spell_program(one) != spell_program(other)


@pytest.mark.parametrize(
    "source",
    [
        ONE,
        "def f(v1, v0):\n    v0 = v1\n    return v0, v2",
        "def f():\n    x = 1\n    return locals()",
        "class A:\n    x: int = 1\n    def f(self, n=x):\n        self.n: int = n\n        del n",
        "def f(*a, k=1, **b):\n    for i, j in a:\n        with i as k: pass\n    return [k for k in b if k]",
        "async def f(x):\n    try:\n        await x\n    except OSError as e:\n        raise e from None",
        "def f(p):\n    match p:\n        case {'a': x, **r}: return x, r\n        case [y, *z]: return y, z",
        "def f():\n    def g(): 'doc'\n    class B:\n        y = 1\n    return [B.y, g, (w := 1), w]",
    ],
)
def test_a_canonical_program_is_its_own_canonical_form_and_still_a_program(source: str) -> None:
    once = spell_program(source)

    assert once is not None
    assert spell_program(once) == once
    compile(once, "once", "exec")


def test_a_program_keeps_its_behaviour() -> None:
    once, space, original = spell_program(ONE), {}, {}  # type: ignore[var-annotated]
    assert once is not None
    exec(once, space)
    exec(ONE, original)

    assert space["area"](3, 2) == original["area"](3, 2)


@pytest.mark.parametrize("text", ["I cannot program", "```python\ndef f(:\n```", "# nothing", ""])
def test_what_is_no_program_is_no_answer(text: str) -> None:
    assert CODE.extract(text) is None


def test_a_program_must_define_the_function_that_is_asked_for() -> None:
    answers = answers_for(Task("code", entry_point="f"))

    assert answers.extract("def f(): return 1") is not None
    assert answers.extract("from math import sin as f") is not None
    assert answers.extract("def g(): return f()") is None


def test_programs_that_do_the_same_are_one_class() -> None:
    answers = answers_for(Task("code", entry_point="f", cases=((3,), (0,), ("x",))))
    programs = [
        "def f(n): return n * 2",
        "def f(n):\n    return n + n",
        "def f(n): return 2.0 * n",  # other than the first on text
        "def f(n): return 6 if n == 3 else 0",
        "def f(n):\n    import os\n    os._exit(0)",
        "def f(n): return f'{n}{n}' if n == 'x' else 2.0 * n",
    ]

    assert answers.classes(programs) == (0, 0, 1, 2, 3, 0)


def test_sets_and_objects_are_compared_without_order_and_address() -> None:
    answers = answers_for(Task("code", entry_point="f", cases=(([3, 1, 2],),)))
    sets = ["def f(n): return set(n)", "def f(n): return set(reversed(n))", "def f(n): return sorted(n)"]
    objects = ["def f(n): return iter(n)", "def f(n):\n    m = n\n    return iter(m)"]

    assert answers.classes(sets + objects) == (0, 0, 1, 2, 2)


def test_cases_without_a_function_are_refused() -> None:
    with pytest.raises(InvalidTask, match="entry_point"):
        answers_for(Task("code", cases=((1,),)))
