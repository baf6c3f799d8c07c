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
# # GCPO: people compare, the judge gives marks. How is it taught?
#
# **Question.** A judge looks at *one* picture, thinks, and gives it a mark from 0 to 10. Nobody knows the right mark.
# What is known are pairs, of which people preferred one. So let the judge mark both pictures of a pair several times,
# and reward each mark by how many of the *other* picture's marks it is on the right side of. Does the judge get better,
# and does it need all these comparisons?
#
# **Kept** of the paper (Edit-R1, arXiv 2604.27505): win ratios, each item's own mean, no division by a deviation.
# **Left out:** pictures, thoughts, and the editor that such a judge later trains. A mark is all that this judge says.
# **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.measures.interval import mean_interval
from lab.papers.gcpo import learner
from lab.stand_ins import replaced
from lab.studies.fair import compare_learners
from simulators.reward_laws import BATCHES

QUICK = True  # False: with as many runs as the recorded verdicts, a minute
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism


# %%
def gcpo(better, worse):
    """Advantages [P, N] of the marks of preferred items and of rejected ones, each [P, N]."""
    right = better[:, :, None] > worse[:, None, :]  # all with all; a tie is not right
    won, lost = right.mean(axis=2), right.mean(axis=1)
    return won - won.mean(axis=1, keepdims=True), lost - lost.mean(axis=1, keepdims=True)


# %%
marks = BATCHES["score_pair"](np.random.default_rng(0), (2000, 8))  # rows 0, 2, ... preferred, 1, 3, ... rejected
given = lab.advantages.compute("gcpo", marks)
np.testing.assert_allclose(gcpo(marks[0::2], marks[1::2]), [given[0::2], given[1::2]], atol=1e-12)
print("both agree")

# %% [markdown]
# Check by hand: the preferred item has the marks 7 and 5, the rejected one 6 and 4. Of four comparisons three are
# right. The 7 wins both, the 5 wins one, so that they get ¼ and −¼. The 6 is below one of the other's, the 4 below
# both: −¼ and ¼. The judge is told to give more to one and less to the other, and to be more certain.

# %%
print(lab.advantages.compute("gcpo", np.array([[7.0, 5.0], [6.0, 4.0]])))

# %% [markdown]
# ## Why all with all?
#
# It would do to compare each mark with *one* of the other item's. All N² comparisons cost nothing more, as no mark is
# asked for twice. What is gained is a steadier gradient. Here is the variance of one coordinate of it, the push
# towards higher marks, over that with one comparison each.


# %%
def push(rights):
    """Mean of A times (mark − mean mark), of preferred items; `rights` [P, N] is how often each mark is right."""
    better = marks[0::2, : rights.shape[1]]
    return ((rights - rights.mean(axis=1, keepdims=True)) * (better - 6.0)).mean(axis=1)


marks, rows = BATCHES["score_pair"](np.random.default_rng(1), (40_000, 16)), []
for n in (2, 4, 8, 16):
    right = marks[0::2, :n, None] > marks[1::2, None, :n]
    full, single = push(right.mean(axis=2)), push(np.diagonal(right, axis1=1, axis2=2).astype(float))
    ratio = full.reshape(20, -1).var(axis=1) / single.reshape(20, -1).var(axis=1)
    rows.append({"variant": "all with all", "step": n, "metric": "ratio", "mean": ratio.mean()})
    rows[-1] |= dict(zip(("low", "high"), mean_interval(ratio)[1:], strict=True))
curves(pl.DataFrame(rows), metric="ratio", label="variance over that of one each", unit="marks per item N")

# %% [markdown]
# ## The promise, on a fair track
#
# A judge with a softmax over marks 0 to 10, linear in eight features of an item. It starts along a noisy direction, as
# after supervised training on little. Sixty-four pairs teach it, a tenth of them turned round. What counts is how many
# of 2000 *fresh* pairs its mean mark orders rightly. Each arm has its own best learning rate, chosen in other worlds;
# plain GRPO gets one comparison per mark.

# %%
worlds = {"seeds": range(6), "tuning": range(900, 903)} if QUICK else {"seeds": range(12), "tuning": range(900, 906)}
arms = {arm: learner(arm, size=2) for arm in ("GCPO", "one comparison each, plain GRPO")}
fair = compare_learners(arms, lrs=(5.0, 10.0), metric="accuracy", **worlds)
fair = fair.beside(compare_learners({"start": learner("start")}, lrs=(5.0,), metric="accuracy", **worlds))
tuning(fair.curve, label="fresh pairs ordered rightly")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# Intervals in the picture are wide, for the worlds differ; leads are taken world by world, and are sharper. The judge
# does get better from preferences alone, and by much. But one comparison does as well as all of them. The published
# figures say what GCPO adds to supervised training, not what it adds to a simpler reward:

# %%
papers.paper("gcpo").published[0].frame

# %%
headline = papers.find_claim("gcpo.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("gcpo.headline"))

# %% [markdown]
# ## With and without
#
# Measured again without what each claim is about: the second with one comparison each, the third with the marks
# themselves as rewards, the last for right traces that are the *shorter* ones. There each must fail.

# %%
papers.table("gcpo.2", "gcpo.3", "gcpo.check-length", *([] if QUICK else ["gcpo.1"])).drop("published")

# %% [markdown]
# By hand, with the marks themselves as rewards: whoever gives higher marks is praised, to either item.

# %%
some = range(3)
print("start     ", learner("start")(5.0, some).round(3))
print("with it   ", learner("GCPO")(5.0, some).round(3))
with replaced({"advantage:gcpo": "grpo"}):
    print("without it", learner("GCPO")(5.0, some).round(3))

# %% [markdown]
# ## Where it does not hold
#
# **Certain and wrong.** If all comparisons of a pair come out alike there is nothing to be told, and it makes no
# difference whether all are right or all wrong. Here are pairs of which the preferred item has a mean mark that is
# higher or lower by so much:

# %%
rows, rng = [], np.random.default_rng(2)
for ahead in (-6, -4, -2, 0, 2, 4, 6):
    both = np.clip(np.rint(5 + np.array([[ahead / 2], [-ahead / 2]]) + 1.2 * rng.normal(size=(4000, 2, 8))), 0, 10)
    a = lab.advantages.compute("gcpo", both.reshape(-1, 8))
    rows.append({"ahead": ahead, "mean |A|": np.abs(a).mean(), "pairs without a push": (a == 0).all(axis=-1).mean()})
pl.DataFrame(rows)

# %% [markdown]
# The pairs that the judge has most to learn from are those that teach it least. And the steadier gradient, which there
# is, does not end in a better judge:

# %%
print(papers.find_claim("gcpo.limit-accuracy").sentence)
if not QUICK:
    print(papers.table("gcpo.limit-accuracy"))

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** The preferred item has the marks 8, 6 and 5, the rejected one 7, 5 and 2. What does the 5 of the *preferred*
# one get?

# %%
answer_1 = None

# %%
right = lab.advantages.compute("gcpo", np.array([[8.0, 6, 5], [7, 5, 2]]))[0, 2]
check(answer_1, right, "is a tie on the right side? then subtract what the three have on average")

# %% [markdown]
# **2.** All eight marks of the rejected item are 5. Of the preferred one's, k are 6 and the others 4. For which k is
# the push on the preferred item strongest, taken as the sum of |A|?

# %%
answer_2 = None

# %%
cases = np.array([[[6.0] * k + [4.0] * (8 - k), [5.0] * 8] for k in range(9)])
pushes = np.abs(lab.advantages.compute("gcpo", cases.reshape(-1, 8)))[0::2].sum(axis=1)
check(answer_2, np.argmax(pushes), "how far are k ones and 8 − k zeros from their mean, all together?")

# %% [markdown]
# **3.** With eleven marks a tie is frequent, and both sides of it get nothing. Let a tie count one half. Before you run
# it: will the judge be better for it?


# %%
def compared(better, worse):
    """1 where a mark is on the right side, ½ where both are equal, 0 otherwise; marks that broadcast."""
    return None  # your line


@lab.advantage(name="ties-half")
def ties_half(rewards):
    """Advantages [..., P, N] of marks [..., P, N], rows 0, 2, ... preferred and 1, 3, ... rejected."""
    right = compared(rewards[..., 0::2, :, None], rewards[..., 1::2, None, :])
    ratio = np.stack([right.mean(axis=-1), right.mean(axis=-2)], axis=-2).reshape(rewards.shape)
    return ratio - ratio.mean(axis=-1, keepdims=True)


# %%
tied = np.array([[5.0, 5.0, 7.0], [5.0, 3.0, 5.0]])
if compared(tied[0], tied[1]) is not None:
    lifted = tied + np.array([[0.1], [0.0]])  # now each tie is a comparison that is right
    wanted = (lab.advantages.compute("gcpo", lifted) + lab.advantages.compute("gcpo", tied)) / 2
    check(ties_half(tied), wanted, "add up what is true of marks that are apart and of marks that are equal")
    with replaced({"advantage:gcpo": "ties-half"}):
        print("ties count one half:", learner("GCPO")(5.0, some).round(3))

# %% [markdown]
# In the dashboard (`make lab`): [the paper's claims](http://127.0.0.1:8501/papers?paper=gcpo) and [its
# rules](http://127.0.0.1:8501/papers?paper=gcpo&view=rules).
