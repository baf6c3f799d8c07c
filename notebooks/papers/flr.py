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
# # FLR: is what users say next a reward?
#
# **Question.** Nobody has compared two answers. But users have gone on talking: "that makes sense", "that is not what I
# asked". Is the likelihood of such follow-ups as good a reward as labelled preferences?
#
# **Kept** of the paper (arXiv 2409.13948): a language model that plays the user, the likelihood of positive and of
# negative follow-ups in three forms, their difference, pairs mined with it. **Left out:** language, the six categories
# of helpfulness, DPO and KTO. An answer is a vector of features; a user's sentence is five tokens out of twenty.
# **Time:** fifteen minutes to read, half a minute to run.

# %%
import numpy as np
import plotly.graph_objects as go
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail
from lab.papers import recorded
from lab.reward_models.flr import FORMS, flr
from simulators.learned_reward.annotators import annotate
from simulators.learned_reward.fitting import fit
from simulators.learned_reward.follow_ups import react, templates
from simulators.learned_reward.gold import gold

QUICK = True  # False: six runs, and the measurement of the headline again
RUNS = range(2 if QUICK else 6)
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(90)

# %% [markdown]
# ## What users say
#
# A user is pleased with probability σ(2 r\*), r\* the gold reward of the answer. Whoever is pleased says one of ten
# sentences of tokens 0 to 13, others one of ten of tokens 6 to 19. So half of the words tell nothing.

# %%
meant = gold("mlp")
data = react(meant, 2000, seeds=list(RUNS))
pleased, displeased = templates()
print("pleased  ", *pleased[:3].tolist())
print("displeased", *displeased[:3].tolist())
print(f"{data.satisfied.mean():.0%} of {data.satisfied[0].size} users are pleased")

# %% [markdown]
# ## A model of the user
#
# It reads the answer and the sentence so far, and learns to foretell the next token. No comparison is seen, and no
# label either: only what was said.

# %%
scorer = flr(data, list(RUNS))
x = meant.draw(np.random.default_rng(1), 400)
said = {form: scorer.said(x[None], form) for form in FORMS}
first, second = np.triu_indices(len(x), 1)
right = (meant(x)[first] > meant(x)[second])[None]


def accuracy(scores):
    """Share of pairs of fresh answers that are ranked as the gold does [runs]."""
    return ((scores[:, first] > scores[:, second]) == right).mean(axis=1)


# %% [markdown]
# ## Which list, and how it is read
#
# The registered reward rule `flr` takes the mean likelihood of both lists. *logit* leaves the softmax out; *released*
# is what the authors' code computes: all tokens of a follow-up are read at one and the same place.

# %%
rows = []
for form, each in said.items():
    lists = np.stack([each[..., :10].mean(-1), each[..., 10:].mean(-1)], axis=-1)
    for side in ("positive", "negative", "difference"):
        reward = lab.rewards.apply("flr", lists, side=side)[..., 0]
        rows.append({"read": form, "lists": side, "accuracy": accuracy(reward).mean()})
pl.DataFrame(rows).pivot("lists", index="read", values="accuracy")

# %% [markdown]
# ## Beside comparisons
#
# Bradley and Terry's model from 250 and 1000 labelled pairs, beside follow-ups in 2000 dialogues. The circles are what
# was reported at this scale, over six gold rewards: 0.860, and 0.798 and 0.853.

# %%
found = {"2000 follow-ups": accuracy(scorer(x[None]))}
for number in (250, 1000):
    found[f"{number} comparisons"] = accuracy(fit(annotate(meant, number, seeds=list(RUNS)), list(RUNS))(x[None]))
reported = dict(zip(found, (0.860, 0.798, 0.853), strict=True))
figure = go.Figure(go.Bar(x=list(found), y=[each.mean() for each in found.values()], name="measured here"))
figure.add_scatter(x=list(reported), y=list(reported.values()), mode="markers", name="reported",
                   marker={"size": 14, "symbol": "circle-open", "line": {"width": 3}})  # fmt: skip
figure.update_yaxes(range=[0.5, 0.9], title="pairs ranked rightly").update_layout(height=360)
figure

# %% [markdown]
# ## The promise
#
# As good as a reward model that was trained on comparisons, it says. So GRPO trains one policy on either, each at its
# own best learning rate, chosen on other runs, and what counts is the gold reward. This measurement ships with the lab;
# `QUICK = False` makes it again.

# %%
headline = papers.find_claim("flr.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
detail = measured.frame if QUICK else papers.measured(headline.id)[1].frame
claim_detail(detail.drop("lr"))

# %% [markdown]
# **Reading the picture.** A row is a reward model and a group size, a dot the mean gold reward over runs with its 95%
# interval. "Not shown here" is what the paper promises: nobody is ahead. **Published beside it:** as good as strong
# reward models on eight benchmarks of pairs and four of ratings; the scores were not available to the lab.
#
# ## With and without
#
# The offset of an answer: it moves both lists alike. With the positive list alone the claim fails.

# %%
papers.table("flr.check-offset").drop("published")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** After an answer the model gives the two tokens of a follow-up the probabilities 1/2 and 1/8. What is its
# length-normalised log-likelihood, in nats?

# %%
answer_1 = None

# %%
check(answer_1, (np.log(1 / 2) + np.log(1 / 8)) / 2, "the mean of the two logarithms")

# %% [markdown]
# **2.** All logits after an answer are raised by 3, at every place. By how much does the raw score of a positive
# follow-up rise, by how much its log-likelihood, by how much the difference of the lists? A list of three numbers.

# %%
answer_2 = None

# %%
check(answer_2, np.array([3.0, 0.0, 0.0]), "the softmax does not see it, and it is in both lists")

# %% [markdown]
# **3.** Mine a pair: which two of eight answers would you give to DPO as (chosen, rejected)?


# %%
def mine(scores):
    """Places (best, worst) among the scores of some answers."""
    return None  # your line


# %%
eight = scorer(x[None, :8])[0]
if mine(eight) is not None:
    best, worst = mine(eight)
    print("right" if (best, worst) == (eight.argmax(), eight.argmin()) else "not yet: the highest and the lowest score")

# %% [markdown]
# The world in the dashboard: `make lab`, page **Train**, world *a reward learned from comparisons*.
