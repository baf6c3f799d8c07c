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
# # ArenaRL: a moody judge gives numbers. Should the answers fight it out instead?
#
# **Question.** A judge gives each answer a number, and is kinder in some calls than in others. As a policy gets better
# its answers become alike, and the moods don't. GRPO divides by the spread of the group, and then learns moods. Do two
# answers in *one* call, under one mood, tell more? And what is left of that when calls are counted?
#
# **Kept** of the paper (arXiv 2601.06487): the seeded knock-out tournament, its five rivals, the judge's drift that
# both answers of a call share. **Left out:** language; the true worth of each answer is known. **Time:** fifteen
# minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.advantages.tournaments import comparisons, play
from lab.exercises import check
from lab.figures import curves, tuning
from lab.measures.interval import mean_interval
from lab.stand_ins import replaced
from simulators.judged.world import judgements

QUICK = True  # False: with as many runs as the recorded verdicts, a few minutes
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# Everyone meets answer 0 once; that gives the seeds. The best and the worst seed meet first, and so on, and neighbours
# meet until one is left. Who is out in the same round stands by the mean of the points won so far.


# %%
def tournament(scores):
    """Rewards [8] of a group of eight; scores[i, j] is what i got beside j."""
    first = scores[:, 0].copy()
    first[0] = scores[0, 1:].mean()
    players = np.argsort(-first, kind="stable")[[0, 7, 3, 4, 1, 6, 2, 5]].tolist()
    got, ranking = {i: [first[i]] for i in players}, []
    while len(players) > 1:
        duels = list(zip(players[::2], players[1::2], strict=True))
        for a, b in duels:
            got[a].append(scores[a, b])
            got[b].append(scores[b, a])
        players = [a if scores[a, b] >= scores[b, a] else b for a, b in duels]
        losers = [b if a in players else a for a, b in duels]
        ranking = sorted(losers, key=lambda i: -np.mean(got[i])) + ranking
    return 1 - np.argsort(players + ranking) / 7


# %%
rng = np.random.default_rng(0)
worth = rng.normal(size=(300, 8))
pairs = judgements(worth, seed=0, prompt=np.arange(300), drift=1.0, noise=0.3)
ours = np.stack([tournament(group) for group in pairs])
np.testing.assert_allclose(ours, [play("single-elimination", group).reward for group in pairs])
theirs = lab.advantages.compute("arenarl", np.zeros((300, 8)), pair_scores=pairs)
spread = ours.std(axis=1, ddof=1, keepdims=True)
np.testing.assert_allclose((ours - 0.5) / spread, theirs, atol=1e-5)
print(f"both agree; {comparisons('single-elimination', 8)} comparisons, round robin {comparisons('round-robin', 8)}")

# %% [markdown]
# Check by hand: the places of eight are always 1, 6/7, …, 0. *Every* group gets the same eight advantages; all that a
# tournament says is who gets which.
#
# ## Who knows the truth
#
# The correlation, inside each group, of the advantage with the true worth, as the answers of a group draw together. A
# call has a mood of deviation 1, shared by whoever is in it, and noise of 0.3 on each answer.


# %%
def inside(advantage, worth):
    """Correlation [n] in each group of [n, 8]."""
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (advantage, worth))
    return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


WAYS = ("arenarl", "arenarl@unseeded", "arenarl@round-robin")


def known(spread, drift=1.0, noise=0.3, groups=400, ways=WAYS):
    """Mean and interval of that correlation for each way to judge."""
    rng = np.random.default_rng(1)
    worth = rng.normal(0, spread, (groups, 8))
    calls = worth + drift * rng.normal(size=(7, groups, 8)) + noise * rng.normal(size=(7, groups, 8))
    pairs = judgements(worth, seed=1, prompt=np.arange(groups), drift=drift, noise=noise)
    found = {"grpo": inside(calls[0], worth), "mean of 7 calls": inside(calls.mean(axis=0), worth)}
    for way in ways:
        found[way] = inside(lab.advantages.compute(way, calls[0], pair_scores=pairs), worth)
    return {name: mean_interval(values) for name, values in found.items()}


def lines(over, label):
    """The picture of `known` over one setting: a list of (place on the axis, what `known` found)."""
    rows = [(name, x, "known", *numbers) for x, found in over for name, numbers in found.items()]
    frame = pl.DataFrame(rows, schema=["variant", "step", "metric", "mean", "low", "high"], orient="row")
    return curves(frame, metric="known", label="correlation with the true worth", unit=label)


lines([(s, known(s)) for s in (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5)], "spread of the true worth in a group")

