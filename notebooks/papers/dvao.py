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
# # DVAO: a reward that has nothing left to teach should be quiet. And one that is only rarely earned?
#
# **Question.** With several rewards one can add them and normalise the sum, or normalise each and add. In the first way
# the widest reward is heard most; in the second a reward that is earned nearly always gets its full weight, as its tiny
# differences are blown up. DVAO normalises each and weighs it *by its spread in the group*. Does that find out by
# itself which reward has something to teach?
#
# **Kept** of the paper (arXiv 2605.25604): the adaptive weights, and both usual ways beside them. **Left out:** large
# language models. **Time:** fifteen minutes to read, ten seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.papers.measure import OnePolicy
from lab.stand_ins import replaced
from simulators import Bandit
from simulators.reward_laws import batch, normal

QUICK = True  # False: with as many runs as the recorded verdicts, half a minute
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism


# %%
def dvao(rewards, weights):
    """Advantages [P, G] of the rewards [P, G, K] with weights [K]."""
    away = rewards - rewards.mean(axis=1, keepdims=True)
    spread = rewards.std(axis=1, keepdims=True)
    share = weights * spread / (weights * spread).sum(axis=-1, keepdims=True)
    each = np.divide(away, spread, out=np.zeros(away.shape), where=spread > 0)  # what each reward says by itself
    return (share * each).sum(axis=-1)


# %%
rng, half = np.random.default_rng(0), np.array([0.5, 0.5])
rewards = np.stack([rng.random((2000, 16)) < 0.5, rng.random((2000, 16))], axis=-1).astype(float)
np.testing.assert_allclose(dvao(rewards, half), lab.advantages.compute("dvao", rewards, weights=half), atol=1e-4)
print("both agree")

# %% [markdown]
# The spread under the fraction cancels the spread above it: A is the distance of the weighted sum from its mean, over
# the *sum of the spreads*. GRPO divides the same distance by the *spread of the sum*. Check by hand: four answers with
# the rewards (1, 0), (0, 1), (1, 0), (0, 1) contradict each other, so that all sums are alike and nobody gets anything.
# With (1, 1), (0, 0), (1, 1), (0, 0) both agree, and DVAO gives what GRPO gives (with a spread that divides by G): ±1.

# %%
groups = np.array([[[1.0, 0], [0, 1], [1, 0], [0, 1]], [[1, 1], [0, 0], [1, 1], [0, 0]]])
print(lab.advantages.compute("dvao", groups, weights=half).round(4))

# %% [markdown]
# So within a group DVAO is GRPO on the sum, made *smaller* where rewards disagree. The order of the answers never
# differs from that of the sum.
#
# ## Who is heard
#
# Accuracy is earned by half of the answers. Beside it stands a second reward: one that everyone has (0.9, with a noise
# of 0.01), or a judge that is nothing but noise. How closely does the advantage follow accuracy?

# %%
RULES = {
    "RC: add, then normalise": ("grpo", {"ddof": 0}),
    "AC: normalise, then add": ("gdpo@no-batch-norm", {"ddof": 0}),
    "DVAO": ("dvao", {}),
}


def follows(name, other):
    """Correlation of the advantage with accuracy, beside rewards of that law."""
    accuracy = (np.random.default_rng(1).random((2000, 16)) < 0.5).astype(float)
    rule, options = RULES[name]
    both = np.stack([accuracy, batch(other, (2000, 16))], axis=-1)
    a = lab.advantages.compute(rule, both, weights=half, **options)
    return float(np.corrcoef(a.ravel(), lab.advantages.compute("grpo", accuracy).ravel())[0, 1])


pl.DataFrame([{"rule": r, **{o: follows(r, o) for o in ("saturated", "noisy_judge")}} for r in RULES])

# %% [markdown]
# Beside the saturated reward only AC is disturbed, and that is the case that the paper has in mind. Beside the noise it
# is the other way round: a spread may be signal or noise, and DVAO takes either for signal.
#
# ## The promise, on a fair track
#
# A small language model is paid for a right answer (half of the weight), for its format and for its length (a quarter
# each). Right answers are rare at first. Each way has its own best learning rate, chosen on other runs.

# %%
variants = [
    lab.variant("grpo", label="RC", ddof=0),
    lab.variant("gdpo@no-batch-norm", label="AC", ddof=0),
    lab.variant("dvao", label="DVAO"),
]
task = lab.world("toy-lm")
runs = {"seeds": 16, "tuning": range(900, 904)} if QUICK else {"seeds": 64, "tuning": range(900, 916)}
rare = {"fair": True, "lrs": (128.0, 256.0), "steps": 40, "reward_weights": (0.5, 0.25, 0.25), **runs}
fair = lab.compare(task, variants, group_size=16, **rare)
tuning(fair.curve, label="weighted reward after 40 steps")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# **Reading the picture.** The most that can be had is 1. DVAO and RC are level, and AC is far above both. Why? A reward
# that is nearly always 0 has a small spread, exactly as one that is nearly always 1; weights by spread leave out what
# cannot be learnt any more *and what is yet to be learnt*. Here is the share that DVAO gives to a right-or-wrong reward
# beside one that is earned half of the time, over the chance that it is earned:

