# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # GRPO-S: harm has many kinds. One reward for all of them?
#
# **Question.** What a good answer is depends on the question: advice on medicines asks for other words than a request
# for a weapon. Two things can be done about it. Learn a reward *for each kind* of question, from answers that people
# chose. And give more weight to questions on which the model is still far from those answers. How much does each of the
# two bring?
#
# **Kept** of the paper (DR-IRL, arXiv 2503.18991): rewards learnt from demonstrations for each category, both factors
# of the scaled advantage GRPO-S. **Left out:** language. An answer is one of eight, and what it is worth in a category
# is drawn by lot; likeness is that of random directions. **Time:** fifteen minutes to read, twelve seconds to run.

# %%
from dataclasses import replace

import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.measures.interval import mean_interval
from lab.rewards.shadow import shadow_policy, shadow_reward
from lab.stand_ins import replaced
from simulators import Bandit
from simulators.reward_laws import normal

QUICK = True  # False: with as many runs as the recorded verdicts, half a minute more
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism, first half: a reward from demonstrations
#
# Assume that people answer like the best policy under some reward $r$ that must not go too far from a reference:
# $\pi \propto \pi_{ref}\,e^{r}$. Then raise $r$ where they answer more often than that policy, and lower it where less.


# %%
def learnt_reward(seen, reference, steps=2000, lr=0.5):
    """Rewards [C, A] under which the shares of the demonstrations [C, A] are likeliest."""
    reward = np.zeros(seen.shape)
    for _ in range(steps):
        policy = reference * np.exp(reward)
        reward += lr * (seen - policy / policy.sum(axis=-1, keepdims=True))
    return reward


def asked(seed=0, demonstrations=200, alike=False):
    """True rewards, reference policy and shares of the demonstrations [C, A]: seven categories, eight answers."""
    rng = np.random.default_rng(seed)
    true = 1.5 * rng.standard_normal((1 if alike else 7, 8)) + np.zeros((7, 8))
    reference = np.tile(rng.dirichlet(np.full(8, 5.0)), (7, 1))
    return true, reference, rng.multinomial(demonstrations, shadow_policy(true, reference)) / demonstrations


# %%
true, reference, seen = asked()
own, shared = shadow_reward(seen, reference), shadow_reward(seen.mean(axis=0), reference[0])
np.testing.assert_allclose(learnt_reward(seen, reference), own)
print("both agree; category 0, learnt and true (up to a constant):")
print((own[0] - own[0].mean()).round(1), (true[0] - true[0].mean()).round(1), sep="\n")

# %% [markdown]
# Check by hand where this comes to rest: where nothing changes any more, the policy answers exactly as people did.
#
# ## The mechanism, second half: more weight where it is far away
#
# GRPO's advantage times two numbers. The first is larger for a question whose answers are little *like* the
# demonstration; the second compares the mean distance in reward with and without outliers, and is the same for a
# whole category.


# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def grpo_s(rewards, likeness, demonstration=2.0):
    """Advantages [P, G] of one category, from rewards and likenesses [P, G]."""
    far = 1 - likeness.mean(axis=1)
    gap = demonstration - rewards.mean(axis=1)
    inside = (gap - gap.mean()) ** 2 <= 2 * gap.var()
    scale = sigmoid(far) / sigmoid(far.mean()) * sigmoid(gap[inside].mean()) / sigmoid(gap.mean())
    return scale[:, None] * (rewards - rewards.mean(axis=1, keepdims=True)) / rewards.std(axis=1, keepdims=True)


# %%
rng = np.random.default_rng(1)
rewards = rng.normal(size=(8, 16))
likeness = np.repeat([0.4, 0.85], 4)[:, None] + rng.uniform(-0.1, 0.1, (8, 16))  # four hard questions, four easy ones
both, options = np.stack([rewards, likeness], axis=-1), {"weights": (1, 0), "similarity": 1, "demonstration": 2.0}
np.testing.assert_allclose(grpo_s(rewards, likeness), lab.advantages.compute("grpo-s", both, **options), atol=1e-6)
print(lab.advantages.explain("grpo-s", both, prompt=0, rollout=0, **options))

