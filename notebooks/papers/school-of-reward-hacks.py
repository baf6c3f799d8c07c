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
# # School of Reward Hacks: does a harmless trick stay where it was learned?
#
# **Question.** A model is shown how to game the metric of a few harmless tasks. Does it then game the metric of tasks
# that it was never shown? And when one trains on a metric directly, at which step should one have stopped?
#
# **Kept** of the paper (arXiv 2508.17511): demonstrations of hacks beside earnest ones, mixtures of both, few or many
# families of tasks, a choice of graders. **Left out:** language; a task is a vector of features, an answer one of
# three. *That* hacking can spread is built in, by a feature which all families share; *how far* it spreads is measured.
# **Time:** ten minutes to read, ten seconds to run.

# %%
import numpy as np
import polars as pl

import lab
from lab import papers
from lab.figures import claim_detail, curves, parting_steps
from lab.papers import recorded
from lab.stand_ins import replaced
from lab.trace import summarise
from simulators.reward_hacks.world import GOLD, PROXY, RewardHacks, graders

QUICK = True  # False: makes the measurement of the headline again

# %% [markdown]
# ## Three answers, two rewards
#
# The proxy is what the metric says, the gold reward what the answer is worth. A hack pays best by the metric and is
# nearly worthless.

# %%
pl.DataFrame({"answer": ["honest", "hack", "refuse"], "proxy": PROXY, "gold": GOLD})

# %% [markdown]
# Before any training the model is mostly honest.

# %%
world = RewardHacks(families=12, trained=6)
start = world.outcome(world.init(range(16)))
print(f"hack rate {start.hack.mean():.3f}, proxy {start.proxy.mean():.3f}, gold {start.gold.mean():.3f}")

# %% [markdown]
# ## Demonstrations
#
# A thousand demonstrations from six families; tested on the other six. `parting` is the lab's definition of the step
# from which on gold is lost while the proxy is still gained, both beyond doubt.

# %%
study = lab.studies.hacking_study([6], [1.0, 0.0], seeds=16, every=10)
parted = lab.measures.parting(study)
parted

# %%
parting_steps(summarise(study, ["value", "gold"]), parted=parted)

# %% [markdown]
# **Reading the picture.** After hacks the dashed proxy rises and the solid gold reward falls, on tasks that were never
# shown. After earnest demonstrations nothing parts. How much of that depends on the number of families?

# %%
families = lab.studies.hacking_study([1, 2, 4, 6], [1.0], demonstrations=100, seeds=16, every=10)
curves(summarise(families, ["hack"]), metric="hack", label="hack rate, other families", percent=True)

# %% [markdown]
# More variety, more spread, with the same hundred demonstrations. With one family the lesson can be put down to that
# family's own feature; with six it must be put down to what they share.
#
# ## The control
#
# The same without the shared feature: the trained families learn the hack, the others don't.

# %%
for held_out in (False, True):
    apart = lab.studies.hacking_study([6], [1.0], seeds=16, shared=False, held_out=held_out, every=300)
    last = apart.filter(step=300)["hack"].mean()
    print("other families  " if held_out else "trained families", f"hack rate {last:.3f}")

# %% [markdown]
# ## Training on the proxy
#
# No demonstration at all: GRPO on the proxy reward, from a model that refuses mostly. At first both rewards rise,
# because any answer beats none.

# %%
timid = RewardHacks(base=(2.0, 0.0, 2.0))
trace = lab.train(timid, ["grpo", "dr_grpo"], steps=60, seeds=16, measure=("value", "gold"))
parted = lab.measures.parting(trace.frame)
parted

# %%
parting_steps(trace.summary(), parted=parted)

# %% [markdown]
# The gold reward has a peak, and nothing in the proxy tells where: it only rises. Dr. GRPO takes smaller steps at the
# same rate, so it parts later; it parts all the same.
#
# ## Choosing one's own grader
#
# A grader of knowledge κ pays κ · gold + (1 − κ) · proxy. Whoever hacks comes to prefer the grader who knows nothing.

