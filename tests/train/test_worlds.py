"""Every variant has a world: by `lab.train`, by `advlab run`, and as the pages list it."""

import pytest
from typer.testing import CliRunner

import lab
from lab import world_registry
from lab.cli import app
from lab.errors import LabError
from lab.explorers.places import places
from lab.methods import names
from lab.training.train import refused
from lab.world_registry import settings, suited, world
from tests.pages.looking import app as page_of

LIVE = [name for name in world_registry.names() if name != "small-lm"]


def size(name):
    return suited(name).get("group_size", 4)


def trains(place, variant, group_size):
    try:
        lab.train(place, variant, steps=2, seeds=2, group_size=group_size, measure="full")
    except (LabError, ValueError):
        return False
    return True


@pytest.fixture(scope="module")
def away():
    """Name of a world -> the variants that are refused there."""
    return {name: refused(world(name), group_size=size(name)) for name in LIVE}


@pytest.mark.parametrize("name", LIVE)
def test_what_is_refused_is_what_does_not_train(away, name):
    place = world(name)
    assert [v for v in names() if not trains(place, v, size(name))] == list(away[name])


def test_a_refusal_names_the_fields_and_the_worlds_that_have_them(away):
    refusal = away["bandit"]["dr-mas"]
    assert refusal.fields == ("agent",) and "world 'agents'" in refusal.words
    assert away["bandit"]["graph-grpo"].fields == () and "world of graphs" in away["bandit"]["graph-grpo"].words
    assert refused(world("bandit"), ["dr-mas", "graph-grpo"], tried=False).keys() == {"dr-mas"}


def test_one_reward_to_combine_is_refused_without_sampling():
    """In a world that says how many rewards it pays; a reward rule may pay several."""
    balanced = ["mgda", "marble", "marble@amortised"]
    found = refused(world("flow", pretraining=0), [*balanced, "flow-grpo"], tried=False)
    assert list(found) == balanced
    assert "combines the gradients of several reward components; world 'flow' gives one" in found["marble"].words
    assert not refused(world("flow", pretraining=0, rewards="near+right"), balanced, tried=False)


def test_every_variant_runs_by_name_from_the_shell(away, tmp_path):
    homes = {v: next((name for name in LIVE if v not in away[name]), None) for v in names()}
    balanced = [v for v, home in homes.items() if home is None]
    assert balanced == ["marble", "marble@amortised"], "they need a flow that pays several rewards"
    several = ["--world", "flow", "--set", "rewards=near+right", "--name", "several", "--runs", str(tmp_path)]
    short = ["--steps", "2", "--seeds", "1", "--group-size", "4", "--measure", "none"]
    ran = CliRunner().invoke(app, ["run", *several, *(p for v in balanced for p in ("--variant", v)), *short])
    assert ran.exit_code == 0, ran.output
    for name in LIVE:
        own = [v for v, home in homes.items() if home == name] or ["grpo"]
        chosen = [part for v in own for part in ("--variant", v)]
        numbers = ["--steps", "2", "--seeds", "1", "--group-size", str(size(name)), "--measure", "none"]
        place = ["--world", name, "--name", name, "--runs", str(tmp_path)]
        ran = CliRunner().invoke(app, ["run", *place, *chosen, *numbers])
        assert ran.exit_code == 0, ran.output
        assert [v.name for v in lab.store.find(name, tmp_path).config.variants] == own


@pytest.mark.parametrize("name", ["bandit", "agents", "preferences"])
def test_the_pages_list_what_trains(away, name):
    page = page_of("train")
    page.query_params.update({"world": name, "variants": "grpo", "steps": "50", "runs": "2"})
    page.run()
    assert not page.exception and not page.error
    assert page.multiselect(key="train:variants").options == [v for v in names() if v not in away[name]]


def test_the_pages_know_every_world_and_its_settings():
    assert list(places()) == world_registry.names()
    for name, place in places().items():
        assert set(place.settings) <= set(settings(name))
