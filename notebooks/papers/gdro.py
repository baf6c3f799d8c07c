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
# # GDRO: can a generative model learn from a pile of old samples?
#
# **Question.** Reinforcement learning of image models spends most of its time on making images. Suppose you have a few
# dozen images for each prompt already, and know how good each is. Can the model learn from them, again and again,
# without making a single new one, and without running away from what images look like?
#
# **Kept** of the paper (arXiv 2601.02036): the implicit reward, the ranking of a whole group, the stabiliser, the
# corrected score. **Left out:** images. A sample is a point of the plane, near one of eight modes; each prompt wants
# another mode. **Time:** fifteen minutes to read, twenty seconds to run (ten more when the flow is trained first).

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves
from lab.stand_ins import replaced

QUICK = True  # False: more runs, and the claims that train
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# Take a sample, mix it with noise, and ask the model where it came from. If it has become *better* at that than the
# model it started from, the sample has become likelier: by how much better is the **implicit reward** s of the sample.
# No likelihood and no noisy sampler is needed for it.
#
# Now put the samples of a group in order of their real rewards r. From the first place on, the softmax of s over what
# is left should be the softmax of r/τ.


# %%
def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def push(s, r, tau=0.05):
    """Weights [k] on the gradients of the implicit rewards s [k]."""
    order, weights = np.argsort(-r, kind="stable"), np.zeros(len(s))
    for place in range(len(s) - 1):
        left = order[place:]
        weights[left] += softmax(r[left] / tau) - softmax(s[left])
    return weights


# %%
def theirs(s, r, **options):
    """The same by the lab's rule, of one group at one time of noise."""
    shape = (1, len(s), 1)
    scores = {"implicit_reward": s.reshape(shape), "denoising_loss": np.zeros(shape)}
    given = {"scores": scores, "noised_at": np.ones(shape), "beta": 1.0, "gamma": 0.0, **options}
    return lab.objectives.weights("gdro", np.zeros(shape), r[None], **given)["implicit_reward"].ravel()


s, r = np.array([0.2, -0.1, 0.4, 0.0]), np.array([0.9, 0.3, 0.35, 0.1])
np.testing.assert_allclose(push(s, r), theirs(s, r))
print("ten lines and the lab's rule agree:", push(s, r).round(3), "sum", push(s, r).sum().round(12))

# %% [markdown]
# The weights sum to nothing, as GRPO's advantages do. But they *end*: once the implicit rewards are in proportion to
# the real ones, nothing pushes any more. With two samples and τ = 0 it is DPO:

# %%
two, better = np.array([0.2, 0.9]), np.array([1.0, 0.0])
print("GDRO", theirs(two, better, tau=0.0).round(4), " DPO", round(1 / (1 + np.exp(two[0] - two[1])), 4))

# %% [markdown]
# ## Learning from a pool
#
# `lab.world("flow", pool=64)` makes 64 samples per prompt with the pretrained flow, once. Each step takes six of them.
# Every method of the lab can be sent there; the reward that is shown is that of samples which the *trained* flow makes.

# %%
world = lab.world("flow", denoising=5, pool=64)
setting = {"steps": 100, "seeds": 2 if QUICK else 8, "group_size": 6, "lr": 4e-3, "measure": ["gold"], "every": 11}
seen = lab.train(world, ["gdro", "diffusion-nft", "flow-grpo"], **setting)
curves(seen.summary(), metric="gold", label="reward of the trained flow's samples")

# %% [markdown]
# **Reading the picture.** Flow-GRPO and DiffusionNFT are made for samples of the present policy. On old ones they go on
# pushing away from the bad samples, and the flow leaves the plane of data altogether. GDRO compares with the first
# model all the time, and its push ends.
#
# ## Is the reward honest?
#
# A sample may earn its reward between the modes, where there is no data. The paper therefore looks at r(u − 3) + 0.2,
# where u from 1 to 5 is a mark for quality; here u grows with the share of samples near a mode.


