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
# # Helping or herding: do five judges help if they went to the same school?
#
# **Question.** Five reward models rank fresh pairs equally well. Are they the same? And if one of them is fooled, do
# the other four notice?
#
# **Kept** of the paper (arXiv 2312.09244): mean, median, minimum and mean less deviation over five members; members
# that share their representation (finetuned apart) and members with one of their own (pretrained apart); an error that
# all of them share. **Left out:** language. A representation is the half of 24 nuisance features that a member reads.
# **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures.over_optimisation import over_optimisation

QUICK = True  # False: with as many worlds as the recorded verdicts
worlds = 8 if QUICK else 32
rules = ["ensemble-mean", "ensemble-median", "ensemble-wco", "ensemble-mean-std"]
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## Equally good is not the same
#
# Two kinds of ensemble are fitted to 200 comparisons each, a quarter of them labelled wrong; every member has its own
# bootstrap of them. Then the best of 1024 candidates is chosen by the first member alone.

# %%
rows = []
for made, representation in (("finetuned apart", "shared"), ("pretrained apart", "own")):
    pools = [lab.studies.ensemble_pool(seed, representation=representation) for seed in range(worlds)]
    found = [lab.studies.ensemble_disagreement(pool) for pool in pools]
    rows.append({"ensemble": made, **{name: np.mean([one[name] for one in found]) for name in found[0]}})
pl.DataFrame(rows)

# %% [markdown]
# **Reading the table.** Both kinds rank 0.74 of fresh pairs as the gold reward does: no test on data like the training
# data tells them apart. On what the first member has chosen, though, they differ twice as much as on ordinary answers
# (`chosen_spread` beside `spread`), and the others see only a part of the score that the first one sees. That part is
# smaller if they were pretrained apart.
#
# **Published beside it:** the paper calls this underspecification: equally accurate reward models disagree once a
# policy has moved.
#
# ## Helping
#
# Whoever disagrees can warn. Here is the gold of the best of n by each rule, for members that were pretrained apart.

# %%
apart = lab.studies.ensemble_curves(rules, seeds=worlds, representation="own")
over_optimisation(apart, turns=lab.studies.turning_points(apart))

# %%
together = lab.studies.ensemble_curves(rules, seeds=worlds, representation="shared")
at = pl.col("step") == 64
pl.concat(
    curves.filter(at)
    .group_by("variant", maintain_order=True)
    .agg(pl.col("gold").mean())
    .with_columns(ensemble=pl.lit(made))
    for made, curves in (("finetuned apart", together), ("pretrained apart", apart))
).pivot("ensemble", index="variant")

# %% [markdown]
# At n = 64 every ensemble is better than one member, and the right column is better than the left one. **Published
# beside it:** pretrain ensembles beat finetune ensembles, and both beat single models, in reranking and in RLHF.
#
# ## Herding
#
# Now an error that all share. The first feature counts for the gold, but beyond 1 it costs, more and more. The data
# hardly say so, and every member believes that more is better.

# %%
herd = lab.studies.ensemble_curves(rules, seeds=worlds, representation="own", turn=0.6)
over_optimisation(herd, turns=lab.studies.turning_points(herd))

# %% [markdown]
# Every rule turns over. Nobody disagrees about the first feature, so there is nothing that a minimum or a deviation
# could notice. **Published beside it:** in the paper such errors are long answers, lists, and copies of the document;
# ensembles do not cure them. *Mitigate but do not eliminate* is its title.
#
# The claims that the lab measures, over five seeds:

# %%
pl.DataFrame([{"claim": c.id, "sentence": c.sentence} for c in papers.paper("rm-ensembles-herding").claims])

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Five members score an answer 1, 1, 1, 1 and 6. By how much is the median below the mean?

# %%
answer_1 = None

# %%
check(answer_1, np.mean([1, 1, 1, 1, 6]) - np.median([1, 1, 1, 1, 6]), "sort first")

# %% [markdown]
# **2.** Each of K members errs by an amount of variance 1, of which a share c is common to all. What variance is left
# in the error of their mean, for K = 5 and c = 0.3? And what is left of it for very many members? Answer with both,
# (for five, for very many).

# %%
answer_2 = None

# %%
check(answer_2, (0.3 + 0.7 / 5, 0.3), "what is common does not average out")

# %% [markdown]
# **3.** How much do members agree? Write the mean correlation over pairs of members, from scores [M, K].


# %%
def agreement(scores):
    """Mean correlation over pairs of the K members."""
    return None  # your line


# %%
pool = lab.studies.ensemble_pool(0, representation="own", prompts=1)
tried = agreement(pool.base_scores)
if tried is not None:
    check(tried, lab.studies.ensemble_disagreement(pool, 1)["correlation"], "each pair once, and no member with itself")

# %% [markdown]
# In the dashboard (`make lab`): [the paper's claims](http://127.0.0.1:8501/papers?paper=rm-ensembles-herding).
