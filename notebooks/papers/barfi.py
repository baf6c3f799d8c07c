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
# # BARFI: what is a heuristic worth, when nobody knows whether it is right?
#
# **Question.** You have a reward that you trust but that is sparse, and a hint that may help or mislead. Adding the two
# can lose the task. Can one learn *how much* of the hint to use, from what training on the mixture leads to?
#
# **Kept** of the paper (arXiv 2310.19007): the two nested problems, the implicit gradient through the learner, its
# Neumann sum, the learnt discount. **Left out:** networks; the mixture is three numbers and the learner a table, so
# that every number here is exact. The paper's text could not be read; constants are the lab's.
# **Time:** ten minutes to read, twenty seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.figures import claim_detail, curves, grid_policies
from lab.papers import recorded
from lab.reward_models.barfi import align, basis, implicit_gradient
from lab.trace import summarise
from simulators.mdp import families
from simulators.mdp import gradient as gradients
from simulators.mdp.soft_learner import SoftLearner

QUICK = True  # False: makes the measurement of the headline again

# %% [markdown]
# ## A grid, a goal, three hints
#
# Nine cells; start in one corner, 1 for entering the other. Four steps with a discount of 0.9: the best return is
# 0.9³ = 0.729. The learner ascends the return with a small bonus for entropy, to its fixed point.

# %%
mdp, true, hints = families.goal_grid()
learner = SoftLearner(mdp)
theta = learner.optimum(true)
print(f"trained on the true reward: {mdp.returns(true, gradients.softmax(theta)):.3f} of 0.729")

# %% [markdown]
# It falls short because the bonus for entropy competes with the reward. Now add each hint.

# %%
for name, hint in hints.items():
    naive = gradients.softmax(learner.optimum(true + hint))
    print(f"plus {name:9}: {mdp.returns(true, naive):.4f}")

# %% [markdown]
# One hint helps; with each of the others the agent has found something better to do than to reach the goal.
#
# ## The slope of a whole training run
#
# Mix with weights φ = (constant, true, hint). The trained policy θ(φ) is where the learner's gradient is 0, so it moves
# with φ by the implicit function theorem: $d\theta/d\varphi = -H^{-1}A$. Compare with training again at φ ± a little.

# %%
phi = np.array([0.1, 1.0, 0.3])
for name, hint in hints.items():
    mixed = basis(mdp, true, [hint])

    def outcome(weights, mixed=mixed):
        return mdp.returns(true, gradients.softmax(learner.optimum(np.tensordot(weights, mixed, 1))))

    theta = learner.optimum(np.tensordot(phi, mixed, 1))
    slope, _ = implicit_gradient(learner, true, mixed, phi, theta)
    again = [(outcome(phi + 1e-3 * e) - outcome(phi - 1e-3 * e)) / 2e-3 for e in np.eye(3)]
    print(f"{name:9} implicit {slope.round(4)}   by training again {np.round(again, 4)}")

# %% [markdown]
# The constant's slope is 0: where episodes never end, a constant moves no policy.
#
# ## Learning the blend

# %%
study = lab.studies.blend_study()
study.filter(step=25).select("heuristic", "variant", "value", "phi2", "phi3")

# %%
reverse = study.filter(heuristic="reversed")
curves(summarise(reverse, ["value"]), metric="value", label="true return", unit="outer step")

# %% [markdown]
# **Reading the picture.** The blend starts at the naive sum, which loses the task. Within a few steps the hint's weight
# has changed its sign, and the blend passes the true reward alone. There are no bands because nothing is sampled.

# %%
curves(
    summarise(reverse.filter(variant="BARFI").with_columns(variant=pl.lit("weight of the hint")), ["phi3"]),
    metric="phi3", label="weight of the hint", unit="outer step",
)  # fmt: skip

# %%
grid_policies(lab.studies.blend_policies("reversed"))

# %% [markdown]
# ## No hint at all
#
# BARFI gains even then: it raises the weight of the true reward until the entropy bonus no longer matters. It corrects
# the *learner*, not only the hint.

# %%
alone = align(mdp, true, [])
print(f"weight {alone[-1].phi[1]:.1f}, true return {alone[0].value:.3f} -> {alone[-1].value:.3f}")

# %% [markdown]
# ## Foresight in the reward
#
# The learner's discount can be learnt too. With a price on it the learner ends short-sighted, and the reward carries
# the foresight instead.

