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
# # Dense rewards: do they teach faster, or do they teach something else?
#
# **Question.** A reward at the goal alone teaches slowly. Pay for progress, for events, for what people prefer: which
# of these only speeds learning up, and which changes what is learned? And can one tell before any training?
#
# **Kept:** one sparse task, a chain, with a goal at its end and a tempting event on the way; every construction of a
# dense reward in it, learned by Q-learning and scored exactly. **Left out:** deep networks; rewards for novelty. The
# paper is a proposal without a method of its own; the bench is the lab's.
# **Time:** fifteen minutes to read, half a minute to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import distances, papers
from lab.papers import recorded
from lab.studies.shaping import CHAIN, CONSTRUCTIONS, episodes_until, learned
from lab.figures import claim_detail, curves
from lab.trace import summarise
from simulators.mdp.chains import Chain
from simulators.mdp.q_learning import learn

QUICK = True  # False: makes the measurement of the headline again
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(90)

# %% [markdown]
# ## The world
#
# Thirteen positions in a row. *Forward* and *back* move by one, *search* stays. The last forward move succeeds one time
# in two and throws back to the start otherwise. Entering the last position pays 1 and ends the episode. A search at
# position 2 is an event that means nothing.

# %%
print(CHAIN.mdp)
print("best discounted return:", round(CHAIN.mdp.returns(CHAIN.reward, CHAIN.mdp.optimal(CHAIN.reward)), 3))
pl.DataFrame({"construction": list(CONSTRUCTIONS), "pays": [c.words for c in CONSTRUCTIONS.values()]})

# %% [markdown]
# ## Known before any training
#
# How far is each reward from the one that is meant (`val-l2-l2`), what share of the best return does its own best
# policy earn (alignment), and what is the most that could be lost without losing any of it (worst-case regret)? All
# three are exact. Where pay depends on several events of the past there is no small table to plan in, and no number.

# %%
lab.studies.shaping_scores()

# %% [markdown]
# A potential is at distance 0: it changes no policy's rank. The increment, the same without the discount, is far off,
# and yet its best policy is right *here*; its worst case says that it need not be. Progress alone, and the bonus, have
# a best policy that never arrives.
#
# ## Learned
#
# Q-learning on four of them. `gold` is the reward that is meant, `value` the one that is trained on; a step is an
# episode.

# %%
names = ["sparse", "pbrs", "progress", "bonus"]
study = lab.studies.shaping_study(names, episodes=600, buckets=30)
curves(summarise(study, ["gold"]), metric="gold", label="return that is meant")

# %%
curves(summarise(study, ["value"]), metric="value", label="return that is trained on")

# %% [markdown]
# **Reading the pictures.** By the return that it trains on, the bonus does best of all. By the one that is meant it
# does worst. What do their policies do? Position 11 is the last before the goal: the policy that is paid for progress
# hovers there.

# %%
policies = lab.studies.shaping_policies(names, episodes=600)
taken = policies.filter(pl.col("share") >= 0.5).pivot("variant", index="position", values="action")
taken

# %% [markdown]
# ## A small distance is no promise
#
# *redistributed* was learned from the returns of 200 episodes. It lies within .002 of the reward that is meant, and its
# best policy is the right one. And to learn from it?

# %%
near = lab.studies.shaping_study(["sparse", "redistributed"], episodes=600, buckets=6)
near.group_by("variant", "step", maintain_order=True).agg(pl.col("gold", "idle").mean()).filter(pl.col("step") >= 300)

# %% [markdown]
# Until the goal has been seen the largest error, a ten-thousandth, is the largest pay there is; and so the learner
# stays with it. A distance bounds what the *best* policy loses, not what a learner finds.
#
# ## Shaping is another beginning
#
# Wiewiora showed in 2003 that a learner with a potential, from Q = 0, is the learner without one, from Q = Φ. Not
# roughly: step by step.

# %%
plain = Chain(length=20)
phi = np.where(plain.end, 0.0, plain.progress)
shaped = learned("pbrs", plain, seeds=8, episodes=200, record=True)
begun = learn(plain, plain.reward, first=phi, seeds=8, episodes=200, record=True)
print("steps that differ:", int((shaped.trail != begun.trail).sum()), "of", int(shaped.steps.sum()))