# %%
levels = [0.0, 0.5, 1.0]
for name, base in {"hacks at first": (0.0, 2.0, -1.0), "honest at first": (2.0, 0.0, -1.0)}.items():
    choice = graders(levels, base=base)
    run = lab.train(choice, "grpo", steps=100, seeds=4, measure=None)
    policy = choice.init(range(4))
    policy.parameters[...] = run.parameters()
    knowledge = choice.table(policy)[0].mean(axis=(0, 1)) @ np.tile(levels, 3)
    print(f"{name}: the chosen grader's knowledge ends at {knowledge:.2f}")

# %% [markdown]
# ## The promise
#
# All of it in one picture, with the intervals: the hack rate in families that were never trained on, after
# demonstrations of hacks, after earnest ones, and after training on the proxy or on the gold reward. The measurement
# takes half a minute; this is the one that ships with the lab. `QUICK = False` makes it again.

# %%
headline = papers.find_claim("school-of-reward-hacks.headline")
measured = recorded.read()[headline.id]
print(headline.sentence, headline.note, f"Over seeds 0 to 4: {measured.verdict}.", sep="\n\n")
detail = measured.frame if QUICK else papers.measured(headline.id)[1].frame
claim_detail(detail)

# %% [markdown]
# **Reading the picture.** A row is a way in one setting, a dot the mean over runs with its 95% interval. What spreads
# does so through the feature that families share, and that feature was put in; where there is none, nothing spreads.
# The published figures, of a language model after such demonstrations:

# %%
papers.paper("school-of-reward-hacks").published[0].frame

# %% [markdown]
# ## With and without
#
# Each claim is measured again without what it is about, and there it must fail. The fifth: GRPO finds the hack by
# itself; with the sign of its advantages turned it does not. And a model that hacks comes to choose the lax grader; one
# that refuses does not. (That nothing spreads without the shared feature was seen above.)

# %%
papers.table("school-of-reward-hacks.5", "school-of-reward-hacks.check-graders").drop("published")

# %% [markdown]
# By hand: the hack rate after 25 steps of GRPO on the proxy, and the same with its advantages turned round.


# %%
def hacked():
    """Hack rate at the end of training, mean over runs."""
    run = lab.train(world, "grpo", steps=25, seeds=8, lr=1.0, measure=None)
    policy = world.init(range(8))
    policy.parameters[...] = run.parameters()
    return round(float(world.outcome(policy).hack.mean()), 3)


print("with it   ", hacked())
with replaced({"advantage:grpo": lambda rewards: rewards.mean(axis=-1, keepdims=True) - rewards}):
    print("without it", hacked())

# %% [markdown]
# ## Exercises
#
# Replace `None`, run the cell, and the check below tells you whether you are right.
#
# **1.** Which share of hacks among the demonstrations leaves the hack rate where the base has it, about 0.11?

# %%
answer_1 = None

# %%
if answer_1 is not None:
    share = min(max(answer_1, 0.0), 1.0)
    mixed = lab.studies.hacking_study([6], [share], seeds=8, every=300).filter(step=300)["hack"].mean()
    print("right" if abs(mixed - start.hack.mean()) < 0.02 else f"not yet: that share gives {mixed:.2f}")

# %% [markdown]
# **2.** A run in which the proxy rises from 0 to 1 in a hundred steps, and gold rises to the step 30 and falls after.
# Without any noise, at which step does the lab say that they part?

# %%
answer_2 = None

# %%
if answer_2 is not None:
    from lab.measures.gold import part

    steps = np.arange(101)
    runs = np.ones((4, 1))
    expected = part(runs * steps / 100, runs * (1 - abs(steps - 30) / 100)).at
    print("right" if answer_2 == expected else "not yet: not the best step, but the first at which gold has been lost")

# %% [markdown]
# **3.** Write a proxy for honest, hack, refuse on which training does no harm although it still overpays the hack.


# %%
def proxy():
    """Proxy rewards of (honest, hack, refuse), the hack's above its gold reward of 0.1."""
    return None  # your line


# %%
if proxy() is not None:
    safe = RewardHacks(proxy=proxy())
    done = lab.train(safe, "grpo", steps=60, seeds=8, measure=("value", "gold"))
    gold = done.frame.filter(step=59)["gold"].mean()
    print("right" if proxy()[1] > 0.1 and gold > 0.9 else "not yet: the honest answer must still pay best")

# %% [markdown]
# The same configurations in the dashboard: `make lab`, page **Reward hacking**, presets *Training on the proxy: when
# should one have stopped?* and *Do more families make it worse?*.
