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
# # HARMO: a learned judge likes it short. What keeps a model from saying one word?
#
# **Question.** Some questions can be checked by a rule, for others a learned model gives a score. If that model has a
# taste, such as one for short answers, training finds it. Is it enough to use rules wherever there are any? And what
# can be done where there are none?
#
# **Kept** of the paper (arXiv 2510.05283): rules and learned score side by side, the length penalty, advantages without
# a deviation. **Left out:** pictures and the 7B reward model; its taste for short answers is built in.
# **Time:** ten minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail, curves
from lab.measures.interval import mean_interval
from lab.rewards.hybrid import length_penalty
from lab.stand_ins import replaced
from lab.studies.brevity import brevity_study

QUICK = True  # False: with the recorded verdict measured again, half a minute
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# A wrong answer that is shorter than the right ones of its group pays for what it lacks.


# %%
def penalty(score, lengths, most=1.0, enough=0.5):
    """Penalties [P, G] from scores and lengths [P, G]; at least `enough` counts as right."""
    right = score >= enough
    usual = (lengths * right).sum(axis=1, keepdims=True) / np.maximum(right.sum(axis=1, keepdims=True), 1)
    short = np.clip(1 - lengths / np.maximum(usual, 1), 0, 1)
    return np.where(~right & right.any(axis=1, keepdims=True), -most * short, 0.0)


# %%
rng = np.random.default_rng(0)
score, lengths = rng.random((100, 8)), rng.integers(1, 17, (100, 8))
np.testing.assert_allclose(penalty(score, lengths), length_penalty(score, lengths))
print("both agree:", penalty(np.array([[1.0, 0.2, 0.2]]), np.array([[8, 2, 12]])))

# %% [markdown]
# Check by hand: the right answer has eight words, so a wrong one of two pays ¾, and one of twelve pays nothing. A group
# without any right answer pays nothing at all, for nobody knows how long an answer should be.
#
# ## The promise
#
# Four questions that can be checked and four that cannot; answers of 1 to 16 words, and hard questions need many. The
# accuracy at the end of training, over the largest penalty P: with rules where there are any, and with the learned
# score alone. Six runs for each point.

# %%
rows = []
for name, rules in (("rules and learned", True), ("learned alone", False)):
    for most in (0.0, 0.5, 1.0, 2.0):
        accuracy, length = brevity_study(0, most, rules)
        for kind, found in (("accuracy", accuracy.mean(axis=1)), ("length", length[:, 1])):
            mean, low, high = mean_interval(found)
            rows.append({"variant": name, "step": most, "metric": kind, "mean": mean, "low": low, "high": high})
frame = pl.DataFrame(rows)
curves(frame, metric="accuracy", label="accuracy over all questions", unit="largest penalty P")

# %%
curves(frame, metric="length", label="words of an open answer", unit="largest penalty P")

# %% [markdown]
# **Reading the pictures.** On the left, without a penalty, open answers shrink to one word: that is what the learned
# model likes. Rules save what can be checked, the penalty saves the rest. **Published beside it,** gains over the base
# model:

# %%
papers.paper("hybrid-reward").published[0].frame

# %% [markdown]
# On a fair track, with each arm at its own best step size:

# %%
headline = papers.find_claim("hybrid-reward.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("hybrid-reward.headline"))

# %% [markdown]
# ## With and without
#
# Measured again as if no question could be checked (1), with a penalty of 0 (2), and with the deviation (3). There each
# must fail.

# %%
papers.table("hybrid-reward.1", "hybrid-reward.2", "hybrid-reward.3").drop("published")

# %% [markdown]
# By hand, for the open questions:

# %%
print("with it   ", brevity_study(0, 1.0)[0][:, 1].mean().round(2))
with replaced({"reward:hybrid-reward": {"p_max": 0.0}}):
    print("without it", brevity_study(0, 1.0)[0][:, 1].mean().round(2))

# %% [markdown]
# ## Where it does not hold
#
# Where a rule can check, the penalty adds nothing: a rule has no taste for short answers. (*without*: the same
# questions, judged by the learned model.)

# %%
found = papers.measured("hybrid-reward.limit-rules-suffice")[1]
claim_detail(found.frame)

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** A group of four: right with 6 words, right with 10 words, wrong with 2 words, wrong with 9. P is 2. What do the
# four pay? A list of four numbers, none above 0.

# %%
answer_1 = None

# %%
paid = length_penalty(np.array([[1.0, 1, 0, 0]]), np.array([[6, 10, 2, 9]]), p_max=2.0)[0]
check(answer_1, paid, "first the mean length of those that are right")

# %% [markdown]
# **2.** HARMO leaves out the deviation. Beside a question with p = 0.5, how much does one with p = 0.1 count then (the
# mean |A| of the one over that of the other, in large groups)?

# %%
answer_2 = None

# %%
drawn = 1.0 * (np.random.default_rng(1).random((2, 400, 4000)) < np.array([0.1, 0.5])[:, None, None])
sizes = [np.abs(lab.advantages.compute("dr_grpo", each)).mean() for each in drawn]
check(answer_2, sizes[0] / sizes[1], "a share p is 1 − p above the mean; how far below it are the others?")

# %% [markdown]
# **3.** The penalty asks for *wrong and short*. Write one that asks for short alone, against the mean length of all
# answers of the group. What does it do to a right answer that is brief?


# %%
def for_all(score, lengths):
    """Penalties [P, G], P = 1, for every answer below the mean length of its group [P, G]."""
    return None  # your line


# %%
if for_all(score, lengths) is not None:
    wanted = -np.clip(1 - lengths / lengths.mean(axis=1, keepdims=True), 0, 1)
    check(for_all(score, lengths), wanted, "the same clip, another length to be measured by")
    brief = for_all(np.array([[1.0, 0.0, 0.0]]), np.array([[2, 8, 14]]))[0, 0]
    print(f"a right answer of two words beside wrong ones of 8 and 14 now pays {-brief:.2f}")

# %% [markdown]
# In the dashboard (`make lab`): [the rewards as they are
# written](http://127.0.0.1:8501/papers?paper=hybrid-reward&view=rules) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=hybrid-reward).
