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
# # LaRe: which step earned the return?
#
# **Question.** An episode of fifty steps ends with one number. From such numbers alone, can one learn what each step
# was worth? How much does it help to be told what to look at?
#
# **Kept** of the paper (arXiv 2412.11120): return decomposition, its randomised forms with their correction, factors
# in place of raw observations, the check of a model's code, step rewards as advantages. **Left out:** the language
# model (its factors are the right ones, or wrong in a known way) and its large tasks; ridge regression stands beside
# the network. **Time:** ten minutes to read, twenty seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab.studies import redistributed_episode, redistribution_study, redistribution_training
from lab import papers
from lab.figures import claim_detail, curves, step_rewards
from lab.papers import recorded
from lab.stand_ins import replaced
from lab.reward_models.lare import agreement, ridge
from lab.rewards import lare
from lab.trace import summarise
from simulators.delayed import world as delayed

QUICK = True  # False: makes the measurement of the headline again

# %% [markdown]
# ## Episodes
#
# A step is 24 numbers, of which four matter: $r = x_0 - 0.3\,(x_1^2 + x_2^2) + 0.8\cdot 1[x_3 > \tfrac12]$. Only the
# sum of fifty such rewards is seen.

# %%
x, rewards = delayed.draw(32, np.random.default_rng(0))
returns = rewards.sum(axis=1)
x.shape, returns[:3].round(2)

# %% [markdown]
# ## Three losses
#
# Return decomposition (RD) asks that the step rewards add up to the return. RRD reads only K drawn steps, and so
# punishes any difference between steps; the correction takes that out again. Averaged over many draws:

# %%
guess, lengths = rewards[:8] + 0.5, np.full(8, 50)
rng = np.random.default_rng(1)
draws = [lare.draw_steps(lengths, 16, rng) for _ in range(2000)]
print(f"RD            {lare.rd(guess, returns[:8], lengths)[0]:.4f}")
for name, unbiased in (("RRD", False), ("unbiased RRD", True)):
    found = [lare.rrd(guess, returns[:8], lengths, d, unbiased=unbiased)[0] for d in draws]
    print(f"{name:13} {np.mean(found):.4f} ± {np.std(found) / np.sqrt(len(found)):.4f}")

# %% [markdown]
# ## What to look at
#
# The language model's part is to name what matters. Here it is known what it should have written. The decoder is
# fitted on 32 returns; the correlation is over the steps of new episodes.

# %%
new, true = delayed.draw(50, np.random.default_rng(9))
for name, encode in delayed.ENCODERS.items():
    decode = ridge(encode(x), returns)
    print(f"{name:24} {agreement(decode, encode(new), true):.3f}")

# %%
study = redistribution_study(seeds=6)
told = study.rename({"encoder": "variant", "episodes": "step", "correlation": "mean"})
curves(
    told.with_columns(metric=pl.lit("correlation")),
    metric="correlation", label="correlation with the true step rewards", unit="episodes",
)  # fmt: skip

# %% [markdown]
# **Reading the picture.** With the right factors sixteen episodes do; distractors cost data and are then
# forgotten; a missing factor is a ceiling. Spreading the return evenly would be at 0.
#
# One new episode, step by step:

# %%
step_rewards(redistributed_episode(["raw", "factors"], steps=20))

# %% [markdown]
# ## A model's code is checked before it is used
#
# It is run on two made-up steps. Each factor must have shape (2, 1) and be finite; what is wrong is sent back.

# %%
answers = iter([lambda x: [x[:, 0]], lambda x: [x[:, :1], -(x[:, 1:2] ** 2 + x[:, 2:3] ** 2), x[:, 3:4] > 0.5]])


def model(error):
    """Stands for a language model: the first answer is wrong, the second right."""
    print("told:", error or "(asked)")
    return next(answers)


encode = lare.self_verified(model, delayed.DIMENSIONS)
encode(x).shape

# %% [markdown]
# ## Training on it
#
# Twenty steps, four choices at each. GRPO on the return gives every step of a rollout the same advantage; the rule
# `lare` compares each step with the same step of the group.

