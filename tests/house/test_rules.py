"""Every registered rule says where it comes from and what shapes it takes."""

import importlib
import re

import pytest

from lab import registry

SHAPE = re.compile(r"\[[^\]]*\b[SPGKT]\b[^\]]*\]")


@pytest.mark.parametrize("kind", registry.KINDS)
def test_rules_name_their_source_and_shapes(kind: str) -> None:
    importlib.import_module(f"lab.{registry.KINDS[kind].home}")
    rules = registry.rules(kind).values()
    ours = [rule for rule in rules if rule.function.__module__.startswith("lab.")]
    assert ours, f"no {kind} rule is registered"
    for rule in ours:
        text = rule.function.__doc__ or ""
        assert "Source:" in text, f"{rule.name}: its docstring names no source"
        assert SHAPE.search(text), f"{rule.name}: its docstring shows no shape, such as [..., P, G]"
