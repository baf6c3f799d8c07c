"""MARBLE: shares by direction, averaged; the amortised form; in the flow world and beside other rules."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import lab
from lab.combining import shares
from lab.combining.marble import marble
from lab.errors import InputError
from lab.training.loop import Settings, Walk
from simulators import Bandit

RNG = np.random.default_rng(3)
HEADS = Bandit(success=np.linspace(0.1, 0.9, 24).reshape(4, 2, 3))
EMPTY = {"shares": np.zeros((1, 0))}


def frank_wolfe(gram: np.ndarray, rounds: int = 500) -> np.ndarray:
    """The iteration that is usual for this program: to the corner of the steepest descent, with exact line search."""
    a = np.full(len(gram), 1 / len(gram))
    for _ in range(rounds):
        towards = np.eye(len(gram))[np.argmin(gram @ a)] - a
        length = towards @ gram @ towards
        if length < 1e-18:
            break
        a = a + np.clip(-(a @ gram @ towards) / length, 0, 1) * towards
    return a


def test_two_rewards_have_the_closed_form_whatever_the_lengths() -> None:
    for _ in range(50):
        h = RNG.normal(size=(2, 5)) + 0.5
        h /= np.linalg.norm(h, axis=-1, keepdims=True)
        first = np.clip((h[1] - h[0]) @ h[1] / ((h[0] - h[1]) ** 2).sum(), 0, 1)
        lengths = np.array([[100.0], [0.01]])
        found = shares("marble", h * lengths, ema=0.0)
        raw = np.array([first, 1 - first]) / lengths[:, 0]
        assert found == pytest.approx(raw / raw.sum(), rel=1e-9)


def test_five_rewards_come_where_the_usual_iteration_goes() -> None:
    for _ in range(5):
        h = RNG.normal(size=(5, 12)) + 0.4
        h /= np.linalg.norm(h, axis=-1, keepdims=True)
        found, iterated = shares("marble", h, ema=0.0), frank_wolfe(h @ h.T)
        assert found == pytest.approx(iterated, abs=0.05), "which comes near in as many rounds"
        d = found @ h
        assert (h @ d).min() >= d @ d - 1e-9 and d @ d <= iterated @ (h @ h.T) @ iterated + 1e-12


@given(arrays(np.float64, (3, 2, 4), elements=st.integers(-3, 3)), st.floats(0, 0.99))
def test_shares_are_a_mix_of_those_before_and_those_of_now(gradients: np.ndarray, ema: float) -> None:
    now, _ = marble(gradients, memory={"shares": np.zeros((2, 0))}, ema=0.0)
    before = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    mixed, memory = marble(gradients, memory={"shares": before}, ema=ema)
    assert np.abs(mixed.T - ema * before - (1 - ema) * now.T).max() < 1e-12
    assert np.array_equal(memory["shares"], mixed.T)
    assert mixed.min() >= 0 and mixed.sum(axis=0) == pytest.approx([1, 1])


def test_a_step_without_gradients_keeps_the_shares_and_the_first_of_all_has_equal_ones() -> None:
    nothing = np.zeros((4, 1, 0))
    found, memory = marble(nothing, memory=EMPTY)
    assert found[:, 0].tolist() == [0.25] * 4
    later = marble(nothing, memory={"shares": np.array([[0.7, 0.1, 0.1, 0.1]])})[0]
    assert later[:, 0].tolist() == [0.7, 0.1, 0.1, 0.1] and memory["shares"].shape == (1, 4)


def test_a_silent_reward_has_no_share_and_opposed_ones_leave_no_step() -> None:
    assert shares("marble", [[2.0, 0.0], [0.0, 0.0], [0.0, 1.0]], ema=0.0) == pytest.approx([1 / 3, 0, 2 / 3])
    opposed = np.array([[3.0, -1.0], [-1.5, 0.5]])
    assert np.linalg.norm(shares("marble", opposed, ema=0.0) @ opposed) < 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [({"ema": 1.0}, "ema=1.0; it must be a number from 0 to below 1"), ({"ema": -0.1}, "ema=-0.1"),
     ({"every": 0}, "every=0; it must be a whole number of at least 1"), ({"ema": "much"}, "ema='much'"),
     ({"every": 2.5}, "every=2.5; it must be a whole number")],
)  # fmt: skip
def test_what_is_no_rate_and_no_interval_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        lab.train(HEADS, lab.variant("grpo", combine=("marble", options)), steps=1, seeds=1)


def test_more_than_eight_rewards_are_too_many() -> None:
    with pytest.raises(InputError, match="up to 8 gradients; here are 9"):
        shares("marble", np.eye(9))


def test_amortised_gradients_are_taken_at_every_nth_step_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In any world with several rewards; the share holds between."""
    taken = []
    plain = Walk._pull
    monkeypatch.setattr(Walk, "_pull", lambda *given: taken.append(1) or plain(*given))
    walk = Walk(HEADS, lab.variant("dr_grpo", combine=("marble", {"every": 3})), [0, 1], Settings(group_size=6, lr=2.0))
    seen, counts = [], []
    for _ in range(7):
        taken.clear()
        moment = walk.look()
        counts.append(len(taken))
        seen.append(moment.shares)
        walk.advance(moment)
    assert counts == [3, 1, 1, 3, 1, 1, 3], "a gradient for each of two rewards, and that of the step"
    assert (
        np.array_equal(seen[0], seen[1]) and np.array_equal(seen[1], seen[2]) and not np.array_equal(seen[2], seen[3])
    )


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    monkeypatch.setenv("ADVLAB_CACHE", str(tmp_path))
    from simulators import Flow

    return Flow(4, denoising=4, width=8, pretraining=20, rewards="near+right+ring", precision="float64")


