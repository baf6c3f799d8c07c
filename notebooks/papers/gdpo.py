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
# # GDPO: of two rewards, only the loud one is learnt. Why?
#
# **Question.** An answer is paid twice: from −3 to 3 for being correct, and 0 or 1 for keeping a format. GRPO adds the
# two and normalises the sum. What is left of the quiet reward after that, and is it enough to normalise each reward
# before they are added?
#
# **Kept** of the paper (arXiv 2601.05242): each reward normalised on its own, weights, the step over the batch, rewards
# that wait for one another. **Left out:** language; an answer is one of sixteen arms with two rewards.
# **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, levels_by_size, tuning
from lab.papers.measure import OnePolicy
from lab.stand_ins import replaced
from simulators import Bandit
from simulators.reward_laws import normal

QUICK = True  # False: with as many runs as the recorded verdicts, a few minutes
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism


# %%
def gdpo(rewards, eps=1e-4):
    """Advantages [P, G] of the rewards [P, G, K]: normalise, add, normalise again over the whole batch."""
    mean, spread = rewards.mean(axis=1, keepdims=True), rewards.std(axis=1, ddof=1, keepdims=True)
    total = ((rewards - mean) / (spread + eps)).sum(axis=2)
    return (total - total.mean()) / (total.std(ddof=1) + eps)


# %%
rng = np.random.default_rng(0)
rewards = np.stack([rng.random((4000, 8)) < 0.8, rng.uniform(-3, 3, (4000, 8))], axis=-1).astype(float)
np.testing.assert_allclose(gdpo(rewards), lab.advantages.compute("gdpo", rewards), atol=1e-9)
print(lab.advantages.explain("gdpo", rewards[:2], prompt=0, rollout=0))

# %% [markdown]
# ## What falls together
#
# Two answers, two rewards of 0 or 1. In the first group the better answer has one reward more than the other, in the
# second group it has both. GRPO cannot tell them apart, for it divides by what makes them different. Check the last
# column by hand before the step over the batch: there it is 0.71 and 1.41.

# %%
pairs = np.array([[[0, 0], [0, 1]], [[0, 0], [1, 1]]], dtype=float)
pl.DataFrame(
    {
        "totals": ["(0, 1)", "(0, 2)"],
        **{rule: lab.advantages.compute(rule, pairs)[:, 1] for rule in ("grpo", "dr_grpo", "gdpo@no-batch-norm")},
    }
)

# %% [markdown]
# Count the groups that a rule can tell apart, over all that there are:

# %%
rules = ["grpo", "dr_grpo", "gdpo@no-batch-norm"]
levels_by_size(lab.studies.level_counts(rules, components=2, group_sizes=range(2, 8)))

# %% [markdown]
# ## Who is heard
#
# More levels alone teach nothing. But dividing each reward by its own spread has a second effect: afterwards all of
# them are equally loud. Here is how closely the advantage follows each of the two rewards.


# %%
def follows(advantage, k, group_rewards=rewards):
    """Correlation of the advantage with reward k, normalised in its group."""
    own = lab.advantages.compute("grpo", group_rewards[..., k : k + 1])
    return float(np.corrcoef(advantage.ravel(), own.ravel())[0, 1])


heard = {rule: lab.advantages.compute(rule, rewards) for rule in ("grpo", "gdpo")}
pl.DataFrame([{"rule": r, "format": follows(a, 0), "correctness": follows(a, 1)} for r, a in heard.items()])

# %% [markdown]
# ## The promise, on a fair track
#
# One policy for eight groups of four: one arm of sixteen keeps the format, and correctness rises over the arms from −3
# to 3, with noise. At one learning rate whoever takes longer steps may lead for that alone, so each has its own best.


# %%
def noisy(noise):
    """A batch of eight groups, all of them of one policy with two rewards."""
    means = np.stack([np.eye(16)[-1], np.linspace(-3, 3, 16)])[None]
    return OnePolicy(Bandit(means=means, law=["bernoulli", normal(noise)]), 8)


runs = {"seeds": 96, "tuning": range(900, 932)} if QUICK else {"seeds": 384, "tuning": range(900, 996)}
track = {"fair": True, "lrs": (4.0, 8.0, 16.0), "steps": 30, "group_size": 4, **runs}
fair = lab.compare(noisy(3.0), ["grpo", "dr_grpo", "gdpo"], **track)
tuning(fair.curve, label="expected sum of both rewards after 30 steps")

# %% [markdown]
# **Reading the picture.** The best sum is 4, the start is 0.06. A point is the mean over runs with its 95% interval; a
# large point is the learning rate that a variant is then judged at.

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# The published figures: another world, the same direction. Where GRPO without the deviation has 0 for the format, the
# quiet reward was never learnt at all.

# %%
papers.paper("gdpo").published[0].frame

