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
# # GNDM: is matching a distribution a reward?
#
# **Question.** A teacher needs forty steps from noise to data. A student shall do it in two, and its samples shall have
# the teacher's law. What pushes a sample towards where the teacher finds it likelier, and by how much?
#
# **Kept** of the paper (arXiv 2603.28460, of which the abstract could be read): matching as a reward, its slope, one
# scale for a group, a further reward. **Left out:** pictures; the form that knows no slope. **Time:** fifteen minutes
# to read, twenty seconds to run.

# %%
import numpy as np
import polars as pl
import torch

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail
from lab.papers import recorded
from simulators.flow.distillation import direction, distil, log_densities
from simulators.flow.mixture import energy_distance

QUICK = True  # False: makes the measurement of the headline again, a minute or two
_ = pl.Config(tbl_rows=20, tbl_cols=10)

# %% [markdown]
# ## The mechanism
#
# Put noise on a sample, $x_t = (1 - t)\,x + t\,\varepsilon$. The teacher says where it came from, and so does a model
# of the student's own samples. The reward is $\log p_{real}(x_t) - \log p_{fake}(x_t)$. Its slope is the difference of
# the two answers, times $(1 - t)/t^2$: here for laws whose densities are at hand.

# %%
flow = lab.world("flow")
rng = np.random.default_rng(0)
x, t, own, h = rng.normal(size=2), 0.5, flow.mixture.sample(40, rng) + 0.3, 1e-4
laws = ((flow.mixture.centres, flow.mixture.deviation), (own, 0.0))


def reward(x):
    """log p_real − log p_fake at one place [2]."""
    real, fake = (log_densities(x[None], t, *law)[0].item() for law in laws)
    return real - fake


slope = np.array([(reward(x + e) - reward(x - e)) / (2 * h) for e in h * np.eye(2)])
real, fake = (log_densities(x[None], t, *law)[1][0].numpy() for law in laws)
print("slope of the reward      ", slope.round(6))
print("(1 − t)/t² · (real − fake)", ((1 - t) / t**2 * (real - fake)).round(6))

# %% [markdown]
# DMD divides each sample's difference by its own mean |x − real|. That number is near 0 where the teacher leaves a
# sample alone, and then a small difference becomes a long step. GNDM takes the mean over the group.


# %%
def scaled(x, real, fake, group):
    """What is taken from samples [B, 2] under GNDM; with group = 1 under DMD."""
    away = np.abs(x - real).reshape(-1, group, 2).mean(axis=(1, 2), keepdims=True)
    return ((fake - real).reshape(-1, group, 2) / (away + 1e-8)).reshape(-1, 2)


x, real, fake = rng.normal(size=(3, 32, 2))
real[0] = x[0] + 0.01  # the teacher would hardly move the first sample
for norm, group in (("group_mean", 16), ("sample", 1)):
    theirs = direction(*map(torch.from_numpy, (x, real, fake)), norm, group).numpy()
    np.testing.assert_allclose(scaled(x, real, fake, group), theirs, rtol=1e-5)
    print(norm, "longest step", np.abs(theirs).max().round(1), " median", np.median(np.abs(theirs)).round(2))

# %% [markdown]
# ## Two students
#
# Four runs each, 50 small updates. How does the length of the gradient go, and how far are the samples from the data?

# %%
norms = {"DMD": "sample", "GNDM": "group_mean", "unscaled": "none"}
small = {"updates": 50, "batch": 32, "followed": 32, "lr": 1e-3, "seeds": range(4)}
students = {name: distil(flow, norm, **small) for name, norm in norms.items()}
data = flow.mixture.sample(1024, np.random.default_rng(0))


def looked(made):
    """Numbers of four students."""
    late = made.norms[:, 25:]
    return {
        "deviation / mean of the length": float((late.std(axis=1) / late.mean(axis=1)).mean()),
        "longest / median": float((late.max(axis=1) / np.median(late, axis=1)).mean()),
        "energy distance": float(np.mean([energy_distance(s.reshape(-1, 2), data) for s in made.samples])),
        "reward": float(flow.reward(made.samples).mean()),
    }


pl.DataFrame([{"student": name, **looked(made)} for name, made in students.items()]).with_columns(
    pl.selectors.float().round(3)
)

# %% [markdown]
# GNDM is steadier, and ends as near the data. But look at the last row: with no scale at all the gradient is as
# steady. What mends DMD is not the group; it is that no sample is divided by its own number.
#
# ## The promise, on a fair track

# %%
headline = papers.find_claim("gndm.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# **Reading the picture.** A dot is minus the energy distance to the data, a mean over runs with its 95% interval.
# **Published beside it:** an FID lower by 1.87 than under DMD. In the plane both come so near the data that there is
# nothing left to win.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail: the slope without its factor, groups of
# one, a model of the student's samples that does not follow it.

# %%
rows = [
    {"claim": name, "seed": run.seed, "value": run.value, "without": run.without}
    for name in ("gndm.1", "gndm.2", "gndm.3")
    for run in recorded.read()[name].runs[:2]
]
pl.DataFrame(rows).with_columns(pl.selectors.float().round(4))

# %% [markdown]
# ## A further reward
#
# If matching is a reward, others can stand beside it, each scaled by its own group (GNDMR). Alone, the reward drags the
# student away from the data.

# %%
mixed = {
    "matching alone": students["GNDM"],
    "and 0.3 of nearness": distil(flow, near=0.3, **small),
    "nearness alone": distil(flow, near=0.3, follow=0, **small),
}
pl.DataFrame([{"student": n, **looked(made)} for n, made in mixed.items()]).select(
    "student", pl.col("reward", "energy distance").round(3)
)

# %% [markdown]
# ## Where it does not hold
#
# A student of two steps has one step with a density, at which nearly everything is still noise. The reward as a plain
# number per sample, with a policy gradient in place of the slope, hardly moves it: slopes say *where to*, a number only
# *how good*.

# %%
print(papers.find_claim("gndm.limit-unscaled").sentence, papers.paper("gndm").left_out, sep="\n\n")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Two samples have mean distances |x − real| of 0.1 and 1.9, and the same difference. How many times as long is
# the first one's step under DMD as under GNDM with both in one group?

# %%
answer_1 = None

# %%
check(answer_1, 10, "one divides by 0.1, the other by the mean of both")

# %% [markdown]
# **2.** The slope of the reward is a factor times real − fake. What is the factor at t = ½?

# %%
answer_2 = None

# %%
check(answer_2, 2, "(1 − t)/t²")

# %% [markdown]
# **3.** Write the scale that treats the differences of a group as advantages: minus their mean vector, divided by their
# deviation in each coordinate, plus 1e-4. Then try it above: it is steadier still, but what does it take away?


# %%
def as_advantages(difference):
    """Scaled differences [groups, G, 2] of differences [groups, G, 2]."""
    return None  # your line


# %%
tried = as_advantages((fake - real).reshape(-1, 16, 2))
if tried is not None:
    theirs = direction(*map(torch.from_numpy, (x, real, fake)), "group_z", 16).numpy().reshape(-1, 16, 2)
    check(tried, theirs, "mean and std over axis 1, keepdims=True")

# %% [markdown]
# In the dashboard (`make lab`): [the paper's claims](http://127.0.0.1:8501/papers?paper=gndm).