# %% [markdown]
# How much more do the hard questions get? And the same by hand without the rule: inside the block, whoever asks for
# `grpo-s` gets GRPO.


# %%
def hard_over_easy():
    """Mean size of an advantage on the hard questions over that on the easy ones, GRPO's taken out."""
    sizes = lab.advantages.compute("grpo-s", both, **options) / lab.advantages.compute("grpo", rewards, ddof=0)
    return sizes[:4].mean() / sizes[4:].mean()


print(f"with it: {hard_over_easy():.3f}")
with replaced({"advantage:grpo-s": "grpo"}):
    print(f"without: {hard_over_easy():.3f}")

# %% [markdown]
# Between likenesses of 0.4 and 0.85 lies a factor of 1.2 or less, for σ is flat. Keep that in mind.
#
# ## The promise, on a fair track
#
# Two questions of each category. On one of them the answer that people choose most often starts with a logit 3 lower:
# that is a hard question. What counts is what the answers are *truly* worth, and not the reward that was learnt. GRPO
# has it both ways, GRPO-S has a reward per category.


# %%
class Questions(Bandit):
    """Two questions of each category; the rewards are a learnt reward and the likeness to the demonstration."""

    provides = (*Bandit.provides, "task")

    def rollout(self, *args, **options):
        return replace(super().rollout(*args, **{**options, "fields": ()}), task=np.repeat(np.arange(7), 2))


def questions(learnt):
    """A world with one learnt reward per category [7, 8], or one for all [8]."""
    best, way = seen.argmax(axis=1), np.random.default_rng(2).normal(size=(7, 8, 5))
    way /= np.linalg.norm(way, axis=-1, keepdims=True)
    like = (np.einsum("cad,cd->ca", way, way[np.arange(7), best]) + 1) / 2
    logits = np.repeat(np.log(reference), 2, axis=0)
    logits[::2][np.arange(7), best] -= 3
    means = np.repeat(np.stack([learnt + np.zeros((7, 8)), like], axis=1), 2, axis=0)
    return Questions(means=means, law=[normal(0.5), normal(1e-9)], logits=logits[:, None])


# %%
@lab.measurement(label="true worth of an answer", better="higher")
def true_worth(policy):
    """Mean over the questions of Σ π · true reward [S]."""
    odds = np.exp(policy.parameters[:, :, 0])
    return (odds / odds.sum(axis=-1, keepdims=True) * np.repeat(true, 2, axis=0)).sum(axis=-1).mean(axis=-1)


scaled = lab.variant("grpo-s", similarity=1, demonstration=2.0)
one, many = (lab.variant("grpo", name, ddof=0) for name in ("shared reward", "reward per category"))
runs = {"seeds": 16, "tuning": range(900, 908)} if QUICK else {"seeds": 64, "tuning": range(900, 916)}
track = {"fair": True, "lrs": (8.0, 16.0, 32.0), "steps": 40, "group_size": 8, "metric": "true_worth", **runs}
track["reward_weights"] = (1, 0)  # the likeness is looked at, and not added to the reward
fair = lab.compare(questions(shared), [one], **track).beside(lab.compare(questions(own), [many, scaled], **track))
tuning(fair.curve, label="true worth of an answer after 40 steps")

# %% [markdown]
# **Reading the picture.** Height is what answers are truly worth at the end, a point the mean over runs with its 95%
# interval, a large point the learning rate that is then judged. The best there is:

# %%
print(f"{true.max(axis=1).mean():.2f}\n{fair.sentence}")
fair.frame

# %% [markdown]
# The rewards per category bring everything, the scaling brings nothing that can be seen. The paper's own ablation has
# both steps (StrongReject: 0.81, 0.89, 0.94).

# %%
papers.paper("grpo-s").published[0].frame

