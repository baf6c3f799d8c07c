"""A fingerprint of code that comments, docstrings, annotations, sentences and messages of errors do not change.

It is made of the functions that ran (see `lab.papers.recorded.reach`); of what their modules do when they are imported:
constants, registrations, the bodies of classes; and of what they name without calling it by the interpreter: constants
of other modules and compiled kernels.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["ROOT", "fingerprint", "functions"]

#: Folder that holds the packages `lab` and `simulators`.
ROOT = Path(__file__).resolve().parents[3]
#: Arguments that are words for readers, wherever a module registers or declares something.
_PROSE = {"sentence", "note", "published", "equation", "worked", "about", "label", "help", "help_text"}
_UNREAD = {"type_comment", "type_params", "ctx", "kind"}
_HOPS = 4  # doors behind doors

Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Module(NamedTuple):
    """A source file: its functions and methods by qualified name, all else, and what may be meant by a name."""

    functions: dict[str, list[ast.AST]]
    top: list[ast.AST]
    quiet: dict[str, list[ast.AST]]
    aliases: dict[str, tuple[str, str]]


class _Part(NamedTuple):
    """A piece of code: its digest, and the other pieces it names that no interpreter is seen to run."""

    digest: str
    names: tuple[tuple[str, str], ...]


def fingerprint(reach: Mapping[str, str]) -> str:
    """Sixteen digits for the present code of what ran: names of functions, spaces between them, by module."""
    wanted = [(module, name) for module, names in reach.items() for name in names.split()]
    wanted += [(package, "") for module in reach for package in _packages(module)]
    found: dict[tuple[str, str], str] = {}
    while wanted:
        key = wanted.pop()
        if key not in found:
            part = _part(*key)
            found[key] = part.digest
            wanted += part.names
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:16]


def functions(module: str) -> frozenset[str]:
    """Qualified names of the functions and methods of a module."""
    return frozenset(_module(module).functions)


def _packages(module: str) -> list[str]:
    """The module and the packages it lies in, without the outermost."""
    names = module.split(".")
    return [".".join(names[:end]) for end in range(2, len(names) + 1)]


@cache
def _module(name: str) -> _Module:
    path = next((p for p in _places(name) if p.is_file()), None)
    found = _Module({}, [], {}, {})
    if path is None:
        return found
    tree = _Bare().visit(ast.parse(path.read_text(encoding="utf-8")))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.aliases.update(_imported(node, package))
    for node in tree.body:
        _enter(node, found)
    return found


def _places(name: str) -> Iterator[Path]:
    stem = ROOT / name.replace(".", "/")
    yield from (stem.with_suffix(".py"), stem / "__init__.py")


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, tuple[str, str]]]:
    if isinstance(node, ast.Import):
        yield from ((a.asname, (a.name, "")) for a in node.names if a.asname)
        return
    base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    module = ".".join([*base, *([node.module] if node.module else [])])
    yield from ((a.asname or a.name, (module, a.name)) for a in node.names)


def _enter(node: ast.stmt, found: _Module) -> None:
    """One statement of a module into the place where it is looked for."""
    if isinstance(node, Function):
        found.functions.setdefault(node.name, []).append(node)
        if any("kernel" in ast.dump(d) for d in node.decorator_list):
            found.quiet.setdefault(node.name, []).append(node)
    elif isinstance(node, ast.ClassDef):
        for each in [n for n in node.body if isinstance(n, Function)]:
            node.body.remove(each)
            found.functions.setdefault(f"{node.name}.{each.name}", []).append(each)
        found.top.append(node)
        found.quiet.setdefault(node.name, []).append(node)
    elif not isinstance(node, ast.Import | ast.ImportFrom):
        found.top.append(node)
        for name in _bound(node):
            found.quiet.setdefault(name, []).append(node)


def _bound(node: ast.stmt) -> list[str]:
    """Names that an assignment gives a value to."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]


@cache
def _part(module: str, name: str) -> _Part:
    """A function of a module by its name, a constant, class or kernel; "" for all that is done when it is imported."""
    here = _module(module)
    nodes = here.functions.get(name) or here.quiet.get(name) or ([] if name else here.top)
    read = [node for each in nodes for node in ast.walk(each)]
    names = {node.id for node in read if isinstance(node, ast.Name)}
    fields = {(n.value.id, n.attr) for n in read if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)}
    through = sorted((each, *here.aliases[each]) for each in names if each in here.aliases)
    text = "\n".join([*map(_plain, nodes), repr(through)])
    own = [(module, each) for each in sorted(names & here.quiet.keys() - {name})]
    meant = [_meant(*here.aliases[each]) for each in sorted(names & here.aliases.keys())]
    meant += [_meant(".".join(here.aliases[base]).rstrip("."), attribute)
              for base, attribute in sorted(fields) if base in here.aliases]  # fmt: skip
    return _Part(hashlib.sha256(text.encode()).hexdigest()[:16], (*own, *(each for each in meant if each)))


def _meant(module: str, name: str) -> tuple[str, str] | None:
    """Where a constant, class or kernel that is imported stands; None for anything else."""
    for _ in range(_HOPS):
        if not module.startswith(("lab.", "simulators")):
            return None
        here = _module(module)
        if name in here.quiet:
            return module, name
        if name not in here.aliases:
            return None
        module, name = here.aliases[name]
    return None


class _Bare(ast.NodeTransformer):
    """Takes away what no number depends on: words for readers, annotations, imports for types alone."""

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.stmt) and _idle(node):
            return None
        if isinstance(node, Function | ast.ClassDef | ast.Module) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        if isinstance(node, ast.Call):
            node.keywords = [k for k in node.keywords if k.arg not in _PROSE]
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        for name in {"annotation", "returns"} & set(node._fields):
            setattr(node, name, None)
        return self.generic_visit(node)


def _idle(node: ast.stmt) -> bool:
    """Whether a statement does nothing: what a paper is, what a module shows, imports for types."""
    match node:
        case ast.If(test=ast.Name("TYPE_CHECKING")) | ast.Assign(targets=[ast.Name("__all__")]):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name("add_paper"))):
            return True
    return False


def _plain(node: Any) -> str:
    """A tree in words that are the same for every version of Python: what is empty is left out."""
    if isinstance(node, list):
        return "[" + ",".join(map(_plain, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    inside = [f"{k}={_plain(v)}" for k, v in ast.iter_fields(node) if k not in _UNREAD and v is not None and v != []]
    return f"{type(node).__name__}({','.join(inside)})"
