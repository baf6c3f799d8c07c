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
# # A first look: from eight rewards to a training run
#
# **Question.** Eight answers to one question, one of them right. What does each of them learn from that, and does the
# rule that decides it matter in the end?
#
# **Kept:** the rules exactly as published, the training loop, truth known without error. **Left out:** language; an
# answer is one of a few arms of a bandit. **Time:** ten minutes to read, half a minute to run.

# %%
import numpy as np
import polars as pl

import lab
from lab.figures import curves
from simulators import Bandit

# %% [markdown]
# ## Eight rewards
#
# One right of eight. GRPO centres the rewards and divides by their spread; Dr. GRPO only centres; MC-GRPO takes the
# median, so most answers are exactly on the baseline.

# %%
rewards = [0, 0, 0, 0, 0, 0, 0, 1]
rules = ["grpo", "dr_grpo", "rloo", "ngrpo", "mc-grpo"]
for rule in rules:
    print(f"{rule:8}", lab.advantages.compute(rule, rewards).round(3))

# %% [markdown]
# Check one number by hand: the mean is 1/8, the sample deviation $\sqrt{7/64 \cdot 8/7} = 0.354$, so the right answer
# gets $(1 - 0.125)/0.354 = 2.47$. The lab writes it out for any rule:

# %%
for rule in rules:
    print(f"{rule:8}", lab.advantages.explain(rule, rewards, rollout=7))

# %% [markdown]
# ## The same rule in eight trainers
#
# GRPO's formula is written with other degrees of freedom and other numerical floors in each public code. On rewards
# that nearly agree the floor decides; and in float32 eight *equal* rewards of 0.3 get an advantage, all of one sign.

# %%
presets = [name for name in lab.advantages.names() if name.startswith("grpo@") and "trl-" not in name]
pl.DataFrame(
    {
        "trainer": presets,
        "largest for [.5, .5001, .5, .5]": [lab.advantages.compute(n, [0.5, 0.5001, 0.5, 0.5]).max() for n in presets],
        "eight times 0.3, float32": [lab.advantages.compute(n, [0.3] * 8, precision="float32")[0] for n in presets],
        "eight times 0.3, float64": [lab.advantages.compute(n, [0.3] * 8)[0] for n in presets],
        "whose": [lab.advantages.rule(n).note for n in presets],
    }
)

# %% [markdown]
# ## What a rule promises
#
# A rule declares properties, and one battery of checks tries them all. `holds` is what was found on many inputs.

# %%
for report in lab.advantages.check("grpo"):
    print(f"{report.name:12} declared {report.declared!s:5}  holds {report.holds!s:5}  {report.counterexample}")

# %% [markdown]
# ## Noise: the sign that comes out wrong
#
# With noisy rewards a good answer can fall below the mean of its group. Then it is pushed *down*. How often depends on
# the number of rollouts and on the law of the noise. Here a sign is wrong against the drawn reward: a rollout that was
# paid more than the mean of the law deserves a positive advantage.

# %%
from lab.studies import sign_flip_study
from simulators import reward_laws

study = sign_flip_study(["grpo", "mc-grpo"], [reward_laws.student_t(2.0)], [2, 4, 8], prompts=20_000)
study

# %% [markdown]
# ## A training run
#
# Eight prompts, eight arms each, heavy-tailed noise. Sixteen seeds; all rules see the very same draws, so their
# difference is the rules' alone.

# %%
quality = np.linspace(0, 1, 8)
arms = np.stack([np.random.default_rng(p).permutation(quality) for p in range(8)])
world = Bandit(means=arms, law=reward_laws.student_t(df=2.0, scale=0.2))
trace = lab.train(world, ["grpo", "dr_grpo", "mc-grpo"], steps=200, seeds=16, group_size=8, lr=4.0)
trace.frame.tail(3)

# %%
curves(trace.summary(["value"]), metric="value", label="expected reward", theme="light")

# %% [markdown]
# **Reading the picture.** Height is the expected reward of the policy, 1 is the best possible, the start is chance
# (0.5). The bands are 95% intervals over seeds. All rules met the same draws, so they are compared seed by seed: where
# the interval of that difference leaves out 0, two rules are told apart, even if their bands overlap.

# %%
curves(trace.summary(["sign_flip"]), metric="sign_flip", label="wrong sign", percent=True, theme="light")

# %% [markdown]
# Here a sign is wrong *against the action's expected reward*: an arm is judged by what it earns on average. Above,
# where groups came from a law alone, a sign was wrong *against the drawn reward*. MC-GRPO gives fewer wrong signs.
# Whether that wins is another matter: its advantages have no bound, so its gradient must be clipped. Look at
# `largest advantage` before you believe a sign.

# %%
trace.summary(["advantage_max"]).group_by("variant", maintain_order=True).agg(largest=pl.col("mean").max())

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** All eight answers are wrong. What does NGRPO give to each of them?

# %%
answer_1 = None

# %%
if answer_1 is not None:
    expected = lab.advantages.compute("ngrpo", [0] * 8)[0]
    print("right" if abs(answer_1 - expected) < 0.01 else "not yet: the mean is 1/9; the deviation?")

# %% [markdown]
# **2.** Success probability 0.1, eight rollouts. Which share of the groups teaches GRPO nothing?

# %%
answer_2 = None

# %%
if answer_2 is not None:
    expected = 0.1**8 + 0.9**8
    print("right" if abs(answer_2 - expected) < 0.005 else "not yet: all right, or all wrong")

# %% [markdown]
# **3.** Write a rule of your own: the reward minus the *best* reward of the group. Then train it against GRPO.


# %%
@lab.advantage(name="regret", equation="A = R − max R", properties=("shift", "permutation", "silent", "groupwise"))
def regret(rewards):
    """Each rollout against the best of its group; rewards [..., P, G]."""
    return None  # your line


# %%
if regret(np.array([[0.0, 1.0]])) is not None:
    right = np.allclose(lab.advantages.compute("regret", [[0.0, 0.25, 1.0]]), [[-1.0, -0.75, 0.0]])
    agrees = all(report.agrees for report in lab.advantages.check("regret"))
    print("right" if right and agrees else "not yet: rewards.max(axis=-1, keepdims=True)")
    mine = lab.train(world, ["grpo", "regret"], steps=200, seeds=16, group_size=8, lr=4.0)
    print(mine.summary(["value"]).group_by("variant", maintain_order=True).last())

# %% [markdown]
# The same configuration in the dashboard: `make lab`, page **Train**, preset *What do outliers do?* — or play with the
# eight rewards on the page **Microscope**.
