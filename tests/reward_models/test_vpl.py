"""VPL: its losses and their gradients, the encoder of a set, what users teach, and what is refused."""

import numpy as np
import pytest

import lab
from lab.errors import InputError, LabError, MissingFieldError, UnknownNameError
from simulators.learned_reward.users import ask, told

torch = pytest.importorskip("torch", exc_type=ImportError)

from lab import reward_models  # noqa: E402
from lab.reward_models import vpl  # noqa: E402
from lab.studies.reward_models import reward_model_names  # noqa: E402

DRAW = torch.Generator().manual_seed(0)


def drawn(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=DRAW).requires_grad_()


def test_the_gradient_of_a_pair_is_the_chance_of_the_other_order():
    chosen, rejected = drawn(7), drawn(7)
    vpl.pair_loss(chosen, rejected).sum().backward()
    other = torch.sigmoid(rejected - chosen).detach()
    assert torch.allclose(chosen.grad, -other) and torch.allclose(rejected.grad, other)


def test_the_latent_loss_is_twice_the_kl_of_two_gaussians_and_so_is_its_gradient():
    mean, log_var, centre, scale = drawn(3, 4), drawn(3, 4), drawn(4), drawn(4)
    ours = vpl.latent_loss(mean, log_var, (centre, scale))
    ours.sum().backward()
    q, p = (torch.distributions.Normal(m, (v / 2).exp()) for m, v in ((mean, log_var), (centre, scale)))
    assert torch.allclose(ours, 2 * torch.distributions.kl_divergence(q, p).sum(-1))
    ratio = (log_var - scale).exp()
    assert torch.allclose(mean.grad, (2 * (mean - centre) / scale.exp()).detach())
    assert torch.allclose(log_var.grad, (ratio - 1).detach())
    standard = torch.zeros(2, 3)
    assert vpl.latent_loss(standard, standard).tolist() == [0.0, 0.0]


def test_atoms_that_tie_count_half_and_the_gradient_is_that_of_the_written_sum():
    chosen, rejected = drawn(5, 3), drawn(5, 3)
    loss, chance = vpl.categorical_loss(chosen, rejected)
    ours = torch.autograd.grad(loss.sum(), (chosen, rejected))
    p, q = chosen.softmax(-1), rejected.softmax(-1)
    won = sum(p[:, i] * q[:, j] * (1.0 if i > j else 0.5) for i in range(3) for j in range(i + 1))
    assert torch.allclose(chance, won) and torch.allclose(loss, -won.log())
    theirs = torch.autograd.grad(-won.log().sum(), (chosen, rejected))
    assert all(torch.allclose(a, b) for a, b in zip(ours, theirs, strict=True))


def test_the_gradient_of_means_and_variances_is_the_written_one():
    chosen, rejected = drawn(6, 2), drawn(6, 2)
    loss, z = vpl.mean_variance_loss(chosen, rejected)
    (slope,) = torch.autograd.grad(loss.sum(), chosen)
    spread = (chosen[:, 1].exp() + rejected[:, 1].exp()).detach()
    by_z = -np.sqrt(2 * np.pi) * torch.sigmoid(-np.sqrt(2 * np.pi) * z).detach()
    assert torch.allclose(slope[:, 0], by_z / spread.sqrt())
    assert torch.allclose(slope[:, 1], by_z * z.detach() * -0.5 * chosen[:, 1].exp().detach() / spread)


def test_annealing_rises_from_a_tenth_and_starts_again():
    assert vpl.annealed(0, 10) == pytest.approx(0.1) and vpl.annealed(5, 10) == pytest.approx(0.55)
    assert vpl.annealed(10, 10) == pytest.approx(0.1) and vpl.annealed(10, 10, cyclical=False) == 1.0
    assert vpl.annealed(3, 10, "none") == 1.0
    with pytest.raises(UnknownNameError, match="nearest: 'cosine'"):
        vpl.annealed(0, 10, "cosin")


@pytest.fixture(scope="module")
def model():
    """Two runs of a short training on two opposite personas."""
    return vpl.vpl(ask(30, 16, seeds=[0, 1]), [0, 1], steps=120, hidden=16, batch=16, lr=1e-2)


def test_the_latent_is_of_a_set_and_without_a_pair_the_priors(model):
    users = ask(6, 8, seeds=[0, 1], draw=1)
    z = model.latent(users.chosen, users.rejected)
    order = [3, 1, 0, 2, 7, 6, 5, 4]
    assert z == pytest.approx(model.latent(users.chosen[:, :, order], users.rejected[:, :, order]), abs=1e-5)
    assert (model.latent(users.chosen[:, :, :0], users.rejected[:, :, :0]) == 0).all() and z.shape == (2, 6, 4)
    both = model(users.chosen, {"chosen": users.chosen, "rejected": users.rejected})
    assert both == pytest.approx(model.score(users.chosen, z))


