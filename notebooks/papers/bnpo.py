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
# # BNPO: how much should an easy question count, and does a steadier signal teach more?
#
# **Question.** REINFORCE takes every question as it comes. GRPO divides by the spread of the rewards, and so counts
# easy and hard questions more. Both do so with the same shape all through training, while the questions in the batch
# change from hard to easy. Should the shape follow them? And what is gained if it does?
#
# **Kept** of the paper (arXiv 2506.02864): the Beta density in the place of the spread, fitted to every batch.
# **Left out:** language. **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
from math import lgamma, pi

import numpy as np
import polars as pl

import lab
from lab import papers
from lab.advantages.bnpo import beta_parameters, inverse_beta_density
from lab.exercises import check
from lab.figures import curves, tuning
from lab.measures.interval import mean_interval
from lab.stand_ins import replaced

QUICK = True  # False: with as many runs as the recorded verdicts, a minute or two
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# The chance p that an answer is right differs from question to question. Fit a Beta law to these chances by its mean
# and variance, and divide by a density of that family instead of by the spread.


# %%
def bnpo(rewards):
    """Advantages [P, G] of the right-or-wrong rewards [P, G]."""
    p = rewards.mean(axis=1)
    size = p.mean() * (1 - p.mean()) / p.var(ddof=1) - 1  # a + b of the law that fits
    alpha, beta = max(1, 1 + size * p.mean() / 3), max(1, 1 + size * (1 - p.mean()) / 3)
    log_density = (alpha - 1) * np.log(p) + (beta - 1) * np.log(1 - p)
    log_density -= lgamma(alpha) + lgamma(beta) - lgamma(alpha + beta)
    return (rewards - p[:, None]) / np.exp(log_density)[:, None]


# %%
groups = (np.arange(8) < np.array([2, 4, 5, 3])[:, None]).astype(float)  # so many right answers of 8
np.testing.assert_allclose(bnpo(groups), lab.advantages.compute("bnpo", groups))
print(lab.advantages.explain("bnpo", groups, prompt=1, rollout=0))

# %% [markdown]
# ## What a question weighs
#
# For three laws of p: most questions hard (Beta(1, 6)), all kinds alike (Beta(1, 1)), all near one half (Beta(5, 5)).
# REINFORCE would be a level line at 1.

# %%
p, rows = np.linspace(0.02, 0.98, 97), []
for name, (a, b) in {"bnpo, Beta(1, 6)": (1, 6), "bnpo, Beta(1, 1)": (1, 1), "bnpo, Beta(5, 5)": (5, 5)}.items():
    weight = inverse_beta_density(p, np.array(1 + a / 3), np.array(1 + b / 3))
    rows += [{"variant": name, "step": x, "mean": w} for x, w in zip(p, weight, strict=True)]
rows += [{"variant": "grpo", "step": x, "mean": pi / 8 / (x * (1 - x)) ** 0.5} for x in p]
shapes = pl.DataFrame(rows).with_columns(metric=pl.lit("weight"), low=pl.col("mean"), high=pl.col("mean"))
curves(shapes, metric="weight", label="weight of R − p", unit="chance p that an answer is right", log=True)

# %% [markdown]
# **Reading the picture.** The axis is logarithmic. What is rare in the batch weighs most: where most questions are
# hard, an easy one weighs a thousand times as much. GRPO lifts both ends, whatever the batch is like.
#
# ## The promise: less variance
#
# For p from Beta(a, a), the variance of the advantages under the three shapes; a = 1 is every kind of question alike,
# a = 20 a batch in which all questions are near one half. GRPO's advantages count π/8, the scale at which it is the
# Beta density with α = β = 3/2.


# %%
def advantages(rule, a, b, scale=1.0, **options):
    """Advantages of 16 batches of 1000 questions whose share of right answers follows Beta(a, b)."""
    p = np.random.default_rng(3).beta(a, b, (16, 1000, 1))
    rewards = (np.arange(50) < np.clip(np.round(50 * p), 1, 49)).astype(float)
    return scale * lab.advantages.compute(rule, rewards[..., None], **options)


rows, sizes = [], [1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0]
for rule, own in (("dr_grpo", {}), ("grpo", {"scale": pi / 8, "ddof": 0, "eps": 0.0}), ("bnpo", {})):
    for a in sizes:
        mean, low, high = mean_interval((advantages(rule, a, a, **own) ** 2).mean(axis=(1, 2)))
        rows.append({"variant": rule, "step": a, "metric": "variance", "mean": mean, "low": low, "high": high})
curves(pl.DataFrame(rows), metric="variance", label="variance of the advantage", unit="a of the law Beta(a, a)")

# %% [markdown]
# BNPO lies below both everywhere, and touches GRPO in one place. Which? (That is an exercise.)
#
# ## Does it teach more? On a fair track
#
# A search in several turns, one policy for eight questions; each rule has its own best learning rate, chosen on other
# runs.

# %%
search = lab.world("turns", task="search", shared=True)
runs = {"seeds": 16, "tuning": range(900, 906)} if QUICK else {"seeds": 64, "tuning": range(900, 924)}
fair = lab.compare(
    search, ["grpo", "dr_grpo", "bnpo"], fair=True, lrs=(16.0, 32.0, 64.0), steps=40, group_size=8, **runs
)
tuning(fair.curve, label="expected outcome after 40 steps")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# Nothing is gained that could be seen. At one learning rate it would even have looked like a loss, for smaller
# advantages make shorter steps. **Published beside it:** the best average of five methods on MATH500, AMC23, AIME24 and
# AIME25, it is said; the tables were not available to the lab. The recorded verdict:

