"""Which world can fill which field."""

import pytest

import simulators
from lab.errors import worlds_with
from lab.world_registry import names, world


def test_every_world_by_name_is_found_under_what_it_provides() -> None:
    for name in names():
        if name == "small-lm":
            continue  # made of torch, so it is not asked
        made = world(name)
        for field in made.provides:
            assert made.name in simulators.providers(field)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (["agent"], "agent: world 'agents'"),
        (["turn", "actions"], "turn: world 'turns'; actions: every world"),
        (["turn_rewards"], "turn_rewards: worlds 'agents', 'turns'"),
        (["nothing"], "nothing: no world of the lab"),
    ],
)
def test_worlds_are_named_in_words(fields: list[str], said: str) -> None:
    assert worlds_with(fields) == said
