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
# # Dr. MAS: the helper is only called when things go wrong. Is that its fault?
#
# **Question.** Several agents work on one task: one solves, one checks, one helps. At the end there is one reward for
# all. GRPO compares whole trajectories, and so an agent that is called after failures only will look bad whatever it
# does; and one whose scores are far from all the others' will get huge advantages. Should each agent be compared with
# itself?
#
# **Kept** of the paper (arXiv 2602.08847): each agent's own mean and deviation, the common ones as a baseline, a
# clipped objective for each agent over its own calls. **Left out:** language, and agents that share one model; each
# agent is a table of its own. **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import agent_norms, tuning
from lab.measures.agents import agent_spikes
from lab.stand_ins import replaced
from simulators.reward_laws import BATCHES

QUICK = True  # False: in all settings of the recorded verdict, a minute
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# Take all calls of one agent on one question, from all trajectories; a trajectory that calls it three times counts
# three times. Subtract their mean, divide by their deviation. An agent that was called once only has nothing to be
# compared with; as released, it keeps its score.


# %%
def dr_mas(scores, agent, called, floor=1e-6):
    """Advantages [P, G, T] of calls: their scores, who was called, and which calls took place."""
    advantage = np.zeros(scores.shape)
    for p in range(len(scores)):
        for n in np.unique(agent):
            own = called[p] & (agent[p] == n)
            s = scores[p][own]
            advantage[p][own] = (s - s.mean()) / (s.std(ddof=1) + floor) if s.size > 1 else s / (1 + floor)
    return advantage


# %% [markdown]
# The world: a solver answers; a checker looks once at a right answer and four times at a wrong one; a helper comes with
# probability 0.5 after a failure and 0.05 after a success. Neither of the two changes the outcome. An invalid call
# costs a little.

# %%
world = lab.world("agents", plan="conditional", prompts=500)
r = world.rollout(world.init([0]), 8, 0)
told = {"agent": r.agent, "mask": r.mask, "turn_rewards": r.turn_rewards}
ours = dr_mas(r.turn_rewards[0], r.agent[0], r.mask[0])
np.testing.assert_allclose(ours[None], lab.advantages.compute("dr-mas", r.rewards, **told), atol=1e-9)
print("both agree")

# %% [markdown]
# ## Blame for being called
#
# The mean of what each agent gets, first in a group and then over groups. On average nobody here does anything better
# or worse than it usually does, so that the right number is 0.


# %%
def mean_in_group(rule, agent):
    """Mean advantage of one agent's calls on a question that calls it more than once, over such questions."""
    a, own = lab.advantages.compute(rule, r.rewards, **told), r.mask & (r.agent == agent)
    calls = own.sum(axis=(-2, -1))
    mean = (a * own).sum(axis=(-2, -1))[calls > 1] / calls[calls > 1]
    return float(mean.mean().round(6) + 0.0)  # 0.0 rather than -0.0


rows = []
for n, name in enumerate(world.agents):
    own = r.mask & (r.agent == n)
    rows.append(
        {"agent": name, "calls per trajectory": own.sum() / (500 * 8), "mean score": r.turn_rewards[own].mean()}
    )
    rows[-1] |= {rule: mean_in_group(rule, n) for rule in ("dr-mas-global", "dr-mas")}
pl.DataFrame(rows)

# %% [markdown]
# `dr-mas-global` is the paper's baseline: one mean and one deviation for all. There the helper hears that it did badly,
# for having been called.
#
# ## Too loud, too quiet
#
# The other half of the trouble is scale. Let $\mu, \sigma$ be mean and deviation of all calls together and
# $\mu_n, \sigma_n$ those of agent n. Divide its scores by what is common, and the square of its advantages is on
# average
#
# $$E[A_n^2] = \frac{\sigma_n^2 + (\mu_n - \mu)^2}{\sigma^2}.$$
#
# Check by hand: the first agent makes 95 calls of 100 with scores N(0, 0.5²), the second the other five with N(3,
# 0.5²). Then μ = 0.15 and σ² = 0.25 + 0.95 · 0.05 · 9 = 0.68; the second agent gets (0.25 + 2.85²)/0.68 = 12.4.


# %%
def second_moment(rule, mean, share=0.95):
    """E[A²] of two agents' calls where the second agent's scores have this mean."""
    scores = BATCHES["two_agents"](np.random.default_rng(0), (1, 200_000), share, (0.0, 0.5), (mean, 0.5))
    second = np.broadcast_to(np.arange(200_000)[:, None] >= share * 200_000, (1, 200_000, 1))
    a = lab.advantages.compute(rule, scores[..., None], agent=second.astype(int))
    return [float((a[second == n] ** 2).mean().round(3)) for n in (False, True)]


print("one for all", second_moment("dr-mas-global", 3.0))
print("each its own", second_moment("dr-mas", 3.0))

# %% [markdown]
# A gradient is as long as its advantages are large. This is what the paper calls exploding gradients, and here is what
# it looks like while training:

# %%
few = lab.world("agents", plan="conditional")
norms = [f"grad_norm_agent_{n}" for n in range(3)]
trace = lab.train(few, ["dr-mas-global", "dr-mas"], steps=200, seeds=4, lr=2.0, measure=norms)
agent_norms(agent_spikes(trace.frame, few.agents))

# %% [markdown]
# **Reading the picture.** A line is one run, a mark is a step far above the twenty before it; the axis is logarithmic.
# Look at the lowest row. The better the solver becomes, the more seldom the helper is called, and under one mean for
# all its gradient swings between next to nothing and the largest of all agents. Compared with itself it swings less.
#
# ## The promise, on a fair track
#
# A router sends to a searcher or to an answerer, three searches at most. Eight questions; each rule at its own best
# learning rate, chosen on other runs. What counts is the expected reward of whole trajectories.

