"""Solutions in steps: one arithmetic operation a line, the last line `The answer is <n>.`"""

from __future__ import annotations

import ast
import re
from fractions import Fraction

STEP_SEPARATOR = "\n"
MAX_DECIMALS = 3
_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_ANSWER = re.compile(r"The answer is (-?\d+(?:\.\d+)?)\.\s*$")


class UnwritableError(ValueError):
    """The expression has no solution in short exact decimal steps."""


def format_number(value: Fraction) -> str:
    """An exact decimal of at most MAX_DECIMALS places, without trailing zeros."""
    scaled = value * 10**MAX_DECIMALS
    if scaled.denominator != 1:
        raise UnwritableError(f"{value} is not a short decimal")
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(scaled.numerator), 10**MAX_DECIMALS)
    return f"{sign}{whole}.{rest:0{MAX_DECIMALS}d}".rstrip("0")


def operation_line(left: Fraction, symbol: str, right: Fraction) -> tuple[str, Fraction]:
    """One step, for example `12 + 35 = 47`, and its value."""
    if symbol == "+":
        value = left + right
    elif symbol == "-":
        value = left - right
    elif symbol == "*":
        value = left * right
    elif right == 0:
        raise UnwritableError("division by zero")
    else:
        value = left / right
    return f"{format_number(left)} {symbol} {format_number(right)} = {format_number(value)}", value


def _walk(node: ast.AST, lines: list[str]) -> Fraction:
    if isinstance(node, ast.Expression):
        return _walk(node.body, lines)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return Fraction(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _walk(node.operand, lines)
        if isinstance(node.op, ast.UAdd):
            return value
        # A sign in front of a bracket is an operation of its own; in front of a number it is part of the
        # number.
        if not isinstance(node.operand, ast.Constant):
            lines.append(operation_line(Fraction(0), "-", value)[0])
        return -value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left = _walk(node.left, lines)
        right = _walk(node.right, lines)
        line, value = operation_line(left, _OPERATORS[type(node.op)], right)
        lines.append(line)
        return value
    raise UnwritableError(f"cannot write {type(node).__name__} as a step")


def expression_steps(expression: str) -> tuple[tuple[str, ...], Fraction]:
    """Evaluate an expression by Python's precedence, left to right; the lines of its operations and its
    value.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise UnwritableError(f"not an expression: {expression!r}") from error
    lines: list[str] = []
    value = _walk(tree, lines)
    return tuple(lines), value


def write_solution(lines: tuple[str, ...] | list[str], answer: Fraction) -> str:
    """Join steps and the answer line."""
    return STEP_SEPARATOR.join([*lines, f"The answer is {format_number(answer)}."])


def parse_answer(solution: str) -> str | None:
    """The final answer in canonical form, or None where the last line does not state one."""
    match = _ANSWER.search(solution)
    if match is None:
        return None
    try:
        return format_number(Fraction(match[1]))
    except UnwritableError:
        return match[1]


def check_solution(solution: str) -> bool:
    """True where every step is arithmetically right and the last line repeats the last value."""
    *lines, last = solution.split(STEP_SEPARATOR)
    value: Fraction | None = None
    for line in lines:
        expression, _, result = line.rpartition(" = ")
        try:
            value = expression_steps(expression)[1]
            if value != Fraction(result):
                return False
        except (UnwritableError, ValueError):
            return False
    stated = parse_answer(last)
    return stated is not None and (value is None or Fraction(stated) == value)
