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
# # MAPO: eight turns of talk, one of them helped. Which?
#
# **Question.** A dialogue is scored after each turn. If all its turns get the credit of the whole, the good ones carry
# the bad ones. But the score of the turn itself does not know what the turn has set in motion. Which of the two should
# a turn be judged by?
#
# **Kept** of the paper (arXiv 2603.06194): returns compared turn by turn, immediate rewards compared over a pool, their
# mixture. **Left out:** language and the judge; a turn is one action of a small game whose effects are known exactly.
# **Time:** fifteen minutes to read, fifteen seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.exercises import check
from lab.figures import curves, tuning
from lab.measures.interval import mean_interval
from simulators.reward_laws import BATCHES

QUICK = True  # False: with as many runs as the recorded verdicts, a few minutes
_ = pl.Config.set_tbl_rows(20).set_fmt_str_lengths(60)

# %% [markdown]
# ## The mechanism
#
# Two comparisons. *What came of it from here on*, against the other rollouts of the question at the same turn. And
# *what it brought at once*, against all turns of the question. α mixes them.


# %%
def mapo(rewards, alpha=0.5):
    """Advantages [P, G, T] of the rewards of the turns [P, G, T]."""
    later = rewards[..., ::-1].cumsum(axis=-1)[..., ::-1]
    by_turn = (later - later.mean(axis=1, keepdims=True)) / later.std(axis=1, keepdims=True)
    now = (rewards - rewards.mean(axis=(1, 2), keepdims=True)) / rewards.std(axis=(1, 2), keepdims=True)
    return alpha * by_turn + (1 - alpha) * now


# %% [markdown]
# Episodes to try it on: each turn an action of 0 or 1 is drawn; an action of 1 pays 0.3 at once, 0.3 a turn later and
# 0.3 two turns later. Every turn also pays something that falls with its number, and noise. So what an action is worth
# is known: 0.9, less at the end of an episode.

# %%
WORLDS = {"mixed": (0.3, (0.3, 0.3), 0.5), "immediate": (0.5, (), 0.3), "delayed": (0.2, (0.5,), 0.3)}


def episodes(world, batches=16, prompts=100):
    """Rewards of eight turns and the true effect of each action, both [S, P, G, T]."""
    drawn = BATCHES["turn_effects"](np.random.default_rng(7), (batches, prompts, 8), 8, *WORLDS[world])
    return drawn[..., 0], drawn[..., 1]


rewards, effect = episodes("mixed")
ours = np.stack([mapo(batch) for batch in rewards])
outcome = rewards.sum(axis=-1, keepdims=True)  # of the whole episode, as one reward component
np.testing.assert_allclose(ours, lab.advantages.compute("mapo", outcome, turn_rewards=rewards), atol=1e-6)
print("ten lines and the lab's rule agree")

# %% [markdown]
# ## How closely the credit follows the effect
#
# At each turn, the correlation over rollouts of what an action got with what it was worth.


# %%
def quality(advantage, effect):
    """Correlation [S] over prompts and rollouts, averaged over the turns."""
    a, b = (x - x.mean(axis=(1, 2), keepdims=True) for x in (np.broadcast_to(advantage, effect.shape), effect))
    return ((a * b).sum(axis=(1, 2)) / np.sqrt((a**2).sum(axis=(1, 2)) * (b**2).sum(axis=(1, 2)))).mean(axis=-1)


def row(name, alpha, found):
    """A row of the picture: mean and 95% interval over batches."""
    mean, low, high = mean_interval(found)
    return {"variant": name, "step": alpha, "metric": "quality", "mean": mean, "low": low, "high": high}


rows = []
for world in WORLDS:
    rewards, effect = episodes(world)
    for alpha in np.linspace(0, 1, 11):
        credit = lab.advantages.compute("mapo", rewards.sum(-1, keepdims=True), turn_rewards=rewards, alpha=alpha)
        rows.append(row(f"{world} effects", alpha, quality(credit, effect)))
curves(pl.DataFrame(rows), metric="quality", label="correlation with the true effect", unit="α: share of the return")

# %% [markdown]
# **Reading the picture.** On the left the immediate reward alone, on the right the return alone. Where effects come at
# once *and* later, the best is in the middle, and the paper's advice (α from 0.5 to 0.7) is right. Where all effects
# are immediate, each bit of the return only adds noise. And the credit of the whole episode, for comparison:

# %%
for world in WORLDS:
    rewards, effect = episodes(world)
    whole = lab.advantages.compute("grpo", rewards.sum(axis=-1, keepdims=True))[..., None]
    print(f"{world:10}{mean_interval(quality(whole, effect))[0]:.3f}")

# %% [markdown]
# ## The promise, on a fair track
#
# Does better credit teach more? In the lab's dialogue, listening pays later and pressing costs later; one policy for
# eight questions. Each variant gets its own best learning rate, chosen on other runs.

