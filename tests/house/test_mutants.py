"""The changes that `make mutants` tries."""

from tests.mutants.changes import mutants

SOURCE = '''
def share(x: float = 0.5) -> float:
    """Above 1 + 1?"""
    if x > 1 and not x == 2:
        raise ValueError(f"{x + 1} is above {1}")
    check_room(8 * x, each=2 * x)
    return -min(x, 1.0) * 2

def warm():
    share(1.0)
'''


def test_each_change_is_one_and_leaves_words_and_annotations_alone() -> None:
    found = [(m.line, m.what) for m in mutants("share.py", SOURCE)]
    assert found == [
        (2, "0.5 -> 1.5"), (4, "And -> Or"), (7, "Mult -> Div"), (4, "Gt -> GtE"), (4, "not x -> not not x"),
        (7, "-x -> +x"), (7, "2 -> 3"), (4, "1 -> 2"), (4, "Eq -> NotEq"), (4, "2 -> 3"), (7, "min -> max"),
        (7, "1.0 -> 2.0"),
    ]  # fmt: skip
    assert [m.source for m in mutants("share.py", SOURCE)][2].count("return -min(x, 1.0) / 2") == 1
