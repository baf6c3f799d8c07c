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
# # Group-relative RL beyond text
#
# **Question.** GRPO needs three things: several answers to one question, a number for each, and the probability of what
# was done. A model that draws has no tokens. What is an action there, and what is left of GRPO where no probability
# can be had at all?
#
# **Kept:** flow matching, the sampler with noise, Flow-GRPO, DiffusionNFT, a student of few steps. **Left out:**
# pictures; a sample is a point of the plane, so that everything can be drawn. **Time:** twenty minutes to read, twenty
# seconds to run (the first time ten more, for the pretraining).

# %%
import numpy as np
import polars as pl

import lab
from lab.exercises import check
from lab.figures import curves, denoising_paths, flow_quality

QUICK = True  # False: longer runs of more seeds, some minutes
_ = pl.Config(tbl_rows=20, tbl_cols=10)

# %% [markdown]
# ## From noise to data
#
# The data lie around eight points on a circle. On the way from a sample x₀ to noise ε, at time t, is the point
# (1 − t) x₀ + t ε; a network has learnt the velocity ε − x₀ there. Follow it backwards in ten steps and noise becomes
# data. Every prompt wants another of the points: the reward is 1 there and falls off around it.

# %%
flow = lab.world("flow")
policy = flow.init([0])
samples = flow.samples(policy)[0]
print(flow)
print(
    "share near a point:",
    flow.mixture.within(samples).round(3),
    " points in use:",
    flow.mixture.spread(samples).round(1),
)
print("mean reward:", flow.gold(policy).round(3))

# %% [markdown]
# ## The action
#
# Followed exactly, the same noise gives the same sample: nothing is drawn, so nothing has a probability. The sampler of
# Flow-GRPO adds noise at each step and takes its effect on the law back in the mean. A step is then drawn from a normal
# distribution, $x' \sim N(\mu, s^2)$, and its log-density is what a token's log-probability is elsewhere. **A denoising
# step is an action.** By hand, of the first step of one rollout:

# %%
drawn = flow.rollout(policy, 4, 0)
latent, reached = (drawn.extra[name][0, 0, 0] for name in ("latent", "reached"))
first = flow.schedule[0]
places = np.broadcast_to(latent[0], (1, flow.prompts, 1, 2)).copy()
mean = first.mean(latent[0], flow.velocity(policy, places, first.t)[0, 0, 0])
by_hand = -(((reached[0] - mean) / first.deviation) ** 2).sum() / 2 - 2 * np.log(first.deviation) - np.log(2 * np.pi)
print("log-density by hand", by_hand.round(5), " in the rollout", drawn.logp[0, 0, 0, 0].round(5))

# %% [markdown]
# ## The group
#
# Several samples for one prompt, each with its reward: advantages are computed as for texts, and every denoising step
# gets that of its sample. No rule has to be rewritten. For the first prompt:

# %%
rewards = drawn.rewards[0, ..., 0]
pl.DataFrame(
    {"reward": rewards[0]}
    | {name: lab.advantages.compute(name, rewards)[0] for name in ("grpo", "rloo", "flow-grpo", "flow-grpo@group-std")}
).with_columns(pl.all().round(3))

# %% [markdown]
# Four of them learn here. Flow-GRPO divides by the deviation of the whole batch, GRPO by
# that of each group; VGPO gives each step an advantage of its own; the fourth needs no density, of which more below.

# %%
methods = ["flow-grpo", "grpo", "vgpo", "diffusion-nft"]
run = {"group_size": 16, "lr": 0.006, "steps": 30 if QUICK else 60, "seeds": 2 if QUICK else 16}
trace = lab.train(flow, methods, measure=["reward"], **run)
curves(trace.summary(), metric="reward", label="mean reward of a batch")

# %% [markdown]
# **Reading the picture.** The mean reward of a batch over the steps, with its 95% interval. One learning rate for all
# says little about who is best: a method whose gradient is longer takes longer steps. On a fair track, each at its own
# best rate, they lie closer together (`lab.papers.find_claim("vgpo.headline")`).
#
# ## What moves
#
# The same noise under two methods, after some steps. A line is a sample on its way; the colour is the advantage of the
# step. Drag the slider from noise to data.

# %%
shown = {"steps": 20 if QUICK else 60, "group_size": 16, "lr": 0.006}
studied = [lab.studies.denoising_study(flow, name, **shown) for name in ("grpo", "diffusion-nft")]
paths, quality = (pl.concat(parts) for parts in zip(*studied, strict=True))
denoising_paths(paths, landscape=lab.studies.reward_landscape(flow), modes=flow.mixture.centres.tolist())

# %% [markdown]
# ## Without a probability
#
# DiffusionNFT needs no density. It puts noise on a finished sample and asks where the network thinks it came from: good
# samples pull the velocity towards themselves, bad ones push it away. What is weighed is not ∇log π but the slope of a
# loss; the advantages are the same. Three scores in one table:
#
# | weighed | weight | who |
# |---|---|---|
# | ∇ log N(x′; μ, s²) of a step | ρ A, unless clipped | Flow-GRPO, VGPO |
# | ∇ of the denoising loss of a sample | affine in A | DiffusionNFT |
# | the sample itself, moved along a slope | scaled by the group | GNDM |
#
# The third row is another world: there the reward has a slope, as log p_real − log p_fake has in distillation, and one
# need not ask how good a sample is when one can ask where it should go.
#
# ## What reward is bought with
#
# Each prompt wants one point of eight. A flow that gets the full reward has forgotten seven.

# %%
flow_quality(quality)

# %% [markdown]
# **Reading the picture.** While reward rises, the number of points in use falls. That is what the reward asks for; a KL
# term would hold it back, and only a look at variety beside reward tells the two apart from a model that has become
# better.
#
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Four samples of a prompt have the rewards 0, 0, 0 and 1. What advantage does each denoising step of the last
# one get under GRPO with the population deviation of the group?

# %%
answer_1 = None

# %%
check(answer_1, 3**0.5, "mean ¼; the deviation is the root of ¼ · ¾")

# %% [markdown]
# **2.** The slope of a step's log-density per unit of its noise is |push| / deviation of `flow.schedule`. How many
# times as large is the last one as the first?

# %%
answer_2 = None

# %%
slopes = [abs(step.push) / step.deviation for step in flow.schedule]
check(answer_2, slopes[-1] / slopes[0], "one division for each end of the schedule", within=0.5)

# %% [markdown]
# **3.** Late steps shout. Write a rule that gives each step the advantage of Flow-GRPO divided by the length of its
# slope, scaled so that the mean factor is 1. It is much of what VGPO's weights do.


# %%
def evened(advantages, slopes):
    """Advantages [..., G, T] from those of rollouts [..., G] and the slopes of the steps [T]."""
    return None  # your line


# %%
given = lab.advantages.compute("flow-grpo@group-std", rewards)
tried = evened(given, np.array(slopes))
if tried is not None:
    factor = 1 / np.array(slopes)
    check(tried, given[..., None] * (factor / factor.mean()), "a factor per step, and advantages[..., None]")

# %% [markdown]
# In the dashboard (`make lab`): [samples on their way under two
# methods](http://127.0.0.1:8501/flow?variants=grpo~diffusion-nft).