def test_vpl_by_name_reads_what_the_user_has_compared(model):
    users = ask(30, 16, seeds=[0, 1])
    given = {"steps": 120, "hidden": 16, "batch": 16, "lr": 1e-2}
    both = reward_models.fit("vpl", users, [0, 1], **given)
    own = {name: getattr(users, name)[:, :, :4] for name in ("chosen", "rejected")}
    assert np.array_equal(both(users.chosen, own), model(users.chosen, own))
    alone = reward_models.fit("vpl", (users.chosen[0], users.rejected[0]), 0, **given)
    x, pairs = users.chosen[0, :3], {name: array[0, :3] for name, array in own.items()}
    assert alone(x, pairs).shape == (3, 16) and np.allclose(alone(x, pairs), both(users.chosen, own)[0, :3], atol=1e-5)
    with pytest.raises(MissingFieldError, match="reads rejected too"):
        alone(x, {"chosen": pairs["chosen"]})
    with pytest.raises(InputError, match="does not read 'z'; it reads the responses, chosen, rejected"):
        alone(x, {**pairs, "z": 0.0})
    with pytest.raises(InputError, match="chosen must be finite"):
        alone(x, {**pairs, "chosen": np.full((3, 4, 8), np.nan)})
    with pytest.raises(InputError, match=r"responses \(3, 16, 5\)"):
        alone(x[..., :5], pairs)
    with pytest.raises(InputError, match="it learns from Users of simulators"):
        reward_models.fit("vpl", users.pooled)
    assert "vpl" not in reward_model_names()  # the world of learned rewards has no users


def test_a_users_pairs_tell_what_it_wants(model):
    users = ask(40, 40, seeds=[0, 1], draw=1)
    for read, least, most in ((0, 0.4, 0.6), (8, 0.7, 1.0)):
        z = model.latent(users.chosen[:, :, :read], users.rejected[:, :, :read])
        fresh, other = (model.score(x[:, :, 8:], z) for x in (users.chosen, users.rejected))
        assert least < (fresh > other).mean() < most


def test_users_are_asked_as_they_want_and_share_their_personas():
    seen, unseen = (ask(50, 200, personas=2, beta=50.0, spread=0.0, seeds=[3], draw=d) for d in (0, 1))
    for users in (seen, unseen):
        assert np.einsum("sund,sud->sun", users.chosen - users.rejected, users.wants).mean() > 0.5
    assert np.allclose(seen.wants[0, seen.persona[0] == 0][0], unseen.wants[0, unseen.persona[0] == 0][0])
    assert np.allclose(seen.wants[0, seen.persona[0] == 0][0], -seen.wants[0, seen.persona[0] == 1][0])
    assert seen.pooled.chosen.shape == (1, 50 * 200, 8)


def test_the_rule_is_the_chance_to_be_preferred():
    rewards, others = np.array([[[0.0], [np.log(3)]]]), np.array([[[0.0], [1e3]]])
    found = lab.rewards.apply("vpl-spo", rewards, reference_rewards=others)
    assert found[..., 0] == pytest.approx(np.array([[0.25, 0.375]]))
    with pytest.raises(MissingFieldError, match="reference_rewards"):
        lab.rewards.apply("vpl-spo", rewards)


@pytest.mark.parametrize(
    ("shape", "value", "said"),
    [((1, 4, 2), 1.0, "at least two"), ((3, 0, 2), 1.0, "no comparisons"), ((3, 4, 2), np.nan, "finite"),
     ((3, 4, 2), 0.0, "the same in every comparison"), ((4, 2), 1.0, r"\[U, N, D\]")],
)  # fmt: skip
def test_users_who_teach_nothing_are_refused(shape, value, said):
    with pytest.raises(ValueError, match=said):
        told(np.full(shape, value), np.zeros(shape))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"context": 12}, "16 pairs of each user"), ({"kl": -1.0}, "at least 0"), ({"anneal": "sine"}, "annealing"),
     ({"steps": 0}, "steps"), ({"latent": 0}, "latent"), ({"lr": 1e30, "steps": 3}, "smaller learning rate")],
)  # fmt: skip
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(LabError, match=said):
        vpl.vpl(ask(4, 16), [0], **{"steps": 1, **options})


def test_one_user_and_other_sets_are_refused(model):
    with pytest.raises(InputError, match="1 user"):
        vpl.vpl(ask(1, 16), [0])
    with pytest.raises(InputError, match="2 sets of users for 3 seeds"):
        vpl.vpl(ask(4, 16, seeds=[0, 1]), [0, 1, 2])
    x = np.zeros((2, 1, 3, 8))
    with pytest.raises(InputError, match="finite"):
        model.latent(np.full((2, 1, 3, 8), np.nan), x)
    with pytest.raises(InputError, match=r"\[S, U, n, D\]"):
        model.latent(x, x[0])
    with pytest.raises(ValueError, match="beta"):
        ask(3, 4, beta=-1.0)