# %%
short = align(mdp, true, [hints["helpful"]], learn_discount=True, discount_cost=0.05)
print(f"discount 0.90 -> {short[-1].discount:.2f}, true return {short[-1].value:.3f}")

# %% [markdown]
# ## And potential shaping?
#
# A potential changes no expected gradient, so it can mislead nobody. But it changes the noise of the gradient.

# %%
rng = families.environment(0)
world = families.sparse(10, 3, 0.9, source=rng)
reward, logits = rng.normal(size=(10, 3, 10)), 0.5 * rng.normal(size=(10, 3))
value = world.value(reward, gradients.softmax(logits))
spread = {}
for name, potential in {"none": 0 * value, "V": value, "-V": -value, "5 N(0,1)": 5 * rng.normal(size=10)}.items():
    shaped = families.shaped(world, reward, potential)
    drawn = gradients.reinforce(world, shaped, logits, episodes=2000, horizon=80, rng=np.random.default_rng(1))
    spread[name] = drawn.var(axis=0).sum()
    print(f"{name:9} variance / plain {spread[name] / spread['none']:.2f}")

# %% [markdown]
# ## The promise
#
# A walk along 21 positions, a goal at its end, and a hint of which nobody knows whether it helps, points the wrong way
# or can be farmed. The blend is learnt beforehand, in the exact model. Each way has its own best learning rate, chosen
# on other runs; what counts is the share of walks that arrive after 15 steps, averaged over the three hints. The
# measurement takes four minutes; this is the one that ships with the lab. `QUICK = False` makes it again.

# %%
headline = papers.find_claim("barfi.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
detail = measured.frame if QUICK else papers.measured(headline.id)[1].frame
claim_detail(detail.drop("lr"))

# %% [markdown]
# **Reading the picture.** A row is a way in one setting, a dot the mean over runs with its 95% interval. The naive sum
# arrives with one hint of three. Where the goal is found often enough (eight walks per group, or 11 positions) the true
# reward alone needs no hint. **Published beside it:** BARFI is said to match or to beat the naive sum and potential
# shaping in each domain; the figures were not available to the lab.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail. The second: BARFI is never worse than
# the true reward alone; without learning the blend it is. The third: the implicit gradient is the slope that central
# differences show; with one term of the sum for the inverse it is not. The fourth: 3000 terms will do; 30 will not.

# %%
papers.table("barfi.2", "barfi.3", "barfi.4").drop("published")

# %% [markdown]
# By hand, with the reversed hint: the blend of the last outer step, and the blend as it was before it was learnt.

# %%
blend = study.filter(heuristic="reversed", variant="BARFI").sort("step")["value"]
print(f"with it    {blend[-1]:.3f}\nwithout it {blend[0]:.3f}")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** On a 4 × 4 grid the shortest way has six steps. What is the best return?

# %%
answer_1 = None

# %%
if answer_1 is not None:
    bigger, goal, _ = families.goal_grid(4)
    best = bigger.returns(goal, bigger.optimal(goal))
    print("right" if abs(answer_1 - best) < 1e-4 else "not yet: the reward comes with the last step, discounted before")

# %% [markdown]
# **2.** Which weight of the *reversed* hint, beside weight 1 for the true reward, beats training on the true reward
# alone? Any from −2 to 2 that does is right.

# %%
answer_2 = None

# %%
if answer_2 is not None:
    own = gradients.softmax(learner.optimum(true + answer_2 * hints["reversed"]))
    better = mdp.returns(true, own) > mdp.returns(true, gradients.softmax(learner.optimum(true))) + 1e-6
    print("right" if better and abs(answer_2) <= 2 else "not yet: what is the reverse of it?")

# %% [markdown]
# **3.** Write a hint of your own, R[s, a, s'] on the 3 × 3 grid, that misleads when it is added. Then see whether BARFI
# mends it.


# %%
def hint():
    """A reward [9, 4, 9]; a grid cell is row * 3 + column."""
    return None  # your line


# %%
if hint() is not None:
    lost = mdp.returns(true, gradients.softmax(learner.optimum(true + hint())))
    mended = align(mdp, true, [hint()])[-1].value
    print("right" if lost < 0.3 else "not yet: it does not mislead")
    print(f"naive sum {lost:.3f}, BARFI {mended:.3f}")

# %% [markdown]
# The same configuration in the dashboard: `make lab`, page **Shaping**, preset *The heuristic points the wrong way: can
# a blend mend it?*
