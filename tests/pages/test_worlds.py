"""Every page that has worlds in every one of them, and every page at the ends of what its address may say."""

from collections.abc import Iterator

import pytest

from lab.explorers import explorer, names
from lab.explorers.groups import LAW, closed_to
from lab.explorers.properties import Choice, Choices, Number, Property, Whole
from lab.explorers.runs import closed_by_default
from lab.methods import names as all_variants
from tests.pages.looking import look, untold
from tests.pages.test_pages import PAGES

HAVE_WORLDS = {"train", "compare", "sign_flips", "collapse", "reward_distances", "tokens", "gradient_spikes"}
SMALL = {"runs": "2", "steps": "50", "threshold": "2", "prompts": "2", "step": "2", "sizes": "2~4", "seed": "3"}
LIKELY = ["grpo", "mc-grpo", "grqo", "t-reg", "simpo-reg"]  # one of them trains in each world


def variants(page: str, world: str) -> str:
    """Two variants that a page offers in a world, as its address names them."""
    away = closed_to(world) if page in ("sign_flips", "collapse") or world == LAW else closed_by_default(world)
    possible = [name for name in [*LIKELY, *all_variants(presets=False)] if name not in away]
    return "~".join(dict.fromkeys(possible[:2]))


def small(page: str, world: str, properties: dict[str, Property]) -> dict[str, str]:
    """An address of that page in that world at which all is done quickly."""
    given = {"world": world} | {name: value for name, value in SMALL.items() if name in properties}
    given |= {name: variants(page, world) for name in ("variants", "rules") if name in properties}
    return {name: value for name, value in given.items() if readable(properties[name], value)}


def readable(each: Property, value: str) -> bool:
    """Whether an address may say that."""
    try:
        each.read(value)
    except ValueError:
        return False
    return True


def test_these_are_the_pages_that_have_worlds():
    found = {name for name in names() if any(each.name == "world" for each in explorer(name).properties)}
    assert {name.replace("-", "_") for name in found} == HAVE_WORLDS


@pytest.mark.parametrize(
    ("page", "address"),
    [
        ("gradient_spikes", {"world": "preferences", "variants": "simpo-reg", "threshold": "2", "runs": "2"}),
        ("gradient_spikes", {"world": "queries", "variants": "grpo~grqo", "threshold": "2", "runs": "2"}),
        ("compare", {"world": "queries", "variants": "grpo~dino-r1", "runs": "2"}),
        ("train", {"world": "delayed", "variants": "grpo~lare", "runs": "2", "steps": "50"}),
    ],
    ids=lambda part: part if isinstance(part, str) else part["world"],
)
def test_worlds_unlike_the_bandit_are_drawn_and_repeated(page, address):
    seen = look(page, address)
    assert seen.problems == [] and not seen.test.warning
    assert untold(seen) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(HAVE_WORLDS))
def test_every_page_in_every_world_is_drawn_and_its_code_repeats_it(page):
    properties = look(page).properties
    wrong = {}
    for world in properties["world"].options:
        seen = look(page, small(page, world, properties))
        found = seen.problems or [each.value for each in seen.test.warning] or untold(seen)
        if found or len(seen.sentence) < 20:
            wrong[world] = found or seen.sentence
    assert not wrong


def lowest(properties: dict[str, Property]) -> Iterator[tuple[str, str]]:
    """The lower end of each number, the last of each list: all that an address may say at once."""
    for name, each in properties.items():
        if isinstance(each, Whole | Number):
            yield name, each.write(each.low)
        elif isinstance(each, Choices):
            yield name, each.write(each.default[-1:])
        elif isinstance(each, Choice) and name not in (
            "steps",
            "world",
            "episodes",
            "paper",
            "log",
            "source",
            "method",
        ):
            yield name, each.write(each.options[-1])


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_lowest_values_and_the_last_choices_are_a_page_too(page):
    seen = look(page)
    again = look(page, dict(lowest(seen.properties)))
    assert again.problems == [] and len(again.sentence) > 20
    assert not [each for each in again.test.warning if "could not be read" in each.value]
