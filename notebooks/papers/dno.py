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
# # DNO: what should be learnt where there is no best answer?
#
# **Question.** Readers prefer A to B, B to C, and C to A. No reward can say that: a reward puts answers in a row. What
# can still be asked for is a way of answering that nobody beats more often than not, as in rock, paper, scissors. Can a
# plain regression, repeated, find it?
#
# **Kept** of the paper (arXiv 2404.03715): the regression on win rates, its repetition, the mixture of all its
# policies. **Left out:** language; an answer is one of three, and how often each beats each other is known.
# **Time:** fifteen minutes to read, ten seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves
from lab.measures.interval import mean_interval
from lab.stand_ins import replaced

_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# What an answer is worth *now* is how often it beats what the policy would say now. Take two answers: that the first
# beats the second should be as probable under the new policy, as far as it has moved from the old one, as their worths
# say. The weight of an answer is what is still missing, over all pairs. η says how dear it is to move.


# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def push(new, old, worth, eta):
    """Weights [A] of the log-probabilities `new` [A]; `old` are those of the policy whose answers were judged."""
    moved = eta * (new - old)
    missing = sigmoid(worth[:, None] - worth) - sigmoid(moved[:, None] - moved)
    return eta * missing.sum(axis=1) / (len(new) * (len(new) - 1) / 2)


# %%
old, new = np.log([0.5, 0.3, 0.2]), np.log([0.4, 0.4, 0.2])
worth = np.array([0.5, 0.7, 0.3])
theirs = lab.objectives.weights("dno", new[None, :, None], worth[None], logp=old[None, :, None], eta=0.5)
np.testing.assert_allclose(push(new, old, worth, 0.5), theirs[0, :, 0])
print("ten lines and the lab's rule agree:", theirs[0, :, 0].round(4))

# %% [markdown]
# Check by hand that nothing is missing where every answer has moved by its worth over η. So if the regression is
# followed to its end, the new policy is the old one times exp(worth/η), and the sum of all pushes is always 0.
#
# ## Games without a best answer
#
# Twenty games of three answers, each of which beats the next with a probability between 0.6 and 0.95, drawn at random.
# The *gap* of a policy is what the best reply to it wins above one half; it is 0 for the Nash policy alone.

# %%
rng, games = np.random.default_rng(0), np.full((20, 3, 3), 0.5)
for i in range(3):
    games[:, i, (i + 1) % 3] = 0.6 + 0.35 * rng.random(20)
    games[:, (i + 1) % 3, i] = 1 - games[:, i, (i + 1) % 3]
print(games[0].round(2))


def worth_of(policy):
    """How often each answer beats what the policies [S, A] say: [S, A]."""
    return (games @ policy[..., None])[..., 0]


def gap(policy):
    """What the best reply wins above one half [S]."""
    return worth_of(policy).max(axis=-1) - 0.5


# %%
def iterated(objective, eta=2.0, iterations=150, **options):
    """Gap of the last policy and of the mixture of all so far, after each iteration: two arrays [n, S]."""
    policy, total, found = np.full((20, 3), 1 / 3), np.zeros((20, 3)), []
    for n in range(iterations):
        total += policy
        found.append((gap(policy), gap(total / (n + 1))))
        old, worth = np.log(policy)[:, None, :, None], worth_of(policy)[:, None]
        new = old
        for _ in range(6):
            new = new + 4 / eta**2 * lab.objectives.weights(objective, new, worth, logp=old, **options)
        policy = np.exp(new[:, 0, :, 0] - new.max(axis=(1, 2, 3))[:, None])
        policy /= policy.sum(axis=-1, keepdims=True)
    return np.swapaxes(found, 0, 1)


# %% [markdown]
# ## The promise
#
# Two ways from the same uniform start: the policy that comes last, and the mixture of all policies so far (choose one
# of them by lot, then answer). Beside them a reward fitted to the very same preferences, as one would for PPO or DPO
# (Bradley-Terry), and maximised with a little KL to the start.


# %%
def rows(name, found):
    """The curve of one way: means over the games with 95% intervals."""
    numbers = [(name, n, *mean_interval(each)) for n, each in enumerate(found)]
    frame = pl.DataFrame(numbers, schema=["variant", "step", "mean", "low", "high"], orient="row")
    return frame.with_columns(metric=pl.lit("gap"))


last, mixed = iterated("dno", eta=2.0)
reward = np.zeros((20, 3))
for _ in range(500):
    reward += 0.5 * (games - sigmoid(reward[:, :, None] - reward[:, None])).sum(axis=-1)
scalar = np.exp(reward / 0.05 - (reward / 0.05).max(axis=-1, keepdims=True))
scalar = gap(scalar / scalar.sum(axis=-1, keepdims=True))
seen = {"dno@mixture": mixed, "dno@last": last, "scalar reward": np.broadcast_to(scalar, mixed.shape)}
curves(pl.concat([rows(n, f) for n, f in seen.items()]), metric="gap", label="won by the best reply, above ½",
       unit="iteration")  # fmt: skip