def test_the_step_is_the_mix_of_the_gradients_and_opposes_none(flow: Any) -> None:
    walk = Walk(flow, lab.variant("marble", ema=0.0), [0, 1], Settings(group_size=8, lr=1e-2, optimizer="adam"))
    for _ in range(4):
        moment = walk.look()
        each = torch.stack([flow.pull(walk.policy, moment.rollouts, part.weights) for part in moment.parts])
        mix = torch.from_numpy(moment.shares)[..., None] * each
        assert torch.allclose(moment.gradient, mix.sum(0), rtol=1e-9, atol=1e-14)
        assert ((each * moment.gradient).sum(-1) >= -1e-12).all()
        walk.advance(moment)


def test_a_reward_that_is_equal_in_every_group_asks_for_nothing(flow: Any) -> None:
    flow.rewarded = lambda x: np.stack([np.exp(-(x**2).sum(-1)), np.ones(x.shape[:-1])], axis=-1)
    walk = Walk(flow, lab.variant("marble", ema=0.0), [0], Settings(group_size=8, lr=1e-2, optimizer="adam"))
    for _ in range(3):
        moment = walk.look()
        assert moment.shares[:, 0].tolist() == [1.0, 0.0]
        walk.advance(moment)


def test_several_rewards_ask_the_network_once(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step has the forward passes of a step with one reward, whether or not it takes a gradient for each."""
    counted = {}
    for name in ("diffusion-nft", "marble", "marble@amortised"):
        walk, calls = Walk(flow, lab.variant(name), [0], Settings(group_size=4, lr=1e-3, optimizer="adam")), []
        walk.advance(walk.look())
        plain = flow.model
        monkeypatch.setattr(flow, "model", lambda *given, calls=calls, plain=plain: calls.append(1) or plain(*given))
        walk.advance(walk.look())
        monkeypatch.setattr(flow, "model", plain)
        counted[name] = len(calls)
    assert counted["marble@amortised"] == counted["marble"] == counted["diffusion-nft"] > 0
