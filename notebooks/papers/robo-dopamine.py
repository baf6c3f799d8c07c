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
# # Robo-Dopamine: how to pay for progress without being taken at one's word
#
# **Question.** A vision model says how far a task has come. Paid for progress, why does a robot stop just before the
# last, risky step? And how does one put progress together from estimates that are all a little wrong?
#
# **Kept** of the paper (arXiv 2512.23703): progress labels, hops, three views of progress and two ways to join them,
# the policy-invariant reward and the trap that it avoids. **Left out:** the vision model and the robot; a noisy
# sensor and a chain with a risky last step stand for them. α and ε of the conservative update are not published; the
# lab uses 5 and 0.001.
# **Time:** fifteen minutes to read, twenty seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.figures import claim_detail, curves
from lab.papers import recorded
from lab.papers.robo_dopamine import trajectories
from lab.rewards import robo_dopamine as robo
from lab.rewards import shaping
from lab.trace import summarise
from simulators.mdp.chains import Chain

QUICK = True  # False: makes the measurement of the headline again

# %% [markdown]
# ## Progress and hops
#
# A demonstration is cut at keyframes into sub-tasks; each gets as many steps, however long it took.

# %%
frames, progress = robo.progress_labels([0, 30, 120, 150], chunk=10)
pl.DataFrame({"frame": frames, "progress": progress.round(3)}).gather_every(3)

# %% [markdown]
# A *hop* is progress relative to what is left, or backwards to what was reached. So that whatever hops a model says
# between −1 and 1, the progress put together from them stays between 0 and 1.

# %%
print("from 0.5 to 0.8:", robo.hop(0.5, 0.8).round(2), "  from 0.8 to 0.5:", robo.hop(0.8, 0.5).round(3))
wild = robo.incremental(np.random.default_rng(0).uniform(-1, 1, (1000, 40)))
print("any hops at all stay within", wild.min().round(3), "and", wild.max().round(3))

# %% [markdown]
# ## Three views
#
# From step to step errors add up. Seen from the start, they grow with what was done; seen from the goal, with what is
# left. Their mean, in which the step-by-step view goes on from the *mean* before, is better than each.

# %%
found = trajectories(seed=0)
pl.DataFrame([
    {"view": name, "root mean square error": float(np.sqrt(((found[name] - found["true"]) ** 2).mean(axis=1)).mean())}
    for name in ("incremental", "forward", "backward", "fused")
])  # fmt: skip

# %% [markdown]
# Where the two anchored views contradict each other the conservative update does not move at all:

# %%
ones = np.ones(10)
print("after ten steps:", robo.conservative(0 * ones, 0.95 * ones, 0.1 * ones, start=0.395)[-1].round(4))

# %% [markdown]
# ## The trap
#
# A chain of 21 positions; the last forward move succeeds with some chance and throws back to the start otherwise. Three
# rewards beside the gold one, their best policies found exactly. What does each earn of the gold reward?


# %%
def cell(chance, discount):
    chain = Chain.gate(chance, discount=discount)
    phi, before = np.where(chain.end, 0.0, chain.progress), chain.progress[:, None, None]
    rewards = {
        "gold": chain.reward,
        "progress": shaping.increment(np.zeros_like(chain.reward), before, chain.progress),
        "gold + progress": shaping.increment(chain.reward, before, chain.progress),
        "policy-invariant": shaping.pbrs(chain.reward, phi[:, None, None], phi, discount=discount),
    }
    earned = {name: chain.mdp.returns(chain.reward, chain.mdp.optimal(r)) for name, r in rewards.items()}
    return {"chance": chance, "γ": discount, **{name: round(x, 4) for name, x in earned.items()}}


pl.DataFrame([cell(q, g) for q in (0.1, 0.3, 0.5, 0.9) for g in (0.9, 0.95)])

