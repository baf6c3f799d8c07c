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
# # T-REG: one label for a whole response. Which word earned it?
#
# **Question.** Somebody says that of two answers the first is better, and nothing else. DPO then raises every word of
# the first and lowers every word of the second, the good and the bad alike; only over many pairs does it come out which
# words mattered. But the model has an opinion of its own words. Can that opinion, noisy as it is, stand in for pairs?
#
# **Kept** of the paper (arXiv 2412.02685): the loss, its static ablation, DPO and SimPO beside it. **Left out:** the
# two prompts that make the opinion ("rewrite this better", "rewrite this worse"; a word that the first makes likelier
# than the second is a good one). Here the opinion is the truth with noise. **Time:** fifteen minutes to read, twelve
# seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.stand_ins import replaced

QUICK = True  # False: with as many runs as the recorded verdicts, a minute
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# DPO: the margin $D$ says how much more the policy prefers the chosen response than the reference policy does. Every
# token is pushed by $\beta\,\sigma(-D)$, up in the chosen and down in the rejected response, less the surer the policy
# is. T-REG adds to each token's push a share α of its own grade $\hat r$, which lies between −½ and ½.


# %%
def t_reg(new, ref, grade, alpha=0.5, beta=0.1):
    """Weights [2, T] of ∇log π of a pair, chosen response first; log-probabilities and grades [2, T]."""
    chosen, rejected = beta * (new - ref).sum(axis=-1)
    unsure = 1 / (1 + np.exp(chosen - rejected))
    return beta * unsure * np.stack([1 + alpha * grade[0], -(1 - alpha * grade[1])])


def by_lab(new, ref, grade, alpha=0.5):
    """The same by the lab's rule."""
    given = {"logp_ref": ref[None], "token_rewards": grade[None], "alpha": alpha}
    return lab.objectives.weights("t-reg", new[None], [[1.0, 0.0]], **given)[0]


# %%
rng = np.random.default_rng(0)
new, ref, grade = rng.normal(-1.5, 1, (2, 5)), rng.normal(-1.5, 1, (2, 5)), rng.uniform(-0.5, 0.5, (2, 5))
np.testing.assert_allclose(t_reg(new, ref, grade), by_lab(new, ref, grade))
print("ten lines and the lab's rule agree:", by_lab(new, ref, grade).round(4), sep="\n")

# %% [markdown]
# Check by hand: at the start both policies are the same, so D = 0 and every push is 0.05. With α = ½ a token graded
# 0.4 gets 0.06 in the chosen response, and −0.04 in the rejected one.

# %%
print(by_lab(ref, ref, np.full((2, 5), 0.4))[:, 0])

# %% [markdown]
# ## What is learnt about the words
#
# A world in which the truth is known: 8 positions, 6 tokens, and every token at every position has a true reward. A
# pair is two random responses, and the one with the higher sum is preferred most of the time. There are 30 pairs. What
# the policy has learnt of a token is how far it has moved it; here is how well this agrees with the true rewards.


# %%
@lab.measurement(label="agreement with the true token rewards")
def agreement(policy, world):
    """Correlation of the policy's logits with the true rewards, both centred at each position [S]."""
    ours, true = (x - x.mean(axis=-1, keepdims=True) for x in (policy.parameters, world.gold_rewards(policy)))
    return (ours * true).sum(axis=(1, 2)) / np.sqrt((ours**2).sum(axis=(1, 2)) * (true**2).sum(axis=(1, 2)) + 1e-12)


few = lab.world("preferences", pairs=30)
setting = {"steps": 150, "seeds": 32, "group_size": 2, "lr": 20.0, "measure": ["agreement"], "every": 5}
methods = ["dpo", lab.variant("t-reg", alpha=0.5)]
curves(lab.train(few, methods, **setting).summary().filter(pl.col("step") > 0), metric="agreement", label="agreement")

# %% [markdown]
# ## The promise, on a fair track
#
# A better opinion of the words should end in better responses. Each method has its own best learning rate, chosen on
# other runs. `grpo` is plain GRPO that takes the labels for rewards of 1 and 0; `t-reg@static` is the paper's ablation
# in which the grades count as much when a pair is learnt as before (1 in the place of $\sigma(-D)$).

# %%
runs = {"seeds": 64, "tuning": range(900, 916)} if QUICK else {"seeds": 256, "tuning": range(900, 932)}
track = {"fair": True, "steps": 50, "group_size": 2}
fair = lab.compare(few, ["dpo", "t-reg", "t-reg@static", "grpo"], lrs=(20.0, 80.0, 320.0), **track, **runs)
tuning(fair.curve, label="expected true reward after 50 steps")

# %% [markdown]
# **Reading the picture.** The best possible response is worth about 10, a random one 0. The intervals are wide because
# every run has true rewards of its own; whether one method is ahead is seen run by run:

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# T-REG is ahead of DPO, as published (AlpacaEval 2: 50.8% against 47.0%). One thing is turned round: here the static
# weight gains more, there it lost nearly all of the gain (48.0%).

