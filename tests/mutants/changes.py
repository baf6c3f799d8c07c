"""The small changes that are tried on a source, one at a time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

_COMPARE = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_BINARY = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Mod: ast.Mult,
}  # fmt: skip
_NAMES = {
    "any": "all", "all": "any", "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum",
    "argmin": "argmax", "argmax": "argmin", "mean": "sum", "exp": "expm1", "less": "less_equal",
}  # fmt: skip


class Mutant(NamedTuple):
    """One change: where it is, what it is, and the whole source with it."""

    path: str
    line: int
    what: str
    source: str


def _variants(node: ast.AST) -> Iterator[tuple[str, dict[str, Any]]]:
    """What may stand in place of a node's own fields: (in words, the fields)."""
    match node:
        case ast.Compare(ops=[op, *rest]) if type(op) in _COMPARE:
            new = _COMPARE[type(op)]
            yield f"{type(op).__name__} -> {new.__name__}", {"ops": [new(), *rest]}
        case ast.BinOp(op=op) if type(op) in _BINARY:
            yield f"{type(op).__name__} -> {_BINARY[type(op)].__name__}", {"op": _BINARY[type(op)]()}
        case ast.BoolOp(op=op):
            new = ast.Or if isinstance(op, ast.And) else ast.And
            yield f"{type(op).__name__} -> {new.__name__}", {"op": new()}
        case ast.UnaryOp(op=ast.USub()):
            yield "-x -> +x", {"op": ast.UAdd()}
        case ast.UnaryOp(op=ast.Not()):
            yield "not x -> not not x", {"operand": ast.UnaryOp(ast.Not(), node.operand)}
        case ast.Constant(value=bool(value)):
            yield f"{value} -> {not value}", {"value": not value}
        case ast.Constant(value=int(value) | float(value)):
            yield f"{value} -> {value + 1}", {"value": value + 1}
        case ast.Attribute(attr=name) | ast.Name(id=name) if name in _NAMES:
            yield f"{name} -> {_NAMES[name]}", {"attr" if isinstance(node, ast.Attribute) else "id": _NAMES[name]}
        case ast.IfExp(body=body, orelse=orelse):
            yield "a if c else b -> b if c else a", {"body": orelse, "orelse": body}


def _silent(tree: ast.Module) -> set[int]:
    """Nodes that say something and do nothing a test could see.

    Annotations, messages of errors, estimates of memory (made with room to spare), what is compiled ahead of its use.
    """
    quiet: set[int] = set()
    for node in ast.walk(tree):
        parts: list[Any] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr):
            parts.append(node)
        if isinstance(node, ast.FunctionDef) and node.name == "warm":
            parts.append(node)
        if isinstance(node, ast.keyword) and node.arg == "each":
            parts.append(node.value)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check_room":
            parts.append(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            parts.append(node)
        quiet |= {id(each) for part in parts if isinstance(part, ast.AST) for each in ast.walk(part)}
    return quiet


def mutants(path: str, source: str) -> Iterator[Mutant]:
    """Every change of one source, in the order of its lines."""
    tree = ast.parse(source)
    quiet = _silent(tree)
    for node in ast.walk(tree):
        if id(node) in quiet:
            continue
        for what, fields in _variants(node):
            before = {name: getattr(node, name) for name in fields}
            for name, value in fields.items():
                setattr(node, name, value)
            changed = ast.unparse(ast.fix_missing_locations(tree))
            for name, value in before.items():
                setattr(node, name, value)
            yield Mutant(path, node.lineno, what, changed)  # type: ignore[attr-defined]
