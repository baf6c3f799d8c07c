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
# # MARBLE: can one step serve several rewards, and what does it cost?
#
# **Question.** With several rewards one usually adds them and follows the gradient of the sum. A reward that few
# samples earn is then hardly heard, and the step may well lower it. MARBLE keeps a gradient for each reward and mixes
# them so that none is opposed. Is the weak reward saved by that, and what is lost?
#
# **Kept** of the paper (arXiv 2605.06507): the quadratic program among gradients of length 1, the average of its
# coefficients over the steps, the amortised step. **Left out:** images, five image rewards, LoRA; here a flow in the
# plane has three rewards. **Time:** fifteen minutes to read, half a minute to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import opposed_rewards, reward_sectors

QUICK = True  # False: the headline measured again, a minute
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# Two gradients of length 1, $h_1$ and $h_2$. Of all mixes $a_1 h_1 + a_2 h_2$ with $a \ge 0$ and $a_1 + a_2 = 1$ the
# *shortest* one, $d$, points towards both: $\langle h_k, d \rangle \ge \|d\|^2$. For two of them that is a formula.


# %%
def balanced(gradients):
    """Shares of two gradients [2, N], in the step Σ share · gradient."""
    lengths = np.linalg.norm(gradients, axis=1)
    h = gradients / lengths[:, None]
    apart = h[0] - h[1]
    first = np.clip(-apart @ h[1] / (apart @ apart), 0, 1)
    c = np.array([first, 1 - first]) / lengths  # from unit lengths back to the gradients as they are
    return c / c.sum()


# %%
draw = np.random.default_rng(0)
for _ in range(100):
    pair = draw.normal(size=(2, 5)) * [[10.0], [0.1]]
    np.testing.assert_allclose(balanced(pair), lab.combining.shares("marble", pair, ema=0.0), atol=1e-9)
print("both agree")

# %% [markdown]
# For up to eight rewards the lab solves the program exactly: on every face of the simplex the shortest mix is the
# solution of a small linear system, and the shortest of those that lie inside their face is the answer.
#
# Check by hand: two gradients of length 1 at a right angle get one half each. If the first is three times as long, it
# still gets half of the *direction*, so a quarter of the share.

# %%
print(balanced(np.array([[1.0, 0.0], [0.0, 1.0]])), balanced(np.array([[3.0, 0.0], [0.0, 1.0]])))

# %% [markdown]
# ## Three rewards that pull apart
#
# A flow turns noise into points near eight modes on a circle. Four prompts are paid for being *near* a mode of their
# own, for being *to the right*, and the last prompt alone for being on a *ring* inside the circle: the specialist.

# %%
world = lab.world("flow", denoising=5, rewards="near+right+ring")
run = {"steps": 30, "seeds": 1, "every": 3, "group_size": 32, "lr": 1e-3}
added = lab.studies.balance_study(world, "diffusion-nft", **run)
mixed = lab.studies.balance_study(world, lab.variant("marble", ema=0.0), **run)
both = pl.concat([added, mixed])
reward_sectors(both)

# %% [markdown]
# **Reading the picture.** Where rewards are added, the weight of each is its share of the spread, and the ring has
# hardly any. MARBLE gives it the most: its gradient points where no other does.

# %%
opposed_rewards(both)

# %%
last = both.filter(pl.col("step") == pl.col("step").max())
last.pivot("reward", index="variant", values="value")

# %% [markdown]
# The published figures:

# %%
papers.paper("marble").published[0].frame

# %% [markdown]
# ## The promise, on a fair track

# %%
headline = papers.find_claim("marble.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("marble.headline"))

# %% [markdown]
# ## With and without
#
# Each claim is measured again with the plain sum of the gradients under MARBLE's name, and the identity with an
# objective that is not affine in the advantages. There they must fail.

# %%
papers.table("marble.check-kkt", "marble.check-affine", *([] if QUICK else ["marble.1", "marble.2"])).drop("published")

# %% [markdown]
# ## Where it holds
#
# At a small learning rate the specialist is saved. At a large one the weighted sum keeps it too, and MARBLE often goes
# astray: a reward that is nearly won has a *short* gradient, and scaled to length 1 it takes over the step. And the
# coefficients that are averaged over steps oppose a reward in half of the batches again:

# %%
print(papers.find_claim("marble.limit-ema").sentence)

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Two gradients of length 1 are at an angle of 120°. How long is $d$?

# %%
answer_1 = None

# %%
wide = np.array([[1.0, 0.0], [-0.5, 0.75**0.5]])
check(answer_1, np.linalg.norm(balanced(wide) @ wide), "draw both arrows and the middle between their tips")

# %% [markdown]
# **2.** The first gradient is (4, 0), the second (0, 1). Which share does the *first* get?

# %%
answer_2 = None

# %%
check(answer_2, balanced(np.array([[4.0, 0.0], [0.0, 1.0]]))[0], "one half of each direction; divide by the lengths")

# %% [markdown]
# **3.** A simpler rule: every gradient is scaled to length 1, and all count alike. Which shares have the gradients as
# they are? On how many of 200 random triples does it oppose one of them, where MARBLE opposes none?


# %%
def alike(gradients):
    """Shares [K] that sum to 1, for gradients [K, N]."""
    return None  # your line


# %%
if alike(np.eye(2)) is not None:
    check(alike(np.array([[4.0, 0.0], [0.0, 1.0]])), np.array([0.2, 0.8]), "in proportion to one over the length")
    triples = draw.normal(size=(200, 3, 4))
    opposed = [(g @ (alike(g) @ g)).min() < 0 for g in triples]
    ours = [(g @ (lab.combining.shares("marble", g, ema=0.0) @ g)).min() < -1e-9 for g in triples]
    print(f"all alike: {sum(opposed)} of 200, MARBLE: {sum(ours)}")

# %% [markdown]
# In the dashboard (`make lab`): [three rewards of a
# flow](http://127.0.0.1:8501/flow?rewards=near%2Bright%2Bring&variants=diffusion-nft~marble&denoising=5) and [the
# paper's claims](http://127.0.0.1:8501/papers?paper=marble).
