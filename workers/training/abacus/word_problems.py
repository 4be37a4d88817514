"""Steps of natural-language problems, extracted from the explanation that reasoning-gym gives and checked one
by one.
"""

from __future__ import annotations

import re
from fractions import Fraction

from workers.training.abacus.steps import UnwritableError, expression_steps, format_number, operation_line

_CURRENCY = re.compile(r"[$€£¥₹]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_BULLET = re.compile(r"^\s*(?:[-•*]|\d+\.)\s+")
_RATE_UNIT = re.compile(r"(?<=\d)\s*[A-Za-z]*/[A-Za-z]+")
_TIMES_LETTER = re.compile(r"(?<=[A-Za-z\d)])\s+x\s+(?=[\d(])")
_TO_PERCENT = re.compile(r"\*\s*100%\s*=\s*(\d+(?:\.\d+)?)%")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")
_UNIT_WORDS = re.compile(r"(?<=[\d)])\s+[A-Za-z][A-Za-z ']*?(?=\s*[-+*/=)])")
_EQUATION = re.compile(r"((?:[\d.\s()+\-*/])+)=\s*(-?\d+(?:\.\d+)?)(?!\.?\d|/)")
_LINEAR_TERM = re.compile(r"([+-]?)\s*(\d+)?(\*?)([a-z])?")


def _plain(line: str) -> str:
    """A line of an explanation with units, currencies and typographic operators taken out."""
    line = line.replace("×", "*").replace("÷", "/").replace("−", "-")
    line = _BULLET.sub("", _CURRENCY.sub("", line))
    line = _THOUSANDS.sub("", line)
    line = _RATE_UNIT.sub("", line)
    line = _TIMES_LETTER.sub(" * ", line)
    line = _TO_PERCENT.sub(r"* 100 = \1", line)
    line = _PERCENT.sub(r"(\1/100)", line)
    return _UNIT_WORDS.sub("", line)


def explanation_steps(explanation: str, answer: str) -> tuple[str, ...]:
    """Every `expression = number` of an explanation, one operation a line.

    Raises UnwritableError where an equation does not hold or the last one is not the answer, so a template
    whose explanation is wrong or not arithmetic never reaches the data.
    """
    lines: list[str] = []
    value: Fraction | None = None
    for raw in explanation.split("####")[0].splitlines():
        for match in _EQUATION.finditer(_plain(raw)):
            expression = match[1].strip().lstrip("+*/. ")
            if not re.search(r"[\d)]\s*[-+*/]", expression):
                continue
            steps, value = expression_steps(expression)
            if value != Fraction(match[2]):
                raise UnwritableError(f"{expression} is not {match[2]}")
            # An explanation that ends by repeating its last equation does not make another step.
            lines.extend(step for step in steps if not lines or step != lines[-1])
    if value is None or value != Fraction(answer):
        raise UnwritableError("the last equation is not the answer")
    return tuple(lines)


def leg_steps(counts: dict[str, int], legs: dict[str, int]) -> tuple[tuple[str, ...], Fraction]:
    """A product for each animal, then a running sum."""
    lines: list[str] = []
    parts: list[Fraction] = []
    for animal, count in counts.items():
        line, part = operation_line(Fraction(count), "*", Fraction(legs[animal]))
        lines.append(line)
        parts.append(part)
    total = parts[0]
    for part in parts[1:]:
        line, total = operation_line(total, "+", part)
        lines.append(line)
    return tuple(lines), total


def equation_steps(equation: str) -> tuple[tuple[str, ...], Fraction]:
    """A linear equation such as `56 - 98*e = -1218`: move the constant, divide by the coefficient."""
    left, _, right = equation.partition("=")
    coefficient, constant = Fraction(0), Fraction(0)
    for sign, digits, _star, letter in _LINEAR_TERM.findall(left.replace(" ", "")):
        if not digits and not letter:
            continue
        term = Fraction(int(digits) if digits else 1) * (-1 if sign == "-" else 1)
        if letter:
            coefficient += term
        else:
            constant += term
    value = Fraction(right.strip())
    lines: list[str] = []
    if constant:
        symbol = "-" if constant > 0 else "+"
        line, value = operation_line(value, symbol, abs(constant))
        lines.append(line)
    if coefficient == 0:
        raise UnwritableError("no variable left")
    if coefficient != 1:
        line, value = operation_line(value, "/", coefficient)
        lines.append(line)
    if not lines:
        raise UnwritableError("nothing to solve")
    format_number(value)
    return tuple(lines), value
