"""Claims measure what the lab does: no module of lab/papers trains anything by itself.

A training loop goes on for a number of steps and feeds what it computes back into the next step. So: in a loop over
`range(...)`, or while something holds, no name may be computed from its own last value, by however many others.
Counters, lists that grow and elements written one by one are no such names. Loops of a study are in lab/studies.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PRIVATE = ("kernels", "step", "stride")


def roots(target: ast.AST) -> set[str]:
    """Names that an assignment changes."""
    while isinstance(target, ast.Subscript | ast.Attribute | ast.Starred):
        target = target.value
    if isinstance(target, ast.Tuple | ast.List):
        return set().union(*map(roots, target.elts))
    return {target.id} if isinstance(target, ast.Name) else set()


def read(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def counts(node: ast.AugAssign) -> bool:
    """Whether an update only counts, collects or joins truths."""
    plain = isinstance(node.op, ast.Add) and isinstance(node.value, ast.Constant | ast.List | ast.ListComp | ast.Tuple)
    return plain or isinstance(node.op, ast.BitAnd | ast.BitOr)


def updates(loop: ast.For | ast.While) -> Iterator[tuple[set[str], set[str]]]:
    """(names changed, names read) by every assignment in a loop, but for elements written one by one."""
    turn = roots(loop.target) if isinstance(loop, ast.For) else set()
    for node in ast.walk(loop):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if not read(target) & turn:
                    yield roots(target), read(node.value)
        elif isinstance(node, ast.AugAssign) and not counts(node) and not read(node.target) & turn:
            yield roots(node.target), read(node.value) | roots(node.target)


def fed_back(loop: ast.For | ast.While) -> set[str]:
    """Names whose next value in a loop depends on their last one."""
    needs: dict[str, set[str]] = {}
    for changed, used in updates(loop):
        for name in changed:
            needs.setdefault(name, set()).update(used)
    reached = {name: set(used) for name, used in needs.items()}
    for _ in needs:
        reached = {name: used.union(*(needs.get(n, set()) for n in used)) for name, used in reached.items()}
    return {name for name, used in reached.items() if name in used}


def faults(source: str) -> list[str]:
    """What is wrong with a module of claims."""
    found = []
    for node in ast.walk(ast.parse(source)):
        steps = isinstance(node, ast.For) and ast.unparse(node.iter).startswith("range(")
        if steps or isinstance(node, ast.While):
            found += [f"line {node.lineno}: {name} is fed back" for name in sorted(fed_back(node))]
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("simulators."):
            found += [f"line {node.lineno}: {node.module}"] * (node.module.rpartition(".")[2] in PRIVATE)
    return found


def test_no_module_of_claims_trains_by_itself(root: Path) -> None:
    modules = sorted((root / "lab" / "papers").glob("*.py"))
    assert len(modules) > 34
    assert {path.name: faults(path.read_text()) for path in modules if faults(path.read_text())} == {}


SOFTMAX = """
for _ in range(300):
    policy = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    chosen = (u[..., None] > policy.cumsum(-1)).sum(-1)
    a = lab.advantages.compute("grpo", rewards[chosen])
    logits += 0.5 * (a[..., None] * ((chosen[..., None] == np.arange(3)) - policy[:, :, None])).mean(2)
"""
ASSIGNED = "for step in range(40):\n    w = rule(score)\n    score = score + 0.3 * w"
HIDDEN = "for _ in range(9):\n    for batch in batches:\n        theta[0] -= gradient(theta, batch)"
WHILE = "while gap > 1e-6:\n    policy = ascend(games, policy)"


@pytest.mark.parametrize("source", [SOFTMAX, ASSIGNED, HIDDEN, WHILE])
def test_training_loops_are_found(source: str) -> None:
    assert faults(source)


def test_what_is_private_to_a_world_is_found() -> None:
    assert faults("from simulators.bandit.kernels import sample") and not faults("from simulators import Bandit")


@pytest.mark.parametrize(
    "source",
    [
        "for i in range(4):\n    found += [measure(i)]\n    number += 1\n    holds &= found[-1] > 0",
        "for k in range(20):\n    first[k] = first[k] + shared",
        "for name in ('a', 'b'):\n    found = found.beside(fair(world, [name]))",
        "for _ in range(600):\n    drawn = rng.random(5)\n    rows.append(drawn.mean())",
    ],
)  # fmt: skip
def test_what_only_collects_is_no_training(source: str) -> None:
    assert not faults(source)
