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
# # Flow-GRPO and DiffusionNFT: what is an action of a model that draws pictures?
#
# **Question.** A text is a list of tokens, each with a probability, and GRPO weighs these. A flow turns noise into a
# sample by following a velocity: nothing is drawn on the way, so nothing has a probability. How can rewards train it
# all the same? Two answers: make every step random (Flow-GRPO), or do without probabilities (DiffusionNFT).
#
# **Kept** of the papers (arXiv 2505.05470, 2509.16117, 2405.14867): both samplers, Flow-GRPO's advantages and clipped
# ratios, DiffusionNFT's two implicit policies, DMD's direction. **Left out:** pictures, text, adapters, guidance. A
# sample is a point of the plane here, and the network has 9000 weights. **Time:** fifteen minutes to read, fifteen
# seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail, curves
from lab.papers import recorded
from lab.stand_ins import replaced

QUICK = True  # False: longer runs, and the measurement of the headline again, a minute or two
_ = pl.Config(tbl_rows=20, tbl_cols=10, fmt_str_lengths=90)

# %% [markdown]
# ## The mechanism
#
# Time runs from 1 (noise) to 0 (data). The deterministic step is $x' = x + d\,v$ with $d < 0$. The stochastic one adds
# noise of size $\sigma\sqrt{-d}$, with $\sigma = a\sqrt{t/(1-t)}$, and takes back in its mean what that does to the law
# of the samples. So it is a normal distribution, with a density: **a denoising step is an action.**


# %%
def log_density(x, reached, v, t, d, a=0.7):
    """Of a step from x to `reached` [..., 2] at velocity v; at t = 1, σ takes the next time in the denominator."""
    sigma = a * np.sqrt(t / (1 - (t if t < 1 else t + d)))
    mean = x * (1 + sigma**2 * d / (2 * t)) + v * (1 + sigma**2 * (1 - t) / (2 * t)) * d
    s = sigma * np.sqrt(-d)
    return (-(((reached - mean) / s) ** 2) / 2 - np.log(s) - np.log(2 * np.pi) / 2).sum(-1)


def flow_grpo(rewards, eps=1e-4):
    """Advantages [..., P, G]: less the group's mean, by the deviation of the *whole batch*."""
    spread = rewards.std(axis=(-2, -1), keepdims=True)
    return np.clip((rewards - rewards.mean(-1, keepdims=True)) / (spread + eps), -5, 5)


# %%
flow = lab.world("flow")
policy = flow.init([0])
drawn = flow.rollout(policy, 8, 0)
latent, reached = drawn.extra["latent"], drawn.extra["reached"]
for i in range(flow.steps - 1):
    t = 1 - i / flow.steps
    ours = log_density(latent[..., i, :], reached[..., i, :], flow.velocity(policy, latent[..., i, :], t), t, -0.1)
    np.testing.assert_allclose(ours, drawn.logp[..., i], rtol=1e-5, atol=1e-5)
rewards = drawn.rewards[0, ..., 0]
np.testing.assert_allclose(flow_grpo(rewards), lab.advantages.compute("flow-grpo", rewards))
print("densities and advantages agree with the lab's")

# %% [markdown]
# By hand: two prompts, two samples each, with rewards 1, 0 and 0.6, 0.4. The deviation of all four is 0.36. The first
# group gets ±0.5/0.36 = ±1.39, the second ±0.28. Under GRPO, which divides by the deviation of each group, both would
# get ±1: that is the whole difference between the two rules.

# %%
by_hand = np.array([[1.0, 0.0], [0.6, 0.4]])
flow_grpo(by_hand).round(2), lab.advantages.compute("grpo", by_hand, ddof=0).round(2)

# %% [markdown]
# ## Without a density
#
# DiffusionNFT puts noise on a finished sample and asks the network for the velocity there. Two implicit policies
# $v_\pm = v_{old} \pm \beta (v - v_{old})$ are fitted to the sample, the one by a share $r$, the other by
# $1 - r$, where $r = A/10 + 1/2$. What is weighed is the velocity and not log π:

# %%
noised = flow.rollout(policy, 8, 0, fields=("noised",))
scores = flow.scores_of(policy, noised, ["velocity_x", "velocity_y"])
fields = {name: noised.extra[name] for name in ("reached", "noised", "noised_at", "velocity_old", "velocity_start")}
pull = lab.objectives.weights(
    "diffusion-nft", noised.logp, flow_grpo(rewards)[None], scores=scores, velocity_kl=0.0, **fields
)
size = np.abs(pull["velocity_x"][0, 0]).mean(-1)
pl.DataFrame({"reward": rewards[0], "advantage": flow_grpo(rewards)[0], "pull": size / size.max()}).sort("reward")

