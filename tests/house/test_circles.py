"""No module imports, by whatever way, one that imports it: imports inside functions and for types alone count too."""

import grimp


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """Sets of modules that reach one another, by taking away the modules that import nothing that is left."""
    left = {module: set(found) for module, found in imports.items()}
    for side in (lambda module, graph: graph[module], lambda module, graph: [m for m in graph if module in graph[m]]):
        while free := [module for module in left if not side(module, left)]:
            for module in free:
                del left[module]
            left = {module: found & left.keys() for module, found in left.items()}
    return [{module, *found} for module, found in left.items()]


def test_a_circle_is_found_and_what_hangs_on_it_is_not() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    found = circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()})
    assert set().union(*found) == {"b", "c"}
    assert circles({"a": {"a"}}) == [{"a"}]


def test_there_is_none() -> None:
    graph = grimp.build_graph("lab", "simulators", exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 200 and "simulators.records" in imports["lab.training.loop"]
    assert circles(imports) == []
