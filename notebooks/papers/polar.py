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
# # POLAR: is being alike a reward?
#
# **Question.** A reward model usually learns what annotators prefer. Can one be trained without any preference, only to
# tell whether two texts come from the same author, and then pay a policy for being like a reference?
#
# **Kept** of the paper (arXiv 2507.05197): the reward of two trajectories, pre-training on a pool of policies,
# fine-tuning on ranked trajectories, and training a policy with it. **Left out:** language, transformers and the laws
# of their scaling, PPO with a critic. A policy is a table: which of six symbols follows which.
# **Time:** fifteen minutes to read, half a minute to run.

# %%
import numpy as np
import plotly.graph_objects as go
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import claim_detail
from lab.papers import recorded
from simulators.bigrams.tables import features, frequencies, pool, sample, softmax

QUICK = True  # False: trains with four times as many runs, and makes the measurement of the headline again
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(90)

# %% [markdown]
# ## Policies and what is seen of them
#
# Two policies, three trajectories of sixteen symbols each. What the reward model reads are frequencies: of each symbol,
# and of each pair of neighbours.

# %%
policies = pool(200, seeds=0)
draws = np.random.default_rng(0).random((2, 3, 16))
for name, some in zip("AB", sample(policies.logits[0, :2, None], draws), strict=True):
    print(name, *("".join("abcdef"[symbol] for symbol in trajectory) for trajectory in some))
print("features of a trajectory:", features(some, 6).shape[1])

# %% [markdown]
# ## Pre-training
#
# Of two candidates one is from the policy of the reference: −log σ(r(A₁, A₂) − r(A₁, B₁)). The policies that it is
# tried on were in no pool.

# %%
unseen, rng = pool(100, seeds=0, draw=1), [np.random.default_rng(1)]
who = np.arange(2000)[None] % 100
first, second, other = (unseen.draw(each % 100, rng)[0] for each in (who, who, who + 1))


def told_apart(score):
    """Share of triples in which the candidate of the reference's policy is paid more."""
    found = score(np.stack([second, other], axis=1), {"reference_response": first})
    return (found[:, 0] > found[:, 1]).mean()


score = lab.reward_models.fit("polar", policies, 0)
nothing = lab.reward_models.fit("polar", policies, 0, steps=0)
print(f"trained: {told_apart(score):.2f}; not trained: {told_apart(nothing):.2f}")

# %% [markdown]
# Reported at this scale: 0.78. One trajectory is little to go by, so 1 is out of reach.
#
# ## A graded distance
#
# Candidates of (1 − λ) π* + λ π', from the reference's own policy to another one.

# %%
shares = np.linspace(0, 1, 11)
ours, theirs = softmax(unseen.logits[0, :20, None, None]), softmax(unseen.logits[0, 20:40, None, None])
way = np.append(0.0, shares)[:, None, None]
drawn = features(sample(np.log((1 - way) * ours + way * theirs), np.random.default_rng(2).random((20, 50, 12, 16))), 6)
rewards = score(drawn[:, :, 1:], {"reference_response": drawn[:, :, 0]}).mean((0, 1))
figure = go.Figure(go.Scatter(x=shares, y=rewards, mode="lines+markers"))
figure.update_xaxes(title="λ, how much of the other policy").update_yaxes(title="mean reward").update_layout(height=350)

# %% [markdown]
# ## What it is for
#
# A policy is to become like another one; each group of a step sees one sample of it. What is meant is the distance
# between the frequencies of pairs, which no reward sees.

# %%
steps, runs = (60, 16) if QUICK else (200, 64)
method, lines = lab.variant("grpo", kl="k3", kl_beta=0.05), {}
for name in ("polar", "token-match"):
    world = lab.world("bigrams", prompts=4, reward_model=name)
    trace = lab.train(world, method, steps=steps, seeds=runs, lr=8, group_size=8, measure=["gold"], every=5)
    lines[name] = trace.frame.group_by("step").agg(pl.col("gold").mean()).sort("step")
figure = go.Figure([go.Scatter(x=line["step"], y=-line["gold"], name=name) for name, line in lines.items()])
figure.update_xaxes(title="step").update_yaxes(title="distance from the target").update_layout(height=350)

# %% [markdown]
# **Reading the picture.** Lower is nearer, 0 is the target. Symbols at equal places say little of a policy, so matching
# them teaches little.
#
# ## The promise
#
# Each reward at its own best learning rate. This measurement ships with the lab; `QUICK = False` makes it again.

# %%
headline = papers.find_claim("polar.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
claim_detail(measured.frame if QUICK else papers.measured(headline.id)[1].frame)

# %% [markdown]
# **Published beside it:** the average of 20 benchmarks after training with POLAR-7B, 56.33 for Llama-3.1-8B, beside
# 49.64 with the best other reward model.
#
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail: a network that was not trained leads
# away from the target.

# %%
for claim in ("polar.1", "polar.2", "polar.3"):
    entry = recorded.read()[claim].runs[0]
    print(f"{claim}: {entry.value:.2f}, without training {entry.without:.2f}")

# %% [markdown]
# ## Where it does not hold
#
# What it learned of policies is no better start for an unrelated taste, here trajectories ranked by random weights. And
# without a KL term the policy collapses onto what the reward likes best.

# %%
entry = recorded.read()["polar.limit-finetuning"].runs[0]
print(f"accuracy above a start from nothing: {entry.value:.2f}; where policies are ranked: {entry.without:+.2f}")
claim_detail(recorded.read()["polar.limit-collapse"].frame)

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Both candidates are from the reference's policy. What is the loss of a perfect model on average, at least?

# %%
answer_1 = None

# %%
check(answer_1, np.log(2), "nothing tells them apart, so the best margin is 0", within=1e-2)

# %% [markdown]
# **2.** r = β log(π*/π₀) with β = 0.5, and KL(π* ‖ π₀) = 3. What is the mean of r over trajectories of π*?

# %%
answer_2 = None

# %%
check(answer_2, 1.5, "the mean of the logarithm under π* is the KL")

# %% [markdown]
# **3.** Write what is meant: the total variation between two tables of frequencies.


# %%
def distance(p, q):
    """From 0, the same, to 1, nothing in common."""
    return None  # your line


# %%
p, q = frequencies(policies.logits[0, :2], 16)
if distance(p, q) is not None:
    right = np.maximum(p - q, 0).sum()
    print("right" if abs(distance(p, q) - right) < 1e-9 else "not yet: half of the absolute differences, added up")

# %% [markdown]
# The world in the dashboard: `make lab`, page **Train**, world *be like a sample of another policy*.
