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
# # OPRM: is the better answer a good one?
#
# **Question.** Comparisons say which of two responses is better. They do not say whether either is any good. Can a
# model that gives each response a distribution over nine ratings learn that, if somebody has called a few of them bad,
# normal or good?
#
# **Kept** of the paper (arXiv 2602.12660): the distribution and its loss, region flooding by levels, the price of risk
# in best of n. **Left out:** language. A response is a vector of sixteen features, and the logits of the ratings are
# outputs of a small network and not digits that a language model would say next.
# **Time:** fifteen minutes to read, twenty seconds to run.

# %%
import numpy as np
import plotly.graph_objects as go
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail
from lab.papers import recorded
from lab.reward_models.oprm import allowed
from simulators.learned_reward.annotators import annotate
from simulators.learned_reward.gold import gold
from simulators.learned_reward.levels import LEVELS, SKEWED, grade, level
from simulators.learned_reward.metrics import accuracy

QUICK = True  # False: three times as many runs, and makes the measurement of the headline again
runs = [0, 1] if QUICK else list(range(6))
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(90)

# %% [markdown]
# ## The mechanism in five lines
#
# Two responses, three ratings. The chosen one wins where its rating is higher; a tie does not count, so that the model
# is never content with ties.

# %%
p_chosen, p_rejected = np.array([0.1, 0.3, 0.6]), np.array([0.5, 0.4, 0.1])
i = np.arange(3)
wins = (i[:, None] > i).astype(float)
preference = p_chosen @ wins @ p_rejected
np.testing.assert_allclose(wins, allowed(3, "none")[-1, -1])
print(f"P = {preference:.2f}, by hand 0.3 · 0.5 + 0.6 · 0.9 = {0.3 * 0.5 + 0.6 * 0.9:.2f}")

# %% [markdown]
# ## Levels
#
# A level owns three ratings. Of a good and a bad response only some cells (rating of the chosen, rating of the other)
# count; which ones of the block is the lab's reading of the paper.

# %%
figure = go.Figure()
for place, flooding in enumerate(("none", "block", "tri")):
    cells = np.argwhere(allowed(9, flooding)[2, 0]) + 1
    figure.add_scatter(x=cells[:, 1] + 0.2 * place, y=cells[:, 0], mode="markers", name=flooding, marker_size=9)
figure.update_xaxes(title="rating of the bad response", dtick=1).update_yaxes(title="rating of the good one", dtick=1)
figure.update_layout(height=380)
figure

# %% [markdown]
# ## With levels on a fifth of the pairs
#
# Two responses of three are good here. A model of comparisons alone cannot know: it puts the middle of its scale where
# the middle of the responses is.

# %%
meant = gold("mlp")
data = grade(annotate(meant, 2000, seeds=runs), meant, edges=SKEWED, seeds=runs)
models = {name: lab.reward_models.fit("oprm", data, runs, flooding=flooding).model
          for name, flooding in (("no levels", "none"), ("levels", "tri"), ("whole block", "block"))}  # fmt: skip
x = meant.draw(np.random.default_rng(7), 4000)
true = level(meant(x), SKEWED)
rows = []
for name, model in models.items():
    mean, variance = model.moments(x[None])
    rows.append({"model": name, "accuracy": accuracy(model, meant, 4000).mean(), "mean rating": mean.mean(),
                 "deviation of E[s]": mean.std(-1).mean(),
                 "on their level": (model.levels(x[None]).argmax(-1) == true).mean()})  # fmt: skip
pl.DataFrame(rows)

# %% [markdown]
# **Reported:** 0.527 of the responses on their level without levels and 0.796 with them; a mean rating of 5.01 and
# 6.19; a deviation of 1.75 with the whole block and 1.92 with the triangle; an accuracy of 0.860 and 0.865.

# %%
figure = go.Figure()
for which, name in enumerate(LEVELS):
    chosen = models["levels"].distribution(x[None, true == which]).mean((0, 1))
    figure.add_bar(x=list(range(1, 10)), y=chosen, name=name)
figure.update_xaxes(title="rating", dtick=1).update_yaxes(title="mean probability").update_layout(height=380)
figure

# %% [markdown]
# ## The best of n at a price of risk
#
# A distribution has a variance, and a careful chooser may pay for less of it: E[s] − κ √Var[s].

# %%
pools = meant.draw(np.random.default_rng(8), 200 * 64).reshape(1, 200, 64, 16)
worth = meant(pools[0])
for kappa in (0.0, 0.5, 1.0, 2.0):
    best = models["levels"].best(pools, kappa)[0]
    print(f"κ = {kappa}: gold of the best of 64 {worth[np.arange(200), best].mean():.3f}")

# %% [markdown]
# ## The promise
#
# Better than other reward models? And is it the distribution that knows what is good, or the levels? Bradley and
# Terry's model has one number for each response; two cuts through it, where the labelled responses part, give levels
# too. This measurement ships with the lab; `QUICK = False` makes it again.

# %%
headline = papers.find_claim("oprm.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# **Reading the picture.** A row is a model and what was measured of it, a dot its mean over runs with its 95% interval;
# of the calibration error less is better. **Published beside it:** accuracy 2.9 to 7.4 points above prior reward
# models; no calibration.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail. Here the labels are there, and not
# read.

# %%
entry = recorded.read()["oprm.2"].runs[0]
print(f"levels gain {entry.value:.2f} of the responses; not read, {entry.without:.2f}")

# %% [markdown]
# ## What the variance does not say
#
# Two camps of annotators want the opposite of a third of the responses. One might hope for a wide distribution there.
# Comparisons do not ask for one; levels by the camps do.

# %%
limit = recorded.read()["oprm.limit-disagreement"].runs[0]
print(f"AUC of the variance for contested responses: comparisons {limit.value:.2f}, with levels {limit.without:.2f}")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Both responses have the uniform distribution over nine ratings. What is P?

# %%
answer_1 = None

# %%
check(answer_1, 4 / 9, "nine of the 81 cells are ties, and half of the others are wins")

# %% [markdown]
# **2.** A response is rated 1 or 9, either with probability ½. What is its score E[s] − κ √Var[s] at κ = 1?

# %%
answer_2 = None

# %%
check(answer_2, 1.0, "the mean is in the middle, and the deviation is how far both are from it")

# %% [markdown]
# **3.** Write P(s > s') of two distributions over K ratings as arrays, without a loop.


# %%
def chance(p, q):
    """Sum over i > j of p_i q_j."""
    return None  # your line


# %%
if chance(p_chosen, p_rejected) is not None:
    print("right" if abs(chance(p_chosen, p_rejected) - preference) < 1e-9 else "not yet: cumulative sums of q help")

# %% [markdown]
# The reward model in the dashboard: `make lab`, page **Reward models**; it pays in the world *a reward learned from
# comparisons* by the name *oprm*.
