"""Sign flips and Collapse: every variant that is offered gives a picture, in a law and in worlds."""

import pytest

import lab
from lab import studies
from lab.experiment import by_group_size
from lab.explorers.groups import LAW, closed_to, homes, made, rewards_only, usual
from lab.figures.rates import flips_by_size, silence, silence_by_size
from lab.methods import names
from tests.pages.looking import look

OFFERED = [name for name in names() if name not in rewards_only()]


def opened(name, **address):
    return look(name, address).test


def test_nothing_is_away_without_a_reason():
    away = rewards_only()
    assert {"mapo", "dr-mas", "graph-grpo", "thr", "t-reg", "remax", "clip-delta"} <= set(away) < set(names())
    assert all(refusal.fields or refusal.words for refusal in away.values())


@pytest.mark.parametrize("variant", OFFERED)
def test_every_variant_offered_gives_a_picture(variant):
    flips = studies.sign_flip_study([variant], ["bernoulli"], [4], prompts=64)
    signal = studies.signal_study([0.3, 0.7], [4], variant=variant, prompts=64)
    assert flips["rate"].null_count() == 0 and len(flips_by_size(flips, theme="light").data)
    assert signal["share"].null_count() == 0 and len(silence(signal, theme="light").data)
    assert studies.level_counts([variant], components=1, group_sizes=[3])["levels"].to_list()[0] >= 1


@pytest.mark.parametrize("world", [name for name in homes() if name != LAW])
def test_every_world_draws_both_shares(world):
    possible = [v for v in ("grpo", "mapo", "dr-mas", "thr", "graph-grpo", "arenarl") if v not in closed_to(world)]
    for metric, figure in (("sign_flip", flips_by_size), ("no_signal", silence_by_size)):
        rates = by_group_size(made(usual(world)), possible, [2, 4], metric, seeds=4)
        assert rates.height == 2 * len(possible) and rates["rate"].is_between(0, 1).all()
        assert len(figure(rates, theme="light").data)


def test_a_reward_rule_acts_before_signs_are_counted():
    plain, harmonic = (lab.variant(name) for name in ("dr_grpo", "harmonic-rpo"))
    rates = studies.sign_flip_study([plain, harmonic], ["normal"], [4], prompts=2000)["rate"].to_list()
    assert rates[0] != rates[1]


def test_a_variant_of_another_world_is_led_there():
    test = opened("sign_flips", variants="grpo~dr-mas")
    assert not test.exception and not test.error
    assert test.warning[0].value.startswith("**dr-mas** is left out")
    next(each for each in test.button if each.label == "Go to several agents").click().run()
    assert not test.warning and "world agents" in test.markdown[0].value
    lines = next(each.value for each in test.code if each.language == "python")
    exec(compile(lines, "sign flips: code", "exec"), {})


def test_collapse_in_a_world():
    test = opened("collapse", world="graphs", rules="graph-grpo~mapo", sizes="2~4")
    assert not test.exception and not test.error
    assert test.warning[0].value.startswith("**mapo** is left out") and "graph-grpo" in test.markdown[0].value
    lines = next(each.value for each in test.code if each.language == "python")
    exec(compile(lines, "collapse: code", "exec"), {})