# %% [markdown]
# ## How large may a bonus be?
#
# In the chain of 21 positions without a gate.

# %%
ladder = [{"bonus": c, **lab.studies.shaping_scores(["bonus"], chain=plain, bonus=c).row(0, named=True)}
          for c in (0.001, 0.003, 0.01, 0.03, 0.1)]  # fmt: skip
pl.DataFrame(ladder).select("bonus", "distance", "alignment", "worst_case_regret")

# %% [markdown]
# Distance grows in proportion; the best policy stays right, until at once it is entirely wrong.

# %% [markdown]
# ## The promise
#
# Twenty positions, four walks per group, policy gradients in place of Q-learning. Each construction has its own best
# learning rate, chosen on other runs; what counts is the share of walks that arrive after 15 steps. The measurement
# takes ten seconds; this is the one that ships with the lab. `QUICK = False` makes it again.

# %%
headline = papers.find_claim("dense-rewards.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
detail = measured.frame if QUICK else papers.measured(headline.id)[1].frame
claim_detail(detail.drop("lr"))

# %% [markdown]
# **Reading the picture.** A row is a construction in one setting, a dot the mean over runs with its 95% interval. A
# potential speeds learning up where the goal is seldom found, and costs nothing where it often is. **Published beside
# it:** the paper is a proposal and has no figures.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail. The second: a bonus that can be
# repeated is farmed; a bonus of nothing is not. The third: shaping is another beginning, step by step; from 0 the steps
# differ. And group-relative advantages of whole episodes do not see a potential, if it is 0 at the goal.

# %%
papers.table("dense-rewards.2", "dense-rewards.3", "dense-rewards.check-groups").drop("published")

# %% [markdown]
# By hand, the third: Q-learning without a potential that also begins at 0.

# %%
begun = learn(plain, plain.reward, seeds=8, episodes=200, record=True)
print("steps that differ without the other beginning:", int((shaped.trail != begun.trail).sum()))

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** At which bonus c does farming pay as much as walking to the goal, in this chain of 21 positions with γ = 0.97?
# The lure is two steps away, the goal's reward comes with the twentieth step.

# %%
answer_1 = None

# %%
if answer_1 is not None:
    turned = [lab.studies.shaping_scores(["bonus"], chain=plain, bonus=answer_1 * f)["alignment"][0]
              for f in (0.98, 1.02)]  # fmt: skip
    print("right" if turned == [1.0, 0.0] else "not yet: c γ² (1 + γ + γ² + …) = γ¹⁹")

# %% [markdown]
# **2.** Take *ten times* the progress as potential. How far is that reward from the one that is meant?

# %%
answer_2 = None

# %%
if answer_2 is not None:
    tenfold = lab.rewards.shaping.pbrs(plain.reward, 10 * phi[:, None, None], 10 * phi, discount=plain.discount)
    found = distances.compute("val-l2-l2", plain.mdp, plain.reward, tenfold)
    print("right" if abs(answer_2 - found) < 1e-6 else "not yet: no potential changes any policy's rank")

# %% [markdown]
# **3.** Write a potential for the chain of 21 positions under which nine of ten episodes succeed within a hundred
# episodes. Without one it takes about a thousand.


# %%
def potential(chain):
    """Φ of each position [L + 1]."""
    return None  # your line


# %%
if potential(plain) is not None:
    mine = np.where(plain.end, 0.0, potential(plain))
    dense = lab.rewards.shaping.pbrs(plain.reward, mine[:, None, None], mine, discount=plain.discount)
    episodes = np.median(episodes_until(learn(plain, dense, seeds=16, episodes=1000).reached))
    print("right" if episodes < 100 else f"not yet: it takes {episodes:.0f} episodes; Φ should rise towards the goal")

# %% [markdown]
# The same configuration in the dashboard: `make lab`, page **Shaping**, preset *Is a bonus on the way
# farmed?*.