# %% [markdown]
# Paid for progress alone, the best policy waits at the last safe place unless the last step is nearly safe too. Adding
# the gold reward helps only where that step is safe enough. With the discount in its place, γΦ(s′) − Φ(s), nothing is
# lost anywhere.
#
# ## Learned
#
# The same by Q-learning in a shorter chain. *idle* is the share of steps that stay in place.

# %%
names = ["sparse", "pbrs", "increment", "progress"]
study = lab.studies.shaping_study(names, episodes=600, buckets=30)
curves(summarise(study, ["idle"]), metric="idle", label="steps that stay in place", percent=True)

# %%
curves(summarise(study, ["gold"]), metric="gold", label="gold return")

# %% [markdown]
# The policy of progress alone hovers for more than half of its steps; what gold it gets comes from random moves.

# %% [markdown]
# ## The promise
#
# Eleven positions with a risky last step, progress sensed with noise at every move. Each way of paying has its own best
# learning rate, chosen on other runs; what counts is the share of walks that succeed after ten steps. The measurement
# takes two minutes; this is the one that ships with the lab. `QUICK = False` makes it again.

# %%
headline = papers.find_claim("robo-dopamine.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
detail = measured.frame if QUICK else papers.measured(headline.id)[1].frame
claim_detail(detail.drop("lr"))

# %% [markdown]
# **Reading the picture.** A row is a way in one setting, a dot the mean over runs with its 95% interval. Fused progress
# as a potential leads where walks are few and the last step is risky; with eight walks per group the sparse reward is
# level, and with a safe last step all arrive. The published ablations, of a robot:

# %%
papers.paper("robo-dopamine").published[0].frame

# %% [markdown]
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail. The first: progress alone is a trap in
# ten cells of twelve; the policy-invariant reward in none. The third: three views joined err half as much as one; one
# view under their name does not. The fourth: progress from hops stays between 0 and 1; as first released it does not.

# %%
papers.table("robo-dopamine.1", "robo-dopamine.3", "robo-dopamine.4").drop("published")

# %% [markdown]
# By hand, and exactly: what is lost of the gold reward if the discount is taken out of the shaping reward.

# %%
some = cell(0.3, 0.9)
print(
    f"with it    {some['gold'] - some['policy-invariant']:.4f}\nwithout it {some['gold'] - some['gold + progress']:.4f}"
)

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Progress goes from 0.4 to 0.7. Which hop is that?

# %%
answer_1 = None

# %%
if answer_1 is not None:
    print("right" if abs(answer_1 - robo.hop(0.4, 0.7)) < 1e-9 else "not yet: relative to what was left")

# %% [markdown]
# **2.** From which chance of the last step on does *gold + progress* no longer wait, at γ = 0.95? Two digits will do;
# the table above says between which chances it lies.

# %%
answer_2 = None

# %%
if answer_2 is not None:
    chance = min(max(answer_2, 0.01), 0.99)
    below, above = (cell(chance + d, 0.95)["gold + progress"] for d in (-0.01, 0.01))
    print("right" if below == 0 < above else f"not yet: just below it earns {below}, just above {above}")

# %% [markdown]
# **3.** Write the reward that pays for progress and keeps the task. The potential is 0 at the end of an episode.


# %%
def reward(gold, before, after, discount):
    """Reward of a step from its gold reward and the progress before and after it, all [...]."""
    return None  # your line


# %%
if reward(0.0, 0.0, 0.0, 0.9) is not None:
    fine = []
    for chance in (0.1, 0.5, 0.9):
        chain = Chain.gate(chance)
        phi = np.where(chain.end, 0.0, chain.progress)
        dense = reward(chain.reward, phi[:, None, None], phi, chain.discount)
        best = chain.mdp.returns(chain.reward, chain.mdp.optimal(chain.reward))
        fine.append(abs(chain.mdp.returns(chain.reward, chain.mdp.optimal(dense)) - best) < 1e-9)
    print("right" if all(fine) else "not yet: the discount belongs to the progress that comes after")

# %% [markdown]
# The same configuration in the dashboard: `make lab`, page **Shaping**, preset *Progress as the reward:
# does it arrive, or hover before the goal?*.
