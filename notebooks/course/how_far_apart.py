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
# # How far apart are two rewards?
#
# **Question.** One reward is meant, another is trained on. Two tables of numbers can differ in every entry and ask for
# the same behaviour, or differ in one and ask for the opposite. How does one measure the difference that counts?
#
# **Kept:** exact returns, optimal policies, regret; the distances as published. **Left out:** worlds too large to list.
# **Time:** fifteen minutes to read, half a minute to run.

# %%
import numpy as np
import polars as pl

import lab
from lab.figures import reward_maps, reward_way
from simulators.mdp import families

_ = pl.Config(tbl_rows=20, tbl_cols=10)

# %% [markdown]
# ## A world and a reward
#
# A grid in which one move in ten slips. Arriving in the last corner pays 1, three other cells cost 1. The arrows are
# the best actions.

# %%
grid = families.grid(5, discount=0.9, goal=-1, slip=0.1)
meant = np.zeros(25)
meant[24], meant[[7, 13, 16]] = 1, -1
reward_maps(lab.studies.reward_map(grid, {"meant": meant}))

# %% [markdown]
# ## Three changes that no policy notices
#
# A **potential** adds γφ(s′) − φ(s): along a path it cancels but for its two ends. A **positive factor** changes the
# unit. **Redistribution** moves reward between the next states that one action can lead to and keeps the expectation.
# Here is one reward after a potential: every number is new, no arrow is.

# %%
_, shaped = lab.studies.reward_pair(grid, meant, ["potential"], amount=1.0, seed=0)
reward_maps(lab.studies.reward_map(grid, {"meant": meant, "with a potential": shaped}))

# %% [markdown]
# Exactly the same arrows. Is it the same in numbers? Regret is what optimising the second reward costs under the first,
# as a share of what is at stake between the best and the worst policy. Worst-case regret is the most that can be lost
# by any change of policy that the second reward approves of.

# %%
names = ["val-l2-l2", "dard-l2-l2", "epic-l2-l2", "none-l2-l2"]
changes = ["potential", "scale", "redistribution", "flip", "shortcut"]


def compared(change, **options):
    """Distances, regret and worst-case regret after one change."""
    first, second = lab.studies.reward_pair(grid, meant, [change], **{"state": 16, "amount": 1.5, **options})
    costs = {"regret": grid.regret(first, second), "worst case": grid.worst_case_regret(first, second)}
    return {"change": change, **costs, **lab.distances.compare(grid, first, second, names)}


pl.DataFrame([compared(change) for change in changes]).with_columns(pl.selectors.numeric().round(3))

# %% [markdown]
# The first three cost nothing, whatever `none-l2-l2` (the plain difference) says of them. EPIC and DARD see no
# potential, but they see redistribution. `val-l2-l2` sees none of the three, and it does see the other two.
#
# ## A distance in three steps
#
# 1. **Canonical form.** Take away what no policy notices. VAL does it with the advantage of the uniform policy,
#    C(s,a) = r(s,a) + γ E[V(s′)] − V(s).
# 2. **Scale** it to length 1. (A reward that asks for nothing stays at 0.)
# 3. **Distance** of the two results. With one norm in steps 2 and 3 it lies between 0 and 2, and 2 are opposites.
#
# By hand in a world of two states, action 0 stays and action 1 swaps, 1 for arriving in the second state, γ = ½: the
# uniform policy earns ½ per step, so V = 1 in both, and C = ±½.

# %%
two = families.two_states()
reward = np.array([0.0, 1.0])
value = two.value(reward)
form = two.expected(reward) + two.discount * two.transition @ value - value[:, None]
print("V =", value, " C =", form.tolist())
print("as the lab has it:", lab.distances.canonical_form("val", two, reward)[..., 0].tolist())

# %%
length = np.linalg.norm(form)
print("distance from its negative:", np.linalg.norm(form / length - (-form) / length))
print("as the lab has it:", lab.distances.compute("val-l2-l2", two, reward, -reward))

# %% [markdown]
# ## Halfway to a shortcut
#
# Someone adds a reward for a cell at the wall, so that the agent finds its way sooner. Walk from the meant reward to
# that one. The distance grows from the first step; the best policy stays the same until it suddenly does not. The
# worst case tells of it early: it bounds the regret from above, and the distance follows it.

# %%
first, second = lab.studies.reward_pair(grid, meant, ["shortcut"], state=10, amount=1.5)
way = lab.studies.reward_walk(grid, first, second, names)
reward_way(way)

# %%
reward_maps(lab.studies.reward_map(grid, {"meant": first, "with a shortcut": second}))

# %% [markdown]
# ## Learned from comparisons
#
# Nobody writes rewards of language models down; they are learned from comparisons. Fifty pairs of ten steps, judged
# with noise, make a reward that is far from the meant one; a thousand make a good one.

# %%
learned = [
    {"comparisons": n, "seed": seed, "distance": lab.distances.compute(
        "starc", grid, meant, lab.reward_models.learned_reward(grid, meant, n, seed=seed).reward)}
    for n in (10, 50, 200, 1000) for seed in range(5)
]  # fmt: skip
pl.DataFrame(learned).group_by("comparisons", maintain_order=True).agg(
    mean=pl.col("distance").mean().round(2),
    low=pl.col("distance").min().round(2),
    high=pl.col("distance").max().round(2),
)

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** A reward is multiplied by 1000 and −3 is added to every step. What is the distance `val-l2-l2` to the original?

# %%
answer_1 = None

# %%
if answer_1 is not None:
    expected = lab.distances.compute("val-l2-l2", grid, meant, 1000 * meant - 3)
    print("right" if abs(answer_1 - expected) < 1e-6 else "not yet: can a policy notice either?")

# %% [markdown]
# **2.** With one norm throughout, two rewards whose canonical forms are at a right angle are how far apart?

# %%
answer_2 = None

# %%
if answer_2 is not None:
    print("right" if abs(answer_2 - 2**0.5) < 0.01 else "not yet: two sides of length 1, and the third?")

# %% [markdown]
# **3.** Write the distance yourself, `val-l2-l2` of two rewards in any world.


# %%
def my_distance(mdp, r1, r2):
    """VAL, then l2 twice."""
    return None  # your line


# %%
if my_distance(two, reward, -reward) is not None:
    world = families.sparse(6, 3, source=1)
    a, b = np.random.default_rng(0).standard_normal((2, 6, 3, 6))
    close = abs(my_distance(world, a, b) - lab.distances.compute("val-l2-l2", world, a, b)) < 1e-9
    print("right" if close else "not yet: canonical_form, / np.linalg.norm, - , np.linalg.norm")

# %% [markdown]
# The same grid in the dashboard, where its cells can be dragged: `make lab`, page **Reward distances**
# (`/reward_distances?changes=shortcut`).