# %%
rows = []
for p in (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99):
    spread = (rng.random((4000, 16, 2)) < [p, 0.5]).astype(float).std(axis=1)
    share = (spread[:, 0] / np.maximum(spread.sum(axis=1), 1e-9)).reshape(20, -1).mean(axis=1)
    low, high = share.mean() - 2.1 * share.std() / 20**0.5, share.mean() + 2.1 * share.std() / 20**0.5
    rows.append({"variant": "DVAO", "step": p, "metric": "share", "mean": share.mean(), "low": low, "high": high})
curves(pl.DataFrame(rows), metric="share", label="share of the weight", unit="chance that it is earned", percent=True)

# %% [markdown]
# The published figures, with a length reward that nearly all answers earn:

# %%
papers.paper("dvao").published[0].frame

# %%
headline = papers.find_claim("dvao.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("dvao.headline"))

# %% [markdown]
# ## With and without
#
# Each claim is measured again with AC under DVAO's name. There it must fail. (The second shows AC's own correlation,
# which is the same both times; what fails is that DVAO's should be near 1.)

# %%
papers.table("dvao.1", "dvao.2", *([] if QUICK else ["dvao.3"])).drop("published")

# %% [markdown]
# By hand, beside the saturated reward:

# %%
print("with it   ", round(follows("DVAO", "saturated"), 3))
with replaced({"advantage:dvao": "gdpo@no-batch-norm"}):
    print("without it", round(follows("DVAO", "saturated"), 3))

# %% [markdown]
# ## Where it holds
#
# Beside a format that is kept from the start (0.97, with a noise of 0.02) accuracy is learnt from 0.27 on, and there
# DVAO is ahead of AC at one learning rate. RC is ahead, too, and it needs no new rule:

# %%
heads = Bandit(means=[[[0, 1], [0, 1]]], law=["bernoulli", normal(0.02)], logits=[[0.0, -1.0], [0.0, 3.5]])
setting = {"steps": 30, "seeds": 16, "group_size": 16, "reward_weights": (0.5, 0.5), "measure": ["value"]}
seen = lab.train(OnePolicy(heads, 16), variants, lr=0.3, **setting).summary()
curves(seen, metric="value", label="mean of the two rewards")

# %% [markdown]
# And with a learning rate of its own for each, all three have solved the task after ten steps (so that an end of the
# learning rates tried says nothing):

# %%
easy = {"lrs": (4.0, 16.0, 64.0), "steps": 10, "reward_weights": (0.5, 0.5), "seeds": 12, "tuning": range(900, 904)}
print(lab.compare(OnePolicy(heads, 16), variants, fair=True, group_size=16, **easy).sentence)

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Four answers, two rewards of equal weight: (1, 0), (1, 0), (0, 0), (0, 4). What does the *last* answer get?

# %%
answer_1 = None

# %%
one = np.array([[[1.0, 0], [1, 0], [0, 0], [0, 4]]])
check(answer_1, lab.advantages.compute("dvao", one, weights=half)[0, 3], "two distances above, two deviations below")

# %% [markdown]
# **2.** Two rewards, each earned by half of the answers and independent of the other. By what is DVAO's advantage
# smaller than GRPO's on the sum, in root mean square and in a large group?

# %%
answer_2 = None

# %%
many = (rng.random((1, 200_000, 2)) < 0.5).astype(float)
size = {rule: np.sqrt((lab.advantages.compute(rule, many, weights=half) ** 2).mean()) for rule in ("dvao", "grpo")}
check(answer_2, size["dvao"] / size["grpo"], "variances add up, deviations do not", within=0.02)

# %% [markdown]
# **3.** Turn the weights round: the *smaller* a reward's spread in the group, the larger its share (rewards without any
# spread are left out). What do you expect where right answers are rare, and what beside the saturated reward?


# %%
def shares(spread):
    """Share of each reward [..., P, 1, K] from its deviations in the group [..., P, 1, K], all above 0."""
    return None  # your line: in proportion to one over the deviation, and 1 in all


@lab.advantage(name="quiet-first", components=True)
def quiet_first(rewards):
    """Advantages [..., P, G] of the rewards [..., P, G, K]."""
    spread = rewards.std(axis=-2, keepdims=True)
    each = (rewards - rewards.mean(axis=-2, keepdims=True)) / np.where(spread > 0, spread, 1)
    return (shares(np.where(spread > 0, spread, 1e9)) * each).sum(axis=-1)


# %%
if shares(np.ones((1, 1, 2))) is not None:
    check(shares(np.array([[[1.0, 0.25]]])), np.array([[[0.2, 0.8]]]), "what do all shares of a group add up to?")
    print(lab.compare(task, [lab.variant("quiet-first"), *variants[1:]], group_size=16, **rare).sentence)
    RULES["quiet first"] = ("quiet-first", {})
    print("beside the saturated reward:", round(follows("quiet first", "saturated"), 3))

# %% [markdown]
# In the dashboard (`make lab`): [rewards that contradict each other, under the
# microscope](http://127.0.0.1:8501/microscope?rewards=1~0_0~1_1~0_0~1_1~1_0~0&rules=grpo~gdpo~dvao&truth=1), [three
# rewards of a small language model](http://127.0.0.1:8501/compare?world=toy-lm&variants=grpo~gdpo~dvao) and [the
# paper's claims](http://127.0.0.1:8501/papers?paper=dvao).
