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
# # LSC: what should be added up, if all of it is wanted?
#
# **Question.** An answer shall be helpful *and* harmless, and there is a learned reward for each. Their sum is not an
# "and": plenty of the one buys off the other. Comparisons fix a reward only up to a monotone map anyway. Is there a map
# under which adding up asks for both?
#
# **Kept** of the paper (arXiv 2402.00742): the transform log σ(r − ref), both forms of its reference, the sum.
# **Left out:** language models; canned answers as references; training, for no world here has two learned rewards. A
# prompt has 256 possible answers, and policies over them are exact. **Time:** fifteen minutes to read, ten seconds to
# run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail, curves
from lab.papers import recorded
from lab.studies.candidates import conflicting, kl_of, shaped, tilted
from lab.trace import summarise

QUICK = True  # False: as many draws as the recorded verdicts, and the headline measured again
_ = pl.Config(tbl_rows=20, tbl_cols=10, fmt_str_lengths=90)

# %% [markdown]
# ## The mechanism
#
# Call an answer *good* if it beats a reference. By Bradley and Terry that has the probability σ(r − ref). Its log is
# what LSC pays, with the 85% quantile of the first policy's scores as the reference. Logs add up to the log of a
# product: the probability that the answer is good by all rewards.


# %%
def lsc(r, references, quantile=0.85):
    """Rewards [P, G, K] of scores [P, G, K] beside those of references [P, M, K]; finite however low a score is."""
    z = r - np.quantile(references, quantile, axis=1, keepdims=True)
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


# %%
rng = np.random.default_rng(0)
r, references = rng.normal(size=(4, 8, 2)), rng.normal(size=(4, 10, 2))
theirs = lab.rewards.apply("lsc-empirical", r, reference_rewards=references)
np.testing.assert_allclose(lsc(r, references), theirs)
print("both agree with the lab's")

# %% [markdown]
# By hand, references all 0: a score of 0 earns log ½ = −0.69, one of 5 nearly 0, one of −5 about −5. Where an answer is
# poor the slope is 1, where it is good 0: what is good already is not worth pushing.

# %%
lsc(np.array([[[0.0], [5.0], [-5.0], [-1000.0]]]), np.zeros((1, 3, 1)))[0, :, 0].round(3)

# %% [markdown]
# Two answers with scores (4, −2) and (1, 0.5). The raw sum prefers the first, 2 against 1.5. LSC's sum does not:

# %%
two = np.array([[[4.0, -2.0], [1.0, 0.5]]])
lsc(two, np.zeros((1, 1, 2))).sum(-1).round(2)

# %% [markdown]
# ## Two rewards at odds
#
# They pull apart (correlation −½), and how large their scores are differs from prompt to prompt, as scores of a model
# do. An answer is good by a reward if it is among its best 15%. The best policy for a reward u at a KL is proportional
# to $e^{u/\beta}$; how often are its answers good by both?

# %%
answers = conflicting(range(8 if QUICK else 24))
kls = (0.5, 1.0, 2.0, 3.0)
rewards = {
    "lsc-transform": shaped("lsc-empirical", answers, every=True),
    "raw sum": answers.proxy.sum(-1),
    "standardised": np.asarray(lab.advantages.compute("gdpo", answers.proxy)),
}
rows = []
for name, reward in rewards.items():
    for kl in kls:
        both = (tilted(reward, kl) * answers.gold).sum(-1).mean(-1)
        rows += [{"variant": name, "seed": i, "step": kl, "both": value} for i, value in enumerate(both)]
found = pl.DataFrame(rows)
curves(summarise(found, ["both"]), metric="both", label="answers good by both", unit="KL, nats", percent=True)

# %% [markdown]
# **Reading the picture.** To the right policies go further from the first one, under which one answer in 300 is good
# by both; bands are 95% intervals over draws. LSC's sum makes them so more than twice as often as the raw sum at a
# KL of 3. **Published beside it:** "substantially better" judged win rates at equal KL, for helpfulness, for
# harmlessness, and for both; the numbers were not available.
#
# ## Who is left behind
#
# At one price for all prompts the raw sum spends its KL where scores happen to be large. With one reward, the share of
# prompts that get less than a quarter of the mean KL:

# %%
first = answers.proxy[..., 0]
by_prompt = first.reshape(-1, 256, 1)  # all answers of a prompt are its references
one = {"lsc-transform": lsc(by_prompt, by_prompt).reshape(first.shape), "raw": first}
for name, reward in one.items():
    own = kl_of(tilted(reward, 2.0))
    print(f"{name:14} {(own < own.mean(axis=1, keepdims=True) / 4).mean():.2f} of the prompts")

# %% [markdown]
# ## The promise
#
# KL is the cost, and it is the same for all.

# %%
headline = papers.find_claim("lsc-transform.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# ## With and without
#
# Each claim is measured again with a straight line in the transform's place, or with PAR's curve, and there it must
# fail.

# %%
papers.table("lsc-transform.1", "lsc-transform.2").drop("published")

# %% [markdown]
# ## Where it does not hold
#
# Part of the gain is not the "and" but the difference of scales, and that can be had more simply: rewards that are
# standardised prompt by prompt (GDPO's) are level at a KL of 2 and *ahead* at a KL of 1. The "and" alone shows where
# policies have gone far.

# %%
lead = found.pivot("variant", index=["seed", "step"], values="both")
lead.group_by("step", maintain_order=True).agg(
    (pl.col("lsc-transform") - pl.col("raw sum")).mean().round(3).alias("over the raw sum"),
    (pl.col("lsc-transform") - pl.col("standardised")).mean().round(3).alias("over standardised"),
)

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** At price 1 the policy for LSC is the first policy *given that the answer is good*. Three answers are equally
# likely at first, and are good with probability 0.9, 0.6 and 0. How likely is the first one then?

# %%
answer_1 = None

# %%
given = np.exp(np.log([0.9, 0.6, 1e-300]))
check(answer_1, given[0] / given.sum(), "the policy is proportional to exp(u), and u is a logarithm")

# %% [markdown]
# **2.** With ref = 0: by how much must a score of −3 rise to gain as much as a score of 3 loses if it falls to 0? Try
# numbers.

# %%
answer_2 = None

# %%
risen = -3.0 + (0.0 if answer_2 is None else answer_2)
low, high, top, middle = lsc(np.array([[[-3.0], [risen], [3.0], [0.0]]]), np.zeros((1, 1, 1)))[0, :, 0]
check(None if answer_2 is None else high - low, top - middle, "look at the slope at −3 and at the values at 0 and 3")

# %% [markdown]
# **3.** Another "and": the *smaller* of the two standardised rewards of an answer. Is it ahead of LSC at a KL of 3?


# %%
def smaller(proxy):
    """Rewards [S, P, M] of two rewards [S, P, M, 2]; standardise over the answers of each prompt, axis −2."""
    return None  # your line


# %%
if smaller(answers.proxy) is not None:
    tried = smaller(np.array([[[[0.0, 3.0], [2.0, 1.0]]]]))
    check(tried, np.array([[[-1.0, -1.0]]]), "first mean 0 and deviation 1 in each column, then compare the columns")
    both = (tilted(smaller(answers.proxy), 3.0) * answers.gold).sum(-1).mean()
    print(f"{both:.3f}, LSC {found.filter(variant='lsc-transform', step=3.0)['both'].mean():.3f}")

# %% [markdown]
# In the dashboard (`make lab`): [the paper's claims](http://127.0.0.1:8501/papers?paper=lsc-transform).
