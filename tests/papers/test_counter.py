"""Rules that stand in for others, and what claims say without what they are about."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lab
from lab import distances, papers, stand_ins
from lab.errors import InputError, UnknownNameError
from lab.papers.record import CLAIMS, Measurement, claim
from simulators.mdp import families

FAILURE = np.zeros(8)


@pytest.fixture
def catalogue() -> Iterator[None]:
    """Claims of a paper that is not there, gone again afterwards."""
    yield
    for name in [name for name in CLAIMS if name.startswith("made-up.")]:
        del CLAIMS[name]


def made(name: str, value: float, **more: object) -> papers.Result:
    """A claim that holds where a failed group's advantage is that of NGRPO, measured with its counter-experiment."""

    @claim(f"made-up.{name}", sentence="x.", criterion="y", **more)  # type: ignore[arg-type]
    def measure(seed: int) -> Measurement:
        found = float(lab.advantages.compute("ngrpo", FAILURE)[0])
        return Measurement(found, abs(found - value) < 1e-5)

    return papers.run_claim(f"made-up.{name}", counter=True)


def test_another_rule_stands_in_inside_the_block_alone() -> None:
    assert lab.advantages.compute("ngrpo", FAILURE)[0] == pytest.approx(-1 / 3, abs=1e-5)
    with stand_ins.replaced({"advantage:NGRPO": "grpo"}):
        assert not lab.advantages.compute("ngrpo", FAILURE).any()
        assert lab.variant("ngrpo").rule("advantage").name == "ngrpo"  # type: ignore[union-attr]
        with stand_ins.replaced({"objective:ppo_clip": "cispo"}):
            assert not lab.advantages.compute("ngrpo", FAILURE).any()
    assert lab.advantages.compute("ngrpo", FAILURE)[0] == pytest.approx(-1 / 3, abs=1e-5)


def test_options_that_only_the_replaced_rule_knows_are_ignored() -> None:
    with stand_ins.replaced({"advantage:ngrpo": "dr_grpo"}):
        assert lab.advantages.compute("ngrpo", [0.0, 1.0], r_max=2.0).tolist() == [-0.5, 0.5]
        with pytest.raises(UnknownNameError):
            lab.advantages.compute("ngrpo", [0.0, 1.0], r_mox=2.0)


def test_fields_that_only_the_replaced_rule_reads_are_ignored() -> None:
    rewards = np.random.default_rng(0).random((2, 4))
    told = np.random.default_rng(1).random((2, 4, 4))
    expected = lab.advantages.compute("grpo", rewards)
    with stand_ins.replaced({"advantage:arenarl": "grpo"}):
        assert np.array_equal(lab.advantages.compute("arenarl", rewards, pair_scores=told), expected)
    assert not np.array_equal(lab.advantages.compute("arenarl", rewards, pair_scores=told), expected)


def test_rewards_are_added_for_a_rule_of_one_reward_that_stands_in_for_one_of_several() -> None:
    rewards = np.random.default_rng(0).random((2, 4, 3))
    expected = lab.advantages.compute("dr_grpo", rewards, weights=[1.0, 2.0, 0.5])
    with stand_ins.replaced({"advantage:bnpo": "dr_grpo", "advantage:gdpo": "dr_grpo"}):
        for name in ("bnpo", "gdpo"):
            assert np.array_equal(lab.advantages.compute(name, rewards, weights=[1.0, 2.0, 0.5]), expected)


def test_a_rule_is_held_at_options_whatever_is_asked_for() -> None:
    with stand_ins.replaced({"objective:ppo_clip": {"clip_low": 0.0, "clip_high": 0.0}}):
        held = lab.objectives.weights("ppo_clip", [[[0.5]]], [[1.0]], logp=[[[0.0]]], clip_low=9.0, clip_high=9.0)
    free = lab.objectives.weights("ppo_clip", [[[0.5]]], [[1.0]], logp=[[[0.0]]], clip_low=9.0, clip_high=9.0)
    assert held.item() == 0.0 and free.item() == pytest.approx(np.exp(0.5))


def test_a_function_of_the_same_contract_stands_in() -> None:
    def turned(rewards: np.ndarray) -> np.ndarray:
        return -(rewards - rewards.mean(axis=-1, keepdims=True))

    with stand_ins.replaced({"advantage:dr_grpo": turned}):
        assert lab.advantages.compute("dr_grpo", [0.0, 1.0]).tolist() == [0.5, -0.5]
    with (
        pytest.raises(InputError, match="first parameters must be rewards"),
        stand_ins.replaced({"advantage:grpo": lambda x: x}),
    ):
        pass


@pytest.mark.parametrize(
    ("others", "offered"),
    [({"advantage:ngrpp": "grpo"}, "ngrpo"), ({"advantage:ngrpo": "grpp"}, "grpo"), ({"ngrpo": "grpo"}, "kind:name"),
     ({"advantage:ngrpo": {"r_mox": 1.0}}, "r_max"), ({"distance:epik": "pearson"}, "epic"),
     ({"canonicalisation:val": "nonne"}, "none")],
)  # fmt: skip
def test_unknown_names_are_refused_before_the_block(others: dict[str, object], offered: str) -> None:
    with pytest.raises(UnknownNameError, match=offered), stand_ins.replaced(others):  # type: ignore[arg-type]
        pytest.fail("the block was entered")


