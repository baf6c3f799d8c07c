"""VPL: users who want different things, told apart by a few comparisons each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import lab
from lab.papers.measure import Array, above, ahead, below, interval, runs
from lab.papers.record import Measurement, Paper, add_paper, claim
from lab.stand_ins import cached

if TYPE_CHECKING:
    from lab.reward_models.vpl import Personal
    from simulators.learned_reward.users import Users

add_paper(
    Paper(
        slug="vpl",
        title="Personalizing Reinforcement Learning from Human Feedback with Variational Preference Learning",
        short="VPL",
        date="August 2024",
        arxiv={"VPL": "2408.10075"},
        code="https://github.com/WEIRDLabUW/vpl_llm",
        problem=(
            "Annotators who want different things are averaged by one reward model: of two opposite groups it learns "
            "nothing. VPL infers what kind a user is from a few of its comparisons, and scores given that."
        ),
        equations=(
            ("encoder", "e_i = MLP([c_i, r_i]),  o = mean_i (softmax(Q Kᵀ/√Z) V)_i,  q(z) = N(W_m o, exp(W_v o))"),
            ("loss", "−log σ(r(c, z) − r(r, z)) + w · KL(q(z | pairs of the user) ‖ N(0, I))"),
            ("scale (SPO)", "r̃(x, z) = mean_j σ(r(x, z) − r(x_j, z))"),
            ("atoms", "P = Σ_ij p_c(i) p_r(j) (1[i > j] + ½ 1[i = j])"),
            ("mean and variance", "softplus(−√(2π) (m_c − m_r)/√(v_c + v_r))"),
        ),
        kept="The language version's encoder with attention, its decoder and loss, annealing and rescaled samples; "
        "the "
        "scale of rewards as a reward rule; the losses of both baselines.",
        left_out="Control tasks and language; active choice of what to ask; a learned prior in training (its KL is "
        "there).",
        unknown="The paper's tables; its estimator of what a question would tell.",
    )
)

_RUNS, _NUMBER, _PAIRS, _UNSEEN, _FRESH = 4, 60, 64, 100, 48
_OPTIONS: dict[str, Any] = {"hidden": 32, "batch": 32, "steps": 500, "lr": 4e-3}


@cached
def _users(own: tuple[int, ...], personas: int, pairs: int, draw: int) -> Users:
    from simulators.learned_reward.users import ask

    number = _UNSEEN if draw else _NUMBER
    return ask(number, pairs, personas=personas, seeds=own, draw=draw)


@cached
def _fit(own: tuple[int, ...], personas: int) -> Personal:
    from lab.reward_models.vpl import vpl

    return vpl(_users(own, personas, _PAIRS, 0), own, **_OPTIONS)


def _own(seed: int) -> tuple[int, ...]:
    return tuple(runs(seed, _RUNS))


def _right(own: tuple[int, ...], personas: int, score: Any) -> Array:
    """Share of fresh pairs of unseen users that are ranked as their users want [runs]."""
    users = _users(own, personas, _FRESH, 1)
    x, y = users.chosen[:, :, 16:], users.rejected[:, :, 16:]
    assert users.wants is not None
    true = np.einsum("sund,sud->sun", x - y, users.wants)
    return np.asarray(((score(x) > score(y)) == (true > 0)).mean((1, 2)))


def _inferred(own: tuple[int, ...], personas: int, context: int) -> Array:
    """That of VPL, whose encoder reads the first pairs of each user [runs]."""
    users, model = _users(own, personas, _FRESH, 1), _fit(own, personas)
    z = model.latent(users.chosen[:, :, :context], users.rejected[:, :, :context])
    return _right(own, personas, lambda x: model.score(x, z))


@cached
def _averaged(own: tuple[int, ...], personas: int, lr: float) -> Array:
    """That of Bradley and Terry's model of all comparisons [runs]."""
    from simulators.learned_reward.fitting import fit

    return _right(own, personas, fit(_users(own, personas, _PAIRS, 0).pooled, own, lr=lr))


