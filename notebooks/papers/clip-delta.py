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
# # Clip and Delta: pay for every good step, and what do you get?
#
# **Question.** A model solves a problem step by step. Success at the end is rare news, so a second model scores every
# step, and the scores are added to the reward. Soon the first model writes good step after good step and never comes to
# an end: steps are paid by the piece. Can the scores be bounded, and are they then still worth having?
#
# **Kept** of the paper (arXiv 2410.15115): the sum of scores, Clip, Delta, both together, and returns per step.
# **Left out:** language, and PPO's critic. A problem takes three good steps and then an end; whatever comes after the
# third may only spoil it. The scores are given, with a little noise.
# **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.stand_ins import replaced
from simulators import Turns

QUICK = True  # False: with as many runs as the recorded verdicts, half a minute more
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# A solution has K steps with scores $x_1 \dots x_K$ between 0 and 1. **Clip** cuts off whatever is above a threshold η:
# a good step is worth nothing, a bad one costs. **Delta** pays for a score and takes the next one back, so that in the
# sum all but the first cancel. (The last step's score is left out: there the outcome speaks.)


# %%
def step_rewards(scores, clip=False, delta=False, eta=0.7):
    """Rewards [K] of the steps from their scores [K]."""
    x = np.minimum(scores - eta, 0) if clip else scores
    if not delta:
        return x
    x = np.append(x[:-1], 0.0)  # the last score is dropped
    return x - np.append(x[1:], 0.0)


# %%
FORMS = {"process": (False, False), "process-clip": (True, False), "process-delta": (False, True)}
FORMS["clip-delta"] = (True, True)


def collected(rule, scores):
    """What a solution collects beside its outcome under the lab's rule, at a weight of α = 1."""
    whole = {"turn_rewards": np.reshape(scores, (1, 1, -1)), "alpha": 1.0, "closing": False}
    return lab.rewards.apply(rule, [[0.0]], **whole)[0, 0, -1]


x = np.random.default_rng(0).random(9)
for rule, (clip, delta) in FORMS.items():
    np.testing.assert_allclose(step_rewards(x, clip, delta).sum(), collected(rule, x), atol=1e-12)
print("ten lines and the lab's rules agree")

# %% [markdown]
# Check the third column by hand: all scores are 0.9, and 0.9 − 0.9 is nothing, however often it is added up.

# %%
pl.DataFrame({"steps": [4, 8, 16]} | {rule: [collected(rule, [0.9] * k) for k in (4, 8, 16)] for rule in FORMS})

# %% [markdown]
# ## What the sum teaches
#
# One policy for eight problems, sixteen solutions each; at most sixteen steps. The sum of the scores counts with a
# weight of 0.3 beside the outcome, and GRPO compares the totals. Here is how long solutions become
# (`grpo` knows success alone).


# %%
@lab.measurement(label="steps of a solution", unit="steps")
def solution_steps(moment):
    """Mean number of steps of the sampled solutions [S], the closing one not counted."""
    return moment.rollouts.mask.sum(axis=-1).mean(axis=(1, 2)) - 1.0


ours = [lab.variant(v, aggregation="seq-mean-token-sum") for v in ("grpo", "process-reward", "clip-delta")]
solving = lab.world("turns", task="steps", shared=True)
watched = {"steps": 150, "seeds": 6, "group_size": 16, "lr": 0.6, "measure": ["value", "solution_steps"], "every": 5}
seen = lab.train(solving, ours, **watched).summary()
curves(seen, metric="solution_steps", label="steps of a solution")

# %%
curves(seen, metric="value", label="share of right solutions", percent=True)

# %% [markdown]
# Three steps are enough. Paid by the piece, the policy goes on until it is stopped, and thirteen needless steps, each
# with a chance of 3% to spoil the solution, cost a third of the answers. Clip-Delta stops when it is done; but so does
# success alone: the two lines lie on one another.
#
# ## The promise, on a fair track
#
# A bound against harm is one thing. The paper says more: that bounded scores *help* beyond success alone. Scores should
# help most where success is rare, so here the policy seldom takes a good step at first (its logit is 2 lower). Each
# reward has its own best learning rate, chosen on other runs.

# %%
logits = solving.logits[0].copy()
logits[:, 0] -= 2
rare = Turns("steps", shared=True, logits=logits)
runs = {"seeds": 16, "tuning": range(900, 912)} if QUICK else {"seeds": 64, "tuning": range(900, 932)}
track = {"fair": True, "lrs": (4.0, 8.0, 16.0), "group_size": 8, **runs}
fair = lab.compare(rare, ours, steps=40, **track)
tuning(fair.curve, label="share of right solutions after 40 steps")

# %% [markdown]
# **Reading the picture.** Height is the share of right solutions at the end of training, a point the mean over runs
# with its 95% interval, a large point the learning rate that a reward is then judged at.

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# The promise is not kept here, it is turned round. The reason can be read off the rewards. At first a solution hardly
# ever comes out right, so only the scores speak. A bad step costs 0.3 · 0.4, a good one brings nothing, and to end at
# once costs nothing: the policy learns to give up, in five first steps of six. Published beside it: a gain of 0.9
# points (greedy), and 19 points *lost* by the plain sum.

