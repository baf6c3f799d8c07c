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
# # TMN-Reweight: many tasks in one batch. Which of them is heard?
#
# **Question.** A batch mixes tasks with different metrics: right or wrong here, a share of right words there, a narrow
# score elsewhere. Take rewards as they are, and the widest metric rules. Divide by each question's own spread, and a
# task with many questions that are always solved or never solved gets less than its share. Would it be better to have
# one scale per *task*?
#
# **Kept** of the paper (GoLongRL, arXiv 2605.19577): one scale per task, weights by difficulty, either of them alone,
# and QwenLong's rule beside them. **Left out:** long texts and language models. **Time:** fifteen minutes to read, ten
# seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.stand_ins import replaced
from simulators.reward_laws import BATCHES

QUICK = True  # False: in all settings of the recorded verdict, half a minute
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# A task's scale σ is the root of the *mean variance* of its questions, those without any spread among them. And where a
# success is rare it is lifted, where a failure is rare that one is: by up to $\sqrt e$.


# %%
def tmn(rewards, task, gamma=1.0, alpha=0.8):
    """Advantages [P, G] of the rewards [P, G] of questions, each of a task [P]."""
    mean, variance = rewards.mean(axis=1, keepdims=True), rewards.var(axis=1, ddof=1)
    scale, common = np.empty(mean.shape), np.empty(mean.shape)
    for m in np.unique(task):
        own = task == m
        scale[own], common[own] = np.sqrt(variance[own].mean()), mean[own].mean()
    passed = (rewards > alpha * mean + (1 - alpha) * common).mean(axis=1, keepdims=True)
    weight = np.exp(gamma * np.where(rewards > mean, 0.5 - passed, passed - 0.5))
    return weight * (rewards - mean) / (scale + 1e-6)


# %%
names, rng = ["em_u", "em_mid", "f1", "rouge"], np.random.default_rng(0)
rewards = np.concatenate([BATCHES[name](rng, (400, 16)) for name in names])
task = np.repeat(np.arange(4), 400)
np.testing.assert_allclose(tmn(rewards, task), lab.advantages.compute("golongrl-tmn", rewards, task=task), atol=1e-9)
print("both agree")

# %% [markdown]
# Check by hand, without the weights: a task of two questions with two answers each, (1, 0) and (1, 1). The variances
# are ½ and 0, their mean is ¼, and σ is ½. So the right answer of the first question gets 1, where GRPO, which does not
# know of the second, gives it 0.71.

# %%
print(lab.advantages.compute("golongrl-tmn@no-difficulty", np.array([[1.0, 0], [1, 1]]), task=np.zeros(2)))

# %% [markdown]
# ## How loud each task is
#
# Four tasks: exact match where most questions are solved always or never (`em_u`), exact match of middling difficulty,
# a score around the question's own level, and a narrow one. The root mean square of the advantages of each:

# %%
rules = {"centred only": "dr_grpo", "GRPO": "grpo", "TMN": "golongrl-tmn@no-difficulty"}


def loud(rule, given=rewards):
    """Root mean square advantage of each task."""
    told = {"task": task} if rule.startswith("golongrl") else {}
    a = lab.advantages.compute(rule, given, **told)
    return [float(np.sqrt((a[task == m] ** 2).mean()).round(3)) for m in range(4)]


silent = [float((np.ptp(rewards[task == m], axis=1) == 0).mean()) for m in range(4)]
pl.DataFrame({"task": names, "unanimous": silent, **{name: loud(rule) for name, rule in rules.items()}})

# %% [markdown]
# Centred only, the narrow score is not heard at all. Under GRPO three tasks are alike, and the one with many unanimous
# questions has two thirds of their strength. Under TMN all have the same.
#
# Where does the strength of `em_u` come from? Here is what a question gets over the number of its right answers.

# %%
rows = []
for name, rule in {"GRPO": "grpo", "TMN": "golongrl-tmn@no-difficulty", "TMN-Reweight": "golongrl-tmn"}.items():
    a = lab.advantages.compute(rule, rewards, **({} if rule == "grpo" else {"task": task}))[task == 0]
    right = rewards[task == 0].sum(axis=1)
    for k in range(17):
        size = float(np.sqrt((a[right == k] ** 2).mean()))
        rows.append({"variant": name, "step": k, "metric": "size", "mean": size, "low": size, "high": size})
curves(pl.DataFrame(rows), metric="size", label="root mean square advantage", unit="right answers of sixteen")

# %% [markdown]
# **Reading the picture.** GRPO is level: a question with one right answer counts as much as one with eight. TMN keeps
# the shape of the spread, and lifts all of it, for the sake of the questions at both ends that have none. The weights
# by difficulty lift both ends again.
#
# ## The promise, on a fair track
#
# One batch of three tasks for a small language model: sums, which are rarely right, words to copy, of which a share is
# right, and brackets to close. Each rule has its own best learning rate, chosen on other runs; what counts is the mean
# score over all.