# %% [markdown]
# The recorded verdict has more runs, and a map of noise and group size:

# %%
headline = papers.find_claim("gdpo.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("gdpo.headline"))

# %% [markdown]
# ## With and without
#
# Each claim is measured again with GRPO's rule under GDPO's name. There it must fail, or it said nothing about GDPO.

# %%
papers.table("gdpo.1", "gdpo.2", "gdpo.3")

# %% [markdown]
# `gdpo.3` by hand, at one small learning rate and with little noise: two heads with two arms each, one for the format
# (from a logit of −2) and one for correctness (from −1). Without it, the format has to wait.


# %%
@lab.measurement(label="format kept", unit="share of rollouts")
def format_kept(moment):
    """Mean of the first reward over the rollouts of a step [S]."""
    return moment.rollouts.rewards[..., 0].mean(axis=(1, 2))


heads = OnePolicy(Bandit(means=[[[0, 1], [-3, 3]]], law=["bernoulli", normal(0.5)], logits=[[0, -2], [0, -1]]), 8)
setting = {"steps": 120, "seeds": 32, "lr": 0.3, "group_size": 4, "measure": ["format_kept"]}
seen = [lab.train(heads, "gdpo", **setting).summary()]
with replaced({"advantage:gdpo": "grpo"}):
    seen.append(lab.train(heads, "gdpo", **setting).summary().with_columns(variant=pl.lit("gdpo@without it")))
curves(pl.concat(seen), metric="format_kept", label="format kept", percent=True)

# %% [markdown]
# ## Where it does not hold
#
# **Little noise.** With a noise of 0.5 in place of 3 the spread of a group is what the arms differ in, and it shrinks
# by itself as the policy learns: then GRPO comes to hear the format too.

# %%
print(lab.compare(noisy(0.5), ["grpo", "gdpo"], **track).sentence)

# %% [markdown]
# **One question in the batch.** The step over the batch divides by the spread of the sums. If there is one group only,
# that takes away what it had been told apart by.

# %%
print("side by side:", lab.advantages.compute("gdpo", pairs)[:, 1].round(3))
print("each alone:  ", np.array([lab.advantages.compute("gdpo", pair[None])[0, 1] for pair in pairs]).round(3))

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** The paper says of three answers with the same total, made of different parts, that GDPO gives them advantages
# that are not zero. Take r₁ = (1, 1, 0) and r₂ = (0, 0, 1). What does the first answer get before the step over the
# batch, with equal weights? And with weights 1 and 0.5? Give both numbers as a list.

# %%
answer_1 = None

# %%
parts = np.array([[[1, 0], [1, 0], [0, 1]]], dtype=float)
both = [lab.advantages.compute("gdpo@no-batch-norm", parts, weights=w)[0, 0] for w in ([1, 1], [1, 0.5])]
check(answer_1, both, "write r₂ as a function of r₁ first; what does normalising do to it?")

# %% [markdown]
# **2.** By which factor would you have to multiply the format reward, so that *GRPO* follows both alike? Format is kept
# by 80% of the answers, correctness is uniform from −3 to 3.

# %%
answer_2 = None


# %%
def alike(factor):
    """Whether GRPO's advantage follows both rewards alike."""
    heard = lab.advantages.compute("grpo", rewards, weights=[factor, 1.0])
    return abs(follows(heard, 0) - follows(heard, 1)) < 0.06


check(answer_2, alike, "in a sum, what makes one part loud is not its size")

# %% [markdown]
# **3.** Is it the *group's* spread that is needed? Write a rule that centres each reward in its group, divides it by
# the spread of the *whole batch* (all prompts and rollouts) and adds. Then see how it does where there is much noise.


# %%
@lab.advantage(name="batch-spread", components=True)
def batch_spread(rewards):
    """Advantages [..., P, G] of the rewards [..., P, G, K]."""
    return None  # your line


# %%
mine = batch_spread(rewards)
if mine is not None:
    loud = rewards * np.array([1.0, 100.0])
    good = mine.shape == (4000, 8) and np.allclose(batch_spread(loud), mine, rtol=1e-3, atol=1e-3)
    check(
        good and abs(follows(mine, 0) - follows(mine, 1)) < 0.03,
        True,
        "centre over the rollouts, divide by what all prompts share",
    )
    print(lab.compare(noisy(3.0), ["gdpo", "batch-spread"], **track).sentence)

# %% [markdown]
# In the dashboard (`make lab`): [two rewards that cancel, under the
# microscope](http://127.0.0.1:8501/microscope?rewards=1~0_1~0_0~1&rules=grpo~gdpo&truth=1),
# [three qualities of a caption at once](http://127.0.0.1:8501/compare?world=captions&variants=grpo~gdpo) and [the
# paper's claims](http://127.0.0.1:8501/papers?paper=gdpo).
