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
# # ReFine-RFT: one of three rewards is in percent. Who is heard?
#
# **Question.** A picture is classified; the answer is paid for its format, for being right, and by a judge who gives
# points from 0 to 100. A weight of 0.1 on the judge looks modest. What is left of the other two once the three are
# added and normalised, and what changes if each is normalised first?
#
# **Kept** of the paper (arXiv 2601.06993): multi-reward normalisation (MRN), its objective without a ratio, the reward
# for brief thinking. **Left out:** pictures and the judge; an answer is one of eight arms with three rewards.
# **Time:** ten minutes to read, ten seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.stand_ins import replaced
from simulators import Bandit
from simulators.reward_laws import normal

QUICK = True  # False: with as many runs as the recorded verdicts, a minute or two
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)
WEIGHTS = (1.0, 1.0, 0.1)

# %% [markdown]
# ## The mechanism


# %%
def mrn(rewards, weights, eps=1e-4):
    """Advantages [P, G] of the rewards [P, G, K]: each in units of its own spread, weighted, added."""
    mean, spread = rewards.mean(axis=1, keepdims=True), rewards.std(axis=1, ddof=1, keepdims=True)
    return ((rewards - mean) / (spread + eps) * weights).sum(axis=2)


# %%
rng = np.random.default_rng(0)
right = rng.random((3000, 8)) < 0.3
drawn = np.stack([rng.random((3000, 8)) < 0.9, right, 20 * rng.normal(size=(3000, 8))], axis=-1).astype(float)
np.testing.assert_allclose(mrn(drawn, WEIGHTS), lab.advantages.compute("mrn", drawn, weights=WEIGHTS), atol=1e-12)
print(lab.advantages.explain("mrn", drawn[:1], rollout=0, weights=WEIGHTS))

# %% [markdown]
# It is GDPO without its last step, the one over the batch. Now the same with the judge in percent (deviation 20) and in
# shares (deviation 0.2): how closely does the advantage follow *right*?


# %%
def follows(rule, unit):
    """Correlation of the advantage with being right, where the judge's points are `unit` times shares."""
    advantage = lab.advantages.compute(rule, drawn * [1, 1, unit / 100], weights=WEIGHTS)
    return np.corrcoef(advantage.ravel(), lab.advantages.compute("grpo", 1.0 * right).ravel())[0, 1]


units, rows = (1, 3, 10, 30, 100, 300), []
for rule in ("grpo", "mrn", "gdpo"):
    rows += [{"variant": rule, "step": np.log10(u), "mean": follows(rule, u)} for u in units]
frame = pl.DataFrame(rows).with_columns(metric=pl.lit("follows"), low=pl.col("mean"), high=pl.col("mean"))
curves(frame, metric="follows", label="correlation with being right", unit="unit of the judge (powers of ten)")

# %% [markdown]
# **Reading the picture.** Under MRN and GDPO a unit is only a name. Under GRPO on the sum, the judge has taken over in
# percent, although its weight is a tenth: 0.1 · 20 is four times the spread of a reward of 0 or 1. (All 24 000 answers
# are drawn once, so there is no band.)
#
# ## The promise, on a fair track
#
# Eight questions of eight answers; the chance of being right rises steeply over the answers, the judge says nothing but
# noise. Each variant has its own best learning rate, chosen on other runs. *sum* is GRPO with MRN's own objective, so
# that only the advantage differs.


# %%
def judged(unit):
    """Format, a right answer with probability (a/7)⁴, and a judge's noise of deviation 0.2 · unit."""
    means = np.zeros((8, 3, 8))
    means[:, 0], means[:, 1] = 0.9, np.linspace(0, 1, 8) ** 4
    return Bandit(means=means, law=["bernoulli", "bernoulli", normal(0.2 * unit)])


own = lab.variant("refine-rft")
total = lab.Variant("sum", advantage="grpo", objective=(own.objective, dict(own.options["objective"])))
runs = {"seeds": 24, "tuning": range(900, 908)} if QUICK else {"seeds": 96, "tuning": range(900, 932)}
track = {"fair": True, "lrs": (16.0, 32.0), "steps": 60, "group_size": 8, "reward_weights": WEIGHTS, **runs}
fair = lab.compare(judged(100), ["grpo", total, "refine-rft"], **track)
tuning(fair.curve, label="expected reward after 60 steps")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# **Published beside it:** a higher accuracy than GRPO's on four data sets; the tables were not available to the lab.

