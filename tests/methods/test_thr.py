"""THR token by token against its definition, its filters and edges, and the predecessor."""

import numpy as np
import pytest

import lab
from lab.advantages.thr import hidden_influence, threshold
from lab.errors import InputError, MissingFieldError
from simulators import Bandit, HiddenLM

P, G, T, D, V = 3, 4, 5, 3, 6
RNG = np.random.default_rng(0)
FIELDS = {
    "hidden": RNG.normal(size=(P, G, T, D)), "prediction_error": RNG.normal(size=(P, G, T, V)),
    "mask": np.arange(T) < RNG.integers(1, T + 1, (P, G, 1)),
}  # fmt: skip
REWARDS = np.array([[1.0, 0, 0, 1], [0, 0, 1, 0], [1, 1, 1, 1]])


def pair_by_pair() -> np.ndarray:
    """s of every token from <e, e'> <h, h'> summed over the tokens of every correct response."""
    h, e, mask = FIELDS["hidden"], FIELDS["prediction_error"], FIELDS["mask"]
    out = np.zeros((P, G, T))
    for p, j, t in zip(*np.nonzero(mask), strict=True):
        for i in np.nonzero(REWARDS[p])[0]:
            terms = [e[p, i, k] @ e[p, j, t] * (h[p, i, k] @ h[p, j, t]) for k in np.nonzero(mask[p, i])[0]]
            out[p, j, t] += np.mean(terms)
    return out


INFLUENCE = pair_by_pair()


def test_influence_is_the_sum_over_pairs_of_tokens() -> None:
    found = hidden_influence(REWARDS > 0, **FIELDS)
    assert found == pytest.approx(INFLUENCE, abs=1e-12)
    lowest = [min(INFLUENCE[p, i][FIELDS["mask"][p, i]].mean() for i in np.nonzero(REWARDS[p])[0]) for p in range(P)]
    assert threshold(found, REWARDS > 0, FIELDS["mask"], 0.7)[:, 0] == pytest.approx(0.7 * np.array(lowest))


@pytest.mark.parametrize("beta", [0.0, 1.0, -1.0])
@pytest.mark.parametrize("p", [-0.4, 0.0, 0.1])
def test_tokens_are_kept_above_the_threshold_and_steered_by_sign(p: float, beta: float) -> None:
    a = lab.advantages.compute("grpo", REWARDS)
    tau = threshold(INFLUENCE, REWARDS > 0, FIELDS["mask"], beta)
    found = lab.advantages.compute("thr", REWARDS, p=p, beta=beta, **FIELDS)
    for place in np.ndindex(P, G, T):
        reward = (1 if REWARDS[place[:2]] else -1) * INFLUENCE[place]
        kept = abs(reward) > tau[place[0], 0]
        assert found[place] == pytest.approx(kept * (1 + p * np.sign(reward)) * a[place[:2]], abs=1e-12)


def test_the_predecessor_shields_tokens_of_wrong_responses() -> None:
    a = lab.advantages.compute("grpo", REWARDS)[..., None]
    found = lab.advantages.compute("nthr", REWARDS, **FIELDS)
    above = (threshold(INFLUENCE, REWARDS > 0, FIELDS["mask"])[..., None] < INFLUENCE) & (REWARDS == 0)[..., None]
    eta = np.array([0.0, 0.5, 1.0])[:, None, None]  # 2 |1/2 - share correct|
    assert above[:2].any()
    assert found == pytest.approx(np.where(above, eta * a, a), abs=1e-12)


@pytest.mark.parametrize("name", ["thr", "nthr"])
def test_nothing_is_learnt_where_all_are_right_or_wrong(name: str) -> None:
    for equal in (np.zeros((P, G)), np.ones((P, G))):
        assert not lab.advantages.compute(name, equal, **FIELDS).any()


def test_presets_are_the_published_settings() -> None:
    for name, p in {"thr@dominant": 0.0, "thr@explore": -0.1, "thr": 0.1}.items():
        expected = lab.advantages.compute("thr", REWARDS, p=p, **FIELDS)
        assert np.array_equal(lab.advantages.compute(name, REWARDS, **FIELDS), expected)


def test_shapes_that_do_not_fit_and_worlds_without_a_hidden_state_are_named() -> None:
    with pytest.raises(InputError, match=r"hidden has shape \(3, 4, 4, 3\)"):
        lab.advantages.compute("thr", REWARDS, **{**FIELDS, "hidden": FIELDS["hidden"][:, :, :4]})
    with pytest.raises(MissingFieldError, match="reads prediction_error"):
        lab.advantages.compute("thr", REWARDS, hidden=FIELDS["hidden"])
    with pytest.raises(MissingFieldError, match="'thr' reads hidden, prediction_error; world 'bandit' provides"):
        lab.train(Bandit(success=[0.5]), "thr", steps=1)


def test_plus_p_learns_faster_than_minus_p() -> None:
    world = HiddenLM("targets", prompts=2, vocabulary=6, length=4, logits=[-1000.0, 0, 0, 0, 0, 0], seed=3)
    variants = [lab.variant("thr", label=f"{p}", p=p, beta=0.0) for p in (-0.4, 0.4)]
    trace = lab.train(world, variants, steps=40, seeds=8, lr=4.0, measure=["value"], reward_weights=(1, 0, 0))
    last = trace.frame.filter(trace.frame["step"] == 39)
    low, high = (last.filter(last["variant"] == v.name)["value"].mean() for v in variants)
    assert high > low + 0.05