# %% [markdown]
# **Reading the picture.** Low is good. A reward cannot be right here, and the harder it is maximised the easier it is
# to beat. The last policy of DNO goes round in circles, for each answer is best against what the policy has just
# become. Their *mixture* comes to rest. **Published beside it:** of preferences by readers, no gap is known; what the
# paper has are win rates of a 7B model against GPT-4, iteration by iteration.

# %%
papers.paper("dno").published[0].frame

# %% [markdown]
# The recorded verdict gives the rivals more: DPO on one batch of the first policy, and GRPO on win rates whose policies
# are mixed as DNO's are. Then little is left of the lead:

# %%
headline = papers.find_claim("dno.headline")
print(headline.sentence, headline.note, sep="\n\n")

# %% [markdown]
# ## With and without
#
# Measured again with PPO's objective under DNO's name, on the same win rates. There each must fail.

# %%
papers.table("dno.1", "dno.2", "dno.3", "dno.4")

# %% [markdown]
# The same by hand. PPO's clip sees a win rate of 0.6 and of 0.9 alike, as a reason to go up until the ratio is 1.2; so
# the steps are not those of a policy that moves by exp(worth/η), and the mixture need not come to rest at the right
# place.

# %%
with replaced({"objective:dno": "ppo_clip"}):
    _, without = iterated("dno", eta=2.0)
both = pl.concat([rows("dno@mixture", mixed), rows("dno@without", without)])
curves(both, metric="gap", label="won by the best reply, above ½", unit="iteration")

# %% [markdown]
# ## Where it does not hold
#
# **The last policy is not the mixture.** The paper keeps the last one, or the best one on a validation set, since
# nobody wants to serve a hundred models. In a game with a circle that gives away the guarantee, as the first picture
# shows; larger η (smaller steps) makes the circles smaller, and the way longer.

# %%
table = []
for eta in (0.5, 1.0, 2.0, 5.0):
    last, mixed = iterated("dno", eta=eta)
    table.append({"eta": eta, "last": last[-1].mean(), "mixture": mixed[-1].mean()})
pl.DataFrame(table)

# %% [markdown]
# **Samples in place of all answers.** With five samples a question and single comparisons (DNO-Prct) it still improves
# on its last policy nearly every time, and comes half as near:

# %%
prct = papers.measured("dno.check-prct")[1]
prct.frame

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Rock, paper, scissors, where rock beats scissors *always*, paper beats rock with 0.6 and scissors beat paper
# with 0.6. How often should one play rock, so that nobody wins more than half of the time?

# %%
answer_1 = None


# %%
def nash(rock):
    """Whether some policy with this share of rock has no gap."""
    game = np.array([[0.5, 0.4, 1.0], [0.6, 0.5, 0.4], [0.0, 0.6, 0.5]])  # rock, paper, scissors
    paper = np.linspace(0, 1 - rock, 2001) if 0 <= rock <= 1 else np.zeros(1)
    policies = np.stack([np.full_like(paper, rock), paper, 1 - rock - paper], axis=-1)
    return (policies @ game.T).max(axis=-1).min() < 0.5005


check(answer_1, nash, "against the right mixture all three are worth the same; write that down for two of them")

# %% [markdown]
# **2.** How large is the guarantee? Each step beats the policy before it with a probability of at least ½ + η·KL. Take
# the uniform policy over two answers, of which the first beats the second with certainty, and η = 0.5. With which
# probability does the new policy, followed to the end of the regression, beat the old one?

# %%
answer_2 = None

# %%
new = old = np.log([[0.5, 0.5]])
for _ in range(200):
    new = new + 4 * push(new[0], old[0], np.array([0.75, 0.25]), 0.5)
share = np.exp(new[0]) / np.exp(new[0]).sum()
check(answer_2, share @ [0.75, 0.25], "first what each answer is worth against the uniform policy, then exp(worth/η)")

# %% [markdown]
# **3.** Can one policy have the mixture's peace? Write a step that does not start from the last policy but regresses
# towards the *average* worth of all iterations so far, from the uniform policy. Here `average` is that mean.


# %%
def next_policy(average, n, eta):
    """The policy [S, A] after n iterations, from the mean worth [S, A] of the answers so far."""
    return None  # your line


# %%
if next_policy(np.zeros((20, 3)), 1, 2.0) is not None:
    policy, total, old = np.full((20, 3), 1 / 3), np.zeros((20, 3)), np.full((20, 3), 1 / 3)
    for n in range(1, 151):
        worth = worth_of(policy)
        total += worth
        old = policy * np.exp(worth / 2.0)
        policy = next_policy(total / n, n, 2.0)
    same = np.allclose(policy, old / old.sum(axis=-1, keepdims=True))
    check(same, True, "multiply all the factors exp(worth/η) so far; what is left of the last policy?")
    print(f"gap of the last policy {gap(policy).mean():.3f}: it is the same way, written from its start")

# %% [markdown]
# In the dashboard (`make lab`): [a judge with moods, who compares answers in
# pairs](http://127.0.0.1:8501/compare?world=judged&variants=grpo~dno~dno-prct) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=dno).