def _alone(own: tuple[int, ...], personas: int, ridge: float) -> Array:
    """That of a linear model of each unseen user's own eight pairs, which knows nobody else [runs]."""
    from lab.reward_models import bradley_terry

    users = _users(own, personas, _FRESH, 1)
    apart = (users.chosen - users.rejected)[:, :, :8]
    yes = np.ones(8, bool)
    found = np.array([[bradley_terry(user, yes, ridge=ridge) for user in each] for each in apart])
    return _right(own, personas, lambda x: np.einsum("sund,sud->sun", x, found))


@claim(
    "vpl.headline",
    sentence="For a user it has never seen VPL ranks pairs better after eight comparisons than one model of "
    "everyone and than a model of these eight alone: with two opposite personas 0.90 rightly, beside 0.50 and 0.73; "
    "with four the lead is small.",
    criterion="lead of VPL with eight pairs of an unseen user over the better of Bradley and Terry's model of "
    "everyone and a linear model of those eight pairs, in pairs ranked as the user wants, two personas, 95% "
    "interval above 0 (4 runs, 100 unseen users)",
    note="The two others are at the best of their learning rates (0.003, 0.01) and ridges (0.125, 0.5, 2) on the "
    "very runs that are judged, VPL at one learning rate. Seeds 0 to 4: 0.155 to 0.177. Control tasks need a "
    "world of their own.",
    published="recovers each user's reward where one reward model averages (maze, kitchen); its tables were not "
    "available",
)
def headline(seed: int) -> Measurement:
    """Lead of VPL in pairs ranked rightly."""
    return ahead({f"{kinds} personas": _beside(_own(seed), kinds) for kinds in (2, 4)}, "VPL", "one model", "alone")


_LRS, _RIDGES = (3e-3, 1e-2), (0.125, 0.5, 2.0)


def _beside(own: tuple[int, ...], personas: int) -> dict[str, Array]:
    """Accuracies of VPL and of what knows everyone or a user alone, these two at the best of their settings here."""
    averaged, alone = [_averaged(own, personas, lr) for lr in _LRS], [_alone(own, personas, r) for r in _RIDGES]
    best = {"one model": max(averaged, key=np.mean), "alone": max(alone, key=np.mean)}
    return {"VPL": _inferred(own, personas, 8), **best}


@claim(
    "vpl.1",
    sentence="Where users want different things one reward model averages: with two opposite personas it is at "
    "chance, VPL with eight pairs of a user it has not seen is not.",
    criterion="accuracy of VPL above that of Bradley and Terry's model by 0.3 with two personas and by 0.03 with "
    "four, 95% intervals included (4 runs, 100 unseen users)",
    note="Reported: 0.905 beside 0.497, and 0.849 beside 0.666 with four. The lab's networks are half as wide and "
    "trained for 500 steps; with four it reaches 0.80, also at the reported sizes (0.79): cause not found. Control: "
    "none of the user's pairs is read.",
    without=lambda seed: _apart(seed, 0),
)
def apart(seed: int) -> Measurement:
    """Accuracy gained with two personas."""
    return _apart(seed, 8)


def _apart(seed: int, read: int) -> Measurement:
    own, rows, gains = _own(seed), [], []
    for personas in (2, 4):
        ours, theirs = _inferred(own, personas, read), _averaged(own, personas, _LRS[0])
        rows.append({"personas": personas, "VPL": float(ours.mean()), "Bradley–Terry": float(theirs.mean())})
        gains.append(ours - theirs)
    return above(gains[0], 0.3, rows=rows, also=interval(gains[1])[1][0] > 0.03)


@claim(
    "vpl.2",
    sentence="The more comparisons of a user are read, the better: with two personas 0.50, 0.81, 0.87, 0.90, 0.91 "
    "and 0.91 with 0, 1, 2, 4, 8 and 16.",
    criterion="accuracy rises with 0, 1, 2, 4, 8, 16 pairs, no step below −0.01 on average, and in all by more than "
    "0.3 with two personas and by 0.05 with four, 95% intervals included",
    note="Reported: 0.501, 0.801, 0.858, 0.897, 0.905, 0.905; with four 0.658 to 0.867. Control: pairs of another "
    "user.",
    without=lambda seed: _context(seed, of_another=True),
)
def context(seed: int) -> Measurement:
    """Accuracy gained by 16 pairs over none, two personas."""
    return _context(seed, of_another=False)


