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
# # GRPO on a real network in ten minutes
#
# **Question.** A transformer writes text, and the text is rewarded in three parts: a right answer, the right form, the
# right length. What does GRPO push in that text, and what does the network learn first?
#
# **Kept:** a decoder-only transformer with autograd, sampled text, verifiable rewards, Adam, held-out problems; the
# same loop and rules as in every other world. **Left out:** size. The network has 25,000 parameters, and its language
# is a few dozen characters. **Time:** ten minutes to read, about half a minute to run. It needs torch
# (`pip install 'advantage-lab[torch]'`).

# %%
import dataclasses

import numpy as np
import polars as pl
import torch

import lab
from lab.figures import coloured_text, training

STEPS, SEEDS = 30, 2  # 300 and 8 give a picture that one can lean on, in a quarter of an hour

# %% [markdown]
# ## A network that is sometimes right
#
# Nothing can be reinforced that never happens, so the network first imitates worked solutions until one answer in ten
# is right. That takes a few seconds, once: the weights are kept in your cache folder.

# %%
world = lab.world("small-lm", task="sorting", accuracy=0.1)
print(world)
print(world.train[0].prompt, world.task.words)
policy = world.init([0])
rollouts = world.rollout(policy, group_size=8, step=0)
for text, rewards in zip(map(world.text, rollouts.actions[0, 0]), rollouts.rewards[0, 0], strict=True):
    print(f"{text:58}", *(f"{name} {r:.2f}" for name, r in zip(world.components, rewards, strict=True)))

# %% [markdown]
# ## From rewards to a gradient
#
# The advantage rule sees nothing but the rewards. The objective turns advantages into a weight for each token, and the
# gradient is that of $\sum w \log \pi$ with the weights held fixed. Here it is by hand, beside the world's own.

# %%
advantage = lab.advantages.compute("grpo", rollouts.rewards)
weights = lab.objectives.weights("ppo_clip", rollouts.logp, advantage, logp=rollouts.logp, mask=rollouts.mask)
parameters = policy.parameters.clone().requires_grad_()
(torch.as_tensor(weights, dtype=parameters.dtype) * world.token_logp(parameters, rollouts)).sum().backward()
by_world = torch.as_tensor(np.asarray(world.gradient(policy, rollouts, weights)))
print("largest difference:", float((parameters.grad - by_world).abs().max()))

# %% [markdown]
# ## Training
#
# One call, as for a bandit. `reward_1` to `reward_3` are the parts of the reward: right answer, format, length.

# %%
trace = lab.train(
    world, ["grpo", "gdpo"], steps=STEPS, seeds=SEEDS, lr=3e-4, optimizer="adam", evaluate=0, every=2,
    measure=("reward", "reward_1", "reward_2", "reward_3", "no_signal", "entropy"),
)  # fmt: skip
parts = {"reward_1": "right answer", "reward_2": "format", "reward_3": "length"}
training(trace.summary(), metrics=[*parts, "reward", "no_signal", "entropy"], labels=parts)

# %% [markdown]
# **Reading the picture.** With so few seeds the bands are wide. Both variants met the same draws, so they are compared
# seed by seed (`lab.trace.lead`), which can tell them apart even where bands overlap. What counts in the end is what
# the network can do on problems that it was not trained on:

# %%
trained = dataclasses.replace(world.init(range(SEEDS)), parameters=torch.as_tensor(trace.parameters("grpo")))
before, after = (world.evaluate(p) for p in (world.init(range(SEEDS)), trained))
pl.DataFrame([{"measurement": m, "before": before[m].mean(), "after": after[m].mean()} for m in before])

# %% [markdown]
# ## A longer run, recorded
#
# The same task with more steps and seeds comes with the lab. Half of the gain in form is made earlier than half of the
# gain in right answers, if the intervals of `step` don't overlap:

# %%
run = lab.store.Run(lab.logs.bundled_run("sorting"))
gains = lab.measures.half_gains(run.frame, list(parts))
gains.select("variant", "metric", pl.col("start", "end", "gain_low", "gain_high").round(2), "step", "low", "high")

# %%
training(run.summary(), metrics=[*parts, "reward", "entropy", "kl_start"], labels=parts)

# %% [markdown]
# ## Which token is pushed?
#
# The run keeps its answers to the questions of the first step, token by token. That is all that a rule needs, so any
# variant can be tried on them without the network. GRPO gives a whole answer one credit, right digits and wrong ones
# alike, and it is silent where all answers earn the same, as here: eight right ones. A KL penalty
# still pushes, and tells tokens apart: those that have become likelier than they were are pushed down.

# %%
rows = run.rollouts.filter(variant="grpo", seed=0, step=0)
late = run.rollouts.filter(variant="grpo", seed=0, step=run.config.steps - 1)
moments, skipped = lab.experiment.review(late, ["grpo", "grpo-kl"])
kept = lab.measures.recorded(late)
coloured_text(lab.measures.token_weights(moments["grpo"], kept, prompt=13))

# %%
coloured_text(lab.measures.token_weights(moments["grpo-kl"], kept, prompt=13))

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** All eight answers have the right form and length; two of them are right, too. Rewards are added. What advantage
# does GRPO give to a right one? (GRPO divides by the sample deviation.)

# %%
answer_1 = None

# %%
if answer_1 is not None:
    expected = lab.advantages.compute("grpo", [3, 3, 2, 2, 2, 2, 2, 2])[0]
    print("right" if abs(answer_1 - expected) < 0.01 else "not yet: mean 2.25, deviations 0.75 and 0.25")

# %% [markdown]
# **2.** How many of the 128 recorded answers before training (`rows` above) have the right form but a wrong answer?

# %%
answer_2 = None

# %%
if answer_2 is not None:
    expected = rows.filter((pl.col("reward_2") == 1) & (pl.col("reward_1") == 0)).height
    print("right" if answer_2 == expected else "not yet: filter by reward_2 and reward_1")

# %% [markdown]
# **3.** Write a rule that looks at right answers alone and leaves form and length to themselves.


# %%
@lab.advantage(name="right-only", components=True)
def right_only(rewards):
    """A = R₁ − mean(R₁); rewards [..., P, G, K]."""
    return None  # your line


# %%
if right_only(np.zeros((1, 2, 3))) is not None:
    found, _ = lab.experiment.review(rows, ["right-only"])
    right = rows["reward_1"].to_numpy().reshape(16, 8)
    good = np.allclose(found["right-only"].advantage[0], right - right.mean(axis=-1, keepdims=True))
    print("right" if good else "not yet: rewards[..., 0], less its mean over the last axis")

# %% [markdown]
# The same run in the dashboard: `make lab`, page **Small models**; *train here* makes another one while you watch.