# %%
headline = papers.find_claim("refine-rft.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("refine-rft.headline"))

# %% [markdown]
# ## With and without
#
# Measured again with GRPO on the sum under MRN's name (1), and with GDPO under it (2 and the identity). There each must
# fail.

# %%
papers.table("refine-rft.1", "refine-rft.2", "refine-rft.check-gdpo").drop("published")

# %% [markdown]
# The promise by hand, at one learning rate:

# %%
setting = {"steps": 60, "seeds": 16, "lr": 16.0, "group_size": 8, "reward_weights": WEIGHTS, "measure": ["value"]}
seen = [lab.train(judged(100), "refine-rft", **setting).summary()]
with replaced({"advantage:mrn": "grpo"}):
    seen.append(
        lab.train(judged(100), "refine-rft", **setting).summary().with_columns(variant=pl.lit("refine-rft@without"))
    )
curves(pl.concat(seen), metric="value", label="expected reward")

# %% [markdown]
# ## Where it does not hold
#
# **In units that are alike there is nothing to mend:**

# %%
print(lab.compare(judged(1), [total, "refine-rft"], **track).sentence)

# %% [markdown]
# **The step grows with the number of rewards.** Without the step over the batch the mean square of the advantage is
# about K for K rewards, so that every further reward is a larger learning rate, too:

# %%
many = np.random.default_rng(1).normal(size=(500, 16, 5))
for rule in ("mrn", "gdpo"):
    print(rule, [round(float((lab.advantages.compute(rule, many[..., :k]) ** 2).mean()), 2) for k in range(1, 6)])

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Which weight on the judge in percent (deviation 20) would have made it as loud in GRPO's *sum* as it is in MRN
# with a weight of 0.1, beside right answers with p = 0.3? (Leave the format aside.)

# %%
answer_1 = None

# %%
parts = [(drawn[..., k] - drawn[..., k].mean(axis=1, keepdims=True)).std() for k in (1, 2)]
check(answer_1, 0.1 * parts[0] / parts[1], "the judge's spread over the spread of right answers", within=0.0002)

# %% [markdown]
# **2.** Normalised on its own, even a reward that says *nothing* has a spread of one. How large may the weight of a
# pure noise be, beside one reward that counts, so that the correlation of MRN's advantage with the latter stays above
# 0.8?

# %%
answer_2 = None


# %%
def still_heard(weight):
    """Whether the largest such weight is about this one."""
    pair = drawn[..., 1:]

    def heard(w):
        advantage = lab.advantages.compute("mrn", pair, weights=(1.0, w))
        return np.corrcoef(advantage.ravel(), lab.advantages.compute("grpo", 1.0 * right).ravel())[0, 1]

    return weight > 0 and heard(weight * 0.93) > 0.8 > heard(weight * 1.07)


check(answer_2, still_heard, "two independent parts of spread 1 and w: what share of the whole is the first?")

# %% [markdown]
# **3.** Keep the size of the step. Write MRN so that the mean square of the advantages does not depend on how many
# rewards there are, if they are independent, but from the weights alone and without looking at the batch, as GDPO must.


# %%
@lab.advantage(name="steady-mrn", components=True)
def steady(rewards, *, weights=None):
    """Advantages [..., P, G] of the rewards [..., P, G, K]; `mrn_sum` gives MRN's."""
    weights = np.ones(rewards.shape[-1]) if weights is None else np.asarray(weights)
    return own_line(mrn_sum(rewards, weights), weights)


def mrn_sum(rewards, weights):
    """MRN's advantages [..., P, G]."""
    mean, spread = rewards.mean(axis=-2, keepdims=True), rewards.std(axis=-2, ddof=1, keepdims=True)
    return ((rewards - mean) / (spread + 1e-4) * weights).sum(axis=-1)


def own_line(summed, weights):
    """The steady advantages from MRN's and the weights [K]."""
    return None  # your line


# %%
if own_line(many, np.ones(5)) is not None:
    sizes = [(lab.advantages.compute("steady-mrn", many[..., :k]) ** 2).mean() for k in range(1, 6)]
    tilted = (lab.advantages.compute("steady-mrn", many, weights=(1, 1, 1, 0.1, 0.1)) ** 2).mean()
    check(bool(np.ptp([*sizes, tilted]) < 0.05), True, "variances of independent parts add up; of which weights?")
    print(lab.compare(judged(100), ["refine-rft", "steady-mrn"], **track).sentence)

# %% [markdown]
# In the dashboard (`make lab`): [each reward on its own, under the
# microscope](http://127.0.0.1:8501/microscope?rewards=1~0_1~0_0~1&rules=grpo~mrn~gdpo&truth=1) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=refine-rft).
