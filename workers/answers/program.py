"""Programs that a model wrote: found in its text, and spelled one way so that equal programs are equal."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from itertools import count

from workers.answers.json_text import last_fenced

_CANNOT_BE_READ = (SyntaxError, ValueError, MemoryError, RecursionError)
_SEES_NAMES = frozenset(["locals", "vars", "globals", "eval", "exec", "dir"])
"""Programs that use one of these may tell what their variables are called."""


def find_program(text: str) -> str | None:
    """The Python source in a turn: all of it if it parses, else its last fenced block, else ``None``."""
    for source in (text, last_fenced(text)):
        if source is not None and source.strip() and _parse(source) is not None:
            return source
    return None


def defines(source: str, name: str) -> bool:
    """Whether a program defines a name at its top level."""
    try:
        table = symtable.symtable(source, "program", "exec")
    except _CANNOT_BE_READ:
        return False
    return name in table.get_identifiers() and (
        table.lookup(name).is_assigned() or table.lookup(name).is_imported()
    )


def spell_program(source: str) -> str | None:
    """The program without what does not matter: layout, comments, docstrings, type hints, names of locals.

    Hints of functions and of variables outside of class bodies go; those of class bodies stay, dataclasses
    read them. Parameters that are somewhere given by keyword keep their names, and so does everything in a
    program that can see names. Idempotent; ``None`` if it does not parse, or does nothing.
    """
    try:
        stripped = ast.unparse(ast.fix_missing_locations(_WithoutWords().visit(ast.parse(source))))
        tree = ast.parse(stripped)
        if not _SEES_NAMES & {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}:
            _rename_locals(tree, symtable.symtable(stripped, "program", "exec"))
        return ast.unparse(tree) or None
    except _CANNOT_BE_READ:
        return None


def _parse(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except _CANNOT_BE_READ:
        return None


class _WithoutWords(ast.NodeTransformer):
    """Takes away docstrings and type hints. (Comments and layout never reach the tree.)"""

    def __init__(self) -> None:
        self._fields: set[int] = set()

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._fields |= {id(one) for one in node.body if isinstance(one, ast.AnnAssign)}
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if id(node) in self._fields:
            return node
        return None if node.value is None else ast.Assign([node.target], node.value)


def _rename_locals(tree: ast.Module, table: symtable.SymbolTable) -> None:
    """Rename the locals of each outermost function v0, v1, ... in order of appearance.

    A name is renamed everywhere in the function, nested scopes included, if nowhere in it it is global, a
    builtin, imported, or an attribute of a class: then all that it denotes are variables of the function.
    """
    tables = {(one.get_name(), one.get_lineno()): one for one in _outermost_functions(table)}
    keywords = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            scope = tables.get((node.name, node.lineno))
            if scope is not None:
                _Renamer(*_names(scope), keywords).rename(node)


def _outermost_functions(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        if child.get_type() == "function":
            yield child
        else:
            yield from _outermost_functions(child)


def _names(scope: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """The names that a function and its nested scopes bind as variables; those that mean something else."""
    variables: set[str] = set()
    others: set[str] = set()
    for symbol in scope.get_symbols():
        is_attribute = scope.get_type() == "class" and symbol.is_local()
        is_other = symbol.is_global() or symbol.is_imported() or is_attribute
        (others if is_other else variables).add(symbol.get_name())
    for child in scope.get_children():
        inner_variables, inner_others = _names(child)
        variables |= inner_variables
        others |= inner_others
    return variables, others


class _Renamer(ast.NodeVisitor):
    def __init__(self, variables: set[str], others: set[str], keywords: set[str | None]) -> None:
        self._renamed = {one for one in variables - others - keywords if not one.startswith("__")}
        self._taken = (variables | others) - self._renamed
        self._new: dict[str, str] = {}

    def rename(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = function.args
        for one in (
            *arguments.posonlyargs,
            *arguments.args,
            arguments.vararg,
            *arguments.kwonlyargs,
            arguments.kwarg,
        ):
            if one is not None:
                self.visit(one)
        for statement in function.body:  # defaults and decorators belong to the scope around it
            self.visit(statement)

    def visit(self, node: ast.AST) -> None:
        for field in ("id", "name", "arg", "rest"):
            name = getattr(node, field, None)
            if isinstance(name, str) and not isinstance(node, ast.keyword | ast.alias):
                setattr(node, field, self._name(name))
        if isinstance(node, ast.Nonlocal):
            node.names = [self._name(name) for name in node.names]
        self.generic_visit(node)

    def _name(self, name: str) -> str:
        if name not in self._renamed:
            return name
        if name not in self._new:
            fresh = (f"v{number}" for number in count())
            used = {*self._taken, *self._new.values()}
            self._new[name] = next(one for one in fresh if one not in used)
        return self._new[name]