def test_a_distance_or_a_canonicalisation_stands_in_for_another() -> None:
    mdp = families.sparse(6, 3, source=1)
    pair = np.random.default_rng(2).standard_normal((2, 6, 3, 6))
    names = ["val-l2-l2", "starc", "val-none-l1", "none-l2-l2", "none-none-l1", "epic", "pearson"]
    free = distances.compare(mdp, *pair, names)
    for key in ("distance:starc", "distance:VAL-l2-l2"):
        with stand_ins.replaced({key: "none-l2-l2", "distance:epic": "pearson"}):
            found = distances.compare(mdp, *pair, names)
            assert distances.compute("starc", mdp, *pair, policy=None) == free["none-l2-l2"]
        assert found == free | {"val-l2-l2": free["none-l2-l2"], "starc": free["none-l2-l2"], "epic": free["pearson"]}
    with stand_ins.replaced({"canonicalisation:val": "none"}):
        found = distances.compare(mdp, *pair, names)
        assert np.array_equal(distances.canonical_form("val", mdp, pair, policy=None), pair)
    assert found == free | {n: free[n.replace("val", "none")] for n in ("val-l2-l2", "val-none-l1")} | {
        "starc": free["none-l2-l2"]
    }
    assert distances.compare(mdp, *pair, names) == free


def test_training_sees_the_stand_in_on_every_thread_and_others_do_not() -> None:
    world = lab.world("bandit")
    settings = {"steps": 3, "seeds": 2, "group_size": 4, "epochs": 2, "threads": 2}
    with stand_ins.replaced({"advantage:rloo": "dr_grpo"}), ThreadPoolExecutor(1) as other:
        within = lab.train(world, ["rloo", "dr_grpo"], **settings)  # type: ignore[arg-type]
        beside = other.submit(lab.advantages.compute, "ngrpo", FAILURE).result()
    same = [within.parameters(name) for name in ("rloo", "dr_grpo")]
    assert np.array_equal(*same)
    free = lab.train(world, "rloo", **settings).parameters("rloo")  # type: ignore[arg-type]
    assert not np.array_equal(free, same[0])
    assert beside[0] == pytest.approx(-1 / 3, abs=1e-5)


def test_what_was_computed_with_stand_ins_is_kept_apart() -> None:
    calls = []

    @stand_ins.cached
    def first(size: int) -> float:
        calls.append(size)
        return float(lab.advantages.compute("ngrpo", np.zeros(size))[0])

    with stand_ins.replaced({"advantage:ngrpo": "grpo"}):
        assert first(8) == 0.0
    assert first(8) == first(8) == pytest.approx(-1 / 3, abs=1e-5)
    assert calls == [8, 8]


@pytest.mark.usefixtures("catalogue")
def test_a_claim_holds_only_if_it_fails_without_its_rule() -> None:
    without = {"advantage:ngrpo": "grpo"}
    found = made("1", -1 / 3, without=without)
    assert (found.verdict, found.without) == ("holds", 0.0)
    assert papers.find_claim("made-up.1").about == ("advantage:ngrpo",)
    assert made("2", 0.0, without=without).verdict == "fails"
    blind = made("3", -1 / 3, without={"advantage:ngrpo": {"eps": 1e-9}})
    assert blind.verdict == papers.BLIND and not blind.holds
    assert blind.without == pytest.approx(-1 / 3, abs=1e-5)
    assert made("4", -1 / 3).without is None


@pytest.mark.usefixtures("catalogue")
def test_a_twin_may_be_a_measurement_of_its_own() -> None:
    found = made("check-twin", -1 / 3, without=lambda seed: Measurement(seed + 2.0, False))
    assert (found.verdict, found.without) == ("holds", 2.0)
    assert papers.find_claim("made-up.check-twin").about == ()


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    ("bounds", "least", "verdict"),
    [((0.1, 0.3), None, "shown"), ((-0.1, 0.3), None, "not shown here"), ((-0.3, -0.1), 0.0, "reversed here"),
     ((0.1, 0.3), 0.2, "not shown here"), ((-0.3, -0.1), 0.2, "not shown here"), ((-0.3, -0.1), 0.05, "reversed here")],
)  # fmt: skip
def test_a_headline_is_shown_not_shown_or_reversed(
    bounds: tuple[float, float], least: float | None, verdict: str
) -> None:
    @claim("made-up.headline", sentence="x.", criterion="y")
    def lead(seed: int) -> Measurement:
        return Measurement(sum(bounds) / 2, True, bounds, border=least)

    found = papers.run_claim("made-up.headline")
    assert (found.kind, found.verdict) == ("headline", verdict)
    assert papers.find_claim("made-up.headline").order == (0, -1)
    del CLAIMS["made-up.headline"]
