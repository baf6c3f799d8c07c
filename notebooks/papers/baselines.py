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
# # GRPO and its relatives: many small differences, which of them is heard?
#
# **Question.** RLOO, Dr. GRPO, DAPO, GSPO, CISPO: each changes a line or two of GRPO, and each was published with
# better figures. Taken one at a time, in a world where everything is known: what does a line do, and what is left of it
# when all have their best learning rate and pay for what they sample?
#
# **Kept** of the papers (GRPO: arXiv 2402.03300, DAPO: 2503.14476, Dr. GRPO: 2503.20783 and others): baselines, scales,
# clips, dynamic sampling, sums over tokens. **Left out:** language, and what only many machines have.
# **Time:** twenty minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, silence, tuning
from lab.stand_ins import replaced
from simulators import Bandit

QUICK = True  # False: with as many runs as the recorded verdicts, a few minutes
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# Three lines make GRPO: who is better than the group, in units of its spread; how much a token is pushed; and when it
# is not pushed any more. DAPO lets an unlikely token rise further, and leaves out groups that are all alike.


# %%
def grpo(rewards, eps=1e-4):
    """Advantages [P, G] of the rewards [P, G]."""
    return (rewards - rewards.mean(1, keepdims=True)) / (rewards.std(1, ddof=1, keepdims=True) + eps)


def push(ratio, advantage, low=0.2, high=0.2):
    """Weight of a token whose probability is `ratio` times what it was when it was sampled."""
    done = np.where(advantage > 0, ratio > 1 + high, ratio < 1 - low)
    return np.where(done, 0.0, ratio * advantage)


def alike(rewards):
    """Which groups [P] DAPO leaves out, and draws again."""
    return (rewards == rewards[:, :1]).all(axis=1)


# %%
rng = np.random.default_rng(0)
rewards, log_ratio = 1.0 * (rng.random((500, 8)) < 0.1), 0.3 * rng.normal(size=(500, 8))
np.testing.assert_allclose(grpo(rewards), lab.advantages.compute("grpo", rewards), atol=1e-3)
for rule, high in (("ppo_clip", 0.2), ("ppo_clip@dapo", 0.28)):
    theirs = lab.objectives.weights(rule, log_ratio[..., None], grpo(rewards), logp=np.zeros((500, 8, 1)))
    np.testing.assert_allclose(push(np.exp(log_ratio), grpo(rewards), high=high) / rewards.size, theirs[..., 0])
np.testing.assert_array_equal(~alike(rewards), lab.sampling.keep("uniform", rewards[..., None]))
print(f"all agree; {alike(rewards).mean():.0%} of the groups are alike, where a tenth of the answers is right")

# %% [markdown]
# Check by hand: $0.9^8 + 0.1^8 = 0.43$. That share, over the chance p and the size of the group:

# %%
silence(lab.studies.signal_study(np.linspace(0, 1, 21), [4, 8, 16], variant="grpo"))

# %% [markdown]
# ## One line at a time
#
# Each of these is a claim about one line, measured with that line and without it. In the order of the rows: what
# dividing by the deviation does to hard questions; how many tokens a clip silences; how much a ratio of whole
# sequences varies; what dynamic sampling finds; what clip-higher lets grow.

# %%
lines = papers.table("baselines.1", "baselines.2", "baselines.3", "baselines.4", "baselines.5")
print(*(papers.find_claim(name).sentence for name in lines["id"]), sep="\n")
lines.drop("published")

# %% [markdown]
# By hand, the fifth: the right arm of 64 is unlikely at first, and each batch is used for four small steps. Inside the
# block DAPO's clip is held at 0.2.

# %%
four = np.arange(64) < 4
rare = Bandit(success=np.arange(64) == 63, logits=np.where(four, 3.0, 0.0))
higher = lab.variant("grpo", "grpo@clip-higher", clip_high=0.28)
setting = {"steps": 50, "seeds": 256, "lr": 0.5, "epochs": 4, "group_size": 8, "measure": ["value"]}
seen = [lab.train(rare, higher, **setting).summary()]
with replaced({"objective:ppo_clip": {"clip_high": 0.2}}):
    seen.append(lab.train(rare, higher, **setting).summary().with_columns(variant=pl.lit("grpo@without")))
curves(pl.concat(seen), metric="value", label="P(right arm)")