# %%
def looked_at(name, where, steps=100, **options):
    """Reward, share near a mode, modes in use, and corrected score at the end of a run."""
    wanted = lab.variant(name, **options)
    _, quality = lab.studies.denoising_study(where, wanted, steps=steps, group_size=6, lr=4e-3)
    last = quality.row(-1, named=True)
    corrected = last["reward"] * (4 * last["within"] - 2) + 0.2
    return {"method": name, "options": str(options), **{k: last[k] for k in ("reward", "within", "modes")},
            "corrected": corrected}  # fmt: skip


fresh = lab.world("flow", denoising=5)
pl.DataFrame([looked_at("gdro", world), looked_at("flow-grpo", fresh)])

# %% [markdown]
# Flow-GRPO had 2400 fresh samples for it, GDRO the same 256 over and over. **Published beside it** (FLUX.1-dev):

# %%
papers.paper("gdro").published[0].frame

# %% [markdown]
# ## On a fair track
#
# The recorded verdict gives every method its own learning rate, and DPO pairs of the same samples:

# %%
headline = papers.find_claim("gdro.headline")
print(headline.sentence, headline.note, sep="\n\n")

# %% [markdown]
# ## With and without
#
# Each claim is measured again without what it is about; there it must fail.

# %%
papers.table("gdro.1", *([] if QUICK else ["gdro.2", "gdro.3", "gdro.4", "gdro.5"]))

# %% [markdown]
# The same by hand: a temperature that makes all rewards alike, and no stabiliser. Whoever asks for `gdro` gets that.

# %%
with replaced({"objective:gdro": {"tau": 1e9, "gamma": 0.0}}):
    blind = looked_at("gdro", world, steps=60)
blind["options"] = "no rewards"
pl.DataFrame([blind])

# %% [markdown]
# ## Where it does not hold
#
# **The stabiliser does most of the work.** It imitates the best sample of each group. With β = 0 there is no ranking
# left, and the reward is nearly as high. And where β is large enough to hold the flow, the ranking does better alone.

# %%
pl.DataFrame([looked_at("gdro", world, **o) for o in ({"beta": 0.0}, {"gamma": 0.0}, {"beta": 0.01, "gamma": 0.0})])

# %% [markdown]
# In the last row nothing holds it any more: little β, no stabiliser. **Offline has an end, too:** the best sample of
# the pool. A method that samples anew goes on from there (`gdro.limit-online`).
#
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Three samples have rewards 1, 0.9 and 0, and τ is 0.05. Which share of the softmax should the first one have at
# the first place?

# %%
answer_1 = None

# %%
check(answer_1, softmax(np.array([1.0, 0.9, 0.0]) / 0.05)[0], "a difference of 0.1 is two temperatures")

# %% [markdown]
# **2.** At the start all implicit rewards are 0. Three samples, τ = 0: what are the weights of the best, the second and
# the last one, in this order? (A list of three numbers.)

# %%
answer_2 = None

# %%
check(
    answer_2, push(np.zeros(3), np.array([3.0, 2.0, 1.0]), tau=1e-3), "two places: 1 − ⅓ and −⅓, −⅓; then 1 − ½ and −½"
)

# %% [markdown]
# **3.** The paper also tries the first place alone: only the best sample against all. Write its weights.


# %%
def first_place(s, r, tau):
    """Weights [k] of the first place alone."""
    return None  # your line


# %%
if first_place(s, r, 0.05) is not None:
    check(first_place(s, r, 0.05), theirs(s, r, places=1), "the loop above, without the loop: nothing is gone yet",
          within=1e-6)  # fmt: skip

# %% [markdown]
# In the dashboard (`make lab`): [samples on their way, method beside
# method](http://127.0.0.1:8501/flow?variants=flow-grpo~diffusion-nft) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=gdro).