# %%
headline = papers.find_claim("bnpo.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("bnpo.headline"))

# %% [markdown]
# ## With and without
#
# Measured again with a density that does not follow the law (α = β = 1, which is Dr. GRPO). There each must fail.

# %%
papers.table("bnpo.1", "bnpo.2", "bnpo.3", "bnpo.check-concentrated")

# %% [markdown]
# The same by hand, for a law that is far from even:

# %%
print("variance at Beta(1, 6) with it   ", (advantages("bnpo", 1, 6) ** 2).mean().round(4))
with replaced({"advantage:bnpo": "dr_grpo"}):
    print("variance at Beta(1, 6) without it", (advantages("bnpo", 1, 6) ** 2).mean().round(4))

# %% [markdown]
# ## Where it does not hold
#
# A gradient is not judged by its variance but by its variance *beside its mean*: halve all advantages and the variance
# is a quarter, and nothing has changed but the length of a step. So here is the noise that training sees, the deviation
# of the gradient of one shared logit from batch to batch, over its mean.


# %%
def noise(rule, a, b, batches=2000):
    """Deviation over mean of the gradient of a success logit; 64 questions, 16 answers, p from Beta(a, b)."""
    rng = np.random.default_rng(5)
    p = rng.beta(a, b, (batches, 64, 1))
    rewards = (rng.random((batches, 64, 16)) < p).astype(float)
    gradient = (lab.advantages.compute(rule, rewards[..., None]) * (rewards - p)).mean(axis=(1, 2))
    return gradient.std() / gradient.mean()


laws = ((1, 1), (1, 6), (5, 5), (0.5, 0.5))
pl.DataFrame([{"law": f"Beta{law}", **{r: noise(r, *law) for r in ("dr_grpo", "grpo", "bnpo")}} for law in laws])

# %% [markdown]
# BNPO is steadier than GRPO for Beta(1, 1) alone; for Beta(1, 6) it is much noisier. Look at what a question adds to
# the step on average, its weight times p(1 − p), against what one with p = 0.05 adds:

# %%
p = np.array([0.05, 0.15, 0.3, 0.5])
added = {
    "dr_grpo": p * (1 - p),
    "grpo": (p * (1 - p)) ** 0.5,
    "bnpo, Beta(1, 6)": p * (1 - p) * inverse_beta_density(p, np.array(4 / 3), np.array(3.0)),
}
pl.DataFrame({"p": p, **{name: what / what[0] for name, what in added.items()}})

# %% [markdown]
# Under GRPO all questions add much the same, and it hardly matters which ones a batch has. Under BNPO, where most are
# hard, the step depends on how many easier ones came by chance.
#
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Four questions, four answers each: all right, all wrong, all right, three right. What does BNPO give to the one
# wrong answer of the last question?

# %%
answer_1 = None

# %%
batch = (np.arange(4) < np.array([4, 0, 4, 3])[:, None]).astype(float)
check(answer_1, lab.advantages.compute("bnpo", batch)[3, 3], "is there a Beta law that is spread this widely?")

# %% [markdown]
# **2.** For which a does BNPO have GRPO's shape when p follows Beta(a, a)? (In the picture of the variances it is where
# the lines touch.)

# %%
answer_2 = None


# %%
def grpo_shaped(a):
    """Whether the weight is a multiple of 1/√(p(1 − p))."""
    one = np.array(1 + a / 3)
    ratio = inverse_beta_density(p, one, one) * (p * (1 - p)) ** 0.5 if a > 0 else p
    return np.ptp(ratio) < 0.01 * ratio.mean()


check(answer_2, grpo_shaped, "which power of p(1 − p) is GRPO's, and which is the density's?")

# %% [markdown]
# **3.** Is it a *few huge* weights that make the noise at Beta(1, 6)? Keep BNPO's weights, but let no question weigh
# more than twice as much as the median question of its batch. What do you expect?


# %%
@lab.advantage(name="capped-bnpo")
def capped(rewards):
    """Advantages [..., P, G] of the rewards [..., P, G]; `weights_of` gives BNPO's weights [..., P]."""
    return None  # your line


def weights_of(rewards):
    """1 over the density that fits the batch, at each question's share of right answers."""
    success = rewards.mean(axis=-1)
    return inverse_beta_density(success, *beta_parameters(success))


# %%
hard = np.vstack([np.eye(16)[:1]] * 7 + [np.arange(16) > 0]).astype(float)  # seven hard questions, and an easy one
if capped(hard) is not None:
    weights = weights_of(hard)
    wanted = np.minimum(weights, 2 * np.median(weights))[:, None] * (hard - hard.mean(axis=1, keepdims=True))
    check(
        capped(hard), wanted, "the median goes over the questions of a batch, and that axis must be kept", within=1e-6
    )
    print(f"noise at Beta(1, 6): {noise('capped-bnpo', 1, 6):.3f}, BNPO {noise('bnpo', 1, 6):.3f}")
    print("hardly any change: it is the many moderate weights, as in the last table")

# %% [markdown]
# In the dashboard (`make lab`): [statistics of the group or of the
# batch](http://127.0.0.1:8501/compare?variants=grpo~bnpo~reinforce_pp) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=bnpo).