# %%
trace = redistribution_training(("return only", "raw", "factors", "true step rewards"), steps=120, every=4, seeds=6)
curves(summarise(trace, ["gold"]), metric="gold", label="true return")

# %% [markdown]
# **Reading the picture.** With factors the curve is that of the true step rewards. The decoder on raw steps is far
# ahead at first, and ends *below* the plain return: its own best policy is another one. Fast is not the same as right.

# %%
trace.filter(step=120).group_by("variant", maintain_order=True).mean().select("variant", "value", "gold", "optimum")

# %% [markdown]
# ## The promise
#
# Does better credit lead further? Episodes of 20 steps of which only the return is seen; a decoder of the step rewards
# is fitted on 32 of them, on raw steps or on factors. Each way has its own best learning rate, chosen on other runs;
# what counts is how much of the way from chance to the best true return it has come after 20 steps. The measurement
# takes a minute; this is the one that ships with the lab. `QUICK = False` makes it again.

# %%
headline = papers.find_claim("lare.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
detail = measured.frame if QUICK else papers.measured(headline.id)[1].frame
claim_detail(detail.drop("lr"))

# %% [markdown]
# **Reading the picture.** A row is a way in one setting, a dot the mean over runs with its 95% interval. Factors win by
# more the fewer rollouts there are, and not at all where an episode is short. `direct` adds the factors up without a
# decoder. **Published beside it:** no figures of the paper were available to the lab.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail. An outcome says little about a single
# step, but the factors' rewards do; a return that is spread evenly does not. Factors need fewer episodes than raw
# steps; raw steps in their place do not. And factors must be weighed by a decoder; if both are weighed, nothing is
# gained.

# %%
papers.table("lare.check-outcome", "lare.check-ridge", "lare.check-direct").drop("published")

# %% [markdown]
# By hand: the same step rewards, but with GRPO's one advantage per rollout under the name of `lare`.

# %%
seen = [redistribution_training(("factors",), steps=60, every=4, seeds=6)]
with replaced({"advantage:lare": "grpo"}):
    bare = redistribution_training(("factors",), steps=60, every=4, seeds=6)
seen.append(bare.with_columns(variant=pl.lit("factors@without lare")))
curves(summarise(pl.concat(seen), ["gold"]), metric="gold", label="true return")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Two steps with r̂ = (1, 3), return 4, and K = 1 step is drawn. What is the mean RRD loss over the two draws?

# %%
answer_1 = None

# %%
if answer_1 is not None:
    both = [lare.rrd([[1.0, 3.0]], [4.0], [2], [[t]])[0] for t in (0, 1)]
    print("right" if abs(answer_1 - np.mean(both)) < 1e-9 else "not yet: the return per step is 2")

# %% [markdown]
# **2.** Two rollouts of two steps with r̂ = (1, 0) and (0, 2). What does `lare` give the *second* step of the *first*
# rollout, when each step is taken alone?

# %%
answer_2 = None

# %%
if answer_2 is not None:
    given = lab.advantages.compute("lare", [[0, 0]], token_rewards=[[[1, 0], [0, 2]]], form="step")
    print("right" if abs(answer_2 - given[0, 0, 1]) < 1e-6 else "not yet: a z-score of 0 among 0 and 2")

# %% [markdown]
# **3.** Write an encoder with fewer than 24 numbers that reaches a correlation of at least 0.9 from 32 episodes,
# without the exact factors.


# %%
def mine(steps):
    """Steps [..., 24] to what the decoder should see [..., F]."""
    return None  # your line


# %%
if mine(x) is not None:
    score = agreement(ridge(mine(x), returns), mine(new), true)
    print("right" if score >= 0.9 and mine(x).shape[-1] < 24 else f"not yet: {score:.2f}; which four numbers matter?")

# %% [markdown]
# The same configuration in the dashboard: `make lab`, page **Shaping**, preset *Only the return is seen: which step
# earned it?*