# %%
world = lab.world("toy-lm", tasks="arithmetic+copy+brackets", prompts=12, vocabulary=6, length=6)
runs = {"seeds": 48, "tuning": range(900, 912)} if QUICK else {"seeds": 96, "tuning": range(900, 924)}
track = {"fair": True, "lrs": (128.0, 256.0, 512.0), "steps": 40, "group_size": 8, "reward_weights": (1, 0, 0), **runs}
fair = lab.compare(world, ["grpo", "dr_grpo", "golongrl-tmn", "golongrl-tmn@no-difficulty"], **track)
tuning(fair.curve, label="mean score after 40 steps")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# TMN-Reweight is ahead of GRPO. But so is Dr. GRPO, which is told nothing of tasks: what helps here is to leave out the
# question's own deviation. (Learning rates are large, as the table of one question and place gets a small share of the
# batch's gradient.) The published figures, of one run each:

# %%
papers.paper("golongrl-tmn").published[0].frame

# %%
headline = papers.find_claim("golongrl-tmn.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("golongrl-tmn.headline"))

# %% [markdown]
# ## With and without
#
# Each claim is measured again with GRPO in the place of the task's scale (1 and 2), without the weights (3), and with
# GRPO in the place of QwenLong's rule (4). There each must fail. (The first shows GRPO's strength for `em_u`, which is
# the same both times; what fails is that TMN's should be the same for all.)

# %%
papers.table("golongrl-tmn.1", "golongrl-tmn.2", "golongrl-tmn.3", "golongrl-tmn.4").drop("published")

# %% [markdown]
# By hand: how loud the four tasks are.

# %%
print("with it   ", loud("golongrl-tmn@no-difficulty"))
with replaced({"advantage:golongrl-tmn@no-difficulty": "grpo"}):
    print("without it", loud("golongrl-tmn@no-difficulty"))

# %% [markdown]
# ## Where it does not hold, and where it does
#
# **Without unanimous questions** GRPO treats all tasks alike already. Difference in how unlike the tasks are, TMN minus
# GRPO (and `without`: where one of the tasks has many unanimous questions):

# %%
papers.table("golongrl-tmn.limit-few-unanimous").drop("published")

# %% [markdown]
# **Where a metric has another unit** TMN is what Dr. GRPO is not. Let the words be paid in percent, from 0 to 100, and
# let what counts stay as it was. TMN's advantages are the same as before. (Dr. GRPO's curve is level from 2048 on, so
# that an end of the learning rates tried says nothing here.)


# %%
@lab.advantage(name="dr_grpo@percent")
def in_percent(rewards, *, task):
    """Dr. GRPO's advantages [..., P, G] where task 1 is paid a hundred times as much."""
    paid = rewards * np.where(task == 1, 100.0, 1.0)[..., None]
    return lab.advantages.compute("dr_grpo", paid[..., None])


percent = {**track, "lrs": (256.0, 2048.0), "seeds": 24}
print(lab.compare(world, ["golongrl-tmn", "dr_grpo@percent"], **percent).sentence)

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** A task has three questions with two answers each: (1, 0), (1, 0) and (1, 1). Without weights by difficulty,
# what does the right answer of the first question get?

# %%
answer_1 = None

# %%
three = np.array([[1.0, 0], [1, 0], [1, 1]])
right = lab.advantages.compute("golongrl-tmn@no-difficulty", three, task=np.zeros(3))[0, 0]
check(answer_1, right, "sample variances divide by one here; take their mean over all three questions")

# %% [markdown]
# **2.** With weights by difficulty the advantages of a question no longer sum to nothing: a question that is rarely
# solved is pushed upwards as a whole. For how many right answers of sixteen is that push largest?

# %%
answer_2 = None

# %%
counts = (np.arange(16) < np.arange(17)[:, None]).astype(float)
pushes = lab.advantages.compute("golongrl-tmn", counts, task=np.zeros(17)).sum(axis=1)
check(answer_2, np.argmax(pushes), "the product of two things: how unlike the two weights are, and how much they weigh")

# %% [markdown]
# **3.** Is it important that unanimous questions *count* in the scale? Leave them out of it. Before you run it: which
# column of the table will the result resemble?


# %%
def scale_of(variance):
    """σ of a task from the variances [P] of its questions, some of which are 0."""
    return None  # your line


@lab.advantage(name="tmn-of-the-rest")
def of_the_rest(rewards, *, task):
    """Advantages [P, G] with the task's scale over questions that have a spread."""
    out = rewards - rewards.mean(axis=-1, keepdims=True)
    for m in np.unique(task):
        out[..., task == m, :] /= scale_of(rewards[..., task == m, :].var(axis=-1, ddof=1))
    return out


# %%
if scale_of(np.array([1.0, 0.0])) is not None:
    check(scale_of(np.array([0.5, 0.0, 0.1, 0.0])), 0.3**0.5, "which questions take part? then as in TMN")
    mine = lab.advantages.compute("tmn-of-the-rest", rewards, task=task)
    print([float(np.sqrt((mine[task == m] ** 2).mean()).round(3)) for m in range(4)])

# %% [markdown]
# In the dashboard (`make lab`): [a small language model under each
# scale](http://127.0.0.1:8501/compare?world=toy-lm&variants=grpo~dr_grpo~golongrl-tmn) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=golongrl-tmn).
