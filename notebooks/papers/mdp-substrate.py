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
# # A world in which everything is known
#
# **Question.** What does it take to say without any noise what a policy earns, which one is best, and what a wrong
# reward costs?
#
# **Kept:** random worlds and rewards of the STARC experiment, exact planning, regret, worst-case regret, the exact
# policy gradient. **Left out:** function approximation; nothing is sampled until the last section. **Time:** ten
# minutes to read, ten seconds to run.

# %%
import itertools

import numpy as np
import polars as pl

from lab import papers
from lab.figures import claim_detail
from lab.papers import recorded
from simulators import MDP
from simulators.mdp import families
from simulators.mdp.gradient import exact, reinforce, softmax

QUICK = True  # False: makes the measurement of the headline again
_ = pl.Config(tbl_rows=20, tbl_cols=10)

# %% [markdown]
# ## By hand
#
# Two states; action 0 stays, action 1 swaps; γ = ½, start in the first state; 1 for every step that ends in the second.
# Swap once, then stay: 1 + ½ + ¼ + … = 2.

# %%
two = MDP([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], discount=0.5, start=[1, 0])
reward = [0, 1]
best = two.optimal(reward)
print("best actions", best, " values", two.value(reward, best), " return", two.returns(reward, best))
print("span between best and worst:", two.span(reward), " uniform policy:", two.value(reward))

# %% [markdown]
# ## Planning is exact
#
# Policy iteration against every one of the 3⁵ policies of a random world.

# %%
world = families.sparse(5, 3, 0.9, source=0)
drawn = families.random_reward(world, 1)
every = [world.returns(drawn, list(policy)) for policy in itertools.product(range(3), repeat=5)]
print(
    f"{len(every)} policies, best {max(every):.12f}, policy iteration {world.returns(drawn, world.optimal(drawn)):.12f}"
)

# %% [markdown]
# ## A potential moves all returns alike
#
# By −φ averaged over the start. So no comparison of policies changes, and the random world of the experiment can be
# used with any potential on top.

# %%
phi = families.random_potential(world, 2)
policies = np.random.default_rng(0).dirichlet(np.ones(3), (50, 5))
moved = [world.returns(families.shaped(world, drawn, phi), p) - world.returns(drawn, p) for p in policies]
print(f"moved by {np.mean(moved):.6f} (spread {np.std(moved):.1e}); minus start · φ = {-world.start @ phi:.6f}")

# %% [markdown]
# ## Visits
#
# Discounted visits of a policy add up to 1/(1 − γ), and a return is their inner product with the reward: returns are
# linear in visits, which makes regret a linear program.

# %%
visits = world.occupancy(policies[0])
print(visits.sum(), (visits * world.expected(drawn)).sum() - world.returns(drawn, policies[0]))

# %% [markdown]
# ## Regret, and the worst case
#
# Optimising R₂ where R₁ is meant loses `regret`. That depends on which optimal policy one happens to take. The worst
# case does not: max J₁(p) − J₁(q) over all policies with J₂(q) ≥ J₂(p). By duality it is the lowest point over λ ≥ 0 of
# span(R₁ − λR₂) / span(R₁), a convex curve.

# %%
other = families.random_reward(world, 5)
scale = world.span(drawn) / world.span(other)
weights = np.linspace(0, 2, 41)
curve = [world.span(drawn - w * scale * other) / world.span(drawn) for w in weights]
print(f"regret {world.regret(drawn, other):.4f}, worst case {world.worst_case_regret(drawn, other):.4f}")
print(f"lowest point on the curve {min(curve):.4f}, at λ = {weights[int(np.argmin(curve))]:.2f} in units of the spans")

# %% [markdown]
# No pair of policies beats it: of 2000 random pairs that R₂ prefers the wrong way round, the largest loss.

# %%
pairs = np.random.default_rng(1).integers(3, size=(4000, 5))
j1, j2 = (np.array([world.returns(r, p) for p in pairs]).reshape(-1, 2) for r in (drawn, other))
flipped = (j1[:, 0] - j1[:, 1]) * (j2[:, 0] - j2[:, 1]) < 0
print(f"{np.abs(j1[:, 0] - j1[:, 1])[flipped].max() / world.span(drawn):.4f}")

# %% [markdown]
# ## The policy gradient, exact and sampled
#
# REINFORCE's samples average to the exact gradient with and without a potential, but not with the same noise.

# %%
theta = 0.5 * np.random.default_rng(3).standard_normal((5, 3))
rows = []
for size in (0.0, 1.0, 5.0):
    shaped = families.shaped(world, drawn, size * np.random.default_rng(4).standard_normal(5))
    samples = reinforce(world, shaped, theta, episodes=3000, horizon=80, rng=np.random.default_rng(5))
    error = np.linalg.norm(samples.mean(0) - exact(world, drawn, theta))
    rows.append({"potential": size, "error of the mean": error, "variance": samples.var(0).sum()})
pl.DataFrame(rows)

# %% [markdown]
# ## The promise
#
# What are exact numbers good for? Along the way from one random reward to another a distance should rise with regret.
# Here is its rank correlation with exact regret, and with regret that is estimated from episodes. The measurement takes
# ten seconds; this is the one that ships with the lab. `QUICK = False` makes it again.

# %%
headline = papers.find_claim("mdp-substrate.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
detail = measured.frame if QUICK else papers.measured(headline.id)[1].frame
claim_detail(detail)

# %% [markdown]
# **Reading the picture.** A row is a way of measuring in one setting, a dot the mean over worlds with its 95% interval.
# Estimates hide what is there; ten times as many episodes mend half of it. **Published beside it:** nothing; these are
# the worlds of the STARC experiment, and not a method.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail. A potential moves all returns alike
# (without the discount it does not); the worst case is worse than what two optimal policies lose; visits add up to 1/(1
# − γ), and not to that of another discount.

# %%
papers.table("mdp-substrate.2", "mdp-substrate.3", "mdp-substrate.4").drop("published")

# %% [markdown]
# By hand: the same potential with its discount left out.

# %%
bare = drawn + phi - phi[:, None, None]
moved = [world.returns(bare, p) - world.returns(drawn, p) for p in policies]
print(f"spread of the moves without the discount: {np.std(moved):.3f}")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** In the world of two states, what is the return of the policy that always swaps?

# %%
answer_1 = None

# %%
if answer_1 is not None:
    print("right" if abs(answer_1 - two.returns(reward, [1, 1])) < 0.01 else "not yet: 1 + 0 + ¼ + 0 + …")

# %% [markdown]
# **2.** What is the worst-case regret between a reward and its negative?

# %%
answer_2 = None

# %%
if answer_2 is not None:
    expected = world.worst_case_regret(drawn, -drawn)
    print("right" if abs(answer_2 - expected) < 1e-6 else "not yet: the worst policy is what −R calls the best")

# %% [markdown]
# **3.** Write policy evaluation: the value of each state under a policy π [S, A].


# %%
def my_value(mdp, reward, pi):
    """V = (I − γ P_π)⁻¹ r_π."""
    return None  # your line


# %%
if my_value(two, reward, softmax(np.zeros((2, 2)))) is not None:
    pi = policies[7]
    close = np.allclose(my_value(world, drawn, pi), world.value(drawn, pi))
    print("right" if close else "not yet: np.linalg.solve, np.einsum('sa,sat->st', pi, mdp.transition)")

# %% [markdown]
# The same in the dashboard: `make lab`, page **Reward distances** (`/reward_distances?world=graph&changes=flip`).