# %%
runs = {"seeds": 48, "tuning": range(900, 912), "steps": 60}
rules = ["grpo", "dr-mas-global", "dr-mas"]
search = lab.world("agents", plan="search")
fair = lab.compare(search, rules, fair=True, lrs=(8.0, 16.0, 32.0), group_size=8, **runs)
tuning(fair.curve, label="expected reward after 60 steps")

# %%
value, (low, high) = fair.lead("dr-mas", "grpo", "dr-mas-global")
print(f"dr-mas leads by {value:.3f} ({low:.3f} to {high:.3f}) over the better of the other two")
print(fair.sentence)
fair.frame

# %% [markdown]
# It is shown, if by little. Note that most of the distance to GRPO is already there with `dr-mas-global`: it is the
# *objective*, an average over each agent's own calls. The published leads, over GRPO and in language:

# %%
papers.paper("dr-mas").published[0].frame

# %%
headline = papers.find_claim("dr-mas.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("dr-mas.headline"))

# %% [markdown]
# ## With and without
#
# Each claim is measured again with one mean and deviation for all under the name of Dr. MAS. There it must fail. (The
# first two rows show a number of the *common* normalisation, which is the same both times; what fails without Dr. MAS
# is the other half of the claim, that its own is 1 and 0.)

# %%
papers.table("dr-mas.1", "dr-mas.2", "dr-mas.3", "dr-mas.check-spikes").drop("published")

# %% [markdown]
# By hand: what the helper gets on average.

# %%
print("with it   ", mean_in_group("dr-mas", 2))
with replaced({"advantage:dr-mas": "dr-mas-global"}):
    print("without it", mean_in_group("dr-mas", 2))

# %% [markdown]
# ## Where it does not hold
#
# **Many actions.** With 16 actions in place of four an agent seldom does the right thing at all, and who is compared
# with whom matters less than that. With four trajectories per question it matters more.

# %%
less = {"seeds": 24, "tuning": range(900, 906), "steps": 60}
many = lab.world("agents", plan="search", arms=16)
print(lab.compare(many, rules[::-1], fair=True, lrs=(16.0, 32.0, 64.0), group_size=8, **less).sentence)
print(lab.compare(search, rules[::-1], fair=True, lrs=(8.0, 16.0, 32.0), group_size=4, **less).sentence)

# %% [markdown]
# **Less to learn from.** An agent that acts after failures only finds all its scores equal. Compared with others it
# had a signal, if a wrong one; compared with itself it mostly has none.

# %%
papers.table("dr-mas.limit-signal")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Two trajectories of one question: the first is worth 1 and called the checker once, the second is worth 0 and
# called it twice. What does the checker's call in the *first* one get?

# %%
answer_1 = None

# %%
calls = np.array([[[True, False], [True, True]]])
first = lab.advantages.compute("dr-mas", np.array([[[1.0], [0.0]]]), agent=np.zeros((1, 2, 2), int), mask=calls)
check(answer_1, first[0, 0, 0], "what is compared: trajectories, or calls? how many are there?")

# %% [markdown]
# **2.** Two agents as above, the second with one call in twenty. What must be the mean of its scores, so that under one
# mean and deviation for all its gradient has twice the length that it has under its own?

# %%
answer_2 = None


# %%
def twice(mean):
    """Whether the second agent's advantages are twice as large under the common normalisation, in root mean square."""
    (_, common), (_, own) = second_moment("dr-mas-global", mean), second_moment("dr-mas", mean)
    return mean > 0 and abs((common / own) ** 0.5 - 2) < 0.03


check(answer_2, twice, "the formula has σ² below the line: which part of it grows with the mean?")

# %% [markdown]
# **3.** Dr. MAS changes two things, the centre and the scale. Which one teaches more? Write a rule that has each
# agent's own centre, but divides by the deviation over *all* calls of the question.


# %%
@lab.advantage(name="own-centre")
def own_centre(rewards, *, agent, mask, turn_rewards):
    """Advantages [..., P, G, T] of the calls; rewards [..., P, G], the rest [..., P, G, T]."""
    told = {"agent": agent, "mask": mask, "turn_rewards": turn_rewards}
    centred = lab.advantages.compute("dr-mas", rewards[..., None], **told, std=False)
    spread = None  # your line: [..., P, 1, 1], of the scores of the calls that took place
    return None if spread is None else centred / (spread + 1e-6)


# %%
mine = own_centre(r.rewards.sum(axis=-1), **told)
if mine is not None:
    centred = lab.advantages.compute("dr-mas", r.rewards, **told, std=False)[0]
    wanted = [c / (s[m].std() + 1e-6) for c, s, m in zip(centred, r.turn_rewards[0], r.mask[0], strict=True)]
    check(mine[0], np.stack(wanted), "one deviation per question, and calls that never took place have none")
    tried = [lab.Variant("own-centre", advantage="own-centre", objective="dr-mas"), "dr-mas", "dr-mas-global"]
    print(lab.compare(search, tried, fair=True, lrs=(8.0, 16.0, 32.0), group_size=4, **runs).sentence)

# %% [markdown]
# In the dashboard (`make lab`): [which agent's gradient leaps, and
# why](http://127.0.0.1:8501/gradient-spikes?world=agents&variants=dr-mas-global~dr-mas), [what one mean for all
# costs](http://127.0.0.1:8501/compare?world=agents&plan=search&variants=dr-mas-global~dr-mas~grpo) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=dr-mas).
