"""BARFI: the learner's slopes against differences and autograd, the implicit gradient, the outer loop, bad input."""

import numpy as np
import pytest

from lab.errors import InputError, UnknownNameError
from lab.reward_models.barfi import align, basis, implicit_gradient, neumann
from lab.studies import blend_policies, blend_study
from simulators.mdp.families import dirichlet, environment, goal_grid, sparse
from simulators.mdp.gradient import softmax
from simulators.mdp.mdp import MDP
from simulators.mdp.soft_learner import SoftLearner


def slopes(function, x, width=1e-5):
    """Central differences of an array in x, last axis over the entries of x."""
    ends = [(function(x + width * e), function(x - width * e)) for e in np.eye(x.size).reshape(-1, *x.shape)]
    return np.stack([(np.asarray(up) - down) / (2 * width) for up, down in ends], axis=-1)


@pytest.mark.parametrize("index", range(4))
def test_the_learner_knows_its_slopes(index):
    rng = environment(5, index)
    mdp = sparse(5, 3, 0.9, source=rng)
    learner, reward, theta = SoftLearner(mdp, 0.3, 0.01), rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    assert slopes(lambda t: learner.objective(reward, t), theta) == pytest.approx(
        learner.gradient(reward, theta).ravel(), abs=1e-7
    )
    hessian = learner.hessian(reward, theta)
    assert slopes(lambda t: learner.gradient(reward, t).ravel(), theta) == pytest.approx(hessian, abs=1e-7)
    assert np.array_equal(hessian, hessian.T)
    mixed, phi = rng.normal(size=(3, 5, 3)), rng.normal(size=3)
    by_weight = slopes(lambda p: learner.gradient(np.tensordot(p, mixed, 1), theta).ravel(), phi)
    assert by_weight == pytest.approx(learner.reward_slopes(mixed, theta), abs=1e-7)
    by_discount = slopes(
        lambda g: SoftLearner(MDP(mdp.transition, g[0], mdp.start), 0.3, 0.01).gradient(reward, theta).ravel(),
        np.array([0.9]),
    )
    assert by_discount[:, 0] == pytest.approx(learner.discount_slope(reward, theta), rel=1e-5, abs=1e-6)


def test_gradient_and_hessian_are_those_of_autograd():
    torch = pytest.importorskip("torch")
    mdp, rng = dirichlet(4, 3, 0.8), np.random.default_rng(0)
    reward, theta = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))

    def objective(flat):
        logits = flat.reshape(4, 3)
        log_policy = torch.log_softmax(logits, -1)
        policy, transition = log_policy.exp(), torch.tensor(mdp.transition)
        earned = (policy * (torch.tensor(reward) - 0.05 * log_policy)).sum(-1)
        under = torch.einsum("sa,sax->sx", policy, transition)
        value = torch.linalg.solve(torch.eye(4, dtype=torch.float64) - 0.8 * under, earned)
        return torch.tensor(mdp.start) @ value - 0.0005 * (logits**2).sum()

    flat, learner = torch.tensor(theta.ravel(), requires_grad=True), SoftLearner(mdp)
    assert learner.objective(reward, theta) == pytest.approx(objective(flat).item(), rel=1e-12)
    (slope,) = torch.autograd.grad(objective(flat), flat)
    assert learner.gradient(reward, theta).ravel() == pytest.approx(slope.numpy(), abs=1e-12)
    bend = torch.autograd.functional.hessian(objective, flat.detach())
    assert learner.hessian(reward, theta) == pytest.approx(bend.numpy(), abs=1e-12)


def test_one_state_ends_at_the_softmax_of_the_rewards():
    learner = SoftLearner(MDP(np.ones((1, 3, 1)), 0.0), entropy=0.5, ridge=1e-9)
    found = softmax(learner.optimum([[1.0, 0.5, 0.0]]))
    assert found == pytest.approx(softmax([[2.0, 1.0, 0.0]]), abs=1e-6)


@pytest.mark.parametrize("index", range(6))
def test_the_learner_ends_at_a_peak(index):
    rng = environment(6, index)
    mdp = sparse(8, 3, 0.9, source=rng)
    learner, reward = SoftLearner(mdp), 3 * rng.normal(size=(8, 3))
    theta = learner.optimum(reward)
    assert np.abs(learner.gradient(reward, theta)).max() < 1e-8
    assert np.linalg.eigvalsh(learner.hessian(reward, theta)).max() < 0
    assert learner.objective(reward, theta) > learner.objective(reward, np.zeros((8, 3)))


@pytest.mark.parametrize("name", ["helpful", "reversed", "farmable"])
def test_the_implicit_gradient_goes_through_the_whole_inner_problem(name):
    mdp, true, heuristics = goal_grid()
    rewards, phi, gamma = basis(mdp, true, [heuristics[name]]), np.array([0.1, 1.0, 0.3]), 0.85

    def value(both):
        learner = SoftLearner(MDP(mdp.transition, both[3], mdp.start))
        return mdp.returns(true, softmax(learner.optimum(np.tensordot(both[:3], rewards, 1), tolerance=1e-12)))

    learner = SoftLearner(MDP(mdp.transition, gamma, mdp.start))
    theta = learner.optimum(np.tensordot(phi, rewards, 1))
    found, by_discount = implicit_gradient(learner, true, rewards, phi, theta, gamma=0.9)
    expected = slopes(value, np.append(phi, gamma), 1e-4)
    assert np.append(found, by_discount) == pytest.approx(expected, rel=2e-3, abs=1e-6)
    summed, _ = implicit_gradient(learner, true, rewards, phi, theta, gamma=0.9, terms=20_000)
    assert summed == pytest.approx(found, rel=1e-3, abs=1e-9)


def test_the_neumann_sum_solves_a_system():
    rng = np.random.default_rng(2)
    a = rng.normal(size=(6, 6))
    hessian, slope = -(a @ a.T) / 30 - 0.1 * np.eye(6), rng.normal(size=6)
    assert neumann(hessian, slope, terms=2000) == pytest.approx(-np.linalg.solve(hessian, slope), rel=1e-9)
    with pytest.raises(InputError, match=r"eta=1000.*below 2/"):
        neumann(hessian, slope, terms=5, eta=1000)


def test_the_blend_ends_above_both_of_its_parts():
    study = blend_study("reversed", steps=12)
    value = {name: frame["value"].to_list() for (name,), frame in study.partition_by("variant", as_dict=True).items()}
    assert value["BARFI"][0] == value["naive sum"][0] < 0.05 < value["r_p only"][0] < value["BARFI"][-1]
    assert study.filter(variant="BARFI")["phi3"].to_list()[-1] < 0
    assert study["optimum"].unique().to_list() == [pytest.approx(0.9**3)]
    cells = blend_policies("reversed", steps=12).filter(variant="BARFI")
    assert cells["action"].to_list()[-1] is None and cells["action"][5] == "down" and cells["action"][7] == "right"
    assert cells["visits"].sum() == pytest.approx(10)


def test_bad_input_is_refused():
    mdp, true, _ = goal_grid()
    with pytest.raises(UnknownNameError, match="'reversed'"):
        blend_study("reverse")
    with pytest.raises(InputError, match="phi="):
        align(mdp, true, [], phi=(0, 1, 1))
    with pytest.raises(InputError, match="steps=-1"):
        align(mdp, true, [], steps=-1)
    with pytest.raises(ValueError, match=r"ridge=0"):
        SoftLearner(mdp, ridge=0)
    with pytest.raises(ValueError, match="logits"):
        SoftLearner(mdp).gradient(true, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="size"):
        goal_grid(1)
