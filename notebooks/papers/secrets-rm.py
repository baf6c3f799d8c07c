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
# # Secrets of RLHF II: can reward models find the wrong labels they were trained on?
#
# **Question.** A third of the labels is wrong, and nobody says which. Six reward models are trained on all of them. Can
# their vote tell right labels from wrong ones? And is a model that listens to the vote a better one?
#
# **Kept** of the paper (arXiv 2401.06080): the strength of a pair as a vote, all recipes for weak pairs (flip, soft
# labels, margin), the contrastive term, MetaRM. **Left out:** language, labels by a large model, PPO. A response is a
# vector of sixteen features; annotators err, and a quarter of their labels is flipped.
# **Time:** fifteen minutes to read, twenty seconds to run.

# %%
import numpy as np
import plotly.graph_objects as go
import polars as pl

from lab import papers
from lab.exercises import check
from lab.figures import claim_detail
from lab.papers import recorded
from lab.reward_models import secrets_rm
from simulators.learned_reward.annotators import annotate
from simulators.learned_reward.gold import gold
from simulators.learned_reward.metrics import accuracy, auc

QUICK = True  # False: twice as many runs, and makes the measurement of the headline again
runs = [0, 1, 2, 3] if QUICK else list(range(8))
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(90)

# %% [markdown]
# ## The mechanism in four lines
#
# Each model m gives a pair a margin d = r(chosen) − r(rejected). The strength of the pair is their mean μ. A flipped
# pair with a margin then has the loss −log σ(d − |μ|).

# %%
d = np.array([[2.0, -0.5, 0.3], [1.0, -1.5, -0.1]])  # two models, three pairs
mu, sigma = d.mean(0), d.std(0)
judged_wrong = mu < 0
print("strength", mu, "spread", sigma, "judged wrong", judged_wrong)

# %% [markdown]
# ## Does the vote find the wrong labels?
#
# The gold reward is known here, so that each label can be looked up.

# %%
meant = gold("linear")
data = annotate(meant, 3000, flips=0.25, seeds=runs)
strength = secrets_rm.strength(data, runs)[0]
tenths = np.take_along_axis(data.wrong, strength.argsort(1), 1).reshape(len(runs), 10, -1).mean((0, 2))
print(f"{data.wrong.mean():.0%} of the labels are wrong; AUC of the vote {auc(-strength, data.wrong * 1.0).mean():.3f}")
figure = go.Figure(go.Bar(x=[f"{i + 1}." for i in range(10)], y=tenths, name="measured here"))
figure.add_scatter(x=[f"{i + 1}." for i in range(10)], y=[1, 0.99, 0.84, 0.39, 0.09, 0.01, 0, 0, 0, 0], mode="markers",
                   name="reported", marker={"size": 14, "symbol": "circle-open", "line": {"width": 3}})  # fmt: skip
figure.update_xaxes(title="tenth of the pairs, the weakest first").update_yaxes(title="share of wrong labels")
figure.update_layout(height=380)
figure

# %% [markdown]
# The voters have seen these very labels. They find the wrong ones because one pass is too short to learn exceptions by
# heart. After twenty passes they know many of them:

# %%
for passes in (1, 5, 20):
    late = secrets_rm.strength(data, runs, models=1, epochs=passes)[0]
    print(f"one voter, {passes} passes: AUC {auc(-late, data.wrong * 1.0).mean():.3f}")

# %% [markdown]
# ## Recipes
#
# All at one learning rate, three passes, on the same pairs.


# %%
def right(recipe):
    """Share of fresh pairs that are ranked as the gold reward does, of each run."""
    return accuracy(secrets_rm.treated(data, runs, strength, recipe=recipe), meant, 4000)


plain = right("plain")
recipes = ("soft", "margin", "soft+margin", "flip", "flip+margin", "drop", "smooth")
gains = {recipe: right(recipe) - plain for recipe in recipes}
reported = (0.0089, 0.0092, 0.0110, 0.0121, 0.0122, 0.0138, -0.005)
figure = go.Figure(go.Bar(x=recipes, y=[gain.mean() for gain in gains.values()], name="measured here"))
figure.add_scatter(x=recipes, y=reported, mode="markers", name="reported",
                   marker={"size": 14, "symbol": "circle-open", "line": {"width": 3}})  # fmt: skip
figure.update_yaxes(title=f"gain over plain training ({plain.mean():.3f})").update_layout(height=380)
figure

# %% [markdown]
# ## The promise
#
# Six voters cost six passes. What would a plain model make of these passes, at a learning rate of its own? And what if
# one simply took the mean of the voters? This measurement ships with the lab; `QUICK = False` makes it again.

# %%
headline = papers.find_claim("secrets-rm.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# **Reading the picture.** A row is a model, a dot its mean over runs with its 95% interval: above the share of fresh
# pairs that are ranked rightly, below the gold reward of a policy after GRPO on it. **Published beside it:** win rates
# after PPO, which were not available to the lab.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail. For the recipes each pair gets the
# strength of another pair.

# %%
entry = recorded.read()["secrets-rm.3"].runs[0]
print(f"the margin gains {entry.value:+.3f}; with the strengths of other pairs {entry.without:+.3f}")

# %% [markdown]
# ## Where it does harm
#
# With a bowl as gold reward one pass teaches the voters only half of what is meant. They then vote against what they
# have not learned yet, and flipping takes the evidence away.

# %%
limit = recorded.read()["secrets-rm.limit-underfit"].runs[0]
print(f"bowl: flipping gains {limit.value:+.3f}; linear gold, the same recipe: {limit.without:+.3f}")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** A label is soft with a = ½. At which difference d is its loss −½ log σ(d) − ½ log σ(−d) least?

# %%
answer_1 = None

# %%
check(answer_1, 0.0, "half of the weight pulls up, half pulls down")

# %% [markdown]
# **2.** What is the released loss −log(σ(d) + 1e-5) of a pair that is ranked wrongly by a very large margin?

# %%
answer_2 = None

# %%
check(answer_2, 11.51, "σ(d) is 0 there", within=0.01)

# %% [markdown]
# **3.** Write the loss of a pair of strength μ after the recipe "flip+margin", given d = r(chosen) − r(rejected) of the
# pair as it was labelled.


# %%
def loss(d, mu):
    """A scalar, in nats."""
    return None  # your line


# %%
if loss(1.0, -0.5) is not None:
    good = abs(loss(1.0, -0.5) - np.log1p(np.exp(1.5))) < 1e-9 and abs(loss(1.0, 0.5) - np.log1p(np.exp(-0.5))) < 1e-9
    print("right" if good else "not yet: where μ < 0 the pair is turned round, and must then be |μ| apart")

# %% [markdown]
# The reward models in the dashboard: `make lab`, page **Reward models**; any of them pays in the world *a reward
# learned from comparisons*.