# %%
papers.paper("t-reg").published[0].frame

# %%
headline = papers.find_claim("t-reg.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("t-reg.headline"))

# %% [markdown]
# ## With and without
#
# Each claim is measured again with DPO in the place of T-REG (the first: with the static weight; the last: with GRPO's
# objective in SimPO's place). There it must fail.

# %%
papers.table("t-reg.1", "t-reg.4", *([] if QUICK else ["t-reg.2", "t-reg.3"]))

# %% [markdown]
# By hand: inside the block, whoever asks for T-REG gets DPO, and the agreement falls to DPO's.

# %%
seen = [lab.train(few, methods[1:], **setting).summary()]
with replaced({"objective:t-reg": "dpo"}):
    seen.append(lab.train(few, methods[1:], **setting).summary().with_columns(variant=pl.lit("t-reg@without it")))
curves(pl.concat(seen).filter(pl.col("step") > 0), metric="agreement", label="agreement")

# %% [markdown]
# ## Where it does not hold
#
# The noise of the labels averages out over many pairs, that of the grades does not, for it is the same in every pair.
# So the lead should vanish with the number of pairs, and grades of nothing but noise should do harm. The lead over DPO,
# each at its own best learning rate:


# %%
def lead(name, pairs, **quality):
    """T-REG's lead over DPO with so many pairs: a row of a curve."""
    world = lab.world("preferences", pairs=pairs, **quality)
    number = {"seeds": 48, "tuning": range(900, 908)} if QUICK else runs
    mean, (low, high) = lab.compare(world, ["dpo", "t-reg"], lrs=(80.0, 320.0), **track, **number).lead("t-reg", "dpo")
    return {"variant": name, "step": pairs, "metric": "lead", "mean": mean, "low": low, "high": high}


grades = {"as much signal as noise": {}, "nothing but noise": {"signal": 0.0, "noise": 2**0.5}}
points = [lead(name, pairs, **quality) for name, quality in grades.items() for pairs in (15, 30, 60, 120)]
curves(pl.DataFrame(points), metric="lead", label="lead over DPO, in true reward", unit="pairs")

# %% [markdown]
# The method is for few pairs and good grades, and how good a language model's grades of its own words are, no small
# world can say.
#
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Training goes on, and the policy becomes sure of a pair. At which margin D are all of its pushes down to a
# tenth of what they were at the start?

# %%
answer_1 = None

# %%
margins = np.linspace(0, 6, 601)  # five tokens, β = 0.1: so much more likely is each of the chosen ones
pushes = [by_lab(np.stack([np.full(5, d / 0.5), np.zeros(5)]), np.zeros((2, 5)), 0 * grade)[0, 0] for d in margins]
check(answer_1, margins[np.abs(np.array(pushes) / pushes[0] - 0.1).argmin()], "what was σ at the start?", within=0.02)

# %% [markdown]
# **2.** Both responses of a pair begin with the same word, graded 0.4. What do its two pushes add up to under DPO, and
# under T-REG with α = ½, at the start? A list of two numbers. (Once you have it: which words does DPO never learn
# anything about from a pair?)

# %%
answer_2 = None

# %%
alike = [by_lab(ref, ref, np.full((2, 5), 0.4), alpha=a)[:, 0].sum() for a in (0.0, 0.5)]
check(answer_2, alike, "add up the two weights, one of each response", within=0.001)

# %% [markdown]
# **3.** Why does the static weight gain more? Throw the labels away altogether: write weights in which a token of
# either response is pushed by its grade, and by nothing else. How does that do against DPO and T-REG, and how with
# grades of mostly noise? What, then, is $\sigma(-D)$ there for?


# %%
@lab.objective(name="grades-only")
def grades_only(logp_new, advantage, *, token_rewards):
    """Weights [..., P, G, T] of ∇log π; grades [..., P, G, T]."""
    return None  # your line


# %%
tried = grades_only(new[None], None, token_rewards=grade[None])
if tried is not None:
    ask = {"logp_ref": ref[None], "token_rewards": grade[None]}
    static, plain = (lab.objectives.weights("t-reg@static", new[None], [[1.0, 0.0]], alpha=a, **ask) for a in (1, 0))
    factor = np.ravel(tried / (static - plain))
    check(np.allclose(factor, factor[0]) and factor[0] > 0, True, "what stays of the static weights where α is large?")
    for name, quality in {"as much signal as noise": {}, "mostly noise": {"noise": 3.3}}.items():
        world, mine = lab.world("preferences", pairs=30, **quality), ["dpo", "t-reg", "grades-only"]
        print(f"{name}:", lab.compare(world, mine, lrs=(80.0, 320.0), **track, **runs).sentence)

# %% [markdown]
# In the dashboard (`make lab`): [pairs, with and without
# grades](http://127.0.0.1:8501/train?world=preferences&variants=dpo~t-reg~t-reg@static), [the rule as it
# is written](http://127.0.0.1:8501/papers?paper=t-reg&view=rules) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=t-reg).