# %% [markdown]
# ## The promise, on a fair track
#
# DAPO against GRPO where many groups are alike: the best of 64 arms pays 0.8, all others 0.1, and the policy begins on
# four of those. Each variant has its own best learning rate, chosen on other runs. The third is GRPO with as many
# rollouts as DAPO draws when it draws again.

# %%
world = Bandit(success=np.where(np.arange(64) == 63, 0.8, 0.1), logits=np.where(four, 3.0, 0.0))
wider = lab.variant("grpo", "grpo@as many rollouts", extra_rollouts=6)
runs = {"seeds": 192, "tuning": range(900, 932)} if QUICK else {"seeds": 1024, "tuning": range(900, 1028)}
track = {"fair": True, "lrs": (1.0, 2.0, 4.0, 8.0), "steps": 60, **runs}
fair = lab.compare(world, ["grpo", "dapo", wider], group_size=8, **track)
tuning(fair.curve, label="expected reward after 60 steps")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# Per *step* DAPO is ahead. Per *rollout* it is not: a larger group finds what drawing again finds. The published
# figures count steps, of a 32B model on AIME 2024:

# %%
papers.paper("baselines").published[1].frame

# %%
headline = papers.find_claim("baselines.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("baselines.headline"))

# %% [markdown]
# ## Where it does not hold
#
# **A clip has nothing to do when a batch is used once.** Then all ratios are 1, and the two variants are the same to
# the last bit.

# %%
once = lab.train(rare, ["grpo", higher], **{**setting, "epochs": 1, "seeds": 8}).frame
print(
    "largest difference:",
    np.abs(np.subtract(*(part["value"].to_numpy() for _, part in once.group_by("variant")))).max(),
)

# %% [markdown]
# **At a large learning rate clip-higher changes nothing either:** the first step already carries the ratio beyond 1.28.

# %%
large = lab.train(rare, ["grpo", higher], **{**setting, "lr": 8.0})
large.summary(["value"]).group_by("variant", maintain_order=True).last().select("variant", "mean", "low", "high")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Take very large groups. How many times as much does GRPO favour a question with p = 0.1 over one with p = 0.5
# as Dr. GRPO does? (In groups of eight it is the 1.25 of the first claim.)

# %%
answer_1 = None


# %%
def step(rule, p):
    """Expected step on the logit of success of a question with chance p, from groups of 400."""
    drawn = 1.0 * (np.random.default_rng(1).random((2000, 400)) < p)
    return (lab.advantages.compute(rule, drawn) * (drawn - p)).mean()


favour = [step("grpo", p) / step("dr_grpo", p) for p in (0.1, 0.5)]
check(answer_1, favour[0] / favour[1], "one of the two divides by something that is known when G is large", within=0.02)

# %% [markdown]
# **2.** Dynamic sampling without a limit: how many groups of eight must be drawn, on average, for one that teaches
# something, if 2% of the answers are right?

# %%
answer_2 = None

# %%
drawn = 1.0 * (np.random.default_rng(2).random((400_000, 8)) < 0.02)
check(answer_2, 1 / (1 - alike(drawn).mean()), "what share of the groups is not alike?", within=0.1)

# %% [markdown]
# **3.** GRPO divides by the deviation, and so counts questions far from p = 1/2 more. Write the opposite, a rule that
# *multiplies* by it (degrees of freedom as in GRPO). Here all hard groups have one right answer of eight at most. Will
# it lose against GRPO at its own best learning rate? Think of what differs between the groups that do have a right
# answer.


# %%
@lab.advantage(name="times-deviation")
def times_deviation(rewards):
    """Advantages [..., P, G] of the rewards [..., P, G]."""
    return None  # your line


# %%
if times_deviation(rewards) is not None:
    spread = rewards.std(axis=1, ddof=1, keepdims=True)
    wanted = lab.advantages.compute("dr_grpo", rewards) * spread
    check(times_deviation(rewards), wanted, "ddof=1, and keep the axis of the group", within=1e-6)
    print(lab.compare(rare, ["grpo", "times-deviation"], group_size=8, **track).sentence)

# %% [markdown]
# In the dashboard (`make lab`): [what the presets of eight trainers
# change](http://127.0.0.1:8501/compare?variants=grpo@trl~grpo@verl~grpo@openrlhf~grpo@nemo-rl&law=normal), [who can do
# something with four rollouts](http://127.0.0.1:8501/train?variants=grpo~dapo~dr_grpo&group_size=4) and [the
# claims](http://127.0.0.1:8501/papers?paper=baselines).
