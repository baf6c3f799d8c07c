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
# # VGPO: which of ten denoising steps deserves the reward?
#
# **Question.** A generative model turns noise into a picture in ten steps, and one reward comes at the end. Flow-GRPO
# gives all ten the same advantage, and gives nothing where all pictures of a group are equally good. Can each step be
# told what it was worth, and a group of equals still teach?
#
# **Kept** of the paper (arXiv 2512.12387): instant rewards, values along the way, weights of the steps, the absolute
# part. **Left out:** pictures. A sample is a point of the plane, and each of four prompts wants another place.
# **Time:** fifteen minutes to read, twenty seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail, denoising_paths
from lab.papers import recorded

QUICK = True  # False: makes the measurement of the headline again, a minute or two
_ = pl.Config(tbl_rows=20, tbl_cols=12)

# %% [markdown]
# ## The mechanism
#
# After each step, go straight to the end and see what that would earn: the *instant reward*. The *value* of a step is
# what is earned from there on. Values are compared within the group, step by step; k times the value is added in the
# first half of the steps; and ω says how much a step counts.


# %%
def vgpo(instant, gamma=0.99, k=0.1):
    """Advantages [P, G, T] of instant rewards [P, G, T]."""
    steps = instant.shape[-1]
    value = instant @ np.tril(gamma ** np.maximum(np.arange(steps)[:, None] - np.arange(steps), 0))
    mean, spread = value.mean(axis=-2, keepdims=True), value.std(axis=-2, keepdims=True)
    omega = mean / mean.mean(axis=-1, keepdims=True)
    early = np.arange(steps) < steps / 2
    return np.clip(omega * ((value - mean) / (spread + 1e-4) + k * early * value), -5, 5)


# %%
instant = np.random.default_rng(0).random((4, 8, 10))
found = lab.advantages.compute("vgpo", instant[..., -1], instant_rewards=instant)
np.testing.assert_allclose(vgpo(instant), found, rtol=1e-6)
print("ten lines and the lab's rule agree")

# %% [markdown]
# By hand, two rollouts of two steps, no discount: one earns 1 at both steps, the other nothing. The values are 2, 1 and
# 0, 0; each step sees +1 and −1. The first step's values are twice those of the second, so ω is 4/3 and 2/3. The first
# rollout's first step gets 4/3 · (1 + 0.1 · 2) = 1.6.

# %%
vgpo(np.array([[[1.0, 1.0], [0.0, 0.0]]]), gamma=1.0).round(3)

# %% [markdown]
# ## In the flow
#
# Real rollouts of the pretrained flow. How well does the instant reward foretell the last one? And what does ω do? The
# gradient of a step's log-density has a length of its own, which grows from step to step, twelvefold over all ten.

# %%
flow = lab.world("flow")
drawn = flow.rollout(flow.init([0]), 256, 0, fields=("instant_rewards",))
seen = drawn.extra["instant_rewards"][0]
value = seen @ np.tril(0.99 ** np.maximum(np.arange(10)[:, None] - np.arange(10), 0))
omega = value.mean(axis=(0, 1)) / value.mean()
slope = [abs(step.push) / step.deviation for step in flow.schedule]
pl.DataFrame(
    {
        "step": np.arange(1, 11),
        "foretells the end": [np.corrcoef(seen[..., i].ravel(), seen[..., -1].ravel())[0, 1] for i in range(10)],
        "ω": omega,
        "length of a slope": slope,
        "both": omega * slope,
    }
).with_columns(pl.selectors.float().round(2))

# %% [markdown]
# ω takes back much of what late steps have too much of. Here are both methods on the same noise; colours are the
# advantages of the steps, and the slider goes from noise to data. Under Flow-GRPO a path has one colour.

# %%
methods, run = ("flow-grpo@group-std", "vgpo"), {"steps": 20, "group_size": 24, "lr": 0.005}
studied = [lab.studies.denoising_study(flow, name, **run) for name in methods]
denoising_paths(
    pl.concat([paths for paths, _ in studied]),
    landscape=lab.studies.reward_landscape(flow),
    modes=flow.mixture.centres.tolist(),
)

# %% [markdown]
# ## The promise, on a fair track
#
# At one learning rate VGPO is ahead by far. Whoever takes longer steps may be ahead for that alone, so here each has
# its own best learning rate, chosen on other runs. The measurement takes a minute; this is the one that ships with the
# lab.

# %%
headline = papers.find_claim("vgpo.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# **Reading the picture.** A row is a method, a dot the mean reward after 30 steps with its 95% interval. **Published
# beside it:** GenEval 0.96 against Flow-GRPO's 0.95, OCR accuracy 0.94 against 0.92. GRPO, which divides by the
# deviation of each group and not of the batch, is the stronger rival here, and the paper does not have it.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail.

# %%
papers.table("vgpo.3", "vgpo.check-forms").drop("published")

# %% [markdown]
# Those that train are in the record: VGPO's lead at one learning rate, and what is left of it without ω.

# %%
pl.DataFrame(
    {"seed": run.seed, "lead": run.value, "without ω": run.without} for run in recorded.read()["vgpo.1"].runs
).with_columns(pl.selectors.float().round(3))

# %% [markdown]
# ## Where it does not hold
#
# Eight pictures, all of them right: Flow-GRPO has nothing to say. VGPO's absolute part says the same to all of them,
# and the same push for everything is, averaged over what is sampled, no push at all: $E[\nabla\log\pi] = 0$. There
# *is* a direction in VGPO's gradient, but it comes from the early steps, whose instant rewards still differ. Without
# the absolute part it is the same:

# %%
for name in ("vgpo.2", "vgpo.limit-absolute", "vgpo.limit-sample"):
    print(papers.find_claim(name).sentence, [round(run.value, 2) for run in recorded.read()[name].runs], "\n")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** The instant rewards of a rollout of three steps are 0, 0 and 1, and γ is ½. What is the value of the first?

# %%
answer_1 = None

# %%
check(answer_1, 0.25, "from the first step the reward is two steps away")

# %% [markdown]
# **2.** At an early step all eight rollouts of a group have the value 2. With ω = 1.5 and k = 0.1, what does each get?

# %%
answer_2 = None

# %%
check(answer_2, 0.3, "one of the two parts is nothing, and ω stands before both")

# %% [markdown]
# **3.** The paper can also be read so that ω is each rollout's own. Write it: weights [P, G, T] of values [P, G, T].


# %%
def own_omega(value):
    """Each rollout's own share of its value at each step, 1 on average."""
    return None  # your line


# %%
tried = own_omega(value)
if tried is not None:
    given = {"instant_rewards": seen, "k": 0.0, "limit": 1e9}
    ways = [lab.advantages.compute("vgpo", seen[..., -1], omega=omega, **given) for omega in ("sample", "none")]
    check(tried * ways[1], ways[0], "divide by a mean over the last axis")

# %% [markdown]
# In the dashboard (`make lab`): [both methods on the same
# noise](http://127.0.0.1:8501/flow?variants=flow-grpo~vgpo) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=vgpo).