def _context(seed: int, of_another: bool) -> Measurement:
    own, rows, gains, rises = _own(seed), [], [], True
    for personas in (2, 4):
        users, model = _users(own, personas, _FRESH, 1), _fit(own, personas)
        pairs = [np.roll(x, 1, axis=1) if of_another else x for x in (users.chosen, users.rejected)]
        found = []
        for number in (0, 1, 2, 4, 8, 16):
            z = model.latent(*(x[:, :, :number] for x in pairs))
            found.append(_right(own, personas, lambda x, z=z, m=model: m.score(x, z)))
            rows.append({"personas": personas, "pairs read": number, "accuracy": float(found[-1].mean())})
        rises &= bool((np.diff([each.mean() for each in found]) >= -0.01).all())
        gains.append(found[-1] - found[0])
    return above(gains[0], 0.3, rows=rows, also=rises and interval(gains[1])[1][0] > 0.05)


@claim(
    "vpl.3",
    sentence="The latent tells personas apart: unseen users lie nearest to the mean of their own.",
    criterion="share of unseen users nearest to the mean z of their persona's training users above 0.9 with two and "
    "above 0.4 with four, 95% intervals included (eight pairs read)",
    note="Reported: 0.998 with two, 0.79 with four. Control: pairs of another user.",
    without=lambda seed: _nearest(seed, of_another=True),
)
def nearest(seed: int) -> Measurement:
    """Share of unseen users nearest to their persona, two personas."""
    return _nearest(seed, of_another=False)


def _nearest(seed: int, of_another: bool) -> Measurement:
    own, rows, shares = _own(seed), [], []
    for personas in (2, 4):
        seen, unseen, model = _users(own, personas, _PAIRS, 0), _users(own, personas, _FRESH, 1), _fit(own, personas)
        assert seen.persona is not None and unseen.persona is not None
        known, new = (model.latent(u.chosen[:, :, :8], u.rejected[:, :, :8]) for u in (seen, unseen))
        member = seen.persona[..., None] == np.arange(personas)
        means = np.einsum("suk,suz->skz", member / member.sum(1, keepdims=True), known)
        new = np.roll(new, 1, axis=1) if of_another else new
        at = np.linalg.norm(new[:, :, None] - means[:, None], axis=-1).argmin(-1)
        shares.append((at == unseen.persona).mean(1))
        rows.append({"personas": personas, "nearest to their own": float(shares[-1].mean())})
    return above(shares[0], 0.9, rows=rows, also=interval(shares[1])[1][0] > 0.4)


@claim(
    "vpl.4",
    sentence="Comparisons fix a user's reward only up to its scale; the chance to be preferred to others has nearly "
    "the same range for everyone.",
    criterion="coefficient of variation over 25 users of the range of rewards of 200 responses, after the rule "
    "`vpl-spo` less than half of that before, with two and with four personas, 95% intervals included",
    note="The value is the ratio with two personas. Reported: 0.178 to 0.024, a ratio of 0.13; here about 0.2, cause "
    "not found. Control: the rule left out.",
    without={"reward:vpl-spo": lambda rewards: rewards},
)
def scale(seed: int) -> Measurement:
    """Spread of the ranges after the rule over that before, two personas."""
    own, rows, ratios = _own(seed), [], []
    rng = np.random.default_rng([seed, 5])
    x = rng.standard_normal((400, 8))
    for personas in (2, 4):
        users, model = _users(own, personas, _FRESH, 1), _fit(own, personas)
        z = model.latent(*(part[:, :25, :8] for part in (users.chosen, users.rejected)))
        rewards = model.score(np.broadcast_to(x, (len(own), 25, *x.shape)), z)[..., None]
        ours = lab.rewards.apply("vpl-spo", rewards[:, :, :200], reference_rewards=rewards[:, :, 200:])
        before, after = (_uneven(each[..., 0]) for each in (rewards[:, :, :200], ours))
        ratios.append(after / before)
        rows.append({"personas": personas, "before": float(before.mean()), "after": float(after.mean())})
    return below(ratios[0], 0.5, rows=rows, also=interval(ratios[1])[1][1] < 0.5)


def _uneven(rewards: Array) -> Array:
    """Deviation over mean of the users' ranges [S, U, M] -> [S]."""
    ranges = rewards.max(-1) - rewards.min(-1)
    return np.asarray(ranges.std(-1) / ranges.mean(-1))