# %%
dialogue = lab.world("turns", task="dialogue", shared=True)
runs = {"seeds": 32, "tuning": range(900, 908)} if QUICK else {"seeds": 128, "tuning": range(900, 932)}
names = ["grpo", "mapo", "mapo@turn", "mapo@immediate"]
track = {"fair": True, "lrs": (8.0, 16.0, 32.0), "steps": 20, **runs}
fair = lab.compare(dialogue, names, group_size=4, **track)
tuning(fair.curve, label="expected outcome after 20 steps")

# %%
print(fair.sentence)
fair.frame

# %% [markdown]
# Credit by turns pays. That it is a *mixture* does not: in this dialogue the immediate level alone does as well. The
# published figures, of a judge's score over the model that training began with:

# %%
papers.paper("mapo").published[0].frame

# %% [markdown]
# The recorded verdict has more runs and a second group size:

# %%
headline = papers.find_claim("mapo.headline")
print(headline.sentence, headline.note, sep="\n\n")
if not QUICK:
    print(papers.run_claim("mapo.headline"))

# %% [markdown]
# ## With and without
#
# Claims 1 and 2 are measured again with the immediate part taken away (α held at 1), claim 3 with the outcome of the
# whole in the place of the turns' own. There they must fail.

# %%
papers.table("mapo.1", "mapo.2", "mapo.3")

# %% [markdown]
# ## Where it does not hold
#
# **A score that can be had for nothing.** MAPO never looks at the outcome. In the task of steps the score of a turn
# pays for steps that lead nowhere, and who is judged by turns takes them.

# %%
steps = lab.world("turns", task="steps", shared=True)
trace = lab.train(steps, ["grpo", "mapo"], steps=150, seeds=8, lr=1.0, measure=["value"])
curves(trace.summary(), metric="value", label="expected outcome")

# %% [markdown]
# **The first turn looks good.** The rewards above fall with the number of the turn, whatever is done. The pooled part
# takes the fall for merit:

# %%
rewards, effect = episodes("mixed")
for name in ("mapo@turn", "mapo@immediate"):
    credit = lab.advantages.compute(name, rewards.sum(axis=-1, keepdims=True), turn_rewards=rewards)
    print(f"{name:15}", credit.mean(axis=(0, 1, 2)).round(2))

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Two rollouts of one question, three turns: the first is paid (1, 0, 0), the second (0, 0, 1). What does the
# turn level (α = 1) give the *first* rollout at its three turns? A list of three numbers.

# %%
answer_1 = None

# %%
paid = np.array([[[1.0, 0, 0], [0, 0, 1]]])
credit = lab.advantages.compute("mapo@turn", paid.sum(axis=-1, keepdims=True), turn_rewards=paid)
check(answer_1, credit[0, 0], "what is still to come, seen from each turn? both rollouts earn the same in the end")

# %% [markdown]
# **2.** Where effects are mainly delayed, the return alone (α = 1) is close to the best. Find a share α with which the
# mixture is better than the return alone *and* better than α = 0.5.

# %%
answer_2 = None


# %%
def better(alpha):
    """Whether this share beats both, in the world of delayed effects."""
    drawn, worth = episodes("delayed")
    total = drawn.sum(axis=-1, keepdims=True)
    found = [
        quality(lab.advantages.compute("mapo", total, turn_rewards=drawn, alpha=a), worth).mean()
        for a in (alpha, 0.5, 1.0)
    ]
    return 0 <= alpha <= 1 and found[0] > max(found[1:])


if answer_2 is not None:
    check(
        answer_2 if 0 <= answer_2 <= 1 else -1, lambda a: a >= 0 and better(a), "look at the third line of the picture"
    )

# %% [markdown]
# **3.** Mend the first turn. Write the mixture (half and half) so that the immediate part is compared with the other
# rollouts *at the same turn*, as the return is. Before you run it: will the credit be better for it?


# %%
@lab.advantage(name="by-turn-only")
def by_turn_only(rewards, *, turn_rewards):
    """Advantages [..., P, G, T] of the rewards of the turns [..., P, G, T]; all episodes are equally long."""
    return None  # your line


# %%
rewards, effect = episodes("mixed")
credit = by_turn_only(None, turn_rewards=rewards)
if credit is not None:
    whole = rewards.sum(axis=-1, keepdims=True)
    now = (rewards - rewards.mean(axis=2, keepdims=True)) / rewards.std(axis=2, keepdims=True)
    wanted = (now + lab.advantages.compute("mapo@turn", whole, turn_rewards=rewards)) / 2
    check(credit, wanted, "both halves are compared over the same axis now")
    before = lab.advantages.compute("mapo", whole, turn_rewards=rewards)
    print(f"credit: {quality(credit, effect).mean():.3f}, MAPO's {quality(before, effect).mean():.3f}")
    print("eight rollouts tell the level of a turn less well than sixty-four turns tell that of the question")

# %% [markdown]
# In the dashboard (`make lab`): [several turns, with credit for all at once, by turns, or
# both](http://127.0.0.1:8501/compare?world=turns&variants=grpo~mapo@batch~mapo@turn~mapo) and [the paper's
# claims](http://127.0.0.1:8501/papers?paper=mapo).