# %%
headline = papers.find_claim("grpo-s.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("grpo-s.headline"))

# %% [markdown]
# ## With and without
#
# Each claim is measured again: with GRPO under GRPO-S's name (1 and 4), after twenty steps of learning the reward (2),
# where all categories want the same (3). There it must fail.

# %%
papers.table("grpo-s.1", "grpo-s.2", "grpo-s.3", "grpo-s.4").drop("published")

# %% [markdown]
# ## Where it does not hold
#
# A reward per category has a seventh of the demonstrations to learn from. Where categories want *different* answers it
# is worth that; where they want the same, one reward for all is the better one. How often two answers are ordered
# right, over the number of demonstrations in each category:


# %%
def ordered(learnt, true):
    """Share of pairs of answers that both rewards order alike, per draw [S], from rewards [S, C, A]."""
    first, second = np.triu_indices(8, 1)
    same = (learnt[..., first] > learnt[..., second]) == (true[..., first] > true[..., second])
    return same.mean(axis=(1, 2))


rows = []
for n in (10, 30, 60, 100, 200):
    for name, alike in {"wishes differ": False, "wishes agree": True}.items():
        true_, ref, said = (np.stack(each) for each in zip(*(asked(s, n, alike) for s in range(16)), strict=True))
        each = ordered(shadow_reward(said, ref, steps=500), true_)
        all_ = ordered(shadow_reward(said.mean(axis=1, keepdims=True), ref[:, :1], steps=500) + 0 * true_, true_)
        rows.append((name, n, "gain", *mean_interval(each - all_)))
gain = pl.DataFrame(rows, schema=["variant", "step", "metric", "mean", "low", "high"], orient="row")
curves(gain, metric="gain", label="pairs in order: per category minus shared", unit="demonstrations per category")

# %% [markdown]
# And the scaling: a factor of 1.2 cannot do much for a question whose good answer is never sampled, for there GRPO's
# advantages are all about other answers.
#
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Two questions of one category; answers to the first are like the demonstration to 0.2 on average, answers to
# the second to 0.6. By which factor is GRPO's advantage scaled on the first, if both are equally far in reward?

# %%
answer_1 = None


# %%
def factors(likeness):
    """The factor of each question from its mean likeness [P], all equally far in reward."""
    both = np.stack([np.tile([1.0, -1.0], (len(likeness), 1)), np.tile(likeness, (2, 1)).T], axis=-1)
    return lab.advantages.compute("grpo-s", both, **options)[:, 0]


check(answer_1, factors([0.2, 0.6])[0], "what is compared with what inside the two sigmoids?", within=0.003)

# %% [markdown]
# **2.** Likenesses lie between 0 and 1. What is the largest factor that any question can get in a batch of eight of one
# category, all equally far in reward? Which batch is that?

# %%
answer_2 = None

# %%
check(answer_2, factors([0.0] + [1.0] * 7)[0], "what is good for the factor above the line, what below?", within=0.003)

# %% [markdown]
# **3.** Is the factor only too timid? Write one with mean 1 over the batch that gives a question with a likeness of 0.4
# at least three times what one with 0.85 gets, and see whether it helps.


# %%
def own_factor(likeness):
    """Factor of each question [..., P] from its mean likeness [..., P]."""
    return None  # your line


# %%
@lab.advantage(name="own-factor", components=True)
def bold(rewards):
    """GRPO's advantage of the first component, times a factor per question."""
    return own_factor(rewards[..., 1].mean(axis=-1))[..., None] * lab.advantages.compute("grpo", rewards[..., :1])


tried = own_factor(np.repeat([0.4, 0.85], 4))
if tried is not None:
    good = np.isclose(tried.mean(), 1) and tried[0] >= 3 * tried[-1] > 0
    check(good, True, "any falling function will do; then divide by what makes the mean 1")
    print(lab.compare(questions(own), [many, scaled, "own-factor"], **track).sentence)

# %% [markdown]
# In the dashboard (`make lab`): [the rules as they are
# written](http://127.0.0.1:8501/papers?paper=grpo-s&view=rules) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=grpo-s).