# %%
papers.paper("clip-delta").published[0].frame

# %%
headline = papers.find_claim("clip-delta.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("clip-delta.headline"))

# %% [markdown]
# ## With and without
#
# Each claim is measured again with the plain sum under the names of the bounded rewards (the second: with a Delta that
# adds nothing to the outcome). There it must fail.

# %%
papers.table("clip-delta.1", "clip-delta.check-head-start", *([] if QUICK else ["clip-delta.2", "clip-delta.3"]))

# %% [markdown]
# By hand: inside the block, whoever asks for `clip-delta` gets the sum.

# %%
quick = {**watched, "steps": 60, "measure": ["solution_steps"]}
plain = lab.variant("clip-delta", aggregation="seq-mean-token-sum")
seen = [lab.train(solving, plain, **quick).summary()]
with replaced({"reward:clip-delta": "process"}):
    seen.append(lab.train(solving, plain, **quick).summary().with_columns(variant=pl.lit("clip-delta@without it")))
curves(pl.concat(seen), metric="solution_steps", label="steps of a solution")

# %% [markdown]
# ## Where it does not hold
#
# A bound on the *sum* is a bound for who compares sums. With credit per step (a step is compared by what comes from it
# on) Delta alone is hacked all the same: going on pays the next score now, and what is taken back for it was booked at
# the step before, which is over. Clip-Delta holds there too, for it has nothing to pay out.

# %%
forms = {"delta": "process-delta@per step", "clip-delta": "clip-delta@per step"}
by_step = [lab.variant("step-returns", n, form=f, aggregation="seq-mean-token-sum") for f, n in forms.items()]
seen = lab.train(solving, by_step, **{**watched, "measure": ["solution_steps"]}).summary()
curves(seen, metric="solution_steps", label="steps of a solution")

# %% [markdown]
# And where a policy often succeeds from the start, there is nothing to mend: the scores neither help nor harm.

# %%
print(lab.compare(solving, [ours[0], ours[2]], steps=20, **track).sentence)

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Five steps are scored 0.9, 0.8, 0.4, 0.9 and 0.6. What do they collect as a plain sum, with Clip (η = 0.7),
# with Delta, and with both? A list of four numbers.

# %%
answer_1 = None

# %%
scored = [0.9, 0.8, 0.4, 0.9, 0.6]
check(answer_1, [collected(rule, scored) for rule in FORMS], "two of the four do not need more than one score")

# %% [markdown]
# **2.** A right solution of three good steps is about to end. Two fillers more (scores 0.8) each spoil it with a chance
# of 3%. Under Delta, with credit per step and in expectation: how small must the weight α be, so that they do not pay?

# %%
answer_2 = None

# %%
with_fillers = step_rewards(np.array([0.9, 0.9, 0.9, 0.8, 0.8]), delta=True)
outcome = solving.task.chance[6, 2, 0] ** 2  # from "three good steps, not spoilt", two fillers that do no harm
check(answer_2, (1 - outcome) / with_fillers[3:].sum(), "what do the fillers' own two rewards add up to?", within=0.002)

# %% [markdown]
# **3.** To give up at once cost nothing, so it was learnt. Write a total which no number of good steps pushes up, and
# under which giving up is *not* free: the outcome plus 0.3 times something bounded of the scores. Does it get from rare
# success to right solutions? If not: how little must a solution do to collect all that the scores can give?


# %%
def own_total(outcome, scores, steps):
    """Totals [..., P, G] of outcomes [..., P, G]; scores [..., P, G, T], of which those count where `steps` is 1."""
    return None  # your line


# %%
@lab.advantage(name="own-total")
def own(rewards, turn_rewards, mask):
    """GRPO's advantage of the totals; the last turn only ends a solution."""
    steps = mask * (np.arange(mask.shape[-1]) < mask.sum(axis=-1, keepdims=True) - 1)
    return lab.advantages.compute("grpo", own_total(rewards, turn_rewards, steps)[..., None])


some, ones = np.full((1, 3, 8), 0.9), (np.arange(8) < np.array([[2], [4], [8]]))[None] * 1.0
if (tried := own_total(np.zeros((1, 3)), some, ones)) is not None:
    giving_up = own_total(np.zeros((1, 3)), 0 * some, 0 * ones)
    hint = "eight good steps must not be worth more than two, and none must be worth less"
    check(np.ptp(tried) < 1e-9 and np.all(tried > giving_up + 0.01), True, hint)
    mine = lab.variant("own-total", aggregation="seq-mean-token-sum")
    print(lab.compare(rare, [mine, ours[0]], steps=40, **track).sentence)

# %% [markdown]
# In the dashboard (`make lab`): [solving in steps, with the sum and with
# Clip-Delta](http://127.0.0.1:8501/train?world=turns&task=steps&variants=grpo~process-reward~clip-delta), [the rules as
# they are written](http://127.0.0.1:8501/papers?paper=clip-delta&view=rules) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=clip-delta).