# %% [markdown]
# The pull is as strong as the advantage is large, and a sample with a bad one pushes the velocity away.
#
# ## Both learn
#
# Four prompts, each of which wants another of eight points. And a third line: Flow-GRPO in which each advantage is
# given to the *next* sample of its group. It has the same numbers, and steps of the same length.


# %%
def rolled(rewards):
    """Flow-GRPO's advantages, each at another rollout of the group."""
    return np.roll(flow_grpo(rewards), 1, axis=-1)


run = {"steps": 25 if QUICK else 60, "seeds": 2 if QUICK else 8, "group_size": 16, "lr": 0.006, "measure": ["reward"]}
learnt = lab.train(flow, ["flow-grpo", "grpo", "diffusion-nft"], **run)
with replaced({"advantage:flow-grpo": rolled}):
    without = lab.train(flow, [lab.variant("flow-grpo", "flow-grpo@without")], **run)
curves(pl.concat([learnt.summary(), without.summary()]), metric="reward", label="mean reward of a batch")

# %% [markdown]
# **Reading the picture.** The mean reward of a batch over the steps; the line without its mechanism shows what noise
# does. One learning rate for all says little about who is best: a longer gradient takes longer steps.
#
# ## The promise, on a fair track
#
# DiffusionNFT says that it needs far fewer steps than Flow-GRPO. Here each has its own best learning rate, chosen on
# other runs; the measurement takes a minute, and this is the one that ships with the lab.

# %%
headline = papers.find_claim("flow-substrate.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# **Published beside it** (GenEval; Flow-GRPO in more than 5000 steps, DiffusionNFT in 1000):

# %%
papers.paper("flow-substrate").published[0].frame

# %% [markdown]
# ## With and without
#
# The noise that the stochastic sampler adds must be taken back in the mean, or the samples have another law and the
# rewards are those of another model. And the slope of a step's log-density has a length of its own: the lab measures it
# against automatic differentiation.

# %%
papers.table("flow-substrate.5", *([] if QUICK else ["flow-substrate.2"])).drop("published")

# %%
pl.DataFrame(
    {"claim": name, "seed": each.seed, "value": each.value, "without": each.without}
    for name in ("flow-substrate.2", "flow-substrate.3", "flow-substrate.4")
    for each in recorded.read()[name].runs[:2]
).with_columns(pl.selectors.float().round(3))

# %% [markdown]
# ## Where it does not hold
#
# All steps of a sample get one advantage, but they do not weigh alike. The slope of a step's log-density grows from
# step to step: what is learnt, is learnt in the last steps, where hardly anything is left to decide.

# %%
pl.DataFrame(
    {
        "step": np.arange(1, flow.steps + 1),
        "time": [step.t for step in flow.schedule],
        "length of the slope": [abs(step.push) / step.deviation for step in flow.schedule],
    }
).with_columns(pl.selectors.float().round(2))

# %% [markdown]
# VGPO weighs steps anew for that reason ([its notebook](vgpo.ipynb)). And a gain over Flow-GRPO may be one over a weak
# rival: GRPO, which divides by each group's own deviation, is the stronger baseline in the picture above.
#
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Three groups of two have the rewards 1, 0 and twice 0.5, 0.5. Which advantage does Flow-GRPO give the best
# sample (ε = 0)? Under GRPO with the population's deviation it is 1.

# %%
answer_1 = None

# %%
groups = np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
check(answer_1, flow_grpo(groups, eps=0)[0, 0], "the deviation is that of all six rewards")

# %% [markdown]
# **2.** How many times as long is the slope of step 9, the last that takes part, as that of step 1? Look it up above,
# to one decimal place.

# %%
answer_2 = None

# %%
lengths = [abs(step.push) / step.deviation for step in flow.schedule]
check(answer_2, round(lengths[8] / lengths[0], 1), "divide two numbers of the last column", within=0.15)

# %% [markdown]
# **3.** An advantage rule of your own for a flow: compare a sample with the *median* of its group, and divide by the
# largest distance from it (1 where all are equal). Does it learn as fast?


# %%
def by_median(rewards):
    """Advantages [..., P, G] of rewards [..., P, G]."""
    return None  # your line


# %%
if by_median(by_hand) is not None:
    check(by_median(np.array([[0.0, 1.0, 4.0]])), np.array([[-1 / 3, 0.0, 1.0]]), "along the last axis, keep that axis")
    with replaced({"advantage:flow-grpo": by_median}):
        mine = lab.train(flow, [lab.variant("flow-grpo", "by median")], **run)
    print(mine.frame.filter(step=run["steps"] - 1)["reward"].mean())

# %% [markdown]
# In the dashboard (`make lab`): [both on the same
# noise](http://127.0.0.1:8501/flow?variants=flow-grpo~diffusion-nft) and [the
# papers' claims](http://127.0.0.1:8501/papers?paper=flow-substrate).