# %% [markdown]
# **Reading the picture.** On the right all ways know who is good. On the left a single number knows next to nothing,
# and a tournament two to three times as much. The seeded knock-out is nearly as good as round robin on the right, at
# half the comparisons; on the left it is not.
#
# ## The promise, on a fair track
#
# Four questions with eight answers each, 0.3 apart: what is learnt in 30 steps? Each variant has its own best learning
# rate, chosen on other runs. The last one is GRPO for the same money: both orders of 14 comparisons are 28 calls, so
# that eight answers can each have the mean of about four.

# %%
runs = {"seeds": 24, "tuning": range(900, 906)} if QUICK else {"seeds": 96, "tuning": range(900, 924)}
track = {"fair": True, "lrs": (8.0, 16.0), "steps": 30, "group_size": 8, **runs}
moody = lab.world("judged", prompts=4, spread=0.3)
fair = lab.compare(moody, ["grpo", "arenarl", "arenarl@unseeded"], **track)
calmer = lab.world("judged", prompts=4, spread=0.3, drift=0.5, noise=0.15)
fair = fair.beside(lab.compare(calmer, [lab.variant("grpo", "grpo@four calls each")], **track))
tuning(fair.curve, label="expected worth after 30 steps")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# The tournament teaches more than one number each. More than half of that lead is its calls: four numbers each come
# most of the way. And what the *seeding* adds, at twice the comparisons, is little. **Published beside it:**

# %%
papers.paper("arenarl").published[0].frame

# %%
papers.paper("arenarl").published[1].frame

# %%
headline = papers.find_claim("arenarl.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("arenarl.headline"))

# %% [markdown]
# ## With and without
#
# Measured again with a random bracket under ArenaRL's name (2 and 3), with GRPO on the numbers (4), and with Swiss
# rounds (1). There each must fail.

# %%
papers.table("arenarl.1", "arenarl.2", "arenarl.3", "arenarl.4")

# %% [markdown]
# By hand, where answers are 0.3 apart:

# %%
print("with it   ", np.round(known(0.3, ways=["arenarl"])["arenarl"], 3))
with replaced({"advantage:arenarl": "arenarl@unseeded"}):
    print("not seeded", np.round(known(0.3, ways=["arenarl"])["arenarl"], 3))

# %% [markdown]
# ## Where it does not hold
#
# It is not the ranking that helps, it is that two answers share a mood. Let the judge have no moods but noise on every
# answer; then seven numbers each, for as many calls, know more than any tournament.

# %%
lines([(d, known(1.0, drift=d, noise=1.0)) for d in (0.0, 0.5, 1.0, 1.5, 2.0)], "mood of a call (noise 1)")

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Groups of 16, and each comparison asked in both orders. For the calls of a seeded knock-out, how many numbers
# could each answer have had?

# %%
answer_1 = None

# %%
check(answer_1, 2 * comparisons("single-elimination", 16) / 16, "everyone meets answer 0, and everyone but one loses")

# %% [markdown]
# **2.** Eight answers that are all *exactly* equally good. Which advantage does the winner get?

# %%
answer_2 = None

# %%
level = lab.advantages.compute("arenarl", np.zeros((1, 8)), pair_scores=np.zeros((1, 8, 8)))
check(answer_2, level.max(), "the eight places don't ask whether anyone was better; standardise them (one degree less)")

# %% [markdown]
# **3.** A duel says more than who won: the *margin* is free of the mood as well. Write a rule that gives each answer
# its mean margin over the seven others. Does it know more than the places of a round robin, from the same calls?


# %%
@lab.advantage(name="mean-margin")
def mean_margin(rewards, *, pair_scores):
    """Advantages [..., P, G] from the scores [..., P, G, G]; pair_scores[..., i, j] is what i got beside j."""
    return None  # your line


# %%
if mean_margin(np.zeros((300, 8)), pair_scores=pairs) is not None:
    margins = pairs - np.swapaxes(pairs, -1, -2)
    wanted = np.stack([np.delete(m, i, axis=-1).mean(axis=-1) for i, m in enumerate(np.moveaxis(margins, -2, 0))], -1)
    check(mean_margin(np.zeros((300, 8)), pair_scores=pairs), wanted, "who sits in the other's place? seven, not eight")
    for name, numbers in known(0.3, ways=["arenarl@round-robin", "mean-margin"]).items():
        print(f"{name:20} {numbers[0]:.3f} ({numbers[1]:.3f} to {numbers[2]:.3f})")

# %% [markdown]
# In the dashboard (`make lab`): [which tournament, for a judge with
# moods](http://127.0.0.1:8501/compare?world=judged&variants=grpo~arenarl~arenarl@swiss~arenarl@anchor&steps=50) and
# [the paper's claims](http://127.0.0.1:8501/papers?paper=arenarl).
